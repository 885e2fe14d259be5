"""What the programs of this folder share: every call is made twice, straight to a simulator and through weir to another one, and
printed as one line of JSON: {name, direct, weir, heads}. They run in environments of their own, so they import nothing of the
tests."""
import json
import os

MODELS = json.loads(os.environ["MODELS"])
SIDES = {"direct": {"url": os.environ["DIRECT_URL"], "key": "anything"},
         "weir": {"url": os.environ["BASE_URL"], "key": os.environ["API_KEY"]}}


def run(make, calls, heads):
    """`make(url, key)` gives what the calls take; `calls` is {name: function}; `heads`, a list that the client's transport fills,
    has what came back from weir."""
    clients = {side: make(**where) for side, where in SIDES.items()}
    for name, function in calls.items():
        row = {"name": name}
        for side in ("direct", "weir"):
            heads.clear()
            try:
                row[side] = function(clients[side])
            except Exception as error:  # what a client raises is a result
                row[side] = {"error": type(error).__name__, "status": getattr(error, "status_code", None),
                             "code": getattr(error, "code", None), "message": str(error)[:500]}
        row["heads"] = list(heads)
        print(json.dumps(row), flush=True)


def keep(heads):
    """An event hook of httpx that keeps the heads of the answers."""
    def hook(response):
        heads.append({"path": response.request.url.path, "status": response.status_code,
                      "request_id": response.headers.get("x-request-id"),
                      "used": response.headers.get("x-weir-used-cu-milli")})
    return hook

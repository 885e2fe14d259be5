"""The audit trail from outside: entries behind a mark, receivers of the sink, and how each operation that changes something is called once."""
import json
import pathlib
import socket
import threading
import uuid

from .plain import call
from .waiting import PATIENCE, until


def entries(operator, after=0, **filters):
    """Entries with a larger number than `after`, oldest first."""
    query = "".join(f"&{name}={value}" for name, value in filters.items())
    found, cursor = [], None
    while True:
        page = operator.get(f"/api/v1/audit-logs?limit=1000{query}" + (f"&cursor={cursor}" if cursor else "")).json()
        found += [entry for entry in page["data"] if entry["sequence"] > after]
        cursor = page["next_cursor"]
        if cursor is None or page["data"][-1]["sequence"] <= after:
            return found[::-1]


def newest(operator):
    found = operator.get("/api/v1/audit-logs?limit=1").json()["data"]
    return found[0]["sequence"] if found else 0


class TcpReceiver:
    """Takes RFC 5424 messages with octet counting (RFC 6587)."""

    def __init__(self, port=0):
        self.server = socket.create_server(("127.0.0.1", port))
        self.server.settimeout(0.1)
        self.port = self.server.getsockname()[1]
        self.messages = []
        self.stopped = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        peers, data = [], {}
        while not self.stopped:
            try:
                peer, _ = self.server.accept()
                peer.settimeout(0.05)
                peers.append(peer)
                data[peer] = b""
            except TimeoutError:
                pass
            for peer in list(peers):
                try:
                    more = peer.recv(1 << 20)
                except TimeoutError:
                    continue
                if not more:
                    peers.remove(peer)
                    continue
                data[peer] += more
                while b" " in data[peer]:
                    length, _, rest = data[peer].partition(b" ")
                    if len(rest) < int(length):
                        break
                    self.messages.append(rest[:int(length)])
                    data[peer] = rest[int(length):]
        for peer in peers:
            peer.close()
        self.server.close()

    def stop(self):
        self.stopped = True
        self.thread.join(10 * PATIENCE)

    def entries(self):
        return [json.loads(message.partition(b" - ")[2]) for message in self.messages]


class DatagramReceiver:
    """A socket of datagrams: udp, or the local one that syslog listens on."""

    def __init__(self, path=None, port=0):
        self.socket = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port) if path is None else str(path))
        self.socket.settimeout(0.1)
        self.port = self.socket.getsockname()[1] if path is None else None
        self.messages = []

    def entries(self):
        while True:
            try:
                self.messages.append(self.socket.recv(1 << 17))
            except TimeoutError:
                return [json.loads(message.partition(b" - ")[2]) for message in self.messages]

    def stop(self):
        self.socket.close()


class FileReceiver:
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def entries(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


# --- one good call of every operation that changes something ---

def key_of(operator, **more):
    return operator.post("/api/v1/keys", {"name": "audited", **more}).json()


def path_of(operator, path):
    """The path of something that is made first, by the names in `path`."""
    number = path_of.count = getattr(path_of, "count", 0) + 1
    made = f"audited-{number}"
    if "{workspace}" in path or path == "workspaces":
        operator.post("/api/v1/workspaces", {"id": made})
    for kind in ("team", "user"):
        if "{%s}" % kind in path:
            operator.post(f"/api/v1/workspaces/{made}/{kind}s", {"id": made})
    if "{plan}" in path:
        operator.post("/api/v1/plans", {"id": made, "name": "A plan"})
    if "{key}" in path:
        made = key_of(operator)["id"]
    return path.replace("{workspace}", made).replace("{team}", made).replace("{user}", made).replace("{plan}", made).replace("{key}", made)


def change(method, path, body=None, confirm=False):
    def prepare(operator):
        ready = path_of(operator, path)
        last = ready.split("/")[-1] if not ready.endswith("revoke") else ready.split("/")[-2]
        return lambda: operator.request(method, ready + (f"?confirm={last}" if confirm else ""), body)
    return prepare


def emergency(operator):
    made = key_of(operator)
    return lambda: operator.post("/api/v1/keys/emergency-revoke", {"key": made["key"]})


def member(operator):
    """Somebody who uses the plane, with a password and a token of his own."""
    number = path_of.count = getattr(path_of, "count", 0) + 1
    password = f"a long password {number}"
    made = operator.post("/api/v1/operators", {"name": f"audited-{number}", "role": "viewer", "password": password}).json()
    token = operator.post(f"/api/v1/operators/{made['id']}/tokens", {"name": "first"}).json()
    return {"id": made["id"], "password": password, "token": token["token"], "token_id": token["id"]}


def people(method, path, body=None, confirm=None, as_himself=False):
    """Of a member: {id}, {token_id} and {password} are his."""
    def prepare(operator):
        made = member(operator)
        ready = path.format(**made) + (f"?confirm={made[confirm]}" if confirm else "")
        wanted = {name: value.format(**made) for name, value in body.items()} if body is not None else None
        return lambda: operator.request(method, ready, wanted, token=made["token"] if as_himself else None)
    return prepare


def logged_in(operator):
    login = operator.post("/auth/login", {"api_key": member(operator)["token"]}).json()
    token = next(text for name, text in login.items() if "token" in name and isinstance(text, str) and len(text) > 30)
    return lambda: operator.post("/auth/logout", token=token)


def secret(method, name, body=None, confirm=False):
    def prepare(operator):
        if method != "PUT":
            operator.put(f"/api/v1/secrets/{name}", {"value": "a value that nobody sees"})
        return lambda: operator.request(method, f"/api/v1/secrets/{name}" + (f"?confirm={name}" if confirm else ""), body)
    return prepare


def content(operator):
    """Of a workspace that has contents captured."""
    operator.post("/api/v1/workspaces", {"id": "audited-contents", "capture": {"content": True}})
    made = key_of(operator, workspace="audited-contents")["key"]
    answer = operator.gateway.chat(headers={"authorization": f"Bearer {made}"})
    request_id = answer.headers["x-request-id"]
    path = f"/api/v1/requests/{request_id}/content"
    until(lambda: operator.get(path, status={200, 404}).status == 200, "the content")
    return lambda: operator.delete(f"{path}?confirm={request_id}")


def purchase(action, body=None):
    """Of a workspace whose key has asked for one."""
    def prepare(operator):
        path = path_of(operator, W)
        made = key_of(operator, workspace=path.split("/")[-1], rules={"capabilities": ["billing"]})["key"]
        bought = call(operator.gateway.address, "POST", "/v1/billing/purchases",
                      {"authorization": f"Bearer {made}", "idempotency-key": str(uuid.uuid4())}, {"cu": 1}).json()
        return lambda: operator.post(f"/api/v1/purchases/{bought['id']}/{action}", body)
    return prepare


def budget_of(operator, **more):
    number = path_of.count = getattr(path_of, "count", 0) + 1
    return operator.post("/api/v1/budgets", {"name": f"audited {number}", "scope": "global", "window": "month", "limit_cu_milli": 10**12, **more}).json()["id"]


def budget(method, path="", body=None, confirm=False):
    def prepare(operator):
        made = budget_of(operator)
        return lambda: operator.request(method, f"/api/v1/budgets/{made}{path}" + (f"?confirm={made}" if confirm else ""), body)
    return prepare


def raise_end(operator):
    path = f"/api/v1/budgets/{budget_of(operator)}/raises"
    made = operator.post(path, {"kind": "top_up", "amount_cu_milli": 5}).json()["id"]
    return lambda: operator.delete(f"{path}/{made}")


def budget_reset(operator):
    """Of a budget of which something is used."""
    made = budget_of(operator)
    operator.gateway.chat()
    until(lambda: operator.get(f"/api/v1/budgets/{made}").json()["used_cu_milli"] > 0, "the use of the budget")
    return lambda: operator.post(f"/api/v1/budgets/{made}/reset?confirm={made}")


def limit(method, body=None, confirm=False):
    def prepare(operator):
        made = operator.post("/api/v1/limits", {"scope": "global", "requests_per_day": 10**9}).json()["id"]
        return lambda: operator.request(method, f"/api/v1/limits/{made}" + (f"?confirm={made}" if confirm else ""), body)
    return prepare


MONTH = {"scope": "global", "window": "month", "limit_cu_milli": 10**12}
W, T, U = "/api/v1/workspaces/{workspace}", "/api/v1/workspaces/{workspace}/teams", "/api/v1/workspaces/{workspace}/users"
CHANGES = {
    "keys.create": change("POST", "/api/v1/keys", {"name": "one more"}),
    "keys.update": change("PATCH", "/api/v1/keys/{key}", {"name": "renamed"}),
    "keys.rotate": change("POST", "/api/v1/keys/{key}/rotate", {"overlap_seconds": 60}),
    "keys.revoke": change("POST", "/api/v1/keys/{key}/revoke", {}, confirm=True),
    "keys.emergency_revoke": emergency,
    "plans.create": change("POST", "/api/v1/plans", {"id": "audited-plan", "name": "A plan"}),
    "plans.update": change("PATCH", "/api/v1/plans/{plan}", {"name": "Another"}),
    "plans.delete": change("DELETE", "/api/v1/plans/{plan}", confirm=True),
    "workspaces.create": change("POST", "/api/v1/workspaces", {"id": "audited-workspace"}),
    "workspaces.update": change("PATCH", W, {"name": "Another"}),
    "workspaces.delete": change("DELETE", W, confirm=True),
    "teams.create": change("POST", T, {"id": "audited-team"}),
    "teams.update": change("PATCH", T + "/{team}", {"name": "Another"}),
    "teams.delete": change("DELETE", T + "/{team}", confirm=True),
    "users.create": change("POST", U, {"id": "audited-user"}),
    "users.update": change("PATCH", U + "/{user}", {"name": "Another"}),
    "users.delete": change("DELETE", U + "/{user}", confirm=True),
    "revisions.publish": change("POST", "/api/v1/revisions/publish"),
    "operators.create": change("POST", "/api/v1/operators", {"name": "audited-new", "role": "viewer"}),
    "operators.update": people("PATCH", "/api/v1/operators/{id}", {"email": "somebody@example.com"}),
    "operators.disable": people("POST", "/api/v1/operators/{id}/disable", confirm="id"),
    "operators.enable": people("POST", "/api/v1/operators/{id}/enable"),
    "operators.delete": people("DELETE", "/api/v1/operators/{id}", confirm="id"),
    "tokens.create": people("POST", "/api/v1/operators/{id}/tokens", {"name": "audited"}),
    "tokens.revoke": people("DELETE", "/api/v1/operators/{id}/tokens/{token_id}", confirm="token_id"),
    "auth.login": people("POST", "/auth/login", {"api_key": "{token}"}),
    "auth.logout": logged_in,
    "auth.password": people("POST", "/auth/password", {"current_password": "{password}", "new_password": "{password} and more"}, as_himself=True),
    "auth.tokens_create": people("POST", "/auth/tokens", {"name": "audited"}, as_himself=True),
    "auth.tokens_revoke": people("DELETE", "/auth/tokens/{token_id}", confirm="token_id", as_himself=True),
    "secrets.put": secret("PUT", "audited-secret", {"value": "a value that nobody sees"}),
    "secrets.delete": secret("DELETE", "audited-other", confirm=True),
    "requests.content_delete": content,
    "purchases.approve": purchase("approve"),
    "purchases.reject": purchase("reject", {"reason": "no money came"}),
    "accounts.adjust": change("POST", W + "/account/adjust", {"amount_cu_milli": 1, "reason": "audited"}),
    "backups.create": change("POST", "/api/v1/backups"),
    "budgets.create": change("POST", "/api/v1/budgets", MONTH),
    "budgets.update": budget("PATCH", body={"limit_cu_milli": 10**13}),
    "budgets.replace": budget("PUT", body=MONTH),
    "budgets.delete": budget("DELETE", confirm=True),
    "budgets.raise": budget("POST", "/raises", {"kind": "raise", "amount_cu_milli": 5, "duration": "1h"}),
    "budgets.raise_delete": raise_end,
    "budgets.reset": budget_reset,
    "limits.create": change("POST", "/api/v1/limits", {"scope": "global", "requests_per_day": 10**9}),
    "limits.update": limit("PATCH", {"requests_per_day": 10**8}),
    "limits.delete": limit("DELETE", confirm=True),
    "receipts.keys_rotate": change("POST", "/api/v1/receipts/keys/rotate"),
}

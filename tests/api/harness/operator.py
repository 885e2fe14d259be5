"""A client of the operator plane that believes nothing: every answer must be one that the OpenAPI document declares.

    def test_something(gateway):
        operator = Operator(gateway)
        made = operator.post("/api/v1/workspaces", {"id": "acme"}, status=201)     # an Answer; its body is .json()
        operator.get("/api/v1/workspaces/acme", role="viewer")                     # as somebody of that role
        refused = operator.post("/api/v1/workspaces", {"id": "b"}, role="viewer", status=403)
        assert refused.reason == "role_not_allowed"

Without `role` the request goes without a token: in dev, from loopback, that is the local owner. With `role` it carries a token of an operator of that role, made when it
is first needed. `token="…"` sends that token; `headers` adds fields; `body` may be bytes. `status` (a number or a set of them) is asserted; without it any 2xx must come.

`fixture operator` of conftest.py is an Operator of the module's gateway. Which operations were answered well is noted in `exercised`; after the whole stage an operation
that never was is a failure (tools/run_tests).
"""
import collections
import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import jsonschema

from .plain import Answer, call

METHODS = ("get", "post", "put", "patch", "delete")
exercised = set()  # ids of operations that were answered with a 2xx in this run of pytest
_documents = {}    # by program


@dataclass
class OperatorAnswer(Answer):
    operation: str | None = None  # its id; None where the path is none of the document's

    @property
    def reason(self):
        return self.json()["details"]["reason"]

    @property
    def field(self):
        return self.json()["details"].get("field")

    @property
    def version(self):
        return int(self.headers["etag"].strip('"'))


class Document:
    """The OpenAPI document as a judge of answers."""

    def __init__(self, document):
        self.document = document
        self.validators = {}
        self.paths = []
        for path, item in document["paths"].items():
            expression = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", path))
            self.paths.append((path.count("{"), re.compile(expression), item))
        self.paths.sort(key=lambda row: row[0])  # a literal path before one with names

    def operations(self):
        """{id: operation}, without the aliases; each with its method and path."""
        return {operation["operationId"]: {**operation, "method": method.upper(), "path": path}
                for path, item in self.document["paths"].items() for method, operation in item.items()
                if method in METHODS and "x-weir-alias-of" not in operation}

    def find(self, method, path):
        for _, expression, item in self.paths:
            if expression.fullmatch(path):
                return item.get("get" if method == "HEAD" else method.lower())
        return None

    def check(self, operation, method, answer):
        name = f"{operation['operationId']} answered {answer.status}"
        declared = operation["responses"].get(str(answer.status))
        assert declared is not None, f"{name}, which is not declared: {answer.body[:500]!r}"
        content = declared.get("content")
        if not content:
            assert answer.body == b"", f"{name} with a body, and none is declared"
            return
        kind = answer.headers.get("content-type", "").split(";")[0]
        assert kind in content, f"{name} as {kind!r}; declared are {sorted(content)}"
        if method != "HEAD" and kind == "application/json" and answer.complete:
            self.validate(name, content[kind]["schema"], answer.json())
        if answer.status >= 400 and method != "HEAD" and "x-weir-reasons" in declared:
            assert answer.reason in declared["x-weir-reasons"], f"{name} with the reason {answer.reason}, which is not declared"

    def validate(self, name, schema, value):
        key = json.dumps(schema, sort_keys=True)
        if key not in self.validators:
            whole = {**schema, "components": self.document["components"]}
            self.validators[key] = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
        problems = [f"{error.json_path}: {error.message}" for error in self.validators[key].iter_errors(value)]
        assert not problems, f"{name}, and its body is not as declared:\n" + "\n".join(problems[:10])


class Operator:
    def __init__(self, gateway):
        self.gateway = gateway
        self.tokens = {}

    @property
    def document(self):
        binary = self.gateway.binary
        if binary not in _documents:
            _documents[binary] = Document(call(self.gateway.operator, "GET", "/api/v1/openapi.json").json())
        return _documents[binary]

    @property
    def owner_token(self):
        """The token that the first start has left in its file."""
        return (self.gateway.data_folder / "owner-token").read_text().strip()

    def token(self, role):
        """A token of an operator of that role, whom the first owner makes."""
        if role not in self.tokens:
            count = self.gateway.__dict__.setdefault("operators_made", collections.Counter())  # of all clients of this gateway
            count[role] += 1
            name = f"test-{role}" if count[role] == 1 else f"test-{role}-{count[role]}"
            owner = self.owner_token
            made = self.post("/api/v1/operators", {"name": name, "role": role}, token=owner, status=201).json()
            token = self.post(f"/api/v1/operators/{made['id']}/tokens", {"name": "test"}, token=owner, status=201).json()
            self.tokens[role] = token["token"]
        return self.tokens[role]

    def request(self, method, path, body=None, role=None, token=None, headers=None, status=None, **more):
        headers = dict(headers or {})
        if token is None and role is not None:
            token = self.token(role)
        if token is not None:
            headers.setdefault("authorization", f"Bearer {token}")
        plain = call(self.gateway.operator, method, path, headers, body, **more)
        operation = self.document.find(method, urlsplit(path).path)
        answer = OperatorAnswer(plain.status, plain.headers, plain.body, plain.complete, plain.trailers)
        if operation is not None:
            answer.operation = operation.get("x-weir-alias-of", operation["operationId"])
            self.document.check(operation, method, answer)
            if 200 <= answer.status < 300:
                exercised.add(answer.operation)
        wanted = range(200, 300) if status is None else {status} if isinstance(status, int) else status
        assert answer.status in wanted, f"{method} {path} answered {answer.status}: {answer.body[:1000].decode(errors='replace')}"
        return answer

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def put(self, path, body=None, **more):
        return self.request("PUT", path, body, **more)

    def patch(self, path, body=None, **more):
        return self.request("PATCH", path, body, **more)

    def delete(self, path, body=None, **more):
        return self.request("DELETE", path, body, **more)

    def all(self, path, limit=100, **more):
        """Every element of a list, page by page."""
        found, cursor = [], None
        while True:
            mark = "&" if "?" in path else "?"
            page = self.get(f"{path}{mark}limit={limit}" + (f"&cursor={cursor}" if cursor else ""), **more).json()
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

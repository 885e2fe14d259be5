"""Secrets that were put in do not come out: one table of where a canary is planted, one of where it is looked for.

A canary is found when any twelve characters of its beginning or its end are: a mask shows four. To add an input is a line of PLANTED, to add
an output a line of LOOKED. What a client sent itself may come back to that client (`own`), and to nobody else; what is shown once by design (a new
key to who made it) is taken out of what that call returned."""
import base64
import contextlib
import json
import os
import pathlib
import re
import resource
import secrets
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from typing import Callable

import pytest

from harness.operator import Operator
from harness.plain import RawConnection, call, split_address
from harness.processes import Gateway, chat_body, clean_environment
from harness.upstream import Upstream, event
from harness.waiting import until

PIECE = 12


def fresh():
    return secrets.token_hex(20)


def random_part(key):
    return key.rsplit("_", 1)[-1]


# --- the world: a gateway with three providers whose credentials come by different ways, and a provider that repeats all that it is sent ---

def echo(call_):
    """Every way in which a provider can tell its credential back. What the prompt says is what it does."""
    call_.read()
    credential = call_.headers.get("authorization", "").removeprefix("Bearer ")
    text = call_.body.decode(errors="replace")
    problem = {"error": {"message": f"Incorrect API key provided: {credential}.", "type": "invalid_request_error", "param": credential,
                         "code": credential}}
    if "DO-STREAM" in text:
        call_.events(json.loads(event("some")[6:].decode()), problem)
    elif "DO-HTML" in text:
        call_.answer(f"<html>{credential}</html>".encode(), 502, {"content-type": "text/html"})
    elif "DO-REDIRECT" in text:
        call_.answer(b"", 307, {"location": f"http://elsewhere/?key={credential}"})
    elif "DO-GARBAGE" in text:
        call_.send(f"NOT HTTP {credential}\r\n\r\n".encode())
        call_.close()
    elif "DO-OTHER" in text:
        call_.answer(problem, int(re.search(r"DO-OTHER-(\d+)", text).group(1)), {"x-request-id": "req_1", "x-debug": credential,
                                                                                 "www-authenticate": f'Bearer error="{credential}"',
                                                                                 "retry-after": credential})
    else:
        call_.answer({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                      "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}]})


@dataclass
class World:
    binary: pathlib.Path
    folder: pathlib.Path
    upstream: Upstream = None
    gateway: Gateway = None
    operator: Operator = None
    answers: list = field(default_factory=list)  # (name of what was planted, everything that came back)
    commands: list = field(default_factory=list)  # what commands have said
    values: dict = field(default_factory=dict)
    planting: str = ""

    def setting(self, name):
        return self.values.setdefault(name, secrets.token_hex(32) if "sealing key" in name else fresh())

    def note(self, answer):
        self.answers.append((self.planting, f"{answer.status} {answer.headers} ".encode() + answer.body))
        return answer

    def data(self, method, path, headers=None, body=None, key=True):
        given = {**(self.gateway.authorization if key else {}), **(headers or {})}
        return self.note(call(self.gateway.address, method, path, given, body))

    def plane(self, method, path, body=None, headers=None, token=True):
        given = {**({"authorization": f"Bearer {self.operator.owner_token}"} if token else {}), **(headers or {})}
        return self.note(call(self.gateway.operator, method, path, given, body))

    def raw(self, data):
        with RawConnection(self.gateway.address) as raw:
            raw.send(data)
            self.note(raw.read_answer())

    def chat(self, text, model="literal", **more):
        return self.data("POST", "/v1/chat/completions", body=chat_body(text, model=model, **more))

    def command(self, *words, env=None, text=None):
        result = subprocess.run([str(self.binary), *map(str, words)], cwd=self.folder, capture_output=True, timeout=120, input=text,
                                env=clean_environment({**self.gateway.environment, **(env or {})}), check=False)
        self.commands.append((self.planting, result.stdout + result.stderr))
        return result

    def config(self, text, *words, env=None):
        """A settings file that is wrong, read by every command that reads one."""
        path = self.folder / "wrong.yaml"
        path.write_text(text)
        if self.command("config", "check", path, env=env).returncode != 0:  # else it would serve
            self.command("serve", "-c", path, env=env)
        self.command("key", "list", "-c", path, env=env)


def settings(world):
    provider = {"dialect": "openai", "base_url": world.upstream.base_url}
    key_file = world.folder / "credential"
    key_file.write_text(world.setting("provider: credential of a file") + "\n")
    key_file.chmod(0o600)
    return {
        "environment": "dev", "log_level": "debug", "data_dir": "./data", "server": {"listen": "127.0.0.1:0", "workers": 1},
        "operator": {"listen": "127.0.0.1:0"}, "secrets": {"sealing_key": "env:WEIR_SEALING_KEY"}, "backup": {"directory": str(world.folder / "data/backups")}, "audit": {"sink": f"file:{world.folder / 'sink.jsonl'}"},
        "providers": [{"name": "literal", "api_key": world.setting("provider: literal credential"), **provider},
                      {"name": "variable", "api_key": "env:CANARY_CREDENTIAL", **provider},
                      {"name": "replaced", "api_key": "${CANARY_REPLACED}", **provider},
                      {"name": "file", "api_key": f"file:{key_file}", **provider}],
        "models": [{"name": name, "targets": [{"provider": name, "model": "m"}]} for name in ("literal", "variable", "replaced", "file")]}


# --- where canaries are planted: each function puts the value there, or gives the value that it planted instead ---

@dataclass
class Plant:
    name: str
    put: Callable
    own: bool = False  # a client's own: it may come back to it


def through_the_echo(world, value):
    for name in ("literal", "variable", "replaced", "file"):
        for status in (400, 401, 403, 404, 422, 429, 500, 503):
            world.chat(f"DO-OTHER-{status}", model=name)
        for way in ("DO-STREAM", "DO-HTML", "DO-REDIRECT", "DO-GARBAGE", "all is well"):
            world.chat(way, model=name)
            world.chat(way, model=name, stream=True)


def new_key(world, value):
    made = world.operator.post("/api/v1/keys", {"name": "canary"}, token=world.operator.owner_token).json()
    world.gateway.wait_key(made["key"])
    for path in ("/v1/models", "/v1/nothing"):
        world.data("GET", path, {"authorization": f"Bearer {made['key']}"})
    world.data("POST", "/v1/chat/completions", {"authorization": f"Bearer {made['key']}"}, chat_body(model="literal"))
    return random_part(made["key"])


def new_key_in_vendors_fields(world, value):
    """The same key wherever a vendor's client has it, also where it does not count; none of it may reach a provider."""
    made = world.operator.post("/api/v1/keys", {"name": "canary"}, token=world.operator.owner_token).json()
    key = made["key"]
    world.gateway.wait_key(key)
    fields = {"x-api-key": key, "x-goog-api-key": key, "api-key": key, "anthropic-version": "2023-06-01"}
    contents = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    for path in (f"/v1/models?key={key}", f"/v1beta/models?key={key}", f"/v1beta/models?%6Bey={key}", f"/v1beta/nothing?key={key}", "/v1/anthropic/v1/models",
                 f"/v1/google/v1beta/files?key={key}"):
        world.data("GET", path, fields)
    for path in ("/v1/messages", "/v1/anthropic/v1/messages"):
        world.data("POST", path, fields, {**chat_body(model="literal"), "max_tokens": 9})
    for path in (f"/v1beta/models/literal:generateContent?key={key}", f"/v1/models/literal:streamGenerateContent?alt=sse&%6bey={key}",
                 f"/v1/google/upload/v1beta/files?key={key}"):
        world.data("POST", path, fields, contents)
    world.data("POST", "/v1/chat/completions", {"authorization": f"Bearer {key}", **fields}, chat_body(model="literal"))
    return random_part(key)


def leaked_key(world, value):
    """Somebody pastes a whole key into every place where an id belongs, and then revokes it by itself."""
    made = world.operator.post("/api/v1/keys", {"name": "leaked"}, token=world.operator.owner_token).json()
    key = made["key"]
    for method, path, body in (("GET", f"/api/v1/keys/{key}", None), ("PATCH", f"/api/v1/keys/{key}", {"name": "x"}),
                               ("POST", f"/api/v1/keys/{key}/revoke?confirm={key}", {}), ("POST", f"/api/v1/keys/{key}/rotate", {}),
                               ("DELETE", f"/api/v1/workspaces/{key}?confirm={key}", None), ("GET", f"/api/v1/nothing/{key}", None)):
        call(world.gateway.operator, method, path, {"authorization": f"Bearer {world.operator.owner_token}"}, body)
    answer = world.plane("POST", "/api/v1/keys/emergency-revoke", {"key": key})
    assert answer.status == 200, answer
    world.command("key", "revoke", "-c", world.gateway.config, key)
    return random_part(key)


def wrong_keys(world, value):
    body = value + "0" * (49 - len(value))
    for text in (f"weir_dev_{body}", f"weir_prod_{body}", f"weir_op_dev_{body}", f"sk-{value}", value):
        for name in ("authorization", "x-api-key", "api-key"):
            world.data("GET", "/v1/models", {name: f"Bearer {text}" if name == "authorization" else text}, key=False)
    for scheme in ("Basic", "Digest", "Token", ""):
        world.data("GET", "/v1/models", {"authorization": f"{scheme} {value}"}, key=False)
    world.data("GET", "/v1/models", {"authorization": "Basic " + base64.b64encode(f"user:{value}".encode()).decode()}, key=False)


def target_forms(world, value):
    host = world.gateway.address
    for target in (f"http://user:{value}@{host}/v1/models", f"/v1/models?key={value}&api_key={value}", f"/v1/nothing/sk-{value}?token={value}", f"/v1/x/weir_prod_{value}", f"/v1/password={value}/x",
                   f"//user:{value}@{host}/", f"/v1/files/sk-{value}/content", f"/sk-{value}\x01"):
        with contextlib.suppress(OSError, AssertionError, ValueError):
            world.raw(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {world.gateway.key}\r\n\r\n".encode())


def header_values(world, value):
    world.data("GET", "/v1/models", {"x-custom": value, "cookie": f"session={value}", "user-agent": f"agent/{value}", "referer": f"http://x/?key={value}",
                                     "forwarded": f"for={value}", "x-forwarded-for": value, "traceparent": value, "proxy-authorization": f"Bearer {value}"})
    world.data("POST", "/v1/chat/completions", {"x-custom": value, "cookie": f"session={value}", "idempotency-key": value, "openai-organization": value}, chat_body(model="literal"))
    world.data("POST", "/v1/chat/completions", {"content-type": f"application/sk-{value}"}, b"{}")
    with contextlib.suppress(OSError, AssertionError, ValueError):
        world.raw(f"GET /v1/models HTTP/1.1\r\nHost: {world.gateway.address}\r\nx-{value[:4]}\x02: {value}\r\n\r\n".encode())


def bodies(world, value):
    for way in ("all is well", "DO-OTHER-500", "DO-OTHER-401", "DO-STREAM", "DO-GARBAGE"):
        world.chat(f"{way} {value}", metadata={"secret": value}, user=value)
        world.chat(f"{way} {value}", stream=True)
    for body in (f'{{"model": "literal", "messages": "{value}"}}', f'{{"model": "{value[:3]}", "messages": [], "n": "{value}"}}', f'{{"api_key": "{value}", ',
                 f'{{"model": "literal", "messages": [], "{value}": 1, "{value}": 2}}', value):
        world.data("POST", "/v1/chat/completions", {"content-type": "application/json"}, body.encode())
    form = f'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{value}\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="{value}"\r\n\r\n{value}\r\n--b--\r\n'
    for path in ("/v1/files", "/v1/audio/transcriptions"):
        world.data("POST", path, {"content-type": "multipart/form-data; boundary=b"}, form.encode())
        world.data("POST", path, {"content-type": "multipart/form-data; boundary=b"}, form.encode()[:-30])
    world.data("POST", "/v1/nothing", body={"secret": value})


def aborted(world, value):
    with socket.create_connection(split_address(world.gateway.address)) as left:
        left.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.gateway.key}\r\nContent-Length: 9999\r\n\r\n{{\"x\":\"{value}".encode())


def operator_authorization(world, value):
    for text in (f"Bearer {value}", f"Bearer weir_op_dev_{value}{value[:9]}", f"Basic {value}", f"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{value}",
                 f"Bearer eyJhbGciOiJub25lIn0.{value}.", value):
        for method, path in (("GET", "/api/v1/audit-logs"), ("POST", "/api/v1/workspaces"), ("GET", "/metrics"), ("GET", f"/api/v1/keys?token={value}")):
            world.plane(method, path, {"id": "canary"} if method == "POST" else None, {"authorization": text}, token=False)


def operator_headers(world, value):
    for name in ("cookie", "x-csrf-token", "user-agent", "if-match", "x-api-key", "referer", "origin", "x-forwarded-for", "idempotency-key", "x-request-id"):
        text = {"cookie": f"weir_session={value}; csrf={value}", "if-match": f'"{value}"', "user-agent": f"curl Bearer {value}", "origin": f"http://{value}",
                "referer": f"http://x/?token={value}"}.get(name, value)
        for method, path, body in (("GET", "/api/v1/workspaces", None), ("POST", "/api/v1/workspaces", {"id": f"by-{name}"}), ("PATCH", "/api/v1/workspaces/nothing", {"name": "x"})):
            world.plane(method, path, body, {name: text})


def operator_bodies(world, value):
    """Where a caller puts a secret in the wrong place of a body, it is told which place."""
    for path, body in (("/api/v1/workspaces", {"id": "x", "api_key": value}), ("/api/v1/keys", {"name": "x", "token": {"a": value}}),
                       ("/api/v1/keys", {"name": ["x"], "password": value}), ("/api/v1/keys/emergency-revoke", {"key": f"weir_dev_{value}"}),
                       ("/api/v1/keys/emergency-revoke", {"prefix": f"weir_dev_{value}"}), ("/auth/tokens", {"name": "x", "token": value}),
                       ("/api/v1/workspaces", value)):
        world.plane("POST", path, body)
    world.plane("POST", "/api/v1/workspaces", f'{{"id": "x", "token": "{value}'.encode(), {"content-type": "application/json"})


def passwords(world, value):
    owner = world.operator.owner_token
    made = call(world.gateway.operator, "POST", "/api/v1/operators", {"authorization": f"Bearer {owner}"}, {"name": "canary", "role": "viewer", "password": value})
    assert made.status == 201, made
    world.note(made)
    for body in ({"username": "canary", "password": value}, {"username": "canary", "password": value, "cookie": True}, {"username": "nobody", "password": value},
                 {"username": "canary", "password": value + "x"}, {"password": value}, {"username": ["x"], "password": value}, {"username": "x", "password": {"a": value}},
                 {"api_key": value}, {"api_key": f"weir_op_dev_{value}"}):
        answer = call(world.gateway.operator, "POST", "/auth/login", None, body)
        assert value.encode() not in answer.body
    call(world.gateway.operator, "PATCH", f"/api/v1/operators/{made.json()['id']}", {"authorization": f"Bearer {owner}"}, {"password": value + "2"})


def login_tokens(world, value):
    """What a login gives is used and misused; its signature is the secret of it."""
    answer = call(world.gateway.operator, "POST", "/auth/login", None, {"api_key": world.operator.owner_token})
    token = next(text for name, text in answer.json().items() if "token" in name and isinstance(text, str) and len(text) > 30)
    for path in ("/auth/me", "/api/v1/workspaces", "/api/v1/nothing"):
        world.plane("GET", path, None, {"authorization": f"Bearer {token}"}, token=False)
        world.plane("GET", path, None, {"authorization": f"Bearer {token}x"}, token=False)
    return token.rsplit(".", 1)[-1]


def session_cookie(world, value):
    answer = call(world.gateway.operator, "POST", "/auth/login", None, {"api_key": world.operator.owner_token, "cookie": True})
    cookie = answer.headers["set-cookie"].split(";")[0]
    for method, path in (("GET", "/auth/me"), ("POST", "/api/v1/workspaces")):
        world.plane(method, path, {"id": "by-session"} if method == "POST" else None, {"cookie": cookie}, token=False)
    return cookie.partition("=")[2]


def operator_tokens(world, value):
    made = world.operator.post("/auth/tokens", {"name": "canary"}, token=world.operator.owner_token).json()
    token = made["token"]
    for path in ("/auth/me", "/api/v1/workspaces", f"/api/v1/keys/{token}"):
        world.plane("GET", path, None, {"authorization": f"Bearer {token}"}, token=False) if token not in path else call(
            world.gateway.operator, "GET", path, {"authorization": f"Bearer {token}"})
    world.plane("POST", "/api/v1/workspaces", {"id": "by-token"}, {"authorization": f"Bearer {token}"}, token=False)
    return random_part(token)


def sealed_secrets(world, value):
    name = "canary-secret"
    body = {"value": value, "description": "a secret"}
    answer = call(world.gateway.operator, "PUT", f"/api/v1/secrets/{name}", {"authorization": f"Bearer {world.operator.owner_token}"}, body)
    assert answer.status == 201, answer
    world.note(answer)
    world.plane("PUT", f"/api/v1/secrets/{name}", {"value": {"a": value}})
    world.plane("PUT", f"/api/v1/secrets/{name}", {"valeu": value})


def broken_files(world, value):
    provider = f'providers:\n  - name: p\n    dialect: openai\n    base_url: http://x\n    api_key: {value}\n'
    for text in (provider + "   bad: [\n", provider + "    api_key: again\n", provider.replace("api_key", "api_kye"), provider.replace(value, f"[{value}]"),
                 provider.replace(value, f"{{a: {value}}}"), provider.replace(value, f'"{value}'), provider.replace(value, f"env:{value}!"), provider.replace(value, f"file:/nowhere/{value}!"),
                 f"api_key: {value}\n", f"{value}\n", f"brand: x!\nsecrets: {{sealing_key: {value}}}\n" + provider, provider.replace("http://x", f"http://user:{value}@x"),
                 provider.replace("http://x", f"http://x?key={value}"), provider.replace(value, f"{value}\\x01"),
                 f"operator: {{password: {value}}}\n", f"audit: {{sink: 'tcp://u:{value}@h:1'}}\n", f"secrets: {{sealing_key: 'literal {value}'}}\n"):
        if f"file:/nowhere/{value}" in text:
            continue  # a path is no secret
        world.config(text)


def broken_reload(world, value):
    good = world.gateway.config.read_text()
    events = lambda: sum(line.get("event") == "reload_refused" for line in world.gateway.log_lines())
    for text in (good[:-5] + f', "api_key": "{value}"', good.replace('"providers": [', f'"api_key": "{value}", "providers": [{{"api_kye": "{value}"}},')):
        before = events()
        world.gateway.config.write_text(text)
        world.gateway.signal(signal.SIGHUP)
        until(lambda: events() > before, "the reload to be refused")  # pylint: disable=cell-var-from-loop
    world.gateway.config.write_text(good)


def environment(world, value):
    world.config("environment: dev\n", env={"OPENAI_API_KEY": f"{value}\x01", "WEIR_BRAND": "x y", "DATABASE_PASSWORD": value})
    world.command("config", "explain", env={"OPENAI_API_KEY": value, "WEIR_SEALING_KEY": value})


def explained(world, value):
    world.command("config", "explain", "providers")
    world.command("config", "explain", "--json")
    world.command("config", "check", world.gateway.config)
    return world.values["provider: literal credential"]


def captured(world, text, **more):
    """Says it in a request of a workspace whose contents are captured; gives what was kept."""
    owner = {"token": world.operator.owner_token}
    if "captured" not in {row["id"] for row in world.operator.all("/api/v1/workspaces", **owner)}:
        world.operator.post("/api/v1/workspaces", {"id": "captured", "capture": {"content": True}}, **owner)
    key = world.operator.post("/api/v1/keys", {"name": "captured", "workspace": "captured"}, **owner).json()["key"]
    request_id = world.data("POST", "/v1/chat/completions", {"authorization": f"Bearer {key}"}, chat_body(text, model="literal", **more)).headers["x-request-id"]
    path = f"/api/v1/requests/{request_id}/content"
    return until(lambda: (got := world.operator.get(path, status={200, 404}, **owner)).status == 200 and got, "the content").body


def captured_prompt(world, value):
    assert value.encode() in captured(world, f"all is well {value}") and value.encode() in captured(world, f"DO-STREAM {value}", stream=True)


def captured_key(world, value):
    for text in (f"all is well with sk-{value}", f"DO-STREAM Authorization: Bearer {value}", f"DO-OTHER-400 https://me:{value}@example.org"):
        assert b"[redacted:secret]" in captured(world, text, metadata={"api_key": value})


def receipt_key(world, value):
    """Without a sealing key the private key of receipts is a file: it is made so, and then used in every way."""
    unsealed = world.folder / "unsealed.yaml"
    unsealed.write_text(json.dumps({**world.gateway.settings, "secrets": {"sealing_key": "file:not-there"}}))
    world.command("receipts", "keys", "-c", unsealed)
    key = next((world.folder / "data").glob("receipt-key-*")).read_text().strip()
    request_id = world.chat("all is well", model="literal").headers["x-request-id"]
    for path in (f"/v1/receipts/{request_id}", "/v1/receipts/keys"):
        until(lambda asked=path: world.data("GET", asked).status == 200, "the receipt")
    for path in ("/api/v1/receipts", f"/api/v1/receipts/{request_id}", "/api/v1/receipts/keys", "/api/v1/receipts/export"):
        assert world.plane("GET", path).status == 200
    for words in (("keys",), ("export",), ("show", request_id), ("verify", "--store")):
        assert world.command("receipts", *words, "-c", world.gateway.config).returncode == 0
    return key


PLANTED = [
    Plant("provider: literal credential", through_the_echo),
    Plant("provider: credential of a variable", lambda world, value: None),
    Plant("provider: credential that replaces ${…}", lambda world, value: None),
    Plant("provider: credential of a file", lambda world, value: None),
    Plant("environment: a variable that is none of weir's", lambda world, value: None),
    Plant("environment: the sealing key", lambda world, value: None),
    Plant("client: a good key", new_key),
    Plant("client: a good key in the vendors' fields", new_key_in_vendors_fields),
    Plant("client: wrong keys and other schemes", wrong_keys, own=True),
    Plant("client: the target of a request", target_forms, own=True),
    Plant("client: header values", header_values, own=True),
    Plant("client: bodies, good and broken", bodies, own=True),
    Plant("client: a body that is cut off", aborted, own=True),
    Plant("operator: Authorization that is wrong", operator_authorization, own=True),
    Plant("operator: header values", operator_headers, own=True),
    Plant("operator: secrets in the wrong place of a body", operator_bodies, own=True),
    Plant("operator: passwords", passwords),
    Plant("operator: what a login gives", login_tokens),
    Plant("operator: the cookie of a session", session_cookie),
    Plant("operator: a token", operator_tokens),
    Plant("operator: a leaked key in every place", leaked_key, own=True),
    Plant("operator: a sealed secret", sealed_secrets),
    Plant("settings: broken files", broken_files),
    Plant("settings: a broken reload", broken_reload),
    Plant("settings: the environment", environment),
    Plant("settings: explained", explained),
    Plant("store: the private key of receipts", receipt_key),
    Plant("client: a captured prompt", captured_prompt, own=True),
    Plant("client: a key in a captured prompt", captured_key, own=True),
]
CREDENTIALS = [row.name for row in PLANTED if row.name.startswith("provider: ")]


# --- where they are looked for: each function gives (name, bytes) ---

def answers(world):
    """To clients and to operators, apart from what they sent themselves."""
    own = {row.name for row in PLANTED if row.own}
    for name, data in world.answers:
        yield f"an answer to: {name}", data, {name} if name in own else set()


def commands(world):
    for name, data in world.commands:
        yield f"what a command said: {name}", data, set()


def operations(world):
    """Every operation that reads, with each thing that its list names."""
    def get(path):
        return call(world.gateway.operator, "GET", path, {"authorization": f"Bearer {world.operator.owner_token}"})

    document = get("/api/v1/openapi.json").json()
    for path in document["paths"]:
        if "get" not in document["paths"][path]:
            continue
        places = [path]
        while any("{" in place for place in places):
            filled = []
            for place in places:
                before, _, rest = place.partition("{")
                if not rest:
                    filled.append(place)
                    continue
                listed = get(before.rstrip("/") + "?limit=100")
                rows = listed.json().get("data", []) if listed.status == 200 and listed.body.startswith(b"{") else []
                # What is in a list's row may be a path's value: its id, name or number.
                ids = [row.get("id") or row.get("name") or row.get("number") for row in rows if isinstance(row, dict)]
                filled += [f"{before}{one}{rest.partition('}')[2]}" for one in ids if one is not None]
            places = filled
        for place in places:
            answer = get(place)
            # A captured prompt is what this operation is there to show.
            yield f"GET {place}", f"{answer.headers}".encode() + answer.body, {"client: a captured prompt"} if path.endswith("/content") else set()
    for form in ("csv", "json", "jsonl"):
        yield f"the trail as {form}", get(f"/api/v1/audit-logs/export?format={form}").body, set()


def data_plane(world):
    for path in ("/metrics", "/health", "/v1/models", "/readyz"):
        answer = call(world.gateway.address, "GET", path, world.gateway.authorization)
        yield f"GET {path} of the data plane", f"{answer.headers}".encode() + answer.body, set()


def log(world):
    yield "the log", world.gateway.stderr().encode(), set()
    yield "standard output", world.gateway.stdout().encode(), set()


def trail(world):
    for words in (("audit", "list", "--limit", "10000"), ("audit", "export"), ("audit", "export", "--format", "csv"), ("ledger", "export"), ("key", "list")):
        result = world.command(*words, "-c", world.gateway.config)
        yield "weir " + " ".join(words), result.stdout + result.stderr, set()


def data_folder(world):
    """The database, its log, the journal, backups: everything but the files that are there to hold a token and a key."""
    for path in sorted((world.folder / "data").rglob("*")):
        if path.is_file() and path.name != "owner-token" and not path.name.startswith("receipt-key-"):
            yield f"the file {path.relative_to(world.folder)}", path.read_bytes(), set()


def sink(world):
    yield "the audit sink", (world.folder / "sink.jsonl").read_bytes(), set()


LOOKED = [log, answers, commands, operations, data_plane, trail, sink, data_folder]


def pieces(value):
    return {value[:PIECE].encode(), value[-PIECE:].encode()} if len(value) >= PIECE else {value.encode()}


@pytest.fixture(scope="module")
def world(weir_binary, module_folder):
    made = World(weir_binary, module_folder / "weir")
    (made.folder / "data/backups").mkdir(parents=True)
    made.upstream = Upstream(echo)
    variables = {"CANARY_CREDENTIAL": made.setting("provider: credential of a variable"), "CANARY_REPLACED": made.setting("provider: credential that replaces ${…}"),
                 "CANARY_UNRELATED": made.setting("environment: a variable that is none of weir's"), "WEIR_SEALING_KEY": made.setting("environment: the sealing key")}
    made.gateway = Gateway(weir_binary, made.folder, settings(made), variables)
    made.gateway.start()
    made.operator = Operator(made.gateway)
    yield made
    made.gateway.close()
    made.upstream.stop()


@pytest.fixture(scope="module")
def planted(world):
    for row in PLANTED:
        world.planting = row.name
        value = world.setting(row.name)
        world.values[row.name] = row.put(world, value) or value
    world.planting = ""
    world.plane("POST", "/api/v1/backups")
    until(lambda: any(path.stat().st_size for path in (world.folder / "data/backups").glob("*")), "a backup")
    return world


def leaks_in(world, rows):
    found = set()
    for place, data, allowed in rows:
        for name, value in world.values.items():
            if name not in allowed and any(piece in data for piece in pieces(value)):
                at = min(data.find(piece) for piece in pieces(value) if piece in data)
                around = data[max(0, at - 60):at + 60]
                found.add(f"{name}\n    in {place}: …{around!r}…")
    return sorted(found)


@pytest.mark.parametrize("look", LOOKED, ids=lambda look: look.__name__)
def test_no_canary_comes_out(planted, look):
    found = leaks_in(planted, look(planted))
    assert not found, f"{len(found)} leaks:\n" + "\n".join(found[:40])


def test_the_canaries_were_really_there(planted):
    """What is not found because it was never sent shows nothing."""
    used = {one.headers.get("authorization", "").removeprefix("Bearer ") for one in planted.upstream.calls}
    assert {planted.values[name] for name in CREDENTIALS} <= used, "every credential has gone to the provider"
    texts = b"".join(one.body for one in planted.upstream.calls)
    assert planted.values["client: bodies, good and broken"].encode() in texts
    assert len(planted.answers) > 100 and len(planted.commands) > 20
    assert not leaks_in(planted, [("nothing", b"nothing", set())])
    assert leaks_in(planted, [("a place", planted.values["client: header values"].encode()[:PIECE], set())]), "a leak would be found"


def secret_pages(pid):
    """(pages that stay out of core dumps, all pages) by the flags of /proc/PID/smaps."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    return text.count(" dd "), text.count("VmFlags:")


def test_a_crash_shows_no_credential(planted, weir_binary, tmp_path):
    """Standard error of a process that aborts, the pages that a core dump leaves out, and the core itself where the system writes one."""
    gateway = Gateway(weir_binary, tmp_path / "crash", settings(planted), {**planted.gateway.environment, "WEIR_CORE_DUMPS": "0"})
    gateway.start()
    for name in ("literal", "variable", "replaced", "file"):
        gateway.chat(model=name)
    left_out, _ = secret_pages(gateway.pid)
    assert left_out >= len(CREDENTIALS), "each credential has pages of its own that stay out of core dumps"
    resource.prlimit(gateway.pid, resource.RLIMIT_CORE, (resource.prlimit(gateway.pid, resource.RLIMIT_CORE)[1],) * 2)
    gateway.signal(signal.SIGABRT)
    gateway.process.wait(60)
    found = leaks_in(planted, [("standard error of a crash", gateway.stderr().encode(), set()), ("standard output of a crash", gateway.stdout().encode(), set())])
    cores = [path for path in gateway.folder.glob("core*") if path.is_file()]
    for core in cores:
        found += leaks_in(planted, [("the core dump", core.read_bytes(), set())])
        os.unlink(core)
    gateway.process = None
    assert not found, "\n".join(found)

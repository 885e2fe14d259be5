"""Captured contents: for which workspaces, what of a request and its answer is kept, what is taken out, for how long, and who may read it."""
import json
import re
import sqlite3
import subprocess
import time

import pytest

from harness.audit import entries, newest
from harness.operator import Operator
from harness.plain import call
from harness.processes import chat_body
from harness.upstream import event
from harness.waiting import until

KIB64 = 64 * 1024
MAIL, CARD = "ada.lovelace@example.org", "4111 1111 1111 1111"
PROVIDER_KEY = "sk-proj-4c1f9a77e0b2d4c1f9a77e0b2d4c1f9"
SOUND = b"\xff\xfb\x90" * 100
NAMES = ["email", "card", "phone", "ipv4", "ipv6", "iban"]
ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


def answer_of(text):
    return {**ANSWER, "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]}


def play(call_):
    """Says again what the prompt says behind "say:", in one answer or letter by letter."""
    call_.read()
    if call_.path.endswith("/audio/speech"):
        call_.answer(SOUND, headers={"content-type": "audio/mpeg"})
        return
    if call_.path.endswith("/audio/transcriptions"):
        call_.answer({"text": f"the voice says {MAIL}"})
        return
    body = json.loads(call_.body)
    text = body["messages"][0]["content"].partition("say:")[2]
    if body.get("stream"):
        pieces = re.findall(r"(?s)..?", text)
        call_.events(*[event(piece) for piece in pieces], event(finish="stop", usage=ANSWER["usage"]), b"data: [DONE]\n\n")
    elif text == "failure":
        call_.answer({"error": {"message": f"nobody knows {MAIL}", "type": "invalid_request_error"}}, 400)
    else:
        call_.answer(answer_of(text))


def make_key(weir_binary, path):
    subprocess.run([weir_binary, "secrets", "generate", path], capture_output=True, timeout=30, check=True)
    return f"file:{path}"


class Capturing:
    """A gateway with a sealing key, in front of a provider that repeats."""

    def __init__(self, gateway):
        self.gateway, self.operator, self.count = gateway, Operator(gateway), 0

    def workspace(self, **capture):
        """The key of a new workspace."""
        self.count += 1
        name = f"kept-{self.count}"
        more = {"capture": capture} if capture else {}
        self.operator.post("/api/v1/workspaces", {"id": name, **more}, status=201)
        return self.operator.post("/api/v1/keys", {"name": "k", "workspace": name}, status=201).json()["key"]

    def send(self, key, text="Hello", method="POST", path="/v1/chat/completions", body=None, headers=None, **more):
        body = chat_body(text, model="repeat/m", **more) if body is None else body
        return call(self.gateway.address, method, path, {"authorization": f"Bearer {key}", **(headers or {})}, body)

    def content(self, answer):
        """What was captured of an answered request, once it is written."""
        path = f"/api/v1/requests/{answer.headers['x-request-id']}/content"
        return until(lambda: (got := self.operator.get(path, status={200, 404})).status == 200 and got, "the content", step=0.02).json()

    def rows(self):
        with sqlite3.connect(self.gateway.folder / "data/weir.db") as database:
            return database.execute("SELECT request_id, workspace, expires_utc_us - created_utc_us, blob FROM content ORDER BY number").fetchall()


@pytest.fixture
def make_capturing(make_gateway, make_upstream, weir_binary, tmp_path):
    def make(sealed=True, start=True, **more):
        upstream = make_upstream(play)
        provider = {"name": "repeat", "dialect": "openai", "base_url": upstream.base_url, "api_key": "none"}
        secrets = {"secrets": {"sealing_key": make_key(weir_binary, tmp_path / "first.key")}} if sealed else {}
        gateway = make_gateway(upstream, start=start, providers=[provider], models=[], **secrets, **more)
        return Capturing(gateway) if start else gateway

    return make


@pytest.fixture
def capturing(make_capturing):
    return make_capturing()


# --- what is kept ---

@pytest.mark.smoke
def test_a_request_and_its_answer_are_kept_as_they_were(capturing):
    key = capturing.workspace(content=True)
    body = json.dumps(chat_body("Grüße, say:Ärger \"quoted\"", model="repeat/m"), ensure_ascii=False).encode()
    answer = capturing.send(key, body=body, headers={"content-type": "application/json; charset=utf-8"})
    assert answer.status == 200
    told = capturing.content(answer)
    assert told["id"] == answer.headers["x-request-id"] and told["workspace"] == "kept-1"
    asked, answered = told["content"]["request"], told["content"]["response"]
    assert asked == {"content_type": "application/json; charset=utf-8", "bytes": len(body), "cut": False, "text": body.decode()}
    assert answered == {"content_type": "application/json", "bytes": len(answer.body), "cut": False, "text": answer.body.decode()}
    assert capturing.rows()[0][2] == 7 * 24 * 3600 * 1000000
    assert all(blob.startswith(b"WS1") for *_, blob in capturing.rows())


def test_a_stream_is_kept_as_it_was_sent(capturing):
    key = capturing.workspace(content=True)
    answer = capturing.send(key, "say:one two three", stream=True)
    kept = capturing.content(answer)["content"]["response"]
    assert kept["content_type"] == "text/event-stream"
    assert kept["text"] == answer.body.decode() and kept["text"].endswith("data: [DONE]\n\n")


def test_other_workspaces_are_left_alone(capturing):
    kept, never, names_only = capturing.workspace(content=True), capturing.workspace(), capturing.workspace(content=False, redact=["email"])
    others = [capturing.send(key, stream=stream) for key in (never, names_only) for stream in (False, True)]
    capturing.content(capturing.send(kept))  # who comes behind them is written
    assert [row[1] for row in capturing.rows()] == ["kept-1"]
    for answer in others:
        assert capturing.operator.get(f"/api/v1/requests/{answer.headers['x-request-id']}/content", status=404).reason == "not_there"


def test_it_is_turned_on_and_off_while_requests_run(capturing):
    key = capturing.workspace()
    path = "/api/v1/workspaces/kept-1"
    capturing.send(key)
    capturing.operator.patch(path, {"capture": {"content": True}})
    capturing.content(capturing.send(key))
    capturing.operator.patch(path, {"capture": {"content": False}})
    capturing.send(key)
    other = capturing.workspace(content=True)
    capturing.content(capturing.send(other))
    assert [row[1] for row in capturing.rows()] == ["kept-1", "kept-2"]


def test_long_ones_are_cut_between_characters(capturing):
    key = capturing.workspace(content=True)
    text = "say:x" + "ä€" * 30_000
    body = json.dumps(chat_body(text, model="repeat/m"), ensure_ascii=False).encode()
    for stream in (False, True):
        sent = body if not stream else body[:-1] + b',"stream":true}'
        answer = capturing.send(key, body=sent)
        for side, whole in (("request", sent), ("response", answer.body)):
            kept = capturing.content(answer)["content"][side]
            assert kept["cut"] and kept["bytes"] == len(whole)
            begin = kept["text"].encode()
            assert whole.startswith(begin) and KIB64 - 3 <= len(begin) <= KIB64
            assert "\N{REPLACEMENT CHARACTER}" not in kept["text"]


def test_a_secret_across_the_cut_is_found(capturing):
    key = capturing.workspace(content=True, redact=["email"])
    head = '{"model":"repeat/m","messages":[{"role":"user","content":"'
    for planted in (PROVIDER_KEY, MAIL):
        for shown in (3, 8, 12):
            padding = "x" * (KIB64 - len(head) - shown - 1) + " "
            answer = capturing.send(key, body=f'{head}{padding}{planted} and more"}}]}}'.encode())
            text = capturing.content(answer)["content"]["request"]["text"]
            assert text.endswith(("[redacted:secret]", "[redacted:email]")), text[-40:]
            assert planted[:3] not in text


def test_of_forms_the_fields_are_kept_and_of_sound_its_length(capturing):
    key = capturing.workspace(content=True, redact=["email"])
    boundary = "b0undary"
    parts = [("model", "repeat/whisper-1", None), ("prompt", f"names like {MAIL}", None), ("file", "RIFFsound-of-a-voice", "a.wav")]
    body = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"' + (f'; filename="{file}"' if file else "") + f"\r\n\r\n{value}\r\n"
                   for name, value, file in parts) + f"--{boundary}--\r\n"
    answer = capturing.send(key, path="/v1/audio/transcriptions", body=body.encode(), headers={"content-type": f"multipart/form-data; boundary={boundary}"})
    kept = capturing.content(answer)["content"]
    asked = kept["request"]
    assert "the voice says [redacted:email]" in kept["response"]["text"]
    assert asked["text"] == "model=repeat/whisper-1\nprompt=names like [redacted:email]\n"
    assert asked["bytes"] == len(body) and not asked["cut"] and "a-voice" not in json.dumps(asked)
    answer = capturing.send(key, path="/v1/audio/speech", body={"model": "repeat/tts-1", "input": "say it", "voice": "alloy"})
    assert answer.body == SOUND
    kept = capturing.content(answer)["content"]
    assert kept["response"] == {"content_type": "audio/mpeg", "bytes": len(SOUND), "cut": True, "text": None}
    assert "say it" in kept["request"]["text"]


def test_refusals_and_failures_are_kept_too(capturing):
    key = capturing.workspace(content=True, redact=["email"])
    broken = capturing.send(key, body=f'{{"model": "m", "messages": [{{"content": "{MAIL}'.encode())
    assert broken.status == 400
    kept = capturing.content(broken)["content"]
    assert kept["request"]["text"].endswith('"content": "[redacted:email]')
    assert json.loads(kept["response"]["text"]) == broken.json()
    failed = capturing.send(key, "say:failure")
    assert failed.status == 400 and MAIL.encode() in failed.body, "the client gets what the provider says"
    assert "nobody knows [redacted:email]" in capturing.content(failed)["content"]["response"]["text"]
    listed = capturing.send(key, method="GET", path="/v1/models", body=b"")
    assert capturing.content(listed)["content"]["request"] == {"content_type": "", "bytes": 0, "cut": False, "text": ""}


# --- what is taken out ---

SECRETS = [PROVIDER_KEY, "AKIAIOSFODNN7EXAMPLE", "AIzaSyA1234567890abcdefghijklmnopqrstuv", "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
           "xoxb-123456789012-abcdefghijkl", "Bearer abcdefgh.12345678-Zz", "https://ada:hunter2hunter2@example.org/",
           "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"]
WANTED = {"email": MAIL, "card": CARD, "phone": "+49 30 1234567", "ipv4": "203.0.113.77", "ipv6": "2001:db8::8a2e:370:7334", "iban": "DE89 3704 0044 0532 0130 00"}


@pytest.mark.parametrize("stream", [False, True])
def test_secrets_are_always_taken_out(capturing, stream):
    key = capturing.workspace(content=True)
    for secret in [*SECRETS, key, capturing.operator.owner_token]:
        kept = capturing.content(capturing.send(key, f"before say:here {secret} it is", stream=stream))["content"]
        part = max(re.split(r"[\n /@:]|Bearer ", secret), key=len)
        for side in ("request", "response"):
            assert "[redacted:secret]" in kept[side]["text"], (side, secret)
            assert part not in kept[side]["text"], (side, secret)
        assert "before say:here" in kept["request"]["text"]
    assert MAIL in capturing.content(capturing.send(key, f"say:{MAIL}"))["content"]["response"]["text"], "what nobody asked for stays"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_is_taken_out(capturing, name, stream):
    key = capturing.workspace(content=True, redact=[name])
    answer = capturing.send(key, f"say:all of it: {'; '.join(WANTED.values())}.", stream=stream)
    kept = capturing.content(answer)["content"]
    assert kept["request"]["text"].count("[redacted:") == 1 and f"[redacted:{name}]" in kept["request"]["text"]
    assert WANTED[name] not in kept["request"]["text"]
    assert all(value in kept["request"]["text"] for other, value in WANTED.items() if other != name)
    assert kept["response"]["text"].count("[redacted:") == 1 and f"[redacted:{name}]" in kept["response"]["text"]
    if stream:  # what is left of the text that came in pieces
        pieces = [json.loads(line[6:]) for line in kept["response"]["text"].splitlines() if line.startswith("data: {")]
        said = "".join(choice.get("delta", {}).get("content", "") for piece in pieces for choice in piece.get("choices", []))
        assert said == f"all of it: {'; '.join(value if other != name else f'[redacted:{name}]' for other, value in WANTED.items())}."


def test_names_that_nobody_knows_are_refused(capturing):
    for redact in (["e-mail"], ["email", "Email"], [""]):
        refused = capturing.operator.post("/api/v1/workspaces", {"id": "x", "capture": {"content": True, "redact": redact}}, status=400)
        assert refused.field.startswith("capture.redact")
    capturing.workspace()
    assert capturing.operator.patch("/api/v1/workspaces/kept-1", {"capture": {"redact": ["names"]}}, status=400).field.startswith("capture.redact")
    shown = capturing.operator.patch("/api/v1/workspaces/kept-1", {"capture": {"redact": NAMES}}).json()
    assert shown["capture"] == {"content": False, "redact": NAMES}


def test_nothing_stands_in_clear_in_the_store(capturing):
    key = capturing.workspace(content=True)
    prompt = "the crow flies at midnight"
    capturing.content(capturing.send(key, f"say:{prompt}"))
    capturing.content(capturing.send(key, f"say:{prompt}", stream=True))
    capturing.operator.post("/api/v1/plans", {"id": "one-more", "name": "x"}, status=201)
    capturing.gateway.stop()
    for path in (capturing.gateway.folder / "data").rglob("*"):
        assert not path.is_file() or prompt.encode() not in path.read_bytes(), path
    assert prompt not in capturing.gateway.stderr()


# --- who may, and what is told of it ---

def test_every_read_is_in_the_audit_trail(capturing):
    key = capturing.workspace(content=True)
    answer = capturing.send(key, "say:one")
    request_id = answer.headers["x-request-id"]
    path = f"/api/v1/requests/{request_id}/content"
    capturing.content(answer)
    mark = newest(capturing.operator)
    for role in ("owner", "admin", "auditor"):
        assert "say:one" in capturing.operator.get(path, role=role).json()["content"]["request"]["text"]
    for role in ("operator", "viewer"):
        assert capturing.operator.get(path, role=role, status=403).reason == "role_not_allowed"
    told = [entry for entry in entries(capturing.operator, after=mark) if entry["action"] == "requests.content" and entry["result"] == "success"]
    assert [(entry["resource_id"], entry["actor_name"]) for entry in told] == [(request_id, f"test-{role}") for role in ("owner", "admin", "auditor")]
    assert "say:one" not in json.dumps(entries(capturing.operator))


def test_a_content_can_be_deleted(capturing):
    key = capturing.workspace(content=True)
    answer = capturing.send(key)
    request_id = answer.headers["x-request-id"]
    path = f"/api/v1/requests/{request_id}/content"
    capturing.content(answer)
    assert capturing.operator.delete(path, status=400).reason == "confirmation_required"
    assert capturing.operator.delete(f"{path}?confirm={request_id}", role="auditor", status=403).reason == "role_not_allowed"
    capturing.operator.delete(f"{path}?confirm={request_id}", role="admin", status=204)
    assert capturing.operator.get(path, status=404).reason == "not_there"
    assert capturing.operator.delete(f"{path}?confirm={request_id}", status=404).reason == "not_there"
    assert [entry["result"] for entry in entries(capturing.operator) if entry["action"] == "requests.content_delete"][-2:] == ["success", "failure"]
    assert capturing.gateway.entry_of(request_id)["outcome"] == "ok", "the ledger stays"
    assert capturing.operator.get("/api/v1/requests/none/content", status=404).reason == "not_there"


# --- how long, and with which key ---

def test_contents_go_with_their_retention(make_capturing):
    capturing = make_capturing(records={"content_retention": "1s"})
    key = capturing.workspace(content=True)
    answer = capturing.send(key)
    until(capturing.rows, "a content to be written", step=0.01)
    assert capturing.rows()[0][2] == 1000000
    path = f"/api/v1/requests/{answer.headers['x-request-id']}/content"
    until(lambda: capturing.operator.get(path, status={200, 404}).status == 404, "the content to expire", step=0.05)
    for _ in range(40):
        capturing.send(key)
    until(lambda: not capturing.rows(), "all contents to be taken away", 40, step=0.2)
    assert capturing.gateway.entry_of(answer.headers["x-request-id"])["outcome"] == "ok"


def test_another_key(capturing, weir_binary, tmp_path):
    gateway = capturing.gateway
    key = capturing.workspace(content=True)
    answers = [capturing.send(key, f"say:{number}") for number in range(40)]  # more than two transactions
    for answer in answers:
        capturing.content(answer)
    old, new = gateway.settings["secrets"]["sealing_key"], make_key(weir_binary, tmp_path / "second.key")

    def restart(**secrets):
        gateway.settings["secrets"] = secrets
        gateway.write_settings()
        gateway.restart()

    restart(sealing_key=new, previous_sealing_keys=[old])
    assert "0 with this key, 40 with previous ones" in gateway.command("secrets", "status", *gateway.file_words).stdout
    capturing.content(answers[0])
    assert "contents          40 sealed anew, 0 had the key already, 0 cannot be opened" in gateway.command("secrets", "rotate", *gateway.file_words).stdout
    restart(sealing_key=new)
    assert "say:39" in capturing.content(answers[39])["content"]["request"]["text"]
    assert "contents          40 with this key, 0 with previous ones, 0 that cannot be opened" in gateway.command("secrets", "status", *gateway.file_words).stdout
    restart(sealing_key=old)
    path = f"/api/v1/requests/{answers[0].headers['x-request-id']}/content"
    assert capturing.operator.get(path, status=409).reason == "sealing_key_missing"
    fresh = capturing.send(key)
    capturing.content(fresh)  # what comes now is sealed with the key that is there


def test_a_content_that_was_moved_does_not_open(capturing):
    key = capturing.workspace(content=True)
    first, second = capturing.send(key, "say:1"), capturing.send(key, "say:2")
    capturing.content(first), capturing.content(second)
    with sqlite3.connect(capturing.gateway.folder / "data/weir.db", timeout=10) as database:
        database.execute("UPDATE content SET blob = (SELECT blob FROM content WHERE request_id = ?)", (second.headers["x-request-id"],))
    answer = capturing.operator.get(f"/api/v1/requests/{first.headers['x-request-id']}/content", status=range(500, 600))
    assert b"say:" not in answer.body


def test_without_a_sealing_key_nothing_is_captured(make_capturing):
    capturing = make_capturing(sealed=False)
    refused = capturing.operator.post("/api/v1/workspaces", {"id": "x", "capture": {"content": True}}, status=409)
    assert refused.reason == "sealing_key_missing" and refused.field == "capture.content"
    key = capturing.workspace()
    assert capturing.operator.patch("/api/v1/workspaces/kept-1", {"capture": {"content": True}}, status=409).reason == "sealing_key_missing"
    assert capturing.send(key).status == 200 and capturing.rows() == []
    assert not any(line["event"] == "content_not_captured" for line in capturing.gateway.log_lines())


def test_a_key_that_went_away_is_told_once(capturing):
    gateway = capturing.gateway
    keys = [capturing.workspace(content=True) for _ in range(3)]
    before = capturing.send(keys[0])
    capturing.content(before)
    gateway.settings["secrets"] = {}
    gateway.write_settings()
    gateway.restart()
    for key in keys:
        assert capturing.send(key).status == 200
    told = [line for line in gateway.log_lines() if line["event"] == "content_not_captured"]
    assert len(told) == 1 and told[0]["problem"] == "there is no sealing key"
    assert capturing.operator.get(f"/api/v1/requests/{before.headers['x-request-id']}/content", status=409).reason == "sealing_key_missing"
    # What was on stays on, so that other changes can be made.
    assert capturing.operator.patch("/api/v1/workspaces/kept-1", {"notes": "n"}).json()["capture"]["content"]
    capturing.send(keys[0])
    assert len(capturing.rows()) == 1


def test_a_store_that_cannot_take_them_costs_no_request(capturing):
    key = capturing.workspace(content=True)
    capturing.content(capturing.send(key))
    left_out = ("weir_contents_left_out_total", ())
    assert capturing.gateway.metrics()[left_out] == 0
    database = sqlite3.connect(capturing.gateway.folder / "data/weir.db", timeout=10, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    try:
        began = time.monotonic()
        answers = [capturing.send(key, "x" * 70_000) for _ in range(20)]
        assert all(answer.status == 200 for answer in answers) and time.monotonic() - began < 20
        until(lambda: capturing.gateway.metrics()[left_out] > 0, "a content to be left out", 30, step=0.1)
    finally:
        database.execute("ROLLBACK")
        database.close()
    for answer in answers:
        assert capturing.gateway.entry_of(answer.headers["x-request-id"])["outcome"] == "ok"
    capturing.content(capturing.send(key))

"""The front doors: which path is whose, where a key may be, what an error looks like to whom, and what reaches a provider that speaks the caller's own
dialect. The providers are played by hand, so that what arrives there is seen byte for byte."""
import json

import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from harness.plain import call
from harness.processes import Gateway
from harness.upstream import Upstream
from harness.waiting import until

MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-up", "content": [{"type": "text", "text": "hi"}],
           "stop_reason": "end_turn", "stop_sequence": None,
           "usage": {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}}
ASKED = {"model": "claude-1", "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]}
CHAT = {"model": "gpt-1", "messages": [{"role": "user", "content": "hello"}]}
CHAT_ANSWER = {"id": "c1", "object": "chat.completion", "created": 1, "model": "up",
               "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
               "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
LIMITED = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}, "request_id": "req_vendor"}
FILE = {"id": "file_1", "type": "file", "filename": "a.txt", "mime_type": "text/plain", "size_bytes": 3, "downloadable": False,
        "created_at": "2026-01-01T00:00:00Z"}
OTHERS_FILE = {**FILE, "id": "file_others"}
BATCH = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress", "request_counts": {}}


GENERATED = {"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "index": 0}],
             "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}, "modelVersion": "gem-up"}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
LINE = {"model": "llama-up", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "hi"}, "done": False}
LAST = {"model": "llama-up", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": ""}, "done": True,
        "done_reason": "stop", "prompt_eval_count": 4, "eval_count": 2}


def generates(call_):
    if "alt=sse" in call_.query:
        call_.events(GENERATED)
    elif call_.path.endswith(":streamGenerateContent"):
        call_.answer([GENERATED])
    else:
        call_.answer(GENERATED)


def chats(call_):
    if json.loads(call_.body).get("stream", True):
        lines = b"".join(json.dumps(line).encode() + b"\n" for line in (LINE, LAST))
        call_.answer(lines, headers={"content-type": "application/x-ndjson"})
    else:
        call_.answer({**LAST, "message": LINE["message"]})


def messages(call_):
    if b"LIMITED" in call_.body:
        call_.answer(LIMITED, 429, {"retry-after": "7", "request-id": "req_vendor"})
    else:
        call_.answer(MESSAGE, headers={"request-id": "req_vendor", "anthropic-ratelimit-requests-remaining": "41"})


def upload_begins(upstream):
    def handler(call_):
        if "upload_id=" in call_.query:
            call_.answer({"file": {"name": "files/abc-1", "uri": "https://x/v1beta/files/abc-1"}}, headers={"x-goog-upload-status": "final"})
        else:
            call_.answer(b"", headers={"x-goog-upload-status": "active", "x-goog-upload-url":
                                       f"http://{upstream[0].address}/upload/v1beta/files?upload_id=up-1&upload_protocol=resumable"})
    return handler


@pytest.fixture(scope="module")
def vendors():
    place = []
    made = {
        "ant": Upstream(answers={("POST", "/v1/messages"): messages,
                                 ("POST", "/v1/messages/count_tokens"): {"input_tokens": 3},
                                 ("POST", "/v1/files"): FILE,
                                 ("GET", "/v1/files"): {"data": [OTHERS_FILE, FILE], "has_more": False, "first_id": "file_others",
                                                        "last_id": "file_1"},
                                 ("GET", "/v1/files/file_1"): FILE,
                                 ("POST", "/v1/messages/batches"): BATCH,
                                 ("GET", "/v1/messages/batches/msgbatch_1"): BATCH}),
        "goo": Upstream(answers={("POST", "/upload/v1beta/files"): upload_begins(place),
                                 ("GET", "/v1beta/files"): lambda call_: call_.answer(
                                     {"files": [{"name": "files/abc-1"}]} if "pageToken=next" in call_.query
                                     else {"files": [{"name": "files/others"}], "nextPageToken": "next"}),
                                 ("GET", "/v1beta/files/abc-1"): {"name": "files/abc-1"},
                                 ("POST", "/v1beta/models/gem-up:generateContent"): generates,
                                 ("POST", "/v1beta/models/gem-up:streamGenerateContent"): generates,
                                 ("POST", "/v1beta/models/gem-up:countTokens"): {"totalTokens": 4},
                                 ("POST", "/v1beta/models/gem-up:embedContent"): {"embedding": {"values": [0.5]}},
                                 ("POST", "/v1beta/models/gem-up:batchEmbedContents"): {"embeddings": [{"values": [0.5]}]},
                                 ("POST", "/v1beta/tunedModels/mine:generateContent"): generates,
                                 ("POST", "/v1beta/models/gem-up:batchGenerateContent"): {"name": "batches/b1", "metadata": {}},
                                 ("GET", "/v1beta/batches/b1"): {"name": "batches/b1", "done": True,
                                                                 "response": {"responsesFile": "files/batch-b1"}},
                                 ("GET", "/v1beta/batches"): {},
                                 ("GET", "/v1beta/files/batch-b1:download"): lambda call_: call_.answer(b"line\n")}),
        "lla": Upstream(answers={("POST", "/api/chat"): chats,
                                 ("POST", "/api/embed"): {"model": "llama-up", "embeddings": [[0.5, 0.25]], "prompt_eval_count": 1},
                                 ("POST", "/v1/chat/completions"): CHAT_ANSWER}),
        "oai": Upstream(answers={("POST", "/v1/chat/completions"): CHAT_ANSWER}),
    }
    place.append(made["goo"])
    yield made
    for one in made.values():
        one.stop()


@pytest.fixture(scope="module")
def gateway(weir_binary, vendors, tmp_path_factory):
    def provider(name, dialect, base):
        return {"name": name, "dialect": dialect, "base_url": f"http://{vendors[name].address}{base}", "api_key": f"{name}-credential-000"}

    def model(name, where, upstream):
        return {"name": name, "targets": [{"provider": where, "model": upstream}]}

    settings = {"environment": "dev", "data_dir": "./data", "server": {"listen": "127.0.0.1:0", "workers": 1},
                "operator": {"listen": "127.0.0.1:0"},
                "providers": [provider("ant", "anthropic", "/v1"), provider("goo", "gemini", "/v1beta"), provider("oai", "openai", "/v1"),
                              {**provider("lla", "ollama", ""), "speaks": ["openai"]}],
                "models": [model("claude-1", "ant", "claude-up"), model("gem/one:a", "goo", "gem-up"), model("gpt-1", "oai", "up"),
                           model("llama", "lla", "llama-up"), model("tunedModels/mine", "goo", "tunedModels/mine"), model("zz-last", "ant", "zz")]}
    instance = Gateway(weir_binary, tmp_path_factory.mktemp("gateway"), settings).start()
    instance.other = instance.create_key("other", "--workspace", "other")
    instance.narrow = instance.create_key("narrow", "--models", "claude-1")
    for key in (instance.other, instance.narrow):
        instance.wait_key(key)
    yield instance
    instance.close()


def last(vendors, name):
    return vendors[name].calls[-1]


# --- errors ---

def anthropic_shape(body, status):
    words = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
             405: "invalid_request_error", 413: "request_too_large", 415: "invalid_request_error", 429: "rate_limit_error"}
    assert body["type"] == "error" and body["error"]["type"] == words[status], body
    return body["error"]["message"]


def gemini_shape(body, status):
    words = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "INVALID_ARGUMENT"}
    assert body["error"]["code"] == status and body["error"]["status"] == words[status], body
    info = body["error"]["details"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo" and info["domain"] == "weir"
    assert info["reason"] == body["error_code"] and info["metadata"]["request_id"] == body["request_id"]
    return body["error"]["message"]


def ollama_shape(body, status):
    assert isinstance(body["error"], str), body
    return body["error"]


def openai_shape(body, status):
    assert set(body["error"]) >= {"message", "type", "param", "code"}, body
    return body["error"]["message"]


KEY = object()
# what is asked, and how it fails: method, path, fields, body, status, the shape of the error
FAILURES = [
    ("POST", "/v1/messages", {}, ASKED, 401, anthropic_shape),
    ("POST", "/v1/messages", {"authorization": "Basic x"}, ASKED, 401, anthropic_shape),
    ("POST", "/v1/messages", {"x-api-key": "sk-ant-api03-nobody"}, ASKED, 401, anthropic_shape),
    ("POST", "/v1/messages", {"x-api-key": KEY, "authorization": "Bearer weir_dev_other"}, ASKED, 401, anthropic_shape),
    ("POST", "/v1/messages", {"x-api-key": ""}, ASKED, 401, anthropic_shape),
    ("POST", "/v1/messages", {"x-api-key": KEY}, {**ASKED, "model": "nothing"}, 404, anthropic_shape),
    ("POST", "/v1/messages", {"x-api-key": KEY}, b"{", 400, anthropic_shape),
    ("POST", "/v1/messages", {"x-api-key": KEY, "content-type": "text/plain"}, b"x", 415, anthropic_shape),
    ("POST", "/v1/messages", {"x-api-key": KEY, "content-type": "application/json"}, b" " * 1100000, 413, anthropic_shape),
    ("GET", "/v1/messages", {"x-api-key": KEY}, None, 405, anthropic_shape),
    ("POST", "/v1/messages/unknown", {"x-api-key": KEY}, {}, 404, anthropic_shape),
    ("GET", "/v1/unknown", {"anthropic-version": "2023-06-01"}, None, 404, anthropic_shape),
    ("GET", "/v1/anthropic/v1/unknown", {}, None, 404, anthropic_shape),
    ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, None, 401, anthropic_shape),
    ("GET", "/v1/models/nothing", {"anthropic-version": "2023-06-01", "x-api-key": KEY}, None, 404, anthropic_shape),
    ("GET", "/v1/models?limit=0", {"anthropic-version": "2023-06-01", "x-api-key": KEY}, None, 400, anthropic_shape),
    ("GET", "/v1/models?after_id=nothing", {"anthropic-version": "2023-06-01", "x-api-key": KEY}, None, 400, anthropic_shape),
    ("GET", "/v1beta/models", {}, None, 401, gemini_shape),
    ("GET", "/v1beta/models?key=nobody", {}, None, 401, gemini_shape),
    ("GET", "/v1/models?key=nobody", {}, None, 401, gemini_shape),
    ("GET", "/v1beta/models/nothing", {"x-goog-api-key": KEY}, None, 404, gemini_shape),
    ("POST", "/v1beta/unknown", {"x-goog-api-key": KEY}, {}, 404, gemini_shape),
    ("GET", "/v1/google/unknown", {}, None, 404, gemini_shape),
    ("DELETE", "/v1beta/models/x", {}, None, 405, gemini_shape),
    ("GET", "/v1/google/v1beta/files/others", {"x-goog-api-key": KEY}, None, 404, gemini_shape),
    ("GET", "/api/tags", {}, None, 401, ollama_shape),
    ("POST", "/api/show", {"authorization": KEY}, {"model": "nothing"}, 404, ollama_shape),
    ("POST", "/api/show", {"authorization": KEY}, {}, 400, ollama_shape),
    ("POST", "/api/unknown", {"authorization": KEY}, {}, 404, ollama_shape),
    ("GET", "/v1/models", {}, None, 401, openai_shape),
    ("POST", "/v1/responses", {}, {}, 401, openai_shape),
    ("POST", "/v1/chat/completions", {"x-api-key": KEY}, CHAT, 401, openai_shape),
    ("POST", "/v1/images/generations", {"authorization": KEY}, {"model": "claude-1", "prompt": "x"}, 400, openai_shape),
    ("GET", "/", {}, None, 404, openai_shape),
]


@pytest.mark.parametrize("method, path, fields, body, status, shape", FAILURES, ids=[f"{row[0]} {row[1]} {row[4]} {n}" for n, row in enumerate(FAILURES)])
def test_an_error_has_the_shape_of_who_asked(gateway, method, path, fields, body, status, shape):
    sent = {name: (f"Bearer {gateway.key}" if name == "authorization" else gateway.key) if value is KEY else value
            for name, value in fields.items()}
    answer = call(gateway.address, method, path, sent, body)
    assert answer.status == status, answer
    words = answer.json()
    assert shape(words, status)
    assert words["error_code"].startswith("WEIR_") and words["details"]["reason"], words
    assert words["request_id"] == answer.headers["x-request-id"]
    if isinstance(words["error"], dict):
        assert words["error"]["error_code"] == words["error_code"] and words["error"]["request_id"] == words["request_id"]
    if shape is anthropic_shape:
        assert answer.headers["request-id"] == words["request_id"]


def test_anthropics_client_raises_its_own_classes(gateway):
    client = anthropic.Anthropic(base_url=f"http://{gateway.address}", api_key=gateway.key, max_retries=0)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**{**ASKED, "model": "nothing"})
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**{**ASKED, "messages": "no list"})
    with pytest.raises(anthropic.RateLimitError) as raised:
        client.messages.create(**{**ASKED, "messages": [{"role": "user", "content": "LIMITED"}]})
    assert raised.value.response.headers["retry-after"] == "7" and raised.value.body["error"]["message"] == "slow down"
    assert raised.value.request_id == "req_vendor" and raised.value.body["error_code"] == "WEIR_RATE_LIMITED"
    stranger = anthropic.Anthropic(base_url=f"http://{gateway.address}", api_key="sk-ant-nobody", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(**ASKED)
    narrow = anthropic.Anthropic(base_url=f"http://{gateway.address}", api_key=gateway.narrow, max_retries=0)
    with pytest.raises(anthropic.PermissionDeniedError):
        narrow.messages.create(**{**ASKED, "model": "gpt-1"})


def test_googles_client_raises_its_own_classes(gateway):
    client = genai.Client(api_key="nobody", http_options=genai_types.HttpOptions(base_url=f"http://{gateway.address}"))
    with pytest.raises(genai_errors.ClientError) as raised:
        client.models.get(model="gem/one:a")
    assert raised.value.code == 401 and raised.value.status == "UNAUTHENTICATED" and "API key" in raised.value.message


def test_ollamas_client_raises_its_own_class(gateway):
    with pytest.raises(ollama.ResponseError) as raised:
        ollama.Client(host=f"http://{gateway.address}").list()
    assert raised.value.status_code == 401 and "API key" in raised.value.error


# --- keys ---

@pytest.mark.parametrize("path, fields", [
    ("/v1/models", {"authorization": "Bearer {}"}),
    ("/v1/models", {"anthropic-version": "2023-06-01", "x-api-key": "{}"}),
    ("/v1/models", {"anthropic-version": "2023-06-01", "authorization": "Bearer {}"}),
    ("/v1/models", {"anthropic-version": "2023-06-01", "authorization": "Bearer {}", "x-api-key": "{}"}),
    ("/v1/models", {"x-goog-api-key": "{}"}),
    ("/v1/models?key={}", {}),
    ("/v1beta/models?%6Bey={}&pageSize=5", {}),
    ("/v1beta/models?key={}", {"x-goog-api-key": "{}"}),
    ("/v1beta/models", {"authorization": "Bearer {}"}),
    ("/api/tags", {"authorization": "Bearer {}"}),
])
def test_a_key_is_found_where_the_vendors_client_has_it(gateway, path, fields):
    fields = {name: value.format(gateway.key) for name, value in fields.items()}
    assert call(gateway.address, "GET", path.format(gateway.key), fields).status == 200


def test_keys_that_differ_are_refused(gateway):
    for path, fields in [("/v1/messages", {"x-api-key": gateway.other}), ("/v1beta/models", {"x-goog-api-key": gateway.other}),
                         (f"/v1beta/models?key={gateway.other}", {})]:
        method = "POST" if "messages" in path else "GET"
        answer = call(gateway.address, method, path, {**gateway.authorization, **fields}, ASKED if method == "POST" else None)
        assert answer.status == 401 and answer.json()["details"]["reason"] == "keys_differ", answer


def test_where_keys_may_be_can_be_set(weir_binary, vendors, tmp_path):
    settings = {"environment": "dev", "server": {"listen": "127.0.0.1:0", "workers": 1}, "operator": {"listen": "127.0.0.1:0"},
                "auth": {"key_headers": ["x-api-key"]},
                "providers": [{"name": "ant", "dialect": "anthropic", "base_url": vendors["ant"].base_url, "api_key": "k"}]}
    gateway = Gateway(weir_binary, tmp_path, settings).start()
    try:
        assert call(gateway.address, "GET", "/v1/models", {"anthropic-version": "2023-06-01", "x-api-key": gateway.key}).status == 200
        assert call(gateway.address, "GET", "/v1beta/models", {"x-goog-api-key": gateway.key}).status == 401
        assert call(gateway.address, "GET", f"/v1beta/models?key={gateway.key}").status == 401
    finally:
        gateway.close()
    gateway.config.write_text(json.dumps({**settings, "auth": {"key_headers": ["x-my-key"]}}))
    assert "auth.key_headers" in gateway.command("config", "check", gateway.config, check=False).stderr


# --- what a provider gets that speaks the caller's dialect ---

def test_anthropics_fields_go_through_byte_for_byte(gateway, vendors):
    beta = "claude-code-20250219,interleaved-thinking-2025-05-14 , x"
    answer = call(gateway.address, "POST", "/v1/messages?beta=true&unknown=1",
                  {"x-api-key": gateway.key, "anthropic-version": "2026-10-21", "anthropic-beta": beta, "user-agent": "claude-cli/1",
                   "x-goog-api-key": gateway.key, "cookie": "a=b"}, ASKED)
    assert answer.status == 200, answer
    seen = last(vendors, "ant")
    assert seen.target == "/v1/messages?beta=true&unknown=1"
    assert seen.headers["x-api-key"] == "ant-credential-000" and "authorization" not in seen.headers
    assert seen.headers["anthropic-version"] == "2026-10-21" and seen.headers["anthropic-beta"] == beta
    assert seen.headers["user-agent"] == "claude-cli/1" and "cookie" not in seen.headers and "x-goog-api-key" not in seen.headers
    assert json.loads(seen.body)["model"] == "claude-up"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "41" and answer.headers["request-id"] == "req_vendor"
    assert answer.json()["content"] == MESSAGE["content"]


def test_a_client_without_a_version_gets_the_first_one(gateway, vendors):
    assert call(gateway.address, "POST", "/v1/messages", {"x-api-key": gateway.key}, ASKED).status == 200
    assert last(vendors, "ant").headers["anthropic-version"] == "2023-06-01"


def test_tokens_are_counted_for_nothing(gateway, vendors):
    answer = call(gateway.address, "POST", "/v1/messages/count_tokens", {"x-api-key": gateway.key},
                  {"model": "claude-1", "messages": ASKED["messages"]})
    assert answer.status == 200 and answer.json()["input_tokens"] == 3 and answer.headers["x-weir-used-cu-milli"] == "0"
    assert last(vendors, "ant").target == "/v1/messages/count_tokens"


# --- Google's paths ---

@pytest.mark.parametrize("path, target", [
    ("/v1/models/gem/one:a:generateContent", "/v1beta/models/gem-up:generateContent"),
    ("/v1beta/models/gem%2Fone%3Aa:generateContent", "/v1beta/models/gem-up:generateContent"),
    ("/v1beta/models/models/gem/one:a:generateContent", "/v1beta/models/gem-up:generateContent"),
    ("/v1beta/tunedModels/mine:generateContent", "/v1beta/tunedModels/mine:generateContent"),
    ("/v1/google/v1beta/models/gem/one:a:generateContent", "/v1beta/models/gem-up:generateContent"),
    ("/v1/google/v1/models/gem/one:a:generateContent?x=%20", "/v1beta/models/gem-up:generateContent?x=%20"),
    ("/v1beta/models/gem/one:a:streamGenerateContent?alt=sse", "/v1beta/models/gem-up:streamGenerateContent?alt=sse"),
    ("/v1beta/models/gem/one:a:streamGenerateContent", "/v1beta/models/gem-up:streamGenerateContent"),
    ("/v1beta/models/goo/gem-up:generateContent?key={}", "/v1beta/models/gem-up:generateContent"),
    ("/v1beta/models/gem/one:a:generateContent?a=1&key={}&b=2", "/v1beta/models/gem-up:generateContent?a=1&b=2"),
])
def test_googles_model_stands_in_the_path(gateway, vendors, path, target):
    fields = {"x-goog-api-key": gateway.key, "x-goog-api-client": "google-genai-sdk/3.4.0", "x-api-key": gateway.key}
    answer = call(gateway.address, "POST", path.format(gateway.key), fields, CONTENTS)
    assert answer.status == 200, answer
    seen = last(vendors, "goo")
    assert seen.target == target and seen.headers["x-goog-api-key"] == "goo-credential-000" and gateway.key not in str(seen.headers)
    assert seen.headers["x-goog-api-client"] == "google-genai-sdk/3.4.0" and json.loads(seen.body) == CONTENTS
    found = [json.loads(one) for one in answer.events()] if "alt=sse" in path else answer.json()
    found = found[-1] if isinstance(found, list) else found
    assert found["candidates"] == GENERATED["candidates"]


def test_googles_client_through_its_own_paths(gateway, vendors):
    for version in ("v1", "v1beta"):
        client = genai.Client(api_key=gateway.key, http_options=genai_types.HttpOptions(base_url=f"http://{gateway.address}", api_version=version))
        assert client.models.generate_content(model="gem/one:a", contents="hello").text == "hi"
        assert "".join(one.text or "" for one in client.models.generate_content_stream(model="gem/one:a", contents="hello")) == "hi"
        assert client.models.count_tokens(model="gem/one:a", contents="hello").total_tokens == 4
        assert client.models.embed_content(model="gem/one:a", contents="hello").embeddings[0].values == [0.5]
        with pytest.raises(genai_errors.ClientError) as raised:
            client.models.generate_content(model="nothing", contents="hello")
        assert raised.value.code == 404 and raised.value.status == "NOT_FOUND"
        assert last(vendors, "goo").headers["x-goog-api-key"] == "goo-credential-000"


# --- Ollama's paths ---

def test_ollamas_client_through_its_own_paths(gateway, vendors):
    client = ollama.Client(host=f"http://{gateway.address}", headers=gateway.authorization)
    said = [{"role": "user", "content": "hello"}]
    assert client.chat(model="llama", messages=said).message.content == "hi"
    assert last(vendors, "lla").target == "/api/chat" and json.loads(last(vendors, "lla").body)["model"] == "llama-up"
    assert last(vendors, "lla").headers["authorization"] == "Bearer lla-credential-000"
    assert "".join(one.message.content for one in client.chat(model="llama", messages=said, stream=True)) == "hi"
    assert client.embed(model="llama", input="x").embeddings == [[0.5, 0.25]]
    with pytest.raises(ollama.ResponseError) as raised:
        client.chat(model="nothing", messages=said)
    assert raised.value.status_code == 404


def test_a_further_dialect_of_ollama_is_behind_its_v1(gateway, vendors):
    answer = call(gateway.address, "POST", "/v1/chat/completions", gateway.authorization, {**CHAT, "model": "llama"})
    assert answer.status == 200 and last(vendors, "lla").target == "/v1/chat/completions", answer


# --- models ---

ALL = ["claude-1", "gem/one:a", "gpt-1", "llama", "tunedModels/mine", "zz-last"]


def test_each_vendors_client_lists_the_models_in_its_own_form(gateway):
    fields = {"x-api-key": gateway.key, "anthropic-version": "2023-06-01"}
    assert [one.id for one in openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key).models.list()] == ALL
    client = anthropic.Anthropic(base_url=f"http://{gateway.address}", api_key=gateway.key, _strict_response_validation=True)
    assert [one.id for one in client.models.list(limit=2)] == ALL, "every page is asked for"
    assert [one.id for one in client.models.list(limit=2, before_id="tunedModels/mine").data] == ["gpt-1", "llama"]
    assert client.models.retrieve("gem/one:a").type == "model"
    found = call(gateway.address, "GET", "/v1/models?limit=1000", fields).json()
    assert found["has_more"] is False and found["first_id"] == "claude-1" and found["last_id"] == "zz-last"
    for version in ("v1", "v1beta"):
        google = genai.Client(api_key=gateway.key, http_options=genai_types.HttpOptions(base_url=f"http://{gateway.address}", api_version=version))
        assert [one.name for one in google.models.list(config={"page_size": 3})] == [name if "tuned" in name else f"models/{name}" for name in ALL]
        assert google.models.get(model="gem/one:a").supported_actions[0] == "generateContent"
    host = ollama.Client(host=f"http://{gateway.address}", headers=gateway.authorization)
    assert [one.model for one in host.list().models] == ALL
    assert host.show("gpt-1").details.family == "oai" and host.ps().models == []


def test_a_key_sees_the_models_that_it_may_use(gateway):
    bearer = {"authorization": f"Bearer {gateway.narrow}"}
    assert [one["id"] for one in call(gateway.address, "GET", "/v1/models", {**bearer, "anthropic-version": "x"}).json()["data"]] == ["claude-1"]
    assert [one["name"] for one in call(gateway.address, "GET", "/v1beta/models", bearer).json()["models"]] == ["models/claude-1"]
    assert [one["name"] for one in call(gateway.address, "GET", "/api/tags", bearer).json()["models"]] == ["claude-1"]
    assert call(gateway.address, "GET", "/v1beta/models/gpt-1", bearer).status == 403
    assert call(gateway.address, "POST", "/api/show", bearer, {"model": "gpt-1"}).status == 403


def test_an_empty_page_has_no_next(gateway):
    fields = {**gateway.authorization, "anthropic-version": "2023-06-01"}
    page = call(gateway.address, "GET", "/v1/models?after_id=zz-last", fields).json()
    assert page == {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert "nextPageToken" not in call(gateway.address, "GET", "/v1beta/models?pageToken=gpt-1", gateway.authorization).json()


def test_ollamas_clients_find_a_server(gateway):
    agent = {"user-agent": "ollama/0.13.5 (amd64 linux) Go/go1.24"}
    assert call(gateway.address, "HEAD", "/", agent).status == 200
    assert call(gateway.address, "GET", "/", agent).body == b"Ollama is running"
    assert call(gateway.address, "GET", "/api/version").json()["version"]
    assert call(gateway.address, "GET", "/", {"user-agent": "curl/8"}).status == 404


# --- lanes ---

def test_a_lane_never_translates(gateway, vendors):
    client = anthropic.Anthropic(base_url=f"http://{gateway.address}/v1/anthropic", api_key=gateway.key, max_retries=0)
    assert client.messages.create(**ASKED).content[0].text == "hi"
    assert last(vendors, "ant").target == "/v1/messages"
    assert [one.id for one in client.models.list()] == ["claude-1", "zz-last"]
    before = len(vendors["oai"].calls)
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**{**ASKED, "model": "gpt-1"})
    assert raised.value.body["details"]["reason"] == "endpoint_unsupported" and len(vendors["oai"].calls) == before


def test_anthropics_files_belong_to_who_made_them(gateway, vendors):
    client = anthropic.Anthropic(base_url=f"http://{gateway.address}/v1/anthropic", api_key=gateway.key, max_retries=0)
    stranger = anthropic.Anthropic(base_url=f"http://{gateway.address}/v1/anthropic", api_key=gateway.other, max_retries=0)
    assert client.beta.files.upload(file=("a.txt", b"abc", "text/plain")).id == "file_1"
    seen = last(vendors, "ant")
    assert seen.path == "/v1/files" and b"abc" in seen.body and seen.headers["x-api-key"] == "ant-credential-000"
    assert [one.id for one in client.beta.files.list()] == ["file_1"]
    assert [one.id for one in stranger.beta.files.list()] == []
    assert client.beta.files.retrieve_metadata("file_1").id == "file_1"
    with pytest.raises(anthropic.NotFoundError):
        stranger.beta.files.retrieve_metadata("file_1")
    with pytest.raises(anthropic.NotFoundError):
        client.beta.files.retrieve_metadata("file_others")


def test_anthropics_batches_pass(gateway, vendors):
    client = anthropic.Anthropic(base_url=f"http://{gateway.address}/v1/anthropic", api_key=gateway.key, max_retries=0)
    made = client.messages.batches.create(requests=[{"custom_id": "a", "params": ASKED}])
    assert made.id == "msgbatch_1" and last(vendors, "ant").path == "/v1/messages/batches"
    assert client.messages.batches.retrieve("msgbatch_1").processing_status == "in_progress"
    entry = gateway.wait_ledger(1)[-1]
    assert entry["cost_cu_milli"] == 0
    narrow = anthropic.Anthropic(base_url=f"http://{gateway.address}/v1/anthropic", api_key=gateway.narrow, max_retries=0)
    with pytest.raises(anthropic.PermissionDeniedError):
        narrow.messages.batches.create(requests=[{"custom_id": "a", "params": ASKED}])


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_googles_files_belong_to_who_made_them(gateway, vendors, tmp_path, version):
    def client(key):
        return genai.Client(api_key=key, http_options=genai_types.HttpOptions(base_url=f"http://{gateway.address}/v1/google", api_version=version))

    path = tmp_path / "a.txt"
    path.write_bytes(b"abc" * 700000)
    own, stranger = client(gateway.key), client(gateway.other)
    assert own.files.upload(file=str(path), config={"mime_type": "text/plain"}).name == "files/abc-1"
    begun, piece = vendors["goo"].calls[-2:]
    assert begun.path == piece.path == "/upload/v1beta/files" and "upload_id=up-1" in piece.query
    assert begun.headers["x-goog-upload-protocol"] == "resumable" and begun.headers["x-goog-upload-header-content-length"] == "2100000"
    assert piece.headers["x-goog-upload-command"] == "upload, finalize" and piece.body == path.read_bytes()
    for one in (begun, piece):
        assert one.headers["x-goog-api-key"] == "goo-credential-000" and gateway.key not in one.target
    assert own.files.get(name="files/abc-1").name == "files/abc-1"
    assert [one.name for one in own.files.list()] == ["files/abc-1"], "a page of others' files is passed over"
    with pytest.raises(genai_errors.ClientError) as raised:
        stranger.files.get(name="files/abc-1")
    assert raised.value.status == "NOT_FOUND"
    answer = call(gateway.address, "POST", "/v1/google/upload/v1beta/files?upload_id=up-1&upload_protocol=resumable",
                  {"x-goog-api-key": gateway.other, "x-goog-upload-command": "upload", "x-goog-upload-offset": "0"}, b"bytes")
    assert answer.status == 404, "another workspace's upload"


def test_googles_batches_pass(gateway, vendors):
    fields = {"x-goog-api-key": gateway.key}
    answer = call(gateway.address, "POST", f"/v1/google/v1beta/models/gem%2Fone:a:batchGenerateContent?key={gateway.key}&x=1", fields,
                  {"batch": {"displayName": "b"}})
    assert answer.status == 200 and answer.json()["name"] == "batches/b1", answer
    seen = last(vendors, "goo")
    assert seen.target == "/v1beta/models/gem-up:batchGenerateContent?x=1" and gateway.key not in str(seen.headers)
    assert call(gateway.address, "GET", "/v1/google/v1beta/batches/b1", fields).json()["done"] is True
    assert call(gateway.address, "GET", "/v1/google/v1beta/files/batch-b1:download?alt=media", fields).body == b"line\n"
    assert call(gateway.address, "GET", "/v1/google/v1beta/batches", fields).json() == {}
    stranger = {"x-goog-api-key": gateway.other}
    assert call(gateway.address, "GET", "/v1/google/v1beta/batches/b1", stranger).status == 404
    assert call(gateway.address, "GET", "/v1/google/v1beta/files/batch-b1:download?alt=media", stranger).status == 404


def test_a_key_in_the_query_is_logged_nowhere(gateway):
    assert call(gateway.address, "GET", f"/v1beta/models?key={gateway.key}").status == 200
    until(lambda: any(line.get("path") == "/v1beta/models" for line in gateway.log_lines()), "the request's line", 10)
    assert gateway.key not in gateway.stderr()


def test_what_only_one_dialect_has_is_asked_of_providers_that_speak_it(gateway, vendors):
    before = len(vendors["ant"].calls)
    answer = call(gateway.address, "POST", "/v1/images/generations", gateway.authorization, {"model": "claude-1", "prompt": "x"})
    assert answer.status == 400 and answer.json()["error"]["code"] == "endpoint_unsupported" and len(vendors["ant"].calls) == before
    for fields, reason in [({}, "provider_not_named"), ({"x-weir-provider": "ant"}, "endpoint_unsupported")]:
        answer = call(gateway.address, "GET", "/v1/files", {**gateway.authorization, **fields})
        assert answer.status == 400 and answer.json()["error"]["code"] == reason, answer
    call(gateway.address, "GET", "/v1/files", {**gateway.authorization, "x-weir-provider": "lla"})
    assert last(vendors, "lla").target == "/v1/files"


def test_methods_of_shared_paths_are_told(gateway):
    for path, allowed in [("/v1/messages", "POST, OPTIONS"), ("/v1beta/models", "GET, HEAD, OPTIONS"), ("/v1/models", "GET, HEAD, OPTIONS"),
                          ("/v1/google/v1beta/cachedContents/x", "GET, PATCH, DELETE, OPTIONS"), ("/v1/anthropic/v1/files", "GET, POST, OPTIONS"),
                          ("/api/show", "POST, OPTIONS"), ("/v1/anthropic/v1/files/x", "GET, DELETE, OPTIONS")]:
        answer = call(gateway.address, "PUT", path, gateway.authorization, b"")
        assert answer.status == 405 and answer.headers["allow"] == allowed, (path, answer)

"""What each endpoint costs, exactly, in the answer and in the ledger; what is refused where only what is metered may pass; and answers that
are large, or no JSON at all."""
import base64
import json
import os
import struct
import threading

import openai
import pytest

from harness.plain import RawConnection
from harness.processes import Gateway, default_settings
from harness.upstream import Upstream, provider
from harness.waiting import PATIENCE, until

MIB = 1 << 20
FORM = "multipart/form-data; boundary=B"

ROWS = [
    {"model": "embedder", "input": 130_000_000, "output": 0},
    {"model": "painter", "image": 16_000_000_000_000},
    {"model": "painter", "variant": "hd/1024x1792", "image": 120_000_000_000_000},
    {"model": "painter", "variant": "512x512", "image": 18_000_000_000_000},
    {"model": "token-painter", "input": 5_000_000_000, "input_image": 10_000_000_000, "output": 40_000_000_000},
    {"model": "speaker", "character": 15_000_000_000},
    {"model": "token-speaker", "input": 600_000_000, "output": 0, "output_audio": 12_000_000_000},
    {"model": "listener", "second": 100_000_000_000},
    {"model": "token-listener", "input": 2_500_000_000, "input_audio": 6_000_000_000, "output": 10_000_000_000},
    {"model": "ranker", "search": 2_000_000_000_000},
    {"model": "token-ranker", "input": 20_000_000, "output": 0},
    {"model": "thinker", "input": 1_000_000_000, "cached": 100_000_000, "output": 5_000_000_000, "max_output_tokens": 1000},
    {"model": "judge", "input": 0, "output": 0},
    {"model": "ponderer", "input": 1_000_000_000, "cache_write": 9_000_000_000, "output": 5_000_000_000, "reasoning": 50_000_000_000},
]


def prices():
    rows = [{"provider": "here", **row, "source": "a test", "date": "2026-01-02"} for row in ROWS]
    return json.dumps({"format": "weir-prices-1", "rows": rows})


def priced_settings(upstream, **more):
    return {"prices_file": "prices.json", "providers": [provider("here", upstream)], "models": [], **more}


@pytest.fixture(scope="module")
def shared_upstream():
    made = Upstream()
    yield made
    made.stop()


@pytest.fixture
def upstream(shared_upstream):
    """One for all tests: each sets its handler."""
    shared_upstream.handler = shared_upstream.answer_by_path
    return shared_upstream


@pytest.fixture(scope="module")
def priced(weir_binary, sim, shared_upstream, module_folder):
    instance = Gateway(weir_binary, module_folder / "priced", default_settings(sim, **priced_settings(shared_upstream)))
    (instance.folder / "prices.json").write_text(prices())
    yield instance.start()
    instance.close()


@pytest.fixture
def make_priced(make_gateway, sim):
    """make_priced(upstream, **overrides): a gateway of the test's own."""
    def make(upstream, **more):
        gateway = make_gateway(sim, start=False, **priced_settings(upstream, **more))
        (gateway.folder / "prices.json").write_text(prices())
        return gateway.start()

    return make


def form(*parts):
    body = b""
    for name, value in parts:
        more = '; filename="a.wav"' if isinstance(value, bytes) else ""
        value = value if isinstance(value, bytes) else value.encode()
        body += f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
    return body + b"--B--\r\n"


def cost_of(gateway, answer):
    """The three places where a cost is told agree; gives it with the ledger's entry."""
    entry = gateway.entry_of(answer.headers["x-request-id"])
    told = answer.headers.get("x-weir-used-cu-milli", answer.trailers.get("x-weir-used-cu-milli"))
    if told is not None:
        assert int(told) == entry["cost_cu_milli"]
    if answer.headers.get("content-type") == "application/json" and answer.status == 200 and answer.body[:1] == b"{":
        body = answer.json()
        usage = body.get("usage")
        assert (usage if isinstance(usage, dict) else body)["usedCUMilli"] == entry["cost_cu_milli"]
    assert entry["overrun_cu_milli"] == 0 and entry["cost_cu_milli"] <= entry["reserved_cu_milli"]
    return entry["cost_cu_milli"], entry


def raw_call(gateway, path, body, kind="application/json"):
    """With trailers."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    with RawConnection(gateway.address) as raw:
        raw.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\nContent-Type: {kind}\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return raw.read_answer()


# --- what it costs ---

PNG = {"b64_json": "iVBORw0KGgo="}
CASES = [
    # path, call, answer, milli-CU, source, (unit, units)
    ("embeddings", {"model": "here/embedder", "input": "x" * 4000}, {"data": [], "usage": {"prompt_tokens": 1000, "total_tokens": 1000}},
     130_000, "provider", ("none", 0)),
    ("embeddings", {"model": "here/embedder", "input": "xyz"}, {"data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}}, 130,
     "provider", ("none", 0)),
    ("images/generations", {"model": "here/painter", "prompt": "x", "n": 2}, {"data": [PNG, PNG]}, 32_000_000, "counted", ("image", 2)),
    ("images/generations", {"model": "here/painter", "prompt": "x", "n": 2}, {"data": [PNG]}, 16_000_000, "counted", ("image", 1)),
    ("images/generations", {"model": "here/painter", "prompt": "x", "quality": "hd", "size": "1024x1792"}, {"data": [PNG]}, 120_000_000,
     "counted", ("image", 1)),
    ("images/generations", {"model": "here/painter", "prompt": "x", "quality": "hd", "size": "512x512"}, {"data": [PNG]}, 18_000_000,
     "counted", ("image", 1)),
    ("images/generations", {"model": "here/token-painter", "prompt": "x" * 100},
     {"data": [PNG], "usage": {"input_tokens": 50, "input_tokens_details": {"image_tokens": 40, "text_tokens": 10}, "output_tokens": 1056}},
     10 * 5000 + 40 * 10_000 + 1056 * 40_000, "provider", ("image", 1)),
    ("audio/transcriptions", form(("file", b"x" * 30_000), ("model", "here/listener")),
     {"text": "x", "usage": {"type": "duration", "seconds": 12.5}}, 1_250_000, "provider", ("audio_ms", 12500)),
    ("audio/translations", form(("file", b"x" * 30_000), ("model", "here/listener")), {"text": "x", "duration": "8.47"}, 847_000,
     "provider", ("audio_ms", 8470)),
    ("audio/transcriptions", form(("file", b"x" * 30_000), ("model", "here/token-listener")),
     {"text": "x", "usage": {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 12, "text_tokens": 2},
                             "output_tokens": 45}}, 2 * 2500 + 12 * 6000 + 45 * 10_000, "provider", ("none", 0)),
    ("rerank", {"model": "here/ranker", "query": "q", "documents": ["d"] * 101}, {"results": [], "meta": {"billed_units": {"search_units": 2}}},
     4_000_000, "provider", ("search", 2)),
    ("rerank", {"model": "here/ranker", "query": "q", "documents": ["d"] * 101}, {"results": []}, 4_000_000, "counted", ("search", 2)),
    ("rerank", {"model": "here/ranker", "query": "q", "documents": ["d"]}, [{"index": 0, "score": 0.5}], 2_000_000, "counted", ("search", 1)),
    ("rerank", {"model": "here/token-ranker", "query": "q" * 100, "documents": ["d" * 100] * 8},
     {"results": [], "usage": {"total_tokens": 815}}, 16_300, "provider", None),
    ("moderations", {"model": "here/judge", "input": "x"}, {"results": []}, 0, "estimated", ("none", 0)),
    ("responses", {"model": "here/thinker", "input": "x" * 400},
     {"id": "resp_1", "usage": {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 60}, "output_tokens": 20}},
     40 * 1000 + 60 * 100 + 20 * 5000, "provider", ("none", 0)),
    ("chat/completions", {"model": "here/ponderer", "messages": [{"role": "user", "content": "x"}], "max_tokens": 100},
     {"choices": [], "usage": {"prompt_tokens": 60, "prompt_tokens_details": {"cache_write_tokens": 60}, "completion_tokens": 100,
                               "completion_tokens_details": {"reasoning_tokens": 100}}}, 60 * 9000 + 100 * 50_000, "provider", ("none", 0)),
    ("images/edits", form(("image", b"x"), ("prompt", "x"), ("model", "here/token-painter")),
     {"data": [PNG], "usage": {"input_tokens": 6240, "input_tokens_details": {"image_tokens": 6240}, "output_tokens": 6540}},
     6240 * 10_000 + 6540 * 40_000, "provider", ("image", 1)),
    ("completions", {"model": "here/thinker", "prompt": "x" * 40}, {"choices": [{"text": "y"}], "usage": {"prompt_tokens": 10, "completion_tokens": 3}},
     10 * 1000 + 3 * 5000, "provider", ("none", 0)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[3]}-{case[4]}")
def test_every_endpoint_costs_exactly_that(priced, upstream, case):
    path, body, answered, milli, source, units = case
    upstream.handler = lambda call: (call.read(), call.answer(answered))
    answer = raw_call(priced, f"/v1/{path}", body, FORM if isinstance(body, bytes) else "application/json")
    assert answer.status == 200, answer
    cost, entry = cost_of(priced, answer)
    assert (cost, entry["usage_source"]) == (milli, source)
    if units is not None:
        assert (entry.get("unit", "none"), entry.get("units", 0)) == units


@pytest.mark.parametrize("text, characters", [("abc", 3), ("😀é\n", 3), ("a\\u0041", 7)])
def test_speech_is_billed_by_the_character(priced, upstream, text, characters):
    upstream.handler = lambda call: (call.read(), call.answer(b"RIFF" * 100, headers={"content-type": "audio/wav"}))
    for ascii_only in (True, False):
        body = json.dumps({"model": "here/speaker", "input": text, "voice": "x"}, ensure_ascii=ascii_only).encode()
        answer = raw_call(priced, "/v1/audio/speech", body)
        assert answer.body == b"RIFF" * 100 and answer.headers["content-type"] == "audio/wav"
        cost, entry = cost_of(priced, answer)
        assert (cost, entry["usage_source"], entry["units"]) == (characters * 15_000, "counted", characters)
        assert int(answer.trailers["x-weir-used-cu-milli"]) == cost


def test_speech_in_events_is_billed_by_what_it_says(priced, upstream):
    events = [{"type": "speech.audio.delta", "audio": "AAAA"}, {"type": "speech.audio.done", "usage": {"input_tokens": 10, "output_tokens": 30,
                                                                                                 "output_tokens_details": {"audio_tokens": 30}}}]
    upstream.handler = lambda call: (call.read(), call.events(*events))
    answer = raw_call(priced, "/v1/audio/speech", {"model": "here/token-speaker", "input": "x" * 100, "stream_format": "sse"})
    last = json.loads(answer.events()[-1])
    cost, entry = cost_of(priced, answer)
    assert cost == 10 * 600 + 30 * 12_000 == last["usedCUMilli"] and entry["usage_source"] == "provider"
    assert {name: value for name, value in last.items() if name != "usedCUMilli"} == events[-1]


def test_pictures_and_texts_in_events(priced, upstream):
    events = [{"type": "image_generation.partial_image", "b64_json": "AAAA"},
              {"type": "image_generation.completed", "b64_json": "AAAA", "usage": {"input_tokens": 50, "output_tokens": 1056}}]
    upstream.handler = lambda call: (call.read(), call.events(*events))
    answer = raw_call(priced, "/v1/images/generations", {"model": "here/token-painter", "prompt": "x" * 100, "stream": True})
    cost, entry = cost_of(priced, answer)
    assert cost == 50 * 5000 + 1056 * 40_000 == json.loads(answer.events()[-1])["usedCUMilli"]
    assert (entry["unit"], entry["units"], entry["stream"]) == ("image", 1, True)
    events = [{"type": "transcript.text.delta", "delta": "x"},
              {"type": "transcript.text.done", "text": "x", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45}}]
    answer = raw_call(priced, "/v1/audio/transcriptions", form(("file", b"x" * 9000), ("model", "here/token-listener"), ("stream", "true")), FORM)
    assert cost_of(priced, answer)[0] == 14 * 2500 + 45 * 10_000


def test_plain_text_is_estimated_and_stays_as_it_is(priced, upstream):
    text = "1\n00:00:00,000 --> 00:00:02,000\nheard\n".encode()
    upstream.handler = lambda call: (call.read(), call.answer(text, headers={"content-type": "text/plain"}))
    answer = raw_call(priced, "/v1/audio/transcriptions", form(("file", b"x" * 32_000), ("model", "here/listener"), ("response_format", "srt")), FORM)
    assert answer.body == text and answer.headers["content-type"] == "text/plain"
    cost, entry = cost_of(priced, answer)
    assert (cost, entry["usage_source"], entry["unit"], entry["units"]) == (200_000, "estimated", "audio_ms", 2000)


# --- only what is metered ---

def test_a_file_with_an_extended_name_alone_is_reserved_for(priced, upstream):
    """Readers that know `filename*` take the part for a file: it must count as one here."""
    upstream.handler = lambda call: (call.read(), call.answer({"text": "x", "usage": {"type": "duration", "seconds": 30}}))
    sound = (b"--B\r\nContent-Disposition: form-data; name=\"file\"; filename*=utf-8''a.wav\r\n\r\n" + b"x" * 60_000 + b"\r\n")
    answer = raw_call(priced, "/v1/audio/transcriptions", sound + form(("other", b"x"), ("model", "here/listener")), FORM)
    assert answer.status == 200, answer
    assert cost_of(priced, answer)[0] == 3_000_000


def test_what_cannot_be_metered_is_refused_where_that_is_wanted(make_priced, make_upstream):
    upstream = make_upstream()
    gateway = make_priced(upstream, limits={"metered_only": True})
    refused = [("batches", {"input_file_id": "", "endpoint": "/v1/responses"}), ("responses", {"model": "here/thinker", "background": True}),
               ("responses", {"model": "here/thinker", "background": True, "stream": True}), ("embeddings", {"model": "here/unknown", "input": "x"}),
               ("images/generations", {"prompt": "x", "model": "here/unknown"}), ("rerank", {"model": "here/x", "query": "q", "documents": []})]
    for path, body in refused:
        answer = gateway.request("POST", f"/v1/{path}", body)
        assert answer.status == 403 and answer.json()["error"]["code"] == "not_meterable", (path, answer)
    answer = raw_call(gateway, "/v1/audio/transcriptions", form(("file", b"x"), ("model", "here/unknown")), FORM)
    assert answer.status == 403
    assert not upstream.calls and gateway.ledger() == []
    upstream.handler = lambda call: (call.read(), call.answer({"id": "file-1", "data": [], "usage": {"input_tokens": 1, "total_tokens": 1}}))
    assert gateway.request("POST", "/v1/files", form(("purpose", "x"), ("file", b"x")), {"content-type": FORM}).status == 200
    assert gateway.request("POST", "/v1/responses", {"model": "here/thinker", "input": "x"}).status == 200
    assert gateway.request("POST", "/v1/responses", {"model": "here/thinker", "input": "x", "background": False}).status == 200


def test_a_background_response_is_unpriced_until_its_usage_is_seen(priced, upstream):
    """A provider that makes it at once, or streams it, tells what it used: then it is charged as any other."""
    upstream.handler = lambda call: (call.read(), call.answer({"id": "resp_1", "status": "queued", "usage": None}))
    answer = raw_call(priced, "/v1/responses", {"model": "here/thinker", "input": "x" * 99, "background": True})
    cost, entry = cost_of(priced, answer)
    assert (cost, entry["unpriced"], entry["usage_source"]) == (0, True, "none")
    usage = {"input_tokens": 10, "output_tokens": 3}
    upstream.handler = lambda call: (call.read(), call.answer({"id": "resp_2", "status": "completed", "usage": usage}))
    answer = raw_call(priced, "/v1/responses", {"model": "here/thinker", "input": "x" * 99, "background": True})
    cost, entry = cost_of(priced, answer)
    assert (cost, entry["unpriced"], entry["usage_source"]) == (25_000, False, "provider")
    events = [{"type": "response.created", "sequence_number": 0, "response": {"id": "resp_3", "usage": None}},
              {"type": "response.completed", "sequence_number": 1, "response": {"id": "resp_3", "usage": usage}}]
    upstream.handler = lambda call: (call.read(), call.events(*events))
    answer = raw_call(priced, "/v1/responses", {"model": "here/thinker", "input": "x" * 99, "background": True, "stream": True})
    cost, entry = cost_of(priced, answer)
    assert (cost, entry["unpriced"], entry["usage_source"]) == (25_000, False, "provider")


# --- answers that are large, or no JSON ---

def test_sound_goes_through_as_it_is_made(priced, upstream):
    """The first bytes are with the client before the provider has made the last ones, which it does when it is told to."""
    go_on = threading.Event()

    def handler(call):
        call.read()
        call.head(200, {"content-type": "audio/mpeg", "transfer-encoding": "chunked"})
        call.chunk(b"first" * 1000)
        assert go_on.wait(60 * PATIENCE)
        call.chunk(b"last")
        call.end_chunks()

    upstream.handler = handler
    body = json.dumps({"model": "here/speaker", "input": "abc"}).encode()
    with RawConnection(priced.address) as raw:
        raw.send(f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {priced.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        status, headers = raw.read_head()
        assert status == 200 and headers["trailer"] == "x-weir-used-cu-milli"
        raw.read_until(b"firstfirstfirst")
        assert not go_on.is_set()
        go_on.set()
        rest = raw.read_until(b"\r\n\r\n")
        assert rest.endswith(b"0\r\nx-weir-used-cu-milli: 45000\r\n\r\n")


@pytest.mark.parametrize("how", ["length", "chunked"])
@pytest.mark.parametrize("kind, path", [("audio/mpeg", "audio/speech"), ("application/json", "images/generations")])
def test_an_answer_that_is_cut_never_looks_whole(priced, upstream, how, kind, path):
    size = 2 * MIB

    def handler(call):
        call.read()
        content = b'{"data":[{"b64_json":"' + b"A" * size
        if how == "length":
            call.head(200, {"content-type": kind, "content-length": len(content) + 10})
            call.send(content)
        else:
            call.head(200, {"content-type": kind, "transfer-encoding": "chunked"})
            call.chunk(content)
        call.close()

    upstream.handler = handler
    answer = priced.request("POST", f"/v1/{path}", {"model": "here/speaker", "input": "abc", "prompt": "x"})
    assert not answer.complete or answer.status == 502
    assert priced.entry_of(answer.headers["x-request-id"])["outcome"] == "error"


def test_files_come_back_byte_for_byte(priced, upstream):
    content = os.urandom(MIB) * 20

    def handler(call):
        call.read()
        if call.path.endswith("/content"):
            call.answer(content, headers={"content-type": "application/octet-stream", "content-disposition": 'attachment; filename="a"'})
        else:
            call.answer({"id": "file-1"})

    upstream.handler = handler
    assert raw_call(priced, "/v1/files", form(("purpose", "x"), ("file", b"x")), FORM).status == 200
    answer = priced.request("GET", "/v1/files/file-1/content")
    assert answer.body == content and answer.complete
    assert answer.headers["content-disposition"] == 'attachment; filename="a"'
    content = b'{"usage": {"prompt_tokens": 1} }\n' * (MIB // 16)  # lines of JSON that call themselves JSON
    upstream.handler = lambda call: (call.read(), call.answer(content, headers={"content-type": "application/json"}))
    answer = priced.request("GET", "/v1/files/file-1/content")
    assert answer.body == content
    assert priced.entry_of(answer.headers["x-request-id"])["cost_cu_milli"] == 0
    content = b"not json"
    upstream.handler = lambda call: (call.read(), call.answer(content, headers={"content-type": "application/json"}))
    assert priced.request("GET", "/v1/files/file-1/content").body == content


def large_picture(usage, before=""):
    return ('{' + before + '"data":[{"b64_json":"' + "A" * (3 * MIB) + '"}],"usage":' + json.dumps(usage) + "}").encode()


def test_large_pictures_cost_what_stands_at_their_end(priced, upstream):
    content = large_picture({"input_tokens": 50, "output_tokens": 1056})
    upstream.handler = lambda call: (call.read(), call.answer(content, headers={"content-type": "application/json"}))
    answer = raw_call(priced, "/v1/images/generations", {"model": "here/token-painter", "prompt": "x" * 100})
    assert answer.body == content
    entry = priced.entry_of(answer.headers["x-request-id"])
    assert entry["cost_cu_milli"] == 50 * 5000 + 1056 * 40_000 == int(answer.trailers["x-weir-used-cu-milli"])


def test_usage_that_somebody_wrote_into_a_large_answer_is_not_its_usage(priced, upstream):
    """What a client has said may stand in the answer again. The answer's own usage is the last one."""
    echo = '"tools":[{"parameters":{"usage":{"input_tokens":0,"output_tokens":0}}}],'
    content = large_picture({"input_tokens": 50, "output_tokens": 1056}, echo)
    upstream.handler = lambda call: (call.read(), call.answer(content, headers={"content-type": "application/json"}))
    answer = raw_call(priced, "/v1/images/generations", {"model": "here/token-painter", "prompt": "x" * 100})
    assert int(answer.trailers["x-weir-used-cu-milli"]) == 50 * 5000 + 1056 * 40_000


def test_an_answer_without_content_has_no_body(priced, upstream):
    """204 has none, whatever its type would be: a chunk behind it would be read as the next answer."""
    upstream.handler = lambda call: (call.read(), call.head(204))
    body = json.dumps({"model": "here/speaker", "input": "abc"}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {priced.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with RawConnection(priced.address) as raw:
        for _ in range(2):
            raw.send(head + body)
            status, headers = raw.read_head()
            assert status == 204
            assert "transfer-encoding" not in headers and "content-length" not in headers


def test_json_to_a_path_that_takes_forms_too_says_what_it_is(priced, upstream):
    upstream.handler = lambda call: (call.read(), call.answer({"data": []}))
    body = json.dumps({"model": "here/painter", "prompt": "x", "images": [{"image_url": "x"}]}).encode()
    with RawConnection(priced.address) as raw:
        raw.send(f"POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {priced.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        assert raw.read_answer().status == 200
    assert upstream.calls[-1].headers["content-type"] == "application/json"
    assert json.loads(upstream.calls[-1].body)["model"] == "painter"


# --- vectors ---

def test_vectors_arrive_as_the_official_client_asked(priced, upstream):
    numbers = [0.5, -0.25, 0.1, 1e-45, -0.0]
    content = b'{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5, -0.25,0.1,1e-45,-0]}],"usage":{"prompt_tokens":1,"total_tokens":1}}'
    upstream.handler = lambda call: (call.read(), call.answer(content, headers={"content-type": "application/json"}))
    with openai.OpenAI(base_url=priced.base_url, api_key=priced.key, max_retries=0) as client:
        made = client.embeddings.create(model="here/embedder", input="x").data[0].embedding
    assert [struct.pack("<f", number) for number in made] == [struct.pack("<f", number) for number in numbers]
    raw = priced.request("POST", "/v1/embeddings", {"model": "here/embedder", "input": "x", "encoding_format": "base64"}).json()
    assert base64.b64decode(raw["data"][0]["embedding"]) == struct.pack("<5f", *numbers)
    raw = priced.request("POST", "/v1/embeddings", {"model": "here/embedder", "input": "x"}).json()
    assert raw["data"][0]["embedding"] == [0.5, -0.25, 0.1, 1e-45, 0]


def test_many_large_vectors_are_written_whole(priced, upstream):
    vector = ",".join(["0.0123456789"] * 3000)
    content = ('{"data":[' + ",".join(f'{{"index":{n},"embedding":[{vector}]}}' for n in range(300)) + '],"usage":{"prompt_tokens":600,"total_tokens":600}}').encode()
    upstream.handler = lambda call: (call.read(), call.answer(content, headers={"content-type": "application/json"}))
    answer = priced.request("POST", "/v1/embeddings", {"model": "here/embedder", "input": ["xx"] * 300, "encoding_format": "base64"})
    expected = base64.b64encode(struct.pack("<f", 0.0123456789) * 3000).decode()
    assert [item["embedding"] for item in answer.json()["data"]] == [expected] * 300
    assert cost_of(priced, answer)[0] == 600 * 130


# --- events of the Responses API ---

def response_events(*more):
    return [{"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "usage": None}},
            {"type": "response.output_text.delta", "sequence_number": 1, "delta": "one two"}, *more]


LAST = {"type": "response.completed", "sequence_number": 2, "response": {"id": "resp_1", "usage": {"input_tokens": 10, "output_tokens": 3}}}


def ask_stream(gateway, **more):
    return raw_call(gateway, "/v1/responses", {"model": "here/thinker", "input": "x" * 99, "stream": True, **more})


def test_events_pass_byte_for_byte_but_for_the_last(priced, upstream):
    odd = [b"event: response.created\ndata: " + json.dumps(response_events()[0]).encode() + b"\n\n", b": a comment\n\n",
           b'event: response.new.kind\ndata: {"type":"response.new.kind", "sequence_number":1.0 ,"x":[1.0e0]}\n\n', b"event: ping\ndata:\n\n",
           b'data: {"type":"response.completed","sequence_number":2,"response":{"id":"resp_1","usage":{"input_tokens":10,"output_tokens":3}} }\r\n\r\n']
    upstream.handler = lambda call: (call.read(), call.events(*odd))
    answer = ask_stream(priced)
    expected = b"".join(odd)[:-len(b"}\r\n\r\n")] + b',"usedCUMilli":25000}\r\n\r\n'
    assert answer.body == expected
    assert cost_of(priced, answer)[0] == 25_000


@pytest.mark.parametrize("kind", ["response.failed", "response.incomplete"])
def test_a_response_that_ends_otherwise_is_told_and_charged(priced, upstream, kind):
    events = response_events({**LAST, "type": kind})
    upstream.handler = lambda call: (call.read(), call.events(*events))
    answer = ask_stream(priced)
    told = [json.loads(event) for event in answer.events()]
    assert told[:-1] == events[:-1] and told[-1] == {**events[-1], "usedCUMilli": 25_000}
    cost, entry = cost_of(priced, answer)
    assert cost == 25_000 and entry["outcome"] == ("error" if kind == "response.failed" else "ok")


@pytest.mark.parametrize("how", ["end", "reset", "malformed"])
def test_a_stream_that_breaks_off_ends_in_an_event_that_clients_wait_for(priced, upstream, how):
    def handler(call):
        call.read()
        call.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for event in response_events():
            call.chunk(b"data: " + json.dumps(event).encode() + b"\n\n")
        if how == "end":
            call.end_chunks()
        elif how == "malformed":
            call.send(b"zzz\r\n")
        call.close()

    upstream.handler = handler
    answer = ask_stream(priced)
    told = [json.loads(event) for event in answer.events()]
    assert told[:2] == response_events() and len(told) == 3
    assert (told[2]["type"], told[2]["sequence_number"], told[2]["response"]["id"]) == ("response.failed", 2, "resp_1")
    assert told[2]["response"]["status"] == "failed" and told[2]["request_id"] == answer.headers["x-request-id"]
    cost, entry = cost_of(priced, answer)
    assert (entry["usage_source"], entry["outcome"]) == ("aborted", "error") and cost > 0
    assert "-key" not in answer.body.decode()


def test_an_error_event_passes_or_becomes_the_answer(priced, upstream):
    error = {"type": "error", "code": "server_error", "message": "broken", "sequence_number": 2}
    upstream.handler = lambda call: (call.read(), call.events(*response_events(error)))
    answer = ask_stream(priced)
    assert answer.status == 200 and json.loads(answer.events()[-1])["message"] == "broken"
    assert len(answer.events()) == 3
    upstream.handler = lambda call: (call.read(), call.events({**error, "sequence_number": 0}))
    answer = ask_stream(priced)
    assert answer.status >= 500 and "error" in answer.json()


def test_a_number_in_a_stream_may_be_as_large_as_it_likes(priced, upstream):
    events = [{**response_events()[1], "sequence_number": number} for number in (5, 2**63 - 1, -2**63, 2**64)]
    upstream.handler = lambda call: (call.read(), call.events(*events))
    told = [json.loads(event) for event in ask_stream(priced).events()]
    assert told[:-1] == events and (told[-1]["type"], told[-1]["sequence_number"]) == ("response.failed", 6)


def test_the_cost_is_told_once_also_behind_a_gateway_that_tells_its_own(priced, upstream):
    usage = {"input_tokens": 10, "output_tokens": 3}
    upstream.handler = lambda call: (call.read(), call.answer({"id": "resp_1", "usage": usage}, headers={"X-Weir-Used-CU-Milli": "7"}))
    with RawConnection(priced.address) as raw:
        body = json.dumps({"model": "here/thinker", "input": "x" * 99}).encode()
        raw.send(f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {priced.key}\r\nContent-Type: application/json\r\n"
                 f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        head = raw.read_rest().split(b"\r\n\r\n")[0].lower()
    assert head.count(b"x-weir-used-cu-milli:") == 1 and b"x-weir-used-cu-milli: 25000" in head


def test_a_response_that_is_streamed_again_costs_nothing(priced, upstream):
    events = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in response_events(LAST)]
    upstream.handler = lambda call: (call.read(), call.events(*events))
    first = ask_stream(priced)
    assert first.status == 200
    answer = priced.request("GET", "/v1/responses/resp_1?stream=true&starting_after=0")
    assert answer.body == b"".join(events)
    entry = priced.entry_of(answer.headers["x-request-id"])
    assert (entry["cost_cu_milli"], entry["endpoint"], entry["outcome"]) == (0, "responses.get", "ok")
    assert upstream.calls[-1].target == "/v1/responses/resp_1?stream=true&starting_after=0"


def peak_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


# --- slow and old clients ---

def test_a_client_that_does_not_read_stops_the_provider(make_priced, make_upstream):
    content = os.urandom(MIB) * 64
    sent = []

    def handler(call):
        call.read()
        if not call.path.endswith("/content"):
            return call.answer({"id": "file-1"})
        call.head(200, {"content-type": "application/octet-stream", "content-length": len(content)})
        for at in range(0, len(content), MIB):
            call.send(content[at:at + MIB])
            sent.append(at)

    upstream = make_upstream(handler)
    priced = make_priced(upstream)
    assert raw_call(priced, "/v1/files", form(("purpose", "x"), ("file", b"x")), FORM).status == 200
    before_it = peak_bytes(priced.pid)
    with RawConnection(priced.address) as raw:
        raw.send(f"GET /v1/files/file-1/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {priced.key}\r\n\r\n".encode())
        assert raw.read_head()[0] == 200
        raw.read_exactly(MIB)
        before, seen = -1, 0
        while seen != before:  # until the provider gets no more rid of: the sockets and our own bound are full
            before = seen
            threading.Event().wait(0.5)
            seen = len(sent)
        assert len(sent) < 48
    until(lambda: any(entry["outcome"] == "aborted" for entry in priced.ledger()), "the ledger to tell that the client left")
    assert peak_bytes(priced.pid) - before_it < 48 * MIB
    answer = priced.request("GET", "/v1/files/file-1/content")
    assert answer.body == content


def test_an_old_client_gets_sound_that_ends_with_the_connection(priced, upstream):
    upstream.handler = lambda call: (call.read(), call.answer(b"RIFF" * 100, headers={"content-type": "audio/wav"}))
    body = json.dumps({"model": "here/speaker", "input": "abc"}).encode()
    with RawConnection(priced.address) as raw:
        raw.send(f"POST /v1/audio/speech HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {priced.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        status, headers = raw.read_head()
        assert status == 200 and "transfer-encoding" not in headers and headers["connection"] == "close"
        assert raw.read_rest() == b"RIFF" * 100
    assert priced.entry_of(headers["x-request-id"])["cost_cu_milli"] == 45_000


def test_fields_that_any_connection_field_names_stay_behind(priced, upstream):
    upstream.handler = lambda call: (call.read(), call.send(b"HTTP/1.1 200 OK\r\nConnection: x-a\r\nConnection: keep-alive, X-B\r\nX-A: 1\r\nX-B: 2\r\n"
                                                            b"X-C: 3\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"))
    answer = priced.request("POST", "/v1/moderations", {"model": "here/m", "input": "x"})
    assert answer.status == 200 and answer.headers["x-c"] == "3"
    assert "x-a" not in answer.headers and "x-b" not in answer.headers

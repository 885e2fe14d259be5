"""Requests that are translated for their provider: a client of the Messages API in front of a provider that speaks chat completions, and the other way round,
when all is well and when it is not. What must arrive is written by hand from the vendors' documents."""
import json
import os
import random
import socket
import threading

import pytest

from harness import plain
from harness.limits import TOKEN, prices, put_budget
from harness.plain import RawConnection
from harness.processes import default_settings
from harness.upstream import Upstream, bytewise, provider
from harness.waiting import SCALE, until

INPUT, OUTPUT = 150, 600  # milli-CU of a token of sim-small


def body_of(text="Hello, weir", **fields):
    return {"model": "sim-small", "max_tokens": 300, "messages": [{"role": "user", "content": text}], **fields}


def ask(gateway, headers=None, **fields):
    return gateway.request("POST", "/v1/messages", body_of(**fields), {**gateway.authorization, **(headers or {})})


def events_of(body):
    """[(name, data)] of a stream of the Messages API; each event is a name, a line of data, and a blank line."""
    found = []
    for block in body.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        assert name.startswith("event: ") and data.startswith("data: "), block
        found.append((name[7:], json.loads(data[6:])))
        assert found[-1][0] == found[-1][1]["type"]
    return found


def text_of(events):
    return "".join(data["delta"]["text"] for name, data in events
                   if name == "content_block_delta" and data["delta"]["type"] == "text_delta")


def start(gateway, body, **headers):
    """A call whose answer is read by hand."""
    data = json.dumps(body).encode()
    raw = RawConnection(gateway.address, timeout=30 * SCALE)
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    raw.send(f"POST /v1/messages HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer {gateway.key}\r\n"
             f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n{fields}\r\n".encode() + data)
    return raw


def direct(sim, text="Hello, weir", **headers):
    """What the simulator says to that, asked in its own dialect."""
    answer = plain.call(sim.address, "POST", "/v1/chat/completions", {"authorization": "Bearer sim-key", **headers},
                        {"model": "sim-small", "messages": [{"role": "user", "content": text}], "max_tokens": 300})
    return answer.json()


# --- when all is well ---

def test_a_whole_answer(gateway, sim):
    answer = ask(gateway)
    expected = direct(sim)
    found = answer.json()
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    usage = expected["usage"]
    cost = usage["prompt_tokens"] * INPUT + usage["completion_tokens"] * OUTPUT
    assert found["content"] == [{"type": "text", "text": expected["choices"][0]["message"]["content"]}]
    assert (found["type"], found["role"], found["model"], found["stop_reason"]) == ("message", "assistant", "sim-small", "end_turn")
    assert found["usage"]["input_tokens"] + found["usage"]["cache_read_input_tokens"] == usage["prompt_tokens"]
    assert found["usage"]["output_tokens"] == usage["completion_tokens"]
    assert found["usage"]["usedCUMilli"] == int(answer.headers["x-weir-used-cu-milli"])
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert entry["endpoint"] == "messages" and entry["usage_source"] == "provider" and entry["outcome"] == "ok"
    assert (entry["input_tokens"], entry["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert entry["cost_cu_milli"] == found["usage"]["usedCUMilli"] == cost - entry["cached_tokens"] * (INPUT - 75)
    assert entry["cost_cu_milli"] <= entry["reserved_cu_milli"]


def test_a_stream(gateway, sim):
    answer = ask(gateway, stream=True)
    expected = direct(sim)
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream") and answer.complete
    events = events_of(answer.body)
    names = [name for name, _ in events if name != "ping"]
    pieces = names.count("content_block_delta")
    assert names == ["message_start", "content_block_start", *["content_block_delta"] * pieces, "content_block_stop", "message_delta", "message_stop"]
    assert pieces == expected["usage"]["completion_tokens"]
    assert text_of(events) == expected["choices"][0]["message"]["content"]
    last = events[-2][1]
    assert last["delta"]["stop_reason"] == "end_turn"
    assert last["usage"]["output_tokens"] == expected["usage"]["completion_tokens"]
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert entry["stream"] and entry["usage_source"] == "provider"
    assert last["usage"]["usedCUMilli"] == events[-1][1]["usedCUMilli"] == entry["cost_cu_milli"] > 0
    assert "usedCUMilli" not in json.dumps(events[:-2])


def test_what_the_provider_is_asked(make_gateway, make_upstream, sim):
    """A body of its own dialect, its own credential, and none of the client's fields but those that are for everybody."""
    upstream = make_upstream(lambda asked: (asked.read(), asked.answer(completion())))
    gateway = make_gateway(sim, providers=[provider("here", upstream, catch_all=True, forward_headers=["x-mine"])], models=[])
    answer = ask(gateway, {"user-agent": "tester/1", "anthropic-beta": "x-1", "anthropic-version": "2023-06-01", "x-mine": "yes", "x-other": "no",
                           "idempotency-key": "k", "x-weir-strict-params": "true", "accept": "text/html"},
                 system="Be brief.", stop_sequences=["END"], model="m")
    assert answer.status == 200
    call, = upstream.calls
    assert (call.method, call.target) == ("POST", "/v1/chat/completions")
    assert json.loads(call.body) == {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello, weir"}],
                                     "max_tokens": 300, "stop": ["END"]}
    names = set(call.headers)
    assert names == {"host", "authorization", "content-type", "content-length", "x-request-id", "traceparent", "user-agent", "x-mine"}
    assert call.headers["authorization"] == "Bearer here-key" and call.headers["content-type"] == "application/json"
    assert call.headers["x-request-id"] == answer.headers["x-request-id"]
    # and none of the provider's fields come back
    assert not set(answer.headers) & {"x-mine", "openai-organization", "x-ratelimit-remaining-requests"}


def completion(text="well", prompt=7, output=3):
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}}


def test_the_same_request_is_the_same_bytes(make_gateway, make_upstream, sim):
    """Caches of prompts depend on it."""
    upstream = make_upstream(lambda asked: (asked.read(), asked.answer(completion())))
    gateway = make_gateway(sim, providers=[provider("here", upstream, catch_all=True)], models=[])
    tool = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}}
    for _ in range(3):
        assert ask(gateway, model="m", tools=[tool], tool_choice={"type": "auto"}).status == 200
    assert len({call.body for call in upstream.calls}) == 1


def test_a_stream_that_is_answered_whole_is_told_as_a_stream(make_gateway, make_upstream, sim):
    answer = completion("all at once")
    answer["choices"][0]["message"]["tool_calls"] = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"\\"x\\""}'}}]
    answer["choices"][0]["finish_reason"] = "tool_calls"
    upstream = make_upstream(lambda asked: (asked.read(), asked.answer(answer)))
    gateway = make_gateway(sim, providers=[provider("here", upstream, catch_all=True)], models=[])
    tool = {"name": "look", "input_schema": {"type": "object"}}
    found = ask(gateway, model="m", stream=True, tools=[tool])
    events = events_of(found.body)
    assert found.headers["content-type"].startswith("text/event-stream") and text_of(events) == "all at once"
    arguments = "".join(data["delta"]["partial_json"] for name, data in events
                        if name == "content_block_delta" and data["delta"]["type"] == "input_json_delta")
    assert json.loads(arguments) == {"at": '"x"'}
    assert [data["delta"]["stop_reason"] for name, data in events if name == "message_delta"] == ["tool_use"]
    assert events[-1][0] == "message_stop"
    entry = gateway.entry_of(found.headers["x-request-id"])
    assert (entry["input_tokens"], entry["output_tokens"], entry["usage_source"]) == (7, 3, "provider")


def test_a_stream_that_was_not_asked_for_is_a_failure(make_gateway, make_upstream, sim):
    upstream = make_upstream(lambda asked: (asked.read(), asked.events({"choices": []}, b"data: [DONE]\n\n")))
    gateway = make_gateway(sim, providers=[provider("here", upstream, catch_all=True)], models=[])
    found = ask(gateway, model="m")
    assert found.status == 502 and "which was not asked for" in found.json()["error"]["message"]


# --- parameters ---

def test_parameters_that_are_ignored_are_told(gateway):
    answer = ask(gateway, {"origin": "http://localhost:3000"}, top_k=3, made_up=1)
    assert answer.status == 200 and answer.headers["x-weir-ignored-params"] == "top_k, made_up"
    assert "x-weir-ignored-params" in answer.headers["access-control-expose-headers"]
    assert "x-weir-ignored-params" not in ask(gateway).headers
    assert ask(gateway, stream=True, top_k=3).headers["x-weir-ignored-params"] == "top_k"


def test_what_a_field_cannot_carry_is_not_in_it(gateway):
    answer = ask(gateway, **{"né\r\nx-evil: 1, y": 1, **{f"{'z' * 60}{number}": 1 for number in range(40)}})
    assert answer.status == 200 and "x-evil" not in answer.headers
    names = answer.headers["x-weir-ignored-params"].split(", ")
    assert names[0] == "n????x-evil:?1??y" and names[-1] == "..." and len(answer.headers["x-weir-ignored-params"]) < 1100


def test_strict_parameters(make_gateway, sim):
    gateway = make_gateway(sim, dialects={"strict_params": True})
    for headers, status in ((None, 400), ({"x-weir-strict-params": "false"}, 200), ({"x-weir-strict-params": "true"}, 400)):
        answer = ask(gateway, headers, top_k=3)
        assert answer.status == status
        if status == 400:
            error = answer.json()["error"]
            assert error["type"] == "invalid_request_error" and error["details"]["field"] == "top_k"
            assert error["details"]["reason"] == "parameter_unsupported"
    assert ask(gateway).status == 200


def test_a_parameter_that_no_provider_can_be_asked(gateway, sim):
    before = len(sim.log())
    error = ask(gateway, container="c").json()
    assert error["type"] == "error" and error["error"]["details"] == {
        "reason": "parameter_unsupported", "field": "container",
        "hint": "leave it out, or use a model whose provider can (docs/dialects.md)"}
    assert len(sim.log()) == before


def test_a_body_that_is_wrong(gateway, sim):
    before = len(sim.log())
    answer = ask(gateway, messages=[{"role": "user", "content": [{"type": "text", "text": 5}]}])
    assert answer.status == 400 and answer.json()["error"]["details"]["field"].startswith("messages[0].content")
    assert len(sim.log()) == before


def test_an_endpoint_that_no_provider_has(make_gateway, make_upstream, sim):
    upstream = make_upstream()
    gateway = make_gateway(sim, providers=[provider("here", upstream, catch_all=True, dialect="anthropic")], models=[])
    answer = gateway.request("POST", "/v1/images/generations", {"model": "m", "prompt": "a cat"}, gateway.authorization)
    assert answer.status == 400 and answer.json()["error"]["code"] == "endpoint_unsupported"
    answer = gateway.request("POST", "/v1/embeddings", {"model": "m", "input": "a cat"}, gateway.authorization)
    assert answer.status == 400 and answer.json()["error"]["code"] == "endpoint_unsupported"
    assert not upstream.calls


def test_counting_without_a_provider_that_can(gateway, sim):
    before = len(sim.log())
    answer = gateway.request("POST", "/v1/messages/count_tokens",
                             {"model": "sim-small", "messages": [{"role": "user", "content": "x" * 400}]}, gateway.authorization)
    assert answer.status == 200 and answer.headers["x-weir-estimated"] == "true"
    assert answer.json() == {"input_tokens": 100}
    assert len(sim.log()) == before


# --- when the provider misbehaves ---

@pytest.mark.parametrize(("fault", "status", "kind", "reason"), [
    ("status=400", 400, "invalid_request_error", "upstream_refused"),
    ("status=401", 502, "api_error", "upstream_auth"),
    ("status=404", 404, "not_found_error", "upstream_refused"),
    ("status=429; retry-after=7", 429, "rate_limit_error", "upstream_rate_limited"),
    ("status=500", 500, "api_error", "upstream_error"),
    ("status=503", 503, "overloaded_error", "upstream_error"),
    ("status=529", 529, "overloaded_error", "upstream_error"),
    ("close", 502, "api_error", "upstream_closed"),
    ("reset-head", 502, "api_error", "upstream_closed"),
    ("wrong-type", 502, "api_error", "upstream_protocol"),
    ("bad-json", 502, "api_error", "upstream_protocol"),
    ("cut=3", 502, "api_error", "upstream_closed"),
])
def test_a_failure_in_the_callers_own_shape(gateway, fault, status, kind, reason):
    answer = ask(gateway, {"x-sim-fault": fault})
    body = answer.json()
    assert answer.status == status and answer.headers["content-type"] == "application/json"
    assert body["type"] == "error" and body["error"]["type"] == kind
    assert body["error"]["details"]["reason"] == reason
    if "retry-after" in fault:
        assert answer.headers["retry-after"] == "7"
        assert body["error"]["details"]["provider_code"] == "rate_limit_exceeded"
        assert "Rate limit reached" in body["error"]["message"]
    if not fault.startswith("status=4"):
        return
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert entry["cost_cu_milli"] == 0 and entry["reason"] == reason


def test_a_credential_is_told_to_nobody(make_gateway, make_upstream, sim):
    def refuse(asked):
        asked.read()
        asked.answer({"error": {"message": f"no such model for {asked.headers['authorization']}", "type": "invalid_request_error",
                                "code": f"not-{asked.headers['authorization'][7:]}"}}, 404)
    upstream = make_upstream(refuse)
    key = "sk-very-secret-0123456789"
    gateway = make_gateway(sim, providers=[{**provider("here", upstream, catch_all=True), "api_key": key}], models=[])
    answer = ask(gateway, model="m")
    assert answer.status == 404 and key.encode() not in answer.body and b"no such model for Bearer ****" in answer.body


BROKEN = [("cut=5", "upstream_closed"), ("truncate=5", "upstream_closed"), ("reset-mid", "upstream_closed"),
          ("bad-chunk", "upstream_protocol"), ("bad-json", "upstream_protocol"), ("error-event", "upstream_error")]


@pytest.mark.parametrize(("fault", "reason"), BROKEN)
def test_a_stream_that_breaks_ends_with_an_error_event(gateway, fault, reason):
    answer = ask(gateway, {"x-sim-fault": fault, "x-sim-tokens": "20"}, stream=True)
    assert answer.status == 200 and answer.complete
    events = events_of(answer.body)
    assert events[0][0] == "message_start" and events[-1][0] == "error"
    assert "message_stop" not in [name for name, _ in events]
    error = events[-1][1]["error"]
    assert error["details"]["reason"] == reason and error["request_id"] == answer.headers["x-request-id"]
    if reason == "upstream_error":
        assert error["type"] in ("api_error", "overloaded_error")
    entry = gateway.entry_of(answer.headers["x-request-id"])
    pieces = sum(name == "content_block_delta" for name, _ in events)
    assert pieces > 0 and (entry["usage_source"], entry["output_tokens"]) == ("aborted", pieces)
    assert entry["cost_cu_milli"] == entry["input_tokens"] * INPUT + pieces * OUTPUT <= entry["reserved_cu_milli"]


def test_a_stream_that_stalls(make_gateway, sim):
    gateway = make_gateway(sim, timeouts={"idle": "300ms"})
    answer = ask(gateway, {"x-sim-fault": "stall=4"}, stream=True)
    events = events_of(answer.body)
    assert events[-1][1]["error"]["details"]["reason"] == "upstream_idle_timeout"
    assert sum(name == "content_block_delta" for name, _ in events) == 4


def test_a_stream_without_its_last_event_is_whole(gateway, sim):
    answer = ask(gateway, {"x-sim-fault": "no-done"}, stream=True)
    events = events_of(answer.body)
    assert events[-1][0] == "message_stop" and text_of(events) == direct(sim)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("stream", [False, True])
def test_usage_that_is_not_told_is_estimated(gateway, stream):
    answer = ask(gateway, {"x-sim-fault": "no-usage", "x-sim-tokens": "20"}, stream=stream)
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert entry["usage_source"] == "estimated" and entry["output_tokens"] > 0 and entry["input_tokens"] > 0
    assert entry["cost_cu_milli"] == entry["input_tokens"] * INPUT + entry["output_tokens"] * OUTPUT
    if stream:
        assert entry["output_tokens"] == 20
        used = events_of(answer.body)[-2][1]["usage"]
    else:
        text = answer.json()["content"][0]["text"]
        assert entry["output_tokens"] == (len(text) + 3) // 4
        used = answer.json()["usage"]
    assert used["output_tokens"] == entry["output_tokens"] and used["usedCUMilli"] == entry["cost_cu_milli"]


def test_an_answer_has_a_largest_size(gateway):
    assert len(ask(gateway, {"x-sim-fault": "huge=4000000"}).json()["content"][0]["text"]) == 4000000
    answer = ask(gateway, {"x-sim-fault": "huge=20000000"})
    assert answer.status == 502 and "larger than one that is translated may be" in answer.json()["error"]["message"]


# --- another candidate ---

def two(make_gateway, sim, first, second, **more):
    """A model whose candidates speak different dialects."""
    names = [one["name"] for one in (first, second)]
    targets = [{"provider": name, "model": "sim-small", "order": number} for number, name in enumerate(names)]
    return make_gateway(sim, providers=[first, second], models=[{"name": "sim-small", "targets": targets}], **more)


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "native"}],
           "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 2}}


def native(asked):
    """The Messages API, which knows one answer."""
    asked.read()
    asked.answer(MESSAGE)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["status=503", "close", "reset-after-head", "wrong-type"])
def test_translated_first_then_native(make_gateway, make_upstream, sim, fault, stream):
    upstream = make_upstream(native)
    simulated = {"name": "sim", "base_url": sim.base_url, "api_key": "sim-key", "forward_headers": ["x-sim-fault"]}
    gateway = two(make_gateway, sim, simulated, provider("anth", upstream, dialect="anthropic"))
    answer = ask(gateway, {"x-sim-fault": fault}, top_k=5, stream=stream)
    assert answer.status == 200 and answer.json()["content"] == MESSAGE["content"]
    assert "x-weir-ignored-params" not in answer.headers  # the provider that has answered was asked all of it
    call, = upstream.calls
    assert call.path == "/v1/messages" and json.loads(call.body) == {**body_of(), "top_k": 5, "stream": stream}
    attempts = gateway.entry_of(answer.headers["x-request-id"])["attempts"]
    assert [attempt["provider"] for attempt in attempts if attempt["reason"] is None] == ["anth"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("manner", ["status", "close"])
def test_native_first_then_translated(make_gateway, make_upstream, sim, manner, stream):
    def fail(asked):
        asked.read()
        if manner == "close":
            asked.close()
        else:
            asked.answer({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529)
    upstream = make_upstream(fail)
    simulated = {"name": "sim", "base_url": sim.base_url, "api_key": "sim-key"}
    gateway = two(make_gateway, sim, provider("anth", upstream, dialect="anthropic"), simulated)
    answer = ask(gateway, stream=stream, top_k=5)
    assert answer.status == 200 and answer.headers["x-weir-ignored-params"] == "top_k"
    expected = direct(sim)["choices"][0]["message"]["content"]
    assert (text_of(events_of(answer.body)) if stream else answer.json()["content"][0]["text"]) == expected
    attempts = gateway.entry_of(answer.headers["x-request-id"])["attempts"]
    assert attempts[-1]["provider"] == "sim" and attempts[-1]["reason"] is None
    assert attempts[0]["reason"] == ("upstream_error" if manner == "status" else "upstream_closed")


def test_an_error_in_a_streams_first_event_lets_another_one_answer(make_gateway, make_upstream, sim):
    first = make_upstream(lambda asked: (asked.read(), asked.events({"error": {"message": "not now", "type": "server_error", "code": "busy"}})))
    second = make_upstream(native)
    gateway = two(make_gateway, sim, provider("chat", first), provider("anth", second, dialect="anthropic"))
    assert ask(gateway, stream=True).json()["content"] == MESSAGE["content"]
    alone = make_gateway(sim, providers=[provider("chat", first, catch_all=True)], models=[])
    answer = ask(alone, stream=True)
    error = answer.json()["error"]
    assert answer.status >= 500 and "not now" in error["message"] and error["details"]["provider_code"] == "busy"


def test_a_candidate_that_cannot_be_asked_it_is_passed_over(make_gateway, make_upstream, sim):
    """A parameter that only one of them has; the other one is asked where it is not said."""
    upstream = make_upstream(native)
    simulated = {"name": "sim", "base_url": sim.base_url, "api_key": "sim-key"}
    gateway = two(make_gateway, sim, simulated, provider("anth", upstream, dialect="anthropic"))
    assert ask(gateway, container="c").json()["content"] == MESSAGE["content"]
    assert ask(gateway).json()["content"] != MESSAGE["content"]
    assert ask(gateway, {"x-weir-strict-params": "true"}, top_k=1).json()["content"] == MESSAGE["content"]


# --- clients ---

def test_a_slow_reader_stops_the_provider_and_gets_everything_in_the_end(make_gateway, sim):
    gateway = make_gateway(sim)
    body = body_of(stream=True, max_tokens=400000)
    with start(gateway, body, x_sim_tokens=200000) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        raw.read_head()
        sizes = []

        def steady():
            sizes.append(resident(gateway.pid))
            return len(sizes) > 20 and max(sizes[-20:]) - min(sizes[-20:]) < 64 * 1024

        until(steady, "memory to stop growing while nobody reads", 20, step=0.05)
        assert sizes[-1] - sizes[0] < (30 << 20) * max(1, SCALE)
        data, _ = raw.read_chunks()
    events = events_of(data)
    assert sum(name == "content_block_delta" for name, _ in events) == 200000 and events[-1][0] == "message_stop"


def resident(pid):
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.mark.tsan
@pytest.mark.parametrize("leave", ["reset", "close", "end"])
def test_a_client_that_leaves_closes_the_provider_and_is_settled(make_gateway, make_sim, leave):
    sim = make_sim()
    gateway = make_gateway(sim)
    raw = start(gateway, body_of(stream=True), x_sim_rate=20, x_sim_tokens=2000)
    raw.read_until(b"content_block_delta")
    {"reset": raw.reset, "close": raw.socket.close, "end": raw.end}[leave]()
    entry = gateway.wait_ledger(1)[0]
    assert entry["outcome"] == "aborted" and entry["usage_source"] == "aborted" and 0 < entry["output_tokens"] < 2000
    assert entry["cost_cu_milli"] == entry["input_tokens"] * INPUT + entry["output_tokens"] * OUTPUT
    until(lambda: any(sim.is_aborted(row) for row in sim.log()), "the simulator to notice", 5)
    raw.socket.close()


def test_the_stream_can_be_cut_anywhere(make_gateway, make_upstream, sim):
    """A provider's bytes come as they like."""
    pieces = ["Grüße", " \\u00e4 ", "😀", " and \"more\""]
    stream = b"".join(b"data: " + json.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": piece}}]}, ensure_ascii=False).encode() + b"\r\n\r\n"
                      for piece in pieces)
    stream += b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":4}}\n\ndata: [DONE]\n\n'
    chosen = random.Random(int(os.environ.get("WEIR_SEED", "7")))

    def serve(client):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        rest = stream
        while rest:
            count = chosen.choice([1, 1, 2, 3, 7, 40])
            client.sendall(rest[:count])
            rest = rest[count:]
            threading.Event().wait(0.0005)

    upstream = make_upstream(bytewise(serve))
    gateway = make_gateway(sim, providers=[provider("here", upstream, catch_all=True)], models=[])
    for _ in range(3):
        answer = ask(gateway, model="m", stream=True)
        assert text_of(events_of(answer.body)) == "".join(pieces)


# --- money ---

def test_a_budget_holds(make_gateway, sim):
    """Many at once against a budget that has room for a few: what is charged stays within it, to the milli-CU."""
    def handler(asked):
        asked.read()
        limit = json.loads(asked.body)["max_tokens"]
        asked.answer(completion(prompt=40, output=limit))
    upstream = Upstream(handler)
    try:
        gateway = make_gateway(sim, start=False, prices_file="prices.json", providers=[provider("here", upstream, catch_all=True)], models=[])
        (gateway.folder / "prices.json").write_text(json.dumps(prices("plain")))
        gateway.start()
        limit = 8_000 * TOKEN
        put_budget(gateway, "all", limit=limit)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(ask(gateway, model="plain", max_tokens=500))) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        good = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status != 200]
        assert len(good) > 0 and refused and {answer.status for answer in refused} <= {402, 429}
        assert all(answer.json()["type"] == "error" for answer in refused)
        entries = gateway.wait_ledger(len(good))
        spent = sum(entry["cost_cu_milli"] for entry in entries)
        assert spent == len(good) * 540 * TOKEN <= limit
        assert all(entry["overrun_cu_milli"] == 0 for entry in entries)
    finally:
        upstream.stop()


def test_a_lower_output_limit_is_what_the_provider_is_told(make_gateway, make_upstream, sim):
    upstream = make_upstream(lambda asked: (asked.read(), asked.answer(completion(prompt=40, output=json.loads(asked.body)["max_tokens"]))))
    gateway = make_gateway(sim, start=False, prices_file="prices.json", providers=[provider("here", upstream, catch_all=True)], models=[])
    (gateway.folder / "prices.json").write_text(json.dumps(prices("plain")))
    gateway.start()
    put_budget(gateway, "all", limit=2_000 * TOKEN, on_exceeded="clamp")
    answer = ask(gateway, model="plain", max_tokens=3000)
    clamped = int(answer.headers["x-weir-max-tokens-clamped"])
    assert answer.status == 200 and 0 < clamped < 1000
    assert json.loads(upstream.calls[0].body)["max_tokens"] == clamped
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert entry["cost_cu_milli"] == (40 + clamped) * TOKEN and entry["overrun_cu_milli"] == 0


def test_kill_9_leaves_exact_books(make_gateway, make_sim):
    """Some are over, some are in flight: the first are charged what they told, the others their reservation, each once."""
    sim = make_sim()
    gateway = make_gateway(sim)
    whole = [ask(gateway, stream=stream) for stream in (False, True, False, True)]
    flying = [start(gateway, body_of(stream=True), x_sim_rate=20, x_sim_tokens=2000) for _ in range(3)]
    for raw in flying:
        raw.read_until(b"content_block_delta")
    gateway.kill()
    for raw in flying:
        raw.socket.close()
    gateway.start()
    entries = gateway.wait_ledger(7)
    assert len(entries) == 7
    by_id = {entry["request_id"]: entry for entry in entries}
    for answer in whole:
        entry = by_id.pop(answer.headers["x-request-id"])
        used = answer.json()["usage"] if answer.headers["content-type"] == "application/json" else events_of(answer.body)[-2][1]["usage"]
        assert entry["outcome"] == "ok" and entry["cost_cu_milli"] == used["usedCUMilli"]
    assert len(by_id) == 3
    assert all(entry["outcome"] == "crashed" and entry["cost_cu_milli"] == entry["reserved_cu_milli"] > 0 for entry in by_id.values())


# --- the other way round: chat completions in front of the Messages API ---

def chat(gateway, headers=None, **fields):
    return gateway.chat({"model": "m", "messages": [{"role": "user", "content": "Hello"}], **fields}, headers)


def sse(*events):
    return b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event).encode()) for event in events)


def anthropic_stream(*pieces, usage=9, end=True, error=None):
    """A stream of the Messages API as its documentation shows it."""
    events = [{"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 25, "output_tokens": 1}}},
              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, {"type": "ping"}]
    events += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces]
    if end:
        events += [{"type": "content_block_stop", "index": 0},
                   {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": usage}},
                   {"type": "message_stop"}]
    if error is not None:
        events.append({"type": "error", "error": error})
    return sse(*events)


def anthropic(make_gateway, make_upstream, sim, handler):
    upstream = make_upstream(handler)
    gateway = make_gateway(sim, start=False, prices_file="prices.json",
                           providers=[provider("here", upstream, catch_all=True, dialect="anthropic")], models=[])
    (gateway.folder / "prices.json").write_text(json.dumps(prices("m")))
    return gateway.start(), upstream


def test_chat_before_the_messages_api(make_gateway, make_upstream, sim):
    gateway, upstream = anthropic(make_gateway, make_upstream, sim, native)
    answer = chat(gateway, seed=4)
    found = answer.json()
    assert answer.status == 200 and found["object"] == "chat.completion" and found["model"] == "m"
    assert found["choices"][0]["message"]["content"] == "native" and found["choices"][0]["finish_reason"] == "stop"
    assert (found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"], found["usage"]["total_tokens"]) == (5, 2, 7)
    assert found["usage"]["usedCUMilli"] == 7 * TOKEN == gateway.entry_of(answer.headers["x-request-id"])["cost_cu_milli"]
    assert answer.headers["x-weir-ignored-params"] == "seed"
    call, = upstream.calls
    body = json.loads(call.body)
    assert call.target == "/v1/messages" and call.headers["x-api-key"] == "here-key" and "authorization" not in call.headers
    assert call.headers["anthropic-version"] == "2023-06-01"
    assert body["max_tokens"] == 4000 and body["model"] == "m"  # what is reserved, where the request says nothing
    assert body["messages"][0]["role"] == "user" and not body.get("stream")


def test_a_chat_stream_before_the_messages_api(make_gateway, make_upstream, sim):
    gateway, _ = anthropic(make_gateway, make_upstream, sim, lambda asked: (asked.read(), asked.events(anthropic_stream("a", "b", "c"))))
    answer = chat(gateway, stream=True, stream_options={"include_usage": True})
    lines = [line[6:] for line in answer.body.decode().split("\n\n")[:-1]]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]) == "abc"
    last = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert len(last) == 1 and (last[0]["prompt_tokens"], last[0]["completion_tokens"]) == (25, 9)
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert (entry["usage_source"], entry["cost_cu_milli"]) == ("provider", 34 * TOKEN)
    assert last[0]["usedCUMilli"] == chunks[-1]["usedCUMilli"] == 34 * TOKEN


@pytest.mark.parametrize("error", [None, {"type": "overloaded_error", "message": "Overloaded"}])
def test_a_chat_stream_that_breaks_is_charged_for_what_came(make_gateway, make_upstream, sim, error):
    """The Messages API tells its input at the beginning: that counts, and the pieces that came."""
    gateway, _ = anthropic(make_gateway, make_upstream, sim,
                           lambda asked: (asked.read(), asked.events(anthropic_stream("a", "b", "c", end=False, error=error)), asked.close()))
    answer = chat(gateway, stream=True)
    last = json.loads(answer.body.decode().split("\n\n")[-2][6:])
    assert last["error"]["code"] == ("upstream_closed" if error is None else "upstream_error")
    if error is not None:
        assert "Overloaded" in last["error"]["message"]
        assert last["error"]["details"]["provider_code"] == "overloaded_error"
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert (entry["usage_source"], entry["input_tokens"], entry["output_tokens"]) == ("aborted", 25, 3)
    assert entry["cost_cu_milli"] == 28 * TOKEN


@pytest.mark.parametrize(("status", "kind", "client"), [(529, "overloaded_error", 503), (429, "rate_limit_error", 429),
                                                        (400, "invalid_request_error", 400), (401, "authentication_error", 502)])
def test_errors_of_the_messages_api_for_a_chat_client(make_gateway, make_upstream, sim, status, kind, client):
    def refuse(asked):
        asked.read()
        asked.answer({"type": "error", "error": {"type": kind, "message": "as it says"}, "request_id": "req_1"}, status, {"retry-after": "11"})
    gateway, _ = anthropic(make_gateway, make_upstream, sim, refuse)
    answer = chat(gateway)
    error = answer.json()["error"]
    assert answer.status == client and answer.headers["retry-after"] == "11"
    if status == 401:
        assert "as it says" not in error["message"]
    else:
        assert "as it says" in error["message"] and error["details"]["provider_code"] == kind

"""What the upstream can do wrong, for streams and whole answers: the client's status and class, never a silent end, and
one ledger entry each."""
import json

import pytest

from harness import faults, plain
from harness.processes import chat_body
from harness.waiting import SCALE

# fault, status for a whole answer, its code; for a stream: the status, and the code in its terminal event or body
MATRIX = [
    ("status=400", 400, None, 400, None),
    ("status=401", 502, "upstream_auth", 502, "upstream_auth"),
    ("status=403", 502, "upstream_auth", 502, "upstream_auth"),
    ("status=404", 404, None, 404, None),
    ("status=429; retry-after=7", 429, None, 429, None),
    ("status=500", 500, None, 500, None),
    ("status=503", 503, None, 503, None),
    ("reset", 502, "upstream_closed", 502, "upstream_closed"),
    ("close", 502, "upstream_closed", 502, "upstream_closed"),
    ("reset-after-head", 502, "upstream_closed", 502, "upstream_closed"),
    ("reset-mid", 502, "upstream_closed", 200, "upstream_closed"),
    ("silence", 504, "upstream_first_byte_timeout", 504, "upstream_first_byte_timeout"),
    ("stall=2", 504, "upstream_idle_timeout", 200, "upstream_idle_timeout"),
    ("truncate=2", 502, "upstream_closed", 200, "upstream_closed"),
    ("bad-chunk", 502, "upstream_protocol", None, "upstream_protocol"),
    ("bad-json", 502, "upstream_protocol", 200, None),
]


@pytest.fixture(scope="module")
def hasty(weir_binary, sim, module_folder):
    """A gateway with short timeouts, so that silence is noticed soon."""
    from harness.processes import Gateway, default_settings
    instance = Gateway(weir_binary, module_folder / "hasty", default_settings(
        sim, timeouts={"first_byte": f"{int(700 * SCALE)}ms", "idle": f"{int(700 * SCALE)}ms"})).start()
    yield instance
    instance.close()


@pytest.fixture
def fitting(request, fault):
    """The hasty one for faults that are noticed by a timeout; for others a timeout would be a mistake."""
    return request.getfixturevalue("hasty" if fault in ("silence", "stall=2") else "gateway")


def error_of(data):
    error = json.loads(data)["error"]
    assert {"message", "type", "param", "code"} <= set(error), "the four members that every client reads"
    return error


@pytest.mark.parametrize(("fault", "status", "code", "_stream_status", "_stream_code"), MATRIX, ids=[row[0] for row in MATRIX])
def test_a_whole_answer(fitting, fault, status, code, _stream_status, _stream_code):
    answer = fitting.chat(headers=faults.fault(fault))
    assert answer.status == status, answer
    error = error_of(answer.body)
    assert error["error_code"].startswith("WEIR_") and error["request_id"] == answer.headers["x-request-id"]
    if code:
        assert error["code"] == code
    if "retry-after" in fault:
        assert answer.headers["retry-after"] == "7"
    elif status == 503:
        assert int(answer.headers["retry-after"]) > 0
    entry = fitting.entry_of(answer.headers["x-request-id"])
    assert entry["outcome"] == "error" and entry["status"] == status
    assert entry["cost_cu_milli"] == 0, "a failed attempt is not the client's to pay"


@pytest.mark.parametrize(("fault", "_status", "_code", "status", "code"), MATRIX, ids=[row[0] for row in MATRIX])
def test_a_stream(fitting, fault, _status, _code, status, code):
    answer = fitting.chat(chat_body(stream=True), headers={**faults.fault(fault), "x-sim-tokens": "20"})
    if status is not None:
        assert answer.status == status, answer
    entry = fitting.entry_of(answer.headers["x-request-id"])
    if answer.status != 200:
        error = error_of(answer.body)
        assert code is None or error["code"] == code
        assert entry["outcome"] == "error"
        return
    events = answer.events()
    assert answer.headers["content-type"].startswith("text/event-stream")
    if code is not None:
        assert events[-1] != b"[DONE]", "a broken stream never ends like a good one"
        assert error_of(events[-1])["code"] == code
        assert entry["outcome"] == "error"
    assert not any(b'"finish_reason":"stop"' in event for event in events[:-1] if code is not None)


def test_an_error_within_a_stream_goes_through(gateway):
    answer = gateway.chat(chat_body(stream=True), headers={**faults.fault("error-event"), "x-sim-tokens": "20"})
    assert any(b'"error"' in event for event in answer.events())
    assert gateway.entry_of(answer.headers["x-request-id"])["outcome"] == "error"


def test_a_stream_without_its_terminal_event_is_not_a_success(gateway):
    answer = gateway.chat(chat_body(stream=True), headers=faults.fault("no-done"))
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert answer.status == 200
    assert entry["outcome"] in ("ok", "error")
    assert answer.complete


def test_an_unreachable_provider(make_gateway, sim):
    instance = make_gateway(sim, providers=[{"name": "gone", "dialect": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "x"}],
                            models=[{"name": "sim-small", "targets": [{"provider": "gone", "model": "x"}]}])
    answer = instance.chat()
    assert answer.status == 503
    assert error_of(answer.body)["code"] == "upstream_connect_failed"
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("stream", [False, True])
def test_an_idle_connection_that_the_peer_closed_costs_no_request(make_gateway, make_sim, stream):
    """The provider closes a kept connection just when the next request goes out on it: 50 times, and never a failure."""
    simulator = make_sim()
    instance = make_gateway(simulator)
    ids = []
    for number in range(50):
        answer = instance.chat(model=f"sim/idle-{number}", stream=stream, headers=faults.fault("close-idle"))
        assert answer.status == 200 and answer.complete, (number, answer)
        ids.append(answer.headers["x-request-id"])
    served = [row["model"] for row in simulator.log()]
    assert served == [f"idle-{number}" for number in range(50)], "each was served once"
    entries = instance.wait_ledger(50)
    assert [entry["request_id"] for entry in entries] == ids
    assert {entry["outcome"] for entry in entries} == {"ok"}


def test_interim_answers_are_skipped(gateway):
    assert gateway.chat(headers=faults.fault("interim")).status == 200


def test_a_large_answer_goes_through(gateway):
    answer = gateway.chat(headers=faults.fault("huge=3000000"))
    assert answer.status == 200 and answer.complete and len(answer.body) >= 3000000


def test_the_wall_clock_ends_an_endless_stream(make_gateway, sim):
    instance = make_gateway(sim, timeouts={"request": f"{2 * SCALE}s"})
    answer = instance.chat(chat_body(stream=True), headers={"x-sim-rate": "10", "x-sim-tokens": "10000"})
    assert answer.status == 200
    assert error_of(answer.events()[-1])["code"] == "request_deadline"
    assert answer.events()[-1] != b"[DONE]"


def test_a_client_that_stops_in_its_head_or_body_is_let_go(make_gateway, sim):
    instance = make_gateway(sim, timeouts={"head": f"{700 * SCALE}ms", "body": f"{700 * SCALE}ms"})
    with plain.RawConnection(instance.address, timeout=20 * SCALE) as raw:
        raw.send(b"GET /v1/models HTTP/1.1\r\nHost:")
        said = raw.read_rest()
        assert said == b"" or said.startswith(b"HTTP/1.1 408 ")
    with plain.RawConnection(instance.address, timeout=20 * SCALE) as raw:
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {instance.address}\r\nAuthorization: Bearer {instance.key}\r\n"
                 "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode())
        assert raw.read_answer().status == 408

"""SIGTERM: unready at once, new requests refused, the rest drained, exit code 0, nothing missing in the ledger."""
import json
import signal
import time

import pytest

from harness import plain
from harness.processes import chat_body
from harness.waiting import paused, until


def send_stream(instance, **headers):
    data = json.dumps(chat_body(stream=True)).encode()
    raw = plain.RawConnection(instance.address, timeout=60)
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {instance.address}\r\nAuthorization: Bearer {instance.key}\r\n"
             f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n{fields}\r\n".encode() + data)
    return raw


@pytest.mark.tsan
def test_what_is_in_flight_is_finished(make_gateway, make_sim):
    simulator = make_sim()
    instance = make_gateway(simulator)
    # A kept connection from before: requests on it are refused with words, not with a closed door.
    with send_stream(instance, x_sim_rate=20, x_sim_tokens=40) as raw, plain.RawConnection(instance.address) as kept:
        raw.read_until(b"\n\n")
        kept.send(f"GET /livez HTTP/1.1\r\nHost: {instance.address}\r\n\r\n".encode())
        assert kept.read_answer().status == 200

        def refused():
            try:
                answer = instance.chat()
            except OSError:
                return None
            return answer if answer.status == 503 else None

        with paused(simulator):
            instance.signal(signal.SIGTERM)
            # Health paths go on being answered: they tell when the signal has arrived.
            until(lambda: plain.call(instance.address, "GET", "/readyz").status == 503, "readiness to be false", 10)
            answer = until(refused, "a new request to be refused with 503", 5)
        assert answer.json()["error"]["code"] == "shutting_down" and answer.headers["retry-after"] == "5"
        rest = raw.read_rest()
        assert b"data: [DONE]" in rest
    assert instance.wait() == 0
    instance.expect_clean()
    outcomes = [entry["outcome"] for entry in instance.ledger() if entry["outcome"] != "error"]
    assert outcomes == ["ok"]


def test_what_takes_too_long_is_ended_with_words(make_gateway, sim):
    instance = make_gateway(sim, environment={"SHUTDOWN_TIMEOUT_SECONDS": "1"})
    with send_stream(instance, x_sim_rate=5, x_sim_tokens=1000) as raw:
        raw.read_until(b"\n\n")
        started = time.monotonic()
        instance.signal(signal.SIGTERM)
        rest = raw.read_rest()
    assert instance.wait() == 0
    assert time.monotonic() - started < 100, "the stream would have lasted 200 s"
    assert b'"error"' in rest and b"[DONE]" not in rest
    assert [entry["outcome"] for entry in instance.ledger()] == ["error"]


def test_an_idle_server_stops_at_once(make_gateway, sim):
    instance = make_gateway(sim)
    with plain.RawConnection(instance.address) as raw:
        raw.send(f"GET /livez HTTP/1.1\r\nHost: {instance.address}\r\n\r\n".encode())
        assert raw.read_answer().status == 200
        started = time.monotonic()
        assert instance.terminate() == 0
        assert time.monotonic() - started < 25, "it does not wait for the end of the 30 s that it may drain"
        assert raw.is_closed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_that_stop(make_gateway, sim, number):
    instance = make_gateway(sim)
    instance.signal(number)
    assert instance.wait() == 0
    instance.expect_clean()


def test_a_second_signal_does_not_crash(make_gateway, sim):
    instance = make_gateway(sim)
    with send_stream(instance, x_sim_rate=20, x_sim_tokens=40) as raw:
        raw.read_until(b"\n\n")
        instance.signal(signal.SIGTERM)
        instance.signal(signal.SIGTERM)
        raw.read_rest()
    code = instance.wait()
    instance.expect_clean()
    assert code in (0, 1)


def test_logs_are_json_and_hold_no_prompt_answer_or_credential(make_gateway, sim):
    instance = make_gateway(sim)
    answer = instance.chat(text="a very secret prompt")
    instance.chat(text="a very secret prompt", headers={"x-sim-fault": "status=500"})
    content = answer.json()["choices"][0]["message"]["content"]
    assert instance.terminate() == 0
    text = instance.stderr()
    for secret in ("a very secret prompt", content, instance.key, "sim-key"):
        assert secret not in text
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    assert any(line.get("request_id") for line in lines)

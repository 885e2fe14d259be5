"""What the upstream can do wrong, besides the fault table (test_fault_table.py): the bytes of what clients get, and what takes many calls or
a socket to show."""
import json

import pytest

from harness import faults, plain
from harness.processes import chat_body
from harness.waiting import SCALE


def error_of(data):
    error = json.loads(data)["error"]
    assert {"message", "type", "param", "code"} <= set(error), "the four members that every client reads"
    return error


@pytest.mark.parametrize(("fault", "code"), [("reset-mid", "upstream_closed"), ("truncate=2", "upstream_closed"), ("cut=2", "upstream_closed"),
                                             ("bad-chunk", "upstream_protocol")])
def test_a_broken_stream_never_ends_like_a_good_one(gateway, fault, code):
    """Byte for byte: what a client would stop at before it sees it."""
    answer = gateway.chat(chat_body(stream=True), headers={**faults.fault(fault), "x-sim-tokens": "20"})
    events = answer.events()
    assert answer.status == 200 and answer.complete and answer.headers["content-type"].startswith("text/event-stream")
    assert error_of(events[-1])["code"] == code
    assert b"[DONE]" not in answer.body and b'"finish_reason":"stop"' not in answer.body


def test_a_stream_without_its_terminal_event_gets_one(gateway):
    answer = gateway.chat(chat_body(stream=True), headers=faults.fault("no-done"))
    assert answer.complete and answer.events()[-1] == b"[DONE]"
    assert gateway.entry_of(answer.headers["x-request-id"])["outcome"] == "ok"


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

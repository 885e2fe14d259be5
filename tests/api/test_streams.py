"""Streams: each event as it arrives, many at once, slow readers, clients that leave."""
import asyncio
import json
import re
import socket

import pytest

from harness import plain
from harness.processes import chat_body
from harness.waiting import SCALE, until

USED = re.compile(rb',"usedCUMilli":\d+')
COUNT = 500


def normal(data):
    data = re.sub(rb'"id":"chatcmpl-[^"]*"', b'"id":"chatcmpl"', USED.sub(b"", data))
    return re.sub(rb'"(created|cached_tokens|served)":\d+', rb'"\1":0', data)


def start_stream(gateway, body=None, **headers):
    data = json.dumps(body or chat_body(stream=True)).encode()
    raw = plain.RawConnection(gateway.address, timeout=30 * SCALE)
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer {gateway.key}\r\n"
             f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n{fields}\r\n".encode() + data)
    return raw


@pytest.mark.tsan
def test_500_streams_at_once_on_one_worker_are_each_intact(make_gateway, sim):
    instance = make_gateway(sim)
    count = COUNT if SCALE < 4 else 100

    async def everything():
        async def one(number, address, headers):
            body = chat_body(f"stream number {number}", stream=True, stream_options={"include_usage": True})
            return await plain.call_async(address, "/v1/chat/completions",
                                          {**headers, "x-sim-ttft": "300", "x-sim-rate": "50", "x-sim-tokens": "60"}, body)

        through = await asyncio.gather(*[one(number, instance.address, instance.authorization) for number in range(count)])
        direct = await asyncio.gather(*[one(number, sim.address, {"authorization": "Bearer sim-key"}) for number in range(count)])
        return through, direct

    through, direct = asyncio.run(everything())
    wrong = [number for number in range(count)
             if not through[number].complete or through[number].status != 200
             or len(USED.findall(through[number].body)) != 1 or normal(through[number].body) != normal(direct[number].body)]
    assert not wrong, f"{len(wrong)} of {count} differ, the first: {through[wrong[0]]}"
    assert len(instance.wait_ledger(count)) == count


@pytest.mark.parametrize("count", [1, 2, 7])
def test_events_are_forwarded_as_they_come(gateway, count):
    """A provider that falls silent after some events: the client has them all, none waits for one that follows."""
    with start_stream(gateway, x_sim_fault=f"stall={count}", x_sim_tokens=40) as raw:
        assert raw.read_head()[0] == 200
        for _ in range(count):
            raw.read_until(b"\n\n")


def test_events_come_at_the_providers_pace(gateway):
    """In chunks of their own: what the provider sends one by one is not gathered (unless the machine is busy elsewhere)."""
    def chunks():
        count = 0
        with start_stream(gateway, x_sim_ttft=50, x_sim_rate=40, x_sim_tokens=40) as raw:
            assert raw.read_head()[0] == 200
            while size := int(raw.read_until(b"\r\n"), 16):
                raw.read_exactly(size + 2)
                count += 1
        return count

    assert any(chunks() > 20 for _ in range(5))


def test_a_slow_reader_stops_the_upstream_and_costs_little_memory(make_gateway, sim):
    instance = make_gateway(sim)
    before = resident(instance.pid)
    body = chat_body(stream=True, max_completion_tokens=400000)
    raws = [start_stream(instance, body, x_sim_tokens=400000) for _ in range(4)]
    try:
        for raw in raws:
            raw.read_head()
        # It settles: neither the kernel's buffers nor ours take more.
        sizes = []

        def steady():
            sizes.append(resident(instance.pid))
            return len(sizes) > 20 and max(sizes[-20:]) - min(sizes[-20:]) < 64 * 1024

        until(steady, "memory to stop growing while nobody reads", 20, step=0.05)
        assert sizes[-1] - before < (40 << 20) * max(1, SCALE)
        assert all(raw.read_until(b"\n\n") for raw in raws)
    finally:
        for raw in raws:
            raw.socket.close()
    entries = instance.wait_ledger(4)
    assert {entry["outcome"] for entry in entries} == {"aborted"}


def resident(pid):
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_a_slow_reader_gets_everything_in_the_end(gateway, sim):
    body = chat_body(stream=True, max_completion_tokens=20000, stream_options={"include_usage": True})
    with start_stream(gateway, body, x_sim_tokens=20000) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        status, headers = raw.read_head()
        assert status == 200 and headers["transfer-encoding"] == "chunked"
        through, _ = raw.read_chunks()
    direct = plain.call(sim.address, "POST", "/v1/chat/completions",
                        {"authorization": "Bearer sim-key", "x-sim-tokens": "20000"}, body)
    assert normal(through) == normal(direct.body)


@pytest.mark.tsan
@pytest.mark.parametrize("leave", ["reset", "close", "end"])
def test_a_client_that_leaves_closes_the_upstream_and_is_settled(make_gateway, sim, leave):
    instance = make_gateway(sim)
    raw = start_stream(instance, x_sim_rate=20, x_sim_tokens=2000)
    raw.read_until(b"\n\n")
    {"reset": raw.reset, "close": raw.socket.close, "end": raw.end}[leave]()
    entry = instance.wait_ledger(1)[0]
    assert entry["outcome"] == "aborted" and entry["usage_source"] == "aborted"
    assert entry["status"] in (200, 499)
    assert 0 < entry["output_tokens"] < 2000
    until(lambda: any(sim.is_aborted(row) for row in sim.log()), "the simulator to notice", 5)
    raw.socket.close()


def test_leaving_after_the_terminal_event_is_success(make_gateway, sim):
    instance = make_gateway(sim)
    raw = start_stream(instance)
    raw.read_until(b"data: [DONE]\n\n")
    raw.reset()
    assert instance.wait_ledger(1)[0]["outcome"] == "ok"


def test_leaving_before_the_first_byte(make_gateway, sim):
    instance = make_gateway(sim)
    raw = start_stream(instance, x_sim_ttft=30000)
    until(lambda: sim.requests(), "the request to arrive upstream")
    raw.reset()
    assert instance.wait_ledger(1)[0]["outcome"] == "aborted"


def test_a_stream_without_usage_is_estimated_and_flagged(make_gateway, sim):
    instance = make_gateway(sim)
    for stream in (True, False):
        answer = instance.chat(chat_body(stream=stream), headers={"x-sim-fault": "no-usage"})
        assert answer.status == 200
        entry = instance.entry_of(answer.headers["x-request-id"])
        assert entry["usage_source"] == "estimated"
        assert entry["input_tokens"] > 0 and entry["output_tokens"] > 0

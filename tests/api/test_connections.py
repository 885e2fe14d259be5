"""The front under pressure, on one worker: very many connections, streams side by side, readers that hardly read, sockets of which one half
is closed, and requests that do not wait for the answer before them."""
import asyncio
import contextlib
import json
import random
import re
import socket
import threading
import time

import pytest

from harness import plain
from harness.abuse import ask, gauges, slow_reader, wait_quiet
from harness.crowd import connect_from, descriptors, open_connections, open_files, private_bytes
from harness.load import Sent, by_model, judge
from harness.processes import chat_body
from harness.provider import STREAM_HEAD, USAGE, chunk, event, read_request
from harness.waiting import SCALE, until

# A build with sanitizers keeps memory that was freed, and puts guards around what is in use: there, only what is right counts.
PLAIN_BUILD = SCALE == 1
IDLE = 10_000 if SCALE < 10 else 500
STREAMS = 1000 if SCALE < 4 else 100
# An open stream: 24 KiB, and half as much again for what an allocator cannot give away.
STREAM_BYTES = 24 * 1024 * 3 // 2
IDLE_BYTES = 4096
USED = re.compile(rb',"usedCUMilli":\d+')


def get(instance, path="/v1/models", *fields):
    lines = [f"GET {path} HTTP/1.1", f"Host: {instance.address}", f"Authorization: Bearer {instance.key}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


# --- connections that say nothing ---


@pytest.mark.smoke
def test_ten_thousand_idle_connections(make_gateway, sim):
    instance = make_gateway(sim, timeouts={"keep_alive": "1h"})
    assert instance.chat().status == 200 and instance.chat(stream=True).complete
    files, memory = open_files(instance.pid), private_bytes(instance.pid)
    with descriptors(IDLE), contextlib.ExitStack() as stack:
        raws = [stack.enter_context(connect_from(instance.address, number)) for number in range(IDLE)]
        until(lambda: open_files(instance.pid) >= files + IDLE, f"{IDLE} connections to be accepted", 30)
        until(lambda: open_connections(instance) >= IDLE, f"{IDLE} connections to be counted", 10, step=0.2)
        each = (private_bytes(instance.pid) - memory) / IDLE
        assert each < IDLE_BYTES * SCALE, f"{each:.0f} bytes for an idle connection"
        # Others are served, and nobody has been sent away.
        assert instance.chat().status == 200 and instance.chat(stream=True).events()[-1] == b"[DONE]"
        assert plain.call(instance.address, "GET", "/readyz").status == 200
        for number, raw in enumerate(raws[::10]):
            raw.send(get(instance) if number % 10 else ask(instance, body=chat_body(f"number {number}")))
            answer = raw.read_answer()
            assert answer.status == 200 and (answer.json()["object"] == ("list" if number % 10 else "chat.completion")), answer
        assert open_files(instance.pid) >= files + IDLE
        # They leave: in order, with a reset, and with the end of their side only, which is answered with the end of ours.
        for raw in raws[::3]:
            raw.socket.close()
        for raw in raws[1::3]:
            raw.reset()
        for raw in raws[2::3]:
            raw.end()
        assert all(raw.is_closed() for raw in raws[2::3])
    until(lambda: open_files(instance.pid) <= files, f"{files} open files as before", 20)
    until(lambda: open_connections(instance) == 0, "no open connections", 10, step=0.2)
    assert instance.chat().status == 200


# --- streams side by side ---


class Watched:
    """One stream of many: its call, and how much of its answer has come."""

    def __init__(self, number):
        self.sent = Sent(f"stream-{number}", True, plain.Answer(0, {}, b"", False))
        self.body = chat_body(f"stream number {number}", model=f"sim/stream-{number}", stream=True,
                              stream_options={"include_usage": True})

    async def run(self, instance, pace):
        writer = None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            reader, writer = await asyncio.open_connection(*plain.split_address(instance.address), limit=1 << 22)
            writer.write(ask(instance, body=self.body, Connection="close", **pace))
            await plain.read_answer_async(reader, self.sent.answer)
        if writer is not None:
            writer.close()


async def all_advance(instance, streams, memory):
    """True when every stream has moved on while all of them were open; and what one of them costs then."""
    def counts():
        return [len(one.sent.answer.body) for one in streams]

    while gauges(instance)["weir_active_streams"] < len(streams) or not all(counts()):
        if any(one.sent.answer.complete for one in streams):
            return False, 0
        await asyncio.sleep(0.05)
    before, each = counts(), (private_bytes(instance.pid) - memory) / len(streams)
    while not all(now > then for now, then in zip(counts(), before, strict=True)):
        if any(one.sent.answer.complete for one in streams):
            return False, each
        await asyncio.sleep(0.05)
    return True, each


def normal(data):
    data = re.sub(rb'"id":"chatcmpl-[^"]*"', b'"id":"chatcmpl"', USED.sub(b"", data))
    return re.sub(rb'"(created|cached_tokens|served)":\d+', rb'"\1":0', data)


@pytest.mark.smoke
def test_a_thousand_streams_at_once(make_gateway, make_sim):
    simulator = make_sim()
    instance = make_gateway(simulator, server={"workers": 1, "listen": "127.0.0.1:0"})
    assert instance.chat(stream=True).complete
    memory = private_bytes(instance.pid)
    streams = [Watched(number) for number in range(STREAMS)]

    async def everything():
        running = [asyncio.ensure_future(one.run(instance, {"x_sim_rate": 8, "x_sim_tokens": 50})) for one in streams]
        advanced, each = await all_advance(instance, streams, memory)
        await asyncio.gather(*running)
        gate = asyncio.Semaphore(50)

        async def alone(one):
            async with gate:
                return await plain.call_async(simulator.address, "/v1/chat/completions",
                                              {"authorization": "Bearer sim-key", "x-sim-tokens": "50", "x-request-id": "direct"},
                                              {**one.body, "model": one.sent.mark})

        return advanced, each, await asyncio.gather(*[alone(one) for one in streams])

    advanced, each, direct = asyncio.run(everything())
    assert advanced, "every stream is to move on while all are open"
    if PLAIN_BUILD:
        assert each < STREAM_BYTES, f"{each:.0f} bytes for an open stream"
    wrong = [one.sent.mark for one, other in zip(streams, direct, strict=True)
             if not one.sent.finished or not one.sent.answer.complete or normal(one.sent.answer.body) != normal(other.body)]
    assert not wrong, f"{len(wrong)} of {STREAMS} differ, the first: {wrong[0]}"
    entries = instance.wait_ledger(STREAMS + 1, 30)
    served = [row for row in simulator.log() if row["request_id"] != "direct" and row["model"].startswith("stream-")]
    assert len(served) == STREAMS
    assert judge([one.sent for one in streams], [entry for entry in entries if entry["model"].startswith("sim/")], served) == []
    wait_quiet(instance)

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
from harness.crowd import accepted, connect_from, connected, descriptors, open_connections, open_files, private_bytes
from harness.load import Sent, judge
from harness.processes import chat_body
from harness.upstream import STREAM_HEAD, USAGE, bytewise, chunk, event
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
    until(lambda: accepted(instance.address) == 0, "no connections of before")
    files, memory = open_files(instance.pid), private_bytes(instance.pid)
    with descriptors(IDLE), contextlib.ExitStack() as stack:
        raws = [stack.enter_context(connect_from(instance.address, number)) for number in range(IDLE)]
        until(lambda: accepted(instance.address) >= IDLE, f"{IDLE} connections to be accepted", 30)
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
        assert accepted(instance.address) >= IDLE
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


# --- readers that hardly read ---

ENDLESS = 1_000_000  # tokens: some 200 MB of events


def endless(instance):
    """A stream that its reader takes nothing of but the head."""
    raw = slow_reader(instance, 4096)
    raw.send(ask(instance, body=chat_body(stream=True, max_completion_tokens=ENDLESS), x_sim_tokens=ENDLESS))
    assert raw.read_head()[0] == 200
    return raw


def socket_buffer_bytes():
    """What the system may hold of one stream on its way from the provider's process to the client's: two sockets each."""
    total = 0
    for name in ("tcp_rmem", "tcp_wmem"):
        with open(f"/proc/sys/net/ipv4/{name}", encoding="ascii") as file:
            total += 2 * int(file.read().split()[2])
    return total


def test_a_reader_of_a_byte_at_a_time_holds_a_bounded_buffer(make_gateway, make_sim):
    """The provider is not read on: neither the gateway nor the provider has sent more than what the sockets hold and the bound."""
    simulator = make_sim()
    instance = make_gateway(simulator)
    assert instance.chat().status == 200 and instance.chat(stream=True).complete
    memory = private_bytes(instance.pid)
    with endless(instance) as raw:
        grown = []

        def steady():
            assert len(raw.socket.recv(1)) == 1
            grown.append(private_bytes(instance.pid) - memory)
            return len(grown) > 40 and max(grown[-40:]) - grown[-40] < 64 * 1024  # what the allocator moves besides

        until(steady, "memory to stop growing", 20, step=0.02)
        # Meanwhile others are served as ever.
        for _ in range(10):
            assert instance.chat().status == 200
            assert instance.chat(stream=True).events()[-1] == b"[DONE]"
            assert len(raw.socket.recv(1)) == 1
        # A client has its last byte a moment before the worker has put its stream away.
        until(lambda: gauges(instance)["weir_active_streams"] == 1, "the other streams to be put away")
        if PLAIN_BUILD:
            assert grown[-1] < 2 << 20, f"{grown[-1]} bytes held for one reader"
        raw.reset()
    entry = instance.wait_ledger(23)[-1]
    assert (entry["outcome"], entry["reason"], entry["status"]) == ("aborted", "client_closed", 200)
    row = until(lambda: next((row for row in simulator.log() if row["aborted"]), None), "the provider to notice", 10)
    # No event is shorter than this.
    assert row["completion_tokens"] * 150 < socket_buffer_bytes() + (1 << 20) < ENDLESS * 150
    wait_quiet(instance)


def test_who_stops_reading_until_the_deadline_is_dropped_and_settled(make_gateway, sim):
    instance = make_gateway(sim, timeouts={"request": "2s", "keep_alive": "500ms", "body": "500ms"})
    with endless(instance) as raw:
        entry = instance.wait_ledger(1)[0]
        assert (entry["outcome"], entry["reason"], entry["usage_source"]) == ("error", "request_deadline", "aborted")
        assert 0 < entry["output_tokens"] < ENDLESS and entry["cost_cu_milli"] <= entry["reserved_cu_milli"]
        # Not only the stream ends: nothing is kept for a client that takes nothing.
        until(lambda: accepted(instance.address) == 0, "the connection to be gone", 15)
        rest = raw.read_rest()
        assert not rest.endswith(b"\r\n\r\n") or b"\r\n0\r\n" not in rest[-100:], "what was cut looks whole"
    wait_quiet(instance)
    assert len(instance.ledger()) == 1 and instance.chat().status == 200


# --- one half closed ---


def end_after(instance, data, until_it_says=b""):
    """Sends, waits until the answer has these bytes, ends its side; gives all that was read to the end."""
    with plain.RawConnection(instance.address) as raw:
        if data:
            raw.send(data)
        read = raw.read_until(until_it_says) if until_it_says else b""
        raw.end()
        return read + raw.read_rest()


def answers_in(data):
    """The status codes of the whole answers in these bytes, and what is left behind them."""
    found = []
    while data.startswith(b"HTTP/1.1 "):
        head, _, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if not length or len(rest) < int(length[1]):
            break
        found.append(int(head.split(b" ")[1]))
        data = rest[int(length[1]):]
    return found, data


def test_a_client_that_ends_its_side_between_requests_is_let_go(gateway):
    """Nothing was asked, or everything was answered: the connection ends in order, and nothing is booked."""
    before = len(gateway.ledger())
    assert end_after(gateway, b"") == b""
    assert answers_in(end_after(gateway, get(gateway), b"}]}")) == ([200], b"")
    # What is answered at once is answered also where the end comes along with the question.
    assert answers_in(end_after(gateway, get(gateway))) == ([200], b"")
    assert answers_in(end_after(gateway, get(gateway) * 3)) == ([200] * 3, b"")
    assert len(gateway.ledger()) == before


def test_a_client_that_ends_its_side_in_a_request_gets_no_answer(gateway, sim):
    before, calls = len(gateway.ledger()), len(sim.log())
    whole = ask(gateway, body=chat_body())
    head = whole.index(b"\r\n\r\n") + 4
    chunked = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", whole[:head])
    for data in [whole[:1], whole[:40], whole[:head - 1], whole[:head], whole[:head + 5], whole[:-1], chunked,
                 chunked + b"5\r\n{\"mod", chunked + b"%x\r\n%s\r\n0\r\n" % (len(whole) - head, whole[head:])]:
        assert end_after(gateway, data) == b"", data
        # Behind an answer that was whole, too.
        assert answers_in(end_after(gateway, get(gateway) + data)) == ([200], b""), data
    waiting = ask(gateway, body=chat_body(), Expect="100-continue")
    assert end_after(gateway, waiting[:waiting.index(b"\r\n\r\n") + 4], b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert len(gateway.ledger()) == before and len(sim.log()) == calls, "what has not come whole is neither sent on nor booked"


@pytest.mark.parametrize("stream, begun", [(False, False), (True, False), (True, True)], ids=["no stream", "before a stream", "in a stream"])
def test_a_client_that_ends_its_side_while_we_answer_has_left(make_gateway, make_sim, stream, begun):
    """It is told nothing more, its provider is let go, and the books say so; what was answered before stays answered."""
    simulator = make_sim()
    instance = make_gateway(simulator)
    pace = {"x_sim_rate": 20, "x_sim_tokens": 2000} if begun else {"x_sim_ttft": 60000}
    first = ask(instance, body=chat_body("first"))
    with plain.RawConnection(instance.address) as raw:
        raw.send(first + ask(instance, body=chat_body("second", stream=stream), **pace))
        assert raw.read_answer().status == 200
        if begun:
            raw.read_until(b"\n\n")
        else:
            until(lambda: len(simulator.requests()) == 2, "the second request to be sent on")
        raw.end()
        rest = raw.read_rest()
    assert b"[DONE]" not in rest and (begun or rest == b""), rest[-300:]
    entries = instance.wait_ledger(2)
    assert [(entry["outcome"], entry["reason"], entry["status"]) for entry in entries] == \
        [("ok", None, 200), ("aborted", "client_closed", 200 if begun else 0)]
    assert (entries[1]["cost_cu_milli"] > 0) == begun and entries[1]["cost_cu_milli"] <= entries[1]["reserved_cu_milli"]
    until(lambda: any(simulator.is_aborted(row) for row in simulator.log()), "the provider to notice", 10)
    wait_quiet(instance)


BODY = json.dumps({"id": "c", "object": "chat.completion", "model": "m", "usage": USAGE, "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}).encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s\r\n" + BODY
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
EVENTS = STREAM_HEAD + chunk(event("hello"))
LAST = chunk(event("", "stop", usage=USAGE)) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
# What the provider sends before it ends its side; whether that is a stream; status, outcome and reason.
UPSTREAM_ENDS = {
    "after the answer": (WHOLE % LENGTH, False, 200, "ok", None),
    "as the answer's end": (WHOLE % b"", False, 200, "ok", None),
    "after the stream": (EVENTS + LAST, True, 200, "ok", None),
    "in the body": ((WHOLE % LENGTH)[:-9], False, 502, "error", "upstream_closed"),
    "in the head": (WHOLE[:30], False, 502, "error", "upstream_closed"),
    "without a word": (b"", False, 502, "error", "upstream_closed"),
    "in the stream": (EVENTS, True, 200, "error", "upstream_closed"),
    "before the last chunk": (EVENTS + LAST[:-5], True, 200, "ok", None),
}


@pytest.mark.parametrize("case", UPSTREAM_ENDS.values(), ids=UPSTREAM_ENDS)
def test_a_provider_that_ends_its_side(make_gateway, make_upstream, case):
    """It goes on reading, so only its end tells. A connection whose half is closed is not used again."""
    data, stream, status, outcome, reason = case
    connections, reused = [], []

    def serve(connection):
        connections.append(connection)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1):
            reused.append(connection)

    provider = make_upstream(bytewise(serve))
    instance = make_gateway(provider)
    for _ in range(2):
        answer = instance.chat(stream=stream)
        assert answer.status == status and answer.complete, answer
        entry = instance.entry_of(answer.headers["x-request-id"])
        assert (entry["outcome"], entry["reason"]) == (outcome, reason), entry
        if stream:
            last = answer.events()[-1]
            assert last == b"[DONE]" if outcome == "ok" else json.loads(last)["error"]["code"] == reason, answer.events()
    assert len(connections) >= 2 and not reused
    wait_quiet(instance)
    until(lambda: connected(provider.address) == 0, "the connections to be closed on our side too", 10)


# --- requests that do not wait ---


class Mixed:
    """A row of requests of every kind, each with what its answer must be."""

    def __init__(self, instance, seed):
        self.instance, self.random, self.chats = instance, random.Random(seed), 0

    def chunked(self, data):
        """The same request with its body in chunks of many sizes."""
        head, _, body = data.partition(b"\r\n\r\n")
        coded = b""
        while body:
            size = self.random.randint(1, len(body))
            coded, body = coded + b"%x\r\n%s\r\n" % (size, body[:size]), body[size:]
        return re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head) + b"\r\n\r\n" + coded + b"0\r\n\r\n"

    def chat(self, stream):
        self.chats += 1
        words = " ".join(self.random.choices("abcdefgh", k=self.random.choice([3, 3, 3, 4000])))
        tokens = self.random.randint(1, 30)
        body = chat_body(words, stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))
        pace = self.random.choice([{}, {}, {"x_sim_ttft": 5}, {"x_sim_rate": 2000}])
        data = ask(self.instance, body=body, x_sim_tokens=tokens, **pace)

        def right(answer):
            if stream:
                usage = json.loads(answer.events()[-2])["usage"]
                whole = answer.events()[-1] == b"[DONE]" and int(answer.trailers["x-weir-used-cu-milli"]) > 0
            else:
                usage, whole = answer.json()["usage"], answer.json()["object"] == "chat.completion"
            return answer.status == 200 and whole and usage["completion_tokens"] == tokens

        return (self.chunked(data) if self.random.random() < 0.4 else data), right, "POST"

    def small(self):
        instance = self.instance
        return self.random.choice([
            (get(instance, "/livez"), lambda answer: answer.status == 200, "GET"),
            (get(instance, "/health"), lambda answer: answer.status == 200, "GET"),
            (get(instance), lambda answer: answer.json()["object"] == "list", "GET"),
            (get(instance, "/v1/models/sim-small"), lambda answer: answer.json()["id"] == "sim-small", "GET"),
            (ask(instance, method="HEAD", path="/v1/models"), lambda answer: answer.status == 200, "HEAD"),
            (get(instance, "/v1/models/none"), lambda answer: answer.status == 404, "GET"),
            (get(instance, "/nowhere"), lambda answer: answer.status == 404, "GET"),
            (ask(instance, method="DELETE"), lambda answer: answer.status == 405, "DELETE"),
            (ask(instance, body={"model": "nobody", "messages": []}), lambda answer: answer.status in (400, 404), "POST"),
            (ask(instance).replace(b"Bearer ", b"Bearer x"), lambda answer: answer.status == 401, "POST"),
            (ask(instance, body=[1]), lambda answer: answer.status == 400, "POST"),
            (ask(instance, body=chat_body(), x_sim_fault="status=400"), lambda answer: answer.status == 400, "POST"),
            (ask(instance, body=chat_body(), x_sim_fault="status=500"), lambda answer: answer.status in (500, 502), "POST"),
        ])

    def row(self, count):
        return [self.small() if self.random.random() < 0.6 else self.chat(self.random.random() < 0.5) for _ in range(count)]

    def pieces(self, rows, how):
        """All of it, cut: not at all, before each line end, behind it, within it, where the requests end, or anywhere."""
        data = b"".join(row[0] for row in rows)
        places = {"whole": [], "before": [m.start() for m in re.finditer(b"\r\n", data)], "within": [m.start() + 1 for m in re.finditer(b"\r\n", data)],
                  "behind": [m.end() for m in re.finditer(b"\r\n", data)],
                  "anywhere": sorted(self.random.sample(range(1, len(data)), min(300, len(data) - 1)))}
        ends = []
        for row in rows:
            ends.append((ends[-1] if ends else 0) + len(row[0]))
        places["between"], places["short"] = ends[:-1], [end - 1 for end in ends]
        cuts = [0, *places[how], len(data)]
        return [data[start:end] for start, end in zip(cuts, cuts[1:]) if end > start]


def talk(raw, rows, pieces):
    """Sends the pieces beside reading the answers; what is wrong with those, as lines."""
    sender = threading.Thread(target=lambda: [raw.send(piece) for piece in pieces], daemon=True)
    sender.start()
    problems = []
    for number, (data, right, method) in enumerate(rows):
        answer = raw.read_answer(method)
        if not right(answer):
            problems.append(f"answer {number} to {data[:60]!r}: {answer}")
    sender.join()
    return problems


@pytest.mark.parametrize("how", ["whole", "before", "within", "behind", "between", "short", "anywhere"])
def test_a_hundred_requests_pipelined(make_gateway, make_sim, how):
    simulator = make_sim()
    instance = make_gateway(simulator)
    mixed = Mixed(instance, seed=how)
    rows = mixed.row(100)
    with plain.RawConnection(instance.address) as raw:
        assert talk(raw, rows, mixed.pieces(rows, how)) == []
        raw.send(get(instance))
        assert raw.read_answer().status == 200 and raw.pending == b""
    # One entry for each call that its client holds, with the provider's numbers.
    served = {row["request_id"]: row for row in simulator.log() if row["complete"] and row["status"] == 200}
    assert len(served) == mixed.chats

    def booked():
        return {entry["request_id"]: entry for entry in instance.ledger() if entry["outcome"] == "ok"}

    until(lambda: len(booked()) >= mixed.chats, f"{mixed.chats} calls in the ledger", step=0.1)
    assert {(name, row["prompt_tokens"], row["completion_tokens"]) for name, row in served.items()} == \
        {(name, entry["input_tokens"], entry["output_tokens"]) for name, entry in booked().items()}
    wait_quiet(instance)


@pytest.mark.tsan
def test_many_connections_pipeline_side_by_side(make_gateway, sim):
    instance = make_gateway(sim)
    problems = []

    def one(number):
        mixed = Mixed(instance, seed=number)
        rows = mixed.row(25)
        pieces = mixed.pieces(rows, ["whole", "between", "anywhere", "short"][number % 4])
        try:
            with plain.RawConnection(instance.address) as raw:
                problems.extend(talk(raw, rows, pieces))
        except (AssertionError, OSError, ValueError, KeyError) as error:
            problems.append(f"connection {number}: {error!r}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    wait_quiet(instance)


def test_pipelining_is_not_slower_than_waiting(make_gateway, sim):
    """A hundred calls at once on one connection against one after the other, in turns: once at least it must not take twice as long."""
    instance = make_gateway(sim)
    call = ask(instance, body=chat_body(), x_sim_tokens=1)

    def seconds(pipelined):
        with plain.RawConnection(instance.address) as raw:
            started = time.monotonic()
            if pipelined:
                raw.send(call * 100)
            for _ in range(100):
                if not pipelined:
                    raw.send(call)
                assert raw.read_answer().status == 200
            return time.monotonic() - started

    ratios = []
    for _ in range(10):
        ratios.append(seconds(True) / seconds(False))
        if ratios[-1] < 2:
            return
    raise AssertionError(f"pipelined against one after the other: {ratios}")

"""Clients that misbehave, each by a row of a table, at random but repeatably: the same seed gives the same calls, though not the same timing.

Every inference request asks for a model of its own, `sim/<mark>`, so that it can be found in the ledger and in the simulator's log.
"""
import asyncio
import contextlib
import json
import random
import socket
from dataclasses import dataclass

from .plain import RawConnection, split_address
from .processes import chat_body
from .waiting import until

FAULTS = ["status=429", "status=500", "status=503; retry-after=1", "status=400", "reset", "reset-after-head", "reset-mid", "close", "silence",
          "stall", "stall=3", "stall-head", "truncate=2", "cut=2", "no-usage", "no-done", "error-event", "bad-json", "bad-chunk", "wrong-type",
          "huge=300000", "huge=2500000", "slow-body=5", "early-answer", "interim", "close-idle", "delay=200"]


ACTIVE = ("weir_active_requests", "weir_active_streams")


def ask(instance, version="1.1", path="/v1/chat/completions", method="POST", body=None, **fields):
    """The bytes of one request."""
    data = b"" if method != "POST" else json.dumps(body or chat_body(stream=True)).encode()
    lines = [f"{method} {path} HTTP/{version}", f"Host: {instance.address}", f"Authorization: Bearer {instance.key}"]
    if data:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def slow_reader(instance, buffer_bytes=65536):
    """A connection whose receive buffer takes little, so that what is not read stays in the gateway."""
    raw = RawConnection.__new__(RawConnection)
    raw.socket = socket.socket()
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    raw.socket.settimeout(60)
    raw.socket.connect(split_address(instance.address))
    raw.pending = b""
    return raw


def gauges(instance):
    found = instance.metrics()
    return {name: sum(value for (metric, _), value in found.items() if metric == name) for name in ACTIVE}


def wait_quiet(instance, seconds=10):
    """Nothing is in flight any more."""
    return until(lambda: not any(gauges(instance).values()), f"no active requests and streams; {gauges(instance)}", seconds, step=0.1)


@dataclass
class Call:
    """One inference request as it was sent."""
    mark: str
    stream: bool
    head: bytes
    body: bytes
    answer: bytes = b""

    @property
    def data(self):
        return self.head + self.body

    @property
    def finished(self):
        """The client holds a whole good answer; told only of calls that were alone on their connection."""
        head, _, body = self.answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            return False
        if self.stream:
            return body.endswith(b"\r\n\r\n") and b"data: [DONE]\n\n" in body[-200:]
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        return bool(length) and len(body) == int(length)


class Crowd:
    """`size` clients that do one thing after the other for a time."""

    def __init__(self, gateway, seed, size=40):
        self.gateway, self.size = gateway, size
        self.random = random.Random(seed)
        self.calls = []
        self.deeds = {}
        self.problems = []

    # --- what is sent ---

    def call(self, fault=0.4, close=True, **fields):
        stream = self.random.random() < 0.6
        mark = "%032x" % self.random.getrandbits(128)
        shape = {"x-sim-ttft": self.random.choice([0, 0, 5, 60]), "x-sim-rate": self.random.choice([0, 0, 100, 1000]),
                 "x-sim-tokens": self.random.choice([1, 5, 20, 60])}
        if self.random.random() < fault:
            shape["x-sim-fault"] = self.random.choice(FAULTS)
        elif self.random.random() < 0.2:
            shape["x-sim-split"] = self.random.choice([1, 7, 100])
        more = {"stream": True, **({"stream_options": {"include_usage": True}} if self.random.random() < 0.5 else {})} if stream else {}
        model = f"{self.random.choice(['sim', 'sim', 'sim', 'sim', 'gone'])}/{mark}"
        body = json.dumps(chat_body("x" * self.random.choice([1, 100, 20000]), model=model, **more)).encode()
        lines = ["POST /v1/chat/completions HTTP/1.1", "Host: gateway", f"Authorization: Bearer {self.gateway.key}",
                 "Content-Type: application/json", f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in shape.items()),
                 *(f"{name}: {value}" for name, value in fields.items()), *(["Connection: close"] if close else [])]
        made = Call(mark, stream, "\r\n".join(lines).encode() + b"\r\n\r\n", body)
        self.calls.append(made)
        return made

    def small(self):
        path = self.random.choice(["/health", "/v1/models", "/livez", "/nothing", "/v1/models/sim-small"])
        method = self.random.choice(["GET", "GET", "HEAD", "OPTIONS", "DELETE"])
        return f"{method} {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {self.gateway.key}\r\n\r\n".encode()

    # --- how ---

    async def open(self):
        raw = socket.socket()
        raw.setblocking(False)
        if self.random.random() < 0.3:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        await asyncio.get_running_loop().sock_connect(raw, split_address(self.gateway.address))
        return await asyncio.open_connection(sock=raw)

    def end(self, writer):
        """Closes, in order or with a reset."""
        if self.random.random() < 0.5:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        else:
            writer.close()

    async def read_all(self, reader, limit=None, pause=0.0):
        data = b""
        while limit is None or len(data) < limit:
            piece = await reader.read(65536 if limit is None else min(65536, limit - len(data)))
            if not piece:
                break
            data += piece
            if pause:
                await asyncio.sleep(pause)
        return data

    async def nap(self, most):
        await asyncio.sleep(self.random.random() * most)

    # --- the habits ---

    async def behave(self, reader, writer):
        call = self.call(fault=0.2)
        writer.write(call.data)
        call.answer = await self.read_all(reader)

    async def read_slowly(self, reader, writer):
        call = self.call()
        writer.write(call.data)
        call.answer = await self.read_all(reader, pause=self.random.choice([0.001, 0.02]))

    async def leave_in_the_answer(self, reader, writer):
        writer.write(self.call().data)
        await self.read_all(reader, limit=self.random.choice([1, 20, 400, 2000, 100000]))
        await self.nap(0.05)

    async def leave_at_once(self, reader, writer):
        writer.write(self.call().data)
        await self.nap(self.random.choice([0, 0.002, 0.05, 0.3]))

    async def leave_in_the_question(self, reader, writer):
        data = self.call().data
        writer.write(data[:self.random.randrange(len(data))])
        await self.nap(0.1)

    async def end_its_side(self, reader, writer):
        writer.write(self.call().data)
        await self.nap(self.random.choice([0, 0.01, 0.2]))
        writer.write_eof()
        await self.read_all(reader)

    async def never_read(self, reader, writer):
        writer.write(self.call(fault=1.0).data)
        await asyncio.sleep(self.random.choice([0.1, 1.0, 4.0]))

    async def drip(self, reader, writer):
        call = self.call()
        for at in range(0, len(call.data), step := self.random.choice([1, 13, 200])):
            writer.write(call.data[at:at + step])
            if at < 60 * step:
                await self.nap(0.01)
        call.answer = await self.read_all(reader)

    async def stop_in_the_question(self, reader, writer):
        data = self.call().data
        writer.write(data[:self.random.randrange(1, len(data))])
        await self.read_all(reader)

    async def rave(self, reader, writer):
        writer.write(self.random.randbytes(self.random.choice([1, 10, 1000, 100000])))
        await self.read_all(reader)

    async def stutter(self, reader, writer):
        data = bytearray(self.call(close=False).data)
        for _ in range(self.random.choice([1, 1, 3])):
            at = self.random.randrange(len(data))
            data[at:at + self.random.choice([0, 1, 1])] = self.random.randbytes(self.random.choice([0, 1]))
        writer.write(bytes(data))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.read_all(reader), 2)

    async def pipeline(self, reader, writer):
        count = self.random.randrange(2, 8)
        parts = [self.small() if self.random.random() < 0.5 else self.call(fault=0.2, close=False).data for _ in range(count)]
        parts.append(self.call().data)
        data = b"".join(parts)
        if self.random.random() < 0.5:
            writer.write(data)
        else:
            at = self.random.randrange(len(data))
            writer.write(data[:at])
            await self.nap(0.05)
            writer.write(data[at:])
        if self.random.random() < 0.3:
            await self.nap(0.2)
        else:
            await self.read_all(reader)

    async def ask_without_reading(self, reader, writer):
        writer.write(self.small() * 300)
        await self.nap(1)

    async def send_too_much(self, reader, writer):
        head = self.call().head
        kind = self.random.choice(["told", "chunked", "lying"])
        if kind == "told":
            head = head.replace(b"Content-Length: ", b"Content-Length: 9")
        elif kind == "chunked":
            lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
            head = b"\r\n".join(lines[:1] + [b"Transfer-Encoding: chunked"] + lines[1:])
        writer.write(head)
        for _ in range(40):
            piece = self.random.randbytes(50000)
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if kind == "chunked" else piece)
            await writer.drain()
        await self.read_all(reader)

    async def ask_first(self, reader, writer):
        call = self.call(Expect="100-continue")
        writer.write(call.head)
        await self.read_all(reader, limit=25)
        if self.random.random() < 0.7:
            writer.write(call.body)
            call.answer = await self.read_all(reader)

    async def loiter(self, reader, writer):
        writer.write(self.small())
        await asyncio.sleep(self.random.choice([0.5, 3]))

    HABITS = [(behave, 6), (read_slowly, 3), (leave_in_the_answer, 4), (leave_at_once, 3), (leave_in_the_question, 2), (end_its_side, 2),
              (never_read, 1), (drip, 2), (stop_in_the_question, 1), (rave, 1), (stutter, 3), (pipeline, 4), (ask_without_reading, 1),
              (send_too_much, 1), (ask_first, 1), (loiter, 1)]

    async def once(self):
        habit = self.random.choices([row[0] for row in self.HABITS], [row[1] for row in self.HABITS])[0]
        self.deeds[habit.__name__] = self.deeds.get(habit.__name__, 0) + 1
        writer = None
        try:
            reader, writer = await self.open()
            await asyncio.wait_for(habit(self, reader, writer), 60)
        except TimeoutError:
            self.problems.append(f"{habit.__name__}: no end within a minute; last call {self.calls[-1:]}")
        except OSError:
            await self.nap(0.02)  # resets are what one gets here, and refused connections while it stops
        finally:
            if writer is not None:
                self.end(writer)

    async def run(self, seconds):
        deadline = asyncio.get_running_loop().time() + seconds

        async def one():
            while asyncio.get_running_loop().time() < deadline:
                await self.once()

        await asyncio.gather(*[one() for _ in range(self.size)])

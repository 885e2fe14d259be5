"""Resident memory: idle, with idle connections, with open streams."""
import contextlib
import selectors
import socket
import time

from harness.plain import RawConnection, split_address
from loads import chat_request, request_bytes
from machine import allow_many_files
from results import Row, at_most

NAME = "memory"
TITLE = "Memory"
IDLE = (1000, 10000)
STREAMS = 1000
METHOD = f"""\
Resident memory (`Rss` of `smaps_rollup`) of weir and of nginx's worker, which is given room for 12,000 connections; what the kernel holds for sockets
is not in it; what weir has touched of its mapped journal (4 MiB a segment) is. Each side is started
afresh and answers one request before the first figure. The {STREAMS:,} streams run at two tokens a second, each over a connection of its own to the upstream. The `weir` binary also holds the simulator and the command line."""


def connect_all(side, count):
    return [socket.create_connection(split_address(side.address), timeout=20) for _ in range(count)]


def ask_each(side, connections, batch=100):
    """One whole answer over every connection."""
    wanted = request_bytes(side.address, side.headers, chat_request("Hello"))
    for begin in range(0, len(connections), batch):
        some = connections[begin:begin + batch]
        for connection in some:
            connection.sendall(wanted)
        for connection in some:
            raw = RawConnection.__new__(RawConnection)
            raw.socket, raw.pending = connection, b""
            assert raw.read_answer().status == 200


def read_for(connections, seconds):
    """Takes what comes on all of them; gives the bytes of each."""
    taken = {connection: 0 for connection in connections}
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            for key, _ in selector.select(0.2):
                data = key.fileobj.recv(65536)
                assert data, "a stream ended early"
                taken[key.fileobj] += len(data)
    return taken


def measure_side(side):
    found = {}
    with contextlib.ExitStack() as stack:
        first = connect_all(side, 1)
        ask_each(side, first)
        first[0].close()
        time.sleep(0.5)
        found["idle"] = side.resident()

        connections = []
        stack.callback(lambda: [connection.close() for connection in connections])
        for count in IDLE:
            connections += connect_all(side, count - len(connections))
            time.sleep(1)
            found[count] = side.resident()
        ask_each(side, connections)
        time.sleep(1)
        found["answered"] = side.resident()
    time.sleep(1)
    return found


def measure_streams(side):
    found = {}
    with contextlib.ExitStack() as stack:
        streams = connect_all(side, 1)
        ask_each(side, streams)
        stack.callback(lambda: [connection.close() for connection in streams])
        before = side.resident()
        streams += connect_all(side, STREAMS - 1)
        wanted = request_bytes(side.address, {**side.headers, "x-sim-tokens": "1000", "x-sim-rate": "2"},
                               chat_request("Hello", stream=True))
        for stream in streams:
            stream.sendall(wanted)
        taken = read_for(streams, 5)
        assert min(taken.values()) > 500, f"{side.name}: a stream has not begun"
        found["streams"] = side.resident()
        found["stream"] = (found["streams"] - before) / STREAMS
    time.sleep(2)
    found["after"] = side.resident()
    return found


def measure(bench):
    if not allow_many_files(12500):
        return []
    idle, streams = {}, {}
    limits = {"max_connections": 20000, "max_active_requests": 10000}
    providers = {"max_connections": 2048}
    for measured, function in ((idle, measure_side), (streams, measure_streams)):
        with bench.sides(direct=False, nginx={"buffering": False, "connections": 12000}, weir={"limits": limits}, provider=providers) as sides:
            for side in sides:
                bench.say(f"{side.name}: {function.__name__}")
                measured[side.name] = function(side)

    def each(measured, value):
        return {side: [value(found)] for side, found in measured.items()}

    most = IDLE[-1]
    return [
        Row("idle", "MiB", each(idle, lambda f: f["idle"] / 1024), at_most(15)),
        *[Row(f"{count:,} idle connections", "MiB", each(idle, lambda f, count=count: f[count] / 1024)) for count in IDLE],
        Row("one idle connection", "KiB", each(idle, lambda f: (f[most] - f["idle"]) / most)),
        Row(f"{most:,} idle connections, each after an answer", "MiB", each(idle, lambda f: f["answered"] / 1024)),
        Row(f"{STREAMS:,} open streams", "MiB", each(streams, lambda f: f["streams"] / 1024)),
        Row("one open stream", "KiB", each(streams, lambda f: f["stream"]), at_most(24)),
        Row(f"after {STREAMS:,} streams, none open", "MiB", each(streams, lambda f: f["after"] / 1024)),
    ]

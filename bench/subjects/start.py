"""From the process's start to its first answers."""
import contextlib
import time

from harness.plain import RawConnection
from loads import chat_request, request_bytes
from machine import on_core
from results import Row, at_most
from sides import Nginx, Weir, free_address

NAME = "start"
TITLE = "Start"
METHOD = """\
From the call that makes the process to the first 200 of `/health`, and to the first whole chat answer after it, asked for without
a pause. Programs and files are in the page cache. *New* is a data folder that does not exist yet: the database is made; in that row the
key is unknown, so that only `/health` is asked."""
PATIENCE = 20


def first_answer(address, request):
    """Asks until it is answered with 200."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, AssertionError), RawConnection(address, timeout=5) as connection:
            connection.send(request)
            if connection.read_answer().status == 200:
                return time.perf_counter()
    raise AssertionError(f"no answer within {PATIENCE} s")


def time_start(bench, launch, stop, address, headers):
    """(ms to /health, ms to a chat answer, or None without headers)"""
    health = f"GET /health HTTP/1.1\r\nhost: {address}\r\n\r\n".encode()
    try:
        with on_core(bench.core):
            began = time.perf_counter()
            launch()
        with on_core(bench.load_core):
            healthy = first_answer(address, health)
            chatted = first_answer(address, request_bytes(address, headers, chat_request("Hello"))) if headers else None
    finally:
        stop()
    return (healthy - began) * 1000, (chatted - began) * 1000 if chatted else None


def measure(bench):
    found = {"health": {"nginx": [], "weir": []}, "chat": {"nginx": [], "weir": []}, "new": {"weir": []}}
    with bench.upstream() as upstream:
        listen = free_address()
        weir = Weir(f"{bench.folder}/start-weir", upstream, bench.binary, server={"listen": listen}).start()
        headers = weir.headers
        weir.stop()
        for turn in range(max(5, 3 * bench.options.rounds)):
            nginx = Nginx(f"{bench.folder}/start-nginx-{turn}", upstream)
            fresh = Weir(f"{bench.folder}/start-new-{turn}", upstream, bench.binary, server={"listen": listen})
            for side, times in (("nginx", time_start(bench, nginx.launch, nginx.stop, nginx.address, nginx.headers)),
                                ("weir", time_start(bench, weir.gateway.launch, weir.stop, listen, headers))):
                found["health"][side].append(times[0])
                found["chat"][side].append(times[1])
            found["new"]["weir"].append(time_start(bench, fresh.gateway.launch, fresh.stop, listen, None)[0])
    return [
        Row("start to the first 200 of /health", "ms", found["health"], at_most(50)),
        Row("start to the first chat answer", "ms", found["chat"], at_most(50)),
        Row("new: start to the first 200 of /health", "ms", found["new"], at_most(50)),
    ]

"""Clients and providers that behave badly: slow, half gone, greedy, broken. First one habit at a time, then all at once at random;
afterwards the gateway must stand as before, with nothing left running and every call in its books."""
import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
import time

import pytest

from harness import faults, plain
from harness.abuse import Crowd, ask, slow_reader, wait_quiet
from harness.processes import chat_body
from harness.upstream import RESET, STREAM_HEAD, USAGE, bytewise, chunk, event
from harness.waiting import SCALE, until

# --- one habit at a time ---


@pytest.mark.parametrize("header", [{}, {"Connection": "keep-alive"}], ids=["plain", "keep-alive"])
@pytest.mark.parametrize("shape", ["stream", "huge"])
def test_http_1_0_gets_an_end_that_it_can_see(gateway, header, shape):
    """1.0 knows no chunks: what has no length ends with the connection, whatever the client asked for."""
    body = chat_body(stream=shape == "stream")
    more = {"x-sim-fault": "huge=3000000"} if shape == "huge" else {"x-sim-tokens": "20"}
    with plain.RawConnection(gateway.address) as raw:
        raw.send(ask(gateway, "1.0", body=body, **header, **more))
        status, headers = raw.read_head()
        assert status == 200 and headers["connection"] == "close" and "transfer-encoding" not in headers
        rest = raw.read_rest()
    assert rest.endswith(b"data: [DONE]\n\n") if shape == "stream" else json.loads(rest)["choices"]


def test_a_slow_reader_of_the_last_event_holds_nothing_up(make_gateway, make_upstream):
    """The answer's last write is larger than what a client may leave unread, and the provider's message ends a moment later: the
    request is over when both are, not at its deadline."""
    go_on = threading.Event()

    def serve(connection):
        connection.sendall(STREAM_HEAD + chunk(event("x" * 4_000_000, "stop")))
        connection.sendall(chunk(b"data: [DONE]\n\n"))
        go_on.wait(30)
        connection.sendall(b"0\r\n\r\n")
        connection.recv(1)

    instance = make_gateway(make_upstream(bytewise(serve)))
    with slow_reader(instance) as raw:
        raw.send(ask(instance))
        until(lambda: instance.ledger(), "the ledger entry", 20)
        go_on.set()
        wait_quiet(instance, 5)
        assert raw.read_answer("POST").events()[-1] == b"[DONE]"


def test_a_provider_that_falls_silent_behind_a_slow_reader_is_given_up(make_gateway, make_upstream):
    def serve(connection):
        connection.sendall(STREAM_HEAD)
        for _ in range(8):
            connection.sendall(chunk(event("y" * 1_000_000)))
        connection.recv(1)

    instance = make_gateway(make_upstream(bytewise(serve)), timeouts={"idle": "1s"})
    with slow_reader(instance) as raw:
        raw.send(ask(instance))
        raw.read_until(b"\n\n")
        time.sleep(1.5)
        raw.pending = b""
        assert b"upstream_idle_timeout" in raw.read_until(b"0\r\n")[-2000:]
    wait_quiet(instance, 5)


def test_slow_readers_get_whole_answers_through_a_shutdown(make_gateway, make_upstream):
    """The answer is complete, but the client takes its time: neither `Connection: close` nor SIGTERM cuts it."""
    def serve(connection):
        connection.sendall(STREAM_HEAD)
        for _ in range(4):
            connection.sendall(chunk(event("z" * 2_000_000)))
        connection.sendall(chunk(event("", "stop", usage=USAGE)) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        connection.recv(1)

    instance = make_gateway(make_upstream(bytewise(serve)))
    with slow_reader(instance) as raw:
        raw.send(ask(instance, Connection="close"))
        received = raw.read_until(b"\r\n\r\n")
        while not instance.ledger():  # until everything is written, read only as much as that needs
            received += raw.socket.recv(65536)
        instance.signal(signal.SIGTERM)
        time.sleep(3)
        rest = raw.read_rest()
    assert rest.endswith(b"\r\n\r\n") and b"data: [DONE]" in rest[-400:], rest[-400:]
    assert instance.wait() == 0
    assert [entry["outcome"] for entry in instance.ledger()] == ["ok"]


def test_a_shutdown_does_not_spin(make_gateway, sim):
    """A client that keeps its side open makes the end wait a moment; waiting costs no CPU time."""
    instance = make_gateway(sim)
    with plain.RawConnection(instance.address) as raw:
        raw.send(f"GET /livez HTTP/1.1\r\nHost: {instance.address}\r\nConnection: close\r\n\r\n".encode())
        assert raw.read_answer().status == 200
        before = cpu_seconds(instance.pid)
        instance.signal(signal.SIGTERM)
        last, started = before, time.monotonic()
        while instance.running and time.monotonic() - started < 10 * SCALE:
            last = cpu_seconds(instance.pid) or last
            time.sleep(0.01)
    assert instance.wait() == 0
    assert last - before < 0.5 * SCALE


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            words = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_every_worker_answers_until_the_last_one_is_done(make_gateway, make_sim):
    """While one worker drains, the others' sockets still take connections: a probe must not hang on a worker that is done."""
    simulator = make_sim()
    instance = make_gateway(simulator, server={"workers": 4})
    with plain.RawConnection(instance.address) as raw:
        raw.send(ask(instance, Connection="close", x_sim_rate=20, x_sim_tokens=20))
        raw.read_until(b"\n\n")
        simulator.signal(signal.SIGSTOP)  # the stream cannot end meanwhile
        try:
            instance.signal(signal.SIGTERM)
            until(lambda: [line for line in instance.log_lines() if line.get("event") == "draining"], "the drain", 5)
            time.sleep(0.5)
            for _ in range(24):
                assert plain.call(instance.address, "GET", "/livez", timeout=5).status == 200
                assert plain.call(instance.address, "GET", "/readyz", timeout=5).status == 503
        finally:
            simulator.signal(signal.SIGCONT)
        assert b"data: [DONE]" in raw.read_rest()
    assert instance.wait() == 0


def test_the_time_to_a_streams_first_chunk_is_measured(make_gateway, sim):
    instance = make_gateway(sim)
    assert instance.chat(stream=True).events()[-1] == b"[DONE]"
    wait_quiet(instance)
    name = "gen_ai_client_operation_time_to_first_chunk_seconds_count"
    assert sum(value for (metric, _), value in instance.metrics().items() if metric == name) == 1


def test_usage_of_a_failed_attempt_is_not_charged(make_gateway, make_upstream, sim):
    """The first target tells of usage and breaks before anything could leave; the second one falls silent. What the client is charged for
    is not the first one's."""
    def serve(connection):
        usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        data = b"data: " + json.dumps({"id": "c", "choices": [], "usage": usage}).encode() + b"\n\n"
        connection.sendall(STREAM_HEAD + chunk(data))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    provider = make_upstream(bytewise(serve))
    instance = make_gateway(sim, start=False)
    sim_row = instance.settings["providers"][0]
    instance.settings["providers"].append({**sim_row, "name": "broken", "base_url": provider.base_url})
    instance.settings["models"] = [{"name": "sim-small", "targets": [{"provider": "broken", "model": "m", "order": 0},
                                                                   {"provider": "sim", "model": "sim-small", "order": 1}]}]
    instance.settings["timeouts"]["first_byte"] = "1s"
    instance.write_settings()
    instance.start()
    answer = instance.chat(stream=True, headers=faults.SILENCE)
    assert answer.status == 504, answer
    entry = instance.entry_of(answer.headers["x-request-id"])
    assert len(entry["attempts"]) == 2 and entry["cost_cu_milli"] == 0 and entry["output_tokens"] == 0, entry
    wait_quiet(instance)


def test_a_file_without_providers_changes_nothing(make_gateway, sim):
    """An editor that was caught half-way leaves an empty file: no provider must not become the new truth."""
    instance = make_gateway(sim)
    instance.config.write_text("data_dir: ./data\n")
    instance.signal(signal.SIGHUP)
    until(lambda: [line for line in instance.log_lines() if line.get("event") in ("reload_refused", "revision_published")],
          "an answer to SIGHUP", 10)
    assert instance.chat().status == 200
    assert "revision_published" not in [line.get("event") for line in instance.log_lines()]


def test_a_new_connect_timeout_counts_after_a_reload(make_gateway):
    class Swallow:
        base_url = None

    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(3):  # fills the backlog: who comes next waits for an answer to its SYN
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        Swallow.base_url = f"http://127.0.0.1:{address[1]}/v1"
        instance = make_gateway(Swallow, timeouts={"connect": "60s"})
        instance.settings["timeouts"]["connect"] = "300ms"
        instance.write_settings()
        instance.signal(signal.SIGHUP)
        until(lambda: [line for line in instance.log_lines() if line.get("event") == "revision_published"], "the new revision", 10)
        started = time.monotonic()
        answer = instance.chat()
        assert answer.status == 504 and time.monotonic() - started < 10 * SCALE, answer


def test_what_is_too_large_to_hold_is_not_free(make_gateway, sim):
    """Its usage is not read, so it is estimated: from all the bytes that passed, not from the question alone."""
    instance = make_gateway(sim)
    answer = instance.chat(model="sim/gpt-4o-mini", max_tokens=2_000_000, headers=faults.fault("huge=3000000"))
    assert answer.status == 200 and answer.complete and len(answer.body) > 3_000_000
    entry = instance.entry_of(answer.headers["x-request-id"])
    assert entry["usage_source"] in ("provider", "estimated")
    assert 700_000 < entry["output_tokens"] < 900_000, entry


def test_a_method_that_is_not_allowed_names_no_parameter(gateway):
    answer = gateway.request("DELETE", "/v1/chat/completions")
    assert answer.status == 405 and answer.headers["allow"] == "POST, OPTIONS"
    assert answer.json()["error"]["param"] is None


def test_the_operator_plane_checks_the_host_of_1_0_requests_too(gateway):
    for host, status in (("Host: evil.example\r\n", 403), ("Host: localhost\r\n", 200), ("", 200)):
        with plain.RawConnection(gateway.operator) as raw:
            raw.send(f"GET /livez HTTP/1.0\r\n{host}\r\n".encode())
            assert raw.read_answer().status == status, host


def test_a_provider_head_as_large_as_heads_may_be(make_gateway, make_upstream):
    """64 KiB of fields, and our own besides."""
    fields = b"".join(b"x-field-%d: %s\r\n" % (i, b"v" * 1000) for i in range(62))

    def serve(connection):
        connection.sendall(STREAM_HEAD[:-2] + fields + b"\r\n" + chunk(event("hello", "stop")) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        connection.recv(1)

    instance = make_gateway(make_upstream(bytewise(serve)))
    pad = 65536 - len(STREAM_HEAD) - len(fields)
    fields += b"x-pad: %s\r\n" % (b"p" * (pad - 9))
    with plain.RawConnection(instance.address) as raw:
        raw.send(ask(instance))
        status, headers = raw.read_head()
        assert status == 200 and len(headers["x-field-0"]) == 1000
        assert raw.read_chunks()[0].endswith(b"data: [DONE]\n\n")


def test_a_preflight_that_asks_for_a_head_full_of_fields(gateway):
    fields = ", ".join(f"x-{number:05}" for number in range(7240))
    with plain.RawConnection(gateway.address) as raw:
        for _ in range(2):
            raw.send(f"OPTIONS /v1/models HTTP/1.1\r\nHost: a\r\nOrigin: http://localhost\r\n"
                     f"Access-Control-Request-Headers: {fields}\r\n\r\n".encode())
            status, headers = raw.read_head()
            assert status == 204 and headers["access-control-allow-headers"] == fields


# --- all at once ---


def books(crowd, entries, served):
    """What is wrong with the ledger, as lines. The simulator's log is the oracle; its rows carry the gateway's request ids."""
    problems, ledger, marks, rows = [], {}, {}, {}
    for entry in entries:
        if ledger.setdefault(entry["request_id"], entry) is not entry:
            problems.append(f"twice in the ledger: {entry}")
        if entry["outcome"] == "crashed" or entry["cost_cu_milli"] > entry["reserved_cu_milli"]:
            problems.append(f"in the ledger: {entry}")
        marks[entry["model"].partition("/")[2]] = entry
    for row in served:
        rows.setdefault(row["request_id"], []).append(row)
    for request_id, found in rows.items():
        entry = ledger.get(request_id)
        if entry is None:
            problems.append(f"served by the provider and not in the ledger: {found}")
        elif len(found) == 1 and found[0]["complete"] and entry["usage_source"] == "provider":
            booked = entry["input_tokens"], entry["output_tokens"]
            if booked != (found[0]["prompt_tokens"], found[0]["completion_tokens"]):
                problems.append(f"the provider counted {found[0]}, the ledger has {entry}")
    for call in crowd.calls:
        if call.finished and marks.get(call.mark, {}).get("outcome") != "ok":
            problems.append(f"{call.mark}: its client holds the answer, the ledger has {marks.get(call.mark)}")
    return problems


async def abuse(instance, crowd, seconds):
    """The crowd, while the settings are published anew every now and then."""
    running = asyncio.ensure_future(crowd.run(seconds))
    reloads = 0
    while not running.done():
        await asyncio.wait([running], timeout=2.5)
        reloads += 1
        instance.settings["limits"]["keep_alive_requests"] = 1000 + reloads
        instance.write_settings()
        instance.signal(signal.SIGHUP)
    await running
    return reloads


@pytest.mark.tsan
def test_everything_at_once(make_gateway, make_sim):
    """WEIR_ABUSE_SEED and WEIR_ABUSE_SECONDS choose another or a longer run."""
    seed, seconds = int(os.environ.get("WEIR_ABUSE_SEED", "1")), float(os.environ.get("WEIR_ABUSE_SECONDS", "20"))
    simulator = make_sim()
    instance = make_gateway(simulator, start=False, timeouts={"head": "2s", "body": "2s", "keep_alive": "3s", "connect": "2s",
                                                              "first_byte": "2s", "idle": "2s", "request": "20s"})
    with socket.create_server(("127.0.0.1", 0)) as unused:
        gone = "http://127.0.0.1:{}/v1".format(unused.getsockname()[1])
    instance.settings["providers"].append({"name": "gone", "base_url": gone})
    instance.settings["server"]["workers"] = 2
    instance.write_settings()
    instance.start()
    crowd = Crowd(instance, seed)
    reloads = asyncio.run(abuse(instance, crowd, seconds))
    assert not crowd.problems
    instance.expect_alive()
    wait_quiet(instance, 30)
    assert plain.call(instance.address, "GET", "/readyz").status == 200
    assert instance.chat().status == 200
    until(lambda: sum(value for (name, _), value in instance.metrics().items() if name == "weir_open_connections") == 0,
          "no open connections", 20)
    # A restart settles what was left open as crashed: there must be nothing.
    instance.restart()
    instance.expect_clean()
    served = simulator.log_file()
    assert len(crowd.deeds) == len(Crowd.HABITS) and reloads > 2 and len(served) > 100, (crowd.deeds, reloads, len(served))
    problems = books(crowd, instance.ledger(), served)
    assert not problems, f"{len(problems)} of {len(served)}, seed {seed}\n" + "\n".join(problems[:20])
    print(f"{len(served)} calls served, {len(instance.ledger())} in the ledger, {sum(call.finished for call in crowd.calls)} finished, {crowd.deeds}")


async def stop_in_between(instance, crowd):
    running = asyncio.ensure_future(crowd.run(6))
    await asyncio.sleep(3)
    instance.signal(signal.SIGTERM)
    started = time.monotonic()
    while instance.running and time.monotonic() - started < 20 * SCALE:
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])
    return time.monotonic() - started


def test_a_shutdown_amid_everything(make_gateway, make_sim):
    """It ends in time and in order, and nothing is left open in its books."""
    simulator = make_sim()
    instance = make_gateway(simulator, environment={"SHUTDOWN_TIMEOUT_SECONDS": "2"})
    crowd = Crowd(instance, seed=7)
    took = asyncio.run(stop_in_between(instance, crowd))
    assert instance.wait() == 0 and took < 15 * SCALE, took
    instance.expect_clean()
    instance.start()
    served = simulator.log_file()
    assert len(served) > 20
    problems = books(crowd, instance.ledger(), served)
    assert not problems, f"{len(problems)} of {len(served)}\n" + "\n".join(problems[:20])

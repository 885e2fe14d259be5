"""Revocation: in effect within a second whoever makes it, on every worker, and answers in flight end where that is wanted."""
import asyncio
import json
import time

import pytest

from harness import plain
from harness.keys import change_key, id_of, settle
from harness.processes import chat_body
from harness.waiting import PATIENCE, SCALE, soonest, until

STREAMS = 100


def revoke(gateway, key_id):
    gateway.command("key", "revoke", "-c", gateway.config, key_id)


def key_that_ends_streams(gateway, name):
    key = gateway.create_key(name)
    key_id = change_key(gateway, name, end_streams=1)
    settle(gateway)
    return key, key_id


class Stream:
    """A stream on a connection of its own, read as far as a test wants."""

    def __init__(self, gateway, key, tokens):
        data = json.dumps(chat_body(stream=True)).encode()
        self.raw = plain.RawConnection(gateway.address, timeout=30 * PATIENCE)
        self.raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer {key}\r\n"
                      f"x-sim-ttft: 10\r\nx-sim-rate: 20\r\nx-sim-tokens: {tokens}\r\n"
                      f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)

    def begin(self):
        """Waits for text of the answer; what was read counts as unread."""
        self.status, self.headers = self.raw.read_head()
        assert self.status == 200
        read = b""
        while read.count(b"\n\n") < 3:
            read += self.raw.read_until(b"\n\n")
        self.raw.pending = read + self.raw.pending

    def finish(self):
        """The whole answer, to the end of its body."""
        with self.raw:
            body, trailers = self.raw.read_chunks()
        return plain.Answer(self.status, self.headers, body, True, trailers)


def two_workers(make_gateway, sim):
    return make_gateway(sim, server={"listen": "127.0.0.1:0", "workers": 2})


def active(gateway):
    return gateway.metrics()[("weir_active_streams", ())]


@pytest.mark.tsan
def test_streams_of_a_revoked_key_end_on_every_worker(make_gateway, sim):
    """A hundred streams of the key, ten of another one beside them: the key is revoked on the command line."""
    instance = two_workers(make_gateway, sim)
    key, key_id = key_that_ends_streams(instance, "doomed")
    doomed = [Stream(instance, key, 40000) for _ in range(STREAMS)]
    spared = [Stream(instance, instance.key, 60) for _ in range(10)]
    for stream in doomed + spared:  # each has had an event, so that each has something to be charged
        stream.begin()
    assert active(instance) >= STREAMS
    revoke(instance, key_id)
    revoked = time.monotonic()
    ended = [stream.finish() for stream in doomed]
    taken = time.monotonic() - revoked
    for answer in ended:
        last = json.loads(answer.events()[-1])
        assert last["error"]["code"] == "key_revoked_meanwhile" and last["error"]["request_id"] == answer.headers["x-request-id"], last
        assert b"[DONE]" not in answer.events()
    assert all(stream.finish().events()[-1] == b"[DONE]" for stream in spared)
    rows = instance.wait_ledger(STREAMS + 10)
    mine = [row for row in rows if row["key_id"] == key_id]
    assert len(rows) == STREAMS + 10 and len(mine) == STREAMS
    assert {row["request_id"] for row in mine} == {answer.headers["x-request-id"] for answer in ended}
    for row in mine:
        assert (row["outcome"], row["reason"], row["usage_source"], row["status"]) == ("aborted", "key_revoked_meanwhile", "aborted", 200), row
        assert row["output_tokens"] > 0, row
    # The provider is told as well: its calls end unfinished.
    until(lambda: sum(sim.is_aborted(row) for row in sim.log()) >= STREAMS, "the provider's side to be closed")
    assert taken < 1 * PATIENCE, f"the streams ended {taken:.2f} s behind the command"
    answer = plain.call(instance.address, "POST", "/v1/chat/completions", {"authorization": f"Bearer {key}"}, chat_body())
    assert answer.status == 401 and answer.json()["error"]["code"] == "key_unknown"


def test_without_the_word_streams_go_on(make_gateway, sim):
    instance = two_workers(make_gateway, sim)
    key = instance.create_key("spared")
    settle(instance)
    key_id = change_key(instance, "spared", end_streams=0)

    async def everything():
        stream = asyncio.ensure_future(plain.call_async(
            instance.address, "/v1/chat/completions",
            {"authorization": f"Bearer {key}", "x-sim-rate": "20", "x-sim-tokens": "60"}, chat_body(stream=True)))
        while not await asyncio.to_thread(active, instance):
            await asyncio.sleep(0.02)
        await asyncio.to_thread(revoke, instance, key_id)
        await asyncio.to_thread(instance.wait_key, key, 401)
        assert not stream.done()
        return await stream

    answer = asyncio.run(everything())
    assert answer.complete and answer.events()[-1] == b"[DONE]"
    assert instance.wait_ledger(1)[0]["outcome"] == "ok"


@pytest.mark.parametrize("stream", [False, True])
def test_before_the_first_byte_it_is_a_401(make_gateway, sim, stream):
    instance = make_gateway(sim)
    key, key_id = key_that_ends_streams(instance, "early")
    with plain.RawConnection(instance.address) as raw:
        data = json.dumps(chat_body(stream=stream)).encode()
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {instance.address}\r\nAuthorization: Bearer {key}\r\nx-sim-ttft: 60000\r\n"
                 f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        until(lambda: instance.metrics()[("weir_active_requests", ())] >= 1, "the request to be under way")
        revoke(instance, key_id)
        answer = raw.read_answer("POST")
        assert answer.status == 401 and answer.json()["error"]["code"] == "key_revoked_meanwhile", answer
        assert answer.headers["x-should-retry"] == "false"
        # The connection is good for whoever has a key.
        raw.send(f"GET /v1/models HTTP/1.1\r\nHost: {instance.address}\r\nAuthorization: Bearer {instance.key}\r\n\r\n".encode())
        assert raw.read_answer().status == 200
    row = instance.wait_ledger(1)[0]
    assert (row["outcome"], row["reason"], row["status"], row["cost_cu_milli"]) == ("aborted", "key_revoked_meanwhile", 401, 0)


def test_a_request_whose_body_is_still_coming_ends_too(make_gateway, sim):
    instance = make_gateway(sim)
    key, key_id = key_that_ends_streams(instance, "uploading")
    with plain.RawConnection(instance.address) as raw:
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {instance.address}\r\nAuthorization: Bearer {key}\r\n"
                 f"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{".encode())
        until(lambda: instance.metrics()[("weir_active_requests", ())] >= 1, "the request to be under way")
        revoke(instance, key_id)
        answer = raw.read_answer("POST")
        assert answer.status == 401 and answer.json()["error"]["code"] == "key_revoked_meanwhile", answer
    assert instance.ledger() == []


def test_a_large_answer_is_cut_off(make_gateway, make_upstream):
    """Too large to be held, it goes through as it comes: what is left is a reset, so that nobody takes the piece for the whole."""
    import threading
    go = threading.Event()

    def answer(call):
        call.read()
        call.head(headers={"content-type": "application/json", "content-length": str(4 << 20)})
        call.send(b'{"x":"' + b"a" * (2 << 20))
        go.wait(30 * PATIENCE)
        call.close()

    upstream = make_upstream(answer)
    instance = make_gateway(upstream)
    key, key_id = key_that_ends_streams(instance, "large")
    with plain.RawConnection(instance.address) as raw:
        data = json.dumps(chat_body()).encode()
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {instance.address}\r\nAuthorization: Bearer {key}\r\n"
                 f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        assert raw.read_head()[0] == 200
        revoke(instance, key_id)
        with pytest.raises((ConnectionError, EOFError)):
            raw.read_chunks()
        go.set()
    row = instance.wait_ledger(1)[0]
    assert (row["outcome"], row["reason"]) == ("aborted", "key_revoked_meanwhile")


def test_a_key_that_changes_keeps_its_requests(make_gateway, sim):
    """Rows are replaced while a stream holds the old one; its revocation reaches it all the same."""
    instance = make_gateway(sim)
    key, key_id = key_that_ends_streams(instance, "changing")

    async def everything():
        stream = asyncio.ensure_future(plain.call_async(
            instance.address, "/v1/chat/completions",
            {"authorization": f"Bearer {key}", "x-sim-rate": "20", "x-sim-tokens": "4000"}, chat_body(stream=True)))
        while not await asyncio.to_thread(active, instance):
            await asyncio.sleep(0.02)
        for number in range(5):
            await asyncio.to_thread(change_key, instance, "changing", rules=json.dumps({"models": [f"none-{number}"]}))
            await asyncio.to_thread(settle, instance)
        assert not stream.done()
        await asyncio.to_thread(revoke, instance, key_id)
        return await stream

    answer = asyncio.run(everything())
    assert json.loads(answer.events()[-1])["error"]["code"] == "key_revoked_meanwhile"


def test_another_process_is_heard_within_a_second_on_every_worker(make_gateway, sim):
    instance = two_workers(make_gateway, sim)

    def attempt():
        name = f"twice-{time.monotonic_ns()}"
        key, key_id = instance.create_key(name), None
        instance.wait_key(key)
        # Connections of both workers, so that either one is asked.
        connections = [plain.RawConnection(instance.address) for _ in range(16)]
        ask = f"GET /v1/models HTTP/1.1\r\nHost: {instance.address}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()

        def statuses():
            for raw in connections:
                raw.send(ask)
            return {raw.read_answer().status for raw in connections}

        until(lambda: statuses() == {200}, "all to be served")
        began = time.monotonic()
        change_key(instance, name, revoked_utc_us=1)
        until(lambda: statuses() == {401}, "all to be refused")
        for raw in connections:
            raw.__exit__(None, None, None)
        return time.monotonic() - began

    soonest(1, attempt, tries=5 if SCALE > 1 else 3)


def test_old_keys_are_counted_and_logged_once(make_gateway, sim):
    instance = make_gateway(sim, keys={"rotation_due": "30d"})
    for name in ("aged", "aged-and-revoked", "aged-and-rotated"):
        instance.create_key(name)
    # Their ends first: one that is old and still good for a moment would be counted.
    change_key(instance, "aged-and-revoked", revoked_utc_us=1)
    change_key(instance, "aged-and-rotated", replaced_by="key_0000000000000000")
    ids = {}
    for name in ("aged", "aged-and-revoked", "aged-and-rotated"):
        ids[name] = change_key(instance, name, created_utc_us=int((time.time() - 31 * 86400) * 1e6))

    def numbers():
        metrics = instance.metrics()
        return [metrics[(f"weir_keys{name}", ())] for name in ("", "_active", "_rotation_due")]

    until(lambda: numbers() == [4, 3, 1], "the keys to be counted")
    lines = until(lambda: [line for line in instance.log_lines() if line["event"] == "key_rotation_due"], "the log line")
    assert instance.metrics()[("weir_keys_bytes", ())] > 0
    settle(instance)  # a change, and with it a new count
    until(lambda: numbers() == [5, 4, 1], "the keys to be counted anew")
    lines = [line for line in instance.log_lines() if line["event"] == "key_rotation_due"]
    assert len(lines) == 1 and lines[0]["level"] == "warning"
    assert lines[0]["keys"] == 1
    assert lines[0]["key_ids"] == ids["aged"]


def test_no_key_is_due_where_the_setting_is_0(make_gateway, sim):
    instance = make_gateway(sim, keys={"rotation_due": "0"})
    change_key(instance, "test", created_utc_us=1)
    settle(instance)
    until(lambda: instance.metrics()[("weir_keys_active", ())] == 2, "the keys to be counted")
    assert instance.metrics()[("weir_keys_rotation_due", ())] == 0
    assert not [line for line in instance.log_lines() if line["event"] == "key_rotation_due"]


def test_an_operation_returns_when_the_revocation_is_in_effect(make_gateway, sim):
    """On both workers, without waiting: the answer of the operation is the word that the key is dead and its streams are ending."""
    instance = two_workers(make_gateway, sim)
    for number in range(5):
        key = instance.create_key(f"operated-{number}")
        instance.wait_key(key)
        key_id = id_of(instance, f"operated-{number}")
        streams = [Stream(instance, key, 40000) for _ in range(8)]
        for stream in streams:
            stream.begin()
        answer = plain.call(instance.operator, "POST", f"/api/v1/keys/{key_id}/revoke", body={"confirm": key_id, "end_streams": True})
        assert answer.status == 200, answer
        assert {plain.call(instance.address, "GET", "/v1/models", {"authorization": f"Bearer {key}"}).status for _ in range(12)} == {401}
        for stream in streams:
            assert json.loads(stream.finish().events()[-1])["error"]["code"] == "key_revoked_meanwhile"

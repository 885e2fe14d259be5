"""The operator plane under clients that mean no good, or that break: slow, greedy, many, gone."""
import asyncio
import collections
import json
import sqlite3
import threading
import time

import pytest

from harness.operator import Operator
from harness.plain import RawConnection, call, call_async
from harness.waiting import until

LIST = "/api/v1/operations"


def post(path, body, fields=b""):
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
        path.encode(), fields, len(body), body)


def audit_of(operator, action):
    found = []
    for line in operator.get(f"/api/v1/audit-logs/export?action={action}&format=jsonl").body.splitlines():
        found.append(json.loads(line))
    return [row for row in found if row["result"] == "success"]


@pytest.mark.tsan
def test_a_pipeline_is_answered_in_order(gateway):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"".join(b"GET /api/v1/operations?tag=t%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % (i % 2) + post("/api/v1/workspaces", b"{}")
                          + b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n" for i in range(50)))
        for _ in range(50):
            assert raw.read_answer().json()["data"] == []
            refused = raw.read_answer()
            assert (refused.status, refused.json()["details"]["reason"]) == (400, "field_missing")
            assert raw.read_answer("HEAD").status == 200


def test_a_body_that_comes_byte_by_byte_is_read(gateway):
    with RawConnection(gateway.operator) as raw:
        for byte in post("/api/v1/workspaces", b'{"id":"Not A Slug"}'):
            raw.send(bytes([byte]))
        assert raw.read_answer().json()["details"]["field"] in ("id", "name")


def test_a_body_in_chunks_is_read(gateway):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
        assert raw.read_answer().json()["details"]["reason"] == "field_missing"


def test_a_client_that_waits_for_100_gets_it(gateway):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert raw.read_head()[0] == 100
        raw.send(b"{}")
        assert raw.read_answer().status == 400


def test_a_body_over_one_mebibyte_is_refused_before_it_comes(gateway):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1048577\r\n\r\n")
        answer = raw.read_answer()
        assert (answer.status, answer.json()["details"]["reason"]) == (413, "body_too_large")
        assert answer.headers["connection"] == "close"
    with RawConnection(gateway.operator) as raw:
        raw.send(b"POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        for _ in range(17):
            raw.send(chunk)
        assert raw.read_answer().status == 413


def test_the_largest_body_is_taken(operator):
    body = json.dumps({"id": "x" * 100}).encode()
    answer = operator.post("/api/v1/workspaces", body + b" " * (1048576 - len(body)), headers={"content-type": "application/json"}, status=400)
    assert answer.reason == "field_invalid"


@pytest.mark.parametrize("fields", [{"content-type": "text/plain"}, {"content-type": "application/json", "content-encoding": "gzip"}, {"content-type": ""}])
def test_what_is_not_json_is_refused(operator, fields):
    assert operator.post("/api/v1/workspaces", b"{}", headers=fields, status=415).reason == "content_type_unsupported"


def test_what_takes_no_body_says_so(operator):
    assert operator.request("GET", LIST, {"a": 1}, status=400).reason == "body_not_taken"


def test_deep_and_wide_json_is_refused_quickly(operator):
    for body in (b"[" * 500000, b"[" * 300 + b"]" * 300, b'{"id":' * 100000, b'{"a":1,' + b'"b":1,' * 100000 + b'"b":1}', b'{"id":"' + b"\\ud800" * 100000 + b'"}'):
        began = time.monotonic()
        answer = operator.post("/api/v1/workspaces", body, headers={"content-type": "application/json"}, status=400)
        assert answer.reason in ("json_invalid", "json_duplicate_member", "field_missing", "field_invalid")
        assert time.monotonic() - began < 30


def test_a_head_that_never_ends_does_not_hold_others(gateway, operator):
    slow = [RawConnection(gateway.operator) for _ in range(100)]
    for raw in slow:
        raw.send(b"GET /api/v1/operations HTTP/1.1\r\nHost: loc")
    operator.get(LIST)
    for raw in slow:
        raw.reset()
    operator.get(LIST)


def test_a_body_that_never_comes_is_given_up(gateway):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
        answer = raw.read_answer()
        assert (answer.status, answer.json()["details"]["reason"]) == (408, "request_timeout")
        assert raw.is_closed()


@pytest.mark.tsan
def test_clients_that_leave_at_every_point_leave_nothing_behind(gateway, operator):
    request = post("/api/v1/workspaces", b'{"id":"half"}')
    for cut in range(0, len(request) + 1, 7):
        for end in (RawConnection.end, RawConnection.reset):
            with RawConnection(gateway.operator) as raw:
                raw.send(request[:cut])
                end(raw)
                if end is RawConnection.end:
                    raw.read_rest()
    with RawConnection(gateway.operator) as raw:
        raw.send(request)
        raw.reset()
    operator.get(LIST)


@pytest.mark.tsan
def test_a_thousand_at_once_are_answered_or_told_to_come_back(make_gateway, sim):
    """The queue is bounded: what does not fit is refused at once, and everybody gets a whole answer."""
    gateway = make_gateway(sim)

    async def crowd():
        return await asyncio.gather(*(call_async(gateway.operator, LIST, method="GET") for _ in range(1000)))

    answers = asyncio.run(crowd())
    statuses = collections.Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 503}, statuses
    assert statuses[200] >= 1
    for answer in answers:
        assert answer.complete
        if answer.status == 503:
            body = json.loads(answer.body)
            assert body["details"]["reason"] == "overloaded"
            assert answer.headers["retry-after"] == "5"
    Operator(gateway).get(LIST)


@pytest.mark.tsan
def test_a_full_queue_refuses_and_recovers(make_gateway, sim):
    """Another process holds the store's write lock: operations that change wait for it, and the queue behind them fills."""
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    operator.get(LIST)
    database = sqlite3.connect(gateway.folder / "data/weir.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    statuses = collections.Counter()

    async def crowd():
        return await asyncio.gather(*(call_async(gateway.operator, "/api/v1/workspaces", body={"id": f"w{i}"}, timeout=500) for i in range(300)))

    answers = asyncio.run(crowd())
    database.execute("ROLLBACK")
    database.close()
    for answer in answers:
        assert answer.complete
        statuses[answer.status, json.loads(answer.body).get("details", {}).get("reason")] += 1
    assert set(statuses) == {(503, "overloaded"), (503, "operator_store_unavailable")}, statuses
    assert statuses[503, "overloaded"] >= 1, statuses
    operator.post("/api/v1/workspaces", {"id": "afterwards", "name": "afterwards"}, status=201)


def test_what_runs_at_the_end_is_finished(make_gateway, sim):
    """SIGTERM while operations run: each has either changed something and said so, or changed nothing."""
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    operator.get(LIST)
    made = []
    stop = threading.Event()

    def work(thread):
        for i in range(100000):
            if stop.is_set():
                return
            name = f"w{thread}-{i}"
            try:
                answer = call(gateway.operator, "POST", "/api/v1/workspaces", body={"id": name, "name": name})
            except OSError:
                return
            if answer.status == 201:
                made.append(name)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(made) > 20, "some workspaces")
    gateway.stop()
    stop.set()
    for thread in threads:
        thread.join()
    gateway.start()
    found = {row["id"] for row in operator.all("/api/v1/workspaces")}
    assert set(made) <= found
    told = {row["resource_id"] for row in audit_of(operator, "workspaces.create")}
    assert told == found - {"default"}, "a change and its entry are there together, or neither"


def test_while_another_process_holds_the_store_changes_are_refused(make_gateway, sim):
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    operator.get(LIST)
    database = sqlite3.connect(gateway.folder / "data/weir.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    refused = operator.post("/api/v1/workspaces", {"id": "acme"}, status=503)
    assert refused.reason == "operator_store_unavailable"
    assert refused.headers["retry-after"] == "5"
    operator.get("/api/v1/workspaces")  # reading goes on
    database.execute("ROLLBACK")
    database.close()
    operator.post("/api/v1/workspaces", {"id": "acme"}, status=201)

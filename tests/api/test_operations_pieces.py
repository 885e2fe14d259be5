"""Long answers come in pieces: whole for who reads slowly, over 1.0 too, and no burden where the client leaves."""
import json
import time

import pytest

from harness.operator import Operator
from harness.plain import RawConnection, call
from harness.waiting import until

ENTRIES = 2000


@pytest.fixture(scope="module")
def trail(gateway):
    """An audit trail of a megabyte and more: attempts that were refused, each with a long name of its sender's program."""
    agent = b"x" * 200
    request = b"POST /api/v1/workspaces HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}" % agent
    for _ in range(ENTRIES // 500):
        with RawConnection(gateway.operator) as raw:
            for _ in range(50):
                raw.send(request * 10)
                for _ in range(10):
                    assert raw.read_answer().status == 400
    return Operator(gateway)


def export(trail):
    return trail.get("/api/v1/audit-logs/export?format=jsonl&action=workspaces.create")


def test_every_line_is_there(trail):
    answer = export(trail)
    assert answer.headers["transfer-encoding"] == "chunked"
    lines = answer.body.splitlines()
    assert len(answer.body) > 2 * 256 * 1024, "more than two pieces"
    assert len(lines) == ENTRIES
    assert len({json.loads(line)["id"] for line in lines}) == ENTRIES


def test_over_1_0_the_end_of_the_connection_ends_it(gateway, trail):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"GET /api/v1/audit-logs/export?format=jsonl&action=workspaces.create HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        status, headers = raw.read_head()
        assert status == 200
        assert "transfer-encoding" not in headers
        assert "content-length" not in headers
        assert headers["connection"] == "close"
        assert raw.read_rest() == export(trail).body


def test_a_connection_goes_on_after_it(gateway, trail):
    with RawConnection(gateway.operator) as raw:
        for _ in range(2):
            raw.send(b"GET /api/v1/audit-logs/export?format=jsonl&action=workspaces.create HTTP/1.1\r\nHost: localhost\r\n\r\n"
                     b"HEAD /api/v1/audit-logs/export?format=jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n"
                     b"GET /api/v1/operations?tag=none HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert len(raw.read_answer().body.splitlines()) == ENTRIES
            assert raw.read_answer("HEAD").status == 200
            assert raw.read_answer().json()["data"] == []


@pytest.mark.tsan
def test_who_reads_slowly_gets_all_of_it_and_holds_nobody_up(gateway, trail):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"GET /api/v1/audit-logs/export?format=jsonl&action=workspaces.create HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.read_head()[0] == 200
        for _ in range(20):
            trail.get("/api/v1/operations?tag=none")
        time.sleep(0.2)
        body, _ = raw.read_chunks()
    assert len(body.splitlines()) == ENTRIES


@pytest.mark.tsan
def test_who_leaves_in_the_middle_is_forgotten(gateway, trail):
    for leave in (RawConnection.reset, lambda raw: raw.socket.close()):
        for _ in range(10):
            with RawConnection(gateway.operator) as raw:
                raw.send(b"GET /api/v1/audit-logs/export?format=jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert raw.read_head()[0] == 200
                leave(raw)
    until(lambda: call(gateway.operator, "GET", "/livez").status == 200, "an answer")
    assert len(export(trail).body.splitlines()) == ENTRIES

"""POST /v1/admin/models/sync: every provider is asked for its models, and the answer is kept for its key."""
import concurrent.futures
import itertools
import json
import sqlite3
import threading
import uuid

import pytest

from harness.operator import Operator
from harness.plain import call
from harness.waiting import until

NUMBERS = itertools.count()


def models(*names):
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


class World:
    """A gateway with one provider that takes every name, and others; a key that may ask for the sync."""

    def __init__(self, make_gateway, make_upstream, sim, **more):
        self.open = threading.Event()
        self.open.set()
        self.lists = {"main": models("m-1", "m-new", "gpt-4o"), "other": models("o-1")}
        self.seen = []

        def handler(name):
            def answer(one):
                self.seen.append((name, one.method, one.target, one.headers.get("authorization")))
                self.open.wait(60)
                kept = self.lists[name]
                if kept is None:
                    one.keep = False
                    one.connection.socket.shutdown(2)
                elif isinstance(kept, bytes):
                    one.answer(kept, headers={"content-type": "application/json"})
                elif isinstance(kept, int):
                    one.answer({"error": {"message": "no"}}, status=kept)
                else:
                    one.answer(kept)
            return answer

        self.upstreams = {name: make_upstream(handler(name)) for name in ("main", "other")}
        providers = [{"name": name, "base_url": f"{upstream.base_url}", "api_key": f"credential-{name}", "prices": "openai",
                      **({"catch_all": True} if name == "main" else {})} for name, upstream in self.upstreams.items()]
        configured = [{"name": "house", "targets": [{"provider": "main", "model": "m-1"}, {"provider": "other", "model": "o-gone"}]}]
        self.gateway = make_gateway(sim, providers=providers, models=configured, **more)
        self.operator = Operator(self.gateway)
        self.key = self.operator.post("/api/v1/keys", {"name": "admin", "rules": {"capabilities": ["inference", "admin"]}}, status=201).json()["key"]

    def sync(self, key=None, body=None):
        fields = {"authorization": f"Bearer {self.key}", "idempotency-key": key or str(uuid.uuid4())}
        return call(self.gateway.address, "POST", "/v1/admin/models/sync", fields, body)

    def listed(self):
        return [row["id"] for row in call(self.gateway.address, "GET", "/v1/models", {"authorization": f"Bearer {self.key}"}).json()["data"]]


@pytest.fixture
def world(make_gateway, make_upstream, sim):
    made = World(make_gateway, make_upstream, sim)
    yield made
    made.open.set()


def test_every_provider_is_asked_and_compared(world):
    assert "m-new" not in world.listed()
    answer = world.sync()
    assert answer.status == 200, answer
    main, other = answer.json()["providers"]
    assert main == {"name": "main", "status": "ok", "models": ["gpt-4o", "m-1", "m-new"], "new": ["gpt-4o", "m-new"], "missing": [],
                    "unpriced": ["m-1", "m-new"]}
    assert other == {"name": "other", "status": "ok", "models": ["o-1"], "new": ["o-1"], "missing": ["o-gone"], "unpriced": ["o-1"]}
    assert sorted(world.seen) == [("main", "GET", "/v1/models", "Bearer credential-main"), ("other", "GET", "/v1/models", "Bearer credential-other")]
    # The provider that takes every name lists what it has, from now on and after a restart.
    until(lambda: "m-new" in world.listed(), "the list")
    assert world.listed().count("gpt-4o") == 1 and "o-1" not in world.listed()
    shown = call(world.gateway.address, "GET", "/v1/models/m-new", {"authorization": f"Bearer {world.key}"})
    assert (shown.status, shown.json()["owned_by"]) == (200, "main")
    world.gateway.restart()
    assert "m-new" in world.listed()
    told, = world.operator.get("/api/v1/audit-logs?action=models.sync").json()["data"]
    assert told["changes"]["after"] == {"main": 3, "other": 1} and told["actor_kind"] == "key"


@pytest.mark.parametrize("broken, words", [(401, "status 401"), (b"{", "no list"), (b"{\"data\":{}}", "no list"), (b"x" * (9 << 20), "too large")])
def test_one_that_fails_is_told_and_is_not_fatal(world, broken, words):
    world.lists["other"] = broken
    main, other = world.sync().json()["providers"]
    assert main["status"] == "ok"
    assert other["status"] == "failed" and words in other["error"] and "credential" not in json.dumps(other)


def test_one_that_hangs_up_is_told(world):
    world.lists["other"] = None
    main, other = world.sync().json()["providers"]
    assert (main["status"], other["status"]) == ("ok", "failed")


def test_a_second_request_is_told_to_wait_and_a_third_gets_the_answer(world):
    key = str(uuid.uuid4())
    world.open.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.sync, key)
        until(lambda: len(world.seen) == 2, "both providers to be asked")
        busy = world.sync(key)
        assert (busy.status, busy.json()["error"]["code"], busy.headers["retry-after"]) == (409, "idempotency_in_flight", "1")
        world.open.set()
        done = first.result()
    again = world.sync(key)
    assert (done.status, again.status, again.body) == (200, 200, done.body)
    assert (again.headers["idempotency-replayed"], again.headers["x-weir-original-request-id"]) == ("true", done.headers["x-request-id"])
    assert len(world.seen) == 2


def test_who_leaves_finds_the_answer_later(world):
    key = str(uuid.uuid4())
    world.open.clear()
    with pytest.raises(TimeoutError):
        call(world.gateway.address, "POST", "/v1/admin/models/sync", {"authorization": f"Bearer {world.key}", "idempotency-key": key}, timeout=1)
    world.open.set()
    answer = until(lambda: next((a for a in [world.sync(key)] if a.status == 200), None), "the answer")
    assert answer.headers["idempotency-replayed"] == "true" and len(world.seen) == 2


def test_a_claim_of_a_killed_process_ends_by_itself(world):
    import sqlite3
    key = str(uuid.uuid4())
    world.open.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        lost = pool.submit(lambda: pytest.raises((OSError, Exception), world.sync, key))
        until(lambda: len(world.seen) == 2, "both providers to be asked")
        world.gateway.kill()
        lost.result()
    world.open.set()
    world.gateway.start()
    assert world.sync(key).status == 409  # nobody knows yet that it is dead
    path, = (world.gateway.folder / "data").glob("*.db")
    with sqlite3.connect(path, timeout=30) as connection:  # a minute later
        changed = connection.execute("UPDATE object SET text = json_set(text, '$.until_utc_us', 1) WHERE id = ? AND removed = 0", [key]).rowcount
    assert changed == 1
    assert world.sync(key).status == 200


def test_the_server_can_end_in_the_middle(world):
    world.open.clear()
    with pytest.raises(TimeoutError):
        call(world.gateway.address, "POST", "/v1/admin/models/sync", {"authorization": f"Bearer {world.key}", "idempotency-key": str(uuid.uuid4())}, timeout=1)
    world.gateway.stop()  # and a sanitizer has nothing to say


def test_what_is_kept_of_a_key_says_what_was_asked(world):
    key = str(uuid.uuid4())
    assert world.sync(key).status == 200
    path, = (world.gateway.folder / "data").glob("*.db")
    with sqlite3.connect(path) as connection:
        (text,), = connection.execute("SELECT text FROM object WHERE id = ?", [key])
    assert len(json.loads(text)["hash"]) == 64
    twice = call(world.gateway.address, "POST", "/v1/admin/models/sync",
                 {"authorization": f"Bearer {world.key}", "idempotency-key": key, "Idempotency-Key": str(uuid.uuid4())})
    assert (twice.status, twice.json()["error"]["code"]) == (400, "idempotency_key_invalid")


def test_admin_must_be_named_in_the_rules(world):
    for rules in ({}, {"capabilities": ["*"]}, {"capabilities": ["inference", "billing"]}):
        key = world.operator.post("/api/v1/keys", {"name": f"k{next(NUMBERS)}", "rules": rules}, status=201).json()["key"]
        answer = call(world.gateway.address, "POST", "/v1/admin/models/sync", {"authorization": f"Bearer {key}", "idempotency-key": str(uuid.uuid4())})
        assert (answer.status, answer.json()["error"]["code"]) == (403, "key_capability_missing")
    assert world.sync("x").status == 400
    assert world.sync(body={"a": 1}).status == 400
    assert world.seen == []

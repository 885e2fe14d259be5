"""Revisions: what is live, publishing the file, and plans as a part of what is published."""
import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.plain import call
from harness.waiting import soonest, until


@pytest.fixture
def instance(make_gateway, sim):
    return make_gateway(sim, server={"listen": "127.0.0.1:0", "workers": 2})


@pytest.fixture
def plane(instance):
    from harness.operator import Operator
    return Operator(instance)


def live(plane):
    return plane.get("/api/v1/revisions/live").json()


def add_model(instance, name):
    instance.settings["models"].append({"name": name, "targets": [{"provider": "sim", "model": "sim-small"}]})
    instance.write_settings()


def models(instance):
    """As every worker has them, more or less."""
    found = {frozenset(row["id"] for row in instance.request("GET", "/v1/models").json()["data"]) for _ in range(8)}
    assert len(found) == 1, found
    return found.pop()


def test_publishing_is_what_the_file_says_now(instance, plane):
    first = live(plane)
    assert first["live"] is True
    assert first["text"].startswith('environment: "dev"\n')
    assert 'plan free: {"name":"Free"' in first["text"]
    unchanged = plane.post("/api/v1/revisions/publish").json()
    assert unchanged == {"number": first["number"], "changed": False, "needs_restart": []}
    add_model(instance, "another")
    published = plane.post("/api/v1/revisions/publish")
    assert published.json() == {"number": first["number"] + 1, "changed": True, "needs_restart": []}
    assert published.headers["x-weir-revision"] == str(first["number"] + 1)
    until(lambda: "another" in models(instance), "the new model on every worker")
    assert live(plane)["number"] == first["number"] + 1
    old = plane.get(f"/api/v1/revisions/{first['number']}").json()
    assert (old["text"], old["hash"], old["live"]) == (first["text"], first["hash"], False)
    listed = plane.all("/api/v1/revisions", limit=1)
    assert [row["number"] for row in listed] == list(range(first["number"] + 1, 0, -1))
    assert "text" not in listed[0]
    assert plane.get("/api/v1/revisions/999", status=404).reason == "not_there"
    assert plane.get("/api/v1/revisions/0", status=400).reason == "parameter_invalid"


def test_a_bad_file_changes_nothing_and_all_that_is_wrong_is_told(instance, plane):
    before = live(plane)
    instance.settings["models"].append({"name": "one", "targets": [{"provider": "nobody", "model": "x"}]})
    instance.settings["models"].append({"name": "two", "targets": [{"provider": "nowhere", "model": "x"}]})
    instance.write_settings()
    refused = plane.post("/api/v1/revisions/publish", status=400)
    assert refused.reason == "publish_refused"
    problems = refused.json()["details"]["problems"]
    assert len(problems) == 2
    assert "nobody" in problems[0] and "nowhere" in problems[1]
    assert "weir.yaml" in problems[0]
    assert live(plane) == before
    failed = plane.all("/api/v1/audit-logs?action=revisions.publish&result=failure")
    assert len(failed) == 1
    instance.config.write_text("models: [")
    assert len(plane.post("/api/v1/revisions/publish", status=400).json()["details"]["problems"]) == 1


def test_a_file_that_is_gone_is_refused_also_where_nobody_named_it(make_gateway, sim):
    """It was found as weir.yaml in the working directory: without it the environment's provider would take over."""
    from harness.operator import Operator
    instance = make_gateway(sim, start=False, environment={"OPENAI_API_KEY": "sk-elsewhere"})
    instance.words = [instance.binary, "serve"]
    plane = Operator(instance.start())
    before = live(plane)
    instance.config.rename(instance.folder / "away.yaml")
    refused = plane.post("/api/v1/revisions/publish", status=400)
    assert refused.reason == "publish_refused"
    assert "weir.yaml: No such file" in refused.json()["error"]
    assert live(plane) == before


def test_a_file_of_another_environment_is_refused(instance, plane):
    before = live(plane)
    instance.settings["environment"] = "stage"
    instance.write_settings()
    refused = plane.post("/api/v1/revisions/publish", status=400)
    assert "stage" in refused.json()["error"] and "dev" in refused.json()["error"]
    assert live(plane) == before


@pytest.mark.tsan
def test_a_change_of_a_plan_is_a_new_revision_when_the_answer_is_there(instance, plane):
    before = live(plane)["number"]
    made = plane.post("/api/v1/plans", {"id": "own", "name": "Own", "requests_per_second": 9}, status=201)
    assert made.headers["x-weir-revision"] == str(before + 1)
    assert live(plane)["number"] == before + 1
    assert 'plan own: {"name":"Own","requests_per_second":9,"cu_milli_per_month":null,"price_cu_milli_per_month":null,"overage":false}' in live(plane)["text"]
    changed = plane.patch("/api/v1/plans/own", {"requests_per_second": 10})
    assert changed.headers["x-weir-revision"] == str(before + 2)
    # Nothing that it says is different: no other revision.
    same = plane.patch("/api/v1/plans/own", {"requests_per_second": 10})
    assert same.headers["x-weir-revision"] == str(before + 2)
    gone = plane.delete("/api/v1/plans/own?confirm=own", status=204)
    assert gone.headers["x-weir-revision"] == str(before + 3)
    assert "plan own:" not in live(plane)["text"]
    saved = plane.all("/api/v1/audit-logs?action=revision.save")
    assert {entry["resource_id"] for entry in saved} == {str(number) for number in range(1, before + 4)}
    assert {entry["changes"]["after"]["cause"] for entry in saved} == {"start", "plans"}
    assert all(entry["actor_kind"] == "system" for entry in saved)


def test_a_change_of_a_plan_does_not_bring_an_edited_file_to_life(instance, plane):
    add_model(instance, "half-done")
    plane.patch("/api/v1/plans/free", {"requests_per_second": 3})
    assert "half-done" not in models(instance)
    assert "half-done" not in live(plane)["text"]
    plane.post("/api/v1/revisions/publish")
    plane.patch("/api/v1/plans/free", {"requests_per_second": 4})
    assert "half-done" in live(plane)["text"] and '"requests_per_second":4' in live(plane)["text"]


def test_another_process_changes_a_plan_and_it_is_live_within_a_second(instance, plane):
    """A second gateway on the same store is another process."""
    from harness.keys import database
    import time
    rate = [10]

    def change():
        rate[0] += 1
        with database(instance) as connection:
            connection.execute("UPDATE object SET text = json_set(text, '$.requests_per_second', ?), version = version + 1, "
                               "change = (SELECT max(change) + 1 FROM object) WHERE kind = 1 AND id = 'free' AND removed = 0", [rate[0]])
        started = time.monotonic()
        until(lambda: f'plan free: {{"name":"Free","requests_per_second":{rate[0]},' in live(plane)["text"], "the changed plan")
        return time.monotonic() - started

    soonest(1, change)


@pytest.mark.tsan
def test_publishing_says_what_needs_a_restart(instance, plane):
    before = instance.settings["server"]
    instance.settings["server"] = {**before, "workers": 3}
    instance.write_settings()
    assert plane.post("/api/v1/revisions/publish").json()["needs_restart"] == ["server.workers"]
    instance.settings["server"] = before
    instance.write_settings()
    assert plane.post("/api/v1/revisions/publish").json()["needs_restart"] == []


def test_many_publish_at_once(instance, plane):
    """Operations, plans and signals, one after the other in the end: the last word is the file and the plans as they are."""
    def patch(number):
        return plane.patch("/api/v1/plans/free", {"requests_per_second": 100 + number}).status

    def publish(_):
        instance.signal(signal.SIGHUP)
        return plane.post("/api/v1/revisions/publish").status

    add_model(instance, "many")
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(patch, range(10))) + list(pool.map(publish, range(10)))
    assert set(outcomes) == {200}
    rate = plane.get("/api/v1/plans/free").json()["requests_per_second"]
    now = live(plane)
    assert "many" in now["text"] and f'"requests_per_second":{rate}' in now["text"]
    assert "many" in models(instance)


@pytest.mark.tsan
def test_ending_while_somebody_publishes_hangs_nobody(instance, plane):
    """SIGTERM among publications: the process ends in time and well, whatever those who asked are told."""
    def publish(_):
        try:
            return call(instance.operator, "POST", "/api/v1/revisions/publish").status
        except OSError:
            return None  # the connection ended

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(publish, number) for number in range(40)]
        instance.stop()
        assert {future.result() for future in asked} <= {200, 409, 503, None}


def test_the_hash_is_that_of_the_text(plane):
    import hashlib
    now = live(plane)
    assert hashlib.sha256(now["text"].encode()).hexdigest() == now["hash"]
    assert json.dumps(now["text"]).count("sim-key") == 0 or "api_key" in now["text"]

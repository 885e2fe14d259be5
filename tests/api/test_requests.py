"""Request records: the story of a request by any id that a client may quote, lists, exports, and what is kept how long."""
import asyncio
import contextlib
import csv
import io
import json
import sqlite3
import threading
from urllib.parse import quote

import pytest

from harness.faults import fault
from harness.load import Load
from harness.operator import Operator
from harness.plain import call
from harness.processes import chat_body
from harness.waiting import SCALE, until

STAGES = ["received", "identified", "authorized", "read", "understood", "routed", "reserved"]


def find(operator, request_id, **more):
    """The answer to GET /api/v1/requests/{id}, once the record is there."""
    path = f"/api/v1/requests/{quote(request_id, safe='')}"
    answer = until(lambda: (found := operator.get(path, status={200, 404}, **more)).status == 200 and found, f"the record of {request_id}",
                   step=0.05)
    return answer.json()


def story(operator, request_id, **more):
    return find(operator, request_id, **more)["request"]


def stages(request):
    return {row["stage"] if row["attempt"] is None else f"attempt {row['attempt']}": row for row in request["stages"]}


def listed(operator, query="", **more):
    return operator.all(f"/api/v1/requests?{query}" if query else "/api/v1/requests", **more)


def wait_listed(operator, count, query=""):
    return until(lambda: (rows := listed(operator, query, limit=1000)) and len(rows) >= count and rows, f"{count} records", step=0.1)


# --- the story ---

@pytest.mark.smoke
@pytest.mark.parametrize("stream", [False, True])
def test_a_good_request_is_told_from_beginning_to_end(gateway, operator, stream):
    answer = gateway.chat(stream=stream, headers={"x-request-id": f"good-{stream}", "x-weir-tags": "team=search"})
    request_id = answer.headers["x-request-id"]
    told = story(operator, request_id)
    entry = gateway.entry_of(request_id)
    assert told["id"] == request_id and told["matched_by"] == ["request_id"]
    assert told["client_request_id"] == f"good-{stream}" and told["tags"] == "team=search" and told["client_address"] == "127.0.0.1"
    assert told["outcome"] == "ok" and told["status"] == 200 and told["stream"] is stream and told["in_ledger"]
    assert (told["stage"], told["policy"], told["reason"], told["detail"]) == ("answered", "allow", None, None)
    assert told["trace_id"] == entry["trace_id"] and told["revision"] == entry["revision"]
    assert told["cost_cu_milli"] == entry["cost_cu_milli"] and told["usage"]["input_tokens"] == entry["input_tokens"] > 0
    for ours, theirs in zip(told["attempts"], entry["attempts"], strict=True):
        assert {name: ours[name] for name in ("provider", "status", "start_us", "end_us")} == {
            name: theirs[name] for name in ("provider", "status", "start_us", "end_us")}
    rows = told["stages"]
    assert [row["stage"] for row in rows] == [*STAGES, "attempt", "answered", "settled"]
    assert {row["outcome"] for row in rows} == {"ok"} and all(row["text"] for row in rows)
    offsets = [row["offset_us"] for row in rows if row["offset_us"] is not None]
    assert offsets == sorted(offsets) and offsets[-1] == told["duration_us"]


def test_a_request_is_found_by_every_id_that_a_client_may_quote(gateway, operator):
    answer = gateway.chat(headers={"x-request-id": "mine/1=a:b", "traceparent": f"00-{'ab12' * 8}-00f067aa0ba902b7-01"})
    told = story(operator, answer.headers["x-request-id"])
    upstream = told["attempts"][0]["upstream_request_id"]
    assert upstream
    for way, quoted in (("client_request_id", "mine/1=a:b"), ("trace_id", "ab12" * 8), ("trace_id", "AB12" * 8),
                        ("upstream_request_id", upstream), ("request_id", told["id"].upper())):
        found = find(operator, quoted)
        assert found["request"]["id"] == told["id"], quoted
        assert found["request"]["matched_by"] == [way]
        assert found["matches"] == [] and not found["more_matches"]
    old = gateway.chat(headers={"x-sp-request-id": "of-another-gateway"})
    assert story(operator, "of-another-gateway")["id"] == old.headers["x-request-id"]
    both = gateway.chat(headers={"x-sp-request-id": "not-this", "x-request-id": "but-this"})
    assert story(operator, "but-this")["id"] == both.headers["x-request-id"]
    assert operator.get("/api/v1/requests/not-this", status=404).reason == "not_there"


def test_of_several_that_have_an_id_the_newest_is_told_and_the_others_are_named(gateway, operator):
    made = [gateway.chat(headers={"x-request-id": "thrice"}).headers["x-request-id"] for _ in range(3)]
    until(lambda: len(find(operator, "thrice")["matches"]) == 2, "all three")
    found = find(operator, "thrice")
    assert found["request"]["id"] == made[2]
    assert [one["id"] for one in found["matches"]] == [made[1], made[0]]
    # Somebody sends the id of another request as his own: that other one is meant by it.
    later = gateway.chat(headers={"x-request-id": made[0]}).headers["x-request-id"]
    until(lambda: len(find(operator, made[0])["matches"]) == 1, "the other one")
    found = find(operator, made[0])
    assert found["request"]["id"] == made[0] and found["request"]["matched_by"] == ["request_id"]
    assert [(one["id"], one["matched_by"]) for one in found["matches"]] == [(later, ["client_request_id"])]


def test_a_fallback_is_told_attempt_by_attempt(make_gateway, sim):
    instance = make_gateway(sim, providers=[
        {"name": "gone", "dialect": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "gone-key"},
        {"name": "sim", "dialect": "openai", "base_url": sim.base_url, "api_key": "sim-key"}],
        models=[{"name": "m", "targets": [{"provider": "gone", "model": "sim-small", "order": 1},
                                          {"provider": "sim", "model": "sim-small", "order": 2}]}])
    operator = Operator(instance)
    answer = instance.chat(model="m")
    assert answer.status == 200
    told = story(operator, answer.headers["x-request-id"])
    rows = stages(told)
    assert rows["attempt 1"]["outcome"] == "failed" and rows["attempt 2"]["outcome"] == "ok" and rows["answered"]["outcome"] == "ok"
    assert rows["attempt 1"]["reason"]["name"] == told["attempts"][0]["reason"] == "upstream_connect_failed"
    assert rows["attempt 1"]["reason"]["runbook"] == "/docs/runbooks/provider-offline.md" and "gone" in rows["attempt 1"]["text"]
    assert told["provider"] == "sim" and told["outcome"] == "ok"
    # It is found where one looks for what went wrong with that provider, though it went well.
    for query in ("provider=gone", "reason=upstream_connect_failed", "provider=sim"):
        assert [row["id"] for row in listed(operator, query)] == [told["id"]], query
    assert listed(operator, "errors=true&model=m") == []


@pytest.mark.parametrize(("what", "status", "reason"), [("status=500", 500, "upstream_error"), ("status=429", 429, "upstream_rate_limited"),
                                                        ("reset", 502, "upstream_closed")])
def test_a_failed_request_says_where_and_why(gateway, operator, what, status, reason):
    answer = gateway.chat(headers=fault(what))
    assert answer.status == status
    told = story(operator, answer.headers["x-request-id"])
    assert (told["outcome"], told["status"], told["reason"], told["stage"]) == ("error", status, reason, "sent")
    rows = stages(told)
    assert all(rows[name]["outcome"] == "ok" for name in STAGES)
    assert rows["attempt 1"]["outcome"] == rows["answered"]["outcome"] == "failed"
    assert rows["answered"]["reason"]["name"] == reason and rows["answered"]["reason"]["message"]
    assert told["cost_cu_milli"] == 0 and told["in_ledger"]


def test_a_stream_that_breaks_off_was_being_answered(gateway, operator):
    answer = gateway.chat(chat_body(stream=True), headers={**fault("reset-mid"), "x-sim-tokens": "20"})
    told = story(operator, answer.headers["x-request-id"])
    assert told["stage"] == "answered" and told["outcome"] == "error" and told["first_byte_us"] > 0
    assert stages(told)["answered"]["outcome"] == "failed"


# --- refusals ---

def refuse(gateway, what):
    key = gateway.authorization
    unknown = {"authorization": "Bearer weir_dev_" + "a" * 49}
    body = chat_body()
    return {
        "without a key": lambda: call(gateway.address, "POST", "/v1/chat/completions", {}, body),
        "an unknown key": lambda: call(gateway.address, "POST", "/v1/chat/completions", unknown, body),
        "no JSON": lambda: gateway.request("POST", "/v1/chat/completions", b"{nonsense", {"content-type": "application/json"}),
        "an unknown model": lambda: gateway.chat(model="no-such-model"),
        "too large": lambda: gateway.chat(text="x" * (2 << 20)),
        "an unknown path": lambda: call(gateway.address, "GET", "/v1/chat/complete?api_key=canary-4711", key),
        "a wrong method": lambda: call(gateway.address, "DELETE", "/v1/chat/completions", key),
    }[what]()


@pytest.mark.parametrize(("what", "status", "stage", "known"), [
    ("without a key", 401, "identified", False),
    ("an unknown key", 401, "identified", False),
    ("no JSON", 400, "understood", True),
    ("an unknown model", 404, "routed", True),
    ("too large", 413, "read", True),
    ("an unknown path", 404, "received", False),
    ("a wrong method", 405, "received", False),
])
def test_a_refused_request_has_a_record_and_no_entry_in_the_ledger(gateway, operator, what, status, stage, known):
    answer = refuse(gateway, what)
    assert answer.status == status
    request_id = answer.headers["x-request-id"]
    told = story(operator, request_id)
    assert (told["status"], told["stage"], told["outcome"], told["in_ledger"]) == (status, stage, "error", False)
    assert (told["key_id"] is not None) == known and told["attempts"] == []
    assert told["policy"] == ("allow" if known else None)
    rows = stages(told)
    failed = [name for name, row in rows.items() if row["outcome"] == "failed"]
    assert failed == [stage, "answered"] and rows[stage]["reason"]["name"] == told["reason"] and rows[stage]["text"]
    after = STAGES[STAGES.index(stage) + 1:]
    assert all(rows[name]["outcome"] == "not_reached" for name in after) and rows["settled"]["outcome"] == "skipped"
    assert gateway.ledger("--request", request_id) == []
    assert "canary-4711" not in json.dumps(told)
    if what == "an unknown path":
        assert told["path"] == "GET /v1/chat/complete"


def test_what_is_pasted_by_mistake_is_masked(gateway, operator):
    secret = "sk-proj-" + "Ab3d" * 10
    for answer in (gateway.chat(model=secret), call(gateway.address, "GET", f"/v1/{secret}", gateway.authorization)):
        told = story(operator, answer.headers["x-request-id"])
        assert secret not in json.dumps(told) and told["detail"]


def test_a_list_of_models_is_answered_here(gateway, operator):
    answer = gateway.request("GET", "/v1/models")
    told = story(operator, answer.headers["x-request-id"])
    assert (told["endpoint"], told["outcome"], told["in_ledger"]) == ("models", "ok", False)
    assert stages(told)["routed"]["outcome"] == "skipped" and stages(told)["answered"]["outcome"] == "ok"
    health = call(gateway.address, "GET", "/health")
    assert health.status == 200
    story(operator, gateway.request("GET", "/v1/models").headers["x-request-id"])  # what came later is there
    operator.get(f"/api/v1/requests/{health.headers['x-request-id']}", status=404)


def test_a_flood_of_strangers_is_bounded_and_counted(make_gateway, sim):
    instance = make_gateway(sim)
    operator = Operator(instance)
    sent = 400
    for _ in range(sent):
        assert refuse(instance, "an unknown key").status == 401
    for _ in range(60):  # of known callers each has a record
        instance.chat(model="no-such-model")
    left_out = lambda: instance.metrics()[("weir_records_left_out_total", ())]  # noqa: E731
    until(lambda: len(listed(operator, "status=404", limit=1000)) == 60, "the records of those who are known", step=0.1)
    kept = len(listed(operator, "status=401", limit=1000))
    assert kept >= 50 and kept + left_out() >= sent, "each has a record or is counted"
    # wait_key asks with a key that is yet unknown, so there may be a few more of them.
    assert kept + left_out() <= sent + 200


# --- lists ---

@pytest.fixture(scope="module")
def filled(weir_binary, sim, module_folder):
    from harness.processes import Gateway, default_settings
    instance = Gateway(weir_binary, module_folder / "filled", default_settings(sim)).start()
    other = instance.create_key("other", "--workspace", "acme")
    instance.wait_key(other)
    made = {"good": [], "failed": [], "other": [], "unknown": []}
    for number in range(30):
        made["good"].append(instance.chat(stream=number % 2 == 0).headers["x-request-id"])
    for _ in range(5):
        made["failed"].append(instance.chat(headers=fault("status=500")).headers["x-request-id"])
        made["other"].append(instance.request("POST", "/v1/chat/completions", chat_body(),
                                              {"authorization": f"Bearer {other}"}).headers["x-request-id"])
        made["unknown"].append(instance.chat(model="no-such-model").headers["x-request-id"])
    operator = Operator(instance)
    story(operator, made["unknown"][-1])
    instance.made, instance.plane = made, operator
    yield instance
    instance.close()


def ids(rows):
    return [row["id"] for row in rows]


def test_a_list_is_newest_first_and_every_page_goes_on_where_the_last_one_ended(filled):
    whole = listed(filled.plane, limit=1000)
    assert [row["started_at"] for row in whole] == sorted((row["started_at"] for row in whole), reverse=True)
    assert set(sum(filled.made.values(), [])) <= set(ids(whole))
    assert ids(listed(filled.plane, limit=7)) == ids(whole)
    first = filled.plane.get("/api/v1/requests?limit=10").json()
    filled.chat()  # new ones do not move the pages
    wait_listed(filled.plane, len(whole) + 1)
    second = filled.plane.get(f"/api/v1/requests?limit=10&cursor={first['next_cursor']}").json()
    assert ids(first["data"]) + ids(second["data"]) == ids(whole)[:20]


@pytest.mark.parametrize(("query", "wanted"), [
    ("status=500", ["failed"]), ("status=5xx", ["failed"]), ("errors=true&endpoint=chat.completions", ["failed", "unknown"]),
    ("workspace=acme&endpoint=chat.completions", ["other"]), ("outcome=error&reason=upstream_error", ["failed"]),
    ("model=no-such-model", ["unknown"]), ("status=4xx&reason=model_not_found", ["unknown"]), ("provider=sim&workspace=acme", ["other"]),
    ("workspace=none", []), ("outcome=crashed", []), ("endpoint=embeddings", []), ("from=2099-01-01", []), ("until=2001-01-01T00:00:00Z", []),
    ("from=2001-01-01&until=2099-01-01&status=500", ["failed"]),
])
def test_filters_narrow_together(filled, query, wanted):
    assert sorted(ids(listed(filled.plane, query))) == sorted(sum((filled.made[name] for name in wanted), []))


def test_a_key_and_a_time_narrow(filled):
    told = story(filled.plane, filled.made["other"][0])
    assert set(ids(listed(filled.plane, f"key={told['key_id']}&endpoint=chat.completions"))) == set(filled.made["other"])
    later = listed(filled.plane, f"from={quote(told['started_at'])}&model=sim-small", limit=1000)
    assert told["id"] in ids(later) and filled.made["good"][-1] not in ids(later)
    before = listed(filled.plane, f"until={quote(told['started_at'])}&model=sim-small", limit=1000)
    assert told["id"] not in ids(before) and set(filled.made["good"][:-1]) <= set(ids(before))


@pytest.mark.parametrize(("query", "field"), [("status=teapot", "status"), ("reason=bad_mood", "reason"), ("outcome=fine", "outcome"),
                                              ("limit=0", "limit"), ("from=yesterday", "from")])
def test_a_filter_that_cannot_be_is_refused(filled, query, field):
    answer = filled.plane.get(f"/api/v1/requests?{query}", status=400)
    assert (answer.reason, answer.field) == ("parameter_invalid", field)


def test_a_cursor_of_another_list_is_refused(filled):
    cursor = filled.plane.get("/api/v1/requests?limit=1").json()["next_cursor"]
    assert filled.plane.get(f"/api/v1/keys?cursor={cursor}", status=400).reason == "cursor_invalid"


def test_an_export_has_everything_and_leaves_an_entry(filled):
    whole = listed(filled.plane, "model=sim-small", limit=1000)
    lines = filled.plane.get("/api/v1/requests/export?model=sim-small", role="auditor").body.decode().splitlines()
    assert ids([json.loads(line) for line in lines]) == ids(whole)
    assert json.loads(lines[0])["stages"]
    answer = filled.plane.get("/api/v1/requests/export?model=sim-small&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert ids(rows) == ids(whole) and {row["status"] for row in rows} == {str(row["status"]) for row in whole}
    entries = filled.plane.all("/api/v1/audit-logs?action=requests.export")
    assert [entry["changes"]["after"] for entry in entries[:2]] == [{"format": "csv", "model": "sim-small"},
                                                                    {"format": "jsonl", "model": "sim-small"}]
    assert filled.plane.get("/api/v1/requests/export", role="viewer", status=403).reason == "role_not_allowed"


def test_an_export_of_many_comes_in_pieces(filled):
    with contextlib.closing(sqlite3.connect(filled.data_folder / "weir.db", timeout=30)) as database:
        day = database.execute("SELECT max(day) FROM record_partition").fetchone()[0]
    assert day > 20260101
    for _ in range(400):
        filled.chat(model="no-such-model")
    wait_listed(filled.plane, 405, "model=no-such-model")
    lines = filled.plane.get("/api/v1/requests/export?model=no-such-model").body.decode().splitlines()
    assert len(lines) == len(set(ids([json.loads(line) for line in lines]))) == 405


def test_the_command_line_tells_the_same(filled):
    failed = filled.made["failed"][0]
    text = filled.command("requests", "show", failed, "-c", filled.config).stdout
    assert failed in text and "attempt 1" in text and "failed" in text and "no provider" not in text
    told = json.loads(filled.command("requests", "show", failed, "-c", filled.config, "--json").stdout)
    assert told == story(filled.plane, failed)
    rows = [json.loads(line) for line in
            filled.command("requests", "list", "-c", filled.config, "--json", "--status", "500").stdout.splitlines()]
    assert rows == listed(filled.plane, "status=500")
    table = filled.command("requests", "list", "-c", filled.config, "--errors", "--limit", "5").stdout
    assert len(table.splitlines()) == 6 and "model_not_found" in table
    assert filled.command("requests", "show", "nobody-has-it", "-c", filled.config, check=False).returncode == 1
    assert filled.command("requests", "list", "-c", filled.config, "--reason", "bad_mood", check=False).returncode == 2


# --- what is kept ---

def test_sampling_keeps_failures_and_the_ledger(make_gateway, sim):
    instance = make_gateway(sim, records={"sample_percent": 0})
    operator = Operator(instance)
    for _ in range(10):
        instance.chat()
    failed = instance.chat(headers=fault("status=500")).headers["x-request-id"]
    story(operator, failed)
    assert ids(listed(operator, "endpoint=chat.completions")) == [failed]
    assert len(instance.wait_ledger(11)) == 11


def test_without_retention_there_are_none(make_gateway, sim):
    instance = make_gateway(sim)
    operator = Operator(instance)
    story(operator, instance.chat().headers["x-request-id"])
    instance.stop()
    instance.settings["records"] = {"retention": 0}
    instance.write_settings()
    instance.start()
    instance.chat()
    assert len(instance.wait_ledger(2)) == 2
    until(lambda: listed(operator) == [], "the days of before to be gone")


def test_old_days_go_while_requests_are_answered(make_gateway, sim):
    instance = make_gateway(sim)
    operator = Operator(instance)
    for _ in range(50):
        instance.chat()
    old = ids(wait_listed(operator, 50, "endpoint=chat.completions"))
    instance.stop()
    tables = ("record", "record_zone", "record_value", "record_zone_id", "record_run_id")
    with contextlib.closing(sqlite3.connect(instance.data_folder / "weir.db", timeout=30)) as database, database:
        day = database.execute("SELECT max(day) FROM record_partition").fetchone()[0]
        database.execute("UPDATE record_partition SET day = 20200101")
        for table in tables:  # as many rows as hold the lock for long, if they went at once
            database.execute(f"ALTER TABLE {table}_{day} RENAME TO {table}_20200101")
        first = database.execute("SELECT max(number) FROM record_20200101").fetchone()[0]
        database.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO record_20200101"
                         " SELECT ? + i, (SELECT data FROM record_20200101 LIMIT 1) FROM n", (first,))
        database.execute("UPDATE record_partition SET next_number = next_number + 200000")
    answers, stop = [], threading.Event()

    def go_on():
        while not stop.is_set():
            answers.append(instance.chat())

    instance.start()
    runner = threading.Thread(target=go_on)
    runner.start()

    def days():
        with contextlib.closing(sqlite3.connect(instance.data_folder / "weir.db", timeout=30)) as database:
            return [row[0] for row in database.execute("SELECT day FROM record_partition")]

    try:
        until(lambda: days() and 20200101 not in days(), "the old day to be gone", 60, step=0.2)
    finally:
        stop.set()
        runner.join()
    assert answers and {answer.status for answer in answers} == {200}
    told = wait_listed(operator, len(answers), "endpoint=chat.completions")
    assert set(ids(told)) == {answer.headers["x-request-id"] for answer in answers}
    assert operator.get(f"/api/v1/requests/{old[0]}", status=404).reason == "not_there"
    assert len(instance.wait_ledger(50 + len(answers))) == 50 + len(answers)


@pytest.mark.timeout(300)
def test_kill_9_leaves_a_record_for_each_entry_of_the_ledger(make_gateway, make_sim):
    simulator = make_sim()
    instance = make_gateway(simulator, server={"listen": "127.0.0.1:0", "workers": 2})
    operator = Operator(instance)

    async def load_and_kill(load):
        running = asyncio.create_task(load.run())
        await asyncio.sleep(0.4 * min(SCALE, 2))
        instance.kill()
        await asyncio.wait_for(running, 60 * SCALE)

    for number in range(4):
        asyncio.run(load_and_kill(Load(instance, f"r{number}", workers=16, seed=number)))
        instance.start()
        after = instance.chat().headers["x-request-id"]
        story(operator, after)
        entries = {entry["request_id"]: entry for entry in instance.ledger("--limit", "10000")}
        records = {row["id"]: row for row in listed(operator, limit=1000) if row["in_ledger"]}
        assert records.keys() == entries.keys()
        for request_id, row in records.items():
            assert (row["outcome"], row["cost_cu_milli"], row["status"]) == tuple(
                entries[request_id][name] for name in ("outcome", "cost_cu_milli", "status"))
    assert any(row["outcome"] == "crashed" for row in records.values())
    crashed = next(row for row in records.values() if row["outcome"] == "crashed")
    assert stages(story(operator, crashed["id"]))["answered"]["outcome"] == "failed"

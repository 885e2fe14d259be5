"""Usage reports: their sums are those of the raw ledger, whatever they are grouped by, and they never come from it."""
import asyncio
import contextlib
import csv
import datetime
import io
import itertools
import json
from urllib.parse import quote

import pytest

from harness import plain
from harness.operator import Operator
from harness.processes import Gateway, chat_body, default_settings
from harness.waiting import SCALE, until

SUMS = ["requests", "errors", "aborted", "crashed", "unpriced", "estimated", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens",
        "reasoning_tokens", "cost_cu_milli", "overrun_cu_milli", "reserved_cu_milli"]
GROUPS = ["key", "user", "team", "workspace", "provider", "model", "upstream_model", "endpoint"]
CALLS = 240 if SCALE < 4 else 80
ESTIMATED = {"estimated", "aborted", "reserved"}


def add(sums, entry):
    """What one ledger entry adds."""
    for name in ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_cu_milli", "overrun_cu_milli",
                 "reserved_cu_milli"):
        sums[name] += entry[name]
    sums["requests"] += 1
    sums["errors"] += entry["outcome"] == "error"
    sums["aborted"] += entry["outcome"] == "aborted"
    sums["crashed"] += entry["outcome"] == "crashed"
    sums["unpriced"] += entry["unpriced"]
    sums["estimated"] += entry["usage_source"] in ESTIMATED


class Used:
    """A gateway with traffic of every kind behind it, and its ledger as it was exported."""

    def __init__(self, gateway):
        self.gateway, self.operator = gateway, Operator(gateway)
        self.keys = {}  # id: {"family", "user", "team", "workspace"}
        self.entries = []

    def make_key(self, **members):
        made = self.operator.post("/api/v1/keys", {"name": f"=key {len(self.keys)}", **members}, status=201).json()
        self.gateway.wait_key(made["key"])
        workspace = members.get("workspace", "default")
        self.keys[made["id"]] = {"key": made["id"], "workspace": workspace, "user": f"{workspace}/{members['user']}" if "user" in members else None,
                                 "team": f"{workspace}/{members['team']}" if "team" in members else None}
        return made

    def rotate(self, key):
        made = self.operator.post(f"/api/v1/keys/{key['id']}/rotate", {}, status=201).json()["created"]
        self.gateway.wait_key(made["key"])
        self.keys[made["id"]] = self.keys[key["id"]]
        return made

    def group_of(self, entry):
        """What the report knows of an entry, besides its time and tags."""
        return {**self.keys[entry["key_id"]], **{name: entry[name] for name in ("provider", "model", "upstream_model", "endpoint")}}

    def report(self, query="", **more):
        return self.operator.get(f"/api/v1/usage?{query}", **more).json()


def kinds():
    """Headers and bodies of calls that end in every way."""
    faults = ["", "status=500", "status=429", "reset", "reset-mid", "no-usage", "wrong-usage=1000", "truncate=1", "", ""]
    tags = [None, "team=search", "team=search,feature=summary", "feature==formula"]
    models = ["sim-small", "sim/one", "sim/two", "sim-small"]
    for number in itertools.count():
        headers = {"x-sim-tokens": str(number % 13 + 1)}
        if faults[number % len(faults)]:
            headers["x-sim-fault"] = faults[number % len(faults)]
        if tags[number % len(tags)]:
            headers["x-weir-tags"] = tags[number % len(tags)]
        stream = {"stream": True} if number % 3 == 0 else {"max_tokens": 20}
        yield headers, chat_body(f"call {number}", model=models[number // 7 % len(models)], **stream)


async def traffic(gateway, keys):
    limit = asyncio.Semaphore(24)

    async def one(number, headers, body):
        async with limit:
            key = keys[number % len(keys)]["key"]
            return await plain.call_async(gateway.address, "/v1/chat/completions", {"authorization": f"Bearer {key}", **headers}, body)

    async def leaver(number):
        key = keys[number % len(keys)]["key"]
        return await plain.call_async(gateway.address, "/v1/chat/completions",
                                      {"authorization": f"Bearer {key}", "x-sim-rate": "5", "x-sim-tokens": "500", "x-weir-tags": "team=leaver"},
                                      chat_body("leaves", stream=True), timeout=1.0 * SCALE)

    await asyncio.gather(*[one(number, *kind) for number, kind in zip(range(CALLS), kinds(), strict=False)], *[leaver(number) for number in range(6)])


async def crash(gateway, sim, keys):
    """Calls that are in flight when the process dies."""
    before = len(sim.requests())

    async def one(number):
        with contextlib.suppress(OSError):
            await plain.call_async(gateway.address, "/v1/chat/completions",
                                   {"authorization": f"Bearer {keys[number % len(keys)]['key']}", "x-sim-rate": "1", "x-sim-tokens": "500"},
                                   chat_body("stays", stream=True), timeout=60 * SCALE)

    running = [asyncio.create_task(one(number)) for number in range(3)]
    await asyncio.to_thread(until, lambda: len([row for row in sim.requests() if b"stays" in str(row["body"]).encode()]) >= 3 or
                            len(sim.requests()) >= min(before + 3, 100), "the calls at the provider")
    await asyncio.sleep(0.3)
    gateway.kill()
    await asyncio.gather(*running)


@pytest.fixture(scope="module")
def used(weir_binary, sim, module_folder):
    settings = default_settings(sim, server={"listen": "127.0.0.1:0", "workers": 2},
                                timeouts={"first_byte": f"{3 * SCALE}s", "idle": f"{3 * SCALE}s"})
    gateway = Gateway(weir_binary, module_folder / "used", settings).start()
    used = Used(gateway)
    operator = used.operator
    operator.post("/api/v1/workspaces", {"id": "acme", "name": "Acme"}, status=201)
    operator.post("/api/v1/workspaces/acme/teams", {"id": "lab", "name": "The \"lab\""}, status=201)
    operator.post("/api/v1/workspaces/acme/users", {"id": "ann", "name": "@Ann"}, status=201)
    keys = [used.make_key(), used.make_key(workspace="acme", user="ann"), used.make_key(workspace="acme", team="lab")]
    keys.append(used.rotate(keys[1]))
    asyncio.run(traffic(gateway, keys))
    asyncio.run(crash(gateway, sim, keys))
    gateway.start()
    asyncio.run(traffic(gateway, keys[:1]))
    wanted = 2 * (CALLS + 6) + 3
    until(lambda: len(gateway.ledger()) >= wanted, f"{wanted} ledger entries", 60, step=0.5)
    text = gateway.command("ledger", "export", "-c", gateway.config).stdout
    used.entries = [json.loads(line) for line in text.splitlines()]
    yield used
    gateway.close()


def month(entries):
    """The bounds of a report that has all entries in it."""
    first = min(entry["start"] for entry in entries)[:8] + "01"
    return f"from={first}&until={(datetime.date.today() + datetime.timedelta(days=3)).isoformat()}"


def expected(used, groups, keep=lambda entry: True):
    """{values of the groups: sums} over the raw ledger."""
    found = {}
    for entry in used.entries:
        if not keep(entry):
            continue
        known = used.group_of(entry)
        values = tuple(entry["start"][:10] if name == "day" else entry["start"][:13] if name == "hour" else known[name] for name in groups)
        add(found.setdefault(values, dict.fromkeys(SUMS, 0)), entry)
    return found


def told(report, groups):
    rows = {}
    for row in report["data"]:
        values = tuple(row["from_at"][:10] if name == "day" else row["from_at"][:13] if name == "hour" else row[name] for name in groups)
        assert values not in rows, values
        rows[values] = {name: row[name] for name in SUMS}
    return rows


# --- the sums ---

@pytest.mark.smoke
def test_the_traffic_has_all_kinds_of_endings(used):
    outcomes = {entry["outcome"] for entry in used.entries}
    assert outcomes == {"ok", "error", "aborted", "crashed"}
    assert any(entry["unpriced"] for entry in used.entries) and any(entry["overrun_cu_milli"] > 0 for entry in used.entries)
    assert any(entry["usage_source"] == "estimated" for entry in used.entries) and any(entry["cost_cu_milli"] > 0 for entry in used.entries)


@pytest.mark.parametrize("groups", [[], ["day"], ["hour"], *[[name] for name in GROUPS], ["key", "model", "day"], ["provider", "upstream_model", "hour"],
                                    [*GROUPS, "day"]], ids=lambda groups: "-".join(groups) or "none")
def test_sums_equal_the_raw_ledger_exactly(used, groups):
    report = used.report(f"{month(used.entries)}&group_by={','.join(groups)}")
    assert told(report, groups) == expected(used, groups)
    assert report["totals"] == expected(used, [])[()]
    assert sorted(report["group_by"]) == sorted(groups)
    for name in SUMS:
        assert sum(row[name] for row in report["data"]) == report["totals"][name]


@pytest.mark.parametrize("name", GROUPS)
def test_filters_leave_what_they_name(used, name):
    for value in {used.group_of(entry)[name] for entry in used.entries} - {None}:
        wanted = expected(used, ["model"], lambda entry, value=value: used.group_of(entry)[name] == value)
        assert told(used.report(f"{month(used.entries)}&group_by=model&{name}={quote(value, safe='')}"), ["model"]) == wanted, value
    assert used.report(f"{name}=there-is-none&group_by=model")["data"] == []
    assert used.report(f"{name}=there-is-none")["totals"]["requests"] == 0


def test_route_is_another_word_for_endpoint(used):
    span = month(used.entries)
    assert used.report(f"{span}&group_by=route") == used.report(f"{span}&group_by=endpoint")
    assert used.report(f"{span}&route=chat.completions") == used.report(f"{span}&endpoint=chat.completions")


def test_by_tag_a_request_is_in_the_row_of_each_of_its_tags(used):
    def tags(entry):
        return [tag for tag in entry["tags"].split(",") if tag]

    wanted = {}
    for entry in used.entries:
        for tag in tags(entry):
            add(wanted.setdefault((tag,), dict.fromkeys(SUMS, 0)), entry)
    assert len(wanted) >= 3
    report = used.report(f"{month(used.entries)}&group_by=tag")
    assert told(report, ["tag"]) == wanted
    assert report["totals"] == expected(used, [])[()]  # each request once, those without a tag, too
    for (tag,), sums in wanted.items():
        one = used.report(f"{month(used.entries)}&tag={quote(tag, safe='')}")
        assert told(one, []) == {(): sums} and one["totals"] == sums
    acme = used.report(f"{month(used.entries)}&group_by=tag,workspace&workspace=acme")
    assert {row["workspace"] for row in acme["data"]} == {"acme"}
    assert sum(row["requests"] for row in acme["data"]) == sum(len(tags(entry)) for entry in used.entries if entry["workspace"] == "acme")


def test_hours_cut_where_they_are_told_to(used):
    hours = sorted({entry["start"][:13] for entry in used.entries})
    for hour in hours:
        end = datetime.datetime.fromisoformat(f"{hour}:00:00+00:00") + datetime.timedelta(hours=1)
        wanted = expected(used, [], lambda entry, hour=hour: entry["start"][:13] == hour)
        report = used.report(f"from={hour}:00:00Z&until={end.strftime('%Y-%m-%dT%H:00:00Z')}")
        assert report["totals"] == wanted[()]
        assert report["from_at"] == f"{hour}:00:00.000000Z"


def test_a_new_request_is_in_the_next_report(used):
    before = used.report()["totals"]["requests"]
    used.gateway.chat()
    until(lambda: used.report()["totals"]["requests"] == before + 1, "the request in the report", step=0.1)
    used.entries = [json.loads(line) for line in used.gateway.command("ledger", "export", "-c", used.gateway.config).stdout.splitlines()]
    used.keys.setdefault(used.entries[-1]["key_id"], {"key": used.entries[-1]["key_id"], "workspace": "default", "user": None, "team": None})


# --- what rows look like ---

def test_rows_have_names_and_an_order(used):
    report = used.report(f"{month(used.entries)}&group_by=day,key,user,team,workspace")
    costs = [(row["from_at"], -row["cost_cu_milli"]) for row in report["data"]]
    assert costs == sorted(costs)
    assert report == used.report(f"{month(used.entries)}&group_by=day,key,user,team,workspace")
    names = {(row["workspace"], row["workspace_name"], row["user"], row["user_name"], row["team"], row["team_name"]) for row in report["data"]}
    assert ("acme", "Acme", "acme/ann", "@Ann", None, None) in names and ("acme", "Acme", None, None, "acme/lab", 'The "lab"') in names
    assert {row["key_name"] for row in report["data"]} >= {"=key 0", "=key 1", "=key 2"}


def test_csv_has_a_header_and_no_formulas(used):
    answer = used.operator.get(f"/api/v1/usage?{month(used.entries)}&group_by=key,user,tag&format=csv", status=400)
    assert answer.field == "group_by"
    answer = used.operator.get(f"/api/v1/usage?{month(used.entries)}&group_by=day,key,user,team&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8" and "usage.csv" in answer.headers["content-disposition"]
    text = answer.body.decode()
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    report = used.report(f"{month(used.entries)}&group_by=day,key,user,team")
    assert len(rows) == len(report["data"]) > 3
    for row, line in zip(rows, report["data"], strict=True):
        assert row["from_at"] == line["from_at"] and row["key"] == line["key"] and row["user"] == (line["user"] or "")
        assert row["key_name"] == ("'" + line["key_name"] if line["key_name"].startswith("=") else line["key_name"])
        assert row["user_name"] == ("'@Ann" if line["user"] else "")
        assert {name: int(row[name]) for name in SUMS} == {name: line[name] for name in SUMS}
    tags = used.operator.get(f"/api/v1/usage?{month(used.entries)}&group_by=tag&format=csv").body.decode()
    assert all(not row["tag"].startswith(("=", "+", "-", "@")) for row in csv.DictReader(io.StringIO(tags, newline="")))


# --- what is asked ---

@pytest.mark.parametrize(("query", "field"), [("group_by=nothing", "group_by"), ("group_by=key,key", "group_by"), ("group_by=key,", "group_by"),
                                              ("group_by=day,hour", "group_by"), ("group_by=tag,key", "group_by"), ("tag=a=b&model=m", "model"),
                                              ("from=2026-11-01T10:30:00Z", "from"), ("until=2026-11-01T10:00:01Z", "until"),
                                              ("from=2026-11-02&until=2026-11-01", "until"), ("from=2026-11-02&until=2026-11-02", "until"),
                                              ("from=yesterday", "from"), ("limit=0", "limit"), ("limit=50001", "limit"), ("format=xml", "format"),
                                              ("route=a&endpoint=b", "route")])
def test_what_cannot_be_answered_is_refused(used, query, field):
    refused = used.operator.get(f"/api/v1/usage?{query}", status=400)
    assert (refused.reason, refused.field) == ("parameter_invalid", field)


def test_more_rows_than_the_limit_are_refused_and_not_cut_off(used):
    rows = len(used.report(f"{month(used.entries)}&group_by=key,model")["data"])
    assert len(used.report(f"{month(used.entries)}&group_by=key,model&limit={rows}")["data"]) == rows
    refused = used.operator.get(f"/api/v1/usage?{month(used.entries)}&group_by=key,model&limit={rows - 1}", status=400)
    assert refused.field == "limit" and f"more than {rows - 1} rows" in refused.body.decode()


def test_unless_told_otherwise_it_is_this_month_so_far(used):
    report = used.report()
    now = datetime.datetime.now(datetime.timezone.utc)
    assert report["from_at"] == now.strftime("%Y-%m-01T00:00:00.000000Z")
    assert datetime.timedelta(0) < datetime.datetime.fromisoformat(report["until_at"]) - now <= datetime.timedelta(hours=1)
    assert report["group_by"] == [] and len(report["data"]) == 1


# --- from sums, not from the ledger ---

@pytest.mark.parametrize("query", ["", "group_by=key,model,day", "group_by=hour", "group_by=tag", "tag=team=search", "model=sim-small&group_by=day",
                                   "key=key_x&from=2026-01-01T05:00:00Z&until=2026-11-01T07:00:00Z"])
def test_the_plan_names_the_sums_and_never_the_ledger(used, query):
    plan = used.operator.get(f"/api/v1/usage/explain?{query}", role="auditor").json()["plan"]
    assert plan and any("SEARCH usage_" in line for line in plan), plan
    assert not any("ledger" in line.lower() or "TEMP B-TREE" in line for line in plan), plan
    assert not any("SCAN usage_day" in line or "SCAN usage_hour" in line for line in plan), plan
    assert used.gateway.command("usage", "-c", used.gateway.config, "--explain", "--by", "day").stdout.startswith("S")


def test_whoever_may_read_requests_may_read_usage(used):
    for role in ("viewer", "auditor", "operator", "admin", "owner"):
        used.operator.get("/api/v1/usage", role=role)
    for role in ("viewer", "operator"):
        assert used.operator.get("/api/v1/usage/explain", role=role, status=403).reason == "role_not_allowed"


# --- the command line ---

def usage(used, *words, **more):
    return used.gateway.command("usage", "-c", used.gateway.config, *words, **more)


def test_the_command_says_the_same(used):
    first, last = (word.partition("=")[2] for word in month(used.entries).split("&"))
    asked = used.report(f"{month(used.entries)}&group_by=key,model")
    assert json.loads(usage(used, "--by", "key,model", "--from", first, "--until", last, "--json").stdout) == asked
    text = used.operator.get(f"/api/v1/usage?{month(used.entries)}&group_by=key,model&format=csv").body.decode()
    assert list(csv.reader(io.StringIO(usage(used, "--by", "key,model", "--from", first, "--until", last, "--csv").stdout))) == \
        list(csv.reader(io.StringIO(text)))
    filtered = json.loads(usage(used, "--by", "model", "--from", first, "--until", last, "--json", "--workspace", "acme", "--user", "acme/ann").stdout)
    assert filtered["totals"] == expected(used, [], lambda entry: used.keys[entry["key_id"]]["user"] == "acme/ann")[()]


def test_a_table_for_people(used):
    result = usage(used, "--by", "model", "--from", "30d")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["MODEL", "REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "USD", "CU"]
    assert lines[-1].startswith("total") and set(lines[-2]) == {"-"}
    assert len({len(line) for line in lines}) == 1  # figures end in one column
    cost = expected(used, [])[()]["cost_cu_milli"]
    assert lines[-1].split()[-1] == f"{cost // 1000:,}.{cost % 1000:03}"
    assert "without a price" in result.stderr
    assert "=key 1" in usage(used, "--by", "key").stdout and "usage" in usage(used, "--help").stdout


@pytest.mark.parametrize("words", [["--by", "nothing"], ["--limit", "0"], ["--csv", "--json"], ["--by", "tag,key"], ["--from", "x"], ["more"]])
def test_wrong_words_are_refused(used, words):
    assert usage(used, *words, check=False).returncode == 2

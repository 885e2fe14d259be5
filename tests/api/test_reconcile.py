"""Reconciliation: exports as the provider (here the simulator's own log) would write them, beside the ledger."""
import csv
import datetime
import io
import json
import subprocess

import pytest

from harness.waiting import until

MODELS = ["sim-small", "sim-small", "sim/one-2026-08-07"]


@pytest.fixture(scope="module")
def served(gateway, sim):
    """The gateway behind 12 good calls, and what the provider's log says of each upstream model: [requests, input, cached, output]."""
    for number in range(12):
        gateway.chat(text=f"call {number}", model=MODELS[number % len(MODELS)], stream=number % 4 == 0)
    gateway.chat(headers={"x-sim-fault": "status=500"})
    gateway.wait_ledger(13)
    until(lambda: len(gateway.ledger()) == 13, "the ledger")
    days = {entry["start"][:10] for entry in gateway.ledger()}
    gateway.day = days.pop()
    if days:
        pytest.skip("midnight has passed meanwhile")
    sums = {}
    for row in sim.log():
        if row["status"] == 200:
            one = sums.setdefault(row["model"], [0, 0, 0, 0])
            for index, value in enumerate([1, row["prompt_tokens"], row.get("cached_tokens", 0), row["completion_tokens"]]):
                one[index] += value
    gateway.sums = sums
    return gateway


def seconds(day):
    return int(datetime.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp())


def text_of(rows):
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


def openai_usage(served, change=0, rename=lambda name: name):
    head = ["start_time", "end_time", "start_time_iso", "end_time_iso", "project_id", "num_model_requests", "model", "input_tokens", "output_tokens",
            "input_cached_tokens"]
    start = seconds(served.day)
    return text_of([head, *[[start, start + 86400, served.day, "", "proj", requests, rename(model), given + change, made, cached]
                            for model, (requests, given, cached, made) in served.sums.items()]])


def costs(served):
    found = {}
    for entry in served.ledger():
        found[entry["upstream_model"]] = found.get(entry["upstream_model"], 0) + entry["cost_cu_milli"]
    return found


def usd(cu_milli):
    return f"{cu_milli // 10**9}.{cu_milli % 10**9:09}"


def compare(operator, text, status=200, role=None, **members):
    answer = operator.post("/api/v1/reconciliations", {"provider": "sim", "text": text, **members}, status=status, role=role)
    return answer.json() if status == 200 else answer


@pytest.mark.smoke
def test_what_the_provider_has_served_matches(served, operator):
    result = compare(operator, openai_usage(served), tolerance_percent="0", role="viewer")
    assert result["within_tolerance"] and result["format"] == "openai" and not result["incomplete"]
    assert (result["first_day"], result["last_day"], result["zone"]) == (served.day, served.day, "UTC")
    rows = {row["model"]: row for row in result["data"]}
    assert set(rows) == set(served.sums) and {row["status"] for row in rows.values()} == {"match"}
    for model, (requests, given, cached, made) in served.sums.items():
        assert rows[model]["ours"] == {"requests": requests, "input_tokens": given, "cached_tokens": cached, "output_tokens": made,
                                       "cost_cu_milli": costs(served)[model]}
        assert rows[model]["theirs"]["cost_cu_milli"] is None and rows[model]["difference"]["input_tokens"] == 0
        assert rows[model]["percent"] == 0
    assert result["totals"]["ours"]["requests"] == result["totals"]["theirs"]["requests"] == 12


def test_differences_are_told_by_day_and_model(served, operator):
    result = compare(operator, openai_usage(served, change=1), tolerance_percent="0")
    assert not result["within_tolerance"]
    assert {(row["day"], row["status"], row["difference"]["input_tokens"]) for row in result["data"]} == {(served.day, "differs", -1)}
    for row in result["data"]:
        assert row["percent"] == pytest.approx(100 / row["theirs"]["input_tokens"], abs=0.001)
    assert compare(operator, openai_usage(served, change=1), tolerance_percent="100")["within_tolerance"]
    before = f"{datetime.date.fromisoformat(served.day) - datetime.timedelta(days=1)}"
    more = openai_usage(served) + f"{seconds(before)},,,,,1,ghost,5,6,0\r\n"
    result = compare(operator, more)
    ghost = next(row for row in result["data"] if row["status"] != "match")
    assert (ghost["day"], ghost["model"], ghost["status"], ghost["percent"]) == (before, "ghost", "ours_missing", 100)
    head, _, *rest = openai_usage(served).splitlines(keepends=True)
    missing = [row for row in compare(operator, "".join([head, *rest]))["data"] if row["status"] != "match"]
    assert [row["status"] for row in missing] == ["theirs_missing"] and missing[0]["percent"] is None


def test_names_with_and_without_dates(served, operator):
    dated = compare(operator, openai_usage(served, rename=lambda name: name + "-2026-08-07" if name == "sim-small" else name.removesuffix("-2026-08-07")),
                    tolerance_percent="0")
    assert dated["within_tolerance"] and len(dated["data"]) == len(served.sums)


def test_costs_in_every_shape(served, operator):
    found, start = costs(served), seconds(served.day)
    assert any(found.values())
    shapes = {
        "openai csv": text_of([["Start Time", "end_time", "Amount Value", "amount_currency", "line_item"],
                               *[[start, "", usd(cost) + "000000000000", "usd", f"{model}, input"] for model, cost in found.items()]]),
        "openai json": json.dumps({"object": "page", "has_more": True, "data": [{"object": "bucket", "start_time": start, "end_time": start + 86400, "results": [
            {"object": "organization.costs.result", "amount": {"value": usd(cost), "currency": "usd"}, "line_item": model} for model, cost in found.items()]}]}),
        "anthropic csv": text_of([["usage_date_utc", "model", "workspace", "token_type", "cost_usd", "list_price_usd"],
                                  *[[served.day, model, "Default", "output", usd(cost), "7"] for model, cost in found.items()]]),
        "anthropic json": json.dumps({"has_more": False, "data": [{"starting_at": f"{served.day}T00:00:00Z", "results": [
            {"currency": "USD", "amount": f"{cost * 100 // 10**9}.{cost * 100 % 10**9:09}", "model": model} for model, cost in found.items()]}]}),
    }
    for name, text in shapes.items():
        result = compare(operator, text, tolerance_percent="0")
        assert result["within_tolerance"], name
        assert result["format"] == name.split()[0] and result["incomplete"] is (name == "openai json")
        assert result["totals"]["theirs"]["cost_cu_milli"] == result["totals"]["ours"]["cost_cu_milli"] == sum(found.values())
        assert {row["theirs"]["input_tokens"] for row in result["data"]} == {None}
    off = compare(operator, shapes["anthropic csv"].replace(usd(found["sim-small"]), usd(found["sim-small"] + 1)), tolerance_percent="0")
    assert [(row["status"], row["difference"]["cost_cu_milli"]) for row in off["data"] if row["model"] == "sim-small"] == [("differs", -1)]


def test_usage_in_anthropic_s_shapes(served, operator):
    rows = [[served.day, model, given - cached, 0, 0, cached, made] for model, (_, given, cached, made) in served.sums.items()]
    text = text_of([["usage_date_utc", "model_version", "usage_input_tokens_no_cache", "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h",
                     "usage_input_tokens_cache_read", "usage_output_tokens"], *rows])
    assert compare(operator, text, format="anthropic", tolerance_percent="0")["within_tolerance"]
    assert compare(operator, text, format="openai", status=400).field == "text"
    answer = {"data": [{"starting_at": f"{served.day}T00:00:00Z", "results": [
        {"model": model, "uncached_input_tokens": fresh, "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
         "cache_read_input_tokens": cached, "output_tokens": made} for _, model, fresh, _, _, cached, made in rows]}]}
    assert compare(operator, json.dumps(answer), tolerance_percent="0")["within_tolerance"]


def test_days_of_another_zone(served, operator):
    assert compare(operator, openai_usage(served), zone="Etc/UTC", tolerance_percent="0")["within_tolerance"]
    assert compare(operator, openai_usage(served), zone="Asia/Kolkata", status=400).field == "zone"
    assert compare(operator, openai_usage(served), zone="Nowhere/Land", status=400).field == "zone"
    hours = {}
    for entry in served.ledger():
        if entry["outcome"] == "ok":
            hours.setdefault(entry["start"][:13], [0, 0])
            hours[entry["start"][:13]][0] += entry["input_tokens"]
            hours[entry["start"][:13]][1] += entry["output_tokens"]
    text = text_of([["start_time", "input_tokens", "output_tokens"], *[[f"{hour}:00:00Z", *sums] for hour, sums in hours.items()]])
    for zone in ("America/New_York", "Pacific/Kiritimati"):
        result = compare(operator, text, zone=zone, tolerance_percent="0")
        assert result["within_tolerance"] and [row["model"] for row in result["data"]] == [None] * len(result["data"])


@pytest.mark.parametrize(("text", "words"), [("start_time,model,input_tokens\n2026-11-01,m,1.5\n", "line 2, column 14 (input_tokens): expected a whole number"),
                                             ("a,b\n1,2\n", "no export that is known"), ('start_time,model\n2026-11-01,"m\n', "line 2, column 12"),
                                             ('{"data":[{"start_time":"x","results":[]}]}', "line 1, column 24"), ("{", "line 1")])
def test_what_is_no_export_is_told_where(operator, text, words):
    refused = compare(operator, text, status=400)
    assert (refused.reason, refused.field) == ("field_invalid", "text") and words in refused.body.decode()


@pytest.mark.parametrize("tolerance", ["101", "-1", "1.0001", "x", ""])
def test_tolerances_are_percent(operator, tolerance):
    assert compare(operator, "start_time\n1\n", tolerance_percent=tolerance, status=400).field == "tolerance_percent"


def test_the_command_ends_with_1_outside_the_tolerance(served, tmp_path):
    def run(text, *words, **more):
        path = tmp_path / "export.csv"
        path.write_text(text)
        return served.command("reconcile", path, "-c", served.config, "--provider", "sim", *words, check=False, **more)

    good = run(openai_usage(served), "--tolerance", "0")
    assert good.returncode == 0 and "match within 0.000 %" in good.stderr and good.stdout.splitlines()[-1].startswith("total")
    assert len(good.stdout.splitlines()) == 3  # what matches is shown with --all
    everything = run(openai_usage(served), "--all").stdout
    assert "sim-small" in everything and everything.splitlines()[0].split() == [
        "DAY", "MODEL", "REQUESTS", "THEIRS", "INPUT", "THEIRS", "CACHED", "THEIRS", "OUTPUT", "THEIRS", "PERCENT", "STATUS"]
    bad = run(openai_usage(served, change=3), "--tolerance", "0")
    assert bad.returncode == 1 and bad.stdout.count("differs") == len(served.sums)
    assert run(openai_usage(served, change=1), "--tolerance", "99.5").returncode == 0
    told = json.loads(run(openai_usage(served), "--json").stdout)
    assert told["within_tolerance"] and told["provider"] == "sim"
    broken = run("start_time\n\"", "--json")
    assert broken.returncode == 1 and "line 2, column 1" in broken.stderr and broken.stdout == ""
    for words in (["--tolerance", "101"], ["--format", "gemini"]):
        assert run(openai_usage(served), *words).returncode == 2
    assert served.command("reconcile", tmp_path / "none.csv", "-c", served.config, "--provider", "sim", check=False).returncode == 1
    assert served.command("reconcile", tmp_path / "export.csv", "-c", served.config, check=False).returncode == 2
    stranger = subprocess.run([served.binary, "reconcile", "-", "-c", served.config, "--provider", "sym"], input=openai_usage(served), text=True,
                              capture_output=True, timeout=60, check=False)
    assert stranger.returncode == 1 and "nothing of the provider sym" in stranger.stderr, "a misspelt name looks like a bill that is nobody's"
    piped = subprocess.run([served.binary, "reconcile", "-", "-c", served.config, "--provider", "sim"], input=openai_usage(served), text=True,
                           capture_output=True, timeout=60, check=False)
    assert piped.returncode == 0, piped.stderr


def test_a_file_that_is_too_large_is_refused(served, tmp_path):
    path = tmp_path / "large.csv"
    path.write_text("start_time,input_tokens\n" + "1793491200,1\n" * (16 * 1024 * 1024 // 13 + 1))
    result = served.command("reconcile", path, "-c", served.config, "--provider", "sim", check=False)
    assert result.returncode == 1 and "16 MiB" in result.stderr

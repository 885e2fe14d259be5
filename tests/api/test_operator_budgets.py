"""Budgets and limits on the operator plane and on the command line: what one may be, how it stands, raises, resets, forecasts."""
import datetime
import itertools
import json
import subprocess

import pytest

from harness.operator import Operator
from harness.processes import Gateway, clean_environment, default_settings
from harness.waiting import until

BUDGETS, LIMITS = "/api/v1/budgets", "/api/v1/limits"
USD = 1_000_000_000  # milli-CU
MOST = 9007199254740991
counter = itertools.count()


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    instance = Gateway(weir_binary, module_folder / "gateway", default_settings(sim, server={"listen": "127.0.0.1:0", "workers": 2})).start()
    yield instance
    instance.close()


def budget(operator, **members):
    made = operator.post(BUDGETS, {"scope": "global", "window": "month", "limit_cu_milli": 1000 * USD, **members}, status=201).json()
    return f"{BUDGETS}/{made['id']}"


def workspace(operator, **members):
    return operator.post("/api/v1/workspaces", {"id": f"ws-{next(counter)}", **members}, status=201).json()["id"]


def key(operator, **members):
    return operator.post("/api/v1/keys", {"name": f"key-{next(counter)}", **members}, status=201).json()


def spend(gateway, made):
    """One request of a key; what the ledger says that it cost."""
    answer = gateway.chat(max_tokens=100, headers={"authorization": f"Bearer {made['key']}", "x-sim-tokens": "100"})
    assert answer.status == 200, answer.body
    cost = gateway.entry_of(answer.headers["x-request-id"])["cost_cu_milli"]
    assert cost > 0
    return cost


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def used(operator, path, wanted):
    return until(lambda: (shown := operator.get(path).json())["used_cu_milli"] == wanted and shown, f"{wanted} to be used")


# --- what one may be ---

@pytest.mark.smoke
def test_a_budget_lives_and_goes(operator):
    made = operator.post(BUDGETS, {"scope": "global", "window": "month", "limit_cu_milli": 5 * USD}, status=201)
    shown, path = made.json(), f"{BUDGETS}/{made.json()['id']}"
    assert made.version == 1 and shown["name"] == shown["id"] and shown["id"].startswith("bud_")
    assert (shown["zone"], shown["enforcement"], shown["on_exceeded"], shown["wait_ms"]) == ("UTC", "hard", "refuse", 2000)
    assert (shown["alert_percents"], shown["active"], shown["implicit"], shown["raises"]) == ([50, 80, 95, 100], True, False, [])
    now = datetime.datetime.now(datetime.UTC)
    assert when(shown["period"]["from_at"]) <= now < when(shown["period"]["until_at"])
    assert operator.get(path).json() == shown
    changed = operator.patch(path, {"name": "All", "limit_cu_milli": 6 * USD, "enforcement": "soft"}, headers={"if-match": '"1"'})
    assert (changed.version, changed.json()["effective_limit_cu_milli"], changed.json()["enforcement"]) == (2, 6 * USD, "soft")
    assert operator.patch(path, {"name": "No"}, headers={"if-match": '"1"'}, status=412).reason == "version_mismatch"
    replaced = operator.put(path, {"scope": "global", "window": "week", "zone": "Europe/Berlin", "limit_cu_milli": 7}, headers={"if-match": '"2"'}).json()
    assert (replaced["window"], replaced["enforcement"], replaced["name"], replaced["version"]) == ("week", "hard", replaced["id"], 3)
    assert operator.put(path, {"scope": "global", "window": "week"}, status=400).field == "limit_cu_milli"
    assert operator.delete(path, status=400).reason == "confirmation_required"
    operator.delete(f"{path}?confirm={shown['id']}", status=204)
    assert operator.get(path, status=404).reason == "not_there"
    trail = [entry["action"] for entry in operator.all(f"/api/v1/audit-logs?resource_id={shown['id']}") if entry["result"] == "success"]
    assert trail == ["budgets.delete", "budgets.replace", "budgets.update", "budgets.create"]


@pytest.mark.parametrize("members, field", [
    ({"scope": "key", "scope_id": "key_nobody"}, "scope_id"),
    ({"scope": "key"}, "scope_id"),
    ({"scope": "global", "scope_id": "x"}, "scope_id"),
    ({"scope": "workspace", "scope_id": "nowhere"}, "scope_id"),
    ({"scope": "team", "scope_id": "default/nobody"}, "scope_id"),
    ({"scope": "user", "scope_id": "nobody"}, "scope_id"),
    ({"scope": "galaxy"}, "scope"),
    ({"window": "year"}, "window"),
    ({"zone": "Europe/Atlantis"}, "zone"),
    ({"zone": "../etc/passwd"}, "zone"),
    ({"window": "24h", "zone": "Europe/Berlin"}, "zone"),
    ({"window": "total", "zone": "Europe/Berlin"}, "zone"),
    ({"enforcement": "soft", "on_exceeded": "clamp"}, "on_exceeded"),
    ({"alert_percents": [80, 50]}, "alert_percents"),
    ({"alert_percents": [101]}, "alert_percents[0]"),
    ({"alert_percents": list(range(1, 10))}, "alert_percents"),
    ({"limit_cu_milli": -1}, "limit_cu_milli"),
    ({"limit_cu_milli": 1.5}, "limit_cu_milli"),
    ({"limit_cu_milli": MOST + 1}, "limit_cu_milli"),
    ({"wait_ms": 30001}, "wait_ms"),
    ({"monthly": 5}, "monthly"),
])
def test_what_cannot_be_is_refused_by_its_name(operator, members, field):
    before = len(operator.all(BUDGETS))
    refused = operator.post(BUDGETS, {"scope": "global", "window": "month", "limit_cu_milli": USD, **members}, status=400)
    assert refused.field == field, refused.json()
    assert len(operator.all(BUDGETS)) == before


def test_what_is_not_in_the_settings_is_told_and_no_failure(operator):
    odd = operator.get(budget(operator, scope="provider", scope_id="nobody")).json()
    assert odd["warnings"] == ["no provider nobody is in the settings"]
    for scope, name in (("provider", "sim"), ("model", "sim-small")):
        assert operator.get(budget(operator, scope=scope, scope_id=name)).json()["warnings"] == []
    assert operator.get(budget(operator, scope="model", scope_id="sim-smal")).json()["warnings"] != []
    gone = workspace(operator)
    path = budget(operator, scope="workspace", scope_id=gone)
    operator.delete(f"/api/v1/workspaces/{gone}?confirm={gone}")
    assert operator.get(path).json()["warnings"] == [f"there is no workspace {gone}"]
    assert operator.patch(path, {"limit_cu_milli": 5}).json()["limit_cu_milli"] == 5, "it can be changed all the same"


def test_lists_are_filtered_and_paged(operator):
    name, other = workspace(operator), workspace(operator)
    operator.post(f"/api/v1/workspaces/{name}/teams", {"id": "red"})
    made = key(operator, workspace=name)
    mine = [budget(operator, scope="workspace", scope_id=name), budget(operator, scope="team", scope_id=f"{name}/red"),
            budget(operator, scope="key", scope_id=made["id"])]
    budget(operator, scope="workspace", scope_id=other)
    ids = [path.rpartition("/")[2] for path in mine]
    assert [one["id"] for one in operator.all(f"{BUDGETS}?workspace={name}", limit=1)] == ids
    assert [one["id"] for one in operator.all(f"{BUDGETS}?workspace={name}&scope=team")] == ids[1:2]
    assert [one["id"] for one in operator.all(f"{BUDGETS}?scope=key&scope_id={made['id']}")] == ids[2:]
    assert operator.all(f"{BUDGETS}?workspace=nowhere") == []
    everything = [one["id"] for one in operator.all(BUDGETS)]
    assert [one["id"] for one in operator.all(BUDGETS, limit=3)] == everything and len(set(everything)) == len(everything)


def test_a_key_of_a_chain_stands_for_its_chain(operator):
    first = key(operator)
    second = operator.post(f"/api/v1/keys/{first['id']}/rotate", {"overlap_seconds": 600}).json()["created"]
    assert operator.get(budget(operator, scope="key", scope_id=second["id"])).json()["scope_id"] == first["id"]


# --- how it stands ---

def test_what_was_spent_before_a_budget_was_made_counts(gateway, operator):
    name = workspace(operator)
    made = key(operator, workspace=name)
    cost = spend(gateway, made)
    path = budget(operator, scope="workspace", scope_id=name, limit_cu_milli=4 * cost)
    shown = used(operator, path, cost)
    assert (shown["spent_cu_milli"], shown["remaining_cu_milli"], shown["percent"], shown["status"]) == (cost, 3 * cost, 25, "ok")
    assert (shown["of"], shown["effective_limit_cu_milli"]) == (name, 4 * cost)
    for limit, percent, status in ((cost + 1, 99, "warning"), (cost, 100, "exceeded"), (cost // 2, cost * 100 // (cost // 2), "exceeded"), (0, 100, "exceeded")):
        shown = operator.patch(path, {"limit_cu_milli": limit}).json()
        assert (shown["percent"], shown["status"], shown["remaining_cu_milli"]) == (percent, status, max(0, limit - cost))
    listed = next(one for one in operator.all(f"{BUDGETS}?workspace={name}"))
    assert (listed["used_cu_milli"], listed["status"]) == (cost, "exceeded")


def test_a_budget_for_each_tells_of_whom_it_is_asked(gateway, operator):
    name = workspace(operator)
    made = key(operator, workspace=name)
    cost = spend(gateway, made)
    path = budget(operator, scope="key", scope_id="*", window="day")
    shown = operator.get(path).json()
    assert (shown["used_cu_milli"], shown["status"], shown["of"]) == (None, None, None)
    shown = used(operator, f"{path}?of={made['id']}", cost)
    assert (shown["of"], shown["status"]) == (made["id"], "ok")
    assert operator.get(f"{path}?of=key_nobody", status=400).field == "of"
    assert operator.get(f"{path}/forecast", status=400).field == "of"
    assert operator.get(f"{path}/forecast?of={made['id']}").json()["used_cu_milli"] == cost
    single = budget(operator)
    assert operator.get(f"{single}?of=x", status=400).field == "of"


def test_budgets_that_follow_from_a_keys_rules_and_a_plan(gateway, operator):
    plan = operator.post("/api/v1/plans", {"id": f"plan-{next(counter)}", "name": "Paid", "cu_milli_per_month": 3 * USD}).json()["id"]
    name = workspace(operator, plan=plan)
    made = key(operator, workspace=name, rules={"limits": {"cu_milli_per_day": 2 * USD, "cu_milli_total": 9 * USD}})
    cost = spend(gateway, made)
    listed = operator.get(f"{BUDGETS}?implicit=true&scope=key&scope_id={made['id']}").json()["data"]
    assert [(one["id"], one["limit_cu_milli"]) for one in listed] == [(f"key:{made['id']}:day", 2 * USD), (f"key:{made['id']}:total", 9 * USD)]
    day = used(operator, f"{BUDGETS}/key:{made['id']}:day", cost)
    assert (day["implicit"], day["window"], day["version"], day["created_at"]) == (True, "day", None, None)
    month = used(operator, f"{BUDGETS}/plan:{name}", cost)
    assert (month["name"], month["limit_cu_milli"], month["enforcement"], month["scope_id"]) == ("Paid", 3 * USD, "hard", name)
    assert [one["id"] for one in operator.get(f"{BUDGETS}?implicit=true&scope=workspace&scope_id={name}").json()["data"]] == [f"plan:{name}"]
    raised = operator.post(f"{BUDGETS}/key:{made['id']}:day/raises", {"kind": "raise", "amount_cu_milli": USD, "duration": "1h"}, status=201).json()
    assert raised["budget"] == f"key:{made['id']}:day"
    assert operator.get(f"{BUDGETS}/key:{made['id']}:day").json()["effective_limit_cu_milli"] == 3 * USD
    # They are not budgets of their own.
    for ident in (f"key:{made['id']}:month", f"key:{made['id']}:week", "key:key_nobody:day", "plan:default", "plan:nowhere", "key:", "bud_none"):
        assert operator.get(f"{BUDGETS}/{ident}", status=404).reason == "not_there"
    assert operator.patch(f"{BUDGETS}/plan:{name}", {"limit_cu_milli": 5}, status=404).reason == "not_there"
    assert operator.get(f"{BUDGETS}?implicit=true", status=400).field == "scope"
    assert operator.get(f"{BUDGETS}?implicit=true&scope=key", status=400).field == "scope_id"
    assert operator.get(f"{BUDGETS}?implicit=true&scope=key&scope_id=key_nobody", status=400).field == "scope_id"


# --- raises ---

def test_raises_and_top_ups(operator):
    path = budget(operator, limit_cu_milli=USD)
    raised = operator.post(f"{path}/raises", {"kind": "raise", "amount_cu_milli": 5, "duration": "90m", "reason": "tonight"}, status=201).json()
    assert raised["in_effect"] and when(raised["until_at"]) - when(raised["from_at"]) == datetime.timedelta(minutes=90)
    topped = operator.post(f"{path}/raises", {"kind": "top_up", "amount_cu_milli": 7}, role="operator", status=201).json()
    shown = operator.get(path).json()
    assert topped["until_at"] == shown["period"]["until_at"]
    assert shown["effective_limit_cu_milli"] == USD + 12 and shown["limit_cu_milli"] == USD
    assert [one["id"] for one in shown["raises"]] == [raised["id"], topped["id"]]
    assert [one["id"] for one in operator.all(f"{path}/raises", limit=1)] == [raised["id"], topped["id"]]
    operator.delete(f"{path}/raises/{raised['id']}", status=204)
    assert operator.get(path).json()["effective_limit_cu_milli"] == USD + 7
    assert operator.delete(f"{path}/raises/{raised['id']}", status=404).reason == "not_there"
    trail = operator.all(f"/api/v1/audit-logs?resource_id={path.rpartition('/')[2]}&action=budgets.raise")
    assert {entry["changes"]["after"]["reason"] for entry in trail} == {"tonight", ""}
    assert operator.all(f"/api/v1/audit-logs?resource_id={raised['id']}")[0]["action"] == "budgets.raise_delete"


@pytest.mark.parametrize("members, field", [
    ({"kind": "raise"}, "until_at"),
    ({"kind": "raise", "until_at": "2020-01-01T00:00:00Z"}, "until_at"),
    ({"kind": "raise", "until_at": "2099-01-01T00:00:00Z"}, "until_at"),
    ({"kind": "raise", "duration": "400d"}, "duration"),
    ({"kind": "raise", "duration": "1h", "until_at": "2099-01-01T00:00:00Z"}, "duration"),
    ({"kind": "raise", "duration": "forever"}, "duration"),
    ({"kind": "reset", "duration": "1h"}, "kind"),
    ({"kind": "top_up", "amount_cu_milli": 0}, "amount_cu_milli"),
    ({"kind": "top_up", "amount_cu_milli": MOST}, "amount_cu_milli"),
])
def test_a_raise_ends_and_is_of_some_size(operator, members, field):
    path = budget(operator)
    refused = operator.post(f"{path}/raises", {"amount_cu_milli": 5, **members}, status=400)
    assert refused.field == field, refused.json()
    assert operator.all(f"{path}/raises") == []


def test_a_top_up_of_a_moving_window_and_of_one_for_ever(operator):
    moving = operator.post(f"{budget(operator, window='24h')}/raises", {"kind": "top_up", "amount_cu_milli": 5}).json()
    assert when(moving["until_at"]) - when(moving["from_at"]) == datetime.timedelta(days=1)
    total = budget(operator, window="total")
    ever = operator.post(f"{total}/raises", {"kind": "top_up", "amount_cu_milli": 5}).json()
    assert ever["until_at"] is None and ever["in_effect"]
    assert operator.get(total).json()["effective_limit_cu_milli"] == 1000 * USD + 5
    assert operator.post(f"{total}/raises", {"kind": "raise", "amount_cu_milli": 5}, status=400).field == "until_at"


def test_a_raise_is_over_when_its_time_is(operator):
    path = budget(operator, limit_cu_milli=USD)
    operator.post(f"{path}/raises", {"kind": "raise", "amount_cu_milli": 5, "duration": "1s"})
    until(lambda: operator.get(path).json()["effective_limit_cu_milli"] == USD, "the end of the raise")
    assert operator.get(path).json()["raises"] == [] == operator.all(f"{path}/raises")


def test_a_reset_begins_anew_and_forgets_nothing(gateway, operator):
    name = workspace(operator)
    made = key(operator, workspace=name)
    cost = spend(gateway, made)
    path = budget(operator, scope="workspace", scope_id=name, limit_cu_milli=100 * cost)
    ident = path.rpartition("/")[2]
    used(operator, path, cost)
    assert operator.post(f"{path}/reset", status=400).reason == "confirmation_required"
    assert operator.post(f"{path}/reset?confirm={ident}", role="operator", status=403).reason == "role_not_allowed"
    made_reset = operator.post(f"{path}/reset", {"confirm": ident, "reason": "agreed"}, status=201).json()
    assert (made_reset["kind"], made_reset["amount_cu_milli"], made_reset["reason"]) == ("reset", cost, "agreed")
    shown = operator.get(path).json()
    assert (shown["used_cu_milli"], shown["spent_cu_milli"], shown["effective_limit_cu_milli"]) == (0, cost, 100 * cost)
    assert made_reset["until_at"] == shown["period"]["until_at"]
    assert operator.post(f"{path}/reset?confirm={ident}", status=409).reason == "state_conflict"
    more = spend(gateway, made)
    used(operator, path, more)
    again = operator.post(f"{path}/reset?confirm={ident}", status=201).json()
    assert again["amount_cu_milli"] == more, "not what was reset before"
    used(operator, path, 0)
    operator.delete(f"{path}/raises/{again['id']}", status=204)
    used(operator, path, more)


def test_what_moves_cannot_be_reset(operator):
    path = budget(operator, window="24h")
    assert operator.post(f"{path}/reset?confirm={path.rpartition('/')[2]}", status=409).reason == "state_conflict"


def test_one_of_those_that_a_budget_is_for_is_raised_and_reset_alone(gateway, operator):
    one, other = key(operator), key(operator)
    cost = spend(gateway, one)
    path = budget(operator, scope="key", scope_id="*", limit_cu_milli=USD)
    ident = path.rpartition("/")[2]
    assert operator.post(f"{path}/reset?confirm={ident}", status=400).field == "of"
    assert operator.post(f"{path}/raises", {"kind": "top_up", "amount_cu_milli": 5, "of": "key_nobody"}, status=400).field == "of"
    alone = operator.post(f"{path}/raises", {"kind": "top_up", "amount_cu_milli": 5, "of": one["id"]}, status=201).json()
    assert (alone["budget"], alone["of"]) == (ident, one["id"])
    everybody = operator.post(f"{path}/raises", {"kind": "top_up", "amount_cu_milli": 7}, status=201).json()
    assert everybody["of"] is None
    assert operator.get(f"{path}?of={one['id']}").json()["effective_limit_cu_milli"] == USD + 12
    assert operator.get(f"{path}?of={other['id']}").json()["effective_limit_cu_milli"] == USD + 7
    used(operator, f"{path}?of={one['id']}", cost)
    reset = operator.post(f"{path}/reset", {"confirm": ident, "of": one["id"]}, status=201).json()
    assert (reset["amount_cu_milli"], reset["of"]) == (cost, one["id"])
    used(operator, f"{path}?of={one['id']}", 0)
    assert [row["id"] for row in operator.all(f"{path}/raises?of={one['id']}")] == [alone["id"], reset["id"]]
    assert [row["id"] for row in operator.all(f"{path}/raises")] == [everybody["id"]]
    assert operator.delete(f"{path}/raises/{alone['id']}", status=404).reason == "not_there"
    operator.delete(f"{path}/raises/{alone['id']}?of={one['id']}", status=204)
    assert operator.get(f"{path}?of={one['id']}").json()["effective_limit_cu_milli"] == USD + 7
    lines = run(gateway, "budget", "top-up", ident, "1cu", "--of", other["id"], "--json")[0]
    assert json.loads(lines)["of"] == other["id"]
    run(gateway, "budget", "delete", ident)
    gone = [entry["resource_id"] for entry in operator.all("/api/v1/audit-logs?action=budgets.raise_delete")]
    assert {reset["id"], everybody["id"], json.loads(lines)["id"]} <= set(gone), "they go with the budget"


def test_raises_go_with_their_budget(operator):
    path = budget(operator)
    ident = path.rpartition("/")[2]
    raised = operator.post(f"{path}/raises", {"kind": "top_up", "amount_cu_milli": 5}).json()
    operator.delete(f"{path}?confirm={ident}", status=204)
    assert operator.get(f"{path}/raises", status=404).reason == "not_there"
    assert operator.all(f"/api/v1/audit-logs?resource_id={raised['id']}")[0]["action"] == "budgets.raise_delete"


# --- forecasts ---

def test_a_forecast_of_what_lasts_and_of_what_does_not(gateway, operator):
    name = workspace(operator)
    made = key(operator, workspace=name)
    idle = budget(operator, scope="workspace", scope_id=name)
    quiet = operator.get(f"{idle}/forecast").json()
    assert quiet["burn_rate_cu_milli_per_day"] == {"last_24_hours": 0, "last_7_days": 0}
    assert (quiet["exhausted_at"], quiet["days_until_exhaustion"], quiet["projected_cu_milli"]) == (None, None, 0)
    assert quiet["at_twice_the_rate"] == {"survives": True, "headroom_cu_milli": 1000 * USD, "exhausted_at": None, "days_until_exhaustion": None}
    cost = sum(spend(gateway, made) for _ in range(3))
    used(operator, idle, cost)
    rate = operator.get(f"{idle}/forecast").json()["burn_rate_cu_milli_per_day"]["last_24_hours"]
    assert cost * 95 // 96 - 1 <= rate <= cost, "a day and up to a quarter of an hour"
    total = budget(operator, scope="workspace", scope_id=name, window="total", limit_cu_milli=11 * cost)
    forecast = operator.get(f"{total}/forecast").json()
    assert forecast["days_until_exhaustion"] in (10, 9), "ten times what a day takes is left"
    assert forecast["at_twice_the_rate"]["days_until_exhaustion"] in (5, 4) and not forecast["at_twice_the_rate"]["survives"]
    assert (forecast["projected_cu_milli"], forecast["at_twice_the_rate"]["headroom_cu_milli"]) == (None, None)
    lasting = when(forecast["exhausted_at"]) - when(forecast["at"])
    assert datetime.timedelta(days=10) <= lasting <= datetime.timedelta(days=10, hours=3)
    # A moving window: as much as goes out comes in; twice as much does not fit, once three halves of it are the limit.
    moving = budget(operator, scope="workspace", scope_id=name, window="24h", limit_cu_milli=cost * 3 // 2)
    forecast = operator.get(f"{moving}/forecast").json()
    assert forecast["exhausted_at"] is None and not forecast["at_twice_the_rate"]["survives"]
    assert forecast["at_twice_the_rate"]["headroom_cu_milli"] < 0 < forecast["remaining_cu_milli"]
    assert operator.get(f"{BUDGETS}/bud_none/forecast", status=404).reason == "not_there"


# --- limits ---

def test_a_limit_lives_and_goes(operator):
    made = operator.post(LIMITS, {"scope": "key", "scope_id": "*", "requests_per_minute": 600, "tokens_per_day": 10**9}, status=201)
    shown, path = made.json(), f"{LIMITS}/{made.json()['id']}"
    assert shown["id"].startswith("lim_") and shown["name"] == shown["id"] and shown["warnings"] == []
    assert (shown["requests_per_minute"], shown["requests_per_second"], shown["burst_percent"], shown["active"]) == (600, None, 100, True)
    changed = operator.patch(path, {"requests_per_minute": None, "concurrent_streams": 3}, headers={"if-match": '"1"'}).json()
    assert (changed["requests_per_minute"], changed["concurrent_streams"], changed["tokens_per_day"]) == (None, 3, 10**9)
    assert operator.patch(path, {"concurrent_streams": None, "tokens_per_day": None}, status=400).reason == "field_invalid"
    assert operator.get(path).json() == changed
    assert shown["id"] in [one["id"] for one in operator.all(f"{LIMITS}?scope=key&scope_id=*", limit=1)]
    assert operator.delete(path, status=400).reason == "confirmation_required"
    operator.delete(f"{path}?confirm={shown['id']}", status=204)
    assert operator.get(path, status=404).reason == "not_there"
    trail = [entry["action"] for entry in operator.all(f"/api/v1/audit-logs?resource_id={shown['id']}") if entry["result"] == "success"]
    assert trail == ["limits.delete", "limits.update", "limits.create"]


@pytest.mark.parametrize("members, field", [
    ({}, "requests_per_minute"),
    ({"requests_per_minute": 0}, "requests_per_minute"),
    ({"requests_per_hour": 5}, "requests_per_hour"),
    ({"requests_per_minute": 5, "burst_percent": 0}, "burst_percent"),
    ({"requests_per_minute": 5, "scope": "key", "scope_id": "key_nobody"}, "scope_id"),
    ({"requests_per_minute": 5, "scope": "team", "scope_id": "red"}, "scope_id"),
])
def test_what_is_no_limit_is_refused_by_its_name(operator, members, field):
    assert operator.post(LIMITS, {"scope": "global", **members}, status=400).field == field


# --- the command line ---

def run(gateway, command, *words, code=0):
    result = subprocess.run([gateway.binary, command, *[str(word) for word in words], "-c", gateway.config], cwd=gateway.folder, capture_output=True, text=True,
                            timeout=60, env=clean_environment(gateway.environment or {}))
    assert result.returncode == code, (words, result.returncode, result.stderr)
    return result.stdout, result.stderr


def test_budgets_on_the_command_line(gateway, operator):
    name = workspace(operator)
    made = key(operator, workspace=name)
    cost = spend(gateway, made)
    ident = run(gateway, "budget", "create", "--for", f"workspace:{name}", "--window", "month", "--limit", "2.50usd", "--name", "By hand",
                "--alerts", "10,90", "--zone", "Europe/Berlin")[0].strip()
    path = f"{BUDGETS}/{ident}"
    shown = used(operator, path, cost)
    assert (shown["name"], shown["limit_cu_milli"], shown["alert_percents"], shown["zone"]) == ("By hand", 2_500_000_000, [10, 90], "Europe/Berlin")
    by_hand = json.loads(run(gateway, "budget", "show", ident, "--json")[0])
    assert by_hand == {member: value for member, value in shown.items() if member != "warnings"}
    text = run(gateway, "budget", "show", ident)[0]
    assert "2500000 CU" in text and "at twice this rate:" in text and "(0 %, ok)" in text
    raised = json.loads(run(gateway, "budget", "raise", ident, "5usd", "--until", "12h", "--reason", "three at night", "--json")[0])
    assert (raised["kind"], raised["amount_cu_milli"], raised["reason"]) == ("raise", 5 * USD, "three at night")
    out, words = run(gateway, "budget", "top-up", ident, "1000cu")
    assert "top_up" in out and "the limit is 7501000 CU now" in words
    assert operator.get(path).json()["effective_limit_cu_milli"] == 2_500_000_000 + 5 * USD + 1_000_000
    assert [json.loads(line)["kind"] for line in run(gateway, "budget", "raises", ident, "--json")[0].splitlines()] == ["raise", "top_up"]
    run(gateway, "budget", "end-raise", ident, raised["id"])
    assert "nothing" in run(gateway, "budget", "reset", budget(operator, scope="workspace", scope_id=workspace(operator)).rpartition("/")[2], code=1)[1]
    reset = json.loads(run(gateway, "budget", "reset", ident, "--json", "--reason", "agreed")[0])
    assert (reset["kind"], reset["amount_cu_milli"]) == ("reset", cost)
    run(gateway, "budget", "set", ident, "--limit", "5000000000mcu", "--soft", "--inactive")
    shown = operator.get(path).json()
    assert (shown["limit_cu_milli"], shown["enforcement"], shown["active"], shown["name"]) == (5 * USD, "soft", False, "By hand")
    assert ident in run(gateway, "budget", "list")[0]
    assert [json.loads(line)["id"] for line in run(gateway, "budget", "list", "--for", f"workspace:{name}", "--json")[0].splitlines()] == [ident]
    forecast = json.loads(run(gateway, "budget", "forecast", ident, "--json")[0])
    assert forecast["budget"] == ident and forecast["used_cu_milli"] == 0
    run(gateway, "budget", "delete", ident)
    operator.get(path, status=404)
    trail = [entry for entry in operator.all(f"/api/v1/audit-logs?resource_id={ident}")][::-1]
    assert [entry["action"] for entry in trail] == ["budgets.create", "budgets.raise", "budgets.raise", "budgets.reset", "budgets.update", "budgets.delete"]
    assert {entry["actor"]["kind"] if isinstance(entry.get("actor"), dict) else entry["actor_kind"] for entry in trail} == {"local"}


def test_implicit_budgets_on_the_command_line(gateway, operator):
    made = key(operator, rules={"limits": {"cu_milli_per_day": 2 * USD}})
    lines = run(gateway, "budget", "list", "--implicit", "--for", f"key:{made['id']}", "--json")[0].splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"key:{made['id']}:day"]
    run(gateway, "budget", "top-up", f"key:{made['id']}:day", "1usd")
    assert operator.get(f"{BUDGETS}/key:{made['id']}:day").json()["effective_limit_cu_milli"] == 3 * USD
    assert "changed there" in run(gateway, "budget", "delete", f"key:{made['id']}:day", code=1)[1]


@pytest.mark.parametrize("words", [
    ["create", "--for", "global", "--window", "month"],
    ["create", "--for", "global", "--window", "month", "--limit", "5"],
    ["create", "--for", "global", "--window", "month", "--limit", "5eur"],
    ["create", "--for", "global", "--window", "month", "--limit", "1.0005cu"],
    ["create", "--for", "global", "--window", "month", "--limit", "-5usd"],
    ["create", "--for", "global", "--window", "month", "--limit", "usd"],
    ["create", "--for", "global", "--window", "month", "--limit", "99999999999usd"],
    ["create", "--for", "key", "--window", "month", "--limit", "5usd"],
    ["create", "--for", "global:x", "--window", "month", "--limit", "5usd"],
    ["create", "--for", "global", "--window", "month", "--limit", "5usd", "--alerts", "50,x"],
    ["raise", "bud_x"], ["raise", "bud_x", "5"], ["raise", "bud_x", "5usd", "--until", "yesterday"], ["show"], ["nonsense"],
    ["alerts", "--since", "sometime"], ["list", "--implicit"],
])
def test_wrong_words_are_told_and_exit_2(gateway, operator, words):
    before = len(operator.all(BUDGETS))
    assert run(gateway, "budget", *words, code=2)[1]
    assert len(operator.all(BUDGETS)) == before


@pytest.mark.parametrize("words, told", [
    (["create", "--for", "key:key_nobody", "--window", "month", "--limit", "5usd"], "scope_id: there is no key key_nobody"),
    (["create", "--for", "global", "--window", "year", "--limit", "5usd"], "window:"),
    (["create", "--for", "global", "--window", "day", "--zone", "Nowhere", "--limit", "5usd"], "zone:"),
    (["raise", "bud_none", "5usd", "--until", "1h"], "there is no budget bud_none"),
    (["show", "bud_none"], "there is no budget bud_none"),
])
def test_what_cannot_be_is_told_and_exits_1(gateway, words, told):
    assert told in run(gateway, "budget", *words, code=1)[1]


def test_a_raise_without_an_end_is_refused_on_the_command_line(gateway, operator):
    ident = budget(operator).rpartition("/")[2]
    assert "change the limit" in run(gateway, "budget", "raise", ident, "5usd", code=1)[1]


def test_limits_on_the_command_line(gateway, operator):
    ident = run(gateway, "limit", "create", "--for", "provider:sim", "--requests-per-minute", "600", "--burst-percent", "50")[0].strip()
    shown = operator.get(f"{LIMITS}/{ident}").json()
    assert (shown["scope"], shown["scope_id"], shown["requests_per_minute"], shown["burst_percent"]) == ("provider", "sim", 600, 50)
    assert json.loads(run(gateway, "limit", "show", ident)[0]) == {name: value for name, value in shown.items() if name != "warnings"}
    run(gateway, "limit", "set", ident, "--requests-per-minute", "none", "--concurrent-requests", "7", "--inactive")
    shown = operator.get(f"{LIMITS}/{ident}").json()
    assert (shown["requests_per_minute"], shown["concurrent_requests"], shown["active"]) == (None, 7, False)
    assert "concurrent_requests=7 burst_percent=50" in run(gateway, "limit", "list", "--for", "provider:sim")[0]
    assert "limits something" in run(gateway, "limit", "set", ident, "--concurrent-requests", "none", code=1)[1]
    run(gateway, "limit", "set", ident, "--concurrent-requests", "many", code=2)
    run(gateway, "limit", "delete", ident)
    assert "no limit" in run(gateway, "limit", "delete", ident, code=1)[1]
    operator.get(f"{LIMITS}/{ident}", status=404)
    assert [entry["action"] for entry in operator.all(f"/api/v1/audit-logs?resource_id={ident}")] == ["limits.delete", "limits.update", "limits.create"]


def test_help(gateway):
    for command in ("budget", "limit"):
        assert f"weir {command}" in run(gateway, command, "--help")[0]


# --- the account of what went beyond ---

def test_the_overrun_account_of_truthful_providers_is_empty(gateway, operator):
    spend(gateway, key(operator))
    account = operator.get("/api/v1/overruns").json()
    assert (account["overrun_cu_milli"], account["by_model"], account["entries"], account["is_whole"]) == (0, [], [], True)
    assert operator.get("/api/v1/overruns?from=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", status=400).field == "until"

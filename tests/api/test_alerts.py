"""What operators are told: a budget's thresholds, once each and not again after a restart; what goes beyond a reservation; clients that run away."""
import json

import pytest

from harness.operator import Operator
from harness.processes import Gateway, default_settings
from harness.waiting import until

ALERTS = "/api/v1/budgets/alerts"


@pytest.fixture()
def gateway(weir_binary, sim, tmp_path):
    settings = default_settings(sim, server={"listen": "127.0.0.1:0", "workers": 2}, meter={"runaway_refusals": 10, "runaway_minutes": 1})
    instance = Gateway(weir_binary, tmp_path / "gateway", settings).start()
    yield instance
    instance.close()


@pytest.fixture()
def operator(gateway):
    return Operator(gateway)


def key(operator, **members):
    return operator.post("/api/v1/keys", {"name": "alerted", **members}, status=201).json()


def chat(gateway, made, **fields):
    return gateway.chat(max_tokens=100, headers={"authorization": f"Bearer {made['key']}", "x-sim-tokens": "100"}, **fields)


def told(gateway, event):
    return [line for line in gateway.log_lines() if line["event"] == event]


def counted(gateway, kind):
    return gateway.metrics()["weir_alerts_total", (("kind", kind),)]


@pytest.mark.smoke
def test_half_of_a_budget_is_told_once_also_after_a_restart(gateway, operator):
    made = key(operator)
    first = chat(gateway, made)
    cost = gateway.entry_of(first.headers["x-request-id"])["cost_cu_milli"]
    limit = 49 * cost // 10  # three calls are more than 60 percent of it, and a fourth fits, whose end is behind 80
    budget = operator.post("/api/v1/budgets", {"name": "Half", "scope": "key", "scope_id": made["id"], "window": "total", "limit_cu_milli": limit}).json()["id"]
    path = f"{ALERTS}?budget={budget}"
    assert operator.all(path) == []
    for _ in range(2):
        assert chat(gateway, made).status == 200
    alerts = until(lambda: operator.all(path), "the alert")
    assert [(alert["kind"], alert["percent"], alert["name"], alert["scope"], alert["scope_id"]) for alert in alerts] == [("threshold", 50, "Half", "key", made["id"])]
    assert alerts[0]["limit_cu_milli"] == limit and alerts[0]["used_cu_milli"] >= limit // 2
    line = until(lambda: told(gateway, "budget_threshold"), "the log's line")[0]
    assert (line["budget"], line["percent"], line["level"]) == (budget, 50, "info")
    until(lambda: counted(gateway, "threshold") == 1, "the metric")
    gateway.restart()
    assert chat(gateway, made).status == 200
    assert until(lambda: [alert["percent"] for alert in operator.all(path)][1:], "the next alert") == [80]
    lines = until(lambda: told(gateway, "budget_threshold"), "the log's line")
    assert [line["percent"] for line in lines] == [80], "50 is not told again"
    assert json.loads(gateway.command("budget", "alerts", budget, *gateway.file_words).stdout.splitlines()[0]) == operator.all(path)[0]
    assert operator.all(f"{path}&since=2999-01-01T00:00:00Z") == [] and len(operator.all(f"{path}&kind=threshold", limit=1)) == 2
    assert operator.get(f"{ALERTS}?kind=rumour", status=400).field == "kind"
    misspelt = gateway.command("budget", "alerts", "--kind", "exceded", *gateway.file_words, check=False)
    assert misspelt.returncode == 2 and "exceeded" in misspelt.stderr, "not the same as a night without alerts"


def test_a_budget_that_refuses_is_told(gateway, operator):
    made = key(operator)
    budget = operator.post("/api/v1/budgets", {"scope": "key", "scope_id": made["id"], "window": "month", "limit_cu_milli": 1}).json()["id"]
    for _ in range(3):
        assert chat(gateway, made).status == 429
    alerts = until(lambda: operator.all(f"{ALERTS}?budget={budget}&kind=exceeded"), "the alert")
    assert len(alerts) == 1 and alerts[0]["limit_cu_milli"] == 1
    until(lambda: counted(gateway, "exceeded") == 1, "the metric")
    operator.post(f"/api/v1/budgets/{budget}/raises", {"kind": "top_up", "amount_cu_milli": 10**9, "reason": "three at night"})
    assert chat(gateway, made).status == 200, "it is in effect when the answer is there"


def test_a_budget_that_clamps_tells_when_nothing_fits(gateway, operator):
    made = key(operator)
    budget = operator.post("/api/v1/budgets", {"scope": "key", "scope_id": made["id"], "window": "month", "limit_cu_milli": 1, "on_exceeded": "clamp"}).json()["id"]
    assert chat(gateway, made).status == 429
    alerts = until(lambda: operator.all(f"{ALERTS}?budget={budget}&kind=exceeded"), "the alert")
    assert len(alerts) == 1 and alerts[0]["limit_cu_milli"] == 1


def test_a_client_that_runs_away_is_told(gateway, operator):
    made = key(operator, rules={"limits": {"requests_per_minute": 1}})
    calm = key(operator, rules={"limits": {"requests_per_minute": 1}})
    assert operator.get("/api/v1/runaway").json()["data"] == []
    for _ in range(3):
        chat(gateway, calm)

    def runs_away():
        for _ in range(5):
            chat(gateway, made)
        return operator.get("/api/v1/runaway").json()["data"]

    found = until(runs_away, "the runaway client")
    assert [(row["key"], row["name"], row["workspace"]) for row in found] == [(made["id"], "alerted", "default")]
    assert found[0]["refusals"] >= 10
    lines = until(lambda: told(gateway, "runaway_client"), "the log's line")
    assert [line["key_family"] for line in lines] == [made["id"]]
    assert [alert["scope_id"] for alert in operator.all(f"{ALERTS}?kind=runaway")] == [made["id"]]


def test_what_a_provider_reports_beyond_its_reservation_is_told_and_accounted_for(gateway, sim, operator):
    made = key(operator)
    answer = gateway.chat(max_tokens=10, headers={"authorization": f"Bearer {made['key']}", "x-sim-fault": "wrong-usage=100000"})
    assert answer.status == 200, answer.body
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert entry["overrun_cu_milli"] > 0 and entry["cost_cu_milli"] == entry["reserved_cu_milli"]
    account = until(lambda: (found := operator.get("/api/v1/overruns").json())["overrun_cu_milli"] and found, "the account")
    assert (account["overrun_cu_milli"], account["is_whole"]) == (entry["overrun_cu_milli"], True)
    assert [(row["provider"], row["model"], row["overrun_cu_milli"]) for row in account["by_model"]] == [("sim", "sim-small", entry["overrun_cu_milli"])]
    row = account["entries"][0]
    assert (row["request_id"], row["key"], row["overrun_cu_milli"]) == (entry["request_id"], made["id"], entry["overrun_cu_milli"])
    assert operator.get("/api/v1/overruns?provider=other").json()["by_model"] == []
    assert operator.get("/api/v1/overruns?limit=0").json()["entries"] == []
    alerts = until(lambda: operator.all(f"{ALERTS}?kind=overrun"), "the alarm")
    assert (alerts[0]["scope_id"], alerts[0]["overrun_cu_milli"]) == (made["id"], entry["overrun_cu_milli"])
    assert until(lambda: told(gateway, "budget_overrun"), "the log's line")[0]["level"] == "error"

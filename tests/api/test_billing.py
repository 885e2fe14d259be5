"""Purchases, accounts, plans and payments on the data plane, and that each Idempotency-Key is acted on once."""
import base64
import concurrent.futures
import hashlib
import hmac
import itertools
import json
import os
import random
import sqlite3
import time
import uuid

import pytest

from harness.plain import call
from harness.processes import Gateway, default_settings
from harness.waiting import until

NUMBERS = itertools.count()
ROUNDS = int(os.environ.get("WEIR_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("WEIR_SEED", "7"))
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four").decode()
MILLION = 1_000_000_000  # milli-CU in a million CU


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    instance = Gateway(weir_binary, module_folder / "gateway", default_settings(sim, server={"listen": "127.0.0.1:0", "workers": 2})).start()
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def paid_gateway(weir_binary, sim, module_folder):
    """One that a payment system talks to."""
    billing = {"payment": "webhook", "webhook_secret": SECRET, "max_purchase_cu": 1000, "payment_url": "https://pay.example/{workspace}/{purchase}?n={cu_milli}"}
    instance = Gateway(weir_binary, module_folder / "paid", default_settings(sim, billing=billing)).start()
    yield instance
    instance.close()


class Buyer:
    """A workspace of its own with a key that may use billing."""

    def __init__(self, gateway, operator, plan="basic", capabilities=("inference", "billing")):
        self.gateway, self.operator = gateway, operator
        if not hasattr(gateway, "plans_made"):  # as the usual ones, without their limits by the second
            gateway.plans_made = True
            for name, included, price in (("basic", 10, 0), ("other", 29, 29), ("better", 99, 99)):
                operator.post("/api/v1/plans", {"id": name, "name": name, "cu_milli_per_month": included * MILLION, "price_cu_milli_per_month": price * MILLION},
                              status=201)
        self.workspace = f"buyer-{next(NUMBERS)}"
        operator.post("/api/v1/workspaces", {"id": self.workspace, "plan": plan}, status=201)
        self.key = operator.post("/api/v1/keys", {"name": self.workspace, "workspace": self.workspace, "rules": {"capabilities": list(capabilities)}},
                                 status=201).json()["key"]

    def call(self, method, path, body=None, key=None, headers=None):
        fields = {"authorization": f"Bearer {self.key}", **({"idempotency-key": key} if key else {}), **(headers or {})}
        return call(self.gateway.address, method, f"/v1/billing/{path}", fields, body)

    def post(self, path, body=None, key=None):
        return self.call("POST", path, body, key or str(uuid.uuid4()))

    def balance(self):
        return self.call("GET", "balance").json()

    def purchases(self):
        return self.call("GET", "purchases?limit=100").json()["data"]

    def entries(self):
        return self.operator.all(f"/api/v1/workspaces/{self.workspace}/account/entries")


@pytest.fixture
def buyer(gateway, operator):
    return Buyer(gateway, operator)


def reason(answer):
    return answer.json()["error"]["code"]


# --- who may ---

@pytest.mark.parametrize("rules", [None, {}, {"capabilities": None}, {"capabilities": ["*"]}, {"capabilities": ["bill*"]}, {"capabilities": ["inference"]}])
def test_billing_must_be_named_in_the_rules(gateway, operator, rules):
    """A key that may do everything may still not spend money: silence is no permission."""
    key = operator.post("/api/v1/keys", {"name": "silent", **({"rules": rules} if rules is not None else {})}, status=201).json()["key"]
    answer = call(gateway.address, "GET", "/v1/billing/balance", {"authorization": f"Bearer {key}"})
    assert (answer.status, reason(answer)) == (403, "key_capability_missing")


def test_a_key_for_billing_alone_cannot_infer(gateway, operator):
    buyer = Buyer(gateway, operator, capabilities=["billing"])
    assert buyer.call("GET", "balance").status == 200
    answer = call(gateway.address, "GET", "/v1/models", {"authorization": f"Bearer {buyer.key}"})
    assert (answer.status, reason(answer)) == (403, "key_capability_missing")


# --- purchases ---

@pytest.mark.smoke
def test_a_purchase_becomes_credits(buyer, operator):
    made = buyer.post("purchases", {"cu": 5, "reference": "order 7", "metadata": {"team": "red"}})
    purchase = made.json()
    assert made.status == 201
    assert (purchase["state"], purchase["cu_milli"], purchase["reference"], purchase["metadata"], purchase["payment"]) == (
        "pending", 5000, "order 7", {"team": "red"}, "manual")
    assert buyer.balance()["credits_cu_milli"] == 0
    approved = operator.post(f"/api/v1/purchases/{purchase['id']}/approve").json()
    assert (approved["state"], approved["decided_by"]) == ("approved", "local")
    again = operator.post(f"/api/v1/purchases/{purchase['id']}/approve").json()
    assert again == approved
    balance = buyer.balance()
    assert (balance["plan"], balance["included_cu_milli"], balance["credits_cu_milli"]) == ("basic", 10 * MILLION, 5000)
    assert balance["remaining_cu_milli"] == 10 * MILLION + 5000
    entry, = buyer.entries()
    assert (entry["kind"], entry["amount_cu_milli"], entry["balance_after_cu_milli"], entry["purchase"]) == ("purchase", 5000, 5000, purchase["id"])
    assert approved["entry"] == entry["id"]
    assert buyer.call("GET", f"purchases/{purchase['id']}").json() == approved
    assert operator.get(f"/api/v1/purchases/{purchase['id']}").json() == approved
    told = [entry for entry in operator.get(f"/api/v1/audit-logs?org_id={buyer.workspace}").json()["data"]]
    actions = {(entry["action"], entry["resource_id"]) for entry in told}
    assert {("purchases.create", purchase["id"]), ("purchases.approve", purchase["id"])} <= actions


def test_a_rejected_purchase_stays_rejected(buyer, operator):
    purchase = buyer.post("purchases", {"cu_milli": 1}).json()
    path = f"/api/v1/purchases/{purchase['id']}"
    rejected = operator.post(f"{path}/reject", {"reason": "no money came"}).json()
    assert (rejected["state"], rejected["reason"]) == ("rejected", "no money came")
    assert operator.post(f"{path}/approve", status=409).reason == "state_conflict"
    assert operator.post(f"{path}/reject", {"reason": "again"}, status=409).reason == "state_conflict"
    assert buyer.entries() == []
    approved = buyer.post("purchases", {"cu_milli": 1}).json()
    operator.post(f"/api/v1/purchases/{approved['id']}/approve")
    assert operator.post(f"/api/v1/purchases/{approved['id']}/reject", {"reason": "late"}, status=409).reason == "state_conflict"
    assert operator.post("/api/v1/purchases/pur_none/approve", status=404).reason == "not_there"
    assert [row["state"] for row in operator.get(f"/api/v1/purchases?workspace={buyer.workspace}").json()["data"]] == ["rejected", "approved"]
    for state in ("rejected", "approved"):
        found, = operator.get(f"/api/v1/purchases?workspace={buyer.workspace}&state={state}").json()["data"]
        assert found["state"] == state
    assert operator.get(f"/api/v1/purchases?workspace={buyer.workspace}&state=pending").json()["data"] == []


@pytest.mark.parametrize("body", [{}, {"cu": 1, "cu_milli": 1}, {"cu": 0}, {"cu": -1}, {"cu": 1.5}, {"cu": "1"}, {"cu_milli": 2**53}, {"cu": 10**10},
                                  {"cu": 1, "number": "4111111111111111"}, {"cu": 1, "cvc": "123"}, {"cu": 1, "metadata": {"a": 1}}, [], "x",
                                  {"cu": 1, "card": {"number": "4111"}}])
def test_what_is_no_purchase_is_refused_and_kept_nowhere(buyer, body):
    key = str(uuid.uuid4())
    answer = buyer.post("purchases", body, key)
    assert answer.status == 400
    assert buyer.purchases() == []
    if body != {"cu": 10**10} and body not in ({}, {"cu": 1, "cu_milli": 1}):  # those are decided by the operation
        assert buyer.post("purchases", {"cu": 1}, key).status == 201  # the key was not used up


def test_a_purchase_is_of_its_workspace_alone(buyer, gateway, operator):
    other = Buyer(gateway, operator)
    purchase = buyer.post("purchases", {"cu": 1}).json()
    assert other.purchases() == []
    assert other.call("GET", f"purchases/{purchase['id']}").status == 404


def test_who_takes_the_name_of_a_former_workspace_does_not_come_by_its_books(gateway, operator):
    for spend in (lambda one: one.post("purchases", {"cu": 5}).json()["id"],
                  lambda one: operator.post(f"/api/v1/workspaces/{one.workspace}/account/adjust", {"amount_cu_milli": 7, "reason": "x"}, status=201)):
        former = Buyer(gateway, operator)
        spend(former)
        for key in operator.all(f"/api/v1/keys?workspace={former.workspace}"):
            operator.post(f"/api/v1/keys/{key['id']}/revoke?confirm={key['id']}")
        operator.delete(f"/api/v1/workspaces/{former.workspace}?confirm={former.workspace}")
        refused = operator.post("/api/v1/workspaces", {"id": former.workspace}, status=400)
        assert refused.json()["details"]["field"] == "id"
    former = Buyer(gateway, operator)  # one that never had any may come back
    for key in operator.all(f"/api/v1/keys?workspace={former.workspace}"):
        operator.post(f"/api/v1/keys/{key['id']}/revoke?confirm={key['id']}")
    operator.delete(f"/api/v1/workspaces/{former.workspace}?confirm={former.workspace}")
    operator.post("/api/v1/workspaces", {"id": former.workspace}, status=201)


def test_purchases_are_listed_in_pages(buyer):
    ids = [buyer.post("purchases", {"cu": 1}).json()["id"] for _ in range(5)]
    found, cursor = [], ""
    while cursor is not None:
        page = buyer.call("GET", f"purchases?limit=2{cursor}").json()
        found += [purchase["id"] for purchase in page["data"]]
        assert len(page["data"]) <= 2
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert found == ids
    assert buyer.call("GET", "purchases?limit=0").status == 400
    assert buyer.call("GET", "purchases?other=1").status == 400


def test_one_that_waited_too_long_has_expired(gateway, operator, buyer):
    purchase = buyer.post("purchases", {"cu": 1}).json()
    path, = (gateway.folder / "data").glob("*.db")
    with sqlite3.connect(path, timeout=30) as connection:
        connection.execute("UPDATE object SET text = json_set(text, '$.expires_at', '2020-01-01T00:00:00Z') WHERE id = ?", [purchase["id"]])
    assert buyer.call("GET", f"purchases/{purchase['id']}").json()["state"] == "expired"
    assert operator.post(f"/api/v1/purchases/{purchase['id']}/approve", status=409).reason == "state_conflict"
    found, = operator.get(f"/api/v1/purchases?workspace={buyer.workspace}&state=expired").json()["data"]
    assert found["id"] == purchase["id"]


# --- Idempotency-Key ---

@pytest.mark.parametrize("path, body", [("purchases", {"cu": 1}), ("plan/upgrade", {"plan": "better"}), ("plan/downgrade", {"plan": "basic"}),
                                        ("plan/cancel-downgrade", None)])
def test_a_key_is_needed_and_a_uuid_v4(buyer, path, body):
    missing = buyer.call("POST", path, body)
    assert (missing.status, reason(missing)) == (400, "idempotency_key_missing")
    for key in ("x", str(uuid.uuid1()), uuid.uuid4().hex, "{" + str(uuid.uuid4()) + "}", str(uuid.uuid4())[:-1] + "g"):
        refused = buyer.call("POST", path, body, key)
        assert (refused.status, reason(refused), refused.json()["error_code"]) == (400, "idempotency_key_invalid", "WEIR_INVALID_IDEMPOTENCY_KEY")


def test_the_same_again_is_answered_byte_for_byte(buyer):
    key = str(uuid.uuid4())
    first = buyer.post("purchases", {"cu": 1, "metadata": {"ä": "\"\\\n", "b": "2"}}, key)
    again = buyer.post("purchases", json.dumps({"metadata": {"b": "2", "ä": "\"\\\n"}, "cu": 1}, indent=4).encode(), key.upper())
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-weir-original-request-id"] == first.headers["x-request-id"] != again.headers["x-request-id"]
    assert "idempotency-replayed" not in first.headers
    assert len(buyer.purchases()) == 1


def test_another_request_with_the_key_is_refused(buyer, gateway, operator):
    key = str(uuid.uuid4())
    assert buyer.post("purchases", {"cu": 1}, key).status == 201
    for path, body in (("purchases", {"cu": 2}), ("purchases", {"cu_milli": 1000}), ("plan/upgrade", {"plan": "better"})):
        other = buyer.post(path, body, key)
        assert (other.status, reason(other), other.json()["error_code"]) == (422, "idempotency_key_mismatch", "WEIR_IDEMPOTENCY_KEY_MISMATCH")
    assert len(buyer.purchases()) == 1
    # Another workspace knows nothing of it.
    neighbour = Buyer(gateway, operator)
    assert neighbour.post("purchases", {"cu": 2}, key).status == 201


def test_a_refusal_of_the_operation_is_kept_too(buyer):
    key = str(uuid.uuid4())
    first = buyer.post("plan/cancel-downgrade", None, key)
    assert (first.status, reason(first)) == (409, "plan_change_refused")
    buyer.post("plan/upgrade", {"plan": "better"})
    buyer.post("plan/downgrade", {"plan": "basic"})
    again = buyer.post("plan/cancel-downgrade", None, key)  # it could be done now, and is not
    assert (again.status, again.body, again.headers["idempotency-replayed"]) == (409, first.body, "true")
    assert buyer.call("GET", "plan").json()["plan_next"] == "basic"


def test_fifty_at_once_are_one(buyer):
    key = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: buyer.post("purchases", {"cu": 3}, key), range(50)))
    assert {answer.status for answer in answers} <= {201, 409}
    good = [answer for answer in answers if answer.status == 201]
    assert len({answer.body for answer in good}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in good) == 1
    assert len(buyer.purchases()) == 1


def test_a_key_is_remembered_across_a_restart_and_for_a_day(make_gateway, sim):
    from harness.operator import Operator
    instance = make_gateway(sim)
    buyer = Buyer(instance, Operator(instance))
    key = str(uuid.uuid4())
    first = buyer.post("purchases", {"cu": 1}, key)
    instance.restart()
    again = buyer.post("purchases", {"cu": 1}, key)
    assert (again.body, again.headers["idempotency-replayed"]) == (first.body, "true")
    path, = (instance.folder / "data").glob("*.db")
    with sqlite3.connect(path, timeout=30) as connection:
        expires, created = connection.execute("SELECT expires_utc_us, created_utc_us FROM object WHERE id = ?", [key]).fetchone()
        assert expires - created == 24 * 3600 * 1_000_000
        connection.execute("UPDATE object SET expires_utc_us = 1 WHERE id = ?", [key])
    fresh = buyer.post("purchases", {"cu": 1}, key)
    assert fresh.status == 201 and "idempotency-replayed" not in fresh.headers
    assert len(buyer.purchases()) == 2
    with sqlite3.connect(path, timeout=30) as connection:
        connection.execute("UPDATE object SET expires_utc_us = 1 WHERE id = ?", [key])
    instance.restart()  # the first look of the upkeep takes it away

    def gone():
        with sqlite3.connect(path, timeout=30) as connection:
            return connection.execute("SELECT count(*) FROM object WHERE id = ? AND removed = 0", [key]).fetchone() == (0,)

    until(gone, "the expired key to be taken away")


@pytest.mark.timeout(120 + ROUNDS * 30)
def test_kill_9_at_any_moment_buys_once(make_gateway, sim):
    """Whoever asks again with the same key gets one purchase, one entry of the trail and one answer, whenever the process died."""
    from harness.operator import Operator
    chosen = random.Random(SEED)
    instance = make_gateway(sim)
    buyer = Buyer(instance, Operator(instance))
    known = {}

    def ask(key, number):
        try:
            answer = buyer.post("purchases", {"cu_milli": number + 1}, key)
            return (answer.status, answer.body) if answer.complete else None
        except OSError:
            return None

    for round_number in range(ROUNDS):
        keys = [str(uuid.uuid4()) for _ in range(40)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(ask, key, number) for number, key in enumerate(keys)]
            time.sleep(chosen.uniform(0, 0.06))
            instance.kill()
            before = [one.result() for one in asked]
        instance.start()
        for number, key in enumerate(keys):
            status, body = ask(key, number)
            assert status == 201, body
            assert before[number] is None or before[number] == (201, body), f"round {round_number} (WEIR_SEED={SEED})"
            known[json.loads(body)["id"]] = number + 1
            assert ask(key, number) == (status, body)
    found, cursor = {}, ""
    while cursor is not None:
        page = buyer.call("GET", f"purchases?limit=100{cursor}").json()
        found.update({purchase["id"]: purchase["cu_milli"] for purchase in page["data"]})
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert found == known and len(known) == ROUNDS * 40
    path, = (instance.folder / "data").glob("*.db")
    with sqlite3.connect(path, timeout=30) as connection:
        told = connection.execute("SELECT count(*), count(DISTINCT resource_id) FROM audit WHERE action = 'purchases.create'").fetchone()
    assert told == (len(known), len(known))


# --- accounts ---

def test_credits_are_given_and_taken_with_a_reason(buyer, operator):
    path = f"/api/v1/workspaces/{buyer.workspace}/account"
    entry = operator.post(f"{path}/adjust", {"amount_cu_milli": 700, "reason": "an outage"}, status=201).json()
    assert (entry["kind"], entry["reason"], entry["actor"], entry["balance_after_cu_milli"]) == ("adjustment", "an outage", "local", 700)
    operator.post(f"{path}/adjust", {"amount_cu_milli": -200, "reason": "too much"}, status=201)
    assert operator.post(f"{path}/adjust", {"amount_cu_milli": -501, "reason": "x"}, status=409).reason == "state_conflict"
    assert operator.post(f"{path}/adjust", {"amount_cu_milli": 0, "reason": "x"}, status=400).field == "amount_cu_milli"
    assert operator.post(f"{path}/adjust", {"amount_cu_milli": 1}, status=400).field == "reason"
    assert operator.get(path).json()["credits_cu_milli"] == buyer.balance()["credits_cu_milli"] == 500
    assert [row["amount_cu_milli"] for row in operator.all(f"{path}/entries", limit=1)] == [700, -200]
    assert operator.get("/api/v1/workspaces/nobody/account", status=404).reason == "not_there"
    assert operator.get("/api/v1/workspaces/nobody/account/entries", status=404).reason == "not_there"


def test_what_was_used_is_in_balance_and_usage(buyer, gateway):
    for _ in range(3):
        answer = call(gateway.address, "POST", "/v1/chat/completions", {"authorization": f"Bearer {buyer.key}"},
                      {"model": "sim-small", "messages": [{"role": "user", "content": "hello"}]})
        assert answer.status == 200
    usage = until(lambda: next((u for u in [buyer.call("GET", "usage?group_by=day,model").json()] if u["data"] and u["data"][0]["requests"] == 3), None),
                  "three requests in the usage")
    row, = usage["data"]
    assert row["day"] == time.strftime("%Y-%m-%d", time.gmtime()) and row["model"]
    assert row["input_tokens"] > 0 and row["output_tokens"] > 0
    assert buyer.balance()["used_cu_milli"] == row["cost_cu_milli"]
    assert buyer.call("GET", "usage").json()["data"][0]["requests"] == 3
    key_row, = buyer.call("GET", "usage?group_by=key").json()["data"]
    assert key_row["key"].startswith("key_")
    assert buyer.call("GET", "usage?from=2020-01-01&until=2020-02-01").json()["data"] in ([], [{name: 0 for name in row if name not in ("day", "model")}])
    for query in ("group_by=workspace", "from=yesterday", "from=2026-02-02&until=2026-02-01", "from=2026-02-02T00:30:00Z"):
        assert buyer.call("GET", f"usage?{query}").status == 400


def test_usage_is_told_whole_or_not_at_all(make_gateway, sim):
    from harness.operator import Operator
    instance = make_gateway(sim)
    buyer = Buyer(instance, Operator(instance))
    assert call(instance.address, "POST", "/v1/chat/completions", {"authorization": f"Bearer {buyer.key}"},
                {"model": "sim-small", "messages": [{"role": "user", "content": "hello"}]}).status == 200
    until(lambda: buyer.call("GET", "usage").json()["data"], "the request in the usage")
    instance.stop()
    path, = (instance.folder / "data").glob("*.db")
    day = 20371  # 2025-10-10
    with sqlite3.connect(path) as connection:
        number, = connection.execute("SELECT max(number) FROM usage_of WHERE tag IS NULL").fetchone()
        last, = connection.execute("SELECT max(number) FROM usage_of").fetchone()
        for i in range(1, 10002):
            model = connection.execute("INSERT INTO dictionary(text) VALUES(?)", [f"many-{i}"]).lastrowid
            connection.execute("INSERT INTO usage_of SELECT ?, key, user, team, workspace, provider, ?, upstream_model, endpoint, NULL FROM usage_of WHERE number = ?",
                               [last + i, model, number])
            connection.execute("INSERT INTO usage_day VALUES(?, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1)", [day << 32 | last + i])
        connection.execute("INSERT OR REPLACE INTO meta VALUES('usage_hours_from', ?)", [(day + 1) * 24])
    instance.start()
    asked = "usage?from=2025-10-10&until=2025-10-11"
    assert buyer.call("GET", asked).json()["data"][0]["requests"] == 10001
    refused = buyer.call("GET", f"{asked}&group_by=model")
    assert (refused.status, reason(refused)) == (400, "parameter_invalid") and "10000" in refused.json()["error"]["message"]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM usage_day WHERE place = ?", [day << 32 | last + 1])
    assert len(buyer.call("GET", f"{asked}&group_by=model").json()["data"]) == 10000
    refused = buyer.call("GET", "usage?from=2025-10-10T05:00:00Z&until=2025-10-11")
    assert (refused.status, reason(refused)) == (400, "parameter_invalid")


# --- plans ---

def test_an_upgrade_is_in_effect_at_once(buyer, operator):
    changed = buyer.post("plan/upgrade", {"plan": "better"})
    assert (changed.status, changed.json()["plan"], changed.json()["requests_per_second"]) == (200, "better", None)
    assert operator.get(f"/api/v1/workspaces/{buyer.workspace}").json()["plan"] == "better"
    assert buyer.balance()["included_cu_milli"] == 99 * MILLION
    told = operator.get(f"/api/v1/audit-logs?org_id={buyer.workspace}&action=workspaces.plan_upgrade").json()["data"]
    assert (told[0]["changes"]["before"]["plan"], told[0]["changes"]["after"]["plan"]) == ("basic", "better")


def test_the_command_line_tells_what_is_wrong_in_its_own_words(gateway, buyer):
    def billing(*words):
        return gateway.command("billing", *words, *gateway.file_words, check=False)

    missing = billing("approve", "pur_none")
    assert (missing.returncode, missing.stderr) == (1, "weir: there is no purchase 'pur_none'\n")
    misspelt = billing("purchases", "--state", "pendin")
    assert misspelt.returncode == 2 and "pending" in misspelt.stderr
    unreasoned = billing("adjust", buyer.workspace, "5usd")
    assert unreasoned.returncode == 2 and "--reason" in unreasoned.stderr
    assert billing("adjust", buyer.workspace, "5eur", "--reason", "r").returncode == 2
    before = buyer.balance()["credits_cu_milli"]
    assert billing("adjust", buyer.workspace, "0.5usd", "--reason", "r").returncode == 0
    assert billing("adjust", buyer.workspace, "7", "--reason", "r").returncode == 0
    assert buyer.balance()["credits_cu_milli"] - before == 500_000_007


def test_a_plan_that_somebody_goes_over_to_is_not_deleted(buyer, operator):
    operator.post("/api/v1/plans", {"id": "next-month", "name": "Next month", "cu_milli_per_month": 1, "price_cu_milli_per_month": 1}, status=201)
    buyer.post("plan/upgrade", {"plan": "better"})
    assert buyer.post("plan/downgrade", {"plan": "next-month"}).status == 200
    assert operator.delete("/api/v1/plans/next-month?confirm=next-month", status=409).reason == "still_in_use"
    assert buyer.post("plan/cancel-downgrade").status == 200
    operator.delete("/api/v1/plans/next-month?confirm=next-month", status=204)


def test_a_downgrade_waits_for_the_month_and_can_be_cancelled(buyer, operator):
    buyer.post("plan/upgrade", {"plan": "better"})
    scheduled = buyer.post("plan/downgrade", {"plan": "basic"}).json()
    assert (scheduled["plan"], scheduled["plan_next"], scheduled["plan_next_at"]) == ("better", "basic", buyer.balance()["reset_at"])
    shown = operator.get(f"/api/v1/workspaces/{buyer.workspace}").json()
    assert (shown["plan_next"], shown["plan_next_at"]) == ("basic", scheduled["plan_next_at"])
    # What operators change besides leaves it, another plan does away with it.
    assert operator.patch(f"/api/v1/workspaces/{buyer.workspace}", {"notes": "n"}).json()["plan_next"] == "basic"
    cancelled = buyer.post("plan/cancel-downgrade").json()
    assert (cancelled["plan"], cancelled["plan_next"]) == ("better", None)
    assert reason(buyer.post("plan/cancel-downgrade")) == "plan_change_refused"
    buyer.post("plan/downgrade", {"plan": "basic"})
    assert operator.patch(f"/api/v1/workspaces/{buyer.workspace}", {"plan": "other"}).json()["plan_next"] is None


def test_only_what_is_asked_for_is_done(buyer):
    for path, plan, status, code in (("upgrade", "basic", 409, "plan_change_refused"), ("upgrade", "nope", 400, "field_invalid"),
                                     ("downgrade", "better", 409, "plan_change_refused"), ("downgrade", "basic", 409, "plan_change_refused")):
        answer = buyer.post(f"plan/{path}", {"plan": plan})
        assert (answer.status, reason(answer)) == (status, code), (path, plan)
    assert buyer.call("GET", "plan").json()["plan"] == "basic"
    assert buyer.post("plan/upgrade", {}).status == 400
    assert buyer.post("plan/cancel-downgrade", {"plan": "basic"}).status == 400


def test_a_plan_of_ones_own_has_its_place(buyer, operator):
    name = f"own-{next(NUMBERS)}"
    operator.post("/api/v1/plans", {"id": name, "name": "Own", "cu_milli_per_month": 11 * MILLION, "price_cu_milli_per_month": 0}, status=201)
    assert buyer.post("plan/upgrade", {"plan": name}).json()["plan"] == name  # costs the same, includes more


def test_months_are_closed_and_plans_changed_when_their_time_has_come(make_gateway, sim):
    from harness.operator import Operator
    instance = make_gateway(sim)
    buyer = Buyer(instance, Operator(instance), plan="better")
    operator = buyer.operator
    operator.post(f"/api/v1/workspaces/{buyer.workspace}/account/adjust", {"amount_cu_milli": 1000, "reason": "x"}, status=201)
    buyer.post("plan/downgrade", {"plan": "basic"})
    instance.stop()
    path, = (instance.folder / "data").glob("*.db")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE object SET text = json_set(text, '$.plan_next_at', '2026-01-01T00:00:00Z') WHERE id = ? AND kind = 2", [buyer.workspace])
        connection.execute("UPDATE object SET created_utc_us = created_utc_us - 86400000000 * 40 WHERE id = ? AND kind = 14", [buyer.workspace])
    instance.start()
    plan = until(lambda: next((p for p in [buyer.call("GET", "plan").json()] if p["plan"] == "basic"), None), "the downgrade")
    assert plan["plan_next"] is None
    closes = until(lambda: [entry for entry in buyer.entries() if entry["kind"] == "month_close"], "the close of the month")
    assert [close["amount_cu_milli"] for close in closes] == [0] * len(closes) and 1 <= len(closes) <= 2
    assert buyer.balance()["credits_cu_milli"] == 1000
    instance.restart()
    time.sleep(0.5)
    assert [entry for entry in buyer.entries() if entry["kind"] == "month_close"] == closes


def test_all_of_many_workspaces_are_looked_at(make_gateway, sim):
    from harness.operator import Operator
    instance = make_gateway(sim)
    operator = Operator(instance)
    names = [f"many-{i}" for i in range(45)]
    for name in names:
        operator.post("/api/v1/workspaces", {"id": name, "plan": "startup"}, status=201)
    instance.stop()
    path, = (instance.folder / "data").glob("*.db")
    with sqlite3.connect(path) as connection:
        changed = connection.execute("UPDATE object SET text = json_set(text, '$.plan_next', 'free', '$.plan_next_at', '2026-01-01T00:00:00Z')"
                                     " WHERE id LIKE 'many-%' AND kind = 2").rowcount
    assert changed == len(names)
    instance.start()
    operator = Operator(instance)
    until(lambda: {one["plan"] for one in operator.all("/api/v1/workspaces") if one["id"] in names} == {"free"}, "all plans")
    told = operator.all("/api/v1/audit-logs?action=workspaces.plan_changed")
    assert sorted(one["resource_id"] for one in told) == sorted(names)


# --- payments ---

def event(gateway, body, secret=SECRET, at=None, identity=None, signature=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    identity, at = identity or f"msg_{uuid.uuid4().hex}", str(int(time.time()) if at is None else at)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = "v1," + base64.b64encode(hmac.new(key, f"{identity}.{at}.".encode() + data, hashlib.sha256).digest()).decode()
    fields = {"webhook-id": identity, "webhook-timestamp": at, "webhook-signature": signature.replace("GOOD", made) if signature else made,
              "content-type": "application/json"}
    return call(gateway.address, "POST", "/v1/billing/webhooks/payment", fields, data)


def payment(purchase, kind="payment.succeeded", **more):
    return {"type": kind, "timestamp": "2026-11-21T00:00:00Z", "data": {"purchase": purchase["id"], "cu_milli": purchase["cu_milli"], **more}}


@pytest.fixture
def payer(paid_gateway):
    from harness.operator import Operator
    return Buyer(paid_gateway, Operator(paid_gateway))


def test_a_payment_credits_once(payer, paid_gateway):
    purchase = payer.post("purchases", {"cu": 5}).json()
    assert purchase["payment"] == "webhook"
    assert purchase["payment_url"] == f"https://pay.example/{payer.workspace}/{purchase['id']}?n=5000"
    first = event(paid_gateway, payment(purchase), identity="msg_1")
    assert (first.status, first.json()) == (200, {"purchase": purchase["id"], "state": "approved", "credited": True})
    for identity in ("msg_1", "msg_2"):
        again = event(paid_gateway, payment(purchase), identity=identity)
        assert (again.status, again.json()["credited"]) == (200, False)
    assert payer.balance()["credits_cu_milli"] == 5000
    entry, = payer.entries()
    assert entry["actor"] == "payment"
    assert event(paid_gateway, payment(purchase, "payment.failed")).status == 409


def test_a_failed_payment_rejects(payer, paid_gateway):
    purchase = payer.post("purchases", {"cu": 5}).json()
    assert event(paid_gateway, payment(purchase, "payment.failed", reason="declined")).json()["state"] == "rejected"
    assert payer.call("GET", f"purchases/{purchase['id']}").json()["reason"] == "declined"
    assert event(paid_gateway, payment(purchase, "payment.failed")).status == 200
    assert event(paid_gateway, payment(purchase)).status == 409
    assert payer.entries() == []


def test_what_is_not_signed_well_is_not_believed(payer, paid_gateway, gateway):
    purchase = payer.post("purchases", {"cu": 5}).json()
    body, other = payment(purchase), "whsec_" + base64.b64encode(b"another secret").decode()
    bad = [event(paid_gateway, body, secret=other), event(paid_gateway, body, at=int(time.time()) - 301), event(paid_gateway, body, at=int(time.time()) + 305),
           event(paid_gateway, body, at="x"), event(paid_gateway, body, signature="v1,"), event(paid_gateway, body, signature="v2,GOOD"),
           event(paid_gateway, body, signature="v1,AAAA v1,BBBB"), call(paid_gateway.address, "POST", "/v1/billing/webhooks/payment", {}, body),
           event(gateway, body)]  # where no payment system is set up, nobody's word is believed
    assert [(answer.status, reason(answer)) for answer in bad] == [(401, "payment_signature_invalid")] * len(bad)
    assert payer.call("GET", f"purchases/{purchase['id']}").json()["state"] == "pending"
    assert event(paid_gateway, body, signature="v1,AAAA GOOD v1a,x").status == 200  # one of several


def test_an_amount_that_differs_is_an_alarm(payer, paid_gateway):
    purchase = payer.post("purchases", {"cu": 5}).json()
    wrong = event(paid_gateway, payment({**purchase, "cu_milli": 5001}), identity="msg_wrong")
    assert (wrong.status, wrong.json()["error"]["param"]) == (400, "data.cu_milli")
    assert payer.call("GET", f"purchases/{purchase['id']}").json()["state"] == "pending"
    until(lambda: any(line["event"] == "payment_amount_differs" and "msg_wrong" in json.dumps(line) for line in paid_gateway.log_lines()), "the alarm")


def test_events_are_read_strictly(payer, paid_gateway):
    purchase = payer.post("purchases", {"cu": 5}).json()
    assert event(paid_gateway, payment({**purchase, "id": "pur_nobody"})).status == 404
    assert event(paid_gateway, {"type": "invoice.created", "data": {"anything": 1}}).json() == {"ignored": True}
    for body in (b"{", {"type": "payment.succeeded"}, payment(purchase, card="4111"), {**payment(purchase), "number": "4111"}, {"data": {}}):
        assert event(paid_gateway, body).status == 400
    assert payer.call("GET", f"purchases/{purchase['id']}").json()["state"] == "pending"


def test_no_more_than_allowed_is_bought_at_once(payer):
    refused = payer.post("purchases", {"cu": 1001})
    assert (refused.status, refused.json()["error"]["param"]) == (400, "cu_milli")
    assert payer.post("purchases", {"cu": 1000}).status == 201


def test_a_server_without_the_secret_does_not_start(make_gateway, sim):
    instance = make_gateway(sim, start=False, billing={"payment": "webhook"})
    told = instance.command("config", "check", instance.config, check=False)
    assert told.returncode != 0 and "billing.webhook_secret" in told.stdout + told.stderr


# --- weir billing ---

def test_the_command_line_does_the_same(buyer, gateway, operator):
    def billing(*words, check=True):
        return gateway.command("billing", *words, *gateway.file_words, check=check)

    first, second = (buyer.post("purchases", {"cu_milli": number}).json()["id"] for number in (700, 800))
    assert "700 milli-CU" in billing("approve", first).stderr
    assert "already approved" in billing("approve", first).stderr
    assert billing("reject", second, check=False).returncode == 2
    billing("reject", second, "--reason", "no money")
    assert billing("approve", second, check=False).returncode == 1
    rows = [json.loads(line) for line in billing("purchases", "--workspace", buyer.workspace, "--json").stdout.splitlines()]
    assert [(row["id"], row["state"]) for row in rows] == [(first, "approved"), (second, "rejected")]
    assert second in billing("purchases", "--state", "rejected").stdout and first not in billing("purchases", "--state", "rejected").stdout
    billing("adjust", buyer.workspace, "50", "--reason", "a gift")
    billing("adjust", buyer.workspace, "250", "--take", "--reason", "a mistake")
    assert billing("adjust", buyer.workspace, "1000", "--take", "--reason", "x", check=False).returncode == 1
    assert billing("adjust", "nobody", "1", "--reason", "x", check=False).returncode == 1
    assert [json.loads(line)["amount_cu_milli"] for line in billing("entries", buyer.workspace, "--json").stdout.splitlines()] == [700, 50, -250]
    assert json.loads(billing("balance", buyer.workspace, "--json").stdout) == buyer.balance()
    assert buyer.balance()["credits_cu_milli"] == 500
    told = {(entry["action"], entry["actor_kind"]) for entry in operator.get(f"/api/v1/audit-logs?org_id={buyer.workspace}").json()["data"]}
    assert {("purchases.approve", "local"), ("purchases.reject", "local"), ("accounts.adjust", "local")} <= told

"""What the operator plane leaves in the log and in the metrics of what was asked of it."""
import time

from harness.operator import Operator
from harness.plain import call
from harness.waiting import until

PASSWORD = "a password of 27 characters"


def lines(instance):
    return [line for line in instance.log_lines() if line.get("event") == "operator_call"]


def line_of(instance, answer):
    request_id = answer.headers["x-request-id"]
    return until(lambda: next((line for line in lines(instance) if line["request_id"] == request_id), None), "the line of a call")


def counts(instance, name="weir_operator_requests_total"):
    return {(dict(labels).get("operation"), dict(labels).get("status")): value
            for (metric, labels), value in instance.metrics().items() if metric == name}


def test_a_change_and_a_refusal_have_a_line_and_a_read_has_none(make_gateway, sim):
    instance = make_gateway(sim)
    operator = Operator(instance)
    made = operator.post("/api/v1/operators", {"name": "ada", "role": "viewer", "password": PASSWORD})
    line = line_of(instance, made)
    assert (line["operation"], line["status"], line["reason"], line["level"]) == ("operators.create", 201, "none", "info")
    assert line["actor"] and line["actor_kind"] in ("local", "token") and line["address"] == "127.0.0.1"
    assert line["duration_us"] >= 0
    token = operator.post(f"/api/v1/operators/{made.json()['id']}/tokens", {"name": "t"}).json()["token"]
    line = line_of(instance, operator.post("/api/v1/workspaces", {"id": "x"}, token=token, status=403))
    assert (line["operation"], line["reason"], line["actor"], line["actor_kind"]) == ("workspaces.create", "role_not_allowed", "ada", "token")
    line = line_of(instance, operator.get("/api/v1/workspaces/nowhere", status=404))
    assert (line["operation"], line["status"], line["reason"]) == ("workspaces.get", 404, "not_there")
    read = operator.get("/api/v1/workspaces")
    line_of(instance, operator.post("/api/v1/workspaces", {"id": "Bad Id"}, status=400))  # everything before has been written
    assert not [line for line in lines(instance) if line["request_id"] == read.headers["x-request-id"]]
    text = str(lines(instance))
    for sent in (PASSWORD, token, "Bad Id", "nowhere"):
        assert sent not in text


def test_answers_are_counted_by_operation_and_status(make_gateway, sim):
    instance = make_gateway(sim)
    operator = Operator(instance)
    operator.post("/api/v1/workspaces", {"id": "red"})
    operator.post("/api/v1/workspaces", {"id": "red"}, status=409)
    call(instance.operator, "GET", "/a-path-that-is-none")
    call(instance.operator, "DELETE", "/api/v1/workspaces")
    counted = counts(instance)
    assert counted["workspaces.create", "201"] == 1 and counted["workspaces.create", "409"] == 1
    assert counted["none", "404"] == 1 and counted["none", "405"] == 1
    assert "a-path-that-is-none" not in str(counted)
    assert instance.metrics()["weir_operator_queue", ()] == 0


def test_strangers_are_all_counted_and_have_few_lines(make_gateway, sim):
    instance = make_gateway(sim)
    operator = Operator(instance)
    begin = time.monotonic()
    for _ in range(60):
        operator.post("/auth/login", {"api_key": "no-token"}, status=401)
    assert instance.metrics()["weir_operator_logins_failed_total", ()] == 60
    assert counts(instance)["auth.login", "401"] == 60
    failed = [line for line in lines(instance) if line["operation"] == "auth.login"]
    assert 1 <= len(failed) <= 5 * (time.monotonic() - begin + 2)
    assert all(line["actor"] == "" and line["actor_kind"] == "unknown" for line in failed)

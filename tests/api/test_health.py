"""Health paths and metrics on both planes."""
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from harness.plain import call
from harness.processes import default_settings
from harness.waiting import paused, until


@pytest.mark.smoke
@pytest.mark.parametrize("path", ["/health", "/healthz", "/livez", "/readyz"])
def test_health_paths_answer_on_both_planes_without_a_key(gateway, path):
    for address in (gateway.address, gateway.operator):
        answer = call(address, "GET", path)
        assert answer.status == 200, (path, answer)
        assert call(address, "HEAD", path).status == 200
        assert answer.headers["x-request-id"]


def test_readyz_names_each_dependency_with_its_state(gateway):
    ready = call(gateway.address, "GET", "/readyz").json()
    text = str(ready)
    for dependency in ("store", "journal"):
        assert dependency in text, ready


def test_metrics_are_valid_prometheus_text(gateway):
    gateway.chat()
    gateway.chat(stream=True)
    answer = call(gateway.operator, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in parse_text(answer.body.decode())}
    assert any(name.startswith("gen_ai_") for name in families), sorted(families)
    assert all(family.documentation for family in families.values())
    assert "weir_worker_cpu_seconds" in {name.removesuffix("_total") for name in families}


def test_metrics_are_valid_openmetrics(gateway):
    answer = call(gateway.operator, "GET", "/metrics",
                  {"accept": "application/openmetrics-text; version=1.0.0; charset=utf-8"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert list(parse_openmetrics(answer.body.decode()))


def test_metrics_hold_nothing_that_a_client_said(gateway):
    gateway.chat(model="a-model-that-nobody-configured", text="a secret prompt")
    gateway.request("GET", "/v1/models/another-unknown-model")
    text = call(gateway.operator, "GET", "/metrics").body.decode()
    for word in ("a-model-that-nobody-configured", "another-unknown-model", "a secret prompt", gateway.key):
        assert word not in text


def test_metrics_count_what_happened(make_gateway, sim):
    instance = make_gateway(sim)
    used = [instance.chat().json()["usage"] for _ in range(5)]
    until(lambda: 5 in instance.metrics().values(), "the last request to be counted: its answer goes first")
    metrics = instance.metrics()
    asked = sum(value for (name, labels), value in metrics.items()
                if name == "gen_ai_client_token_usage_sum" and ("gen_ai_token_type", "input") in labels)
    if any(name == "gen_ai_client_token_usage_sum" for name, _ in metrics):
        assert asked == sum(usage["prompt_tokens"] for usage in used)


def test_an_attempt_behind_which_another_provider_answers_is_counted(make_gateway, sim):
    """A provider that is dead must be seen although every client gets its answer."""
    instance = make_gateway(
        sim, providers=[{"name": "dead", "dialect": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "x"},
                        *default_settings(sim)["providers"]],
        models=[{"name": "sim-small", "targets": [{"provider": "dead", "model": "sim-small"},
                                                  {"provider": "sim", "model": "sim-small", "order": 1}]}])
    for _ in range(2):
        assert instance.chat().status == 200
    counted = {labels: value for (name, labels), value in instance.metrics().items() if name == "weir_attempts_total"}
    by = {(dict(labels)["provider"], dict(labels)["reason"]): value for labels, value in counted.items()}
    assert by == {("dead", "upstream_connect_failed"): 2, ("sim", "none"): 2}


def test_a_record_says_why_a_provider_could_not_be_reached(make_gateway, sim):
    """For the operator: the client is told of no address."""
    dead = {"name": "dead", "dialect": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "x"}
    instance = make_gateway(
        sim, providers=[dead, *default_settings(sim)["providers"]],
        models=[{"name": "sim-small", "targets": [{"provider": "dead", "model": "sim-small"},
                                                  {"provider": "sim", "model": "sim-small", "order": 1}]},
                {"name": "gone", "targets": [{"provider": "dead", "model": "sim-small"}]}])
    for answer in (instance.chat(), instance.chat(model="gone")):
        assert b"127.0.0.1" not in answer.body
        request_id = answer.headers["x-request-id"]

        def told():
            found = call(instance.operator, "GET", f"/api/v1/requests/{request_id}")
            return found.json() if found.status == 200 else None

        record = until(told, "the record")["request"]
        assert record["detail"] in str(record["stages"]), "the story says it too"
        detail = record["detail"]
        assert detail.startswith("dead: ") and "127.0.0.1" in detail and "refused" in detail, (answer.status, detail)


def test_readiness_falls_when_the_server_is_told_to_stop(make_gateway, make_sim):
    simulator = make_sim()
    instance = make_gateway(simulator)
    # A provider that stands still keeps it draining for as long as this test looks.
    from harness.plain import RawConnection
    import json
    from harness.processes import chat_body
    data = json.dumps(chat_body(stream=True)).encode()
    with RawConnection(instance.address) as stream, RawConnection(instance.address) as health:
        health.send(f"GET /livez HTTP/1.1\r\nHost: {instance.address}\r\n\r\n".encode())
        assert health.read_answer().status == 200
        stream.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {instance.address}\r\n"
                    f"Authorization: Bearer {instance.key}\r\nContent-Type: application/json\r\nX-Sim-TTFT: 2000\r\n"
                    f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        until(lambda: len(simulator.requests()) > 0, "the request to arrive upstream")

        def unready():
            try:
                return call(instance.address, "GET", "/readyz").status == 503
            except OSError:
                return False

        with paused(simulator):
            instance.process.terminate()
            until(unready, "/readyz to answer 503 while draining", 5)
        assert stream.read_answer().events()[-1] == b"[DONE]"
    assert instance.wait() == 0

"""Browsers: CORS by setting and environment."""
import pytest

from harness.plain import call

ORIGIN = "https://app.example"


@pytest.fixture
def instance(make_gateway, sim):
    return make_gateway(sim, cors={"origins": [ORIGIN]})


def test_preflight_for_an_allowed_origin(instance):
    answer = call(instance.address, "OPTIONS", "/v1/chat/completions", {
        "origin": ORIGIN, "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-stainless-lang"})
    assert answer.status in (200, 204)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed and "content-type" in allowed
    assert "origin" in answer.headers["vary"].lower()


def test_an_answer_to_an_allowed_origin_says_so_and_shows_its_ids(instance):
    answer = instance.request("GET", "/v1/models", headers={"origin": ORIGIN})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
    refused = call(instance.address, "GET", "/v1/models", {"origin": ORIGIN})
    assert refused.status == 401 and refused.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"])
def test_other_origins_get_no_permission(instance, origin):
    preflight = call(instance.address, "OPTIONS", "/v1/chat/completions",
                     {"origin": origin, "access-control-request-method": "POST"})
    assert "access-control-allow-origin" not in preflight.headers
    answer = instance.request("GET", "/v1/models", headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers


def test_the_environment_variable_names_origins_too(make_gateway, sim):
    instance = make_gateway(sim, environment={"CORS_ORIGINS": f"https://one.example,{ORIGIN}"})
    assert instance.request("GET", "/v1/models", headers={"origin": ORIGIN}).headers["access-control-allow-origin"] == ORIGIN


def test_a_wildcard_is_refused_in_production(make_gateway, sim):
    instance = make_gateway(sim, start=False, environment=None, cors={"origins": ["*"]})
    instance.settings["environment"] = "prod"
    instance.write_settings()
    result = instance.command("config", "check", instance.config, check=False)
    assert result.returncode != 0
    assert "cors" in result.stderr + result.stdout

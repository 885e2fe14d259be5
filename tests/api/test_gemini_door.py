"""Google's client through the gateway: to a provider that speaks its API, where bodies go through as they are, and to one that speaks chat completions; and
OpenAI's client in front of a provider that speaks the Gemini API. What is expected is written by hand from the vendors' types."""
import json

import pytest
from google import genai
from google.genai import errors, types

from harness.processes import Gateway, default_settings

NAMES = ["sim-small", "sim-embed", "sim-reasoner"]


def settings_for(sim, dialect, base):
    provider = {"name": "there", "dialect": dialect, "base_url": f"http://{sim.address}/{base}", "api_key": "sim-key",
                "forward_headers": [f"x-sim-{name}" for name in ("fault", "tokens", "echo", "rate")]}
    return default_settings(sim, providers=[provider],
                            models=[{"name": name, "targets": [{"provider": "there", "model": name}]} for name in NAMES])


@pytest.fixture(scope="module")
def native(weir_binary, sim, module_folder):
    instance = Gateway(weir_binary, module_folder / "native", settings_for(sim, "gemini", "v1beta")).start()
    yield instance
    instance.close()


def google(gateway, version=None):
    return genai.Client(api_key=gateway.key, http_options=types.HttpOptions(
        base_url=f"http://{gateway.address}", timeout=60000, api_version=version,
        retry_options=types.HttpRetryOptions(attempts=1)))


def say(text="Hello, weir"):
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def post(gateway, path, body, **headers):
    return gateway.request("POST", path, body, {**gateway.authorization, **headers})


def events_of(answer):
    return [json.loads(block.strip()[6:]) for block in answer.body.decode().replace("\r\n", "\n").split("\n\n") if block.strip()]


# --- the same dialect on both sides ---

@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_content(native, version):
    client = google(native, version)
    answer = client.models.generate_content(model="sim-small", contents="Hello, weir")
    usage = answer.usage_metadata
    assert answer.text and answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 0


@pytest.mark.parametrize("path", ["/v1beta/models/sim-small:generateContent", "/v1/models/sim-small:generateContent",
                                  "/v1/google/v1beta/models/sim-small:generateContent"])
def test_what_it_cost_stands_in_the_usage(native, path):
    answer = post(native, path, say())
    usage = answer.json()["usageMetadata"]
    assert answer.status == 200 and usage["usedCUMilli"] == int(answer.headers["x-weir-used-cu-milli"]) >= 0


def test_a_stream(native):
    client = google(native)
    pieces = list(client.models.generate_content_stream(model="sim-small", contents="Hello, weir"))
    assert "".join(piece.text or "" for piece in pieces)
    assert [piece.candidates[0].finish_reason for piece in pieces if piece.candidates][-1] == types.FinishReason.STOP


def test_the_last_event_of_a_stream_says_what_it_cost(native):
    answer = post(native, "/v1beta/models/sim-small:streamGenerateContent?alt=sse", say())
    events = events_of(answer)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert ["usedCUMilli" in event for event in events] == [False] * (len(events) - 1) + [True]
    assert "finishReason" in events[-1]["candidates"][0]


def test_without_alt_a_stream_is_one_array(native):
    answer = post(native, "/v1beta/models/sim-small:streamGenerateContent", say())
    pieces = answer.json()
    assert answer.headers["content-type"].startswith("application/json")
    assert ["usedCUMilli" in piece for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_counts_and_vectors(native):
    client = google(native)
    assert client.models.count_tokens(model="sim-small", contents="Hello, weir").total_tokens > 0
    vectors = client.models.embed_content(model="sim-embed", contents=["one", "two"]).embeddings
    assert len(vectors) == 2 and all(vector.values for vector in vectors)
    one = post(native, "/v1beta/models/sim-embed:embedContent", {"content": {"parts": [{"text": "one"}]}})
    assert one.status == 200 and one.json()["embedding"]["values"] == pytest.approx(vectors[0].values)


def test_a_member_in_both_spellings_is_refused(native):
    answer = post(native, "/v1beta/models/sim-small:generateContent",
                  {**say(), "generationConfig": {"maxOutputTokens": 5}, "generation_config": {"maxOutputTokens": 50}})
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert "generationConfig" in error["message"]


def test_an_unknown_model_is_googles_error(native):
    client = google(native)
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="no-such-model", contents="Hello")
    assert caught.value.code == 404 and caught.value.status == "NOT_FOUND"

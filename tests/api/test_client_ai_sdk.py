"""The Vercel AI SDK on Node 22: node/ai_sdk.mjs runs, this judges what it saw."""
import pytest

from harness.clients import Program, sound

TEXT = [("responses", "responses"), ("chat", "chat.completions"), ("compatible", "chat.completions")]


@pytest.fixture(scope="module")
def sdk(direct_sim, sim, clients_gateway, module_folder):
    path = module_folder / "silence.wav"
    path.write_bytes(sound())
    return Program.node("ai_sdk.mjs", direct_sim, sim, clients_gateway, {"SOUND_FILE": str(path)})


@pytest.mark.parametrize(("kind", "endpoint"), TEXT)
def test_text(sdk, kind, endpoint):
    told = sdk.same(f"{kind}_generate")
    [entry] = sdk.charged(f"{kind}_generate", endpoint)
    assert told["text"] and told["finishReason"] == "stop"
    assert (told["usage"]["inputTokens"], told["usage"]["outputTokens"]) == (entry["input_tokens"], entry["output_tokens"])


@pytest.mark.parametrize(("kind", "endpoint"), TEXT)
def test_streams(sdk, kind, endpoint):
    told = sdk.same(f"{kind}_stream")
    [entry] = sdk.charged(f"{kind}_stream", endpoint)
    assert told["text"] == sdk.same(f"{kind}_generate")["text"]
    assert told["finishReason"] == "stop" and "error" not in told["kinds"]
    assert (told["usage"]["inputTokens"], told["usage"]["outputTokens"]) == (entry["input_tokens"], entry["output_tokens"])
    assert entry["stream"]


@pytest.mark.parametrize(("kind", "endpoint"), TEXT)
def test_tools_and_objects(sdk, kind, endpoint):
    told = sdk.same(f"{kind}_tools")
    assert told["steps"] == ["tool-calls", "stop"] and told["words"] > 1
    assert [result["toolName"] for result in told["results"]] == ["weather"]
    sdk.charged(f"{kind}_tools", endpoint, endpoint)
    assert sdk.same(f"{kind}_streamed_tools")["steps"] == ["tool-calls", "stop"]
    assert set(sdk.same(f"{kind}_object")) == {"name", "length"}


@pytest.mark.parametrize("kind", ["responses", "compatible"])
def test_embeddings_and_images(sdk, kind):
    told = sdk.same(f"{kind}_embed")
    [entry] = sdk.charged(f"{kind}_embed", "embeddings")
    assert told["embedding"] and told["usage"]["tokens"] == entry["input_tokens"]
    assert len(sdk.same(f"{kind}_embed_many")["embeddings"]) == 3
    assert all(sdk.same(f"{kind}_image"))
    sdk.charged(f"{kind}_image", "images.generations")


def test_completions(sdk):
    assert sdk.same("compatible_completion")["text"]
    sdk.charged("compatible_completion", "completions")


def test_sound(sdk):
    assert len(sdk.same("speech")) > 100
    sdk.charged("speech", "audio.speech", usage_source="estimated")
    assert sdk.same("transcription")
    sdk.charged("transcription", "audio.transcriptions")


@pytest.mark.parametrize("name", ["unknown_model", "unknown_model_chat"])
def test_an_unknown_model(sdk, name):
    error = sdk.rows[name]["weir"]
    assert [error[name] for name in ("error", "status", "code", "error_code")] == [
        "APICallError", 404, "model_not_found", "WEIR_NOT_FOUND"]
    assert error["request_id"] == sdk.rows[name]["heads"][0]["request_id"]


@pytest.mark.parametrize("name", ["broken", "broken_chat", "broken_compatible"])
def test_a_stream_that_breaks_is_no_success(sdk, name):
    """To this package an end without words is a success."""
    seen = sdk.rows[name]["weir"]
    assert "error" in seen["kinds"] and "closed the connection" in seen["problem"]
    assert seen["finish"] in (None, "error", "other")

"""The official Node package over every endpoint: node/endpoints.mjs runs, this judges what it saw."""
import pytest

from harness.clients import Program, picture, sound


@pytest.fixture(scope="module")
def node(direct_sim, sim, clients_gateway, module_folder):
    files = {"SOUND_FILE": module_folder / "silence.wav", "PICTURE_FILE": module_folder / "pixel.png"}
    files["SOUND_FILE"].write_bytes(sound())
    files["PICTURE_FILE"].write_bytes(picture())
    return Program.node("endpoints.mjs", direct_sim, sim, clients_gateway, {name: str(path) for name, path in files.items()})


# The calls that are one request, and the endpoint that the ledger tells.
SINGLE = {
    "chat": "chat.completions", "chat_stream": "chat.completions",
    "completion": "completions", "completion_stream": "completions",
    "embedding": "embeddings", "embedding_float": "embeddings", "embedding_many": "embeddings",
    "response": "responses", "response_stream": "responses", "response_helper": "responses", "response_tools": "responses",
    "response_tools_stream": "responses", "response_parse": "responses", "rerank": "rerank",
    "image": "images.generations", "image_old": "images.generations", "image_stream": "images.generations", "image_edit": "images.edits",
    "image_edit_several": "images.edits", "image_variation": "images.variations",
    "speech": "audio.speech", "speech_old": "audio.speech", "transcription": "audio.transcriptions", "transcription_file_first": "audio.transcriptions",
    "transcription_text": "audio.transcriptions", "transcription_stream": "audio.transcriptions",
    "translation": "audio.translations",
}
# Whose answers say nothing of their usage.
SOURCES = {"image_old": "counted", "image_variation": "counted", "speech_old": "counted", "speech": "estimated",
           "transcription_text": "estimated", "translation": "estimated"}
SEVERAL = ["moderation", "response_kept", "response_read_again", "response_background",
           "file", "files", "batch", "batch_cancel"]


def used(value):
    """What a result says of its cost: in its usage, or in the last event of a stream."""
    if isinstance(value, list):
        value = value[-1]
    if not isinstance(value, dict):
        return None
    return value.get("usedCUMilli", (value.get("usage") or {}).get("usedCUMilli"))


@pytest.mark.parametrize("name", SINGLE)
def test_a_call(node, name):
    got = node.same(name)
    assert got
    [entry] = node.charged(name, SINGLE[name], usage_source=SOURCES.get(name, "provider"))
    if name.endswith("_stream"):
        assert entry["stream"]
    if isinstance(got, (dict, list)) and name != "response_helper" and name not in SOURCES:
        assert used(got) == entry["cost_cu_milli"]


@pytest.mark.parametrize("name", SEVERAL)
def test_calls_that_belong_together(node, name):
    assert node.same(name)


def test_what_was_deleted_is_gone(node):
    assert node.same("response_kept")["gone"] == node.same("file")["gone"] == "NotFoundError"


def test_embeddings_are_numbers_however_they_come(node):
    packed, floats = (node.same(name)["data"][0]["embedding"] for name in ("embedding", "embedding_float"))
    assert packed == pytest.approx(floats, rel=1e-6)


ENDPOINTS = ["completions", "embeddings", "responses", "moderations", "rerank", "images", "speech"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_errors(node, endpoint):
    expected = {
        "unknown_model": ("NotFoundError", 404, "model_not_found", "WEIR_NOT_FOUND"),
        "missing_field": ("BadRequestError", 400, "field_missing", "WEIR_INVALID_PARAMS"),
        "bad_key": ("AuthenticationError", 401, "key_invalid", "WEIR_UNAUTHORIZED"),
    }
    for kind, words in expected.items():
        row = node.rows[f"{kind}_{endpoint}"]
        error = row["weir"]
        assert (error["error"], error["status"], error["code"], error["error_code"]) == words
        assert error["request_id"] == row["heads"][0]["request_id"]


BROKEN = ["broken_chat", "broken_completion", "broken_response", "broken_image"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_breaks_is_no_success(node, name):
    """The package throws at an error event; of a response it expects the last event to tell."""
    seen = node.rows[name]["weir"]
    if name == "broken_response":
        assert seen["kinds"][-1] == "response.failed"
    else:
        assert seen["error"] == "APIError" and seen["code"] == "upstream_closed"


def test_every_call_is_judged(node):
    errors = {f"{kind}_{endpoint}" for kind in ("unknown_model", "missing_field", "bad_key") for endpoint in ENDPOINTS}
    assert set(node.rows) == {*SINGLE, *SEVERAL, *BROKEN} | errors

"""What each endpoint refuses, as the official Python package tells it: its own exception classes, weir's codes, an id to ask
about; and ids that were issued to somebody else."""
import httpx2
import openai
import pytest

from harness.clients import CHAT, EMBEDDING, IMAGE, MODERATION, RERANK, SPEECH, TRANSCRIPTION, Side, lenient, picture, sound

FILE = ("a.wav", sound(), "audio/wav")
PICTURE = ("a.png", picture(), "image/png")
MESSAGES = [{"role": "user", "content": "Hello"}]


def form(path, files, **fields):
    """What the package's own method would send; posted by hand, so that a field can be left out."""
    def send(client, model, *, without=None):
        body = {name: value for name, value in {"model": model, **fields}.items() if name != without}
        given = [pair for pair in files if pair[0] != without]
        return client.post(path, body=body, files=given or None, cast_to=object,
                           options={"headers": {"Content-Type": "multipart/form-data"}})
    return send


def body(path, **fields):
    def send(client, model, *, without=None):
        given = {name: value for name, value in {"model": model, **fields}.items() if name != without}
        return client.post(path, body=given, cast_to=object)
    return send


# Endpoint, a model that it takes, how it is asked, and its required fields.
ENDPOINTS = [
    ("chat.completions", CHAT, body("/chat/completions", messages=MESSAGES), ["messages"]),
    ("completions", CHAT, body("/completions", prompt="Hello"), ["prompt"]),
    ("embeddings", EMBEDDING, body("/embeddings", input="Hello"), ["input"]),
    ("responses", CHAT, body("/responses", input="Hello"), ["model"]),
    ("moderations", MODERATION, body("/moderations", input="Hello"), ["input"]),
    ("rerank", RERANK, body("/rerank", query="rivers", documents=["a", "b"]), ["query", "documents"]),
    ("images.generations", IMAGE, body("/images/generations", prompt="a river"), ["prompt"]),
    ("images.edits", IMAGE, form("/images/edits", [("image", PICTURE)], prompt="a river"), ["image"]),
    ("audio.speech", SPEECH, body("/audio/speech", input="Hello", voice="alloy"), ["input"]),
    ("audio.transcriptions", TRANSCRIPTION, form("/audio/transcriptions", [("file", FILE)]), ["file"]),
    ("audio.translations", TRANSCRIPTION, form("/audio/translations", [("file", FILE)]), ["file"]),
]
NAMES = [row[0] for row in ENDPOINTS]


@pytest.mark.parametrize(("model", "send", "required"), [row[1:] for row in ENDPOINTS], ids=NAMES)
def test_a_missing_field(pair, send, model, required):
    before = len(pair.sim.log())
    for field in required:
        error = pair.refused(lambda client, field=field: send(client, model, without=field), openai.BadRequestError,
                             code="field_missing", param=field)
        assert error.body["error_code"] == "WEIR_INVALID_PARAMS"
    assert len(pair.sim.log()) == before, "what is not whole never leaves"


@pytest.mark.parametrize("send", [row[2] for row in ENDPOINTS], ids=NAMES)
def test_an_unknown_model(pair, send):
    error = pair.refused(lambda client: send(client, "nobody-knows"), openai.NotFoundError,
                         code="model_not_found", param="model")
    assert error.body["error_code"] == "WEIR_NOT_FOUND"


@pytest.mark.parametrize(("model", "send"), [row[1:3] for row in ENDPOINTS], ids=NAMES)
def test_a_bad_key(pair, send, model):
    error = pair.refused(lambda client: send(client.with_options(api_key="weir_dev_nonsense"), model),
                         openai.AuthenticationError, code="key_invalid")
    assert error.body["error_code"] == "WEIR_UNAUTHORIZED"


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize(("model", "send"), [row[1:3] for row in ENDPOINTS], ids=NAMES)
def test_errors_of_the_provider(pair, send, model, status):
    kind = {400: openai.BadRequestError, 429: openai.RateLimitError, 500: openai.InternalServerError}[status]
    pair.refused(lambda client: send(client.with_options(default_headers={"x-sim-fault": f"status={status}"}), model), kind)
    entry = pair.gateway.entry_of(pair.last.headers["x-request-id"])
    assert entry["outcome"] == "error" and entry["cost_cu_milli"] == 0


# --- streams that break ---

CUT = {"extra_headers": {"x-sim-fault": "truncate=2"}, "stream": True}
STREAMS = {
    "completions": lambda client: client.completions.create(model=CHAT, prompt="Hello", **CUT),
    "images.generations": lambda client: client.images.generate(model=IMAGE, prompt="a river", partial_images=2, **CUT),
    "audio.transcriptions": lambda client: client.audio.transcriptions.create(model=TRANSCRIPTION, file=FILE, **CUT),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_breaks_raises(pair, name):
    with pytest.raises(openai.APIError) as caught:
        list(STREAMS[name](lenient(pair.weir.client)))
    assert caught.value.code == "upstream_closed"
    entry = pair.gateway.entry_of(pair.last.headers["x-request-id"])
    assert entry["endpoint"] == name and entry["outcome"] == "error"


def test_a_response_that_breaks_ends_with_its_own_last_event(pair):
    events = list(lenient(pair.weir.client).responses.create(model=CHAT, input="Hello", **CUT))
    last = events[-1]
    assert last.type == "response.failed" and last.response.status == "failed" and last.response.error.message
    assert last.response.id == events[0].response.id
    assert [event.sequence_number for event in events] == list(range(len(events)))
    entry = pair.gateway.entry_of(pair.last.headers["x-request-id"])
    assert entry["outcome"] == "error" and entry["reason"] == "upstream_closed"


def test_speech_that_breaks_raises(pair):
    """The sound's head has gone; the end of the connection in the middle of its body is what tells."""
    def run(client):
        with client.audio.speech.with_streaming_response.create(
                model=SPEECH, voice="alloy", input="Hello " * 100, extra_headers={"x-sim-fault": "cut=2"}) as answer:
            return b"".join(answer.iter_bytes())

    with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
        run(pair.weir.client)
    entry = pair.gateway.entry_of(pair.last.headers["x-request-id"])
    assert entry["endpoint"] == "audio.speech" and entry["outcome"] == "error"


# --- ids of others ---

@pytest.fixture(scope="module")
def stranger(clients_gateway):
    """A client with a key of another workspace."""
    key = clients_gateway.create_key("stranger", "--workspace", "elsewhere")
    clients_gateway.wait_key(key)
    side = Side(clients_gateway.base_url, key, False)
    yield side.client
    side.close()


@pytest.fixture(scope="module")
def ours(clients_gateway):
    """Ids that were issued to the first key's workspace."""
    side = Side(clients_gateway.base_url, clients_gateway.key, False)
    line = (b'{"custom_id":"r0","method":"POST","url":"/v1/chat/completions","body":{"model":"sim-small","messages":'
            b'[{"role":"user","content":"Hello"}]}}\n')
    file = side.client.files.create(file=("b.jsonl", line), purpose="batch")
    batch = side.client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    response = side.client.responses.create(model=CHAT, input="Hello", store=True)
    yield {"response": response.id, "file": file.id, "batch": batch.id}
    side.close()


FOREIGN = {
    "responses.retrieve": lambda client, ours: client.responses.retrieve(ours["response"]),
    "responses.retrieve streamed": lambda client, ours: list(client.responses.retrieve(ours["response"], stream=True)),
    "responses.cancel": lambda client, ours: client.responses.cancel(ours["response"]),
    "responses.delete": lambda client, ours: client.responses.delete(ours["response"]),
    "responses.input_items": lambda client, ours: list(client.responses.input_items.list(ours["response"])),
    "files.retrieve": lambda client, ours: client.files.retrieve(ours["file"]),
    "files.content": lambda client, ours: client.files.content(ours["file"]),
    "files.delete": lambda client, ours: client.files.delete(ours["file"]),
    "batches.retrieve": lambda client, ours: client.batches.retrieve(ours["batch"]),
    "batches.cancel": lambda client, ours: client.batches.cancel(ours["batch"]),
    "batches.create from it": lambda client, ours: client.batches.create(
        input_file_id=ours["file"], endpoint="/v1/chat/completions", completion_window="24h"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_id_of_another_workspace_is_not_found_and_never_asked_for(stranger, ours, sim, name):
    before = len(sim.requests())
    with pytest.raises(openai.NotFoundError) as caught:
        FOREIGN[name](stranger, ours)
    assert caught.value.body["error_code"] == "WEIR_NOT_FOUND" and caught.value.request_id
    assert len(sim.requests()) == before, "the upstream has heard nothing of it"


def test_a_response_of_another_workspace_cannot_be_built_upon(stranger, ours, sim):
    before = len(sim.requests())
    with pytest.raises(openai.BadRequestError) as caught:  # the status and the code that OpenAI has for it
        stranger.responses.create(model=CHAT, input="Hello", previous_response_id=ours["response"])
    assert caught.value.code == "previous_response_not_found" and caught.value.param == "previous_response_id"
    assert caught.value.body["error_code"] == "WEIR_NOT_FOUND" and len(sim.requests()) == before


def test_a_list_holds_nothing_of_others(stranger, ours):
    assert ours["file"] not in [file.id for file in stranger.files.list()]
    assert ours["batch"] not in [batch.id for batch in stranger.batches.list()]


def test_the_owner_still_has_all(clients_gateway, ours):
    side = Side(clients_gateway.base_url, clients_gateway.key, False)
    assert side.client.responses.retrieve(ours["response"]).id == ours["response"]
    assert side.client.files.retrieve(ours["file"]).id == ours["file"]
    assert side.client.batches.retrieve(ours["batch"]).id == ours["batch"]
    side.close()

"""The official Python package over /v1/images/* and /v1/audio/*: forms, large answers, sound that is played as it comes."""
import base64
import io
import json

import pytest

from harness.clients import IMAGE, OLD_IMAGE, OLD_SPEECH, OLD_TRANSCRIPTION, SPEECH, TRANSCRIPTION, picture, sound
from harness.plain import RawConnection

# The package calls variations, and the models of translations, deprecated: there are clients that use them.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")

SENTENCE = "A weir is a low dam."
SECONDS = 2


# --- images ---

def pixels(image):
    return base64.b64decode(image.b64_json)


@pytest.mark.parametrize(("model", "asked"), [
    (IMAGE, {}), (IMAGE, {"n": 2}), (IMAGE, {"size": "1536x1024", "quality": "high"}),
    (OLD_IMAGE, {}), (OLD_IMAGE, {"n": 2, "size": "512x512"}), (OLD_IMAGE, {"response_format": "b64_json"}),
], ids=lambda value: value if isinstance(value, str) else "-".join(value) or "plain")
def test_generate(pair, model, asked):
    got = pair.same(lambda client: client.images.generate(model=model, prompt="a river", **asked))
    assert len(got.data) == asked.get("n", 1)
    assert all(image.url or pixels(image) for image in got.data)
    entry = pair.charged("images.generations", stream=False, usage_source="provider" if model == IMAGE else "counted")
    assert entry["cost_cu_milli"] == int(pair.last.headers["x-weir-used-cu-milli"]) > 0
    assert (got.usage is not None) == (model == IMAGE)
    if model == IMAGE:
        assert got.usage.usedCUMilli == entry["cost_cu_milli"]


def test_generate_in_steps(pair):
    events = pair.same(lambda client: list(client.images.generate(
        model=IMAGE, prompt="a river", stream=True, partial_images=2)))
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert all(pixels(event) for event in events)
    entry = pair.charged("images.generations", stream=True)
    assert (entry["input_tokens"], entry["output_tokens"]) == (events[-1].usage.input_tokens, events[-1].usage.output_tokens)
    assert events[-1].usedCUMilli == entry["cost_cu_milli"] > 0


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_edit(pair, images, masked):
    files = [(f"{number}.png", picture(), "image/png") for number in range(images)]
    more = {"mask": ("mask.png", picture(), "image/png")} if masked else {}
    got = pair.same(lambda client: client.images.edit(
        model=IMAGE, image=files if images > 1 else files[0], prompt="a river", n=2, **more))
    assert len(got.data) == 2
    assert pair.charged("images.edits", stream=False)["cost_cu_milli"] == got.usage.usedCUMilli


def test_edit_in_steps(pair):
    events = pair.same(lambda client: list(client.images.edit(
        model=IMAGE, image=("a.png", picture(), "image/png"), prompt="a river", stream=True, partial_images=1)))
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]
    assert pair.charged("images.edits", stream=True)["cost_cu_milli"] == events[-1].usedCUMilli > 0


def test_variation(pair):
    got = pair.same(lambda client: client.images.create_variation(model=OLD_IMAGE, image=io.BytesIO(picture()), n=2))
    assert len(got.data) == 2
    pair.charged("images.variations", stream=False, usage_source="counted")


# --- speech ---

# Sound has no place for a usage: characters can be counted, tokens only guessed.
SOURCES = {OLD_SPEECH: "counted", SPEECH: "estimated"}


@pytest.mark.parametrize("model", SOURCES)
@pytest.mark.parametrize("kind", ["mp3", "pcm"])
def test_speech(pair, model, kind):
    got = pair.same(lambda client: client.audio.speech.create(
        model=model, voice="alloy", input=SENTENCE, response_format=kind).content)
    assert len(got) > 100
    assert pair.charged("audio.speech", usage_source=SOURCES[model])["cost_cu_milli"] > 0


def test_speech_to_a_file_as_it_comes(pair, tmp_path):
    def run(client):
        path = tmp_path / "spoken.mp3"
        with client.audio.speech.with_streaming_response.create(
                model=OLD_SPEECH, voice="alloy", input=SENTENCE * 50) as answer:
            assert answer.headers["content-type"].startswith("audio/")
            answer.stream_to_file(path)
        return path.read_bytes()

    assert len(pair.same(run)) > 1000
    pair.charged("audio.speech", usage_source="counted")


def test_speech_as_events(pair):
    events = []

    def run(client):
        with client.audio.speech.with_streaming_response.create(
                model=SPEECH, voice="alloy", input=SENTENCE, stream_format="sse") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            events[:] = [json.loads(line[5:]) for line in answer.iter_lines() if line.startswith("data:")]
        return list(events)

    assert pair.same(run)
    assert events[0]["type"] == "speech.audio.delta" and events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usedCUMilli"] == pair.charged("audio.speech", stream=True)["cost_cu_milli"]


def test_sound_ends_with_what_it_cost(clients_gateway):
    """There is no place for it in sound, and its head has long gone: a client that reads trailers learns it from there."""
    data = json.dumps({"model": OLD_SPEECH, "voice": "alloy", "input": SENTENCE}).encode()
    with RawConnection(clients_gateway.address) as raw:
        raw.send(f"POST /v1/audio/speech HTTP/1.1\r\nHost: {clients_gateway.address}\r\n"
                 f"Authorization: Bearer {clients_gateway.key}\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        answer = raw.read_answer()
    entry = clients_gateway.entry_of(answer.headers["x-request-id"])
    assert answer.headers["content-type"].startswith("audio/") and len(answer.body) > 100
    assert int(answer.trailers["x-weir-used-cu-milli"]) == entry["cost_cu_milli"] > 0


# --- transcriptions, translations ---

@pytest.fixture(scope="module")
def sound_file(module_folder):
    path = module_folder / "silence.wav"
    path.write_bytes(sound(SECONDS))
    return path


def transcribe(client, file, model=TRANSCRIPTION, **more):
    return client.audio.transcriptions.create(model=model, file=file, **more)


@pytest.mark.parametrize("given", ["path", "bytes", "tuple", "open file"])
def test_a_file_however_it_is_given(pair, sound_file, given):
    def run(client):
        if given == "open file":
            with open(sound_file, "rb") as opened:
                return transcribe(client, opened)
        return transcribe(client, {"path": sound_file, "bytes": sound(), "tuple": ("a.wav", sound(), "audio/wav")}[given])

    assert pair.same(run).text
    assert pair.charged("audio.transcriptions", stream=False)["cost_cu_milli"] > 0


@pytest.mark.parametrize("form", ["json", "text", "srt", "verbose_json", "vtt"])
@pytest.mark.parametrize("endpoint", ["transcriptions", "translations"])
def test_every_form_of_a_transcript(pair, sound_file, endpoint, form):
    got = pair.same(lambda client: getattr(client.audio, endpoint).create(
        model=OLD_TRANSCRIPTION, file=sound_file, response_format=form))
    if form in ("json", "verbose_json"):
        assert got.text
    else:
        assert isinstance(got, str) and got.strip()
    if form == "verbose_json":
        assert float(got.duration) == SECONDS and got.segments
    # Only a transcription in JSON says how long the sound was.
    told = form == "verbose_json" or (form == "json" and endpoint == "transcriptions")
    entry = pair.charged(f"audio.{endpoint}", stream=False, usage_source="provider" if told else "estimated")
    assert entry["cost_cu_milli"] == int(pair.last.headers["x-weir-used-cu-milli"]) > 0


def test_words_and_segments(pair, sound_file):
    got = pair.same(lambda client: transcribe(client, sound_file, OLD_TRANSCRIPTION, response_format="verbose_json",
                                              timestamp_granularities=["word", "segment"], language="en", temperature=0.5))
    assert got.words
    pair.charged("audio.transcriptions")


def test_a_transcript_as_it_comes(pair, sound_file):
    events = pair.same(lambda client: list(transcribe(client, sound_file, stream=True)))
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == events[-1].text
    entry = pair.charged("audio.transcriptions", stream=True)
    assert events[-1].usedCUMilli == entry["cost_cu_milli"] > 0

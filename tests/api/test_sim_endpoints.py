"""The official OpenAI package for Python straight against the simulator: every endpoint, whole and streamed, and what the call log says of
each. A simulator that its own client library does not understand would prove nothing about a gateway."""
import base64
import io
import json
import math
import struct
import wave
import zlib

import openai
import pytest
from pydantic import BaseModel

from harness.plain import RawConnection, call

TOOL = {"type": "function", "name": "get_weather", "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}


class Answer(BaseModel):
    city: str
    population: int


@pytest.fixture
def client(sim):
    with openai.OpenAI(base_url=sim.base_url, api_key="any", max_retries=0, timeout=60, _strict_response_validation=True) as made:
        yield made


@pytest.fixture
def lenient(sim):
    """For what the package's own types do not know, though OpenAI says it: a null finish_reason, vectors in base64."""
    with openai.OpenAI(base_url=sim.base_url, api_key="any", max_retries=0, timeout=60) as made:
        yield made


def last(sim):
    return sim.log()[-1]


def tone(seconds):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000 * seconds))
    return out.getvalue()


def expect_picture(text, size=None):
    data = base64.b64decode(text)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert size is None or len(data) == size
    at, names = 8, []
    while at < len(data):
        length, = struct.unpack(">I", data[at:at + 4])
        assert zlib.crc32(data[at + 4:at + 8 + length]) == struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]
        names.append(data[at + 4:at + 8])
        if names[-1] == b"IDAT":
            assert len(zlib.decompress(data[at + 8:at + 8 + length])) == 16 * (1 + 16 * 3)
        at += 12 + length
    assert names[0] == b"IHDR" and names[-1] == b"IEND"


# --- completions, embeddings ---

def test_completions(client, sim):
    answer = client.completions.create(model="m", prompt=["one", "two"], n=2, best_of=3, echo=True, max_tokens=4, logprobs=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text.startswith("one") for choice in answer.choices] == [True, True, False, False]
    assert all(choice.finish_reason == "length" and len(choice.logprobs.tokens) == 5 for choice in answer.choices)
    assert "".join(answer.choices[0].logprobs.tokens) == answer.choices[0].text
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 2 * 3 * 4)
    row = last(sim)
    assert (row["path"], row["model"], row["prompt_tokens"], row["completion_tokens"]) == ("/completions", "m", 2, 24)


def test_completions_streamed(lenient, sim):
    whole = lenient.completions.create(model="m", prompt="a river", n=2)
    texts, usage = ["", ""], None
    for chunk in lenient.completions.create(model="m", prompt="a river", n=2, stream=True, stream_options={"include_usage": True}):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
        usage = chunk.usage or usage
    assert texts == [choice.text for choice in whole.choices]
    assert (usage.prompt_tokens, usage.completion_tokens) == (2, 32)
    assert last(sim)["stream"] and last(sim)["complete"]


def test_stop_sequences_and_tokens(client):
    text = client.completions.create(model="m", prompt=[1, 2, 3]).choices[0].text
    words = text.split(" ")
    cut = client.completions.create(model="m", prompt=[1, 2, 3], stop=" " + words[3])
    assert text.startswith(cut.choices[0].text) and cut.choices[0].finish_reason == "stop" and cut.usage.prompt_tokens == 3


def test_embeddings(client, lenient, sim):
    inputs = ["a river", "a dam"]
    floats = client.embeddings.create(model="m", input=inputs, dimensions=64, encoding_format="float")
    usual = lenient.embeddings.create(model="m", input=inputs, dimensions=64)  # the client asks for base64 and decodes it
    assert json.loads(sim.last_bytes())["encoding_format"] == "base64"
    for a, b in zip(floats.data, usual.data):
        assert len(a.embedding) == 64 and math.isclose(sum(x * x for x in a.embedding), 1, rel_tol=1e-4)
        assert all(abs(x - y) < 1e-6 for x, y in zip(a.embedding, b.embedding))
    assert floats.data[0].embedding != floats.data[1].embedding
    assert usual.usage.prompt_tokens == last(sim)["prompt_tokens"] == 4
    assert len(lenient.embeddings.create(model="text-embedding-3-large", input="a").data[0].embedding) == 3072


def test_embeddings_of_a_server_without_base64(client, sim):
    answer = client.embeddings.create(model="floats-only", input="a", dimensions=3)
    assert json.loads(sim.last_bytes())["encoding_format"] == "base64"
    assert len(answer.data[0].embedding) == 3


# --- responses ---

def test_responses(client, sim):
    answer = client.responses.create(model="m", input="Say something.", metadata={"a": "b"})
    assert answer.status == "completed" and answer.output_text and answer.metadata == {"a": "b"}
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    row = last(sim)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (answer.usage.input_tokens, answer.usage.output_tokens)
    again = client.responses.retrieve(answer.id)
    assert again.output_text == answer.output_text and last(sim)["completion_tokens"] == 0
    items = client.responses.input_items.list(answer.id)
    assert items.data[0].content[0].text == "Say something."
    following = client.responses.create(model="m", input="More.", previous_response_id=answer.id)
    assert following.usage.input_tokens > answer.usage.total_tokens
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="m", input="More.", previous_response_id=answer.id)
    assert refused.value.code == "previous_response_not_found"


def test_responses_of_another_instance(client, make_sim):
    answer = client.responses.create(model="m", input="a")
    with openai.OpenAI(base_url=make_sim().base_url, api_key="any", max_retries=0) as other, pytest.raises(openai.NotFoundError):
        other.responses.retrieve(answer.id)


def test_responses_not_stored(client):
    answer = client.responses.create(model="m", input="a", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


ORDER = ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta",
         "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]


def test_responses_streamed(client, sim):
    events = list(client.responses.create(model="m", input="a", stream=True))
    kinds = [event.type for event in events]
    assert list(dict.fromkeys(kinds)) == ORDER
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    final = events[-1].response
    assert final.output_text == text and final.usage.output_tokens == last(sim)["completion_tokens"] == 16
    rest = list(client.responses.retrieve(final.id, stream=True, starting_after=4))
    assert [event.to_dict() for event in rest] == [event.to_dict() for event in events[5:]]


def test_responses_helper_and_structured_output(client):
    with client.responses.stream(model="m", input="a", text_format=Answer) as stream:
        for _ in stream:
            pass
        parsed = stream.get_final_response().output_parsed
    assert isinstance(parsed, Answer)
    assert client.responses.parse(model="m", input="a", text_format=Answer).output_parsed == parsed


@pytest.mark.parametrize("stream", [False, True])
def test_responses_calls_functions(client, stream):
    answer = client.responses.create(model="m", input="The weather?", tools=[TOOL], stream=stream)
    if stream:
        events = list(answer)
        answer = events[-1].response
        deltas = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
        done = next(event for event in events if event.type == "response.function_call_arguments.done")
        assert deltas == done.arguments == answer.output[0].arguments
    made = answer.output[0]
    assert (made.type, made.name) == ("function_call", "get_weather") and "city" in json.loads(made.arguments)
    following = client.responses.create(model="m", tools=[TOOL], previous_response_id=answer.id,
                                        input=[{"type": "function_call_output", "call_id": made.call_id, "output": "rain"}])
    assert following.output[0].type == "message"


def test_responses_reason_and_end_at_the_limit(client, sim):
    answer = client.responses.create(model="m-reasoner", input="a", reasoning={"effort": "low", "summary": "auto"})
    thought = answer.usage.output_tokens_details.reasoning_tokens
    assert [item.type for item in answer.output] == ["reasoning", "message"] and 8 <= thought <= 32 == 32
    assert answer.output[0].summary[0].text and last(sim)["reasoning_tokens"] == thought
    cut = client.responses.create(model="m-reasoner", input="a", max_output_tokens=thought + 2)
    assert (cut.status, cut.incomplete_details.reason, cut.usage.output_tokens) == ("incomplete", "max_output_tokens", thought + 2)
    events = list(client.responses.create(model="m", input="a", max_output_tokens=2, stream=True))
    assert events[-1].type == "response.incomplete" and events[-1].response.output_text


def test_responses_in_the_background(client, sim):
    answer = client.responses.create(model="m", input="a", background=True)
    assert answer.status == "queued" and last(sim)["completion_tokens"] == 0
    assert client.responses.retrieve(answer.id).status == "in_progress"
    done = client.responses.retrieve(answer.id)
    assert done.status == "completed" and last(sim)["completion_tokens"] == done.usage.output_tokens == 16
    assert client.responses.retrieve(answer.id).usage.output_tokens == 16 and last(sim)["completion_tokens"] == 0
    other = client.responses.create(model="m", input="a", background=True)
    assert client.responses.cancel(other.id).status == "cancelled"
    assert client.responses.retrieve(other.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(client.responses.create(model="m", input="a").id)


def test_responses_with_chatty_events(sim):
    with openai.OpenAI(base_url=sim.base_url, api_key="any", max_retries=0) as client:
        kinds = {event.type for event in client.responses.create(model="chatty-events", input="a", stream=True)}
    assert {"response.reasoning_summary_text.delta", "response.web_search_call.searching", "response.mcp_list_tools.completed",
            "response.sim_novelty.happened"} <= kinds


def test_input_items_are_paged(client):
    items = [{"role": "user", "content": str(number)} for number in range(5)]
    answer = client.responses.create(model="m", input=items)
    page = client.responses.input_items.list(answer.id, limit=2, order="asc")
    assert page.has_next_page() and [item.content[0].text for item in page.data] == ["0", "1"]
    assert [item.content[0].text for item in client.responses.input_items.list(answer.id, limit=2)] == ["4", "3", "2", "1", "0"]


def test_responses_counted_and_compacted(client, sim):
    count = client.responses.input_tokens.count(model="m", input="Say something.").input_tokens
    assert count == client.responses.create(model="m", input="Say something.").usage.input_tokens
    compacted = client.responses.compact(model="m", input="Say something.")
    assert compacted.output[0].type == "compaction" and compacted.usage.output_tokens == last(sim)["completion_tokens"] > 0


# --- moderations, pictures ---

def test_moderations(client):
    answer = client.moderations.create(input=["a river", "I kill time"])
    assert [result.flagged for result in answer.results] == [False, True] and answer.results[1].categories.violence
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]
    assert len(client.moderations.create(model="omni-moderation-latest", input=parts).results) == 1


def test_pictures(client, sim):
    answer = client.images.generate(model="gpt-image-1", prompt="a river", n=2, quality="low", extra_headers={"x-sim-bytes": "5000"})
    for picture in answer.data:
        expect_picture(picture.b64_json, 5000)
    assert answer.data[0].b64_json != answer.data[1].b64_json and answer.usage.output_tokens == 2 * 272
    row = last(sim)
    assert (row["completion_tokens"], row["units"], row["unit"]) == (544, 2, "image")
    assert client.images.generate(model="dall-e-2", prompt="a").data[0].url.startswith("https://")
    expect_picture(client.images.generate(model="dall-e-2", prompt="a", response_format="b64_json").data[0].b64_json)


def test_pictures_streamed(client, sim):
    events = list(client.images.generate(model="gpt-image-1", prompt="a", stream=True, partial_images=2))
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    for event in events:
        expect_picture(event.b64_json)
    assert events[-1].usage.output_tokens == last(sim)["completion_tokens"] == 1056
    picture = base64.b64decode(events[-1].b64_json)
    edited = list(client.images.edit(model="gpt-image-1", image=[("a.png", picture), ("b.png", picture)], prompt="a", stream=True))
    assert [event.type for event in edited] == ["image_edit.completed"]
    assert client.images.edit(model="gpt-image-1", image=picture, mask=picture, prompt="a").usage.input_tokens_details.image_tokens > 0
    assert len(client.images.create_variation(image=picture, n=2).data) == 2


# --- sound ---

@pytest.mark.parametrize(("kind", "content_type"), [("mp3", "audio/mpeg"), ("opus", "audio/ogg"), ("aac", "audio/aac"), ("flac", "audio/flac"),
                                                    ("wav", "audio/wav"), ("pcm", "audio/pcm")])
def test_speech(client, sim, kind, content_type):
    answer = client.audio.speech.create(model="tts-1", voice="alloy", input="häll", response_format=kind)
    data = answer.read()
    assert answer.response.headers["content-type"] == content_type and len(data) == 16 * 4800
    if kind == "pcm":
        assert not data.startswith(b"RIFF")
    else:
        with wave.open(io.BytesIO(data)) as file:
            assert file.getframerate() == 24000 and file.getnframes() == (16 * 4800 - 44) // 2
    assert (last(sim)["units"], last(sim)["unit"], last(sim)["completion_tokens"]) == (4, "character", 0)


def test_speech_in_events(sim):
    body = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "hello", "stream_format": "sse"}
    events = [json.loads(event) for event in call(sim.address, "POST", "/v1/audio/speech", {"Authorization": "Bearer k"}, body).events()]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]).startswith(b"RIFF")
    assert events[-1] == {"type": "speech.audio.done", "usage": {"input_tokens": 2, "output_tokens": 16, "total_tokens": 18}}
    assert last(sim)["completion_tokens"] == 16


def test_transcriptions(client, sim):
    sound = ("a.wav", tone(3))
    answer = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound)
    assert answer.text and answer.usage.type == "tokens" and answer.usage.input_tokens == 30
    assert (last(sim)["prompt_tokens"], last(sim)["units"], last(sim)["unit"]) == (30, 3000, "audio_ms")
    answer = client.audio.transcriptions.create(model="whisper-1", file=sound)
    assert (answer.usage.type, answer.usage.seconds) == ("duration", 3)
    assert (last(sim)["prompt_tokens"], last(sim)["units"]) == (0, 3000)
    answer = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="verbose_json",
                                                timestamp_granularities=["word", "segment"])
    assert answer.duration == 3 and len(answer.words) == 16 and len(answer.segments) == 2
    assert client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="text").strip() == answer.text
    assert "00:00:01,500 --> 00:00:03,000" in client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="srt")
    assert client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="vtt").startswith("WEBVTT")
    assert client.audio.translations.create(model="whisper-1", file=sound).text


def test_transcriptions_streamed(client, sim):
    events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", tone(1)), stream=True))
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert events[-1].usage.output_tokens == last(sim)["completion_tokens"] == 16


# --- ranking ---

@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_rerank(sim, path):
    body = {"model": "rerank-v3.5", "query": "rivers", "documents": ["a", {"text": "b"}, "c"], "top_n": 2, "return_documents": True}
    answer = call(sim.address, "POST", path, {"Authorization": "Bearer k"}, body).json()
    scores = [result["relevance_score"] for result in answer["results"]]
    assert len(scores) == 2 and scores == sorted(scores, reverse=True)
    assert all(result["document"]["text"] == "abc"[result["index"]] for result in answer["results"])
    assert answer["meta"]["billed_units"] == {"search_units": 1} and (last(sim)["units"], last(sim)["unit"]) == (1, "search")
    answer = call(sim.address, "POST", path, {"Authorization": "Bearer k"}, {**body, "model": "jina-reranker-v2", "return_documents": False}).json()
    assert answer["usage"]["total_tokens"] == last(sim)["prompt_tokens"] > 0 and "document" not in answer["results"][0]


# --- files, batches ---

def test_files(client, sim):
    content = bytes(range(256)) * 40
    made = client.files.create(file=("a.bin", content), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600})
    assert (made.bytes, made.filename, made.purpose, made.expires_at - made.created_at) == (len(content), "a.bin", "user_data", 3600)
    assert client.files.retrieve(made.id).filename == "a.bin" and client.files.content(made.id).read() == content
    others = [client.files.create(file=b"x", purpose="vision").id for _ in range(3)]
    assert [file.id for file in client.files.list(purpose="vision", limit=2)] == others[::-1]
    assert [file.id for file in client.files.list(purpose="vision", limit=2, order="asc")] == others
    for identifier in [made.id, *others]:
        assert client.files.delete(identifier).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_files_are_kept_up_to_a_limit(make_sim):
    with openai.OpenAI(base_url=make_sim().base_url, api_key="any", max_retries=0) as client:
        made = client.files.create(file=bytes(40 << 20), purpose="user_data")
        with pytest.raises(openai.BadRequestError) as refused:
            client.files.create(file=bytes(30 << 20), purpose="user_data")
        assert refused.value.code == "storage_limit_exceeded"
        client.files.delete(made.id)
        assert client.files.create(file=bytes(30 << 20), purpose="user_data").bytes == 30 << 20


def test_uploads(client):
    content = bytes(range(256)) * 10
    upload = client.uploads.create(filename="a.bin", purpose="user_data", bytes=len(content), mime_type="application/octet-stream")
    assert upload.status == "pending"
    second = client.uploads.parts.create(upload.id, data=content[1000:])
    first = client.uploads.parts.create(upload.id, data=content[:1000])
    with pytest.raises(openai.BadRequestError):
        client.uploads.complete(upload.id, part_ids=[first.id])
    done = client.uploads.complete(upload.id, part_ids=[first.id, second.id])
    assert done.status == "completed" and done.file.filename == "a.bin" and client.files.content(done.file.id).read() == content
    other = client.uploads.create(filename="b", purpose="batch", bytes=1, mime_type="text/plain")
    assert client.uploads.cancel(other.id).status == "cancelled"
    with pytest.raises(openai.NotFoundError):
        client.uploads.parts.create(other.id, data=b"x")


def test_batches(client, sim):
    lines = [{"custom_id": f"id-{number}", "method": "POST", "url": "/v1/chat/completions",
              "body": {"model": "m", "messages": [{"role": "user", "content": str(number)}]}} for number in range(3)]
    lines.append({"custom_id": "bad", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}})
    file = client.files.create(file="\n".join(json.dumps(line) for line in lines).encode(), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"})
    assert batch.status == "validating" and batch.metadata == {"a": "b"}
    assert client.batches.retrieve(batch.id).status == "in_progress"
    done = client.batches.retrieve(batch.id)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 3, 1)
    assert last(sim)["completion_tokens"] == 48
    rows = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    assert [row["custom_id"] for row in rows] == ["id-0", "id-1", "id-2"]
    assert all(row["response"]["body"]["choices"][0]["message"]["content"] for row in rows)
    errors = [json.loads(line) for line in client.files.content(done.error_file_id).text.splitlines()]
    assert errors[0]["custom_id"] == "bad" and errors[0]["response"]["status_code"] == 400
    other = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.cancel(other.id).status == "cancelling" and client.batches.retrieve(other.id).status == "cancelled"
    assert [found.id for found in client.batches.list(limit=1)][:2] == [other.id, batch.id]


# --- refusals ---

UPLOAD = {"filename": "a", "purpose": "batch", "bytes": 1, "mime_type": "a/b"}
REFUSED = [
    ("/completions", {"model": "m"}, "prompt"), ("/completions", {"model": "m", "prompt": [1.5]}, "prompt"),
    ("/completions", {"model": "m", "prompt": "a", "n": 3, "best_of": 2}, "best_of"), ("/completions", {"prompt": "a"}, "model"),
    ("/embeddings", {"model": "m"}, "input"), ("/embeddings", {"model": "m", "input": ""}, "input"),
    ("/embeddings", {"model": "m", "input": "a", "encoding_format": "hex"}, "encoding_format"),
    ("/embeddings", {"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
    ("/responses", {"model": "m"}, "input"), ("/responses", {"model": "m", "input": 5}, "input"),
    ("/responses", {"model": "m", "input": "a", "tools": {}}, "tools"), ("/responses", {"model": "m", "input": "a", "stream": "yes"}, "stream"),
    ("/responses", {"model": "m", "input": "a", "background": True, "store": False}, "background"),
    ("/moderations", {}, "input"), ("/moderations", {"input": [1]}, "input"),
    ("/images/generations", {}, "prompt"), ("/images/generations", {"prompt": "a", "n": 11}, "n"),
    ("/images/generations", {"prompt": "a", "size": "large"}, "size"), ("/images/edits", {"prompt": "a"}, "images"),
    ("/audio/speech", {"model": "m", "input": "a"}, "voice"), ("/audio/speech", {"model": "m", "voice": "a"}, "input"),
    ("/audio/speech", {"model": "m", "voice": "a", "input": "a", "response_format": "midi"}, "response_format"),
    ("/rerank", {"model": "m", "documents": ["a"]}, "query"), ("/rerank", {"model": "m", "query": "a", "documents": []}, "documents"),
    ("/batches", {"endpoint": "/v1/embeddings", "completion_window": "24h"}, "input_file_id"),
    ("/batches", {"input_file_id": "file-none", "endpoint": "/v1/embeddings", "completion_window": "24h"}, "input_file_id"),
    ("/rerank", {"model": "m", "query": "a", "documents": [1]}, "documents"), ("/rerank", {"model": "m", "query": "a", "documents": ["a"], "top_n": 0}, "top_n"),
    ("/rerank", {"model": "m", "query": "a", "documents": ["a"], "return_documents": 1}, "return_documents"),
    ("/uploads", {"purpose": "batch", "bytes": 1, "mime_type": "a/b"}, "filename"), ("/uploads", {**UPLOAD, "purpose": "fun"}, "purpose"),
    ("/uploads", {"filename": "a", "bytes": 1, "mime_type": "a/b"}, "purpose"), ("/uploads", {**UPLOAD, "bytes": 0}, "bytes"),
    ("/uploads", {"filename": "a", "purpose": "batch", "bytes": 1}, "mime_type"),
    ("/responses/compact", {"model": "m", "input": "a", "previous_response_id": "resp_none"}, "previous_response_id"),
    ("/responses/compact", {"input": "a"}, "model"),
]


@pytest.mark.parametrize(("path", "body", "param"), REFUSED, ids=[f"{row[0]}-{row[2]}-{index}" for index, row in enumerate(REFUSED)])
def test_refusals_name_the_field(sim, path, body, param):
    answer = call(sim.address, "POST", f"/v1{path}", {"Authorization": "Bearer k"}, body)
    error = answer.json()["error"]
    assert (answer.status, error["type"], error["param"]) == (400, "invalid_request_error", param) and error["message"]


@pytest.mark.parametrize(("query", "param"), [("limit=0", "limit"), ("limit=10001", "limit"), ("limit=x", "limit"), ("order=up", "order")])
def test_lists_refuse_what_no_page_can_be(sim, query, param):
    answer = call(sim.address, "GET", f"/v1/files?{query}", {"Authorization": "Bearer k"})
    assert (answer.status, answer.json()["error"]["param"]) == (400, param)


def test_uploads_refuse_parts_that_are_not_theirs(client, sim):
    upload = client.uploads.create(filename="a.bin", purpose="user_data", bytes=2, mime_type="a/b")
    for parts in ([], ["part_none"], "part", None):
        answer = call(sim.address, "POST", f"/v1/uploads/{upload.id}/complete", {"Authorization": "Bearer k"}, {"part_ids": parts})
        assert (answer.status, answer.json()["error"]["param"]) == (400, "part_ids"), parts
    form = b'--B\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--B--\r\n'
    kind = {"Authorization": "Bearer k", "content-type": "multipart/form-data; boundary=B"}
    answer = call(sim.address, "POST", f"/v1/uploads/{upload.id}/parts", kind, form)
    assert (answer.status, answer.json()["error"]["param"]) == (400, "data")
    for path in ("complete", "cancel"):
        answer = call(sim.address, "POST", f"/v1/uploads/upload_none/{path}", {"Authorization": "Bearer k"}, {"part_ids": ["a"]})
        assert answer.status == 404
    assert client.uploads.cancel(upload.id).status == "cancelled"


def test_responses_that_cannot_be_streamed_again_or_stopped(client):
    made = client.responses.create(model="m", input="a")
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.cancel(made.id)
    assert "synchronous" in refused.value.message
    for query in ({"starting_after": 1}, {"starting_after": "x", "stream": "true"}):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.with_raw_response.retrieve(made.id, extra_query=query)
        assert refused.value.param == "starting_after"
    for ask in (client.responses.retrieve, client.responses.cancel, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            ask("resp_none")


@pytest.mark.parametrize("path", ["/files", "/audio/transcriptions", "/images/variations"])
def test_forms_are_asked_for(sim, path):
    answer = call(sim.address, "POST", f"/v1{path}", {"Authorization": "Bearer k"}, {"model": "m"})
    assert answer.status == 400 and "multipart" in answer.json()["error"]["message"]


# --- faults, on other answers than chat's ---

COMPLETION = {"model": "m", "prompt": "a", "stream": True}
RESPONSE = {"model": "m", "input": "a", "stream": True}
SPEECH = {"model": "tts-1", "input": "a", "voice": "alloy"}
EMBEDDING = {"model": "m", "input": "a"}
PICTURE = {"model": "gpt-image-1", "prompt": "a", "stream": True, "partial_images": 1}


def faulty(sim, fault, path, body):
    """The bytes that come, to the end of the connection, and what the log says."""
    text = json.dumps(body).encode()
    connection = RawConnection(sim.address)
    connection.send(f"POST /v1{path} HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer k\r\nConnection: close\r\nx-sim-fault: {fault}\r\n"
                    f"Content-Length: {len(text)}\r\n\r\n".encode() + text)
    received = b""
    try:
        while piece := connection.socket.recv(65536):
            received += piece
    except ConnectionResetError:
        received += b"RESET"
    connection.socket.close()
    return received, last(sim)


@pytest.mark.parametrize(("path", "body"), [("/completions", COMPLETION), ("/responses", RESPONSE), ("/audio/speech", SPEECH),
                                            ("/embeddings", EMBEDDING), ("/images/generations", PICTURE)])
def test_faults_work_everywhere(sim, path, body):
    whole, row = faulty(sim, "none", path, body)
    assert row["complete"] and row["fault"] is None
    for fault, starts, resets in (("reset", b"", True), ("close", b"", False), ("reset-head", b"HTTP/1.1 200 OK\r\n", True),
                                  ("reset-after-head", b"HTTP/1.1 200 OK\r\n", True), ("reset-mid", b"HTTP/1.1 200 OK\r\n", True),
                                  ("truncate=1", b"HTTP/1.1 200 OK\r\n", False), ("cut=1", b"HTTP/1.1 200 OK\r\n", False),
                                  ("bad-chunk", b"HTTP/1.1 200 OK\r\n", False)):
        received, row = faulty(sim, fault, path, body)
        assert received.startswith(starts) and received.endswith(b"RESET") == resets and len(received) < len(whole), fault
        assert not row["complete"] and row["fault"] == fault
        assert row["status"] == (200 if b"\r\n\r\n" in received else 0), fault
        assert (b"\r\nzz\r\n" in received) == (fault == "bad-chunk")
    received, row = faulty(sim, "wrong-type", path, body)
    assert b"content-type: text/html" in received and row["prompt_tokens"] == row["completion_tokens"] == row["units"] == 0
    received, row = faulty(sim, "huge=300000", path, body)
    assert row["complete"] and len(received) > 300000
    received, row = faulty(sim, "status=503; retry-after=2", path, body)
    assert received.startswith(b"HTTP/1.1 503") and b"retry-after: 2" in received and row["status"] == 503


def test_missing_terminal_events(sim):
    assert b"[DONE]" in faulty(sim, "none", "/completions", COMPLETION)[0] and b"[DONE]" not in faulty(sim, "no-done", "/completions", COMPLETION)[0]
    received = faulty(sim, "no-done", "/responses", RESPONSE)[0]
    assert b"response.output_item.done" in received and b"response.completed" not in received and received.endswith(b"0\r\n\r\n")
    received = faulty(sim, "no-done", "/images/generations", PICTURE)[0]
    assert b"partial_image" in received and b"image_generation.completed" not in received
    received = faulty(sim, "error-event", "/responses", RESPONSE)[0]
    assert b"event: error\n" in received and b"response.completed" not in received
    assert faulty(sim, "error-event", "/audio/speech", SPEECH)[0].startswith(b"HTTP/1.1 500")
    received, row = faulty(sim, "wrong-usage=3", "/responses", RESPONSE)
    assert b'"output_tokens":48' in received and row["completion_tokens"] == 16
    assert b'"usage":{' not in faulty(sim, "no-usage", "/responses", RESPONSE)[0]


def test_a_fault_leaves_no_trace_behind(client, sim):
    for fault in ("status=500", "reset"):
        with pytest.raises(openai.APIError):
            client.files.create(file=b"x", purpose="evals", extra_headers={"x-sim-fault": fault})
    assert not list(client.files.list(purpose="evals"))


def test_several_interim_heads(sim):
    received, row = faulty(sim, "continue=2; interim=3", "/embeddings", EMBEDDING)
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + b"HTTP/1.1 103") and received.count(b"HTTP/1.1 103") == 3
    assert row["complete"]


@pytest.mark.parametrize(("fault", "resets"), [("early-close=413", False), ("early-reset=413", True)])
def test_answers_before_a_large_body_is_read(sim, fault, resets):
    connection = RawConnection(sim.address)
    connection.send(f"POST /v1/files HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer k\r\nx-sim-fault: {fault}\r\nContent-Length: 50000000\r\n\r\n".encode()
                    + bytes(100000))
    received = b""
    try:
        while piece := connection.socket.recv(65536):
            received += piece
        ended_by_reset = False
    except ConnectionResetError:
        ended_by_reset = True
    connection.socket.close()
    assert received.startswith(b"HTTP/1.1 413") and b"connection: close" in received and ended_by_reset == resets


def test_keep_alive_that_ends_when_the_next_request_comes(sim):
    text = json.dumps(EMBEDDING).encode()
    request = b"POST /v1/embeddings HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n" % len(text)
    connection = RawConnection(sim.address)
    connection.send(request + b"x-sim-fault: close-next\r\n\r\n" + text)
    first = connection.socket.recv(65536)
    assert first.startswith(b"HTTP/1.1 200") and b"connection: close" not in first
    rows = len(sim.log())
    connection.send(b"POST /v1/emb")
    connection.socket.settimeout(60)
    while piece := connection.socket.recv(65536):
        first = piece
    assert b"HTTP/1.1 4" not in first and len(sim.log()) == rows
    connection.socket.close()


def test_flapping(make_sim):
    sim = make_sim()

    def status(address):
        return call(address, "POST", "/v1/embeddings", {"Authorization": "Bearer k"}, EMBEDDING).status

    answer = call(sim.address, "PUT", "/_sim/faults", body={"fault": "status=503", "up_ms": 1, "down_ms": 86400000}).json()
    assert answer[0]["fault"] == "flap=1/86400000; status=503" and answer[0]["count"] == 0
    while status(sim.address) != 503:
        pass
    assert status(sim.address) == 503
    call(sim.address, "PUT", "/_sim/faults", body={"fault": "status=503", "up_ms": 86400000, "down_ms": 1})
    assert status(sim.address) == status(sim.address) == 200
    call(sim.address, "PUT", "/_sim/faults", body={"fault": "flap=1/86400000"})
    with pytest.raises(ConnectionError):
        while True:
            status(sim.address)

"""Every JSON answer of the simulator is valid by OpenAI's own description of it, whole answers and the events of streams."""
import gzip
import json

import jsonschema
import pytest
import referencing
import referencing.jsonschema

from harness.plain import call

KEY = {"Authorization": "Bearer any", "Content-Type": "application/json"}
WAV = b"RIFF" + bytes(4) + b"WAVEfmt " + bytes([16, 0, 0, 0, 1, 0, 1, 0, 64, 31, 0, 0, 128, 62, 0, 0, 2, 0, 16, 0]) + b"data" + bytes(40000)
TOOL = {"type": "function", "name": "get_weather", "description": None, "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}
CUSTOM = {"type": "custom", "name": "apply_patch", "description": "Takes a patch"}
SPACE = {"type": "namespace", "name": "crm", "description": "Customers", "tools": [TOOL, CUSTOM]}
FORMAT = {"type": "json_schema", "name": "x", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}


@pytest.fixture(scope="module")
def description(corpora):
    path = corpora / "openai-openapi.json.gz"
    if not path.exists():
        pytest.skip(f"no corpus at {path}: openai-openapi.json, github.com/openai/openai-openapi at f85dbe2")
    return json.loads(gzip.decompress(path.read_bytes()))


@pytest.fixture(scope="module")
def check(description):
    """check(name, value): the value is what components/schemas/<name> says."""
    resource = referencing.Resource(contents=description, specification=referencing.jsonschema.DRAFT202012)
    registry = referencing.Registry().with_resource("urn:openai", resource)

    def check(name, value):
        validator = jsonschema.Draft202012Validator({"$ref": f"urn:openai#/components/schemas/{name}"}, registry=registry)
        errors = sorted(validator.iter_errors(value), key=lambda error: list(error.path))
        assert not errors, f"{name}: {jsonschema.exceptions.best_match(errors)}\n{json.dumps(value)[:2000]}"

    return check


@pytest.fixture(scope="module")
def events_of(description):
    """The name of the schema of each type of event that is described."""
    named = {}
    for name, schema in description["components"]["schemas"].items():
        types = schema.get("properties", {}).get("type", {}).get("enum", [])
        if name.endswith("Event") and not name.startswith(("Realtime", "Beta")) and len(types) == 1:
            named.setdefault(types[0], name)
    return named


def ask(sim, path, body=None, method="POST", **fields):
    answer = call(sim.address, method, f"/v1{path}", headers={**KEY, **fields}, body=body)
    assert answer.status == 200, (answer.status, answer.body[:500])
    return answer


def form(parts):
    """A multipart body of (name, value) and (name, bytes, file name)."""
    boundary, body = "a-boundary-of-tests", b""
    for name, value, *file_name in parts:
        named = f'; filename="{file_name[0]}"' if file_name else ""
        value = value if isinstance(value, bytes) else value.encode()
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + value + b"\r\n"
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body + f"--{boundary}--\r\n".encode()


def ask_form(sim, path, parts):
    fields, body = form(parts)
    answer = call(sim.address, "POST", f"/v1{path}", headers={"Authorization": "Bearer any", **fields}, body=body)
    assert answer.status == 200, (answer.status, answer.body[:500])
    return answer


def told(value):
    """OpenAI itself says "usage": null in a response that is not done, which its description does not know."""
    if isinstance(value, dict):
        if value.get("object") == "response" and value.get("usage", 0) is None:
            assert value["status"] not in ("completed", "incomplete")
            value = {name: member for name, member in value.items() if name != "usage"}
        return {name: told(member) for name, member in value.items()}
    return [told(member) for member in value] if isinstance(value, list) else value


def events(answer):
    found = []
    for block in answer.body.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        data = "\n".join(line[6:] for line in lines if line.startswith("data: "))
        names = [line[7:] for line in lines if line.startswith("event: ")]
        if data != "[DONE]":
            found.append(json.loads(data))
            assert not names or names == [found[-1]["type"]]
    return found


WHOLE = [
    ("CreateChatCompletionResponse", "/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}]}),
    ("CreateChatCompletionResponse", "/chat/completions",
     {"model": "m", "messages": [{"role": "user", "content": "a"}], "n": 2, "logprobs": True, "top_logprobs": 2}),
    ("CreateChatCompletionResponse", "/chat/completions", {"model": "m-refusing", "messages": [{"role": "user", "content": "a"}], "logprobs": True}),
    ("CreateChatCompletionResponse", "/chat/completions", {"model": "m-filtered", "messages": [{"role": "user", "content": "a"}]}),
    ("CreateCompletionResponse", "/completions", {"model": "m", "prompt": "a"}),
    ("CreateCompletionResponse", "/completions", {"model": "m", "prompt": ["a", "b"], "n": 2, "best_of": 3, "echo": True, "suffix": "c", "stop": "q"}),
    ("CreateCompletionResponse", "/completions", {"model": "m", "prompt": [[1, 2], [3]], "logprobs": 3, "max_tokens": 4}),
    ("CreateEmbeddingResponse", "/embeddings", {"model": "m", "input": "a"}),
    ("CreateEmbeddingResponse", "/embeddings", {"model": "m", "input": [[1, 2], [3]], "dimensions": 5}),
    ("CreateEmbeddingResponse", "/embeddings", {"model": "floats-only", "input": [1, 2], "encoding_format": "base64"}),
    ("Response", "/responses", {"model": "m", "input": "a"}),
    ("Response", "/responses", {"model": "m", "input": [{"role": "user", "content": "a"}], "tools": [TOOL], "parallel_tool_calls": True, "user": "u"}),
    ("Response", "/responses", {"model": "m-reasoner", "input": "a", "reasoning": {"effort": "low", "summary": "auto"}, "metadata": {"a": "b"}}),
    ("Response", "/responses", {"model": "m", "input": "a", "text": {"format": FORMAT}, "instructions": "be brief", "temperature": 0.5, "store": False}),
    ("Response", "/responses", {"model": "m", "input": "a", "max_output_tokens": 3}),
    ("Response", "/responses", {"model": "m", "input": "a", "background": True}),
    ("Response", "/responses", {"model": "m-chatty-events", "input": "a"}),
    ("Response", "/responses", {"model": "m-reasoner", "input": "a", "include": ["reasoning.encrypted_content"], "store": False}),
    ("Response", "/responses", {"model": "m", "input": "a", "tools": [SPACE, CUSTOM], "parallel_tool_calls": True}),
    ("Response", "/responses", {"model": "m-refusing-codex", "input": "a"}),
    ("Response", "/responses", {"model": "m-filtered", "input": "a"}),
    ("Response", "/responses", {"model": "m-failing", "input": "a"}),
    ("TokenCountsResource", "/responses/input_tokens", {"model": "m", "input": "a"}),
    ("CompactResource", "/responses/compact", {"model": "m", "input": "a"}),
    ("CreateModerationResponse", "/moderations", {"input": "a"}),
    ("CreateModerationResponse", "/moderations", {"input": ["a", "I kill time"], "model": "omni-moderation-latest"}),
    ("CreateModerationResponse", "/moderations",
     {"input": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]}),
    ("ImagesResponse", "/images/generations", {"model": "dall-e-3", "prompt": "a", "n": 1}),
    ("ImagesResponse", "/images/generations", {"model": "dall-e-2", "prompt": "a", "n": 2, "response_format": "b64_json"}),
    ("ImagesResponse", "/images/generations", {"model": "gpt-image-1", "prompt": "a", "size": "auto", "quality": "high", "background": "transparent"}),
    ("ImagesResponse", "/images/edits", {"model": "gpt-image-1", "prompt": "a", "images": [{"image_url": "https://a.example/b.png"}]}),
]


@pytest.mark.parametrize(("schema", "path", "body"), WHOLE, ids=[f"{row[1]}-{index}" for index, row in enumerate(WHOLE)])
def test_whole_answers(sim, check, schema, path, body):
    answer = told(ask(sim, path, body).json())
    assert answer.pop("x_sim")["served"] > 0
    check(schema, answer)


FORMS = [
    ("ImagesResponse", "/images/edits", [("model", "gpt-image-1"), ("prompt", "a"), ("n", "2"), ("image[]", b"\x89PNG", "a.png"), ("image[]", b"\x89PNG", "b.png")]),
    ("ImagesResponse", "/images/variations", [("image", b"\x89PNG", "a.png")]),
    ("CreateTranscriptionResponseJson", "/audio/transcriptions", [("file", WAV, "a.wav"), ("model", "gpt-4o-transcribe")]),
    ("CreateTranscriptionResponseJson", "/audio/transcriptions", [("model", "whisper-1"), ("file", WAV, "a.wav")]),
    ("CreateTranscriptionResponseVerboseJson", "/audio/transcriptions",
     [("file", WAV, "a.wav"), ("model", "whisper-1"), ("response_format", "verbose_json"), ("timestamp_granularities[]", "word"),
      ("timestamp_granularities[]", "segment")]),
    ("CreateTranscriptionResponseDiarizedJson", "/audio/transcriptions",
     [("file", WAV, "a.wav"), ("model", "gpt-4o-transcribe-diarize"), ("response_format", "diarized_json")]),
    ("CreateTranslationResponseJson", "/audio/translations", [("file", WAV, "a.wav"), ("model", "whisper-1")]),
    ("CreateTranslationResponseVerboseJson", "/audio/translations", [("file", WAV, "a.wav"), ("model", "whisper-1"), ("response_format", "verbose_json")]),
    ("OpenAIFile", "/files", [("purpose", "user_data"), ("file", b"a", "a.txt"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")]),
]


@pytest.mark.parametrize(("schema", "path", "parts"), FORMS, ids=[f"{row[1]}-{index}" for index, row in enumerate(FORMS)])
def test_answers_to_forms(sim, check, schema, path, parts):
    answer = ask_form(sim, path, parts).json()
    assert answer.pop("x_sim")["served"] > 0
    check(schema, answer)


def test_stored_responses(sim, check):
    made = ask(sim, "/responses", {"model": "m", "input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                                                          {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}",
                                                           "status": "completed"},
                                                          {"type": "function_call_output", "call_id": "c", "output": "d", "status": "completed"}],
                                   "background": True}).json()
    for status in ("in_progress", "completed", "completed"):
        answer = told(ask(sim, f"/responses/{made['id']}", method="GET").json())
        assert answer["status"] == status
        check("Response", answer)
    check("ResponseItemList", ask(sim, f"/responses/{made['id']}/input_items", method="GET").json())
    other = ask(sim, "/responses", {"model": "m", "input": "a", "background": True}).json()
    cancelled = told(ask(sim, f"/responses/{other['id']}/cancel").json())
    assert cancelled["status"] == "cancelled"
    check("Response", cancelled)


def test_files_and_batches(sim, check):
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"}})
    file = ask_form(sim, "/files", [("purpose", "batch"), ("file", line.encode(), "a.jsonl")]).json()
    check("OpenAIFile", ask(sim, f"/files/{file['id']}", method="GET").json())
    check("ListFilesResponse", ask(sim, "/files", method="GET").json())
    body = {"input_file_id": file["id"], "endpoint": "/v1/embeddings", "completion_window": "24h", "metadata": {"a": "b"}}
    batch = ask(sim, "/batches", body).json()
    check("Batch", batch)
    for status in ("in_progress", "completed"):
        batch = ask(sim, f"/batches/{batch['id']}", method="GET").json()
        assert batch["status"] == status
        check("Batch", batch)
    check("ListBatchesResponse", ask(sim, "/batches", method="GET").json())
    row = json.loads(ask(sim, f"/files/{batch['output_file_id']}/content", method="GET").body)
    check("CreateEmbeddingResponse", row["response"]["body"])
    check("DeleteFileResponse", ask(sim, f"/files/{file['id']}", method="DELETE").json())


def test_uploads(sim, check):
    upload = ask(sim, "/uploads", {"filename": "a", "purpose": "batch", "bytes": 3, "mime_type": "text/plain"}).json()
    check("Upload", upload)
    part = ask_form(sim, f"/uploads/{upload['id']}/parts", [("data", b"abc", "a")]).json()
    check("UploadPart", part)
    check("Upload", ask(sim, f"/uploads/{upload['id']}/complete", {"part_ids": [part["id"]]}).json())


STREAMED = [
    ("/responses", {"model": "m", "input": "a"}),
    ("/responses", {"model": "m-reasoner", "input": "a", "reasoning": {"summary": "auto"}}),
    ("/responses", {"model": "m", "input": "a", "tools": [TOOL]}),
    ("/responses", {"model": "m-chatty-events", "input": "a"}),
    ("/responses", {"model": "m-reasoner", "input": "a", "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}}),
    ("/responses", {"model": "m", "input": "a", "tools": [SPACE], "parallel_tool_calls": True}),
    ("/responses", {"model": "m-refusing-codex", "input": "a"}),
    ("/responses", {"model": "m-filtered", "input": "a"}),
    ("/responses", {"model": "m-failing", "input": "a"}),
    ("/responses", {"model": "m", "input": "a", "max_output_tokens": 2, "background": True}),
    ("/images/generations", {"model": "gpt-image-1", "prompt": "a", "partial_images": 2}),
    ("/images/edits", {"model": "gpt-image-1", "prompt": "a", "images": [{"file_id": "file-a"}], "partial_images": 1}),
    ("/audio/speech", {"model": "gpt-4o-mini-tts", "input": "a", "voice": "alloy", "stream_format": "sse"}),
]


@pytest.mark.parametrize(("path", "body"), STREAMED, ids=[f"{row[0]}-{index}" for index, row in enumerate(STREAMED)])
def test_events(sim, check, events_of, path, body):
    unknown = 0
    for number, event in enumerate(told(events(ask(sim, path, {**body, "stream": True})))):
        if "response" in path:
            assert event["sequence_number"] == number
        if event["type"] in events_of:
            event.pop("x_sim", None)
            check(events_of[event["type"]], event)
        else:
            unknown += 1
    assert unknown == (1 if "chatty" in body["model"] else 0)


def test_streamed_transcription(sim, check, events_of):
    for parts in ([("model", "gpt-4o-transcribe")], [("model", "gpt-4o-transcribe-diarize"), ("response_format", "diarized_json")]):
        answer = ask_form(sim, "/audio/transcriptions", [("stream", "true"), ("file", WAV, "a.wav"), *parts])
        found = events(answer)
        assert found[-1]["type"] == "transcript.text.done"
        for event in found:
            event.pop("x_sim", None)
            check(events_of[event["type"]], event)


def test_streamed_completions(sim, check):
    body = {"model": "m", "prompt": ["a", "b"], "n": 2, "logprobs": 1, "stream": True, "stream_options": {"include_usage": True}}
    answer = ask(sim, "/completions", body)
    found = events(answer)
    assert answer.body.endswith(b"data: [DONE]\n\n")
    usage = [event.pop("usage") for event in found]
    assert usage[:-1] == [None] * (len(usage) - 1)
    check("CompletionUsage", usage[-1])
    assert {choice["index"] for event in found for choice in event["choices"]} == {0, 1, 2, 3}
    for event in found[:-1]:
        event["choices"] = [choice for choice in event["choices"] if choice["finish_reason"] is not None]
        check("CreateCompletionResponse", event)

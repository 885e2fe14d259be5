"""Answers that a test writes itself (x-sim-script), as chat completions and responses render them; and what OpenAI's endpoints say of files
that came with a prompt."""
import base64
import json
import zlib

import openai
import pytest

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
DATA = "data:image/png;base64," + base64.b64encode(PNG).decode()
PICTURE = f"[image: png, {len(PNG)} bytes, crc32 {zlib.crc32(PNG):08x}] "
HELLO = [{"role": "user", "content": "Hello"}]
SCRIPT = {"blocks": [{"thinking": "Hm…"}, {"text": "Grüße "}, {"text": "👋"}, {"tool": {"name": "f", "arguments": {"a": [1, None]}, "id": "call_7"}},
                     {"tool": {"name": "g", "arguments": "{broken"}}],
          "usage": {"input": 100, "cached": 30, "cache_write": 20, "output": 40, "reasoning": 9}}


@pytest.fixture
def client(sim):
    with openai.OpenAI(base_url=sim.base_url, api_key="any", max_retries=0, timeout=60) as made:
        yield made


def script(value):
    return {"x-sim-script": json.dumps(value)}


def chat(client, value, **named):
    return client.chat.completions.create(model="m", messages=HELLO, extra_headers=script(value), **named)


def respond(client, value, **named):
    return client.responses.create(**{"model": "m", "input": "Hello", "extra_headers": script(value), **named})


def test_chat(client, sim):
    answer = chat(client, SCRIPT)
    message = answer.choices[0].message
    assert (message.content, message.reasoning_content, message.refusal) == ("Grüße 👋", "Hm…", None)
    assert [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("call_7", "f", '{"a":[1,null]}'), ("call_script_5", "g", "{broken")]
    assert answer.choices[0].finish_reason == "tool_calls"
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 40, 140)
    assert (usage.prompt_tokens_details.cached_tokens, usage.prompt_tokens_details.cache_write_tokens) == (30, 20)
    assert usage.completion_tokens_details.reasoning_tokens == 9
    row = sim.log()[-1]
    assert [row[name] for name in ("prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens")] == [
        100, 30, 20, 40, 9]


def test_chat_in_events(client, sim):
    text, thoughts, arguments, names, finishes, usages = "", "", {}, {}, [], []
    chunks = list(chat(client, SCRIPT, stream=True, stream_options={"include_usage": True}))
    for chunk in chunks:
        usages += [chunk.usage] if chunk.usage else []
        for choice in chunk.choices:
            text += choice.delta.content or ""
            thoughts += getattr(choice.delta, "reasoning_content", None) or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or []:
                names.setdefault(call.index, call.function.name)
                arguments[call.index] = arguments.get(call.index, "") + call.function.arguments
    assert (text, thoughts, names, finishes) == ("Grüße 👋", "Hm…", {0: "f", 1: "g"}, ["tool_calls"])
    assert arguments == {0: '{"a":[1,null]}', 1: "{broken"}
    assert len(usages) == 1 and usages[0].prompt_tokens_details.cached_tokens == 30
    assert chunks[0].choices[0].delta.role == "assistant" and not chunks[-1].choices
    assert sim.log()[-1]["stream"] is True and sim.log()[-1]["complete"] is True


def test_chat_s_own_words(client):
    refusal = chat(client, [{"refusal": "No."}]).choices[0]
    assert (refusal.message.refusal, refusal.message.content, refusal.finish_reason) == ("No.", None, "stop")
    assert chat(client, {"blocks": [], "finish": "content_filter"}).choices[0].finish_reason == "content_filter"
    assert chat(client, {"blocks": [], "native_finish": "abort"}).choices[0].finish_reason == "abort"
    own = chat(client, {"blocks": [{"text": "x"}], "native_usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8, "cost": 2}})
    assert own.usage.model_dump(exclude_none=True) == {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8, "cost": 2}
    with pytest.raises(openai.BadRequestError, match="x-sim-script: a block has one of"):
        chat(client, [{"wat": 1}])
    assert chat(client, [{"text": "one two three"}]).usage.completion_tokens == 4


def test_a_response(client, sim):
    answer = respond(client, {**SCRIPT, "blocks": [{"thinking": "Hm…", "signature": "opaque/+="}, *SCRIPT["blocks"][1:]]})
    assert [item.type for item in answer.output] == ["reasoning", "message", "message", "function_call", "function_call"]
    reasoning, first, _, call, broken = answer.output
    assert (reasoning.summary[0].text, reasoning.encrypted_content) == ("Hm…", "opaque/+=")
    assert first.content[0].text == "Grüße " and answer.output_text == "Grüße 👋"
    assert (call.call_id, call.name, call.arguments, broken.arguments) == ("call_7", "f", '{"a":[1,null]}', "{broken")
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 40, 140)
    assert (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens) == (30, 20)
    assert usage.output_tokens_details.reasoning_tokens == 9
    assert client.responses.retrieve(answer.id).output == answer.output
    with client.responses.stream(model="m", input="Hello", extra_headers=script(SCRIPT)) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert [item.type for item in final.output] == [item.type for item in answer.output]
    assert sim.log()[-1]["completion_tokens"] == 40


def test_a_response_that_refuses_or_ends_early(client):
    refused = respond(client, [{"refusal": "No."}])
    assert (refused.status, refused.output[0].content[0].type, refused.output[0].content[0].refusal) == ("completed", "refusal", "No.")
    kinds = [event.type for event in respond(client, [{"refusal": "No, never."}], stream=True)]
    assert "response.refusal.delta" in kinds and "response.refusal.done" in kinds
    cut = respond(client, {"blocks": [{"text": "x"}], "finish": "length"})
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    filtered = respond(client, {"blocks": [{"text": "x"}], "finish": "content_filter"})
    assert (filtered.status, filtered.incomplete_details.reason) == ("incomplete", "content_filter")
    many = respond(client, [{"text": str(number)} for number in range(30)])
    assert many.output_text == "".join(str(number) for number in range(30))


def test_encrypted_reasoning_is_checked(client):
    asked = {"model": "sim-reasoner", "store": False, "include": ["reasoning.encrypted_content"]}
    thought = client.responses.create(input="Hello", **asked).output[0]
    assert thought.type == "reasoning" and thought.encrypted_content
    kept = thought.model_dump(exclude_none=True)
    turn = [{"role": "user", "content": "Hello"}, kept, {"role": "user", "content": "Go on"}]
    assert client.responses.create(input=turn, **asked).status == "completed"
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(input=[{**kept, "encrypted_content": thought.encrypted_content[::-1]}, *turn[::2]], **asked)
    assert caught.value.code == "invalid_encrypted_content"
    assert client.responses.create(input="Hello", model="sim-reasoner").output[0].encrypted_content is None
    made_up = respond(client, [{"thinking": "a", "signature": "mine"}, {"text": "b"}]).output[0].model_dump(exclude_none=True)
    assert client.responses.create(input=[made_up, *turn[::2]], **asked).status == "completed"


def test_files_that_came_with_a_prompt(client):
    content = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": DATA}},
               {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
               {"type": "file", "file": {"filename": "x.pdf", "file_data": "data:application/pdf;base64," + base64.b64encode(b"%PDF-1").decode()}},
               {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"RIFF").decode(), "format": "wav"}}]
    expected = (PICTURE + "[image: at https://example.com/a.png] "
                + f"[document: pdf, 6 bytes, crc32 {zlib.crc32(b'%PDF-1'):08x}, named x.pdf] "
                + f"[audio: text, 4 bytes, crc32 {zlib.crc32(b'RIFF'):08x}] ")
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content.startswith(expected)
    assert len(answer.choices[0].message.content[len(expected):].split()) == 16
    cut = client.chat.completions.create(model="m", max_tokens=3, messages=[{"role": "user", "content": content}])
    assert cut.choices[0].finish_reason == "length" and cut.usage.completion_tokens == 3
    response = client.responses.create(model="m", input=[{"role": "user", "content": [
        {"type": "input_image", "image_url": DATA, "detail": "auto"}, {"type": "input_file", "file_id": "file-1"},
        {"type": "input_text", "text": "What?"}]}])
    assert response.output_text.startswith(PICTURE + "[document: at file-1] ")

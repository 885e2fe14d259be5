"""The simulator's Responses API as a coding agent uses it: nothing stored, reasoning encrypted and sent back, tools of all kinds, pictures and
files; and what OpenAI refuses of an input. The official package reads the answers, strictly where its types allow."""
import base64
import json
import zlib

import openai
import pytest

from harness.plain import call

KEY = {"Authorization": "Bearer any", "Content-Type": "application/json"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
PDF = b"%PDF-1.7 a document"
FUNCTION = {"type": "function", "name": "get_weather", "strict": True, "description": None,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}
CUSTOM = {"type": "custom", "name": "apply_patch", "description": "Takes a patch"}
SPACE = {"type": "namespace", "name": "crm", "description": "Customers", "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}}, CUSTOM]}
USER = {"role": "user", "content": "What is the weather?"}


@pytest.fixture
def client(sim):
    with openai.OpenAI(base_url=sim.base_url, api_key="any", max_retries=0, timeout=60, _strict_response_validation=True) as made:
        yield made


def encrypted(client, **more):
    """As an agent asks that keeps the conversation itself."""
    return client.responses.create(model="m-reasoner", store=False, include=["reasoning.encrypted_content"], **more)


def told(answer):
    """Items as a client sends them back."""
    return [item.model_dump(exclude_none=True, by_alias=True) for item in answer.output]


def refused(client, items, code, text, model="m-reasoner"):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=model, input=items)
    assert caught.value.code == code and text in caught.value.body["message"]


# --- reasoning ---

def test_encrypted_reasoning_comes_back(client):
    first = encrypted(client, input=[USER], tools=[FUNCTION])
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    sealed = first.output[0].encrypted_content
    assert len(sealed) > 40 and first.output[0].summary == []
    history = [USER, *told(first), {"type": "function_call_output", "call_id": first.output[1].call_id, "output": "rain"}]
    second = encrypted(client, input=history, tools=[FUNCTION])
    assert [item.type for item in second.output] == ["reasoning", "message"] and second.usage.input_tokens > first.usage.input_tokens
    without_ids = [{name: value for name, value in item.items() if name != "id"} for item in history]
    assert encrypted(client, input=without_ids).output_text, "an item need not say its id"
    assert client.responses.create(model="m-reasoner", input="a").output[0].encrypted_content is None


def test_encrypted_reasoning_that_is_not_ours(client):
    first = encrypted(client, input=[USER])
    reasoning, message = told(first)
    sealed = reasoning["encrypted_content"]
    for content in (sealed[:-1] + ("0" if sealed[-1] != "0" else "1"), sealed[:-1], sealed + "0", "gAAAAABother", ""):
        refused(client, [USER, {**reasoning, "encrypted_content": content}, message], "invalid_encrypted_content", "could not be decrypted or parsed")
    refused(client, [USER, {**reasoning, "id": "rs_other"}, message], "invalid_encrypted_content", "did not match the target item id")


def test_reasoning_needs_its_company(client):
    reasoning, message = told(encrypted(client, input=[USER]))
    refused(client, [USER, reasoning], None, "without its required following item")
    refused(client, [USER, reasoning, USER], None, "without its required following item")
    del reasoning["summary"]
    refused(client, [USER, reasoning, message], "missing_required_parameter", "'input[1].summary'")


def test_streamed_reasoning(client):
    events = list(encrypted(client, input=[USER], reasoning={"summary": "auto"}, stream=True))
    added, done = [event.item for event in events if event.type.startswith("response.output_item") and event.item.type == "reasoning"]
    assert done.encrypted_content != added.encrypted_content and done.encrypted_content.startswith(added.encrypted_content)
    summary = "".join(event.delta for event in events if event.type == "response.reasoning_summary_text.delta")
    assert summary and summary == done.summary[0].text == events[-1].response.output[0].summary[0].text
    assert events[-1].response.output[0].encrypted_content == done.encrypted_content
    assert events[-1].response.usage.output_tokens_details.reasoning_tokens >= 8


def test_scripted_reasoning_comes_back(client):
    blocks = [{"thinking": "Hm.", "signature": "a \"signature\" of its own"}, {"redacted": "hidden"}, {"text": "Yes."}]
    first = client.responses.create(model="m", input=[USER], extra_headers={"x-sim-script": json.dumps(blocks)})
    assert [item.encrypted_content for item in first.output[:2]] == ['a "signature" of its own', "hidden"]
    assert client.responses.create(model="m", input=[USER, *told(first), USER]).output_text
    changed = told(first)
    changed[1]["encrypted_content"] = "hiddem"
    refused(client, [USER, *changed, USER], "invalid_encrypted_content", "could not be decrypted or parsed", "m")


# --- tools ---

def test_custom_tool(client):
    events = list(client.responses.create(model="m", input=[USER], tools=[CUSTOM], stream=True))
    deltas = [event.delta for event in events if event.type == "response.custom_tool_call_input.delta"]
    item, = events[-1].response.output
    assert (item.type, item.name, item.input) == ("custom_tool_call", "apply_patch", "".join(deltas)) and len(deltas) == 16
    done, = [event for event in events if event.type == "response.custom_tool_call_input.done"]
    assert done.input == item.input and done.item_id == item.id
    answer = client.responses.create(model="m", tools=[CUSTOM], input=[
        USER, {"type": "custom_tool_call", "call_id": item.call_id, "name": item.name, "input": item.input},
        {"type": "custom_tool_call_output", "call_id": item.call_id, "output": "done"}])
    assert answer.output_text


def test_tools_in_a_namespace(client):
    answer = client.responses.create(model="m", input=[USER], tools=[SPACE], parallel_tool_calls=True)
    assert [(item.type, item.name, item.namespace) for item in answer.output] == [("function_call", "find", "crm"), ("custom_tool_call", "apply_patch", "crm")]
    first, = client.responses.create(model="m", input=[USER], tools=[FUNCTION, SPACE]).output
    assert (first.name, first.namespace) == ("get_weather", None)


def test_parallel_calls_of_a_stream(client):
    events = list(client.responses.create(model="m", input=[USER], tools=[FUNCTION, SPACE], parallel_tool_calls=True, stream=True))
    items = events[-1].response.output
    assert [item.name for item in items] == ["get_weather", "find"] and items[0].call_id != items[1].call_id
    for place, item in enumerate(items):
        assert "".join(event.delta for event in events
                       if event.type == "response.function_call_arguments.delta" and event.output_index == place) == item.arguments
        assert isinstance(json.loads(item.arguments), dict)


def test_tool_choice(client):
    named = client.responses.create(model="m", input=[USER], tools=[FUNCTION, SPACE], tool_choice={"type": "custom", "name": "apply_patch"})
    assert [item.name for item in named.output] == ["apply_patch"]
    allowed = client.responses.create(model="m", input=[USER], tools=[FUNCTION, CUSTOM],
                                      tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "apply_patch"}]})
    assert [item.name for item in allowed.output] == ["apply_patch"]


def test_calls_and_outputs_belong_together(client):
    made = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    refused(client, [USER, output], None, "No tool call found for function call output with call_id call_1.", "m")
    refused(client, [USER, output, made], None, "No tool call found", "m")
    refused(client, [USER, made], None, "No tool output found for function call call_1.", "m")
    refused(client, [USER, {**made, "call_id": "call_2"}, output], None, "No tool output found for function call call_2.", "m")
    assert client.responses.create(model="m", input=[USER, made, output]).output_text


# --- other ends ---

def test_refusal(client):
    answer = client.responses.create(model="m-refusing", input="a")
    part, = answer.output[0].content
    assert part.type == "refusal" and len(part.refusal.split()) == 16 and answer.output_text == "" and answer.status == "completed"
    events = list(client.responses.create(model="m-refusing", input="a", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.refusal.delta") == part.refusal
    assert [event.refusal for event in events if event.type == "response.refusal.done"] == [part.refusal]


def test_filtered(client):
    answer = client.responses.create(model="m-filtered", input="a")
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "content_filter")
    assert answer.output[0].status == "incomplete" and len(answer.output_text.split()) == 8 == answer.usage.output_tokens
    assert list(client.responses.create(model="m-filtered", input="a", stream=True))[-1].type == "response.incomplete"


def test_failed(client, sim):
    answer = client.responses.create(model="m-failing", input="a")
    assert (answer.status, answer.error.code, answer.output, answer.usage) == ("failed", "server_error", [], None)
    events = list(client.responses.create(model="m-failing", input="a", stream=True))
    assert len([event for event in events if event.type == "response.output_text.delta"]) == 8
    assert events[-1].type == "response.failed" and events[-1].response.error.code == "server_error"
    assert not any(event.type.endswith(".done") for event in events)
    assert sim.log()[-1]["completion_tokens"] == 8


def test_error_event(sim):
    answer = call(sim.address, "POST", "/v1/responses", headers={**KEY, "x-sim-fault": "error-event"}, body={"model": "m", "input": "a", "stream": True})
    assert answer.body.decode().strip().splitlines()[-2] == "event: error"
    assert json.loads(answer.body.decode().strip().splitlines()[-1][6:])["type"] == "error"


def test_phase_and_what_is_unknown(client, sim):
    answer = client.responses.create(model="m-codex", input=[
        USER, {"type": "message", "role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "hm", "annotations": []}]},
        {"type": "item_of_tomorrow", "payload": {"a": [1]}}, {"role": "user", "content": [{"type": "part_of_tomorrow", "x": 1}, {"type": "input_text", "text": "a"}]}],
        extra_body={"client_metadata": {"a": "b"}})
    assert answer.output[0].phase == "final_answer"


# --- pictures and files ---

def described(what, kind, data, name=None):
    return f"[{what} {kind} {len(data)} bytes crc32 {zlib.crc32(data):08x}{f' named {name}' if name else ''}] "


def data_url(kind, data):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def test_pictures_and_files_are_described(client):
    content = [{"type": "input_text", "text": "What is this?"},
               {"type": "input_image", "image_url": data_url("image/png", PNG), "detail": "auto"},
               {"type": "input_file", "filename": "a.pdf", "file_data": data_url("application/pdf", PDF)},
               {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "low"},
               {"type": "input_file", "file_id": "file-abc"},
               {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"RIFF....WAVE").decode(), "format": "wav"}}]
    answer = client.responses.create(model="m", input=[{"role": "user", "content": content}])
    assert answer.output_text.startswith(described("image", "image/png", PNG) + described("file", "application/pdf", PDF, "a.pdf")
                                         + "[image url https://a.example/b.png] [file file file-abc] " + described("audio", "audio/wav", b"RIFF....WAVE"))
    output = [{"type": "input_image", "image_url": data_url("image/png", PNG)}]
    made = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    answer = client.responses.create(model="m", input=[USER, made, {"type": "function_call_output", "call_id": "call_1", "output": output}])
    assert answer.output_text.startswith(described("image", "image/png", PNG))


@pytest.mark.parametrize("part", [
    {"type": "input_image", "image_url": "iVBORw0K"}, {"type": "input_image", "image_url": "data:image/png;base64,!!!!"}, {"type": "input_image"},
    {"type": "input_file", "file_data": "no base64"}, {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}])
def test_pictures_that_cannot_be_read(client, part):
    refused(client, [{"role": "user", "content": [part]}], "invalid_value", "Expected a valid URL or base64-encoded content", "m")


# --- word by word ---

def test_an_answer_word_by_word(client, sim):
    script = {"blocks": [{"thinking": "Let me see."}, {"text": "So: "}, {"tool": {"name": "f", "arguments": {"a": 1}, "id": "call_own"}}],
              "usage": {"input": 100, "cached": 40, "cache_write": 30, "output": 50, "reasoning": 20}}
    asked = {"model": "m", "input": "a", "extra_headers": {"x-sim-script": json.dumps(script)}}
    answer = client.responses.create(**asked)
    end = list(client.responses.create(stream=True, **asked))[-1].response
    for made in (answer, end):
        assert [item.type for item in made.output] == ["reasoning", "message", "function_call"]
        assert made.output[0].summary[0].text == "Let me see." and made.output_text == "So: "
        assert (made.output[2].call_id, made.output[2].arguments) == ("call_own", '{"a":1}')
        usage = made.usage
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 50, 150)
        assert (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens) == (40, 30)
        assert usage.output_tokens_details.reasoning_tokens == 20
    assert (sim.log()[-1]["prompt_tokens"], sim.log()[-1]["reasoning_tokens"]) == (100, 20)
    assert client.responses.retrieve(answer.id).output == answer.output, "it is kept, too"

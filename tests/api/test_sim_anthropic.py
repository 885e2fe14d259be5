"""The official Anthropic package for Python straight against the simulator, its answers checked strictly: every endpoint, whole and streamed, what
the vendor refuses, and what the call log says of each."""
import base64
import io
import json
import zlib

import anthropic
import pytest

from harness.plain import call

WEATHER = {"name": "get_weather", "description": "The weather.",
           "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
CLOCK = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
HELLO = [{"role": "user", "content": "Hello"}]
OLD = {"anthropic-version": "2023-06-01"}


@pytest.fixture
def client(sim):
    with anthropic.Anthropic(base_url="http://" + sim.address, api_key="any", max_retries=0, timeout=60,
                             _strict_response_validation=True) as made:
        yield made


def last(sim):
    return sim.log()[-1]


def ask(client, **named):
    named = {"model": "claude-sim", "max_tokens": 2000, "messages": HELLO, **named}
    return client.messages.create(**named)


def tell(client, **named):
    """All events of a streamed answer."""
    return list(ask(client, stream=True, **named))


def kinds(events):
    return [event.type for event in events]


def post(sim, body, headers=None, path="/v1/messages"):
    return call(sim.address, "POST", path, headers={"x-api-key": "any", **OLD, **(headers or {})}, body=body)


def refused(sim, change, version="2023-06-01", **headers):
    """What is said of a request with these members besides the usual ones; None takes one away."""
    body = {"model": "claude-sim", "max_tokens": 2000, "messages": HELLO, **change}
    answer = post(sim, {name: value for name, value in body.items() if value is not None},
                  {"anthropic-version": version, **headers})
    assert answer.status == 400, answer.body
    said = answer.json()
    assert (said["type"], said["error"]["type"]) == ("error", "invalid_request_error")
    assert said["request_id"] == answer.headers["request-id"]
    return said["error"]["message"]


def assembled(events):
    """The message that the events make, put together by hand."""
    message = events[0].message.model_dump()
    fragments = {}
    for event in events:
        if event.type == "content_block_start":
            assert event.index == len(message["content"])
            message["content"].append(event.content_block.model_dump())
            fragments[event.index] = ""
        elif event.type == "content_block_delta":
            block = message["content"][event.index]
            if event.delta.type == "text_delta":
                block["text"] += event.delta.text
            elif event.delta.type == "thinking_delta":
                block["thinking"] += event.delta.thinking
            elif event.delta.type == "signature_delta":
                block["signature"] = event.delta.signature
            else:
                fragments[event.index] += event.delta.partial_json
        elif event.type == "content_block_stop" and fragments[event.index]:
            message["content"][event.index]["input"] = json.loads(fragments[event.index])
        elif event.type == "message_delta":
            message.update(event.delta.model_dump(exclude_unset=True))
            message["usage"].update(event.usage.model_dump(exclude_unset=True))
    return message


# --- text ---

def test_text(client, sim):
    answer = ask(client, system="Be brief.")
    assert (answer.role, answer.model, answer.stop_reason, answer.stop_sequence) == ("assistant", "claude-sim", "end_turn", None)
    assert answer.id.startswith("msg_01")
    assert [block.type for block in answer.content] == ["text"] and len(answer.content[0].text.split()) == 16
    # 3 for the request, 4 for the message, 2 for "Hello", 3 for "Be brief."
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 16)
    assert (answer.usage.cache_read_input_tokens, answer.usage.cache_creation_input_tokens) == (0, 0)
    assert answer.usage.output_tokens_details.thinking_tokens == 0
    row = last(sim)
    assert (row["path"], row["dialect"], row["model"], row["status"]) == ("/messages", "anthropic", "claude-sim", 200)
    assert (row["prompt_tokens"], row["completion_tokens"], row["complete"]) == (12, 16, True)
    assert ask(client, system="Be brief.").content == answer.content
    assert ask(client, system="Be long.").content != answer.content


def test_text_in_events(client, sim):
    whole = ask(client, messages=[{"role": "user", "content": [{"type": "text", "text": "Stream"}]}])
    events = tell(client, messages=[{"role": "user", "content": "Stream"}])
    assert kinds(events)[:2] == ["message_start", "content_block_start"]
    assert kinds(events)[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[0].message.content == [] and events[0].message.stop_reason is None
    assert (events[0].message.usage.input_tokens, events[0].message.usage.output_tokens) == (9, 1)
    assert (events[-2].usage.input_tokens, events[-2].usage.output_tokens) == (9, 16)
    made = assembled(events)
    assert made["content"] == [block.model_dump() for block in whole.content]
    assert made["stop_reason"] == "end_turn"
    assert last(sim)["stream"] is True and last(sim)["completion_tokens"] == 16


def test_events_have_names_and_a_ping(sim):
    answer = post(sim, {"model": "m", "max_tokens": 3, "messages": HELLO, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = [line[7:] for line in answer.body.decode().split("\n") if line.startswith("event: ")]
    assert names == ["message_start", "content_block_start", "ping", *["content_block_delta"] * 3, "content_block_stop",
                     "message_delta", "message_stop"]
    assert [json.loads(data)["type"] for data in answer.events()] == names
    assert json.loads(answer.events()[-2])["delta"]["stop_reason"] == "max_tokens"


def test_limits_and_stop_sequences(client):
    whole = ask(client).content[0].text
    words = whole.split()
    cut = ask(client, max_tokens=5)
    assert (cut.stop_reason, cut.usage.output_tokens, cut.content[0].text) == ("max_tokens", 5, " ".join(words[:5]))
    nothing = ask(client, max_tokens=0)
    assert (nothing.content, nothing.stop_reason, nothing.usage.output_tokens) == ([], "max_tokens", 0)
    stop = words[6]
    stopped = ask(client, stop_sequences=["never said", stop])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", stop)
    assert stopped.content[0].text == whole[:whole.index(stop)]
    assert assembled(tell(client, stop_sequences=[stop]))["stop_sequence"] == stop


def test_ends_by_the_model_s_name(client):
    refusal = ask(client, model="claude-refusing")
    assert (refusal.stop_reason, refusal.stop_details.type, refusal.stop_details.category) == ("refusal", "refusal", "cyber")
    assert assembled(tell(client, model="claude-refusing"))["stop_details"]["category"] == "cyber"
    assert ask(client, model="claude-pausing").stop_reason == "pause_turn"
    assert ask(client, model="claude-overflowing").stop_reason == "model_context_window_exceeded"
    assert ask(client).stop_details is None


# --- tools ---

def test_one_tool(client, sim):
    answer = ask(client, tools=[WEATHER])
    use, = answer.content
    assert (answer.stop_reason, use.type, use.name) == ("tool_use", "tool_use", "get_weather")
    assert use.id.startswith("toolu_") and set(use.input) == {"city"} and isinstance(use.input["city"], str)
    events = tell(client, tools=[WEATHER])
    assert assembled(events)["content"] == [use.model_dump()]
    fragments = [event.delta.partial_json for event in events if event.type == "content_block_delta"]
    assert fragments[0] == "" and len(fragments) > 2
    following = ask(client, tools=[WEATHER], messages=[
        *HELLO, {"role": "assistant", "content": [use.model_dump(exclude_none=True)]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "rain"}]}])
    assert (following.stop_reason, following.content[0].type) == ("end_turn", "text")


def test_parallel_tools_and_choices(client):
    def names(**named):
        return [block.name for block in ask(client, tools=[WEATHER, CLOCK], **named).content if block.type == "tool_use"]
    assert names() == ["get_weather", "get_time"]
    assert names(tool_choice={"type": "auto", "disable_parallel_tool_use": True}) == ["get_weather"]
    assert names(tool_choice={"type": "any"}) == ["get_weather", "get_time"]
    assert names(tool_choice={"type": "tool", "name": "get_time"}) == ["get_time"]
    assert names(tool_choice={"type": "none"}) == []
    made = assembled(tell(client, tools=[WEATHER, CLOCK]))
    assert [block["name"] for block in made["content"]] == ["get_weather", "get_time"]
    assert made["content"][1]["input"] == {}
    chatty = ask(client, model="chatty", tools=[WEATHER])
    assert [block.type for block in chatty.content] == ["text", "tool_use"]


def test_a_tool_without_arguments_has_one_empty_fragment(client):
    events = tell(client, tools=[CLOCK])
    assert [event.delta.partial_json for event in events if event.type == "content_block_delta"] == [""]


def test_a_tool_that_the_limit_cuts(client):
    answer = ask(client, tools=[WEATHER], max_tokens=2)
    assert (answer.stop_reason, answer.content[0].input) == ("max_tokens", {})
    parts = [event.delta.partial_json for event in tell(client, tools=[WEATHER], max_tokens=3)
             if event.type == "content_block_delta"]
    with pytest.raises(json.JSONDecodeError):
        json.loads("".join(parts))


def test_the_provider_s_own_search(client):
    answer = ask(client, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert [block.type for block in answer.content] == ["server_tool_use", "web_search_tool_result", "text"]
    assert answer.content[1].tool_use_id == answer.content[0].id and answer.content[0].input == {"query": "water"}
    assert (answer.usage.server_tool_use.web_search_requests, answer.usage.server_tool_use.web_fetch_requests) == (1, 0)
    made = assembled(tell(client, tools=[{"type": "web_search_20250305", "name": "web_search"}]))
    assert made["content"] == [block.model_dump() for block in answer.content]


def test_structured_output(client):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "population": {"type": "integer"}},
              "required": ["city", "population"], "additionalProperties": False}
    answer = ask(client, output_config={"format": {"type": "json_schema", "schema": schema}, "effort": "low"})
    found = json.loads(answer.content[0].text)
    assert set(found) == {"city", "population"} and isinstance(found["population"], int)


# --- thinking ---

THINK = {"type": "enabled", "budget_tokens": 1024}


def test_thinking_and_its_signature(client, sim):
    answer = ask(client, thinking=THINK, tools=[WEATHER])
    thought, use = answer.content
    assert (thought.type, use.type) == ("thinking", "tool_use")
    said = len(thought.thinking.split())
    assert 8 <= said <= 32
    assert answer.usage.output_tokens_details.thinking_tokens == said < answer.usage.output_tokens
    assert last(sim)["reasoning_tokens"] == said
    events = tell(client, thinking=THINK, tools=[WEATHER])
    assert assembled(events)["content"] == [block.model_dump() for block in answer.content]
    deltas = [event.delta.type for event in events if event.type == "content_block_delta" and event.index == 0]
    assert deltas == ["thinking_delta"] * said + ["signature_delta"]

    def go_on(*blocks):
        return ask(client, thinking=THINK, tools=[WEATHER], messages=[
            *HELLO, {"role": "assistant", "content": list(blocks)},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "rain"}]}])
    kept, called = thought.model_dump(), use.model_dump(exclude_none=True)
    assert [block.type for block in go_on(kept, called).content] == ["thinking", "text"]
    for changed in ({"thinking": thought.thinking + "."}, {"signature": thought.signature[:-1] + "A"}, {"signature": ""},
                    {"signature": "EqQBCgIYAhIM"}):
        with pytest.raises(anthropic.BadRequestError, match="messages.1.content.0: Invalid `signature` in `thinking` block"):
            go_on({**kept, **changed}, called)
    with pytest.raises(anthropic.BadRequestError, match="Expected `thinking` or `redacted_thinking`, but found `tool_use`"):
        go_on(called)
    adaptive = ask(client, thinking={"type": "adaptive"}, tools=[WEATHER], messages=[
        *HELLO, {"role": "assistant", "content": [called]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "rain"}]}])
    assert adaptive.content[0].type == "thinking"


def test_hidden_and_redacted_thinking(client):
    hidden = ask(client, thinking={"type": "adaptive", "display": "omitted"})
    assert hidden.content[0].thinking == "" and hidden.content[0].signature
    assert hidden.usage.output_tokens == hidden.usage.output_tokens_details.thinking_tokens + 16
    made = assembled(tell(client, thinking={"type": "adaptive", "display": "omitted"}))
    assert made["content"][0] == hidden.content[0].model_dump()
    secret = ask(client, model="claude-redacted", thinking=THINK)
    assert [block.type for block in secret.content] == ["redacted_thinking", "text"]
    turn = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in secret.content]}
    assert ask(client, thinking=THINK, messages=[*HELLO, turn, *HELLO]).stop_reason == "end_turn"
    turn["content"][0]["data"] = "AAAA"
    with pytest.raises(anthropic.BadRequestError, match="Invalid `data` in `redacted_thinking` block"):
        ask(client, thinking=THINK, messages=[*HELLO, turn, *HELLO])


def test_thinking_between_tools(client):
    assert ask(client, thinking={"type": "between_tools"}).content[0].type == "text"


# --- what comes with a prompt ---

def note(kind, form, data, name=""):
    return f"[{kind} {form} {len(data)} bytes crc32 {zlib.crc32(data):08x}{' named ' + name if name else ''}] "


def test_pictures_and_documents_are_described(client):
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    paper = {"type": "document", "title": "T",
             "source": {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1.4 x").decode()}}
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "grüße"}}
    answer = ask(client, messages=[{"role": "user", "content": [picture, {"type": "text", "text": "What?"}, linked, paper, plain]}])
    expected = (note("image", "image/png", PNG) + "[image url https://example.com/a.png] "
                + note("file", "application/pdf", b"%PDF-1.4 x", "T") + note("file", "text/plain", "grüße".encode()))
    assert answer.content[0].text.startswith(expected)
    assert len(answer.content[0].text[len(expected):].split()) == 16
    inner = ask(client, messages=[
        *HELLO, {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [picture]}]}])
    assert inner.content[0].text.startswith(note("image", "image/png", PNG))


def test_prompt_cache(client, sim):
    def block(text, ttl=None):
        return {"type": "text", "text": text, **({"cache_control": {"type": "ephemeral", "ttl": ttl}} if ttl else {})}

    def figures(answer):
        usage = answer.usage
        return (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation.ephemeral_5m_input_tokens,
                usage.cache_creation.ephemeral_1h_input_tokens)
    system = [block("s" * 400, "1h"), block("t" * 80, "5m")]
    first = ask(client, model="cache-test", system=system)
    # the request (3) and the message (4 + 2) are behind the last mark
    assert figures(first) == (9, 0, 20, 100) and first.usage.cache_creation_input_tokens == 120
    assert figures(ask(client, model="cache-test", system=system)) == (9, 120, 0, 0)
    assert (last(sim)["prompt_tokens"], last(sim)["cached_tokens"]) == (129, 120)
    longer = [*HELLO, {"role": "assistant", "content": "x" * 40}, {"role": "user", "content": [block("y" * 40, "5m")]}]
    # what is written now: Hello (6), the answer (4 + 10) and the question (4 + 10)
    assert figures(ask(client, model="cache-test", system=system, messages=longer)) == (3, 120, 34, 0)
    assert figures(ask(client, model="cache-test", system=system, messages=longer)) == (3, 154, 0, 0)
    assert figures(ask(client, model="other-model", system=system)) == (9, 0, 20, 100)
    whole = ask(client, model="cache-test", cache_control={"type": "ephemeral"}, messages=[{"role": "user", "content": "z" * 40}])
    assert figures(whole) == (3, 0, 14, 0)
    events = tell(client, model="cache-test", system=system)
    assert (events[-2].usage.cache_read_input_tokens, events[0].message.usage.cache_read_input_tokens) == (120, 120)


def test_count_tokens(client, sim):
    named = {"model": "claude-sim", "system": "Be brief.", "tools": [WEATHER], "messages": HELLO}
    assert client.messages.count_tokens(**named).input_tokens == ask(client, **named).usage.input_tokens
    assert client.messages.count_tokens(model="claude-sim", messages=HELLO).input_tokens == 9


# --- what is refused ---

def content(*blocks, role="user"):
    return {"messages": [*([] if role == "user" else HELLO), {"role": role, "content": list(blocks)}]}


USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "seen"}


@pytest.mark.parametrize("change, words", [
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    ({"model": None}, "model: Field required"),
    ({"messages": None}, "messages: Field required"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, 'messages: first message must use the "user" role'),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty content"),
    ({"messages": [{"role": "user", "content": "x", "name": "n"}]}, "messages.0.name: Extra inputs are not permitted"),
    ({"messages": [*HELLO, {"role": "assistant", "content": "x "}]}, "final assistant content cannot end with trailing whitespace"),
    ({"messages": [*HELLO, {"role": "system", "content": "x"}, *HELLO], "model": "no-system"}, 'Unexpected role "system"'),
    ({"messages": [*HELLO, {"role": "assistant", "content": "x"}], "model": "no-prefill"}, "does not support assistant message prefill"),
    ({"n": 2}, "n: Extra inputs are not permitted"),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1000}}, "greater than or equal to 1024"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "`max_tokens` must be greater than `thinking.budget_tokens`"),
    ({"thinking": THINK, "temperature": 0.5}, "`temperature` may only be set to 1 when thinking is enabled"),
    ({"thinking": THINK, "tools": [WEATHER], "tool_choice": {"type": "any"}}, "Thinking may not be enabled when tool_choice forces"),
    ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools.0: Input tag 'function' found"),
    ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.custom.name: String should match pattern"),
    ({"tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{"name": "a", "parameters": {}, "input_schema": {"type": "object"}}]}, "tools.0.custom.parameters: Extra inputs"),
    ({"tools": [WEATHER, WEATHER]}, "tools: Tool names must be unique."),
    ({"tool_choice": {"type": "auto"}}, "tool_choice: may only be specified while providing tools"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found in provided tools"),
    ({"tools": [WEATHER], "tool_choice": "auto"}, "tool_choice: Input should be an object"),
    ({"stop_sequences": ["\n"]}, "each stop sequence must contain non-whitespace"),
    ({"system": [{"type": "text", "text": ""}]}, "system: text content blocks must be non-empty"),
    ({"metadata": {"user": "x"}}, "metadata.user: Extra inputs are not permitted"),
    ({"service_tier": "default"}, "service_tier: Input should be one of"),
    ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "'additionalProperties' must be explicitly"),
    ({"output_config": {"effort": "minimal"}}, "output_config.effort: Input should be one of"),
    (content({"type": "text", "text": ""}), "messages: text content blocks must be non-empty"),
    (content({"type": "video"}), "messages.0.content.0: Input tag 'video' found"),
    (content({"type": "image_url", "image_url": {}}), "messages.0.content.0: Input tag 'image_url' found"),
    (content({"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "AAAA"}}), "base64.media_type"),
    (content({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A A"}}), "Invalid base64 data"),
    (content({"type": "image", "source": {"type": "file", "file_id": "file_none"}}), "File not found: file_none"),
    (content({"type": "image", "source": {"type": "url", "url": "x"}}, role="assistant"), "not permitted in `assistant` messages"),
    (content(USE), "`tool_use` blocks are not permitted in `user` messages"),
    (content(RESULT), "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1."),
    (content({**USE, "id": "a b"}, role="assistant"), "tool_use.id: String should match pattern"),
    (content({**USE, "input": "{}"}, role="assistant"), "tool_use.input: Input should be a valid dictionary"),
    (content(USE, USE, role="assistant"), "messages.1.content.1: `tool_use` ids must be unique"),
    (content(USE, role="assistant"), "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1."),
    ({"messages": [*HELLO, {"role": "assistant", "content": [USE]}, *HELLO]}, "`tool_use` ids were found without"),
    ({"messages": [*HELLO, {"role": "assistant", "content": [USE]},
                   {"role": "user", "content": [{"type": "text", "text": "x"}, RESULT]}]}, "`tool_use` ids were found without"),
    ({"messages": [*HELLO, {"role": "assistant", "content": [USE]},
                   {"role": "user", "content": [RESULT, RESULT]}]}, "each tool_use must have a single result"),
    ({"system": [{"type": "text", "text": "x", "cache_control": {"type": "forever"}}]}, "cache_control.type: Input should be 'ephemeral'"),
    (content(*[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5), "A maximum of 4 blocks with cache_control"),
    (content({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
             {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}), "must not come after a ttl='5m'"),
])
def test_refusals(sim, change, words):
    assert words in refused(sim, change)


def test_a_conversation_with_everything_in_order_passes(client):
    answer = ask(client, tools=[WEATHER], messages=[
        {"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "system", "content": "c"},
        {"role": "assistant", "content": [{"type": "text", "text": "d"}, USE, {**USE, "id": "t2"}]},
        {"role": "user", "content": [RESULT]}, {"role": "user", "content": [{**RESULT, "tool_use_id": "t2", "is_error": True}]},
        {"role": "user", "content": "e"}])
    assert answer.stop_reason == "end_turn"


def test_versions(sim):
    missing = call(sim.address, "POST", "/v1/messages", headers={"x-api-key": "any"}, body={"model": "m", "max_tokens": 1, "messages": HELLO})
    assert missing.status == 400 and missing.json()["error"]["message"] == "anthropic-version: header is required"
    assert refused(sim, {}, version="2027-01-01") == 'anthropic-version: "2027-01-01" is not a valid version'
    for name, value in (("temperature", 1), ("top_p", 0.9), ("top_k", 5)):
        assert refused(sim, {name: value}, version="2026-10-21") == f"{name}: Extra inputs are not permitted"
        assert post(sim, {"model": "m", "max_tokens": 1, "messages": HELLO, name: value}).status == 200
    paper = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
    assert "not permitted in `assistant` messages" in refused(sim, content(paper, role="assistant"), version="2026-10-21")
    quoted = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
    assert "citations: Extra inputs are not permitted" in refused(sim, content(quoted), version="2026-10-21")
    assert post(sim, {"model": "m", "max_tokens": 1, **content(quoted)}).status == 200


def test_keys_and_models_that_are_unknown(sim, client):
    body = {"model": "m", "max_tokens": 1, "messages": HELLO}
    nobody = call(sim.address, "POST", "/v1/messages", headers=OLD, body=body)
    assert nobody.status == 401 and nobody.json()["error"]["type"] == "authentication_error"
    assert call(sim.address, "POST", "/v1/messages?beta=true", headers={"authorization": "Bearer x", **OLD}, body=body).status == 200
    with pytest.raises(anthropic.NotFoundError, match="model: unknown-model"):
        ask(client, model="unknown-model")
    assert call(sim.address, "POST", "/v1/messages", headers={"x-api-key": "x", **OLD}, body=b"{").json()["type"] == "error"


# --- faults ---

@pytest.mark.parametrize("status, error, kind", [
    (400, anthropic.BadRequestError, "invalid_request_error"), (401, anthropic.AuthenticationError, "authentication_error"),
    (403, anthropic.PermissionDeniedError, "permission_error"), (404, anthropic.NotFoundError, "not_found_error"),
    (413, anthropic.APIStatusError, "request_too_large"), (429, anthropic.RateLimitError, "rate_limit_error"),
    (500, anthropic.InternalServerError, "api_error"), (504, anthropic.APIStatusError, "timeout_error"),
    (529, anthropic.APIStatusError, "overloaded_error"),
])
def test_statuses(client, sim, status, error, kind):
    with pytest.raises(error) as caught:
        ask(client, extra_headers={"x-sim-fault": f"status={status}; retry-after=7"})
    said = caught.value
    assert said.status_code == status and said.body["error"]["type"] == kind
    assert said.response.headers["retry-after"] == "7"
    assert said.body["request_id"] == said.response.headers["request-id"] == said.request_id
    assert said.response.headers["anthropic-ratelimit-tokens-remaining"] == ("0" if status == 429 else "3999999")
    assert last(sim)["status"] == status


def test_a_fault_s_own_type(client):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client, extra_headers={"x-sim-fault": "status=400; code=billing_error"})
    assert caught.value.body["error"]["type"] == "billing_error"


def test_a_stream_that_breaks(client, sim):
    with pytest.raises(anthropic.APIStatusError) as caught:
        for _ in ask(client, stream=True, extra_headers={"x-sim-fault": "error-event"}):
            pass
    assert caught.value.body == {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert last(sim)["completion_tokens"] == 8 and last(sim)["complete"] is False
    cut = ask(client, stream=True, extra_headers={"x-sim-fault": "no-done"})
    assert kinds(cut)[-1] == "message_delta"
    truncated = ask(client, stream=True, extra_headers={"x-sim-fault": "truncate=3"})
    assert kinds(truncated).count("content_block_delta") == 3


def test_figures_that_are_wrong_or_missing(sim):
    body = {"model": "m", "max_tokens": 20, "messages": HELLO}
    assert "usage" not in post(sim, body, {"x-sim-fault": "no-usage"}).json()
    doubled = post(sim, body, {"x-sim-fault": "wrong-usage=2"}).json()["usage"]
    assert (doubled["input_tokens"], doubled["output_tokens"]) == (18, 32)
    assert last(sim)["prompt_tokens"] == 9
    huge = post(sim, body, {"x-sim-fault": "huge=100000"}).json()
    assert len(huge["content"][0]["text"]) == 100000


@pytest.mark.parametrize("wish", ["x-sim-crlf", "x-sim-comments", "x-sim-multiline", "x-sim-split"])
def test_ways_of_writing_events(client, wish):
    plain = tell(client, thinking=THINK, tools=[WEATHER])
    dressed = tell(client, thinking=THINK, tools=[WEATHER], extra_headers={wish: "1"})
    assert assembled(dressed)["content"] == assembled(plain)["content"]


# --- scripts ---

SCRIPT = {"blocks": [{"thinking": "Hm…"}, {"thinking": "So.", "signature": "mine+/=="}, {"redacted": "c2VjcmV0"}, {"text": "Grüße 👋"},
                     {"tool": {"name": "f", "arguments": {"a": [1, "zwei", None]}, "id": "call_7"}},
                     {"tool": {"name": "g"}}],
          "finish": "tool_calls", "usage": {"input": 100, "cached": 30, "cache_write": 20, "cache_write_1h": 5, "output": 40,
                                            "reasoning": 9, "searches": 2, "fetches": 1}}


def scripted(script):
    return {"extra_headers": {"x-sim-script": json.dumps(script)}}


def test_a_script(client, sim):
    answer = ask(client, **scripted(SCRIPT))
    blocks = [block.model_dump(exclude_none=True) for block in answer.content]
    own = blocks[0].pop("signature")
    assert own and blocks == [
        {"type": "thinking", "thinking": "Hm…"}, {"type": "thinking", "thinking": "So.", "signature": "mine+/=="},
        {"type": "redacted_thinking", "data": "c2VjcmV0"}, {"type": "text", "text": "Grüße 👋"},
        {"type": "tool_use", "id": "call_7", "name": "f", "input": {"a": [1, "zwei", None]}},
        {"type": "tool_use", "id": "call_script_6", "name": "g", "input": {}}]
    assert answer.stop_reason == "tool_use"
    usage = answer.usage.model_dump(exclude_none=True)
    assert {**usage, "service_tier": 0, "inference_geo": 0} == {
        "input_tokens": 50, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 20, "output_tokens": 40,
        "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5},
        "output_tokens_details": {"thinking_tokens": 9}, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
        "service_tier": 0, "inference_geo": 0}
    row = last(sim)
    assert [row[name] for name in ("prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens")] == [
        100, 30, 20, 40, 9]
    assert assembled(tell(client, **scripted(SCRIPT)))["content"] == [block.model_dump() for block in answer.content]
    # what the script made up is known when it comes back
    turn = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content[:4]]}
    assert ask(client, thinking=THINK, messages=[*HELLO, turn, *HELLO]).stop_reason == "end_turn"


def test_a_script_s_own_words(client, sim):
    answer = ask(client, **scripted({"blocks": [{"refusal": "No."}], "native_usage": {"input_tokens": 1, "output_tokens": 2, "speed": "fast"}}))
    assert (answer.stop_reason, answer.stop_details.type, answer.content[0].text) == ("refusal", "refusal", "No.")
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.speed) == (1, 2, "fast")
    assert ask(client, **scripted({"blocks": [], "finish": "pause"})).stop_reason == "pause_turn"
    assert ask(client, **scripted([{"text": "one"}, {"text": "two"}])).content[1].text == "two"
    stopped = ask(client, **scripted({"blocks": [], "finish": "stop_sequence", "stop_sequence": "END"}))
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "END")
    for wrong in ("{", "{}", '{"blocks":[{}]}', '{"blocks":[],"finish":"soon"}', '[{"tool":{}}]'):
        with pytest.raises(anthropic.BadRequestError):
            ask(client, extra_headers={"x-sim-script": wrong})


# --- models, files, batches ---

def test_models_are_told_apart_by_the_head(client, sim):
    before = len(sim.log())
    page = client.models.list(limit=1000)
    assert [model.id for model in page.data] == ["claude-sim-large", "claude-sim-small", "claude-sim-redacted"]
    assert client.models.retrieve("anything/at all").id == "anything/at all"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("unknown-model")
    plain = call(sim.address, "GET", "/v1/models", headers={"authorization": "Bearer x"}).json()
    assert plain["object"] == "list"
    assert call(sim.address, "GET", "/v1/models", headers={"x-api-key": "x"}).json()["error"]["message"].startswith("anthropic-version")
    assert len(sim.log()) == before


def test_files(client, sim):
    made = client.files.upload(file=("docs/a.png", io.BytesIO(PNG), "image/png"))
    assert (made.type, made.filename, made.mime_type, made.size_bytes) == ("file", "a.png", "image/png", len(PNG))
    second = client.files.upload(file=("b.txt", b"text", "text/plain"), expires_in_seconds=3600)
    assert (second.expires_at - second.created_at).total_seconds() == 3600
    assert [file.id for file in client.files.list(limit=1)] == [second.id, made.id]
    assert client.files.retrieve_metadata(made.id).filename == "a.png"
    assert client.files.download(made.id).read() == PNG
    shown = ask(client, messages=[{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": made.id}}]}])
    assert shown.content[0].text.startswith(note("image", "image/png", PNG, "a.png"))
    assert client.files.delete(made.id).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.files.retrieve_metadata(made.id)
    assert call(sim.address, "GET", "/v1/files", headers={"authorization": "Bearer x"}).json()["data"] == []
    assert last(sim)["path"] == "/files" and last(sim)["dialect"] == "openai"


def test_batches(client, sim):
    good = {"model": "claude-sim", "max_tokens": 9, "messages": HELLO}
    made = client.messages.batches.create(requests=[{"custom_id": "one", "params": good},
                                                    {"custom_id": "two", "params": {**good, "max_tokens": -1}}])
    assert (made.processing_status, made.request_counts.processing, made.results_url) == ("in_progress", 2, None)
    assert client.messages.batches.retrieve(made.id).processing_status == "in_progress"
    ended = client.messages.batches.retrieve(made.id)
    assert (ended.processing_status, ended.request_counts.succeeded, ended.request_counts.errored) == ("ended", 1, 1)
    assert (last(sim)["prompt_tokens"], last(sim)["completion_tokens"]) == (9, 9)
    assert client.messages.batches.retrieve(made.id).ended_at == ended.ended_at and last(sim)["prompt_tokens"] == 0
    results = {row.custom_id: row.result for row in client.messages.batches.results(made.id)}
    assert results["one"].message.content[0].text == ask(client, max_tokens=9).content[0].text
    assert results["two"].error.error.type == "invalid_request_error"
    other = client.messages.batches.create(requests=[{"custom_id": "x", "params": good}])
    assert [batch.id for batch in client.messages.batches.list(limit=1)] == [other.id, made.id]
    assert client.messages.batches.cancel(other.id).processing_status == "canceling"
    assert client.messages.batches.retrieve(other.id).request_counts.canceled == 1
    assert [row.result.type for row in client.messages.batches.results(other.id)] == ["canceled"]
    assert client.messages.batches.delete(other.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(other.id)
    with pytest.raises(anthropic.BadRequestError, match="custom_id must be unique"):
        client.messages.batches.create(requests=[{"custom_id": "x", "params": good}] * 2)

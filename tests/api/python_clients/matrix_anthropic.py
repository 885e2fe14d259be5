"""The official package for Anthropic's API in the matrix, with strict validation: an answer, or an event, that its types do not allow raises."""
import json

import anthropic
from matrix import MATERIAL, SCHEMA, TOOLS, NoEnd, numbers, run

ROOM = 4096  # max_tokens must be given
FUNCTIONS = [{"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]} for tool in TOOLS]
FORMAT = {"format": {"type": "json_schema", "schema": SCHEMA}}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def make(base, key, headers):
    return anthropic.Anthropic(base_url=base, api_key=key, max_retries=0, timeout=120, default_headers=headers, _strict_response_validation=True,
                               http_client=anthropic.DefaultHttpxClient(trust_env=False))


def told(message):
    calls = [{"name": block.name, "arguments": block.input} for block in message.content if block.type == "tool_use"]
    return {"text": "".join(block.text for block in message.content if block.type == "text") or None, "calls": calls or None,
            "reasoning": "".join(block.thinking for block in message.content if block.type == "thinking") or None,
            "finish": message.stop_reason, "usage": numbers(message.usage), "stop_sequence": message.stop_sequence}


def create(client, ask, content=None, **more):
    return client.messages.create(**{"model": ask.model, "max_tokens": ROOM,
                                     "messages": [{"role": "user", "content": content or ask.prompt}], **more})


def stream(client, ask, **more):
    """The package puts the message together; the deltas joined must be the same."""
    text, arguments, thinking = "", {}, ""
    with client.messages.stream(**{"model": ask.model, "max_tokens": ROOM, "messages": [{"role": "user", "content": ask.prompt}], **more}) as events:
        for event in events:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                text += event.delta.text
            elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                arguments[event.index] = arguments.get(event.index, "") + event.delta.partial_json
            elif event.type == "content_block_delta" and event.delta.type == "thinking_delta":
                thinking += event.delta.thinking
        message = events.get_final_message()
    got = told(message)
    if got["finish"] is None:
        raise NoEnd
    assert (got["text"] or "") == text
    assert [json.loads(piece or "{}") for piece in arguments.values()] == [call["arguments"] for call in got["calls"] or []]
    assert (got["reasoning"] or "") == thinking
    return {**got, "signed": all(block.signature for block in message.content if block.type == "thinking") if thinking else None}


def loop(client, ask, **more):
    messages, turns = [{"role": "user", "content": ask.prompt}], []
    for again in (None, MATERIAL["again"]):
        if again:
            messages.append({"role": "user", "content": again})
        for _ in range(2):
            answer = client.messages.create(max_tokens=ROOM, messages=messages, tools=FUNCTIONS[:1], **more)
            turns.append(told(answer))
            messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
            results = [{"type": "tool_result", "tool_use_id": block.id, "content": MATERIAL["outcome"]}
                       for block in answer.content if block.type == "tool_use"]
            if not results:
                break
            messages.append({"role": "user", "content": results})
        if "thinking" not in more:
            break
    return {"turns": turns}


def schema(client, ask):
    got = told(create(client, ask, output_config=FORMAT))
    return {**got, "object": json.loads(got["text"])}


def schema_stream(client, ask):
    got = stream(client, ask, output_config=FORMAT)
    return {**got, "object": json.loads(got["text"])}


def parts(*content):
    return lambda client, ask: told(create(client, ask, content=[{"type": "text", "text": ask.prompt}, *content]))


def of_type(kind, media, data):
    return {"type": kind, "source": {"type": "base64", "media_type": media, "data": data}}


run({"anthropic-python": (make, {
    "chat": lambda client, ask: told(create(client, ask)),
    "system": lambda client, ask: told(create(client, ask, system=MATERIAL["system"])),
    "turns": lambda client, ask: told(create(client, ask, messages=[
        {"role": "user", "content": ask.prompt}, {"role": "assistant", "content": MATERIAL["said"]},
        {"role": "user", "content": MATERIAL["again"]}])),
    "stream": stream,
    "tool": lambda client, ask: told(create(client, ask, tools=FUNCTIONS[:1])),
    "parallel_tools": lambda client, ask: told(create(client, ask, tools=FUNCTIONS)),
    "stream_tools": lambda client, ask: stream(client, ask, tools=FUNCTIONS),
    "tool_loop": lambda client, ask: loop(client, ask, model=ask.model),
    "forced_tool": lambda client, ask: told(create(client, ask, tools=FUNCTIONS, tool_choice={"type": "tool", "name": TOOLS[1]["name"]})),
    "no_tool": lambda client, ask: told(create(client, ask, tools=FUNCTIONS, tool_choice={"type": "none"})),
    "schema": schema, "schema_stream": schema_stream,
    "image": parts(of_type("image", "image/png", MATERIAL["pixel"])),
    "image_url": parts({"type": "image", "source": {"type": "url", "url": MATERIAL["image_url"]}}),
    "document": parts(of_type("document", "application/pdf", MATERIAL["pdf"])),
    "thinking": lambda client, ask: loop(client, ask, model=ask.reasoner, **THINKING),
    "thinking_stream": lambda client, ask: stream(client, ask, model=ask.reasoner, **THINKING),
    "stop": lambda client, ask: told(create(client, ask, stop_sequences=[MATERIAL["stop"]])),
    "max_tokens": lambda client, ask: told(create(client, ask, max_tokens=MATERIAL["few"])),
    "long": lambda client, ask: told(create(client, ask, content=ask.long)),
    "count": lambda client, ask: {"count": client.messages.count_tokens(model=ask.model, messages=[
        {"role": "user", "content": ask.prompt}]).input_tokens},
    "usage": lambda client, ask: told(create(client, ask, model=ask.cached, **THINKING)),
    "usage_stream": lambda client, ask: stream(client, ask, model=ask.cached, **THINKING),
    "fails": lambda client, ask: told(create(client, ask, model=ask.unknown or ask.model)),
    "fails_stream": stream,
    "models": lambda client, ask: {"models": [model.id for model in client.models.list()]},
})})

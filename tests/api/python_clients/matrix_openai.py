"""The official package for OpenAI's API in the matrix: chat completions, and responses. Strict validation is on: an answer, or an event, that its types
do not allow raises."""
import json

import openai
from matrix import MATERIAL, SCHEMA, TOOLS, ErrorEvent, NoEnd, numbers, run

SYSTEM = MATERIAL["system"]
IMAGE = f"data:image/png;base64,{MATERIAL['pixel']}"
DOCUMENT = f"data:application/pdf;base64,{MATERIAL['pdf']}"


def make(base, key, headers):
    return openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0, timeout=120, default_headers=headers, _strict_response_validation=True,
                         http_client=openai.DefaultHttpxClient(trust_env=False))


# --- chat completions ---

FUNCTIONS = [{"type": "function", "function": tool} for tool in TOOLS]
FORMAT = {"type": "json_schema", "json_schema": {"name": "river", "schema": SCHEMA, "strict": True}}


def calls_of(message):
    return [{"name": call.function.name, "arguments": json.loads(call.function.arguments)} for call in message.tool_calls or []] or None


def told(completion):
    message = completion.choices[0].message
    return {"text": message.content or None, "reasoning": getattr(message, "reasoning_content", None), "calls": calls_of(message),
            "finish": completion.choices[0].finish_reason, "usage": numbers(completion.usage), "refusal": message.refusal}


def create(client, ask, content=None, **more):
    return client.chat.completions.create(**{"model": ask.model, "messages": [{"role": "user", "content": content or ask.prompt}], **more})


def collect(stream):
    """What a stream comes to: the deltas joined as their documentation says."""
    text, reasoning, finish, usage, calls = "", "", None, None, {}
    for chunk in stream:
        usage = numbers(chunk.usage) or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            text += choice.delta.content or ""
            reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            for call in choice.delta.tool_calls or []:
                kept = calls.setdefault(call.index, {"id": call.id, "name": call.function.name, "arguments": ""})
                kept["arguments"] += call.function.arguments or ""
    if finish is None:
        raise NoEnd
    return {"text": text or None, "reasoning": reasoning or None, "finish": finish, "usage": usage,
            "calls": [{"name": call["name"], "arguments": json.loads(call["arguments"])} for call in calls.values()] or None}


def stream(client, ask, **more):
    return collect(create(client, ask, stream=True, stream_options={"include_usage": True}, **more))


def loop(client, ask, **more):
    """Asks, runs the tools that were called, sends the results, and asks on: all that came goes back as it came."""
    messages, turns = [{"role": "user", "content": ask.prompt}], []
    for again in (None, MATERIAL["again"]):
        if again:
            messages.append({"role": "user", "content": again})
        for _ in range(2):
            answer = client.chat.completions.create(messages=messages, tools=FUNCTIONS[:1], **more)
            turns.append(told(answer))
            message = answer.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            messages += [{"role": "tool", "tool_call_id": call.id, "content": MATERIAL["outcome"]} for call in message.tool_calls or []]
            if not message.tool_calls:
                break
        if "reasoning_effort" not in more:
            break
    return {"turns": turns}


def schema(client, ask):
    got = told(create(client, ask, response_format=FORMAT))
    return {**got, "object": json.loads(got["text"])}


def schema_stream(client, ask):
    got = stream(client, ask, response_format=FORMAT)
    return {**got, "object": json.loads(got["text"])}


def parts(*content):
    return lambda client, ask: told(create(client, ask, content=[{"type": "text", "text": ask.prompt}, *content]))


def embeddings(client, ask):
    loose = client.with_options(_extra_kwargs={"_strict_response_validation": False})  # its types do not allow the base64 that it asks for
    got = loose.embeddings.create(model=ask.embedding, input=[ask.prompt, "b"])
    return {"vectors": [len(row.embedding) for row in got.data], "usage": numbers(got.usage)}


CHAT = {
    "chat": lambda client, ask: told(create(client, ask)),
    "system": lambda client, ask: told(create(client, ask, messages=[{"role": "system", "content": SYSTEM},
                                                                     {"role": "user", "content": ask.prompt}])),
    "turns": lambda client, ask: told(create(client, ask, messages=[
        {"role": "user", "content": ask.prompt}, {"role": "assistant", "content": MATERIAL["said"]},
        {"role": "user", "content": MATERIAL["again"]}])),
    "stream": stream,
    "tool": lambda client, ask: told(create(client, ask, tools=FUNCTIONS[:1])),
    "parallel_tools": lambda client, ask: told(create(client, ask, tools=FUNCTIONS, parallel_tool_calls=True)),
    "stream_tools": lambda client, ask: stream(client, ask, tools=FUNCTIONS, parallel_tool_calls=True),
    "tool_loop": lambda client, ask: loop(client, ask, model=ask.model),
    "forced_tool": lambda client, ask: told(create(client, ask, tools=FUNCTIONS, tool_choice={
        "type": "function", "function": {"name": TOOLS[1]["name"]}})),
    "no_tool": lambda client, ask: told(create(client, ask, tools=FUNCTIONS, tool_choice="none")),
    "schema": schema, "schema_stream": schema_stream,
    "image": parts({"type": "image_url", "image_url": {"url": IMAGE}}),
    "image_url": parts({"type": "image_url", "image_url": {"url": MATERIAL["image_url"]}}),
    "document": parts({"type": "file", "file": {"filename": "a.pdf", "file_data": DOCUMENT}}),
    "thinking": lambda client, ask: loop(client, ask, model=ask.reasoner, reasoning_effort="low"),
    "thinking_stream": lambda client, ask: stream(client, ask, model=ask.reasoner, reasoning_effort="low"),
    "stop": lambda client, ask: told(create(client, ask, stop=[MATERIAL["stop"]])),
    "max_tokens": lambda client, ask: told(create(client, ask, max_completion_tokens=MATERIAL["few"])),
    "sampling": lambda client, ask: told(create(client, ask, temperature=0.5, top_p=0.75, seed=7)),
    "long": lambda client, ask: told(create(client, ask, content=ask.long)),
    "embeddings": embeddings,
    "usage": lambda client, ask: told(create(client, ask, model=ask.cached, reasoning_effort="low")),
    "usage_stream": lambda client, ask: stream(client, ask, model=ask.cached, reasoning_effort="low"),
    "fails": lambda client, ask: told(create(client, ask, model=ask.unknown or ask.model)),
    "fails_stream": stream,
    "models": lambda client, ask: {"models": [model.id for model in client.models.list()]},
}

# --- responses ---

RESPONSE_TOOLS = [{"type": "function", **tool, "strict": False} for tool in TOOLS]
RESPONSE_FORMAT = {"format": {"type": "json_schema", "name": "river", "schema": SCHEMA, "strict": True}}
THINKING = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False}


def responded(response):
    calls = [{"name": item.name, "arguments": json.loads(item.arguments)} for item in response.output if item.type == "function_call"]
    reasoning = "".join(part.text for item in response.output if item.type == "reasoning"
                        for part in [*(item.summary or []), *(item.content or [])])
    refusals = [part.refusal for item in response.output if item.type == "message" for part in item.content if part.type == "refusal"]
    finish = response.status if response.incomplete_details is None else f"{response.status}: {response.incomplete_details.reason}"
    return {"text": response.output_text or None, "calls": calls or None, "reasoning": reasoning or None, "usage": numbers(response.usage),
            "finish": finish, "refusal": "".join(refusals) or None}


def respond(client, ask, content=None, **more):
    return client.responses.create(**{"model": ask.model, "store": False,
                                      "input": [{"role": "user", "content": content or ask.prompt}], **more})


def response_stream(client, ask, **more):
    """The pieces joined must be what the last event's response says."""
    text, arguments, reasoning, numbered, last = "", {}, "", [], None
    for event in respond(client, ask, stream=True, **more):
        numbered.append(event.sequence_number)
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.function_call_arguments.delta":
            arguments[event.output_index] = arguments.get(event.output_index, "") + event.delta
        elif event.type in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            reasoning += event.delta
        elif event.type in ("response.completed", "response.incomplete", "response.failed"):
            last = event.response
        elif event.type == "error":
            raise ErrorEvent(event.message)
    if last is None:
        raise NoEnd
    if last.status == "failed":
        raise ErrorEvent(last.error and last.error.message)
    got = responded(last)
    assert numbered == list(range(numbered[0], numbered[0] + len(numbered))), numbered
    assert (got["text"] or "") == text, (got["text"], text)
    assert [json.loads(piece) for piece in arguments.values()] == [call["arguments"] for call in got["calls"] or []]
    assert (got["reasoning"] or "") == reasoning, (got["reasoning"], reasoning)
    return got


def response_loop(client, ask, **more):
    given, turns = [{"role": "user", "content": ask.prompt}], []
    for again in (None, MATERIAL["again"]):
        if again:
            given.append({"role": "user", "content": again})
        for _ in range(2):
            answer = client.responses.create(input=given, tools=RESPONSE_TOOLS[:1], **more)
            turns.append(responded(answer))
            given += [item.model_dump(exclude_none=True) for item in answer.output]
            called = [item for item in answer.output if item.type == "function_call"]
            given += [{"type": "function_call_output", "call_id": item.call_id, "output": MATERIAL["outcome"]} for item in called]
            if not called:
                break
        if "reasoning" not in more:
            break
    return {"turns": turns}


def response_schema(client, ask):
    got = responded(respond(client, ask, text=RESPONSE_FORMAT))
    return {**got, "object": json.loads(got["text"])}


def response_schema_stream(client, ask):
    got = response_stream(client, ask, text=RESPONSE_FORMAT)
    return {**got, "object": json.loads(got["text"])}


def response_parts(*content):
    return lambda client, ask: responded(respond(client, ask, content=[{"type": "input_text", "text": ask.prompt}, *content]))


RESPONSES = {
    "chat": lambda client, ask: responded(respond(client, ask)),
    "system": lambda client, ask: responded(respond(client, ask, instructions=SYSTEM)),
    "turns": lambda client, ask: responded(respond(client, ask, input=[
        {"role": "user", "content": ask.prompt}, {"role": "assistant", "content": MATERIAL["said"]},
        {"role": "user", "content": MATERIAL["again"]}])),
    "stream": response_stream,
    "tool": lambda client, ask: responded(respond(client, ask, tools=RESPONSE_TOOLS[:1])),
    "parallel_tools": lambda client, ask: responded(respond(client, ask, tools=RESPONSE_TOOLS, parallel_tool_calls=True)),
    "stream_tools": lambda client, ask: response_stream(client, ask, tools=RESPONSE_TOOLS, parallel_tool_calls=True),
    "tool_loop": lambda client, ask: response_loop(client, ask, model=ask.model, store=False),
    "forced_tool": lambda client, ask: responded(respond(client, ask, tools=RESPONSE_TOOLS, tool_choice={
        "type": "function", "name": TOOLS[1]["name"]})),
    "no_tool": lambda client, ask: responded(respond(client, ask, tools=RESPONSE_TOOLS, tool_choice="none")),
    "schema": response_schema, "schema_stream": response_schema_stream,
    "image": response_parts({"type": "input_image", "detail": "auto", "image_url": IMAGE}),
    "image_url": response_parts({"type": "input_image", "detail": "auto", "image_url": MATERIAL["image_url"]}),
    "document": response_parts({"type": "input_file", "filename": "a.pdf", "file_data": DOCUMENT}),
    "thinking": lambda client, ask: response_loop(client, ask, model=ask.reasoner, **THINKING),
    "thinking_stream": lambda client, ask: response_stream(client, ask, model=ask.reasoner, **THINKING),
    "max_tokens": lambda client, ask: responded(respond(client, ask, max_output_tokens=MATERIAL["few"])),
    "sampling": lambda client, ask: responded(respond(client, ask, temperature=0.5, top_p=0.75)),
    "long": lambda client, ask: responded(respond(client, ask, content=ask.long)),
    "count": lambda client, ask: {"count": client.responses.input_tokens.count(model=ask.model, input=ask.prompt).input_tokens},
    "usage": lambda client, ask: responded(respond(client, ask, model=ask.cached, **THINKING)),
    "usage_stream": lambda client, ask: response_stream(client, ask, model=ask.cached, **THINKING),
    "fails": lambda client, ask: responded(respond(client, ask, model=ask.unknown or ask.model)),
    "fails_stream": response_stream,
}

run({"openai-python": (make, CHAT), "openai-python-responses": (make, RESPONSES)})

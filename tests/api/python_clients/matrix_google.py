"""The official package for Gemini's API in the matrix."""
import json

from google import genai
from google.genai import types
from matrix import MATERIAL, PDF, PIXEL, SCHEMA, TOOLS, NoEnd, numbers, run

DECLARED = [types.FunctionDeclaration(name=tool["name"], description=tool["description"], parameters_json_schema=tool["parameters"])
            for tool in TOOLS]
THINKING = {"thinking_config": types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)}


def make(base, key, headers):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base, headers=headers, timeout=120_000, client_args={"trust_env": False}))


def tools(count, **choice):
    """Calling functions by itself is turned off: the calls are what is looked at."""
    more = {"tool_config": types.ToolConfig(function_calling_config=types.FunctionCallingConfig(**choice))} if choice else {}
    return {"tools": [types.Tool(function_declarations=DECLARED[:count])],
            "automatic_function_calling": types.AutomaticFunctionCallingConfig(disable=True), **more}


def user(*parts):
    return types.Content(role="user", parts=[types.Part(text=part) if isinstance(part, str) else part for part in parts])


def whole(answers):
    """One answer, or the chunks of a stream: parts in their order, the last usage and finish reason."""
    text, reasoning, calls, finish, usage, blocked = "", "", [], None, None, None
    for answer in answers:
        usage = numbers(answer.usage_metadata) or usage
        blocked = (answer.prompt_feedback and answer.prompt_feedback.block_reason) or blocked
        for candidate in answer.candidates or []:
            finish = candidate.finish_reason or finish
            for part in (candidate.content and candidate.content.parts) or []:
                if part.function_call:
                    calls.append({"name": part.function_call.name, "arguments": part.function_call.args or {}})
                elif part.thought:
                    reasoning += part.text or ""
                else:
                    text += part.text or ""
    return {"text": text or None, "reasoning": reasoning or None, "calls": calls or None, "usage": usage,
            "finish": finish and finish.value, "blocked": blocked and blocked.value}


def generate(client, ask, contents=None, model=None, **config):
    return client.models.generate_content(model=model or ask.model, contents=contents or [user(ask.prompt)],
                                          config=types.GenerateContentConfig(**config))


def told(client, ask, contents=None, **more):
    return whole([generate(client, ask, contents, **more)])


def stream(client, ask, contents=None, model=None, **config):
    got = whole(client.models.generate_content_stream(model=model or ask.model, contents=contents or [user(ask.prompt)],
                                                      config=types.GenerateContentConfig(**config)))
    if got["finish"] is None and got["blocked"] is None:
        raise NoEnd
    return got


def loop(client, ask, model, **config):
    contents, turns = [user(ask.prompt)], []
    for again in (None, MATERIAL["again"]):
        if again:
            contents.append(user(again))
        for _ in range(2):
            answer = generate(client, ask, contents, model, **tools(1), **config)
            turns.append(whole([answer]))
            contents.append(answer.candidates[0].content)
            called = [part.function_call for part in contents[-1].parts if part.function_call]
            if not called:
                break
            contents.append(user(*[types.Part(function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"result": MATERIAL["outcome"]})) for call in called]))
        if "thinking_config" not in config:
            break
    return {"turns": turns}


def with_object(got):
    return {**got, "object": json.loads(got["text"])}


JSON = {"response_mime_type": "application/json", "response_json_schema": SCHEMA}

run({"google-genai-python": (make, {
    "chat": told,
    "system": lambda client, ask: told(client, ask, system_instruction=MATERIAL["system"]),
    "turns": lambda client, ask: told(client, ask, [user(ask.prompt), types.Content(role="model", parts=[types.Part(text=MATERIAL["said"])]),
                                                    user(MATERIAL["again"])]),
    "stream": stream,
    "tool": lambda client, ask: told(client, ask, **tools(1)),
    "parallel_tools": lambda client, ask: told(client, ask, **tools(2)),
    "stream_tools": lambda client, ask: stream(client, ask, **tools(2)),
    "tool_loop": lambda client, ask: loop(client, ask, ask.model),
    "forced_tool": lambda client, ask: told(client, ask, **tools(2, mode="ANY", allowed_function_names=[TOOLS[1]["name"]])),
    "no_tool": lambda client, ask: told(client, ask, **tools(2, mode="NONE")),
    "schema": lambda client, ask: with_object(told(client, ask, **JSON)),
    "schema_stream": lambda client, ask: with_object(stream(client, ask, **JSON)),
    "image": lambda client, ask: told(client, ask, [user(ask.prompt, types.Part.from_bytes(data=PIXEL, mime_type="image/png"))]),
    "image_url": lambda client, ask: told(client, ask, [user(ask.prompt, types.Part.from_uri(
        file_uri=MATERIAL["image_url"], mime_type="image/png"))]),
    "document": lambda client, ask: told(client, ask, [user(ask.prompt, types.Part.from_bytes(data=PDF, mime_type="application/pdf"))]),
    "thinking": lambda client, ask: loop(client, ask, ask.reasoner, **THINKING),
    "thinking_stream": lambda client, ask: stream(client, ask, model=ask.reasoner, **THINKING),
    "stop": lambda client, ask: told(client, ask, stop_sequences=[MATERIAL["stop"]]),
    "max_tokens": lambda client, ask: told(client, ask, max_output_tokens=MATERIAL["few"]),
    "sampling": lambda client, ask: told(client, ask, temperature=0.5, top_p=0.75, seed=7),
    "long": lambda client, ask: told(client, ask, [user(ask.long)]),
    "embeddings": lambda client, ask: {"vectors": [len(row.values) for row in client.models.embed_content(
        model=ask.embedding, contents=[user(ask.prompt), user("b")]).embeddings]},
    "count": lambda client, ask: {"count": client.models.count_tokens(model=ask.model, contents=ask.prompt).total_tokens},
    "usage": lambda client, ask: told(client, ask, model=ask.cached, **THINKING),
    "usage_stream": lambda client, ask: stream(client, ask, model=ask.cached, **THINKING),
    "fails": lambda client, ask: told(client, ask, model=ask.unknown or ask.model),
    "fails_stream": stream,
    "models": lambda client, ask: {"models": [model.name for model in client.models.list()]},
})})

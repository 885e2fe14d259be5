"""The official package for Ollama's API in the matrix."""
import json

import ollama
from matrix import MATERIAL, PIXEL, SCHEMA, TOOLS, NoEnd, run

FUNCTIONS = [{"type": "function", "function": tool} for tool in TOOLS]


def make(base, key, headers):
    return ollama.Client(host=base, headers={"Authorization": f"Bearer {key}", **headers}, timeout=120, trust_env=False)


def counts(answer):
    return {name: answer.get(name) for name in ("prompt_eval_count", "eval_count") if answer.get(name) is not None}


def calls_of(message):
    return [{"name": call.function.name, "arguments": dict(call.function.arguments)} for call in message.tool_calls or []]


def told(answer):
    return {"text": answer.message.content or None, "reasoning": answer.message.thinking or None, "calls": calls_of(answer.message) or None,
            "finish": answer.done_reason, "usage": counts(answer)}


def chat(client, ask, messages=None, **more):
    return told(client.chat(**{"model": ask.model, "messages": messages or [{"role": "user", "content": ask.prompt}], **more}))


def stream(client, ask, **more):
    text, thinking, calls, last = "", "", [], None
    for piece in client.chat(**{"model": ask.model, "messages": [{"role": "user", "content": ask.prompt}], "stream": True, **more}):
        text += piece.message.content or ""
        thinking += piece.message.thinking or ""
        calls += calls_of(piece.message)
        last = piece
    if last is None or not last.done:
        raise NoEnd
    return {**told(last), "text": text or None, "reasoning": thinking or None, "calls": calls or None}


def loop(client, ask, **more):
    messages, turns = [{"role": "user", "content": ask.prompt}], []
    for again in (None, MATERIAL["again"]):
        if again:
            messages.append({"role": "user", "content": again})
        for _ in range(2):
            answer = client.chat(messages=messages, tools=FUNCTIONS[:1], **more)
            turns.append(told(answer))
            messages.append(answer.message)
            if not answer.message.tool_calls:
                break
            messages += [{"role": "tool", "tool_name": call.function.name, "content": MATERIAL["outcome"]} for call in answer.message.tool_calls]
        if "think" not in more:
            break
    return {"turns": turns}


def generate(client, ask):
    answer = client.generate(model=ask.model, prompt=ask.prompt, system=MATERIAL["system"])
    return {"text": answer.response, "finish": answer.done_reason, "usage": counts(answer)}


def with_object(got):
    return {**got, "object": json.loads(got["text"])}


run({"ollama-python": (make, {
    "chat": chat,
    "system": lambda client, ask: chat(client, ask, [{"role": "system", "content": MATERIAL["system"]}, {"role": "user", "content": ask.prompt}]),
    "turns": lambda client, ask: chat(client, ask, [
        {"role": "user", "content": ask.prompt}, {"role": "assistant", "content": MATERIAL["said"]},
        {"role": "user", "content": MATERIAL["again"]}]),
    "generate": generate,
    "stream": stream,
    "tool": lambda client, ask: chat(client, ask, tools=FUNCTIONS[:1]),
    "parallel_tools": lambda client, ask: chat(client, ask, tools=FUNCTIONS),
    "stream_tools": lambda client, ask: stream(client, ask, tools=FUNCTIONS),
    "tool_loop": lambda client, ask: loop(client, ask, model=ask.model),
    "schema": lambda client, ask: with_object(chat(client, ask, format=SCHEMA)),
    "schema_stream": lambda client, ask: with_object(stream(client, ask, format=SCHEMA)),
    "image": lambda client, ask: chat(client, ask, [{"role": "user", "content": ask.prompt, "images": [PIXEL]}]),
    "thinking": lambda client, ask: loop(client, ask, model=ask.reasoner, think=True),
    "thinking_stream": lambda client, ask: stream(client, ask, model=ask.reasoner, think=True),
    "stop": lambda client, ask: chat(client, ask, options={"stop": [MATERIAL["stop"]]}),
    "max_tokens": lambda client, ask: chat(client, ask, options={"num_predict": MATERIAL["few"]}),
    "sampling": lambda client, ask: chat(client, ask, options={"temperature": 0.5, "top_p": 0.75, "seed": 7}),
    "long": lambda client, ask: chat(client, ask, [{"role": "user", "content": ask.long}]),
    "embeddings": lambda client, ask: {"vectors": [len(row) for row in client.embed(model=ask.embedding, input=[ask.prompt, "b"]).embeddings]},
    "usage": lambda client, ask: chat(client, ask, model=ask.cached, think=True),
    "usage_stream": lambda client, ask: stream(client, ask, model=ask.cached, think=True),
    "fails": lambda client, ask: chat(client, ask, model=ask.unknown or ask.model),
    "fails_stream": stream,
    "models": lambda client, ask: {"models": [model.model for model in client.list().models]},
})})

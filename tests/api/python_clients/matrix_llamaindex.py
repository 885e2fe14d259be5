"""LlamaIndex in the matrix. It looks up what a model can do by its name, so the models are told to it as one that it knows."""
import httpx
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from matrix import MATERIAL, PIXEL, TOOLS, NoEnd, numbers, run

KNOWN = "gpt-4o-mini"


def get_weather(city: str, days: str) -> str:
    """The weather of a city, for some days"""
    return MATERIAL["outcome"]


def declared(count):
    found = []
    for tool in TOOLS[:count]:
        made = FunctionTool.from_defaults(get_weather, name=tool["name"], description=tool["description"])
        made.metadata.get_parameters_dict = lambda tool=tool: tool["parameters"]
        found.append(made)
    return found


class Client:
    def __init__(self, base, key, headers):
        self.common = {"api_base": f"{base}/v1", "api_key": key, "max_retries": 0, "default_headers": headers,
                       "http_client": httpx.Client(trust_env=False, timeout=120)}

    def model(self, name, **more):
        return OpenAI(model=KNOWN, additional_kwargs={"model": name}, **self.common, **more)

    def embedding(self, name):
        return OpenAIEmbedding(model_name=name, **self.common)


def calls_of(model, answer):
    found = model.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
    return [{"name": call.tool_name, "arguments": call.tool_kwargs} for call in found] or None


def told(answer):
    return {"text": answer.message.content or None, "finish": answer.raw.choices[0].finish_reason, "usage": numbers(answer.raw.usage)}


def chat(client, ask, messages=None, model=None, **more):
    return told(client.model(model or ask.model, **more).chat(messages or [ChatMessage(role="user", content=ask.prompt)]))


def stream(client, ask):
    last = None
    for piece in client.model(ask.model).stream_chat([ChatMessage(role="user", content=ask.prompt)]):
        last = piece
    if last is None:
        raise NoEnd
    return {"text": last.message.content}


def tools(client, ask, count, **more):
    model = client.model(ask.model)
    return {"calls": calls_of(model, model.chat_with_tools(declared(count), user_msg=ask.prompt, **more))}


def loop(client, ask):
    model, messages, turns = client.model(ask.model), [ChatMessage(role="user", content=ask.prompt)], []
    for _ in range(2):
        answer = model.chat_with_tools(declared(1), chat_history=messages)
        called = model.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        turns.append({"text": answer.message.content, "calls": calls_of(model, answer), "finish": answer.raw.choices[0].finish_reason})
        messages.append(answer.message)
        messages += [ChatMessage(role="tool", content=MATERIAL["outcome"], additional_kwargs={"tool_call_id": call.tool_id}) for call in called]
        if not called:
            break
    return {"turns": turns}


run({"llamaindex-openai": (Client, {
    "chat": chat,
    "system": lambda client, ask: chat(client, ask, [ChatMessage(role="system", content=MATERIAL["system"]), ChatMessage(role="user", content=ask.prompt)]),
    "turns": lambda client, ask: chat(client, ask, [ChatMessage(role="user", content=ask.prompt),
                                                    ChatMessage(role="assistant", content=MATERIAL["said"]),
                                                    ChatMessage(role="user", content=MATERIAL["again"])]),
    "stream": stream,
    "tool": lambda client, ask: tools(client, ask, 1),
    "parallel_tools": lambda client, ask: tools(client, ask, 2, allow_parallel_tool_calls=True),
    "tool_loop": loop,
    "image": lambda client, ask: chat(client, ask, [ChatMessage(role="user", blocks=[
        TextBlock(text=ask.prompt), ImageBlock(image=PIXEL, image_mimetype="image/png")])]),
    "max_tokens": lambda client, ask: chat(client, ask, max_tokens=MATERIAL["few"]),
    "long": lambda client, ask: chat(client, ask, [ChatMessage(role="user", content=ask.long)]),
    "embeddings": lambda client, ask: {"vectors": [len(row) for row in client.embedding(ask.embedding).get_text_embedding_batch([ask.prompt, "b"])]},
    "fails": lambda client, ask: chat(client, ask, model=ask.unknown or None),
    "fails_stream": stream,
})})

"""LlamaIndex; test_client_llamaindex.py judges what is printed."""
import httpx
from calls import MODELS, keep, run
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI, OpenAIResponses

PROMPT = "Say something about rivers."
MESSAGES = [ChatMessage(role="user", content=PROMPT)]
heads = []


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


class Clients:
    def __init__(self, url, key):
        transport = httpx.Client(event_hooks={"response": [keep(heads)]}, trust_env=False)
        common = {"api_base": url, "api_key": key, "max_retries": 0, "http_client": transport}
        self.chat = OpenAI(model="gpt-4o-mini", **common)
        self.responses = OpenAIResponses(model="gpt-4o-mini", **common)
        self.embedding = OpenAIEmbedding(model_name=MODELS["embedding"], **common)
        self.stranger = OpenAI(model="gpt-4", **common)


def last(pieces):
    for piece in pieces:
        final = piece
    return final


def tools(model):
    answer = model.chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg=PROMPT, tool_required=True)
    return [{"name": call.tool_name, "arguments": call.tool_kwargs} for call in model.get_tool_calls_from_response(answer)]


def of(attribute, function):
    return lambda clients: function(getattr(clients, attribute))


calls = {}
for kind in ("chat", "responses"):
    calls[f"{kind}_complete"] = of(kind, lambda model: model.complete(PROMPT).text)
    calls[f"{kind}_chat"] = of(kind, lambda model: model.chat(MESSAGES).message.content)
    calls[f"{kind}_stream"] = of(kind, lambda model: last(model.stream_complete(PROMPT)).text)
    calls[f"{kind}_stream_chat"] = of(kind, lambda model: last(model.stream_chat(MESSAGES)).message.content)
    calls[f"{kind}_tools"] = of(kind, tools)
calls["embed"] = lambda clients: clients.embedding.get_text_embedding("rivers")
calls["embed_many"] = lambda clients: clients.embedding.get_text_embedding_batch(["a", "b", "c"])
calls["unknown_model"] = lambda clients: clients.stranger.complete(PROMPT).text
run(Clients, calls, heads)

"""LangChain; test_client_langchain.py judges what is printed."""
import openai
from calls import MODELS, keep, run
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

PROMPT = "Say something about rivers."
heads = []


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


class River(BaseModel):
    """A river."""
    name: str
    length: int


class Clients:
    def __init__(self, url, key):
        transport = openai.DefaultHttpxClient(event_hooks={"response": [keep(heads)]}, trust_env=False)
        common = {"base_url": url, "api_key": key, "max_retries": 0, "http_client": transport}
        self.chat = ChatOpenAI(model=MODELS["chat"], **common)
        self.responses = ChatOpenAI(model=MODELS["chat"], use_responses_api=True, **common)
        # Splitting by tokens would fetch a vocabulary from the network.
        self.embeddings = OpenAIEmbeddings(model=MODELS["embedding"], check_embedding_ctx_length=False, **common)
        self.stranger = ChatOpenAI(model="nobody-knows", **common)


def told(message):
    return {"text": message.text, "usage": message.usage_metadata,
            "calls": [{"name": call["name"], "args": call["args"]} for call in message.tool_calls]}


def streamed(model):
    whole = None
    for chunk in model.stream(PROMPT):
        whole = chunk if whole is None else whole + chunk
    return told(whole)


def tools(model):
    bound = model.bind_tools([get_weather])
    messages = [HumanMessage(PROMPT)]
    asked = bound.invoke(messages)
    messages.append(asked)
    messages += [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in asked.tool_calls]
    # The second answer depends on the id that the first one's call was given: its length does not.
    answered = told(bound.invoke(messages))
    return [told(asked), {**answered, "text": len(answered["text"].split())}]


def of(attribute, function):
    return lambda clients: function(getattr(clients, attribute))


calls = {}
for kind in ("chat", "responses"):
    calls[f"{kind}_invoke"] = of(kind, lambda model: told(model.invoke(PROMPT)))
    calls[f"{kind}_stream"] = of(kind, streamed)
    calls[f"{kind}_batch"] = of(kind, lambda model: [
        told(message) for message in model.batch(["one", "two"], config={"max_concurrency": 1})])
    calls[f"{kind}_tools"] = of(kind, tools)
    calls[f"{kind}_object"] = of(kind, lambda model: model.with_structured_output(River).invoke(PROMPT).model_dump())
calls["embed_query"] = lambda clients: clients.embeddings.embed_query(PROMPT)
calls["embed_documents"] = lambda clients: clients.embeddings.embed_documents(["a", "b", "c"])
calls["unknown_model"] = lambda clients: told(clients.stranger.invoke(PROMPT))
run(Clients, calls, heads)

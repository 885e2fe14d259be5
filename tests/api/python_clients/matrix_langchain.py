"""LangChain's packages in the matrix: one for each API, imported where it is asked for, as some take seconds."""
import httpx
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from matrix import MATERIAL, SCHEMA, TOOLS, NoEnd, numbers, run

FUNCTIONS = [{"type": "function", "function": tool} for tool in TOOLS]
RIVER = {"title": "river", "description": "A river", **SCHEMA}


def finish_of(message):
    told = message.response_metadata
    return told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason") or told.get("status")


def told(message):
    calls = [{"name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
    thoughts = [block.get("reasoning", "") for block in message.content_blocks if block["type"] == "reasoning"]
    return {"text": message.text or None, "reasoning": "".join(thoughts) or None, "calls": calls or None, "finish": finish_of(message),
            "usage": numbers(dict(message.usage_metadata or {}))}


class Models:
    """A client: `make(model, **more)` gives LangChain's model for a name, `think` what asks it to think."""

    def __init__(self, make, think, limit, embeddings=None):
        self.make, self.think, self.limit, self.embeddings = make, think, limit, embeddings


def invoke(models, ask, messages=None, *, model=None, tools=0, tool_choice=None, **more):
    made = models.make(model or ask.model, **more)
    made = made.bind_tools(FUNCTIONS[:tools], **({"tool_choice": tool_choice} if tool_choice else {})) if tools else made
    return told(made.invoke(messages or [HumanMessage(ask.prompt)]))


def stream(models, ask, *, model=None, tools=0, **more):
    made = models.make(model or ask.model, **more)
    whole = None
    for chunk in (made.bind_tools(FUNCTIONS[:tools]) if tools else made).stream([HumanMessage(ask.prompt)]):
        whole = chunk if whole is None else whole + chunk
    if whole is None or not finish_of(whole):
        raise NoEnd
    return told(whole)


def loop(models, ask, model, **more):
    made, messages, turns = models.make(model, **more).bind_tools(FUNCTIONS[:1]), [HumanMessage(ask.prompt)], []
    for again in (None, MATERIAL["again"]) if more else (None,):
        if again:
            messages.append(HumanMessage(again))
        for _ in range(2):
            answer = made.invoke(messages)
            turns.append(told(answer))
            messages.append(answer)
            messages += [ToolMessage(MATERIAL["outcome"], tool_call_id=call["id"], name=call["name"]) for call in answer.tool_calls]
            if not answer.tool_calls:
                break
    return {"turns": turns}


def schema(models, ask):
    got = models.make(ask.model).with_structured_output(RIVER, method="json_schema").invoke([HumanMessage(ask.prompt)])
    return {"object": got}


CASES = {
    "chat": invoke,
    "system": lambda models, ask: invoke(models, ask, [SystemMessage(MATERIAL["system"]), HumanMessage(ask.prompt)]),
    "turns": lambda models, ask: invoke(models, ask, [HumanMessage(ask.prompt), AIMessage(MATERIAL["said"]), HumanMessage(MATERIAL["again"])]),
    "stream": stream,
    "tool": lambda models, ask: invoke(models, ask, tools=1),
    "parallel_tools": lambda models, ask: invoke(models, ask, tools=2),
    "stream_tools": lambda models, ask: stream(models, ask, tools=2),
    "tool_loop": lambda models, ask: loop(models, ask, ask.model),
    "forced_tool": lambda models, ask: invoke(models, ask, tools=2, tool_choice=TOOLS[1]["name"]),
    "schema": schema,
    "image": lambda models, ask: invoke(models, ask, [HumanMessage([{"type": "text", "text": ask.prompt}, {
        "type": "image", "base64": MATERIAL["pixel"], "mime_type": "image/png"}])]),
    "document": lambda models, ask: invoke(models, ask, [HumanMessage([{"type": "text", "text": ask.prompt}, {
        "type": "file", "base64": MATERIAL["pdf"], "mime_type": "application/pdf", "filename": "a.pdf"}])]),
    "thinking": lambda models, ask: loop(models, ask, ask.reasoner, **models.think),
    "thinking_stream": lambda models, ask: stream(models, ask, model=ask.reasoner, **models.think),
    "max_tokens": lambda models, ask: invoke(models, ask, **{models.limit: MATERIAL["few"]}),
    "usage": lambda models, ask: invoke(models, ask, model=ask.cached, **models.think),
    "usage_stream": lambda models, ask: stream(models, ask, model=ask.cached, **models.think),
    "long": lambda models, ask: invoke(models, ask, [HumanMessage(ask.long)]),
    "fails": lambda models, ask: invoke(models, ask, model=ask.unknown or ask.model),
    "fails_stream": stream,
}
EMBEDDINGS = {"embeddings": lambda models, ask: {"vectors": [len(row) for row in models.embeddings(ask.embedding).embed_documents([ask.prompt, "b"])]}}


def without(*names):
    return {name: function for name, function in CASES.items() if name not in names}


def of_openai(responses):
    def make(base, key, headers):
        import openai
        from langchain_openai import ChatOpenAI, OpenAIEmbeddings
        transport = openai.DefaultHttpxClient(trust_env=False)
        common = {"base_url": f"{base}/v1", "api_key": key, "max_retries": 0, "default_headers": headers, "http_client": transport}
        more = {"use_responses_api": True, "store": False} if responses else {"stream_usage": True}
        think = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]} if responses else {"reasoning_effort": "low"}
        return Models(lambda model, **extra: ChatOpenAI(model=model, **common, **more, **extra), think, "max_tokens",
                      lambda model: OpenAIEmbeddings(model=model, check_embedding_ctx_length=False, **common))
    return make


def of_anthropic(base, key, headers):
    from langchain_anthropic import ChatAnthropic

    def make(model, **more):
        return ChatAnthropic(**{"model": model, "base_url": base, "api_key": key, "max_retries": 0, "max_tokens": 4096,
                                "default_headers": headers, **more})
    return Models(make, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "max_tokens")


def of_google(base, key, headers):
    from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
    common = {"google_api_key": key, "base_url": base, "additional_headers": headers}
    return Models(lambda model, **more: ChatGoogleGenerativeAI(model=model, max_retries=1, **common, **more),
                  {"include_thoughts": True, "thinking_budget": 1024}, "max_output_tokens",
                  lambda model: GoogleGenerativeAIEmbeddings(model=model, google_api_key=key, base_url=base, additional_headers=headers))


def of_ollama(base, key, headers):
    from langchain_ollama import ChatOllama, OllamaEmbeddings
    common = {"base_url": base, "client_kwargs": {"headers": {"Authorization": f"Bearer {key}", **headers}, "timeout": httpx.Timeout(120), "trust_env": False}}
    return Models(lambda model, **more: ChatOllama(model=model, **common, **more), {"reasoning": True}, "num_predict",
                  lambda model: OllamaEmbeddings(model=model, **common))


run({"langchain-openai": (of_openai(False), {**CASES, **EMBEDDINGS}),
     "langchain-openai-responses": (of_openai(True), CASES),
     "langchain-anthropic": (of_anthropic, CASES),
     "langchain-google": (of_google, {**CASES, **EMBEDDINGS}),
     "langchain-ollama": (of_ollama, {**without("forced_tool", "document"), **EMBEDDINGS})})

"""Google's client through the gateway: to a provider that speaks its API, where bodies go through as they are, and to one that speaks chat completions; and
OpenAI's client in front of a provider that speaks the Gemini API. What is expected is written by hand from the vendors' types."""
import json

import openai
import pytest
from google import genai
from google.genai import errors, types

from harness.processes import Gateway, default_settings

NAMES = ["sim-small", "sim-embed", "sim-reasoner"]


def settings_for(sim, dialect, base):
    provider = {"name": "there", "dialect": dialect, "base_url": f"http://{sim.address}/{base}", "api_key": "sim-key",
                "forward_headers": [f"x-sim-{name}" for name in ("fault", "tokens", "echo", "rate")]}
    return default_settings(sim, providers=[provider],
                            models=[{"name": name, "targets": [{"provider": "there", "model": name}]} for name in NAMES])


@pytest.fixture(scope="module")
def native(weir_binary, sim, module_folder):
    instance = Gateway(weir_binary, module_folder / "native", settings_for(sim, "gemini", "v1beta")).start()
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def translated(weir_binary, sim, module_folder):
    """Google's clients, a provider that speaks chat completions."""
    instance = Gateway(weir_binary, module_folder / "translated", settings_for(sim, "openai", "v1")).start()
    yield instance
    instance.close()


def google(gateway, version=None):
    return genai.Client(api_key=gateway.key, http_options=types.HttpOptions(
        base_url=f"http://{gateway.address}", timeout=60000, api_version=version,
        retry_options=types.HttpRetryOptions(attempts=1)))


def say(text="Hello, weir"):
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def post(gateway, path, body, **headers):
    return gateway.request("POST", path, body, {**gateway.authorization, **headers})


def events_of(answer):
    return [json.loads(block.strip()[6:]) for block in answer.body.decode().replace("\r\n", "\n").split("\n\n") if block.strip()]


# --- the same dialect on both sides ---

@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_content(native, version):
    client = google(native, version)
    answer = client.models.generate_content(model="sim-small", contents="Hello, weir")
    usage = answer.usage_metadata
    assert answer.text and answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 0


@pytest.mark.parametrize("path", ["/v1beta/models/sim-small:generateContent", "/v1/models/sim-small:generateContent",
                                  "/v1/google/v1beta/models/sim-small:generateContent"])
def test_what_it_cost_stands_in_the_usage(native, path):
    answer = post(native, path, say())
    usage = answer.json()["usageMetadata"]
    assert answer.status == 200 and usage["usedCUMilli"] == int(answer.headers["x-weir-used-cu-milli"]) >= 0


def test_a_stream(native):
    client = google(native)
    pieces = list(client.models.generate_content_stream(model="sim-small", contents="Hello, weir"))
    assert "".join(piece.text or "" for piece in pieces)
    assert [piece.candidates[0].finish_reason for piece in pieces if piece.candidates][-1] == types.FinishReason.STOP


def test_the_last_event_of_a_stream_says_what_it_cost(native):
    answer = post(native, "/v1beta/models/sim-small:streamGenerateContent?alt=sse", say())
    events = events_of(answer)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert ["usedCUMilli" in event for event in events] == [False] * (len(events) - 1) + [True]
    assert "finishReason" in events[-1]["candidates"][0]


def test_without_alt_a_stream_is_one_array(native):
    answer = post(native, "/v1beta/models/sim-small:streamGenerateContent", say())
    pieces = answer.json()
    assert answer.headers["content-type"].startswith("application/json")
    assert ["usedCUMilli" in piece for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_counts_and_vectors(native):
    client = google(native)
    assert client.models.count_tokens(model="sim-small", contents="Hello, weir").total_tokens > 0
    vectors = client.models.embed_content(model="sim-embed", contents=["one", "two"]).embeddings
    assert len(vectors) == 2 and all(vector.values for vector in vectors)
    one = post(native, "/v1beta/models/sim-embed:embedContent", {"content": {"parts": [{"text": "one"}]}})
    assert one.status == 200 and one.json()["embedding"]["values"] == pytest.approx(vectors[0].values)


def test_a_member_in_both_spellings_is_refused(native):
    answer = post(native, "/v1beta/models/sim-small:generateContent",
                  {**say(), "generationConfig": {"maxOutputTokens": 5}, "generation_config": {"maxOutputTokens": 50}})
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert "generationConfig" in error["message"]


def test_an_unknown_model_is_googles_error(native):
    client = google(native)
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="no-such-model", contents="Hello")
    assert caught.value.code == 404 and caught.value.status == "NOT_FOUND"


# --- Google's client, another's model ---

WEATHER = {"name": "get_weather", "description": "Tells the weather",
           "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING", "nullable": True}}, "required": ["city"]}}


def test_content_of_another_dialect(translated):
    client = google(translated)
    answer = client.models.generate_content(model="sim-small", contents="Hello, weir")
    usage = answer.usage_metadata
    assert answer.text and answer.model_version == "sim-small" and answer.response_id
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 0


def test_a_translated_stream_says_the_same(translated):
    client = google(translated)
    pieces = list(client.models.generate_content_stream(model="sim-small", contents="Hello, weir"))
    whole = client.models.generate_content(model="sim-small", contents="Hello, weir")
    assert "".join(piece.text or "" for piece in pieces) == whole.text
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert pieces[-1].usage_metadata.total_token_count == whole.usage_metadata.total_token_count


def test_a_translated_stream_as_an_array(translated):
    answer = post(translated, "/v1beta/models/sim-small:streamGenerateContent", say())
    pieces = answer.json()
    assert answer.headers["content-type"] == "application/json" and len(pieces) > 1
    assert ["usedCUMilli" in piece for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_a_schema_in_the_vendors_words_arrives_in_everybodys(translated, sim):
    post(translated, "/v1beta/models/sim-small:generateContent", {**say(), "tools": [{"functionDeclarations": [WEATHER]}]})
    assert sim.last_body()["tools"][0]["function"]["parameters"] == {
        "type": "object", "properties": {"city": {"type": ["string", "null"]}}, "required": ["city"]}


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_with_a_tool(translated, stream):
    client = google(translated)
    settings = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(**WEATHER)])],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    ask = types.Content(role="user", parts=[types.Part(text="What is the weather in Rome?")])

    def told(contents, config):
        if not stream:
            return client.models.generate_content(model="sim-small", contents=contents, config=config).candidates[0].content
        parts = []
        for piece in client.models.generate_content_stream(model="sim-small", contents=contents, config=config):
            parts += piece.candidates[0].content.parts
        return types.Content(role="model", parts=[part for part in parts if part.text or part.function_call])

    first = told([ask], settings)
    calls = [part.function_call for part in first.parts if part.function_call]
    assert calls and calls[0].name == "get_weather" and isinstance(calls[0].args, dict)
    results = types.Content(role="user", parts=[types.Part(function_response=types.FunctionResponse(
        id=call.id, name=call.name, response={"result": "sunny"})) for call in calls])
    last = told([ask, first, results], types.GenerateContentConfig(tools=settings.tools))
    assert any(part.text for part in last.parts)


def test_translated_vectors_and_counts(translated):
    client = google(translated)
    vectors = client.models.embed_content(model="sim-embed", contents=["one", "two"]).embeddings
    assert len(vectors) == 2 and vectors[0].values != vectors[1].values
    assert client.models.count_tokens(model="sim-small", contents="Hello, weir").total_tokens > 0


# --- OpenAI's client, a model of Google's ---

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


@pytest.fixture
def chat(native):
    return openai.OpenAI(api_key=native.key, base_url=f"http://{native.address}/v1", max_retries=0, timeout=60)


def test_chat(chat):
    answer = chat.chat.completions.create(model="sim-small", messages=[
        {"role": "system", "content": "Be short"}, {"role": "user", "content": "Hello, weir"}])
    usage = answer.usage
    assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop"
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def test_a_chat_stream(chat):
    chunks = list(chat.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "Hello, weir"}],
                                               stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == chat.chat.completions.create(
        model="sim-small", messages=[{"role": "user", "content": "Hello, weir"}]).choices[0].message.content
    assert chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize("model", ["sim-small", "sim-reasoner"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_with_a_tool_of_openais(chat, model, stream):
    """The simulator's reasoner wants its signatures back with its calls, as the vendor's models do."""
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    if stream:
        with chat.chat.completions.stream(model=model, messages=messages, tools=[TOOL], tool_choice="required") as events:
            choice = events.get_final_completion().choices[0]
    else:
        choice = chat.chat.completions.create(model=model, messages=messages, tools=[TOOL], tool_choice="required").choices[0]
    calls = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and calls[0].function.name == "get_weather"
    assert isinstance(json.loads(calls[0].function.arguments), dict)
    messages.append({"role": "assistant", "tool_calls": [
        {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in calls]})
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    answer = chat.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    assert answer.choices[0].message.content


def test_vectors_of_google(chat):
    vectors = chat.embeddings.create(model="sim-embed", input=["one", "two"]).data
    assert len(vectors) == 2 and vectors[0].embedding != vectors[1].embedding


def test_an_error_of_google(chat):
    with pytest.raises(openai.APIStatusError) as caught:
        chat.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": "Hi"}],
                                     extra_headers={"x-sim-fault": "status=429"})
    assert caught.value.status_code == 429

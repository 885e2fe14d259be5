"""The official google-genai package straight against the simulator: what a client of the Gemini API sees of it, and what is refused in the
vendor's own words. The rows of /_sim/log say what was used."""
import base64
import json
import zlib

import pytest
from google import genai
from google.genai import errors, types

from harness.plain import call

KEY = {"x-goog-api-key": "any"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
WEATHER = types.FunctionDeclaration(
    name="get_weather", description="Tells the weather",
    parameters={"type": "OBJECT", "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER"}}, "required": ["city"]})
TIME = types.FunctionDeclaration(
    name="get_time", parameters_json_schema={"type": "object", "properties": {"zone": {"$ref": "#/$defs/zone"}},
                                             "$defs": {"zone": {"type": "string", "enum": ["UTC"]}}, "additionalProperties": False})
BOTH = types.Tool(function_declarations=[WEATHER, TIME])
CITY = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}}, "required": ["city", "people"]}


def client_for(sim, version=None, **fields):
    options = types.HttpOptions(base_url=f"http://{sim.address}", timeout=60000, api_version=version,
                                headers={name.replace("_", "-"): value for name, value in fields.items()},
                                retry_options=types.HttpRetryOptions(attempts=1))
    return genai.Client(api_key="any", http_options=options)


@pytest.fixture
def client(sim):
    return client_for(sim)


def last(sim):
    return sim.log()[-1]


def post(sim, action, body, model="sim-small", version="v1beta", query="", **fields):
    return call(sim.address, "POST", f"/{version}/models/{model}:{action}{query}", headers={**KEY, **fields}, body=body)


def say(text="Hello"):
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def refused(answer, status, name, *words):
    error = answer.json()["error"]
    assert (answer.status, error["code"], error["status"]) == (status, status, name)
    for word in words:
        assert word in error["message"]
    return error


def settings(**given):
    return types.GenerateContentConfig(**given)


def text_of(chunks):
    return "".join(part.text for chunk in chunks for part in chunk.candidates[0].content.parts if part.text and not part.thought)


# --- text ---

def test_text_whole(client, sim):
    answer = client.models.generate_content(model="sim-small", contents="Hello", config=settings(system_instruction="Be brief"))
    assert len(answer.text.split()) == 16 and answer.model_version == "sim-small" and answer.response_id
    candidate = answer.candidates[0]
    assert (candidate.finish_reason, candidate.index, candidate.content.role) == ("STOP", 0, "model")
    usage = answer.usage_metadata
    # Two contents at 4, "Hello" is 2 tokens and "Be brief" 2.
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (12, 16, 28)
    assert usage.thoughts_token_count is None and usage.cached_content_token_count is None
    assert [(detail.modality, detail.token_count) for detail in usage.prompt_tokens_details] == [("TEXT", 12)]
    row = last(sim)
    assert (row["path"], row["model"], row["stream"], row["status"]) == ("/models/{model}:generateContent", "sim-small", False, 200)
    assert (row["prompt_tokens"], row["completion_tokens"], row["complete"]) == (12, 16, True)


def test_text_streamed(client, sim):
    chunks = list(client.models.generate_content_stream(model="sim-small", contents="Hello"))
    assert len(chunks) == 17
    assert [chunk.usage_metadata.candidates_token_count for chunk in chunks] == [*range(1, 17), 16]
    assert [chunk.candidates[0].finish_reason for chunk in chunks] == [None] * 16 + ["STOP"]
    assert len({chunk.response_id for chunk in chunks}) == 1
    assert text_of(chunks) == client.models.generate_content(model="sim-small", contents="Hello").text
    assert [row["stream"] for row in sim.log()[-2:]] == [True, False]


def test_stream_on_the_wire(sim):
    answer = post(sim, "streamGenerateContent", say(), query="?alt=sse", **{"x-sim-tokens": "3"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(event) for event in answer.events()]
    assert len(events) == 4 and b"event:" not in answer.body and b"[DONE]" not in answer.body
    assert all(event["usageMetadata"]["promptTokenCount"] == 6 and event["modelVersion"] == "sim-small" for event in events)
    assert events[-1]["candidates"] == [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}]
    assert events[0]["x_sim"]["served"] == last(sim)["n"] and "x_sim" not in events[1]
    folded = post(sim, "streamGenerateContent", say(), query="?alt=sse", **{"x-sim-tokens": "3", "x-sim-multiline": "1", "x-sim-comments": "1"})
    assert [json.loads(event)["candidates"] for event in folded.events()] == [event["candidates"] for event in events]
    assert folded.body.count(b"data: ") == 8 and b": ping" in folded.body


def test_stream_as_an_array(sim):
    answer = post(sim, "streamGenerateContent", say(), **{"x-sim-tokens": "3"})
    assert answer.headers["content-type"] == "application/json"
    chunks = answer.json()
    assert len(chunks) == 4 and chunks[-1]["candidates"][0]["finishReason"] == "STOP"


def test_candidates_and_limits(client):
    answer = client.models.generate_content(model="sim-small", contents="Hello", config=settings(candidate_count=3, max_output_tokens=5))
    texts = [candidate.content.parts[0].text for candidate in answer.candidates]
    assert len(set(texts)) == 3 and all(len(text.split()) == 5 for text in texts)
    assert [(candidate.index, candidate.finish_reason) for candidate in answer.candidates] == [(i, "MAX_TOKENS") for i in range(3)]
    assert answer.usage_metadata.candidates_token_count == 15
    chunks = list(client.models.generate_content_stream(model="sim-small", contents="Hello", config=settings(candidate_count=3, max_output_tokens=5)))
    streamed = ["", "", ""]
    for chunk in chunks:
        candidate, = chunk.candidates
        streamed[candidate.index] += candidate.content.parts[0].text
    assert streamed == texts and chunks[-1].usage_metadata.candidates_token_count == 15


def test_stop_and_seed(client):
    plain = client.models.generate_content(model="sim-small", contents="Hello").text
    word = plain.split()[4]
    cut = client.models.generate_content(model="sim-small", contents="Hello", config=settings(stop_sequences=["zebra", f" {word}"])).text
    assert cut == plain.split(f" {word}")[0]
    seeded = [client.models.generate_content(model="sim-small", contents="Hello", config=settings(seed=seed)).text for seed in (7, 7, 8)]
    assert seeded[0] == seeded[1] != seeded[2] and seeded[0] != plain


def test_both_versions_and_spellings(sim):
    body = {"contents": {"parts": {"text": "Hello"}}, "system_instruction": {"parts": [{"text": "Brief"}]},
            "generation_config": {"max_output_tokens": "4", "stop_sequences": ["zebra"], "thinking_config": {"thinking_level": "low"}}}
    texts = [post(sim, "generateContent", body, version=version).json()["candidates"][0]["content"]["parts"][0]["text"]
             for version in ("v1", "v1beta")]
    assert texts[0] == texts[1] and len(texts[0].split()) == 4
    client = client_for(sim, version="v1beta")
    assert len(client.models.generate_content(model="sim-small", contents="Hello").text.split()) == 16


def test_structured_output(client):
    for given in ({"response_schema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}, "people": {"type": "INTEGER"}}}},
                  {"response_json_schema": CITY}):
        answer = client.models.generate_content(model="sim-small", contents="A city", config=settings(response_mime_type="application/json", **given))
        made = json.loads(answer.text)
        assert set(made) == {"city", "people"} and isinstance(made["people"], int)
    assert isinstance(json.loads(client.models.generate_content(
        model="sim-small", contents="Any", config=settings(response_mime_type="application/json")).text), dict)
    assert client.models.generate_content(model="sim-small", contents="Which", config=settings(
        response_mime_type="text/x.enum", response_schema={"type": "STRING", "enum": ["oak", "elm"]})).text == "oak"


def test_logprobs(client):
    answer = client.models.generate_content(model="sim-small", contents="Hello", config=settings(response_logprobs=True, logprobs=2))
    candidate = answer.candidates[0]
    chosen = candidate.logprobs_result.chosen_candidates
    assert "".join(one.token for one in chosen) == answer.text and all(one.log_probability < 0 for one in chosen)
    assert [len(top.candidates) for top in candidate.logprobs_result.top_candidates] == [2] * 16
    assert candidate.avg_logprobs == pytest.approx(sum(one.log_probability for one in chosen) / 16, abs=1e-4)
    chunks = list(client.models.generate_content_stream(model="sim-small", contents="Hello", config=settings(response_logprobs=True)))
    assert [len(chunk.candidates[0].logprobs_result.chosen_candidates) for chunk in chunks[:-1]] == [1] * 16


# --- functions ---

def test_one_call(client):
    answer = client.models.generate_content(model="sim-small", contents="Weather?", config=settings(tools=[BOTH]))
    one, = answer.function_calls
    assert one.name == "get_weather" and isinstance(one.args["city"], str) and one.id is None
    assert answer.candidates[0].finish_reason == "STOP" and answer.candidates[0].content.parts[0].thought_signature is None
    chunks = list(client.models.generate_content_stream(model="sim-small", contents="Weather?", config=settings(tools=[BOTH])))
    assert len(chunks) == 2 and chunks[0].function_calls == [one] and chunks[1].candidates[0].finish_reason == "STOP"


def test_call_modes(client):
    def calls(mode, names=None, model="sim-small"):
        config = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=mode, allowed_function_names=names))
        answer = client.models.generate_content(model=model, contents="Weather?", config=settings(tools=[BOTH], tool_config=config))
        return [one.name for one in answer.function_calls or []]
    assert calls("NONE") == [] and calls("AUTO") == ["get_weather"] and calls("VALIDATED") == ["get_weather"]
    assert calls("ANY", ["get_time"]) == ["get_time"]
    assert calls("AUTO", model="sim-parallel") == ["get_weather", "get_time"]


def conversation(client, model="sim-reasoner-parallel"):
    asked = types.Content(role="user", parts=[types.Part(text="Weather and time?")])
    answer = client.models.generate_content(model=model, contents=[asked], config=settings(tools=[BOTH]))
    results = [types.Part(function_response=types.FunctionResponse(id=one.id, name=one.name, response={"result": "fine"}))
               for one in answer.function_calls]
    return [asked, answer.candidates[0].content, types.Content(role="user", parts=results)]


def test_signatures_come_back(client):
    history = conversation(client)
    parts = history[1].parts
    assert [part.function_call.name for part in parts] == ["get_weather", "get_time"]
    assert len({part.function_call.id for part in parts}) == 2 and parts[0].function_call.args
    assert parts[0].thought_signature and parts[1].thought_signature is None  # the first call of a step alone is signed
    answer = client.models.generate_content(model="sim-reasoner-parallel", contents=history, config=settings(tools=[BOTH]))
    assert answer.text and answer.candidates[0].content.parts[-1].thought_signature

    parts[0].function_call.args = dict(reversed(list(parts[0].function_call.args.items())))
    client.models.generate_content(model="sim-reasoner-parallel", contents=history)  # members have no order


def test_lost_and_changed_signatures(client):
    history = conversation(client)
    part = history[1].parts[0]
    signature, arguments = part.thought_signature, part.function_call.args

    def refused_with(words):
        with pytest.raises(errors.ClientError) as caught:
            client.models.generate_content(model="sim-reasoner-parallel", contents=history)
        assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT") and words in caught.value.message
    part.thought_signature = None
    refused_with("Function call is missing a thought_signature in functionCall parts.")
    part.thought_signature = signature[:-1] + bytes([signature[-1] ^ 1])
    refused_with("Corrupted thought signature.")
    part.thought_signature, part.function_call.args = signature, {**arguments, "city": "another"}
    refused_with("Corrupted thought signature.")  # the signature of another call
    part.thought_signature = b"skip_thought_signature_validator"
    client.models.generate_content(model="sim-reasoner-parallel", contents=history)
    # Turns that are over are not asked for their signatures.
    part.thought_signature = None
    history += [types.Content(role="model", parts=[types.Part(text="Fine.")]), types.Content(role="user", parts=[types.Part(text="Thanks")])]
    client.models.generate_content(model="sim-reasoner-parallel", contents=history)


def test_streamed_calls_are_signed(client):
    chunks = list(client.models.generate_content_stream(model="sim-reasoner", contents="Weather?", config=settings(tools=[BOTH])))
    part = chunks[0].candidates[0].content.parts[0]
    assert part.function_call.name == "get_weather" and part.thought_signature
    history = [types.Content(role="user", parts=[types.Part(text="Weather?")]), types.Content(role="model", parts=[part]),
               types.Content(role="user", parts=[types.Part.from_function_response(name="get_weather", response={"r": 1})])]
    assert client.models.generate_content(model="sim-reasoner", contents=history).text


def test_turns_are_checked(sim):
    user = {"role": "user", "parts": [{"text": "x"}]}
    asks = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
    answers = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"r": 1}}}]}
    twice = {"role": "user", "parts": answers["parts"] * 2}
    assert post(sim, "generateContent", {"contents": [user, asks, answers]}).status == 200
    rows = [
        ([], "contents is not specified"),
        ([{"role": "assistant", "parts": [{"text": "x"}]}], "Please use a valid role: user, model."),
        ([{"role": "user", "parts": []}], "contents[0].parts: contents.parts must not be empty."),
        ([{"role": "user", "parts": [{"thought": True}]}], "contents[0].parts[0].data: required oneof field 'data' must have one initialized field"),
        ([{"role": "user", "parts": [{"text": "x", "inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}], "oneof field 'data' is already set"),
        ([user, answers], "function response turn comes immediately after a function call turn"),
        ([user, asks, twice], "number of function response parts is equal to the number of function call parts"),
        ([user, asks, user], "number of function response parts is equal to the number of function call parts"),
        ([asks, answers], "function call turn comes immediately after a user turn or after a function response turn"),
        ([user, {"role": "model", "parts": [{"functionCall": {"args": {}}}]}], "Name cannot be empty"),
    ]
    for contents, words in rows:
        refused(post(sim, "generateContent", {"contents": contents}), 400, "INVALID_ARGUMENT", words)


# --- thinking ---

def test_thoughts(client, sim):
    hidden = client.models.generate_content(model="sim-reasoner", contents="Why?")
    shown = client.models.generate_content(model="sim-reasoner", contents="Why?", config=settings(thinking_config={"include_thoughts": True}))
    count = shown.usage_metadata.thoughts_token_count
    assert 8 <= count <= 32 and hidden.usage_metadata.thoughts_token_count == count
    assert shown.usage_metadata.candidates_token_count == 16
    assert shown.usage_metadata.total_token_count == shown.usage_metadata.prompt_token_count + 16 + count
    assert [part.thought for part in shown.candidates[0].content.parts] == [True, None]
    assert len(shown.candidates[0].content.parts[0].text.split()) == count
    assert [part.thought for part in hidden.candidates[0].content.parts] == [None] and hidden.text == shown.text
    row = last(sim)
    assert (row["completion_tokens"], row["reasoning_tokens"]) == (16 + count, count)

    chunks = list(client.models.generate_content_stream(
        model="sim-reasoner", contents="Why?", config=settings(thinking_config={"include_thoughts": True})))
    thoughts = "".join(part.text for chunk in chunks for part in chunk.candidates[0].content.parts if part.thought)
    assert thoughts == shown.candidates[0].content.parts[0].text and text_of(chunks) == shown.text
    assert chunks[-1].candidates[0].content.parts[0].thought_signature == shown.candidates[0].content.parts[1].thought_signature
    assert chunks[-1].usage_metadata.thoughts_token_count == count


def test_thinking_is_steered(client, sim):
    def count(**thinking):
        answer = client.models.generate_content(model="sim-reasoner", contents="Why?", config=settings(thinking_config=thinking))
        return answer.usage_metadata.thoughts_token_count or 0
    usual = count()
    assert count(thinking_budget=0) == 0 and count(thinking_budget=5) == 5 and count(thinking_budget=-1) == usual
    assert [count(thinking_level=level) for level in ("MINIMAL", "LOW", "MEDIUM", "HIGH")] == [usual // 4, usual // 2, usual, usual * 2]
    body = {**say(), "generationConfig": {"thinkingConfig": {"thinkingBudget": 5, "thinkingLevel": "LOW"}}}
    refused(post(sim, "generateContent", body, model="sim-reasoner"), 400, "INVALID_ARGUMENT", "only set only one of thinking budget and thinking level")


def test_thoughts_use_the_limit_up(client):
    answer = client.models.generate_content(model="sim-reasoner", contents="Why?", config=settings(max_output_tokens=4))
    candidate = answer.candidates[0]
    assert candidate.finish_reason == "MAX_TOKENS" and candidate.content.parts is None
    assert (answer.usage_metadata.thoughts_token_count, answer.usage_metadata.candidates_token_count) == (4, None)


# --- what is not text ---

def test_media_are_described(client):
    pdf, sound = b"%PDF-1.7" + bytes(100), bytes(64000)
    answer = client.models.generate_content(model="sim-small", contents=[
        types.Part.from_bytes(data=PNG, mime_type="image/png"), types.Part.from_bytes(data=pdf, mime_type="application/pdf"),
        types.Part.from_bytes(data=sound, mime_type="audio/wav"), types.Part.from_uri(file_uri="https://example.com/a.mp4", mime_type="video/mp4"), "What?"])
    assert answer.text.startswith(f"[image image/png 68 bytes crc32 {zlib.crc32(PNG):08x}] "
                                  f"[file application/pdf 108 bytes crc32 {zlib.crc32(pdf):08x}] "
                                  f"[audio audio/wav 64000 bytes crc32 {zlib.crc32(sound):08x}] "
                                  "[video url https://example.com/a.mp4] ")
    details = {detail.modality: detail.token_count for detail in answer.usage_metadata.prompt_tokens_details}
    assert details == {"TEXT": 6, "IMAGE": 258, "DOCUMENT": 258, "AUDIO": 64, "VIDEO": 263}
    assert answer.usage_metadata.prompt_token_count == sum(details.values())


def test_media_are_refused(sim):
    def part(**given):
        return {"contents": [{"parts": [given]}]}
    refused(post(sim, "generateContent", part(inlineData={"mimeType": "image/gif", "data": "AAAA"})), 400, "INVALID_ARGUMENT", "Unsupported MIME type: image/gif")
    refused(post(sim, "generateContent", part(inlineData={"mimeType": "image/png", "data": "A*AA"})), 400, "INVALID_ARGUMENT",
            "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed")
    padded = base64.b64encode(PNG[:67]).decode()
    for data in (padded, padded.rstrip("="), padded.replace("+", "-").replace("/", "_")):
        answer = post(sim, "generateContent", part(inlineData={"mimeType": "image/png", "data": data})).json()
        assert f"67 bytes crc32 {zlib.crc32(PNG[:67]):08x}" in answer["candidates"][0]["content"]["parts"][0]["text"]


# --- what ends an answer ---

def test_blocked_and_filtered(client, sim):
    blocked = client.models.generate_content(model="sim-blocked", contents="Hello")
    assert blocked.candidates is None and blocked.prompt_feedback.block_reason == "PROHIBITED_CONTENT"
    assert blocked.usage_metadata.total_token_count == blocked.usage_metadata.prompt_token_count == 6
    chunk, = client.models.generate_content_stream(model="sim-blocked", contents="Hello")
    assert chunk.candidates is None and chunk.prompt_feedback.block_reason == "PROHIBITED_CONTENT"
    for answer in (client.models.generate_content(model="sim-unsafe", contents="Hello"),
                   list(client.models.generate_content_stream(model="sim-unsafe", contents="Hello"))[-1]):
        candidate = answer.candidates[0]
        assert candidate.finish_reason == "SAFETY" and answer.usage_metadata.candidates_token_count == 8
        assert [(rating.category, rating.probability) for rating in candidate.safety_ratings if rating.blocked] == [
            ("HARM_CATEGORY_DANGEROUS_CONTENT", "HIGH")]
    assert client.models.generate_content(model="sim-recitation", contents="Hello").candidates[0].finish_reason == "RECITATION"
    bad = post(sim, "generateContent", {**say(), "tools": [{"functionDeclarations": [{"name": "f"}]}]}, model="sim-malformed-call").json()["candidates"]
    assert bad == [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Malformed function call: call:default_api.", "index": 0}]
    rated = client.models.generate_content(model="sim-small", contents="Hello", config=settings(safety_settings=[
        {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}])).candidates[0]
    assert {rating.probability for rating in rated.safety_ratings} == {"NEGLIGIBLE"}


def test_cached_prompts(client, sim):
    assert client.models.generate_content(model="sim-cached", contents="Hello").usage_metadata.cached_content_token_count == 4  # 3/4 of 6
    answer = client.models.generate_content(model="sim-small", contents="Never said before", config=settings(cached_content="cachedContents/x"))
    usage = answer.usage_metadata
    assert (usage.cached_content_token_count, usage.prompt_token_count) == (1024, 1024 + 4 + 5)
    assert [(detail.modality, detail.token_count) for detail in usage.cache_tokens_details] == [("TEXT", 1024)]
    refused(post(sim, "generateContent", {**say(), "cachedContent": "cachedContents/unknown"}), 403, "PERMISSION_DENIED", "CachedContent not found")
    refused(post(sim, "generateContent", {**say(), "cachedContent": "cachedContents/x", "systemInstruction": {"parts": [{"text": "x"}]}}),
            400, "INVALID_ARGUMENT", "CachedContent can not be used")


def test_tools_of_the_api_count(client, sim):
    answer = client.models.generate_content(model="sim-small", contents="Hello", config=settings(tools=[types.Tool(google_search=types.GoogleSearch())]))
    usage = answer.usage_metadata
    assert usage.tool_use_prompt_token_count == 24
    assert usage.total_token_count == usage.prompt_token_count + 24 + 16
    assert last(sim)["prompt_tokens"] == usage.prompt_token_count + 24


# --- a scripted answer ---

SCRIPT = {"blocks": [{"thinking": "Let me see", "signature": "c2lnbmVk"}, {"text": "Here it is: "}, {"tool": {"name": "f", "id": "c1", "arguments": {"a": [1, 2.5]}}}],
          "usage": {"input": 100, "cached": 40, "input_audio": 7, "tool_input": 5, "output": 30, "reasoning": 12}}


def test_script(sim):
    answer = post(sim, "generateContent", say(), **{"x-sim-script": json.dumps(SCRIPT)}).json()
    assert answer["candidates"] == [{"content": {"role": "model", "parts": [
        {"text": "Let me see", "thought": True}, {"text": "Here it is: ", "thoughtSignature": "c2lnbmVk"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": [1, 2.5]}}}]}, "finishReason": "STOP", "index": 0}]
    assert answer["usageMetadata"] == {
        "promptTokenCount": 95, "candidatesTokenCount": 18, "toolUsePromptTokenCount": 5, "thoughtsTokenCount": 12, "totalTokenCount": 130,
        "cachedContentTokenCount": 40,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 88}, {"modality": "AUDIO", "tokenCount": 7}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 40}], "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 18}]}
    row = last(sim)
    assert (row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"], row["reasoning_tokens"]) == (100, 40, 30, 12)

    events = [json.loads(event) for event in post(sim, "streamGenerateContent", say(), query="?alt=sse", **{"x-sim-script": json.dumps(SCRIPT)}).events()]
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts if part.get("thought")) == "Let me see"
    assert "".join(part.get("text", "") for part in parts if not part.get("thought")) == "Here it is: "
    assert [part["thoughtSignature"] for part in parts if "thoughtSignature" in part] == ["c2lnbmVk"]
    assert [part["functionCall"]["args"] for part in parts if "functionCall" in part] == [{"a": [1, 2.5]}]
    assert events[-1]["usageMetadata"] == answer["usageMetadata"]
    assert last(sim)["completion_tokens"] == 30


def test_script_words_of_its_own(sim):
    native = {"blocks": [{"text": "x"}], "native_finish": "SPII", "native_usage": {"promptTokenCount": 1, "totalTokenCount": 2}}
    answer = post(sim, "generateContent", say(), **{"x-sim-script": json.dumps(native)}).json()
    assert answer["candidates"][0]["finishReason"] == "SPII" and answer["usageMetadata"] == {"promptTokenCount": 1, "totalTokenCount": 2}
    blocked = post(sim, "generateContent", say(), **{"x-sim-script": '{"blocks":[],"native_finish":"BLOCK:JAILBREAK"}'}).json()
    assert blocked["promptFeedback"] == {"blockReason": "JAILBREAK"} and "candidates" not in blocked


# --- other calls ---

def test_count_tokens(client, sim):
    assert client.models.count_tokens(model="sim-small", contents="Hello").total_tokens == 6
    whole = {"generateContentRequest": {"model": "models/sim-small", **say(), "systemInstruction": {"parts": [{"text": "Be brief"}]}}}
    answer = post(sim, "countTokens", whole).json()
    assert (answer["totalTokens"], answer["promptTokensDetails"]) == (12, [{"modality": "TEXT", "tokenCount": 12}])
    refused(post(sim, "countTokens", {**whole, **say()}), 400, "INVALID_ARGUMENT", "only one of contents and generate_content_request")
    assert last(sim)["path"] == "/models/{model}:countTokens" and last(sim)["prompt_tokens"] == 0


def test_embeddings(client, sim):
    answer = client.models.embed_content(model="sim-embedding", contents=["one", "two", "one"])
    vectors = [embedding.values for embedding in answer.embeddings]
    assert [len(vector) for vector in vectors] == [3072] * 3 and vectors[0] == vectors[2] != vectors[1]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1, abs=1e-3)
    assert (last(sim)["path"], last(sim)["prompt_tokens"]) == ("/models/{model}:batchEmbedContents", 15)
    assert len(client.models.embed_content(model="sim-embedding", contents="one", config={"output_dimensionality": 8}).embeddings[0].values) == 8
    single = post(sim, "embedContent", {"content": {"parts": [{"text": "one"}]}, "taskType": "RETRIEVAL_QUERY"}, model="sim-embedding").json()
    assert single["embedding"]["values"] == vectors[0] and single["usageMetadata"]["promptTokenCount"] == 5
    refused(post(sim, "batchEmbedContents", {"requests": [{"model": "models/other", "content": {"parts": [{"text": "x"}]}}]}), 400,
            "INVALID_ARGUMENT", "model must match")
    refused(post(sim, "embedContent", {}), 400, "INVALID_ARGUMENT", "content is not specified")


def test_models(client, sim):
    assert [model.name for model in client.models.list(config={"page_size": 3})] == [
        "models/sim-small", "models/sim-large", "models/sim-reasoner", "models/sim-embedding"]
    page = call(sim.address, "GET", "/v1beta/models?pageSize=3", headers=KEY).json()
    assert len(page["models"]) == 3 and page["nextPageToken"]
    model = client.models.get(model="sim-reasoner")
    assert model.thinking is True and model.supported_actions == ["generateContent", "countTokens"]
    refused(call(sim.address, "GET", "/v1beta/models/unknown-model", headers=KEY), 404, "NOT_FOUND")
    # The same path speaks OpenAI's dialect to whoever comes with a bearer token alone.
    assert call(sim.address, "GET", "/v1/models", headers={"authorization": "Bearer any"}).json()["object"] == "list"
    assert "models" in call(sim.address, "GET", "/v1/models", headers=KEY).json()


# --- refusals ---

def test_keys(sim):
    path = "/v1beta/models/sim-small:generateContent"
    for query, headers in (("?key=any", {}), ("", {"authorization": "Bearer any"}), ("", KEY)):
        assert call(sim.address, "POST", path + query, headers=headers, body=say()).status == 200
    for query, headers in (("", {}), ("?key=", {}), ("?monkey=any", {}), ("", {"x-api-key": "any"})):
        error = refused(call(sim.address, "POST", path + query, headers=headers, body=say()), 403, "PERMISSION_DENIED", "unregistered callers")
        assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"


def test_unknown_names(sim):
    rows = [
        ({**say(), "model_name": "x"}, "Invalid JSON payload received. Unknown name \"model_name\": Cannot find field."),
        ({**say(), "generationConfig": {"max_tokens": 3}}, "Unknown name \"max_tokens\" at 'generation_config': Cannot find field."),
        ({"contents": [{"parts": [{"txt": "x"}]}]}, "Unknown name \"txt\" at 'contents[0].parts[0]': Cannot find field."),
        ({**say(), "systemInstruction": []}, "Unknown name \"systemInstruction\": Proto field is not repeating, cannot start list."),
        ({**say(), "generationConfig": {"temperature": "warm"}}, "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"warm\""),
        ({**say(), "generationConfig": {"maxOutputTokens": 1.5}}, "Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), 1.5"),
        ({"contents": ["x"]}, "Invalid value at 'contents[0]' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content), \"x\""),
        ({**say(), "generationConfig": {"responseModalities": ["SMELL"]}}, "Invalid value at 'generation_config.response_modalities[0]'"),
    ]
    for body, words in rows:
        error = refused(post(sim, "generateContent", body), 400, "INVALID_ARGUMENT", words)
        assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    refused(post(sim, "generateContent", b"{"), 400, "INVALID_ARGUMENT", "Invalid JSON payload received.")
    refused(post(sim, "generateContent", say(), model="unknown-model"), 404, "NOT_FOUND", "models/unknown-model is not found")


def test_settings_out_of_bounds(sim):
    rows = [
        ({"temperature": 2.5}, "temperature must be in the range [0.0, 2.0]"),
        ({"topP": 1.5}, "top_p must be in the range [0.0, 1.0]"),
        ({"topK": 0}, "top_k must be positive"),
        ({"candidateCount": 9}, "candidate count must be in range of 1 (inclusive) to 9 (exclusive)"),
        ({"maxOutputTokens": 0}, "max_output_tokens must be positive"),
        ({"stopSequences": list("abcdef")}, "less than or equal to 5"),
        ({"logprobs": 2}, "only allowed where response_logprobs is true"),
        ({"responseLogprobs": True, "logprobs": 21}, "range [0, 20]"),
        ({"responseMimeType": "text/html"}, "allowed mimetypes are"),
        ({"responseSchema": {"type": "STRING"}}, "response_mime_type"),
        ({"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}, "responseJsonSchema": {}}, "only one of"),
    ]
    for config, words in rows:
        refused(post(sim, "generateContent", {**say(), "generationConfig": config}), 400, "INVALID_ARGUMENT", words)


def test_declarations_are_checked(sim):
    def tools(declaration, **more):
        return {**say(), "tools": [{"functionDeclarations": [{"name": "f", **declaration}]}], **more}

    def schema(**properties):
        return {"parameters": {"type": "OBJECT", "properties": properties}}
    rows = [
        (tools(schema(a={"$ref": "#/x"})), "Unknown name \"$ref\" at 'tools[0].function_declarations[0].parameters.properties[0].value'"),
        (tools({"parameters": {"type": "object", "additionalProperties": False}}), "Unknown name \"additionalProperties\""),
        (tools(schema(a={"type": ["string", "null"]})), "Proto field is not repeating, cannot start list."),
        (tools({"parameters": {"type": "OBJECT"}}), "parameters.properties: should be non-empty for OBJECT type"),
        (tools(schema(a={"type": "ARRAY"})), "parameters.properties[a].items: missing field."),
        (tools(schema(a={"type": "STRING", "format": "email"})), "only 'enum' and 'date-time' are supported for STRING type"),
        (tools({"parameters": {**schema(a={"type": "STRING"})["parameters"], "required": ["b"]}}), "required[0]: property is not defined"),
        (tools({"name": "7 days"}), "Invalid function name"),
        (tools({**schema(a={"type": "STRING"}), "parametersJsonSchema": {}}), "only one of"),
        ({**say(), "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "Function calling config is set without function_declarations."),
        (tools({}, toolConfig={"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}), "mode is ANY"),
        (tools({}, toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}), "only names of declared functions"),
    ]
    for body, words in rows:
        refused(post(sim, "generateContent", body), 400, "INVALID_ARGUMENT", words)


# --- faults ---

@pytest.mark.parametrize("status,name", [(400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"),
                                         (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED")])
def test_status_faults(sim, status, name):
    client = client_for(sim, x_sim_fault=f"status={status}")
    with pytest.raises(errors.APIError) as caught:
        client.models.generate_content(model="sim-small", contents="Hello")
    assert (caught.value.code, caught.value.status) == (status, name)


def test_retry_info(sim):
    error = refused(post(sim, "generateContent", say(), **{"x-sim-fault": "status=429; retry-after=7; code=RATE_LIMIT_EXCEEDED"}), 429, "RESOURCE_EXHAUSTED")
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    assert details["RetryInfo"]["retryDelay"] == "7s" and details["ErrorInfo"]["reason"] == "RATE_LIMIT_EXCEEDED" and "QuotaFailure" in details


def test_broken_streams(sim):
    client = client_for(sim, x_sim_fault="error-event")
    with pytest.raises(errors.ServerError) as caught:
        list(client.models.generate_content_stream(model="sim-small", contents="Hello"))
    assert (caught.value.code, caught.value.status) == (500, "INTERNAL")
    assert last(sim)["complete"] is False and last(sim)["completion_tokens"] == 8
    array = post(sim, "streamGenerateContent", say(), **{"x-sim-fault": "error-event"}).json()
    assert len(array) == 9 and array[-1]["error"]["status"] == "INTERNAL"
    alone = post(sim, "streamGenerateContent", say(), **{"x-sim-fault": "error-event", "x-sim-tokens": "1"}).json()
    assert [list(element) for element in alone] == [["error"]]
    cut = post(sim, "streamGenerateContent", say(), query="?alt=sse", **{"x-sim-fault": "truncate=3"})
    assert len(cut.events()) == 3 and last(sim)["completion_tokens"] == 3
    unfinished = post(sim, "streamGenerateContent", say(), query="?alt=sse", **{"x-sim-fault": "no-done"})
    assert len(unfinished.events()) == 16 and b"finishReason" not in unfinished.body
    broken = post(sim, "streamGenerateContent", say(), query="?alt=sse", **{"x-sim-fault": "bad-json"}).events()
    assert len(broken) == 18
    with pytest.raises(json.JSONDecodeError):
        [json.loads(event) for event in broken]


def test_usage_faults(sim):
    def usage(fault, **more):
        return post(sim, "generateContent", say(), **{"x-sim-fault": fault}, **more).json().get("usageMetadata")
    assert usage("no-usage") is None
    doubled = usage("wrong-usage=2")
    assert (doubled["promptTokenCount"], doubled["candidatesTokenCount"], doubled["totalTokenCount"]) == (12, 32, 44)
    assert last(sim)["completion_tokens"] == 16
    stream = post(sim, "streamGenerateContent", say(), query="?alt=sse", **{"x-sim-fault": "no-usage"})
    assert b"usageMetadata" not in stream.body
    huge = post(sim, "generateContent", say(), **{"x-sim-fault": "huge=100000"}).json()
    assert len(huge["candidates"][0]["content"]["parts"][0]["text"]) == 100000 and huge["usageMetadata"]["candidatesTokenCount"] == 25000


def test_head(sim):
    headers = post(sim, "generateContent", say()).headers
    assert headers["server"] == "scaffolding on HTTPServer2" and "openai-version" not in headers and "x-request-id" not in headers

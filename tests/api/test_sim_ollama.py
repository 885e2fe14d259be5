"""The official Ollama package for Python straight against the simulator: what a client of Ollama's own API sees of it, and what is
refused in Ollama's own words. The rows of /_sim/log say what was used."""
import base64
import json
import zlib

import ollama
import pytest

from harness.plain import call

JSON = {"Content-Type": "application/json"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 9
USER = [{"role": "user", "content": "What is the weather?"}]
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Tells the weather",
    "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}}
TIME = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}}, "required": ["city", "people"]}


@pytest.fixture
def client(sim):
    return ollama.Client(host=f"http://{sim.address}", timeout=60)


def with_fields(sim, **fields):
    return ollama.Client(host=f"http://{sim.address}", timeout=60, headers={name.replace("_", "-"): value for name, value in fields.items()})


def last(sim):
    return sim.log()[-1]


def post(sim, path, body, **fields):
    return call(sim.address, "POST", path, headers={**JSON, **fields}, body=body)


def lines_of(answer):
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.body.endswith(b"\n")
    return [json.loads(line) for line in answer.body.decode().splitlines()]


def refused(sim, path, body, status, message):
    answer = post(sim, path, body)
    assert (answer.status, json.loads(answer.body)) == (status, {"error": message})


# --- chat ---

def test_chat_whole(client, sim):
    answer = client.chat("sim-small", USER)
    assert (answer.model, answer.done, answer.done_reason) == ("sim-small", True, "stop")
    assert answer.message.role == "assistant" and len(answer.message.content.split()) == 16
    assert answer.message.thinking is None and answer.message.tool_calls is None
    assert answer.prompt_eval_count == 3 + 4 + 5 and answer.eval_count == 16
    assert answer.total_duration > answer.eval_duration > 0 and answer.load_duration > 0 and answer.prompt_eval_duration > 0
    row = last(sim)
    assert (row["path"], row["model"], row["stream"], row["complete"]) == ("/api/chat", "sim-small", False, True)
    assert (row["prompt_tokens"], row["completion_tokens"], row["reasoning_tokens"]) == (12, 16, 0)


def test_chat_streams_unless_told_not_to(client, sim):
    whole = client.chat("sim-small", USER).message.content
    parts = list(client.chat("sim-small", USER, stream=True))
    assert len(parts) == 17
    assert "".join(part.message.content for part in parts) == whole
    assert [part.done for part in parts] == [False] * 16 + [True]
    assert all(part.done_reason is None and part.eval_count is None for part in parts[:-1])
    assert parts[-1].message.content == "" and parts[-1].done_reason == "stop"
    assert (parts[-1].prompt_eval_count, parts[-1].eval_count) == (12, 16)
    # no member `stream` at all: the server streams
    lines = lines_of(post(sim, "/api/chat", {"model": "sim-small", "messages": USER}))
    assert len(lines) == 17 and lines[-1]["done"]
    assert last(sim)["stream"] is True


def test_types_of_answers(sim):
    assert post(sim, "/api/chat", {"model": "m", "messages": USER, "stream": False}).headers["content-type"] == "application/json; charset=utf-8"
    refused = post(sim, "/api/chat", {"model": "unknown-model", "messages": USER})
    assert refused.headers["content-type"].startswith("application/json")


def test_same_request_same_answer_and_seed(client):
    first = client.chat("sim-small", USER).message.content
    assert client.chat("sim-small", USER).message.content == first
    assert client.chat("sim-small", USER, options={"seed": 7}).message.content != first
    assert client.chat("sim-small", USER, options={"seed": 7}).message.content == client.chat("sim-small", USER, options={"seed": 7}).message.content


def test_limit_and_stop(client):
    answer = client.chat("sim-small", USER, options={"num_predict": 5})
    assert (answer.done_reason, answer.eval_count, len(answer.message.content.split())) == ("length", 5, 5)
    assert client.chat("sim-small", USER, options={"num_predict": -1}).eval_count == 16
    words = client.chat("sim-small", USER).message.content.split()
    stopped = client.chat("sim-small", USER, options={"stop": ["never", " " + words[3]]})
    assert stopped.message.content == " ".join(words[:3]) and stopped.done_reason == "stop"


def test_every_option_passes(client):
    options = {"num_keep": 5, "seed": 42, "num_predict": 100, "top_k": 20, "top_p": 0.9, "min_p": 0.0, "typical_p": 0.7, "repeat_last_n": 33,
               "temperature": 0.8, "repeat_penalty": 1.2, "presence_penalty": 1.5, "frequency_penalty": 1.0, "stop": ["\n", "user:"],
               "num_ctx": 1024, "num_batch": 2, "num_gpu": 1, "main_gpu": 0, "use_mmap": True, "num_thread": 8, "no_such_option": "x"}
    assert client.chat("sim-small", USER, options=options, keep_alive="1h30m").done


def test_thinking(client, sim):
    usual = client.chat("sim-reasoner", USER)
    thoughts = usual.message.thinking.split()
    assert 8 <= len(thoughts) <= 32 and usual.eval_count == len(thoughts) + 16
    assert last(sim)["reasoning_tokens"] == 0 and last(sim)["completion_tokens"] == usual.eval_count
    assert client.chat("sim-reasoner", USER, think=True).message.thinking == usual.message.thinking
    off = client.chat("sim-reasoner", USER, think=False)
    assert off.message.thinking is None and off.eval_count == 16
    assert len(client.chat("sim-reasoner", USER, think="high").message.thinking.split()) == 2 * len(thoughts)
    assert len(client.chat("sim-reasoner", USER, think="low").message.thinking.split()) == len(thoughts) // 2
    parts = list(client.chat("sim-reasoner", USER, stream=True))
    kinds = ["thinking" if part.message.thinking else "content" if part.message.content else "end" for part in parts]
    assert kinds == ["thinking"] * len(thoughts) + ["content"] * 16 + ["end"]
    assert all(part.message.content == "" for part in parts[:len(thoughts)])


def test_thinking_of_a_model_that_cannot(client):
    for think in (True, "medium"):
        with pytest.raises(ollama.ResponseError) as caught:
            client.chat("sim-small", USER, think=think)
        assert (caught.value.status_code, caught.value.error) == (400, '"sim-small" does not support thinking')
    assert client.chat("sim-small", USER, think=False).message.content


def test_tool_round(client):
    answer = client.chat("sim-small", USER, tools=[WEATHER])
    assert answer.message.content == "" and answer.done_reason == "stop"
    made, = answer.message.tool_calls
    assert made.function.name == "get_weather"
    assert isinstance(made.function.arguments["city"], str) and isinstance(made.function.arguments["days"], int)
    history = USER + [answer.message, {"role": "tool", "tool_name": "get_weather", "content": "rain"}]
    second = client.chat("sim-small", history, tools=[WEATHER])
    assert second.message.tool_calls is None and len(second.message.content.split()) == 16
    assert second.prompt_eval_count > answer.prompt_eval_count


def test_tool_calls_of_a_stream(client, sim):
    whole = client.chat("sim-parallel", USER, tools=[WEATHER, TIME]).message.tool_calls
    assert [one.function.name for one in whole] == ["get_weather", "get_time"]
    parts = list(client.chat("sim-parallel", USER, tools=[WEATHER, TIME], stream=True))
    assert [len(part.message.tool_calls or []) for part in parts] == [1, 1, 0]
    assert [part.message.tool_calls[0].function.arguments for part in parts[:2]] == [one.function.arguments for one in whole]
    assert parts[-1].eval_count == last(sim)["completion_tokens"]
    together = list(client.chat("sim-parallel-calls-together", USER, tools=[WEATHER, TIME], stream=True))
    assert [len(part.message.tool_calls or []) for part in together] == [2, 0]


def test_ids_and_places_of_calls(sim):
    body = {"model": "sim-parallel", "messages": USER, "tools": [WEATHER, TIME], "stream": False}
    calls = json.loads(post(sim, "/api/chat", body).body)["message"]["tool_calls"]
    assert [one["function"]["index"] for one in calls] == [0, 1]
    assert all(one["id"].startswith("call_") and len(one["id"]) == 13 for one in calls) and calls[0]["id"] != calls[1]["id"]
    calls = json.loads(post(sim, "/api/chat", {**body, "model": "sim-parallel-no-call-ids"}).body)["message"]["tool_calls"]
    assert len(calls) == 2 and all(set(one) == {"function"} for one in calls)


def test_a_call_that_the_limit_cuts_is_left_out(client):
    answer = client.chat("sim-small", USER, tools=[WEATHER], options={"num_predict": 2})
    assert (answer.done_reason, answer.eval_count, answer.message.tool_calls) == ("length", 2, None)


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(client, stream):
    answer = client.chat("sim-small", USER, format=SCHEMA, stream=stream)
    text = "".join(part.message.content for part in answer) if stream else answer.message.content
    value = json.loads(text)
    assert isinstance(value["city"], str) and isinstance(value["people"], int)
    assert isinstance(json.loads(client.chat("sim-small", USER, format="json").message.content), dict)


def test_pictures_are_described(client, sim):
    messages = [{"role": "user", "content": "What is this?", "images": [PNG, JPEG]}]
    described = (f"[image image/png {len(PNG)} bytes crc32 {zlib.crc32(PNG):08x}] "
                 f"[image image/jpeg {len(JPEG)} bytes crc32 {zlib.crc32(JPEG):08x}] ")
    whole = client.chat("sim-small", messages)
    assert whole.message.content.startswith(described)
    assert whole.prompt_eval_count == 3 + 4 + 4 + 2 * 85
    assert "".join(part.message.content for part in client.chat("sim-small", messages, stream=True)) == whole.message.content
    assert client.generate("sim-small", "What is this?", images=[PNG]).response.startswith(described[:described.index("] ") + 2])
    assert sim.last_body()["images"] == [base64.b64encode(PNG).decode()]


@pytest.mark.parametrize("image, offset", [
    ("data:image/png;base64,iVBORw0K", 4), ("iVBORw0", 4), ("iVBO!w0K", 4), ("iVBORw0K=", 8), ("iVBO====", 4), ("iVB=Rw0K", 4), ("iV=ORw0K", 2)])
def test_pictures_that_are_no_base64(sim, image, offset):
    for path, body in (("/api/chat", {"messages": [{"role": "user", "content": "x", "images": [image]}]}),
                       ("/api/generate", {"prompt": "x", "images": [image]})):
        refused(sim, path, {"model": "m", **body}, 400, f"illegal base64 data at input byte {offset}")


def test_logprobs(client):
    answer = client.chat("sim-small", USER, logprobs=True, top_logprobs=3)
    assert "".join(one.token for one in answer.logprobs) == answer.message.content
    assert all(len(one.top_logprobs) == 3 and one.top_logprobs[0].token == one.token and one.logprob <= 0 for one in answer.logprobs)
    parts = list(client.chat("sim-small", USER, logprobs=True, stream=True))
    assert [part.logprobs[0].token for part in parts[:-1]] == [part.message.content for part in parts[:-1]]
    assert client.chat("sim-small", USER).logprobs is None


def test_loading(client, sim):
    answer = client.chat("sim-small", [])
    assert (answer.done, answer.done_reason, answer.message.content, answer.eval_count) == (True, "load", "", None)
    assert client.chat("sim-small", [], keep_alive=0).done_reason == "unload"
    assert client.generate("sim-small").done_reason == "load"
    assert client.generate("sim-small", keep_alive="0s").done_reason == "unload"
    assert client.generate("sim-small", keep_alive="5m").done_reason == "load"
    assert last(sim)["prompt_tokens"] == last(sim)["completion_tokens"] == 0


# --- generate ---

def test_generate(client, sim):
    answer = client.generate("sim-small", "Why is the sky blue?", system="Be brief.", suffix="The end.", template="{{ .Prompt }}")
    assert len(answer.response.split()) == 16 and answer.done_reason == "stop"
    assert answer.prompt_eval_count == 3 + 4 + 5 + 3 + 2 + 4
    assert len(answer.context) == answer.prompt_eval_count + answer.eval_count
    parts = list(client.generate("sim-small", "Why is the sky blue?", system="Be brief.", suffix="The end.", template="{{ .Prompt }}", stream=True))
    assert "".join(part.response for part in parts) == answer.response
    assert parts[-1].context == answer.context and parts[-1].eval_count == 16
    onward = client.generate("sim-small", "And now?", context=answer.context)
    assert onward.prompt_eval_count == 3 + 4 + 2 + len(answer.context)
    assert last(sim)["path"] == "/api/generate"


def test_generate_raw(client, sim):
    assert client.generate("sim-small", "[INST] x [/INST]", raw=True).context is None
    refused(sim, "/api/generate", {"model": "m", "prompt": "x", "raw": True, "system": "y"}, 400,
            "raw mode does not support template, system, or context")


def test_generate_thinks_and_formats(client):
    answer = client.generate("sim-reasoner", "x", think=True, format=SCHEMA)
    assert answer.thinking and set(json.loads(answer.response)) == {"city", "people"}
    parts = list(client.generate("sim-reasoner", "x", think=True, format=SCHEMA, stream=True))
    assert "".join(part.thinking or "" for part in parts) == answer.thinking
    assert "".join(part.response for part in parts) == answer.response


# --- vectors ---

def length_of(vector):
    return sum(value * value for value in vector)


def test_embed(client, sim):
    answer = client.embed("embed-small", ["one text", "another one", "one text"])
    assert [len(vector) for vector in answer.embeddings] == [768] * 3
    assert answer.embeddings[0] == answer.embeddings[2] != answer.embeddings[1]
    assert all(abs(length_of(vector) - 1) < 1e-4 for vector in answer.embeddings)
    assert answer.prompt_eval_count == 2 + 3 + 2 == last(sim)["prompt_tokens"]
    assert client.embed("embed-small", "one text").embeddings == [answer.embeddings[0]]
    short = client.embed("embed-small", "one text", dimensions=64).embeddings[0]
    assert len(short) == 64 and abs(length_of(short) - 1) < 1e-4
    assert client.embed("embed-small", "").embeddings == []
    assert len(client.embeddings("embed-large", "one text").embedding) == 1024
    assert client.embeddings("embed-small", "").embedding == []


def test_embed_too_long(client, sim):
    long = "word" * 5000
    assert client.embed("embed-small", long).prompt_eval_count == 4096
    assert client.embed("embed-small", long, options={"num_ctx": 8192}).prompt_eval_count == 5000
    refused(sim, "/api/embed", {"model": "m", "input": long, "truncate": False}, 400, "the input length exceeds the context length")
    for bad in (7, [7], {"text": "x"}, ["a", ["b"]]):
        refused(sim, "/api/embed", {"model": "m", "input": bad}, 400, "invalid input type")


# --- models ---

def test_models(client):
    assert [model.model for model in client.list().models] == ["sim-small:latest", "sim-large:latest", "sim-reasoner:latest"]
    assert all(len(model.digest) == 64 and model.size > 0 and model.details.format == "gguf" for model in client.list().models)
    assert client.ps().models[0].model == "sim-small:latest"
    assert "thinking" in client.show("sim-reasoner").capabilities and "thinking" not in client.show("sim-small").capabilities
    assert client.show("embed-small").capabilities == ["embedding"]
    assert client.show("sim-small").modelinfo["general.architecture"] == "sim"
    with pytest.raises(ollama.ResponseError) as caught:
        client.show("unknown-model")
    assert caught.value.status_code == 404


def test_is_there(sim):
    calls = len(sim.log())
    assert call(sim.address, "GET", "/").body == b"Ollama is running"
    for path in ("/", "/api/version", "/api/tags"):
        answer = call(sim.address, "HEAD", path)
        assert answer.status == 200 and answer.body == b""
    assert "version" in json.loads(call(sim.address, "GET", "/api/version").body)
    assert len(sim.log()) == calls, "what only tells about the server is no call"


# --- what is refused ---

def place(field, kind, go_type, where="ChatRequest"):
    return f"json: cannot unmarshal {kind} into Go struct field {where}.{field} of type {go_type}"


def past_call(**function):
    return [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"function": {"name": "f", **function}}]}]


@pytest.mark.parametrize("members, message", [
    ({"messages": past_call(arguments='{"a":1}')}, place("messages.tool_calls.function.arguments", "string", "api.ToolCallFunctionArguments")),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, place("messages.content", "array", "string")),
    ({"messages": [{"role": "user", "images": [{"url": "x"}]}]}, place("messages.images", "object", "api.ImageData")),
    ({"messages": "x"}, place("messages", "string", "[]api.Message")),
    ({"messages": ["x"]}, place("messages", "string", "api.Message")),
    ({"messages": USER, "stream": "yes"}, place("stream", "string", "bool")),
    ({"messages": USER, "options": []}, place("options", "array", "map[string]interface {}")),
    ({"messages": USER, "tools": {}}, place("tools", "object", "api.Tools")),
    ({"messages": USER, "tools": [{"type": "function", "function": {"name": "f", "parameters": "{}"}}]},
     place("tools.function.parameters", "string", "api.ToolFunctionParameters")),
    ({"messages": USER, "top_logprobs": 1.5}, place("top_logprobs", "number", "int")),
    ({"messages": USER, "top_logprobs": 21}, "top_logprobs must be between 0 and 20"),
    ({"messages": USER, "think": 1}, 'think must be a boolean or string ("high", "medium", "low", true, or false)'),
    ({"messages": USER, "think": "much"}, 'invalid think value: "much" (must be "high", "medium", "low", true, or false)'),
    ({"messages": USER, "keep_alive": "soon"}, 'time: invalid duration "soon"'),
    ({"messages": [{"role": "developer", "content": "x"}]}, 'message 0: no such role: "developer"'),
])
def test_refused_requests(sim, members, message):
    refused(sim, "/api/chat", {"model": "m", **members}, 400, message)


def test_other_refusals(sim):
    refused(sim, "/api/chat", {"messages": USER}, 400, "model is required")
    refused(sim, "/api/chat", {"model": "unknown-model", "messages": USER}, 404, "model 'unknown-model' not found")
    refused(sim, "/api/generate", {"prompt": "x"}, 404, "model '' not found")
    refused(sim, "/api/generate", {"model": "m", "prompt": 1}, 400, place("prompt", "number", "string", "GenerateRequest"))
    refused(sim, "/api/chat", {"model": "no-tools", "messages": USER, "tools": [TIME]}, 400,
            "registry.ollama.ai/library/no-tools does not support tools")
    refused(sim, "/api/chat", {"model": "m", "messages": USER, "format": "yaml"}, 500,
            'invalid format: "yaml"; expected "json" or a valid JSON Schema object')
    for name, value, wanted in (("stop", "x", "of type array"), ("stop", [1], "of an array of strings"), ("temperature", "1", "of type float32"),
                                ("num_predict", "1", "of type integer"), ("use_mmap", 1, "of type boolean")):
        refused(sim, "/api/chat", {"model": "m", "messages": USER, "options": {name: value}}, 500, f'option "{name}" must be {wanted}')
    assert json.loads(call(sim.address, "POST", "/api/chat", headers=JSON).body) == {"error": "missing request body"}
    assert call(sim.address, "POST", "/api/chat", headers=JSON, body=b"{").status == 400
    assert json.loads(call(sim.address, "GET", "/api/nothing").body).keys() == {"error"}


# --- faults and wishes ---

def test_status_faults(sim):
    for status in (400, 404, 429, 500, 503):
        with pytest.raises(ollama.ResponseError) as caught:
            with_fields(sim, x_sim_fault=f"status={status}; retry-after=3").chat("sim-small", USER)
        assert caught.value.status_code == status
        answer = post(sim, "/api/chat", {"model": "m", "messages": USER}, **{"x-sim-fault": f"status={status}; retry-after=3"})
        assert list(json.loads(answer.body)) == ["error"] and answer.headers["retry-after"] == "3"


def test_a_stream_that_breaks(sim):
    parts = []
    with pytest.raises(ollama.ResponseError) as caught:
        for part in with_fields(sim, x_sim_fault="error-event").chat("sim-small", USER, stream=True):
            parts.append(part)
    assert len(parts) == 8 and not any(part.done for part in parts)
    assert "error was encountered" in caught.value.error
    assert last(sim)["complete"] is False and last(sim)["completion_tokens"] == 8
    answer = post(sim, "/api/chat", {"model": "m", "messages": USER}, **{"x-sim-fault": "error-event"})
    assert answer.status == 200 and list(lines_of(answer)[-1]) == ["error"]


def test_no_done_and_no_usage(sim):
    parts = list(with_fields(sim, x_sim_fault="no-done").chat("sim-small", USER, stream=True))
    assert len(parts) == 16 and not any(part.done for part in parts)
    for stream in (False, True):
        answer = with_fields(sim, x_sim_fault="no-usage").chat("sim-small", USER, stream=stream)
        end = list(answer)[-1] if stream else answer
        assert end.done and end.eval_count is None and end.prompt_eval_count is None
    wrong = with_fields(sim, x_sim_fault="wrong-usage=3").chat("sim-small", USER)
    assert (wrong.prompt_eval_count, wrong.eval_count) == (36, 48) and last(sim)["completion_tokens"] == 16


def test_truncated_and_broken_lines(sim):
    body = {"model": "m", "messages": USER}
    cut = lines_of(post(sim, "/api/chat", body, **{"x-sim-fault": "truncate=3"}))
    assert len(cut) == 3 and not cut[-1]["done"]
    broken = post(sim, "/api/chat", body, **{"x-sim-fault": "bad-json"}).body.decode().splitlines()
    assert len(broken) == 18
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken[8])
    assert json.loads(broken[-1])["done"]


def test_wishes(sim):
    body = {"model": "m", "messages": USER}
    plain = lines_of(post(sim, "/api/chat", body))
    text = "".join(line["message"]["content"] for line in plain)
    for fields in ({"x-sim-crlf": "1"}, {"x-sim-comments": "1"}, {"x-sim-multiline": "1"}, {"x-sim-split": "3"}):
        assert "".join(line["message"]["content"] for line in lines_of(post(sim, "/api/chat", body, **fields))) == text
    assert len(lines_of(post(sim, "/api/chat", body, **{"x-sim-tokens": "40"}))) == 41
    huge = lines_of(post(sim, "/api/chat", body, **{"x-sim-fault": "huge=4000"}))
    assert len(huge) == 2 and len(huge[0]["message"]["content"]) == 4000 and huge[1]["eval_count"] == 1000
    assert [line.get("x_sim", {}).get("served") is not None for line in plain] == [True] + [False] * 16


def test_an_answer_word_by_word(sim):
    script = {"blocks": [{"thinking": "Hm."}, {"text": "Two calls: "}, {"text": "now."},
                         {"tool": {"name": "f", "arguments": {"a": [1, "é"]}, "id": "call_one"}}, {"tool": {"name": "g"}}],
              "finish": "length", "usage": {"input": 100, "output": 50}}
    client = with_fields(sim, x_sim_script=json.dumps(script))
    for stream in (False, True):
        answer = client.chat("sim-small", USER, stream=stream)
        parts = list(answer) if stream else [answer]
        assert "".join(part.message.thinking or "" for part in parts) == "Hm."
        assert "".join(part.message.content for part in parts) == "Two calls: now."
        calls = [one.function for part in parts for one in part.message.tool_calls or []]
        assert [(one.name, one.arguments) for one in calls] == [("f", {"a": [1, "é"]}), ("g", {})]
        assert (parts[-1].done_reason, parts[-1].prompt_eval_count, parts[-1].eval_count) == ("length", 100, 50)
        assert (last(sim)["prompt_tokens"], last(sim)["completion_tokens"]) == (100, 50)

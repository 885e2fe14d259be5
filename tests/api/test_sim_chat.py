"""What the simulator's chat completions do beyond plain text: pictures and files described, refusals, filters, thoughts as DeepSeek and vLLM
tell them, answers given word by word; read by the official package."""
import base64
import json
import zlib

import openai
import pytest

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
PDF = b"%PDF-1.7 a document"
USER = [{"role": "user", "content": "What is the weather?"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}


@pytest.fixture
def client(sim):
    with openai.OpenAI(base_url=sim.base_url, api_key="any", max_retries=0, timeout=60) as made:
        yield made


def chat(client, model="m", messages=USER, **more):
    return client.chat.completions.create(model=model, messages=messages, **more)


def deltas(client, **more):
    """What each event of a stream adds, the finish reason, and the usage."""
    events = list(chat(client, stream=True, stream_options={"include_usage": True}, **more))
    assert events[-1].choices == [] and all(event.usage is None for event in events[:-1])
    finish = [event.choices[0].finish_reason for event in events[:-1]]
    assert finish[:-1] == [None] * (len(finish) - 1)
    return [event.choices[0].delta for event in events[:-1]], finish[-1], events[-1].usage


def joined(found, name):
    return "".join(getattr(delta, name, None) or "" for delta in found)


def described(what, kind, data, name=None):
    return f"[{what} {kind} {len(data)} bytes crc32 {zlib.crc32(data):08x}{f' named {name}' if name else ''}] "


def data_url(kind, data):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def test_pictures_and_files_are_described(client):
    sound = b"RIFF....WAVEfmt "
    content = [{"type": "text", "text": "What is this?"},
               {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}},
               {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
               {"type": "file", "file": {"filename": "a.pdf", "file_data": data_url("application/pdf", PDF)}},
               {"type": "file", "file": {"file_id": "file-abc"}},
               {"type": "input_audio", "input_audio": {"data": base64.b64encode(sound).decode(), "format": "wav"}}]
    answer = chat(client, messages=[{"role": "user", "content": content}])
    text = answer.choices[0].message.content
    expected = (described("image", "image/png", PNG) + "[image url https://a.example/b.png] " + described("file", "application/pdf", PDF, "a.pdf")
                + "[file file file-abc] " + described("audio", "audio/wav", sound))
    assert text.startswith(expected) and len(text[len(expected):].split()) == 16
    assert answer.usage.completion_tokens == -(-len(expected) // 4) + 16
    found, finish, usage = deltas(client, messages=[{"role": "user", "content": content}])
    assert joined(found, "content") == text and finish == "stop" and usage.completion_tokens == answer.usage.completion_tokens
    short = chat(client, messages=[{"role": "user", "content": content}], max_completion_tokens=5).choices[0]
    assert short.message.content == expected[:20] and short.finish_reason == "length"


@pytest.mark.parametrize("part", [
    {"type": "image_url", "image_url": {"url": "iVBORw0K"}}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,!!!!"}},
    {"type": "file", "file": {"file_data": "no base64"}}, {"type": "input_audio", "input_audio": {"data": "?", "format": "mp3"}}])
def test_pictures_that_cannot_be_read(client, part):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, messages=[{"role": "user", "content": [part]}])
    assert caught.value.code == "invalid_value" and "Expected a valid URL or base64-encoded content" in caught.value.body["message"]


def test_refusal(client):
    message = chat(client, "m-refusing", logprobs=True).choices[0]
    assert message.message.content is None and len(message.message.refusal.split()) == 16 and message.finish_reason == "stop"
    assert message.logprobs.content is None and len(message.logprobs.refusal) == 16
    found, finish, usage = deltas(client, model="m-refusing")
    assert joined(found, "refusal") == message.message.refusal and joined(found, "content") == "" and finish == "stop"
    assert usage.completion_tokens == 16


def test_filtered(client):
    choice = chat(client, "m-filtered").choices[0]
    assert choice.finish_reason == "content_filter" and len(choice.message.content.split()) == 8
    found, finish, usage = deltas(client, model="m-filtered")
    assert joined(found, "content") == choice.message.content and finish == "content_filter" and usage.completion_tokens == 8


@pytest.mark.parametrize("model, name", [("deepseek-reasoner", "reasoning_content"), ("vllm-reasoner", "reasoning")])
def test_thoughts_that_are_told(client, sim, model, name):
    answer = chat(client, model)
    thoughts = getattr(answer.choices[0].message, name)
    count = len(thoughts.split())
    assert 8 <= count <= 32 and answer.usage.completion_tokens_details.reasoning_tokens == count
    assert answer.usage.completion_tokens == count + 16
    found, finish, usage = deltas(client, model=model)
    assert joined(found, name) == thoughts and joined(found, "content") == answer.choices[0].message.content
    told = [bool(getattr(delta, name, None)) for delta in found]
    assert told == [False] + [True] * count + [False] * 17, "all thoughts come before the first word"
    assert usage.completion_tokens_details == answer.usage.completion_tokens_details and usage.total_tokens == answer.usage.total_tokens
    assert sim.log()[-1]["reasoning_tokens"] == count
    assert getattr(chat(client, model, reasoning_effort="none").choices[0].message, name, None) is None
    assert not hasattr(chat(client, "m-reasoner").choices[0].message, name), "OpenAI does not tell"


def test_thoughts_that_are_told_and_cut(client, sim):
    full = chat(client, "deepseek-reasoner")
    count = full.usage.completion_tokens_details.reasoning_tokens
    for fault, tokens in ((f"truncate={count - 3}", count - 3), (f"truncate={count + 4}", count + 4)):
        list(chat(client, "deepseek-reasoner", stream=True, extra_headers={"x-sim-fault": fault}))
        assert sim.log()[-1]["completion_tokens"] == tokens
    cut = chat(client, "deepseek-reasoner", max_completion_tokens=count + 2)
    assert cut.choices[0].finish_reason == "length" and len(cut.choices[0].message.content.split()) == 2
    called = chat(client, "deepseek-reasoner", tools=[TOOL]).choices[0]
    assert called.finish_reason == "tool_calls" and called.message.reasoning_content and called.message.tool_calls
    found, finish, _ = deltas(client, model="deepseek-reasoner", tools=[TOOL])
    assert finish == "tool_calls" and joined(found, "reasoning_content") == called.message.reasoning_content
    assert "".join(delta.tool_calls[0].function.arguments for delta in found if delta.tool_calls) == called.message.tool_calls[0].function.arguments


def test_an_answer_word_by_word(client, sim):
    script = {"blocks": [{"thinking": "Hm."}, {"text": "Two "}, {"text": "calls é"}, {"tool": {"name": "f", "arguments": {"a": 1}, "id": "call_own"}},
                         {"tool": {"name": "g", "arguments": "{broken"}}],
              "usage": {"input": 100, "cached": 40, "cache_write": 30, "output": 50, "reasoning": 20}}
    more = {"extra_headers": {"x-sim-script": json.dumps(script)}}
    for model, thoughts in (("m", ""), ("deepseek", "Hm.")):
        answer = chat(client, model, **more)
        message = answer.choices[0].message
        assert message.content == "Two calls é" and answer.choices[0].finish_reason == "tool_calls"
        assert (getattr(message, "reasoning_content", None) or "") == thoughts
        assert [(one.id == "call_own", one.function.name, one.function.arguments) for one in message.tool_calls] == [
            (True, "f", '{"a":1}'), (False, "g", "{broken")]
        found, finish, usage = deltas(client, model=model, **more)
        assert joined(found, "content") == message.content and joined(found, "reasoning_content") == thoughts and finish == "tool_calls"
        pieces = {}
        for delta in found:
            for one in delta.tool_calls or []:
                pieces[one.index] = pieces.get(one.index, "") + one.function.arguments
        assert pieces == {0: '{"a":1}', 1: "{broken"}
        assert usage == answer.usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details.cached_tokens) == (100, 50, 40)
        assert usage.prompt_tokens_details.cache_write_tokens == 30 and usage.completion_tokens_details.reasoning_tokens == 20
        assert (sim.log()[-1]["prompt_tokens"], sim.log()[-1]["cached_tokens"]) == (100, 40)


@pytest.mark.parametrize("script, finish, content, refusal", [
    ([{"refusal": "No."}], "stop", None, "No."),
    ({"blocks": [{"text": "a"}], "finish": "content_filter"}, "content_filter", "a", None),
    ({"blocks": [{"text": "a"}], "finish": "context"}, "length", "a", None),
    ({"blocks": [], "native_finish": "abort"}, "abort", None, None)])
def test_ends_word_by_word(client, script, finish, content, refusal):
    more = {"extra_headers": {"x-sim-script": json.dumps(script)}}
    choice = chat(client, **more).choices[0]
    assert (choice.finish_reason, choice.message.content, choice.message.refusal) == (finish, content, refusal)
    found, end, _ = deltas(client, **more)
    assert (end, joined(found, "content") or None, joined(found, "refusal") or None) == (finish, content, refusal)


def test_usage_word_by_word(client):
    native = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_cache_hit_tokens": 5}
    more = {"extra_headers": {"x-sim-script": json.dumps({"blocks": [{"text": "a"}], "native_usage": native})}}
    assert chat(client, **more).usage.model_dump(exclude_none=True) == native
    assert deltas(client, **more)[2].model_dump(exclude_none=True) == native

"""The official OpenAI package for Python, unchanged but for base URL and key, with strict validation of every answer."""
import asyncio
import json
import time

import openai
import pytest
from pydantic import BaseModel

from harness import faults

MESSAGES = [{"role": "user", "content": "Say something about rivers."}]
PIXEL = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
         "gg==")
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city", "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                   "additionalProperties": False}}}


class Answer(BaseModel):
    city: str
    population: int


def make(kind, gateway, **more):
    settings = {"base_url": gateway.base_url, "api_key": gateway.key, "max_retries": 0, "timeout": 60.0,
                "_strict_response_validation": True}
    return kind(**{**settings, **more})


@pytest.fixture
def client(gateway):
    with make(openai.OpenAI, gateway) as made:
        yield made


@pytest.fixture
def async_client(gateway):
    return make(openai.AsyncOpenAI, gateway)


@pytest.mark.smoke
@pytest.mark.tsan
def test_a_completion(client):
    answer = client.chat.completions.create(model="sim-small", messages=MESSAGES)
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.usedCUMilli >= 0


@pytest.mark.smoke
@pytest.mark.tsan
def test_a_stream(client):
    whole = client.chat.completions.create(model="sim-small", messages=MESSAGES)
    text, ids, finish, last = "", set(), None, None
    for chunk in client.chat.completions.create(model="sim-small", messages=MESSAGES, stream=True):
        ids.add(chunk.id)
        last = chunk
        assert chunk.choices, "a client that did not ask for usage gets no chunk without choices"
        assert chunk.usage is None
        text += chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or finish
    assert len(ids) == 1 and finish == "stop"
    assert text == whole.choices[0].message.content
    assert last.usedCUMilli >= 0, "the last data event says what was used"


def test_a_stream_with_usage(client):
    client.chat.completions.create(model="sim-small", messages=MESSAGES)  # a prompt seen before is partly cached from now on
    whole = client.chat.completions.create(model="sim-small", messages=MESSAGES)
    chunks = list(client.chat.completions.create(model="sim-small", messages=MESSAGES, stream=True,
                                                 stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert chunks[-1].usedCUMilli == whole.usage.usedCUMilli
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_stream_helper(client):
    with client.chat.completions.stream(model="sim-small", messages=MESSAGES) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds and kinds[-1] == "content.done" or "content.done" in kinds
    assert final.choices[0].message.content


@pytest.mark.tsan
def test_async_and_many_at_once(async_client):
    async def one(number):
        answer = await async_client.chat.completions.create(
            model="sim-small", messages=[{"role": "user", "content": f"number {number}"}])
        return answer.choices[0].message.content

    async def streamed(number):
        text = ""
        async for chunk in await async_client.chat.completions.create(
                model="sim-small", messages=[{"role": "user", "content": f"number {number}"}], stream=True):
            text += chunk.choices[0].delta.content or ""
        return text

    async def both():
        async with async_client:
            whole = await asyncio.gather(*[one(number) for number in range(20)])
            parts = await asyncio.gather(*[streamed(number) for number in range(20)])
        return whole, parts

    whole, parts = asyncio.run(both())
    assert whole == parts
    assert all(whole)


def test_tools(client):
    answer = client.chat.completions.create(model="sim-small", messages=MESSAGES, tools=[WEATHER], tool_choice="required")
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments), dict)
    after = client.chat.completions.create(model="sim-small", tools=[WEATHER], messages=[
        *MESSAGES, answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}])
    assert after.choices[0].message.content


def test_streamed_tools(client):
    name, arguments, finish, indexes = "", "", None, set()
    for chunk in client.chat.completions.create(model="sim-small", messages=MESSAGES, tools=[WEATHER],
                                                tool_choice="required", stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            indexes.add(call.index)
            name += call.function.name or ""
            arguments += call.function.arguments or ""
        finish = chunk.choices[0].finish_reason or finish
    assert finish == "tool_calls" and name == "get_weather" and indexes == {0}
    assert isinstance(json.loads(arguments), dict)


def test_structured_outputs(client):
    answer = client.chat.completions.parse(model="sim-small", messages=MESSAGES, response_format=Answer)
    assert isinstance(answer.choices[0].message.parsed, Answer)


def test_vision_input(client, sim):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    answer = client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content
    assert sim.last_body()["messages"][0]["content"] == content


def test_raw_response(client):
    raw = client.chat.completions.with_raw_response.create(model="sim-small", messages=MESSAGES)
    parsed = raw.parse()
    assert raw.status_code == 200
    assert int(raw.headers["x-weir-used-cu-milli"]) == parsed.usage.usedCUMilli
    assert parsed._request_id == raw.headers["x-request-id"]


def test_streaming_raw_response(client):
    with client.chat.completions.with_streaming_response.create(model="sim-small", messages=MESSAGES, stream=True) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in raw.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_models(client):
    models = client.models.list()
    assert [model.id for model in models.data] == ["sim-small"]
    assert client.models.retrieve("sim-small").id == "sim-small"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody-knows")


def test_provider_and_model_as_a_name(client, sim):
    assert client.chat.completions.create(model="sim/some-other-model", messages=MESSAGES).choices
    assert sim.last_body()["model"] == "some-other-model"


@pytest.mark.smoke
def test_error_classes(gateway, client):
    with make(openai.OpenAI, gateway, api_key="weir_dev_nonsense") as stranger, \
            pytest.raises(openai.AuthenticationError) as caught:
        stranger.chat.completions.create(model="sim-small", messages=MESSAGES)
    assert caught.value.code == "key_invalid" and caught.value.type == "invalid_request_error"
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nobody-knows", messages=MESSAGES)
    assert caught.value.code == "model_not_found" and caught.value.param == "model"
    assert caught.value.request_id and caught.value.body["error_code"] == "WEIR_NOT_FOUND"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="sim-small", messages=7)
    assert caught.value.param == "messages"


@pytest.mark.parametrize(("status", "kind"), [
    (400, openai.BadRequestError), (404, openai.NotFoundError),
    (422, openai.UnprocessableEntityError), (429, openai.RateLimitError), (500, openai.InternalServerError),
    (503, openai.InternalServerError),
])
def test_errors_of_the_provider_raise_their_own_classes(client, status, kind):
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            client.chat.completions.create(model="sim-small", messages=MESSAGES, stream=stream,
                                           extra_headers=faults.status(status))
        assert caught.value.body["error_code"].startswith("WEIR_")
        assert caught.value.request_id


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_credential_of_ours_is_not_the_clients_fault(client, status):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="sim-small", messages=MESSAGES, extra_headers=faults.status(status))
    assert caught.value.code == "upstream_auth"


def test_the_client_retries_what_can_be_retried_and_nothing_else(gateway, sim):
    with make(openai.OpenAI, gateway, max_retries=2) as client:
        before = len(sim.log())
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nobody-knows", messages=MESSAGES)
        assert len(sim.log()) == before
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="sim-small", messages=MESSAGES, extra_headers=faults.status(503, retry_after=0))
        assert len(sim.log()) == before + 3


def test_the_clients_timeout(client):
    started = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="sim-small", messages=MESSAGES, timeout=0.5,
                                       extra_headers={"x-sim-ttft": "20000"})
    assert time.monotonic() - started < 18, "the provider takes twenty"


def test_our_timeout_is_a_server_error(make_gateway, sim):
    instance = make_gateway(sim, timeouts={"first_byte": "300ms"})
    with make(openai.OpenAI, instance) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="sim-small", messages=MESSAGES, extra_headers={"x-sim-ttft": "20000"})
    assert caught.value.status_code == 504 and caught.value.code == "upstream_first_byte_timeout"


def test_a_stream_that_breaks_raises_and_is_no_success(client):
    with pytest.raises(openai.APIError) as caught:
        for _ in client.chat.completions.create(model="sim-small", messages=MESSAGES, stream=True,
                                                extra_headers=faults.TRUNCATED):
            pass
    assert caught.value.code == "upstream_closed"


def test_several_choices_and_rare_parameters_arrive(client, sim):
    asked = {"n": 2, "temperature": 0.5, "seed": 7, "logit_bias": {"50256": -100}, "user": "u-1", "stop": ["x"],
             "max_completion_tokens": 64, "reasoning_effort": "low", "metadata": {"a": "b"}}
    answer = client.chat.completions.create(model="sim-small", messages=MESSAGES, extra_body={"vendor_extra": [1, {"b": None}]},
                                            **asked)
    body = sim.last_body()
    assert {name: body[name] for name in asked} == asked
    assert body["vendor_extra"] == [1, {"b": None}]
    assert answer.choices

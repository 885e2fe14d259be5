"""The official Python package over /v1/responses: what today's coding agents speak."""
import json

import openai
import pytest
from pydantic import BaseModel

from harness.clients import CHAT

QUESTION = "Say something about rivers."
WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a city", "strict": True,
           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                          "additionalProperties": False}}


class River(BaseModel):
    name: str
    length: int


def ask(client, question=QUESTION, **more):
    return client.responses.create(model=CHAT, input=question, **more)


def test_a_response(pair):
    got = pair.same(ask)
    assert got.status == "completed" and got.output_text
    assert got.usage.total_tokens == got.usage.input_tokens + got.usage.output_tokens
    entry = pair.charged("responses", stream=False)
    assert (entry["input_tokens"], entry["output_tokens"]) == (got.usage.input_tokens, got.usage.output_tokens)
    assert got.usage.usedCUMilli == entry["cost_cu_milli"] > 0
    assert int(pair.last.headers["x-weir-used-cu-milli"]) == entry["cost_cu_milli"]


def test_a_stream(pair):
    events = pair.same(lambda client: list(ask(client, stream=True)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    final = events[-1].response
    assert text == final.output_text != ""
    entry = pair.charged("responses", stream=True)
    assert (entry["input_tokens"], entry["output_tokens"]) == (final.usage.input_tokens, final.usage.output_tokens)
    assert events[-1].usedCUMilli == entry["cost_cu_milli"] > 0


def test_the_stream_helper(pair):
    def run(client):
        with client.responses.stream(model=CHAT, input=QUESTION) as stream:
            kinds = [event.type for event in stream]
            return [kinds, stream.get_final_response()]

    kinds, final = pair.same(run)
    assert kinds[-1] == "response.completed" and final.output_text
    pair.charged("responses", stream=True)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tools(pair, stream):
    def run(client):
        asked = {"tools": [WEATHER], "tool_choice": "required"}
        if not stream:
            return ask(client, **asked)
        events = list(ask(client, stream=True, **asked))
        pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        called = events[-1].response
        assert "".join(pieces) == called.output[-1].arguments
        return called

    first = pair.same(run)
    made = next(item for item in first.output if item.type == "function_call")
    assert made.name == "get_weather" and isinstance(json.loads(made.arguments), dict)

    # The answer depends on every byte of the input, and an id is never given out twice: the call gets one of ours.
    def answer(client):
        return client.responses.create(model=CHAT, tools=[WEATHER], input=[
            {"role": "user", "content": QUESTION},
            {"type": "function_call", "call_id": "call_1", "name": made.name, "arguments": made.arguments},
            {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}])

    assert pair.same(answer).output_text
    pair.charged("responses", 2)


def test_structured_outputs(pair):
    got = pair.same(lambda client: client.responses.parse(model=CHAT, input=QUESTION, text_format=River))
    assert isinstance(got.output_parsed, River)

    def streamed(client):
        with client.responses.stream(model=CHAT, input=QUESTION, text_format=River) as stream:
            return stream.get_final_response()

    assert isinstance(pair.same(streamed).output_parsed, River)
    pair.charged("responses", 2)


def test_kept_responses(pair):
    """Retrieved, listed, built upon, deleted: with the provider that issued the id, for the workspace that it was issued to."""
    def kept(client):
        made = ask(client, store=True)
        again = client.responses.retrieve(made.id)
        assert again.id == made.id and again.output_text == made.output_text
        items = list(client.responses.input_items.list(made.id))
        after = ask(client, "And of lakes?", previous_response_id=made.id)
        assert after.previous_response_id == made.id
        return [made, again, items, after]

    made, *_ = pair.same(kept)
    create, retrieve, items, after = pair.weir.answers[-4:]
    entry = pair.gateway.entry_of(create.headers["x-request-id"])
    assert entry["endpoint"] == "responses" and entry["cost_cu_milli"] > 0
    entry = pair.gateway.entry_of(after.headers["x-request-id"])
    assert entry["endpoint"] == "responses" and entry["cost_cu_milli"] > 0
    seen = pair.sim.last_body()
    assert seen["previous_response_id"] == made.id, "the provider's own id"

    def gone(client):
        made = ask(client, store=True)
        client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)

    pair.same(gone)


def test_a_kept_stream_is_read_again(pair):
    def run(client):
        first = list(ask(client, stream=True, store=True))
        made = first[-1].response
        again = list(client.responses.retrieve(made.id, stream=True))
        later = list(client.responses.retrieve(made.id, stream=True, starting_after=3))
        assert comparable_kinds(again) == comparable_kinds(first)
        assert [event.sequence_number for event in later] == list(range(4, len(first)))
        return [again, later]

    def comparable_kinds(events):
        return [(event.type, event.sequence_number) for event in events]

    pair.same(run)


def test_in_the_background(pair):
    def run(client):
        made = ask(client, background=True, store=True)
        assert made.status in ("queued", "in_progress")
        cancelled = client.responses.cancel(made.id)
        return [cancelled.status, cancelled.id == made.id]

    assert pair.same(run) == ["cancelled", True]


def test_raw_and_streaming_responses(pair):
    def raw(client):
        answer = client.responses.with_raw_response.create(model=CHAT, input=QUESTION)
        assert answer.headers["content-type"].startswith("application/json")
        return answer.parse()

    def lines(client):
        with client.responses.with_streaming_response.create(model=CHAT, input=QUESTION, stream=True) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            return [line for line in answer.iter_lines() if line.startswith("event:")]

    assert pair.same(raw).output_text
    got = pair.same(lines)
    assert got[-1] == "event: response.completed"

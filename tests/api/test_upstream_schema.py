"""What weir sends upstream is valid by OpenAI's own description of CreateChatCompletionRequest."""
import gzip
import json

import jsonschema
import openai
import pytest
import referencing
import referencing.jsonschema

PIXEL = "data:image/png;base64,iVBORw0KGgo="
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def validator(corpora):
    path = corpora / "openai-openapi.json.gz"
    if not path.exists():
        pytest.skip(f"no corpus at {path}: openai-openapi.json, github.com/openai/openai-openapi at f85dbe2")
    description = json.loads(gzip.decompress(path.read_bytes()))
    resource = referencing.Resource(contents=description, specification=referencing.jsonschema.DRAFT202012)
    registry = referencing.Registry().with_resource("urn:openai", resource)
    return jsonschema.Draft202012Validator({"$ref": "urn:openai#/components/schemas/CreateChatCompletionRequest"},
                                           registry=registry)


REQUESTS = [
    {},
    {"stream": True},
    {"stream": True, "stream_options": {"include_usage": False}},
    {"stream": True, "stream_options": {"include_obfuscation": False}},
    {"stream": True, "n": 2, "temperature": 0.2, "top_p": 1, "seed": 3, "stop": ["a", "b"], "max_completion_tokens": 20},
    {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PIXEL}}]}]},
    {"messages": [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "a", "name": "b"},
                  {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                  {"role": "tool", "tool_call_id": "c", "content": "d"}], "tools": [TOOL]},
    {"reasoning_effort": "low", "verbosity": "low", "service_tier": "auto", "metadata": {"a": "b"}, "logprobs": True, "top_logprobs": 2},
]


@pytest.mark.parametrize("fields", REQUESTS, ids=[",".join(fields) or "plain" for fields in REQUESTS])
def test_what_goes_upstream_is_valid(gateway, sim, validator, fields):
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        answer = client.chat.completions.create(**{"model": "sim-small", "messages": [{"role": "user", "content": "a"}], **fields})
        if fields.get("stream"):
            list(answer)
    sent = sim.last_body()
    errors = sorted(validator.iter_errors(sent), key=lambda error: list(error.path))
    assert not errors, errors[0]
    if fields.get("stream"):
        assert sent["stream_options"]["include_usage"] is True

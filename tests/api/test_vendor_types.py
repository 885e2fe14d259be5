"""The judges of harness/vendor_types.py let pass what the vendors document, and refuse what is broken in one place."""
import copy
import json

import pytest

from harness.vendor_types import answer_problems, problems

PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Rome"]}}, "required": ["city"], "additionalProperties": False}

# Each body uses what its API has: a system prompt, a picture, a call with its result, reasoning, a tool, a schema.
GOOD = {
    ("openai", "/v1/chat/completions"): {
        "model": "m", "stream": True, "stream_options": {"include_usage": True}, "max_completion_tokens": 5, "stop": ["a"], "seed": 1,
        "messages": [{"role": "system", "content": "s"},
                     {"role": "user", "content": [{"type": "text", "text": "a"},
                                                  {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]},
                     {"role": "assistant", "content": None, "tool_calls": [
                         {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                     {"role": "tool", "tool_call_id": "c", "content": "d"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}},
    ("responses", "/v1/responses"): {
        "model": "m", "instructions": "s", "max_output_tokens": 5, "store": False, "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"},
                                               {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"}]},
                  {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "e"},
                  {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                  {"type": "function_call_output", "call_id": "c", "output": "d"}],
        "tools": [{"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}},
    ("anthropic", "/v1/messages"): {
        "model": "m", "max_tokens": 2048, "stream": True, "stop_sequences": ["a"],
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a"},
                                                  {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]},
                     {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "x"},
                                                       {"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "d"}]}],
        "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}], "tool_choice": {"type": "tool", "name": "f"},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ("anthropic", "/v1/messages/count_tokens"): {"model": "m", "messages": [{"role": "user", "content": "a"}], "system": "s"},
    ("gemini", "/v1beta/models/m:streamGenerateContent?alt=sse"): {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
                     {"role": "model", "parts": [{"text": "t", "thought": True},
                                                 {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": PNG}]},
                     {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "d"}}}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 5, "stopSequences": ["a"], "temperature": 0.5, "seed": 1, "responseMimeType": "application/json",
                             "responseJsonSchema": SCHEMA, "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}},
    ("gemini", "/v1/models/m:countTokens"): {"contents": [{"parts": [{"text": "a"}]}]},
    ("gemini", "/v1/models/m:batchEmbedContents"): {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}}]},
    ("ollama", "/api/chat"): {
        "model": "m", "stream": False, "think": True, "format": SCHEMA, "options": {"num_predict": 5, "stop": ["a"], "seed": 1, "temperature": 0.5},
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a", "images": [PNG]},
                     {"role": "assistant", "thinking": "t", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
                     {"role": "tool", "tool_name": "f", "content": "d"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}]},
    ("ollama", "/api/embed"): {"model": "m", "input": ["a"], "truncate": True},
}

# Where to, and what is put there: a member too many, a word that the API does not know, a value of a wrong type.
BROKEN = {
    "openai": [(("messages", 0, "text"), "a"), (("messages", 1, "content", 0, "type"), "input_text"), (("max_completion_tokens",), "5")],
    "responses": [(("messages",), []), (("input", 0, "content", 0, "type"), "text"), (("max_output_tokens",), "5")],
    "anthropic": [(("messages", 1, "content", 0, "text"), "t"), (("messages", 0, "content", 0, "type"), "input_text"), (("messages", 0, "role"), "tool"), (("max_tokens",), "5")],
    "gemini": [(("contents", 0, "parts", 0, "type"), "text"), (("max_tokens",), 5), (("contents", 0, "parts"), "a")],
    "ollama": [(("max_tokens",), 5), (("messages", 3, "tool_call_id"), "c"), (("messages", 2, "tool_calls", 0, "function", "arguments"), "{}")],
}
FIRST = {dialect: next(key for key in GOOD if key[0] == dialect) for dialect in BROKEN}


@pytest.mark.parametrize(("dialect", "path"), GOOD, ids=[f"{dialect}-{path}" for dialect, path in GOOD])
def test_what_is_documented_passes(dialect, path):
    assert problems(dialect, path, json.dumps(GOOD[dialect, path])) == []


@pytest.mark.parametrize(("dialect", "number"), [(dialect, number) for dialect, rows in BROKEN.items() for number in range(len(rows))])
def test_what_is_broken_is_refused(dialect, number):
    body = copy.deepcopy(GOOD[FIRST[dialect]])
    where, value = BROKEN[dialect][number]
    place = body
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    assert problems(*FIRST[dialect], json.dumps(body))


LACKING = {"openai": ("model",), "responses": ("input", 2, "call_id"), "anthropic": ("messages", 1, "content", 0, "signature"),
           "gemini": ("contents",), "ollama": ("model",)}


@pytest.mark.parametrize("dialect", LACKING)
def test_what_lacks_a_member_is_refused(dialect):
    body = copy.deepcopy(GOOD[FIRST[dialect]])
    place = body
    for step in LACKING[dialect][:-1]:
        place = place[step]
    del place[LACKING[dialect][-1]]
    assert problems(*FIRST[dialect], json.dumps(body))


def test_a_path_that_no_vendor_has_is_a_problem():
    assert problems("anthropic", "/v1/chat/completions", "{}") == ["anthropic has no /v1/chat/completions"]


ANSWERS = {
    "gemini": ({"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}, "modelVersion": "m", "responseId": "r"},
               [("choices", []), ("candidates", {}), ("usageMetadata", {"promptTokenCount": "many"})]),
    "ollama": ({"model": "m", "created_at": "2026-11-21T00:00:00Z", "message": {"role": "assistant", "content": "a"}, "done": True,
                "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 1, "total_duration": 1},
               [("choices", []), ("message", {"content": "a"}), ("eval_count", "1")]),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers(kind):
    good, broken = ANSWERS[kind]
    assert answer_problems(kind, json.dumps(good)) == []
    for name, value in broken:
        assert answer_problems(kind, json.dumps({**good, name: value})), name


def test_the_older_version_of_the_messages_api():
    body = {**GOOD["anthropic", "/v1/messages"], "temperature": 0.5}
    assert problems("anthropic", "/v1/messages", json.dumps(body), "2023-06-01") == []
    assert problems("anthropic", "/v1/messages", json.dumps(body), "2026-10-21")
    assert problems("anthropic", "/v1/messages", json.dumps({**body, "seed": 1}), "2023-06-01")

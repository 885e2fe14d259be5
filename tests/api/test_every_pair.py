"""Every front door in front of every provider, by plain HTTP: one stream and one whole answer each, held to what the caller's own API says of its ends. What the
vendors' clients make of them is in test_matrix.py."""
import json

import pytest

from harness.processes import default_settings

BACKS = ["openai", "responses", "anthropic", "gemini", "ollama"]
PATHS = {"openai": "/v1", "responses": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}
TEXT = "Hello, weir"


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    from harness.processes import Gateway
    providers = [{"name": back, "dialect": back, "speaks": [back], "base_url": f"http://{sim.address}{PATHS[back]}", "api_key": "sim-key"}
                 for back in BACKS]
    models = [{"name": f"via-{back}", "targets": [{"provider": back, "model": "sim-small"}]} for back in BACKS]
    instance = Gateway(weir_binary, module_folder / "pairs", default_settings(sim, providers=providers, models=models)).start()
    yield instance
    instance.close()


def asked(front, model, stream):
    message = {"role": "user", "content": TEXT}
    if front == "openai":
        return "/v1/chat/completions", {"model": model, "stream": stream, "max_tokens": 5, "messages": [message]}
    if front == "responses":
        return "/v1/responses", {"model": model, "stream": stream, "max_output_tokens": 5, "input": TEXT}
    if front == "anthropic":
        return "/v1/messages", {"model": model, "stream": stream, "max_tokens": 5, "messages": [message]}
    if front == "gemini":
        action = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{action}", {"contents": [{"role": "user", "parts": [{"text": TEXT}]}],
                                                    "generationConfig": {"maxOutputTokens": 5}}
    return "/api/chat", {"model": model, "stream": stream, "messages": [message], "options": {"num_predict": 5}}


def pieces(front, body):
    """The JSON texts of a stream, in order; what is no JSON stays a text."""
    if front == "ollama":
        return [json.loads(line) for line in body.splitlines()]
    data = [line[len("data: "):] for line in body.replace("\r\n", "\n").split("\n") if line.startswith("data: ")]
    return [json.loads(piece) if piece.startswith("{") else piece for piece in data]


def told(front, piece):
    """The text that a piece, or an answer, adds."""
    if front == "openai":
        return "".join(choice.get("delta", choice.get("message"))["content"] or "" if "content" in choice.get("delta", choice.get("message")) else "" for choice in piece["choices"])
    if front == "responses":
        if "output" in piece:
            return "".join(part["text"] for item in piece["output"] if item["type"] == "message" for part in item["content"])
        return piece["delta"] if piece["type"] == "response.output_text.delta" else ""
    if front == "anthropic":
        if "content" in piece:
            return "".join(block["text"] for block in piece["content"])
        return piece["delta"]["text"] if piece["type"] == "content_block_delta" else ""
    if front == "gemini":
        return "".join(part["text"] for candidate in piece["candidates"] for part in candidate["content"].get("parts", []))
    return piece["message"]["content"]


def finish(front, piece):
    if front == "openai":
        return piece["choices"][0]["finish_reason"]
    if front == "responses":
        return (piece.get("response") or piece)["status"]
    if front == "anthropic":
        return piece["stop_reason"] if "stop_reason" in piece else piece["delta"]["stop_reason"]
    return piece["candidates"][0]["finishReason"] if front == "gemini" else piece["done_reason"]


ENDS = {"openai": "length", "responses": "incomplete", "anthropic": "max_tokens", "gemini": "MAX_TOKENS", "ollama": "length"}


@pytest.mark.parametrize("back", BACKS)
@pytest.mark.parametrize("front", BACKS)
def test_whole(gateway, front, back):
    path, body = asked(front, f"via-{back}", False)
    answer = gateway.request("POST", path, body, gateway.authorization)
    assert answer.status == 200, answer.body
    assert len(told(front, answer.json()).split()) == 5
    assert finish(front, answer.json()) == ENDS[front]
    assert int(answer.headers["x-weir-used-cu-milli"]) >= 0


@pytest.mark.parametrize("back", BACKS)
@pytest.mark.parametrize("front", BACKS)
def test_stream(gateway, front, back):
    path, body = asked(front, f"via-{back}", True)
    answer = gateway.request("POST", path, body, gateway.authorization)
    assert answer.status == 200, answer.body
    found = pieces(front, answer.body.decode())
    if front == "openai":
        assert found.count("[DONE]") == 1 and found[-1] == "[DONE]"
        found.pop()
    assert all(isinstance(piece, dict) for piece in found), "what is told once more is none of this API's"
    assert len("".join(told(front, piece) for piece in found).split()) == 5
    assert "usedCUMilli" in found[-1]
    ends = {"openai": found[-1], "responses": found[-1], "gemini": found[-1], "ollama": found[-1], "anthropic": found[-2]}
    assert finish(front, ends[front]) == ENDS[front]
    if front == "responses":
        assert [piece["sequence_number"] for piece in found] == list(range(len(found)))
    if front == "anthropic":
        assert found[0]["type"] == "message_start" and found[-1]["type"] == "message_stop"

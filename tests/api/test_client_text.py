"""The official Python package over the smaller endpoints of text: legacy completions, embeddings, moderations, and rerank,
for which it has no method of its own."""
import base64
import json
import struct

import pytest

from harness.clients import CHAT, EMBEDDING, MODERATION, RERANK, ROOT, TOKEN_RERANK, lenient, run_program

PROMPT = "Say something about rivers."


# --- completions ---

def complete(client, **more):
    return (lenient(client) if more.get("stream") else client).completions.create(model=CHAT, **{"prompt": PROMPT, **more})


@pytest.mark.parametrize("asked", [
    {}, {"n": 2}, {"echo": True}, {"logprobs": 2}, {"prompt": ["one", "two"]}, {"max_tokens": 4}, {"stop": ["a"]},
    {"prompt": [1, 2, 3]},
], ids=lambda asked: "-".join(asked) or "plain")
def test_a_completion(pair, asked):
    got = pair.same(lambda client: complete(client, **asked))
    assert got.object == "text_completion" and all(choice.text for choice in got.choices)
    entry = pair.charged("completions", stream=False)
    assert (entry["input_tokens"], entry["output_tokens"]) == (got.usage.prompt_tokens, got.usage.completion_tokens)
    assert got.usage.usedCUMilli == entry["cost_cu_milli"] > 0
    assert int(pair.last.headers["x-weir-used-cu-milli"]) == entry["cost_cu_milli"]


def test_a_streamed_completion(pair):
    chunks = pair.same(lambda client: list(complete(client, stream=True)))
    whole = pair.same(complete)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert all(chunk.choices and chunk.usage is None for chunk in chunks), "a client that did not ask for usage gets none"
    entry = pair.charged("completions", 2)[0]
    assert entry["stream"] and entry["output_tokens"] == whole.usage.completion_tokens
    assert chunks[-1].usedCUMilli == entry["cost_cu_milli"] > 0


def test_a_streamed_completion_with_usage(pair):
    chunks = pair.same(lambda client: list(complete(client, stream=True, stream_options={"include_usage": True})))
    entry = pair.charged("completions", stream=True)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == entry["input_tokens"]
    assert chunks[-1].usage.completion_tokens == entry["output_tokens"]
    assert chunks[-1].usedCUMilli == entry["cost_cu_milli"]


# --- embeddings ---

def embed(client, **more):
    return lenient(client).embeddings.create(model=EMBEDDING, **{"input": PROMPT, **more})


@pytest.mark.parametrize("asked", [
    {}, {"encoding_format": "float"}, {"encoding_format": "base64"}, {"dimensions": 8},
    {"encoding_format": "float", "dimensions": 8}, {"input": [f"text {number}" for number in range(100)]},
    {"input": [1, 2, 3]}, {"input": [[1, 2], [3]]},
], ids=lambda asked: "-".join(str(value)[:12] for value in asked.values()) or "default")
def test_embeddings(pair, asked):
    got = pair.same(lambda client: embed(client, **asked))
    assert [row.index for row in got.data] == list(range(len(got.data)))
    if asked.get("encoding_format") == "base64":
        assert isinstance(got.data[0].embedding, str) and len(base64.b64decode(got.data[0].embedding)) % 4 == 0
    else:
        assert all(isinstance(number, float) for number in got.data[0].embedding)
        assert len(got.data[0].embedding) == asked.get("dimensions", len(got.data[0].embedding)) > 0
    entry = pair.charged("embeddings", stream=False, output_tokens=0)
    assert entry["input_tokens"] == got.usage.prompt_tokens
    assert got.usage.usedCUMilli == entry["cost_cu_milli"] > 0


def test_base64_and_floats_are_the_same_numbers(pair):
    """The package asks for base64 when nobody says otherwise, and decodes it: the numbers must be those of the floats."""
    packed = pair.same(embed).data[0].embedding
    assert pair.sim.last_body()["encoding_format"] == "base64"
    floats = pair.same(lambda client: embed(client, encoding_format="float")).data[0].embedding
    assert packed == [struct.unpack("<f", struct.pack("<f", number))[0] for number in floats]


DECODE = """
import importlib.util, json, os, openai
client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
def embed(**more):
    return client.embeddings.create(model=%r, input="rivers", **more).data[0].embedding
print(json.dumps({"name": "seen", "numpy": importlib.util.find_spec("numpy") is not None, "packed": embed(),
                  "floats": embed(encoding_format="float")}))
"""


@pytest.mark.parametrize("environment", [".venv", ".venv-langchain"], ids=["without numpy", "with numpy"])
def test_embeddings_with_and_without_numpy(clients_gateway, environment):
    """The package decodes base64 in one of two ways, by whether numpy is installed beside it."""
    python = ROOT / environment / "bin/python"
    if not python.exists():
        pytest.fail(f"{environment} is not installed: make test does that (tools/python_environment)", pytrace=False)
    seen = run_program([python, "-c", DECODE % EMBEDDING],
                       {"BASE_URL": clients_gateway.base_url, "API_KEY": clients_gateway.key})["seen"]
    assert seen["numpy"] == (environment == ".venv-langchain")
    assert seen["packed"] and seen["packed"] == pytest.approx(seen["floats"], rel=1e-6)


# --- moderations, rerank ---

@pytest.mark.parametrize("given", [
    "a text", ["one", "two"],
    [{"type": "text", "text": "a text"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
], ids=["text", "texts", "parts"])
def test_moderations(pair, given):
    got = pair.same(lambda client: client.moderations.create(model=MODERATION, input=given))
    assert got.results and all(isinstance(result.flagged, bool) for result in got.results)
    pair.charged("moderations", stream=False, usage_source="estimated")  # answers of this endpoint have no usage


def test_moderations_without_a_model(pair):
    """`model` may be left out there: the provider's default then serves."""
    got = pair.same(lambda client: client.moderations.create(input="a text"))
    assert got.results and got.model


@pytest.mark.parametrize("model", [RERANK, TOKEN_RERANK])
@pytest.mark.parametrize("documents", [["a lake", "a river", "a car"], [{"text": "a lake"}, {"text": "a river"}]],
                         ids=["texts", "objects"])
def test_rerank(pair, documents, model):
    asked = {"model": model, "query": "rivers", "documents": documents, "top_n": 2, "return_documents": True}
    got = pair.same(lambda client: client.post("/rerank", body=asked, cast_to=object))
    assert [set(row) >= {"index", "relevance_score"} for row in got["results"]] == [True, True]
    scores = [row["relevance_score"] for row in got["results"]]
    assert scores == sorted(scores, reverse=True)
    assert pair.charged("rerank", stream=False)["cost_cu_milli"] == int(pair.last.headers["x-weir-used-cu-milli"])

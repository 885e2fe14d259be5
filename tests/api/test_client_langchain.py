"""LangChain, as published, in an environment of its own: python_clients/langchain_calls.py runs, this judges what it saw."""
import pytest

from harness.clients import Program


@pytest.fixture(scope="module")
def langchain(direct_sim, sim, clients_gateway):
    return Program.python(".venv-langchain", "langchain_calls.py", direct_sim, sim, clients_gateway)


@pytest.mark.parametrize(("kind", "endpoint"), [("chat", "chat.completions"), ("responses", "responses")])
def test_answers(langchain, kind, endpoint):
    told = langchain.same(f"{kind}_invoke")
    [entry] = langchain.charged(f"{kind}_invoke", endpoint)
    assert told["text"] and told["usage"]["total_tokens"] == entry["input_tokens"] + entry["output_tokens"]
    assert all(answer["text"] for answer in langchain.same(f"{kind}_batch"))
    langchain.charged(f"{kind}_batch", endpoint, endpoint)


@pytest.mark.parametrize(("kind", "endpoint"), [("chat", "chat.completions"), ("responses", "responses")])
def test_streams(langchain, kind, endpoint):
    """With a base URL of one's own it asks chat completions for no usage: weir meters all the same."""
    told = langchain.same(f"{kind}_stream")
    [entry] = langchain.charged(f"{kind}_stream", endpoint)
    assert told["text"] == langchain.same(f"{kind}_invoke")["text"]
    assert entry["stream"] and entry["usage_source"] == "provider" and entry["output_tokens"] > 0


@pytest.mark.parametrize(("kind", "endpoint"), [("chat", "chat.completions"), ("responses", "responses")])
def test_tools_and_objects(langchain, kind, endpoint):
    asked, answered = langchain.same(f"{kind}_tools")
    assert [call["name"] for call in asked["calls"]] == ["get_weather"] and answered["text"] > 1
    langchain.charged(f"{kind}_tools", endpoint, endpoint)
    assert set(langchain.same(f"{kind}_object")) == {"name", "length"}


def test_embeddings(langchain):
    vectors = langchain.same("embed_documents")
    assert len(vectors) == 3 and len(langchain.same("embed_query")) == len(vectors[0]) > 0
    langchain.charged("embed_documents", "embeddings")


def test_an_unknown_model(langchain):
    error = langchain.rows["unknown_model"]["weir"]
    assert error["status"] == 404 and error["error"] == "OpenAIModelNotFoundError" and error["code"] == "model_not_found"

"""LlamaIndex, as published, in an environment of its own (it holds on to an older official package):
python_clients/llamaindex_calls.py runs, this judges what it saw."""
import pytest

from harness.clients import Program


@pytest.fixture(scope="module")
def llamaindex(direct_sim, sim, clients_gateway):
    return Program.python(".venv-llamaindex", "llamaindex_calls.py", direct_sim, sim, clients_gateway)


@pytest.mark.parametrize(("kind", "endpoint"), [("chat", "chat.completions"), ("responses", "responses")])
def test_text(llamaindex, kind, endpoint):
    texts = {llamaindex.same(f"{kind}_{call}") for call in ("complete", "chat", "stream", "stream_chat")}
    assert len(texts) == 1 and texts.pop(), "however it is asked, the answer is the same"
    for call in ("complete", "stream"):
        [entry] = llamaindex.charged(f"{kind}_{call}", endpoint)
        assert entry["usage_source"] == "provider" and entry["stream"] == (call == "stream")


@pytest.mark.parametrize(("kind", "endpoint"), [("chat", "chat.completions"), ("responses", "responses")])
def test_tools(llamaindex, kind, endpoint):
    [call] = llamaindex.same(f"{kind}_tools")
    assert call["name"] == "get_weather" and set(call["arguments"]) == {"city"}
    llamaindex.charged(f"{kind}_tools", endpoint)


def test_embeddings(llamaindex):
    assert len(llamaindex.same("embed_many")) == 3
    assert len(llamaindex.same("embed")) > 0
    llamaindex.charged("embed", "embeddings")


def test_an_unknown_model(llamaindex):
    error = llamaindex.rows["unknown_model"]["weir"]
    assert error["error"] == "NotFoundError" and error["status"] == 404 and error["code"] == "model_not_found"

"""What cannot be had from some providers, and why: the cells of the matrix (test_matrix.py) that are not as the case says. Each of them must really differ,
in these words and no others, and its reason stands on the page."""
import dataclasses

from .matrix_clients import BACKS


@dataclasses.dataclass(frozen=True)
class Gap:
    cases: tuple
    backs: tuple        # the providers' dialects
    why: str
    refused: bool = False  # the client raises what it raises for a bad parameter
    differs: tuple = ()    # else: the first words of what differs; each difference begins with one of these
    fronts: tuple = ()     # the clients' dialects, or their names; nothing: all


GAPS = [
    Gap(("thinking_stream",), ("openai",), "Chat completions tell how many tokens were thought, and nothing of the thoughts.", differs=("reasoning",),
        fronts=("openai", "responses", "anthropic", "gemini", "ollama")),
    Gap(("thinking_stream",), ("responses", "anthropic", "gemini", "ollama"), "These packages read no thoughts from chat completions.",
        differs=("reasoning",), fronts=("ai-openai-chat", "langchain-openai")),
    Gap(("stop",), ("responses",), "Responses know no stop sequences: the parameter is left out, and named in `x-weir-ignored-params`.", differs=("stop",),
        fronts=("openai", "anthropic", "gemini", "ollama")),
    Gap(("thinking",), ("anthropic",), "These clients drop the thoughts of a turn, or what proves them, when they send it back. Anthropic takes the results of tools "
        "in a turn with thoughts only together with them, so that such a turn goes on without thinking.", differs=("thinking arrived",),
        fronts=("ai-openai-chat", "ai-compatible", "langchain-openai", "ollama")),
    Gap(("thinking",), ("responses",), "These clients drop the thoughts of a turn, or what proves them, when they send it back: the turn goes on without them.",
        differs=("signature",), fronts=("ai-openai-chat", "ai-compatible", "langchain-openai", "ollama")),
    Gap(("refusal",), ("ollama",), "Ollama has no word for a refusal: it ends like any answer.", differs=("finish",),
        fronts=("anthropic-python", "anthropic-node", "google-genai-python", "google-genai-node")),
    Gap(("image_url",), ("ollama",), "Ollama takes pictures in the request alone, and weir fetches nothing on a client's behalf.", refused=True),
    Gap(("document",), ("ollama",), "Ollama takes no documents.", refused=True),
    Gap(("embeddings",), ("anthropic",), "Anthropic has no embeddings.", refused=True),
    Gap(("no_tool", "forced_tool"), ("ollama",), "Ollama lets nobody choose the tool.", differs=("choice", "tools")),
]


def gap_of(client, back, case):
    return next((gap for gap in GAPS if case.name in gap.cases and back in gap.backs
                 and (not gap.fronts or client.dialect in gap.fronts or client.name in gap.fronts)), None)


assert all(set(gap.backs) <= set(BACKS) for gap in GAPS)

"""The clients of the matrix (test_matrix.py), and their own words for what a case must come to: why an answer ended, what was used, what is raised."""
import dataclasses

BACKS = ["openai", "responses", "anthropic", "gemini", "ollama"]


@dataclasses.dataclass(frozen=True)
class Client:
    name: str
    program: str     # in python_clients or node
    environment: str  # the folder of a Python environment, or node
    dialect: str     # of the API that it speaks
    words: str       # whose vocabulary its results are in
    title: str


def python(name, program, dialect, title, words=None, environment=".venv"):
    return Client(name, program, environment, dialect, words or dialect, title)


def node(name, program, dialect, title, words=None):
    return Client(name, program, "node", dialect, words or dialect, title)


CLIENTS = [
    python("openai-python", "matrix_openai.py", "openai", "openai (Python), chat completions"),
    python("openai-python-responses", "matrix_openai.py", "responses", "openai (Python), responses"),
    python("anthropic-python", "matrix_anthropic.py", "anthropic", "anthropic (Python)"),
    python("google-genai-python", "matrix_google.py", "gemini", "google-genai (Python)"),
    python("ollama-python", "matrix_ollama.py", "ollama", "ollama (Python)"),
    node("openai-node", "matrix_openai.mjs", "openai", "openai (Node), chat completions"),
    node("openai-node-responses", "matrix_openai.mjs", "responses", "openai (Node), responses"),
    node("anthropic-node", "matrix_anthropic.mjs", "anthropic", "@anthropic-ai/sdk"),
    node("google-genai-node", "matrix_google.mjs", "gemini", "@google/genai"),
    node("ollama-node", "matrix_ollama.mjs", "ollama", "ollama (Node)"),
    node("ai-openai", "matrix_ai.mjs", "responses", "AI SDK, @ai-sdk/openai", "ai"),
    node("ai-openai-chat", "matrix_ai.mjs", "openai", "AI SDK, @ai-sdk/openai with .chat()", "ai"),
    node("ai-compatible", "matrix_ai.mjs", "openai", "AI SDK, @ai-sdk/openai-compatible", "ai"),
    node("ai-anthropic", "matrix_ai.mjs", "anthropic", "AI SDK, @ai-sdk/anthropic", "ai"),
    node("ai-google", "matrix_ai.mjs", "gemini", "AI SDK, @ai-sdk/google", "ai"),
    python("langchain-openai", "matrix_langchain.py", "openai", "langchain-openai", "langchain", ".venv-langchain"),
    python("langchain-openai-responses", "matrix_langchain.py", "responses", "langchain-openai, responses", "langchain", ".venv-langchain"),
    python("langchain-anthropic", "matrix_langchain.py", "anthropic", "langchain-anthropic", "langchain", ".venv-langchain"),
    python("langchain-google", "matrix_langchain.py", "gemini", "langchain-google-genai", "langchain", ".venv-langchain"),
    python("langchain-ollama", "matrix_langchain.py", "ollama", "langchain-ollama", "langchain", ".venv-langchain"),
    python("llamaindex-openai", "matrix_llamaindex.py", "openai", "llama-index-llms-openai", "llamaindex", ".venv-llamaindex"),
]
BY_NAME = {client.name: client for client in CLIENTS}

# --- why an answer ended ---

FINISH = {
    "openai": {"stop": "stop", "sequence": "stop", "length": "length", "tools": "tool_calls", "filter": ("content_filter", "stop")},
    # The status is incomplete only where something was cut off; a refusal is a whole answer.
    "responses": {"stop": "completed", "sequence": "completed", "length": "incomplete: max_output_tokens", "tools": "completed",
                  "filter": ("completed", "incomplete: content_filter")},
    "anthropic": {"stop": "end_turn", "sequence": ("stop_sequence", "end_turn"), "length": "max_tokens", "tools": "tool_use", "filter": "refusal"},
    "gemini": {"stop": "STOP", "sequence": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "filter": "SAFETY"},
    "ollama": {"stop": "stop", "sequence": "stop", "length": "length", "tools": "stop", "filter": "stop"},
    "ai": {"stop": "stop", "sequence": "stop", "length": "length", "tools": "tool-calls", "filter": ("content-filter", "stop")},
}


def finish_words(client, kind):
    """The words that are right for this client; () where it has none to tell."""
    found = FINISH.get(client.words, {}).get(kind, ())
    return (found,) if isinstance(found, str) else found


# --- what was used ---

def inner(usage, *names):
    for name in names:
        usage = (usage or {}).get(name) or {}
    return usage or 0


def anthropic_usage(usage):
    read, write = inner(usage, "cache_read_input_tokens"), inner(usage, "cache_creation_input_tokens")
    return (inner(usage, "input_tokens") + read + write, read, write, inner(usage, "output_tokens"),
            inner(usage, "output_tokens_details", "thinking_tokens"))


def gemini_usage(usage):
    def of(snake, camel):
        return inner(usage, snake) or inner(usage, camel)
    thoughts = of("thoughts_token_count", "thoughtsTokenCount")
    return (of("prompt_token_count", "promptTokenCount") + of("tool_use_prompt_token_count", "toolUsePromptTokenCount"),
            of("cached_content_token_count", "cachedContentTokenCount"), 0, of("candidates_token_count", "candidatesTokenCount") + thoughts, thoughts)


# The client's words as (input, cached, cache_write, output, reasoning), inclusive as docs/reference/prices.md has it.
USAGE = {
    "openai": lambda usage: (inner(usage, "prompt_tokens"), inner(usage, "prompt_tokens_details", "cached_tokens"),
                             inner(usage, "prompt_tokens_details", "cache_write_tokens"), inner(usage, "completion_tokens"),
                             inner(usage, "completion_tokens_details", "reasoning_tokens")),
    "responses": lambda usage: (inner(usage, "input_tokens"), inner(usage, "input_tokens_details", "cached_tokens"),
                                inner(usage, "input_tokens_details", "cache_write_tokens"), inner(usage, "output_tokens"),
                                inner(usage, "output_tokens_details", "reasoning_tokens")),
    "anthropic": anthropic_usage, "gemini": gemini_usage,
    "ollama": lambda usage: (inner(usage, "prompt_eval_count"), 0, 0, inner(usage, "eval_count"), 0),
    "ai": lambda usage: (inner(usage, "inputTokens"), inner(usage, "inputTokenDetails", "cacheReadTokens"),
                         inner(usage, "inputTokenDetails", "cacheWriteTokens"), inner(usage, "outputTokens"),
                         inner(usage, "outputTokenDetails", "reasoningTokens")),
    "langchain": lambda usage: (inner(usage, "input_tokens"), inner(usage, "input_token_details", "cache_read"),
                                sum(inner(usage, "input_token_details", name) for name in (
                                    "cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")), inner(usage, "output_tokens"),
                                inner(usage, "output_token_details", "reasoning")),
}
# Which of the five figures an API has at all, and which of them a package tells of its own API.
KNOWS = {"openai": (1, 1, 1, 1, 1), "responses": (1, 1, 1, 1, 1), "anthropic": (1, 1, 1, 1, 1), "gemini": (1, 1, 0, 1, 1), "ollama": (1, 0, 0, 1, 0)}
TELLS = {"ai-compatible": (1, 1, 0, 1, 1)}
# It adds up the usages of a stream's chunks, of which each is the whole so far.
MISCOUNTS_STREAMS = ("langchain-google",)


def usage_expected(client, back, truth):
    """What can be left of the truth on its way from this provider to this client."""
    known = [all(flags) for flags in zip(KNOWS[back], KNOWS[client.dialect], TELLS.get(client.name, (1, 1, 1, 1, 1)), strict=True)]
    return tuple(figure if flag else None for figure, flag in zip(truth, known, strict=True))


# --- what is raised ---

BY_STATUS = {
    "openai": {"key": "AuthenticationError", "model": "NotFoundError", "parameter": "BadRequestError", "limit": "RateLimitError",
               "server": "InternalServerError"},
    "gemini": {"key": "ClientError", "model": "ClientError", "parameter": "ClientError", "limit": "ClientError", "server": "ServerError"},
}
STATUS = {"key": 401, "model": 404, "parameter": 400, "limit": 429, "server": 500}
# `broken` is an error that the stream itself tells of, `cut` a stream that breaks off: through weir it is told of in the same way.
RAISES = {
    "openai-python": {**BY_STATUS["openai"], "broken": "APIError", "cut": ("APIError", "APIConnectionError")},
    "openai-python-responses": {**BY_STATUS["openai"], "broken": ("ErrorEvent", "APIError"), "cut": ("ErrorEvent", "APIError", "APIConnectionError")},
    "anthropic-python": {**BY_STATUS["openai"], "broken": ("APIStatusError", "InternalServerError"), "cut": ("APIStatusError", "InternalServerError", "RemoteProtocolError")},
    "google-genai-python": {**BY_STATUS["gemini"], "broken": ("ServerError", "APIError"), "cut": ("ServerError", "APIError", "RemoteProtocolError")},
    "ollama-python": {**dict.fromkeys(STATUS, "ResponseError"), "broken": "ResponseError", "cut": ("ResponseError", "RemoteProtocolError")},
    "openai-node": {**BY_STATUS["openai"], "broken": "APIError", "cut": ("APIError", "OpenAIError", "TypeError")},
    "openai-node-responses": {**BY_STATUS["openai"], "broken": ("APIError", "ErrorEvent"), "cut": ("APIError", "ErrorEvent", "OpenAIError")},
    "anthropic-node": {**BY_STATUS["openai"], "broken": "APIError", "cut": ("APIError", "AnthropicError")},
    "google-genai-node": {**dict.fromkeys(STATUS, "ApiError"), "broken": "ApiError", "cut": ("ApiError", "TypeError")},
    "ollama-node": {**dict.fromkeys(STATUS, "ResponseError"), "broken": "Error", "cut": ("Error", "TypeError")},
}
for ai in ("ai-openai", "ai-openai-chat", "ai-compatible", "ai-anthropic", "ai-google"):
    RAISES[ai] = {**dict.fromkeys(STATUS, "APICallError"), "broken": "StreamProviderError", "cut": ("StreamProviderError", "APICallError", "TypeError")}
for lang, broken in (("langchain-openai", "APIError"), ("langchain-openai-responses", ("ValueError", "APIError"))):
    RAISES[lang] = {"key": "OpenAIAuthenticationError", "model": "OpenAIModelNotFoundError", "parameter": ("OpenAIInvalidRequestError", "BadRequestError"),
                    "limit": "OpenAIRateLimitError", "server": "OpenAIAPIError", "broken": broken,
                    "cut": ("OpenAIConnectionError", "APIError", "ValueError")}
RAISES["langchain-anthropic"] = {"key": "AnthropicAuthenticationError", "model": "AnthropicModelNotFoundError",
                                 "parameter": "AnthropicInvalidRequestError", "limit": "AnthropicRateLimitError", "server": "AnthropicAPIError",
                                 "broken": RAISES["anthropic-python"]["broken"], "cut": RAISES["anthropic-python"]["cut"]}
RAISES["langchain-ollama"] = RAISES["ollama-python"]
RAISES["llamaindex-openai"] = {**RAISES["openai-python"], "cut": ("APIError", "RemoteProtocolError")}
RAISES["langchain-google"] = {"key": "GoogleAuthenticationError", "model": "GoogleModelNotFoundError", "parameter": ("GoogleInvalidRequestError", "GoogleGenerativeAIError"),
                              "limit": "GoogleRateLimitError", "server": "GoogleAPIError", "broken": "GoogleAPIError",
                              "cut": ("GoogleAPIError", "RemoteProtocolError")}

"""Judges that were written elsewhere: a request's or an answer's body is held against the types of its vendor's own Python package.

`problems(dialect, path, body)` lists what is wrong with a request; `answer_problems(kind, body)` does so for an answer, or for one event of a
stream, of the packages that have no strict mode of their own (Gemini, Ollama). The packages' types are as they are published. What is made
stricter here is only how they are applied: a member that a type does not name is refused, a number is no string, and what the packages
declare as an iterable is read as a list (pydantic would look into an iterable only later).
"""
import base64
import binascii
import importlib
import importlib.util
import json
import pkgutil
import sys
import typing

import anthropic.types
import google.genai.types as gemini
import openai.types.chat
import openai.types.embedding_create_params
import openai.types.responses
import pydantic
from pydantic.alias_generators import to_camel
from typing_extensions import is_typeddict

FORBIDDING = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, strict=True)


def is_answer(kind):
    """A type of answers, which bears more than it names; a vendor lets it stand in a request as it came."""
    return isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def eager(kind):
    """The same type with lists for iterables, and without types of answers beside those of requests."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        first = eager(inner[0])
        return first if first is typing.Never else typing.Annotated[(first, *inner[1:])]
    if origin is typing.Union:
        kept = [eager(part) for part in inner]
        kept = [part for part in kept if not is_answer(part) and part is not typing.Never]
        return typing.Union[tuple(kept)] if kept else typing.Never
    if origin is not None and origin.__name__ in ("Iterable", "SequenceNotStr"):
        return typing.List[eager(inner[0])]
    return kind


def strict_typed_dicts(package):
    """Every TypedDict of the package refuses what it does not name."""
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
    root = package.__name__.partition(".")[0]
    for name, module in list(sys.modules.items()):
        if not name.startswith((package.__name__, f"{root}._types")):
            continue
        for lazy in ("Iterable", "SequenceNotStr"):
            if hasattr(module, lazy):
                setattr(module, lazy, typing.List)
        for alias, value in list(vars(module).items()):
            if is_typeddict(value):
                value.__pydantic_config__ = FORBIDDING
            elif typing.get_origin(value) in (typing.Union, typing.Annotated) and name.endswith(("_param", "_params")):
                found = eager(value)
                if found is not typing.Never:
                    setattr(module, alias, found)


for published in (anthropic.types, openai.types):
    strict_typed_dicts(published)


class Request(pydantic.BaseModel):
    """What the REST API of Gemini takes: its package knows the members' types, and puts them together in its code."""
    model_config = pydantic.ConfigDict(alias_generator=to_camel, extra="forbid", val_json_bytes="base64")


class GenerateContent(Request):
    contents: list[gemini.Content]
    system_instruction: gemini.Content | None = None
    tools: list[gemini.Tool] | None = None
    tool_config: gemini.ToolConfig | None = None
    safety_settings: list[gemini.SafetySetting] | None = None
    generation_config: gemini.GenerationConfig | None = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None


class CountTokens(Request):
    contents: list[gemini.Content] | None = None
    generate_content_request: dict | None = None


class EmbedContent(Request):
    model: str | None = None
    content: gemini.Content
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class BatchEmbedContents(Request):
    requests: list[EmbedContent]


def own_copy(name):
    """A module of the package's once more: what is changed here is not what clients in the same process use."""
    specification = importlib.util.find_spec(name)
    copy = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(copy)
    return copy


ollama = own_copy("ollama._types")

# A schema may say more about a property than these types name, and the server passes it on.
OPEN = (ollama.Tool.Function.Parameters, ollama.Tool.Function.Parameters.Property)
CLOSED = (ollama.Options, ollama.Message.ToolCall.Function, ollama.Message.ToolCall, ollama.Message, ollama.Tool.Function, ollama.Tool,
          ollama.ChatRequest, ollama.GenerateRequest, ollama.EmbedRequest, ollama.TokenLogprob, ollama.Logprob, ollama.ChatResponse,
          ollama.GenerateResponse, ollama.EmbedResponse)
for model in (*OPEN, *CLOSED):
    model.model_config["extra"] = "allow" if model in OPEN else "forbid"
for model in (*OPEN, *CLOSED):
    model.model_rebuild(force=True)


def checked(model, name=None):
    adapter = pydantic.TypeAdapter(model)
    return lambda text: adapter.validate_json(text, strict=name != "gemini")


def ollama_request(model):
    """These types let options, messages and pictures pass as any mapping and any text: here each is what it is named for."""
    validate = checked(model)

    def judge(text):
        validate(text)
        body = json.loads(text)
        ollama.Options.model_validate(body.get("options") or {}, strict=True)
        for message in body.get("messages") or []:
            parsed = ollama.Message.model_validate_json(json.dumps({**message, "images": None}), strict=True)
            if parsed.role not in ("system", "user", "assistant", "tool"):
                raise ValueError(f"no such role: {parsed.role}")
        for holder in [body, *(body.get("messages") or [])]:
            for image in holder.get("images") or []:
                base64.b64decode(image, validate=True)

    return judge


def typed_dict(params):
    adapter = pydantic.TypeAdapter(params)
    return lambda text: adapter.validate_python(json.loads(text))


REQUESTS = {
    "openai": {"/v1/chat/completions": typed_dict(openai.types.chat.completion_create_params.CompletionCreateParams),
               "/v1/embeddings": typed_dict(openai.types.embedding_create_params.EmbeddingCreateParams)},
    "responses": {"/v1/responses": typed_dict(openai.types.responses.response_create_params.ResponseCreateParams),
                  "/v1/embeddings": typed_dict(openai.types.embedding_create_params.EmbeddingCreateParams),
                  "/v1/responses/input_tokens": typed_dict(openai.types.responses.input_token_count_params.InputTokenCountParams)},
    "anthropic": {"/v1/messages": typed_dict(anthropic.types.message_create_params.MessageCreateParams),
                  "/v1/messages/count_tokens": typed_dict(anthropic.types.message_count_tokens_params.MessageCountTokensParams)},
    "gemini": {":generateContent": checked(GenerateContent, "gemini"), ":streamGenerateContent": checked(GenerateContent, "gemini"),
               ":countTokens": checked(CountTokens, "gemini"), ":embedContent": checked(EmbedContent, "gemini"),
               ":batchEmbedContents": checked(BatchEmbedContents, "gemini")},
    "ollama": {"/api/chat": ollama_request(ollama.ChatRequest), "/api/generate": ollama_request(ollama.GenerateRequest),
               "/api/embed": ollama_request(ollama.EmbedRequest)},
}
ANSWERS = {
    "gemini": checked(gemini.GenerateContentResponse, "gemini"), "gemini count": checked(gemini.CountTokensResponse, "gemini"),
    "ollama": checked(ollama.ChatResponse), "ollama generate": checked(ollama.GenerateResponse), "ollama embed": checked(ollama.EmbedResponse),
}


def in_short(error):
    """A union tells of every alternative; those that went deepest are the ones that were meant."""
    if not isinstance(error, pydantic.ValidationError):
        return [f"{type(error).__name__}: {error}"]
    found = error.errors(include_url=False, include_input=False)
    deepest = max(len(row["loc"]) for row in found)
    told = [f"{'.'.join(str(part) for part in row['loc'])}: {row['msg']}" for row in found if len(row["loc"]) == deepest]
    return list(dict.fromkeys(told))[:3]


def run(judge, text):
    try:
        judge(text)
    except (pydantic.ValidationError, ValueError, TypeError, binascii.Error) as error:
        return in_short(error)
    return []


def judge_of(dialect, path):
    return next((judge for end, judge in REQUESTS[dialect].items() if path.partition("?")[0].endswith(end)), None)


def knows_path(dialect, path):
    return judge_of(dialect, path) is not None


# The package knows the newest version of the API, which has these no longer.
OLDER_VERSION, OLDER_MEMBERS = "2023-06-01", ("temperature", "top_p", "top_k")


def problems(dialect, path, body, version=None):
    """What the vendor's types find wrong with a request's body (bytes or text) to this path, under the version of the API that it names; [] where nothing."""
    judge = judge_of(dialect, path)
    if judge is None:
        return [f"{dialect} has no {path}"]
    if dialect == "anthropic" and version == OLDER_VERSION:
        body = json.dumps({name: value for name, value in json.loads(body).items() if name not in OLDER_MEMBERS})
    return run(judge, body)


def answer_problems(kind, body):
    """What the vendor's types find wrong with an answer, or with one event of a stream."""
    return run(ANSWERS[kind], body)

"""The calls of the fault table as the official client makes them: one function for each kind of call, and what it got.

A kind is an endpoint family, with " stream" behind it where its answer is asked for in events. What a client has in the end is a `Seen`: text and
errors alone, nothing of timing, so that what was expected can be compared with it by `==`.
"""
import json
import threading
from dataclasses import dataclass, field, replace

import openai

from .waiting import PATIENCE

WHOLE = "whole"
TOKENS = 20
SENTENCE = "Tell of a river."
SOUND = b"RIFF" + bytes(300_000)      # more than a spool keeps in memory
LARGE_SOUND = b"RIFF" + bytes(12_000_000)  # more than all socket buffers on the way
LARGE_TEXT = SENTENCE * 60_000        # about a megabyte of JSON
LINE = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "sim-small", "messages": [{"role": "user", "content": SENTENCE}]}}
LINES = json.dumps(LINE).encode() + b"\n"


@dataclass(frozen=True)
class Seen:
    """What the client has: `got` is "whole", "nothing", or how many pieces of a stream (a beginning of the whole text)."""
    got: str = WHOLE
    raises: str = ""       # the exception's class; "" for none
    status: int = 200
    code: str | None = None
    error_code: str = ""
    event: str = ""        # the event that told of a failure where the client raises nothing
    retries: bool = False  # the official client would try again by itself
    retry_after: str = ""


@dataclass
class Taken:
    """One call as it went."""
    seen: Seen
    request_id: str
    body_bytes: int        # of the request
    pieces: int            # of text that came in a stream
    told_bytes: int        # of the member of a whole answer that an estimate of its tokens goes by


@dataclass
class Progress:
    pieces: list = field(default_factory=list)  # texts, or bytes
    finished: bool = False
    event: str = ""
    code: str | None = None
    error_code: str = ""


@dataclass(frozen=True)
class Target:
    """Where a call goes: a model's name, and the provider for what no model leads to."""
    model: str
    provider: str
    file_id: str = ""


# --- the kinds ---


def finish(progress, pieces, finished=True):
    progress.pieces, progress.finished = pieces, finished


def chat(client, target, progress, text=SENTENCE, **more):
    answer = client.chat.completions.create(model=target.model, messages=[{"role": "user", "content": text}], **more)
    finish(progress, [answer.choices[0].message.content], answer.choices[0].finish_reason == "stop")


def chat_large(client, target, progress, **more):
    chat(client, target, progress, LARGE_TEXT, **more)


def chat_stream(client, target, progress, **more):
    for chunk in client.chat.completions.create(model=target.model, messages=[{"role": "user", "content": SENTENCE}], stream=True, **more):
        if chunk.choices and chunk.choices[0].delta.content:
            progress.pieces.append(chunk.choices[0].delta.content)
        progress.finished |= bool(chunk.choices) and chunk.choices[0].finish_reason == "stop"


def completions(client, target, progress, **more):
    answer = client.completions.create(model=target.model, prompt=SENTENCE, **more)
    finish(progress, [answer.choices[0].text], answer.choices[0].finish_reason == "stop")


def completions_stream(client, target, progress, **more):
    for chunk in client.completions.create(model=target.model, prompt=SENTENCE, stream=True, **more):
        if chunk.choices and chunk.choices[0].text:
            progress.pieces.append(chunk.choices[0].text)
        progress.finished |= bool(chunk.choices) and chunk.choices[0].finish_reason == "stop"


def responses(client, target, progress, **more):
    answer = client.responses.create(model=target.model, input=SENTENCE, **more)
    finish(progress, [answer.output_text], answer.status == "completed")


def responses_stream(client, target, progress, **more):
    for event in client.responses.create(model=target.model, input=SENTENCE, stream=True, **more):
        if event.type == "response.output_text.delta":
            progress.pieces.append(event.delta)
        elif event.type == "response.completed":
            progress.finished = True
        elif event.type in ("response.failed", "error"):
            error = event if event.type == "error" else event.response.error
            progress.event, progress.code = event.type, error.code
            progress.error_code = getattr(event, "error_code", "")


def embeddings(client, target, progress, **more):
    answer = client.embeddings.create(model=target.model, input=SENTENCE, **more)
    finish(progress, [json.dumps(answer.data[0].embedding)])


def images(client, target, progress, **more):
    answer = client.images.generate(model=target.model, prompt=SENTENCE, **more)
    finish(progress, [answer.data[0].b64_json])


def images_stream(client, target, progress, **more):
    for event in client.images.generate(model=target.model, prompt=SENTENCE, stream=True, partial_images=2, **more):
        progress.pieces.append(event.b64_json)
        progress.finished = event.type == "image_generation.completed"


def speech(client, target, progress, **more):
    with client.audio.speech.with_streaming_response.create(model=target.model, voice="alloy", input=SENTENCE, response_format="pcm",
                                                            **more) as answer:
        for data in answer.iter_bytes():
            progress.pieces.append(data)
    progress.finished = True


def transcriptions(client, target, progress, sound=SOUND, **more):
    answer = client.audio.transcriptions.create(model=target.model, file=("a.wav", sound, "audio/wav"), **more)
    finish(progress, [answer.text])


def transcriptions_large(client, target, progress, **more):
    transcriptions(client, target, progress, LARGE_SOUND, **more)


def transcriptions_stream(client, target, progress, **more):
    for event in client.audio.transcriptions.create(model=target.model, file=("a.wav", SOUND, "audio/wav"), stream=True, **more):
        if event.type == "transcript.text.delta":
            progress.pieces.append(event.delta)
        progress.finished |= event.type == "transcript.text.done"


def files(client, target, progress, content=LINES, extra_headers=None, **more):
    made = client.files.create(file=("a.jsonl", content), purpose="batch",
                               extra_headers={"x-weir-provider": target.provider, **(extra_headers or {})}, **more)
    assert made.id.startswith("file-")
    finish(progress, [f"{made.filename} {made.bytes}"])
    return made.id


def files_large(client, target, progress, **more):
    files(client, target, progress, LINES * 80_000, **more)


def batches(client, target, progress, extra_headers=None, **more):
    made = client.batches.create(input_file_id=target.file_id, endpoint="/v1/chat/completions", completion_window="24h",
                                 extra_headers={"x-weir-provider": target.provider, **(extra_headers or {})}, **more)
    finish(progress, [made.completion_window])


@dataclass(frozen=True)
class Kind:
    call: object
    model: str             # that the provider knows
    told: str = ""         # the member of a whole answer that an estimate goes by; "*" for all of it
    once: bool = False     # must never be sent twice


KINDS = {
    "chat": Kind(chat, "sim-small", "choices"), "chat large": Kind(chat_large, "sim-small", "choices"),
    "chat stream": Kind(chat_stream, "sim-small"),
    "completions": Kind(completions, "sim-small", "choices"), "completions stream": Kind(completions_stream, "sim-small"),
    "responses": Kind(responses, "sim-small", "output"), "responses stream": Kind(responses_stream, "sim-small"),
    "embeddings": Kind(embeddings, "sim-embedding"),
    "images": Kind(images, "gpt-image-1"), "images stream": Kind(images_stream, "gpt-image-1"),
    "speech": Kind(speech, "sim-speech"),
    "transcriptions": Kind(transcriptions, "sim-transcribe", "*"), "transcriptions large": Kind(transcriptions_large, "sim-transcribe"),
    "transcriptions stream": Kind(transcriptions_stream, "sim-transcribe"),
    "files": Kind(files, "", once=True), "files large": Kind(files_large, "", once=True), "batches": Kind(batches, "", once=True),
}


# --- one call ---


class Caller:
    """Official clients, one for each thread, for they keep the head of the answer that came last."""

    def __init__(self):
        self.own = threading.local()

    def client(self, gateway):
        if not hasattr(self.own, "client"):
            http = openai.DefaultHttpxClient(event_hooks={"response": [self._note]})
            self.own.client = openai.OpenAI(api_key="replaced", http_client=http, max_retries=0, timeout=60.0 * PATIENCE)
        return self.own.client.with_options(base_url=gateway.base_url, api_key=gateway.key)

    def _note(self, response):
        self.own.response = response

    def upload(self, gateway, provider):
        """The id of a file that this provider has."""
        return files(self.client(gateway), Target("", provider), Progress())

    def call(self, gateway, kind, target, headers, wanted=None, size=0, loose=False):
        """Makes the call. `wanted` are the pieces of the whole answer; instead of them `size` is its length, or with `loose` any
        part will do."""
        client, progress, error = self.client(gateway), Progress(), None
        self.own.response = None
        try:
            KINDS[kind].call(client, target, progress, extra_headers=headers)
        except Exception as caught:  # what an application would see, whatever it is
            error = caught
        response = self.own.response
        assert response is not None, f"not even a head came: {error!r}"
        seen = Seen(got=got(kind, progress, wanted, size, loose), raises=type(error).__name__ if error is not None else "",
                    status=response.status_code, code=progress.code, error_code=progress.error_code, event=progress.event)
        if isinstance(error, openai.APIError):
            body = error.body if isinstance(error.body, dict) else {}
            whole = {"message", "type", "param", "code"} <= set(body) and body.get("request_id") == response.headers["x-request-id"]
            seen = replace(seen, code=error.code, error_code=body.get("error_code", "") if whole else f"not whole: {body}")
        if response.status_code != 200:
            seen = replace(seen, retries=client._should_retry(response), retry_after=response.headers.get("retry-after", ""))
        whole = response.text if KINDS[kind].told and response.is_closed and error is None else ""
        taken = Taken(seen, response.headers["x-request-id"], int(response.request.headers.get("content-length", 0)),
                      len(progress.pieces) if kind.endswith("stream") else 0, member_bytes(whole, KINDS[kind].told))
        return taken, progress.pieces


def member_bytes(text, name):
    """How many bytes the value of that member takes; "*": all that the provider sent, without what weir put behind it."""
    if name == "*":
        return text.rfind(',"usedCUMilli"') + 1
    start = text.find(f'"{name}":') if name else -1
    if start < 0:
        return 0
    start += len(name) + 3
    start += len(text[start:]) - len(text[start:].lstrip())
    return len(text[start:json.JSONDecoder().raw_decode(text, start)[1]].encode())


def join(pieces):
    return (b"" if pieces and isinstance(pieces[0], bytes) else "").join(pieces)


def got(kind, progress, wanted, size, loose):
    if not progress.pieces:
        return "nothing"
    text = join(progress.pieces)
    if size or loose:
        if progress.finished and size and len(text) >= size:
            return WHOLE
        return "a part" if loose and not progress.finished else f"{len(text)} of {size}"
    if wanted is None or (progress.finished and text == join(wanted)):
        return WHOLE
    if kind == "speech" and join(wanted).startswith(text):
        return "a part"
    if kind.endswith("stream") and progress.pieces == wanted[:len(progress.pieces)]:
        return f"{len(progress.pieces)} of {len(wanted)} pieces" + (", finished" if progress.finished else "")
    return f"something else: {text[:100]!r}"

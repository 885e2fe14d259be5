"""The calls of the fault table as the official client makes them: one function for each kind of call, and what it got.

A kind is an endpoint family, with " stream" behind it where its answer is asked for in events. What a client has in the end is a `Seen`: text and
errors alone, nothing of timing, so that what was expected can be compared with it by `==`.
"""
import json
import threading
from dataclasses import dataclass, field, replace

import openai

WHOLE = "whole"
TOKENS = 20
UPLOAD = b"RIFF" + bytes(range(256)) * 2000  # half a megabyte: more than the system's socket buffers and than a spool's memory


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
    content_bytes: int     # of text in a whole answer


@dataclass
class Progress:
    pieces: list = field(default_factory=list)
    finished: bool = False
    event: str = ""
    code: str | None = None
    error_code: str = ""
    content_bytes: int = 0


# --- the kinds ---


def chat(client, model, progress, **more):
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Tell of a river."}], **more)
    progress.pieces = [answer.choices[0].message.content]
    progress.finished = answer.choices[0].finish_reason == "stop"


def chat_stream(client, model, progress, **more):
    for chunk in client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Tell of a river."}], stream=True, **more):
        if chunk.choices and chunk.choices[0].delta.content:
            progress.pieces.append(chunk.choices[0].delta.content)
        progress.finished |= bool(chunk.choices) and chunk.choices[0].finish_reason == "stop"


def completions(client, model, progress, **more):
    answer = client.completions.create(model=model, prompt="Tell of a river.", **more)
    progress.pieces = [answer.choices[0].text]
    progress.finished = answer.choices[0].finish_reason == "stop"


def completions_stream(client, model, progress, **more):
    for chunk in client.completions.create(model=model, prompt="Tell of a river.", stream=True, **more):
        if chunk.choices and chunk.choices[0].text:
            progress.pieces.append(chunk.choices[0].text)
        progress.finished |= bool(chunk.choices) and chunk.choices[0].finish_reason == "stop"


def responses(client, model, progress, **more):
    answer = client.responses.create(model=model, input="Tell of a river.", **more)
    progress.pieces = [answer.output_text]
    progress.finished = answer.status == "completed"


def responses_stream(client, model, progress, **more):
    for event in client.responses.create(model=model, input="Tell of a river.", stream=True, **more):
        if event.type == "response.output_text.delta":
            progress.pieces.append(event.delta)
        elif event.type == "response.completed":
            progress.finished = True
        elif event.type in ("response.failed", "error"):
            error = event if event.type == "error" else event.response.error
            progress.event, progress.code = event.type, error.code
            progress.error_code = getattr(event, "error_code", "")


def embeddings(client, model, progress, **more):
    answer = client.embeddings.create(model=model, input="Tell of a river.", **more)
    progress.pieces = [json.dumps(answer.data[0].embedding)]
    progress.finished = True


KINDS = {"chat": chat, "chat stream": chat_stream, "completions": completions, "completions stream": completions_stream,
         "responses": responses, "responses stream": responses_stream, "embeddings": embeddings}


# --- one call ---


class Caller:
    """Official clients, one for each thread, for they keep the head of the answer that came last."""

    def __init__(self):
        self.own = threading.local()

    def client(self, gateway):
        if not hasattr(self.own, "client"):
            self.own.http = openai.DefaultHttpxClient(event_hooks={"response": [self._note]})
            self.own.client = openai.OpenAI(api_key="replaced", http_client=self.own.http, max_retries=0, timeout=120.0)
        return self.own.client.with_options(base_url=gateway.base_url, api_key=gateway.key)

    def _note(self, response):
        self.own.response = response

    def call(self, gateway, kind, model, headers, wanted=None):
        """Makes the call; `wanted` are the pieces of the whole answer."""
        client, progress, error = self.client(gateway), Progress(), None
        self.own.response = None
        try:
            KINDS[kind](client, model, progress, extra_headers=headers)
        except Exception as caught:  # what an application would see, whatever it is
            error = caught
        response = self.own.response
        assert response is not None, f"not even a head came: {error!r}"
        text = "".join(progress.pieces)
        seen = Seen(got=self._got(kind, progress, wanted), raises=type(error).__name__ if error is not None else "",
                    status=response.status_code, code=progress.code, error_code=progress.error_code, event=progress.event)
        if isinstance(error, openai.APIError):
            body = error.body if isinstance(error.body, dict) else {}
            seen = replace(seen, code=error.code, error_code=body.get("error_code", ""))
        if response.status_code != 200:
            seen = replace(seen, retries=client._should_retry(response), retry_after=response.headers.get("retry-after", ""))
        taken = Taken(seen, response.headers["x-request-id"], int(response.request.headers.get("content-length", 0)),
                      len(progress.pieces) if kind.endswith("stream") else 0, len(text.encode()))
        return taken, progress.pieces

    @staticmethod
    def _got(kind, progress, wanted):
        if not progress.pieces:
            return "nothing"
        if wanted is None or (progress.finished and "".join(progress.pieces) == "".join(wanted)):
            return WHOLE
        if kind.endswith("stream") and progress.pieces == wanted[:len(progress.pieces)]:
            return f"{len(progress.pieces)} of {len(wanted)} pieces" + (", finished" if progress.finished else "")
        return "something else"

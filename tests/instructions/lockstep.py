"""One client and one upstream in one thread, in lockstep: each says its next piece only when the proxy between them has passed
the last one on. So the proxy meets the same reads and writes, one event a turn, whatever the machine is doing; no
answer depends on timing.
"""
import json
import os
import select
import signal
import socket

TIMEOUT_SECONDS = 60
# More than any body here: a body is then one write for us, and the proxy's write to us is taken whole.
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024


def ends_chunks(data):
    """Whether the last chunk, and the trailer behind it, is there."""
    return data.endswith(b"\r\n\r\n") and b"\r\n0\r\n" in data[-500:]


def whole_message(data):
    """Whether the bytes are one whole HTTP message: by its length, or by the end of its chunks."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    fields = head.lower()
    if b"\r\ntransfer-encoding: chunked" in fields:
        return ends_chunks(body)
    length = fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)


def read_until(source, enough):
    data = bytearray()
    while not enough(data):
        piece = source.recv(1 << 20)
        if not piece:
            raise ConnectionError(f"the proxy closed the connection behind {bytes(data[:2000])!r}")
        data += piece
    return bytes(data)


def connection(address):
    host, _, port = address.rpartition(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.settimeout(TIMEOUT_SECONDS)
    made.connect((host, int(port)))
    return made


class Lockstep:
    """`address` is the proxy's, `pid` its process; the upstream's is `upstream_address`."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.upstream_address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.client = self.upstream = None
        self.taken_count = 0

    def connect(self, address):
        self.client = connection(address)

    def close(self):
        for one in (self.client, self.upstream, self.listener):
            if one is not None:
                one.close()

    def local(self, request):
        """A request that the proxy answers itself."""
        self.client.sendall(request)
        return read_until(self.client, whole_message)

    def taken(self):
        """The request as it reached the upstream, on the connection that is open or on a new one."""
        sources = [one for one in (self.listener, self.upstream) if one is not None]
        ready, _, _ = select.select(sources, [], [], TIMEOUT_SECONDS)
        if self.listener in ready:
            if self.upstream is not None:
                self.upstream.close()
            self.upstream, _ = self.listener.accept()
            self.upstream.settimeout(TIMEOUT_SECONDS)
            self.upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.taken_count += 1
        return read_until(self.upstream, whole_message)

    def passed(self, request, answer):
        """A request that is passed on, and its whole answer."""
        self.client.sendall(request)
        self.taken()
        self.upstream.sendall(answer)
        return read_until(self.client, whole_message)

    def passed_at_once(self, request, answer, pid):
        """The same with a request of many reads: the process stands still until all of it waits to be read."""
        os.kill(pid, signal.SIGSTOP)
        self.client.sendall(request)
        os.kill(pid, signal.SIGCONT)
        self.taken()
        self.upstream.sendall(answer)
        return read_until(self.client, whole_message)

    def streamed(self, request, events):
        """A streamed answer, each event a chunk and a write of its own; the last ones, which a proxy may hold back until it
        knows the end, go together. Events are (bytes, mark): the client waits for the mark."""
        self.client.sendall(request)
        self.taken()
        self.upstream.sendall(STREAM_HEAD)
        for event, mark in events[:-1]:
            self.upstream.sendall(b"%x\r\n%s\r\n" % (len(event), event))
            read_until(self.client, lambda data, mark=mark: mark in data)
        event, _ = events[-1]
        self.upstream.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(event), event))
        return read_until(self.client, ends_chunks)

    def streamed_together(self, request, events):
        """The same with all events in one write, each a chunk of its own."""
        self.client.sendall(request)
        self.taken()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event, _ in events)
        self.upstream.sendall(STREAM_HEAD + chunks + b"0\r\n\r\n")
        return read_until(self.client, ends_chunks)


STREAM_HEAD = (b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 14:37:33 GMT\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
               b"x-request-id: req_0123456789abcdef0123456789abcdef\r\nopenai-version: 2020-10-01\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")


def request(method, path, body=b"", **fields):
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway.example", "User-Agent: count/1", "Accept: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


PROMPT = "Tell me about weirs, and \\\"what\\\" they measure: na\u00efvely. "


def chat(key, size, model="sim-small", **more):
    """A chat request whose body has about `size` bytes."""
    text = (PROMPT * (size // len(PROMPT) + 1))[:size - 120].rstrip("\\")
    body = '{"model": "%s", "messages": [{"role": "user", "content": "%s"}]%s}' % (
        model, text, "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items()))
    return request("POST", "/v1/chat/completions", body.encode(), Authorization=f"Bearer {key}")


def messages(key, size, model="sim-small", **more):
    """The same, as clients of the Messages API ask it."""
    text = (PROMPT * (size // len(PROMPT) + 1))[:size - 120].rstrip("\\")
    body = '{"model": "%s", "max_tokens": 1024, "messages": [{"role": "user", "content": "%s"}]%s}' % (
        model, text, "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items()))
    return request("POST", "/v1/messages", body.encode(), x_api_key=key, anthropic_version="2023-06-01")


def whole_answer(body, *fields):
    body = json.dumps(body).encode()
    return (b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 14:37:33 GMT\r\nContent-Type: application/json\r\n" +
            b"".join(field + b"\r\n" for field in fields) + b"Content-Length: %d\r\n\r\n" % len(body) + body)


WORDS = "A weir is a low dam. " * 12


def message(**more):
    return {"id": "msg_0123456789abcdef01234567", "type": "message", "role": "assistant", "model": "sim-small", "content": [], "stop_reason": None,
            "stop_sequence": None, "usage": {"input_tokens": 250, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}, **more}


def messages_answer():
    """What `answer` says, as the Messages API does."""
    usage = {"input_tokens": 250, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 60}
    return whole_answer(message(content=[{"type": "text", "text": WORDS}], stop_reason="end_turn", usage=usage),
                        b"request-id: req_0123456789abcdef01234567")


def messages_events(tokens):
    """What `events` are, as the Messages API has them."""
    def event(kind, **members):
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **members}, separators=(",", ":")).encode())

    begin = event("message_start", message=message())
    begin += event("content_block_start", index=0, content_block={"type": "text", "text": ""}) + event("ping")
    made = [(begin, b'"assistant"')]
    for number in range(tokens):
        word = f" w{number:06d}"
        made.append((event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}), word.encode()))
    made.append((event("content_block_stop", index=0) +
                 event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 64}) +
                 event("message_stop"), b""))
    return made


def answer():
    body = json.dumps({
        "id": "chatcmpl-0123456789abcdef", "object": "chat.completion", "created": 1795271853, "model": "sim-small",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "A weir is a low dam. " * 12, "refusal": None},
                     "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 250, "completion_tokens": 60, "total_tokens": 310,
                  "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                  "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}},
        "system_fingerprint": "fp_0123456789"}).encode()
    return (b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 14:37:33 GMT\r\nContent-Type: application/json\r\n"
            b"x-request-id: req_0123456789abcdef0123456789abcdef\r\nopenai-version: 2020-10-01\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def events(tokens):
    """A stream of so many content events, with a usage, as (bytes, mark that the client waits for)."""
    def event(delta, finish=None, usage=None):
        choices = [] if usage else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        return b"data: " + json.dumps({
            "id": "chatcmpl-0123456789abcdef", "object": "chat.completion.chunk", "created": 1795271853, "model": "sim-small",
            "service_tier": "default", "system_fingerprint": "fp_0123456789", "choices": choices, "usage": usage},
            separators=(",", ":")).encode() + b"\n\n"

    made = [(event({"role": "assistant", "content": "", "refusal": None}), b'"assistant"')]
    for number in range(tokens):
        word = f" w{number:06d}"
        made.append((event({"content": word}), word.encode()))
    usage = {"prompt_tokens": 250, "completion_tokens": 64, "total_tokens": 314,
             "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
             "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}
    made.append((event({}, finish="stop") + event({}, usage=usage) + b"data: [DONE]\n\n", b""))
    return made

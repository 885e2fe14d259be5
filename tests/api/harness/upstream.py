"""A provider in Python for what the simulator does not do: it answers by a function of the test's own, tells of the bytes as
they come, and stops in the middle of anything. One thread a connection; nothing of it knows the gateway's code.

A function gets each request as a `Call`. `bytewise` is for those that write every byte of an answer themselves, `rude` makes
those that leave in the middle of an upload."""
import http.client
import io
import json
import socket
import threading

from .plain import fold

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER: closing resets the connection
MANNERS = ("reset", "close", "still")
LITTLE = 40_000  # bytes of an upload that a rude provider takes


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text="", finish=None, **more):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more}).encode() + b"\n\n"


class Gone(Exception):
    """The peer has left in the middle of what was awaited."""


class Call:
    """One request on its way in. A handler reads as much of it as it wants, and answers."""

    def __init__(self, connection, method, target, headers, raw_head):
        self.connection = connection
        self.method, self.target, self.headers, self.raw_head = method, target, headers, raw_head
        self.path, _, self.query = target.partition("?")
        self.body = b""
        self.length = int(headers.get("content-length", 0))
        self.keep = True  # whether the connection goes on

    def read(self, count=None):
        """`count` more bytes of the body; all that is left without."""
        wanted = self.length if count is None else min(self.length, len(self.body) + count)
        pieces = [self.body]
        have = len(self.body)
        while have < wanted:
            data = self.connection.receive(min(wanted - have, 1 << 16))
            pieces.append(data)
            have += len(data)
        self.body = b"".join(pieces)
        return self.body

    def send(self, data):
        self.connection.socket.sendall(data)

    def head(self, status=200, headers=None):
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    def answer(self, body=b"", status=200, headers=None):
        """A whole answer. `body` may be bytes or what JSON can write."""
        headers = dict(headers or {})
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        headers.setdefault("content-length", len(body))
        self.head(status, headers)
        self.send(body)

    def chunk(self, data):
        self.send(chunk(data))

    def end_chunks(self):
        self.send(b"0\r\n\r\n")

    def events(self, *events):
        """A stream of server-sent events, whole. Each is a dict, or bytes that go out as they are."""
        self.send(STREAM_HEAD)
        for one in events:
            self.chunk(one if isinstance(one, bytes) else b"data: " + json.dumps(one).encode() + b"\n\n")
        self.end_chunks()

    def close(self):
        self.keep = False

    def reset(self):
        self.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()


class Connection:
    def __init__(self, upstream, number, peer):
        self.upstream, self.number, self.socket = upstream, number, peer
        # What is sent leaves at once: a connection that is closed unread forgets what the system still holds back.
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def receive(self, most):
        if self.pending:
            data, self.pending = self.pending[:most], self.pending[most:]
            return data
        data = self.socket.recv(most)
        if not data:
            raise Gone()
        return data

    def read_call(self):
        while b"\r\n\r\n" not in self.pending:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.pending += data
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        method, target, _ = line.decode().split(" ")
        headers = fold(http.client.parse_headers(io.BytesIO(rest + b"\r\n\r\n")).items())
        return Call(self, method, target, headers, head)

    def run(self):
        try:
            while (call := self.read_call()) is not None:
                self.upstream.note(call)
                self.upstream.handler(call)
                if not call.keep or len(call.body) < call.length:
                    break
        except (Gone, OSError):
            pass  # the gateway has left
        except Exception as error:  # pylint: disable=broad-except
            self.upstream.problems.append(repr(error))
        finally:
            self.socket.close()


class Upstream:
    """`handler(call)` answers each request; without one, or with `answers`, the body is read and answered by its path. With
    `receive_buffer` the system takes no more than about that which is not read."""

    def __init__(self, handler=None, answers=None, receive_buffer=None):
        self.handler = handler or self.answer_by_path
        self.answers = answers or {}
        self.calls, self.connections, self.problems = [], [], []
        self.stopped = threading.Event()
        self.listener = socket.socket()
        if receive_buffer is not None:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def base_url(self):
        return f"http://{self.address}/v1"

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            connection = Connection(self, len(self.connections), peer)
            self.connections.append(connection)
            threading.Thread(target=connection.run, daemon=True).start()

    def note(self, call):
        self.calls.append(call)

    def answer_by_path(self, call):
        call.read()
        found = self.answers.get((call.method, call.path), self.answers.get(call.path))
        if found is None:
            call.answer({"error": {"message": "no such path", "type": "invalid_request_error"}}, 404)
        elif callable(found):
            found(call)
        else:
            call.answer(found)

    def paths(self):
        return [f"{call.method} {call.target}" for call in self.calls]

    def asked(self, request_id):
        """How many calls carried this id of weir's."""
        return [call.headers.get("x-request-id") for call in self.calls].count(request_id)

    def stop(self):
        self.stopped.set()
        # A listener in accept() wakes only when it is shut down.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        assert not self.problems, self.problems


def bytewise(serve):
    """A handler that reads the request and gives the socket to `serve`, which writes every byte; the connection ends behind it."""
    def handler(call):
        call.read()
        call.close()
        serve(call.connection.socket)

    return handler


def rude(manner):
    """An upstream that reads the head of an upload and a little of its body, and then resets or closes the connection or stands
    still, without a word of an answer."""
    def handler(call):
        call.read(LITTLE)
        if manner == "still":
            upstream.stopped.wait()
        elif manner == "reset":
            call.reset()
        else:
            call.close()

    upstream = Upstream(handler, receive_buffer=65536)
    return upstream


def provider(name, upstream, **more):
    return {"name": name, "dialect": "openai", "base_url": upstream.base_url, "api_key": f"{name}-key", **more}

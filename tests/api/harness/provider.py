"""A provider of which a test writes every byte, for what the simulator does not do."""
import contextlib
import json
import socket
import threading

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text="", finish=None, **more):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more}).encode() + b"\n\n"


class Provider:
    """`serve` gets each connection after the request on it was read."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = "http://127.0.0.1:{}/v1".format(self.listener.getsockname()[1])
        self.serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with contextlib.suppress(ConnectionError), connection:
            if read_request(connection):
                self.serve(connection)

    def close(self):
        self.listener.close()


def read_request(connection):
    """Reads one request with its body; False: the connection ended first."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return False
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            return False
        body += more
    return True

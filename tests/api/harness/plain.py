"""Plain HTTP/1.1 for tests: one call with the standard library, raw sockets for what no client would send, and a small
asynchronous client for many streams at once."""
import asyncio
import contextlib
import http.client
import io
import json
import socket
from dataclasses import dataclass, field


def split_address(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


@dataclass
class Answer:
    status: int
    headers: dict  # names in lower case; several of one name joined with ", "
    body: bytes
    complete: bool = True  # False: the connection ended before the body did
    trailers: dict = field(default_factory=dict)

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The data of every event of a body in text/event-stream, "[DONE]" included."""
        text = self.body.replace(b"\r\n", b"\n")
        found = []
        for block in text.split(b"\n\n")[:-1]:
            lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
            if lines:
                found.append(b"\n".join(lines))
        return found


def call(address, method, path, headers=None, body=None, timeout=60, tls=None):
    """One request on a connection of its own, over TLS with the context `tls`. `body` may be bytes or anything that JSON can
    write."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("content-type", "application/json")
    if tls is None:
        connection = http.client.HTTPConnection(*split_address(address), timeout=timeout)
    else:
        connection = http.client.HTTPSConnection(*split_address(address), timeout=timeout, context=tls)
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        data, complete = b"", True
        try:
            data = response.read()
        except (http.client.IncompleteRead, ConnectionError) as error:
            data, complete = getattr(error, "partial", b""), False
        return Answer(response.status, fold(response.getheaders()), data, complete)


def fold(pairs):
    folded = {}
    for name, value in pairs:
        name = name.lower()
        folded[name] = f"{folded[name]}, {value}" if name in folded else value
    return folded


class RawConnection:
    """A socket and the bytes read from it so far. With `tls` (a context) it speaks TLS, going on with `session` if given."""

    def __init__(self, address, timeout=90, tls=None, session=None):
        self.socket = socket.create_connection(split_address(address), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        if tls is not None:
            plain = self.socket
            try:
                self.socket = tls.wrap_socket(plain, server_hostname=split_address(address)[0], session=session)
            except (OSError, ValueError):
                plain.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def end(self):
        """Says that nothing more will be sent; reading goes on."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with a reset instead of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def _more(self):
        data = self.socket.recv(65536)
        self.pending += data
        return data

    def read_until(self, mark):
        while mark not in self.pending:
            if not self._more():
                raise AssertionError(f"the connection ended before {mark!r}; it said {self.pending!r}")
        at = self.pending.index(mark) + len(mark)
        data, self.pending = self.pending[:at], self.pending[at:]
        return data

    def read_exactly(self, count):
        while len(self.pending) < count:
            if not self._more():
                raise AssertionError(f"the connection ended {count - len(self.pending)} bytes early")
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def read_rest(self):
        """Everything up to the end of the connection, however it ends."""
        with contextlib.suppress(ConnectionError):
            while self._more():
                pass
        data, self.pending = self.pending, b""
        return data

    def read_head(self):
        """(status, headers) of one answer; interim answers (100) are answers of their own."""
        head = self.read_until(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        headers = http.client.parse_headers(io.BytesIO(rest))
        version, status = line.split(b" ")[:2]
        assert version == b"HTTP/1.1", line
        return int(status), fold(headers.items())

    def read_answer(self, method="GET"):
        status, headers = self.read_head()
        if method == "HEAD" or status in (204, 304) or 100 <= status < 200:
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            body, trailers = self.read_chunks()
            return Answer(status, headers, body, True, trailers)
        if "content-length" in headers:
            return Answer(status, headers, self.read_exactly(int(headers["content-length"])))
        return Answer(status, headers, self.read_rest())

    def read_chunks(self):
        body = b""
        while True:
            size = int(self.read_until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        trailers = []
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            name, _, value = line.strip().partition(b":")
            trailers.append((name.decode(), value.strip().decode()))
        return body, fold(trailers)

    def is_closed(self):
        """Waits for the peer to close; True when it did and said nothing more."""
        try:
            return self._more() == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


async def call_async(address, path, headers=None, body=None, method="POST", timeout=120):
    """One request on a connection of its own. Never raises for a connection that breaks: `complete` is False then, and
    `status` is 0 where not even a head came."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    head = [f"{method} {path} HTTP/1.1", f"host: {address}", "connection: close", f"content-length: {len(data)}"]
    if body is not None:
        head.append("content-type: application/json")
    head += [f"{name}: {value}" for name, value in (headers or {}).items()]
    answer = Answer(0, {}, b"", False)
    writer = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(*split_address(address), limit=1 << 22)
            writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + data)
            await writer.drain()
            await read_answer_async(reader, answer)
    except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, OSError, ValueError):
        answer.complete = False
    finally:
        if writer is not None:
            writer.close()
    return answer


async def read_answer_async(reader, answer):
    """Reads one answer into `answer`, whose body grows as it comes."""
    text = await reader.readuntil(b"\r\n\r\n")
    line, _, rest = text.partition(b"\r\n")
    answer.headers.update(fold(http.client.parse_headers(io.BytesIO(rest)).items()))
    answer.status = int(line.split(b" ")[1])
    if answer.headers.get("transfer-encoding") == "chunked":
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                break
            answer.body += await reader.readexactly(size)
            await reader.readexactly(2)
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = line.decode().strip().partition(":")
            answer.trailers[name.lower()] = value.strip()
        answer.complete = True
    elif "content-length" in answer.headers:
        answer.body = await reader.readexactly(int(answer.headers["content-length"]))
        answer.complete = True
    else:
        answer.body = await reader.read()
        answer.complete = True

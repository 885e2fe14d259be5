"""HTTP/1.1 at its edges, over raw sockets: what is served, what is refused, and that a refusal closes the connection."""
import json

import pytest

from harness.plain import RawConnection, call
from harness.processes import chat_body

MIB = 1 << 20


@pytest.fixture
def raw(gateway):
    with RawConnection(gateway.address) as connection:
        yield connection


def head(gateway, method="GET", path="/v1/models", *fields, version="HTTP/1.1", host=True):
    lines = [f"{method} {path} {version}"]
    if host:
        lines.append(f"Host: {gateway.address}")
    lines.append(f"Authorization: Bearer {gateway.key}")
    lines.extend(fields)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(gateway, body, *fields, chunks=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    if chunks is None:
        return head(gateway, "POST", "/v1/chat/completions", "Content-Type: application/json",
                    f"Content-Length: {len(data)}", *fields) + data
    coded = b"".join(b"%x\r\n%s\r\n" % (len(data[at:at + chunks]), data[at:at + chunks])
                     for at in range(0, len(data), chunks))
    return head(gateway, "POST", "/v1/chat/completions", "Content-Type: application/json",
                "Transfer-Encoding: chunked", *fields) + coded + b"0\r\n\r\n"


# --- what is served ---

@pytest.mark.smoke
def test_keep_alive_serves_several_requests_on_one_connection(gateway, raw):
    for _ in range(3):
        raw.send(head(gateway))
        answer = raw.read_answer()
        assert answer.status == 200
        assert answer.headers.get("connection", "keep-alive").lower() != "close"


def test_pipelined_requests_are_answered_in_order(gateway, raw):
    raw.send(head(gateway) + post(gateway, chat_body()) + head(gateway, "GET", "/v1/models/sim-small"))
    first, second, third = raw.read_answer(), raw.read_answer(), raw.read_answer()
    assert first.json()["object"] == "list"
    assert second.json()["object"] == "chat.completion"
    assert third.json()["id"] == "sim-small"


def test_a_request_that_comes_byte_by_byte_is_served(gateway, raw):
    for byte in post(gateway, chat_body()):
        raw.send(bytes([byte]))
    assert raw.read_answer().status == 200


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunked_bodies_are_taken(gateway, raw, size):
    raw.send(post(gateway, chat_body("chunked " * 50), chunks=size))
    answer = raw.read_answer()
    assert answer.status == 200, answer
    assert answer.json()["object"] == "chat.completion"


def test_request_trailers_are_taken_and_ignored(gateway, raw):
    data = json.dumps(chat_body()).encode()
    request = head(gateway, "POST", "/v1/chat/completions", "Content-Type: application/json", "Transfer-Encoding: chunked",
                   "Trailer: x-checksum") + b"%x\r\n%s\r\n0\r\n" % (len(data), data)
    raw.send(request + b"X-Checksum: 1\r\n\r\n")
    assert raw.read_answer().status == 200
    raw.send(head(gateway))
    assert raw.read_answer().status == 200
    # A trailer comes too late to say who is asking.
    raw.send(request + b"Authorization: Bearer nonsense\r\n\r\n")
    assert raw.read_answer().status == 400
    assert raw.is_closed()


def test_expect_100_continue(gateway, raw):
    data = json.dumps(chat_body()).encode()
    raw.send(head(gateway, "POST", "/v1/chat/completions", "Content-Type: application/json",
                  f"Content-Length: {len(data)}", "Expect: 100-continue"))
    assert raw.read_head()[0] == 100
    raw.send(data)
    assert raw.read_answer().status == 200


def test_expect_100_continue_without_a_valid_key_is_refused_before_the_body(gateway, raw):
    raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer wrong\r\n"
             "Content-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n".encode())
    assert raw.read_head()[0] == 401


def test_unknown_expectation_is_417(gateway, raw):
    raw.send(head(gateway, "POST", "/v1/chat/completions", "Content-Length: 2", "Expect: a-miracle"))
    assert raw.read_answer().status == 417


def test_head_has_the_headers_of_get_and_no_body(gateway, raw):
    raw.send(head(gateway, "HEAD", "/v1/models"))
    answer = raw.read_answer("HEAD")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    raw.send(head(gateway))
    full = raw.read_answer()
    if "content-length" in answer.headers:
        assert int(answer.headers["content-length"]) == len(full.body)


def test_options_names_the_methods(gateway, raw):
    raw.send(head(gateway, "OPTIONS", "/v1/chat/completions"))
    answer = raw.read_answer()
    assert answer.status in (200, 204)
    assert "POST" in answer.headers["allow"]


def test_absolute_form_is_served(gateway, raw):
    raw.send(head(gateway, "GET", f"http://{gateway.address}/v1/models"))
    assert raw.read_answer().status == 200


def test_connection_close_is_honoured(gateway, raw):
    raw.send(head(gateway, "GET", "/v1/models", "Connection: close"))
    answer = raw.read_answer()
    assert answer.status == 200
    assert answer.headers["connection"].lower() == "close"
    assert raw.is_closed()


def test_http_1_0_is_answered_and_closed(gateway, raw):
    raw.send(head(gateway, version="HTTP/1.0"))
    answer = raw.read_answer()
    assert answer.status == 200
    assert "transfer-encoding" not in answer.headers
    assert raw.is_closed()


def test_http_1_0_gets_no_chunked_stream(gateway, raw):
    data = json.dumps(chat_body(stream=True)).encode()
    raw.send(f"POST /v1/chat/completions HTTP/1.0\r\nHost: {gateway.address}\r\nAuthorization: Bearer {gateway.key}\r\n"
             f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = raw.read_answer()
    assert answer.status == 200
    assert "transfer-encoding" not in answer.headers
    assert answer.events()[-1] == b"[DONE]"


def test_the_body_limit_is_counted_as_it_arrives_not_declared(gateway):
    for declared in (True, False):
        with RawConnection(gateway.address) as raw:
            if declared:
                raw.send(head(gateway, "POST", "/v1/chat/completions", "Content-Type: application/json",
                              f"Content-Length: {MIB + 1}"))
            else:
                raw.send(head(gateway, "POST", "/v1/chat/completions", "Content-Type: application/json",
                              "Transfer-Encoding: chunked"))
                piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
                try:
                    for _ in range(MIB // 0x10000 + 2):
                        raw.send(piece)
                except ConnectionError:
                    pass  # refused while we were still sending: right as well
            answer = raw.read_answer()
            assert answer.status == 413
            assert "limits.max_request_bytes" in answer.body.decode()
            assert "MAX_REQUEST_SIZE_BYTES" in answer.body.decode()


def test_a_body_of_exactly_the_limit_is_taken(gateway):
    empty = len(json.dumps(chat_body("")).encode())
    data = json.dumps(chat_body("a" * (MIB - empty))).encode()
    assert len(data) == MIB
    assert gateway.request("POST", "/v1/chat/completions", data, {"content-type": "application/json"}).status == 200
    more = json.dumps(chat_body("a" * (MIB - empty + 1))).encode()
    assert gateway.request("POST", "/v1/chat/completions", more, {"content-type": "application/json"}).status == 413


@pytest.mark.parametrize("declared", [True, False])
def test_what_takes_no_body_takes_no_large_one(gateway, declared):
    """Health asks for no key: nobody may make weir hold a body there."""
    with RawConnection(gateway.address) as raw:
        length = 65_537
        raw.send(head(gateway, "GET", "/healthz", f"Content-Length: {length}" if declared else "Transfer-Encoding: chunked"))
        if not declared:
            raw.send(f"{length:x}\r\n".encode() + b" " * length)
        answer = raw.read_answer()
        assert answer.status == 413 and answer.headers["connection"] == "close"
    assert gateway.request("GET", "/healthz", b"{}").status == 200


# --- what is refused, and closes ---

def refusals(gateway):
    host = f"Host: {gateway.address}\r\n"
    key = f"Authorization: Bearer {gateway.key}\r\n"
    get = "GET /v1/models HTTP/1.1\r\n"
    send = f"POST /v1/chat/completions HTTP/1.1\r\n{host}{key}Content-Type: application/json\r\n"
    return {
        "content-length and transfer-encoding": send + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two different content-lengths": send + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        "two equal content-lengths": send + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "content-length with a sign": send + "Content-Length: +2\r\n\r\n{}",
        "content-length list": send + "Content-Length: 2, 2\r\n\r\n{}",
        "content-length that overflows": send + "Content-Length: 99999999999999999999\r\n\r\n",
        "coding before chunked": send + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "coding after chunked": send + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "unknown coding": send + "Transfer-Encoding: surprise\r\n\r\n",
        "transfer-encoding on 1.0": send.replace("HTTP/1.1", "HTTP/1.0") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "chunk size that is none": send + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
        "chunk size that overflows": send + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "negative chunk size": send + "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        "chunk longer than its size": send + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        "chunk extension": send + "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
        "obsolete folding": get + host + key + "X-Folded: one\r\n two\r\n\r\n",
        "bare line feeds": (get + host + key + "\r\n").replace("\r\n", "\n"),
        "one bare line feed": get + host + key + "X-A: 1\n\r\n",
        "bare carriage return": get + host + key + "X-A: 1\r2\r\n\r\n",
        "NUL in a value": get + host + key + "X-A: 1\x002\r\n\r\n",
        "control byte in a value": get + host + key + "X-A: 1\x012\r\n\r\n",
        "space before the colon": get + host + key + "X-A : 1\r\n\r\n",
        "field without a colon": get + host + key + "X-A\r\n\r\n",
        "empty field name": get + host + key + ": 1\r\n\r\n",
        "no host": get + key + "\r\n",
        "two hosts": get + host + host + key + "\r\n",
        "HTTP/0.9": "GET /v1/models\r\n\r\n",
        "HTTP/2.0 line": "GET /v1/models HTTP/2.0\r\n" + host + key + "\r\n",
        "HTTP/3.7 line": "GET /v1/models HTTP/3.7\r\n" + host + key + "\r\n",
        "RTSP": "DESCRIBE rtsp://x/y RTSP/1.0\r\n" + host + key + "\r\n",
        "ICE": "SOURCE /v1/models ICE/1.0\r\n" + host + key + "\r\n",
        "doubled space in the line": "GET  /v1/models HTTP/1.1\r\n" + host + key + "\r\n",
        "fragment": "GET /v1/models#x HTTP/1.1\r\n" + host + key + "\r\n",
        "leading empty line": "\r\n" + get + host + key + "\r\n",
        "control byte in the target": "GET /v1/\x01models HTTP/1.1\r\n" + host + key + "\r\n",
        "a TLS hello": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x00" * 50,
    }


@pytest.mark.tsan
def test_malformed_requests_are_refused_and_the_connection_closed(gateway):
    wrong = []
    for name, text in refusals(gateway).items():
        with RawConnection(gateway.address) as raw:
            raw.send(text.encode("latin-1"))
            # A second request behind it must never be answered: that would be smuggling.
            try:
                raw.send(head(gateway, "GET", "/v1/models"))
            except ConnectionError:
                pass
            said = raw.read_rest()
        statuses = [line for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.")]
        if len(statuses) != 1 or not statuses[0].startswith(b"HTTP/1.1 400 "):
            wrong.append(f"{name}: {statuses or said[:80]!r}")
    assert not wrong, "\n".join(wrong)
    assert gateway.request("GET", "/v1/models").status == 200


def test_head_limits(gateway):
    for text, status in [
        (head(gateway, "GET", "/v1/models", "X-Long: " + "a" * (64 << 10)), 431),
        (head(gateway, "GET", "/v1/models", *[f"X-Field-{n}: 1" for n in range(100)]), 431),
        (head(gateway, "GET", "/v1/models?" + "a" * (16 << 10)), 414),
        (head(gateway, "GET", "/v1/models", *[f"X-Field-{n}: 1" for n in range(90)]), 200),
        (head(gateway, "GET", "/v1/models", "X-Long: " + "a" * (60 << 10)), 200),
        (head(gateway, "GET", "/v1/models?" + "a" * (15 << 10)), 200),
    ]:
        with RawConnection(gateway.address) as raw:
            try:
                raw.send(text)
            except ConnectionError:
                pass
            answer = raw.read_answer()
            assert answer.status == status, (text[:60], answer)
            if status != 200:
                assert raw.is_closed()


def test_an_endless_head_is_cut_off(gateway):
    with RawConnection(gateway.address) as raw:
        raw.send(f"GET /v1/models HTTP/1.1\r\nHost: {gateway.address}\r\n".encode())
        try:
            for number in range(200):
                raw.send(b"X-%d: %s\r\n" % (number, b"a" * 1000))
        except ConnectionError:
            pass
        assert raw.read_answer().status == 431


def test_error_answers_of_the_parser_have_the_shape_of_the_api(gateway, raw):
    raw.send(b"GET /v1/models HTTP/1.1\r\n\r\n")
    answer = raw.read_answer()
    error = answer.json()["error"]
    assert answer.status == 400
    assert error["type"] == "invalid_request_error"
    assert error["error_code"] == "WEIR_INVALID_PARAMS"
    assert answer.headers["x-request-id"]


def test_unknown_paths_and_methods(gateway):
    missing = gateway.request("GET", "/v1/nothing")
    assert missing.status == 404 and missing.json()["error"]["code"]
    wrong = gateway.request("DELETE", "/v1/chat/completions")
    assert wrong.status == 405
    assert "POST" in wrong.headers["allow"]


def test_content_types(gateway):
    body = json.dumps(chat_body()).encode()
    assert gateway.request("POST", "/v1/chat/completions", body, {"content-type": "text/plain"}).status == 415
    assert gateway.request("POST", "/v1/chat/completions", body,
                           {"content-type": "application/json", "content-encoding": "gzip"}).status == 415
    assert gateway.request("POST", "/v1/chat/completions", body,
                           {"content-type": "application/json; charset=utf-8"}).status == 200


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"{}", b'{"model":"sim-small"}', b'{"model":1,"messages":[]}', b"\xff\xfe",
    b'{"model":"sim-small","messages":[],}', b'{"model":"sim-small","messages":[{}]} x',
    b'{"model":"sim-small","messages":[{"role":"user","content":"a"}],"stream":"yes"}',
    b'{"model":"sim-small","messages":' + b"[" * 600 + b"]" * 600 + b"}",
])
def test_bodies_that_are_not_a_chat_request_are_400(gateway, body):
    answer = gateway.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    assert answer.status == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("body", [
    b'{"model":"sim-small","model":"other","messages":[{"role":"user","content":"a"}]}',
    b'{"model":"sim-small","messages":[{"role":"user","content":"a"}],"stream":false,"stream":true}',
    b'{"model":"sim-small","messages":[{"role":"user","content":"a"}],"stream":true,"stream_options":{},"stream_options":{}}',
    b'{"model":"sim-small","messages":[{"role":"user","content":"a"}],"stream":true,'
    b'"stream_options":{"include_usage":true,"include_usage":false}}',
    b'{"model":"sim-small","messages":[{"role":"user","content":"a"}],"mod\\u0065l":"other"}',
])
def test_members_that_weir_acts_on_may_not_come_twice(gateway, body):
    answer = gateway.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    assert answer.status == 400, answer
    assert answer.json()["error"]["code"] == "json_duplicate_member"


def test_the_operator_plane_refuses_foreign_hosts(gateway):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert raw.read_answer().status == 403
    assert call(gateway.operator, "GET", "/metrics").status == 200


def test_secure_headers_and_request_ids(gateway):
    answer = gateway.request("GET", "/v1/models")
    assert answer.headers["x-content-type-options"] == "nosniff"
    other = gateway.request("GET", "/v1/models")
    assert answer.headers["x-request-id"] != other.headers["x-request-id"]
    text = answer.headers["x-request-id"]
    assert len(text) == 36 and text[14] == "7", "a UUID of version 7"

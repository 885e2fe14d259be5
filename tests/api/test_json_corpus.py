"""The public JSON parsing corpus through the data plane: each file as the value of a member that nobody knows."""
import io
import tarfile

import pytest

from harness import plain
from harness.waiting import SCALE


@pytest.fixture(scope="module")
def files(corpora):
    path = corpora / "json-parsing.tar.gz"
    if not path.exists():
        pytest.skip(f"no corpus at {path}: json-parsing.tar.gz, github.com/nst/JSONTestSuite at 1ef36fa")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name.endswith(".json") and name[:2] in ("y_", "n_", "i_"):
                found[name] = archive.extractfile(member).read()
    assert len(found) > 300
    return found


def test_every_file_has_its_answer_and_the_connection_goes_on(gateway, files):
    wrong, connections = [], 0
    raw = None
    for name, text in sorted(files.items()):
        body = b'{"model":"sim-small","max_tokens":1,"messages":[{"role":"user","content":"a"}],"unknown":' + text + b"}"
        if raw is None:
            raw, connections = plain.RawConnection(gateway.address, timeout=30 * SCALE), connections + 1
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer {gateway.key}\r\n"
                 f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = raw.read_answer()
        allowed = {"y": (200,), "n": (400,), "i": (200, 400)}[name[0]]
        if answer.status not in allowed:
            wrong.append((name, answer.status, answer.body[:200]))
        elif name[0] == "n" and answer.json()["error"]["code"] != "json_invalid":
            wrong.append((name, answer.json()["error"]))
        if answer.headers.get("connection") == "close":
            raw.socket.close()
            raw = None
    assert not wrong, wrong
    assert connections == 1, f"{connections} connections: a wrong body is no reason to close one"
    raw.socket.close()
    assert gateway.chat().status == 200

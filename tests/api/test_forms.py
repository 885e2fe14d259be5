"""Forms: kept while they come, sent on byte by byte with the model rewritten, and never held in memory."""
import os
import re
import socket
import subprocess
import threading

import pytest

from harness.plain import RawConnection
from harness.upstream import provider
from harness.waiting import PATIENCE, until

BOUNDARY = "XweirX"
PATH = "/v1/audio/transcriptions"
TEXT = {"text": "heard", "usage": {"type": "duration", "seconds": 2}}
MIB = 1 << 20


def field(name, value, boundary=BOUNDARY):
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(name="file", content=b"RIFF", boundary=BOUNDARY, kind="audio/wav"):
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="a.wav"\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts, boundary=BOUNDARY):
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def form_type(boundary=BOUNDARY):
    return {"content-type": f"multipart/form-data; boundary={boundary}"}


def routes(*providers, model="heard-here", **more):
    """Settings: "whisper" goes to each provider in turn, under `model`."""
    targets = [{"provider": one["name"], "model": model, "order": place} for place, one in enumerate(providers)]
    return {"providers": list(providers), "models": [{"name": "whisper", "targets": targets}], **more}


@pytest.fixture
def upstream(make_upstream):
    return make_upstream(answers={PATH: TEXT, "/v1/images/variations": {"data": [{"url": "x"}]}, "/v1/files": {"id": "file-1"}})


@pytest.fixture
def heard(make_gateway, upstream, sim):
    """A gateway in front of `upstream`, where the model "whisper" is called "heard-here"."""
    return make_gateway(sim, **routes(provider("here", upstream)))


def post(gateway, body, path=PATH, headers=None, boundary=BOUNDARY, **more):
    return gateway.request("POST", path, body, {**form_type(boundary), **(headers or {})}, **more)


def head_of(gateway, headers, path=PATH):
    fields = {"host": gateway.address, **gateway.authorization, **form_type(), **headers}
    return (f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n").encode()


# --- what the provider gets ---

SPECIAL = bytes(range(256)) * 3 + b"\r\n--Xweir\r\n--\r\n\r"


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_model_is_rewritten_and_nothing_else(heard, upstream, order):
    parts = [field("model", "whisper"), file(content=SPECIAL), field("prompt", "é\r\nmodel")]
    if order == "after":
        parts = parts[1:] + parts[:1]
    sent = form(*parts)
    answer = post(heard, sent)
    assert answer.status == 200 and answer.json()["text"] == "heard"
    call = upstream.calls[-1]
    assert call.body == sent.replace(b'name="model"\r\n\r\nwhisper', b'name="model"\r\n\r\nheard-here')
    assert call.headers["content-type"] == form_type()["content-type"]
    assert call.headers["authorization"] == "Bearer here-key"
    entry = heard.entry_of(answer.headers["x-request-id"])
    assert (entry["model"], entry["upstream_model"]) == ("whisper", "heard-here")


def test_a_form_of_the_providers_own_model_goes_through_unchanged(make_gateway, upstream, sim):
    gateway = make_gateway(sim, **routes(provider("here", upstream), model="whisper"))
    sent = form(file(content=SPECIAL), field("model", "whisper"))
    assert post(gateway, sent).status == 200
    assert upstream.calls[-1].body == sent


def test_a_form_without_a_model_gets_one_where_the_provider_knows_another(make_gateway, upstream, sim):
    model = {"name": "dall-e-2", "targets": [{"provider": "here", "model": "painter"}]}
    gateway = make_gateway(sim, providers=[provider("here", upstream)], models=[model])
    sent = form(file("image", b"PNG", kind="image/png"), field("n", "1"))
    answer = post(gateway, sent, "/v1/images/variations")
    assert answer.status == 200
    assert upstream.calls[-1].body == field("model", "painter") + sent
    assert int(upstream.calls[-1].headers["content-length"]) == len(upstream.calls[-1].body)
    assert post(gateway, b"\r\n" + sent, "/v1/images/variations").status == 200
    assert upstream.calls[-1].body == field("model", "painter") + sent
    gateway.settings["models"][0]["targets"][0]["model"] = "dall-e-2"
    gateway.write_settings()
    gateway.restart()
    assert post(gateway, sent, "/v1/images/variations").status == 200
    assert upstream.calls[-1].body == sent


def test_a_long_name_of_a_model_is_put_in_whole(make_gateway, upstream, sim):
    model = {"name": "dall-e-2", "targets": [{"provider": "here", "model": "painter" * 200}]}
    gateway = make_gateway(sim, providers=[provider("here", upstream)], models=[model])
    sent = form(file("image", b"PNG", kind="image/png"))
    assert post(gateway, sent, "/v1/images/variations").status == 200
    assert upstream.calls[-1].body == field("model", "painter" * 200) + sent


def test_a_files_form_needs_no_model(make_gateway, upstream, sim):
    gateway = make_gateway(sim, providers=[provider("here", upstream)], models=[])
    sent = form(field("purpose", "batch"), file(content=b'{"custom_id":"1"}\n'))
    assert post(gateway, sent, "/v1/files").status == 200
    assert upstream.calls[-1].body == sent


def test_chunked_forms_and_forms_that_wait_for_100(heard, upstream):
    sent = form(file(content=SPECIAL * 300), field("model", "whisper"))
    expected = sent.replace(b"\r\n\r\nwhisper", b"\r\n\r\nheard-here")
    with RawConnection(heard.address) as raw:
        raw.send(head_of(heard, {"transfer-encoding": "chunked"}))
        for at in range(0, len(sent), 997):
            piece = sent[at:at + 997]
            raw.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        raw.send(b"0\r\n\r\n")
        assert raw.read_answer().status == 200
        assert upstream.calls[-1].body == expected
        # the same connection goes on
        raw.send(head_of(heard, {"content-length": len(sent), "expect": "100-continue"}))
        assert raw.read_head()[0] == 100
        raw.send(sent)
        assert raw.read_answer().status == 200
    assert upstream.calls[-1].body == expected
    assert len(upstream.calls) == 2


# --- what is refused, and never reaches the provider ---

@pytest.mark.parametrize("body, part", [
    (form(field("model", "whisper"), file(), field("model", "whisper")), "twice"),
    (form(file("model", b"whisper"), file()), "not a file"),
    (form(file()), "model"),
    (form(field("model", ""), file()), "model"),
    (form(field("model", "whisper")), "file"),
    (form(field("model", "whisper"), file())[:-6], "boundary"),
    (form(field("model", "whisper"), file(), boundary="other"), "boundary"),
    (form(field("model", "whisper"), file()) + b"more", "closing boundary"),
    (form(*[field(f"f{n}", "x") for n in range(65)], file()), "64"),
    (b"", "boundary"),
    (b"--XweirX--\r\n", "model"),
])
def test_a_form_that_is_not_well_formed_is_refused(heard, upstream, body, part):
    answer = post(heard, body)
    assert answer.status == 400 and part in answer.body.decode()
    assert not upstream.calls


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=a; boundary=b",
                                  f'multipart/form-data; boundary="{"x" * 71}"'])
def test_a_type_without_a_good_boundary_is_refused(heard, upstream, kind):
    answer = post(heard, form(field("model", "whisper"), file()), headers={"content-type": kind})
    assert answer.status == 400 and "boundary" in answer.body.decode()
    assert not upstream.calls


def test_another_type_is_refused(heard, upstream):
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        answer = heard.request("POST", PATH, b"{}", {"content-type": kind})
        assert answer.status == 415 and "multipart/form-data" in answer.body.decode()
    with RawConnection(heard.address) as raw:  # no type, no body
        fields = f"host: {heard.address}\r\nauthorization: Bearer {heard.key}\r\n"
        raw.send(f"POST {PATH} HTTP/1.1\r\n{fields}\r\n".encode())
        assert raw.read_answer().status == 415
    assert not upstream.calls


def test_a_model_is_a_name_and_not_a_piece_of_a_form(make_gateway, upstream, sim):
    """With the provider's name taken off in front, what is left could stand where a delimiter does."""
    gateway = make_gateway(sim, providers=[provider("here", upstream)], models=[])
    for model in (f"here/--{BOUNDARY}--", f"here/--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nother",
                  "here/a\r\nb", "here/" + "m" * 1100):
        answer = post(gateway, form(field("model", model), file()))
        assert answer.status == 400 and "model" in answer.body.decode(), answer
    assert not upstream.calls
    assert post(gateway, form(field("model", "here/a--XweirX"), file())).status in (200, 400)


# --- sizes ---

def spool_files(gateway):
    """The unlinked files that the process has open, by size."""
    sizes = []
    for name in os.listdir(f"/proc/{gateway.pid}/fd"):
        try:
            path = f"/proc/{gateway.pid}/fd/{name}"
            target = os.readlink(path)
            if "(deleted)" in target and str(gateway.folder) in target:
                sizes.append(os.stat(path).st_size)
        except FileNotFoundError:
            pass
    return sizes


def peak_bytes(gateway):
    with open(f"/proc/{gateway.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


def send_pieces(raw, content, begin, end):
    raw.send(begin)
    for at in range(0, len(content), MIB):
        raw.send(content[at:at + MIB])
    raw.send(end)


@pytest.mark.tsan
def test_a_large_form_waits_on_disk_and_not_in_memory(heard, upstream):
    content = os.urandom(MIB) * 50
    begin, end = file(content=content)[:-2].split(content)[0], b"\r\n" + form(field("model", "whisper"))
    assert post(heard, form(field("model", "whisper"), file())).status == 200
    before = peak_bytes(heard)
    asleep, awake = threading.Event(), threading.Event()

    def slow(call):
        call.read(100)
        asleep.set()
        assert awake.wait(60 * PATIENCE)
        call.read()
        call.answer(TEXT)

    upstream.handler = slow
    with RawConnection(heard.address) as raw:
        send_pieces(raw, content, head_of(heard, {"content-length": len(begin) + len(content) + len(end)}) + begin, end)
        assert asleep.wait(60 * PATIENCE)
        assert [size for size in spool_files(heard) if size > 49 * MIB], "the form is in an unlinked file"
        assert [name for name in os.listdir(heard.folder / "data") if "spool" in name and (heard.folder / "data" / name).is_file()] == []
        awake.set()  # up to here the provider has read next to nothing, and no more than a little waits for it
        assert raw.read_answer().status == 200
    assert upstream.calls[-1].body == begin + content + end.replace(b"whisper", b"heard-here")
    assert peak_bytes(heard) - before < 24 * MIB  # under a sanitizer; some two without
    until(lambda: not spool_files(heard), "the spool to be gone")


def test_a_form_past_the_limit_is_refused_before_it_is_sent(make_gateway, upstream, sim):
    gateway = make_gateway(sim, **routes(provider("here", upstream), limits={"max_upload_bytes": "64KiB"}))
    with RawConnection(gateway.address) as raw:
        raw.send(head_of(gateway, {"content-length": 1 << 30, "expect": "100-continue"}))
        answer = raw.read_answer()  # and no 100 before
        assert answer.status == 413 and "65536" in answer.body.decode()
    with RawConnection(gateway.address) as raw:
        raw.send(head_of(gateway, {"transfer-encoding": "chunked"}))
        piece = file(content=b"x" * 70000)
        raw.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        answer = raw.read_answer()
        assert answer.status == 413 and "max_upload_bytes" in answer.body.decode()
    assert not upstream.calls and not spool_files(gateway)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_refuses_forms_and_nothing_else(make_gateway, upstream, sim, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", disk], capture_output=True, check=False)
    if mount.returncode != 0:
        pytest.skip(f"no tmpfs here: {mount.stderr.decode().strip()}")
    try:
        gateway = make_gateway(sim, **routes(provider("here", upstream), data_dir=str(disk)))
        answer = post(gateway, form(field("model", "whisper"), file(content=b"x" * (40 * MIB))))
        assert answer.status == 503 and "spool" in answer.body.decode().lower() and answer.headers["retry-after"] == "5"
        assert not upstream.calls
        until(lambda: not spool_files(gateway), "the spool to be gone")
        answer = post(gateway, form(field("model", "whisper"), file()))
        assert answer.status == 200
        assert gateway.entry_of(answer.headers["x-request-id"])["outcome"] == "ok"
        gateway.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


# --- clients and providers in trouble ---

@pytest.mark.tsan
def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(heard, upstream):
    with RawConnection(heard.address) as raw:
        raw.send(head_of(heard, {"content-length": 10 * MIB}) + file(content=b"x" * (2 * MIB)))
        until(lambda: spool_files(heard), "the form to be on disk")
        raw.reset()
    until(lambda: not spool_files(heard), "the spool to be gone")
    assert not upstream.calls


def test_a_client_that_sends_too_slowly_is_told(make_gateway, upstream, sim):
    gateway = make_gateway(sim, **routes(provider("here", upstream), timeouts={"body": "1s"}))
    with RawConnection(gateway.address) as raw:
        raw.send(head_of(gateway, {"content-length": 1000}) + file())
        assert raw.read_answer().status == 408
        assert raw.is_closed()
    assert not upstream.calls


@pytest.mark.tsan
def test_another_provider_gets_the_whole_form_again(make_gateway, make_upstream, sim):
    content = os.urandom(MIB) * 2

    def half(call):  # reads half of it and breaks the connection
        call.read(MIB)
        call.close()

    refusing = make_upstream(lambda call: (call.read(), call.answer({"error": {"message": "busy"}}, 500)))
    broken, good = make_upstream(half), make_upstream(answers={PATH: TEXT})
    providers = [provider("refusing", refusing), provider("broken", broken), provider("good", good)]
    gateway = make_gateway(sim, **routes(*providers))
    sent = form(file(content=content), field("model", "whisper"))
    answer = post(gateway, sent)
    assert answer.status == 200
    expected = sent.replace(b"\r\n\r\nwhisper", b"\r\n\r\nheard-here")
    assert good.calls[-1].body == expected and refusing.calls[-1].body == expected
    assert expected.startswith(broken.calls[-1].body)
    entry = gateway.entry_of(answer.headers["x-request-id"])
    assert entry["provider"] == "good" and len(entry["attempts"]) == 3


def early_answer(status, body):
    def handler(call):
        call.read(1000)
        call.answer(body, status)
        call.close()

    return handler


@pytest.mark.parametrize("closes", [True, False])
def test_an_early_answer_reaches_the_client_and_ends_the_connection(make_gateway, make_upstream, sim, closes):
    """The provider refuses after the first bytes. Whether it then closes or waits: the client gets its words, and no other request
    goes over a connection that is in the middle of a form."""
    waiting = threading.Event()

    def handler(call):
        call.read(1000)
        call.answer({"error": {"message": "no such voice", "type": "invalid_request_error"}}, 400)
        if closes:  # as servers do: says that it is over, and reads on for a while
            call.connection.socket.shutdown(socket.SHUT_WR)
        waiting.wait(60 * PATIENCE)
        call.close()

    upstream = make_upstream(handler)
    gateway = make_gateway(sim, **routes(provider("here", upstream)))
    answer = post(gateway, form(field("model", "whisper"), file(content=os.urandom(MIB) * 20)))
    assert answer.status == 400 and "no such voice" in answer.body.decode()
    upstream.handler = upstream.answer_by_path
    upstream.answers[PATH] = TEXT
    answer = post(gateway, form(field("model", "whisper"), file()))
    assert answer.status == 200
    assert upstream.calls[-1].connection.number == 1
    waiting.set()


def test_an_answer_is_read_also_where_the_provider_hangs_up_behind_it(make_gateway, make_upstream, sim):
    """The connection is reset while the form is still being sent, for it was not read: what came before that counts."""
    gateway = make_gateway(sim, **routes(provider("here", make_upstream(early_answer(413, {"error": {"message": "too long"}})))))
    for _ in range(5):
        answer = post(gateway, form(field("model", "whisper"), file(content=b"x" * (8 * MIB))))
        assert answer.status == 413 and "too long" in answer.body.decode()


def test_a_form_without_a_body_is_no_form(heard, upstream):
    for more in ({"content-length": 0}, {}):
        with RawConnection(heard.address) as raw:
            raw.send(head_of(heard, more))
            assert raw.read_answer().status == 400
    assert not upstream.calls

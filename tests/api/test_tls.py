"""TLS on the data plane and towards a provider: what is trusted, what is refused, and that sessions are taken up again."""
import json
import ssl
import warnings

import openai
import pytest

from harness import plain
from harness.processes import chat_body
from harness.tls import Authority, TlsFront
from harness.waiting import SCALE, until

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority):
    return authority.issue("here", "IP:127.0.0.1,DNS:localhost")


@pytest.fixture
def secure(make_gateway, sim, authority, files):
    return make_gateway(sim, tls=authority.client(), server={"tls_certificate": str(files[0]), "tls_key": str(files[1])})


@pytest.fixture
def make_front(sim):
    made = []

    def make(*files, **more):
        made.append(TlsFront(sim.address, *files, **more))
        return made[-1]

    yield make
    for front in made:
        front.close()


def behind(make_gateway, sim, front, **provider):
    """A gateway whose provider is the front, over TLS."""
    return make_gateway(sim, providers=[{"name": "sim", "dialect": "openai", "base_url": f"https://{front.address}/v1",
                                         "api_key": "sim-key", "forward_headers": ["x-sim-tokens", "x-sim-fault"], **provider}])


# ---- the data plane ----

@pytest.mark.smoke
def test_whole_answers_and_streams_over_tls(secure):
    assert secure.chat().status == 200
    events = secure.chat(stream=True).events()
    assert events[-1] == b"[DONE]"
    large = secure.chat(text="x" * 500_000)
    assert large.status == 200 and large.json()["usage"]["prompt_tokens"] > 1000


def test_an_official_client_over_tls(secure, authority):
    import httpx2
    with openai.OpenAI(base_url=secure.base_url, api_key=secure.key, max_retries=0,
                       http_client=httpx2.Client(verify=authority.client())) as client:
        answer = client.chat.completions.create(**chat_body())
        assert answer.choices[0].message.content
        pieces = list(client.chat.completions.create(**chat_body(stream=True)))
        assert pieces[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_session_is_taken_up_again(secure, authority, version):
    context = authority.client(version)
    ask = f"GET /readyz HTTP/1.1\r\nHost: {secure.address}\r\n\r\n".encode()
    with plain.RawConnection(secure.address, tls=context) as first:
        first.send(ask)
        assert first.read_answer().status == 200  # with it a session has come, in TLS 1.3 too
        assert first.socket.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
        session = first.socket.session
        assert not first.socket.session_reused
    with plain.RawConnection(secure.address, tls=context, session=session) as second:
        second.send(ask)
        assert second.read_answer().status == 200
        assert second.socket.session_reused


def test_old_versions_are_refused(secure, authority):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = authority.client(ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("DEFAULT@SECLEVEL=0")  # else this client would not even ask
    with pytest.raises(ssl.SSLError) as refusal:
        plain.RawConnection(secure.address, tls=context)
    assert "PROTOCOL_VERSION" in str(refusal.value).upper(), "the server's own alert"
    assert secure.chat().status == 200


def test_a_client_that_offers_only_another_protocol_is_refused(secure, authority):
    context = authority.client()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError):
        plain.RawConnection(secure.address, tls=context)
    context = authority.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with plain.RawConnection(secure.address, tls=context) as raw:
        assert raw.socket.selected_alpn_protocol() == "http/1.1"


def test_plain_http_and_noise_on_a_tls_port_harm_nobody(secure):
    for noise in (f"GET /readyz HTTP/1.1\r\nHost: {secure.address}\r\n\r\n".encode(), b"\x16\x03\x01\xff\xff" + b"\0" * 200, b"\0"):
        with plain.RawConnection(secure.address, timeout=20 * SCALE) as raw:
            raw.send(noise)
            raw.end()
            assert not raw.read_rest().startswith(b"HTTP/1.1 200")
    assert secure.chat().status == 200


def test_a_stranger_does_not_trust_us(secure):
    with pytest.raises(ssl.SSLCertVerificationError):
        plain.RawConnection(secure.address, tls=ssl.create_default_context())


@pytest.mark.parametrize(("certificate", "key"), [("missing.pem", None), (None, "missing.key"), (None, "another")])
def test_unusable_files_stop_the_start_with_words(make_gateway, sim, authority, files, certificate, key):
    if key == "another":
        key = authority.issue("another", "IP:127.0.0.1")[1]
    instance = make_gateway(sim, start=False, server={"tls_certificate": str(certificate or files[0]), "tls_key": str(key or files[1])})
    result = instance.command("serve", "-c", instance.config, check=False)
    assert result.returncode not in (0, None)
    assert str(certificate or key) in result.stderr, result.stderr


# ---- towards a provider ----

def test_an_unknown_authority_is_refused(make_gateway, sim, make_front, files):
    front = make_front(*files)
    instance = behind(make_gateway, sim, front)
    for stream in (False, True):
        answer = instance.chat(stream=stream)
        assert answer.status == 503, answer
        error = answer.json()["error"]
        assert error["code"] == "upstream_tls_failed"
        entry = instance.entry_of(answer.headers["x-request-id"])
        assert entry["outcome"] == "error" and entry["cost_cu_milli"] == 0
    assert front.resumed == [], "no handshake was finished, no credential sent"


def test_ca_file_makes_it_trusted_and_sessions_are_taken_up_again(make_gateway, sim, make_front, authority, files):
    for version in VERSIONS:
        front = make_front(*files, version=version)
        instance = behind(make_gateway, sim, front, ca_file=str(authority.certificate))
        assert instance.chat().status == 200
        assert instance.chat(stream=True).events()[-1] == b"[DONE]"
        assert instance.chat(text="y" * 300_000).status == 200
        assert front.resumed == [False], "one connection, used again"
        front.drop()
        assert instance.chat().status == 200
        assert front.resumed == [False, True], version
        instance.stop()


def test_another_name_is_refused(make_gateway, sim, make_front, authority):
    front = make_front(*authority.issue("elsewhere", "DNS:elsewhere.example,IP:127.0.0.2"))
    instance = behind(make_gateway, sim, front, ca_file=str(authority.certificate))
    answer = instance.chat()
    assert answer.status == 503 and answer.json()["error"]["code"] == "upstream_tls_failed"
    assert front.resumed == []


def test_verification_can_be_switched_off_for_tests(make_gateway, sim, make_front, files):
    instance = behind(make_gateway, sim, make_front(*files), tls_verify=False)
    assert instance.chat().status == 200


def test_an_old_provider_is_refused(make_gateway, sim, make_front, authority, files):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        front = make_front(*files, version=ssl.TLSVersion.TLSv1_1)
    front.context.set_ciphers("DEFAULT@SECLEVEL=0")
    instance = behind(make_gateway, sim, front, ca_file=str(authority.certificate))
    answer = instance.chat()
    assert answer.status == 503 and answer.json()["error"]["code"] == "upstream_tls_failed"


def test_a_provider_without_tls_on_an_https_address(make_gateway, sim):
    instance = make_gateway(sim, providers=[{"name": "sim", "dialect": "openai", "base_url": f"https://{sim.address}/v1",
                                             "api_key": "sim-key"}])
    answer = instance.chat()
    assert answer.status == 503 and answer.json()["error"]["code"] in ("upstream_tls_failed", "upstream_connect_failed")


def test_a_missing_ca_file_is_told_with_its_name(make_gateway, sim):
    instance = make_gateway(sim, start=False, providers=[{"name": "sim", "dialect": "openai", "base_url": "https://127.0.0.1:9/v1",
                                                          "ca_file": "no-such-authority.pem"}])
    result = instance.command("serve", "-c", instance.config, check=False)
    assert result.returncode != 0 and "no-such-authority.pem" in result.stderr


def test_a_reload_can_mend_the_trust(make_gateway, sim, make_front, authority, files):
    """A provider that is refused for its certificate is reached after ca_file has been added and SIGHUP sent."""
    import signal
    front = make_front(*files)
    instance = behind(make_gateway, sim, front)
    assert instance.chat().status == 503
    instance.settings["providers"][0]["ca_file"] = str(authority.certificate)
    instance.write_settings()
    instance.signal(signal.SIGHUP)
    until(lambda: instance.chat().status == 200, "the provider to be trusted")
    assert json.loads(instance.chat().body)["usage"]["usedCUMilli"] >= 0

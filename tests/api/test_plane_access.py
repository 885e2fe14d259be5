"""Who reaches the operator plane at all: addresses, TLS, the Host field, and what a listen address beyond loopback needs."""
import json
import socket

import pytest

from harness.operator import Operator
from harness.plain import RawConnection, call
from harness.tls import Authority
from harness.waiting import until


@pytest.fixture(scope="module")
def certificate(module_folder):
    authority = Authority(module_folder / "authority")
    chain, key = authority.issue("plane", "IP:127.0.0.1,IP:0.0.0.0,DNS:localhost")
    return {"authority": authority, "settings": {"tls_certificate": str(chain), "tls_key": str(key)}}


def reasons(answer):
    return answer.status, answer.json()["details"]["reason"]


def refused(gateway):
    """What a start that is refused says."""
    result = gateway.command("serve", "-c", gateway.config, check=False)
    assert result.returncode == 1, result
    return result.stderr


def reload(gateway, **operator):
    """SIGHUP with another section `operator`, and waits until it is live."""
    import signal
    before = len([line for line in gateway.log_lines() if line["event"] == "revision_published"])
    gateway.settings["operator"].update(operator)
    gateway.write_settings()
    gateway.signal(signal.SIGHUP)
    until(lambda: len([line for line in gateway.log_lines() if line["event"] == "revision_published"]) > before, "the reload")


# --- addresses ---

def test_only_listed_addresses_may_use_the_plane(make_gateway, sim):
    gateway = make_gateway(sim, operator={"listen": "127.0.0.1:0", "allow": ["192.0.2.0/24", "2001:db8::/32"]})
    for path in ("/auth/me", "/health", "/metrics", "/", "/nothing", "/api/v1/openapi.json"):
        assert reasons(call(gateway.operator, "GET", path)) == (403, "operator_address_not_allowed"), path
    assert call(gateway.operator, "POST", "/auth/login", body={"api_key": "x"}).status == 403
    forwarded = call(gateway.operator, "GET", "/auth/me", {"x-forwarded-for": "192.0.2.1", "forwarded": "for=192.0.2.1"})
    assert reasons(forwarded) == (403, "operator_address_not_allowed"), "what a field says is no address"
    with RawConnection(gateway.operator) as raw:
        for expected in (403, 200):
            raw.send(f"GET /auth/me HTTP/1.1\r\nHost: {gateway.operator}\r\n\r\n".encode())
            assert raw.read_answer().status == expected
            if expected == 403:
                reload(gateway, allow=["127.0.0.1/32"])  # live, for connections that are open too
    assert call(gateway.operator, "GET", "/auth/me").status == 200
    reload(gateway, allow=[])
    assert call(gateway.operator, "GET", "/auth/me").status == 200


@pytest.mark.parametrize("wrong", ["192.0.2.1/24", "localhost", "192.0.2.0/33", "*", ""])
def test_a_list_that_is_wrong_is_refused_whole(make_gateway, sim, wrong):
    gateway = make_gateway(sim, start=False, operator={"listen": "127.0.0.1:0", "allow": ["10.0.0.0/8", wrong]})
    assert "operator.allow" in refused(gateway)


# --- TLS ---

@pytest.mark.smoke
def test_the_plane_speaks_tls(make_gateway, sim, certificate):
    gateway = make_gateway(sim, operator={"listen": "127.0.0.1:0", **certificate["settings"]})
    context = certificate["authority"].client()
    token = (gateway.data_folder / "owner-token").read_text().strip()
    assert call(gateway.operator, "GET", "/auth/me", {"authorization": f"Bearer {token}"}, tls=context).json()["name"] == "owner"
    login = call(gateway.operator, "POST", "/auth/login", {"origin": f"https://{gateway.operator}"}, {"api_key": token, "cookie": True}, tls=context)
    assert set(login.headers["set-cookie"].split("; ")[1:]) == {"Path=/", "Max-Age=28800", "HttpOnly", "SameSite=Strict", "Secure"}
    with pytest.raises((ConnectionError, OSError)):
        call(gateway.operator, "GET", "/health", timeout=5)


def test_half_of_tls_is_refused(make_gateway, sim, certificate):
    for name in ("tls_certificate", "tls_key"):
        gateway = make_gateway(sim, start=False, operator={"listen": "127.0.0.1:0", name: certificate["settings"][name]})
        assert f"operator.{name}" in refused(gateway)


# --- beyond loopback ---

@pytest.mark.parametrize(("more", "starts", "warned"), [
    ({}, False, None),
    ({"allow": ["127.0.0.0/8"]}, False, None),
    ({"tls": True}, False, None),
    ({"tls": True, "allow": ["127.0.0.0/8"]}, True, False),
    ({"allow_remote": True}, True, True),
    ({"allow_remote": True, "allow": ["127.0.0.0/8"]}, True, True),
    ({"allow_remote": True, "tls": True, "allow": ["127.0.0.0/8"]}, True, False),
])
def test_listening_beyond_loopback_needs_a_list_and_tls(make_gateway, sim, certificate, more, starts, warned):
    settings = {"listen": "0.0.0.0:0", **more}
    if settings.pop("tls", False):
        settings.update(certificate["settings"])
    gateway = make_gateway(sim, start=starts, operator=settings)
    if not starts:
        assert "operator.listen: 0.0.0.0:0 is not a loopback address" in refused(gateway)
        return
    context = certificate["authority"].client() if "tls_key" in settings else None
    port = gateway.operator.rsplit(":", 1)[1]
    check = call(f"127.0.0.1:{port}", "GET", "/health", tls=context).json()["checks"]["operator_plane"]
    assert (check["status"] == "open") == warned
    assert any(line["event"] == "operator_plane_open" for line in gateway.log_lines()) == warned


def own_address():
    """An address of this machine that is not loopback; None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return None


def test_the_local_operator_is_never_somebody_else(make_gateway, sim):
    address = own_address()
    if address is None or address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    gateway = make_gateway(sim, operator={"listen": "0.0.0.0:0", "allow_remote": True})
    port = gateway.operator.rsplit(":", 1)[1]
    remote, local = f"{address}:{port}", f"127.0.0.1:{port}"
    for host in (remote, local, f"localhost:{port}"):
        assert reasons(call(remote, "GET", "/auth/me", {"host": host})) == (401, "operator_unknown"), host
    assert call(local, "GET", "/auth/me").json()["kind"] == "local"
    assert call(local, "GET", "/auth/me", {"host": remote}).status == 401
    token = (gateway.data_folder / "owner-token").read_text().strip()
    assert call(remote, "GET", "/auth/me", {"authorization": f"Bearer {token}"}).status == 200


# --- the local operator of dev ---

@pytest.mark.parametrize("field", [
    {"origin": "http://OPERATOR"}, {"x-forwarded-for": "198.51.100.7"}, {"forwarded": "for=198.51.100.7"}, {"via": "1.1 proxy"},
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"authorization": "Bearer x"}, {"authorization": ""},
    {"cookie": "weir_session=x"},
])
def test_what_makes_a_request_not_local(gateway, field):
    headers = {name: value.replace("OPERATOR", gateway.operator) for name, value in field.items()}
    assert call(gateway.operator, "GET", "/auth/me", headers).status == 401


@pytest.mark.parametrize("field", [{}, {"sec-fetch-site": "none"}, {"sec-fetch-site": "same-origin"}, {"cookie": "theme=dark"}, {"host": "localhost"}])
def test_who_sits_at_this_machine_is_the_local_operator(gateway, field):
    assert call(gateway.operator, "GET", "/auth/me", field).json()["kind"] == "local"


@pytest.mark.parametrize("environment", ["stage", "prod"])
def test_there_is_no_local_operator_but_in_dev(make_gateway, sim, environment):
    gateway = make_gateway(sim, start=False)
    gateway.settings["environment"] = environment
    gateway.write_settings()
    gateway.start()
    assert reasons(call(gateway.operator, "GET", "/auth/me")) == (401, "operator_unknown")
    token = (gateway.data_folder / "owner-token").read_text().strip()
    assert token.startswith(f"weir_op_{environment}_")
    assert Operator(gateway).get("/auth/me", token=token).json()["role"] == "owner"


def test_a_request_without_a_host_is_nobodys(gateway):
    with RawConnection(gateway.operator) as raw:
        raw.send(b"GET /auth/me HTTP/1.0\r\n\r\n")
        answer = raw.read_answer()
    assert (answer.status, json.loads(answer.body)["details"]["reason"]) == (401, "operator_unknown")

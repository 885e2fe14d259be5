"""Whose address counts where proxies stand before weir: as key rules see it, and as the ledger and the log tell it."""
import itertools
import signal

import pytest

from harness import plain
from harness.keys import set_rules, settle
from harness.processes import Gateway, chat_body, default_settings
from harness.waiting import until

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    """One that is reached through proxies: this machine is one, and 10.0.0.0/8 are others."""
    settings = default_settings(sim, server={"listen": "127.0.0.1:0", "workers": 1, "trusted_proxies": ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]})
    instance = Gateway(weir_binary, module_folder / "proxied", settings).start()
    yield instance
    instance.close()


def seen_address(gateway, *fields):
    """What the log says of a request with these header lines."""
    with plain.RawConnection(gateway.address) as raw:
        lines = "".join(f"{line}\r\n" for line in fields)
        raw.send(f"GET /v1/models HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer {gateway.key}\r\n{lines}\r\n".encode())
        answer = raw.read_answer()
    assert answer.status == 200
    identifier = answer.headers["x-request-id"]
    line = until(lambda: next((line for line in gateway.log_lines() if line.get("request_id") == identifier), None), "the log line")
    return line["client_address"]


@pytest.mark.parametrize("fields, address", [
    ([], "127.0.0.1"),
    (["X-Forwarded-For: 192.0.2.7"], "192.0.2.7"),
    (["x-forwarded-for: 203.0.113.9, 192.0.2.7"], "192.0.2.7"),  # what the client itself wrote stands on the left
    (["X-Forwarded-For: 192.0.2.7, 10.1.2.3"], "192.0.2.7"),  # one proxy behind another
    (["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 192.0.2.7, 10.1.2.3"], "192.0.2.7"),  # several fields are one list
    (["X-Forwarded-For: 203.0.113.9, 192.0.2.7", "X-Forwarded-For: 10.1.2.3"], "192.0.2.7"),
    (["X-Forwarded-For: 2001:db8::7"], "2001:db8::7"),
    (["X-Forwarded-For: 2001:DB8:0:0::7, fd00::1"], "2001:db8::7"),
    (["X-Forwarded-For: ::ffff:192.0.2.7"], "192.0.2.7"),
    (["X-Forwarded-For: unknown, 10.1.2.3"], "10.1.2.3"),  # as far as it can be followed
    (["X-Forwarded-For: garbage"], "127.0.0.1"),
    (["X-Forwarded-For: "], "127.0.0.1"),
    (["Forwarded: for=192.0.2.7;proto=https;by=10.0.0.1"], "192.0.2.7"),
    (['Forwarded: for="[2001:db8::7]:4711"'], "2001:db8::7"),
    (["Forwarded: for=203.0.113.9, for=192.0.2.7"], "192.0.2.7"),
    (["Forwarded: for=203.0.113.9", "Forwarded: for=192.0.2.7;proto=http, for=10.1.2.3"], "192.0.2.7"),
    (["Forwarded: for=_hidden, for=10.1.2.3"], "10.1.2.3"),
    (["X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7"], "192.0.2.7"),
    (["X-Forwarded-For: 203.0.113.9", "Forwarded: for=192.0.2.7"], "::"),  # one of them is the client's own making: nobody knows which
    (["X-Real-IP: 203.0.113.9"], "127.0.0.1"),
])
def test_the_client_is_found_from_the_right(gateway, fields, address):
    assert seen_address(gateway, *fields) == address


def test_the_ledger_has_the_clients_address(gateway):
    answer = gateway.chat(headers={"x-forwarded-for": "192.0.2.55"})
    assert answer.status == 200
    assert gateway.entry_of(answer.headers["x-request-id"])["client_address"] == "192.0.2.55"


def test_key_addresses_are_the_clients(gateway):
    name = f"addressed-{next(NUMBERS)}"
    key = gateway.create_key(name)
    set_rules(gateway, name, {"addresses": ["192.0.2.0/24", "2001:db8::/32"]})
    settle(gateway)

    def status(**headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return plain.call(gateway.address, "POST", "/v1/chat/completions", {"authorization": f"Bearer {key}", **headers}, chat_body()).status

    assert status(x_forwarded_for="192.0.2.200") == 200
    assert status(x_forwarded_for="2001:db8:1::1, 10.9.9.9") == 200
    assert status(forwarded='for="[2001:db8:1::1]"') == 200
    assert status() == 403  # the proxy itself
    assert status(x_forwarded_for="203.0.113.1") == 403
    assert status(x_forwarded_for="192.0.2.200, 203.0.113.1") == 403  # spoofed on the left
    assert status(x_forwarded_for="192.0.2.200", forwarded="for=203.0.113.1") == 403


def test_metrics_stay_with_the_peer(gateway):
    """Who may scrape is decided by the connection: a proxy that passes /metrics on says so itself, by its own address."""
    assert plain.call(gateway.address, "GET", "/metrics", {"x-forwarded-for": "203.0.113.1"}).status == 200


def test_untrusted_peers_are_believed_nothing(make_gateway, sim):
    instance = make_gateway(sim, server={"listen": "127.0.0.1:0", "workers": 1, "trusted_proxies": ["10.0.0.0/8"]})
    for field in ("X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.7, 10.0.0.1"):
        assert seen_address(instance, field) == "127.0.0.1"


def test_trusted_proxies_change_live(make_gateway, sim):
    instance = make_gateway(sim)
    assert seen_address(instance, "X-Forwarded-For: 192.0.2.7") == "127.0.0.1"
    instance.settings["server"]["trusted_proxies"] = ["127.0.0.0/8"]
    instance.write_settings()
    instance.signal(signal.SIGHUP)
    until(lambda: seen_address(instance, "X-Forwarded-For: 192.0.2.7") == "192.0.2.7", "the new setting to be in effect")


@pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0.1/8", "proxy.internal", "", "fe80::1%eth0"])
def test_what_is_no_network_stops_the_start(make_gateway, sim, network):
    instance = make_gateway(sim, start=False, server={"listen": "127.0.0.1:0", "workers": 1, "trusted_proxies": [network]})
    result = instance.command("config", "check", instance.config, check=False)
    assert result.returncode != 0
    assert "server.trusted_proxies" in result.stderr + result.stdout

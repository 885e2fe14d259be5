"""Keys: made on the command line, known to a running server within a second, accepted in exactly one spelling."""
import re
import time
import zlib

import pytest

from harness.plain import RawConnection
from harness.waiting import soonest

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SHAPE = re.compile(r"weir_dev_[0-9A-Za-z]{43}[0-9A-Za-z]{6}")


def base62(value, digits):
    text = ""
    for _ in range(digits):
        value, digit = divmod(value, 62)
        text = DIGITS[digit] + text
    return text


def with_checksum(text):
    return text + base62(zlib.crc32(text.encode()), 6)


def status_with(gateway, *authorization):
    with RawConnection(gateway.address) as raw:
        fields = "".join(f"Authorization: {value}\r\n" for value in authorization)
        raw.send(f"GET /v1/models HTTP/1.1\r\nHost: {gateway.address}\r\n{fields}\r\n".encode())
        return raw.read_answer()


@pytest.mark.smoke
def test_a_key_has_its_shape_and_checksum(gateway):
    assert SHAPE.fullmatch(gateway.key)
    assert gateway.key == with_checksum(gateway.key[:-6])


def test_only_the_exact_header_passes(gateway):
    key = gateway.key
    assert status_with(gateway, f"Bearer {key}").status == 200
    unknown = with_checksum("weir_dev_" + "A" * 43)
    other_environment = with_checksum("weir_prod_" + key[9:-6])
    wrong_brand = with_checksum("shroud_dev_" + key[9:-6])
    changed = key[:-1] + ("0" if key[-1] != "0" else "1")
    headers = {
        "missing": [],
        "lower case": [f"bearer {key}"],
        "upper case": [f"BEARER {key}"],
        "Token": [f"Token {key}"],
        "Basic": [f"Basic {key}"],
        "bare": [key],
        "two spaces": [f"Bearer  {key}"],
        "a tab": [f"Bearer\t{key}"],
        "no space": [f"Bearer{key}"],
        "word behind it": [f"Bearer {key} x"],
        "comma": [f"Bearer {key}, Bearer {key}"],
        "empty": ["Bearer "],
        "two headers": [f"Bearer {key}", f"Bearer {key}"],
        "another environment": [f"Bearer {other_environment}"],
        "another brand": [f"Bearer {wrong_brand}"],
        "wrong checksum": [f"Bearer {changed}"],
        "one character less": [f"Bearer {key[:-1]}"],
        "one character more": [f"Bearer {key}0"],
        "unknown": [f"Bearer {unknown}"],
        "very long": ["Bearer " + "a" * 5000],
    }
    wrong = []
    for name, values in headers.items():
        answer = status_with(gateway, *values)
        error = answer.json()["error"] if answer.status == 401 else {}
        if answer.status != 401 or error.get("error_code") != "WEIR_UNAUTHORIZED" or key in answer.body.decode():
            wrong.append(f"{name}: {answer}")
    assert not wrong, "\n".join(wrong)


def test_refusals_say_what_is_wrong_and_not_to_retry(gateway):
    answer = status_with(gateway, "Token x")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["error"]["code"] == "key_malformed"
    environment = status_with(gateway, "Bearer " + with_checksum("weir_prod_" + "A" * 43))
    assert environment.json()["error"]["code"] == "key_wrong_environment"
    assert status_with(gateway, "Bearer " + with_checksum("weir_dev_" + "A" * 43)).json()["error"]["code"] == "key_unknown"


def test_optional_white_space_around_the_value_is_not_part_of_it(gateway):
    with RawConnection(gateway.address) as raw:
        raw.send(f"GET /v1/models HTTP/1.1\r\nHost: {gateway.address}\r\n"
                 f"Authorization:Bearer {gateway.key}  \r\n\r\n".encode())
        assert raw.read_answer().status == 200


@pytest.mark.tsan
def test_a_running_server_learns_of_new_and_revoked_keys_within_a_second(gateway):
    def answered(key, status):
        """How long it takes until the key is answered so."""
        started = time.monotonic()
        gateway.wait_key(key, status)
        return time.monotonic() - started

    soonest(1, lambda: answered(gateway.create_key("short-lived"), 200))

    def revoke():
        key = gateway.create_key("revoked")
        gateway.wait_key(key)
        row = next(row for row in keys(gateway) if row["name"] == "revoked" and not row["revoked_at"])
        gateway.command("key", "revoke", "-c", gateway.config, row["id"])
        return answered(key, 401)

    soonest(1, revoke)


def keys(gateway):
    import json
    text = gateway.command("key", "list", "-c", gateway.config, "--json").stdout.strip()
    return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]


def test_the_list_never_shows_a_key(gateway):
    gateway.create_key("listed")
    text = gateway.command("key", "list", "-c", gateway.config).stdout
    assert "listed" in text
    assert not SHAPE.search(text)
    assert not SHAPE.search(str(keys(gateway)))


def test_the_store_and_the_log_hold_no_key(gateway):
    gateway.request("GET", "/v1/models")
    gateway.request("GET", "/v1/models", headers={"authorization": "Bearer " + gateway.key + "x"})
    key = gateway.key.encode()
    for path in gateway.folder.rglob("*"):
        if path.is_file():
            assert key not in path.read_bytes(), path


def test_revoking_an_unknown_key_fails(gateway):
    result = gateway.command("key", "revoke", "-c", gateway.config, "no-such-key", check=False)
    assert result.returncode == 1
    assert "no key" in result.stderr and result.stdout == ""


def test_keys_survive_a_restart(make_gateway, sim):
    instance = make_gateway(sim)
    instance.restart()
    assert instance.request("GET", "/v1/models").status == 200

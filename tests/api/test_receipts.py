"""Receipts: of every kind of ending, given out on both planes and by the command line, and checked here by a second implementation, made from
docs/reference/receipts.md alone, with another library."""
import asyncio
import base64
import hashlib
import json
import sqlite3
import subprocess

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness import plain
from harness.operator import Operator
from harness.plain import call
from harness.processes import chat_body, clean_environment
from harness.waiting import SCALE, until

SAME = ("sequence", "request_id", "client_request_id", "key_id", "workspace", "endpoint", "model", "provider", "upstream_model", "stream", "outcome", "status",
        "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "usage_source", "price_version", "unpriced",
        "reserved_cu_milli", "overrun_cu_milli", "revision")
OFTEN_ABSENT = {"input_audio_tokens": 0, "input_image_tokens": 0, "output_audio_tokens": 0, "output_image_tokens": 0, "unit": "none", "units": 0}
RENAMED = {"charged_cu_milli": "cost_cu_milli", "started_at": "start", "ended_at": "end"}


# --- the second implementation ---

def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def thumbprint(jwk):
    digest = hashlib.sha256(canonical({name: jwk[name] for name in ("crv", "kty", "x")})).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def public_keys(keys):
    for jwk in keys:
        assert (jwk["kty"], jwk["crv"], jwk["alg"], jwk["use"]) == ("OKP", "Ed25519", "EdDSA", "sig") and jwk["kid"] == thumbprint(jwk)
    return {jwk["kid"]: Ed25519PublicKey.from_public_bytes(decode(jwk["x"])) for jwk in keys}


def check(signed, keys):
    """The receipt, when its hash and its signature are right."""
    text = canonical(signed["receipt"])
    assert hashlib.sha256(text).hexdigest() == signed["hash"]
    keys[signed["key_id"]].verify(decode(signed["signature"]), b"weir-receipt-v1\n" + text)
    return signed["receipt"]


def check_export(text, keys=None):
    """All receipts of an export, when it is whole."""
    first, *lines, last = [json.loads(line) for line in text.splitlines()]
    keys = keys or public_keys(first["keys"])
    digest, receipts = bytes(32), []
    for line in lines:
        receipt = check(line, keys)
        if receipts and receipt["sequence"] == receipts[-1]["sequence"] + 1:
            assert receipt["previous"] == hash_before
        elif receipts:
            assert not first["complete"] and receipt["sequence"] > receipts[-1]["sequence"]
        hash_before = line["hash"]
        digest = hashlib.sha256(digest + bytes.fromhex(line["hash"])).digest()
        receipts.append(receipt)
    keys[last["key_id"]].verify(decode(last["signature"]), b"weir-receipts-end-v1\n" + canonical(last["end"]))
    assert last["end"] == {"complete": first["complete"], "digest": digest.hex(), "receipts": len(receipts), "v": 1,
                           "first": receipts[0]["sequence"] if receipts else 0, "last": receipts[-1]["sequence"] if receipts else 0}
    return receipts


def assert_same(receipt, entry):
    for name in SAME:
        assert receipt[name] == entry[name], name
    for name, otherwise in OFTEN_ABSENT.items():
        assert receipt[name] == entry.get(name, otherwise), name
    for ours, theirs in RENAMED.items():
        assert receipt[ours] == entry[theirs], ours


# --- the world ---

@pytest.fixture(scope="module")
def filled(gateway):
    """Requests that ended in every way but one (a crash has a test of its own)."""
    gateway.other = gateway.create_key("other", "--workspace", "other")
    gateway.wait_key(gateway.other)
    before = len(gateway.ledger())

    def leave():
        return asyncio.run(plain.call_async(gateway.address, "/v1/chat/completions",
                                            {**gateway.authorization, "x-request-id": "left", "x-sim-rate": "5", "x-sim-tokens": "500"},
                                            chat_body("leaving", stream=True), timeout=1.0 * SCALE))

    gateway.chat(headers={"x-request-id": "good"})
    gateway.chat(stream=True, headers={"x-request-id": "streamed"})
    gateway.chat(headers={"x-request-id": "failed", "x-sim-fault": "status=500"})
    gateway.chat(headers={"x-request-id": "estimated", "x-sim-fault": "no-usage"}, stream=True)
    leave()
    for _ in range(2):
        call(gateway.address, "POST", "/v1/chat/completions", {"authorization": f"Bearer {gateway.other}", "x-request-id": "good"}, chat_body("another's"))
    gateway.wait_ledger(before + 7)
    return gateway


def receipt_of(gateway, request_id, key=None, status=200):
    answer = call(gateway.address, "GET", f"/v1/receipts/{request_id}", {"authorization": f"Bearer {key or gateway.key}"})
    assert answer.status == status, answer
    return answer


def exported(gateway, *words):
    return gateway.command("receipts", "export", *gateway.file_words, *words).stdout


def verify(gateway, path, *words):
    """The offline command: elsewhere, with no settings and no store."""
    return subprocess.run([gateway.binary, "receipts", "verify", str(path), *words], capture_output=True, text=True, timeout=120, cwd="/", check=False,
                          env=clean_environment())


# --- what a receipt says ---

@pytest.mark.smoke
def test_every_ending_has_a_receipt_with_the_ledgers_numbers(filled, operator):
    keys = public_keys(operator.get("/api/v1/receipts/keys").json()["keys"])
    assert filled.request("GET", "/v1/receipts/keys").json()["keys"][0]["kid"] in keys
    entries = filled.ledger()
    assert {entry["outcome"] for entry in entries} == {"ok", "error", "aborted"}
    assert {entry["usage_source"] for entry in entries} >= {"provider", "estimated", "aborted"}
    for entry in entries:
        signed = operator.get(f"/api/v1/receipts/{entry['request_id']}").json()
        assert_same(check(signed, keys), entry)
        if entry["workspace"] == "default":
            assert receipt_of(filled, entry["request_id"]).json() == signed
    receipts = check_export(exported(filled), keys)
    assert [receipt["request_id"] for receipt in receipts] == [entry["request_id"] for entry in entries]
    assert receipts[0]["previous"] == "0" * 64


def test_a_request_that_crashed_has_a_receipt(make_gateway, make_sim):
    instance = make_gateway(make_sim())

    async def cut():
        running = asyncio.create_task(plain.call_async(instance.address, "/v1/chat/completions",
                                                       {**instance.authorization, "x-sim-rate": "5", "x-sim-tokens": "500", "x-request-id": "cut"},
                                                       chat_body(stream=True), timeout=60 * SCALE))
        await asyncio.sleep(1.0 * SCALE)
        instance.kill()
        await running

    assert instance.chat().status == 200
    instance.wait_ledger(1)
    before = exported(instance)
    asyncio.run(cut())
    instance.start()
    entry = until(lambda: instance.ledger("--request", "cut"), "the entry of what was cut off")[0]
    receipt = receipt_of(instance, "cut").json()["receipt"]
    assert_same(receipt, entry)
    assert (receipt["outcome"], receipt["usage_source"]) == ("crashed", "reserved") and receipt["charged_cu_milli"] == receipt["reserved_cu_milli"]
    # What was given out before the crash is still so, and signed with the same key.
    after = exported(instance).splitlines()
    assert after[:2] == before.splitlines()[:2] and len(check_export("\n".join(after))) == 2
    assert "2 entries" in instance.command("receipts", "verify", "--store", *instance.file_words).stdout


def test_who_asks_at_once_gets_it(filled):
    for number in range(5):
        answer = filled.chat(headers={"x-request-id": f"at-once-{number}"})
        assert receipt_of(filled, answer.headers["x-request-id"]).json()["receipt"]["client_request_id"] == f"at-once-{number}"
        assert receipt_of(filled, f"at-once-{number}").json()["receipt"]["request_id"] == answer.headers["x-request-id"]


def test_of_ever_so_many_with_one_id_the_newest_is_meant(make_gateway, sim):
    instance = make_gateway(sim)
    own = instance.chat(headers={"x-request-id": "same"}).headers["x-request-id"]
    instance.wait_ledger(1)
    instance.stop()
    path, = (instance.folder / "data").glob("*.db")
    with sqlite3.connect(path) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(ledger)")]
        values = ", ".join({"sequence": "sequence + :n", "request_id": "randomblob(16)"}.get(name, name) for name in names)
        first, = connection.execute("SELECT max(sequence) FROM ledger").fetchone()
        for n in range(1, 1101):
            connection.execute(f"INSERT INTO ledger({', '.join(names)}) SELECT {values} FROM ledger WHERE sequence = :first", {"n": n, "first": first})
        connection.execute("UPDATE meta SET value = value + 1100 WHERE name = 'next_sequence'")
    instance.start()
    operator = Operator(instance)
    for receipt in (lambda name: receipt_of(instance, name).json(), lambda name: operator.get(f"/api/v1/receipts/{name}").json()):
        assert until(lambda: receipt("same")["receipt"]["sequence"] == first + 1100, "the newest receipt")
        assert receipt(own)["receipt"]["sequence"] == first


# --- whose it is ---

def test_a_workspace_has_its_own_and_no_other(filled, operator):
    mine = receipt_of(filled, "good").json()["receipt"]
    other = receipt_of(filled, "good", filled.other).json()["receipt"]
    assert (mine["workspace"], other["workspace"]) == ("default", "other")
    newest = [entry for entry in filled.ledger() if entry["workspace"] == "other"][-1]
    assert other["request_id"] == newest["request_id"], "of several with one id of a client's the newest is meant"
    for request_id, key in ((mine["request_id"], filled.other), (other["request_id"], filled.key), ("nobody-has-this", filled.key),
                            ("01930000-0000-7000-8000-000000000005", filled.key), ("x" * 129, filled.key)):
        refused = receipt_of(filled, request_id, key, status=404)
        assert refused.json()["details"]["reason"] == "receipt_not_found" and refused.headers["retry-after"] == "1"
    assert receipt_of(filled, mine["request_id"] + "%zz", status=404).status == 404
    assert call(filled.address, "GET", f"/v1/receipts/{mine['request_id']}").status == 401
    # What is asked is no request of a provider: it has no receipt itself.
    asked = receipt_of(filled, "good").headers["x-request-id"]
    receipt_of(filled, asked, status=404)
    text = json.dumps(mine)
    entry = filled.entry_of(mine["request_id"])
    assert entry["client_address"] not in text and entry["trace_id"] not in text and "attempt" not in text


def test_pages_and_filters(filled, operator):
    everything = operator.all("/api/v1/receipts", limit=3)
    assert [row["receipt"]["sequence"] for row in everything] == [entry["sequence"] for entry in filled.ledger()]
    for before, row in zip(everything, everything[1:], strict=False):
        assert row["receipt"]["previous"] == before["hash"]
    others = operator.all("/api/v1/receipts?workspace=other")
    assert {row["receipt"]["workspace"] for row in others} == {"other"} and len(others) == 2
    key_id = others[0]["receipt"]["key_id"]
    assert operator.all(f"/api/v1/receipts?key={key_id}") == others
    assert operator.all("/api/v1/receipts?request=good")[1:] == others
    assert operator.all("/api/v1/receipts?workspace=nobody") == [] and operator.all("/api/v1/receipts?from=2099-01-01") == []
    middle = everything[2]["receipt"]["started_at"]
    split = operator.all(f"/api/v1/receipts?until={middle}"), operator.all(f"/api/v1/receipts?from={middle}")
    assert sorted(row["hash"] for rows in split for row in rows) == sorted(row["hash"] for row in everything)
    assert operator.get("/api/v1/receipts/nothing-has-this-id", status=404).reason == "not_there"
    operator.get("/api/v1/receipts?colour=red", status=400)


def test_an_export_of_the_operation_is_that_of_the_command(filled, operator, tmp_path):
    for query, words in (("", ()), ("?workspace=other", ("--workspace", "other")), ("?from=2020-01-01&until=2099-01-01", ("--from", "2020-01-01", "--until", "2099-01-01")),
                         ("?workspace=nobody", ("--workspace", "nobody"))):
        answer = operator.get(f"/api/v1/receipts/export{query}")
        assert answer.body.decode() == exported(filled, *words)
        receipts = check_export(answer.body.decode())
        (tmp_path / "receipts").write_bytes(answer.body)
        result = verify(filled, tmp_path / "receipts")
        assert result.returncode == 0 and result.stdout.startswith(f"{len(receipts)} receipts") and "unproven" in result.stderr, result
    assert operator.get("/api/v1/receipts/export", role="viewer", status=403).reason == "role_not_allowed"
    entries = operator.get("/api/v1/admin/audit?action=receipts.export").json()["entries"]
    assert len(entries) >= 8, "each export is in the trail"


# --- checking without weir's store ---

def test_the_file_is_proven_by_a_key_from_elsewhere(filled, operator, tmp_path):
    export, keys = tmp_path / "export", tmp_path / "keys"
    export.write_text(exported(filled))
    keys.write_text(filled.command("receipts", "keys", *filled.file_words).stdout)
    jwk = json.loads(keys.read_text())["keys"][0]
    pem = tmp_path / "pem"
    pem.write_bytes(Ed25519PublicKey.from_public_bytes(decode(jwk["x"])).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for key in (keys, pem, json.dumps(jwk)):
        result = verify(filled, export, "--key", str(key))
        assert result.returncode == 0 and result.stderr == "", result
    other = tmp_path / "other"
    other.write_text(json.dumps({**jwk, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
    result = verify(filled, export, "--key", other)
    assert result.returncode == 1 and "line 2: it is signed with the key" in result.stdout
    assert verify(filled, export, "--key", export).returncode == 2
    assert verify(filled, tmp_path / "nowhere").returncode == 1
    assert verify(filled, export, "--store").returncode == 2
    one = tmp_path / "one"
    one.write_text(filled.command("receipts", "show", "good", *filled.file_words).stdout)
    assert verify(filled, one, "--key", keys).stdout.startswith("3 receipts"), "two workspaces have used this id"
    one.write_text(receipt_of(filled, "good").body.decode())
    assert verify(filled, one, "--key", keys).returncode == 0
    # Rearranged by a tool that knows JSON it is as good as before.
    one.write_text(json.dumps(dict(reversed(json.loads(one.read_text()).items()))))
    assert verify(filled, one, "--key", keys).returncode == 0


def test_whatever_is_changed_is_named_with_its_line(filled, tmp_path):
    good = exported(filled).splitlines()
    path = tmp_path / "changed"

    def problems(lines):
        path.write_text("\n".join(lines) + "\n")
        result = verify(filled, path)
        assert result.returncode == 1, result
        return result.stdout

    signed = json.loads(good[3])
    for name, value in signed["receipt"].items():
        other = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else value + "x"
        changed = {**signed, "receipt": {**signed["receipt"], name: other}}
        assert problems([*good[:3], json.dumps(changed), *good[4:]]).startswith("line 4: "), name
        with pytest.raises((AssertionError, InvalidSignature)):
            check(changed, public_keys(json.loads(good[0])["keys"]))
        # Also where the hash is put right.
        changed["hash"] = hashlib.sha256(canonical(changed["receipt"])).hexdigest()
        assert problems([*good[:3], json.dumps(changed), *good[4:]]).startswith("line 4: "), name
    for name in ("hash", "key_id", "signature"):
        other = ("y" if signed[name][0] == "x" else "x") + signed[name][1:]
        assert problems([*good[:3], json.dumps({**signed, name: other}), *good[4:]]).startswith("line 4: "), name
    assert "line 5: entry 3 is missing before it" in problems([*good[:3], json.dumps({"more": 1}), *good[4:]])
    assert problems([*good[:3], *good[4:]]) == "line 4: entry 3 is missing before it\n"
    assert problems([*good[:4], good[3], *good[4:]]) == "line 5: entry 3 stands there twice\n"
    assert "line 5: entry 3 stands behind entry 4" in problems([*good[:3], good[4], good[3], *good[5:]])
    assert "is cut off" in problems(good[:-1]) and "is cut off" in problems(good[:4])
    assert "behind the end" in problems([*good, good[1]])
    assert "longer than" in problems([*good[:3], good[3] + " " * 200000, *good[4:]])
    assert "there is no receipt" in problems([""])
    filtered = exported(filled, "--workspace", "default").splitlines()
    assert "the export had" in problems([*filtered[:3], *filtered[4:]])


# --- the ledger against its chain ---

def test_a_changed_ledger_is_found(make_gateway, sim):
    instance = make_gateway(sim)
    for number in range(4):
        instance.chat(text=f"{number}")
    instance.wait_ledger(4)
    exported(instance)
    verified = instance.command("receipts", "verify", "--store", *instance.file_words).stdout
    assert verified.startswith("4 entries, from 1 to 4, as they were")
    database = sqlite3.connect(instance.data_folder / "weir.db", timeout=10)
    with database:
        database.execute("UPDATE ledger SET cost_cu_milli = cost_cu_milli - 1 WHERE sequence = 2")
    result = instance.command("receipts", "verify", "--store", *instance.file_words, check=False)
    assert result.returncode == 1 and result.stdout.startswith("entries 1 to 4, or the newest hash behind them, are not what they were")
    with database:
        database.execute("DELETE FROM ledger WHERE sequence = 2")
    database.close()
    result = instance.command("receipts", "verify", "--store", *instance.file_words, check=False)
    assert result.returncode == 1 and result.stdout == "entry 2 is missing\n"


# --- keys ---

def test_a_new_key_signs_and_the_former_one_stays_known(make_gateway, sim):
    instance = make_gateway(sim)
    plane = Operator(instance)
    instance.chat(headers={"x-request-id": "first"})
    before = receipt_of(instance, "first").json()
    files = list(instance.data_folder.glob("receipt-key-*"))
    assert [path.name for path in files] == ["receipt-key-" + before["key_id"]] and files[0].stat().st_mode & 0o777 == 0o600
    made = plane.post("/api/v1/receipts/keys/rotate", status=201).json()
    assert [path.name for path in instance.data_folder.glob("receipt-key-*")] == ["receipt-key-" + made["kid"]]
    after = receipt_of(instance, "first").json()
    assert after["key_id"] == made["kid"] and after["receipt"] == before["receipt"] and after["hash"] == before["hash"]
    keys = plane.get("/api/v1/receipts/keys").json()["keys"]
    assert [key["kid"] for key in keys] == [before["key_id"], made["kid"]]
    assert keys[0]["retired_at"] is not None and keys[1]["retired_at"] is None
    for signed in (before, after):
        check(signed, public_keys(keys))
    instance.restart()
    assert receipt_of(instance, "first").json() == after
    # The file is lost: another key takes over, and what was signed before still verifies.
    instance.stop()
    next(instance.data_folder.glob("receipt-key-*")).unlink()
    instance.start()
    third = receipt_of(instance, "first").json()
    assert third["key_id"] not in (before["key_id"], after["key_id"])
    assert len(public_keys(Operator(instance).get("/api/v1/receipts/keys").json()["keys"])) == 3


def test_a_sealed_key_needs_its_sealing_key(make_gateway, sim, tmp_path):
    first, second = tmp_path / "first.key", tmp_path / "second.key"
    for path in (first, second):
        subprocess.run([make_gateway(sim, start=False).binary, "secrets", "generate", path], check=True, capture_output=True, timeout=30)
    instance = make_gateway(sim, secrets={"sealing_key": f"file:{first}"})
    instance.chat(headers={"x-request-id": "sealed"})
    before = receipt_of(instance, "sealed").json()
    assert not list(instance.data_folder.glob("receipt-key-*"))
    # Sealed anew with another key it signs as before; the first one may go.
    instance.settings["secrets"] = {"sealing_key": f"file:{second}", "previous_sealing_keys": [f"file:{first}"]}
    instance.write_settings()
    rotated = instance.command("secrets", "rotate", *instance.file_words)
    assert "receipt keys" in rotated.stdout
    instance.settings["secrets"] = {"sealing_key": f"file:{second}"}
    instance.write_settings()
    instance.restart()
    assert receipt_of(instance, "sealed").json() == before
    # Without it nothing is signed, and no other key takes its place.
    instance.settings["secrets"] = {"sealing_key": f"file:{first}"}
    instance.write_settings()
    instance.restart()
    refused = receipt_of(instance, "sealed", status=503)
    assert refused.json()["details"]["reason"] == "receipt_unsignable"
    assert Operator(instance).get("/api/v1/receipts", status=503).reason == "receipt_unsignable"
    assert instance.chat().status == 200
    failed = instance.command("receipts", "export", *instance.file_words, check=False)
    assert failed.returncode == 1 and "sealing_key" in failed.stderr
    assert instance.command("receipts", "verify", "--store", *instance.file_words).stdout, "to verify is not to sign"

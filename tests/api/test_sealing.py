"""Secrets at rest: kept sealed, used as credentials, never shown, sealed anew with another key while a server runs."""
import json
import sqlite3
import subprocess

import pytest

from harness.operator import Operator
from harness.processes import default_settings
from harness.waiting import until

VALUE = "sk-canary-4c1f9a77e0b2-value"
OTHER = "sk-canary-b81d03d5aa64-other"


@pytest.fixture
def keys(tmp_path, weir_binary):
    """make(name): the path of a new sealing key."""
    def make(name):
        path = tmp_path / name
        made = subprocess.run([weir_binary, "secrets", "generate", path], capture_output=True, text=True, timeout=30)
        assert made.returncode == 0, made.stderr
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().strip() not in made.stderr
        return path

    return make


@pytest.fixture
def sealed(make_gateway, sim, keys):
    """A gateway with a sealing key whose provider has its credential from the store."""
    key = keys("sealing.key")
    provider = default_settings(sim)["providers"][0]
    instance = make_gateway(sim, start=False, secrets={"sealing_key": f"file:{key}"},
                            providers=[{**provider, "api_key": "secret:upstream"}])
    put(instance, "upstream", VALUE)
    return instance.start()


def put(instance, name, value, check=True):
    done = subprocess.run([instance.binary, "secrets", "put", name, *map(str, instance.file_words)], input=value + "\n",
                          cwd=instance.folder, capture_output=True, text=True, timeout=60)
    assert not value or value not in done.stderr + done.stdout
    if check:
        assert done.returncode == 0, done.stderr
    return done


def credential(sim):
    return sim.last_request()["headers"]["authorization"]


def audit(instance, action):
    with sqlite3.connect(instance.folder / "data/weir.db") as database:
        return database.execute("SELECT actor_kind, resource_id, changes FROM audit WHERE action = ? ORDER BY sequence",
                                (action,)).fetchall()


def nowhere(instance, *values):
    """No value stands in the clear in any file of the store or in the log."""
    files = [path for path in (instance.folder / "data").rglob("*") if path.is_file()]
    assert files
    for path in [*files, instance.stderr_path, instance.stdout_path]:
        content = path.read_bytes()
        for value in values:
            assert value.encode() not in content, f"{path} holds a secret"


def test_a_provider_has_its_credential_from_the_store(sealed, sim):
    operator = Operator(sealed)
    assert sealed.chat().status == 200
    assert credential(sim) == f"Bearer {VALUE}"
    before = operator.get("/api/v1/revisions/live").json()
    assert "secret: upstream@1" in before["text"]
    assert VALUE not in before["text"]
    # Through the plane: published when the answer comes.
    answer = operator.put("/api/v1/secrets/upstream", {"value": OTHER, "description": "rotated"})
    assert answer.status == 200
    body = answer.json()
    assert (body["name"], body["hint"], body["value_version"], body["description"]) == ("upstream", "sk-c…ther", 2, "rotated")
    assert OTHER.encode() not in answer.body
    after = operator.get("/api/v1/revisions/live").json()
    assert after["number"] == before["number"] + 1
    until(lambda: sealed.chat().status == 200 and credential(sim) == f"Bearer {OTHER}", "the new credential to be used")
    # From the command line: a running server takes it by itself.
    put(sealed, "upstream", VALUE)
    until(lambda: sealed.chat().status == 200 and credential(sim) == f"Bearer {VALUE}", "the credential of the command line")
    nowhere(sealed, VALUE, OTHER)
    for row in audit(sealed, "secrets.put"):
        assert VALUE not in row[2] and OTHER not in row[2]
    assert [row[0] for row in audit(sealed, "secrets.put")] == ["local", "local", "local"]


def test_secrets_as_objects(sealed):
    operator = Operator(sealed)
    for name in ("a", "b", "c"):
        made = operator.put(f"/api/v1/secrets/{name}", {"value": f"{VALUE}-{name}"}, status=201)
        assert made.version == 1
    listed = operator.all("/api/v1/secrets", limit=2)
    assert [one["name"] for one in listed] == ["upstream", "a", "b", "c"]
    one = operator.get("/api/v1/secrets/b")
    assert one.json() == listed[2]
    assert len(one.json()["sealed_with"]) == 16
    assert VALUE.encode() not in one.body
    stale = operator.put("/api/v1/secrets/b", {"value": "x"}, headers={"if-match": '"7"'}, status=412)
    assert stale.reason == "version_mismatch"
    assert operator.put("/api/v1/secrets/b", {"value": "short"}, headers={"if-match": '"1"'}).json()["hint"] == "***"
    assert operator.put("/api/v1/secrets/.b", {"value": "x"}, status=400).reason == "parameter_invalid"
    assert operator.put("/api/v1/secrets/b", {"value": ""}, status=400).reason == "field_invalid"
    assert operator.get("/api/v1/secrets/none", status=404).reason == "not_there"
    assert operator.delete("/api/v1/secrets/c", status=400).reason == "confirmation_required"
    operator.delete("/api/v1/secrets/c?confirm=c", status=204)
    assert operator.get("/api/v1/secrets/c", status=404).reason == "not_there"
    used = operator.delete("/api/v1/secrets/upstream?confirm=upstream", status=409)
    assert used.reason == "still_in_use"
    assert [row[1] for row in audit(sealed, "secrets.delete")] == ["c", "c", "upstream"]  # the refused attempts, too


def test_a_blob_that_was_moved_does_not_open(sealed, sim):
    operator = Operator(sealed)
    operator.put("/api/v1/secrets/other", {"value": OTHER}, status=201)
    sealed.stop()
    with sqlite3.connect(sealed.folder / "data/weir.db") as database:
        database.execute("UPDATE object SET text = (SELECT text FROM object WHERE id = 'other' AND kind = 8)"
                         " WHERE id = 'upstream' AND kind = 8")
    sealed.launch()
    assert sealed.wait() == 1
    sealed.process = None  # it has ended as it should
    assert "was sealed for another name or environment" in sealed.stderr()
    assert OTHER not in sealed.stderr()


def test_without_a_sealing_key_secrets_are_read_only(make_gateway, sim, tmp_path):
    instance = make_gateway(sim)
    operator = Operator(instance)
    refused = operator.put("/api/v1/secrets/a", {"value": VALUE}, status=409)
    assert refused.reason == "sealing_key_missing"
    assert refused.json()["error_code"] == "WEIR_CONFLICT"
    warning = next(line for line in instance.log_lines() if line["event"] == "sealing_key_missing")
    assert warning["level"] == "warning"
    assert "read-only" in warning["effect"]
    assert operator.get("/health").json()["checks"]["secrets"]["status"] == "read_only"
    assert operator.get("/health").json()["status"] == "ok"
    assert instance.metrics()["weir_sealing_key_up", ()] == 0
    assert instance.chat().status == 200
    assert put(instance, "a", VALUE, check=False).returncode == 1
    # A key that is named but not there is the same; one that is there and is none stops the start.
    instance.stop()
    instance.settings["secrets"] = {"sealing_key": f"file:{tmp_path}/nowhere"}
    instance.write_settings()
    instance.start()
    warning = next(line for line in instance.log_lines() if line["event"] == "sealing_key_missing")
    assert "nowhere" in warning["problem"]
    instance.stop()
    (tmp_path / "nowhere").write_text("correct horse battery staple\n")
    instance.launch()
    assert instance.wait() == 1
    assert "64 hex digits" in instance.stderr()
    assert "battery" not in instance.stderr()
    instance.process = None


def test_rotation_without_a_break(sealed, sim, keys):
    operator = Operator(sealed)
    for number in range(120):  # more than two transactions
        put_through = operator.put(f"/api/v1/secrets/s{number}", {"value": f"{VALUE}-{number}"}, status=201)
        assert put_through.json()["value_version"] == 1
    old, new = sealed.settings["secrets"]["sealing_key"], f"file:{keys('new.key')}"
    sealed.settings["secrets"] = {"sealing_key": new, "previous_sealing_keys": [old]}
    sealed.write_settings()
    sealed.restart()
    assert sealed.chat().status == 200 and credential(sim) == f"Bearer {VALUE}"  # sealed with the old key still
    revision = operator.get("/api/v1/revisions/live").json()["number"]
    # What is written now is sealed with the new one.
    fresh = operator.put("/api/v1/secrets/fresh", {"value": OTHER}, status=201).json()["sealed_with"]
    status = sealed.command("secrets", "status", *sealed.file_words)
    assert "1 with this key, 121 with previous ones, 0 that cannot be opened" in status.stdout
    done = sealed.command("secrets", "rotate", *sealed.file_words)
    assert "121 sealed anew, 1 had the key already, 0 cannot be opened" in done.stdout
    assert {one["sealed_with"] for one in operator.all("/api/v1/secrets")} == {fresh}
    assert sealed.chat().status == 200 and credential(sim) == f"Bearer {VALUE}"
    assert operator.get("/api/v1/revisions/live").json()["number"] == revision, "no value has changed, so no revision has"
    rows = audit(sealed, "secrets.rotate")
    assert sum(json.loads(row[2])["after"]["resealed"] for row in rows) == 121
    assert len(rows) == 3
    again = sealed.command("secrets", "rotate", *sealed.file_words)
    assert "0 sealed anew, 122 had the key already" in again.stdout
    # The old key can go.
    sealed.settings["secrets"] = {"sealing_key": new}
    sealed.write_settings()
    sealed.restart()
    assert sealed.chat().status == 200 and credential(sim) == f"Bearer {VALUE}"
    assert "122 with this key, 0 with previous ones, 0 that" in sealed.command("secrets", "status", *sealed.file_words).stdout
    # With the old one alone nothing opens, and that is said.
    sealed.settings["secrets"] = {"sealing_key": old}
    sealed.write_settings()
    lost = sealed.command("secrets", "rotate", *sealed.file_words, check=False)
    assert lost.returncode == 1
    assert "122 cannot be opened" in lost.stdout
    assert sealed.command("secrets", "status", *sealed.file_words, check=False).returncode == 1


def test_the_command_line(sealed):
    put(sealed, "spare", VALUE)
    listed = [json.loads(line) for line in sealed.command("secrets", "list", "--json", *sealed.file_words).stdout.splitlines()]
    assert [one["name"] for one in listed] == ["upstream", "spare"]
    assert listed[1]["hint"] == "sk-c…alue"
    table = sealed.command("secrets", "list", *sealed.file_words).stdout
    assert "sk-c…alue" in table and VALUE not in table
    assert sealed.command("secrets", "delete", "spare", *sealed.file_words, check=False).returncode == 2
    sealed.command("secrets", "delete", "spare", "--confirm", "spare", *sealed.file_words)
    used = sealed.command("secrets", "delete", "upstream", "--confirm", "upstream", *sealed.file_words, check=False)
    assert used.returncode == 1 and "newest revision" in used.stderr
    gone = sealed.command("secrets", "delete", "spare", "--confirm", "spare", *sealed.file_words, check=False)
    assert gone.returncode == 1 and "no secret spare" in gone.stderr
    assert put(sealed, "../x", VALUE, check=False).returncode == 2
    assert put(sealed, "empty", "", check=False).returncode == 1
    refused = sealed.command("secrets", "generate", "data/weir.db", check=False)
    assert refused.returncode == 1 and "exist" in refused.stderr.lower()


def test_a_check_looks_up_the_secrets_that_are_named(make_gateway, sim, tmp_path):
    key = tmp_path / "sealing.key"
    key.write_text("0123456789abcdef" * 4 + "\n")
    key.chmod(0o600)
    instance = make_gateway(sim, start=False, secrets={"sealing_key": f"file:{key}"})
    good = instance.command("config", "check", instance.config)
    assert "is good" in good.stderr and "looked up" not in good.stderr
    instance.settings["providers"][0]["api_key"] = "secret:upstream"
    instance.write_settings()
    before = instance.command("config", "check", instance.config)
    assert "is good" in before.stderr and "was not looked up: there is no database at" in before.stderr
    assert not (instance.folder / "data").exists()
    refused = instance.command("serve", "-c", instance.config, check=False)
    assert refused.returncode == 1 and "weir secrets put upstream" in refused.stderr
    put(instance, "other", VALUE)
    missing = instance.command("config", "check", instance.config, check=False)
    assert missing.returncode == 1 and "there is no secret upstream in the store: weir secrets put upstream" in missing.stderr
    put(instance, "upstream", VALUE)
    found = instance.command("config", "check", instance.config)
    assert "is good" in found.stderr and "looked up" not in found.stderr


def test_settings_that_would_leak_a_key(make_gateway, sim):
    key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    instance = make_gateway(sim, start=False, secrets={"sealing_key": f"file:{key}", "previous_sealing_keys": [key]})
    checked = instance.command("config", "check", instance.config, check=False)
    assert checked.returncode == 1
    assert "previous_sealing_keys[0]: expected env:NAME or file:PATH" in checked.stderr
    assert key not in checked.stderr


def test_the_key_from_the_environment(make_gateway, sim):
    key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    instance = make_gateway(sim, environment={"WEIR_SEALING_KEY": key})
    operator = Operator(instance)
    operator.put("/api/v1/secrets/a", {"value": VALUE}, status=201)
    assert operator.get("/health").json()["checks"]["secrets"]["status"] == "ok"
    assert instance.metrics()["weir_sealing_key_up", ()] == 1
    assert key not in operator.get("/api/v1/revisions/live").json()["text"]
    nowhere(instance, VALUE, key)

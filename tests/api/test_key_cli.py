"""weir key, beside a running server with two workers: the same changes, the same entries in the audit trail."""
import itertools
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.operator import Operator
from harness.processes import clean_environment
from test_op_keys import answered

KEY = re.compile(r"weir_dev_[0-9A-Za-z]{49}")
counter = itertools.count()


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    from harness.processes import Gateway, default_settings
    instance = Gateway(weir_binary, module_folder / "gateway", default_settings(sim, server={"listen": "127.0.0.1:0", "workers": 2})).start()
    yield instance
    instance.close()


def run(gateway, *words, code=0, text=None):
    """`weir key WORDS`: what it said on standard output and standard error."""
    result = subprocess.run([gateway.binary, "key", *words, "-c", gateway.config], cwd=gateway.folder, capture_output=True, text=True,
                            input=text, timeout=60, env=clean_environment(gateway.environment or {}))
    assert result.returncode == code, (words, result.returncode, result.stderr)
    return result.stdout, result.stderr


def created(gateway, *words):
    return json.loads(run(gateway, "create", "--name", f"cli-{next(counter)}", "--json", *words)[0])


def listed(gateway, *words):
    return [json.loads(line) for line in run(gateway, "list", "--json", *words)[0].splitlines()]


def told(operator, resource_id):
    return [entry for entry in reversed(operator.all(f"/api/v1/audit-logs?resource_id={resource_id}"))]


@pytest.mark.smoke
def test_what_the_command_line_makes_is_what_the_plane_shows(gateway, operator):
    made = created(gateway, "--workspace", "cli-made", "--models", "sim-*, other", "--endpoints", "chat.completions,models*", "--addresses", "127.0.0.0/8,::1",
                   "--capabilities", "inference", "--tag", "team=search,app=web", "--expires", "30d")
    shown = operator.get(f"/api/v1/keys/{made['id']}").json()
    assert shown == {name: value for name, value in made.items() if name != "key"} | {"age_days": 0}
    assert shown["rules"] == {"models": ["sim-*", "other"], "endpoints": ["chat.completions", "models*"], "capabilities": ["inference"],
                              "addresses": ["127.0.0.0/8", "::1"]}
    assert shown["tags"] == {"app": "web", "team": "search"}
    assert json.loads(run(gateway, "show", made["id"])[0]) == shown
    gateway.wait_key(made["key"])
    assert gateway.chat(headers={"authorization": f"Bearer {made['key']}"}).status == 200
    workspace = operator.get("/api/v1/workspaces/cli-made").json()
    assert (workspace["version"], workspace["keys"]["active"]) == (1, 1)
    created(gateway, "--workspace", "cli-made")
    entries = told(operator, "cli-made")
    assert [(entry["action"], entry["actor_kind"], entry["actor_ip"]) for entry in entries] == [("workspaces.create", "local", None)]
    entry, = told(operator, made["id"])
    assert (entry["action"], entry["org_id"], entry["resource_name"]) == ("keys.create", "cli-made", made["name"])
    assert entry["actor_name"]
    assert entry["changes"]["before"] is None and entry["changes"]["after"]["rules"] == shown["rules"]


def test_the_key_alone_is_on_standard_output(gateway):
    out, words = run(gateway, "create", "--name", "alone")
    assert KEY.fullmatch(out.strip())
    assert not KEY.search(words)
    out, words = run(gateway, "rotate", listed(gateway)[-1]["id"])
    assert KEY.fullmatch(out.strip())
    assert not KEY.search(words + run(gateway, "list")[0] + run(gateway, "list", "--json")[0])


def test_a_change_that_fails_leaves_nothing_behind(gateway, operator):
    before = len(operator.all("/api/v1/audit-logs"))
    for words, code in [(["--workspace", "Not A Slug"], 1), (["--workspace", "never-made", "--team", "nobody"], 1), (["--user", "nobody"], 1),
                        (["--addresses", "10.0.0.1/8"], 2), (["--tag", "novalue"], 2), (["--expires", "yesterday"], 2), (["--expires", "2001-01-01"], 2)]:
        run(gateway, "create", "--name", "never", *words, code=code)
    operator.get("/api/v1/workspaces/never-made", status=404)
    assert "never" not in {key["name"] for key in listed(gateway)}
    assert len(operator.all("/api/v1/audit-logs")) == before
    for words, code in [(["rotate", "key_0000000000000000"], 1), (["revoke", "key_0000000000000000"], 1), (["show", "key_0000000000000000"], 1),
                        (["rotate"], 2), (["revoke"], 2), (["show"], 2), (["frobnicate"], 2), (["revoke", "x", "--leaked"], 2)]:
        run(gateway, *words, code=code)


def test_rotation_overlaps_on_every_worker(gateway, operator):
    first = created(gateway)
    rotated = json.loads(run(gateway, "rotate", first["id"], "--overlap", "1h", "--json")[0])
    gateway.wait_key(rotated["key"])
    assert (answered(gateway, first["key"]), answered(gateway, rotated["key"])) == (200, 200)
    old = operator.get(f"/api/v1/keys/{first['id']}").json()
    assert (old["state"], old["replaced_by"], rotated["family"]) == ("rotating", rotated["id"], first["id"])
    run(gateway, "rotate", first["id"], code=1)
    last = json.loads(run(gateway, "rotate", rotated["id"], "--overlap", "0s", "--json")[0])
    gateway.wait_key(last["key"])
    gateway.wait_key(rotated["key"], 401)
    assert answered(gateway, last["key"]) == 200
    assert [entry["action"] for entry in told(operator, rotated["id"])] == ["keys.create", "keys.rotate"]
    for overlap in ("91d", "-1h", "soon"):
        run(gateway, "rotate", last["id"], f"--overlap={overlap}", code=2)


def test_both_keys_of_a_rotation_are_charged_to_their_workspace(gateway):
    first = created(gateway, "--workspace", "rotating")
    rotated = json.loads(run(gateway, "rotate", first["id"], "--json")[0])
    gateway.wait_key(rotated["key"])
    for key in (first, rotated):
        answer = gateway.chat(headers={"authorization": f"Bearer {key['key']}"})
        entry = gateway.entry_of(answer.headers["x-request-id"])
        assert (entry["key_id"], entry["workspace"]) == (key["id"], "rotating")


def test_a_leaked_key_is_read_from_standard_input(gateway, operator):
    made = created(gateway)
    gateway.wait_key(made["key"])
    _, words = run(gateway, "revoke", "--leaked", text=made["key"] + "\n")
    assert made["id"] in words and not KEY.search(words)
    gateway.wait_key(made["key"], 401)
    entry = told(operator, made["id"])[-1]
    assert (entry["action"], entry["changes"]["after"]["end_streams"]) == ("keys.emergency_revoke", True)
    out, words = run(gateway, "revoke", "--leaked", text=made["key"][:-1], code=1)
    assert made["key"][9:-6] not in out + words
    run(gateway, "revoke", "--leaked", text="", code=1)
    run(gateway, "revoke", "--leaked", text="x" * 5000, code=1)
    foreign = made["key"].replace("weir_dev_", "weir_prod_")
    assert "prod" in run(gateway, "revoke", "--leaked", text=foreign, code=1)[1]


def test_revoking_again_says_so_and_can_add_ending_the_streams(gateway, operator):
    made = created(gateway)
    run(gateway, "revoke", made["id"])
    first = operator.get(f"/api/v1/keys/{made['id']}").json()["revoked_at"]
    assert "before" in run(gateway, "revoke", made["id"])[1]
    run(gateway, "revoke", made["id"], "--end-streams")
    assert operator.get(f"/api/v1/keys/{made['id']}").json()["revoked_at"] == first
    assert [entry["changes"]["after"]["end_streams"] for entry in told(operator, made["id"])[1:]] == [False, False, True]


def test_the_list_is_filtered(gateway, operator):
    from harness.keys import change_key
    made = [created(gateway, "--workspace", "lists") for _ in range(3)]
    assert [key["id"] for key in listed(gateway, "--workspace", "lists")] == [key["id"] for key in made]
    assert listed(gateway, "--rotation-due", "--workspace", "lists") == []
    change_key(gateway, made[1]["name"], created_utc_us=1)
    assert [key["id"] for key in listed(gateway, "--rotation-due")] == [made[1]["id"]]
    assert "rotation due" in run(gateway, "list", "--workspace", "lists")[0]
    out, words = run(gateway, "list", "--workspace", "empty")
    assert out == "" and "no such keys" in words


def test_both_hands_at_once(gateway, operator):
    """The command line and the plane change the same keys at the same time: nothing is lost, and the trail says all of it."""
    made = created(gateway)

    def by_command(number):
        return created(gateway)["id"]

    def by_plane(number):
        key = operator.post("/api/v1/keys", {"name": f"plane-{number}"}, status=201).json()["id"]
        operator.patch(f"/api/v1/keys/{made['id']}", {"tags": {f"t{number}": "x"}})
        return key

    with ThreadPoolExecutor(6) as pool:
        ids = [*pool.map(by_command, range(6)), *pool.map(by_plane, range(6))]
    assert set(ids) <= {key["id"] for key in listed(gateway)}
    now = operator.get(f"/api/v1/keys/{made['id']}").json()
    assert (now["version"], now["tags"]) == (7, {f"t{number}": "x" for number in range(6)})
    assert len(told(operator, made["id"])) == 7
    assert all(len(told(operator, key_id)) == 1 for key_id in ids)


def test_the_demo_key_is_audited(weir_binary, sim, tmp_path):
    from harness.processes import Gateway, default_settings
    instance = Gateway(weir_binary, tmp_path / "demo", default_settings(sim))
    instance.words.append("--demo")
    instance.start()
    try:
        made = next(key for key in listed(instance) if key["name"] == "demo")
        entry, = told(Operator(instance), made["id"])
        assert (entry["action"], entry["actor_kind"]) == ("keys.create", "system")
    finally:
        instance.close()


def test_a_whole_key_in_the_place_of_an_id_is_not_repeated(gateway, operator):
    made = created(gateway)
    key = made["key"]
    for verb in ("show", "rotate", "revoke"):
        out, err = run(gateway, verb, key, code=2)
        assert out == "" and key not in err and "weir key revoke --leaked" in err
    for method, path in (("POST", "/revoke"), ("POST", "/rotate"), ("GET", ""), ("PATCH", "")):
        for wrong in (key, key[:-1] + ("a" if key[-1] != "a" else "b")):
            refused = operator.request(method, f"/api/v1/keys/{wrong}{path}", {"name": "y"} if method == "PATCH" else None, status=400)
            assert refused.reason == "parameter_invalid" and wrong not in refused.body.decode()
            assert "POST /api/v1/keys/emergency-revoke" in refused.json()["error"]
    assert key not in json.dumps(operator.all("/api/v1/audit-logs"))


def test_a_misspelt_name_in_rules_is_refused(gateway):
    for words in (("--endpoints", "chat.completion"), ("--capabilities", "inferense")):
        out, err = run(gateway, "create", "--name", "x", *words, code=2)
        assert out == "" and "did you mean" in err


def test_a_database_that_is_made_is_told(weir_binary, tmp_path):
    def weir(*words):
        return subprocess.run([weir_binary, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, env=clean_environment({}))

    for words in (("key", "list"), ("ledger", "list"), ("store", "status"), ("audit", "list"), ("requests", "list"), ("operator", "list")):
        missing = weir(*words)
        assert missing.returncode == 1 and "there is no database at" in missing.stderr and "-c FILE" in missing.stderr, (words, missing.stderr)
    assert not (tmp_path / "weir-data").exists()
    made = weir("key", "create", "--name", "x")
    assert KEY.fullmatch(made.stdout.strip())
    assert f"made a new database: {tmp_path.resolve()}/weir-data/weir.db" in made.stderr
    assert "made a new database" not in weir("key", "create", "--name", "y").stderr

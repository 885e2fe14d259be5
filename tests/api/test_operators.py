"""Operators and their tokens: the first owner, who may make whom, what is left of a role, and the command line for who has lost his token."""
import json
import re
import stat
import zlib

import pytest

from harness.operator import Operator
from harness.plain import call
from test_keys import base62

TOKEN = re.compile(r"weir_op_dev_[0-9A-Za-z]{43}[0-9A-Za-z]{6}")
ROLES = ["viewer", "auditor", "operator", "admin", "owner"]
WITHIN = {"viewer": {"viewer"}, "auditor": {"viewer", "auditor"}, "operator": {"viewer", "operator"},
          "admin": {"viewer", "auditor", "operator", "admin"}, "owner": set(ROLES)}
PASSWORD = "a password of 27 characters"


def make(operator, name, role="viewer", **more):
    return operator.post("/api/v1/operators", {"name": name, "role": role, **more}).json()


def make_token(operator, person, status=None, token=None, **fields):
    return operator.post(f"/api/v1/operators/{person['id']}/tokens", {"name": "a test", **fields}, status=status, token=token)


def audit(operator, action):
    return [entry for entry in operator.get(f"/api/v1/admin/audit?limit=200&action={action}").json()["entries"]]


# --- the first start ---

@pytest.mark.smoke
def test_the_first_start_makes_an_owner_and_shows_his_token_once(make_gateway, sim):
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    file = gateway.data_folder / "owner-token"
    token = file.read_text().strip()
    assert TOKEN.fullmatch(token)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert gateway.stdout().splitlines().count(token) == 1, "alone on a line of standard output"
    assert token not in gateway.stderr()
    who = operator.get("/auth/me", token=token).json()
    assert (who["name"], who["role"], who["expires_at"]) == ("owner", "owner", None)
    assert [(entry["user"], entry["result"]) for entry in audit(operator, "operators.create")] == [("weir", "success")]
    file.unlink()
    gateway.restart()
    assert gateway.stdout().count("weir_op_dev_") == 1, "a second start prints nothing"
    assert not file.exists()
    assert [row["name"] for row in operator.all("/api/v1/operators")] == ["owner"]
    operator.get("/auth/me", token=token)


def test_a_first_start_that_cannot_keep_the_token_makes_no_owner(make_gateway, sim):
    gateway = make_gateway(sim, start=False)
    (gateway.data_folder / "owner-token").mkdir(parents=True)
    (gateway.data_folder / "owner-token" / "in the way").touch()
    gateway.launch()
    assert gateway.wait() == 1
    assert "owner-token" in gateway.stderr() and "weir_op_" not in gateway.stdout() + gateway.stderr()
    (gateway.data_folder / "owner-token" / "in the way").unlink()
    (gateway.data_folder / "owner-token").rmdir()
    gateway.start()
    Operator(gateway).get("/auth/me", token=(gateway.data_folder / "owner-token").read_text().strip())


# --- operators ---

@pytest.mark.smoke
def test_an_operator_is_made_seen_changed_and_removed(operator):
    created = operator.post("/api/v1/operators", {"name": "grace", "display_name": "Grace", "email": "grace@example.com", "role": "operator"})
    assert (created.status, created.version) == (201, 1)
    grace = created.json()
    assert re.fullmatch(r"opr_[0-9A-Za-z]{16}", grace["id"])
    assert (grace["disabled"], grace["password_set"], grace["last_login_at"]) == (False, False, None)
    path = f"/api/v1/operators/{grace['id']}"
    assert operator.get(path).json() == grace
    changed = operator.patch(path, {"display_name": None, "role": "admin"}, headers={"if-match": '"1"'})
    assert (changed.version, changed.json()["display_name"], changed.json()["role"], changed.json()["email"]) == (2, None, "admin", "grace@example.com")
    assert operator.patch(path, {"email": "x@example.com"}, headers={"if-match": '"1"'}, status=412).reason == "version_mismatch"
    for never in ('"0"', '"00"', 'W/"0"', '"9223372036854775808"'):
        assert operator.patch(path, {"email": "x@example.com"}, headers={"if-match": never}, status=412).reason == "version_mismatch"
    assert operator.delete(path, status=400).reason == "confirmation_required"
    assert operator.delete(f"{path}?confirm=grace", status=400).reason == "confirmation_required"
    assert operator.delete(f"{path}?confirm={grace['id']}").status == 204
    assert operator.get(path, status=404).reason == "not_there"
    entries = [entry for entry in audit(operator, "operators.update") if entry["result"] == "success"]
    assert entries[0]["details"]["changes"]["before"]["role"] == "operator"
    assert entries[0]["details"]["changes"]["after"]["role"] == "admin"
    removed = audit(operator, "operators.delete")
    assert ["success", "failure", "failure"] == [entry["result"] for entry in removed][:3]
    assert removed[0]["details"]["changes"]["after"] is None


def test_names_are_unique_and_plain(operator):
    make(operator, "unique")
    assert operator.post("/api/v1/operators", {"name": "unique", "role": "viewer"}, status=409).reason == "exists_already"
    other = make(operator, "other-name")
    assert operator.patch(f"/api/v1/operators/{other['id']}", {"name": "unique"}, status=409).reason == "exists_already"
    for name in ("", "Upper", ".dot", "with space", "a" * 65, "ä", "a\u0000", "a/b", 1, None):
        assert operator.post("/api/v1/operators", {"name": name, "role": "viewer"}, status=400).field == "name"
    for name in ("a", "0", "first.last@example.com", "ci+weir", "a_b-c"):
        make(operator, name)


@pytest.mark.parametrize("body", [
    {"name": "x"}, {"role": "viewer"}, {"name": "x", "role": "root"}, {"name": "x", "role": None}, {"name": "x", "role": "viewer", "disabled": True},
    {"name": "x", "role": "viewer", "password": "short"}, {"name": "x", "role": "viewer", "password": "ä" * 1000}, {"name": "x", "role": "viewer", "email": "a" * 300},
])
def test_what_is_no_operator_is_refused(operator, body):
    assert operator.post("/api/v1/operators", body, status=400).reason in ("field_invalid", "field_missing")


def test_a_password_is_set_and_never_shown(operator):
    person = make(operator, "has-password", password=PASSWORD)
    assert person["password_set"] is True and person["password_changed_at"] is not None
    path = f"/api/v1/operators/{person['id']}"
    assert operator.patch(path, {"password": None}).json()["password_set"] is False
    assert operator.patch(path, {"password": PASSWORD}).json()["password_set"] is True
    texts = operator.get(path).body + operator.get("/api/v1/operators").body + operator.get("/api/v1/admin/audit?limit=200").body
    assert b"argon2" not in texts and PASSWORD.encode() not in texts


def test_lists_are_paged_filtered_and_stable(operator):
    for index in range(7):
        make(operator, f"paged-{index}", "auditor" if index % 2 else "viewer")
    everybody = operator.all("/api/v1/operators")
    first = operator.get("/api/v1/operators?limit=3").json()
    make(operator, "made-meanwhile")
    rest, cursor = [], first["next_cursor"]
    while cursor:
        page = operator.get(f"/api/v1/operators?limit=3&cursor={cursor}").json()
        rest += page["data"]
        cursor = page["next_cursor"]
    assert first["data"] + rest[:-1] == everybody and rest[-1]["name"] == "made-meanwhile"
    assert {row["role"] for row in operator.all("/api/v1/operators?role=auditor")} == {"auditor"}
    assert not [row for row in operator.all("/api/v1/operators?disabled=true") if not row["disabled"]]
    assert operator.get("/api/v1/operators?cursor=abc", status=400).reason == "cursor_invalid"


def test_the_last_owner_stays(make_gateway, sim):
    operator = Operator(make_gateway(sim))
    owner = operator.get("/api/v1/operators").json()["data"][0]
    path = f"/api/v1/operators/{owner['id']}"

    def try_all(token=None):
        return [operator.post(f"{path}/disable?confirm={owner['id']}", status={200, 409}, token=token).status,
                operator.patch(path, {"role": "admin"}, status={200, 409}, token=token).status,
                operator.delete(f"{path}?confirm={owner['id']}", status={204, 409}, token=token).status]

    assert try_all() == [409, 409, 409]
    assert operator.patch(path, {"display_name": "The owner"}).json()["role"] == "owner"
    second = make(operator, "second", "owner")
    operator.post(f"/api/v1/operators/{second['id']}/disable?confirm={second['id']}")
    assert try_all() == [409, 409, 409], "a disabled owner is none"
    operator.post(f"/api/v1/operators/{second['id']}/enable")
    token = make_token(operator, second).json()["token"]
    assert operator.post(f"{path}/disable?confirm={owner['id']}").status == 200
    assert operator.delete(f"/api/v1/operators/{second['id']}?confirm={second['id']}", token=token, status=409).reason == "state_conflict"
    assert operator.delete(f"{path}?confirm={owner['id']}", token=token).status == 204
    refused = weir(operator.gateway, "disable", "second", check=False)
    assert refused.returncode == 1 and "last owner" in refused.stderr


@pytest.mark.parametrize("role", ROLES)
def test_only_owners_manage_operators(operator, role):
    person = make(operator, f"managed-by-{role}")
    path = f"/api/v1/operators/{person['id']}"
    changes = [("PATCH", path, {"email": "x@example.com"}), ("POST", f"{path}/disable", {"confirm": person["id"]}), ("POST", f"{path}/enable", None),
               ("POST", f"{path}/tokens", {"name": "x"}), ("POST", "/api/v1/operators", {"name": f"made-by-{role}", "role": "viewer"}),
               ("DELETE", path, {"confirm": person["id"]})]
    for method, where, body in changes:
        answer = operator.request(method, where, body, role=role, status={200, 201, 204} if role == "owner" else 403)
        assert role == "owner" or answer.reason == "role_not_allowed"
    reads = 200 if role in ("owner", "admin", "auditor") else 403
    operator.get("/api/v1/operators", role=role, status=reads)
    assert operator.get("/auth/me", role=role).json()["role"] == role, "everyone may see himself"


# --- tokens ---

@pytest.mark.smoke
def test_a_token_has_its_shape_and_is_shown_once(operator):
    person = make(operator, "token-holder")
    made = make_token(operator, person, name="laptop").json()
    assert TOKEN.fullmatch(made["token"])
    assert made["token"][-6:] == base62(zlib.crc32(made["token"][:-6].encode()), 6)
    assert made["hint"] == f"{made['token'][12:16]}…{made['token'][-4:]}"
    listed = operator.get(f"/api/v1/operators/{person['id']}/tokens")
    assert made["token"].encode() not in listed.body + operator.get("/api/v1/admin/audit?limit=200").body
    row = listed.json()["data"][0]
    assert {name: value for name, value in made.items() if name != "token"} == row
    assert row["last_used_at"] is None
    operator.get("/auth/me", token=made["token"])
    assert operator.get(f"/api/v1/operators/{person['id']}/tokens").json()["data"][0]["last_used_at"] is not None


def test_a_token_ends_in_ninety_days_when_it_should_or_never(operator):
    from datetime import datetime, timedelta
    person = make(operator, "expiring")
    made = make_token(operator, person).json()
    assert datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"]) == timedelta(days=90)
    assert make_token(operator, person, expires_at=None).json()["expires_at"] is None
    for wrong in ("2020-01-01T00:00:00Z", "tomorrow", "", 5):
        assert make_token(operator, person, status=400, expires_at=wrong).field == "expires_at"


@pytest.mark.parametrize("role", ROLES)
def test_a_token_is_within_its_operators_role(operator, role):
    person = make(operator, f"narrow-{role}", role)
    for wanted in ROLES:
        made = make_token(operator, person, role=wanted, status={201, 403})
        assert (made.status == 201) == (wanted in WITHIN[role])
        if made.status == 201:
            assert operator.get("/auth/me", token=made.json()["token"]).json()["role"] == wanted


@pytest.mark.parametrize(("held", "now", "left"), [
    ("owner", "viewer", "viewer"), ("admin", "operator", "operator"), ("auditor", "operator", "viewer"), ("operator", "auditor", "viewer"),
    ("viewer", "owner", "viewer"), (None, "auditor", "auditor"),
])
def test_a_token_never_has_more_than_its_operator_now(operator, held, now, left):
    person = make(operator, f"changing-{held}-{now}".lower(), "owner")
    token = make_token(operator, person, **({"role": held} if held else {})).json()["token"]
    operator.patch(f"/api/v1/operators/{person['id']}", {"role": now})
    assert operator.get("/auth/me", token=token).json()["role"] == left


def test_a_narrow_token_makes_none_that_may_more(operator):
    person = make(operator, "careful", "owner")
    narrow = make_token(operator, person, role="viewer").json()["token"]
    assert operator.post("/auth/tokens", {"name": "x", "role": "owner"}, token=narrow, status=403).reason == "role_not_allowed"
    made = operator.post("/auth/tokens", {"name": "x"}, token=narrow).json()
    assert made["role"] == "viewer"
    assert operator.get("/auth/me", token=made["token"]).json()["role"] == "viewer"
    session = operator.post("/auth/login", {"api_key": narrow}).json()["access_token"]
    assert operator.post("/auth/tokens", {"name": "x"}, token=session).json()["role"] == "viewer"
    full = make_token(operator, person).json()["token"]
    assert operator.post("/auth/tokens", {"name": "x"}, token=full).json()["role"] is None


def test_a_narrow_token_revokes_none_that_may_more(operator):
    person = make(operator, "locked-out", "owner")
    full = make_token(operator, person).json()
    narrow, sibling, more = (make_token(operator, person, role=role).json() for role in ("viewer", "viewer", "auditor"))
    session = operator.post("/auth/login", {"api_key": narrow["token"]}).json()["access_token"]
    for token in (narrow["token"], session):
        for other in (full, more):
            refused = operator.delete(f"/auth/tokens/{other['id']}?confirm={other['id']}", token=token, status=403)
            assert refused.reason == "role_not_allowed"
            operator.get("/auth/me", token=other["token"])
    for own in (sibling, narrow):
        operator.delete(f"/auth/tokens/{own['id']}?confirm={own['id']}", token=narrow["token"])
        operator.get("/auth/me", token=own["token"], status=401)
    operator.delete(f"/auth/tokens/{more['id']}?confirm={more['id']}", token=full["token"])


def test_what_is_told_of_a_bad_password_is_not_the_password(operator):
    person = make(operator, "says-too-little")
    token = make_token(operator, person).json()["token"]
    tries = [("POST", "/auth/password", {"new_password": "swordfish9"}), ("POST", "/auth/password", {"new_password": 987654321123}),
             ("POST", "/auth/login", {"username": "owner", "password": "swordfish9" * 200}), ("POST", "/auth/login", {"api_key": ["swordfish9"]}),
             ("POST", "/api/v1/operators", {"name": "x", "role": "viewer", "password": "swordfish9"}),
             ("PUT", "/api/v1/secrets/x", {"value": "swordfish9" * 2000}), ("PUT", "/api/v1/secrets/x", {"value": 987654321123}),
             ("POST", "/api/v1/keys/emergency-revoke", {"key": "swordfish9" * 30}), ("POST", "/api/v1/keys/emergency-revoke", {"prefix": "swordfish9" * 30})]
    for method, path, body in tries:
        answer = operator.request(method, path, body, status=400, token=token if path == "/auth/password" else None)
        assert b"swordfish9" not in answer.body and b"987654321123" not in answer.body, answer.body


def test_a_revoked_token_is_refused_at_once(operator):
    person = make(operator, "revoking", "admin")
    mine, other = (make_token(operator, person).json() for _ in range(2))
    path = f"/api/v1/operators/{person['id']}/tokens"
    assert operator.delete(f"{path}/{mine['id']}", status=400).reason == "confirmation_required"
    assert operator.delete(f"{path}/{mine['id']}?confirm={mine['id']}").status == 204
    assert operator.get("/auth/me", token=mine["token"], status=401).reason == "operator_token_invalid"
    assert operator.delete(f"{path}/{mine['id']}?confirm={mine['id']}", status=404).reason == "not_there"
    third = operator.post("/auth/tokens", {"name": "own"}, token=other["token"]).json()
    assert {row["id"] for row in operator.all("/auth/tokens", token=other["token"])} == {other["id"], third["id"]}
    operator.delete(f"/auth/tokens/{third['id']}?confirm={third['id']}", token=other["token"])
    operator.get("/auth/me", token=third["token"], status=401)
    stranger = make_token(operator, make(operator, "stranger", "admin")).json()
    assert operator.delete(f"/auth/tokens/{other['id']}?confirm={other['id']}", token=stranger["token"], status=404).reason == "not_there"


def test_a_token_of_elsewhere_is_refused(operator):
    token = operator.owner_token
    body = token.removeprefix("weir_op_dev_")[:-6]

    def whole(text):
        return text + base62(zlib.crc32(text.encode()), 6)

    answer = operator.get("/auth/me", token=whole(f"weir_op_prod_{body}"), status=401)
    assert answer.reason == "operator_token_invalid" and "another environment" in answer.json()["error"]
    key = operator.get("/auth/me", token=operator.gateway.key, status=401)
    assert key.reason == "operator_token_invalid" and "API key" in key.json()["error"]
    for wrong in (whole(f"shroud_op_dev_{body}"), whole(f"weir_dev_{body}"), whole(f"weir_op_dev_{body[:-1]}"), whole("weir_op_dev_" + "A" * 43), token[:-1] + "_",
                  token + "A", token.upper()):
        operator.get("/auth/me", token=wrong, status=401)
    refused = call(operator.gateway.address, "GET", "/v1/models", {"authorization": f"Bearer {token}"})
    assert refused.status == 401, "an operator's token is no API key"


# --- the command line ---

def weir(gateway, *words, check=True, **more):
    return gateway.command("operator", *words, "-c", gateway.config, check=check, **more)


def test_the_command_line_makes_operators_and_tokens(operator):
    gateway = operator.gateway
    made = json.loads(weir(gateway, "create", "cli", "--role", "admin", "--email", "cli@example.com", "--json").stdout)
    assert operator.get(f"/api/v1/operators/{made['id']}").json()["role"] == "admin"
    token = weir(gateway, "token", "create", "cli", "--name", "lost and found").stdout.splitlines()
    assert len(token) == 1 and TOKEN.fullmatch(token[0])
    assert operator.get("/auth/me", token=token[0]).json()["name"] == "cli"
    rows = [json.loads(line) for line in weir(gateway, "token", "list", "cli", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == ["lost and found"] and "token" not in rows[0]
    assert rows[0]["operator_name"] == "cli" and rows[0]["operator"] == made["id"]
    head, *lines = weir(gateway, "token", "list").stdout.splitlines()
    shown = next(line for line in lines if line.startswith(rows[0]["id"]))
    assert shown[head.index("OPERATOR"):].split()[:2] == ["cli", made["id"]], "whose it is, in words"
    everything = weir(gateway, "token", "list").stdout + weir(gateway, "list").stdout
    assert rows[0]["id"] in everything and "cli" in everything and not TOKEN.search(everything)
    weir(gateway, "disable", "cli")
    operator.get("/auth/me", token=token[0], status=401)
    weir(gateway, "enable", made["id"])
    operator.get("/auth/me", token=token[0])
    weir(gateway, "token", "revoke", rows[0]["id"])
    operator.get("/auth/me", token=token[0], status=401)
    by = {(entry["action"], entry["result"]) for entry in operator.get("/api/v1/admin/audit?limit=200").json()["entries"]
          if entry["details"]["resource_name"] in ("cli", "lost and found") and entry["details"]["address"] == "" and entry["user"]}
    assert by >= {(action, "success") for action in ("operators.create", "operators.disable", "operators.enable", "tokens.create", "tokens.revoke")}


def test_the_command_line_sets_a_password(operator):
    import subprocess
    from harness.processes import clean_environment
    gateway = operator.gateway
    weir(gateway, "create", "by-hand", "--role", "viewer")

    def password(text, *more):
        return subprocess.run([gateway.binary, "operator", "password", "by-hand", "-c", gateway.config, *more], input=text, text=True, cwd=gateway.folder,
                              capture_output=True, timeout=60, env=clean_environment())

    assert password(PASSWORD + "\n").returncode == 0
    session = operator.post("/auth/login", {"username": "by-hand", "password": PASSWORD}).json()["access_token"]
    for wrong in ("", "\n", "short\n", "x" * 2000 + "\n"):
        result = password(wrong)
        assert result.returncode == 1 and result.stdout == ""
        assert "short" not in result.stderr and "xxx" not in result.stderr
    operator.get("/auth/me", token=session)
    assert password("", "--remove").returncode == 0
    operator.get("/auth/me", token=session, status=401)
    operator.post("/auth/login", {"username": "by-hand", "password": PASSWORD}, status=401)


@pytest.mark.parametrize(("words", "code"), [
    (["create"], 2), (["create", "a", "b"], 2), (["token"], 2), (["token", "make", "x"], 2), (["list", "x"], 2), (["nothing"], 2),
    (["create", "Upper"], 1), (["create", "x", "--role", "root"], 1), (["create", "owner"], 1), (["disable", "nobody"], 1),
    (["token", "create", "nobody"], 1), (["token", "create", "owner", "--expires", "yesterday"], 1), (["token", "revoke", "tok_none"], 1),
])
def test_the_command_line_says_what_is_wrong(operator, words, code):
    result = weir(operator.gateway, *words, check=False)
    assert result.returncode == code, result
    assert result.stdout == "" and result.stderr


def test_a_role_within_another_may_nothing_that_the_other_may_not(operator):
    rows = operator.get("/api/v1/operations").json()["data"]
    wrong = [f"{row['id']}: {inner} may, {outer} may not" for row in rows for outer, inners in WITHIN.items() for inner in inners
             if inner in row["roles"] and outer not in row["roles"]]
    assert not wrong, "\n".join(wrong)

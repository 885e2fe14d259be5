"""Keys on the operator plane: shown once, changed, rotated with overlap, revoked; every change in the audit trail."""
import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.waiting import until

KEY = re.compile(r"weir_dev_[0-9A-Za-z]{49}")
counter = itertools.count()


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    from harness.processes import Gateway, default_settings
    settings = default_settings(sim, server={"listen": "127.0.0.1:0", "workers": 2}, keys={"rotation_due": "30d"})
    instance = Gateway(weir_binary, module_folder / "gateway", settings).start()
    yield instance
    instance.close()


def fresh(prefix):
    return f"{prefix}-{next(counter)}"


def create(operator, **members):
    return operator.post("/api/v1/keys", {"name": fresh("key"), **members}, status=201).json()


def workspace(operator, **members):
    return operator.post("/api/v1/workspaces", {"id": fresh("ws"), **members}, status=201).json()["id"]


def answered(gateway, key):
    """Every worker is asked, more or less: connections are spread over them."""
    statuses = {gateway.request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"}).status for _ in range(8)}
    assert len(statuses) == 1, statuses
    return statuses.pop()


def entries(operator, **filters):
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return operator.all(f"/api/v1/audit-logs?{query}")


def only_entry(operator, action, resource_id):
    found = [entry for entry in entries(operator, resource_id=resource_id) if (entry["action"], entry["result"]) == (action, "success")]
    assert len(found) == 1, found
    return found[0]


def expired_key(operator, **members):
    """A key that ended when it was rotated; the one in its place is revoked."""
    old = create(operator, **members)
    new = operator.post(f"/api/v1/keys/{old['id']}/rotate", {"overlap_seconds": 0}, status=201).json()["created"]
    operator.post(f"/api/v1/keys/{new['id']}/revoke?confirm={new['id']}")
    return old


def test_a_key_that_has_expired_comes_back_only_where_it_belongs(gateway, operator):
    home = workspace(operator)
    operator.post(f"/api/v1/workspaces/{home}/users", {"id": "ann", "name": "Ann"}, status=201)
    one, other = (expired_key(operator, workspace=home, user="ann") for _ in range(2))
    assert operator.patch(f"/api/v1/keys/{one['id']}", {"expires_at": "2090-01-01T00:00:00Z"}).json()["state"] == "rotating"
    assert answered(gateway, one["key"]) == 200
    operator.post(f"/api/v1/keys/{one['id']}/revoke?confirm={one['id']}")
    path = f"/api/v1/keys/{other['id']}"
    operator.delete(f"/api/v1/workspaces/{home}/users/ann?confirm=ann")
    assert operator.patch(path, {"expires_at": "2090-01-01T00:00:00Z"}, status=400).field == "user"
    operator.delete(f"/api/v1/workspaces/{home}?confirm={home}")
    assert operator.patch(path, {"expires_at": None}, status=400).field == "workspace"
    assert operator.get(path).json()["state"] == "expired"
    assert answered(gateway, other["key"]) == 401


def test_a_limit_is_written_as_a_whole_number(operator):
    for wrong in ("1e1", "2.0", "1E0"):
        assert operator.get(f"/api/v1/keys?limit={wrong}", status=400).field == "limit"


def test_no_new_key_is_made_for_a_disabled_user_by_rotating_his(gateway, operator):
    home = workspace(operator)
    user = f"/api/v1/workspaces/{home}/users/bob"
    operator.post(f"/api/v1/workspaces/{home}/users", {"id": "bob", "name": "Bob"}, status=201)
    made = create(operator, workspace=home, user="bob")
    operator.patch(user, {"disabled": True})
    assert operator.post(f"/api/v1/keys/{made['id']}/rotate", status=409).reason == "state_conflict"
    assert answered(gateway, made["key"]) == 200, "it goes on until it is revoked"
    operator.patch(user, {"disabled": False})
    operator.post(f"/api/v1/keys/{made['id']}/rotate", status=201)


@pytest.mark.smoke
def test_a_key_is_shown_once_and_works_on_every_worker_when_the_answer_is_there(gateway, operator):
    made = create(operator, name="web", tags={"b": "2", "a": "1"})
    assert KEY.fullmatch(made["key"])
    assert answered(gateway, made["key"]) == 200
    random = made["key"].removeprefix("weir_dev_")
    assert made["hint"] == f"{random[:4]}…{random[-4:]}"
    assert made["environment"] == "dev"
    assert (made["workspace"], made["family"], made["state"]) == ("default", made["id"], "active")
    shown = operator.get(f"/api/v1/keys/{made['id']}")
    assert shown.json() == {name: value for name, value in made.items() if name != "key"} | {"last_used_at": shown.json()["last_used_at"]}
    assert list(shown.json()["tags"]) == ["a", "b"]
    assert not KEY.search(json.dumps([operator.all("/api/v1/keys"), entries(operator, resource_id=made["id"])]))
    assert gateway.chat(headers={"authorization": f"Bearer {made['key']}"}).status == 200
    until(lambda: operator.get(f"/api/v1/keys/{made['id']}").json()["last_used_at"], "the key's last use")


def test_a_create_that_fails_makes_nothing(operator):
    before = {key["id"] for key in operator.all("/api/v1/keys")}
    wrong = [
        ({}, "field_missing", "name"),
        ({"name": ""}, "field_invalid", "name"),
        ({"name": "x", "nmae": "y"}, "field_invalid", "nmae"),
        ({"name": "x", "workspace": "nowhere"}, "field_invalid", "workspace"),
        ({"name": "x", "team": "nobody"}, "field_invalid", "team"),
        ({"name": "x", "user": "nobody"}, "field_invalid", "user"),
        ({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, "field_invalid", "expires_at"),
        ({"name": "x", "expires_at": "soon"}, "field_invalid", "expires_at"),
        ({"name": "x", "expires_at": "2090-01-01T00:00:00Z", "expires_in_days": 3}, "field_invalid", "expires_in_days"),
        ({"name": "x", "expires_in_days": 0}, "field_invalid", "expires_in_days"),
        ({"name": "x", "rules": {"addresses": ["10.0.0.1/8"]}}, "field_invalid", "rules"),
        ({"name": "x", "rules": {"endpoints": ["chat.completion"]}}, "field_invalid", "rules"),
        ({"name": "x", "rules": {"endpoints": ["chat.completions", "chatx*"]}}, "field_invalid", "rules"),
        ({"name": "x", "rules": {"endpoints": ["metrics"]}}, "field_invalid", "rules"),
        ({"name": "x", "rules": {"capabilities": ["inferense"]}}, "field_invalid", "rules"),
        ({"name": "x", "rules": {"limits": {"requests_per_minute": 0}}}, "field_invalid", None),
        ({"name": "x", "rules": {"models": "all"}}, "field_invalid", None),
        ({"name": "x", "rules": {"modles": []}}, "field_invalid", None),
        ({"name": "x", "tags": {"a": 1}}, "field_invalid", None),
    ]
    for body, reason, field in wrong:
        answer = operator.post("/api/v1/keys", body, status=400)
        assert answer.reason == reason, (body, answer.body)
        assert field is None or field in (answer.field or ""), (body, answer.body)
    assert {key["id"] for key in operator.all("/api/v1/keys")} == before


def test_the_audit_trail_has_every_change_with_before_and_after(operator):
    made = create(operator, name="told", rules={"models": ["a"]})
    key = f"/api/v1/keys/{made['id']}"
    operator.patch(key, {"name": "renamed", "tags": {"x": "y"}})
    operator.post(f"{key}/revoke", {"confirm": made["id"], "end_streams": True})
    created = only_entry(operator, "keys.create", made["id"])
    assert created["changes"]["before"] is None
    assert created["changes"]["after"]["name"] == "told"
    assert created["changes"]["after"]["rules"] == {"models": ["a"]}
    updated = only_entry(operator, "keys.update", made["id"])
    assert (updated["changes"]["before"]["name"], updated["changes"]["after"]["name"]) == ("told", "renamed")
    assert (updated["changes"]["before"]["tags"], updated["changes"]["after"]["tags"]) == ({}, {"x": "y"})
    revoked = only_entry(operator, "keys.revoke", made["id"])
    assert revoked["changes"]["before"]["revoked_at"] is None
    assert revoked["changes"]["after"]["revoked_at"] is not None
    assert revoked["changes"]["after"]["end_streams"] is True


def test_a_patch_merges_and_null_takes_away(operator):
    owner = workspace(operator)
    operator.post(f"/api/v1/workspaces/{owner}/teams", {"id": "red"}, status=201)
    made = create(operator, workspace=owner, team="red", tags={"a": "1", "b": "2"}, expires_in_days=10,
                  rules={"models": ["m*"], "limits": {"tokens_per_minute": 5, "concurrent_requests": 2}})
    key = f"/api/v1/keys/{made['id']}"
    changed = operator.patch(key, {"tags": {"a": None, "c": "3"}, "rules": {"models": None, "limits": {"tokens_per_minute": None}}}).json()
    assert changed["tags"] == {"b": "2", "c": "3"}
    assert changed["rules"] == {"limits": {"concurrent_requests": 2}}
    assert (changed["team"], changed["expires_at"]) == ("red", made["expires_at"])
    bare = operator.patch(key, {"tags": None, "rules": None, "team": None, "expires_at": None}).json()
    assert (bare["tags"], bare["rules"], bare["team"], bare["expires_at"]) == ({}, {}, None, None)
    assert operator.patch(key, {"workspace": "default"}, status=400).reason == "field_invalid"
    assert operator.patch(key, {}, status=400).reason == "field_invalid"


def test_rules_hold_on_every_worker_when_the_answer_is_there(gateway, operator):
    made = create(operator, rules={"models": ["none"]})
    def chat():
        return {gateway.chat(headers={"authorization": f"Bearer {made['key']}"}).status for _ in range(8)}
    assert chat() == {403}
    operator.patch(f"/api/v1/keys/{made['id']}", {"rules": {"models": ["sim-*"]}})
    assert chat() == {200}
    operator.patch(f"/api/v1/keys/{made['id']}", {"rules": {"models": []}})
    assert chat() == {403}


def test_a_misspelt_name_in_rules_is_told_with_the_near_one(operator):
    refused = operator.post("/api/v1/keys", {"name": "x", "rules": {"endpoints": ["chat.completion"]}}, status=400)
    assert "rules.endpoints[0]: 'chat.completion' is the name of no endpoint; did you mean 'chat.completions'?" in refused.json()["error"]
    made = create(operator)
    answer = operator.patch(f"/api/v1/keys/{made['id']}", {"rules": {"capabilities": ["inference", "inferense"]}}, status=400)
    assert "rules.capabilities[1]" in answer.json()["error"] and "'inference'?" in answer.json()["error"]
    every = operator.patch(f"/api/v1/keys/{made['id']}", {"rules": {"endpoints": ["files*", "*"], "capabilities": ["inf*"]}}).json()
    assert every["rules"] == {"endpoints": ["files*", "*"], "capabilities": ["inf*"]}


def test_large_rules_are_never_read_as_no_rules(gateway, operator):
    names = [f"{number:03}" + "x" * 200 for number in range(100)]
    made = create(operator, rules={"models": names, "endpoints": ["chat.*"], "tools": names})
    assert operator.get(f"/api/v1/keys/{made['id']}").json()["rules"] == {"models": names, "endpoints": ["chat.*"], "tools": names}
    assert gateway.chat(headers={"authorization": f"Bearer {made['key']}"}).status == 403


def test_a_lost_update_is_refused(operator):
    made = create(operator)
    key = f"/api/v1/keys/{made['id']}"
    first = operator.get(key)
    assert first.headers["etag"] == '"1"'
    assert operator.patch(key, {"name": "one"}, headers={"if-match": first.headers["etag"]}).headers["etag"] == '"2"'
    refused = operator.patch(key, {"name": "two"}, headers={"if-match": first.headers["etag"]}, status=412)
    assert refused.reason == "version_mismatch"
    for path, body in ((f"{key}/rotate", {}), (f"{key}/revoke", {"confirm": made["id"]})):
        assert operator.post(path, body, headers={"if-match": '"1"'}, status=412).reason == "version_mismatch"
    assert operator.get(key).json()["name"] == "one"
    assert operator.patch(key, {"name": "three"}, headers={"if-match": "*"}).json()["version"] == 3


def test_of_two_that_change_the_same_version_one_wins(operator):
    made = create(operator)
    def change(name):
        return operator.patch(f"/api/v1/keys/{made['id']}", {"name": name}, headers={"if-match": '"1"'}, status={200, 412}).status
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(change, [f"n{number}" for number in range(8)]))
    assert sorted(statuses) == [200] + [412] * 7
    assert operator.get(f"/api/v1/keys/{made['id']}").json()["version"] == 2


def test_filters_and_pages(operator):
    owner = workspace(operator)
    operator.post(f"/api/v1/workspaces/{owner}/teams", {"id": "red"}, status=201)
    operator.post(f"/api/v1/workspaces/{owner}/users", {"id": "ada"}, status=201)
    made = [create(operator, workspace=owner, **({"team": "red"} if number % 2 else {"user": "ada"})) for number in range(7)]
    ids = [key["id"] for key in made]

    def listed(filters="", **more):
        return [key["id"] for key in operator.all(f"/api/v1/keys?workspace={owner}{filters}", **more)]

    assert listed() == listed(limit=1) == listed(limit=7) == ids
    assert listed("&team=red") == ids[1::2]
    assert listed("&user=ada") == ids[0::2]
    operator.post(f"/api/v1/keys/{ids[3]}/revoke", {"confirm": ids[3]})
    assert listed("&active=true") == [*ids[:3], *ids[4:]]
    hint = made[5]["hint"][:4]
    assert ids[5] in listed(f"&hint={hint}") and ids[5] in listed(f"&hint={hint[0]}")
    assert [key["id"] for key in operator.all(f"/api/v1/keys?family={ids[2]}")] == [ids[2]]
    assert operator.get("/api/v1/keys?hint=abcde", status=400).reason == "parameter_invalid"
    assert operator.get("/api/v1/keys?workspaces=x", status=400).reason == "parameter_unknown"
    assert operator.get("/api/v1/keys?cursor=zz", status=400).reason == "cursor_invalid"


def test_a_cursor_is_stable_under_inserts_and_belongs_to_its_list(operator):
    owner = workspace(operator)
    before = [create(operator, workspace=owner)["id"] for _ in range(5)]
    page = operator.get(f"/api/v1/keys?workspace={owner}&limit=2").json()
    later = create(operator, workspace=owner)["id"]
    found = [key["id"] for key in page["data"]]
    cursor = page["next_cursor"]
    while cursor:
        page = operator.get(f"/api/v1/keys?workspace={owner}&limit=2&cursor={cursor}").json()
        found += [key["id"] for key in page["data"]]
        cursor = page["next_cursor"]
    assert found == [*before, later]
    cursor = operator.get(f"/api/v1/keys?workspace={owner}&limit=2").json()["next_cursor"]
    assert operator.get(f"/api/v1/workspaces?cursor={cursor}", status=400).reason == "cursor_invalid"


def test_rotation_overlaps_and_both_belong_to_one_family(gateway, operator):
    owner = workspace(operator)
    first = create(operator, workspace=owner, name="app", tags={"a": "1"}, rules={"models": ["sim-*"]})
    rotated = operator.post(f"/api/v1/keys/{first['id']}/rotate", {"overlap_seconds": 3600}, status=201).json()
    old, new = rotated["replaced"], rotated["created"]
    assert KEY.fullmatch(new["key"]) and "key" not in old
    assert (answered(gateway, first["key"]), answered(gateway, new["key"])) == (200, 200)
    assert (old["state"], old["replaced_by"], new["state"]) == ("rotating", new["id"], "active")
    assert old["expires_at"] is not None and new["expires_at"] is None
    same = ("name", "workspace", "team", "user", "rules", "tags", "family")
    assert [new[member] for member in same] == [first[member] for member in same]
    assert [key["id"] for key in operator.all(f"/api/v1/keys?family={first['id']}")] == [first["id"], new["id"]]
    assert operator.post(f"/api/v1/keys/{first['id']}/rotate", status=409).reason == "state_conflict"
    # The next one of the chain, without overlap: the middle one stops at once.
    again = operator.post(f"/api/v1/keys/{new['id']}/rotate", {"overlap_seconds": 0}, status=201).json()
    assert again["created"]["family"] == first["id"]
    assert again["replaced"]["state"] == "expired"
    assert (answered(gateway, new["key"]), answered(gateway, again["created"]["key"])) == (401, 200)
    told = only_entry(operator, "keys.rotate", first["id"])
    assert told["changes"]["before"]["replaced_by"] is None
    assert told["changes"]["after"]["replaced_by"] == new["id"]
    assert only_entry(operator, "keys.create", new["id"])["changes"]["before"] is None


def test_a_rotation_never_makes_a_key_last_longer(operator):
    short = create(operator, expires_at="2090-01-01T00:00:00Z")
    tomorrow = create(operator, expires_in_days=1)
    kept = operator.post(f"/api/v1/keys/{tomorrow['id']}/rotate", {"overlap_seconds": 7776000}, status=201).json()
    assert kept["replaced"]["expires_at"] == tomorrow["expires_at"]
    assert kept["created"]["expires_at"] > tomorrow["expires_at"], "it lasts a day, as the old one did"
    chosen = operator.post(f"/api/v1/keys/{short['id']}/rotate", {"expires_at": "2080-01-01T00:00:00Z"}, status=201).json()
    assert chosen["created"]["expires_at"] == "2080-01-01T00:00:00.000000Z"
    assert chosen["replaced"]["expires_at"] < "2080"
    for overlap in (-1, 7776001, "1h"):
        assert operator.post(f"/api/v1/keys/{kept['created']['id']}/rotate", {"overlap_seconds": overlap}, status=400).reason == "field_invalid"


def test_revoking_is_for_good_and_must_be_confirmed(gateway, operator):
    made = create(operator)
    key = f"/api/v1/keys/{made['id']}"
    assert operator.post(f"{key}/revoke", status=400).reason == "confirmation_required"
    assert operator.post(f"{key}/revoke", {"confirm": "key_other"}, status=400).reason == "confirmation_required"
    assert answered(gateway, made["key"]) == 200
    revoked = operator.post(f"{key}/revoke?confirm={made['id']}").json()
    assert revoked["state"] == "revoked"
    assert answered(gateway, made["key"]) == 401
    again = operator.post(f"{key}/revoke", {"confirm": made["id"]}).json()
    assert again == revoked
    assert operator.patch(key, {"name": "back"}, status=409).reason == "state_conflict"
    assert operator.post(f"{key}/rotate", status=409).reason == "state_conflict"
    assert operator.get("/api/v1/keys/key_0000000000000000", status=404).reason == "not_there"


def wrong_checksum(key):
    return key[:-1] + ("0" if key[-1] != "0" else "1")


def other_environment(key):
    from test_keys import with_checksum
    return with_checksum("weir_prod_" + key.removeprefix("weir_dev_")[:-6])


def test_a_leaked_key_is_revoked_by_itself_and_stands_nowhere(gateway, operator):
    from test_keys import with_checksum
    made, prefixed = create(operator), create(operator)
    foreign, unknown = other_environment(made["key"]), with_checksum("weir_dev_" + "Z" * 43)
    refused = operator.post("/api/v1/keys/emergency-revoke", {"key": foreign}, status=400)
    assert refused.field == "key" and "prod" in refused.json()["error"]
    assert operator.post("/api/v1/keys/emergency-revoke", {"key": wrong_checksum(made["key"])}, status=400).field == "key"
    assert operator.post("/api/v1/keys/emergency-revoke", {"key": unknown}, status=404).reason == "not_there"
    assert operator.post("/api/v1/keys/emergency-revoke", {"key": made["key"], "prefix": "abcd"}, status=400).reason == "field_invalid"
    assert operator.post("/api/v1/keys/emergency-revoke", {"key": "x" * 201}, status=400).reason == "field_invalid"
    assert answered(gateway, made["key"]) == 200
    done = operator.post("/api/v1/keys/emergency-revoke", {"key": made["key"]}).json()
    assert [(key["id"], key["state"]) for key in done["revoked"]] == [(made["id"], "revoked")]
    assert answered(gateway, made["key"]) == 401
    assert operator.post("/api/v1/keys/emergency-revoke", {"prefix": prefixed["key"]}, status=202).json()["keys"][0]["id"] == prefixed["id"]
    told = only_entry(operator, "keys.emergency_revoke", made["id"])
    assert told["changes"]["after"]["end_streams"] is True
    randoms = [key.split("_")[2][4:-4] for key in (made["key"], prefixed["key"], unknown, foreign)]
    assert "ZZZZ" in randoms[2]
    for path in gateway.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes().decode(errors="replace")
            assert not [random for random in randoms if random in content], path


def test_a_prefix_takes_two_steps_and_means_exactly_the_keys_that_were_shown(gateway, operator):
    made = create(operator)
    beginning = made["key"][:len("weir_dev_") + 6]
    asked = operator.post("/api/v1/keys/emergency-revoke", {"prefix": beginning}, status=202).json()
    assert [key["id"] for key in asked["keys"]] == [made["id"]]
    assert asked["matched_by"] == made["hint"][:4]
    assert answered(gateway, made["key"]) == 200
    token = asked["confirmation_token"]
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")
    for wrong in (changed, "x", token.replace(token[:5], "99999"), "." + token):
        refused = operator.post("/api/v1/keys/emergency-revoke", {"prefix": beginning, "confirmation_token": wrong}, status=410)
        assert refused.reason == "confirmation_expired"
    # The key was changed meanwhile: what was confirmed is not what is there.
    operator.patch(f"/api/v1/keys/{made['id']}", {"name": "changed"})
    operator.post("/api/v1/keys/emergency-revoke", {"prefix": beginning, "confirmation_token": token}, status=410)
    token = operator.post("/api/v1/keys/emergency-revoke", {"prefix": made["hint"][:4]}, status=202).json()["confirmation_token"]
    done = operator.post("/api/v1/keys/emergency-revoke", {"prefix": beginning, "confirmation_token": token}).json()
    assert [key["id"] for key in done["revoked"]] == [made["id"]]
    assert answered(gateway, made["key"]) == 401
    assert operator.post("/api/v1/keys/emergency-revoke", {"prefix": beginning, "confirmation_token": token}, status=404).reason == "not_there"
    asked = [entry for entry in entries(operator, action="keys.emergency_revoke.ask") if made["id"] in entry["changes"]["after"]["keys"]]
    assert len(asked) == 2


@pytest.mark.parametrize("prefix", ["abc", "weir_dev_abc", "weir_prod_abcdef", "weir_stage_", "shroud_dev_abcdef", "weir_test_abcdef", "weir_", "ab d1",
                                    "weir_dev_ab-d", "äbcd"])
def test_a_prefix_that_can_be_none_is_refused(operator, prefix):
    assert operator.post("/api/v1/keys/emergency-revoke", {"prefix": prefix}, status=400).field == "prefix"


def test_age_and_rotation_due(gateway, operator):
    from harness.keys import change_key
    made = create(operator, name=fresh("old"))
    young = create(operator, name=fresh("young"))
    assert (made["age_days"], made["rotation_due"]) == (0, False)
    month = 31 * 86400 * 1000000
    with_time = operator.get(f"/api/v1/keys/{made['id']}").json()["created_at"]
    from datetime import datetime
    created = int(datetime.fromisoformat(with_time.replace("Z", "+00:00")).timestamp() * 1000000)
    change_key(gateway, made["name"], created_utc_us=created - month)
    old = operator.get(f"/api/v1/keys/{made['id']}").json()
    assert (old["age_days"], old["rotation_due"]) == (31, True)
    assert old["rotation_due_at"] < with_time
    due = {key["id"] for key in operator.all("/api/v1/keys?rotation_due=true")}
    assert made["id"] in due and young["id"] not in due
    operator.post(f"/api/v1/keys/{made['id']}/rotate", status=201)
    rotated = operator.get(f"/api/v1/keys/{made['id']}").json()
    assert (rotated["rotation_due"], rotated["rotation_due_at"]) == (False, None)
    assert made["id"] not in {key["id"] for key in operator.all("/api/v1/keys?rotation_due=true")}


def test_a_disabled_user_gets_no_new_key(operator):
    owner = workspace(operator)
    operator.post(f"/api/v1/workspaces/{owner}/users", {"id": "ada", "disabled": True}, status=201)
    refused = operator.post("/api/v1/keys", {"name": "x", "workspace": owner, "user": "ada"}, status=409)
    assert (refused.reason, refused.field) == ("state_conflict", "user")
    operator.patch(f"/api/v1/workspaces/{owner}/users/ada", {"disabled": False})
    create(operator, workspace=owner, user="ada")

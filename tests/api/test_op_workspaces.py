"""Plans, workspaces, teams and users on the operator plane."""
import itertools

import pytest

from test_op_keys import answered, create, entries, only_entry

counter = itertools.count()


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    from harness.processes import Gateway, default_settings
    instance = Gateway(weir_binary, module_folder / "gateway", default_settings(sim, server={"listen": "127.0.0.1:0", "workers": 2})).start()
    yield instance
    instance.close()


def fresh(prefix):
    return f"{prefix}-{next(counter)}"


def workspace(operator, **members):
    made = operator.post("/api/v1/workspaces", {"id": fresh("ws"), **members}, status=201).json()
    return f"/api/v1/workspaces/{made['id']}"


def test_the_plans_of_the_beginning(operator):
    figures = {plan["id"]: (plan["requests_per_second"], plan["cu_milli_per_month"], plan["price_cu_milli_per_month"], plan["overage"])
               for plan in operator.all("/api/v1/plans")}
    million = 1_000_000_000  # milli-CU in a million CU
    assert figures["free"] == (2, 10 * million, 0, False)
    assert figures["developer"] == (10, 29 * million, 29 * million, True)
    assert figures["startup"] == (50, 99 * million, 99 * million, True)
    assert figures["enterprise"] == (200, 499 * million, 499 * million, True)


def test_a_plan_lives_and_goes(operator):
    name = fresh("plan")
    made = operator.post("/api/v1/plans", {"id": name, "name": "Own", "requests_per_second": 7}, status=201)
    plan = f"/api/v1/plans/{name}"
    assert (made.version, made.json()["cu_milli_per_month"], made.json()["overage"]) == (1, None, False)
    assert operator.post("/api/v1/plans", {"id": name, "name": "Again"}, status=409).reason == "exists_already"
    changed = operator.patch(plan, {"cu_milli_per_month": 5, "requests_per_second": None}, headers={"if-match": '"1"'})
    assert (changed.version, changed.json()["requests_per_second"], changed.json()["cu_milli_per_month"]) == (2, None, 5)
    assert operator.patch(plan, {"overage": True}, headers={"if-match": '"1"'}, status=412).reason == "version_mismatch"
    user = workspace(operator, plan=name)
    assert operator.delete(f"{plan}?confirm={name}", status=409).reason == "still_in_use"
    operator.patch(user, {"plan": None})
    assert operator.delete(plan, status=400).reason == "confirmation_required"
    operator.delete(plan, {"confirm": name}, status=204)
    assert operator.get(plan, status=404).reason == "not_there"
    told = only_entry(operator, "plans.update", name)
    assert told["changes"]["before"]["requests_per_second"] == 7
    assert told["changes"]["after"]["requests_per_second"] is None
    gone = only_entry(operator, "plans.delete", name)
    assert (gone["changes"]["before"]["name"], gone["changes"]["after"]) == ("Own", None)
    operator.post("/api/v1/plans", {"id": name, "name": "Own again"}, status=201)


def test_a_workspace_lives_and_goes(operator):
    path = workspace(operator, tags={"z": "1", "a": "2"})
    name = path.rpartition("/")[2]
    shown = operator.get(path).json()
    assert (shown["name"], shown["plan"], shown["suspended"], shown["notes"]) == (name, None, False, "")
    assert shown["capture"] == {"content": False, "redact": []}
    assert shown["keys"] == {"active": 0, "total": 0}
    key = create(operator, workspace=name)
    assert operator.get(path).json()["keys"] == {"active": 1, "total": 1}
    changed = operator.patch(path, {"name": "Näme", "plan": "startup", "notes": "n", "capture": {"redact": ["email"]}, "tags": {"z": None}}).json()
    assert (changed["name"], changed["plan"], changed["tags"]) == ("Näme", "startup", {"a": "2"})
    assert changed["capture"] == {"content": False, "redact": ["email"]}
    assert operator.patch(path, {"name": None, "capture": None}).json()["name"] == name
    assert operator.patch(path, {"plan": "none"}, status=400).field == "plan"
    assert operator.delete(f"{path}?confirm={name}", status=409).reason == "still_in_use"
    operator.post(f"/api/v1/keys/{key['id']}/revoke", {"confirm": key["id"]})
    assert operator.get(path).json()["keys"] == {"active": 0, "total": 1}
    operator.post(f"{path}/teams", {"id": "red"}, status=201)
    operator.post(f"{path}/users", {"id": "ada", "teams": ["red"]}, status=201)
    operator.delete(f"{path}?confirm={name}", status=204)
    assert operator.get(path, status=404).reason == "not_there"
    assert operator.get(f"{path}/users/ada", status=404).reason == "not_there"
    told = {(entry["action"], entry["resource_id"]) for entry in entries(operator, org_id=name)}
    assert {("workspaces.delete", name), ("teams.delete", "red"), ("users.delete", "ada")} <= told
    # The name is free again, and nothing of the one before is in it.
    operator.post("/api/v1/workspaces", {"id": name}, status=201)
    assert operator.all(f"{path}/teams") == operator.all(f"{path}/users") == []


def test_default_is_there_and_stays(operator):
    assert operator.all("/api/v1/workspaces")[0]["id"] == "default"
    assert operator.delete("/api/v1/workspaces/default?confirm=default", status=409).reason == "state_conflict"


@pytest.mark.parametrize("name", ["", "Big", "-x", "a b", "a/b", "ä", "x" * 64])
def test_an_id_is_a_slug(operator, name):
    assert operator.post("/api/v1/workspaces", {"id": name}, status=400).field == "id"
    assert operator.post("/api/v1/plans", {"id": name, "name": "x"}, status=400).field == "id"


def test_suspending_refuses_all_keys_of_the_workspace_and_lets_them_in_again(gateway, operator):
    path = workspace(operator)
    key = create(operator, workspace=path.rpartition("/")[2])["key"]
    assert answered(gateway, key) == 200
    operator.patch(path, {"suspended": True})
    assert answered(gateway, key) == 403
    assert path.rpartition("/")[2] in {row["id"] for row in operator.all("/api/v1/workspaces?suspended=true")}
    operator.patch(path, {"suspended": False})
    assert answered(gateway, key) == 200
    assert path.rpartition("/")[2] in {row["id"] for row in operator.all("/api/v1/workspaces?suspended=false")}


def test_lists_are_filtered_and_paged(operator):
    ids = [workspace(operator, plan="enterprise").rpartition("/")[2] for _ in range(5)]
    assert [row["id"] for row in operator.all("/api/v1/workspaces?plan=enterprise", limit=2)] == ids
    path = workspace(operator)
    teams = [operator.post(f"{path}/teams", {"name": f"team {number}"}, status=201).json()["id"] for number in range(5)]
    assert all(team.startswith("team_") for team in teams)
    first = operator.get(f"{path}/teams?limit=2").json()
    teams.append(operator.post(f"{path}/teams", {"id": "late"}, status=201).json()["id"])
    rest = operator.get(f"{path}/teams?limit=1000&cursor={first['next_cursor']}").json()
    assert [row["id"] for row in first["data"] + rest["data"]] == teams
    assert rest["next_cursor"] is None


def test_teams_and_users_belong_to_their_workspace(operator):
    path, other = workspace(operator), workspace(operator)
    operator.post(f"{path}/teams", {"id": "red", "name": "Red"}, status=201)
    assert operator.get(f"{path}/teams/red").json()["name"] == "Red"
    assert operator.get(f"{other}/teams/red", status=404).reason == "not_there"
    assert operator.get("/api/v1/workspaces/nowhere/teams", status=404).reason == "not_there"
    assert operator.post(f"{other}/users", {"id": "ada", "teams": ["red"]}, status=400).field == "teams"
    made = operator.post(f"{path}/users", {"id": "ada", "email": "Ada@example.org", "teams": ["red"]}, status=201).json()
    assert made["workspace"] == path.rpartition("/")[2]
    assert operator.delete(f"{path}/teams/red?confirm=red", status=409).reason == "still_in_use"
    operator.patch(f"{path}/users/ada", {"teams": []})
    key = create(operator, workspace=made["workspace"], team="red", user="ada")
    assert operator.delete(f"{path}/teams/red?confirm=red", status=409).reason == "still_in_use"
    assert operator.delete(f"{path}/users/ada?confirm=ada", status=409).reason == "still_in_use"
    operator.post(f"/api/v1/keys/{key['id']}/revoke", {"confirm": key["id"]})
    assert operator.patch(f"{path}/teams/red", {"name": "Crimson"}, headers={"if-match": '"1"'}).version == 2
    operator.delete(f"{path}/teams/red?confirm=red", headers={"if-match": '"1"'}, status=412)
    operator.delete(f"{path}/teams/red?confirm=red", status=204)
    operator.delete(f"{path}/users/ada?confirm=ada", status=204)


def test_an_address_is_unique_in_its_workspace_whatever_its_case(operator):
    path, other = workspace(operator), workspace(operator)
    operator.post(f"{path}/users", {"id": "ada", "email": "Ada@Example.org"}, status=201)
    refused = operator.post(f"{path}/users", {"id": "eve", "email": "ADA@example.ORG"}, status=409)
    assert (refused.reason, refused.field) == ("exists_already", "email")
    operator.post(f"{other}/users", {"id": "eve", "email": "ada@example.org"}, status=201)
    assert [row["id"] for row in operator.all(f"{path}/users?email=ada@example.org")] == ["ada"]
    assert operator.all(f"{path}/users?email=nobody@example.org") == []
    # Who gives it up leaves it to others; who keeps it may change the rest.
    assert operator.patch(f"{path}/users/ada", {"name": "A", "email": "ada@example.org"}).json()["email"] == "ada@example.org"
    operator.patch(f"{path}/users/ada", {"email": None})
    operator.post(f"{path}/users", {"id": "eve", "email": "ada@example.org"}, status=201)
    assert operator.post(f"{path}/users", {"email": "no address"}, status=400).field == "email"
    operator.patch(f"{path}/users/eve", {"disabled": True})
    assert [row["id"] for row in operator.all(f"{path}/users?disabled=true")] == ["eve"]
    operator.get(f"{path}/users/eve", role="viewer")

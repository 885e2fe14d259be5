"""Every operation × every role: allowed exactly where its row says, and its row says what a table kept by hand says.

A request to an operation carries names of things that do not exist and no body: a role that may is told of that (400, 404, 409, 412 …), or of success; one that may not is
told 403 role_not_allowed, whatever else is wrong with the request.
"""
import pathlib
import re

import pytest

ROLES = ["viewer", "auditor", "operator", "admin", "owner"]
TABLE = pathlib.Path(__file__).parent / "operation_roles.txt"


def table():
    rows = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    found = {row[0]: row[1:] for row in rows}
    assert len(found) == len(rows), "an operation stands twice in operation_roles.txt"
    return found


def ask(operator, operation, **more):
    path = re.sub(r"\{[^}]*\}", "1", operation["path"])
    required = [f"{one['name']}=1" for one in operation.get("parameters", []) if one["in"] == "query" and one.get("required")]
    return operator.request(operation["method"], path + ("?" + "&".join(required) if required else ""), status=range(200, 600), **more)


def test_the_rows_say_what_the_table_says(operator):
    rows = {name: set(operation["x-weir-roles"]) for name, operation in operator.document.operations().items()}
    by_hand = {name: set(roles) for name, roles in table().items()}
    assert rows == by_hand, "think about who may do it, then enter it in tests/api/operation_roles.txt"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_the_table_says_and_nothing_else(operator, role):
    wrong = []
    # What ends the token that is used here comes last.
    for name, operation in sorted(operator.document.operations().items(), key=lambda pair: pair[0] == "auth.logout"):
        roles = table()[name]
        answer = ask(operator, operation, role=role)
        refused = answer.status == 403 and answer.reason == "role_not_allowed"
        assert not refused or role not in answer.json()["details"]["roles"] and "owner" in answer.json()["details"]["roles"]
        if role in roles or roles == ["anyone"]:
            if refused or (answer.status in (401, 403) and roles != ["anyone"]):
                wrong.append(f"{role} may not do {name}: {answer.status} {answer.reason}")
        elif not refused:
            wrong.append(f"{role} may do {name}: {answer.status}")
    operator.tokens.pop(role)
    assert not wrong, "\n".join(wrong)


def test_who_is_nobody_may_do_only_what_is_for_anyone(gateway, operator):
    """A page of the plane itself, without a session: not the local operator."""
    wrong = []
    for name, operation in operator.document.operations().items():
        answer = ask(operator, operation, headers={"origin": f"http://{gateway.operator}"})
        refused = answer.status == 401 and answer.reason == "operator_unknown"
        if refused == (table()[name] == ["anyone"]):
            wrong.append(f"{name}: {answer.status}")
    assert not wrong, "\n".join(wrong)


def test_a_token_that_is_none_is_refused_everywhere(operator):
    wrong = []
    for name, operation in operator.document.operations().items():
        for token in ("weir_op_nonsense", "x" * 500):
            answer = ask(operator, operation, token=token)
            if (answer.status != 401) != (table()[name] == ["anyone"]):
                wrong.append(f"{name}: {answer.status}")
    assert not wrong, "\n".join(wrong)


def test_what_is_listed_as_allowed_is_what_the_role_may(operator):
    for role in ROLES:
        listed = operator.get("/api/v1/operations", role=role).json()
        assert listed["role"] == role
        for row in listed["data"]:
            roles = table()[row["id"]]
            assert row["allowed"] == (role in roles or roles == ["anyone"]), (role, row)

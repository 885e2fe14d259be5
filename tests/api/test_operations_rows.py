"""What the generator of the operator plane refuses: a row that is not whole does not build, and the words name file and member."""
import json
import pathlib
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools/operations"))

import rows

REASONS = ROOT / "src/base/reasons.def"
SOURCE = ROOT / "src/operator/operations"
GOOD = {
    "id": "things.get", "method": "GET", "path": "/api/v1/things/{thing}", "roles": ["owner", "viewer"], "handler": "things_get", "tag": "things",
    "summary": "A thing", "description": "It.", "parameters": [{"name": "thing", "in": "path", "schema": {"type": "string"}, "description": "Its id."}],
    "answers": {"200": {"description": "It.", "schema": {"type": "object"}}},
}


def read(folder, row, name="things.get.json"):
    (folder / name).write_text(row if isinstance(row, str) else json.dumps(row))
    return rows.read_all(folder, REASONS)


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "operations")
    return tmp_path / "operations"


def test_a_good_row_is_taken(folder):
    found, _, _ = read(folder, GOOD)
    row = next(row for row in found if row["id"] == "things.get")
    assert {"not_there", "role_not_allowed", "operator_store_unavailable"} <= set(row["error_names"])


def changed(**more):
    row = {**GOOD, **more}
    return {name: value for name, value in row.items() if value is not None}


BODY = {"type": "object", "additionalProperties": False, "properties": {"name": {"type": "string"}}}
WRONG = {
    "no roles": (changed(roles=None), "roles: missing"),
    "empty roles": (changed(roles=[]), "roles: missing"),
    "an unknown role": (changed(roles=["owner", "boss"]), "roles: 'boss'"),
    "anyone beside others": (changed(roles=["anyone", "owner"]), "roles: anyone stands alone"),
    "no owner": (changed(roles=["admin"]), "roles: an owner"),
    "no handler": (changed(handler=None), "handler: missing"),
    "a handler twice": (changed(handler="operations_list"), "handler: 'operations_list' is in"),
    "an id twice": (changed(id="operations.list"), "id: 'operations.list' is in"),
    "method and path twice": (changed(path="/api/v1/operations", parameters=[]), "path: GET /api/v1/operations is in"),
    "a path that differs in its names alone": (changed(path="/api/v1/keys/{name}", parameters=[{**GOOD["parameters"][0], "name": "name"}]), "path"),
    "an undeclared name in the path": (changed(parameters=[]), "parameters: the path's 'thing' is not declared"),
    "a declared name that is not in the path": (changed(path="/api/v1/things"), "parameters[0]: 'thing' is not in the path"),
    "a parameter twice": (changed(parameters=GOOD["parameters"] * 2), "parameters[1]: 'thing' stands twice"),
    "a parameter that is an object": (changed(parameters=[{**GOOD["parameters"][0], "schema": {"type": "object"}}]), "parameters[0].schema.type"),
    "no answers": (changed(answers={}), "answers: missing"),
    "only bad answers": (changed(answers={"404": {"description": "x", "schema": {}}}), "answers: there is none that is good"),
    "an answer without a schema": (changed(answers={"200": {"description": "x"}}), "answers.200: schema is missing"),
    "an unknown error": (changed(errors=["no_such_reason"]), "errors: 'no_such_reason'"),
    "an unknown member": (changed(rolls=["owner"]), "rolls: unknown member"),
    "an unknown keyword": (changed(answers={"200": {"description": "x", "schema": {"minimun": 1}}}), "answers.200.schema.minimun"),
    "a reference to nothing": (changed(answers={"200": {"description": "x", "schema": {"$ref": "#/components/schemas/None"}}}), "answers.200.schema.$ref"),
    "a pattern that means two things": (changed(parameters=[{**GOOD["parameters"][0], "schema": {"type": "string", "pattern": "^\\d+$"}}]), "schema.pattern"),
    "a body that takes anything": (changed(method="POST", body={"type": "object"}), "body: say additionalProperties"),
    "a body in a GET": (changed(body=BODY), "method: a GET"),
    "a change in a GET": (changed(changes=True), "method: a GET"),
    "a change of nobody knows what": (changed(method="POST", changes=True), "resource: what changes something"),
    "a resource that the path calls otherwise": (changed(resource="key"), "resource: the path calls it 'thing'"),
    "a resource that is no word": (changed(resource="Key 1"), "resource: a word"),
    "a confirmation of nothing": (changed(method="DELETE", confirm="path:other"), "confirm: give path:NAME"),
    "a change that is answered at once": (changed(immediate=True), "immediate: "),
    "not JSON": ("{", "not JSON"),
    "a member twice": ('{"id":"a.b","id":"a.b"}', "'id' stands twice"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_whole_is_refused_by_file_and_member(folder, what):
    row, words = WRONG[what]
    with pytest.raises(rows.Problem) as problem:
        read(folder, row)
    assert "things.get.json" in str(problem.value) or "operations.list.json" in str(problem.value) or "keys." in str(problem.value)
    assert words in str(problem.value)


def test_what_cannot_be_undone_takes_a_confirmation(folder):
    found, _, _ = read(folder, changed(method="DELETE", changes=True, resource="thing", confirm="path:thing"))
    row = next(row for row in found if row["id"] == "things.get")
    assert "confirmation_required" in row["error_names"]
    assert row["body"]["properties"]["confirm"]["type"] == "string"
    assert [parameter["in"] for parameter in row["parameters"] if parameter["name"] == "confirm"] == ["query"]

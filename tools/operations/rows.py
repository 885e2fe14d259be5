"""Reads the rows of src/operator/operations and refuses what is not whole.

A row is one file: one operation with its method, path, roles, handler, parameters, body, answers and prose. What the generator adds to it (the
`confirm` of what cannot be undone, If-Match, the reasons that any operation may answer with) is added here, so that the table in C, the OpenAPI
document and the reference page all say the same.
"""
import json
import pathlib
import re

ROLES = ["viewer", "auditor", "operator", "admin", "owner"]  # in the order of enum weir_role, from 1
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
MEMBERS = {"id", "method", "path", "aliases", "roles", "handler", "changes", "confirm", "immediate", "versioned", "summary", "description", "tag", "resource",
           "parameters", "body", "body_optional", "body_example", "answers", "errors"}
NEEDED = ["id", "method", "path", "roles", "handler", "summary", "description", "tag", "answers"]
PARAMETER_MEMBERS = {"name", "in", "schema", "description", "required", "example"}
ANSWER_MEMBERS = {"description", "schema", "content_type", "example"}
# Keywords that src/json/schema.c follows, and those that only tell.
KEYWORDS = {"type", "enum", "const", "required", "properties", "additionalProperties", "items", "minimum", "maximum", "minLength", "maxLength",
            "minItems", "maxItems", "minProperties", "maxProperties", "pattern", "format", "anyOf", "oneOf", "$ref", "uniqueItems",
            "propertyNames"}
TELLING = {"description", "default", "title", "examples", "deprecated", "readOnly", "writeOnly"}
TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}
FORMATS = {"date-time", "date", "int64", "uuid", "email", "password", "binary"}
MAX_PARAMETERS = 32
MAX_PATH_VALUES = 4

# Answers that any operation may give, and those that depend on its row.
COMMON = ["request_malformed", "parameter_invalid", "parameter_unknown", "host_not_allowed", "operator_origin_not_allowed",
          "operator_address_not_allowed", "request_timeout", "uri_too_long", "head_too_large", "expectation_unknown", "overloaded", "internal",
          "body_not_taken"]
KNOWN_ACTOR = ["operator_unknown", "operator_token_invalid", "operator_session_ended", "role_not_allowed"]
WITH_STORE = ["operator_store_unavailable"]
WITH_CHANGES = ["csrf_token_invalid"]
WITH_BODY = ["body_too_large", "content_type_unsupported", "json_invalid", "json_duplicate_member", "field_missing", "field_invalid"]


class Problem(Exception):
    pass


def fail(place, words):
    raise Problem(f"{place}: {words}")


def read_reasons(text):
    """{name: {"status", "code", "message", "retry_after"}} of reasons.def."""
    found = {}
    string = r'"((?:[^"\\]|\\.)*)"'
    row = re.compile(r"X\(\s*(\w+)\s*,\s*" + string + r"\s*,\s*" + string + r"\s*,\s*" + string + r"\s*,\s*(\d+)\s*,\s*" + string +
                     r"\s*,\s*(YES|NO)\s*,\s*(\d+)\s*,\s*" + string, re.DOTALL)
    for match in row.finditer(text):
        found[match.group(2)] = {"identifier": match.group(1), "code": match.group(3), "status": int(match.group(5)),
                                 "retry_after": int(match.group(8)), "message": match.group(9)}
    return found


def check_pattern(place, pattern):
    """What means the same to ECMA-262 (which JSON Schema names) and to POSIX extended expressions (which run)."""
    inside = False
    at = 0
    if re.search(r"\(\?", pattern):
        fail(place, "groups that begin with (? are not POSIX")
    while at < len(pattern):
        byte = pattern[at]
        if inside:
            if byte == "\\":
                fail(place, "a backslash inside brackets means two things")
            if byte == "[":
                fail(place, "a [ inside brackets means two things")
            inside = byte != "]"
        elif byte == "[":
            inside = True
            at += pattern[at + 1:at + 2] == "^"
        elif byte == "\\":
            at += 1
            if pattern[at:at + 1] not in tuple(".*+?()[]{}|^$/\\-"):
                fail(place, f"\\{pattern[at:at + 1]} is not POSIX: write a class in brackets")
            if pattern[at] == "/" or pattern[at] == "-":
                fail(place, f"{pattern[at]} needs no backslash")
        at += 1
    re.compile(pattern)


def check_schema(place, schema, names):
    if not isinstance(schema, dict):
        fail(place, "a schema is an object")
    for word, value in schema.items():
        here = f"{place}.{word}"
        if word not in KEYWORDS | TELLING and not word.startswith("x-"):
            fail(here, "this keyword is not followed by src/json/schema.c")
        if word == "type":
            for name in value if isinstance(value, list) else [value]:
                if name not in TYPES:
                    fail(here, f"{name!r} is no type")
        elif word == "$ref":
            name = value.removeprefix("#/components/schemas/")
            if name == value or name not in names:
                fail(here, f"{value!r} is none of schemas/*.json")
        elif word == "format" and value not in FORMATS:
            fail(here, f"{value!r} is none of {sorted(FORMATS)}")
        elif word == "pattern":
            check_pattern(here, value)
        elif word in ("properties",):
            for name, inner in value.items():
                check_schema(f"{here}.{name}", inner, names)
        elif word in ("items", "propertyNames") or (word == "additionalProperties" and not isinstance(value, bool)):
            check_schema(here, value, names)
        elif word in ("anyOf", "oneOf"):
            for index, inner in enumerate(value):
                check_schema(f"{here}[{index}]", inner, names)
        elif word == "required":
            for name in value:
                if name not in schema.get("properties", {}):
                    fail(here, f"{name!r} is not among the properties")


def check_body(place, schema, schemas):
    """Unknown members are refused: every object of a body says so."""
    if "$ref" in schema:
        return
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "object" in kinds or "properties" in schema:
        if "additionalProperties" not in schema:
            fail(place, "say additionalProperties: false (or what else may come)")
        for name, inner in schema.get("properties", {}).items():
            check_body(f"{place}.properties.{name}", inner, schemas)
    for word in ("items",):
        if word in schema:
            check_body(f"{place}.{word}", schema[word], schemas)


def check_parameters(row, place, names):
    in_path = re.findall(r"\{([^}]*)\}", row["path"])
    seen = set()
    for index, parameter in enumerate(row["parameters"]):
        here = f"{place}: parameters[{index}]"
        for word in parameter:
            if word not in PARAMETER_MEMBERS:
                fail(here, f"unknown member {word!r}")
        for word in ("name", "in", "schema", "description"):
            if word not in parameter:
                fail(here, f"{word} is missing")
        if parameter["in"] not in ("path", "query", "header"):
            fail(here, f"in: {parameter['in']!r} is none of path, query, header")
        if parameter["in"] == "path" and parameter["name"] not in in_path:
            fail(here, f"{parameter['name']!r} is not in the path")
        if parameter["name"] == "confirm":
            fail(here, "confirm is added by the member `confirm` of the row")
        if (parameter["in"], parameter["name"]) in seen:
            fail(here, f"{parameter['name']!r} stands twice")
        seen.add((parameter["in"], parameter["name"]))
        check_schema(f"{here}.schema", parameter["schema"], names)
        kind = parameter["schema"].get("type")
        if kind not in ("string", "integer", "boolean", "number"):
            fail(f"{here}.schema.type", f"a parameter is a string, integer, number or boolean, not {kind!r}")
    for name in in_path:
        if ("path", name) not in seen:
            fail(f"{place}: parameters", f"the path's {name!r} is not declared")
    if len(row["parameters"]) > MAX_PARAMETERS or len(in_path) > MAX_PATH_VALUES:
        fail(f"{place}: parameters", "too many")


def check_answers(row, place, names):
    good = [status for status in row["answers"] if re.fullmatch("2[0-9][0-9]", status)]
    if not good:
        fail(f"{place}: answers", "there is none that is good (2xx)")
    for status, answer in row["answers"].items():
        here = f"{place}: answers.{status}"
        if not re.fullmatch("[1-5][0-9][0-9]", status):
            fail(here, "not a status")
        for word in answer:
            if word not in ANSWER_MEMBERS:
                fail(here, f"unknown member {word!r}")
        if "description" not in answer:
            fail(here, "description is missing")
        if status != "204" and "schema" not in answer:
            fail(here, "schema is missing")
        if "schema" in answer:
            check_schema(f"{here}.schema", answer["schema"], names)


def add_confirmation(row, place):
    match = re.fullmatch(r"path:(\w+)", row["confirm"])
    if not match or "{%s}" % match.group(1) not in row["path"]:
        fail(f"{place}: confirm", "give path:NAME of a name in the path")
    name = match.group(1)
    words = f"This cannot be undone: repeat `{name}` here, or as the member `confirm` of the body."
    row["parameters"].append({"name": "confirm", "in": "query", "schema": {"type": "string", "maxLength": 256}, "description": words})
    member = {"type": "string", "maxLength": 256, "description": f"This cannot be undone: repeat `{name}`."}
    if "body" not in row:
        row["body"] = {"type": "object", "additionalProperties": False, "properties": {"confirm": member}}
        row["body_optional"] = True
    elif "properties" not in row["body"]:
        fail(f"{place}: body", "with `confirm` the body is an object that is written out here")
    else:
        row["body"]["properties"]["confirm"] = member


def errors_of(row, place, reasons):
    names = list(COMMON)
    if row["immediate"]:  # what comes with it besides is passed over, as probes and scrapers expect
        names = [name for name in names if name not in ("parameter_invalid", "parameter_unknown", "body_not_taken", "overloaded")]
    if "anyone" not in row["roles"]:
        names += KNOWN_ACTOR
    if not row["immediate"]:
        names += WITH_STORE
    if row["changes"]:
        names += WITH_CHANGES
    if "body" in row:
        names += WITH_BODY
        names = [name for name in names if name != "body_not_taken"]
    if any(parameter["in"] == "path" for parameter in row["parameters"]):
        names.append("not_there")
    if any(parameter["name"] == "cursor" for parameter in row["parameters"]):
        names.append("cursor_invalid")
    if "confirm" in row:
        names.append("confirmation_required")
    if row["versioned"]:
        names.append("version_mismatch")
    for name in row.get("errors", []):
        if name not in reasons:
            fail(f"{place}: errors", f"{name!r} is not in src/base/reasons.def")
    names += row.get("errors", [])
    return sorted(set(names), key=lambda name: (reasons[name]["status"], name))


def read_row(path, reasons, names):
    place = path.name
    try:
        row = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=lambda pairs: no_duplicates(place, pairs))
    except json.JSONDecodeError as error:
        fail(place, f"not JSON: {error}")
    for word in row:
        if word not in MEMBERS:
            fail(f"{place}: {word}", "unknown member")
    for word in NEEDED:
        if word not in row or row[word] in ("", [], {}):
            fail(f"{place}: {word}", "missing or empty")
    if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", row["id"]):
        fail(f"{place}: id", f"{row['id']!r} is not of the form thing.verb")
    if row["method"] not in METHODS:
        fail(f"{place}: method", f"{row['method']!r} is none of {METHODS}")
    for one in [row["path"], *row.get("aliases", [])]:
        if not re.fullmatch(r"/|(/([A-Za-z0-9._-]+|\{[a-z_]+\}))+", one):
            fail(f"{place}: path", f"{one!r} is no path")
    if row.get("aliases") and "{" in row["path"]:
        fail(f"{place}: aliases", "only a path without names has them")
    for role in row["roles"]:
        if role not in [*ROLES, "anyone"]:
            fail(f"{place}: roles", f"{role!r} is none of {[*ROLES, 'anyone']}")
    if "anyone" in row["roles"] and len(row["roles"]) > 1:
        fail(f"{place}: roles", "anyone stands alone")
    if len(set(row["roles"])) != len(row["roles"]):
        fail(f"{place}: roles", "a role stands twice")
    if "anyone" not in row["roles"] and "owner" not in row["roles"]:
        fail(f"{place}: roles", "an owner may do everything")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", row["handler"]):
        fail(f"{place}: handler", "a function's name without operator__")
    for word in ("changes", "immediate", "versioned", "body_optional"):
        row.setdefault(word, False)
        if not isinstance(row[word], bool):
            fail(f"{place}: {word}", "true or false")
    row.setdefault("parameters", [])
    row.setdefault("aliases", [])
    if row["immediate"] and (row["roles"] != ["anyone"] or row["changes"] or "body" in row):
        fail(f"{place}: immediate", "what is answered at once knows no operator, changes nothing and takes no body")
    if row["method"] == "GET" and (row["changes"] or "body" in row):
        fail(f"{place}: method", "a GET changes nothing and takes no body")
    if row["changes"] and "resource" not in row:
        fail(f"{place}: resource", "what changes something names the kind of thing, as the audit trail does")
    if "resource" in row and not re.fullmatch(r"[a-z][a-z_]*", row["resource"]):
        fail(f"{place}: resource", "a word such as key")
    last = row["path"].rpartition("{")[2].removesuffix("}") if row["path"].endswith("}") else None
    if "resource" in row and last is not None and last != row["resource"] and not row["resource"].endswith("_" + last):
        fail(f"{place}: resource", f"the path calls it {last!r}: the audit trail takes its id from there")
    check_parameters(row, place, names)
    if "body" in row:
        check_schema(f"{place}: body", row["body"], names)
        check_body(f"{place}: body", row["body"], names)
    check_answers(row, place, names)
    if "confirm" in row:
        add_confirmation(row, place)
    row["versioned"] = row["versioned"] or any(parameter["name"].lower() == "if-match" for parameter in row["parameters"])
    if row["versioned"] and row["method"] != "GET" and not any(parameter["name"] == "If-Match" for parameter in row["parameters"]):
        row["parameters"].append({"name": "If-Match", "in": "header", "schema": {"type": "string", "maxLength": 64, "pattern": "^(\\*|(W/)?\"[0-9]{1,19}\")$"},
                                  "description": "The ETag of what was read: 412 `version_mismatch` when it was changed since."})
    row["error_names"] = errors_of(row, place, reasons)
    row["file"] = path.name
    return row


def no_duplicates(place, pairs):
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            fail(place, f"the member {name!r} stands twice")
    return dict(pairs)


def read_all(folder, reasons_path):
    """(rows in the order of the table, schemas, reasons); Problem names file and member."""
    folder = pathlib.Path(folder)
    reasons = read_reasons(pathlib.Path(reasons_path).read_text(encoding="utf-8"))
    schemas = {}
    for path in sorted((folder / "schemas").glob("*.json")):
        try:
            schemas[path.stem] = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=lambda pairs: no_duplicates(path.name, pairs))
        except json.JSONDecodeError as error:
            fail(f"schemas/{path.name}", f"not JSON: {error}")
    for name, schema in schemas.items():
        check_schema(f"schemas/{name}.json", schema, schemas)
    for word in COMMON + KNOWN_ACTOR + WITH_STORE + WITH_CHANGES + WITH_BODY:
        if word not in reasons:
            fail("rows.py", f"{word!r} is not in src/base/reasons.def")
    rows = [read_row(path, reasons, schemas) for path in sorted(folder.glob("*.json"))]
    ids, handlers, places = {}, {}, {}
    for row in rows:
        if row["id"] in ids:
            fail(f"{row['file']}: id", f"{row['id']!r} is in {ids[row['id']]} too")
        ids[row["id"]] = row["file"]
        if row["handler"] in handlers:
            fail(f"{row['file']}: handler", f"{row['handler']!r} is in {handlers[row['handler']]} too")
        handlers[row["handler"]] = row["file"]
        for one in [row["path"], *row["aliases"]]:
            place = (row["method"], re.sub(r"\{[^}]*\}", "{}", one))
            if place in places:
                fail(f"{row['file']}: path", f"{row['method']} {one} is in {places[place]} too")
            places[place] = row["file"]
    shapes = {}
    for row in rows:
        shape = re.sub(r"\{[^}]*\}", "{}", row["path"])
        if shapes.setdefault(shape, row["path"]) != row["path"]:
            fail(f"{row['file']}: path", f"{shapes[shape]} names its parts otherwise")
    return rows, schemas, reasons

"""The OpenAPI 3.1 document: what GET /api/v1/openapi.json gives, and what requests are validated by."""
import copy

DESCRIPTION = """The operator plane of the gateway: keys, people, audit and triage. Errors are flat: `error`, `error_code`, `details`, `request_id`,
`detail`. Lists are paged by an opaque cursor. What has a version carries it as ETag, and If-Match on a change guards against lost updates.
Timestamps are RFC 3339 in UTC with microseconds; money is in thousandths of a compute unit.""".replace("\n", " ")

ERROR_SCHEMA = {
    "type": "object",
    "required": ["error", "error_code", "details", "request_id", "detail"],
    "additionalProperties": False,
    "properties": {
        "error": {"type": "string", "description": "What went wrong, in words."},
        "error_code": {"type": "string", "description": "The coarse code, with the brand before it."},
        "details": {
            "type": "object",
            "required": ["reason"],
            "additionalProperties": False,
            "properties": {
                "reason": {"type": "string", "description": "Exactly what went wrong: a name of docs/reference/errors.md."},
                "field": {"type": "string", "description": "The member or parameter that is to blame."},
                "hint": {"type": "string", "description": "What to do about it."},
                "roles": {"type": "array", "items": {"type": "string"}, "description": "Whose the operation is, where it is not for the caller's role."},
                "problems": {"type": "array", "items": {"type": "string"}, "description": "All that is wrong, where it can be several things."},
            },
        },
        "request_id": {"type": "string"},
        "detail": {"type": "string", "description": "As `error`, for clients of another shape."},
    },
}
REQUEST_ID = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}


def example_error(name, reason):
    return {"error": reason["message"], "error_code": f"WEIR_{reason['code']}", "details": {"reason": name},
            "request_id": "0193504e-6e6b-7c3d-9f5a-1c2d3e4f5a6b", "detail": reason["message"]}


def error_answers(row, reasons):
    by_status = {}
    for name in row["error_names"]:
        by_status.setdefault(reasons[name]["status"], []).append(name)
    answers = {}
    for status, names in by_status.items():
        headers = dict(REQUEST_ID)
        if any(reasons[name]["retry_after"] for name in names):
            headers["Retry-After"] = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        if status == 401:
            headers["WWW-Authenticate"] = {"schema": {"type": "string"}}
        answers[str(status)] = {
            "description": "; ".join(f"`{name}`: {reasons[name]['message']}" for name in names),
            "headers": headers,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "example": example_error(names[0], reasons[names[0]])}},
            "x-weir-reasons": names,
        }
    return answers


def good_answer(row, status, answer):
    made = {"description": answer["description"], "headers": dict(REQUEST_ID)}
    if row["versioned"] and status.startswith("2"):
        made["headers"]["ETag"] = {"schema": {"type": "string"}, "description": "The version, for If-Match."}
    if status == "204":
        return made
    types = answer.get("content_type", "application/json")
    media = {"schema": copy.deepcopy(answer["schema"])}
    if "example" in answer:
        media["example"] = answer["example"]
    made["content"] = {name: media for name in ([types] if isinstance(types, str) else types)}
    return made


def operation(row, reasons, operation_id):
    made = {"operationId": operation_id, "summary": row["summary"], "description": row["description"], "tags": [row["tag"]], "x-weir-roles": row["roles"]}
    if row["changes"]:
        made["x-weir-changes"] = True
    made["security"] = [{}] if row["roles"] == ["anyone"] else [{"bearer": []}, {"cookie": []}, {}]
    if row["parameters"]:
        made["parameters"] = []
        for parameter in row["parameters"]:
            one = {word: parameter[word] for word in ("name", "in", "description", "schema", "example") if word in parameter}
            if parameter["in"] == "path" or parameter.get("required"):
                one["required"] = True
            made["parameters"].append(one)
    if "body" in row:
        media = {"schema": row["body"]}
        if "body_example" in row:
            media["example"] = row["body_example"]
        made["requestBody"] = {"required": not row["body_optional"], "content": {"application/json": media}}
    answers = error_answers(row, reasons)
    for status, answer in row["answers"].items():
        if status in answers:  # a row's own words on a status that is declared anyway
            made_answer = good_answer(row, status, answer)
            own = made_answer["content"]["application/json"]["schema"]
            made_answer["content"]["application/json"]["schema"] = {"anyOf": [own, {"$ref": "#/components/schemas/Error"}]}
            answers[status] = made_answer
        else:
            answers[status] = good_answer(row, status, answer)
    made["responses"] = dict(sorted(answers.items()))
    return made


def document(rows, schemas, reasons, version):
    paths = {}
    for row in rows:
        paths.setdefault(row["path"], {})[row["method"].lower()] = operation(row, reasons, row["id"])
        for index, alias in enumerate(row["aliases"]):
            made = operation(row, reasons, row["id"] + ".alias" + (str(index + 1) if index else ""))
            made["x-weir-alias-of"] = row["id"]
            paths.setdefault(alias, {})[row["method"].lower()] = made
    return {
        "openapi": "3.1.0",
        "info": {"title": "weir operator plane", "version": version, "description": DESCRIPTION,
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in sorted({row["tag"] for row in rows})],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted({**schemas, "Error": ERROR_SCHEMA}.items())),
            "headers": {"RequestId": {"schema": {"type": "string"}, "description": "The id to quote for this answer."}},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An operator's token, or what POST /auth/login gave for it."},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "weir_session",
                           "description": "The console's session; changes need the header X-CSRF-Token besides."},
            },
        },
    }

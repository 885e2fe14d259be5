"""docs/reference/operations.md."""

HEAD = """# Operations

Generated from `src/operator/operations`; do not edit.

Every operation of the operator plane, with who may use it. Nothing else is served there. `GET /api/v1/openapi.json` gives the same as an
OpenAPI 3.1 document, with the schemas of bodies and answers. [The page about HTTP](http.md#the-operator-plane) tells what is common to all: errors, lists, versions,
confirmation.

Errors that any operation may answer with are told there; the others are named with each.

"""


def anchor(row):
    return row["id"].replace(".", "")


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def kind(schema):
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    name = schema.get("type", "")
    name = " or ".join(name) if isinstance(name, list) else name
    if "enum" in schema:
        return " ".join(f"`{value}`" for value in schema["enum"])
    if "format" in schema and schema["format"] not in ("int64",):
        return schema["format"]
    if name == "array":
        return f"array of {kind(schema.get('items', {}))}"
    return name or "any"


def operation(row, reasons, common):
    lines = [f"### {row['id']}", "", f"`{row['method']} {row['path']}`" + "".join(f", `{alias}`" for alias in row["aliases"]) + " — " + row["summary"], "",
             row["description"], "",
             "Roles: " + ", ".join(row["roles"]) + "." + (" Changes are audited." if row["changes"] else "")]
    if row["parameters"]:
        lines += ["", "| parameter | in | type | |", "|---|---|---|---|"]
        for parameter in row["parameters"]:
            words = parameter["description"]
            if "default" in parameter["schema"]:
                words += f" Without it: `{parameter['schema']['default']}`."
            lines.append(f"| `{parameter['name']}` | {parameter['in']} | {cell(kind(parameter['schema']))} | {cell(words)} |")
    if "body" in row:
        lines += ["", "Body" + (" (optional)" if row["body_optional"] else "") + (f": {kind(row['body'])}." if "$ref" in row["body"] else ":")]
        properties = row["body"].get("properties", {})
        if properties:
            lines += ["", "| member | type | |", "|---|---|---|"]
            for name, schema in properties.items():
                need = " Needed." if name in row["body"].get("required", []) else ""
                lines.append(f"| `{name}` | {cell(kind(schema))} | {cell(schema.get('description', '') + need)} |")
    lines += ["", "Answers: " + " ".join(f"**{status}** {answer['description']}" for status, answer in sorted(row["answers"].items()))]
    own = [name for name in row["error_names"] if name not in common]
    if own:
        lines += ["", "Errors: " + ", ".join(f"`{name}` ({reasons[name]['status']})" for name in own) + "."]
    return [*lines, ""]


def page(rows, reasons):
    from rows import COMMON, KNOWN_ACTOR, WITH_BODY, WITH_CHANGES, WITH_STORE
    common = set(COMMON + KNOWN_ACTOR + WITH_STORE + WITH_CHANGES + WITH_BODY)
    lines = [HEAD + "| operation | | roles |", "|---|---|---|"]
    ordered = sorted(rows, key=lambda row: (row["tag"], row["path"], row["method"]))
    for row in ordered:
        lines.append(f"| [{row['id']}](#{anchor(row)}) | `{row['method']} {row['path']}` | {', '.join(row['roles'])} |")
    lines.append("")
    tag = None
    for row in ordered:
        if row["tag"] != tag:
            tag = row["tag"]
            lines += [f"## {tag}", ""]
        lines += operation(row, reasons, common)
    return "\n".join(lines).rstrip("\n") + "\n"

#!/usr/bin/env python3
"""Writes what docs/reference takes from the sources: errors.md from the table of reasons, operations.md from the operator plane's operations,
parameters.md from the table of parameters, and the help texts in command-line.md.

    tools/write_reference.py [--check]       --check writes nothing and fails where a page is not in step

A reason that nothing in src/ can give is left out of the page. The help texts stand between marks of their own
(`<!-- help: weir key -->` … `<!-- end -->`); WEIR_BINARY names the program, else the newest of build/, build-asan/; where none is
built they are not looked at, and one line says so.
"""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = ["identifier", "name", "code", "reason_code", "status", "type", "retry", "retry_after", "message", "hint", "runbook"]
HELP = re.compile(r"(<!-- help: weir ?([a-z ]*) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
HEAD = """# Errors

Generated from `src/base/reasons.def`; do not edit.

Every refusal and failure has one **reason**. A client reads it as `code` inside the error object and as `details.reason`; the log
and the ledger have it as `reason`, the metric `weir_requests_total` as the label `reason`. The `error_code` is coarser and meant
for programs; its prefix is the setting `brand` in capitals. [The shape of an error](http.md#errors) is told on the page about HTTP.

Where a provider's own error is passed on, `code` is the provider's; `error_code` and `request_id` are added, `details` are not.

The *reason code* is the operator's word for a group of reasons, as compatible products call it; it stands in these tables alone, and
no answer, log line or metric carries it.

*Retry* says whether repeating the same request can help. Where it cannot, the answer has `x-should-retry: false`, which the
official OpenAI clients obey; not on a provider's own 409, and where the provider sends that field its word holds. A number is the value of `Retry-After` in seconds.

The status is what the client gets when weir speaks for itself. [When a provider answers with an error](http.md#errors-of-a-provider)
the status follows the provider's, as told there; in a stream that has begun it stays 200 and the error is the last event.
"""


def tokens(text):
    """Strings, words, numbers and punctuation of a .def file; comments that name a group come as ("group", words)."""
    for match in re.finditer(r'/\*(.*?)\*/|"((?:[^"\\]|\\.)*)"|(\w+)|([(),])|\s+', text, re.DOTALL):
        comment, string, word, mark = match.groups()
        if comment is not None:
            group = re.fullmatch(r"\s*---\s*(.*?)\s*---\s*", comment, re.DOTALL)
            if group:
                yield "group", group.group(1)
        elif string is not None:
            yield "string", string
        elif word:
            yield "word", word
        elif mark:
            yield "mark", mark


def reasons(text):
    """(group, row) for each X(…) of the table."""
    group, fields = "", None
    for kind, value in tokens(text):
        if kind == "group":
            group = value
        elif fields is None:
            fields = [] if (kind, value) == ("mark", "(") else None
        elif kind == "string":
            if fields and fields[-1][1]:
                fields[-1][0] += value  # adjacent literals are one
            else:
                fields.append([value, True])
        elif kind == "word":
            fields.append([value, False])
        else:
            if fields:
                fields[-1][1] = False
            if value == ")":
                yield group, dict(zip(COLUMNS, (field[0] for field in fields), strict=True))
                fields = None


def used_identifiers():
    found = set()
    for path in (ROOT / "src").rglob("*.c"):
        found.update(re.findall(r"WEIR_REASON_([A-Z0-9_]+)", path.read_text()))
    return found


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def errors_page():
    used, lines, last = used_identifiers(), [HEAD.rstrip("\n")], None
    for group, row in reasons((ROOT / "src/base/reasons.def").read_text()):
        if row["identifier"] not in used:
            continue
        if group != last:
            lines += ["", f"## {group[:1].upper()}{group[1:]}", "",
                      "| reason | status | `error_code` | reason code | retry | what the client reads | what to do |",
                      "|---|---|---|---|---|---|---|"]
            last = group
        retry = "no" if row["retry"] == "NO" else f"yes, {row['retry_after']}" if row["retry_after"] != "0" else "yes"
        advice = [cell(row["hint"])] if row["hint"] else []
        if row["runbook"]:
            advice.append(f"[{row['runbook']}](../runbooks/{row['runbook']}.md)")
        lines.append(f"| `{row['name']}` | {row['status']} | `WEIR_{row['code']}` | `{row['reason_code']}` | {retry} | "
                     f"{cell(row['message'])} | {'; '.join(advice)} |")
    return "\n".join(lines) + "\n"


def program():
    chosen = os.environ.get("WEIR_BINARY")
    if chosen:
        return pathlib.Path(chosen)
    built = [path for path in (ROOT / "build/weir", ROOT / "build-asan/weir") if path.exists()]
    return max(built, key=lambda path: path.stat().st_mtime) if built else None


def command_page(binary):
    def help_of(match):
        words = [*match.group(2).split(), "--help"]
        text = subprocess.run([binary, *words], capture_output=True, text=True, timeout=60, check=True).stdout
        return f"{match.group(1)}```text\n{text.rstrip()}\n```\n{match.group(4)}"

    return HELP.sub(help_of, (ROOT / "docs/reference/command-line.md").read_text())


def operations_page():
    sys.path.insert(0, str(ROOT / "tools/operations"))
    import reference
    import rows
    found, _, known = rows.read_all(ROOT / "src/operator/operations", ROOT / "src/base/reasons.def")
    return reference.page(found, known)


DIALECTS = ["openai", "responses", "anthropic", "gemini", "ollama"]
PARAMETERS_HEAD = """# Parameters between dialects

Generated from `src/dialect/parameters.def`; do not edit.

Between a client and a provider of the same dialect everything goes through as it is, also what nobody here knows. Between two dialects a parameter is, by
the dialect of the **provider**:

- **honoured**: it has the same (✓)
- **mapped**: it has something close, to which it is turned (≈)
- **ignored**: it has no such thing, and the answer is one without. The answer says so in `x-weir-ignored-params`, which has the client's names; where `strict_params`
  is set, or the request has `x-weir-strict-params: true`, it is refused instead (–)
- **refused**: the answer would not be what was asked for: 400 `parameter_unsupported`, which names it, unless another target of the model can (✗)

The first of each pair is what clients of that dialect call it. What clients send besides, which no row has, is ignored in the same way. `GET /api/v1/dialects` on the operator
plane gives this table as JSON.
"""


def parameters_page():
    signs = {"HONOURED": "✓", "MAPPED": "≈", "IGNORED": "–", "REFUSED": "✗"}
    lines, last = [PARAMETERS_HEAD.rstrip("\n")], None
    head = ["| parameter | " + " | ".join(DIALECTS) + " |", "|---" * (len(DIALECTS) + 1) + "|"]
    group, fields = "What is asked", None
    for kind, value in tokens((ROOT / "src/dialect/parameters.def").read_text()):
        if kind == "group":
            group = value
        elif fields is None:
            fields = [] if (kind, value) == ("mark", "(") else None
        elif kind in ("string", "word"):
            fields.append(f"`{value}`" if kind == "string" else "" if value == "NULL" else value)
        elif value == ")":
            if group != last:
                lines += ["", f"## {group[:1].upper()}{group[1:]}", "", *head]
                last = group
            pairs = [f"{fields[i]} {signs[fields[i + 1]]}".strip() for i in range(1, len(fields), 2)]
            lines.append(f"| {fields[0].lower().replace('_', ' ')} | " + " | ".join(pairs) + " |")
            fields = None
    return "\n".join(lines) + "\n"


def main():
    pages = {ROOT / "docs/reference/errors.md": errors_page(), ROOT / "docs/reference/operations.md": operations_page(),
             ROOT / "docs/reference/parameters.md": parameters_page()}
    binary = program()
    if binary is None:
        print("write_reference: the program is not built: help texts are not compared")
    else:
        pages[ROOT / "docs/reference/command-line.md"] = command_page(binary)
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)}: not in step with the sources (tools/write_reference.py)")
        else:
            path.write_text(pages[path])
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Makes what follows from src/operator/operations: the routing table in C and the OpenAPI document. (tools/write_reference.py writes the page.)

    tools/operations/generate.py table OUT.c OUT.h OUT.json --version VERSION    (the build's own call)

A file whose content stays the same is not written, so that nothing is compiled again for it.
"""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import openapi
import rows
import table

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "src/operator/operations"
REASONS = ROOT / "src/base/reasons.def"


def write(path, text):
    path = pathlib.Path(path)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("table")
    made.add_argument("outputs", nargs=3)
    made.add_argument("--version", required=True)
    arguments = parser.parse_args()
    try:
        found, schemas, reasons = rows.read_all(FOLDER, REASONS)
    except rows.Problem as problem:
        print(f"src/operator/operations/{problem}", file=sys.stderr)
        return 1
    source, header, document = arguments.outputs
    text = json.dumps(openapi.document(found, schemas, reasons, arguments.version), ensure_ascii=False, separators=(",", ":"))
    write(source, table.source(found, text))
    write(header, table.header(found))
    write(document, text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

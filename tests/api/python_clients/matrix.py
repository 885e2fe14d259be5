"""What the clients' programs of the matrix share (tests/api/test_matrix.py): settings in JSON on standard input, and on standard output one
line of JSON for each call, {client, back, case, result}. The result's words are the same for every client, in Python and for Node:

    text, reasoning       what the answer said, and thought
    calls                 [{name, arguments}], the arguments parsed
    finish                why it ended, in the client's own words
    usage                 in the client's own words, without what is absent
    object                structured output, parsed
    turns                 the same members once for each turn
    raises, status        the exception's class and status

A program runs in an environment of its own, so it imports nothing of the tests."""
import base64
import json
import os
import sys
import time

SETTINGS = json.load(sys.stdin)
MATERIAL = SETTINGS["material"]
TOOLS = MATERIAL["tools"]
SCHEMA = MATERIAL["schema"]
PIXEL, PDF = base64.b64decode(MATERIAL["pixel"]), base64.b64decode(MATERIAL["pdf"])
for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]


class ErrorEvent(Exception):
    """A stream told that it failed, and the package leaves it to its caller to notice."""


class NoEnd(Exception):
    """A stream ended without what tells its end, and the package has not noticed."""


class Ask:
    """What one call asks for. Every call's first words name it, so that it is found among what arrived at the provider."""

    def __init__(self, client, back, case):
        self.mark = f"[{client}/{back['name']}/{case['name']}]"
        self.model, self.reasoner, self.cached, self.embedding = (back["models"][kind] for kind in ("plain", "reasoner", "cached", "embedding"))
        self.unknown = case["name"] == "unknown_model" and "unknown-model"

    @property
    def prompt(self):
        return f"{self.mark} {MATERIAL['prompt']}"

    @property
    def long(self):
        return f"{self.mark} {MATERIAL['word'] * MATERIAL['words']}"


def result_of(function, client, ask):
    try:
        return {key: value for key, value in function(client, ask).items() if value is not None}
    except Exception as error:  # what a client raises is a result
        return {"raises": type(error).__name__, "status": getattr(error, "status_code", None) or getattr(error, "code", None),
                "message": str(error)[:1000]}


def run(faces):
    """`faces` is {name: (make(base, key, headers), {case: function(client, ask)})}."""
    for face, (make, functions) in faces.items():
        if SETTINGS.get("clients") and face not in SETTINGS["clients"]:
            continue
        made = {}
        for back in SETTINGS["backs"][face] if isinstance(SETTINGS["backs"], dict) else SETTINGS["backs"]:
            for case in SETTINGS["cases"]:
                function = functions.get(case["does"])
                if function is None:
                    continue
                headers, key = case.get("headers") or {}, case.get("key") or SETTINGS["key"]
                which = (json.dumps(headers, sort_keys=True), key)
                if which not in made:
                    made[which] = make(SETTINGS["base"], key, headers)
                begun = time.monotonic()
                row = {"client": face, "back": back["name"], "case": case["name"],
                       "result": result_of(function, made[which], Ask(face, back, case))}
                print(json.dumps({**row, "ms": round((time.monotonic() - begun) * 1000)}), flush=True)


def numbers(value):
    """A usage as plain JSON without what is absent."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, dict):
        return {name: numbers(inner) for name, inner in value.items() if inner is not None}
    return value

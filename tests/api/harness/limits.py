"""Limits and budgets of a running gateway: put into its database as another process puts them, and a provider whose answers cost what a test says."""
import json
import time

from .keys import database, settle
from .plain import call
from .processes import default_settings
from .upstream import provider

BUDGET, LIMIT = 10, 11  # src/store/objects.h
TOKEN = 1000            # milli-CU that a token costs at this provider, whichever way it goes
OVERHEAD = 128          # tokens that are reserved besides the bytes of a body with messages


def put_object(gateway, kind, name, text, parent=""):
    """Creates or replaces it; in effect once `in_effect` says so."""
    now = int(time.time() * 1_000_000)
    with database(gateway) as connection:
        change, = connection.execute("SELECT max(change) + 1 FROM object").fetchone()
        found = connection.execute("UPDATE object SET text = ?, version = version + 1, updated_utc_us = ?, change = ? "
                                   "WHERE kind = ? AND parent = ? AND id = ? AND removed = 0",
                                   [json.dumps(text), now, change, kind, parent, name]).rowcount
        if not found:
            connection.execute("INSERT INTO object (kind, parent, id, text, version, created_utc_us, updated_utc_us, expires_utc_us, "
                               "removed, change) VALUES (?, ?, ?, ?, 1, ?, ?, 0, 0, ?)", [kind, parent, name, json.dumps(text), now, now, change])


def remove_object(gateway, kind, name):
    with database(gateway) as connection:
        connection.execute("UPDATE object SET removed = 1, change = (SELECT max(change) + 1 FROM object) WHERE kind = ? AND id = ?", [kind, name])


def in_effect(gateway):
    """Returns when the gateway has taken what was put there before: twice, for keys and objects come by two ways."""
    settle(gateway)
    settle(gateway)


def put_budget(gateway, name, scope="global", scope_id="", limit=0, window="month", **more):
    put_object(gateway, BUDGET, name, {"name": name, "scope": scope, "scope_id": scope_id, "window": window, "limit_cu_milli": limit, **more})
    in_effect(gateway)


def put_limit(gateway, name, scope, scope_id, **limits):
    put_object(gateway, LIMIT, name, {"name": name, "scope": scope, "scope_id": scope_id, **limits})
    in_effect(gateway)


def prices(*models, per_token=TOKEN, provider_name="here"):
    rows = [{"provider": provider_name, "model": model, "input": per_token * 1_000_000, "output": per_token * 1_000_000,
             "max_input_tokens": 100_000, "max_output_tokens": 4_000, "source": "a test", "date": "2026-01-02"} for model in models]
    return {"format": "weir-prices-1", "rows": rows}


def metered(upstream, **more):
    """What makes default_settings those of a gateway whose only provider is `upstream`; prices.json is to be written beside its file."""
    return {"prices_file": "prices.json", "providers": [provider("here", upstream, catch_all=True)], "models": [], **more}


def metered_settings(simulator, upstream, **more):
    return default_settings(simulator, **metered(upstream, **more))


def completion(prompt=1, output=1, text="x"):
    """A whole answer that says it took so many tokens."""
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}}


def answers(prompt=1, output=1):
    """A handler for a provider all of whose answers take so many tokens."""
    def handler(asked):
        asked.read()
        asked.answer(completion(prompt, output))

    return handler


def body_of(model="plain", max_tokens=10, text="Hi", **fields):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens, **fields},
                      separators=(",", ":")).encode()


def worst_tokens(body):
    """What a body of `body_of` may take at most."""
    return len(body) + OVERHEAD + json.loads(body)["max_tokens"]


def worst_case(body):
    return worst_tokens(body) * TOKEN


def send(gateway, key, body=None, path="/v1/chat/completions", headers=None, **more):
    body = body_of(**more) if body is None else body
    return call(gateway.address, "POST", path, {"authorization": f"Bearer {key}", "content-type": "application/json", **(headers or {})}, body)


def held(gateway):
    """What is held of budgets, and what limits count: (holds, milli-CU, admissions); zeros when nothing is in flight."""
    numbers = gateway.metrics()
    return tuple(int(numbers[(f"weir_meter_{name}", ())]) for name in ("holds", "held_cu_milli", "admissions"))

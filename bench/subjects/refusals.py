"""Requests that never reach a provider."""
import random

from loads import chat_request, full, with_cpu
from results import Row
from subjects.keys import make_key

NAME = "refusals"
TITLE = "Refused requests, full load"
METHOD = """\
A key with a wrong checksum, a well-formed key that nobody has, a model that is not configured. Beside them nginx answers 401 from its
configuration (`return`), which is as little as a refusal can cost. All keep the connection."""
KINDS = {
    "key with a wrong checksum": {"authorization": "Bearer weir_dev_" + "A" * 49},
    "unknown key": {"authorization": f"Bearer {make_key(random.Random(0))}"},
    "unknown model": {},
}


def measure(bench):
    rows = []
    with bench.sides(direct=False) as sides:
        for name, headers in KINDS.items():
            body = chat_request(model="no-such-model" if name == "unknown model" else "sim-small")

            def run(side, body=body, headers=headers):
                path = {"path": "/refused"} if side.name == "nginx" else {}
                return with_cpu(side, lambda: full(bench, side, body, headers if side.name == "weir" else {}, refused=True, **path))

            results = bench.rounds(sides, run)
            rows.append(Row(f"{name}: CPU a request, worker", "µs", bench.each(results, lambda r: r["cpu"]["worker"])))
    return rows

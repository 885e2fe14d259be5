"""Whole answers (JSON): how many a second, and what one costs, under as much load as goes."""
from loads import chat_request, full, system_calls, with_cpu
from results import Row, at_most, beside_nginx

NAME = "answers"
TITLE = "Whole answers (JSON), full load"
METHOD = """\
A chat request of about 1 KiB, answered with about 0.7 KiB of JSON. Requests a second say as much about the load and the
upstream, which share a core, as about the proxy."""


def measure(bench):
    body = chat_request()
    with bench.sides() as sides:
        results = bench.rounds(sides, lambda side: with_cpu(side, lambda: full(bench, side, body)))
        calls = {side.name: system_calls(bench, side, lambda side=side: full(bench, side, body, seconds=2)) for side in sides}
    return [
        Row("requests a second (more is better)", "", bench.each(results, lambda r: r["rate"])),
        Row("CPU a request: worker", "µs", bench.each(results, lambda r: r["cpu"].get("worker")), beside_nginx(1.0)),
        Row("CPU a request: store thread", "µs", bench.each(results, lambda r: r["cpu"].get("store")), at_most(10)),
        Row("CPU a request: control thread", "µs", bench.each(results, lambda r: r["cpu"].get("control"))),
        Row("system calls a request: worker", "", {name: [count] for name, count in calls.items() if count is not None}),
    ]

"""Latency at fixed rates, open loop, and what a request costs where nothing is busy."""
from loads import chat_request, fixed, with_cpu
from results import Row, at_most, beside_nginx

NAME = "latency"
TITLE = "Latency at a fixed rate (JSON)"
RATES = (500, 2000)
METHOD = """\
Requests leave on a fixed grid of time and their latency counts from when they were due, whatever became of earlier ones (`bench/open_loop.c`): a
wait that the proxy causes is in it. *Direct* is the whole latency without a proxy, *nginx* and *weir* are what they add to it in the same round; a figure
below zero is noise. How late requests were sent is the generator's own share of the latency."""


def measure(bench):
    body = chat_request()
    rows = []
    with bench.sides() as sides:
        for rate in RATES:
            results = bench.rounds(sides, lambda side, rate=rate: with_cpu(
                side, lambda: fixed(bench, side, rate, body, seconds=2 * bench.options.seconds, connections=64)))
            for share in ("p50", "p90", "p99", "p99.9"):
                times = bench.each(results, lambda r, share=share: r["latency_us"][share])
                for side in ("nginx", "weir"):
                    times[side] = [with_it - without for with_it, without in zip(times[side], times["direct"])]
                rows.append(Row(f"{rate:,}/s: added latency, {share}", "µs", times))
            rows.append(Row(f"{rate:,}/s: sent later than due, p99", "µs", bench.each(results, lambda r: r["late_us"]["p99"])))
            rows.append(Row(f"{rate:,}/s: CPU a request, worker", "µs", bench.each(results, lambda r: r["cpu"].get("worker")), beside_nginx(1.0)))
            rows.append(Row(f"{rate:,}/s: CPU a request, store thread", "µs", bench.each(results, lambda r: r["cpu"].get("store")), at_most(10)))
    return rows

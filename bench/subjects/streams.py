"""Streams: what a stream costs and what each chunk of it costs, told apart by streams of two lengths."""
from loads import chat_request, fixed, full, system_calls, with_cpu
from results import Row, beside_nginx

NAME = "streams"
TITLE = "Streams"
SHORT, LONG = 16, 256
PACE = 100  # tokens a second of one stream
PACED_CHUNKS = 12800  # a second, of all streams
TRACED_CHUNKS = 1024  # a second, where system calls are counted: a process that is watched is slow, and would take several chunks at once
METHOD = f"""\
Streams of {SHORT} and of {LONG} tokens, an event a token; the difference gives the cost of a token or chunk, what is left that of a stream without any.
*At once*: the upstream sends all events of a stream in one write, under full load. *Paced*: {PACE} tokens a second and stream, each event a write and
an HTTP chunk of its own, as real providers send; {PACED_CHUNKS:,} of them a second on both sides. weir asks the upstream for the usage, which makes
each event of its streams 13 bytes longer."""


def pieces(tokens, result):
    """Of a stream: the chunks as they arrived where they were counted, else its tokens."""
    return result["chunks"] / result["requests"] if "chunks" in result else tokens


def slope(results, side):
    """Rounds of (the worker's CPU time for a chunk, for a stream without chunks)."""
    found = []
    for short, long in zip(results[SHORT][side], results[LONG][side]):
        chunk = (long["cpu"]["worker"] - short["cpu"]["worker"]) / (pieces(LONG, long) - pieces(SHORT, short))
        found.append((chunk, short["cpu"]["worker"] - pieces(SHORT, short) * chunk))
    return found


def rows_of(bench, how, results, piece):
    sides = ("nginx", "weir")
    slopes = {side: slope(results, side) for side in sides}
    return [
        Row(f"{how}: CPU a {piece}, worker", "µs", {side: [chunk for chunk, _ in slopes[side]] for side in sides}, beside_nginx(1.0)),
        Row(f"{how}: CPU a stream without its {piece}s, worker", "µs", {side: [rest for _, rest in slopes[side]] for side in sides}),
        *[Row(f"{how}: CPU a stream of {tokens} tokens, worker", "µs", bench.each(results[tokens], lambda r: r["cpu"].get("worker")),
              beside_nginx(1.0) if tokens == SHORT else None) for tokens in (SHORT, LONG)],
    ]


def measure(bench):
    body = chat_request(stream=True)
    rows = []
    with bench.sides(direct=False, nginx={"buffering": False}) as sides:
        at_once = {tokens: bench.rounds(sides, lambda side, tokens=tokens: with_cpu(
            side, lambda: full(bench, side, body, {"x-sim-tokens": str(tokens)}))) for tokens in (SHORT, LONG)}
        rows += rows_of(bench, "at once", at_once, "token")

        def paced(side, tokens, chunks=PACED_CHUNKS, **more):
            return fixed(bench, side, chunks // tokens, body, {"x-sim-tokens": str(tokens), "x-sim-rate": str(PACE)},
                         connections=chunks // PACE * 2, **more)

        results = {tokens: bench.rounds(sides, lambda side, tokens=tokens: with_cpu(side, lambda: paced(side, tokens))) for tokens in (SHORT, LONG)}
        rows += rows_of(bench, "paced", results, "chunk")
        calls = {side.name: system_calls(bench, side, lambda side=side: paced(side, LONG, TRACED_CHUNKS, seconds=2, warm_up=0)) for side in sides}
    rows.append(Row(f"paced: tokens a chunk, as it reached the client ({LONG} tokens)", "",
                    bench.each(results[LONG], lambda r: LONG * r["requests"] / r["chunks"])))
    rows.append(Row(f"paced, {TRACED_CHUNKS:,} chunks a second: system calls a chunk, worker", "",
                    {name: [count / LONG] for name, count in calls.items() if count is not None}))
    return rows

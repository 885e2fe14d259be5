"""Requests of several sizes."""
from loads import chat_request, full, with_cpu
from results import Row, beside_nginx

NAME = "bodies"
TITLE = "Request bodies, full load (JSON)"
SIZES = {"1 KiB": 1024, "100 KiB": 100 * 1024, "1 MiB": 1024 * 1024}
METHOD = """\
The prompt makes up the size. weir's `limits.max_request_bytes` is 4 MiB; nginx's `client_max_body_size` and `client_body_buffer_size` are 4 MiB too, so that it
holds a body in memory as weir does and writes no file. weir validates all of the JSON, and counts it."""


def body_of(size):
    empty = len(chat_request(""))
    words = "All rivers run into the sea, yet the sea is not full. "
    return chat_request((words * (size // len(words) + 1))[:size - empty])


def measure(bench):
    rows = []
    with bench.sides(direct=False, nginx={"body": "4m"}, weir={"limits": {"max_request_bytes": "4MiB"}}) as sides:
        for name, size in SIZES.items():
            body = body_of(size)
            results = bench.rounds(sides, lambda side, body=body: with_cpu(side, lambda: full(bench, side, body)))
            rows.append(Row(f"{name}: requests a second (more is better)", "", bench.each(results, lambda r: r["rate"])))
            rows.append(Row(f"{name}: CPU a request, worker", "µs", bench.each(results, lambda r: r["cpu"].get("worker")),
                            beside_nginx(1.2) if name == "1 MiB" else None))
    return rows

"""Ten million ledger entries: how long usage reports take, what the sums cost the store's thread, and how many bytes an entry takes."""
import json
import os
import pathlib
import sqlite3
import subprocess

from results import Row, at_most

NAME = "usage"
TITLE = "Usage of ten million requests"
COUNT = int(os.environ.get("WEIR_BENCH_USAGE", 10_000_000))
LIMIT_MS = 200
METHOD = f"""\
A program writes {COUNT:,} entries through the engine as the store's thread does: a month of traffic of 2,000 keys, of which a tenth does a third, each with three of twelve
models; a quarter has two tags. Then it asks for reports, 25 times each, every time on a new connection; it fails where a report of everything is not, to the
milli-CU, what was written. Reports read the sums by day, and by hour at the edges, never the ledger: the query plans are asserted in the tests, and printed. The
time is that of the wall, and beside it that of the CPU, which a busy machine changes less. The bytes are those of the database's pages, its free ones left out."""


def sizes(path):
    """{what: bytes an entry}, from the pages that each table and index has."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall()
        tables = dict(database.execute("SELECT name, tbl_name FROM sqlite_master"))
        counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("usage_of", "usage_hour", "usage_day", "spend_quarter")}
    found = {"all of it": 0, "the ledger with its indexes": 0, "sums of usage": 0, "sums of spend": 0}
    for name, size in rows:
        table = tables.get(name, name)
        found["all of it"] += size
        for word, what in (("ledger", "the ledger with its indexes"), ("usage_", "sums of usage"), ("spend_", "sums of spend")):
            if table.startswith(word):
                found[what] += size
    return {what: size / COUNT for what, size in found.items()}, counts


def measure(bench):
    folder = bench.path / "usage"
    program = pathlib.Path(bench.generator).parent / "usage"
    bench.say(f"{COUNT:,} entries are written")
    output = subprocess.run([program, folder, str(COUNT)], check=True, capture_output=True, text=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    rows = [Row(row["measure"], row["unit"], {"weir": row["values"]}, at_most(LIMIT_MS) if row["unit"] == "ms" else None) for row in found]
    bytes_an_entry, counts = sizes(folder / "weir.db")
    rows += [Row(f"{what}, an entry", "bytes", {"weir": [size]}) for what, size in bytes_an_entry.items()]
    rows += [Row(f"rows of {name}", "rows", {"weir": [count]}) for name, count in counts.items()]
    return rows

"""Ten million request records: how long a page, a filter and a look-up take, and what a record costs the store's thread."""
import json
import pathlib
import subprocess

from results import Row, at_most

NAME = "records"
TITLE = "Ten million request records"
COUNT = 10_000_000
LIMIT_MS = 50
METHOD = f"""\
A program writes {COUNT:,} entries through the engine as the store's thread does, all of one day, then asks on a connection of its own: 25 times each, a page of 50 from
another place each time, or another id. The figure of the store's thread is its CPU time an entry, the writing of the zones' indexes and their merging
included; that of the ledger's entry alone is the mean of the beginning and the end, for the ledger's own indexes grow."""


def measure(bench):
    folder = bench.path / "records"
    program = pathlib.Path(bench.generator).parent / "records"
    bench.say(f"{COUNT:,} records are written")
    output = subprocess.run([program, folder, str(COUNT)], check=True, capture_output=True, text=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    return [Row(f"{row['measure']}", row["unit"], {"weir": row["values"]}, at_most(LIMIT_MS) if row["unit"] == "ms" else None) for row in found]

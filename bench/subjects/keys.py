"""Ten keys to a million: what a request costs, what they take, how long the start is."""
import contextlib
import hashlib
import os
import random
import sqlite3
import time
import zlib

from loads import chat_request, full, with_cpu
from machine import on_core
from results import Row, at_most
from sides import Weir

NAME = "keys"
TITLE = "Known keys, full load (JSON)"
COUNTS = (10, 10000, 1000000)
IN_USE = 1000  # at most so many keys take turns
METHOD = f"""\
The keys are written into the database before the start. Up to {IN_USE:,} of them take turns, a request each, so that their rows are not always the same ones. The
start ends when `/readyz` says 200; it is timed in steps of 20 ms. What the table takes is the metric `weir_keys_bytes`; memory is that of the whole process.
The keys have no rules, team or user. nginx knows no keys."""
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(value, digits):
    text = ""
    for _ in range(digits):
        value, digit = divmod(value, 62)
        text = DIGITS[digit] + text
    return text


def make_key(source):
    """As src/identity/key.h describes them."""
    text = "weir_dev_" + "".join(source.choices(DIGITS, k=43))
    return text + base62(zlib.crc32(text.encode()), 6)


def rows_for(keys, count, first_change):
    """Rows of api_key: the given keys, spread among others whose hashes belong to no key."""
    now_us = int(time.time() * 1e6)
    every = count // len(keys)
    for number in range(count):
        known = number % every == 0 and number // every < len(keys)
        secret = hashlib.sha256(keys[number // every].encode()).digest() if known else os.urandom(32)
        yield (f"key_{base62(number, 16)}", secret, "bench", "default", "weir_dev_…", now_us, 0, 0, first_change + number)


def fill(path, keys, count):
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        first = database.execute("SELECT coalesce(max(change), 0) + 1 FROM api_key").fetchone()[0]
        database.execute("PRAGMA synchronous = OFF")
        database.executemany("INSERT INTO api_key(id, hash, name, workspace, hint, created_utc_us, expires_utc_us, revoked_utc_us, change) "
                             "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", rows_for(keys, count, first))


def prepared(bench, upstream, count, keys):
    """A gateway that has run once, with so many keys in its database: (side, ms that its start took)."""
    side = Weir(f"{bench.folder}/keys-{count}", upstream, bench.binary).start()
    side.stop()
    database, = (bench.path / f"keys-{count}/data").glob("*.db")
    # The harness has made one.
    fill(database, keys[:min(count - 1, IN_USE)], count - 1)
    return side


def start_ms(bench, side, count):
    with on_core(bench.core):
        began = time.perf_counter()
        side.gateway.launch_and_find()
        side.gateway.wait_ready()
        took = (time.perf_counter() - began) * 1000
    found = side.metric("weir_keys")
    assert found == count, f"{found} keys are known, not {count}"
    return took


def measure(bench):
    keys = [make_key(random.Random(number)) for number in range(IN_USE)]
    body = chat_request()
    sides, starts, memory, table = {}, {}, {}, {}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(bench.upstream())
        for count in COUNTS:
            bench.say(f"{count:,} keys are written")
            sides[count] = prepared(bench, upstream, count, keys)
            stack.callback(sides[count].stop)
            starts[count] = start_ms(bench, sides[count], count)
            memory[count] = sides[count].resident()
            time.sleep(3)  # the smaller arrays that it has outgrown go within two seconds
            table[count] = sides[count].metric("weir_keys_bytes")

        def run(count):
            return with_cpu(sides[count], lambda: full(bench, sides[count], body, keys=keys[:min(count - 1, IN_USE)]))

        results = {count: [] for count in COUNTS}
        for turn in range(bench.options.rounds):
            for count in COUNTS:
                bench.say(f"round {turn + 1}: {count:,} keys")
                results[count].append(run(count))
    rows = []
    for count in COUNTS:
        many = count == max(COUNTS)
        rows += [
            Row(f"{count:,} keys: CPU a request, worker", "µs", {"weir": [result["cpu"]["worker"] for result in results[count]]}),
            Row(f"{count:,} keys: CPU a request, store thread", "µs", {"weir": [result["cpu"]["store"] for result in results[count]]}),
            Row(f"{count:,} keys: memory after the start", "MiB", {"weir": [memory[count] / 1024]}),
            Row(f"{count:,} keys: the table, a key", "bytes", {"weir": [table[count] / count]}, at_most(200) if many else None),
            Row(f"{count:,} keys: start until all are known", "ms", {"weir": [starts[count]]}, at_most(3000) if many else None),
        ]
    return rows

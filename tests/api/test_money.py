"""The simulator's log is the oracle for money: every call that it served has exactly one ledger entry with its tokens."""
import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess

import pytest

from harness import plain
from harness.load import Load, by_model, judge
from harness.processes import chat_body
from harness.waiting import SCALE, until

COUNT = 600 if SCALE < 4 else 150


def run(load, **how):
    return asyncio.run(load.run(**how))


@pytest.mark.tsan
def test_every_call_has_one_entry_with_its_exact_tokens(make_gateway, make_sim):
    simulator = make_sim()
    instance = make_gateway(simulator, server={"listen": "127.0.0.1:0", "workers": 2})
    sent = run(Load(instance, "m", seed=1), count=COUNT)
    assert all(one.finished for one in sent)
    entries = instance.wait_ledger(COUNT, 30)
    assert len(entries) == COUNT
    served = simulator.log()
    assert len(served) == COUNT
    assert judge(sent, entries, served) == []
    assert len({entry["request_id"] for entry in entries}) == COUNT


def test_cached_and_reasoning_tokens_are_kept(make_gateway, sim):
    instance = make_gateway(sim)
    answer = instance.chat(reasoning_effort="high")
    usage = answer.json()["usage"]
    entry = instance.entry_of(answer.headers["x-request-id"])
    assert entry["input_tokens"] == usage["prompt_tokens"] and entry["output_tokens"] == usage["completion_tokens"]
    assert entry["cached_tokens"] == usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    assert entry["reasoning_tokens"] == usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0)


def test_faults_and_leaving_clients_have_one_entry_each(make_gateway, make_sim):
    simulator = make_sim()
    instance = make_gateway(simulator, timeouts={"first_byte": f"{2 * SCALE}s", "idle": f"{2 * SCALE}s"})
    kinds = ["status=500", "status=429", "reset", "close", "truncate=1", "stall=1", "reset-mid", "silence", "no-usage", ""]

    async def everything():
        async def one(number):
            body = chat_body(f"f {number}", model=f"sim/f-{number}", stream=number % 2 == 0)
            return await plain.call_async(instance.address, "/v1/chat/completions",
                                          {**instance.authorization, "x-sim-fault": kinds[number % len(kinds)], "x-sim-tokens": "9"}, body)

        async def leaver(number):
            body = chat_body(f"l {number}", model=f"sim/l-{number}", stream=True)
            return await plain.call_async(instance.address, "/v1/chat/completions",
                                          {**instance.authorization, "x-sim-rate": "5", "x-sim-tokens": "500"}, body,
                                          timeout=1.0 * SCALE)

        return await asyncio.gather(*[one(number) for number in range(100)], *[leaver(number) for number in range(20)])

    asyncio.run(everything())
    entries = by_model(instance.wait_ledger(120, 30))
    assert sorted(entries) == sorted([f"f-{n}" for n in range(100)] + [f"l-{n}" for n in range(20)])
    assert {mark: len(rows) for mark, rows in entries.items() if len(rows) != 1} == {}
    assert {rows[0]["outcome"] for mark, rows in entries.items() if mark.startswith("l-")} == {"aborted"}
    for mark, (entry,) in entries.items():
        assert entry["cost_cu_milli"] <= entry["reserved_cu_milli"], mark


def test_refusals_cost_nothing_and_reach_no_provider(make_gateway, make_sim):
    simulator = make_sim()
    instance = make_gateway(simulator)
    instance.request("POST", "/v1/chat/completions", b"{", {"content-type": "application/json"})
    instance.chat(model="nobody-knows")
    plain.call(instance.address, "POST", "/v1/chat/completions", {}, chat_body())
    assert simulator.log() == []
    instance.chat()
    entries = [entry for entry in instance.wait_ledger(1) if entry["cost_cu_milli"] > 0 or entry["outcome"] == "ok"]
    assert len(entries) == 1


def database(instance):
    return next(instance.folder.rglob("weir.db"))


def test_a_locked_store_loses_nothing(make_gateway, make_sim):
    simulator = make_sim()
    instance = make_gateway(simulator)
    with contextlib.closing(sqlite3.connect(database(instance), isolation_level=None, timeout=10)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        sent = run(Load(instance, "locked", seed=2), count=100)
        lock.execute("ROLLBACK")
    assert all(one.finished for one in sent), "the data plane goes on with what it knows"
    entries = instance.wait_ledger(100, 30)
    assert judge(sent, entries, simulator.log()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 96 MiB; needs the right to mount."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    mounted = shutil.which("mount") and subprocess.run([*prefix, "mount", "-t", "tmpfs", "-o", "size=96m,mode=0777", "weir-test", folder],
                                                       capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("a tmpfs cannot be mounted here: the full disk is not tried")
    yield folder
    subprocess.run([*prefix, "umount", "-l", folder], check=True)


def fill(folder):
    """Takes all the room that is left; gives the file."""
    path = folder / "ballast"
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return path


def test_a_full_disk_loses_nothing_and_readiness_tells(make_gateway, make_sim, small_disk):
    simulator = make_sim()
    instance = make_gateway(simulator, data_dir=str(small_disk / "data"))
    before = run(Load(instance, "before", seed=3), count=50)
    ballast = fill(small_disk)
    during, unready = [], False
    # Long records fill the journal's present segment sooner.
    long_words = {"x-weir-tags": ",".join(f"tag{number}={'v' * 50}" for number in range(10)), "x-request-id": "r" * 120}
    for round_number in range(400):
        during += run(Load(instance, f"full{round_number}", seed=round_number, headers=long_words, fast=True), count=200)
        unready = plain.call(instance.address, "GET", "/readyz").status == 503
        if unready:
            break
    assert unready, "readiness tells of a full disk"
    # What fits into the journal's present segment may still be served; what does not is refused, never served unrecorded.
    refused = next((one.answer for one in during if one.answer.status == 503), None)
    if refused is not None:
        assert refused.json()["error"]["code"] == "recording_unavailable"
        assert refused.headers["retry-after"] == "5"
    ballast.unlink()
    until(lambda: plain.call(instance.address, "GET", "/readyz").status == 200, "readiness once there is room", 30)
    after = run(Load(instance, "after", seed=4), count=50)
    assert all(one.finished for one in before + after)
    sent = before + during + after
    wanted = sum(one.finished for one in sent)
    until(lambda: count_rows(instance) >= wanted, "the ledger to have every finished call", 60, step=1)
    assert judge(sent, all_entries(instance), simulator.log()) == []


def count_rows(instance):
    return len(all_entries(instance))


def all_entries(instance):
    """More than one page of the ledger."""
    entries, after = [], 0
    while True:
        page = instance.ledger("--limit", "10000", "--after", str(after))
        entries += page
        if len(page) < 10000:
            return entries
        after = page[-1]["sequence"]


def test_an_answer_too_large_to_hold_is_charged_by_its_own_usage(make_gateway, sim):
    instance = make_gateway(sim, limits={"default_output_tokens": 2_000_000})
    answer = instance.chat(headers={"x-sim-fault": "huge=3000000"}, model="sim-small")
    assert answer.status == 200 and len(answer.body) > 2_500_000
    usage = json.loads(answer.body)["usage"]
    entry = instance.entry_of(answer.headers["x-request-id"])
    assert entry["usage_source"] == "provider"
    assert (entry["input_tokens"], entry["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])

"""kill -9 at random moments under load: every answer that a client holds completely is in the ledger exactly once, every
other call once. WEIR_KILL_ROUNDS sets the rounds (20), WEIR_SEED the moments."""
import asyncio
import os
import random

import pytest

from harness.load import Load, judge
from harness.waiting import SCALE, until

ROUNDS = int(os.environ.get("WEIR_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("WEIR_SEED", "20"))


async def load_and_kill(load, delay):
    running = asyncio.create_task(load.run())
    await asyncio.sleep(delay)
    load.gateway.kill()
    await asyncio.wait_for(running, 60 * SCALE)
    return load.sent


@pytest.mark.timeout(120 + ROUNDS * 30)
def test_kill_9_loses_no_promise(make_gateway, make_sim):
    chosen = random.Random(SEED)
    simulator = make_sim()
    instance = make_gateway(simulator, server={"listen": "127.0.0.1:0", "workers": 2})
    finished = crashed = 0
    seen_before = 0
    for number in range(ROUNDS):
        load = Load(instance, f"k{number}", workers=24, seed=SEED + number)
        sent = asyncio.run(load_and_kill(load, chosen.uniform(0.05, 0.8) * min(SCALE, 2)))
        instance.start()
        served = {row["model"] for row in simulator.log() if row["model"].startswith(f"k{number}-")}
        done = {one.mark for one in sent if one.finished}

        def settled(known=seen_before, wanted=served | done):
            entries = instance.ledger("--limit", "10000", "--after", str(known))
            return entries if {entry["model"].removeprefix("sim/") for entry in entries} >= wanted else None

        entries = until(settled, f"every call of round {number} to be in the ledger (WEIR_SEED={SEED})", 20, step=0.1)
        rows = [row for row in simulator.log() if row["model"].startswith(f"k{number}-")]
        problems = judge(sent, entries, rows)
        assert not problems, f"round {number}, WEIR_SEED={SEED}:\n" + "\n".join(problems[:20])
        states = {entry["outcome"] for entry in entries}
        assert states <= {"ok", "crashed", "aborted", "error"}
        finished += len(done)
        crashed += sum(entry["outcome"] == "crashed" for entry in entries)
        seen_before = max([entry["sequence"] for entry in entries], default=seen_before)
    assert finished > ROUNDS, "hardly anything was served: the rounds prove nothing"
    assert crashed > 0, "no call was in flight at any kill: the rounds prove nothing"


def test_a_killed_server_starts_again_on_its_own(make_gateway, sim):
    instance = make_gateway(sim)
    assert instance.chat().status == 200
    instance.kill()
    instance.start()
    assert instance.chat().status == 200
    assert len(instance.wait_ledger(2)) == 2

"""Nobody spends beyond a hard budget, not by a milli-CU: many calls at once, whatever they, their clients and their provider do. And nobody is refused who would have
fitted. The ledger is the judge: what it charged in a scope, against the scope's limit. Each test prints the worst overshoot and the overrun account."""
import asyncio
import os
import random

import pytest

from harness.governed import NO_LIMIT, govern
from harness.waiting import SCALE, until

LONG = bool(os.environ.get("WEIR_LONG"))
KILL_ROUNDS = int(os.environ.get("WEIR_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("WEIR_SEED", "7"))
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
PROMPT = "What does a weir measure? " * 4


def tell(capsys, governed, entries, name):
    """Prints what there is to know, and gives (the worst overshoot, the overrun account)."""
    overshoot, where = governed.worst_overshoot(entries)
    overrun = sum(entry["overrun_cu_milli"] for entry in entries)
    with capsys.disabled():
        print(f"\n{name}: {len(entries)} entries, worst overshoot {overshoot} milli-CU{f' ({where})' if overshoot else ''}, overrun {overrun} milli-CU")
    return overshoot, overrun


def probe(governed, caller, **call):
    """What one call reserves and costs."""
    before = len(governed.instance.ledger())
    answer, = governed.together([governed.chat(caller, **call)])
    assert answer.status == 200, answer.body
    entry = governed.instance.wait_ledger(before + 1)[-1]
    governed.wait_idle()
    return entry["reserved_cu_milli"], entry["cost_cu_milli"]


@pytest.mark.parametrize("workers", [1, 4])
def test_200_streams_on_one_key_with_room_for_10(make_gateway, make_sim, capsys, workers):
    governed = govern(make_gateway, make_sim(), workers)
    caller = governed.caller("hot")
    call = {"text": PROMPT, "max_tokens": 40, "headers": {"x-sim-tokens": "40", "x-sim-ttft": "400"}, **STREAM}
    reserved, cost = probe(governed, caller, **call)
    governed.budget("key", caller.id, cost + 10 * reserved)
    answers = governed.together([governed.chat(caller, **call) for _ in range(200)])
    assert {answer.status for answer in answers} <= {200, 429}
    served = [answer for answer in answers if answer.status == 200]
    assert all(answer.complete and answer.body.endswith(b"data: [DONE]\n\n") for answer in served)
    governed.wait_idle()
    entries = governed.instance.wait_ledger(1 + len(served))
    overshoot, overrun = tell(capsys, governed, entries, f"200 streams, room for 10, {workers} workers, {len(served)} served")
    assert overshoot == 0 and overrun == 0
    assert len(served) >= 10, "there was room for ten"
    refused = next(answer for answer in answers if answer.status == 429)
    details = refused.json()["details"]
    assert refused.json()["error_code"] == "WEIR_CU_LIMIT_EXCEEDED"
    assert (details["scope"], details["window"], details["limit_cu_milli"]) == ("key", "month", cost + 10 * reserved)
    assert details["limit_cu_milli"] - details["used_cu_milli"] < reserved
    assert int(refused.headers["retry-after"]) >= 1


# What a call asks for, what the simulator is told to do, and how long the client stays.
TRUTHFUL = [
    ("whole", {}, "", None), ("stream", STREAM, "", None), ("three choices", {"n": 3}, "", None),
    ("no max_tokens", {"max_tokens": None}, "", None), ("stream without usage asked for", {"stream": True}, "", None),
    ("long prompt", {"text": "日本語の長い文章 and numbers 12345 " * 60}, "", None),
    ("long prompt, no usage", {"text": "日本語の長い文章 and numbers 12345 " * 60}, "no-usage", None),
    ("leaves", STREAM, "slow-body=20", 0.3), ("leaves before the first byte", {}, "delay=2000", 0.2),
    ("status 500", {}, "status=500", None), ("status 429", {}, "status=429", None), ("status 400", {}, "status=400", None),
    ("reset", {}, "reset", None), ("reset in the middle", STREAM, "reset-mid", None), ("cut", STREAM, "cut=5", None),
    ("error event", STREAM, "error-event", None), ("bad JSON", {}, "bad-json", None),
    ("no usage", {}, "no-usage", None), ("no usage, stream", STREAM, "no-usage", None),
    ("half of the usage", {}, "usage-percent=50", None), ("no tokens at all", STREAM, "wrong-usage=0", None),
    ("negative usage", {}, "negative-usage", None), ("negative usage, stream", STREAM, "negative-usage", None),
]
LYING = [("a million times the usage", {}, "wrong-usage=1000000", None), ("a million times, stream", STREAM, "wrong-usage=1000000", None),
         ("three times the usage, all used", {"max_tokens": 200}, "wrong-usage=3", None)]


@pytest.mark.parametrize("kinds, truthful", [(TRUTHFUL, True), (TRUTHFUL + LYING, False)], ids=["truthful", "lying"])
def test_whatever_happens_no_budget_is_passed(make_gateway, make_sim, capsys, kinds, truthful):
    governed = govern(make_gateway, make_sim(), 4, timeouts={"connect": "5s", "first_byte": "20s", "idle": "20s", "request": "60s"})
    callers = [governed.caller("a", "red", "ann"), governed.caller("b", "red", "bob"), governed.caller("c", "blue", "ann"), governed.caller("d")]
    reserved, _ = probe(governed, callers[0], text=PROMPT, headers={"x-sim-tokens": "200"})  # without max_tokens: the dearest
    cap = 3 * reserved
    for share, (scope, scope_id) in enumerate([("key", callers[0].id), ("key", callers[1].id), ("user", "default/ann"), ("team", "default/red"),
                                               ("workspace", "default"), ("model", "sim-small"), ("global", "")]):
        governed.budget(scope, scope_id, cap + share * reserved // 3, window=("day", "month", "total", "week")[share % 4])
    governed.budget("provider", "sim", NO_LIMIT)
    rounds = 40 if LONG else max(2, 6 // SCALE)
    answers = []
    for number in range(rounds):
        calls = []
        for index, (name, fields, fault, stays) in enumerate(kinds):
            for caller in callers:
                body = {"text": f"{PROMPT} {name}", "max_tokens": 300, **fields}
                body = {key: value for key, value in body.items() if value is not None}
                headers = {"x-sim-tokens": "200", **({"x-sim-fault": fault} if fault else {})}
                calls.append(governed.chat(caller, headers, timeout=stays * SCALE if stays else 120, **body))
        answers += governed.together(calls)
    governed.wait_idle()
    entries = governed.entries()
    overshoot, overrun = tell(capsys, governed, entries, f"{len(answers)} calls of {len(kinds)} kinds on 4 workers")
    assert overshoot == 0
    for entry in entries:
        assert 0 <= entry["cost_cu_milli"] <= entry["reserved_cu_milli"], entry
    assert sum(answer.status == 200 for answer in answers) > 20
    assert any(answer.status == 429 for answer in answers), "the budgets were never reached: this proves nothing"
    assert governed.metric("weir_overrun_cu_milli_total") == overrun
    report = governed.operator.get("/api/v1/overruns", status=200).json()
    if truthful:
        assert overrun == 0 and report["overrun_cu_milli"] == 0
        assert not [line for line in governed.instance.log_lines() if line.get("event") in ("overrun", "budget_overrun")]
    else:
        assert overrun > 0
        until(lambda: any(line.get("event") == "budget_overrun" for line in governed.instance.log_lines()), "the alarm of an overrun")
        assert report["overrun_cu_milli"] == overrun


@pytest.mark.parametrize("workers", [2])
def test_who_fits_is_not_refused(make_gateway, make_sim, capsys, workers):
    """With max_tokens at most twice the true output, and room for twenty worst cases or more, at most one in a hundred is refused."""
    governed = govern(make_gateway, make_sim(), workers)
    caller = governed.caller("fits", "red", "ann")
    call = {"text": PROMPT, "max_tokens": 120, "headers": {"x-sim-tokens": "60", "x-sim-ttft": "5"}}
    reserved, cost = probe(governed, caller, **call)
    count = 5000 if LONG else max(200, 1000 // SCALE)
    # Even if all were served, there is room for twenty worst cases to the last.
    limit = cost * (count + 2) + 20 * reserved
    for scope, scope_id in caller.scopes().items():
        governed.budget(scope, scope_id, limit)

    async def crowd():
        numbers = iter(range(count))
        statuses = []

        async def one(worker):
            for number in numbers:
                more = STREAM if number % 2 else {}
                statuses.append((await governed.chat(caller, **call, **more)).status)

        await asyncio.gather(*[one(worker) for worker in range(20)])
        return statuses

    statuses = asyncio.run(crowd())
    governed.wait_idle()
    entries = governed.entries()
    overshoot, overrun = tell(capsys, governed, entries, f"{count} calls that fit, 20 at once, {statuses.count(429)} refused")
    assert set(statuses) <= {200, 429} and overshoot == 0 and overrun == 0
    assert statuses.count(429) <= count // 100


def test_the_last_of_a_budget_is_had(make_gateway, make_sim):
    """One caller alone comes as near to the limit as one call's worst case."""
    governed = govern(make_gateway, make_sim(), 2)
    caller = governed.caller("alone")
    call = {"text": PROMPT, "max_tokens": 50, "headers": {"x-sim-tokens": "50"}}
    reserved, cost = probe(governed, caller, **call)
    governed.budget("key", caller.id, 25 * cost)
    statuses = []
    while 429 not in statuses and len(statuses) < 60:
        statuses += [answer.status for answer in governed.together([governed.chat(caller, **call)])]
    governed.wait_idle()
    left = 25 * cost - governed.charged()[("key", caller.id)]
    assert 0 <= left < reserved, "what was left sufficed for one more"


async def load_and_kill(governed, callers, call, delay, meanwhile):
    """Calls of everybody until the gateway is gone; `meanwhile` runs on a thread of its own halfway."""
    done = []

    async def one(number):
        while governed.instance.running:
            answer = await governed.chat(callers[number % len(callers)], **call, **(STREAM if number % 2 else {}))
            done.append((answer.headers.get("x-request-id"), answer.status, answer.complete))
            if answer.status == 0:
                return
            if answer.status == 429:
                await asyncio.sleep(0.02)

    async def kill():
        await asyncio.sleep(delay / 2)
        changing = asyncio.create_task(asyncio.to_thread(meanwhile))
        await asyncio.sleep(delay / 2)
        governed.instance.kill()
        await changing

    await asyncio.gather(kill(), *[one(number) for number in range(16)])
    return done


@pytest.mark.timeout(180 + KILL_ROUNDS * 30)
def test_kill_9_and_restarts_forget_nothing_and_pass_no_limit(make_gateway, make_sim, capsys):
    """kill -9 at random moments while budgets run out, with two workers, and the command line raising limits meanwhile. Whatever step of a settlement it comes between,
    limits hold, what a client holds whole is in the ledger once, and nothing of the dead stays out."""
    chosen = random.Random(SEED)
    governed = govern(make_gateway, make_sim(), 2, meter={"slice_idle": "1s"})
    instance = governed.instance
    callers = [governed.caller("a", "red", "ann"), governed.caller("b", "red", "bob")]
    call = {"text": PROMPT, "max_tokens": 30, "headers": {"x-sim-tokens": "25", "x-sim-ttft": "20"}}
    reserved, cost = probe(governed, callers[0], **call)
    step = 25 * reserved
    limits = {"key": (callers[0].id, step), "team": ("default/red", step * 3 // 2), "global": ("", step * 2)}
    for scope, (scope_id, limit) in limits.items():
        governed.budget(scope, scope_id, limit, window="total", name=scope)
    finished, refused, crashed = set(), 0, 0
    for number in range(KILL_ROUNDS):
        def raise_limits():
            """By the command line, which has a connection of its own to the database."""
            for budget in governed.budgets:
                budget["limit_cu_milli"] += step // 4
                instance.command("budget", "set", *instance.file_words, budget["id"], "--limit", f"{budget['limit_cu_milli']}mcu")

        done = asyncio.run(load_and_kill(governed, callers, call, chosen.uniform(0.05, 0.6) * min(SCALE, 2), raise_limits))
        finished |= {request for request, status, complete in done if status == 200 and complete}
        refused += sum(status == 429 for _, status, _ in done)
        raise_limits()  # without a server
        instance.start()
        governed.wait_idle()
        entries = governed.entries()
        overshoot, where = governed.worst_overshoot(entries)
        assert overshoot == 0, f"round {number}, WEIR_SEED={SEED}: {where} was passed by {overshoot} milli-CU"
        seen = [entry["request_id"] for entry in entries]
        assert len(seen) == len(set(seen)) and finished <= set(seen), f"round {number}, WEIR_SEED={SEED}"
        crashed = sum(entry["outcome"] == "crashed" for entry in entries)
    assert len(finished) > KILL_ROUNDS and refused > 0 and crashed > 0, (len(finished), refused, crashed)
    governed.wait_no_slices()
    with capsys.disabled():
        print(f"\n{KILL_ROUNDS} rounds of kill -9: {len(finished)} whole answers, {refused} refused, {crashed} crashed, worst overshoot 0 milli-CU")

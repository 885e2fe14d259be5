"""Load whose every call can be found again: each asks for a model of its own, `sim/<mark>`, which stands in the ledger
and in the simulator's log alike."""
import asyncio
import json
import random
from dataclasses import dataclass

from .plain import Answer, call_async
from .processes import chat_body


@dataclass
class Sent:
    mark: str
    stream: bool
    answer: Answer = None

    @property
    def finished(self):
        """Whether the client holds the whole answer: a body with all its bytes, or a stream with its terminal event."""
        if self.answer is None or self.answer.status != 200:
            return False
        if self.stream:
            return self.answer.body.endswith(b"data: [DONE]\n\n")
        return self.answer.complete

    @property
    def usage(self):
        """(prompt, completion, usedCUMilli) as the client read them."""
        if not self.stream:
            usage = self.answer.json()["usage"]
            return usage["prompt_tokens"], usage["completion_tokens"], usage["usedCUMilli"]
        last = json.loads(self.answer.events()[-2])
        usage = last.get("usage") or {}
        return usage.get("prompt_tokens"), usage.get("completion_tokens"), last["usedCUMilli"]


class Load:
    """`workers` clients that send one request after the other until they are told to stop; `fast` ones get short answers at
    once, others answers of many lengths and speeds."""

    def __init__(self, gateway, prefix, workers=16, seed=0, headers=None, fast=False):
        self.gateway, self.prefix, self.workers, self.headers, self.fast = gateway, prefix, workers, headers or {}, fast
        self.random = random.Random(seed)
        self.sent = []

    async def _one(self, number):
        stream = self.random.random() < 0.5
        sent = Sent(f"{self.prefix}-{number}", stream)
        self.sent.append(sent)
        more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        shape = {"x-sim-ttft": str(self.random.choice([0, 0, 5, 40])), "x-sim-rate": str(self.random.choice([200, 1000, 5000])),
                 "x-sim-tokens": str(self.random.randint(1, 60))} if not self.fast else {"x-sim-tokens": "2"}
        sent.answer = await call_async(self.gateway.address, "/v1/chat/completions",
                                       {**self.gateway.authorization, **shape, **self.headers},
                                       chat_body(f"call {sent.mark}", model=f"sim/{sent.mark}", **more))
        return sent.answer.status != 0

    async def run(self, count=None):
        """Runs for a number of calls, or without one until the gateway is gone."""
        numbers = iter(range(count)) if count is not None else iter(range(10**9))

        async def worker():
            for number in numbers:
                if not await self._one(number) and count is None:
                    return

        await asyncio.gather(*[worker() for _ in range(self.workers)])
        return self.sent


def by_model(entries):
    """{mark: [entries]}"""
    found = {}
    for entry in entries:
        found.setdefault(entry["model"].removeprefix("sim/"), []).append(entry)
    return found


def judge(sent, entries, served):
    """What is wrong with the books, as lines: `served` is the simulator's log, the oracle."""
    ledger, problems = by_model(entries), []
    calls = {}
    for row in served:
        calls.setdefault(row["model"], []).append(row)
    for one in sent:
        rows = ledger.pop(one.mark, [])
        if one.finished:
            if len(rows) != 1 or rows[0]["outcome"] != "ok":
                problems.append(f"{one.mark}: the client holds its answer, the ledger has {rows}")
                continue
            prompt, completion, used = one.usage
            booked = (rows[0]["input_tokens"], rows[0]["output_tokens"], rows[0]["cost_cu_milli"])
            if booked != (prompt, completion, used):
                problems.append(f"{one.mark}: the client read {one.usage}, the ledger has {booked}")
        elif one.mark in calls and len(rows) != 1:
            problems.append(f"{one.mark}: served by the provider, and {len(rows)} times in the ledger")
        elif len(rows) > 1:
            problems.append(f"{one.mark}: {len(rows)} times in the ledger")
    known = {one.mark for one in sent}
    problems += [f"{mark}: in the ledger and never sent" for mark in ledger if mark not in known]
    for mark, rows in calls.items():
        finished = [row for row in rows if row["complete"]]
        entries_of = by_model(entries).get(mark, [])
        if mark in known and len(finished) == 1 and len(entries_of) == 1 and entries_of[0]["usage_source"] == "provider":
            booked = (entries_of[0]["input_tokens"], entries_of[0]["output_tokens"])
            if booked != (finished[0]["prompt_tokens"], finished[0]["completion_tokens"]):
                problems.append(f"{mark}: the provider counted {finished[0]}, the ledger has {booked}")
    return problems


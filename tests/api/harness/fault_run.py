"""Runs the rows of the fault table: every case with a provider, and so a connection, of its own, many of them at once.

Each case is one call with its fault and one behind it without, over the same provider, which may have one connection: what a broken answer
left behind would meet the second call. What happened is told by the client, the ledger, and the simulator's log.
"""
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .fault_calls import TOKENS, Caller, Seen
from .fault_table import CLOCKS, DEADLINES
from .processes import Gateway, default_settings
from .waiting import SCALE, until

# milli-CU per million tokens; no two alike, so that no figure can stand for another
PRICES = {"input": 150_000_007, "cached": 40_000_003, "output": 600_000_011, "reasoning": 900_000_017}
MODEL = "sim-small"
FORWARDED = [f"x-sim-{name}" for name in ("fault", "tokens", "rate", "ttft")]


@dataclass(frozen=True)
class Outcome:
    """What is expected of a case, and what it came to."""
    seen: Seen
    outcome: str          # in the ledger
    attempts: tuple       # the reason of each; "" for one that was good
    charge: str
    sends: int            # how often the provider was asked, by its own log
    after: str            # which timer ended it
    next_one: str         # the call behind it: over the same connection, a fresh one, or what went wrong


@dataclass(frozen=True)
class Case:
    row: object
    kind: str
    number: int

    @property
    def name(self):
        return f"{self.row.fault or 'none'}-{self.row.clock}-{self.kind}{'-second' if self.row.second else ''}{self.row.note and '-' + self.row.note}".replace(" ", "_")


def cost_of(used):
    """What these tokens cost: one sum, rounded up once."""
    total = ((used["input"] - used["cached"]) * PRICES["input"] + used["cached"] * PRICES["cached"]
             + (used["output"] - used["reasoning"]) * PRICES["output"] + used["reasoning"] * PRICES["reasoning"])
    return -(-total // 1_000_000)


def used_of(input_tokens=0, cached=0, output=0, reasoning=0):
    return {"input": input_tokens, "cached": cached, "output": output, "reasoning": reasoning}


def price_file():
    return {"format": "weir-prices-1", "rows": [
        {"provider": "sim", "model": MODEL, **PRICES, "max_input_tokens": 131072, "max_output_tokens": 2048,
         "source": "invented", "date": "2026-11-21"}]}


class Run:
    """All cases, and what came of each: `outcomes[case]`."""

    def __init__(self, binary, folder, simulator, cases):
        self.binary, self.folder, self.simulator, self.cases = binary, folder, simulator, cases
        self.gateways, self.caller, self.taken, self.next_taken = {}, Caller(), {}, {}
        self.outcomes = {}

    def settings(self, clock):
        providers, models = [], []
        for case in self.cases:
            if case.row.clock != clock:
                continue
            name = f"p{case.number}"
            providers.append({"name": name, "dialect": "openai", "base_url": case.row.base_url or self.simulator.base_url, "api_key": "x",
                              "prices": "sim", "max_connections": 1, "forward_headers": FORWARDED})
            targets = [{"provider": name, "model": MODEL}]
            if case.row.second:
                targets.append({"provider": "healthy", "model": MODEL, "order": 1})
            models.append({"name": f"m{case.number}", "targets": targets})
        providers.append({"name": "healthy", "dialect": "openai", "base_url": self.simulator.base_url, "api_key": "x", "prices": "sim",
                          "forward_headers": ["x-sim-tokens"]})
        return default_settings(self.simulator, timeouts=CLOCKS[clock], providers=providers, models=models, prices_file="prices.json")

    def start(self, clock):
        gateway = Gateway(self.binary, self.folder / clock, self.settings(clock))
        (self.folder / clock / "prices.json").write_text(json.dumps(price_file()))
        self.gateways[clock] = gateway
        gateway.start()

    def close(self):
        problems = []
        for gateway in self.gateways.values():
            try:
                gateway.close()
            except AssertionError as error:
                problems.append(str(error))
        assert not problems, "\n".join(problems)

    def whole_answers(self):
        """What a healthy provider answers to each kind of call."""
        gateway = next(iter(self.gateways.values()))
        return {kind: self.caller.call(gateway, kind, f"healthy/{MODEL}", {"x-sim-tokens": str(TOKENS)})[1]
                for kind in {case.kind for case in self.cases}}

    def one(self, case):
        gateway, row = self.gateways[case.row.clock], case.row
        headers = {"x-sim-tokens": str(row.tokens), **row.wishes}
        if row.fault:
            headers["x-sim-fault"] = row.fault
        wanted = self.wanted[case.kind] if row.tokens == TOKENS else None
        self.taken[case] = self.caller.call(gateway, case.kind, f"m{case.number}", headers, wanted)[0]
        self.next_taken[case] = self.caller.call(gateway, case.kind, f"p{case.number}/{MODEL}", {"x-sim-tokens": str(TOKENS)},
                                                 self.wanted[case.kind])[0]

    def run(self):
        for clock in {case.row.clock for case in self.cases}:
            self.start(clock)
        self.wanted = self.whole_answers()
        with ThreadPoolExecutor(16) as pool:
            for done in [pool.submit(self.one, case) for case in self.cases]:
                done.result()
        self.judge()

    def judge(self):
        entries = {}
        for clock, gateway in self.gateways.items():
            count = sum(2 for case in self.cases if case.row.clock == clock)
            entries |= {entry["request_id"]: entry for entry in gateway.wait_ledger(count, 30)}
        ids = {taken.request_id for taken in [*self.taken.values(), *self.next_taken.values()]}
        # calls that never end are in the log when the gateway has left them
        log = until(lambda: self.all_logged(), "every call to be over at the provider")
        lines = {}
        for line in log:
            lines.setdefault(line["request_id"], []).append(line)
        missing = ids - set(entries)
        assert not missing, f"without a ledger entry: {missing}"
        self.entries, self.lines = entries, lines
        for case in self.cases:
            self.outcomes[case] = self.outcome(case)

    def all_logged(self):
        from .plain import call
        stats = json.loads(call(self.simulator.address, "GET", "/_sim/stats").body)
        return self.simulator.log() if stats["open"] == 0 else None

    def outcome(self, case):
        taken = self.taken[case]
        entry, lines = self.entries[taken.request_id], self.lines.get(taken.request_id, [])
        attempts = tuple(attempt["reason"] or "" for attempt in entry["attempts"])
        assert (entry["reason"] or "") == attempts[-1], "the request's reason is its last attempt's"
        return Outcome(seen=taken.seen, outcome=entry["outcome"], attempts=attempts, charge=self.charge(case, entry, lines, taken),
                       sends=len(lines), after=self.after(case, entry), next_one=self.next_of(case))

    def charge(self, case, entry, lines, taken):
        """Which of the known charges this entry is, to the last token and milli-CU."""
        has = used_of(entry["input_tokens"], entry["cached_tokens"], entry["output_tokens"], entry["reasoning_tokens"])
        truth = used_of(*[lines[-1][f"{name}_tokens"] for name in ("prompt", "cached", "completion", "reasoning")]) if lines else used_of()
        guess = used_of(-(-taken.body_bytes // 4), 0, taken.pieces or -(-taken.content_bytes // 4), 0)
        source, total = entry["usage_source"], entry["cost_cu_milli"] + entry["overrun_cu_milli"]
        assert entry["cost_cu_milli"] <= entry["reserved_cu_milli"] and not entry["unpriced"], entry
        assert entry["overrun_cu_milli"] == 0 or entry["cost_cu_milli"] == entry["reserved_cu_milli"], entry
        capped = " up to the reservation" if entry["overrun_cu_milli"] else ""
        if source == "none" and has == used_of() and total == 0:
            return "nothing"
        if total == cost_of(has):
            if source == "provider":
                for factor in (1, 0, 3, 1000000):
                    if has == {name: number * factor for name, number in truth.items()}:
                        return ("usage" if factor == 1 else f"{factor} times the usage") + capped
            if source in ("aborted", "estimated") and has == guess:
                return {"aborted": f"estimate of {taken.pieces} tokens", "estimated": "estimate of the whole"}[source] + capped
        return f"{source}: {has}, {entry['cost_cu_milli']} + {entry['overrun_cu_milli']}; truth {truth}, guess {guess}"

    def after(self, case, entry):
        """The timer that ended an attempt. None of them may have run short."""
        found = "at once"
        for attempt in entry["attempts"]:
            timer = DEADLINES.get(attempt["reason"])
            if timer is None:
                continue
            since = {"first_byte": attempt["connected_us"], "idle": attempt["first_byte_us"], "request": 0}[timer]
            least_us = CLOCK_MS[case.row.clock][timer] * 1000
            assert attempt["end_us"] - since >= least_us - 2000, f"{timer} came after {attempt['end_us'] - since} us: {entry}"
            found = timer
        return found

    def next_of(self, case):
        taken = self.next_taken[case]
        entry = self.entries[taken.request_id]
        if taken.seen != Seen() or entry["outcome"] != "ok" or len(entry["attempts"]) != 1:
            return f"{taken.seen} {entry['outcome']}"
        if self.charge(case, entry, self.lines[taken.request_id], taken) != "usage":
            return "a wrong charge"
        if len(self.lines[taken.request_id]) != 1:
            return "sent twice"
        return "same connection" if entry["attempts"][0]["reused_connection"] else "fresh connection"


CLOCK_MS = {name: {timer: float(text[:-2]) for timer, text in clock.items() if text.endswith("ms")} for name, clock in CLOCKS.items()}

"""Runs the rows of the fault table: every case with a provider, and so a connection, of its own, many of them at once.

Each case is one call with its fault and one behind it without, over the same provider, which may have one connection: what a broken answer
left behind would meet the second call. What happened is told by the client, the ledger, and the simulator's log.
"""
import contextlib
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .fault_calls import KINDS, SENTENCE, SOUND, TOKENS, Caller, Seen, Target
from .fault_table import CHARACTERS, CLOCKS, EITHER, FRESH, GUESS, NOT_TRIED, NOTHING, PART, ROWS, SAME, TIMERS, USAGE, Row
from .plain import call
from .processes import Gateway, default_settings
from .upstream import MANNERS, rude
from .waiting import until

# milli-CU per million tokens; no two alike, so that no figure can stand for another
TOKEN_PRICES = {"input": 150_000_007, "cached": 40_000_003, "output": 600_000_011, "reasoning": 900_000_017,
                "max_input_tokens": 131072, "max_output_tokens": 4_000_000}
PRICES = {"sim-small": TOKEN_PRICES, "sim-embedding": {"input": 20_000_003, "output": 0},
          "gpt-image-1": {"input": 5_000_000_021, "output": 40_000_000_023}, "sim-transcribe": {"input": 6_000_000_029, "output": 10_000_000_033},
          "sim-speech": {"character": 15_000_000_041}}
PICTURE_TOKENS, SOUND_BYTES_A_TOKEN = 1056, 1600  # what weir takes for usual where nobody says
BUSY_AT_ONCE, WAITING_AT_ONCE = 12, 40
FORWARDED = [f"x-sim-{name}" for name in ("fault", "tokens", "rate", "ttft")]


@dataclass(frozen=True)
class Outcome:
    """What is expected of a case, and what it came to."""
    seen: Seen
    outcome: str          # in the ledger
    reason: str           # of the request, the same as its last attempt's
    attempts: tuple       # the reason of each; "" for one that was good
    charge: str
    sends: int            # how often the provider was asked, by its own log
    then: str             # the call behind it: over the same connection, a fresh one, or what went wrong


@dataclass(frozen=True)
class Case:
    row: Row
    kind: str
    number: int

    @property
    def name(self):
        words = [self.kind, self.row.name, *(["second candidate"] if self.row.second else [])]
        return "-".join(words).replace(" ", "_")

    @property
    def expected(self):
        row = self.row
        reason, sends = row.attempts[-1], len(row.attempts) - (row.peer == "nobody")
        return Outcome(row.sees, "error" if reason else "ok", reason, row.attempts, row.charge, sends, row.then)


CASES = [Case(row, kind, number) for number, (row, kind) in enumerate((row, kind) for row in ROWS for kind in row.kinds)]


def cost_of(model, used):
    """What that costs: one sum, rounded up once."""
    prices = PRICES[model]
    price = prices.get("input", 0)
    total = ((used["input"] - used["cached"]) * price + used["cached"] * prices.get("cached", price)
             + (used["output"] - used["reasoning"]) * prices.get("output", 0)
             + used["reasoning"] * prices.get("reasoning", prices.get("output", 0)))
    return -(-total // 1_000_000)


def cost_of_characters(count):
    return -(-count * PRICES["sim-speech"]["character"] // 1_000_000)


def used_of(row, names):
    """Of a ledger entry or a line of the simulator's log."""
    return {name: row[f"{key}_tokens"] for name, key in zip(("input", "cached", "output", "reasoning"), names, strict=True)}


def guess_of(kind, taken):
    """What an estimate is by the documentation: a token for four bytes, or for each event that carries a piece."""
    used = {"input": -(-taken.body_bytes // 4), "cached": 0, "output": taken.pieces or -(-taken.told_bytes // 4), "reasoning": 0}
    if kind.startswith("images"):
        used["output"] = PICTURE_TOKENS
    elif kind.startswith("transcriptions"):
        used["input"] = len(SOUND) // SOUND_BYTES_A_TOKEN + 1
    return used


ENTRY_NAMES, LOG_NAMES = ("input", "cached", "output", "reasoning"), ("prompt", "cached", "completion", "reasoning")


def price_file():
    return {"format": "weir-prices-1", "rows": [{"provider": "sim", "model": model, **prices, "source": "invented", "date": "2026-11-21"}
                                                for model, prices in PRICES.items()]}


class Run:
    """All cases, and what came of each: `outcomes[case]`."""

    def __init__(self, binary, folder, simulator, cases):
        self.binary, self.folder, self.simulator, self.cases = binary, folder, simulator, cases
        self.gateways, self.caller, self.taken, self.next_taken = {}, Caller(), {}, {}
        self.outcomes, self.problems = {}, {}  # of what could not be judged: the error
        self.dead = socket.socket()  # takes a port, so that nobody else listens there
        self.dead.bind(("127.0.0.1", 0))
        self.rude = {manner: rude(manner) for manner in MANNERS}

    def url_of(self, peer):
        if peer == "nobody":
            return f"http://127.0.0.1:{self.dead.getsockname()[1]}/v1"
        return self.rude[peer].base_url if peer else self.simulator.base_url

    def settings(self, clock):
        providers, models = [], []
        for case in self.cases:
            if case.row.clock != clock:
                continue
            name = f"p{case.number}"
            providers.append({"name": name, "dialect": "openai", "base_url": self.url_of(case.row.peer), "api_key": "x",
                              "prices": "sim", "max_connections": 1, "forward_headers": FORWARDED})
            model = KINDS[case.kind].model
            if not model:
                continue
            targets = [{"provider": name, "model": model}]
            if case.row.second:
                targets.append({"provider": "healthy", "model": model, "order": 1})
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
        self.dead.close()
        for end in [*[peer.stop for peer in self.rude.values()], *[gateway.close for gateway in self.gateways.values()]]:
            try:
                end()
            except AssertionError as error:
                problems.append(str(error))
        assert not problems, "\n".join(problems)

    def target(self, gateway, kind, model, provider):
        file_id = self.caller.upload(gateway, provider) if kind == "batches" else ""
        return Target(model, provider, file_id)

    def whole_answers(self):
        """What a healthy provider answers to each kind of call."""
        gateway = next(iter(self.gateways.values()))
        found = {}
        for kind in sorted({name for case in self.cases for name in (case.kind, case.kind.removesuffix(" large"))}):
            target = self.target(gateway, kind, f"healthy/{KINDS[kind].model}", "healthy")
            taken, found[kind] = self.caller.call(gateway, kind, target, {"x-sim-tokens": str(TOKENS)})
            assert taken.seen == Seen(), f"{kind}: {taken.seen}"
        return found

    def one(self, case):
        gateway, row, provider = self.gateways[case.row.clock], case.row, f"p{case.number}"
        wanted = self.wanted[case.kind]
        headers = {"x-sim-tokens": str(TOKENS), **row.wishes, **({"x-sim-fault": row.fault} if row.fault else {})}
        target = self.target(gateway, case.kind, f"m{case.number}", provider)
        taken = self.caller.call(gateway, case.kind, target, headers, wanted, row.size, row.loose)[0]
        if not row.peer:
            behind = Target(f"{provider}/{KINDS[case.kind].model}", provider, target.file_id)
            kind = case.kind.removesuffix(" large")
            self.next_taken[case] = self.caller.call(gateway, kind, behind, {"x-sim-tokens": str(TOKENS)}, self.wanted[kind])[0]
        self.taken[case] = taken

    def run(self):
        for clock in {case.row.clock for case in self.cases}:
            self.start(clock)
        self.wanted = self.whole_answers()
        # Those that wait for a timer wait together, beside those that have something to do.
        with contextlib.ExitStack() as stack:
            pools = {clock: stack.enter_context(ThreadPoolExecutor(BUSY_AT_ONCE if clock == "patient" else WAITING_AT_ONCE))
                     for clock in self.gateways}
            made = {case: pools[case.row.clock].submit(self.one, case) for case in self.cases}
        self.problems = {case: future.exception() for case, future in made.items() if future.exception() is not None}
        self.judge()

    def judge(self):
        ids = {taken.request_id for taken in [*self.taken.values(), *self.next_taken.values()]}
        self.entries, self.lines = {}, {}

        def all_settled():
            for gateway in self.gateways.values():
                self.entries |= {entry["request_id"]: entry for entry in gateway.ledger()}
            return ids <= set(self.entries)

        until(all_settled, "an entry for every call", 30, step=0.3)
        # calls that never end are in the log when the gateway has left them
        for line in until(self.all_logged, "every call to be over at the provider"):
            self.lines.setdefault(line["request_id"], []).append(line)
        for lines in self.lines.values():
            lines.sort(key=lambda line: line["n"])  # they stand there in the order in which calls ended
        for case in [case for case in self.cases if case in self.taken]:
            try:
                self.outcomes[case] = self.outcome(case)
            except AssertionError as error:
                self.problems[case] = error

    def all_logged(self):
        stats = json.loads(call(self.simulator.address, "GET", "/_sim/stats").body)
        return self.simulator.log() if stats["open"] == 0 else None

    def outcome(self, case):
        taken = self.taken[case]
        entry, lines = self.entries[taken.request_id], self.lines.get(taken.request_id, [])
        attempts = tuple(attempt["reason"] or "" for attempt in entry["attempts"])
        self.check_timers(case, entry)
        sends = len(lines) + sum(peer.asked(taken.request_id) for peer in self.rude.values())
        return Outcome(seen=taken.seen, outcome=entry["outcome"], reason=entry["reason"] or "", attempts=attempts,
                       charge=self.charge(case, entry, lines, taken), sends=sends, then=self.next_of(case))

    @staticmethod
    def charge(case, entry, lines, taken):
        """Which of the known charges this entry is, to the last token and milli-CU; or the figures."""
        kind, has = KINDS[case.kind], used_of(entry, ENTRY_NAMES)
        truth = used_of(lines[-1], LOG_NAMES) if lines else {}
        source, total = entry["usage_source"], entry["cost_cu_milli"] + entry["overrun_cu_milli"]
        assert entry["cost_cu_milli"] <= entry["reserved_cu_milli"], entry
        assert entry["overrun_cu_milli"] == 0 or entry["cost_cu_milli"] == entry["reserved_cu_milli"], entry
        assert entry["unpriced"] == (case.kind == "batches"), entry
        capped = " up to the reservation" if entry["overrun_cu_milli"] else ""
        if source == "none" and not any(has.values()) and total == 0:
            return NOTHING
        if case.kind == "speech":
            if source == ("counted" if entry["outcome"] == "ok" else "aborted") and total == cost_of_characters(len(SENTENCE)):
                return CHARACTERS
        elif kind.model and total == cost_of(kind.model, has):
            for factor in (1, 0, 3, 1000000):
                if source == "provider" and has == {name: number * factor for name, number in truth.items()}:
                    return (USAGE if factor == 1 else f"{factor} times the usage") + capped
            if source == "provider" and has == {name: number // 2 for name, number in truth.items()}:
                return "50 % of the usage" + capped
            if source in ("aborted", "estimated") and has == guess_of(case.kind, taken):
                return (PART if source == "aborted" else GUESS) + capped
        return f"{source}: {has}, {entry['cost_cu_milli']} + {entry['overrun_cu_milli']}; truth {truth}, guess {guess_of(case.kind, taken)}"

    @staticmethod
    def check_timers(case, entry):
        """A timer that ended an attempt did not do so early, by the record."""
        for attempt in entry["attempts"]:
            timer = TIMERS.get(attempt["reason"])
            if timer is not None:
                since = {"first_byte": attempt["connected_us"], "idle": attempt["first_byte_us"], "request": 0}[timer]
                least_us = int(CLOCKS[case.row.clock][timer][:-2]) * 1000
                assert attempt["end_us"] - since >= least_us - 2000, f"{timer} ended it early: {entry}"

    def next_of(self, case):
        if case not in self.next_taken:
            return NOT_TRIED
        taken = self.next_taken[case]
        entry, lines = self.entries[taken.request_id], self.lines[taken.request_id]
        # A kept connection may turn out to be closed: then the call goes out again on a fresh one, which is an attempt of its own.
        *stale, last = entry["attempts"]
        if taken.seen != Seen() or entry["outcome"] != "ok" or not all(attempt["reused_connection"] for attempt in stale[:1]) or len(stale) > 1:
            return f"{taken.seen} {entry['outcome']} {entry['attempts']}"
        charge = self.charge(case, entry, lines, taken)
        if charge not in (USAGE, CHARACTERS, NOTHING) or (charge == NOTHING) != KINDS[case.kind].once:
            return charge
        if len(lines) != 1:
            return f"sent {len(lines)} times"
        if case.row.then == EITHER:
            return EITHER
        return SAME if last["reused_connection"] else FRESH

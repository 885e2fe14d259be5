"""What is counted. Each case is done N times and then M times, and the difference is divided by M - N: so nothing of the start, the
marks and the connection's beginning is in it.
"""
import collections

from . import lockstep
from .programs import Nginx, Weir

SHORT_STREAM, LONG_STREAM = 64, 256
FEW_EVENTS, MANY_EVENTS = 32, 128  # all of them fit into one read
KIB = 1024


def slope(few, many, times):
    """What one more time costs, by function."""
    return {name: (many[name] - few[name]) / times for name in many.keys() | few.keys() if many[name] != few[name]}


class Measure:
    """The cases against one program over one connection."""

    def __init__(self, program, lock):
        self.program, self.lock = program, lock
        lock.connect(program.address)

    def marked(self):
        self.lock.local(self.program.mark)
        return self.program.callgrind.counted(self.program.mark_function)

    def worker(self, deed, few, many):
        for _ in range(few):  # whatever only the first ones do is done
            deed()
        self.marked()
        for _ in range(few):
            deed()
        first = self.marked()
        for _ in range(many):
            deed()
        return slope(first, self.marked(), many - few)

    def store(self, deed, few, many):
        """The store's thread, by batches of so many requests."""
        batches = [self.program.store_batch(deed, times, self.lock) for times in (few, few, many)]
        return slope(batches[1], batches[2], many - few)

    def passed(self, size):
        request, answer = lockstep.chat(self.program.key, size), lockstep.answer()
        return lambda: self.lock.passed(request, answer)

    def passed_at_once(self, size):
        request, answer = lockstep.chat(self.program.key, size), lockstep.answer()
        return lambda: self.lock.passed_at_once(request, answer, self.program.callgrind.pid)

    def streamed(self, tokens):
        request, events = lockstep.chat(self.program.key, KIB, stream=True), lockstep.events(tokens)
        return lambda: self.lock.streamed(request, events)

    def streamed_together(self, tokens):
        request, events = lockstep.chat(self.program.key, KIB, stream=True), lockstep.events(tokens)
        return lambda: self.lock.streamed_together(request, events)

    def local(self, request, status):
        def deed():
            found = self.lock.local(request)
            if not found.startswith(b"HTTP/1.1 %d " % status):
                raise ValueError(f"{status} was expected: {found[:500]!r}")
        return deed

    def whole(self):
        """Requests with whole answers, by the size of their bodies."""
        return {"request": self.worker(self.passed(KIB), 50, 250),
                "request_100_kib": self.worker(self.passed_at_once(100 * KIB), 5, 25),
                "request_1_mib": self.worker(self.passed_at_once(1024 * KIB), 2, 6)}

    def streams(self):
        """A chunk that comes by itself, what a stream costs besides its chunks, and an event of many that come together."""
        short = self.worker(self.streamed(SHORT_STREAM), 4, 16)
        long = self.worker(self.streamed(LONG_STREAM), 4, 16)
        chunk = slope(collections.Counter(short), collections.Counter(long), LONG_STREAM - SHORT_STREAM)
        few = self.worker(self.streamed_together(FEW_EVENTS), 4, 16)
        many = self.worker(self.streamed_together(MANY_EVENTS), 4, 16)
        names = short.keys() | chunk.keys()
        return {"chunk": chunk,
                "event": slope(collections.Counter(few), collections.Counter(many), MANY_EVENTS - FEW_EVENTS),
                "stream": {name: short.get(name, 0) - SHORT_STREAM * chunk.get(name, 0) for name in names}}

    def whole_of(self, ask, answer, names):
        """Requests with whole answers, 1 KiB and 1 MiB, whatever the dialects."""
        key = self.program.key
        return {names[0]: self.worker(lambda: self.lock.passed(ask(key, KIB), answer), 50, 250),
                names[1]: self.worker(lambda: self.lock.passed_at_once(ask(key, 1024 * KIB), answer, self.program.callgrind.pid), 2, 6)}

    def streams_of(self, ask, events, prefix):
        """The three of `streams`, whatever the dialects."""
        request = ask(self.program.key, KIB, stream=True)
        short = self.worker(lambda: self.lock.streamed(request, events(SHORT_STREAM)), 4, 16)
        long = self.worker(lambda: self.lock.streamed(request, events(LONG_STREAM)), 4, 16)
        chunk = slope(collections.Counter(short), collections.Counter(long), LONG_STREAM - SHORT_STREAM)
        few = self.worker(lambda: self.lock.streamed_together(request, events(FEW_EVENTS)), 4, 16)
        many = self.worker(lambda: self.lock.streamed_together(request, events(MANY_EVENTS)), 4, 16)
        names = short.keys() | chunk.keys()
        return {f"{prefix}_chunk": chunk,
                f"{prefix}_event": slope(collections.Counter(few), collections.Counter(many), MANY_EVENTS - FEW_EVENTS),
                f"{prefix}_stream": {name: short.get(name, 0) - SHORT_STREAM * chunk.get(name, 0) for name in names}}

    def messages_to_chat(self):
        """A client of the Messages API before a provider that speaks chat completions."""
        return {**self.whole_of(lockstep.messages, lockstep.answer(), ("messages_to_chat", "messages_to_chat_1_mib")),
                **self.streams_of(lockstep.messages, lockstep.events, "messages_to_chat")}

    def chat_to_messages(self):
        """The other way round."""
        return {**self.whole_of(lockstep.chat, lockstep.messages_answer(), ("chat_to_messages", "chat_to_messages_1_mib")),
                **self.streams_of(lockstep.chat, lockstep.messages_events, "chat_to_messages")}

    def refused(self):
        key = self.program.key
        damaged = key[:-1] + ("a" if key[-1] != "a" else "b")
        unknown = "weir_dev_" + "0" * 43 + checksum("weir_dev_" + "0" * 43)
        return {"refused_damaged_key": self.worker(self.local(lockstep.chat(damaged, KIB), 401), 50, 250),
                "refused_unknown_key": self.worker(self.local(lockstep.chat(unknown, KIB), 401), 50, 250),
                "refused_unknown_model": self.worker(self.local(lockstep.chat(key, KIB, model="none"), 404), 50, 250),
                "health": self.worker(self.local(lockstep.request("GET", "/health"), 200), 50, 250)}


def checksum(text):
    """The last six characters of a key: the CRC-32 of all before, in base 62."""
    import zlib
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value, found = zlib.crc32(text.encode()), ""
    for _ in range(6):
        found = digits[value % 62] + found
        value //= 62
    return found


def run(program, *kinds):
    """{case: {function: instructions}}; `program` makes one from an upstream's address."""
    lock = lockstep.Lockstep()
    made = None
    try:
        made = program(lock.upstream_address)
        measure = Measure(made, lock)
        return {name: counts for kind in kinds for name, counts in kind(measure).items()}
    finally:
        lock.close()
        if made is not None:
            made.stop()


def governed(measure):
    """A request under five budgets and six limits."""
    return {"request_governed": measure.worker(measure.passed(KIB), 50, 250)}


def stored(measure):
    return {"store_request": measure.store(measure.passed(KIB), 50, 250)}


def count_weir(binary, folder):
    # The store first: what a row costs depends on how many there are.
    return {**run(lambda upstream: Weir(binary, folder / "weir", upstream), stored, Measure.whole, Measure.streams, Measure.refused),
            **run(lambda upstream: Weir(binary, folder / "translating", upstream), Measure.messages_to_chat),
            **run(lambda upstream: Weir(binary, folder / "messages", upstream, "anthropic"), Measure.chat_to_messages),
            **run(lambda upstream: Weir(binary, folder / "governed", upstream).govern(), governed)}


def count_nginx(folder):
    whole = run(lambda upstream: Nginx(folder / "nginx-whole", upstream, True), Measure.whole)
    return {**whole, **run(lambda upstream: Nginx(folder / "nginx-streams", upstream, False), Measure.streams)}

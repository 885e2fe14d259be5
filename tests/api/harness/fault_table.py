"""What a client may expect when a provider misbehaves, written by hand: a row for each fault, kinds of calls and setting.

Read a row as: when the provider does `fault`, those who ask for `kinds` have `sees`; each attempt ended for that reason ("" for the good one), so much was
charged, and the next call goes over the same connection or a fresh one. Where `second` is set a healthy candidate stands behind. Where weir does not do yet what it
should, the row says what should be, and `bad` why it is not so: then it has to fail.
"""
from dataclasses import dataclass, field

from .fault_calls import Seen
from .waiting import SCALE

# --- the clocks: settings of one gateway each; faults that wait have a short one, all others one that never matters ---

SHORT_MS = int(2500 * SCALE)
NEVER, SHORT = "600000ms", f"{SHORT_MS}ms"
CLOCKS = {"patient": {"first_byte": NEVER, "idle": NEVER, "request": NEVER},
          "first": {"first_byte": SHORT, "idle": NEVER, "request": NEVER},
          "idle": {"first_byte": NEVER, "idle": SHORT, "request": NEVER},
          "brief": {"first_byte": NEVER, "idle": NEVER, "request": SHORT}}
TIMERS = {"upstream_first_byte_timeout": "first_byte", "upstream_idle_timeout": "idle", "request_deadline": "request"}

# --- kinds of calls ---

TEXT, TEXT_STREAMS = ("chat", "completions", "responses"), ("chat stream", "completions stream")
JSON = (*TEXT, "embeddings", "images", "transcriptions")
STREAMS = (*TEXT_STREAMS, "transcriptions stream")
EVENTS = (*STREAMS, "responses stream", "images stream")
ONCE = ("files", "batches")
REPEATABLE = (*JSON, *EVENTS, "speech")
ALL = (*REPEATABLE, *ONCE)
SOME = ("chat", "chat stream", "speech", "files")
LARGE = ("chat large", "transcriptions large")

# --- what a client has ---

CLASSES = {400: "BadRequestError", 404: "NotFoundError", 409: "ConflictError", 413: "APIStatusError", 422: "UnprocessableEntityError",
           429: "RateLimitError"}
FAILED, REFUSED, LIMITED, AWAY = (f"WEIR_{name}" for name in ("TOOL_EXECUTION_ERROR", "INVALID_PARAMS", "RATE_LIMITED", "SERVICE_UNAVAILABLE"))
WHOLE = Seen()


def error(status, code=None, error_code=FAILED, retries=True, retry_after=""):
    """An answer with a status of its own."""
    return Seen("nothing", CLASSES.get(status, "InternalServerError"), status, code, error_code, "", retries, retry_after)


def breaks(got, code):
    """A stream that had begun: its last event is an error."""
    return Seen(got, "APIError", 200, code, FAILED)


def fails(got):
    """The same for the Responses API: its own terminal event, which the client hands on."""
    return Seen(got, "", 200, "server_error", FAILED, "response.failed")


def cut(got):
    """Bytes that cannot tell of an error: the connection is reset."""
    return Seen(got, "ReadError", 200)


# --- what it costs, and what the next call finds ---

NOTHING, USAGE, CHARACTERS = "nothing", "usage", "its characters"
GUESS, PART = "estimate of the whole", "estimate of what came"
SAME, FRESH, NOT_TRIED = "same connection", "fresh connection", "not tried"
EITHER = "same or fresh connection"  # by whether the whole request had left when the answer came

EVERYTHING = ("seen", "outcome", "reason", "attempts", "charge", "sends", "then")


@dataclass(frozen=True)
class Row:
    section: str
    fault: str
    kinds: tuple
    sees: Seen
    attempts: tuple
    charge: str
    then: str
    second: bool
    clock: str
    does: str                  # in words; "": as the simulator's guide says
    wishes: dict = field(hash=False)
    size: int                  # of a huge answer
    loose: bool                # how much came depends on the clock
    peer: str                  # who stands at the provider's address: "" for the simulator, "nobody", or a rude one's manner
    bad: str
    wrong: tuple               # of a bad row: the fields of its outcome that are not as they should be

    @property
    def name(self):
        return self.does or self.fault


ROWS = []


class Section:
    """Adds rows to the table: section(fault, kinds, sees, reason of each attempt …)"""

    def __init__(self, title):
        self.title = title

    def __call__(self, fault, kinds, sees, *attempts, charge=NOTHING, then=SAME, second=False, clock="patient", does="", wishes=None,
                 size=0, loose=False, peer="", bad="", wrong=""):
        kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        # What may not be sent twice has always a connection of its own.
        for group, at in ((tuple(kind for kind in kinds if not kind.startswith(ONCE)), then),
                          (tuple(kind for kind in kinds if kind.startswith(ONCE)), then if peer else FRESH)):
            if group:
                ROWS.append(Row(self.title, fault, group, sees, attempts or ("",), charge, at, second, clock, does, wishes or {}, size, loose,
                                peer, bad, tuple(wrong.split()) or EVERYTHING))

    def saved(self, fault, kinds, reason, then=SAME, clock="patient", bad="", **more):
        """A second candidate answers, and the client does not notice."""
        more = {"wrong": "seen outcome reason attempts charge sends" if bad else "", **more}
        for charge, group in split_by_charge(kinds):
            self(fault, group, WHOLE, reason, "", charge=charge, then=then, second=True, clock=clock, bad=bad, **more)

    def harmless(self, fault, kinds, then=SAME, **more):
        for charge, group in split_by_charge(kinds):
            self(fault, group, WHOLE, charge=charge, then=then, **more)


def split_by_charge(kinds):
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    groups = {USAGE: [], CHARACTERS: [], NOTHING: []}
    for kind in kinds:
        groups[NOTHING if kind.startswith(ONCE) else CHARACTERS if kind == "speech" else USAGE].append(kind)
    return [(charge, tuple(group)) for charge, group in groups.items() if group]


def without(kinds, *names):
    return tuple(kind for kind in kinds if kind not in names)


# --- errors that the provider tells ---

told = Section("The provider answers with an error")
told("status=400", SOME, error(400, None, REFUSED, retries=False), "upstream_refused")
told("status=401", SOME, error(502, "upstream_auth", retries=False), "upstream_auth")
told("status=403", SOME, error(502, "upstream_auth", retries=False), "upstream_auth")
told("status=404", SOME, error(404, "model_not_found", REFUSED, retries=False), "upstream_refused")
told("status=408", SOME, error(504), "upstream_error")
told("status=409", SOME, error(409, None, REFUSED, retries=True), "upstream_refused")
told("status=413", SOME, error(413, None, REFUSED, retries=False), "upstream_refused")
told("status=422", SOME, error(422, None, REFUSED, retries=False), "upstream_refused")
told("status=429", ALL, error(429, "rate_limit_exceeded", LIMITED, retry_after="1"), "upstream_rate_limited")
told("status=429; retry-after=7", SOME, error(429, "rate_limit_exceeded", LIMITED, retry_after="7"), "upstream_rate_limited")
told("status=429; code=insufficient_quota", SOME, error(429, "insufficient_quota", LIMITED, retry_after="1"), "upstream_rate_limited")
told("status=500", ALL, error(500), "upstream_error")
told("status=502", SOME, error(502), "upstream_error")
told("status=503", SOME, error(503, retry_after="5"), "upstream_error")
told("status=503; retry-after=2", SOME, error(503, retry_after="2"), "upstream_error")
told("status=504", SOME, error(504), "upstream_error")
told("status=529", SOME, error(503, retry_after="5"), "upstream_error")
told("flap=1/86400000; status=503", SOME, error(503, retry_after="5"), "upstream_error", does="is down by its schedule: 503")
for status in (400, 404, 409, 413, 422):
    told(f"status={status}", "chat", error(status, "model_not_found" if status == 404 else None, REFUSED, retries=status == 409),
         "upstream_refused", second=True)
for status, reason in ((401, "upstream_auth"), (403, "upstream_auth"), (408, "upstream_error"), (502, "upstream_error"),
                       (503, "upstream_error"), (504, "upstream_error"), (529, "upstream_error")):
    told.saved(f"status={status}", ("chat", "chat stream", "speech"), reason)
told.saved("status=429; retry-after=7", REPEATABLE, "upstream_rate_limited")
told.saved("status=500", REPEATABLE, "upstream_error")

# --- no answer ---

none = Section("No answer begins")
closed = error(502, "upstream_closed")
for fault in ("reset", "reset-head", "close"):
    none(fault, ALL, closed, "upstream_closed", then=FRESH)
    none.saved(fault, REPEATABLE, "upstream_closed", then=FRESH)
for fault in ("silence", "stall-head"):
    none(fault, ALL, error(504, "upstream_first_byte_timeout"), "upstream_first_byte_timeout", then=FRESH, clock="first")
    none.saved(fault, REPEATABLE, "upstream_first_byte_timeout", then=FRESH, clock="first")
none(f"delay={3 * SHORT_MS}", SOME, error(504, "upstream_first_byte_timeout"), "upstream_first_byte_timeout", then=FRESH, clock="first",
     does="begins to answer after `timeouts.first_byte`")
none.saved(f"delay={3 * SHORT_MS}", ("chat", "chat stream"), "upstream_first_byte_timeout", then=FRESH, clock="first",
           does="begins to answer after `timeouts.first_byte`")
none("", without(ALL, "batches"), error(503, "upstream_connect_failed", AWAY, retry_after="5"), "upstream_connect_failed", then=NOT_TRIED, peer="nobody",
     does="is not there: nobody listens at its address")
none.saved("", REPEATABLE, "upstream_connect_failed", then=NOT_TRIED, peer="nobody", does="is not there: nobody listens at its address")
none("", ("chat", "embeddings", "images", "transcriptions"), error(504, "request_deadline"), "request_deadline", then=FRESH, clock="brief",
     wishes={"x-sim-ttft": "600000"}, does="begins to answer after `timeouts.request`")

# --- an answer before the request is read ---

early = Section("The answer comes before the request has been read")
limited = error(429, "rate_limit_exceeded", LIMITED, retry_after="1")
early("early-answer", ALL, limited, "upstream_rate_limited")
early("early-answer", (*LARGE, "files large"), limited, "upstream_rate_limited", then=EITHER)
for fault in ("early-close", "early-reset"):
    early(fault, (*ALL, *LARGE, "files large"), limited, "upstream_rate_limited", then=FRESH)
    early.saved(fault, (*REPEATABLE, *LARGE), "upstream_rate_limited", then=FRESH)
early("early-reset=500", ("transcriptions large", "files large"), error(500), "upstream_error", then=FRESH)
early("early-close=413", ("transcriptions large", "files large"), error(413, None, REFUSED, retries=False), "upstream_refused", then=FRESH)
for manner, reason, clock, words in (("reset", "upstream_closed", "patient", "resets the connection in the middle of the upload, without an answer"),
                                     ("close", "upstream_closed", "patient", "closes it in the middle of the upload, without an answer"),
                                     ("still", "upstream_first_byte_timeout", "first", "stops reading in the middle of the upload")):
    early("", (*LARGE, "files large"), error(502 if clock == "patient" else 504, reason), reason, then=NOT_TRIED, peer=manner, clock=clock, does=words)
    early.saved("", LARGE, reason, then=NOT_TRIED, peer=manner, clock=clock, does=words)
early.saved("early-answer", LARGE, "upstream_rate_limited", then=EITHER)

# --- an answer that breaks ---

broken = Section("An answer breaks off")
broken("reset-after-head", (*JSON, *EVENTS, *ONCE), closed, "upstream_closed", then=FRESH)
broken("reset-after-head", "speech", closed, "upstream_closed", then=FRESH)
broken.saved("reset-after-head", (*JSON, *EVENTS), "upstream_closed", then=FRESH)
broken.saved("reset-after-head", "speech", "upstream_closed", then=FRESH)
for fault, got, reason, clock in (
        ("reset-mid", "10 of 20 pieces", "upstream_closed", "patient"), ("truncate=2", "2 of 20 pieces", "upstream_closed", "patient"),
        ("cut=2", "2 of 20 pieces", "upstream_closed", "patient"), ("bad-chunk", "10 of 20 pieces", "upstream_protocol", "patient"),
        ("stall=2", "2 of 20 pieces", "upstream_idle_timeout", "idle")):
    whole = error(504 if reason == "upstream_idle_timeout" else 502, reason)
    broken(fault, (*JSON, *ONCE), whole, reason, then=FRESH, clock=clock)
    broken(fault, STREAMS, breaks(got, reason), reason, charge=PART, then=FRESH, clock=clock)
    broken(fault, "images stream", breaks("2 of 3 pieces", reason), reason, charge=PART, then=FRESH, clock=clock)
    broken(fault, "responses stream", fails(got), reason, charge=PART, then=FRESH, clock=clock)
    if fault != "truncate=2":
        broken(fault, "speech", cut("a part"), reason, charge=CHARACTERS, then=FRESH, clock=clock)
    broken.saved(fault, JSON, reason, then=FRESH, clock=clock)
    broken(fault, "chat stream", breaks(got, reason), reason, charge=PART, then=FRESH, clock=clock, second=True)
# Sound has no end of its own: a body that HTTP says has ended is whole.
broken("truncate=2", "speech", Seen("a part"), charge=CHARACTERS, then=FRESH)
broken("stall", (*JSON, "completions stream", "transcriptions stream", *ONCE), error(504, "upstream_idle_timeout"), "upstream_idle_timeout",
       then=FRESH, clock="idle")
broken("stall", "speech", error(504, "upstream_idle_timeout"), "upstream_idle_timeout", then=FRESH, clock="idle")
broken("stall", "chat stream", breaks("nothing", "upstream_idle_timeout"), "upstream_idle_timeout", then=FRESH, clock="idle")
broken("stall", "responses stream", fails("nothing"), "upstream_idle_timeout", then=FRESH, clock="idle")
broken.saved("stall", (*JSON, "completions stream", "transcriptions stream"), "upstream_idle_timeout", then=FRESH, clock="idle")
broken(f"slow-body={3 * SHORT_MS}", (*JSON, *ONCE), error(504, "upstream_idle_timeout"), "upstream_idle_timeout", then=FRESH, clock="idle",
       does="sends the body in pieces, further apart than `timeouts.idle`")
broken(f"slow-body={3 * SHORT_MS}", STREAMS, breaks("1 of 20 pieces", "upstream_idle_timeout"), "upstream_idle_timeout", charge=PART,
       then=FRESH, clock="idle", does="sends the body in pieces, further apart than `timeouts.idle`")
broken("", TEXT_STREAMS, breaks("a part", "request_deadline"), "request_deadline", charge=PART, then=FRESH, clock="brief", loose=True,
       wishes={"x-sim-rate": "20", "x-sim-tokens": "100000"}, does="streams without end")
broken("error-event", (*JSON, "speech", *ONCE), error(500), "upstream_error")
broken("error-event", STREAMS, breaks("10 of 20 pieces", None), "upstream_error", charge=PART, then=FRESH)
broken("error-event", "images stream", breaks("2 of 3 pieces", None), "upstream_error", charge=PART, then=FRESH)
broken("error-event", "responses stream", Seen("10 of 20 pieces", "", 200, "server_error", FAILED, "error"), "upstream_error", charge=PART,
       then=FRESH)
broken.saved("error-event", JSON, "upstream_error")
broken("no-done", TEXT_STREAMS, WHOLE, charge=USAGE)
broken("no-done", "transcriptions stream", breaks("20 of 20 pieces", "upstream_closed"), "upstream_closed", charge=PART)
broken("no-done", "images stream", breaks("2 of 3 pieces", "upstream_closed"), "upstream_closed", charge=PART)
broken("no-done", "responses stream", fails("20 of 20 pieces"), "upstream_closed", charge=PART)

# --- what is no answer ---

wrong = Section("An answer that is not what it should be")
protocol = error(502, "upstream_protocol")
wrong("bad-json", JSON, protocol, "upstream_protocol")
wrong("bad-json", ONCE, protocol, "upstream_protocol")
wrong("bad-json", STREAMS, breaks("10 of 20 pieces", "upstream_protocol"), "upstream_protocol", charge=PART, then=FRESH)
wrong("bad-json", "images stream", breaks("2 of 3 pieces", "upstream_protocol"), "upstream_protocol", charge=PART, then=FRESH)
wrong("bad-json", "responses stream", fails("10 of 20 pieces"), "upstream_protocol", charge=PART, then=FRESH)
wrong.saved("bad-json", JSON, "upstream_protocol")
wrong("wrong-type", (*TEXT, "embeddings", "images", "chat stream", "completions stream", "responses stream", "images stream"), protocol,
      "upstream_protocol")
wrong("wrong-type", ("transcriptions", "transcriptions stream", "speech"), protocol, "upstream_protocol")
wrong("wrong-type", ONCE, protocol, "upstream_protocol")
wrong.saved("wrong-type", (*TEXT, "embeddings", "images", "chat stream", "responses stream"), "upstream_protocol")

# --- usage ---

usage = Section("The usage is missing or wrong")
usage("no-usage", ("chat", "completions", "embeddings", "images", "transcriptions", "images stream", *TEXT_STREAMS, "responses stream"), WHOLE,
      charge=GUESS)
usage("no-usage", "transcriptions stream", WHOLE, charge=GUESS)
usage("no-usage", "responses", WHOLE, charge=GUESS)
usage("no-usage", "speech", WHOLE, charge=CHARACTERS)
for factor in (0, 3):
    usage(f"wrong-usage={factor}", without(REPEATABLE, "speech"), WHOLE, charge=f"{factor} times the usage")
usage("wrong-usage=1000000", without(REPEATABLE, "speech"), WHOLE, charge="1000000 times the usage up to the reservation")
usage("usage-percent=50", without(REPEATABLE, "speech"), WHOLE, charge="50 % of the usage")
usage("negative-usage", without(REPEATABLE, "speech", "transcriptions"), WHOLE, charge=GUESS)

# --- what must not be noticed ---

fine = Section("What nobody should notice")
fine.harmless("", ALL, does="does nothing wrong")
for fault in ("interim", "interim=5", "continue"):
    fine.harmless(fault, ALL)
for fault in ("close-idle", "close-next"):
    fine.harmless(fault, ALL, then=FRESH)
fine.harmless("delay=50", SOME)
fine.harmless("flap=86400000/1; status=503", SOME, does="is up by its schedule")
fine.harmless(f"slow-body={SHORT_MS // 10}", ("chat", "chat stream", "responses stream", "speech", "files"), clock="idle",
              does="sends the body in pieces, closer than `timeouts.idle`, for longer than it")
fine.harmless("huge=300000", (*TEXT, *TEXT_STREAMS, "responses stream", "images", "speech"), size=300000)
fine.harmless("huge=3000000", (*TEXT, *TEXT_STREAMS, "responses stream", "images", "images stream", "speech"), size=3000000)

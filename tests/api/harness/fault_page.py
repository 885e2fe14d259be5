"""Writes docs/reference/faults.md from what the fault table's cases came to."""
from .fault_table import ALL, CHARACTERS, EVENTS, GUESS, JSON, NOTHING, ONCE, PART, REPEATABLE, TIMERS, USAGE, WHOLE

HEAD = """# When a provider misbehaves

Generated from a test that plays every row of these tables (`tests/api/test_fault_table.py`, with `--write`); do not edit. What the rows should
come to is written by hand in `tests/api/harness/fault_table.py`, and asserted. The faults are the [simulator's](../guides/simulator.md#faults), so that each
row can be tried by hand.

| column | what it says |
|---|---|
| the provider | what it does. With a *second candidate* the model has another target behind it, which is healthy |
| asked for | the kinds of calls of which the row is true |
| the client has | what the official Python client gives to the application: the answer, or the exception, its status and its [`code`](errors.md). Streams are asked for with 20 pieces of text |
| tries again | whether that client would repeat the call by itself, and what `Retry-After` told it |
| charged | what the [ledger](../guides/ledger.md#what-is-charged) has, see below |
| attempts | the reason of each failed attempt, and which timer ended it where one did; a good attempt is *ok*. The provider's own log says that it was asked as often as this and no more |
| the next call | over which connection it goes; that it succeeds is asserted too. One that may be broken is not used again |

- **as usual**: what the provider reports, by the price, to the last milli-CU; speech by the characters of its text; files and batches nothing.
- **N times the usage**: what it reports wrongly, which weir cannot know.
- **its characters**: of speech that breaks off all are charged, as soon as sound has come.
- **estimate of the whole**, **of what came**: as told under [usage](../architecture.md#usage).
- **up to the reservation**: what is reported beyond what was [reserved](../architecture.md) is not charged.

*JSON*: whole answers of chat, completions, responses, embeddings, pictures (`images`) and transcriptions. *Event streams*: those of chat, completions, responses,
pictures and transcriptions. *Files* and *batches* are sent once and never repeated, each on a connection of its own. *Large* calls have a megabyte of JSON or ten of a form.
"""

WORDS = {
    "reset": "resets the connection before the head", "reset-head": "resets it within the head", "close": "closes it before the head",
    "silence": "takes the request and says nothing", "stall-head": "sends the status line, then nothing more",
    "early-answer": "answers 429 before it has read the request, and reads on", "early-close": "answers 429 before it has read the request, and closes",
    "early-close=413": "answers 413 before it has read the request, and closes",
    "early-reset": "answers 429 before it has read the request, and resets while it is still being sent",
    "early-reset=500": "answers 500 before it has read the request, and resets while it is still being sent",
    "reset-after-head": "resets the connection behind the head", "reset-mid": "resets it in the middle of the body",
    "truncate=2": "ends a stream's body properly after 2 tokens, without its last events; closes in the middle of a whole one",
    "cut=2": "closes after 2 tokens, without the end of the chunked body; in the middle of a whole one",
    "bad-chunk": "sends a malformed chunk in the middle", "stall": "sends the beginning of the body, no token yet, then nothing more",
    "stall=2": "sends 2 tokens, or half of a whole body, then nothing more",
    "error-event": "tells of an error in the middle of a stream; 500 where it is none", "no-done": "leaves out the terminal event",
    "bad-json": "sends damaged JSON: one event of a stream, or a whole answer that is cut short", "wrong-type": "answers 200 with a page of HTML",
    "no-usage": "reports no usage", "wrong-usage=0": "reports a usage of nothing", "wrong-usage=3": "reports three times the usage",
    "wrong-usage=1000000": "reports a million times the usage", "usage-percent=50": "reports half of the usage",
    "negative-usage": "reports a negative usage", "interim": "sends a 103 head first", "interim=5": "sends five 103 heads first",
    "continue": "sends a 100 head that was not asked for", "close-idle": "closes the connection right behind its answer",
    "close-next": "closes the connection when the next request comes on it", "delay=50": "answers a little later",
    "huge=300000": "answers with 300 kB", "huge=3000000": "answers with 3 MB",
}
GROUPS = [("everything", ALL), ("everything but files and batches", REPEATABLE), ("JSON", JSON), ("event streams", EVENTS),
          ("files, batches", ONCE)]
KNOWN_CHARGES = (NOTHING, USAGE, CHARACTERS, GUESS, PART, "0 times", "3 times", "1000000 times", "50 %")
TITLES = ["the provider", "asked for", "the client has", "tries again", "charged", "attempts", "the next call"]


def does(row):
    if row.does:
        text = row.does
    elif row.fault.startswith("status="):
        parts = [part.strip() for part in row.fault.split(";")]
        text = f"answers {parts[0][7:]}" + "".join(f", {part.replace('retry-after=', '`Retry-After: ').replace('code=', '`code` `')}`" for part in parts[1:])
    else:
        text = WORDS[row.fault]
    return text + ("; *second candidate*" if row.second else "")


def kinds_in_words(kinds):
    left, found = list(kinds), []
    for name, group in GROUPS:
        if set(group) <= set(left):
            found.append(name)
            left = [kind for kind in left if kind not in group]
    return ", ".join(found + left)


def client(seen):
    if seen == WHOLE:
        return "the whole answer"
    words = [] if seen.got == "nothing" else [seen.got.partition(":")[0]]
    code = f" `{seen.code}`" if seen.code else ""
    if seen.event:
        words.append(f"the event `{seen.event}`{code}")
    elif seen.raises:
        words.append(f"`{seen.raises}`" + (f" {seen.status}" if seen.status != 200 else "") + code)
    return ", then ".join(words)


def again(seen):
    if seen.status == 200:
        return "" if seen == WHOLE else "no"
    return ("yes" if seen.retries else "no") + (f", after {seen.retry_after} s" if seen.retry_after else "")


def attempt(reason):
    timer = {"first_byte": "`timeouts.first_byte`", "idle": "`timeouts.idle`", "request": "`timeouts.request`"}.get(TIMERS.get(reason))
    return (f"`{reason}`" if reason else "ok") + (f" after {timer}" if timer else "")


def charge(case, outcome):
    """A sum that is none of those that the table knows stands in rows that are not as they should be: its figures are of no use there."""
    if outcome.outcome == "ok" and outcome.charge in (USAGE, CHARACTERS) or case.expected.charge == outcome.charge == NOTHING:
        return "as usual" if outcome.outcome == "ok" else NOTHING
    return outcome.charge if outcome.charge.startswith(KNOWN_CHARGES) else "another sum"


def cells(case, outcome):
    seen = client(outcome.seen) or "nothing, and no error"
    if case.row.bad:
        seen += f". **Not as it should be:** {case.row.bad}"
    return (does(case.row), seen, again(outcome.seen), charge(case, outcome), ", ".join(attempt(reason) for reason in outcome.attempts))


def page(outcomes):
    """Cases that came to the same are one line; a section is in the order of the table. Files and batches have no connection to go back to, so that
    they stand with the others."""
    sections = {}
    for case, outcome in sorted(outcomes.items(), key=lambda item: item[0].kind.startswith(ONCE)):
        rows = sections.setdefault(case.row.section, {})
        key = cells(case, outcome)
        if case.kind.startswith(ONCE):
            found = next((row for row in rows if row[:-1] == key), (*key, outcome.then))
        else:
            found = (*key, outcome.then)
        rows.setdefault(found, []).append(case)
    lines = [HEAD.rstrip("\n")]
    for title in dict.fromkeys(case.row.section for case in outcomes):
        lines += ["", f"## {title}", "", f"| {' | '.join(TITLES)} |", "|---|---|---|---|---|---|---|"]
        rows = sorted(sections[title].items(), key=lambda item: min(case.number for case in item[1]))
        for (does_what, *more), cases in rows:
            lines.append(f"| {' | '.join([does_what, kinds_in_words([case.kind for case in cases]), *more])} |")
    return "\n".join(lines) + "\n"

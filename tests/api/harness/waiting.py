"""Waiting for a fact with a deadline: the only way in which these tests wait."""
import contextlib
import os
import signal
import time

# Builds with sanitizers are several times slower.
SCALE = {"thread": 4, "valgrind": 10, "address": 2}.get(os.environ.get("WEIR_SANITIZER", ""), 1)


# What may be waited for where running out of time is a failure in any case: generous, for a machine may be busy.
PATIENCE = 3 * SCALE


def soonest(seconds, attempt, tries=5):
    """Asserts that `attempt`, which gives how many seconds it took, stays below `seconds` (scaled for the build) at least
    once: that shows that the program can, and a machine that was busy elsewhere is no failure."""
    taken = []
    for _ in range(tries):
        taken.append(attempt())
        if taken[-1] < seconds * SCALE:
            return
    raise AssertionError(f"it took {taken} s, and {seconds * SCALE} s were asked for")


@contextlib.contextmanager
def paused(process):
    """The process stands still meanwhile: what waits for it cannot be over too early."""
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def until(question, what, seconds=15.0, step=0.02):
    """The first true answer of `question`. Fails with `what` and the last answer after `seconds` times PATIENCE."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds * PATIENCE:.0f} s for {what}; the last answer was {answer!r}")
        time.sleep(step)

"""Waiting for a fact with a deadline: the only way in which these tests wait."""
import os
import time

# Builds with sanitizers are several times slower; a deadline is a failure, so it may be generous.
SCALE = {"thread": 4, "valgrind": 10, "address": 2}.get(os.environ.get("WEIR_SANITIZER", ""), 1)


def until(question, what, seconds=15.0, step=0.02):
    """The first true answer of `question`. Fails with `what` and the last answer after `seconds` (scaled for the build)."""
    deadline = time.monotonic() + seconds * SCALE
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds * SCALE:.0f} s for {what}; the last answer was {answer!r}")
        time.sleep(step)

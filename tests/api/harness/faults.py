"""The simulator's faults as request headers (docs/guides/simulator.md)."""


def fault(text):
    return {"x-sim-fault": text}


def status(code, retry_after=None):
    return fault(f"status={code}" if retry_after is None else f"status={code}; retry-after={retry_after}")


RESET = fault("reset")          # the connection is reset instead of an answer
SILENCE = fault("silence")      # the request is read and never answered
TRUNCATED = fault("truncate=2") # the connection is closed in the middle of a stream or body

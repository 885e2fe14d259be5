"""draft"""
from dataclasses import dataclass, field
from .fault_calls import TOKENS
from .waiting import SCALE

SHORT = f"{int(1500 * SCALE)}ms"
CLOCKS = {"patient": {"first_byte": "600000ms", "idle": "600000ms", "request": "900000ms"},
          "hasty": {"first_byte": SHORT, "idle": SHORT, "request": "900000ms"},
          "brief": {"first_byte": "600000ms", "idle": "600000ms", "request": SHORT}}
DEADLINES = {"upstream_first_byte_timeout": "first_byte", "upstream_idle_timeout": "idle", "request_deadline": "request"}

@dataclass(frozen=True)
class Row:
    fault: str
    kinds: tuple = ()
    clock: str = "patient"
    second: bool = False
    tokens: int = TOKENS
    wishes: dict = field(default_factory=dict, hash=False)
    base_url: str = ""
    note: str = ""

"""What cannot be had from some providers, and why: the cells of the matrix (test_matrix.py) that are not as the case says. Each of them must really differ,
in these words and no others, and its reason stands on the page."""
import dataclasses

from .matrix_clients import BACKS


@dataclasses.dataclass(frozen=True)
class Gap:
    cases: tuple
    backs: tuple        # the providers' dialects
    why: str
    refused: bool = False  # the client raises what it raises for a bad parameter
    differs: tuple = ()    # else: the first words of what differs; each difference begins with one of these
    fronts: tuple = ()     # the clients' dialects, or their names; nothing: all


GAPS = []


def gap_of(client, back, case):
    return next((gap for gap in GAPS if case.name in gap.cases and back in gap.backs
                 and (not gap.fronts or client.dialect in gap.fronts or client.name in gap.fronts)), None)


assert all(set(gap.backs) <= set(BACKS) for gap in GAPS)

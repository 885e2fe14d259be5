"""Every client against every provider: the vendors' own clients (and what is built on them), straight to the simulator in their own API, and through weir to a
provider of each of the five APIs.

The cases stand in harness/matrix_cases.py, the clients' words in matrix_clients.py, and what cannot be had in matrix_gaps.py, with its reason. The table of
docs/dialects.md is written from what was seen (`--write`).
"""
import pathlib

import pytest

from harness.clients import FOLDER, ROOT, node_program
from harness.matrix_cases import BY_NAME as CASES
from harness.matrix_clients import BACKS, CLIENTS, RAISES
from harness.matrix_gaps import GAPS, gap_of
from harness.matrix_judge import differences
from harness.matrix_page import table
from harness.matrix_run import run_all

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/dialects.md"
NAMES = [client.name for client in CLIENTS]


def wanted_clients(request):
    """Those whose tests were asked for."""
    names = {item.callspec.params["client"].name for item in request.session.items
             if item.path == request.path and "client" in getattr(getattr(item, "callspec", None), "params", {})}
    chosen = [client for client in CLIENTS if not names or client.name in names]
    for client in chosen:
        there = node_program() and (FOLDER / "node/node_modules/@google/genai").is_dir() if client.environment == "node" else (
            ROOT / client.environment / "bin/python").exists()
        if not there:
            pytest.fail(f"{client.environment} is not installed: make test does that", pytrace=False)
    return chosen


@pytest.fixture(scope="module")
def native(request, weir_binary, module_folder):
    return run_all(weir_binary, module_folder / "native", wanted_clients(request), through=False)


@pytest.fixture(scope="module")
def through(request, weir_binary, module_folder):
    return run_all(weir_binary, module_folder / "through", wanted_clients(request))


def cells_of(seen, client, back):
    found = {case: cell for (name, at, case), cell in seen.items() if (name, at) == (client.name, back)}
    assert found, f"{client.name} has told nothing of {back}"
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", CLIENTS, ids=NAMES)
def test_straight_to_the_simulator(native, client):
    """In its own API every client has all that the case says: so what differs through weir is weir's doing."""
    problems = [f"{name}: {problem}" for name, cell in cells_of(native, client, client.dialect).items()
                for problem in judged(client, client.dialect, CASES[name], cell)]
    assert not problems, "\n".join(problems)


def judged(client, back, case, cell):
    """What is not as it must be, the gaps considered."""
    gap, found = gap_of(client, back, case), differences(client, back, case, cell)
    if gap is None:
        return found
    if not found:
        return [f"this works now, and must stand among the gaps no longer: {gap.why}"]
    if gap.refused:
        wanted = RAISES[client.name]["parameter"]
        wanted = (wanted,) if isinstance(wanted, str) else wanted
        return [] if cell.result.get("raises") in wanted else [f"expected {wanted}: {problem}" for problem in found]
    return [problem for problem in found if not problem.startswith(gap.differs)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("back", BACKS)
@pytest.mark.parametrize("client", CLIENTS, ids=NAMES)
def test_through_weir(through, client, back):
    problems = [f"{name}: {problem}" for name, cell in cells_of(through, client, back).items() for problem in judged(client, back, CASES[name], cell)]
    assert not problems, "\n".join(problems)


@pytest.mark.timeout(900)
def test_the_page_is_what_was_seen(through, request):
    if {name for name, _, _ in through} != set(NAMES):
        pytest.skip("only some of the clients were run")
    text = table(through)
    before, _, rest = PAGE.read_text().partition("<!-- matrix -->\n")
    _, end, after = rest.partition("<!-- end of matrix -->\n")
    assert end, "docs/dialects.md has the marks between which the table stands"
    whole = f"{before}<!-- matrix -->\n{text}<!-- end of matrix -->\n{after}"
    if request.config.getoption("--write"):
        PAGE.write_text(whole)
    assert PAGE.read_text() == whole, "docs/dialects.md is not what was seen: run this file with --write and look at the difference"


@pytest.mark.timeout(900)
def test_every_gap_is_met(through, request):
    if {name for name, _, _ in through} != set(NAMES):
        pytest.skip("only some of the clients were run")
    by_name = {client.name: client for client in CLIENTS}
    met = {gap_of(by_name[name], back, CASES[case]) for name, back, case in through}
    assert not [gap for gap in GAPS if gap not in met], "these gaps are of no cell"

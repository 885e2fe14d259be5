"""The fault table: what clients see, what is charged and what was sent when a provider misbehaves, for every kind of call; and its page.

The rows and what is expected of them stand in harness/fault_table.py; docs/reference/faults.md is written from what was seen (`--write`).
"""
import dataclasses
import pathlib

import pytest

from harness.fault_page import page
from harness.fault_run import CASES, Run

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/reference/faults.md"


@pytest.fixture(scope="module")
def run(request, weir_binary, module_folder, sim):
    """All cases that were asked for, run at once."""
    wanted = [item.callspec.params["case"] for item in request.session.items
              if item.path == request.path and "case" in getattr(getattr(item, "callspec", None), "params", {})]
    made = Run(weir_binary, module_folder, sim, wanted or CASES)
    try:
        made.run()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_fault(run, case):
    seen, expected = run.outcomes[case], case.expected
    different = [f"{field.name}: {getattr(seen, field.name)!r}, expected {getattr(expected, field.name)!r}"
                 for field in dataclasses.fields(expected) if getattr(seen, field.name) != getattr(expected, field.name)]
    if case.row.bad:
        assert different, f"this is as it should be now, and its row must not be marked any longer: {case.row.bad}"
        pytest.xfail(case.row.bad)
    assert not different, "\n".join(different)


def test_the_page_is_what_was_seen(run, request):
    if set(run.outcomes) != set(CASES):
        pytest.skip("only some of the rows were run")
    text = page(run.outcomes)
    if request.config.getoption("--write"):
        PAGE.write_text(text)
    assert PAGE.exists() and PAGE.read_text() == text, "docs/reference/faults.md is not what was seen: run this file with --write and look at the difference"

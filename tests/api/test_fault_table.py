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
    if case in run.problems:
        raise run.problems[case]
    seen, expected = run.outcomes[case], case.expected
    different = {field.name: f"{field.name}: {getattr(seen, field.name)!r}, expected {getattr(expected, field.name)!r}"
                 for field in dataclasses.fields(expected) if getattr(seen, field.name) != getattr(expected, field.name)}
    if case.row.bad:
        assert different, f"this is as it should be now, and its row must not be marked any longer: {case.row.bad}"
        assert set(different) <= set(case.row.wrong), "\n".join(different.values())
        pytest.xfail(case.row.bad)
    assert not different, "\n".join(different.values())


def test_the_page_is_what_was_seen(run, request):
    if set(run.outcomes) != set(CASES):
        pytest.skip("only some of the rows were run")
    text = page(run.outcomes)
    if request.config.getoption("--write"):
        PAGE.write_text(text)
    assert PAGE.exists() and PAGE.read_text() == text, "docs/reference/faults.md is not what was seen: run this file with --write and look at the difference"


def test_flapping_goes_unnoticed_with_a_second_candidate(make_gateway, make_sim):
    """One provider fails by a plan, each time in another way; the other one is well: nobody notices, and nothing is charged twice."""
    # What each call meets. A kept connection that closes without a byte of an answer may have been closed long before: then the same goes out
    # again on a fresh one.
    plan = [["reset"], [None], ["status=503"], ["close", "close"], [None], ["close", None], [None], ["reset-after-head"],
            ["status=429; retry-after=1"], [None], ["reset-head"]]
    simulator, healthy = make_sim(), make_sim()
    simulator.set_faults([{"fault": fault} for faults in plan for fault in faults])
    provider = {"dialect": "openai", "api_key": "x"}
    instance = make_gateway(simulator, providers=[{"name": "flapping", "base_url": simulator.base_url, **provider},
                                                  {"name": "healthy", "base_url": healthy.base_url, **provider}],
                            models=[{"name": "m", "targets": [{"provider": "flapping", "model": "sim-small"},
                                                              {"provider": "healthy", "model": "sim-small", "order": 1}]}])
    answers = [instance.chat(model="m", stream=number % 2 == 1) for number in range(len(plan))]
    assert all(answer.status == 200 and answer.complete for answer in answers)
    assert all(answer.events()[-1] == b"[DONE]" for answer in answers[1::2])
    met = dict(zip([answer.headers["x-request-id"] for answer in answers], plan, strict=True))
    entries = {entry["request_id"]: entry for entry in instance.wait_ledger(len(plan))}
    assert [row["request_id"] for row in simulator.log()] == [name for name, faults in met.items() for _ in faults]
    assert [row["request_id"] for row in healthy.log()] == [name for name, faults in met.items() if faults[-1]]
    for name, faults in met.items():
        assert entries[name]["outcome"] == "ok" and entries[name]["usage_source"] == "provider"
        assert [attempt["provider"] for attempt in entries[name]["attempts"]] == ["flapping"] * len(faults) + ["healthy"] * bool(faults[-1])

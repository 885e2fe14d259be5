"""The judgement itself: what fails, what passes, what is skipped."""
import pytest

from instructions.judge import judge, keep

VERSIONS = {"compiler": "gcc 12", "libc": "glibc 2.36"}
COUNTED = {"request": {"parse": 600, "copy": 399, "rare": 1}, "chunk": {"parse": 100}}


def changed(case, function, count):
    return {**COUNTED, case: {**COUNTED[case], function: count}}


@pytest.fixture
def kept():
    return keep(COUNTED, VERSIONS)


def test_same_counts_pass(kept):
    found = judge(kept, COUNTED, VERSIONS)
    assert len(found["passed"]) == 2 and not found["failed"] and not found["skipped"] and not found["notes"]


def test_three_percent_pass_and_a_little_more_fails(kept):
    assert not judge(kept, changed("request", "parse", 630), VERSIONS)["failed"]
    failed = judge(kept, changed("request", "parse", 631), VERSIONS)["failed"]
    assert len(failed) == 1 and failed[0].startswith("request: 1031 instructions, 1000 are kept (+3.1%)")
    assert "make instructions" in failed[0]


def test_failure_names_the_functions_that_grew(kept):
    failed = judge(kept, changed("request", "fresh", 200), VERSIONS)["failed"][0]
    assert "most: fresh +200" in failed and "parse" not in failed


def test_gain_is_noted(kept):
    found = judge(kept, changed("request", "parse", 500), VERSIONS)
    assert len(found["passed"]) == 2 and len(found["notes"]) == 1


def test_other_versions_are_skipped_and_named(kept):
    found = judge(kept, changed("request", "parse", 700), {**VERSIONS, "libc": "glibc 2.41"})
    assert len(found["skipped"]) == 2 and not found["failed"] and not found["passed"]
    assert "libc: glibc 2.36 there, glibc 2.41 here" in found["skipped"][0]


def test_other_versions_do_not_excuse_everything(kept):
    found = judge(kept, changed("request", "parse", 751), {**VERSIONS, "libc": "glibc 2.41"})
    assert len(found["failed"]) == 1 and "+15.1%" in found["failed"][0]


def test_case_that_is_not_kept_fails(kept):
    assert "stream is not in tests/instructions.json" in judge(kept, {**COUNTED, "stream": {"parse": 1}}, VERSIONS)["failed"][0]
    assert "chunk is not in what is counted" in judge(kept, {"request": COUNTED["request"]}, VERSIONS)["failed"][0]


def test_a_refusal_that_costs_as_much_as_a_request_fails():
    cheap = {**COUNTED, "refused_unknown_key": {"parse": 999}}
    assert not judge(keep(cheap, VERSIONS), cheap, VERSIONS)["failed"]
    dear = {**COUNTED, "refused_unknown_key": {"parse": 1000}}
    failed = judge(keep(dear, VERSIONS), dear, VERSIONS)["failed"]
    assert len(failed) == 1 and failed[0].startswith("refused_unknown_key takes 1000 instructions, as many as request")

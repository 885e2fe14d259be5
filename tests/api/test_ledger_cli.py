"""`weir ledger`: listing and export, also while the server runs."""
import contextlib
import csv
import io
import json
import sqlite3
import time

import pytest


@pytest.fixture(scope="module")
def filled(gateway):
    gateway.other = gateway.create_key("other")
    gateway.wait_key(gateway.other)
    before = len(gateway.ledger())
    for number in range(6):
        gateway.chat(text=f"call {number}", stream=number % 2 == 0)
    gateway.request("POST", "/v1/chat/completions", {"model": "sim-small", "messages": []},
                    {"authorization": f"Bearer {gateway.other}", "x-request-id": "from-the-client"})
    gateway.chat(headers={"x-sim-fault": "status=500"})
    gateway.wait_ledger(before + 8)
    return gateway


@pytest.mark.smoke
def test_entries_say_what_happened(filled):
    entry = next(entry for entry in filled.ledger() if entry["outcome"] == "ok" and not entry["stream"])
    assert entry["model"] == "sim-small" and entry["provider"] == "sim" and entry["upstream_model"] == "sim-small"
    assert entry["endpoint"] == "chat.completions"
    assert entry["status"] == 200 and entry["usage_source"] == "provider"
    assert entry["input_tokens"] > 0 and entry["output_tokens"] > 0
    assert entry["revision"] >= 1
    assert len(entry["attempts"]) == 1 and entry["attempts"][0]["provider"] == "sim"
    failed = next(entry for entry in filled.ledger() if entry["outcome"] == "error")
    assert failed["reason"] and failed["cost_cu_milli"] == 0


def test_listing_for_people(filled):
    text = filled.command("ledger", "list", "-c", filled.config).stdout
    assert "sim-small" in text and len(text.splitlines()) >= 8


def test_filters(filled):
    everything = filled.ledger()
    one = everything[0]
    assert [entry["request_id"] for entry in filled.ledger("--request", one["request_id"])] == [one["request_id"]]
    assert [entry["client_request_id"] for entry in filled.ledger("--request", "from-the-client")] == ["from-the-client"]
    keys = {entry["key_id"] for entry in everything}
    assert len(keys) == 2
    total = 0
    for key in keys:
        rows = filled.ledger("--key", key)
        assert {row["key_id"] for row in rows} == {key}
        total += len(rows)
    assert total == len(everything)
    assert len(filled.ledger("--limit", "3")) == 3
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
    assert filled.ledger("--from", tomorrow) == []
    assert len(filled.ledger("--until", tomorrow)) == len(everything)


def test_export_as_json_lines(filled):
    text = filled.command("ledger", "export", "-c", filled.config, "--format", "jsonl").stdout
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["request_id"] for row in rows] == [row["request_id"] for row in filled.ledger()]


def test_export_as_csv(filled):
    text = filled.command("ledger", "export", "-c", filled.config, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    entries = filled.ledger()
    assert len(rows) == len(entries)
    for row, entry in zip(rows, entries, strict=True):
        assert row["request_id"] == entry["request_id"]
        assert int(row["cost_cu_milli"]) == entry["cost_cu_milli"]


def test_a_cell_is_no_formula(filled):
    """What a client may write must not become a formula in a spreadsheet."""
    filled.chat(headers={"x-request-id": "=1+1", "x-weir-tags": "team==cmd"})
    text = filled.command("ledger", "export", "-c", filled.config, "--format", "csv").stdout
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "@", "+")) for cell in row)


def test_what_only_some_entries_have(make_gateway, sim):
    """Units, tokens by modality and issued ids: shown where there are any, and every other column stays where it was."""
    instance = make_gateway(sim)
    plain = instance.entry_of(instance.chat().headers["x-request-id"])
    heard = instance.entry_of(instance.chat().headers["x-request-id"])
    painted = instance.entry_of(instance.chat().headers["x-request-id"])
    instance.stop()
    with contextlib.closing(sqlite3.connect(instance.folder / "data" / "weir.db")) as database, database:
        assert database.execute("SELECT count(*) FROM ledger_more").fetchone() == (0,)  # chat has nothing of it
        database.execute("INSERT INTO ledger_more(sequence, input_audio_tokens, output_audio_tokens, unit, units) VALUES(?, 7, 9, 2, 61250)",
                         [heard["sequence"]])
        database.execute("INSERT INTO ledger_more(sequence, output_image_tokens, unit, units, issued) VALUES(?, 5, 1, 3, ?)",
                         [painted["sequence"], b"\x06resp_1\x07file=\x1b2"])
    entries = {entry["sequence"]: entry for entry in instance.ledger()}
    assert entries[plain["sequence"]] == plain
    assert entries[heard["sequence"]] == {**heard, "input_audio_tokens": 7, "output_audio_tokens": 9, "unit": "audio_ms", "units": 61250}
    assert entries[painted["sequence"]] == {**painted, "output_image_tokens": 5, "unit": "image", "units": 3,
                                            "issued": ["resp_1", "file=\x1b2"]}
    lines = {line.split()[1]: line for line in instance.command("ledger", "list", "-c", instance.config).stdout.splitlines()}
    assert lines[plain["request_id"]].endswith("  ok")
    assert lines[heard["request_id"]].endswith("  ok  61.250s  audio 7+9")
    assert lines[painted["request_id"]].endswith("  ok  3 image  image 0+5  resp_1  file=?2")
    text = instance.command("ledger", "export", "-c", instance.config, "--format", "csv").stdout
    rows = {int(row["sequence"]): row for row in csv.DictReader(io.StringIO(text))}
    assert text.splitlines()[0].split(",")[-8:] == ["tags", "input_audio_tokens", "input_image_tokens", "output_audio_tokens",
                                                    "output_image_tokens", "unit", "units", "issued"]
    assert rows[plain["sequence"]]["unit"] == "" and rows[plain["sequence"]]["issued"] == ""
    assert rows[heard["sequence"]]["unit"] == "audio_ms" and rows[heard["sequence"]]["units"] == "61250"
    assert rows[painted["sequence"]]["issued"] == "resp_1 file=2"
    assert rows[painted["sequence"]]["output_image_tokens"] == "5"


def test_no_prompt_and_no_answer_is_kept(filled):
    answer = filled.chat(text="a prompt that nobody may keep")
    content = answer.json()["choices"][0]["message"]["content"].encode()
    filled.entry_of(answer.headers["x-request-id"])
    for path in (filled.folder / "data").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"a prompt that nobody may keep" not in data and content not in data, path


def test_wrong_filters_are_told(filled):
    for arguments in (["--from", "yesterday-ish"], ["--limit", "-1"], ["--limit", "many"], ["--format", "xml"]):
        result = filled.command("ledger", "export", "-c", filled.config, *arguments, check=False)
        assert result.returncode == 2 and result.stderr.strip(), arguments

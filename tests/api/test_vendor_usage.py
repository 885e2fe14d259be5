"""What providers say they have used, in each vendor's own figures: the tokens and the cost in the ledger, to the milli-CU, and what the client is told in
the words of its own API; through the same dialect on both sides and translated, whole and streamed. The figures are worked out by hand beside each case.

Prices in milli-CU a token: input 2, cached 0.2, cache_write 2.5, cache_write_long 4, input_audio 7, output 10.000001, reasoning 13, output_audio 40.
An output token's millionth shows that a sum is rounded up once, at its end."""
import dataclasses
import json

import pytest

from harness.matrix_run import PATHS
from harness.processes import Gateway, default_settings

ROW = {"model": "sim-small", "input": 2000000, "cached": 200000, "cache_write": 2500000, "cache_write_long": 4000000, "input_audio": 7000000,
       "output": 10000001, "reasoning": 13000000, "output_audio": 40000000, "source": "a test", "date": "2026-11-22"}
# Without a price of its own, what is written for an hour costs as what is written for five minutes.
SHORT = {**{name: price for name, price in ROW.items() if name != "cache_write_long"}, "model": "sim-short"}
# Long enough that no case uses more than was held for its call.
PROMPT = "river " * 1000


@dataclasses.dataclass
class Case:
    name: str
    back: str
    says: dict           # the vendor's own object, as it stands in the answer
    tokens: tuple        # input, cached, cache_write, output, reasoning: inclusive, as in docs/reference/prices.md
    cost: int
    audio: tuple = (0, 0)  # of the input, of the output
    model: str = "sim-small"
    usage: dict | None = None  # instead of `says`: the simulator's words, which it says in those of the vendor
    told: tuple | None = None  # what a client of another API is told, where that is not `tokens`


def details(cached=0, cache_write=0, audio=0):
    return {"cached_tokens": cached, "cache_write_tokens": cache_write, "audio_tokens": audio}


CASES = [
    # 7 * 2 = 14; 3 * 10.000001 = 30.000003; 44.000003
    Case("plain", "openai", {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, (7, 0, 0, 3, 0), 45),
    # 300 * 0.2 = 60; 100 * 2.5 = 250; 50 * 7 = 350; 550 * 2 = 1100; 80 * 13 = 1040; 20 * 40 = 800; 100 * 10.000001 = 1000.0001; 4600.0001
    Case("all details", "openai",
         {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "prompt_tokens_details": details(300, 100, 50),
          "completion_tokens_details": {"reasoning_tokens": 80, "audio_tokens": 20, "accepted_prediction_tokens": 5, "rejected_prediction_tokens": 4}},
         (1000, 300, 100, 200, 80), 4601, audio=(50, 20)),
    # 10 * 0.2 = 2; 1 * 10.000001 = 10.000001; 12.000001
    Case("nulls", "openai", {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, "completion_tokens_details": None,
                             "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": None}}, (10, 10, 0, 1, 0), 13),
    # 90 * 0.2 = 18; of 40 written 10 are left: 10 * 2.5 = 25; 8 * 13 = 104 of 9 that are said; 147
    Case("parts above the whole", "openai",
         {"prompt_tokens": 100, "completion_tokens": 8, "total_tokens": 108, "prompt_tokens_details": details(90, 40),
          "completion_tokens_details": {"reasoning_tokens": 9}}, (100, 90, 40, 8, 9), 147, told=(100, 90, 10, 8, 8)),
    # 400 * 0.2 = 80; 50 * 2.5 = 125; 450 * 2 = 900; 70 * 13 = 910; 50 * 10.000001 = 500.00005; 2515.00005
    Case("all details", "responses",
         {"input_tokens": 900, "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 50}, "output_tokens": 120,
          "output_tokens_details": {"reasoning_tokens": 70}, "total_tokens": 1020}, (900, 400, 50, 120, 70), 2516),
    # 5 * 2 = 10; 2 * 10.000001 = 20.000002; 30.000002
    Case("plain", "responses", {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
                                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7}, (5, 0, 0, 2, 0), 31),
    # 40 + 2000 + 300 = 2340; 2000 * 0.2 = 400; 200 * 4 = 800; 100 * 2.5 = 250; 40 * 2 = 80; 25 * 13 = 325; 35 * 10.000001 = 350.000035; 2205.000035
    Case("caches of both lengths", "anthropic",
         {"input_tokens": 40, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 300,
          "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}, "output_tokens": 60,
          "output_tokens_details": {"thinking_tokens": 25}, "service_tier": "standard"}, (2340, 2000, 300, 60, 25), 2206),
    # The same, where an hour has no price: 400; 300 * 2.5 = 750; 80; 325; 350.000035; 1905.000035
    Case("caches of both lengths, one price", "anthropic",
         {"input_tokens": 40, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 300,
          "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}, "output_tokens": 60,
          "output_tokens_details": {"thinking_tokens": 25}}, (2340, 2000, 300, 60, 25), 1906, model="sim-short"),
    # 120 * 0.2 = 24; 30 * 4 = 120; 50 * 2.5 = 125; 300 * 2 = 600; 9 * 13 = 117; 31 * 10.000001 = 310.000031; 1296.000031.
    # A stream says the lengths at its beginning alone, and all of the output at its end alone.
    Case("caches, as they come", "anthropic", {}, (500, 120, 80, 40, 9), 1297,
         usage={"input": 500, "cached": 120, "cache_write": 80, "cache_write_1h": 30, "output": 40, "reasoning": 9}),
    # 1800 + 5 + 230 = 2035; 5 * 0.2 = 1; 2030 * 2 = 4060; 350 + 100 = 450; 450 * 10.000001 = 4500.00045; 8561.00045
    Case("rounds", "anthropic",
         {"input_tokens": 230, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 100, "iterations": [
             {"type": "compaction", "input_tokens": 1800, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 0, "output_tokens": 350},
             {"type": "message", "input_tokens": 230, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 100}]},
         (2035, 5, 0, 450, 0), 8562),
    # 4 + 20 + 10 + 30 = 64; 5 + 7 = 12 for an hour, 38 not: 12 * 4 = 48; 38 * 2.5 = 95; 14 * 2 = 28; 3 * 10.000001 = 30.000003; 201.000003
    Case("rounds that write", "anthropic",
         {"input_tokens": 10, "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_5m_input_tokens": 23, "ephemeral_1h_input_tokens": 7},
          "output_tokens": 2, "iterations": [
             {"type": "message", "input_tokens": 4, "cache_creation_input_tokens": 20, "output_tokens": 1,
              "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5}},
             {"type": "message", "input_tokens": 10, "cache_creation_input_tokens": 30, "output_tokens": 2,
              "cache_creation": {"ephemeral_5m_input_tokens": 23, "ephemeral_1h_input_tokens": 7}}]}, (64, 0, 50, 3, 0), 202),
    # 10 * 2 = 20; 2 * 10.000001 = 20.000002; 40.000002
    Case("nulls", "anthropic", {"input_tokens": 10, "cache_read_input_tokens": None, "cache_creation_input_tokens": None, "cache_creation": None,
                                "output_tokens": 2, "server_tool_use": None}, (10, 0, 0, 2, 0), 41),
    # 800 + 60 = 860; 500 * 0.2 = 100; 100 * 7 = 700; 260 * 2 = 520; 40 * 13 = 520; 90 * 10.000001 = 900.00009; 2740.00009
    Case("all details", "gemini",
         {"promptTokenCount": 800, "cachedContentTokenCount": 500, "toolUsePromptTokenCount": 60, "candidatesTokenCount": 90, "thoughtsTokenCount": 40,
          "totalTokenCount": 990, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 100}],
          "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 60}], "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 90}]},
         (860, 500, 0, 130, 40), 2741, audio=(100, 0)),
    # The total shows that the thoughts are among the candidates: 100 * 2 = 200; 30 * 13 = 390; 20 * 10.000001 = 200.00002; 790.00002
    Case("thoughts among the candidates", "gemini",
         {"promptTokenCount": 100, "candidatesTokenCount": 50, "thoughtsTokenCount": 30, "totalTokenCount": 150}, (100, 0, 0, 50, 30), 791),
    # What is 0 is left out: 12 * 2 = 24; 6 * 13 = 78; 102
    Case("thoughts alone", "gemini", {"promptTokenCount": 12, "thoughtsTokenCount": 6, "totalTokenCount": 18}, (12, 0, 0, 6, 6), 102),
    # 10 * 2 = 20; 25 * 40 = 1000; 5 * 10.000001 = 50.000005; 1070.000005
    Case("speech", "gemini", {"promptTokenCount": 10, "candidatesTokenCount": 30, "totalTokenCount": 40, "candidatesTokensDetails": [
        {"modality": "AUDIO", "tokenCount": 25}, {"modality": "TEXT", "tokenCount": 5}]}, (10, 0, 0, 30, 0), 1071, audio=(0, 25)),
    # 60 * 0.2 = 12; 40 * 2 = 80 (24 of them brought by tools); 7 * 13 = 91; 13 * 10.000001 = 130.000013; 313.000013. A stream's chunks count as they go.
    Case("all of it, as it comes", "gemini", {}, (100, 60, 0, 20, 7), 314,
         usage={"input": 100, "cached": 60, "tool_input": 24, "output": 20, "reasoning": 7}),
    # 21 * 2 = 42; 9 * 10.000001 = 90.000009; 132.000009
    Case("plain", "ollama", {"prompt_eval_count": 21, "eval_count": 9}, (21, 0, 0, 9, 0), 133),
    # 14 * 10.000001 = 140.000014
    Case("no count of the prompt", "ollama", {"eval_count": 14}, (0, 0, 0, 14, 0), 141),
]

# --- the doors ---

MESSAGES = [{"role": "user", "content": PROMPT}]


def chat_call(model, stream):
    return "/v1/chat/completions", {"model": model, "messages": MESSAGES, **({"stream": True, "stream_options": {"include_usage": True}} if stream else {})}


def responses_call(model, stream):
    return "/v1/responses", {"model": model, "input": PROMPT, "stream": stream}


def messages_call(model, stream):
    return "/v1/messages", {"model": model, "messages": MESSAGES, "max_tokens": 400, "stream": stream}


def gemini_call(model, stream):
    return (f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent"),
            {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]})


def ollama_call(model, stream):
    return "/api/chat", {"model": model, "messages": MESSAGES, "stream": stream}


DOORS = {"openai": chat_call, "responses": responses_call, "anthropic": messages_call, "gemini": gemini_call, "ollama": ollama_call}


def usages_in(front, answer, stream):
    """The objects of an answer that tell its whole usage, in the order in which they came."""
    if front == "ollama":
        pieces = [json.loads(line) for line in answer.body.splitlines()]
        names = ("prompt_eval_count", "eval_count", "usedCUMilli")
        return [{name: piece[name] for name in names if name in piece} for piece in pieces if piece["done"]]
    pieces = [json.loads(event) for event in answer.events() if event != b"[DONE]"] if stream else [answer.json()]
    if front == "responses" and stream:
        pieces = [piece["response"] for piece in pieces if piece["type"] == "response.completed"]
    if front == "anthropic" and stream:
        pieces = [piece for piece in pieces if piece["type"] == "message_delta"]
    return [usage for usage in (piece.get("usageMetadata" if front == "gemini" else "usage") for piece in pieces) if usage]


def told_by(front, tokens, audio):
    """What a client of that API is told of these tokens."""
    whole, cached, written, output, reasoning = tokens
    if front == "openai":
        return {"prompt_tokens": whole, "completion_tokens": output, "total_tokens": whole + output,
                "prompt_tokens_details": details(cached, written, audio[0]),
                "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": audio[1], "accepted_prediction_tokens": 0,
                                              "rejected_prediction_tokens": 0}}
    if front == "responses":
        return {"input_tokens": whole, "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written}, "output_tokens": output,
                "output_tokens_details": {"reasoning_tokens": reasoning}, "total_tokens": whole + output}
    if front == "anthropic":
        return {"input_tokens": whole - cached - written, "cache_read_input_tokens": cached, "cache_creation_input_tokens": written,
                "output_tokens": output, **({"output_tokens_details": {"thinking_tokens": reasoning}} if reasoning else {})}
    if front == "gemini":
        heard, spoken = ([{"modality": "AUDIO", "tokenCount": tokens}] for tokens in audio)
        return {"promptTokenCount": whole, "candidatesTokenCount": output - reasoning, "totalTokenCount": whole + output,
                **({"cachedContentTokenCount": cached} if cached else {}), **({"thoughtsTokenCount": reasoning} if reasoning else {}),
                **({"promptTokensDetails": heard} if audio[0] else {}), **({"candidatesTokensDetails": spoken} if audio[1] else {})}
    return {"prompt_eval_count": whole, "eval_count": output}


# --- the gateway ---

@pytest.fixture(scope="module")
def metered(weir_binary, sim, module_folder):
    providers = [{"name": back, "dialect": back, "speaks": [back], "base_url": f"http://{sim.address}{path}", "api_key": "sim-key",
                  "forward_headers": ["x-sim-script"]} for back, path in PATHS.items()]
    models = [{"name": f"{back}-{model}", "targets": [{"provider": back, "model": model}]} for back in PATHS for model in ("sim-small", "sim-short")]
    instance = Gateway(weir_binary, module_folder / "metered", default_settings(sim, providers=providers, models=models, prices_file="prices.json"))
    (instance.folder / "prices.json").write_text(json.dumps({"format": "weir-prices-1", "rows": [ROW, SHORT]}))
    instance.start()
    yield instance
    instance.close()


def ask(gateway, front, case, stream):
    path, body = DOORS[front](f"{case.back}-{case.model}", stream)
    figures = {"usage": case.usage} if case.usage else {"native_usage": case.says}
    answer = gateway.request("POST", path, body, {"x-sim-script": json.dumps({"blocks": [{"text": "A river bends."}], **figures})})
    assert answer.status == 200 and answer.complete, answer.body
    return answer


def without_cost(usage):
    return {name: value for name, value in usage.items() if name != "usedCUMilli"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("front,case", [pytest.param(front, case, id=f"{case.back}, {case.name}, to {front}") for case in CASES
                                        for front in DOORS])
def test_usage(metered, front, case, stream):
    answer = ask(metered, front, case, stream)
    entry = metered.entry_of(answer.headers["x-request-id"])
    kept = tuple(entry[f"{name}_tokens"] for name in ("input", "cached", "cache_write", "output", "reasoning"))
    assert entry["usage_source"] == "provider" and kept == case.tokens
    assert (entry.get("input_audio_tokens", 0), entry.get("output_audio_tokens", 0)) == case.audio
    assert (entry["cost_cu_milli"], entry["overrun_cu_milli"]) == (case.cost, 0)
    usages = usages_in(front, answer, stream)
    if front != case.back:
        assert [without_cost(usage) for usage in usages] == [told_by(front, case.told or case.tokens, case.audio)]
    elif not case.usage:
        assert usages and all(without_cost(usage) == case.says for usage in usages)
    if not stream:
        assert usages[-1]["usedCUMilli"] == case.cost == int(answer.headers["x-weir-used-cu-milli"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("front,back", [("openai", "anthropic"), ("responses", "openai"), ("anthropic", "openai"), ("gemini", "openai"),
                                        ("ollama", "openai")])
def test_no_figure_of_any_provider_makes_a_negative_one(metered, front, back, stream):
    most = 2**63 - 1
    says = {"openai": {"prompt_tokens": most, "completion_tokens": most}, "anthropic": {"input_tokens": most, "output_tokens": most}}
    usage, = usages_in(front, ask(metered, front, Case("most", back, says[back], (), 0), stream), stream)
    told = told_by(front, (most, 0, 0, most, 0), (0, 0))
    expected = {**told, **{name: most for name in ("total_tokens", "totalTokenCount") if name in told}}
    assert without_cost(usage) == expected


@pytest.mark.parametrize("model,price", [("sim-small", 4000000), ("sim-short", 2500000)])
def test_a_hold_covers_what_may_be_written_for_an_hour(metered, model, price):
    """A token is a byte at least; 128 more are the model's own; all of it may go into the cache, at the dearest price. Of the output all may be thoughts."""
    body = json.dumps({"model": f"anthropic-{model}", "messages": MESSAGES, "max_tokens": 400}).encode()
    answer = metered.request("POST", "/v1/messages", body, {"content-type": "application/json"})
    assert answer.status == 200
    most = (len(body) + 128) * price + 400 * ROW["reasoning"]
    assert metered.entry_of(answer.headers["x-request-id"])["reserved_cu_milli"] == -(-most // 1000000)

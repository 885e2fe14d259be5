"""GET /api/v1/dialects: what becomes of a parameter is said before it is tried."""

NAMES = ["openai", "responses", "anthropic", "gemini", "ollama"]


def test_every_parameter_has_a_word_for_every_dialect(operator):
    answer = operator.get("/api/v1/dialects")
    rows = {row["parameter"]: row for row in answer.json()["data"]}
    assert [dialect["name"] for dialect in answer.json()["dialects"]] == NAMES
    assert rows["temperature"]["openai"] == {"called": "temperature", "treatment": "honoured"}
    assert rows["temperature"]["anthropic"] == {"called": "temperature", "treatment": "mapped"}
    assert rows["stop"]["anthropic"] == {"called": "stop_sequences", "treatment": "honoured"}
    assert rows["stop"]["responses"] == {"called": None, "treatment": "ignored"}
    assert rows["logit_bias"]["gemini"]["treatment"] == "refused"
    assert all(any(row[name]["called"] for name in NAMES) for row in rows.values()), "a parameter that nobody can say"


def test_who_counts_and_who_does_not(operator):
    dialects = {dialect["name"]: dialect for dialect in operator.get("/api/v1/dialects").json()["dialects"]}
    assert all(dialect["makes_text"] for dialect in dialects.values())
    assert not dialects["anthropic"]["makes_vectors"]  # the vendor has no such endpoint
    assert {name for name, dialect in dialects.items() if dialect["counts_tokens"]} == {"responses", "anthropic", "gemini"}

"""Coding agents through weir: what Claude Code and Codex send, over several turns with tools and thinking, to a provider of each API."""
import json

import pytest

from harness.agents import ClaudeCode, Codex, MANUAL, TOOL_NAMES
from harness.arrived import arrived
from harness.matrix_clients import BACKS
from harness.matrix_run import Lane
from harness.plain import call
from harness.vendor_types import problems

# Whose thoughts come with what proves them. (Gemini signs calls; Ollama signs nothing.)
SIGNS = ("responses", "anthropic")
OUTCOME = "int main(void) { return 0; }"


@pytest.fixture(scope="module")
def lane(weir_binary, module_folder):
    made = Lane(weir_binary, module_folder, through=True)
    yield made
    made.close()


def events_of(answer):
    """[(event's name, its data)] of an event stream."""
    found = []
    for block in answer.body.decode().replace("\r\n", "\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in lines:
            found.append((lines.get("event"), json.loads(lines["data"])))
    return found


def send(lane, agent):
    answer = call(lane.gateway.address, "POST", agent.path, agent.headers(lane.gateway.key), agent.body())
    assert answer.status == 200, answer.body[:2000]
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events_of(answer)


def seen_by(lane, back):
    kept = lane.sims[back].last_request()
    assert problems(back, kept["path"], kept["body"]) == [] or back in ("anthropic", "responses")  # untouched bytes are the client's own affair
    return kept, arrived(back, kept["body"])


@pytest.mark.parametrize("back", BACKS)
def test_claude_code(lane, back):
    """Two questions; each of them is answered with a tool's call first, and with text when its result has been sent back."""
    agent, reasons = ClaudeCode(f"via-{back}-reasoner"), []
    models = call(lane.gateway.address, "GET", agent.discovery, agent.headers(lane.gateway.key))
    assert f"via-{back}-reasoner" in [row["id"] for row in json.loads(models.body)["data"]]
    for question in ("Read the main file.", "And again."):
        agent.ask(question)
        for _ in range(2):
            blocks, reason = agent.blocks(send(lane, agent))
            reasons.append(reason)
            thoughts = [block for block in blocks if block["type"] == "thinking"]
            assert all(isinstance(block.get("signature"), str) for block in thoughts), "the type requires it"
            assert back not in SIGNS or all(block["signature"] for block in thoughts), "the client sends it back"
            if not agent.take(blocks, OUTCOME):
                break
        assert any(block["type"] == "text" and block["text"] for block in blocks)
    assert reasons == ["tool_use", "end_turn", "tool_use", "end_turn"]
    kept, found = seen_by(lane, back)
    assert MANUAL in found["system"] and [tool["name"] for tool in found["tools"]] == TOOL_NAMES
    assert found["thinking"] is True and found["max_tokens"] == 32000
    assert [turn["role"] for turn in found["turns"]] == ["user", "model", "user", "model", "user", "model", "user"]
    calls = found["turns"][1]["calls"]  # one, or parallel ones: nothing forbids them
    assert calls[0][0] == TOOL_NAMES[0] and all(arguments["file_path"] == "/src/main.c" for _, arguments in calls)
    assert found["turns"][2]["results"] == [(name, OUTCOME) for name, _ in calls]
    if back == "anthropic":
        sent = agent.headers("")
        assert {name: kept["headers"][name] for name in ("anthropic-version", "anthropic-beta")} == {
            name: sent[name] for name in ("anthropic-version", "anthropic-beta")}
        assert kept["path"].endswith("?beta=true")
        body, asked = json.loads(kept["body"]), agent.body()
        members = ("system", "tools", "thinking", "context_management", "metadata", "max_tokens")
        assert {name: body[name] for name in members} == {name: asked[name] for name in members}
        # The answer to it has been taken since.
        assert body["messages"] == asked["messages"][:-1]


@pytest.mark.parametrize("back", BACKS)
def test_codex(lane, back):
    agent, kinds = Codex(f"via-{back}-reasoner"), []
    for question in ("Read the main file.", "And again."):
        agent.ask(question)
        for _ in range(2):
            items = agent.items(send(lane, agent))
            kinds.append([item["type"] for item in items if item["type"] != "reasoning"])
            assert back not in SIGNS or all(item.get("encrypted_content") for item in items if item["type"] == "reasoning"), (
                "nothing is stored, so that it must be there")
            if not agent.take(items, OUTCOME):
                break
    assert kinds == [["function_call"], ["message"], ["function_call"], ["message"]]
    kept, found = seen_by(lane, back)
    assert "You are a coding agent." in found["system"] and found["thinking"] is True
    names = [tool["name"] for tool in found["tools"]]
    assert names[:2] == ["exec_command", "update_plan"] and len(names) == 3, "a namespace's tools are flattened where there are none"
    assert found["turns"][-1]["results"] == [("exec_command", OUTCOME)]
    if back == "responses":
        body = json.loads(kept["body"])
        assert {**body, "model": agent.model, "input": None} == {**agent.body(), "input": None}, "the same API on both sides: untouched"

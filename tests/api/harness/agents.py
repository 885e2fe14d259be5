"""What coding agents send, written by hand after what was seen of them on the wire: Claude Code (the Messages API) and Codex (the Responses API). Bodies and
headers alone; test_coding_agents.py plays them."""
import json

TOOL_NAMES = ["Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "Skill", "Task", "TodoWrite", "WebFetch", "WebSearch", "Write"]
BETAS = ["claude-code-20250219", "oauth-2025-04-20", "interleaved-thinking-2025-05-14", "context-management-2025-06-27",
         "fine-grained-tool-streaming-2025-05-14"]
CACHED = {"cache_control": {"type": "ephemeral"}}
MANUAL = "You are an agent that edits code. " * 60
PATH_SCHEMA = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
               "properties": {"file_path": {"type": "string", "enum": ["/src/main.c"], "description": "The absolute path"},
                              "limit": {"type": "integer", "minimum": 1, "maximum": 1}},
               "required": ["file_path"], "additionalProperties": False}


class ClaudeCode:
    path = "/v1/messages?beta=true"
    discovery = "/v1/models?limit=1000"

    def __init__(self, model):
        self.model = model
        self.messages = []

    def headers(self, key):
        return {"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01", "anthropic-beta": ",".join(BETAS), "x-app": "cli",
                "user-agent": "claude-cli/2.1.0 (external, cli)", "x-claude-code-session-id": "5f0d3c1e-7b7a-4a54-9df1-1b1f3a3b8c11",
                "anthropic-dangerous-direct-browser-access": "true", "x-stainless-lang": "js", "x-stainless-retry-count": "0",
                "accept-encoding": "gzip, deflate, br, zstd", "content-type": "application/json"}

    def ask(self, text):
        """The newest question is marked for the cache; the API allows four marks, so that those before lose theirs."""
        for message in self.messages:
            for block in message["content"]:
                block.pop("cache_control", None)
        self.messages.append({"role": "user", "content": [{"type": "text", "text": "<system-reminder>\nBe careful.\n</system-reminder>"},
                                                          {"type": "text", "text": text, **CACHED}]})

    def body(self):
        tools = [{"name": name, "description": f"{name} does what it says. " * 20, "input_schema": PATH_SCHEMA} for name in TOOL_NAMES]
        return {"model": self.model, "messages": self.messages, "max_tokens": 32000, "stream": True,
                "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.0; cc_entrypoint=cli; cch=00000;"},
                           {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude.", **CACHED},
                           {"type": "text", "text": MANUAL, **CACHED}],
                "tools": tools[:-1] + [{**tools[-1], **CACHED}],
                "thinking": {"type": "enabled", "budget_tokens": 31999, "display": "omitted"},
                "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
                "metadata": {"user_id": json.dumps({"device_id": "d", "account_uuid": "", "session_id": "s"})}}

    def take(self, blocks, outcome):
        """What came goes back as it came, behind it the results of the tools that were called; whether there were any."""
        self.messages.append({"role": "assistant", "content": blocks})
        results = [{"type": "tool_result", "tool_use_id": block["id"], "content": [{"type": "text", "text": outcome}], "is_error": False}
                   for block in blocks if block["type"] == "tool_use"]
        if results:
            self.messages.append({"role": "user", "content": results})
        return bool(results)

    @staticmethod
    def blocks(events):
        """The content that a stream's events come to; the order of the events is judged on the way."""
        found, open_at, seen = [], None, []
        for name, event in events:
            assert name == event["type"], (name, event)
            seen.append(name)
            if name == "content_block_start":
                assert open_at is None and event["index"] == len(found), "one block ends before the next begins"
                open_at = event["index"]
                found.append({**event["content_block"]})
                if found[-1]["type"] == "tool_use":
                    found[-1]["input"] = ""
            elif name == "content_block_delta":
                assert event["index"] == open_at
                delta = event["delta"]
                member = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking",
                          "signature_delta": "signature"}[delta["type"]]
                target = "input" if member == "partial_json" else member
                found[-1][target] = found[-1].get(target, "") + delta[member]
            elif name == "content_block_stop":
                assert event["index"] == open_at
                open_at = None
                if found[-1]["type"] == "tool_use":
                    found[-1]["input"] = json.loads(found[-1]["input"] or "{}")
        assert seen[0] == "message_start" and seen[-2:] == ["message_delta", "message_stop"], seen
        reason = next(event["delta"]["stop_reason"] for name, event in events if name == "message_delta")
        return found, reason


class Codex:
    path = "/v1/responses"

    def __init__(self, model):
        self.model = model
        self.input = [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>read-only</permissions>"}]},
                      {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context/>"}]}]

    def headers(self, key):
        return {"authorization": f"Bearer {key}", "originator": "codex_cli_rs", "session-id": "0199c1f0-0000-7000-8000-000000000000",
                "thread-id": "0199c1f0-0000-7000-8000-000000000001", "x-client-request-id": "0199c1f0-0000-7000-8000-000000000002",
                "x-codex-turn-metadata": '{"turn_id":"t"}', "x-codex-beta-features": "none", "accept": "text/event-stream",
                "user-agent": "codex_cli_rs/0.99.0 (Debian 12; x86_64)", "content-type": "application/json"}

    def ask(self, text):
        self.input.append({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})

    def body(self):
        shell = {"type": "function", "name": "exec_command", "description": "Runs a command.", "strict": False, "parameters": PATH_SCHEMA}
        return {"model": self.model, "instructions": "You are a coding agent. " * 200, "input": self.input, "stream": True, "store": False,
                "tools": [shell, {"type": "function", "name": "update_plan", "description": "Updates the plan.", "strict": False,
                                  "parameters": {"type": "object", "properties": {"plan": {"type": "array", "items": {"type": "string"}}},
                                                 "required": ["plan"], "additionalProperties": False}},
                          {"type": "namespace", "name": "notes", "description": "Notes.", "tools": [
                              {"type": "function", "name": "add", "description": "Adds a note.", "strict": False, "parameters": {
                                  "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}}]}],
                "tool_choice": "auto", "parallel_tool_calls": False, "reasoning": {"effort": "medium", "summary": "auto"},
                "include": ["reasoning.encrypted_content"], "prompt_cache_key": "0199c1f0", "text": {"verbosity": "low"},
                "client_metadata": {"x-codex-installation-id": "i"}}

    def take(self, items, outcome):
        """Items go back without their ids, as nothing is stored."""
        self.input += [{name: value for name, value in item.items() if name not in ("id", "status")} for item in items]
        called = [item for item in items if item["type"] == "function_call"]
        self.input += [{"type": "function_call_output", "call_id": item["call_id"], "output": outcome} for item in called]
        return bool(called)

    @staticmethod
    def items(events):
        """The items that a stream's events come to; each event says its own name and number."""
        for number, (name, event) in enumerate(events):
            assert name == event["type"] and event["sequence_number"] == number, (number, name, event)
        names = [name for name, _ in events]
        assert names[:2] == ["response.created", "response.in_progress"] and names[-1] == "response.completed", names
        done = [event["item"] for name, event in events if name == "response.output_item.done"]
        added = [event["item"]["type"] for name, event in events if name == "response.output_item.added"]
        assert added == [item["type"] for item in done]
        assert [item["id"] for item in done if "id" in item] == [item["id"] for item in events[-1][1]["response"]["output"] if "id" in item]
        return done

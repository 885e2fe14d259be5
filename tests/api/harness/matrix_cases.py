"""The cases of the matrix of clients and providers (test_matrix.py): what is asked for, what must arrive at the provider whatever its API, what the
provider answers (a script of the simulator's), and what the client must then have. All of it written by hand.

A case's `arrives` is in the words of harness/arrived.py, its `gets` in those of python_clients/matrix.py; `finish` there is one of stop, length,
tools, filter, sequence, for which every client has its own word, and `usage` is (input, cached, cache_write, output, reasoning), of which clients and
providers may know less."""
import base64
import dataclasses
import json

from .clients import picture

# The tools' schemas keep to what every client's own types can carry: one of them takes only texts in an enum.
SAID = "The river bends — 川は曲がる 🌊."
THOUGHT = "Rivers bend: erosion — 侵食."
CITY = "Zürich 🌊 漢字"
WEATHER = {"name": "get_weather", "description": "The weather of a city, for some days", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "enum": [CITY]}, "days": {"type": "string", "enum": ["three"]}},
    "required": ["city", "days"]}}
CLOCK = {"name": "get_time", "description": "The time in a place", "parameters": {
    "type": "object", "properties": {"zone": {"type": "string", "enum": ["Europe/Zurich"]}, "offset": {"type": "number"}, "now": {"type": "boolean"},
                                     "tags": {"type": "array", "items": {"type": "string"}}}, "required": ["zone"]}}
RIVER = {"type": "object", "properties": {"name": {"type": "string"}, "length": {"type": "integer"}}, "required": ["name", "length"],
         "additionalProperties": False}
PDF = (b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
       b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")


# What the clients' programs are given; the same for all.
MATERIAL = {
    "prompt": "Tell me about rivers: ¿qué es un río? 🏞", "system": "You are a hydrologist. Be brief — 簡潔に.", "said": "A river is water that flows.",
    "again": "And what of lakes?", "outcome": "sunny, 21 °C", "tools": [WEATHER, CLOCK], "schema": RIVER, "stop": "STOP", "few": 5,
    "pixel": base64.b64encode(picture()).decode(), "pdf": base64.b64encode(PDF).decode(), "image_url": "https://example.com/river.png", "word": "río ", "words": 1048576 // 5,
}
WEATHER_CALL = {"name": "get_weather", "arguments": {"city": CITY, "days": "three"}}
CLOCK_CALL = {"name": "get_time", "arguments": {"zone": "Europe/Zurich", "offset": -1.5, "now": True, "tags": ["ü", ""]}}


def scripted(*blocks, usage=None, **more):
    return {"blocks": list(blocks), "usage": {"input": 21, "output": 9, **(usage or {})}, **more}


TEXT, THINKING = {"text": SAID}, {"thinking": THOUGHT}
TOOL_WEATHER, TOOL_CLOCK = {"tool": WEATHER_CALL}, {"tool": CLOCK_CALL}
USAGE = {"input": 1000, "cached": 600, "cache_write": 100, "output": 50, "reasoning": 20}
PLAIN = (21, 0, 0, 9, 0)
ANSWER = {"text": SAID, "finish": "stop", "usage": PLAIN}
ASKED = {"role": "user", "text": MATERIAL["prompt"]}


@dataclasses.dataclass
class Case:
    name: str
    does: str = ""           # the function of the programs; the name where nothing is said
    script: dict | None = None
    fault: str | None = None
    split: int = 0
    key: str | None = None
    arrives: dict = dataclasses.field(default_factory=dict)
    gets: dict = dataclasses.field(default_factory=dict)
    turns: list | None = None
    raises: str | None = None  # key, model, parameter, limit, server, broken: the clients' words are in matrix_clients.py
    reaches: bool = True       # whether anything is to arrive at the provider
    title: str = ""

    @property
    def headers(self):
        """JSON in a header is ASCII: what is not is escaped."""
        made = {"x-sim-script": json.dumps(self.script) if self.script else None, "x-sim-fault": self.fault,
                "x-sim-split": str(self.split) if self.split else None}
        return {name: value for name, value in made.items() if value}


def tools(*, arrives=None, gets, script, **more):
    return {"arrives": arrives or {}, "gets": gets, "script": script, **more}


OBJECT = {"name": "Aare — 阿勒河", "length": 288}
OBJECT_ANSWER = {"object": OBJECT, "finish": "stop"}
OBJECT_SCRIPT = scripted({"text": json.dumps(OBJECT, ensure_ascii=False)})
TWO = {"calls": [WEATHER_CALL, CLOCK_CALL], "finish": "tools", "usage": PLAIN}
BOTH = {"tools": [WEATHER, CLOCK]}
AGAIN = {"role": "user", "text": MATERIAL["again"]}
PICTURE, DOCUMENT = ("image/png", MATERIAL["pixel"]), ("application/pdf", MATERIAL["pdf"])

CASES = [
    Case("chat", script=scripted(TEXT), arrives={"turns": [ASKED]}, gets=ANSWER),
    Case("system", script=scripted(TEXT), arrives={"system": MATERIAL["system"], "turns": [ASKED]}, gets=ANSWER, title="system prompt"),
    Case("turns", script=scripted(TEXT), arrives={"turns": [ASKED, {"role": "model", "text": MATERIAL["said"]}, AGAIN]}, gets=ANSWER,
         title="several turns"),
    Case("generate", script=scripted(TEXT), arrives={"system": MATERIAL["system"], "turns": [ASKED]}, gets=ANSWER, title="generate (Ollama's other way to ask)"),
    Case("stream", script=scripted(TEXT), arrives={"turns": [ASKED]}, gets=ANSWER),
    Case("unicode", does="stream", script=scripted(TEXT), split=3, arrives={"turns": [ASKED]}, gets=ANSWER, title="stream, cut within characters"),
    Case("tool", script=scripted(TOOL_WEATHER), arrives={"turns": [ASKED], "tools": [WEATHER]},
         gets={"calls": [WEATHER_CALL], "finish": "tools", "usage": PLAIN}, title="one tool call"),
    Case("parallel_tools", script=scripted(TOOL_WEATHER, TOOL_CLOCK), arrives={"turns": [ASKED], **BOTH}, gets=TWO, title="parallel tool calls"),
    Case("stream_tools", script=scripted(TOOL_WEATHER, TOOL_CLOCK), arrives={"turns": [ASKED], **BOTH}, gets=TWO, title="tool calls, streamed"),
    Case("unicode_tools", does="stream_tools", script=scripted(TEXT, TOOL_WEATHER, TOOL_CLOCK), split=3, arrives={"turns": [ASKED], **BOTH},
         gets={**TWO, "text": SAID}, title="text and tool calls, cut within characters"),
    Case("tool_loop", arrives={"tools": [WEATHER], "turns": [ASKED, {"role": "model", "calls": [("get_weather", WEATHER_CALL["arguments"])]},
                                                             {"role": "user", "results": [("get_weather", MATERIAL["outcome"])]}]},
         turns=["calls", "text"], title="tool results sent back"),
    Case("forced_tool", script=scripted(TOOL_CLOCK), arrives={"turns": [ASKED], "choice": "get_time", **BOTH},
         gets={"calls": [CLOCK_CALL], "usage": PLAIN}, title="a tool that must be called"),
    Case("no_tool", script=scripted(TEXT), arrives={"turns": [ASKED], "choice": "none", **BOTH}, gets=ANSWER, title="tools that must not be called"),
    Case("schema", script=OBJECT_SCRIPT, arrives={"turns": [ASKED], "schema": RIVER}, gets=OBJECT_ANSWER, title="structured output"),
    Case("schema_stream", script=OBJECT_SCRIPT, arrives={"turns": [ASKED], "schema": RIVER}, gets=OBJECT_ANSWER, title="structured output, streamed"),
    Case("image", script=scripted(TEXT), arrives={"turns": [{**ASKED, "images": [PICTURE]}]}, gets=ANSWER, title="a picture, inline"),
    Case("image_url", script=scripted(TEXT), arrives={"turns": [{**ASKED, "images": [MATERIAL["image_url"]]}]}, gets=ANSWER, title="a picture, by its address"),
    Case("document", script=scripted(TEXT), arrives={"turns": [{**ASKED, "documents": [DOCUMENT]}]}, gets=ANSWER, title="a PDF, inline"),
    Case("thinking", turns=["calls", "text", "calls", "text"], arrives={"thinking": True, "tools": [WEATHER]}, title="thinking over several turns, with tools"),
    Case("thinking_stream", script=scripted(THINKING, TEXT, usage={"reasoning": 4}), arrives={"turns": [ASKED], "thinking": True},
         gets={"text": SAID, "reasoning": THOUGHT, "finish": "stop", "usage": (21, 0, 0, 9, 4)}, title="thinking, streamed"),
    Case("stop", script=scripted(TEXT, finish="stop_sequence", stop_sequence="STOP"), arrives={"turns": [ASKED], "stop": ["STOP"]},
         gets={"text": SAID, "finish": "sequence", "usage": PLAIN}, title="stop sequence"),
    Case("max_tokens", script=scripted(TEXT, finish="length"), arrives={"turns": [ASKED], "max_tokens": MATERIAL["few"]},
         gets={"text": SAID, "finish": "length", "usage": PLAIN}, title="limit of tokens"),
    Case("sampling", script=scripted(TEXT), arrives={"turns": [ASKED], "temperature": 0.5, "top_p": 0.75}, gets=ANSWER, title="temperature and top_p"),
    Case("refusal", does="chat", script=scripted({"refusal": "I would rather not."}, finish="content_filter"), arrives={"turns": [ASKED]},
         gets={"finish": "filter"}),
    Case("long", script=scripted(TEXT), arrives={"turns": [{"role": "user", "text": MATERIAL["word"] * MATERIAL["words"]}]}, gets=ANSWER,
         title="a prompt of 1 MiB"),
    Case("embeddings", arrives={}, gets={"vectors": {"openai": 1536, "responses": 1536, "gemini": 3072, "ollama": 768}}),
    Case("count", reaches=False, title="counting tokens"),
    Case("usage", script=scripted(THINKING, TEXT, usage=USAGE), gets={"usage": (1000, 600, 100, 50, 20), "text": SAID}, title="usage with cached and reasoning tokens"),
    Case("usage_stream", script=scripted(THINKING, TEXT, usage=USAGE), gets={"usage": (1000, 600, 100, 50, 20), "text": SAID}, title="the same, streamed"),
    Case("models", reaches=False, title="list of models"),
    Case("bad_key", does="fails", key="wrong", fault="status=401", raises="key", reaches=False, title="a wrong key"),
    Case("unknown_model", does="fails", fault="status=404", raises="model", reaches=False, title="an unknown model"),
    Case("refused", does="fails", fault="status=400", raises="parameter", title="400 from the provider"),
    Case("limited", does="fails", fault="status=429", raises="limit", title="429 from the provider"),
    Case("limited_stream", does="fails_stream", fault="status=429", raises="limit", title="429, streaming"),
    Case("server_error", does="fails", fault="status=500", raises="server", title="500 from the provider"),
    Case("broken_stream", does="fails_stream", fault="error-event", raises="broken", title="an error within a stream"),
    Case("cut_stream", does="fails_stream", fault="cut=2", raises="cut", title="a stream that breaks off"),
]
BY_NAME = {case.name: case for case in CASES}

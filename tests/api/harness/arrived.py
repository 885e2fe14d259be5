"""What a request asks of a model, whatever API it is written in: the same plain words for a body of each of the five.

The readers were written from the vendors' documentation alone, so that a test can say in one place what must arrive at every provider:

    system      its text
    turns       [{role, text, images, documents, thoughts, calls, results}], without what is empty; role is user or model
    tools       [{name, description, parameters}]
    choice      auto (or nothing), none, any, or the name of a tool
    schema      of structured output
    max_tokens, stop, temperature, top_p, seed, thinking (True), parallel (False where it is turned off)

A picture or a document is its media type and data, or its address; a call is (name, arguments), a result (name, text); a thought is (text, signature).
"""
import json

from pydantic.alias_generators import to_camel


def text_of(content, kinds=("text", "input_text", "output_text")):
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content or [] if part.get("type", "text") in kinds)


def without_nothing(row):
    return {name: value for name, value in row.items() if value not in (None, "", [], {})}


def merged(turns):
    """Neighbours of one role are one turn: some APIs want them apart, some together."""
    found = []
    for turn in turns:
        turn = without_nothing(turn)
        if found and found[-1]["role"] == turn["role"]:
            for name, value in turn.items():
                found[-1][name] = found[-1].get(name, type(value)()) + value if name != "role" else value
        elif len(turn) > 1:
            found.append(turn)
    return found


def named_by_order(turns):
    """Results that do not name their tool belong to the calls before them, in their order."""
    calls = []
    for turn in turns:
        calls += turn.get("calls", [])
        turn["results"] = [(name or calls.pop(0)[0], text) if not name and calls else (name, text) for name, text in turn.get("results", [])]
    return turns


def of_data_url(url):
    head, _, data = url.partition(",")
    return (head.removeprefix("data:").removesuffix(";base64"), data) if url.startswith("data:") else url


def object_of(text):
    """A tool's result: Gemini wants an object, so that its clients wrap what is none, each in its own way."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if isinstance(found, dict) and len(found) == 1:
        return found.get("result", found.get("output", text))
    return found["content"] if isinstance(found, dict) and set(found) == {"name", "content"} else text


def standard(data):
    """Bytes in Gemini's JSON may be written in either alphabet of base64."""
    return data.replace("-", "+").replace("_", "/")


def lowered(schema):
    """Gemini's own schemas have their types in capitals."""
    if isinstance(schema, list):
        return [lowered(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: inner.lower() if name == "type" and isinstance(inner, str) else lowered(inner) for name, inner in schema.items()}


def openai(body):
    system, turns, names = [], [], {}
    for message in body["messages"]:
        content = message.get("content")
        if message["role"] in ("system", "developer"):
            system.append(text_of(content))
        elif message["role"] == "tool":
            turns.append({"role": "user", "results": [(names.get(message["tool_call_id"]), object_of(text_of(content)))]})
        else:
            parts = content if isinstance(content, list) else []
            calls = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls") or []]
            names.update({call["id"]: call["function"]["name"] for call in message.get("tool_calls") or []})
            turns.append({"role": "model" if message["role"] == "assistant" else "user", "text": text_of(content), "calls": calls,
                          "images": [of_data_url(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"],
                          "documents": [of_data_url(part["file"]["file_data"]) for part in parts if part["type"] == "file"]})
    choice, form = body.get("tool_choice"), body.get("response_format") or {}
    return {"system": "\n".join(system), "turns": merged(turns),
            "tools": [{name: tool["function"].get(name) for name in ("name", "description", "parameters")} for tool in body.get("tools") or []],
            "choice": choice["function"]["name"] if isinstance(choice, dict) else {"required": "any"}.get(choice, choice),
            "parallel": body.get("parallel_tool_calls"), "schema": form.get("json_schema", {}).get("schema"),
            "max_tokens": body.get("max_completion_tokens", body.get("max_tokens")),
            "stop": [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop"), "temperature": body.get("temperature"),
            "top_p": body.get("top_p"), "seed": body.get("seed"), "thinking": body.get("reasoning_effort") not in (None, "none")}


def responses(body):
    system, turns, names = [body.get("instructions") or ""], [], {}
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type", "message")
        if kind == "function_call":
            names[item["call_id"]] = item["name"]
            turns.append({"role": "model", "calls": [(item["name"], json.loads(item["arguments"]))]})
        elif kind == "function_call_output":
            turns.append({"role": "user", "results": [(names.get(item["call_id"]), object_of(text_of(item["output"])))]})
        elif kind == "reasoning":
            told = "".join(part["text"] for part in [*(item.get("summary") or []), *(item.get("content") or [])])
            turns.append({"role": "model", "thoughts": [(told, item.get("encrypted_content"))]})
        elif item["role"] in ("system", "developer"):
            system.append(text_of(item["content"]))
        else:
            parts = item["content"] if isinstance(item["content"], list) else []
            turns.append({"role": "model" if item["role"] == "assistant" else "user", "text": text_of(item["content"]),
                          "images": [of_data_url(part["image_url"]) for part in parts if part["type"] == "input_image"],
                          "documents": [of_data_url(part["file_data"]) for part in parts if part["type"] == "input_file"]})
    choice, form = body.get("tool_choice"), (body.get("text") or {}).get("format") or {}
    return {"system": "\n".join(filter(None, system)), "turns": merged(turns),
            "tools": [{name: tool.get(name) for name in ("name", "description", "parameters")} for tool in body.get("tools") or []],
            "choice": choice.get("name") if isinstance(choice, dict) else {"required": "any"}.get(choice, choice),
            "parallel": body.get("parallel_tool_calls"), "schema": form.get("schema"), "max_tokens": body.get("max_output_tokens"),
            "stop": None, "temperature": body.get("temperature"), "top_p": body.get("top_p"), "seed": None,
            "thinking": (body.get("reasoning") or {}).get("effort") not in (None, "none")}


def source_of(block):
    source = block["source"]
    return (source["media_type"], source["data"]) if source["type"] == "base64" else source["url"]


def anthropic(body):
    turns, names = [], {}
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]
        turn = {"role": "model" if message["role"] == "assistant" else "user", "text": "", "images": [], "documents": [], "thoughts": [],
                "calls": [], "results": []}
        for block in blocks:
            if block["type"] == "text":
                turn["text"] += block["text"]
            elif block["type"] in ("image", "document"):
                turn[block["type"] + "s"].append(source_of(block))
            elif block["type"] == "thinking":
                turn["thoughts"].append((block["thinking"], block["signature"]))
            elif block["type"] == "redacted_thinking":
                turn["thoughts"].append((None, block["data"]))
            elif block["type"] == "tool_use":
                names[block["id"]] = block["name"]
                turn["calls"].append((block["name"], block["input"]))
            elif block["type"] == "tool_result":
                turn["results"].append((names.get(block["tool_use_id"]), object_of(text_of(block.get("content")))))
        turns.append(turn)
    choice = body.get("tool_choice") or {}
    return {"system": text_of(body.get("system")), "turns": merged(turns),
            "tools": [{"name": tool["name"], "description": tool.get("description"), "parameters": tool["input_schema"]}
                      for tool in body.get("tools") or []],
            "choice": choice.get("name", choice.get("type")), "parallel": False if choice.get("disable_parallel_tool_use") else None,
            "schema": ((body.get("output_config") or {}).get("format") or {}).get("schema"), "max_tokens": body["max_tokens"],
            "stop": body.get("stop_sequences"), "temperature": body.get("temperature"), "top_p": body.get("top_p"), "seed": None,
            "thinking": (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")}


def camel(value, name=""):
    """The API takes every name in two spellings, and Google's own package for Python sends both in one body. What is the caller's own stays."""
    if name in ("args", "response") or name.endswith("JsonSchema"):
        return value
    if isinstance(value, list):
        return [camel(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    named = [(to_camel(inner_name) if "_" in inner_name else inner_name, inner) for inner_name, inner in value.items()]
    return {inner_name: camel(inner, inner_name) for inner_name, inner in named}


def gemini(body):
    body, turns = camel(body), []
    for content in body["contents"]:
        turn = {"role": "model" if content.get("role") == "model" else "user", "text": "", "images": [], "documents": [], "thoughts": [],
                "calls": [], "results": []}
        for part in content["parts"]:
            media = part.get("inlineData") or part.get("fileData")
            if media:
                pdf = media.get("mimeType") == "application/pdf"
                turn["documents" if pdf else "images"].append(
                    (media["mimeType"], standard(media["data"])) if "inlineData" in part else media["fileUri"])
            elif "functionCall" in part:
                turn["calls"].append((part["functionCall"]["name"], part["functionCall"].get("args") or {}))
            elif "functionResponse" in part:
                answer = part["functionResponse"]
                turn["results"].append((answer["name"], object_of(json.dumps(answer["response"]))))
            elif part.get("thought"):
                turn["thoughts"].append((part.get("text", ""), None))
            else:
                turn["text"] += part.get("text", "")
            if part.get("thoughtSignature"):
                turn["thoughts"].append(("", part["thoughtSignature"]))
        turns.append(turn)
    thinking = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    config, calling = body.get("generationConfig") or {}, ((body.get("toolConfig") or {}).get("functionCallingConfig") or {})
    allowed = calling.get("allowedFunctionNames") or []
    return {"system": text_of((body.get("systemInstruction") or {}).get("parts")), "turns": merged(turns),
            "tools": [{"name": tool["name"], "description": tool.get("description"),
                       "parameters": tool.get("parametersJsonSchema", lowered(tool.get("parameters")))}
                      for group in body.get("tools") or [] for tool in group.get("functionDeclarations") or []],
            "choice": allowed[0] if len(allowed) == 1 else calling.get("mode", "").lower() or None, "parallel": None,
            "schema": config.get("responseJsonSchema", config.get("responseSchema")), "max_tokens": config.get("maxOutputTokens"),
            "stop": config.get("stopSequences"), "temperature": config.get("temperature"), "top_p": config.get("topP"),
            "seed": config.get("seed"), "thinking": bool(thinking.get("includeThoughts") or thinking.get("thinkingBudget") or thinking.get("thinkingLevel"))}


def ollama(body):
    system, turns = [], []
    told = [{"role": role, "content": body[name], "images": body.get("images") if role == "user" else None}
            for role, name in (("system", "system"), ("user", "prompt")) if body.get(name)]  # of /api/generate
    for message in body.get("messages", told):
        if message["role"] == "system":
            system.append(message["content"])
        elif message["role"] == "tool":
            turns.append({"role": "user", "results": [(message.get("tool_name"), object_of(message["content"]))]})
        else:
            turns.append({"role": "model" if message["role"] == "assistant" else "user", "text": message.get("content"),
                          "images": [("image/png", image) for image in message.get("images") or []],
                          "thoughts": [(message["thinking"], None)] if message.get("thinking") else [],
                          "calls": [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or []]})
    options, form = body.get("options") or {}, body.get("format")
    return {"system": "\n".join(system), "turns": merged(named_by_order(turns)),
            "tools": [{name: tool["function"].get(name) for name in ("name", "description", "parameters")} for tool in body.get("tools") or []],
            "choice": None, "parallel": None, "schema": form if isinstance(form, dict) else None, "max_tokens": options.get("num_predict"),
            "stop": [options["stop"]] if isinstance(options.get("stop"), str) else options.get("stop"),
            "temperature": options.get("temperature"), "top_p": options.get("top_p"), "seed": options.get("seed"),
            "thinking": body.get("think") not in (None, False)}


READERS = {"openai": openai, "responses": responses, "anthropic": anthropic, "gemini": gemini, "ollama": ollama}


def arrived(dialect, body):
    """What this body (JSON text) asks for, without what it does not."""
    return without_nothing(READERS[dialect](json.loads(body)))

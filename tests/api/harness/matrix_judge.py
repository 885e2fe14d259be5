"""What is different from what a case of the matrix must come to, for one client and one provider."""
from .matrix_cases import CITY
from .matrix_clients import MISCOUNTS_STREAMS, RAISES, STATUS, USAGE, finish_words, usage_expected
from .matrix_run import facts, request_problems
from .vendor_types import knows_path

ARGUMENTS = {"city": CITY, "days": "three"}


def of_error(client, case, result):
    wanted = RAISES[client.name][case.raises]
    wanted = (wanted,) if isinstance(wanted, str) else wanted
    if result.get("raises") not in wanted:
        return [f"raises {result.get('raises')} ({result.get('message')}), expected {' or '.join(wanted)}"]
    status = STATUS.get(case.raises)
    # A provider that fails is told of as 500 or 502: which of them is the same to every client.
    if status and result.get("status") not in (None, status, 502 if status == 500 else status):
        return [f"status {result.get('status')}, expected {status}"]
    return []


def of_turns(client, back, case, result):
    turns = result.get("turns") or []
    problems = []
    if len(turns) != len(case.turns):
        return [f"{len(turns)} turns, expected {len(case.turns)}"]
    for number, (turn, kind) in enumerate(zip(turns, case.turns, strict=True)):
        if kind == "calls" and turn.get("calls") != [{"name": "get_weather", "arguments": ARGUMENTS}]:
            problems.append(f"turn {number}: calls {turn.get('calls')}")
        if kind == "text" and (not turn.get("text") or turn.get("calls")):
            problems.append(f"turn {number}: text {turn.get('text')!r}, calls {turn.get('calls')}")
        finish = finish_words(client, "tools" if kind == "calls" else "stop")
        if finish and turn.get("finish") not in finish:
            problems.append(f"turn {number}: finish {turn.get('finish')}, expected {' or '.join(finish)}")
    return problems


def of_answer(client, back, case, result):
    problems = []
    for name in ("text", "reasoning", "calls", "object", "vectors"):
        wanted = case.gets.get(name)
        if name == "vectors" and wanted:  # two, as long as this provider makes them
            wanted = [wanted.get(back)] * 2
        if wanted is not None and result.get(name) != wanted:
            problems.append(f"{name} {result.get(name)!r}, expected {wanted!r}")
    finish = finish_words(client, case.gets["finish"]) if "finish" in case.gets else ()
    if finish and result.get("finish") not in finish:
        problems.append(f"finish {result.get('finish')}, expected {' or '.join(finish)}")
    streamed = "stream" in (case.does or case.name)
    if "usage" in case.gets and client.words in USAGE and not (streamed and client.name in MISCOUNTS_STREAMS):
        wanted, found = usage_expected(client, back, case.gets["usage"]), USAGE[client.words](result.get("usage"))
        if [figure for figure, want in zip(found, wanted, strict=True) if want is not None] != [want for want in wanted if want is not None]:
            problems.append(f"usage {found}, expected {wanted}")
    if case.name == "count" and not (isinstance(result.get("count"), int) and result["count"] > 0):
        problems.append(f"count {result.get('count')}")
    return problems


# Whose thoughts, or calls, bear what proves them; it must come back with every turn that called a tool.
SIGNS = ("responses", "anthropic", "gemini")


def of_signatures(back, found):
    if back not in SIGNS or not found.get("thinking"):
        return []
    return [f"signature of turn {number} did not arrive" for number, turn in enumerate(found["turns"])
            if turn.get("calls") and not any(signature for _, signature in turn.get("thoughts", []))]


def of_arrival(client, back, case, cell):
    """The last request of a case has everything that those before it had."""
    problems = []
    if not cell.requests:
        return ["nothing arrived at the provider"]
    path, body, _ = cell.requests[-1]
    if not knows_path(back, path):
        return [f"it arrived at {path}, which {back} does not have"]
    found = facts(back, body) if case.arrives else {}
    problems += of_signatures(back, found) if case.name == "thinking" else []
    for name, wanted in case.arrives.items():
        if name == "turns":
            wanted = [{**turn, **({"thoughts": got["thoughts"]} if "thoughts" in got and "thoughts" not in turn else {})}
                      for turn, got in zip(wanted, found.get("turns", []), strict=False)] + wanted[len(found.get("turns", [])):]
        if name == "schema" and isinstance(found.get(name), dict):  # LangChain names and describes it
            found[name] = {key: value for key, value in found[name].items() if key not in ("title", "description")}
        if name == "tools" and client.words == "llamaindex":  # it says more of its own
            for tool in found.get(name, []):
                tool["parameters"].pop("additionalProperties", None)
        if found.get(name) != wanted:
            problems.append(f"{name} arrived as {found.get(name)!r}, expected {wanted!r}"[:1500])
    return problems


def differences(client, back, case, cell):
    """[] where the cell is as it must be."""
    result = cell.result
    if case.raises:
        return of_error(client, case, result)
    if "raises" in result:
        return [f"raises {result['raises']} ({result.get('status')}): {result.get('message')}"]
    problems = of_turns(client, back, case, result) if case.turns else of_answer(client, back, case, result)
    if case.name == "models":
        return [] if result.get("models") else ["no models"]
    problems += of_arrival(client, back, case, cell) if case.reaches else []
    if client.dialect != back:  # in its own API a client's body goes through as it is
        problems += request_problems(back, cell)
    return problems

"""The load: wrk for as much as goes, our own generator (open_loop.c) for a fixed rate, strace to count system calls."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import time

from harness.processes import chat_body

CHAT = "/v1/chat/completions"
PROMPT = "Tell me about weirs and what they measure. " * 20


class LoadFailed(Exception):
    """Answers were missing or wrong: what was measured is not what it was to be."""


def chat_request(prompt=PROMPT, **fields):
    return json.dumps(chat_body(prompt, **fields)).encode()


def request_bytes(side_address, headers, body):
    """The whole of a chat request, as it goes over the wire."""
    fields = {"host": side_address, "content-type": "application/json", "content-length": str(len(body)), **headers}
    return (f"POST {CHAT} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n").encode() + body


def write_script(path, body, headers, keys=None):
    """wrk's request, as Lua. With `keys` each request carries the next one of them."""
    fields = {"content-type": "application/json", **headers}
    lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(body.decode())}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in fields.items()]
    if keys:
        lines += ["local requests, turn = {}, 0", "init = function()", "  for _, key in ipairs({" + ", ".join(f'"{key}"' for key in keys) + "}) do",
                  '    wrk.headers["authorization"] = "Bearer " .. key', "    requests[#requests + 1] = wrk.format()", "  end", "end",
                  "request = function()", "  turn = turn % #requests + 1", "  return requests[turn]", "end"]
    pathlib.Path(path).write_text("\n".join(lines) + "\n")
    return path


def full(bench, side, body, headers=None, seconds=None, path=CHAT, refused=False, keys=None):
    """As many requests as go. `refused`: none may be answered with success; else all must be."""
    script = write_script(f"{bench.folder}/request.lua", body, {**side.headers, **(headers or {})}, keys)
    seconds = seconds or bench.options.seconds
    command = ["taskset", "-c", str(bench.load_core), "wrk", "-t", "1", "-c", str(bench.options.connections), "-d", f"{seconds}s",
               "--timeout", "10s", "-s", script, f"http://{side.address}{path}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    wrong = int(wrong.group(1)) if wrong else 0
    errors = re.search(r"Socket errors: .*", text)
    if requests == 0 or errors or wrong != (requests if refused else 0):
        raise LoadFailed(f"{side.name}: {requests} requests, {wrong} without success{', ' + errors.group(0) if errors else ''}")
    return {"requests": requests, "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))}


def fixed(bench, side, rate, body, headers=None, seconds=None, connections=48, warm_up=1):
    """A fixed number of requests a second, whatever becomes of them; every answer is waited for. "before" is the side's CPU time when all
    connections were open."""
    seconds = seconds or bench.options.seconds
    request = pathlib.Path(bench.folder) / "request.http"
    request.write_bytes(request_bytes(side.address, {**side.headers, **(headers or {})}, body))
    host, _, port = side.address.rpartition(":")
    command = ["taskset", "-c", str(bench.load_core), bench.generator, host, port, request, rate, seconds, connections, warm_up]
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        ready = process.stdout.readline()
        before = side.cpu()
        text, _ = process.communicate(timeout=seconds + warm_up + 60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if ready != "ready\n" or process.returncode != 0:
        raise LoadFailed(f"{side.name} at {rate} a second: the generator ended with {process.returncode}")
    result = json.loads(text)
    if result["failed"] or result["refused"]:
        raise LoadFailed(f"{side.name} at {rate} a second: {text.strip()}")
    return {**result, "requests": result["answered"], "before": before}


def with_cpu(side, run):
    """What `run` gives, and under "cpu" the microseconds of each part for a request."""
    before = side.cpu()
    result = run()
    side.settle()
    after = side.cpu()
    before = result.get("before", before)
    result["cpu"] = {part: (after[part] - before[part]) / result["requests"] for part in after}
    return result


def system_calls(bench, side, run):
    """System calls a request of the worker, counted in a run of its own: being watched makes it slow."""
    if side.traced() is None or shutil.which("strace") is None:
        return None
    report = pathlib.Path(bench.folder) / "strace.txt"
    tracer = subprocess.Popen(["strace", "-c", "-o", report, "-p", str(side.traced())], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        result = run()
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    finally:
        if tracer.poll() is None:
            tracer.kill()
            tracer.wait()
    total = re.search(r"^\s*[\d.]+\s+[\d.]+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total$", report.read_text(), re.MULTILINE)
    return int(total.group(1)) / result["requests"] if total else None

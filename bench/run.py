#!/usr/bin/env python3
"""weir beside nginx as a plain proxy: requests a second, CPU microseconds a request, system calls a request.

    make bench        or  .venv/bin/python bench/run.py [--seconds 5] [--rounds 3] [--connections 32] [--only NAME]

Both stand before the same upstream (`weir sim`) with one worker, pooled upstream connections and an access log; weir does
all that it always does (keys, body scan, journal, ledger, metrics, log). What is measured runs alone on one core; the load
(wrk) and the upstream share the other, so requests a second say as much of them as of the proxy: the CPU time a request,
read from the processes' own accounting, is the figure that counts. Rounds alternate, the median is shown.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/api"))

from harness.plain import call  # noqa: E402
from harness.processes import Gateway, Simulator, chat_body, default_settings  # noqa: E402
from harness.waiting import until  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
PROMPT = "Tell me about weirs and what they measure. " * 20

NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  client_body_buffer_size 128k;
  upstream sim {{ server {upstream}; keepalive 256; keepalive_requests 1000000; }}
  server {{
    listen {port};
    tcp_nodelay on;
    location / {{
      proxy_pass http://sim;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering {buffering};
    }}
  }}
}}
"""


def pin(pid, core):
    """Every thread of a process, and those that it will start."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task), {core})


def cpu_seconds(path):
    """User and system time of a process or thread."""
    with open(f"/proc/{path}/stat", encoding="ascii") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICK


class Nginx:
    def __init__(self, folder, upstream, buffering):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        (self.folder / "nginx.conf").write_text(NGINX.format(
            folder=self.folder, upstream=upstream, port=self.address, buffering="on" if buffering else "off"))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([program, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"])
        until(lambda: self.answers(), "nginx to answer")
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        self.worker = int(open(children, encoding="ascii").read().split()[0])
        self.headers = {"authorization": "Bearer sim-key"}

    def answers(self):
        with contextlib.suppress(OSError):
            return call(self.address, "GET", "/v1/models").status > 0
        return False

    def cpu(self):
        return {"workers": cpu_seconds(self.worker), "total": cpu_seconds(self.worker) + cpu_seconds(self.process.pid)}

    def pids(self):
        return [self.process.pid, self.worker]

    def traced(self):
        return self.worker

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(10)


class Weir:
    def __init__(self, folder, simulator, binary):
        self.gateway = Gateway(binary, folder, default_settings(simulator)).start()
        self.address, self.headers = self.gateway.address, self.gateway.authorization

    def cpu(self):
        metrics = self.gateway.metrics()

        def total(name):
            return sum(value for (found, _), value in metrics.items() if found == name)

        return {"workers": total("weir_worker_cpu_seconds_total"), "store": total("weir_store_cpu_seconds_total"),
                "control": total("weir_control_cpu_seconds_total"), "total": cpu_seconds(self.gateway.pid)}

    def pids(self):
        return [self.gateway.pid]

    def traced(self):
        """The worker's thread: the busiest one."""
        tasks = os.listdir(f"/proc/{self.gateway.pid}/task")
        return max(tasks, key=lambda task: cpu_seconds(f"{self.gateway.pid}/task/{task}"))

    def stop(self):
        self.gateway.stop()


class Direct:
    """The load against the upstream itself: what the other core can do at most."""

    def __init__(self, simulator):
        self.address, self.headers = simulator.address, {"authorization": "Bearer sim-key"}

    def cpu(self):
        return {}

    def pids(self):
        return []

    def traced(self):
        return None

    def stop(self):
        pass


def free_port():
    """nginx cannot be told to choose: a port that was free a moment ago."""
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def write_script(folder, target, stream):
    """wrk's request, as Lua."""
    fields = {**target.headers, "content-type": "application/json", **({"x-sim-tokens": "64"} if stream else {})}
    lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(json.dumps(chat_body(PROMPT, stream=stream)))}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in fields.items()]
    path = pathlib.Path(folder) / "request.lua"
    path.write_text("\n".join(lines) + "\n")
    return path


def load(folder, target, stream, seconds, connections, core):
    script = write_script(folder, target, stream)
    command = ["taskset", "-c", str(core), "wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--latency", "-s", script,
               f"http://{target.address}/v1/chat/completions"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: (.*)", text)
    if wrong or errors:
        print(f"  note: {target.__class__.__name__}: {wrong.group(0) if wrong else ''} {errors.group(0) if errors else ''}")
    return {"requests": requests, "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
            "p50": re.search(r"50%\s+(\S+)", text).group(1), "p99": re.search(r"99%\s+(\S+)", text).group(1)}


def measure(folder, target, stream, options):
    before = target.cpu()
    result = load(folder, target, stream, options.seconds, options.connections, options.load_core)
    # weir's own counters are brought up to date once a second.
    time.sleep(1.2) if isinstance(target, Weir) else None
    after = target.cpu()
    result["cpu"] = {part: (after[part] - before[part]) * 1e6 / result["requests"] for part in after}
    return result


def system_calls(folder, target, stream, options):
    """System calls a request of the worker, counted in a run of its own: being watched makes it slow."""
    if target.traced() is None or shutil.which("strace") is None:
        return None
    report = pathlib.Path(folder) / "strace.txt"
    tracer = subprocess.Popen(["strace", "-c", "-o", report, "-p", str(target.traced())], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    result = load(folder, target, stream, 2, options.connections, options.load_core)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    total = re.search(r"^\s*[\d.]+\s+[\d.]+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total$", report.read_text(), re.MULTILINE)
    return int(total.group(1)) / result["requests"] if total else None


def middle(results, value):
    return statistics.median(value(result) for result in results)


def show(kind, results, calls):
    print(f"\n{kind}: median of {len(next(iter(results.values())))} rounds")
    print(f"  {'':8} {'req/s':>9} {'p50':>9} {'p99':>9} {'worker us':>10} {'store us':>9} {'control us':>11} {'total us':>9} {'calls/req':>10}")
    for name, rounds in results.items():
        def part(which, rounds=rounds):
            values = [result["cpu"].get(which) for result in rounds]
            return f"{statistics.median(values):.1f}" if None not in values else "-"

        print(f"  {name:8} {middle(rounds, lambda r: r['rate']):9.0f} {rounds[-1]['p50']:>9} {rounds[-1]['p99']:>9} {part('workers'):>10} "
              f"{part('store'):>9} {part('control'):>11} {part('total'):>9} {f'{calls[name]:.1f}' if calls.get(name) else '-':>10}")
    if "weir" in results and "nginx" in results:
        ratio = {part: middle(results["weir"], lambda r, p=part: r["cpu"][p]) / middle(results["nginx"], lambda r, p=part: r["cpu"][p])
                 for part in ("workers", "total")}
        rate = middle(results["weir"], lambda r: r["rate"]) / middle(results["nginx"], lambda r: r["rate"])
        print(f"  weir / nginx: requests/s {rate:.2f}, CPU a request: workers {ratio['workers']:.2f}, total {ratio['total']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", choices=["json", "stream"])
    parser.add_argument("--binary", default=os.environ.get("WEIR_BINARY", ROOT / "build/weir"))
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("bench: this needs two cores: one for what is measured, one for the load")
    core, options.load_core = cores[0], cores[1]
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder, contextlib.ExitStack() as stack:
        simulator = Simulator(options.binary, folder).start()
        stack.callback(simulator.stop)
        pin(simulator.pid, options.load_core)
        for kind, stream in (("json", False), ("stream", True)):
            if options.only not in (None, kind):
                continue
            targets = {"weir": Weir(f"{folder}/weir-{kind}", simulator, options.binary),
                       "nginx": Nginx(f"{folder}/nginx-{kind}", simulator.address, buffering=not stream), "direct": Direct(simulator)}
            for target in targets.values():
                stack.callback(target.stop)
                for pid in target.pids():
                    pin(pid, core)
            results = {name: [] for name in targets}
            for _ in range(options.rounds):
                for name, target in targets.items():
                    results[name].append(measure(folder, target, stream, options))
            calls = {name: system_calls(folder, target, stream, options) for name, target in targets.items()}
            show("whole answers (JSON)" if kind == "json" else "streams (64 tokens each, as fast as they come)", results, calls)
    return 0


if __name__ == "__main__":
    sys.exit(main())

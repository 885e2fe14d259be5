"""Runs the clients of the matrix: each of them is a process of its own that makes all of its calls to all providers, and what arrived at the
providers is collected behind it. Two run at a time, each with simulators (and a gateway) of its own."""
import concurrent.futures
import dataclasses
import json
import pathlib
import queue
import re
import subprocess

from .arrived import arrived
from .clients import FOLDER, ROOT, node_program
from .matrix_cases import CASES, MATERIAL
from .matrix_clients import BACKS
from .processes import Gateway, Simulator, clean_environment, default_settings
from .vendor_types import problems
from .waiting import SCALE

MARK = re.compile(r"\s*\[([a-z-]+)/([a-z]+)/([a-z_]+)\] ?")
KINDS = {"plain": "sim-small", "reasoner": "sim-reasoner", "cached": "sim-reasoner-cached", "embedding": "sim-embedding"}
FORWARDED = ["x-sim-script", "x-sim-fault", "x-sim-split"]
# Where each API stands in the simulator.
PATHS = {"openai": "/v1", "responses": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}


@dataclasses.dataclass
class Cell:
    result: dict
    requests: list  # (path, body as text, anthropic-version or None), as the provider has got them
    milliseconds: int


def program_words(client):
    if client.environment == "node":
        return [node_program(), FOLDER / "node" / client.program], FOLDER / "node"
    return [ROOT / client.environment / "bin/python", FOLDER / "python_clients" / client.program], FOLDER / "python_clients"


def run_client(client, base, key, backs, cases):
    """{(back, case): (result, ms)}"""
    words, folder = program_words(client)
    settings = {"base": base, "key": key, "clients": [client.name], "backs": backs, "material": MATERIAL,
                "cases": [{"name": case.name, "does": case.does or case.name, "headers": case.headers, "key": case.key} for case in cases]}
    done = subprocess.run([str(word) for word in words], cwd=folder, input=json.dumps(settings), capture_output=True, text=True,
                          timeout=240 * SCALE, env=clean_environment({"NODE_NO_WARNINGS": "1"}))
    assert done.returncode == 0, f"{client.name}: {done.stderr[-4000:]}"
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {(row["back"], row["case"]): (row["result"], row["ms"]) for row in rows}


class Lane:
    """Simulators, one for each provider, and with `through` a gateway before them."""

    def __init__(self, binary, folder, through):
        self.sims = {}
        self.gateway = None
        for back in BACKS if through else ["any"]:
            (folder / back).mkdir(parents=True)
            self.sims[back] = Simulator(binary, folder / back).start()
        if through:
            self.gateway = Gateway(binary, folder / "weir", self.settings()).start()

    def settings(self):
        providers = [{"name": back, "dialect": back, "speaks": [back], "base_url": f"http://{sim.address}{PATHS[back]}", "api_key": "sim-key",
                      "forward_headers": FORWARDED} for back, sim in self.sims.items()]
        models = [{"name": f"via-{back}" + ("" if kind == "plain" else f"-{kind}"), "targets": [{"provider": back, "model": model}]}
                  for back in BACKS for kind, model in KINDS.items()]
        return default_settings(next(iter(self.sims.values())), providers=providers, models=models, limits={"max_request_bytes": "8MiB"})

    def run(self, client, cases):
        """{(back, case): Cell}"""
        if self.gateway is None:
            backs = [{"name": client.dialect, "models": KINDS}]
            base, key = f"http://{self.sims['any'].address}", "sim-key"
        else:
            backs = [{"name": back, "models": {kind: f"via-{back}" + ("" if kind == "plain" else f"-{kind}") for kind in KINDS}} for back in BACKS]
            base, key = f"http://{self.gateway.address}", self.gateway.key
        results = run_client(client, base, key, backs, cases)
        requests = {}
        for sim in self.sims.values():
            for kept in sim.requests():
                mark = MARK.search(kept["body"])
                if mark and mark[1] == client.name:
                    requests.setdefault((mark[2], mark[3]), []).append((kept["path"], kept["body"], kept["headers"].get("anthropic-version")))
        return {which: Cell(result, requests.get(which, []), ms) for which, (result, ms) in results.items()}

    def close(self):
        if self.gateway is not None:
            self.gateway.close()
        for sim in self.sims.values():
            sim.stop()


def run_all(binary, folder, clients, cases=None, through=True):
    """{(client's name, back, case's name): Cell}; an exception where a client's program itself failed."""
    cases, found = cases or CASES, {}
    lanes = queue.Queue()
    made = [Lane(binary, pathlib.Path(folder) / f"lane-{number}", through) for number in range(2)]
    for lane in made:
        lanes.put(lane)

    def one(client):
        lane = lanes.get()
        try:
            return lane.run(client, cases)
        finally:
            lanes.put(lane)

    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for client, cells in zip(clients, pool.map(one, clients), strict=True):
                found.update({(client.name, *which): cell for which, cell in cells.items()})
    finally:
        for lane in made:
            lane.close()
    return found


def facts(back, body):
    """What arrived, without the mark that names the call."""
    found = arrived(back, body)
    for turn in found.get("turns", []):
        if "text" in turn:
            turn["text"] = MARK.sub("", turn["text"])
    return found


def request_problems(back, cell):
    return [f"{path}: {problem}" for path, body, version in cell.requests for problem in problems(back, path, body, version)]

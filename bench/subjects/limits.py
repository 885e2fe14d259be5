"""What budgets and limits cost: five budgets and six limits that apply to every request, against none; and two workers that share one budget."""
import contextlib

from harness.operator import Operator

from loads import chat_request, full, with_cpu
from machine import on_core
from results import Row, at_most
from sides import Weir

NAME = "limits"
TITLE = "Budgets and limits (JSON, full load)"
MUCH = 10**15
METHOD = """\
The same requests through a weir without budgets and limits, and through one where five budgets (of the key, its workspace, the model, the provider, and all) and six
limits (requests a second, a minute, a day, tokens a minute, a day, requests at once) apply to each; none is ever reached. What it costs more is what is held and
settled in memory, the questions for slices, and the sums that are kept anyway. With two workers, which share the core of the one, every request goes through one budget: what
is dearer there than without is what they wait for each other."""


def budget(operator, scope, scope_id):
    operator.post("/api/v1/budgets", {"scope": scope, "scope_id": scope_id, "window": "month", "limit_cu_milli": MUCH}, status=201)


def limit_all(gateway):
    operator = Operator(gateway)
    key = operator.get("/api/v1/keys").json()["data"][0]["id"]
    for scope, scope_id in (("key", key), ("workspace", "default"), ("model", "sim-small"), ("provider", "sim"), ("global", "")):
        budget(operator, scope, scope_id)
    operator.post("/api/v1/limits", {"scope": "key", "scope_id": key, "requests_per_second": 10**6, "requests_per_minute": 6 * 10**7,
                                     "requests_per_day": 10**12}, status=201)
    operator.post("/api/v1/limits", {"scope": "workspace", "scope_id": "default", "tokens_per_minute": 10**12, "tokens_per_day": 10**15,
                                     "concurrent_requests": 10**6}, status=201)


def limit_one(gateway):
    budget(Operator(gateway), "global", "")


def measure(bench):
    body = chat_request()
    kinds = {"none": (1, None), "all": (1, limit_all), "none, two workers": (2, None), "one budget, two workers": (2, limit_one)}
    sides = {}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(bench.upstream())
        for number, (name, (workers, prepare)) in enumerate(kinds.items()):
            side = Weir(f"{bench.folder}/limits-{number}", upstream, bench.binary, server={"listen": "127.0.0.1:0", "workers": workers})
            stack.callback(side.stop)
            with on_core(bench.core):
                side.start()
            if prepare is not None:
                prepare(side.gateway)
            sides[name] = side
        results = {name: [] for name in kinds}
        for turn in range(bench.options.rounds):
            bench.say(f"round {turn + 1} of {bench.options.rounds}")
            for name, side in sides.items():
                results[name].append(with_cpu(side, lambda side=side: full(bench, side, body)))
        questions = sides["all"].metric("weir_meter_store_questions_total")

    def cpu(name, *parts):
        return [sum(result["cpu"][part] for part in parts) for result in results[name]]

    everything = ("worker", "store", "control")
    return [
        *[Row(f"{name}: CPU a request, worker", "µs", {"weir": cpu(name, "worker")}) for name in kinds],
        *[Row(f"{name}: CPU a request, all threads", "µs", {"weir": cpu(name, *everything)}) for name in kinds],
        Row("5 budgets and 6 limits / none, CPU of the worker", "×", {"weir": ratios(cpu("all", "worker"), cpu("none", "worker"))}, at_most(1.1)),
        Row("5 budgets and 6 limits / none, CPU of all threads", "×", {"weir": ratios(cpu("all", *everything), cpu("none", *everything))}, at_most(1.1)),
        Row("one hot budget / none, two workers, CPU of all threads", "×",
            {"weir": ratios(cpu("one budget, two workers", *everything), cpu("none, two workers", *everything))}),
        Row("one hot budget, two workers: requests a second", "", {"weir": [result["rate"] for result in results["one budget, two workers"]]}),
        Row("questions to the store for 1,000 requests", "",
            {"weir": [1000 * questions / sum(result["requests"] for result in results["all"])]}),
    ]


def ratios(upper, lower):
    return [a / b for a, b in zip(upper, lower)]

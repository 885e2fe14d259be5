"""Counts beside the ones that are kept in tests/instructions.json."""
import json
import os
import pathlib
import platform
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "tests/instructions.json"
REWRITE = "make instructions"
# What a change may add, and what another compiler or library may: beyond that it is no longer their doing alone.
ALLOWED, ALLOWED_ELSEWHERE = 0.03, 0.15
# The store writes its sums once a second: how many requests share a writing depends on how long the counting takes.
BY_THE_CLOCK = {"store_request": 0.30}
# What a flood of bad requests costs must stay below what a good one is worth: the first takes fewer instructions than the second.
CHEAPER = [("refused_damaged_key", "request"), ("refused_unknown_key", "request"), ("refused_unknown_model", "request")]
# What is under budgets and limits of all kinds takes at most a tenth more than the same without, and what two counts of it differ by.
GOVERNED = [("request_governed", "request", 1.115)]
# A function's share of its case from which on it is kept, and how many are named when a case grows.
KEPT_SHARE, NAMED = 0.005, 6
LIBRARIES = ["libuv", "libcares", "openssl", "sqlite3", "yaml-0.1", "libllhttp", "yyjson", "zlib"]


def output(*words):
    try:
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions():
    """All that decides on the counts besides our own code. The C library chooses its functions by the processor."""
    flags = set(re.findall(r"\w+", pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii").partition("flags")[2].partition("\n")[0]))
    compiler = os.environ.get("CC", "gcc")
    return {"compiler": output(compiler, "--version").partition("\n")[0], "libc": os.confstr("CS_GNU_LIBC_VERSION"),
            "valgrind": output("valgrind", "--version"), "machine": platform.machine(),
            "processor": "avx2" if "avx2" in flags else "no avx2",
            **{name: output("pkg-config", "--modversion", name) for name in LIBRARIES}}


def total(functions):
    return round(sum(functions.values()))


def keep(counted, of_versions):
    """The file's content."""
    cases = {}
    for name, functions in counted.items():
        whole = total(functions)
        large = {function: round(count) for function, count in functions.items() if count >= KEPT_SHARE * whole}
        cases[name] = {"instructions": whole, "functions": dict(sorted(large.items(), key=lambda item: (-item[1], item[0])))}
    return {"versions": of_versions, "cases": cases}


def write(counted, of_versions):
    FILE.write_text(json.dumps(keep(counted, of_versions), indent=1) + "\n")


def read():
    return json.loads(FILE.read_text())


def grown(kept_functions, functions):
    """The functions that grew most, in words. One that is not kept was small."""
    growth = {name: count - kept_functions.get(name, 0) for name, count in functions.items()}
    most = sorted(growth.items(), key=lambda item: -item[1])[:NAMED]
    return ", ".join(f"{name} +{round(more)}" for name, more in most if more >= 1)


def judge(kept, counted, of_versions):
    """{"passed": […], "skipped": […], "failed": […], "notes": […]}, each a line for people."""
    found = {"passed": [], "skipped": [], "failed": [], "notes": []}
    other = [f"{name}: {kept['versions'].get(name)} there, {of_versions.get(name)} here"
             for name in sorted(kept["versions"].keys() | of_versions.keys())
             if kept["versions"].get(name) != of_versions.get(name)]
    allowed = ALLOWED_ELSEWHERE if other else ALLOWED
    for small, large in CHEAPER:
        if small in counted and large in counted and total(counted[small]) >= total(counted[large]):
            found["failed"].append(f"{small} takes {total(counted[small])} instructions, as many as {large} ({total(counted[large])})")
    for governed, plain, bound in GOVERNED:
        if governed in counted and plain in counted:
            share = total(counted[governed]) / total(counted[plain])
            line = f"{governed} takes {share:.3f} times the instructions of {plain}; {bound:.2f} at most"
            found["passed" if share <= bound else "failed"].append(line)
    for name in sorted(kept["cases"].keys() | counted.keys()):
        if name not in kept["cases"] or name not in counted:
            where = "tests/instructions.json" if name in counted else "what is counted"
            found["failed"].append(f"{name} is not in {where}; `{REWRITE}` writes the file anew")
            continue
        before, now = kept["cases"][name]["instructions"], total(counted[name])
        share = now / before - 1
        line = f"{name}: {now} instructions, {before} are kept ({share:+.1%})"
        if now > before * (1 + max(allowed, BY_THE_CLOCK.get(name, 0))):
            found["failed"].append(f"{line}; most: {grown(kept['cases'][name]['functions'], counted[name])}; "
                                   f"if it is meant to be so, `{REWRITE}` writes tests/instructions.json anew")
        elif other:
            found["skipped"].append(f"{line}: made under other versions ({'; '.join(other)})")
        else:
            found["passed"].append(line)
            if share < -ALLOWED:
                found["notes"].append(f"{line}: `{REWRITE}` keeps the gain")
    return found

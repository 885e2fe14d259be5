#!/usr/bin/env python3
"""weir beside nginx as a plain reverse proxy: time, memory, latency; writes docs/performance.md.

    make bench                        everything: about 15 minutes
    .venv/bin/python bench/run.py [--only NAME] [--seconds 5] [--rounds 3] [--connections 32] [--page FILE]

A subject is a file in bench/subjects/. With --only the figures are printed and no page is written, unless --page names one: a
page holds one whole run, for only figures of one run may be compared.
"""
import argparse
import contextlib
import datetime
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/api"))

import machine  # noqa: E402
import page  # noqa: E402
from results import print_rows  # noqa: E402
from sides import Direct, Nginx, Upstream, Weir  # noqa: E402
from subjects import answers, bodies, keys, latency, limits, memory, records, refusals, start, streams, usage  # noqa: E402

SUBJECTS = [answers, streams, latency, bodies, keys, limits, records, usage, refusals, memory, start]
PAGE = ROOT / "docs/performance.md"


class Bench:
    """What every subject needs: where it may write, which core is whose, and how sides are started."""

    def __init__(self, options, folder, generator):
        self.options, self.folder, self.generator, self.binary = options, folder, generator, options.binary
        self.path = pathlib.Path(folder)
        cores = sorted(os.sched_getaffinity(0))
        self.core, self.load_core = cores[0], cores[1]
        self.subject = None
        self.count = 0

    def say(self, what):
        print(f"bench: {self.subject.NAME}: {what}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def upstream(self):
        self.count += 1
        folder = self.path / f"upstream-{self.count}"
        folder.mkdir()
        with machine.on_core(self.load_core):
            upstream = Upstream(self.binary, folder).start()
        try:
            yield upstream
        finally:
            upstream.terminate()

    @contextlib.contextmanager
    def sides(self, direct=True, nginx=None, weir=None, provider=None):
        """[Direct, Nginx, Weir], running: `nginx` are arguments of Nginx, `weir` sections of the settings, `provider` its members."""
        with contextlib.ExitStack() as stack:
            upstream = stack.enter_context(self.upstream())
            made = [Nginx(self.path / f"nginx-{self.count}", upstream, **(nginx or {})),
                    Weir(self.path / f"weir-{self.count}", upstream, self.binary, **(weir or {}))]
            if provider:
                made[1].gateway.settings["providers"][0].update(provider)
                made[1].gateway.write_settings()
            for side in made:
                stack.callback(side.stop)
                with machine.on_core(self.core):
                    side.start()
            yield [Direct(upstream), *made] if direct else made

    def rounds(self, sides, run):
        """{the side's name: [what run(side) gave in each round]}; the sides take turns, and each begins a round in its turn."""
        results = {side.name: [] for side in sides}
        for turn in range(self.options.rounds):
            self.say(f"round {turn + 1} of {self.options.rounds}")
            for side in [*sides[turn % len(sides):], *sides[:turn % len(sides)]]:
                results[side.name].append(run(side))
        return results

    @staticmethod
    def each(results, figure):
        """{the side's name: [figure(result) of each round]} without the sides that have none."""
        found = {side: [figure(result) for result in rounds] for side, rounds in results.items()}
        return {side: figures for side, figures in found.items() if None not in figures}


def build_generator():
    """The open-loop load generator, in a build directory of its own."""
    subprocess.run(["tools/build_in", "build-bench", "--targets", "bench/open_loop bench/records bench/usage", "-Dbuildtype=release", "-Dbench=true"], cwd=ROOT,
                   check=True)
    return ROOT / "build-bench/bench/open_loop"


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[subject.NAME for subject in SUBJECTS], action="append", help="this subject (may be repeated)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32, help="of wrk")
    parser.add_argument("--page", type=pathlib.Path, help="write the page here, whatever has been measured")
    parser.add_argument("--binary", type=pathlib.Path, default=os.environ.get("WEIR_BINARY", ROOT / "build/weir"))
    options = parser.parse_args()
    options.binary = pathlib.Path(options.binary).resolve()
    if options.seconds < 1 or options.rounds < 1:
        parser.error("a round takes a second at least, and there is one at least")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench: this needs two cores: one for what is measured, one for the load")
    if machine.find_nginx() is None or shutil.which("wrk") is None:
        sys.exit("bench: nginx and wrk are not there; tools/install_packages bench installs them")
    return options


def reasons(error):
    """What went wrong, and what went wrong first: a side that cannot be stopped must not hide why it was to be."""
    words = []
    while error is not None:
        words.insert(0, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        error = error.__context__
    return "; then ".join(words)


def main():
    options = parse_options()
    # So that whatever ends this ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [subject for subject in SUBJECTS if options.only is None or subject.NAME in options.only]
    generator = build_generator()
    machine.allow_many_files(0)
    machine_rows, others = machine.describe(options.binary), machine.Others()
    measured, failed = [], []
    began = time.monotonic()
    for subject in chosen:
        with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
            bench = Bench(options, folder, generator)
            bench.subject = subject
            try:
                rows = subject.measure(bench)
            except Exception as error:  # one subject that fails must not cost the others' figures
                failed.append(subject)
                print(f"bench: {subject.NAME} failed: {reasons(error)}", file=sys.stderr, flush=True)
                continue
        measured.append((subject, rows))
        print_rows(subject.TITLE, rows)
    path = options.page or (PAGE if len(measured) == len(SUBJECTS) else None)
    if path and measured:
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
        noise = ("taken by other programs meanwhile", f"{others.share() * 100:.0f} % of the CPU time")
        page.write(path, measured, failed, options, [*machine_rows, noise], date)
        print(f"bench: {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path} written", file=sys.stderr)
    print(f"bench: {(time.monotonic() - began) / 60:.1f} minutes, {others.share() * 100:.0f} % of the CPU time taken by other programs" + (f"; failed: {', '.join(subject.NAME for subject in failed)}" if failed else ""), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

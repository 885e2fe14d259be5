"""A program under callgrind, and what its threads have executed between marks, by function.

A mark is the entry into one function that nothing else enters while we measure: there callgrind writes what the thread that
entered has executed since its last mark, and begins anew for this thread. Nothing has to reach into the running program.
"""
import collections
import os
import pathlib
import re
import time
import subprocess

PATIENCE_SECONDS = 60


class Callgrind:
    def __init__(self, command, folder, mark_functions, environment):
        self.folder = pathlib.Path(folder)
        self.stderr_path = self.folder / "stderr"
        words = ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--dump-line=no",
                 *(f"--dump-before={name}" for name in mark_functions), f"--callgrind-out-file={self.folder}/counts", *command]
        with open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen([str(word) for word in words], cwd=self.folder, env=environment,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        self.taken = set()

    @property
    def pid(self):
        return self.process.pid

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def expect_alive(self):
        if self.process.poll() is not None:
            raise ChildProcessError(f"the program ended with {self.process.returncode}:\n{self.stderr()[-4000:]}")

    def until(self, question, what):
        """The first true answer."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.expect_alive()
            answer = question()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {PATIENCE_SECONDS} s for {what}:\n{self.stderr()[-4000:]}")
            time.sleep(0.01)

    def counted(self, mark_function):
        """Waits for the mark. {function: instructions} of the thread that has entered it, since this or `forget` was called
        before."""
        paths = self.until(lambda: self._fresh(mark_function), f"a mark at {mark_function}")
        self.taken.update(paths)
        return sum((read_counts(path) for path in paths), collections.Counter())

    def forget(self, mark_function):
        """The marks until now are of no interest."""
        self.taken.update(self._fresh(mark_function))

    def _fresh(self, mark_function):
        paths = set(self.folder.glob("counts.*-*")) - self.taken
        return {path for path in paths if is_of_mark(path, mark_function)}

    def stop(self):
        """Ends it at once: what it does at its end is not counted."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def is_of_mark(path, function):
    """Whether a file is whole (its last line says the sum) and was written at this mark."""
    text = path.read_text()
    return f"\ndesc: Trigger: --dump-before={function}\n" in text and re.search(r"\ntotals: \d+\n$", text) is not None


def read_counts(path):
    """Instructions by function, without those of the functions that it calls."""
    names, counts = {}, collections.Counter()
    function, of_a_call = None, False
    for line in path.read_text().splitlines():
        if line.startswith("fn="):
            number, _, name = line[3:].partition(" ")
            function = names.setdefault(number, name)
        elif line.startswith("cfn="):
            number, _, name = line[4:].partition(" ")
            names.setdefault(number, name)
        elif line.startswith("calls="):
            of_a_call = True  # the next line is what the call cost
        elif re.match(r"[\d+*-]", line):
            if not of_a_call:
                counts[function] += int(line.split()[1])
            of_a_call = False
    return counts


def tidy_environment(more):
    """Without the settings of whoever starts this."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, **more}

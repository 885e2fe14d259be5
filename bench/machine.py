"""What the kernel says: on which core things run, the CPU time of threads, memory, and what machine this is."""
import contextlib
import os
import pathlib
import re
import resource
import shutil
import subprocess
import time


@contextlib.contextmanager
def on_core(core):
    """Whatever is started meanwhile runs on that core, with all threads that it will ever have."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_many_files(count):
    """Raises this process's limit on open files as far as it may, for its children too. False: that is not enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard == resource.RLIM_INFINITY or hard >= count


def threads(pid):
    """[(thread's id, name)]; a thread that ends meanwhile is left out."""
    found = []
    for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        with contextlib.suppress(OSError):
            found.append((int(task), pathlib.Path(f"/proc/{pid}/task/{task}/comm").read_text().strip()))
    return found


def cpu_us(pid, thread):
    """The CPU time that a thread has used, in microseconds. The kernel counts nanoseconds here; the ticks of `stat` are too coarse."""
    text = pathlib.Path(f"/proc/{pid}/task/{thread}/schedstat").read_text()
    return int(text.split()[0]) / 1000


def children(pid):
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return float(re.search(r"^Rss:\s+(\d+) kB", text, re.MULTILINE).group(1))


def find_nginx():
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return program if os.path.exists(program) else None


def version_of(*command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=20)
    found = re.search(r"\d+\.\d+(\.\d+)?", result.stdout + result.stderr)
    return found.group(0) if found else "of unknown version"


class Others:
    """How much of the machine other programs took meanwhile: what this process and its ended children used is ours."""

    def __init__(self):
        self.began, self.busy, self.own = time.monotonic(), self._busy(), self._own()

    @staticmethod
    def _busy():
        words = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        user, nice, system, _, _, irq, softirq, steal = (int(word) for word in words[:8])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _own():
        return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))

    def share(self):
        available = (time.monotonic() - self.began) * os.cpu_count()
        return max(0, (self._busy() - self.busy) - (self._own() - self.own)) / available


def describe(binary):
    """[(what, words)] about this machine and the programs; nothing in it names a host."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)
    virtual = "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text()
    kernel = re.match(r"[\d.]*\d", os.uname().release).group(0)
    return [
        ("CPU", f"{cpu.group(1) if cpu else os.uname().machine}, {os.cpu_count()} cores{', a virtual machine' if virtual else ''}"),
        ("memory", f"{int(memory.group(1)) / 1048576:.0f} GiB"),
        ("kernel", f"Linux {kernel}"),
        ("weir", f"{version_of(binary, '--version')}, release build"),
        ("nginx", version_of(find_nginx(), "-v")),
        ("wrk", version_of("wrk", "--version")),
    ]

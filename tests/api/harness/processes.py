"""The processes under test: the provider simulator and the gateway. Each is started on a free port, read for its
addresses, stopped by its own id, and checked for what a sanitizer said."""
import atexit
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

from .plain import call
from .waiting import PATIENCE, until

SANITIZER_WORDS = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:|^==\d+== (?!Memcheck)",
    re.MULTILINE)
# Settings that a developer's own shell may hold and that weir would take as its own.
FOREIGN = re.compile("^(OPENAI|ANTHROPIC|GOOGLE|GEMINI|VLLM|OLLAMA|WEIR|CORS|MAX_REQUEST|SHUTDOWN)_|^(ENVIRONMENT|LOG_LEVEL)$|"
                     "_PROXY$|_proxy$")


def clean_environment(more=None):
    kept = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    # The tests look into the processes: memory, descriptors, threads.
    return {**kept, "WEIR_CORE_DUMPS": "1", **(more or {})}


class Process:
    """A child whose standard output and error go to files, so that a full pipe can never stop it."""

    def __init__(self, name, command, folder, environment=None):
        self.name = name
        self.words = [str(word) for word in command]
        self.folder = pathlib.Path(folder)
        self.environment = environment
        self.process = None
        self.stdout_path = self.folder / f"{name}.stdout"
        self.stderr_path = self.folder / f"{name}.stderr"
        # Whatever ends this test run, nothing that it started stays behind.
        atexit.register(self._end_with_the_run)

    def _end_with_the_run(self):
        if self.running:
            self.process.kill()
            self.process.wait()

    def launch(self):
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self.process = subprocess.Popen(self.words, cwd=self.folder, env=clean_environment(self.environment),
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def stdout(self):
        return self.stdout_path.read_text(errors="replace") if self.stdout_path.exists() else ""

    def stderr(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, and waits until it is gone."""
        if self.running:
            self.process.kill()
        self.process.wait()

    def wait(self, seconds=40):
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {seconds * PATIENCE:.0f} s\n{self.stderr()[-4000:]}") from None

    def terminate(self, seconds=40):
        """SIGTERM, and the exit code."""
        if self.running:
            self.process.terminate()
        return self.wait(seconds)

    def expect_alive(self):
        assert self.running, f"{self.name} ended with {self.process.poll()}:\n{self.stderr()[-6000:]}"

    def expect_clean(self):
        """A sanitizer has said nothing."""
        text = self.stderr()
        found = SANITIZER_WORDS.search(text)
        assert not found, f"{self.name}: a sanitizer reports\n{text[max(0, found.start() - 500):found.start() + 8000]}"


class Simulator(Process):
    """`weir sim` with its log, its faults and the requests that it has seen."""

    def __init__(self, binary, folder, *arguments):
        folder = pathlib.Path(folder)
        self.log_path = folder / "sim.log"
        super().__init__("sim", [binary, "sim", "--listen", "127.0.0.1:0", "--log", self.log_path, *arguments], folder)
        self.address = None

    def start(self):
        self.launch()

        def address():
            self.expect_alive()
            return re.search(r"listening on http://(\S+)", self.stdout())

        self.address = until(address, "the simulator's address").group(1)
        return self

    @property
    def base_url(self):
        return f"http://{self.address}/v1"

    def log(self):
        """Every call that it has served, oldest first."""
        text = call(self.address, "GET", "/_sim/log").body.decode()
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def log_file(self):
        """The same from its file: readable also when it is gone."""
        if not self.log_path.exists():
            return []
        return [json.loads(line) for line in self.log_path.read_text().splitlines() if line.endswith("}")]

    def requests(self):
        """The last hundred requests as received: dicts with method, path, headers (lower case), raw_head, body."""
        return json.loads(call(self.address, "GET", "/_sim/requests").body)

    def last_request(self):
        return self.requests()[-1]

    def last_bytes(self):
        """The last request's body, byte for byte."""
        return self.last_request()["body"].encode()

    def last_body(self):
        return json.loads(self.last_bytes())

    @staticmethod
    def is_aborted(row):
        """Whether the caller left before this call of the log was answered completely."""
        return row["aborted"]

    def set_faults(self, faults):
        answer = call(self.address, "PUT", "/_sim/faults", body=faults)
        assert answer.status in (200, 204), answer

    def stop(self):
        if self.process is not None:
            code = self.terminate()
            self.expect_clean()
            assert code == 0, f"weir sim ended with {code}:\n{self.stderr()[-4000:]}"


class Gateway(Process):
    """`weir serve` with a file of its own (with settings None: with no file), a data folder of its own and one key; `tls` is
    the context to speak to it with."""

    def __init__(self, binary, folder, settings, environment=None, tls=None):
        self.binary = str(binary)
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "weir.yaml"
        self.settings = settings
        self.tls = tls
        self.file_words = []
        if settings is not None:
            self.file_words = ["-c", self.config]
            self.write_settings()
        super().__init__("weir", [binary, "serve", *self.file_words], folder, environment)
        self.address = self.operator = None
        self.key = None
        self.log_from = 0

    def write_settings(self):
        # JSON is YAML, and needs no second library here.
        self.config.write_text(json.dumps(self.settings, indent=2) + "\n")

    @property
    def data_folder(self):
        return self.folder / (self.settings or {}).get("data_dir", "data")

    @property
    def base_url(self):
        return f"{'https' if self.tls else 'http'}://{self.address}/v1"

    @property
    def authorization(self):
        return {"authorization": f"Bearer {self.key}"}

    def log_lines(self):
        """The structured log since the last start."""
        lines = []
        for line in self.stderr()[self.log_from:].splitlines():
            if line.startswith("{"):
                with contextlib.suppress(json.JSONDecodeError):
                    lines.append(json.loads(line))
        return lines

    def launch_and_find(self):
        self.log_from = len(self.stderr())
        self.launch()

        def serving():
            self.expect_alive()
            return next((line for line in self.log_lines() if line.get("event") == "serving"), None)

        line = until(serving, "the log line of event \"serving\"", 30)
        self.address, self.operator = line["data_plane"], line["operator_plane"]

    def start(self):
        self.launch_and_find()
        self.wait_ready()
        if self.key is None:
            self.key = self.create_key("test")
            self.wait_key(self.key)
        return self

    def wait_ready(self):
        def ready():
            self.expect_alive()
            try:
                return call(self.address, "GET", "/readyz", tls=self.tls).status == 200
            except OSError:
                return False

        until(ready, "/readyz to answer 200", 30)

    def wait_key(self, key, status=200):
        """A running server learns of keys within a second."""
        headers = {"authorization": f"Bearer {key}"}
        until(lambda: call(self.address, "GET", "/v1/models", headers, tls=self.tls).status == status,
              f"the key to be answered with {status}", 15)

    def restart(self):
        self.stop()
        return self.start()

    def command(self, *arguments, check=True, env=None):
        """Runs `weir ARGUMENTS` in the gateway's own environment; the result has text in stdout and stderr."""
        result = subprocess.run([self.binary, *[str(word) for word in arguments]], cwd=self.folder, capture_output=True,
                                text=True, timeout=30 * PATIENCE, env=clean_environment({**(self.environment or {}), **(env or {})}))
        assert not SANITIZER_WORDS.search(result.stderr), result.stderr
        if check:
            assert result.returncode == 0, f"weir {' '.join(map(str, arguments))}: {result.returncode}\n{result.stderr}"
        return result

    def create_key(self, name, *more):
        lines = self.command("key", "create", *self.file_words, "--name", name, *more).stdout.splitlines()
        assert len(lines) == 1, f"the key stands alone on standard output: {lines!r}"
        return lines[0]

    def ledger(self, *filters):
        """The ledger's entries, oldest first."""
        filters = filters or ("--limit", "10000")
        text = self.command("ledger", "list", *self.file_words, "--json", *filters).stdout.strip()
        if not text:
            return []
        return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]

    def wait_ledger(self, count, seconds=15):
        """The ledger once it has at least `count` entries."""
        found = []

        def enough():
            found[:] = self.ledger()
            return len(found) >= count

        until(enough, f"{count} ledger entries", seconds, step=0.1)
        return found

    def entry_of(self, request_id, seconds=15):
        """The one ledger entry of a request; fails when it does not appear."""
        return until(lambda: self.ledger("--request", request_id), f"the ledger entry of {request_id}", seconds, step=0.1)[0]

    def metrics(self):
        """{(name, ((label, value), …)): number} from the operator plane."""
        from prometheus_client.parser import text_string_to_metric_families
        text = call(self.operator, "GET", "/metrics").body.decode()
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in text_string_to_metric_families(text) for sample in family.samples}

    def request(self, method, path, body=None, headers=None, **more):
        return call(self.address, method, path, {**self.authorization, **(headers or {})}, body, tls=self.tls, **more)

    def chat(self, body=None, headers=None, **fields):
        body = body or chat_body(**fields)
        return self.request("POST", "/v1/chat/completions", body, headers)

    def stop(self):
        """SIGTERM; the exit code must be 0 and no sanitizer may have spoken."""
        if self.process is not None and self.running:
            code = self.terminate()
            self.expect_clean()
            assert code == 0, f"weir serve ended with {code}:\n{self.stderr()[-6000:]}"

    def close(self):
        """What the fixture does at the end: also right for a gateway that a test has killed or stopped itself."""
        if self.process is None:
            return
        if self.running:
            self.stop()
        self.expect_clean()
        code = self.process.returncode
        assert code in (0, -signal.SIGKILL), f"weir serve ended with {code}:\n{self.stderr()[-6000:]}"


def chat_body(text="Hello, weir", model="sim-small", **fields):
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def default_settings(simulator, **overrides):
    """The file that most tests use. An override replaces a whole section, or with a dict the members that it names."""
    forwarded = ["fault", "ttft", "rate", "tokens", "echo", "crlf", "comments", "split"]
    settings = {
        "environment": "dev",
        "data_dir": "./data",
        "server": {"listen": "127.0.0.1:0", "workers": 1},
        "operator": {"listen": "127.0.0.1:0"},
        "limits": {"max_request_bytes": "1MiB"},
        "timeouts": {"connect": "5s", "first_byte": "60s", "idle": "60s", "request": "10m"},
        "providers": [{"name": "sim", "dialect": "openai", "base_url": simulator.base_url, "api_key": "sim-key",
                       "forward_headers": [f"x-sim-{name}" for name in forwarded]}],
        "models": [{"name": "sim-small", "targets": [{"provider": "sim", "model": "sim-small"}]}],
    }
    for section, value in overrides.items():
        if isinstance(value, dict) and isinstance(settings.get(section), dict):
            settings[section] = {**settings[section], **value}
        else:
            settings[section] = value
    return settings

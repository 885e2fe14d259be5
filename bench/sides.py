"""What is compared: the upstream itself (direct), nginx as a plain reverse proxy before it, and weir before it.

Each side has an `address`, the `headers` that its requests need, `cpu()` by part, and `resident()`. nginx and weir have one
worker, run on one core, keep connections to the upstream, and write an access log. weir does all that it always does.
"""
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from harness.plain import call
from harness.processes import Gateway, Process, default_settings
from harness.waiting import until

import machine

NGINX = """\
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {connections};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  client_max_body_size {body};
  client_body_buffer_size {body};
  upstream sim {{ server {upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen {address} backlog=4096;
    tcp_nodelay on;
    location = /health {{ return 200 "ok"; }}
    location = /refused {{ return 401 "{{}}"; }}
    location / {{
      proxy_pass http://sim;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering {buffering};
    }}
  }}
}}
"""


class Upstream(Process):
    """`weir sim` without a log file: millions of calls are made."""

    def __init__(self, binary, folder):
        super().__init__("sim", [binary, "sim", "--listen", "127.0.0.1:0", "--quiet"], folder)
        self.address = None

    def start(self):
        self.launch()
        found = until(lambda: self.expect_alive() or re.search(r"listening on http://(\S+)", self.stdout()), "the simulator's address")
        self.address = found.group(1)
        return self

    @property
    def base_url(self):
        return f"http://{self.address}/v1"


def free_address():
    """nginx cannot be told to choose a port: one that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


class Direct:
    name = "direct"

    def __init__(self, upstream):
        self.address, self.headers = upstream.address, {"authorization": "Bearer sim-key"}

    def cpu(self):
        return {}

    def settle(self):
        pass

    def traced(self):
        return None

    def stop(self):
        pass


class Nginx:
    name = "nginx"

    def __init__(self, folder, upstream, buffering=True, connections=4096, body="128k"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.address = free_address()
        self.headers = {"authorization": "Bearer sim-key"}
        self.process = None
        self.config = self.folder / "nginx.conf"
        self.config.write_text(NGINX.format(
            folder=self.folder, upstream=upstream.address, address=self.address, buffering="on" if buffering else "off",
            connections=connections, body=body, user="user root;" if os.geteuid() == 0 else ""))

    def launch(self):
        self.process = subprocess.Popen(
            [machine.find_nginx(), "-p", self.folder, "-c", self.config, "-e", self.folder / "error.log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        self.launch()
        until(self.answers, "nginx to answer")
        return self

    def answers(self):
        with contextlib.suppress(OSError):
            return call(self.address, "GET", "/health").status == 200
        return False

    @property
    def worker(self):
        return machine.children(self.process.pid)[0]

    def cpu(self):
        return {"worker": machine.cpu_us(self.worker, self.worker)}

    def settle(self):
        pass

    def resident(self):
        """Of the worker: the master serves nobody."""
        return machine.resident_kib(self.worker)

    def traced(self):
        return self.worker

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in [*machine.children(self.process.pid), self.process.pid]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


class Weir:
    name = "weir"

    def __init__(self, folder, upstream, binary, **overrides):
        self.gateway = Gateway(binary, folder, default_settings(upstream, **overrides))

    def start(self):
        self.gateway.start()
        return self

    @property
    def address(self):
        return self.gateway.address

    @property
    def headers(self):
        return self.gateway.authorization

    def cpu(self):
        """The process's first thread is the control plane's, the store's has a name, all others serve requests."""
        parts = {"worker": 0, "store": 0, "control": 0}
        for thread, name in machine.threads(self.gateway.pid):
            part = "control" if thread == self.gateway.pid else "store" if name == "weir-store" else "worker"
            parts[part] += machine.cpu_us(self.gateway.pid, thread)
        return parts

    def settle(self):
        """Waits until the store has read all that the workers have written: its work belongs to the requests before."""
        time.sleep(1.2)  # the metrics are brought up to date once a second
        until(lambda: self.metric("weir_journal_backlog_bytes") == 0, "the store to catch up", 30, step=0.5)

    def metric(self, wanted):
        return sum(value for (name, _), value in self.gateway.metrics().items() if name == wanted)

    def resident(self):
        return machine.resident_kib(self.gateway.pid)

    def traced(self):
        pid = self.gateway.pid
        return max((thread for thread, name in machine.threads(pid) if thread != pid and name != "weir-store"),
                   key=lambda thread: machine.cpu_us(pid, thread))

    def stop(self):
        """A gateway that does not end is killed, and that is a failure."""
        if self.gateway.running:
            code = self.gateway.terminate(15)
            assert code == 0, f"weir serve ended with {code}"

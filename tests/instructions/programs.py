"""What is measured: weir, and nginx as a plain proxy for comparison. Both have a client's mark, which a request of the client sets;
weir's store thread has one of its own, each of its batches."""
import contextlib
import json
import shutil
import socket
import sqlite3
import subprocess

from . import lockstep
from .callgrind import Callgrind, tidy_environment


class Weir:
    mark_function = "gateway__answer_models"
    store_mark_function = "store__ingest"

    def __init__(self, binary, folder, upstream_address, dialect="openai"):
        self.binary, self.folder = binary, folder
        folder.mkdir()
        settings = {
            "environment": "dev", "data_dir": "./data", "server": {"listen": "127.0.0.1:0", "workers": 1},
            "operator": {"listen": "127.0.0.1:0"}, "limits": {"max_request_bytes": "2MiB"},
            "timeouts": {"connect": "60s", "first_byte": "60s", "idle": "60s", "request": "10m", "keep_alive": "5m"},
            "providers": [{"name": "sim", "dialect": "openai", "base_url": f"http://{upstream_address}/v1", "api_key": "sim-key"}],
            "models": [{"name": "sim-small", "targets": [{"provider": "sim", "model": "sim-small"}]}]}
        if dialect != "openai":
            settings["providers"][0]["dialect"] = dialect
        (folder / "weir.yaml").write_text(json.dumps(settings))
        self.callgrind = Callgrind([binary, "serve", "-c", folder / "weir.yaml"], folder,
                                   [self.mark_function, self.store_mark_function], tidy_environment({}))
        self.address = self.callgrind.until(self._serving, "the log line of event \"serving\"")["data_plane"]
        self.key = self._create_key()
        self.callgrind.until(self._key_is_known, "the key to be known")
        self.mark = lockstep.request("GET", "/v1/models", Authorization=f"Bearer {self.key}")

    def _serving(self):
        for line in self.callgrind.stderr().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                if line.startswith("{") and json.loads(line).get("event") == "serving":
                    return json.loads(line)
        return None

    def _create_key(self):
        return subprocess.run([self.binary, "key", "create", "-c", "weir.yaml", "--name", "count"], cwd=self.folder, check=True,
                              env=tidy_environment({}), capture_output=True, text=True).stdout.strip()

    def govern(self):
        """Five budgets and six limits that apply to every request and are never reached."""
        def command(*words):
            subprocess.run([self.binary, *words], cwd=self.folder, check=True, env=tidy_environment({}), capture_output=True)

        much = ("--window", "month", "--limit", "1000000usd", "-c", "weir.yaml")
        scopes = ("key:*", "workspace:default", "model:sim-small", "provider:sim", "global")
        for scope in scopes:
            command("budget", "create", "--for", scope, *much)
        command("limit", "create", "--for", "key:*", "--requests-per-second", "1000000", "--requests-per-minute", "60000000", "--requests-per-day",
                "1000000000", "-c", "weir.yaml")
        command("limit", "create", "--for", "workspace:default", "--tokens-per-minute", "1000000000000", "--tokens-per-day", "1000000000000000",
                "--concurrent-requests", "1000000", "-c", "weir.yaml")
        self.key = self._create_key()  # whoever knows it knows what was there before
        self.callgrind.until(self._key_is_known, "the key to be known")
        self.mark = lockstep.request("GET", "/v1/models", Authorization=f"Bearer {self.key}")
        return self

    def _key_is_known(self):
        question = lockstep.request("GET", "/v1/models/sim-small", Authorization=f"Bearer {self.key}", Connection="close")
        with lockstep.connection(self.address) as client:
            client.sendall(question)
            return client.recv(4096).startswith(b"HTTP/1.1 200 ")

    def store_batch(self, deed, times, lock):
        """What the store's thread executes for a batch of so many deeds. It begins with nothing left over, not even a request of
        which it has read the beginning alone; it cannot write meanwhile, so that it reads them all at once afterwards; and the
        batch ends where the next begins, which is one more deed."""
        path = self.folder / "data/weir.db"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as database:
            def all_stored():
                return database.execute("SELECT count(*) FROM ledger").fetchone()[0] == lock.taken_count

            self.callgrind.until(all_stored, "the ledger's entries")
            database.execute("BEGIN IMMEDIATE")
            for _ in range(times):
                deed()
            database.execute("COMMIT")
            self.callgrind.until(all_stored, "the ledger's entries")
            self.callgrind.forget(self.store_mark_function)
            deed()
            return self.callgrind.counted(self.store_mark_function)

    def stop(self):
        self.callgrind.stop()


NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  keepalive_timeout 300s;
  client_max_body_size 4m;
  client_body_buffer_size 2m;
  upstream sim {{ server {upstream}; keepalive 256; keepalive_requests 1000000; keepalive_timeout 300s; }}
  server {{
    listen {address};
    tcp_nodelay on;
    location = /v1/models {{ return 200 "mark"; }}
    location / {{
      proxy_pass http://sim;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering {buffering};
    }}
  }}
}}
"""


class Nginx:
    """Needs exported function names, which Debian's has."""
    mark_function = "ngx_http_send_response"

    def __init__(self, folder, upstream_address, buffering):
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.address = "127.0.0.1:%d" % server.getsockname()[1]
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, upstream=upstream_address, address=self.address,
                                                        buffering="on" if buffering else "off"))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.callgrind = Callgrind([program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"], folder,
                                   [self.mark_function], tidy_environment({}))
        self.callgrind.until(self._listens, "nginx to listen")
        self.key = "weir_dev_" + "0" * 49
        self.mark = lockstep.request("GET", "/v1/models", Authorization=f"Bearer {self.key}")

    def _listens(self):
        with contextlib.suppress(OSError), lockstep.connection(self.address):
            return True
        return False

    def stop(self):
        self.callgrind.stop()

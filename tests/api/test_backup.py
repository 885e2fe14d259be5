"""Backups: made while traffic runs, restored on an empty machine, compared row by row; scheduled ones; migrations.

What was answered before a backup began is in it, exactly once, whatever the store thread had read by then."""
import asyncio
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from harness.load import Load
from harness.operator import Operator
from harness.processes import Gateway, default_settings
from harness.waiting import until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CANARY = "canary-7d0f3a-in-the-clear"


def rows(database, table, order):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as opened:
        return opened.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()


def restored(weir_binary, instance, file, folder, *more):
    """A gateway on the restored store, not started; with the same settings but its own data folder."""
    made = Gateway(weir_binary, folder, instance.settings)
    made.key = instance.key
    made.command("restore", file, *made.file_words, *more)
    return made


class Running:
    """Load in a thread of its own, until it is told to stop."""

    def __init__(self, instance, prefix):
        self.load = Load(instance, prefix, workers=8, fast=True)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.task = self.loop = None

    def _run(self):
        async def main():
            self.loop = asyncio.get_running_loop()
            self.task = asyncio.create_task(self.load.run(10**9))
            try:
                await self.task
            except asyncio.CancelledError:
                pass
        asyncio.run(main())

    def finished(self):
        return {sent.mark for sent in list(self.load.sent) if sent.finished}

    def __enter__(self):
        self.thread.start()
        until(lambda: len(self.finished()) > 20, "the load to run", 20)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(60)


def test_backup_under_load_restored_on_an_empty_machine(make_gateway, make_sim, weir_binary, tmp_path):
    simulator = make_sim()
    instance = make_gateway(simulator, server={"listen": "127.0.0.1:0", "workers": 2})
    operator = Operator(instance)
    operator.post("/api/v1/workspaces", {"id": "acme"}, status=201)
    instance.create_key("second")
    answered = []
    with Running(instance, "load") as running:
        for number in range(3):
            time.sleep(0.3)
            answered.append(running.finished())
            done = instance.command("backup", tmp_path / f"{number}.backup", *instance.file_words, "--json")
            assert json.loads(done.stdout)["sealed"] is False
            assert (tmp_path / f"{number}.backup").stat().st_mode & 0o777 == 0o600
    instance.stop()
    live = instance.folder / "data/weir.db"
    assert len(answered[2]) > len(answered[0]) > 20
    for number, finished in enumerate(answered):
        copy = restored(weir_binary, instance, tmp_path / f"{number}.backup", tmp_path / f"restored-{number}")
        database = copy.folder / "data/weir.db"
        # Before anything runs on it: what is in the copy is what was in the store, row by row, up to the cut.
        for table, order in (("ledger", "sequence"), ("api_key", "id"), ("object", "number"), ("revision", "number"),
                             ("audit", "sequence"), ("dictionary", "id")):
            original, there = rows(live, table, order), rows(database, table, order)
            if table == "audit":
                assert json.loads(there[-1][-4] or "{}") is not None
                there = there[:-1]  # the restore itself
            assert there, table
            assert there == original[:len(there)], f"{table} differs"
        copy.start()
        entries = copy.ledger()
        marks = [entry["model"].removeprefix("sim/") for entry in entries]
        assert len(marks) == len(set(marks)), "a call stands twice in the ledger"
        assert finished <= {mark for mark, entry in zip(marks, entries) if entry["outcome"] == "ok"}, "an answered call is missing"
        assert copy.chat().status == 200  # with the key that was made before
        copy.close()


def test_a_sealed_backup_needs_its_key(make_gateway, sim, weir_binary, tmp_path):
    instance = make_gateway(sim, start=False)
    instance.command("secrets", "generate", tmp_path / "sealing.key")
    instance.settings["secrets"] = {"sealing_key": f"file:{tmp_path}/sealing.key"}
    instance.write_settings()
    instance.start()
    assert instance.chat(headers={"x-request-id": CANARY}).status == 200
    instance.wait_ledger(1)
    plain, sealed = tmp_path / "plain.backup", tmp_path / "sealed.backup"
    instance.command("backup", plain, *instance.file_words)
    instance.command("backup", sealed, "--seal", "--verify", *instance.file_words)
    for word in (CANARY.encode(), b"CREATE TABLE", b"SQLite format 3", b"sim-small"):
        assert word in plain.read_bytes()
        assert word not in sealed.read_bytes()
    key = (tmp_path / "sealing.key").read_text().strip()
    for file in (plain, sealed):
        assert key.encode() not in file.read_bytes() and bytes.fromhex(key) not in file.read_bytes()
        assert instance.key.encode() not in file.read_bytes()
    # Without the key, with another one, and with it among the previous ones.
    bare = Gateway(weir_binary, tmp_path / "bare", default_settings(sim))
    refused = bare.command("restore", sealed, *bare.file_words, check=False)
    assert refused.returncode == 1 and "sealed" in refused.stderr and "secrets.sealing_key" in refused.stderr
    assert not (bare.folder / "data").exists()
    bare.command("secrets", "generate", tmp_path / "other.key")
    bare.settings["secrets"] = {"sealing_key": f"file:{tmp_path}/other.key"}
    bare.write_settings()
    refused = bare.command("restore", sealed, *bare.file_words, check=False)
    assert refused.returncode == 1 and "not among the sealing keys" in refused.stderr
    assert not (bare.folder / "data").exists(), "what came to nothing leaves nothing"
    (bare.folder / "data").mkdir()
    bare.command("restore", sealed, *bare.file_words, check=False)
    assert list((bare.folder / "data").iterdir()) == []
    bare.settings["secrets"]["previous_sealing_keys"] = [f"file:{tmp_path}/sealing.key"]
    bare.write_settings()
    bare.command("restore", sealed, *bare.file_words)
    assert bare.ledger()[0]["client_request_id"] == CANARY


def test_what_a_restore_refuses(make_gateway, sim, weir_binary, tmp_path):
    instance = make_gateway(sim)
    assert instance.chat().status == 200
    instance.wait_ledger(1)
    file = tmp_path / "a.backup"
    instance.command("backup", file, *instance.file_words)
    again = instance.command("backup", file, *instance.file_words, check=False)
    assert again.returncode == 1 and "exists already" in again.stderr
    served = instance.command("restore", file, "--replace", *instance.file_words, check=False)
    assert served.returncode == 1 and "a server runs" in served.stderr
    instance.command("restore", file, "--verify-only", *instance.file_words)  # changes nothing, so it may
    instance.stop()
    before = sorted(path.name for path in (instance.folder / "data").iterdir())
    there = instance.command("restore", file, *instance.file_words, check=False)
    assert there.returncode == 1 and "--replace" in there.stderr
    # Another environment, cut, damaged, no backup at all: words, and nothing half done.
    prod = Gateway(weir_binary, tmp_path / "prod", default_settings(sim, environment="prod"))
    refused = prod.command("restore", file, *prod.file_words, check=False)
    assert refused.returncode == 1 and '"dev"' in refused.stderr and '"prod"' in refused.stderr
    assert not (prod.folder / "data").exists()
    prod.command("restore", file, "--verify-only", *prod.file_words)
    whole = file.read_bytes()
    empty = Gateway(weir_binary, tmp_path / "empty", default_settings(sim))
    for content, word in ((whole[:-1], "cut"), (whole[:len(whole) // 2], "cut"), (whole + b"x", "behind its end"),
                          (whole[:700] + bytes([whole[700] ^ 1]) + whole[701:], "chunk 1"),
                          (whole[:100] + bytes([whole[100] ^ 1]) + whole[101:], "damaged"),
                          (b"not a backup\n", "no backup")):
        (tmp_path / "bad.backup").write_bytes(content)
        for more in ((), ("--verify-only",)):
            bad = empty.command("restore", tmp_path / "bad.backup", *more, *empty.file_words, check=False)
            assert bad.returncode == 1 and word in bad.stderr, bad.stderr
        left = [path.name for path in (empty.folder / "data").rglob("*")] if (empty.folder / "data").exists() else []
        assert set(left) <= {"journal"}, left
    assert sorted(path.name for path in (instance.folder / "data").iterdir()) == before
    # In place of what is there, which is kept.
    instance.start()
    assert instance.chat().status == 200
    instance.wait_ledger(2)
    instance.stop()
    done = instance.command("restore", file, "--replace", *instance.file_words)
    kept = [path for path in (instance.folder / "data").iterdir() if path.name.startswith("weir.db.replaced-")]
    assert len(kept) == 1 and kept[0].name in done.stderr
    assert len(rows(kept[0], "ledger", "sequence")) == 2
    assert len(instance.ledger()) == 1
    instance.start()
    assert instance.chat().status == 200
    instance.wait_ledger(2)
    assert instance.command("audit", "verify", *instance.file_words).returncode == 0


def test_scheduled_backups(make_gateway, sim, tmp_path):
    instance = make_gateway(sim, start=False, backup={"directory": str(tmp_path / "backups"), "interval": "1h", "keep": 2})
    instance.start()
    operator = Operator(instance)

    def made(count):
        page = operator.get("/api/v1/backups").json()
        return page if len(page["data"]) >= count and not page["state"]["running"] else None

    first = until(lambda: made(1), "the first backup")
    assert first["data"][0]["verified"] is True and first["data"][0]["sealed"] is False
    assert first["state"]["problem"] is None and first["state"]["last_duration_ms"] is not None
    assert operator.get("/health").json()["checks"]["backups"]["status"] == "ok"
    line = next(line for line in instance.log_lines() if line.get("event") == "backup_made")
    assert line["sealed"] is False and line["verified"] is True
    names = {first["data"][0]["name"]}
    for _ in range(3):
        assert operator.post("/api/v1/backups", status=202).json()["state"]["scheduled"] is True

        def another():
            page = operator.get("/api/v1/backups").json()
            return not page["state"]["running"] and page["data"][0]["name"] not in names and page

        names.add(until(another, "another backup")["data"][0]["name"])
    page = until(lambda: made(2), "two backups")
    kept = operator.all("/api/v1/backups", limit=1)
    assert [one["name"] for one in kept] == sorted(names, reverse=True)[:2]
    assert {path.name for path in (tmp_path / "backups").iterdir()} == set(sorted(names, reverse=True)[:2])
    metrics = instance.metrics()
    assert metrics["weir_backup_last_bytes", ()] == page["data"][0]["bytes"] == (tmp_path / "backups" / kept[0]["name"]).stat().st_size
    assert 0 <= metrics["weir_backup_age_seconds", ()] < 600
    assert metrics["weir_backup_failures_total", ()] == 0
    # A restart neither loses count nor makes one too many.
    instance.restart()
    page = Operator(instance).get("/api/v1/backups").json()
    assert page["state"]["last_at"] == kept[0]["created_at"] and page["state"]["running"] is False
    assert {path.name for path in (tmp_path / "backups").iterdir()} == set(sorted(names, reverse=True)[:2])
    instance.command("restore", tmp_path / "backups" / kept[0]["name"], "--verify-only", *instance.file_words)


def crc32c(data):
    """As the head of a backup has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_a_clock_that_was_ahead_stops_no_backups(make_gateway, sim, tmp_path):
    """Backups that are dated years from now neither keep the next one from being made nor crowd it out."""
    folder = tmp_path / "backups"
    instance = make_gateway(sim, start=False, backup={"directory": str(folder), "interval": "1h", "keep": 2})
    instance.start()
    until(lambda: list(folder.glob("*.backup")), "the first backup")
    instance.stop()
    (made,) = folder.glob("*.backup")
    whole = made.read_bytes()
    for year in (2098, 2099):
        created = (year - 1970) * 31557600 * 1000000
        head = whole[:24] + created.to_bytes(8, "little") + whole[32:508]
        (folder / f"weir-dev-{year}0101T000000.000000Z.backup").write_bytes(head + crc32c(head).to_bytes(4, "little") + whole[512:])
    made.unlink()
    instance.start()
    operator = Operator(instance)
    at = lambda: datetime.fromisoformat(operator.get("/api/v1/backups").json()["state"]["next_at"].replace("Z", "+00:00"))
    until(lambda: at() <= datetime.now(timezone.utc) + timedelta(hours=1), "a time that comes")
    operator.post("/api/v1/backups", status=202)
    until(lambda: len([row for row in folder.glob("*.backup") if "-20" in row.name and "-209" not in row.name]) == 1 and
          len(list(folder.glob("*.backup"))) == 2, "a backup of today beside one that was dated ahead")


def test_without_a_folder_there_are_none(make_gateway, sim):
    operator = Operator(make_gateway(sim))
    page = operator.get("/api/v1/backups").json()
    assert page["data"] == [] and page["state"]["scheduled"] is False
    assert operator.post("/api/v1/backups", status=409).reason == "state_conflict"
    assert "backups" not in operator.get("/health").json()["checks"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 160 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "none", folder], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_the_disk_of_the_store_keeps_room(weir_binary, make_gateway, sim, tmp_path, small_disk):
    """A copy beside the store must not take what the journal needs."""
    instance = make_gateway(sim)
    assert instance.chat().status == 200
    instance.stop()
    instance.command("backup", tmp_path / "a.backup", *instance.file_words)
    subprocess.run(["mount", "-o", "remount,size=96m", small_disk], check=True)
    made = restored(weir_binary, instance, tmp_path / "a.backup", small_disk / "gateway")
    (small_disk / "filler").write_bytes(bytes(48 << 20))
    before = sorted(small_disk.iterdir())
    result = made.command("backup", small_disk / "b.backup", *made.file_words, check=False)
    assert result.returncode != 0 and "no room" in result.stderr
    assert sorted(small_disk.iterdir()) == before, "nothing is left behind"
    (small_disk / "filler").unlink()
    made.command("backup", small_disk / "b.backup", "--verify", *made.file_words)


def test_a_full_disk_harms_no_traffic(make_gateway, sim, small_disk):
    instance = make_gateway(sim, start=False, backup={"directory": str(small_disk / "backups")})
    instance.start()
    operator = Operator(instance)

    def failed():
        page = operator.get("/api/v1/backups").json()
        return page["state"]["failures"] >= 1 and not page["state"]["running"] and page

    page = until(failed, "a backup that fails")
    assert any(word in page["state"]["problem"] for word in ("full", "no room", "No space"))
    assert page["data"] == []
    assert list((small_disk / "backups").iterdir()) == [], "nothing is left behind"
    assert instance.chat().status == 200
    health = operator.get("/health").json()
    assert health["checks"]["backups"]["status"] == "failing" and health["ready"] is True
    assert instance.metrics()["weir_backup_failures_total", ()] >= 1
    line = next(line for line in instance.log_lines() if line["event"] == "backup_failed")
    assert line["level"] == "error" and line["part"] == "backup"
    # Room again: the next one is good.
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    operator.post("/api/v1/backups", status=202)
    until(lambda: operator.get("/api/v1/backups").json()["data"], "a backup with room for it")
    until(lambda: operator.get("/health").json()["checks"]["backups"]["status"] == "ok", "health to say so")


def test_kill_9_while_a_backup_is_made(make_gateway, sim, tmp_path):
    """Whatever moment: no file has a backup's name that is not whole, and the next schedule removes what is left."""
    instance = make_gateway(sim, start=False, backup={"directory": str(tmp_path / "backups")})
    instance.start()
    until(lambda: list((tmp_path / "backups").glob("*.backup")), "the first backup")
    for number in range(6):
        Operator(instance).post("/api/v1/backups", status=202)
        time.sleep(0.01 * number)
        instance.kill()
        for file in (tmp_path / "backups").glob("*.backup"):
            instance.command("restore", file, "--verify-only", *instance.file_words)
        instance.start()
    Operator(instance).post("/api/v1/backups", status=202)
    until(lambda: not [path for path in (tmp_path / "backups").iterdir() if not path.name.endswith(".backup")],
          "the dead parts to be removed")
    instance.stop()
    assert not list((instance.folder / "data").glob(".weir-*"))


def test_kill_9_while_a_restore_goes_on(make_gateway, sim, tmp_path):
    """Whatever moment: the old store, the restored one, or words that ask for the restore again; never a third."""
    instance = make_gateway(sim)
    for _ in range(3):
        assert instance.chat().status == 200
    instance.wait_ledger(3)
    instance.command("backup", tmp_path / "a.backup", *instance.file_words)
    assert instance.chat().status == 200
    instance.wait_ledger(4)
    instance.stop()
    words = [str(word) for word in (instance.binary, "restore", tmp_path / "a.backup", "--replace", *instance.file_words)]
    for number in range(16):
        process = subprocess.Popen(words, cwd=instance.folder, stderr=subprocess.DEVNULL)
        time.sleep(0.006 * number)
        process.kill()
        process.wait()
        shown = instance.command("ledger", "list", *instance.file_words, "--json", check=False)
        if shown.returncode == 0:
            assert len(shown.stdout.splitlines()) in (3, 4)
        else:
            assert "restore again" in shown.stderr
    instance.command("restore", tmp_path / "a.backup", "--replace", *instance.file_words)
    assert not list((instance.folder / "data").glob(".weir-*")) and not (instance.folder / "data/weir.db.restoring").exists()
    instance.start()
    instance.wait_ledger(3)
    assert instance.chat().status == 200
    instance.wait_ledger(4)


def test_the_store_says_what_it_is(make_gateway, sim):
    instance = make_gateway(sim)
    said = instance.command("store", "status", *instance.file_words)
    assert "environment  dev" in said.stdout and "as this program knows them" in said.stdout
    nothing = instance.command("store", "migrate", "--dry-run", *instance.file_words)
    assert "nothing to do" in nothing.stderr
    assert instance.command("store", "vacuum", *instance.file_words, check=False).returncode == 2


PREVIOUS = ROOT / "tests/api/previous_release"


@pytest.fixture(scope="session")
def previous_binary(tmp_path_factory):
    """The program of the commit that previous_release names, built in a folder of its own. Only in long runs."""
    if not os.environ.get("WEIR_LONG"):
        pytest.skip("building the previous release takes minutes: WEIR_LONG=1 (make test-long)")
    commit = PREVIOUS.read_text().split()[0]
    folder = tmp_path_factory.mktemp("previous")
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
    if archive.returncode != 0:
        pytest.skip(f"the commit {commit} is not in this checkout")
    (folder / "source").mkdir()
    subprocess.run(["tar", "-x", "-C", folder / "source"], input=archive.stdout, check=True)
    subprocess.run(["meson", "setup", folder / "build", folder / "source", "-Dbuildtype=release", "-Dwerror=false"], check=True,
                   capture_output=True)
    subprocess.run(["ninja", "-C", folder / "build", "-j2", "src/main/weir"], check=True, capture_output=True)
    yield folder / "build/src/main/weir"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(1800)
def test_the_previous_release_runs_on_the_migrated_store(previous_binary, make_gateway, sim, weir_binary, tmp_path):
    # A store of the previous release, used; migrated and used by this one; used by the previous one again; then by this one.
    settings = default_settings(sim)
    old = Gateway(previous_binary, tmp_path / "store", settings)
    old.start()
    first_key = old.key
    assert old.chat().status == 200
    old.wait_ledger(1)
    old.stop()
    new = Gateway(weir_binary, tmp_path / "store", settings)
    new.key = first_key
    planned = new.command("store", "migrate", "--dry-run", *new.file_words)
    assert "taken back" in planned.stderr and planned.stdout.strip()
    new.start()
    operator = Operator(new)
    operator.post("/api/v1/workspaces", {"id": "acme"}, status=201)
    second_key = new.create_key("second", "--workspace", "acme")
    new.wait_key(second_key)
    assert new.chat().status == 200
    new.wait_ledger(2)
    new.stop()
    before = {table: rows(new.folder / "data/weir.db", table, "1") for table in ("object", "audit", "revision")}
    old.key = second_key
    old.start()
    assert old.chat().status == 200
    old.key = first_key
    assert old.chat().status == 200
    old.wait_ledger(4)
    assert "second" in old.command("key", "list", *old.file_words).stdout
    third_key = old.create_key("third")
    old.wait_key(third_key)
    old.stop()
    new.start()
    new.key = third_key
    assert new.chat().status == 200
    assert len(new.wait_ledger(5)) == 5
    after = {table: rows(new.folder / "data/weir.db", table, "1") for table in before}
    for table, there in before.items():
        assert after[table][:len(there)] == there, f"{table}: something is lost"
    listed = new.command("key", "list", "--json", *new.file_words).stdout
    for name in ("test", "second", "third"):
        assert f'"{name}"' in listed
    assert new.command("audit", "verify", *new.file_words).returncode == 0
    new.close()

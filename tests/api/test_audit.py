"""The audit trail: what is in it, how it is listed, exported, verified, kept and passed on."""
import contextlib
import csv
import io
import json
import secrets
import sqlite3
import time
from urllib.parse import quote

import pytest

from harness.audit import CHANGES, DatagramReceiver, FileReceiver, TcpReceiver, entries, newest
from harness.operator import Operator
from harness.waiting import until

MEMBERS_002 = {"id", "timestamp", "actor_id", "actor_email", "actor_ip", "org_id", "action", "resource_type", "resource_id",
               "resource_name", "changes", "request_metadata", "created_at"}


def database(gateway):
    return contextlib.closing(sqlite3.connect(gateway.folder / "data/weir.db", timeout=30))


def verify(gateway, *more):
    return gateway.command("audit", "verify", "-c", gateway.config, *more, check=False)


def make_workspace(operator, ident, **more):
    return operator.post("/api/v1/workspaces", {"id": ident, **more})


@pytest.fixture(scope="module")
def filled(operator):
    """A trail with a few entries: workspaces trail-0 … trail-9, changed, and a denied attempt."""
    for number in range(10):
        make_workspace(operator, f"trail-{number}", name="=HYPERLINK(1)" if number == 3 else f"Number {number}")
    operator.patch("/api/v1/workspaces/trail-0", {"name": "Zero"})
    operator.delete("/api/v1/workspaces/trail-1", status=400)  # without the confirmation
    return operator


# --- what is in it ---

@pytest.mark.smoke
def test_an_entry_says_who_did_what_to_what_from_where(filled):
    entry = entries(filled, action="workspaces.update", resource_id="trail-0")[-1]
    assert MEMBERS_002 <= set(entry)
    assert entry["actor_name"] == "local" and entry["actor_kind"] == "local" and entry["actor_ip"] == "127.0.0.1"
    assert entry["actor_role"] == "owner" and entry["result"] == "success"
    assert entry["error_code"] is None and entry["error_message"] is None
    assert entry["changes"]["before"]["name"] == "Number 0" and entry["changes"]["after"]["name"] == "Zero"
    assert entry["request_metadata"]["method"] == "PATCH"
    assert entry["request_metadata"]["path"] == "/api/v1/workspaces/trail-0"
    assert entry["timestamp"] == entry["created_at"] and entry["id"] == str(entry["sequence"])


def test_an_attempt_that_came_to_nothing_is_there_too(filled):
    entry = entries(filled, result="failure", action="workspaces.delete")[-1]
    assert entry["error_code"] == "confirmation_required" and entry["error_message"]
    assert entry["changes"] is None
    assert filled.get("/api/v1/workspaces/trail-1").json()["id"] == "trail-1"


def test_what_reads_leaves_nothing(filled):
    before = newest(filled)
    for path in ("/api/v1/audit-logs", "/api/v1/admin/audit", "/api/v1/audit/verify", "/api/v1/audit/stream", "/api/v1/workspaces"):
        filled.get(path)
    assert newest(filled) == before


# What an operation does besides, each with an entry of its own: a rotated key is a new key, a plan's figures make a new revision.
FOLLOWS = {"keys.rotate": {"keys.create"}, **{f"plans.{verb}": {"revision.save"} for verb in ("create", "update", "delete")},
           "secrets.put": {"revision.save"}, "secrets.delete": {"revision.save"}}


def problems_of(name, method, left, answer):
    """What is wrong with the entries that one good call of an operation left."""
    own = [entry for entry in left if entry["action"] == name]
    others = {entry["action"] for entry in left} - {name} - FOLLOWS.get(name, set())
    if len(own) != 1 or others:
        return [f"{name} left {[(entry['action'], entry['result']) for entry in left]}"]
    entry, found = own[0], []
    changes = entry["changes"] or {}
    if entry["result"] != "success" or not entry["resource_type"] or entry["actor_ip"] != "127.0.0.1" or not entry["actor_name"]:
        found.append(f"{name} left {entry}")
    if (entry["request_metadata"] or {}).get("request_id") != answer.headers["x-request-id"]:
        found.append(f"{name}: the entry names another request")
    if method == "PATCH" and not (changes.get("before") and changes.get("after")):
        found.append(f"{name} does not say what was before and after: {changes}")
    if method == "DELETE" and not changes.get("before"):
        found.append(f"{name} does not say what was removed: {changes}")
    if name.endswith("create") and name != "backups.create" and (not changes.get("after") or changes.get("before")):
        found.append(f"{name} does not say what was made: {changes}")
    return found


def test_every_change_leaves_one_entry(make_gateway, sim, tmp_path):
    """Each operation that changes something, by the document: one success with the values, the actor and the place."""
    (tmp_path / "backups").mkdir()
    gateway = make_gateway(sim, environment={"WEIR_SEALING_KEY": secrets.token_hex(32)}, secrets={"sealing_key": "env:WEIR_SEALING_KEY"},
                           backup={"directory": str(tmp_path / "backups")})
    operator = Operator(gateway)
    operations = operator.document.operations()
    changing = {row["id"] for row in operator.get("/api/v1/operations").json()["data"] if row["changes"]}
    missing = changing - set(CHANGES)
    assert not missing, f"say in harness/audit.py how these are called once: {sorted(missing)}"
    problems = []
    for name in sorted(changing):
        ready = CHANGES[name](operator)
        before = newest(operator)
        answer = ready()
        assert answer.operation == name, f"the row {name} of harness/audit.py calls {answer.operation}"
        problems += problems_of(name, operations[name]["method"], entries(operator, after=before), answer)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("role", ["viewer", "auditor", None])
def test_every_denied_attempt_leaves_a_failure(operator, role):
    """Who may not, tries everything that changes something; who is nobody leaves at least one entry, and no flood."""
    changing = {row["id"] for row in operator.get("/api/v1/operations").json()["data"] if row["changes"]}
    headers = {} if role else {"authorization": "Bearer nobody"}
    tried, before = [], None
    for name, operation in sorted(operator.document.operations().items()):
        allowed = operation["x-weir-roles"]
        if name not in changing or "anyone" in allowed or role in allowed:
            continue
        token = operator.token(role) if role else None
        before = newest(operator) if before is None else before
        answer = operator.request(operation["method"], operation["path"].replace("{", "").replace("}", ""), None, token=token, headers=headers, status=(401, 403))
        tried.append((name, answer.headers["x-request-id"]))
    left = entries(operator, after=before)
    assert {entry["result"] for entry in left} == {"failure"}
    by_request = {entry["request_metadata"]["request_id"]: entry for entry in left}
    if role is None:
        assert 1 <= len(left) <= len(tried) and left[0]["actor_kind"] == "unknown"
        return
    for name, request_id in tried:
        entry = by_request[request_id]
        assert (entry["action"], entry["error_code"], entry["actor_role"]) == (name, "role_not_allowed", role)
    assert len(left) == len(tried) > 10


# --- listing ---

def test_pages_by_cursor_hold_each_entry_once_though_more_come(filled):
    found, cursor = [], None
    while True:
        page = filled.get("/api/v1/audit-logs?limit=3" + (f"&cursor={cursor}" if cursor else "")).json()
        found += [entry["sequence"] for entry in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if len(found) < 9:
            filled.patch("/api/v1/workspaces/trail-2", {"name": f"Changed {len(found)}"})
    assert found == list(range(found[0], 0, -1)), "newest first, none twice, none left out"


def test_offset(filled):
    everything = [entry["sequence"] for entry in entries(filled)][::-1]
    page = filled.get("/api/v1/audit-logs?limit=2&offset=3").json()["data"]
    assert [entry["sequence"] for entry in page] == everything[3:5]
    assert filled.get("/api/v1/audit-logs?offset=90000").json() == {"data": [], "next_cursor": None}


def test_filters(filled):
    created = entries(filled, action="workspaces.create")
    assert len(created) >= 10 and {entry["action"] for entry in created} == {"workspaces.create"}
    assert {entry["resource_id"] for entry in entries(filled, resource_id="trail-5")} == {"trail-5"}
    assert {entry["org_id"] for entry in entries(filled, org_id="trail-5")} == {"trail-5"}
    assert {entry["resource_type"] for entry in entries(filled, resource_type="workspace")} == {"workspace"}
    assert {entry["result"] for entry in entries(filled, result="failure")} == {"failure"}
    assert entries(filled, actor_id="opr_nobody") == [] and entries(filled, actor_name="nobody") == []
    assert len(entries(filled, actor_name="local")) > 10


def test_times(filled):
    some = entries(filled, action="workspaces.create")
    middle = some[5]["timestamp"]
    assert [entry["sequence"] for entry in entries(filled, action="workspaces.create", start_date=middle)] == [entry["sequence"] for entry in some[5:]]
    assert [entry["sequence"] for entry in entries(filled, action="workspaces.create", end_date=middle)] == [entry["sequence"] for entry in some[:5]]
    days = {entry["timestamp"][:10] for entry in some}
    assert len(entries(filled, action="workspaces.create", start_date=min(days), end_date=max(days))) == len(some), "a date's whole day"
    assert entries(filled, start_date="2100-01-01") == []
    assert filled.get("/api/v1/audit-logs?start_date=yesterday", status=400).field == "start_date"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "result=maybe", "unknown=1"])
def test_wrong_parameters_are_refused(operator, query):
    operator.get(f"/api/v1/audit-logs?{query}", status=400)


def test_a_cursor_of_another_list_is_refused(filled):
    cursor = filled.get("/api/v1/workspaces?limit=1").json()["next_cursor"]
    assert filled.get(f"/api/v1/audit-logs?cursor={cursor}", status=400).reason == "cursor_invalid"


# --- the shapes of other gateways ---

def test_the_short_list(filled):
    body = filled.get("/api/v1/admin/audit?limit=10").json()
    assert set(body) == {"status", "entries", "count"} and body["status"] == "success" and body["count"] == 10 == len(body["entries"])
    assert set(body["entries"][0]) == {"timestamp", "action", "user", "provider", "details", "result", "error_message"}
    assert [entry["timestamp"] for entry in body["entries"]] == sorted((entry["timestamp"] for entry in body["entries"]), reverse=True)
    failed = next(entry for entry in filled.get("/api/v1/admin/audit?action=workspaces.delete").json()["entries"] if entry["details"]["resource_id"] == "trail-1")
    assert failed["error_message"] and failed["user"] == "local" and failed["result"] == "failure"
    assert filled.get("/api/v1/admin/audit?provider=openai").json()["entries"] == []


def test_the_short_list_caps_its_limit_and_refuses_none(make_gateway, sim):
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    for _ in range(210):
        operator.get("/api/v1/audit-logs/export")
    assert operator.get("/api/v1/admin/audit").json()["count"] == 50
    assert operator.get("/api/v1/admin/audit?limit=500").json()["count"] == 200
    assert operator.get("/api/v1/admin/audit?limit=200").json()["count"] == 200


def test_the_stream_of_events(filled):
    body = filled.get("/api/v1/audit/stream?limit=5").json()
    assert body["count"] == 5 and body["status"] == "success"
    assert set(body["entries"][0]) == {"id", "timestamp", "source", "api_channel", "action", "actor", "status", "context", "details"}
    assert {entry["api_channel"] for entry in filled.get("/api/v1/audit/stream?api_channel=api").json()["entries"]} == {"api"}
    assert filled.get("/api/v1/audit/stream?api_channel=console").json()["count"] == 0
    assert filled.get("/api/v1/audit/stream?actor=nobody").json()["count"] == 0
    assert filled.get("/api/v1/audit/stream?source=elsewhere").json()["count"] == 0
    assert {entry["status"] for entry in filled.get("/api/v1/audit/stream?status=failure").json()["entries"]} == {"failure"}
    filled.get("/api/v1/audit/stream?limit=501", status=400)


def test_nobody_writes_the_trail_from_outside(filled):
    before = newest(filled)
    for path in ("/api/v1/audit/stream", "/api/v1/audit-logs", "/api/v1/admin/audit"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert filled.request(method, path, {"action": "mine"}, status=405).reason == "method_not_allowed"
    assert newest(filled) == before


# --- export ---

def test_exports_hold_everything_in_order_and_leave_an_entry(filled):
    count = newest(filled)
    as_json = filled.get("/api/v1/audit-logs/export").json()
    assert [entry["sequence"] for entry in as_json] == list(range(1, count + 1))
    assert as_json == entries(filled)[:count]
    left = entries(filled, after=count)
    assert [(entry["action"], entry["changes"]["after"]["until_sequence"]) for entry in left] == [("audit.export", count)]
    lines = filled.get("/api/v1/audit-logs/export?format=jsonl").body.decode().splitlines()
    assert [json.loads(line) for line in lines][:count] == as_json and len(lines) == count + 1
    answer = filled.get("/api/v1/audit-logs/export?format=csv")
    assert answer.headers["content-type"].startswith("text/csv") and "audit.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    assert [row["id"] for row in rows] == [str(number) for number in range(1, count + 3)]
    assert {row["action"]: row["actor_ip"] for row in rows}["workspaces.create"] == "127.0.0.1"
    assert json.loads(rows[0]["changes"])["after"]


def test_an_export_takes_the_filters_of_the_list(filled):
    some = filled.get("/api/v1/audit-logs/export?action=workspaces.create&resource_id=trail-4").json()
    assert [entry["resource_id"] for entry in some] == ["trail-4"]
    assert filled.get("/api/v1/audit-logs/export?start_date=2100-01-01").json() == []
    assert filled.get("/api/v1/audit-logs/export?start_date=2100-01-01&format=jsonl").body == b""


def test_a_spreadsheet_runs_nothing_of_an_export(filled):
    for number, text in enumerate(("=cmd|' /C calc'!A0", "+1", "-1", "@x", " =1", "\t=1", "|x")):
        filled.patch("/api/v1/workspaces/trail-6", {"name": text})
        filled.get(f"/api/v1/workspaces/{quote(text)}", status=404)
    rows = csv.reader(io.StringIO(filled.get("/api/v1/audit-logs/export?format=csv").body.decode(), newline=""))
    cells = [cell for row in rows for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert not [cell for cell in cells if cell.lstrip(" ")[:1] in tuple("=+-@\t\r|") and cell]


def test_a_large_export_is_streamed(make_gateway, sim):
    """Many pieces: memory does not grow with the trail, and nothing is lost or written twice."""
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    text = "x" * 2000
    make_workspace(operator, "large", notes=text)
    for number in range(400):
        operator.patch("/api/v1/workspaces/large", {"notes": f"{text}{number}"})
    answer = operator.get("/api/v1/audit-logs/export")
    assert len(answer.body) > 1_500_000
    assert answer.headers.get("transfer-encoding") == "chunked"
    assert [entry["sequence"] for entry in answer.json()] == list(range(1, newest(operator)))  # all but its own entry
    assert len(answer.json()) > 400


# --- verifying ---

def test_an_unbroken_trail(filled, gateway):
    result = verify(gateway)
    assert result.returncode == 0 and " entries, unbroken, head " in result.stdout
    body = filled.get("/api/v1/audit/verify").json()
    assert body["intact"] and body["head"] in result.stdout and body["entries"] == body["last_sequence"] == newest(filled)
    assert body["broken_at"] is None and body["problem"] is None
    filled.patch("/api/v1/workspaces/trail-7", {"name": "Seven"})
    assert verify(gateway, "--head", body["head"]).returncode == 0, "an older head is in the trail"
    assert filled.get(f"/api/v1/audit/verify?head={body['head']}").json()["intact"]


def test_the_chain_can_be_followed_without_weir(filled):
    exported = filled.get("/api/v1/audit-logs/export").json()
    assert exported[0]["previous_hash"] == "0" * 64
    assert all(later["previous_hash"] == earlier["hash"] for earlier, later in zip(exported, exported[1:]))


def wreck(gateway, *statements):
    with database(gateway) as connection, connection:
        for statement in statements:
            connection.execute(statement)


TAMPERING = {
    "an edited value": (5, "UPDATE audit SET changes = replace(changes, 'Number', 'Humber') WHERE sequence = 5"),
    "an edited actor": (3, "UPDATE audit SET actor_name = 'somebody' WHERE sequence = 3"),
    "an edited time": (4, "UPDATE audit SET utc_us = utc_us + 1 WHERE sequence = 4"),
    "an entry removed": (7, "DELETE FROM audit WHERE sequence = 6"),
    "the oldest removed": (2, "DELETE FROM audit WHERE sequence = 1"),
    "the newest removed": (10, "DELETE FROM audit WHERE sequence = 10"),
    "two exchanged": (4, "UPDATE audit SET sequence = -4 WHERE sequence = 4", "UPDATE audit SET sequence = 4 WHERE sequence = 5",
                      "UPDATE audit SET sequence = 5 WHERE sequence = -4"),
    "one copied in": (11, "INSERT INTO audit SELECT 11, utc_us, result, previous, hash, actor_kind, actor_id, actor_name, actor_role, "
                          "actor_address, workspace, action, resource_type, resource_id, resource_name, changes, request, reason, message "
                          "FROM audit WHERE sequence = 10"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_and_its_place_named(make_gateway, sim, what):
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    start = newest(operator)
    for number in range(10 - start):
        make_workspace(operator, f"w{number}", name="Number")
    assert newest(operator) == 10
    place, *statements = TAMPERING[what]
    wreck(gateway, *statements)
    result = verify(gateway)
    assert result.returncode == 1, result.stdout
    body = operator.get("/api/v1/audit/verify").json()
    assert not body["intact"] and body["problem"] in result.stdout
    assert abs(body["broken_at"] - place) <= 1, (body, "the place")
    assert f"entry {body['broken_at']}" in result.stdout
    gateway.stop()
    assert verify(gateway).returncode == 1, "also without a server"


def test_a_cut_with_the_kept_head_edited_is_found_by_a_head_kept_elsewhere(make_gateway, sim):
    gateway = make_gateway(sim)
    operator = Operator(gateway)
    for number in range(5):
        make_workspace(operator, f"w{number}")
    head = operator.get("/api/v1/audit/verify").json()["head"]
    last = newest(operator)
    with database(gateway) as connection, connection:
        connection.execute("DELETE FROM audit WHERE sequence >= ?", (last - 1,))
        (digest,) = connection.execute("SELECT lower(hex(hash)) FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()
        connection.execute("UPDATE meta SET value = ? WHERE name = 'audit_head'", (f"{last - 2} {digest}",))
    assert verify(gateway).returncode == 0, "by itself the trail looks whole"
    result = verify(gateway, "--head", head)
    assert result.returncode == 1 and "removed from the end" in result.stdout
    assert not operator.get(f"/api/v1/audit/verify?head={head}").json()["intact"]
    make_workspace(operator, "w7")  # the same numbers are given again
    make_workspace(operator, "w8")
    result = verify(gateway, "--head", head)
    assert result.returncode == 1 and "written anew" in result.stdout
    assert verify(gateway, "--head", "nonsense").returncode == 2
    assert operator.get("/api/v1/audit/verify?head=nonsense", status=400).field == "head"


# --- the command line ---

def test_the_command_line_lists_and_exports(filled, gateway):
    listed = gateway.command("audit", "list", "-c", gateway.config, "--action", "workspaces.create", "--limit", "3").stdout.splitlines()
    assert len(listed) == 4 and "workspaces.create" in listed[1] and "trail-9" in "".join(listed)
    rows = [json.loads(line) for line in gateway.command("audit", "list", "-c", gateway.config, "--json", "--resource", "trail-5").stdout.splitlines()]
    assert rows == entries(filled, resource_id="trail-5")[::-1]
    count = newest(filled)
    exported = [json.loads(line) for line in gateway.command("audit", "export", "-c", gateway.config).stdout.splitlines()]
    assert exported == entries(filled)[:count]
    left = entries(filled, after=count)
    assert [(entry["action"], entry["actor_kind"], entry["actor_ip"]) for entry in left] == [("audit.export", "local", None)]
    text = gateway.command("audit", "export", "-c", gateway.config, "--format", "csv").stdout
    assert len(list(csv.DictReader(io.StringIO(text)))) == count + 1
    for wrong in (["audit"], ["audit", "forget"], ["audit", "list", "--limit", "0"], ["audit", "export", "--format", "xml"],
                  ["audit", "list", "--result", "maybe"], ["audit", "list", "--from", "x"]):
        assert gateway.command(*wrong, check=False).returncode == 2, wrong


# --- retention ---

def test_retention_removes_the_old_end_and_says_so(make_gateway, sim):
    gateway = make_gateway(sim, audit={"retention": "3s"})
    operator = Operator(gateway)
    for number in range(5):
        make_workspace(operator, f"w{number}")
    first = entries(operator)

    def pruned():
        return [entry for entry in entries(operator) if entry["action"] == "audit.prune"]

    note = until(pruned, "an entry that says what retention removed", 30, step=0.2)[0]
    assert note["actor_kind"] == "system" and note["actor_name"] == "system"
    until(lambda: not [entry for entry in entries(operator) if entry["action"] == "workspaces.create"], "the old ones to be gone", 30, step=0.2)
    after = note["changes"]["after"]
    assert after["removed"] >= 1
    assert after["last_removed_hash"] == next(entry["hash"] for entry in first if entry["sequence"] == after["last_removed_sequence"])
    assert newest(operator) >= first[-1]["sequence"] + 1, "numbers go on"
    assert verify(gateway).returncode == 0
    result = verify(gateway, "--head", f"1:{first[0]['hash']}")
    assert result.returncode == 1 and "nothing can be compared" in result.stdout


# --- the sink ---

def in_order_at_least_once(received, wanted):
    """Every entry is there, in order, whatever came twice."""
    seen = []
    for entry in received:
        if entry["sequence"] not in seen:
            seen.append(entry["sequence"])
    assert seen == sorted(seen), seen
    by_sequence = {entry["sequence"]: entry for entry in received}
    return all(by_sequence.get(entry["sequence"]) == entry for entry in wanted)


def wait_for_all(operator, receiver):
    wanted = entries(operator)
    until(lambda: in_order_at_least_once(receiver.entries(), wanted), f"{len(wanted)} entries at the sink", 30, step=0.1)


def behind(gateway):
    return gateway.metrics()[("weir_audit_sink_behind", ())]


def test_a_file_gets_every_entry_and_may_be_moved_away(make_gateway, sim, tmp_path):
    path = tmp_path / "audit.jsonl"
    gateway = make_gateway(sim, audit={"sink": f"file:{path}"})
    operator = Operator(gateway)
    make_workspace(operator, "one")
    wait_for_all(operator, FileReceiver(path))
    assert path.stat().st_mode & 0o077 == 0, "nobody else may read it"
    path.rename(tmp_path / "old.jsonl")
    gateway.signal(1)  # SIGHUP
    make_workspace(operator, "two")
    until(lambda: path.exists() and FileReceiver(path).entries(), "the new file", 30)
    assert [entry["resource_id"] for entry in FileReceiver(path).entries()] == ["two"]
    make_workspace(operator, "three")
    gateway.stop()  # what was left goes out at the end
    assert [entry["resource_id"] for entry in FileReceiver(path).entries()] == ["two", "three"]
    gateway.start()
    make_workspace(operator, "four")
    until(lambda: [entry["resource_id"] for entry in FileReceiver(path).entries()][:3] == ["two", "three", "four"], "the fourth", 30)
    assert behind(gateway) == 0


def test_a_receiver_may_go_away_and_come_back(make_gateway, sim):
    receiver = TcpReceiver()
    gateway = make_gateway(sim, audit={"sink": f"tcp://127.0.0.1:{receiver.port}"})
    operator = Operator(gateway)
    make_workspace(operator, "one")
    wait_for_all(operator, receiver)
    assert receiver.messages[0].startswith(b"<110>1 20")
    receiver.stop()
    for number in range(20):
        make_workspace(operator, f"away-{number}")
    until(lambda: behind(gateway) >= 19, "the gauge to say how far behind the sink is", 30)
    until(lambda: gateway.metrics()[("weir_audit_sink_failures_total", ())] > 0, "a failure to be counted", 30)
    assert operator.get("/api/v1/workspaces/away-19").json()["id"] == "away-19", "nobody waits for the receiver"
    gateway.restart()
    back = TcpReceiver(receiver.port)
    back.messages = receiver.messages
    wait_for_all(operator, back)
    until(lambda: behind(gateway) == 0, "nothing to be behind", 30)
    events = {line["event"] for line in gateway.log_lines()}
    assert "audit_sink_back" in events or "audit_sink_failed" not in events
    gateway.stop()
    back.stop()


def test_datagrams(make_gateway, sim, tmp_path):
    local = DatagramReceiver(path=tmp_path / "log")
    gateway = make_gateway(sim, audit={"sink": f"syslog:{tmp_path / 'log'}"})
    operator = Operator(gateway)
    make_workspace(operator, "one")
    operator.delete("/api/v1/workspaces/one", status=400)
    wait_for_all(operator, local)
    priorities = {message[:5] for message in local.messages}
    assert priorities == {b"<110>", b"<108>"}, "what failed is a warning"
    assert all(b" weir " in message for message in local.messages)
    assert any(b" workspaces.create - {" in message for message in local.messages)
    gateway.stop()
    local.stop()
    remote = DatagramReceiver()
    port = remote.port
    gateway.settings["audit"] = {"sink": f"udp://127.0.0.1:{port}"}
    gateway.write_settings()
    gateway.start()
    wait_for_all(operator, remote)  # another sink gets the trail from its beginning
    remote.stop()
    make_workspace(operator, "two")
    until(lambda: behind(gateway) > 0, "a port that nobody listens on to be noticed", 30)
    again = DatagramReceiver(port=port)
    again.messages = remote.messages
    wait_for_all(operator, again)
    gateway.stop()
    again.stop()


@pytest.mark.parametrize("sink", ["udp://127.0.0.1", "tcp://:1", "tcp://host:0", "tcp://host:70000", "file:", "kafka://x:1", "udp://user:hunter2hunter2@host:1"])
def test_a_sink_that_cannot_be_is_refused_at_the_start(make_gateway, sim, sink):
    gateway = make_gateway(sim, start=False, audit={"sink": sink})
    result = gateway.command("config", "check", gateway.config, check=False)
    assert result.returncode != 0 and "audit.sink: expected file:PATH" in result.stdout + result.stderr
    assert "hunter2" not in result.stdout + result.stderr


def test_what_did_not_arrive_outlives_the_retention(make_gateway, sim):
    with contextlib.closing(DatagramReceiver().socket) as taken:
        port = taken.getsockname()[1]
    gateway = make_gateway(sim, audit={"retention": "6s", "sink": f"tcp://127.0.0.1:{port}"})
    operator = Operator(gateway)
    make_workspace(operator, "one")
    made = time.monotonic()
    make_workspace(operator, "two")  # the newest stays in any case
    until(lambda: time.monotonic() - made > 8, "the retention to be over", 30)
    kept = [entry["resource_id"] for entry in entries(operator)]
    if time.monotonic() - made < 11:  # a machine that stood still meanwhile has shown nothing
        assert "one" in kept
    until(lambda: "one" not in [entry["resource_id"] for entry in entries(operator)], "twice the retention to be the end", 40, step=0.2)


# --- what failures name ---

def test_a_failure_names_what_it_was_tried_on_as_a_success_does(operator):
    make_workspace(operator, "typed")
    team = operator.post("/api/v1/workspaces/typed/teams", {"id": "core", "name": "Core"}).json()["id"]
    key = operator.post("/api/v1/keys", {"name": "typed", "workspace": "typed"}).json()["id"]
    viewer, admin = operator.token("viewer"), operator.token("admin")
    before = newest(operator)
    tries = [("PUT", "/api/v1/secrets/openai", {"value": "x"}, admin, "secret", "openai", None),
             ("POST", "/api/v1/keys", {"name": "x", "workspace": "typed"}, viewer, "key", None, "typed"),
             ("POST", "/api/v1/keys", {"name": "x"}, viewer, "key", None, "default"),
             ("POST", "/api/v1/keys", {"name": "x", "workspace": "typed", "team": "none"}, admin, "key", None, "typed"),
             ("POST", f"/api/v1/keys/{key}/revoke", None, viewer, "key", key, "typed"),
             ("PATCH", f"/api/v1/workspaces/typed/teams/{team}", {"name": "y"}, viewer, "team", "core", "typed"),
             ("POST", "/api/v1/workspaces/typed/teams", {"id": "core", "name": "y"}, admin, "team", "core", "typed"),
             ("POST", "/api/v1/workspaces", {"id": "other", "name": "y"}, viewer, "workspace", "other", "other"),
             ("DELETE", "/api/v1/workspaces/typed", None, viewer, "workspace", "typed", "typed"),
             ("POST", "/api/v1/operators", {"name": "y", "role": "viewer"}, admin, "operator", None, None),
             ("DELETE", "/api/v1/operators/opr_x/tokens/opt_y", None, admin, "operator_token", "opt_y", None)]
    for method, path, body, token, *_ in tries:
        operator.request(method, path, body, token=token, status=range(400, 500))
    left = entries(operator, after=before)
    assert [(entry["resource_type"], entry["resource_id"], entry["org_id"], entry["result"]) for entry in left] == \
        [(*wanted, "failure") for *_, wanted in [(None, one[4:]) for one in tries]]
    found = entries(operator, after=before, resource_type="key", result="failure", org_id="typed")
    assert [entry["action"] for entry in found] == ["keys.create", "keys.create", "keys.revoke"]


def test_a_login_is_nobodys_until_it_has_worked(operator):
    before = newest(operator)

    def refused():  # of those whom nobody knows only a few a second are written
        operator.post("/auth/login", {"api_kee": "x"}, status=400)
        return entries(operator, after=before)

    entry = until(refused, "an entry of the refused login")[-1]
    assert (entry["actor_kind"], entry["actor_name"] or "", entry["actor_role"] or "") == ("unknown", "", "")
    assert entry["resource_type"] == "operator"

"""What providers keep: an id goes to the provider that issued it, for the workspace that it was issued to, and to nobody else."""
import contextlib
import json
import signal
import sqlite3
import threading

import openai
import pytest

from harness.plain import RawConnection, call
from harness.upstream import provider
from harness.waiting import PATIENCE, until

LINE = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "sim-embed", "input": "x"}}


def form(*parts):
    body = b""
    for name, value in parts:
        more = '; filename="a.jsonl"' if isinstance(value, bytes) else ""
        value = value if isinstance(value, bytes) else value.encode()
        body += f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
    return body + b"--B--\r\n"


class Caller:
    """A key of some workspace."""

    def __init__(self, gateway, workspace):
        self.gateway = gateway
        self.key = gateway.create_key(workspace, "--workspace", workspace)
        gateway.wait_key(self.key)

    def __call__(self, method, path, body=None, **headers):
        fields = {"authorization": f"Bearer {self.key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return call(self.gateway.address, method, path, fields, body)

    def respond(self, model="both", **more):
        answer = self("POST", "/v1/responses", {"model": model, "input": "hello", **more})
        assert answer.status == 200, answer
        return answer.json()

    def upload(self, name="one", content=None):
        content = json.dumps(LINE).encode() + b"\n" if content is None else content
        answer = self("POST", "/v1/files", form(("purpose", "batch"), ("file", content)),
                      content_type="multipart/form-data; boundary=B", x_weir_provider=name)
        assert answer.status == 200, answer
        return answer.json()["id"]

    def batch(self, file_id):
        return self("POST", "/v1/batches", {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"})

    def client(self):
        return openai.OpenAI(base_url=self.gateway.base_url, api_key=self.key, max_retries=0)


@pytest.fixture(scope="module")
def sims(weir_binary, tmp_path_factory):
    from harness.processes import Simulator
    made = {}
    for name in ("one", "two"):
        made[name] = Simulator(weir_binary, tmp_path_factory.mktemp(name)).start()
    yield made
    for simulator in made.values():
        simulator.stop()


def settings_of(sims):
    """Two providers; the model "both" goes to either, drawn by weight."""
    targets = [{"provider": name, "model": "sim-small", "weight": 1} for name in sims]
    return {"providers": [provider(name, simulator) for name, simulator in sims.items()],
            "models": [{"name": "both", "targets": targets}], "server": {"listen": "127.0.0.1:0", "workers": 2}}


@pytest.fixture(scope="module")
def shared(weir_binary, sims, tmp_path_factory):
    from harness.processes import Gateway, default_settings
    instance = Gateway(weir_binary, tmp_path_factory.mktemp("gateway"), default_settings(sims["one"], **settings_of(sims))).start()
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def alice(shared):
    return Caller(shared, "alice")


@pytest.fixture(scope="module")
def bob(shared):
    return Caller(shared, "bob")


def who_saw(sims, text):
    """The simulators that were asked a thing with this text in its target or body."""
    return sorted(name for name, simulator in sims.items()
                  if any(text in request["path"] + request.get("query", "") + request["body"] + request["raw_head"]
                         for request in simulator.requests()))


def seen_count(sims):
    return sum(len(simulator.log()) for simulator in sims.values())


def not_found(answer):
    return answer.status == 404 and answer.json()["error"]["code"] == "object_not_found"


# --- ids go to who issued them ---

def test_responses_stay_with_who_made_them(sims, alice):
    """Drawn by weight among two: with eight, both have some (or the draw is broken: the chance is 1 in 128)."""
    made = [alice.respond() for _ in range(8)]
    owners = set()
    for response in made:
        found = alice("GET", f"/v1/responses/{response['id']}")
        assert found.status == 200 and found.json()["output"] == response["output"]
        assert alice("GET", f"/v1/responses/{response['id']}/input_items?limit=1&order=asc").status == 200
        asked = who_saw(sims, response["id"])
        assert len(asked) == 1
        owners.add(asked[0])
        built = alice.respond(previous_response_id=response["id"])
        assert who_saw(sims, response["id"]) == asked
        assert alice("GET", f"/v1/responses/{built['id']}").status == 200 and who_saw(sims, built["id"]) == asked
    assert owners == {"one", "two"}
    assert alice("DELETE", f"/v1/responses/{made[0]['id']}").status == 200
    assert alice("GET", f"/v1/responses/{made[0]['id']}").status == 404


def test_a_streamed_response_is_known_before_its_stream_is_over(sims, alice):
    answer = alice("POST", "/v1/responses", {"model": "both", "input": "x", "stream": True})
    ids = {json.loads(event)["response"]["id"] for event in answer.events() if b'"response.created"' in event}
    assert len(ids) == 1
    found = alice("GET", f"/v1/responses/{ids.pop()}")
    assert found.status == 200 and found.json()["status"] == "completed"


def test_files_and_batches_stay_with_who_has_them(sims, alice):
    for name in ("one", "two"):
        file_id = alice.upload(name)
        assert who_saw(sims, file_id) == []
        assert alice("GET", f"/v1/files/{file_id}").json()["id"] == file_id
        assert json.loads(alice("GET", f"/v1/files/{file_id}/content").body) == LINE
        batch = alice.batch(file_id)
        assert batch.status == 200, batch
        batch_id = batch.json()["id"]

        def done(batch_id=batch_id):
            found = alice("GET", f"/v1/batches/{batch_id}").json()
            return found["status"] == "completed" and found

        output = until(done, "the batch to be completed")["output_file_id"]
        content = alice("GET", f"/v1/files/{output}/content")
        assert content.status == 200 and json.loads(content.body)["custom_id"] == "a"
        assert who_saw(sims, file_id) == who_saw(sims, batch_id) == who_saw(sims, output) == [name]
        other = alice.batch(file_id).json()["id"]
        assert alice("POST", f"/v1/batches/{other}/cancel").status == 200
        assert alice("DELETE", f"/v1/files/{file_id}").status == 200


@pytest.mark.tsan
def test_another_worker_knows_at_once(shared, alice):
    """Connections land on either of two workers: whichever takes the second one finds the id."""
    for _ in range(12):
        response = alice.respond()
        assert alice("GET", f"/v1/responses/{response['id']}").status == 200


@pytest.mark.tsan
def test_several_workspaces_at_once_over_the_workers(make_gateway, make_sim):
    """Ids are learned, asked for, listed and given up on two workers at the same time, while settings are published anew: each finds
    what is its own and nothing of the others."""
    sims = {"one": make_sim(), "two": make_sim()}
    gateway = make_gateway(sims["one"], **settings_of(sims))
    callers = [Caller(gateway, name) for name in ("carol", "dave", "erin", "frank")]
    latest, problems = {}, []
    large = (json.dumps(LINE).encode() + b"\n") * 3000  # waits on disk

    def one(caller, name):
        for number in range(5):
            response, file_id = caller.respond()["id"], caller.upload(name, large if number % 2 else None)
            latest[caller] = response
            assert caller("GET", f"/v1/responses/{response}").status == 200
            assert [item["id"] for item in caller("GET", "/v1/files", x_weir_provider=name).json()["data"]] == [file_id]
            content = caller("GET", f"/v1/files/{file_id}/content").body
            assert content == large if number % 2 else json.loads(content) == LINE
            for other, theirs in list(latest.items()):
                assert caller("GET", f"/v1/responses/{theirs}").status == (200 if other is caller else 404)
            assert caller("DELETE", f"/v1/files/{file_id}").status == 200
            assert caller("GET", "/v1/files", x_weir_provider=name).json()["data"] == []

    def noted(*arguments):
        try:
            one(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            problems.append(repr(error))

    threads = [threading.Thread(target=noted, args=(caller, name)) for caller, name in zip(callers, ("one", "two") * 2)]
    for thread in threads:
        thread.start()
    revisions = 0
    while any(thread.is_alive() for thread in threads):
        revisions += 1
        gateway.settings["limits"]["keep_alive_requests"] = 1000 + revisions
        gateway.write_settings()
        gateway.signal(signal.SIGHUP)
        threads[0].join(0.3)
    assert problems == [] and len(latest) == len(callers)


@pytest.mark.tsan
def test_ids_are_known_after_a_restart(make_gateway, sims):
    gateway = make_gateway(sims["one"], **settings_of(sims))
    carol = Caller(gateway, "carol")
    made = [carol.respond()["id"] for _ in range(3)] + [carol.respond("two/sim-small")["id"]]
    file_id = carol.upload("two")
    gateway.restart()
    for response_id in made:
        assert carol("GET", f"/v1/responses/{response_id}").status == 200
    assert carol("GET", f"/v1/files/{file_id}").status == 200
    assert carol.respond(previous_response_id=made[0])["id"]
    assert not_found(Caller(gateway, "dave")("GET", f"/v1/files/{file_id}"))


@contextlib.contextmanager
def changing(gateway):
    """Another process has the database, and writes."""
    with contextlib.closing(sqlite3.connect(gateway.folder / "data/weir.db", isolation_level=None, timeout=30)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield database
        if database.in_transaction:
            database.execute("ROLLBACK")


@contextlib.contextmanager
def unreadable(gateway):
    """What was issued cannot be read: its table is away."""
    with changing(gateway) as database:
        database.execute("ALTER TABLE issued RENAME TO issued_away")
        database.execute("COMMIT")
        try:
            yield
        finally:
            database.execute("ALTER TABLE issued_away RENAME TO issued")


def test_a_store_that_cannot_be_asked_is_no_denial(make_gateway, sims):
    gateway = make_gateway(sims["one"], **settings_of(sims))
    carol = Caller(gateway, "carol")
    old = carol.respond()["id"]
    file_id = carol.upload("one")
    gateway.restart()
    before = seen_count(sims)
    with unreadable(gateway):
        answer = carol("GET", f"/v1/responses/{old}")
        assert answer.status == 503 and answer.json()["error"]["code"] == "store_unavailable" and "retry-after" in answer.headers
        answer = carol("POST", "/v1/responses", {"model": "both", "input": "x", "previous_response_id": old})
        assert answer.status == 503
        assert seen_count(sims) == before
        fresh = carol.respond()["id"]  # what is made meanwhile is known without the store
        assert carol("GET", f"/v1/responses/{fresh}").status == 200
        assert carol("GET", "/v1/files", x_weir_provider="one").status == 503
    until(lambda: carol("GET", f"/v1/responses/{old}").status == 200, "the store to answer again")
    assert file_id in carol("GET", "/v1/files", x_weir_provider="one").body.decode()


# --- and to nobody else ---

def test_what_belongs_to_others_is_not_there(sims, alice, bob):
    response, file_id = alice.respond()["id"], alice.upload("two")
    batch = alice.batch(file_id).json()["id"]
    for simulator in sims.values():
        call(simulator.address, "DELETE", "/_sim/log")
    for method, path in [("GET", f"/v1/responses/{response}"), ("DELETE", f"/v1/responses/{response}"),
                         ("POST", f"/v1/responses/{response}/cancel"), ("GET", f"/v1/responses/{response}/input_items"),
                         ("GET", f"/v1/files/{file_id}"), ("DELETE", f"/v1/files/{file_id}"),
                         ("GET", f"/v1/files/{file_id}/content"), ("GET", f"/v1/batches/{batch}"),
                         ("POST", f"/v1/batches/{batch}/cancel"), ("GET", "/v1/files/file-unknown"),
                         ("GET", "/v1/responses/resp_unknown")]:
        answer = bob(method, path, x_weir_provider="two")
        assert not_found(answer), (method, path, answer)
    assert not_found(bob.batch(file_id))
    for model in ("both", "one/sim-small", "two/sim-small"):
        answer = bob("POST", "/v1/responses", {"model": model, "input": "x", "previous_response_id": response})
        assert answer.status == 400 and answer.json()["error"]["code"] == "previous_response_not_found"
        assert answer.json()["error"]["param"] == "previous_response_id"
    assert seen_count(sims) == 0
    assert alice("GET", f"/v1/responses/{response}").status == 200


def test_a_model_that_the_issuer_does_not_serve_is_refused(sims, alice):
    response = alice.respond("one/sim-small")["id"]
    before = seen_count(sims)
    answer = alice("POST", "/v1/responses", {"model": "two/sim-small", "input": "x", "previous_response_id": response})
    assert answer.status == 400 and answer.json()["error"]["param"] == "previous_response_id"
    assert seen_count(sims) == before


def test_what_is_not_stored_is_not_remembered(sims, alice):
    response = alice.respond(store=False)["id"]
    before = seen_count(sims)
    assert not_found(alice("GET", f"/v1/responses/{response}"))
    assert seen_count(sims) == before


def test_a_text_of_any_kind_as_an_id_is_told_in_good_json(alice):
    for text in ("é" * 80, "x" * 99 + "é", "\0\n\"", "..", "a/b", "x" * 3000, "\ud83d"):
        body = json.dumps({"model": "both", "input": "x", "previous_response_id": text}).encode()
        answer = alice("POST", "/v1/responses", body, content_type="application/json")
        assert answer.status == 400
        assert answer.json()["error"]["code"] == "previous_response_not_found"


def raw_target(gateway, key, target, method="GET"):
    with RawConnection(gateway.address) as raw:
        raw.send(f"{method} {target} HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer {key}\r\n\r\n".encode("latin-1"))
        return raw.read_answer()


@pytest.mark.parametrize("target", [
    "/v1/files/..", "/v1/files/../models", "/v1/files/.", "/v1/files/%2e%2e", "/v1/files/%2E%2E%2Fmodels", "/v1/files/a%2Fb",
    "/v1/files/a/b", "/v1/files//content", "/v1/files/", "/v1/files/a/content/", "/v1/files/../files/{id}", "/v1/files/{id}/",
    "/v1/files/{id}%00", "/v1/files/{id}%2Fcontent", "/v1/files/./{id}", "/v1//files/{id}", "/v1/files/{id};x", "/v1/files/{id}\\x",
    "/v1/files/%66ile", "/v1/responses/../files/{id}", "/v1/batches/{id}/../x/cancel", "/v1/files/" + "a" * 300])
def test_tricks_with_paths_reach_nobody(sims, shared, alice, target):
    file_id = alice.upload("one")
    before = seen_count(sims)
    answer = raw_target(shared, alice.key, target.replace("{id}", file_id))
    assert answer.status in (400, 404, 405), answer
    assert seen_count(sims) == before


def test_a_file_is_no_response(sims, alice):
    """An id is good at its own kind of path: what the provider says is passed on, and it says that there is no such thing."""
    file_id = alice.upload("one")
    assert alice("GET", f"/v1/responses/{file_id}").status == 404
    assert alice("GET", f"/v1/batches/{file_id}").status == 404


def test_query_strings_pass_unchanged(make_gateway, make_upstream, sims):
    upstream = make_upstream(answers={"/v1/responses": {"id": "resp_1"}, "/v1/responses/resp_1": {"id": "resp_1"},
                                      "/v1/responses/resp_1/input_items": {"object": "list", "data": []},
                                      "/v1/files": {"object": "list", "data": []}})
    gateway = make_gateway(sims["one"], providers=[provider("here", upstream)], models=[])
    gateway.request("POST", "/v1/responses?api-version=1%202", {"model": "here/m", "input": "x"})
    for query in ("include%5B%5D=a&include[]=b&&x=%2F..%2f", "after=a%00b", "?"):
        for path in ("/v1/responses/resp_1", "/v1/responses/resp_1/input_items", "/v1/files"):
            raw_target(gateway, gateway.key, f"{path}?{query}")
            assert (upstream.calls[-1].path, upstream.calls[-1].query) == (path, query)
    assert upstream.calls[0].target == "/v1/responses?api-version=1%202"
    assert upstream.calls[1].target == "/v1/responses/resp_1?include%5B%5D=a&include[]=b&&x=%2F..%2f"


# --- who is meant ---

def test_a_provider_is_named_where_several_could_be_meant(sims, alice):
    before = seen_count(sims)
    body, kind = form(("purpose", "batch"), ("file", b"{}")), "multipart/form-data; boundary=B"
    answer = alice("POST", "/v1/files", body, content_type=kind)
    assert answer.status == 400 and "x-weir-provider" in answer.body.decode()
    for name in ("three", "", "ONE", "one,two", "é"):
        answer = alice("POST", "/v1/files", body, content_type=kind, x_weir_provider=name)
        assert answer.status == 404 and answer.json()["error"]["code"] == "provider_unknown"
    assert alice("GET", "/v1/batches").status == 400
    assert seen_count(sims) == before


# --- lists ---

def test_lists_show_only_ones_own(sims, alice, bob):
    mine = [alice.upload("one") for _ in range(3)]
    others = [bob.upload("one") for _ in range(2)]
    listed = alice("GET", "/v1/files?limit=100", x_weir_provider="one").json()
    ids = [item["id"] for item in listed["data"]]
    assert set(mine) <= set(ids) and not set(others) & set(ids)
    assert (listed["first_id"], listed["last_id"]) == (ids[0], ids[-1])
    assert not set(mine) & {item["id"] for item in alice("GET", "/v1/files?limit=100", x_weir_provider="two").json()["data"]}
    batches = [alice.batch(mine[0]).json()["id"] for _ in range(2)]
    bobs = bob.batch(others[0]).json()["id"]
    found = [item["id"] for item in alice("GET", "/v1/batches?limit=100", x_weir_provider="one").json()["data"]]
    assert set(batches) <= set(found) and bobs not in found


def test_the_official_clients_pages_leave_nothing_out(sims, alice, bob):
    """Others' files stand before, between and behind one's own, more of them than a page has."""
    for _ in range(5):
        bob.upload("two")
    mine = []
    for _ in range(4):
        mine.append(alice.upload("two"))
        for _ in range(4):
            bob.upload("two")
    with alice.client() as client:
        found = [item.id for item in client.files.list(limit=2, extra_headers={"x-weir-provider": "two"})]
        assert len(found) == len(set(found)) and set(mine) <= set(found)
        batches = [alice.batch(mine[0]).json()["id"] for _ in range(3)]
        listed = [item.id for item in client.batches.list(limit=1, extra_headers={"x-weir-provider": "two"})]
        assert len(listed) == len(set(listed)) and set(batches) <= set(listed)


def test_the_next_page_is_asked_for_in_the_clients_own_terms(make_gateway, make_upstream, sims):
    """Where a page is all others', what the client asked for besides its place and size stays; so does the end of a list."""
    pages = [{"object": "list", "data": [{"id": "file-others1"}, {"id": "file-others2"}], "has_more": True},
             {"object": "list", "data": [{"id": "file-others3"}], "has_more": False}]
    left = list(pages)
    upstream = make_upstream(lambda call: (call.read(), call.answer(left.pop(0))))
    gateway = make_gateway(sims["one"], providers=[provider("here", upstream)], models=[])
    answer = gateway.request("GET", "/v1/files?after=file-others0&purpose=a%20b&limit=2&order=asc").json()
    assert (answer["data"], answer["has_more"]) == ([], False)
    assert [call.query for call in upstream.calls] == ["after=file-others0&purpose=a%20b&limit=2&order=asc",
                                                       "limit=100&after=file-others2&purpose=a%20b&order=asc"]
    for last in ("", "a/../b", "x" * 5000):  # cannot stand in a request: the page is shown as it is
        left[:] = [{"object": "list", "data": [{"id": "file-others1"}, {"id": last}], "has_more": True}]
        answer = gateway.request("GET", "/v1/files?limit=2").json()
        assert (answer["data"], answer["has_more"]) == ([], True) and upstream.calls[-1].query == "limit=2"


def test_a_batchs_output_that_was_seen_in_a_list_can_be_read(sims, alice):
    batch_id = alice.batch(alice.upload("one")).json()["id"]

    def output():
        items = alice("GET", "/v1/batches?limit=100", x_weir_provider="one").json()["data"]
        return next(item for item in items if item["id"] == batch_id).get("output_file_id")

    def ready():  # the simulator's batches go on as they are asked for
        call(sims["one"].address, "GET", f"/v1/batches/{batch_id}", {"authorization": "Bearer x"})
        return output()

    assert alice("GET", f"/v1/files/{until(ready, 'an output file')}/content").status == 200


@pytest.mark.tsan
def test_a_list_of_many_is_sorted_whole(make_gateway, make_upstream, sims):
    """Ten thousand items, as many as the API gives at once: two are one's own. What is no list is an error of the provider."""
    made = []

    def answer(call):
        call.read()
        if call.method == "POST":
            made.append(f"file-mine{len(made)}")
            call.answer({"id": made[-1], "object": "file"})
        else:
            items = [{"id": f"file-{n:022d}", "object": "file", "filename": "x" * 150} for n in range(9998)]
            items[5000:5000] = [{"id": one, "object": "file"} for one in made]
            call.answer({"object": "list", "data": items, "has_more": False, "first_id": items[0]["id"], "last_id": items[-1]["id"]})

    upstream = make_upstream(answer)
    gateway = make_gateway(sims["one"], providers=[provider("here", upstream)], models=[])
    for _ in range(2):
        body = form(("purpose", "batch"), ("file", b"{}"))
        assert gateway.request("POST", "/v1/files", body, {"content-type": "multipart/form-data; boundary=B"}).status == 200
    listed = gateway.request("GET", "/v1/files").json()
    assert [item["id"] for item in listed["data"]] == made
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (made[0], made[1], False)
    upstream.handler = lambda call: call.answer({"object": "error"})
    assert gateway.request("GET", "/v1/files").status == 502
    upstream.handler = lambda call: call.answer([{"id": made[0]}])
    assert gateway.request("GET", "/v1/files").status == 502


@pytest.mark.tsan
def test_a_client_that_leaves_while_its_list_is_sorted_disturbs_nobody(make_gateway, make_upstream, sims):
    items = [{"id": f"file-{n}"} for n in range(5000)]
    upstream = make_upstream(answers={"/v1/files": {"object": "list", "data": items}})
    gateway = make_gateway(sims["one"], providers=[provider("here", upstream)], models=[])
    for _ in range(20):
        with RawConnection(gateway.address) as raw:
            before = len(upstream.calls)
            raw.send(f"GET /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n\r\n".encode())
            until(lambda before=before: len(upstream.calls) > before, "the list to be asked for")
            raw.reset()
    for _ in range(20):
        with RawConnection(gateway.address) as raw:
            raw.send(f"GET /v1/files/file-{_} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n\r\n".encode())
            raw.reset()
    assert gateway.request("GET", "/v1/files").json()["data"] == []


def test_an_id_that_nobody_would_issue_is_passed_on_and_not_kept(make_gateway, make_upstream, sims):
    """A provider's answer goes through whatever its id is; one that does not fit into a path or a journal is not remembered."""
    ids = ["x" * 100_000, "a/../b", "\u00e9", "", "a\nb"]
    upstream = make_upstream(lambda call: (call.read(), call.answer({"id": ids[0], "output": [], "usage": {"input_tokens": 1, "output_tokens": 1}})))
    gateway = make_gateway(sims["one"], providers=[provider("here", upstream)], models=[])
    while ids:
        answer = gateway.request("POST", "/v1/responses", {"model": "here/m", "input": "x"})
        assert answer.status == 200 and answer.json()["id"] == ids[0]
        assert gateway.entry_of(answer.headers["x-request-id"])["outcome"] == "ok"
        ids.pop(0)


def test_an_id_that_is_issued_again_belongs_to_who_got_it_last(make_gateway, make_upstream, sims):
    """Servers that count their objects begin anew when they are started anew. Another provider cannot take an id away."""
    upstream = make_upstream(answers={("POST", "/v1/responses"): {"id": "resp_1"}, ("GET", "/v1/responses/resp_1"): {"id": "resp_1"}})
    other = make_upstream(answers={("POST", "/v1/responses"): {"id": "resp_1"}})
    gateway = make_gateway(sims["one"], providers=[provider("here", upstream), provider("other", other)], models=[])
    carol, dave = Caller(gateway, "carol"), Caller(gateway, "dave")
    assert carol.respond("here/m")["id"] == dave.respond("here/m")["id"] == "resp_1"
    assert dave("GET", "/v1/responses/resp_1").status == 200
    assert not_found(carol("GET", "/v1/responses/resp_1"))
    carol.respond("other/m")
    assert dave("GET", "/v1/responses/resp_1").status == 200
    assert not_found(carol("GET", "/v1/responses/resp_1"))
    assert other.paths() == ["POST /v1/responses"]
    gateway.wait_ledger(5)


def test_what_is_kept_costs_nothing_and_is_in_the_ledger(sims, shared, alice):
    file_id = alice.upload("one")
    answers = [alice("GET", f"/v1/files/{file_id}"), alice("GET", "/v1/files", x_weir_provider="one"), alice.batch(file_id)]
    for answer, endpoint in zip(answers, ("files.get", "files.list", "batches")):
        entry = shared.entry_of(answer.headers["x-request-id"])
        assert (entry["endpoint"], entry["provider"], entry["cost_cu_milli"], entry["outcome"]) == (endpoint, "one", 0, "ok")
        assert entry["workspace"] == "alice" and entry["usage_source"] == "none"
        assert "usedCUMilli" not in answer.body.decode()


def test_a_provider_that_is_gone_from_the_settings_is_told(make_gateway, sims):
    gateway = make_gateway(sims["one"], **settings_of(sims))
    carol = Caller(gateway, "carol")
    response = carol.respond("two/sim-small")["id"]
    gateway.settings["providers"].pop()
    gateway.settings["models"][0]["targets"].pop()
    gateway.write_settings()
    gateway.restart()
    answer = carol("GET", f"/v1/responses/{response}")
    assert answer.status == 503 and "not configured" in answer.body.decode()


@pytest.mark.tsan
def test_a_deadline_while_the_store_is_asked(make_gateway, sims):
    """The reply may come for a request that is gone: it finds nobody. Who waits gets an answer."""
    gateway = make_gateway(sims["one"], **settings_of(sims), timeouts={"request": "1s"})
    carol = Caller(gateway, "carol")
    old = carol.respond()["id"]
    gateway.restart()
    carol.respond()  # something to write down
    with changing(gateway):
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(carol("GET", f"/v1/responses/{old}").status)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60 * PATIENCE)
        assert len(answers) == 4 and set(answers) <= {200, 503, 504}
    until(lambda: carol("GET", f"/v1/responses/{old}").status == 200, "the store to answer again")


@pytest.mark.tsan
def test_a_stop_while_the_store_is_asked(make_gateway, sims):
    """The clients are gone and nothing holds the workers, while the store has their questions yet before it. (What an answer to a worker that has
    ended would do, a sanitizer sees.)"""
    gateway = make_gateway(sims["one"], **settings_of(sims))
    carol = Caller(gateway, "carol")
    with changing(gateway):
        carol.respond()  # something to write down: the store waits for its turn
        for number in range(40):
            with RawConnection(gateway.address) as raw:
                raw.send(f"GET /v1/files/file-{number} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {carol.key}\r\n\r\n".encode())
                raw.reset()
        gateway.stop()


def test_one_workspaces_key_for_idempotency_is_not_anothers(make_gateway, make_upstream, sim):
    """The provider's account is shared: the same text from two workspaces must not get one the other's answer."""
    upstream = make_upstream(lambda call: (call.read(), call.answer({"id": "chat-1", "choices": []})))
    gateway = make_gateway(sim, providers=[provider("here", upstream)], models=[])
    first, second = Caller(gateway, "first"), Caller(gateway, "second")
    for caller in (first, first, second):
        answer = caller("POST", "/v1/chat/completions", {"model": "here/m", "messages": []}, idempotency_key="same")
        assert answer.status == 200, answer
    one, again, another = (call.headers["idempotency-key"] for call in upstream.calls)
    assert one == again != another and "same" not in (one, another)

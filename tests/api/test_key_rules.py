"""What a key may: models, endpoints, capabilities, addresses, and whether its workspace is suspended."""
import itertools

import openai
import pytest

from harness import plain
from harness.keys import set_rules, settle, suspend
from harness.processes import Gateway, chat_body, default_settings
from harness.waiting import until

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    models = [{"name": name, "targets": [{"provider": "sim", "model": model}]}
              for name, model in (("sim-small", "sim-small"), ("sim-large", "sim-large"), ("house/best", "sim-reasoner"))]
    instance = Gateway(weir_binary, module_folder / "rules", default_settings(sim, models=models)).start()
    yield instance
    instance.close()


class Key:
    """A key of its own for a test, with these rules in effect."""

    def __init__(self, gateway, rules, *more):
        self.gateway, self.name = gateway, f"ruled-{next(NUMBERS)}"
        self.key = gateway.create_key(self.name, *more)
        self.set(rules)

    def set(self, rules):
        self.id = set_rules(self.gateway, self.name, rules)
        settle(self.gateway)

    def call(self, method, path, body=None, **more):
        return plain.call(self.gateway.address, method, path, {"authorization": f"Bearer {self.key}"}, body, **more)

    def chat(self, model="sim-small", **fields):
        return self.call("POST", "/v1/chat/completions", chat_body(model=model, **fields))

    def models(self):
        return [model["id"] for model in self.call("GET", "/v1/models").json()["data"]]

    def sdk(self):
        return openai.OpenAI(base_url=self.gateway.base_url, api_key=self.key, max_retries=0)


def outcome(answer):
    """200, or the code of a refusal: 403 in the dialect's shape, not to be tried again."""
    if answer.status == 200:
        return 200
    error = answer.json()["error"]
    assert answer.status == 403 and error["error_code"] == "WEIR_PERMISSION_DENIED" and error["type"] == "permission_error", answer
    assert error["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-should-retry"] == "false"
    return error["code"]


@pytest.mark.smoke
@pytest.mark.tsan
def test_only_allowed_models_answer_and_are_listed(gateway):
    key = Key(gateway, {"models": ["sim-s*", "house/*"]})
    assert outcome(key.chat("sim-small")) == 200
    assert outcome(key.chat("house/best")) == 200
    assert outcome(key.chat("sim-large")) == "key_model_not_allowed"
    assert outcome(key.chat("sim/sim-small")) == "key_model_not_allowed"  # a name that the list has not, whatever it leads to
    assert outcome(key.chat("no-such-model")) == "key_model_not_allowed"  # what is not allowed is not told apart
    assert outcome(key.chat("x" * 5000)) == "key_model_not_allowed"
    assert key.models() == ["sim-small", "house/best"]
    assert outcome(key.call("GET", "/v1/models/house/best")) == 200
    assert outcome(key.call("GET", "/v1/models/sim-large")) == "key_model_not_allowed"
    assert outcome(key.chat("sim-large", stream=True)) == "key_model_not_allowed"


def test_the_sdk_raises_its_own_exception(gateway):
    key = Key(gateway, {"models": ["sim-small"]})
    with key.sdk() as client:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(model="sim-large", messages=[{"role": "user", "content": "Hi"}])
        assert caught.value.code == "key_model_not_allowed" and "sim-large" in caught.value.message
        with pytest.raises(openai.PermissionDeniedError):
            client.embeddings.create(model="sim-large", input="Hi")
        assert [model.id for model in client.models.list()] == ["sim-small"]


def test_a_refusal_reaches_no_provider_and_no_ledger(gateway, sim):
    key = Key(gateway, {"models": [], "endpoints": ["chat.completions"]})
    before, entries = len(sim.log()), len(gateway.ledger())
    assert outcome(key.chat()) == "key_model_not_allowed"
    assert outcome(key.call("POST", "/v1/embeddings", {"model": "sim-small", "input": "x"})) == "key_endpoint_not_allowed"
    assert len(sim.log()) == before
    assert gateway.chat().status == 200
    assert len(gateway.wait_ledger(entries + 1)) == entries + 1


def test_endpoints_and_capabilities_are_refused_before_the_body_is_read(gateway):
    key = Key(gateway, {"endpoints": ["embeddings", "files*"]})
    none = Key(gateway, {"capabilities": []})
    assert outcome(key.call("POST", "/v1/embeddings", {"model": "sim-small", "input": "x"})) == 200
    assert outcome(key.call("GET", "/v1/files")) == 200
    assert outcome(key.call("GET", "/v1/models")) == "key_endpoint_not_allowed"
    assert outcome(none.call("GET", "/v1/models")) == "key_capability_missing"
    for one, expected in ((key, b"key_endpoint_not_allowed"), (none, b"key_capability_missing")):
        with plain.RawConnection(gateway.address) as raw:  # the body is promised, and never sent
            raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {gateway.address}\r\nAuthorization: Bearer {one.key}\r\n"
                     f"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode())
            answer = raw.read_answer()
            assert answer.status == 403 and expected in answer.body


def test_what_needs_no_capability_is_for_every_key(gateway):
    """Receipts are for any key of the workspace: what its rules say of capabilities is of other paths."""
    for capabilities in ([], ["billing"], ["inference"]):
        assert outcome(Key(gateway, {"capabilities": capabilities}).call("GET", "/v1/receipts/keys")) == 200


def test_what_needs_no_key_asks_for_no_rules(gateway):
    key = Key(gateway, {"models": [], "endpoints": [], "capabilities": [], "addresses": []})
    for path in ("/health", "/readyz", "/metrics"):
        assert key.call("GET", path).status == 200


def test_addresses(gateway):
    here, elsewhere = Key(gateway, {"addresses": ["127.0.0.0/8"]}), Key(gateway, {"addresses": ["192.0.2.0/24", "2001:db8::/32"]})
    assert outcome(here.chat()) == 200
    assert outcome(elsewhere.chat()) == "key_address_not_allowed"
    # Nobody is trusted here: what a client says of itself does not count.
    for name, value in (("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7"), ("x-real-ip", "192.0.2.7")):
        answer = plain.call(gateway.address, "GET", "/v1/models", {"authorization": f"Bearer {elsewhere.key}", name: value})
        assert outcome(answer) == "key_address_not_allowed"


def test_rules_change_and_go_away(gateway):
    key = Key(gateway, {"models": ["sim-large"]})
    assert outcome(key.chat()) == "key_model_not_allowed"
    key.set({"models": ["sim-small"]})
    assert outcome(key.chat()) == 200
    key.set("")
    assert outcome(key.chat("sim-large")) == 200
    assert key.models() == ["sim-small", "sim-large", "house/best"]


def test_rules_that_are_not_understood_allow_nothing(gateway):
    key = Key(gateway, {"regions": ["eu"]})
    assert outcome(key.chat()) == "key_address_not_allowed"
    assert outcome(key.call("GET", "/v1/models")) == "key_address_not_allowed"
    line = until(lambda: [line for line in gateway.log_lines() if line["event"] == "key_rules_not_understood"], "the log line")[-1]
    assert line["key_id"] == key.id and "rules.regions" in line["problem"]


def test_a_stored_answer_is_its_models(gateway):
    maker = Key(gateway, {})
    stored = maker.call("POST", "/v1/responses", {"model": "house/best", "input": "Hi"})
    assert stored.status == 200
    path = f"/v1/responses/{stored.json()['id']}"
    assert outcome(Key(gateway, {"models": ["house/*"]}).call("GET", path)) == 200
    assert outcome(Key(gateway, {"models": ["sim/sim-reasoner"]}).call("GET", path)) == 200
    other = Key(gateway, {"models": ["sim-small"]})
    assert outcome(other.call("GET", path)) == "key_model_not_allowed"
    assert outcome(other.call("DELETE", path)) == "key_model_not_allowed"
    assert outcome(maker.call("GET", path)) == 200


def test_batches_are_refused_where_models_are_restricted(gateway):
    """The models of a batch stand in its file, which nobody reads here."""
    batch = {"input_file_id": "file-none", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert outcome(Key(gateway, {"models": ["sim-small"]}).call("POST", "/v1/batches", batch)) == "key_model_not_allowed"
    answer = Key(gateway, {"models": ["*"]}).call("POST", "/v1/batches", batch)
    assert answer.status == 404, answer  # it is asked for the file


def test_uploads_are_checked_once_their_model_is_known(gateway):
    def transcribe(key):
        with key.sdk() as client:
            return client.audio.transcriptions.create(model="sim-small", file=("a.wav", b"RIFF" + b"\0" * 100))

    transcribe(Key(gateway, {"models": ["sim-small"]}))
    with pytest.raises(openai.PermissionDeniedError):
        transcribe(Key(gateway, {"models": ["sim-large"]}))


@pytest.mark.tsan
def test_a_suspended_workspace(gateway):
    key = Key(gateway, {}, "--workspace", "default")
    other = Key(gateway, {}, "--workspace", "elsewhere")
    suspend(gateway, "default", True)
    try:
        until(lambda: key.chat().status == 403, "the suspension to be in effect")
        assert outcome(key.chat()) == "workspace_suspended"
        assert outcome(key.call("GET", "/v1/models")) == "workspace_suspended"
        assert outcome(other.chat()) == 200
    finally:
        suspend(gateway, "default", False)
    until(lambda: key.chat().status == 200, "the suspension to be over")


def test_a_workspace_is_still_suspended_after_a_restart(make_gateway, sim):
    instance = make_gateway(sim)
    suspend(instance, "default", True)
    instance.wait_key(instance.key, 403)
    instance.stop()
    instance.launch_and_find()
    instance.wait_ready()
    answers = {instance.chat().status for _ in range(20)}  # from the very first request on
    assert answers == {403}

"""Starting with nothing: no file, no account. And where that would be a mistake, refusing with words."""
import re
import resource
import subprocess

import pytest

from harness.plain import call
from harness.processes import SANITIZER_WORDS, Gateway, clean_environment
from harness.waiting import PATIENCE

# Free ports; whatever else a file could say is left to the defaults.
ADDRESSES = {"WEIR_LISTEN": "127.0.0.1:0", "WEIR_OPERATOR_LISTEN": "127.0.0.1:0", "WEIR_WORKERS": "1"}


@pytest.fixture
def bare(weir_binary, tmp_path):
    """bare(**environment): a gateway in a fresh folder without a file."""
    made = []

    def make(**environment):
        made.append(Gateway(weir_binary, tmp_path / f"bare-{len(made)}", None, {**ADDRESSES, **environment}))
        return made[-1]

    yield make
    for instance in made:
        instance.close()


def refusal(instance):
    """What a start that fails says; nothing may have been made on disk."""
    result = instance.command("serve", check=False)
    assert result.returncode == 1, result
    assert not result.stdout
    assert sorted(path.name for path in instance.folder.iterdir()) == []
    return result.stderr


@pytest.mark.smoke
def test_without_a_file_and_without_an_account_the_simulator_answers(bare):
    instance = bare().start()
    answer = instance.chat(model="sim-small")
    assert answer.status == 200 and answer.json()["usage"]["usedCUMilli"] > 0
    assert instance.chat(model="sim-small", stream=True).events()[-1] == b"[DONE]"
    models = [model["id"] for model in instance.request("GET", "/v1/models").json()["data"]]
    assert "sim-small" in models
    entry = instance.entry_of(answer.headers["x-request-id"])
    assert entry["provider"] == "sim" and entry["cost_cu_milli"] == answer.json()["usage"]["usedCUMilli"]
    assert not instance.config.exists()
    children = children_of(instance.pid)
    assert len(children) == 1, "the simulator, and nothing else"
    instance.stop()
    assert not any(alive(child) for child in children), "the simulator ends with its gateway"


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_simulator_ends_with_a_gateway_that_is_killed(bare):
    from harness.waiting import until
    instance = bare().start()
    children = children_of(instance.pid)
    assert children
    instance.kill()
    until(lambda: not any(alive(child) for child in children), "the simulator to notice that its gateway is gone")


def test_a_second_start_in_the_same_folder_knows_its_keys(bare):
    instance = bare().start()
    assert instance.chat().status == 200
    instance.restart()
    assert instance.chat().status == 200
    assert len(instance.wait_ledger(2)) == 2


@pytest.mark.parametrize("environment", ["prod", "production", "stage"])
def test_without_a_provider_only_dev_starts(bare, environment):
    said = refusal(bare(ENVIRONMENT=environment))
    assert "no provider" in said and "OPENAI_API_KEY" in said and "providers" in said, said


def test_a_provider_of_the_environment_is_listed_and_not_contacted(bare):
    # No request is made with this key: the list is answered from the price file.
    instance = bare(OPENAI_API_KEY="sk-nobody").start()
    models = instance.request("GET", "/v1/models").json()["data"]
    owners = {model["owned_by"] for model in models}
    assert owners == {"openai"}
    assert any(re.match(r"gpt-", model["id"]) for model in models)
    assert children_of(instance.pid) == [], "no simulator beside a real provider"
    one = instance.request("GET", f"/v1/models/{models[0]['id']}")
    assert one.status == 200 and one.json()["owned_by"] == "openai"
    assert instance.ledger() == []
    assert "sk-nobody" not in instance.stderr()


def test_a_provider_at_an_address_of_the_environment_is_asked_without_a_key(bare, make_sim):
    simulator = make_sim("--no-auth")
    instance = bare(VLLM_ENDPOINT=f"http://{simulator.address}", ENVIRONMENT="prod").start()
    assert instance.chat(model="whatever-it-serves").status == 200
    assert simulator.last_body()["model"] == "whatever-it-serves"
    assert "authorization" not in simulator.last_request()["headers"]


def test_of_several_providers_each_gets_its_kind_of_names(bare, make_sim):
    simulator = make_sim("--no-auth")
    instance = bare(VLLM_ENDPOINT=f"http://{simulator.address}", ANTHROPIC_API_KEY="sk-nobody", GEMINI_API_KEY="nobody").start()
    owners = {model["id"]: model["owned_by"] for model in instance.request("GET", "/v1/models").json()["data"]}
    assert not [name for name in owners if name.endswith("*")]
    assert any(name.startswith("claude-") for name in owners) and any(name.startswith("gemini-") for name in owners)
    assert {owner for name, owner in owners.items() if name.startswith("claude-")} == {"anthropic"}
    assert {owner for name, owner in owners.items() if name.startswith("gemini-")} == {"gemini"}
    assert instance.request("GET", "/v1/models/claude-never-heard-of").status == 404
    known = next(name for name in owners if name.startswith("claude-"))
    assert instance.request("GET", f"/v1/models/{known}").json()["owned_by"] == "anthropic"
    for name in ("qwen3-32b", "vllm/qwen3-32b"):
        answer = instance.chat(model=name)
        assert answer.status == 200
        assert simulator.last_body()["model"] == "qwen3-32b"
    assert instance.command("config", "explain", check=False).returncode == 0


def test_a_port_that_is_taken_is_told(bare):
    first = bare().start()
    said = refusal(bare(WEIR_LISTEN=first.address, OPENAI_API_KEY="sk-nobody"))
    assert first.address in said, said
    assert call(first.address, "GET", "/readyz").status == 200


def test_too_few_files_for_the_workers_are_told(weir_binary, tmp_path):
    """Some workers get what they need and one does not: the start fails in order, with words."""
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    # pylint: disable=subprocess-popen-preexec-fn
    result = subprocess.run([str(weir_binary), "serve"], cwd=tmp_path, capture_output=True, text=True, timeout=30 * PATIENCE, check=False,
                            env=clean_environment({**ADDRESSES, "WEIR_WORKERS": "8", "OPENAI_API_KEY": "x"}), preexec_fn=few_files)
    told = [line for line in result.stderr.splitlines() if "cannot start" in line]
    assert result.returncode == 1 and len(told) == 1 and "too many open files" in told[0], result
    assert not SANITIZER_WORDS.search(result.stderr), result.stderr

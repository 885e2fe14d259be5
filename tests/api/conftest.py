"""Fixtures of the API tests: they run the program that WEIR_BINARY names as its users do, over HTTP and its command line.

`sim` and `gateway` live for one module's tests: starting is cheap, but not free under sanitizers. A test that changes,
restarts or kills asks `make_gateway` (and `make_sim`) for its own. Every process is checked at its end: exit code 0 and
not a word from a sanitizer.
"""
import os
import pathlib

import pytest

pytest.register_assert_rewrite("harness.clients", "harness.operator")  # they compare: a difference must show

from harness.clients import Pair, client_settings
from harness.operator import Operator, exercised
from harness.processes import Gateway, Simulator, default_settings
from harness.upstream import Upstream

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def pytest_addoption(parser):
    parser.addoption("--write", action="store_true", help="write the pages of docs/reference that tests make from what they see")


def pytest_sessionfinish():
    """For tools/run_tests: which operations of the operator plane were answered well. Of several processes each has a file of its own."""
    if os.environ.get("WEIR_OPERATIONS_SEEN"):
        path = os.environ["WEIR_OPERATIONS_SEEN"] + os.environ.get("PYTEST_XDIST_WORKER", "")
        pathlib.Path(path).write_text("\n".join(sorted(exercised)) + "\n")


@pytest.fixture(scope="session")
def weir_binary():
    path = pathlib.Path(os.environ.get("WEIR_BINARY", ROOT / "build/weir")).resolve()
    if not path.exists():
        pytest.fail(f"there is no program at {path}: set WEIR_BINARY, or run make build", pytrace=False)
    return path


@pytest.fixture(scope="session")
def corpora():
    """The folder of published corpora: WEIR_CORPORA, by default beside the checkout. Tests skip what is not there."""
    return pathlib.Path(os.environ.get("WEIR_CORPORA", ROOT.parent / "shared/corpora"))


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory, request):
    return tmp_path_factory.mktemp(request.module.__name__)


@pytest.fixture(scope="module")
def sim(weir_binary, module_folder):
    simulator = Simulator(weir_binary, module_folder).start()
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
def gateway(weir_binary, sim, module_folder):
    instance = Gateway(weir_binary, module_folder / "gateway", default_settings(sim)).start()
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def operator(gateway):
    """The operator plane of the module's gateway; every answer is held against its OpenAPI document."""
    return Operator(gateway)


@pytest.fixture(scope="module")
def clients_gateway(weir_binary, sim, module_folder):
    """A gateway with a model for every endpoint, each of them priced."""
    instance = Gateway(weir_binary, module_folder / "clients", client_settings(sim, module_folder)).start()
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def direct_sim(weir_binary, module_folder):
    """A second simulator, spoken to without weir: it sees the same calls as the one behind it."""
    folder = module_folder / "direct"
    folder.mkdir()
    simulator = Simulator(weir_binary, folder).start()
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module", params=["sync", "async"])
def pair(request, direct_sim, sim, clients_gateway):
    made = Pair(direct_sim, sim, clients_gateway, request.param == "async")
    yield made
    made.close()


def end_all(processes, end):
    """Ends every one, also when an earlier one has something to complain about."""
    problems = []
    for process in processes:
        try:
            end(process)
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, "\n".join(problems)


@pytest.fixture
def make_sim(weir_binary, tmp_path):
    """make_sim(*arguments): a simulator of this test's own."""
    made = []

    def make(*arguments):
        folder = tmp_path / f"sim-{len(made)}"
        folder.mkdir()
        made.append(Simulator(weir_binary, folder, *arguments).start())
        return made[-1]

    yield make
    end_all(made, Simulator.stop)


@pytest.fixture
def make_gateway(weir_binary, tmp_path):
    """make_gateway(simulator, start=True, environment=None, tls=None, **overrides): a gateway of this test's own."""
    made = []

    def make(simulator, start=True, environment=None, tls=None, **overrides):
        folder = tmp_path / f"gateway-{len(made)}"
        made.append(Gateway(weir_binary, folder, default_settings(simulator, **overrides), environment, tls))
        return made[-1].start() if start else made[-1]

    yield make
    end_all(made, Gateway.close)


@pytest.fixture
def make_upstream():
    """make_upstream(handler=None, answers=None, receive_buffer=None): a provider in Python (harness/upstream.py)."""
    made = []

    def make(*arguments, **named):
        made.append(Upstream(*arguments, **named))
        return made[-1]

    yield make
    end_all(made, Upstream.stop)

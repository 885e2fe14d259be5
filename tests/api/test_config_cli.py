"""`weir config`: every problem of a file with its place and the nearest good name, and nothing starts half-configured."""
import json
import textwrap

import pytest

GOOD = """\
    environment: dev
    data_dir: ./data
    providers:
      - name: sim
        dialect: openai
        base_url: http://127.0.0.1:9/v1
        api_key: {key}
    models:
      - name: sim-small
        targets: [{{provider: sim, model: sim-small}}]
    """


@pytest.fixture
def check(make_gateway, sim):
    instance = make_gateway(sim, start=False)

    def run(text, env=None, **names):
        instance.config.write_text(textwrap.dedent(text.format(**{"key": "k", **names}) if "{key}" in text else text))
        return instance.command("config", "check", instance.config, check=False, env=env)

    run.instance = instance
    return run


def test_a_good_file(check):
    result = check(GOOD)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("\n") == 1


def test_what_an_open_operator_plane_means_is_told(check):
    opened = check(GOOD + "operator: {{listen: '0.0.0.0:0', allow_remote: true}}\n")
    assert opened.returncode == 0
    assert "the operator plane is open to other machines at 0.0.0.0:0" in opened.stderr
    assert "operator.allow is empty" in opened.stderr and "unencrypted" in opened.stderr
    assert "has no effect at 127.0.0.1" in check(GOOD + "operator: {{listen: '127.0.0.1:0', allow_remote: true}}\n").stderr


@pytest.mark.parametrize(("text", "place", "words"), [
    ("environment: dev\nlimits:\n  max_reqest_bytes: 1MiB\n", ":3:3:", ["max_reqest_bytes", "max_request_bytes"]),
    ("enviroment: dev\n", ":1:1:", ["enviroment", "environment"]),
    ("environment: holiday\n", ":1:", ["holiday", "dev", "prod"]),
    ("limits:\n  max_request_bytes: a lot\n", ":2:", ["a lot"]),
    ("limits:\n  max_request_bytes: -1\n", ":2:", ["max_request_bytes"]),
    ("timeouts:\n  connect: 5 fortnights\n", ":2:", ["fortnights"]),
    ("timeouts:\n  connect: [1]\n", ":2:", ["connect"]),
    ("server:\n  workers: many\n", ":2:", ["many"]),
    ("environment: [\n", ":", []),
    ("environment: dev\nenvironment: prod\n", ":2:", ["environment"]),
    ("providers:\n  - name: a\n    dialect: opnai\n    base_url: http://x/v1\n", ":3:", ["opnai", "openai"]),
    ("providers:\n  - name: a\n    dialect: openai\n", ":2:", ["base_url"]),
    ("models:\n  - name: m\n    targets: [{provider: nobody, model: x}]\n", ":", ["nobody"]),
])
def test_a_bad_file_is_told_with_its_place_and_the_nearest_good_name(check, text, place, words):
    result = check(text)
    assert result.returncode != 0
    assert "weir.yaml" + place in result.stderr, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


def test_all_problems_are_told_at_once(check):
    result = check("limits:\n  max_request_bytes: much\ntimeouts:\n  conect: 1s\nserver:\n  workers: -7\n")
    assert [line for line in (":2:", ":4:", ":6:") if line not in result.stderr] == []


def test_variables(check):
    assert check(GOOD, key="env:THE_KEY", env={"THE_KEY": "secret-value"}).returncode == 0
    assert check("data_dir: ${THE_DIR}\n", env={"THE_DIR": "./somewhere"}).returncode == 0
    unset = check("data_dir: ${NOT_SET_ANYWHERE}\n")
    assert unset.returncode != 0 and "NOT_SET_ANYWHERE" in unset.stderr
    assert check("data_dir: ${NOT_SET_ANYWHERE:-./data}\n").returncode == 0


def test_serve_refuses_a_bad_file(check):
    check("limits:\n  max_reqest_bytes: 1MiB\n")
    result = check.instance.command("serve", "-c", check.instance.config, check=False)
    assert result.returncode != 0 and "max_request_bytes" in result.stderr
    assert not (check.instance.folder / "data").exists()


def test_a_missing_file_is_told(check):
    result = check.instance.command("config", "check", "no-such-file.yaml", check=False)
    assert result.returncode != 0 and "no-such-file.yaml" in result.stderr


def test_explain(check):
    text = check.instance.command("config", "explain").stdout
    assert "limits.max_request_bytes" in text or "max_request_bytes" in text
    one = check.instance.command("config", "explain", "limits.max_request_bytes").stdout
    assert "MAX_REQUEST_SIZE_BYTES" in one and "1MiB" in one
    rows = json.loads(check.instance.command("config", "explain", "--json").stdout)
    assert rows
    wrong = check.instance.command("config", "explain", "limits.max_reqest_bytes", check=False)
    assert wrong.returncode != 0 and "limits.max_request_bytes" in wrong.stderr + wrong.stdout


def test_help_of_every_command(check):
    top = check.instance.command("--help")
    assert "serve" in top.stdout and "sim" in top.stdout
    for command in (["serve"], ["sim"], ["key", "create"], ["key", "list"], ["key", "revoke"], ["config", "check"],
                    ["config", "explain"], ["prices", "import"], ["ledger", "list"], ["ledger", "export"]):
        result = check.instance.command(*command, "--help")
        assert result.stdout.strip() and not result.stderr.strip(), command


@pytest.mark.parametrize("arguments", [[], ["sreve"], ["serve", "--no-such-option"], ["key"], ["key", "craete"]])
def test_wrong_usage_is_told_on_standard_error(check, arguments):
    result = check.instance.command(*arguments, check=False)
    assert result.returncode == 2
    assert result.stderr.strip() and not result.stdout.strip()


def test_an_invalid_change_never_replaces_a_good_revision(make_gateway, sim):
    """SIGHUP with a bad file changes nothing; with a good one the new models are there."""
    import signal
    from harness.waiting import until
    instance = make_gateway(sim)
    good = instance.settings
    instance.settings = {**good, "models": "nonsense"}
    instance.write_settings()
    instance.signal(signal.SIGHUP)
    until(lambda: any(line.get("level") in ("error", "warning", "warn") for line in instance.log_lines()),
          "a complaint about the bad file")
    assert [model["id"] for model in instance.request("GET", "/v1/models").json()["data"]] == ["sim-small"]
    instance.settings = {**good, "models": [*good["models"],
                                            {"name": "second", "targets": [{"provider": "sim", "model": "sim-large"}]}]}
    instance.write_settings()
    instance.signal(signal.SIGHUP)
    until(lambda: len(instance.request("GET", "/v1/models").json()["data"]) == 2, "the new revision")
    assert instance.chat(model="second").status == 200
    assert sim.last_body()["model"] == "sim-large"


@pytest.mark.tsan
def test_a_reload_leaves_a_running_stream_alone(make_gateway, make_sim):
    """SIGHUP points a model elsewhere: the stream that runs ends as it began, the next request goes to the new target."""
    import signal
    from harness import plain
    from harness.processes import chat_body
    from harness.waiting import SCALE, paused, until
    old, new = make_sim(), make_sim()
    instance = make_gateway(old)
    data = json.dumps(chat_body(stream=True, stream_options={"include_usage": True})).encode()
    with plain.RawConnection(instance.address, timeout=60 * SCALE) as raw:
        raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {instance.address}\r\nAuthorization: Bearer {instance.key}\r\n"
                 "Content-Type: application/json\r\nX-Sim-Rate: 20\r\nX-Sim-Tokens: 40\r\n"
                 f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        status, headers = raw.read_head()
        assert status == 200
        begun = raw.read_until(b"\n\n")
        with paused(old):  # the stream lasts for as long as it takes
            instance.settings["providers"][0]["base_url"] = new.base_url
            instance.settings["models"][0]["targets"][0]["model"] = "sim-large"
            instance.settings["models"].append({"name": "sign", "targets": [{"provider": "sim", "model": "x"}]})
            instance.write_settings()
            instance.signal(signal.SIGHUP)
            until(lambda: instance.request("GET", "/v1/models/sign").status == 200, "the new revision")
            assert instance.chat().status == 200
            assert new.last_body()["model"] == "sim-large"
        raw.pending = begun + raw.pending
        body, _ = raw.read_chunks()
    assert body.endswith(b"data: [DONE]\n\n") and b'"usage"' in body
    entry = instance.entry_of(headers["x-request-id"])
    assert entry["outcome"] == "ok" and entry["output_tokens"] == 40 and entry["upstream_model"] == "sim-small"
    latest = instance.entry_of(instance.chat().headers["x-request-id"])
    assert latest["revision"] > entry["revision"] and latest["upstream_model"] == "sim-large"

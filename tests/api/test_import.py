"""`weir import litellm`: realistic files in, a weir.yaml out that is good, starts and answers, and a report that has every setting of the source."""
import json
import pathlib
import re
import shutil

import pytest
import yaml

from harness.processes import Gateway

DATA = pathlib.Path(__file__).parent / "data" / "litellm"
FILES = ["minimal", "providers", "azure", "literal_keys", "anchors", "wildcards", "router", "local", "costs", "included/config", "enterprise"]
SECTIONS = ("router_settings", "general_settings", "litellm_settings", "environment_variables")


class Imported:
    """A file of the data, imported in a folder of its own."""

    def __init__(self, gateway, name, *more):
        self.source = DATA / f"{name}.yaml"
        self.folder = gateway.folder
        shutil.copytree(self.source.parent, self.folder / "source", dirs_exist_ok=True)
        self.result = gateway.command("import", "litellm", f"source/{self.source.name}", "--output", "out.yaml", "--report", "report.json", "--json",
                                      "--date", "2026-01-02", *more, check=False)
        assert self.result.returncode == 0, self.result
        self.text = (self.folder / "out.yaml").read_text()
        self.settings = yaml.safe_load(self.text)
        self.report = json.loads((self.folder / "report.json").read_text())
        self.rows = {(row["file"], row["setting"]): row for row in self.report["rows"]}

    def outcome(self, setting):
        return next(row["outcome"] for (_, name), row in self.rows.items() if name == setting)

    def variables(self):
        return {one["name"]: f"value-of-{one['name'].lower()}" for one in self.report["variables"]}


@pytest.fixture
def instance(make_gateway, sim):
    return make_gateway(sim, start=False)


def settings_of(path):
    """Every setting of a source as the report must name it, told by another YAML reader."""
    source = yaml.safe_load(path.read_text())
    found = []
    for section, value in source.items():
        if section == "model_list":
            for i, entry in enumerate(value):
                for name, inner in entry.items():
                    if name in ("litellm_params", "model_info"):
                        found += [f"model_list[{i}].{name}.{key}" for key in inner]
                    else:
                        found.append(f"model_list[{i}].{name}")
        elif section in SECTIONS:
            for name, inner in value.items():
                found += [f"{section}.{name}.{key}" for key in inner] if name == "model_group_alias" else [f"{section}.{name}"]
        elif isinstance(value, dict):
            found += [f"{section}.{name}" for name in value]
        elif isinstance(value, list):
            found += [f"{section}[{i}]" for i in range(len(value))]
        else:
            found.append(section)
    return found


@pytest.mark.parametrize("name", FILES)
def test_each_setting_has_one_row_and_the_file_is_good(instance, name):
    made = Imported(instance, name)
    named = [(row["file"], row["setting"]) for row in made.report["rows"]]
    assert len(named) == len(set(named)), "a setting has two rows"
    expected = {(f"source/{made.source.name}", setting) for setting in settings_of(made.source)}
    if name == "included/config":
        expected |= {("models.yaml", setting) for setting in settings_of(made.source.parent / "models.yaml")}
    assert set(named) == expected
    assert sum(made.report["counts"].values()) == len(named)
    for row in made.report["rows"]:
        assert row["words"] and row["line"] > 0 and row["outcome"] in ("exact", "approximate", "by hand", "unsupported")
    environment = {variable: ("https://llm.example.com" if re.search("URL|BASE", variable) else value)
                   for variable, value in made.variables().items()}
    checked = instance.command("config", "check", "out.yaml", check=False, env=environment)
    assert checked.returncode == 0, checked.stderr
    again = Imported(instance, name, "--force")
    assert again.text == made.text and again.report == made.report


@pytest.mark.parametrize("name", FILES)
def test_the_gateway_starts_with_it_and_answers(instance, make_sim, weir_binary, tmp_path, name):
    made = Imported(instance, name)
    simulator = make_sim("--no-auth")
    for provider in made.settings["providers"]:
        # The simulator stands in for whoever it is; in OpenAI's dialect, whatever the vendor's is.
        provider["base_url"] = simulator.base_url
        provider["dialect"] = "openai"
    if "prices_file" in made.settings:
        made.settings["prices_file"] = str(made.folder / made.settings["prices_file"])
    # Some files have timeouts of production; none of them is the matter here.
    made.settings.pop("timeouts", None)
    started = Gateway(weir_binary, tmp_path / "started", None,
                      {"WEIR_LISTEN": "127.0.0.1:0", "WEIR_OPERATOR_LISTEN": "127.0.0.1:0", "WEIR_WORKERS": "1", **made.variables()})
    try:
        started.config.write_text(yaml.safe_dump(made.settings))
        started.start()
        for model in made.settings["models"]:
            asked = model["name"].replace("*", "anything")
            answer = started.chat(model=asked)
            assert answer.status == 200, (model, answer.body)
            upstream = {target.get("model", asked).replace("*", "anything") for target in model["targets"]}
            assert simulator.last_body()["model"] in upstream
    finally:
        started.close()


def test_no_credential_of_the_source_goes_anywhere(instance):
    made = Imported(instance, "literal_keys")
    text = instance.command("import", "litellm", "source/literal_keys.yaml").stdout
    said = instance.command("import", "litellm", "source/literal_keys.yaml").stderr
    everything = made.text + json.dumps(made.report) + made.result.stdout + made.result.stderr + text + said
    assert "anary" not in everything
    assert "sk-" not in everything
    assert made.outcome("model_list[0].litellm_params.api_key") == "by hand"
    new = [one["name"] for one in made.report["variables"] if one["is_new"]]
    assert new == ["OPENAI_KEY", "OPENAI_2_KEY", "ANTHROPIC_KEY"]
    assert [provider["api_key"] for provider in made.settings["providers"]] == [f"env:{name}" for name in new]
    # One credential is one provider, another one another.
    targets = {model["name"]: [target["provider"] for target in model["targets"]] for model in made.settings["models"]}
    assert targets == {"gpt-4o": ["openai", "openai-2"], "gpt-4o-mini": ["openai"], "claude": ["anthropic"]}


def test_deployments_become_targets(instance):
    made = Imported(instance, "azure")
    providers = {one["name"]: one for one in made.settings["providers"]}
    assert providers["azure-contoso-eu"] == {"name": "azure-contoso-eu", "preset": "azure-openai", "api_key": "env:AZURE_EU_KEY",
                                             "base_url": "https://contoso-eu.openai.azure.com/openai/v1"}
    assert providers["azure-openai"]["base_url"] == "${AZURE_API_BASE}/openai/v1"
    models = {one["name"]: one["targets"] for one in made.settings["models"]}
    assert models["gpt-4o"] == [{"provider": "azure-contoso-eu", "model": "gpt-4o-eu", "weight": 900},
                                {"provider": "azure-contoso-us", "model": "gpt-4o-us", "weight": 300}]
    assert made.settings["timeouts"] == {"request": "30s"}
    assert made.outcome("router_settings.routing_strategy") == "exact"
    assert made.outcome("router_settings.num_retries") == "by hand"


def test_shares_orders_and_aliases(instance):
    made = Imported(instance, "router")
    models = {one["name"]: one["targets"] for one in made.settings["models"]}
    assert [(one["weight"], one["order"]) for one in models["chat"]] == [(750, 1), (250, 1), (0, 1000)]
    assert models["gpt-4"] == models["chat"] and models["gpt-3.5-turbo"] == models["spare"]
    assert made.outcome("router_settings.model_group_alias.gpt-4") == "exact"
    assert made.outcome("router_settings.model_group_alias.gpt-3.5-turbo") == "approximate"
    assert made.outcome("router_settings.model_group_alias.lost") == "by hand"
    assert made.settings["timeouts"] == {"first_byte": "20s", "request": "45500ms"} and made.settings["log_level"] == "debug"
    assert made.outcome("litellm_settings.request_timeout") == "unsupported"


def test_stars(instance):
    made = Imported(instance, "wildcards")
    assert [one["name"] for one in made.settings["providers"] if one.get("catch_all")] == ["openai"]
    assert {one["name"]: one["targets"] for one in made.settings["models"]} == {
        "anthropic/*": [{"provider": "anthropic", "model": "*"}], "claude-*": [{"provider": "anthropic"}],
        "local/*": [{"provider": "vllm", "model": "*"}], "team-*": [{"provider": "openai", "model": "gpt-4o"}]}
    assert made.outcome("model_list[5].litellm_params.model") == "by hand"
    assert made.outcome("model_list[6].litellm_params.model") == "by hand"


def test_anchors_and_merged_mappings(instance):
    made = Imported(instance, "anchors")
    models = {one["name"]: one["targets"] for one in made.settings["models"]}
    assert [one["model"] for one in models["small"]] == ["gpt-4o-mini", "gpt-4.1-mini"]
    assert models["small-again"] == [{"provider": "openai", "model": "gpt-4o-mini"}] and models["tagged"][0]["model"] == "gpt-4o"
    own = made.rows["source/anchors.yaml", "model_list[1].litellm_params.timeout"]
    assert own["line"] == 16, "the own one counts, not the merged one"


def test_costs_become_exact_prices_beside_the_built_in_ones(instance):
    made = Imported(instance, "costs")
    assert made.settings["prices_file"] == "weir-prices.json"
    rows = json.loads((made.folder / "weir-prices.json").read_text())["rows"]
    own = {(row["provider"], row["model"]): row for row in rows if row["source"] == "costs.yaml"}
    common = {"source": "costs.yaml", "date": "2026-01-02"}
    assert own["openai", "gpt-4o"] == {"provider": "openai", "model": "gpt-4o", "input": 1_230_000_000, "cached": 610_000_000,
                                       "output": 4_560_000_000, "tiers": [{"above_input_tokens": 200000, "input": 2_460_000_000,
                                                                           "cached": 610_000_000, "output": 9_120_000_000}], **common}
    assert own["vllm", "own-model"] == {"provider": "vllm", "model": "own-model", "input": 500_000_000, "output": 1_500_000_000,
                                        "cache_write": 625_000_000, "cache_write_long": 1_000_000_000,
                                        "max_input_tokens": 32768, "max_output_tokens": 4096, **common}
    assert own["vllm", "own-embedder"]["input"] == 10_000_000
    assert own["openai", "whisper-1"]["second"] == 100_000_000_000
    assert ("openai", "odd") not in own, "half of a price is none"
    assert len([row for row in rows if (row["provider"], row["model"]) == ("openai", "gpt-4o")]) == 1
    assert any(row["provider"] == "anthropic" for row in rows), "the built-in rows are there as well"
    assert made.outcome("model_list[0].litellm_params.input_cost_per_token") == "exact"
    assert made.outcome("model_list[4].litellm_params.input_cost_per_token") == "by hand"
    assert made.outcome("model_list[5].litellm_params.input_cost_per_token") == "by hand"


def test_what_a_cloud_needs_is_left_out_and_told(instance):
    made = Imported(instance, "enterprise")
    assert sorted(one["name"] for one in made.settings["models"]) == ["gpt-4o", "reasoning"]
    assert made.outcome("model_list[1].litellm_params.model") == "unsupported"
    assert made.outcome("litellm_settings.callbacks") == "exact" and made.outcome("litellm_settings.success_callback") == "unsupported"
    assert made.outcome("something_new") == "unsupported"


def test_many_deployments(instance):
    entries = [{"model_name": f"model-{i % 120}", "litellm_params": {
        "model": f"hosted_vllm/org/model-{i}", "api_base": f"http://10.0.{i % 40}.1:8000/v1", "api_key": f"os.environ/KEY_{i % 7}", "rpm": 60 + i}}
        for i in range(1000)]
    (instance.folder / "many.yaml").write_text(yaml.safe_dump({"model_list": entries}))
    instance.command("import", "litellm", "many.yaml", "-o", "out.yaml")
    made = yaml.safe_load((instance.folder / "out.yaml").read_text())
    assert len(made["models"]) == 120 and sum(len(model["targets"]) for model in made["models"]) == 1000
    assert len(made["providers"]) == 280
    checked = instance.command("config", "check", "out.yaml", check=False, env={f"KEY_{i}": "x" for i in range(7)})
    assert checked.returncode == 0 and "280 providers, 120 models" in checked.stderr, checked.stderr


@pytest.mark.parametrize(("text", "place", "words"), [
    ("model_list: [\n", ":2:1:", "not valid YAML"),
    ("model_list:\n  - a: [1\n  b: 2\n", ":3:", "not valid YAML"),
    ("model_list:\n\t- a\n", ":2:1:", "tabs"),
    ("a: *nobody\n", ":1:4:", "no anchor"),
    ("a: &a [*a]\n", ":1:8:", "inside of its own anchor"),
    ("- a\n- b\n", ":1:1:", "a list"),
    ("", ":1:1:", "nothing"),
    ("a: 1\n---\nb: 2\n", ":2:1:", "second document"),
    ("include: [gone.yaml]\n", ":1:11:", "gone.yaml"),
    ("a: \xff\n", ":1:", "not valid YAML"),
    ("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", ":1:33:", "nested"),
])
def test_a_file_that_is_no_good_is_told_with_its_place(instance, text, place, words):
    (instance.folder / "bad.yaml").write_bytes(text.encode("latin-1"))
    result = instance.command("import", "litellm", "bad.yaml", "-o", "out.yaml", check=False)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith(f"bad.yaml{place}") and words in result.stderr, result.stderr
    assert not (instance.folder / "out.yaml").exists()


def test_exit_codes_and_files_that_are_there(instance):
    shutil.copy(DATA / "minimal.yaml", instance.folder)
    shutil.copy(DATA / "azure.yaml", instance.folder)

    def run(*words):
        return instance.command("import", *words, check=False)

    assert run("litellm", "minimal.yaml", "--strict").returncode == 0
    assert run("litellm", "azure.yaml", "--strict", "-o", "strict.yaml").returncode == 3
    assert (instance.folder / "strict.yaml").exists()
    refused = run("litellm", "azure.yaml", "-o", "strict.yaml")
    assert refused.returncode == 1 and "--force" in refused.stderr
    assert run("litellm", "azure.yaml", "-o", "strict.yaml", "--force").returncode == 0
    assert run("litellm", "gone.yaml").returncode == 1
    assert run("litellm").returncode == 2
    assert run("other", "azure.yaml").returncode == 2
    assert run("litellm", "azure.yaml", "--format", "xml").returncode == 2
    shown = run("litellm", "azure.yaml", "--format", "json")
    assert yaml.safe_load(shown.stdout)["providers"] and json.loads(shown.stderr)["source"] == "azure.yaml"

/* The import of another gateway's settings: what each becomes, and files that mean no good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "config/import.h"
#include "config/import_impl.h"

struct imported {
    struct weir_arena *arena;
    struct weir_import import;
    struct weir_buffer problems;
    enum weir_status status;
    char *settings, *prices, *report;
};

static struct imported take(const char *text) {
    struct imported made = {.arena = weir_arena_new(0, 256 * WEIR_MIB)};
    struct weir_buffer report;
    const struct weir_import_source source = {.name = WEIR_SPAN("c.yaml"),
                                              .text = weir_span_of_string(text),
                                              .prices_file = WEIR_SPAN("p.json")};
    weir_buffer_init(&made.problems, WEIR_MIB);
    weir_buffer_init(&report, 64 * WEIR_MIB);
    made.status = weir_import_litellm(made.arena, &source, &made.import, &made.problems);
    weir_buffer_append_byte(&made.problems, '\0');
    if (made.status == WEIR_OK) {
        weir_import_report(&made.import, source.name, false, &report);
        made.settings = weir_arena_string(made.arena, made.import.settings);
        made.prices = weir_arena_string(made.arena, made.import.price_map);
        made.report = weir_arena_string(made.arena, weir_buffer_span(&report));
    }
    weir_buffer_release(&report);
    return made;
}

static void release(struct imported *made) {
    weir_buffer_release(&made->problems);
    weir_arena_free(&made->arena);
}

/* Of one deployment with these parameters. */
static struct imported take_params(const char *params) {
    char text[4096];
    (void)snprintf(text, sizeof text, "model_list: [{model_name: m, litellm_params: {%s}}]\n", params);
    return take(text);
}

static void vendors_become_presets(void **state) {
    (void)state;
    static const struct {
        const char *model, *preset, *upstream, *key;
    } cases[] = {
        {"openai/gpt-4o", "openai", "gpt-4o", "OPENAI_API_KEY"},
        {"gpt-4o", "openai", "gpt-4o", "OPENAI_API_KEY"},
        {"o3-mini", "openai", "o3-mini", "OPENAI_API_KEY"},
        {"text-completion-openai/davinci-002", "openai", "davinci-002", "OPENAI_API_KEY"},
        {"anthropic/claude-x", "anthropic", "claude-x", "ANTHROPIC_API_KEY"},
        {"claude-x", "anthropic", "claude-x", "ANTHROPIC_API_KEY"},
        {"gemini/gemini-2.5-pro", "gemini", "gemini-2.5-pro", "GEMINI_API_KEY"},
        {"groq/llama", "groq", "llama", "GROQ_API_KEY"},
        {"mistral/m", "mistral", "m", "MISTRAL_API_KEY"},
        {"together_ai/org/m", "together", "org/m", "TOGETHERAI_API_KEY"},
        {"fireworks_ai/accounts/a/models/m", "fireworks", "accounts/a/models/m", "FIREWORKS_AI_API_KEY"},
        {"deepseek/m", "deepseek", "m", "DEEPSEEK_API_KEY"},
        {"xai/grok", "xai", "grok", "XAI_API_KEY"},
        {"cerebras/m", "cerebras", "m", "CEREBRAS_API_KEY"},
        {"perplexity/sonar", "perplexity", "sonar", "PERPLEXITYAI_API_KEY"},
        {"nvidia_nim/m", "nvidia", "m", "NVIDIA_NIM_API_KEY"},
        {"huggingface/org/m", "huggingface", "org/m", "HUGGINGFACE_API_KEY"},
        {"sambanova/m", "sambanova", "m", "SAMBANOVA_API_KEY"},
        {"cohere_chat/command-r", "cohere", "command-r", "COHERE_API_KEY"},
        {"command-r", "cohere", "command-r", "COHERE_API_KEY"},
        {"deepinfra/m", "deepinfra", "m", "DEEPINFRA_API_KEY"},
        {"moonshot/kimi", "moonshot", "kimi", "MOONSHOT_API_KEY"},
        {"dashscope/qwen", "qwen", "qwen", "DASHSCOPE_API_KEY"},
        {"zai/glm", "zhipu", "glm", "ZAI_API_KEY"},
        {"minimax/m", "minimax", "m", "MINIMAX_API_KEY"},
        {"openrouter/a/b", "openrouter", "a/b", "OPENROUTER_API_KEY"},
        {"ollama/llama3", "ollama", "llama3", NULL},
        {"ollama_chat/llama3", "ollama", "llama3", NULL},
        {"azure/o_series/dep", "azure-openai", "dep", "AZURE_API_KEY"},
        {"hosted_vllm/Qwen/Q", "vllm", "Qwen/Q", NULL},
        {"lm_studio/m", "lmstudio", "m", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char params[200], expected[300];
        (void)snprintf(params, sizeof params, "model: '%s'", cases[i].model);
        struct imported made = take_params(params);
        assert_int_equal(made.status, WEIR_OK);
        (void)snprintf(expected, sizeof expected, "    preset: %s\n", cases[i].preset);
        assert_non_null(strstr(made.settings, expected));
        (void)snprintf(expected, sizeof expected, ", model: \"%s\"}", cases[i].upstream);
        assert_non_null(strstr(made.settings, expected));
        if (cases[i].key != NULL) {
            (void)snprintf(expected, sizeof expected, "    api_key: env:%s\n", cases[i].key);
            assert_non_null(strstr(made.settings, expected));
        } else {
            assert_null(strstr(made.settings, "api_key"));
        }
        /* What the importer calls a preset must be one. */
        assert_non_null(weir_preset_find(weir_span_of_string(cases[i].preset)));
        release(&made);
    }
}

static void addresses_get_the_path_that_ours_end_with(void **state) {
    (void)state;
    static const struct {
        const char *params, *expected;
    } cases[] = {
        {"model: openai/m, api_base: 'http://h:1/v1/'",
         "  - name: \"h\"  # c.yaml:1\n    base_url: \"http://h:1/v1\"\n"},
        {"model: openai/m, base_url: 'http://h/v1/chat/completions'", "base_url: \"http://h/v1\"\n"},
        {"model: openai/m, api_base: 'https://api.openai.com/v1'",
         "    preset: openai\n    api_key: env:OPENAI_API_KEY\n"},
        {"model: openai/m, api_base: 'http://chat/completions/'", "base_url: \"http://chat/completions\"\n"},
        {"model: ollama/m, api_base: 'http://v1'", "base_url: \"http://v1\"\n"},
        {"model: anthropic/m, api_base: 'https://h'", "base_url: \"https://h/v1\"\n"},
        {"model: anthropic/m, api_base: 'https://h/v1/messages'", "base_url: \"https://h/v1\"\n"},
        {"model: anthropic/m, api_base: os.environ/A_BASE", "base_url: \"${A_BASE}/v1\"\n"},
        {"model: azure/m, api_base: 'https://r.openai.azure.com/openai/deployments/m'",
         "  - name: \"azure-r\"  # c.yaml:1\n    preset: azure-openai\n    base_url: \"https://r.openai.azure.com/openai/v1\"\n"},
        {"model: azure/m", "base_url: \"${AZURE_API_BASE}/openai/v1\"\n"},
        {"model: ollama/m, api_base: 'http://h:11434/v1'", "base_url: \"http://h:11434\"\n"},
        {"model: ollama/m, api_base: 'http://h:11434/api'", "base_url: \"http://h:11434\"\n"},
        {"model: hosted_vllm/m, api_base: os.environ/V_BASE", "base_url: \"env:V_BASE\"\n"},
        {"model: hosted_vllm/m", "base_url: \"env:HOSTED_VLLM_API_BASE\"\n"},
        {"model: litellm_proxy/m, api_base: 'http://h'",
         "base_url: \"http://h\"\n    api_key: env:LITELLM_PROXY_API_KEY\n"},
        {"model: thing, custom_llm_provider: openai, api_base: 'http://h'", ", model: \"thing\"}"},
        {"model: 'openai/${HOME}', api_base: 'http://h'", ", model: \"$${HOME}\"}"},
        {"model: openai/m, api_base: 'http://h', api_key: 'os.environ/MY-KEY'", "api_key: env:MY_KEY\n"},
        {"model: openai/m, api_base: 'http://h', api_key: EMPTY", "base_url: \"http://h\"\nmodels:"},
        {"model: openai/m, api_base: 'http://h', api_key: sk-secret", "api_key: env:H_KEY\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct imported made = take_params(cases[i].params);
        assert_int_equal(made.status, WEIR_OK);
        if (strstr(made.settings, cases[i].expected) == NULL)
            fail_msg("%s: %s", cases[i].params, made.settings);
        assert_null(strstr(made.settings, "sk-secret"));
        assert_null(strstr(made.report, "sk-secret"));
        release(&made);
    }
}

static void what_cannot_be_served_is_left_out(void **state) {
    (void)state;
    static const struct {
        const char *params, *words;
    } cases[] = {
        {"model: bedrock/m", "left out: weir does not sign requests for AWS"},
        {"model: vertex_ai/m", "left out: weir does not renew Google Cloud's credentials"},
        {"model: gemini-pro", "left out: weir does not renew Google Cloud's credentials"},
        {"model: azure_ai/m", "left out: its models lie at addresses of their own"},
        {"model: tomorrow/m", "left out: weir has no preset for this provider"},
        {"model: something", "left out: the provider cannot be told"},
        {"api_key: x", ""},
        {"model: openai_like/m, api_base: ftp://h", "left out: its api_base is no http or https address"},
        {"model: openai/m, api_base: 'http://u:p@h'", "left out: its api_base holds a name or password"},
        {"model: openai/m, api_base: 'http://h?key=p'", "left out: its api_base has a query"},
        {"model: openai/m, api_base: 'http://'", "left out: its api_base is no http"},
        {"model: openai/m, api_key: oidc/x", "left out: weir exchanges no tokens"},
        {"model: 'openai/*'", "left out: a star in the model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct imported made = take_params(cases[i].params);
        assert_int_equal(made.status, WEIR_OK);
        assert_null(strstr(made.settings, "providers:"));
        assert_null(strstr(made.settings, "models:"));
        if (strstr(made.report, cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].params, made.report);
        release(&made);
    }
}

/* Every row of the table is reached by a setting of its name, before any other row of its section. */
static void each_row_of_the_table_counts(void **state) {
    (void)state;
    static const struct {
        const char *section, *name, *outcome, *words;
    } rows[] = {
#define X(section, name, outcome, words) {#section, name, #outcome, words},
#include "config/import_litellm.def"
#undef X
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[600], name[120];
        size_t length = 0;
        for (const char *at = rows[i].name; *at != '\0'; at++)
            length += (size_t)snprintf(name + length, sizeof name - length, *at == '*' ? "zz" : "%c", *at);
        bool params = strcmp(rows[i].section, "PARAMS") == 0, info = strcmp(rows[i].section, "INFO") == 0;
        if (params || info || strcmp(rows[i].section, "ENTRY") == 0)
            (void)snprintf(text, sizeof text, "model_list: [{model_name: m, %s: %s%s: 1%s}]\n",
                           params ? "litellm_params"
                           : info ? "model_info"
                                  : "litellm_params",
                           params || info ? "{" : "{model: gpt-4o}, ", name, params || info ? "}" : "");
        else if (strcmp(rows[i].section, "ROOT") == 0)
            (void)snprintf(text, sizeof text, "%s: 1\n", name);
        else
            (void)snprintf(text, sizeof text, "%s_settings: {%s: 1}\n",
                           strcmp(rows[i].section, "ROUTER") == 0    ? "router"
                           : strcmp(rows[i].section, "GENERAL") == 0 ? "general"
                                                                     : "litellm",
                           name);
        struct imported made = take(text);
        if (made.status != WEIR_OK)
            fail_msg("%s: %s", text, made.problems.at);
        if (strstr(made.report, rows[i].words) == NULL)
            fail_msg("%s: %s", text, made.report);
        release(&made);
    }
}

static void settings_with_a_counterpart(void **state) {
    (void)state;
    struct imported made = take(
        "router_settings: {timeout: '12.5', stream_timeout: 3, routing_strategy: simple-shuffle}\n"
        "general_settings: {max_request_size_mb: 0.5, maximum_spend_logs_retention_period: 2w}\n"
        "litellm_settings: {request_timeout: 600, set_verbose: True, callbacks: [prometheus]}\n");
    assert_int_equal(made.status, WEIR_OK);
    assert_non_null(strstr(made.settings,
                           "log_level: debug\nlimits:\n  max_request_bytes: 512KiB\ntimeouts:\n  first_byte: 3s\n"
                           "  request: 12500ms\nrecords:\n  retention: 14d\n"));
    assert_int_equal(made.import.counts[WEIR_IMPORT_UNSUPPORTED], 1); /* the second timeout */
    release(&made);
    made = take("router_settings: {timeout: soon, stream_timeout: os.environ/T}\n"
                "general_settings: {max_request_size_mb: lots, maximum_spend_logs_retention_period: 99999999d}\n");
    assert_int_equal(made.status, WEIR_OK);
    assert_int_equal(made.import.counts[WEIR_IMPORT_BY_HAND], 4);
    assert_null(strstr(made.settings, "timeouts:"));
    release(&made);
}

static void costs_are_written_as_they_stand(void **state) {
    (void)state;
    struct imported made = take_params("model: openai/m, input_cost_per_token: .5e-6, output_cost_per_token: +1_0.e-7");
    assert_non_null(strstr(made.prices,
                           "\"openai/m\": {\"litellm_provider\": \"openai\", \"input_cost_per_token\": 0.5e-6, "
                           "\"output_cost_per_token\": 10.0e-7, \"mode\": \"chat\"}"));
    release(&made);
    static const char *const bad[] = {"-1e-6", "free", "1e", "0x10", "'1, \"a\": 2'", "[1]", ".inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char params[200];
        (void)snprintf(params, sizeof params, "model: openai/m, output_cost_per_token: 1e-6, input_cost_per_token: %s",
                       bad[i]);
        made = take_params(params);
        assert_int_equal(made.status, WEIR_OK);
        assert_string_equal(made.prices, "");
        assert_int_equal(made.import.counts[WEIR_IMPORT_BY_HAND], 2);
        release(&made);
    }
}

static void hostile_files_are_refused_or_harmless(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",
        "[]",
        "a",
        "a: *b",
        "a: &a [*a]",
        "a: &a {b: *a}",
        "? [a]\n: b",
        "a: 1\n---\nb: 2",
        "a: \"\\0\"",
        "a: 'b",
        "\xff",
        "include: [x]",
        "include: [[x]]",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct imported made = take(refused[i]);
        assert_int_equal(made.status, WEIR_EINVAL);
        assert_true(strncmp(made.problems.at, "c.yaml:", 7) == 0);
        release(&made);
    }
    static const char *const harmless[] = {
        "{}",
        "model_list:",
        "model_list: 1",
        "model_list: [1, [], {}, null]",
        "model_list: [{litellm_params: 1, model_info: []}]",
        "model_list: [{model_name: [], litellm_params: {model: {}}}]",
        "router_settings: 1",
        "general_settings: [1]",
        "litellm_settings: {callbacks: {}, set_verbose: [], request_timeout: {}}",
        "environment_variables: 1",
        "credential_list: {a: 1}",
        "router_settings: {model_group_alias: 1}",
        "router_settings: {model_group_alias: {a: [], '': b}}",
        "model_list: [{model_name: \"a\\nb: c\", litellm_params: {model: \"openai/x\\ny: z\"}}]",
        "<<: {a: 1}",
        "a: {<<: 1}",
        "a: {<<: [1, {b: 1}]}",
        "\"a\\nb\": 1",
        "include: 1",
    };
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        struct imported made = take(harmless[i]);
        if (made.status != WEIR_OK)
            fail_msg("%s: %s", harmless[i], made.problems.at);
        assert_null(strstr(made.settings, "\ny: z"));
        assert_null(strstr(made.settings, "\nb: c"));
        release(&made);
    }
    /* Each alias is ten of the one before: nothing grows. */
    char bomb[1000];
    size_t length = (size_t)snprintf(bomb, sizeof bomb, "a0: &a0 [x]\n");
    for (int i = 1; i <= 12; i++)
        length += (size_t)snprintf(bomb + length, sizeof bomb - length,
                                   "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1,
                                   i - 1, i - 1, i - 1, i - 1, i - 1);
    struct imported made = take(bomb);
    assert_int_equal(made.status, WEIR_OK);
    release(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vendors_become_presets),
        cmocka_unit_test(addresses_get_the_path_that_ours_end_with),
        cmocka_unit_test(what_cannot_be_served_is_left_out),
        cmocka_unit_test(each_row_of_the_table_counts),
        cmocka_unit_test(settings_with_a_counterpart),
        cmocka_unit_test(costs_are_written_as_they_stand),
        cmocka_unit_test(hostile_files_are_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

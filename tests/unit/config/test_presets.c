/* Presets: what a provider becomes from the settings that it has and those that it leaves out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "config/revision.h"

static enum weir_status with_credential(void *context, const struct weir_provider_settings *provider,
                                        struct weir_secret **secret, struct weir_error *error) {
    struct weir_buffer *asked = context;
    (void)error;
    weir_buffer_append(asked, provider->api_key);
    weir_buffer_append_byte(asked, ';');
    *secret = weir_secret_new(WEIR_SPAN("s"));
    return WEIR_OK;
}

/* A file's settings for one provider, as the reader leaves them: everything that is left out says so. */
static struct weir_provider_settings unsaid(const char *preset) {
    return (struct weir_provider_settings){.name = WEIR_SPAN("p"),
                                           .preset = weir_span_of_string(preset),
                                           .base_url = WEIR_SPAN(""),
                                           .api_key = WEIR_SPAN(""),
                                           .prices = WEIR_SPAN(""),
                                           .ca_file = WEIR_SPAN(""),
                                           .dialect = WEIR_PROVIDER_DIALECTS,
                                           .auth_header = WEIR_CREDENTIAL_HEADERS,
                                           .output_limit_member = WEIR_OUTPUT_LIMIT_PRESET,
                                           .stream_options = WEIR_STREAM_OPTIONS_PRESET};
}

struct made {
    struct weir_revision *revision;
    struct weir_buffer problems, asked;
};

static struct made compile(struct weir_provider_settings *settings) {
    struct made made = {.revision = NULL};
    weir_buffer_init(&made.problems, WEIR_MIB);
    weir_buffer_init(&made.asked, WEIR_MIB);
    struct weir_catalog_settings catalog = {.providers = {settings, 1}};
    enum weir_status status = weir_revision_new(weir_arena_new(0, WEIR_MIB), &catalog, with_credential, &made.asked,
                                                &made.revision, &made.problems);
    assert_int_equal(status == WEIR_OK, made.revision != NULL);
    weir_buffer_append_byte(&made.problems, '\0');
    weir_buffer_append_byte(&made.asked, '\0');
    return made;
}

static void release(struct made *made) {
    weir_revision_free(&made->revision);
    weir_buffer_release(&made->problems);
    weir_buffer_release(&made->asked);
}

#define BIT(dialect) (1U << (unsigned)WEIR_PROVIDER_##dialect)

static void a_preset_fills_what_is_left_out(void **state) {
    (void)state;
    static const struct {
        const char *preset, *host, *path;
        unsigned dialect, speaks;
        enum weir_credential_header header;
        const char *asked, *limit, *prices;
        bool stream_options;
    } cases[] = {
        {"openai", "api.openai.com", "/v1", WEIR_PROVIDER_OPENAI, BIT(OPENAI) | BIT(RESPONSES), WEIR_CREDENTIAL_BEARER,
         "env:OPENAI_API_KEY;", "max_completion_tokens", "openai", true},
        {"anthropic", "api.anthropic.com", "/v1", WEIR_PROVIDER_ANTHROPIC, BIT(ANTHROPIC), WEIR_CREDENTIAL_X_API_KEY,
         "env:ANTHROPIC_API_KEY;", "max_tokens", "anthropic", true},
        {"gemini", "generativelanguage.googleapis.com", "/v1beta", WEIR_PROVIDER_GEMINI, BIT(GEMINI),
         WEIR_CREDENTIAL_X_GOOG_API_KEY, "env:GEMINI_API_KEY;", "max_tokens", "gemini", true},
        {"ollama", "127.0.0.1", "", WEIR_PROVIDER_OLLAMA, BIT(OLLAMA) | BIT(OPENAI), WEIR_CREDENTIAL_BEARER, "",
         "max_tokens", "p", true},
        {"vllm", "127.0.0.1", "/v1", WEIR_PROVIDER_OPENAI, BIT(OPENAI) | BIT(RESPONSES) | BIT(ANTHROPIC),
         WEIR_CREDENTIAL_BEARER, "", "max_tokens", "p", true},
        {"openrouter", "openrouter.ai", "/api/v1", WEIR_PROVIDER_OPENAI, BIT(OPENAI) | BIT(RESPONSES) | BIT(ANTHROPIC),
         WEIR_CREDENTIAL_BEARER, "env:OPENROUTER_API_KEY;", "max_tokens", "p", true},
        {"mistral", "api.mistral.ai", "/v1", WEIR_PROVIDER_OPENAI, BIT(OPENAI), WEIR_CREDENTIAL_BEARER,
         "env:MISTRAL_API_KEY;", "max_tokens", "mistral", false},
        {"perplexity", "api.perplexity.ai", "", WEIR_PROVIDER_OPENAI, BIT(OPENAI), WEIR_CREDENTIAL_BEARER,
         "env:PERPLEXITY_API_KEY;", "max_tokens", "p", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_provider_settings settings = unsaid(cases[i].preset);
        struct made made = compile(&settings);
        assert_non_null(made.revision);
        const struct weir_provider *provider = &made.revision->providers[0];
        assert_true(weir_span_equal(provider->url.host, weir_span_of_string(cases[i].host)));
        assert_true(weir_span_equal(provider->path_prefix, weir_span_of_string(cases[i].path)));
        assert_int_equal(provider->dialect, cases[i].dialect);
        assert_int_equal(provider->speaks, cases[i].speaks);
        assert_int_equal(provider->credential_header, cases[i].header);
        assert_string_equal(made.asked.at, cases[i].asked);
        assert_string_equal(provider->output_limit_member, cases[i].limit);
        assert_true(weir_span_equal(provider->price_name, weir_span_of_string(cases[i].prices)));
        assert_int_equal(provider->takes_stream_options, cases[i].stream_options);
        release(&made);
    }
}

static void what_is_said_counts_before_the_preset(void **state) {
    (void)state;
    struct weir_span spoken[] = {WEIR_SPAN("gemini")};
    struct weir_provider_settings settings = unsaid("groq");
    settings.base_url = WEIR_SPAN("http://proxy.test/g/");
    settings.api_key = WEIR_SPAN("file:/k");
    settings.dialect = WEIR_PROVIDER_ANTHROPIC;
    settings.speaks = (struct weir_texts){spoken, 1};
    settings.auth_header = WEIR_CREDENTIAL_API_KEY;
    settings.output_limit_member = WEIR_OUTPUT_LIMIT_MAX_TOKENS;
    settings.stream_options = WEIR_STREAM_OPTIONS_REFUSED;
    settings.prices = WEIR_SPAN("mine");
    struct made made = compile(&settings);
    assert_non_null(made.revision);
    const struct weir_provider *provider = &made.revision->providers[0];
    assert_true(weir_span_equal(provider->url.host, WEIR_SPAN("proxy.test")));
    assert_true(weir_span_equal(provider->path_prefix, WEIR_SPAN("/g")));
    assert_string_equal(made.asked.at, "file:/k;");
    assert_int_equal(provider->dialect, WEIR_PROVIDER_ANTHROPIC);
    assert_int_equal(provider->speaks, BIT(ANTHROPIC) | BIT(GEMINI));
    assert_int_equal(provider->credential_header, WEIR_CREDENTIAL_API_KEY);
    assert_string_equal(provider->output_limit_member, "max_tokens");
    assert_false(provider->takes_stream_options);
    assert_true(weir_span_equal(provider->price_name, WEIR_SPAN("mine")));
    release(&made);
    /* The preset's field is that of its own dialect: another dialect has its usual one. */
    settings = unsaid("openrouter");
    settings.dialect = WEIR_PROVIDER_ANTHROPIC;
    made = compile(&settings);
    assert_int_equal(made.revision->providers[0].credential_header, WEIR_CREDENTIAL_X_API_KEY);
    assert_int_equal(made.revision->providers[0].speaks, BIT(ANTHROPIC));
    release(&made);
    settings = unsaid("openai");
    settings.auth_header = WEIR_CREDENTIAL_NONE;
    made = compile(&settings);
    assert_string_equal(made.asked.at, "");
    assert_null(made.revision->providers[0].credential);
    release(&made);
}

static void without_a_preset_it_is_as_it_was(void **state) {
    (void)state;
    static const struct {
        const char *base_url;
        int dialect;
        unsigned speaks;
        enum weir_credential_header header;
        const char *limit;
        bool stream_options;
    } cases[] = {
        {"http://h/v1", WEIR_PROVIDER_DIALECTS, BIT(OPENAI) | BIT(RESPONSES), WEIR_CREDENTIAL_BEARER, "max_tokens",
         true},
        {"https://api.openai.com/v1/", WEIR_PROVIDER_DIALECTS, BIT(OPENAI) | BIT(RESPONSES), WEIR_CREDENTIAL_BEARER,
         "max_completion_tokens", true},
        {"https://api.mistral.ai/v1", WEIR_PROVIDER_OPENAI, BIT(OPENAI), WEIR_CREDENTIAL_BEARER, "max_tokens", false},
        /* The address of a preset of another dialect says nothing. */
        {"https://api.anthropic.com/v1", WEIR_PROVIDER_DIALECTS, BIT(OPENAI) | BIT(RESPONSES), WEIR_CREDENTIAL_BEARER,
         "max_tokens", true},
        /* Nor does a local one. */
        {"http://127.0.0.1:8000/v1", WEIR_PROVIDER_DIALECTS, BIT(OPENAI) | BIT(RESPONSES), WEIR_CREDENTIAL_BEARER,
         "max_tokens", true},
        {"http://h", WEIR_PROVIDER_RESPONSES, BIT(RESPONSES), WEIR_CREDENTIAL_BEARER, "max_tokens", true},
        {"http://h", WEIR_PROVIDER_ANTHROPIC, BIT(ANTHROPIC), WEIR_CREDENTIAL_X_API_KEY, "max_tokens", true},
        {"http://h", WEIR_PROVIDER_GEMINI, BIT(GEMINI), WEIR_CREDENTIAL_X_GOOG_API_KEY, "max_tokens", true},
        {"http://h", WEIR_PROVIDER_OLLAMA, BIT(OLLAMA), WEIR_CREDENTIAL_BEARER, "max_tokens", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_provider_settings settings = unsaid("");
        settings.base_url = weir_span_of_string(cases[i].base_url);
        settings.dialect = cases[i].dialect;
        struct made made = compile(&settings);
        assert_non_null(made.revision);
        const struct weir_provider *provider = &made.revision->providers[0];
        assert_int_equal(provider->speaks, cases[i].speaks);
        assert_int_equal(provider->credential_header, cases[i].header);
        assert_string_equal(provider->output_limit_member, cases[i].limit);
        assert_int_equal(provider->takes_stream_options, cases[i].stream_options);
        assert_string_equal(made.asked.at, "");
        release(&made);
    }
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    struct weir_span spoken[] = {WEIR_SPAN("openai"), WEIR_SPAN("antropic")};
    struct weir_provider_settings settings = unsaid("gorq");
    struct made made = compile(&settings);
    assert_string_equal(made.problems.at,
                        "providers[0].preset: provider 'p': there is no preset 'gorq'; did you mean 'groq'?\n");
    release(&made);
    settings = unsaid("");
    made = compile(&settings);
    assert_string_equal(made.problems.at, "providers[0].base_url: provider 'p' has neither a base_url nor a preset\n");
    release(&made);
    settings = unsaid("azure-openai");
    made = compile(&settings);
    assert_non_null(
        strstr(made.problems.at, "providers[0].base_url: provider 'p': the preset azure-openai needs it. "));
    assert_non_null(strstr(made.problems.at, "https://RESOURCE.openai.azure.com/openai/v1"));
    release(&made);
    settings = unsaid("openai");
    settings.speaks = (struct weir_texts){spoken, 2};
    made = compile(&settings);
    assert_string_equal(
        made.problems.at,
        "providers[0].speaks: provider 'p': there is no dialect 'antropic'; did you mean 'anthropic'?\n");
    release(&made);
}

/* What every row must be, whoever adds one. */
static void rows_are_whole(void **state) {
    (void)state;
    size_t count = 0;
    for (const struct weir_preset *preset; (preset = weir_preset_at(count)) != NULL; count++) {
        assert_ptr_equal(weir_preset_find(weir_span_of_string(preset->name)), preset);
        assert_true((preset->speaks & (1U << (unsigned)preset->dialect)) != 0);
        assert_true(preset->variable[0] != '\0' && preset->label[0] != '\0');
        assert_true(preset->base_url[0] != '\0' || strstr(preset->note, "https://") != NULL);
        assert_true(strcmp(preset->output_limit_member, "max_tokens") == 0 ||
                    strcmp(preset->output_limit_member, "max_completion_tokens") == 0);
        size_t length = strlen(preset->base_url);
        assert_true(length == 0 || preset->base_url[length - 1] != '/');
        /* Credentials go over TLS, and only servers on this machine need none. */
        assert_int_equal(preset->needs_key, strncmp(preset->base_url, "http://127.0.0.1", 16) != 0);
        assert_true(!preset->needs_key || length == 0 || strncmp(preset->base_url, "https://", 8) == 0);
    }
    assert_in_range(count, 20, 100);
    assert_null(weir_preset_find(WEIR_SPAN("")));
    assert_null(weir_preset_find(WEIR_SPAN("OpenAI")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preset_fills_what_is_left_out),
        cmocka_unit_test(what_is_said_counts_before_the_preset),
        cmocka_unit_test(without_a_preset_it_is_as_it_was),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(rows_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

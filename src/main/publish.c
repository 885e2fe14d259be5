/* See publish.h. */
#include "main/publish.h"

#include "base/clock.h"
#include "base/memory.h"
#include "main/sealing.h"
#include "operator/sealed.h"
#include "secrets/secrets.h"

#include <openssl/evp.h>

/* --- upstream TLS --- */

enum { TLS_CACHE_MAX = 64 };
struct tls_entry {
    char *ca_file; /* "" for the system's store */
    bool verify;
    struct weir_tls_trust *trust;
    struct weir_tls *tls;
};
struct main__tls_cache {
    struct tls_entry entries[TLS_CACHE_MAX];
    size_t count;
};

struct main__tls_cache *main__tls_cache_new(void) {
    return weir_memory_new(1, sizeof(struct main__tls_cache));
}

void main__tls_cache_free(struct main__tls_cache **cache) {
    if (*cache == NULL)
        return;
    for (size_t i = 0; i < (*cache)->count; i++) {
        weir_tls_free(&(*cache)->entries[i].tls);
        weir_tls_trust_free(&(*cache)->entries[i].trust);
        weir_memory_free((*cache)->entries[i].ca_file);
    }
    weir_memory_free(*cache);
    *cache = NULL;
}

static struct weir_tls *tls_for(struct main__tls_cache *cache, const struct weir_provider_settings *provider,
                                struct weir_error *error) {
    for (size_t i = 0; i < cache->count; i++)
        if (cache->entries[i].verify == provider->tls_verify &&
            weir_span_equal(weir_span_of_string(cache->entries[i].ca_file), provider->ca_file))
            return cache->entries[i].tls;
    if (cache->count == TLS_CACHE_MAX) {
        (void)weir_fail(error, WEIR_ELIMIT, "more than %d different TLS settings; restart to start afresh",
                        TLS_CACHE_MAX);
        return NULL;
    }
    struct tls_entry entry = {.verify = provider->tls_verify, .ca_file = weir_memory_string(provider->ca_file)};
    enum weir_status status = entry.ca_file == NULL
                                  ? weir_fail(error, WEIR_ENOMEM, "no memory")
                                  : weir_tls_trust_new(entry.ca_file[0] != '\0' ? entry.ca_file : NULL, &entry.trust,
                                                       error);
    if (status == WEIR_OK)
        status = weir_tls_client_new(entry.trust, entry.verify, &entry.tls, error);
    if (status != WEIR_OK) {
        weir_tls_trust_free(&entry.trust);
        weir_memory_free(entry.ca_file);
        return NULL;
    }
    cache->entries[cache->count++] = entry;
    return entry.tls;
}

/* --- providers that nobody configured --- */

/* What the usual environment variables say. Of two rows of one preset the first that is set counts. */
static const struct {
    const char *preset; /* and the provider's name */
    const char *variable;
    bool is_address;          /* the variable is where it answers; else it is the credential */
    const char *suffix;       /* that an address without one gets */
    const char *default_port; /* that an address without scheme and port gets */
} implicit[] = {
    {"openai", "OPENAI_API_KEY", false, NULL, NULL}, {"anthropic", "ANTHROPIC_API_KEY", false, NULL, NULL},
    {"gemini", "GEMINI_API_KEY", false, NULL, NULL}, {"gemini", "GOOGLE_API_KEY", false, NULL, NULL},
    {"vllm", "VLLM_ENDPOINT", true, "/v1", ""},      {"ollama", "OLLAMA_HOST", true, "", ":11434"},
};
enum { IMPLICIT_COUNT = sizeof implicit / sizeof *implicit };

/* Beside others, a provider whose models have names of one kind takes those and no others. */
static const struct { const char *provider, *pattern; } kinds[] = {{"anthropic", "claude-*"}, {"gemini", "gemini-*"}};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

static const char *variable(size_t row) {
    const char *value = getenv(implicit[row].variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

bool main__environment_names_provider(void) {
    for (size_t i = 0; i < IMPLICIT_COUNT; i++)
        if (variable(i) != NULL)
            return true;
    return false;
}

static struct weir_provider_settings usual(struct weir_span name, struct weir_span base_url) {
    return (struct weir_provider_settings){.name = name,
                                           .base_url = base_url,
                                           .api_key = WEIR_SPAN(""),
                                           .ca_file = WEIR_SPAN(""),
                                           .prices = WEIR_SPAN(""),
                                           .preset = WEIR_SPAN(""),
                                           .max_connections = 1024,
                                           .max_waiting = 1024,
                                           .idle_timeout_ms = 55000,
                                           .tls_verify = true,
                                           .dialect = WEIR_PROVIDER_DIALECTS,
                                           .auth_header = WEIR_CREDENTIAL_HEADERS,
                                           .output_limit_member = WEIR_OUTPUT_LIMIT_PRESET,
                                           .stream_options = WEIR_STREAM_OPTIONS_PRESET};
}

/* OLLAMA_HOST may be "host", "host:port" or a URL; with or without `/v1`. */
static struct weir_span address_url(struct weir_arena *arena, const char *value, const char *suffix,
                                    const char *default_port) {
    struct weir_span text = weir_span_of_string(value);
    while (text.length > 0 && text.at[text.length - 1] == '/')
        text.length--;
    if (weir_span_ends_with(text, WEIR_SPAN("/v1")))
        text.length -= 3;
    bool has_scheme = memmem(text.at, text.length, "://", 3) != NULL;
    bool has_port = !has_scheme && weir_span_index(text, ':') < text.length;
    return weir_span_of_string(weir_arena_format(arena, "%s%.*s%s%s", has_scheme ? "" : "http://",
                                                 WEIR_SPAN_PRINT(text), has_scheme || has_port ? "" : default_port,
                                                 suffix));
}

static size_t add_simulator(struct weir_arena *arena, struct main__settings *settings,
                            struct weir_provider_settings *providers, const char *url) {
    static const char *const names[] = {"sim-small", "sim-large", "sim-reasoner"};
    static const struct weir_span headers[] = {{"x-sim-fault", 11},      {"x-sim-ttft", 10},  {"x-sim-rate", 10},
                                               {"x-sim-tokens", 12},     {"x-sim-echo", 10},  {"x-sim-crlf", 10},
                                               {"x-sim-comments", 14},   {"x-sim-split", 11}, {"x-sim-multiline", 15},
                                               {"x-sim-sequential", 16}, {"x-sim-bytes", 11}, {"x-sim-script", 12}};
    struct weir_model_settings *models = weir_arena_array(arena, 3, sizeof *models);
    struct weir_target_settings *targets = weir_arena_array(arena, 3, sizeof *targets);
    if (models == NULL || targets == NULL)
        return 0;
    providers[0] = usual(WEIR_SPAN("sim"), weir_span_of_string(url));
    providers[0].api_key = WEIR_SPAN("simulator");
    providers[0].forward_headers = (struct weir_texts){headers, sizeof headers / sizeof *headers};
    providers[0].catch_all = true;
    for (size_t i = 0; i < 3; i++) {
        targets[i] = (struct weir_target_settings){.provider = providers[0].name,
                                                   .model = weir_span_of_string(names[i]),
                                                   .weight = 1};
        models[i] = (struct weir_model_settings){.name = weir_span_of_string(names[i]), .targets = {&targets[i], 1}};
    }
    if (settings->catalog.models.count == 0)
        settings->catalog.models = (struct weir_option_items){models, 3};
    return 1;
}

static size_t kind_of(struct weir_span provider) {
    size_t kind = 0;
    while (kind < KIND_COUNT && !weir_span_equal(weir_span_of_string(kinds[kind].provider), provider))
        kind++;
    return kind;
}

/* Who gets the names that are configured nowhere: the only provider all of them; of several those of a kind their own, and the first of the others the rest. */
static enum weir_status share_names(struct weir_arena *arena, struct main__settings *settings,
                                    struct weir_provider_settings *providers, size_t count) {
    struct weir_model_settings *models = weir_arena_array(arena, KIND_COUNT, sizeof *models);
    struct weir_target_settings *targets = weir_arena_array(arena, KIND_COUNT, sizeof *targets);
    bool has_rest = false;
    size_t model_count = 0;
    if (models == NULL || targets == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        size_t kind = kind_of(providers[i].name);
        providers[i].catch_all = count == 1 || (kind == KIND_COUNT && !has_rest);
        has_rest = has_rest || providers[i].catch_all;
        if (count == 1 || kind == KIND_COUNT)
            continue;
        targets[model_count] = (struct weir_target_settings){.provider = providers[i].name,
                                                             .model = WEIR_SPAN(""),
                                                             .weight = 1};
        models[model_count] = (struct weir_model_settings){.name = weir_span_of_string(kinds[kind].pattern),
                                                           .targets = {&targets[model_count], 1}};
        model_count++;
    }
    if (settings->catalog.models.count == 0)
        settings->catalog.models = (struct weir_option_items){models, model_count};
    return WEIR_OK;
}

enum weir_status main__implicit_catalog(struct weir_arena *arena, struct main__settings *settings,
                                        const char *simulator_url) {
    if (!settings->catalog_is_implicit)
        return WEIR_OK;
    struct weir_provider_settings *providers = weir_arena_array(arena, IMPLICIT_COUNT, sizeof *providers);
    size_t count = 0;
    if (providers == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < IMPLICIT_COUNT; i++) {
        const char *value = variable(i);
        struct weir_span name = weir_span_of_string(implicit[i].preset);
        if (value == NULL || (count > 0 && weir_span_equal(providers[count - 1].name, name)))
            continue;
        struct weir_span url = implicit[i].is_address
                                   ? address_url(arena, value, implicit[i].suffix, implicit[i].default_port)
                                   : WEIR_SPAN("");
        providers[count] = usual(name, url);
        providers[count].preset = name;
        if (!implicit[i].is_address)
            providers[count].api_key = weir_span_of_string(weir_arena_format(arena, "env:%s", implicit[i].variable));
        count++;
    }
    enum weir_status status = WEIR_OK;
    if (count > 0)
        status = share_names(arena, settings, providers, count);
    else if (simulator_url != NULL)
        count = add_simulator(arena, settings, providers, simulator_url);
    settings->catalog.providers = (struct weir_option_items){providers, count};
    return status;
}

/* --- compiling --- */

/* What credentials are made from. */
struct credentials {
    const struct main__settings *settings;
    struct weir_buffer uses; /* a line for each secret of the store: a new value makes another revision */
};

static enum weir_status fetch(struct credentials *credentials, struct weir_span reference, struct weir_secret **secret,
                              struct weir_error *error) {
    struct weir_span name;
    uint64_t value_version = 0;
    if (!weir_secrets_is_sealed(reference, &name))
        return weir_secrets_fetch_now(reference, secret, error);
    if (credentials->settings->without_store) {
        *secret = weir_secret_new(WEIR_SPAN("sealed"));
        return *secret != NULL ? WEIR_OK : weir_fail(error, WEIR_ENOMEM, "no memory for a secret");
    }
    enum weir_status status = main__secret_fetch(credentials->settings, name, secret, &value_version, error);
    if (status == WEIR_OK)
        weir_named_secret_write_use(&credentials->uses, name, value_version);
    return status;
}

static enum weir_status credential(void *context, const struct weir_provider_settings *provider,
                                   struct weir_secret **secret, struct weir_error *error) {
    struct credentials *credentials = context;
    const struct main__settings *settings = credentials->settings;
    enum weir_status status = fetch(credentials, provider->api_key, secret, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_key_format format = {settings->general.brand, weir_span_of_string(settings->environment)};
    enum weir_reason reason = weir_key_check(&format, weir_secret_reveal(*secret));
    if (reason != WEIR_REASON_NONE && reason != WEIR_REASON_KEY_WRONG_ENVIRONMENT)
        return WEIR_OK;
    weir_secret_free(secret);
    struct weir_span described = weir_secrets_describe(provider->api_key);
    return weir_fail(error, WEIR_EINVAL,
                     "%.*s holds one of this gateway's own keys, not the provider's credential: unset it here",
                     WEIR_SPAN_PRINT(described));
}

static enum weir_status load_prices(const struct main__settings *settings, struct weir_prices **prices,
                                    struct weir_buffer *problems) {
    struct weir_error error = {.text = ""};
    enum weir_status status;
    struct weir_arena *arena = NULL;
    if (settings->prices_file[0] == '\0') {
        status = weir_prices_builtin(prices, &error);
    } else {
        struct weir_span text = WEIR_SPAN("");
        arena = weir_arena_new(0, 2 * WEIR_MAX_CONFIG_BYTES);
        status = arena == NULL ? WEIR_ENOMEM : weir_config_load(arena, settings->prices_file, &text, &error);
        if (status == WEIR_OK)
            status = weir_prices_read(text, prices, &error);
        weir_arena_free(&arena);
    }
    if (status != WEIR_OK)
        weir_buffer_printf(problems, "prices: %s\n", error.text);
    return status;
}

static enum weir_status hash_settings(struct main__published *published, const struct main__plans *plans,
                                      struct weir_span secrets) {
    struct weir_config_section sections[MAIN_SECTION_COUNT];
    struct weir_buffer text;
    unsigned char digest[32];
    unsigned int size = 0;
    weir_buffer_init(&text, 4 * WEIR_MAX_CONFIG_BYTES);
    main__settings_sections(&published->settings, sections);
    weir_config_canonical(sections, MAIN_SECTION_COUNT, &text);
    weir_buffer_append(&text, WEIR_SPAN("prices: "));
    weir_buffer_append(&text, weir_prices_version(published->prices));
    weir_buffer_append_byte(&text, '\n');
    main__plans_write(plans, &text);
    weir_buffer_append(&text, secrets);
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = weir_arena_dup(published->revision->arena, weir_buffer_span(&text), &published->canonical);
    if (status == WEIR_OK && EVP_Digest(text.at, text.length, digest, &size, EVP_sha256(), NULL) != 1)
        status = WEIR_EIO;
    if (status == WEIR_OK)
        weir_hex_format(digest, sizeof digest, published->revision->hash);
    weir_buffer_release(&text);
    return status;
}

static enum weir_status make_tls(struct main__published *published, struct main__tls_cache *cache,
                                 struct weir_buffer *problems) {
    const struct weir_revision *revision = published->revision;
    published->tls = weir_memory_new(revision->provider_count + 1, sizeof(struct weir_tls *));
    if (published->tls == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < revision->provider_count; i++) {
        struct weir_error error = {.text = ""};
        if (!revision->providers[i].url.tls)
            continue;
        published->tls[i] = tls_for(cache, revision->providers[i].settings, &error);
        if (published->tls[i] == NULL) {
            weir_buffer_printf(problems, "provider '%.*s': TLS: %s\n", WEIR_SPAN_PRINT(revision->providers[i].name),
                               error.text);
            return WEIR_EINVAL;
        }
    }
    return WEIR_OK;
}

static enum weir_status read_trusted_proxies(struct main__published *published, struct weir_networks *networks,
                                             struct weir_buffer *problems) {
    const struct weir_texts *texts = &published->settings.server.trusted_proxies;
    struct weir_span bad = WEIR_SPAN("");
    enum weir_status status = weir_networks_parse(published->revision->arena, texts->at, texts->count, networks, &bad);
    if (status != WEIR_OK)
        weir_buffer_printf(problems, "server.trusted_proxies: '%.*s' cannot be used\n", WEIR_SPAN_PRINT(bad));
    return status;
}

enum weir_status main__published_new(struct weir_arena *arena, const struct main__settings *settings,
                                     const struct main__plans *plans, struct main__tls_cache *cache,
                                     struct main__published **published, struct weir_buffer *problems) {
    struct main__published *made = weir_memory_new(1, sizeof *made);
    if (made == NULL) {
        weir_arena_free(&arena);
        return WEIR_ENOMEM;
    }
    struct weir_buffer found;
    weir_buffer_init(&found, WEIR_MIB);
    made->settings = *settings;
    struct credentials credentials = {.settings = &made->settings};
    weir_buffer_init(&credentials.uses, WEIR_MIB);
    /* The arena goes with a revision that fails, and the file's text with it: it is kept for telling places. */
    char *text = weir_memory_string(settings->text),
         *name = weir_memory_string(weir_span_of_string(settings->file_name));
    enum weir_status status = weir_revision_new(arena, &made->settings.catalog, credential, &credentials,
                                                &made->revision, &found);
    if (status != WEIR_OK && text != NULL && name != NULL) {
        const struct main__settings places = {.text = weir_span_of_string(text), .file_name = name};
        main__place_problems(&places, weir_buffer_span(&found), problems);
    }
    weir_memory_free(text);
    weir_memory_free(name);
    weir_buffer_release(&found);
    if (status == WEIR_OK)
        status = load_prices(&made->settings, &made->prices, problems);
    if (status == WEIR_OK)
        status = make_tls(made, cache, problems);
    struct weir_networks trusted_proxies = {.count = 0};
    if (status == WEIR_OK)
        status = read_trusted_proxies(made, &trusted_proxies, problems);
    if (status == WEIR_OK)
        status = main__plans_compile(plans, made->revision, problems);
    if (status == WEIR_OK)
        status = weir_buffer_status(&credentials.uses);
    if (status == WEIR_OK)
        status = hash_settings(made, plans, weir_buffer_span(&credentials.uses));
    weir_buffer_release(&credentials.uses);
    if (status != WEIR_OK) {
        main__published_free(&made);
        return status;
    }
    made->revision->created_utc_us = weir_clock_utc_us();
    made->base = (struct weir_published){.revision = made->revision,
                                         .prices = made->prices,
                                         .settings = &made->settings.gateway,
                                         .tls = made->tls,
                                         .trusted_proxies = trusted_proxies};
    *published = made;
    return WEIR_OK;
}

void main__published_free(struct main__published **published) {
    if (*published == NULL)
        return;
    weir_prices_free(&(*published)->prices);
    weir_memory_free((*published)->tls);
    weir_revision_free(&(*published)->revision);
    weir_memory_free(*published);
    *published = NULL;
}

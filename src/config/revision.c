/* Compiles the catalog of providers and models into a revision: names resolved, URLs parsed, order fixed. */
#include "config/revision.h"

#include "base/memory.h"

/* In the order of enum weir_provider_dialect, enum weir_credential_header and so on; the last word of each leaves it to the preset. */
static const char *const dialects[] = {"openai", "responses", "anthropic", "gemini", "ollama", "preset", NULL};
static const char *const auth_headers[] = {"bearer", "x-api-key", "x-goog-api-key", "api-key", "none", "preset", NULL};
static const char *const output_limits[] = {"max_tokens", "max_completion_tokens", "preset", NULL};
static const char *const stream_options[] = {"true",    "false",    "preset",    "yes=true",
                                             "on=true", "no=false", "off=false", NULL};

#define PROVIDER(member) offsetof(struct weir_provider_settings, member)
static const struct weir_option provider_rows[] = {
    {.name = "name",
     .kind = WEIR_OPTION_TEXT,
     .offset = PROVIDER(name),
     .required = true,
     .live = true,
     .prose = "The provider's name: in targets, in `provider/model` names, in records and metrics."},
    {.name = "preset",
     .kind = WEIR_OPTION_TEXT,
     .offset = PROVIDER(preset),
     .live = true,
     .prose =
         "A provider that weir knows: `openai`, `anthropic`, `gemini`, `groq` and more. It fills what the settings below leave out."},
    {.name = "dialect",
     .kind = WEIR_OPTION_CHOICE,
     .offset = PROVIDER(dialect),
     .initial = "preset",
     .choices = dialects,
     .live = true,
     .prose = "The wire format that it speaks. `preset`: the preset's; without a preset, `openai`."},
    {.name = "speaks",
     .kind = WEIR_OPTION_TEXTS,
     .offset = PROVIDER(speaks),
     .live = true,
     .prose =
         "All dialects that it speaks under this base URL; a call in one of them goes through untranslated. Without it the preset's; without a preset, `openai` speaks `responses` too."},
    {.name = "base_url",
     .kind = WEIR_OPTION_TEXT,
     .offset = PROVIDER(base_url),
     .live = true,
     .prose =
         "Where it answers, with the path before `/chat/completions` (`anthropic`: before `/messages`; `gemini`: before `/models`; `ollama`: before `/api`). Without it the preset's."},
    {.name = "api_key",
     .kind = WEIR_OPTION_SECRET,
     .offset = PROVIDER(api_key),
     .live = true,
     .prose =
         "Its credential: `env:NAME`, `file:PATH`, or `secret:NAME` for one that is kept sealed in the store (`weir secrets put`). Without it the usual variable of a preset that needs a key; else no credential is sent."},
    {.name = "auth_header",
     .kind = WEIR_OPTION_CHOICE,
     .offset = PROVIDER(auth_header),
     .initial = "preset",
     .choices = auth_headers,
     .live = true,
     .prose =
         "How the credential is sent: `bearer` is `Authorization: Bearer`, the others are fields of that name, `none` sends none. `preset`: the preset's; without a preset, as is usual for the dialect."},
    {.name = "output_limit_member",
     .kind = WEIR_OPTION_CHOICE,
     .offset = PROVIDER(output_limit_member),
     .initial = "preset",
     .choices = output_limits,
     .live = true,
     .prose =
         "The member of a chat body that bounds the answer, where weir writes that body. `preset`: the preset's; without one, `max_tokens`."},
    {.name = "stream_options",
     .kind = WEIR_OPTION_CHOICE,
     .offset = PROVIDER(stream_options),
     .initial = "preset",
     .choices = stream_options,
     .live = true,
     .prose = "Whether it takes `stream_options` in a chat body. `preset`: as the preset says; without one, `true`."},
    {.name = "forward_headers",
     .kind = WEIR_OPTION_TEXTS,
     .offset = PROVIDER(forward_headers),
     .live = true,
     .prose = "Request headers that are passed on to it besides the usual ones."},
    {.name = "max_connections",
     .kind = WEIR_OPTION_INTEGER,
     .offset = PROVIDER(max_connections),
     .initial = "1024",
     .minimum = 1,
     .maximum = 65536,
     .live = true,
     .prose = "Connections to it, per worker."},
    {.name = "max_waiting",
     .kind = WEIR_OPTION_INTEGER,
     .offset = PROVIDER(max_waiting),
     .initial = "1024",
     .minimum = 0,
     .maximum = 1048576,
     .live = true,
     .prose = "Requests that may wait for a connection, per worker; more are answered 503."},
    {.name = "idle_timeout",
     .kind = WEIR_OPTION_DURATION,
     .offset = PROVIDER(idle_timeout_ms),
     .initial = "55s",
     .unit = "s",
     .minimum = 100,
     .maximum = 86400000,
     .live = true,
     .prose = "How long an unused connection is kept. Best a little below the provider's own limit."},
    {.name = "prices",
     .kind = WEIR_OPTION_TEXT,
     .offset = PROVIDER(prices),
     .live = true,
     .prose =
         "The name under which the price file knows this provider, where it is another: `openai` for a provider called `my-openai`."},
    {.name = "ca_file",
     .kind = WEIR_OPTION_TEXT,
     .offset = PROVIDER(ca_file),
     .live = true,
     .prose = "A PEM file with the authorities to trust for it instead of the system's."},
    {.name = "tls_verify",
     .kind = WEIR_OPTION_BOOL,
     .offset = PROVIDER(tls_verify),
     .initial = "true",
     .live = true,
     .prose = "Whether its certificate is verified. `false` is for tests."},
    {.name = "catch_all",
     .kind = WEIR_OPTION_BOOL,
     .offset = PROVIDER(catch_all),
     .initial = "false",
     .live = true,
     .prose = "Send model names that are configured nowhere to this provider. At most one provider may."},
};
static const struct weir_option_table provider_table = {"providers", provider_rows,
                                                        sizeof provider_rows / sizeof *provider_rows,
                                                        sizeof(struct weir_provider_settings)};

#define TARGET(member) offsetof(struct weir_target_settings, member)
static const struct weir_option target_rows[] = {
    {.name = "provider",
     .kind = WEIR_OPTION_TEXT,
     .offset = TARGET(provider),
     .required = true,
     .live = true,
     .prose = "A provider's name."},
    {.name = "model",
     .kind = WEIR_OPTION_TEXT,
     .offset = TARGET(model),
     .live = true,
     .prose =
         "The name that the provider knows the model by; without it the client's own word. `*`, for a model whose name ends so, is what stood for its star."},
    {.name = "weight",
     .kind = WEIR_OPTION_INTEGER,
     .offset = TARGET(weight),
     .initial = "1",
     .minimum = 0,
     .maximum = 1000000,
     .live = true,
     .prose = "Share of the traffic among targets of the same order."},
    {.name = "order",
     .kind = WEIR_OPTION_INTEGER,
     .offset = TARGET(order),
     .initial = "0",
     .minimum = 0,
     .maximum = 1000,
     .live = true,
     .prose = "Lower ones are tried first."},
};
static const struct weir_option_table target_table = {"targets", target_rows, sizeof target_rows / sizeof *target_rows,
                                                      sizeof(struct weir_target_settings)};

#define MODEL(member) offsetof(struct weir_model_settings, member)
static const struct weir_option model_rows[] = {
    {.name = "name",
     .kind = WEIR_OPTION_TEXT,
     .offset = MODEL(name),
     .required = true,
     .live = true,
     .prose =
         "The name that clients ask for. `claude-*` stands for all names that begin with `claude-` and are not configured themselves, `*` for all."},
    {.name = "targets",
     .kind = WEIR_OPTION_LIST,
     .offset = MODEL(targets),
     .items = &target_table,
     .required = true,
     .live = true,
     .prose = "The ways to serve it."},
    {.name = "max_request_bytes",
     .kind = WEIR_OPTION_SIZE,
     .offset = MODEL(max_request_bytes),
     .initial = "0",
     .minimum = 0,
     .maximum = 1073741824,
     .live = true,
     .unit = "bytes",
     .prose =
         "The largest request body for this model, instead of `limits.max_request_bytes`; 0: as that setting says."},
};
static const struct weir_option_table model_table = {"models", model_rows, sizeof model_rows / sizeof *model_rows,
                                                     sizeof(struct weir_model_settings)};

#define CATALOG(member) offsetof(struct weir_catalog_settings, member)
static const struct weir_option catalog_rows[] = {
    {.name = "providers",
     .kind = WEIR_OPTION_LIST,
     .offset = CATALOG(providers),
     .items = &provider_table,
     .live = true,
     .prose =
         "The upstreams. Without any, those are used whose usual environment variables are set; in dev, failing that, the simulator."},
    {.name = "models",
     .kind = WEIR_OPTION_LIST,
     .offset = CATALOG(models),
     .items = &model_table,
     .live = true,
     .prose = "The models that clients may ask for. `provider/model` names work besides."},
};
const struct weir_option_table weir_catalog_options = {"", catalog_rows, sizeof catalog_rows / sizeof *catalog_rows,
                                                       sizeof(struct weir_catalog_settings)};

static bool name_is_usable(struct weir_span name, bool slash) {
    if (name.length == 0 || name.length > 128)
        return false;
    for (size_t i = 0; i < name.length; i++) {
        unsigned char byte = (unsigned char)name.at[i];
        if (byte <= 0x20 || byte == 0x7f || byte == '"' || (byte == '/' && !slash))
            return false;
    }
    return true;
}

static enum weir_status compile_provider(struct weir_revision *revision, struct weir_provider_settings *settings,
                                         struct weir_provider *provider, struct weir_buffer *problems) {
    struct weir_error error = {.text = ""};
    enum weir_status filled = weir_preset_fill(revision->arena, settings, provider->index, problems);
    if (filled != WEIR_OK)
        return filled;
    if (!name_is_usable(settings->name, false)) {
        weir_buffer_printf(problems,
                           "providers[%zu].name: '%.*s' may have no spaces, quotes or '/' and at most 128 bytes\n",
                           provider->index, WEIR_SPAN_PRINT(settings->name));
        return WEIR_EINVAL;
    }
    if (weir_url_parse(settings->base_url, &provider->url, &error) != WEIR_OK) {
        weir_buffer_printf(problems, "providers[%zu].base_url: provider '%.*s': %s\n", provider->index,
                           WEIR_SPAN_PRINT(settings->name), error.text);
        return WEIR_EINVAL;
    }
    struct weir_span path = provider->url.path;
    while (path.length > 0 && path.at[path.length - 1] == '/')
        path.length--;
    provider->name = settings->name;
    provider->dialect = (unsigned)settings->dialect;
    provider->speaks = weir_preset_speaks(settings);
    provider->credential_header = (enum weir_credential_header)settings->auth_header;
    provider->output_limit_member = output_limits[settings->output_limit_member];
    provider->takes_stream_options = settings->stream_options == WEIR_STREAM_OPTIONS_TAKEN;
    provider->path_prefix = path;
    provider->host_header = provider->url.authority;
    provider->price_name = settings->prices.length > 0 ? settings->prices : settings->name;
    provider->forward_headers = &settings->forward_headers;
    provider->settings = settings;
    provider->catch_all = settings->catch_all;
    char *identity = weir_arena_format(revision->arena, "%.*s|%d|%.*s:%u|%d|%.*s|%lld|%lld|%lld",
                                       WEIR_SPAN_PRINT(settings->name), provider->url.tls,
                                       WEIR_SPAN_PRINT(provider->url.host), provider->url.port, settings->tls_verify,
                                       WEIR_SPAN_PRINT(settings->ca_file), (long long)settings->max_connections,
                                       (long long)settings->max_waiting, (long long)settings->idle_timeout_ms);
    if (identity == NULL)
        return WEIR_ENOMEM;
    provider->identity = weir_span_of_string(identity);
    return WEIR_OK;
}

/* `filled` are the settings with what presets say: the revision's own, for the caller's may live longer than what is filled in. */
static enum weir_status compile_providers(struct weir_revision *revision, const struct weir_option_items *from,
                                          struct weir_option_items *filled, weir_revision_credential credential,
                                          void *context, struct weir_buffer *problems) {
    size_t count = from->count;
    struct weir_provider_settings *settings = weir_arena_array(revision->arena, count, sizeof *settings);
    struct weir_provider *providers = weir_arena_array(revision->arena, count, sizeof *providers);
    revision->credentials = weir_arena_array(revision->arena, count, sizeof *revision->credentials);
    revision->provider_by_name = weir_map_new(count);
    if (settings == NULL || providers == NULL || revision->credentials == NULL || revision->provider_by_name == NULL)
        return WEIR_ENOMEM;
    if (count > 0)
        memcpy(settings, from->at, count * sizeof *settings);
    *filled = (struct weir_option_items){settings, count};
    revision->providers = providers;
    for (size_t i = 0; i < count; i++) {
        struct weir_provider *provider = &providers[i];
        struct weir_error error = {.text = ""};
        void *old = NULL;
        provider->index = i;
        enum weir_status status = compile_provider(revision, &settings[i], provider, problems);
        if (status == WEIR_EINVAL)
            continue;
        if (status != WEIR_OK || weir_map_put(revision->provider_by_name, provider->name, provider, &old) != WEIR_OK)
            return WEIR_ENOMEM;
        if (old != NULL)
            weir_buffer_printf(problems, "providers[%zu].name: provider '%.*s' is configured twice\n", i,
                               WEIR_SPAN_PRINT(provider->name));
        if (provider->catch_all && revision->catch_all != NULL)
            weir_buffer_printf(problems,
                               "providers[%zu].catch_all: provider '%.*s': catch_all is already set for '%.*s'\n", i,
                               WEIR_SPAN_PRINT(provider->name), WEIR_SPAN_PRINT(revision->catch_all->name));
        if (provider->catch_all)
            revision->catch_all = provider;
        revision->provider_count = i + 1;
        if (settings[i].api_key.length == 0 || provider->credential_header == WEIR_CREDENTIAL_NONE)
            continue;
        if (credential(context, &settings[i], &revision->credentials[i], &error) != WEIR_OK)
            weir_buffer_printf(problems, "providers[%zu].api_key: provider '%.*s': %s\n", i,
                               WEIR_SPAN_PRINT(provider->name), error.text);
        provider->credential = revision->credentials[i];
    }
    revision->provider_count = count;
    return WEIR_OK;
}

static bool is_pattern(struct weir_span name) {
    return name.length > 0 && name.at[name.length - 1] == '*';
}

static struct weir_span upstream_model(const struct weir_model *model, struct weir_span setting) {
    return setting.length > 0 || model->is_pattern ? setting : model->name;
}

static enum weir_status compile_targets(struct weir_revision *revision, const struct weir_model_settings *settings,
                                        size_t index, struct weir_model *model, struct weir_buffer *problems) {
    const struct weir_target_settings *from = settings->targets.at;
    size_t count = settings->targets.count;
    struct weir_target *targets = weir_arena_array(revision->arena, count, sizeof *targets);
    if (targets == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct weir_provider *provider = weir_revision_provider(revision, from[i].provider);
        if (provider == NULL)
            weir_buffer_printf(problems,
                               "models[%zu].targets[%zu].provider: model '%.*s': there is no provider '%.*s'\n", index,
                               i, WEIR_SPAN_PRINT(settings->name), WEIR_SPAN_PRINT(from[i].provider));
        if (is_pattern(from[i].model) && (from[i].model.length > 1 || !is_pattern(settings->name)))
            weir_buffer_printf(problems,
                               "models[%zu].targets[%zu].model: model '%.*s': '*' stands alone, for a model whose name "
                               "ends in '*'\n",
                               index, i, WEIR_SPAN_PRINT(settings->name));
        struct weir_target target = {.provider = provider,
                                     .model = upstream_model(model, from[i].model),
                                     .weight = from[i].weight,
                                     .order = from[i].order};
        size_t at = i;
        for (; at > 0 && targets[at - 1].order > target.order; at--)
            targets[at] = targets[at - 1];
        targets[at] = target;
    }
    if (count == 0)
        weir_buffer_printf(problems, "models[%zu].targets: model '%.*s' has no targets\n", index,
                           WEIR_SPAN_PRINT(settings->name));
    model->targets = targets;
    model->target_count = count;
    return WEIR_OK;
}

static bool check_model_name(struct weir_span name, size_t index, struct weir_buffer *problems) {
    bool usable = name_is_usable(name, true);
    bool star = weir_span_index(name, '*') + 1 < name.length;
    if (!usable)
        weir_buffer_printf(problems, "models[%zu].name: '%.*s' may have no spaces or quotes and at most 128 bytes\n",
                           index, WEIR_SPAN_PRINT(name));
    else if (star)
        weir_buffer_printf(problems, "models[%zu].name: '%.*s' may have a '*' at its end alone\n", index,
                           WEIR_SPAN_PRINT(name));
    return usable && !star;
}

/* Keeps the longest first; of names of one length the order does not matter, for none fits two of them. */
static void insert_pattern(struct weir_model *patterns, size_t count, const struct weir_model *pattern) {
    size_t at = count;
    for (; at > 0 && patterns[at - 1].name.length < pattern->name.length; at--)
        patterns[at] = patterns[at - 1];
    patterns[at] = *pattern;
}

static bool is_known(const struct weir_revision *revision, const struct weir_model *patterns, size_t pattern_count,
                     struct weir_span name) {
    for (size_t i = 0; i < pattern_count; i++)
        if (weir_span_equal(patterns[i].name, name))
            return true;
    return weir_revision_model(revision, name) != NULL;
}

static enum weir_status compile_models(struct weir_revision *revision, const struct weir_catalog_settings *catalog,
                                       struct weir_buffer *problems) {
    const struct weir_model_settings *settings = catalog->models.at;
    size_t count = catalog->models.count, model_count = 0, pattern_count = 0;
    struct weir_model *models = weir_arena_array(revision->arena, count, sizeof *models);
    struct weir_model *patterns = weir_arena_array(revision->arena, count, sizeof *patterns);
    revision->model_by_name = weir_map_new(count);
    if (models == NULL || patterns == NULL || revision->model_by_name == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct weir_model model = {.name = settings[i].name,
                                   .max_request_bytes = settings[i].max_request_bytes,
                                   .is_pattern = is_pattern(settings[i].name)};
        if (model.max_request_bytes > revision->max_request_bytes)
            revision->max_request_bytes = model.max_request_bytes;
        if (!check_model_name(model.name, i, problems))
            continue;
        if (compile_targets(revision, &settings[i], i, &model, problems) != WEIR_OK)
            return WEIR_ENOMEM;
        if (is_known(revision, patterns, pattern_count, model.name)) {
            weir_buffer_printf(problems, "models[%zu].name: model '%.*s' is configured twice\n", i,
                               WEIR_SPAN_PRINT(model.name));
        } else if (model.is_pattern) {
            insert_pattern(patterns, pattern_count++, &model);
        } else {
            void *old = NULL;
            models[model_count] = model;
            if (weir_map_put(revision->model_by_name, model.name, &models[model_count++], &old) != WEIR_OK)
                return WEIR_ENOMEM;
        }
    }
    revision->models = models;
    revision->model_count = model_count;
    revision->patterns = patterns;
    revision->pattern_count = pattern_count;
    return WEIR_OK;
}

enum weir_status weir_revision_new(struct weir_arena *arena, struct weir_catalog_settings *catalog,
                                   weir_revision_credential credential, void *context, struct weir_revision **revision,
                                   struct weir_buffer *problems) {
    struct weir_revision *made = weir_memory_new(1, sizeof *made);
    if (made == NULL) {
        weir_arena_free(&arena);
        return WEIR_ENOMEM;
    }
    size_t problems_before = problems->length;
    made->arena = arena;
    struct weir_option_items filled = {.at = NULL, .count = 0};
    enum weir_status status = compile_providers(made, &catalog->providers, &filled, credential, context, problems);
    if (status == WEIR_OK)
        status = compile_models(made, catalog, problems);
    if (status == WEIR_OK && problems->length > problems_before)
        status = WEIR_EINVAL;
    if (status == WEIR_OK) {
        *revision = made;
        catalog->providers = filled;
    } else {
        weir_revision_free(&made);
    }
    return status;
}

void weir_revision_free(struct weir_revision **revision) {
    struct weir_revision *gone = *revision;
    if (gone == NULL)
        return;
    for (size_t i = 0; gone->credentials != NULL && i < gone->provider_count; i++)
        weir_secret_free(&gone->credentials[i]);
    weir_map_free(&gone->provider_by_name);
    weir_map_free(&gone->model_by_name);
    weir_arena_free(&gone->arena);
    weir_memory_free(gone);
    *revision = NULL;
}

const struct weir_model *weir_revision_model(const struct weir_revision *revision, struct weir_span name) {
    return weir_map_find(revision->model_by_name, name);
}

const struct weir_model *weir_revision_pattern(const struct weir_revision *revision, struct weir_span name,
                                               struct weir_span *rest) {
    for (size_t i = 0; i < revision->pattern_count; i++) {
        size_t prefix = revision->patterns[i].name.length - 1;
        if (name.length > prefix && memcmp(revision->patterns[i].name.at, name.at, prefix) == 0) {
            *rest = weir_span_from(name, prefix);
            return &revision->patterns[i];
        }
    }
    return NULL;
}

const struct weir_provider *weir_revision_provider(const struct weir_revision *revision, struct weir_span name) {
    return weir_map_find(revision->provider_by_name, name);
}

const struct weir_plan *weir_revision_plan(const struct weir_revision *revision, struct weir_span id) {
    for (size_t i = 0; i < revision->plan_count; i++)
        if (weir_span_equal(revision->plans[i].id, id))
            return &revision->plans[i];
    return NULL;
}

/* The list of deployments: each becomes a target of the model that it is called, at a provider that it may share with others.
 *
 * Two deployments share a provider when vendor, address and credential are the same. A literal credential makes them the same as any other does, but
 * what the provider gets is the name of a variable. Where a deployment cannot be served, it is left out, and the row of its `model` says why.
 */
#include "config/import_impl.h"

#include "base/limits.h"
#include "base/memory.h"
#include "json/scan.h"
#include "json/write.h"

/* What became of one thing, until its row is written. */
struct verdict {
    enum weir_import_outcome outcome;
    struct weir_span words;
};

struct deployment {
    const struct config__node *entry, *params, *info, *credential;
    const struct import__vendor *vendor;
    const char *preset;     /* "": none */
    struct weir_span name;  /* ours, of the model */
    struct weir_span model; /* as the provider is asked for it; empty: as the client asked */
    bool is_pattern, left_out;
    struct import__text base_url;
    struct weir_span key_variable; /* empty: none, or not known yet */
    struct weir_span literal;      /* the credential itself, for telling providers from each other */
    struct verdict model_verdict, base_verdict, key_verdict, name_verdict;
    const struct import__provider *provider;
};

static void leave_out(struct import__state *state, struct deployment *deployment, enum weir_import_outcome outcome,
                      const char *words) {
    deployment->left_out = true;
    deployment->model_verdict = (struct verdict){outcome, import__text_of(state, "left out: %s", words)};
}

/* What stands in the deployment itself, else in the credential that it names. */
static const struct config__node *param(const struct deployment *deployment, const char *name) {
    const struct config__node *own = import__find(deployment->params, name);
    return own != NULL || deployment->credential == NULL ? own : import__find(deployment->credential, name);
}

static struct weir_span scalar(const struct config__node *node) {
    return node != NULL && node->shape == CONFIG__SCALAR ? weir_span_trim(node->text) : WEIR_SPAN("");
}

static void find_credential(struct import__state *state, struct deployment *deployment) {
    struct weir_span wanted = scalar(import__find(deployment->params, "litellm_credential_name"));
    for (size_t i = 0; wanted.length > 0 && i < state->document_count; i++) {
        const struct config__node *list = import__find(state->documents[i].root, "credential_list");
        const struct config__node *one = list != NULL && list->shape == CONFIG__SEQUENCE ? list->first : NULL;
        for (; one != NULL; one = one->next)
            if (weir_span_equal(scalar(import__find(one, "credential_name")), wanted))
                deployment->credential = import__find(one, "credential_values");
    }
}

/* --- the vendor and the model --- */

static struct weir_span without_infix(struct weir_span model, bool *responses) {
    static const char *const infixes[] = {"responses/", "o_series/", "gpt5_series/"};
    for (size_t i = 0; i < sizeof infixes / sizeof *infixes; i++)
        if (weir_span_starts_with(model, weir_span_of_string(infixes[i]))) {
            *responses = i == 0;
            return weir_span_from(model, strlen(infixes[i]));
        }
    return model;
}

static void decide_vendor(struct import__state *state, struct deployment *deployment) {
    struct weir_span model = scalar(import__find(deployment->params, "model")), prefix, rest;
    struct weir_span custom = scalar(import__find(deployment->params, "custom_llm_provider"));
    bool responses = false;
    deployment->model_verdict.outcome = WEIR_IMPORT_EXACT;
    if (model.length == 0) {
        leave_out(state, deployment, WEIR_IMPORT_BY_HAND, "the deployment names no model");
        return;
    }
    bool has_prefix = weir_span_split(model, '/', &prefix, &rest) && rest.length > 0;
    if (custom.length > 0) {
        rest = has_prefix && weir_span_equal(prefix, custom) ? rest : model;
        prefix = custom;
        has_prefix = true;
    }
    deployment->vendor = has_prefix ? import__vendor_find(prefix) : import__vendor_infer(model);
    if (deployment->vendor == NULL) {
        bool google = !has_prefix && weir_span_starts_with(model, WEIR_SPAN("gemini-"));
        const char *why = import__vendor_refusal(google ? WEIR_SPAN("vertex_ai") : has_prefix ? prefix : WEIR_SPAN(""));
        leave_out(state, deployment, why != NULL ? WEIR_IMPORT_UNSUPPORTED : WEIR_IMPORT_BY_HAND,
                  why != NULL ? why
                  : has_prefix
                      ? "weir has no preset for this provider: write it by hand if it speaks one of weir's dialects"
                      : "the provider cannot be told from the model's name: write it by hand");
        return;
    }
    deployment->model = without_infix(has_prefix ? rest : model, &responses);
    deployment->preset = deployment->vendor->preset;
    if (responses)
        deployment->model_verdict =
            (struct verdict){WEIR_IMPORT_APPROXIMATE,
                             WEIR_SPAN("a call goes to the provider's Responses API only where it came in as one")};
}

/* --- names and stars --- */

/* Ours has no spaces, quotes or control bytes. */
static struct weir_span usable_name(struct import__state *state, struct weir_span name, bool *changed) {
    char *made = weir_arena_string(state->arena, name);
    if (made == NULL) {
        state->no_memory = true;
        return WEIR_SPAN("");
    }
    for (size_t i = 0; i < name.length; i++)
        if ((unsigned char)made[i] <= 0x20 || made[i] == 0x7f || made[i] == '"') {
            made[i] = '-';
            *changed = true;
        }
    return weir_span_of(made, name.length);
}

static bool ends_in_star(struct weir_span text) {
    return text.length > 0 && weir_span_index(text, '*') + 1 == text.length;
}

/* Their star is replaced by what stood for the star of the name. */
static void decide_star(struct import__state *state, struct deployment *deployment) {
    struct weir_span name = deployment->name, model = deployment->model;
    bool star = weir_span_index(model, '*') < model.length;
    deployment->is_pattern = ends_in_star(name);
    if (!star)
        return;
    if (!deployment->is_pattern || !ends_in_star(model)) {
        leave_out(state, deployment, WEIR_IMPORT_BY_HAND,
                  "a star in the model needs one at the end of model_name, and stands at the end itself");
        return;
    }
    if (model.length == 1)
        deployment->model = name.length == 1 ? WEIR_SPAN("") : model;
    else if (weir_span_equal(name, model))
        deployment->model = WEIR_SPAN("");
    else
        leave_out(state, deployment, WEIR_IMPORT_BY_HAND,
                  "weir asks a provider by the whole name or by what stood for the star, and adds nothing to it");
}

static void decide_name(struct import__state *state, struct deployment *deployment) {
    struct weir_span theirs = scalar(import__find(deployment->entry, "model_name"));
    bool changed = false;
    deployment->name = usable_name(state, theirs, &changed);
    deployment->name_verdict = changed
                                   ? (struct verdict){WEIR_IMPORT_APPROXIMATE,
                                                      WEIR_SPAN("models[].name, with '-' for what a name may not have")}
                                   : (struct verdict){WEIR_IMPORT_EXACT, WEIR_SPAN("models[].name")};
    if (deployment->left_out)
        return;
    size_t star = weir_span_index(theirs, '*');
    if (theirs.length == 0 || theirs.length > IMPORT__MAX_NAME_BYTES)
        leave_out(state, deployment, WEIR_IMPORT_BY_HAND, "model_name must have 1 to 128 bytes");
    else if (star + 1 < theirs.length)
        leave_out(state, deployment, WEIR_IMPORT_BY_HAND, "a name of weir's has a star at its end alone");
    else
        decide_star(state, deployment);
}

/* --- the address --- */

static struct weir_span cut(struct weir_span text, size_t length) {
    return weir_span_first(text, length < text.length ? length : text.length);
}

static struct weir_span trimmed(struct weir_span url) {
    while (url.length > 0 && url.at[url.length - 1] == '/')
        url.length--;
    return url;
}

/* "https://host:port" */
static struct weir_span origin(struct weir_span url) {
    size_t scheme = weir_span_starts_with(url, WEIR_SPAN("https://")) ? 8 : 7;
    return cut(url, scheme + weir_span_index(weir_span_from(url, scheme), '/'));
}

/* Of the path alone: "http://v1" ends in "/v1", too. */
static struct weir_span without_ending(struct weir_span url, const char *ending) {
    struct weir_span end = weir_span_of_string(ending);
    bool has = weir_span_ends_with(url, end) && url.length - end.length >= origin(url).length;
    return has ? weir_span_first(url, url.length - end.length) : url;
}

/* What is written of an address never holds a credential. */
static const char *unusable(struct weir_span url) {
    bool http = weir_span_starts_with(url, WEIR_SPAN("http://")) || weir_span_starts_with(url, WEIR_SPAN("https://"));
    if (!http || weir_span_ends_with(origin(url), WEIR_SPAN("//")))
        return "its api_base is no http or https address";
    if (weir_span_index(origin(url), '@') < origin(url).length)
        return "its api_base holds a name or password, which a base URL of weir's has not: use api_key";
    if (weir_span_index(url, '?') < url.length || weir_span_index(url, '#') < url.length)
        return "its api_base has a query, which a base URL of weir's has not";
    for (size_t i = 0; i < url.length; i++)
        if ((unsigned char)url.at[i] <= 0x20 || (unsigned char)url.at[i] >= 0x7f || url.at[i] == '"')
            return "its api_base holds bytes that an address has not";
    return NULL;
}

static void literal_address(struct import__state *state, struct deployment *deployment, struct weir_span url) {
    const char *why = unusable(url);
    if (why != NULL) {
        leave_out(state, deployment, WEIR_IMPORT_BY_HAND, why);
        return;
    }
    struct weir_span asked = trimmed(url);
    url = trimmed(without_ending(without_ending(asked, "/chat/completions"), "/v1/messages"));
    switch (deployment->vendor->rule) {
    case IMPORT__URL_WITH_V1:
        if (!weir_span_ends_with(url, WEIR_SPAN("/v1")))
            url = import__text_of(state, "%.*s/v1", WEIR_SPAN_PRINT(url));
        break;
    case IMPORT__URL_AZURE:
        if (!weir_span_ends_with(url, WEIR_SPAN("/openai/v1")))
            url = import__text_of(state, "%.*s/openai/v1", WEIR_SPAN_PRINT(origin(url)));
        break;
    case IMPORT__URL_ROOT: url = trimmed(without_ending(without_ending(url, "/v1"), "/api")); break;
    case IMPORT__URL_AS_IS:
    default: break;
    }
    deployment->base_url = (struct import__text){url, false};
    bool azure = deployment->vendor->rule == IMPORT__URL_AZURE;
    deployment->base_verdict =
        azure ? (struct verdict){WEIR_IMPORT_APPROXIMATE,
                                 WEIR_SPAN("base_url of the resource's v1 API, which takes no api-version")}
              : (struct verdict){WEIR_IMPORT_EXACT, WEIR_SPAN("providers[].base_url")};
}

static void variable_address(struct import__state *state, struct deployment *deployment, struct weir_span variable) {
    enum import__url_rule rule = deployment->vendor->rule;
    bool exact = rule == IMPORT__URL_AS_IS || rule == IMPORT__URL_ROOT;
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 1024);
    weir_buffer_append(&buffer, exact ? WEIR_SPAN("env:") : WEIR_SPAN("${"));
    weir_buffer_append(&buffer, variable);
    weir_buffer_append(&buffer, exact                       ? WEIR_SPAN("")
                                : rule == IMPORT__URL_AZURE ? WEIR_SPAN("}/openai/v1")
                                                            : WEIR_SPAN("}/v1"));
    deployment->base_url = (struct import__text){import__keep(state, &buffer), true};
    weir_buffer_release(&buffer);
    deployment->base_verdict =
        exact ? (struct verdict){WEIR_IMPORT_EXACT, WEIR_SPAN("providers[].base_url, from the same variable")}
              : (struct verdict){WEIR_IMPORT_APPROXIMATE,
                                 WEIR_SPAN("base_url, from the same variable with a path after it: the variable must "
                                           "end with the host, without a '/'")};
}

/* OpenAI's own address needs none; another one that is written as OpenAI's is somebody else's. */
static bool is_own_address(const struct deployment *deployment) {
    const struct weir_preset *preset = weir_preset_find(weir_span_of_string(deployment->preset));
    return preset != NULL && !deployment->base_url.raw &&
           weir_span_equal(deployment->base_url.text, weir_span_of_string(preset->base_url));
}

static void decide_address(struct import__state *state, struct deployment *deployment) {
    const struct config__node *node = param(deployment, "api_base");
    struct weir_span variable, text = scalar(node != NULL ? node : param(deployment, "base_url"));
    deployment->base_url = (struct import__text){WEIR_SPAN(""), false};
    if (import__reference(state, text, &variable)) {
        variable_address(state, deployment, variable);
        import__variable(state, variable, false);
    } else if (text.length > 0) {
        literal_address(state, deployment, text);
    } else if (deployment->vendor->base_variable[0] != '\0') {
        variable = weir_span_of_string(deployment->vendor->base_variable);
        variable_address(state, deployment, variable);
        import__variable(state, variable, false);
    } else if (deployment->preset[0] == '\0') {
        leave_out(state, deployment, WEIR_IMPORT_BY_HAND, "the deployment has no api_base");
    }
    if (deployment->left_out || deployment->base_url.text.length == 0)
        return;
    if (is_own_address(deployment))
        deployment->base_url.text = WEIR_SPAN("");
    else if (strcmp(deployment->preset, "openai") == 0)
        deployment->preset = "";
}

/* --- the credential --- */

static bool is_placeholder(struct weir_span key) {
    static const char *const words[] = {"none", "null",   "empty",     "dummy",      "fake",   "fake-key",        "na",
                                        "n/a",  "ollama", "lm-studio", "not-needed", "no-key", "no-key-required", "-"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (weir_span_equal_ignore_case(key, weir_span_of_string(words[i])))
            return true;
    return false;
}

static void decide_key(struct import__state *state, struct deployment *deployment) {
    struct weir_span key = scalar(param(deployment, "api_key")), variable;
    const char *usual = deployment->vendor->key_variable;
    deployment->key_variable = deployment->literal = WEIR_SPAN("");
    deployment->key_verdict = (struct verdict){WEIR_IMPORT_EXACT, WEIR_SPAN("no credential is sent")};
    if (import__reference(state, key, &variable)) {
        deployment->key_variable = variable;
        deployment->key_verdict.words = import__text_of(state, "api_key: env:%.*s", WEIR_SPAN_PRINT(variable));
    } else if (weir_span_starts_with(key, WEIR_SPAN("oidc/"))) {
        leave_out(state, deployment, WEIR_IMPORT_UNSUPPORTED, "weir exchanges no tokens of OpenID Connect");
    } else if (is_placeholder(key)) {
        deployment->key_verdict = (struct verdict){WEIR_IMPORT_APPROXIMATE,
                                                   WEIR_SPAN("a placeholder: no credential is sent")};
    } else if (key.length > 0) {
        deployment->literal = key;
    } else if (usual[0] != '\0' && (deployment->preset[0] != '\0' || deployment->vendor->preset[0] == '\0')) {
        deployment->key_variable = weir_span_of_string(usual);
    }
}

/* --- the provider --- */

static bool provider_name_taken(const struct import__state *state, struct weir_span name) {
    for (const struct import__provider *one = state->providers; one != NULL; one = one->next)
        if (weir_span_equal(one->name, name))
            return true;
    return false;
}

/* Small letters and digits, with single dashes between them. */
static struct weir_span slug(struct import__state *state, struct weir_span from) {
    char *text = weir_arena_string(state->arena, from);
    size_t used = 0;
    if (text == NULL) {
        state->no_memory = true;
        return WEIR_SPAN("provider");
    }
    for (size_t i = 0; i < from.length; i++) {
        char byte = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        if (good || (used > 0 && text[used - 1] != '-'))
            text[used++] = good ? byte : '-';
    }
    while (used > 0 && text[used - 1] == '-')
        used--;
    return used > 0 ? weir_span_of(text, used) : WEIR_SPAN("provider");
}

/* "azure-RESOURCE", the preset's name, or what can be had of an address. */
static struct weir_span provider_base_name(struct import__state *state, const struct deployment *deployment) {
    struct weir_span from = deployment->base_url.text, label = WEIR_SPAN("");
    bool azure = strcmp(deployment->preset, "azure-openai") == 0;
    if (deployment->preset[0] != '\0' && (!azure || deployment->base_url.raw))
        return weir_span_of_string(deployment->preset);
    if (!deployment->base_url.raw && from.length > 0) {
        from = origin(from);
        from = weir_span_from(from, weir_span_starts_with(from, WEIR_SPAN("https://")) ? 8 : 7);
        label = cut(from, weir_span_index(from, azure ? '.' : ':'));
    } else if (from.length > 4) {
        label = weir_span_from(from, 4); /* env:NAME */
    }
    label = cut(label, 60);
    return slug(state, import__text_of(state, "%s%.*s", azure ? "azure-" : "", WEIR_SPAN_PRINT(label)));
}

static bool stands_in_source(const struct import__state *state, struct weir_span word) {
    if (memmem(state->source->text.at, state->source->text.length, word.at, word.length) != NULL)
        return true;
    for (const struct weir_import_variable *one = state->import->variables; one != NULL; one = one->next)
        if (weir_span_equal(one->name, word))
            return true;
    return false;
}

/* A variable that the source knows nothing of: "OPENAI_KEY", "OPENAI_KEY_2". */
static struct weir_span new_variable(struct import__state *state, struct weir_span provider) {
    char name[IMPORT__MAX_NAME_BYTES + 1];
    size_t length = provider.length < sizeof name - 1 ? provider.length : sizeof name - 1;
    for (size_t i = 0; i < length; i++) {
        char byte = provider.at[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        name[i] = !letter ? '_' : byte >= 'a' ? (char)(byte - 'a' + 'A') : byte;
    }
    const char *lead = length > 0 && name[0] >= '0' && name[0] <= '9' ? "KEY_" : "";
    struct weir_span made = import__text_of(state, "%s%.*s_KEY", lead, (int)length, name);
    for (unsigned i = 2; stands_in_source(state, made) && i < 10000 && !state->no_memory; i++)
        made = import__text_of(state, "%s%.*s_KEY_%u", lead, (int)length, name, i);
    return made;
}

static struct weir_span identity_of(struct import__state *state, const struct deployment *deployment) {
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, WEIR_MIB);
    weir_buffer_printf(&buffer, "%s|%d|%.*s|%.*s|", deployment->preset, deployment->base_url.raw,
                       WEIR_SPAN_PRINT(deployment->base_url.text), WEIR_SPAN_PRINT(deployment->key_variable));
    weir_buffer_append(&buffer, deployment->literal);
    struct weir_span kept = import__keep(state, &buffer);
    weir_memory_wipe(buffer.at, buffer.length);
    weir_buffer_release(&buffer);
    return kept;
}

static struct import__provider *provider_of(struct import__state *state, const struct deployment *deployment) {
    struct weir_span identity = identity_of(state, deployment);
    for (struct import__provider *one = state->providers; one != NULL; one = one->next)
        if (weir_span_equal(one->identity, identity))
            return one;
    struct import__provider *made = weir_arena_alloc(state->arena, sizeof *made);
    if (made == NULL) {
        state->no_memory = true;
        return NULL;
    }
    struct weir_span base = provider_base_name(state, deployment);
    made->name = base;
    for (unsigned i = 2; provider_name_taken(state, made->name) && !state->no_memory; i++)
        made->name = import__text_of(state, "%.*s-%u", WEIR_SPAN_PRINT(base), i);
    made->preset = deployment->preset;
    made->identity = identity;
    made->base_url = deployment->base_url;
    made->variable = deployment->literal.length > 0 ? new_variable(state, made->name) : deployment->key_variable;
    made->file = state->document->name;
    made->line = deployment->entry->place.line;
    if (made->variable.length > 0)
        import__variable(state, made->variable, deployment->literal.length > 0);
    if (state->last_provider == NULL)
        state->providers = made;
    else
        state->last_provider->next = made;
    state->last_provider = made;
    return made;
}

/* --- the target --- */

struct import__model *import__model_find(const struct import__state *state, struct weir_span name) {
    struct import__model *model = state->models;
    while (model != NULL && !weir_span_equal(model->name, name))
        model = model->next;
    return model;
}

static struct import__model *add_model(struct import__state *state, struct weir_span name, size_t line) {
    struct import__model *made = weir_arena_alloc(state->arena, sizeof *made);
    if (made == NULL) {
        state->no_memory = true;
        return NULL;
    }
    made->name = name;
    made->alias_of = WEIR_SPAN("");
    made->file = state->document->name;
    made->line = line;
    if (state->last_model == NULL)
        state->models = made;
    else
        state->last_model->next = made;
    state->last_model = made;
    return made;
}

static int64_t number_of(struct import__state *state, const struct deployment *deployment, const char *name,
                         unsigned scale, int64_t most) {
    const struct config__node *node = import__find(deployment->params, name);
    struct weir_span number;
    bool rounded;
    int64_t value;
    if (node == NULL || !import__number(state, node, &number) ||
        weir_json_scaled_int64(number, scale, &value, &rounded) != WEIR_OK || value < 0 || value > most)
        return -1;
    return value;
}

static void add_target(struct import__state *state, struct deployment *deployment) {
    struct import__model *model = import__model_find(state, deployment->name);
    struct import__target *target = weir_arena_alloc(state->arena, sizeof *target);
    if (model == NULL)
        model = add_model(state, deployment->name, deployment->entry->place.line);
    struct import__provider *provider = provider_of(state, deployment);
    if (target == NULL || model == NULL || provider == NULL) {
        state->no_memory = true;
        return;
    }
    deployment->provider = provider;
    target->provider = provider;
    target->model = deployment->model;
    target->weight = number_of(state, deployment, "weight", 3, 1000000000000);
    target->rpm = number_of(state, deployment, "rpm", 0, INT64_MAX / 2);
    target->tpm = number_of(state, deployment, "tpm", 0, INT64_MAX / 2);
    target->order = number_of(state, deployment, "order", 0, 1000);
    target->file = state->document->name;
    target->line = deployment->entry->place.line;
    if (model->last == NULL)
        model->first = target;
    else
        model->last->next = target;
    model->last = target;
    struct weir_span asked = target->model.length == 0 ? WEIR_SPAN("the name that the client asks for")
                             : weir_span_equal(target->model, WEIR_SPAN("*")) ? WEIR_SPAN("what stood for the star")
                                                                              : import__shown(state, target->model);
    if (deployment->model_verdict.words.length == 0)
        deployment->model_verdict.words = import__text_of(state, "a target: %.*s, of the provider '%.*s'",
                                                          WEIR_SPAN_PRINT(asked), WEIR_SPAN_PRINT(provider->name));
    if (deployment->literal.length > 0)
        deployment->key_verdict = (struct verdict){
            WEIR_IMPORT_BY_HAND,
            import__text_of(state, "a literal credential is not taken over: set the variable %.*s to it",
                            WEIR_SPAN_PRINT(provider->variable))};
}

/* --- prices --- */

/* "_above_200k_tokens" */
static bool is_threshold(struct weir_span ending) {
    const struct weir_span before = WEIR_SPAN("_above_"), after = WEIR_SPAN("k_tokens");
    uint64_t thousands;
    return ending.length > before.length + after.length && weir_span_starts_with(ending, before) &&
           weir_span_ends_with(ending, after) &&
           weir_span_to_uint64(weir_span_of(ending.at + before.length, ending.length - before.length - after.length),
                               &thousands) == WEIR_OK;
}

static bool is_price(struct weir_span name) {
    static const char *const prices[] = {"input_cost_per_token",
                                         "output_cost_per_token",
                                         "cache_read_input_token_cost",
                                         "cache_creation_input_token_cost",
                                         "cache_creation_input_token_cost_above_1hr",
                                         "output_cost_per_reasoning_token",
                                         "input_cost_per_audio_token",
                                         "output_cost_per_audio_token",
                                         "input_cost_per_image_token",
                                         "output_cost_per_image_token",
                                         "input_cost_per_image",
                                         "output_cost_per_image",
                                         "input_cost_per_character",
                                         "output_cost_per_character",
                                         "input_cost_per_second",
                                         "output_cost_per_second",
                                         "input_cost_per_query"};
    for (size_t i = 0; i < sizeof prices / sizeof *prices; i++) {
        struct weir_span price = weir_span_of_string(prices[i]);
        if (weir_span_equal(name, price))
            return true;
        if (weir_span_starts_with(name, price) && is_threshold(weir_span_from(name, price.length)))
            return true;
    }
    return false;
}

static bool is_size(struct weir_span name) {
    return weir_span_equal(name, WEIR_SPAN("max_input_tokens")) ||
           weir_span_equal(name, WEIR_SPAN("max_output_tokens"));
}

static void append_member(struct weir_buffer *out, const char *name, struct weir_span value) {
    weir_buffer_printf(out, "%s\"%s\": %.*s", out->length > 0 ? ", " : "", name, WEIR_SPAN_PRINT(value));
}

static bool append_number(struct import__state *state, struct weir_buffer *out, const struct config__node *member) {
    struct weir_span number;
    if (!import__number(state, member, &number) || number.at[0] == '-')
        return false;
    weir_buffer_append(out, out->length > 0 ? WEIR_SPAN(", ") : WEIR_SPAN(""));
    weir_json_append_string(out, member->key);
    weir_buffer_printf(out, ": %.*s", WEIR_SPAN_PRINT(number));
    return true;
}

/* The same name in model_info counts only where litellm_params has it not. */
static bool counts(const struct deployment *deployment, const struct config__node *member, bool in_params) {
    char name[80];
    if (member->is_null || member->key.length >= sizeof name)
        return false;
    memcpy(name, member->key.at, member->key.length);
    name[member->key.length] = '\0';
    return import__find(in_params ? deployment->params : deployment->info, name) == member &&
           (in_params || import__find(deployment->params, name) == NULL);
}

/* False: a price of it is no number. Nothing is written where it has none. */
static bool collect_prices(struct import__state *state, const struct deployment *deployment, bool *whole,
                           struct weir_buffer *out) {
    bool has_price = false;
    for (int in_params = 1; in_params >= 0; in_params--) {
        const struct config__node *mapping = in_params ? deployment->params : deployment->info;
        const struct config__node *member = mapping != NULL && mapping->shape == CONFIG__MAPPING ? mapping->first
                                                                                                 : NULL;
        for (; member != NULL; member = member->next)
            if (is_price(member->key) && counts(deployment, member, in_params)) {
                if (!append_number(state, out, member))
                    return false;
                has_price = true;
            }
    }
    if (!has_price)
        return true;
    const struct config__node *sizes[] = {import__find(deployment->info, "max_input_tokens"),
                                          import__find(deployment->info, "max_output_tokens")};
    for (size_t i = 0; i < 2; i++)
        if (sizes[i] != NULL)
            (void)append_number(state, out, sizes[i]);
    bool input = memmem(out->at, out->length, "\"input_cost_per_token\"", 22) != NULL;
    bool output = memmem(out->at, out->length, "\"output_cost_per_token\"", 23) != NULL;
    if (!input)
        append_member(out, "input_cost_per_token", WEIR_SPAN("0"));
    if (!output)
        append_member(out, "output_cost_per_token", WEIR_SPAN("0"));
    struct weir_span mode = scalar(import__find(deployment->info, "mode"));
    *whole = input == output ||
             (mode.length > 0 && !weir_span_equal(mode, WEIR_SPAN("chat")) &&
              !weir_span_equal(mode, WEIR_SPAN("completion")) && !weir_span_equal(mode, WEIR_SPAN("responses")));
    struct weir_buffer quoted;
    weir_buffer_init(&quoted, 1024);
    weir_json_append_string(&quoted, mode.length > 0 && mode.length < 60 ? mode : WEIR_SPAN("chat"));
    append_member(out, "mode", weir_buffer_span(&quoted));
    weir_buffer_release(&quoted);
    return true;
}

/* What became of the deployment's prices. */
static struct verdict decide_prices(struct import__state *state, const struct deployment *deployment) {
    struct verdict verdict = {WEIR_IMPORT_BY_HAND, WEIR_SPAN("the deployment was left out")};
    struct weir_buffer members;
    if (deployment->left_out || deployment->provider == NULL)
        return verdict;
    if (state->source->prices_file.length == 0)
        return (struct verdict){WEIR_IMPORT_BY_HAND,
                                WEIR_SPAN("no price file was asked for: give --output or --prices")};
    if (deployment->is_pattern)
        return (
            struct verdict){WEIR_IMPORT_BY_HAND,
                            WEIR_SPAN("a price is of one model: give those that are asked for rows in the price file")};
    struct weir_span provider = import__price_name(deployment->provider);
    weir_buffer_init(&members, 64 * WEIR_KIB);
    bool whole = true, good = collect_prices(state, deployment, &whole, &members);
    struct weir_span made = import__keep(state, &members);
    weir_buffer_release(&members);
    if (!good)
        return (struct verdict){WEIR_IMPORT_BY_HAND,
                                WEIR_SPAN("another price of it is no number from 0 up: no price was taken over")};
    verdict.outcome = whole ? WEIR_IMPORT_EXACT : WEIR_IMPORT_APPROXIMATE;
    verdict.words = import__text_of(state, "prices_file: a row of '%.*s'%s", WEIR_SPAN_PRINT(provider),
                                    whole ? "" : "; tokens that the source gives no price for cost nothing");
    if (made.length == 0)
        return verdict;
    for (const struct import__price *one = state->prices; one != NULL; one = one->next)
        if (weir_span_equal(one->provider, provider) && weir_span_equal(one->model, deployment->model))
            return weir_span_equal(one->members, made)
                       ? verdict
                       : (struct verdict){
                             WEIR_IMPORT_BY_HAND,
                             WEIR_SPAN(
                                 "another deployment of this model has another price, and a price is of "
                                 "a provider and a model: give one of the providers a name of its own in `prices`")};
    struct import__price *price = weir_arena_alloc(state->arena, sizeof *price);
    if (price == NULL) {
        state->no_memory = true;
        return verdict;
    }
    *price = (struct import__price){.provider = provider, .model = deployment->model, .members = made};
    if (state->last_price == NULL)
        state->prices = price;
    else
        state->last_price->next = price;
    state->last_price = price;
    return verdict;
}

/* --- rows --- */

static void verdict_row(struct import__state *state, struct weir_span path, const struct config__node *member,
                        struct verdict verdict) {
    import__row(state, verdict.outcome, path, member->key_place, "%.*s", WEIR_SPAN_PRINT(verdict.words));
}

static void price_row(struct import__state *state, const struct deployment *deployment, struct weir_span path,
                      const struct config__node *member, bool in_params, struct verdict prices) {
    struct weir_span number;
    if (!counts(deployment, member, in_params))
        import__row(state, WEIR_IMPORT_UNSUPPORTED, path, member->key_place, "that of litellm_params counts before it");
    else if (!import__number(state, member, &number) || number.at[0] == '-')
        import__row(state, WEIR_IMPORT_BY_HAND, path, member->key_place, "it is no number from 0 up, and was left out");
    else
        verdict_row(state, path, member, prices);
}

/* Shares and limits of a deployment. False: the setting is none of these. */
static bool share_row(struct import__state *state, const struct deployment *deployment, struct weir_span path,
                      const struct config__node *member) {
    static const struct {
        const char *name, *flag;
        unsigned scale;
        int64_t most;
    } shares[] = {{"weight", NULL, 3, 1000000000000},
                  {"order", NULL, 0, 1000},
                  {"rpm", "requests-per-minute", 0, INT64_MAX / 2},
                  {"tpm", "tokens-per-minute", 0, INT64_MAX / 2}};
    size_t i = 0;
    while (i < 4 && !weir_span_equal(weir_span_of_string(shares[i].name), member->key))
        i++;
    if (i == 4)
        return false;
    int64_t value = number_of(state, deployment, shares[i].name, shares[i].scale, shares[i].most);
    if (deployment->left_out || deployment->provider == NULL)
        import__row(state, WEIR_IMPORT_BY_HAND, path, member->key_place, "the deployment was left out");
    else if (value < 0)
        import__row(state, WEIR_IMPORT_BY_HAND, path, member->key_place,
                    "no number that weir can take; it was left out");
    else if (shares[i].flag == NULL)
        import__row(state, WEIR_IMPORT_EXACT, path, member->key_place, "%s of the target", shares[i].name);
    else
        import__row(
            state, WEIR_IMPORT_APPROXIMATE, path, member->key_place,
            "the share of the traffic where no deployment has a weight; the limit itself is made in the store: weir limit "
            "create --for provider:%.*s --%s %lld",
            WEIR_SPAN_PRINT(deployment->provider->name), shares[i].flag, (long long)value);
    return true;
}

static void param_row(struct import__state *state, const struct deployment *deployment, struct weir_span path,
                      const struct config__node *member, struct verdict prices) {
    const struct verdict left_out = {WEIR_IMPORT_BY_HAND, WEIR_SPAN("the deployment was left out")};
    bool azure = deployment->vendor != NULL && deployment->vendor->rule == IMPORT__URL_AZURE;
    if (weir_span_equal(member->key, WEIR_SPAN("model")))
        verdict_row(state, path, member, deployment->model_verdict);
    else if (weir_span_equal(member->key, WEIR_SPAN("custom_llm_provider")))
        verdict_row(state, path, member,
                    deployment->left_out
                        ? left_out
                        : (struct verdict){WEIR_IMPORT_EXACT, WEIR_SPAN("it says which provider it is")});
    else if (weir_span_equal(member->key, WEIR_SPAN("api_base")) || weir_span_equal(member->key, WEIR_SPAN("base_url")))
        verdict_row(state, path, member, deployment->left_out ? left_out : deployment->base_verdict);
    else if (weir_span_equal(member->key, WEIR_SPAN("api_key")))
        verdict_row(state, path, member, deployment->left_out ? left_out : deployment->key_verdict);
    else if (weir_span_equal(member->key, WEIR_SPAN("litellm_credential_name")))
        verdict_row(
            state, path, member,
            deployment->credential == NULL
                ? (struct
                   verdict){WEIR_IMPORT_BY_HAND,
                            WEIR_SPAN(
                                "no credential of this name stands in the file: set base_url and api_key of the provider")}
            : deployment->literal.length > 0 && !deployment->left_out
                ? deployment->key_verdict
                : (struct verdict){WEIR_IMPORT_EXACT, WEIR_SPAN("address and credential are those of the list")});
    else if (weir_span_equal(member->key, WEIR_SPAN("api_version")) && azure)
        import__row(state, WEIR_IMPORT_APPROXIMATE, path, member->key_place, "the v1 API takes no version");
    else if (is_price(member->key))
        price_row(state, deployment, path, member, true, prices);
    else if (!share_row(state, deployment, path, member))
        import__known(state, IMPORT__PARAMS, path, member);
}

static void info_row(struct import__state *state, const struct deployment *deployment, struct weir_span path,
                     const struct config__node *member, struct verdict prices, bool has_prices) {
    if (is_price(member->key))
        price_row(state, deployment, path, member, false, prices);
    else if (is_size(member->key) && has_prices)
        verdict_row(state, path, member, prices);
    else
        import__known(state, IMPORT__INFO, path, member);
}

static void rows_of(struct import__state *state, const struct deployment *deployment, struct weir_span path,
                    struct verdict prices, bool has_prices) {
    const struct config__node *member = NULL, *inner = NULL;
    while ((member = import__next_member(state, path, deployment->entry, member)) != NULL) {
        struct weir_span here = import__path(state, path, member->key);
        bool params = weir_span_equal(member->key, WEIR_SPAN("litellm_params"));
        bool info = weir_span_equal(member->key, WEIR_SPAN("model_info"));
        if (weir_span_equal(member->key, WEIR_SPAN("model_name")))
            verdict_row(state, here, member,
                        deployment->left_out
                            ? (struct verdict){WEIR_IMPORT_BY_HAND, WEIR_SPAN("the deployment was left out")}
                            : deployment->name_verdict);
        else if ((!params && !info) || (member->shape != CONFIG__MAPPING && !member->is_null))
            import__known(state, IMPORT__ENTRY, here, member);
        for (inner = NULL; (params || info) && (inner = import__next_member(state, here, member, inner)) != NULL;) {
            struct weir_span setting = import__path(state, here, inner->key);
            if (inner->is_null)
                import__row(state, WEIR_IMPORT_EXACT, setting, inner->key_place, "it says nothing");
            else if (params)
                param_row(state, deployment, setting, inner, prices);
            else
                info_row(state, deployment, setting, inner, prices, has_prices);
        }
    }
}

static void take_deployment(struct import__state *state, struct weir_span path, const struct config__node *entry) {
    struct deployment deployment = {.entry = entry,
                                    .params = import__find(entry, "litellm_params"),
                                    .info = import__find(entry, "model_info"),
                                    .preset = "",
                                    .name = WEIR_SPAN(""),
                                    .model = WEIR_SPAN(""),
                                    .literal = WEIR_SPAN(""),
                                    .key_variable = WEIR_SPAN(""),
                                    .base_url = {WEIR_SPAN(""), false},
                                    .model_verdict = {WEIR_IMPORT_EXACT, WEIR_SPAN("")}};
    if (entry->shape != CONFIG__MAPPING) {
        import__row(state, WEIR_IMPORT_BY_HAND, path, entry->place, "a mapping was expected; it was left out");
        return;
    }
    find_credential(state, &deployment);
    decide_vendor(state, &deployment);
    decide_name(state, &deployment);
    if (!deployment.left_out)
        decide_address(state, &deployment);
    if (!deployment.left_out)
        decide_key(state, &deployment);
    if (!deployment.left_out)
        add_target(state, &deployment);
    const struct import__price *before = state->last_price;
    struct verdict prices = decide_prices(state, &deployment);
    rows_of(state, &deployment, path, prices, state->last_price != before);
}

void import__models(struct import__state *state, struct weir_span path, const struct config__node *list) {
    size_t index = 0;
    if (list->shape != CONFIG__SEQUENCE) {
        import__row(state, list->is_null ? WEIR_IMPORT_EXACT : WEIR_IMPORT_BY_HAND, path, list->key_place, "%s",
                    list->is_null ? "it says nothing" : "a list was expected; it was left out");
        return;
    }
    for (const struct config__node *one = list->first;
         one != NULL && state->row_count <= IMPORT__MAX_ROWS && !state->no_memory; one = one->next)
        take_deployment(state, import__path_at(state, path, index++), one);
}

void import__aliases(struct import__state *state, struct weir_span path, const struct config__node *aliases) {
    const struct config__node *member = NULL;
    if (aliases->shape != CONFIG__MAPPING)
        import__row(state, WEIR_IMPORT_BY_HAND, path, aliases->key_place, "a mapping was expected; it was left out");
    while ((member = import__next_member(state, path, aliases, member)) != NULL) {
        struct weir_span here = import__path(state, path, member->key);
        struct weir_span other = scalar(member->shape == CONFIG__MAPPING ? import__find(member, "model") : member);
        bool changed = false;
        struct weir_span name = usable_name(state, member->key, &changed);
        struct weir_span target = usable_name(state, other, &changed);
        const struct import__model *model = import__model_find(state, target);
        bool usable = name.length > 0 && name.length <= IMPORT__MAX_NAME_BYTES &&
                      weir_span_index(name, '*') == name.length;
        if (!usable || model == NULL || model->first == NULL || import__model_find(state, name) != NULL) {
            import__row(state, WEIR_IMPORT_BY_HAND, here, member->key_place, "%s",
                        !usable ? "weir cannot have a model of this name"
                        : model == NULL || model->first == NULL
                            ? "the model that it stands for is not among those that were taken over"
                            : "a model of this name stands in model_list, which counts");
            continue;
        }
        struct import__model *made = add_model(state, name, member->key_place.line);
        if (made != NULL)
            made->alias_of = model->name;
        bool hidden = member->shape == CONFIG__MAPPING && import__find(member, "hidden") != NULL;
        import__row(state, hidden || changed ? WEIR_IMPORT_APPROXIMATE : WEIR_IMPORT_EXACT, here, member->key_place,
                    "%s",
                    hidden ? "a model with the same targets; the list of models shows it"
                           : "a model with the same targets");
    }
}

/* The rows of presets.def, and what a provider is that leaves settings to its preset.
 *
 * A provider without a preset keeps what it always was: it speaks OpenAI's dialect, `/responses` included, and takes stream options. Where its base
 * URL is the public one of a preset of the same dialect, the vendor's peculiarities (what it also speaks, the name of the output limit, stream
 * options) are known all the same; its credential and its address are never guessed.
 */
#include "config/presets.h"

#include "config/config.h"
#include "config/revision.h"

#define BIT(dialect) (1U << (unsigned)WEIR_PROVIDER_##dialect)
static const struct weir_preset presets[] = {
#define X(name, label, base_url, dialect, speaks, header, variable, needs_key, output_limit, stream_options, prices, \
          note)                                                                                                      \
    {name,                                                                                                           \
     label,                                                                                                          \
     base_url,                                                                                                       \
     WEIR_PROVIDER_##dialect,                                                                                        \
     BIT(dialect) | (speaks),                                                                                        \
     WEIR_CREDENTIAL_##header,                                                                                       \
     variable,                                                                                                       \
     needs_key,                                                                                                      \
     output_limit,                                                                                                   \
     stream_options,                                                                                                 \
     prices,                                                                                                         \
     note},
#include "config/presets.def"
#undef X
};
enum { PRESET_COUNT = sizeof presets / sizeof *presets };

static const char *const dialect_names[] = {"openai", "responses", "anthropic", "gemini", "ollama"};
static const char *const header_names[] = {"Authorization", "x-api-key", "x-goog-api-key", "api-key", NULL};
_Static_assert(sizeof dialect_names / sizeof *dialect_names == WEIR_PROVIDER_DIALECTS, "one a dialect");
_Static_assert(sizeof header_names / sizeof *header_names == WEIR_CREDENTIAL_HEADERS, "one a header");

const struct weir_preset *weir_preset_at(size_t index) {
    return index < PRESET_COUNT ? &presets[index] : NULL;
}

const struct weir_preset *weir_preset_find(struct weir_span name) {
    for (size_t i = 0; i < PRESET_COUNT; i++)
        if (weir_span_equal(weir_span_of_string(presets[i].name), name))
            return &presets[i];
    return NULL;
}

const char *weir_provider_dialect_name(enum weir_provider_dialect dialect) {
    return dialect_names[dialect];
}

const char *weir_credential_header_name(enum weir_credential_header header) {
    return header_names[header];
}

/* --- filling --- */

static struct weir_span without_slashes(struct weir_span url) {
    while (url.length > 0 && url.at[url.length - 1] == '/')
        url.length--;
    return url;
}

/* The preset whose public address this is. A local one is no sign: many servers share a port. */
static const struct weir_preset *of_address(const struct weir_provider_settings *settings) {
    for (size_t i = 0; i < PRESET_COUNT; i++)
        if ((int)presets[i].dialect == settings->dialect && strncmp(presets[i].base_url, "https://", 8) == 0 &&
            weir_span_equal(without_slashes(settings->base_url), weir_span_of_string(presets[i].base_url)))
            return &presets[i];
    return NULL;
}

static enum weir_status find_preset(const struct weir_provider_settings *settings, size_t index,
                                    const struct weir_preset **preset, struct weir_buffer *problems) {
    *preset = weir_preset_find(settings->preset);
    if (*preset != NULL || settings->preset.length == 0)
        return WEIR_OK;
    const char *names[PRESET_COUNT];
    for (size_t i = 0; i < PRESET_COUNT; i++)
        names[i] = presets[i].name;
    const char *nearest = weir_config_nearest(settings->preset, names, PRESET_COUNT);
    weir_buffer_printf(problems, "providers[%zu].preset: provider '%.*s': there is no preset '%.*s'%s%s%s\n", index,
                       WEIR_SPAN_PRINT(settings->name),
                       (int)(settings->preset.length < 60 ? settings->preset.length : 60), settings->preset.at,
                       nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "'?" : "");
    return WEIR_EINVAL;
}

/* The place in the choices; WEIR_PROVIDER_DIALECTS for no dialect. */
static unsigned dialect_named(struct weir_span name) {
    unsigned dialect = 0;
    while (dialect < WEIR_PROVIDER_DIALECTS &&
           !weir_span_equal(weir_span_trim(name), weir_span_of_string(dialect_names[dialect])))
        dialect++;
    return dialect;
}

static enum weir_status check_speaks(const struct weir_provider_settings *settings, size_t index,
                                     struct weir_buffer *problems) {
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < settings->speaks.count; i++) {
        struct weir_span name = settings->speaks.at[i];
        if (dialect_named(name) != WEIR_PROVIDER_DIALECTS)
            continue;
        const char *nearest = weir_config_nearest(name, dialect_names, WEIR_PROVIDER_DIALECTS);
        weir_buffer_printf(problems, "providers[%zu].speaks: provider '%.*s': there is no dialect '%.*s'%s%s%s\n",
                           index, WEIR_SPAN_PRINT(settings->name), (int)(name.length < 60 ? name.length : 60), name.at,
                           nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                           nearest != NULL ? "'?" : "");
        status = WEIR_EINVAL;
    }
    return status;
}

static enum weir_status fill_speaks(struct weir_arena *arena, struct weir_provider_settings *settings, unsigned bits) {
    struct weir_span *names = weir_arena_array(arena, WEIR_PROVIDER_DIALECTS, sizeof *names);
    size_t count = 0;
    if (names == NULL)
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < WEIR_PROVIDER_DIALECTS; i++)
        if ((bits & (1U << i)) != 0)
            names[count++] = weir_span_of_string(dialect_names[i]);
    settings->speaks = (struct weir_texts){names, count};
    return WEIR_OK;
}

/* What is known of a vendor's wire: from its preset or its address. Where nothing is, what most take. */
static enum weir_status fill_wire(struct weir_arena *arena, struct weir_provider_settings *settings,
                                  const struct weir_preset *known) {
    bool own = known != NULL && (int)known->dialect == settings->dialect;
    if (settings->output_limit_member == WEIR_OUTPUT_LIMIT_PRESET)
        settings->output_limit_member = known != NULL && strcmp(known->output_limit_member, "max_tokens") != 0
                                            ? WEIR_OUTPUT_LIMIT_MAX_COMPLETION_TOKENS
                                            : WEIR_OUTPUT_LIMIT_MAX_TOKENS;
    if (settings->stream_options == WEIR_STREAM_OPTIONS_PRESET)
        settings->stream_options = known == NULL || known->takes_stream_options ? WEIR_STREAM_OPTIONS_TAKEN
                                                                                : WEIR_STREAM_OPTIONS_REFUSED;
    if (settings->speaks.count > 0)
        return WEIR_OK;
    unsigned bits = own                                         ? known->speaks
                    : settings->dialect == WEIR_PROVIDER_OPENAI ? BIT(OPENAI) | BIT(RESPONSES)
                                                                : 1U << (unsigned)settings->dialect;
    return fill_speaks(arena, settings, bits);
}

static int usual_header(int dialect) {
    return dialect == WEIR_PROVIDER_ANTHROPIC ? WEIR_CREDENTIAL_X_API_KEY
           : dialect == WEIR_PROVIDER_GEMINI  ? WEIR_CREDENTIAL_X_GOOG_API_KEY
                                              : WEIR_CREDENTIAL_BEARER;
}

enum weir_status weir_preset_fill(struct weir_arena *arena, struct weir_provider_settings *settings, size_t index,
                                  struct weir_buffer *problems) {
    const struct weir_preset *preset = NULL;
    if (find_preset(settings, index, &preset, problems) != WEIR_OK ||
        check_speaks(settings, index, problems) != WEIR_OK)
        return WEIR_EINVAL;
    bool dialect_is_own = settings->dialect < WEIR_PROVIDER_DIALECTS;
    if (!dialect_is_own)
        settings->dialect = preset != NULL ? (int)preset->dialect : WEIR_PROVIDER_OPENAI;
    bool same_dialect = preset != NULL && (int)preset->dialect == settings->dialect;
    if (settings->auth_header >= WEIR_CREDENTIAL_HEADERS)
        settings->auth_header = same_dialect ? (int)preset->credential_header : usual_header(settings->dialect);
    if (preset != NULL && settings->api_key.length == 0 && preset->needs_key &&
        settings->auth_header != WEIR_CREDENTIAL_NONE) {
        char *reference = weir_arena_format(arena, "env:%s", preset->variable);
        if (reference == NULL)
            return WEIR_ENOMEM;
        settings->api_key = weir_span_of_string(reference);
    }
    if (preset != NULL && settings->prices.length == 0)
        settings->prices = weir_span_of_string(preset->prices);
    if (preset != NULL && settings->base_url.length == 0)
        settings->base_url = weir_span_of_string(preset->base_url);
    if (settings->base_url.length == 0) {
        if (preset == NULL)
            weir_buffer_printf(problems,
                               "providers[%zu].base_url: provider '%.*s' has neither a base_url nor a preset\n", index,
                               WEIR_SPAN_PRINT(settings->name));
        else
            weir_buffer_printf(problems, "providers[%zu].base_url: provider '%.*s': the preset %s needs it. %s\n",
                               index, WEIR_SPAN_PRINT(settings->name), preset->name, preset->note);
        return WEIR_EINVAL;
    }
    return fill_wire(arena, settings, preset != NULL ? preset : of_address(settings));
}

unsigned weir_preset_speaks(const struct weir_provider_settings *settings) {
    unsigned bits = 1U << (unsigned)settings->dialect;
    for (size_t i = 0; i < settings->speaks.count; i++)
        bits |= 1U << dialect_named(settings->speaks.at[i]);
    return bits;
}

/* --- the page --- */

static void append_speaks(struct weir_buffer *out, const struct weir_preset *preset) {
    bool first = true;
    for (unsigned i = 0; i < WEIR_PROVIDER_DIALECTS; i++)
        if (i != (unsigned)preset->dialect && (preset->speaks & (1U << i)) != 0) {
            weir_buffer_printf(out, "%s%s", first ? "" : ", ", dialect_names[i]);
            first = false;
        }
}

void weir_presets_reference(struct weir_buffer *out) {
    weir_buffer_append(
        out,
        WEIR_SPAN(
            "# Presets\n\n"
            "Generated from `src/config/presets.def`; do not edit.\n\n"
            "A provider with `preset: NAME` takes from that row what its own settings leave out; whatever they say counts\n"
            "before it. [How to use them](../guides/providers.md#presets).\n\n"
            "*Also speaks* names further dialects under the same base URL: a call that comes in one of them goes through as\n"
            "it is, any other is translated into the provider's own. *Credential* is the request field that carries the key,\n"
            "and the variable that is read where the provider has no `api_key`; where the provider needs no key, none is\n"
            "sent unless `api_key` is set. *Output limit* is the member of a chat body that bounds the answer, *stream\n"
            "options* whether it takes `stream_options`.\n\n"
            "| preset | | base URL | dialect | also speaks | credential | output limit | stream options | |\n"
            "|---|---|---|---|---|---|---|---|---|\n"));
    for (size_t i = 0; i < PRESET_COUNT; i++) {
        const struct weir_preset *preset = &presets[i];
        bool has_url = preset->base_url[0] != '\0';
        weir_buffer_printf(out, "| `%s` | %s | %s%s%s | `%s` | ", preset->name, preset->label, has_url ? "`" : "",
                           has_url ? preset->base_url : "your own", has_url ? "`" : "", dialect_names[preset->dialect]);
        append_speaks(out, preset);
        weir_buffer_printf(out, " | `%s`, ", header_names[preset->credential_header]);
        if (preset->needs_key)
            weir_buffer_printf(out, "`%s`", preset->variable);
        else
            weir_buffer_append(out, WEIR_SPAN("none needed"));
        weir_buffer_printf(out, " | `%s` | %s | %s |\n", preset->output_limit_member,
                           preset->takes_stream_options ? "yes" : "no", preset->note);
    }
}

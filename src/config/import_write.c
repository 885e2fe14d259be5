/* weir.yaml, and the costs in the form of the public price map. Every text that came from the source is quoted and escaped; comments hold places alone. */
#include "config/import_impl.h"

#include "base/limits.h"
#include "json/write.h"

static void append_text(struct weir_buffer *out, struct weir_span text) {
    const struct weir_option row = {.name = "", .kind = WEIR_OPTION_TEXT};
    config__append_value(out, &row, &text, CONFIG__CANONICAL);
}

static void append_place(struct weir_buffer *out, struct weir_span file, size_t line) {
    weir_buffer_append(out, WEIR_SPAN("  # "));
    for (size_t i = 0; i < file.length; i++)
        weir_buffer_append_byte(out, (unsigned char)file.at[i] < 0x20 || (unsigned char)file.at[i] >= 0x7f
                                         ? '?'
                                         : file.at[i]);
    weir_buffer_printf(out, ":%zu\n", line);
}

struct weir_span import__price_name(const struct import__provider *provider) {
    const struct weir_preset *preset = weir_preset_find(weir_span_of_string(provider->preset));
    return preset != NULL && preset->prices[0] != '\0' ? weir_span_of_string(preset->prices) : provider->name;
}

static void write_provider(struct weir_buffer *out, const struct import__provider *provider) {
    weir_buffer_append(out, WEIR_SPAN("  - name: "));
    append_text(out, provider->name);
    append_place(out, provider->file, provider->line);
    if (provider->preset[0] != '\0')
        weir_buffer_printf(out, "    preset: %s\n", provider->preset);
    if (provider->base_url.text.length > 0) {
        weir_buffer_append(out, WEIR_SPAN("    base_url: "));
        if (provider->base_url.raw)
            config__append_yaml_text(out, provider->base_url.text);
        else
            append_text(out, provider->base_url.text);
        weir_buffer_append_byte(out, '\n');
    }
    if (provider->variable.length > 0)
        weir_buffer_printf(out, "    api_key: env:%.*s\n", WEIR_SPAN_PRINT(provider->variable));
    if (provider->takes_all)
        weir_buffer_append(out, WEIR_SPAN("    catch_all: true\n"));
}

/* --- shares --- */

/* As there: by weight where the first has one, else by what it may take a minute. */
struct shares {
    int64_t (*of)(const struct import__target *target);
    int64_t divisor;
    bool has_order;
};

static int64_t weight_of(const struct import__target *target) {
    return target->weight;
}

static int64_t rpm_of(const struct import__target *target) {
    return target->rpm;
}

static int64_t tpm_of(const struct import__target *target) {
    return target->tpm;
}

/* Whether it is what the first is drawn by; those without it have no share then. */
static bool draws_by(const struct import__model *model, int64_t (*of)(const struct import__target *target),
                     int64_t *largest, bool *thousands) {
    for (const struct import__target *one = model->first; one != NULL; one = one->next) {
        int64_t value = of(one);
        *largest = value > *largest ? value : *largest;
        *thousands = *thousands && (value < 0 || value % 1000 == 0);
    }
    return of(model->first) >= 0;
}

static struct shares shares_of(const struct import__model *model) {
    int64_t (*const ways[])(const struct import__target *target) = {weight_of, rpm_of, tpm_of};
    struct shares shares = {.of = NULL, .divisor = 1};
    for (const struct import__target *one = model->first; one != NULL; one = one->next)
        shares.has_order = shares.has_order || one->order >= 0;
    for (size_t i = 0; i < 3 && model->first->next != NULL; i++) {
        int64_t largest = 0;
        bool thousands = true;
        if (!draws_by(model, ways[i], &largest, &thousands))
            continue;
        shares.of = ways[i];
        if (i == 0 && thousands)
            shares.divisor = 1000;
        while (largest / shares.divisor > 1000000)
            shares.divisor *= 10;
        break;
    }
    return shares;
}

static int64_t share(const struct shares *shares, const struct import__target *target) {
    int64_t value = shares->of(target);
    if (value <= 0)
        return 0;
    return value / shares->divisor > 0 ? value / shares->divisor : 1;
}

static void write_model(const struct import__state *state, struct weir_buffer *out, const struct import__model *model) {
    const struct import__model *source = model->alias_of.length > 0 ? import__model_find(state, model->alias_of)
                                                                    : model;
    struct shares shares = shares_of(source);
    weir_buffer_append(out, WEIR_SPAN("  - name: "));
    append_text(out, model->name);
    append_place(out, model->file, model->line);
    weir_buffer_append(out, WEIR_SPAN("    targets:\n"));
    for (const struct import__target *one = source->first; one != NULL; one = one->next) {
        weir_buffer_append(out, WEIR_SPAN("      - {provider: "));
        append_text(out, one->provider->name);
        if (one->model.length > 0) {
            weir_buffer_append(out, WEIR_SPAN(", model: "));
            append_text(out, one->model);
        }
        if (shares.of != NULL)
            weir_buffer_printf(out, ", weight: %lld", (long long)share(&shares, one));
        if (shares.has_order)
            weir_buffer_printf(out, ", order: %lld", (long long)(one->order >= 0 ? one->order : 1000));
        weir_buffer_append_byte(out, '}');
        append_place(out, one->file, one->line);
    }
}

/* The name `*` with one target is a provider that takes every name. */
static bool is_catch_all(const struct import__model *model) {
    return weir_span_equal(model->name, WEIR_SPAN("*")) && model->first != NULL && model->first->next == NULL &&
           model->first->model.length == 0;
}

static void write_settings(const struct import__state *state, struct weir_buffer *out) {
    weir_buffer_append(
        out, WEIR_SPAN(
                 "# Made by weir import litellm. The report says what became of each setting, and what is left to do.\n"
                 "# Each comment names the file and line that an entry is from.\n"));
    for (const struct weir_import_variable *one = state->import->variables; one != NULL; one = one->next)
        weir_buffer_printf(out, "# needs the variable %.*s%s\n", WEIR_SPAN_PRINT(one->name),
                           one->is_new ? ", which the source had literally" : "");
    if (state->log_debug)
        weir_buffer_append(out, WEIR_SPAN("log_level: debug\n"));
    if (state->prices != NULL) {
        weir_buffer_append(out, WEIR_SPAN("prices_file: "));
        append_text(out, state->source->prices_file);
        weir_buffer_append_byte(out, '\n');
    }
    if (state->max_request_bytes > 0) {
        weir_buffer_append(out, WEIR_SPAN("limits:\n  max_request_bytes: "));
        config__append_size(out, state->max_request_bytes);
        weir_buffer_append_byte(out, '\n');
    }
    if (state->request_ms > 0 || state->first_byte_ms > 0)
        weir_buffer_append(out, WEIR_SPAN("timeouts:\n"));
    if (state->first_byte_ms > 0) {
        weir_buffer_append(out, WEIR_SPAN("  first_byte: "));
        config__append_duration(out, state->first_byte_ms);
        weir_buffer_append_byte(out, '\n');
    }
    if (state->request_ms > 0) {
        weir_buffer_append(out, WEIR_SPAN("  request: "));
        config__append_duration(out, state->request_ms);
        weir_buffer_append_byte(out, '\n');
    }
    if (state->retention_ms >= 0) {
        weir_buffer_append(out, WEIR_SPAN("records:\n  retention: "));
        config__append_duration(out, state->retention_ms);
        weir_buffer_append_byte(out, '\n');
    }
}

static void write_price_map(struct import__state *state) {
    struct weir_buffer out, key;
    weir_buffer_init(&out, 64 * WEIR_MIB);
    weir_buffer_init(&key, WEIR_MIB);
    weir_buffer_append(&out, WEIR_SPAN("{"));
    for (const struct import__price *one = state->prices; one != NULL; one = one->next) {
        weir_buffer_clear(&key);
        weir_buffer_append(&key, one->provider);
        weir_buffer_append_byte(&key, '/');
        weir_buffer_append(&key, one->model);
        weir_buffer_append(&out, one == state->prices ? WEIR_SPAN("\n") : WEIR_SPAN(",\n"));
        weir_json_append_string(&out, weir_buffer_span(&key));
        weir_buffer_append(&out, WEIR_SPAN(": {\"litellm_provider\": "));
        weir_json_append_string(&out, one->provider);
        weir_buffer_append(&out, WEIR_SPAN(", "));
        weir_buffer_append(&out, one->members);
        weir_buffer_append(&out, WEIR_SPAN("}"));
    }
    weir_buffer_append(&out, WEIR_SPAN("\n}\n"));
    state->import->price_map = import__keep(state, &out);
    weir_buffer_release(&out);
    weir_buffer_release(&key);
}

void import__write(struct import__state *state) {
    struct weir_buffer out;
    bool has_models = false;
    weir_buffer_init(&out, 64 * WEIR_MIB);
    for (struct import__model *model = state->models; model != NULL; model = model->next)
        for (struct import__provider *one = state->providers; is_catch_all(model) && one != NULL; one = one->next)
            one->takes_all = one->takes_all || one == model->first->provider;
    write_settings(state, &out);
    if (state->providers != NULL)
        weir_buffer_append(&out, WEIR_SPAN("providers:\n"));
    for (const struct import__provider *one = state->providers; one != NULL; one = one->next)
        write_provider(&out, one);
    for (const struct import__model *model = state->models; model != NULL; model = model->next) {
        const struct import__model *source = model->alias_of.length > 0 ? import__model_find(state, model->alias_of)
                                                                        : model;
        if (is_catch_all(model) || source == NULL || source->first == NULL)
            continue;
        weir_buffer_append(&out, has_models ? WEIR_SPAN("") : WEIR_SPAN("models:\n"));
        has_models = true;
        write_model(state, &out, model);
    }
    state->import->settings = import__keep(state, &out);
    weir_buffer_release(&out);
    if (state->prices != NULL)
        write_price_map(state);
}

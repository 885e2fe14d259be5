/* From the widely used JSON price map to our own price file.
 *
 * The map gives USD per token as decimal numbers ("input_cost_per_token": 1.5e-07); ours are whole milli-CU per
 * million tokens, which is that times 10^15. The conversion works on the decimal text and is exact wherever the
 * result is whole; what is not is rounded up and told. An entry that cannot be used (no price, an odd number, too
 * many tiers) is left out and told; only a text that is no such map at all is an error.
 *
 * Pictures of one size or quality are entries of their own in the map ("hd/1024-x-1792/dall-e-3"); they become rows
 * with a variant, after all others, so that it is known by then whether their model is charged by the token.
 */
#include "meter/prices.h"

#include "base/map.h"
#include "base/memory.h"
#include "json/write.h"
#include "meter/import.h"

/* Providers that the map has under several names. */
static const struct {
    const char *theirs;
    const char *ours;
} provider_names[] = {
    {"cohere_chat", "cohere"},
    {"jina_ai", "jina"},
    {"text-completion-openai", "openai"},
};

struct import {
    struct weir_span source, date;
    struct weir_buffer *out, *report;
    struct weir_map *written; /* what each row so far is for; see remember() */
    size_t rows, rounded, skipped;
};

static struct weir_span key_of(const struct meter__entry *entry) {
    return weir_span_of(entry->key, entry->key_length);
}

static struct weir_span our_provider(const struct meter__entry *entry) {
    struct weir_span provider = weir_span_of(entry->provider, entry->provider_length);
    for (size_t i = 0; i < sizeof(provider_names) / sizeof(provider_names[0]); i++)
        if (weir_span_equal(provider, weir_span_of_string(provider_names[i].theirs)))
            return weir_span_of_string(provider_names[i].ours);
    return provider;
}

/* The map's names often begin with their provider ("gemini/gemini-2.5-pro"); the provider itself does not know them
 * so. */
static struct weir_span our_model(const struct meter__entry *entry, struct weir_span provider) {
    struct weir_span model = key_of(entry);
    if (provider.length > 0 && model.length > provider.length + 1 && weir_span_starts_with(model, provider) &&
        model.at[provider.length] == '/')
        return weir_span_from(model, provider.length + 1);
    return model;
}

static void write_prices(struct weir_json_writer *writer, const struct meter__tier *tier) {
    for (size_t kind = 0; kind < METER__PRICE_KINDS; kind++)
        if (tier->prices[kind] >= 0)
            weir_json_member_int64(writer, meter__price_name((enum meter__price_kind)kind), tier->prices[kind]);
}

static void write_row(struct import *import, const struct meter__entry *entry, struct weir_span provider,
                      struct weir_span model, struct weir_span variant) {
    struct weir_json_writer writer;
    weir_buffer_append(import->out, import->rows++ > 0 ? WEIR_SPAN(",\n    ") : WEIR_SPAN("    "));
    weir_json_writer_init(&writer, import->out);
    weir_json_write_object(&writer);
    if (provider.length > 0)
        weir_json_member_string(&writer, "provider", provider);
    weir_json_member_string(&writer, "model", model);
    if (variant.length > 0)
        weir_json_member_string(&writer, "variant", variant);
    if (entry->unit >= 0)
        weir_json_member_int64(&writer, meter__unit_name((enum meter__unit_kind)entry->unit),
                               entry->units[entry->unit]);
    write_prices(&writer, &entry->tiers[0]);
    if (entry->tier_count > 1) {
        weir_json_write_name(&writer, "tiers");
        weir_json_write_array(&writer);
        for (size_t i = 1; i < entry->tier_count; i++) {
            weir_json_write_object(&writer);
            weir_json_member_int64(&writer, "above_input_tokens", entry->tiers[i].above);
            write_prices(&writer, &entry->tiers[i]);
            weir_json_write_end(&writer);
        }
        weir_json_write_end(&writer);
    }
    int64_t max_output = entry->max_output > 0 ? entry->max_output : entry->max_tokens;
    if (entry->max_input > 0)
        weir_json_member_int64(&writer, "max_input_tokens", entry->max_input);
    if (max_output > 0)
        weir_json_member_int64(&writer, "max_output_tokens", max_output);
    weir_json_member_string(&writer, "source",
                            entry->source_length > 0 ? weir_span_of(entry->source, entry->source_length)
                                                     : import->source);
    weir_json_member_string(&writer, "date", import->date);
    weir_json_write_end(&writer);
}

static void report_rounded_unit(struct import *import, const struct meter__entry *entry) {
    struct weir_span text = entry->unit >= 0 ? entry->unit_rounded_from[entry->unit] : weir_span_of("", 0);
    if (text.length == 0)
        return;
    const char *name = meter__unit_name((enum meter__unit_kind)entry->unit);
    import->rounded++;
    weir_buffer_printf(import->report, "rounded up: \"%.*s\": %s: %.*s USD per %s is now %lld\n",
                       WEIR_SPAN_PRINT(key_of(entry)), name, WEIR_SPAN_PRINT(text), name,
                       (long long)entry->units[entry->unit]);
}

static void report_rounded(struct import *import, const struct meter__entry *entry) {
    report_rounded_unit(import, entry);
    for (size_t i = 0; i < entry->tier_count; i++) {
        const struct meter__tier *tier = &entry->tiers[i];
        for (size_t kind = 0; kind < METER__PRICE_KINDS; kind++) {
            if (tier->rounded_from[kind].length == 0)
                continue;
            import->rounded++;
            weir_buffer_printf(import->report, "rounded up: \"%.*s\": %s", WEIR_SPAN_PRINT(key_of(entry)),
                               meter__price_name((enum meter__price_kind)kind));
            if (tier->above > 0)
                weir_buffer_printf(import->report, " above %lld tokens", (long long)tier->above);
            weir_buffer_append(import->report, WEIR_SPAN(": "));
            weir_buffer_append(import->report, tier->rounded_from[kind]);
            weir_buffer_printf(import->report, " USD per token is now %lld\n", (long long)tier->prices[kind]);
        }
    }
}

static void report_skipped(struct import *import, const struct meter__entry *entry, const char *why) {
    import->skipped++;
    weir_buffer_printf(import->report, "left out: \"%.*s\": %s\n", WEIR_SPAN_PRINT(key_of(entry)), why);
}

/* A row's place in `written`: provider, model and variant as the key; the value is that text on the heap behind one byte
 * that says whether the row charges for tokens. Names hold no control bytes. */
enum { MAX_PLACE_BYTES = 3 * METER_MAX_NAME_BYTES + 4 };
static struct weir_span place_of(char out[MAX_PLACE_BYTES], bool by_token, struct weir_span provider,
                                 struct weir_span model, struct weir_span variant) {
    int length = snprintf(out, MAX_PLACE_BYTES, "%c%.*s\n%.*s\n%.*s", by_token ? 't' : 'u', WEIR_SPAN_PRINT(provider),
                          WEIR_SPAN_PRINT(model), WEIR_SPAN_PRINT(variant));
    return weir_span_of(out, (size_t)length);
}

/* WEIR_EEXIST where a row for the same has been written before. */
static enum weir_status remember(struct import *import, bool by_token, struct weir_span provider,
                                 struct weir_span model, struct weir_span variant) {
    char text[MAX_PLACE_BYTES];
    struct weir_span place = place_of(text, by_token, provider, model, variant);
    if (weir_map_find(import->written, weir_span_from(place, 1)) != NULL)
        return WEIR_EEXIST;
    char *kept = weir_memory_string(place);
    if (kept == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = weir_map_put(import->written, weir_span_of(kept + 1, place.length - 1), kept, NULL);
    if (status != WEIR_OK)
        weir_memory_free(kept);
    return status;
}

static bool model_is_charged_by_the_token(const struct import *import, struct weir_span provider,
                                          struct weir_span model) {
    char text[MAX_PLACE_BYTES];
    struct weir_span place = place_of(text, true, provider, model, weir_span_of("", 0));
    const char *kept = weir_map_find(import->written, weir_span_from(place, 1));
    return kept != NULL && kept[0] == 't';
}

/* Pass 0 takes what is no variant of another model, pass 1 the variants. */
static enum weir_status import_entry(struct import *import, struct meter__entry *entry, int pass) {
    struct weir_span provider = our_provider(entry);
    struct weir_span model = our_model(entry, weir_span_of(entry->provider, entry->provider_length));
    struct weir_span variant = weir_span_of("", 0);
    if (entry->why != NULL || !meter__entry_split(entry, &model, &variant)) {
        if (pass == 0)
            report_skipped(import, entry, entry->why);
        return WEIR_OK;
    }
    if ((variant.length > 0) != (pass == 1))
        return WEIR_OK;
    if (variant.length > 0 && model_is_charged_by_the_token(import, provider, model)) {
        report_skipped(import, entry, "its model is charged by the token");
        return WEIR_OK;
    }
    if (import->rows >= METER_MAX_PRICE_ROWS)
        return WEIR_ELIMIT;
    enum weir_status status = remember(import, meter__entry_is_charged_by_the_token(entry), provider, model, variant);
    if (status == WEIR_OK) {
        write_row(import, entry, provider, model, variant);
        report_rounded(import, entry);
    } else if (status == WEIR_EEXIST) {
        report_skipped(import, entry, "its provider and model have a row already");
        status = WEIR_OK;
    }
    return status;
}

static enum weir_status import_entries(struct import *import, struct weir_span map, int pass) {
    size_t cursor = 0;
    struct weir_span key;
    struct weir_json_found value;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && weir_json_next(map, &cursor, &key, &value) == WEIR_OK) {
        struct meter__entry entry;
        if (weir_json_string_equals(key, WEIR_SPAN("sample_spec")))
            continue; /* the map's own description of an entry */
        meter__entry_read(key, &value, &entry);
        status = import_entry(import, &entry, pass);
    }
    return status;
}

static void free_written(struct weir_map **written) {
    size_t cursor = 0;
    struct weir_span key;
    void *value;
    if (*written == NULL)
        return;
    while (weir_map_next(*written, &cursor, &key, &value))
        weir_memory_free(value);
    weir_map_free(written);
}

enum weir_status weir_prices_import(struct weir_span text, struct weir_span source, struct weir_span date,
                                    struct weir_buffer *out, struct weir_buffer *report, struct weir_error *error) {
    struct import import = {.source = source, .date = date, .out = out, .report = report};
    struct weir_json_found root;
    struct weir_json_problem problem;
    if (!meter__is_name(source, METER_MAX_SOURCE_BYTES))
        return weir_fail(error, WEIR_EINVAL, "prices: the source is empty, too long, or holds control bytes");
    if (!meter__is_date(date))
        return weir_fail(error, WEIR_EINVAL, "prices: the date must be YYYY-MM-DD");
    if (weir_json_scan(text, NULL, 0, NULL, &root, &problem) != WEIR_OK)
        return weir_fail(error, WEIR_EINVAL, "prices: byte %zu of the map: %s", problem.offset, problem.text);
    if (root.kind != WEIR_JSON_OBJECT)
        return weir_fail(error, WEIR_EINVAL, "prices: the map is %s, not an object", weir_json_kind_name(root.kind));
    import.written = weir_map_new(0);
    enum weir_status status = import.written != NULL ? WEIR_OK : WEIR_ENOMEM;
    weir_buffer_append(out, WEIR_SPAN("{\n  \"format\": \"" METER_PRICE_FORMAT "\",\n  \"rows\": [\n"));
    for (int pass = 0; pass < 2 && status == WEIR_OK; pass++)
        status = import_entries(&import, root.value, pass);
    weir_buffer_append(out, WEIR_SPAN("\n  ]\n}\n"));
    weir_buffer_printf(report, "%zu rows, %zu prices rounded up, %zu entries left out\n", import.rows, import.rounded,
                       import.skipped);
    free_written(&import.written);
    if (status == WEIR_OK)
        status = weir_buffer_status(out);
    if (status == WEIR_OK)
        status = weir_buffer_status(report);
    if (status != WEIR_OK)
        return weir_fail(error, status, "prices: %s",
                         status == WEIR_ENOMEM ? "out of memory" : "the map is larger than what can be kept");
    if (import.rows == 0)
        return weir_fail(error, WEIR_EINVAL, "prices: the map holds no entry that can be used");
    return WEIR_OK;
}

/* From the widely used JSON price map to our own price file.
 *
 * The map gives USD per token as decimal numbers ("input_cost_per_token": 1.5e-07); ours are whole milli-CU per
 * million tokens, which is that times 10^15. The conversion works on the decimal text and is exact wherever the
 * result is whole; what is not is rounded up and told. An entry that cannot be used (no price per token, an odd
 * number, too many tiers) is left out and told; only a text that is no such map at all is an error. What the map
 * charges by other units (images, seconds, queries) has no place in our file.
 */
#include "meter/prices.h"

#include "base/map.h"
#include "base/memory.h"
#include "json/scan.h"
#include "json/write.h"
#include "meter/impl.h"

/* One USD per token is 10^9 milli-CU per token, 10^15 per million tokens. */
enum { USD_PER_TOKEN_SCALE = 15 };

enum price_kind { PRICE_INPUT, PRICE_CACHED, PRICE_CACHE_WRITE, PRICE_OUTPUT, PRICE_REASONING, PRICE_KINDS };
static const struct {
    const char *theirs;
    const char *ours;
} price_names[PRICE_KINDS] = {
    [PRICE_INPUT] = {"input_cost_per_token", "input"},
    [PRICE_CACHED] = {"cache_read_input_token_cost", "cached"},
    [PRICE_CACHE_WRITE] = {"cache_creation_input_token_cost", "cache_write"},
    [PRICE_OUTPUT] = {"output_cost_per_token", "output"},
    [PRICE_REASONING] = {"output_cost_per_reasoning_token", "reasoning"},
};

/* What is charged by the token. Others may carry a price per token too, but it is not what their answers count. */
static const char *const token_modes[] = {"chat", "completion", "responses", "embedding", "moderation"};

/* Providers that the map has under several names. */
static const struct {
    const char *theirs;
    const char *ours;
} provider_names[] = {
    {"cohere_chat", "cohere"},
    {"text-completion-openai", "openai"},
};

struct tier {
    int64_t above;
    int64_t prices[PRICE_KINDS];                /* -1: absent */
    struct weir_span rounded_from[PRICE_KINDS]; /* the map's text; empty where the price is exact */
};

/* One entry of the map while it is read. `why` is set when it cannot be used. */
struct entry {
    const char *why;
    char key[METER_MAX_NAME_BYTES + 1]; /* decoded */
    size_t key_length;
    char provider[METER_MAX_NAME_BYTES];
    size_t provider_length;
    char source[METER_MAX_SOURCE_BYTES];
    size_t source_length;
    bool has_mode, is_token_mode, may_lack_output;
    int64_t max_input, max_output, max_tokens;
    size_t tier_count; /* tiers[0] is the row's own */
    struct tier tiers[WEIR_PRICE_MAX_TIERS];
};

struct import {
    struct weir_span source, date;
    struct weir_buffer *out, *report;
    struct weir_map *written; /* provider, NUL, model of each row so far; the keys are heap strings */
    size_t rows, rounded, skipped;
};

static struct weir_span key_of(const struct entry *entry) {
    return weir_span_of(entry->key, entry->key_length);
}

/* The tier from that many input tokens on, made where there is none yet; NULL when there are too many. They stay in
 * order. */
static struct tier *tier_above(struct entry *entry, int64_t above) {
    size_t place = 0;
    while (place < entry->tier_count && entry->tiers[place].above < above)
        place++;
    if (place < entry->tier_count && entry->tiers[place].above == above)
        return &entry->tiers[place];
    if (entry->tier_count == WEIR_PRICE_MAX_TIERS)
        return NULL;
    memmove(&entry->tiers[place + 1], &entry->tiers[place], (entry->tier_count - place) * sizeof(struct tier));
    entry->tier_count++;
    entry->tiers[place] = (struct tier){.above = above, .prices = {-1, -1, -1, -1, -1}};
    return &entry->tiers[place];
}

/* "_above_200k_tokens" after a price's name gives 200000; nothing gives 0; anything else is another kind of price. */
static bool read_threshold(struct weir_span ending, int64_t *above) {
    const struct weir_span before = WEIR_SPAN("_above_");
    const struct weir_span after = WEIR_SPAN("k_tokens");
    *above = 0;
    if (ending.length == 0)
        return true;
    if (ending.length <= before.length + after.length || !weir_span_starts_with(ending, before) ||
        !weir_span_ends_with(ending, after))
        return false;
    struct weir_span digits = weir_span_of(ending.at + before.length, ending.length - before.length - after.length);
    uint64_t thousands;
    if (weir_span_to_uint64(digits, &thousands) != WEIR_OK || thousands == 0 || thousands > 1000000000)
        return false;
    *above = (int64_t)thousands * 1000;
    return true;
}

static void read_price(struct entry *entry, struct weir_span name, const struct weir_json_found *value) {
    for (size_t kind = 0; kind < PRICE_KINDS; kind++) {
        struct weir_span theirs = weir_span_of_string(price_names[kind].theirs);
        int64_t above;
        if (!weir_span_starts_with(name, theirs) || !read_threshold(weir_span_from(name, theirs.length), &above))
            continue;
        if (value->kind == WEIR_JSON_NULL)
            return;
        struct tier *tier = tier_above(entry, above);
        int64_t price = -1;
        bool rounded = false;
        if (tier == NULL)
            entry->why = "it has more than three further tiers";
        else if (tier->prices[kind] >= 0)
            entry->why = "a price stands twice";
        else if (value->kind != WEIR_JSON_NUMBER ||
                 weir_json_scaled_int64(value->value, USD_PER_TOKEN_SCALE, &price, &rounded) != WEIR_OK || price < 0)
            entry->why = "a price is no number, below 0, or too large";
        else
            tier->prices[kind] = price;
        if (rounded && tier != NULL)
            tier->rounded_from[kind] = value->value;
        return;
    }
}

/* Token counts are a help, not money: an odd one counts as unknown. */
static int64_t read_count(const struct weir_json_found *value) {
    int64_t count;
    if (value->kind != WEIR_JSON_NUMBER || weir_json_int64(value->value, &count) != WEIR_OK || count < 0)
        return 0;
    return count;
}

static void read_text(struct entry *entry, const struct weir_json_found *value, char *out, size_t most,
                      size_t *length) {
    size_t used;
    if (value->kind == WEIR_JSON_NULL)
        return;
    if (value->kind != WEIR_JSON_STRING || weir_json_decode(value->value, out, most, &used) != WEIR_OK ||
        (used > 0 && !meter__is_name(weir_span_of(out, used), most)))
        entry->why = "its provider or source is no text, too long, or holds control bytes";
    else
        *length = used;
}

static void read_mode(struct entry *entry, const struct weir_json_found *value) {
    entry->has_mode = true;
    for (size_t i = 0; i < sizeof(token_modes) / sizeof(token_modes[0]); i++)
        if (weir_json_string_equals(value->value, weir_span_of_string(token_modes[i])))
            entry->is_token_mode = true;
    entry->may_lack_output = weir_json_string_equals(value->value, WEIR_SPAN("embedding")) ||
                             weir_json_string_equals(value->value, WEIR_SPAN("moderation"));
}

static void read_member(struct entry *entry, struct weir_span name, const struct weir_json_found *value) {
    if (weir_span_equal(name, WEIR_SPAN("litellm_provider")))
        read_text(entry, value, entry->provider, sizeof(entry->provider), &entry->provider_length);
    else if (weir_span_equal(name, WEIR_SPAN("source")))
        read_text(entry, value, entry->source, sizeof(entry->source), &entry->source_length);
    else if (weir_span_equal(name, WEIR_SPAN("mode")))
        read_mode(entry, value);
    else if (weir_span_equal(name, WEIR_SPAN("max_input_tokens")))
        entry->max_input = read_count(value);
    else if (weir_span_equal(name, WEIR_SPAN("max_output_tokens")))
        entry->max_output = read_count(value);
    else if (weir_span_equal(name, WEIR_SPAN("max_tokens")))
        entry->max_tokens = read_count(value);
    else
        read_price(entry, name, value);
}

/* A tier's missing price is that of the row; but a price that the row lacks too follows the tier's input or output. */
static void complete(struct entry *entry) {
    struct tier *base = &entry->tiers[0];
    if (entry->why != NULL)
        return;
    if (base->prices[PRICE_OUTPUT] < 0 && base->prices[PRICE_INPUT] >= 0 && entry->may_lack_output)
        base->prices[PRICE_OUTPUT] = 0;
    if (entry->has_mode && !entry->is_token_mode)
        entry->why = "its mode is not charged by the token";
    else if (base->prices[PRICE_INPUT] < 0 || base->prices[PRICE_OUTPUT] < 0)
        entry->why = "it has no price per token for both input and output";
    for (size_t i = 1; i < entry->tier_count; i++)
        for (size_t kind = 0; kind < PRICE_KINDS; kind++)
            if (entry->tiers[i].prices[kind] < 0)
                entry->tiers[i].prices[kind] = base->prices[kind];
    /* The map writes 0 where nothing is added for writing to a cache; the tokens themselves still cost as input. */
    for (size_t i = 0; i < entry->tier_count; i++)
        if (entry->tiers[i].prices[PRICE_CACHE_WRITE] == 0)
            entry->tiers[i].prices[PRICE_CACHE_WRITE] = -1;
}

static void read_entry(struct weir_span key, const struct weir_json_found *value, struct entry *entry) {
    *entry = (struct entry){.why = NULL};
    (void)tier_above(entry, 0);
    if (weir_json_decode(key, entry->key, sizeof(entry->key) - 1, &entry->key_length) != WEIR_OK ||
        !meter__is_name(key_of(entry), METER_MAX_NAME_BYTES)) {
        entry->why = "its name is empty, too long, or holds control bytes";
        entry->key_length = 0;
        return;
    }
    if (value->kind != WEIR_JSON_OBJECT) {
        entry->why = "it is no object";
        return;
    }
    size_t cursor = 0;
    struct weir_span name;
    struct weir_json_found member;
    while (entry->why == NULL && weir_json_next(value->value, &cursor, &name, &member) == WEIR_OK) {
        struct weir_span plain;
        if (weir_json_plain_string(name, &plain))
            read_member(entry, plain, &member);
    }
    complete(entry);
}

static struct weir_span our_provider(const struct entry *entry) {
    struct weir_span provider = weir_span_of(entry->provider, entry->provider_length);
    for (size_t i = 0; i < sizeof(provider_names) / sizeof(provider_names[0]); i++)
        if (weir_span_equal(provider, weir_span_of_string(provider_names[i].theirs)))
            return weir_span_of_string(provider_names[i].ours);
    return provider;
}

/* The map's names often begin with their provider ("gemini/gemini-2.5-pro"); the provider itself does not know them
 * so. */
static struct weir_span our_model(const struct entry *entry, struct weir_span provider) {
    struct weir_span model = key_of(entry);
    if (provider.length > 0 && model.length > provider.length + 1 && weir_span_starts_with(model, provider) &&
        model.at[provider.length] == '/')
        return weir_span_from(model, provider.length + 1);
    return model;
}

static void write_prices(struct weir_json_writer *writer, const struct tier *tier) {
    for (size_t kind = 0; kind < PRICE_KINDS; kind++)
        if (tier->prices[kind] >= 0)
            weir_json_member_int64(writer, price_names[kind].ours, tier->prices[kind]);
}

static void write_row(struct import *import, const struct entry *entry, struct weir_span provider,
                      struct weir_span model) {
    struct weir_json_writer writer;
    weir_buffer_append(import->out, import->rows++ > 0 ? WEIR_SPAN(",\n    ") : WEIR_SPAN("    "));
    weir_json_writer_init(&writer, import->out);
    weir_json_write_object(&writer);
    if (provider.length > 0)
        weir_json_member_string(&writer, "provider", provider);
    weir_json_member_string(&writer, "model", model);
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

static void report_rounded(struct import *import, const struct entry *entry) {
    for (size_t i = 0; i < entry->tier_count; i++) {
        const struct tier *tier = &entry->tiers[i];
        for (size_t kind = 0; kind < PRICE_KINDS; kind++) {
            if (tier->rounded_from[kind].length == 0)
                continue;
            import->rounded++;
            weir_buffer_printf(import->report, "rounded up: \"%.*s\": %s", WEIR_SPAN_PRINT(key_of(entry)),
                               price_names[kind].ours);
            if (tier->above > 0)
                weir_buffer_printf(import->report, " above %lld tokens", (long long)tier->above);
            weir_buffer_append(import->report, WEIR_SPAN(": "));
            weir_buffer_append(import->report, tier->rounded_from[kind]);
            weir_buffer_printf(import->report, " USD per token is now %lld\n", (long long)tier->prices[kind]);
        }
    }
}

static void report_skipped(struct import *import, const struct entry *entry, const char *why) {
    import->skipped++;
    weir_buffer_printf(import->report, "left out: \"%.*s\": %s\n", WEIR_SPAN_PRINT(key_of(entry)), why);
}

/* Remembers the row. WEIR_EEXIST where that provider and model have been written before. */
static enum weir_status remember(struct import *import, struct weir_span provider, struct weir_span model) {
    char both[2 * METER_MAX_NAME_BYTES + 1];
    size_t length = provider.length + 1 + model.length;
    if (provider.length > 0)
        memcpy(both, provider.at, provider.length);
    both[provider.length] = '\n'; /* names hold no control bytes */
    memcpy(both + provider.length + 1, model.at, model.length);
    if (weir_map_find(import->written, weir_span_of(both, length)) != NULL)
        return WEIR_EEXIST;
    char *kept = weir_memory_string(weir_span_of(both, length));
    if (kept == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = weir_map_put(import->written, weir_span_of(kept, length), kept, NULL);
    if (status != WEIR_OK)
        weir_memory_free(kept);
    return status;
}

static enum weir_status import_entries(struct import *import, struct weir_span map) {
    size_t cursor = 0;
    struct weir_span key;
    struct weir_json_found value;
    while (weir_json_next(map, &cursor, &key, &value) == WEIR_OK) {
        struct entry entry;
        if (weir_json_string_equals(key, WEIR_SPAN("sample_spec")))
            continue; /* the map's own description of an entry */
        read_entry(key, &value, &entry);
        if (entry.why != NULL) {
            report_skipped(import, &entry, entry.why);
            continue;
        }
        struct weir_span provider = our_provider(&entry);
        struct weir_span model = our_model(&entry, weir_span_of(entry.provider, entry.provider_length));
        enum weir_status status = import->rows < METER_MAX_PRICE_ROWS ? remember(import, provider, model) : WEIR_ELIMIT;
        if (status == WEIR_OK) {
            write_row(import, &entry, provider, model);
            report_rounded(import, &entry);
        } else if (status == WEIR_EEXIST) {
            report_skipped(import, &entry, "its provider and model have a row already");
        } else {
            return status;
        }
    }
    return WEIR_OK;
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
    if (status == WEIR_OK)
        status = import_entries(&import, root.value);
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

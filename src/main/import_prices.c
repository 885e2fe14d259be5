/* See import_prices.h. A price file is used instead of the built-in one, so it must have both. */
#include "main/import_prices.h"

#include "base/limits.h"
#include "json/write.h"
#include "meter/prices.h"

static const struct {
    const char *name;
    size_t offset;
} prices[] = {
    {"input", offsetof(struct weir_price_tier, input)},
    {"cached", offsetof(struct weir_price_tier, cached)},
    {"cache_write", offsetof(struct weir_price_tier, cache_write)},
    {"cache_write_long", offsetof(struct weir_price_tier, cache_write_long)},
    {"input_audio", offsetof(struct weir_price_tier, input_audio)},
    {"input_image", offsetof(struct weir_price_tier, input_image)},
    {"output", offsetof(struct weir_price_tier, output)},
    {"reasoning", offsetof(struct weir_price_tier, reasoning)},
    {"output_audio", offsetof(struct weir_price_tier, output_audio)},
    {"output_image", offsetof(struct weir_price_tier, output_image)},
};
enum { PRICE_COUNT = sizeof prices / sizeof *prices };
static const char *const units[] = {[WEIR_UNIT_NONE] = NULL,
                                    [WEIR_UNIT_IMAGE] = "image",
                                    [WEIR_UNIT_AUDIO_MS] = "second",
                                    [WEIR_UNIT_CHARACTER] = "character",
                                    [WEIR_UNIT_SEARCH] = "search"};

static void write_tier(struct weir_json_writer *writer, const struct weir_price_tier *tier) {
    for (size_t i = 0; i < PRICE_COUNT; i++) {
        int64_t value = *(const int64_t *)(const void *)((const char *)tier + prices[i].offset);
        if (value >= 0)
            weir_json_member_int64(writer, prices[i].name, value);
    }
}

static void write_row(struct weir_buffer *out, const struct weir_price *price, bool first) {
    struct weir_json_writer writer;
    weir_buffer_append(out, first ? WEIR_SPAN("    ") : WEIR_SPAN(",\n    "));
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    if (price->provider.length > 0)
        weir_json_member_string(&writer, "provider", price->provider);
    weir_json_member_string(&writer, "model", price->model);
    if (price->variant.length > 0)
        weir_json_member_string(&writer, "variant", price->variant);
    if (price->unit != WEIR_UNIT_NONE)
        weir_json_member_int64(&writer, units[price->unit], price->unit_price);
    write_tier(&writer, &price->tiers[0]);
    if (price->tier_count > 1) {
        weir_json_write_name(&writer, "tiers");
        weir_json_write_array(&writer);
        for (size_t i = 1; i < price->tier_count; i++) {
            weir_json_write_object(&writer);
            weir_json_member_int64(&writer, "above_input_tokens", price->tiers[i].above_input_tokens);
            write_tier(&writer, &price->tiers[i]);
            weir_json_write_end(&writer);
        }
        weir_json_write_end(&writer);
    }
    if (price->max_input_tokens > 0)
        weir_json_member_int64(&writer, "max_input_tokens", price->max_input_tokens);
    if (price->max_output_tokens > 0)
        weir_json_member_int64(&writer, "max_output_tokens", price->max_output_tokens);
    weir_json_member_string(&writer, "source", price->source);
    weir_json_member_string(&writer, "date", price->date);
    weir_json_write_end(&writer);
}

static bool overrules(const struct weir_prices *own, const struct weir_price *builtin) {
    for (size_t i = 0; i < weir_prices_count(own); i++)
        if (weir_span_equal(weir_prices_at(own, i)->provider, builtin->provider) &&
            weir_span_equal(weir_prices_at(own, i)->model, builtin->model))
            return true;
    return false;
}

enum weir_status main__import_prices(struct weir_span map, struct weir_span source, struct weir_span date,
                                     struct weir_buffer *out, struct weir_buffer *notes, struct weir_error *error) {
    struct weir_prices *own = NULL, *builtin = NULL;
    struct weir_buffer made;
    bool first = true;
    weir_buffer_init(&made, 64 * WEIR_MIB);
    enum weir_status status = weir_prices_import(map, source, date, &made, notes, error);
    if (status == WEIR_OK)
        status = weir_prices_read(weir_buffer_span(&made), &own, error);
    if (status == WEIR_OK)
        status = weir_prices_builtin(&builtin, error);
    if (status == WEIR_OK) {
        weir_buffer_append(out, WEIR_SPAN("{\n  \"format\": \"weir-prices-1\",\n  \"rows\": [\n"));
        for (size_t i = 0; i < weir_prices_count(own); i++, first = false)
            write_row(out, weir_prices_at(own, i), first);
        for (size_t i = 0; i < weir_prices_count(builtin); i++)
            if (!overrules(own, weir_prices_at(builtin, i))) {
                write_row(out, weir_prices_at(builtin, i), first);
                first = false;
            }
        weir_buffer_append(out, WEIR_SPAN("\n  ]\n}\n"));
        status = weir_buffer_status(out);
    }
    weir_prices_free(&own);
    weir_prices_free(&builtin);
    weir_buffer_release(&made);
    return status;
}

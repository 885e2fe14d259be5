/* The price table: read from our own file once, then looked up without locks or allocation.
 *
 * Reading is strict: an unknown field, a field twice, a row twice, a price that is no whole number are errors that name
 * the row, for a price that is silently wrong is worse than none. Everything lives in one arena. Rows keep the order of
 * the file; a second array of pointers, sorted by model, provider and variant, is what look-ups search.
 */
#include "meter/prices.h"

#include "base/arena.h"
#include "base/memory.h"
#include "json/scan.h"
#include "meter/impl.h"

#include <openssl/sha.h>

struct weir_prices {
    struct weir_arena *arena;
    struct weir_price *rows; /* in the order of the file */
    const struct weir_price **sorted;
    size_t count;
    char version[24];
};

/* The prices of a row or a tier, in one order everywhere: in the file's fields, in what was found, in the struct. */
#define PRICES(X)  \
    X(input)       \
    X(cached)      \
    X(cache_write) \
    X(cache_write_long) X(input_audio) X(input_image) X(output) X(reasoning) X(output_audio) X(output_image)
static const struct {
    const char *name;
    size_t offset;
} prices_of_tier[] = {
#define X(field) {#field, offsetof(struct weir_price_tier, field)},
    PRICES(X)
#undef X
};
enum { PRICE_COUNT = sizeof(prices_of_tier) / sizeof(prices_of_tier[0]) };

/* The units as the file names them, in the order of enum weir_unit, whose first is none. Sound is priced by the second
 * and counted in milliseconds. */
static const char *const unit_names[] = {"image", "second", "character", "search"};
enum { UNIT_COUNT = sizeof(unit_names) / sizeof(unit_names[0]) };
_Static_assert(WEIR_UNIT_IMAGE == 1 && WEIR_UNIT_AUDIO_MS == 2 && WEIR_UNIT_CHARACTER == 3 && WEIR_UNIT_SEARCH == 4,
               "unit_names stand in this order");

enum row_field {
    FIELD_PROVIDER,
    FIELD_MODEL,
    FIELD_VARIANT,
    FIELD_TIERS,
    FIELD_MAX_INPUT,
    FIELD_MAX_OUTPUT,
    FIELD_SOURCE,
    FIELD_DATE,
    FIELD_FIRST_UNIT,
    FIELD_FIRST_PRICE = FIELD_FIRST_UNIT + UNIT_COUNT,
    ROW_FIELDS = FIELD_FIRST_PRICE + PRICE_COUNT
};
static const struct weir_json_want row_fields[] = {
    {"provider"}, {"model"}, {"variant"}, {"tiers"},  {"max_input_tokens"}, {"max_output_tokens"},
    {"source"},   {"date"},  {"image"},   {"second"}, {"character"},        {"search"},
#define X(field) {#field},
    PRICES(X)
#undef X
};
_Static_assert(sizeof(row_fields) / sizeof(row_fields[0]) == ROW_FIELDS, "one a field");

enum tier_field { TIER_ABOVE, TIER_FIRST_PRICE, TIER_FIELDS = TIER_FIRST_PRICE + PRICE_COUNT };
static const struct weir_json_want tier_fields[] = {{"above_input_tokens"},
#define X(field) {#field},
                                                    PRICES(X)
#undef X
};
_Static_assert(sizeof(tier_fields) / sizeof(tier_fields[0]) == TIER_FIELDS, "one a field");

/* What reading a row needs to know, also for words about what is wrong with it. */
struct reader {
    struct weir_prices *prices;
    size_t row; /* from 1 */
    struct weir_error *error;
};

bool meter__is_date(struct weir_span text) {
    if (text.length != 10 || text.at[4] != '-' || text.at[7] != '-')
        return false;
    for (size_t i = 0; i < 10; i++)
        if (i != 4 && i != 7 && (text.at[i] < '0' || text.at[i] > '9'))
            return false;
    int month = (text.at[5] - '0') * 10 + text.at[6] - '0';
    int day = (text.at[8] - '0') * 10 + text.at[9] - '0';
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

bool meter__is_name(struct weir_span text, size_t most) {
    if (text.length == 0 || text.length > most)
        return false;
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7F)
            return false;
    return true;
}

static enum weir_status fail_field(const struct reader *reader, const char *field, const char *what) {
    return weir_fail(reader->error, WEIR_EINVAL, "prices: row %zu: \"%s\" %s", reader->row, field, what);
}

static enum weir_status fail_memory(struct weir_error *error) {
    return weir_fail(error, WEIR_ENOMEM, "prices: out of memory");
}

/* Finds the fields of one object and makes sure that it has no others. */
static enum weir_status scan_fields(const struct reader *reader, struct weir_span object,
                                    const struct weir_json_want *fields, size_t count, struct weir_json_found *found) {
    struct weir_json_found root;
    struct weir_json_problem problem;
    enum weir_status status = weir_json_scan(object, fields, count, found, &root, &problem);
    if (status != WEIR_OK)
        return weir_fail(reader->error, WEIR_EINVAL, "prices: row %zu: %s", reader->row, problem.text);
    if (root.kind != WEIR_JSON_OBJECT)
        return weir_fail(reader->error, WEIR_EINVAL, "prices: row %zu is %s, not an object", reader->row,
                         weir_json_kind_name(root.kind));
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        known += found[i].kind != WEIR_JSON_NONE;
    if (known == root.elements)
        return WEIR_OK;
    size_t cursor = 0;
    struct weir_span name;
    struct weir_json_found element;
    while (weir_json_next(root.value, &cursor, &name, &element) == WEIR_OK) {
        size_t i = 0;
        while (i < count && !weir_json_string_equals(name, weir_span_of_string(fields[i].path)))
            i++;
        if (i == count)
            return weir_fail(reader->error, WEIR_EINVAL, "prices: row %zu: unknown field %.*s", reader->row,
                             (int)(name.length < 80 ? name.length : 80), name.at);
    }
    return WEIR_OK;
}

static enum weir_status read_string(const struct reader *reader, const char *field, const struct weir_json_found *found,
                                    size_t most, struct weir_span *text) {
    if (found->kind == WEIR_JSON_NONE)
        return fail_field(reader, field, "is missing");
    if (found->kind != WEIR_JSON_STRING)
        return fail_field(reader, field, "must be a string");
    char *memory = weir_arena_alloc_raw(reader->prices->arena, found->value.length);
    if (memory == NULL)
        return fail_memory(reader->error);
    size_t length;
    enum weir_status status = weir_json_decode(found->value, memory, found->value.length, &length);
    if (status != WEIR_OK || !meter__is_name(weir_span_of(memory, length), most))
        return fail_field(reader, field, "is empty, too long, or holds control bytes");
    *text = weir_span_of(memory, length);
    return WEIR_OK;
}

/* A whole number from 0 up. Where the field is absent: `otherwise`, or an error where that is INT64_MIN. */
static enum weir_status read_number(const struct reader *reader, const char *field, const struct weir_json_found *found,
                                    int64_t otherwise, int64_t *number) {
    if (found->kind == WEIR_JSON_NONE) {
        if (otherwise == INT64_MIN)
            return fail_field(reader, field, "is missing");
        *number = otherwise;
        return WEIR_OK;
    }
    int64_t value = -1;
    if (found->kind != WEIR_JSON_NUMBER || weir_json_int64(found->value, &value) != WEIR_OK || value < 0)
        return fail_field(reader, field, "must be a whole number from 0 to 9223372036854775807");
    *number = value;
    return WEIR_OK;
}

/* The prices of a row or a tier; `found` are their fields. Without input and output: `otherwise`, an error where that
 * is INT64_MIN. */
static enum weir_status read_tier_prices(const struct reader *reader, const struct weir_json_found *found,
                                         int64_t otherwise, struct weir_price_tier *tier) {
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < PRICE_COUNT && status == WEIR_OK; i++) {
        size_t offset = prices_of_tier[i].offset;
        bool main_price = offset == offsetof(struct weir_price_tier, input) ||
                          offset == offsetof(struct weir_price_tier, output);
        status = read_number(reader, prices_of_tier[i].name, &found[i], main_price ? otherwise : -1,
                             (int64_t *)(void *)((char *)tier + offset));
    }
    return status;
}

static enum weir_status read_unit(const struct reader *reader, const struct weir_json_found *found,
                                  struct weir_price *price) {
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < UNIT_COUNT && status == WEIR_OK; i++) {
        if (found[i].kind == WEIR_JSON_NONE)
            continue;
        if (price->unit != WEIR_UNIT_NONE)
            return fail_field(reader, unit_names[i], "stands beside the price of another unit; a row has one at most");
        price->unit = (enum weir_unit)(i + 1);
        status = read_number(reader, unit_names[i], &found[i], INT64_MIN, &price->unit_price);
    }
    return status;
}

static enum weir_status read_tiers(const struct reader *reader, const struct weir_json_found *list,
                                   struct weir_price *price) {
    if (list->kind == WEIR_JSON_NONE)
        return WEIR_OK;
    if (list->kind != WEIR_JSON_ARRAY)
        return fail_field(reader, "tiers", "must be an array");
    if (list->elements > WEIR_PRICE_MAX_TIERS - 1)
        return fail_field(reader, "tiers", "has more than 3 elements");
    size_t cursor = 0;
    struct weir_span name;
    struct weir_json_found element;
    while (weir_json_next(list->value, &cursor, &name, &element) == WEIR_OK) {
        struct weir_json_found found[TIER_FIELDS];
        struct weir_price_tier *tier = &price->tiers[price->tier_count];
        int64_t before = tier[-1].above_input_tokens;
        enum weir_status status = scan_fields(reader, element.value, tier_fields, TIER_FIELDS, found);
        if (status == WEIR_OK)
            status = read_number(reader, "above_input_tokens", &found[TIER_ABOVE], INT64_MIN,
                                 &tier->above_input_tokens);
        if (status == WEIR_OK)
            status = read_tier_prices(reader, &found[TIER_FIRST_PRICE], INT64_MIN, tier);
        if (status != WEIR_OK)
            return status;
        if (tier->above_input_tokens <= before)
            return fail_field(reader, "above_input_tokens", "must grow from tier to tier, from above 0");
        price->tier_count++;
    }
    return WEIR_OK;
}

static enum weir_status read_row(const struct reader *reader, struct weir_span row, struct weir_price *price) {
    struct weir_json_found found[ROW_FIELDS];
    enum weir_status status = scan_fields(reader, row, row_fields, ROW_FIELDS, found);
    if (status == WEIR_OK && found[FIELD_PROVIDER].kind != WEIR_JSON_NONE)
        status = read_string(reader, "provider", &found[FIELD_PROVIDER], METER_MAX_NAME_BYTES, &price->provider);
    if (status == WEIR_OK)
        status = read_string(reader, "model", &found[FIELD_MODEL], METER_MAX_NAME_BYTES, &price->model);
    if (status == WEIR_OK && found[FIELD_VARIANT].kind != WEIR_JSON_NONE)
        status = read_string(reader, "variant", &found[FIELD_VARIANT], METER_MAX_NAME_BYTES, &price->variant);
    if (status == WEIR_OK)
        status = read_string(reader, "source", &found[FIELD_SOURCE], METER_MAX_SOURCE_BYTES, &price->source);
    if (status == WEIR_OK)
        status = read_string(reader, "date", &found[FIELD_DATE], METER_MAX_NAME_BYTES, &price->date);
    if (status == WEIR_OK && !meter__is_date(price->date))
        status = fail_field(reader, "date", "must be YYYY-MM-DD");
    if (status == WEIR_OK)
        status = read_number(reader, "max_input_tokens", &found[FIELD_MAX_INPUT], 0, &price->max_input_tokens);
    if (status == WEIR_OK)
        status = read_number(reader, "max_output_tokens", &found[FIELD_MAX_OUTPUT], 0, &price->max_output_tokens);
    if (status == WEIR_OK)
        status = read_unit(reader, &found[FIELD_FIRST_UNIT], price);
    /* What is charged by a unit need not be charged by the token too. */
    if (status == WEIR_OK)
        status = read_tier_prices(reader, &found[FIELD_FIRST_PRICE], price->unit != WEIR_UNIT_NONE ? 0 : INT64_MIN,
                                  &price->tiers[0]);
    if (status != WEIR_OK)
        return status;
    price->tier_count = 1;
    return read_tiers(reader, &found[FIELD_TIERS], price);
}

static int compare_spans(struct weir_span a, struct weir_span b) {
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.at, b.at, shorter) : 0;
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

static int compare_names(const struct weir_price *a, const struct weir_price *b) {
    int order = compare_spans(a->model, b->model);
    if (order == 0)
        order = compare_spans(a->provider, b->provider);
    return order != 0 ? order : compare_spans(a->variant, b->variant);
}

static int compare_rows(const void *left, const void *right) {
    const struct weir_price *a = *(const struct weir_price *const *)left;
    const struct weir_price *b = *(const struct weir_price *const *)right;
    return compare_names(a, b);
}

static enum weir_status sort_rows(struct weir_prices *prices, struct weir_error *error) {
    for (size_t i = 0; i < prices->count; i++)
        prices->sorted[i] = &prices->rows[i];
    qsort(prices->sorted, prices->count, sizeof(const struct weir_price *), compare_rows);
    for (size_t i = 1; i < prices->count; i++) {
        if (compare_rows(&prices->sorted[i - 1], &prices->sorted[i]) != 0)
            continue;
        const struct weir_price *price = prices->sorted[i];
        size_t one = (size_t)(prices->sorted[i - 1] - prices->rows) + 1;
        size_t other = (size_t)(price - prices->rows) + 1;
        return weir_fail(error, WEIR_EINVAL,
                         "prices: rows %zu and %zu are both for \"model\" %.*s of provider \"%.*s\"%s%.*s",
                         one < other ? one : other, one < other ? other : one, WEIR_SPAN_PRINT(price->model),
                         WEIR_SPAN_PRINT(price->provider), price->variant.length > 0 ? ", variant " : "",
                         WEIR_SPAN_PRINT(price->variant));
    }
    return WEIR_OK;
}

static void make_version(struct weir_prices *prices, struct weir_span text) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    (void)SHA256((const unsigned char *)text.at, text.length, hash);
    struct weir_span newest = prices->rows[0].date;
    for (size_t i = 1; i < prices->count; i++)
        if (compare_spans(prices->rows[i].date, newest) > 0)
            newest = prices->rows[i].date;
    (void)snprintf(prices->version, sizeof(prices->version), "%.*s.%02x%02x%02x%02x", WEIR_SPAN_PRINT(newest), hash[0],
                   hash[1], hash[2], hash[3]);
}

static enum weir_status read_rows(struct weir_prices *prices, const struct weir_json_found *list,
                                  struct weir_error *error) {
    struct reader reader = {.prices = prices, .row = 0, .error = error};
    prices->rows = weir_arena_array(prices->arena, list->elements, sizeof(struct weir_price));
    prices->sorted = weir_arena_array(prices->arena, list->elements, sizeof(const struct weir_price *));
    if (prices->rows == NULL || prices->sorted == NULL)
        return fail_memory(error);
    size_t cursor = 0;
    struct weir_span name;
    struct weir_json_found element;
    while (weir_json_next(list->value, &cursor, &name, &element) == WEIR_OK) {
        struct weir_price *price = &prices->rows[reader.row++];
        price->provider = price->variant = weir_span_of("", 0);
        enum weir_status status = read_row(&reader, element.value, price);
        if (status != WEIR_OK)
            return status;
    }
    prices->count = reader.row;
    return WEIR_OK;
}

static size_t line_of(struct weir_span text, size_t offset) {
    size_t line = 1;
    for (size_t i = 0; i < offset && i < text.length; i++)
        line += text.at[i] == '\n';
    return line;
}

enum weir_status weir_prices_read(struct weir_span text, struct weir_prices **prices, struct weir_error *error) {
    static const struct weir_json_want wants[] = {{"format"}, {"rows"}};
    struct weir_json_found found[2];
    struct weir_json_found root;
    struct weir_json_problem problem;
    if (text.length > METER_MAX_PRICE_FILE_BYTES)
        return weir_fail(error, WEIR_ELIMIT, "prices: the file is larger than %zu bytes", METER_MAX_PRICE_FILE_BYTES);
    if (weir_json_scan(text, wants, 2, found, &root, &problem) != WEIR_OK)
        return weir_fail(error, WEIR_EINVAL, "prices: line %zu: %s", line_of(text, problem.offset), problem.text);
    if (found[0].kind != WEIR_JSON_STRING || !weir_json_string_equals(found[0].value, WEIR_SPAN(METER_PRICE_FORMAT)))
        return weir_fail(error, WEIR_EINVAL, "prices: \"format\" must be \"%s\"", METER_PRICE_FORMAT);
    if (found[1].kind != WEIR_JSON_ARRAY || found[1].elements == 0)
        return weir_fail(error, WEIR_EINVAL, "prices: \"rows\" must be an array with at least one row");
    if (root.elements != 2)
        return weir_fail(error, WEIR_EINVAL, "prices: unknown field beside \"format\" and \"rows\"");
    if (found[1].elements > METER_MAX_PRICE_ROWS)
        return weir_fail(error, WEIR_ELIMIT, "prices: more than %zu rows", METER_MAX_PRICE_ROWS);

    struct weir_prices *made = weir_memory_new(1, sizeof(*made));
    if (made == NULL)
        return fail_memory(error);
    /* Each row, its pointer, and its strings with their alignment; then something for the arena's own rounding. */
    size_t most = found[1].elements * (sizeof(struct weir_price) + sizeof(struct weir_price *) + (size_t)64) +
                  text.length + 64 * WEIR_KIB;
    made->arena = weir_arena_new(0, most);
    enum weir_status status = made->arena != NULL ? WEIR_OK : fail_memory(error);
    if (status == WEIR_OK)
        status = read_rows(made, &found[1], error);
    if (status == WEIR_OK)
        status = sort_rows(made, error);
    if (status != WEIR_OK) {
        weir_prices_free(&made);
        return status;
    }
    make_version(made, text);
    *prices = made;
    return WEIR_OK;
}

enum weir_status weir_prices_builtin(struct weir_prices **prices, struct weir_error *error) {
    return weir_prices_read(weir_span_of((const char *)meter__builtin_prices, meter__builtin_prices_length), prices,
                            error);
}

void weir_prices_free(struct weir_prices **prices) {
    if (*prices == NULL)
        return;
    weir_arena_free(&(*prices)->arena);
    weir_memory_free(*prices);
    *prices = NULL;
}

struct weir_span weir_prices_version(const struct weir_prices *prices) {
    return weir_span_of_string(prices->version);
}

size_t weir_prices_count(const struct weir_prices *prices) {
    return prices->count;
}

const struct weir_price *weir_prices_at(const struct weir_prices *prices, size_t index) {
    weir_bug_on(index >= prices->count);
    return &prices->rows[index];
}

static const struct weir_price *find_exactly(const struct weir_prices *prices, struct weir_span provider,
                                             struct weir_span model, struct weir_span variant) {
    const struct weir_price wanted = {.provider = provider, .model = model, .variant = variant};
    size_t low = 0;
    size_t high = prices->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct weir_price *price = prices->sorted[middle];
        int order = compare_names(price, &wanted);
        if (order == 0)
            return price;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static const struct weir_price *find_model(const struct weir_prices *prices, struct weir_span provider,
                                           struct weir_span model, struct weir_span variant) {
    const struct weir_price *price = find_exactly(prices, provider, model, variant);
    return price != NULL || provider.length == 0 ? price : find_exactly(prices, weir_span_of("", 0), model, variant);
}

size_t meter__date_ending(struct weir_span model) {
    if (model.length > 11 && model.at[model.length - 11] == '-' &&
        meter__is_date(weir_span_from(model, model.length - 10)))
        return 11;
    if (model.length <= 9 || model.at[model.length - 9] != '-')
        return 0;
    const char *digits = model.at + model.length - 8;
    const char date[10] = {digits[0], digits[1], digits[2], digits[3], '-',
                           digits[4], digits[5], '-',       digits[6], digits[7]};
    return meter__is_date(weir_span_of(date, sizeof(date))) ? 9 : 0;
}

static const struct weir_price *find_dated(const struct weir_prices *prices, struct weir_span provider,
                                           struct weir_span model, struct weir_span variant) {
    const struct weir_price *price = find_model(prices, provider, model, variant);
    if (price != NULL)
        return price;
    size_t ending = meter__date_ending(model);
    return ending > 0 ? find_model(prices, provider, weir_span_first(model, model.length - ending), variant) : NULL;
}

const struct weir_price *weir_prices_find(const struct weir_prices *prices, struct weir_span provider,
                                          struct weir_span model) {
    return find_dated(prices, provider, model, weir_span_of("", 0));
}

const struct weir_price *weir_prices_find_variant(const struct weir_prices *prices, struct weir_span provider,
                                                  struct weir_span model, struct weir_span variant) {
    const struct weir_price *price = NULL;
    struct weir_span quality, size;
    if (variant.length > 0)
        price = find_dated(prices, provider, model, variant);
    if (price == NULL && weir_span_split(variant, '/', &quality, &size) && size.length > 0)
        price = find_dated(prices, provider, model, size);
    return price != NULL ? price : weir_prices_find(prices, provider, model);
}

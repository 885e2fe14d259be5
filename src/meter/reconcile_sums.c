/* Sums of an export by day and model, and the numbers and times that they are made of.
 *
 * Amounts are kept in units of 10^-24 USD in 128 bits and rounded to a milli-CU once, when all are there: a file of a hundred thousand rows of a
 * thousandth of a milli-CU each is worth a hundred milli-CU, not nothing. No floating point anywhere: what a provider writes as 1.2e-05 is read digit by digit.
 */
#include "meter/reconcile_impl.h"

#include "base/arithmetic.h"
#include "base/clock.h"
#include "base/map.h"

static const int64_t day_us = INT64_C(86400) * 1000000;
enum { AMOUNT_PLACES = 24, WHOLE_PLACES = 12, MILLI_CU_PLACES = 9, KEY_DAY_BYTES = 8 };

/* --- numbers --- */

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* The digits of a decimal with their place: "12.5" is the digits 125 with the last one at place -1. */
struct decimal {
    struct weir_span whole, fraction;
    int64_t exponent;
    bool negative;
};

static bool take_digits(struct weir_span *rest, struct weir_span *digits) {
    size_t length = 0;
    while (length < rest->length && is_digit(rest->at[length]))
        length++;
    *digits = weir_span_first(*rest, length);
    *rest = weir_span_from(*rest, length);
    return length > 0;
}

static bool take(struct weir_span *rest, const char *any) {
    if (rest->length == 0 || rest->at[0] == '\0' || strchr(any, rest->at[0]) == NULL)
        return false;
    *rest = weir_span_from(*rest, 1);
    return true;
}

static bool split_decimal(struct weir_span text, struct decimal *decimal) {
    enum { MOST = 9999 };
    struct weir_span rest = text, digits = {.at = "", .length = 0};
    *decimal = (struct decimal){.negative = take(&rest, "-")};
    if (!take_digits(&rest, &decimal->whole) || (take(&rest, ".") && !take_digits(&rest, &decimal->fraction)))
        return false;
    if (take(&rest, "eE")) {
        bool below = take(&rest, "-");
        uint64_t exponent = 0;
        if ((!below && take(&rest, "+") && rest.length == 0) || !take_digits(&rest, &digits) ||
            weir_span_to_uint64(digits, &exponent) != WEIR_OK || exponent > MOST)
            return false;
        decimal->exponent = below ? -(int64_t)exponent : (int64_t)exponent;
    }
    return rest.length == 0;
}

/* One more digit, of that place; those behind the last place that counts are passed over. */
static bool add_digit(meter__wide *value, char digit, int64_t place) {
    if (place < -AMOUNT_PLACES)
        return true;
    if (place >= WHOLE_PLACES)
        return digit == '0' && *value == 0; /* zeros in front */
    *value = *value * 10 + (digit - '0');   /* below 10^36 */
    return true;
}

enum weir_status meter__amount(struct weir_span text, int shift, meter__wide *amount) {
    struct decimal decimal;
    meter__wide value = 0;
    if (!split_decimal(text, &decimal))
        return WEIR_EINVAL;
    int64_t place = (int64_t)decimal.whole.length - 1 + decimal.exponent + shift;
    for (size_t i = 0; i < decimal.whole.length; i++, place--)
        if (!add_digit(&value, decimal.whole.at[i], place))
            return WEIR_ELIMIT;
    for (size_t i = 0; i < decimal.fraction.length; i++, place--)
        if (!add_digit(&value, decimal.fraction.at[i], place))
            return WEIR_ELIMIT;
    if (value != 0) /* so its last digit stands below the limit */
        for (place++; place > -AMOUNT_PLACES; place--)
            value *= 10;
    *amount = decimal.negative ? -value : value;
    return WEIR_OK;
}

static int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

enum weir_status meter__when(struct weir_span text, struct meter__item *item) {
    enum { DATE = 10 };
    static const int64_t last_s = INT64_C(253402300799); /* of the year 9999 */
    char with_zone[40];
    uint64_t seconds;
    item->has_time = !(text.length == DATE && meter__is_date(text));
    if (item->has_time && weir_span_to_uint64(text, &seconds) == WEIR_OK) {
        if (seconds > (uint64_t)last_s)
            return WEIR_EINVAL;
        item->utc_us = (int64_t)seconds * 1000000;
        return WEIR_OK;
    }
    enum weir_status status = weir_clock_parse_utc(text, &item->utc_us);
    if (status != WEIR_OK && text.length < sizeof with_zone - 1) { /* "2026-11-01T00:00:00" */
        memcpy(with_zone, text.at, text.length);
        with_zone[text.length] = 'Z';
        status = weir_clock_parse_utc(weir_span_of(with_zone, text.length + 1), &item->utc_us);
    }
    item->day = floor_divide(item->utc_us, day_us);
    return status;
}

const char *meter__shown(struct weir_span text, char out[METER__SHOWN_SIZE]) {
    enum { MOST = 40 };
    size_t length = text.length < MOST ? text.length : MOST;
    for (size_t i = 0; i < length; i++)
        out[i] = text.at[i] >= 0x20 && text.at[i] < 0x7f ? text.at[i] : '?';
    if (text.length > MOST) {
        memcpy(out + length, "...", 3);
        length += 3;
    }
    out[length] = '\0';
    return out;
}

/* --- days --- */

int64_t weir_export_day(const struct weir_zone *zone, int64_t utc_us) {
    int64_t offset_us = zone != NULL ? (int64_t)weir_zone_offset(zone, utc_us) * 1000000 : 0;
    return floor_divide(utc_us + offset_us, day_us);
}

/* The offset that holds at midnight is found by trying it: the one of a while before may be another. */
int64_t weir_export_day_begins(const struct weir_zone *zone, int64_t day) {
    int64_t local = day * day_us, utc = local;
    for (unsigned i = 0; zone != NULL && i < 2; i++)
        utc = local - (int64_t)weir_zone_offset(zone, utc) * 1000000;
    return utc;
}

/* --- sums --- */

struct group {
    struct weir_export_row row;
    meter__wide amount;
};
struct meter__sums {
    struct weir_arena *arena;
    const struct weir_zone *zone;
    struct weir_map *map; /* struct group, by day and model */
    unsigned figures;
    int64_t first_day, last_day;
    size_t read;
    bool any_day, names_models;
};

static void free_map(void *context) {
    struct meter__sums *sums = context;
    weir_map_free(&sums->map);
}

enum weir_status meter__sums_new(struct weir_arena *arena, const struct weir_zone *zone, struct meter__sums **sums) {
    struct meter__sums *made = weir_arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return WEIR_ENOMEM;
    *made = (struct meter__sums){.arena = arena, .zone = zone, .map = weir_map_new(0)};
    if (made->map == NULL)
        return WEIR_ENOMEM;
    if (weir_arena_defer(arena, free_map, made) != WEIR_OK) {
        weir_map_free(&made->map);
        return WEIR_ENOMEM;
    }
    *sums = made;
    return WEIR_OK;
}

static enum weir_status find_group(struct meter__sums *sums, int64_t day, struct weir_span model,
                                   struct group **found) {
    char key[KEY_DAY_BYTES + METER_MAX_NAME_BYTES];
    weir_bug_on(model.length > METER_MAX_NAME_BYTES);
    memcpy(key, &day, KEY_DAY_BYTES);
    if (model.length > 0)
        memcpy(key + KEY_DAY_BYTES, model.at, model.length);
    struct weir_span asked = weir_span_of(key, KEY_DAY_BYTES + model.length), kept;
    *found = weir_map_find(sums->map, asked);
    if (*found != NULL)
        return WEIR_OK;
    struct group *group = weir_arena_alloc(sums->arena, sizeof *group);
    if (group == NULL || weir_arena_dup(sums->arena, asked, &kept) != WEIR_OK)
        return WEIR_ENOMEM;
    group->row.day = day;
    group->row.model = weir_span_from(kept, KEY_DAY_BYTES);
    *found = group;
    return weir_map_put(sums->map, kept, group, NULL);
}

static enum weir_status note_day(struct meter__sums *sums, int64_t day, struct weir_error *error) {
    int64_t first = sums->any_day && sums->first_day < day ? sums->first_day : day;
    int64_t last = sums->any_day && sums->last_day > day ? sums->last_day : day;
    if (last - first >= WEIR_EXPORT_MAX_DAYS)
        return weir_fail(error, WEIR_ELIMIT, "the days of the file are more than a year apart");
    sums->any_day = true;
    sums->first_day = first;
    sums->last_day = last;
    return WEIR_OK;
}

static bool add_figures(struct weir_figures *sum, const struct weir_figures *more) {
    return weir_add_int64(sum->requests, more->requests, &sum->requests) &&
           weir_add_int64(sum->input, more->input, &sum->input) &&
           weir_add_int64(sum->cached, more->cached, &sum->cached) &&
           weir_add_int64(sum->output, more->output, &sum->output) &&
           weir_add_int64(sum->cost_cu_milli, more->cost_cu_milli, &sum->cost_cu_milli);
}

enum weir_status meter__sums_add(struct meter__sums *sums, const struct meter__item *item, struct weir_error *error) {
    int64_t day = item->has_time ? weir_export_day(sums->zone, item->utc_us) : item->day;
    struct group *group = NULL;
    enum weir_status status = note_day(sums, day, error);
    if (status != WEIR_OK || item->figures == 0)
        return status;
    if (find_group(sums, day, item->model, &group) != WEIR_OK)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the file's sums");
    const struct weir_figures figures = {item->requests, item->input, item->cached, item->output, 0};
    if (!add_figures(&group->row.figures, &figures) ||
        __builtin_add_overflow(group->amount, item->amount, &group->amount))
        return weir_fail(error, WEIR_ELIMIT, "the sums of this day are too large");
    sums->figures |= item->figures;
    sums->names_models = sums->names_models || item->model.length > 0;
    sums->read++;
    return WEIR_OK;
}

/* To the nearest milli-CU, half of one away from zero. False: beyond 64 bits. */
static bool round_amount(meter__wide amount, int64_t *cu_milli) {
    meter__wide unit = 1;
    for (unsigned i = MILLI_CU_PLACES; i < AMOUNT_PLACES; i++)
        unit *= 10;
    meter__wide rounded = amount / unit, left = amount % unit;
    if (left >= unit / 2)
        rounded++;
    if (left <= -(unit / 2))
        rounded--;
    if (rounded > INT64_MAX || rounded < -INT64_MAX)
        return false;
    *cu_milli = (int64_t)rounded;
    return true;
}

static int compare_rows(const void *left, const void *right) {
    const struct weir_export_row *a = left, *b = right;
    if (a->day != b->day)
        return a->day < b->day ? -1 : 1;
    size_t shorter = a->model.length < b->model.length ? a->model.length : b->model.length;
    int order = memcmp(a->model.at, b->model.at, shorter);
    if (order != 0)
        return order;
    return (a->model.length > b->model.length) - (a->model.length < b->model.length);
}

enum weir_status meter__sums_finish(struct meter__sums *sums, struct weir_export *export, struct weir_error *error) {
    size_t count = weir_map_count(sums->map), cursor = 0, used = 0;
    struct weir_export_row *rows = weir_arena_array(sums->arena, count, sizeof *rows);
    struct weir_span key;
    void *value;
    if (!sums->any_day)
        return weir_fail(error, WEIR_EINVAL, "the file tells of no day");
    if (rows == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the file's sums");
    while (weir_map_next(sums->map, &cursor, &key, &value)) {
        const struct group *group = value;
        rows[used] = group->row;
        if (!round_amount(group->amount, &rows[used].figures.cost_cu_milli))
            return weir_fail(error, WEIR_ELIMIT, "the costs of a day are too large");
        used++;
    }
    if (used > 0)
        qsort(rows, used, sizeof *rows, compare_rows);
    export->figures = sums->figures;
    export->first_day = sums->first_day;
    export->last_day = sums->last_day;
    export->names_models = sums->names_models;
    export->read = sums->read;
    export->count = used;
    export->rows = rows;
    return WEIR_OK;
}

/* --- the door --- */

static const char *const format_names[] = {"auto", "openai", "anthropic"};

const char *weir_export_format_name(enum weir_export_format format) {
    return format_names[format];
}

bool weir_export_format_from_name(struct weir_span name, enum weir_export_format *format) {
    for (size_t i = 0; i < sizeof format_names / sizeof *format_names; i++)
        if (weir_span_equal(name, weir_span_of_string(format_names[i]))) {
            *format = (enum weir_export_format)i;
            return true;
        }
    return false;
}

enum weir_status weir_export_read(struct weir_arena *arena, struct weir_span text, enum weir_export_format format,
                                  const struct weir_zone *zone, struct weir_export *export, struct weir_error *error) {
    struct meter__sums *sums = NULL;
    struct weir_export made = {.format = format};
    size_t first = weir_span_starts_with(text, WEIR_SPAN("\xEF\xBB\xBF")) ? 3 : 0;
    if (text.length > WEIR_EXPORT_MAX_BYTES)
        return weir_fail(error, WEIR_ELIMIT, "the file is larger than 16 MiB");
    if (meter__sums_new(arena, zone, &sums) != WEIR_OK)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the file's sums");
    while (first < text.length && strchr(" \t\r\n", text.at[first]) != NULL && text.at[first] != '\0')
        first++;
    bool json = first < text.length && (text.at[first] == '{' || text.at[first] == '[');
    enum weir_status status = json ? meter__export_json(text, sums, &made, error)
                                   : meter__export_csv(text, sums, &made, error);
    if (status == WEIR_OK)
        status = meter__sums_finish(sums, &made, error);
    if (status == WEIR_OK)
        *export = made;
    return status;
}

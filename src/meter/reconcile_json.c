/* The JSON of the providers' usage and cost endpoints: pages of buckets of results.
 *
 * Both providers answer {"data":[bucket,…],"has_more":…}; OpenAI's buckets have start_time in seconds, Anthropic's starting_at in RFC 3339. What a result
 * is follows from its members. Several pages may stand in one array. Numbers are read from their texts, so nothing passes through floating point.
 */
#include "meter/reconcile_impl.h"

#include "json/scan.h"

/* The whole text, to tell where something stands. */
struct reader {
    struct weir_span text;
    struct meter__sums *sums;
    struct weir_export *export;
    struct weir_error *error;
    size_t results;
};

static enum weir_status fail_at(const struct reader *reader, const char *at, enum weir_status status,
                                const char *what) {
    size_t line = 1, column = 1;
    for (const char *byte = reader->text.at; byte < at; byte++) {
        column = *byte == '\n' ? 1 : column + 1;
        line += *byte == '\n';
    }
    return weir_fail(reader->error, status, "line %zu, column %zu: %s", line, column, what);
}

static enum weir_status fail_value(const struct reader *reader, const char *name, const struct weir_json_found *found,
                                   const char *expected) {
    char shown[METER__SHOWN_SIZE], words[160];
    (void)snprintf(words, sizeof words, "%s: expected %s, got %s", name, expected, meter__shown(found->value, shown));
    return fail_at(reader, found->value.at, WEIR_EINVAL, words);
}

/* The members of one object; none of them may stand twice. */
static enum weir_status members(const struct reader *reader, struct weir_span object,
                                const struct weir_json_want *wants, size_t count, struct weir_json_found *found) {
    struct weir_json_problem problem;
    enum weir_status status = weir_json_scan(object, wants, count, found, NULL, &problem);
    return status == WEIR_OK ? WEIR_OK : fail_at(reader, object.at + problem.offset, status, problem.text);
}

static bool is_there(const struct weir_json_found *found) {
    return found->kind != WEIR_JSON_NONE && found->kind != WEIR_JSON_NULL;
}

/* --- results --- */

enum member {
    MEMBER_MODEL,
    MEMBER_LINE_ITEM,
    MEMBER_REQUESTS,
    MEMBER_INPUT,
    MEMBER_CACHED,
    MEMBER_OUTPUT,
    MEMBER_UNCACHED,
    MEMBER_READ,
    MEMBER_WRITE_5M,
    MEMBER_WRITE_1H,
    MEMBER_FLAT_5M,
    MEMBER_FLAT_1H,
    MEMBER_AMOUNT,
    MEMBER_VALUE,
    MEMBER_VALUE_CURRENCY,
    MEMBER_CURRENCY,
    MEMBERS
};
static const struct weir_json_want result_members[MEMBERS] = {
    [MEMBER_MODEL] = {"model"},
    [MEMBER_LINE_ITEM] = {"line_item"},
    [MEMBER_REQUESTS] = {"num_model_requests"},
    [MEMBER_INPUT] = {"input_tokens"},
    [MEMBER_CACHED] = {"input_cached_tokens"},
    [MEMBER_OUTPUT] = {"output_tokens"},
    [MEMBER_UNCACHED] = {"uncached_input_tokens"},
    [MEMBER_READ] = {"cache_read_input_tokens"},
    [MEMBER_WRITE_5M] = {"cache_creation.ephemeral_5m_input_tokens"},
    [MEMBER_WRITE_1H] = {"cache_creation.ephemeral_1h_input_tokens"},
    [MEMBER_FLAT_5M] = {"cache_creation_5m_input_tokens"},
    [MEMBER_FLAT_1H] = {"cache_creation_1h_input_tokens"},
    [MEMBER_AMOUNT] = {"amount"},
    [MEMBER_VALUE] = {"amount.value"},
    [MEMBER_VALUE_CURRENCY] = {"amount.currency"},
    [MEMBER_CURRENCY] = {"currency"},
};

static enum weir_status read_count(const struct reader *reader, const struct weir_json_found found[MEMBERS],
                                   enum member member, int64_t *count, bool *any) {
    *count = 0;
    if (!is_there(&found[member]))
        return WEIR_OK;
    if (found[member].kind != WEIR_JSON_NUMBER || weir_json_int64(found[member].value, count) != WEIR_OK ||
        *count < 0 || *count > INT64_MAX / 8)
        return fail_value(reader, result_members[member].path, &found[member], "a whole number");
    *any = true;
    return WEIR_OK;
}

static enum weir_status read_counts(const struct reader *reader, const struct weir_json_found found[MEMBERS],
                                    struct meter__item *item) {
    int64_t parts[6] = {0};
    const struct {
        enum member member;
        enum weir_export_figure figure;
        int64_t *value;
    } counts[] = {
        {MEMBER_REQUESTS, WEIR_EXPORT_REQUESTS, &item->requests}, {MEMBER_INPUT, WEIR_EXPORT_INPUT, &item->input},
        {MEMBER_CACHED, WEIR_EXPORT_CACHED, &item->cached},       {MEMBER_OUTPUT, WEIR_EXPORT_OUTPUT, &item->output},
        {MEMBER_UNCACHED, WEIR_EXPORT_INPUT, &parts[0]},          {MEMBER_READ, WEIR_EXPORT_CACHED, &parts[1]},
        {MEMBER_WRITE_5M, WEIR_EXPORT_INPUT, &parts[2]},          {MEMBER_WRITE_1H, WEIR_EXPORT_INPUT, &parts[3]},
        {MEMBER_FLAT_5M, WEIR_EXPORT_INPUT, &parts[4]},           {MEMBER_FLAT_1H, WEIR_EXPORT_INPUT, &parts[5]}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        bool any = false;
        enum weir_status status = read_count(reader, found, counts[i].member, counts[i].value, &any);
        if (status != WEIR_OK)
            return status;
        item->figures |= any ? (unsigned)counts[i].figure : 0;
    }
    if (reader->export->format == WEIR_EXPORT_ANTHROPIC) { /* input is told in parts: each is below 2^60 */
        item->input = parts[0] + parts[1] + parts[2] + parts[3] + parts[4] + parts[5];
        item->cached = parts[1];
    }
    return WEIR_OK;
}

/* OpenAI's {"value":0.06,"currency":"usd"}; Anthropic's "123.45", of cents. */
static enum weir_status read_amount(const struct reader *reader, const struct weir_json_found found[MEMBERS],
                                    struct meter__item *item) {
    enum { OF_CENTS = -2 };
    bool cents = reader->export->format == WEIR_EXPORT_ANTHROPIC;
    enum member member = cents ? MEMBER_AMOUNT : MEMBER_VALUE;
    const struct weir_json_found *amount = &found[member],
                                 *currency = &found[cents ? MEMBER_CURRENCY : MEMBER_VALUE_CURRENCY];
    struct weir_span text = amount->value;
    if (!is_there(&found[MEMBER_AMOUNT]))
        return WEIR_OK;
    bool is_text = amount->kind == WEIR_JSON_STRING && weir_json_plain_string(amount->value, &text);
    if (!is_text && amount->kind != WEIR_JSON_NUMBER)
        return fail_value(reader, result_members[member].path,
                          amount->kind == WEIR_JSON_NONE ? &found[MEMBER_AMOUNT] : amount, "an amount");
    if (is_there(currency) && !weir_json_string_equals(currency->value, WEIR_SPAN("usd")) &&
        !weir_json_string_equals(currency->value, WEIR_SPAN("USD")))
        return fail_value(reader, "currency", currency, "\"usd\"");
    if (meter__amount(text, cents ? OF_CENTS : 0, &item->amount) != WEIR_OK)
        return fail_value(reader, result_members[member].path, amount, "an amount like 12.345");
    item->figures |= WEIR_EXPORT_COST;
    return WEIR_OK;
}

static enum weir_status read_model(const struct reader *reader, const struct weir_json_found found[MEMBERS],
                                   struct meter__item *item, char model[METER_MAX_NAME_BYTES]) {
    bool line_item = !is_there(&found[MEMBER_MODEL]);
    const struct weir_json_found *name = &found[line_item ? MEMBER_LINE_ITEM : MEMBER_MODEL];
    size_t length = 0;
    if (!is_there(name))
        return WEIR_OK;
    if (name->kind != WEIR_JSON_STRING ||
        weir_json_decode(name->value, model, METER_MAX_NAME_BYTES, &length) != WEIR_OK)
        return fail_value(reader, line_item ? "line_item" : "model", name, "a name of at most 200 bytes");
    item->model = weir_span_trim(weir_span_of(model, length));
    if (line_item)
        item->model = weir_span_trim(weir_span_first(item->model, weir_span_index(item->model, ',')));
    if (item->model.length > 0 && !meter__is_name(item->model, METER_MAX_NAME_BYTES))
        return fail_value(reader, line_item ? "line_item" : "model", name, "a name without control characters");
    return WEIR_OK;
}

static enum weir_status read_result(struct reader *reader, const struct weir_json_found *result,
                                    const struct meter__item *bucket) {
    struct weir_json_found found[MEMBERS];
    struct meter__item item = *bucket;
    char model[METER_MAX_NAME_BYTES];
    struct weir_error inner = {.text = ""};
    if (result->kind != WEIR_JSON_OBJECT)
        return fail_value(reader, "results", result, "an object");
    if (++reader->results > WEIR_EXPORT_MAX_ROWS)
        return fail_at(reader, result->value.at, WEIR_ELIMIT, "more than 200000 results");
    enum weir_status status = members(reader, result->value, result_members, MEMBERS, found);
    if (status == WEIR_OK)
        status = read_counts(reader, found, &item);
    if (status == WEIR_OK)
        status = read_amount(reader, found, &item);
    if (status == WEIR_OK)
        status = read_model(reader, found, &item, model);
    if (status != WEIR_OK)
        return status;
    status = meter__sums_add(reader->sums, &item, &inner);
    return status == WEIR_OK ? WEIR_OK : fail_at(reader, result->value.at, status, inner.text);
}

/* --- buckets and pages --- */

typedef enum weir_status (*element_run)(struct reader *reader, const struct weir_json_found *element,
                                        const struct meter__item *bucket);

static enum weir_status each_element(struct reader *reader, const struct weir_json_found *list, element_run run,
                                     const struct meter__item *bucket) {
    size_t cursor = 0;
    struct weir_span name;
    struct weir_json_found element;
    for (;;) {
        enum weir_status status = weir_json_next(list->value, &cursor, &name, &element);
        if (status == WEIR_END)
            return WEIR_OK;
        if (status == WEIR_OK)
            status = run(reader, &element, bucket);
        if (status != WEIR_OK)
            return status;
    }
}

static enum weir_status read_time(struct reader *reader, const struct weir_json_found *time,
                                  enum weir_export_format format, struct meter__item *bucket) {
    struct weir_span text = time->value;
    bool right = format == WEIR_EXPORT_OPENAI
                     ? time->kind == WEIR_JSON_NUMBER
                     : time->kind == WEIR_JSON_STRING && weir_json_plain_string(time->value, &text);
    if (reader->export->format != WEIR_EXPORT_AUTO && reader->export->format != format)
        return fail_at(reader, time->value.at, WEIR_EINVAL,
                       format == WEIR_EXPORT_OPENAI ? "start_time is of OpenAI's buckets, not of Anthropic's"
                                                    : "starting_at is of Anthropic's buckets, not of OpenAI's");
    if (!right || meter__when(text, bucket) != WEIR_OK)
        return fail_value(reader, format == WEIR_EXPORT_OPENAI ? "start_time" : "starting_at", time,
                          format == WEIR_EXPORT_OPENAI ? "seconds since 1970" : "a time");
    reader->export->format = format;
    return WEIR_OK;
}

static enum weir_status read_bucket(struct reader *reader, const struct weir_json_found *bucket,
                                    const struct meter__item *none) {
    enum { START_TIME, STARTING_AT, RESULTS, RESULT, WANTED };
    static const struct weir_json_want wants[WANTED] = {{"start_time"}, {"starting_at"}, {"results"}, {"result"}};
    struct weir_json_found found[WANTED];
    struct meter__item item = *none;
    struct weir_error inner = {.text = ""};
    if (bucket->kind != WEIR_JSON_OBJECT)
        return fail_value(reader, "data", bucket, "an object");
    enum weir_status status = members(reader, bucket->value, wants, WANTED, found);
    if (status != WEIR_OK)
        return status;
    bool openai = is_there(&found[START_TIME]);
    const struct weir_json_found *time = &found[openai ? START_TIME : STARTING_AT],
                                 *results = &found[is_there(&found[RESULTS]) ? RESULTS : RESULT];
    if (!is_there(time) || results->kind != WEIR_JSON_ARRAY)
        return fail_at(reader, bucket->value.at, WEIR_EINVAL,
                       "expected a bucket: start_time (OpenAI) or starting_at (Anthropic), and results");
    status = read_time(reader, time, openai ? WEIR_EXPORT_OPENAI : WEIR_EXPORT_ANTHROPIC, &item);
    if (status != WEIR_OK)
        return status;
    status = meter__sums_add(reader->sums, &item, &inner);
    if (status != WEIR_OK)
        return fail_at(reader, bucket->value.at, status, inner.text);
    return each_element(reader, results, read_result, &item);
}

/* A page, or a bucket of an array of them. */
static enum weir_status read_page(struct reader *reader, const struct weir_json_found *page,
                                  const struct meter__item *none) {
    enum { DATA, HAS_MORE, WANTED };
    static const struct weir_json_want wants[WANTED] = {{"data"}, {"has_more"}};
    struct weir_json_found found[WANTED];
    if (page->kind != WEIR_JSON_OBJECT)
        return fail_value(reader, "the file", page, "a page with data");
    enum weir_status status = members(reader, page->value, wants, WANTED, found);
    if (status != WEIR_OK)
        return status;
    if (found[DATA].kind == WEIR_JSON_NONE)
        return read_bucket(reader, page, none);
    if (found[DATA].kind != WEIR_JSON_ARRAY)
        return fail_value(reader, "data", &found[DATA], "an array");
    reader->export->incomplete = found[HAS_MORE].kind == WEIR_JSON_TRUE; /* of several pages the last one says */
    return each_element(reader, &found[DATA], read_bucket, none);
}

enum weir_status meter__export_json(struct weir_span text, struct meter__sums *sums, struct weir_export *export,
                                    struct weir_error *error) {
    struct reader reader = {.text = text, .sums = sums, .export = export, .error = error};
    const struct meter__item none = {.figures = 0};
    struct weir_json_problem problem;
    struct weir_json_found root;
    if (weir_span_starts_with(text, WEIR_SPAN("\xEF\xBB\xBF")))
        reader.text = weir_span_from(text, 3);
    enum weir_status status = weir_json_scan(reader.text, NULL, 0, NULL, &root, &problem);
    if (status != WEIR_OK)
        return fail_at(&reader, reader.text.at + problem.offset, status, problem.text);
    return root.kind == WEIR_JSON_ARRAY ? each_element(&reader, &root, read_page, &none)
                                        : read_page(&reader, &root, &none);
}

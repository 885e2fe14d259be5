/* CSV from outside: records of RFC 4180, and what the columns of the known exports mean.
 *
 * The reader knows nothing of columns and copies nothing: a field is a place in the text. A quote where none may stand, a record with another number of
 * fields than the header, a NUL are errors with their place, for a reader that goes on has guessed where a number belongs. Above it a table says which
 * header means what; which export it is follows from the columns that only it has.
 */
#include "meter/reconcile_impl.h"

/* --- records --- */

/* How often a byte stands in the first line outside of quotes. */
static size_t count_in_line(struct weir_span text, char byte) {
    size_t count = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.length && (quoted || (text.at[i] != '\n' && text.at[i] != '\r')); i++) {
        quoted = quoted != (text.at[i] == '"');
        count += !quoted && text.at[i] == byte;
    }
    return count;
}

void meter__csv_init(struct meter__csv *csv, struct weir_span text) {
    static const char others[] = {';', '\t'};
    if (weir_span_starts_with(text, WEIR_SPAN("\xEF\xBB\xBF")))
        text = weir_span_from(text, 3);
    *csv = (struct meter__csv){.text = text, .line = 1, .separator = ','};
    size_t most = count_in_line(text, ',');
    for (size_t i = 0; i < sizeof others; i++) {
        size_t count = count_in_line(text, others[i]);
        if (count > most) {
            most = count;
            csv->separator = others[i];
        }
    }
}

static bool at_end(const struct meter__csv *csv) {
    return csv->at == csv->text.length;
}

static size_t column_of(const struct meter__csv *csv) {
    return csv->at - csv->line_at + 1;
}

static bool take_line_end(struct meter__csv *csv) {
    if (at_end(csv) || (csv->text.at[csv->at] != '\n' && csv->text.at[csv->at] != '\r'))
        return false;
    bool pair = csv->text.at[csv->at] == '\r' && csv->at + 1 < csv->text.length && csv->text.at[csv->at + 1] == '\n';
    csv->at += pair ? 2 : 1;
    csv->line++;
    csv->line_at = csv->at;
    return true;
}

static enum weir_status fail_here(const struct meter__csv *csv, struct weir_error *error, const char *what) {
    return weir_fail(error, WEIR_EINVAL, "line %zu, column %zu: %s", csv->line, column_of(csv), what);
}

/* Stands on the opening quote. */
static enum weir_status read_quoted(struct meter__csv *csv, struct meter__field *field, struct weir_error *error) {
    size_t from = ++csv->at;
    for (;;) {
        if (at_end(csv))
            return weir_fail(error, WEIR_EINVAL, "line %zu, column %zu: the quote that begins here does not end",
                             field->line, field->column);
        char byte = csv->text.at[csv->at];
        if (byte == '\0')
            return fail_here(csv, error, "a NUL byte");
        if (byte != '"') {
            if (!take_line_end(csv))
                csv->at++;
            continue;
        }
        if (csv->at + 1 == csv->text.length || csv->text.at[csv->at + 1] != '"')
            break;
        field->doubled = true;
        csv->at += 2;
    }
    field->raw = weir_span_of(csv->text.at + from, csv->at - from);
    csv->at++;
    if (!at_end(csv) && csv->text.at[csv->at] != csv->separator && csv->text.at[csv->at] != '\n' &&
        csv->text.at[csv->at] != '\r')
        return fail_here(csv, error, "expected a separator or the end of the line behind a closing quote");
    return WEIR_OK;
}

static enum weir_status read_plain(struct meter__csv *csv, struct meter__field *field, struct weir_error *error) {
    size_t from = csv->at;
    for (; !at_end(csv); csv->at++) {
        char byte = csv->text.at[csv->at];
        if (byte == csv->separator || byte == '\n' || byte == '\r')
            break;
        if (byte == '"' || byte == '\0')
            return fail_here(csv, error, byte == '"' ? "a quote inside a field that begins without one" : "a NUL byte");
    }
    field->raw = weir_span_of(csv->text.at + from, csv->at - from);
    return WEIR_OK;
}

enum weir_status meter__csv_next(struct meter__csv *csv, struct meter__field fields[METER__MAX_FIELDS], size_t *count,
                                 struct weir_error *error) {
    size_t used = 0;
    while (take_line_end(csv)) {}
    if (at_end(csv))
        return WEIR_END;
    for (;;) {
        if (used == METER__MAX_FIELDS)
            return weir_fail(error, WEIR_ELIMIT, "line %zu, column %zu: more than %d fields", csv->line, column_of(csv),
                             METER__MAX_FIELDS);
        struct meter__field *field = &fields[used++];
        *field = (struct meter__field){.line = csv->line, .column = column_of(csv)};
        bool quoted = !at_end(csv) && csv->text.at[csv->at] == '"';
        enum weir_status status = quoted ? read_quoted(csv, field, error) : read_plain(csv, field, error);
        if (status != WEIR_OK)
            return status;
        if (at_end(csv) || take_line_end(csv))
            break;
        csv->at++; /* the separator */
    }
    *count = used;
    return WEIR_OK;
}

enum weir_status meter__csv_decode(const struct meter__field *field, char *out, size_t size, size_t *length) {
    struct weir_span raw = weir_span_trim(field->raw);
    size_t used = 0;
    for (size_t i = 0; i < raw.length; i++) {
        if (used == size)
            return WEIR_ELIMIT;
        out[used++] = raw.at[i];
        i += field->doubled && raw.at[i] == '"' && i + 1 < raw.length; /* the second of two */
    }
    *length = used;
    return WEIR_OK;
}

/* --- columns --- */

enum column {
    COLUMN_TIME,
    COLUMN_MODEL,
    COLUMN_LINE_ITEM,
    COLUMN_REQUESTS,
    COLUMN_INPUT,
    COLUMN_CACHED,
    COLUMN_OUTPUT,
    COLUMN_UNCACHED,
    COLUMN_WRITE_5M,
    COLUMN_WRITE_1H,
    COLUMN_WRITE,
    COLUMN_AMOUNT,
    COLUMN_CURRENCY,
    COLUMNS
};
/* Headers without case, blanks and other signs; of two that mean the same the first one here counts. */
static const struct {
    const char *header;
    enum weir_export_format format;
    enum column column;
} known[] = {
    {"starttime", WEIR_EXPORT_OPENAI, COLUMN_TIME},
    {"starttimeiso", WEIR_EXPORT_OPENAI, COLUMN_TIME},
    {"model", WEIR_EXPORT_OPENAI, COLUMN_MODEL},
    {"lineitem", WEIR_EXPORT_OPENAI, COLUMN_LINE_ITEM},
    {"nummodelrequests", WEIR_EXPORT_OPENAI, COLUMN_REQUESTS},
    {"inputtokens", WEIR_EXPORT_OPENAI, COLUMN_INPUT},
    {"inputcachedtokens", WEIR_EXPORT_OPENAI, COLUMN_CACHED},
    {"outputtokens", WEIR_EXPORT_OPENAI, COLUMN_OUTPUT},
    {"amountvalue", WEIR_EXPORT_OPENAI, COLUMN_AMOUNT},
    {"amountcurrency", WEIR_EXPORT_OPENAI, COLUMN_CURRENCY},
    {"usagedateutc", WEIR_EXPORT_ANTHROPIC, COLUMN_TIME},
    {"usagedate", WEIR_EXPORT_ANTHROPIC, COLUMN_TIME},
    {"modelversion", WEIR_EXPORT_ANTHROPIC, COLUMN_MODEL},
    {"model", WEIR_EXPORT_ANTHROPIC, COLUMN_MODEL},
    {"usageinputtokensnocache", WEIR_EXPORT_ANTHROPIC, COLUMN_UNCACHED},
    {"usageinputtokenscachewrite5m", WEIR_EXPORT_ANTHROPIC, COLUMN_WRITE_5M},
    {"usageinputtokenscachewrite1h", WEIR_EXPORT_ANTHROPIC, COLUMN_WRITE_1H},
    {"usageinputtokenscachewrite", WEIR_EXPORT_ANTHROPIC, COLUMN_WRITE},
    {"usageinputtokenscacheread", WEIR_EXPORT_ANTHROPIC, COLUMN_CACHED},
    {"usageoutputtokens", WEIR_EXPORT_ANTHROPIC, COLUMN_OUTPUT},
    {"costusd", WEIR_EXPORT_ANTHROPIC, COLUMN_AMOUNT},
};
enum { KNOWN = sizeof known / sizeof *known, HEADER_SIZE = 64 };

struct table {
    struct meter__field header[METER__MAX_FIELDS];
    struct meter__field fields[METER__MAX_FIELDS];
    size_t width;
    size_t place[COLUMNS]; /* + 1; 0: there is none */
};

static struct weir_span plain_header(const struct meter__field *field, char out[HEADER_SIZE]) {
    size_t used = 0;
    for (size_t i = 0; i < field->raw.length && used < HEADER_SIZE; i++) {
        char byte = field->raw.at[i];
        if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte + ('a' - 'A'));
        if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9'))
            out[used++] = byte;
    }
    return weir_span_of(out, used);
}

/* A column that stands twice is none that can be read. */
static enum weir_status find_columns(struct table *table, enum weir_export_format format, struct weir_error *error) {
    memset(table->place, 0, sizeof table->place);
    for (size_t row = 0; row < KNOWN; row++) {
        size_t found = 0;
        for (size_t i = 0; known[row].format == format && i < table->width; i++) {
            char text[HEADER_SIZE];
            if (!weir_span_equal(plain_header(&table->header[i], text), weir_span_of_string(known[row].header)))
                continue;
            if (found != 0)
                return weir_fail(error, WEIR_EINVAL, "line %zu, column %zu: the header has this column twice",
                                 table->header[i].line, table->header[i].column);
            found = i + 1;
        }
        if (found != 0 && table->place[known[row].column] == 0)
            table->place[known[row].column] = found;
    }
    return WEIR_OK;
}

/* Has it what makes it an export of that provider? A day at least; a dashboard writes no more columns than that where nothing was used. */
static bool is_of(const struct table *table, enum weir_export_format format) {
    const size_t *place = table->place;
    return place[COLUMN_TIME] != 0 && (format == WEIR_EXPORT_OPENAI || place[COLUMN_AMOUNT] != 0 ||
                                       (place[COLUMN_UNCACHED] != 0 && place[COLUMN_OUTPUT] != 0));
}

static enum weir_status choose_format(struct table *table, enum weir_export_format *format, struct weir_error *error) {
    static const enum weir_export_format all[] = {WEIR_EXPORT_ANTHROPIC, WEIR_EXPORT_OPENAI};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (*format != WEIR_EXPORT_AUTO && *format != all[i])
            continue;
        enum weir_status status = find_columns(table, all[i], error);
        if (status != WEIR_OK)
            return status;
        if (is_of(table, all[i])) {
            *format = all[i];
            return WEIR_OK;
        }
    }
    return weir_fail(error, WEIR_EINVAL,
                     "line %zu: this is no export that is known: expected columns like start_time, model, input_tokens "
                     "or amount_value (openai), or usage_date_utc, model_version, usage_input_tokens_no_cache or "
                     "cost_usd (anthropic)",
                     table->header[0].line);
}

/* --- rows --- */

static enum weir_status fail_field(const struct table *table, size_t index, struct weir_error *error,
                                   const char *expected) {
    char name[METER__SHOWN_SIZE], found[METER__SHOWN_SIZE];
    return weir_fail(error, WEIR_EINVAL, "line %zu, column %zu (%s): expected %s, got '%s'", table->fields[index].line,
                     table->fields[index].column, meter__shown(table->header[index].raw, name), expected,
                     meter__shown(table->fields[index].raw, found));
}

/* The trimmed field of a column; empty where there is none. */
static struct weir_span field_of(const struct table *table, enum column column) {
    return table->place[column] != 0 ? weir_span_trim(table->fields[table->place[column] - 1].raw) : WEIR_SPAN("");
}

static enum weir_status read_count(const struct table *table, enum column column, int64_t *count, bool *any,
                                   struct weir_error *error) {
    struct weir_span text = field_of(table, column);
    uint64_t value;
    if (text.length == 0)
        return WEIR_OK;
    if (weir_span_to_uint64(text, &value) != WEIR_OK || value > INT64_MAX / 8)
        return fail_field(table, table->place[column] - 1, error, "a whole number");
    *count = (int64_t)value;
    *any = true;
    return WEIR_OK;
}

static enum weir_status read_counts(const struct table *table, struct meter__item *item, struct weir_error *error) {
    int64_t parts[4] = {0};
    const struct {
        enum column column;
        enum weir_export_figure figure;
        int64_t *value;
    } counts[] = {
        {COLUMN_REQUESTS, WEIR_EXPORT_REQUESTS, &item->requests}, {COLUMN_INPUT, WEIR_EXPORT_INPUT, &item->input},
        {COLUMN_CACHED, WEIR_EXPORT_CACHED, &item->cached},       {COLUMN_OUTPUT, WEIR_EXPORT_OUTPUT, &item->output},
        {COLUMN_UNCACHED, WEIR_EXPORT_INPUT, &parts[0]},          {COLUMN_WRITE_5M, WEIR_EXPORT_INPUT, &parts[1]},
        {COLUMN_WRITE_1H, WEIR_EXPORT_INPUT, &parts[2]},          {COLUMN_WRITE, WEIR_EXPORT_INPUT, &parts[3]}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        bool any = false;
        enum weir_status status = read_count(table, counts[i].column, counts[i].value, &any, error);
        if (status != WEIR_OK)
            return status;
        item->figures |= any ? (unsigned)counts[i].figure : 0;
    }
    if (table->place[COLUMN_UNCACHED] != 0) /* input is told in parts: each is below 2^60 */
        item->input = parts[0] + parts[1] + parts[2] + parts[3] + item->cached;
    return WEIR_OK;
}

static enum weir_status read_amount(const struct table *table, struct meter__item *item, struct weir_error *error) {
    struct weir_span text = field_of(table, COLUMN_AMOUNT), currency = field_of(table, COLUMN_CURRENCY);
    if (text.length == 0)
        return WEIR_OK;
    if (currency.length > 0 && !weir_span_equal_ignore_case(currency, WEIR_SPAN("usd")))
        return fail_field(table, table->place[COLUMN_CURRENCY] - 1, error, "usd");
    if (meter__amount(text, 0, &item->amount) != WEIR_OK)
        return fail_field(table, table->place[COLUMN_AMOUNT] - 1, error, "an amount like 12.345");
    item->figures |= WEIR_EXPORT_COST;
    return WEIR_OK;
}

/* "gpt-5-nano, input_tokens" of a line item is gpt-5-nano. */
static enum weir_status read_model(const struct table *table, struct meter__item *item,
                                   char model[METER_MAX_NAME_BYTES], struct weir_error *error) {
    enum column column = table->place[COLUMN_MODEL] != 0 ? COLUMN_MODEL : COLUMN_LINE_ITEM;
    size_t length = 0;
    if (table->place[column] == 0)
        return WEIR_OK;
    size_t index = table->place[column] - 1;
    if (meter__csv_decode(&table->fields[index], model, METER_MAX_NAME_BYTES, &length) != WEIR_OK)
        return fail_field(table, index, error, "a name of at most 200 bytes");
    item->model = weir_span_of(model, length);
    if (column == COLUMN_LINE_ITEM)
        item->model = weir_span_trim(weir_span_first(item->model, weir_span_index(item->model, ',')));
    if (item->model.length > 0 && !meter__is_name(item->model, METER_MAX_NAME_BYTES))
        return fail_field(table, index, error, "a name without control characters");
    return WEIR_OK;
}

static enum weir_status read_row(const struct table *table, struct meter__sums *sums, struct weir_error *error) {
    struct meter__item item = {.figures = 0};
    char model[METER_MAX_NAME_BYTES];
    struct weir_error inner = {.text = ""};
    if (meter__when(field_of(table, COLUMN_TIME), &item) != WEIR_OK)
        return fail_field(table, table->place[COLUMN_TIME] - 1, error, "a date or a time");
    enum weir_status status = read_counts(table, &item, error);
    if (status == WEIR_OK)
        status = read_amount(table, &item, error);
    if (status == WEIR_OK)
        status = read_model(table, &item, model, error);
    if (status != WEIR_OK)
        return status;
    status = meter__sums_add(sums, &item, &inner);
    return status == WEIR_OK ? WEIR_OK : weir_fail(error, status, "line %zu: %s", table->fields[0].line, inner.text);
}

enum weir_status meter__export_csv(struct weir_span text, struct meter__sums *sums, struct weir_export *export,
                                   struct weir_error *error) {
    struct table table = {.width = 0};
    struct meter__csv csv;
    size_t count = 0, rows = 0;
    meter__csv_init(&csv, text);
    enum weir_status status = meter__csv_next(&csv, table.header, &table.width, error);
    if (status == WEIR_END)
        return weir_fail(error, WEIR_EINVAL, "line 1: the file is empty");
    if (status == WEIR_OK)
        status = choose_format(&table, &export->format, error);
    while (status == WEIR_OK) {
        status = meter__csv_next(&csv, table.fields, &count, error);
        if (status == WEIR_OK && ++rows > WEIR_EXPORT_MAX_ROWS)
            status = weir_fail(error, WEIR_ELIMIT, "line %zu: more than %d rows", table.fields[0].line,
                               WEIR_EXPORT_MAX_ROWS);
        if (status == WEIR_OK && count != table.width)
            status = weir_fail(error, WEIR_EINVAL, "line %zu: it has %zu fields, and the header has %zu",
                               table.fields[0].line, count, table.width);
        if (status == WEIR_OK)
            status = read_row(&table, sums, error);
    }
    return status == WEIR_END ? WEIR_OK : status;
}

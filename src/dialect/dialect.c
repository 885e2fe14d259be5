/* The list of dialects, and what is common to all. */
#include "dialect/dialect.h"

#include "dialect/impl.h"

static const struct weir_dialect *const dialects[] = {
#define X(name) &dialect__##name,
#include "dialect/dialects.def"
#undef X
};

const struct weir_dialect *weir_dialect_of(enum weir_dialect_kind kind) {
    weir_bug_on((unsigned)kind >= WEIR_DIALECT_COUNT);
    return dialects[kind];
}

int64_t weir_dialect_estimate_tokens(size_t bytes) {
    return (int64_t)(bytes / 4 + (bytes % 4 != 0));
}

void dialect__format_code(const struct weir_error_answer *error, char text[DIALECT_CODE_SIZE]) {
    (void)snprintf(text, DIALECT_CODE_SIZE, "%.*s_%s", WEIR_SPAN_PRINT(error->brand_upper),
                   weir_reason_row(error->reason)->code);
}

unsigned dialect__status(const struct weir_error_answer *error) {
    return error->status != 0 ? error->status : weir_reason_row(error->reason)->status;
}

void dialect__write_code(struct weir_json_writer *writer, const struct weir_error_answer *error) {
    char code[DIALECT_CODE_SIZE];
    dialect__format_code(error, code);
    weir_json_member_text(writer, "error_code", code);
}

void dialect__write_message(struct weir_json_writer *writer, const char *name, const struct weir_error_answer *error) {
    const struct weir_reason_row *row = weir_reason_row(error->reason);
    char text[600];
    int length = snprintf(text, sizeof text, "%s%s%.*s%s%s", row->message, error->detail.length > 0 ? ": " : "",
                          (int)(error->detail.length < 300 ? error->detail.length : 300), error->detail.at,
                          row->hint[0] != '\0' ? "; " : "", row->hint);
    size_t shown = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    weir_json_member_string(writer, name, weir_span_of(text, shown));
}

static void write_lines(struct weir_json_writer *writer, const char *name, struct weir_span lines) {
    struct weir_span line;
    weir_json_write_name(writer, name);
    weir_json_write_array(writer);
    while (lines.length > 0) {
        (void)weir_span_split(lines, '\n', &line, &lines);
        if (line.length > 0)
            weir_json_write_string(writer, line);
    }
    weir_json_write_end(writer);
}

static void write_limit(struct weir_json_writer *writer, const struct weir_error_limit *limit) {
    bool is_budget = limit->limit_name == NULL;
    weir_json_member_text(writer, "scope", limit->scope);
    if (limit->window[0] != '\0')
        weir_json_member_text(writer, "window", limit->window);
    if (is_budget)
        weir_json_member_text(writer, "budget", limit->budget);
    else
        weir_json_member_text(writer, "limit_name", limit->limit_name);
    weir_json_member_int64(writer, is_budget ? "used_cu_milli" : "used", limit->used);
    weir_json_member_int64(writer, is_budget ? "limit_cu_milli" : "limit", limit->limit);
    if (is_budget)
        weir_json_member_int64(writer, "needed_cu_milli", limit->needed);
}

void dialect__write_details(struct weir_json_writer *writer, const struct weir_error_answer *error) {
    const struct weir_reason_row *row = weir_reason_row(error->reason);
    weir_json_write_name(writer, "details");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "reason", row->name);
    if (error->field != NULL && error->field[0] != '\0')
        weir_json_member_text(writer, "field", error->field);
    if (error->provider_code.length > 0)
        weir_json_member_string(writer, "provider_code", error->provider_code);
    if (row->hint[0] != '\0')
        weir_json_member_text(writer, "hint", row->hint);
    if (error->limit != NULL)
        write_limit(writer, error->limit);
    if (error->problems.length > 0)
        write_lines(writer, "problems", error->problems);
    if (error->roles.length > 0)
        write_lines(writer, "roles", error->roles);
    weir_json_write_end(writer);
}

void weir_dialect_write_flat_error(struct weir_buffer *out, const struct weir_error_answer *error) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    dialect__write_message(&writer, "error", error);
    dialect__write_code(&writer, error);
    dialect__write_details(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_message(&writer, "detail", error);
    weir_json_write_end(&writer);
}

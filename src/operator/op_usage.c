/* The operations on usage: reports, from sums and never from the ledger, and how the database finds them. */
#include "operator/operations_table.h"

#include "operator/usage_form.h"

/* Filters are parameters with the words of what can be grouped by. */
static enum weir_status read_query(struct weir_operation_call *call, struct weir_usage_query *query) {
    struct weir_error error = {.text = ""};
    const char *field = "group_by";
    struct weir_span route = weir_operation_query_text(call, "route");
    enum weir_status status = weir_usage_read_words(weir_operation_query_text(call, "group_by"), &query->by, &error);
    if (status != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, field, "group_by: %s", error.text);
    for (size_t i = 0; i < WEIR_USAGE_WORDS; i++) {
        const struct weir_usage_word *word = &weir_usage_words[i];
        if (word->place < 0)
            continue;
        struct weir_span value = weir_operation_query_text(call, word->name);
        if (word->dimension == WEIR_USAGE_BY_ENDPOINT && route.length > 0) {
            if (value.length > 0)
                return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, "route",
                                           "route: it is another word for endpoint, which is there, too");
            value = route;
        }
        if (value.length > 0)
            query->only[word->place] = value;
    }
    query->from_utc_us = weir_operation_query_time(call, "from");
    query->until_utc_us = weir_operation_query_time(call, "until");
    query->limit = (size_t)weir_operation_query_integer(call, "limit", WEIR_USAGE_USUAL_ROWS);
    if (weir_usage_check(query, weir_operation_now_utc_us(call), &field, &error) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, field, "%s: %s", field, error.text);
    return WEIR_OK;
}

enum weir_status operator__usage_report(struct weir_operation_call *call) {
    struct weir_usage_query query = {.limit = 0};
    struct weir_usage_report report;
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    enum weir_status status = read_query(call, &query);
    if (status != WEIR_OK)
        return status;
    status = weir_usage_make(ops, engine, weir_operation_arena(call), &query, &report, &error);
    if (status == WEIR_EFULL || status == WEIR_ELIMIT) {
        const char *field = status == WEIR_EFULL ? "limit" : "from";
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, field, "%s: %s", field, error.text);
    }
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the usage", &error);
    if (weir_span_equal(weir_operation_query_text(call, "format"), WEIR_SPAN("csv"))) {
        weir_operation_set_header(call, "Content-Disposition", WEIR_SPAN("attachment; filename=\"usage.csv\""));
        weir_usage_write_csv(weir_operation_buffer(call, "text/csv; charset=utf-8"), &report);
    } else {
        weir_usage_write_json(weir_operation_writer(call), &report);
    }
    return WEIR_OK;
}

static enum weir_status write_plan_line(void *context, struct weir_span line) {
    weir_json_write_string(context, line);
    return WEIR_OK;
}

enum weir_status operator__usage_explain(struct weir_operation_call *call) {
    struct weir_usage_query query = {.limit = 0};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    enum weir_status status = read_query(call, &query);
    if (status != WEIR_OK)
        return status;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "plan");
    weir_json_write_array(writer);
    status = ops->usage_plan(engine, &query, write_plan_line, writer, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the usage", &error);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return WEIR_OK;
}

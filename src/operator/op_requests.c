/* The operations on request records: the list that filters narrow, the story of one request by any of its ids, and the export. */
#include "operator/operations_table.h"

#include "operator/record_form.h"

enum { OTHERS = 20, PAGES_A_PIECE = 8, EXPORT_PAGE = 60 };

static enum weir_status read_filters(struct weir_operation_call *call, struct weir_record_query *query) {
    const char *field = NULL;
    const struct weir_record_words words = {.status = weir_operation_query_text(call, "status"),
                                            .outcome = weir_operation_query_text(call, "outcome"),
                                            .reason = weir_operation_query_text(call, "reason")};
    query->workspace = weir_operation_query_text(call, "workspace");
    query->key_id = weir_operation_query_text(call, "key");
    query->model = weir_operation_query_text(call, "model");
    query->provider = weir_operation_query_text(call, "provider");
    query->endpoint = weir_operation_query_text(call, "endpoint");
    query->failed = weir_operation_query_flag(call, "errors");
    query->from_utc_us = weir_operation_query_time(call, "from");
    query->until_utc_us = weir_operation_query_time(call, "until");
    if (weir_record_filter(&words, query, &field) == WEIR_OK)
        return WEIR_OK;
    return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, field, "%s", "there is no such value");
}

/* --- GET /api/v1/requests --- */
static enum weir_status write_summary(void *context, const struct weir_record *record) {
    weir_record_write_summary(context, record);
    return WEIR_OK;
}

enum weir_status operator__requests_list(struct weir_operation_call *call) {
    struct weir_record_query query = {.limit = 0};
    struct weir_record_page page;
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operation_page(call, &query.before_number, &query.limit);
    if (status == WEIR_OK)
        status = read_filters(call, &query);
    if (status != WEIR_OK)
        return status;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    status = ops->record_list(engine, &query, write_summary, writer, &page, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the request records", &error);
    weir_json_write_end(writer);
    weir_operation_page_end(call, page.next_number);
    return WEIR_OK;
}

/* --- GET /api/v1/requests/{id} --- */
/* What was found, as JSON: the story of the one that is meant, and the others in short. Their texts live only for the visit. */
struct found {
    struct weir_span asked;
    struct weir_buffer story, others;
    struct weir_json_writer others_writer;
    bool any, is_own; /* the one that is told is meant by its own id */
    size_t other_count;
    struct weir_buffer told_as_other; /* the one that is told, in short, if another takes its place */
};

static void tell(struct found *found, const struct weir_record *record) {
    struct weir_json_writer writer;
    weir_buffer_clear(&found->story);
    weir_json_writer_init(&writer, &found->story);
    weir_json_write_object(&writer);
    weir_record_write_story(&writer, record, found->asked);
    weir_json_write_end(&writer);
    weir_buffer_clear(&found->told_as_other);
    weir_json_writer_init(&writer, &found->told_as_other);
    weir_record_write_match(&writer, record, found->asked);
}

/* Newest first; one that has the id for its own goes before all others, for that id is its name. */
static enum weir_status take(void *context, const struct weir_record *record) {
    struct found *found = context;
    bool own = (weir_record_ids_named(&record->entry, found->asked) & WEIR_RECORD_BY_REQUEST) != 0;
    if (!found->any || (own && !found->is_own)) {
        if (found->any && found->other_count++ < OTHERS)
            weir_json_write_raw(&found->others_writer, weir_buffer_span(&found->told_as_other));
        tell(found, record);
    } else if (found->other_count++ < OTHERS) {
        weir_record_write_match(&found->others_writer, record, found->asked);
    }
    found->any = true;
    found->is_own = found->is_own || own;
    return WEIR_OK;
}

static enum weir_status answer_found(struct weir_operation_call *call, struct found *found) {
    weir_json_write_end(&found->others_writer);
    if (weir_buffer_status(&found->story) != WEIR_OK || weir_buffer_status(&found->others) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "%s", "no memory for the answer");
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "request");
    weir_json_write_raw(writer, weir_buffer_span(&found->story));
    weir_json_write_name(writer, "matches");
    weir_json_write_raw(writer, weir_buffer_span(&found->others));
    weir_json_member_bool(writer, "more_matches", found->other_count > OTHERS);
    weir_json_write_end(writer);
    return WEIR_OK;
}

enum weir_status operator__requests_get(struct weir_operation_call *call) {
    struct found found = {.asked = weir_operation_path_value(call, "id")};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    weir_buffer_init(&found.story, WEIR_MIB);
    weir_buffer_init(&found.others, WEIR_MIB);
    weir_buffer_init(&found.told_as_other, WEIR_MIB);
    weir_json_writer_init(&found.others_writer, &found.others);
    weir_json_write_array(&found.others_writer);
    enum weir_status status = ops->record_find(engine, found.asked, WEIR_RECORD_MATCHES, take, &found, &error);
    if (status != WEIR_OK)
        status = weir_operation_store_failed(call, status, "the request records", &error);
    else if (!found.any)
        status = weir_operation_fail(call, WEIR_REASON_NOT_THERE, NULL, "%s",
                                     "no request that is kept has this id; records appear within a second, and go with "
                                     "records.retention");
    else
        status = answer_found(call, &found);
    weir_buffer_release(&found.story);
    weir_buffer_release(&found.others);
    weir_buffer_release(&found.told_as_other);
    return status;
}

/* --- GET /api/v1/requests/export --- */
struct progress {
    int64_t before_number;
    bool begun;
};
_Static_assert(sizeof(struct progress) <= WEIR_OPERATION_STATE_BYTES, "the state is too large");

struct export {
    struct weir_buffer *out;
    bool csv;
};

static enum weir_status export_record(void *context, const struct weir_record *record) {
    const struct export *export = context;
    struct weir_json_writer writer;
    if (export->csv) {
        weir_record_write_csv(export->out, record);
        return WEIR_OK;
    }
    weir_json_writer_init(&writer, export->out);
    weir_json_write_object(&writer);
    weir_record_write_story(&writer, record, WEIR_SPAN(""));
    weir_json_write_end(&writer);
    weir_buffer_append_byte(export->out, '\n');
    return WEIR_OK;
}

/* Who takes away what all clients did leaves an entry in the audit trail. */
static enum weir_status audit_export(struct weir_operation_call *call, struct weir_span format) {
    static const char *const filters[] = {"workspace", "key",     "model",  "provider", "endpoint",
                                          "status",    "outcome", "reason", "from",     "until"};
    struct weir_buffer after;
    struct weir_json_writer writer;
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    weir_buffer_init(&after, 64 * WEIR_KIB);
    weir_json_writer_init(&writer, &after);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "format", format);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct weir_span value = weir_operation_query_text(call, filters[i]);
        if (value.length > 0)
            weir_json_member_string(&writer, filters[i], value);
    }
    weir_json_write_end(&writer);
    const struct weir_operation_note note = {.after = weir_buffer_span(&after)};
    status = weir_buffer_status(&after) == WEIR_OK
                 ? weir_operation_audit(call, &note)
                 : weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "%s", "no memory for the audit entry");
    weir_buffer_release(&after);
    return status;
}

enum weir_status operator__requests_export(struct weir_operation_call *call) {
    struct progress *progress = weir_operation_state(call);
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct weir_record_query query = {.limit = EXPORT_PAGE};
    struct weir_record_page page;
    struct weir_span format = weir_operation_query_text(call, "format");
    struct export export = {.csv = weir_span_equal(format, WEIR_SPAN("csv"))};
    enum weir_status status = read_filters(call, &query);
    if (status == WEIR_OK && !progress->begun)
        status = audit_export(call, format);
    if (status != WEIR_OK)
        return status;
    export.out = weir_operation_buffer(call, export.csv ? "text/csv; charset=utf-8" : "application/x-ndjson");
    if (!progress->begun) {
        weir_operation_set_header(call, "Content-Disposition",
                                  export.csv ? WEIR_SPAN("attachment; filename=\"requests.csv\"")
                                             : WEIR_SPAN("attachment; filename=\"requests.jsonl\""));
        if (export.csv)
            weir_record_csv_head(export.out);
    }
    progress->begun = true;
    /* A filter that little matches is gone on with in turns, so that other operations come to theirs. */
    query.before_number = progress->before_number;
    for (unsigned pages = 0; pages < PAGES_A_PIECE && export.out->length < WEIR_OPERATION_PIECE_BYTES; pages++) {
        status = ops->record_list(engine, &query, export_record, &export, &page, &error);
        if (status != WEIR_OK)
            return weir_operation_store_failed(call, status, "the request records", &error);
        query.before_number = page.next_number;
        if (page.next_number == 0)
            return WEIR_OK;
    }
    progress->before_number = query.before_number;
    weir_operation_continue(call);
    return WEIR_OK;
}

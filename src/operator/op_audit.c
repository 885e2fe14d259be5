/* The operations on the audit trail: listing it in the shapes that clients of other gateways know, exporting and verifying it.
 *
 * Nothing here writes entries for others: the trail is written by operations, in the transaction of what they do, and by weir itself. What reads all of it
 * away (an export) leaves an entry too.
 */
#include "operator/operations_table.h"

#include "operator/audit_form.h"

#include <stdio.h>

enum { DAY_S = 24 * 3600, LATEST_OFFSET = 100000, STEP = 1000, SCANNED = 100000 };
static const int64_t second_us = 1000000;

/* --- listing: GET /api/v1/audit-logs --- */

static bool find_result(struct weir_span name, enum weir_audit_result *result) {
    static const enum weir_audit_result all[] = {WEIR_AUDIT_SUCCESS, WEIR_AUDIT_FAILURE, WEIR_AUDIT_PARTIAL};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (weir_span_equal(name, weir_span_of_string(weir_audit_result_name(all[i])))) {
            *result = all[i];
            return true;
        }
    return false;
}

/* The filters that listing and export share. A date as the end is meant with the whole of its day. */
static void read_filters(struct weir_operation_call *call, struct weir_audit_query *query) {
    enum { DATE_LENGTH = 10 };
    int64_t end = weir_operation_query_time(call, "end_date");
    if (end != 0 && weir_operation_query_text(call, "end_date").length == DATE_LENGTH)
        end += DAY_S * second_us;
    query->from_utc_us = weir_operation_query_time(call, "start_date");
    query->until_utc_us = end;
    query->actor_id = weir_operation_query_text(call, "actor_id");
    query->actor_name = weir_operation_query_text(call, "actor_name");
    query->workspace = weir_operation_query_text(call, "org_id");
    query->action = weir_operation_query_text(call, "action");
    query->resource_type = weir_operation_query_text(call, "resource_type");
    query->resource_id = weir_operation_query_text(call, "resource_id");
    query->has_result = find_result(weir_operation_query_text(call, "result"), &query->result);
}

struct listing {
    struct weir_json_writer *writer;
    size_t skip, wanted, written;
    int64_t last; /* sequence of the entry that was seen last */
    bool more;
};

static enum weir_status list_entry(void *context, const struct weir_audit_entry *entry) {
    struct listing *listing = context;
    if (listing->skip > 0) {
        listing->skip--;
        listing->last = entry->sequence;
        return WEIR_OK;
    }
    if (listing->written == listing->wanted) {
        listing->more = true;
        return WEIR_END;
    }
    weir_audit_write_json(listing->writer, entry);
    listing->written++;
    listing->last = entry->sequence;
    return WEIR_OK;
}

enum weir_status operator__audit_list(struct weir_operation_call *call) {
    struct weir_audit_query query = {.limit = 0};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct listing listing = {.skip = (size_t)weir_operation_query_integer(call, "offset", 0)};
    enum weir_status status = weir_operation_page(call, &query.before_sequence, &listing.wanted);
    if (status != WEIR_OK)
        return status;
    read_filters(call, &query);
    listing.writer = weir_operation_writer(call);
    weir_json_write_object(listing.writer);
    weir_json_write_name(listing.writer, "data");
    weir_json_write_array(listing.writer);
    size_t before;
    do { /* an offset may be larger than what is read at once */
        query.limit = listing.skip + listing.wanted - listing.written + 1;
        query.limit = query.limit < 2 * STEP ? query.limit : 2 * STEP;
        before = listing.skip + listing.wanted - listing.written;
        status = ops->audit_each(engine, &query, list_entry, &listing, &error);
        query.before_sequence = listing.last;
    } while (status == WEIR_OK && !listing.more && listing.skip + listing.wanted - listing.written < before &&
             before - (listing.skip + listing.wanted - listing.written) == query.limit);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the audit trail", &error);
    weir_json_write_end(listing.writer);
    weir_operation_page_end(call, listing.more ? listing.last : 0);
    return WEIR_OK;
}

/* --- GET /api/v1/admin/audit --- */

/* "openai" of an entry about a provider. */
static bool provider_of(const struct weir_audit_entry *entry, struct weir_span *provider) {
    *provider = entry->resource_id;
    return weir_span_equal(entry->resource_type, WEIR_SPAN("provider"));
}

static void write_user(struct weir_json_writer *writer, const char *name, const struct weir_audit_entry *entry) {
    char client[80];
    struct weir_span user = entry->actor_name.length > 0 ? entry->actor_name : entry->actor_id;
    if (user.length == 0 && entry->actor_address.length > 0 && entry->actor_address.length < 64) {
        (void)snprintf(client, sizeof client, "client:%.*s", WEIR_SPAN_PRINT(entry->actor_address));
        user = weir_span_of_string(client);
    }
    weir_json_member_string(writer, name, user.length > 0 ? user : WEIR_SPAN("unknown"));
}

static void write_json_or_null(struct weir_json_writer *writer, const char *name, struct weir_span json) {
    weir_json_write_name(writer, name);
    if (json.length > 0)
        weir_json_write_raw(writer, json);
    else
        weir_json_write_null(writer);
}

static void write_details(struct weir_json_writer *writer, const struct weir_audit_entry *entry) {
    weir_json_write_name(writer, "details");
    weir_json_write_object(writer);
    weir_json_member_string(writer, "resource_type", entry->resource_type);
    weir_json_member_string(writer, "resource_id", entry->resource_id);
    weir_json_member_string(writer, "resource_name", entry->resource_name);
    weir_json_member_string(writer, "workspace", entry->workspace);
    weir_json_member_string(writer, "address", entry->actor_address);
    weir_json_member_string(writer, "role", entry->actor_role);
    write_json_or_null(writer, "changes", entry->changes);
    write_json_or_null(writer, "request", entry->request);
    weir_json_write_end(writer);
}

static enum weir_status admin_entry(void *context, const struct weir_audit_entry *entry) {
    struct listing *listing = context;
    struct weir_json_writer *writer = listing->writer;
    struct weir_span provider;
    weir_json_write_object(writer);
    weir_operation_member_time(writer, "timestamp", entry->utc_us);
    weir_json_member_string(writer, "action", entry->action);
    write_user(writer, "user", entry);
    if (provider_of(entry, &provider))
        weir_json_member_string(writer, "provider", provider);
    else
        weir_json_member_text(writer, "provider", NULL);
    write_details(writer, entry);
    weir_json_member_text(writer, "result", weir_audit_result_name(entry->result));
    if (entry->message.length > 0)
        weir_json_member_string(writer, "error_message", entry->message);
    else
        weir_json_member_text(writer, "error_message", NULL);
    weir_json_write_end(writer);
    listing->written++;
    return WEIR_OK;
}

enum weir_status operator__audit_admin(struct weir_operation_call *call) {
    enum { MOST = 200, USUAL = 50 };
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct listing listing = {.writer = weir_operation_writer(call)};
    struct weir_span provider = weir_operation_query_text(call, "provider");
    int64_t limit = weir_operation_query_integer(call, "limit", USUAL);
    struct weir_audit_query query = {.action = weir_operation_query_text(call, "action"),
                                     .limit = (size_t)(limit < MOST ? limit : MOST)};
    if (provider.length > 0) {
        query.resource_type = WEIR_SPAN("provider");
        query.resource_id = provider;
    }
    weir_json_write_object(listing.writer);
    weir_json_member_text(listing.writer, "status", "success");
    weir_json_write_name(listing.writer, "entries");
    weir_json_write_array(listing.writer);
    enum weir_status status = ops->audit_each(engine, &query, admin_entry, &listing, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the audit trail", &error);
    weir_json_write_end(listing.writer);
    weir_json_member_int64(listing.writer, "count", (int64_t)listing.written);
    weir_json_write_end(listing.writer);
    return WEIR_OK;
}

/* --- GET /api/v1/audit/stream: what happens, in few words --- */

/* By which door somebody came. */
static const char *channel_of(const struct weir_audit_entry *entry) {
    static const struct {
        const char *kind, *channel;
    } rows[] = {{"token", "api"}, {"key", "api"}, {"session", "console"}, {"system", "system"}, {"unknown", "api"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (weir_span_equal(entry->actor_kind, weir_span_of_string(rows[i].kind)))
            return rows[i].channel;
    return entry->actor_address.length > 0 ? "api" : "command_line";
}

struct stream {
    struct weir_json_writer *writer;
    struct weir_span channel, actor;
    size_t wanted, written, read;
    int64_t last;
};

static enum weir_status stream_entry(void *context, const struct weir_audit_entry *entry) {
    struct stream *stream = context;
    struct weir_json_writer *writer = stream->writer;
    const char *channel = channel_of(entry);
    char id[24];
    stream->read++;
    stream->last = entry->sequence;
    if ((stream->channel.length > 0 && !weir_span_equal(stream->channel, weir_span_of_string(channel))) ||
        (stream->actor.length > 0 && !weir_span_equal(stream->actor, entry->actor_name) &&
         !weir_span_equal(stream->actor, entry->actor_id)))
        return WEIR_OK;
    (void)snprintf(id, sizeof id, "%lld", (long long)entry->sequence);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "id", id);
    weir_operation_member_time(writer, "timestamp", entry->utc_us);
    weir_json_member_text(writer, "source", "weir");
    weir_json_member_text(writer, "api_channel", channel);
    weir_json_member_string(writer, "action", entry->action);
    write_user(writer, "actor", entry);
    weir_json_member_text(writer, "status", weir_audit_result_name(entry->result));
    if (entry->workspace.length > 0)
        weir_json_member_string(writer, "context", entry->workspace);
    else
        weir_json_member_text(writer, "context", NULL);
    write_details(writer, entry);
    weir_json_write_end(writer);
    return ++stream->written == stream->wanted ? WEIR_END : WEIR_OK;
}

enum weir_status operator__audit_stream(struct weir_operation_call *call) {
    enum { USUAL = 100 };
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct weir_span source = weir_operation_query_text(call, "source");
    struct stream stream = {.writer = weir_operation_writer(call),
                            .channel = weir_operation_query_text(call, "api_channel"),
                            .actor = weir_operation_query_text(call, "actor"),
                            .wanted = (size_t)weir_operation_query_integer(call, "limit", USUAL)};
    struct weir_audit_query query = {.action = weir_operation_query_text(call, "action"), .limit = STEP};
    query.has_result = find_result(weir_operation_query_text(call, "status"), &query.result);
    weir_json_write_object(stream.writer);
    weir_json_member_text(stream.writer, "status", "success");
    weir_json_write_name(stream.writer, "entries");
    weir_json_write_array(stream.writer);
    enum weir_status status = WEIR_OK;
    bool any = source.length == 0 || weir_span_equal(source, WEIR_SPAN("weir"));
    size_t before = 0;
    while (any && status == WEIR_OK && stream.written < stream.wanted && stream.read < SCANNED) {
        before = stream.read;
        status = ops->audit_each(engine, &query, stream_entry, &stream, &error);
        query.before_sequence = stream.last;
        any = stream.read - before == STEP;
    }
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the audit trail", &error);
    weir_json_write_end(stream.writer);
    weir_json_member_int64(stream.writer, "count", (int64_t)stream.written);
    weir_json_write_end(stream.writer);
    return WEIR_OK;
}

/* --- GET /api/v1/audit-logs/export --- */

enum format { FORMAT_CSV, FORMAT_JSON, FORMAT_JSONL, FORMATS };
static const struct {
    const char *name, *content_type, *file;
} formats[FORMATS] = {
    [FORMAT_CSV] = {"csv", "text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""},
    [FORMAT_JSON] = {"json", "application/json", "attachment; filename=\"audit.json\""},
    [FORMAT_JSONL] = {"jsonl", "application/x-ndjson", "attachment; filename=\"audit.jsonl\""},
};

/* What is kept from piece to piece. */
struct progress {
    int64_t last;  /* sequence of the entry that was written last */
    int64_t until; /* the export ends with this one: what comes later, its own entry included, is for the next one */
    bool begun, written;
};
_Static_assert(sizeof(struct progress) <= WEIR_OPERATION_STATE_BYTES, "the state is too large");

struct export {
    struct progress *progress;
    struct weir_buffer *out;
    enum format format;
    size_t read;
    bool full;
};

static enum weir_status export_entry(void *context, const struct weir_audit_entry *entry) {
    struct export *export = context;
    struct weir_json_writer writer;
    if (entry->sequence > export->progress->until)
        return WEIR_END;
    if (export->format == FORMAT_CSV) {
        weir_audit_write_csv(export->out, entry);
    } else {
        if (export->format == FORMAT_JSON && export->progress->written)
            weir_buffer_append(export->out, WEIR_SPAN(",\n"));
        weir_json_writer_init(&writer, export->out);
        weir_audit_write_json(&writer, entry);
        if (export->format == FORMAT_JSONL)
            weir_buffer_append_byte(export->out, '\n');
    }
    export->read++;
    export->progress->written = true;
    export->progress->last = entry->sequence;
    export->full = export->out->length >= WEIR_OPERATION_PIECE_BYTES;
    return export->full ? WEIR_END : WEIR_OK;
}

static enum weir_status newest(void *context, const struct weir_audit_entry *entry) {
    *(int64_t *)context = entry->sequence;
    return WEIR_END;
}

/* The first piece: where it ends, and the entry that says who took what. */
static enum weir_status begin_export(struct weir_operation_call *call, enum format format, struct progress *progress) {
    static const char *const filters[] = {"start_date", "end_date", "actor_id",      "actor_name", "org_id",
                                          "action",     "result",   "resource_type", "resource_id"};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    const struct weir_audit_query query = {.limit = 1};
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    status = ops->audit_each(engine, &query, newest, &progress->until, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the audit trail", &error);
    struct weir_buffer after;
    struct weir_json_writer writer;
    weir_buffer_init(&after, 64 * 1024);
    weir_json_writer_init(&writer, &after);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "format", formats[format].name);
    weir_json_member_int64(&writer, "until_sequence", progress->until);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct weir_span value = weir_operation_query_text(call, filters[i]);
        if (value.length > 0)
            weir_json_member_string(&writer, filters[i], value);
    }
    weir_json_write_end(&writer);
    const struct weir_operation_note note = {.after = weir_buffer_span(&after)};
    status = weir_buffer_status(&after);
    status = status == WEIR_OK
                 ? weir_operation_audit(call, &note)
                 : weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "%s", "no memory for the audit entry");
    weir_buffer_release(&after);
    progress->begun = true;
    return status;
}

enum weir_status operator__audit_export(struct weir_operation_call *call) {
    struct progress *progress = weir_operation_state(call);
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct weir_span name = weir_operation_query_text(call, "format");
    struct export export = {.progress = progress, .format = FORMAT_JSON};
    for (size_t i = 0; i < FORMATS; i++)
        if (weir_span_equal(name, weir_span_of_string(formats[i].name)))
            export.format = (enum format)i;
    export.out = weir_operation_buffer(call, formats[export.format].content_type);
    if (!progress->begun) {
        enum weir_status begun = begin_export(call, export.format, progress);
        if (begun != WEIR_OK)
            return begun;
        weir_operation_set_header(call, "Content-Disposition", weir_span_of_string(formats[export.format].file));
        if (export.format == FORMAT_CSV)
            weir_audit_csv_head(export.out);
        else if (export.format == FORMAT_JSON)
            weir_buffer_append_byte(export.out, '[');
    }
    struct weir_audit_query query = {.after_sequence = progress->last, .oldest_first = true, .limit = STEP};
    read_filters(call, &query);
    enum weir_status status = WEIR_OK;
    size_t before = 0;
    do {
        before = export.read;
        query.after_sequence = progress->last;
        status = ops->audit_each(engine, &query, export_entry, &export, &error);
    } while (status == WEIR_OK && !export.full && export.read - before == STEP);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the audit trail", &error);
    if (export.full)
        weir_operation_continue(call);
    else if (export.format == FORMAT_JSON)
        weir_buffer_append(export.out, WEIR_SPAN("]\n"));
    return WEIR_OK;
}

/* --- GET /api/v1/audit/verify --- */

enum weir_status operator__audit_verify(struct weir_operation_call *call) {
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct weir_span text = weir_operation_query_text(call, "head");
    struct weir_audit_head kept, head = {.sequence = 0};
    struct weir_audit_verification found = {.entries = 0};
    char shown[WEIR_AUDIT_HEAD_SIZE];
    if (text.length > 0 && weir_audit_head_parse(text, &kept) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, "head",
                                   "expected <sequence>:<64 hexadecimal digits>, as verifying gives it");
    enum weir_status status = weir_audit_check(ops, engine, text.length > 0 ? &kept : NULL, &found, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the audit trail", &error);
    head.sequence = found.last;
    memcpy(head.hash, found.head, sizeof head.hash);
    weir_audit_head_format(&head, shown);
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_member_bool(writer, "intact", found.broken_at == 0);
    weir_json_member_int64(writer, "entries", found.entries);
    weir_json_member_int64(writer, "first_sequence", found.first);
    weir_json_member_int64(writer, "last_sequence", found.last);
    weir_json_member_text(writer, "head", found.last > 0 ? shown : NULL);
    weir_json_write_name(writer, "broken_at");
    if (found.broken_at != 0)
        weir_json_write_int64(writer, found.broken_at);
    else
        weir_json_write_null(writer);
    weir_json_member_text(writer, "problem", found.broken_at != 0 ? found.problem : NULL);
    weir_json_write_end(writer);
    return WEIR_OK;
}

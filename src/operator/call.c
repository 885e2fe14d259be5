/* A call as its handler sees it: what was asked, how to answer, how to fail (operation.h).
 *
 * What a handler writes stays with the call until its transaction is in the store; only then does it go to the client. So a handler may write first and
 * fail later.
 */
#include "operator/impl.h"

#include "base/clock.h"
#include "base/mask.h"
#include "base/memory.h"
#include "dialect/dialect.h"

#include <stdarg.h>
#include <stdio.h>

struct weir_operation_call *operator__call_new(struct weir_operator *plane,
                                               const struct weir_operator_settings *settings,
                                               const struct operator__row *row, const struct weir_http_head *head,
                                               struct weir_span block) {
    struct weir_operation_call *call = weir_memory_new(1, sizeof *call);
    struct weir_span copy = WEIR_SPAN("");
    if (call == NULL)
        return NULL;
    weir_list_init(&call->link);
    call->row = row;
    call->plane = plane;
    call->settings = settings;
    call->head = *head;
    call->status = 200;
    call->content_type = "application/json";
    weir_buffer_init(&call->body, OPERATOR__MAX_BODY_BYTES);
    weir_buffer_init(&call->answer, OPERATOR__MAX_ANSWER_BYTES);
    call->arena = weir_arena_new(0, OPERATOR__MAX_ARENA_BYTES);
    if (call->arena == NULL || weir_arena_dup(call->arena, block, &copy) != WEIR_OK) {
        operator__call_free(&call);
        return NULL;
    }
    weir_http_head_rebase(&call->head, block.at, copy.at, block.length);
    return call;
}

void operator__call_free(struct weir_operation_call **call) {
    if (*call == NULL)
        return;
    weir_list_remove(&(*call)->link);
    /* Passwords and secrets come in a body, which is read in the arena; the head has a token; new keys go out with the answer. */
    if ((*call)->body.at != NULL)
        weir_memory_wipe((*call)->body.at, (*call)->body.length);
    if ((*call)->answer.at != NULL)
        weir_memory_wipe((*call)->answer.at, (*call)->answer.length);
    if ((*call)->arena != NULL)
        weir_arena_wipe((*call)->arena);
    weir_buffer_release(&(*call)->body);
    weir_buffer_release(&(*call)->answer);
    weir_arena_free(&(*call)->arena);
    weir_memory_free(*call);
    *call = NULL;
}

void operator__call_next_piece(struct weir_operation_call *call) {
    weir_buffer_clear(&call->answer);
    call->more = false;
    call->after = NULL;
    call->notes = 0;
    call->pieces++;
}

/* --- what is asked --- */

struct weir_arena *weir_operation_arena(struct weir_operation_call *call) {
    return call->arena;
}

const struct weir_operator_settings *weir_operation_settings(const struct weir_operation_call *call) {
    return call->settings;
}

const struct weir_actor *weir_operation_actor(const struct weir_operation_call *call) {
    return &call->actor;
}

const struct weir_engine_ops *weir_operation_store(const struct weir_operation_call *call,
                                                   struct weir_engine **engine) {
    *engine = call->engine;
    return call->ops;
}

int64_t weir_operation_now_utc_us(const struct weir_operation_call *call) {
    return call->now_utc_us;
}

struct weir_random *weir_operation_random(struct weir_operation_call *call) {
    return call->random;
}

static size_t parameter_at(const struct weir_operation_call *call, enum operator__place place, const char *name) {
    const struct operator__row *row = call->row;
    for (size_t i = 0; i < row->parameter_count; i++)
        if (row->parameters[i].place == place && strcmp(row->parameters[i].name, name) == 0)
            return i;
    weir_bug_on(true); /* the row has no such parameter */
}

struct weir_span weir_operation_path_value(const struct weir_operation_call *call, const char *name) {
    return call->values[parameter_at(call, OPERATOR__IN_PATH, name)];
}

struct weir_span weir_operation_query_text(const struct weir_operation_call *call, const char *name) {
    return call->values[parameter_at(call, OPERATOR__IN_QUERY, name)];
}

int64_t weir_operation_query_integer(const struct weir_operation_call *call, const char *name, int64_t otherwise) {
    int64_t value = otherwise;
    struct weir_span text = weir_operation_query_text(call, name);
    return text.length > 0 && weir_span_to_int64(text, &value) == WEIR_OK ? value : otherwise;
}

bool weir_operation_query_flag(const struct weir_operation_call *call, const char *name) {
    return weir_span_equal(weir_operation_query_text(call, name), WEIR_SPAN("true"));
}

int64_t weir_operation_query_time(const struct weir_operation_call *call, const char *name) {
    int64_t utc_us = 0;
    struct weir_span text = weir_operation_query_text(call, name);
    return text.length > 0 && weir_clock_parse_utc(text, &utc_us) == WEIR_OK ? utc_us : 0;
}

yyjson_val *weir_operation_body(const struct weir_operation_call *call) {
    return call->document != NULL ? yyjson_doc_get_root(call->document) : NULL;
}

struct weir_span weir_operation_body_text(const struct weir_operation_call *call, const char *name) {
    yyjson_val *value = yyjson_obj_get(weir_operation_body(call), name);
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

struct weir_span weir_operation_header(const struct weir_operation_call *call, const char *name) {
    const struct weir_span *value = weir_http_head_find(&call->head, weir_span_of_string(name));
    return value != NULL ? *value : WEIR_SPAN("");
}

uint64_t weir_operation_expected_version(const struct weir_operation_call *call) {
    return call->expected_version;
}

/* --- changing --- */

enum weir_status weir_operation_begin(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    if (call->in_work)
        return WEIR_OK;
    enum weir_status status = call->ops->work_begin(call->engine, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the store", &error);
    call->in_work = true;
    return WEIR_OK;
}

/* What goes into the trail has passed this, whoever wrote it: a secret that a handler overlooked is masked. "" when there is no memory. */
static struct weir_span masked(struct weir_operation_call *call, void (*mask)(struct weir_buffer *, struct weir_span),
                               struct weir_span text) {
    struct weir_buffer out;
    struct weir_span copy = WEIR_SPAN("");
    weir_buffer_init(&out, OPERATOR__MAX_ARENA_BYTES);
    mask(&out, text);
    if (weir_buffer_status(&out) != WEIR_OK || weir_arena_dup(call->arena, weir_buffer_span(&out), &copy) != WEIR_OK)
        copy = WEIR_SPAN("");
    weir_buffer_release(&out);
    return copy;
}

struct weir_span operator__call_masked(struct weir_operation_call *call, struct weir_span text) {
    return masked(call, weir_mask_text, text);
}

static struct weir_span changes_of(struct weir_operation_call *call, const struct weir_operation_note *note) {
    if (note->before.length == 0 && note->after.length == 0)
        return WEIR_SPAN("");
    const char *text = weir_arena_format(call->arena, "{\"before\":%.*s,\"after\":%.*s}",
                                         note->before.length > 0 ? (int)note->before.length : 4,
                                         note->before.length > 0 ? note->before.at : "null",
                                         note->after.length > 0 ? (int)note->after.length : 4,
                                         note->after.length > 0 ? note->after.at : "null");
    return masked(call, weir_mask_json, weir_span_of_string(text));
}

struct weir_span operator__call_request(struct weir_operation_call *call) {
    struct weir_buffer text;
    struct weir_json_writer writer;
    struct weir_span copy = WEIR_SPAN(""), agent = weir_operation_header(call, "user-agent");
    weir_buffer_init(&text, 64 * WEIR_KIB);
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "request_id", call->request_id);
    weir_json_member_string(&writer, "method", call->head.method);
    weir_json_member_string(&writer, "path", call->head.path);
    weir_json_member_string(&writer, "user_agent", weir_span_first(agent, agent.length < 256 ? agent.length : 256));
    weir_json_write_end(&writer);
    if (weir_buffer_status(&text) == WEIR_OK)
        copy = masked(call, weir_mask_json, weir_buffer_span(&text));
    weir_buffer_release(&text);
    return copy;
}

enum weir_status weir_operation_audit(struct weir_operation_call *call, const struct weir_operation_note *note) {
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    struct weir_audit_entry entry = {
        .utc_us = call->now_utc_us,
        .actor_kind = weir_span_of_string(weir_actor_kind_name(call->actor.kind)),
        .actor_id = call->actor.id,
        .actor_name = call->actor.name,
        .actor_role = weir_span_of_string(weir_role_name(call->actor.role)),
        .actor_address = call->actor.address,
        .workspace = note->workspace,
        .action = weir_span_of_string(note->action != NULL ? note->action : call->row->id),
        .resource_type = weir_span_of_string(call->row->resource),
        .resource_id = operator__call_masked(call, note->resource_id),
        .resource_name = operator__call_masked(call, note->resource_name),
        .changes = changes_of(call, note),
        .request = operator__call_request(call),
        .result = WEIR_AUDIT_SUCCESS,
    };
    status = call->ops->audit_append(call->engine, &entry, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the audit trail", &error);
    call->notes++;
    return WEIR_OK;
}

/* --- answering --- */

void weir_operation_set_status(struct weir_operation_call *call, unsigned status) {
    call->status = status;
}

void weir_operation_set_header(struct weir_operation_call *call, const char *name, struct weir_span value) {
    weir_bug_on(call->header_count == OPERATOR__MAX_HEADERS);
    struct operator__header *header = &call->headers[call->header_count];
    header->name = name;
    if (weir_arena_dup(call->arena, value, &header->value) == WEIR_OK)
        call->header_count++;
    else
        (void)weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
}

void weir_operation_set_version(struct weir_operation_call *call, uint64_t version) {
    char text[32];
    (void)snprintf(text, sizeof text, "\"%llu\"", (unsigned long long)version);
    weir_operation_set_header(call, "ETag", weir_span_of_string(text));
}

struct weir_json_writer *weir_operation_writer(struct weir_operation_call *call) {
    if (!call->writes_json)
        weir_json_writer_init(&call->writer, &call->answer);
    call->writes_json = true;
    return &call->writer;
}

struct weir_buffer *weir_operation_buffer(struct weir_operation_call *call, const char *content_type) {
    call->content_type = content_type;
    return &call->answer;
}

void *weir_operation_state(struct weir_operation_call *call) {
    return call->state;
}

void weir_operation_continue(struct weir_operation_call *call) {
    call->more = true;
}

void weir_operation_after(struct weir_operation_call *call, void (*run)(struct weir_operation_call *call)) {
    call->after = run;
}

/* A cursor is opaque to clients: hexadecimal digits of "number operation". */
enum { CURSOR_BYTES = 128 };

enum weir_status weir_operation_page(struct weir_operation_call *call, int64_t *after_number, size_t *limit) {
    struct weir_span cursor = weir_operation_query_text(call, "cursor"), number, id;
    char text[CURSOR_BYTES];
    int64_t after = 0;
    if (cursor.length > 0) {
        size_t length = cursor.length / 2;
        if (cursor.length % 2 != 0 || length > sizeof text || weir_hex_parse(cursor, text, length) != WEIR_OK ||
            !weir_span_split(weir_span_of(text, length), ' ', &number, &id) ||
            !weir_span_equal(id, weir_span_of_string(call->row->id)) || weir_span_to_int64(number, &after) != WEIR_OK ||
            after <= 0)
            return weir_operation_fail(call, WEIR_REASON_CURSOR_INVALID, "cursor", "%s", "");
    }
    *after_number = after;
    *limit = (size_t)weir_operation_query_integer(call, "limit", 50);
    return WEIR_OK;
}

void weir_operation_page_end(struct weir_operation_call *call, int64_t next_number) {
    struct weir_json_writer *writer = weir_operation_writer(call);
    char text[CURSOR_BYTES], cursor[2 * CURSOR_BYTES + 1];
    if (next_number <= 0) {
        weir_json_member_text(writer, "next_cursor", NULL);
    } else {
        int length = snprintf(text, sizeof text, "%lld %s", (long long)next_number, call->row->id);
        weir_bug_on(length < 0 || (size_t)length >= sizeof text);
        weir_hex_format(text, (size_t)length, cursor);
        weir_json_member_text(writer, "next_cursor", cursor);
    }
    weir_json_write_end(writer);
}

void weir_operation_member_time(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    char text[WEIR_TIMESTAMP_SIZE];
    if (utc_us != 0)
        weir_clock_format_utc(utc_us, text);
    weir_json_member_text(writer, name, utc_us != 0 ? text : NULL);
}

/* --- failing --- */

enum weir_status weir_operation_fail(struct weir_operation_call *call, enum weir_reason reason, const char *field,
                                     const char *format, ...) {
    va_list arguments;
    weir_bug_on(reason == WEIR_REASON_NONE);
    va_start(arguments, format);
    (void)vsnprintf(call->detail, sizeof call->detail, format, arguments);
    va_end(arguments);
    (void)snprintf(call->field, sizeof call->field, "%s", field != NULL ? field : "");
    call->problems = WEIR_SPAN("");
    call->reason = reason;
    call->header_count = 0; /* those that are set from here on go with the error */
    return WEIR_EINVAL;
}

enum weir_status weir_operation_fail_with(struct weir_operation_call *call, enum weir_reason reason,
                                          struct weir_span problems) {
    struct weir_span first, rest, copy = WEIR_SPAN("");
    (void)weir_span_split(problems, '\n', &first, &rest);
    const char *more = rest.length > 0 ? " (details.problems has more)" : "";
    enum weir_status status = weir_operation_fail(call, reason, NULL, "%.*s%s", WEIR_SPAN_PRINT(first), more);
    if (weir_arena_dup(call->arena, problems, &copy) == WEIR_OK)
        call->problems = copy;
    return status;
}

enum weir_status weir_operation_store_failed(struct weir_operation_call *call, enum weir_status status,
                                             const char *what, const struct weir_error *error) {
    static const struct {
        enum weir_status status;
        enum weir_reason reason;
    } rows[] = {{WEIR_ENOTFOUND, WEIR_REASON_NOT_THERE},
                {WEIR_EEXIST, WEIR_REASON_EXISTS_ALREADY},
                {WEIR_ESTALE, WEIR_REASON_VERSION_MISMATCH},
                {WEIR_ENOMEM, WEIR_REASON_OVERLOADED},
                {WEIR_EINVAL, WEIR_REASON_INTERNAL}};
    enum weir_reason reason = WEIR_REASON_OPERATOR_STORE_UNAVAILABLE;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            reason = rows[i].reason;
    if (reason == WEIR_REASON_OPERATOR_STORE_UNAVAILABLE || reason == WEIR_REASON_INTERNAL)
        (void)weir_operation_fail(call, reason, NULL, "%s: %s", what,
                                  error != NULL && error->text[0] != '\0' ? error->text : weir_status_name(status));
    else
        (void)weir_operation_fail(call, reason, NULL, "%s", what);
    call->store_status = status;
    return status;
}

/* Whose the operation is, a line each; empty for another failure. */
static struct weir_span roles_of(const struct weir_operation_call *call, char text[80]) {
    size_t length = 0;
    for (int role = WEIR_ROLE_VIEWER; call->reason == WEIR_REASON_ROLE_NOT_ALLOWED && role <= WEIR_ROLE_OWNER; role++)
        if ((call->row->roles & WEIR_ROLE_BIT((enum weir_role)role)) != 0)
            length += (size_t)snprintf(text + length, 80 - length, "%s\n", weir_role_name((enum weir_role)role));
    return weir_span_of(text, length);
}

void operator__call_write_error(struct weir_operation_call *call) {
    const struct weir_reason_row *row = weir_reason_row(call->reason);
    char roles[80] = "";
    const struct weir_error_answer error = {.reason = call->reason,
                                            .brand_upper = call->settings->brand_upper,
                                            .request_id = weir_span_of_string(call->request_id),
                                            .detail = weir_span_of_string(call->detail),
                                            .field = call->field,
                                            .problems = call->problems,
                                            .roles = roles_of(call, roles)};
    call->status = row->status;
    call->content_type = "application/json";
    call->more = false;
    weir_buffer_clear(&call->answer);
    weir_dialect_write_flat_error(&call->answer, &error);
    weir_buffer_append_byte(&call->answer, '\n');
}

/* The operator plane's front: it reads requests on the control thread, finds the operation's row, and sends what came of it.
 *
 * What is answered at once runs here; everything else goes to the operations thread with its body and comes back with its answer. No path is known here: all of them
 * are rows (operations/). A long answer comes in pieces: the next one is asked for when the last has left for the client, so that a slow reader makes nobody hold much.
 */
#include "operator/operator.h"

#include "operator/impl.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dialect/dialect.h"
#include "http/url.h"
#include "json/schema.h"

#include <stdio.h>
#include <unistd.h>

enum { STOP_NAP_US = 1000, ALLOW_SIZE = 80 };

struct weir_operator {
    struct weir_operator_settings settings;
    struct weir_loop *loop;
    struct weir_listener *listener;
    struct weir_http_server *server;
    struct operator__operations *operations;
    struct weir_arena *arena; /* the OpenAPI document and what is found in it */
    yyjson_val *openapi;
    struct operator__schemas *schemas; /* in the order of the rows */
    struct weir_list calls;
    size_t bodies_bytes; /* of all calls */
    struct operator__refusals strangers;
    bool stopping;
};

/* What goes out in one head. */
struct reply {
    unsigned status;
    enum weir_reason reason;
    const char *content_type, *request_id, *allow;
    const struct operator__header *headers;
    size_t header_count;
    struct weir_span body;
    bool with_body; /* false: HEAD */
    bool in_pieces;
};

/* --- sending --- */

static bool has_header(const struct reply *reply, const char *name) {
    for (size_t i = 0; i < reply->header_count; i++)
        if (weir_span_equal_ignore_case(weir_span_of_string(reply->headers[i].name), weir_span_of_string(name)))
            return true;
    return false;
}

static void write_fields(const struct reply *reply, struct weir_buffer *head) {
    const struct weir_reason_row *reason = weir_reason_row(reply->reason);
    (void)weir_http_write_field(head, WEIR_SPAN("X-Request-Id"), weir_span_of_string(reply->request_id));
    if (reply->status != 204)
        (void)weir_http_write_field(head, WEIR_SPAN("Content-Type"), weir_span_of_string(reply->content_type));
    weir_buffer_append(
        head,
        WEIR_SPAN(
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
            "Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n"));
    for (size_t i = 0; i < reply->header_count; i++)
        (void)weir_http_write_field(head, weir_span_of_string(reply->headers[i].name), reply->headers[i].value);
    if (reply->reason != WEIR_REASON_NONE && reason->retry_after_seconds > 0 && !has_header(reply, "Retry-After"))
        weir_http_write_field_uint64(head, WEIR_SPAN("Retry-After"), reason->retry_after_seconds);
    if (reply->status == 401)
        (void)weir_http_write_field(head, WEIR_SPAN("WWW-Authenticate"), WEIR_SPAN("Bearer"));
    if (reply->allow != NULL)
        (void)weir_http_write_field(head, WEIR_SPAN("Allow"), weir_span_of_string(reply->allow));
}

static bool is_chunked(const struct weir_http_connection *connection, const struct reply *reply) {
    return reply->in_pieces && !weir_http_connection_is_http10(connection);
}

/* Head and body, or the first piece of it; false: the connection is of no use any more. */
static bool send(struct weir_operator *plane, struct weir_http_connection *connection, const struct reply *reply) {
    char date[WEIR_HTTP_DATE_SIZE], chunk[WEIR_HTTP_CHUNK_HEAD_SIZE] = "";
    struct weir_buffer head;
    bool chunked = is_chunked(connection, reply);
    bool has_body = reply->with_body && reply->status != 204 && reply->body.length > 0;
    if (reply->in_pieces && !chunked)
        weir_http_connection_end_by_close(connection);
    weir_clock_format_http(weir_loop_utc_us(plane->loop), date);
    weir_buffer_init(&head, 64 * WEIR_KIB);
    weir_http_write_status_line(&head, reply->status);
    (void)weir_http_write_field(&head, WEIR_SPAN("Date"), weir_span_of_string(date));
    write_fields(reply, &head);
    if (weir_http_connection_must_close(connection))
        (void)weir_http_write_field(&head, WEIR_SPAN("Connection"), WEIR_SPAN("close"));
    if (chunked)
        (void)weir_http_write_field(&head, WEIR_SPAN("Transfer-Encoding"), WEIR_SPAN("chunked"));
    else if (!reply->in_pieces && reply->status != 204)
        weir_http_write_field_uint64(&head, WEIR_SPAN("Content-Length"), reply->body.length);
    weir_http_write_head_end(&head);
    size_t chunk_length = chunked && has_body ? weir_http_format_chunk_head(reply->body.length, chunk) : 0;
    const struct weir_span parts[] = {weir_buffer_span(&head), weir_span_of(chunk, chunk_length),
                                      has_body ? reply->body : WEIR_SPAN(""),
                                      chunk_length > 0 ? WEIR_SPAN("\r\n") : WEIR_SPAN("")};
    bool sent = weir_buffer_status(&head) == WEIR_OK && weir_http_connection_write(connection, parts, 4) == WEIR_OK;
    weir_buffer_release(&head);
    return sent;
}

static void send_and_finish(struct weir_operator *plane, struct weir_http_connection *connection,
                            const struct reply *reply) {
    if (send(plane, connection, reply))
        weir_http_connection_finish(connection);
    else
        weir_http_connection_abort(connection);
}

static void new_request_id(struct weir_operator *plane, char request_id[WEIR_UUID_TEXT_SIZE]) {
    struct weir_uuid id = weir_uuid_v7(weir_loop_random(plane->loop), weir_loop_utc_us(plane->loop));
    weir_uuid_format(&id, request_id);
}

/* An answer to what did not become a call; `operation` is what it would have been, or "none". */
static void refuse(struct weir_operator *plane, struct weir_http_connection *connection, const char *operation,
                   enum weir_reason reason, const char *detail, const char *allow, bool with_body) {
    struct weir_buffer body;
    char request_id[WEIR_UUID_TEXT_SIZE];
    new_request_id(plane, request_id);
    const struct weir_error_answer error = {.reason = reason,
                                            .brand_upper = plane->settings.brand_upper,
                                            .request_id = weir_span_of_string(request_id),
                                            .detail = weir_span_of_string(detail)};
    weir_buffer_init(&body, 16 * WEIR_KIB);
    weir_dialect_write_flat_error(&body, &error);
    const struct reply reply = {.status = weir_reason_row(reason)->status,
                                .reason = reason,
                                .content_type = "application/json",
                                .request_id = request_id,
                                .allow = allow,
                                .body = weir_buffer_span(&body),
                                .with_body = with_body};
    const struct weir_actor actor = {.name = WEIR_SPAN(""),
                                     .address = weir_span_of_string(weir_http_connection_peer(connection))};
    const struct operator__sign sign = {.operation = operation,
                                        .status = reply.status,
                                        .refused = true,
                                        .reason = reason,
                                        .actor = &actor,
                                        .request_id = request_id};
    operator__leave_sign(plane->loop, plane->settings.metrics, &plane->strangers, &sign);
    send_and_finish(plane, connection, &reply);
    weir_buffer_release(&body);
}

/* --- calls --- */

static void drop(struct weir_operation_call *call) {
    call->plane->bodies_bytes -= call->body.length;
    operator__call_free(&call);
}

static struct reply reply_of(const struct weir_operation_call *call) {
    return (struct reply){.status = call->status,
                          .reason = call->reason,
                          .content_type = call->content_type,
                          .request_id = call->request_id,
                          .headers = call->headers,
                          .header_count = call->header_count,
                          .body = weir_buffer_span(&call->answer),
                          .with_body = !call->is_head,
                          .in_pieces = call->more};
}

/* Once for each call that is answered, with its first piece. */
static void leave_sign(struct weir_operation_call *call) {
    struct weir_operator *plane = call->plane;
    bool refused = call->reason != WEIR_REASON_NONE;
    if (call->actor.address.length == 0) /* nobody has looked who it is */
        call->actor.address = weir_span_of_string(call->peer);
    const struct operator__sign sign = {.operation = call->row->id,
                                        .status = call->status,
                                        .changed = call->row->changes && !refused,
                                        .refused = refused,
                                        .reason = call->reason,
                                        .actor = &call->actor,
                                        .request_id = call->request_id,
                                        .duration_us = (weir_loop_now_ns(plane->loop) - call->began_ns) / 1000};
    operator__leave_sign(plane->loop, plane->settings.metrics, &plane->strangers, &sign);
}

/* The call's answer is an error of ours. */
static void fail_call(struct weir_operation_call *call, enum weir_reason reason, const char *detail) {
    struct weir_operator *plane = call->plane;
    struct weir_http_connection *connection = call->connection;
    (void)weir_operation_fail(call, reason, NULL, "%s", detail);
    operator__call_write_error(call);
    leave_sign(call);
    const struct reply reply = reply_of(call);
    send_and_finish(plane, connection, &reply);
    drop(call);
}

static void submit(struct weir_operation_call *call) {
    struct weir_operator *plane = call->plane;
    call->stage = OPERATOR__SUBMITTED;
    if (plane->stopping)
        fail_call(call, WEIR_REASON_SHUTTING_DOWN, "");
    else if (operator__operations_submit(plane->operations, call) != WEIR_OK)
        fail_call(call, WEIR_REASON_OVERLOADED, "too many operations wait");
}

static void next_piece(struct weir_operation_call *call) {
    struct weir_operator *plane = call->plane;
    operator__call_next_piece(call);
    call->stage = OPERATOR__SUBMITTED;
    if (plane->stopping || operator__operations_submit(plane->operations, call) != WEIR_OK) {
        weir_http_connection_abort(call->connection);
        drop(call);
    }
}

static bool send_piece(struct weir_operation_call *call) {
    struct weir_http_connection *connection = call->connection;
    char chunk[WEIR_HTTP_CHUNK_HEAD_SIZE] = "";
    bool chunked = !weir_http_connection_is_http10(connection);
    struct weir_span piece = weir_buffer_span(&call->answer);
    size_t chunk_length = chunked && piece.length > 0 ? weir_http_format_chunk_head(piece.length, chunk) : 0;
    const struct weir_span parts[] = {weir_span_of(chunk, chunk_length), piece,
                                      chunk_length > 0 ? WEIR_SPAN("\r\n") : WEIR_SPAN(""),
                                      chunked && !call->more ? WEIR_SPAN("0\r\n\r\n") : WEIR_SPAN("")};
    return weir_http_connection_write(connection, parts, 4) == WEIR_OK;
}

/* The operations thread has given the call back. */
static void on_done(struct weir_operation_call *call) {
    struct weir_operator *plane = call->plane;
    struct weir_http_connection *connection = call->connection;
    call->stage = OPERATOR__SENDING;
    if (call->pieces == 0)
        leave_sign(call);
    if (connection == NULL) { /* the client has left meanwhile */
        drop(call);
        return;
    }
    const struct reply reply = reply_of(call);
    bool sent = call->broken ? false : call->pieces == 0 ? send(plane, connection, &reply) : send_piece(call);
    if (!sent) {
        weir_http_connection_abort(connection);
        drop(call);
    } else if (!call->more || call->is_head) {
        weir_http_connection_finish(connection);
        drop(call);
    } else if (weir_http_connection_pending_bytes(connection) == 0) {
        next_piece(call);
    } /* else on_drain */
}

static void on_body(void *request, struct weir_span data) {
    struct weir_operation_call *call = request;
    struct weir_operator *plane = call->plane;
    if (!call->row->has_body) {
        fail_call(call, WEIR_REASON_BODY_NOT_TAKEN, "");
        return;
    }
    if (plane->bodies_bytes + data.length > OPERATOR__MAX_BODIES_BYTES) {
        fail_call(call, WEIR_REASON_OVERLOADED, "too many bodies at once");
        return;
    }
    size_t before = call->body.length;
    weir_buffer_append(&call->body, data);
    plane->bodies_bytes += call->body.length - before;
    enum weir_status status = weir_buffer_status(&call->body);
    if (status != WEIR_OK)
        fail_call(call, status == WEIR_ELIMIT ? WEIR_REASON_BODY_TOO_LARGE : WEIR_REASON_OVERLOADED,
                  status == WEIR_ELIMIT ? "the operator plane takes 1 MiB" : "no memory");
}

static void on_complete(void *request) {
    submit(request);
}

static void on_gone(void *request, enum weir_reason reason) {
    struct weir_operation_call *call = request;
    if (call->stage == OPERATOR__SUBMITTED && !operator__operations_withdraw(call->plane->operations, call))
        call->connection = NULL; /* it runs: it goes on to its end, and its answer is dropped */
    else if (reason == WEIR_REASON_CLIENT_CLOSED || call->stage != OPERATOR__READING)
        drop(call);
    else
        fail_call(call, reason, "the body did not come whole");
}

static void on_drain(void *request) {
    struct weir_operation_call *call = request;
    if (call->stage == OPERATOR__SENDING)
        next_piece(call);
}

static const struct weir_http_request_events call_events = {.on_body = on_body,
                                                            .on_complete = on_complete,
                                                            .on_gone = on_gone,
                                                            .on_drain = on_drain};

/* --- requests --- */

static struct weir_span host_of(struct weir_span authority) {
    if (authority.length > 0 && authority.at[0] == '[') {
        size_t end = weir_span_index(authority, ']');
        return end < authority.length ? weir_span_of(authority.at + 1, end - 1) : authority;
    }
    return weir_span_first(authority, weir_span_index(authority, ':'));
}

static enum weir_reason check_origin(const struct weir_operator *plane, const struct weir_http_head *head) {
    const struct weir_span *origin = weir_http_head_find(head, WEIR_SPAN("origin"));
    struct weir_url url;
    if (plane->settings.loopback_only && (head->minor_version > 0 || head->authority.length > 0) &&
        !weir_url_host_is_loopback(host_of(head->authority)))
        return WEIR_REASON_HOST_NOT_ALLOWED;
    if (origin != NULL &&
        (weir_url_parse(*origin, &url, NULL) != WEIR_OK || !weir_span_equal(url.authority, head->authority)))
        return WEIR_REASON_OPERATOR_ORIGIN_NOT_ALLOWED;
    return WEIR_REASON_NONE;
}

/* Every request is looked at, so that a change of the list ends what goes on over a connection that is open. */
static bool is_allowed(const struct weir_operator *plane, const struct weir_http_connection *connection) {
    struct weir_address peer;
    if (plane->settings.allow.count == 0)
        return true;
    return weir_address_parse(weir_span_of_string(weir_http_connection_peer(connection)), &peer) == WEIR_OK &&
           weir_networks_contain(&plane->settings.allow, &peer);
}

/* The methods of a path, for Allow. */
static void write_methods(size_t first, char allow[ALLOW_SIZE]) {
    size_t length = 0;
    for (size_t i = first; i < operator__row_count && operator__same_path(&operator__rows[first], &operator__rows[i]);
         i++)
        length += (size_t)snprintf(allow + length, ALLOW_SIZE - length, "%s%s", operator__rows[i].method,
                                   strcmp(operator__rows[i].method, "GET") == 0 ? ", HEAD, " : ", ");
    (void)snprintf(allow + length, ALLOW_SIZE - length, "OPTIONS");
}

/* The row of path and method, or operator__row_count; *first is the path's first row, or operator__row_count. HEAD is GET's. */
static size_t find_row(const struct weir_http_head *head, size_t *first) {
    struct weir_span method = weir_span_equal(head->method, WEIR_SPAN("HEAD")) ? WEIR_SPAN("GET") : head->method;
    *first = operator__find_path(head->path);
    for (size_t i = *first; i < operator__row_count && operator__same_path(&operator__rows[*first], &operator__rows[i]);
         i++)
        if (weir_span_equal(weir_span_of_string(operator__rows[i].method), method))
            return i;
    return operator__row_count;
}

/* NONE, or why the body cannot be taken: told before it comes. */
static enum weir_reason check_body_head(const struct operator__row *row, const struct weir_http_head *head) {
    const struct weir_span *type = weir_http_head_find(head, WEIR_SPAN("content-type"));
    bool has_body = head->chunked || (head->has_content_length && head->content_length > 0);
    if (!has_body || row->immediate)
        return WEIR_REASON_NONE;
    if (!row->has_body)
        return head->chunked ? WEIR_REASON_NONE : WEIR_REASON_BODY_NOT_TAKEN; /* chunked may turn out to be empty */
    if (head->has_content_length && head->content_length > OPERATOR__MAX_BODY_BYTES)
        return WEIR_REASON_BODY_TOO_LARGE;
    if (type == NULL || weir_http_head_find(head, WEIR_SPAN("content-encoding")) != NULL ||
        (!weir_http_media_type_is(*type, WEIR_SPAN("application/json")) &&
         !weir_http_media_type_is(*type, WEIR_SPAN("application/merge-patch+json"))))
        return WEIR_REASON_CONTENT_TYPE_UNSUPPORTED;
    return WEIR_REASON_NONE;
}

static void answer_options(struct weir_operator *plane, struct weir_http_connection *connection, const char *allow) {
    char request_id[WEIR_UUID_TEXT_SIZE];
    new_request_id(plane, request_id);
    const struct reply reply = {.status = 204, .request_id = request_id, .allow = allow};
    if (plane->settings.metrics != NULL)
        weir_metrics_add_operation(plane->settings.metrics, "none", reply.status);
    send_and_finish(plane, connection, &reply);
}

static void answer_at_once(struct weir_operator *plane, struct weir_operation_call *call) {
    call->now_utc_us = weir_loop_utc_us(plane->loop);
    if (call->row->run(call) != WEIR_OK || weir_buffer_status(&call->answer) != WEIR_OK) {
        if (call->reason == WEIR_REASON_NONE)
            (void)weir_operation_fail(call, WEIR_REASON_INTERNAL, NULL, "%s", "");
        operator__call_write_error(call);
    }
    leave_sign(call);
    const struct reply reply = reply_of(call);
    send_and_finish(plane, call->connection, &reply);
    drop(call);
}

static void begin_call(struct weir_operator *plane, struct weir_http_connection *connection, size_t index,
                       const struct weir_http_head *head, struct weir_span block) {
    struct weir_operation_call *call = operator__call_new(plane, &plane->settings, &operator__rows[index], head, block);
    bool is_head = weir_span_equal(head->method, WEIR_SPAN("HEAD"));
    if (call == NULL) {
        refuse(plane, connection, operator__rows[index].id, WEIR_REASON_OVERLOADED, "no memory", NULL, !is_head);
        return;
    }
    weir_list_append(&plane->calls, &call->link);
    call->schemas = &plane->schemas[index];
    call->connection = connection;
    call->began_ns = weir_loop_now_ns(plane->loop);
    call->is_head = is_head;
    new_request_id(plane, call->request_id);
    (void)snprintf(call->peer, sizeof call->peer, "%s", weir_http_connection_peer(connection));
    if (call->row->immediate) {
        answer_at_once(plane, call);
        return;
    }
    weir_http_connection_serve(connection, &call_events, call);
    if (call->row->has_body)
        weir_http_connection_continue(connection);
}

static void on_request(void *owner, struct weir_http_connection *connection, const struct weir_http_head *head,
                       struct weir_span block) {
    struct weir_operator *plane = owner;
    bool with_body = !weir_span_equal(head->method, WEIR_SPAN("HEAD"));
    char allow[ALLOW_SIZE] = "";
    size_t first, found = find_row(head, &first);
    enum weir_reason reason = is_allowed(plane, connection) ? check_origin(plane, head)
                                                            : WEIR_REASON_OPERATOR_ADDRESS_NOT_ALLOWED;
    if (reason == WEIR_REASON_NONE && first == operator__row_count)
        reason = WEIR_REASON_OPERATOR_PATH_NOT_FOUND;
    if (reason != WEIR_REASON_NONE) {
        refuse(plane, connection, "none", reason, NULL, NULL, with_body);
        return;
    }
    if (found == operator__row_count) {
        write_methods(first, allow);
        if (weir_span_equal(head->method, WEIR_SPAN("OPTIONS")))
            answer_options(plane, connection, allow);
        else
            refuse(plane, connection, "none", WEIR_REASON_METHOD_NOT_ALLOWED, NULL, allow, with_body);
        return;
    }
    reason = check_body_head(&operator__rows[found], head);
    if (reason != WEIR_REASON_NONE)
        refuse(plane, connection, operator__rows[found].id, reason,
               reason == WEIR_REASON_BODY_TOO_LARGE ? "the operator plane takes 1 MiB" : NULL, NULL, with_body);
    else
        begin_call(plane, connection, found, head, block);
}

static void on_refused(void *owner, struct weir_http_connection *connection, enum weir_reason reason,
                       const char *problem) {
    refuse(owner, connection, "none", reason, problem, NULL, true);
}

static const struct weir_http_handler handler = {.on_request = on_request, .on_refused = on_refused};

static void on_accept(void *owner, struct weir_stream *stream) {
    struct weir_operator *plane = owner;
    weir_http_server_accept(plane->server, stream);
}

/* --- beginning and end --- */

static yyjson_val *schema_of(yyjson_val *holder) {
    return yyjson_obj_get(holder, "schema");
}

/* Every row has its place in the document: both come from one generator. */
static enum weir_status read_openapi(struct weir_operator *plane, struct weir_error *error) {
    struct weir_schema_problem problem;
    yyjson_doc *document = NULL;
    plane->arena = weir_arena_new(0, 256 * WEIR_MIB);
    plane->schemas = plane->arena != NULL ? weir_arena_array(plane->arena, operator__row_count, sizeof *plane->schemas)
                                          : NULL;
    if (plane->schemas == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the operator plane");
    enum weir_status status = weir_json_read(plane->arena, weir_span_of(operator__openapi, operator__openapi_length),
                                             &document, &problem);
    if (status != WEIR_OK)
        return weir_fail(error, status, "the OpenAPI document: %s: %s", problem.member, problem.text);
    plane->openapi = yyjson_doc_get_root(document);
    for (size_t i = 0; i < operator__row_count; i++) {
        const struct operator__row *row = &operator__rows[i];
        char method[16] = "";
        for (size_t j = 0; row->method[j] != '\0' && j + 1 < sizeof method; j++)
            method[j] = (char)(row->method[j] | 0x20);
        yyjson_val *operation = yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(plane->openapi, "paths"), row->path),
                                               method);
        yyjson_val *content = yyjson_obj_get(yyjson_obj_get(operation, "requestBody"), "content");
        yyjson_val *parameters = yyjson_obj_get(operation, "parameters");
        plane->schemas[i].body = schema_of(yyjson_obj_get(content, "application/json"));
        weir_bug_on(operation == NULL || row->has_body != (plane->schemas[i].body != NULL) ||
                    yyjson_arr_size(parameters) != row->parameter_count);
        for (size_t j = 0; j < row->parameter_count; j++)
            plane->schemas[i].parameters[j] = schema_of(yyjson_arr_get(parameters, j));
    }
    return WEIR_OK;
}

enum weir_status weir_operator_new(struct weir_loop *loop, int fd, const struct weir_operator_settings *settings,
                                   struct weir_operator **plane, struct weir_error *error) {
    static const struct weir_http_server_settings server_settings = {.head_timeout_ms = 10000,
                                                                     .body_timeout_ms = 10000,
                                                                     .keep_alive_timeout_ms = 60000,
                                                                     .keep_alive_requests = 1000,
                                                                     .max_connections = OPERATOR__MAX_CONNECTIONS};
    struct weir_operator *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the operator plane");
    made->settings = *settings;
    made->loop = loop;
    weir_list_init(&made->calls);
    enum weir_status status = read_openapi(made, error);
    if (status == WEIR_OK)
        status = operator__operations_new(loop, &made->settings, made->openapi, on_done, &made->operations, error);
    made->server = status == WEIR_OK ? weir_http_server_new(loop, &server_settings, &handler, made) : NULL;
    if (status == WEIR_OK)
        status = made->server == NULL
                     ? weir_fail(error, WEIR_ENOMEM, "no memory for the operator plane")
                     : weir_listener_new(loop, fd, settings->tls, on_accept, made, &made->listener, error);
    if (status != WEIR_OK)
        weir_operator_free(&made);
    else
        *plane = made;
    return status;
}

void weir_operator_allow(struct weir_operator *plane, const struct weir_networks *networks) {
    plane->settings.allow = *networks;
}

/* What runs goes on to its end, and may need this thread for it; what waits is told. */
static void stop_operations(struct weir_operator *plane) {
    plane->stopping = true;
    if (plane->operations == NULL)
        return;
    bool ended = operator__operations_stop(plane->operations);
    for (struct weir_list *link = plane->calls.next, *next; link != &plane->calls; link = next) {
        struct weir_operation_call *call = WEIR_CONTAINER_OF(link, struct weir_operation_call, link);
        next = link->next;
        if (call->stage != OPERATOR__SUBMITTED || !operator__operations_withdraw(plane->operations, call))
            continue;
        if (call->pieces == 0) {
            fail_call(call, WEIR_REASON_SHUTTING_DOWN, "");
        } else {
            weir_http_connection_abort(call->connection);
            drop(call);
        }
    }
    while (!ended) {
        (void)weir_loop_run_once(plane->loop);
        (void)usleep(STOP_NAP_US);
        ended = operator__operations_stop(plane->operations);
    }
    (void)weir_loop_run_once(plane->loop); /* the last answer */
    operator__operations_free(&plane->operations);
}

void weir_operator_free(struct weir_operator **plane) {
    if (*plane == NULL)
        return;
    weir_listener_free(&(*plane)->listener);
    stop_operations(*plane);
    if ((*plane)->server != NULL)
        weir_http_server_free(&(*plane)->server);
    while (!weir_list_is_empty(&(*plane)->calls)) { /* on their way back: they free themselves when they come */
        struct weir_operation_call *call = WEIR_CONTAINER_OF((*plane)->calls.next, struct weir_operation_call, link);
        weir_list_remove(&call->link);
        call->on_done = NULL;
    }
    weir_arena_free(&(*plane)->arena);
    weir_memory_free(*plane);
    *plane = NULL;
}

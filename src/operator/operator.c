/* The operator plane's front: health, metrics, and an index of what there is. Every path is one row. */
#include "operator/operator.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/memory.h"
#include "dialect/dialect.h"
#include "http/url.h"
#include "telemetry/metrics.h"

struct weir_operator {
    struct weir_operator_settings settings;
    struct weir_loop *loop;
    struct weir_listener *listener;
    struct weir_http_server *server;
};

struct answer {
    unsigned status;
    const char *content_type;
    struct weir_buffer body;
};

static void answer_health(struct weir_operator *plane, const struct weir_http_head *head, struct answer *answer) {
    enum weir_health_path kind = WEIR_HEALTH_ALL;
    (void)weir_health_path_find(head->path, &kind);
    answer->status = weir_board_write_health(plane->settings.board, kind, &answer->body);
    weir_buffer_append_byte(&answer->body, '\n');
}

static void answer_metrics(struct weir_operator *plane, const struct weir_http_head *head, struct answer *answer) {
    const struct weir_span *accept = weir_http_head_find(head, WEIR_SPAN("accept"));
    bool openmetrics = weir_metrics_wants_openmetrics(accept);
    plane->settings.write_metrics(plane->settings.context, openmetrics, &answer->body);
    answer->content_type = weir_metrics_content_type(openmetrics);
}

static void answer_index(struct weir_operator *plane, const struct weir_http_head *head, struct answer *answer) {
    (void)head;
    const struct weir_board *board = plane->settings.board;
    answer->content_type = "text/plain; charset=utf-8";
    weir_buffer_printf(&answer->body,
                       "weir %s, environment %s, %s\n\n"
                       "data plane   %s/v1\n"
                       "GET /health  state of every dependency\n"
                       "GET /readyz  200 when traffic may come, else 503\n"
                       "GET /livez   200 while the process runs\n"
                       "GET /metrics Prometheus text\n\n"
                       "keys:   weir key create|list|revoke\n"
                       "usage:  weir ledger list|export\n",
                       board->version, board->environment, weir_board_is_ready(board) ? "ready" : "not ready",
                       plane->settings.data_plane);
}

static const struct {
    const char *path;
    void (*run)(struct weir_operator *plane, const struct weir_http_head *head, struct answer *answer);
} paths[] = {
    {"/", answer_index},      {"/health", answer_health}, {"/healthz", answer_health}, {"/livez", answer_health},
    {"/live", answer_health}, {"/readyz", answer_health}, {"/ready", answer_health},   {"/metrics", answer_metrics},
};

/* Flat errors: error, error_code, details, request_id, and detail for clients of another shape. */
static void answer_reason(struct weir_operator *plane, enum weir_reason reason, const char *request_id,
                          const char *detail, struct answer *answer) {
    const struct weir_error_answer error = {.reason = reason,
                                            .brand_upper = plane->settings.brand_upper,
                                            .request_id = weir_span_of_string(request_id),
                                            .detail = weir_span_of_string(detail)};
    answer->status = weir_reason_row(reason)->status;
    answer->content_type = "application/json";
    weir_buffer_clear(&answer->body);
    weir_dialect_write_flat_error(&answer->body, &error);
}

static struct weir_span host_of(struct weir_span authority) {
    if (authority.length > 0 && authority.at[0] == '[') {
        size_t end = weir_span_index(authority, ']');
        return end < authority.length ? weir_span_of(authority.at + 1, end - 1) : authority;
    }
    return weir_span_first(authority, weir_span_index(authority, ':'));
}

static enum weir_reason check(const struct weir_operator *plane, const struct weir_http_head *head) {
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

static void send(struct weir_operator *plane, struct weir_http_connection *connection, const struct answer *answer,
                 const char *request_id, bool with_body) {
    char date[WEIR_HTTP_DATE_SIZE];
    struct weir_buffer head;
    weir_clock_format_http(weir_loop_utc_us(plane->loop), date);
    weir_buffer_init(&head, 16 * WEIR_KIB);
    weir_http_write_status_line(&head, answer->status);
    (void)weir_http_write_field(&head, WEIR_SPAN("Date"), weir_span_of_string(date));
    (void)weir_http_write_field(&head, WEIR_SPAN("X-Request-Id"), weir_span_of_string(request_id));
    (void)weir_http_write_field(&head, WEIR_SPAN("Content-Type"), weir_span_of_string(answer->content_type));
    weir_buffer_append(
        &head,
        WEIR_SPAN(
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
            "Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n"));
    if (answer->status == 405)
        (void)weir_http_write_field(&head, WEIR_SPAN("Allow"), WEIR_SPAN("GET, HEAD"));
    if (weir_http_connection_must_close(connection))
        (void)weir_http_write_field(&head, WEIR_SPAN("Connection"), WEIR_SPAN("close"));
    weir_http_write_field_uint64(&head, WEIR_SPAN("Content-Length"), answer->body.length);
    weir_http_write_head_end(&head);
    const struct weir_span parts[] = {weir_buffer_span(&head),
                                      with_body ? weir_buffer_span(&answer->body) : WEIR_SPAN("")};
    if (weir_buffer_status(&head) == WEIR_OK && weir_buffer_status(&answer->body) == WEIR_OK &&
        weir_http_connection_write(connection, parts, 2) == WEIR_OK)
        weir_http_connection_finish(connection);
    else
        weir_http_connection_abort(connection);
    weir_buffer_release(&head);
}

static void begin(struct weir_operator *plane, struct answer *answer, char request_id[WEIR_UUID_TEXT_SIZE]) {
    struct weir_uuid id = weir_uuid_v7(weir_loop_random(plane->loop), weir_loop_utc_us(plane->loop));
    weir_uuid_format(&id, request_id);
    *answer = (struct answer){.status = 200, .content_type = "application/json"};
    weir_buffer_init(&answer->body, 64 * WEIR_MIB);
}

static void on_request(void *owner, struct weir_http_connection *connection, const struct weir_http_head *head,
                       struct weir_span block) {
    struct weir_operator *plane = owner;
    struct answer answer;
    char request_id[WEIR_UUID_TEXT_SIZE];
    (void)block;
    begin(plane, &answer, request_id);
    bool is_get = weir_span_equal(head->method, WEIR_SPAN("GET")),
         is_head = weir_span_equal(head->method, WEIR_SPAN("HEAD"));
    enum weir_reason reason = check(plane, head);
    size_t found = 0;
    while (found < sizeof paths / sizeof *paths && !weir_span_equal(head->path, weir_span_of_string(paths[found].path)))
        found++;
    if (reason == WEIR_REASON_NONE && found == sizeof paths / sizeof *paths)
        reason = WEIR_REASON_OPERATOR_PATH_NOT_FOUND;
    else if (reason == WEIR_REASON_NONE && !is_get && !is_head)
        reason = WEIR_REASON_METHOD_NOT_ALLOWED;
    if (reason == WEIR_REASON_NONE)
        paths[found].run(plane, head, &answer);
    else
        answer_reason(plane, reason, request_id, NULL, &answer);
    send(plane, connection, &answer, request_id, !is_head);
    weir_buffer_release(&answer.body);
}

static void on_refused(void *owner, struct weir_http_connection *connection, enum weir_reason reason,
                       const char *problem) {
    struct weir_operator *plane = owner;
    struct answer answer;
    char request_id[WEIR_UUID_TEXT_SIZE];
    begin(plane, &answer, request_id);
    answer_reason(plane, reason, request_id, problem, &answer);
    send(plane, connection, &answer, request_id, true);
    weir_buffer_release(&answer.body);
}

static const struct weir_http_handler handler = {.on_request = on_request, .on_refused = on_refused};

static void on_accept(void *owner, struct weir_stream *stream) {
    struct weir_operator *plane = owner;
    weir_http_server_accept(plane->server, stream);
}

enum weir_status weir_operator_new(struct weir_loop *loop, int fd, const struct weir_operator_settings *settings,
                                   struct weir_operator **plane, struct weir_error *error) {
    static const struct weir_http_server_settings server_settings = {.head_timeout_ms = 10000,
                                                                     .body_timeout_ms = 10000,
                                                                     .keep_alive_timeout_ms = 60000,
                                                                     .keep_alive_requests = 1000,
                                                                     .max_connections = 256};
    struct weir_operator *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the operator plane");
    made->settings = *settings;
    made->loop = loop;
    made->server = weir_http_server_new(loop, &server_settings, &handler, made);
    enum weir_status status = made->server == NULL
                                  ? weir_fail(error, WEIR_ENOMEM, "no memory for the operator plane")
                                  : weir_listener_new(loop, fd, NULL, on_accept, made, &made->listener, error);
    if (status != WEIR_OK)
        weir_operator_free(&made);
    else
        *plane = made;
    return status;
}

void weir_operator_free(struct weir_operator **plane) {
    if (*plane == NULL)
        return;
    weir_listener_free(&(*plane)->listener);
    weir_http_server_free(&(*plane)->server);
    weir_memory_free(*plane);
    *plane = NULL;
}

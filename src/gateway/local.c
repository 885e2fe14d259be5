/* Answers that need no provider: health, metrics, preflights. */
#include "gateway/impl.h"

static const struct weir_span json_type = {.at = "application/json", .length = 16};

enum gateway__next gateway__answer_health(struct weir_request *request) {
    enum weir_health_path kind = WEIR_HEALTH_ALL;
    struct weir_buffer body;
    weir_buffer_init(&body, 16 * WEIR_KIB);
    (void)weir_health_path_find(request->head->path, &kind);
    unsigned status = weir_board_write_health(request->worker->gateway->board, kind, &body);
    weir_buffer_append_byte(&body, '\n');
    gateway__answer_body(request, status, json_type, weir_buffer_span(&body));
    weir_buffer_release(&body);
    return NEXT;
}

enum gateway__next gateway__answer_metrics(struct weir_request *request) {
    const struct weir_texts *allow = &gateway__settings(request)->metrics.allow;
    bool allowed = false;
    /* Who scrapes is in our own network: what a proxy says of others does not count. */
    struct weir_span peer = weir_span_of_string(weir_http_connection_peer(request->connection));
    for (size_t i = 0; i < allow->count; i++)
        allowed = allowed || weir_span_equal(allow->at[i], WEIR_SPAN("*")) || weir_span_equal(allow->at[i], peer);
    if (!allowed)
        return gateway__fail(request, WEIR_REASON_ADDRESS_NOT_ALLOWED, NULL, NULL);
    const struct weir_span *accept = weir_http_head_find(request->head, WEIR_SPAN("accept"));
    bool openmetrics = weir_metrics_wants_openmetrics(accept);
    struct weir_buffer body;
    weir_buffer_init(&body, 64 * WEIR_MIB);
    request->worker->gateway->write_metrics(request->worker->gateway->context, openmetrics, &body);
    gateway__answer_body(request, 200, weir_span_of_string(weir_metrics_content_type(openmetrics)),
                         weir_buffer_span(&body));
    weir_buffer_release(&body);
    return NEXT;
}

enum gateway__next gateway__answer_preflight(struct weir_request *request) {
    const struct weir_span *origin = weir_http_head_find(request->head, WEIR_SPAN("origin"));
    const struct weir_span *asked_fields = weir_http_head_find(request->head,
                                                               WEIR_SPAN("access-control-request-headers"));
    if (origin != NULL && !gateway__origin_allowed(request, *origin))
        return gateway__fail(request, WEIR_REASON_ORIGIN_NOT_ALLOWED, NULL, NULL);
    const char *allow = NULL;
    struct weir_span variable;
    (void)gateway__endpoint_find(WEIR_SPAN(""), request->head->path, &variable, &allow);
    struct weir_buffer head;
    weir_buffer_init(&head, 2 * WEIR_MAX_HEAD_BYTES); /* the fields that are asked for, and ours */
    gateway__write_head(request, 204, &head);
    (void)weir_http_write_field(&head, WEIR_SPAN("Allow"),
                                weir_span_of_string(allow != NULL ? allow : "GET, HEAD, POST, OPTIONS"));
    if (origin != NULL) {
        (void)weir_http_write_field(&head, WEIR_SPAN("Access-Control-Allow-Methods"),
                                    weir_span_of_string(allow != NULL ? allow : "GET, POST, OPTIONS"));
        (void)weir_http_write_field(&head, WEIR_SPAN("Access-Control-Allow-Headers"),
                                    asked_fields != NULL ? *asked_fields : WEIR_SPAN("authorization, content-type"));
        (void)weir_http_write_field(&head, WEIR_SPAN("Access-Control-Max-Age"), WEIR_SPAN("600"));
    }
    weir_http_write_head_end(&head);
    const struct weir_span part = weir_buffer_span(&head);
    enum weir_status status = weir_buffer_status(&head);
    if (status == WEIR_OK)
        status = weir_http_connection_write(request->connection, &part, 1);
    weir_buffer_release(&head);
    gateway__client_written(request, status);
    return NEXT;
}

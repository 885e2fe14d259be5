/* The operations about the plane itself: health, metrics, an index, the OpenAPI document, and what the caller may do. */
#include "operator/operations_table.h"

#include "operator/impl.h"
#include "telemetry/metrics.h"

static enum weir_status answer_health(struct weir_operation_call *call, enum weir_health_path kind) {
    const struct weir_operator_settings *settings = weir_operation_settings(call);
    struct weir_buffer *out = weir_operation_buffer(call, "application/json");
    weir_operation_set_status(call, weir_board_write_health(settings->board, kind, out));
    weir_buffer_append_byte(out, '\n');
    return WEIR_OK;
}

enum weir_status operator__health_all(struct weir_operation_call *call) {
    return answer_health(call, WEIR_HEALTH_ALL);
}

enum weir_status operator__health_live(struct weir_operation_call *call) {
    return answer_health(call, WEIR_HEALTH_LIVE);
}

enum weir_status operator__health_ready(struct weir_operation_call *call) {
    return answer_health(call, WEIR_HEALTH_READY);
}

enum weir_status operator__metrics_read(struct weir_operation_call *call) {
    const struct weir_operator_settings *settings = weir_operation_settings(call);
    struct weir_span accept = weir_operation_header(call, "accept");
    bool openmetrics = weir_metrics_wants_openmetrics(accept.length > 0 ? &accept : NULL);
    settings->write_metrics(settings->context, openmetrics,
                            weir_operation_buffer(call, weir_metrics_content_type(openmetrics)));
    return WEIR_OK;
}

enum weir_status operator__plane_index(struct weir_operation_call *call) {
    const struct weir_operator_settings *settings = weir_operation_settings(call);
    const struct weir_board *board = settings->board;
    weir_buffer_printf(weir_operation_buffer(call, "text/plain; charset=utf-8"),
                       "weir %s, environment %s, %s\n\n"
                       "data plane   %s/v1\n"
                       "GET /health  state of every dependency\n"
                       "GET /readyz  200 when traffic may come, else 503\n"
                       "GET /livez   200 while the process runs\n"
                       "GET /metrics Prometheus text\n"
                       "GET /api/v1/openapi.json     every operation, as OpenAPI 3.1\n\n"
                       "keys:     weir key create|list|rotate|revoke\n"
                       "people:   weir operator create|list, weir operator token create\n"
                       "limits:   weir limit list|create|set, weir budget list|create|raise|alerts\n"
                       "usage:    weir usage, weir ledger list|export, weir reconcile, weir receipts\n"
                       "billing:  weir billing purchases|approve|balance\n"
                       "a request, by any id of it: weir requests show ID\n"
                       "who did what: weir audit list\n",
                       board->version, board->environment, weir_board_is_ready(board) ? "ready" : "not ready",
                       settings->data_plane);
    return WEIR_OK;
}

enum weir_status operator__plane_openapi(struct weir_operation_call *call) {
    weir_buffer_append(weir_operation_buffer(call, "application/json"),
                       weir_span_of(operator__openapi, operator__openapi_length));
    return WEIR_OK;
}

static void write_operation(struct weir_json_writer *writer, const struct operator__row *row, bool allowed) {
    weir_json_write_object(writer);
    weir_json_member_text(writer, "id", row->id);
    weir_json_member_text(writer, "method", row->method);
    weir_json_member_text(writer, "path", row->path);
    weir_json_member_text(writer, "tag", row->tag);
    weir_json_write_name(writer, "roles");
    weir_json_write_array(writer);
    for (enum weir_role role = WEIR_ROLE_NONE; role < WEIR_ROLE_COUNT; role++)
        if ((row->roles & WEIR_ROLE_BIT(role)) != 0)
            weir_json_write_string(writer, weir_span_of_string(weir_role_name(role)));
    weir_json_write_end(writer);
    weir_json_member_bool(writer, "changes", row->changes);
    weir_json_member_bool(writer, "allowed", allowed);
    weir_json_write_end(writer);
}

enum weir_status operator__operations_list(struct weir_operation_call *call) {
    struct weir_json_writer *writer = weir_operation_writer(call);
    enum weir_role role = weir_operation_actor(call)->role;
    bool allowed_only = weir_operation_query_flag(call, "allowed");
    struct weir_span tag = weir_operation_query_text(call, "tag");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "role", weir_role_name(role));
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    for (size_t i = 0; i < operator__row_count; i++) {
        const struct operator__row *row = &operator__rows[i];
        bool allowed = (row->roles & (WEIR_ROLE_BIT(role) | WEIR_ROLE_BIT(WEIR_ROLE_NONE))) != 0;
        if ((allowed || !allowed_only) && (tag.length == 0 || weir_span_equal(tag, weir_span_of_string(row->tag))))
            write_operation(writer, row, allowed);
    }
    weir_json_write_end(writer);
    weir_operation_page_end(call, 0);
    return WEIR_OK;
}

/* The operations on captured contents: reading one, which is always told in the audit trail, and deleting one. */
#include "base/limits.h"
#include "operator/op_objects.h"
#include "operator/operations_table.h"
#include "operator/sealed.h"

static struct weir_sealed_work work_of(struct weir_operation_call *call) {
    const struct weir_operator_settings *settings = weir_operation_settings(call);
    struct weir_sealed_work work = {.arena = weir_operation_arena(call),
                                    .sealing = settings->sealing,
                                    .environment = settings->environment,
                                    .now_utc_us = weir_operation_now_utc_us(call)};
    work.store = weir_operation_store(call, &work.engine);
    return work;
}

/* Inside the transaction. What has expired is gone, swept or not. */
static enum weir_status need(struct weir_operation_call *call, struct weir_sealed_work *work,
                             struct weir_content *content) {
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    *work = work_of(call);
    status = work->store->content_get(work->engine, weir_operation_path_value(call, "id"), work->arena, content,
                                      &error);
    if (status == WEIR_ENOTFOUND || (status == WEIR_OK && content->expires_utc_us <= work->now_utc_us))
        return weir_operation_fail(call, WEIR_REASON_NOT_THERE, NULL, "%s",
                                   "no content of this request is kept: its workspace has none captured, or it has "
                                   "expired, or was left out");
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, "the content", &error);
}

static enum weir_status audit(struct weir_operation_call *call, const struct weir_content *content,
                              struct weir_span before) {
    const struct weir_operation_note note = {.resource_id = content->request_id,
                                             .resource_name = WEIR_SPAN(""),
                                             .workspace = content->workspace,
                                             .before = before,
                                             .after = WEIR_SPAN("")};
    return weir_operation_audit(call, &note);
}

enum weir_status operator__requests_content(struct weir_operation_call *call) {
    struct weir_sealed_work work;
    struct weir_content content;
    struct weir_secret *plain = NULL;
    struct weir_error error = {.text = ""};
    enum weir_status status = need(call, &work, &content);
    if (status != WEIR_OK)
        return status;
    status = weir_content_open(&work, &content, &plain, &error);
    if (status == WEIR_EDENIED)
        return weir_operation_fail(call, WEIR_REASON_SEALING_KEY_MISSING, NULL, "%s", error.text);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the content", &error);
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", content.request_id);
    weir_json_member_string(writer, "workspace", content.workspace);
    weir_operation_member_time(writer, "created_at", content.created_utc_us);
    weir_operation_member_time(writer, "expires_at", content.expires_utc_us);
    weir_json_write_name(writer, "content");
    weir_json_write_raw(writer, weir_secret_reveal(plain));
    weir_json_write_end(writer);
    weir_secret_free(&plain);
    return audit(call, &content, WEIR_SPAN(""));
}

/* What was removed, for the trail: all but what it said. */
static enum weir_status audit_removed(struct weir_operation_call *call, const struct weir_content *content) {
    struct weir_buffer before;
    struct weir_json_writer writer;
    weir_buffer_init(&before, WEIR_KIB);
    weir_json_writer_init(&writer, &before);
    weir_json_write_object(&writer);
    weir_operation_member_time(&writer, "created_at", content->created_utc_us);
    weir_operation_member_time(&writer, "expires_at", content->expires_utc_us);
    weir_json_member_int64(&writer, "sealed_bytes", (int64_t)content->blob.length);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&before) == WEIR_OK
                                  ? audit(call, content, weir_buffer_span(&before))
                                  : weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "%s",
                                                        "no memory for the audit entry");
    weir_buffer_release(&before);
    return status;
}

enum weir_status operator__requests_content_delete(struct weir_operation_call *call) {
    struct weir_sealed_work work;
    struct weir_content content;
    struct weir_error error = {.text = ""};
    enum weir_status status = need(call, &work, &content);
    if (status != WEIR_OK)
        return status;
    status = work.store->content_delete(work.engine, content.request_id, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the content", &error);
    weir_operation_set_status(call, 204);
    return audit_removed(call, &content);
}

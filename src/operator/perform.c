/* What happens to a call on the operations thread, in order: who asks, may he, is it well-formed, do it, make it true, tell.
 *
 * A change and its audit entry are one transaction. An attempt that comes to nothing leaves an entry too, in a transaction of its own, where the operation is one that
 * changes: refused, denied or failed. Of those whose sender nobody knows only a few a second are written: they cost a stranger nothing.
 */
#include "operator/impl.h"

#include "base/clock.h"
#include "json/schema.h"

#include <stdio.h>

enum { UNKNOWN_A_SECOND = 5 };

static bool is_unknown(const struct weir_operation_call *call) {
    return call->actor.kind == WEIR_ACTOR_UNKNOWN;
}

/* --- who, and may he --- */

static enum weir_status admit(struct weir_operation_call *call) {
    bool anyone = (call->row->roles & WEIR_ROLE_BIT(WEIR_ROLE_NONE)) != 0;
    char problem[200] = "";
    enum weir_reason reason = operator__authenticate(call, problem);
    if (call->actor.address.length == 0)
        call->actor.address = weir_span_of_string(call->peer);
    if (anyone && call->row->changes) /* a login is nobody's until it has worked, whoever else came with it */
        call->actor = (struct weir_actor){.kind = WEIR_ACTOR_UNKNOWN, .address = call->actor.address};
    enum weir_status status = operator__read_path(call);
    if (reason != WEIR_REASON_NONE && !anyone)
        return weir_operation_fail(call, reason, NULL, "%s", problem);
    if (anyone || status != WEIR_OK)
        return status;
    if ((call->row->roles & WEIR_ROLE_BIT(call->actor.role)) == 0)
        return weir_operation_fail(call, WEIR_REASON_ROLE_NOT_ALLOWED, NULL, "%s is not for the role %s", call->row->id,
                                   weir_role_name(call->actor.role)); /* details.roles has those it is for */
    return WEIR_OK;
}

/* --- making it true --- */

static enum weir_status end_work(struct weir_operation_call *call, enum weir_status status) {
    struct weir_error error = {.text = ""};
    if (status == WEIR_OK && call->row->changes && call->notes == 0 && call->pieces == 0) {
        weir_log(weir_loop_log(call->loop), WEIR_LOG_ERROR, "operation_not_audited",
                 WEIR_LOG_T("operation", call->row->id), WEIR_LOG_T("effect", "it was undone"));
        status = weir_operation_fail(call, WEIR_REASON_INTERNAL, NULL, "%s left no audit entry, so it was undone",
                                     call->row->id);
    }
    if (!call->in_work)
        return status;
    call->in_work = false;
    enum weir_status ended = call->ops->work_end(call->engine, status, &error);
    if (status == WEIR_OK && ended != WEIR_OK)
        return weir_operation_store_failed(call, ended, "the store", &error);
    return status;
}

/* --- what an attempt that came to nothing was made on --- */

static struct weir_span named_in_path(const struct weir_operation_call *call, struct weir_span wanted) {
    for (size_t i = 0; i < call->row->parameter_count; i++)
        if (call->row->parameters[i].place == OPERATOR__IN_PATH &&
            weir_span_equal(weir_span_of_string(call->row->parameters[i].name), wanted))
            return call->values[i];
    return WEIR_SPAN("");
}

/* A body that was refused, or not looked at because its sender may not, is read for the trail, unless nobody knows who sent it. */
static struct weir_span named_in_body(struct weir_operation_call *call, const char *name) {
    struct weir_schema_problem problem = {.text = ""};
    if (call->document == NULL && call->row->has_body && call->body.length > 0 && !is_unknown(call))
        if (weir_json_read(call->arena, weir_buffer_span(&call->body), &call->document, &problem) != WEIR_OK)
            call->document = NULL;
    return weir_operation_body_text(call, name);
}

/* "token" of "operator_token" is the path's name for it. What is being made has no name in the path, but an id in the body perhaps. */
static struct weir_span resource_of(struct weir_operation_call *call) {
    struct weir_span type = weir_span_of_string(call->row->resource);
    struct weir_span found = named_in_path(call, type);
    size_t at = weir_span_index(type, '_');
    if (found.length == 0 && at < type.length)
        found = named_in_path(call, weir_span_from(type, at + 1));
    return found.length > 0 ? found : named_in_body(call, "id");
}

/* Of the path, of the key that is named, of the body; without a word in the body the schema's own. */
static struct weir_span workspace_of(struct weir_operation_call *call, struct weir_span resource) {
    struct weir_span found = named_in_path(call, WEIR_SPAN("workspace")),
                     type = weir_span_of_string(call->row->resource);
    struct weir_key_record key;
    struct weir_error error;
    if (found.length > 0)
        return found;
    if (weir_span_equal(type, WEIR_SPAN("workspace")))
        return resource;
    if (weir_span_equal(type, WEIR_SPAN("key")) && resource.length > 0 && call->store_status == WEIR_OK &&
        !is_unknown(call) && call->ops->key_get(call->engine, resource, call->arena, &key, &error) == WEIR_OK)
        return key.workspace;
    found = named_in_body(call, "workspace");
    yyjson_val *schema = call->schemas != NULL ? call->schemas->body : NULL;
    yyjson_val *initial = yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(schema, "properties"), "workspace"), "default");
    return found.length == 0 && yyjson_is_str(initial) ? weir_span_of(yyjson_get_str(initial), yyjson_get_len(initial))
                                                       : found;
}

static bool may_note(struct weir_operation_call *call, struct operator__refusals *refusals) {
    if (!is_unknown(call))
        return true;
    int64_t second = call->now_utc_us / 1000000;
    if (second != refusals->second)
        *refusals = (struct operator__refusals){.second = second};
    return refusals->count++ < UNKNOWN_A_SECOND;
}

static void note_failure(struct weir_operation_call *call, struct operator__refusals *refusals) {
    const struct weir_reason_row *reason = weir_reason_row(call->reason);
    struct weir_error error = {.text = ""};
    if (!call->row->changes || call->leaves_no_trace || call->engine == NULL || !may_note(call, refusals))
        return;
    struct weir_span resource = resource_of(call);
    struct weir_audit_entry entry = {
        .utc_us = call->now_utc_us,
        .actor_kind = weir_span_of_string(weir_actor_kind_name(call->actor.kind)),
        .actor_id = call->actor.id,
        .actor_name = call->actor.name,
        .actor_role = weir_span_of_string(is_unknown(call) ? "" : weir_role_name(call->actor.role)),
        .actor_address = call->actor.address,
        .workspace = operator__call_masked(call, workspace_of(call, resource)),
        .action = weir_span_of_string(call->row->id),
        .resource_type = weir_span_of_string(call->row->resource),
        .resource_id = operator__call_masked(call, resource),
        .request = operator__call_request(call),
        .reason = weir_span_of_string(reason->name),
        .message = weir_span_of_string(reason->message),
        .result = WEIR_AUDIT_FAILURE,
    };
    enum weir_status status = call->store_status; /* a store that just failed is not asked again */
    if (status == WEIR_OK || status == WEIR_ENOTFOUND || status == WEIR_EEXIST || status == WEIR_ESTALE)
        status = call->ops->work_begin(call->engine, &error);
    if (status == WEIR_OK) {
        status = call->ops->audit_append(call->engine, &entry, &error);
        enum weir_status ended = call->ops->work_end(call->engine, status, &error);
        status = status == WEIR_OK ? ended : status;
    }
    if (status != WEIR_OK)
        weir_log(weir_loop_log(call->loop), WEIR_LOG_ERROR, "attempt_not_audited",
                 WEIR_LOG_T("operation", call->row->id), WEIR_LOG_T("reason", reason->name),
                 WEIR_LOG_T("problem", error.text));
}

/* --- the whole --- */

static enum weir_status run(struct weir_operation_call *call, yyjson_val *openapi) {
    enum weir_status status = WEIR_OK;
    if (call->pieces == 0)
        status = admit(call);
    if (call->pieces == 0 && status == WEIR_OK)
        status = operator__validate(call, openapi);
    if (status == WEIR_OK)
        status = call->row->run(call);
    if (status != WEIR_OK &&
        call->reason == WEIR_REASON_NONE) /* a handler that gives no reason costs its call, not the process */
        status = weir_operation_fail(call, WEIR_REASON_INTERNAL, NULL, "%s: %s", call->row->id,
                                     weir_status_name(status));
    if (status == WEIR_OK && call->reason != WEIR_REASON_NONE)
        status = WEIR_EINVAL;
    if (status == WEIR_OK && call->writes_json && !call->more && call->answer.length > 0)
        weir_buffer_append_byte(&call->answer, '\n');
    if (status == WEIR_OK && weir_buffer_status(&call->answer) != WEIR_OK)
        status = weir_operation_fail(call, WEIR_REASON_INTERNAL, NULL, "the answer is too large");
    return end_work(call, status);
}

void operator__perform(struct weir_operation_call *call, yyjson_val *openapi, const char *problem,
                       struct operator__refusals *refusals) {
    enum weir_status status = WEIR_OK;
    call->now_utc_us = call->pieces == 0 ? weir_clock_utc_us() : call->now_utc_us;
    if (call->engine == NULL)
        status = weir_operation_fail(call, WEIR_REASON_OPERATOR_STORE_UNAVAILABLE, NULL, "%s", problem);
    else
        status = run(call, openapi);
    if (status == WEIR_OK) {
        if (call->after != NULL)
            call->after(call);
        return;
    }
    note_failure(call, refusals);
    call->broken = call->pieces > 0;
    operator__call_write_error(call);
}

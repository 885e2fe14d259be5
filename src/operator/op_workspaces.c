/* Workspaces: the tenants that own keys, teams and users, and have a plan. */
#include "operator/operations_table.h"
#include "operator/key_changes.h"
#include "operator/op_billing.h"
#include "operator/op_objects.h"
#include "operator/operations_table.h"
#include "secrets/sealing.h"
#include "telemetry/redaction.h"

enum { PAGE = 1000 };

static const struct operator__member capture_members[] = {
    {.name = "content", .otherwise = "false"},
    {.name = "redact", .otherwise = "[]"},
    {.name = NULL},
};
static const struct operator__member workspace_members[] = {
    {.name = "name", .is_id = true},
    {.name = "plan", .otherwise = "null"},
    {.name = "suspended", .otherwise = "false"},
    {.name = "capture", .otherwise = "{}", .inner = capture_members},
    {.name = "tags", .otherwise = "{}"},
    {.name = "notes", .otherwise = "\"\""},
    {.name = "plan_next", .otherwise = "null"}, /* scheduled by the workspace itself (meter/billing.h) */
    {.name = "plan_next_at", .otherwise = "null"},
    {.name = NULL},
};

struct weir_span weir_workspace_new_text(struct weir_arena *arena, struct weir_span id) {
    return operator__canonical(arena, workspace_members, NULL, id);
}

static enum weir_status check_plan(struct operator__change *change) {
    struct weir_object plan;
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(change->call, &engine);
    struct weir_error error = {.text = ""};
    struct weir_span id = operator__field(change->fields, "plan");
    if (yyjson_is_null(yyjson_obj_get(change->fields, "plan")))
        return WEIR_OK;
    enum weir_status status = store->object_get(engine, WEIR_OBJECT_PLAN, WEIR_SPAN(""), id,
                                                weir_operation_arena(change->call), &plan, &error);
    if (status == WEIR_ENOTFOUND)
        return weir_operation_fail(change->call, WEIR_REASON_FIELD_INVALID, "plan", "there is no plan %.*s",
                                   WEIR_SPAN_PRINT(id));
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(change->call, status, "the plan", &error);
}

/* --- capturing --- */

static bool captures(yyjson_val *fields) {
    return yyjson_is_true(yyjson_obj_get(yyjson_obj_get(fields, "capture"), "content"));
}

/* Nothing is captured that could not be sealed, or of which not all is taken out that is to be. */
static enum weir_status check_capture(struct operator__change *change) {
    struct weir_arena *arena = weir_operation_arena(change->call);
    size_t index, count;
    yyjson_val *name;
    if (!captures(change->fields))
        return WEIR_OK;
    yyjson_arr_foreach(yyjson_obj_get(yyjson_obj_get(change->fields, "capture"), "redact"), index, count, name) {
        struct weir_span word = weir_span_of_string(yyjson_is_str(name) ? yyjson_get_str(name) : "");
        if (weir_redaction_find(word) == 0)
            return weir_operation_fail(change->call, WEIR_REASON_FIELD_INVALID, "capture.redact",
                                       "nothing is known by the name '%.*s'", WEIR_SPAN_PRINT(word));
    }
    bool did = change->before.length > 0 && captures(operator__json_read(arena, change->before));
    if (did || weir_sealing_can_seal(weir_operation_settings(change->call)->sealing))
        return WEIR_OK;
    return weir_operation_fail(change->call, WEIR_REASON_SEALING_KEY_MISSING, "capture.content",
                               "captured contents are sealed, and there is no key");
}

/* Another plan of an operator's is the last word: what was scheduled for the one before is off. */
static enum weir_status drop_schedule(struct operator__change *change) {
    static const char nothing[] = "{\"plan_next\":null,\"plan_next_at\":null}";
    struct weir_arena *arena = weir_operation_arena(change->call);
    yyjson_val *before = change->before.length > 0 ? operator__json_read(arena, change->before) : NULL;
    if (before == NULL || yyjson_is_null(yyjson_obj_get(change->fields, "plan_next")) ||
        weir_span_equal(operator__field(before, "plan"), operator__field(change->fields, "plan")))
        return WEIR_OK;
    yyjson_val *merged = operator__merge(arena, change->fields,
                                         operator__json_read(arena, weir_span_of_string(nothing)));
    change->object.text = operator__canonical(arena, workspace_members, merged, change->object.id);
    change->fields = operator__json_read(arena, change->object.text);
    return change->fields != NULL ? WEIR_OK
                                  : weir_operation_store_failed(change->call, WEIR_ENOMEM, "the workspace", NULL);
}

/* Months that are over were months of the plan before. */
static enum weir_status close_months(struct operator__change *change) {
    struct weir_error error = {.text = ""};
    yyjson_val *before = change->before.length > 0
                             ? operator__json_read(weir_operation_arena(change->call), change->before)
                             : NULL;
    if (before == NULL || weir_span_equal(operator__field(before, "plan"), operator__field(change->fields, "plan")))
        return WEIR_OK;
    struct weir_billing_turn turn = operator__billing_turn(change->call, &error);
    enum weir_status status = weir_account_close_months(&turn, change->object.id);
    return operator__billing_end(change->call, &turn, status, "the account");
}

static enum weir_status note_any(void *context, const struct weir_object *object) {
    (void)object;
    *(bool *)context = true;
    return WEIR_END;
}

/* Credits and purchases outlast their workspace, for they are books. Whoever comes by its name later must not come by them. */
static enum weir_status refuse_name_with_books(struct operator__change *change) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(change->call, &engine);
    struct weir_object account;
    bool has_books = false;
    const struct weir_object_query purchases = {.kind = WEIR_OBJECT_PURCHASE, .parent = change->object.id, .limit = 1};
    if (change->before.length > 0)
        return WEIR_OK;
    enum weir_status status = store->object_get(engine, WEIR_OBJECT_ACCOUNT, WEIR_SPAN(""), change->object.id,
                                                weir_operation_arena(change->call), &account, &error);
    has_books = status == WEIR_OK;
    if (status == WEIR_ENOTFOUND)
        status = store->object_list(engine, &purchases, note_any, &has_books, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(change->call, status, "the account", &error);
    return !has_books ? WEIR_OK
                      : weir_operation_fail(change->call, WEIR_REASON_FIELD_INVALID, "id",
                                            "a former workspace %.*s has credits or purchases, which stay its own: "
                                            "choose another id",
                                            WEIR_SPAN_PRINT(change->object.id));
}

static enum weir_status check_workspace(struct operator__change *change) {
    enum weir_status status = refuse_name_with_books(change);
    if (status == WEIR_OK)
        status = check_plan(change);
    if (status == WEIR_OK)
        status = close_months(change);
    if (status == WEIR_OK)
        status = drop_schedule(change);
    return status == WEIR_OK ? check_capture(change) : status;
}

/* --- how many keys --- */

struct counts {
    int64_t now_utc_us, last, active, total;
    size_t seen;
};

static enum weir_status count_key(void *context, const struct weir_key_record *key) {
    struct counts *counts = context;
    bool is_active = key->revoked_utc_us == 0 && (key->expires_utc_us == 0 || key->expires_utc_us > counts->now_utc_us);
    counts->active += is_active;
    counts->total++;
    counts->seen++;
    counts->last = key->number;
    return WEIR_OK;
}

static enum weir_status show_keys(struct weir_operation_call *call, const struct weir_object *object) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct counts counts = {.now_utc_us = weir_operation_now_utc_us(call)};
    struct weir_key_query query = {.workspace = object->id, .limit = PAGE};
    do {
        counts.seen = 0;
        query.after_number = counts.last;
        enum weir_status status = store->key_list(engine, &query, count_key, &counts, &error);
        if (status != WEIR_OK)
            return weir_operation_store_failed(call, status, "the keys", &error);
    } while (counts.seen == PAGE);
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_name(writer, "keys");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "active", counts.active);
    weir_json_member_int64(writer, "total", counts.total);
    weir_json_write_end(writer);
    return WEIR_OK;
}

/* --- removing --- */

struct members_of {
    struct weir_operation_call *call;
    struct weir_arena *arena;
    struct weir_object at[PAGE];
    size_t count;
    enum weir_status status;
};

/* No operation may run inside a visit, and what is removed must not be listed meanwhile: they are kept first. */
static enum weir_status keep_one(void *context, const struct weir_object *object) {
    struct members_of *members = context;
    struct weir_object *kept = &members->at[members->count++];
    *kept = *object;
    enum weir_status status = weir_arena_dup(members->arena, object->id, &kept->id);
    if (status == WEIR_OK)
        status = weir_arena_dup(members->arena, object->parent, &kept->parent);
    if (status == WEIR_OK)
        status = weir_arena_dup(members->arena, object->text, &kept->text);
    return status;
}

static enum weir_status drop_all(struct operator__change *change, enum weir_object_kind kind, const char *type,
                                 const char *action) {
    const struct operator__kind dropped = {.kind = kind, .type = type};
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(change->call, &engine);
    struct weir_arena *arena = weir_operation_arena(change->call);
    const struct weir_object_query query = {.kind = kind, .parent = change->object.id, .limit = PAGE};
    struct members_of *members = weir_arena_alloc(arena, sizeof *members);
    if (members == NULL)
        return weir_operation_store_failed(change->call, WEIR_ENOMEM, "the workspace", NULL);
    members->arena = arena;
    do {
        members->count = 0;
        enum weir_status status = store->object_list(engine, &query, keep_one, members, &error);
        if (status != WEIR_OK)
            return weir_operation_store_failed(change->call, status, type, &error);
        for (size_t i = 0; i < members->count; i++) {
            status = operator__object_drop(change->call, &dropped, &members->at[i], action);
            if (status != WEIR_OK)
                return status;
        }
    } while (members->count == PAGE);
    return WEIR_OK;
}

static enum weir_status refuse_or_empty(struct operator__change *change) {
    bool is_used = false;
    if (weir_span_equal(change->object.id, WEIR_SPAN("default")))
        return weir_operation_fail(change->call, WEIR_REASON_STATE_CONFLICT, NULL,
                                   "the workspace default stays: keys without a workspace belong to it");
    const struct weir_key_query query = {.workspace = change->object.id};
    enum weir_status status = operator__key_any_active(change->call, &query, &is_used);
    if (status != WEIR_OK)
        return status;
    if (is_used)
        return weir_operation_fail(change->call, WEIR_REASON_STILL_IN_USE, NULL,
                                   "the workspace %.*s has active keys: revoke them first",
                                   WEIR_SPAN_PRINT(change->object.id));
    status = drop_all(change, WEIR_OBJECT_USER, "user", "users.delete");
    return status == WEIR_OK ? drop_all(change, WEIR_OBJECT_TEAM, "team", "teams.delete") : status;
}

static const struct operator__kind workspaces = {
    .kind = WEIR_OBJECT_WORKSPACE,
    .type = "workspace",
    .members = workspace_members,
    .check = check_workspace,
    .may_remove = refuse_or_empty,
    .show_more = show_keys,
    .after = operator__keys_changed /* suspending is in effect when the answer is there */};

enum weir_status operator__workspaces_list(struct weir_operation_call *call) {
    struct weir_object_filter filters[2];
    size_t count = 0;
    struct weir_span plan = weir_operation_query_text(call, "plan");
    if (plan.length > 0)
        filters[count++] = (struct weir_object_filter){.member = "plan", .value = plan};
    count += operator__flag_filter(call, "suspended", &filters[count]);
    return operator__object_list(call, &workspaces, filters, count);
}

enum weir_status operator__workspaces_create(struct weir_operation_call *call) {
    return operator__object_create(call, &workspaces);
}

enum weir_status operator__workspaces_get(struct weir_operation_call *call) {
    return operator__object_get(call, &workspaces);
}

enum weir_status operator__workspaces_update(struct weir_operation_call *call) {
    return operator__object_update(call, &workspaces);
}

enum weir_status operator__workspaces_delete(struct weir_operation_call *call) {
    return operator__object_remove(call, &workspaces);
}

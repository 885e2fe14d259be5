/* Users: the people and machines that a workspace's keys are made for. The store finds one by workspace and address: its handle. */
#include "operator/operations_table.h"
#include "operator/key_changes.h"
#include "operator/op_objects.h"
#include "operator/operations_table.h"

static const struct operator__member user_members[] = {
    {.name = "name", .is_id = true},
    {.name = "email", .otherwise = "null"},
    {.name = "teams", .otherwise = "[]"},
    {.name = "disabled", .otherwise = "false"},
    {.name = "tags", .otherwise = "{}"},
    {.name = "notes", .otherwise = "\"\""},
    {.name = NULL},
};

/* "workspace/address", the address in lower case; a workspace's id has no '/'. Empty without memory. */
static struct weir_span handle_of(struct weir_arena *arena, struct weir_span workspace, struct weir_span email) {
    char *handle = weir_arena_format(arena, "%.*s/%.*s", WEIR_SPAN_PRINT(workspace), WEIR_SPAN_PRINT(email));
    for (char *at = handle; at != NULL && *at != '\0'; at++)
        if (at >= handle + workspace.length && *at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    return weir_span_of_string(handle);
}

static enum weir_status check_teams(struct operator__change *change) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(change->call, &engine);
    yyjson_val *team;
    size_t index, count;
    yyjson_arr_foreach(yyjson_obj_get(change->fields, "teams"), index, count, team) {
        struct weir_object object;
        struct weir_span id = weir_span_of(yyjson_get_str(team), yyjson_get_len(team));
        enum weir_status status = store->object_get(engine, WEIR_OBJECT_TEAM, change->object.parent, id,
                                                    weir_operation_arena(change->call), &object, &error);
        if (status == WEIR_ENOTFOUND)
            return weir_operation_fail(change->call, WEIR_REASON_FIELD_INVALID, "teams",
                                       "the workspace has no team %.*s", WEIR_SPAN_PRINT(id));
        if (status != WEIR_OK)
            return weir_operation_store_failed(change->call, status, "the team", &error);
    }
    return WEIR_OK;
}

static enum weir_status check_user(struct operator__change *change) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(change->call, &engine);
    struct weir_arena *arena = weir_operation_arena(change->call);
    struct weir_span email = operator__field(change->fields, "email");
    struct weir_object other;
    change->object.handle = WEIR_SPAN("");
    if (email.length == 0)
        return check_teams(change);
    change->object.handle = handle_of(arena, change->object.parent, email);
    if (change->object.handle.length == 0)
        return weir_operation_store_failed(change->call, WEIR_ENOMEM, "the user", NULL);
    enum weir_status status = store->object_find(engine, WEIR_OBJECT_USER, change->object.handle, arena, &other,
                                                 &error);
    if (status == WEIR_OK && !weir_span_equal(other.id, change->object.id))
        return weir_operation_fail(change->call, WEIR_REASON_EXISTS_ALREADY, "email", "the user %.*s has this address",
                                   WEIR_SPAN_PRINT(other.id));
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return weir_operation_store_failed(change->call, status, "the user", &error);
    return check_teams(change);
}

static enum weir_status refuse_in_use(struct operator__change *change) {
    bool is_used = false;
    const struct weir_key_query query = {.workspace = change->object.parent, .user = change->object.id};
    enum weir_status status = operator__key_any_active(change->call, &query, &is_used);
    if (status != WEIR_OK || !is_used)
        return status;
    return weir_operation_fail(change->call, WEIR_REASON_STILL_IN_USE, NULL,
                               "the user %.*s has active keys: revoke them first", WEIR_SPAN_PRINT(change->object.id));
}

static const struct operator__kind users = {.kind = WEIR_OBJECT_USER,
                                            .type = "user",
                                            .parent = "workspace",
                                            .id_prefix = "user_",
                                            .members = user_members,
                                            .check = check_user,
                                            .may_remove = refuse_in_use};

/* The address as it was written down, which is what a filter compares; the question itself where nobody has it. */
static enum weir_status spelled_as_kept(struct weir_operation_call *call, struct weir_span *email) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct weir_arena *arena = weir_operation_arena(call);
    struct weir_object user;
    enum weir_status status = store->object_find(engine, WEIR_OBJECT_USER,
                                                 handle_of(arena, weir_operation_path_value(call, "workspace"), *email),
                                                 arena, &user, &error);
    if (status == WEIR_OK)
        *email = operator__field(operator__json_read(arena, user.text), "email");
    return status == WEIR_OK || status == WEIR_ENOTFOUND
               ? WEIR_OK
               : weir_operation_store_failed(call, status, "the users", &error);
}

enum weir_status operator__users_list(struct weir_operation_call *call) {
    struct weir_object_filter filters[2];
    size_t count = 0;
    struct weir_span email = weir_operation_query_text(call, "email");
    if (email.length > 0) {
        enum weir_status status = spelled_as_kept(call, &email);
        if (status != WEIR_OK)
            return status;
        filters[count++] = (struct weir_object_filter){.member = "email", .value = email};
    }
    count += operator__flag_filter(call, "disabled", &filters[count]);
    return operator__object_list(call, &users, filters, count);
}

enum weir_status operator__users_create(struct weir_operation_call *call) {
    return operator__object_create(call, &users);
}

enum weir_status operator__users_get(struct weir_operation_call *call) {
    return operator__object_get(call, &users);
}

enum weir_status operator__users_update(struct weir_operation_call *call) {
    return operator__object_update(call, &users);
}

enum weir_status operator__users_delete(struct weir_operation_call *call) {
    return operator__object_remove(call, &users);
}

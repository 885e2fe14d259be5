/* Teams: groups of a workspace's users. */
#include "operator/operations_table.h"
#include "operator/key_changes.h"
#include "operator/op_objects.h"
#include "operator/operations_table.h"

enum { PAGE = 1000 };

static const struct operator__member team_members[] = {
    {.name = "name", .is_id = true},
    {.name = "tags", .otherwise = "{}"},
    {.name = "notes", .otherwise = "\"\""},
    {.name = NULL},
};

struct search {
    struct weir_arena *arena;
    struct weir_span team, found; /* the id of a user who belongs to it */
    int64_t last;
    size_t seen;
};

static enum weir_status look_for_member(void *context, const struct weir_object *user) {
    struct search *search = context;
    yyjson_val *teams = yyjson_obj_get(operator__json_read(search->arena, user->text), "teams"), *team;
    size_t index, count;
    yyjson_arr_foreach(teams, index, count, team) {
        if (weir_span_equal(weir_span_of_string(yyjson_get_str(team)), search->team))
            return weir_arena_dup(search->arena, user->id, &search->found) == WEIR_OK ? WEIR_END : WEIR_ENOMEM;
    }
    search->seen++;
    search->last = user->number;
    return WEIR_OK;
}

/* Users are read a page at a time, in an arena that does not outlast the page. */
static enum weir_status find_member(struct operator__change *change, struct search *search) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(change->call, &engine);
    struct weir_object_query query = {.kind = WEIR_OBJECT_USER, .parent = change->object.parent, .limit = PAGE};
    do {
        search->seen = 0;
        query.after_number = search->last;
        weir_arena_reset(search->arena);
        enum weir_status status = store->object_list(engine, &query, look_for_member, search, &error);
        if (status != WEIR_OK)
            return weir_operation_store_failed(change->call, status, "the users", &error);
    } while (search->seen == PAGE && search->found.length == 0);
    return WEIR_OK;
}

static enum weir_status refuse_in_use(struct operator__change *change) {
    bool is_used = false;
    const struct weir_key_query query = {.workspace = change->object.parent, .team = change->object.id};
    enum weir_status status = operator__key_any_active(change->call, &query, &is_used);
    if (status != WEIR_OK)
        return status;
    if (is_used)
        return weir_operation_fail(change->call, WEIR_REASON_STILL_IN_USE, NULL,
                                   "the team %.*s has active keys: revoke them, or give them another team, first",
                                   WEIR_SPAN_PRINT(change->object.id));
    struct search search = {.arena = weir_arena_new(0, 64 * WEIR_MIB), .team = change->object.id};
    if (search.arena == NULL)
        return weir_operation_store_failed(change->call, WEIR_ENOMEM, "the team", NULL);
    status = find_member(change, &search);
    if (status == WEIR_OK && search.found.length > 0)
        status = weir_operation_fail(change->call, WEIR_REASON_STILL_IN_USE, NULL,
                                     "the user %.*s belongs to the team %.*s", WEIR_SPAN_PRINT(search.found),
                                     WEIR_SPAN_PRINT(change->object.id));
    weir_arena_free(&search.arena);
    return status;
}

static const struct operator__kind teams = {.kind = WEIR_OBJECT_TEAM,
                                            .type = "team",
                                            .parent = "workspace",
                                            .id_prefix = "team_",
                                            .members = team_members,
                                            .may_remove = refuse_in_use};

enum weir_status operator__teams_list(struct weir_operation_call *call) {
    return operator__object_list(call, &teams, NULL, 0);
}

enum weir_status operator__teams_create(struct weir_operation_call *call) {
    return operator__object_create(call, &teams);
}

enum weir_status operator__teams_get(struct weir_operation_call *call) {
    return operator__object_get(call, &teams);
}

enum weir_status operator__teams_update(struct weir_operation_call *call) {
    return operator__object_update(call, &teams);
}

enum weir_status operator__teams_delete(struct weir_operation_call *call) {
    return operator__object_remove(call, &teams);
}

/* Plans: subscription tiers. They steer traffic, so every change of one is a new revision, live before the answer goes out. */
#include "operator/operations_table.h"
#include "operator/op_objects.h"
#include "operator/plans.h"
#include "operator/operations_table.h"

static const struct operator__member plan_members[] = {
    {.name = "name", .is_id = true},
    {.name = "requests_per_second", .otherwise = "null"},
    {.name = "cu_milli_per_month", .otherwise = "null"},
    {.name = "price_cu_milli_per_month", .otherwise = "null"},
    {.name = "overage", .otherwise = "false"},
    {.name = NULL},
};

static int64_t amount(yyjson_val *fields, const char *name) {
    yyjson_val *value = yyjson_obj_get(fields, name);
    return yyjson_is_int(value) ? yyjson_get_sint(value) : -1;
}

enum weir_status weir_plan_read(struct weir_arena *arena, struct weir_span id, struct weir_span text,
                                struct weir_plan *plan) {
    yyjson_val *fields = operator__json_read(arena, text);
    if (!yyjson_is_obj(fields))
        return WEIR_ECORRUPT;
    *plan = (struct weir_plan){.requests_per_second = amount(fields, "requests_per_second"),
                               .cu_milli_per_month = amount(fields, "cu_milli_per_month"),
                               .price_cu_milli_per_month = amount(fields, "price_cu_milli_per_month"),
                               .overage = yyjson_get_bool(yyjson_obj_get(fields, "overage"))};
    enum weir_status status = weir_arena_dup(arena, id, &plan->id);
    return status == WEIR_OK ? weir_arena_dup(arena, operator__field(fields, "name"), &plan->name) : status;
}

/* A plan that a workspace goes over to when the month ends is in use too: deleted, the downgrade would come to nothing without a word. */
static enum weir_status refuse_in_use(struct operator__change *change) {
    static const struct {
        const char *member, *who, *first;
    } uses[] = {{"plan", "workspaces have", "give them another first"},
                {"plan_next", "workspaces change when the month ends to",
                 "give them another, or have that cancelled, first"}};
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        bool is_used = false;
        const struct weir_object_query query = {.kind = WEIR_OBJECT_WORKSPACE,
                                                .filter_count = 1,
                                                .filters = {{.member = uses[i].member, .value = change->object.id}}};
        enum weir_status status = operator__object_any(change->call, &query, &is_used);
        if (status != WEIR_OK)
            return status;
        if (is_used)
            return weir_operation_fail(change->call, WEIR_REASON_STILL_IN_USE, NULL, "%s the plan %.*s: %s",
                                       uses[i].who, WEIR_SPAN_PRINT(change->object.id), uses[i].first);
    }
    return WEIR_OK;
}

/* The change is in the store and stays, whatever comes of publishing it; where that fails, the log says why, and the next revision has it. */
static void publish_plans(struct weir_operation_call *call) {
    const struct weir_operator_hooks *hooks = &weir_operation_settings(call)->hooks;
    struct weir_buffer problems;
    uint64_t number = 0;
    if (hooks->publish == NULL)
        return;
    weir_buffer_init(&problems, WEIR_MIB);
    if (hooks->publish(hooks->context, false, &number, &problems) == WEIR_OK) {
        const char *text = weir_arena_format(weir_operation_arena(call), "%llu", (unsigned long long)number);
        if (text != NULL)
            weir_operation_set_header(call, "x-weir-revision", weir_span_of_string(text));
    }
    weir_buffer_release(&problems);
}

static const struct operator__kind plans = {.kind = WEIR_OBJECT_PLAN,
                                            .type = "plan",
                                            .members = plan_members,
                                            .may_remove = refuse_in_use,
                                            .after = publish_plans};

enum weir_status operator__plans_list(struct weir_operation_call *call) {
    return operator__object_list(call, &plans, NULL, 0);
}

enum weir_status operator__plans_create(struct weir_operation_call *call) {
    return operator__object_create(call, &plans);
}

enum weir_status operator__plans_get(struct weir_operation_call *call) {
    return operator__object_get(call, &plans);
}

enum weir_status operator__plans_update(struct weir_operation_call *call) {
    return operator__object_update(call, &plans);
}

enum weir_status operator__plans_delete(struct weir_operation_call *call) {
    return operator__object_remove(call, &plans);
}

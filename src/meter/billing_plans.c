/* Plans of workspaces: which is higher, changing them, and how a workspace stands.
 *
 * A workspace's text is the operator plane's; what is changed here is changed in place, so that all else in it stays as it is. Of two plans the one that
 * costs more is higher; of two that cost the same, the one that includes more.
 */
#include "meter/billing_impl.h"

#include "base/arithmetic.h"
#include "base/clock.h"
#include "json/schema.h"
#include "meter/windows.h"

/* --- reading --- */

static enum weir_status read_plan(struct weir_billing_turn *turn, struct weir_span id, bool *found,
                                  struct weir_plan *plan) {
    struct weir_object object;
    *found = false;
    if (id.length == 0)
        return WEIR_OK;
    enum weir_status status = turn->ops->object_get(turn->engine, WEIR_OBJECT_PLAN, WEIR_SPAN(""), id, turn->arena,
                                                    &object, turn->error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_OK;
    if (status != WEIR_OK)
        return status;
    yyjson_val *fields = meter__json(turn->arena, object.text);
    if (fields == NULL)
        return weir_fail(turn->error, WEIR_ECORRUPT, "the plan %.*s cannot be read", WEIR_SPAN_PRINT(id));
    *found = true;
    *plan = (struct weir_plan){.id = object.id,
                               .name = meter__text(fields, "name"),
                               .requests_per_second = meter__integer(fields, "requests_per_second", -1),
                               .cu_milli_per_month = meter__integer(fields, "cu_milli_per_month", -1),
                               .price_cu_milli_per_month = meter__integer(fields, "price_cu_milli_per_month", -1),
                               .overage = yyjson_get_bool(yyjson_obj_get(fields, "overage"))};
    return WEIR_OK;
}

enum weir_status meter__workspace_read(struct weir_billing_turn *turn, struct weir_span id,
                                       struct meter__workspace *workspace) {
    *workspace = (struct meter__workspace){.has_plan = false};
    enum weir_status status = turn->ops->object_get(turn->engine, WEIR_OBJECT_WORKSPACE, WEIR_SPAN(""), id, turn->arena,
                                                    &workspace->object, turn->error);
    if (status == WEIR_ENOTFOUND)
        return meter__refuse(turn, WEIR_REASON_OBJECT_NOT_FOUND, NULL, "there is no workspace '%.*s'",
                             (int)(id.length < 60 ? id.length : 60), id.at);
    if (status != WEIR_OK)
        return status;
    workspace->fields = meter__json(turn->arena, workspace->object.text);
    if (workspace->fields == NULL)
        return weir_fail(turn->error, WEIR_ECORRUPT, "the workspace %.*s cannot be read", WEIR_SPAN_PRINT(id));
    workspace->plan_next = meter__text(workspace->fields, "plan_next");
    workspace->plan_next_utc_us = meter__time(workspace->fields, "plan_next_at");
    return read_plan(turn, meter__text(workspace->fields, "plan"), &workspace->has_plan, &workspace->plan);
}

/* --- how it stands --- */

static enum weir_status fill_money(struct weir_billing_turn *turn, struct weir_balance *balance) {
    struct weir_account account;
    enum weir_status status = weir_account_get(turn, balance->workspace, &account);
    if (status == WEIR_OK)
        status = meter__spent(turn, balance->workspace, balance->period_from_utc_us, balance->reset_utc_us,
                              &balance->used_cu_milli);
    if (status != WEIR_OK)
        return status;
    balance->credits_cu_milli = weir_account_left(&account);
    balance->remaining_cu_milli = -1;
    if (!balance->has_plan || balance->overage || balance->included_cu_milli < 0)
        return WEIR_OK;
    int64_t above = balance->used_cu_milli - balance->included_cu_milli, limit = 0;
    balance->credits_used_cu_milli = above <= 0                          ? 0
                                     : above < balance->credits_cu_milli ? above
                                                                         : balance->credits_cu_milli;
    if (!weir_add_int64(balance->included_cu_milli, balance->credits_cu_milli, &limit))
        limit = INT64_MAX;
    balance->remaining_cu_milli = limit > balance->used_cu_milli ? limit - balance->used_cu_milli : 0;
    return WEIR_OK;
}

enum weir_status weir_balance_read(struct weir_billing_turn *turn, struct weir_span id, struct weir_balance *balance) {
    struct meter__workspace workspace;
    struct weir_period month = weir_window_period(WEIR_WINDOW_MONTH, NULL, turn->now_utc_us);
    enum weir_status status = meter__workspace_read(turn, id, &workspace);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE)
        return status;
    *balance = (struct weir_balance){
        .workspace = id,
        .plan = workspace.has_plan ? workspace.plan.id : WEIR_SPAN(""),
        .plan_name = workspace.has_plan ? workspace.plan.name : WEIR_SPAN(""),
        .plan_next = workspace.plan_next,
        .plan_next_utc_us = workspace.plan_next_utc_us,
        .has_plan = workspace.has_plan,
        .overage = workspace.has_plan && workspace.plan.overage,
        .included_cu_milli = workspace.has_plan ? workspace.plan.cu_milli_per_month : -1,
        .price_cu_milli = workspace.has_plan ? workspace.plan.price_cu_milli_per_month : -1,
        .requests_per_second = workspace.has_plan ? workspace.plan.requests_per_second : -1,
        .period_from_utc_us = month.from_utc_us,
        .reset_utc_us = month.until_utc_us,
    };
    return fill_money(turn, balance);
}

static void write_amount(struct weir_json_writer *writer, const char *name, int64_t amount) {
    if (amount >= 0)
        weir_json_member_int64(writer, name, amount);
    else
        weir_json_member_text(writer, name, NULL);
}

void weir_balance_write(struct weir_json_writer *writer, const struct weir_balance *balance) {
    weir_json_write_object(writer);
    weir_json_member_text(writer, "object", "billing.balance");
    weir_json_member_string(writer, "workspace", balance->workspace);
    meter__write_text(writer, "plan", balance->plan);
    write_amount(writer, "included_cu_milli", balance->included_cu_milli);
    weir_json_member_int64(writer, "used_cu_milli", balance->used_cu_milli);
    weir_json_member_int64(writer, "credits_cu_milli", balance->credits_cu_milli);
    weir_json_member_int64(writer, "credits_used_cu_milli", balance->credits_used_cu_milli);
    write_amount(writer, "remaining_cu_milli", balance->remaining_cu_milli);
    weir_json_member_bool(writer, "overage", balance->overage);
    meter__write_time(writer, "period_from_at", balance->period_from_utc_us);
    meter__write_time(writer, "reset_at", balance->reset_utc_us);
    weir_json_write_end(writer);
}

void weir_balance_write_plan(struct weir_json_writer *writer, const struct weir_balance *balance) {
    weir_json_write_object(writer);
    weir_json_member_text(writer, "object", "billing.plan");
    weir_json_member_string(writer, "workspace", balance->workspace);
    meter__write_text(writer, "plan", balance->plan);
    meter__write_text(writer, "name", balance->plan_name);
    write_amount(writer, "requests_per_second", balance->requests_per_second);
    write_amount(writer, "cu_milli_per_month", balance->included_cu_milli);
    write_amount(writer, "price_cu_milli_per_month", balance->price_cu_milli);
    weir_json_member_bool(writer, "overage", balance->overage);
    meter__write_text(writer, "plan_next", balance->plan_next);
    meter__write_time(writer, "plan_next_at", balance->plan_next_utc_us);
    weir_json_write_end(writer);
}

/* --- changing --- */

/* The workspace's text with these three members as they will be (an empty span is null); in the arena. */
static struct weir_span with_plans(struct weir_billing_turn *turn, const struct meter__workspace *workspace,
                                   struct weir_span plan, struct weir_span next, int64_t next_utc_us) {
    char time[WEIR_TIMESTAMP_SIZE] = "";
    if (next_utc_us != 0)
        weir_clock_format_utc(next_utc_us, time);
    const struct {
        const char *name;
        struct weir_span value;
    } members[] = {{"plan", plan}, {"plan_next", next}, {"plan_next_at", weir_span_of_string(time)}};
    yyjson_alc allocator = weir_json_allocator(turn->arena);
    yyjson_mut_doc *document = yyjson_mut_doc_new(&allocator);
    yyjson_mut_val *root = yyjson_val_mut_copy(document, workspace->fields);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        yyjson_mut_val *name = yyjson_mut_str(document, members[i].name);
        yyjson_mut_val *value = members[i].value.length > 0
                                    ? yyjson_mut_strncpy(document, members[i].value.at, members[i].value.length)
                                    : yyjson_mut_null(document);
        bool there = yyjson_mut_obj_get(root, members[i].name) != NULL;
        (void)(there ? yyjson_mut_obj_replace(root, name, value) : yyjson_mut_obj_add(root, name, value));
    }
    yyjson_mut_doc_set_root(document, root);
    size_t length = 0;
    char *written = root != NULL ? yyjson_mut_write_opts(document, YYJSON_WRITE_NOFLAG, &allocator, &length, NULL)
                                 : NULL;
    return written != NULL ? weir_span_of(written, length) : WEIR_SPAN("");
}

static enum weir_status save(struct weir_billing_turn *turn, struct meter__workspace *workspace, struct weir_span plan,
                             struct weir_span next, int64_t next_utc_us, const char *action) {
    struct weir_object *object = &workspace->object;
    struct weir_span before = object->text, after = with_plans(turn, workspace, plan, next, next_utc_us);
    if (after.length == 0)
        return meter__no_memory(turn);
    object->text = after;
    object->updated_utc_us = turn->now_utc_us;
    enum weir_status status = turn->ops->object_update(turn->engine, object, object->version, turn->error);
    return status == WEIR_OK ? meter__note(turn, action, "workspace", object->id, object->id, before, after) : status;
}

static int64_t known(int64_t amount, int64_t otherwise) {
    return amount >= 0 ? amount : otherwise;
}

/* Above 0: `a` is the higher plan. */
static int compare(const struct weir_plan *a, const struct weir_plan *b) {
    int64_t price = known(a->price_cu_milli_per_month, 0) - known(b->price_cu_milli_per_month, 0);
    int64_t included_a = known(a->cu_milli_per_month, INT64_MAX), included_b = known(b->cu_milli_per_month, INT64_MAX);
    if (price != 0)
        return price > 0 ? 1 : -1;
    return included_a > included_b ? 1 : included_a < included_b ? -1 : 0;
}

/* The plan that is wanted lies in the direction that was asked for. */
static enum weir_status check_direction(struct weir_billing_turn *turn, const struct meter__workspace *workspace,
                                        bool up, struct weir_span wanted, const struct weir_plan *plan) {
    struct weir_span now = workspace->plan.id;
    int order = compare(plan, &workspace->plan);
    if (weir_span_equal(wanted, now))
        return meter__refuse(turn, WEIR_REASON_PLAN_CHANGE_REFUSED, "plan", "the workspace has the plan %.*s already",
                             WEIR_SPAN_PRINT(now));
    if (order == 0)
        return meter__refuse(turn, WEIR_REASON_PLAN_CHANGE_REFUSED, "plan",
                             "%.*s and %.*s cost and include the same, so neither is higher: an operator can change it",
                             WEIR_SPAN_PRINT(wanted), WEIR_SPAN_PRINT(now));
    if ((order > 0) != up)
        return meter__refuse(turn, WEIR_REASON_PLAN_CHANGE_REFUSED, "plan",
                             "from %.*s to %.*s is %s, which has a path of its own", WEIR_SPAN_PRINT(now),
                             WEIR_SPAN_PRINT(wanted), up ? "a downgrade" : "an upgrade");
    return WEIR_OK;
}

static enum weir_status cancel(struct weir_billing_turn *turn, struct meter__workspace *workspace) {
    if (workspace->plan_next.length == 0)
        return meter__refuse(turn, WEIR_REASON_PLAN_CHANGE_REFUSED, NULL, "no downgrade is scheduled");
    return save(turn, workspace, meter__text(workspace->fields, "plan"), WEIR_SPAN(""), 0,
                "workspaces.plan_cancel_downgrade");
}

static enum weir_status change_to(struct weir_billing_turn *turn, struct meter__workspace *workspace, bool up,
                                  struct weir_span wanted) {
    struct weir_plan plan;
    bool found = false;
    if (!workspace->has_plan)
        return meter__refuse(turn, WEIR_REASON_PLAN_CHANGE_REFUSED, NULL,
                             "the workspace has no plan to change from: an operator gives it one");
    enum weir_status status = read_plan(turn, wanted, &found, &plan);
    if (status == WEIR_OK && !found)
        return meter__refuse(turn, WEIR_REASON_FIELD_INVALID, "plan", "there is no plan '%.*s'",
                             (int)(wanted.length < 60 ? wanted.length : 60), wanted.at);
    if (status == WEIR_OK)
        status = check_direction(turn, workspace, up, wanted, &plan);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE)
        return status;
    if (up)
        return save(turn, workspace, wanted, WEIR_SPAN(""), 0, "workspaces.plan_upgrade");
    struct weir_period month = weir_window_period(WEIR_WINDOW_MONTH, NULL, turn->now_utc_us);
    return save(turn, workspace, workspace->plan.id, wanted, month.until_utc_us, "workspaces.plan_downgrade");
}

/* What is due comes first, for the periodic work may not have been there yet: a month that is over was one of the plan that held in it, and a downgrade whose
 * time has come is no more to be cancelled. */
static enum weir_status settle_due(struct weir_billing_turn *turn, struct weir_span id,
                                   struct meter__workspace *workspace) {
    size_t closed = 0;
    bool changed = false;
    enum weir_status status = meter__workspace_read(turn, id, workspace);
    if (status == WEIR_OK && turn->reason == WEIR_REASON_NONE)
        status = meter__close_months(turn, workspace, &closed);
    if (status == WEIR_OK && turn->reason == WEIR_REASON_NONE)
        status = meter__plan_apply(turn, workspace, &changed);
    return status == WEIR_OK && changed ? meter__workspace_read(turn, id, workspace) : status;
}

enum weir_status weir_plan_change(struct weir_billing_turn *turn, enum weir_plan_change change, struct weir_span id,
                                  struct weir_span plan, struct weir_balance *balance) {
    struct meter__workspace workspace;
    enum weir_status status = settle_due(turn, id, &workspace);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE)
        return status;
    status = change == WEIR_PLAN_CANCEL_DOWNGRADE ? cancel(turn, &workspace)
                                                  : change_to(turn, &workspace, change == WEIR_PLAN_UPGRADE, plan);
    return status == WEIR_OK && turn->reason == WEIR_REASON_NONE ? weir_balance_read(turn, id, balance) : status;
}

enum weir_status meter__plan_apply(struct weir_billing_turn *turn, struct meter__workspace *workspace, bool *changed) {
    struct weir_plan plan;
    bool found = false;
    *changed = false;
    if (workspace->plan_next.length == 0 || workspace->plan_next_utc_us > turn->now_utc_us)
        return WEIR_OK;
    enum weir_status status = read_plan(turn, workspace->plan_next, &found, &plan);
    if (status != WEIR_OK)
        return status;
    *changed = true; /* one that was deleted meanwhile is not gone over to */
    return save(turn, workspace, found ? workspace->plan_next : meter__text(workspace->fields, "plan"), WEIR_SPAN(""),
                0, found ? "workspaces.plan_changed" : "workspaces.plan_cancel_downgrade");
}

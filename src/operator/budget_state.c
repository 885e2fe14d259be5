/* See budget_changes.h: finding budgets, and how they stand. */
#include "operator/budget_changes.h"

#include "base/arithmetic.h"
#include "identity/rules.h"
#include "operator/budget_impl.h"
#include "operator/op_objects.h"
#include "operator/plans.h"

enum { PAGE = 1000, WARNING_PERCENT = 80, PERCENT = 100 };

/* --- finding --- */

static enum weir_status not_there(struct weir_budget_work *work, struct weir_span id) {
    return operator__budget_refuse(work, WEIR_REASON_NOT_THERE, NULL, "there is no budget %.*s", WEIR_SPAN_PRINT(id));
}

enum weir_status weir_budget_of_object(struct weir_budget_work *work, const struct weir_object *object,
                                       struct weir_budget_found *found) {
    struct weir_span id, text;
    *found = (struct weir_budget_found){.object = *object};
    enum weir_status status = weir_arena_dup(work->arena, object->id, &id);
    if (status == WEIR_OK)
        status = weir_arena_dup(work->arena, object->text, &text);
    if (status == WEIR_OK) {
        found->object.id = id;
        found->object.text = text;
        found->object.parent = WEIR_SPAN("");
        found->object.handle = WEIR_SPAN("");
        status = weir_budget_read(work->arena, id, text, &found->budget, &work->error);
    }
    return status == WEIR_EINVAL ? WEIR_ECORRUPT : status;
}

static const struct {
    const char *word;
    enum weir_window window;
    enum weir_rule_limit limit;
} key_windows[] = {{"day", WEIR_WINDOW_DAY, WEIR_RULE_CU_MILLI_PER_DAY},
                   {"month", WEIR_WINDOW_MONTH, WEIR_RULE_CU_MILLI_PER_MONTH},
                   {"total", WEIR_WINDOW_TOTAL, WEIR_RULE_CU_MILLI_TOTAL}};
enum { KEY_WINDOWS = sizeof key_windows / sizeof *key_windows };

/* What all implicit budgets have in common. */
static struct weir_budget implicit(enum weir_scope scope, struct weir_span scope_id, enum weir_window window,
                                   int64_t limit) {
    return (struct weir_budget){.scope = scope,
                                .scope_id = scope_id,
                                .window = window,
                                .zone = WEIR_SPAN("UTC"),
                                .limit_cu_milli = limit,
                                .hard = true,
                                .active = true,
                                .alert_count = 4,
                                .alert_percents = {50, 80, 95, 100}};
}

struct chain {
    struct weir_budget_work *work;
    struct weir_span rules, name;
    int64_t last;
    size_t seen;
    bool has_active;
};

/* The newest key that works speaks for its chain; where none does, the newest one. */
static enum weir_status take_newest(void *context, const struct weir_key_record *key) {
    struct chain *chain = context;
    int64_t now = chain->work->now_utc_us;
    bool is_active = key->revoked_utc_us == 0 && (key->expires_utc_us == 0 || key->expires_utc_us > now);
    chain->seen++;
    chain->last = key->number;
    if (chain->has_active && !is_active)
        return WEIR_OK;
    chain->has_active = is_active;
    enum weir_status status = weir_arena_dup(chain->work->arena, key->rules, &chain->rules);
    return status == WEIR_OK ? weir_arena_dup(chain->work->arena, key->name, &chain->name) : status;
}

static enum weir_status budgets_of_key(struct weir_budget_work *work, struct weir_span id,
                                       struct weir_budget_found *found, size_t *count) {
    struct weir_key_rules *rules = NULL;
    struct weir_span family;
    struct chain chain = {.work = work};
    enum weir_status status = operator__budget_family(work, id, &family);
    if (status == WEIR_ENOTFOUND)
        return operator__budget_refuse(work, WEIR_REASON_NOT_THERE, NULL, "there is no key %.*s", WEIR_SPAN_PRINT(id));
    struct weir_key_query query = {.family = family, .limit = PAGE};
    do {
        chain.seen = 0;
        query.after_number = chain.last;
        if (status == WEIR_OK)
            status = work->store->key_list(work->engine, &query, take_newest, &chain, &work->error);
    } while (status == WEIR_OK && chain.seen == PAGE);
    if (status != WEIR_OK || chain.rules.length == 0)
        return status;
    status = weir_key_rules_read(work->arena, chain.rules, &rules, &work->error);
    if (status != WEIR_OK)
        return status == WEIR_EINVAL ? WEIR_ECORRUPT : status;
    for (size_t i = 0; i < KEY_WINDOWS; i++) {
        int64_t limit = rules->limits[key_windows[i].limit];
        if (limit < 0)
            continue;
        const char *made = weir_arena_format(work->arena, "key:%.*s:%s", WEIR_SPAN_PRINT(family), key_windows[i].word);
        if (made == NULL)
            return operator__budget_no_memory(work);
        struct weir_budget_found *one = &found[(*count)++];
        *one = (struct weir_budget_found){.budget = implicit(WEIR_SCOPE_KEY, family, key_windows[i].window, limit),
                                          .implicit = true};
        one->budget.id = weir_span_of_string(made);
        one->budget.name = chain.name.length > 0 ? chain.name : family;
    }
    return WEIR_OK;
}

/* What was bought and not used up yet adds to what the plan includes, as the meter reckons. */
static enum weir_status read_credits(struct weir_budget_work *work, struct weir_span workspace, int64_t *credits) {
    struct weir_object object;
    struct weir_error error = {.text = ""};
    *credits = 0;
    enum weir_status status = work->store->object_get(work->engine, WEIR_OBJECT_ACCOUNT, WEIR_SPAN(""), workspace,
                                                      work->arena, &object, &error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_OK;
    if (status != WEIR_OK) {
        work->error = error;
        return status;
    }
    yyjson_val *fields = operator__json_read(work->arena, object.text);
    *credits = yyjson_get_sint(yyjson_obj_get(fields, "credits_cu_milli")) -
               yyjson_get_sint(yyjson_obj_get(fields, "consumed_cu_milli"));
    *credits = *credits > 0 ? *credits : 0;
    return WEIR_OK;
}

static enum weir_status budgets_of_workspace(struct weir_budget_work *work, struct weir_span id,
                                             struct weir_budget_found *found, size_t *count) {
    int64_t credits = 0;
    struct weir_object object;
    struct weir_plan plan;
    struct weir_span scope_id;
    enum weir_status status = work->store->object_get(work->engine, WEIR_OBJECT_WORKSPACE, WEIR_SPAN(""), id,
                                                      work->arena, &object, &work->error);
    if (status == WEIR_ENOTFOUND)
        return operator__budget_refuse(work, WEIR_REASON_NOT_THERE, NULL, "there is no workspace %.*s",
                                       WEIR_SPAN_PRINT(id));
    if (status != WEIR_OK)
        return status;
    struct weir_span named = operator__field(operator__json_read(work->arena, object.text), "plan");
    if (named.length == 0)
        return WEIR_OK;
    status = work->store->object_get(work->engine, WEIR_OBJECT_PLAN, WEIR_SPAN(""), named, work->arena, &object,
                                     &work->error);
    if (status == WEIR_OK)
        status = weir_plan_read(work->arena, named, object.text, &plan);
    if (status != WEIR_OK || plan.cu_milli_per_month < 0)
        return status == WEIR_ENOTFOUND ? WEIR_OK : status;
    status = read_credits(work, id, &credits);
    if (status != WEIR_OK)
        return status;
    if (!weir_add_int64(plan.cu_milli_per_month, credits, &plan.cu_milli_per_month))
        plan.cu_milli_per_month = INT64_MAX;
    status = weir_arena_dup(work->arena, id, &scope_id);
    const char *made = weir_arena_format(work->arena, "plan:%.*s", WEIR_SPAN_PRINT(id));
    if (status != WEIR_OK || made == NULL)
        return operator__budget_no_memory(work);
    struct weir_budget_found *one = &found[(*count)++];
    *one = (struct weir_budget_found){.budget = implicit(WEIR_SCOPE_WORKSPACE, scope_id, WEIR_WINDOW_MONTH,
                                                         plan.cu_milli_per_month),
                                      .implicit = true};
    one->budget.id = weir_span_of_string(made);
    one->budget.name = plan.name;
    one->budget.hard = !plan.overage;
    return WEIR_OK;
}

enum weir_status weir_budget_implicit(struct weir_budget_work *work, enum weir_scope scope, struct weir_span id,
                                      struct weir_budget_found *found, size_t *count) {
    *count = 0;
    if (scope == WEIR_SCOPE_KEY)
        return budgets_of_key(work, id, found, count);
    return scope == WEIR_SCOPE_WORKSPACE ? budgets_of_workspace(work, id, found, count) : WEIR_OK;
}

/* "key:<family>:day" and "plan:<workspace>". */
static enum weir_status find_implicit(struct weir_budget_work *work, struct weir_span id,
                                      struct weir_budget_found *wanted) {
    struct weir_budget_found found[WEIR_BUDGETS_IMPLICIT];
    struct weir_span kind, rest, key, window;
    size_t count = 0;
    (void)weir_span_split(id, ':', &kind, &rest);
    bool is_key = weir_span_equal(kind, WEIR_SPAN("key"));
    (void)weir_span_split(rest, ':', &key, &window);
    enum weir_status status = weir_budget_implicit(work, is_key ? WEIR_SCOPE_KEY : WEIR_SCOPE_WORKSPACE,
                                                   is_key ? key : rest, found, &count);
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        if (!is_key || weir_span_equal(window, weir_span_of_string(weir_window_name(found[i].budget.window)))) {
            *wanted = found[i];
            return WEIR_OK;
        }
    return status == WEIR_OK || work->reason == WEIR_REASON_NOT_THERE ? not_there(work, id) : status;
}

enum weir_status weir_budget_find(struct weir_budget_work *work, struct weir_span id, struct weir_budget_found *found) {
    struct weir_object object;
    if (weir_span_starts_with(id, WEIR_SPAN("key:")) || weir_span_starts_with(id, WEIR_SPAN("plan:")))
        return find_implicit(work, id, found);
    enum weir_status status = work->store->object_get(work->engine, WEIR_OBJECT_BUDGET, WEIR_SPAN(""), id, work->arena,
                                                      &object, &work->error);
    if (status == WEIR_ENOTFOUND)
        return not_there(work, id);
    return status == WEIR_OK ? weir_budget_of_object(work, &object, found) : status;
}

/* --- how they stand --- */

struct raises {
    struct weir_budget_work *work;
    struct weir_raise_found *at;
    size_t count, room, seen;
    int64_t last;
};

static enum weir_status keep_raise(void *context, const struct weir_object *object) {
    struct raises *raises = context;
    struct weir_raise_found one;
    enum weir_status status = weir_raise_of_object(raises->work, object, &one);
    raises->seen++;
    raises->last = object->number;
    if (status != WEIR_OK)
        return status;
    if (one.raise.from_utc_us > raises->work->now_utc_us || one.raise.until_utc_us <= raises->work->now_utc_us)
        return WEIR_OK;
    if (raises->count == raises->room) {
        size_t room = raises->room == 0 ? 8 : raises->room * 2;
        struct weir_raise_found *larger = weir_arena_array(raises->work->arena, room, sizeof *larger);
        if (larger == NULL)
            return WEIR_ENOMEM;
        if (raises->count > 0)
            memcpy(larger, raises->at, raises->count * sizeof *larger);
        raises->at = larger;
        raises->room = room;
    }
    raises->at[raises->count++] = one;
    return WEIR_OK;
}

static enum weir_status read_raises_of(struct weir_budget_work *work, struct weir_span parent, struct raises *raises) {
    struct weir_object_query query = {.kind = WEIR_OBJECT_RAISE, .parent = parent, .limit = PAGE};
    raises->last = 0;
    do {
        raises->seen = 0;
        query.after_number = raises->last;
        enum weir_status status = work->store->object_list(work->engine, &query, keep_raise, raises, &work->error);
        if (status != WEIR_OK)
            return status;
    } while (raises->seen == PAGE);
    return WEIR_OK;
}

/* Those of the budget, and of one alone those besides that are for it. */
static enum weir_status read_raises(struct weir_budget_work *work, const struct weir_budget_found *found,
                                    struct weir_budget_standing *standing) {
    const struct weir_budget *budget = &found->budget;
    struct raises raises = {.work = work};
    struct weir_span parent;
    enum weir_status status = read_raises_of(work, budget->id, &raises);
    if (status == WEIR_OK)
        status = weir_raise_parent(work, found, standing->of, &parent);
    if (status == WEIR_OK && !weir_span_equal(parent, budget->id))
        status = read_raises_of(work, parent, &raises);
    if (status != WEIR_OK)
        return status;
    standing->raises = raises.at;
    standing->raise_count = raises.count;
    standing->limit = budget->limit_cu_milli;
    for (size_t i = 0; i < raises.count; i++) {
        const struct weir_raise *raise = &raises.at[i].raise;
        int64_t *sum = weir_span_equal(raise->kind, WEIR_SPAN("reset")) ? &standing->reset : &standing->limit;
        if (!weir_add_int64(*sum, raise->amount_cu_milli, sum))
            *sum = INT64_MAX;
    }
    return WEIR_OK;
}

/* How much of the limit is used, rounded down. */
static int64_t percent_of(int64_t used, int64_t limit) {
    int64_t hundredfold;
    if (limit <= 0)
        return PERCENT;
    if (!weir_multiply_int64(used, PERCENT, &hundredfold))
        return used / (limit / PERCENT > 0 ? limit / PERCENT : 1);
    return hundredfold / limit;
}

static void reckon(struct weir_budget_standing *standing, const struct weir_lease *lease) {
    standing->is_known = true;
    standing->spent = lease->spent;
    standing->used = lease->spent > standing->reset ? lease->spent - standing->reset : 0;
    standing->held = lease->slice + lease->others;
    standing->remaining = standing->limit > standing->used ? standing->limit - standing->used : 0;
    standing->percent = percent_of(standing->used, standing->limit);
    standing->status = standing->used >= standing->limit      ? "exceeded"
                       : standing->percent >= WARNING_PERCENT ? "warning"
                                                              : "ok";
}

enum weir_status weir_budgets_stand(struct weir_budget_work *work, const struct weir_budget_found *found, size_t count,
                                    struct weir_span of, struct weir_budget_standing *standings) {
    static const struct weir_uuid nobody = {{0}}; /* an instance that has no slices */
    struct weir_lease *leases = weir_arena_array(work->arena, count, sizeof *leases);
    size_t *places = weir_arena_array(work->arena, count, sizeof *places);
    size_t asked = 0;
    enum weir_status status = leases != NULL && places != NULL ? WEIR_OK : operator__budget_no_memory(work);
    for (size_t i = 0; status == WEIR_OK && i < count; i++) {
        const struct weir_budget *budget = &found[i].budget;
        const struct weir_zone *zone = NULL;
        bool is_each = weir_span_equal(budget->scope_id, WEIR_SPAN("*"));
        standings[i] = (struct weir_budget_standing){.of = is_each ? of : budget->scope_id};
        status = weir_zone_find(work->zones, budget->zone, &zone, &work->error);
        if (status == WEIR_OK)
            status = read_raises(work, &found[i], &standings[i]);
        if (status != WEIR_OK)
            break;
        struct weir_period period = weir_window_period(budget->window, zone, work->now_utc_us);
        standings[i].period = period;
        if (is_each && of.length == 0)
            continue;
        places[asked] = i;
        leases[asked++] = (struct weir_lease){.counter = {.scope = budget->scope,
                                                          .id = standings[i].of,
                                                          .unit = WEIR_SPEND_CU_MILLI,
                                                          .from_utc_us = period.from_utc_us,
                                                          .until_utc_us = period.until_utc_us,
                                                          .rolling = period.rolling},
                                              .limit = standings[i].limit};
    }
    if (status == WEIR_OK && asked > 0)
        status = work->store->lease(work->engine, &nobody, leases, asked, &work->error);
    for (size_t i = 0; status == WEIR_OK && i < asked; i++)
        reckon(&standings[places[i]], &leases[i]);
    return status;
}

enum weir_status weir_budget_of(struct weir_budget_work *work, const struct weir_budget_found *found,
                                struct weir_span asked, struct weir_span *of) {
    struct weir_span words, named = asked;
    bool certain = false;
    *of = WEIR_SPAN("");
    if (asked.length == 0)
        return WEIR_OK;
    if (!weir_span_equal(found->budget.scope_id, WEIR_SPAN("*")))
        return operator__budget_refuse(work, WEIR_REASON_PARAMETER_INVALID, "of",
                                       "the budget is of one %s alone, not for each",
                                       weir_scope_name(found->budget.scope));
    enum weir_status status = operator__budget_look_up(work, found->budget.scope, &named, &words, &certain);
    if (status == WEIR_OK && words.length > 0 && certain)
        return operator__budget_refuse(work, WEIR_REASON_PARAMETER_INVALID, "of", "%.*s", WEIR_SPAN_PRINT(words));
    *of = named;
    return status;
}

/* --- showing --- */

static void member_bound(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    weir_operation_member_time(writer, name, utc_us != INT64_MAX ? utc_us : 0);
}

void operator__budget_write_period(struct weir_json_writer *writer, const struct weir_period *period) {
    weir_json_write_name(writer, "period");
    weir_json_write_object(writer);
    member_bound(writer, "from_at", period->from_utc_us);
    member_bound(writer, "until_at", period->until_utc_us);
    weir_json_write_end(writer);
}

static void member_known(struct weir_json_writer *writer, const char *name, bool is_known, int64_t value) {
    weir_json_write_name(writer, name);
    if (is_known)
        weir_json_write_int64(writer, value);
    else
        weir_json_write_null(writer);
}

void operator__budget_write_of(struct weir_json_writer *writer, const struct weir_budget_standing *standing) {
    weir_json_write_name(writer, "of");
    if (standing->is_known)
        weir_json_write_string(writer, standing->of);
    else
        weir_json_write_null(writer);
}

void weir_budget_write_state(struct weir_json_writer *writer, const struct weir_budget_found *found,
                             const struct weir_budget_standing *standing, int64_t now_utc_us) {
    bool is_known = standing->is_known;
    weir_json_member_bool(writer, "implicit", found->implicit);
    operator__budget_write_of(writer, standing);
    operator__budget_write_period(writer, &standing->period);
    member_known(writer, "spent_cu_milli", is_known, standing->spent);
    member_known(writer, "used_cu_milli", is_known, standing->used);
    member_known(writer, "held_cu_milli", is_known, standing->held);
    weir_json_member_int64(writer, "effective_limit_cu_milli", standing->limit);
    member_known(writer, "remaining_cu_milli", is_known, standing->remaining);
    member_known(writer, "percent", is_known, standing->percent);
    weir_json_member_text(writer, "status", is_known ? standing->status : NULL);
    weir_json_write_name(writer, "raises");
    weir_json_write_array(writer);
    for (size_t i = 0; i < standing->raise_count; i++)
        weir_raise_write(writer, &standing->raises[i], now_utc_us);
    weir_json_write_end(writer);
}

static void write_definition(struct weir_json_writer *writer, const struct weir_budget *budget) {
    static const char *const on_exceeded[] = {"refuse", "clamp", "wait"};
    weir_json_member_string(writer, "id", budget->id);
    weir_json_member_string(writer, "name", budget->name);
    weir_json_member_text(writer, "scope", weir_scope_name(budget->scope));
    weir_json_member_string(writer, "scope_id", budget->scope_id);
    weir_json_member_text(writer, "window", weir_window_name(budget->window));
    weir_json_member_string(writer, "zone", budget->zone);
    weir_json_member_int64(writer, "limit_cu_milli", budget->limit_cu_milli);
    weir_json_member_text(writer, "enforcement", budget->hard ? "hard" : "soft");
    weir_json_member_text(writer, "on_exceeded", on_exceeded[budget->on_exceeded]);
    weir_json_member_int64(writer, "wait_ms", budget->wait_ms);
    weir_json_write_name(writer, "alert_percents");
    weir_json_write_array(writer);
    for (size_t i = 0; i < budget->alert_count; i++)
        weir_json_write_int64(writer, budget->alert_percents[i]);
    weir_json_write_end(writer);
    weir_json_member_bool(writer, "active", budget->active);
}

void operator__write_warnings(struct weir_json_writer *writer, struct weir_span oddity) {
    weir_json_write_name(writer, "warnings");
    weir_json_write_array(writer);
    if (oddity.length > 0)
        weir_json_write_string(writer, oddity);
    weir_json_write_end(writer);
}

void weir_budget_write(struct weir_json_writer *writer, const struct weir_budget_found *found,
                       const struct weir_budget_standing *standing, const struct weir_span *oddity,
                       int64_t now_utc_us) {
    weir_json_write_object(writer);
    write_definition(writer, &found->budget);
    weir_budget_write_state(writer, found, standing, now_utc_us);
    if (oddity != NULL)
        operator__write_warnings(writer, *oddity);
    weir_operation_member_time(writer, "created_at", found->object.created_utc_us);
    weir_operation_member_time(writer, "updated_at", found->object.updated_utc_us);
    member_known(writer, "version", !found->implicit, (int64_t)found->object.version);
    weir_json_write_end(writer);
}

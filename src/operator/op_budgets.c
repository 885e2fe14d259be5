/* Budgets: making, listing, changing and deleting them, how they stand, and how long they will last. */
#include "operator/operations_table.h"
#include "operator/op_budgets.h"
#include "operator/operations_table.h"

enum { PAGE = 1000 };

/* --- shared --- */

enum weir_status operator__budget_work(struct weir_operation_call *call, struct weir_budget_work *work) {
    *work = (struct weir_budget_work){.arena = weir_operation_arena(call),
                                      .now_utc_us = weir_operation_now_utc_us(call)};
    work->store = weir_operation_store(call, &work->engine);
    enum weir_status status = weir_budget_work_open(work);
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, "the budgets", &work->error);
}

enum weir_status operator__budget_failed(struct weir_operation_call *call, const struct weir_budget_work *work,
                                         enum weir_status status, const char *what) {
    if (work->reason == WEIR_REASON_NONE)
        return weir_operation_store_failed(call, status, what, &work->error);
    const char *field = weir_arena_format(work->arena, "%s", work->field);
    return weir_operation_fail(call, work->reason, field != NULL && field[0] != '\0' ? field : NULL, "%s",
                               work->error.text);
}

bool operator__scope_is_new(struct operator__change *change) {
    yyjson_val *before = NULL;
    if (change->before.length > 0)
        before = operator__json_read(weir_operation_arena(change->call), change->before);
    return before == NULL ||
           !weir_span_equal(operator__field(before, "scope"), operator__field(change->fields, "scope")) ||
           !weir_span_equal(operator__field(before, "scope_id"), operator__field(change->fields, "scope_id"));
}

/* --- lists by scope --- */

struct reading {
    struct weir_arena *arena;
    struct weir_object *at;
    size_t count;
    struct weir_span budget; /* of raises */
    size_t seen;
    int64_t last;
};

static enum weir_status keep_object(void *context, const struct weir_object *object) {
    struct reading *reading = context;
    struct weir_object *kept = &reading->at[reading->count++];
    *kept = *object;
    kept->parent = WEIR_SPAN("");
    kept->handle = WEIR_SPAN("");
    enum weir_status status = weir_arena_dup(reading->arena, object->id, &kept->id);
    return status == WEIR_OK ? weir_arena_dup(reading->arena, object->text, &kept->text) : status;
}

static enum weir_status fits(struct operator__scoped_listing *listing, const struct weir_object *object, bool *fits) {
    struct weir_operation_call *call = listing->call;
    enum weir_scope scope;
    struct weir_span workspace = weir_operation_query_text(call, "workspace"),
                     wanted = weir_operation_query_text(call, "scope_id");
    yyjson_val *fields = operator__json_read(listing->work.arena, object->text);
    struct weir_span id = operator__field(fields, "scope_id");
    *fits = wanted.length == 0 || weir_span_equal(id, wanted);
    if (!*fits || workspace.length == 0)
        return WEIR_OK;
    *fits = weir_scope_from_name(operator__field(fields, "scope"), &scope);
    return *fits ? weir_scope_is_of(&listing->work, scope, id, workspace, fits) : WEIR_OK;
}

/* Pages of the store are small where everything fits: what is read beyond the answer's page is read again for the next one. */
enum weir_status operator__scoped_list(struct operator__scoped_listing *listing) {
    struct weir_operation_call *call = listing->call;
    struct weir_budget_work *work = &listing->work;
    struct weir_object_query query = {.kind = listing->kind};
    struct reading reading = {.arena = work->arena};
    size_t wanted = 0;
    enum weir_status status = weir_operation_page(call, &query.after_number, &wanted);
    if (status != WEIR_OK)
        return status;
    query.filter_count += operator__flag_filter(call, "scope", &query.filters[0]);
    listing->objects = weir_arena_array(work->arena, wanted, sizeof *listing->objects);
    reading.at = weir_arena_array(work->arena, PAGE, sizeof *reading.at);
    query.limit = wanted < PAGE ? wanted + 1 : PAGE;
    if (listing->objects == NULL || reading.at == NULL)
        return weir_operation_store_failed(call, WEIR_ENOMEM, "the list", NULL);
    do {
        reading.count = 0;
        status = work->store->object_list(work->engine, &query, keep_object, &reading, &work->error);
        for (size_t i = 0; status == WEIR_OK && i < reading.count; i++) {
            bool is_one = false;
            status = fits(listing, &reading.at[i], &is_one);
            if (status == WEIR_OK && is_one && listing->count == wanted) {
                listing->next = listing->objects[wanted - 1].number;
                return WEIR_OK;
            }
            if (status == WEIR_OK && is_one)
                listing->objects[listing->count++] = reading.at[i];
            query.after_number = reading.at[i].number;
        }
    } while (status == WEIR_OK && reading.count == query.limit);
    return status == WEIR_OK ? WEIR_OK : operator__budget_failed(call, work, status, "the list");
}

/* --- what a budget may be --- */

static enum weir_status check(struct operator__change *change) {
    struct weir_budget_work work;
    enum weir_status status = operator__budget_work(change->call, &work);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_text(&work, change->object.id, change->fields, operator__scope_is_new(change),
                              &change->object.text);
    if (status != WEIR_OK)
        return operator__budget_failed(change->call, &work, status, "the budget");
    change->fields = operator__json_read(work.arena, change->object.text);
    return change->fields != NULL ? WEIR_OK
                                  : weir_operation_store_failed(change->call, WEIR_ENOMEM, "the budget", NULL);
}

/* --- showing --- */

static enum weir_status stand(struct weir_operation_call *call, struct weir_budget_work *work,
                              const struct weir_budget_found *found, struct weir_budget_standing *standing) {
    struct weir_span of = WEIR_SPAN("");
    enum weir_status status = WEIR_OK;
    if (weir_operation_query_text(call, "of").length > 0)
        status = weir_budget_of(work, found, weir_operation_query_text(call, "of"), &of);
    if (status == WEIR_OK)
        status = weir_budgets_stand(work, found, 1, of, standing);
    return status == WEIR_OK ? WEIR_OK : operator__budget_failed(call, work, status, "the budget");
}

static enum weir_status show_state(struct weir_operation_call *call, const struct weir_object *object) {
    struct weir_budget_work work;
    struct weir_budget_found found;
    struct weir_budget_standing standing;
    struct weir_span oddity = WEIR_SPAN("");
    enum weir_status status = operator__budget_work(call, &work);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_of_object(&work, object, &found);
    if (status == WEIR_OK)
        status = weir_budgets_stand(&work, &found, 1, WEIR_SPAN(""), &standing);
    if (status == WEIR_OK)
        status = weir_scope_oddity(&work, found.budget.scope, found.budget.scope_id, &oddity);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the budget");
    weir_budget_write_state(weir_operation_writer(call), &found, &standing, work.now_utc_us);
    operator__write_warnings(weir_operation_writer(call), oddity);
    return WEIR_OK;
}

enum weir_status operator__budgets_get(struct weir_operation_call *call) {
    struct weir_budget_work work;
    struct weir_budget_found found;
    struct weir_budget_standing standing;
    struct weir_span oddity = WEIR_SPAN("");
    enum weir_status status = operator__budget_work(call, &work);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_find(&work, weir_operation_path_value(call, "budget"), &found);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the budget");
    status = stand(call, &work, &found, &standing);
    if (status != WEIR_OK)
        return status;
    status = weir_scope_oddity(&work, found.budget.scope, found.budget.scope_id, &oddity);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the budget");
    weir_budget_write(weir_operation_writer(call), &found, &standing, &oddity, work.now_utc_us);
    if (!found.implicit)
        weir_operation_set_version(call, found.object.version);
    return WEIR_OK;
}

enum weir_status operator__budgets_forecast(struct weir_operation_call *call) {
    struct weir_budget_work work;
    struct weir_budget_found found;
    struct weir_budget_standing standing;
    struct weir_forecast forecast;
    enum weir_status status = operator__budget_work(call, &work);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_find(&work, weir_operation_path_value(call, "budget"), &found);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the budget");
    status = stand(call, &work, &found, &standing);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_forecast(&work, &found, &standing, &forecast);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the forecast");
    weir_forecast_write(weir_operation_writer(call), &found, &standing, &forecast, work.now_utc_us);
    return WEIR_OK;
}

/* --- lists --- */

static enum weir_status write_list(struct weir_operation_call *call, struct weir_budget_work *work,
                                   const struct weir_budget_found *found, size_t count, int64_t next) {
    struct weir_json_writer *writer = weir_operation_writer(call);
    struct weir_budget_standing *standings = weir_arena_array(work->arena, count, sizeof *standings);
    if (standings == NULL)
        return weir_operation_store_failed(call, WEIR_ENOMEM, "the budgets", NULL);
    enum weir_status status = weir_budgets_stand(work, found, count, WEIR_SPAN(""), standings);
    if (status != WEIR_OK)
        return operator__budget_failed(call, work, status, "the budgets");
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    for (size_t i = 0; i < count; i++)
        weir_budget_write(writer, &found[i], &standings[i], NULL, work->now_utc_us);
    weir_json_write_end(writer);
    weir_operation_page_end(call, next);
    return WEIR_OK;
}

/* Those of one key or workspace: they are so few that they are one page. */
static enum weir_status list_implicit(struct weir_operation_call *call, struct weir_budget_work *work) {
    struct weir_budget_found found[WEIR_BUDGETS_IMPLICIT];
    enum weir_scope scope = WEIR_SCOPE_GLOBAL;
    struct weir_span id = weir_operation_query_text(call, "scope_id");
    size_t count = 0;
    (void)weir_scope_from_name(weir_operation_query_text(call, "scope"), &scope);
    if (scope != WEIR_SCOPE_KEY && scope != WEIR_SCOPE_WORKSPACE)
        return weir_operation_fail(
            call, WEIR_REASON_PARAMETER_INVALID, "scope",
            "implicit budgets are of a key or a workspace: say scope=key or scope=workspace, and "
            "scope_id");
    if (id.length == 0)
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, "scope_id", "say which %s",
                                   weir_scope_name(scope));
    enum weir_status status = weir_budget_implicit(work, scope, id, found, &count);
    if (status != WEIR_OK && work->reason == WEIR_REASON_NOT_THERE)
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, "scope_id", "%s", work->error.text);
    if (status != WEIR_OK)
        return operator__budget_failed(call, work, status, "the budgets");
    return write_list(call, work, found, count, 0);
}

enum weir_status operator__budgets_list(struct weir_operation_call *call) {
    struct operator__scoped_listing listing = {.call = call,
                                               .kind = WEIR_OBJECT_BUDGET,
                                               .members = operator__budget_members()};
    enum weir_status status = operator__budget_work(call, &listing.work);
    if (status != WEIR_OK)
        return status;
    if (weir_operation_query_flag(call, "implicit"))
        return list_implicit(call, &listing.work);
    status = operator__scoped_list(&listing);
    if (status != WEIR_OK)
        return status;
    struct weir_budget_found *found = weir_arena_array(listing.work.arena, listing.count, sizeof *found);
    if (found == NULL)
        return weir_operation_store_failed(call, WEIR_ENOMEM, "the budgets", NULL);
    for (size_t i = 0; status == WEIR_OK && i < listing.count; i++)
        status = weir_budget_of_object(&listing.work, &listing.objects[i], &found[i]);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &listing.work, status, "the budgets");
    return write_list(call, &listing.work, found, listing.count, listing.next);
}

/* --- changing --- */

/* Its own, and those for one alone of those that it is for. */
static bool is_of_budget(struct weir_span parent, struct weir_span budget) {
    struct weir_span head, rest;
    (void)weir_span_split(parent, '/', &head, &rest);
    return weir_span_equal(head, budget);
}

static enum weir_status keep_raise(void *context, const struct weir_object *object) {
    struct reading *reading = context;
    reading->seen++;
    reading->last = object->number;
    if (!is_of_budget(object->parent, reading->budget))
        return WEIR_OK;
    struct weir_object *kept = &reading->at[reading->count++];
    enum weir_status status = keep_object(&(struct reading){.arena = reading->arena, .at = kept}, object);
    return status == WEIR_OK ? weir_arena_dup(reading->arena, object->parent, &kept->parent) : status;
}

/* Its raises go with it, each with an entry of its own. */
static enum weir_status drop_raises(struct operator__change *change) {
    static const struct operator__kind raises = {.kind = WEIR_OBJECT_RAISE, .type = "raise"};
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(change->call, &engine);
    struct weir_arena *arena = weir_operation_arena(change->call);
    struct weir_object_query query = {.kind = WEIR_OBJECT_RAISE, .any_parent = true, .limit = PAGE};
    struct reading reading = {.arena = arena,
                              .at = weir_arena_array(arena, PAGE, sizeof *reading.at),
                              .budget = change->object.id};
    if (reading.at == NULL)
        return weir_operation_store_failed(change->call, WEIR_ENOMEM, "the raises", NULL);
    do {
        reading.count = reading.seen = 0;
        query.after_number = reading.last;
        enum weir_status status = store->object_list(engine, &query, keep_raise, &reading, &error);
        if (status != WEIR_OK)
            return weir_operation_store_failed(change->call, status, "the raises", &error);
        for (size_t i = 0; i < reading.count; i++) {
            status = operator__object_drop(change->call, &raises, &reading.at[i], "budgets.raise_delete");
            if (status != WEIR_OK)
                return status;
        }
    } while (reading.seen == PAGE);
    return WEIR_OK;
}

static struct operator__kind budgets(void) {
    return (struct operator__kind){.kind = WEIR_OBJECT_BUDGET,
                                   .type = "budget",
                                   .id_prefix = "bud_",
                                   .members = operator__budget_members(),
                                   .check = check,
                                   .may_remove = drop_raises,
                                   .show_more = show_state,
                                   .after = operator__keys_changed /* it is in effect when the answer is there */};
}

enum weir_status operator__budgets_create(struct weir_operation_call *call) {
    const struct operator__kind kind = budgets();
    return operator__object_create(call, &kind);
}

enum weir_status operator__budgets_update(struct weir_operation_call *call) {
    const struct operator__kind kind = budgets();
    return operator__object_update(call, &kind);
}

enum weir_status operator__budgets_replace(struct weir_operation_call *call) {
    const struct operator__kind kind = budgets();
    return operator__object_replace(call, &kind);
}

enum weir_status operator__budgets_delete(struct weir_operation_call *call) {
    const struct operator__kind kind = budgets();
    return operator__object_remove(call, &kind);
}

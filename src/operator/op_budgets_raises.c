/* Raises, top-ups and resets of budgets. All of them end; what is to be for good is a change of the limit. */
#include "operator/operations_table.h"
#include "base/clock.h"
#include "operator/op_budgets.h"
#include "operator/operations_table.h"

static enum weir_status find(struct weir_operation_call *call, struct weir_budget_work *work,
                             struct weir_budget_found *found) {
    enum weir_status status = operator__budget_work(call, work);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_find(work, weir_operation_path_value(call, "budget"), found);
    return status == WEIR_OK ? WEIR_OK : operator__budget_failed(call, work, status, "the budget");
}

static enum weir_status note_and_answer(struct weir_operation_call *call, const struct weir_budget_found *found,
                                        const struct weir_raise_found *raise, struct weir_span text) {
    const struct weir_operation_note note = {.resource_id = found->budget.id,
                                             .resource_name = found->budget.name,
                                             .after = text};
    enum weir_status status = weir_operation_audit(call, &note);
    if (status != WEIR_OK)
        return status;
    weir_operation_after(call, operator__keys_changed);
    weir_operation_set_status(call, 201);
    weir_raise_write(weir_operation_writer(call), raise, weir_operation_now_utc_us(call));
    return WEIR_OK;
}

/* until_at or duration, not both; 0: neither. */
static enum weir_status read_end(struct weir_operation_call *call, int64_t *until_utc_us) {
    struct weir_span until = weir_operation_body_text(call, "until_at"),
                     duration = weir_operation_body_text(call, "duration");
    *until_utc_us = 0;
    if (until.length > 0 && duration.length > 0)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "duration", "give until_at or duration, not both");
    if (until.length > 0 && weir_clock_parse_utc(until, until_utc_us) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "until_at",
                                   "expected a time like "
                                   "2026-11-22T09:00:00Z");
    if (duration.length == 0)
        return WEIR_OK;
    int64_t length = weir_duration_read(duration);
    if (length == 0 || length > WEIR_RAISE_LONGEST_US)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "duration",
                                   "expected 366d at most, like 90m, 12h or 7d");
    *until_utc_us = weir_operation_now_utc_us(call) + length;
    return WEIR_OK;
}

enum weir_status operator__budgets_raise(struct weir_operation_call *call) {
    struct weir_budget_work work;
    struct weir_budget_found found;
    struct weir_raise_found raise;
    struct weir_span text;
    struct weir_raise_wish wish = {.kind = weir_operation_body_text(call, "kind"),
                                   .reason = weir_operation_body_text(call, "reason")};
    yyjson_val *amount = yyjson_obj_get(weir_operation_body(call), "amount_cu_milli");
    wish.amount_cu_milli = yyjson_is_int(amount) ? yyjson_get_sint(amount) : (int64_t)yyjson_get_real(amount);
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = find(call, &work, &found);
    if (status == WEIR_OK)
        status = read_end(call, &wish.until_utc_us);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_of(&work, &found, weir_operation_body_text(call, "of"), &wish.of);
    if (status == WEIR_OK)
        status = weir_budget_raise(&work, weir_operation_random(call), &found, &wish, &raise, &text);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the raise");
    return note_and_answer(call, &found, &raise, text);
}

enum weir_status operator__budgets_reset(struct weir_operation_call *call) {
    struct weir_budget_work work;
    struct weir_budget_found found;
    struct weir_raise_found raise;
    struct weir_span text, of = WEIR_SPAN("");
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = find(call, &work, &found);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_of(&work, &found, weir_operation_body_text(call, "of"), &of);
    if (status == WEIR_OK)
        status = weir_budget_reset(&work, weir_operation_random(call), &found, of,
                                   weir_operation_body_text(call, "reason"), &raise, &text);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the reset");
    return note_and_answer(call, &found, &raise, text);
}

enum weir_status operator__budgets_raise_delete(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct weir_object object;
    struct weir_span id = weir_operation_path_value(call, "raise"), parent = weir_operation_path_value(call, "budget"),
                     of = weir_operation_query_text(call, "of");
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK && of.length > 0) {
        const char *made = weir_arena_format(weir_operation_arena(call), "%.*s/%.*s", WEIR_SPAN_PRINT(parent),
                                             WEIR_SPAN_PRINT(of));
        parent = weir_span_of_string(made);
    }
    if (status == WEIR_OK)
        status = operator__object_need(call, WEIR_OBJECT_RAISE, "raise", parent, id, &object);
    if (status != WEIR_OK)
        return status;
    status = store->object_remove(engine, WEIR_OBJECT_RAISE, object.parent, object.id, object.version,
                                  weir_operation_now_utc_us(call), &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the raise", &error);
    const struct weir_operation_note note = {.resource_id = object.id,
                                             .resource_name = object.parent,
                                             .before = object.text};
    status = weir_operation_audit(call, &note);
    if (status != WEIR_OK)
        return status;
    weir_operation_after(call, operator__keys_changed);
    weir_operation_set_status(call, 204);
    return WEIR_OK;
}

struct listing {
    struct weir_operation_call *call;
    struct weir_budget_work *work;
    size_t count;
    int64_t last;
};

/* What has ended and was not swept yet is gone already. */
static enum weir_status list_raise(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_raise_found raise;
    listing->count++;
    listing->last = object->number;
    if (listing->call == NULL)
        return WEIR_OK;
    enum weir_status status = weir_raise_of_object(listing->work, object, &raise);
    if (status == WEIR_OK && raise.raise.until_utc_us > listing->work->now_utc_us)
        weir_raise_write(weir_operation_writer(listing->call), &raise, listing->work->now_utc_us);
    return status;
}

enum weir_status operator__budgets_raises_list(struct weir_operation_call *call) {
    struct weir_budget_work work;
    struct weir_budget_found found;
    struct weir_object_query query = {.kind = WEIR_OBJECT_RAISE};
    bool is_more = false;
    struct weir_span of = WEIR_SPAN("");
    enum weir_status status = find(call, &work, &found);
    if (status == WEIR_OK)
        status = weir_operation_page(call, &query.after_number, &query.limit);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_of(&work, &found, weir_operation_query_text(call, "of"), &of);
    if (status == WEIR_OK)
        status = weir_raise_parent(&work, &found, of, &query.parent);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the raises");
    struct listing listing = {.call = call, .work = &work};
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    status = work.store->object_list(work.engine, &query, list_raise, &listing, &work.error);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the raises");
    weir_json_write_end(writer);
    if (listing.count == query.limit) {
        query.after_number = listing.last;
        status = operator__object_any(call, &query, &is_more);
    }
    if (status == WEIR_OK)
        weir_operation_page_end(call, is_more ? listing.last : 0);
    return status;
}

/* Purchases as operators see them: list, show, approve, reject. */
#include "operator/operations_table.h"
#include "operator/op_billing.h"

static enum weir_status note(void *context, const struct weir_billing_note *said, struct weir_error *error) {
    const struct weir_operation_note told = {.action = said->action,
                                             .resource_id = said->resource_id,
                                             .workspace = said->workspace,
                                             .before = said->before,
                                             .after = said->after};
    (void)error;
    return weir_operation_audit(context, &told);
}

struct weir_billing_turn operator__billing_turn(struct weir_operation_call *call, struct weir_error *error) {
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    const struct weir_actor *actor = weir_operation_actor(call);
    return (struct weir_billing_turn){.ops = ops,
                                      .engine = engine,
                                      .arena = weir_operation_arena(call),
                                      .now_utc_us = weir_operation_now_utc_us(call),
                                      .actor = actor->name.length > 0 ? actor->name : actor->id,
                                      .note = note,
                                      .context = call,
                                      .error = error};
}

enum weir_status operator__billing_end(struct weir_operation_call *call, const struct weir_billing_turn *turn,
                                       enum weir_status status, const char *what) {
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, what, turn->error);
    if (turn->reason == WEIR_REASON_NONE)
        return WEIR_OK;
    return weir_operation_fail(call,
                               turn->reason == WEIR_REASON_OBJECT_NOT_FOUND ? WEIR_REASON_NOT_THERE : turn->reason,
                               turn->field, "%s", turn->detail);
}

void operator__billing_list_begin(struct weir_operation_call *call) {
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
}

void operator__billing_list_end(struct weir_operation_call *call, int64_t last) {
    weir_json_write_end(weir_operation_writer(call));
    weir_operation_page_end(call, last);
}

/* --- reading --- */

struct listing {
    struct weir_operation_call *call;
    struct weir_span state; /* empty: any */
    size_t count;
    int64_t last;
};

static enum weir_status list_one(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_purchase purchase;
    enum weir_status status = weir_purchase_read(weir_operation_arena(listing->call), object,
                                                 weir_operation_now_utc_us(listing->call), &purchase);
    if (status != WEIR_OK)
        return status;
    listing->count++;
    listing->last = object->number;
    if (listing->state.length == 0 ||
        weir_span_equal(listing->state, weir_span_of_string(weir_purchase_state_name(purchase.state))))
        weir_purchase_write(weir_operation_writer(listing->call), &purchase);
    return WEIR_OK;
}

enum weir_status operator__purchases_list(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_span workspace = weir_operation_query_text(call, "workspace");
    struct listing listing = {.call = call, .state = weir_operation_query_text(call, "state")};
    struct weir_object_query query = {.kind = WEIR_OBJECT_PURCHASE,
                                      .any_parent = workspace.length == 0,
                                      .parent = workspace};
    /* Whether it has expired depends on the time: what is stored of those is that they are pending. */
    bool waits = weir_span_equal(listing.state, WEIR_SPAN("pending")) ||
                 weir_span_equal(listing.state, WEIR_SPAN("expired"));
    if (listing.state.length > 0) {
        query.filter_count = 1;
        query.filters[0] = (struct weir_object_filter){.member = "state",
                                                       .value = waits ? WEIR_SPAN("pending") : listing.state};
    }
    enum weir_status status = weir_operation_page(call, &query.after_number, &query.limit);
    if (status != WEIR_OK)
        return status;
    operator__billing_list_begin(call);
    status = ops->object_list(engine, &query, list_one, &listing, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the purchases", &error);
    operator__billing_list_end(call, listing.count == query.limit ? listing.last : 0);
    return WEIR_OK;
}

static enum weir_status answer(struct weir_operation_call *call, const struct weir_purchase *purchase) {
    weir_purchase_write(weir_operation_writer(call), purchase);
    weir_operation_set_version(call, purchase->version);
    return WEIR_OK;
}

enum weir_status operator__purchases_get(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_purchase purchase;
    struct weir_billing_turn turn = operator__billing_turn(call, &error);
    enum weir_status status = weir_purchase_get(&turn, WEIR_SPAN(""), weir_operation_path_value(call, "purchase"),
                                                &purchase);
    status = operator__billing_end(call, &turn, status, "the purchase");
    return status == WEIR_OK ? answer(call, &purchase) : status;
}

/* --- deciding --- */

/* One that was approved before is left as it is, and the trail says that somebody approved it again. */
static enum weir_status note_again(struct weir_operation_call *call, const struct weir_purchase *purchase) {
    const struct weir_operation_note said = {.resource_id = purchase->id, .workspace = purchase->workspace};
    return weir_operation_audit(call, &said);
}

enum weir_status operator__purchases_approve(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_purchase purchase;
    bool credited = false;
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    struct weir_billing_turn turn = operator__billing_turn(call, &error);
    status = weir_purchase_approve(&turn, weir_operation_path_value(call, "purchase"), WEIR_SPAN(""), &purchase,
                                   &credited);
    status = operator__billing_end(call, &turn, status, "the purchase");
    if (status == WEIR_OK && !credited)
        status = note_again(call, &purchase);
    return status == WEIR_OK ? answer(call, &purchase) : status;
}

enum weir_status operator__purchases_reject(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_purchase purchase;
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    struct weir_billing_turn turn = operator__billing_turn(call, &error);
    status = weir_purchase_reject(&turn, weir_operation_path_value(call, "purchase"),
                                  weir_operation_body_text(call, "reason"), WEIR_SPAN(""), &purchase);
    status = operator__billing_end(call, &turn, status, "the purchase");
    return status == WEIR_OK ? answer(call, &purchase) : status;
}

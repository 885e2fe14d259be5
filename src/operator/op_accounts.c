/* Accounts of credits as operators see them: how a workspace stands, what made it so, giving and taking. */
#include "operator/operations_table.h"
#include "operator/op_billing.h"
#include "operator/op_objects.h"

enum weir_status operator__accounts_get(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_balance balance;
    struct weir_billing_turn turn = operator__billing_turn(call, &error);
    enum weir_status status = weir_balance_read(&turn, weir_operation_path_value(call, "workspace"), &balance);
    status = operator__billing_end(call, &turn, status, "the account");
    if (status == WEIR_OK)
        weir_balance_write(weir_operation_writer(call), &balance);
    return status;
}

struct listing {
    struct weir_operation_call *call;
    size_t count;
    int64_t last;
};

static enum weir_status list_one(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_account_entry entry;
    enum weir_status status = weir_account_entry_read(weir_operation_arena(listing->call), object, &entry);
    if (status != WEIR_OK)
        return status;
    weir_account_entry_write(weir_operation_writer(listing->call), &entry);
    listing->count++;
    listing->last = object->number;
    return WEIR_OK;
}

enum weir_status operator__accounts_entries(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    struct weir_object workspace;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_span id = weir_operation_path_value(call, "workspace");
    struct listing listing = {.call = call};
    struct weir_object_query query = {.kind = WEIR_OBJECT_ACCOUNT_ENTRY, .parent = id};
    enum weir_status status = operator__object_need(call, WEIR_OBJECT_WORKSPACE, "workspace", WEIR_SPAN(""), id,
                                                    &workspace);
    if (status == WEIR_OK)
        status = weir_operation_page(call, &query.after_number, &query.limit);
    if (status != WEIR_OK)
        return status;
    operator__billing_list_begin(call);
    status = ops->object_list(engine, &query, list_one, &listing, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the entries", &error);
    operator__billing_list_end(call, listing.count == query.limit ? listing.last : 0);
    return WEIR_OK;
}

enum weir_status operator__accounts_adjust(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_account_entry entry;
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    struct weir_billing_turn turn = operator__billing_turn(call, &error);
    status = weir_account_adjust(&turn, weir_operation_path_value(call, "workspace"),
                                 yyjson_get_sint(yyjson_obj_get(weir_operation_body(call), "amount_cu_milli")),
                                 weir_operation_body_text(call, "reason"), &entry);
    status = operator__billing_end(call, &turn, status, "the account");
    if (status != WEIR_OK)
        return status;
    weir_operation_set_status(call, 201);
    weir_account_entry_write(weir_operation_writer(call), &entry);
    return WEIR_OK;
}

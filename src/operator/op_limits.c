/* Limits: how much at once, or in a second, a minute or a day. */
#include "operator/operations_table.h"
#include "operator/op_budgets.h"
#include "operator/operations_table.h"

static enum weir_status check(struct operator__change *change) {
    struct weir_budget_work work;
    enum weir_status status = operator__budget_work(change->call, &work);
    if (status != WEIR_OK)
        return status;
    status = weir_limit_text(&work, change->object.id, change->fields, operator__scope_is_new(change),
                             &change->object.text);
    if (status != WEIR_OK)
        return operator__budget_failed(change->call, &work, status, "the limit");
    change->fields = operator__json_read(work.arena, change->object.text);
    return change->fields != NULL ? WEIR_OK : weir_operation_store_failed(change->call, WEIR_ENOMEM, "the limit", NULL);
}

static enum weir_status show_warnings(struct weir_operation_call *call, const struct weir_object *object) {
    struct weir_budget_work work;
    enum weir_scope scope;
    struct weir_span oddity = WEIR_SPAN("");
    enum weir_status status = operator__budget_work(call, &work);
    if (status != WEIR_OK)
        return status;
    yyjson_val *fields = operator__json_read(work.arena, object->text);
    if (weir_scope_from_name(operator__field(fields, "scope"), &scope))
        status = weir_scope_oddity(&work, scope, operator__field(fields, "scope_id"), &oddity);
    if (status != WEIR_OK)
        return operator__budget_failed(call, &work, status, "the limit");
    operator__write_warnings(weir_operation_writer(call), oddity);
    return WEIR_OK;
}

static struct operator__kind limits(void) {
    return (struct operator__kind){.kind = WEIR_OBJECT_LIMIT,
                                   .type = "limit",
                                   .id_prefix = "lim_",
                                   .members = operator__limit_members(),
                                   .check = check,
                                   .show_more = show_warnings,
                                   .after = operator__keys_changed /* it is in effect when the answer is there */};
}

enum weir_status operator__limits_list(struct weir_operation_call *call) {
    struct operator__scoped_listing listing = {.call = call, .kind = WEIR_OBJECT_LIMIT};
    enum weir_status status = operator__budget_work(call, &listing.work);
    if (status == WEIR_OK)
        status = operator__scoped_list(&listing);
    if (status != WEIR_OK)
        return status;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    for (size_t i = 0; i < listing.count; i++) {
        weir_json_write_object(writer);
        weir_limit_write(writer, listing.work.arena, &listing.objects[i]);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    weir_operation_page_end(call, listing.next);
    return WEIR_OK;
}

enum weir_status operator__limits_create(struct weir_operation_call *call) {
    const struct operator__kind kind = limits();
    return operator__object_create(call, &kind);
}

enum weir_status operator__limits_get(struct weir_operation_call *call) {
    const struct operator__kind kind = limits();
    return operator__object_get(call, &kind);
}

enum weir_status operator__limits_update(struct weir_operation_call *call) {
    const struct operator__kind kind = limits();
    return operator__object_update(call, &kind);
}

enum weir_status operator__limits_delete(struct weir_operation_call *call) {
    const struct operator__kind kind = limits();
    return operator__object_remove(call, &kind);
}

/* What the operations on budgets and limits share. */
#ifndef WEIR_OPERATOR_OP_BUDGETS_H
#define WEIR_OPERATOR_OP_BUDGETS_H

#include "operator/budget_impl.h"
#include "operator/op_objects.h"

/* Ready to work; WEIR_OK or failed. */
WEIR_MUST enum weir_status operator__budget_work(struct weir_operation_call *call, struct weir_budget_work *work);
/* Fails the call for the work's reason, or for what the store gave. */
enum weir_status operator__budget_failed(struct weir_operation_call *call, const struct weir_budget_work *work,
                                         enum weir_status status, const char *what);
/* Whether the scope of a definition differs from what it was: what it names must be there then. */
bool operator__scope_is_new(struct operator__change *change);

/* Lists of definitions, by scope, scope_id and workspace: objects of the kind are read until `limit` of them fit. */
struct operator__scoped_listing {
    struct weir_operation_call *call;
    struct weir_budget_work work;
    enum weir_object_kind kind;
    const struct operator__member *members;
    struct weir_object *objects; /* those that fit, texts in the call's arena */
    size_t count;
    int64_t next; /* for weir_operation_page_end */
};
WEIR_MUST enum weir_status operator__scoped_list(struct operator__scoped_listing *listing);

#endif

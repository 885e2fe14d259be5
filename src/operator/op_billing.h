/* What operations on purchases and accounts share: a turn of billing on the operations thread. */
#ifndef WEIR_OPERATOR_OP_BILLING_H
#define WEIR_OPERATOR_OP_BILLING_H

#include "meter/billing.h"
#include "operator/operation.h"

/* `error` is the caller's, and is written where the store fails. */
struct weir_billing_turn operator__billing_turn(struct weir_operation_call *call, struct weir_error *error);
/* What a turn came to: WEIR_OK, or failed with its reason. */
enum weir_status operator__billing_end(struct weir_operation_call *call, const struct weir_billing_turn *turn,
                                       enum weir_status status, const char *what);
/* Begins a list ({"data":[), and ends it. `last` is the number of the last object that was read; 0: there is no more. */
void operator__billing_list_begin(struct weir_operation_call *call);
void operator__billing_list_end(struct weir_operation_call *call, int64_t last);

#endif

/* What the operations on keys share (op_keys.c, op_keys_emergency.c). */
#ifndef WEIR_OPERATOR_OP_KEYS_H
#define WEIR_OPERATOR_OP_KEYS_H

#include "operator/key_changes.h"
#include "operator/op_objects.h"

/* A call's own work. */
struct weir_key_work operator__key_work(struct weir_operation_call *call);
/* Fails with the work's reason, or with what the store gave. */
enum weir_status operator__key_failed(struct weir_operation_call *call, const struct weir_key_work *work,
                                      enum weir_status status, const char *what);
/* Writes a key as an object of its own; `secret` (may be NULL) is shown in it. */
enum weir_status operator__key_write(struct weir_operation_call *call, const struct weir_key_work *work,
                                     const struct weir_key_record *key, const struct weir_secret *secret);
/* The audit entry of a change; `before` is what weir_key_audit_text gave, or empty. `action` NULL: the operation's id. */
enum weir_status operator__key_note(struct weir_operation_call *call, struct weir_key_work *work, const char *action,
                                    const struct weir_key_record *key, struct weir_span before);

#endif

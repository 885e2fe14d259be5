/* What the operations on operators and their tokens share. */
#ifndef WEIR_OPERATOR_PEOPLE_H
#define WEIR_OPERATOR_PEOPLE_H

#include "identity/operators.h"
#include "operator/impl.h"

struct weir_people operator__people(struct weir_operation_call *call);
/* As answers and the audit trail show them: never a hash. */
void operator__write_operator(struct weir_json_writer *writer, const struct weir_operator_record *record);
void operator__write_token(struct weir_json_writer *writer, const struct weir_token_record *record, bool ends);
/* The same as a text for the audit trail; "" where there is no memory. */
struct weir_span operator__operator_text(struct weir_operation_call *call, const struct weir_operator_record *record);
struct weir_span operator__token_text(struct weir_operation_call *call, const struct weir_token_record *record);

/* The tokens of one operator: what /auth/tokens does for one's own and /api/v1/operators/{operator}/tokens for others'. `most` is the highest role
 * that one may have; `narrowed`: it is less than the operator's own, so a token for which no role is named gets it. */
WEIR_MUST enum weir_status operator__tokens_list_of(struct weir_operation_call *call, struct weir_span owner);
WEIR_MUST enum weir_status operator__token_create_for(struct weir_operation_call *call, struct weir_span owner,
                                                      enum weir_role most, bool narrowed);
WEIR_MUST enum weir_status operator__token_revoke_of(struct weir_operation_call *call, struct weir_span owner,
                                                     struct weir_span id);
/* WEIR_OK and the hash in the call's arena; or failed: too short or too long. */
WEIR_MUST enum weir_status operator__hash_password(struct weir_operation_call *call, const char *field,
                                                   struct weir_span password, struct weir_span *hash);

#endif

/* What the files about budgets share: refusing, looking up what a scope's id names, and parts of what is shown. */
#ifndef WEIR_OPERATOR_BUDGET_IMPL_H
#define WEIR_OPERATOR_BUDGET_IMPL_H

#include "operator/budget_changes.h"

struct operator__member;

enum weir_status operator__budget_refuse(struct weir_budget_work *work, enum weir_reason reason, const char *field,
                                         const char *format, ...) WEIR_PRINTF(4, 5);
enum weir_status operator__budget_no_memory(struct weir_budget_work *work);
/* The id of the first key of a key's chain of rotations. WEIR_ENOTFOUND. */
WEIR_MUST enum weir_status operator__budget_family(struct weir_budget_work *work, struct weir_span key,
                                                   struct weir_span *family);
/* *words is empty where what a scope's id names is there, else it says what is missing; `certain`: that is so, and not only not in the settings. `id` becomes a
 * key's family. */
WEIR_MUST enum weir_status operator__budget_look_up(struct weir_budget_work *work, enum weir_scope scope,
                                                    struct weir_span *id, struct weir_span *words, bool *certain);

/* The members that budgets and limits are made of. */
const struct operator__member *operator__budget_members(void);
const struct operator__member *operator__limit_members(void);

/* "period":{…}, "of":…, "warnings":[…] */
void operator__budget_write_period(struct weir_json_writer *writer, const struct weir_period *period);
void operator__budget_write_of(struct weir_json_writer *writer, const struct weir_budget_standing *standing);
void operator__write_warnings(struct weir_json_writer *writer, struct weir_span oddity);

#endif

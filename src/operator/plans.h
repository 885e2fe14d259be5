/* What the text of a plan in the store means. */
#ifndef WEIR_OPERATOR_PLANS_H
#define WEIR_OPERATOR_PLANS_H

#include "base/arena.h"
#include "config/revision.h"

/* Texts go to the arena. WEIR_ECORRUPT: it is no plan. */
WEIR_MUST enum weir_status weir_plan_read(struct weir_arena *arena, struct weir_span id, struct weir_span text,
                                          struct weir_plan *plan);

#endif

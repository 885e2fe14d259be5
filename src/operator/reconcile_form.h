/* A reconciliation as operators ask for it and see it: an export's text goes in, what the provider and the ledger say comes out, as JSON or for a table. The
 * command line uses the same. Nothing of it is stored. */
#ifndef WEIR_OPERATOR_RECONCILE_FORM_H
#define WEIR_OPERATOR_RECONCILE_FORM_H

#include "json/write.h"
#include "meter/reconcile.h"
#include "store/store.h"

struct weir_reconcile_question {
    struct weir_span text, provider;
    struct weir_span zone; /* whose days the export's are; empty: UTC */
    enum weir_export_format format;
    int64_t tolerance_percent_milli;
};
struct weir_reconcile_answer {
    struct weir_reconcile_question question;
    struct weir_export export;
    struct weir_reconciliation result;
};
enum { WEIR_RECONCILE_USUAL_TOLERANCE = 1000 }; /* thousandths of a percent */

/* Ours are the requests that the provider answered last, without those that ended in an error. Everything lives in the arena. *field (may be NULL) is what is
 * wrong where the question is: "text", "zone". */
WEIR_MUST enum weir_status weir_reconcile_make(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                               struct weir_arena *arena, const struct weir_reconcile_question *question,
                                               struct weir_reconcile_answer *answer, const char **field,
                                               struct weir_error *error);
void weir_reconcile_write_json(struct weir_json_writer *writer, const struct weir_reconcile_answer *answer);
/* "2026-11-01" */
enum { WEIR_DAY_SIZE = 11 };
void weir_reconcile_format_day(int64_t day, char out[WEIR_DAY_SIZE]);
/* "12.345", or "" where there is no measure. */
enum { WEIR_PERCENT_SIZE = 32 };
const char *weir_reconcile_format_percent(int64_t percent_milli, char out[WEIR_PERCENT_SIZE]);

#endif

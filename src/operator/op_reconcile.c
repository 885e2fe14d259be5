/* The operation that holds a provider's export against the ledger. It changes and keeps nothing. */
#include "operator/operations_table.h"

#include "operator/reconcile_form.h"

enum weir_status operator__reconciliations_create(struct weir_operation_call *call) {
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct weir_reconcile_answer answer;
    const char *field = NULL;
    struct weir_span format = weir_operation_body_text(call, "format"),
                     tolerance = weir_operation_body_text(call, "tolerance_percent");
    struct weir_reconcile_question question = {.text = weir_operation_body_text(call, "text"),
                                               .provider = weir_operation_body_text(call, "provider"),
                                               .zone = weir_operation_body_text(call, "zone"),
                                               .tolerance_percent_milli = WEIR_RECONCILE_USUAL_TOLERANCE};
    if (format.length > 0 && !weir_export_format_from_name(format, &question.format))
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "format", "format: there is no such format");
    if (tolerance.length > 0 && weir_reconcile_tolerance(tolerance, &question.tolerance_percent_milli) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "tolerance_percent",
                                   "tolerance_percent: expected 0 to 100 with at most three places, like \"0.5\"");
    enum weir_status status = weir_reconcile_make(ops, engine, weir_operation_arena(call), &question, &answer, &field,
                                                  &error);
    if (status == WEIR_ENOMEM)
        return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "%s", "no memory for the comparison");
    if (status != WEIR_OK && field != NULL)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, field, "%s: %s", field, error.text);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the usage", &error);
    weir_reconcile_write_json(weir_operation_writer(call), &answer);
    return WEIR_OK;
}

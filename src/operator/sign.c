/* What the operator plane leaves of each answer besides the audit trail: a count, and a line in the log for a change or a refusal.
 *
 * The line says who, from where, what and how it ended, and holds nothing that was sent: no path, no query, no body. Strangers get a few lines a
 * second, as in the audit trail; the counts have all of them.
 */
#include "operator/impl.h"

enum { STRANGERS_A_SECOND = 5 };

static bool may_log(struct weir_loop *loop, struct operator__refusals *strangers, const struct weir_actor *actor) {
    int64_t second = weir_loop_utc_us(loop) / 1000000;
    if (actor->kind != WEIR_ACTOR_UNKNOWN)
        return true;
    if (second != strangers->second)
        *strangers = (struct operator__refusals){.second = second};
    return strangers->count++ < STRANGERS_A_SECOND;
}

void operator__leave_sign(struct weir_loop *loop, struct weir_metrics *metrics, struct operator__refusals *strangers,
                          const struct operator__sign *sign) {
    const struct weir_actor *actor = sign->actor;
    const struct weir_log *log = weir_loop_log(loop);
    if (metrics != NULL) {
        weir_metrics_add_operation(metrics, sign->operation, sign->status);
        if (sign->reason == WEIR_REASON_LOGIN_FAILED || sign->reason == WEIR_REASON_LOGIN_TOO_OFTEN)
            weir_metrics_add_login_failed(metrics);
    }
    if ((!sign->changed && !sign->refused) || log->minimum > WEIR_LOG_INFO || !may_log(loop, strangers, actor))
        return;
    weir_log(log, WEIR_LOG_INFO, "operator_call", WEIR_LOG_T("operation", sign->operation),
             WEIR_LOG_I("status", sign->status),
             WEIR_LOG_T("reason", sign->refused ? weir_reason_row(sign->reason)->name : "none"),
             WEIR_LOG_S("actor", actor->name), WEIR_LOG_T("actor_kind", weir_actor_kind_name(actor->kind)),
             WEIR_LOG_S("address", actor->address), WEIR_LOG_T("request_id", sign->request_id),
             WEIR_LOG_I("duration_us", sign->duration_us));
}

/* Billing in a running server: the secret that payments are signed with, and the periodic work on all workspaces.
 *
 * The work is done on the store thread, a few workspaces a time, so that it holds up neither the ledger nor anybody's request; it begins anew every minute and
 * as soon as a month has ended.
 */
#include "base/clock.h"
#include "main/serve.h"
#include "meter/billing.h"
#include "meter/windows.h"
#include "secrets/secrets.h"

enum { WORKSPACES_A_STEP = 20, ARENA_BYTES = 32 * 1024 * 1024 };
#define PAUSE_NS ((int64_t)60 * 1000000000)

static enum weir_status note(void *context, const struct weir_billing_note *said, struct weir_error *error) {
    struct weir_billing_turn *turn = context;
    const char *changes = weir_arena_format(turn->arena, "{\"before\":%.*s,\"after\":%.*s}",
                                            WEIR_SPAN_PRINT(said->before.length > 0 ? said->before : WEIR_SPAN("null")),
                                            WEIR_SPAN_PRINT(said->after.length > 0 ? said->after : WEIR_SPAN("null")));
    struct weir_audit_entry entry = {.utc_us = turn->now_utc_us,
                                     .actor_kind = WEIR_SPAN("system"),
                                     .actor_name = WEIR_SPAN("weir"),
                                     .workspace = said->workspace,
                                     .action = weir_span_of_string(said->action),
                                     .resource_type = weir_span_of_string(said->resource_type),
                                     .resource_id = said->resource_id,
                                     .changes = weir_span_of_string(changes),
                                     .result = WEIR_AUDIT_SUCCESS};
    if (changes == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the audit trail");
    return turn->ops->audit_append(turn->engine, &entry, error);
}

/* On the store thread. */
static enum weir_status run_step(void *context, const struct weir_engine_ops *ops, struct weir_engine *engine,
                                 struct weir_error *error) {
    struct main__billing *billing = context;
    struct weir_billing_turn turn = {.ops = ops,
                                     .engine = engine,
                                     .arena = weir_arena_new(0, ARENA_BYTES),
                                     .now_utc_us = weir_clock_utc_us(),
                                     .actor = WEIR_SPAN("weir"),
                                     .note = note,
                                     .context = &turn,
                                     .error = error};
    if (turn.arena == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for billing");
    enum weir_status status = weir_billing_sweep(&turn, WORKSPACES_A_STEP, &billing->cursor, &billing->changes);
    weir_arena_free(&turn.arena);
    return status;
}

/* A minute later, or when the month ends, whichever is first. */
static int64_t next_round_ns(void) {
    int64_t now_utc_us = weir_clock_utc_us();
    struct weir_period month = weir_window_period(WEIR_WINDOW_MONTH, NULL, now_utc_us);
    int64_t left_ns = (month.until_utc_us - now_utc_us) * 1000;
    return weir_clock_monotonic_ns() + (left_ns < PAUSE_NS ? left_ns : PAUSE_NS);
}

static void on_step(void *context, enum weir_status status, const struct weir_error *error) {
    struct main__billing *billing = context;
    struct main__server *server = WEIR_CONTAINER_OF(billing, struct main__server, billing);
    billing->is_running = false;
    if (status != WEIR_OK) /* what was done is done */
        weir_log(&server->gateway.log, WEIR_LOG_ERROR, "billing_work_failed", WEIR_LOG_T("problem", error->text));
    else if (billing->changes > 0)
        weir_log(&server->gateway.log, WEIR_LOG_INFO, "billing_work", WEIR_LOG_I("changes", billing->changes));
    /* Behind a failure it goes on where it came to: one bad workspace hides none. */
    if (status != WEIR_OK || billing->cursor == 0)
        billing->next_ns = next_round_ns();
    else /* at once: until a month is closed, what it used up of the credits could be spent a second time */
        main__billing_turn(server);
}

void main__billing_turn(struct main__server *server) {
    struct main__billing *billing = &server->billing;
    const struct weir_store_work work = {.run = run_step, .reply = on_step, .context = billing};
    if (billing->is_running || server->stopping || weir_clock_monotonic_ns() < billing->next_ns)
        return;
    billing->changes = 0;
    billing->is_running = true;
    if (weir_store_run(server->store, server->loop, &work) != WEIR_OK)
        billing->is_running = false;
}

enum weir_status main__billing_open(struct main__server *server, struct weir_error *error) {
    struct weir_span reference = server->settings.gateway.billing.webhook_secret, name;
    struct weir_error problem = {.text = ""};
    uint64_t version = 0;
    if (reference.length == 0)
        return WEIR_OK;
    enum weir_status status = weir_secrets_is_sealed(reference, &name)
                                  ? main__secret_fetch(&server->settings, name, &server->billing.secret, &version,
                                                       &problem)
                                  : weir_secrets_fetch_now(reference, &server->billing.secret, &problem);
    server->gateway.webhook_secret = server->billing.secret;
    return status == WEIR_OK ? WEIR_OK : weir_fail(error, status, "billing.webhook_secret: %.300s", problem.text);
}

void main__billing_release(struct main__server *server) {
    weir_secret_free(&server->billing.secret);
    weir_found_models_free(&server->gateway.found_models);
}

/* The meter in a running server: what it is told (budgets, plans, how many instances there are), and whom it tells (workers, operators).
 *
 * All of it happens on the control thread but for main__meter_facts, which any worker may ask for when it is scraped.
 */
#include "main/serve_meter.h"

#include "main/serve.h"

static const struct weir_log *log_of(const struct main__server *server) {
    return &server->gateway.log;
}

/* --- what it tells --- */

static void on_room(void *context) {
    struct main__server *server = context;
    for (unsigned i = 0; server->workers != NULL && i < server->worker_count; i++)
        if (server->workers[i] != NULL)
            weir_worker_wake(server->workers[i]);
}

/* --- what it is told --- */

static void on_objects(void *context, const struct weir_object *objects, size_t count) {
    struct main__server *server = context;
    struct weir_error error = {.text = ""};
    if (server->gateway.meter == NULL)
        return; /* after the end: what was still on its way */
    if (weir_meter_take_objects(server->gateway.meter, objects, count, &error) != WEIR_OK)
        weir_log(log_of(server), WEIR_LOG_ERROR, "limits_not_understood", WEIR_LOG_T("problem", error.text),
                 WEIR_LOG_T("effect", "what was in effect before stays"));
    if (count == 0)
        server->meter_has_objects = true;
}

void main__meter_plans(struct main__server *server) {
    const struct weir_revision *revision = server->live->revision;
    if (server->gateway.meter != NULL &&
        weir_meter_take_plans(server->gateway.meter, revision->plans, revision->plan_count) != WEIR_OK)
        weir_log(log_of(server), WEIR_LOG_ERROR, "plans_not_in_effect", WEIR_LOG_T("problem", "no memory"),
                 WEIR_LOG_T("effect", "the limits of the plans before stay"));
}

void main__meter_turn(struct main__server *server) {
    if (server->gateway.meter != NULL)
        weir_meter_set_instances(server->gateway.meter, weir_store_live_instances(server->store));
}

void main__meter_facts(const struct main__server *server, struct weir_metrics_facts *facts) {
    struct weir_meter_state state;
    weir_meter_state(server->gateway.meter, &state);
    facts->meter_holds = state.holds;
    facts->meter_held_cu_milli = state.held_cu_milli;
    facts->meter_admissions = state.concurrent;
    facts->meter_counters = state.counters;
    facts->meter_questions = state.store_questions;
    facts->meter_waits = state.waits;
}

/* --- life --- */

enum weir_status main__meter_open(struct main__server *server, struct weir_error *error) {
    enum weir_status status = weir_meter_new(&server->settings.meter, server->loop, server->store,
                                             &server->gateway.meter, error);
    if (status != WEIR_OK)
        return status;
    weir_meter_on_room(server->gateway.meter, on_room, server);
    weir_meter_on_event(server->gateway.meter, main__alerts_on_event, server->alerts);
    main__meter_plans(server);
    main__meter_turn(server);
    weir_store_watch_objects(server->store, server->loop, on_objects, server);
    return WEIR_OK;
}

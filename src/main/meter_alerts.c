/* See meter_alerts.h. An event goes to the store's thread as an object to create; what comes back decides whether it is news. */
#include "main/meter_alerts.h"

#include "base/clock.h"
#include "base/memory.h"
#include "operator/alert_form.h"

#include <stdatomic.h>

enum { ARENA_BYTES = 256 * 1024, NAME_BYTES = 200, ID_BYTES = 320, INFO_BELOW_PERCENT = 80 };

struct main__alerts {
    struct weir_store *store;
    struct weir_loop *loop;
    struct weir_log log;
    _Atomic uint64_t told[WEIR_METRICS_ALERT_KINDS];
};

/* An event on its way to the store and back: what the log says of it. */
struct waiting {
    struct main__alerts *alerts;
    enum weir_meter_event_kind kind;
    enum weir_scope scope;
    int64_t percent, used_cu_milli, limit_cu_milli, refusals, overrun_cu_milli;
    char budget[ID_BYTES], name[NAME_BYTES + 1], scope_id[ID_BYTES];
};

static void keep(struct weir_span text, char *out, size_t size) {
    size_t length = text.length < size - 1 ? text.length : size - 1;
    if (length > 0)
        memcpy(out, text.at, length);
    out[length] = '\0';
}

static void log_one(const struct waiting *event) {
    const struct weir_log *log = &event->alerts->log;
    const char *scope = weir_scope_name(event->scope);
    bool quiet = event->kind == WEIR_METER_THRESHOLD && event->percent < INFO_BELOW_PERCENT;
    switch (event->kind) {
    case WEIR_METER_THRESHOLD:
    case WEIR_METER_EXCEEDED:
        weir_log(log, quiet ? WEIR_LOG_INFO : WEIR_LOG_WARNING,
                 event->kind == WEIR_METER_THRESHOLD ? "budget_threshold" : "budget_exceeded",
                 WEIR_LOG_T("budget", event->budget), WEIR_LOG_T("name", event->name),
                 WEIR_LOG_T("scope", scope != NULL ? scope : ""), WEIR_LOG_T("scope_id", event->scope_id),
                 WEIR_LOG_I("percent", event->percent), WEIR_LOG_I("used_cu_milli", event->used_cu_milli),
                 WEIR_LOG_I("limit_cu_milli", event->limit_cu_milli));
        break;
    case WEIR_METER_OVERRUN:
        weir_log(log, WEIR_LOG_ERROR, "budget_overrun", WEIR_LOG_T("key_family", event->scope_id),
                 WEIR_LOG_I("overrun_cu_milli", event->overrun_cu_milli),
                 WEIR_LOG_T("effect", "a provider reported more than was reserved for its call: no budget bears it"));
        break;
    case WEIR_METER_RUNAWAY:
        weir_log(log, WEIR_LOG_WARNING, "runaway_client", WEIR_LOG_T("key_family", event->scope_id),
                 WEIR_LOG_I("refusals", event->refusals));
        break;
    }
}

static void tell(struct waiting *event) {
    atomic_fetch_add_explicit(&event->alerts->told[event->kind], 1, memory_order_relaxed);
    log_one(event);
}

static void on_created(void *context, enum weir_status status, const struct weir_error *error) {
    struct waiting *event = context;
    if (status != WEIR_EEXIST)
        tell(event);
    if (status != WEIR_OK && status != WEIR_EEXIST)
        weir_log(&event->alerts->log, WEIR_LOG_ERROR, "alert_not_kept",
                 WEIR_LOG_T("problem", error->text[0] != '\0' ? error->text : weir_status_name(status)),
                 WEIR_LOG_T("effect", "it may be told again"));
    weir_memory_free(event);
}

void main__alerts_on_event(void *context, const struct weir_meter_event *event) {
    struct main__alerts *alerts = context;
    struct weir_object object;
    struct weir_error error = {.text = ""};
    struct weir_arena *arena = weir_arena_new(0, ARENA_BYTES);
    struct waiting *waiting = weir_memory_new(1, sizeof *waiting);
    if (arena == NULL || waiting == NULL) {
        weir_log(&alerts->log, WEIR_LOG_ERROR, "alert_not_told", WEIR_LOG_T("problem", "no memory"));
        weir_memory_free(waiting);
        weir_arena_free(&arena);
        return;
    }
    *waiting = (struct waiting){.alerts = alerts,
                                .kind = event->kind,
                                .scope = event->scope,
                                .percent = event->percent,
                                .used_cu_milli = event->used_cu_milli,
                                .limit_cu_milli = event->limit_cu_milli,
                                .refusals = event->refusals,
                                .overrun_cu_milli = event->overrun_cu_milli};
    keep(event->budget, waiting->budget, sizeof waiting->budget);
    keep(event->name, waiting->name, sizeof waiting->name);
    keep(event->scope_id, waiting->scope_id, sizeof waiting->scope_id);
    enum weir_status status = weir_alert_object(arena, event, weir_clock_utc_us(), &object);
    if (status == WEIR_OK)
        status = weir_store_object_create(alerts->store, alerts->loop, &object, on_created, waiting);
    if (status != WEIR_OK)
        on_created(waiting, status, &error);
    weir_arena_free(&arena);
}

void main__alerts_count(const struct main__alerts *alerts, struct weir_metrics_facts *facts) {
    for (unsigned i = 0; i < WEIR_METRICS_ALERT_KINDS; i++) {
        facts->alerts[i].kind = weir_alert_kind_name((enum weir_meter_event_kind)i);
        if (alerts != NULL)
            facts->alerts[i].count = atomic_load_explicit(&alerts->told[i], memory_order_relaxed);
    }
}

enum weir_status main__alerts_new(struct weir_store *store, struct weir_loop *loop, const struct weir_log *log,
                                  struct main__alerts **alerts) {
    struct main__alerts *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return WEIR_ENOMEM;
    made->store = store;
    made->loop = loop;
    made->log = *log;
    made->log.part = "meter";
    *alerts = made;
    return WEIR_OK;
}

void main__alerts_free(struct main__alerts **alerts) {
    weir_memory_free(*alerts);
    *alerts = NULL;
}

/* What operators are told: thresholds of budgets, budgets that are exceeded, overruns, runaway clients.
 *
 * Whoever notices puts an event into a list; the control thread takes the list and tells, holding no lock, for whoever listens may ask the meter. A threshold is told
 * once in its period; of a window that rolls, again once what was spent has clearly fallen below it. The list is bounded: what does not fit is left out.
 */
#include "base/memory.h"
#include "meter/meter_impl.h"

#include <stdio.h>

enum { MAX_EVENTS = 10000, MAX_REFUSED_KEYS = 10000, BUDGET_BYTES = 700, TELL_AGAIN_MINUTES = 30 };
#define MINUTE_NS (60 * METER_SECOND_NS)

__extension__ typedef __int128 wide;

static struct weir_span put(char **at, struct weir_span text) {
    struct weir_span copy = weir_span_of(*at, text.length);
    if (text.length > 0)
        memcpy(*at, text.at, text.length);
    *at += text.length;
    return copy;
}

/* Copies the event with its texts to the end of the list. Takes queue_lock alone. */
static void add_event(struct weir_meter *meter, const struct weir_meter_event *event) {
    struct meter__event *added = weir_memory_new(1, sizeof *added + event->budget.length + event->name.length +
                                                        event->scope_id.length);
    if (added == NULL)
        return;
    char *at = added->text;
    added->event = *event;
    added->event.budget = put(&at, event->budget);
    added->event.name = put(&at, event->name);
    added->event.scope_id = put(&at, event->scope_id);
    pthread_mutex_lock(&meter->queue_lock);
    bool fits = meter->event_count < MAX_EVENTS;
    if (fits) {
        *meter->events_end = added;
        meter->events_end = &added->next;
        meter->event_count++;
    }
    pthread_mutex_unlock(&meter->queue_lock);
    if (!fits)
        weir_memory_free(added);
}

void meter__tell(struct weir_meter *meter) {
    pthread_mutex_lock(&meter->queue_lock);
    struct meter__event *event = meter->events;
    meter->events = NULL;
    meter->events_end = &meter->events;
    meter->event_count = 0;
    pthread_mutex_unlock(&meter->queue_lock);
    while (event != NULL) {
        struct meter__event *next = event->next;
        if (meter->on_event != NULL)
            meter->on_event(meter->on_event_context, &event->event);
        weir_memory_free(event);
        event = next;
    }
}

void meter__events_release(struct weir_meter *meter) {
    size_t cursor = 0;
    struct weir_span key;
    void *value = NULL;
    meter->on_event = NULL;
    if (meter->events_end != NULL)
        meter__tell(meter);
    while (meter->refusals != NULL && weir_map_next(meter->refusals, &cursor, &key, &value))
        weir_memory_free(value);
    weir_map_free(&meter->refusals);
}

/* --- thresholds --- */

static const uint8_t initial_percents[] = {50, 80, 95, 100};

static void add_line_event(struct weir_meter *meter, const struct meter__account *account,
                           const struct meter__line *line, struct weir_meter_event event) {
    char id[BUDGET_BYTES];
    meter__line_id(account, line, id, sizeof id);
    event.budget = weir_span_of_string(id);
    event.name = line->definition != NULL ? line->definition->is.budget.name : weir_span_of_string("");
    event.scope = meter__scope(account->subject);
    event.scope_id = meter__id(account->subject);
    event.period = (struct weir_period){.from_utc_us = line->pot->from_utc_us,
                                        .until_utc_us = line->pot->until_utc_us,
                                        .rolling = line->pot->rolling};
    add_event(meter, &event);
}

static bool is_reached(int64_t spent, int64_t limit, unsigned percent, unsigned of) {
    return spent > 0 && (wide)spent * 100 * of >= (wide)limit * percent * 100;
}

static void watch_thresholds(struct weir_meter *meter, struct meter__account *account, struct meter__line *line,
                             int64_t utc_us) {
    const struct meter__pot *pot = line->pot;
    const uint8_t *percents = initial_percents;
    size_t count = sizeof initial_percents;
    if (line->definition != NULL) {
        percents = line->definition->is.budget.alert_percents;
        count = line->definition->is.budget.alert_count;
    }
    if (pot->until_utc_us <= utc_us)
        return; /* requests that began before its end still go there, and nobody can do anything about it any more */
    /* What the ledger has, and what was charged here since. */
    const int64_t spent = pot->total - pot->others - pot->room - pot->held, limit = meter__line_limit(line, utc_us);
    if (line->told_from_utc_us != pot->from_utc_us) {
        line->told_from_utc_us = pot->from_utc_us;
        line->told_percent = 0;
    }
    if (pot->rolling && line->told_percent > 0 && !is_reached(spent, limit, line->told_percent, 110)) {
        uint8_t lower = 0;
        for (size_t i = 0; i < count && percents[i] < line->told_percent; i++)
            lower = is_reached(spent, limit, percents[i], 100) ? percents[i] : lower;
        line->told_percent = lower;
    }
    for (size_t i = 0; i < count; i++) {
        if (percents[i] <= line->told_percent || !is_reached(spent, limit, percents[i], 100))
            continue;
        line->told_percent = percents[i];
        add_line_event(meter, account, line,
                       (struct weir_meter_event){.kind = WEIR_METER_THRESHOLD,
                                                 .percent = percents[i],
                                                 .used_cu_milli = spent,
                                                 .limit_cu_milli = limit});
    }
}

void meter__watch(struct weir_meter *meter, struct meter__account *account, int64_t utc_us) {
    if (account->unit != WEIR_SPEND_CU_MILLI)
        return;
    for (size_t i = 0; i < account->line_count; i++) {
        struct meter__line *line = &account->lines[i];
        const struct meter__pot *pot = line->pot;
        if (pot == NULL || !pot->known)
            continue;
        watch_thresholds(meter, account, line, utc_us);
        if (line->tell_exceeded) {
            line->tell_exceeded = false;
            add_line_event(meter, account, line,
                           (struct weir_meter_event){.kind = WEIR_METER_EXCEEDED,
                                                     .percent = 100,
                                                     .used_cu_milli = pot->total - pot->room,
                                                     .limit_cu_milli = meter__line_limit(line, utc_us)});
        }
    }
}

void weir_meter_note_overrun(struct weir_meter *meter, const struct weir_meter_caller *caller, int64_t cu_milli) {
    if (cu_milli <= 0)
        return;
    add_event(meter, &(struct weir_meter_event){.kind = WEIR_METER_OVERRUN,
                                                .scope = WEIR_SCOPE_KEY,
                                                .scope_id = caller->key,
                                                .overrun_cu_milli = cu_milli});
    meter__wake(meter);
}

/* --- runaway clients --- */

static struct meter__refusals *refusals_of(struct weir_meter *meter, struct weir_span key) {
    struct meter__refusals *known = weir_map_find(meter->refusals, key);
    if (known != NULL || weir_map_count(meter->refusals) >= MAX_REFUSED_KEYS)
        return known;
    known = weir_memory_new(1, sizeof *known + key.length);
    if (known == NULL)
        return NULL;
    memcpy(known->key, key.at, key.length);
    known->key_length = key.length;
    known->minute = -1;
    if (weir_map_put(meter->refusals, weir_span_of(known->key, key.length), known, NULL) != WEIR_OK) {
        weir_memory_free(known);
        return NULL;
    }
    return known;
}

/* A minute that is over with too many of them is one more on end; a calm one starts anew. */
static void go_on(const struct weir_meter *meter, struct meter__refusals *known, int64_t minute) {
    if (known->minute == minute)
        return;
    bool too_many = known->minute >= 0 && known->count >= meter->settings.runaway_refusals;
    known->streak = too_many ? known->streak + 1 : 0;
    if (known->minute + 1 < minute)
        known->streak = 0;
    if (known->streak % TELL_AGAIN_MINUTES == 0)
        known->told = false; /* what goes on is told again now and then: who looks at what is now must see it */
    known->minute = minute;
    known->count = 0;
}

void weir_meter_note_refusal(struct weir_meter *meter, struct weir_span key) {
    const int64_t minute = meter->outside.now_ns(meter->outside.context) / MINUTE_NS;
    bool tell = false;
    int64_t count = 0;
    pthread_mutex_lock(&meter->queue_lock);
    struct meter__refusals *known = refusals_of(meter, key);
    if (known != NULL) {
        go_on(meter, known, minute);
        count = ++known->count;
        tell = !known->told && count >= meter->settings.runaway_refusals &&
               known->streak + 1 >= meter->settings.runaway_minutes;
        known->told = known->told || tell;
    }
    pthread_mutex_unlock(&meter->queue_lock);
    if (!tell)
        return;
    add_event(meter, &(struct weir_meter_event){
                         .kind = WEIR_METER_RUNAWAY, .scope = WEIR_SCOPE_KEY, .scope_id = key, .refusals = count});
    meter__wake(meter);
}

void meter__forget_refusals(struct weir_meter *meter, int64_t now_ns) {
    pthread_mutex_lock(&meter->queue_lock);
    size_t cursor = 0;
    struct weir_span key;
    void *value = NULL;
    while (weir_map_next(meter->refusals, &cursor, &key, &value)) {
        struct meter__refusals *known = value;
        if (known->minute + 1 >= now_ns / MINUTE_NS)
            continue;
        (void)weir_map_remove(meter->refusals, key);
        weir_memory_free(known);
        cursor--; /* what stood behind it may have moved here */
    }
    pthread_mutex_unlock(&meter->queue_lock);
}

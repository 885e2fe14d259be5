/* A world for the meter's tests: a ledger with its sums and slices as the store keeps them (store/spend.h), clocks that stand still until a test moves them,
 * and answers that come when the test says so. Everything is static inline: each test program includes it once.
 */
#ifndef WEIR_TESTS_METER_SUPPORT_H
#define WEIR_TESTS_METER_SUPPORT_H

#include "base/clock.h"
#include "base/memory.h"
#include "meter/meter_impl.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

#define HOUR_US ((int64_t)3600 * METER_SECOND_US)
#define DAY_US (24 * HOUR_US)
/* 2026-11-20T12:00:00Z, a Friday. */
#define NOON_US (INT64_C(1795132800) * METER_SECOND_US + 12 * HOUR_US)

enum { MODEL_ROWS = 200000, MODEL_SLICES = 256, MODEL_EVENTS = 1024, MODEL_ID_BYTES = 64 };

struct model_row {
    enum weir_scope scope;
    char id[MODEL_ID_BYTES];
    int64_t utc_us, cu_milli, requests, tokens;
};
struct model_slice {
    unsigned instance;
    enum weir_scope scope;
    enum weir_spend_unit unit;
    char id[MODEL_ID_BYTES];
    int64_t from_utc_us, until_utc_us;
    bool rolling;
    int64_t amount;
};
/* The database: shared by the instances of a test. One thread at a time (`lock`). */
struct model_store {
    pthread_mutex_t lock;
    size_t row_count, slice_count;
    struct model_row rows[MODEL_ROWS];
    struct model_slice slices[MODEL_SLICES];
    bool away;
    int64_t worst_excess; /* spent + slices over the limit, as a grant left it */
};

struct world;
struct told {
    enum weir_meter_event_kind kind;
    uint8_t percent;
    int64_t used, limit, refusals, overrun;
    char budget[MODEL_ID_BYTES], scope_id[MODEL_ID_BYTES];
};
/* One instance. */
struct world {
    unsigned instance;
    struct model_store *store;
    struct weir_meter *meter;
    int64_t utc_us, now_ns;
    bool manual; /* answers wait for world_answer */
    size_t question_count;
    struct weir_lease questions[WEIR_MAX_LEASES];
    weir_store_lease_reply reply;
    void *reply_context;
    _Atomic int woken;
    size_t rooms; /* calls of on_room */
    size_t told_count;
    struct told told[MODEL_EVENTS];
};

static inline bool model_same_id(const char *known, struct weir_span id) {
    return weir_span_equal(weir_span_of_string(known), id);
}

static inline int64_t model_spent(const struct model_store *store, const struct weir_spend_counter *counter) {
    int64_t sum = 0;
    for (size_t i = 0; i < store->row_count; i++) {
        const struct model_row *row = &store->rows[i];
        if (row->scope != counter->scope || !model_same_id(row->id, counter->id) ||
            row->utc_us < counter->from_utc_us || row->utc_us >= counter->until_utc_us)
            continue;
        sum += counter->unit == WEIR_SPEND_CU_MILLI   ? row->cu_milli
               : counter->unit == WEIR_SPEND_REQUESTS ? row->requests
                                                      : row->tokens;
    }
    return sum;
}

static inline bool model_same_slice(const struct model_slice *slice, const struct weir_spend_counter *counter) {
    return slice->scope == counter->scope && slice->unit == counter->unit && model_same_id(slice->id, counter->id) &&
           slice->rolling == counter->rolling &&
           (counter->rolling ||
            (slice->from_utc_us == counter->from_utc_us && slice->until_utc_us == counter->until_utc_us));
}

static inline struct model_slice *model_slice(struct model_store *store, unsigned instance,
                                              const struct weir_spend_counter *counter) {
    for (size_t i = 0; i < store->slice_count; i++)
        if (store->slices[i].instance == instance && model_same_slice(&store->slices[i], counter))
            return &store->slices[i];
    assert_true(store->slice_count < MODEL_SLICES);
    struct model_slice *slice = &store->slices[store->slice_count++];
    *slice = (struct model_slice){.instance = instance,
                                  .scope = counter->scope,
                                  .unit = counter->unit,
                                  .from_utc_us = counter->from_utc_us,
                                  .until_utc_us = counter->until_utc_us,
                                  .rolling = counter->rolling};
    (void)snprintf(slice->id, sizeof slice->id, "%.*s", WEIR_SPAN_PRINT(counter->id));
    return slice;
}

static inline void model_answer(struct model_store *store, unsigned instance, struct weir_lease *lease) {
    assert_true(lease->wanted >= 0 && lease->unused >= 0);
    struct model_slice *slice = model_slice(store, instance, &lease->counter);
    slice->amount -= lease->unused < slice->amount ? lease->unused : slice->amount;
    lease->others = 0;
    for (size_t i = 0; i < store->slice_count; i++)
        if (&store->slices[i] != slice && model_same_slice(&store->slices[i], &lease->counter))
            lease->others += store->slices[i].amount;
    lease->spent = model_spent(store, &lease->counter);
    int64_t out = lease->spent + slice->amount + lease->others, left = lease->limit > out ? lease->limit - out : 0;
    lease->granted = lease->wanted < left ? lease->wanted : left;
    slice->amount += lease->granted;
    lease->slice = slice->amount;
    if (lease->granted > 0 && out + lease->granted - lease->limit > store->worst_excess)
        store->worst_excess = out + lease->granted - lease->limit;
}

/* The ledger takes an entry in: it adds to what was spent and takes from the slices of its instance. */
static inline void model_ingest(struct model_store *store, unsigned instance, enum weir_scope scope, const char *id,
                                int64_t utc_us, int64_t cu_milli, int64_t tokens) {
    pthread_mutex_lock(&store->lock);
    assert_true(store->row_count < MODEL_ROWS);
    struct model_row *row = &store->rows[store->row_count++];
    *row = (struct model_row){.scope = scope, .utc_us = utc_us, .cu_milli = cu_milli, .requests = 1, .tokens = tokens};
    (void)snprintf(row->id, sizeof row->id, "%s", id);
    for (size_t i = 0; i < store->slice_count; i++) {
        struct model_slice *slice = &store->slices[i];
        if (slice->instance != instance || slice->scope != scope || strcmp(slice->id, id) != 0 ||
            (!slice->rolling && (utc_us < slice->from_utc_us || utc_us >= slice->until_utc_us)))
            continue;
        int64_t amount = slice->unit == WEIR_SPEND_CU_MILLI   ? cu_milli
                         : slice->unit == WEIR_SPEND_REQUESTS ? 1
                                                              : tokens;
        slice->amount -= amount < slice->amount ? amount : slice->amount;
    }
    pthread_mutex_unlock(&store->lock);
}

/* All that instances may still spend of anything. */
static inline int64_t model_out(struct model_store *store) {
    int64_t sum = 0;
    for (size_t i = 0; i < store->slice_count; i++)
        sum += store->slices[i].amount;
    return sum;
}

/* --- the meter's outside --- */

/* Answers what was asked; false: nothing was. */
static inline bool world_answer(struct world *world) {
    if (world->question_count == 0)
        return false;
    size_t count = world->question_count;
    world->question_count = 0;
    pthread_mutex_lock(&world->store->lock);
    bool away = world->store->away;
    for (size_t i = 0; !away && i < count; i++)
        model_answer(world->store, world->instance, &world->questions[i]);
    pthread_mutex_unlock(&world->store->lock);
    struct weir_error error = {.status = WEIR_EBUSY, .text = "away"};
    world->reply(world->reply_context, away ? WEIR_EBUSY : WEIR_OK, world->questions, away ? 0 : count, &error);
    return true;
}

static inline enum weir_status world_lease_of(void *context, const struct weir_lease *leases, size_t count,
                                              weir_store_lease_reply reply, void *reply_context) {
    struct world *world = context;
    assert_int_equal(world->question_count, 0);
    assert_true(count > 0 && count <= WEIR_MAX_LEASES);
    memcpy(world->questions, leases, count * sizeof *leases);
    world->question_count = count;
    world->reply = reply;
    world->reply_context = reply_context;
    if (!world->manual)
        (void)world_answer(world);
    return WEIR_OK;
}

static inline int64_t world_utc(void *context) {
    return ((struct world *)context)->utc_us;
}
static inline int64_t world_now(void *context) {
    return ((struct world *)context)->now_ns;
}
static inline void world_woken(void *context) {
    ((struct world *)context)->woken++;
}
static inline void world_room(void *context) {
    ((struct world *)context)->rooms++;
}
static inline void world_event(void *context, const struct weir_meter_event *event) {
    struct world *world = context;
    assert_true(world->told_count < MODEL_EVENTS);
    struct told *told = &world->told[world->told_count++];
    *told = (struct told){.kind = event->kind,
                          .percent = event->percent,
                          .used = event->used_cu_milli,
                          .limit = event->limit_cu_milli,
                          .refusals = event->refusals,
                          .overrun = event->overrun_cu_milli};
    (void)snprintf(told->budget, sizeof told->budget, "%.*s", WEIR_SPAN_PRINT(event->budget));
    (void)snprintf(told->scope_id, sizeof told->scope_id, "%.*s", WEIR_SPAN_PRINT(event->scope_id));
}

static inline struct model_store *model_new(void) {
    struct model_store *store = weir_memory_new(1, sizeof *store);
    assert_non_null(store);
    pthread_mutex_init(&store->lock, NULL);
    return store;
}

static inline void model_free(struct model_store *store) {
    assert_true(store->worst_excess <= 0); /* a grant never passed a limit */
    pthread_mutex_destroy(&store->lock);
    weir_memory_free(store);
}

static inline struct world *world_new(struct model_store *store, unsigned instance) {
    struct world *world = weir_memory_new(1, sizeof *world);
    assert_non_null(world);
    world->instance = instance;
    world->store = store;
    world->utc_us = NOON_US;
    world->now_ns = 1000 * METER_SECOND_NS;
    const struct weir_meter_settings settings = {.slice_percent = 10,
                                                 .slice_idle_ms = 5000,
                                                 .store_wait_ms = 2000,
                                                 .runaway_refusals = 100,
                                                 .runaway_minutes = 3};
    const struct meter__outside outside = {
        .context = world, .lease = world_lease_of, .utc_us = world_utc, .now_ns = world_now, .wake = world_woken};
    struct weir_error error;
    assert_int_equal(meter__new(&settings, &outside, &world->meter, &error), WEIR_OK);
    weir_meter_on_room(world->meter, world_room, world);
    weir_meter_on_event(world->meter, world_event, world);
    return world;
}

/* Nothing may be under way any more. */
static inline void world_free(struct world *world) {
    struct weir_meter_state state;
    weir_meter_state(world->meter, &state);
    assert_int_equal(state.holds, 0);
    assert_int_equal(state.held_cu_milli, 0);
    assert_int_equal(state.concurrent, 0);
    assert_int_equal(state.bindings, 0);
    weir_meter_free(&world->meter);
    weir_memory_free(world);
}

static inline void world_advance(struct world *world, int64_t milliseconds) {
    while (milliseconds > 0) {
        int64_t step = milliseconds < 200 ? milliseconds : 200;
        world->now_ns += step * (METER_SECOND_NS / 1000);
        world->utc_us += step * (METER_SECOND_US / 1000);
        milliseconds -= step;
        meter__turn(world->meter);
    }
}

static inline void give_object(struct world *world, enum weir_object_kind kind, const char *parent, const char *id,
                               const char *text) {
    struct weir_error error = {.text = ""};
    const struct weir_object object = {.kind = kind,
                                       .parent = weir_span_of_string(parent),
                                       .id = weir_span_of_string(id),
                                       .text = weir_span_of_string(text),
                                       .created_utc_us = world->utc_us,
                                       .removed = text == NULL};
    enum weir_status status = weir_meter_take_objects(world->meter, &object, 1, &error);
    if (status != WEIR_OK)
        fail_msg("%s: %s", id, error.text);
    meter__turn(world->meter);
}

static inline struct weir_meter_caller caller_of(const char *key) {
    struct weir_meter_caller caller = {.key = weir_span_of_string(key),
                                       .user = weir_span_of_string("w/usr_1"),
                                       .team = weir_span_of_string("w/team_1"),
                                       .workspace = weir_span_of_string("w"),
                                       .limits = {.burst_percent = 100},
                                       .cu_milli_per_day = -1,
                                       .cu_milli_per_month = -1,
                                       .cu_milli_total = -1};
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
        caller.limits.at[i] = -1;
    return caller;
}

static inline struct weir_meter_binding *bind_caller(struct world *world, const struct weir_meter_caller *caller) {
    struct weir_meter_binding *binding = NULL;
    assert_int_equal(weir_meter_bind_caller(world->meter, caller, &binding), WEIR_OK);
    return binding;
}

/* As a request does it: when it is told to wait, the control thread turns, and it asks again. */
static inline enum weir_reserve reserve(struct world *world, struct weir_meter_binding *binding, int64_t cu_milli,
                                        int64_t tokens, struct weir_hold *hold, struct weir_meter_refusal *refusal) {
    const int64_t utc_us = world->utc_us;
    enum weir_reserve result = WEIR_RESERVE_WAIT;
    for (int64_t waited_ms = 0; result == WEIR_RESERVE_WAIT && waited_ms <= 4; waited_ms++) {
        result = weir_meter_reserve(binding, cu_milli, tokens, utc_us, waited_ms, hold, refusal);
        meter__turn(world->meter);
    }
    return result;
}

#endif

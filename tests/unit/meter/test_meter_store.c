/* The meter with a real store behind it: threads, journal, ledger and slices. What a hard budget lets through is in the ledger to the last milli-CU and no further, also after
 * a restart, and with two instances on one database.
 */
#include "meter/meter.h"

#include "../store/support.h"
#include "base/clock.h"

enum { LIMIT = 100000, INSTANCES = 2 };
static const struct weir_meter_settings settings = {
    .slice_percent = 10, .slice_idle_ms = 200, .store_wait_ms = 30000, .runaway_refusals = 100, .runaway_minutes = 3};
static const char *const budget_text =
    "{\"scope\":\"workspace\",\"scope_id\":\"default\",\"window\":\"day\",\"limit_cu_milli\":100000}";

struct instance {
    struct weir_loop *loop;
    struct weir_store *store;
    struct weir_meter *meter;
    struct weir_meter_binding *binding;
};

static void begin(struct instance *instance, const char *scratch) {
    const struct weir_log log = {.fd = -1};
    const struct weir_store_settings store_settings = {.directory = scratch,
                                                       .environment = "dev",
                                                       .workers = 1,
                                                       .log = &log};
    struct weir_random random = {.left = 0};
    struct weir_error error = {.text = ""};
    const struct weir_object object = {.kind = WEIR_OBJECT_BUDGET,
                                       .id = WEIR_SPAN("bud_1"),
                                       .text = weir_span_of_string(budget_text)};
    struct weir_meter_caller caller = {.key = WEIR_SPAN("key_0123456789abcdef"),
                                       .workspace = WEIR_SPAN("default"),
                                       .cu_milli_per_day = -1,
                                       .cu_milli_per_month = -1,
                                       .cu_milli_total = -1};
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
        caller.limits.at[i] = -1;
    assert_int_equal(weir_loop_new(&log, &instance->loop, &error), WEIR_OK);
    assert_int_equal(weir_store_new(&store_settings, &random, &instance->store, &error), WEIR_OK);
    assert_int_equal(weir_meter_new(&settings, instance->loop, instance->store, &instance->meter, &error), WEIR_OK);
    assert_int_equal(weir_meter_take_objects(instance->meter, &object, 1, &error), WEIR_OK);
    assert_int_equal(weir_meter_bind_caller(instance->meter, &caller, &instance->binding), WEIR_OK);
}

static void end(struct instance *instance) {
    struct weir_meter_state state;
    weir_meter_unbind(&instance->binding);
    weir_meter_state(instance->meter, &state);
    assert_int_equal(state.holds, 0);
    assert_int_equal(state.held_cu_milli, 0);
    weir_meter_drain(instance->meter);
    weir_meter_free(&instance->meter);
    weir_store_free(&instance->store);
    while (weir_loop_run_once(instance->loop)) {}
    weir_loop_free(&instance->loop);
}

/* One request of `number`, from its reservation to the ledger. */
static enum weir_reserve request(struct instance *instance, uint64_t number, int64_t need, int64_t cost,
                                 struct weir_meter_refusal *refusal) {
    const int64_t utc_us = weir_clock_utc_us(), start_ns = weir_clock_monotonic_ns();
    struct weir_journal *journal = weir_store_journal(instance->store, 0);
    struct weir_hold hold;
    enum weir_reserve result = WEIR_RESERVE_WAIT;
    while (result == WEIR_RESERVE_WAIT) {
        int64_t waited_ms = (weir_clock_monotonic_ns() - start_ns) / 1000000;
        result = weir_meter_reserve(instance->binding, need, 0, utc_us, waited_ms, &hold, refusal);
        (void)weir_loop_run_once(instance->loop);
        if (result == WEIR_RESERVE_WAIT)
            (void)usleep(500);
    }
    if (result != WEIR_RESERVED)
        return result;
    struct weir_journal_open open = sample_open(number);
    struct weir_ledger_entry entry = sample_entry(number);
    open.start_utc_us = entry.start_utc_us = utc_us;
    entry.end_utc_us = utc_us + 1;
    open.reserved_cu_milli = entry.reserved_cu_milli = need;
    entry.cost_cu_milli = cost;
    entry.overrun_cu_milli = 0;
    while (!weir_journal_ready(journal))
        (void)usleep(500);
    assert_int_equal(weir_journal_append_open(journal, &open), WEIR_OK);
    assert_int_equal(weir_journal_append_close(journal, &entry), WEIR_OK);
    weir_meter_settle(&hold, cost, 0, 1);
    return WEIR_RESERVED;
}

static enum weir_status add_cost(void *context, const struct weir_ledger_entry *entry) {
    *(int64_t *)context += entry->cost_cu_milli;
    return WEIR_OK;
}

static int64_t cost_in_ledger(const char *scratch) {
    struct weir_engine *engine = NULL;
    struct weir_error error;
    int64_t sum = 0;
    const struct weir_ledger_query query = {.limit = 10000};
    assert_int_equal(weir_store_direct_open(scratch, "dev", false, &engine, &error), WEIR_OK);
    assert_int_equal(weir_engine_sqlite.ledger_each(engine, &query, add_cost, &sum, &error), WEIR_OK);
    weir_store_direct_close(&engine);
    return sum;
}

/* Not over midnight: the day's budget would begin anew. */
static void stay_within_a_day(void) {
    const int64_t day_us = INT64_C(86400000000);
    while (weir_clock_utc_us() % day_us > day_us - INT64_C(60000000))
        (void)usleep(100000);
}

static void a_budget_is_spent_to_the_last_over_restarts(void **state) {
    (void)state;
    char scratch[SCRATCH_SIZE];
    struct weir_meter_refusal refusal;
    int64_t charged = 0;
    uint64_t number = 0;
    scratch_make(scratch);
    stay_within_a_day();
    for (int start = 0; start < 3; start++) {
        struct instance instance;
        begin(&instance, scratch);
        for (int i = 0; i < 40; i++, number++)
            if (request(&instance, number, 2500, 1000, &refusal) == WEIR_RESERVED)
                charged += 1000;
        end(&instance);
        assert_int_equal(cost_in_ledger(scratch), charged);
    }
    /* Below 2,500 nothing fits any more; to the last it is less at a time. */
    assert_int_equal(charged, 98000);
    struct instance instance;
    begin(&instance, scratch);
    assert_int_equal(request(&instance, ++number, 2001, 1, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.reason, WEIR_REASON_CU_LIMIT_EXCEEDED);
    assert_int_equal(refusal.used, 98000);
    assert_int_equal(request(&instance, ++number, 2000, 2000, &refusal), WEIR_RESERVED);
    assert_int_equal(request(&instance, ++number, 1, 1, &refusal), WEIR_RESERVE_REFUSED);
    end(&instance);
    assert_int_equal(cost_in_ledger(scratch), LIMIT);
    scratch_remove(scratch);
}

static void two_instances_on_one_database(void **state) {
    (void)state;
    char scratch[SCRATCH_SIZE];
    struct weir_meter_refusal refusal;
    struct instance instances[INSTANCES];
    int64_t charged = 0;
    scratch_make(scratch);
    stay_within_a_day();
    for (size_t i = 0; i < INSTANCES; i++)
        begin(&instances[i], scratch);
    const int64_t give_up_ns = weir_clock_monotonic_ns() + INT64_C(60000000000);
    for (uint64_t number = 0; charged < LIMIT && weir_clock_monotonic_ns() < give_up_ns; number++) {
        if (request(&instances[number % 3 == 0], number, 1000, 1000, &refusal) == WEIR_RESERVED)
            charged += 1000;
        else /* what the other one has and does not need comes back */
            for (size_t i = 0; i < INSTANCES; i++)
                (void)weir_loop_run_once(instances[i].loop);
        assert_true(charged <= LIMIT);
    }
    assert_int_equal(charged, LIMIT);
    for (size_t i = 0; i < INSTANCES; i++)
        end(&instances[i]);
    assert_int_equal(cost_in_ledger(scratch), LIMIT);
    scratch_remove(scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_budget_is_spent_to_the_last_over_restarts),
        cmocka_unit_test(two_instances_on_one_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

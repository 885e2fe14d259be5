/* The meter as a whole: what it tells, many threads at once, memory of many keys, and what a request costs. */
#include "meter_support.h"

#include <malloc.h>

static struct model_store *store;
static struct world *world;

static int setup(void **state) {
    (void)state;
    store = model_new();
    world = world_new(store, 1);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    world_free(world);
    model_free(store);
    return 0;
}

static void spend(struct weir_meter_binding *binding, int64_t cu_milli) {
    struct weir_hold hold;
    struct weir_meter_refusal refusal;
    assert_int_equal(reserve(world, binding, cu_milli, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, cu_milli, 0, 1);
    model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", world->utc_us, cu_milli, 0);
    world_advance(world, 5200);
}

/* --- events --- */

static void thresholds_are_told_once_a_period(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"scope\":\"key\",\"scope_id\":\"key_a\",\"window\":\"day\",\"limit_cu_milli\":1000,\"enforcement\":\"hard\"}",
        "{\"scope\":\"key\",\"scope_id\":\"key_a\",\"window\":\"day\",\"limit_cu_milli\":1000,\"enforcement\":\"soft\"}"};
    for (size_t i = 0; i < 2; i++) {
        world->utc_us += DAY_US;
        world->told_count = 0;
        give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", texts[i]);
        struct weir_meter_caller caller = caller_of("key_a");
        struct weir_meter_binding *binding = bind_caller(world, &caller);
        spend(binding, 499);
        assert_int_equal(world->told_count, 0);
        spend(binding, 1);
        assert_int_equal(world->told_count, 1);
        assert_int_equal(world->told[0].kind, WEIR_METER_THRESHOLD);
        assert_int_equal(world->told[0].percent, 50);
        assert_int_equal(world->told[0].used, 500);
        assert_int_equal(world->told[0].limit, 1000);
        assert_string_equal(world->told[0].budget, "bud_1");
        assert_string_equal(world->told[0].scope_id, "key_a");
        spend(binding, 450);
        assert_int_equal(world->told_count, 3);
        assert_int_equal(world->told[1].percent, 80);
        assert_int_equal(world->told[2].percent, 95);
        spend(binding, 50);
        assert_int_equal(world->told_count, 4);
        world_advance(world, 30000);
        give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", texts[i]);
        assert_int_equal(world->told_count, 4);
        world->utc_us += DAY_US;
        spend(binding, 500);
        assert_int_equal(world->told_count, 5);
        weir_meter_unbind(&binding);
    }
}

/* Of a window that moves: once more when what was spent had fallen clearly below it. */
static void thresholds_of_a_rolling_window(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1",
                "{\"scope\":\"key\",\"scope_id\":\"*\",\"window\":\"24h\",\"limit_cu_milli\":100}");
    struct weir_meter_caller caller = caller_of("key_a");
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    for (size_t i = 0; i < 3; i++) {
        spend(binding, 60);
        spend(binding, 0);
        assert_int_equal(world->told_count, i + 1);
        assert_int_equal(world->told[i].percent, 50);
        world->utc_us += DAY_US + HOUR_US;
        spend(binding, 0);
        assert_int_equal(world->told_count, i + 1);
    }
    weir_meter_unbind(&binding);
}

/* What another instance spends is told here, too. */
static void a_soft_budget_is_looked_at_now_and_then(void **state) {
    (void)state;
    give_object(
        world, WEIR_OBJECT_BUDGET, "", "bud_1",
        "{\"scope\":\"key\",\"scope_id\":\"*\",\"window\":\"day\",\"limit_cu_milli\":100,\"enforcement\":\"soft\","
        "\"alert_percents\":[100]}");
    struct weir_meter_caller caller = caller_of("key_a");
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    assert_false(weir_meter_binding_is_hard(binding));
    spend(binding, 60);
    assert_int_equal(world->told_count, 0);
    model_ingest(store, 2, WEIR_SCOPE_KEY, "key_a", world->utc_us, 40, 0);
    world_advance(world, 5200);
    assert_int_equal(world->told_count, 1);
    spend(binding, 500); /* it never refuses */
    assert_int_equal(model_out(store), 0);
    weir_meter_unbind(&binding);
}

static void exceeded_is_told_once_a_period(void **state) {
    (void)state;
    give_object(
        world, WEIR_OBJECT_BUDGET, "", "bud_1",
        "{\"name\":\"B\",\"scope\":\"key\",\"scope_id\":\"key_a\",\"window\":\"day\",\"limit_cu_milli\":100,\"alert_percents\":[]}");
    struct weir_meter_caller caller = caller_of("key_a");
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    struct weir_hold hold;
    struct weir_meter_refusal refusal;
    spend(binding, 90);
    for (int i = 0; i < 5; i++)
        assert_int_equal(reserve(world, binding, 20, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    meter__turn(world->meter);
    assert_int_equal(world->told_count, 1);
    assert_int_equal(world->told[0].kind, WEIR_METER_EXCEEDED);
    assert_int_equal(world->told[0].used, 90);
    assert_int_equal(world->told[0].limit, 100);
    world->utc_us += DAY_US;
    assert_int_equal(reserve(world, binding, 200, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(reserve(world, binding, 100, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 100, 0, 1);
    assert_int_equal(reserve(world, binding, 1, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    meter__turn(world->meter);
    assert_int_equal(world->told_count, 2);
    weir_meter_unbind(&binding);
}

static void overruns_and_runaway_clients(void **state) {
    (void)state;
    struct weir_meter_caller caller = caller_of("key_a");
    weir_meter_note_overrun(world->meter, &caller, 0);
    weir_meter_note_overrun(world->meter, &caller, 42);
    meter__turn(world->meter);
    assert_int_equal(world->told_count, 1);
    assert_int_equal(world->told[0].kind, WEIR_METER_OVERRUN);
    assert_int_equal(world->told[0].overrun, 42);
    assert_string_equal(world->told[0].scope_id, "key_a");
    world->now_ns = 60 * METER_SECOND_NS * 1000;
    for (int minute = 0; minute < 10; minute++) {
        int refusals = minute == 2 ? 99 : 150; /* a calm minute starts anew */
        for (int i = 0; i < refusals; i++)
            weir_meter_note_refusal(world->meter, WEIR_SPAN("key_a"));
        for (int i = 0; i < 99; i++)
            weir_meter_note_refusal(world->meter, WEIR_SPAN("key_b"));
        world_advance(world, 60000);
        assert_int_equal(world->told_count, minute < 5 ? 1 : 2);
    }
    assert_int_equal(world->told[1].kind, WEIR_METER_RUNAWAY);
    assert_string_equal(world->told[1].scope_id, "key_a");
    assert_int_equal(world->told[1].refusals, 100);
    world_advance(world, 180000);
    for (int minute = 0; minute < 3; minute++) {
        for (int i = 0; i < 150; i++)
            weir_meter_note_refusal(world->meter, WEIR_SPAN("key_a"));
        world_advance(world, 60000);
    }
    assert_int_equal(world->told_count, 3);
}

/* --- definitions that cannot be used --- */

static void what_cannot_be_read_leaves_what_was_known(void **state) {
    (void)state;
    struct weir_error error;
    struct weir_object object = {.kind = WEIR_OBJECT_BUDGET, .id = WEIR_SPAN("bud_1")};
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1",
                "{\"scope\":\"key\",\"scope_id\":\"*\",\"window\":\"day\",\"limit_cu_milli\":100}");
    static const char *const wrong[][2] = {
        {"limit_cu_milli: ", "{\"scope\":\"key\",\"scope_id\":\"*\",\"window\":\"day\",\"limit_cu_milli\":-100}"},
        {"",
         "{\"scope\":\"key\",\"scope_id\":\"*\",\"window\":\"day\",\"limit_cu_milli\":900,\"zone\":\"Europe/Atlantis\"}"}};
    struct weir_meter_caller caller = caller_of("key_a");
    for (size_t i = 0; i < 2; i++) {
        struct weir_hold hold;
        struct weir_meter_refusal refusal;
        object.text = weir_span_of_string(wrong[i][1]);
        assert_int_equal(weir_meter_take_objects(world->meter, &object, 1, &error), WEIR_EINVAL);
        assert_true(weir_span_starts_with(weir_span_of_string(error.text), weir_span_of_string(wrong[i][0])));
        struct weir_meter_binding *binding = bind_caller(world, &caller);
        assert_int_equal(reserve(world, binding, 101, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
        assert_int_equal(refusal.limit, 100);
        weir_meter_unbind(&binding);
    }
    object = (struct weir_object){.kind = WEIR_OBJECT_TEAM, .id = WEIR_SPAN("t"), .text = WEIR_SPAN("no JSON")};
    assert_int_equal(weir_meter_take_objects(world->meter, &object, 1, &error), WEIR_OK); /* nothing of ours */
    assert_int_equal(weir_meter_take_objects(world->meter, NULL, 0, &error), WEIR_OK);
}

/* --- many threads --- */

enum { THREADS = 4, ROUNDS = 4000 };
struct worker {
    pthread_t thread;
    unsigned number;
    int64_t charged, refused;
    unsigned random;
};
static _Atomic bool workers_run;

static unsigned next_random(struct worker *worker) {
    worker->random = worker->random * 1664525 + 1013904223;
    return worker->random >> 8;
}

static void one_request(struct worker *worker, struct weir_meter_binding *binding,
                        struct weir_meter_binding *provider) {
    struct weir_admission admission;
    struct weir_rate_state rates;
    struct weir_meter_refusal refusal;
    struct weir_hold hold, attempt;
    int64_t need = 1 + next_random(worker) % 100, charge = next_random(worker) % (unsigned)(need + 1);
    if (!weir_meter_admit(binding, next_random(worker) % 2, 10, world->now_ns, &admission, &rates, &refusal)) {
        worker->refused++;
        return;
    }
    enum weir_reserve result = WEIR_RESERVE_WAIT;
    for (int64_t tries = 0; result == WEIR_RESERVE_WAIT && tries < 1000; tries++)
        result = weir_meter_reserve(binding, need, 5, NOON_US, tries, &hold, &refusal);
    if (result == WEIR_RESERVED) {
        if (weir_meter_reserve(provider, need, 5, NOON_US, 0, &attempt, &refusal) == WEIR_RESERVED)
            weir_meter_settle(&attempt, charge, 5, 1);
        weir_meter_settle(&hold, charge, 5, 1);
        model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", NOON_US, charge, 5);
        worker->charged += charge;
    } else {
        worker->refused++;
    }
    weir_meter_leave(&admission, 5, world->now_ns);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct weir_meter_binding *binding = NULL, *provider = NULL;
    struct weir_meter_caller caller = caller_of("key_a");
    caller.limits.at[WEIR_LIMIT_CONCURRENT_REQUESTS] = 1000;
    caller.limits.at[WEIR_LIMIT_TOKENS_PER_MINUTE] = INT64_MAX / 4;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 64 == 0) { /* the definitions may have changed */
            weir_meter_unbind(&binding);
            weir_meter_unbind(&provider);
            if (weir_meter_bind_caller(world->meter, &caller, &binding) != WEIR_OK ||
                weir_meter_bind(world->meter, WEIR_SCOPE_PROVIDER, WEIR_SPAN("openai"), &provider) != WEIR_OK)
                abort();
        }
        one_request(worker, binding, provider);
    }
    weir_meter_unbind(&binding);
    weir_meter_unbind(&provider);
    return NULL;
}

static void *control(void *argument) {
    (void)argument;
    char text[256];
    for (int i = 0; atomic_load(&workers_run); i++) {
        meter__turn(world->meter);
        weir_meter_set_instances(world->meter, 1 + (unsigned)(i / 64) % 2);
        if (i % 32 == 0) {
            (void)snprintf(
                text, sizeof text,
                "{\"scope\":\"key\",\"scope_id\":\"*\",\"window\":\"%s\",\"limit_cu_milli\":%d,\"enforcement\":\"%s\"}",
                i % 64 == 0 ? "month" : "24h", 200000, i % 128 < 64 ? "hard" : "soft");
            give_object(world, WEIR_OBJECT_BUDGET, "", "bud_moving", text);
        }
        sched_yield();
    }
    return NULL;
}

/* Four workers and the control thread; a hot budget that does not suffice, others that come and go. No milli-CU too much, and nothing is left held. */
static void many_threads(void **state) {
    (void)state;
    struct worker workers[THREADS] = {{.number = 0}};
    pthread_t control_thread;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1",
                "{\"scope\":\"key\",\"scope_id\":\"key_a\",\"window\":\"day\",\"limit_cu_milli\":100000}");
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_2",
                "{\"scope\":\"workspace\",\"scope_id\":\"*\",\"window\":\"month\",\"limit_cu_milli\":300000}");
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_3",
                "{\"scope\":\"provider\",\"scope_id\":\"openai\",\"window\":\"total\",\"limit_cu_milli\":150000}");
    atomic_store(&workers_run, true);
    assert_int_equal(pthread_create(&control_thread, NULL, control, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].number = workers[i].random = i + 1;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    int64_t charged = 0, refused = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        charged += workers[i].charged;
        refused += workers[i].refused;
    }
    atomic_store(&workers_run, false);
    assert_int_equal(pthread_join(control_thread, NULL), 0);
    assert_true(charged <= 100000);
    assert_true(charged > 90000 && refused > 0);
    struct weir_meter_state counts;
    weir_meter_state(world->meter, &counts);
    assert_int_equal(counts.holds, 0);
    assert_int_equal(counts.held_cu_milli, 0);
    assert_int_equal(counts.concurrent, 0);
    /* The books agree: all that is not spent can still be spent. */
    struct weir_meter_caller caller = caller_of("key_a");
    struct weir_hold hold;
    struct weir_meter_refusal refusal;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_moving", NULL);
    world_advance(world, 15000);
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    world->utc_us = NOON_US;
    assert_int_equal(reserve(world, binding, 100000 - charged + 1, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.used, charged);
    assert_int_equal(reserve(world, binding, 100000 - charged, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 0, 0, 1);
    weir_meter_unbind(&binding);
}

/* --- memory --- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CAN_WEIGH = 0 };
#else
enum { CAN_WEIGH = 1 };
#endif
enum { MANY_KEYS = 100000 };

/* What is kept of a key that is limited in requests by the second, without its binding. */
static void a_bucket_is_small(void **state) {
    (void)state;
    if (!CAN_WEIGH)
        skip();
    const size_t before = mallinfo2().uordblks;
    for (int i = 0; i < MANY_KEYS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key_%016d", i);
        struct weir_meter_caller caller = caller_of(key);
        caller.limits.at[WEIR_LIMIT_REQUESTS_PER_SECOND] = 5;
        struct weir_meter_binding *binding = bind_caller(world, &caller);
        weir_meter_unbind(&binding);
    }
    const size_t each = (mallinfo2().uordblks - before) / MANY_KEYS;
    print_message("%zu bytes a key\n", each);
    assert_in_range(each, 1, 240);
    world_advance(world, 180000);
    struct weir_meter_state counts;
    weir_meter_state(world->meter, &counts);
    assert_int_equal(counts.buckets, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(thresholds_are_told_once_a_period, setup, teardown),
        cmocka_unit_test_setup_teardown(thresholds_of_a_rolling_window, setup, teardown),
        cmocka_unit_test_setup_teardown(a_soft_budget_is_looked_at_now_and_then, setup, teardown),
        cmocka_unit_test_setup_teardown(exceeded_is_told_once_a_period, setup, teardown),
        cmocka_unit_test_setup_teardown(overruns_and_runaway_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_leaves_what_was_known, setup, teardown),
        cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bucket_is_small, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

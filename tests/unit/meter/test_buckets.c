/* Limits by the second and minute and at once: what may come at once, what comes back, and that a refusal takes nothing. */
#include "meter_support.h"

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

static struct weir_meter_binding *bind_with(enum weir_limit limit, int64_t value) {
    struct weir_meter_caller caller = caller_of("key_a");
    caller.limits.at[limit] = value;
    return bind_caller(world, &caller);
}

static struct weir_rate_state rates;
static struct weir_meter_refusal refusal;

/* In and out at once; -1: refused. */
static int64_t pass(struct weir_meter_binding *binding, int64_t tokens) {
    struct weir_admission admission;
    if (!weir_meter_admit(binding, false, tokens, world->now_ns, &admission, &rates, &refusal))
        return -1;
    weir_meter_leave(&admission, tokens, world->now_ns);
    return tokens;
}

static int burst(struct weir_meter_binding *binding) {
    int count = 0;
    while (count < 100000 && pass(binding, 1) >= 0)
        count++;
    return count;
}

static void requests_by_the_minute(void **state) {
    (void)state;
    const int64_t limits[] = {1, 2, 7, 60, 1000, 99999};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct weir_meter_binding *binding = bind_with(WEIR_LIMIT_REQUESTS_PER_MINUTE, limits[i]);
        world->now_ns += 60 * METER_SECOND_NS;
        assert_int_equal(burst(binding), limits[i]);
        assert_int_equal(refusal.reason, WEIR_REASON_RATE_LIMITED);
        assert_string_equal(refusal.window, "minute");
        assert_string_equal(refusal.limit_name, "requests_per_minute");
        assert_string_equal(refusal.scope_name, "key");
        assert_int_equal(refusal.limit, limits[i]);
        assert_int_equal(refusal.retry_after_seconds, (60 + limits[i] - 1) / limits[i]);
        world->now_ns += 60 * METER_SECOND_NS / limits[i] + 1;
        assert_int_equal(burst(binding), 1);
        /* In ten minutes, however it is asked, ten minutes' worth. */
        int64_t count = 0;
        for (int step = 0; step < 6000; step++) {
            world->now_ns += METER_SECOND_NS / 10;
            count += burst(binding);
        }
        assert_true(count >= 10 * limits[i] - 1 && count <= 10 * limits[i] + 1);
        weir_meter_unbind(&binding);
    }
}

static void requests_by_the_second_and_their_headers(void **state) {
    (void)state;
    struct weir_meter_binding *binding = bind_with(WEIR_LIMIT_REQUESTS_PER_SECOND, 10);
    assert_int_equal(pass(binding, 0), 0);
    assert_int_equal(rates.requests.limit, 10);
    assert_int_equal(rates.requests.remaining, 9);
    assert_int_equal(rates.requests.reset_ms, 100);
    assert_int_equal(rates.tokens.limit, -1);
    assert_int_equal(burst(binding), 9);
    assert_int_equal(rates.requests.remaining, 0);
    assert_int_equal(rates.requests.reset_ms, 1000);
    assert_int_equal(refusal.used, 10);
    assert_string_equal(refusal.window, "second");
    assert_int_equal(refusal.retry_after_seconds, 1);
    weir_meter_unbind(&binding);
}

static void a_burst_is_what_the_definition_says(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_LIMIT, "", "lim_1",
                "{\"scope\":\"model\",\"scope_id\":\"gpt\",\"requests_per_minute\":60,\"burst_percent\":50}");
    struct weir_meter_binding *binding = NULL;
    assert_int_equal(weir_meter_bind(world->meter, WEIR_SCOPE_MODEL, WEIR_SPAN("gpt"), &binding), WEIR_OK);
    assert_int_equal(burst(binding), 30);
    weir_meter_unbind(&binding);
    give_object(world, WEIR_OBJECT_LIMIT, "", "lim_1",
                "{\"scope\":\"model\",\"scope_id\":\"gpt\",\"requests_per_minute\":60,\"burst_percent\":200}");
    /* A second one is as strict in its own way. */
    give_object(world, WEIR_OBJECT_LIMIT, "", "lim_2",
                "{\"scope\":\"model\",\"scope_id\":\"*\",\"requests_per_minute\":100,\"burst_percent\":70}");
    world->now_ns += 120 * METER_SECOND_NS;
    assert_int_equal(weir_meter_bind(world->meter, WEIR_SCOPE_MODEL, WEIR_SPAN("gpt"), &binding), WEIR_OK);
    assert_int_equal(burst(binding), 70);
    weir_meter_unbind(&binding);
    assert_int_equal(weir_meter_bind(world->meter, WEIR_SCOPE_MODEL, WEIR_SPAN("other"), &binding), WEIR_OK);
    assert_int_equal(burst(binding), 70);
    weir_meter_unbind(&binding);
}

static void tokens_are_put_right(void **state) {
    (void)state;
    struct weir_meter_binding *binding = bind_with(WEIR_LIMIT_TOKENS_PER_MINUTE, 6000);
    struct weir_admission admission;
    assert_true(weir_meter_binding_counts_tokens(binding));
    assert_true(weir_meter_admit(binding, false, 5000, world->now_ns, &admission, &rates, &refusal));
    assert_int_equal(rates.tokens.remaining, 1000);
    assert_int_equal(rates.tokens.limit, 6000);
    assert_int_equal(pass(binding, 1001), -1);
    assert_int_equal(refusal.reason, WEIR_REASON_TOKEN_RATE_LIMITED);
    weir_meter_leave(&admission, 500, world->now_ns);
    weir_meter_leave(&admission, 500, world->now_ns); /* again */
    assert_int_equal(pass(binding, 5501), -1);
    /* More than was thought: a debt that time pays. */
    assert_true(weir_meter_admit(binding, false, 5500, world->now_ns, &admission, &rates, &refusal));
    weir_meter_leave(&admission, 17500, world->now_ns);
    assert_int_equal(pass(binding, 1), -1);
    assert_int_equal(refusal.retry_after_seconds, 121); /* 12,000 and one */
    world->now_ns += 121 * METER_SECOND_NS;
    assert_int_equal(pass(binding, 100), 100);
    /* One that reached no provider. */
    world->now_ns += 120 * METER_SECOND_NS;
    assert_true(weir_meter_admit(binding, false, 6000, world->now_ns, &admission, &rates, &refusal));
    weir_meter_leave(&admission, 0, world->now_ns);
    assert_int_equal(pass(binding, 6000), 6000);
    weir_meter_unbind(&binding);
}

static void a_request_larger_than_its_bucket_is_let_in_when_that_is_full(void **state) {
    (void)state;
    struct weir_meter_binding *binding = bind_with(WEIR_LIMIT_TOKENS_PER_MINUTE, 1000);
    assert_int_equal(pass(binding, 5000), 5000);
    assert_int_equal(pass(binding, 1), -1);
    assert_true(refusal.retry_after_seconds > 240 && refusal.retry_after_seconds <= 241);
    world->now_ns += 299 * METER_SECOND_NS;
    assert_int_equal(pass(binding, 5000), -1);
    world->now_ns += METER_SECOND_NS;
    assert_int_equal(pass(binding, 5000), 5000);
    weir_meter_unbind(&binding);
}

static void what_is_under_way_at_once(void **state) {
    (void)state;
    struct weir_meter_caller caller = caller_of("key_a");
    caller.limits.at[WEIR_LIMIT_CONCURRENT_REQUESTS] = 3;
    caller.limits.at[WEIR_LIMIT_CONCURRENT_STREAMS] = 1;
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    struct weir_admission admissions[3], other;
    assert_true(weir_meter_admit(binding, true, 0, world->now_ns, &admissions[0], &rates, &refusal));
    assert_false(weir_meter_admit(binding, true, 0, world->now_ns, &other, &rates, &refusal));
    assert_int_equal(refusal.reason, WEIR_REASON_CONCURRENCY_LIMITED);
    assert_string_equal(refusal.limit_name, "concurrent_streams");
    assert_string_equal(refusal.window, "");
    assert_true(weir_meter_admit(binding, false, 0, world->now_ns, &admissions[1], &rates, &refusal));
    assert_true(weir_meter_admit(binding, false, 0, world->now_ns, &admissions[2], &rates, &refusal));
    assert_false(weir_meter_admit(binding, false, 0, world->now_ns, &other, &rates, &refusal));
    assert_string_equal(refusal.limit_name, "concurrent_requests");
    assert_int_equal(refusal.used, 3);
    /* One that turns out to be a stream. */
    assert_false(weir_meter_admit_more(&admissions[1], true, 0, world->now_ns, &rates, &refusal));
    weir_meter_leave(&admissions[0], 0, world->now_ns);
    assert_true(weir_meter_admit_more(&admissions[1], true, 0, world->now_ns, &rates, &refusal));
    assert_true(
        weir_meter_admit_more(&admissions[1], true, 0, world->now_ns, &rates, &refusal)); /* it is one already */
    weir_meter_leave(&admissions[1], 0, world->now_ns);
    weir_meter_leave(&admissions[2], 0, world->now_ns);
    for (size_t i = 0; i < 3; i++)
        assert_true(weir_meter_admit(binding, i == 0, 0, world->now_ns, &admissions[i], &rates, &refusal));
    for (size_t i = 0; i < 3; i++)
        weir_meter_leave(&admissions[i], 0, world->now_ns);
    weir_meter_unbind(&binding);
}

static void the_body_adds_to_what_the_head_took(void **state) {
    (void)state;
    struct weir_meter_caller caller = caller_of("key_a");
    caller.limits.at[WEIR_LIMIT_TOKENS_PER_MINUTE] = 1000;
    caller.limits.at[WEIR_LIMIT_REQUESTS_PER_MINUTE] = 10;
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    struct weir_admission admission, second;
    assert_true(weir_meter_admit(binding, false, 0, world->now_ns, &admission, &rates, &refusal));
    assert_true(weir_meter_admit_more(&admission, true, 900, world->now_ns, &rates, &refusal));
    assert_int_equal(rates.tokens.remaining, 100);
    assert_int_equal(rates.requests.remaining, 9);
    assert_true(weir_meter_admit(binding, false, 0, world->now_ns, &second, &rates, &refusal));
    assert_false(weir_meter_admit_more(&second, false, 101, world->now_ns, &rates, &refusal));
    assert_int_equal(refusal.reason, WEIR_REASON_TOKEN_RATE_LIMITED);
    weir_meter_leave(&second, 0, world->now_ns);
    weir_meter_leave(&admission, 100, world->now_ns);
    assert_int_equal(pass(binding, 901), -1);
    assert_int_equal(pass(binding, 900), 900);
    struct weir_admission empty = {.binding = NULL};
    assert_true(weir_meter_admit_more(&empty, true, 5, world->now_ns, &rates, &refusal));
    weir_meter_unbind(&binding);
}

/* The limits of a workspace, a team and a user besides the key's: one refuses, none has taken anything. */
static void all_limits_or_none(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_LIMIT, "", "lim_1",
                "{\"scope\":\"workspace\",\"scope_id\":\"w\",\"requests_per_minute\":5,\"concurrent_requests\":100}");
    give_object(world, WEIR_OBJECT_LIMIT, "", "lim_2",
                "{\"scope\":\"team\",\"scope_id\":\"w/team_1\",\"requests_per_second\":100,\"tokens_per_minute\":10}");
    give_object(world, WEIR_OBJECT_LIMIT, "", "lim_3", "{\"scope\":\"global\",\"concurrent_requests\":1}");
    struct weir_meter_binding *binding = bind_with(WEIR_LIMIT_REQUESTS_PER_MINUTE, 100);
    struct weir_admission admission, other;
    assert_true(weir_meter_admit(binding, false, 1, world->now_ns, &admission, &rates, &refusal));
    assert_int_equal(rates.requests.limit, 5); /* the tightest */
    assert_int_equal(rates.requests.remaining, 4);
    for (int i = 0; i < 50; i++)
        assert_false(weir_meter_admit(binding, false, 1, world->now_ns, &other, &rates, &refusal));
    assert_string_equal(refusal.scope_name, "global");
    weir_meter_leave(&admission, 1, world->now_ns);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pass(binding, 1), 1);
    assert_int_equal(pass(binding, 1), -1);
    assert_string_equal(refusal.scope_name, "workspace");
    give_object(world, WEIR_OBJECT_LIMIT, "", "lim_1", NULL);
    struct weir_meter_binding *without = bind_with(WEIR_LIMIT_REQUESTS_PER_MINUTE, 100);
    assert_int_equal(pass(without, 1), 1);
    weir_meter_unbind(&without);
    weir_meter_unbind(&binding);
}

static void a_limit_of_0_lets_nothing_in(void **state) {
    (void)state;
    const enum weir_limit limits[] = {WEIR_LIMIT_REQUESTS_PER_SECOND, WEIR_LIMIT_REQUESTS_PER_MINUTE,
                                      WEIR_LIMIT_TOKENS_PER_MINUTE, WEIR_LIMIT_CONCURRENT_REQUESTS};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct weir_meter_binding *binding = bind_with(limits[i], 0);
        assert_int_equal(pass(binding, 5), -1);
        assert_true(refusal.retry_after_seconds >= 1);
        weir_meter_unbind(&binding);
    }
}

static void very_large_limits_and_requests(void **state) {
    (void)state;
    struct weir_meter_binding *binding = bind_with(WEIR_LIMIT_TOKENS_PER_MINUTE, INT64_MAX);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pass(binding, INT64_MAX / 2000), INT64_MAX / 2000);
    weir_meter_unbind(&binding);
    binding = bind_with(WEIR_LIMIT_TOKENS_PER_MINUTE, 1);
    world->now_ns += 120 * METER_SECOND_NS;
    assert_int_equal(pass(binding, INT64_MAX), INT64_MAX);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pass(binding, INT64_MAX), -1);
    assert_true(refusal.retry_after_seconds > 1000000);
    weir_meter_unbind(&binding);
}

static void instances_divide_what_there_is(void **state) {
    (void)state;
    uint64_t generation = weir_meter_generation(world->meter);
    weir_meter_set_instances(world->meter, 4);
    assert_true(weir_meter_generation(world->meter) > generation);
    struct weir_meter_caller caller = caller_of("key_a");
    caller.limits.at[WEIR_LIMIT_REQUESTS_PER_MINUTE] = 60;
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    assert_int_equal(burst(binding), 15);
    world->now_ns += 4 * METER_SECOND_NS;
    assert_int_equal(burst(binding), 1);
    weir_meter_unbind(&binding);
    caller.limits.at[WEIR_LIMIT_REQUESTS_PER_MINUTE] = 1;
    world->now_ns += 300 * METER_SECOND_NS;
    binding = bind_caller(world, &caller);
    assert_int_equal(burst(binding), 1);
    world->now_ns += 239 * METER_SECOND_NS;
    assert_int_equal(burst(binding), 0); /* one a minute for all four is one in four minutes for each */
    world->now_ns += 2 * METER_SECOND_NS;
    assert_int_equal(burst(binding), 1);
    weir_meter_unbind(&binding);
}

/* A key that is bound anew, by another worker or later, goes on with the same bucket. */
static void a_bucket_outlives_its_bindings(void **state) {
    (void)state;
    struct weir_meter_binding *binding = bind_with(WEIR_LIMIT_REQUESTS_PER_MINUTE, 60);
    assert_int_equal(burst(binding), 60);
    weir_meter_unbind(&binding);
    world_advance(world, 10000);
    binding = bind_with(WEIR_LIMIT_REQUESTS_PER_MINUTE, 60);
    assert_int_equal(burst(binding), 10);
    weir_meter_unbind(&binding);
    struct weir_meter_state counts;
    world_advance(world, 130000);
    weir_meter_state(world->meter, &counts);
    assert_int_equal(counts.buckets, 0); /* it is full, and nobody asked for a while */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_by_the_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_by_the_second_and_their_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_burst_is_what_the_definition_says, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_are_put_right, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_larger_than_its_bucket_is_let_in_when_that_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_body_adds_to_what_the_head_took, setup, teardown),
        cmocka_unit_test_setup_teardown(all_limits_or_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_of_0_lets_nothing_in, setup, teardown),
        cmocka_unit_test_setup_teardown(very_large_limits_and_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(instances_divide_what_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bucket_outlives_its_bindings, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Forecasts, by hand: a store that knows one scope's spend, and figures that can be reckoned on paper. */
#include "operator/budget_changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HOUR_US (INT64_C(3600) * 1000000)
#define DAY_US (24 * HOUR_US)
static const int64_t now = INT64_C(1795000000) * 1000000 / WEIR_SPEND_BUCKET_US *
                           WEIR_SPEND_BUCKET_US; /* on a quarter */

struct weir_engine {
    struct weir_spend at[4];
    size_t count;
};

static enum weir_status spend_each(struct weir_engine *engine, const struct weir_spend_counter *counter,
                                   int64_t step_us, weir_spend_visit visit, void *context, struct weir_error *error) {
    (void)error;
    assert_int_equal(step_us, WEIR_SPEND_BUCKET_US);
    assert_int_equal(counter->from_utc_us, now - 7 * DAY_US);
    for (size_t i = 0; i < engine->count; i++)
        if (visit(context, &engine->at[i]) != WEIR_OK)
            return WEIR_EINVAL;
    return WEIR_OK;
}

static struct weir_forecast forecast(struct weir_engine *engine, const struct weir_budget_found *found,
                                     const struct weir_budget_standing *standing) {
    const struct weir_engine_ops ops = {.spend_each = spend_each};
    struct weir_budget_work work = {.store = &ops, .engine = engine, .now_utc_us = now};
    struct weir_forecast result;
    assert_int_equal(weir_budget_forecast(&work, found, standing, &result), WEIR_OK);
    return result;
}

/* A hundred a day, for two days. */
static struct weir_engine hundred_a_day(void) {
    return (struct weir_engine){.at = {{.bucket_utc_us = now - 2 * DAY_US, .cu_milli = 100},
                                       {.bucket_utc_us = now - HOUR_US, .cu_milli = 100}},
                                .count = 2};
}

static struct weir_budget_found budget_of(int64_t limit) {
    return (struct weir_budget_found){.budget = {.scope = WEIR_SCOPE_GLOBAL, .limit_cu_milli = limit}};
}

static struct weir_budget_standing standing_of(int64_t used, int64_t until_utc_us) {
    return (struct weir_budget_standing){.is_known = true,
                                         .used = used,
                                         .period = {.from_utc_us = now - 2 * DAY_US, .until_utc_us = until_utc_us}};
}

static void test_a_period_with_an_end(void **state) {
    struct weir_engine engine = hundred_a_day();
    struct weir_budget_found found = budget_of(1000);
    struct weir_budget_standing standing = standing_of(200, now + 5 * DAY_US);
    (void)state;
    struct weir_forecast result = forecast(&engine, &found, &standing);
    assert_int_equal(result.day_rate, 100);
    assert_int_equal(result.week_rate, 100); /* since the first use */
    assert_true(result.has_end && result.once.lasts);
    assert_int_equal(result.once.projected_cu_milli, 700);
    assert_int_equal(result.once.headroom_cu_milli, 300);
    assert_false(result.twice.lasts);
    assert_int_equal(result.twice.exhausted_utc_us, now + 4 * DAY_US);
    assert_int_equal(result.twice.days, 4);
    assert_int_equal(result.twice.headroom_cu_milli, -200);
}

static void test_exhaustion_at_the_very_end_is_none(void **state) {
    struct weir_engine engine = hundred_a_day();
    struct weir_budget_found found = budget_of(700);
    struct weir_budget_standing standing = standing_of(200, now + 5 * DAY_US);
    (void)state;
    assert_true(forecast(&engine, &found, &standing).once.lasts);
    found.budget.limit_cu_milli = 699;
    assert_false(forecast(&engine, &found, &standing).once.lasts);
}

static void test_what_is_exhausted_is_so_now(void **state) {
    struct weir_engine engine = {.count = 0};
    struct weir_budget_found found = budget_of(100);
    struct weir_budget_standing standing = standing_of(100, now + DAY_US);
    (void)state;
    struct weir_forecast result = forecast(&engine, &found, &standing);
    assert_int_equal(result.day_rate, 0);
    assert_false(result.once.lasts);
    assert_int_equal(result.once.exhausted_utc_us, now);
    assert_int_equal(result.once.days, 0);
}

static void test_a_raise_that_ends_before_the_period(void **state) {
    struct weir_engine engine = hundred_a_day();
    struct weir_budget_found found = budget_of(300);
    struct weir_budget_standing standing = standing_of(200, now + 5 * DAY_US);
    struct weir_raise_found raises[] = {
        {.raise = {.kind = WEIR_SPAN("raise"), .amount_cu_milli = 1000, .until_utc_us = now + 2 * DAY_US}},
        {.raise = {.kind = WEIR_SPAN("reset"), .amount_cu_milli = 5000, .until_utc_us = now + 5 * DAY_US}},
    };
    (void)state;
    standing.raises = raises;
    standing.raise_count = 2;
    struct weir_forecast result = forecast(&engine, &found, &standing);
    /* 400 are used when the raise ends, and 300 is the limit then. What was reset is no part of the limit. */
    assert_false(result.once.lasts);
    assert_int_equal(result.once.exhausted_utc_us, now + 2 * DAY_US);
    assert_int_equal(result.once.headroom_cu_milli, 300 - 700);
    raises[0].raise.until_utc_us = now + 5 * DAY_US;
    assert_true(forecast(&engine, &found, &standing).once.lasts);
}

static void test_a_window_that_moves(void **state) {
    struct weir_engine engine = hundred_a_day();
    struct weir_budget_found found = budget_of(150);
    struct weir_budget_standing standing = standing_of(100, INT64_MAX);
    (void)state;
    standing.period.rolling = true;
    struct weir_forecast result = forecast(&engine, &found, &standing);
    assert_true(result.has_end && result.once.lasts); /* as much goes out as comes in */
    assert_int_equal(result.once.projected_cu_milli, 100);
    assert_false(result.twice.lasts);
    assert_int_equal(result.twice.exhausted_utc_us, now + 12 * HOUR_US);
    assert_int_equal(result.twice.projected_cu_milli, 200);
    assert_int_equal(result.twice.headroom_cu_milli, -50);
}

static void test_for_ever(void **state) {
    struct weir_engine engine = hundred_a_day();
    struct weir_budget_found found = budget_of(1200);
    struct weir_budget_standing standing = standing_of(200, INT64_MAX);
    (void)state;
    standing.period.from_utc_us = 0;
    struct weir_forecast result = forecast(&engine, &found, &standing);
    assert_false(result.has_end || result.once.lasts);
    assert_int_equal(result.once.days, 10);
    assert_int_equal(result.twice.days, 5);
    found.budget.limit_cu_milli = INT64_MAX; /* more than a century, and nothing overflows */
    assert_true(forecast(&engine, &found, &standing).once.lasts);
}

static void test_large_figures_do_not_overflow(void **state) {
    struct weir_engine engine = {.at = {{.bucket_utc_us = now - HOUR_US, .cu_milli = INT64_MAX},
                                        {.bucket_utc_us = now - HOUR_US / 2, .cu_milli = INT64_MAX}},
                                 .count = 2};
    struct weir_budget_found found = budget_of(INT64_MAX);
    struct weir_budget_standing standing = standing_of(1, now + 30 * DAY_US);
    (void)state;
    struct weir_forecast result = forecast(&engine, &found, &standing);
    assert_int_equal(result.day_rate, INT64_MAX);
    assert_false(result.once.lasts);
    assert_int_equal(result.twice.headroom_cu_milli, -INT64_MAX);
}

static void test_durations(void **state) {
    (void)state;
    assert_int_equal(weir_duration_read(WEIR_SPAN("90m")), 90 * INT64_C(60000000));
    assert_int_equal(weir_duration_read(WEIR_SPAN("12h")), 12 * HOUR_US);
    assert_int_equal(weir_duration_read(WEIR_SPAN("7d")), 7 * DAY_US);
    static const char *const none[] = {"", "h", "7", "7w", "-7d", "7.5d", "99999999999999999999d", "400000000d"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(weir_duration_read(weir_span_of_string(none[i])), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_period_with_an_end),
        cmocka_unit_test(test_exhaustion_at_the_very_end_is_none),
        cmocka_unit_test(test_what_is_exhausted_is_so_now),
        cmocka_unit_test(test_a_raise_that_ends_before_the_period),
        cmocka_unit_test(test_a_window_that_moves),
        cmocka_unit_test(test_for_ever),
        cmocka_unit_test(test_large_figures_do_not_overflow),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Budgets: what fits is reserved, what does not is refused, and the books are right whatever happens in between. */
#include "meter_support.h"

#define BUDGET(scope, id, window, limit, more)                                             \
    "{\"name\":\"b\",\"scope\":\"" scope "\",\"scope_id\":\"" id "\",\"window\":\"" window \
    "\",\"limit_cu_milli\":" limit more "}"

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

static struct weir_meter_binding *bind_key(const char *key) {
    struct weir_meter_caller caller = caller_of(key);
    return bind_caller(world, &caller);
}

/* Reserves, charges at once, and the ledger has it. */
static enum weir_reserve spend(struct weir_meter_binding *binding, const char *key, int64_t held, int64_t charged,
                               struct weir_meter_refusal *refusal) {
    struct weir_hold hold;
    enum weir_reserve result = reserve(world, binding, held, 0, &hold, refusal);
    if (result == WEIR_RESERVED) {
        int64_t utc_us = hold.utc_us;
        weir_meter_settle(&hold, charged, 0, 1);
        model_ingest(store, world->instance, WEIR_SCOPE_KEY, key, utc_us, charged, 0);
    }
    return result;
}

static void nothing_applies(void **state) {
    (void)state;
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_hold hold;
    struct weir_meter_refusal refusal;
    assert_true(weir_meter_binding_is_empty(binding));
    assert_false(weir_meter_binding_is_hard(binding));
    assert_int_equal(weir_meter_reserve(binding, INT64_MAX, 5, world->utc_us, 0, &hold, &refusal), WEIR_RESERVED);
    assert_null(hold.binding);
    weir_meter_settle(&hold, 1, 1, 1);
    weir_meter_unbind(&binding);
}

static void a_hard_budget_is_spent_to_the_last_and_no_further(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "1000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    assert_true(weir_meter_binding_is_hard(binding));
    int64_t spent = 0;
    for (int i = 0; i < 250; i++)
        if (spend(binding, "key_a", 7, 7, &refusal) == WEIR_RESERVED)
            spent += 7;
    assert_int_equal(spent, 994); /* 142 times 7 */
    assert_int_equal(spend(binding, "key_a", 6, 6, &refusal), WEIR_RESERVED);
    assert_int_equal(spend(binding, "key_a", 1, 1, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.reason, WEIR_REASON_CU_LIMIT_EXCEEDED);
    assert_string_equal(refusal.window, "month");
    assert_string_equal(refusal.scope_name, "key");
    assert_string_equal(refusal.limit_name, "cu_milli");
    assert_string_equal(refusal.budget, "bud_1");
    assert_int_equal(refusal.used, 1000);
    assert_int_equal(refusal.limit, 1000);
    assert_int_equal(refusal.room, 0);
    assert_int_equal(refusal.retry_after_seconds, 86400);                     /* the month goes on for longer */
    assert_int_equal(spend(binding, "key_a", 0, 0, &refusal), WEIR_RESERVED); /* what costs nothing */
    weir_meter_unbind(&binding);
}

static void what_was_not_charged_can_be_used_again(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "day", "1000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold hold, other;
    for (int i = 0; i < 100; i++)
        assert_int_equal(spend(binding, "key_a", 900, 1, &refusal), WEIR_RESERVED);
    assert_int_equal(reserve(world, binding, 500, 0, &hold, &refusal), WEIR_RESERVED);
    assert_int_equal(reserve(world, binding, 401, 0, &other, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.used, 600);
    assert_int_equal(refusal.retry_after_seconds, 12 * 3600);
    weir_meter_settle(&hold, 0, 0, 0);
    assert_int_equal(reserve(world, binding, 900, 0, &other, &refusal), WEIR_RESERVED);
    weir_meter_settle(&other, 0, 0, 0);
    weir_meter_settle(&other, 5, 0, 0); /* an empty one */
    weir_meter_unbind(&binding);
}

static void all_budgets_or_none(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "*", "month", "1000", ""));
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_2", BUDGET("workspace", "w", "day", "100", ""));
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_3", BUDGET("global", "", "total", "5000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold hold;
    struct weir_meter_state counts;
    assert_int_equal(reserve(world, binding, 101, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_string_equal(refusal.budget, "bud_2");
    assert_string_equal(refusal.scope_name, "workspace");
    weir_meter_state(world->meter, &counts);
    assert_int_equal(counts.held_cu_milli, 0);
    assert_int_equal(counts.counters, 3);
    assert_int_equal(reserve(world, binding, 100, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_state(world->meter, &counts);
    assert_int_equal(counts.held_cu_milli, 300);
    assert_int_equal(counts.holds, 1);
    weir_meter_settle(&hold, 0, 0, 0);
    weir_meter_unbind(&binding);
}

/* Several budgets of one subject that end at the same time share what the store gave. */
static void budgets_with_the_same_period_share_a_slice(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "1000", ""));
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_2",
                BUDGET("key", "key_a", "month", "900", ",\"zone\":\"Europe/London\""));
    struct weir_meter_caller caller = caller_of("key_a");
    caller.cu_milli_per_month = 950;
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    struct weir_meter_refusal refusal;
    for (int i = 0; i < 90; i++)
        assert_int_equal(spend(binding, "key_a", 10, 10, &refusal), WEIR_RESERVED);
    assert_int_equal(spend(binding, "key_a", 1, 1, &refusal), WEIR_RESERVE_REFUSED);
    assert_string_equal(refusal.budget, "bud_2");
    assert_int_equal(refusal.used, 900);
    weir_meter_unbind(&binding);
}

static void a_hold_settles_into_its_own_period(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "day", "100", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold hold, next;
    world->utc_us = NOON_US + 12 * HOUR_US - 1;
    assert_int_equal(reserve(world, binding, 100, 0, &hold, &refusal), WEIR_RESERVED);
    assert_int_equal(reserve(world, binding, 1, 0, &next, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.retry_after_seconds, 1);
    world->utc_us++; /* midnight */
    assert_int_equal(reserve(world, binding, 100, 0, &next, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 30, 0, 1);
    model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", NOON_US + 12 * HOUR_US - 1, 30, 0);
    struct weir_hold more;
    assert_int_equal(reserve(world, binding, 1, 0, &more, &refusal), WEIR_RESERVE_REFUSED);
    weir_meter_settle(&next, 0, 0, 0);
    /* A request that began before midnight and reserves behind it is charged to the day before. */
    world->now_ns += METER_SECOND_NS;
    world->utc_us--;
    assert_int_equal(reserve(world, binding, 71, 0, &more, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.used, 30);
    assert_int_equal(reserve(world, binding, 70, 0, &more, &refusal), WEIR_RESERVED);
    world->utc_us++;
    assert_int_equal(reserve(world, binding, 100, 0, &next, &refusal), WEIR_RESERVED);
    weir_meter_settle(&more, 0, 0, 0);
    weir_meter_settle(&next, 0, 0, 0);
    weir_meter_unbind(&binding);
}

/* Whatever the clock does, the store's sums decide, and no period is granted twice. */
static void clocks_that_step_grant_nothing_twice(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "day", "100", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    const int64_t steps[] = {0, DAY_US, -DAY_US, 3 * DAY_US, -7 * DAY_US, 30 * DAY_US, -30 * DAY_US, 7 * DAY_US};
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            world->utc_us += steps[i];
            while (spend(binding, "key_a", 30, 30, &refusal) == WEIR_RESERVED) {}
            assert_int_equal(refusal.reason, WEIR_REASON_CU_LIMIT_EXCEEDED);
            assert_true(refusal.used <= 100 && refusal.used > 70);
            world_advance(world, 400);
        }
    }
    for (size_t i = 0; i < store->row_count; i++) {
        int64_t day = store->rows[i].utc_us / DAY_US, sum = 0;
        for (size_t other = 0; other < store->row_count; other++)
            sum += store->rows[other].utc_us / DAY_US == day ? store->rows[other].cu_milli : 0;
        assert_int_equal(sum, 90);
    }
    weir_meter_unbind(&binding);
}

static void a_lowered_limit_holds_at_once_and_gives_back(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "100000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    for (int i = 0; i < 20; i++)
        assert_int_equal(spend(binding, "key_a", 100, 100, &refusal), WEIR_RESERVED);
    assert_true(model_out(store) > 100); /* it took some ahead of need */
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "2050", ""));
    assert_true(model_out(store) <= 50);
    assert_int_equal(spend(binding, "key_a", 51, 51, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.limit, 2050);
    assert_int_equal(spend(binding, "key_a", 50, 50, &refusal), WEIR_RESERVED);
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", NULL);
    struct weir_meter_binding *unlimited = bind_key("key_a");
    assert_true(weir_meter_binding_is_empty(unlimited));
    weir_meter_unbind(&unlimited);
    assert_int_equal(spend(binding, "key_a", 5000, 5000, &refusal), WEIR_RESERVED); /* the old binding, too */
    weir_meter_unbind(&binding);
}

static void a_raise_holds_while_it_lasts(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "*", "month", "100", ""));
    struct weir_meter_binding *binding = bind_key("key_a"), *other = bind_key("key_b");
    struct weir_meter_refusal refusal;
    struct weir_hold hold;
    assert_int_equal(reserve(world, binding, 150, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    give_object(
        world, WEIR_OBJECT_RAISE, "bud_1/key_a", "rai_1",
        "{\"kind\":\"raise\",\"amount_cu_milli\":50,\"from_at\":\"2026-11-20T12:00:00Z\",\"until_at\":\"2026-11-20T13:00:00Z\"}");
    assert_int_equal(reserve(world, other, 150, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(reserve(world, binding, 150, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 0, 0, 0);
    world->utc_us += HOUR_US;
    world_advance(world, 400);
    assert_int_equal(reserve(world, binding, 101, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.limit, 100);
    world_advance(world, 11000);
    assert_int_equal(model_out(store), 0);
    give_object(
        world, WEIR_OBJECT_RAISE, "bud_1", "rai_2",
        "{\"kind\":\"top_up\",\"amount_cu_milli\":7,\"from_at\":\"2026-11-20T00:00:00Z\",\"until_at\":\"2026-12-01T00:00:00Z\"}");
    assert_int_equal(reserve(world, other, 107, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 0, 0, 0);
    give_object(world, WEIR_OBJECT_RAISE, "bud_1", "rai_2", NULL);
    assert_int_equal(reserve(world, other, 101, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    weir_meter_unbind(&binding);
    weir_meter_unbind(&other);
}

static void limits_of_a_key_and_its_plan(void **state) {
    (void)state;
    const struct weir_plan plan = {.id = WEIR_SPAN("pro"),
                                   .name = WEIR_SPAN("Pro"),
                                   .requests_per_second = -1,
                                   .cu_milli_per_month = 500};
    assert_int_equal(weir_meter_take_plans(world->meter, &plan, 1), WEIR_OK);
    give_object(world, WEIR_OBJECT_WORKSPACE, "", "w", "{\"name\":\"W\",\"plan\":\"pro\"}");
    struct weir_meter_caller caller = caller_of("key_a");
    caller.cu_milli_total = 2000;
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    struct weir_meter_refusal refusal;
    struct weir_hold hold;
    assert_int_equal(reserve(world, binding, 501, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_string_equal(refusal.budget, "plan:w");
    assert_string_equal(refusal.window, "month");
    give_object(world, WEIR_OBJECT_ACCOUNT, "", "w", "{\"credits_cu_milli\":5000,\"consumed_cu_milli\":1000}");
    assert_int_equal(reserve(world, binding, 2001, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_string_equal(refusal.budget, "key:key_a:total");
    assert_int_equal(refusal.retry_after_seconds, 86400);
    give_object(world, WEIR_OBJECT_RAISE, "key:key_a:total", "rai_1",
                "{\"kind\":\"raise\",\"amount_cu_milli\":5000,\"from_at\":\"2026-01-01\",\"until_at\":\"2027-01-01\"}");
    assert_int_equal(reserve(world, binding, 4501, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_string_equal(refusal.budget, "plan:w");
    assert_int_equal(refusal.limit, 4500);
    assert_int_equal(reserve(world, binding, 4500, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 0, 0, 0);
    /* With overage a plan only tells. */
    struct weir_plan overage = plan;
    overage.overage = true;
    assert_int_equal(weir_meter_take_plans(world->meter, &overage, 1), WEIR_OK);
    assert_int_equal(reserve(world, binding, 6000, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 0, 0, 0);
    weir_meter_unbind(&binding);
}

/* What was used of the credits in a month is taken from them when it is closed; until then the next month does not find them again. */
static void credits_wait_for_the_close_of_a_month(void **state) {
    (void)state;
    const struct weir_plan plan = {.id = WEIR_SPAN("pro"),
                                   .name = WEIR_SPAN("Pro"),
                                   .requests_per_second = -1,
                                   .cu_milli_per_month = 500};
    const int64_t day_us = 86400 * METER_SECOND_US, month_us = 31 * day_us;
    assert_int_equal(weir_meter_take_plans(world->meter, &plan, 1), WEIR_OK);
    give_object(world, WEIR_OBJECT_WORKSPACE, "", "w", "{\"name\":\"W\",\"plan\":\"pro\"}");
    give_object(world, WEIR_OBJECT_ACCOUNT, "", "w",
                "{\"credits_cu_milli\":1000,\"consumed_cu_milli\":0,\"closed_month\":null}");
    struct weir_meter_caller caller = caller_of("key_a");
    struct weir_meter_binding *binding = bind_caller(world, &caller);
    struct weir_meter_refusal refusal;
    struct weir_hold hold;
    assert_int_equal(reserve(world, binding, 1500, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 0, 0, 0);
    const int64_t made_us = world->utc_us, next_us = weir_window_period(WEIR_WINDOW_MONTH, NULL, made_us).until_utc_us;
    world->utc_us = next_us + day_us;
    assert_int_equal(reserve(world, binding, 501, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.limit, 500);
    char closed[120], begin[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(made_us, begin);
    (void)snprintf(closed, sizeof closed,
                   "{\"credits_cu_milli\":1000,\"consumed_cu_milli\":900,\"closed_month\":\"%.7s\"}", begin);
    give_object(world, WEIR_OBJECT_ACCOUNT, "", "w", closed);
    assert_int_equal(reserve(world, binding, 601, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.limit, 600);
    assert_int_equal(reserve(world, binding, 600, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 0, 0, 0);
    world->utc_us += month_us;
    assert_int_equal(reserve(world, binding, 501, 0, &hold, &refusal), WEIR_RESERVE_REFUSED);
    weir_meter_unbind(&binding);
}

static void limits_of_a_day(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_LIMIT, "", "lim_1",
                "{\"name\":\"l\",\"scope\":\"key\",\"scope_id\":\"*\",\"requests_per_day\":3,\"tokens_per_day\":1000}");
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold holds[3], hold;
    assert_true(weir_meter_binding_counts_tokens(binding));
    assert_false(weir_meter_binding_is_hard(binding));
    assert_int_equal(reserve(world, binding, 0, 1001, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.reason, WEIR_REASON_DAILY_LIMIT_EXCEEDED);
    assert_string_equal(refusal.limit_name, "tokens_per_day");
    assert_string_equal(refusal.window, "day");
    assert_string_equal(refusal.budget, "");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(reserve(world, binding, 0, 300, &holds[i], &refusal), WEIR_RESERVED);
    assert_int_equal(reserve(world, binding, 0, 1, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_string_equal(refusal.limit_name, "requests_per_day");
    weir_meter_settle(&holds[0], 0, 0, 0); /* reached no provider */
    weir_meter_settle(&holds[1], 0, 700, 1);
    weir_meter_settle(&holds[2], 0, 100, 1);
    assert_int_equal(reserve(world, binding, 0, 201, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.used, 800); /* also what was more than was held */
    assert_int_equal(reserve(world, binding, 0, 200, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 0, 0, 1);
    weir_meter_unbind(&binding);
}

static void a_rolling_day_lets_go_of_what_falls_out(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "24h", "100", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    assert_int_equal(spend(binding, "key_a", 60, 60, &refusal), WEIR_RESERVED);
    world->utc_us += 6 * HOUR_US;
    assert_int_equal(spend(binding, "key_a", 40, 40, &refusal), WEIR_RESERVED);
    world->now_ns += METER_SECOND_NS;
    assert_int_equal(spend(binding, "key_a", 1, 1, &refusal), WEIR_RESERVE_REFUSED);
    assert_string_equal(refusal.window, "24h");
    assert_int_equal(refusal.retry_after_seconds, 900);
    world->utc_us += 18 * HOUR_US + HOUR_US / 4;
    world->now_ns += METER_SECOND_NS;
    assert_int_equal(spend(binding, "key_a", 61, 61, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(spend(binding, "key_a", 60, 60, &refusal), WEIR_RESERVED);
    weir_meter_unbind(&binding);
}

static void clamp_says_what_fits(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1",
                BUDGET("key", "key_a", "month", "100", ",\"on_exceeded\":\"clamp\""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold hold, other;
    assert_int_equal(reserve(world, binding, 130, 0, &hold, &refusal), WEIR_RESERVE_CLAMP);
    assert_int_equal(refusal.room, 100);
    assert_int_equal(reserve(world, binding, 60, 0, &hold, &refusal), WEIR_RESERVED);
    assert_int_equal(reserve(world, binding, 60, 0, &other, &refusal), WEIR_RESERVE_CLAMP);
    assert_int_equal(refusal.room, 40);
    assert_int_equal(reserve(world, binding, 40, 0, &other, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 60, 0, 1);
    weir_meter_settle(&other, 40, 0, 1);
    assert_int_equal(reserve(world, binding, 1, 0, &other, &refusal), WEIR_RESERVE_REFUSED);
    weir_meter_unbind(&binding);
}

static void wait_waits_for_holds_and_no_longer(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1",
                BUDGET("key", "key_a", "month", "100", ",\"on_exceeded\":\"wait\",\"wait_ms\":5000"));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold hold, other;
    assert_int_equal(reserve(world, binding, 101, 0, &hold, &refusal),
                     WEIR_RESERVE_REFUSED); /* it would wait for ever */
    assert_int_equal(reserve(world, binding, 60, 0, &hold, &refusal), WEIR_RESERVED);
    assert_int_equal(weir_meter_reserve(binding, 60, 0, world->utc_us, 100, &other, &refusal), WEIR_RESERVE_WAIT);
    assert_true(refusal.retry_after_seconds >= 1);
    size_t rooms = world->rooms;
    weir_meter_settle(&hold, 10, 0, 1);
    meter__turn(world->meter);
    assert_true(world->rooms > rooms);
    assert_int_equal(reserve(world, binding, 60, 0, &other, &refusal), WEIR_RESERVED);
    assert_int_equal(weir_meter_reserve(binding, 60, 0, world->utc_us, 4999, &hold, &refusal), WEIR_RESERVE_WAIT);
    assert_int_equal(weir_meter_reserve(binding, 60, 0, world->utc_us, 5000, &hold, &refusal), WEIR_RESERVE_REFUSED);
    weir_meter_settle(&other, 60, 0, 1);
    assert_int_equal(weir_meter_reserve(binding, 60, 0, world->utc_us, 0, &hold, &refusal),
                     WEIR_RESERVE_REFUSED); /* nothing comes back */
    weir_meter_unbind(&binding);
}

static void a_store_that_is_away(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "100000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold hold;
    store->away = true;
    assert_int_equal(weir_meter_reserve(binding, 10, 0, world->utc_us, 0, &hold, &refusal), WEIR_RESERVE_WAIT);
    meter__turn(world->meter);
    assert_int_equal(weir_meter_reserve(binding, 10, 0, world->utc_us, 1999, &hold, &refusal), WEIR_RESERVE_WAIT);
    assert_int_equal(weir_meter_reserve(binding, 10, 0, world->utc_us, 2000, &hold, &refusal), WEIR_RESERVE_REFUSED);
    assert_int_equal(refusal.reason, WEIR_REASON_BUDGET_UNKNOWN);
    store->away = false;
    world_advance(world, 400);
    for (int i = 0; i < 30; i++)
        assert_int_equal(spend(binding, "key_a", 100, 100, &refusal), WEIR_RESERVED);
    store->away = true;
    int64_t spent = 0;
    while (weir_meter_reserve(binding, 100, 0, world->utc_us, 2000, &hold, &refusal) == WEIR_RESERVED) {
        weir_meter_settle(&hold, 100, 0, 1);
        spent += 100;
    }
    assert_true(spent >= 300); /* what it has */
    assert_int_equal(refusal.reason, WEIR_REASON_BUDGET_UNKNOWN);
    store->away = false;
    world_advance(world, 400);
    assert_int_equal(spend(binding, "key_a", 100, 100, &refusal), WEIR_RESERVED);
    weir_meter_unbind(&binding);
}

static void what_is_idle_goes_back(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "100000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    for (int i = 0; i < 20; i++)
        assert_int_equal(spend(binding, "key_a", 100, 100, &refusal), WEIR_RESERVED);
    assert_true(model_out(store) > 0);
    world_advance(world, 10200);
    assert_int_equal(model_out(store), 0);
    struct weir_meter_state before, after;
    world_advance(world, 20000);
    weir_meter_state(world->meter, &before);
    world_advance(world, 60000);
    weir_meter_state(world->meter, &after);
    assert_int_equal(before.store_questions, after.store_questions); /* nor is anything asked */
    weir_meter_unbind(&binding);
    world_advance(world, 150000);
    weir_meter_state(world->meter, &after);
    assert_int_equal(after.counters, 0);
    assert_int_equal(after.buckets, 0);
}

static void drain_gives_back_what_nobody_holds(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "100000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold hold;
    for (int i = 0; i < 20; i++)
        assert_int_equal(spend(binding, "key_a", 100, 100, &refusal), WEIR_RESERVED);
    assert_int_equal(reserve(world, binding, 70, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_drain(world->meter);
    assert_int_equal(model_out(store), 70);
    weir_meter_settle(&hold, 70, 0, 1);
    assert_int_equal(spend(binding, "key_a", 100, 100, &refusal),
                     WEIR_RESERVED); /* requests that are still under way */
    weir_meter_unbind(&binding);
}

/* A call that fits is not refused because another instance has taken more than it needs. */
static void two_instances_share_a_budget(void **state) {
    (void)state;
    struct world *other = world_new(store, 2);
    const char *text = BUDGET("key", "key_a", "month", "10000", "");
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", text);
    give_object(other, WEIR_OBJECT_BUDGET, "", "bud_1", text);
    struct weir_meter_caller caller = caller_of("key_a");
    struct weir_meter_binding *here = bind_caller(world, &caller), *there = bind_caller(other, &caller);
    struct weir_meter_refusal refusal;
    int64_t spent = 0;
    for (int i = 0; i < 400; i++) {
        struct world *one = i % 3 == 0 ? other : world;
        struct weir_hold hold;
        if (reserve(one, one == world ? here : there, 40, 0, &hold, &refusal) == WEIR_RESERVED) {
            weir_meter_settle(&hold, 40, 0, 1);
            model_ingest(store, one->instance, WEIR_SCOPE_KEY, "key_a", one->utc_us, 40, 0);
            spent += 40;
        }
        world_advance(world, 200);
        world_advance(other, 200);
    }
    assert_int_equal(spent, 10000);
    weir_meter_unbind(&here);
    weir_meter_unbind(&there);
    world_free(other);
}

/* What a request had begun to spend before there was a budget comes out of the slice in the ledger: the next answer says so. */
static void a_budget_made_while_requests_are_under_way(void **state) {
    (void)state;
    struct weir_meter_binding *before = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold old;
    assert_int_equal(reserve(world, before, 500, 0, &old, &refusal), WEIR_RESERVED);
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "1000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_hold hold;
    assert_int_equal(reserve(world, binding, 600, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&old, 500, 0, 1);
    model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", world->utc_us, 500, 0);
    weir_meter_settle(&hold, 100, 0, 1);
    model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", world->utc_us, 100, 0);
    world_advance(world, 5200);
    int64_t spent = 600;
    for (int i = 0; i < 100; i++)
        if (spend(binding, "key_a", 10, 10, &refusal) == WEIR_RESERVED)
            spent += 10;
    assert_int_equal(spent, 1000);
    weir_meter_unbind(&before);
    weir_meter_unbind(&binding);
}

/* A budget that goes and comes back, and one that becomes soft and hard again, while something is held. */
static void definitions_that_change_while_something_is_held(void **state) {
    (void)state;
    struct weir_meter_refusal refusal;
    struct weir_hold first, second, third;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "month", "1000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    assert_int_equal(reserve(world, binding, 300, 0, &first, &refusal), WEIR_RESERVED);
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1",
                BUDGET("key", "key_a", "month", "1000", ",\"enforcement\":\"soft\""));
    assert_int_equal(reserve(world, binding, 300, 0, &second, &refusal), WEIR_RESERVED);
    weir_meter_settle(&first, 100, 0, 1);
    model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", world->utc_us, 100, 0);
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1",
                BUDGET("key", "key_a", "month", "1000", ",\"on_exceeded\":\"clamp\""));
    assert_int_equal(reserve(world, binding, 601, 0, &third, &refusal), WEIR_RESERVE_CLAMP);
    assert_int_equal(refusal.room, 600);
    assert_int_equal(reserve(world, binding, 600, 0, &third, &refusal), WEIR_RESERVED);
    weir_meter_settle(&second, 300, 0, 1);
    model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", world->utc_us, 300, 0);
    weir_meter_settle(&third, 0, 0, 1);
    assert_int_equal(reserve(world, binding, 600, 0, &third, &refusal), WEIR_RESERVED);
    weir_meter_settle(&third, 600, 0, 1);
    model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", world->utc_us, 600, 0);
    assert_int_equal(reserve(world, binding, 1, 0, &third, &refusal), WEIR_RESERVE_REFUSED);
    weir_meter_unbind(&binding);
}

/* A charge that nothing was granted for may meet a slice in the ledger or none; what is asked too much for it comes back. */
static void a_charge_from_before_the_budget_leaves_no_slack(void **state) {
    (void)state;
    struct weir_meter_refusal refusal;
    struct weir_hold old, hold;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1", BUDGET("key", "key_a", "day", "10000", ""));
    struct weir_meter_binding *binding = bind_key("key_a");
    assert_int_equal(reserve(world, binding, 400, 0, &old, &refusal), WEIR_RESERVED);
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_2", BUDGET("key", "key_a", "month", "500", ""));
    world->manual = true;
    assert_int_equal(weir_meter_reserve(binding, 10, 0, world->utc_us, 0, &hold, &refusal), WEIR_RESERVE_WAIT);
    weir_meter_settle(&old, 100, 0, 1);
    model_ingest(store, 1, WEIR_SCOPE_KEY, "key_a", world->utc_us, 100, 0);
    world->manual = false;
    (void)world_answer(world);
    meter__turn(world->meter);
    assert_int_equal(spend(binding, "key_a", 10, 10, &refusal), WEIR_RESERVED);
    world_advance(world, 120000);
    assert_int_equal(model_out(store), 0);
    assert_int_equal(spend(binding, "key_a", 390, 390, &refusal), WEIR_RESERVED);
    assert_int_equal(spend(binding, "key_a", 1, 1, &refusal), WEIR_RESERVE_REFUSED);
    weir_meter_unbind(&binding);
}

/* Two requests that each hold what the other waits for must not wake each other on and on. */
static void a_hold_that_never_stood_wakes_nobody(void **state) {
    (void)state;
    give_object(world, WEIR_OBJECT_BUDGET, "", "bud_1",
                BUDGET("key", "key_a", "month", "100", ",\"on_exceeded\":\"wait\",\"wait_ms\":5000"));
    struct weir_meter_binding *binding = bind_key("key_a");
    struct weir_meter_refusal refusal;
    struct weir_hold hold, other;
    assert_int_equal(reserve(world, binding, 60, 0, &hold, &refusal), WEIR_RESERVED);
    assert_int_equal(weir_meter_reserve(binding, 60, 0, world->utc_us, 100, &other, &refusal), WEIR_RESERVE_WAIT);
    meter__turn(world->meter);
    const size_t rooms = world->rooms;
    weir_meter_undo(&hold);
    meter__turn(world->meter);
    assert_int_equal(world->rooms, rooms);
    assert_null(hold.binding);
    assert_int_equal(reserve(world, binding, 40, 0, &hold, &refusal), WEIR_RESERVED);
    weir_meter_settle(&hold, 40, 0, 1); /* nothing comes back */
    assert_int_equal(reserve(world, binding, 60, 0, &other, &refusal), WEIR_RESERVED);
    weir_meter_undo(&other);
    weir_meter_undo(&other);
    weir_meter_unbind(&binding);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_applies, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hard_budget_is_spent_to_the_last_and_no_further, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_charged_can_be_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(all_budgets_or_none, setup, teardown),
        cmocka_unit_test_setup_teardown(budgets_with_the_same_period_share_a_slice, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hold_settles_into_its_own_period, setup, teardown),
        cmocka_unit_test_setup_teardown(clocks_that_step_grant_nothing_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lowered_limit_holds_at_once_and_gives_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_raise_holds_while_it_lasts, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_of_a_key_and_its_plan, setup, teardown),
        cmocka_unit_test_setup_teardown(credits_wait_for_the_close_of_a_month, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_of_a_day, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rolling_day_lets_go_of_what_falls_out, setup, teardown),
        cmocka_unit_test_setup_teardown(clamp_says_what_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(wait_waits_for_holds_and_no_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_that_is_away, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_idle_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(drain_gives_back_what_nobody_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(two_instances_share_a_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(a_budget_made_while_requests_are_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(definitions_that_change_while_something_is_held, setup, teardown),
        cmocka_unit_test_setup_teardown(a_charge_from_before_the_budget_leaves_no_slack, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hold_that_never_stood_wakes_nobody, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

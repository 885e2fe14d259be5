/* What operators say about budgets, limits and raises is read as it is meant, and what cannot be meant is refused by name. */
#include "meter/definitions.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct weir_arena *arena;
static struct weir_error error;

static int setup(void **state) {
    (void)state;
    arena = weir_arena_new(0, 1 << 20);
    return arena == NULL;
}

static int teardown(void **state) {
    (void)state;
    weir_arena_free(&arena);
    return 0;
}

static bool is(struct weir_span span, const char *text) {
    return weir_span_equal(span, weir_span_of_string(text));
}

static void a_whole_budget(void **state) {
    (void)state;
    struct weir_budget budget;
    assert_int_equal(
        weir_budget_read(
            arena, WEIR_SPAN("bud_1"),
            WEIR_SPAN("{\"name\":\"B\\u00fcro\",\"scope\":\"team\",\"scope_id\":\"w/team_1\",\"window\":\"week\","
                      "\"zone\":\"Europe/Berlin\",\"limit_cu_milli\":5000000000,\"enforcement\":\"soft\","
                      "\"on_exceeded\":\"wait\",\"wait_ms\":30000,\"alert_percents\":[10,99,100],\"active\":false,"
                      "\"what_a_newer_program_wrote\":1}"),
            &budget, &error),
        WEIR_OK);
    assert_true(is(budget.id, "bud_1") && is(budget.name, "B\xc3\xbcro") && is(budget.scope_id, "w/team_1"));
    assert_true(is(budget.zone, "Europe/Berlin"));
    assert_int_equal(budget.scope, WEIR_SCOPE_TEAM);
    assert_int_equal(budget.window, WEIR_WINDOW_WEEK);
    assert_int_equal(budget.limit_cu_milli, 5000000000);
    assert_false(budget.hard || budget.active);
    assert_int_equal(budget.on_exceeded, WEIR_ON_EXCEEDED_WAIT);
    assert_int_equal(budget.wait_ms, 30000);
    assert_int_equal(budget.alert_count, 3);
    assert_int_equal(budget.alert_percents[1], 99);
}

static void what_a_budget_does_not_say(void **state) {
    (void)state;
    struct weir_budget budget;
    assert_int_equal(
        weir_budget_read(arena, WEIR_SPAN("bud_1"),
                         WEIR_SPAN("{\"scope\":\"global\",\"window\":\"24h\",\"limit_cu_milli\":0,\"zone\":null}"),
                         &budget, &error),
        WEIR_OK);
    assert_true(is(budget.scope_id, "") && is(budget.zone, "UTC") && budget.hard && budget.active);
    assert_int_equal(budget.on_exceeded, WEIR_ON_EXCEEDED_REFUSE);
    assert_int_equal(budget.wait_ms, 2000);
    const uint8_t percents[] = {50, 80, 95, 100};
    assert_int_equal(budget.alert_count, 4);
    assert_memory_equal(budget.alert_percents, percents, 4);
}

static void budgets_that_are_wrong(void **state) {
    (void)state;
    static const struct {
        const char *member, *text;
    } wrong[] = {
        {"scope", "{\"window\":\"day\",\"limit_cu_milli\":1}"},
        {"scope", "{\"scope\":\"planet\",\"window\":\"day\",\"limit_cu_milli\":1}"},
        {"scope", "{\"scope\":7,\"window\":\"day\",\"limit_cu_milli\":1}"},
        {"scope_id", "{\"scope\":\"key\",\"window\":\"day\",\"limit_cu_milli\":1}"},
        {"scope_id", "{\"scope\":\"global\",\"scope_id\":\"*\",\"window\":\"day\",\"limit_cu_milli\":1}"},
        {"scope_id", "{\"scope\":\"key\",\"scope_id\":\"a\\u0000b\",\"window\":\"day\",\"limit_cu_milli\":1}"},
        {"window", "{\"scope\":\"global\",\"limit_cu_milli\":1}"},
        {"window", "{\"scope\":\"global\",\"window\":\"year\",\"limit_cu_milli\":1}"},
        {"limit_cu_milli", "{\"scope\":\"global\",\"window\":\"day\"}"},
        {"limit_cu_milli", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":-1}"},
        {"limit_cu_milli", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1.5}"},
        {"limit_cu_milli", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":\"1\"}"},
        {"limit_cu_milli", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":9223372036854775808}"},
        {"limit_cu_milli", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"limit_cu_milli\":2}"},
        {"enforcement", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"enforcement\":\"medium\"}"},
        {"on_exceeded", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"on_exceeded\":\"\"}"},
        {"wait_ms", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"wait_ms\":30001}"},
        {"alert_percents", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"alert_percents\":50}"},
        {"alert_percents", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"alert_percents\":[0]}"},
        {"alert_percents", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"alert_percents\":[101]}"},
        {"alert_percents", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"alert_percents\":[50,50]}"},
        {"alert_percents",
         "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"alert_percents\":[1,2,3,4,5,6,7,8,9]}"},
        {"active", "{\"scope\":\"global\",\"window\":\"day\",\"limit_cu_milli\":1,\"active\":\"yes\"}"},
        {"text", "[]"},
        {"text", "{\"scope\":"},
        {"text", ""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct weir_budget budget = {.limit_cu_milli = 77};
        error.text[0] = '\0';
        assert_int_equal(weir_budget_read(arena, WEIR_SPAN("b"), weir_span_of_string(wrong[i].text), &budget, &error),
                         WEIR_EINVAL);
        struct weir_span head, rest;
        assert_true(weir_span_split(weir_span_of_string(error.text), ':', &head, &rest));
        if (!is(head, wrong[i].member))
            fail_msg("%s: %s", wrong[i].text, error.text);
        assert_int_equal(budget.limit_cu_milli, 77); /* nothing was written */
    }
}

static void limits(void **state) {
    (void)state;
    struct weir_limit_definition limit;
    assert_int_equal(
        weir_limit_read(arena, WEIR_SPAN("lim_1"),
                        WEIR_SPAN("{\"name\":\"n\",\"scope\":\"user\",\"scope_id\":\"*\",\"requests_per_second\":1,"
                                  "\"requests_per_minute\":2,\"requests_per_day\":3,\"tokens_per_minute\":4,"
                                  "\"tokens_per_day\":5,\"concurrent_requests\":6,\"concurrent_streams\":0,"
                                  "\"burst_percent\":250}"),
                        &limit, &error),
        WEIR_OK);
    for (int i = 0; i < WEIR_LIMIT_COUNT; i++)
        assert_int_equal(limit.limits.at[i], i == WEIR_LIMIT_CONCURRENT_STREAMS ? 0 : i + 1);
    assert_int_equal(limit.limits.burst_percent, 250);
    assert_true(limit.active);
    assert_int_equal(weir_limit_read(arena, WEIR_SPAN("lim_1"), WEIR_SPAN("{\"scope\":\"global\"}"), &limit, &error),
                     WEIR_OK);
    for (int i = 0; i < WEIR_LIMIT_COUNT; i++)
        assert_int_equal(limit.limits.at[i], -1);
    assert_int_equal(limit.limits.burst_percent, 100);
    assert_int_equal(weir_limit_read(arena, WEIR_SPAN("l"), WEIR_SPAN("{\"scope\":\"global\",\"tokens_per_day\":-1}"),
                                     &limit, &error),
                     WEIR_EINVAL);
    assert_non_null(strstr(error.text, "tokens_per_day: "));
    assert_int_equal(weir_limit_read(arena, WEIR_SPAN("l"), WEIR_SPAN("{\"scope\":\"global\",\"burst_percent\":0}"),
                                     &limit, &error),
                     WEIR_EINVAL);
    assert_string_equal(weir_limit_name(WEIR_LIMIT_TOKENS_PER_DAY), "tokens_per_day");
}

static void raises(void **state) {
    (void)state;
    struct weir_raise raise;
    assert_int_equal(
        weir_raise_read(arena, WEIR_SPAN("rai_1"), WEIR_SPAN("key:key_a:month"),
                        WEIR_SPAN("{\"kind\":\"top_up\",\"amount_cu_milli\":12,\"from_at\":\"1970-01-01T00:00:01Z\","
                                  "\"until_at\":\"1970-01-02\",\"reason\":\"why\"}"),
                        &raise, &error),
        WEIR_OK);
    assert_true(is(raise.id, "rai_1") && is(raise.budget, "key:key_a:month") && is(raise.kind, "top_up") &&
                is(raise.reason, "why"));
    assert_int_equal(raise.amount_cu_milli, 12);
    assert_int_equal(raise.from_utc_us, 1000000);
    assert_int_equal(raise.until_utc_us, INT64_C(86400000000));
    static const char *const wrong[][2] = {
        {"kind: ", "{\"kind\":\"gift\",\"amount_cu_milli\":1,\"from_at\":\"1970-01-01\",\"until_at\":\"1970-01-02\"}"},
        {"amount_cu_milli: ", "{\"kind\":\"raise\",\"from_at\":\"1970-01-01\",\"until_at\":\"1970-01-02\"}"},
        {"from_at: ", "{\"kind\":\"raise\",\"amount_cu_milli\":1,\"until_at\":\"1970-01-02\"}"},
        {"until_at: ",
         "{\"kind\":\"raise\",\"amount_cu_milli\":1,\"from_at\":\"1970-01-02\",\"until_at\":\"1970-01-02\"}"},
        {"until_at: ",
         "{\"kind\":\"raise\",\"amount_cu_milli\":1,\"from_at\":\"1970-01-02\",\"until_at\":\"tomorrow\"}"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(weir_raise_read(arena, WEIR_SPAN("r"), WEIR_SPAN("b"), weir_span_of_string(wrong[i][1]),
                                         &raise, &error),
                         WEIR_EINVAL);
        assert_true(weir_span_starts_with(weir_span_of_string(error.text), weir_span_of_string(wrong[i][0])));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_budget_does_not_say, setup, teardown),
        cmocka_unit_test_setup_teardown(budgets_that_are_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(raises, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The grammar of faults and the plan that hands them out. */
#include "sim/fault.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_parse_good(void **state) {
    (void)state;
    struct sim_fault fault;
    assert_int_equal(sim__fault_parse(WEIR_SPAN(" status=503 ; retry-after = 2;code=busy; "), &fault, NULL), WEIR_OK);
    assert_true(sim__fault_has(&fault, SIM_FAULT_STATUS));
    assert_int_equal(fault.value[SIM_FAULT_STATUS], 503);
    assert_int_equal(fault.value[SIM_FAULT_RETRY_AFTER], 2);
    assert_string_equal(fault.code, "busy");
    assert_string_equal(fault.text, "status=503 ; retry-after = 2;code=busy;");
    assert_false(sim__fault_has(&fault, SIM_FAULT_RESET));
    assert_int_equal(sim__fault_parse(WEIR_SPAN("stall"), &fault, NULL), WEIR_OK);
    assert_int_equal(fault.value[SIM_FAULT_STALL], 0);
    assert_int_equal(sim__fault_parse(WEIR_SPAN("early-answer"), &fault, NULL), WEIR_OK);
    assert_int_equal(fault.value[SIM_FAULT_EARLY_ANSWER], 429);
    assert_int_equal(sim__fault_parse(WEIR_SPAN("none"), &fault, NULL), WEIR_OK);
    assert_int_equal(fault.set, 0);
    assert_int_equal(sim__fault_parse(WEIR_SPAN(""), &fault, NULL), WEIR_OK);
    assert_int_equal(fault.set, 0);
}

static void test_every_name_is_known(void **state) {
    (void)state;
    static const char *const texts[] = {
        "status=500",     "retry-after=1",    "code=x",           "reset",      "reset-after-head", "reset-mid",
        "close",          "silence",          "stall=3",          "stall-head", "truncate=3",       "cut=3",
        "no-usage",       "no-done",          "error-event",      "bad-json",   "bad-chunk",        "wrong-type",
        "huge=100",       "slow-body=5",      "early-answer=413", "interim=2",  "close-idle",       "delay=10",
        "wrong-usage=10", "reset-head",       "early-close",      "continue=3", "flap=5/7",         "early-reset=503",
        "close-next",     "usage-percent=50", "negative-usage",
    };
    uint64_t all = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sim_fault fault;
        assert_int_equal(sim__fault_parse(weir_span_of_string(texts[i]), &fault, NULL), WEIR_OK);
        all |= fault.set;
    }
    assert_int_equal(all, ((uint64_t)1 << SIM_FAULT_COUNT) - 1);
}

static void test_parse_bad(void **state) {
    (void)state;
    static const char *const texts[] = {
        "nonsense", "status",      "status=200",   "status=600", "status=5x",  "reset=1",          "delay=-1",
        "huge=0",   "reset;reset", "retry-after=", "code=",      "=",          "huge=99999999999", "stall=1.5",
        "flap=5",   "flap=5/0",    "flap=/5",      "interim=0",  "continue=x",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sim_fault fault = {.set = 77};
        struct weir_error error = {.status = WEIR_OK};
        assert_int_equal(sim__fault_parse(weir_span_of_string(texts[i]), &fault, &error), WEIR_EINVAL);
        assert_int_equal(fault.set, 77);
        assert_true(error.text[0] != '\0');
    }
    char endless[500];
    memset(endless, 'a', sizeof endless);
    struct sim_fault fault;
    assert_int_equal(sim__fault_parse(weir_span_of(endless, sizeof endless), &fault, NULL), WEIR_EINVAL);
    memset(endless, ';', sizeof endless);
    assert_int_equal(sim__fault_parse(weir_span_of(endless, 100), &fault, NULL), WEIR_OK);
}

static void set_plan(struct sim_plan *plan, const char *json) {
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(sim__plan_set(plan, weir_span_of_string(json), 1000, &error), WEIR_OK);
}

/* One letter a call: the first of the fault's text, or '-'. */
static void take(struct sim_plan *plan, const char *expected) {
    for (size_t i = 0; i < strlen(expected); i++) {
        const struct sim_fault *fault = sim__plan_take(plan, 1000);
        assert_int_equal(fault == NULL ? '-' : fault->text[0], expected[i]);
    }
}

static void test_plan_schedule(void **state) {
    (void)state;
    struct sim_plan plan = {.entries = NULL};
    take(&plan, "--");
    set_plan(&plan, "{\"fault\":\"status=503; retry-after=2\",\"count\":3}");
    take(&plan, "sss---");
    set_plan(&plan, "[{\"fault\":\"reset\"},{\"fault\":null,\"count\":2},{\"fault\":\"close\",\"count\":2}]");
    take(&plan, "r--cc--");
    set_plan(&plan, "{\"fault\":\"reset\",\"every\":3}");
    take(&plan, "--r--r--r");
    set_plan(&plan, "{\"fault\":\"reset\",\"every\":2,\"count\":2}");
    take(&plan, "-r-r----");
    set_plan(&plan, "{\"fault\":\"reset\",\"count\":0}");
    take(&plan, "rrrrrrrr");
    set_plan(&plan, "[]");
    take(&plan, "-");
    sim__plan_clear(&plan);
    take(&plan, "-");
}

static void test_plan_refuses(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "7",
        "[7]",
        "{}",
        "{\"fault\":5}",
        "{\"fault\":\"what\"}",
        "{\"fault\":\"reset\",\"count\":-1}",
        "{\"fault\":\"reset\",\"every\":\"x\"}",
        "[{\"fault\":\"reset\"},{\"fault\":\"what\"}]",
    };
    struct sim_plan plan = {.entries = NULL};
    set_plan(&plan, "{\"fault\":\"close\",\"count\":2}");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct weir_error error = {.status = WEIR_OK};
        assert_int_equal(sim__plan_set(&plan, weir_span_of_string(texts[i]), 0, &error), WEIR_EINVAL);
        assert_true(error.text[0] != '\0');
    }
    take(&plan, "cc-"); /* the old plan stays */
    sim__plan_clear(&plan);
}

static void test_plan_write(void **state) {
    (void)state;
    struct sim_plan plan = {.entries = NULL};
    struct weir_buffer out;
    weir_buffer_init(&out, 1000);
    set_plan(&plan, "[{\"fault\":\"reset\",\"count\":2},{\"fault\":null}]");
    take(&plan, "r");
    sim__plan_write(&plan, &out);
    weir_buffer_append_byte(&out, '\0');
    assert_string_equal(out.at, "[{\"fault\":\"reset\",\"count\":2,\"every\":1,\"seen\":1,\"given\":1},"
                                "{\"fault\":null,\"count\":1,\"every\":1,\"seen\":0,\"given\":0}]");
    weir_buffer_release(&out);
    sim__plan_clear(&plan);
}

static void test_flapping(void **state) {
    (void)state;
    struct sim_plan plan = {.entries = NULL};
    struct sim_fault fault;
    assert_int_equal(sim__fault_parse(WEIR_SPAN("flap=20/10"), &fault, NULL), WEIR_OK);
    assert_true(sim__fault_has(&fault, SIM_FAULT_RESET));
    assert_false(sim__fault_is_down(&fault, 0));
    assert_false(sim__fault_is_down(&fault, 19));
    assert_true(sim__fault_is_down(&fault, 20));
    assert_true(sim__fault_is_down(&fault, 29));
    assert_false(sim__fault_is_down(&fault, 30));
    set_plan(&plan, "{\"fault\":\"status=503\",\"up_ms\":20,\"down_ms\":10}"); /* from 1000 on */
    assert_null(sim__plan_take(&plan, 1019));
    assert_non_null(sim__plan_take(&plan, 1020));
    assert_true(sim__fault_has(sim__plan_take(&plan, 1029), SIM_FAULT_STATUS));
    assert_null(sim__plan_take(&plan, 1030));
    assert_int_equal(plan.entries[0].seen, 4);
    assert_int_equal(plan.entries[0].given, 2);
    sim__plan_clear(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_good),   cmocka_unit_test(test_every_name_is_known),
        cmocka_unit_test(test_parse_bad),    cmocka_unit_test(test_plan_schedule),
        cmocka_unit_test(test_plan_refuses), cmocka_unit_test(test_plan_write),
        cmocka_unit_test(test_flapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* traceparent: the rules of the recommendation, one case each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "telemetry/traceparent.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static void what_is_taken(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *again;
    } cases[] = {
        {"00-" TRACE "-" PARENT "-01", "00-" TRACE "-" PARENT "-01"},
        {"00-" TRACE "-" PARENT "-00", "00-" TRACE "-" PARENT "-00"},
        {"00-" TRACE "-" PARENT "-ff",
         "00-" TRACE "-" PARENT "-03"}, /* flags that nobody has defined are not passed on */
        {"01-" TRACE "-" PARENT "-01", "00-" TRACE "-" PARENT "-01"}, /* a later version as far as it is known */
        {"cc-" TRACE "-" PARENT "-01-what-the-future-will-be-like", "00-" TRACE "-" PARENT "-01"},
        {"fe-" TRACE "-" PARENT "-09-", "00-" TRACE "-" PARENT "-01"},
        {"00-00000000000000000000000000000001-0000000000000001-00",
         "00-00000000000000000000000000000001-0000000000000001-00"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_traceparent traceparent;
        char again[WEIR_TRACEPARENT_SIZE];
        assert_int_equal(weir_traceparent_parse(weir_span_of_string(cases[i].text), &traceparent), WEIR_OK);
        weir_traceparent_format(&traceparent, again);
        assert_string_equal(again, cases[i].again);
    }
}

static void what_is_not(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "00",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-1",
        "00-" TRACE "-" PARENT "-01-",
        "00-" TRACE "-" PARENT "-01-more",
        "00-" TRACE "-" PARENT "-010",
        "cc-" TRACE "-" PARENT "-01.more",
        "cc-" TRACE "-" PARENT "-011",
        "ff-" TRACE "-" PARENT "-01",
        "0x-" TRACE "-" PARENT "-01",
        "0-" TRACE "-" PARENT "-0100",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00-" TRACE "-B7AD6B7169203331-01",
        "00-" TRACE "-" PARENT "-0A",
        "0A-" TRACE "-" PARENT "-01",
        "00-.af7651916cd43dd8448eb211c80319c-" PARENT "-01",
        "00-" TRACE "-b7ad6b716920333.-01",
        "00-" TRACE "-" PARENT "-.1",
        " 00-" TRACE "-" PARENT "-01",
        "00-" TRACE "-" PARENT "-01 ",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_traceparent traceparent = {.flags = 0x55};
        assert_int_equal(weir_traceparent_parse(weir_span_of_string(cases[i]), &traceparent), WEIR_EINVAL);
        assert_int_equal(traceparent.flags, 0x55);
    }
}

static void new_traces_and_spans(void **state) {
    (void)state;
    struct weir_random random = {.left = 0};
    struct weir_traceparent first, second, child, read;
    char text[WEIR_TRACEPARENT_SIZE], trace[WEIR_TRACE_ID_TEXT_SIZE];
    weir_traceparent_new(&random, &first);
    weir_traceparent_new(&random, &second);
    assert_memory_not_equal(first.trace_id, second.trace_id, 16);
    assert_memory_not_equal(first.parent_id, second.parent_id, 8);
    assert_int_equal(first.flags, WEIR_TRACE_SAMPLED);
    weir_traceparent_child(&random, &first, &child);
    assert_memory_equal(first.trace_id, child.trace_id, 16);
    assert_memory_not_equal(first.parent_id, child.parent_id, 8);
    assert_int_equal(child.flags, first.flags);
    weir_traceparent_format(&child, text);
    assert_int_equal(strlen(text), 55);
    assert_int_equal(weir_traceparent_parse(weir_span_of_string(text), &read), WEIR_OK);
    assert_memory_equal(&read, &child, sizeof read);
    weir_traceparent_trace_id(&child, trace);
    assert_memory_equal(trace, text + 3, 32);
    assert_int_equal(strlen(trace), 32);
    weir_traceparent_child(&random, &child, &child); /* in place */
    assert_memory_equal(first.trace_id, child.trace_id, 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(what_is_not),
        cmocka_unit_test(new_traces_and_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

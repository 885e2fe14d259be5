/* Borrowed bytes: comparison, cutting, numbers. */
#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_span(struct weir_span span, const char *expected) {
    assert_true(weir_span_equal(span, weir_span_of_string(expected)));
}

static void comparison(void **state) {
    (void)state;
    const struct weir_span nothing = {.at = NULL, .length = 0};
    assert_true(weir_span_equal(nothing, WEIR_SPAN("")));
    assert_true(weir_span_equal_ignore_case(WEIR_SPAN("Content-Length"), WEIR_SPAN("cONTENT-lENGTH")));
    assert_false(weir_span_equal_ignore_case(WEIR_SPAN("a"), WEIR_SPAN("ab")));
    /* Only letters have a case: '@' and '`', '[' and '{' differ by the same bit. */
    assert_false(weir_span_equal_ignore_case(WEIR_SPAN("@["), WEIR_SPAN("`{")));
    assert_false(weir_span_equal_ignore_case(WEIR_SPAN("\xC4"), WEIR_SPAN("\xE4")));
    assert_true(weir_span_starts_with(WEIR_SPAN("abc"), nothing));
    assert_true(weir_span_starts_with(WEIR_SPAN("abc"), WEIR_SPAN("ab")));
    assert_false(weir_span_starts_with(WEIR_SPAN("ab"), WEIR_SPAN("abc")));
    assert_true(weir_span_ends_with(WEIR_SPAN("abc"), WEIR_SPAN("bc")));
    assert_true(weir_span_ends_with(WEIR_SPAN("abc"), WEIR_SPAN("")));
    assert_false(weir_span_ends_with(WEIR_SPAN("bc"), WEIR_SPAN("abc")));
    assert_span(weir_span_of_string(NULL), "");
}

static void cutting(void **state) {
    (void)state;
    assert_span(weir_span_trim(WEIR_SPAN(" \t a b\t ")), "a b");
    assert_span(weir_span_trim(WEIR_SPAN(" \t ")), "");
    assert_span(weir_span_trim(WEIR_SPAN("\na\n")), "\na\n");
    assert_int_equal(weir_span_index(WEIR_SPAN("a=b=c"), '='), 1);
    assert_int_equal(weir_span_index(WEIR_SPAN("abc"), '='), 3);
    assert_int_equal(weir_span_index((struct weir_span){.at = NULL, .length = 0}, '='), 0);
    struct weir_span rest = WEIR_SPAN("a,,b");
    struct weir_span head;
    assert_true(weir_span_split(rest, ',', &head, &rest));
    assert_span(head, "a");
    assert_true(weir_span_split(rest, ',', &head, &rest));
    assert_span(head, "");
    assert_false(weir_span_split(rest, ',', &head, &rest));
    assert_span(head, "b");
    assert_span(rest, "");
    assert_true(weir_span_split(WEIR_SPAN("b,"), ',', &head, &rest));
    assert_span(head, "b");
    assert_span(rest, "");
}

static void unsigned_numbers(void **state) {
    (void)state;
    uint64_t value = 5;
    assert_int_equal(weir_span_to_uint64(WEIR_SPAN("18446744073709551615"), &value), WEIR_OK);
    assert_true(value == UINT64_MAX);
    assert_int_equal(weir_span_to_uint64(WEIR_SPAN("0007"), &value), WEIR_OK);
    assert_true(value == 7);
    assert_int_equal(weir_span_to_uint64(WEIR_SPAN("18446744073709551616"), &value), WEIR_ELIMIT);
    assert_int_equal(weir_span_to_uint64(WEIR_SPAN("99999999999999999999999"), &value), WEIR_ELIMIT);
    static const char *const wrong[] = {"", "+1", "-1", " 1", "1 ", "0x1", "1.0", "99999999999999999999999x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(weir_span_to_uint64(weir_span_of_string(wrong[i]), &value), WEIR_EINVAL);
    }
    assert_true(value == 7);
}

static void signed_numbers(void **state) {
    (void)state;
    int64_t value = 5;
    assert_int_equal(weir_span_to_int64(WEIR_SPAN("-9223372036854775808"), &value), WEIR_OK);
    assert_true(value == INT64_MIN);
    assert_int_equal(weir_span_to_int64(WEIR_SPAN("9223372036854775807"), &value), WEIR_OK);
    assert_true(value == INT64_MAX);
    assert_int_equal(weir_span_to_int64(WEIR_SPAN("-0"), &value), WEIR_OK);
    assert_true(value == 0);
    assert_int_equal(weir_span_to_int64(WEIR_SPAN("9223372036854775808"), &value), WEIR_ELIMIT);
    assert_int_equal(weir_span_to_int64(WEIR_SPAN("-9223372036854775809"), &value), WEIR_ELIMIT);
    assert_int_equal(weir_span_to_int64(WEIR_SPAN("-"), &value), WEIR_EINVAL);
    assert_int_equal(weir_span_to_int64(WEIR_SPAN("--1"), &value), WEIR_EINVAL);
    assert_true(value == 0);
}

static void c_strings(void **state) {
    (void)state;
    char out[4] = "xyz";
    assert_int_equal(weir_span_to_string(WEIR_SPAN("abcd"), out, sizeof(out)), WEIR_ELIMIT);
    assert_int_equal(weir_span_to_string(WEIR_SPAN("a\0b"), out, sizeof(out)), WEIR_ELIMIT);
    assert_string_equal(out, "xyz");
    assert_int_equal(weir_span_to_string(WEIR_SPAN("abc"), out, sizeof(out)), WEIR_OK);
    assert_string_equal(out, "abc");
    assert_int_equal(weir_span_to_string(WEIR_SPAN(""), out, 0), WEIR_ELIMIT);
    assert_int_equal(weir_span_to_string(WEIR_SPAN(""), out, 1), WEIR_OK);
    assert_string_equal(out, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparison),     cmocka_unit_test(cutting),   cmocka_unit_test(unsigned_numbers),
        cmocka_unit_test(signed_numbers), cmocka_unit_test(c_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

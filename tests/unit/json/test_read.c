/* Reading single tokens: integers and decimals to the last digit, strings to the last byte. */
#include "json/scan.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void reads_whole_numbers(void **state) {
    (void)state;
    const struct {
        const char *token;
        enum weir_status status;
        int64_t value;
    } rows[] = {
        {"0", WEIR_OK, 0},
        {"-0", WEIR_OK, 0},
        {"0.000e99999999999999999999", WEIR_OK, 0},
        {"7", WEIR_OK, 7},
        {"-12", WEIR_OK, -12},
        {"123456789012345678", WEIR_OK, 123456789012345678},
        {"9223372036854775807", WEIR_OK, INT64_MAX},
        {"-9223372036854775808", WEIR_OK, INT64_MIN},
        {"9223372036854775808", WEIR_ELIMIT, 0},
        {"-9223372036854775809", WEIR_ELIMIT, 0},
        {"99999999999999999999999999", WEIR_ELIMIT, 0},
        {"1.0", WEIR_OK, 1},
        {"1e2", WEIR_OK, 100},
        {"1E+02", WEIR_OK, 100},
        {"1200e-2", WEIR_OK, 12},
        {"120.50e1", WEIR_OK, 1205},
        {"0.00015e5", WEIR_OK, 15},
        {"922337203685477580.7e1", WEIR_OK, INT64_MAX},
        {"10.00", WEIR_OK, 10},
        {"1e18", WEIR_OK, 1000000000000000000},
        {"1e19", WEIR_ELIMIT, 0},
        {"1e400", WEIR_ELIMIT, 0},
        {"1e99999999999999999999999999", WEIR_ELIMIT, 0},
        {"1e-99999999999999999999999999", WEIR_EINVAL, 0},
        {"1.5", WEIR_EINVAL, 0},
        {"15e-1", WEIR_EINVAL, 0},
        {"0.1", WEIR_EINVAL, 0},
        {"-0.1", WEIR_EINVAL, 0},
        {"", WEIR_EINVAL, 0},
        {"-", WEIR_EINVAL, 0},
        {"01", WEIR_EINVAL, 0},
        {"1 ", WEIR_EINVAL, 0},
        {" 1", WEIR_EINVAL, 0},
        {"1x", WEIR_EINVAL, 0},
        {"\"1\"", WEIR_EINVAL, 0},
        {"true", WEIR_EINVAL, 0},
        {"1.", WEIR_EINVAL, 0},
        {"1e", WEIR_EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 4711;
        assert_int_equal(weir_json_int64(weir_span_of_string(rows[i].token), &value), rows[i].status);
        assert_true(value == (rows[i].status == WEIR_OK ? rows[i].value : 4711));
    }
}

static void scales_decimals_exactly(void **state) {
    (void)state;
    const struct {
        const char *token;
        unsigned scale;
        enum weir_status status;
        int64_t value;
        bool rounded;
    } rows[] = {
        {"1.5e-07", 15, WEIR_OK, 150000000, false},
        {"2.5e-06", 15, WEIR_OK, 2500000000, false},
        {"0.00001", 15, WEIR_OK, 10000000000, false},
        {"1e-15", 15, WEIR_OK, 1, false},
        {"1e-16", 15, WEIR_OK, 1, true},
        {"1.0000000000000001e-15", 15, WEIR_OK, 2, true},
        {"-1.1", 0, WEIR_OK, -2, true},
        {"0", 15, WEIR_OK, 0, false},
        {"9223.372036854775807", 15, WEIR_OK, INT64_MAX, false},
        {"9223.3720368547758070001", 15, WEIR_ELIMIT, 0, false},
        {"9223.372036854775808", 15, WEIR_ELIMIT, 0, false},
        {"9224", 15, WEIR_ELIMIT, 0, false},
        {"3.0000000000000000000000000e-6", 15, WEIR_OK, 3000000000, false},
        {"abc", 15, WEIR_EINVAL, 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = -1;
        bool rounded = false;
        assert_int_equal(weir_json_scaled_int64(weir_span_of_string(rows[i].token), rows[i].scale, &value, &rounded),
                         rows[i].status);
        if (rows[i].status != WEIR_OK)
            continue;
        assert_true(value == rows[i].value);
        assert_int_equal(rounded, rows[i].rounded);
    }
}

/* Every number below 100,000 with its point and exponent moved about is still that number. */
static void the_point_may_stand_anywhere(void **state) {
    (void)state;
    for (int number = 0; number < 100000; number = number * 3 / 2 + 1) {
        for (int places = 0; places <= 8; places++) {
            int power = 1;
            for (int i = 0; i < places; i++)
                power *= 10;
            char token[64];
            (void)snprintf(token, sizeof(token), "%d.%0*de%d", number / power, places + 1, number % power * 10, places);
            int64_t value;
            assert_int_equal(weir_json_int64(weir_span_of_string(token), &value), WEIR_OK);
            assert_int_equal(value, number);
        }
    }
}

static void decodes_strings(void **state) {
    (void)state;
    const struct {
        const char *token;
        const char *content; /* NULL: no string token */
    } rows[] = {
        {"\"\"", ""},
        {"\"abc\"", "abc"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u6f22\"", "A\xc3\xa9\xe6\xbc\xa2"},
        {"\"\\uD83D\\ude00!\"", "\xf0\x9f\x98\x80!"},
        {"\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf"},
        {"\"\\ud800\"", "\xef\xbf\xbd"},
        {"\"\\udc00x\"", "\xef\xbf\xbdx"},
        {"\"\\ud800\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"\\ud800\\ud800\\udc00\"", "\xef\xbf\xbd\xf0\x90\x80\x80"},
        {"\"\\ud800\\n\"", "\xef\xbf\xbd\n"},
        {"\"\\uffff\\u07ff\\u0800\"", "\xef\xbf\xbf\xdf\xbf\xe0\xa0\x80"},
        {"\"a\\q\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\u123x\"", NULL},
        {"\"\\\"", NULL},
        {"\"", NULL},
        {"", NULL},
        {"abc", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_span token = weir_span_of_string(rows[i].token);
        char out[64];
        size_t length = 0;
        if (rows[i].content == NULL) {
            assert_int_equal(weir_json_decode(token, out, sizeof(out), &length), WEIR_EINVAL);
            assert_false(weir_json_string_equals(token, WEIR_SPAN("abc")));
            continue;
        }
        struct weir_span content = weir_span_of_string(rows[i].content);
        assert_int_equal(weir_json_decode(token, out, content.length, &length),
                         WEIR_OK); /* exactly as much as it takes */
        assert_int_equal(length, content.length);
        assert_memory_equal(out, content.at, length);
        assert_true(weir_json_string_equals(token, content));
        assert_false(weir_json_string_equals(token, WEIR_SPAN("something else")));
        if (length == 0)
            continue;
        assert_int_equal(weir_json_decode(token, out, length - 1, &length), WEIR_ELIMIT);
        assert_false(weir_json_string_equals(token, weir_span_first(content, content.length - 1)));
    }
    char out[8];
    size_t length;
    assert_int_equal(weir_json_decode(WEIR_SPAN("\"a\\u0000b\""), out, sizeof(out), &length), WEIR_OK);
    assert_int_equal(length, 3);
    assert_memory_equal(out, "a\0b", 3);
}

static void plain_strings_are_their_content(void **state) {
    (void)state;
    struct weir_span content;
    assert_true(weir_json_plain_string(WEIR_SPAN("\"gpt-4o\""), &content));
    assert_true(weir_span_equal(content, WEIR_SPAN("gpt-4o")));
    assert_true(weir_json_plain_string(WEIR_SPAN("\"\""), &content));
    assert_int_equal(content.length, 0);
    assert_false(weir_json_plain_string(WEIR_SPAN("\"a\\n\""), &content));
    assert_false(weir_json_plain_string(WEIR_SPAN("12"), &content));
    assert_false(weir_json_plain_string(WEIR_SPAN("\""), &content));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_whole_numbers),
        cmocka_unit_test(scales_decimals_exactly),
        cmocka_unit_test(the_point_may_stand_anywhere),
        cmocka_unit_test(decodes_strings),
        cmocka_unit_test(plain_strings_are_their_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

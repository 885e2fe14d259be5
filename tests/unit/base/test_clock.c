/* Clocks, and the texts of moments. The calendar is held against the C library's. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SECOND_US = 1000000 };

static void assert_text(int64_t utc_us, const char *expected) {
    char text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(utc_us, text);
    assert_string_equal(text, expected);
}

static void clocks_run_forward(void **state) {
    (void)state;
    int64_t monotonic_ns = weir_clock_monotonic_ns();
    int64_t cpu_ns = weir_clock_thread_cpu_ns();
    char text[WEIR_TIMESTAMP_SIZE];
    for (unsigned i = 0; i < 10000; i++) {
        weir_clock_format_utc((int64_t)i, text);
    }
    assert_true(weir_clock_monotonic_ns() > monotonic_ns);
    assert_true(weir_clock_thread_cpu_ns() > cpu_ns);
    assert_true(weir_clock_utc_us() / SECOND_US - (int64_t)time(NULL) <= 1);
    assert_true((int64_t)time(NULL) - weir_clock_utc_us() / SECOND_US <= 1);
}

static void timestamps(void **state) {
    (void)state;
    assert_text(0, "1970-01-01T00:00:00.000000Z");
    assert_text(-1, "1969-12-31T23:59:59.999999Z");
    assert_text(INT64_C(1795267740123456), "2026-11-21T13:29:00.123456Z");
    assert_text(INT64_C(951782400) * SECOND_US, "2000-02-29T00:00:00.000000Z");
    assert_text(INT64_C(-62167219200) * SECOND_US, "0000-01-01T00:00:00.000000Z");
    /* What four digits cannot say is told as the nearest moment that they can. */
    assert_text(INT64_MIN, "0000-01-01T00:00:00.000000Z");
    assert_text(INT64_MAX, "9999-12-31T23:59:59.999999Z");
}

static void http_dates(void **state) {
    (void)state;
    char text[WEIR_HTTP_DATE_SIZE];
    weir_clock_format_http(INT64_C(784111777) * SECOND_US, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    weir_clock_format_http(INT64_C(1795267740) * SECOND_US + 999999, text);
    assert_string_equal(text, "Sat, 21 Nov 2026 13:29:00 GMT");
    weir_clock_format_http(-1, text);
    assert_string_equal(text, "Wed, 31 Dec 1969 23:59:59 GMT");
}

static void the_calendar_is_that_of_the_c_library(void **state) {
    (void)state;
    /* A step of 31.7 days and some seconds, from 0001 to 9999. */
    for (int64_t second = INT64_C(-62135596800); second < INT64_C(253402300800); second += 2738881) {
        time_t moment = (time_t)second;
        struct tm parts;
        assert_non_null(gmtime_r(&moment, &parts));
        char expected[WEIR_TIMESTAMP_SIZE + 40];
        snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.000000Z", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        char text[WEIR_TIMESTAMP_SIZE];
        weir_clock_format_utc(second * SECOND_US, text);
        assert_string_equal(text, expected);
        int64_t parsed_us = 0;
        assert_int_equal(weir_clock_parse_utc(weir_span_of_string(text), &parsed_us), WEIR_OK);
        assert_true(parsed_us == second * SECOND_US);
    }
}

static void parsing(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t utc_us;
    } rows[] = {
        {"1970-01-01", 0},
        {"1970-01-02", INT64_C(86400) * SECOND_US},
        {"2026-11-21T13:29:00Z", INT64_C(1795267740) * SECOND_US},
        {"2026-11-21t13:29:00z", INT64_C(1795267740) * SECOND_US},
        {"2026-11-21T13:29:00.1Z", INT64_C(1795267740100000)},
        {"2026-11-21T13:29:00.123456789Z", INT64_C(1795267740123456)},
        {"2026-11-21T14:29:00+01:00", INT64_C(1795267740) * SECOND_US},
        {"2026-11-21T07:59:00-05:30", INT64_C(1795267740) * SECOND_US},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"1972-06-30T23:59:60Z", INT64_C(78796800) * SECOND_US},
        {"2000-02-29", INT64_C(951782400) * SECOND_US},
        {"0000-02-29T00:00:00Z", INT64_C(-62162121600) * SECOND_US},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t utc_us = 5;
        assert_int_equal(weir_clock_parse_utc(weir_span_of_string(rows[i].text), &utc_us), WEIR_OK);
        assert_true(utc_us == rows[i].utc_us);
    }
}

static void what_is_no_moment(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "2026",
        "2026-11",
        "2026-1-21",
        "2026-11-21T",
        "2026-11-21 13:29:00Z",
        "2026-11-21T13:29Z",
        "2026-11-21T13:29:00",
        "2026-11-21T13:29:00.Z",
        "2026-11-21T13:29:00,5Z",
        "2026-11-21T13:29:00Zx",
        "2026-11-21T13:29:00+0100",
        "2026-11-21T13:29:00+24:00",
        "2026-11-21T13:29:00+01:60",
        "2026-11-21T24:00:00Z",
        "2026-11-21T13:60:00Z",
        "2026-11-21T13:29:61Z",
        "2026-00-21",
        "2026-13-21",
        "2026-11-00",
        "2026-11-31",
        "2026-02-29",
        "1900-02-29",
        "-026-11-21",
        "2026-11-21Z",
        " 2026-11-21",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t utc_us = 5;
        assert_int_equal(weir_clock_parse_utc(weir_span_of_string(wrong[i]), &utc_us), WEIR_EINVAL);
        assert_true(utc_us == 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_run_forward),
        cmocka_unit_test(timestamps),
        cmocka_unit_test(http_dates),
        cmocka_unit_test(the_calendar_is_that_of_the_c_library),
        cmocka_unit_test(parsing),
        cmocka_unit_test(what_is_no_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

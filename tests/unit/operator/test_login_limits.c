/* Failed logins: when somebody has to wait, for how long, and that a flood neither grows the table nor frees who is in it. */
#include "operator/login_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const int64_t S = 1000000, START = (int64_t)1790000000 * 1000000;

static struct operator__login_limits limits;

static void setup(void) {
    struct weir_random random = {.left = 0};
    operator__login_limits_init(&limits, &random);
}

static struct operator__login_attempt from(const char *text, const char *name) {
    struct weir_address address;
    assert_int_equal(weir_address_parse(weir_span_of_string(text), &address), WEIR_OK);
    return operator__login_attempt_of(&limits, &address, weir_span_of_string(name));
}

static void fail_times(const struct operator__login_attempt *attempt, unsigned times, int64_t at) {
    for (unsigned i = 0; i < times; i++)
        operator__login_failed(&limits, attempt, at);
}

static unsigned wait_of(const char *address, const char *name, int64_t at) {
    const struct operator__login_attempt attempt = from(address, name);
    return operator__login_must_wait(&limits, &attempt, at, NULL);
}

static void ten_failures_make_address_and_name_wait(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt attempt = from("192.0.2.1", "ada");
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES - 1, START);
    assert_int_equal(wait_of("192.0.2.1", "ada", START), 0);
    fail_times(&attempt, 1, START + 100 * S);
    assert_int_equal(wait_of("192.0.2.1", "ada", START + 100 * S), 200);
    assert_int_equal(wait_of("192.0.2.1", "grace", START + 100 * S), 200);
    assert_int_equal(wait_of("192.0.2.1", "", START + 100 * S), 200);
    assert_int_equal(wait_of("198.51.100.1", "ada", START + 100 * S), 200);
    assert_int_equal(wait_of("198.51.100.1", "grace", START + 100 * S), 0);
    assert_int_equal(wait_of("198.51.100.1", "", START + 100 * S), 0);
    assert_int_equal(wait_of("192.0.2.1", "ada", START + 300 * S - 1), 1);
    assert_int_equal(wait_of("192.0.2.1", "ada", START + 300 * S), 0);
    fail_times(&attempt, 1, START + 300 * S); /* a new window: one failure */
    assert_int_equal(wait_of("192.0.2.1", "ada", START + 301 * S), 0);
}

static void a_success_forgets(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt attempt = from("192.0.2.1", "ada");
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES - 1, START);
    operator__login_succeeded(&limits, &attempt);
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES - 1, START);
    assert_int_equal(wait_of("192.0.2.1", "ada", START), 0);
}

static void refusals_are_told_once_in_a_window(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt attempt = from("192.0.2.1", "");
    bool first = true;
    assert_int_equal(operator__login_must_wait(&limits, &attempt, START, &first), 0);
    assert_false(first);
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES, START);
    assert_int_not_equal(operator__login_must_wait(&limits, &attempt, START, &first), 0);
    assert_true(first);
    assert_int_not_equal(operator__login_must_wait(&limits, &attempt, START, &first), 0);
    assert_false(first);
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES, START + 400 * S);
    assert_int_not_equal(operator__login_must_wait(&limits, &attempt, START + 400 * S, &first), 0);
    assert_true(first);
}

static void addresses_count_as_somebody_has_them(void **state) {
    (void)state;
    setup();
    struct operator__login_attempt attempt = from("2001:db8:1:2::1", "");
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES, START);
    assert_int_not_equal(wait_of("2001:db8:1:2:ffff::9", "", START), 0);
    assert_int_equal(wait_of("2001:db8:1:3::1", "", START), 0);
    attempt = from("192.0.2.1", "");
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES, START);
    assert_int_not_equal(wait_of("::ffff:192.0.2.1", "", START), 0);
    assert_int_equal(wait_of("192.0.2.2", "", START), 0);
    attempt = operator__login_attempt_of(&limits, NULL, WEIR_SPAN(""));
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES, START);
    assert_int_not_equal(operator__login_must_wait(&limits, &attempt, START, NULL), 0);
}

static void a_clock_that_goes_back_does_not_lock_out(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt attempt = from("192.0.2.1", "");
    fail_times(&attempt, OPERATOR_LOGIN_FAILURES, START);
    assert_int_equal(wait_of("192.0.2.1", "", START - 3600 * S), 0);
}

/* Whoever floods the table with one failure each pushes out others like himself, not the one who has failed often. */
static void a_flood_does_not_free_who_waits(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt waiting = from("192.0.2.1", "ada");
    fail_times(&waiting, OPERATOR_LOGIN_FAILURES, START);
    for (unsigned i = 0; i < 100000; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
        const struct operator__login_attempt one = from(address, "");
        fail_times(&one, 1, START + S);
    }
    assert_int_not_equal(wait_of("192.0.2.1", "", START + 2 * S), 0);
    assert_int_not_equal(wait_of("198.51.100.9", "ada", START + 2 * S), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_failures_make_address_and_name_wait),
        cmocka_unit_test(a_success_forgets),
        cmocka_unit_test(refusals_are_told_once_in_a_window),
        cmocka_unit_test(addresses_count_as_somebody_has_them),
        cmocka_unit_test(a_clock_that_goes_back_does_not_lock_out),
        cmocka_unit_test(a_flood_does_not_free_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* Whoever shares an address with somebody who mistypes is not held up by it. */
static void ten_failures_hold_up_a_name_from_an_address_alone(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt attempt = from("192.0.2.1", "ada");
    fail_times(&attempt, 9, START);
    assert_int_equal(wait_of("192.0.2.1", "ada", START), 0);
    fail_times(&attempt, 1, START + 100 * S);
    assert_int_equal(wait_of("192.0.2.1", "ada", START + 100 * S), 200);
    assert_int_equal(wait_of("192.0.2.1", "grace", START + 100 * S), 0);
    assert_int_equal(wait_of("192.0.2.1", "", START + 100 * S), 0);
    assert_int_equal(wait_of("198.51.100.1", "ada", START + 100 * S), 0);
    assert_int_equal(wait_of("192.0.2.1", "ada", START + 300 * S - 1), 1);
    assert_int_equal(wait_of("192.0.2.1", "ada", START + 300 * S), 0);
    fail_times(&attempt, 1, START + 300 * S); /* a new window: one failure */
    assert_int_equal(wait_of("192.0.2.1", "ada", START + 301 * S), 0);
}

static void thirty_failures_hold_up_a_name_from_everywhere(void **state) {
    (void)state;
    setup();
    for (unsigned i = 1; i <= 30; i++) {
        char address[32];
        assert_int_equal(wait_of("203.0.113.9", "ada", START), 0);
        (void)snprintf(address, sizeof address, "192.0.2.%u", i);
        const struct operator__login_attempt attempt = from(address, "ada");
        fail_times(&attempt, 1, START);
    }
    assert_int_equal(wait_of("203.0.113.9", "ada", START), 300);
    assert_int_equal(wait_of("192.0.2.1", "grace", START), 0);
    assert_int_equal(wait_of("192.0.2.1", "", START), 0);
}

static void a_hundred_failures_hold_up_an_address(void **state) {
    (void)state;
    setup();
    for (unsigned i = 0; i < 100; i++) {
        char name[32];
        assert_int_equal(wait_of("192.0.2.1", "ada", START), 0);
        assert_int_equal(wait_of("192.0.2.1", "", START), 0);
        (void)snprintf(name, sizeof name, "name%u", i);
        const struct operator__login_attempt attempt = from("192.0.2.1", i % 2 == 0 ? name : "");
        fail_times(&attempt, 1, START);
    }
    assert_int_equal(wait_of("192.0.2.1", "ada", START), 300);
    assert_int_equal(wait_of("192.0.2.1", "", START), 300);
    assert_int_equal(wait_of("192.0.2.2", "name0", START), 0);
}

/* Else somebody with a password of his own could guess at others' without end. */
static void a_success_forgets_what_was_its_own(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt attempt = from("192.0.2.1", "ada"), other = from("192.0.2.1", "grace");
    for (unsigned i = 0; i < 3; i++) {
        fail_times(&attempt, 9, START);
        operator__login_succeeded(&limits, &attempt);
        assert_int_equal(wait_of("192.0.2.1", "ada", START), 0);
    }
    fail_times(&other, 9, START);
    operator__login_succeeded(&limits, &attempt);
    fail_times(&other, 1, START);
    assert_int_not_equal(wait_of("192.0.2.1", "grace", START), 0);
    fail_times(&attempt, 3, START);
    assert_int_not_equal(wait_of("198.51.100.1", "ada", START), 0);
}

static void refusals_are_told_once_in_a_window(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt attempt = from("192.0.2.1", "");
    bool first = true;
    assert_int_equal(operator__login_must_wait(&limits, &attempt, START, &first), 0);
    assert_false(first);
    fail_times(&attempt, OPERATOR_LOGIN_ADDRESS_FAILURES, START);
    assert_int_not_equal(operator__login_must_wait(&limits, &attempt, START, &first), 0);
    assert_true(first);
    assert_int_not_equal(operator__login_must_wait(&limits, &attempt, START, &first), 0);
    assert_false(first);
    fail_times(&attempt, OPERATOR_LOGIN_ADDRESS_FAILURES, START + 400 * S);
    assert_int_not_equal(operator__login_must_wait(&limits, &attempt, START + 400 * S, &first), 0);
    assert_true(first);
}

static void addresses_count_as_somebody_has_them(void **state) {
    (void)state;
    setup();
    struct operator__login_attempt attempt = from("2001:db8:1:2::1", "");
    fail_times(&attempt, OPERATOR_LOGIN_ADDRESS_FAILURES, START);
    assert_int_not_equal(wait_of("2001:db8:1:2:ffff::9", "", START), 0);
    assert_int_equal(wait_of("2001:db8:1:3::1", "", START), 0);
    attempt = from("192.0.2.1", "");
    fail_times(&attempt, OPERATOR_LOGIN_ADDRESS_FAILURES, START);
    assert_int_not_equal(wait_of("::ffff:192.0.2.1", "", START), 0);
    assert_int_equal(wait_of("192.0.2.2", "", START), 0);
    attempt = operator__login_attempt_of(&limits, NULL, WEIR_SPAN(""));
    fail_times(&attempt, OPERATOR_LOGIN_ADDRESS_FAILURES, START);
    assert_int_not_equal(operator__login_must_wait(&limits, &attempt, START, NULL), 0);
}

static void a_clock_that_goes_back_does_not_lock_out(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt attempt = from("192.0.2.1", "");
    fail_times(&attempt, OPERATOR_LOGIN_ADDRESS_FAILURES, START);
    assert_int_equal(wait_of("192.0.2.1", "", START - 3600 * S), 0);
}

/* Whoever floods the tables pushes out others like himself, not who has failed often, and never who waits. */
static void a_flood_does_not_free_who_waits(void **state) {
    (void)state;
    setup();
    const struct operator__login_attempt pair = from("192.0.2.1", "ada"), name = from("192.0.2.2", "grace");
    const struct operator__login_attempt address = from("192.0.2.3", ""), near = from("192.0.2.4", "alan");
    fail_times(&pair, OPERATOR_LOGIN_PAIR_FAILURES, START);
    fail_times(&name, OPERATOR_LOGIN_NAME_FAILURES, START);
    fail_times(&address, OPERATOR_LOGIN_ADDRESS_FAILURES, START);
    fail_times(&near, OPERATOR_LOGIN_PAIR_FAILURES - 1, START);
    for (unsigned i = 0; i < 100000; i++) {
        char text[32], other[32];
        (void)snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
        (void)snprintf(other, sizeof other, "name%u", i);
        const struct operator__login_attempt one = from(text, other);
        fail_times(&one, i % 10000 == 0 ? OPERATOR_LOGIN_PAIR_FAILURES : 1, START + S);
    }
    assert_int_not_equal(wait_of("192.0.2.1", "ada", START + 2 * S), 0);
    assert_int_not_equal(wait_of("198.51.100.9", "grace", START + 2 * S), 0);
    assert_int_not_equal(wait_of("192.0.2.3", "", START + 2 * S), 0);
    fail_times(&near, 1, START + 2 * S);
    assert_int_not_equal(wait_of("192.0.2.4", "alan", START + 2 * S), 0);
}

/* Where a whole set waits there is no room for a newcomer: he is counted elsewhere, and nobody is freed. */
static void who_waits_is_never_pushed_out(void **state) {
    (void)state;
    enum { MANY = 2 * OPERATOR_LOGIN_SETS * OPERATOR_LOGIN_WAYS };
    static bool waits[MANY];
    unsigned count = 0;
    setup();
    for (unsigned i = 0; i < 2 * MANY; i++) { /* all fail, then all are looked at */
        char text[32];
        (void)snprintf(text, sizeof text, "10.0.%u.%u", i % MANY >> 8, i % MANY & 255);
        const struct operator__login_attempt one = from(text, "");
        if (i < MANY)
            fail_times(&one, OPERATOR_LOGIN_ADDRESS_FAILURES, START);
        bool must_wait = operator__login_must_wait(&limits, &one, START, NULL) > 0;
        if (i < MANY)
            waits[i] = must_wait;
        else
            assert_int_equal(must_wait, waits[i - MANY]);
        count += i < MANY && must_wait;
    }
    assert_in_range(count, 1, OPERATOR_LOGIN_SETS * OPERATOR_LOGIN_WAYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_failures_hold_up_a_name_from_an_address_alone),
        cmocka_unit_test(thirty_failures_hold_up_a_name_from_everywhere),
        cmocka_unit_test(a_hundred_failures_hold_up_an_address),
        cmocka_unit_test(a_success_forgets_what_was_its_own),
        cmocka_unit_test(refusals_are_told_once_in_a_window),
        cmocka_unit_test(addresses_count_as_somebody_has_them),
        cmocka_unit_test(a_clock_that_goes_back_does_not_lock_out),
        cmocka_unit_test(a_flood_does_not_free_who_waits),
        cmocka_unit_test(who_waits_is_never_pushed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Statuses, reasons and the small header-only parts. */
#include "base/arithmetic.h"
#include "base/list.h"
#include "base/reasons.h"
#include "base/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void every_status_has_a_name_of_its_own(void **state) {
    (void)state;
    for (int i = 0; i < WEIR_STATUS_COUNT; i++) {
        const char *name = weir_status_name((enum weir_status)i);
        assert_true(strlen(name) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, weir_status_name((enum weir_status)j));
        }
    }
    assert_string_equal(weir_status_name(WEIR_ENOTFOUND), "not_found");
    assert_string_equal(weir_status_name((enum weir_status)WEIR_STATUS_COUNT), "unknown");
}

static void a_failure_carries_its_words(void **state) {
    (void)state;
    struct weir_error error;
    assert_int_equal(weir_fail(&error, WEIR_EIO, "cannot read %s: %d", "it", 7), WEIR_EIO);
    assert_int_equal(error.status, WEIR_EIO);
    assert_string_equal(error.text, "cannot read it: 7");
    assert_int_equal(weir_fail(&error, WEIR_EINVAL, "line 3: %s", error.text), WEIR_EINVAL);
    assert_string_equal(error.text, "line 3: cannot read it: 7");
    assert_int_equal(weir_fail(NULL, WEIR_ELIMIT, "nobody listens"), WEIR_ELIMIT);
}

static void a_long_failure_is_cut(void **state) {
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct weir_error error;
    assert_int_equal(weir_fail(&error, WEIR_EIO, "%s", text), WEIR_EIO);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

static bool is_known_http_status(unsigned status) {
    return status >= 400 && status < 600;
}

static void every_reason_is_a_complete_row(void **state) {
    (void)state;
    /* The name of the enumerator in lower case is what clients get as `code`. */
    static const char *const names[] = {
        "",
#define X(NAME, ...) #NAME,
#include "base/reasons.def"
#undef X
    };
    for (int i = 1; i < WEIR_REASON_COUNT; i++) {
        const struct weir_reason_row *row = weir_reason_row((enum weir_reason)i);
        assert_true(weir_span_equal_ignore_case(weir_span_of_string(names[i]), weir_span_of_string(row->name)));
        for (const char *at = row->name; *at != '\0'; at++) {
            assert_true((*at >= 'a' && *at <= 'z') || *at == '_');
        }
        assert_true(strlen(row->code) > 0 && strlen(row->reason_code) > 0 && strlen(row->type) > 0);
        assert_true(is_known_http_status(row->status));
        assert_true(row->hint != NULL && row->runbook != NULL);
        size_t length = strlen(row->message);
        assert_true(length > 0 && row->message[length - 1] != '.');
        /* "Repeat after 5 s" and "do not repeat" contradict each other. */
        assert_true(row->retry_after_seconds == 0 || row->may_retry);
    }
}

static void known_rows(void **state) {
    (void)state;
    const struct weir_reason_row *none = weir_reason_row(WEIR_REASON_NONE);
    assert_int_equal(none->status, 200);
    assert_string_equal(none->name, "");
    assert_string_equal(none->message, "");
    const struct weir_reason_row *limited = weir_reason_row(WEIR_REASON_RATE_LIMITED);
    assert_string_equal(limited->name, "rate_limited");
    assert_string_equal(limited->code, "RATE_LIMITED");
    assert_int_equal(limited->status, 429);
    assert_int_equal(limited->retry_after_seconds, 1);
    assert_true(limited->may_retry);
    assert_false(weir_reason_row(WEIR_REASON_KEY_UNKNOWN)->may_retry);
}

static void arithmetic_refuses_to_overflow(void **state) {
    (void)state;
    int64_t out = 7;
    assert_false(weir_add_int64(INT64_MAX, 1, &out));
    assert_false(weir_multiply_int64(INT64_MIN, -1, &out));
    assert_true(weir_add_int64(INT64_MAX, -1, &out));
    assert_int_equal(out, INT64_MAX - 1);
    size_t size = 0;
    assert_false(weir_add_size(SIZE_MAX, 1, &size));
    assert_false(weir_multiply_size(SIZE_MAX / 2, 3, &size));
    assert_true(weir_multiply_size(6, 7, &size));
    assert_int_equal(size, 42);
}

struct element {
    int number;
    struct weir_list link;
};

static void a_list_keeps_its_order(void **state) {
    (void)state;
    struct weir_list head;
    weir_list_init(&head);
    assert_true(weir_list_is_empty(&head));
    struct element elements[3];
    for (int i = 0; i < 3; i++) {
        elements[i].number = i;
        weir_list_init(&elements[i].link);
        weir_list_remove(&elements[i].link); /* legal in no list */
        weir_list_append(&head, &elements[i].link);
    }
    weir_list_remove(&elements[1].link);
    weir_list_remove(&elements[1].link);
    assert_int_equal(WEIR_CONTAINER_OF(head.next, struct element, link)->number, 0);
    assert_int_equal(WEIR_CONTAINER_OF(head.previous, struct element, link)->number, 2);
    weir_list_remove(&elements[0].link);
    weir_list_remove(&elements[2].link);
    assert_true(weir_list_is_empty(&head));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_of_its_own),
        cmocka_unit_test(a_failure_carries_its_words),
        cmocka_unit_test(a_long_failure_is_cut),
        cmocka_unit_test(every_reason_is_a_complete_row),
        cmocka_unit_test(known_rows),
        cmocka_unit_test(arithmetic_refuses_to_overflow),
        cmocka_unit_test(a_list_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Buffers: growth to the maximum, the remembered failure, moves. */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_content(const struct weir_buffer *buffer, const char *expected) {
    assert_true(weir_span_equal(weir_buffer_span(buffer), weir_span_of_string(expected)));
}

static void building(void **state) {
    (void)state;
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 1000);
    assert_content(&buffer, "");
    weir_buffer_append(&buffer, WEIR_SPAN("n="));
    weir_buffer_append_uint64(&buffer, UINT64_MAX);
    weir_buffer_append_byte(&buffer, ' ');
    weir_buffer_append_int64(&buffer, INT64_MIN);
    weir_buffer_append_byte(&buffer, ' ');
    weir_buffer_append_int64(&buffer, 0);
    weir_buffer_append(&buffer, (struct weir_span){.at = NULL, .length = 0});
    weir_buffer_printf(&buffer, " %s/%d", "x", 5);
    assert_content(&buffer, "n=18446744073709551615 -9223372036854775808 0 x/5");
    weir_buffer_consume(&buffer, 2);
    weir_buffer_consume(&buffer, 0);
    assert_int_equal(buffer.at[0], '1');
    weir_buffer_consume(&buffer, buffer.length);
    assert_content(&buffer, "");
    assert_int_equal(weir_buffer_status(&buffer), WEIR_OK);
    weir_buffer_release(&buffer);
    weir_buffer_release(&buffer);
}

static void the_maximum_is_exact(void **state) {
    (void)state;
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 5);
    weir_buffer_append(&buffer, WEIR_SPAN("123"));
    weir_buffer_printf(&buffer, "%s", "45"); /* to the last byte: the NUL needs none of them */
    assert_int_equal(weir_buffer_status(&buffer), WEIR_OK);
    assert_content(&buffer, "12345");
    weir_buffer_append_byte(&buffer, '6');
    assert_int_equal(weir_buffer_status(&buffer), WEIR_ELIMIT);
    weir_buffer_release(&buffer);
    weir_buffer_init(&buffer, 5);
    weir_buffer_printf(&buffer, "%s", "123456");
    assert_int_equal(weir_buffer_status(&buffer), WEIR_ELIMIT);
    assert_content(&buffer, "");
    weir_buffer_release(&buffer);
    weir_buffer_init(&buffer, 0);
    weir_buffer_append(&buffer, WEIR_SPAN(""));
    assert_int_equal(weir_buffer_status(&buffer), WEIR_OK);
    weir_buffer_append_byte(&buffer, 'x');
    assert_int_equal(weir_buffer_status(&buffer), WEIR_ELIMIT);
    weir_buffer_release(&buffer);
}

static void a_failed_buffer_stays_failed_until_cleared(void **state) {
    (void)state;
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 4);
    weir_buffer_append(&buffer, WEIR_SPAN("abc"));
    weir_buffer_append(&buffer, WEIR_SPAN("de"));
    weir_buffer_append_byte(&buffer, 'f'); /* would fit, but the text would have a hole */
    weir_buffer_printf(&buffer, "g");
    assert_null(weir_buffer_reserve(&buffer, 1));
    assert_null(weir_buffer_reserve(&buffer, SIZE_MAX));
    assert_content(&buffer, "abc");
    assert_int_equal(weir_buffer_status(&buffer), WEIR_ELIMIT);
    weir_buffer_clear(&buffer);
    assert_int_equal(weir_buffer_status(&buffer), WEIR_OK);
    weir_buffer_append(&buffer, WEIR_SPAN("wxyz"));
    assert_content(&buffer, "wxyz");
    weir_buffer_release(&buffer);
    assert_int_equal(buffer.max_bytes, 4);
}

static void no_memory_is_remembered(void **state) {
    (void)state;
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, SIZE_MAX);
    weir_buffer_append_byte(&buffer, 'a');
    assert_null(weir_buffer_reserve(&buffer, SIZE_MAX - 1)); /* fits the maximum, but not with one byte more */
    assert_int_equal(weir_buffer_status(&buffer), WEIR_ENOMEM);
    assert_content(&buffer, "a");
    weir_buffer_clear(&buffer);
    weir_buffer_append_byte(&buffer, 'b');
    assert_null(weir_buffer_reserve(&buffer, SIZE_MAX));
    assert_int_equal(weir_buffer_status(&buffer), WEIR_ELIMIT);
    weir_buffer_release(&buffer);
}

static void growth_keeps_the_content(void **state) {
    (void)state;
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 1 << 20);
    for (unsigned i = 0; i < 100000; i++) {
        weir_buffer_append_byte(&buffer, (char)('a' + i % 26));
    }
    assert_int_equal(buffer.length, 100000);
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(buffer.at[i], 'a' + i % 26);
    }
    assert_true(buffer.capacity < 300000);
    char *at = weir_buffer_reserve(&buffer, 300000);
    assert_non_null(at);
    memset(at, 'z', 300000);
    weir_buffer_commit(&buffer, 300000);
    assert_int_equal(buffer.length, 400000);
    assert_int_equal(weir_buffer_status(&buffer), WEIR_OK);
    weir_buffer_release(&buffer);
}

static void a_taken_buffer_leaves_an_empty_one(void **state) {
    (void)state;
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 100);
    weir_buffer_append(&buffer, WEIR_SPAN("cargo"));
    struct weir_buffer taken = weir_buffer_take(&buffer);
    assert_content(&buffer, "");
    assert_content(&taken, "cargo");
    weir_buffer_append(&buffer, WEIR_SPAN("more"));
    assert_content(&buffer, "more");
    assert_content(&taken, "cargo");
    weir_buffer_release(&buffer);
    weir_buffer_release(&taken);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(building),
        cmocka_unit_test(the_maximum_is_exact),
        cmocka_unit_test(a_failed_buffer_stays_failed_until_cleared),
        cmocka_unit_test(no_memory_is_remembered),
        cmocka_unit_test(growth_keeps_the_content),
        cmocka_unit_test(a_taken_buffer_leaves_an_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

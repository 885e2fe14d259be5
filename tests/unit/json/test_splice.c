/* Edits to a text: what is not edited stays, to the byte. */
#include "json/splice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_result(struct weir_json_splice *splice, const char *text, const char *expected) {
    struct weir_buffer out;
    weir_buffer_init(&out, 1000);
    struct weir_span original = weir_span_of_string(text);
    assert_int_equal(weir_json_splice_length(splice, original.length), strlen(expected));
    weir_json_splice_write(splice, original, &out);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    assert_int_equal(out.length, strlen(expected));
    if (out.length > 0)
        assert_memory_equal(out.at, expected, out.length);
    weir_buffer_release(&out);
}

static void no_edit_is_the_text(void **state) {
    (void)state;
    struct weir_json_splice splice = {.count = 0};
    assert_result(&splice, "abc", "abc");
    assert_result(&splice, "", "");
}

static void replaces_inserts_and_removes_in_any_order(void **state) {
    (void)state;
    struct weir_json_splice splice = {.count = 0};
    assert_int_equal(weir_json_splice_add(&splice, 10, 0, WEIR_SPAN("END")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 2, 3, WEIR_SPAN("XY")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 0, 0, WEIR_SPAN("<")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 7, 1, WEIR_SPAN("")), WEIR_OK);
    assert_result(&splice, "0123456789", "<01XY5689END");
    struct weir_span parts[2 * WEIR_JSON_MAX_EDITS + 1];
    assert_int_equal(weir_json_splice_parts(&splice, WEIR_SPAN("0123456789"), parts), 6);
    assert_true(weir_span_equal(parts[0], WEIR_SPAN("<")));
    assert_true(weir_span_equal(parts[5], WEIR_SPAN("END")));
}

static void insertions_at_one_place_keep_their_order(void **state) {
    (void)state;
    struct weir_json_splice splice = {.count = 0};
    assert_int_equal(weir_json_splice_add(&splice, 1, 1, WEIR_SPAN("R")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 1, 0, WEIR_SPAN("1")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 1, 0, WEIR_SPAN("2")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 2, 0, WEIR_SPAN("3")), WEIR_OK);
    assert_result(&splice, "abc", "a12R3c");
}

static void overlapping_edits_are_refused(void **state) {
    (void)state;
    struct weir_json_splice splice = {.count = 0};
    assert_int_equal(weir_json_splice_add(&splice, 2, 4, WEIR_SPAN("X")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 2, 1, WEIR_SPAN("")), WEIR_EINVAL);
    assert_int_equal(weir_json_splice_add(&splice, 3, 0, WEIR_SPAN("i")), WEIR_EINVAL);
    assert_int_equal(weir_json_splice_add(&splice, 5, 3, WEIR_SPAN("")), WEIR_EINVAL);
    assert_int_equal(weir_json_splice_add(&splice, 0, 10, WEIR_SPAN("")), WEIR_EINVAL);
    assert_int_equal(weir_json_splice_add(&splice, 3, SIZE_MAX, WEIR_SPAN("")), WEIR_EINVAL);
    assert_int_equal(weir_json_splice_add(&splice, 6, 2, WEIR_SPAN("")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 0, 2, WEIR_SPAN("")), WEIR_OK);
    assert_result(&splice, "0123456789", "X89");
}

static void there_is_a_most(void **state) {
    (void)state;
    struct weir_json_splice splice = {.count = 0};
    for (size_t i = 0; i < WEIR_JSON_MAX_EDITS; i++)
        assert_int_equal(weir_json_splice_add(&splice, 2 * i, 1, WEIR_SPAN("-")), WEIR_OK);
    assert_int_equal(weir_json_splice_add(&splice, 30, 0, WEIR_SPAN("-")), WEIR_ELIMIT);
    assert_result(&splice, "0123456789abcdef!", "-1-3-5-7-9-b-d-f!");
    struct weir_span parts[2 * WEIR_JSON_MAX_EDITS + 1];
    assert_int_equal(weir_json_splice_parts(&splice, WEIR_SPAN("0123456789abcdef!"), parts), 16);
}

/* All ways to make two edits in a short text, against the same done byte by byte. */
static void any_two_edits(void **state) {
    (void)state;
    const char text[] = "abcdef";
    const struct weir_span with[] = {WEIR_SPAN(""), WEIR_SPAN("XY")};
    for (size_t i = 0; i < 7 * 4 * 7 * 4 * 4; i++) {
        size_t at[2] = {i % 7, i / 28 % 7};
        size_t remove[2] = {i / 7 % 4, i / 196 % 4};
        const struct weir_span put[2] = {with[i / 784 % 2], with[i / 1568]};
        if (at[0] + remove[0] > 6 || at[1] + remove[1] > 6)
            continue;
        struct weir_json_splice splice = {.count = 0};
        assert_int_equal(weir_json_splice_add(&splice, at[0], remove[0], put[0]), WEIR_OK);
        if (weir_json_splice_add(&splice, at[1], remove[1], put[1]) != WEIR_OK)
            continue;
        char expected[32] = "";
        size_t used = 0;
        for (size_t place = 0; place <= 6; place++) {
            bool kept = place < 6;
            for (size_t pass = 0; pass < 2; pass++) {
                for (size_t edit = 0; edit < 2; edit++) {
                    if (at[edit] == place && (remove[edit] == 0) == (pass == 0)) {
                        memcpy(expected + used, put[edit].at, put[edit].length);
                        used += put[edit].length;
                    }
                    if (place >= at[edit] && place < at[edit] + remove[edit])
                        kept = false;
                }
            }
            if (kept)
                expected[used++] = text[place];
        }
        expected[used] = '\0';
        assert_result(&splice, text, expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_edit_is_the_text),
        cmocka_unit_test(replaces_inserts_and_removes_in_any_order),
        cmocka_unit_test(insertions_at_one_place_keep_their_order),
        cmocka_unit_test(overlapping_edits_are_refused),
        cmocka_unit_test(there_is_a_most),
        cmocka_unit_test(any_two_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

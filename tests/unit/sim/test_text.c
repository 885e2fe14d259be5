/* The text of answers: the same from the same seed, cut into tokens that add up to it. */
#include "sim/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct weir_span join(struct weir_arena *arena, const struct sim_text *text) {
    char *bytes = weir_arena_alloc(arena, text->count * 16 + 1);
    size_t length = 0;
    assert_non_null(bytes);
    for (size_t i = 0; i < text->count; i++) {
        struct weir_span token = sim__text_token(text, i);
        memcpy(bytes + length, token.at, token.length);
        length += token.length;
    }
    return weir_span_of(bytes, length);
}

static int setup(void **state) {
    *state = weir_arena_new(0, 1 << 20);
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state) {
    struct weir_arena *arena = *state;
    weir_arena_free(&arena);
    return 0;
}

static void test_words_repeat(void **state) {
    struct sim_text a = sim__text_words(42, 30);
    struct sim_text b = sim__text_words(42, 30);
    struct sim_text c = sim__text_words(43, 30);
    struct weir_span first = join(*state, &a);
    assert_true(weir_span_equal(first, join(*state, &b)));
    assert_false(weir_span_equal(first, join(*state, &c)));
    assert_true(first.at[0] != ' ');
    size_t spaces = 0;
    for (size_t i = 0; i < first.length; i++) {
        spaces += first.at[i] == ' ' ? 1 : 0;
        assert_true(first.at[i] == ' ' || (first.at[i] >= 'a' && first.at[i] <= 'z'));
    }
    assert_int_equal(spaces, 29);
}

static void test_hash_depends_on_order(void **state) {
    (void)state;
    uint64_t ab = sim__hash(sim__hash(0, WEIR_SPAN("a")), WEIR_SPAN("b"));
    uint64_t ba = sim__hash(sim__hash(0, WEIR_SPAN("b")), WEIR_SPAN("a"));
    assert_true(ab != ba);
    assert_true(ab == sim__hash(sim__hash(0, WEIR_SPAN("a")), WEIR_SPAN("b")));
}

static void test_pieces_keep_characters_whole(void **state) {
    struct weir_span bytes = WEIR_SPAN("{\"caf\xc3\xa9\":\"\xf0\x9f\x8c\x8a\xf0\x9f\x8c\x8a ok\"}");
    struct sim_text text;
    assert_int_equal(sim__text_pieces(*state, bytes, &text), WEIR_OK);
    assert_true(weir_span_equal(join(*state, &text), bytes));
    for (size_t i = 0; i < text.count; i++) {
        struct weir_span token = sim__text_token(&text, i);
        assert_true(token.length > 0);
        assert_true(((unsigned char)token.at[0] & 0xc0) != 0x80);
    }
    assert_int_equal(sim__text_pieces(*state, WEIR_SPAN(""), &text), WEIR_OK);
    assert_int_equal(text.count, 0);
}

static void test_stop_cuts_exactly(void **state) {
    struct sim_text whole = sim__text_words(7, 12);
    struct weir_span all = join(*state, &whole);
    for (size_t from = 0; from + 2 < all.length; from++) {
        struct weir_span stop = weir_span_of(all.at + from, 2);
        size_t expected = (size_t)((const char *)memmem(all.at, all.length, stop.at, stop.length) - all.at);
        struct sim_text text = sim__text_words(7, 12);
        bool stopped = false;
        assert_int_equal(sim__text_stop(*state, &stop, 1, &text, &stopped), WEIR_OK);
        assert_true(stopped);
        struct weir_span left = join(*state, &text);
        assert_int_equal(left.length, expected);
        assert_memory_equal(left.at, all.at, left.length);
    }
}

static void test_stop_absent_leaves_all(void **state) {
    struct sim_text text = sim__text_words(7, 12);
    struct weir_span all = join(*state, &text);
    const struct weir_span stops[] = {WEIR_SPAN(""), WEIR_SPAN("\n"), WEIR_SPAN("###")};
    bool stopped = true;
    assert_int_equal(sim__text_stop(*state, stops, 3, &text, &stopped), WEIR_OK);
    assert_false(stopped);
    assert_int_equal(text.count, 12);
    assert_true(weir_span_equal(join(*state, &text), all));
}

static void test_no_memory_is_told(void **state) {
    (void)state;
    struct weir_arena *small = weir_arena_new(0, 64);
    struct sim_text text = sim__text_words(1, 1000);
    struct weir_span stop = WEIR_SPAN("x");
    bool stopped = false;
    assert_int_equal(sim__text_stop(small, &stop, 1, &text, &stopped), WEIR_ENOMEM);
    char bytes[1000] = {'a'};
    assert_int_equal(sim__text_pieces(small, weir_span_of(bytes, sizeof bytes), &text), WEIR_ENOMEM);
    weir_arena_free(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_words_repeat, setup, teardown),
        cmocka_unit_test(test_hash_depends_on_order),
        cmocka_unit_test_setup_teardown(test_pieces_keep_characters_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_cuts_exactly, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_absent_leaves_all, setup, teardown),
        cmocka_unit_test(test_no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

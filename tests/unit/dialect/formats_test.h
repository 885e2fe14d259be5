/* What the tests of the formats share: an arena, a call read from a body or from a form's fields, and the comparison of edited texts. */
#ifndef WEIR_TESTS_FORMATS_TEST_H
#define WEIR_TESTS_FORMATS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "dialect/dialect.h"

static struct weir_arena *arena;

static inline int set_up(void **state) {
    (void)state;
    arena = weir_arena_new(0, WEIR_MIB);
    return arena == NULL;
}

static inline int tear_down(void **state) {
    (void)state;
    weir_arena_free(&arena);
    return 0;
}

static inline void assert_text(struct weir_span text, const char *expected) {
    if (!weir_span_equal(text, weir_span_of_string(expected)))
        fail_msg("it is\n%.*s\nand should be\n%s", WEIR_SPAN_PRINT(text), expected);
}

static inline void assert_spliced(struct weir_json_splice *splice, struct weir_span text, const char *expected) {
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_splice_write(splice, text, &out);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    assert_text(weir_buffer_span(&out), expected);
    assert_int_equal(weir_json_splice_length(splice, text.length), strlen(expected));
    weir_buffer_release(&out);
}

/* A call that must be readable. */
static inline struct weir_call call_of(const struct weir_format *format, const char *body) {
    struct weir_call call;
    struct weir_call_problem problem = {.field = "", .text = ""};
    if (format->read_call(arena, weir_span_of_string(body), &call, &problem) != WEIR_OK)
        fail_msg("%s: %s\n%s", format->name, problem.text, body);
    return call;
}

#endif

/* Lines and arrays: every shape, cut everywhere. */
#include "framing_transcript.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

struct row {
    const char *input, *expected;
};

static void check(enum weir_framing framing, const struct row *row, size_t max_piece_bytes) {
    for (transcript_cut cut = 0; cut < 40; cut++) {
        struct weir_buffer text = framing_transcript_of(framing, weir_span_of_string(row->input), max_piece_bytes, cut);
        if (!weir_span_equal(weir_buffer_span(&text), weir_span_of_string(row->expected)))
            fail_msg("cut %u of %s\n got: %.*s\nnot: %s", cut, row->input, WEIR_SPAN_PRINT(weir_buffer_span(&text)),
                     row->expected);
        weir_buffer_release(&text);
    }
}

static void check_all(enum weir_framing framing, const struct row *rows, size_t count, size_t max_piece_bytes) {
    for (size_t i = 0; i < count; i++)
        check(framing, &rows[i], max_piece_bytes);
}
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void test_lines(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"", ""},
        {"{}\n", "<|{}|{}\n>"},
        {"{\"a\":1}\n{\"b\":2}\n", "<|{\"a\":1}|{\"a\":1}\n><|{\"b\":2}|{\"b\":2}\n>"},
        {"{}\r\n{}\r\n", "<|{}|{}\r\n><|{}|{}\r\n>"},
        {" {} \n\t{}\n", "<|{}| {} \n><|{}|\t{}\n>"},
        /* The last line needs no end. */
        {"{}\n{\"done\":true}", "<|{}|{}\n><|{\"done\":true}|{\"done\":true}>"},
        {"{\"half", "<|{\"half|{\"half>"},
        /* A blank line carries nothing. */
        {"\n{}\n\r\n", "<|-|\n><|{}|{}\n><|-|\r\n>"},
        {"{}\n  ", "<|{}|{}\n><|-|  >"},
        /* A line's content is not looked into. */
        {"data: {}\n", "<|data: {}|data: {}\n>"},
        {"\"a\\nb\"\n", "<|\"a\\nb\"|\"a\\nb\"\n>"},
        /* Longer than what a search takes at a time. */
        {"{\"content\":\"01234567890123456789012345678901234567890123456789\"}\n{}\n",
         "<|{\"content\":\"01234567890123456789012345678901234567890123456789\"}|"
         "{\"content\":\"01234567890123456789012345678901234567890123456789\"}\n><|{}|{}\n>"},
    };
    check_all(WEIR_FRAMING_LINES, rows, COUNT(rows), 10000);
}

static void test_array(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"", ""},
        {"[]", "<|-|[]>"},
        {" [ ] \n", "<|-| [ ]><|-| \n>"},
        {"[{}]", "<|{}|[{}><|-|]>"},
        {"[{\"a\":1}\n,\r\n{\"b\":[1,{}]}\n]",
         "<|{\"a\":1}|[{\"a\":1}><|{\"b\":[1,{}]}|\n,\r\n{\"b\":[1,{}]}><|-|\n]>"},
        /* Brackets, quotes and backslashes within strings. */
        {"[{\"}\":\"]{[\"},{}]", "<|{\"}\":\"]{[\"}|[{\"}\":\"]{[\"}><|{}|,{}><|-|]>"},
        {"[{\"a\":\"\\\"}\\\\\"},{}]", "<|{\"a\":\"\\\"}\\\\\"}|[{\"a\":\"\\\"}\\\\\"}><|{}|,{}><|-|]>"},
        /* What has not ended is none. */
        {"[{\"a\":", ""},
        {"[{},", "<|{}|[{}>"},
        /* No such array. */
        {"{}", "protocol_error"},
        {"x", "protocol_error"},
        {"[1]", "protocol_error"},
        {"[[]]", "protocol_error"},
        {"[,{}]", "protocol_error"},
        {"[{}{}]", "<|{}|[{}>protocol_error"},
        {"[{},]", "<|{}|[{}>protocol_error"},
        {"[{}] \n x", "<|{}|[{}><|-|]>protocol_error"},
        {"[{}]x", "<|{}|[{}><|-|]>protocol_error"},
        {"[{}],", "<|{}|[{}><|-|]>protocol_error"},
    };
    check_all(WEIR_FRAMING_ARRAY, rows, COUNT(rows), 10000);
}

static void test_bounds(void **state) {
    (void)state;
    static const struct row lines[] = {
        {"12345678\n", "limit"},
        {"1234567\n", "<|1234567|1234567\n>"},
        {"1\n12345678\n", "<|1|1\n>limit"},
    };
    static const struct row array[] = {
        {"[{\"a\":1}]", "<|{\"a\":1}|[{\"a\":1}><|-|]>"},
        {"[{\"a\":12}]", "limit"},
        {"[{}, {\"a\":1}]", "<|{}|[{}>limit"},
    };
    check_all(WEIR_FRAMING_LINES, lines, COUNT(lines), 8);
    check_all(WEIR_FRAMING_ARRAY, array, COUNT(array), 8);
}

/* A failure lasts until another stream begins, and nothing of the one before is left. */
static void test_begins_anew(void **state) {
    (void)state;
    struct weir_frames frames;
    struct weir_sse_event event;
    weir_frames_init(&frames, 100);
    weir_frames_begin(&frames, WEIR_FRAMING_ARRAY);
    struct weir_span input = WEIR_SPAN("[{\"a\":\"");
    assert_int_equal(weir_frames_next(&frames, &input, &event), WEIR_AGAIN);
    weir_frames_begin(&frames, WEIR_FRAMING_LINES);
    input = WEIR_SPAN("{}\n");
    assert_int_equal(weir_frames_next(&frames, &input, &event), WEIR_OK);
    assert_true(weir_span_equal(event.raw, WEIR_SPAN("{}\n")));
    weir_frames_begin(&frames, WEIR_FRAMING_ARRAY);
    input = WEIR_SPAN("x");
    assert_int_equal(weir_frames_next(&frames, &input, &event), WEIR_EPROTO);
    input = WEIR_SPAN("[{}]");
    assert_int_equal(weir_frames_next(&frames, &input, &event), WEIR_EPROTO);
    weir_frames_begin(&frames, WEIR_FRAMING_EVENTS);
    input = WEIR_SPAN("data: a\n\n");
    assert_int_equal(weir_frames_next(&frames, &input, &event), WEIR_OK);
    assert_true(weir_span_equal(event.data, WEIR_SPAN("a")));
    weir_frames_release(&frames);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_array),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

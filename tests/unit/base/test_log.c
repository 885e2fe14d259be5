/* Log lines: each is one whole JSON object, whatever bytes come. */
#include "base/log.h"

#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct sink {
    int read_fd;
    struct weir_log log;
    char text[8192];
    size_t length;
};

static void sink_open(struct sink *sink) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    sink->read_fd = ends[0];
    sink->log = (struct weir_log){.fd = ends[1], .minimum = WEIR_LOG_INFO, .part = "test"};
}

/* Reads what one write left in the pipe. */
static const char *sink_line(struct sink *sink) {
    ssize_t got = read(sink->read_fd, sink->text, sizeof(sink->text) - 1);
    assert_true(got > 0);
    sink->length = (size_t)got;
    sink->text[got] = '\0';
    assert_int_equal(sink->text[got - 1], '\n');
    assert_ptr_equal(strchr(sink->text, '\n'), sink->text + got - 1);
    return sink->text;
}

static void sink_close(struct sink *sink) {
    close(sink->read_fd);
    close(sink->log.fd);
}

static void a_line(void **state) {
    (void)state;
    struct sink sink;
    sink_open(&sink);
    weir_log(&sink.log, WEIR_LOG_WARNING, "started", WEIR_LOG_T("address", "127.0.0.1"), WEIR_LOG_I("port", 8080),
             WEIR_LOG_I("low", INT64_MIN), WEIR_LOG_B("ready", true), WEIR_LOG_B("late", false));
    const char *line = sink_line(&sink);
    const char *start = "{\"time\":\"";
    assert_memory_equal(line, start, strlen(start));
    assert_non_null(strstr(line, "Z\",\"level\":\"warning\",\"part\":\"test\",\"event\":\"started\","
                                 "\"address\":\"127.0.0.1\",\"port\":8080,\"low\":-9223372036854775808,"
                                 "\"ready\":true,\"late\":false}\n"));
    sink.log.part = NULL;
    weir_log(&sink.log, WEIR_LOG_ERROR, "alone");
    assert_non_null(strstr(sink_line(&sink), ",\"level\":\"error\",\"event\":\"alone\"}\n"));
    sink_close(&sink);
}

static void what_is_not_written(void **state) {
    (void)state;
    struct sink sink;
    sink_open(&sink);
    weir_log(&sink.log, WEIR_LOG_DEBUG, "too quiet");
    weir_log(NULL, WEIR_LOG_ERROR, "no log");
    struct weir_log nowhere = {.fd = -1, .minimum = WEIR_LOG_DEBUG};
    weir_log(&nowhere, WEIR_LOG_ERROR, "nowhere");
    weir_log(&sink.log, WEIR_LOG_INFO, "loud enough");
    assert_non_null(strstr(sink_line(&sink), "loud enough"));
    sink_close(&sink);
}

static void values_are_escaped(void **state) {
    (void)state;
    struct sink sink;
    sink_open(&sink);
    weir_log(&sink.log, WEIR_LOG_INFO, "e", WEIR_LOG_S("v", WEIR_SPAN("\"\\\n\r\t\0\x1F\x7F/ é€😀")));
    assert_non_null(strstr(sink_line(&sink), "\"v\":\"\\\"\\\\\\n\\r\\t\\u0000\\u001f\\u007f/ é€😀\"}\n"));
    /* Not UTF-8: a lone continuation, a cut character, a long form, a surrogate, past the last character. */
    weir_log(&sink.log, WEIR_LOG_INFO, "e", WEIR_LOG_S("v", WEIR_SPAN("a\x80z")),
             WEIR_LOG_S("w", WEIR_SPAN("\xE2\x82")), WEIR_LOG_S("x", WEIR_SPAN("\xC0\xAF")),
             WEIR_LOG_S("y", WEIR_SPAN("\xED\xA0\x80")), WEIR_LOG_S("z", WEIR_SPAN("\xF4\x90\x80\x80")));
    assert_non_null(strstr(sink_line(&sink), "\"v\":\"a\\ufffdz\",\"w\":\"\\ufffd\\ufffd\",\"x\":\"\\ufffd\\ufffd\","
                                             "\"y\":\"\\ufffd\\ufffd\\ufffd\","
                                             "\"z\":\"\\ufffd\\ufffd\\ufffd\\ufffd\"}\n"));
    weir_log(&sink.log, WEIR_LOG_INFO, "e", WEIR_LOG_S("v", ((struct weir_span){.at = NULL, .length = 0})));
    assert_non_null(strstr(sink_line(&sink), "\"v\":\"\"}\n"));
    sink_close(&sink);
}

/* Whole JSON as far as quotes and braces tell: balanced outside of texts, no control byte. */
static void assert_whole(const struct sink *sink) {
    bool in_text = false;
    int depth = 0;
    for (size_t i = 0; i < sink->length - 1; i++) {
        char byte = sink->text[i];
        assert_true((unsigned char)byte >= 0x20);
        if (in_text && byte == '\\') {
            i++;
        } else if (byte == '"') {
            in_text = !in_text;
        } else if (!in_text) {
            depth += byte == '{' ? 1 : byte == '}' ? -1 : 0;
        }
    }
    assert_false(in_text);
    assert_int_equal(depth, 0);
}

static void a_long_line_is_cut_whole(void **state) {
    (void)state;
    struct sink sink;
    sink_open(&sink);
    static const char *const pieces[] = {"x", "\n", "\x01", "é", "😀", "\""};
    for (size_t kind = 0; kind < sizeof(pieces) / sizeof(pieces[0]); kind++) {
        size_t piece = strlen(pieces[kind]);
        /* Each length near the end, so that each part of a line is where the room runs out. */
        for (size_t count = 3000 / (piece * 6); count * piece < 4200; count += count * piece < 3600 ? 41 : 1) {
            char value[4300];
            for (size_t i = 0; i < count; i++) {
                memcpy(value + i * piece, pieces[kind], piece);
            }
            weir_log(&sink.log, WEIR_LOG_INFO, "e", WEIR_LOG_S("v", weir_span_of(value, count * piece)),
                     WEIR_LOG_I("number", 123456), WEIR_LOG_B("flag", true), WEIR_LOG_T("after", "words"));
            const char *line = sink_line(&sink);
            assert_true(sink.length <= 4096);
            assert_whole(&sink);
            bool has_all = strstr(line, "\"number\":123456,\"flag\":true,\"after\":\"words\"}\n") != NULL;
            bool is_cut = strstr(line, ",\"cut\":true}\n") != NULL;
            assert_true(has_all != is_cut);
        }
    }
    sink_close(&sink);
}

static void a_long_event_is_cut_too(void **state) {
    (void)state;
    struct sink sink;
    sink_open(&sink);
    char event[5001];
    memset(event, 'e', sizeof(event) - 1);
    event[sizeof(event) - 1] = '\0';
    weir_log(&sink.log, WEIR_LOG_INFO, event, WEIR_LOG_I("n", 1));
    const char *line = sink_line(&sink);
    assert_whole(&sink);
    assert_non_null(strstr(line, "eee\",\"cut\":true}\n"));
    sink.log.part = event;
    weir_log(&sink.log, WEIR_LOG_INFO, event, WEIR_LOG_I("n", 1));
    line = sink_line(&sink);
    assert_whole(&sink);
    assert_non_null(strstr(line, ",\"cut\":true}\n"));
    sink_close(&sink);
}

static void levels(void **state) {
    (void)state;
    enum weir_log_level level = WEIR_LOG_DEBUG;
    assert_int_equal(weir_log_level_parse(WEIR_SPAN("error"), &level), WEIR_OK);
    assert_int_equal(level, WEIR_LOG_ERROR);
    assert_int_equal(weir_log_level_parse(WEIR_SPAN("info"), &level), WEIR_OK);
    assert_int_equal(level, WEIR_LOG_INFO);
    assert_int_equal(weir_log_level_parse(WEIR_SPAN("INFO"), &level), WEIR_EINVAL);
    assert_int_equal(weir_log_level_parse(WEIR_SPAN(""), &level), WEIR_EINVAL);
    assert_int_equal(level, WEIR_LOG_INFO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line),
        cmocka_unit_test(what_is_not_written),
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(a_long_line_is_cut_whole),
        cmocka_unit_test(a_long_event_is_cut_too),
        cmocka_unit_test(levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

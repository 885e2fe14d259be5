/* The access log: exact lines, valid JSON from any bytes, nothing written where nothing shall be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/scan.h"
#include "telemetry/request_log.h"

#include <fcntl.h>
#include <unistd.h>

static char written[65536];

/* What one call writes, into `written`. */
static void log_to_text(const struct weir_log *log, const struct weir_request_line *line) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 65536) > 0);
    assert_int_equal(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
    struct weir_log to_pipe = *log;
    if (to_pipe.fd >= 0)
        to_pipe.fd = pipes[1];
    weir_request_log(&to_pipe, line);
    ssize_t got = read(pipes[0], written, sizeof written - 1);
    written[got > 0 ? got : 0] = '\0';
    close(pipes[0]);
    close(pipes[1]);
}

static void assert_valid(void) {
    struct weir_json_problem problem;
    struct weir_span text = weir_span_of_string(written);
    assert_true(text.length > 0 && written[text.length - 1] == '\n');
    assert_int_equal(weir_span_index(text, '\n'), text.length - 1);
    assert_int_equal(weir_json_scan(text, NULL, 0, NULL, NULL, &problem), WEIR_OK);
}

static struct weir_request_line full(void) {
    return (struct weir_request_line){
        .utc_us = INT64_C(1790000000250000),
        .request_id = WEIR_SPAN("r1"),
        .client_request_id = WEIR_SPAN("c1"),
        .trace_id = WEIR_SPAN("0af7651916cd43dd8448eb211c80319c"),
        .key_id = WEIR_SPAN("k1"),
        .workspace = WEIR_SPAN("w1"),
        .method = WEIR_SPAN("POST"),
        .path = WEIR_SPAN("/v1/chat/completions?key=sk-1"),
        .endpoint = WEIR_SPAN("chat.completions"),
        .model = WEIR_SPAN("fast"),
        .provider = WEIR_SPAN("openai"),
        .upstream_model = WEIR_SPAN("gpt"),
        .outcome = WEIR_SPAN("error"),
        .client_address = WEIR_SPAN("127.0.0.1"),
        .status = 504,
        .reason = WEIR_REASON_UPSTREAM_IDLE_TIMEOUT,
        .stream = true,
        .duration_us = 1500,
        .first_byte_us = 700,
        .usage = {.input = 10, .cached = 4, .cache_write = 1, .output = 3, .reasoning = 2},
        .cost_cu_milli = 99,
        .attempts = 2,
        .revision = 7,
    };
}

static void a_full_line(void **state) {
    (void)state;
    struct weir_log log = {.fd = 1, .part = "worker-0"};
    struct weir_request_line line = full();
    log_to_text(&log, &line);
    assert_valid();
    assert_string_equal(
        written,
        "{\"time\":\"2026-09-21T14:13:20.250000Z\",\"level\":\"info\",\"part\":\"worker-0\",\"event\":\"request\","
        "\"request_id\":\"r1\",\"client_request_id\":\"c1\",\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\","
        "\"key_id\":\"k1\",\"workspace\":\"w1\",\"method\":\"POST\",\"path\":\"/v1/chat/completions\","
        "\"endpoint\":\"chat.completions\",\"model\":\"fast\",\"provider\":\"openai\",\"upstream_model\":\"gpt\","
        "\"status\":504,\"reason\":\"upstream_idle_timeout\",\"outcome\":\"error\",\"stream\":true,\"duration_us\":1500,"
        "\"first_byte_us\":700,\"input_tokens\":10,\"cached_tokens\":4,\"cache_write_tokens\":1,\"output_tokens\":3,"
        "\"reasoning_tokens\":2,\"cost_cu_milli\":99,\"client_address\":\"127.0.0.1\",\"attempts\":2,\"revision\":7}\n");
}

static void units_and_modalities_are_told(void **state) {
    (void)state;
    struct weir_log log = {.fd = 1};
    struct weir_request_line line = {.status = 200,
                                     .usage = {.input_audio = 5,
                                               .input_image = 6,
                                               .output_audio = 7,
                                               .output_image = 8,
                                               .units = 61250,
                                               .unit = WEIR_UNIT_AUDIO_MS},
                                     .cost_cu_milli = 1};
    log_to_text(&log, &line);
    assert_valid();
    assert_non_null(strstr(written, "\"duration_us\":0,\"input_audio_tokens\":5,\"input_image_tokens\":6,"
                                    "\"output_audio_tokens\":7,\"output_image_tokens\":8,\"unit\":\"audio_ms\","
                                    "\"units\":61250,\"cost_cu_milli\":1}"));
    line.usage = (struct weir_usage){.unit = WEIR_UNIT_IMAGE}; /* none of them was made: that is told */
    log_to_text(&log, &line);
    assert_non_null(strstr(written, "\"duration_us\":0,\"unit\":\"image\",\"units\":0,"));
}

static void empty_fields_are_left_out(void **state) {
    (void)state;
    struct weir_log log = {.fd = 1};
    struct weir_request_line line = {.method = WEIR_SPAN("GET"), .path = WEIR_SPAN("?"), .status = 200};
    log_to_text(&log, &line);
    assert_valid();
    assert_string_equal(written, "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"info\",\"event\":\"request\","
                                 "\"method\":\"GET\",\"status\":200,\"stream\":false,\"duration_us\":0}\n");
}

static void any_bytes_make_a_valid_line(void **state) {
    (void)state;
    struct weir_log log = {.fd = 1, .part = "\x01"};
    struct weir_request_line line = full();
    line.model = WEIR_SPAN("a\"b\\c\n\x7f\xff\xc3\xa9\xed\xa0\x80");
    log_to_text(&log, &line);
    assert_valid();
    assert_non_null(strstr(written, "\"model\":\"a\\\"b\\\\c\\u000a\\u007f\xef\xbf\xbd\xc3\xa9"
                                    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""));
    /* The longest line that there can be: every text too long, every byte six. */
    static char bytes[5000];
    memset(bytes, 1, sizeof bytes);
    struct weir_span big = weir_span_of(bytes, sizeof bytes);
    line = (struct weir_request_line){.request_id = big,
                                      .client_request_id = big,
                                      .trace_id = big,
                                      .key_id = big,
                                      .workspace = big,
                                      .method = big,
                                      .path = big,
                                      .endpoint = big,
                                      .model = big,
                                      .provider = big,
                                      .upstream_model = big,
                                      .outcome = big,
                                      .client_address = big,
                                      .status = 4294967295U,
                                      .reason = WEIR_REASON_UPSTREAM_FIRST_BYTE_TIMEOUT,
                                      .duration_us = INT64_MIN,
                                      .first_byte_us = INT64_MIN,
                                      .cost_cu_milli = INT64_MIN,
                                      .attempts = 4294967295U,
                                      .revision = UINT64_MAX,
                                      .usage = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN,
                                                INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, WEIR_UNIT_CHARACTER}};
    log_to_text(&log, &line);
    assert_valid();
    assert_non_null(strstr(written, "\"revision\":18446744073709551615}"));
    /* A character across the cut is left out whole. */
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes + 159, "\xc3\xa9", 2);
    line = (struct weir_request_line){.model = big};
    log_to_text(&log, &line);
    assert_valid();
    assert_null(strstr(written, "\xc3"));
    assert_non_null(strstr(written, "xxx\",\"status\""));
}

static void nothing_is_written_below_the_minimum(void **state) {
    (void)state;
    struct weir_request_line line = full();
    struct weir_log log = {.fd = 1, .minimum = WEIR_LOG_WARNING};
    log_to_text(&log, &line);
    assert_string_equal(written, "");
    log = (struct weir_log){.fd = -1};
    log_to_text(&log, &line);
    assert_string_equal(written, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_line),
        cmocka_unit_test(empty_fields_are_left_out),
        cmocka_unit_test(units_and_modalities_are_told),
        cmocka_unit_test(any_bytes_make_a_valid_line),
        cmocka_unit_test(nothing_is_written_below_the_minimum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

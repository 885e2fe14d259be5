/* The call log: one line a call, in the file and in memory; and the requests that are kept. */
#include "sim/calls.h"
#include "sim/kept.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static size_t lines_of(struct weir_span text) {
    size_t lines = 0;
    for (size_t i = 0; i < text.length; i++) {
        lines += text.at[i] == '\n' ? 1 : 0;
    }
    return lines;
}

static void test_line(void **state) {
    (void)state;
    char path[] = "/tmp/weir_sim_calls_XXXXXX";
    int fd = mkstemp(path);
    struct sim_calls calls;
    struct weir_error error;
    char bytes[2000];
    sim__calls_init(&calls);
    assert_int_equal(sim__calls_open(&calls, path, &error), WEIR_OK);
    struct sim_call call = {.number = 3,
                            .status = 200,
                            .method = "POST",
                            .path = "/a",
                            .dialect = "openai",
                            .usage.units = 4,
                            .usage.unit = WEIR_UNIT_IMAGE,
                            .usage.input = 5,
                            .usage.output = 7,
                            .usage.cached = 2,
                            .usage.cache_write = 3,
                            .usage.reasoning = 1,
                            .complete = true,
                            .request_id = "r\"1",
                            .model = "m"};
    assert_int_equal(sim__calls_add(&calls, &call), WEIR_OK);
    assert_int_equal(read(fd, bytes, sizeof bytes), 0); /* only at the end of the turn */
    assert_int_equal(sim__calls_flush(&calls), WEIR_OK);
    ssize_t length = read(fd, bytes, sizeof bytes - 1);
    assert_true(length > 0);
    bytes[length] = '\0';
    assert_string_equal(
        bytes,
        "{\"n\":3,\"time\":\"1970-01-01T00:00:00.000000Z\",\"method\":\"POST\",\"path\":\"/a\",\"dialect\":\"openai\",\"request_id\":\"r\\\"1\",\"model\":\"m\","
        "\"stream\":false,\"status\":200,\"fault\":null,\"prompt_tokens\":5,\"completion_tokens\":7,"
        "\"cached_tokens\":2,\"cache_write_tokens\":3,\"reasoning_tokens\":1,\"units\":4,\"unit\":\"image\",\"complete\":true,\"aborted\":false}\n");
    struct weir_buffer out;
    weir_buffer_init(&out, 4000);
    sim__calls_write(&calls, &out);
    assert_true(weir_span_equal(weir_buffer_span(&out), weir_span_of_string(bytes)));
    assert_int_equal(calls.totals.calls, 1);
    assert_int_equal(calls.totals.by_status[200], 1);
    sim__calls_clear(&calls);
    weir_buffer_clear(&out);
    sim__calls_write(&calls, &out);
    assert_int_equal(out.length, 0);
    assert_int_equal(calls.totals.calls, 0);
    weir_buffer_release(&out);
    sim__calls_release(&calls);
    (void)close(fd);
    (void)unlink(path);
}

static void test_memory_is_bounded(void **state) {
    (void)state;
    struct sim_calls calls;
    struct weir_buffer out;
    sim__calls_init(&calls);
    weir_buffer_init(&out, 256 * WEIR_MIB);
    for (uint64_t i = 1; i <= SIM_CALLS_KEPT + 5000; i++) {
        struct sim_call call = {.number = i, .status = 500};
        assert_int_equal(sim__calls_add(&calls, &call), WEIR_OK);
    }
    sim__calls_write(&calls, &out);
    assert_int_equal(lines_of(weir_buffer_span(&out)), SIM_CALLS_KEPT);
    assert_true(weir_span_starts_with(weir_buffer_span(&out), WEIR_SPAN("{\"n\":5001,")));
    assert_int_equal(calls.totals.calls, SIM_CALLS_KEPT + 5000);
    weir_buffer_release(&out);
    sim__calls_release(&calls);
}

static void test_file_failures(void **state) {
    (void)state;
    struct sim_calls calls;
    struct weir_error error = {.status = WEIR_OK};
    sim__calls_init(&calls);
    assert_int_equal(sim__calls_open(&calls, "/nowhere/at/all", &error), WEIR_EIO);
    assert_non_null(strstr(error.text, "/nowhere/at/all"));
    assert_int_equal(sim__calls_open(&calls, "/dev/full", &error), WEIR_OK);
    struct sim_call call = {.number = 1};
    assert_int_equal(sim__calls_add(&calls, &call), WEIR_OK);
    assert_int_equal(sim__calls_flush(&calls), WEIR_EIO);
    sim__calls_release(&calls);
}

static size_t digits_of(const char *text) {
    size_t count = 0;
    while (text[count] >= '0' && text[count] <= '9') {
        count++;
    }
    return count;
}

static void add_request(struct sim_kept *kept, const char *head_text, const char *body_text) {
    struct weir_buffer head;
    struct weir_buffer body;
    weir_buffer_init(&head, 10000);
    weir_buffer_init(&body, 10000);
    weir_buffer_append(&head, weir_span_of_string(head_text));
    weir_buffer_append(&body, weir_span_of_string(body_text));
    const char *id = memmem(head.at, head.length, "Id: ", 4);
    assert_non_null(id);
    struct weir_span span = weir_span_of(id + 4, digits_of(id + 4)) /* a buffer is no string: it ends without a NUL */;
    const struct sim_kept_request *request = sim__kept_add(kept, &head, &body, span);
    assert_int_equal(request->body.length, strlen(body_text));
    assert_int_equal(head.length, 0);
    weir_buffer_release(&head);
    weir_buffer_release(&body);
}

static void test_kept_requests(void **state) {
    (void)state;
    struct sim_kept *kept = test_malloc(sizeof *kept);
    struct weir_buffer out;
    char text[200];
    weir_buffer_init(&out, 1 << 20);
    sim__kept_init(kept, 10000);
    assert_null(sim__kept_find(kept, WEIR_SPAN("")));
    for (int i = 0; i < 150; i++) {
        (void)snprintf(text, sizeof text, "POST /x?a=1 HTTP/1.1\r\nAccept: one\r\nX-Id: %d\r\nACCEPT:  two \r\n\r\n",
                       i);
        add_request(kept, text, "{\"caf\xc3\xa9\":\"\xff\"}");
    }
    assert_null(sim__kept_find(kept, WEIR_SPAN("49")));
    assert_non_null(sim__kept_find(kept, WEIR_SPAN("50")));
    assert_true(sim__kept_find(kept, WEIR_SPAN("149")) == sim__kept_find(kept, WEIR_SPAN("")));
    sim__kept_write(sim__kept_find(kept, WEIR_SPAN("77")), &out);
    weir_buffer_append_byte(&out, '\0');
    assert_string_equal(out.at,
                        "{\"method\":\"POST\",\"path\":\"/x?a=1\",\"version\":\"HTTP/1.1\",\"headers\":{\"accept\":"
                        "\"one, two\",\"x-id\":\"77\"},\"raw_head\":\"POST /x?a=1 HTTP/1.1\\r\\nAccept: one\\r\\nX-Id: "
                        "77\\r\\nACCEPT:  two \\r\\n\\r\\n\",\"body\":\"{\\\"caf\xc3\xa9\\\":\\\"\xef\xbf\xbd\\\"}\"}");
    weir_buffer_clear(&out);
    sim__kept_write_all(kept, &out);
    assert_true(weir_span_starts_with(weir_buffer_span(&out), WEIR_SPAN("[{\"method\"")));
    weir_buffer_release(&out);
    sim__kept_release(kept);
    test_free(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_file_failures),
        cmocka_unit_test(test_kept_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

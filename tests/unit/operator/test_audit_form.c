/* The outward form of audit entries: JSON, CSV that no spreadsheet runs, heads; and what a sink's setting may be. */
#include "base/limits.h"
#include "operator/audit_form.h"
#include "operator/csv.h"
#include "operator/trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct weir_audit_entry entry = {.sequence = 7,
                                              .utc_us = 1795292238000000,
                                              .actor_kind = {"token", 5},
                                              .actor_name = {"me@example.com", 14},
                                              .action = {"keys.create", 11},
                                              .resource_type = {"key", 3},
                                              .resource_name = {"=1+1", 4},
                                              .changes = {"{\"before\":null,\"after\":{\"a\":\"x,\\\"y\\\"\"}}", 39},
                                              .result = WEIR_AUDIT_FAILURE};

static void json(void **state) {
    (void)state;
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    weir_audit_write_json(&writer, &entry);
    weir_buffer_append_byte(&out, '\0');
    assert_non_null(strstr(out.at, "{\"id\":\"7\",\"sequence\":7,\"timestamp\":\"2026-11-21T20:17:18.000000Z\""));
    assert_non_null(
        strstr(out.at, "\"actor_id\":null,\"actor_name\":\"me@example.com\",\"actor_email\":\"me@example.com\""));
    assert_non_null(
        strstr(out.at, "\"changes\":{\"before\":null,\"after\":{\"a\":\"x,\\\"y\\\"\"}},\"request_metadata\":null"));
    assert_non_null(strstr(out.at, "\"result\":\"failure\""));
    weir_buffer_release(&out);
}

/* Other tables than the trail's: control characters become blanks, and what they stood before is still no formula. */
static void csv_texts(void **state) {
    (void)state;
    static const char *const texts[][2] = {{"x", "\"x\""},
                                           {"a\"b", "\"a\"\"b\""},
                                           {"a\nb", "\"a b\""},
                                           {" =x", "\"' =x\""},
                                           {"\r\n@x", "\"'  @x\""},
                                           {"\x01=x", "\"' =x\""},
                                           {"\v \x1f-x", "\"'   -x\""},
                                           {"\x01", "\" \""},
                                           {"", "\"\""}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct weir_buffer out;
        weir_buffer_init(&out, WEIR_MIB);
        weir_csv_text(&out, weir_span_of_string(texts[i][0]));
        weir_buffer_append_byte(&out, '\0');
        assert_string_equal(out.at, texts[i][1]);
        weir_buffer_release(&out);
    }
}

static void csv(void **state) {
    (void)state;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    weir_audit_write_csv(&out, &entry);
    weir_buffer_append_byte(&out, '\0');
    assert_non_null(strstr(out.at, ",\"'=1+1\","));
    assert_non_null(strstr(out.at, ",\"{\"\"before\"\":null,\"\"after\"\":{\"\"a\"\":\"\"x,\\\"\"y\\\"\"\"\"}}\","));
    assert_string_equal(out.at + out.length - 4, "\"\r\n");
    weir_buffer_release(&out);
    static const char *const formulas[] = {"=x", "+x", "-x", "@x", "\tx", "\rx", "  =x", "|x", "%x"};
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++) {
        struct weir_audit_entry one = entry;
        char expected[16];
        (void)snprintf(expected, sizeof expected, ",\"'%s\",", formulas[i]);
        one.resource_name = weir_span_of_string(formulas[i]);
        weir_buffer_init(&out, WEIR_MIB);
        weir_audit_write_csv(&out, &one);
        weir_buffer_append_byte(&out, '\0');
        assert_non_null(strstr(out.at, expected));
        weir_buffer_release(&out);
    }
}

static void heads(void **state) {
    (void)state;
    static const char good[] = "12:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    struct weir_audit_head head;
    char text[WEIR_AUDIT_HEAD_SIZE];
    assert_int_equal(
        weir_audit_head_parse(WEIR_SPAN("12:000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"), &head),
        WEIR_OK);
    assert_int_equal(head.sequence, 12);
    assert_int_equal(head.hash[31], 31);
    weir_audit_head_format(&head, text);
    assert_string_equal(text, good);
    static const char *const bad[] = {"",
                                      ":",
                                      "12",
                                      "12:",
                                      "0:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                                      "-1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                                      "12:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
                                      "12:0001020304050607",
                                      "12:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0",
                                      "x:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(weir_audit_head_parse(weir_span_of_string(bad[i]), &head), WEIR_EINVAL);
}

static void sinks(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "file:/var/log/audit.jsonl",
                                       "file:audit.jsonl",
                                       "syslog:",
                                       "syslog:/run/log",
                                       "udp://h:514",
                                       "tcp://[::1]:601",
                                       "tcp://siem.example.com:6514"};
    static const char *const bad[] = {
        "file:",       "udp://h",    "tcp://:1", "tcp://h:0", "tcp://h:65536", "tcp://h:x", "tcp://u:secret-word@h:1",
        "tcp://h/x:1", "http://h:1", "/var/log", "tcp://[]:1"};
    struct weir_error error = {.text = ""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(weir_trail_check_sink(weir_span_of_string(good[i]), &error), WEIR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(weir_trail_check_sink(weir_span_of_string(bad[i]), &error), WEIR_EINVAL);
        assert_null(strstr(error.text, "secret-word"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(json), cmocka_unit_test(csv), cmocka_unit_test(csv_texts),
                                       cmocka_unit_test(heads), cmocka_unit_test(sinks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

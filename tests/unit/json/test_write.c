/* What the writer writes is what was meant, and always valid. */
#include "json/scan.h"
#include "json/write.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_written(struct weir_buffer *out, const char *expected) {
    assert_int_equal(weir_buffer_status(out), WEIR_OK);
    assert_int_equal(out->length, strlen(expected));
    assert_memory_equal(out->at, expected, out->length);
    weir_buffer_release(out);
}

static void commas_stand_where_they_belong(void **state) {
    (void)state;
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, 1000);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "s", WEIR_SPAN("x"));
    weir_json_member_text(&writer, "t", "y");
    weir_json_member_text(&writer, "z", NULL);
    weir_json_member_int64(&writer, "low", INT64_MIN);
    weir_json_member_bool(&writer, "b", true);
    weir_json_write_name(&writer, "a\"b");
    weir_json_write_array(&writer);
    weir_json_write_int64(&writer, 1);
    weir_json_write_array(&writer);
    weir_json_write_end(&writer);
    weir_json_write_object(&writer);
    weir_json_write_end(&writer);
    weir_json_write_null(&writer);
    weir_json_write_bool(&writer, false);
    weir_json_write_string(&writer, WEIR_SPAN(""));
    weir_json_write_raw(&writer, WEIR_SPAN("1e5"));
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "e");
    weir_json_write_object(&writer);
    weir_json_member_int64(&writer, "f", 0);
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    assert_int_equal(weir_json_scan(weir_buffer_span(&out), NULL, 0, NULL, NULL, NULL), WEIR_OK);
    assert_written(&out, "{\"s\":\"x\",\"t\":\"y\",\"z\":null,\"low\":-9223372036854775808,\"b\":true,"
                         "\"a\\\"b\":[1,[],{},null,false,\"\",1e5],\"e\":{\"f\":0}}");
}

static void escapes_what_must_be_escaped(void **state) {
    (void)state;
    const struct {
        struct weir_span text;
        const char *expected;
    } rows[] = {
        {WEIR_SPAN(""), "\"\""},
        {{.at = NULL, .length = 0}, "\"\""},
        {WEIR_SPAN("\"\\/"), "\"\\\"\\\\/\""},
        {WEIR_SPAN("\b\f\n\r\t\0\x1f\x7f"), "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\""},
        {WEIR_SPAN("\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80\""},
        {WEIR_SPAN("a\xff"
                   "b"),
         "\"a\xef\xbf\xbd"
         "b\""},
        {WEIR_SPAN("\xe6\xbc"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {WEIR_SPAN("\xc3\n"), "\"\xef\xbf\xbd\\n\""},
        {WEIR_SPAN("\xed\xa0\x80!"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\""},
        {WEIR_SPAN("0123456789abcdef0123456789abcdef\n0123456789abcdef"),
         "\"0123456789abcdef0123456789abcdef\\n0123456789abcdef\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_buffer out;
        weir_buffer_init(&out, 1000);
        weir_json_append_string(&out, rows[i].text);
        assert_int_equal(weir_json_scan(weir_buffer_span(&out), NULL, 0, NULL, NULL, NULL), WEIR_OK);
        assert_written(&out, rows[i].expected);
    }
}

static void written_strings_read_back(void **state) {
    (void)state;
    char text[256];
    for (int byte = 0; byte < 0x80; byte++)
        text[byte] = (char)byte;
    for (size_t from = 0; from < 0x80; from++) {
        struct weir_span part = weir_span_of(text + from, 0x80 - from);
        struct weir_buffer out;
        weir_buffer_init(&out, 2000);
        weir_json_append_string(&out, part);
        assert_true(weir_json_string_equals(weir_buffer_span(&out), part));
        weir_buffer_release(&out);
    }
}

static void a_full_buffer_is_told_at_the_end(void **state) {
    (void)state;
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, 10);
    weir_json_writer_init(&writer, &out);
    weir_json_write_array(&writer);
    for (int i = 0; i < 10; i++)
        weir_json_write_string(&writer, WEIR_SPAN("something"));
    weir_json_write_end(&writer);
    assert_int_equal(weir_buffer_status(&out), WEIR_ELIMIT);
    weir_buffer_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_where_they_belong),
        cmocka_unit_test(escapes_what_must_be_escaped),
        cmocka_unit_test(written_strings_read_back),
        cmocka_unit_test(a_full_buffer_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

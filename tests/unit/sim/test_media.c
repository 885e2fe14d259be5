/* Pictures and other files: base64, types by their first bytes, and what is said about them. */
#include "sim/media.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int setup(void **state) {
    *state = weir_arena_new(0, 1 << 20);
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state) {
    struct weir_arena *arena = *state;
    weir_arena_free(&arena);
    return 0;
}

static void test_base64_good(void **state) {
    static const struct {
        const char *text, *bytes;
    } rows[] = {
        {"", ""},
        {"TQ==", "M"},
        {"TWE=", "Ma"},
        {"TWFu", "Man"},
        {"TWFuTWFu", "ManMan"},
        {"TW\nFu\r\nTWE\n=\n", "ManMa"},
        {"TQ=\n=", "M"},
        {"+/+/", "\xfb\xff\xbf"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_span bytes;
        size_t bad = 0;
        assert_int_equal(sim__base64_decode(*state, weir_span_of_string(rows[i].text), &bytes, &bad), WEIR_OK);
        assert_int_equal(bytes.length, strlen(rows[i].bytes));
        assert_memory_equal(bytes.at, rows[i].bytes, bytes.length);
    }
}

/* The offsets are those of Go's encoding/base64. */
static void test_base64_bad(void **state) {
    static const struct {
        const char *text;
        size_t bad;
    } rows[] = {
        {"!", 0},       {"data:image/png;base64,TWFu", 4},
        {"TWFuT", 4},   {"TWFuTQ", 4},
        {"TWFuTWE", 4}, {"T===", 1},
        {"====", 0},    {"TQ=", 3},
        {"TQ=x", 2},    {"TQ==TQ==", 4},
        {"TWE=x", 4},   {"TW-u", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_span bytes;
        size_t bad = 99;
        assert_int_equal(sim__base64_decode(*state, weir_span_of_string(rows[i].text), &bytes, &bad), WEIR_EINVAL);
        assert_int_equal(bad, rows[i].bad);
    }
}

static void test_types(void **state) {
    (void)state;
    assert_string_equal(sim__media_type(WEIR_SPAN("\x89PNG\r\n\x1a\nrest")), "image/png");
    assert_string_equal(sim__media_type(WEIR_SPAN("\xff\xd8\xff\xe0")), "image/jpeg");
    assert_string_equal(sim__media_type(WEIR_SPAN("RIFF....WEBPVP8 ")), "image/webp");
    assert_string_equal(sim__media_type(WEIR_SPAN("RIFF....WAVEfmt ")), "audio/wav");
    assert_string_equal(sim__media_type(WEIR_SPAN("%PDF-1.7")), "application/pdf");
    assert_string_equal(sim__media_type(WEIR_SPAN("plain\ttext\n")), "text/plain");
    assert_string_equal(sim__media_type(WEIR_SPAN("nul \0 byte")), "application/octet-stream");
    assert_string_equal(sim__media_type(WEIR_SPAN("RIFF")), "text/plain");
    assert_string_equal(sim__media_type(WEIR_SPAN("")), "application/octet-stream");
}

static void test_addresses(void **state) {
    static const char *const bad[] = {"data:image/png,TWFu",    "data:image/png;base64",
                                      "data:image/png;base64,", "TWFu",
                                      "ftp://example.com/a",    "data:image/png;base64,TWF"};
    struct weir_buffer notes;
    weir_buffer_init(&notes, 4096);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sim__media_address(*state, "image", weir_span_of_string(bad[i]), WEIR_SPAN(""), &notes),
                         WEIR_EINVAL);
    }
    assert_int_equal(notes.length, 0);
    assert_int_equal(sim__media_address(*state, "image", WEIR_SPAN("data:image/x;y=z;base64,MTIzNDU2Nzg5"),
                                        WEIR_SPAN(""), &notes),
                     WEIR_OK);
    assert_int_equal(sim__media_address(*state, "image", WEIR_SPAN("https://example.com/a.png"), WEIR_SPAN("not said"),
                                        &notes),
                     WEIR_OK);
    assert_int_equal(sim__media_content(*state, "file", WEIR_SPAN("MTIzNDU2Nzg5"), WEIR_SPAN("a.txt"), &notes),
                     WEIR_OK);
    sim__media_refer("file", "file", WEIR_SPAN("file-1"), &notes);
    assert_true(
        weir_span_equal(weir_buffer_span(&notes),
                        WEIR_SPAN("[image image/x 9 bytes crc32 cbf43926] [image url https://example.com/a.png] "
                                  "[file text/plain 9 bytes crc32 cbf43926 named a.txt] [file file file-1] ")));
    weir_buffer_release(&notes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_base64_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_base64_bad, setup, teardown),
        cmocka_unit_test(test_types),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

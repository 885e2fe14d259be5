/* Pictures and other files: base64, kinds by their first bytes, and what is said about them. */
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

static void test_kinds(void **state) {
    (void)state;
    assert_string_equal(sim__media_kind(WEIR_SPAN("\x89PNG\r\n\x1a\nrest")), "png");
    assert_string_equal(sim__media_kind(WEIR_SPAN("\xff\xd8\xff\xe0")), "jpeg");
    assert_string_equal(sim__media_kind(WEIR_SPAN("RIFF....WEBPVP8 ")), "webp");
    assert_string_equal(sim__media_kind(WEIR_SPAN("RIFF....WAVEfmt ")), "wav");
    assert_string_equal(sim__media_kind(WEIR_SPAN("%PDF-1.7")), "pdf");
    assert_string_equal(sim__media_kind(WEIR_SPAN("plain\ttext\n")), "text");
    assert_string_equal(sim__media_kind(WEIR_SPAN("nul \0 byte")), "unknown");
    assert_string_equal(sim__media_kind(WEIR_SPAN("RIFF")), "text");
    assert_string_equal(sim__media_kind(WEIR_SPAN("")), "unknown");
}

static void test_data_urls(void **state) {
    (void)state;
    struct weir_span type;
    struct weir_span base64;
    assert_true(sim__media_data_url(WEIR_SPAN("data:image/png;charset=x;base64,AAAA"), &type, &base64));
    assert_true(weir_span_equal(type, WEIR_SPAN("image/png")));
    assert_true(weir_span_equal(base64, WEIR_SPAN("AAAA")));
    assert_false(sim__media_data_url(WEIR_SPAN("https://example.com/a.png"), &type, &base64));
    assert_false(sim__media_data_url(WEIR_SPAN("data:image/png,AAAA"), &type, &base64));
    assert_false(sim__media_data_url(WEIR_SPAN("data:image/png;base64"), &type, &base64));
}

static void test_description(void **state) {
    (void)state;
    struct weir_buffer notes;
    weir_buffer_init(&notes, 4096);
    sim__media_describe("file", WEIR_SPAN("123456789"), WEIR_SPAN("a.txt"), &notes);
    sim__media_refer("image", WEIR_SPAN("https://example.com/a.png"), &notes);
    assert_true(
        weir_span_equal(weir_buffer_span(&notes), WEIR_SPAN("[file: text, 9 bytes, crc32 cbf43926, named a.txt] "
                                                            "[image: at https://example.com/a.png] ")));
    weir_buffer_release(&notes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_base64_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_base64_bad, setup, teardown),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_data_urls),
        cmocka_unit_test(test_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

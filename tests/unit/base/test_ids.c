/* Identifiers and their encodings. */
#include "base/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void randomness_does_not_repeat(void **state) {
    (void)state;
    struct weir_random random = {0};
    unsigned char seen[200][16];
    for (size_t i = 0; i < 200; i++) {
        weir_random_fill(&random, seen[i], 16);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(seen[i], seen[j], 16);
        }
    }
    /* More than the buffer holds, and amounts that do not divide it. */
    unsigned char large[5000] = {0};
    weir_random_fill(&random, large, sizeof(large));
    size_t zeroes = 0;
    for (size_t i = 0; i < sizeof(large); i++) {
        zeroes += large[i] == 0 ? 1 : 0;
    }
    assert_true(zeroes < 100);
    for (size_t size = 0; size <= 512; size += 37) {
        weir_random_fill(&random, large, size);
    }
}

static void given_bytes_leave_the_buffer(void **state) {
    (void)state;
    struct weir_random random = {0};
    unsigned char out[512];
    weir_random_fill(&random, out, sizeof(out));
    for (size_t i = 0; i < sizeof(random.bytes); i++) {
        assert_int_equal(random.bytes[i], 0);
    }
}

static void uuids(void **state) {
    (void)state;
    struct weir_random random = {0};
    struct weir_uuid uuid = weir_uuid_v7(&random,
                                         INT64_C(1645557742000) * 1000 + 999); /* the moment of RFC 9562's example */
    char text[WEIR_UUID_TEXT_SIZE];
    weir_uuid_format(&uuid, text);
    assert_int_equal(strlen(text), 36);
    assert_memory_equal(text, "017f22e2-79b0-7", 15);
    assert_non_null(strchr("89ab", text[19]));
    struct weir_uuid parsed;
    assert_int_equal(weir_uuid_parse(weir_span_of_string(text), &parsed), WEIR_OK);
    assert_memory_equal(parsed.bytes, uuid.bytes, 16);
    /* A later one sorts behind. */
    struct weir_uuid later = weir_uuid_v7(&random, INT64_C(1645557742001) * 1000);
    assert_true(memcmp(uuid.bytes, later.bytes, 16) < 0);
    assert_int_equal(weir_uuid_parse(WEIR_SPAN("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), &parsed), WEIR_OK);
    weir_uuid_format(&parsed, text);
    assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void what_is_no_uuid(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "017f22e279b07cc398c4dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
        "017f22e2079b0-7cc3-98c4-dc0c0c07398f",
        "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
        "017f22e27-9b0-7cc3-98c4-dc0c0c07398f",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct weir_uuid uuid;
        assert_int_equal(weir_uuid_parse(weir_span_of_string(wrong[i]), &uuid), WEIR_EINVAL);
    }
}

static void hexadecimal(void **state) {
    (void)state;
    char text[9];
    weir_hex_format("\x00\x9f\xAB\xff", 4, text);
    assert_string_equal(text, "009fabff");
    weir_hex_format("", 0, text);
    assert_string_equal(text, "");
    unsigned char bytes[4] = {1, 2, 3, 4};
    assert_int_equal(weir_hex_parse(WEIR_SPAN("009FabFF"), bytes, 4), WEIR_OK);
    assert_memory_equal(bytes, "\x00\x9f\xAB\xff", 4);
    assert_int_equal(weir_hex_parse(WEIR_SPAN(""), bytes, 0), WEIR_OK);
    assert_int_equal(weir_hex_parse(WEIR_SPAN("11"), bytes, 4), WEIR_EINVAL);
    assert_int_equal(weir_hex_parse(WEIR_SPAN("111111111"), bytes, 4), WEIR_EINVAL);
    assert_int_equal(weir_hex_parse(WEIR_SPAN("1111111x"), bytes, 4), WEIR_EINVAL);
    assert_int_equal(weir_hex_parse(WEIR_SPAN("11 11111"), bytes, 4), WEIR_EINVAL);
    assert_memory_equal(bytes, "\x00\x9f\xAB\xff", 4); /* written on success alone */
}

static void checksums(void **state) {
    (void)state;
    assert_true(weir_crc32(0, WEIR_SPAN("123456789")) == 0xCBF43926U);
    uint32_t first = weir_crc32(0, WEIR_SPAN("1234"));
    assert_true(weir_crc32(first, WEIR_SPAN("56789")) == 0xCBF43926U);
    assert_true(weir_crc32(first, (struct weir_span){.at = NULL, .length = 0}) == first);
    assert_true(weir_crc32(0, WEIR_SPAN("")) == 0);
    assert_true(weir_crc32c(0, WEIR_SPAN("123456789")) == 0xE3069283U);
    assert_true(weir_crc32c_portable(0, WEIR_SPAN("123456789")) == 0xE3069283U);
    assert_true(weir_crc32c(weir_crc32c(0, WEIR_SPAN("12345")), WEIR_SPAN("6789")) == 0xE3069283U);
    const struct weir_span longer = WEIR_SPAN("a text of more than two words of eight bytes each");
    for (size_t i = 0; i < longer.length; i++)
        assert_true(weir_crc32c(7, weir_span_from(longer, i)) == weir_crc32c_portable(7, weir_span_from(longer, i)));
}

static void base62(void **state) {
    (void)state;
    char text[7] = "";
    weir_base62_format(0, text, 6);
    assert_string_equal(text, "000000");
    weir_base62_format(61, text, 6);
    assert_string_equal(text, "00000z");
    weir_base62_format(62, text, 6);
    assert_string_equal(text, "000010");
    weir_base62_format(UINT32_MAX, text, 6);
    assert_string_equal(text, "4gfFC3");
    unsigned digits = 0;
    for (int byte = 0; byte < 256; byte++) {
        digits += weir_base62_is_digit((char)byte) ? 1 : 0;
    }
    assert_int_equal(digits, 62);
    assert_false(weir_base62_is_digit('_'));
    assert_false(weir_base62_is_digit('\0'));
}

static void random_digits_are_even(void **state) {
    (void)state;
    enum { DIGITS = 62 * 1000 };
    struct weir_random random = {0};
    char text[DIGITS];
    unsigned counts[256] = {0};
    weir_base62_random(&random, text, DIGITS);
    for (size_t i = 0; i < DIGITS; i++) {
        assert_true(weir_base62_is_digit(text[i]));
        counts[(unsigned char)text[i]]++;
    }
    /* 1000 each, deviation 31: 8 deviations never happen. A modulo without rejection would give eight of them 1211. */
    for (int byte = 0; byte < 256; byte++) {
        if (weir_base62_is_digit((char)byte)) {
            assert_in_range(counts[byte], 820, 1190);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(randomness_does_not_repeat),
        cmocka_unit_test(given_bytes_leave_the_buffer),
        cmocka_unit_test(uuids),
        cmocka_unit_test(what_is_no_uuid),
        cmocka_unit_test(hexadecimal),
        cmocka_unit_test(checksums),
        cmocka_unit_test(base62),
        cmocka_unit_test(random_digits_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

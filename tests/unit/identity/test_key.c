/* API keys: the header's exact form, and each reason for which a key is refused without a look-up. */
#include "identity/key.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct weir_key_format format = {.brand = {.at = "weir", .length = 4},
                                              .environment = {.at = "dev", .length = 3}};

static const char digits_43[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg";

static enum weir_reason from_header(const char *value) {
    struct weir_span header = weir_span_of_string(value);
    struct weir_span key = WEIR_SPAN("untouched");
    enum weir_reason reason = weir_key_from_header(&header, &key);
    assert_true(reason == WEIR_REASON_NONE || weir_span_equal(key, WEIR_SPAN("untouched")));
    return reason;
}

static void only_the_canonical_header_passes(void **state) {
    (void)state;
    struct weir_span key = WEIR_SPAN("");
    assert_int_equal(weir_key_from_header(NULL, &key), WEIR_REASON_KEY_MISSING);
    struct weir_span header = WEIR_SPAN("Bearer weir_dev_abc");
    assert_int_equal(weir_key_from_header(&header, &key), WEIR_REASON_NONE);
    assert_true(weir_span_equal(key, WEIR_SPAN("weir_dev_abc")));
    static const char *const wrong[] = {
        "",
        "Bearer",
        "Bearer ",
        "Bearer  weir_dev_abc",
        "Bearer weir_dev_abc ",
        "Bearer weir_dev_abc x",
        "Bearer weir_dev_abc\t",
        " Bearer weir_dev_abc",
        "bearer weir_dev_abc",
        "BEARER weir_dev_abc",
        "Bearer\tweir_dev_abc",
        "Bearer:weir_dev_abc",
        "Token weir_dev_abc",
        "Basic d2Vpcjp4",
        "weir_dev_abc",
        "Bearer weir_dev_\xC3\xA4",
        "Bearer weir_dev_\x7F",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(from_header(wrong[i]), WEIR_REASON_KEY_MALFORMED);
    }
    header = WEIR_SPAN("Bearer weir\0dev");
    assert_int_equal(weir_key_from_header(&header, &key), WEIR_REASON_KEY_MALFORMED);
}

static enum weir_reason check(const char *key) {
    return weir_key_check(&format, weir_span_of_string(key));
}

/* <prefix><digits><the right six> */
static void build(char out[WEIR_MAX_KEY_BYTES + 1], const char *prefix, const char *digits) {
    int length = snprintf(out, WEIR_MAX_KEY_BYTES + 1, "%s%s", prefix, digits);
    assert_in_range(length, 0, WEIR_MAX_KEY_BYTES - WEIR_KEY_CHECK_DIGITS);
    struct weir_span before = weir_span_of(out, (size_t)length);
    weir_base62_format(weir_crc32(0, before), out + length, WEIR_KEY_CHECK_DIGITS);
    out[length + WEIR_KEY_CHECK_DIGITS] = '\0';
}

static void a_key_is_checked_by_its_bytes(void **state) {
    (void)state;
    assert_int_equal(strlen(digits_43), WEIR_KEY_RANDOM_DIGITS);
    char key[WEIR_MAX_KEY_BYTES + 1];
    build(key, "weir_dev_", digits_43);
    assert_string_equal(key, "weir_dev_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4c0QbP"); /* computed elsewhere */
    assert_int_equal(check(key), WEIR_REASON_NONE);
    assert_int_equal(weir_key_check(&format, weir_span_of(key, strlen(key) - 1)), WEIR_REASON_KEY_INVALID);
    build(key, "shroud_dev_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "weird_dev_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "WEIR_dev_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "_dev_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "weir_dev_", digits_43 + 1);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "weir_dev_0", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "weir_dev_-", digits_43 + 1);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "weir_dev__", digits_43 + 1);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    static const char *const wrong[] = {"", "_", "__", "weir", "weir_", "weir_dev", "weir_dev_", "weir__", "sk-123"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(check(wrong[i]), WEIR_REASON_KEY_INVALID);
    }
    char large[100000];
    memset(large, 'a', sizeof(large));
    assert_int_equal(weir_key_check(&format, weir_span_of(large, sizeof(large))), WEIR_REASON_KEY_INVALID);
}

static void another_environment_is_named_before_the_checksum(void **state) {
    (void)state;
    char key[WEIR_MAX_KEY_BYTES + 1];
    build(key, "weir_prod_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_WRONG_ENVIRONMENT);
    key[strlen(key) - 1] ^= 1; /* still a digit, no longer the checksum */
    assert_int_equal(check(key), WEIR_REASON_KEY_WRONG_ENVIRONMENT);
    build(key, "weir_stage_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_WRONG_ENVIRONMENT);
    /* Not well-formed, or of no environment that there is. */
    build(key, "weir_prod_", digits_43 + 1);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "weir_prod_!", digits_43 + 1);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "weir_test_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "weir_production_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
    build(key, "shroud_prod_", digits_43);
    assert_int_equal(check(key), WEIR_REASON_KEY_INVALID);
}

static void made_keys_check_and_differ(void **state) {
    (void)state;
    struct weir_random random = {0};
    char before[WEIR_MAX_KEY_BYTES + 1] = "";
    for (unsigned i = 0; i < 50; i++) {
        struct weir_secret *secret = NULL;
        assert_int_equal(weir_key_make(&format, &random, &secret), WEIR_OK);
        struct weir_span key = weir_secret_reveal(secret);
        assert_int_equal(key.length, strlen("weir_dev_") + 43 + 6);
        assert_true(weir_span_starts_with(key, WEIR_SPAN("weir_dev_")));
        assert_int_equal(weir_key_check(&format, key), WEIR_REASON_NONE);
        assert_false(weir_span_equal(key, weir_span_of_string(before)));
        assert_int_equal(weir_span_to_string(key, before, sizeof(before)), WEIR_OK);
        weir_secret_free(&secret);
    }
}

static void any_changed_byte_is_noticed(void **state) {
    (void)state;
    struct weir_random random = {0};
    struct weir_secret *secret = NULL;
    assert_int_equal(weir_key_make(&format, &random, &secret), WEIR_OK);
    char key[WEIR_MAX_KEY_BYTES + 1];
    assert_int_equal(weir_span_to_string(weir_secret_reveal(secret), key, sizeof(key)), WEIR_OK);
    size_t length = strlen(key);
    for (size_t i = 0; i < length; i++) {
        char right = key[i];
        for (int byte = 0; byte < 256; byte++) {
            key[i] = (char)byte;
            enum weir_reason reason = weir_key_check(&format, weir_span_of(key, length));
            assert_int_equal(reason == WEIR_REASON_NONE, key[i] == right);
        }
        key[i] = right;
    }
    weir_secret_free(&secret);
}

static void formats_that_make_no_keys(void **state) {
    (void)state;
    struct weir_random random = {0};
    struct weir_secret *secret = NULL;
    struct weir_key_format wrong = format;
    wrong.brand = WEIR_SPAN("We_ir");
    assert_int_equal(weir_key_make(&wrong, &random, &secret), WEIR_EINVAL);
    wrong.brand = WEIR_SPAN("");
    assert_int_equal(weir_key_make(&wrong, &random, &secret), WEIR_EINVAL);
    wrong = format;
    wrong.environment = WEIR_SPAN("development");
    assert_int_equal(weir_key_make(&wrong, &random, &secret), WEIR_EINVAL);
    char brand[WEIR_MAX_KEY_BYTES];
    memset(brand, 'b', sizeof(brand));
    wrong = format;
    wrong.brand = weir_span_of(brand, sizeof(brand));
    assert_int_equal(weir_key_make(&wrong, &random, &secret), WEIR_ELIMIT);
    wrong.brand.length = WEIR_MAX_KEY_BYTES - 2 - 3 - 49;
    assert_null(secret);
    assert_int_equal(weir_key_make(&wrong, &random, &secret), WEIR_OK);
    assert_int_equal(weir_secret_reveal(secret).length, WEIR_MAX_KEY_BYTES);
    assert_int_equal(weir_key_check(&wrong, weir_secret_reveal(secret)), WEIR_REASON_NONE);
    weir_secret_free(&secret);
}

static void the_hash_is_sha_256(void **state) {
    (void)state;
    unsigned char hash[32];
    char text[65];
    weir_key_hash(WEIR_SPAN("abc"), hash);
    weir_hex_format(hash, sizeof(hash), text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    weir_key_hash(WEIR_SPAN(""), hash);
    weir_hex_format(hash, sizeof(hash), text);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_canonical_header_passes),
        cmocka_unit_test(a_key_is_checked_by_its_bytes),
        cmocka_unit_test(another_environment_is_named_before_the_checksum),
        cmocka_unit_test(made_keys_check_and_differ),
        cmocka_unit_test(any_changed_byte_is_noticed),
        cmocka_unit_test(formats_that_make_no_keys),
        cmocka_unit_test(the_hash_is_sha_256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

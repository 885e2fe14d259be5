/* Sealing: a published vector, and everything that must not open. */
#include "secrets/sealing.h"

#include "base/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define ONE "0000000000000000000000000000000000000000000000000000000000000001"
#define TWO "0202020202020202020202020202020202020202020202020202020202020202"

static struct weir_sealing *sealing_of(const char *first, const char *second) {
    struct weir_span references[] = {weir_span_of_string(first), weir_span_of_string(second)};
    struct weir_sealing *sealing = NULL;
    struct weir_error error = {.text = ""};
    assert_int_equal(weir_sealing_new(references, second != NULL ? 2 : 1, &sealing, &error), WEIR_OK);
    return sealing;
}

static struct weir_span sealed(const struct weir_sealing *sealing, const char *about, const char *plain,
                               struct weir_buffer *blob) {
    weir_buffer_init(blob, 1 << 20);
    assert_int_equal(weir_sealing_seal(sealing, weir_span_of_string(about), weir_span_of_string(plain), blob), WEIR_OK);
    return weir_buffer_span(blob);
}

static enum weir_status try_open(const struct weir_sealing *sealing, const char *about, struct weir_span blob) {
    struct weir_secret *plain = NULL;
    enum weir_status status = weir_sealing_open(sealing, weir_span_of_string(about), blob, &plain);
    assert_true((status == WEIR_OK) == (plain != NULL));
    weir_secret_free(&plain);
    return status;
}

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1: what others seal, we open. */
static void test_published_vector(void **state) {
    (void)state;
    static const char key[] = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";
    static const char nonce[] = "404142434445464748494a4b4c4d4e4f5051525354555657";
    static const char about_hex[] = "50515253c0c1c2c3c4c5c6c7";
    static const char cipher[] =
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216"
        "cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13"
        "b52ec0875924c1c7987947deafd8780acf49";
    static const char plain[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    enum { CIPHER = (sizeof cipher - 1) / 2 };
    char blob[3 + 8 + 24 + CIPHER], about[12], id[WEIR_SEALING_KEY_ID_SIZE];
    struct weir_sealing *sealing = sealing_of(key, NULL);
    struct weir_secret *opened = NULL;
    weir_sealing_key_id(sealing, id);
    memcpy(blob, "WS1", 3);
    assert_int_equal(weir_hex_parse(weir_span_of_string(id), blob + 3, 8), WEIR_OK);
    assert_int_equal(weir_hex_parse(weir_span_of_string(nonce), blob + 11, 24), WEIR_OK);
    assert_int_equal(weir_hex_parse(weir_span_of_string(cipher), blob + 35, CIPHER), WEIR_OK);
    assert_int_equal(weir_hex_parse(weir_span_of_string(about_hex), about, sizeof about), WEIR_OK);
    assert_int_equal(weir_sealing_open(sealing, weir_span_of(about, sizeof about), weir_span_of(blob, sizeof blob),
                                       &opened),
                     WEIR_OK);
    assert_true(weir_span_equal(weir_secret_reveal(opened), weir_span_of_string(plain)));
    weir_secret_free(&opened);
    weir_sealing_free(&sealing);
}

static void test_round_trip(void **state) {
    (void)state;
    struct weir_sealing *sealing = sealing_of(ONE, NULL);
    static const char *const plains[] = {"", "x", "sk-provider-credential"};
    for (size_t i = 0; i < 3; i++) {
        struct weir_buffer blob, again;
        struct weir_secret *opened = NULL;
        struct weir_span span = sealed(sealing, "dev secret", plains[i], &blob);
        assert_int_equal(span.length, 35 + strlen(plains[i]) + 16);
        assert_int_equal(weir_sealing_open(sealing, WEIR_SPAN("dev secret"), span, &opened), WEIR_OK);
        assert_true(weir_span_equal(weir_secret_reveal(opened), weir_span_of_string(plains[i])));
        if (strlen(plains[i]) > 1)
            assert_null(memmem(span.at, span.length, plains[i], strlen(plains[i])));
        /* No two blobs are the same. */
        assert_false(weir_span_equal(span, sealed(sealing, "dev secret", plains[i], &again)));
        weir_secret_free(&opened);
        weir_buffer_release(&blob);
        weir_buffer_release(&again);
    }
    weir_sealing_free(&sealing);
}

static void test_every_byte_counts(void **state) {
    (void)state;
    struct weir_sealing *sealing = sealing_of(ONE, NULL);
    struct weir_buffer blob;
    struct weir_span span = sealed(sealing, "about", "the plain text", &blob);
    for (size_t i = 0; i < span.length; i++)
        for (int bit = 0; bit < 8; bit++) {
            blob.at[i] = (char)(blob.at[i] ^ (1 << bit));
            /* Another key's id is a key that we do not have; all else is damage. */
            assert_int_equal(try_open(sealing, "about", span), i >= 3 && i < 11 ? WEIR_EDENIED : WEIR_ECORRUPT);
            blob.at[i] = (char)(blob.at[i] ^ (1 << bit));
        }
    for (size_t length = 0; length < span.length; length++)
        assert_int_equal(try_open(sealing, "about", weir_span_first(span, length)), WEIR_ECORRUPT);
    assert_int_equal(try_open(sealing, "about", span), WEIR_OK);
    weir_buffer_append_byte(&blob, 0);
    assert_int_equal(try_open(sealing, "about", weir_buffer_span(&blob)), WEIR_ECORRUPT);
    weir_buffer_release(&blob);
    weir_sealing_free(&sealing);
}

static void test_about_something_else(void **state) {
    (void)state;
    struct weir_sealing *sealing = sealing_of(ONE, NULL);
    struct weir_buffer blob;
    struct weir_span span = sealed(sealing, "prod\nopenai", "plain", &blob);
    static const char *const others[] = {"", "prod\nopenaI", "dev\nopenai", "prod\nopena", "prod\nopenai "};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(try_open(sealing, others[i], span), WEIR_ECORRUPT);
    weir_buffer_release(&blob);
    weir_sealing_free(&sealing);
}

/* Rotation: the first key seals, all of them open; a key that is not there says so. */
static void test_several_keys(void **state) {
    (void)state;
    struct weir_sealing *old = sealing_of(ONE, NULL), *both = sealing_of(TWO, ONE), *new = sealing_of(TWO, NULL);
    struct weir_buffer by_old, by_both;
    char old_id[WEIR_SEALING_KEY_ID_SIZE], new_id[WEIR_SEALING_KEY_ID_SIZE], id[WEIR_SEALING_KEY_ID_SIZE];
    struct weir_span first = sealed(old, "a", "plain", &by_old), second = sealed(both, "a", "plain", &by_both);
    weir_sealing_key_id(old, old_id);
    weir_sealing_key_id(new, new_id);
    assert_string_not_equal(old_id, new_id);
    assert_true(weir_sealing_has(both, weir_span_of_string(old_id)) &&
                weir_sealing_has(both, weir_span_of_string(new_id)));
    assert_false(weir_sealing_has(new, weir_span_of_string(old_id)));
    assert_false(weir_sealing_has(new, WEIR_SPAN("")));
    assert_false(weir_sealing_has(NULL, weir_span_of_string(new_id)));
    assert_int_equal(weir_sealing_blob_key_id(first, id), WEIR_OK);
    assert_string_equal(id, old_id);
    assert_int_equal(weir_sealing_blob_key_id(second, id), WEIR_OK);
    assert_string_equal(id, new_id);
    assert_int_equal(try_open(both, "a", first), WEIR_OK);
    assert_int_equal(try_open(both, "a", second), WEIR_OK);
    assert_int_equal(try_open(new, "a", second), WEIR_OK);
    assert_int_equal(try_open(new, "a", first), WEIR_EDENIED);
    assert_int_equal(try_open(old, "a", second), WEIR_EDENIED);
    weir_buffer_release(&by_old);
    weir_buffer_release(&by_both);
    weir_sealing_free(&old);
    weir_sealing_free(&both);
    weir_sealing_free(&new);
}

static void test_without_keys(void **state) {
    (void)state;
    struct weir_sealing *none = NULL, *one = sealing_of(ONE, NULL);
    struct weir_buffer blob, out;
    char id[WEIR_SEALING_KEY_ID_SIZE] = "x";
    assert_int_equal(weir_sealing_new(NULL, 0, &none, NULL), WEIR_OK);
    assert_false(weir_sealing_can_seal(none));
    assert_false(weir_sealing_can_seal(NULL));
    assert_true(weir_sealing_can_seal(one));
    weir_sealing_key_id(none, id);
    assert_string_equal(id, "");
    weir_buffer_init(&out, 1024);
    assert_int_equal(weir_sealing_seal(none, WEIR_SPAN("a"), WEIR_SPAN("b"), &out), WEIR_EDENIED);
    assert_int_equal(out.length, 0);
    assert_int_equal(try_open(none, "a", sealed(one, "a", "b", &blob)), WEIR_EDENIED);
    weir_buffer_release(&blob);
    weir_buffer_release(&out);
    weir_sealing_free(&none);
    weir_sealing_free(&one);
}

/* The same key in every way that it may be written; what is no key is refused without a byte of it in the words. */
static void test_forms_of_keys(void **state) {
    (void)state;
    static const char *const same[] = {TWO, "0202020202020202020202020202020202020202020202020202020202020202\n",
                                       "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
                                       "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"};
    char id[WEIR_SEALING_KEY_ID_SIZE], expected[WEIR_SEALING_KEY_ID_SIZE];
    struct weir_sealing *sealing = sealing_of(TWO, NULL);
    weir_sealing_key_id(sealing, expected);
    weir_sealing_free(&sealing);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(setenv("WEIR_TEST_KEY", same[i], 1), 0);
        sealing = sealing_of("env:WEIR_TEST_KEY", NULL);
        weir_sealing_key_id(sealing, id);
        assert_string_equal(id, expected);
        weir_sealing_free(&sealing);
    }
    static const char *const wrong[] = {"correct horse battery staple",
                                        "020202020202020202020202020202020202020202020202020202020202020",
                                        TWO "02",
                                        "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg==",
                                        "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI= x",
                                        "0202020202020202020202020202020202020202020202020202020202020g02"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct weir_error error = {.text = ""};
        struct weir_span references[] = {WEIR_SPAN(ONE), WEIR_SPAN("env:WEIR_TEST_KEY")};
        assert_int_equal(setenv("WEIR_TEST_KEY", wrong[i], 1), 0);
        assert_int_equal(weir_sealing_new(references, 2, &sealing, &error), WEIR_EINVAL);
        assert_null(sealing);
        assert_non_null(strstr(error.text, "env:WEIR_TEST_KEY"));
        assert_null(strstr(error.text, wrong[i]));
        references[1] = weir_span_of_string(wrong[i]); /* a literal */
        assert_int_equal(weir_sealing_new(references, 2, &sealing, &error), WEIR_EINVAL);
        assert_null(strstr(error.text, wrong[i]));
    }
    struct weir_span absent = WEIR_SPAN("file:/nowhere/sealing.key");
    assert_int_equal(weir_sealing_new(&absent, 1, &sealing, NULL), WEIR_ENOTFOUND);
}

static void test_made_keys(void **state) {
    (void)state;
    struct weir_secret *first = NULL, *second = NULL;
    assert_int_equal(weir_sealing_key_make(&first), WEIR_OK);
    assert_int_equal(weir_sealing_key_make(&second), WEIR_OK);
    assert_int_equal(weir_secret_reveal(first).length, 64);
    assert_false(weir_span_equal(weir_secret_reveal(first), weir_secret_reveal(second)));
    struct weir_sealing *sealing = NULL;
    struct weir_span reference = weir_secret_reveal(first);
    assert_int_equal(weir_sealing_new(&reference, 1, &sealing, NULL), WEIR_OK);
    assert_true(weir_sealing_can_seal(sealing));
    weir_sealing_free(&sealing);
    weir_secret_free(&first);
    weir_secret_free(&second);
}

static void test_a_buffer_that_is_too_small(void **state) {
    (void)state;
    struct weir_sealing *sealing = sealing_of(ONE, NULL);
    struct weir_buffer blob;
    weir_buffer_init(&blob, 40);
    assert_int_equal(weir_sealing_seal(sealing, WEIR_SPAN("a"), WEIR_SPAN("plain"), &blob), WEIR_ELIMIT);
    weir_buffer_release(&blob);
    weir_sealing_free(&sealing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vector),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_about_something_else),
        cmocka_unit_test(test_several_keys),
        cmocka_unit_test(test_without_keys),
        cmocka_unit_test(test_forms_of_keys),
        cmocka_unit_test(test_made_keys),
        cmocka_unit_test(test_a_buffer_that_is_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Masking: names, shapes, JSON; what is no secret stays. */
#include "base/limits.h"
#include "base/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_masks(void (*mask)(struct weir_buffer *, struct weir_span), const char *text, const char *expected) {
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    mask(&out, weir_span_of_string(text));
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    weir_buffer_append_byte(&out, '\0');
    assert_string_equal(out.at, expected);
    weir_buffer_release(&out);
}

static void names(void **state) {
    (void)state;
    static const char *const secret[] = {"api_key",
                                         "apiKey",
                                         "X-Api-Key",
                                         "key",
                                         "KEY",
                                         "token",
                                         "access_token",
                                         "password",
                                         "Password",
                                         "db.password",
                                         "password_hash",
                                         "authorization",
                                         "Proxy-Authorization",
                                         "set-cookie",
                                         "cookie",
                                         "client_secret",
                                         "secret_value",
                                         "credentials",
                                         "privateKey",
                                         "providers.openai.api_key",
                                         "csrf",
                                         "sessionToken",
                                         "APIKey",
                                         "x-amz-signature",
                                         "secrets"};
    static const char *const plain[] = {
        "key_id",     "input_tokens", "max_tokens",   "tokens",       "secret_name", "name", "",   "keyboard",
        "monkey",     "token_count",  "password_set", "api_key_hint", "keys",        "hash", "__", "password_required",
        "key_prefix", "expires_at"};
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        if (!weir_mask_name_is_secret(weir_span_of_string(secret[i])))
            fail_msg("%s holds a secret", secret[i]);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (weir_mask_name_is_secret(weir_span_of_string(plain[i])))
            fail_msg("%s holds no secret", plain[i]);
}

static void values(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"short", "***"},
        {"elevenchars", "***"},
        {"twelve chars", "twel…hars"},
        {"abcd…wxyz", "abcd…wxyz"}, /* masked already */
        {"***", "***"},
        {"env:OPENAI_API_KEY", "env:OPENAI_API_KEY"},
        {"env:not a variable's name", "env:…name"},
        {"${OPENAI_API_KEY}", "${OPENAI_API_KEY}"},
        {"${}", "***"},
        {"file:/run/secrets/openai", "file:/run/secrets/openai"},
        {"secret:openai", "secret:openai"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_masks(weir_mask_value, rows[i][0], rows[i][1]);
}

static void texts(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"nothing to hide: key_4fXz9QhT2mVb7LpA of workspace acme, 12 tokens",
         "nothing to hide: key_4fXz9QhT2mVb7LpA of workspace acme, 12 tokens"},
        {"weir_prod_abcdABCDabcdABCDabcdABCDabcdABCDabcdABCD4123456", "weir_prod_abcd…3456"},
        {"(weir_dev_abcdABCDabcdABCDabcdABCDabcdABCDabcdABCD4123456)", "(weir_dev_abcd…3456)"},
        {"weir_op_prod_abcdABCDabcdABCDabcdABCDabcdABCDabcdABCD4123456", "weir_op_prod_abcd…3456"},
        {"a_b_c_0123456789abcdefghijklmnopqrstuvwxyz", "a_b_c_0123…wxyz"},
        {"/v1/keys/weir_op_abcdABCDabcdABCDabcdABCDabcdABCD0000?x=1", "/v1/keys/weir_op_abcd…0000?x=1"},
        {"resp_0123456789abcdef0123456789abcdef", "resp_0123456789abcdef0123456789abcdef"}, /* a provider's id */
        {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
        {"Incorrect API key provided: sk-proj-abcdefghij. You can", "Incorrect API key provided: sk-p…ghij. You can"},
        {"q%20sk-abcdefghijkl%22", "q%20sk-a…ijkl%22"},
        {"risk-assessment and task-management", "risk-assessment and task-management"},
        {"AKIAIOSFODNN7EXAMPLE", "AKIA…MPLE"},
        {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJh…c2ln"},
        {"Authorization: Bearer abc.def-ghi", "Authorization: Bear…-ghi"},
        {"got Bearer abcdefghijk1 here", "got Bearer abcd…ijk1 here"},
        {"bearer%20ABCDEFGHIJKL", "bearer%20ABCD…IJKL"},
        {"Basic dXNlcjpwYXNzd29yZA==", "Basic dXNl…ZA=="},
        {"a Bearer token is expected, Basic authentication is not offered.",
         "a Bearer token is expected, Basic authentication is not offered."},
        {"https://user:hunter2hunter2@host/path", "https://***@host/path"},
        {"GET //user:hunter2hunter2@host/ and //x@y/", "GET //***@host/ and //x@y/"},
        {"https://ghtoken@host", "https://***@host"},
        {"redis://:p@ss@host:1 and https://host/@x", "redis://***@host:1 and https://host/@x"},
        {"/v1?key=AAAABBBBCCCCDDDD&model=x", "/v1?key=AAAA…DDDD&model=x"},
        {"api_key=short;b=2", "api_key=***;b=2"},
        {"api_key%3Dabcdefghijkl", "api_key%3Dabcd…ijkl"},
        {"filter[token]=abcdefghijkl", "filter[token]=abcd…ijkl"},
        {"token=Bearer abc;x", "token=***;x"},
        {"password='two words and more' next", "password='two?…more' next"},
        {"{\"api_key\": \"abcdefghijkl\"}", "{\"api_key\": \"abcd…ijkl\"}"},
        {"{\\\"token\\\":\\\"abcdefghijkl\\\"}", "{\\\"token\\\":\\\"abcd…ijkl\\\"}"},
        {"x-api-key: abcdefghijkl\r\nAccept: x", "x-api-key: abcd…ijkl\r\nAccept: x"},
        {"api_key: expected a text", "api_key: expected a text"}, /* a problem's place, no header */
        {"key=env:OPENAI_API_KEY", "key=env:OPENAI_API_KEY"},
        {"a\n-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nb", "a\n***\nb"},
        {"-----BEGIN RSA PRIVATE KEY-----\nMIIB", "***"},
        {"-----", "-----"},
        {"input_tokens=123456789012", "input_tokens=123456789012"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_masks(weir_mask_text, rows[i][0], rows[i][1]);
}

static void json(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"{}", "{}"},
        {" [ 1 , -2.5e3 , true , null , \"a\\nb\" ] ", "[1,-2.5e3,true,null,\"a\\u000ab\"]"},
        {"{\"name\":\"ci\",\"api_key\":\"abcdefghijklmnop\",\"key_id\":\"abcdefghijklmnop\"}",
         "{\"name\":\"ci\",\"api_key\":\"abcd…mnop\",\"key_id\":\"abcdefghijklmnop\"}"},
        {"{\"password\":123456789012345,\"secret\":null,\"token\":true}",
         "{\"password\":\"***\",\"secret\":null,\"token\":true}"},
        {"{\"credentials\":{\"a\":[\"abcdefghijklmnop\",1]},\"b\":2}",
         "{\"credentials\":{\"a\":[\"abcd…mnop\",\"***\"]},\"b\":2}"},
        {"{\"p\\u0061ssword\":\"abcdefghijklmnop\"}", "{\"password\":\"abcd…mnop\"}"},
        {"{\"note\":\"\\u0073k-abcdefghijklmnop\"}", "{\"note\":\"sk-a…mnop\"}"},
        {"{\"note\":\"say \\\"hi\\\" \\\\ \\ud83d\\ude00 \\ud83d\"}",
         "{\"note\":\"say \\\"hi\\\" \\\\ 😀 \xEF\xBF\xBD\"}"},
        {"{\"sk-abcdefghijklmnop\":1}", "{\"sk-a…mnop\":1}"},
        {"{\"url\":\"https://u:p@h/\",\"key\":\"a\\\"bcdefghijk\\\"l\"}",
         "{\"url\":\"https://***@h/\",\"key\":\"a\\\"bc…jk\\\"l\"}"},
        {"{\"api_key\":\"env:NAME\"}", "{\"api_key\":\"env:NAME\"}"},
        /* not JSON: nothing of it is shown */
        {"{\"a\":\"sk-", "\"***\""},
        {"{\"a\":1}x", "\"***\""},
        {"{\"a\" 1}", "\"***\""},
        {"[1,]", "\"***\""},
        {"{\"a\":\"\\x\"}", "\"***\""},
        {"\"\\", "\"***\""},
        {"secret", "\"***\""},
        {"\"line\nbreak\"", "\"***\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_masks(weir_mask_json, rows[i][0], rows[i][1]);
}

static void depth_is_bounded(void **state) {
    (void)state;
    char deep[2 * 1000 + 1];
    memset(deep, '[', 1000);
    memset(deep + 1000, ']', 1000);
    deep[2000] = '\0';
    assert_masks(weir_mask_json, deep, "\"***\"");
}

/* Texts that make a careless matcher start over at every byte: this ends at once, or the test's time does. */
static void hostile_texts_are_linear(void **state) {
    (void)state;
    static const char *const pieces[] = {"eyJ-", "a_b_", "://", "-----BEGIN ", "Bearer ",   "sk-",
                                         "key",  "key=", "a.",  "%20",         "password:", "\\\""};
    enum { REPEATS = 100000 };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct weir_buffer text, out;
        weir_buffer_init(&text, 4 * WEIR_MIB);
        weir_buffer_init(&out, 64 * WEIR_MIB);
        for (size_t k = 0; k < REPEATS; k++)
            weir_buffer_append(&text, weir_span_of_string(pieces[i]));
        weir_mask_text(&out, weir_buffer_span(&text));
        assert_int_equal(weir_buffer_status(&out), WEIR_OK);
        weir_buffer_release(&text);
        weir_buffer_release(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(values),           cmocka_unit_test(texts),
        cmocka_unit_test(json),  cmocka_unit_test(depth_is_bounded), cmocka_unit_test(hostile_texts_are_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Redaction: what goes, what stays, and that JSON and streams are read as such. */
#include "telemetry/redaction.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ALL = 63 };

static void expect(const char *text, enum weir_redaction_form form, unsigned wanted, const char *expected) {
    struct weir_buffer out;
    weir_buffer_init(&out, (size_t)1 << 20);
    assert_int_equal(weir_redact(&out, weir_span_of_string(text), strlen(text), form, wanted), WEIR_OK);
    weir_buffer_append_byte(&out, '\0');
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    assert_string_equal(out.at, expected);
    weir_buffer_release(&out);
}

static void expect_text(const char *text, unsigned wanted, const char *expected) {
    expect(text, WEIR_REDACT_TEXT, wanted, expected);
}

static void test_names(void **state) {
    (void)state;
    unsigned all = 0;
    for (size_t i = 0; weir_redaction_name(i) != NULL; i++) {
        assert_int_equal(weir_redaction_find(weir_span_of_string(weir_redaction_name(i))), 1U << i);
        all |= 1U << i;
    }
    assert_int_equal(all, ALL);
    assert_int_equal(weir_redaction_find(WEIR_SPAN("Email")), 0);
    assert_int_equal(weir_redaction_find(WEIR_SPAN("")), 0);
}

static void test_secrets_always_go(void **state) {
    (void)state;
    expect_text("a sk-abcdefgh12345678.", 0, "a [redacted:secret].");
    expect_text("Bearer abcdefgh.1234", 0, "Bearer [redacted:secret]");
    expect_text("https://ada:hunter2@host/", 0, "https://[redacted:secret]@host/");
    expect_text("x -----BEGIN KEY-----\nMIIE\n-----END KEY----- y", 0, "x [redacted:secret] y");
    expect_text("-----BEGIN KEY-----\nMIIE", 0, "[redacted:secret]");
    expect_text("password=hunter2 and a@b.example", 0, "password=[redacted:secret] and a@b.example");
    expect_text("env:NAME and secrets of life", 0, "env:NAME and secrets of life");
}

static void test_mail(void **state) {
    (void)state;
    expect_text("Write to ada.l+x@mail.example.org.", WEIR_REDACT_EMAIL, "Write to [redacted:email].");
    expect_text("<a@b.co>,c@d.info", WEIR_REDACT_EMAIL, "<[redacted:email]>,[redacted:email]");
    expect_text("j\xC3\xB6rg@m\xC3\xBCller.de", WEIR_REDACT_EMAIL, "[redacted:email]");
    expect_text("@name, a@b, a @ b.co, x@.co, 5@5", WEIR_REDACT_EMAIL, "@name, a@b, a @ b.co, x@.co, 5@5");
}

static void test_numbers(void **state) {
    (void)state;
    expect_text("4111111111111111, 4111-1111-1111-1111 and 378282246310005", WEIR_REDACT_CARD,
                "[redacted:card], [redacted:card] and [redacted:card]");
    expect_text("4111111111111112 41111111111111111111111 0000000000000000 x4111111111111111", WEIR_REDACT_CARD,
                "4111111111111112 41111111111111111111111 0000000000000000 x4111111111111111");
    expect_text("+49 30 1234567, (555) 123-4567, 1-555-123-4567, 0049301234567, 030 / 123 45 67", WEIR_REDACT_PHONE,
                "[redacted:phone], [redacted:phone], [redacted:phone], [redacted:phone], [redacted:phone]");
    expect_text("1763760000 in 2026-11-21, 3.14159265, +1 of 10", WEIR_REDACT_PHONE,
                "1763760000 in 2026-11-21, 3.14159265, +1 of 10");
    expect_text("DE89370400440532013000, GB82 WEST 1234 5698 7654 32.", WEIR_REDACT_IBAN,
                "[redacted:iban], [redacted:iban].");
    expect_text("DE88370400440532013000 AB12", WEIR_REDACT_IBAN, "DE88370400440532013000 AB12");
}

static void test_addresses(void **state) {
    (void)state;
    expect_text("from 203.0.113.9.", WEIR_REDACT_IPV4, "from [redacted:ipv4].");
    expect_text("http://10.0.0.1:80/ 1.2.3 1.2.3.4.5 256.1.1.1 v1.2.3.4", WEIR_REDACT_IPV4,
                "http://[redacted:ipv4]:80/ 1.2.3 1.2.3.4.5 256.1.1.1 v1.2.3.4");
    expect_text("[2001:db8::1]:80, fe80::1%eth0, ::ffff:10.0.0.1.", WEIR_REDACT_IPV6,
                "[[redacted:ipv6]]:80, [redacted:ipv6]%eth0, [redacted:ipv6].");
    expect_text("12:30:45, a::b::c, std::string", WEIR_REDACT_IPV6, "12:30:45, a::b::c, std::string");
}

static void test_json(void **state) {
    (void)state;
    expect("{\"a\":\"hi\\nada@example.org\\n\",\"n\":4111111111111111}", WEIR_REDACT_JSON, ALL,
           "{\"a\":\"hi\\n[redacted:email]\\n\",\"n\":[redacted:card]}");
    expect("{\"a\":\"\\u0073k-abcdefgh12345678\"}", WEIR_REDACT_JSON, 0, "{\"a\":\"[redacted:secret]\"}");
    expect("{\"password\":{\"x\":[\"ab\",1]},\"b\":\"ab\"}", WEIR_REDACT_JSON, 0,
           "{\"password\":{\"x\":[\"[redacted:secret]\",[redacted:secret]]},\"b\":\"ab\"}");
    expect("{\"ada@example.org\":1}", WEIR_REDACT_JSON, ALL, "{\"[redacted:email]\":1}");
    expect("{\"args\":\"{\\\"api_key\\\":\\\"hunter2hunter2\\\"}\"}", WEIR_REDACT_JSON, 0,
           "{\"args\":\"{\\\"api_key\\\":\\\"[redacted:secret]\\\"}\"}");
    expect("{\"a\":\"cut off in ada@example.org", WEIR_REDACT_JSON, ALL, "{\"a\":\"cut off in [redacted:email]");
    /* Two strings are two texts, and what is no JSON is a text. */
    expect("[\"ada@exam\",\"ple.org\"]", WEIR_REDACT_JSON, ALL, "[\"ada@exam\",\"ple.org\"]");
    expect("say \"a\nb\" to -----BEGIN KEY-----\nMIIE", WEIR_REDACT_JSON, 0, "say \"a\nb\" to [redacted:secret]");
}

static void test_streams(void **state) {
    (void)state;
    expect(
        "data: {\"id\":\"c1\",\"d\":{\"content\":\"I am ada\"}}\n\ndata: {\"id\":\"c1\",\"d\":{\"content\":\"@exam\"}}\n\n"
        "data: {\"id\":\"c1\",\"d\":{\"content\":\"ple.org!\"}}\n\ndata: [DONE]\n\n",
        WEIR_REDACT_EVENTS, ALL,
        "data: {\"id\":\"c1\",\"d\":{\"content\":\"I am [redacted:email]\"}}\n\ndata: {\"id\":\"c1\",\"d\":{\"content\":\"\"}}\n\n"
        "data: {\"id\":\"c1\",\"d\":{\"content\":\"!\"}}\n\ndata: [DONE]\n\n");
    /* Two answers in turns. */
    expect(
        "data: {\"c\":[{\"index\":0,\"t\":\"x@y\"}]}\n\ndata: {\"c\":[{\"index\":1,\"t\":\" and \"}]}\n\n"
        "data: {\"c\":[{\"index\":0,\"t\":\".com\"}]}\n\n",
        WEIR_REDACT_EVENTS, ALL,
        "data: {\"c\":[{\"index\":0,\"t\":\"[redacted:email]\"}]}\n\ndata: {\"c\":[{\"index\":1,\"t\":\" and \"}]}\n\n"
        "data: {\"c\":[{\"index\":0,\"t\":\"\"}]}\n\n");
    expect("data: {\"t\":\"sk-abcd\"}\ndata: {\"t\":\"efgh12345678 \"}\n", WEIR_REDACT_EVENTS, 0,
           "data: {\"t\":\"[redacted:secret]\"}\ndata: {\"t\":\" \"}\n");
}

static void test_what_stands_across_the_cut(void **state) {
    (void)state;
    struct weir_buffer out;
    struct weir_span text = WEIR_SPAN("from ada@example.org to me");
    for (size_t shown = 0; shown <= text.length; shown++) {
        weir_buffer_init(&out, 1000);
        assert_int_equal(weir_redact(&out, text, shown, WEIR_REDACT_TEXT, ALL), WEIR_OK);
        if (shown <= 5)
            assert_true(weir_span_equal(weir_buffer_span(&out), weir_span_first(text, shown)));
        else
            assert_true(weir_span_starts_with(weir_buffer_span(&out), WEIR_SPAN("from [redacted:email]")));
        weir_buffer_release(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_secrets_always_go),
        cmocka_unit_test(test_mail),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_json),
        cmocka_unit_test(test_streams),   cmocka_unit_test(test_what_stands_across_the_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

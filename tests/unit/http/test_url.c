/* URLs, percent coding, loopback names. */
#include "http/url.h"

#include <stdlib.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_parsed(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *authority, *path, *query;
        unsigned port;
        bool tls, given, ipv6;
    } rows[] = {
        {"http://a", "a", "a", "", "", 80, false, false, false},
        {"HTTPS://Api.Example.com/v1", "Api.Example.com", "Api.Example.com", "/v1", "", 443, true, false, false},
        {"http://127.0.0.1:8080/a/b?c=d?e", "127.0.0.1", "127.0.0.1:8080", "/a/b", "c=d?e", 8080, false, true, false},
        {"https://[::1]:1/", "::1", "[::1]:1", "/", "", 1, true, true, true},
        {"https://[2001:db8::7]", "2001:db8::7", "[2001:db8::7]", "", "", 443, true, false, true},
        {"http://under_score-x.~y:65535?q", "under_score-x.~y", "under_score-x.~y:65535", "", "q", 65535, false, true,
         false},
        {"http://h//x", "h", "h", "//x", "", 80, false, false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_url url;
        struct weir_error error;
        assert_int_equal(weir_url_parse(weir_span_of_string(rows[i].text), &url, &error), WEIR_OK);
        assert_true(weir_span_equal(url.host, weir_span_of_string(rows[i].host)));
        assert_true(weir_span_equal(url.authority, weir_span_of_string(rows[i].authority)));
        assert_true(weir_span_equal(url.path, weir_span_of_string(rows[i].path)));
        assert_true(weir_span_equal(url.query, weir_span_of_string(rows[i].query)));
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.tls, rows[i].tls);
        assert_int_equal(url.port_given, rows[i].given);
        assert_int_equal(url.host_is_ipv6, rows[i].ipv6);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const char *const scheme = "the URL does not begin with http:// or https://";
    static const char *const host = "the URL has no well-formed host and port";
    static const char *const byte = "the URL has a space, a control byte or a byte outside ASCII";
    const struct {
        const char *text, *words;
    } rows[] = {
        {"", scheme},
        {"a/b", scheme},
        {"//a", scheme},
        {"http:/a", scheme},
        {"ftp://a", scheme},
        {"http://", host},
        {"http:///x", host},
        {"http://:80", host},
        {"http://a:", host},
        {"http://a:0", host},
        {"http://a:65536", host},
        {"http://a:000080", host},
        {"http://a:+1", host},
        {"http://a:80:80", host},
        {"http://a%41", host},
        {"http://a\\b", host},
        {"http://::1", host},
        {"http://[::1", host},
        {"http://[]", host},
        {"http://[1.2.3.4]", host},
        {"http://[::1]80", host},
        {"http://[fe80::1%25eth0]", host},
        {"http://[00000000000000000000000000000000000000000000000000::1]", host},
        {"http://u@a", "the URL has user information (user@host)"},
        {"http://u:p@a/", "the URL has user information (user@host)"},
        {"http://a/#f", "the URL has a fragment (#)"},
        {"http://a#f", "the URL has a fragment (#)"},
        {"http://a/ b", byte},
        {"http://a/\n", byte},
        {"http://\xC3\xA9/", byte},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_url url;
        struct weir_error error;
        assert_int_equal(weir_url_parse(weir_span_of_string(rows[i].text), &url, &error), WEIR_EINVAL);
        assert_string_equal(error.text, rows[i].words);
        assert_int_equal(weir_url_parse(weir_span_of_string(rows[i].text), &url, NULL), WEIR_EINVAL);
    }
}

static void test_host_length(void **state) {
    (void)state;
    char text[300] = "http://";
    struct weir_url url;
    memset(text + 7, 'h', 256);
    assert_int_equal(weir_url_parse(weir_span_of(text, 7 + 255), &url, NULL), WEIR_OK);
    assert_int_equal(weir_url_parse(weir_span_of(text, 7 + 256), &url, NULL), WEIR_EINVAL);
}

static void test_decode(void **state) {
    (void)state;
    char out[32];
    size_t length = 99;
    assert_int_equal(weir_url_decode(WEIR_SPAN("a%20b+%2f%2F%C3%a9%"
                                               "25"),
                                     out, &length),
                     WEIR_OK);
    assert_true(weir_span_equal(weir_span_of(out, length), WEIR_SPAN("a b+//\xC3\xA9%")));
    assert_int_equal(weir_url_decode(WEIR_SPAN(""), out, &length), WEIR_OK);
    assert_int_equal(length, 0);
    static const char *const bad[] = {"%", "a%2", "%zz", "%0g", "%g0", "%00", "%%20", "% 20", "%+1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(weir_url_decode(weir_span_of_string(bad[i]), out, &length), WEIR_EINVAL);
    }
    assert_int_equal(weir_url_decode(weir_span_of("a\0b", 3), out, &length), WEIR_EINVAL);
}

static void check_found(const char *query, const char *name, const char *value) {
    char out[64];
    size_t length = 0;
    assert_int_equal(weir_url_query_find(weir_span_of_string(query), weir_span_of_string(name), out, &length), WEIR_OK);
    assert_true(weir_span_equal(weir_span_of(out, length), weir_span_of_string(value)));
}

static void test_query(void **state) {
    (void)state;
    check_found("a=1&b=2", "a", "1");
    check_found("a=1&b=2", "b", "2");
    check_found("b=2&a=x%20y+z&a=3", "a", "x y z");
    check_found("a", "a", "");
    check_found("a=", "a", "");
    check_found("&&a=b=c&", "a", "b=c");
    check_found("%61%20b=c", "a b", "c");
    check_found("%=x&a=1", "a", "1");
    char out[64];
    size_t length = 0;
    assert_int_equal(weir_url_query_find(WEIR_SPAN("ab=1"), WEIR_SPAN("a"), out, &length), WEIR_ENOTFOUND);
    assert_int_equal(weir_url_query_find(WEIR_SPAN(""), WEIR_SPAN("a"), out, &length), WEIR_ENOTFOUND);
    assert_int_equal(weir_url_query_find(WEIR_SPAN("a=%0"), WEIR_SPAN("a"), out, &length), WEIR_EINVAL);
}

static void test_loopback(void **state) {
    (void)state;
    static const char *const yes[] = {"localhost",   "LocalHost", "a.localhost",     "a.b.LOCALHOST",   "127.0.0.1",
                                      "127.255.0.9", "::1",       "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"};
    static const char *const no[] = {"",
                                     "localhost.",
                                     ".localhost",
                                     "localhost.example.com",
                                     "xlocalhost",
                                     "127.0.0.1.nip.io",
                                     "127.1",
                                     "128.0.0.1",
                                     "0127.0.0.1",
                                     "1.127.0.0",
                                     "0.0.0.0",
                                     "::",
                                     "::2",
                                     "[::1]",
                                     "2130706433",
                                     "::ffff:10.0.0.1",
                                     "a b.localhost",
                                     "a@.localhost"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!weir_url_host_is_loopback(weir_span_of_string(yes[i]))) {
            fail_msg("%s is a loopback host", yes[i]);
        }
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (weir_url_host_is_loopback(weir_span_of_string(no[i]))) {
            fail_msg("%s is no loopback host", no[i]);
        }
    }
    assert_false(weir_url_host_is_loopback(weir_span_of("127.0.0.1\0x", 11)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parsed), cmocka_unit_test(test_refused), cmocka_unit_test(test_host_length),
        cmocka_unit_test(test_decode), cmocka_unit_test(test_query),   cmocka_unit_test(test_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Addresses and networks as people write them, and the client behind proxies: the examples of RFC 4291, 5952 and 7239, and what a client may try. */
#include "identity/addresses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void assert_shown(const char *written, const char *shown) {
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    assert_int_equal(weir_address_parse(weir_span_of_string(written), &address), WEIR_OK);
    weir_address_format(&address, text);
    assert_string_equal(text, shown);
}

static void addresses_are_read_and_shown(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        /* RFC 4291 §2.2 */
        {"ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"},
        {"2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"},
        {"FF01:0:0:0:0:0:0:101", "ff01::101"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"0:0:0:0:0:0:13.1.68.3", "::d01:4403"},
        {"0:0:0:0:0:FFFF:129.144.52.38", "129.144.52.38"},
        {"::FFFF:129.144.52.38", "129.144.52.38"},
        /* RFC 5952 §4 */
        {"2001:0db8::0001", "2001:db8::1"},
        {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
        {"2001:db8::0:1", "2001:db8::1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
        {"2001:DB8::AAAA", "2001:db8::aaaa"},
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_shown(rows[i][0], rows[i][1]);
}

static void what_is_no_address_is_refused(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",           " ",          "192.0.2",      "192.0.2.256",  "192.0.2.1.1",  "192.0.2.01",
        "0x7f.0.0.1", "2130706433", "192.0.2.1 ",   " 192.0.2.1",   "192.0.2.1:80", "[::1]",
        "::1%eth0",   "fe80::1%1",  ":::",          "1:2:3:4:5:6",  "1::2::3",      "12345::",
        "::g",        "localhost",  "::ffff:1.2.3", "192.0.2.1/32",
    };
    struct weir_address address;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(weir_address_parse(weir_span_of_string(rows[i]), &address), WEIR_EINVAL);
    assert_int_equal(weir_address_parse(WEIR_SPAN("192.0.2.1\0"), &address), WEIR_EINVAL);
}

static bool is_in(const char *network, const char *address) {
    struct weir_network one;
    struct weir_address parsed;
    assert_int_equal(weir_network_parse(weir_span_of_string(network), &one), WEIR_OK);
    assert_int_equal(weir_address_parse(weir_span_of_string(address), &parsed), WEIR_OK);
    const struct weir_networks networks = {.at = &one, .count = 1};
    return weir_networks_contain(&networks, &parsed);
}

static void networks_contain_what_they_say(void **state) {
    (void)state;
    assert_true(is_in("192.0.2.0/24", "192.0.2.0"));
    assert_true(is_in("192.0.2.0/24", "192.0.2.255"));
    assert_false(is_in("192.0.2.0/24", "192.0.3.0"));
    assert_false(is_in("192.0.2.0/24", "192.0.1.255"));
    assert_true(is_in("192.0.2.0/24", "::ffff:192.0.2.7"));
    assert_true(is_in("10.0.0.0/7", "11.255.255.255"));
    assert_false(is_in("10.0.0.0/7", "12.0.0.0"));
    assert_true(is_in("192.0.2.4/30", "192.0.2.7"));
    assert_false(is_in("192.0.2.4/30", "192.0.2.8"));
    assert_true(is_in("192.0.2.1", "192.0.2.1"));
    assert_false(is_in("192.0.2.1", "192.0.2.0"));
    assert_true(is_in("0.0.0.0/0", "203.0.113.9"));
    assert_false(is_in("0.0.0.0/0", "2001:db8::1"));
    assert_true(is_in("::/0", "2001:db8::1"));
    assert_false(is_in("::/0", "203.0.113.9"));
    assert_true(is_in("::ffff:192.0.2.0/120", "192.0.2.9"));
    /* RFC 4291 §2.3 */
    assert_true(is_in("2001:0DB8:0:CD30::/60", "2001:db8:0:cd3f::1"));
    assert_false(is_in("2001:0DB8:0:CD30::/60", "2001:db8:0:cd40::"));
    assert_true(is_in("2001:db8::1", "2001:db8::1"));
    assert_false(is_in("2001:db8::1", "2001:db8::2"));
    assert_true(is_in("2001:db8::/127", "2001:db8::1"));
    assert_false(is_in("2001:db8::/128", "2001:db8::1"));
}

static void what_is_no_network_is_refused(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "192.0.2.1/24",
        "192.0.2.0/33",
        "192.0.2.0/",
        "192.0.2.0/024",
        "192.0.2.0/-1",
        "/24",
        "192.0.2/24",
        "::/129",
        "2001:db8::1/64",
        "192.0.2.0/24 ",
        "192.0.2.0/24/24",
        "*",
        "::1%lo/128",
        "192.0.2.0/18446744073709551640",
    };
    struct weir_network network;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(weir_network_parse(weir_span_of_string(rows[i]), &network), WEIR_EINVAL);
    struct weir_arena *arena = weir_arena_new(0, 4096);
    const struct weir_span texts[] = {WEIR_SPAN("10.0.0.0/8"), WEIR_SPAN("10.0.0.1/8")};
    struct weir_networks networks = {.at = NULL};
    struct weir_span bad = WEIR_SPAN("");
    assert_int_equal(weir_networks_parse(arena, texts, 2, &networks, &bad), WEIR_EINVAL);
    assert_true(weir_span_equal(bad, texts[1]));
    assert_int_equal(weir_networks_parse(arena, texts, 1, &networks, &bad), WEIR_OK);
    assert_int_equal(networks.count, 1);
    assert_int_equal(weir_networks_parse(arena, texts, 0, &networks, &bad), WEIR_OK);
    const struct weir_address address = {.bytes = {0}};
    assert_false(weir_networks_contain(&networks, &address));
    weir_arena_free(&arena);
}

static void loopback_is_known(void **state) {
    (void)state;
    static const struct {
        const char *address;
        bool is_loopback;
    } rows[] = {{"127.0.0.1", true},          {"127.255.0.9", true}, {"::1", true},  {"::ffff:127.0.0.1", true},
                {"128.0.0.1", false},         {"::", false},         {"::2", false}, {"::127.0.0.1", false},
                {"::ffff:0:127.0.0.1", false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct weir_address address;
        assert_int_equal(weir_address_parse(weir_span_of_string(rows[i].address), &address), WEIR_OK);
        assert_int_equal(weir_address_is_loopback(&address), rows[i].is_loopback);
    }
}

/* Trusted here: 10.0.0.0/8 and 2001:db8:aaaa::/48. */
static void assert_client(const char *peer, const char *forwarded, const char *x_forwarded_for, const char *expected) {
    struct weir_network networks[2];
    struct weir_address address, client;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    assert_int_equal(weir_network_parse(WEIR_SPAN("10.0.0.0/8"), &networks[0]), WEIR_OK);
    assert_int_equal(weir_network_parse(WEIR_SPAN("2001:db8:aaaa::/48"), &networks[1]), WEIR_OK);
    const struct weir_networks trusted = {.at = networks, .count = 2};
    assert_int_equal(weir_address_parse(weir_span_of_string(peer), &address), WEIR_OK);
    client = weir_client_address(&trusted, &address, weir_span_of_string(forwarded),
                                 weir_span_of_string(x_forwarded_for));
    weir_address_format(&client, text);
    assert_string_equal(text, expected);
}

static void a_client_is_seen_through_proxies(void **state) {
    (void)state;
    static const struct {
        const char *peer, *forwarded, *x_forwarded_for, *client;
    } rows[] = {
        {"10.0.0.1", "", "", "10.0.0.1"},
        {"10.0.0.1", "", "198.51.100.7", "198.51.100.7"},
        {"10.0.0.1", "", "198.51.100.7, 10.9.9.9", "198.51.100.7"},
        {"10.0.0.1", "", "10.9.9.9", "10.9.9.9"},
        {"10.0.0.1", "", "10.1.1.1 ,10.9.9.9", "10.1.1.1"},
        {"10.0.0.1", "", "198.51.100.7:4711", "198.51.100.7"},
        {"10.0.0.1", "", "2001:db8:cafe::17", "2001:db8:cafe::17"},
        {"10.0.0.1", "", "[2001:db8:cafe::17]:4711", "2001:db8:cafe::17"},
        {"10.0.0.1", "", ",, 198.51.100.7 ,, ,", "198.51.100.7"},
        {"2001:db8:aaaa::1", "", "198.51.100.7", "198.51.100.7"},
        /* RFC 7239 §4, §6, §7.1 */
        {"10.0.0.1", "for=\"_gazonk\"", "", "10.0.0.1"},
        {"10.0.0.1", "For=\"[2001:db8:cafe::17]:4711\"", "", "2001:db8:cafe::17"},
        {"10.0.0.1", "for=192.0.2.60;proto=http;by=203.0.113.43", "", "192.0.2.60"},
        {"10.0.0.1", "for=192.0.2.43, for=198.51.100.17", "", "198.51.100.17"},
        {"10.0.0.1", "for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown", "", "10.0.0.1"},
        {"10.0.0.1", "for=_hidden, for=_SEVKISEK", "", "10.0.0.1"},
        {"10.0.0.1", "for=192.0.2.43, for=\"[2001:db8:aaaa::17]\"", "", "192.0.2.43"},
        {"10.0.0.1", "for=192.0.2.43;by=_a, for=10.0.0.2;proto=http", "", "192.0.2.43"},
        {"10.0.0.1", "for=\"192.0.2.43:47011\"", "", "192.0.2.43"},
        {"10.0.0.1", "for=\"192.0.2.43:_port\"", "", "192.0.2.43"},
        {"10.0.0.1", "for=192.0.2.43;host=\"a,b;for=9.9.9.9\"", "", "10.0.0.1"},
        {"10.0.0.1", "for=198.51.100.9, host=\"a\\\",b\";for=192.0.2.43", "", "192.0.2.43"},
        {"10.0.0.1", "for=192.0.2.43", "192.0.2.43", "192.0.2.43"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_client(rows[i].peer, rows[i].forwarded, rows[i].x_forwarded_for, rows[i].client);
}

static void a_client_cannot_choose_its_address(void **state) {
    (void)state;
    static const struct {
        const char *peer, *forwarded, *x_forwarded_for, *client;
    } rows[] = {
        /* not through a proxy of ours: nothing that it says counts */
        {"198.51.100.7", "for=10.0.0.1", "10.0.0.1", "198.51.100.7"},
        /* what stands to the left of the first hop that is not ours */
        {"10.0.0.1", "", "10.0.0.5, 198.51.100.7", "198.51.100.7"},
        {"10.0.0.1", "", "1.1.1.1, 198.51.100.7, 10.0.0.2", "198.51.100.7"},
        {"10.0.0.1", "for=1.1.1.1, for=198.51.100.7", "", "198.51.100.7"},
        /* an open quotation mark swallows nothing */
        {"10.0.0.1", "for=\"1.1.1.1, for=198.51.100.7", "", "198.51.100.7"},
        {"10.0.0.1", "for=\"1.1.1.1;x=\"\\, for=198.51.100.7", "", "198.51.100.7"},
        {"10.0.0.1", "for=1.1.1.1;x=\"\\\\\\, for=\"198.51.100.7\"", "", "198.51.100.7"},
        /* what is no address */
        {"10.0.0.1", "", "198.51.100.7, garbage", "10.0.0.1"},
        {"10.0.0.1", "", "198.51.100.7, garbage, 10.0.0.9", "10.0.0.9"},
        {"10.0.0.1", "", "198.51.100.7 1.1.1.1", "10.0.0.1"},
        {"10.0.0.1", "", "198.51.100.7:port", "10.0.0.1"},
        {"10.0.0.1", "", "198.51.100.7:", "10.0.0.1"},
        {"10.0.0.1", "", "198.51.100.7:65536", "10.0.0.1"},
        {"10.0.0.1", "", "[198.51.100.7]", "10.0.0.1"},
        {"10.0.0.1", "", "[2001:db8::1", "10.0.0.1"},
        {"10.0.0.1", "", "[2001:db8::1]x", "10.0.0.1"},
        {"10.0.0.1", "for=198.51.100.7;for=1.1.1.1", "", "10.0.0.1"},
        {"10.0.0.1", "by=198.51.100.7", "", "10.0.0.1"},
        {"10.0.0.1", "for", "", "10.0.0.1"},
        {"10.0.0.1", "for=", "", "10.0.0.1"},
        {"10.0.0.1", "for=\"", "", "10.0.0.1"},
        /* the field that the proxy does not write itself: it and the other cannot both be true */
        {"10.0.0.1", "for=1.1.1.1", "198.51.100.7", "::"},
        {"10.0.0.1", "for=unknown", "198.51.100.7", "::"},
        {"10.0.0.1", "for=198.51.100.7", "1.1.1.1", "::"},
        {"10.0.0.1", ",", "198.51.100.7", "::"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_client(rows[i].peer, rows[i].forwarded, rows[i].x_forwarded_for, rows[i].client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_shown),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(networks_contain_what_they_say),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(loopback_is_known),
        cmocka_unit_test(a_client_is_seen_through_proxies),
        cmocka_unit_test(a_client_cannot_choose_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

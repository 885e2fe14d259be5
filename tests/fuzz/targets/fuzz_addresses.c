/* links: base identity */
/* Addresses, networks, and the fields that proxies write. The input is read as an address, as a network, and as Forwarded, X-Forwarded-For or both.
 *
 * Held: what is an address has one text, which is the same address; a network contains its own address; a peer that is no proxy is the client
 * whatever the fields say; and whatever a client has put in front, what the nearest proxy appended decides.
 */
#include "identity/addresses.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_address address_of(const char *text) {
    struct weir_address address;
    weir_bug_on(weir_address_parse(weir_span_of_string(text), &address) != WEIR_OK);
    return address;
}

static void check_texts(struct weir_span input) {
    struct weir_address address, again;
    struct weir_network network;
    char text[WEIR_ADDRESS_TEXT_SIZE], text_again[WEIR_ADDRESS_TEXT_SIZE];
    if (weir_address_parse(input, &address) == WEIR_OK) {
        weir_address_format(&address, text);
        weir_bug_on(weir_address_parse(weir_span_of_string(text), &again) != WEIR_OK);
        weir_bug_on(!weir_address_equal(&address, &again));
        weir_address_format(&again, text_again);
        weir_bug_on(strcmp(text, text_again) != 0);
    }
    if (weir_network_parse(input, &network) == WEIR_OK) {
        const struct weir_networks networks = {.at = &network, .count = 1};
        weir_address_format(&network.address, text);
        bool is_ipv4 = strchr(text, ':') == NULL;
        weir_bug_on(weir_networks_contain(&networks, &network.address) != (!is_ipv4 || network.prefix >= 96));
    }
}

static void check_appended(const struct weir_networks *trusted, struct weir_span input, bool is_forwarded) {
    static const char appended[] = "198.51.100.7";
    char field[4096];
    const struct weir_address proxy = address_of("10.0.0.1"), client = address_of(appended);
    if (input.length > sizeof field / 2)
        return;
    int length = snprintf(field, sizeof field, "%.*s, %s%s", WEIR_SPAN_PRINT(input), is_forwarded ? "for=" : "",
                          appended);
    if (length < 0 || (size_t)length < input.length)
        return; /* a NUL in it: the head's parser lets none through */
    struct weir_span whole = weir_span_of(field, (size_t)length), none = WEIR_SPAN("");
    struct weir_address seen = weir_client_address(trusted, &proxy, is_forwarded ? whole : none,
                                                   is_forwarded ? none : whole);
    weir_bug_on(!weir_address_equal(&seen, &client));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct weir_span input = weir_span_of((const char *)data, size);
    const struct weir_span none = WEIR_SPAN("");
    struct weir_network network;
    weir_bug_on(weir_network_parse(WEIR_SPAN("10.0.0.0/8"), &network) != WEIR_OK);
    const struct weir_networks trusted = {.at = &network, .count = 1};
    const struct weir_address proxy = address_of("10.0.0.1"), stranger = address_of("203.0.113.9");
    check_texts(input);
    struct weir_address seen = weir_client_address(&trusted, &stranger, input, input);
    weir_bug_on(!weir_address_equal(&seen, &stranger));
    (void)weir_client_address(&trusted, &proxy, input, none);
    (void)weir_client_address(&trusted, &proxy, none, input);
    (void)weir_client_address(&trusted, &proxy, input, input);
    check_appended(&trusted, input, true);
    check_appended(&trusted, input, false);
    return 0;
}

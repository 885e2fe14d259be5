/* IP addresses and networks as 16 bytes, and the way back through proxies.
 *
 * The fields that proxies write are read from the right, hop by hop, for only what our own proxies added can be believed: it stands at the right
 * end. So is the quoting of the Forwarded field: a quotation mark that a client has left open on the left must not swallow what a proxy wrote
 * behind it. The first hop that is not one of our proxies is the client, and nothing to the left of it is looked at.
 */
#include "identity/addresses.h"

#include <arpa/inet.h>

enum { ADDRESS_BITS = 128, IPV4_AS_IPV6_BITS = 96, WORDS = 8 };

static const unsigned char ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const struct weir_address *address) {
    return memcmp(address->bytes, ipv4_prefix, sizeof ipv4_prefix) == 0;
}

/* `is_written_as_ipv4` is about the text: "::ffff:192.0.2.1" is the same address, but prefixes of it count from the left of the long form. */
static enum weir_status parse(struct weir_span text, struct weir_address *address, bool *is_written_as_ipv4) {
    char plain[WEIR_ADDRESS_TEXT_SIZE];
    struct in6_addr six;
    struct in_addr four;
    if (weir_span_is_empty(text) || weir_span_to_string(text, plain, sizeof plain) != WEIR_OK)
        return WEIR_EINVAL;
    if (inet_pton(AF_INET, plain, &four) == 1) {
        memcpy(address->bytes, ipv4_prefix, sizeof ipv4_prefix);
        memcpy(&address->bytes[sizeof ipv4_prefix], &four, sizeof four);
        *is_written_as_ipv4 = true;
        return WEIR_OK;
    }
    if (inet_pton(AF_INET6, plain, &six) != 1)
        return WEIR_EINVAL;
    memcpy(address->bytes, &six, sizeof address->bytes);
    *is_written_as_ipv4 = false;
    return WEIR_OK;
}

enum weir_status weir_address_parse(struct weir_span text, struct weir_address *address) {
    bool is_written_as_ipv4;
    return parse(text, address, &is_written_as_ipv4);
}

bool weir_address_equal(const struct weir_address *a, const struct weir_address *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool weir_address_is_loopback(const struct weir_address *address) {
    static const struct weir_address loopback = {.bytes = {[15] = 1}};
    return is_ipv4(address) ? address->bytes[12] == 127 : weir_address_equal(address, &loopback);
}

/* The bits of byte `index` that a prefix covers. */
static unsigned char mask_of(unsigned prefix, unsigned index) {
    unsigned before = index * 8;
    if (prefix <= before)
        return 0;
    return (unsigned char)(prefix - before >= 8 ? 0xffU : 0xff00U >> (prefix - before));
}

enum weir_status weir_network_parse(struct weir_span text, struct weir_network *network) {
    struct weir_network made = {.prefix = ADDRESS_BITS};
    struct weir_span address, digits;
    bool is_written_as_ipv4 = false, has_prefix = weir_span_split(text, '/', &address, &digits);
    if (parse(address, &made.address, &is_written_as_ipv4) != WEIR_OK)
        return WEIR_EINVAL;
    if (has_prefix) {
        uint64_t bits = 0;
        bool has_leading_zero = digits.length > 1 && digits.at[0] == '0';
        unsigned offset = is_written_as_ipv4 ? IPV4_AS_IPV6_BITS : 0;
        if (has_leading_zero || weir_span_to_uint64(digits, &bits) != WEIR_OK || bits > ADDRESS_BITS - offset)
            return WEIR_EINVAL;
        made.prefix = (unsigned char)(bits + offset);
    }
    for (unsigned i = 0; i < sizeof made.address.bytes; i++)
        if ((made.address.bytes[i] & ~mask_of(made.prefix, i)) != 0)
            return WEIR_EINVAL; /* 192.0.2.7/24: a network or one address? */
    *network = made;
    return WEIR_OK;
}

enum weir_status weir_networks_parse(struct weir_arena *arena, const struct weir_span *texts, size_t count,
                                     struct weir_networks *networks, struct weir_span *bad) {
    struct weir_network *made = weir_arena_array(arena, count, sizeof *made);
    if (made == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (weir_network_parse(texts[i], &made[i]) != WEIR_OK) {
            *bad = texts[i];
            return WEIR_EINVAL;
        }
    *networks = (struct weir_networks){.at = made, .count = count};
    return WEIR_OK;
}

static bool contains(const struct weir_network *network, const struct weir_address *address) {
    if (is_ipv4(address) && network->prefix < IPV4_AS_IPV6_BITS)
        return false;
    for (unsigned i = 0; i < sizeof address->bytes; i++)
        if (((network->address.bytes[i] ^ address->bytes[i]) & mask_of(network->prefix, i)) != 0)
            return false;
    return true;
}

bool weir_networks_contain(const struct weir_networks *networks, const struct weir_address *address) {
    for (size_t i = 0; i < networks->count; i++)
        if (contains(&networks->at[i], address))
            return true;
    return false;
}

/* --- proxies --- */

/* Takes the last member off a list, split at commas; with `quoted` those inside quotation marks do not count. */
static struct weir_span take_last(struct weir_span *list, bool quoted) {
    size_t at = list->length;
    bool is_inside = false;
    for (; at > 0; at--) {
        char byte = list->at[at - 1];
        if (byte == ',' && !is_inside)
            break;
        if (byte != '"' || !quoted)
            continue;
        size_t backslashes = 0;
        while (backslashes < at - 1 && list->at[at - 2 - backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            is_inside = !is_inside;
    }
    struct weir_span last = weir_span_from(*list, at);
    *list = weir_span_first(*list, at > 0 ? at - 1 : 0);
    return weir_span_trim(last);
}

static bool is_port(struct weir_span text) {
    uint64_t port;
    bool is_obfuscated = text.length > 1 && text.at[0] == '_';
    return is_obfuscated || (text.length <= 5 && weir_span_to_uint64(text, &port) == WEIR_OK && port <= 65535);
}

/* "192.0.2.43", "192.0.2.43:47011", "2001:db8::17", "[2001:db8::17]", "[2001:db8::17]:4711". */
static enum weir_status parse_node(struct weir_span text, struct weir_address *address) {
    struct weir_span host = text, rest = WEIR_SPAN("");
    if (text.length > 0 && text.at[0] == '[') {
        if (!weir_span_split(weir_span_from(text, 1), ']', &host, &rest) ||
            weir_span_index(host, ':') == host.length) /* brackets are for IPv6 */
            return WEIR_EINVAL;
    } else {
        size_t colon = weir_span_index(text, ':');
        bool is_single = colon < text.length &&
                         weir_span_index(weir_span_from(text, colon + 1), ':') == text.length - colon - 1;
        if (is_single) {
            host = weir_span_first(text, colon);
            rest = weir_span_from(text, colon);
        }
    }
    if (rest.length > 0 && (rest.at[0] != ':' || !is_port(weir_span_from(rest, 1))))
        return WEIR_EINVAL;
    return weir_address_parse(host, address);
}

/* One element of the Forwarded field: pairs split at ';'. Names other than `for` are left alone, so a semicolon inside their quotation marks only
 * makes pieces that have none of the names that count. */
static enum weir_status parse_element(struct weir_span element, struct weir_address *address) {
    struct weir_span rest = element, pair, name, value;
    bool is_found = false;
    while (rest.length > 0) {
        (void)weir_span_split(rest, ';', &pair, &rest);
        if (!weir_span_split(weir_span_trim(pair), '=', &name, &value) ||
            !weir_span_equal_ignore_case(name, WEIR_SPAN("for")))
            continue;
        if (value.length >= 2 && value.at[0] == '"' && value.at[value.length - 1] == '"')
            value = weir_span_of(value.at + 1, value.length - 2);
        if (is_found || parse_node(value, address) != WEIR_OK) /* twice in one element: not for us to choose */
            return WEIR_EINVAL;
        is_found = true;
    }
    return is_found ? WEIR_OK : WEIR_EINVAL;
}

static struct weir_address walk(const struct weir_networks *trusted, struct weir_address nearest, struct weir_span list,
                                bool is_forwarded) {
    while (list.length > 0 && weir_networks_contain(trusted, &nearest)) {
        struct weir_span hop = take_last(&list, is_forwarded);
        struct weir_address address;
        if (hop.length == 0)
            continue; /* lists may have empty members */
        if ((is_forwarded ? parse_element(hop, &address) : parse_node(hop, &address)) != WEIR_OK)
            break;
        nearest = address;
    }
    return nearest;
}

struct weir_address weir_client_address(const struct weir_networks *trusted, const struct weir_address *peer,
                                        struct weir_span forwarded, struct weir_span x_forwarded_for) {
    if (trusted->count == 0 || !weir_networks_contain(trusted, peer))
        return *peer;
    struct weir_address one = walk(trusted, *peer, forwarded, true);
    struct weir_address other = walk(trusted, *peer, x_forwarded_for, false);
    if (forwarded.length == 0)
        return other;
    if (x_forwarded_for.length == 0 || weir_address_equal(&one, &other))
        return one;
    return (struct weir_address){.bytes = {0}};
}

/* --- text --- */

/* RFC 5952: the longest run of two or more zero words, of equal ones the first. */
static void find_zeros(const unsigned words[WORDS], unsigned *start, unsigned *length) {
    *start = WORDS;
    *length = 1;
    for (unsigned i = 0; i < WORDS; i++) {
        unsigned end = i;
        while (end < WORDS && words[end] == 0)
            end++;
        if (end - i > *length) {
            *start = i;
            *length = end - i;
        }
    }
}

void weir_address_format(const struct weir_address *address, char out[WEIR_ADDRESS_TEXT_SIZE]) {
    const unsigned char *bytes = address->bytes;
    if (is_ipv4(address)) {
        (void)snprintf(out, WEIR_ADDRESS_TEXT_SIZE, "%u.%u.%u.%u", bytes[12], bytes[13], bytes[14], bytes[15]);
        return;
    }
    unsigned words[WORDS], start, length;
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    find_zeros(words, &start, &length);
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < WORDS; i++) {
        if (i == start) {
            used += (size_t)snprintf(out + used, WEIR_ADDRESS_TEXT_SIZE - used, "::");
            i += length - 1;
        } else {
            const char *separator = i == 0 || (used >= 2 && out[used - 1] == ':') ? "" : ":";
            used += (size_t)snprintf(out + used, WEIR_ADDRESS_TEXT_SIZE - used, "%s%x", separator, words[i]);
        }
    }
}

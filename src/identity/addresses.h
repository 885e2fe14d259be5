/* Lists of IP networks, and whose request it is that came through proxies. */
#ifndef WEIR_IDENTITY_ADDRESSES_H
#define WEIR_IDENTITY_ADDRESSES_H

#include "base/arena.h"
#include "base/span.h"

/* An IPv4 address is kept as its IPv6 form (::ffff:a.b.c.d), so that both compare alike. */
struct weir_address {
    unsigned char bytes[16];
};
struct weir_network {
    struct weir_address address;
    unsigned char prefix; /* 0..128; that of an IPv4 network is 96 more than as written */
};
struct weir_networks {
    const struct weir_network *at;
    size_t count;
};

/* "192.0.2.1", "2001:db8::1", without port or brackets; a zone (%eth0) is refused. WEIR_EINVAL. */
WEIR_MUST enum weir_status weir_address_parse(struct weir_span text, struct weir_address *address);
/* "192.0.2.0/24", "2001:db8::/32", or one address. Bits behind the prefix must be zero. WEIR_EINVAL. */
WEIR_MUST enum weir_status weir_network_parse(struct weir_span text, struct weir_network *network);
/* WEIR_EINVAL: *bad is the text that is no network. */
WEIR_MUST enum weir_status weir_networks_parse(struct weir_arena *arena, const struct weir_span *texts, size_t count,
                                               struct weir_networks *networks, struct weir_span *bad);
bool weir_networks_contain(const struct weir_networks *networks, const struct weir_address *address);

/* The client's address, seen from the right: `peer` where it is not trusted; else the last hop of the Forwarded field (RFC 7239 §5.2) or, without
 * one, of X-Forwarded-For that is not trusted itself. A hop that is no address (unknown, _obfuscated, garbage) ends the search at the hop to
 * the right of it. The fields' values are joined by ',' in order by the caller. */
struct weir_address weir_client_address(const struct weir_networks *trusted, const struct weir_address *peer,
                                        struct weir_span forwarded, struct weir_span x_forwarded_for);
enum { WEIR_ADDRESS_TEXT_SIZE = 46 };
/* IPv4 as a.b.c.d, IPv6 as RFC 5952 has it. */
void weir_address_format(const struct weir_address *address, char out[WEIR_ADDRESS_TEXT_SIZE]);

#endif

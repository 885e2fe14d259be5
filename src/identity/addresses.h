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
/* An IPv4 address is only in networks that were written as IPv4: "::/0" is every IPv6 address, "0.0.0.0/0" every IPv4 one. */
bool weir_networks_contain(const struct weir_networks *networks, const struct weir_address *address);

/* The client's address, seen from the right: `peer` where it is not trusted; else the last hop of the Forwarded field (RFC 7239 §5.2) or, without
 * one, of X-Forwarded-For that is not trusted itself; the first hop where all are. A hop that is no address (unknown, _obfuscated, garbage) ends
 * the search at the hop to the right of it. The fields' values are joined by ',' in order by the caller; empty: the field was not sent.
 *
 * A proxy that writes one of the two fields mostly hands on the other as its client wrote it. So where both were sent and do not name the same
 * client, nobody can say which is true: the answer is the unspecified address (::), which no sensible list has. */
struct weir_address weir_client_address(const struct weir_networks *trusted, const struct weir_address *peer,
                                        struct weir_span forwarded, struct weir_span x_forwarded_for);
bool weir_address_equal(const struct weir_address *a, const struct weir_address *b);
/* 127.0.0.0/8 and ::1. */
bool weir_address_is_loopback(const struct weir_address *address);
enum { WEIR_ADDRESS_TEXT_SIZE = 46 };
/* IPv4 as a.b.c.d, IPv6 as RFC 5952 has it. */
void weir_address_format(const struct weir_address *address, char out[WEIR_ADDRESS_TEXT_SIZE]);

#endif

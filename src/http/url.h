/* Absolute http(s) URLs and percent coding (RFC 3986). */
#ifndef WEIR_HTTP_URL_H
#define WEIR_HTTP_URL_H

#include "base/buffer.h"

struct weir_url {
    bool tls;              /* https */
    struct weir_span host; /* without brackets for IPv6 */
    bool host_is_ipv6;
    uint16_t port; /* the scheme's own where none is given */
    bool port_given;
    struct weir_span authority; /* host[:port] as written */
    struct weir_span path;      /* from the first '/', without query; empty where there is none */
    struct weir_span query;
};

/* http:// or https:// only, visible ASCII; no user information, no fragment, no empty or zero port, no percent-coded
 * host. WEIR_EINVAL with the words in *error. */
WEIR_MUST enum weir_status weir_url_parse(struct weir_span text, struct weir_url *url, struct weir_error *error);
/* Decodes %XX into `out` (at least span.length bytes). WEIR_EINVAL for a bad escape or a decoded NUL. */
WEIR_MUST enum weir_status weir_url_decode(struct weir_span span, char *out, size_t *length);
/* The decoded value (with + for a space) of the first parameter of that name; WEIR_ENOTFOUND; WEIR_EINVAL for a bad
 * escape. `out` must have room for query.length bytes. */
WEIR_MUST enum weir_status weir_url_query_find(struct weir_span query, struct weir_span name, char *out,
                                               size_t *length);
/* Decodes the next parameter of *rest (a query, or what is left of one) and steps over it: name and value (with + for a space; empty without =) go to
 * `out`, which has room for rest->length bytes, one behind the other. WEIR_END after the last; WEIR_EINVAL for a bad escape. Empty ones are passed over. */
WEIR_MUST enum weir_status weir_url_query_next(struct weir_span *rest, char *out, struct weir_span *name,
                                               struct weir_span *value);
/* True when the host is a loopback name or address: localhost, *.localhost, 127.0.0.0/8, ::1. */
bool weir_url_host_is_loopback(struct weir_span host);

#endif

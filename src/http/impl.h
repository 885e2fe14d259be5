/* What the files of this folder share: the byte classes of HTTP's grammar, and the readers of heads and trailers under
 * the HTTP/1 parser.
 *
 * All of them take complete, contiguous bytes; none keeps what it is given.
 */
#ifndef WEIR_HTTP_IMPL_H
#define WEIR_HTTP_IMPL_H

#include "http/head.h"
#include "http/http1.h"

/* What a parser refuses a message for. `words` are static. */
struct http__refusal {
    enum weir_status status;
    enum weir_reason reason;
    const char *words;
};

static inline enum weir_status http__refuse(struct http__refusal *refusal, const char *words) {
    *refusal = (struct http__refusal){.status = WEIR_EPROTO, .reason = WEIR_REASON_REQUEST_MALFORMED, .words = words};
    return WEIR_EPROTO;
}
static inline enum weir_status http__refuse_size(struct http__refusal *refusal, enum weir_reason reason,
                                                 const char *words) {
    *refusal = (struct http__refusal){.status = WEIR_ELIMIT, .reason = reason, .words = words};
    return WEIR_ELIMIT;
}

/* Visible ASCII: what a request target consists of. */
static inline bool http__is_visible(char byte) {
    return byte > 0x20 && byte < 0x7F;
}
static inline bool http__is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}
/* The value of a hexadecimal digit, or 16. */
unsigned http__hex_value(char byte);
/* The first byte in [at, end) that is no token character (RFC 9110, section 5.6.2), or `end`. */
const char *http__skip_token(const char *at, const char *end);
/* True when no byte is a control byte besides HTAB; bytes from 0x80 are allowed. */
bool http__is_field_text(const char *at, const char *end);

/* host[:port] without user information. False: it is not well formed. `host` comes without brackets; the port is 0
 * where none is written. */
bool http__read_authority(struct weir_span authority, struct weir_span *host, bool *is_ipv6, uint16_t *port);

/* Reads complete field lines, each ended by CRLF, into at most WEIR_MAX_HEAD_FIELDS fields. */
WEIR_MUST enum weir_status http__read_fields(struct weir_span lines, struct weir_http_field *fields, size_t *count,
                                             struct http__refusal *refusal);
/* Reads a whole head, start line to blank line, each line ended by CRLF. All of *head but unused fields is written. */
WEIR_MUST enum weir_status http__read_head(enum weir_http1_side side, struct weir_span block,
                                           struct weir_http_head *head, struct http__refusal *refusal);
/* Takes fields that have no place in a trailer out of the list (responses), or refuses them (requests). */
WEIR_MUST enum weir_status http__check_trailers(enum weir_http1_side side, struct weir_http_field *fields,
                                                size_t *count, struct http__refusal *refusal);

#endif

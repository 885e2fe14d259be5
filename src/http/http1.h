/* HTTP/1.1 parsing for both sides: bytes in, events out; no sockets (RFC 9110, RFC 9112).
 *
 * A head is read twice, by us and by llhttp, and refused where the two differ; what llhttp lets by is refused by our
 * own checks: duplicate or missing Host, HTTP/0.9 and 2.0 lines, methods of other protocols, Transfer-Encoding on 1.0
 * or together with Content-Length, repeated or differing Content-Length, codings other than a final single `chunked`,
 * doubled spaces in the start line, fragments, leading CRLFs, chunk extensions, obs-fold, bare LF, NUL and control
 * bytes, spaces before a colon. The head is given as one contiguous block: in place when it arrived in one read, else
 * from the parser's own buffer. How the bytes are cut into calls never changes what comes out.
 *
 * A response that is not delimited has keep_alive false: its body ends with the connection. So has one that promises a
 * body where none can be (204). After a 101, on_end follows at once and the rest of the bytes is the other protocol's.
 * Fields that have no place in a trailer are refused in requests and left out of responses.
 */
#ifndef WEIR_HTTP_HTTP1_H
#define WEIR_HTTP_HTTP1_H

#include "base/reasons.h"
#include "http/head.h"

struct weir_http1;

enum weir_http1_side {
    WEIR_HTTP1_REQUESTS, /* we are the server */
    WEIR_HTTP1_RESPONSES /* we are the client */
};

/* Called from within weir_http1_feed. They must not free the parser. Spans live until the call returns. */
struct weir_http1_events {
    /* A whole head. `block` is its bytes (head->* point into it). Returning anything but WEIR_OK stops the parser, and
     * weir_http1_feed returns that status. */
    enum weir_status (*on_head)(void *owner, const struct weir_http_head *head, struct weir_span block);
    /* Responses only; may be NULL: an interim (1xx) head other than 101. */
    void (*on_interim)(void *owner, const struct weir_http_head *head);
    enum weir_status (*on_body)(void *owner, struct weir_span data);
    /* The message is complete; `trailers` may be empty. The parser pauses here. */
    enum weir_status (*on_end)(void *owner, const struct weir_http_field *trailers, size_t trailer_count);
};

/* NULL when there is no memory. Head limits are those of base/limits.h. A parser is small (no buffers) until a head
 * arrives in pieces. */
struct weir_http1 *weir_http1_new(enum weir_http1_side side, const struct weir_http1_events *events, void *owner);
void weir_http1_free(struct weir_http1 **parser);
/* Makes the parser ready for the next message of the same connection (after on_end), or for another connection. */
void weir_http1_reset(struct weir_http1 *parser);
/* Responses only, before feeding: the request was HEAD (or CONNECT), so no body follows whatever the fields say. */
void weir_http1_expect_no_body(struct weir_http1 *parser);

/* Takes bytes; *consumed tells how many were used. After on_end it stops: the rest belongs to the next message
 * (pipelining) and is to be fed again after weir_http1_reset.
 * WEIR_OK: all used, or paused after on_end. WEIR_EPROTO: not HTTP as we accept it; weir_http1_reason and
 * weir_http1_problem tell. WEIR_ELIMIT: head, target or fields too large (the same two tell which). */
WEIR_MUST enum weir_status weir_http1_feed(struct weir_http1 *parser, struct weir_span data, size_t *consumed);
/* The peer has ended its side. WEIR_OK when no message was in progress (or one that ends by closing, whose on_end is
 * called now); WEIR_ECLOSED when one was cut short. */
WEIR_MUST enum weir_status weir_http1_finish(struct weir_http1 *parser);
/* After a failure: the reason to answer with. REQUEST_MALFORMED, HEAD_TOO_LARGE (trailers too), URI_TOO_LONG,
 * EXPECTATION_UNKNOWN, OVERLOADED for WEIR_ENOMEM; NONE where a callback has failed. And ... */
enum weir_reason weir_http1_reason(const struct weir_http1 *parser);
/* ... static words about what was wrong: "bare LF", "both Content-Length and Transfer-Encoding". */
const char *weir_http1_problem(const struct weir_http1 *parser);
/* True from the first byte of a message to its on_end. */
bool weir_http1_in_message(const struct weir_http1 *parser);

#endif

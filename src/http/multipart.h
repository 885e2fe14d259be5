/* Reads multipart/form-data as it comes (RFC 7578, RFC 2046 section 5.1): bytes in, parts out, with their places in the
 * body.
 *
 * Strict where two readers could differ: a delimiter is exactly CRLF "--" boundary, followed by CRLF or "--", and what
 * resembles one (behind a bare CR or LF, or where a content begins) is refused. Part heads are as request heads are (no
 * bare LF, no folding); each part has exactly one Content-Disposition of form-data with one name; names with control
 * bytes, extended names (name*) and transfer encodings that alter the content are refused; nothing but one CRLF may
 * stand before the first delimiter or behind the closing one, with which the body ends. A form may have no part. How
 * the bytes are cut into calls never changes what comes out.
 */
#ifndef WEIR_HTTP_MULTIPART_H
#define WEIR_HTTP_MULTIPART_H

#include "base/span.h"
#include "base/status.h"

#include <stdint.h>

/* One part's head. Spans live for the call. Quoted names have their escapes (\", \\, %22, %0D, %0A) undone, after which
 * a file name may hold CR and LF; a name may not. `filename*` makes the part a file, as it does to providers, and is not
 * decoded. */
struct weir_multipart_part {
    struct weir_span name;
    struct weir_span file_name; /* empty without */
    bool has_file_name;
    struct weir_span content_type; /* empty without */
    uint64_t content_at;           /* offset of the content's first byte in the whole body */
};

struct weir_multipart_events {
    /* Anything but WEIR_OK stops the reader, and weir_multipart_feed returns it. */
    enum weir_status (*on_part)(void *owner, const struct weir_multipart_part *part);
    enum weir_status (*on_content)(void *owner, struct weir_span data);
    /* `content_end`: offset just behind the content's last byte. */
    enum weir_status (*on_part_end)(void *owner, uint64_t content_end);
};

struct weir_multipart;

enum { WEIR_MULTIPART_MAX_BOUNDARY = 70, WEIR_MULTIPART_MAX_HEAD_BYTES = 8192, WEIR_MULTIPART_MAX_PARTS = 1000 };

/* The boundary parameter of a Content-Type of multipart/form-data, unquoted. WEIR_EINVAL: another type, no boundary or
 * two, or one that is not allowed (1 to 70 of the characters of RFC 2046, no space at its end). *boundary points into
 * `content_type`. */
WEIR_MUST enum weir_status weir_multipart_boundary(struct weir_span content_type, struct weir_span *boundary);

/* `boundary` is one that weir_multipart_boundary allows, and is copied. `events` are kept. NULL: no memory. */
struct weir_multipart *weir_multipart_new(struct weir_span boundary, const struct weir_multipart_events *events,
                                          void *owner);
void weir_multipart_free(struct weir_multipart **reader);
/* WEIR_EPROTO: not a form as we take it (weir_multipart_problem tells); WEIR_ELIMIT: heads or parts past the maximum;
 * WEIR_ENOMEM. Content is handed on where it lies in `data`, save a few bytes that might have begun a delimiter. After
 * a failure each call returns the same. */
WEIR_MUST enum weir_status weir_multipart_feed(struct weir_multipart *reader, struct weir_span data);
/* The body has ended. WEIR_EPROTO when the closing delimiter has not come. */
WEIR_MUST enum weir_status weir_multipart_finish(struct weir_multipart *reader);
/* Static words about what was wrong: "no closing boundary", "a part without a name". Empty where nothing was, and where
 * a callback has failed. */
const char *weir_multipart_problem(const struct weir_multipart *reader);

#endif

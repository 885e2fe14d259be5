/* Server-sent events: cuts a stream into events and keeps every byte of each (WHATWG HTML, section 9.2).
 *
 * An event is handed over with its raw bytes, terminating blank line included, so that it can be forwarded as it came,
 * and with its parsed fields. Lines end in LF, CRLF or CR; an event may be split at any byte; a byte order mark at the
 * start is dropped. A block of comments alone is an event without data.
 */
#ifndef WEIR_HTTP_SSE_H
#define WEIR_HTTP_SSE_H

#include "base/buffer.h"

struct weir_sse_event {
    struct weir_span raw;  /* all its bytes with the blank line */
    struct weir_span name; /* of `event:`, empty without */
    struct weir_span data; /* of `data:`, several joined with LF; empty without */
    bool has_data;
};

struct weir_sse {
    struct weir_buffer held;   /* an event that has not ended yet */
    struct weir_buffer joined; /* data of an event with several data lines */
    unsigned char place;       /* where in an event the next byte stands */
    bool delivered;            /* `held` is the event of the last call */
    bool drop_line_feed;       /* the second half of a CRLF whose CR has ended an event */
    bool started;              /* past the place of a byte order mark */
};

void weir_sse_init(struct weir_sse *sse, size_t max_event_bytes);
void weir_sse_release(struct weir_sse *sse);
/* Forgets a half event and any failure, keeps memory: ready for another stream. */
void weir_sse_clear(struct weir_sse *sse);
/* Takes the next event out of *input (advanced past what was used). WEIR_OK: *event is filled; its spans live until
 * the next call and until `input`'s bytes go. WEIR_AGAIN: all input was taken in, no event is complete. WEIR_ELIMIT:
 * an event is larger than the maximum (this and WEIR_ENOMEM last until weir_sse_clear). A further blank line is an
 * event of its own without data, so that the events' raw bytes are all the stream's. How the stream is cut into calls
 * makes no difference: a blank line's CR at the end of the input is held until the next byte tells CR from CRLF,
 * except where the line before it ended in CR alone: then the event ends there, and a following LF is dropped. */
WEIR_MUST enum weir_status weir_sse_next(struct weir_sse *sse, struct weir_span *input, struct weir_sse_event *event);
/* Bytes of an event that never ended; forward or drop them at the end of the stream. */
struct weir_span weir_sse_rest(const struct weir_sse *sse);

#endif

/* How a streamed answer is cut into its pieces: server-sent events, a JSON text a line, or the elements of one JSON array that comes bit by bit.
 *
 * Whatever the framing, a piece is a struct weir_sse_event: its raw bytes, so that it can be forwarded as it came, and its data. The raw bytes of all
 * pieces are all the stream's (of events: but for what sse.h names); those that carry nothing (blank lines, an array's end) have no data. How the stream
 * is cut into calls makes no difference. Data is not looked into further than to find its end.
 */
#ifndef WEIR_HTTP_FRAMING_H
#define WEIR_HTTP_FRAMING_H

#include "http/sse.h"

enum weir_framing {
    WEIR_FRAMING_EVENTS, /* server-sent events */
    WEIR_FRAMING_LINES,  /* JSON a line */
    WEIR_FRAMING_ARRAY   /* a JSON array's elements, which are objects */
};

struct weir_frames {
    enum weir_framing framing;
    struct weir_sse sse;  /* EVENTS; what is held of the others stands in its buffer, too */
    unsigned char place;  /* ARRAY: where in it the next byte stands */
    bool in_string;       /* ARRAY: within an element's string */
    bool escaped;         /* ARRAY: behind a backslash of it */
    bool delivered;       /* what is held is the piece of the last call */
    unsigned depth;       /* ARRAY: brackets that an element has open */
    size_t element_bytes; /* ARRAY: of the element that has begun, in what is held */
};

/* For events, until weir_frames_begin says otherwise. */
void weir_frames_init(struct weir_frames *frames, size_t max_piece_bytes);
void weir_frames_release(struct weir_frames *frames);
/* Forgets a half piece and any failure, keeps memory: ready for another stream, of this framing. */
void weir_frames_begin(struct weir_frames *frames, enum weir_framing framing);
/* Not for callers: lines and elements. */
WEIR_MUST enum weir_status weir_frames_next_other(struct weir_frames *frames, struct weir_span *input,
                                                  struct weir_sse_event *event);
/* As weir_sse_next. WEIR_EPROTO besides: it is no array of objects. */
WEIR_MUST static inline enum weir_status weir_frames_next(struct weir_frames *frames, struct weir_span *input,
                                                          struct weir_sse_event *event) {
    if (frames->framing == WEIR_FRAMING_EVENTS)
        return weir_sse_next(&frames->sse, input, event);
    return weir_frames_next_other(frames, input, event);
}
/* The stream has ended. WEIR_OK: what was held is a last piece (a line without its end, or spaces behind an array); WEIR_AGAIN: there is none. */
WEIR_MUST enum weir_status weir_frames_finish(struct weir_frames *frames, struct weir_sse_event *event);

#endif

/* Cuts a stream of events that arrives in pieces and writes down what came out, for tests and the fuzz target. Pieces
 * are in memory of their own size, which is gone after the call that it lived for. */
#ifndef WEIR_TESTS_HTTP_SSE_TRANSCRIPT_H
#define WEIR_TESTS_HTTP_SSE_TRANSCRIPT_H

#include "http/sse.h"
#include "transcript.h"

/* One event: name, data (- where there is none), raw bytes. */
static inline void sse_transcript_event(struct weir_buffer *text, const struct weir_sse_event *event) {
    weir_buffer_append(text, WEIR_SPAN("<"));
    weir_buffer_append(text, event->name);
    weir_buffer_append(text, WEIR_SPAN("|"));
    weir_buffer_append(text, event->has_data ? event->data : WEIR_SPAN("-"));
    weir_buffer_append(text, WEIR_SPAN("|"));
    weir_buffer_append(text, event->raw);
    weir_buffer_append(text, WEIR_SPAN(">"));
}

/* The whole story: the events, what is left, and why it ended where it did. Release the buffer. */
static inline struct weir_buffer sse_transcript_of(struct weir_span input, size_t max_event_bytes, transcript_cut cut) {
    struct weir_buffer text;
    weir_buffer_init(&text, 64 * WEIR_MIB);
    struct weir_sse sse;
    weir_sse_init(&sse, max_event_bytes);
    enum weir_status status = WEIR_AGAIN;
    while (input.length > 0 && status == WEIR_AGAIN) {
        size_t piece = transcript_piece(&cut, input.length);
        char *copy = malloc(piece);
        if (copy == NULL) {
            abort();
        }
        memcpy(copy, input.at, piece);
        struct weir_span data = weir_span_of(copy, piece);
        struct weir_sse_event event;
        while ((status = weir_sse_next(&sse, &data, &event)) == WEIR_OK) {
            sse_transcript_event(&text, &event);
        }
        if (status == WEIR_AGAIN && data.length > 0) {
            abort(); /* all input is to be taken in */
        }
        free(copy);
        input = weir_span_from(input, piece);
    }
    if (status == WEIR_AGAIN) {
        weir_buffer_append(&text, WEIR_SPAN("["));
        weir_buffer_append(&text, weir_sse_rest(&sse));
        weir_buffer_append(&text, WEIR_SPAN("]"));
    } else {
        weir_buffer_append(&text, weir_span_of_string(weir_status_name(status)));
    }
    weir_sse_release(&sse);
    return text;
}

#endif

/* Cuts a stream of lines or of an array's elements that arrives in pieces and writes down what came out, for tests and the fuzz target. Pieces are in
 * memory of their own size, which is gone after the call that it lived for. */
#ifndef WEIR_TESTS_HTTP_FRAMING_TRANSCRIPT_H
#define WEIR_TESTS_HTTP_FRAMING_TRANSCRIPT_H

#include "http/framing.h"
#include "sse_transcript.h"

/* The whole story: the pieces, what a stream's end makes a last one of, and why it ended where it did. Release the buffer. */
static inline struct weir_buffer framing_transcript_of(enum weir_framing framing, struct weir_span input,
                                                       size_t max_piece_bytes, transcript_cut cut) {
    struct weir_buffer text;
    weir_buffer_init(&text, 64 * WEIR_MIB);
    struct weir_frames frames;
    weir_frames_init(&frames, max_piece_bytes);
    weir_frames_begin(&frames, framing);
    enum weir_status status = WEIR_AGAIN;
    struct weir_sse_event event;
    while (input.length > 0 && status == WEIR_AGAIN) {
        size_t piece = transcript_piece(&cut, input.length);
        char *copy = malloc(piece);
        if (copy == NULL)
            abort();
        memcpy(copy, input.at, piece);
        struct weir_span data = weir_span_of(copy, piece);
        while ((status = weir_frames_next(&frames, &data, &event)) == WEIR_OK)
            sse_transcript_event(&text, &event);
        if (status == WEIR_AGAIN && data.length > 0)
            abort(); /* all input is to be taken in */
        free(copy);
        input = weir_span_from(input, piece);
    }
    if (status != WEIR_AGAIN)
        weir_buffer_append(&text, weir_span_of_string(weir_status_name(status)));
    else if (weir_frames_finish(&frames, &event) == WEIR_OK)
        sse_transcript_event(&text, &event);
    if (weir_frames_finish(&frames, &event) == WEIR_OK)
        abort(); /* there is one last piece at most */
    weir_frames_release(&frames);
    return text;
}

#endif

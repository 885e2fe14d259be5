/* Reads a form that arrives in pieces and writes down what came out, for tests and the fuzz target. Pieces are in memory
 * of their own size, which is gone after the call that it lived for. Aborts where a part's content is not what stands
 * in the body between the offsets that were told. */
#ifndef WEIR_TESTS_HTTP_MULTIPART_TRANSCRIPT_H
#define WEIR_TESTS_HTTP_MULTIPART_TRANSCRIPT_H

#include "http/multipart.h"
#include "transcript.h"

struct multipart_transcript {
    struct weir_buffer text;
    struct weir_buffer content;
    struct weir_span body; /* all of it */
    uint64_t content_at;
    bool in_part;
};

static inline void multipart_transcript_require(bool condition) {
    if (!condition) {
        abort();
    }
}

static inline enum weir_status multipart_transcript_part(void *owner, const struct weir_multipart_part *part) {
    struct multipart_transcript *transcript = owner;
    multipart_transcript_require(!transcript->in_part && part->name.length > 0);
    multipart_transcript_require(part->has_file_name || part->file_name.length == 0);
    weir_buffer_append(&transcript->text, WEIR_SPAN("<"));
    weir_buffer_append(&transcript->text, part->name);
    weir_buffer_append(&transcript->text, WEIR_SPAN("|"));
    weir_buffer_append(&transcript->text, part->has_file_name ? part->file_name : WEIR_SPAN("-"));
    weir_buffer_append(&transcript->text, WEIR_SPAN("|"));
    weir_buffer_append(&transcript->text, part->content_type);
    weir_buffer_append(&transcript->text, WEIR_SPAN("|"));
    transcript->in_part = true;
    transcript->content_at = part->content_at;
    weir_buffer_clear(&transcript->content);
    return WEIR_OK;
}

static inline enum weir_status multipart_transcript_content(void *owner, struct weir_span data) {
    struct multipart_transcript *transcript = owner;
    multipart_transcript_require(transcript->in_part && data.length > 0);
    weir_buffer_append(&transcript->content, data);
    weir_buffer_append(&transcript->text, data);
    return WEIR_OK;
}

static inline enum weir_status multipart_transcript_part_end(void *owner, uint64_t content_end) {
    struct multipart_transcript *transcript = owner;
    multipart_transcript_require(transcript->in_part && content_end >= transcript->content_at);
    multipart_transcript_require(content_end <= transcript->body.length);
    struct weir_span between = weir_span_of(transcript->body.at + transcript->content_at,
                                            (size_t)(content_end - transcript->content_at));
    multipart_transcript_require(weir_span_equal(between, weir_buffer_span(&transcript->content)));
    weir_buffer_append(&transcript->text, WEIR_SPAN(">"));
    transcript->in_part = false;
    return WEIR_OK;
}

/* The whole story: <name|file name or -|type|content>, then the status and the problem. Release the buffer. */
static inline struct weir_buffer multipart_transcript_of(struct weir_span boundary, struct weir_span input,
                                                         transcript_cut cut) {
    static const struct weir_multipart_events events = {.on_part = multipart_transcript_part,
                                                        .on_content = multipart_transcript_content,
                                                        .on_part_end = multipart_transcript_part_end};
    struct multipart_transcript transcript = {.body = input};
    weir_buffer_init(&transcript.text, 64 * WEIR_MIB);
    weir_buffer_init(&transcript.content, 64 * WEIR_MIB);
    struct weir_multipart *reader = weir_multipart_new(boundary, &events, &transcript);
    multipart_transcript_require(reader != NULL);
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && input.length > 0) {
        size_t piece = transcript_piece(&cut, input.length);
        char *copy = malloc(piece);
        multipart_transcript_require(copy != NULL);
        memcpy(copy, input.at, piece);
        status = weir_multipart_feed(reader, weir_span_of(copy, piece));
        free(copy);
        input = weir_span_from(input, piece);
    }
    if (status != WEIR_OK) {
        multipart_transcript_require(weir_multipart_feed(reader, WEIR_SPAN("x")) == status);
    }
    enum weir_status end = weir_multipart_finish(reader);
    multipart_transcript_require(status == WEIR_OK || end == status);
    weir_buffer_append(&transcript.text, weir_span_of_string(weir_status_name(end)));
    weir_buffer_append(&transcript.text, WEIR_SPAN(" "));
    weir_buffer_append(&transcript.text, weir_span_of_string(weir_multipart_problem(reader)));
    weir_multipart_free(&reader);
    weir_buffer_release(&transcript.content);
    return transcript.text;
}

#endif

/* Feeds bytes to an HTTP/1 parser in pieces and writes down what it said, for tests and fuzz targets: however the same
 * bytes are cut, the transcript must be the same.
 *
 * Every piece is handed over in memory of its own size, so that a sanitizer sees a read beyond it, and is overwritten
 * and freed after the call, so that one sees a span that outlived it.
 */
#ifndef WEIR_TESTS_HTTP_TRANSCRIPT_H
#define WEIR_TESTS_HTTP_TRANSCRIPT_H

#include "base/buffer.h"
#include "base/reasons.h"
#include "http/http1.h"

#include <stdlib.h>

/* How to cut: 0 not at all, 1 at every byte, any other number seeds random pieces. */
typedef unsigned transcript_cut;

struct transcript {
    struct weir_buffer text;
    bool in_body;
    bool ended;
    const struct weir_http1 *parser;
};

static inline size_t transcript_piece(transcript_cut *cut, size_t left) {
    if (*cut < 2) {
        return *cut == 0 ? left : 1;
    }
    *cut = *cut * 1103515245U + 12345U;
    unsigned number = *cut >> 16;
    *cut |= 2U;
    size_t piece = 1 + (number % 8 == 0 ? number % 3000 : number % 12);
    return piece < left ? piece : left;
}

static inline void transcript_fields(struct transcript *transcript, const char *mark,
                                     const struct weir_http_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        weir_buffer_append(&transcript->text, weir_span_of_string(mark));
        weir_buffer_append(&transcript->text, fields[i].name);
        weir_buffer_append(&transcript->text, WEIR_SPAN("="));
        weir_buffer_append(&transcript->text, fields[i].value);
        weir_buffer_append_byte(&transcript->text, '\n');
    }
}

static inline void transcript_head(struct transcript *transcript, const struct weir_http_head *head) {
    struct weir_buffer *text = &transcript->text;
    if (head->status != 0) {
        weir_buffer_append_uint64(text, head->status);
        weir_buffer_append(text, WEIR_SPAN(" ["));
        weir_buffer_append(text, head->status_text);
        weir_buffer_append(text, WEIR_SPAN("]"));
    } else {
        const struct weir_span parts[] = {head->method, head->path, head->query, head->authority};
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            weir_buffer_append(text, i == 0 ? WEIR_SPAN("") : WEIR_SPAN(" "));
            weir_buffer_append(text, parts[i].length > 0 ? parts[i] : WEIR_SPAN("-"));
        }
    }
    weir_buffer_append(text, head->minor_version == 1 ? WEIR_SPAN(" 1.1") : WEIR_SPAN(" 1.0"));
    weir_buffer_append(text, head->keep_alive ? WEIR_SPAN(" keep") : WEIR_SPAN(" close"));
    weir_buffer_append(text, head->chunked ? WEIR_SPAN(" chunked") : WEIR_SPAN(""));
    if (head->has_content_length) {
        weir_buffer_append(text, WEIR_SPAN(" length="));
        weir_buffer_append_uint64(text, head->content_length);
    }
    weir_buffer_append(text, head->expect_continue ? WEIR_SPAN(" continue") : WEIR_SPAN(""));
    weir_buffer_append(text, head->upgrade ? WEIR_SPAN(" upgrade") : WEIR_SPAN(""));
    weir_buffer_append(text, WEIR_SPAN("\n"));
    transcript_fields(transcript, "  ", head->fields, head->field_count);
}

static inline enum weir_status transcript_on_head(void *owner, const struct weir_http_head *head,
                                                  struct weir_span block) {
    struct transcript *transcript = owner;
    weir_buffer_append(&transcript->text, WEIR_SPAN("head "));
    transcript_head(transcript, head);
    weir_buffer_append(&transcript->text, WEIR_SPAN("  block="));
    weir_buffer_append_uint64(&transcript->text, block.length);
    weir_buffer_append_byte(&transcript->text, '\n');
    if (!weir_http1_in_message(transcript->parser)) {
        abort();
    }
    return WEIR_OK;
}

static inline void transcript_on_interim(void *owner, const struct weir_http_head *head) {
    struct transcript *transcript = owner;
    weir_buffer_append(&transcript->text, WEIR_SPAN("interim "));
    transcript_head(transcript, head);
}

static inline enum weir_status transcript_on_body(void *owner, struct weir_span data) {
    struct transcript *transcript = owner;
    if (data.length == 0) {
        abort(); /* nothing is not worth a call */
    }
    if (!transcript->in_body) {
        weir_buffer_append(&transcript->text, WEIR_SPAN("body "));
        transcript->in_body = true;
    }
    weir_buffer_append(&transcript->text, data);
    return WEIR_OK;
}

static inline void transcript_end_body(struct transcript *transcript) {
    weir_buffer_append(&transcript->text, transcript->in_body ? WEIR_SPAN("\n") : WEIR_SPAN(""));
    transcript->in_body = false;
}

static inline enum weir_status transcript_on_end(void *owner, const struct weir_http_field *trailers, size_t count) {
    struct transcript *transcript = owner;
    transcript_end_body(transcript);
    transcript_fields(transcript, "trailer ", trailers, count);
    weir_buffer_append(&transcript->text, WEIR_SPAN("end\n"));
    transcript->ended = true;
    return WEIR_OK;
}

static const struct weir_http1_events transcript_events = {
    .on_head = transcript_on_head,
    .on_interim = transcript_on_interim,
    .on_body = transcript_on_body,
    .on_end = transcript_on_end,
};

/* One piece, through as many messages as it holds. */
static inline enum weir_status transcript_feed(struct transcript *transcript, struct weir_http1 *parser, bool no_body,
                                               struct weir_span data) {
    char *copy = malloc(data.length);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data.at, data.length);
    enum weir_status status = WEIR_OK;
    size_t done = 0;
    while (status == WEIR_OK && done < data.length) {
        if (transcript->ended) {
            transcript->ended = false;
            weir_http1_reset(parser);
            if (no_body) {
                weir_http1_expect_no_body(parser);
            }
        }
        size_t consumed = 0;
        status = weir_http1_feed(parser, weir_span_of(copy + done, data.length - done), &consumed);
        if (consumed > data.length - done ||
            (status == WEIR_OK && !transcript->ended && consumed != data.length - done)) {
            abort();
        }
        if (status == WEIR_OK && weir_http1_in_message(parser) == transcript->ended) {
            abort();
        }
        done += consumed;
    }
    memset(copy, 'x', data.length);
    free(copy);
    return status;
}

/* The whole story; release the buffer. */
static inline struct weir_buffer transcript_of(enum weir_http1_side side, struct weir_span input, transcript_cut cut,
                                               bool no_body) {
    struct transcript transcript = {.ended = false};
    weir_buffer_init(&transcript.text, 64 * WEIR_MIB);
    struct weir_http1 *parser = weir_http1_new(side, &transcript_events, &transcript);
    if (parser == NULL) {
        abort();
    }
    transcript.parser = parser;
    if (no_body) {
        weir_http1_expect_no_body(parser);
    }
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && input.length > 0) {
        size_t piece = transcript_piece(&cut, input.length);
        status = transcript_feed(&transcript, parser, no_body, weir_span_first(input, piece));
        input = weir_span_from(input, piece);
    }
    if (status == WEIR_OK) {
        bool was_ended = transcript.ended;
        status = weir_http1_finish(parser);
        transcript_end_body(&transcript);
        if (was_ended && status != WEIR_OK) {
            abort();
        }
    }
    transcript_end_body(&transcript);
    if (status != WEIR_OK) {
        const struct weir_reason_row *row = weir_reason_row(weir_http1_reason(parser));
        weir_buffer_printf(&transcript.text, "%s %u %s\n", weir_status_name(status), row->status,
                           weir_http1_problem(parser));
    }
    weir_http1_free(&parser);
    return transcript.text;
}

#endif

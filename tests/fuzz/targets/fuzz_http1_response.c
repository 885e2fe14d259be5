/* links: base http */
/* Responses: the parser's story is the same however the bytes are cut; the first byte says whether the request was
 * HEAD. What must not be connected with another response is marked so.
 */
#include "../../unit/http/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

struct story {
    bool framed; /* the body, if any, does not need the connection's end */
    bool keep_alive;
    bool ended;
};

static enum weir_status note_head(void *owner, const struct weir_http_head *head, struct weir_span block) {
    struct story *story = owner;
    require(block.length <= WEIR_MAX_HEAD_BYTES && head->field_count <= WEIR_MAX_HEAD_FIELDS);
    require(head->status >= 200 || head->status == 101);
    require(head->status <= 999 && !(head->chunked && head->has_content_length));
    story->framed = head->chunked || head->has_content_length || head->status == 101 || head->status == 204 ||
                    head->status == 304;
    story->keep_alive = head->keep_alive;
    return WEIR_OK;
}

static void note_interim(void *owner, const struct weir_http_head *head) {
    (void)owner;
    require(head->status >= 100 && head->status < 200 && head->status != 101);
}

static enum weir_status note_body(void *owner, struct weir_span data) {
    (void)owner;
    require(data.length > 0);
    return WEIR_OK;
}

static enum weir_status note_end(void *owner, const struct weir_http_field *trailers, size_t count) {
    struct story *story = owner;
    for (size_t i = 0; i < count; i++) {
        require(!weir_http_is_hop_by_hop(trailers[i].name));
        require(!weir_span_equal_ignore_case(trailers[i].name, WEIR_SPAN("content-length")));
    }
    story->ended = true;
    return WEIR_OK;
}

static const struct weir_http1_events events = {.on_head = note_head,
                                                .on_interim = note_interim,
                                                .on_body = note_body,
                                                .on_end = note_end};

static void check_framing(struct weir_span input) {
    struct story story = {.ended = false};
    struct weir_http1 *parser = weir_http1_new(WEIR_HTTP1_RESPONSES, &events, &story);
    require(parser != NULL);
    size_t consumed = 0;
    if (weir_http1_feed(parser, input, &consumed) == WEIR_OK && !story.ended && weir_http1_finish(parser) == WEIR_OK &&
        story.ended) {
        require(!story.framed && !story.keep_alive);
    }
    weir_http1_free(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    bool no_body = data[0] == 'h';
    const struct weir_span input = weir_span_of((const char *)data + 1, size - 1);
    unsigned seed = 2;
    for (size_t i = 0; i < size && i < 32; i++) {
        seed = seed * 31 + data[i];
    }
    struct weir_buffer whole = transcript_of(WEIR_HTTP1_RESPONSES, input, 0, no_body);
    const transcript_cut cuts[] = {1, seed | 2U, (seed * 7) | 2U};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct weir_buffer pieces = transcript_of(WEIR_HTTP1_RESPONSES, input, cuts[i], no_body);
        require(weir_span_equal(weir_buffer_span(&whole), weir_buffer_span(&pieces)));
        weir_buffer_release(&pieces);
    }
    weir_buffer_release(&whole);
    if (!no_body) {
        check_framing(input);
    }
    return 0;
}

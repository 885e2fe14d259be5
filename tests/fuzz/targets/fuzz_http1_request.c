/* links: base http */
/* Requests: the parser's story is the same however the bytes are cut, and a head that it accepts can be written again
 * without a line break or NUL inside a value, and is then read as the same head.
 */
#include "../../unit/http/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

struct rewritten {
    struct weir_buffer bytes; /* the head written again */
    struct weir_buffer head;  /* the head as a transcript */
};

static enum weir_status note_head(void *owner, const struct weir_http_head *head, struct weir_span block) {
    struct rewritten *rewritten = owner;
    struct transcript transcript = {.text = rewritten->head};
    transcript_head(&transcript, head);
    rewritten->head = transcript.text;
    require(head->minor_version <= 1 && head->field_count <= WEIR_MAX_HEAD_FIELDS &&
            block.length <= WEIR_MAX_HEAD_BYTES);
    require(!(head->chunked && head->has_content_length));
    require(head->target.length > 0 && head->target.length <= WEIR_MAX_URI_BYTES && head->path.length > 0);
    struct weir_buffer written;
    weir_buffer_init(&written, WEIR_MIB);
    weir_http_write_request_line(&written, head->method, head->target);
    for (size_t i = 0; i < head->field_count; i++) {
        require(weir_http_write_field(&written, head->fields[i].name, head->fields[i].value));
    }
    weir_http_write_head_end(&written);
    require(weir_buffer_status(&written) == WEIR_OK);
    size_t line_ends = 0;
    for (size_t i = 0; i < written.length; i++) {
        char byte = written.at[i];
        require(byte != '\0');
        if (byte == '\r') {
            require(i + 1 < written.length && written.at[i + 1] == '\n');
            line_ends++;
        } else if (byte == '\n') {
            require(i > 0 && written.at[i - 1] == '\r');
        }
    }
    require(line_ends == head->field_count + 2);
    /* HTTP/1.0 is written as 1.1, which asks for more. */
    if (head->minor_version == 1) {
        weir_buffer_append(&rewritten->bytes, weir_buffer_span(&written));
    }
    weir_buffer_release(&written);
    return WEIR_OK;
}

static enum weir_status note_body(void *owner, struct weir_span data) {
    (void)owner;
    require(data.length > 0);
    return WEIR_OK;
}

static enum weir_status note_end(void *owner, const struct weir_http_field *trailers, size_t count) {
    (void)owner;
    struct weir_buffer written;
    weir_buffer_init(&written, WEIR_MIB);
    for (size_t i = 0; i < count; i++) {
        require(weir_http_write_field(&written, trailers[i].name, trailers[i].value));
    }
    weir_buffer_release(&written);
    return WEIR_OK;
}

static const struct weir_http1_events events = {.on_head = note_head, .on_body = note_body, .on_end = note_end};

/* Parses one message. */
static void parse(struct weir_span input, struct rewritten *rewritten) {
    weir_buffer_init(&rewritten->bytes, WEIR_MIB);
    weir_buffer_init(&rewritten->head, WEIR_MIB);
    struct weir_http1 *parser = weir_http1_new(WEIR_HTTP1_REQUESTS, &events, rewritten);
    require(parser != NULL);
    size_t consumed = 0;
    enum weir_status status = weir_http1_feed(parser, input, &consumed);
    require(consumed <= input.length);
    require((status == WEIR_OK) == (weir_http1_reason(parser) == WEIR_REASON_NONE));
    weir_http1_free(&parser);
}

static void check_rewritten(struct weir_span input) {
    struct rewritten first;
    parse(input, &first);
    /* A blank more before each value may bring a head over the limit. */
    if (first.bytes.length > 0 && first.bytes.length <= WEIR_MAX_HEAD_BYTES) {
        struct rewritten second;
        parse(weir_buffer_span(&first.bytes), &second);
        require(weir_span_equal(weir_buffer_span(&first.head), weir_buffer_span(&second.head)));
        weir_buffer_release(&second.bytes);
        weir_buffer_release(&second.head);
    }
    weir_buffer_release(&first.bytes);
    weir_buffer_release(&first.head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct weir_span input = weir_span_of((const char *)data, size);
    unsigned seed = 2;
    for (size_t i = 0; i < size && i < 16; i++) {
        seed = seed * 31 + data[i];
    }
    struct weir_buffer whole = transcript_of(WEIR_HTTP1_REQUESTS, input, 0, false);
    const transcript_cut cuts[] = {1, seed | 2U, (seed * 7) | 2U};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct weir_buffer pieces = transcript_of(WEIR_HTTP1_REQUESTS, input, cuts[i], false);
        require(weir_span_equal(weir_buffer_span(&whole), weir_buffer_span(&pieces)));
        weir_buffer_release(&pieces);
    }
    weir_buffer_release(&whole);
    check_rewritten(input);
    return 0;
}

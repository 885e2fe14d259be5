/* The HTTP/1 parser: finds heads, counts bodies, takes chunks apart.
 *
 * A head is looked for line by line until its blank line, in place where it came in one read, else in the parser's own
 * buffer (which goes again with the head); http1_head.c then reads it as a whole. llhttp has its say about heads
 * alone. Chunks are decoded here by a state machine that takes a few bytes a chunk: llhttp's lets extensions by and is
 * silent about the number of digits, while this one knows nothing but digits and CRLF, so there is nothing to forget.
 * Trailers are collected and read as a head's fields are. What is found, and what is refused, never depends on how the
 * bytes were cut into calls.
 *
 * Never copies a body byte, never allocates while heads and trailers arrive whole.
 */
#include "http/http1.h"

#include "base/memory.h"
#include "http/impl.h"

enum state {
    STATE_HEAD,          /* before or inside a head */
    STATE_LENGTH_BODY,   /* `left` bytes of a body of known length */
    STATE_CLOSE_BODY,    /* a body that ends when the peer closes */
    STATE_CHUNK_SIZE,    /* hexadecimal digits */
    STATE_CHUNK_SIZE_LF, /* after their CR */
    STATE_CHUNK_DATA,    /* `left` bytes of a chunk */
    STATE_CHUNK_DATA_CR, /* after them */
    STATE_CHUNK_DATA_LF,
    STATE_TRAILERS, /* after the last chunk's size line */
    STATE_DONE,     /* after on_end, until the reset */
    STATE_FAILED    /* `refusal.status` says with what */
};

enum { MAX_CHUNK_DIGITS = 16, MAX_INTERIM_HEADS = 32 };

struct weir_http1 {
    const struct weir_http1_events *events;
    void *owner;
    struct weir_buffer held; /* a head or trailers whose end has not come */
    size_t line_start;       /* in `held`: of the line that has not ended */
    uint64_t left;           /* of the body or chunk; while the size is read, the size so far */
    struct http__refusal refusal;
    enum weir_http1_side side;
    enum state state;
    unsigned char chunk_digits;
    unsigned char interim_heads;
    bool expect_no_body;
};

struct weir_http1 *weir_http1_new(enum weir_http1_side side, const struct weir_http1_events *events, void *owner) {
    struct weir_http1 *parser = weir_memory_new(1, sizeof(*parser));
    if (parser != NULL) {
        parser->side = side;
        parser->events = events;
        parser->owner = owner;
        weir_buffer_init(&parser->held, WEIR_MAX_HEAD_BYTES);
        weir_http1_reset(parser);
    }
    return parser;
}

void weir_http1_free(struct weir_http1 **parser) {
    if (*parser != NULL) {
        weir_buffer_release(&(*parser)->held);
        weir_memory_free(*parser);
        *parser = NULL;
    }
}

/* An idle connection holds no buffer. */
static void drop_held(struct weir_http1 *parser) {
    if (parser->held.at != NULL) {
        weir_buffer_release(&parser->held);
    }
    parser->held.status = WEIR_OK;
    parser->line_start = 0;
}

void weir_http1_reset(struct weir_http1 *parser) {
    drop_held(parser);
    parser->left = 0;
    parser->refusal = (struct http__refusal){.status = WEIR_OK, .reason = WEIR_REASON_NONE, .words = ""};
    parser->state = STATE_HEAD;
    parser->chunk_digits = 0;
    parser->interim_heads = 0;
    parser->expect_no_body = false;
}

void weir_http1_expect_no_body(struct weir_http1 *parser) {
    parser->expect_no_body = true;
}

enum weir_reason weir_http1_reason(const struct weir_http1 *parser) {
    return parser->refusal.reason;
}

const char *weir_http1_problem(const struct weir_http1 *parser) {
    return parser->refusal.words;
}

bool weir_http1_in_message(const struct weir_http1 *parser) {
    if (parser->state == STATE_HEAD) {
        return parser->held.length > 0 || parser->interim_heads > 0;
    }
    return parser->state != STATE_DONE;
}

static enum weir_status refuse(struct weir_http1 *parser, const char *words) {
    return http__refuse(&parser->refusal, words);
}

static enum weir_status refuse_memory(struct weir_http1 *parser) {
    parser->refusal = (struct http__refusal){.status = WEIR_ENOMEM,
                                             .reason = WEIR_REASON_OVERLOADED,
                                             .words = "no memory for the head"};
    return WEIR_ENOMEM;
}

/* A callback's own failure: no fault of the peer. */
static enum weir_status stopped_by_owner(struct weir_http1 *parser, enum weir_status status) {
    if (status != WEIR_OK) {
        parser->refusal.status = status;
    }
    return status;
}

/* ---- blocks of lines: heads and trailers ---- */

/* Looks on, line by line, for the blank line that ends a block. WEIR_OK: *block_length is the block's, blank line
 * included; WEIR_AGAIN: not yet. `line_start` keeps the place between calls; a line that has not ended is looked at
 * again. */
static enum weir_status find_block_end(struct weir_http1 *parser, struct weir_span data, size_t *block_length) {
    const char *at = data.at + parser->line_start;
    const char *end = data.at + data.length;
    const char *line_feed;
    while (at < end && (line_feed = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (line_feed == at || line_feed[-1] != '\r') {
            return refuse(parser, "bare LF");
        }
        bool blank = line_feed == at + 1;
        at = line_feed + 1;
        parser->line_start = (size_t)(at - data.at);
        if (blank) {
            *block_length = parser->line_start;
            return WEIR_OK;
        }
    }
    return WEIR_AGAIN;
}

static enum weir_status refuse_block_size(struct weir_http1 *parser, struct weir_span data) {
    if (parser->state == STATE_TRAILERS) {
        return http__refuse_size(&parser->refusal, WEIR_REASON_HEAD_TOO_LARGE, "trailers over 16 KiB");
    }
    /* The target is at least what stands between the first space and the next one, or all the rest. */
    struct weir_span method;
    struct weir_span target;
    weir_span_split(data, ' ', &method, &target);
    bool target_too_long = parser->side == WEIR_HTTP1_REQUESTS && weir_span_index(target, ' ') > WEIR_MAX_URI_BYTES;
    return target_too_long ? http__refuse_size(&parser->refusal, WEIR_REASON_URI_TOO_LONG, "request target over 16 KiB")
                           : http__refuse_size(&parser->refusal, WEIR_REASON_HEAD_TOO_LARGE, "head over 64 KiB");
}

/* Gets one block out of `data` and what is held. WEIR_OK: *block is it; WEIR_AGAIN: all of `data` is held now. In both
 * cases *used of `data`'s bytes were taken. */
static enum weir_status take_block(struct weir_http1 *parser, struct weir_span data, struct weir_span *block,
                                   size_t *used) {
    size_t limit = parser->state == STATE_TRAILERS ? WEIR_MAX_TRAILER_BYTES : WEIR_MAX_HEAD_BYTES;
    size_t held_before = parser->held.length;
    size_t room = limit - held_before;
    struct weir_span looked_at = weir_span_first(data, data.length < room ? data.length : room);
    if (held_before > 0) {
        weir_buffer_append(&parser->held, looked_at);
        if (weir_buffer_status(&parser->held) != WEIR_OK) {
            return refuse_memory(parser);
        }
        looked_at = weir_buffer_span(&parser->held);
    }
    size_t block_length = 0;
    enum weir_status status = find_block_end(parser, looked_at, &block_length);
    if (status == WEIR_OK) {
        *block = weir_span_first(looked_at, block_length);
        *used = block_length - held_before;
        parser->line_start = 0;
        return WEIR_OK;
    }
    if (status == WEIR_AGAIN && looked_at.length == limit) {
        status = refuse_block_size(parser, looked_at);
    }
    if (status != WEIR_AGAIN) {
        return status;
    }
    if (held_before == 0) {
        weir_buffer_append(&parser->held, looked_at);
        if (weir_buffer_status(&parser->held) != WEIR_OK) {
            return refuse_memory(parser);
        }
    }
    *used = data.length;
    return WEIR_AGAIN;
}

/* ---- the end of a message ---- */

static enum weir_status end_message(struct weir_http1 *parser, const struct weir_http_field *trailers, size_t count) {
    parser->state = STATE_DONE;
    return stopped_by_owner(parser, parser->events->on_end(parser->owner, trailers, count));
}

static enum weir_status feed_trailers(struct weir_http1 *parser, struct weir_span data, size_t *used) {
    enum { BLANK_LINE_BYTES = 2 };
    struct weir_span block;
    enum weir_status status = take_block(parser, data, &block, used);
    if (status != WEIR_OK) {
        return status == WEIR_AGAIN ? WEIR_OK : status;
    }
    if (block.length == BLANK_LINE_BYTES) {
        return end_message(parser, NULL, 0);
    }
    struct weir_http_field fields[WEIR_MAX_HEAD_FIELDS];
    size_t count = 0;
    status = http__read_fields(weir_span_first(block, block.length - BLANK_LINE_BYTES), fields, &count,
                               &parser->refusal);
    if (status == WEIR_OK) {
        status = http__check_trailers(parser->side, fields, &count, &parser->refusal);
    }
    return status == WEIR_OK ? end_message(parser, fields, count) : status;
}

/* ---- heads ---- */

/* A first byte that no head begins with is refused at once, so that TLS on a plain port does not wait for a line end.
 * */
static bool may_begin(const struct weir_http1 *parser, char byte) {
    return parser->side == WEIR_HTTP1_REQUESTS ? byte >= 'A' && byte <= 'Z' : byte == 'H';
}

static enum weir_status take_interim(struct weir_http1 *parser, const struct weir_http_head *head) {
    if (head->chunked || (head->has_content_length && head->content_length > 0)) {
        return refuse(parser, "interim response with a body");
    }
    if (parser->interim_heads == MAX_INTERIM_HEADS) {
        return refuse(parser, "too many interim responses");
    }
    parser->interim_heads++;
    if (parser->events->on_interim != NULL) {
        parser->events->on_interim(parser->owner, head);
    }
    return WEIR_OK;
}

/* How the message goes on after its head (RFC 9112, section 6.3); STATE_DONE: it does not. */
static enum state state_after(struct weir_http1 *parser, struct weir_http_head *head) {
    bool response = parser->side == WEIR_HTTP1_RESPONSES;
    if (response && (head->status == 101 || head->status == 204)) {
        /* A body was promised where none can be: whatever follows cannot be told from the next response. */
        if (head->chunked || (head->has_content_length && head->content_length > 0)) {
            head->keep_alive = false;
        }
        return STATE_DONE;
    }
    if (response && (parser->expect_no_body || head->status == 304)) {
        return STATE_DONE;
    }
    if (head->chunked) {
        return STATE_CHUNK_SIZE;
    }
    if (response && !head->has_content_length) {
        head->keep_alive = false;
        return STATE_CLOSE_BODY;
    }
    parser->left = head->content_length;
    return parser->left > 0 ? STATE_LENGTH_BODY : STATE_DONE;
}

static enum weir_status feed_head(struct weir_http1 *parser, struct weir_span data, size_t *used) {
    if (parser->held.length == 0 && !may_begin(parser, data.at[0])) {
        return refuse(parser, data.at[0] == '\r' || data.at[0] == '\n' ? "empty line before the start line"
                                                                       : "not the beginning of an HTTP/1 message");
    }
    struct weir_span block;
    enum weir_status status = take_block(parser, data, &block, used);
    if (status != WEIR_OK) {
        return status == WEIR_AGAIN ? WEIR_OK : status;
    }
    struct weir_http_head head;
    status = http__read_head(parser->side, block, &head, &parser->refusal);
    if (status != WEIR_OK) {
        return status;
    }
    if (parser->side == WEIR_HTTP1_RESPONSES && head.status < 200 && head.status != 101) {
        status = take_interim(parser, &head);
        drop_held(parser);
        return status;
    }
    enum state next = state_after(parser, &head);
    /* Before the call: whoever asks from within it is in a message. */
    parser->state = next != STATE_DONE ? next : STATE_LENGTH_BODY;
    status = stopped_by_owner(parser, parser->events->on_head(parser->owner, &head, block));
    drop_held(parser);
    return status == WEIR_OK && next == STATE_DONE ? end_message(parser, NULL, 0) : status;
}

/* ---- bodies ---- */

/* Hands over what of `data` belongs to the body or chunk. */
static enum weir_status feed_counted(struct weir_http1 *parser, struct weir_span data, size_t *used) {
    size_t length = data.length < parser->left ? data.length : (size_t)parser->left;
    *used = length;
    parser->left -= length;
    enum weir_status status = parser->events->on_body(parser->owner, weir_span_first(data, length));
    if (status != WEIR_OK || parser->left > 0) {
        return stopped_by_owner(parser, status);
    }
    if (parser->state == STATE_CHUNK_DATA) {
        parser->state = STATE_CHUNK_DATA_CR;
        return WEIR_OK;
    }
    return end_message(parser, NULL, 0);
}

static enum weir_status feed_close_body(struct weir_http1 *parser, struct weir_span data, size_t *used) {
    *used = data.length;
    return stopped_by_owner(parser, parser->events->on_body(parser->owner, data));
}

static enum weir_status feed_chunk_size(struct weir_http1 *parser, struct weir_span data, size_t *used) {
    for (size_t i = 0; i < data.length; i++) {
        unsigned digit = http__hex_value(data.at[i]);
        *used = i + 1;
        if (digit > 15) {
            if (data.at[i] != '\r' || parser->chunk_digits == 0) {
                return refuse(parser, data.at[i] == ';' ? "chunk extension" : "bad byte in a chunk size");
            }
            parser->state = STATE_CHUNK_SIZE_LF;
            return WEIR_OK;
        }
        if (parser->chunk_digits == MAX_CHUNK_DIGITS) {
            return refuse(parser, "chunk size of more than 16 digits");
        }
        parser->chunk_digits++;
        parser->left = parser->left << 4 | digit;
    }
    return WEIR_OK;
}

/* One byte that must be `wanted`. */
static enum weir_status feed_fixed(struct weir_http1 *parser, struct weir_span data, size_t *used, char wanted,
                                   enum state next) {
    if (data.at[0] != wanted) {
        return refuse(parser, parser->state == STATE_CHUNK_SIZE_LF ? "chunk size not ended by CRLF"
                                                                   : "chunk not ended by CRLF");
    }
    *used = 1;
    parser->state = next;
    return WEIR_OK;
}

static enum weir_status feed_some(struct weir_http1 *parser, struct weir_span data, size_t *used) {
    switch (parser->state) {
    case STATE_HEAD: return feed_head(parser, data, used);
    case STATE_LENGTH_BODY:
    case STATE_CHUNK_DATA: return feed_counted(parser, data, used);
    case STATE_CLOSE_BODY: return feed_close_body(parser, data, used);
    case STATE_CHUNK_SIZE: return feed_chunk_size(parser, data, used);
    case STATE_CHUNK_SIZE_LF:
        parser->chunk_digits = 0;
        return feed_fixed(parser, data, used, '\n', parser->left > 0 ? STATE_CHUNK_DATA : STATE_TRAILERS);
    case STATE_CHUNK_DATA_CR: return feed_fixed(parser, data, used, '\r', STATE_CHUNK_DATA_LF);
    case STATE_CHUNK_DATA_LF: return feed_fixed(parser, data, used, '\n', STATE_CHUNK_SIZE);
    case STATE_TRAILERS: return feed_trailers(parser, data, used);
    case STATE_DONE:
    case STATE_FAILED: break;
    }
    return WEIR_OK;
}

enum weir_status weir_http1_feed(struct weir_http1 *parser, struct weir_span data, size_t *consumed) {
    *consumed = 0;
    while (data.length > 0 && parser->state != STATE_DONE && parser->state != STATE_FAILED) {
        size_t used = 0;
        enum weir_status status = feed_some(parser, data, &used);
        *consumed += used;
        data = weir_span_from(data, used);
        if (status != WEIR_OK) {
            parser->refusal.status = status;
            parser->state = STATE_FAILED;
        }
    }
    return parser->refusal.status;
}

enum weir_status weir_http1_finish(struct weir_http1 *parser) {
    if (parser->state == STATE_CLOSE_BODY) {
        enum weir_status status = end_message(parser, NULL, 0);
        parser->state = status == WEIR_OK ? STATE_DONE : STATE_FAILED;
        return status;
    }
    return weir_http1_in_message(parser) ? WEIR_ECLOSED : WEIR_OK;
}

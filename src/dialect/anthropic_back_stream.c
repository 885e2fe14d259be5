/* Streams of providers that speak Anthropic's Messages API, for clients that do not.
 *
 * Facts: events say what they are in `type`; blocks are numbered and come one after another; the usage of the first event has the input, that of message_delta is
 * cumulative and may leave it out; events, blocks and pieces that nobody knows are passed over; an error event ends it.
 */
#include "dialect/anthropic_impl.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

struct block {
    struct block *next;
    int64_t index; /* the provider's */
    size_t part;
    enum weir_part_kind kind;
    bool is_custom, has_input;
    struct weir_span input; /* of a call: what its beginning said */
    struct dialect__anthropic_input unwrapped;
};
struct stream {
    struct weir_exchange *exchange;
    const struct weir_delta_sink *sink;
    struct block *open;
    size_t parts; /* begun so far */
    bool begun, finished, ended;
    struct weir_usage begun_usage;
    enum weir_status status;
};

void *dialect__anthropic_begin_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream != NULL)
        stream->exchange = exchange;
    return stream;
}

static void tell(struct stream *stream, const struct weir_delta *delta) {
    stream->sink->take(stream->sink->context, delta);
}

static struct weir_span text_of(const struct weir_json_node *object, const char *name) {
    const struct weir_json_node *value = weir_json_get(object, name);
    return weir_json_is(value, WEIR_JSON_STRING) ? weir_json_inside(value) : WEIR_UNSAID;
}

/* --- free text out of its object --- */

static bool is_escape(const struct dialect__anthropic_input *input) {
    bool is_hex = input->held[1] == 'u';
    for (size_t i = 2; is_hex && i < input->held_length; i++)
        is_hex = memchr("0123456789abcdefABCDEF", input->held[i], 22) != NULL;
    return is_hex || memchr("\"\\/bfnrt", input->held[1], 8) != NULL;
}

/* One character of the JSON, `raw` as it stood in the wire text. */
static void take_character(struct dialect__anthropic_input *input, char byte, struct weir_span raw,
                           struct weir_buffer *out) {
    enum { OPENED = 3, CLOSED = 4 };
    if (input->quotes >= CLOSED)
        return;
    if (input->quotes < OPENED) {
        bool is_quote = byte == '"' && !input->escaped;
        input->escaped = byte == '\\' && !input->escaped && input->quotes == 1;
        input->quotes += is_quote;
        return;
    }
    if (input->held_length > 0) { /* of the text's own escape: \n, \u00e9 */
        input->held[input->held_length++] = byte;
        if (input->held_length < (input->held[1] == 'u' ? 6U : 2U))
            return;
        weir_buffer_append(out, is_escape(input) ? weir_span_of(input->held, input->held_length)
                                                 : WEIR_SPAN("\\ufffd")); /* a model's own mistake */
        input->held_length = 0;
    } else if (byte == '\\') {
        input->held[input->held_length++] = byte;
    } else if (byte == '"') {
        input->quotes++;
    } else {
        weir_buffer_append(out, raw);
    }
}

void dialect__anthropic_unwrap(struct dialect__anthropic_input *input, struct weir_span wire, struct weir_buffer *out) {
    for (size_t i = 0; i < wire.length;) {
        size_t length = 1;
        char byte = wire.at[i];
        if (byte == '\\' && i + 1 < wire.length) {
            length = wire.at[i + 1] == 'u' && wire.length - i >= 6 ? 6 : 2;
            /* a quote, a backslash or a slash; anything else stands for a character that needs no care */
            byte = strchr("\"\\/", wire.at[i + 1]) != NULL && wire.at[i + 1] != '\0' ? wire.at[i + 1] : 'x';
        }
        take_character(input, byte, weir_span_of(wire.at + i, length), out);
        i += length;
    }
}

/* --- blocks --- */

static struct block *find_block(const struct stream *stream, const struct weir_json_node *root) {
    int64_t index = dialect__number(weir_json_get(root, "index"), -1);
    struct block *block = stream->open;
    while (block != NULL && block->index != index)
        block = block->next;
    return block;
}

static void tell_text(struct stream *stream, const struct block *block, struct weir_span text) {
    if (text.length > 0)
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_TEXT,
                                          .part = block->part,
                                          .part_kind = block->kind,
                                          .is_custom = block->is_custom,
                                          .text = text});
}

static void tell_input(struct stream *stream, struct block *block, struct weir_span wire) {
    struct weir_buffer text;
    struct weir_span kept = WEIR_SPAN("");
    if (wire.length == 0)
        return;
    block->has_input = true;
    if (!block->is_custom) {
        tell_text(stream, block, wire);
        return;
    }
    weir_buffer_init(&text, wire.length + sizeof block->unwrapped.held + 1);
    dialect__anthropic_unwrap(&block->unwrapped, wire, &text);
    if (weir_arena_dup(stream->exchange->scratch, weir_buffer_span(&text), &kept) != WEIR_OK)
        stream->status = WEIR_ENOMEM;
    weir_buffer_release(&text);
    tell_text(stream, block, kept);
}

static void tell_signature(struct stream *stream, const struct block *block, struct weir_span value, bool is_redacted) {
    const struct weir_signature signature = {.value = value,
                                             .from = WEIR_DIALECT_ANTHROPIC,
                                             .is_redacted = is_redacted,
                                             .id = WEIR_UNSAID};
    if (value.length > 0)
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_SIGNATURE,
                                          .part = block->part,
                                          .part_kind = block->kind,
                                          .signature = signature});
}

static void tell_block(struct stream *stream, struct block *block, const struct weir_json_node *content) {
    struct weir_delta delta = {.kind = WEIR_DELTA_PART_BEGIN, .part = block->part, .part_kind = block->kind};
    if (block->kind == WEIR_PART_TOOL_CALL) {
        struct weir_span name = text_of(content, "name");
        const struct weir_tool *tool = dialect__anthropic_find_tool(stream->exchange, name);
        delta.id = text_of(content, "id");
        delta.name = tool != NULL ? tool->name : name;
        delta.is_custom = block->is_custom = tool != NULL && tool->kind == WEIR_TOOL_CUSTOM;
    }
    tell(stream, &delta);
}

static void begin_block(struct stream *stream, const struct weir_json_node *root) {
    static const char *const types[] = {"text", "thinking", "redacted_thinking", "tool_use"};
    static const enum weir_part_kind kinds[] = {WEIR_PART_TEXT, WEIR_PART_THINKING, WEIR_PART_THINKING,
                                                WEIR_PART_TOOL_CALL};
    enum { REDACTED = 2 };
    const struct weir_json_node *content = weir_json_get(root, "content_block"),
                                *input = weir_json_get(content, "input");
    size_t row = dialect__row_of(types, COUNT(types), weir_json_get(content, "type"));
    if (row == COUNT(types) || find_block(stream, root) != NULL)
        return;
    struct block *block = weir_arena_alloc(stream->exchange->arena, sizeof *block);
    if (block == NULL) {
        stream->status = WEIR_ENOMEM;
        return;
    }
    block->index = dialect__number(weir_json_get(root, "index"), -1);
    block->part = stream->parts++;
    block->kind = kinds[row];
    block->next = stream->open;
    stream->open = block;
    tell_block(stream, block, content);
    if (row == REDACTED) {
        tell_signature(stream, block, text_of(content, "data"), true);
    } else if (block->kind != WEIR_PART_TOOL_CALL) {
        tell_text(stream, block, text_of(content, block->kind == WEIR_PART_TEXT ? "text" : "thinking"));
        tell_signature(stream, block, text_of(content, "signature"), false);
    } else if (weir_json_is(input, WEIR_JSON_OBJECT) && input->count > 0 &&
               weir_arena_dup(stream->exchange->arena, input->text, &block->input) != WEIR_OK) {
        stream->status = WEIR_ENOMEM;
    }
}

static void take_piece(struct stream *stream, const struct weir_json_node *root) {
    struct block *block = find_block(stream, root);
    const struct weir_json_node *delta = weir_json_get(root, "delta"), *type = weir_json_get(delta, "type"),
                                *citation = weir_json_get_value(delta, "citation");
    if (block == NULL)
        return;
    if (weir_json_says(type, "text_delta") && block->kind == WEIR_PART_TEXT)
        tell_text(stream, block, text_of(delta, "text"));
    else if (weir_json_says(type, "thinking_delta") && block->kind == WEIR_PART_THINKING)
        tell_text(stream, block, text_of(delta, "thinking"));
    else if (weir_json_says(type, "signature_delta") && block->kind == WEIR_PART_THINKING)
        tell_signature(stream, block, text_of(delta, "signature"), false);
    else if (weir_json_says(type, "input_json_delta") && block->kind == WEIR_PART_TOOL_CALL)
        tell_input(stream, block, text_of(delta, "partial_json"));
    else if (weir_json_says(type, "citations_delta") && citation != NULL)
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_CITATION, .part = block->part, .json = citation->text});
}

/* A call without any pieces has the input that its beginning said, or none. */
static void end_input(struct stream *stream, struct block *block) {
    struct weir_buffer wire;
    struct weir_span text = WEIR_SPAN("");
    if (block->kind != WEIR_PART_TOOL_CALL || block->has_input || (block->is_custom && block->input.length == 0))
        return;
    weir_buffer_init(&wire, 2 * block->input.length + 16);
    weir_append_json_as_wire(&wire, block->input.length > 0 ? block->input : WEIR_SPAN("{}"));
    if (weir_buffer_status(&wire) != WEIR_OK ||
        weir_arena_dup(stream->exchange->scratch, weir_buffer_span(&wire), &text) != WEIR_OK)
        stream->status = WEIR_ENOMEM;
    weir_buffer_release(&wire);
    tell_input(stream, block, text);
}

static void end_block(struct stream *stream, struct block *block) {
    struct block **link = &stream->open;
    if (block == NULL)
        return;
    end_input(stream, block);
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_PART_END, .part = block->part});
    while (*link != block)
        link = &(*link)->next;
    *link = block->next;
}

/* --- the message --- */

static void begin(struct stream *stream, const struct weir_json_node *root) {
    const struct weir_json_node *message = weir_json_get(root, "message"), *usage = weir_json_get(message, "usage");
    if (stream->begun)
        return;
    stream->begun = true;
    if (weir_json_is(usage, WEIR_JSON_OBJECT))
        (void)dialect__read_anthropic_usage(usage->text, &stream->begun_usage);
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_BEGIN,
                                      .id = text_of(message, "id"),
                                      .model = text_of(message, "model"),
                                      .usage = stream->begun_usage,
                                      .service_tier = text_of(usage, "service_tier")});
}

static void take_end(struct stream *stream, const struct weir_json_node *root) {
    const struct weir_json_node *delta = weir_json_get(root, "delta"), *usage = weir_json_get(root, "usage"),
                                *reason = weir_json_get(delta, "stop_reason");
    struct weir_delta told = {.kind = WEIR_DELTA_USAGE};
    if (weir_json_is(reason, WEIR_JSON_STRING) && !stream->finished) {
        while (stream->open != NULL)
            end_block(stream, stream->open);
        stream->finished = true;
        tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_FINISH,
                                          .finish = dialect__anthropic_finish(reason),
                                          .native_finish = weir_json_inside(reason),
                                          .stop_sequence = text_of(delta, "stop_sequence"),
                                          .finish_text = text_of(weir_json_get(delta, "stop_details"), "explanation")});
    }
    if (!weir_json_is(usage, WEIR_JSON_OBJECT) || !dialect__read_anthropic_usage(usage->text, &told.usage))
        return;
    weir_usage_keep_most(&told.usage, &stream->begun_usage);
    tell(stream, &told);
}

static void end(struct stream *stream) {
    while (stream->open != NULL)
        end_block(stream, stream->open);
    stream->ended = true;
    tell(stream, &(struct weir_delta){.kind = WEIR_DELTA_END});
}

enum weir_status dialect__anthropic_read_event(void *state, const struct weir_sse_event *event,
                                               const struct weir_delta_sink *sink) {
    static const char *const types[] = {"message_start",
                                        "content_block_start",
                                        "content_block_delta",
                                        "content_block_stop",
                                        "message_delta",
                                        "message_stop",
                                        "error"};
    enum { BLOCK_START = 1, BLOCK_DELTA, BLOCK_STOP, DELTA, STOP, ERROR };
    struct stream *stream = state;
    struct weir_json_node *root;
    struct weir_delta failure = {.kind = WEIR_DELTA_ERROR};
    stream->sink = sink;
    if (event->data.length == 0 || stream->ended)
        return WEIR_OK;
    enum weir_status status = weir_json_tree_read(stream->exchange->scratch, event->data, &root, NULL);
    if (status != WEIR_OK)
        return status == WEIR_ENOMEM ? status : WEIR_EPROTO;
    size_t row = dialect__row_of(types, COUNT(types), weir_json_get(root, "type"));
    if (row < ERROR)
        begin(stream, root);
    switch (row) {
    case BLOCK_START: begin_block(stream, root); break;
    case BLOCK_DELTA: take_piece(stream, root); break;
    case BLOCK_STOP: end_block(stream, find_block(stream, root)); break;
    case DELTA: take_end(stream, root); break;
    case STOP: end(stream); break;
    case ERROR:
        stream->ended = true;
        (void)dialect__anthropic_read_error(stream->exchange->scratch, root, &failure.error);
        tell(stream, &failure);
        break;
    default: break;
    }
    return stream->status;
}

void dialect__anthropic_end_stream(void *state, const struct weir_delta_sink *sink) {
    struct stream *stream = state;
    stream->sink = sink;
    if (!stream->ended && stream->finished)
        end(stream);
    stream->ended = true;
}

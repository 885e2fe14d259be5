/* Clients that speak Anthropic's Messages API, to providers that do not: what they get. See anthropic_front.c.
 *
 * The vendor's blocks come one after another; where parts overlap, the pieces of a later one are kept until the earlier one has ended. What another provider wants
 * back goes out sealed: as the signature of the thinking that it belongs to, or as the data of a block that nobody may read. Input is told by the last but one event
 * alone, for most providers tell it at the end; the vendor's clients take it from there.
 */
#include "dialect/anthropic_impl.h"

static const char *stop_reason(enum weir_finish finish) {
    static const char *const names[] = {
        [WEIR_FINISH_UNSAID] = "end_turn",
        [WEIR_FINISH_STOP] = "end_turn",
        [WEIR_FINISH_STOP_SEQUENCE] = "stop_sequence",
        [WEIR_FINISH_LENGTH] = "max_tokens",
        [WEIR_FINISH_CONTEXT] = "model_context_window_exceeded",
        [WEIR_FINISH_TOOL] = "tool_use",
        [WEIR_FINISH_REFUSAL] = "refusal",
        [WEIR_FINISH_FILTER] = "refusal",
        [WEIR_FINISH_PAUSE] = "pause_turn",
        [WEIR_FINISH_BROKEN] = "end_turn",
    };
    return names[finish];
}

static void member_or_null(struct weir_json_writer *writer, const char *name, struct weir_span wire) {
    if (weir_is_said(wire))
        dialect__member_wire(writer, name, wire);
    else
        weir_json_member_text(writer, name, NULL);
}

/* stop_reason, stop_sequence, and what is known of a refusal. */
static void write_stop(struct weir_json_writer *writer, enum weir_finish finish, struct weir_span stop_sequence,
                       struct weir_span text) {
    bool is_refusal = finish == WEIR_FINISH_REFUSAL || finish == WEIR_FINISH_FILTER;
    weir_json_member_text(writer, "stop_reason", stop_reason(finish));
    member_or_null(writer, "stop_sequence", finish == WEIR_FINISH_STOP_SEQUENCE ? stop_sequence : WEIR_UNSAID);
    if (!is_refusal)
        return;
    weir_json_write_name(writer, "stop_details");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "refusal");
    weir_json_member_text(writer, "category", NULL);
    member_or_null(writer, "explanation", text);
    weir_json_write_end(writer);
}

/* Exclusive figures out of inclusive ones. */
static void write_usage(struct weir_json_writer *writer, const struct weir_usage *usage, bool estimated,
                        int64_t used_cu_milli) {
    const struct weir_usage told = dialect__told_usage(usage);
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "input_tokens", told.input - told.cached - told.cache_write);
    weir_json_member_int64(writer, "cache_creation_input_tokens", told.cache_write);
    weir_json_member_int64(writer, "cache_read_input_tokens", told.cached);
    weir_json_member_int64(writer, "output_tokens", told.output);
    if (told.reasoning > 0) {
        weir_json_write_name(writer, "output_tokens_details");
        weir_json_write_object(writer);
        weir_json_member_int64(writer, "thinking_tokens", told.reasoning);
        weir_json_write_end(writer);
    }
    if (estimated)
        weir_json_member_bool(writer, "estimated", true);
    if (used_cu_milli >= 0)
        weir_json_member_int64(writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(writer);
}

/* --- whole answers --- */

static void write_hidden(struct weir_json_writer *writer, struct weir_span sealed) {
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "redacted_thinking");
    dialect__member_wire(writer, "data", sealed);
    weir_json_write_end(writer);
}

static void write_text(struct weir_json_writer *writer, struct weir_span text) {
    if (text.length == 0) /* the vendor takes none back */
        return;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "text");
    dialect__member_wire(writer, "text", text);
    weir_json_write_end(writer);
}

static void write_thinking(struct weir_json_writer *writer, const struct weir_part *part, struct weir_span sealed) {
    if (part->signature.is_redacted || part->text.length == 0) {
        if (weir_is_said(sealed))
            write_hidden(writer, sealed);
        return;
    }
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "thinking");
    dialect__member_wire(writer, "thinking", part->text);
    dialect__member_wire(writer, "signature", weir_is_said(sealed) ? sealed : WEIR_SPAN(""));
    weir_json_write_end(writer);
}

static void write_call(struct weir_json_writer *writer, struct weir_exchange *exchange, const struct weir_part *part) {
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "tool_use");
    dialect__member_wire(writer, "id", dialect__seal_id(exchange, part->id, &part->signature));
    dialect__member_wire(writer, "name", weir_is_said(part->name) ? part->name : WEIR_SPAN(""));
    dialect__write_anthropic_input(writer, part->arguments);
    weir_json_write_end(writer);
}

static void write_part(struct weir_json_writer *writer, struct weir_exchange *exchange, const struct weir_part *part) {
    struct weir_span sealed = weir_is_said(part->signature.value)
                                  ? weir_signature_seal(exchange->arena, &part->signature, false)
                                  : WEIR_UNSAID;
    switch (part->kind) {
    case WEIR_PART_TEXT:
    case WEIR_PART_REFUSAL:
        write_text(writer, part->text);
        if (weir_is_said(sealed))
            write_hidden(writer, sealed);
        break;
    case WEIR_PART_THINKING: write_thinking(writer, part, sealed); break;
    case WEIR_PART_TOOL_CALL: write_call(writer, exchange, part); break;
    case WEIR_PART_IMAGE: /* the vendor's models make none, and its clients know no block for one */
    case WEIR_PART_DOCUMENT:
    case WEIR_PART_AUDIO:
    case WEIR_PART_TOOL_RESULT:
    case WEIR_PART_OTHER: break;
    }
}

/* Why it was refused: as the provider says, or else the model's own words. */
static struct weir_span refusal_of(const struct weir_choice *choice) {
    if (weir_is_said(choice->finish_text))
        return choice->finish_text;
    for (const struct weir_part *part = choice->parts; part != NULL; part = part->next)
        if (part->kind == WEIR_PART_REFUSAL)
            return part->text;
    return WEIR_UNSAID;
}

static void begin_message(struct weir_json_writer *writer, const struct weir_exchange *exchange) {
    weir_json_write_object(writer);
    dialect__member_id(writer, "id", "msg_", exchange);
    weir_json_member_text(writer, "type", "message");
    weir_json_member_text(writer, "role", "assistant");
    weir_json_member_string(writer, "model", exchange->front_model);
    weir_json_write_name(writer, "content");
    weir_json_write_array(writer);
}

static void write_reply(struct weir_exchange *exchange, const struct weir_reply *reply, bool estimated,
                        int64_t used_cu_milli, struct weir_buffer *out) {
    static const struct weir_choice none = {.finish = WEIR_FINISH_UNSAID};
    const struct weir_choice *choice = reply->choices != NULL ? reply->choices : &none;
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    begin_message(&writer, exchange);
    for (const struct weir_part *part = choice->parts; part != NULL; part = part->next)
        write_part(&writer, exchange, part);
    weir_json_write_end(&writer);
    write_stop(&writer, choice->finish, choice->stop_sequence, refusal_of(choice));
    weir_json_write_name(&writer, "usage");
    write_usage(&writer, &reply->usage, estimated, used_cu_milli);
    weir_json_write_end(&writer);
}

/* --- streams --- */

/* What came for a part while an earlier one was open. */
struct piece {
    struct piece *next;
    struct weir_span text; /* or, of a signature, sealed */
    bool is_signature;
};
struct part {
    struct part *next;
    size_t part;
    enum weir_part_kind kind;
    bool is_custom, is_over;
    bool is_open;   /* its block has begun */
    bool has_input; /* of a call: some of it was written */
    struct weir_span id, name;
    struct piece *pieces, **last_piece;
};
struct stream {
    struct weir_exchange *exchange;
    struct part *parts, **last_part; /* the first is the one that is written */
    int64_t index;                   /* of the block that is open, or comes next */
    bool begun, failed;
    enum weir_finish finish;
    struct weir_span stop_sequence, finish_text;
};

static void *begin_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->exchange = exchange;
    stream->last_part = &stream->parts;
    return stream;
}

static void begin_event(struct weir_buffer *out, struct weir_json_writer *writer, const char *type) {
    weir_buffer_append(out, WEIR_SPAN("event: "));
    weir_buffer_append(out, weir_span_of_string(type));
    weir_buffer_append(out, WEIR_SPAN("\ndata: "));
    weir_json_writer_init(writer, out);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", type);
}

static void end_event(struct weir_json_writer *writer) {
    weir_json_write_end(writer);
    weir_buffer_append(writer->out, WEIR_SPAN("\n\n"));
}

static void begin(struct stream *stream, struct weir_buffer *out) {
    static const struct weir_usage nothing = {.input = 0};
    struct weir_json_writer writer;
    if (stream->begun)
        return;
    stream->begun = true;
    begin_event(out, &writer, "message_start");
    weir_json_write_name(&writer, "message");
    begin_message(&writer, stream->exchange);
    weir_json_write_end(&writer);
    weir_json_member_text(&writer, "stop_reason", NULL);
    weir_json_member_text(&writer, "stop_sequence", NULL);
    weir_json_write_name(&writer, "usage");
    write_usage(&writer, &nothing, false, -1);
    weir_json_write_end(&writer);
    end_event(&writer);
    begin_event(out, &writer, "ping");
    end_event(&writer);
}

/* `"content_block":{` stays open. */
static void begin_block(struct stream *stream, struct weir_json_writer *writer, struct weir_buffer *out,
                        const char *type) {
    begin_event(out, writer, "content_block_start");
    weir_json_member_int64(writer, "index", stream->index);
    weir_json_write_name(writer, "content_block");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", type);
}

static void open_block(struct stream *stream, struct part *part, struct weir_buffer *out) {
    struct weir_json_writer writer;
    if (part->is_open)
        return;
    part->is_open = true;
    if (part->kind == WEIR_PART_TOOL_CALL) {
        begin_block(stream, &writer, out, "tool_use");
        dialect__member_wire(&writer, "id", part->id);
        dialect__member_wire(&writer, "name", part->name);
        weir_json_write_name(&writer, "input");
        weir_json_write_raw(&writer, WEIR_SPAN("{}"));
    } else if (part->kind == WEIR_PART_THINKING) {
        begin_block(stream, &writer, out, "thinking");
        weir_json_member_text(&writer, "thinking", "");
        weir_json_member_text(&writer, "signature", "");
    } else {
        begin_block(stream, &writer, out, "text");
        weir_json_member_text(&writer, "text", "");
    }
    weir_json_write_end(&writer);
    end_event(&writer);
}

/* `before`, `text` and `after` are one wire text. */
static void write_block_delta(struct stream *stream, const char *type, const char *member, struct weir_span text,
                              struct weir_buffer *out) {
    weir_buffer_append(out,
                       WEIR_SPAN("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"));
    weir_buffer_append_int64(out, stream->index);
    weir_buffer_append(out, WEIR_SPAN(",\"delta\":{\"type\":\""));
    weir_buffer_append(out, weir_span_of_string(type));
    weir_buffer_append(out, WEIR_SPAN("\",\""));
    weir_buffer_append(out, weir_span_of_string(member));
    weir_buffer_append(out, WEIR_SPAN("\":\""));
    weir_buffer_append(out, text);
    weir_buffer_append(out, WEIR_SPAN("\"}}\n\n"));
}

static void write_input_delta(struct stream *stream, struct weir_span text, struct weir_buffer *out) {
    write_block_delta(stream, "input_json_delta", "partial_json", text, out);
}

/* Free text as a string within an object: escaped once more. */
static void write_custom_delta(struct stream *stream, const struct part *part, struct weir_span text,
                               struct weir_buffer *out) {
    struct weir_buffer input;
    weir_buffer_init(&input, 2 * text.length + 32);
    if (!part->has_input)
        weir_buffer_append(&input, WEIR_SPAN("{\\\"input\\\":\\\""));
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '\\' || text.at[i] == '"')
            weir_buffer_append_byte(&input, '\\');
        weir_buffer_append_byte(&input, text.at[i]);
    }
    write_input_delta(stream, weir_buffer_span(&input), out);
    weir_buffer_release(&input);
}

static void close_block(struct stream *stream, struct part *part, struct weir_buffer *out) {
    struct weir_json_writer writer;
    if (!part->is_open)
        return;
    if (part->kind == WEIR_PART_TOOL_CALL && part->is_custom)
        write_input_delta(stream, part->has_input ? WEIR_SPAN("\\\"}") : WEIR_SPAN("{\\\"input\\\":\\\"\\\"}"), out);
    else if (part->kind == WEIR_PART_TOOL_CALL && !part->has_input)
        write_input_delta(stream, WEIR_SPAN("{}"), out);
    part->is_open = false;
    begin_event(out, &writer, "content_block_stop");
    weir_json_member_int64(&writer, "index", stream->index);
    end_event(&writer);
    stream->index++;
}

/* A block begins with its first text: one that stays empty is never sent, for the vendor takes none back. */
static void write_piece(struct stream *stream, struct part *part, struct weir_span text, struct weir_buffer *out) {
    if (text.length == 0)
        return;
    open_block(stream, part, out);
    switch (part->kind) {
    case WEIR_PART_TOOL_CALL:
        if (part->is_custom)
            write_custom_delta(stream, part, text, out);
        else
            write_input_delta(stream, text, out);
        part->has_input = true;
        break;
    case WEIR_PART_THINKING: write_block_delta(stream, "thinking_delta", "thinking", text, out); break;
    case WEIR_PART_TEXT:
    case WEIR_PART_REFUSAL: write_block_delta(stream, "text_delta", "text", text, out); break;
    case WEIR_PART_IMAGE:
    case WEIR_PART_DOCUMENT:
    case WEIR_PART_AUDIO:
    case WEIR_PART_TOOL_RESULT:
    case WEIR_PART_OTHER: break;
    }
}

/* Of thoughts that were told it is theirs; of anything else it goes out as a block of its own. */
static void write_signature(struct stream *stream, struct part *part, struct weir_span sealed,
                            struct weir_buffer *out) {
    struct weir_json_writer writer;
    if (part->kind == WEIR_PART_TOOL_CALL) /* its id has told it */
        return;
    if (part->kind == WEIR_PART_THINKING && part->is_open) {
        write_block_delta(stream, "signature_delta", "signature", sealed, out);
        return;
    }
    close_block(stream, part, out);
    begin_block(stream, &writer, out, "redacted_thinking");
    dialect__member_wire(&writer, "data", sealed);
    weir_json_write_end(&writer);
    end_event(&writer);
    begin_event(out, &writer, "content_block_stop");
    weir_json_member_int64(&writer, "index", stream->index++);
    end_event(&writer);
}

/* Writes what has come for the parts at the front, up to the first that has not ended. */
static void advance(struct stream *stream, struct weir_buffer *out) {
    while (stream->parts != NULL) {
        struct part *part = stream->parts;
        if (part->kind == WEIR_PART_TOOL_CALL)
            open_block(stream, part, out);
        for (const struct piece *piece = part->pieces; piece != NULL; piece = piece->next) {
            if (piece->is_signature)
                write_signature(stream, part, piece->text, out);
            else
                write_piece(stream, part, piece->text, out);
        }
        part->pieces = NULL;
        part->last_piece = &part->pieces;
        if (!part->is_over)
            return;
        close_block(stream, part, out);
        stream->parts = part->next;
        if (stream->parts == NULL)
            stream->last_part = &stream->parts;
    }
}

static bool keep(struct stream *stream, struct weir_span text, struct weir_span *kept) {
    *kept = WEIR_SPAN("");
    if (!weir_is_said(text) || weir_arena_dup(stream->exchange->arena, text, kept) == WEIR_OK)
        return true;
    stream->failed = true;
    return false;
}

static bool is_told(enum weir_part_kind kind) {
    return kind == WEIR_PART_TEXT || kind == WEIR_PART_REFUSAL || kind == WEIR_PART_THINKING ||
           kind == WEIR_PART_TOOL_CALL;
}

static struct part *find_part(const struct stream *stream, size_t number) {
    struct part *part = stream->parts;
    while (part != NULL && (part->part != number || part->is_over))
        part = part->next;
    return part;
}

static void take_piece(struct stream *stream, const struct weir_delta *delta, struct weir_span text, bool is_signature,
                       struct weir_buffer *out) {
    struct part *part = find_part(stream, delta->part);
    if (part == NULL)
        return;
    if (part == stream->parts) {
        if (is_signature)
            write_signature(stream, part, text, out);
        else
            write_piece(stream, part, text, out);
        return;
    }
    struct piece *piece = weir_arena_alloc(stream->exchange->arena, sizeof *piece);
    if (piece == NULL || !keep(stream, text, &piece->text)) {
        stream->failed = true;
        return;
    }
    piece->is_signature = is_signature;
    *part->last_piece = piece;
    part->last_piece = &piece->next;
}

static void take_signature(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct weir_span sealed = weir_is_said(delta->signature.value)
                                  ? weir_signature_seal(stream->exchange->scratch, &delta->signature, false)
                                  : WEIR_UNSAID;
    if (weir_is_said(sealed))
        take_piece(stream, delta, sealed, true, out);
}

static void begin_part(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    if (!is_told(delta->part_kind))
        return;
    struct part *part = weir_arena_alloc(stream->exchange->arena, sizeof *part);
    if (part == NULL || !keep(stream, dialect__seal_id(stream->exchange, delta->id, &delta->signature), &part->id) ||
        !keep(stream, delta->name, &part->name)) {
        stream->failed = true;
        return;
    }
    part->part = delta->part;
    part->kind = delta->part_kind;
    part->is_custom = delta->is_custom;
    part->last_piece = &part->pieces;
    *stream->last_part = part;
    stream->last_part = &part->next;
    if (part->kind != WEIR_PART_TOOL_CALL)
        take_signature(stream, delta, out);
    if (part == stream->parts)
        advance(stream, out);
}

static void end_part(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct part *part = find_part(stream, delta->part);
    if (part == NULL)
        return;
    part->is_over = true;
    if (part == stream->parts)
        advance(stream, out);
}

static void take_finish(struct stream *stream, const struct weir_delta *delta) {
    stream->finish = delta->finish;
    if (weir_is_said(delta->stop_sequence))
        (void)keep(stream, delta->stop_sequence, &stream->stop_sequence);
    if (weir_is_said(delta->finish_text))
        (void)keep(stream, delta->finish_text, &stream->finish_text);
}

static void write_delta(void *state, const struct weir_delta *delta, struct weir_buffer *out) {
    struct stream *stream = state;
    begin(stream, out);
    if (delta->choice != 0) /* the format has one */
        return;
    switch (delta->kind) {
    case WEIR_DELTA_PART_BEGIN: begin_part(stream, delta, out); break;
    case WEIR_DELTA_TEXT: take_piece(stream, delta, delta->text, false, out); break;
    case WEIR_DELTA_SIGNATURE: take_signature(stream, delta, out); break;
    case WEIR_DELTA_PART_END: end_part(stream, delta, out); break;
    case WEIR_DELTA_FINISH: take_finish(stream, delta); break;
    case WEIR_DELTA_BEGIN:
    case WEIR_DELTA_CITATION: /* another format's: the vendor's own come with its own answers */
    case WEIR_DELTA_LOGPROBS:
    case WEIR_DELTA_USAGE:
    case WEIR_DELTA_END:
    case WEIR_DELTA_ERROR: break;
    }
}

static void end_stream(void *state, const struct weir_usage *usage, bool estimated, int64_t used_cu_milli,
                       struct weir_buffer *out) {
    struct stream *stream = state;
    struct weir_json_writer writer;
    begin(stream, out);
    for (struct part *part = stream->parts; part != NULL; part = part->next)
        part->is_over = true;
    advance(stream, out);
    begin_event(out, &writer, "message_delta");
    weir_json_write_name(&writer, "delta");
    weir_json_write_object(&writer);
    write_stop(&writer, stream->finish, stream->stop_sequence, stream->finish_text);
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "usage");
    write_usage(&writer, usage, estimated, used_cu_milli);
    end_event(&writer);
    begin_event(out, &writer, "message_stop");
    if (used_cu_milli >= 0)
        weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
    end_event(&writer);
}

static void write_count(struct weir_exchange *exchange, int64_t tokens, int64_t used_cu_milli,
                        struct weir_buffer *out) {
    struct weir_json_writer writer;
    (void)exchange;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_int64(&writer, "input_tokens", tokens);
    if (used_cu_milli > 0)
        weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(&writer);
}

const struct weir_front weir_front_messages = {
    .read_prompt = dialect__anthropic_read_prompt,
    .write_reply = write_reply,
    .begin_stream = begin_stream,
    .write_delta = write_delta,
    .end_stream = end_stream,
    .framing = WEIR_FRAMING_EVENTS,
    .write_count = write_count,
};

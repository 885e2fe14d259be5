/* Clients that speak the Responses API, to providers that do not: streams.
 *
 * Every text is told in pieces, then whole, then with the item that it is of, and at the end with all items: what has been said is kept. Each part is an item of
 * its own; items may overlap, as calls that come interleaved do.
 */
#include "dialect/responses_codec.h"

/* Pieces of a text, as they came. */
struct piece {
    struct piece *next;
    struct weir_span text;
};
struct item {
    struct item *next;
    int64_t choice;
    size_t part, index; /* the provider's, and the place in the output */
    enum weir_part_kind kind;
    const struct dialect__responses_tool *tool;
    struct piece *pieces, **last_piece;
    size_t length;
    struct weir_span id, name;
    struct weir_signature signature;
    struct weir_span logprobs;
    bool is_over;
};
struct stream {
    struct weir_exchange *exchange;
    int64_t sequence;
    struct item *items, **last_item;
    size_t count;
    enum weir_finish finish;
    bool begun;
};

void *dialect__responses_begin_front_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->exchange = exchange;
    stream->last_item = &stream->items;
    return stream;
}

/* --- events --- */

static void begin_event(struct stream *stream, struct weir_json_writer *writer, const char *type,
                        struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("event: "));
    weir_buffer_append(out, weir_span_of_string(type));
    weir_buffer_append(out, WEIR_SPAN("\ndata: "));
    weir_json_writer_init(writer, out);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", type);
    weir_json_member_int64(writer, "sequence_number", stream->sequence++);
    stream->exchange->front_sequence = stream->sequence;
}

static void end_event(struct weir_json_writer *writer) {
    weir_json_write_end(writer);
    weir_buffer_append(writer->out, WEIR_SPAN("\n\n"));
}

static const char *prefix_of(const struct item *item) {
    if (item->kind == WEIR_PART_TOOL_CALL)
        return item->tool != NULL && item->tool->is_custom ? "ctc_" : "fc_";
    return item->kind == WEIR_PART_THINKING ? "rs_" : "msg_";
}

static void begin_item_event(struct stream *stream, const struct item *item, struct weir_json_writer *writer,
                             const char *type, struct weir_buffer *out) {
    begin_event(stream, writer, type, out);
    dialect__responses_member_item_id(writer, "item_id", prefix_of(item), stream->exchange, item->index);
    weir_json_member_int64(writer, "output_index", (int64_t)item->index);
    if (item->kind == WEIR_PART_THINKING)
        weir_json_member_int64(writer, "summary_index", 0);
    else if (item->kind != WEIR_PART_TOOL_CALL)
        weir_json_member_int64(writer, "content_index", 0);
}

/* --- items --- */

static struct weir_span text_of(struct weir_arena *arena, const struct item *item) {
    if (item->pieces == NULL || item->pieces->next == NULL)
        return item->pieces != NULL ? item->pieces->text : WEIR_SPAN("");
    char *text = weir_arena_alloc_raw(arena, item->length), *at = text;
    for (const struct piece *piece = item->pieces; text != NULL && piece != NULL; piece = piece->next) {
        memcpy(at, piece->text.at, piece->text.length);
        at += piece->text.length;
    }
    return text == NULL ? WEIR_SPAN("") : weir_span_of(text, item->length);
}

static void write_item(struct stream *stream, const struct item *item, struct weir_span text, bool is_over,
                       struct weir_json_writer *writer) {
    struct weir_exchange *exchange = stream->exchange;
    struct weir_span arguments = WEIR_UNSAID;
    switch (item->kind) {
    case WEIR_PART_THINKING:
        dialect__responses_write_thinking(writer, exchange, item->index, is_over ? text : WEIR_UNSAID,
                                          is_over ? &item->signature : NULL);
        return;
    case WEIR_PART_TOOL_CALL:
        if (is_over && weir_wire_json(exchange->arena, text, &arguments) != WEIR_OK)
            arguments = WEIR_UNSAID;
        dialect__responses_write_call(writer, exchange, item->index, item->id, item->name, arguments, &item->signature,
                                      is_over);
        return;
    case WEIR_PART_TEXT:
    case WEIR_PART_REFUSAL:
    case WEIR_PART_IMAGE:
    case WEIR_PART_DOCUMENT:
    case WEIR_PART_AUDIO:
    case WEIR_PART_TOOL_RESULT:
    case WEIR_PART_OTHER: break;
    }
    dialect__responses_begin_message(writer, exchange, item->index, is_over);
    if (is_over)
        dialect__responses_write_words(writer, item->kind == WEIR_PART_REFUSAL, text, item->logprobs);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

static void tell_item(struct stream *stream, const struct item *item, struct weir_span text, bool is_over,
                      struct weir_buffer *out) {
    struct weir_json_writer writer;
    begin_event(stream, &writer, is_over ? "response.output_item.done" : "response.output_item.added", out);
    weir_json_member_int64(&writer, "output_index", (int64_t)item->index);
    weir_json_write_name(&writer, "item");
    write_item(stream, item, text, is_over, &writer);
    end_event(&writer);
}

/* The part of an item that has one: a text, a refusal, a summary. */
static void tell_part(struct stream *stream, const struct item *item, struct weir_span text, bool is_over,
                      struct weir_buffer *out) {
    static const char *const types[2][2] = {{"response.content_part.added", "response.content_part.done"},
                                            {"response.reasoning_summary_part.added",
                                             "response.reasoning_summary_part.done"}};
    struct weir_json_writer writer;
    bool is_thinking = item->kind == WEIR_PART_THINKING;
    if (item->kind == WEIR_PART_TOOL_CALL)
        return;
    begin_item_event(stream, item, &writer, types[is_thinking][is_over], out);
    weir_json_write_name(&writer, "part");
    if (is_thinking) {
        weir_json_write_object(&writer);
        weir_json_member_text(&writer, "type", "summary_text");
        dialect__member_wire(&writer, "text", text);
        weir_json_write_end(&writer);
    } else {
        dialect__responses_write_words(&writer, item->kind == WEIR_PART_REFUSAL, text, item->logprobs);
    }
    end_event(&writer);
}

static struct item *find_item(struct stream *stream, const struct weir_delta *delta) {
    struct item *item = stream->items;
    while (item != NULL && (item->choice != delta->choice || item->part != delta->part))
        item = item->next;
    return item;
}

static bool keep(struct weir_arena *arena, struct weir_span text, struct weir_span *copy) {
    if (!weir_is_said(text))
        return true;
    return weir_arena_dup(arena, text, copy) == WEIR_OK;
}

static void begin_item(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct weir_arena *arena = stream->exchange->arena;
    struct item *item = weir_arena_alloc(arena, sizeof *item);
    if (item == NULL || delta->choice != 0)
        return;
    item->choice = delta->choice;
    item->part = delta->part;
    item->kind = delta->part_kind;
    item->last_piece = &item->pieces;
    item->index = stream->count++;
    if (!keep(arena, delta->id, &item->id) || !keep(arena, delta->name, &item->name) ||
        !keep(arena, delta->signature.value, &item->signature.value))
        return;
    item->signature.from = delta->signature.from;
    item->tool = item->kind == WEIR_PART_TOOL_CALL ? dialect__responses_tool(stream->exchange, item->name) : NULL;
    *stream->last_item = item;
    stream->last_item = &item->next;
    tell_item(stream, item, WEIR_SPAN(""), false, out);
    if (item->kind != WEIR_PART_THINKING)
        tell_part(stream, item, WEIR_SPAN(""), false, out);
}

static const char *delta_type(const struct item *item) {
    switch (item->kind) {
    case WEIR_PART_TOOL_CALL: return "response.function_call_arguments.delta";
    case WEIR_PART_THINKING: return "response.reasoning_summary_text.delta";
    case WEIR_PART_REFUSAL: return "response.refusal.delta";
    case WEIR_PART_TEXT:
    case WEIR_PART_IMAGE:
    case WEIR_PART_DOCUMENT:
    case WEIR_PART_AUDIO:
    case WEIR_PART_TOOL_RESULT:
    case WEIR_PART_OTHER: break;
    }
    return "response.output_text.delta";
}

static void take_text(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct weir_arena *arena = stream->exchange->arena;
    struct item *item = find_item(stream, delta);
    struct piece *piece = weir_arena_alloc(arena, sizeof *piece);
    struct weir_json_writer writer;
    if (item == NULL || item->is_over || piece == NULL || delta->text.length == 0 ||
        !keep(arena, delta->text, &piece->text))
        return;
    /* thoughts that are hidden have no summary */
    if (item->kind == WEIR_PART_THINKING && item->pieces == NULL)
        tell_part(stream, item, WEIR_SPAN(""), false, out);
    *item->last_piece = piece;
    item->last_piece = &piece->next;
    item->length += piece->text.length;
    if (item->tool != NULL && item->tool->is_custom)
        return; /* its text is told when it can be taken out of its arguments */
    begin_item_event(stream, item, &writer, delta_type(item), out);
    dialect__member_wire(&writer, "delta", piece->text);
    if (item->kind == WEIR_PART_TEXT)
        dialect__member_json(&writer, "logprobs", WEIR_SPAN("[]"));
    end_event(&writer);
}

static void tell_free_text(struct stream *stream, const struct item *item, struct weir_span text,
                           struct weir_buffer *out) {
    struct weir_json_writer writer;
    struct weir_span arguments = WEIR_UNSAID;
    if (weir_wire_json(stream->exchange->arena, text, &arguments) != WEIR_OK)
        return;
    struct weir_span input = dialect__responses_free_text(stream->exchange, arguments);
    begin_item_event(stream, item, &writer, "response.custom_tool_call_input.delta", out);
    dialect__member_wire(&writer, "delta", input);
    end_event(&writer);
    begin_item_event(stream, item, &writer, "response.custom_tool_call_input.done", out);
    dialect__member_wire(&writer, "input", input);
    end_event(&writer);
}

static void tell_text(struct stream *stream, const struct item *item, struct weir_span text, struct weir_buffer *out) {
    struct weir_json_writer writer;
    bool is_call = item->kind == WEIR_PART_TOOL_CALL, is_refusal = item->kind == WEIR_PART_REFUSAL,
         is_thinking = item->kind == WEIR_PART_THINKING;
    begin_item_event(stream, item, &writer,
                     is_call       ? "response.function_call_arguments.done"
                     : is_refusal  ? "response.refusal.done"
                     : is_thinking ? "response.reasoning_summary_text.done"
                                   : "response.output_text.done",
                     out);
    if (is_call) {
        dialect__member_wire(&writer, "name", item->tool != NULL ? item->tool->name : item->name);
        dialect__member_wire(&writer, "arguments", text.length > 0 ? text : WEIR_SPAN("{}"));
    } else {
        dialect__member_wire(&writer, is_refusal ? "refusal" : "text", text);
    }
    if (!is_call && !is_refusal && !is_thinking)
        dialect__member_json(&writer, "logprobs", weir_is_said(item->logprobs) ? item->logprobs : WEIR_SPAN("[]"));
    end_event(&writer);
}

static void end_item(struct stream *stream, struct item *item, struct weir_buffer *out) {
    if (item == NULL || item->is_over)
        return;
    item->is_over = true;
    struct weir_span text = text_of(stream->exchange->arena, item);
    struct piece *whole = weir_arena_alloc(stream->exchange->arena, sizeof *whole);
    if (whole != NULL) { /* for the last event, which tells it again */
        whole->text = text;
        item->pieces = whole;
    }
    if (item->tool != NULL && item->tool->is_custom)
        tell_free_text(stream, item, text, out);
    else if (item->kind != WEIR_PART_THINKING || text.length > 0)
        tell_text(stream, item, text, out);
    if (item->kind != WEIR_PART_THINKING || text.length > 0)
        tell_part(stream, item, text, true, out);
    tell_item(stream, item, text, true, out);
}

/* --- the response --- */

static void tell_response(struct stream *stream, const char *type, struct weir_buffer *out) {
    struct weir_json_writer writer;
    begin_event(stream, &writer, type, out);
    weir_json_write_name(&writer, "response");
    dialect__responses_begin(&writer, stream->exchange, WEIR_FINISH_UNSAID, false);
    dialect__responses_end(&writer, stream->exchange, NULL, false, -1);
    weir_json_write_end(&writer);
    end_event(&writer);
}

static void begin(struct stream *stream, struct weir_buffer *out) {
    if (stream->begun)
        return;
    stream->begun = true;
    char *id = weir_arena_format(stream->exchange->arena, "resp_%.*s", WEIR_SPAN_PRINT(stream->exchange->seed));
    stream->exchange->front_answer_id = weir_span_of_string(id);
    tell_response(stream, "response.created", out);
    tell_response(stream, "response.in_progress", out);
}

static void take_signature(struct stream *stream, const struct weir_delta *delta) {
    struct item *item = find_item(stream, delta);
    if (item == NULL)
        return;
    struct weir_signature *signature = &item->signature;
    *signature = (struct weir_signature){.from = delta->signature.from, .is_redacted = delta->signature.is_redacted};
    if (!keep(stream->exchange->arena, delta->signature.value, &signature->value) ||
        !keep(stream->exchange->arena, delta->signature.id, &signature->id))
        signature->value = WEIR_UNSAID;
}

void dialect__responses_write_delta(void *state, const struct weir_delta *delta, struct weir_buffer *out) {
    struct stream *stream = state;
    begin(stream, out);
    switch (delta->kind) {
    case WEIR_DELTA_PART_BEGIN: begin_item(stream, delta, out); break;
    case WEIR_DELTA_TEXT: take_text(stream, delta, out); break;
    case WEIR_DELTA_SIGNATURE: take_signature(stream, delta); break;
    case WEIR_DELTA_PART_END: end_item(stream, find_item(stream, delta), out); break;
    case WEIR_DELTA_FINISH:
        if (delta->choice == 0)
            stream->finish = delta->finish;
        break;
    case WEIR_DELTA_BEGIN:
    case WEIR_DELTA_CITATION:
    case WEIR_DELTA_LOGPROBS:
    case WEIR_DELTA_USAGE:
    case WEIR_DELTA_END:
    case WEIR_DELTA_ERROR: break;
    }
}

void dialect__responses_end_front_stream(void *state, const struct weir_usage *usage, bool estimated,
                                         int64_t used_cu_milli, struct weir_buffer *out) {
    struct stream *stream = state;
    struct weir_json_writer writer;
    begin(stream, out);
    for (struct item *item = stream->items; item != NULL; item = item->next)
        end_item(stream, item, out);
    begin_event(stream, &writer,
                dialect__responses_is_incomplete(stream->finish) ? "response.incomplete" : "response.completed", out);
    weir_json_write_name(&writer, "response");
    dialect__responses_begin(&writer, stream->exchange, stream->finish, true);
    for (const struct item *item = stream->items; item != NULL; item = item->next)
        write_item(stream, item, text_of(stream->exchange->arena, item), true, &writer);
    dialect__responses_end(&writer, stream->exchange, usage, estimated, used_cu_milli);
    weir_json_write_end(&writer);
    if (used_cu_milli >= 0)
        weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
    end_event(&writer);
}

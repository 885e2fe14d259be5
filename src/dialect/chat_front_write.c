/* Clients that speak chat completions, to providers that do not: what they get. See chat_front.c. */
#include "dialect/chat_codec.h"

const char *dialect__chat_finish_name(enum weir_finish finish) {
    static const char *const names[] = {
        [WEIR_FINISH_UNSAID] = "stop",
        [WEIR_FINISH_STOP] = "stop",
        [WEIR_FINISH_STOP_SEQUENCE] = "stop",
        [WEIR_FINISH_LENGTH] = "length",
        [WEIR_FINISH_CONTEXT] = "length",
        [WEIR_FINISH_TOOL] = "tool_calls",
        [WEIR_FINISH_REFUSAL] = "content_filter",
        [WEIR_FINISH_FILTER] = "content_filter",
        [WEIR_FINISH_PAUSE] = "length",
        [WEIR_FINISH_BROKEN] = "stop",
    };
    return names[finish];
}

void dialect__write_chat_usage(struct weir_json_writer *writer, const struct weir_usage *usage, bool estimated,
                               int64_t used_cu_milli) {
    const struct weir_usage told = dialect__told_usage(usage);
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "prompt_tokens", told.input);
    weir_json_member_int64(writer, "completion_tokens", told.output);
    weir_json_member_int64(writer, "total_tokens", dialect__total_tokens(&told));
    weir_json_write_name(writer, "prompt_tokens_details");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "cached_tokens", told.cached);
    weir_json_member_int64(writer, "cache_write_tokens", told.cache_write);
    weir_json_member_int64(writer, "audio_tokens", told.input_audio);
    weir_json_write_end(writer);
    weir_json_write_name(writer, "completion_tokens_details");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "reasoning_tokens", told.reasoning);
    weir_json_member_int64(writer, "audio_tokens", told.output_audio);
    weir_json_member_int64(writer, "accepted_prediction_tokens", 0);
    weir_json_member_int64(writer, "rejected_prediction_tokens", 0);
    weir_json_write_end(writer);
    if (estimated)
        weir_json_member_bool(writer, "estimated", true);
    if (used_cu_milli >= 0)
        weir_json_member_int64(writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(writer);
}

static void write_begin(struct weir_json_writer *writer, const struct weir_exchange *exchange, const char *object) {
    weir_json_write_object(writer);
    dialect__member_id(writer, "id", "chatcmpl-", exchange);
    weir_json_member_text(writer, "object", object);
    weir_json_member_int64(writer, "created", exchange->created_utc_us / 1000000);
    weir_json_member_string(writer, "model", exchange->front_model);
}

/* --- whole answers --- */

/* What the next turn has to bring back: one entry a block of thinking. */
static void write_detail(struct weir_json_writer *writer, struct weir_exchange *exchange, struct weir_span text,
                         const struct weir_signature *signature, size_t index) {
    bool is_hidden = signature->is_redacted;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", is_hidden ? "reasoning.encrypted" : "reasoning.text");
    if (!is_hidden)
        dialect__member_wire(writer, "text", text);
    if (weir_is_said(signature->value))
        dialect__member_wire(writer, is_hidden ? "data" : "signature",
                             weir_signature_seal(exchange->arena, signature, false));
    weir_json_member_text(writer, "format", "weir-v1");
    weir_json_member_int64(writer, "index", (int64_t)index);
    weir_json_write_end(writer);
}

static void write_details(struct weir_json_writer *writer, struct weir_exchange *exchange,
                          const struct weir_part *parts) {
    size_t index = 0;
    bool any = false;
    for (const struct weir_part *part = parts; part != NULL; part = part->next)
        any = any || (part->kind == WEIR_PART_THINKING && weir_is_said(part->signature.value));
    if (!any)
        return;
    weir_json_write_name(writer, "reasoning_details");
    weir_json_write_array(writer);
    for (const struct weir_part *part = parts; part != NULL; part = part->next)
        if (part->kind == WEIR_PART_THINKING)
            write_detail(writer, exchange, part->text, &part->signature, index++);
    weir_json_write_end(writer);
}

static void write_call_begin(struct weir_json_writer *writer, struct weir_exchange *exchange, struct weir_span id,
                             struct weir_span name, const struct weir_signature *signature, bool is_custom) {
    dialect__member_wire(writer, "id", dialect__seal_id(exchange, id, signature));
    weir_json_member_text(writer, "type", is_custom ? "custom" : "function");
    weir_json_write_name(writer, is_custom ? "custom" : "function");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "name", name);
}

static void write_calls(struct weir_json_writer *writer, struct weir_exchange *exchange,
                        const struct weir_part *parts) {
    if (!dialect__has_part(parts, WEIR_PART_TOOL_CALL))
        return;
    weir_json_write_name(writer, "tool_calls");
    weir_json_write_array(writer);
    for (const struct weir_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != WEIR_PART_TOOL_CALL)
            continue;
        weir_json_write_object(writer);
        write_call_begin(writer, exchange, part->id, part->name, &part->signature, part->is_custom);
        if (part->is_custom)
            dialect__member_json(writer, "input", part->arguments);
        else
            dialect__member_arguments(writer, "arguments", part->arguments);
        weir_json_write_end(writer);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static void member_or_null(struct weir_json_writer *writer, const char *name, struct weir_span wire) {
    if (weir_is_said(wire))
        dialect__member_wire(writer, name, wire);
    else
        weir_json_member_text(writer, name, NULL);
}

static void write_choice(struct weir_json_writer *writer, struct weir_exchange *exchange,
                         const struct weir_choice *choice) {
    struct weir_arena *arena = exchange->arena;
    struct weir_span none = WEIR_SPAN("");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "index", choice->index);
    weir_json_write_name(writer, "message");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "role", "assistant");
    member_or_null(writer, "content", dialect__join_texts(arena, choice->parts, WEIR_PART_TEXT, none));
    member_or_null(writer, "refusal", dialect__join_texts(arena, choice->parts, WEIR_PART_REFUSAL, none));
    dialect__member_wire(writer, "reasoning_content",
                         dialect__join_texts(arena, choice->parts, WEIR_PART_THINKING, none));
    write_details(writer, exchange, choice->parts);
    write_calls(writer, exchange, choice->parts);
    weir_json_write_end(writer);
    if (weir_is_said(choice->logprobs))
        dialect__member_json(writer, "logprobs", choice->logprobs);
    else
        weir_json_member_text(writer, "logprobs", NULL);
    weir_json_member_text(writer, "finish_reason", dialect__chat_finish_name(choice->finish));
    dialect__member_wire(writer, "native_finish_reason", choice->native_finish);
    weir_json_write_end(writer);
}

static void write_reply(struct weir_exchange *exchange, const struct weir_reply *reply, bool estimated,
                        int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    write_begin(&writer, exchange, "chat.completion");
    weir_json_write_name(&writer, "choices");
    weir_json_write_array(&writer);
    for (const struct weir_choice *choice = reply->choices; choice != NULL; choice = choice->next)
        write_choice(&writer, exchange, choice);
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "usage");
    dialect__write_chat_usage(&writer, &reply->usage, estimated, used_cu_milli);
    weir_json_write_end(&writer);
}

/* --- streams --- */

struct ended_choice {
    struct ended_choice *next;
    int64_t choice;
    size_t calls, thoughts; /* begun so far */
    enum weir_finish finish;
    struct weir_span native_finish;
    bool has_role;
};
struct stream {
    struct weir_exchange *exchange;
    struct dialect__open_part *parts;
    struct ended_choice *choices, **last_choice;
    bool failed; /* no memory: what comes is not written any more, and the stream does not end well */
};

static void *begin_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->exchange = exchange;
    stream->last_choice = &stream->choices;
    return stream;
}

static struct ended_choice *choice_of(struct stream *stream, int64_t index) {
    struct ended_choice *choice = stream->choices;
    while (choice != NULL && choice->choice != index)
        choice = choice->next;
    if (choice != NULL)
        return choice;
    choice = weir_arena_alloc(stream->exchange->arena, sizeof *choice);
    if (choice == NULL) {
        stream->failed = true;
        return NULL;
    }
    choice->choice = index;
    *stream->last_choice = choice;
    stream->last_choice = &choice->next;
    return choice;
}

/* `data: {…,"choices":[{"index":0,"delta":{` */
static void begin_chunk(struct stream *stream, struct weir_json_writer *writer, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("data: "));
    weir_json_writer_init(writer, out);
    write_begin(writer, stream->exchange, "chat.completion.chunk");
    weir_json_write_name(writer, "choices");
    weir_json_write_array(writer);
}

static void begin_delta(struct stream *stream, struct ended_choice *choice, struct weir_json_writer *writer,
                        struct weir_buffer *out) {
    begin_chunk(stream, writer, out);
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "index", choice->choice);
    weir_json_write_name(writer, "delta");
    weir_json_write_object(writer);
    if (!choice->has_role)
        weir_json_member_text(writer, "role", "assistant");
    choice->has_role = true;
}

/* Closes the delta, the choice and the chunk. */
static void end_delta(struct stream *stream, struct weir_json_writer *writer, const struct ended_choice *finished,
                      struct weir_span logprobs, int64_t used_cu_milli) {
    weir_json_write_end(writer);
    if (weir_is_said(logprobs))
        dialect__member_json(writer, "logprobs", logprobs);
    else
        weir_json_member_text(writer, "logprobs", NULL);
    weir_json_member_text(writer, "finish_reason",
                          finished != NULL ? dialect__chat_finish_name(finished->finish) : NULL);
    if (finished != NULL)
        dialect__member_wire(writer, "native_finish_reason", finished->native_finish);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    if (stream->exchange->wants_usage)
        weir_json_member_text(writer, "usage", NULL);
    if (used_cu_milli >= 0)
        weir_json_member_int64(writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(writer);
    weir_buffer_append(writer->out, WEIR_SPAN("\n\n"));
}

static void write_part_begin(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct ended_choice *choice = choice_of(stream, delta->choice);
    struct dialect__open_part *part = weir_arena_alloc(stream->exchange->arena, sizeof *part);
    if (choice == NULL || part == NULL) {
        stream->failed = true;
        return;
    }
    *part = (struct dialect__open_part){.next = stream->parts,
                                        .choice = delta->choice,
                                        .part = delta->part,
                                        .kind = delta->part_kind};
    stream->parts = part;
    if (delta->part_kind == WEIR_PART_THINKING)
        part->place = choice->thoughts++;
    if (delta->part_kind != WEIR_PART_TOOL_CALL)
        return;
    part->place = choice->calls++;
    struct weir_json_writer writer;
    begin_delta(stream, choice, &writer, out);
    weir_json_write_name(&writer, "tool_calls");
    weir_json_write_array(&writer);
    weir_json_write_object(&writer);
    weir_json_member_int64(&writer, "index", (int64_t)part->place);
    write_call_begin(&writer, stream->exchange, delta->id, delta->name, &delta->signature, delta->is_custom);
    weir_json_member_text(&writer, delta->is_custom ? "input" : "arguments", "");
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    end_delta(stream, &writer, NULL, WEIR_UNSAID, -1);
}

static void write_text(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    const struct dialect__open_part *part = dialect__find_part(stream->parts, delta);
    struct ended_choice *choice = choice_of(stream, delta->choice);
    struct weir_json_writer writer;
    if (part == NULL || choice == NULL || delta->text.length == 0)
        return;
    begin_delta(stream, choice, &writer, out);
    if (part->kind == WEIR_PART_TOOL_CALL) {
        weir_json_write_name(&writer, "tool_calls");
        weir_json_write_array(&writer);
        weir_json_write_object(&writer);
        weir_json_member_int64(&writer, "index", (int64_t)part->place);
        weir_json_write_name(&writer, delta->is_custom ? "custom" : "function");
        weir_json_write_object(&writer);
        dialect__member_wire(&writer, delta->is_custom ? "input" : "arguments", delta->text);
        weir_json_write_end(&writer);
        weir_json_write_end(&writer);
        weir_json_write_end(&writer);
    } else {
        dialect__member_wire(&writer,
                             part->kind == WEIR_PART_THINKING  ? "reasoning_content"
                             : part->kind == WEIR_PART_REFUSAL ? "refusal"
                                                               : "content",
                             delta->text);
    }
    end_delta(stream, &writer, NULL, WEIR_UNSAID, -1);
}

/* The thoughts themselves have been told in pieces. */
static void write_signature(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    const struct dialect__open_part *part = dialect__find_part(stream->parts, delta);
    struct ended_choice *choice = choice_of(stream, delta->choice);
    struct weir_json_writer writer;
    if (part == NULL || choice == NULL || part->kind != WEIR_PART_THINKING)
        return;
    begin_delta(stream, choice, &writer, out);
    weir_json_write_name(&writer, "reasoning_details");
    weir_json_write_array(&writer);
    write_detail(&writer, stream->exchange, WEIR_UNSAID, &delta->signature, part->place);
    weir_json_write_end(&writer);
    end_delta(stream, &writer, NULL, WEIR_UNSAID, -1);
}

static void write_empty(struct stream *stream, int64_t index, struct weir_span logprobs, struct weir_buffer *out) {
    struct ended_choice *choice = choice_of(stream, index);
    struct weir_json_writer writer;
    if (choice == NULL)
        return;
    begin_delta(stream, choice, &writer, out);
    weir_json_member_text(&writer, "content", "");
    end_delta(stream, &writer, NULL, logprobs, -1);
}

static void note_finish(struct stream *stream, const struct weir_delta *delta) {
    struct ended_choice *choice = choice_of(stream, delta->choice);
    if (choice == NULL)
        return;
    choice->finish = delta->finish;
    choice->native_finish = WEIR_UNSAID;
    if (weir_is_said(delta->native_finish) &&
        weir_arena_dup(stream->exchange->arena, delta->native_finish, &choice->native_finish) != WEIR_OK)
        stream->failed = true;
}

static void write_delta(void *state, const struct weir_delta *delta, struct weir_buffer *out) {
    struct stream *stream = state;
    switch (delta->kind) {
    case WEIR_DELTA_BEGIN: write_empty(stream, 0, WEIR_UNSAID, out); break;
    case WEIR_DELTA_PART_BEGIN: write_part_begin(stream, delta, out); break;
    case WEIR_DELTA_TEXT: write_text(stream, delta, out); break;
    case WEIR_DELTA_SIGNATURE: write_signature(stream, delta, out); break;
    case WEIR_DELTA_LOGPROBS: write_empty(stream, delta->choice, delta->json, out); break;
    case WEIR_DELTA_FINISH: note_finish(stream, delta); break;
    case WEIR_DELTA_CITATION:
    case WEIR_DELTA_PART_END:
    case WEIR_DELTA_USAGE:
    case WEIR_DELTA_END:
    case WEIR_DELTA_ERROR: break;
    }
}

static void end_stream(void *state, const struct weir_usage *usage, bool estimated, int64_t used_cu_milli,
                       struct weir_buffer *out) {
    struct stream *stream = state;
    bool wants_usage = stream->exchange->wants_usage;
    struct weir_json_writer writer;
    if (stream->choices == NULL)
        (void)choice_of(stream, 0);
    for (struct ended_choice *choice = stream->choices; choice != NULL; choice = choice->next) {
        begin_delta(stream, choice, &writer, out);
        end_delta(stream, &writer, choice, WEIR_UNSAID, choice->next == NULL && !wants_usage ? used_cu_milli : -1);
    }
    if (wants_usage) {
        begin_chunk(stream, &writer, out);
        weir_json_write_end(&writer);
        weir_json_write_name(&writer, "usage");
        dialect__write_chat_usage(&writer, usage, estimated, used_cu_milli);
        if (used_cu_milli >= 0)
            weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
        weir_json_write_end(&writer);
        weir_buffer_append(out, WEIR_SPAN("\n\n"));
    }
    weir_buffer_append(out, WEIR_SPAN("data: [DONE]\n\n"));
}

const struct weir_front weir_front_chat = {
    .read_prompt = dialect__chat_read_prompt,
    .write_reply = write_reply,
    .begin_stream = begin_stream,
    .write_delta = write_delta,
    .end_stream = end_stream,
    .framing = WEIR_FRAMING_EVENTS,
};

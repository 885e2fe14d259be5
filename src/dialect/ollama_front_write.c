/* Clients that speak Ollama's API, to providers that do not: what they get.
 *
 * A call is told whole, its arguments an object; in a stream it is kept until it is. Times are told as those of a server that was ready at once: nobody here knows them.
 */
#include "base/clock.h"
#include "dialect/ollama_codec.h"

static void write_begin(struct weir_json_writer *writer, const struct weir_exchange *exchange) {
    char created[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(exchange->created_utc_us, created);
    weir_json_write_object(writer);
    weir_json_member_string(writer, "model", exchange->front_model);
    weir_json_member_text(writer, "created_at", created);
}

static void write_counts(struct weir_json_writer *writer, const struct weir_usage *usage, bool estimated,
                         int64_t used_cu_milli) {
    weir_json_member_int64(writer, "total_duration", 0);
    weir_json_member_int64(writer, "load_duration", 0);
    weir_json_member_int64(writer, "prompt_eval_count", usage->input);
    weir_json_member_int64(writer, "prompt_eval_duration", 0);
    weir_json_member_int64(writer, "eval_count", usage->output);
    weir_json_member_int64(writer, "eval_duration", 0);
    if (estimated)
        weir_json_member_bool(writer, "estimated", true);
    if (used_cu_milli >= 0)
        weir_json_member_int64(writer, "usedCUMilli", used_cu_milli);
}

static const char *reason_of(enum weir_finish finish) {
    return finish == WEIR_FINISH_LENGTH || finish == WEIR_FINISH_CONTEXT ? "length" : "stop";
}

/* What is no object (what a model has made up) stands in one. */
static void write_call(struct weir_json_writer *writer, struct weir_exchange *exchange, const struct weir_part *call,
                       size_t index) {
    struct weir_span json = weir_span_trim(weir_is_said(call->arguments) ? call->arguments : WEIR_SPAN("{}"));
    bool is_object = json.length > 0 && json.at[0] == '{';
    weir_json_write_object(writer);
    dialect__member_wire(writer, "id", dialect__seal_id(exchange, call->id, &call->signature));
    weir_json_write_name(writer, "function");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "index", (int64_t)index);
    dialect__member_wire(writer, "name", call->name);
    weir_json_write_name(writer, "arguments");
    weir_json_write_raw(writer, is_object ? WEIR_SPAN("") : WEIR_SPAN("{\"input\":"));
    weir_json_append_compact(writer->out, json);
    if (!is_object)
        weir_buffer_append_byte(writer->out, '}');
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

/* The content of a chat completion's logprobs. */
static struct weir_span content_of(struct weir_arena *arena, struct weir_span logprobs) {
    struct weir_json_node *root;
    if (!weir_is_said(logprobs) || weir_json_tree_read(arena, logprobs, &root, NULL) != WEIR_OK)
        return WEIR_UNSAID;
    const struct weir_json_node *content = weir_json_get(root, "content");
    return weir_json_is(content, WEIR_JSON_ARRAY) ? content->text : WEIR_UNSAID;
}

/* A refusal is said in words like any other. */
static struct weir_span words_of(struct weir_arena *arena, const struct weir_part *parts) {
    struct weir_span text = dialect__join_texts(arena, parts, WEIR_PART_TEXT, WEIR_SPAN(""));
    if (!weir_is_said(text))
        text = dialect__join_texts(arena, parts, WEIR_PART_REFUSAL, WEIR_SPAN(""));
    return weir_is_said(text) ? text : WEIR_SPAN("");
}

static void write_message(struct weir_json_writer *writer, struct weir_exchange *exchange,
                          const struct weir_part *parts) {
    size_t index = 0;
    weir_json_write_name(writer, "message");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "role", "assistant");
    dialect__member_wire(writer, "content", words_of(exchange->arena, parts));
    dialect__member_wire(writer, "thinking",
                         dialect__join_texts(exchange->arena, parts, WEIR_PART_THINKING, WEIR_SPAN("")));
    if (dialect__has_part(parts, WEIR_PART_TOOL_CALL)) {
        weir_json_write_name(writer, "tool_calls");
        weir_json_write_array(writer);
        for (const struct weir_part *part = parts; part != NULL; part = part->next)
            if (part->kind == WEIR_PART_TOOL_CALL)
                write_call(writer, exchange, part, index++);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static void write_whole(struct weir_exchange *exchange, const struct weir_reply *reply, bool is_chat, bool estimated,
                        int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    const struct weir_choice *choice = reply->choices;
    const struct weir_part *parts = choice != NULL ? choice->parts : NULL;
    weir_json_writer_init(&writer, out);
    write_begin(&writer, exchange);
    if (is_chat) {
        write_message(&writer, exchange, parts);
    } else {
        dialect__member_wire(&writer, "response", words_of(exchange->arena, parts));
        dialect__member_wire(&writer, "thinking",
                             dialect__join_texts(exchange->arena, parts, WEIR_PART_THINKING, WEIR_SPAN("")));
    }
    weir_json_member_bool(&writer, "done", true);
    weir_json_member_text(&writer, "done_reason", reason_of(choice != NULL ? choice->finish : WEIR_FINISH_STOP));
    if (choice != NULL)
        dialect__member_json(&writer, "logprobs", content_of(exchange->arena, choice->logprobs));
    write_counts(&writer, &reply->usage, estimated, used_cu_milli);
    weir_json_write_end(&writer);
}

static void write_chat_reply(struct weir_exchange *exchange, const struct weir_reply *reply, bool estimated,
                             int64_t used_cu_milli, struct weir_buffer *out) {
    write_whole(exchange, reply, true, estimated, used_cu_milli, out);
}

static void write_generate_reply(struct weir_exchange *exchange, const struct weir_reply *reply, bool estimated,
                                 int64_t used_cu_milli, struct weir_buffer *out) {
    write_whole(exchange, reply, false, estimated, used_cu_milli, out);
}

/* --- streams --- */

struct piece {
    struct piece *next;
    struct weir_span text;
};
struct call {
    struct call *next;
    size_t part, index;
    struct weir_part told; /* id, name, signature */
    struct piece *pieces, **last_piece;
    size_t length;
    bool is_over;
};
struct stream {
    struct weir_exchange *exchange;
    bool is_chat;
    struct call *calls;
    size_t call_count;
    enum weir_finish finish;
};

static void *begin_stream(struct weir_exchange *exchange, bool is_chat) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->exchange = exchange;
    stream->is_chat = is_chat;
    return stream;
}

static void *begin_chat_stream(struct weir_exchange *exchange) {
    return begin_stream(exchange, true);
}

static void *begin_generate_stream(struct weir_exchange *exchange) {
    return begin_stream(exchange, false);
}

static void end_line(struct weir_json_writer *writer) {
    weir_json_member_bool(writer, "done", false);
    weir_json_write_end(writer);
    weir_buffer_append_byte(writer->out, '\n');
}

static void write_text(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct weir_json_writer writer;
    bool is_thinking = delta->part_kind == WEIR_PART_THINKING;
    struct weir_span words = is_thinking ? WEIR_SPAN("") : delta->text,
                     thoughts = is_thinking ? delta->text : WEIR_UNSAID;
    weir_json_writer_init(&writer, out);
    write_begin(&writer, stream->exchange);
    if (stream->is_chat) {
        weir_json_write_name(&writer, "message");
        weir_json_write_object(&writer);
        weir_json_member_text(&writer, "role", "assistant");
        dialect__member_wire(&writer, "content", words);
        dialect__member_wire(&writer, "thinking", thoughts);
        weir_json_write_end(&writer);
    } else {
        dialect__member_wire(&writer, "response", words);
        dialect__member_wire(&writer, "thinking", thoughts);
    }
    end_line(&writer);
}

static bool keep(struct weir_arena *arena, struct weir_span text, struct weir_span *copy) {
    return !weir_is_said(text) || weir_arena_dup(arena, text, copy) == WEIR_OK;
}

static void begin_call(struct stream *stream, const struct weir_delta *delta) {
    struct weir_arena *arena = stream->exchange->arena;
    struct call *call = weir_arena_alloc(arena, sizeof *call);
    if (call == NULL || !keep(arena, delta->id, &call->told.id) || !keep(arena, delta->name, &call->told.name) ||
        !keep(arena, delta->signature.value, &call->told.signature.value))
        return;
    call->told.signature.from = delta->signature.from;
    call->part = delta->part;
    call->index = stream->call_count++;
    call->last_piece = &call->pieces;
    call->next = stream->calls;
    stream->calls = call;
}

static struct call *find_call(struct stream *stream, size_t part) {
    struct call *call = stream->calls;
    while (call != NULL && call->part != part)
        call = call->next;
    return call;
}

static void take_arguments(struct stream *stream, const struct weir_delta *delta) {
    struct call *call = find_call(stream, delta->part);
    struct piece *piece = weir_arena_alloc(stream->exchange->arena, sizeof *piece);
    if (call == NULL || piece == NULL || !keep(stream->exchange->arena, delta->text, &piece->text))
        return;
    *call->last_piece = piece;
    call->last_piece = &piece->next;
    call->length += piece->text.length;
}

static void end_call(struct stream *stream, struct call *call, struct weir_buffer *out) {
    struct weir_arena *arena = stream->exchange->arena;
    struct weir_json_writer writer;
    if (call == NULL || call->is_over)
        return;
    call->is_over = true;
    char *text = weir_arena_alloc_raw(arena, call->length + 1), *at = text;
    for (const struct piece *piece = call->pieces; text != NULL && piece != NULL; piece = piece->next) {
        memcpy(at, piece->text.at, piece->text.length);
        at += piece->text.length;
    }
    if (text == NULL || weir_wire_json(arena, weir_span_of(text, call->length), &call->told.arguments) != WEIR_OK)
        return;
    weir_json_writer_init(&writer, out);
    write_begin(&writer, stream->exchange);
    weir_json_write_name(&writer, "message");
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "role", "assistant");
    weir_json_member_text(&writer, "content", "");
    weir_json_write_name(&writer, "tool_calls");
    weir_json_write_array(&writer);
    write_call(&writer, stream->exchange, &call->told, call->index);
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    end_line(&writer);
}

static void write_delta(void *state, const struct weir_delta *delta, struct weir_buffer *out) {
    struct stream *stream = state;
    bool is_call = delta->part_kind == WEIR_PART_TOOL_CALL;
    if (delta->choice != 0)
        return;
    switch (delta->kind) {
    case WEIR_DELTA_PART_BEGIN:
        if (is_call)
            begin_call(stream, delta);
        break;
    case WEIR_DELTA_TEXT:
        if (find_call(stream, delta->part) != NULL)
            take_arguments(stream, delta);
        else if (delta->text.length > 0)
            write_text(stream, delta, out);
        break;
    case WEIR_DELTA_PART_END: end_call(stream, find_call(stream, delta->part), out); break;
    case WEIR_DELTA_FINISH: stream->finish = delta->finish; break;
    case WEIR_DELTA_BEGIN:
    case WEIR_DELTA_SIGNATURE:
    case WEIR_DELTA_CITATION:
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
    for (struct call *call = stream->calls; call != NULL; call = call->next)
        end_call(stream, call, out);
    weir_json_writer_init(&writer, out);
    write_begin(&writer, stream->exchange);
    if (stream->is_chat) {
        weir_json_write_name(&writer, "message");
        weir_json_write_object(&writer);
        weir_json_member_text(&writer, "role", "assistant");
        weir_json_member_text(&writer, "content", "");
        weir_json_write_end(&writer);
    } else {
        weir_json_member_text(&writer, "response", "");
    }
    weir_json_member_bool(&writer, "done", true);
    weir_json_member_text(&writer, "done_reason", reason_of(stream->finish));
    write_counts(&writer, usage, estimated, used_cu_milli);
    weir_json_write_end(&writer);
    weir_buffer_append_byte(out, '\n');
}

const struct weir_front weir_front_ollama_chat = {
    .read_prompt = dialect__ollama_read_chat,
    .write_reply = write_chat_reply,
    .begin_stream = begin_chat_stream,
    .write_delta = write_delta,
    .end_stream = end_stream,
    .framing = WEIR_FRAMING_LINES,
};
const struct weir_front weir_front_ollama_generate = {
    .read_prompt = dialect__ollama_read_generate,
    .write_reply = write_generate_reply,
    .begin_stream = begin_generate_stream,
    .write_delta = write_delta,
    .end_stream = end_stream,
    .framing = WEIR_FRAMING_LINES,
};

/* --- vectors --- */

static void write_embed(struct weir_exchange *exchange, const struct weir_vectors_call *call,
                        const struct weir_vectors_reply *reply, int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    (void)call;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "model", exchange->front_model);
    weir_json_write_name(&writer, "embeddings");
    weir_json_write_array(&writer);
    for (const struct weir_vector *vector = reply->vectors; vector != NULL; vector = vector->next) {
        weir_json_write_raw(&writer, WEIR_SPAN(""));
        weir_json_append_compact(out, weir_is_said(vector->numbers) ? vector->numbers : WEIR_SPAN("[]"));
    }
    weir_json_write_end(&writer);
    weir_json_member_int64(&writer, "total_duration", 0);
    weir_json_member_int64(&writer, "load_duration", 0);
    weir_json_member_int64(&writer, "prompt_eval_count", reply->usage.input);
    if (used_cu_milli >= 0)
        weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(&writer);
}

/* The older endpoint has one vector and no counts. */
static void write_embedding(struct weir_exchange *exchange, const struct weir_vectors_call *call,
                            const struct weir_vectors_reply *reply, int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    const struct weir_vector *vector = reply->vectors;
    (void)exchange;
    (void)call;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    dialect__member_json(&writer, "embedding",
                         vector != NULL && weir_is_said(vector->numbers) ? vector->numbers : WEIR_SPAN("[]"));
    if (used_cu_milli >= 0)
        weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(&writer);
}

const struct weir_front weir_front_ollama_embed = {.read_vectors_call = dialect__ollama_read_vectors_call,
                                                   .write_vectors = write_embed,
                                                   .framing = WEIR_FRAMING_LINES};
const struct weir_front weir_front_ollama_embeddings = {.read_vectors_call = dialect__ollama_read_vectors_call,
                                                        .write_vectors = write_embedding,
                                                        .framing = WEIR_FRAMING_LINES};

/* Clients that speak the Gemini API, to providers that do not: what they get. See gemini_front.c.
 *
 * A stream is server-sent events without names or one JSON array, as the client asked; its pieces are answers of their own. Calls have no pieces in this format:
 * one goes out when it is whole. What says why the answer has finished, and the usage, is the last piece.
 */
#include "dialect/gemini_codec.h"

/* --- members --- */

static const char *finish_name(enum weir_finish finish) {
    switch (finish) {
    case WEIR_FINISH_LENGTH:
    case WEIR_FINISH_CONTEXT:
    case WEIR_FINISH_PAUSE: return "MAX_TOKENS";
    case WEIR_FINISH_REFUSAL:
    case WEIR_FINISH_FILTER: return "SAFETY";
    case WEIR_FINISH_BROKEN: return "MALFORMED_FUNCTION_CALL";
    case WEIR_FINISH_UNSAID:
    case WEIR_FINISH_STOP:
    case WEIR_FINISH_STOP_SEQUENCE:
    case WEIR_FINISH_TOOL: break;
    }
    return "STOP";
}

static void write_detail(struct weir_json_writer *writer, const char *name, const char *modality, int64_t tokens) {
    if (tokens <= 0)
        return;
    weir_json_write_name(writer, name);
    weir_json_write_array(writer);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "modality", modality);
    weir_json_member_int64(writer, "tokenCount", tokens);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

static void write_usage(struct weir_json_writer *writer, const struct weir_usage *usage, bool estimated,
                        int64_t used_cu_milli) {
    const struct weir_usage told = dialect__told_usage(usage);
    weir_json_write_name(writer, "usageMetadata");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "promptTokenCount", told.input);
    if (told.cached > 0)
        weir_json_member_int64(writer, "cachedContentTokenCount", told.cached);
    weir_json_member_int64(writer, "candidatesTokenCount", told.output - told.reasoning);
    if (told.reasoning > 0)
        weir_json_member_int64(writer, "thoughtsTokenCount", told.reasoning);
    weir_json_member_int64(writer, "totalTokenCount", dialect__total_tokens(&told));
    write_detail(writer, "promptTokensDetails", "AUDIO", told.input_audio);
    write_detail(writer, "candidatesTokensDetails", "AUDIO", told.output_audio);
    if (estimated)
        weir_json_member_bool(writer, "estimated", true);
    if (used_cu_milli >= 0)
        weir_json_member_int64(writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(writer);
}

/* What another dialect gave travels sealed; what Google's models gave is as they gave it. */
static void write_signature(struct weir_json_writer *writer, struct weir_arena *arena,
                            const struct weir_signature *signature) {
    if (!weir_is_said(signature->value))
        return;
    dialect__member_wire(writer, "thoughtSignature",
                         signature->from == WEIR_DIALECT_GEMINI && !signature->is_redacted
                             ? signature->value
                             : weir_signature_seal(arena, signature, false));
}

static bool is_object(struct weir_span json) {
    struct weir_json_found root;
    return weir_json_scan(json, NULL, 0, NULL, &root, NULL) == WEIR_OK && root.kind == WEIR_JSON_OBJECT;
}

static void write_call(struct weir_json_writer *writer, struct weir_span id, struct weir_span name,
                       struct weir_span arguments) {
    weir_json_write_name(writer, "functionCall");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "id", id);
    dialect__member_wire(writer, "name", weir_is_said(name) ? name : WEIR_SPAN(""));
    if (is_object(arguments)) {
        dialect__member_json(writer, "args", arguments);
    } else { /* what a model has made up and is no object */
        weir_json_write_name(writer, "args");
        weir_json_write_object(writer);
        if (arguments.length > 0)
            dialect__member_json(writer, DIALECT__GEMINI_CUSTOM_MEMBER, arguments);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static void write_media(struct weir_json_writer *writer, const struct weir_media *media) {
    bool is_inline = media->source == WEIR_MEDIA_INLINE;
    weir_json_write_name(writer, is_inline ? "inlineData" : "fileData");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "mimeType", media->type);
    dialect__member_wire(writer, is_inline ? "data" : "fileUri", media->data);
    weir_json_write_end(writer);
}

static bool is_told(enum weir_part_kind kind) {
    return kind != WEIR_PART_OTHER && kind != WEIR_PART_TOOL_RESULT;
}

static void write_part(struct weir_json_writer *writer, struct weir_exchange *exchange, const struct weir_part *part) {
    if (!is_told(part->kind))
        return;
    weir_json_write_object(writer);
    if (part->kind == WEIR_PART_TOOL_CALL)
        write_call(writer, part->id, part->name, part->arguments);
    else if (part->kind == WEIR_PART_IMAGE || part->kind == WEIR_PART_AUDIO || part->kind == WEIR_PART_DOCUMENT)
        write_media(writer, &part->media);
    else
        dialect__member_wire(writer, "text", weir_is_said(part->text) ? part->text : WEIR_SPAN(""));
    if (part->kind == WEIR_PART_THINKING)
        weir_json_member_bool(writer, "thought", true);
    write_signature(writer, exchange->arena, &part->signature);
    weir_json_write_end(writer);
}

static void write_token(struct weir_json_writer *writer, const struct weir_json_node *token) {
    const struct weir_json_node *number = weir_json_get(token, "logprob");
    weir_json_write_object(writer);
    dialect__member_wire(writer, "token", weir_json_inside(weir_json_get(token, "token")));
    if (weir_json_is(number, WEIR_JSON_NUMBER))
        dialect__member_json(writer, "logProbability", number->text);
    weir_json_write_end(writer);
}

/* From the shape of chat completions: {"content":[{"token","logprob","top_logprobs":[…]},…]}. */
static void write_logprobs(struct weir_json_writer *writer, struct weir_arena *arena, struct weir_span json) {
    struct weir_json_node *root;
    if (!weir_is_said(json) || weir_json_tree_read(arena, json, &root, NULL) != WEIR_OK)
        return;
    const struct weir_json_node *content = weir_json_get(root, "content");
    weir_json_write_name(writer, "logprobsResult");
    weir_json_write_object(writer);
    weir_json_write_name(writer, "topCandidates");
    weir_json_write_array(writer);
    for (const struct weir_json_node *token = weir_json_first(content); token != NULL; token = token->next) {
        weir_json_write_object(writer);
        weir_json_write_name(writer, "candidates");
        weir_json_write_array(writer);
        for (const struct weir_json_node *other = weir_json_first(weir_json_get(token, "top_logprobs")); other != NULL;
             other = other->next)
            write_token(writer, other);
        weir_json_write_end(writer);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    weir_json_write_name(writer, "chosenCandidates");
    weir_json_write_array(writer);
    for (const struct weir_json_node *token = weir_json_first(content); token != NULL; token = token->next)
        write_token(writer, token);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

static void write_names(struct weir_json_writer *writer, const struct weir_exchange *exchange, struct weir_span id) {
    weir_json_member_string(writer, "modelVersion", exchange->front_model);
    if (weir_is_said(id) && id.length > 0)
        dialect__member_wire(writer, "responseId", id);
    else
        dialect__member_id(writer, "responseId", "", exchange);
}

static void begin_content(struct weir_json_writer *writer) {
    weir_json_write_name(writer, "content");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "role", "model");
    weir_json_write_name(writer, "parts");
    weir_json_write_array(writer);
}

static void end_content(struct weir_json_writer *writer) {
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

/* --- whole answers --- */

static void write_reply(struct weir_exchange *exchange, const struct weir_reply *reply, bool estimated,
                        int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_write_name(&writer, "candidates");
    weir_json_write_array(&writer);
    for (const struct weir_choice *choice = reply->choices; choice != NULL; choice = choice->next) {
        weir_json_write_object(&writer);
        begin_content(&writer);
        for (const struct weir_part *part = choice->parts; part != NULL; part = part->next)
            write_part(&writer, exchange, part);
        end_content(&writer);
        weir_json_member_text(&writer, "finishReason", finish_name(choice->finish));
        dialect__member_wire(&writer, "finishMessage", choice->finish_text);
        weir_json_member_int64(&writer, "index", choice->index);
        write_logprobs(&writer, exchange->arena, choice->logprobs);
        weir_json_write_end(&writer);
    }
    weir_json_write_end(&writer);
    write_usage(&writer, &reply->usage, estimated, used_cu_milli);
    write_names(&writer, exchange, reply->id);
    weir_json_write_end(&writer);
}

/* --- streams --- */

struct piece {
    struct piece *next;
    struct weir_span text;
};
/* A part that is open. */
struct part {
    struct part *next;
    int64_t choice;
    size_t part;
    enum weir_part_kind kind;
    bool is_custom;
    struct weir_span id, name; /* of a call, as its arguments */
    struct piece *pieces, **last_piece;
    struct weir_signature signature;
};
struct choice {
    struct choice *next;
    int64_t index;
    enum weir_finish finish;
    struct weir_span finish_text;
};
struct stream {
    struct weir_exchange *exchange;
    struct part *parts;
    struct choice *choices, **last_choice;
    struct weir_span id;
    bool begun, failed;
};

static void *begin_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->exchange = exchange;
    stream->last_choice = &stream->choices;
    return stream;
}

static struct weir_span keep(struct stream *stream, struct weir_span text) {
    struct weir_span kept = WEIR_UNSAID;
    if (weir_is_said(text) && weir_arena_dup(stream->exchange->arena, text, &kept) != WEIR_OK)
        stream->failed = true;
    return kept;
}

/* `{` stays open. */
static void begin_piece(struct stream *stream, struct weir_json_writer *writer, struct weir_buffer *out) {
    if (stream->exchange->front_framing == WEIR_FRAMING_ARRAY)
        weir_buffer_append(out, stream->begun ? WEIR_SPAN(",\r\n") : WEIR_SPAN("["));
    else
        weir_buffer_append(out, WEIR_SPAN("data: "));
    stream->begun = true;
    weir_json_writer_init(writer, out);
    weir_json_write_object(writer);
}

static void end_piece(struct stream *stream, struct weir_json_writer *writer) {
    weir_json_write_end(writer);
    if (stream->exchange->front_framing != WEIR_FRAMING_ARRAY)
        weir_buffer_append(writer->out, WEIR_SPAN("\r\n\r\n"));
}

/* A candidate with the parts to come: `"parts":[` stays open. */
static void begin_candidate(struct stream *stream, struct weir_json_writer *writer, struct weir_buffer *out) {
    begin_piece(stream, writer, out);
    weir_json_write_name(writer, "candidates");
    weir_json_write_array(writer);
    weir_json_write_object(writer);
    begin_content(writer);
}

static void end_candidate(struct stream *stream, struct weir_json_writer *writer, int64_t index,
                          struct weir_span logprobs) {
    end_content(writer);
    weir_json_member_int64(writer, "index", index);
    write_logprobs(writer, stream->exchange->scratch, logprobs);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    write_names(writer, stream->exchange, stream->id);
    end_piece(stream, writer);
}

static struct part *find_part(const struct stream *stream, const struct weir_delta *delta) {
    struct part *part = stream->parts;
    while (part != NULL && (part->choice != delta->choice || part->part != delta->part))
        part = part->next;
    return part;
}

/* Most fronts' choices are one; those that have told nothing end, too. */
static struct choice *choice_of(struct stream *stream, int64_t index) {
    struct choice *choice = stream->choices;
    while (choice != NULL && choice->index != index)
        choice = choice->next;
    if (choice != NULL)
        return choice;
    choice = weir_arena_alloc(stream->exchange->arena, sizeof *choice);
    if (choice == NULL) {
        stream->failed = true;
        return NULL;
    }
    choice->index = index;
    *stream->last_choice = choice;
    stream->last_choice = &choice->next;
    return choice;
}

static struct weir_signature keep_signature(struct stream *stream, const struct weir_signature *signature) {
    struct weir_signature kept = *signature;
    kept.value = keep(stream, signature->value);
    kept.id = keep(stream, signature->id);
    return kept;
}

static void begin_part(struct stream *stream, const struct weir_delta *delta) {
    struct part *part = weir_arena_alloc(stream->exchange->arena, sizeof *part);
    (void)choice_of(stream, delta->choice);
    if (part == NULL) {
        stream->failed = true;
        return;
    }
    part->choice = delta->choice;
    part->part = delta->part;
    part->kind = delta->part_kind;
    part->is_custom = delta->is_custom;
    part->last_piece = &part->pieces;
    if (part->kind == WEIR_PART_TOOL_CALL) {
        part->id = keep(stream, delta->id);
        part->name = keep(stream, delta->name);
        if (weir_is_said(delta->signature.value))
            part->signature = keep_signature(stream, &delta->signature);
    }
    part->next = stream->parts;
    stream->parts = part;
}

static bool is_words(enum weir_part_kind kind) {
    return kind == WEIR_PART_TEXT || kind == WEIR_PART_THINKING || kind == WEIR_PART_REFUSAL;
}

static void write_words(struct stream *stream, const struct part *part, struct weir_span text,
                        const struct weir_signature *signature, struct weir_buffer *out) {
    struct weir_json_writer writer;
    begin_candidate(stream, &writer, out);
    weir_json_write_object(&writer);
    dialect__member_wire(&writer, "text", text);
    if (part->kind == WEIR_PART_THINKING)
        weir_json_member_bool(&writer, "thought", true);
    if (signature != NULL)
        write_signature(&writer, stream->exchange->scratch, signature);
    weir_json_write_end(&writer);
    end_candidate(stream, &writer, part->choice, WEIR_UNSAID);
}

static void take_text(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct part *part = find_part(stream, delta);
    if (part == NULL || delta->text.length == 0)
        return;
    if (is_words(part->kind)) {
        write_words(stream, part, delta->text, NULL, out);
        return;
    }
    struct piece *piece = part->kind == WEIR_PART_TOOL_CALL ? weir_arena_alloc(stream->exchange->arena, sizeof *piece)
                                                            : NULL;
    if (piece == NULL)
        return;
    piece->text = keep(stream, delta->text);
    *part->last_piece = piece;
    part->last_piece = &piece->next;
}

static void take_signature(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct part *part = find_part(stream, delta);
    if (part == NULL || !weir_is_said(delta->signature.value))
        return;
    if (is_words(part->kind))
        write_words(stream, part, WEIR_SPAN(""), &delta->signature, out);
    else
        part->signature = keep_signature(stream, &delta->signature);
}

static void write_whole_call(struct stream *stream, const struct part *part, struct weir_buffer *out) {
    struct weir_arena *scratch = stream->exchange->scratch;
    struct weir_json_writer writer;
    struct weir_span wire = WEIR_SPAN(""), arguments = WEIR_SPAN("{}");
    struct weir_buffer text;
    weir_buffer_init(&text, WEIR_MAX_TRANSLATED_BYTES);
    if (part->is_custom)
        weir_buffer_append_byte(&text, '"');
    for (const struct piece *piece = part->pieces; piece != NULL; piece = piece->next)
        weir_buffer_append(&text, piece->text);
    if (part->is_custom)
        weir_buffer_append_byte(&text, '"');
    if (weir_buffer_status(&text) != WEIR_OK || weir_arena_dup(scratch, weir_buffer_span(&text), &wire) != WEIR_OK)
        stream->failed = true;
    weir_buffer_release(&text);
    if (part->is_custom)
        arguments = wire;
    else if (weir_wire_json(scratch, wire, &arguments) != WEIR_OK)
        arguments = WEIR_SPAN("{}");
    begin_candidate(stream, &writer, out);
    weir_json_write_object(&writer);
    write_call(&writer, part->id, part->name, arguments);
    write_signature(&writer, scratch, &part->signature);
    weir_json_write_end(&writer);
    end_candidate(stream, &writer, part->choice, WEIR_UNSAID);
}

static void end_part(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct part *part = find_part(stream, delta), **link = &stream->parts;
    if (part == NULL)
        return;
    if (part->kind == WEIR_PART_TOOL_CALL)
        write_whole_call(stream, part, out);
    while (*link != part)
        link = &(*link)->next;
    *link = part->next;
}

static void take_logprobs(struct stream *stream, const struct weir_delta *delta, struct weir_buffer *out) {
    struct weir_json_writer writer;
    begin_candidate(stream, &writer, out);
    end_candidate(stream, &writer, delta->choice, delta->json);
}

static void take_finish(struct stream *stream, const struct weir_delta *delta) {
    struct choice *choice = choice_of(stream, delta->choice);
    if (choice == NULL)
        return;
    choice->finish = delta->finish;
    choice->finish_text = keep(stream, delta->finish_text);
}

static void write_delta(void *state, const struct weir_delta *delta, struct weir_buffer *out) {
    struct stream *stream = state;
    switch (delta->kind) {
    case WEIR_DELTA_BEGIN: stream->id = keep(stream, delta->id); break;
    case WEIR_DELTA_PART_BEGIN: begin_part(stream, delta); break;
    case WEIR_DELTA_TEXT: take_text(stream, delta, out); break;
    case WEIR_DELTA_SIGNATURE: take_signature(stream, delta, out); break;
    case WEIR_DELTA_LOGPROBS: take_logprobs(stream, delta, out); break;
    case WEIR_DELTA_PART_END: end_part(stream, delta, out); break;
    case WEIR_DELTA_FINISH: take_finish(stream, delta); break;
    case WEIR_DELTA_CITATION: /* another format's: the vendor's own come with its own answers */
    case WEIR_DELTA_USAGE:
    case WEIR_DELTA_END:
    case WEIR_DELTA_ERROR: break;
    }
}

static void end_stream(void *state, const struct weir_usage *usage, bool estimated, int64_t used_cu_milli,
                       struct weir_buffer *out) {
    struct stream *stream = state;
    struct weir_json_writer writer;
    (void)choice_of(stream, 0);
    begin_piece(stream, &writer, out);
    weir_json_write_name(&writer, "candidates");
    weir_json_write_array(&writer);
    for (const struct choice *choice = stream->choices; choice != NULL; choice = choice->next) {
        weir_json_write_object(&writer);
        begin_content(&writer);
        weir_json_write_raw(&writer, WEIR_SPAN("{\"text\":\"\"}"));
        end_content(&writer);
        weir_json_member_text(&writer, "finishReason", finish_name(choice->finish));
        dialect__member_wire(&writer, "finishMessage", choice->finish_text);
        weir_json_member_int64(&writer, "index", choice->index);
        weir_json_write_end(&writer);
    }
    weir_json_write_end(&writer);
    write_usage(&writer, usage, estimated, used_cu_milli);
    write_names(&writer, stream->exchange, stream->id);
    if (used_cu_milli >= 0)
        weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
    end_piece(stream, &writer);
    if (stream->exchange->front_framing == WEIR_FRAMING_ARRAY)
        weir_buffer_append(out, WEIR_SPAN("]"));
}

/* --- vectors and counts --- */

static void write_vector(struct weir_json_writer *writer, const struct weir_vector *vector) {
    weir_json_write_object(writer);
    dialect__member_json(writer, "values",
                         vector != NULL && weir_is_said(vector->numbers) ? vector->numbers : WEIR_SPAN("[]"));
    weir_json_write_end(writer);
}

static void write_vectors(struct weir_exchange *exchange, const struct weir_vectors_call *call,
                          const struct weir_vectors_reply *reply, int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    (void)exchange;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    if (call->is_single) {
        weir_json_write_name(&writer, "embedding");
        write_vector(&writer, reply->vectors);
    } else {
        weir_json_write_name(&writer, "embeddings");
        weir_json_write_array(&writer);
        for (const struct weir_vector *vector = reply->vectors; vector != NULL; vector = vector->next)
            write_vector(&writer, vector);
        weir_json_write_end(&writer);
    }
    write_usage(&writer, &reply->usage, !reply->has_usage, used_cu_milli);
    weir_json_write_end(&writer);
}

static void write_count(struct weir_exchange *exchange, int64_t tokens, int64_t used_cu_milli,
                        struct weir_buffer *out) {
    struct weir_json_writer writer;
    (void)exchange;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_int64(&writer, "totalTokens", tokens);
    if (used_cu_milli > 0)
        weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(&writer);
}

const struct weir_front weir_front_gemini = {
    .read_prompt = dialect__gemini_read_prompt,
    .write_reply = write_reply,
    .begin_stream = begin_stream,
    .write_delta = write_delta,
    .end_stream = end_stream,
    .framing = WEIR_FRAMING_EVENTS,
    .read_vectors_call = dialect__gemini_read_vectors_call,
    .write_vectors = write_vectors,
    .write_count = write_count,
};

/* Clients of the older completions, to providers that do not have them: a prompt is a user's message, the answer's text what the model says to it. */
#include "dialect/chat_codec.h"

static enum weir_status read_prompt_text(struct dialect__reading *reading, const struct weir_json_node *prompt) {
    const struct weir_json_node *text = prompt;
    if (prompt->kind == WEIR_JSON_ARRAY && prompt->count == 1)
        text = prompt->first;
    if (text->kind == WEIR_JSON_ARRAY || text->kind == WEIR_JSON_NUMBER)
        return dialect__cannot_send(reading->problem, "prompt", "several prompts, or one in tokens,",
                                    WEIR_DIALECT_ANTHROPIC);
    if (text->kind != WEIR_JSON_STRING)
        return dialect__must_be(reading, "prompt", "a string", text);
    struct weir_turn *turn = weir_prompt_add_turn(reading->exchange->arena, reading->prompt, WEIR_TURN_USER);
    struct weir_part *part = turn != NULL ? weir_part_add(reading->exchange->arena, &turn->parts, WEIR_PART_TEXT)
                                          : NULL;
    if (part == NULL)
        return WEIR_ENOMEM;
    part->text = weir_json_inside(text);
    return WEIR_OK;
}

static enum weir_status forget(struct dialect__reading *reading, enum weir_parameter parameter, bool is_default) {
    if (is_default)
        reading->prompt->values[parameter] = WEIR_UNSAID;
    return WEIR_OK;
}

static enum weir_status read_n(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, WEIR_PARAMETER_N, dialect__number(value, 0) == 1);
}

static enum weir_status read_best_of(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, WEIR_PARAMETER_BEST_OF, dialect__number(value, 0) == 1);
}

static enum weir_status read_echo(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, WEIR_PARAMETER_ECHO, value->kind == WEIR_JSON_FALSE);
}

static enum weir_status read_bias(struct dialect__reading *reading, const struct weir_json_node *value) {
    return forget(reading, WEIR_PARAMETER_LOGIT_BIAS, value->count == 0);
}

static enum weir_status read_stream(struct dialect__reading *reading, const struct weir_json_node *value) {
    reading->prompt->stream = value->kind == WEIR_JSON_TRUE;
    return WEIR_OK;
}

static enum weir_status read_limit(struct dialect__reading *reading, const struct weir_json_node *value) {
    return dialect__take_count(reading, value, "max_tokens", 1, &reading->prompt->max_output_tokens);
}

#define ROW(member, parameter, function) \
    { member, WEIR_PARAMETER_##parameter, function }
static enum weir_status read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                    struct weir_prompt *prompt, struct weir_call_problem *problem) {
    static const struct dialect__member members[] = {
        ROW("model", MODEL, NULL),
        ROW("prompt", MESSAGES, read_prompt_text),
        ROW("stream", STREAM, read_stream),
        ROW("stream_options", STREAM_OPTIONS, NULL),
        ROW("max_tokens", MAX_OUTPUT_TOKENS, read_limit),
        ROW("temperature", TEMPERATURE, NULL),
        ROW("top_p", TOP_P, NULL),
        ROW("n", N, read_n),
        ROW("best_of", BEST_OF, read_best_of),
        ROW("echo", ECHO, read_echo),
        ROW("suffix", SUFFIX, NULL),
        ROW("stop", STOP, dialect__read_stop),
        ROW("seed", SEED, NULL),
        ROW("frequency_penalty", FREQUENCY_PENALTY, NULL),
        ROW("presence_penalty", PRESENCE_PENALTY, NULL),
        ROW("logit_bias", LOGIT_BIAS, read_bias),
        ROW("logprobs", LOGPROBS, NULL),
        ROW("user", USER, NULL),
    };
    struct dialect__reading reading = {.exchange = exchange, .prompt = prompt, .problem = problem};
    prompt->wants_usage = exchange->wants_usage;
    return dialect__read_members(&reading, root, "", members, sizeof members / sizeof *members);
}

static void write_begin(struct weir_json_writer *writer, const struct weir_exchange *exchange) {
    weir_json_write_object(writer);
    dialect__member_id(writer, "id", "cmpl-", exchange);
    weir_json_member_text(writer, "object", "text_completion");
    weir_json_member_int64(writer, "created", exchange->created_utc_us / 1000000);
    weir_json_member_string(writer, "model", exchange->front_model);
    weir_json_write_name(writer, "choices");
    weir_json_write_array(writer);
}

static void write_choice(struct weir_json_writer *writer, int64_t index, struct weir_span text, const char *finish) {
    weir_json_write_object(writer);
    dialect__member_wire(writer, "text", weir_is_said(text) ? text : WEIR_SPAN(""));
    weir_json_member_int64(writer, "index", index);
    weir_json_member_text(writer, "logprobs", NULL);
    weir_json_member_text(writer, "finish_reason", finish);
    weir_json_write_end(writer);
}

/* A text has no calls to end with. */
static const char *finish_name(enum weir_finish finish) {
    return finish == WEIR_FINISH_TOOL ? "stop" : dialect__chat_finish_name(finish);
}

static void write_reply(struct weir_exchange *exchange, const struct weir_reply *reply, bool estimated,
                        int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    write_begin(&writer, exchange);
    for (const struct weir_choice *choice = reply->choices; choice != NULL; choice = choice->next)
        write_choice(&writer, choice->index,
                     dialect__join_texts(exchange->arena, choice->parts, WEIR_PART_TEXT, WEIR_SPAN("")),
                     finish_name(choice->finish));
    weir_json_write_end(&writer);
    weir_json_write_name(&writer, "usage");
    dialect__write_chat_usage(&writer, &reply->usage, estimated, used_cu_milli);
    weir_json_write_end(&writer);
}

/* --- streams --- */

struct ended {
    struct ended *next;
    int64_t choice;
    enum weir_finish finish;
};
struct stream {
    struct weir_exchange *exchange;
    struct ended *ended;
};

static void *begin_stream(struct weir_exchange *exchange) {
    struct stream *stream = weir_arena_alloc(exchange->arena, sizeof *stream);
    if (stream != NULL)
        stream->exchange = exchange;
    return stream;
}

static void end_chunk(struct stream *stream, struct weir_json_writer *writer, int64_t used_cu_milli) {
    weir_json_write_end(writer);
    if (stream->exchange->wants_usage)
        weir_json_member_text(writer, "usage", NULL);
    if (used_cu_milli >= 0)
        weir_json_member_int64(writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(writer);
    weir_buffer_append(writer->out, WEIR_SPAN("\n\n"));
}

static void write_chunk(struct stream *stream, int64_t choice, struct weir_span text, const char *finish,
                        int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_buffer_append(out, WEIR_SPAN("data: "));
    weir_json_writer_init(&writer, out);
    write_begin(&writer, stream->exchange);
    write_choice(&writer, choice, text, finish);
    end_chunk(stream, &writer, used_cu_milli);
}

static void write_delta(void *state, const struct weir_delta *delta, struct weir_buffer *out) {
    struct stream *stream = state;
    if (delta->kind == WEIR_DELTA_TEXT && delta->part_kind == WEIR_PART_TEXT && delta->text.length > 0)
        write_chunk(stream, delta->choice, delta->text, NULL, -1, out);
    if (delta->kind != WEIR_DELTA_FINISH)
        return;
    struct ended *ended = weir_arena_alloc(stream->exchange->arena, sizeof *ended);
    if (ended == NULL)
        return;
    *ended = (struct ended){.next = stream->ended, .choice = delta->choice, .finish = delta->finish};
    stream->ended = ended;
}

static void end_stream(void *state, const struct weir_usage *usage, bool estimated, int64_t used_cu_milli,
                       struct weir_buffer *out) {
    struct stream *stream = state;
    struct weir_json_writer writer;
    bool wants_usage = stream->exchange->wants_usage;
    for (const struct ended *ended = stream->ended; ended != NULL; ended = ended->next)
        write_chunk(stream, ended->choice, WEIR_UNSAID, finish_name(ended->finish),
                    ended->next == NULL && !wants_usage ? used_cu_milli : -1, out);
    if (wants_usage) {
        weir_buffer_append(out, WEIR_SPAN("data: "));
        weir_json_writer_init(&writer, out);
        write_begin(&writer, stream->exchange);
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

const struct weir_front weir_front_completions = {
    .read_prompt = read_prompt,
    .write_reply = write_reply,
    .begin_stream = begin_stream,
    .write_delta = write_delta,
    .end_stream = end_stream,
    .framing = WEIR_FRAMING_EVENTS,
};

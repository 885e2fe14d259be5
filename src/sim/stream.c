/* See stream.h. Units are numbered: n roles, n * longest tokens, n finishes, usage, [DONE]. A choice that is shorter
 * than the longest has units that are empty. */
#include "sim/stream.h"

#include "json/write.h"

/* A comment goes before every so many units. */
enum { COMMENT_EVERY = 4 };

static size_t token_units(const struct sim_stream *stream) {
    return stream->chat->n * stream->chat->longest;
}

enum weir_status sim__stream_init(struct weir_arena *arena, const struct sim_chat *chat,
                                  const struct sim_answer_facts *facts, const struct sim_wishes *wishes, bool no_done,
                                  struct sim_stream *stream) {
    const char *line_end = wishes->crlf ? "\r\n" : "\n";
    /* A line break is white space to JSON, so that several data lines can carry one object. */
    char *prefix = weir_arena_format(
        arena,
        "data: {\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":%.*s,%s%s"
        "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_weir_sim\",\"choices\":[",
        facts->id, (long long)facts->created_s, WEIR_SPAN_PRINT(chat->model_json), wishes->multiline ? line_end : "",
        wishes->multiline ? "data: " : "");
    if (prefix == NULL) {
        return WEIR_ENOMEM;
    }
    bool has_usage = chat->include_usage && !facts->no_usage;
    *stream = (struct sim_stream){
        .chat = chat,
        .prefix = weir_span_of_string(prefix),
        .tail = has_usage ? WEIR_SPAN("],\"usage\":null") : WEIR_SPAN("]"),
        .blank = wishes->crlf ? WEIR_SPAN("\r\n\r\n") : WEIR_SPAN("\n\n"),
        .served = facts->served,
        .usage_percent = facts->usage_percent,
        .comments = wishes->comments,
        .has_usage = has_usage,
        .has_done = !no_done,
    };
    stream->units = 2 * chat->n + token_units(stream) + (has_usage ? 1 : 0) + (no_done ? 0 : 1);
    return WEIR_OK;
}

static void begin_choice(const struct sim_stream *stream, size_t choice, struct weir_buffer *out) {
    weir_buffer_append(out, stream->prefix);
    weir_buffer_append(out, WEIR_SPAN("{\"index\":"));
    weir_buffer_append_uint64(out, choice);
    weir_buffer_append(out, WEIR_SPAN(",\"delta\":{"));
}

static void end_choice(const struct sim_stream *stream, const char *finish_reason, struct weir_buffer *out) {
    if (finish_reason == NULL) {
        weir_buffer_append(out, WEIR_SPAN(",\"finish_reason\":null}"));
    } else {
        weir_buffer_append(out, WEIR_SPAN(",\"finish_reason\":\""));
        weir_buffer_append(out, weir_span_of_string(finish_reason));
        weir_buffer_append(out, WEIR_SPAN("\"}"));
    }
    weir_buffer_append(out, stream->tail);
}

static void end_event(const struct sim_stream *stream, struct weir_buffer *out) {
    weir_buffer_append_byte(out, '}');
    weir_buffer_append(out, stream->blank);
}

static void write_role(const struct sim_stream *stream, size_t choice, struct weir_buffer *out) {
    const struct sim_chat *chat = stream->chat;
    begin_choice(stream, choice, out);
    weir_buffer_append(out, WEIR_SPAN("\"role\":\"assistant\",\"content\":"));
    weir_buffer_append(out, chat->tools != NULL || chat->refusing || chat->thoughts.count > 0 ? WEIR_SPAN("null")
                                                                                              : WEIR_SPAN("\"\""));
    weir_buffer_append(out, WEIR_SPAN(",\"refusal\":null},\"logprobs\":null"));
    end_choice(stream, NULL, out);
    if (choice == 0) {
        weir_buffer_append(out, WEIR_SPAN(",\"x_sim\":{\"served\":"));
        weir_buffer_append_uint64(out, stream->served);
        weir_buffer_append_byte(out, '}');
        if (!weir_span_is_empty(chat->echo)) {
            weir_buffer_append(out, WEIR_SPAN(",\"x_sim_echo\":"));
            weir_buffer_append(out, chat->echo);
        }
    }
    end_event(stream, out);
}

static void write_tool_step(const struct sim_chat *chat, size_t token, struct weir_buffer *out) {
    const struct sim_tool_step *step = &chat->steps[token];
    const struct sim_tool_call *call = &chat->tools[step->call];
    weir_buffer_printf(out, "\"tool_calls\":[{\"index\":%u,", step->call);
    if (step->token == 0) {
        weir_buffer_printf(out, "\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", call->id);
        weir_json_append_string(out, call->name);
        weir_buffer_append(out, WEIR_SPAN(",\"arguments\":\"\""));
    } else {
        weir_buffer_append(out, WEIR_SPAN("\"function\":{\"arguments\":"));
        weir_json_append_string(out, sim__text_token(&call->arguments, step->token - 1));
    }
    weir_buffer_append(out, WEIR_SPAN("}}]},\"logprobs\":null"));
}

static void write_token(const struct sim_stream *stream, size_t choice, size_t token, struct weir_buffer *out) {
    const struct sim_chat *chat = stream->chat;
    const struct sim_text *text = &chat->choices[choice].text;
    size_t thoughts = chat->thoughts.count;
    if (token >= thoughts + text->count) {
        return;
    }
    begin_choice(stream, choice, out);
    if (token < thoughts) {
        weir_buffer_printf(out, "\"content\":null,\"%s\":", chat->reasoning_name);
        sim__text_write_token(&chat->thoughts, token, out);
        weir_buffer_append(out, WEIR_SPAN("},\"logprobs\":null"));
        end_choice(stream, NULL, out);
        end_event(stream, out);
        return;
    }
    token -= thoughts;
    if (chat->tools != NULL) {
        write_tool_step(chat, token, out);
    } else {
        weir_buffer_append(out, chat->refusing ? WEIR_SPAN("\"refusal\":") : WEIR_SPAN("\"content\":"));
        sim__text_write_token(text, token, out);
        weir_buffer_append(out, WEIR_SPAN("},\"logprobs\":"));
        sim__answer_logprobs(chat, choice, token, 1, out);
    }
    end_choice(stream, NULL, out);
    end_event(stream, out);
}

static void write_usage(const struct sim_stream *stream, struct weir_buffer *out) {
    weir_buffer_append(out, stream->prefix);
    weir_buffer_append(out, WEIR_SPAN("],\"usage\":"));
    sim__answer_usage(stream->chat, stream->usage_percent, out);
    end_event(stream, out);
}

void sim__stream_unit(const struct sim_stream *stream, size_t index, struct weir_buffer *out) {
    const struct sim_chat *chat = stream->chat;
    if (stream->comments && index % COMMENT_EVERY == 0) {
        weir_buffer_append(out, WEIR_SPAN(": ping"));
        weir_buffer_append(out, stream->blank);
    }
    if (index < chat->n) {
        write_role(stream, index, out);
        return;
    }
    index -= chat->n;
    if (index < token_units(stream)) {
        write_token(stream, index % chat->n, index / chat->n, out);
        return;
    }
    index -= token_units(stream);
    if (index < chat->n) {
        begin_choice(stream, index, out);
        weir_buffer_append(out, WEIR_SPAN("},\"logprobs\":null"));
        end_choice(stream, chat->choices[index].finish_reason, out);
        end_event(stream, out);
    } else if (stream->has_usage && index == chat->n) {
        write_usage(stream, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("data: [DONE]"));
        weir_buffer_append(out, stream->blank);
    }
}

size_t sim__stream_unit_of_token(const struct sim_stream *stream, size_t tokens) {
    size_t all = token_units(stream);
    return stream->chat->n + (tokens < all ? tokens : all);
}

size_t sim__stream_steps_before(const struct sim_stream *stream, size_t index) {
    size_t all = token_units(stream);
    size_t step = index < stream->chat->n ? 0 : index - stream->chat->n;
    return step < all ? step : all > 0 ? all - 1 : 0;
}

int64_t sim__stream_tokens_out(const struct sim_stream *stream, size_t index) {
    const struct sim_chat *chat = stream->chat;
    size_t all = token_units(stream);
    size_t done = index < chat->n ? 0 : index - chat->n;
    if (index > chat->n && chat->longest == 0) {
        return chat->reasoning_tokens;
    }
    done = done < all ? done : all;
    return done == 0 ? 0 : sim__chat_tokens_out(chat, done / chat->n, done % chat->n);
}

void sim__stream_error(const struct sim_stream *stream, struct weir_buffer *out) {
    struct sim_refusal refusal;
    sim__answer_status_refusal(500, NULL, &refusal);
    weir_buffer_append(out, WEIR_SPAN("data: "));
    sim__answer_error(&refusal, out);
    weir_buffer_append(out, stream->blank);
}

void sim__stream_broken(const struct sim_stream *stream, struct weir_buffer *out) {
    weir_buffer_append(out, stream->prefix);
    weir_buffer_append(out, WEIR_SPAN("{\"index\":0,\"delta\":{\"content\":\"bro"));
    weir_buffer_append(out, stream->blank);
}

/* --- as steps --- */

static void steps_write(const void *what, size_t index, struct weir_buffer *out) {
    sim__stream_unit(what, index, out);
}

static size_t steps_of_token(const void *what, size_t tokens) {
    return sim__stream_unit_of_token(what, tokens);
}

static size_t steps_beats_before(const void *what, size_t index) {
    return sim__stream_steps_before(what, index);
}

static int64_t steps_tokens_out(const void *what, size_t index) {
    return sim__stream_tokens_out(what, index);
}

static void steps_error(const void *what, struct weir_buffer *out) {
    sim__stream_error(what, out);
}

static void steps_broken(const void *what, struct weir_buffer *out) {
    sim__stream_broken(what, out);
}

static const struct sim_steps_kind stream_kind = {
    .write = steps_write,
    .of_token = steps_of_token,
    .beats_before = steps_beats_before,
    .tokens_out = steps_tokens_out,
    .error = steps_error,
    .broken = steps_broken,
};

struct sim_steps sim__stream_steps(const struct sim_stream *stream) {
    return (struct sim_steps){
        .kind = &stream_kind,
        .what = stream,
        .count = stream->units,
        .tokens = token_units(stream),
        .framing = SIM_FRAMING_EVENTS,
    };
}

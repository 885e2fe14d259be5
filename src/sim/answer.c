/* See answer.h. Written by hand instead of through a writer: an answer is the same few literals every time. */
#include "sim/answer.h"

#include "json/write.h"
#include "sim/fault.h"

enum { MODELS_CREATED_S = 1767225600 };

static void number(struct weir_buffer *out, struct weir_span name, int64_t value) {
    weir_buffer_append(out, name);
    weir_buffer_append_int64(out, value);
}

void sim__answer_usage(const struct sim_chat *chat, int64_t percent, struct weir_buffer *out) {
    int64_t prompt = sim__percent_of(chat->prompt_tokens, percent);
    int64_t completion = sim__percent_of(chat->completion_tokens, percent);
    number(out, WEIR_SPAN("{\"prompt_tokens\":"), prompt);
    number(out, WEIR_SPAN(",\"completion_tokens\":"), completion);
    number(out, WEIR_SPAN(",\"total_tokens\":"), prompt + completion);
    number(out, WEIR_SPAN(",\"prompt_tokens_details\":{\"cached_tokens\":"),
           sim__percent_of(chat->cached_tokens, percent));
    weir_buffer_append(out, WEIR_SPAN(",\"audio_tokens\":0},"));
    number(out, WEIR_SPAN("\"completion_tokens_details\":{\"reasoning_tokens\":"),
           sim__percent_of(chat->reasoning_tokens, percent));
    weir_buffer_append(out,
                       WEIR_SPAN(
                           ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}"));
}

/* {"token","logprob","bytes"} and not yet the closing brace */
static void write_token(struct weir_span token, unsigned rank, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"token\":"));
    weir_json_append_string(out, token);
    weir_buffer_printf(out, ",\"logprob\":-%u.%02u,\"bytes\":[", rank, 5 + (unsigned)(token.length % 10));
    for (size_t i = 0; i < token.length; i++) {
        if (i > 0) {
            weir_buffer_append_byte(out, ',');
        }
        weir_buffer_append_uint64(out, (unsigned char)token.at[i]);
    }
    weir_buffer_append_byte(out, ']');
}

void sim__answer_logprobs(const struct sim_chat *chat, size_t choice, size_t from, size_t count,
                          struct weir_buffer *out) {
    if (!chat->logprobs || chat->tools != NULL) {
        weir_buffer_append(out, WEIR_SPAN("null"));
        return;
    }
    weir_buffer_append(out,
                       chat->refusing ? WEIR_SPAN("{\"content\":null,\"refusal\":[") : WEIR_SPAN("{\"content\":["));
    for (size_t i = from; i < from + count; i++) {
        struct weir_span token = sim__text_token(&chat->choices[choice].text, i);
        if (i > from) {
            weir_buffer_append_byte(out, ',');
        }
        write_token(token, 0, out);
        weir_buffer_append(out, WEIR_SPAN(",\"top_logprobs\":["));
        struct sim_text others = sim__text_words(sim__mix(i), chat->top_logprobs + 1U);
        for (unsigned rank = 0; rank < chat->top_logprobs; rank++) {
            if (rank > 0) {
                weir_buffer_append_byte(out, ',');
            }
            write_token(rank == 0 ? token : sim__text_token(&others, rank), rank, out);
            weir_buffer_append_byte(out, '}');
        }
        weir_buffer_append(out, WEIR_SPAN("]}"));
    }
    weir_buffer_append(out, chat->refusing ? WEIR_SPAN("]}") : WEIR_SPAN("],\"refusal\":null}"));
}

static void write_tool_calls(const struct sim_chat *chat, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("null,\"tool_calls\":["));
    /* A limit may end an answer before its second call. */
    for (size_t i = 0; i < chat->tool_count && chat->tools[i].begun; i++) {
        const struct sim_tool_call *call = &chat->tools[i];
        struct sim_text shown = call->arguments;
        shown.count = call->shown;
        weir_buffer_printf(out, "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":", i > 0 ? "," : "",
                           call->id);
        weir_json_append_string(out, call->name);
        weir_buffer_append(out, WEIR_SPAN(",\"arguments\":"));
        sim__text_write(&shown, out);
        weir_buffer_append(out, WEIR_SPAN("}}"));
    }
    weir_buffer_append_byte(out, ']');
}

/* From the value of `content` on. */
static void write_message(const struct sim_chat *chat, const struct sim_choice *choice, struct weir_buffer *out) {
    if (chat->tools != NULL) {
        write_tool_calls(chat, out);
    } else if (chat->refusing) {
        weir_buffer_append(out, WEIR_SPAN("null"));
    } else {
        sim__text_write(&choice->text, out);
    }
    if (chat->thoughts.count > 0) {
        weir_buffer_printf(out, ",\"%s\":", chat->reasoning_name);
        sim__text_write(&chat->thoughts, out);
    }
    weir_buffer_append(out, WEIR_SPAN(",\"refusal\":"));
    if (chat->refusing && chat->tools == NULL) {
        sim__text_write(&choice->text, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("null"));
    }
}

void sim__answer_write(const struct sim_chat *chat, const struct sim_answer_facts *facts, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"id\":\""));
    weir_buffer_append(out, weir_span_of_string(facts->id));
    number(out, WEIR_SPAN("\",\"object\":\"chat.completion\",\"created\":"), facts->created_s);
    weir_buffer_append(out, WEIR_SPAN(",\"model\":"));
    weir_buffer_append(out, chat->model_json);
    weir_buffer_append(out, WEIR_SPAN(",\"choices\":["));
    for (size_t i = 0; i < chat->n; i++) {
        const struct sim_choice *choice = &chat->choices[i];
        number(out, i > 0 ? WEIR_SPAN(",{\"index\":") : WEIR_SPAN("{\"index\":"), (int64_t)i);
        weir_buffer_append(out, WEIR_SPAN(",\"message\":{\"role\":\"assistant\",\"content\":"));
        write_message(chat, choice, out);
        weir_buffer_append(out, WEIR_SPAN(",\"annotations\":[]},\"logprobs\":"));
        sim__answer_logprobs(chat, i, 0, choice->text.count, out);
        weir_buffer_append(out, WEIR_SPAN(",\"finish_reason\":\""));
        weir_buffer_append(out, weir_span_of_string(choice->finish_reason));
        weir_buffer_append(out, WEIR_SPAN("\"}"));
    }
    weir_buffer_append_byte(out, ']');
    if (!facts->no_usage) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        sim__answer_usage(chat, facts->usage_percent, out);
    }
    number(out,
           WEIR_SPAN(",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_weir_sim\",\"x_sim\":{\"served\":"),
           (int64_t)facts->served);
    weir_buffer_append_byte(out, '}');
    if (!weir_span_is_empty(chat->echo)) {
        weir_buffer_append(out, WEIR_SPAN(",\"x_sim_echo\":"));
        weir_buffer_append(out, chat->echo);
    }
    weir_buffer_append_byte(out, '}');
}

static void write_nullable(const char *text, struct weir_buffer *out) {
    if (text == NULL) {
        weir_buffer_append(out, WEIR_SPAN("null"));
    } else {
        weir_json_append_string(out, weir_span_of_string(text));
    }
}

void sim__answer_error(const struct sim_refusal *refusal, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"error\":{\"message\":"));
    weir_json_append_string(out, weir_span_of_string(refusal->message));
    weir_buffer_append(out, WEIR_SPAN(",\"type\":"));
    write_nullable(refusal->type, out);
    weir_buffer_append(out, WEIR_SPAN(",\"param\":"));
    write_nullable(refusal->param, out);
    weir_buffer_append(out, WEIR_SPAN(",\"code\":"));
    write_nullable(refusal->code, out);
    weir_buffer_append(out, WEIR_SPAN("}}"));
}

void sim__answer_status_refusal(unsigned status, const char *code, struct sim_refusal *refusal) {
    static const struct {
        unsigned status;
        const char *type;
        const char *code;
        const char *message;
    } known[] = {
        {400, "invalid_request_error", NULL, "The request is invalid."},
        {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
        {403, "invalid_request_error", "unsupported_country_region_territory", "This is not permitted."},
        {404, "invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."},
        {408, "server_error", NULL, "The request timed out."},
        {409, "invalid_request_error", NULL, "The resource was changed by another request."},
        {413, "invalid_request_error", NULL, "The request is too large."},
        {429, "requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again later."},
        {500, "server_error", NULL, "The server had an error while processing your request. Sorry about that!"},
        {502, "server_error", NULL, "Bad gateway."},
        {503, "server_error", NULL, "The engine is currently overloaded, please try again later."},
        {504, "server_error", NULL, "Gateway timeout."},
    };
    const char *message = "A fault was asked for.";
    *refusal = (struct sim_refusal){.status = status, .type = status < 500 ? "invalid_request_error" : "server_error"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].status == status) {
            refusal->type = known[i].type;
            refusal->code = known[i].code;
            message = known[i].message;
        }
    }
    if (code != NULL) {
        refusal->code = code;
        if (strcmp(code, "insufficient_quota") == 0) {
            refusal->type = code; /* a quota is the one 429 that repeating cannot help, and is told apart by both */
        }
    }
    (void)snprintf(refusal->message, sizeof refusal->message, "%s", message);
}

void sim__answer_model(struct weir_span id, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"id\":"));
    weir_json_append_string(out, id);
    weir_buffer_printf(out, ",\"object\":\"model\",\"created\":%d,\"owned_by\":\"weir-sim\"}", MODELS_CREATED_S);
}

void sim__answer_models(struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"object\":\"list\",\"data\":["));
    sim__answer_model(WEIR_SPAN("sim-small"), out);
    weir_buffer_append_byte(out, ',');
    sim__answer_model(WEIR_SPAN("sim-large"), out);
    weir_buffer_append_byte(out, ',');
    sim__answer_model(WEIR_SPAN("sim-reasoner"), out);
    weir_buffer_append(out, WEIR_SPAN("]}"));
}

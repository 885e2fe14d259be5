/* The JSON of answers: whole completions, usage, errors, lists of models. Bytes out, no sockets. */
#ifndef WEIR_SIM_ANSWER_H
#define WEIR_SIM_ANSWER_H

#include "sim/chat.h"
#include "base/buffer.h"

/* What is said about an answer besides its content. */
struct sim_answer_facts {
    const char *id; /* "chatcmpl-…" */
    int64_t created_s;
    uint64_t served;       /* x_sim.served */
    int64_t usage_percent; /* of the truth, rounded down */
    bool no_usage;
};

void sim__answer_write(const struct sim_chat *chat, const struct sim_answer_facts *facts, struct weir_buffer *out);
/* {"prompt_tokens":…}, the object alone */
void sim__answer_usage(const struct sim_chat *chat, int64_t percent, struct weir_buffer *out);
/* {"content":[…],"refusal":null} for `count` tokens from `from` on, or null where none are asked for. */
void sim__answer_logprobs(const struct sim_chat *chat, size_t choice, size_t from, size_t count,
                          struct weir_buffer *out);
void sim__answer_error(const struct sim_refusal *refusal, struct weir_buffer *out);
/* The error that OpenAI gives with a status; `code` may be NULL for the usual one. */
void sim__answer_status_refusal(unsigned status, const char *code, struct sim_refusal *refusal);
void sim__answer_models(struct weir_buffer *out);
void sim__answer_model(struct weir_span id, struct weir_buffer *out);

#endif

/* A chat completion request, read, and the answer to it, decided: texts, tool calls, token counts, reasons to end.
 *
 * Nothing of an answer depends on anything but the request, save what a real provider would remember too: prompts that
 * have been seen before are partly cached.
 */
#ifndef WEIR_SIM_CHAT_H
#define WEIR_SIM_CHAT_H

#include "sim/input.h"
#include "sim/text.h"

/* What a client asks of the simulator itself, by x-sim-… fields; the command line gives the defaults. */
struct sim_wishes {
    int64_t first_token_ms;
    int64_t tokens_per_second; /* 0: all at once */
    int64_t tokens;            /* length of an answer */
    int64_t bytes;             /* size of a picture; 0: as it comes */
    int64_t split;             /* write in pieces of so many bytes; 0: no */
    bool crlf;
    bool comments;
    bool multiline;
    bool echo;
    struct weir_span script; /* the answer, word by word: see scripted.h */
    bool sequential;         /* parallel tool calls one after the other instead of interleaved */
};

struct sim_choice {
    struct sim_text text;
    const char *finish_reason;
};

struct sim_tool_call {
    struct weir_span name; /* decoded */
    struct sim_text arguments;
    bool begun;   /* the limit leaves at least its head */
    size_t shown; /* tokens of the arguments that the limit leaves */
    char id[32];
};

/* One step of tool calls in the order in which they are streamed: the call's head (token 0) or a token of its
 * arguments. */
struct sim_tool_step {
    unsigned call;
    size_t token;
};

struct sim_chat {
    struct weir_span model;      /* decoded */
    struct weir_span model_json; /* with quotes */
    struct weir_span echo;       /* unknown fields as a JSON object; empty: not asked for */
    bool stream;
    bool include_usage;
    bool logprobs;
    unsigned top_logprobs;
    size_t n; /* choices */
    struct sim_choice *choices;
    struct sim_tool_call *tools; /* the same in every choice; NULL: text */
    size_t tool_count;
    struct sim_tool_step *steps;
    const char *reasoning_name; /* the member that thoughts are told in, as others than OpenAI do; NULL: they are not */
    struct sim_text thoughts;   /* the same in every choice, before its text */
    bool refusing;              /* the text is a refusal */
    size_t longest;             /* tokens of the longest choice, thoughts that are told included */
    int64_t token_weight;       /* tokens that one piece counts as (more than 1 for huge answers alone) */
    int64_t prompt_tokens;
    int64_t cached_tokens;
    int64_t reasoning_tokens;  /* of all choices */
    int64_t completion_tokens; /* of all choices, reasoning included */
};

/* The prompts that were seen: a fixed table in which a new one takes an older one's place. */
struct sim_memory {
    uint64_t seen[4096];
};

/* Remembers a prompt, and tells how many of its tokens were in the cache: three quarters of a prompt that is repeated, and of any
 * prompt of a model whose name says so. */
int64_t sim__memory_cached(struct sim_memory *memory, uint64_t hash, struct weir_span model, int64_t prompt_tokens);

/* The same table asked and told apart, for who remembers other things than whole prompts. */
bool sim__memory_has(const struct sim_memory *memory, uint64_t hash);
void sim__memory_keep(struct sim_memory *memory, uint64_t hash);

/* Reads `body` and decides the answer. All of *chat lives in `arena`; `scratch` is used meanwhile and may be reset
 * afterwards. `huge_bytes` > 0 makes the answer's text that long. WEIR_EINVAL: *refusal tells, and chat->model is set
 * where the request names one; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__chat_read(struct weir_arena *arena, struct weir_arena *scratch, struct weir_span body,
                                          const struct sim_wishes *wishes, int64_t huge_bytes,
                                          struct sim_memory *memory, struct sim_chat *chat,
                                          struct sim_refusal *refusal);
/* Tokens of all choices that have gone out when the first `pieces` pieces of each have, and `more` choices one piece
 * more; reasoning is counted from the first piece on. */
int64_t sim__chat_tokens_out(const struct sim_chat *chat, size_t pieces, size_t more);

#endif

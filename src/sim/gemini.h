/* The Gemini API as the simulator plays it: a request, read and checked, the answer to it, decided, and how both are written.
 *
 * Nothing of an answer depends on anything but the request, as with chat completions. What a model that reasons signs, it can check
 * later without having kept it: a signature is made from what it stands with.
 */
#ifndef WEIR_SIM_GEMINI_H
#define WEIR_SIM_GEMINI_H

#include "sim/gemini_fields.h"
#include "sim/task.h"

enum sim_modality {
    SIM_MODALITY_TEXT,
    SIM_MODALITY_IMAGE,
    SIM_MODALITY_VIDEO,
    SIM_MODALITY_AUDIO,
    SIM_MODALITY_DOCUMENT,
    SIM_MODALITIES
};

enum sim_gemini_part_kind { SIM_GEMINI_TEXT, SIM_GEMINI_THOUGHT, SIM_GEMINI_CALL };

struct sim_gemini_part {
    enum sim_gemini_part_kind kind;
    struct sim_text text;       /* of a call: its arguments */
    struct weir_span name, id;  /* of a call; the id may be empty */
    struct weir_span signature; /* in base64; empty: none. A streamed text's comes at its end */
};

enum { SIM_GEMINI_MAX_CANDIDATES = 8, SIM_GEMINI_MAX_STOPS = 5 };

struct sim_gemini_candidate {
    struct sim_gemini_part *parts;
    size_t part_count;
    const char *finish_reason;
    const char *finish_message; /* NULL: none */
    bool harmful;               /* one of its ratings says so */
    int64_t hidden_thoughts;    /* tokens that no part stands for */
};

struct sim_gemini {
    struct weir_span model;
    struct sim_gemini_candidate *candidates;
    size_t count;
    size_t longest; /* pieces of the longest candidate: tokens of texts, whole calls */
    int64_t prompt[SIM_MODALITIES];
    int64_t cached, tool_use;
    int64_t token_weight;     /* tokens that one piece of a text counts as */
    const char *block_reason; /* of the prompt; NULL: none */
    bool ratings, logprobs, array;
    unsigned top_logprobs;
    const char *id;
};

/* What has gone out when so many pieces of each candidate have, and `more` candidates one piece more. */
struct sim_gemini_spent {
    int64_t tokens, thoughts;
};
struct sim_gemini_spent sim__gemini_spent(const struct sim_gemini *gemini, size_t pieces, size_t more);
/* Pieces of a candidate. */
size_t sim__gemini_pieces(const struct sim_gemini_candidate *candidate);
int64_t sim__gemini_prompt(const struct sim_gemini *gemini);

/* What the contents of a request come to. */
struct sim_gemini_contents {
    int64_t tokens[SIM_MODALITIES];
    uint64_t hash;
    bool asks;                  /* the last one is a user's, and no result of a function */
    struct weir_buffer arrived; /* media and files, described; released by whoever read */
};

/* Counts and checks `contents` (and systemInstruction and tools). False: *refusal tells, or (status 0) there is no memory. */
bool sim__gemini_contents(yyjson_val *root, struct weir_span model, struct sim_gemini_contents *contents,
                          struct sim_refusal *refusal);
/* One content alone, of which `path` is the name. */
bool sim__gemini_content(yyjson_val *content, const char *path, struct sim_gemini_contents *contents,
                         struct sim_refusal *refusal);

/* Checks the declarations and the tool configuration; false as above. */
bool sim__gemini_tools(yyjson_val *root, struct sim_refusal *refusal);
/* Checks a schema that `path` leads to. */
bool sim__gemini_schema(yyjson_val *schema, const char *path, struct sim_refusal *refusal);
/* The declarations to be called, at most `most`. */
size_t sim__gemini_choose(yyjson_val *root, yyjson_val **chosen, size_t most);

/* The signature of a call, or of a text; in the arena. NULL: no memory. */
char *sim__gemini_sign(struct weir_arena *arena, uint64_t what);
/* What a call's signature stands for, whatever the order of its arguments' members. */
uint64_t sim__gemini_call_hash(struct weir_span name, yyjson_val *arguments);
/* True when the signature was made by sim__gemini_sign, and for `what` unless that is 0. The two texts that the API takes in place of
 * a signature are right, too. */
bool sim__gemini_signed(struct weir_span signature, uint64_t what);
/* Appends the bytes of base64, of either alphabet. */
void sim__gemini_unbase64(struct weir_span text, struct weir_buffer *out);

enum { SIM_GEMINI_MAX_ARRIVED = 16 * 1024 * 1024 };

/* How every call begins: sets task->model by the path, reads the body as that message. */
WEIR_MUST enum weir_status sim__gemini_begin(struct sim_task *task, enum sim_gemini_message message, yyjson_val **root);

/* The families. */
enum weir_status sim__gemini_generate(struct sim_task *task);
enum weir_status sim__gemini_generate_stream(struct sim_task *task);
enum weir_status sim__gemini_count(struct sim_task *task);
enum weir_status sim__gemini_embed(struct sim_task *task);
enum weir_status sim__gemini_embed_batch(struct sim_task *task);
enum weir_status sim__gemini_models(struct sim_task *task);
enum weir_status sim__gemini_model(struct sim_task *task);

/* {"modality":…,"tokenCount":…} of all that there is, in an array. */
void sim__gemini_modalities(const struct sim_task *task, const int64_t tokens[SIM_MODALITIES], struct weir_buffer *out);

/* Writes the answer, or makes it a stream. */
void sim__gemini_write(const struct sim_gemini *gemini, const struct sim_task *task, struct weir_buffer *out);
WEIR_MUST enum weir_status sim__gemini_stream(const struct sim_gemini *gemini, struct sim_task *task);

#endif

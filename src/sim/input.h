/* Reading what a client asks for: members of a JSON object, each of the type that the API says, refused as OpenAI refuses.
 *
 * The simulator reads with yyjson, not with weir's own scanner: two readers that agree prove more than one.
 */
#ifndef WEIR_SIM_INPUT_H
#define WEIR_SIM_INPUT_H

#include "base/arena.h"

struct yyjson_val;

/* Why a request is refused, as OpenAI would say it. */
struct sim_refusal {
    unsigned status;
    const char *type;
    const char *param; /* NULL: null */
    const char *code;  /* NULL: null */
    bool has_retry_after;
    int64_t retry_after_s;
    char message[640];
};

void sim__refuse(struct sim_refusal *refusal, unsigned status, const char *param, const char *code, const char *format,
                 ...) WEIR_PRINTF(5, 6);

/* Parses a body that must be an object; the document lives in `arena`. WEIR_EINVAL: *refusal tells; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__input_object(struct weir_arena *arena, struct weir_span body, struct yyjson_val **root,
                                             struct sim_refusal *refusal);

/* The decoded string, empty for anything else. */
struct weir_span sim__input_text(struct yyjson_val *value);
bool sim__input_is(struct yyjson_val *value, const char *text);
/* True when `part` stands in `text`: what names of models are asked. */
bool sim__input_contains(struct weir_span text, const char *part);

/* Optional members: absent and null leave *value as it is. False: *refusal tells. */
bool sim__input_number(struct yyjson_val *object, const char *name, int64_t minimum, int64_t maximum, int64_t *value,
                       struct sim_refusal *refusal);
bool sim__input_flag(struct yyjson_val *object, const char *name, bool *value, struct sim_refusal *refusal);
bool sim__input_real(struct yyjson_val *object, const char *name, double minimum, double maximum, double *value,
                     struct sim_refusal *refusal);
bool sim__input_string(struct yyjson_val *object, const char *name, struct weir_span *value,
                       struct sim_refusal *refusal);
/* One of the names in `allowed`, which ends with NULL; *value then points to that one. */
bool sim__input_choice(struct yyjson_val *object, const char *name, const char *const *allowed, const char **value,
                       struct sim_refusal *refusal);
/* The model, which must be there; copied into `arena`. False: *refusal tells, or (status 0) there is no memory. */
bool sim__input_model(struct weir_arena *arena, struct yyjson_val *root, struct weir_span *model,
                      struct sim_refusal *refusal);
/* The same checks of a name that came another way. */
bool sim__input_model_is_known(struct weir_span model, struct sim_refusal *refusal);

/* About four bytes are a token. */
int64_t sim__input_tokens(size_t bytes);
/* All strings within a value, names included. */
size_t sim__input_string_bytes(struct yyjson_val *value);

/* A hash of all strings within a value, continued from `hash`. */
uint64_t sim__input_hash(uint64_t hash, struct yyjson_val *value);
/* The value as JSON again, in the arena. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__input_copy(struct weir_arena *arena, struct yyjson_val *value, struct weir_span *json);

enum { SIM_MAX_STOPS = 4 };
/* The `stop` sequences: a string or an array of them. */
size_t sim__input_stops(struct yyjson_val *root, struct weir_span stops[SIM_MAX_STOPS]);

#endif

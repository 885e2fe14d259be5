/* Each Idempotency-Key is acted on once: what was answered is kept for a day and said again.
 *
 * A key belongs to a workspace. Its row holds a hash of what was asked and, once it is known, the answer. The effect of an operation and its answer are one
 * transaction (weir_idempotency_run): a process that dies has done both or neither, and whoever asks again gets the same bytes or causes the effect,
 * never both and never twice. What takes longer than a transaction claims the key first (weir_idempotency_claim), and settles it at its end.
 *
 * Called on the thread of the engine that is given; nothing here knows HTTP beyond a status and bytes.
 */
#ifndef WEIR_METER_IDEMPOTENCY_H
#define WEIR_METER_IDEMPOTENCY_H

#include "base/arena.h"
#include "base/reasons.h"
#include "store/store.h"

enum { WEIR_IDEMPOTENCY_HASH_SIZE = 65 };
#define WEIR_IDEMPOTENCY_KEPT_US ((int64_t)24 * 3600 * 1000000)

/* What the header says. NONE, IDEMPOTENCY_KEY_MISSING (NULL or empty) or IDEMPOTENCY_KEY_INVALID: not a UUID of version 4 with hyphens. `out` is in lower case. */
enum weir_reason weir_idempotency_key(const struct weir_span *header, char out[WEIR_UUID_TEXT_SIZE]);
/* Of what is asked: method, path, and the body as JSON whatever its spaces and the order of its members. WEIR_EINVAL: the body is no JSON. */
WEIR_MUST enum weir_status weir_idempotency_hash(struct weir_arena *arena, struct weir_span method,
                                                 struct weir_span path, struct weir_span body,
                                                 char out[WEIR_IDEMPOTENCY_HASH_SIZE]);

/* One request that has a key. */
struct weir_idempotency {
    struct weir_span workspace, key, hash, request_id;
    struct weir_uuid instance; /* whose request it is */
    int64_t utc_us;
};
struct weir_idempotency_answer {
    unsigned status;
    struct weir_span body;
    struct weir_span request_id; /* of the request that it was given to first */
    bool replayed;
    /* IDEMPOTENCY_KEY_MISMATCH or IDEMPOTENCY_IN_FLIGHT: there is no answer for this request */
    enum weir_reason refusal;
};

/* Does what is asked, inside a transaction that is open: fills status and body (texts in `arena`). Answers of 200 to 499 but 429 are kept; for any other, and
 * where a failure is given, everything is undone. An answer of 400 and above must not have written anything that matters. */
typedef enum weir_status (*weir_idempotency_act)(void *context, struct weir_idempotency_answer *answer,
                                                 struct weir_error *error);
/* The whole of a short operation: looks, acts unless it was done before, keeps, commits. Texts of the answer are in `arena`. */
WEIR_MUST enum weir_status weir_idempotency_run(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                                struct weir_arena *arena, const struct weir_idempotency *asked,
                                                weir_idempotency_act act, void *context,
                                                struct weir_idempotency_answer *answer, struct weir_error *error);

/* --- what takes longer --- */
/* *claimed: the key is this request's until it is settled, or until `until_utc_us`: from then on another request with it takes it over, so a process that died
 * holds it up no longer than that. Else *answer is that of an earlier request, or its refusal. */
WEIR_MUST enum weir_status weir_idempotency_claim(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                                  struct weir_arena *arena, const struct weir_idempotency *asked,
                                                  int64_t until_utc_us, bool *claimed,
                                                  struct weir_idempotency_answer *answer, struct weir_error *error);
/* Keeps the answer where the claim is still this request's: *kept. Inside the transaction of the effect. */
WEIR_MUST enum weir_status weir_idempotency_settle(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                                   struct weir_arena *arena, const struct weir_idempotency *asked,
                                                   unsigned status, struct weir_span body, bool *kept,
                                                   struct weir_error *error);
/* The request ended without an answer: the key is free again, where the claim is still its. */
WEIR_MUST enum weir_status weir_idempotency_abandon(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                                    struct weir_arena *arena, const struct weir_idempotency *asked,
                                                    struct weir_error *error);

#endif

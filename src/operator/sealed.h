/* What is sealed in the store, and the ways to it: named secrets, and sealing everything anew. For the operations of the plane, `weir secrets`
 * and the publishing of a revision.
 *
 * A named secret is an object of the store: its text has the blob, a hint of the value and when it was set. Its `about` is the environment and the
 * name, so a blob that was moved under another name, or out of another environment's database, does not open. Nothing here gives out a value
 * anywhere but in a weir_secret.
 */
#ifndef WEIR_OPERATOR_SEALED_H
#define WEIR_OPERATOR_SEALED_H

#include "base/arena.h"
#include "secrets/sealing.h"
#include "store/store.h"

/* Who works, with what. */
struct weir_sealed_work {
    const struct weir_engine_ops *store;
    struct weir_engine *engine;
    struct weir_arena *arena; /* all that is given out lives here */
    const struct weir_sealing *sealing;
    const char *environment;
    int64_t now_utc_us;
};

/* As it is kept. Spans live in the work's arena. */
struct weir_named_secret {
    struct weir_span name;
    struct weir_span description;
    struct weir_span hint;        /* "abcd…wxyz" of the value */
    struct weir_span sealed_with; /* the key's id */
    struct weir_span blob;
    uint64_t version;       /* of the object: grows with every change, being sealed anew too */
    uint64_t value_version; /* grows with every new value */
    int64_t created_utc_us, updated_utc_us;
    int64_t value_utc_us; /* when this value came */
};

/* [A-Za-z0-9][A-Za-z0-9._-]{0,99} */
bool weir_secret_name_is_good(struct weir_span name);
/* WEIR_ECORRUPT: the object's text is not what we write. */
WEIR_MUST enum weir_status weir_named_secret_read(struct weir_sealed_work *work, const struct weir_object *object,
                                                  struct weir_named_secret *secret, struct weir_error *error);
/* WEIR_ENOTFOUND. */
WEIR_MUST enum weir_status weir_named_secret_get(struct weir_sealed_work *work, struct weir_span name,
                                                 struct weir_named_secret *secret, struct weir_error *error);
/* WEIR_EDENIED: its key is not among ours; WEIR_ECORRUPT: it is damaged, or was moved. */
WEIR_MUST enum weir_status weir_named_secret_open(const struct weir_sealed_work *work,
                                                  const struct weir_named_secret *secret, struct weir_secret **value,
                                                  struct weir_error *error);
/* Creates or replaces, in the caller's transaction. `description` NULL: it stays. `expected_version` 0: whatever is there. *before: as it was, its
 * name empty when it is new. WEIR_ESTALE, WEIR_EDENIED: there is no sealing key. */
WEIR_MUST enum weir_status weir_named_secret_put(struct weir_sealed_work *work, struct weir_span name,
                                                 struct weir_span value, const struct weir_span *description,
                                                 uint64_t expected_version, struct weir_named_secret *before,
                                                 struct weir_named_secret *after, struct weir_error *error);
/* Whether a revision was made with it: the newest whose number is below `before` (0: the newest of all). Without the secret the next one could not
 * be made. */
WEIR_MUST enum weir_status weir_named_secret_is_used(const struct weir_sealed_work *work, uint64_t before,
                                                     struct weir_span name, bool *used, struct weir_error *error);
/* The line of a revision's text that says so. */
void weir_named_secret_write_use(struct weir_buffer *out, struct weir_span name, uint64_t value_version);
/* A JSON object without the value, for answers and the audit trail. */
struct weir_json_writer;
void weir_named_secret_write(struct weir_json_writer *writer, const struct weir_named_secret *secret);
/* The same as a text in the arena; empty without memory. */
struct weir_span weir_named_secret_text(struct weir_sealed_work *work, const struct weir_named_secret *secret);

/* --- captured contents --- */
/* Opens one. WEIR_EDENIED, WEIR_ECORRUPT as for a named secret. */
WEIR_MUST enum weir_status weir_content_open(const struct weir_sealed_work *work, const struct weir_content *content,
                                             struct weir_secret **plain, struct weir_error *error);

/* --- sealing everything anew --- */
struct weir_reseal_counts {
    uint64_t resealed; /* with the first key */
    uint64_t already;  /* it was with the first key before */
    uint64_t unopened; /* could not be opened: left as it was */
};
/* The places where something sealed is kept, in order; NULL behind the last one. */
const char *weir_reseal_place(size_t index);
/* Writes the audit entry of one batch, inside its transaction: `what` is a JSON object. */
typedef enum weir_status (*weir_reseal_note)(void *context, const struct weir_sealed_work *work, const char *key_id,
                                             const char *place, struct weir_span what, struct weir_error *error);
/* Goes through one place in transactions of at most `batch` objects, each with its audit entry where something changed; a server may run
 * beside. The counts are of what is done, also on failure. */
WEIR_MUST enum weir_status weir_reseal(struct weir_sealed_work *work, size_t place, size_t batch, weir_reseal_note note,
                                       void *context, struct weir_reseal_counts *counts, struct weir_error *error);
/* Counts what is sealed in a place: all with the first key, with others that we have, with none of ours. Nothing is opened. */
struct weir_sealed_counts {
    uint64_t first, previous, unknown;
};
WEIR_MUST enum weir_status weir_sealed_count(struct weir_sealed_work *work, size_t place,
                                             struct weir_sealed_counts *counts, struct weir_error *error);

/* --- sealed_receipts.c: a place of those above --- */
enum weir_status operator__reseal_receipts(struct weir_sealed_work *work, int64_t *after, size_t batch, size_t *seen,
                                           struct weir_reseal_counts *counts, struct weir_error *error);
enum weir_status operator__count_sealed_receipts(struct weir_sealed_work *work, struct weir_sealed_counts *counts,
                                                 struct weir_error *error);

#endif

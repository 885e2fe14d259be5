/* The table of known keys: one writer (the control thread), many readers (the workers), no locks.
 *
 * Readers look up by hash and get a row. Entries appear with a release store; revoked ones are marked; a changed one gets a new row, and the old
 * one is kept for who holds it. What was replaced (rows, slot arrays) is freed once no reader can hold it any more: a reader says from time to
 * time which epoch its oldest holding is of (weir_keys_quiet).
 *
 * A key without rules, team, user or family takes at most 200 bytes, all in all; what keys share (their workspace, equal rules) is there once.
 */
#ifndef WEIR_IDENTITY_KEYS_H
#define WEIR_IDENTITY_KEYS_H

#include "identity/rules.h"
#include "store/store.h"

#include <stdatomic.h>

struct weir_keys;

/* What the keys of a workspace share. */
struct weir_key_workspace {
    struct weir_span id;
    _Atomic bool suspended;
    _Atomic unsigned capture; /* what is captured of its requests, as weir_keys_set_workspace was told; 0: nothing */
};

/* Whom a key belongs to within its workspace. */
struct weir_key_owner {
    struct weir_span team, user; /* ids; empty: none */
    struct weir_span family;     /* the id of the first key of its chain of rotations; empty: its own id */
};

/* What a request needs to know of its key. Immutable but for the atomic members. */
struct weir_key {
    unsigned char hash[WEIR_KEY_HASH_SIZE];
    char id[WEIR_KEY_ID_SIZE];
    const struct weir_key_workspace *shared; /* with all keys of the workspace */
    struct weir_span workspace;              /* its id */
    const struct weir_key_rules *rules;      /* NULL: everything is allowed */
    const struct weir_key_owner *owner;      /* NULL: no team, no user, its own family */
    int64_t created_utc_us;
    int64_t expires_utc_us; /* 0: never */
    _Atomic bool revoked;
    _Atomic bool end_streams; /* once revoked: answers in flight end, too */
    bool rotated;             /* there is a newer key in its place */
};

/* `readers`: how many workers will look things up. */
WEIR_MUST enum weir_status weir_keys_new(unsigned readers, struct weir_keys **keys);
void weir_keys_free(struct weir_keys **keys);

/* --- the writer --- */
/* Adds or changes. WEIR_ENOMEM leaves the table as it was. WEIR_EINVAL: the record's rules cannot be read; the key is there, and may nothing. */
WEIR_MUST enum weir_status weir_keys_apply(struct weir_keys *keys, const struct weir_key_record *record,
                                           struct weir_error *error);
/* Whether, since the last call, a key was revoked whose answers in flight are to end. */
bool weir_keys_take_ending(struct weir_keys *keys);
/* In effect for the keys that are there and those to come. `capture` means something to who reads it, and nothing here. */
WEIR_MUST enum weir_status weir_keys_set_workspace(struct weir_keys *keys, struct weir_span id, bool suspended,
                                                   unsigned capture);
/* Frees what no reader can still see. */
void weir_keys_collect(struct weir_keys *keys);
/* Memory of the table and all that belongs to it. */
size_t weir_keys_bytes(const struct weir_keys *keys);

/* What is found by walking over all keys: in small steps, so that a million of them hold nothing up. */
enum { WEIR_KEYS_SURVEY_IDS = 10 };
struct weir_keys_survey {
    size_t active;       /* neither revoked nor expired */
    size_t rotation_due; /* of these: made before a time, and not rotated */
    size_t id_count;     /* of the latter, at most WEIR_KEYS_SURVEY_IDS */
    char ids[WEIR_KEYS_SURVEY_IDS][WEIR_KEY_ID_SIZE];
};
/* Looks at up to `steps` places more. True when all have been seen: *survey is filled, and the next call begins anew. `due_before_utc_us` 0: none
 * is due. */
bool weir_keys_survey(struct weir_keys *keys, size_t steps, int64_t now_utc_us, int64_t due_before_utc_us,
                      struct weir_keys_survey *survey);

/* --- readers --- */
/* NULL for an unknown key. Revoked and expired keys are found: the caller tells them apart. Comparison of the hash is in constant time. */
const struct weir_key *weir_keys_find(const struct weir_keys *keys, const unsigned char hash[WEIR_KEY_HASH_SIZE]);
/* Asked before weir_keys_find: what it finds is held under this epoch or an older one. */
uint64_t weir_keys_epoch(const struct weir_keys *keys);
/* The reader is inside no look-up, and holds no row that was found under an older epoch than this one. */
void weir_keys_quiet(struct weir_keys *keys, unsigned reader, uint64_t epoch);

/* Anyone. */
size_t weir_keys_count(const struct weir_keys *keys);

#endif

/* The table of known keys: one writer (the control thread), many readers (the workers), no locks.
 *
 * Readers look up by hash and get a row that stays valid while the table lives. Entries appear with a release store;
 * revoked ones are marked; a changed one gets a new row, and the old one is kept for who holds it. Slot arrays that
 * were outgrown are freed once every reader has passed a quiet point (weir_keys_quiet), which a worker reports once a
 * loop turn.
 */
#ifndef WEIR_IDENTITY_KEYS_H
#define WEIR_IDENTITY_KEYS_H

#include "store/store.h"

struct weir_keys;

/* What a request needs to know of its key. Immutable but for `revoked`. */
struct weir_key {
    unsigned char hash[WEIR_KEY_HASH_SIZE];
    char id[WEIR_KEY_ID_SIZE];
    struct weir_span name;
    struct weir_span workspace;
    int64_t expires_utc_us; /* 0: never */
    _Atomic bool revoked;
};

/* `readers`: how many workers will look things up. */
WEIR_MUST enum weir_status weir_keys_new(unsigned readers, struct weir_keys **keys);
void weir_keys_free(struct weir_keys **keys);
/* The writer: adds or changes. WEIR_ENOMEM leaves the table as it was. */
WEIR_MUST enum weir_status weir_keys_apply(struct weir_keys *keys, const struct weir_key_record *record);
/* The writer: frees what no reader can still see. */
void weir_keys_collect(struct weir_keys *keys);
/* A reader: NULL for an unknown key. Revoked and expired keys are found: the caller tells them apart. Comparison of
 * the hash is in constant time. */
const struct weir_key *weir_keys_find(const struct weir_keys *keys, const unsigned char hash[WEIR_KEY_HASH_SIZE]);
/* A reader, between look-ups: it is inside none. Rows stay valid all the same: only replaced slot arrays are freed. */
void weir_keys_quiet(struct weir_keys *keys, unsigned reader);
size_t weir_keys_count(const struct weir_keys *keys);

#endif

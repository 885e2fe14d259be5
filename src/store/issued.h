/* Ids that providers have given out and that mean something to them alone: stored responses, files, batches.
 *
 * What a client does with such an id goes to the provider that issued it, and only for the workspace that it was issued to. The lasting record is
 * the store's (it comes with the ledger entry, out of the journal); this table is its front: what was issued lately, on any worker, is found without
 * waiting. All functions may be called on any thread.
 */
#ifndef WEIR_STORE_ISSUED_H
#define WEIR_STORE_ISSUED_H

#include "base/arena.h"

struct weir_issued {
    struct weir_span id;
    struct weir_span provider; /* empty: nobody knows this id */
    struct weir_span model;    /* upstream's name of the model that was asked; empty where none was */
    struct weir_span workspace;
};

struct weir_issued_table;
/* Holds the newest `capacity` ids; older ones make room. A put makes one newest, a look-up does not. NULL: no memory. */
struct weir_issued_table *weir_issued_new(size_t capacity);
void weir_issued_free(struct weir_issued_table **table);
/* Copies all. An id that is there already gets the new values. Texts over 256 bytes are not taken (nobody issues such ids),
 * nor is a record without an id or a provider. */
void weir_issued_put(struct weir_issued_table *table, const struct weir_issued *issued);
/* Copies what is found into `arena`. False: not here (the store may know). */
WEIR_MUST bool weir_issued_get(struct weir_issued_table *table, struct weir_span id, struct weir_arena *arena,
                               struct weir_issued *issued);

#endif

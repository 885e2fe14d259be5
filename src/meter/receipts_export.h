/* Exports of receipts, piece by piece: for the operation and the command line alike. */
#ifndef WEIR_METER_RECEIPTS_EXPORT_H
#define WEIR_METER_RECEIPTS_EXPORT_H

#include "meter/receipts_signer.h"

struct weir_receipt_export {
    struct weir_ledger_query query; /* filters: times, workspace, key_id; borrowed. Set by the caller, all else zero */
    struct weir_receipt_end end;
    int64_t until;                         /* the last sequence that belongs to it */
    char key_id[WEIR_RECEIPT_KEY_ID_SIZE]; /* that the newest first line was written for */
};

/* The signer holds the current key, and the chain is advanced, by a bounded number of entries. *behind (may be NULL): it is not at its end. WEIR_EDENIED, WEIR_ECORRUPT,
 * WEIR_EIO: nothing can be signed. */
WEIR_MUST enum weir_status weir_receipt_prepare(const struct weir_engine_ops *store, struct weir_engine *engine,
                                                struct weir_receipt_signer *signer, bool *behind,
                                                struct weir_error *error);
/* Finds out which entries it is about. Without a filter but time these are all from the first that began in that time to the last, so that the chain is
 * whole. */
WEIR_MUST enum weir_status weir_receipt_export_begin(const struct weir_engine_ops *store, struct weir_engine *engine,
                                                     struct weir_receipt_export *export, struct weir_error *error);
/* Appends lines until there are `piece` bytes or nothing is left; *done: the last line was written. */
WEIR_MUST enum weir_status weir_receipt_export_step(const struct weir_engine_ops *store, struct weir_engine *engine,
                                                    struct weir_receipt_signer *signer,
                                                    struct weir_receipt_export *export, size_t piece,
                                                    struct weir_buffer *out, bool *done, struct weir_error *error);

/* Which entry `asked` names, of a workspace (empty: of any): weir's own id of it, or the newest one that a client named so; *sequence 0: none. Reads the ledger
 * and no chain, however many have that name: a receipt is dear, and of these one is wanted. */
WEIR_MUST enum weir_status weir_receipt_find(const struct weir_engine_ops *store, struct weir_engine *engine,
                                             struct weir_span asked, struct weir_span workspace, int64_t *sequence,
                                             struct weir_error *error);

#endif

/* The audit trail in SQLite: what its two files share. */
#ifndef WEIR_STORE_SQLITE_AUDIT_H
#define WEIR_STORE_SQLITE_AUDIT_H

#include "store/sqlite_impl.h"

/* An entry's place in the chain. Number 0 with a hash of zeroes stands before the first entry. */
struct store__audit_link {
    int64_t sequence;
    unsigned char hash[WEIR_AUDIT_HASH_SIZE];
};

/* --- sqlite_audit_chain.c --- */
/* The entry of a row of STORE__AUDIT_COLUMNS; its spans live until the next step. WEIR_ECORRUPT: a hash has not its
 * size, or the result is none of ours. */
WEIR_MUST enum weir_status store__audit_of_row(sqlite3_stmt *row, struct weir_audit_entry *entry);

#endif

/* Taking old entries out of the ledger, some at a time: struct weir_engine_ops.ledger_prune.
 *
 * They go from the old end alone, at most 256 in a transaction, so that nobody waits for the write lock for more than some milliseconds, and the numbers of
 * what is left have no gap: the chain of receipts begins anew behind the last one that went (sqlite_receipts.c). An entry that is old and stands behind
 * one that is not waits for that one. Sums stay as they are, so nothing is taken out that is not in them; nor is anything that is not chained.
 */
#include "store/sqlite_sums.h"

#include "base/clock.h"

enum { CHAINED_AT_ONCE = 512 };
static const int64_t day_us = (int64_t)24 * 3600 * 1000000;

static enum weir_status find_end(struct weir_engine *engine, int64_t before_utc_us, int64_t *end,
                                 struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_PRUNE_END, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, before_utc_us);
    store__bind_integer(&binder, weir_clock_utc_us() + day_us);
    return store__sqlite_integer(engine, statement, "look for old entries of the ledger", end, error);
}

static enum weir_status run_with(struct weir_engine *engine, enum store__sql which, int64_t number,
                                 struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, number);
    return store__binder_run(engine, &binder, "take entries out of the ledger", error);
}

/* WEIR_ENOTFOUND: nothing is that old. */
static enum weir_status prune(struct weir_engine *engine, int64_t before_utc_us, struct weir_error *error) {
    int64_t end = 0;
    enum weir_status status = find_end(engine, before_utc_us, &end, error);
    if (status == WEIR_OK && end == 0)
        return WEIR_ENOTFOUND;
    if (status == WEIR_OK)
        status = store__receipts_cut(engine, end, error);
    if (status == WEIR_OK)
        status = run_with(engine, STORE__SQL_PRUNE_MORE, end, error);
    if (status == WEIR_OK)
        status = run_with(engine, STORE__SQL_PRUNE_ROWS, end, error);
    return status == WEIR_OK ? run_with(engine, STORE__SQL_PRUNE_ZONES, (end + 1) >> STORE__ZONE_SHIFT, error) : status;
}

enum weir_status store__sqlite_ledger_prune(struct weir_engine *engine, int64_t before_utc_us, bool *more,
                                            struct weir_error *error) {
    int64_t next = 0;
    bool unsummed = false, unchained = false;
    *more = false;
    /* Mostly there is nothing to chain: the upkeep has done it. */
    enum weir_status status = store__sqlite_receipt_advance(engine, CHAINED_AT_ONCE, &unchained, error);
    if (status == WEIR_OK)
        status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = store__unsummed_note(engine, &next, &unsummed, error);
    if (status == WEIR_OK)
        status = store__waiting_write(engine, error);
    if (status == WEIR_OK)
        status = prune(engine, before_utc_us, error);
    bool idle = status == WEIR_ENOTFOUND;
    status = store__sqlite_end(engine, idle ? WEIR_OK : status, error);
    *more = status == WEIR_OK && !idle;
    return status;
}

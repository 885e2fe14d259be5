/* Taking old entries out of the ledger, some at a time: struct weir_engine_ops.ledger_prune.
 *
 * The index of times says where old entries are: zone after zone, a few hundred rows in a transaction, so that nobody waits for the write lock for more than
 * some milliseconds. Entries come nearly in order of time; a zone that holds old and new ones loses the old ones. Sums stay as they are, so
 * nothing is taken out that is not in them.
 */
#include "store/sqlite_sums.h"

enum { ROWS_AT_ONCE = 256 /* as in the statements */ };

static enum weir_status take_rows(struct weir_engine *engine, enum store__sql which, int64_t zone,
                                  int64_t before_utc_us, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, zone << STORE__ZONE_SHIFT);
    store__bind_integer(&binder, (zone + 1) << STORE__ZONE_SHIFT);
    store__bind_integer(&binder, before_utc_us);
    return store__binder_run(engine, &binder, "take entries out of the ledger", error);
}

/* The zone has nothing old any more: its bounds are those of what is left. */
static enum weir_status settle_zone(struct weir_engine *engine, int64_t zone, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t left[3] = {0, 0, 0};
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_PRUNE_LEFT, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, zone << STORE__ZONE_SHIFT);
    store__bind_integer(&binder, (zone + 1) << STORE__ZONE_SHIFT);
    status = store__sqlite_integers(engine, statement, "read the ledger", left, 3, error);
    if (status == WEIR_OK) {
        status = store__sqlite_statement(engine,
                                         left[0] > 0 ? STORE__SQL_PRUNE_ZONE_WRITE : STORE__SQL_PRUNE_ZONE_FORGET,
                                         &statement, error);
    }
    if (status != WEIR_OK)
        return status;
    binder = store__binder_of(statement);
    store__bind_integer(&binder, zone);
    if (left[0] > 0) {
        store__bind_integer(&binder, left[1]);
        store__bind_integer(&binder, left[2]);
    }
    return store__binder_run(engine, &binder, "write the ledger's index of times", error);
}

/* WEIR_ENOTFOUND: nothing is that old. */
static enum weir_status prune_zone(struct weir_engine *engine, int64_t before_utc_us, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t zone = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_PRUNE_ZONE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, before_utc_us);
    status = store__sqlite_integer(engine, statement, "read the ledger's index of times", &zone, error);
    if (status == WEIR_OK)
        status = take_rows(engine, STORE__SQL_PRUNE_MORE, zone, before_utc_us, error);
    if (status == WEIR_OK)
        status = take_rows(engine, STORE__SQL_PRUNE_ROWS, zone, before_utc_us, error);
    if (status == WEIR_OK && sqlite3_changes(engine->database) < ROWS_AT_ONCE)
        status = settle_zone(engine, zone, error);
    return status;
}

enum weir_status store__sqlite_ledger_prune(struct weir_engine *engine, int64_t before_utc_us, bool *more,
                                            struct weir_error *error) {
    int64_t next = 0;
    bool unsummed = false;
    *more = false;
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = store__unsummed_note(engine, &next, &unsummed, error);
    if (status == WEIR_OK)
        status = unsummed ? WEIR_ENOTFOUND : prune_zone(engine, before_utc_us, error);
    bool idle = status == WEIR_ENOTFOUND;
    status = store__sqlite_end(engine, idle ? WEIR_OK : status, error);
    *more = status == WEIR_OK && !idle;
    return status;
}

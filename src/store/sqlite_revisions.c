/* Revisions in SQLite. */
#include "store/sqlite_impl.h"

/* --- revisions --- */
static enum weir_status revision_save(struct weir_engine *engine, struct weir_span hash, struct weir_span text,
                                      int64_t utc_us, int64_t *number, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_REVISION_NEWEST, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, hash.at, hash.length);
    status = store__sqlite_integer(engine, statement, "look up the revision", number, error);
    if (status != WEIR_ENOTFOUND)
        return status;
    status = store__sqlite_statement(engine, STORE__SQL_REVISION_INSERT, &statement, error);
    if (status != WEIR_OK)
        return status;
    binder = store__binder_of(statement);
    store__bind_blob(&binder, hash.at, hash.length);
    store__bind_text(&binder, text);
    store__bind_integer(&binder, utc_us);
    return store__sqlite_integer(engine, statement, "store the revision", number, error);
}

enum weir_status store__sqlite_revision_save(struct weir_engine *engine, struct weir_span hash, struct weir_span text,
                                             int64_t utc_us, uint64_t *number, struct weir_error *error) {
    if (hash.length == 0)
        return weir_fail(error, WEIR_EINVAL, "a revision needs a hash");
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    int64_t given = 0;
    status = store__sqlite_end_durably(engine, revision_save(engine, hash, text, utc_us, &given, error), error);
    if (status == WEIR_OK)
        *number = (uint64_t)given;
    return status;
}

enum weir_status store__sqlite_revision_list(struct weir_engine *engine, uint64_t before_number, size_t limit,
                                             weir_revision_visit visit, void *context, struct weir_error *error) {
    enum { DEFAULT_LIMIT = 100, MAX_LIMIT = 1000 };
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_REVISION_LIST, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, before_number == 0 || before_number > INT64_MAX ? INT64_MAX : (int64_t)before_number);
    store__bind_integer(&binder, (int64_t)store__limit(limit, DEFAULT_LIMIT, MAX_LIMIT));
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        status = visit(context, (uint64_t)sqlite3_column_int64(statement, 0), store__column_span(statement, 1),
                       sqlite3_column_int64(statement, 2), store__column_span(statement, 3));
        if (status != WEIR_OK)
            break;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the revisions", error);
    (void)sqlite3_reset(statement);
    return status == WEIR_END ? WEIR_OK : status;
}

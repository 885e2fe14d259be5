/* Leases and revisions in SQLite. */
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

/* --- leases --- */
enum weir_status store__sqlite_lease_define(struct weir_engine *engine, struct weir_span name, int64_t amount,
                                            struct weir_error *error) {
    if (amount < 0)
        return weir_fail(error, WEIR_EINVAL, "a lease's amount cannot be negative");
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_LEASE_DEFINE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    store__bind_integer(&binder, amount);
    return store__binder_run(engine, &binder, "define the lease", error);
}

static enum weir_status add_taken(struct weir_engine *engine, struct weir_span name, const struct weir_uuid *instance,
                                  int64_t more, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_LEASE_TAKE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, more);
    store__bind_text(&binder, name);
    status = store__binder_run(engine, &binder, "change the lease", error);
    if (status == WEIR_OK)
        status = store__sqlite_statement(engine, STORE__SQL_SHARE_ADD, &statement, error);
    if (status != WEIR_OK)
        return status;
    binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    store__bind_blob(&binder, instance->bytes, sizeof(instance->bytes));
    store__bind_integer(&binder, more);
    return store__binder_run(engine, &binder, "change the instance's share", error);
}

static enum weir_status take(struct weir_engine *engine, struct weir_span name, const struct weir_uuid *instance,
                             int64_t wanted, int64_t *granted, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t free_amount = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_LEASE_FREE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    status = store__sqlite_integer(engine, statement, "look up the lease", &free_amount, error);
    if (status == WEIR_ENOTFOUND) {
        return weir_fail(error, WEIR_ENOTFOUND, "there is no lease named \"%.*s\"", WEIR_SPAN_PRINT(name));
    }
    if (status != WEIR_OK)
        return status;
    int64_t given = wanted < free_amount ? wanted : free_amount;
    if (given > 0)
        status = add_taken(engine, name, instance, given, error);
    if (status == WEIR_OK)
        *granted = given > 0 ? given : 0;
    return status;
}

enum weir_status store__sqlite_lease_take(struct weir_engine *engine, struct weir_span name,
                                          const struct weir_uuid *instance, int64_t wanted, int64_t *granted,
                                          struct weir_error *error) {
    if (wanted < 0)
        return weir_fail(error, WEIR_EINVAL, "a slice cannot be negative");
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    int64_t given = 0;
    status = store__sqlite_end(engine, take(engine, name, instance, wanted, &given, error), error);
    /* A slice that may be spent must not be free again after a power loss. */
    if (status == WEIR_OK && given > 0)
        status = store__sqlite_flush(engine, error);
    if (status == WEIR_OK)
        *granted = given;
    return status;
}

static enum weir_status give_back(struct weir_engine *engine, struct weir_span name, const struct weir_uuid *instance,
                                  int64_t unused, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t taken = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_SHARE_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    store__bind_blob(&binder, instance->bytes, sizeof(instance->bytes));
    status = store__sqlite_integer(engine, statement, "look up the instance's share", &taken, error);
    if (status == WEIR_ENOTFOUND) {
        return weir_fail(error, WEIR_ENOTFOUND, "this instance has taken nothing of the lease \"%.*s\"",
                         WEIR_SPAN_PRINT(name));
    }
    if (status != WEIR_OK)
        return status;
    if (unused > taken)
        return weir_fail(error, WEIR_EINVAL, "more is given back than was taken");
    return unused > 0 ? add_taken(engine, name, instance, -unused, error) : WEIR_OK;
}

enum weir_status store__sqlite_lease_return(struct weir_engine *engine, struct weir_span name,
                                            const struct weir_uuid *instance, int64_t unused,
                                            struct weir_error *error) {
    if (unused < 0)
        return weir_fail(error, WEIR_EINVAL, "a slice cannot be negative");
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    return store__sqlite_end(engine, give_back(engine, name, instance, unused, error), error);
}

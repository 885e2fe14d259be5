/* The schema: a list of steps, each applied once and in order, all that are missing in one transaction.
 *
 * A released step is never edited; a change is a new row. `meta` says which step a database has reached and which
 * environment it belongs to; both are checked before anything else is read. docs/decisions/0002-journal-and-ledger.md
 * says why the tables look as they do.
 */
#include "store/sqlite_impl.h"

static const struct {
    int64_t version;
    const char *sql;
} migrations[] = {
    {1,
     "CREATE TABLE meta(name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"

     "CREATE TABLE api_key("
     " id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL, workspace TEXT NOT NULL, hint TEXT NOT NULL,"
     " created_utc_us INTEGER NOT NULL, expires_utc_us INTEGER NOT NULL, revoked_utc_us INTEGER NOT NULL,"
     " change INTEGER NOT NULL UNIQUE);"

     "CREATE TABLE dictionary(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"

     /* flags: 1 stream, 2 unpriced. key to price_version are numbers of the dictionary, 0 for none. */
     "CREATE TABLE ledger("
     " sequence INTEGER PRIMARY KEY, request_id BLOB NOT NULL,"
     " key INTEGER NOT NULL, workspace INTEGER NOT NULL, endpoint INTEGER NOT NULL, model INTEGER NOT NULL,"
     " provider INTEGER NOT NULL, upstream_model INTEGER NOT NULL, price_version INTEGER NOT NULL,"
     " start_utc_us INTEGER NOT NULL, duration_us INTEGER NOT NULL, first_byte_us INTEGER NOT NULL,"
     " reserved_cu_milli INTEGER NOT NULL, cost_cu_milli INTEGER NOT NULL, overrun_cu_milli INTEGER NOT NULL,"
     " input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,"
     " output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,"
     " revision INTEGER NOT NULL, flags INTEGER NOT NULL, usage_source INTEGER NOT NULL, outcome INTEGER NOT NULL,"
     " reason INTEGER NOT NULL, status INTEGER NOT NULL,"
     " client_request_id TEXT, trace_id BLOB, tags TEXT, client_address TEXT, attempts BLOB);"
     "CREATE INDEX ledger_by_request ON ledger(request_id);"
     "CREATE INDEX ledger_by_key ON ledger(key);" /* the row's number follows as in every index */
     "CREATE INDEX ledger_by_client_request ON ledger(client_request_id) WHERE client_request_id IS NOT NULL;"
     "CREATE TABLE ledger_zone("
     " zone INTEGER PRIMARY KEY, first_start_utc_us INTEGER NOT NULL, last_start_utc_us INTEGER NOT NULL);"

     "CREATE TABLE instance(id BLOB PRIMARY KEY, began_utc_us INTEGER NOT NULL) WITHOUT ROWID;"
     "CREATE TABLE journal_cursor("
     " instance BLOB NOT NULL, worker INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,"
     " PRIMARY KEY(instance, worker)) WITHOUT ROWID;"
     "CREATE TABLE open_request("
     " request_id BLOB PRIMARY KEY, instance BLOB NOT NULL, worker INTEGER NOT NULL, record BLOB NOT NULL"
     ") WITHOUT ROWID;"

     "CREATE TABLE revision("
     " number INTEGER PRIMARY KEY, hash BLOB NOT NULL, text TEXT NOT NULL, saved_utc_us INTEGER NOT NULL);"

     "CREATE TABLE lease("
     " name TEXT PRIMARY KEY, amount INTEGER NOT NULL, taken INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
     "CREATE TABLE lease_share("
     " name TEXT NOT NULL, instance BLOB NOT NULL, taken INTEGER NOT NULL, PRIMARY KEY(name, instance)"
     ") WITHOUT ROWID;"},
    /* What a chat completion has not: its rows stay as they are, an entry with any of this has a second row. unit is
     * enum weir_unit; NULL is 0. issued: its ids, as sqlite_more.c writes them. */
    {2, "CREATE TABLE ledger_more("
        " sequence INTEGER PRIMARY KEY, input_audio_tokens INTEGER, input_image_tokens INTEGER,"
        " output_audio_tokens INTEGER, output_image_tokens INTEGER, unit INTEGER, units INTEGER, issued BLOB);"

        /* provider, model and workspace are numbers of the dictionary, 0 for none. */
        "CREATE TABLE issued("
        " id TEXT PRIMARY KEY, provider INTEGER NOT NULL, model INTEGER NOT NULL, workspace INTEGER NOT NULL,"
        " created_utc_us INTEGER NOT NULL) WITHOUT ROWID;"},
    /* A row a day of request records, whose tables are made as the days come (sqlite_records.h). */
    {4,
     "CREATE TABLE record_partition("
     " day INTEGER PRIMARY KEY, first_number INTEGER NOT NULL, next_number INTEGER NOT NULL, records INTEGER NOT NULL,"
     " first_start_utc_us INTEGER NOT NULL, last_start_utc_us INTEGER NOT NULL, indexed_to INTEGER NOT NULL,"
     " merged_to INTEGER NOT NULL, dropping INTEGER NOT NULL);"
     "INSERT INTO meta(name, value) VALUES('record_id_key', randomblob(16));"},
};
enum { MIGRATION_COUNT = sizeof(migrations) / sizeof(migrations[0]) };

static enum weir_status exec(struct weir_engine *engine, const char *sql, struct weir_error *error) {
    if (sqlite3_exec(engine->database, sql, NULL, NULL, NULL) == SQLITE_OK)
        return WEIR_OK;
    return store__sqlite_fail(engine, "prepare the tables", error);
}

static enum weir_status count(struct weir_engine *engine, const char *sql, int64_t *value, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(engine->database, sql, -1, &statement, NULL) != SQLITE_OK) {
        return store__sqlite_fail(engine, "read the tables", error);
    }
    enum weir_status status = store__sqlite_integer(engine, statement, "read the tables", value, error);
    (void)sqlite3_finalize(statement);
    return status;
}

static enum weir_status meta_write(struct weir_engine *engine, const char *name, struct weir_span text, int64_t number,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_META_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, weir_span_of_string(name));
    if (text.length > 0) {
        store__bind_text(&binder, text);
    } else {
        store__bind_integer(&binder, number);
    }
    return store__binder_run(engine, &binder, "write the table meta", error);
}

static enum weir_status check_environment(struct weir_engine *engine, const char *environment,
                                          struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_META_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, WEIR_SPAN("environment"));
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        struct weir_span found = store__column_span(statement, 0);
        if (!weir_span_equal(found, weir_span_of_string(environment))) {
            status = weir_fail(error, WEIR_EDENIED,
                               "the database belongs to the environment \"%.*s\", and this process runs as \"%s\"",
                               WEIR_SPAN_PRINT(found), environment);
        }
    } else if (code == SQLITE_DONE) {
        status = weir_fail(error, WEIR_ECORRUPT, "the database does not say to which environment it belongs");
    } else {
        status = store__sqlite_fail(engine, "read the table meta", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum weir_status read_version(struct weir_engine *engine, int64_t *version, struct weir_error *error) {
    int64_t tables = 0;
    enum weir_status status = count(engine, "SELECT count(*) FROM sqlite_master", &tables, error);
    if (status != WEIR_OK)
        return status;
    *version = 0;
    if (tables == 0)
        return WEIR_OK;
    status = count(engine, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'", &tables, error);
    if (status != WEIR_OK)
        return status;
    if (tables == 0)
        return weir_fail(error, WEIR_EINVAL, "the file is a database of another program");
    status = count(engine, "SELECT value FROM meta WHERE name = 'schema_version'", version, error);
    if (status == WEIR_ENOTFOUND)
        return weir_fail(error, WEIR_ECORRUPT, "the database does not say its version");
    return status;
}

static enum weir_status migrate(struct weir_engine *engine, const char *environment, struct weir_error *error) {
    int64_t version = 0;
    enum weir_status status = read_version(engine, &version, error);
    if (status != WEIR_OK)
        return status;
    const int64_t newest = migrations[MIGRATION_COUNT - 1].version;
    if (version > newest) {
        return weir_fail(
            error, WEIR_EDENIED,
            "the database has version %lld of the tables, and this program knows versions up to %lld: start the "
            "newer program, or restore a backup",
            (long long)version, (long long)newest);
    }
    if (version > 0) {
        status = check_environment(engine, environment, error);
        if (status != WEIR_OK || version == newest)
            return status;
    }
    for (size_t i = 0; i < MIGRATION_COUNT && status == WEIR_OK; i++) {
        if (migrations[i].version > version)
            status = exec(engine, migrations[i].sql, error);
    }
    if (status == WEIR_OK && version == 0) {
        status = meta_write(engine, "environment", weir_span_of_string(environment), 0, error);
    }
    if (status == WEIR_OK)
        status = meta_write(engine, "schema_version", WEIR_SPAN(""), newest, error);
    return status;
}

enum weir_status store__sqlite_prepare_schema(struct weir_engine *engine, const char *environment,
                                              struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    return store__sqlite_end(engine, migrate(engine, environment, error), error);
}

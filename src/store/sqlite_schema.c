/* The schema: a list of steps, each applied once and in order, all that are missing in one transaction.
 *
 * A released step is never edited; a change is a new row. `meta` says how far a database has come (schema_step), which
 * version of the tables a program must know at least to use it (schema_version), and which environment it belongs to;
 * all are checked before anything else is read. A step that only adds (tables, columns that are NULL or have a
 * default, indexes) leaves schema_version as it is, so that the release before this one still runs on what this one
 * has migrated; it looks at schema_version alone. docs/decisions/0015-additive-migrations.md has the rules,
 * 0002-journal-and-ledger.md says why the tables of requests look as they do.
 */
#include "store/sqlite_impl.h"

static const struct {
    int64_t step;
    int64_t version;  /* what a program must know at least once it is taken */
    const char *what; /* for people */
    const char *sql;
} migrations[] = {
    {1, 1, "keys, ledger, journal cursors, revisions, leases",
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
    {2, 2, "usage beyond text tokens, issued ids",
     "CREATE TABLE ledger_more("
     " sequence INTEGER PRIMARY KEY, input_audio_tokens INTEGER, input_image_tokens INTEGER,"
     " output_audio_tokens INTEGER, output_image_tokens INTEGER, unit INTEGER, units INTEGER, issued BLOB);"

     /* provider, model and workspace are numbers of the dictionary, 0 for none. */
     "CREATE TABLE issued("
     " id TEXT PRIMARY KEY, provider INTEGER NOT NULL, model INTEGER NOT NULL, workspace INTEGER NOT NULL,"
     " created_utc_us INTEGER NOT NULL) WITHOUT ROWID;"},
    /* A program that knows only version 2 goes on inserting keys: its rows have no more than they had. What a new
     * column of a key has nothing to say in is NULL. */
    {3, 2, "keys' owners and rules, objects of operators, audit trail",
     "ALTER TABLE api_key ADD COLUMN team TEXT;"
     "ALTER TABLE api_key ADD COLUMN user TEXT;"
     "ALTER TABLE api_key ADD COLUMN family TEXT;"
     "ALTER TABLE api_key ADD COLUMN rules TEXT;"
     "ALTER TABLE api_key ADD COLUMN tags TEXT;"
     "ALTER TABLE api_key ADD COLUMN replaced_by TEXT;"
     "ALTER TABLE api_key ADD COLUMN updated_utc_us INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE api_key ADD COLUMN version INTEGER NOT NULL DEFAULT 1;"
     "ALTER TABLE api_key ADD COLUMN end_streams INTEGER NOT NULL DEFAULT 0;"
     /* Listings are in order of the row's number, which follows in every index. */
     "CREATE INDEX api_key_by_workspace ON api_key(workspace);"
     "CREATE INDEX api_key_by_team ON api_key(team) WHERE team IS NOT NULL;"
     "CREATE INDEX api_key_by_user ON api_key(user) WHERE user IS NOT NULL;"
     "CREATE INDEX api_key_by_family ON api_key(family) WHERE family IS NOT NULL;"
     "CREATE INDEX api_key_by_hint ON api_key(hint);"
     "CREATE INDEX api_key_by_age ON api_key(created_utc_us) WHERE revoked_utc_us = 0 AND replaced_by IS NULL;"

     /* What is removed keeps its row for a while, without its text, so that who watches learns of it. */
     "CREATE TABLE object("
     " number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, parent TEXT NOT NULL, id TEXT NOT NULL, handle TEXT,"
     " text TEXT NOT NULL, version INTEGER NOT NULL, created_utc_us INTEGER NOT NULL,"
     " updated_utc_us INTEGER NOT NULL, expires_utc_us INTEGER NOT NULL, removed INTEGER NOT NULL,"
     " change INTEGER NOT NULL UNIQUE);"
     "CREATE UNIQUE INDEX object_by_id ON object(kind, parent, id) WHERE removed = 0;"
     "CREATE UNIQUE INDEX object_by_handle ON object(kind, handle) WHERE removed = 0 AND handle IS NOT NULL;"
     "CREATE INDEX object_by_kind ON object(kind) WHERE removed = 0;"
     "CREATE INDEX object_by_parent ON object(kind, parent) WHERE removed = 0;"
     "CREATE INDEX object_by_expiry ON object(expires_utc_us) WHERE removed = 0 AND expires_utc_us > 0;"
     "CREATE INDEX object_removed ON object(updated_utc_us) WHERE removed = 1;"

     /* Texts are NULL when empty. `meta` holds the newest entry (audit_head) and the last one that retention removed
      * (audit_anchor), each as its number and its hash in hexadecimal. */
     "CREATE TABLE audit("
     " sequence INTEGER PRIMARY KEY, utc_us INTEGER NOT NULL, result INTEGER NOT NULL, previous BLOB NOT NULL,"
     " hash BLOB NOT NULL, actor_kind TEXT, actor_id TEXT, actor_name TEXT, actor_role TEXT, actor_address TEXT,"
     " workspace TEXT, action TEXT, resource_type TEXT, resource_id TEXT, resource_name TEXT, changes TEXT,"
     " request TEXT, reason TEXT, message TEXT);"
     "CREATE INDEX audit_by_actor ON audit(actor_id) WHERE actor_id IS NOT NULL;"
     "CREATE INDEX audit_by_actor_name ON audit(actor_name) WHERE actor_name IS NOT NULL;"
     "CREATE INDEX audit_by_workspace ON audit(workspace) WHERE workspace IS NOT NULL;"
     "CREATE INDEX audit_by_action ON audit(action);"
     "CREATE INDEX audit_by_resource ON audit(resource_id) WHERE resource_id IS NOT NULL;"
     "CREATE INDEX audit_by_type ON audit(resource_type);"
     "CREATE INDEX audit_by_result ON audit(result) WHERE result <> 0;"
     "CREATE TABLE audit_zone("
     " zone INTEGER PRIMARY KEY, first_utc_us INTEGER NOT NULL, last_utc_us INTEGER NOT NULL);"

     /* The plans that are there from the beginning, and the workspaces that keys name already. */
     "WITH plan(number, id, name, rate, month, price, overage) AS (VALUES"
     " (1, 'free', 'Free', 2, 10000000000, 0, 'false'),"
     " (2, 'developer', 'Developer', 10, 29000000000, 29000000000, 'true'),"
     " (3, 'startup', 'Startup', 50, 99000000000, 99000000000, 'true'),"
     " (4, 'enterprise', 'Enterprise', 200, 499000000000, 499000000000, 'true'))"
     "INSERT INTO object(number, kind, parent, id, text, version, created_utc_us, updated_utc_us, expires_utc_us,"
     " removed, change)"
     " SELECT number, 1, '', id, json_object('name', name, 'requests_per_second', rate, 'cu_milli_per_month', month,"
     " 'price_cu_milli_per_month', price, 'overage', json(overage)), 1, strftime('%s') * 1000000,"
     " strftime('%s') * 1000000, 0, 0, number FROM plan ORDER BY number;"
     "INSERT INTO object(number, kind, parent, id, text, version, created_utc_us, updated_utc_us, expires_utc_us,"
     " removed, change)"
     " SELECT 4 + row_number() OVER (), 2, '', id, json_object('name', id, 'plan', NULL, 'suspended',"
     " json('false')), 1, strftime('%s') * 1000000, strftime('%s') * 1000000, 0, 0, 4 + row_number() OVER ()"
     " FROM (SELECT 'default' AS id UNION ALL SELECT * FROM"
     " (SELECT DISTINCT workspace FROM api_key WHERE workspace <> 'default' ORDER BY 1));"},
    /* A row a day of request records, whose tables are made as the days come (sqlite_records.h). */
    {4, 2, "request records",
     "CREATE TABLE record_partition("
     " day INTEGER PRIMARY KEY, first_number INTEGER NOT NULL, next_number INTEGER NOT NULL, records INTEGER NOT NULL,"
     " first_start_utc_us INTEGER NOT NULL, last_start_utc_us INTEGER NOT NULL, indexed_to INTEGER NOT NULL,"
     " merged_to INTEGER NOT NULL, dropping INTEGER NOT NULL);"
     "INSERT INTO meta(name, value) VALUES('record_id_key', randomblob(16));"},
    {5, 2, "captured contents",
     "CREATE TABLE content("
     " number INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, workspace TEXT NOT NULL,"
     " created_utc_us INTEGER NOT NULL, expires_utc_us INTEGER NOT NULL, blob BLOB NOT NULL);"
     "CREATE INDEX content_by_expiry ON content(expires_utc_us);"},
    /* Sums of the ledger (sqlite_sums.h has the form of a place) and slices. team and user are numbers of the dictionary, of "workspace/id"; family of
     * the id, NULL where it is the key itself. An older program writes to the ledger and not to the sums: what it wrote is found by
     * comparing `next_sequence`, which it counts on, with `summed_next`, which it does not know; `unsummed` holds such ranges, and at first all
     * that there is. */
    {6, 2, "what was spent, by quarters of hours; usage by hours and days; slices of budgets",
     "ALTER TABLE ledger ADD COLUMN team INTEGER;"
     "ALTER TABLE ledger ADD COLUMN user INTEGER;"
     "ALTER TABLE ledger ADD COLUMN family INTEGER;"
     "ALTER TABLE ledger_more ADD COLUMN attempt_costs BLOB;"
     "CREATE TABLE spend_quarter("
     " place INTEGER PRIMARY KEY, cu_milli INTEGER NOT NULL, requests INTEGER NOT NULL, tokens INTEGER NOT NULL);"
     "CREATE TABLE spend_day("
     " place INTEGER PRIMARY KEY, cu_milli INTEGER NOT NULL, requests INTEGER NOT NULL, tokens INTEGER NOT NULL);"
     "CREATE TABLE unsummed(first INTEGER PRIMARY KEY, next INTEGER NOT NULL);"
     "INSERT INTO meta(name, value) VALUES('summed_next', 1);"
     "CREATE TABLE slice("
     " instance BLOB NOT NULL, subject INTEGER NOT NULL, unit INTEGER NOT NULL, rolling INTEGER NOT NULL,"
     " from_utc_us INTEGER NOT NULL, until_utc_us INTEGER NOT NULL, amount INTEGER NOT NULL,"
     " PRIMARY KEY(instance, subject, unit, rolling, from_utc_us, until_utc_us)) WITHOUT ROWID;"
     "CREATE INDEX slice_by_subject ON slice(subject);"

     /* What usage is summed up by: an entry's texts, or one of its tags and its workspace. */
     "CREATE TABLE usage_of("
     " number INTEGER PRIMARY KEY, key INTEGER NOT NULL, user INTEGER NOT NULL, team INTEGER NOT NULL,"
     " workspace INTEGER NOT NULL, provider INTEGER NOT NULL, model INTEGER NOT NULL, upstream_model INTEGER NOT NULL,"
     " endpoint INTEGER NOT NULL, tag TEXT);"
     "CREATE UNIQUE INDEX usage_of_entry ON usage_of(key, upstream_model, model, provider, endpoint, workspace, team,"
     " user) WHERE tag IS NULL;"
     "CREATE UNIQUE INDEX usage_of_tag ON usage_of(workspace, tag) WHERE tag IS NOT NULL;"
     "CREATE TABLE usage_hour("
     " place INTEGER PRIMARY KEY, requests INTEGER NOT NULL, errors INTEGER NOT NULL, aborted INTEGER NOT NULL,"
     " crashed INTEGER NOT NULL, unpriced INTEGER NOT NULL, estimated INTEGER NOT NULL, input INTEGER NOT NULL,"
     " cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,"
     " cost_cu_milli INTEGER NOT NULL, overrun_cu_milli INTEGER NOT NULL, reserved_cu_milli INTEGER NOT NULL);"
     "CREATE TABLE usage_day("
     " place INTEGER PRIMARY KEY, requests INTEGER NOT NULL, errors INTEGER NOT NULL, aborted INTEGER NOT NULL,"
     " crashed INTEGER NOT NULL, unpriced INTEGER NOT NULL, estimated INTEGER NOT NULL, input INTEGER NOT NULL,"
     " cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,"
     " cost_cu_milli INTEGER NOT NULL, overrun_cu_milli INTEGER NOT NULL, reserved_cu_milli INTEGER NOT NULL);"},
    /* The hash of every 64th receipt and of the last one that retention took away; `head` and `cut` are the newest one that is chained and that last
     * one (sqlite_receipts.c). */
    {7, 2, "the chain of receipts",
     "CREATE TABLE receipt_checkpoint(sequence INTEGER PRIMARY KEY, hash BLOB NOT NULL);"
     "CREATE TABLE receipt_place(name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL) WITHOUT ROWID;"},
    /* Of a range whose sums wait in a process's memory: the instance from whose slices its entries are to be taken, or an empty one. NULL: an older
     * program wrote its entries. */
    {8, 2, "whose entries wait to be summed", "ALTER TABLE unsummed ADD COLUMN instance BLOB;"},
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

struct state {
    int64_t step;    /* 0: a new file */
    int64_t version; /* what a program must know at least */
};

static enum weir_status read_state(struct weir_engine *engine, struct state *state, struct weir_error *error) {
    int64_t tables = 0;
    enum weir_status status = count(engine, "SELECT count(*) FROM sqlite_master", &tables, error);
    *state = (struct state){.step = 0};
    if (status != WEIR_OK || tables == 0)
        return status;
    status = count(engine, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'", &tables, error);
    if (status != WEIR_OK)
        return status;
    if (tables == 0)
        return weir_fail(error, WEIR_EINVAL, "the file is a database of another program");
    status = count(engine, "SELECT value FROM meta WHERE name = 'schema_version'", &state->version, error);
    if (status == WEIR_ENOTFOUND)
        return weir_fail(error, WEIR_ECORRUPT, "the database does not say its version");
    if (status != WEIR_OK)
        return status;
    status = count(engine, "SELECT value FROM meta WHERE name = 'schema_step'", &state->step, error);
    if (status == WEIR_ENOTFOUND) {
        /* Written by a program from before steps were counted by themselves. */
        state->step = state->version;
        status = WEIR_OK;
    }
    return status;
}

static enum weir_status migrate(struct weir_engine *engine, const char *environment, struct state *before,
                                struct weir_error *error) {
    enum weir_status status = read_state(engine, before, error);
    if (status != WEIR_OK)
        return status;
    const int64_t newest = migrations[MIGRATION_COUNT - 1].step;
    if (before->version > newest) {
        return weir_fail(
            error, WEIR_EDENIED,
            "the database has version %lld of the tables, and this program knows versions up to %lld: start the "
            "newer program, or restore a backup",
            (long long)before->version, (long long)newest);
    }
    if (before->step > 0) {
        status = check_environment(engine, environment, error);
        if (status != WEIR_OK || before->step >= newest)
            return status;
    }
    for (size_t i = 0; i < MIGRATION_COUNT && status == WEIR_OK; i++) {
        if (migrations[i].step > before->step)
            status = exec(engine, migrations[i].sql, error);
    }
    if (status == WEIR_OK && before->step == 0) {
        status = meta_write(engine, "environment", weir_span_of_string(environment), 0, error);
    }
    if (status == WEIR_OK) {
        status = meta_write(engine, "schema_version", WEIR_SPAN(""), migrations[MIGRATION_COUNT - 1].version, error);
    }
    if (status == WEIR_OK)
        status = meta_write(engine, "schema_step", WEIR_SPAN(""), newest, error);
    return status;
}

enum weir_status store__sqlite_prepare_schema(struct weir_engine *engine, const char *environment,
                                              struct weir_error *error) {
    struct state before;
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    return store__sqlite_end(engine, migrate(engine, environment, &before, error), error);
}

enum weir_status store__sqlite_try_schema(struct weir_engine *engine, const char *environment,
                                          struct weir_store_migration *migration, struct weir_error *error) {
    struct state before = {.step = 0};
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = migrate(engine, environment, &before, error);
    /* Anything but WEIR_OK takes it back. */
    status = store__sqlite_end(engine, status == WEIR_OK ? WEIR_END : status, error);
    if (status != WEIR_END)
        return status;
    *migration = (struct weir_store_migration){.from_step = before.step, .to_step = before.step};
    for (size_t i = 0; i < MIGRATION_COUNT; i++) {
        if (migrations[i].step <= before.step)
            continue;
        migration->to_step = migrations[i].step;
        weir_bug_on(migration->count == WEIR_STORE_MIGRATION_STEPS);
        migration->steps[migration->count++] = migrations[i].what;
        migration->ends_older_programs = migration->ends_older_programs || migrations[i].version > before.version;
    }
    return WEIR_OK;
}

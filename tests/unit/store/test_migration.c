/* Migrations: what was there is there, a dry run changes nothing, and the release before runs on the result. */
#include "fixture.h"
#include "old_forms.h"

#include <sqlite3.h>

#define TEXT(literal) WEIR_SPAN(literal)

/* The statements of the release that knew version 2 of the tables, as they were. They may not change. */
enum old_sql {
#define X(name, text) OLD_##name,
#include "statements_of_version_2.def"
#undef X
    OLD_COUNT
};
static const char *const old_sql[] = {
#define X(name, text) [OLD_##name] = text,
#include "statements_of_version_2.def"
#undef X
};
/* What it composed. */
static const char old_listing[] =
    "SELECT sequence, request_id, key, workspace, endpoint, model, provider, upstream_model, price_version,"
    " start_utc_us, duration_us, first_byte_us, reserved_cu_milli, cost_cu_milli, overrun_cu_milli, input_tokens,"
    " cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, revision, flags, usage_source,"
    " outcome, reason, status, client_request_id, trace_id, tags, client_address, attempts, input_audio_tokens,"
    " input_image_tokens, output_audio_tokens, output_image_tokens, unit, units, issued"
    " FROM ledger LEFT JOIN ledger_more USING(sequence) WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence"
    " LIMIT ?8";

static const char step_2[] =
    "CREATE TABLE ledger_more("
    " sequence INTEGER PRIMARY KEY, input_audio_tokens INTEGER, input_image_tokens INTEGER,"
    " output_audio_tokens INTEGER, output_image_tokens INTEGER, unit INTEGER, units INTEGER, issued BLOB);"
    "CREATE TABLE issued("
    " id TEXT PRIMARY KEY, provider INTEGER NOT NULL, model INTEGER NOT NULL, workspace INTEGER NOT NULL,"
    " created_utc_us INTEGER NOT NULL) WITHOUT ROWID;"
    "UPDATE meta SET value = 2 WHERE name = 'schema_version'";
static const char old_keys[] = "INSERT INTO api_key VALUES"
                               " ('key_1', zeroblob(31) || x'01', 'laptop', 'default', 'abcd', 10, 0, 0, 1),"
                               " ('key_2', zeroblob(31) || x'02', 'phone', 'zeta', 'efgh', 20, 30, 40, 2),"
                               " ('key_3', zeroblob(31) || x'03', 'desk', 'acme', 'ijkl', 50, 0, 0, 5),"
                               " ('key_4', zeroblob(31) || x'04', 'tablet', 'acme', 'mnop', 60, 0, 0, 6)";

static sqlite3 *open_plain(const char *location) {
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(location, &database), SQLITE_OK);
    (void)sqlite3_busy_timeout(database, 10000);
    return database;
}

static void execute(sqlite3 *database, const char *sql) {
    char *problem = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &problem) != SQLITE_OK)
        print_error("%s\n", problem);
    assert_null(problem);
}

static int64_t number_of(sqlite3 *database, const char *sql) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return number;
}

/* A database of an old release instead of the fixture's fresh one. */
static void make_old(struct fixture *fixture, int version) {
    fixture->ops->close(&fixture->engine);
    scratch_remove(fixture->scratch);
    assert_int_equal(mkdir(fixture->scratch, 0700), 0);
    sqlite3 *database = open_plain(fixture->location);
    execute(database, "PRAGMA journal_mode = WAL");
    execute(database, old_tables);
    if (version == 2)
        execute(database, step_2);
    execute(database, old_keys);
    (void)sqlite3_close(database);
}

struct summed {
    int64_t cost_cu_milli, entries;
};
static enum weir_status add_cost(void *context, const struct weir_ledger_entry *entry) {
    struct summed *sums = context;
    sums->cost_cu_milli += entry->cost_cu_milli;
    sums->entries++;
    return WEIR_OK;
}
static enum weir_status note_usage(void *context, const struct weir_usage_row *row) {
    struct summed *sums = context;
    sums->cost_cu_milli += row->sums.cost_cu_milli;
    sums->entries += row->sums.requests;
    return WEIR_OK;
}

/* The sums are those of all entries, of whoever has written them. */
static void assert_sums(struct fixture *fixture, int64_t count) {
    struct summed ledger = {.entries = 0}, usage = {.entries = 0};
    const struct weir_ledger_query all = {.limit = 10000};
    const struct weir_usage_query query = {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_KEY};
    const struct weir_uuid nobody = {{1}};
    struct weir_lease lease = {.counter = {.scope = WEIR_SCOPE_GLOBAL, .until_utc_us = INT64_MAX}};
    check(fixture, fixture->ops->ledger_each(fixture->engine, &all, add_cost, &ledger, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->usage_report(fixture->engine, &query, note_usage, &usage, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->lease(fixture->engine, &nobody, &lease, 1, &fixture->error), WEIR_OK);
    assert_true(ledger.entries == count && ledger.cost_cu_milli > 0);
    assert_true(usage.entries == count && usage.cost_cu_milli == ledger.cost_cu_milli);
    assert_true(lease.spent == ledger.cost_cu_milli);
}

static void what_was_there_is_there(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    for (int version = 1; version <= 2; version++) {
        make_old(fixture, version);
        for (int reopened = 0; reopened < 2; reopened++) {
            open_engine(fixture);
            struct weir_key_record key;
            check(fixture, ops->key_get(fixture->engine, TEXT("key_2"), fixture->arena, &key, &fixture->error),
                  WEIR_OK);
            assert_spans_equal(key.name, TEXT("phone"));
            assert_spans_equal(key.workspace, TEXT("zeta"));
            assert_true(key.created_utc_us == 20 && key.expires_utc_us == 30 && key.revoked_utc_us == 40);
            assert_true(key.version == 1 && key.change == 2 && key.number == 2 && !key.end_streams);
            assert_true(key.team.length == 0 && key.user.length == 0 && key.family.length == 0);
            assert_sums(fixture, 1);
            assert_true(key.rules.length == 0 && key.tags.length == 0 && key.updated_utc_us == 0);

            /* Each workspace that a key names is one. */
            const char *const names[] = {"default", "acme", "zeta"};
            for (size_t i = 0; i < 3; i++) {
                struct weir_object workspace;
                char text[128];
                check(fixture,
                      ops->object_get(fixture->engine, WEIR_OBJECT_WORKSPACE, TEXT(""), weir_span_of_string(names[i]),
                                      fixture->arena, &workspace, &fixture->error),
                      WEIR_OK);
                (void)snprintf(text, sizeof(text), "{\"name\":\"%s\",\"plan\":null,\"suspended\":false}", names[i]);
                assert_spans_equal(workspace.text, weir_span_of_string(text));
                assert_true(workspace.number == 5 + (int64_t)i && workspace.change == 5 + i);
            }
            ops->close(&fixture->engine);
        }
        sqlite3 *database = open_plain(fixture->location);
        assert_true(number_of(database, "SELECT count(*) FROM object") == 7);
        assert_true(number_of(database, "SELECT count(*) FROM ledger") == 1);
        assert_true(number_of(database, "SELECT value FROM meta WHERE name = 'schema_version'") == 2);
        assert_true(number_of(database, "SELECT value FROM meta WHERE name = 'schema_step'") >= 3);
        (void)sqlite3_close(database);
    }
    open_engine(fixture);
}

/* All that a file's content depends on. */
static int64_t fingerprint(const char *location) {
    sqlite3 *database = open_plain(location);
    int64_t sum = number_of(database, "SELECT total(length(sql)) + count(*) * 1000000 FROM sqlite_master");
    sum += number_of(database, "SELECT sum(value * length(name)) FROM meta WHERE name LIKE 'schema%'") * 1000;
    sum += number_of(database, "PRAGMA schema_version");
    (void)sqlite3_close(database);
    return sum;
}

static void a_dry_run_changes_nothing(void **state) {
    struct fixture *fixture = *state;
    struct weir_store_migration migration;
    check(fixture, weir_store_direct_migration(fixture->scratch, "dev", &migration, &fixture->error), WEIR_OK);
    int64_t newest = migration.to_step;
    assert_true(migration.from_step == newest && newest >= 3 && migration.count == 0);
    assert_false(migration.ends_older_programs);
    for (int version = 1; version <= 2; version++) {
        make_old(fixture, version);
        int64_t before = fingerprint(fixture->location);
        for (int again = 0; again < 2; again++) {
            check(fixture, weir_store_direct_migration(fixture->scratch, "dev", &migration, &fixture->error), WEIR_OK);
            assert_true(migration.from_step == version && migration.to_step == newest);
            assert_int_equal(migration.count, (size_t)(newest - version));
            for (size_t i = 0; i < migration.count; i++)
                assert_true(strlen(migration.steps[i]) > 0);
            assert_true(migration.ends_older_programs == (version == 1));
            assert_true(fingerprint(fixture->location) == before);
        }
        assert_int_equal(weir_store_direct_migration(fixture->scratch, "prod", &migration, &fixture->error),
                         WEIR_EDENIED);
        assert_true(fingerprint(fixture->location) == before);
        open_engine(fixture); /* and then it does what it said */
        assert_true(fingerprint(fixture->location) != before);
        check(fixture, weir_store_direct_migration(fixture->scratch, "dev", &migration, &fixture->error), WEIR_OK);
        assert_true(migration.from_step == newest && migration.count == 0);
    }
    assert_int_equal(weir_store_direct_migration("/tmp/weir-no-such-directory", "dev", &migration, &fixture->error),
                     WEIR_ENOTFOUND);
}

/* A migration that cannot be done fails in the dry run, with words, and the database is as it was. */
static void a_dry_run_finds_what_would_fail(void **state) {
    struct fixture *fixture = *state;
    struct weir_store_migration migration;
    make_old(fixture, 2);
    sqlite3 *database = open_plain(fixture->location);
    execute(database, "CREATE TABLE audit(x)");
    (void)sqlite3_close(database);
    int64_t before = fingerprint(fixture->location);
    assert_int_not_equal(weir_store_direct_migration(fixture->scratch, "dev", &migration, &fixture->error), WEIR_OK);
    assert_non_null(strstr(fixture->error.text, "audit"));
    assert_int_not_equal(fixture->ops->open(fixture->location, "dev", &fixture->engine, &fixture->error), WEIR_OK);
    assert_true(fingerprint(fixture->location) == before);
}

static void later_steps_are_used_as_they_are(void **state) {
    struct fixture *fixture = *state;
    struct weir_store_migration migration;
    struct weir_key_record key = {.id = "key_1", .name = TEXT("n"), .workspace = TEXT("default")};
    sqlite3 *database = open_plain(fixture->location);
    fixture->ops->close(&fixture->engine);
    execute(database, "UPDATE meta SET value = 90 WHERE name = 'schema_step'");
    execute(database, "ALTER TABLE api_key ADD COLUMN of_the_future TEXT; CREATE TABLE future(x)");
    open_engine(fixture);
    check(fixture, fixture->ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
    assert_true(number_of(database, "SELECT value FROM meta WHERE name = 'schema_step'") == 90);
    check(fixture, weir_store_direct_migration(fixture->scratch, "dev", &migration, &fixture->error), WEIR_OK);
    assert_true(migration.from_step == 90 && migration.to_step == 90 && migration.count == 0);
    fixture->ops->close(&fixture->engine);
    execute(database, "UPDATE meta SET value = 90 WHERE name = 'schema_version'");
    assert_int_equal(fixture->ops->open(fixture->location, "dev", &fixture->engine, &fixture->error), WEIR_EDENIED);
    assert_int_equal(weir_store_direct_migration(fixture->scratch, "dev", &migration, &fixture->error), WEIR_EDENIED);
    assert_non_null(strstr(fixture->error.text, "90"));
    (void)sqlite3_close(database);
}

/* --- the release before --- */
struct old_program {
    sqlite3 *database;
    sqlite3_stmt *statements[OLD_COUNT];
};

static struct old_program start_old(const char *location) {
    struct old_program old = {.database = open_plain(location)};
    execute(old.database, "PRAGMA trusted_schema = OFF");
    /* It refuses what says more than 2. */
    assert_true(number_of(old.database, "SELECT value FROM meta WHERE name = 'schema_version'") == 2);
    for (size_t i = 0; i < OLD_COUNT; i++) {
        int code = sqlite3_prepare_v2(old.database, old_sql[i], -1, &old.statements[i], NULL);
        if (code != SQLITE_OK)
            print_error("%s: %s\n", old_sql[i], sqlite3_errmsg(old.database));
        assert_int_equal(code, SQLITE_OK);
    }
    return old;
}

static void stop_old(struct old_program *old) {
    for (size_t i = 0; i < OLD_COUNT; i++)
        (void)sqlite3_finalize(old->statements[i]);
    assert_int_equal(sqlite3_close(old->database), SQLITE_OK);
}

/* Values for the parameters of a statement, as a format says: i, t, b (an id or a hash of one byte's sixteen or 32), n. */
static int64_t run_old(struct old_program *old, enum old_sql which, const char *format, ...) {
    sqlite3_stmt *statement = old->statements[which];
    va_list values;
    va_start(values, format);
    assert_int_equal(sqlite3_bind_parameter_count(statement), (int)strlen(format));
    for (int i = 0; format[i] != '\0'; i++) {
        unsigned char bytes[WEIR_KEY_HASH_SIZE];
        if (format[i] == 'i') {
            (void)sqlite3_bind_int64(statement, i + 1, va_arg(values, int));
        } else if (format[i] == 't') {
            (void)sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
        } else if (format[i] == 'b' || format[i] == 'h') {
            memset(bytes, va_arg(values, int), sizeof(bytes));
            (void)sqlite3_bind_blob(statement, i + 1, bytes, format[i] == 'b' ? 16 : 32, SQLITE_TRANSIENT);
        }
    }
    va_end(values);
    int64_t first = 0;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        first = sqlite3_column_int64(statement, 0);
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_DONE)
        print_error("%s: %s\n", old_sql[which], sqlite3_errmsg(old->database));
    assert_int_equal(code, SQLITE_DONE);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return first;
}

static size_t rows_of(sqlite3_stmt *statement) {
    size_t rows = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        rows++;
    assert_int_equal(code, SQLITE_DONE);
    (void)sqlite3_reset(statement);
    return rows;
}

static enum weir_status note_sequence(void *context, const struct weir_ledger_entry *entry) {
    *(struct weir_ledger_entry *)context = *entry;
    return WEIR_OK;
}

static void use_as_the_release_before(struct fixture *fixture, struct old_program *old, int seed) {
    char id[16];
    /* Keys: made, listed, revoked. */
    (void)snprintf(id, sizeof(id), "key_old_%d", seed);
    (void)run_old(old, OLD_BEGIN, "");
    int64_t change = run_old(old, OLD_KEY_INSERT,
                             "thttt"
                             "iii",
                             id, seed, "a name", "default", "abcd", 5, 0, 0);
    (void)run_old(old, OLD_COMMIT, "");
    assert_true(change > 0);
    (void)sqlite3_bind_int64(old->statements[OLD_KEY_EACH], 1, change - 1);
    assert_int_equal(rows_of(old->statements[OLD_KEY_EACH]), 1);
    assert_true(run_old(old, OLD_KEY_REVOKED, "t", id) == 0);
    (void)run_old(old, OLD_KEY_REVOKE, "it", 777, id);
    assert_true(run_old(old, OLD_KEY_REVOKED, "t", id) == 777);

    /* The ledger: an entry with a second row and an issued id, and its listing. */
    int64_t next = run_old(old, OLD_META_READ, "t", "next_sequence");
    if (next == 0)
        next = 1;
    (void)run_old(old, OLD_BEGIN, "");
    int64_t text = run_old(old, OLD_DICTIONARY_FIND, "t", "old_text");
    if (text == 0)
        text = run_old(old, OLD_DICTIONARY_INSERT, "t", "old_text");
    (void)run_old(old, OLD_LEDGER_INSERT, "ibiiiiiiiiiiiiiiiiiiiiiiiitnttn", (int)next, seed, (int)text, (int)text,
                  (int)text, (int)text, (int)text, (int)text, (int)text, 1000, 10, 5, 9, 8, 0, 1, 2, 3, 4, 5, 6, 0, 1,
                  0, 0, 200, "client", "tags", "192.0.2.1");
    (void)run_old(old, OLD_MORE_INSERT, "iiiiiiin", (int)next, 1, 2, 3, 4, 0, 0);
    (void)run_old(old, OLD_ZONE_WRITE, "iii", (int)(next >> 10), 1000, 1000);
    (void)run_old(old, OLD_ISSUED_WRITE, "tiiii", id, (int)text, (int)text, (int)text, 5);
    (void)run_old(old, OLD_CURSOR_WRITE, "biii", seed, 0, 1, 64);
    (void)run_old(old, OLD_OPEN_INSERT, "bbit", seed, seed, 0, "record");
    (void)run_old(old, OLD_OPEN_FORGET, "b", seed);
    (void)run_old(old, OLD_META_WRITE, "ti", "next_sequence", (int)next + 1);
    (void)run_old(old, OLD_COMMIT, "");
    sqlite3_stmt *listing = NULL;
    assert_int_equal(sqlite3_prepare_v2(old->database, old_listing, -1, &listing, NULL), SQLITE_OK);
    (void)sqlite3_bind_int64(listing, 1, next - 1);
    (void)sqlite3_bind_int64(listing, 2, next);
    (void)sqlite3_bind_int64(listing, 8, 10);
    assert_int_equal(rows_of(listing), 1);
    (void)sqlite3_finalize(listing);

    /* Instances, revisions, leases. */
    (void)run_old(old, OLD_INSTANCE_BEGIN, "bi", seed, 5);
    (void)run_old(old, OLD_INSTANCE_END, "b", seed);
    (void)run_old(old, OLD_CURSOR_FORGET, "b", seed);
    assert_true(run_old(old, OLD_REVISION_INSERT, "bti", seed, "text", 5) > 0);
    (void)run_old(old, OLD_LEASE_DEFINE, "ti", "lease", 10);
    assert_true(run_old(old, OLD_LEASE_FREE, "t", "lease") == 10);
    (void)run_old(old, OLD_SHARE_ADD, "tbi", "lease", seed, 0);

    /* The newer release sees all of it. */
    struct weir_key_record key;
    check(fixture,
          fixture->ops->key_get(fixture->engine, weir_span_of_string(id), fixture->arena, &key, &fixture->error),
          WEIR_OK);
    assert_true(key.revoked_utc_us == 777 && key.version == 1);
    check(fixture, fixture->ops->key_update(fixture->engine, &key, 1, &fixture->error), WEIR_OK);
    struct weir_ledger_entry entry = {.sequence = 0};
    const struct weir_ledger_query query = {.after_sequence = next - 1, .limit = 1};
    check(fixture, fixture->ops->ledger_each(fixture->engine, &query, note_sequence, &entry, &fixture->error), WEIR_OK);
    assert_true(entry.sequence == next && entry.cost_cu_milli == 8 && entry.usage.input_audio == 1);
    assert_sums(fixture, next);
}

static void the_release_before_runs_on_it(void **state) {
    struct fixture *fixture = *state;
    for (int version = 0; version <= 2; version++) {
        if (version > 0) {
            make_old(fixture, version);
            open_engine(fixture);
        }
        struct old_program old = start_old(fixture->location);
        use_as_the_release_before(fixture, &old, 1 + version);
        /* A key with all that is new: the old one lists and revokes it, and takes nothing away. */
        struct weir_key_record key = {.id = "key_new",
                                      .hash = {9},
                                      .name = TEXT("n"),
                                      .workspace = TEXT("default"),
                                      .rules = TEXT("{\"models\":[]}"),
                                      .team = TEXT("t")};
        check(fixture, fixture->ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
        (void)sqlite3_bind_int64(old.statements[OLD_KEY_EACH], 1, (int64_t)key.change - 1);
        assert_int_equal(rows_of(old.statements[OLD_KEY_EACH]), 1);
        (void)run_old(&old, OLD_KEY_REVOKE, "it", 888, "key_new");
        check(fixture, fixture->ops->key_get(fixture->engine, TEXT("key_new"), fixture->arena, &key, &fixture->error),
              WEIR_OK);
        assert_true(key.revoked_utc_us == 888);
        assert_spans_equal(key.rules, TEXT("{\"models\":[]}"));
        assert_spans_equal(key.team, TEXT("t"));
        stop_old(&old);
    }
}

/* It may even be running while the newer one migrates. */
static void the_release_before_lives_through_the_migration(void **state) {
    struct fixture *fixture = *state;
    make_old(fixture, 2);
    struct old_program old = start_old(fixture->location);
    (void)sqlite3_bind_int64(old.statements[OLD_KEY_EACH], 1, 0);
    assert_int_equal(rows_of(old.statements[OLD_KEY_EACH]), 4);
    open_engine(fixture);
    use_as_the_release_before(fixture, &old, 7);
    stop_old(&old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON(0, what_was_there_is_there),         ON(0, a_dry_run_changes_nothing),
        ON(0, a_dry_run_finds_what_would_fail), ON(0, later_steps_are_used_as_they_are),
        ON(0, the_release_before_runs_on_it),   ON(0, the_release_before_lives_through_the_migration),
    };
    return cmocka_run_group_tests_name("migrations", tests, NULL, NULL);
}

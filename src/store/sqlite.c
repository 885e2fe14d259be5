/* The SQLite engine: opening and closing, statements, transactions, failures.
 *
 * WAL with synchronous=NORMAL: a commit is written to the log file but not forced to the disk; it survives the
 * process, not a power loss. Where that matters (keys, and journal segments about to be deleted) the log file is
 * forced explicitly (store__sqlite_flush). One connection, one thread at a time; the mutexes of the library are off.
 */
#include "store/sqlite_records.h"
#include "store/sqlite_sums.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_PATIENCE_MS = 5000 };

static const char *const statement_texts[] = {
#define X(name, text) [STORE__SQL_##name] = text,
#include "store/sqlite_statements.def"
#undef X
};

static enum weir_status status_of(int code) {
    static const struct {
        int code;
        enum weir_status status;
    } meanings[] = {
        {SQLITE_BUSY, WEIR_EBUSY},        {SQLITE_LOCKED, WEIR_EBUSY},    {SQLITE_FULL, WEIR_EFULL},
        {SQLITE_CORRUPT, WEIR_ECORRUPT},  {SQLITE_NOTADB, WEIR_ECORRUPT}, {SQLITE_NOMEM, WEIR_ENOMEM},
        {SQLITE_CONSTRAINT, WEIR_EEXIST}, {SQLITE_TOOBIG, WEIR_ELIMIT},
    };
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].code == (code & 0xFF))
            return meanings[i].status;
    }
    return WEIR_EIO;
}

enum weir_status store__sqlite_fail(struct weir_engine *engine, const char *what, struct weir_error *error) {
    int code = sqlite3_errcode(engine->database);
    return weir_fail(error, status_of(code), "cannot %s: %s", what, sqlite3_errmsg(engine->database));
}

enum weir_status store__sqlite_statement(struct weir_engine *engine, enum store__sql which, sqlite3_stmt **statement,
                                         struct weir_error *error) {
    if (engine->statements[which] == NULL) {
        int code = sqlite3_prepare_v3(engine->database, statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                                      &engine->statements[which], NULL);
        if (code != SQLITE_OK)
            return store__sqlite_fail(engine, "prepare a statement", error);
    }
    *statement = engine->statements[which];
    return WEIR_OK;
}

enum weir_status store__sqlite_prepare(struct weir_engine *engine, const char *sql, const char *what,
                                       sqlite3_stmt **statement, struct weir_error *error) {
    if (sqlite3_prepare_v2(engine->database, sql, -1, statement, NULL) == SQLITE_OK)
        return WEIR_OK;
    return store__sqlite_fail(engine, what, error);
}

enum weir_status store__sqlite_run(struct weir_engine *engine, sqlite3_stmt *statement, const char *what,
                                   struct weir_error *error) {
    int code = sqlite3_step(statement);
    enum weir_status status = WEIR_OK;
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        status = store__sqlite_fail(engine, what, error);
    (void)sqlite3_reset(statement);
    return status;
}

enum weir_status store__sqlite_integers(struct weir_engine *engine, sqlite3_stmt *statement, const char *what,
                                        int64_t *values, int count, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        for (int i = 0; i < count; i++)
            values[i] = sqlite3_column_int64(statement, i);
        /* To the end: with RETURNING the row exists only once the statement is done. */
        if (sqlite3_step(statement) != SQLITE_DONE)
            status = store__sqlite_fail(engine, what, error);
    } else if (code == SQLITE_DONE) {
        status = WEIR_ENOTFOUND;
    } else {
        status = store__sqlite_fail(engine, what, error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

enum weir_status store__sqlite_integer(struct weir_engine *engine, sqlite3_stmt *statement, const char *what,
                                       int64_t *value, struct weir_error *error) {
    return store__sqlite_integers(engine, statement, what, value, 1, error);
}

static enum weir_status run_plain(struct weir_engine *engine, enum store__sql which, const char *what,
                                  struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    return status == WEIR_OK ? store__sqlite_run(engine, statement, what, error) : status;
}

/* --- transactions ---
 * Inside a work the transactions of single operations become savepoints: one that fails takes back what it did and
 * leaves the rest. After some failures (no space, no memory, a disk that refuses) SQLite takes back everything by
 * itself; whatever comes then inside the same work is refused, for it would stand alone. */
static enum weir_status begin(struct weir_engine *engine, enum store__sql outermost, struct weir_error *error) {
    bool nested = engine->depth > 0;
    if (nested && sqlite3_get_autocommit(engine->database) != 0)
        return weir_fail(error, WEIR_EIO, "the database has taken back what this belongs to");
    enum weir_status status = run_plain(engine, nested ? STORE__SQL_SAVEPOINT : outermost, "begin a transaction",
                                        error);
    if (status == WEIR_OK)
        engine->depth++;
    return status;
}

enum weir_status store__sqlite_begin(struct weir_engine *engine, struct weir_error *error) {
    return begin(engine, STORE__SQL_BEGIN, error);
}

enum weir_status store__sqlite_begin_to_read(struct weir_engine *engine, struct weir_error *error) {
    return begin(engine, STORE__SQL_BEGIN_TO_READ, error);
}

enum weir_status store__sqlite_end(struct weir_engine *engine, enum weir_status status, struct weir_error *error) {
    weir_bug_on(engine->depth == 0);
    bool nested = --engine->depth > 0;
    if (status == WEIR_OK)
        status = run_plain(engine, nested ? STORE__SQL_RELEASE : STORE__SQL_COMMIT, "commit a transaction", error);
    if (status != WEIR_OK) {
        /* Where SQLite has rolled back by itself there is nothing left to do. */
        if (sqlite3_get_autocommit(engine->database) == 0) {
            (void)run_plain(engine, nested ? STORE__SQL_ROLLBACK_NESTED : STORE__SQL_ROLLBACK, "roll back", NULL);
            if (nested)
                (void)run_plain(engine, STORE__SQL_RELEASE, "roll back", NULL);
        }
        store__dictionary_clear(engine); /* it may know numbers that were taken back */
        store__record_gather_forget(engine);
        store__sums_forget(engine);
        store__waiting_forget(engine);
    }
    return status;
}

enum weir_status store__sqlite_end_durably(struct weir_engine *engine, enum weir_status status,
                                           struct weir_error *error) {
    status = store__sqlite_end(engine, status, error);
    return status == WEIR_OK && engine->depth == 0 ? store__sqlite_flush(engine, error) : status;
}

static enum weir_status work_begin(struct weir_engine *engine, struct weir_error *error) {
    weir_bug_on(engine->depth > 0);
    return store__sqlite_begin(engine, error);
}

enum weir_status store__sqlite_flush(struct weir_engine *engine, struct weir_error *error) {
    sqlite3_file *log = NULL;
    int code = sqlite3_file_control(engine->database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    /* Without a log file all is in the database file, which a checkpoint has forced. */
    if (code == SQLITE_OK && log != NULL && log->pMethods != NULL)
        code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    if (code == SQLITE_OK)
        return WEIR_OK;
    return weir_fail(error, WEIR_EIO, "cannot force the database's log to the disk: %s", sqlite3_errstr(code));
}

void store__bind_integer(struct store__binder *binder, int64_t value) {
    int code = sqlite3_bind_int64(binder->statement, ++binder->index, value);
    if (binder->code == SQLITE_OK)
        binder->code = code;
}

void store__bind_nonzero(struct store__binder *binder, int64_t value) {
    if (value != 0) {
        store__bind_integer(binder, value);
    } else {
        store__bind_null(binder);
    }
}

void store__bind_text(struct store__binder *binder, struct weir_span text) {
    int code = sqlite3_bind_text(binder->statement, ++binder->index, text.length > 0 ? text.at : "", (int)text.length,
                                 SQLITE_STATIC);
    if (binder->code == SQLITE_OK)
        binder->code = code;
}

void store__bind_text_or_null(struct store__binder *binder, struct weir_span text) {
    if (text.length > 0) {
        store__bind_text(binder, text);
    } else {
        store__bind_null(binder);
    }
}

void store__bind_blob(struct store__binder *binder, const void *bytes, size_t size) {
    int code = sqlite3_bind_blob(binder->statement, ++binder->index, bytes, (int)size, SQLITE_STATIC);
    if (binder->code == SQLITE_OK)
        binder->code = code;
}

void store__bind_null(struct store__binder *binder) {
    int code = sqlite3_bind_null(binder->statement, ++binder->index);
    if (binder->code == SQLITE_OK)
        binder->code = code;
}

enum weir_status store__binder_run(struct weir_engine *engine, struct store__binder *binder, const char *what,
                                   struct weir_error *error) {
    if (binder->code != SQLITE_OK)
        return store__sqlite_fail(engine, what, error);
    return store__sqlite_run(engine, binder->statement, what, error);
}

struct weir_span store__column_span(sqlite3_stmt *statement, int column) {
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return WEIR_SPAN("");
    const char *at = sqlite3_column_blob(statement, column); /* as it is stored, for texts too */
    int length = sqlite3_column_bytes(statement, column);
    return at != NULL && length > 0 ? weir_span_of(at, (size_t)length) : WEIR_SPAN("");
}

/* --- opening --- */
/* The library would create the file as the umask has it, and gives its log the same mode. */
static enum weir_status create_file(const char *location, struct weir_error *error) {
    int fd = open(location, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return WEIR_OK;
    if (fd < 0) {
        int code = errno;
        return weir_fail(error, code == ENOSPC ? WEIR_EFULL : WEIR_EIO, "cannot create the database %s: %s", location,
                         strerror(code));
    }
    int code = fchmod(fd, 0600) == 0 ? 0 : errno;
    (void)close(fd);
    return code == 0 ? WEIR_OK
                     : weir_fail(error, WEIR_EIO, "cannot protect the database %s: %s", location, strerror(code));
}

/* `migration` is NULL, or the migration is only tried. */
static enum weir_status settle_in(struct weir_engine *engine, const char *environment,
                                  struct weir_store_migration *migration, struct weir_error *error) {
    static const char pragmas[] =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 2000;"
        "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192;"
        "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF";
    if (sqlite3_exec(engine->database, pragmas, NULL, NULL, NULL) != SQLITE_OK) {
        return store__sqlite_fail(engine, "open the database", error);
    }
    if (migration != NULL)
        return store__sqlite_try_schema(engine, environment, migration, error);
    return store__sqlite_prepare_schema(engine, environment, error);
}

static void engine_close(struct weir_engine **engine) {
    struct weir_engine *closing = *engine;
    if (closing == NULL)
        return;
    store__waiting_close(closing);
    store__dictionary_clear(closing);
    store__records_release(closing);
    store__sums_release(closing);
    for (size_t i = 0; i < STORE__SQL_COUNT; i++)
        (void)sqlite3_finalize(closing->statements[i]);
    (void)sqlite3_close(closing->database);
    weir_memory_free(closing);
    *engine = NULL;
}

static void set_patience(struct weir_engine *engine, unsigned milliseconds) {
    (void)sqlite3_busy_timeout(engine->database, (int)milliseconds);
}

static enum weir_status open_database(const char *location, const char *environment,
                                      struct weir_store_migration *migration, struct weir_engine **engine,
                                      struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    struct weir_engine *opened = weir_memory_new(1, sizeof(*opened));
    if (opened == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory to open the database");
    opened->zone.number = -1;
    opened->data_version = -1;
    opened->self_changed = true;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(location, &opened->database, flags, NULL) != SQLITE_OK) {
        status = weir_fail(error, WEIR_EIO, "cannot open the database %s: %s", location,
                           opened->database != NULL ? sqlite3_errmsg(opened->database) : "no memory");
        engine_close(&opened);
        return status;
    }
    set_patience(opened, OPEN_PATIENCE_MS);
    /* Changing to WAL and recovering a log answer "busy" at once, whatever the patience is. */
    int64_t deadline_ns = weir_clock_monotonic_ns() + (int64_t)OPEN_PATIENCE_MS * 1000000;
    do {
        status = settle_in(opened, environment, migration, error);
        if (status == WEIR_EBUSY)
            (void)usleep(10000);
    } while (status == WEIR_EBUSY && weir_clock_monotonic_ns() < deadline_ns);
    if (status != WEIR_OK) {
        engine_close(&opened);
        return status;
    }
    *engine = opened;
    return WEIR_OK;
}

static enum weir_status engine_open(const char *location, const char *environment, struct weir_engine **engine,
                                    struct weir_error *error) {
    enum weir_status status = create_file(location, error);
    return status == WEIR_OK ? open_database(location, environment, NULL, engine, error) : status;
}

static enum weir_status try_migration(const char *location, const char *environment,
                                      struct weir_store_migration *migration, struct weir_error *error) {
    struct weir_engine *engine = NULL;
    enum weir_status status = open_database(location, environment, migration, &engine, error);
    engine_close(&engine);
    return status;
}

static bool engine_changed(struct weir_engine *engine) {
    sqlite3_stmt *statement = NULL;
    int64_t version = engine->data_version;
    if (store__sqlite_statement(engine, STORE__SQL_DATA_VERSION, &statement, NULL) != WEIR_OK)
        return false;
    if (store__sqlite_integer(engine, statement, "look for changes", &version, NULL) != WEIR_OK)
        return false;
    /* The version grows with other connections' commits alone; our own are noted as they happen. */
    bool changed = engine->self_changed || version != engine->data_version;
    engine->self_changed = false;
    engine->data_version = version;
    return changed;
}

const struct weir_engine_ops weir_engine_sqlite = {
    .name = "sqlite",
    .open = engine_open,
    .close = engine_close,
    .try_migration = try_migration,
    .key_insert = store__sqlite_key_insert,
    .key_revoke = store__sqlite_key_revoke,
    .key_each = store__sqlite_key_each,
    .changed = engine_changed,
    .ingest_begin = store__sqlite_ingest_begin,
    .ingest_from = store__sqlite_ingest_from,
    .ingest_entry = store__sqlite_ingest_entry,
    .ingest_open = store__sqlite_ingest_open,
    .ingest_cursor = store__sqlite_ingest_cursor,
    .ingest_commit = store__sqlite_ingest_commit,
    .ingest_rollback = store__sqlite_ingest_rollback,
    .cursor_read = store__sqlite_cursor_read,
    .settle_crashed = store__sqlite_settle_crashed,
    .ledger_each = store__sqlite_ledger_each,
    .issued_find = store__sqlite_issued_find,
    .revision_save = store__sqlite_revision_save,
    .instance_begin = store__sqlite_instance_begin,
    .instance_end = store__sqlite_instance_end,
    .instance_each = store__sqlite_instance_each,
    .lease = store__sqlite_lease,
    .slice_sweep = store__sqlite_slice_sweep,
    .sums_step = store__sqlite_sums_step,
    .sums_write = store__sqlite_sums_write,
    .spend_each = store__sqlite_spend_each,
    .usage_report = store__sqlite_usage_report,
    .usage_plan = store__sqlite_usage_plan,
    .usage_trim = store__sqlite_usage_trim,
    .ledger_prune = store__sqlite_ledger_prune,
    .record_settings = store__sqlite_record_settings,
    .record_upkeep = store__sqlite_record_upkeep,
    .record_list = store__sqlite_record_list,
    .record_find = store__sqlite_record_find,
    .content_put = store__sqlite_content_put,
    .content_get = store__sqlite_content_get,
    .content_delete = store__sqlite_content_delete,
    .content_each = store__sqlite_content_each,
    .content_reseal = store__sqlite_content_reseal,
    .content_sweep = store__sqlite_content_sweep,
    .work_begin = work_begin,
    .work_end = store__sqlite_end_durably,
    .key_update = store__sqlite_key_update,
    .key_get = store__sqlite_key_get,
    .key_find = store__sqlite_key_find,
    .key_list = store__sqlite_key_list,
    .key_last_use = store__sqlite_key_last_use,
    .object_create = store__sqlite_object_create,
    .object_update = store__sqlite_object_update,
    .object_remove = store__sqlite_object_remove,
    .object_get = store__sqlite_object_get,
    .object_find = store__sqlite_object_find,
    .object_list = store__sqlite_object_list,
    .object_each = store__sqlite_object_each,
    .object_sweep = store__sqlite_object_sweep,
    .audit_append = store__sqlite_audit_append,
    .audit_each = store__sqlite_audit_each,
    .audit_verify = store__sqlite_audit_verify,
    .audit_prune = store__sqlite_audit_prune,
    .revision_list = store__sqlite_revision_list,
    .receipt_advance = store__sqlite_receipt_advance,
    .receipt_chain = store__sqlite_receipt_chain,
    .receipt_each = store__sqlite_receipt_each,
    .receipt_verify = store__sqlite_receipt_verify,
    .flush = store__sqlite_flush,
    .set_patience = set_patience,
};

/* The SQLite engine's inside: the connection, its cached statements, and the small helpers its files share.
 *
 * All SQL that is prepared once stands in sqlite_statements.def, the schema in sqlite_schema.c; only listings
 * with filters compose their text, from fixed pieces. Values are always bound.
 */
#ifndef WEIR_STORE_SQLITE_IMPL_H
#define WEIR_STORE_SQLITE_IMPL_H

#include "base/map.h"
#include "store/store.h"

#include <sqlite3.h>

/* The columns of a row as the readers of keys, objects and audit entries expect them. */
#define STORE__KEY_COLUMNS                                                                                        \
    "id, hash, name, workspace, hint, created_utc_us, expires_utc_us, revoked_utc_us, change, rowid, team, user," \
    " family, rules, tags, replaced_by, updated_utc_us, version, end_streams"
#define STORE__OBJECT_COLUMNS \
    "kind, number, parent, id, handle, text, version, created_utc_us, updated_utc_us, expires_utc_us, change, removed"
#define STORE__AUDIT_COLUMNS                                                                                            \
    "sequence, utc_us, result, previous, hash, actor_kind, actor_id, actor_name, actor_role, actor_address, workspace," \
    " action, resource_type, resource_id, resource_name, changes, request, reason, message"

enum store__sql {
#define X(name, text) STORE__SQL_##name,
#include "store/sqlite_statements.def"
#undef X
    STORE__SQL_COUNT
};

struct store__dictionary {
    struct weir_map *by_text;
    struct weir_map *by_id;
    size_t count;
};

/* The rows of one block of 1024 sequence numbers: the smallest and largest start time, so that a listing by time need
 * not read all. */
struct store__zone {
    int64_t number; /* sequence >> STORE__ZONE_SHIFT; -1: none open */
    int64_t first_start_utc_us, last_start_utc_us;
};
enum { STORE__ZONE_SHIFT = 10 };

struct store__records; /* sqlite_records.h */
struct store__sums;    /* sqlite_sums.h */

/* What an entry's texts are in the dictionary, looked up once for its row and its record; 0: it has no place there. */
struct store__entry_numbers {
    int64_t texts[7]; /* key_id, workspace, endpoint, model, provider, upstream_model, price_version */
    int64_t attempts[WEIR_MAX_ATTEMPTS][2]; /* provider, upstream_model */
    int64_t team, user;                     /* of "workspace/id" */
    int64_t family;                         /* 0: the key itself */
    unsigned char trace[16];
    bool trace_is_binary; /* the trace id is well-formed: 32 lower-case digits */
};

/* Entries whose sums wait in memory (sqlite_waiting.c). */
enum { STORE__WAITING_RANGES = 32 };
struct store__waiting {
    struct {
        int64_t first, next;
    } ranges[STORE__WAITING_RANGES]; /* the rows of `unsummed` that hold them */
    size_t count;
    bool running;                   /* a transaction of ingestion is under way */
    int64_t from;                   /* its first entry that waits and that no row holds yet */
    uint64_t entries;               /* all that wait */
    int64_t since_ns;               /* when the first of them was committed */
    struct weir_span of, now_from;  /* whose entries wait, and whose come now: in the fields below, or empty */
    struct weir_uuid of_id, now_id; /* of instances */
    bool lost;                      /* some rows of `unsummed` may have to be worked off from the ledger */
};

struct weir_engine {
    sqlite3 *database;
    sqlite3_stmt *statements[STORE__SQL_COUNT];
    struct store__dictionary dictionary;
    unsigned depth; /* of begun transactions: above 1 they are savepoints */
    /* of the ingest transaction */
    bool ingesting;
    bool opens_remembered;                 /* any unfinished open is in the table: a close may have one to forget */
    int64_t next_sequence, first_sequence; /* of the next entry, and of the first one in the transaction */
    struct store__zone zone;
    struct store__records *records; /* NULL: nothing was done with records yet */
    struct store__sums *sums;       /* NULL: nothing was added to the ledger's sums yet */
    struct store__waiting waiting;
    /* of `changed` */
    int64_t data_version;
    bool self_changed; /* this connection has changed a key or an object */
};

/* --- sqlite.c --- */
/* The prepared statement, reset. */
WEIR_MUST enum weir_status store__sqlite_statement(struct weir_engine *engine, enum store__sql which,
                                                   sqlite3_stmt **statement, struct weir_error *error);
/* What the connection's last failure means, in words and as a status. Never WEIR_OK. */
enum weir_status store__sqlite_fail(struct weir_engine *engine, const char *what, struct weir_error *error);
/* Runs a statement that gives no row and resets it. */
WEIR_MUST enum weir_status store__sqlite_run(struct weir_engine *engine, sqlite3_stmt *statement, const char *what,
                                             struct weir_error *error);
/* The first column of the first row; WEIR_ENOTFOUND without one. Resets. */
WEIR_MUST enum weir_status store__sqlite_integer(struct weir_engine *engine, sqlite3_stmt *statement, const char *what,
                                                 int64_t *value, struct weir_error *error);
/* As above, the first `count` columns. */
WEIR_MUST enum weir_status store__sqlite_integers(struct weir_engine *engine, sqlite3_stmt *statement, const char *what,
                                                  int64_t *values, int count, struct weir_error *error);
/* A statement that is composed; the caller finalizes it. */
WEIR_MUST enum weir_status store__sqlite_prepare(struct weir_engine *engine, const char *sql, const char *what,
                                                 sqlite3_stmt **statement, struct weir_error *error);
/* Takes the write lock; inside a transaction: begins a part of it that can fail by itself. */
WEIR_MUST enum weir_status store__sqlite_begin(struct weir_engine *engine, struct weir_error *error);
/* The same without the lock: what is read inside is of one moment. */
WEIR_MUST enum weir_status store__sqlite_begin_to_read(struct weir_engine *engine, struct weir_error *error);
/* Commits when `status` is WEIR_OK, else rolls back; gives what came of it. */
WEIR_MUST enum weir_status store__sqlite_end(struct weir_engine *engine, enum weir_status status,
                                             struct weir_error *error);
/* The same, and the outermost one is on the disk afterwards. */
WEIR_MUST enum weir_status store__sqlite_end_durably(struct weir_engine *engine, enum weir_status status,
                                                     struct weir_error *error);
/* Everything committed is on the disk afterwards. */
WEIR_MUST enum weir_status store__sqlite_flush(struct weir_engine *engine, struct weir_error *error);
/* Binds one value after the other and remembers the first failure (no memory). Spans must live until the statement is
 * reset. */
struct store__binder {
    sqlite3_stmt *statement;
    int index;
    int code;
};
static inline struct store__binder store__binder_of(sqlite3_stmt *statement) {
    return (struct store__binder){.statement = statement};
}
void store__bind_integer(struct store__binder *binder, int64_t value);
void store__bind_nonzero(struct store__binder *binder, int64_t value); /* NULL for 0 */
void store__bind_text(struct store__binder *binder, struct weir_span text);
void store__bind_text_or_null(struct store__binder *binder, struct weir_span text);
void store__bind_blob(struct store__binder *binder, const void *bytes, size_t size);
void store__bind_null(struct store__binder *binder);
/* Runs what was bound. */
WEIR_MUST enum weir_status store__binder_run(struct weir_engine *engine, struct store__binder *binder, const char *what,
                                             struct weir_error *error);
/* Bytes of a column, valid until the next step. */
struct weir_span store__column_span(sqlite3_stmt *statement, int column);
/* How many rows a listing gives: 0 is the usual number. */
static inline size_t store__limit(size_t wanted, size_t usual, size_t most) {
    if (wanted == 0)
        return usual;
    return wanted < most ? wanted : most;
}

/* --- sqlite_schema.c --- */
/* Creates or migrates, in one transaction, and checks whose database it is. */
WEIR_MUST enum weir_status store__sqlite_prepare_schema(struct weir_engine *engine, const char *environment,
                                                        struct weir_error *error);
/* Tries the migration and takes it back. */
WEIR_MUST enum weir_status store__sqlite_try_schema(struct weir_engine *engine, const char *environment,
                                                    struct weir_store_migration *migration, struct weir_error *error);

/* --- sqlite_dictionary.c --- */
/* The number of a text, 0 for the empty one; a new one gets its row inside the running transaction. */
WEIR_MUST enum weir_status store__dictionary_id(struct weir_engine *engine, struct weir_span text, int64_t *id,
                                                struct weir_error *error);
/* The same without a new row: 0 for what is not there. */
WEIR_MUST enum weir_status store__dictionary_find(struct weir_engine *engine, struct weir_span text, int64_t *id,
                                                  struct weir_error *error);
/* The text of a number; valid until store__dictionary_trim or _clear. */
WEIR_MUST enum weir_status store__dictionary_text(struct weir_engine *engine, int64_t id, struct weir_span *text,
                                                  struct weir_error *error);
/* Forgets all when it has grown large. */
void store__dictionary_trim(struct weir_engine *engine);
void store__dictionary_clear(struct weir_engine *engine);

/* --- sqlite_keys.c, sqlite_objects.c, sqlite_audit.c, sqlite_contents.c, sqlite_ingest.c, sqlite_ledger.c, sqlite_issued.c,
 * sqlite_revisions.c: operations, as in struct weir_engine_ops --- */
enum weir_status store__sqlite_key_insert(struct weir_engine *engine, struct weir_key_record *key,
                                          struct weir_error *error);
enum weir_status store__sqlite_key_revoke(struct weir_engine *engine, struct weir_span id, int64_t utc_us,
                                          struct weir_error *error);
enum weir_status store__sqlite_key_each(struct weir_engine *engine, uint64_t after, weir_key_visit visit, void *context,
                                        struct weir_error *error);
enum weir_status store__sqlite_key_update(struct weir_engine *engine, struct weir_key_record *key,
                                          uint64_t expected_version, struct weir_error *error);
enum weir_status store__sqlite_key_get(struct weir_engine *engine, struct weir_span id, struct weir_arena *arena,
                                       struct weir_key_record *key, struct weir_error *error);
enum weir_status store__sqlite_key_find(struct weir_engine *engine, const unsigned char hash[WEIR_KEY_HASH_SIZE],
                                        struct weir_arena *arena, struct weir_key_record *key,
                                        struct weir_error *error);
enum weir_status store__sqlite_key_list(struct weir_engine *engine, const struct weir_key_query *query,
                                        weir_key_visit visit, void *context, struct weir_error *error);
enum weir_status store__sqlite_key_last_use(struct weir_engine *engine, struct weir_span id, int64_t *utc_us,
                                            struct weir_error *error);

enum weir_status store__sqlite_object_create(struct weir_engine *engine, struct weir_object *object,
                                             struct weir_error *error);
enum weir_status store__sqlite_object_update(struct weir_engine *engine, struct weir_object *object,
                                             uint64_t expected_version, struct weir_error *error);
enum weir_status store__sqlite_object_remove(struct weir_engine *engine, enum weir_object_kind kind,
                                             struct weir_span parent, struct weir_span id, uint64_t expected_version,
                                             int64_t utc_us, struct weir_error *error);
enum weir_status store__sqlite_object_get(struct weir_engine *engine, enum weir_object_kind kind,
                                          struct weir_span parent, struct weir_span id, struct weir_arena *arena,
                                          struct weir_object *object, struct weir_error *error);
enum weir_status store__sqlite_object_find(struct weir_engine *engine, enum weir_object_kind kind,
                                           struct weir_span handle, struct weir_arena *arena,
                                           struct weir_object *object, struct weir_error *error);
enum weir_status store__sqlite_object_list(struct weir_engine *engine, const struct weir_object_query *query,
                                           weir_object_visit visit, void *context, struct weir_error *error);
enum weir_status store__sqlite_object_each(struct weir_engine *engine, uint64_t after, weir_object_visit visit,
                                           void *context, struct weir_error *error);
enum weir_status store__sqlite_object_sweep(struct weir_engine *engine, int64_t utc_us, uint64_t *removed,
                                            struct weir_error *error);

enum weir_status store__sqlite_audit_append(struct weir_engine *engine, struct weir_audit_entry *entry,
                                            struct weir_error *error);
enum weir_status store__sqlite_audit_each(struct weir_engine *engine, const struct weir_audit_query *query,
                                          weir_audit_visit visit, void *context, struct weir_error *error);
enum weir_status store__sqlite_audit_verify(struct weir_engine *engine, struct weir_audit_verification *verification,
                                            struct weir_error *error);
enum weir_status store__sqlite_audit_prune(struct weir_engine *engine, int64_t before_utc_us, size_t limit,
                                           uint64_t *removed, struct weir_error *error);
enum weir_status store__sqlite_revision_list(struct weir_engine *engine, uint64_t before_number, size_t limit,
                                             weir_revision_visit visit, void *context, struct weir_error *error);

enum weir_status store__sqlite_content_put(struct weir_engine *engine, const struct weir_content *contents,
                                           size_t count, struct weir_error *error);
enum weir_status store__sqlite_content_get(struct weir_engine *engine, struct weir_span request_id,
                                           struct weir_arena *arena, struct weir_content *content,
                                           struct weir_error *error);
enum weir_status store__sqlite_content_delete(struct weir_engine *engine, struct weir_span request_id,
                                              struct weir_error *error);
enum weir_status store__sqlite_content_each(struct weir_engine *engine, int64_t after, size_t limit, bool heads,
                                            weir_content_visit visit, void *context, struct weir_error *error);
enum weir_status store__sqlite_content_reseal(struct weir_engine *engine, int64_t number, struct weir_span blob,
                                              struct weir_error *error);
enum weir_status store__sqlite_content_sweep(struct weir_engine *engine, int64_t utc_us, size_t limit,
                                             uint64_t *removed, struct weir_error *error);

enum weir_status store__sqlite_ingest_begin(struct weir_engine *engine, struct weir_error *error);
enum weir_status store__sqlite_ingest_entry(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                            struct weir_error *error);
enum weir_status store__sqlite_ingest_open(struct weir_engine *engine, const struct weir_journal_cursor *series,
                                           const struct weir_journal_open *open, struct weir_error *error);
enum weir_status store__sqlite_ingest_cursor(struct weir_engine *engine, const struct weir_journal_cursor *cursor,
                                             struct weir_error *error);
enum weir_status store__sqlite_ingest_commit(struct weir_engine *engine, struct weir_error *error);
void store__sqlite_ingest_rollback(struct weir_engine *engine);
enum weir_status store__sqlite_cursor_read(struct weir_engine *engine, struct weir_journal_cursor *cursor,
                                           struct weir_error *error);
enum weir_status store__sqlite_settle_crashed(struct weir_engine *engine, const struct weir_uuid *instance,
                                              uint32_t worker, int64_t utc_us, uint64_t *settled,
                                              struct weir_error *error);
enum weir_status store__sqlite_instance_begin(struct weir_engine *engine, const struct weir_uuid *instance,
                                              int64_t utc_us, struct weir_error *error);
enum weir_status store__sqlite_instance_end(struct weir_engine *engine, const struct weir_uuid *instance,
                                            int64_t utc_us, struct weir_error *error);

/* Inserts one row as `sequence`. */
WEIR_MUST enum weir_status store__sqlite_ledger_insert(struct weir_engine *engine,
                                                       const struct weir_ledger_entry *entry,
                                                       const struct store__entry_numbers *numbers, int64_t sequence,
                                                       struct weir_error *error);
/* A record of the entry, inside the running transaction of ingestion. */
WEIR_MUST enum weir_status store__record_insert(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                                const struct store__entry_numbers *numbers, struct weir_error *error);
/* Before and at the end of that transaction. */
void store__record_begin(struct weir_engine *engine);
WEIR_MUST enum weir_status store__record_end(struct weir_engine *engine, struct weir_error *error);
/* Whether a record is kept of the entry. */
bool store__record_wanted(const struct weir_engine *engine, const struct weir_ledger_entry *entry);
/* After a rollback: what was gathered of records may not be there. */
void store__record_gather_forget(struct weir_engine *engine);
/* What was prepared and allocated for records. */
void store__records_release(struct weir_engine *engine);
void store__sqlite_record_settings(struct weir_engine *engine, const struct weir_record_settings *settings);
/* After a rollback: what was gathered is not written, and what was looked up may not be there. */
void store__sums_forget(struct weir_engine *engine);
void store__sums_release(struct weir_engine *engine);
enum weir_status store__sqlite_ingest_from(struct weir_engine *engine, const struct weir_uuid *instance,
                                           struct weir_error *error);
enum weir_status store__sqlite_sums_write(struct weir_engine *engine, int64_t now_ns, int64_t *due_ns,
                                          struct weir_error *error);
enum weir_status store__sqlite_sums_step(struct weir_engine *engine, int64_t milliseconds, bool *more,
                                         struct weir_error *error);
enum weir_status store__sqlite_lease(struct weir_engine *engine, const struct weir_uuid *instance,
                                     struct weir_lease *leases, size_t count, struct weir_error *error);
enum weir_status store__sqlite_slice_sweep(struct weir_engine *engine, int64_t utc_us, struct weir_error *error);
enum weir_status store__sqlite_instance_each(struct weir_engine *engine, weir_instance_visit visit, void *context,
                                             struct weir_error *error);
enum weir_status store__sqlite_spend_each(struct weir_engine *engine, const struct weir_spend_counter *counter,
                                          int64_t step_us, weir_spend_visit visit, void *context,
                                          struct weir_error *error);
enum weir_status store__sqlite_usage_report(struct weir_engine *engine, const struct weir_usage_query *query,
                                            weir_usage_visit visit, void *context, struct weir_error *error);
enum weir_status store__sqlite_usage_plan(struct weir_engine *engine, const struct weir_usage_query *query,
                                          weir_plan_visit visit, void *context, struct weir_error *error);
enum weir_status store__sqlite_usage_trim(struct weir_engine *engine, int64_t before_utc_us, bool *more,
                                          struct weir_error *error);
enum weir_status store__sqlite_ledger_prune(struct weir_engine *engine, int64_t before_utc_us, bool *more,
                                            struct weir_error *error);
enum weir_status store__sqlite_ledger_each(struct weir_engine *engine, const struct weir_ledger_query *query,
                                           weir_ledger_visit visit, void *context, struct weir_error *error);

/* Remembers the entry's issued ids, inside the running transaction. */
WEIR_MUST enum weir_status store__sqlite_issued_write(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                                      struct weir_error *error);
enum weir_status store__sqlite_issued_find(struct weir_engine *engine, const struct weir_span *ids, size_t count,
                                           struct weir_arena *arena, struct weir_issued *found,
                                           struct weir_error *error);

enum weir_status store__sqlite_revision_save(struct weir_engine *engine, struct weir_span hash, struct weir_span text,
                                             int64_t utc_us, uint64_t *number, struct weir_error *error);

/* --- sqlite_receipts.c --- */
enum weir_status store__sqlite_receipt_advance(struct weir_engine *engine, size_t limit, bool *more,
                                               struct weir_error *error);
enum weir_status store__sqlite_receipt_chain(struct weir_engine *engine, struct weir_receipt_link *cut,
                                             struct weir_receipt_link *head, struct weir_error *error);
enum weir_status store__sqlite_receipt_each(struct weir_engine *engine, const struct weir_ledger_query *query,
                                            weir_receipt_visit visit, void *context, struct weir_error *error);
enum weir_status store__sqlite_receipt_verify(struct weir_engine *engine, struct weir_receipt_check *check,
                                              size_t limit, bool *more, struct weir_error *error);
/* Before the entries up to `sequence` are deleted, inside the same transaction: keeps the hash that the first kept one follows. WEIR_EBUSY: the
 * chain has not come so far (receipt_advance comes first). */
WEIR_MUST enum weir_status store__receipts_cut(struct weir_engine *engine, int64_t sequence, struct weir_error *error);

/* --- sqlite_more.c: the second row of an entry that has more than a chat completion --- */
/* Inserts it as `sequence`, where there is anything to tell. */
WEIR_MUST enum weir_status store__more_insert(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                              int64_t sequence, struct weir_error *error);
/* The names of its columns in a listing that joins ledger_more, in the order that store__more_read expects. */
#define STORE__MORE_COLUMNS \
    "input_audio_tokens, input_image_tokens, output_audio_tokens, output_image_tokens, unit, units, issued, attempt_costs"
/* Fills in what the columns from `first` on tell; all are NULL where there is no second row. */
WEIR_MUST enum weir_status store__more_read(sqlite3_stmt *row, int first, struct weir_ledger_entry *entry,
                                            struct weir_error *error);

/* --- sqlite_attempts.c: the attempts of an entry as one small value --- */
enum { STORE__MAX_ATTEMPTS_BYTES = (int)WEIR_MAX_ATTEMPTS * (64 + 512) + 8 };
size_t store__attempts_encode(const struct weir_ledger_entry *entry, const struct store__entry_numbers *numbers,
                              char out[STORE__MAX_ATTEMPTS_BYTES]);
/* Fills entry->attempts and attempt_count. Spans point into `bytes` and the dictionary. */
WEIR_MUST enum weir_status store__attempts_decode(struct weir_engine *engine, struct weir_span bytes,
                                                  struct weir_ledger_entry *entry, struct weir_error *error);
/* What the attempts may have cost, apart from them: a release that does not know it reads them all the same. 0 bytes where none cost anything. */
enum { STORE__MAX_ATTEMPT_COSTS_BYTES = (int)WEIR_MAX_ATTEMPTS * 10 };
size_t store__attempt_costs_encode(const struct weir_ledger_entry *entry, char out[STORE__MAX_ATTEMPT_COSTS_BYTES]);
/* After store__attempts_decode. */
WEIR_MUST enum weir_status store__attempt_costs_decode(struct weir_span bytes, struct weir_ledger_entry *entry,
                                                       struct weir_error *error);

#endif

/* What weir remembers: one interface, one engine behind it (SQLite now), no SQL above it.
 *
 * The store runs on its own thread, which alone touches the database. Operations are messages: each is one
 * transaction, and its reply comes back on the asking loop. The command line uses the same operations synchronously
 * (weir_store_direct_*), on its own connection, also while a server runs (WAL).
 */
#ifndef WEIR_STORE_STORE_H
#define WEIR_STORE_STORE_H

#include "base/arena.h"
#include "base/log.h"
#include "net/loop.h"
#include "store/audit.h"
#include "store/contents.h"
#include "store/issued.h"
#include "store/journal.h"
#include "store/objects.h"
#include "store/receipts.h"
#include "store/records.h"
#include "store/spend.h"

enum { WEIR_KEY_HASH_SIZE = 32, WEIR_KEY_ID_SIZE = 24 };

/* An API key as it is remembered: never the key itself. */
struct weir_key_record {
    char id[WEIR_KEY_ID_SIZE];              /* "key_" and 16 base62 characters */
    unsigned char hash[WEIR_KEY_HASH_SIZE]; /* SHA-256 of the whole key */
    struct weir_span name;
    struct weir_span workspace;
    char hint[16]; /* "abcd…wxyz" of the random part, for people */
    int64_t created_utc_us;
    int64_t expires_utc_us;      /* 0: never */
    int64_t revoked_utc_us;      /* 0: not */
    uint64_t change;             /* grows with every change to any key */
    struct weir_span team, user; /* ids within the workspace; empty: none */
    struct weir_span
        family; /* the id of the first key of a chain of rotations: budgets count by it; empty: its own id */
    struct weir_span rules;       /* what it may, canonical JSON (identity/rules.h); empty: everything */
    struct weir_span tags;        /* a JSON object of strings, or empty */
    struct weir_span replaced_by; /* the id of the key that it was rotated to; empty: it was not */
    int64_t updated_utc_us;       /* 0: as created */
    uint64_t version;             /* 1 at first */
    bool end_streams;             /* once revoked: answers in flight end, too */
    int64_t number;               /* grows with every creation: the order of listings */
};

/* Zero values do not filter. */
struct weir_key_query {
    struct weir_span workspace, team, user, family;
    struct weir_span hint_prefix;  /* the first characters of the random part: at most the four that are kept */
    bool active_only;              /* neither revoked nor expired at now_utc_us */
    int64_t created_before_utc_us; /* and not rotated, revoked or expired: rotation is due */
    int64_t now_utc_us;
    int64_t after_number; /* cursor */
    size_t limit;         /* 0: 100; at most 1000 */
};

/* Filters of a ledger listing; zero values do not filter. */
struct weir_ledger_query {
    int64_t from_utc_us, until_utc_us; /* start time, [from, until) */
    struct weir_span key_id;
    struct weir_span workspace;
    struct weir_span request_id; /* weir's own or the client's */
    int64_t after_sequence;      /* cursor: entries behind it */
    size_t limit;                /* 0: 100; at most 10000 */
    bool newest;                 /* the last `limit` entries instead of the first; in order of sequence all the same */
};

/* State for readiness and metrics. All counters grow only. */
struct weir_store_health {
    bool available;         /* the last operation worked */
    bool journal_available; /* every worker has a next segment */
    uint64_t ingested_records;
    uint64_t failed_operations;
    uint64_t journal_backlog_bytes;
    uint64_t contents_left_out;
    int64_t cpu_ns; /* CPU time of the store thread */
    int64_t last_ingest_utc_us;
    char problem[160]; /* words on what is wrong, "" when nothing is */
};

/* --- the engine: what a database must be able to do; called on one thread, may block --- */
struct weir_engine;
/* A visit that gives anything but WEIR_OK ends the listing with that status; WEIR_END ends it with WEIR_OK. It calls
 * no other operation. */
typedef enum weir_status (*weir_key_visit)(void *context, const struct weir_key_record *key);
typedef enum weir_status (*weir_ledger_visit)(void *context, const struct weir_ledger_entry *entry);
/* A receipt's text and the hash of it. */
typedef enum weir_status (*weir_receipt_visit)(void *context, const struct weir_ledger_entry *entry,
                                               struct weir_span text, const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]);
typedef enum weir_status (*weir_revision_visit)(void *context, uint64_t number, struct weir_span hash,
                                                int64_t saved_utc_us, struct weir_span text);
typedef enum weir_status (*weir_object_visit)(void *context, const struct weir_object *object);
typedef enum weir_status (*weir_audit_visit)(void *context, const struct weir_audit_entry *entry);
typedef enum weir_status (*weir_record_visit)(void *context, const struct weir_record *record);
typedef enum weir_status (*weir_content_visit)(void *context, const struct weir_content *content);
typedef enum weir_status (*weir_spend_visit)(void *context, const struct weir_spend *spend);
typedef enum weir_status (*weir_usage_visit)(void *context, const struct weir_usage_row *row);
typedef enum weir_status (*weir_instance_visit)(void *context, const struct weir_uuid *instance);
typedef enum weir_status (*weir_plan_visit)(void *context, struct weir_span line);

/* What opening would do to the database. */
enum { WEIR_STORE_MIGRATION_STEPS = 64 };
struct weir_store_migration {
    int64_t from_step, to_step; /* the same: nothing to do */
    size_t count;
    const char *steps[WEIR_STORE_MIGRATION_STEPS]; /* words on each; static storage */
    bool ends_older_programs;                      /* programs that run on it now would refuse it afterwards */
};

/* A position in one journal series. */
struct weir_journal_cursor {
    struct weir_uuid instance;
    uint32_t worker;
    uint64_t segment;
    uint64_t offset;
};

#define WEIR_EVERY_WORKER UINT32_MAX

struct weir_engine_ops {
    const char *name; /* "sqlite" */
    /* Opens or creates; migrates forward; WEIR_EDENIED when the database belongs to another environment. */
    enum weir_status (*open)(const char *location, const char *environment, struct weir_engine **engine,
                             struct weir_error *error);
    void (*close)(struct weir_engine **engine);
    /* As open of a database that exists, but the migration is taken back and nothing is left open. */
    enum weir_status (*try_migration)(const char *location, const char *environment,
                                      struct weir_store_migration *migration, struct weir_error *error);
    enum weir_status (*key_insert)(struct weir_engine *engine, struct weir_key_record *key, struct weir_error *error);
    /* By id. WEIR_ENOTFOUND; revoking twice keeps the first time. */
    enum weir_status (*key_revoke)(struct weir_engine *engine, struct weir_span id, int64_t utc_us,
                                   struct weir_error *error);
    /* Keys whose change is greater than `after`, in order of change. */
    enum weir_status (*key_each)(struct weir_engine *engine, uint64_t after, weir_key_visit visit, void *context,
                                 struct weir_error *error);
    /* True when anything may have changed since the last call (another process included); cheap. */
    bool (*changed)(struct weir_engine *engine);
    /* One transaction: the entries (and their records), the unfinished opens to remember, and the cursor that makes it exactly once. An
     * entry forgets the remembered open of its request. After a failure inside it: ingest_rollback. A failed commit
     * has rolled back already. */
    enum weir_status (*ingest_begin)(struct weir_engine *engine, struct weir_error *error);
    /* Whose journal the entries come from, until the next call: what they cost is taken from its slices. Nobody's at first. */
    enum weir_status (*ingest_from)(struct weir_engine *engine, const struct weir_uuid *instance,
                                    struct weir_error *error);
    enum weir_status (*ingest_entry)(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                     struct weir_error *error);
    enum weir_status (*ingest_open)(struct weir_engine *engine, const struct weir_journal_cursor *series,
                                    const struct weir_journal_open *open, struct weir_error *error);
    enum weir_status (*ingest_cursor)(struct weir_engine *engine, const struct weir_journal_cursor *cursor,
                                      struct weir_error *error);
    enum weir_status (*ingest_commit)(struct weir_engine *engine, struct weir_error *error);
    void (*ingest_rollback)(struct weir_engine *engine);
    /* WEIR_ENOTFOUND for a series that was never read: start at segment 1, offset 0. */
    enum weir_status (*cursor_read)(struct weir_engine *engine, struct weir_journal_cursor *cursor,
                                    struct weir_error *error);
    /* Opens without a close of a dead instance's series (WEIR_EVERY_WORKER: of all its series): become ledger entries
     * `crashed`, in one transaction that also forgets them, and for all its series drops the instance's slices. */
    enum weir_status (*settle_crashed)(struct weir_engine *engine, const struct weir_uuid *instance, uint32_t worker,
                                       int64_t utc_us, uint64_t *settled, struct weir_error *error);
    /* In order of sequence. */
    enum weir_status (*ledger_each)(struct weir_engine *engine, const struct weir_ledger_query *query,
                                    weir_ledger_visit visit, void *context, struct weir_error *error);
    /* Who issued `count` ids: found[i] is of ids[i], its id the same span, with an empty provider where none is known.
     * An entry's issued ids are known from ingest_entry on; of two entries with the same id the later one counts. The
     * other texts live in `arena`. */
    enum weir_status (*issued_find)(struct weir_engine *engine, const struct weir_span *ids, size_t count,
                                    struct weir_arena *arena, struct weir_issued *found, struct weir_error *error);
    /* Revisions: number and hash of every one that was live, with its canonical text. Gives the number of a text:
     * that of the newest one when its hash is the same, else a new one. */
    enum weir_status (*revision_save)(struct weir_engine *engine, struct weir_span hash, struct weir_span text,
                                      int64_t utc_us, uint64_t *number, struct weir_error *error);
    /* Instances: a row while they live, so that a dead one's journal can be told from a live one's. */
    enum weir_status (*instance_begin)(struct weir_engine *engine, const struct weir_uuid *instance, int64_t utc_us,
                                       struct weir_error *error);
    /* Also forgets its cursors and slices: only when its segments are gone. */
    enum weir_status (*instance_end)(struct weir_engine *engine, const struct weir_uuid *instance, int64_t utc_us,
                                     struct weir_error *error);
    /* Those that have begun and not ended. */
    enum weir_status (*instance_each)(struct weir_engine *engine, weir_instance_visit visit, void *context,
                                      struct weir_error *error);
    /* --- what was spent, and slices of it (store/spend.h) --- */
    /* Answers `count` questions of one instance, which has begun, in one transaction, in their order: gives back, then grants as much of what is
     * wanted as keeps spent + all slices <= limit. WEIR_EINVAL: a negative amount, or bounds that are no multiples of a bucket. It is not forced to
     * the disk: a power loss ends all instances on the database, and with them all slices, whether they were written or not. */
    enum weir_status (*lease)(struct weir_engine *engine, const struct weir_uuid *instance, struct weir_lease *leases,
                              size_t count, struct weir_error *error);
    /* Forgets slices of periods that ended some days before `utc_us`, and those of instances that an older program has ended. */
    enum weir_status (*slice_sweep)(struct weir_engine *engine, int64_t utc_us, struct weir_error *error);
    /* Adds to the sums what they lack of the ledger: all of it when a database was made by a release without sums, and what such a release has written
     * to it since; the newest first. For so long at most, in a transaction of its own. *more: something is left. */
    enum weir_status (*sums_step)(struct weir_engine *engine, int64_t milliseconds, bool *more,
                                  struct weir_error *error);
    /* The sums of what was ingested wait in memory for a second at most, and are written here when that has passed at `now_ns` (of the monotonic
     * clock; INT64_MAX: whether it has or not). *due_ns: when to call again; INT64_MAX: nothing waits. Whoever leases or asks for sums, on whatever
     * connection, has what waits added first; only where the database is locked all the while do the sums lag. */
    enum weir_status (*sums_write)(struct weir_engine *engine, int64_t now_ns, int64_t *due_ns,
                                   struct weir_error *error);
    /* Sums of one scope's spend over buckets of `step_us` (a multiple of WEIR_SPEND_BUCKET_US), counted from the counter's `from`, in order of time;
     * those without any are left out. The counter's unit does not matter. */
    enum weir_status (*spend_each)(struct weir_engine *engine, const struct weir_spend_counter *counter,
                                   int64_t step_us, weir_spend_visit visit, void *context, struct weir_error *error);
    /* A report from the sums by hour and day, never from the ledger itself; in order of time, then of cost, the highest first. WEIR_EINVAL: bounds that
     * are no full hours, or dimensions that do not go together. WEIR_ELIMIT: it needs sums by hour that are not kept any more. */
    enum weir_status (*usage_report)(struct weir_engine *engine, const struct weir_usage_query *query,
                                     weir_usage_visit visit, void *context, struct weir_error *error);
    /* One step of taking away sums by hour that are of before `before_utc_us` (a full day): some milliseconds. Those by day stay. */
    enum weir_status (*usage_trim)(struct weir_engine *engine, int64_t before_utc_us, bool *more,
                                   struct weir_error *error);
    /* How usage_report would look for it: the lines of the database's own plan. It names the sums, and never the ledger. */
    enum weir_status (*usage_plan)(struct weir_engine *engine, const struct weir_usage_query *query,
                                   weir_plan_visit visit, void *context, struct weir_error *error);
    /* One step of taking old rows out of the ledger: at most some hundred entries that started before `before_utc_us`; sums stay. *more: another
     * step is due. */
    enum weir_status (*ledger_prune)(struct weir_engine *engine, int64_t before_utc_us, bool *more,
                                     struct weir_error *error);
    /* --- what operators change: several of the operations below in one transaction ---
     * work_begin takes the database's write lock; every operation until work_end is inside. work_end commits what `status` says is good
     * (and forces it to the disk), else undoes everything; it gives what came of it. The operations of keys, objects and audit may also be
     * used alone, each then being a transaction of its own. */
    enum weir_status (*work_begin)(struct weir_engine *engine, struct weir_error *error);
    enum weir_status (*work_end)(struct weir_engine *engine, enum weir_status status, struct weir_error *error);
    /* Writes all of a key but its id, hash, hint and time of creation. `expected_version` 0: whatever it is; else WEIR_ESTALE
     * when it is another. Gives the new version and change. WEIR_ENOTFOUND. */
    enum weir_status (*key_update)(struct weir_engine *engine, struct weir_key_record *key, uint64_t expected_version,
                                   struct weir_error *error);
    /* Texts live in `arena`. WEIR_ENOTFOUND. */
    enum weir_status (*key_get)(struct weir_engine *engine, struct weir_span id, struct weir_arena *arena,
                                struct weir_key_record *key, struct weir_error *error);
    enum weir_status (*key_find)(struct weir_engine *engine, const unsigned char hash[WEIR_KEY_HASH_SIZE],
                                 struct weir_arena *arena, struct weir_key_record *key, struct weir_error *error);
    /* In order of number. */
    enum weir_status (*key_list)(struct weir_engine *engine, const struct weir_key_query *query, weir_key_visit visit,
                                 void *context, struct weir_error *error);
    /* Start of the key's latest request; 0: none is known. */
    enum weir_status (*key_last_use)(struct weir_engine *engine, struct weir_span id, int64_t *utc_us,
                                     struct weir_error *error);
    /* WEIR_EEXIST: the id or the handle is taken. Gives number, version and change. */
    enum weir_status (*object_create)(struct weir_engine *engine, struct weir_object *object, struct weir_error *error);
    /* handle, text and expires are written. As key_update. */
    enum weir_status (*object_update)(struct weir_engine *engine, struct weir_object *object, uint64_t expected_version,
                                      struct weir_error *error);
    enum weir_status (*object_remove)(struct weir_engine *engine, enum weir_object_kind kind, struct weir_span parent,
                                      struct weir_span id, uint64_t expected_version, int64_t utc_us,
                                      struct weir_error *error);
    /* By id, and by handle. Texts live in `arena`. WEIR_ENOTFOUND. */
    enum weir_status (*object_get)(struct weir_engine *engine, enum weir_object_kind kind, struct weir_span parent,
                                   struct weir_span id, struct weir_arena *arena, struct weir_object *object,
                                   struct weir_error *error);
    enum weir_status (*object_find)(struct weir_engine *engine, enum weir_object_kind kind, struct weir_span handle,
                                    struct weir_arena *arena, struct weir_object *object, struct weir_error *error);
    enum weir_status (*object_list)(struct weir_engine *engine, const struct weir_object_query *query,
                                    weir_object_visit visit, void *context, struct weir_error *error);
    /* Objects of all kinds whose change is greater than `after`, removed ones too, in order of change. */
    enum weir_status (*object_each)(struct weir_engine *engine, uint64_t after, weir_object_visit visit, void *context,
                                    struct weir_error *error);
    /* Removes what expired before `utc_us`: sessions and tokens. */
    enum weir_status (*object_sweep)(struct weir_engine *engine, int64_t utc_us, uint64_t *removed,
                                     struct weir_error *error);
    /* Gives sequence, previous and hash. */
    enum weir_status (*audit_append)(struct weir_engine *engine, struct weir_audit_entry *entry,
                                     struct weir_error *error);
    enum weir_status (*audit_each)(struct weir_engine *engine, const struct weir_audit_query *query,
                                   weir_audit_visit visit, void *context, struct weir_error *error);
    /* WEIR_OK when it could be read, whatever it found. */
    enum weir_status (*audit_verify)(struct weir_engine *engine, struct weir_audit_verification *verification,
                                     struct weir_error *error);
    /* Removes at most `limit` of the oldest entries that are older than `before_utc_us`; the newest entry always stays. */
    enum weir_status (*audit_prune)(struct weir_engine *engine, int64_t before_utc_us, size_t limit, uint64_t *removed,
                                    struct weir_error *error);
    /* Revisions, newest first: number, hash, when it was saved, text. */
    enum weir_status (*revision_list)(struct weir_engine *engine, uint64_t before_number, size_t limit,
                                      weir_revision_visit visit, void *context, struct weir_error *error);
    /* --- request records (store/records.h) ---
     * From here on ingest_entry and settle_crashed write a record of what is kept, in the same transaction; entries that are `unbilled` have
     * nothing but that. All zero at first: none. */
    void (*record_settings)(struct weir_engine *engine, const struct weir_record_settings *settings);
    /* One step of what keeps records in order: merging indexes, taking away what is too old. A step holds the write lock for some
     * milliseconds. *more: another step is due. */
    enum weir_status (*record_upkeep)(struct weir_engine *engine, int64_t utc_us, bool *more, struct weir_error *error);
    /* Newest first. */
    enum weir_status (*record_list)(struct weir_engine *engine, const struct weir_record_query *query,
                                    weir_record_visit visit, void *context, struct weir_record_page *page,
                                    struct weir_error *error);
    /* The newest `limit` records (at most WEIR_RECORD_MATCHES) that have this id, whichever of their ids it is; newest first. */
    enum weir_status (*record_find)(struct weir_engine *engine, struct weir_span id, size_t limit,
                                    weir_record_visit visit, void *context, struct weir_error *error);
    /* --- captured contents (store/contents.h) --- */
    /* All of them or none, in one transaction, which is not forced to the disk. */
    enum weir_status (*content_put)(struct weir_engine *engine, const struct weir_content *contents, size_t count,
                                    struct weir_error *error);
    /* Also one that has expired and was not swept yet. WEIR_ENOTFOUND. */
    enum weir_status (*content_get)(struct weir_engine *engine, struct weir_span request_id, struct weir_arena *arena,
                                    struct weir_content *content, struct weir_error *error);
    enum weir_status (*content_delete)(struct weir_engine *engine, struct weir_span request_id,
                                       struct weir_error *error);
    /* In order of number, at most `limit` behind `after`. `heads`: of the blobs only as much as names the key. */
    enum weir_status (*content_each)(struct weir_engine *engine, int64_t after, size_t limit, bool heads,
                                     weir_content_visit visit, void *context, struct weir_error *error);
    enum weir_status (*content_reseal)(struct weir_engine *engine, int64_t number, struct weir_span blob,
                                       struct weir_error *error);
    /* Removes at most `limit` of those that have expired at `utc_us`. */
    enum weir_status (*content_sweep)(struct weir_engine *engine, int64_t utc_us, size_t limit, uint64_t *removed,
                                      struct weir_error *error);
    /* --- receipts (store/receipts.h) ---
     * One step of chaining what is in the ledger: at most `limit` entries (0: 4096, which are the most). What is chained is on the disk. *more: another
     * step is due. */
    enum weir_status (*receipt_advance)(struct weir_engine *engine, size_t limit, bool *more, struct weir_error *error);
    /* The last entry that retention took away, and the newest one that is chained; of sequence 0 where there is none. */
    enum weir_status (*receipt_chain)(struct weir_engine *engine, struct weir_receipt_link *cut,
                                      struct weir_receipt_link *head, struct weir_error *error);
    /* Receipts of what is chained, in order of sequence; at most 1000, and `newest` is not for this. */
    enum weir_status (*receipt_each)(struct weir_engine *engine, const struct weir_ledger_query *query,
                                     weir_receipt_visit visit, void *context, struct weir_error *error);
    /* One step of comparing the ledger with its chain: at most `limit` entries (0: 10,000, which are the most). WEIR_OK when it could be read, whatever
     * it found. *more: another step is due, with the same `check`. */
    enum weir_status (*receipt_verify)(struct weir_engine *engine, struct weir_receipt_check *check, size_t limit,
                                       bool *more, struct weir_error *error);
    /* Forces what was committed to the disk: it survives a power loss from here on. Asked before journal segments are
     * deleted. */
    enum weir_status (*flush)(struct weir_engine *engine, struct weir_error *error);
    /* How long an operation may wait for another process's transaction before it answers
     * WEIR_EBUSY: 5000 after open. */
    void (*set_patience)(struct weir_engine *engine, unsigned milliseconds);
};
extern const struct weir_engine_ops weir_engine_sqlite;

/* --- the store thread --- */
struct weir_store;
struct weir_store_settings {
    const char *directory; /* holds weir.db and journal/; created with mode 0700 */
    const char *environment;
    unsigned workers;
    bool sync_group; /* journal.sync: group (msync before close records count) or none */
    struct weir_record_settings records;
    int64_t ledger_retention_us; /* entries that started longer ago are taken out of the ledger; 0: never */
    int64_t usage_hours_kept_us; /* and sums of usage by hour; 0: never */
    const struct weir_log *log;  /* copied */
};
/* Opens the database, reads what dead instances left in the journal, settles it, makes the first segments, starts the
 * thread. */
WEIR_MUST enum weir_status weir_store_new(const struct weir_store_settings *settings, struct weir_random *random,
                                          struct weir_store **store, struct weir_error *error);
/* Ingests what is left, ends the instance, joins the thread. The workers have stopped appending; operations still
 * queued are run. When the database cannot be used for 5 s, the journal stays and the next start reads it. */
void weir_store_free(struct weir_store **store);
const struct weir_uuid *weir_store_instance(const struct weir_store *store);
/* Worker `index`'s journal; owned by the store, used by that worker alone. */
struct weir_journal *weir_store_journal(struct weir_store *store, unsigned index);
void weir_store_health(struct weir_store *store, struct weir_store_health *health);
/* Wakes the thread when a worker has appended much; it wakes by itself every 50 ms when there is something. Cheap,
 * any thread. */
void weir_store_nudge(struct weir_store *store);

/* Calls on `loop`, with keys that are new or changed since the last call: first with all keys, in pieces, and then
 * once with none, which says that those were all; later within half a second of each change, whoever made it. The
 * records live for the call. */
void weir_store_watch_keys(struct weir_store *store, struct weir_loop *loop,
                           void (*on_keys)(void *context, const struct weir_key_record *keys, size_t count),
                           void *context);

/* The same for objects of all kinds; removed ones come with `removed` set. */
void weir_store_watch_objects(struct weir_store *store, struct weir_loop *loop,
                              void (*on_objects)(void *context, const struct weir_object *objects, size_t count),
                              void *context);
/* Looks for changes at once: a change on another connection of this process is seen by the watchers without delay. Any thread. */
void weir_store_look(struct weir_store *store);
/* The same, and waits until it was done, at most so long: what was there before the call is on its way to the watchers' loops when this gives true.
 * Not from the store's own thread. */
bool weir_store_look_through(struct weir_store *store, int64_t timeout_ms);

/* Hands a captured content over; its texts are copied. Any thread, no reply. What does not fit (WEIR_CONTENTS_WAITING…) or cannot be written is
 * left out. */
void weir_store_content_put(struct weir_store *store, const struct weir_content *content);
/* Counts one that could not even be handed over. */
void weir_store_content_left_out(struct weir_store *store);

/* Before `loop` ends: its watchers are gone and replies to it are dropped when this returns. (Messages that were
 * posted before still run.) Not needed when the store is freed before the loop. */
void weir_store_forget_loop(struct weir_store *store, const struct weir_loop *loop);

/* Asynchronous operations; the reply is called on `loop`. WEIR_EBUSY at once (and no reply) when 1024 are waiting.
 * While the database cannot be used the reply comes within a fraction of a second: WEIR_EBUSY, WEIR_EFULL, WEIR_EIO. */
typedef void (*weir_store_reply)(void *context, enum weir_status status, const struct weir_error *error);
WEIR_MUST enum weir_status weir_store_key_insert(struct weir_store *store, struct weir_loop *loop,
                                                 const struct weir_key_record *key, weir_store_reply reply,
                                                 void *context);
WEIR_MUST enum weir_status weir_store_key_revoke(struct weir_store *store, struct weir_loop *loop, struct weir_span id,
                                                 weir_store_reply reply, void *context);
/* Its texts are copied. The reply has WEIR_EEXIST where the id is taken. */
WEIR_MUST enum weir_status weir_store_object_create(struct weir_store *store, struct weir_loop *loop,
                                                    const struct weir_object *object, weir_store_reply reply,
                                                    void *context);
typedef void (*weir_store_revision_reply)(void *context, enum weir_status status, uint64_t number,
                                          const struct weir_error *error);
/* A number that is new is in the audit trail, in the same transaction: made by the system, because of `cause` (a word, static storage). */
WEIR_MUST enum weir_status weir_store_revision_save(struct weir_store *store, struct weir_loop *loop,
                                                    struct weir_span hash, struct weir_span text, const char *cause,
                                                    weir_store_revision_reply reply, void *context);
/* Who issued these ids (copied; WEIR_ELIMIT when there are more than WEIR_MAX_ISSUED_ASKED): the reply has one record
 * an id, in their order, with an empty provider where none is known, or none at all on a failure. The records live for
 * the call. What was issued within the last moments is in the table of issued.h first, and here once the journal is
 * read. */
enum { WEIR_MAX_ISSUED_ASKED = 10000 };
typedef void (*weir_store_issued_reply)(void *context, enum weir_status status, const struct weir_issued *found,
                                        size_t count, const struct weir_error *error);
WEIR_MUST enum weir_status weir_store_issued_find(struct weir_store *store, struct weir_loop *loop,
                                                  const struct weir_span *ids, size_t count,
                                                  weir_store_issued_reply reply, void *context);
/* Asks for slices, for this instance (struct weir_engine_ops.lease). The counters' ids are copied; the reply's leases live for the call, in the order of the
 * questions, and have no answers unless the status is WEIR_OK. */
enum { WEIR_MAX_LEASES = 1000 };
typedef void (*weir_store_lease_reply)(void *context, enum weir_status status, const struct weir_lease *leases,
                                       size_t count, const struct weir_error *error);
/* How many instances that live are attached to this database, this one among them; looked at about once a second. Any thread. */
unsigned weir_store_live_instances(const struct weir_store *store);
WEIR_MUST enum weir_status weir_store_lease(struct weir_store *store, struct weir_loop *loop,
                                            const struct weir_lease *leases, size_t count, weir_store_lease_reply reply,
                                            void *context);
/* Something that reads and writes more than one thing: `run` is called once on the store thread, with the engine, and does it all in a transaction of
 * its own (work_begin, work_end). Nothing is ingested meanwhile, so it is short. What came of it stands in `context`; it gives the status of the engine
 * operation that failed, and WEIR_OK where none did, also where it has refused something. `reply` is called on `loop` with that status, unless
 * the loop was forgotten, and `release` once after all of it, on whichever thread: whoever asked may be gone by then. */
struct weir_store_work {
    enum weir_status (*run)(void *context, const struct weir_engine_ops *ops, struct weir_engine *engine,
                            struct weir_error *error);
    weir_store_reply reply;         /* NULL: nobody wants to know */
    void (*release)(void *context); /* NULL: nothing is to be freed */
    void *context;
};
/* WEIR_EBUSY or WEIR_ENOMEM at once, as below; then nothing was called but `release`. `loop` may be NULL where there is no reply. */
WEIR_MUST enum weir_status weir_store_run(struct weir_store *store, struct weir_loop *loop,
                                          const struct weir_store_work *work);
/* Before the thread has work: the number of the first revision, synchronously; its cause is "start". */
WEIR_MUST enum weir_status weir_store_revision_first(struct weir_store *store, struct weir_span hash,
                                                     struct weir_span text, uint64_t *number, struct weir_error *error);

/* --- synchronous use by commands, on an own connection --- */
/* Opens <directory>/weir.db with the engine; creates it when `create`. Retries while it is locked, up to 5 s. */
WEIR_MUST enum weir_status weir_store_direct_open(const char *directory, const char *environment, bool create,
                                                  struct weir_engine **engine, struct weir_error *error);
void weir_store_direct_close(struct weir_engine **engine);
/* A dry run: opens <directory>/weir.db, goes through the whole migration and takes it back; the database is as it was. It holds the write lock
 * meanwhile: what others write waits. The statuses are those of opening: WEIR_EDENIED for another environment or for a
 * database that needs a newer program. WEIR_ENOTFOUND: there is none. */
WEIR_MUST enum weir_status weir_store_direct_migration(const char *directory, const char *environment,
                                                       struct weir_store_migration *migration,
                                                       struct weir_error *error);

#endif

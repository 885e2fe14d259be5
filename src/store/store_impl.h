/* The store thread's inside, shared by store.c (life and loop), store_boot.c (directories, the dead), store_ingest.c
 * (journal to ledger), store_contents.c (captured contents), store_retention.c (upkeep of both), store_operations.c (messages) and store_watch.c (watching
 * keys and objects).
 *
 * One mutex guards the queue, the watchers' list and the health; it is never held over a call of the engine.
 * Everything else belongs to the store thread from the moment it runs.
 */
#ifndef WEIR_STORE_STORE_IMPL_H
#define WEIR_STORE_STORE_IMPL_H

#include "base/map.h"
#include "store/segments.h"
#include "store/store.h"

#include <pthread.h>

/* --- reading a series --- */
struct store__place {
    struct store__segment *segment;
    size_t offset;
    uint64_t bytes; /* of records read so far */
};

/* One worker's journal of one instance, from the reader's side. */
struct store__series {
    struct weir_uuid instance;
    uint32_t worker;
    struct weir_journal *journal;        /* the writing end; NULL: a dead one's */
    struct store__segment *first, *last; /* what is still mapped, oldest first; first == committed.segment at rest */
    uint64_t next_number;                /* of the segment to create next */
    struct store__place committed;       /* all before it is in the ledger */
    struct store__place reached;         /* within a batch */
    bool supply_failed;                  /* the next segment could not be had */
    uint64_t synced_bytes;               /* journal.sync: group */
};

enum { STORE__BATCH_RECORDS = 1000 };

/* An `open` whose `close` was not met in the same batch. */
struct store__batch_open {
    struct weir_journal_open open; /* spans point into the segment */
    const struct store__series *series;
    bool closed;
};

struct store__batch {
    struct store__batch_open *opens; /* STORE__BATCH_RECORDS of them */
    size_t open_count;
    struct weir_map *by_request;
    size_t records;
    bool began;
};

/* --- operations --- */
struct store__operation {
    struct weir_message message; /* first: the operation is its own reply */
    struct store__operation *next;
    enum weir_status (*run)(struct weir_store *store, struct store__operation *operation, struct weir_error *error);
    struct weir_loop *loop; /* NULL: nobody is waiting on a loop */
    bool waited_for;        /* somebody waits on store->done instead, and frees it */
    bool finished;
    weir_store_reply reply;
    weir_store_revision_reply revision_reply;
    weir_store_issued_reply issued_reply;
    weir_store_lease_reply lease_reply;
    void *context;
    enum weir_status status;
    struct weir_error error;
    /* what is asked, and the answer */
    struct weir_key_record key;
    struct weir_object object;
    bool taken; /* of an object: its id is */
    struct weir_span id, hash, text;
    const char *cause; /* of a revision; static storage */
    uint64_t number;
    struct weir_arena *arena; /* of ids, found and their texts; NULL for other operations */
    struct weir_span *ids;
    struct weir_issued *found;
    struct weir_lease *leases; /* in the arena */
    size_t count;
    struct weir_store_work work; /* store_run.c */
    char bytes[];                /* that the spans point to */
};

struct store__waiting; /* store_contents.c */

struct store__watcher {
    struct store__watcher *next;
    struct weir_loop *loop; /* NULL: forgotten */
    /* the one or the other */
    void (*on_keys)(void *context, const struct weir_key_record *keys, size_t count);
    void (*on_objects)(void *context, const struct weir_object *objects, size_t count);
    void *context;
    uint64_t seen;    /* the newest change that was sent */
    bool dirty, told; /* the store thread's */
};

struct weir_store {
    const struct weir_engine_ops *ops;
    struct weir_engine *engine;
    struct weir_log log;
    bool sync_group;
    int64_t ledger_retention_us, usage_hours_kept_us;
    struct weir_uuid instance;
    int directory; /* of the journal */
    int lock;      /* the instance's lock file */
    struct weir_journal *journals;
    struct store__series *series;
    unsigned workers;
    struct store__batch batch;
    int64_t next_ingest_ns, backoff_ns, active_until_ns, next_watch_ns, next_dead_ns, next_supply_ns, next_upkeep_ns,
        next_sweep_ns, next_count_ns;
    bool look_for_dead; /* another instance lived when we looked, or one's remains could not be read */
    bool running;

    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    _Atomic bool nudged;
    _Atomic unsigned live_instances;
    _Atomic uint64_t contents_left_out;
    /* under the mutex */
    bool stop, watch_now;
    uint64_t looks_begun, looks_done; /* of store__watch */
    struct store__operation *queue, **queue_end;
    size_t queued;
    struct store__waiting *contents; /* the newest first */
    size_t content_count, content_bytes;
    struct store__operation *current;
    struct store__watcher *watchers;
    struct weir_store_health health;
    uint64_t read_bytes; /* of the journal */
    char database_problem[160], journal_problem[160], lasting_problem[160];
};

/* --- store.c --- */
/* Notes what an operation of the engine came to: availability, counters, words. Gives `status` back. */
enum weir_status store__note(struct weir_store *store, enum weir_status status, const struct weir_error *error);
/* What a restart does not heal and a person should look at. */
void store__note_lasting(struct weir_store *store, const char *event, const char *text);

/* --- store_ingest.c --- */
WEIR_MUST enum weir_status store__batch_init(struct store__batch *batch);
void store__batch_release(struct store__batch *batch);
/* Reads one batch of all the series into the ledger, in one transaction. *records: how many. On failure nothing has
 * happened. `probe`: a transaction is made even when there is nothing to read. */
WEIR_MUST enum weir_status store__ingest(struct weir_store *store, struct store__series *series, size_t count,
                                         bool probe, size_t *records, struct weir_error *error);
/* Unmaps and removes segments that are in the ledger for good. */
WEIR_MUST enum weir_status store__retire(struct weir_store *store, struct store__series *series, size_t count,
                                         struct weir_error *error);
/* Unmaps all of a series; files stay. */
void store__series_release(struct store__series *series);
/* True when the first record of a segment is written. */
bool store__segment_begun(const struct store__segment *segment);

/* --- store_boot.c --- */
/* Creates the directory, its parents and <directory>/journal, 0700 all of them. */
WEIR_MUST enum weir_status store__make_directories(const char *directory, struct weir_error *error);
WEIR_MUST enum weir_status store__database_path(const char *directory, char *out, size_t size,
                                                struct weir_error *error);
/* Counts the instances that live, and looks for the dead among the others at once when one has no lock any more. */
void store__count_instances(struct weir_store *store);
/* Reads and settles what dead instances left. Sets store->look_for_dead when it should be called again later. */
WEIR_MUST enum weir_status store__settle_dead(struct weir_store *store, struct weir_error *error);
/* The series' next segment, mapped, linked and offered to its worker; the very first one too. */
WEIR_MUST enum weir_status store__supply(struct weir_store *store, struct store__series *series, bool populate,
                                         struct weir_error *error);

/* --- store_contents.c --- */
/* Writes the captured contents that wait. */
void store__write_contents(struct weir_store *store);

/* --- restore.c --- */
/* WEIR_EBUSY: what is in the directory is half a restore. */
WEIR_MUST enum weir_status store__check_restored(const char *directory, struct weir_error *error);

/* --- store_retention.c --- */
/* Before the thread runs: adds to the ledger's sums what they lack, for a second or two at most. */
void store__catch_up(struct weir_store *store);
/* A step of the upkeep of sums, the ledger, request records and captured contents, when one is due. */
void store__upkeep(struct weir_store *store, int64_t now_ns);

/* What was in the journal before the call is in the ledger when this gives WEIR_OK. (store.c) */
WEIR_MUST enum weir_status store__read_journal(struct weir_store *store, struct weir_error *error);

/* --- store_operations.c --- */
/* Runs everything that is queued. */
void store__run_operations(struct weir_store *store);
/* With room for `bytes`; NULL: no memory. */
struct store__operation *store__operation_new(struct weir_loop *loop, size_t bytes);
/* Takes the operation over, also on failure: WEIR_EBUSY. */
WEIR_MUST enum weir_status store__submit(struct weir_store *store, struct store__operation *operation);

/* --- store_watch.c --- */
/* Sends changed keys and objects to whom they are new. */
void store__watch(struct weir_store *store);
void store__watchers_release(struct weir_store *store);

#endif

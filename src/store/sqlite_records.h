/* Request records in SQLite: what the files sqlite_record*.c share.
 *
 * A partition is a day's tables, DAY standing for its number (20261121):
 *
 *   record_DAY(number, data)                        a record is one value (sqlite_record_code.c), read whole
 *   record_zone_DAY(zone, first and last start)     a zone is 1,024 numbers
 *   record_value_DAY(dimension, value, zone, records)  which records of a zone have a value: the filters' index
 *   record_zone_id_DAY(zone, rare, ids)             hashes of a zone's rare values and of its ids, until the zone is merged into a run
 *   record_run_id_DAY(bucket, ids)                  a run is 262,144 numbers; its hashes, of both, stand in 4,096 buckets
 *
 * The indexes of a zone are written once, when it is full; what is newer is read through. So a record costs one append while requests come in,
 * and its part of a zone later. Everything is written in the same transactions as the numbers in record_partition that say how far it is.
 */
#ifndef WEIR_STORE_SQLITE_RECORDS_H
#define WEIR_STORE_SQLITE_RECORDS_H

#include "store/sqlite_impl.h"

enum {
    STORE__RECORD_ZONE_SHIFT = 10,
    STORE__RECORD_ZONE = 1 << STORE__RECORD_ZONE_SHIFT,
    STORE__RECORD_RUN_SHIFT = 18,
    STORE__RECORD_RUN = 1 << STORE__RECORD_RUN_SHIFT,
    STORE__RECORD_BUCKET_SHIFT = 12,
    STORE__RECORD_BUCKETS = 1 << STORE__RECORD_BUCKET_SHIFT,
    STORE__RECORD_SQL_BYTES = 320
};

#define STORE__DAY_US ((int64_t)86400 * 1000000)

/* What can be filtered by. Stored as numbers: new ones go to the end. */
enum store__dimension {
    STORE__BY_WORKSPACE = 1,
    STORE__BY_KEY,
    STORE__BY_MODEL,
    STORE__BY_PROVIDER, /* of any attempt */
    STORE__BY_ENDPOINT,
    STORE__BY_STATUS,
    STORE__BY_STATUS_CLASS,
    STORE__BY_OUTCOME,
    STORE__BY_REASON, /* its own or any attempt's */
    STORE__BY_FAILED
};

/* A row of record_partition. */
struct store__partition {
    int64_t day;
    int64_t first, next; /* its numbers: [first, next); first is the first number of a run */
    int64_t records;
    int64_t first_start_utc_us, last_start_utc_us;
    int64_t indexed_to; /* zones before this number are indexed */
    int64_t merged_to;  /* ids before this number are in runs */
    bool dropping;      /* too old: nobody reads it any more */
};

/* Records are encoded into a queue and written some at a time: a statement costs more than the row that it writes. */
enum { STORE__MAX_RECORD_BYTES = 26 * 1024, STORE__RECORD_QUEUE = 8 };
struct store__record_queue {
    unsigned count;
    size_t bytes, ends[STORE__RECORD_QUEUE];
    char data[2 * STORE__MAX_RECORD_BYTES];
};

struct store__record_index; /* the work space for indexing a zone */

struct store__records {
    struct weir_record_settings settings;
    unsigned char id_key[16]; /* of this database: nobody outside can make ids collide */
    bool has_id_key;
    struct store__partition newest; /* of the running transaction */
    bool loaded, changed;
    struct store__record_queue queue;   /* those before newest.next that are not written yet */
    sqlite3_stmt *insert, *insert_many; /* into the partition of insert_day; one, and a full queue */
    int64_t insert_day;
    struct store__record_index *index;
};

/* --- sqlite_record_code.c --- */
enum { STORE__RECORD_TEXTS = 7 };
/* A text as it is kept: a number of the dictionary, or itself where it is not worth a place there. */
struct store__record_text {
    int64_t number;
    struct weir_span itself;
};
struct store__raw_record {
    struct weir_ledger_entry entry; /* without the texts below */
    /* key_id, workspace, endpoint, model, provider, upstream_model, price_version */
    struct store__record_text texts[STORE__RECORD_TEXTS];
    struct store__record_text attempts[WEIR_MAX_ATTEMPTS][2]; /* provider, upstream_model */
    bool trace_is_binary;                                     /* entry.trace_id is 16 bytes yet to be written out */
    char trace[33];                                           /* to there */
};
size_t store__record_encode(const struct weir_ledger_entry *entry, const struct store__entry_numbers *numbers,
                            char out[STORE__MAX_RECORD_BYTES]);
/* Spans point into `data` and into *raw. WEIR_ECORRUPT. */
WEIR_MUST enum weir_status store__record_decode(struct weir_span data, struct store__raw_record *raw);
/* Puts the dictionary's texts into raw->entry; they live until store__dictionary_trim or _clear. */
WEIR_MUST enum weir_status store__record_resolve(struct weir_engine *engine, struct store__raw_record *raw,
                                                 struct weir_error *error);
WEIR_MUST enum weir_status store__record_text(struct weir_engine *engine, const struct store__record_text *text,
                                              struct weir_span *out, struct weir_error *error);

/* --- sqlite_records.c --- */
/* NULL only without memory; kept with the engine. */
struct store__records *store__records_of(struct weir_engine *engine);
/* Prepares `format` with the day put in for each %lld (at most three). */
WEIR_MUST enum weir_status store__record_prepare(struct weir_engine *engine, const char *format, int64_t day,
                                                 sqlite3_stmt **statement, struct weir_error *error);
/* Runs a statement that gives no row. */
WEIR_MUST enum weir_status store__record_exec(struct weir_engine *engine, const char *format, int64_t day,
                                              struct weir_error *error);
/* Of all partitions the newest; the one that follows the day `after`. WEIR_ENOTFOUND. */
WEIR_MUST enum weir_status store__partition_newest(struct weir_engine *engine, struct store__partition *partition,
                                                   struct weir_error *error);
WEIR_MUST enum weir_status store__partition_after(struct weir_engine *engine, int64_t after,
                                                  struct store__partition *partition, struct weir_error *error);
/* The newest partition with day < before (0: the newest of all), dropping ones left out. WEIR_ENOTFOUND. */
WEIR_MUST enum weir_status store__partition_before(struct weir_engine *engine, int64_t before,
                                                   struct store__partition *partition, struct weir_error *error);
WEIR_MUST enum weir_status store__partition_write(struct weir_engine *engine, const struct store__partition *partition,
                                                  struct weir_error *error);
WEIR_MUST enum weir_status store__record_id_key(struct weir_engine *engine, struct weir_error *error);

/* --- sqlite_record_index.c --- */
/* The hash that an id is found by; only the bits above STORE__RECORD_RUN_SHIFT count. */
uint64_t store__record_id_hash(const struct store__records *records, struct weir_span id);
int64_t store__record_value(const struct store__records *records, struct weir_span text);
/* Keys, workspaces and models: a zone may have as many of them as records. Those that few of its records have are no rows of record_value_DAY
 * but stand with the ids, under this hash. */
bool store__record_may_be_rare(enum store__dimension dimension);
uint64_t store__record_rare_hash(enum store__dimension dimension, int64_t value);
/* Notes a record that is about to be written as partition->next, so that its zone need not be read back. */
WEIR_MUST enum weir_status store__record_gather(struct weir_engine *engine, const struct store__partition *partition,
                                                const struct weir_ledger_entry *entry,
                                                const struct store__entry_numbers *numbers, struct weir_error *error);
/* Indexes the next zone of the partition: up to a full one, less at the end of a day. Moves indexed_to. */
WEIR_MUST enum weir_status store__record_index_zone(struct weir_engine *engine, struct store__partition *partition,
                                                    struct weir_error *error);
/* Merges the ids of the next zones into a run. Moves merged_to. */
WEIR_MUST enum weir_status store__record_merge(struct weir_engine *engine, struct store__partition *partition,
                                               struct weir_error *error);
void store__record_index_free(struct store__record_index **index);

/* A zone's ids as they stand in record_zone_id_DAY, and its rare values: how many of them each of 256 groups (the hash's first byte) ends at,
 * 16 bits each, then the ids, 8 bytes each: hash, and in the low bits the record's place in the run. */
enum { STORE__ID_GROUPS = 256, STORE__ID_HEAD_BYTES = STORE__ID_GROUPS * 2, STORE__ID_BYTES = 8 };
/* Those that begin as the hash does. */
struct weir_span store__record_group(struct weir_span ids, uint64_t hash);

/* Which records of a zone: a bit each. */
struct store__record_bits {
    uint64_t words[STORE__RECORD_ZONE / 64];
};
WEIR_MUST enum weir_status store__record_bits_decode(struct weir_span bytes, struct store__record_bits *bits);

/* --- sqlite_record_condition.c --- */
/* What a listing asks of the records, one filter of it: gone through by zones, from the newest. */
struct store__condition {
    enum store__dimension dimension;
    int64_t value;
    int64_t zone; /* where it stands; -1: before the first step */
    struct store__record_bits bits;
    /* the rest is of sqlite_record_condition.c alone */
    sqlite3_stmt *rows, *zones, *runs;
    int64_t row_zone; /* of the newest row that is not above the last step; -1: none is left */
    struct store__record_bits row_bits;
    int64_t run; /* whose bucket `runs` stands at; -1: none */
    struct weir_span bucket;
};
/* For a day's indexes; also after a failure to be released. */
WEIR_MUST enum weir_status store__condition_prepare(struct weir_engine *engine, struct store__condition *condition,
                                                    const struct store__partition *partition, struct weir_error *error);
void store__condition_release(struct store__condition *condition);
/* Goes to the newest zone at or before *zone whose records may meet it. Adds what it looks at to *looked. WEIR_ENOTFOUND: there is none;
 * WEIR_END: *looked has reached `most`, and from *zone on there is none. */
WEIR_MUST enum weir_status store__condition_leap(struct weir_engine *engine, struct store__condition *condition,
                                                 const struct store__partition *partition, int64_t *zone, uint64_t most,
                                                 uint64_t *looked, struct weir_error *error);

/* --- sqlite_record_upkeep.c, sqlite_record_list.c, sqlite_record_find.c: operations --- */
enum weir_status store__sqlite_record_upkeep(struct weir_engine *engine, int64_t utc_us, bool *more,
                                             struct weir_error *error);
enum weir_status store__sqlite_record_list(struct weir_engine *engine, const struct weir_record_query *query,
                                           weir_record_visit visit, void *context, struct weir_record_page *page,
                                           struct weir_error *error);
enum weir_status store__sqlite_record_find(struct weir_engine *engine, struct weir_span id, size_t limit,
                                           weir_record_visit visit, void *context, struct weir_error *error);

#endif

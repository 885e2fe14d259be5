/* Request records: the whole story of each request, in partitions by day, apart from the ledger.
 *
 * The ledger is the book of money and is kept for years; a record tells what happened, is found by any id that a client may quote, and is
 * dropped with its day. Records are numbered over all partitions in the order in which they were taken in, which is nearly the order of their
 * ends. docs/decisions/0017-request-records.md says how they are found without an index a column.
 *
 * The store thread writes; any connection reads (struct weir_engine_ops).
 */
#ifndef WEIR_STORE_RECORDS_H
#define WEIR_STORE_RECORDS_H

#include "store/ledger.h"

struct weir_record {
    int64_t number;                 /* grows; the cursor of listings */
    int64_t day;                    /* of its partition, as 20261121 */
    struct weir_ledger_entry entry; /* spans live until the next record is visited */
};

/* What is kept. All zero: nothing. */
struct weir_record_settings {
    int64_t retention_us;    /* of a day, after it ended; 0: none are written, and none stay */
    unsigned sample_percent; /* of the requests that went well; of the others all are kept */
};

/* Zero values do not filter. A provider or a reason is met where any attempt had it. */
struct weir_record_query {
    struct weir_span workspace, key_id, model, provider, endpoint;
    unsigned status;       /* 429 */
    unsigned status_class; /* 4: any of 400 to 499 */
    bool has_outcome;
    enum weir_outcome outcome;
    unsigned reason;                   /* enum weir_reason */
    bool failed;                       /* any outcome but ok */
    int64_t from_utc_us, until_utc_us; /* start time, [from, until) */
    int64_t before_number;             /* cursor: older ones; 0: from the newest */
    size_t limit;                      /* 0: 50; at most 1000 */
};

/* How a page ended, and what it took. A page looks at so many records and parts of indexes and no more: it may be shorter than its limit, or
 * empty, and still have a next one. */
struct weir_record_page {
    int64_t next_number; /* before_number of the next page; 0: there is no more */
    uint64_t rows;       /* records that were read */
    uint64_t zones;      /* parts of the index that were looked at */
};

enum { WEIR_RECORD_ID_BYTES = 512, WEIR_RECORD_MATCHES = 100 };

/* What an id was to the record that was found by it: a bit each. */
enum {
    WEIR_RECORD_BY_REQUEST = 1,
    WEIR_RECORD_BY_CLIENT = 2,
    WEIR_RECORD_BY_UPSTREAM = 4,
    WEIR_RECORD_BY_TRACE = 8,
    WEIR_RECORD_BY_SESSION = 16,
    WEIR_RECORD_BY_ISSUED = 32
};
/* Which of the record's ids `id` is; 0: none. */
unsigned weir_record_ids_named(const struct weir_ledger_entry *entry, struct weir_span id);

/* Whether a record is kept of a request. Decided by its id, so that every process decides alike. */
bool weir_record_is_kept(const struct weir_record_settings *settings, const struct weir_ledger_entry *entry);

#endif

/* What was spent, by whom, when: sums of the ledger, a second behind it at most, and the slices of budgets that instances hold.
 *
 * Every entry of the ledger adds, soon after it was written and exactly once, to the spend of each scope that it belongs to: its key's family, its user, team,
 * workspace, model, provider, and of all. Sums are by quarter of an hour (UTC) of the request's start, so that days, weeks and months of every zone
 * can be had from them. What was spent is therefore never a counter of its own that could drift: it is a sum over the ledger.
 *
 * A slice is what an instance may still spend of a counter without asking. The rule that makes a hard limit hold, whoever asks, is one line, checked in one
 * transaction: spent + all slices <= limit. An entry takes its cost from the slices of its own instance in the transaction that adds it, for it moved from "may be spent" to
 * "was spent"; an instance that ends gives its slices back; one that died loses them when its journal has been read.
 * docs/decisions/0018-spend-and-slices.md says why.
 */
#ifndef WEIR_STORE_SPEND_H
#define WEIR_STORE_SPEND_H

#include "base/ids.h"
#include "base/span.h"

/* Stored as numbers: new ones go to the end. */
enum weir_scope {
    WEIR_SCOPE_GLOBAL = 1, /* id: "" */
    WEIR_SCOPE_WORKSPACE,  /* id: the workspace's */
    WEIR_SCOPE_TEAM,       /* id: "workspace/team" */
    WEIR_SCOPE_USER,       /* id: "workspace/user" */
    WEIR_SCOPE_KEY,        /* id: the family's: the id of the first key of a chain of rotations */
    WEIR_SCOPE_MODEL,      /* id: the name that clients ask for */
    WEIR_SCOPE_PROVIDER,   /* id: the provider's name */
    WEIR_SCOPE_END
};
/* "global", "workspace", "team", "user", "key", "model", "provider"; NULL for any other number. */
const char *weir_scope_name(enum weir_scope scope);
/* False: no scope has that name. */
bool weir_scope_from_name(struct weir_span name, enum weir_scope *scope);

/* Stored as numbers. */
enum weir_spend_unit {
    WEIR_SPEND_CU_MILLI =
        0, /* charged: entries' cost_cu_milli. Of a provider besides what its failed attempts may have cost. */
    WEIR_SPEND_REQUESTS, /* entries */
    WEIR_SPEND_TOKENS    /* input and output */
};

#define WEIR_SPEND_BUCKET_US ((int64_t)15 * 60 * 1000000)

/* Something that is summed up over a time. */
struct weir_spend_counter {
    enum weir_scope scope;
    struct weir_span id;
    enum weir_spend_unit unit;
    /* Start times [from, until); multiples of WEIR_SPEND_BUCKET_US. 0 and INT64_MAX: no bound. */
    int64_t from_utc_us, until_utc_us;
    /* The window moves: `from` is another at every question, and the slice is one for all of them. */
    bool rolling;
};

/* A question about one counter, and its answer. */
struct weir_lease {
    struct weir_spend_counter counter;
    int64_t limit;  /* of what all may spend together; INT64_MAX: none */
    int64_t wanted; /* to be added to this instance's slice; as much of it as there is; 0: just asking */
    int64_t
        unused; /* of this instance's slice, given back before anything else; more than it has counts as all of it. INT64_MAX, which says that nobody knows how
                 * much there is: once all of this instance's journal is in the ledger, for what was charged there is part of the slice */
    /* the answer */
    int64_t granted; /* 0 to wanted */
    int64_t spent;   /* in the ledger */
    int64_t slice;   /* this instance's, now: granted, and neither given back nor in the ledger yet */
    int64_t others;  /* of all other instances together */
};

/* What was spent in one bucket, or in several. */
struct weir_spend {
    int64_t bucket_utc_us; /* its start */
    int64_t cu_milli, requests, tokens;
};

/* --- usage reports: sums by hour and day, of what an entry says of itself --- */
enum weir_usage_dimension {
    WEIR_USAGE_BY_KEY = 1,  /* the family */
    WEIR_USAGE_BY_USER = 2, /* "workspace/user", "" for none */
    WEIR_USAGE_BY_TEAM = 4, /* "workspace/team", "" for none */
    WEIR_USAGE_BY_WORKSPACE = 8,
    WEIR_USAGE_BY_PROVIDER = 16,
    WEIR_USAGE_BY_MODEL = 32,          /* as clients ask for it */
    WEIR_USAGE_BY_UPSTREAM_MODEL = 64, /* as the provider calls it */
    WEIR_USAGE_BY_ENDPOINT = 128,      /* "chat.completions": the route */
    WEIR_USAGE_BY_TAG = 256, /* "name=value", one row for each; not together with others than day, hour and workspace */
    WEIR_USAGE_BY_DAY = 512, /* UTC */
    WEIR_USAGE_BY_HOUR = 1024 /* UTC */
};
enum { WEIR_USAGE_DIMENSIONS = 9 }; /* that are texts: the first nine, by their places */

struct weir_usage_sums {
    int64_t requests, errors, aborted, crashed, unpriced,
        estimated; /* errors: outcome "error"; estimated: usage not from the provider */
    int64_t input, cached, cache_write, output, reasoning; /* tokens */
    int64_t cost_cu_milli, overrun_cu_milli, reserved_cu_milli;
};
struct weir_usage_row {
    int64_t from_utc_us; /* of the day or hour; 0 where neither was asked for */
    struct weir_span
        by[WEIR_USAGE_DIMENSIONS]; /* by the dimension's place (key is 0, …); empty where it was not asked for */
    struct weir_usage_sums sums;
};
struct weir_usage_query {
    int64_t from_utc_us, until_utc_us; /* full hours; start times [from, until) */
    unsigned by;                       /* enum weir_usage_dimension, or-ed; 0: one row */
    struct weir_span
        only[WEIR_USAGE_DIMENSIONS]; /* by place: must be this; an empty one with a NULL pointer does not filter */
    size_t limit;                    /* rows; 0: 10,000 */
};

#endif

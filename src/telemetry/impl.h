/* Shared by metrics.c, which records, and exposition.c, which reads.
 *
 * All numbers of one label set are cells of one array: recording adds to a few of them, exposition sums whole arrays over
 * the workers and then reads each metric's cells out. Only a set's worker writes, so a cell needs no locked
 * instruction: a relaxed load and a relaxed store are enough for readers to see whole values.
 */
#ifndef WEIR_TELEMETRY_IMPL_H
#define WEIR_TELEMETRY_IMPL_H

#include "telemetry/metrics.h"

#include <stdatomic.h>

enum telemetry__kind { TELEMETRY__COUNTER, TELEMETRY__GAUGE, TELEMETRY__HISTOGRAM };

enum telemetry__metric {
#define X(name, ...) TELEMETRY__##name,
#include "telemetry/metrics.def"
#undef X
    TELEMETRY__METRICS
};

struct telemetry__row {
    const char *name;
    enum telemetry__kind kind;
    const char *unit;
    const char *labels;
    const char *prose;
};
extern const struct telemetry__row telemetry__rows[TELEMETRY__METRICS];

enum {
    TELEMETRY__MAX_SERIES = 1000, /* label sets a worker, with their own provider and model */
    TELEMETRY__MAX_FOLDED = 256,  /* besides: with provider and model "other" */
    TELEMETRY__MAX_LABEL_BYTES = 128,
    TELEMETRY__SLOTS = 4096, /* of the hash table; a power of two, at least twice the label sets */
    TELEMETRY__TOKEN_TYPES = 5,
    TELEMETRY__UNIT_KINDS = 4 /* enum weir_unit but for none */
};

/* Upper bounds of buckets in the recorded unit (microseconds or tokens); the last bucket is open. */
struct telemetry__bounds {
    size_t count;
    bool are_microseconds;
    int64_t at[16];
};
extern const struct telemetry__bounds telemetry__request_bounds;
extern const struct telemetry__bounds telemetry__operation_bounds;
extern const struct telemetry__bounds telemetry__token_bounds;

/* A histogram takes bounds + 1 buckets and its sum. */
enum { TELEMETRY__REQUEST_CELLS = 16 + 2, TELEMETRY__GENAI_CELLS = 14 + 2 };
enum {
    TELEMETRY__CELL_REQUESTS,
    TELEMETRY__CELL_COST,
    TELEMETRY__CELL_TOKENS, /* input, cached, cache_write, output, reasoning */
    TELEMETRY__CELL_UNITS = TELEMETRY__CELL_TOKENS + TELEMETRY__TOKEN_TYPES,
    TELEMETRY__CELL_DURATION = TELEMETRY__CELL_UNITS + TELEMETRY__UNIT_KINDS,
    TELEMETRY__CELL_OPERATION = TELEMETRY__CELL_DURATION + TELEMETRY__REQUEST_CELLS,
    TELEMETRY__CELL_FIRST_CHUNK = TELEMETRY__CELL_OPERATION + TELEMETRY__GENAI_CELLS,
    TELEMETRY__CELL_INPUT = TELEMETRY__CELL_FIRST_CHUNK + TELEMETRY__GENAI_CELLS,
    TELEMETRY__CELL_OUTPUT = TELEMETRY__CELL_INPUT + TELEMETRY__GENAI_CELLS,
    TELEMETRY__CELLS = TELEMETRY__CELL_OUTPUT + TELEMETRY__GENAI_CELLS
};

/* One label set. The labels are written before it is published and never after. */
struct telemetry__series {
    const char *endpoint;             /* static */
    struct weir_span provider, model; /* into `text` */
    unsigned status;
    enum weir_reason reason;
    bool is_rest; /* status and reason are "other" too */
    uint64_t hash;
    _Atomic int64_t cells[TELEMETRY__CELLS];
    char text[2 * TELEMETRY__MAX_LABEL_BYTES];
};

/* One provider and how attempts at it have ended. Published as label sets are. */
struct telemetry__attempts {
    struct weir_span provider; /* into `text` */
    enum weir_reason reason;
    _Atomic int64_t count;
    char text[TELEMETRY__MAX_LABEL_BYTES];
};

/* Providers come from the settings and reasons from a list: the table is found by what they are, and its bound is met by the provider "other". */
struct telemetry__attempts_table {
    struct telemetry__attempts *last;
    size_t own_count, folded_count;
    struct telemetry__attempts *slots[TELEMETRY__SLOTS];
    _Atomic size_t count; /* for readers: the first `count` are there */
    struct telemetry__attempts *all[TELEMETRY__MAX_SERIES + TELEMETRY__MAX_FOLDED];
};

/* What limits and budgets have refused. Published as label sets are; scopes and limits are few. */
enum { TELEMETRY__MAX_LIMITED = 64 };
struct telemetry__limited {
    const char *scope, *limit; /* static; limit NULL: a budget */
    _Atomic int64_t count;
};

struct weir_metrics_set {
    char before[64]; /* neighbours' cache lines stay theirs */
    _Atomic int64_t active_requests, active_streams, open_connections, cpu_ns, folded, records_left_out,
        overrun_cu_milli;
    _Atomic size_t limited_count;
    struct telemetry__limited limited[TELEMETRY__MAX_LIMITED];
    struct telemetry__series *last; /* the worker's own: what was found last time */
    size_t own_count, folded_count;
    struct telemetry__series *slots[TELEMETRY__SLOTS];
    /* For readers: the first `count` are there. */
    _Atomic size_t count;
    struct telemetry__series *all[1 + TELEMETRY__MAX_SERIES + TELEMETRY__MAX_FOLDED];
    struct telemetry__series rest;
    struct telemetry__attempts_table attempts;
    char after[64];
};

/* Operations are rows and statuses are those of reasons: there are fewer pairs than may be kept. */
enum { TELEMETRY__OPERATION_SLOTS = 8192, TELEMETRY__MAX_OPERATIONS = 4096 };
struct telemetry__operation {
    const char *_Atomic id; /* static; NULL: empty. Stored last */
    unsigned status;
    _Atomic int64_t count;
};

struct weir_metrics {
    unsigned workers;
    struct weir_metrics_set *sets;
    _Atomic int64_t logins_failed, operator_queue;
    size_t operation_count; /* the counting thread's own */
    struct telemetry__operation operations[TELEMETRY__OPERATION_SLOTS];
};

static inline int64_t telemetry__load(const _Atomic int64_t *cell) {
    return atomic_load_explicit(cell, memory_order_relaxed);
}
static inline void telemetry__add(_Atomic int64_t *cell, int64_t more) {
    int64_t sum; /* what a provider reports may be anything: a counter that is full stays so */
    if (__builtin_add_overflow(atomic_load_explicit(cell, memory_order_relaxed), more, &sum))
        sum = more > 0 ? INT64_MAX : INT64_MIN;
    atomic_store_explicit(cell, sum, memory_order_relaxed);
}

#endif

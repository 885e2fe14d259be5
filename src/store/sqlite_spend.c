/* What was spent within a window, and slices: struct weir_engine_ops.lease and spend_each.
 *
 * A window is whole days, read from the sums by day, and what is left at its edges, read by quarters of an hour: a month of any zone takes some 130 small
 * steps at most. A place of a subject in a bucket is sought for itself; where nothing is, the next row that is there says how far there is nothing.
 */
#include "store/sqlite_sums.h"

#include "base/arithmetic.h"

typedef enum weir_status (*bucket_visit)(void *context, int64_t quarter, const int64_t amounts[STORE__UNITS]);

/* The sums of `subject` in rows of `which` from bucket `first` to before `end`; a bucket has `quarters` of them. */
static enum weir_status walk(struct weir_engine *engine, enum store__sql which, int64_t quarters, int64_t subject,
                             int64_t first, int64_t end, bucket_visit visit, void *context, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    int64_t at = first;
    while (status == WEIR_OK && at < end) {
        struct store__binder binder = store__binder_of(statement);
        store__bind_integer(&binder, store__place(at, subject));
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            int64_t place = sqlite3_column_int64(statement, 0), bucket = place >> 32,
                    found = place & (STORE__SUBJECTS_END - 1);
            const int64_t amounts[STORE__UNITS] = {sqlite3_column_int64(statement, 1),
                                                   sqlite3_column_int64(statement, 2),
                                                   sqlite3_column_int64(statement, 3)};
            if (found == subject && bucket < end)
                status = visit(context, bucket * quarters, amounts);
            at = found < subject ? bucket : bucket + 1;
        } else {
            if (code != SQLITE_DONE)
                status = store__sqlite_fail(engine, "read what was spent", error);
            at = end;
        }
        (void)sqlite3_reset(statement);
    }
    return status;
}

/* All buckets of [first, end), in quarters: by days where there are whole ones. */
static enum weir_status walk_window(struct weir_engine *engine, int64_t subject, int64_t first, int64_t end,
                                    bucket_visit visit, void *context, struct weir_error *error) {
    int64_t first_day = (first + STORE__QUARTERS_A_DAY - 1) / STORE__QUARTERS_A_DAY,
            end_day = end / STORE__QUARTERS_A_DAY;
    if (first_day >= end_day)
        return walk(engine, STORE__SQL_SPEND_QUARTER_NEXT, 1, subject, first, end, visit, context, error);
    enum weir_status status = walk(engine, STORE__SQL_SPEND_QUARTER_NEXT, 1, subject, first,
                                   first_day * STORE__QUARTERS_A_DAY, visit, context, error);
    if (status == WEIR_OK) {
        status = walk(engine, STORE__SQL_SPEND_DAY_NEXT, STORE__QUARTERS_A_DAY, subject, first_day, end_day, visit,
                      context, error);
    }
    if (status == WEIR_OK) {
        status = walk(engine, STORE__SQL_SPEND_QUARTER_NEXT, 1, subject, end_day * STORE__QUARTERS_A_DAY, end, visit,
                      context, error);
    }
    return status;
}

static enum weir_status check_counter(const struct weir_spend_counter *counter, struct weir_error *error) {
    bool bad = counter->scope < WEIR_SCOPE_GLOBAL || counter->scope >= WEIR_SCOPE_END ||
               (unsigned)counter->unit >= STORE__UNITS || counter->from_utc_us < 0 ||
               counter->from_utc_us % WEIR_SPEND_BUCKET_US != 0 || counter->until_utc_us < counter->from_utc_us ||
               (counter->until_utc_us != INT64_MAX && counter->until_utc_us % WEIR_SPEND_BUCKET_US != 0);
    return bad ? weir_fail(error, WEIR_EINVAL, "a counter of what was spent has no such scope, unit or bounds")
               : WEIR_OK;
}

/* 0 for a scope that nothing is known of. `make`: it is to be known from now on. */
static enum weir_status find_subject(struct weir_engine *engine, const struct weir_spend_counter *counter, bool make,
                                     int64_t *subject, struct weir_error *error) {
    int64_t text = 0;
    enum weir_status status = WEIR_OK;
    *subject = 0;
    if (counter->scope != WEIR_SCOPE_GLOBAL) {
        status = make ? store__dictionary_id(engine, counter->id, &text, error)
                      : store__dictionary_find(engine, counter->id, &text, error);
        if (status != WEIR_OK || text == 0)
            return status;
    }
    *subject = store__subject(counter->scope, text);
    if (*subject >= STORE__SUBJECTS_END)
        return weir_fail(error, WEIR_ELIMIT, "the ledger has more different texts than can be summed up by");
    return WEIR_OK;
}

/* Where the bounds lie among buckets; nothing starts at or behind STORE__QUARTERS_END. */
static int64_t first_quarter(const struct weir_spend_counter *counter) {
    return store__quarter_of(counter->from_utc_us);
}
static int64_t end_quarter(const struct weir_spend_counter *counter) {
    int64_t quarter = counter->until_utc_us / WEIR_SPEND_BUCKET_US;
    return counter->until_utc_us == INT64_MAX || quarter > STORE__QUARTERS_END ? STORE__QUARTERS_END : quarter;
}

/* --- leases --- */
struct total {
    enum weir_spend_unit unit;
    int64_t sum;
};

static enum weir_status add_up(void *context, int64_t quarter, const int64_t amounts[STORE__UNITS]) {
    struct total *total = context;
    (void)quarter;
    if (!weir_add_int64(total->sum, amounts[total->unit], &total->sum))
        total->sum = INT64_MAX;
    return WEIR_OK;
}

/* A slice's name; the window of a rolling one is no part of it. */
static void bind_slice(struct store__binder *binder, const struct weir_uuid *instance, int64_t subject,
                       const struct weir_spend_counter *counter) {
    store__bind_blob(binder, instance->bytes, sizeof(instance->bytes));
    store__bind_integer(binder, subject);
    store__bind_integer(binder, (int64_t)counter->unit);
    store__bind_integer(binder, counter->rolling);
    store__bind_integer(binder, counter->rolling ? 0 : counter->from_utc_us);
    store__bind_integer(binder, counter->rolling ? 0 : counter->until_utc_us);
}

static enum weir_status read_slice(struct weir_engine *engine, const struct weir_uuid *instance, int64_t subject,
                                   const struct weir_spend_counter *counter, int64_t *amount,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_SLICE_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    bind_slice(&binder, instance, subject, counter);
    status = store__sqlite_integer(engine, statement, "read a slice", amount, error);
    if (status == WEIR_ENOTFOUND) {
        *amount = 0;
        status = WEIR_OK;
    }
    return status;
}

static enum weir_status read_others(struct weir_engine *engine, const struct weir_uuid *instance, int64_t subject,
                                    const struct weir_spend_counter *counter, int64_t *amount,
                                    struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_SLICE_OTHERS, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    bind_slice(&binder, instance, subject, counter);
    int code;
    *amount = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!weir_add_int64(*amount, sqlite3_column_int64(statement, 0), amount))
            *amount = INT64_MAX;
    }
    if (code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the slices of others", error);
    (void)sqlite3_reset(statement);
    return status;
}

static enum weir_status write_slice(struct weir_engine *engine, const struct weir_uuid *instance, int64_t subject,
                                    const struct weir_lease *lease, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    bool any = lease->slice > 0;
    enum weir_status status = store__sqlite_statement(engine, any ? STORE__SQL_SLICE_WRITE : STORE__SQL_SLICE_DELETE,
                                                      &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    bind_slice(&binder, instance, subject, &lease->counter);
    if (any)
        store__bind_integer(&binder, lease->slice);
    return store__binder_run(engine, &binder, "write a slice", error);
}

/* What may be granted of `wanted`; amounts are none of them negative, but for the limit, which may be. */
static int64_t grant_of(const struct weir_lease *lease) {
    int64_t taken = 0, room = 0;
    if (!weir_add_int64(lease->spent, lease->others, &taken) || !weir_add_int64(taken, lease->slice, &taken))
        return 0;
    if (lease->limit <= taken)
        return 0;
    room = lease->limit - taken;
    return lease->wanted < room ? lease->wanted : room;
}

static enum weir_status answer(struct weir_engine *engine, const struct weir_uuid *instance, struct weir_lease *lease,
                               struct weir_error *error) {
    struct total total = {.unit = lease->counter.unit};
    int64_t subject = 0, had = 0;
    enum weir_status status = check_counter(&lease->counter, error);
    if (status == WEIR_OK && (lease->wanted < 0 || lease->unused < 0))
        status = weir_fail(error, WEIR_EINVAL, "a slice cannot be negative");
    lease->granted = lease->spent = lease->slice = lease->others = 0;
    if (status == WEIR_OK)
        status = find_subject(engine, &lease->counter, lease->wanted > 0, &subject, error);
    if (status != WEIR_OK || subject == 0)
        return status;
    status = read_slice(engine, instance, subject, &lease->counter, &had, error);
    if (status == WEIR_OK)
        status = read_others(engine, instance, subject, &lease->counter, &lease->others, error);
    if (status == WEIR_OK) {
        status = walk_window(engine, subject, first_quarter(&lease->counter), end_quarter(&lease->counter), add_up,
                             &total, error);
    }
    if (status != WEIR_OK)
        return status;
    lease->spent = total.sum;
    lease->slice = had > lease->unused ? had - lease->unused : 0;
    lease->granted = grant_of(lease);
    lease->slice += lease->granted;
    return lease->slice != had ? write_slice(engine, instance, subject, lease, error) : WEIR_OK;
}

enum weir_status store__sqlite_lease(struct weir_engine *engine, const struct weir_uuid *instance,
                                     struct weir_lease *leases, size_t count, struct weir_error *error) {
    bool reads = true; /* who only asks need not wait for the write lock */
    for (size_t i = 0; i < count; i++)
        reads = reads && leases[i].wanted == 0 && leases[i].unused == 0;
    store__unsummed_hurry(engine, 20);
    store__dictionary_trim(engine);
    reads = reads && !store__unsummed_any_of(engine, instance);
    enum weir_status status = reads ? store__sqlite_begin_to_read(engine, error) : store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    /* What it gives back, and what it has, is its slice without what the ledger has of it. */
    if (!reads)
        status = store__unsummed_finish(engine, instance, error);
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = answer(engine, instance, &leases[i], error);
    return store__sqlite_end(engine, status, error);
}

enum weir_status store__sqlite_slice_sweep(struct weir_engine *engine, int64_t utc_us, struct weir_error *error) {
    const int64_t days = 3; /* an answer that began in a period may take as long as it likes */
    const enum store__sql steps[] = {STORE__SQL_SLICE_FORGET_OLD, STORE__SQL_SLICE_FORGET_ORPHANS};
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < 2 && status == WEIR_OK; i++) {
        sqlite3_stmt *statement = NULL;
        status = store__sqlite_statement(engine, steps[i], &statement, error);
        if (status != WEIR_OK)
            break;
        struct store__binder binder = store__binder_of(statement);
        if (i == 0)
            store__bind_integer(&binder, utc_us - days * STORE__QUARTERS_A_DAY * WEIR_SPEND_BUCKET_US);
        status = store__binder_run(engine, &binder, "forget slices", error);
    }
    return store__sqlite_end(engine, status, error);
}

/* --- what was spent, over time --- */
struct steps {
    int64_t from, step; /* in quarters */
    struct weir_spend spend;
    bool any;
    weir_spend_visit visit;
    void *context;
};

static enum weir_status give(struct steps *steps) {
    if (!steps->any)
        return WEIR_OK;
    steps->any = false;
    return steps->visit(steps->context, &steps->spend);
}

static enum weir_status gather(void *context, int64_t quarter, const int64_t amounts[STORE__UNITS]) {
    struct steps *steps = context;
    int64_t begin = steps->from + (quarter - steps->from) / steps->step * steps->step;
    if (steps->any && steps->spend.bucket_utc_us != begin * WEIR_SPEND_BUCKET_US) {
        enum weir_status status = give(steps);
        if (status != WEIR_OK)
            return status;
    }
    if (!steps->any)
        steps->spend = (struct weir_spend){.bucket_utc_us = begin * WEIR_SPEND_BUCKET_US};
    steps->any = true;
    int64_t *const sums[STORE__UNITS] = {&steps->spend.cu_milli, &steps->spend.requests, &steps->spend.tokens};
    for (size_t i = 0; i < STORE__UNITS; i++) {
        if (!weir_add_int64(*sums[i], amounts[i], sums[i]))
            *sums[i] = INT64_MAX;
    }
    return WEIR_OK;
}

enum weir_status store__sqlite_spend_each(struct weir_engine *engine, const struct weir_spend_counter *counter,
                                          int64_t step_us, weir_spend_visit visit, void *context,
                                          struct weir_error *error) {
    int64_t subject = 0;
    enum weir_status status = check_counter(counter, error);
    if (status == WEIR_OK && (step_us <= 0 || step_us % WEIR_SPEND_BUCKET_US != 0))
        status = weir_fail(error, WEIR_EINVAL, "a step is a multiple of a quarter of an hour");
    if (status != WEIR_OK)
        return status;
    store__unsummed_hurry(engine, 1000);
    store__dictionary_trim(engine);
    struct steps steps = {.from = first_quarter(counter),
                          .step = step_us / WEIR_SPEND_BUCKET_US,
                          .visit = visit,
                          .context = context};
    int64_t end = end_quarter(counter);
    status = store__sqlite_begin_to_read(engine, error); /* days and quarters of one moment */
    if (status != WEIR_OK)
        return status;
    status = find_subject(engine, counter, false, &subject, error);
    if (status == WEIR_OK && subject != 0) {
        /* Whole days tell nothing of shorter steps, nor of steps that begin within them. */
        bool by_days = steps.step % STORE__QUARTERS_A_DAY == 0 && steps.from % STORE__QUARTERS_A_DAY == 0;
        status = by_days
                     ? walk_window(engine, subject, steps.from, end, gather, &steps, error)
                     : walk(engine, STORE__SQL_SPEND_QUARTER_NEXT, 1, subject, steps.from, end, gather, &steps, error);
    }
    if (status == WEIR_OK)
        status = give(&steps);
    status = store__sqlite_end(engine, status == WEIR_END ? WEIR_OK : status, error);
    return status;
}

/* Sums that wait: what is ingested is added up in memory over some batches and written in one transaction a second later, for most sums are touched by
 * many batches of a second.
 *
 * The truth is in the database. The transaction that writes entries to the ledger notes them as a range in `unsummed`, and what waits here is only
 * what those ranges come to, added up beforehand. It is written in a transaction that takes exactly these ranges away. Where one of them is
 * not there any more as it was noted, somebody else has worked it off from the ledger, who wanted to know at once: then what waits is forgotten, and what is
 * left of the ranges is read from the ledger, too. So each entry is added once, whoever comes first and whenever a process dies; nobody needs to know who
 * lives.
 *
 * An entry is taken from its instance's slices in the transaction that adds it to what was spent, be it written from here or from the ledger. Until then its amount
 * stands in the slice: spent + slices is the same all the time.
 */
#include "store/sqlite_sums.h"

#include "base/clock.h"

enum { MOST_ENTRIES = 10000 }; /* that wait: so much can be worked off within a moment */
static const int64_t lag_ns = (int64_t)1000 * 1000000;

static struct weir_span span_of_id(const struct weir_uuid *id) {
    return weir_span_of((const char *)id->bytes, sizeof(id->bytes));
}

static void nothing_waits(struct store__waiting *waiting) {
    waiting->count = 0;
    waiting->entries = 0;
}

/* All but the instance are the statement's first values. */
static enum weir_status bind_range(struct weir_engine *engine, enum store__sql which, int64_t first, int64_t next,
                                   struct store__binder *binder, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct weir_span of = engine->waiting.of;
    *binder = store__binder_of(statement);
    store__bind_integer(binder, first);
    store__bind_integer(binder, next);
    store__bind_blob(binder, of.length > 0 ? of.at : "", of.length);
    return WEIR_OK;
}

/* Its ranges are all there, as they were noted. */
static enum weir_status all_there(struct weir_engine *engine, bool *there, struct weir_error *error) {
    const struct store__waiting *waiting = &engine->waiting;
    enum weir_status status = WEIR_OK;
    int64_t has = 1;
    for (size_t i = 0; i < waiting->count && status == WEIR_OK && has != 0; i++) {
        struct store__binder binder;
        status = bind_range(engine, STORE__SQL_UNSUMMED_HAS, waiting->ranges[i].first, waiting->ranges[i].next, &binder,
                            error);
        if (status == WEIR_OK)
            status = store__sqlite_integer(engine, binder.statement, "read what waits", &has, error);
    }
    *there = has != 0;
    return status;
}

static enum weir_status forget_ranges(struct weir_engine *engine, struct weir_error *error) {
    const struct store__waiting *waiting = &engine->waiting;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < waiting->count && status == WEIR_OK; i++) {
        sqlite3_stmt *statement = NULL;
        status = store__sqlite_statement(engine, STORE__SQL_UNSUMMED_FORGET, &statement, error);
        if (status != WEIR_OK)
            break;
        struct store__binder binder = store__binder_of(statement);
        store__bind_integer(&binder, waiting->ranges[i].first);
        status = store__binder_run(engine, &binder, "write what waits", error);
    }
    return status;
}

/* Entries of the running transaction, as a range of their own. */
static enum weir_status insert_range(struct weir_engine *engine, struct weir_error *error) {
    struct store__binder binder;
    enum weir_status status = bind_range(engine, STORE__SQL_UNSUMMED_WAIT, engine->waiting.from, engine->next_sequence,
                                         &binder, error);
    return status == WEIR_OK ? store__binder_run(engine, &binder, "note what waits", error) : status;
}

/* Somebody else has worked off what waits, or some of it. */
static enum weir_status let_go(struct weir_engine *engine, struct weir_error *error) {
    struct store__waiting *waiting = &engine->waiting;
    enum weir_status status = WEIR_OK;
    store__sums_clear(engine);
    nothing_waits(waiting);
    waiting->lost = true;
    waiting->since_ns = weir_clock_monotonic_ns();
    if (waiting->running && waiting->from < engine->next_sequence) {
        status = insert_range(engine, error);
        waiting->from = engine->next_sequence;
    }
    return status;
}

enum weir_status store__waiting_write(struct weir_engine *engine, struct weir_error *error) {
    struct store__waiting *waiting = &engine->waiting;
    bool there = true;
    if (waiting->entries == 0)
        return WEIR_OK;
    enum weir_status status = all_there(engine, &there, error);
    if (status == WEIR_OK && !there)
        return let_go(engine, error);
    if (status == WEIR_OK)
        status = store__sums_end(engine, error);
    if (status == WEIR_OK)
        status = forget_ranges(engine, error);
    if (status != WEIR_OK)
        return status; /* with the transaction all of it is forgotten */
    nothing_waits(waiting);
    if (waiting->running)
        waiting->from = engine->next_sequence;
    if (engine->depth > 1) { /* what is around it may be taken back */
        waiting->lost = true;
        waiting->since_ns = weir_clock_monotonic_ns();
    }
    return WEIR_OK;
}

/* --- ingestion --- */
enum weir_status store__waiting_begin(struct weir_engine *engine, struct weir_error *error) {
    struct store__waiting *waiting = &engine->waiting;
    waiting->running = true;
    waiting->from = engine->next_sequence;
    waiting->now_from = WEIR_SPAN("");
    return store__sums_begin(engine, false, error);
}

enum weir_status store__sqlite_ingest_from(struct weir_engine *engine, const struct weir_uuid *instance,
                                           struct weir_error *error) {
    (void)error;
    weir_bug_on(!engine->ingesting);
    engine->waiting.now_id = *instance;
    engine->waiting.now_from = span_of_id(&engine->waiting.now_id);
    return WEIR_OK;
}

enum weir_status store__waiting_admit(struct weir_engine *engine, struct weir_error *error) {
    struct store__waiting *waiting = &engine->waiting;
    enum weir_status status = WEIR_OK;
    bool same = weir_span_equal(waiting->of, waiting->now_from);
    if (waiting->entries > 0 && (!same || waiting->entries >= MOST_ENTRIES || store__sums_full(engine)))
        status = store__waiting_write(engine, error);
    if (status == WEIR_OK && waiting->entries == 0) {
        waiting->of_id = waiting->now_id;
        waiting->of = waiting->now_from.length > 0 ? span_of_id(&waiting->of_id) : WEIR_SPAN("");
        status = store__sums_set_instance(engine, waiting->of, error);
    }
    return status;
}

/* One row a batch: the last range grows, unless others have written to the ledger in between. */
static enum weir_status note(struct weir_engine *engine, struct weir_error *error) {
    struct store__waiting *waiting = &engine->waiting;
    const int64_t next = engine->next_sequence;
    if (waiting->count > 0 && waiting->ranges[waiting->count - 1].next == waiting->from) {
        struct store__binder binder;
        int64_t first = waiting->ranges[waiting->count - 1].first;
        enum weir_status status = bind_range(engine, STORE__SQL_UNSUMMED_EXTEND, first, waiting->from, &binder, error);
        if (status != WEIR_OK)
            return status;
        store__bind_integer(&binder, next);
        status = store__binder_run(engine, &binder, "note what waits", error);
        if (status != WEIR_OK)
            return status;
        if (sqlite3_changes(engine->database) != 1)
            return let_go(engine, error);
        waiting->ranges[waiting->count - 1].next = next;
        return WEIR_OK;
    }
    if (waiting->count == STORE__WAITING_RANGES)
        return store__waiting_write(engine, error);
    enum weir_status status = insert_range(engine, error);
    waiting->ranges[waiting->count].first = waiting->from;
    waiting->ranges[waiting->count].next = next;
    waiting->count++;
    return status;
}

enum weir_status store__waiting_end(struct weir_engine *engine, struct weir_error *error) {
    struct store__waiting *waiting = &engine->waiting;
    enum weir_status status = WEIR_OK;
    if (waiting->entries > 0) {
        const int64_t now_ns = weir_clock_monotonic_ns();
        if (waiting->count == 0)
            waiting->since_ns = now_ns;
        if (now_ns - waiting->since_ns >= lag_ns) {
            status = store__waiting_write(engine, error);
        } else if (waiting->from < engine->next_sequence) {
            status = note(engine, error);
        }
    }
    waiting->running = false;
    return status;
}

/* --- at other times --- */
void store__waiting_forget(struct weir_engine *engine) {
    struct store__waiting *waiting = &engine->waiting;
    if (waiting->count > 0) {
        waiting->lost = true;
        waiting->since_ns = weir_clock_monotonic_ns();
    }
    nothing_waits(waiting);
    waiting->running = false;
}

static enum weir_status write_all(struct weir_engine *engine, struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    return status == WEIR_OK ? store__sqlite_end(engine, store__waiting_write(engine, error), error) : status;
}

enum weir_status store__sqlite_sums_write(struct weir_engine *engine, int64_t now_ns, int64_t *due_ns,
                                          struct weir_error *error) {
    const int64_t milliseconds = 20;
    struct store__waiting *waiting = &engine->waiting;
    enum weir_status status = WEIR_OK;
    *due_ns = INT64_MAX;
    if (waiting->entries == 0 && !waiting->lost)
        return WEIR_OK;
    *due_ns = waiting->since_ns + lag_ns;
    if (now_ns < *due_ns)
        return WEIR_OK;
    bool more = false;
    if (waiting->entries > 0)
        status = write_all(engine, error);
    if (status == WEIR_OK && waiting->lost)
        status = store__sqlite_sums_step(engine, milliseconds, &more, error);
    if (status == WEIR_OK)
        waiting->lost = more;
    waiting->since_ns = weir_clock_monotonic_ns(); /* of what is left, or cannot be written now */
    *due_ns = status != WEIR_OK || more ? waiting->since_ns + lag_ns : INT64_MAX;
    return status;
}

void store__waiting_close(struct weir_engine *engine) {
    if (engine->waiting.entries > 0 && engine->depth == 0)
        (void)write_all(engine, NULL); /* where that fails the next one finds the ranges */
}

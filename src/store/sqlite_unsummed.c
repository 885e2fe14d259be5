/* Ranges of the ledger that the sums lack, and how they get into them.
 *
 * A database that a release without sums has made lacks all of it; and such a release, started again for a while, goes on writing to the ledger alone. Both
 * are the same here: it counts `next_sequence` on and does not know `summed_next`. Whoever begins to add to the sums, or asks them, first puts the
 * difference down as a range, and ranges are worked off from their newest end: what budgets ask about comes first. A range is shortened in the
 * transaction that adds its entries, so each is added once, whenever the process dies.
 *
 * Ranges of which somebody has the sums wait in memory (sqlite_waiting.c) stand among them and may be worked off like the others, by anybody: they
 * say from whose slices their entries are to be taken.
 */
#include "store/sqlite_sums.h"

#include "base/clock.h"

enum { ROWS_AT_ONCE = 1024, STEP_MS = 100 };
enum { FLAG_UNPRICED = 2 }; /* of the ledger */

struct state {
    int64_t next, summed;
    bool any;
};

static enum weir_status read_state(struct weir_engine *engine, struct state *state, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t values[3] = {0, 0, 0};
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_SUMMED_STATE, &statement, error);
    if (status == WEIR_OK)
        status = store__sqlite_integers(engine, statement, "read the ledger's counter", values, 3, error);
    if (status != WEIR_OK)
        return status;
    /* Numbers begin with 1; nothing is written down before the first. */
    *state = (struct state){.next = values[0] > 0 ? values[0] : 1, .summed = values[1], .any = values[2] != 0};
    return WEIR_OK;
}

static enum weir_status run_with(struct weir_engine *engine, enum store__sql which, int64_t first, int64_t next,
                                 struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, first);
    if (which != STORE__SQL_UNSUMMED_FORGET)
        store__bind_integer(&binder, next);
    return store__binder_run(engine, &binder, "note what the ledger's sums lack", error);
}

enum weir_status store__unsummed_note(struct weir_engine *engine, int64_t *next_sequence, bool *any,
                                      struct weir_error *error) {
    struct state state;
    enum weir_status status = read_state(engine, &state, error);
    if (status != WEIR_OK)
        return status;
    if (state.next > state.summed) {
        status = run_with(engine, STORE__SQL_UNSUMMED_ADD, state.summed, state.next, error);
        sqlite3_stmt *statement = NULL;
        if (status == WEIR_OK)
            status = store__sqlite_statement(engine, STORE__SQL_META_WRITE, &statement, error);
        if (status != WEIR_OK)
            return status;
        struct store__binder binder = store__binder_of(statement);
        store__bind_text(&binder, WEIR_SPAN("summed_next"));
        store__bind_integer(&binder, state.next);
        status = store__binder_run(engine, &binder, "note what the ledger's sums lack", error);
        state.any = true;
    }
    if (status == WEIR_OK) {
        *next_sequence = state.next;
        *any = state.any;
    }
    return status;
}

/* The family of the key: of an entry that does not say it. 0: the key itself. */
static enum weir_status family_of(struct weir_engine *engine, int64_t key, int64_t *family, struct weir_error *error) {
    struct weir_span id;
    *family = 0;
    if (key == 0)
        return WEIR_OK;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__dictionary_text(engine, key, &id, error);
    if (status == WEIR_OK)
        status = store__sqlite_statement(engine, STORE__SQL_KEY_FAMILY, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, id);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        struct weir_span found = store__column_span(statement, 0);
        if (found.length > 0 && !weir_span_equal(found, id))
            status = store__dictionary_id(engine, found, family, error);
    } else if (code != SQLITE_DONE) {
        status = store__sqlite_fail(engine, "read a key", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* What failed attempts may have cost their providers; most entries have nothing of it. */
static enum weir_status read_attempts(struct weir_engine *engine, sqlite3_stmt *row, struct weir_ledger_entry *entry,
                                      struct store__entry_numbers *numbers, struct weir_error *error) {
    struct weir_span costs = store__column_span(row, 23);
    if (costs.length == 0)
        return WEIR_OK;
    enum weir_status status = store__attempts_decode(engine, store__column_span(row, 22), entry, error);
    if (status == WEIR_OK)
        status = store__attempt_costs_decode(costs, entry, error);
    if (status == WEIR_ECORRUPT) { /* who reads the ledger is told; sums of the others go on */
        entry->attempt_count = 0;
        return WEIR_OK;
    }
    for (size_t i = 0; i < entry->attempt_count && status == WEIR_OK; i++)
        status = store__dictionary_id(engine, entry->attempts[i].provider, &numbers->attempts[i][0], error);
    return status;
}

/* `known`: the entry says itself of which family its key is. */
static enum weir_status add_row(struct weir_engine *engine, sqlite3_stmt *row, bool known, struct weir_error *error) {
    struct weir_ledger_entry entry = {.attempt_count = 0};
    struct store__entry_numbers numbers = {.team = 0};
    for (int i = 0; i < 6; i++)
        numbers.texts[i] = sqlite3_column_int64(row, i);
    entry.start_utc_us = sqlite3_column_int64(row, 6);
    entry.reserved_cu_milli = sqlite3_column_int64(row, 7);
    entry.cost_cu_milli = sqlite3_column_int64(row, 8);
    entry.overrun_cu_milli = sqlite3_column_int64(row, 9);
    entry.usage.input = sqlite3_column_int64(row, 10);
    entry.usage.cached = sqlite3_column_int64(row, 11);
    entry.usage.cache_write = sqlite3_column_int64(row, 12);
    entry.usage.output = sqlite3_column_int64(row, 13);
    entry.usage.reasoning = sqlite3_column_int64(row, 14);
    entry.unpriced = (sqlite3_column_int(row, 15) & FLAG_UNPRICED) != 0;
    entry.usage_source = (uint8_t)sqlite3_column_int(row, 16);
    entry.outcome = (uint8_t)sqlite3_column_int(row, 17);
    entry.tags = store__column_span(row, 18);
    numbers.team = sqlite3_column_int64(row, 19);
    numbers.user = sqlite3_column_int64(row, 20);
    numbers.family = sqlite3_column_int64(row, 21);
    enum weir_status status = read_attempts(engine, row, &entry, &numbers, error);
    if (status == WEIR_OK && numbers.family == 0 && !known)
        status = family_of(engine, numbers.texts[0], &numbers.family, error);
    if (status == WEIR_OK && store__sums_full(engine))
        status = store__sums_end(engine, error);
    return status == WEIR_OK ? store__sums_add(engine, &entry, &numbers, error) : status;
}

static enum weir_status add_rows(struct weir_engine *engine, int64_t first, int64_t next, bool known,
                                 struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_UNSUMMED_ROWS, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, first);
    store__bind_integer(&binder, next);
    int code = SQLITE_DONE;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        status = add_row(engine, statement, known, error);
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the ledger", error);
    (void)sqlite3_reset(statement);
    return status;
}

struct range {
    int64_t first, next;
    bool noted;                /* by a program that has the sums wait: the instance is known, or there is none */
    struct weir_span instance; /* of id */
    struct weir_uuid id;
};

/* The newest range, of one instance or of all; WEIR_ENOTFOUND. */
static enum weir_status read_last(struct weir_engine *engine, const struct weir_uuid *instance, struct range *range,
                                  struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine,
                                                      instance != NULL ? STORE__SQL_UNSUMMED_LAST_OF
                                                                       : STORE__SQL_UNSUMMED_LAST,
                                                      &statement, error);
    if (status != WEIR_OK)
        return status;
    if (instance != NULL) {
        struct store__binder binder = store__binder_of(statement);
        store__bind_blob(&binder, instance->bytes, sizeof(instance->bytes));
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        struct weir_span id = store__column_span(statement, 2);
        *range = (struct range){.first = sqlite3_column_int64(statement, 0),
                                .next = sqlite3_column_int64(statement, 1),
                                .noted = sqlite3_column_type(statement, 2) != SQLITE_NULL};
        if (id.length == sizeof(range->id.bytes)) {
            memcpy(range->id.bytes, id.at, id.length);
            range->instance = weir_span_of((const char *)range->id.bytes, id.length);
        }
    } else {
        status = code == SQLITE_DONE ? WEIR_ENOTFOUND
                                     : store__sqlite_fail(engine, "read what the ledger's sums lack", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* Some of the newest range, of one instance or of all. *more: a range may be left. */
static enum weir_status work_off(struct weir_engine *engine, const struct weir_uuid *instance, bool *more,
                                 struct weir_error *error) {
    struct range range;
    *more = false;
    enum weir_status status = read_last(engine, instance, &range, error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_OK;
    if (status == WEIR_OK)
        status = store__sums_set_instance(engine, range.instance, error);
    if (status != WEIR_OK)
        return status;
    int64_t from = range.next - ROWS_AT_ONCE > range.first ? range.next - ROWS_AT_ONCE : range.first;
    *more = true;
    status = add_rows(engine, from, range.next, range.noted, error);
    if (status == WEIR_OK)
        status = run_with(engine, from > range.first ? STORE__SQL_UNSUMMED_SHORTEN : STORE__SQL_UNSUMMED_FORGET,
                          range.first, from, error);
    return status;
}

bool store__unsummed_any_of(struct weir_engine *engine, const struct weir_uuid *instance) {
    struct range range;
    return engine->waiting.count > 0 || read_last(engine, instance, &range, NULL) != WEIR_ENOTFOUND;
}

enum weir_status store__unsummed_finish(struct weir_engine *engine, const struct weir_uuid *instance,
                                        struct weir_error *error) {
    struct range range;
    enum weir_status status = store__waiting_write(engine, error);
    if (status == WEIR_OK)
        status = read_last(engine, instance, &range, error);
    if (status != WEIR_OK)
        return status == WEIR_ENOTFOUND ? WEIR_OK : status;
    bool more = true;
    status = store__sums_begin(engine, true, error);
    while (status == WEIR_OK && more)
        status = work_off(engine, instance, &more, error);
    return status == WEIR_OK ? store__sums_end(engine, error) : status;
}

/* As long as there is something and time. */
static enum weir_status work_off_all(struct weir_engine *engine, int64_t until_ns, bool *left,
                                     struct weir_error *error) {
    struct range range;
    enum weir_status status = read_last(engine, NULL, &range, error);
    *left = status == WEIR_OK;
    if (status == WEIR_ENOTFOUND)
        return WEIR_OK; /* mostly: what there was has waited here */
    if (status == WEIR_OK)
        status = store__sums_begin(engine, true, error);
    while (status == WEIR_OK && *left) {
        status = work_off(engine, NULL, left, error);
        if (weir_clock_monotonic_ns() >= until_ns)
            break;
    }
    return status == WEIR_OK ? store__sums_end(engine, error) : status;
}

enum weir_status store__sqlite_sums_step(struct weir_engine *engine, int64_t milliseconds, bool *more,
                                         struct weir_error *error) {
    const int64_t until_ns = weir_clock_monotonic_ns() + milliseconds * 1000000;
    struct state state;
    *more = false;
    weir_bug_on(engine->ingesting);
    enum weir_status status = read_state(engine, &state,
                                         error); /* mostly nothing is to do, and no lock needed to see that */
    if (status != WEIR_OK || (state.next <= state.summed && !state.any))
        return status;
    store__dictionary_trim(engine);
    status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    bool left = false;
    status = store__unsummed_note(engine, &state.next, &left, error);
    if (status == WEIR_OK)
        status = store__waiting_write(engine, error);
    if (status == WEIR_OK)
        status = work_off_all(engine, until_ns, &left, error);
    status = store__sqlite_end(engine, status, error);
    if (status == WEIR_OK) {
        *more = left;
        engine->waiting.lost = left || engine->depth > 0; /* what is around it may be taken back */
    }
    return status;
}

void store__unsummed_hurry(struct weir_engine *engine, int64_t milliseconds) {
    const int64_t until_ns = weir_clock_monotonic_ns() + milliseconds * 1000000;
    bool more = true;
    const int64_t step_ms = milliseconds < STEP_MS ? milliseconds : STEP_MS;
    while (more && weir_clock_monotonic_ns() < until_ns) {
        if (store__sqlite_sums_step(engine, step_ms, &more, NULL) != WEIR_OK)
            return;
    }
}

/* The chain of receipts in SQLite: checkpoints beside the ledger, and receipts computed from the nearest one.
 *
 * No receipt is stored. Kept are the hash of every 64th entry, the head (how far the chain goes), and the cut (the last entry that retention took
 * away), so a receipt takes at most 64 rows of the ledger to compute, and the chain costs less than a byte an entry. It is advanced behind the ledger, by the
 * upkeep and by whoever asks for a receipt; a receipt is given only of what is chained and on the disk, so no entry is ever given two.
 *
 * An entry that was changed, removed or put in between behind the head makes another hash than was noted (receipt_verify).
 */
#include "store/sqlite_impl.h"

#include "store/receipts.h"

#include <stdarg.h>
#include <stdio.h>

enum { CHECKPOINT_EVERY = 64, MAX_ADVANCED = 4096, MAX_GIVEN = 1000, USUALLY_GIVEN = 100, ROWS_AT_ONCE = 10000 };

static const char doing[] = "chain receipts";

/* --- places --- */
static enum weir_status read_link(struct weir_engine *engine, sqlite3_stmt *statement, struct weir_receipt_link *link,
                                  struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    int code = sqlite3_step(statement);
    *link = (struct weir_receipt_link){.sequence = 0};
    if (code == SQLITE_ROW) {
        struct weir_span hash = store__column_span(statement, 1);
        link->sequence = sqlite3_column_int64(statement, 0);
        if (hash.length == sizeof(link->hash))
            memcpy(link->hash, hash.at, sizeof(link->hash));
        else
            status = weir_fail(error, WEIR_ECORRUPT, "a checkpoint of the receipts cannot be read");
    } else if (code != SQLITE_DONE) {
        status = store__sqlite_fail(engine, "read the chain of receipts", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* Sequence 0 where it was never written. */
static enum weir_status place_read(struct weir_engine *engine, struct weir_span name, struct weir_receipt_link *link,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_RECEIPT_PLACE_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    return read_link(engine, statement, link, error);
}

static enum weir_status place_write(struct weir_engine *engine, struct weir_span name,
                                    const struct weir_receipt_link *link, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_RECEIPT_PLACE_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    store__bind_integer(&binder, link->sequence);
    store__bind_blob(&binder, link->hash, sizeof(link->hash));
    return store__binder_run(engine, &binder, doing, error);
}

static enum weir_status checkpoint_write(struct weir_engine *engine, const struct weir_receipt_link *link,
                                         struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_RECEIPT_CHECKPOINT_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, link->sequence);
    store__bind_blob(&binder, link->hash, sizeof(link->hash));
    return store__binder_run(engine, &binder, doing, error);
}

/* The nearest place at or before `sequence` whose hash is known; 0: the beginning. */
static enum weir_status nearest(struct weir_engine *engine, int64_t sequence, struct weir_receipt_link *link,
                                struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_RECEIPT_NEAREST, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, sequence);
    return read_link(engine, statement, link, error);
}

static enum weir_status newest_entry(struct weir_engine *engine, int64_t *sequence, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_RECEIPT_NEWEST_ENTRY, &statement, error);
    return status == WEIR_OK ? store__sqlite_integer(engine, statement, "read the ledger", sequence, error) : status;
}

/* --- advancing --- */
struct advancing {
    struct weir_engine *engine;
    struct weir_receipt_link at;
    struct weir_buffer text;
    struct weir_error *error;
    int64_t until; /* not beyond this entry */
    size_t done;
    bool writes; /* checkpoints */
};

static enum weir_status advance_entry(void *context, const struct weir_ledger_entry *entry) {
    struct advancing *advancing = context;
    if (entry->sequence > advancing->until)
        return WEIR_END;
    enum weir_status status = weir_receipt_follow(&advancing->at, entry, &advancing->text);
    if (status != WEIR_OK)
        return weir_fail(advancing->error, status, "no memory to chain receipts");
    advancing->done++;
    if (advancing->writes && entry->sequence % CHECKPOINT_EVERY == 0)
        status = checkpoint_write(advancing->engine, &advancing->at, advancing->error);
    return status;
}

/* Goes on from advancing->at over at most `limit` entries. */
static enum weir_status walk(struct advancing *advancing, size_t limit) {
    weir_buffer_init(&advancing->text, WEIR_RECEIPT_MAX_BYTES);
    const struct weir_ledger_query query = {.after_sequence = advancing->at.sequence, .limit = limit};
    enum weir_status status = store__sqlite_ledger_each(advancing->engine, &query, advance_entry, advancing,
                                                        advancing->error);
    weir_buffer_release(&advancing->text);
    return status;
}

static enum weir_status advance(struct weir_engine *engine, size_t limit, bool *more, struct weir_error *error) {
    struct advancing advancing = {.engine = engine, .error = error, .until = INT64_MAX, .writes = true};
    enum weir_status status = place_read(engine, WEIR_SPAN("head"), &advancing.at, error);
    if (status == WEIR_OK)
        status = walk(&advancing, limit);
    if (status == WEIR_OK && advancing.done > 0)
        status = place_write(engine, WEIR_SPAN("head"), &advancing.at, error);
    *more = advancing.done == limit;
    return status;
}

enum weir_status store__sqlite_receipt_advance(struct weir_engine *engine, size_t limit, bool *more,
                                               struct weir_error *error) {
    struct weir_receipt_link head = {.sequence = 0};
    int64_t newest = 0;
    *more = false;
    /* Mostly there is nothing to do: then nothing is locked. */
    enum weir_status status = place_read(engine, WEIR_SPAN("head"), &head, error);
    if (status == WEIR_OK)
        status = newest_entry(engine, &newest, error);
    if (status != WEIR_OK || newest <= head.sequence)
        return status;
    bool rest = false;
    status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = advance(engine, store__limit(limit, MAX_ADVANCED, MAX_ADVANCED), &rest, error);
    status = store__sqlite_end_durably(engine, status, error);
    *more = status == WEIR_OK && rest;
    return status;
}

enum weir_status store__sqlite_receipt_chain(struct weir_engine *engine, struct weir_receipt_link *cut,
                                             struct weir_receipt_link *head, struct weir_error *error) {
    enum weir_status status = store__sqlite_begin_to_read(engine, error);
    if (status != WEIR_OK)
        return status;
    status = place_read(engine, WEIR_SPAN("cut"), cut, error);
    if (status == WEIR_OK)
        status = place_read(engine, WEIR_SPAN("head"), head, error);
    return store__sqlite_end(engine, status, error);
}

/* --- giving --- */
struct giving {
    struct weir_engine *engine;
    struct weir_error *error;
    int64_t head;
    int64_t wanted[MAX_GIVEN];
    size_t count, given;
    struct weir_receipt_link at;
    struct weir_buffer text;
    weir_receipt_visit visit;
    void *context;
    bool ended; /* the visitor has had enough */
};

static enum weir_status note_wanted(void *context, const struct weir_ledger_entry *entry) {
    struct giving *giving = context;
    if (entry->sequence > giving->head)
        return WEIR_END;
    giving->wanted[giving->count++] = entry->sequence;
    return giving->count == MAX_GIVEN ? WEIR_END : WEIR_OK;
}

/* Gives what is wanted on the way, and stops where the next one lies behind another checkpoint. */
static enum weir_status give_entry(void *context, const struct weir_ledger_entry *entry) {
    struct giving *giving = context;
    enum weir_status status = weir_receipt_follow(&giving->at, entry, &giving->text);
    if (status != WEIR_OK)
        return weir_fail(giving->error, status, "no memory for a receipt");
    if (entry->sequence != giving->wanted[giving->given])
        return entry->sequence < giving->wanted[giving->given] ? WEIR_OK : WEIR_END;
    status = giving->visit(giving->context, entry, weir_buffer_span(&giving->text), giving->at.hash);
    giving->given++;
    giving->ended = status == WEIR_END;
    if (status != WEIR_OK || giving->given == giving->count)
        return status == WEIR_OK ? WEIR_END : status;
    return giving->wanted[giving->given] - entry->sequence > CHECKPOINT_EVERY ? WEIR_END : WEIR_OK;
}

static enum weir_status give(struct giving *giving, const struct weir_ledger_query *query) {
    struct weir_receipt_link head = {.sequence = 0};
    struct weir_error *error = giving->error;
    struct weir_ledger_query asked = *query;
    asked.limit = store__limit(query->limit, USUALLY_GIVEN, MAX_GIVEN);
    enum weir_status status = place_read(giving->engine, WEIR_SPAN("head"), &head, error);
    giving->head = head.sequence;
    if (status == WEIR_OK)
        status = store__sqlite_ledger_each(giving->engine, &asked, note_wanted, giving, error);
    while (status == WEIR_OK && giving->given < giving->count && !giving->ended) {
        size_t before = giving->given;
        status = nearest(giving->engine, giving->wanted[before] - 1, &giving->at, error);
        const struct weir_ledger_query rows = {.after_sequence = giving->at.sequence, .limit = ROWS_AT_ONCE};
        if (status == WEIR_OK)
            status = store__sqlite_ledger_each(giving->engine, &rows, give_entry, giving, error);
        if (status == WEIR_OK && giving->given == before)
            return weir_fail(error, WEIR_ECORRUPT, "the receipt of ledger entry %lld cannot be computed",
                             (long long)giving->wanted[before]);
    }
    return status;
}

enum weir_status store__sqlite_receipt_each(struct weir_engine *engine, const struct weir_ledger_query *query,
                                            weir_receipt_visit visit, void *context, struct weir_error *error) {
    struct giving giving = {.engine = engine, .error = error, .visit = visit, .context = context};
    enum weir_status status = store__sqlite_begin_to_read(engine, error);
    if (status != WEIR_OK)
        return status;
    weir_buffer_init(&giving.text, WEIR_RECEIPT_MAX_BYTES);
    status = give(&giving, query);
    weir_buffer_release(&giving.text);
    return store__sqlite_end(engine, status, error);
}

/* --- letting go of the old end --- */
static enum weir_status delete_before(struct weir_engine *engine, int64_t sequence, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_RECEIPT_CHECKPOINT_DELETE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, sequence);
    return store__binder_run(engine, &binder, doing, error);
}

enum weir_status store__receipts_cut(struct weir_engine *engine, int64_t sequence, struct weir_error *error) {
    struct weir_receipt_link head = {.sequence = 0}, cut = {.sequence = 0};
    struct advancing advancing = {.engine = engine, .error = error, .until = sequence};
    enum weir_status status = place_read(engine, WEIR_SPAN("head"), &head, error);
    if (status == WEIR_OK)
        status = place_read(engine, WEIR_SPAN("cut"), &cut, error);
    if (status != WEIR_OK || sequence <= cut.sequence)
        return status;
    if (sequence > head.sequence)
        return weir_fail(error, WEIR_EBUSY, "the chain of receipts has not come as far as ledger entry %lld yet",
                         (long long)sequence);
    status = nearest(engine, sequence, &advancing.at, error);
    if (status == WEIR_OK && advancing.at.sequence < sequence)
        status = walk(&advancing, ROWS_AT_ONCE);
    advancing.at.sequence = sequence;
    if (status == WEIR_OK)
        status = place_write(engine, WEIR_SPAN("cut"), &advancing.at, error);
    if (status == WEIR_OK)
        status = checkpoint_write(engine, &advancing.at, error);
    return status == WEIR_OK ? delete_before(engine, sequence, error) : status;
}

/* --- comparing --- */
struct comparing {
    struct weir_engine *engine;
    struct weir_receipt_check *check;
    struct weir_buffer text;
    struct weir_error *error;
    size_t read;
};

static void tell(struct weir_receipt_check *check, int64_t first, int64_t last, const char *format, ...)
    WEIR_PRINTF(4, 5);
static void tell(struct weir_receipt_check *check, int64_t first, int64_t last, const char *format, ...) {
    check->problems++;
    if (check->found_count == WEIR_RECEIPT_PROBLEMS)
        return;
    struct weir_receipt_problem *problem = &check->found[check->found_count++];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->words, sizeof(problem->words), format, arguments);
    va_end(arguments);
    problem->first = first;
    problem->last = last;
}

static void tell_missing(struct weir_receipt_check *check, int64_t first, int64_t last) {
    check->told = true;
    if (first == last)
        tell(check, first, last, "entry %lld is missing", (long long)first);
    else
        tell(check, first, last, "entries %lld to %lld are missing", (long long)first, (long long)last);
}

/* What was computed, against what was noted at the same place; from there on the noted hash counts, so that one change is told once. */
static void compare(struct weir_receipt_check *check, const struct weir_receipt_link *noted, const char *place) {
    if (memcmp(noted->hash, check->at.hash, sizeof(noted->hash)) != 0 && !check->told)
        tell(check, check->good.sequence + 1, noted->sequence,
             "entries %lld to %lld, or the %s behind them, are not what they were when they were chained",
             (long long)check->good.sequence + 1, (long long)noted->sequence, place);
    check->at = check->good = *noted;
    check->told = false;
}

static enum weir_status compare_entry(void *context, const struct weir_ledger_entry *entry) {
    struct comparing *comparing = context;
    struct weir_receipt_check *check = comparing->check;
    if (entry->sequence > check->head.sequence)
        return WEIR_END;
    if (entry->sequence > check->at.sequence + 1)
        tell_missing(check, check->at.sequence + 1, entry->sequence - 1);
    enum weir_status status = weir_receipt_follow(&check->at, entry, &comparing->text);
    if (status != WEIR_OK)
        return weir_fail(comparing->error, status, "no memory to verify receipts");
    comparing->read++;
    check->entries++;
    if (check->first == 0)
        check->first = entry->sequence;
    if (entry->sequence % CHECKPOINT_EVERY != 0)
        return WEIR_OK;
    struct weir_receipt_link noted;
    status = nearest(comparing->engine, entry->sequence, &noted, comparing->error);
    if (status != WEIR_OK)
        return status;
    if (noted.sequence == entry->sequence) {
        compare(check, &noted, "checkpoint");
    } else {
        tell(check, entry->sequence, entry->sequence, "the checkpoint at entry %lld is missing",
             (long long)entry->sequence);
    }
    return WEIR_OK;
}

/* Once, and again where retention has overtaken us. */
static enum weir_status begin_at_cut(struct weir_engine *engine, struct weir_receipt_check *check,
                                     struct weir_error *error) {
    struct weir_receipt_link cut = {.sequence = 0};
    enum weir_status status = place_read(engine, WEIR_SPAN("cut"), &cut, error);
    if (status != WEIR_OK || (check->begun && cut.sequence <= check->at.sequence))
        return status;
    if (!check->begun && cut.sequence > 0) {
        sqlite3_stmt *statement = NULL;
        int64_t oldest = INT64_MAX;
        status = store__sqlite_statement(engine, STORE__SQL_RECEIPT_OLDEST_ENTRY, &statement, error);
        if (status == WEIR_OK)
            status = store__sqlite_integer(engine, statement, "read the ledger", &oldest, error);
        if (status == WEIR_OK && oldest > 0 && oldest <= cut.sequence)
            tell(check, oldest, cut.sequence, "entry %lld stands before the beginning of the ledger",
                 (long long)oldest);
    }
    check->at = check->good = cut;
    check->begun = true;
    check->told = false;
    return status;
}

static enum weir_status verify(struct comparing *comparing, size_t limit, bool *more) {
    struct weir_receipt_check *check = comparing->check;
    struct weir_engine *engine = comparing->engine;
    enum weir_status status = begin_at_cut(engine, check, comparing->error);
    if (status == WEIR_OK)
        status = place_read(engine, WEIR_SPAN("head"), &check->head, comparing->error);
    const struct weir_ledger_query query = {.after_sequence = check->at.sequence, .limit = limit};
    if (status == WEIR_OK)
        status = store__sqlite_ledger_each(engine, &query, compare_entry, comparing, comparing->error);
    *more = status == WEIR_OK && comparing->read == limit;
    if (status != WEIR_OK || *more)
        return status;
    if (check->at.sequence < check->head.sequence)
        tell_missing(check, check->at.sequence + 1, check->head.sequence);
    compare(check, &check->head, "newest hash");
    return WEIR_OK;
}

enum weir_status store__sqlite_receipt_verify(struct weir_engine *engine, struct weir_receipt_check *check,
                                              size_t limit, bool *more, struct weir_error *error) {
    struct comparing comparing = {.engine = engine, .check = check, .error = error};
    check->found_count = 0;
    *more = false;
    enum weir_status status = store__sqlite_begin_to_read(engine, error);
    if (status != WEIR_OK)
        return status;
    weir_buffer_init(&comparing.text, WEIR_RECEIPT_MAX_BYTES);
    status = verify(&comparing, store__limit(limit, ROWS_AT_ONCE, ROWS_AT_ONCE), more);
    weir_buffer_release(&comparing.text);
    return store__sqlite_end(engine, status, error);
}

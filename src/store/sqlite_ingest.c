/* Ingestion in SQLite: the one transaction that moves a piece of a journal into the ledger, and settling what the
 * dead left.
 *
 * Sequence numbers are given from a counter in `meta` that is written in the same transaction, not from the table's
 * largest row, so that a number is never given twice, also when old rows are dropped. The write lock is taken at the
 * beginning: two processes take turns.
 */
#include "base/reasons.h"
#include "store/journal_impl.h"
#include "store/sqlite_sums.h"

static enum weir_status counter_write(struct weir_engine *engine, struct weir_span name, int64_t value,
                                      struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_META_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    store__bind_integer(&binder, value);
    return store__binder_run(engine, &binder, "write the ledger's counter", error);
}

static enum weir_status zone_write(struct weir_engine *engine, struct weir_error *error) {
    struct store__zone *zone = &engine->zone;
    if (zone->number < 0)
        return WEIR_OK;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_ZONE_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, zone->number);
    store__bind_integer(&binder, zone->first_start_utc_us);
    store__bind_integer(&binder, zone->last_start_utc_us);
    zone->number = -1;
    return store__binder_run(engine, &binder, "write the ledger's index of times", error);
}

static enum weir_status zone_add(struct weir_engine *engine, int64_t sequence, int64_t start_utc_us,
                                 struct weir_error *error) {
    struct store__zone *zone = &engine->zone;
    int64_t number = sequence >> STORE__ZONE_SHIFT;
    if (zone->number == number) {
        if (start_utc_us < zone->first_start_utc_us)
            zone->first_start_utc_us = start_utc_us;
        if (start_utc_us > zone->last_start_utc_us)
            zone->last_start_utc_us = start_utc_us;
        return WEIR_OK;
    }
    enum weir_status status = zone_write(engine, error);
    *zone = (struct store__zone){.number = number,
                                 .first_start_utc_us = start_utc_us,
                                 .last_start_utc_us = start_utc_us};
    return status;
}

static enum weir_status begin(struct weir_engine *engine, struct weir_error *error) {
    weir_bug_on(engine->ingesting);
    store__dictionary_trim(engine);
    engine->zone.number = -1;
    store__record_begin(engine);
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    sqlite3_stmt *statement = NULL;
    int64_t any = 0;
    bool unsummed = false;
    status = store__sqlite_statement(engine, STORE__SQL_OPEN_ANY, &statement, error);
    if (status == WEIR_OK)
        status = store__sqlite_integer(engine, statement, "look for open requests", &any, error);
    if (status == WEIR_OK)
        status = store__unsummed_note(engine, &engine->next_sequence, &unsummed, error);
    if (status == WEIR_OK)
        status = store__waiting_begin(engine, error);
    if (status != WEIR_OK)
        return store__sqlite_end(engine, status, error);
    engine->opens_remembered = any != 0;
    engine->first_sequence = engine->next_sequence;
    engine->ingesting = true;
    return WEIR_OK;
}

static enum weir_status finish(struct weir_engine *engine, enum weir_status status, struct weir_error *error) {
    weir_bug_on(!engine->ingesting);
    engine->ingesting = false;
    if (status == WEIR_OK)
        status = zone_write(engine, error);
    if (status == WEIR_OK)
        status = store__waiting_end(engine, error);
    /* Two counters: a release that knows nothing of sums counts on the first alone. */
    bool any = engine->next_sequence != engine->first_sequence;
    if (status == WEIR_OK && any)
        status = counter_write(engine, WEIR_SPAN("next_sequence"), engine->next_sequence, error);
    if (status == WEIR_OK && any)
        status = counter_write(engine, WEIR_SPAN("summed_next"), engine->next_sequence, error);
    if (status == WEIR_OK)
        status = store__record_end(engine, error);
    return store__sqlite_end(engine, status, error);
}

enum weir_status store__sqlite_ingest_begin(struct weir_engine *engine, struct weir_error *error) {
    return begin(engine, error);
}

/* The number of "workspace/id". */
static enum weir_status look_up_member(struct weir_engine *engine, struct weir_span workspace, struct weir_span id,
                                       int64_t *number, struct weir_error *error) {
    enum { MOST = 1024 };
    char bytes[MOST];
    *number = 0;
    if (id.length == 0 || workspace.length + 1 + id.length > MOST)
        return WEIR_OK; /* texts of a journal are far shorter */
    if (workspace.length > 0)
        memcpy(bytes, workspace.at, workspace.length);
    bytes[workspace.length] = '/';
    memcpy(bytes + workspace.length + 1, id.at, id.length);
    return store__dictionary_id(engine, weir_span_of(bytes, workspace.length + 1 + id.length), number, error);
}

static enum weir_status look_up_owners(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                       struct store__entry_numbers *numbers, struct weir_error *error) {
    enum weir_status status = look_up_member(engine, entry->workspace, entry->team, &numbers->team, error);
    if (status == WEIR_OK)
        status = look_up_member(engine, entry->workspace, entry->user, &numbers->user, error);
    if (status == WEIR_OK && !weir_span_equal(entry->family, entry->key_id))
        status = store__dictionary_id(engine, entry->family, &numbers->family, error);
    return status;
}

/* An entry's texts get places in the dictionary; of one that is unbilled only those that we gave, for what clients send is without end. */
static enum weir_status look_up(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                struct store__entry_numbers *numbers, struct weir_error *error) {
    const struct weir_span texts[] = {entry->key_id,   entry->workspace,      entry->endpoint,     entry->model,
                                      entry->provider, entry->upstream_model, entry->price_version};
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]), OURS = 3 };
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < TEXTS && status == WEIR_OK; i++) {
        status = i < OURS || !entry->unbilled ? store__dictionary_id(engine, texts[i], &numbers->texts[i], error)
                                              : store__dictionary_find(engine, texts[i], &numbers->texts[i], error);
    }
    for (size_t i = 0; i < entry->attempt_count && status == WEIR_OK; i++) {
        status = store__dictionary_id(engine, entry->attempts[i].provider, &numbers->attempts[i][0], error);
        if (status == WEIR_OK)
            status = store__dictionary_id(engine, entry->attempts[i].upstream_model, &numbers->attempts[i][1], error);
    }
    numbers->team = numbers->user = numbers->family = 0;
    if (status == WEIR_OK && !entry->unbilled)
        status = look_up_owners(engine, entry, numbers, error);
    struct weir_span trace = entry->trace_id;
    bool has_form = trace.length == 2 * sizeof(numbers->trace), has_upper = false;
    for (size_t i = 0; i < trace.length && has_form; i++)
        has_upper |= (unsigned char)(trace.at[i] - 'A') <= 'F' - 'A';
    numbers->trace_is_binary = has_form && !has_upper &&
                               weir_hex_parse(trace, numbers->trace, sizeof(numbers->trace)) == WEIR_OK;
    return status;
}

static enum weir_status add_to_ledger(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                      const struct store__entry_numbers *numbers, struct weir_error *error) {
    enum weir_status status = store__sqlite_ledger_insert(engine, entry, numbers, engine->next_sequence, error);
    if (status == WEIR_OK)
        status = zone_add(engine, engine->next_sequence, entry->start_utc_us, error);
    if (status == WEIR_OK)
        status = store__more_insert(engine, entry, engine->next_sequence, error);
    if (status == WEIR_OK && entry->issued_count > 0)
        status = store__sqlite_issued_write(engine, entry, error);
    if (status == WEIR_OK)
        status = store__waiting_admit(engine, error);
    if (status == WEIR_OK)
        status = store__sums_add(engine, entry, numbers, error);
    if (status == WEIR_OK) {
        engine->next_sequence++;
        engine->waiting.entries++;
    }
    return status;
}

static enum weir_status add(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                            struct weir_error *error) {
    struct store__entry_numbers numbers;
    bool wanted = store__record_wanted(engine, entry);
    if (!wanted && entry->unbilled)
        return WEIR_OK;
    enum weir_status status = look_up(engine, entry, &numbers, error);
    if (status == WEIR_OK && !entry->unbilled)
        status = add_to_ledger(engine, entry, &numbers, error);
    if (status == WEIR_OK && wanted)
        status = store__record_insert(engine, entry, &numbers, error);
    return status;
}

enum weir_status store__sqlite_ingest_entry(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                            struct weir_error *error) {
    weir_bug_on(!engine->ingesting);
    enum weir_status status = add(engine, entry, error);
    if (status != WEIR_OK || !engine->opens_remembered)
        return status;
    sqlite3_stmt *statement = NULL;
    status = store__sqlite_statement(engine, STORE__SQL_OPEN_FORGET, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, entry->request_id.bytes, sizeof(entry->request_id.bytes));
    return store__binder_run(engine, &binder, "forget an open request", error);
}

enum weir_status store__sqlite_ingest_open(struct weir_engine *engine, const struct weir_journal_cursor *series,
                                           const struct weir_journal_open *open, struct weir_error *error) {
    weir_bug_on(!engine->ingesting);
    char record[STORE__MAX_OPEN_PAYLOAD];
    size_t size = store__open_payload_size(open);
    store__open_encode(open, record);
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OPEN_INSERT, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, open->request_id.bytes, sizeof(open->request_id.bytes));
    store__bind_blob(&binder, series->instance.bytes, sizeof(series->instance.bytes));
    store__bind_integer(&binder, series->worker);
    store__bind_blob(&binder, record, size);
    status = store__binder_run(engine, &binder, "remember an open request", error);
    if (status == WEIR_OK)
        engine->opens_remembered = true;
    return status;
}

enum weir_status store__sqlite_ingest_cursor(struct weir_engine *engine, const struct weir_journal_cursor *cursor,
                                             struct weir_error *error) {
    weir_bug_on(!engine->ingesting);
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_CURSOR_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, cursor->instance.bytes, sizeof(cursor->instance.bytes));
    store__bind_integer(&binder, cursor->worker);
    store__bind_integer(&binder, (int64_t)cursor->segment);
    store__bind_integer(&binder, (int64_t)cursor->offset);
    return store__binder_run(engine, &binder, "write the journal's cursor", error);
}

enum weir_status store__sqlite_ingest_commit(struct weir_engine *engine, struct weir_error *error) {
    return finish(engine, WEIR_OK, error);
}

void store__sqlite_ingest_rollback(struct weir_engine *engine) {
    if (engine->ingesting)
        (void)finish(engine, WEIR_ECLOSED, NULL);
}

enum weir_status store__sqlite_cursor_read(struct weir_engine *engine, struct weir_journal_cursor *cursor,
                                           struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_CURSOR_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, cursor->instance.bytes, sizeof(cursor->instance.bytes));
    store__bind_integer(&binder, cursor->worker);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        cursor->segment = (uint64_t)sqlite3_column_int64(statement, 0);
        cursor->offset = (uint64_t)sqlite3_column_int64(statement, 1);
    } else if (code == SQLITE_DONE) {
        status = WEIR_ENOTFOUND;
    } else {
        status = store__sqlite_fail(engine, "read the journal's cursor", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* --- settling what the dead left --- */
static void crashed_entry(const struct weir_journal_open *open, int64_t utc_us, struct weir_ledger_entry *entry) {
    memset(entry, 0, sizeof(*entry));
    entry->request_id = open->request_id;
    entry->client_request_id = open->client_request_id;
    entry->key_id = open->key_id;
    entry->workspace = open->workspace;
    entry->team = open->team;
    entry->user = open->user;
    entry->family = open->family;
    entry->endpoint = open->endpoint;
    entry->model = open->model;
    entry->provider = open->provider;
    entry->upstream_model = open->upstream_model;
    entry->price_version = open->price_version;
    entry->tags = open->tags;
    entry->start_utc_us = open->start_utc_us;
    entry->end_utc_us = utc_us;
    entry->reserved_cu_milli = open->reserved_cu_milli;
    entry->cost_cu_milli = open->reserved_cu_milli;
    entry->usage = open->reserved;
    entry->revision = open->revision;
    entry->usage_source = WEIR_USAGE_RESERVED;
    entry->outcome = WEIR_OUTCOME_CRASHED;
    entry->reason = WEIR_REASON_CRASHED;
    entry->stream = open->stream;
    entry->unpriced = open->unpriced;
    entry->stage = WEIR_STAGE_SENT;
    entry->policy = WEIR_POLICY_ALLOW;
}

static void bind_series(struct store__binder *binder, const struct weir_uuid *instance, uint32_t worker) {
    store__bind_blob(binder, instance->bytes, sizeof(instance->bytes));
    store__bind_integer(binder, worker == WEIR_EVERY_WORKER ? -1 : (int64_t)worker);
}

static enum weir_status settle_rows(struct weir_engine *engine, const struct weir_uuid *instance, uint32_t worker,
                                    int64_t utc_us, uint64_t *settled, struct weir_error *error) {
    sqlite3_stmt *each = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OPEN_EACH, &each, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(each);
    bind_series(&binder, instance, worker);
    int code;
    while (status == WEIR_OK && (code = sqlite3_step(each)) != SQLITE_DONE) {
        struct weir_journal_record record;
        struct weir_ledger_entry entry;
        if (code != SQLITE_ROW) {
            status = store__sqlite_fail(engine, "read the open requests", error);
        } else if (store__payload_decode(store__column_span(each, 0), &record) != WEIR_OK ||
                   record.kind != WEIR_JOURNAL_OPEN) {
            status = weir_fail(error, WEIR_ECORRUPT, "an open request in the database cannot be read");
        } else {
            crashed_entry(&record.open, utc_us, &entry);
            status = add(engine, &entry, error);
            (*settled)++;
        }
    }
    (void)sqlite3_reset(each);
    if (status != WEIR_OK || *settled == 0)
        return status;
    sqlite3_stmt *forget = NULL;
    status = store__sqlite_statement(engine, STORE__SQL_OPEN_FORGET_SERIES, &forget, error);
    if (status != WEIR_OK)
        return status;
    binder = store__binder_of(forget);
    bind_series(&binder, instance, worker);
    return store__binder_run(engine, &binder, "forget the open requests", error);
}

static enum weir_status forget_of_instance(struct weir_engine *engine, enum store__sql which,
                                           const struct weir_uuid *instance, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, instance->bytes, sizeof(instance->bytes));
    return store__binder_run(engine, &binder, "end an instance", error);
}

enum weir_status store__sqlite_settle_crashed(struct weir_engine *engine, const struct weir_uuid *instance,
                                              uint32_t worker, int64_t utc_us, uint64_t *settled,
                                              struct weir_error *error) {
    enum weir_status status = begin(engine, error);
    if (status != WEIR_OK)
        return status;
    uint64_t count = 0;
    status = settle_rows(engine, instance, worker, utc_us, &count, error);
    /* What is not added to what was spent must stay in the slices. */
    if (status == WEIR_OK)
        status = store__unsummed_finish(engine, instance, error);
    if (status == WEIR_OK && worker == WEIR_EVERY_WORKER)
        status = forget_of_instance(engine, STORE__SQL_SLICE_FORGET, instance, error);
    status = finish(engine, status, error);
    if (status == WEIR_OK)
        *settled = count;
    return status;
}

/* --- instances --- */
enum weir_status store__sqlite_instance_begin(struct weir_engine *engine, const struct weir_uuid *instance,
                                              int64_t utc_us, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_INSTANCE_BEGIN, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, instance->bytes, sizeof(instance->bytes));
    store__bind_integer(&binder, utc_us);
    return store__binder_run(engine, &binder, "begin an instance", error);
}

enum weir_status store__sqlite_instance_end(struct weir_engine *engine, const struct weir_uuid *instance,
                                            int64_t utc_us, struct weir_error *error) {
    (void)utc_us; /* an ended instance has no row: nothing is asked of the dead */
    const enum store__sql steps[] = {STORE__SQL_CURSOR_FORGET, STORE__SQL_SLICE_FORGET, STORE__SQL_INSTANCE_END};
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = store__unsummed_finish(engine, instance, error);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == WEIR_OK; i++)
        status = forget_of_instance(engine, steps[i], instance, error);
    return store__sqlite_end(engine, status, error);
}

enum weir_status store__sqlite_instance_each(struct weir_engine *engine, weir_instance_visit visit, void *context,
                                             struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_INSTANCE_EACH, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code = SQLITE_DONE;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct weir_span id = store__column_span(statement, 0);
        struct weir_uuid instance;
        if (id.length != sizeof(instance.bytes))
            continue;
        memcpy(instance.bytes, id.at, id.length);
        status = visit(context, &instance);
    }
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the instances", error);
    (void)sqlite3_reset(statement);
    return status == WEIR_END ? WEIR_OK : status;
}

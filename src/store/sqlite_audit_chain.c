/* The chain of the audit trail: adding to it, following it, and letting go of its old end.
 *
 * Beside the table `meta` keeps the place of the newest entry (audit_head) and of the last one that retention removed
 * (audit_anchor). The chain goes from the one to the other without a gap; whatever does not is found and named.
 * Who can write the database can also write the whole chain anew: against that stands only a head that was kept
 * elsewhere.
 */
#include "store/sqlite_audit.h"

#include "base/ids.h"

enum { PLACE_SIZE = 24 + 2 * WEIR_AUDIT_HASH_SIZE, USUAL_PRUNED = 1000, MAX_PRUNED = 100000 };

/* --- places in meta --- */
/* "12 8f3a…": the number and the hash. WEIR_ENOTFOUND; WEIR_ECORRUPT where it has another form. */
static enum weir_status place_read(struct weir_engine *engine, struct weir_span name, struct store__audit_link *place,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    *place = (struct store__audit_link){.sequence = 0};
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_META_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        struct weir_span number, hash;
        struct store__audit_link found = {.sequence = 0};
        (void)weir_span_split(store__column_span(statement, 0), ' ', &number, &hash);
        if (weir_span_to_int64(number, &found.sequence) == WEIR_OK && found.sequence >= 0 &&
            weir_hex_parse(hash, found.hash, sizeof(found.hash)) == WEIR_OK) {
            *place = found;
        } else {
            status = WEIR_ECORRUPT;
        }
    } else {
        status = code == SQLITE_DONE ? WEIR_ENOTFOUND : store__sqlite_fail(engine, "read the table meta", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum weir_status place_write(struct weir_engine *engine, struct weir_span name,
                                    const struct store__audit_link *place, struct weir_error *error) {
    char text[PLACE_SIZE], hash[2 * WEIR_AUDIT_HASH_SIZE + 1];
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_META_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    weir_hex_format(place->hash, sizeof(place->hash), hash);
    int length = snprintf(text, sizeof(text), "%lld %s", (long long)place->sequence, hash);
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, name);
    store__bind_text(&binder, weir_span_of(text, (size_t)length));
    return store__binder_run(engine, &binder, "write the table meta", error);
}

/* --- rows --- */
enum weir_status store__audit_of_row(sqlite3_stmt *row, struct weir_audit_entry *entry) {
    int64_t result = sqlite3_column_int64(row, 2);
    bool known = result >= WEIR_AUDIT_SUCCESS && result <= WEIR_AUDIT_PARTIAL;
    *entry = (struct weir_audit_entry){
        .sequence = sqlite3_column_int64(row, 0),
        .utc_us = sqlite3_column_int64(row, 1),
        .result = known ? (enum weir_audit_result)result : WEIR_AUDIT_FAILURE,
    };
    struct weir_span previous = store__column_span(row, 3), hash = store__column_span(row, 4);
    struct weir_span *const texts[] = {&entry->actor_kind,    &entry->actor_id,      &entry->actor_name,
                                       &entry->actor_role,    &entry->actor_address, &entry->workspace,
                                       &entry->action,        &entry->resource_type, &entry->resource_id,
                                       &entry->resource_name, &entry->changes,       &entry->request,
                                       &entry->reason,        &entry->message};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = store__column_span(row, 5 + (int)i);
    if (!known || previous.length != WEIR_AUDIT_HASH_SIZE || hash.length != WEIR_AUDIT_HASH_SIZE)
        return WEIR_ECORRUPT;
    memcpy(entry->previous, previous.at, previous.length);
    memcpy(entry->hash, hash.at, hash.length);
    return WEIR_OK;
}

static enum weir_status insert(struct weir_engine *engine, const struct weir_audit_entry *entry,
                               struct weir_error *error) {
    const struct weir_span texts[] = {entry->actor_kind,    entry->actor_id,      entry->actor_name,
                                      entry->actor_role,    entry->actor_address, entry->workspace,
                                      entry->action,        entry->resource_type, entry->resource_id,
                                      entry->resource_name, entry->changes,       entry->request,
                                      entry->reason,        entry->message};
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_AUDIT_INSERT, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, entry->sequence);
    store__bind_integer(&binder, entry->utc_us);
    store__bind_integer(&binder, entry->result);
    store__bind_blob(&binder, entry->previous, sizeof(entry->previous));
    store__bind_blob(&binder, entry->hash, sizeof(entry->hash));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        store__bind_text_or_null(&binder, texts[i]);
    return store__binder_run(engine, &binder, "write to the audit trail", error);
}

/* --- adding --- */
/* The newest row; number 0 when there is none. */
static enum weir_status newest_row(struct weir_engine *engine, struct store__audit_link *newest,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    *newest = (struct store__audit_link){.sequence = 0};
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_AUDIT_NEWEST, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        struct weir_span hash = store__column_span(statement, 1);
        newest->sequence = sqlite3_column_int64(statement, 0);
        if (hash.length == sizeof(newest->hash))
            memcpy(newest->hash, hash.at, hash.length);
    } else if (code != SQLITE_DONE) {
        status = store__sqlite_fail(engine, "read the audit trail", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

static enum weir_status zone_write(struct weir_engine *engine, const struct weir_audit_entry *entry,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_AUDIT_ZONE_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, entry->sequence >> STORE__ZONE_SHIFT);
    store__bind_integer(&binder, entry->utc_us);
    return store__binder_run(engine, &binder, "write the audit trail's index of times", error);
}

/* A trail that was tampered with is still written to: what is added follows the head, so that verifying goes on to
 * name the place, and no number is given twice. */
static enum weir_status append(struct weir_engine *engine, struct weir_audit_entry *entry, struct weir_error *error) {
    struct store__audit_link head, newest;
    enum weir_status status = place_read(engine, WEIR_SPAN("audit_head"), &head, error);
    if (status == WEIR_ENOTFOUND || status == WEIR_ECORRUPT)
        status = WEIR_OK;
    if (status == WEIR_OK)
        status = newest_row(engine, &newest, error);
    if (status != WEIR_OK)
        return status;
    int64_t last = newest.sequence > head.sequence ? newest.sequence : head.sequence;
    if (last == INT64_MAX)
        return weir_fail(error, WEIR_ECORRUPT, "the audit trail has an entry with a number that was never given");
    entry->sequence = last + 1;
    memcpy(entry->previous, head.hash, sizeof(entry->previous));
    weir_audit_hash(entry, entry->previous, entry->hash);
    struct store__audit_link place = {.sequence = entry->sequence};
    memcpy(place.hash, entry->hash, sizeof(place.hash));
    status = insert(engine, entry, error);
    if (status == WEIR_OK)
        status = zone_write(engine, entry, error);
    return status == WEIR_OK ? place_write(engine, WEIR_SPAN("audit_head"), &place, error) : status;
}

enum weir_status store__sqlite_audit_append(struct weir_engine *engine, struct weir_audit_entry *entry,
                                            struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    return status == WEIR_OK ? store__sqlite_end_durably(engine, append(engine, entry, error), error) : status;
}

/* --- following --- */
struct problem {
    int64_t broken_at; /* 0: none */
    char words[200];
};

static void broken(struct problem *problem, int64_t at, const char *format, ...) WEIR_PRINTF(3, 4);
static void broken(struct problem *problem, int64_t at, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    problem->broken_at = at;
    (void)vsnprintf(problem->words, sizeof(problem->words), format, arguments);
    va_end(arguments);
}

static void missing(struct problem *problem, int64_t first, int64_t last) {
    if (first == last) {
        broken(problem, first, "entry %lld is missing", (long long)first);
    } else {
        broken(problem, first, "entries %lld to %lld are missing", (long long)first, (long long)last);
    }
}

/* Whether the entry of a row follows the one before it; then that becomes the one before. */
static void follow(sqlite3_stmt *row, struct store__audit_link *before, struct weir_audit_entry *entry,
                   struct problem *problem) {
    unsigned char hash[WEIR_AUDIT_HASH_SIZE];
    enum weir_status status = store__audit_of_row(row, entry);
    long long sequence = entry->sequence;
    if (entry->sequence <= before->sequence) {
        broken(problem, entry->sequence > 0 ? entry->sequence : 1,
               "entry %lld stands before the beginning of the trail", sequence);
        return;
    }
    if (entry->sequence != before->sequence + 1) {
        missing(problem, before->sequence + 1, entry->sequence - 1);
        return;
    }
    weir_audit_hash(entry, entry->previous, hash);
    if (status != WEIR_OK || memcmp(hash, entry->hash, sizeof(hash)) != 0) {
        broken(problem, entry->sequence, "entry %lld is not what was written", sequence);
    } else if (memcmp(entry->previous, before->hash, sizeof(before->hash)) != 0) {
        broken(problem, entry->sequence, "entry %lld does not follow from what is before it", sequence);
    } else {
        before->sequence = entry->sequence;
        memcpy(before->hash, entry->hash, sizeof(before->hash));
    }
}

/* The end of the chain against the newest place that was noted. */
static void check_head(enum weir_status read, const struct store__audit_link *head,
                       const struct store__audit_link *last, struct problem *problem) {
    if (read == WEIR_ENOTFOUND && last->sequence == 0)
        return; /* nothing was ever written */
    if (read != WEIR_OK) {
        broken(problem, last->sequence > 0 ? last->sequence : 1, "the note of the newest entry is %s",
               read == WEIR_ENOTFOUND ? "missing" : "not what was written");
    } else if (last->sequence < head->sequence) {
        missing(problem, last->sequence + 1, head->sequence);
    } else if (last->sequence > head->sequence) {
        broken(problem, head->sequence + 1, "entry %lld stands behind the newest one that was written",
               (long long)head->sequence + 1);
    } else if (memcmp(last->hash, head->hash, sizeof(head->hash)) != 0) {
        broken(problem, last->sequence, "entry %lld is not the newest one that was written", (long long)last->sequence);
    }
}

/* Reads rows until there is no more or the chain breaks. */
static enum weir_status walk(struct weir_engine *engine, struct store__audit_link *before,
                             struct weir_audit_verification *verification, struct problem *problem,
                             struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_AUDIT_ALL, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW && problem->broken_at == 0) {
        struct weir_audit_entry entry;
        follow(statement, before, &entry, problem);
        if (verification->first == 0)
            verification->first = entry.sequence;
        if (problem->broken_at == 0)
            verification->entries++;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the audit trail", error);
    (void)sqlite3_reset(statement);
    return status;
}

static enum weir_status verify(struct weir_engine *engine, struct weir_audit_verification *verification,
                               struct weir_error *error) {
    struct store__audit_link before, head, newest;
    struct problem problem = {.broken_at = 0};
    enum weir_status anchor_read = place_read(engine, WEIR_SPAN("audit_anchor"), &before, error);
    enum weir_status head_read = place_read(engine, WEIR_SPAN("audit_head"), &head, error);
    const enum weir_status reads[] = {anchor_read, head_read};
    for (size_t i = 0; i < 2; i++) {
        if (reads[i] != WEIR_OK && reads[i] != WEIR_ENOTFOUND && reads[i] != WEIR_ECORRUPT)
            return reads[i];
    }
    if (anchor_read == WEIR_ECORRUPT)
        broken(&problem, 1, "the note of where the trail begins is not what was written");
    *verification = (struct weir_audit_verification){.entries = 0};
    enum weir_status status = newest_row(engine, &newest, error);
    if (status == WEIR_OK)
        status = walk(engine, &before, verification, &problem, error);
    if (status != WEIR_OK)
        return status;
    if (problem.broken_at == 0)
        check_head(head_read, &head, &before, &problem);
    verification->last = newest.sequence;
    memcpy(verification->head, newest.hash, sizeof(newest.hash));
    verification->broken_at = problem.broken_at;
    memcpy(verification->problem, problem.words, sizeof(problem.words));
    return WEIR_OK;
}

enum weir_status store__sqlite_audit_verify(struct weir_engine *engine, struct weir_audit_verification *verification,
                                            struct weir_error *error) {
    enum weir_status status = store__sqlite_begin_to_read(engine, error);
    return status == WEIR_OK ? store__sqlite_end(engine, verify(engine, verification, error), error) : status;
}

/* --- letting go of the old end --- */
/* What may go: the entries from the oldest one on that are older than `before_utc_us`, up to `last`. An entry that does
 * not follow stays, with all behind it: removing it would remove the trace. */
static enum weir_status find_end(struct weir_engine *engine, int64_t before_utc_us, uint64_t limit, int64_t newest,
                                 struct store__audit_link *end, uint64_t *count, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    struct problem problem = {.broken_at = 0};
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_AUDIT_ALL, &statement, error);
    if (status != WEIR_OK)
        return status;
    int code = SQLITE_DONE;
    while (*count < limit && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct weir_audit_entry entry;
        struct store__audit_link before = *end;
        follow(statement, end, &entry, &problem);
        if (problem.broken_at != 0 || entry.sequence >= newest || entry.utc_us >= before_utc_us) {
            *end = before;
            break;
        }
        ++*count;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the audit trail", error);
    (void)sqlite3_reset(statement);
    if (status == WEIR_OK && problem.broken_at != 0) {
        status = weir_fail(error, WEIR_ECORRUPT,
                           "nothing is removed from the audit trail, for it was tampered with: %s", problem.words);
    }
    return status;
}

static enum weir_status delete_up_to(struct weir_engine *engine, enum store__sql which, int64_t number,
                                     struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, number);
    return store__binder_run(engine, &binder, "remove old entries of the audit trail", error);
}

static enum weir_status prune(struct weir_engine *engine, int64_t before_utc_us, uint64_t limit, uint64_t *count,
                              struct weir_error *error) {
    struct store__audit_link end, newest;
    enum weir_status status = place_read(engine, WEIR_SPAN("audit_anchor"), &end, error);
    if (status == WEIR_ECORRUPT)
        return weir_fail(error, status, "the note of where the audit trail begins is not what was written");
    if (status == WEIR_OK || status == WEIR_ENOTFOUND)
        status = newest_row(engine, &newest, error);
    if (status == WEIR_OK)
        status = find_end(engine, before_utc_us, limit, newest.sequence, &end, count, error);
    if (status != WEIR_OK || *count == 0)
        return status;
    status = delete_up_to(engine, STORE__SQL_AUDIT_DELETE, end.sequence, error);
    if (status == WEIR_OK)
        status = delete_up_to(engine, STORE__SQL_AUDIT_ZONE_DELETE, (end.sequence + 1) >> STORE__ZONE_SHIFT, error);
    return status == WEIR_OK ? place_write(engine, WEIR_SPAN("audit_anchor"), &end, error) : status;
}

enum weir_status store__sqlite_audit_prune(struct weir_engine *engine, int64_t before_utc_us, size_t limit,
                                           uint64_t *removed, struct weir_error *error) {
    uint64_t count = 0;
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = prune(engine, before_utc_us, store__limit(limit, USUAL_PRUNED, MAX_PRUNED), &count, error);
    status = store__sqlite_end_durably(engine, status, error);
    if (status == WEIR_OK)
        *removed = count;
    return status;
}

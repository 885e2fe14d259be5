/* Finding request records by any of their ids.
 *
 * Each day is asked: what is not indexed yet is read through, a zone's ids give a group, a run's a bucket. What the hashes promise is
 * verified against the record. A day of a million requests costs some dozens of rows.
 */
#include "store/sqlite_records.h"

#include "base/memory.h"

#include <stdlib.h>

/* More than these promise the same id only where one client sends one id for everything: then the newest count. */
enum { MAX_CANDIDATES = 8192, HASHES = 2 };

struct search {
    struct weir_engine *engine;
    struct weir_span id;
    uint64_t hashes[HASHES];
    size_t hash_count;
    size_t left;
    weir_record_visit visit;
    void *context;
    const struct store__partition *partition;
    struct store__raw_record raw;
    int64_t candidates[MAX_CANDIDATES];
    size_t candidate_count;
};

static void add_hash(struct search *search, struct weir_span bytes) {
    search->hashes[search->hash_count++] = store__record_id_hash(search->engine->records, bytes);
}

/* WEIR_END: enough were found. */
static enum weir_status verify(struct search *search, int64_t number, struct weir_span data, struct weir_error *error) {
    if (store__record_decode(data, &search->raw) != WEIR_OK)
        return WEIR_OK;
    enum weir_status status = store__record_resolve(search->engine, &search->raw, error);
    if (status != WEIR_OK || weir_record_ids_named(&search->raw.entry, search->id) == 0)
        return status;
    struct weir_record record = {.number = number, .day = search->partition->day, .entry = search->raw.entry};
    status = search->visit(search->context, &record);
    return status == WEIR_OK && --search->left == 0 ? WEIR_END : status;
}

static enum weir_status read_through(struct search *search, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(
        search->engine, "SELECT number, data FROM record_%lld WHERE number >= ? ORDER BY number DESC",
        search->partition->day, &statement, error);
    if (status == WEIR_OK)
        (void)sqlite3_bind_int64(statement, 1, search->partition->indexed_to);
    while (status == WEIR_OK) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            break;
        status = code == SQLITE_ROW
                     ? verify(search, sqlite3_column_int64(statement, 0), store__column_span(statement, 1), error)
                     : store__sqlite_fail(search->engine, "find a request record", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

/* The records of the run that begins at `run` whose ids have one of the hashes; `ids` are some or all of its ids. */
static void collect(struct search *search, struct weir_span ids, int64_t run) {
    for (size_t at = ids.length / STORE__ID_BYTES; at-- > 0;) {
        uint64_t id;
        memcpy(&id, ids.at + at * STORE__ID_BYTES, sizeof(id));
        bool met = false;
        for (size_t i = 0; i < search->hash_count; i++)
            met = met || (id ^ search->hashes[i]) < STORE__RECORD_RUN;
        if (met && search->candidate_count < MAX_CANDIDATES)
            search->candidates[search->candidate_count++] = run + (int64_t)(id % STORE__RECORD_RUN);
    }
}

static void collect_group(struct search *search, struct weir_span ids, int64_t run) {
    for (size_t i = 0; i < search->hash_count; i++)
        collect(search, store__record_group(ids, search->hashes[i]), run);
}

static enum weir_status look_in_zones(struct search *search, struct weir_error *error) {
    const struct store__partition *partition = search->partition;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(search->engine,
                                                    "SELECT zone, ids FROM record_zone_id_%lld ORDER BY zone DESC",
                                                    partition->day, &statement, error);
    while (status == WEIR_OK) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            break;
        int64_t zone = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        if (code != SQLITE_ROW)
            status = store__sqlite_fail(search->engine, "find a request record", error);
        else
            collect_group(search, store__column_span(statement, 1),
                          (zone << STORE__RECORD_ZONE_SHIFT) & ~((int64_t)STORE__RECORD_RUN - 1));
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static enum weir_status look_in_runs(struct search *search, struct weir_error *error) {
    const struct store__partition *partition = search->partition;
    sqlite3_stmt *statement = NULL;
    if (partition->merged_to == partition->first)
        return WEIR_OK;
    enum weir_status status = store__record_prepare(search->engine,
                                                    "SELECT ids FROM record_run_id_%lld WHERE bucket = ?",
                                                    partition->day, &statement, error);
    int64_t last = (partition->merged_to - 1) >> STORE__RECORD_RUN_SHIFT;
    int64_t first = partition->first >> STORE__RECORD_RUN_SHIFT;
    for (int64_t run = last; run >= first && status == WEIR_OK; run--) {
        for (size_t i = 0; i < search->hash_count && status == WEIR_OK; i++) {
            int64_t bucket = (int64_t)(search->hashes[i] >> (64 - STORE__RECORD_BUCKET_SHIFT));
            (void)sqlite3_bind_int64(statement, 1, run << STORE__RECORD_BUCKET_SHIFT | bucket);
            int code = sqlite3_step(statement);
            if (code == SQLITE_ROW)
                collect(search, store__column_span(statement, 0), run << STORE__RECORD_RUN_SHIFT);
            else if (code != SQLITE_DONE)
                status = store__sqlite_fail(search->engine, "find a request record", error);
            (void)sqlite3_reset(statement);
        }
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static int newest_first(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static enum weir_status verify_candidates(struct search *search, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    if (search->candidate_count == 0)
        return WEIR_OK;
    qsort(search->candidates, search->candidate_count, sizeof(search->candidates[0]), newest_first);
    enum weir_status status = store__record_prepare(search->engine, "SELECT data FROM record_%lld WHERE number = ?",
                                                    search->partition->day, &statement, error);
    for (size_t i = 0; i < search->candidate_count && status == WEIR_OK; i++) {
        if (i > 0 && search->candidates[i] == search->candidates[i - 1])
            continue; /* two of its ids are the same */
        (void)sqlite3_bind_int64(statement, 1, search->candidates[i]);
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            status = verify(search, search->candidates[i], store__column_span(statement, 0), error);
        else if (code != SQLITE_DONE)
            status = store__sqlite_fail(search->engine, "find a request record", error);
        (void)sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static enum weir_status find_in_days(struct search *search, struct weir_error *error) {
    struct store__partition partition = {.day = 0};
    for (;;) {
        enum weir_status status = store__partition_before(search->engine, partition.day, &partition, error);
        if (status == WEIR_ENOTFOUND)
            return WEIR_OK;
        search->partition = &partition;
        search->candidate_count = 0;
        if (status == WEIR_OK && partition.indexed_to < partition.next)
            status = read_through(search, error);
        if (status == WEIR_OK)
            status = look_in_zones(search, error);
        if (status == WEIR_OK)
            status = look_in_runs(search, error);
        if (status == WEIR_OK)
            status = verify_candidates(search, error);
        if (status != WEIR_OK)
            return status;
    }
}

enum weir_status store__sqlite_record_find(struct weir_engine *engine, struct weir_span id, size_t limit,
                                           weir_record_visit visit, void *context, struct weir_error *error) {
    if (id.length == 0 || id.length > WEIR_RECORD_ID_BYTES)
        return WEIR_OK;
    store__dictionary_trim(engine);
    enum weir_status status = store__record_id_key(engine, error);
    if (status != WEIR_OK)
        return status;
    struct search *search = weir_memory_new(1, sizeof(*search));
    if (search == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory to find a request record");
    search->engine = engine;
    search->id = id;
    search->left = limit == 0 || limit > WEIR_RECORD_MATCHES ? WEIR_RECORD_MATCHES : limit;
    search->visit = visit;
    search->context = context;
    add_hash(search, id);
    unsigned char bytes[16]; /* ours and a trace's are known by their bytes */
    struct weir_uuid uuid;
    if (weir_uuid_parse(id, &uuid) == WEIR_OK)
        add_hash(search, weir_span_of((const char *)uuid.bytes, sizeof(uuid.bytes)));
    else if (weir_hex_parse(id, bytes, sizeof(bytes)) == WEIR_OK)
        add_hash(search, weir_span_of((const char *)bytes, sizeof(bytes)));
    status = store__sqlite_begin_to_read(engine, error);
    if (status == WEIR_OK) {
        status = find_in_days(search, error);
        if (status == WEIR_END)
            status = WEIR_OK;
        status = store__sqlite_end(engine, status, error);
    }
    weir_memory_free(search);
    return status;
}

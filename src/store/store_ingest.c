/* From the journal to the ledger, exactly once.
 *
 * A batch reads up to 1000 records of all series and is one transaction: the entries of the closes, the opens that
 * found no close within the batch, and each series' cursor. Only after the commit does the reader's place move; on
 * any failure it stays and the same bytes are read again. A segment is removed only when the database has been forced
 * to the disk behind it.
 *
 * An open and its close mostly come in one batch: then nothing but the ledger row is written.
 */
#include "store/store_impl.h"

#include "base/memory.h"

enum weir_status store__batch_init(struct store__batch *batch) {
    batch->opens = weir_memory_new(STORE__BATCH_RECORDS, sizeof(*batch->opens));
    batch->by_request = weir_map_new(STORE__BATCH_RECORDS);
    return batch->opens != NULL && batch->by_request != NULL ? WEIR_OK : WEIR_ENOMEM;
}

void store__batch_release(struct store__batch *batch) {
    weir_map_free(&batch->by_request);
    weir_memory_free(batch->opens);
    batch->opens = NULL;
}

static struct weir_span id_of(const struct weir_uuid *id) {
    return weir_span_of((const char *)id->bytes, sizeof(id->bytes));
}

static void batch_clear(struct store__batch *batch) {
    for (size_t i = 0; i < batch->open_count; i++) {
        if (!batch->opens[i].closed)
            (void)weir_map_remove(batch->by_request, id_of(&batch->opens[i].open.request_id));
    }
    batch->open_count = 0;
    batch->records = 0;
    batch->began = false;
}

static struct weir_span bytes_of(const struct store__segment *segment) {
    return weir_span_of(segment->at, segment->size);
}

bool store__segment_begun(const struct store__segment *segment) {
    if (segment->size < STORE__SEGMENT_HEADER_BYTES + STORE__RECORD_HEAD_BYTES)
        return false;
    const uint32_t *head = (const uint32_t *)(const void *)(segment->at + STORE__SEGMENT_HEADER_BYTES);
    return __atomic_load_n(head, __ATOMIC_ACQUIRE) != 0;
}

/* --- one record --- */
static enum weir_status apply(struct weir_store *store, const struct store__series *series,
                              const struct weir_journal_record *record, struct weir_error *error) {
    struct store__batch *batch = &store->batch;
    void *known = NULL;
    if (record->kind == WEIR_JOURNAL_OPEN) {
        struct store__batch_open *slot = &batch->opens[batch->open_count];
        *slot = (struct store__batch_open){.open = record->open, .series = series};
        if (weir_map_put(batch->by_request, id_of(&slot->open.request_id), slot, &known) != WEIR_OK) {
            return weir_fail(error, WEIR_ENOMEM, "no memory to read the journal");
        }
        if (known != NULL)
            ((struct store__batch_open *)known)->closed = true;
        batch->open_count++;
        return WEIR_OK;
    }
    known = weir_map_remove(batch->by_request, id_of(&record->close.request_id));
    if (known != NULL)
        ((struct store__batch_open *)known)->closed = true;
    return store->ops->ingest_entry(store->engine, &record->close, error);
}

/* --- one series --- */
static void report_damage(struct weir_store *store, const struct store__series *series,
                          const struct store__segment *segment, size_t offset) {
    const struct store__journal_file file = {.instance = series->instance,
                                             .worker = series->worker,
                                             .number = segment->number};
    char name[STORE__FILE_NAME_SIZE];
    char text[STORE__FILE_NAME_SIZE + 96];
    store__segment_name(&file, name);
    (void)snprintf(text, sizeof(text), "journal segment %s is damaged at byte %zu: kept as .corrupt", name, offset);
    store__note_lasting(store, "journal_damaged", text);
}

/* A killed writer can leave one half-written record behind the last whole one. Anything further behind was once
 * written, and is there because what lay between has been lost with the power. */
static bool holds_more(const struct store__segment *segment, size_t offset) {
    size_t torn = store__record_bytes(STORE__MAX_CLOSE_PAYLOAD);
    if (offset < STORE__SEGMENT_HEADER_BYTES)
        offset = STORE__SEGMENT_HEADER_BYTES;
    if (offset > segment->size || segment->size - offset <= torn)
        return false;
    const char *at = segment->at + offset + torn;
    size_t size = segment->size - offset - torn;
    return at[0] != 0 || memcmp(at, at + 1, size - 1) != 0;
}

/* Nothing can be read at `place`: is that the end for now, or is it to be gone over to the next segment? */
static bool step_over(struct weir_store *store, const struct store__series *series, struct store__place *place,
                      enum weir_status status) {
    struct store__segment *segment = place->segment;
    bool later = segment->next != NULL && store__segment_begun(segment->next);
    bool damaged = status == WEIR_ECORRUPT;
    if (status == WEIR_AGAIN) {
        if (series->journal != NULL)
            return false; /* its worker lives: more will come */
        damaged = later || holds_more(segment, place->offset);
    }
    if (damaged && !segment->damaged) {
        segment->damaged = true;
        report_damage(store, series, segment, place->offset);
    }
    /* A live worker's damaged segment is left only when the worker has left it. */
    if (segment->next == NULL || (status != WEIR_END && series->journal != NULL && !later))
        return false;
    place->segment = segment->next;
    place->offset = 0;
    return true;
}

static bool has_more(const struct store__series *series) {
    if (series->journal == NULL)
        return series->reached.segment != NULL;
    return atomic_load_explicit(&series->journal->written_bytes, memory_order_acquire) != series->reached.bytes;
}

static enum weir_status read_series(struct weir_store *store, struct store__series *series, struct weir_error *error) {
    struct store__batch *batch = &store->batch;
    struct store__place *place = &series->reached;
    struct weir_journal_record record;
    bool told = false; /* whose records they are */
    while (batch->records < STORE__BATCH_RECORDS && has_more(series)) {
        size_t offset = place->offset;
        enum weir_status status = weir_journal_read(bytes_of(place->segment), &offset, &record);
        if (status != WEIR_OK) {
            if (!step_over(store, series, place, status))
                break;
            continue;
        }
        if (!batch->began) {
            status = store->ops->ingest_begin(store->engine, error);
            if (status != WEIR_OK)
                return status;
            batch->began = true;
        }
        if (!told) {
            status = store->ops->ingest_from(store->engine, &series->instance, error);
            if (status != WEIR_OK)
                return status;
            told = true;
        }
        status = apply(store, series, &record, error);
        if (status != WEIR_OK)
            return status;
        place->bytes += offset - (place->offset > 0 ? place->offset : STORE__SEGMENT_HEADER_BYTES);
        place->offset = offset;
        batch->records++;
    }
    return WEIR_OK;
}

/* --- one batch --- */
static enum weir_status write_rest(struct weir_store *store, const struct store__series *series, size_t count,
                                   struct weir_error *error) {
    struct store__batch *batch = &store->batch;
    for (size_t i = 0; i < batch->open_count; i++) {
        const struct store__batch_open *slot = &batch->opens[i];
        if (slot->closed)
            continue;
        struct weir_journal_cursor where = {.instance = slot->series->instance, .worker = slot->series->worker};
        enum weir_status status = store->ops->ingest_open(store->engine, &where, &slot->open, error);
        if (status != WEIR_OK)
            return status;
    }
    for (size_t i = 0; i < count; i++) {
        const struct store__place *place = &series[i].reached;
        if (place->segment == series[i].committed.segment && place->offset == series[i].committed.offset)
            continue;
        struct weir_journal_cursor cursor = {.instance = series[i].instance,
                                             .worker = series[i].worker,
                                             .segment = place->segment->number,
                                             .offset = place->offset};
        enum weir_status status = store->ops->ingest_cursor(store->engine, &cursor, error);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status store__ingest(struct weir_store *store, struct store__series *series, size_t count, bool probe,
                               size_t *records, struct weir_error *error) {
    struct store__batch *batch = &store->batch;
    enum weir_status status = WEIR_OK;
    *records = 0;
    for (size_t i = 0; i < count; i++)
        series[i].reached = series[i].committed;
    if (probe) {
        status = store->ops->ingest_begin(store->engine, error);
        batch->began = status == WEIR_OK;
    }
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = read_series(store, &series[i], error);
    if (batch->began) {
        if (status == WEIR_OK)
            status = write_rest(store, series, count, error);
        if (status == WEIR_OK) {
            status = store->ops->ingest_commit(store->engine, error);
        } else {
            store->ops->ingest_rollback(store->engine);
        }
    }
    if (status == WEIR_OK) {
        *records = batch->records;
        for (size_t i = 0; i < count; i++)
            series[i].committed = series[i].reached;
    }
    batch_clear(batch);
    return status;
}

/* --- segments that are done --- */
enum weir_status store__retire(struct weir_store *store, struct store__series *series, size_t count,
                               struct weir_error *error) {
    bool forced = false;
    for (size_t i = 0; i < count; i++) {
        while (series[i].first != series[i].committed.segment) {
            if (!forced) {
                enum weir_status status = store->ops->flush(store->engine, error);
                if (status != WEIR_OK)
                    return status;
                forced = true;
            }
            struct store__segment *done = series[i].first;
            const struct store__journal_file file = {.instance = series[i].instance,
                                                     .worker = series[i].worker,
                                                     .number = done->number};
            series[i].first = done->next;
            if (done->damaged) {
                store__segment_set_aside(store->directory, &file);
            } else {
                store__segment_remove(store->directory, &file);
            }
            store__segment_free(&done);
        }
    }
    return WEIR_OK;
}

void store__series_release(struct store__series *series) {
    while (series->first != NULL) {
        struct store__segment *segment = series->first;
        series->first = segment->next;
        store__segment_free(&segment);
    }
    series->last = NULL;
}

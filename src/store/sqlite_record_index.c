/* Indexing request records: by the values that they are filtered by, and by their ids.
 *
 * A zone of 1,024 records gives some dozens of rows: for each dimension and value the set of its records that
 * have it, as a bit each or, where they are few, as a list. A row of an index for each record and column would cost many times as much, most
 * of it for finding the place. A zone is gathered while its records are written; where that was not so from its beginning (a start, another
 * process, a batch taken back), it is read back. Ids have nothing in common, so there they are sorted, in two steps: a zone's ids are one value, and those of 256
 * zones are merged into 4,096 buckets. An index row an id would touch a page anywhere in the table for each.
 *
 * Of keys, workspaces and models there may be as many as records. A row is a page for each of them too, so those that a zone has rarely are
 * kept as ids are: sorted by a hash, then merged into the same buckets.
 *
 * Only this file and the readers of sqlite_record_condition.c and sqlite_record_find.c know these forms.
 */
#include "store/sqlite_records.h"

#include "base/memory.h"

enum {
    SLOTS = 32768,       /* more than any zone has values: 1,024 records of at most 26 each */
    MEMO_SLOTS = 4096,   /* of dictionary numbers whose hash is known; a collision only costs the hash again */
    FIRST_VALUES = 128,  /* room at first */
    RECORD_IDS = 4 + 11, /* at most, of one record: its own, client's, trace, session; upstreams' and issued ones */
    ZONE_IDS = RECORD_IDS * STORE__RECORD_ZONE,
    RARE = 32,       /* of a zone's records, at most: dearer to sort and to read than a row from a hundred or so on */
    RECORD_RARE = 3, /* at most, of one record */
    ZONE_RARE = RECORD_RARE * STORE__RECORD_ZONE,
    SAME_ID = 16, /* records of a zone found by one id: it is then no id that names a request */
    FEW = 60      /* of a zone's records: a list of them is shorter than the bits */
};

struct value {
    int64_t value;
    int dimension;
    unsigned count;
    struct store__record_bits bits;
};

struct store__record_index {
    uint16_t slots[SLOTS]; /* place in values plus one; 0: free */
    struct value *values;
    size_t value_count, value_room;
    struct {
        int64_t number, value;
    } memo[MEMO_SLOTS];
    uint64_t ids[ZONE_IDS];
    size_t id_count;
    uint64_t rare[ZONE_RARE];
    size_t rare_count;
    uint64_t sorted[ZONE_IDS + STORE__ID_HEAD_BYTES / STORE__ID_BYTES],
        sorted_rare[ZONE_RARE + STORE__ID_HEAD_BYTES / STORE__ID_BYTES];
    struct store__raw_record raw;
    bool gathering; /* all that was written of gathered_day from gathered_from to gathered_to is noted here */
    int64_t gathered_day, gathered_from, gathered_to;
    int64_t first_start_utc_us, last_start_utc_us;
};
_Static_assert(26 * STORE__RECORD_ZONE < SLOTS, "every value of a zone has a slot");
_Static_assert(ZONE_IDS < 65536, "a group's end is 16 bits");

void store__record_index_free(struct store__record_index **index) {
    if (*index != NULL)
        weir_memory_free((*index)->values);
    weir_memory_free(*index);
    *index = NULL;
}

uint64_t store__record_id_hash(const struct store__records *records, struct weir_span id) {
    return weir_siphash(records->id_key, id) & ~((uint64_t)STORE__RECORD_RUN - 1);
}

int64_t store__record_value(const struct store__records *records, struct weir_span text) {
    return (int64_t)(weir_siphash(records->id_key, text) >> 1);
}

bool store__record_may_be_rare(enum store__dimension dimension) {
    return dimension == STORE__BY_KEY || dimension == STORE__BY_WORKSPACE || dimension == STORE__BY_MODEL;
}

uint64_t store__record_rare_hash(enum store__dimension dimension, int64_t value) {
    uint64_t hash = (uint64_t)value << 1 ^ (uint64_t)dimension * UINT64_C(0x9E3779B97F4A7C15);
    return hash & ~((uint64_t)STORE__RECORD_RUN - 1);
}

struct weir_span store__record_group(struct weir_span ids, uint64_t hash) {
    size_t group = hash >> 56;
    uint16_t from = 0, to;
    if (ids.length < STORE__ID_HEAD_BYTES)
        return WEIR_SPAN("");
    if (group > 0)
        memcpy(&from, ids.at + (group - 1) * sizeof(from), sizeof(from));
    memcpy(&to, ids.at + group * sizeof(to), sizeof(to));
    struct weir_span all = weir_span_from(ids, STORE__ID_HEAD_BYTES);
    if (from > to || to * (size_t)STORE__ID_BYTES > all.length)
        return WEIR_SPAN("");
    return weir_span_of(all.at + from * (size_t)STORE__ID_BYTES, (size_t)(to - from) * STORE__ID_BYTES);
}

enum weir_status store__record_bits_decode(struct weir_span bytes, struct store__record_bits *bits) {
    if (bytes.length == 0) { /* all of them */
        memset(bits, 0xFF, sizeof(*bits));
        return WEIR_OK;
    }
    if (bytes.length == sizeof(*bits)) {
        memcpy(bits, bytes.at, sizeof(*bits));
        return WEIR_OK;
    }
    memset(bits, 0, sizeof(*bits));
    for (size_t i = 0; i + 1 < bytes.length; i += 2) {
        uint16_t at;
        memcpy(&at, bytes.at + i, sizeof(at));
        if (at >= STORE__RECORD_ZONE)
            return WEIR_ECORRUPT;
        bits->words[at / 64] |= UINT64_C(1) << (at % 64);
    }
    return bytes.length % 2 == 0 ? WEIR_OK : WEIR_ECORRUPT;
}

static size_t bits_encode(const struct value *value, char out[sizeof(struct store__record_bits)]) {
    const struct store__record_bits *bits = &value->bits;
    if (value->count == STORE__RECORD_ZONE)
        return 0;
    if (value->count > FEW) {
        memcpy(out, bits, sizeof(*bits));
        return sizeof(*bits);
    }
    size_t size = 0;
    for (size_t i = 0; i < STORE__RECORD_ZONE / 64; i++) {
        for (uint64_t left = bits->words[i]; left != 0; left &= left - 1) {
            uint16_t at = (uint16_t)(i * 64 + (size_t)__builtin_ctzll(left));
            memcpy(out + size, &at, sizeof(at));
            size += sizeof(at);
        }
    }
    return size;
}

/* --- gathering a zone --- */
static enum weir_status index_begin(struct weir_engine *engine, struct weir_error *error) {
    struct store__records *records = engine->records;
    if (records->index == NULL)
        records->index = weir_memory_new(1, sizeof(*records->index));
    struct store__record_index *index = records->index;
    if (index == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory to index request records");
    index->gathering = false;
    memset(index->slots, 0, sizeof(index->slots));
    memset(index->memo, 0, sizeof(index->memo)); /* a rollback takes numbers back */
    index->value_count = 0;
    index->id_count = 0;
    index->rare_count = 0;
    index->first_start_utc_us = INT64_MAX;
    index->last_start_utc_us = INT64_MIN;
    return WEIR_OK;
}

static struct value *value_find(struct store__record_index *index, enum store__dimension dimension, int64_t value) {
    uint64_t mixed = ((uint64_t)value + (uint64_t)dimension) * UINT64_C(0x9E3779B97F4A7C15);
    for (size_t slot = mixed >> 49;; slot = (slot + 1) % SLOTS) {
        size_t place = index->slots[slot];
        if (place != 0) {
            struct value *found = &index->values[place - 1];
            if (found->value == value && found->dimension == (int)dimension)
                return found;
            continue;
        }
        if (index->value_count == index->value_room) {
            size_t room = index->value_room == 0 ? FIRST_VALUES : 2 * index->value_room;
            struct value *values = weir_memory_resize(index->values, room, sizeof(*values));
            if (values == NULL)
                return NULL;
            index->values = values;
            index->value_room = room;
        }
        struct value *made = &index->values[index->value_count++];
        *made = (struct value){.dimension = (int)dimension, .value = value};
        index->slots[slot] = (uint16_t)index->value_count;
        return made;
    }
}

static enum weir_status note(struct store__record_index *index, enum store__dimension dimension, int64_t value,
                             size_t at) {
    struct value *found = value_find(index, dimension, value);
    if (found == NULL)
        return WEIR_ENOMEM;
    uint64_t bit = UINT64_C(1) << (at % 64);
    found->count += (found->bits.words[at / 64] & bit) == 0 ? 1 : 0;
    found->bits.words[at / 64] |= bit;
    return WEIR_OK;
}

static enum weir_status note_text(struct weir_engine *engine, enum store__dimension dimension,
                                  const struct store__record_text *text, size_t at, struct weir_error *error) {
    struct store__record_index *index = engine->records->index;
    if (text->number == 0 && text->itself.length == 0)
        return WEIR_OK;
    size_t memo = (size_t)text->number % MEMO_SLOTS;
    if (text->number == 0 || index->memo[memo].number != text->number) {
        struct weir_span span;
        enum weir_status status = store__record_text(engine, text, &span, error);
        if (status != WEIR_OK)
            return status;
        int64_t value = store__record_value(engine->records, span);
        if (text->number == 0)
            return note(index, dimension, value, at);
        index->memo[memo].number = text->number;
        index->memo[memo].value = value;
    }
    return note(index, dimension, index->memo[memo].value, at);
}

static void note_id(struct weir_engine *engine, struct weir_span id, uint64_t place) {
    struct store__record_index *index = engine->records->index;
    if (id.length > 0 && index->id_count < ZONE_IDS)
        index->ids[index->id_count++] = store__record_id_hash(engine->records, id) | place;
}

static void note_ids(struct weir_engine *engine, const struct weir_ledger_entry *entry, struct weir_span trace,
                     uint64_t place) {
    note_id(engine, weir_span_of((const char *)entry->request_id.bytes, sizeof(entry->request_id.bytes)), place);
    note_id(engine, entry->client_request_id, place);
    note_id(engine, trace, place);
    note_id(engine, entry->session_id, place);
    for (size_t i = 0; i < entry->attempt_count; i++)
        note_id(engine, entry->attempts[i].upstream_request_id, place);
    for (size_t i = 0; i < entry->issued_count; i++)
        note_id(engine, entry->issued[i], place);
}

/* A record's texts, in the order of struct store__raw_record, and its trace as it is written: 16 bytes where it has the form. */
struct noted {
    const struct weir_ledger_entry *entry;
    struct store__record_text texts[5], providers[WEIR_MAX_ATTEMPTS];
    struct weir_span trace;
};

static enum weir_status note_record(struct weir_engine *engine, int64_t number, const struct noted *noted,
                                    struct weir_error *error) {
    struct store__record_index *index = engine->records->index;
    const struct weir_ledger_entry *entry = noted->entry;
    size_t at = (size_t)number % STORE__RECORD_ZONE;
    static const enum store__dimension of_texts[] = {STORE__BY_KEY, STORE__BY_WORKSPACE, STORE__BY_ENDPOINT,
                                                     STORE__BY_MODEL, STORE__BY_PROVIDER};
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof(of_texts) / sizeof(of_texts[0]) && status == WEIR_OK; i++)
        status = note_text(engine, of_texts[i], &noted->texts[i], at, error);
    for (size_t i = 0; i < entry->attempt_count && status == WEIR_OK; i++) {
        status = note_text(engine, STORE__BY_PROVIDER, &noted->providers[i], at, error);
        if (status == WEIR_OK && entry->attempts[i].reason != 0)
            status = note(index, STORE__BY_REASON, entry->attempts[i].reason, at);
    }
    if (status == WEIR_OK && entry->reason != 0)
        status = note(index, STORE__BY_REASON, entry->reason, at);
    if (status == WEIR_OK)
        status = note(index, STORE__BY_STATUS, entry->status, at);
    if (status == WEIR_OK)
        status = note(index, STORE__BY_STATUS_CLASS, entry->status / 100, at);
    if (status == WEIR_OK)
        status = note(index, STORE__BY_OUTCOME, entry->outcome, at);
    if (status == WEIR_OK && entry->outcome != WEIR_OUTCOME_OK)
        status = note(index, STORE__BY_FAILED, 1, at);
    note_ids(engine, entry, noted->trace, (uint64_t)number % STORE__RECORD_RUN);
    if (entry->start_utc_us < index->first_start_utc_us)
        index->first_start_utc_us = entry->start_utc_us;
    if (entry->start_utc_us > index->last_start_utc_us)
        index->last_start_utc_us = entry->start_utc_us;
    return status;
}

static enum weir_status note_data(struct weir_engine *engine, int64_t number, struct weir_span data,
                                  struct weir_error *error) {
    struct store__raw_record *raw = &engine->records->index->raw;
    struct noted noted;
    if (store__record_decode(data, raw) != WEIR_OK)
        return WEIR_OK; /* a newer program's, or damaged: nothing finds it, and the others are found */
    noted.entry = &raw->entry;
    memcpy(noted.texts, raw->texts, sizeof(noted.texts));
    for (size_t i = 0; i < raw->entry.attempt_count; i++)
        noted.providers[i] = raw->attempts[i][0];
    noted.trace = raw->entry.trace_id;
    return note_record(engine, number, &noted, error);
}

enum weir_status store__record_gather(struct weir_engine *engine, const struct store__partition *partition,
                                      const struct weir_ledger_entry *entry, const struct store__entry_numbers *numbers,
                                      struct weir_error *error) {
    const int64_t number = partition->next;
    enum weir_status status = WEIR_OK;
    if (number == partition->indexed_to) {
        status = index_begin(engine, error);
        if (status != WEIR_OK)
            return status;
        struct store__record_index *begun = engine->records->index;
        begun->gathering = true;
        begun->gathered_day = partition->day;
        begun->gathered_from = begun->gathered_to = number;
    }
    struct store__record_index *index = engine->records->index;
    if (index == NULL || !index->gathering)
        return WEIR_OK;
    if (index->gathered_to != number || index->gathered_day != partition->day) {
        index->gathering = false; /* another process has written in between */
        return WEIR_OK;
    }
    struct noted noted = {.entry = entry};
    const struct weir_span texts[] = {entry->key_id, entry->workspace, entry->endpoint, entry->model, entry->provider};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        noted.texts[i] = (struct store__record_text){.number = numbers->texts[i], .itself = texts[i]};
    for (size_t i = 0; i < entry->attempt_count; i++)
        noted.providers[i] = (struct store__record_text){.number = numbers->attempts[i][0],
                                                         .itself = entry->attempts[i].provider};
    noted.trace = numbers->trace_is_binary ? weir_span_of((const char *)numbers->trace, sizeof(numbers->trace))
                                           : entry->trace_id;
    index->gathered_to = number + 1;
    return note_record(engine, number, &noted, error);
}

void store__record_gather_forget(struct weir_engine *engine) {
    if (engine->records != NULL && engine->records->index != NULL)
        engine->records->index->gathering = false;
}

/* --- writing a zone --- */
/* Of each dimension a record has one value at most that may be rare, so there is room. */
static void keep_rare(struct store__record_index *index, const struct value *value, int64_t zone) {
    uint64_t hash = store__record_rare_hash((enum store__dimension)value->dimension, value->value);
    uint64_t first = (uint64_t)zone << STORE__RECORD_ZONE_SHIFT;
    for (size_t i = 0; i < STORE__RECORD_ZONE / 64; i++) {
        for (uint64_t left = value->bits.words[i]; left != 0 && index->rare_count < ZONE_RARE; left &= left - 1) {
            uint64_t number = first + i * 64 + (uint64_t)__builtin_ctzll(left);
            index->rare[index->rare_count++] = hash | number % STORE__RECORD_RUN;
        }
    }
}

static enum weir_status write_values(struct weir_engine *engine, int64_t day, int64_t zone, struct weir_error *error) {
    struct store__record_index *index = engine->records->index;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(
        engine, "INSERT INTO record_value_%lld(dimension, value, zone, records) VALUES(?, ?, ?, ?)", day, &statement,
        error);
    for (size_t i = 0; i < index->value_count && status == WEIR_OK; i++) {
        const struct value *value = &index->values[i];
        if (value->count <= RARE && store__record_may_be_rare((enum store__dimension)value->dimension)) {
            keep_rare(index, value, zone);
            continue;
        }
        char bits[sizeof(struct store__record_bits)];
        size_t size = bits_encode(value, bits);
        struct store__binder binder = store__binder_of(statement);
        store__bind_integer(&binder, value->dimension);
        store__bind_integer(&binder, value->value);
        store__bind_integer(&binder, zone);
        store__bind_blob(&binder, bits, size);
        status = store__binder_run(engine, &binder, "index request records", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

/* By their first byte: a look-up reads a group. Of an id that more than `most` records have, the newest are kept. */
static size_t sort_ids(const uint64_t *ids, size_t count, unsigned most, uint64_t *out) {
    uint16_t *ends = (uint16_t *)(void *)out;
    uint64_t *sorted = out + STORE__ID_HEAD_BYTES / STORE__ID_BYTES;
    size_t counts[STORE__ID_GROUPS] = {0}, at[STORE__ID_GROUPS], sum = 0;
    for (size_t i = 0; i < count; i++)
        counts[ids[i] >> 56]++;
    for (size_t group = 0; group < STORE__ID_GROUPS; group++) {
        at[group] = sum;
        sum += counts[group];
    }
    for (size_t i = 0; i < count; i++)
        sorted[at[ids[i] >> 56]++] = ids[i];
    size_t kept = 0, from = 0;
    for (size_t group = 0; group < STORE__ID_GROUPS; group++) {
        for (size_t i = from; i < from + counts[group]; i++) {
            unsigned same = 0;
            for (size_t k = i + 1; k < from + counts[group] && same < most; k++)
                same += (sorted[k] ^ sorted[i]) < STORE__RECORD_RUN ? 1 : 0;
            if (same < most)
                sorted[kept++] = sorted[i];
        }
        from += counts[group];
        ends[group] = (uint16_t)kept;
    }
    return STORE__ID_HEAD_BYTES + kept * STORE__ID_BYTES;
}

static enum weir_status write_zone(struct weir_engine *engine, int64_t day, int64_t zone, struct weir_error *error) {
    struct store__record_index *index = engine->records->index;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(engine,
                                                    "INSERT INTO record_zone_id_%lld(zone, rare, ids) VALUES(?, ?, ?)",
                                                    day, &statement, error);
    if (status == WEIR_OK) {
        struct store__binder binder = store__binder_of(statement);
        store__bind_integer(&binder, zone);
        store__bind_blob(&binder, index->sorted_rare,
                         index->rare_count > 0 ? sort_ids(index->rare, index->rare_count, RARE, index->sorted_rare)
                                               : 0);
        store__bind_blob(&binder, index->sorted, sort_ids(index->ids, index->id_count, SAME_ID, index->sorted));
        status = store__binder_run(engine, &binder, "index the ids of request records", error);
    }
    (void)sqlite3_finalize(statement);
    statement = NULL;
    if (status == WEIR_OK)
        status = store__record_prepare(
            engine, "INSERT INTO record_zone_%lld(zone, first_start_utc_us, last_start_utc_us) VALUES(?, ?, ?)", day,
            &statement, error);
    if (status == WEIR_OK) {
        struct store__binder binder = store__binder_of(statement);
        store__bind_integer(&binder, zone);
        store__bind_integer(&binder, index->first_start_utc_us);
        store__bind_integer(&binder, index->last_start_utc_us);
        status = store__binder_run(engine, &binder, "index the times of request records", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static enum weir_status read_back(struct weir_engine *engine, const struct store__partition *partition, int64_t end,
                                  struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = index_begin(engine, error);
    if (status == WEIR_OK)
        status = store__record_prepare(engine, "SELECT number, data FROM record_%lld WHERE number >= ? AND number < ?",
                                       partition->day, &statement, error);
    if (status == WEIR_OK) {
        (void)sqlite3_bind_int64(statement, 1, partition->indexed_to);
        (void)sqlite3_bind_int64(statement, 2, end);
    }
    while (status == WEIR_OK) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            break;
        status = code == SQLITE_ROW
                     ? note_data(engine, sqlite3_column_int64(statement, 0), store__column_span(statement, 1), error)
                     : store__sqlite_fail(engine, "read the request records", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

enum weir_status store__record_index_zone(struct weir_engine *engine, struct store__partition *partition,
                                          struct weir_error *error) {
    int64_t zone = partition->indexed_to >> STORE__RECORD_ZONE_SHIFT;
    int64_t end = (zone + 1) << STORE__RECORD_ZONE_SHIFT;
    if (end > partition->next)
        end = partition->next;
    const struct store__record_index *index = engine->records->index;
    bool gathered = index != NULL && index->gathering && index->gathered_day == partition->day &&
                    index->gathered_from == partition->indexed_to && index->gathered_to == end;
    enum weir_status status = store__record_id_key(engine, error);
    if (status == WEIR_OK && !gathered)
        status = read_back(engine, partition, end, error);
    store__record_gather_forget(engine);
    if (status == WEIR_OK)
        status = write_values(engine, partition->day, zone, error);
    if (status == WEIR_OK)
        status = write_zone(engine, partition->day, zone, error);
    if (status == WEIR_OK)
        partition->indexed_to = end;
    return status;
}

/* --- merging ids --- */
static bool are_ids(struct weir_span bytes) {
    return bytes.length >= STORE__ID_HEAD_BYTES && bytes.length % STORE__ID_BYTES == 0;
}

/* What the zones have, copied one behind the other. */
static enum weir_status read_zone_ids(struct weir_engine *engine, int64_t day, int64_t first, int64_t end,
                                      struct weir_buffer *zones, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(
        engine, "SELECT rare, ids FROM record_zone_id_%lld WHERE zone >= ? AND zone < ? ORDER BY zone", day, &statement,
        error);
    if (status == WEIR_OK) {
        (void)sqlite3_bind_int64(statement, 1, first >> STORE__RECORD_ZONE_SHIFT);
        (void)sqlite3_bind_int64(statement, 2, (end + STORE__RECORD_ZONE - 1) >> STORE__RECORD_ZONE_SHIFT);
    }
    while (status == WEIR_OK) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            break;
        struct weir_span rare = code == SQLITE_ROW ? store__column_span(statement, 0) : WEIR_SPAN("");
        struct weir_span ids = code == SQLITE_ROW ? store__column_span(statement, 1) : WEIR_SPAN("");
        if (code != SQLITE_ROW)
            status = store__sqlite_fail(engine, "read the ids of request records", error);
        else if (!are_ids(ids) || (rare.length > 0 && !are_ids(rare)))
            status = weir_fail(error, WEIR_ECORRUPT, "the ids of request records cannot be read");
        if (status == WEIR_OK && rare.length > 0)
            weir_buffer_append(zones, weir_span_from(rare, STORE__ID_HEAD_BYTES));
        if (status == WEIR_OK)
            weir_buffer_append(zones, weir_span_from(ids, STORE__ID_HEAD_BYTES));
    }
    (void)sqlite3_finalize(statement);
    if (status == WEIR_OK && weir_buffer_status(zones) != WEIR_OK)
        status = weir_fail(error, WEIR_ENOMEM, "no memory to merge the ids of request records");
    return status;
}

/* Into buckets by their first bits, in the order in which they came; *starts[i] is where bucket i begins. */
static void distribute(struct weir_span zones, uint64_t *out, size_t starts[STORE__RECORD_BUCKETS + 1]) {
    size_t count = zones.length / STORE__ID_BYTES;
    uint64_t id;
    memset(starts, 0, (STORE__RECORD_BUCKETS + 1) * sizeof(*starts));
    for (size_t i = 0; i < count; i++) {
        memcpy(&id, zones.at + i * STORE__ID_BYTES, sizeof(id));
        starts[(id >> (64 - STORE__RECORD_BUCKET_SHIFT)) + 1]++;
    }
    for (size_t i = 1; i <= STORE__RECORD_BUCKETS; i++)
        starts[i] += starts[i - 1];
    for (size_t i = 0; i < count; i++) {
        memcpy(&id, zones.at + i * STORE__ID_BYTES, sizeof(id));
        out[starts[id >> (64 - STORE__RECORD_BUCKET_SHIFT)]++] = id;
    }
    memmove(starts + 1, starts, STORE__RECORD_BUCKETS * sizeof(*starts)); /* each has moved to its own end */
    starts[0] = 0;
}

static enum weir_status write_run(struct weir_engine *engine, int64_t day, int64_t run, const uint64_t *ids,
                                  const size_t starts[STORE__RECORD_BUCKETS + 1], struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(engine, "INSERT INTO record_run_id_%lld(bucket, ids) VALUES(?, ?)",
                                                    day, &statement, error);
    for (int64_t i = 0; i < STORE__RECORD_BUCKETS && status == WEIR_OK; i++) {
        if (starts[i] == starts[i + 1])
            continue;
        struct store__binder binder = store__binder_of(statement);
        store__bind_integer(&binder, run << STORE__RECORD_BUCKET_SHIFT | i);
        store__bind_blob(&binder, ids + starts[i], (starts[i + 1] - starts[i]) * STORE__ID_BYTES);
        status = store__binder_run(engine, &binder, "merge the ids of request records", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

static enum weir_status forget_zone_ids(struct weir_engine *engine, int64_t day, int64_t end,
                                        struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(engine, "DELETE FROM record_zone_id_%lld WHERE zone < ?", day,
                                                    &statement, error);
    if (status == WEIR_OK) {
        struct store__binder binder = store__binder_of(statement);
        store__bind_integer(&binder, (end + STORE__RECORD_ZONE - 1) >> STORE__RECORD_ZONE_SHIFT);
        status = store__binder_run(engine, &binder, "merge the ids of request records", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

enum weir_status store__record_merge(struct weir_engine *engine, struct store__partition *partition,
                                     struct weir_error *error) {
    int64_t first = partition->merged_to;
    int64_t end = first + STORE__RECORD_RUN < partition->indexed_to ? first + STORE__RECORD_RUN : partition->indexed_to;
    struct weir_buffer zones;
    uint64_t *ids = NULL;
    size_t *starts = weir_memory_new(STORE__RECORD_BUCKETS + 1, sizeof(*starts));
    weir_buffer_init(&zones, (size_t)STORE__RECORD_RUN * (RECORD_IDS + RECORD_RARE) * STORE__ID_BYTES);
    enum weir_status status = read_zone_ids(engine, partition->day, first, end, &zones, error);
    if (status == WEIR_OK)
        ids = weir_memory_new(zones.length / STORE__ID_BYTES + 1, STORE__ID_BYTES);
    if (status == WEIR_OK && (ids == NULL || starts == NULL))
        status = weir_fail(error, WEIR_ENOMEM, "no memory to merge the ids of request records");
    if (status == WEIR_OK) {
        distribute(weir_buffer_span(&zones), ids, starts);
        status = write_run(engine, partition->day, first >> STORE__RECORD_RUN_SHIFT, ids, starts, error);
    }
    if (status == WEIR_OK)
        status = forget_zone_ids(engine, partition->day, end, error);
    if (status == WEIR_OK)
        partition->merged_to = end;
    weir_buffer_release(&zones);
    weir_memory_free(ids);
    weir_memory_free(starts);
    return status;
}

/* Listing request records, newest first, by any of their filters together.
 *
 * Days are gone through from the newest, within a day first what is not indexed yet (at most some zones), record by record; then its zones.
 * With filters, each has its own ordered list of zones; the next zone that all of them name is found by leaping from one list to the other, and
 * what their sets of records have in common are the matches. Each is verified against the record, so the index may promise too much but never
 * too little. A page looks at so much and no more.
 */
#include "store/sqlite_records.h"

enum { DEFAULT_LIMIT = 50, MAX_LIMIT = 1000, MAX_CONDITIONS = 10, MAX_ROWS = 20000, MAX_ZONES = 4000 };

struct listing {
    struct weir_engine *engine;
    const struct weir_record_query *query;
    weir_record_visit visit;
    void *context;
    struct weir_record_page *page;
    size_t left; /* of the limit */
    struct store__condition conditions[MAX_CONDITIONS];
    size_t condition_count;
    struct store__raw_record raw;
    const struct store__partition *partition;
    sqlite3_stmt *get, *times;
    int64_t below; /* records with a number below this one are yet to be looked at */
};

/* --- what matches --- */
static bool texts_match(const struct weir_ledger_entry *entry, const struct weir_record_query *query) {
    const struct {
        struct weir_span wanted, found;
    } texts[] = {{query->workspace, entry->workspace},
                 {query->key_id, entry->key_id},
                 {query->model, entry->model},
                 {query->endpoint, entry->endpoint}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].wanted.length > 0 && !weir_span_equal(texts[i].wanted, texts[i].found))
            return false;
    }
    bool met = query->provider.length == 0 || weir_span_equal(query->provider, entry->provider);
    for (size_t i = 0; i < entry->attempt_count && !met; i++)
        met = weir_span_equal(query->provider, entry->attempts[i].provider);
    return met;
}

static bool numbers_match(const struct weir_ledger_entry *entry, const struct weir_record_query *query) {
    if ((query->from_utc_us != 0 && entry->start_utc_us < query->from_utc_us) ||
        (query->until_utc_us != 0 && entry->start_utc_us >= query->until_utc_us) ||
        (query->status != 0 && entry->status != query->status) ||
        (query->status_class != 0 && entry->status / 100U != query->status_class) ||
        (query->has_outcome && entry->outcome != query->outcome) ||
        (query->failed && entry->outcome == WEIR_OUTCOME_OK))
        return false;
    bool met = query->reason == 0 || entry->reason == query->reason;
    for (size_t i = 0; i < entry->attempt_count && !met; i++)
        met = entry->attempts[i].reason == query->reason;
    return met;
}

/* WEIR_END: the page is full, or the visit wants no more. */
static enum weir_status take(struct listing *listing, int64_t number, struct weir_span data, struct weir_error *error) {
    struct store__raw_record *raw = &listing->raw;
    listing->page->rows++;
    listing->below = number;
    /* What cannot be read is a newer program's, or damaged: the others are worth being seen. */
    if (store__record_decode(data, raw) != WEIR_OK || !numbers_match(&raw->entry, listing->query))
        return listing->page->rows < MAX_ROWS ? WEIR_OK : WEIR_END;
    enum weir_status status = store__record_resolve(listing->engine, raw, error);
    if (status == WEIR_OK && texts_match(&raw->entry, listing->query)) {
        struct weir_record record = {.number = number, .day = listing->partition->day, .entry = raw->entry};
        status = listing->visit(listing->context, &record);
        listing->left--;
    }
    if (status == WEIR_OK && (listing->left == 0 || listing->page->rows >= MAX_ROWS))
        status = WEIR_END;
    return status;
}

/* --- without an index: [from, below) of the day, backwards --- */
static enum weir_status read_through(struct listing *listing, int64_t from, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(
        listing->engine, "SELECT number, data FROM record_%lld WHERE number >= ? AND number < ? ORDER BY number DESC",
        listing->partition->day, &statement, error);
    if (status == WEIR_OK) {
        (void)sqlite3_bind_int64(statement, 1, from);
        (void)sqlite3_bind_int64(statement, 2, listing->below);
    }
    while (status == WEIR_OK) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            break;
        status = code == SQLITE_ROW
                     ? take(listing, sqlite3_column_int64(statement, 0), store__column_span(statement, 1), error)
                     : store__sqlite_fail(listing->engine, "list the request records", error);
    }
    (void)sqlite3_finalize(statement);
    if (status == WEIR_OK)
        listing->below = from;
    return status;
}

/* --- zones --- */
/* Whether a zone's times leave it in; WEIR_ENOTFOUND: they do not. */
static enum weir_status check_times(struct listing *listing, int64_t zone, struct weir_error *error) {
    const struct weir_record_query *query = listing->query;
    if (listing->times == NULL)
        return WEIR_OK;
    (void)sqlite3_bind_int64(listing->times, 1, zone);
    int code = sqlite3_step(listing->times);
    enum weir_status status = WEIR_OK;
    if (code != SQLITE_ROW)
        status = code == SQLITE_DONE ? WEIR_OK : store__sqlite_fail(listing->engine, "list the request records", error);
    else if ((query->until_utc_us != 0 && sqlite3_column_int64(listing->times, 0) >= query->until_utc_us) ||
             (query->from_utc_us != 0 && sqlite3_column_int64(listing->times, 1) < query->from_utc_us))
        status = WEIR_ENOTFOUND;
    (void)sqlite3_reset(listing->times);
    return status;
}

/* The newest zone at or before *zone that every condition names. */
static enum weir_status agree(struct listing *listing, int64_t *zone, struct weir_error *error) {
    for (size_t agreed = 0, i = 0; agreed < listing->condition_count; i = (i + 1) % listing->condition_count) {
        struct store__condition *condition = &listing->conditions[i];
        int64_t end = (*zone + 1) << STORE__RECORD_ZONE_SHIFT;
        if (end < listing->below)
            listing->below = end; /* nothing above can match: a page that ends here goes on here */
        if (listing->page->zones >= MAX_ZONES)
            return WEIR_END;
        int64_t reached = *zone;
        enum weir_status status = store__condition_leap(listing->engine, condition, listing->partition, &reached,
                                                        MAX_ZONES, &listing->page->zones, error);
        if (status == WEIR_END && reached << STORE__RECORD_ZONE_SHIFT < listing->below)
            listing->below = reached << STORE__RECORD_ZONE_SHIFT;
        if (status != WEIR_OK)
            return status;
        agreed = condition->zone == *zone ? agreed + 1 : 1;
        *zone = condition->zone;
    }
    return WEIR_OK;
}

static enum weir_status get(struct listing *listing, int64_t number, struct weir_error *error) {
    (void)sqlite3_bind_int64(listing->get, 1, number);
    int code = sqlite3_step(listing->get);
    enum weir_status status = WEIR_OK;
    if (code == SQLITE_ROW)
        status = take(listing, number, store__column_span(listing->get, 0), error);
    else if (code != SQLITE_DONE)
        status = store__sqlite_fail(listing->engine, "list the request records", error);
    (void)sqlite3_reset(listing->get);
    return status;
}

/* What the conditions have in common in a zone, backwards. */
static enum weir_status take_common(struct listing *listing, int64_t zone, struct weir_error *error) {
    struct store__record_bits bits = listing->conditions[0].bits;
    for (size_t i = 1; i < listing->condition_count; i++) {
        for (size_t word = 0; word < STORE__RECORD_ZONE / 64; word++)
            bits.words[word] &= listing->conditions[i].bits.words[word];
    }
    int64_t first = zone << STORE__RECORD_ZONE_SHIFT;
    enum weir_status status = WEIR_OK;
    for (size_t word = STORE__RECORD_ZONE / 64; word-- > 0 && status == WEIR_OK;) {
        for (uint64_t left = bits.words[word]; left != 0 && status == WEIR_OK;) {
            size_t bit = 63 - (size_t)__builtin_clzll(left);
            left ^= UINT64_C(1) << bit;
            int64_t number = first + (int64_t)(word * 64 + bit);
            if (number < listing->below)
                status = get(listing, number, error);
        }
    }
    return status;
}

/* The indexed part of the day, by its zones. */
static enum weir_status go_through_zones(struct listing *listing, struct weir_error *error) {
    const int64_t first = listing->partition->first;
    enum weir_status status = WEIR_OK;
    while (listing->below > first && status == WEIR_OK) {
        int64_t zone = (listing->below - 1) >> STORE__RECORD_ZONE_SHIFT;
        if (listing->page->zones >= MAX_ZONES)
            return WEIR_END;
        if (listing->condition_count > 0)
            status = agree(listing, &zone, error);
        if (status == WEIR_ENOTFOUND) {
            listing->below = first;
            return WEIR_OK;
        }
        if (status != WEIR_OK)
            return status;
        listing->page->zones++;
        int64_t start = zone << STORE__RECORD_ZONE_SHIFT;
        if (start + STORE__RECORD_ZONE < listing->below)
            listing->below = start + STORE__RECORD_ZONE;
        status = check_times(listing, zone, error);
        if (status == WEIR_ENOTFOUND)
            status = WEIR_OK;
        else if (status == WEIR_OK)
            status = listing->condition_count > 0 ? take_common(listing, zone, error)
                                                  : read_through(listing, start, error);
        if (status == WEIR_OK)
            listing->below = start;
    }
    return status;
}

/* --- a day --- */
static enum weir_status prepare_day(struct listing *listing, struct weir_error *error) {
    struct weir_engine *engine = listing->engine;
    const int64_t day = listing->partition->day;
    const struct weir_record_query *query = listing->query;
    enum weir_status status = store__record_prepare(engine, "SELECT data FROM record_%lld WHERE number = ?", day,
                                                    &listing->get, error);
    if (status == WEIR_OK && (query->from_utc_us != 0 || query->until_utc_us != 0))
        status = store__record_prepare(
            engine, "SELECT first_start_utc_us, last_start_utc_us FROM record_zone_%lld WHERE zone = ?", day,
            &listing->times, error);
    for (size_t i = 0; i < listing->condition_count && status == WEIR_OK; i++)
        status = store__condition_prepare(engine, &listing->conditions[i], listing->partition, error);
    return status;
}

static void release_day(struct listing *listing) {
    (void)sqlite3_finalize(listing->get);
    (void)sqlite3_finalize(listing->times);
    listing->get = NULL;
    listing->times = NULL;
    for (size_t i = 0; i < listing->condition_count; i++)
        store__condition_release(&listing->conditions[i]);
}

static enum weir_status list_day(struct listing *listing, struct weir_error *error) {
    const struct store__partition *partition = listing->partition;
    const struct weir_record_query *query = listing->query;
    enum weir_status status = WEIR_OK;
    if (partition->records == 0 || (query->until_utc_us != 0 && partition->first_start_utc_us >= query->until_utc_us) ||
        (query->from_utc_us != 0 && partition->last_start_utc_us < query->from_utc_us))
        return WEIR_OK;
    if (listing->below > partition->next)
        listing->below = partition->next;
    if (listing->below > partition->indexed_to)
        status = read_through(listing, partition->indexed_to, error);
    if (status == WEIR_OK)
        status = prepare_day(listing, error);
    if (status == WEIR_OK)
        status = go_through_zones(listing, error);
    release_day(listing);
    return status;
}

static void add_condition(struct listing *listing, enum store__dimension dimension, int64_t value) {
    listing->conditions[listing->condition_count++] = (struct store__condition){.dimension = dimension, .value = value};
}

static void find_conditions(struct listing *listing) {
    const struct store__records *records = listing->engine->records;
    const struct weir_record_query *query = listing->query;
    const struct {
        enum store__dimension dimension;
        struct weir_span text;
    } texts[] = {{STORE__BY_KEY, query->key_id},
                 {STORE__BY_WORKSPACE, query->workspace},
                 {STORE__BY_MODEL, query->model},
                 {STORE__BY_PROVIDER, query->provider},
                 {STORE__BY_ENDPOINT, query->endpoint}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text.length > 0)
            add_condition(listing, texts[i].dimension, store__record_value(records, texts[i].text));
    }
    if (query->reason != 0)
        add_condition(listing, STORE__BY_REASON, query->reason);
    if (query->status != 0)
        add_condition(listing, STORE__BY_STATUS, query->status);
    if (query->status_class != 0)
        add_condition(listing, STORE__BY_STATUS_CLASS, query->status_class);
    if (query->has_outcome)
        add_condition(listing, STORE__BY_OUTCOME, query->outcome);
    if (query->failed)
        add_condition(listing, STORE__BY_FAILED, 1);
}

static enum weir_status list_days(struct listing *listing, struct weir_error *error) {
    struct store__partition partition = {.day = 0};
    for (;;) {
        enum weir_status status = store__partition_before(listing->engine, partition.day, &partition, error);
        if (status == WEIR_ENOTFOUND)
            return WEIR_OK;
        listing->partition = &partition;
        if (status == WEIR_OK && listing->below > partition.first)
            status = list_day(listing, error);
        if (status == WEIR_END)
            listing->page->next_number = listing->below;
        if (status != WEIR_OK)
            return status;
    }
}

enum weir_status store__sqlite_record_list(struct weir_engine *engine, const struct weir_record_query *query,
                                           weir_record_visit visit, void *context, struct weir_record_page *page,
                                           struct weir_error *error) {
    struct listing listing = {.engine = engine,
                              .query = query,
                              .visit = visit,
                              .context = context,
                              .page = page,
                              .left = query->limit == 0 ? DEFAULT_LIMIT : query->limit,
                              .below = query->before_number == 0 ? INT64_MAX : query->before_number};
    if (listing.left > MAX_LIMIT)
        listing.left = MAX_LIMIT;
    *page = (struct weir_record_page){.next_number = 0};
    store__dictionary_trim(engine);
    enum weir_status status = store__record_id_key(engine, error);
    if (status == WEIR_OK)
        status = store__sqlite_begin_to_read(engine, error);
    if (status != WEIR_OK)
        return status;
    find_conditions(&listing);
    status = list_days(&listing, error);
    if (status == WEIR_END)
        status = WEIR_OK;
    return store__sqlite_end(engine, status, error);
}

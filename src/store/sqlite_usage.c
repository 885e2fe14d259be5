/* Usage reports from the sums by hour and day, and taking away old sums by hour.
 *
 * usage_of is read first: it says which group each of its numbers belongs to, or to none. Then the sums are read once, in order of time, and added to their
 * groups: whole days from the sums by day, the hours at the edges from those by hour. Groups are found by position, so a row of sums costs no more
 * than its decoding. The ledger itself is never read.
 */
#include "store/sqlite_sums.h"

#include "base/arithmetic.h"
#include "base/clock.h"
#include "base/memory.h"

enum {
    PLACE_OF_WORKSPACE = 3,
    PLACE_OF_TAG = 8,
    TEXTS = 8, /* dimensions that are numbers of the dictionary */
    DEFAULT_ROWS = 10000,
    HOURS_A_DAY = 24,
    SLICE_MS = 4,
    NO_GROUP = 0
};
#define HOUR_US (WEIR_SPEND_BUCKET_US * STORE__QUARTERS_AN_HOUR)
#define HOURS_END (STORE__QUARTERS_END / STORE__QUARTERS_AN_HOUR)

struct group {
    int64_t texts[TEXTS]; /* 0 where it was not asked for */
    char *tag;            /* NULL without */
    size_t tag_length;
    bool touched;
    struct weir_usage_sums sums;
};

struct report {
    struct weir_engine *engine;
    const struct weir_usage_query *query;
    weir_usage_visit visit;
    void *context;
    struct weir_error *error;
    bool of_tags;
    bool none;              /* a filter names what is not known */
    int64_t filters[TEXTS]; /* -1: none */
    uint32_t *group_of;     /* by number in usage_of: place in `groups` and 1 more; NO_GROUP */
    int64_t numbers;
    struct group *groups;
    size_t group_count, group_room;
    struct weir_map *by_key; /* of groups: texts and tag */
    char **keys;
    uint32_t *touched;
    size_t touched_count;
    int64_t time; /* hour or day that is being added up; -1: none */
    size_t rows_left;
};

static enum weir_status no_memory(struct report *report) {
    return weir_fail(report->error, WEIR_ENOMEM, "no memory for a report of usage");
}

/* --- what is asked --- */
static enum weir_status check(struct report *report) {
    const struct weir_usage_query *query = report->query;
    const unsigned with_tags = WEIR_USAGE_BY_TAG | WEIR_USAGE_BY_DAY | WEIR_USAGE_BY_HOUR | WEIR_USAGE_BY_WORKSPACE;
    const unsigned all = (WEIR_USAGE_BY_HOUR << 1) - 1;
    bool bad = (query->by & ~all) != 0 || query->from_utc_us < 0 || query->from_utc_us % HOUR_US != 0 ||
               query->until_utc_us < query->from_utc_us ||
               (query->until_utc_us != INT64_MAX && query->until_utc_us % HOUR_US != 0);
    report->of_tags = (query->by & WEIR_USAGE_BY_TAG) != 0 || query->only[PLACE_OF_TAG].at != NULL;
    if (report->of_tags) {
        bad = bad || (query->by & ~with_tags) != 0;
        for (size_t i = 0; i < TEXTS; i++)
            bad = bad || (i != PLACE_OF_WORKSPACE && query->only[i].at != NULL);
    }
    return bad ? weir_fail(report->error, WEIR_EINVAL,
                           "a report of usage has no such bounds, or asks for what does not go together")
               : WEIR_OK;
}

static enum weir_status find_filters(struct report *report) {
    for (size_t i = 0; i < TEXTS; i++) {
        struct weir_span only = report->query->only[i];
        report->filters[i] = -1;
        if (only.at == NULL)
            continue;
        enum weir_status status = store__dictionary_find(report->engine, only, &report->filters[i], report->error);
        if (status != WEIR_OK)
            return status;
        report->none = report->none || (only.length > 0 && report->filters[i] == 0);
    }
    return WEIR_OK;
}

/* --- groups --- */
static enum weir_status group_new(struct report *report, const int64_t texts[TEXTS], struct weir_span tag,
                                  struct weir_span key, uint32_t *made) {
    if (report->group_count == report->group_room) {
        size_t room = report->group_room == 0 ? 64 : report->group_room * 2;
        struct group *groups = weir_memory_resize(report->groups, room, sizeof(*groups));
        if (groups == NULL)
            return no_memory(report);
        report->groups = groups;
        char **keys = weir_memory_resize(report->keys, room, sizeof(*keys));
        if (keys == NULL)
            return no_memory(report);
        report->keys = keys;
        report->group_room = room;
    }
    char *bytes = weir_memory_new(1, key.length + 1);
    if (bytes == NULL)
        return no_memory(report);
    memcpy(bytes, key.at, key.length);
    struct group *group = &report->groups[report->group_count];
    *group = (struct group){.tag_length = tag.length};
    memcpy(group->texts, texts, sizeof(group->texts));
    group->tag = tag.length > 0 ? bytes + (key.length - tag.length) : NULL;
    report->keys[report->group_count++] = bytes;
    *made = (uint32_t)report->group_count;
    return weir_map_put(report->by_key, weir_span_of(bytes, key.length), (void *)(uintptr_t)*made, NULL) == WEIR_OK
               ? WEIR_OK
               : no_memory(report);
}

static enum weir_status group_find(struct report *report, const int64_t texts[TEXTS], struct weir_span tag,
                                   uint32_t *group) {
    enum { MAX_TAG_BYTES = 1024 };
    char bytes[TEXTS * sizeof(int64_t) + MAX_TAG_BYTES];
    size_t length = tag.length < MAX_TAG_BYTES ? tag.length : MAX_TAG_BYTES;
    memcpy(bytes, texts, TEXTS * sizeof(int64_t));
    if (length > 0)
        memcpy(bytes + TEXTS * sizeof(int64_t), tag.at, length);
    struct weir_span key = weir_span_of(bytes, TEXTS * sizeof(int64_t) + length);
    *group = (uint32_t)(uintptr_t)weir_map_find(report->by_key, key);
    return *group != NO_GROUP ? WEIR_OK : group_new(report, texts, weir_span_first(tag, length), key, group);
}

static enum weir_status place_row(struct report *report, sqlite3_stmt *row) {
    const struct weir_usage_query *query = report->query;
    int64_t texts[TEXTS] = {0}, number = sqlite3_column_int64(row, 0);
    struct weir_span tag = WEIR_SPAN("");
    if (report->of_tags) {
        texts[PLACE_OF_WORKSPACE] = sqlite3_column_int64(row, 1);
        tag = store__column_span(row, 2);
        if (query->only[PLACE_OF_TAG].at != NULL && !weir_span_equal(query->only[PLACE_OF_TAG], tag))
            return WEIR_OK;
        if ((query->by & WEIR_USAGE_BY_TAG) == 0)
            tag = WEIR_SPAN("");
    } else {
        for (int i = 0; i < TEXTS; i++)
            texts[i] = sqlite3_column_int64(row, 1 + i);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        if (report->filters[i] >= 0 && report->filters[i] != texts[i])
            return WEIR_OK;
        if ((query->by & 1U << i) == 0)
            texts[i] = 0;
    }
    return number > 0 && number <= report->numbers ? group_find(report, texts, tag, &report->group_of[number])
                                                   : WEIR_OK;
}

static enum weir_status place_all(struct report *report) {
    struct weir_engine *engine = report->engine;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_USAGE_OF_LAST, &statement, report->error);
    if (status == WEIR_OK)
        status = store__sqlite_integer(engine, statement, "read what usage is summed up by", &report->numbers,
                                       report->error);
    if (status == WEIR_OK) {
        status = store__sqlite_statement(engine,
                                         report->of_tags ? STORE__SQL_USAGE_OF_TAG_EACH : STORE__SQL_USAGE_OF_EACH,
                                         &statement, report->error);
    }
    if (status != WEIR_OK)
        return status;
    report->group_of = weir_memory_new((size_t)report->numbers + 1, sizeof(*report->group_of));
    report->by_key = weir_map_new(64);
    if (report->group_of == NULL || report->by_key == NULL)
        return no_memory(report);
    int code = SQLITE_DONE;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        status = place_row(report, statement);
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read what usage is summed up by", report->error);
    (void)sqlite3_reset(statement);
    if (status != WEIR_OK)
        return status;
    report->touched = weir_memory_new(report->group_count + 1, sizeof(*report->touched));
    return report->touched != NULL ? WEIR_OK : no_memory(report);
}

/* --- rows --- */
static int dearest_first(const void *left, const void *right, void *context) {
    const struct group *groups = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    int64_t cost_a = groups[a].sums.cost_cu_milli, cost_b = groups[b].sums.cost_cu_milli;
    if (cost_a != cost_b)
        return cost_a > cost_b ? -1 : 1;
    return a < b ? -1 : a > b;
}

static enum weir_status give_one(struct report *report, const struct group *group) {
    struct weir_usage_row row = {.sums = group->sums};
    if (report->time >= 0)
        row.from_utc_us = report->time * HOUR_US * ((report->query->by & WEIR_USAGE_BY_HOUR) != 0 ? 1 : HOURS_A_DAY);
    for (size_t i = 0; i < WEIR_USAGE_DIMENSIONS; i++)
        row.by[i] = WEIR_SPAN("");
    for (size_t i = 0; i < TEXTS; i++) {
        enum weir_status status = store__dictionary_text(report->engine, group->texts[i], &row.by[i], report->error);
        if (status != WEIR_OK)
            return status;
    }
    if (group->tag != NULL)
        row.by[PLACE_OF_TAG] = weir_span_of(group->tag, group->tag_length);
    return report->visit(report->context, &row);
}

/* What was added up of one time, the dearest first. */
static enum weir_status give(struct report *report) {
    enum weir_status status = WEIR_OK;
    if (report->touched_count > 1)
        qsort_r(report->touched, report->touched_count, sizeof(*report->touched), dearest_first, report->groups);
    for (size_t i = 0; i < report->touched_count; i++) {
        struct group *group = &report->groups[report->touched[i]];
        if (status == WEIR_OK && report->rows_left == 0)
            status = WEIR_END;
        if (status == WEIR_OK) {
            report->rows_left--;
            status = give_one(report, group);
        }
        group->touched = false;
        group->sums = (struct weir_usage_sums){.requests = 0};
    }
    report->touched_count = 0;
    return status;
}

static enum weir_status add_row(struct report *report, sqlite3_stmt *row, int64_t a_time) {
    int64_t place = sqlite3_column_int64(row, 0) & ~STORE__OF_TAGS, number = place & (STORE__SUBJECTS_END - 1);
    uint32_t at = number <= report->numbers ? report->group_of[number] : NO_GROUP;
    if (at == NO_GROUP)
        return WEIR_OK;
    if ((report->query->by & (WEIR_USAGE_BY_DAY | WEIR_USAGE_BY_HOUR)) != 0) {
        int64_t time = (place >> 32) / a_time;
        if (time != report->time) {
            enum weir_status status = give(report);
            if (status != WEIR_OK)
                return status;
            report->time = time;
        }
    }
    struct group *group = &report->groups[at - 1];
    if (!group->touched) {
        group->touched = true;
        report->touched[report->touched_count++] = at - 1;
    }
    int64_t *sums = (int64_t *)(void *)&group->sums;
    for (int i = 0; i < STORE__USAGE_SUMS; i++) {
        if (!weir_add_int64(sums[i], sqlite3_column_int64(row, 1 + i), &sums[i]))
            sums[i] = INT64_MAX;
    }
    return WEIR_OK;
}

/* Rows of [first, end) hours or days; `a_time` of them are one of what the report is by. */
static enum weir_status add_rows(struct report *report, enum store__sql which, int64_t first, int64_t end,
                                 int64_t a_time) {
    struct weir_engine *engine = report->engine;
    const int64_t kind = report->of_tags ? STORE__OF_TAGS : 0;
    sqlite3_stmt *statement = NULL;
    if (first >= end)
        return WEIR_OK;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, report->error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, kind | store__place(first, 0));
    store__bind_integer(&binder, kind | store__place(end, 0));
    int code = SQLITE_DONE;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        status = add_row(report, statement, a_time);
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read usage", report->error);
    (void)sqlite3_reset(statement);
    return status;
}

static enum weir_status hours_kept_from(struct weir_engine *engine, int64_t *hour, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_META_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, WEIR_SPAN("usage_hours_from"));
    status = store__sqlite_integer(engine, statement, "read since when usage is kept by hour", hour, error);
    if (status != WEIR_ENOTFOUND)
        return status;
    *hour = 0;
    return WEIR_OK;
}

/* The stretches of sums that answer a question: hours, whole days, hours. */
struct stretch {
    enum store__sql which;
    int64_t first, end;
    int64_t a_time; /* so many of them are one of what the report is by */
};
enum { STRETCHES = 3 };

static void find_stretches(const struct weir_usage_query *query, struct stretch stretches[STRETCHES]) {
    const int64_t first = query->from_utc_us / HOUR_US < HOURS_END ? query->from_utc_us / HOUR_US : HOURS_END,
                  end = query->until_utc_us / HOUR_US < HOURS_END ? query->until_utc_us / HOUR_US : HOURS_END;
    const bool by_hour = (query->by & WEIR_USAGE_BY_HOUR) != 0;
    int64_t first_day = (first + HOURS_A_DAY - 1) / HOURS_A_DAY, end_day = end / HOURS_A_DAY;
    if (by_hour || first_day >= end_day) {
        /* No whole day is in it: two stretches of hours that meet. */
        first_day = end_day = (end + HOURS_A_DAY - 1) / HOURS_A_DAY;
    }
    int64_t head_end = first_day * HOURS_A_DAY < end ? first_day * HOURS_A_DAY : end;
    int64_t tail = end_day * HOURS_A_DAY > head_end ? end_day * HOURS_A_DAY : head_end;
    int64_t a_time = by_hour ? 1 : HOURS_A_DAY;
    stretches[0] = (struct stretch){STORE__SQL_USAGE_HOUR_EACH, first, head_end, a_time};
    stretches[1] = (struct stretch){STORE__SQL_USAGE_DAY_EACH, first_day, end_day, 1};
    stretches[2] = (struct stretch){STORE__SQL_USAGE_HOUR_EACH, tail, end, a_time};
}

static enum weir_status add_all(struct report *report) {
    struct stretch stretches[STRETCHES];
    int64_t kept = 0;
    find_stretches(report->query, stretches);
    enum weir_status status = hours_kept_from(report->engine, &kept, report->error);
    for (size_t i = 0; i < STRETCHES && status == WEIR_OK; i++) {
        const struct stretch *stretch = &stretches[i];
        if (stretch->which == STORE__SQL_USAGE_HOUR_EACH && stretch->first < stretch->end && stretch->first < kept)
            return weir_fail(report->error, WEIR_ELIMIT,
                             "usage by hour is not kept for so long: ask for whole days, or for later hours");
    }
    for (size_t i = 0; i < STRETCHES && status == WEIR_OK; i++)
        status = add_rows(report, stretches[i].which, stretches[i].first, stretches[i].end, stretches[i].a_time);
    return status == WEIR_OK ? give(report) : status;
}

enum weir_status store__sqlite_usage_report(struct weir_engine *engine, const struct weir_usage_query *query,
                                            weir_usage_visit visit, void *context, struct weir_error *error) {
    struct report report = {.engine = engine,
                            .query = query,
                            .visit = visit,
                            .context = context,
                            .error = error,
                            .time = -1,
                            .rows_left = query->limit == 0 ? DEFAULT_ROWS : query->limit};
    enum weir_status status = check(&report);
    if (status != WEIR_OK)
        return status;
    store__unsummed_hurry(engine, 1000);
    store__dictionary_trim(engine);
    status = store__sqlite_begin_to_read(engine, error);
    if (status != WEIR_OK)
        return status;
    status = find_filters(&report);
    if (status == WEIR_OK && !report.none)
        status = place_all(&report);
    if (status == WEIR_OK && report.group_count > 0)
        status = add_all(&report);
    status = store__sqlite_end(engine, status == WEIR_END ? WEIR_OK : status, error);
    for (size_t i = 0; i < report.group_count; i++)
        weir_memory_free(report.keys[i]);
    weir_memory_free(report.keys);
    weir_memory_free(report.groups);
    weir_memory_free(report.group_of);
    weir_memory_free(report.touched);
    weir_map_free(&report.by_key);
    return status;
}

/* --- how it is found --- */
static enum weir_status plan_of(struct weir_engine *engine, enum store__sql which, weir_plan_visit visit, void *context,
                                struct weir_error *error) {
    enum { DETAIL = 3 };
    sqlite3_stmt *planned = NULL, *statement = NULL;
    char sql[1024];
    enum weir_status status = store__sqlite_statement(engine, which, &planned, error);
    if (status != WEIR_OK)
        return status;
    int length = snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sqlite3_sql(planned));
    weir_bug_on(length < 0 || (size_t)length >= sizeof sql);
    status = store__sqlite_prepare(engine, sql, "explain a report of usage", &statement, error);
    int code = SQLITE_DONE;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        status = visit(context, store__column_span(statement, DETAIL));
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "explain a report of usage", error);
    (void)sqlite3_finalize(statement);
    return status;
}

enum weir_status store__sqlite_usage_plan(struct weir_engine *engine, const struct weir_usage_query *query,
                                          weir_plan_visit visit, void *context, struct weir_error *error) {
    struct report report = {.engine = engine, .query = query, .error = error};
    struct stretch stretches[STRETCHES];
    enum weir_status status = check(&report);
    if (status == WEIR_OK)
        status = plan_of(engine, report.of_tags ? STORE__SQL_USAGE_OF_TAG_EACH : STORE__SQL_USAGE_OF_EACH, visit,
                         context, error);
    find_stretches(query, stretches);
    for (size_t i = 0; i < STRETCHES && status == WEIR_OK; i++)
        if (stretches[i].first < stretches[i].end)
            status = plan_of(engine, stretches[i].which, visit, context, error);
    return status == WEIR_END ? WEIR_OK : status;
}

/* --- old sums by hour --- */
static enum weir_status trim_rows(struct weir_engine *engine, int64_t hour, bool *more, struct weir_error *error) {
    const int64_t until_ns = weir_clock_monotonic_ns() + (int64_t)SLICE_MS * 1000000;
    const int64_t kinds[] = {0, STORE__OF_TAGS};
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < 2 && status == WEIR_OK; i++) {
        int rows = 1;
        while (rows > 0 && status == WEIR_OK) {
            if (weir_clock_monotonic_ns() >= until_ns) {
                *more = true;
                return WEIR_OK;
            }
            sqlite3_stmt *statement = NULL;
            status = store__sqlite_statement(engine, STORE__SQL_USAGE_HOUR_TRIM, &statement, error);
            if (status != WEIR_OK)
                break;
            struct store__binder binder = store__binder_of(statement);
            store__bind_integer(&binder, kinds[i]);
            store__bind_integer(&binder, kinds[i] | store__place(hour, 0));
            status = store__binder_run(engine, &binder, "take away usage by hour", error);
            rows = sqlite3_changes(engine->database);
        }
    }
    return status;
}

enum weir_status store__sqlite_usage_trim(struct weir_engine *engine, int64_t before_utc_us, bool *more,
                                          struct weir_error *error) {
    int64_t hour = store__quarter_of(before_utc_us) / STORE__QUARTERS_A_DAY * HOURS_A_DAY, kept = 0;
    bool left = false;
    *more = false;
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = hours_kept_from(engine, &kept, error);
    if (status == WEIR_OK && kept < hour) {
        /* Said before the first row goes: a report never gives part of an hour's sums for all. */
        sqlite3_stmt *statement = NULL;
        status = store__sqlite_statement(engine, STORE__SQL_META_WRITE, &statement, error);
        if (status == WEIR_OK) {
            struct store__binder binder = store__binder_of(statement);
            store__bind_text(&binder, WEIR_SPAN("usage_hours_from"));
            store__bind_integer(&binder, hour);
            status = store__binder_run(engine, &binder, "write since when usage is kept by hour", error);
        }
    }
    if (status == WEIR_OK)
        status = trim_rows(engine, hour, &left, error);
    status = store__sqlite_end(engine, status, error);
    if (status == WEIR_OK)
        *more = left;
    return status;
}

/* See usage_form.h. */
#include "operator/usage_form.h"

#include "base/arithmetic.h"
#include "base/clock.h"
#include "base/map.h"
#include "json/scan.h"
#include "operator/csv.h"

static const int64_t hour_us = INT64_C(3600) * 1000000;

const struct weir_usage_word weir_usage_words[WEIR_USAGE_WORDS] = {
    {"day", WEIR_USAGE_BY_DAY, -1, NULL, "DAY"},
    {"hour", WEIR_USAGE_BY_HOUR, -1, NULL, "HOUR"},
    {"workspace", WEIR_USAGE_BY_WORKSPACE, 3, "workspace_name", "WORKSPACE"},
    {"team", WEIR_USAGE_BY_TEAM, 2, "team_name", "TEAM"},
    {"user", WEIR_USAGE_BY_USER, 1, "user_name", "USER"},
    {"key", WEIR_USAGE_BY_KEY, 0, "key_name", "KEY"},
    {"provider", WEIR_USAGE_BY_PROVIDER, 4, NULL, "PROVIDER"},
    {"model", WEIR_USAGE_BY_MODEL, 5, NULL, "MODEL"},
    {"upstream_model", WEIR_USAGE_BY_UPSTREAM_MODEL, 6, NULL, "UPSTREAM MODEL"},
    {"endpoint", WEIR_USAGE_BY_ENDPOINT, 7, NULL, "ENDPOINT"},
    {"tag", WEIR_USAGE_BY_TAG, 8, NULL, "TAG"},
};

static const struct {
    const char *name;
    size_t offset;
} sums[] = {
    {"requests", offsetof(struct weir_usage_sums, requests)},
    {"errors", offsetof(struct weir_usage_sums, errors)},
    {"aborted", offsetof(struct weir_usage_sums, aborted)},
    {"crashed", offsetof(struct weir_usage_sums, crashed)},
    {"unpriced", offsetof(struct weir_usage_sums, unpriced)},
    {"estimated", offsetof(struct weir_usage_sums, estimated)},
    {"input_tokens", offsetof(struct weir_usage_sums, input)},
    {"cached_tokens", offsetof(struct weir_usage_sums, cached)},
    {"cache_write_tokens", offsetof(struct weir_usage_sums, cache_write)},
    {"output_tokens", offsetof(struct weir_usage_sums, output)},
    {"reasoning_tokens", offsetof(struct weir_usage_sums, reasoning)},
    {"cost_cu_milli", offsetof(struct weir_usage_sums, cost_cu_milli)},
    {"overrun_cu_milli", offsetof(struct weir_usage_sums, overrun_cu_milli)},
    {"reserved_cu_milli", offsetof(struct weir_usage_sums, reserved_cu_milli)},
};
enum { SUMS = sizeof sums / sizeof *sums };
_Static_assert(SUMS * sizeof(int64_t) == sizeof(struct weir_usage_sums), "every sum has its name");

static int64_t sum_of(const struct weir_usage_sums *all, size_t index) {
    int64_t value;
    memcpy(&value, (const char *)all + sums[index].offset, sizeof value);
    return value;
}

/* --- what is asked --- */

enum weir_status weir_usage_read_words(struct weir_span list, unsigned *by, struct weir_error *error) {
    struct weir_span word;
    unsigned found = 0;
    bool more = list.length > 0;
    while (more) {
        size_t i = 0;
        more = weir_span_split(list, ',', &word, &list);
        word = weir_span_trim(word);
        if (weir_span_equal(word, WEIR_SPAN("route")))
            word = WEIR_SPAN("endpoint");
        while (i < WEIR_USAGE_WORDS && !weir_span_equal(word, weir_span_of_string(weir_usage_words[i].name)))
            i++;
        if (i == WEIR_USAGE_WORDS)
            return weir_fail(error, WEIR_EINVAL,
                             "'%.*s' is none of key, user, team, workspace, provider, model, upstream_model, endpoint "
                             "(or route), tag, day, hour",
                             (int)(word.length < 40 ? word.length : 40), word.at);
        if ((found & (unsigned)weir_usage_words[i].dimension) != 0)
            return weir_fail(error, WEIR_EINVAL, "%s stands twice", weir_usage_words[i].name);
        found |= (unsigned)weir_usage_words[i].dimension;
    }
    *by = found;
    return WEIR_OK;
}

static int64_t month_begins(int64_t utc_us) {
    char text[WEIR_TIMESTAMP_SIZE];
    int64_t begins = 0;
    weir_clock_format_utc(utc_us, text);
    memcpy(text + 8, "01", 2);
    weir_bug_on(weir_clock_parse_utc(weir_span_of(text, 10), &begins) != WEIR_OK);
    return begins;
}

static bool asks_for(const struct weir_usage_query *query, const struct weir_usage_word *word) {
    return (query->by & (unsigned)word->dimension) != 0 || (word->place >= 0 && query->only[word->place].at != NULL);
}

/* Sums by tag know the workspace and the time, and nothing else. */
static enum weir_status check_tags(const struct weir_usage_query *query, const char **field, struct weir_error *error) {
    bool tags = false;
    for (size_t i = 0; i < WEIR_USAGE_WORDS; i++)
        tags = tags || (weir_usage_words[i].dimension == WEIR_USAGE_BY_TAG && asks_for(query, &weir_usage_words[i]));
    for (size_t i = 0; tags && i < WEIR_USAGE_WORDS; i++) {
        const struct weir_usage_word *word = &weir_usage_words[i];
        if (word->place < 0 || word->dimension == WEIR_USAGE_BY_TAG || word->dimension == WEIR_USAGE_BY_WORKSPACE ||
            !asks_for(query, word))
            continue;
        *field = (query->by & (unsigned)word->dimension) != 0 ? "group_by" : word->name;
        return weir_fail(error, WEIR_EINVAL, "tags go together with day, hour and workspace alone, not with %s",
                         word->name);
    }
    return WEIR_OK;
}

enum weir_status weir_usage_check(struct weir_usage_query *query, int64_t now_utc_us, const char **field,
                                  struct weir_error *error) {
    if (query->from_utc_us == 0)
        query->from_utc_us = month_begins(now_utc_us);
    if (query->until_utc_us == 0)
        query->until_utc_us = now_utc_us - now_utc_us % hour_us + hour_us;
    *field = query->from_utc_us % hour_us != 0 ? "from" : "until";
    if (query->from_utc_us % hour_us != 0 || query->until_utc_us % hour_us != 0)
        return weir_fail(error, WEIR_EINVAL, "expected a full hour (UTC): usage is summed by the hour");
    if (query->until_utc_us <= query->from_utc_us)
        return weir_fail(error, WEIR_EINVAL, "it must be later than from");
    *field = "group_by";
    if ((query->by & WEIR_USAGE_BY_DAY) != 0 && (query->by & WEIR_USAGE_BY_HOUR) != 0)
        return weir_fail(error, WEIR_EINVAL, "day and hour do not go together");
    return check_tags(query, field, error);
}

/* --- rows --- */

struct gathering {
    struct weir_arena *arena;
    struct weir_usage_report *report;
    struct weir_map *texts; /* those that are kept already: few are different */
    size_t room;
    bool full; /* there are more rows than are wanted */
};

static enum weir_status keep(struct gathering *gathering, struct weir_span *text) {
    struct weir_span copy = {.at = "", .length = 0};
    if (text->length == 0) {
        *text = copy;
        return WEIR_OK;
    }
    const struct weir_span *kept = weir_map_find(gathering->texts, *text);
    if (kept == NULL) {
        struct weir_span *made = weir_arena_alloc(gathering->arena, sizeof *made);
        if (made == NULL || weir_arena_dup(gathering->arena, *text, made) != WEIR_OK ||
            weir_map_put(gathering->texts, *made, made, NULL) != WEIR_OK)
            return WEIR_ENOMEM;
        kept = made;
    }
    *text = *kept;
    return WEIR_OK;
}

static enum weir_status gather(void *context, const struct weir_usage_row *row) {
    struct gathering *gathering = context;
    struct weir_usage_report *report = gathering->report;
    gathering->full = report->count == report->query.limit;
    if (gathering->full)
        return WEIR_END;
    if (report->count == gathering->room) {
        size_t room = gathering->room == 0 ? 64 : 2 * gathering->room;
        struct weir_usage_line *lines = weir_arena_array(gathering->arena, room, sizeof *lines);
        if (lines == NULL)
            return WEIR_ENOMEM;
        if (report->count > 0)
            memcpy(lines, report->lines, report->count * sizeof *lines);
        report->lines = lines;
        gathering->room = room;
    }
    struct weir_usage_line *line = &report->lines[report->count];
    line->row = *row;
    for (size_t i = 0; i < WEIR_USAGE_DIMENSIONS; i++)
        if (keep(gathering, &line->row.by[i]) != WEIR_OK)
            return WEIR_ENOMEM;
    report->count++;
    return WEIR_OK;
}

static enum weir_status take_totals(void *context, const struct weir_usage_row *row) {
    *(struct weir_usage_sums *)context = row->sums;
    return WEIR_OK;
}

static bool add_sums(struct weir_usage_sums *total, const struct weir_usage_sums *more) {
    for (size_t i = 0; i < SUMS; i++) {
        int64_t value;
        if (!weir_add_int64(sum_of(total, i), sum_of(more, i), &value))
            return false;
        memcpy((char *)total + sums[i].offset, &value, sizeof value);
    }
    return true;
}

static enum weir_status add_up(const struct weir_engine_ops *ops, struct weir_engine *engine,
                               struct weir_usage_report *report, struct weir_error *error) {
    struct weir_usage_query query = report->query;
    if ((query.by & WEIR_USAGE_BY_TAG) != 0) {
        query.by = 0;
        query.limit = 1;
        return ops->usage_report(engine, &query, take_totals, &report->totals, error);
    }
    for (size_t i = 0; i < report->count; i++)
        if (!add_sums(&report->totals, &report->lines[i].row.sums))
            return weir_fail(error, WEIR_ELIMIT, "the sums are too large");
    return WEIR_OK;
}

/* --- names of ids --- */

struct naming {
    const struct weir_engine_ops *ops;
    struct weir_engine *engine;
    struct weir_arena *arena, *scratch;
    struct weir_map *known[WEIR_USAGE_DIMENSIONS];
};

/* "name" of an object's text. */
static enum weir_status name_in(struct naming *naming, struct weir_span text, struct weir_span *name) {
    static const struct weir_json_want want = {"name"};
    struct weir_json_found found;
    size_t length = 0;
    if (weir_json_scan(text, &want, 1, &found, NULL, NULL) != WEIR_OK || found.kind != WEIR_JSON_STRING)
        return WEIR_OK;
    char *out = weir_arena_alloc(naming->arena, found.value.length);
    if (out == NULL || weir_json_decode(found.value, out, found.value.length, &length) != WEIR_OK)
        return WEIR_ENOMEM;
    *name = weir_span_of(out, length);
    return WEIR_OK;
}

static enum weir_status look_up(struct naming *naming, const struct weir_usage_word *word, struct weir_span id,
                                struct weir_span *name, struct weir_error *error) {
    struct weir_object object;
    struct weir_key_record key;
    struct weir_span parent = {.at = "", .length = 0};
    enum weir_object_kind kind = WEIR_OBJECT_WORKSPACE;
    enum weir_status status;
    weir_arena_reset(naming->scratch);
    if (word->dimension == WEIR_USAGE_BY_KEY) {
        status = naming->ops->key_get(naming->engine, id, naming->scratch, &key, error);
        if (status == WEIR_OK)
            status = weir_arena_dup(naming->arena, key.name, name);
        return status == WEIR_ENOTFOUND ? WEIR_OK : status;
    }
    if (word->dimension != WEIR_USAGE_BY_WORKSPACE) { /* "workspace/id" */
        kind = word->dimension == WEIR_USAGE_BY_TEAM ? WEIR_OBJECT_TEAM : WEIR_OBJECT_USER;
        if (!weir_span_split(id, '/', &parent, &id))
            return WEIR_OK;
    }
    status = naming->ops->object_get(naming->engine, kind, parent, id, naming->scratch, &object, error);
    if (status == WEIR_OK)
        status = name_in(naming, object.text, name);
    return status == WEIR_ENOTFOUND ? WEIR_OK : status;
}

static enum weir_status name_line(struct naming *naming, unsigned by, struct weir_usage_line *line,
                                  struct weir_error *error) {
    for (size_t i = 0; i < WEIR_USAGE_WORDS; i++) {
        const struct weir_usage_word *word = &weir_usage_words[i];
        if (word->named == NULL || (by & (unsigned)word->dimension) == 0 || line->row.by[word->place].length == 0)
            continue;
        struct weir_map **known = &naming->known[word->place];
        struct weir_span id = line->row.by[word->place], *name;
        if (*known == NULL && (*known = weir_map_new(0)) == NULL)
            return WEIR_ENOMEM;
        name = weir_map_find(*known, id);
        if (name == NULL) {
            name = weir_arena_alloc(naming->arena, sizeof *name);
            if (name == NULL)
                return WEIR_ENOMEM;
            *name = WEIR_SPAN("");
            enum weir_status status = look_up(naming, word, id, name, error);
            if (status == WEIR_OK)
                status = weir_map_put(*known, id, name, NULL);
            if (status != WEIR_OK)
                return status;
        }
        line->names[word->place] = *name;
    }
    return WEIR_OK;
}

static enum weir_status name_lines(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                   struct weir_arena *arena, struct weir_usage_report *report,
                                   struct weir_error *error) {
    struct naming naming = {.ops = ops, .engine = engine, .arena = arena, .scratch = weir_arena_new(0, 4 * WEIR_MIB)};
    enum weir_status status = naming.scratch != NULL ? WEIR_OK : WEIR_ENOMEM;
    for (size_t i = 0; status == WEIR_OK && i < report->count; i++)
        status = name_line(&naming, report->query.by, &report->lines[i], error);
    for (size_t i = 0; i < WEIR_USAGE_DIMENSIONS; i++)
        weir_map_free(&naming.known[i]);
    weir_arena_free(&naming.scratch);
    return status;
}

enum weir_status weir_usage_make(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                 struct weir_arena *arena, const struct weir_usage_query *query,
                                 struct weir_usage_report *report, struct weir_error *error) {
    struct weir_usage_report made = {.query = *query};
    struct gathering gathering = {.arena = arena, .report = &made, .texts = weir_map_new(0)};
    struct weir_usage_query asked = *query;
    if (gathering.texts == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the report");
    if (made.query.limit == 0)
        made.query.limit = WEIR_USAGE_USUAL_ROWS;
    asked.limit = made.query.limit + 1; /* one more tells that there are more */
    enum weir_status status = ops->usage_report(engine, &asked, gather, &gathering, error);
    weir_map_free(&gathering.texts);
    if (status == WEIR_OK && gathering.full)
        return weir_fail(error, WEIR_EFULL,
                         "there are more than %zu rows: ask for a shorter time, for fewer groups, with filters, or "
                         "for a higher limit (up to %d)",
                         made.query.limit, WEIR_USAGE_MOST_ROWS);
    if (status == WEIR_OK)
        status = add_up(ops, engine, &made, error);
    if (status == WEIR_OK)
        status = name_lines(ops, engine, arena, &made, error);
    if (status == WEIR_OK)
        *report = made;
    return status;
}

/* --- writing --- */

static void write_sums(struct weir_json_writer *writer, const struct weir_usage_sums *all) {
    for (size_t i = 0; i < SUMS; i++)
        weir_json_member_int64(writer, sums[i].name, sum_of(all, i));
}

static void member_time(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    char text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(utc_us, text);
    weir_json_member_text(writer, name, text);
}

static void member_known(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    if (text.length > 0)
        weir_json_member_string(writer, name, text);
    else
        weir_json_member_text(writer, name, NULL);
}

static void write_line(struct weir_json_writer *writer, unsigned by, const struct weir_usage_line *line) {
    weir_json_write_object(writer);
    if ((by & (WEIR_USAGE_BY_DAY | WEIR_USAGE_BY_HOUR)) != 0)
        member_time(writer, "from_at", line->row.from_utc_us);
    for (size_t i = 0; i < WEIR_USAGE_WORDS; i++) {
        const struct weir_usage_word *word = &weir_usage_words[i];
        if (word->place < 0 || (by & (unsigned)word->dimension) == 0)
            continue;
        member_known(writer, word->name, line->row.by[word->place]);
        if (word->named != NULL)
            member_known(writer, word->named, line->names[word->place]);
    }
    write_sums(writer, &line->row.sums);
    weir_json_write_end(writer);
}

void weir_usage_write_json(struct weir_json_writer *writer, const struct weir_usage_report *report) {
    const struct weir_usage_query *query = &report->query;
    weir_json_write_object(writer);
    member_time(writer, "from_at", query->from_utc_us);
    member_time(writer, "until_at", query->until_utc_us);
    weir_json_write_name(writer, "group_by");
    weir_json_write_array(writer);
    for (size_t i = 0; i < WEIR_USAGE_WORDS; i++)
        if ((query->by & (unsigned)weir_usage_words[i].dimension) != 0)
            weir_json_write_string(writer, weir_span_of_string(weir_usage_words[i].name));
    weir_json_write_end(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    for (size_t i = 0; i < report->count; i++)
        write_line(writer, query->by, &report->lines[i]);
    weir_json_write_end(writer);
    weir_json_write_name(writer, "totals");
    weir_json_write_object(writer);
    write_sums(writer, &report->totals);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

static void csv_head(struct weir_buffer *out, unsigned by) {
    if ((by & (WEIR_USAGE_BY_DAY | WEIR_USAGE_BY_HOUR)) != 0)
        weir_buffer_append(out, WEIR_SPAN("from_at,"));
    for (size_t i = 0; i < WEIR_USAGE_WORDS; i++) {
        const struct weir_usage_word *word = &weir_usage_words[i];
        if (word->place < 0 || (by & (unsigned)word->dimension) == 0)
            continue;
        weir_buffer_printf(out, "%s,", word->name);
        if (word->named != NULL)
            weir_buffer_printf(out, "%s,", word->named);
    }
    for (size_t i = 0; i < SUMS; i++)
        weir_buffer_printf(out, "%s%s", sums[i].name, i + 1 == SUMS ? "\r\n" : ",");
}

void weir_usage_write_csv(struct weir_buffer *out, const struct weir_usage_report *report) {
    unsigned by = report->query.by;
    char from[WEIR_TIMESTAMP_SIZE];
    csv_head(out, by);
    for (size_t i = 0; i < report->count; i++) {
        const struct weir_usage_line *line = &report->lines[i];
        weir_clock_format_utc(line->row.from_utc_us, from);
        if ((by & (WEIR_USAGE_BY_DAY | WEIR_USAGE_BY_HOUR)) != 0)
            weir_buffer_printf(out, "%s,", from);
        for (size_t k = 0; k < WEIR_USAGE_WORDS; k++) {
            const struct weir_usage_word *word = &weir_usage_words[k];
            if (word->place < 0 || (by & (unsigned)word->dimension) == 0)
                continue;
            weir_csv_text(out, line->row.by[word->place]);
            weir_buffer_append_byte(out, ',');
            if (word->named != NULL) {
                weir_csv_text(out, line->names[word->place]);
                weir_buffer_append_byte(out, ',');
            }
        }
        for (size_t k = 0; k < SUMS; k++)
            weir_buffer_printf(out, "%lld%s", (long long)sum_of(&line->row.sums, k), k + 1 == SUMS ? "\r\n" : ",");
    }
}

/* Reads what operators say about budgets, limits and raises.
 *
 * The texts come from the store, where the operator plane put them after its own checks; they are checked again, for a budget that is silently misread lets
 * through what it should hold, or holds what it should let through. Members that are not known are passed over: a newer program may have written them. One
 * that stands twice is an error. Nothing is decided here: what a definition means is in budgets.c and buckets.c.
 */
#include "meter/definitions.h"

#include "base/clock.h"
#include "base/limits.h"
#include "json/scan.h"

#define MAX_NAME_BYTES ((size_t)200)
#define MAX_SCOPE_ID_BYTES ((size_t)300)
#define MAX_ZONE_BYTES ((size_t)64)
#define MAX_REASON_BYTES ((size_t)1000)
#define MAX_WAIT_MS 30000
#define MAX_BURST_PERCENT 1000

enum { SHOWN_BYTES = 60 };

static const char *const limit_names[WEIR_LIMIT_COUNT] = {
    [WEIR_LIMIT_REQUESTS_PER_SECOND] = "requests_per_second", [WEIR_LIMIT_REQUESTS_PER_MINUTE] = "requests_per_minute",
    [WEIR_LIMIT_REQUESTS_PER_DAY] = "requests_per_day",       [WEIR_LIMIT_TOKENS_PER_MINUTE] = "tokens_per_minute",
    [WEIR_LIMIT_TOKENS_PER_DAY] = "tokens_per_day",           [WEIR_LIMIT_CONCURRENT_REQUESTS] = "concurrent_requests",
    [WEIR_LIMIT_CONCURRENT_STREAMS] = "concurrent_streams",
};

const char *weir_limit_name(enum weir_limit limit) {
    return (unsigned)limit < WEIR_LIMIT_COUNT ? limit_names[limit] : "";
}

/* One text while it is read: it remembers its first failure. */
struct reader {
    struct weir_arena *arena;
    struct weir_error *error;
    enum weir_status status;
    const struct weir_json_want *wants;
    struct weir_json_found found[WEIR_JSON_MAX_WANTS];
};

static void wrong(struct reader *reader, size_t member, const char *what) {
    if (reader->status == WEIR_OK)
        reader->status = weir_fail(reader->error, WEIR_EINVAL, "%s: %s", reader->wants[member].path, what);
}

static void scan(struct reader *reader, struct weir_span text, size_t count) {
    struct weir_json_found root;
    struct weir_json_problem problem;
    enum weir_status status = weir_json_scan(text, reader->wants, count, reader->found, &root, &problem);
    if (status != WEIR_OK && problem.member.length > 0)
        reader->status = weir_fail(reader->error, WEIR_EINVAL, "%.*s: it is there twice",
                                   (int)(problem.member.length < SHOWN_BYTES ? problem.member.length : SHOWN_BYTES),
                                   problem.member.at);
    else if (status != WEIR_OK)
        reader->status = weir_fail(reader->error, WEIR_EINVAL, "text: no JSON at byte %zu: %s", problem.offset,
                                   problem.text);
    else if (root.kind != WEIR_JSON_OBJECT)
        reader->status = weir_fail(reader->error, WEIR_EINVAL, "text: an object is expected");
}

static bool is_there(const struct reader *reader, size_t member) {
    return reader->found[member].kind != WEIR_JSON_NONE && reader->found[member].kind != WEIR_JSON_NULL;
}

/* `initial` where it is absent; NULL: it must be there. */
static struct weir_span text_of(struct reader *reader, size_t member, size_t most, const char *initial) {
    struct weir_span text = weir_span_of_string(initial);
    if (reader->status != WEIR_OK)
        return text;
    if (!is_there(reader, member)) {
        if (initial == NULL)
            wrong(reader, member, "it is missing");
        return text;
    }
    if (reader->found[member].kind != WEIR_JSON_STRING) {
        wrong(reader, member, "a text is expected");
        return text;
    }
    struct weir_span token = reader->found[member].value;
    char *out = token.length <= 6 * most + 2 ? weir_arena_alloc_raw(reader->arena, token.length) : NULL;
    size_t length = 0;
    if (token.length > 6 * most + 2) {
        wrong(reader, member, "it is too long");
    } else if (out == NULL) {
        reader->status = weir_fail(reader->error, WEIR_ENOMEM, "%s: no memory", reader->wants[member].path);
    } else if (weir_json_decode(token, out, token.length, &length) != WEIR_OK || length > most) {
        wrong(reader, member, "it is too long");
    } else if (memchr(out, '\0', length) != NULL) {
        wrong(reader, member, "it has a NUL in it");
    } else {
        text = weir_span_of(out, length);
    }
    return text;
}

static int64_t number_of(struct reader *reader, size_t member, int64_t least, int64_t most, int64_t initial) {
    int64_t value = initial;
    if (reader->status != WEIR_OK || !is_there(reader, member))
        return initial;
    if (reader->found[member].kind != WEIR_JSON_NUMBER ||
        weir_json_int64(reader->found[member].value, &value) != WEIR_OK)
        wrong(reader, member, "a whole number is expected");
    else if (value < least)
        wrong(reader, member, "the number is too small");
    else if (value > most)
        wrong(reader, member, "the number is too large");
    return reader->status == WEIR_OK ? value : initial;
}

static bool bool_of(struct reader *reader, size_t member, bool initial) {
    if (reader->status != WEIR_OK || !is_there(reader, member))
        return initial;
    if (reader->found[member].kind != WEIR_JSON_TRUE && reader->found[member].kind != WEIR_JSON_FALSE)
        wrong(reader, member, "true or false is expected");
    return reader->found[member].kind == WEIR_JSON_TRUE;
}

/* The place of a word among `words`, which end with NULL. */
static size_t word_of(struct reader *reader, size_t member, const char *const *words, const char *problem) {
    struct weir_span word = text_of(reader, member, MAX_ZONE_BYTES, words[0]);
    for (size_t i = 0; reader->status == WEIR_OK && words[i] != NULL; i++)
        if (weir_span_equal(word, weir_span_of_string(words[i])))
            return i;
    wrong(reader, member, problem);
    return 0;
}

static void read_scope(struct reader *reader, size_t scope_member, size_t id_member, enum weir_scope *scope,
                       struct weir_span *scope_id) {
    struct weir_span name = text_of(reader, scope_member, MAX_ZONE_BYTES, NULL);
    *scope_id = text_of(reader, id_member, MAX_SCOPE_ID_BYTES, "");
    if (reader->status != WEIR_OK)
        return;
    if (!weir_scope_from_name(name, scope))
        wrong(reader, scope_member, "global, workspace, team, user, key, model or provider is expected");
    else if (*scope == WEIR_SCOPE_GLOBAL && scope_id->length > 0)
        wrong(reader, id_member, "the scope global has none");
    else if (*scope != WEIR_SCOPE_GLOBAL && scope_id->length == 0)
        wrong(reader, id_member, "it is missing");
}

/* --- budgets --- */

enum { NAME, SCOPE, SCOPE_ID, ACTIVE, WINDOW, ZONE, LIMIT, ENFORCEMENT, ON_EXCEEDED, WAIT_MS, ALERTS, BUDGET_MEMBERS };
static const struct weir_json_want budget_members[BUDGET_MEMBERS] = {
    [NAME] = {"name"},
    [SCOPE] = {"scope"},
    [SCOPE_ID] = {"scope_id"},
    [ACTIVE] = {"active"},
    [WINDOW] = {"window"},
    [ZONE] = {"zone"},
    [LIMIT] = {"limit_cu_milli"},
    [ENFORCEMENT] = {"enforcement"},
    [ON_EXCEEDED] = {"on_exceeded"},
    [WAIT_MS] = {"wait_ms"},
    [ALERTS] = {"alert_percents"},
};
static const char *const enforcements[] = {"hard", "soft", NULL};
static const char *const on_exceeded[] = {
    [WEIR_ON_EXCEEDED_REFUSE] = "refuse", [WEIR_ON_EXCEEDED_CLAMP] = "clamp", [WEIR_ON_EXCEEDED_WAIT] = "wait", NULL};
static const uint8_t initial_alerts[] = {50, 80, 95, 100};

static void read_alerts(struct reader *reader, struct weir_budget *budget) {
    if (reader->status != WEIR_OK)
        return;
    if (!is_there(reader, ALERTS)) {
        memcpy(budget->alert_percents, initial_alerts, sizeof initial_alerts);
        budget->alert_count = sizeof initial_alerts;
        return;
    }
    if (reader->found[ALERTS].kind != WEIR_JSON_ARRAY) {
        wrong(reader, ALERTS, "a list of numbers is expected");
        return;
    }
    struct weir_span name;
    struct weir_json_found element;
    size_t cursor = 0;
    int64_t before = 0;
    while (weir_json_next(reader->found[ALERTS].value, &cursor, &name, &element) == WEIR_OK) {
        int64_t percent = 0;
        if (budget->alert_count == WEIR_BUDGET_ALERTS) {
            wrong(reader, ALERTS, "there are more than 8");
            return;
        }
        if (element.kind != WEIR_JSON_NUMBER || weir_json_int64(element.value, &percent) != WEIR_OK ||
            percent <= before || percent > 100) {
            wrong(reader, ALERTS, "whole numbers from 1 to 100 are expected, each larger than the one before");
            return;
        }
        budget->alert_percents[budget->alert_count++] = (uint8_t)percent;
        before = percent;
    }
}

enum weir_status weir_budget_read(struct weir_arena *arena, struct weir_span id, struct weir_span text,
                                  struct weir_budget *budget, struct weir_error *error) {
    struct reader reader = {.arena = arena, .error = error, .wants = budget_members};
    struct weir_budget read = {.window = WEIR_WINDOW_MONTH};
    scan(&reader, text, BUDGET_MEMBERS);
    read.name = text_of(&reader, NAME, MAX_NAME_BYTES, "");
    read_scope(&reader, SCOPE, SCOPE_ID, &read.scope, &read.scope_id);
    struct weir_span window = text_of(&reader, WINDOW, MAX_ZONE_BYTES, NULL);
    if (reader.status == WEIR_OK && !weir_window_from_name(window, &read.window))
        wrong(&reader, WINDOW, "24h, day, week, month or total is expected");
    read.zone = text_of(&reader, ZONE, MAX_ZONE_BYTES, "UTC");
    read.limit_cu_milli = number_of(&reader, LIMIT, 0, INT64_MAX, -1);
    if (reader.status == WEIR_OK && read.limit_cu_milli < 0)
        wrong(&reader, LIMIT, "it is missing");
    read.hard = word_of(&reader, ENFORCEMENT, enforcements, "hard or soft is expected") == 0;
    read.on_exceeded = (enum weir_on_exceeded)word_of(&reader, ON_EXCEEDED, on_exceeded,
                                                      "refuse, clamp or wait is expected");
    read.wait_ms = number_of(&reader, WAIT_MS, 0, MAX_WAIT_MS, 2000);
    read.active = bool_of(&reader, ACTIVE, true);
    read_alerts(&reader, &read);
    if (reader.status == WEIR_OK && weir_arena_dup(arena, id, &read.id) != WEIR_OK)
        reader.status = weir_fail(error, WEIR_ENOMEM, "id: no memory");
    if (reader.status == WEIR_OK)
        *budget = read;
    return reader.status;
}

/* --- limits --- */

enum { FIRST_LIMIT = ACTIVE + 1, BURST = FIRST_LIMIT + WEIR_LIMIT_COUNT, LIMIT_MEMBERS };
static const struct weir_json_want limit_members[LIMIT_MEMBERS] = {
    [NAME] = {"name"},
    [SCOPE] = {"scope"},
    [SCOPE_ID] = {"scope_id"},
    [ACTIVE] = {"active"},
    [FIRST_LIMIT + WEIR_LIMIT_REQUESTS_PER_SECOND] = {"requests_per_second"},
    [FIRST_LIMIT + WEIR_LIMIT_REQUESTS_PER_MINUTE] = {"requests_per_minute"},
    [FIRST_LIMIT + WEIR_LIMIT_REQUESTS_PER_DAY] = {"requests_per_day"},
    [FIRST_LIMIT + WEIR_LIMIT_TOKENS_PER_MINUTE] = {"tokens_per_minute"},
    [FIRST_LIMIT + WEIR_LIMIT_TOKENS_PER_DAY] = {"tokens_per_day"},
    [FIRST_LIMIT + WEIR_LIMIT_CONCURRENT_REQUESTS] = {"concurrent_requests"},
    [FIRST_LIMIT + WEIR_LIMIT_CONCURRENT_STREAMS] = {"concurrent_streams"},
    [BURST] = {"burst_percent"},
};

enum weir_status weir_limit_read(struct weir_arena *arena, struct weir_span id, struct weir_span text,
                                 struct weir_limit_definition *limit, struct weir_error *error) {
    struct reader reader = {.arena = arena, .error = error, .wants = limit_members};
    struct weir_limit_definition read = {.scope = WEIR_SCOPE_GLOBAL};
    scan(&reader, text, LIMIT_MEMBERS);
    read.name = text_of(&reader, NAME, MAX_NAME_BYTES, "");
    read_scope(&reader, SCOPE, SCOPE_ID, &read.scope, &read.scope_id);
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
        read.limits.at[i] = number_of(&reader, FIRST_LIMIT + i, 0, INT64_MAX, -1);
    read.limits.burst_percent = number_of(&reader, BURST, 1, MAX_BURST_PERCENT, 100);
    read.active = bool_of(&reader, ACTIVE, true);
    if (reader.status == WEIR_OK && weir_arena_dup(arena, id, &read.id) != WEIR_OK)
        reader.status = weir_fail(error, WEIR_ENOMEM, "id: no memory");
    if (reader.status == WEIR_OK)
        *limit = read;
    return reader.status;
}

/* --- raises --- */

enum { KIND, AMOUNT, FROM, UNTIL, REASON, RAISE_MEMBERS };
static const struct weir_json_want raise_members[RAISE_MEMBERS] = {
    [KIND] = {"kind"},      [AMOUNT] = {"amount_cu_milli"}, [FROM] = {"from_at"},
    [UNTIL] = {"until_at"}, [REASON] = {"reason"},
};
static const char *const raise_kinds[] = {"raise", "top_up", "reset", NULL};

static int64_t time_of(struct reader *reader, size_t member) {
    int64_t utc_us = 0;
    struct weir_span text = text_of(reader, member, MAX_ZONE_BYTES, NULL);
    if (reader->status == WEIR_OK && weir_clock_parse_utc(text, &utc_us) != WEIR_OK)
        wrong(reader, member, "a time is expected (2026-11-21T13:29:00Z)");
    return utc_us;
}

enum weir_status weir_raise_read(struct weir_arena *arena, struct weir_span id, struct weir_span budget,
                                 struct weir_span text, struct weir_raise *raise, struct weir_error *error) {
    struct reader reader = {.arena = arena, .error = error, .wants = raise_members};
    struct weir_raise read = {.amount_cu_milli = 0};
    scan(&reader, text, RAISE_MEMBERS);
    size_t kind = word_of(&reader, KIND, raise_kinds, "raise, top_up or reset is expected");
    read.kind = weir_span_of_string(raise_kinds[kind]);
    read.amount_cu_milli = number_of(&reader, AMOUNT, 0, INT64_MAX, -1);
    if (reader.status == WEIR_OK && read.amount_cu_milli < 0)
        wrong(&reader, AMOUNT, "it is missing");
    read.from_utc_us = time_of(&reader, FROM);
    read.until_utc_us = time_of(&reader, UNTIL);
    if (reader.status == WEIR_OK && read.until_utc_us <= read.from_utc_us)
        wrong(&reader, UNTIL, "it is not behind from_at");
    read.reason = text_of(&reader, REASON, MAX_REASON_BYTES, "");
    if (reader.status == WEIR_OK &&
        (weir_arena_dup(arena, id, &read.id) != WEIR_OK || weir_arena_dup(arena, budget, &read.budget) != WEIR_OK))
        reader.status = weir_fail(error, WEIR_ENOMEM, "id: no memory");
    if (reader.status == WEIR_OK)
        *raise = read;
    return reader.status;
}

/* See budget_changes.h: what budgets and limits may be, and raises. */
#include "operator/budget_changes.h"

#include "base/clock.h"
#include "operator/budget_impl.h"
#include "operator/op_objects.h"

#include <stdarg.h>
#include <stdio.h>

enum { ID_DIGITS = 16, SECONDS_LONGEST = 366 * 86400 };
static const int64_t second_us = 1000000;
/* 9999-12-31: the end, in a text, of what has none. */
static const int64_t never_utc_us = INT64_C(253402214400) * 1000000;

static const struct operator__member budget_members[] = {
    {.name = "name", .is_id = true},
    {.name = "scope", .otherwise = "\"global\""},
    {.name = "scope_id", .otherwise = "\"\""},
    {.name = "window", .otherwise = "\"month\""},
    {.name = "zone", .otherwise = "\"UTC\""},
    {.name = "limit_cu_milli", .otherwise = "0"},
    {.name = "enforcement", .otherwise = "\"hard\""},
    {.name = "on_exceeded", .otherwise = "\"refuse\""},
    {.name = "wait_ms", .otherwise = "2000"},
    {.name = "alert_percents", .otherwise = "[50,80,95,100]"},
    {.name = "active", .otherwise = "true"},
    {.name = NULL},
};
static const struct operator__member limit_members[] = {
    {.name = "name", .is_id = true},
    {.name = "scope", .otherwise = "\"global\""},
    {.name = "scope_id", .otherwise = "\"\""},
    {.name = "requests_per_second", .otherwise = "null"},
    {.name = "requests_per_minute", .otherwise = "null"},
    {.name = "requests_per_day", .otherwise = "null"},
    {.name = "tokens_per_minute", .otherwise = "null"},
    {.name = "tokens_per_day", .otherwise = "null"},
    {.name = "concurrent_requests", .otherwise = "null"},
    {.name = "concurrent_streams", .otherwise = "null"},
    {.name = "burst_percent", .otherwise = "100"},
    {.name = "active", .otherwise = "true"},
    {.name = NULL},
};
const struct operator__member *operator__budget_members(void) {
    return budget_members;
}
const struct operator__member *operator__limit_members(void) {
    return limit_members;
}

/* --- refusing --- */

enum weir_status operator__budget_refuse(struct weir_budget_work *work, enum weir_reason reason, const char *field,
                                         const char *format, ...) {
    va_list arguments;
    work->reason = reason;
    (void)snprintf(work->field, sizeof work->field, "%s", field != NULL ? field : "");
    va_start(arguments, format);
    (void)vsnprintf(work->error.text, sizeof work->error.text, format, arguments);
    va_end(arguments);
    work->error.status = WEIR_EINVAL;
    return WEIR_EINVAL;
}

enum weir_status operator__budget_no_memory(struct weir_budget_work *work) {
    return weir_fail(&work->error, WEIR_ENOMEM, "no memory");
}

static void free_zones(void *argument) {
    struct weir_zones *zones = argument;
    weir_zones_free(&zones);
}

enum weir_status weir_budget_work_open(struct weir_budget_work *work) {
    enum weir_status status = weir_zones_new(NULL, &work->zones);
    if (status != WEIR_OK)
        return operator__budget_no_memory(work);
    status = weir_arena_defer(work->arena, free_zones, work->zones);
    if (status == WEIR_OK)
        return WEIR_OK;
    weir_zones_free(&work->zones);
    return operator__budget_no_memory(work);
}

/* --- what a scope's id names --- */

static enum weir_status get(struct weir_budget_work *work, enum weir_object_kind kind, struct weir_span parent,
                            struct weir_span id) {
    struct weir_object object;
    struct weir_error error = {.text = ""};
    enum weir_status status = work->store->object_get(work->engine, kind, parent, id, work->arena, &object, &error);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        work->error = error;
    return status;
}

enum weir_status operator__budget_family(struct weir_budget_work *work, struct weir_span key,
                                         struct weir_span *family) {
    struct weir_key_record record;
    struct weir_error error = {.text = ""};
    enum weir_status status = work->store->key_get(work->engine, key, work->arena, &record, &error);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        work->error = error;
    if (status == WEIR_OK)
        status = weir_arena_dup(work->arena, record.family.length > 0 ? record.family : weir_span_of_string(record.id),
                                family);
    return status;
}

struct search {
    struct weir_span section, name; /* "providers:" */
    bool found;
};

/* A revision's canonical text names each provider and model on a line of its own below its section. */
static enum weir_status search_revision(void *context, uint64_t number, struct weir_span hash, int64_t saved_utc_us,
                                        struct weir_span text) {
    struct search *search = context;
    struct weir_span line, before = WEIR_SPAN("- name: \"");
    bool inside = false;
    (void)number;
    (void)hash;
    (void)saved_utc_us;
    while (text.length > 0 && !search->found) {
        (void)weir_span_split(text, '\n', &line, &text);
        if (line.length > 0 && line.at[0] != ' ' && line.at[0] != '-')
            inside = weir_span_equal(line, search->section);
        else if (inside && weir_span_starts_with(line, before) &&
                 line.length == before.length + search->name.length + 1)
            search->found = weir_span_starts_with(weir_span_from(line, before.length), search->name);
    }
    return WEIR_END;
}

static enum weir_status is_configured(struct weir_budget_work *work, enum weir_scope scope, struct weir_span name,
                                      bool *is) {
    struct search search = {.section = scope == WEIR_SCOPE_MODEL ? WEIR_SPAN("models:") : WEIR_SPAN("providers:"),
                            .name = name};
    enum weir_status status = work->store->revision_list(work->engine, 0, 1, search_revision, &search, &work->error);
    *is = search.found;
    return status;
}

static enum weir_status is_there(struct weir_budget_work *work, enum weir_scope scope, struct weir_span *id) {
    struct weir_span workspace, inner;
    if (scope == WEIR_SCOPE_KEY)
        return operator__budget_family(work, *id, id);
    if (scope == WEIR_SCOPE_WORKSPACE)
        return get(work, WEIR_OBJECT_WORKSPACE, WEIR_SPAN(""), *id);
    if (!weir_span_split(*id, '/', &workspace, &inner))
        return WEIR_ENOTFOUND;
    return get(work, scope == WEIR_SCOPE_TEAM ? WEIR_OBJECT_TEAM : WEIR_OBJECT_USER, workspace, inner);
}

enum weir_status operator__budget_look_up(struct weir_budget_work *work, enum weir_scope scope, struct weir_span *id,
                                          struct weir_span *words, bool *certain) {
    bool in_revision = scope == WEIR_SCOPE_MODEL || scope == WEIR_SCOPE_PROVIDER, is = false;
    const char *made = "";
    enum weir_status status = WEIR_OK;
    *words = WEIR_SPAN("");
    *certain = !in_revision;
    if (scope == WEIR_SCOPE_GLOBAL || weir_span_equal(*id, WEIR_SPAN("*")))
        return WEIR_OK;
    if (in_revision)
        status = is_configured(work, scope, *id, &is);
    else
        status = is_there(work, scope, id);
    if (status == WEIR_OK && (is || !in_revision))
        return WEIR_OK;
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return status;
    if (scope == WEIR_SCOPE_MODEL)
        made = weir_arena_format(work->arena,
                                 "no model %.*s is in the settings: it counts where one that catches all serves it",
                                 WEIR_SPAN_PRINT(*id));
    else if (in_revision)
        made = weir_arena_format(work->arena, "no provider %.*s is in the settings", WEIR_SPAN_PRINT(*id));
    else if (scope != WEIR_SCOPE_KEY && scope != WEIR_SCOPE_WORKSPACE && weir_span_index(*id, '/') == id->length)
        made = weir_arena_format(work->arena, "a %s is named workspace/%s, like default/%.*s", weir_scope_name(scope),
                                 weir_scope_name(scope), WEIR_SPAN_PRINT(*id));
    else
        made = weir_arena_format(work->arena, "there is no %s %.*s", weir_scope_name(scope), WEIR_SPAN_PRINT(*id));
    if (made == NULL)
        return operator__budget_no_memory(work);
    *words = weir_span_of_string(made);
    return WEIR_OK;
}

enum weir_status weir_scope_oddity(struct weir_budget_work *work, enum weir_scope scope, struct weir_span id,
                                   struct weir_span *words) {
    bool certain = false;
    return operator__budget_look_up(work, scope, &id, words, &certain);
}

enum weir_status weir_scope_is_of(struct weir_budget_work *work, enum weir_scope scope, struct weir_span id,
                                  struct weir_span workspace, bool *is) {
    struct weir_key_record key;
    struct weir_error error = {.text = ""};
    struct weir_span head, rest;
    *is = false;
    if (scope == WEIR_SCOPE_WORKSPACE)
        *is = weir_span_equal(id, workspace);
    if (scope == WEIR_SCOPE_TEAM || scope == WEIR_SCOPE_USER)
        *is = weir_span_split(id, '/', &head, &rest) && weir_span_equal(head, workspace);
    if (scope != WEIR_SCOPE_KEY || weir_span_equal(id, WEIR_SPAN("*")))
        return WEIR_OK;
    enum weir_status status = work->store->key_get(work->engine, id, work->arena, &key, &error);
    if (status == WEIR_OK)
        *is = weir_span_equal(key.workspace, workspace);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        work->error = error;
    return status == WEIR_ENOTFOUND ? WEIR_OK : status;
}

/* --- what a budget or limit may be --- */

/* The words of a definition's reader begin with the member that is wrong: "alert_percents[1]: …". */
static enum weir_status refuse_as_read(struct weir_budget_work *work, enum weir_status status) {
    struct weir_span member, rest, text = weir_span_of_string(work->error.text);
    char field[64] = "", words[sizeof work->error.text];
    if (status == WEIR_ENOMEM)
        return operator__budget_no_memory(work);
    (void)weir_span_split(text, ':', &member, &rest);
    member = weir_span_first(member, weir_span_index(member, '['));
    if (rest.length > 0)
        (void)snprintf(field, sizeof field, "%.*s", (int)(member.length < 60 ? member.length : 60), member.at);
    (void)snprintf(words, sizeof words, "%s", work->error.text);
    return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, field, "%s", words);
}

/* The scope's id is of the form that the scope wants, and names what is there. Gives the fields with a key's family in the place of its id. */
static enum weir_status check_scope(struct weir_budget_work *work, enum weir_scope scope, struct weir_span id,
                                    yyjson_val **fields) {
    struct weir_span words, named = id, patch;
    bool certain = false;
    if (scope == WEIR_SCOPE_GLOBAL && id.length > 0)
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "scope_id",
                                       "the scope global is about everything: it has no scope_id");
    if (scope == WEIR_SCOPE_GLOBAL)
        return WEIR_OK;
    if (id.length == 0)
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "scope_id",
                                       "say which %s, or \"*\" for each of them", weir_scope_name(scope));
    enum weir_status status = operator__budget_look_up(work, scope, &named, &words, &certain);
    if (status != WEIR_OK)
        return status;
    if (words.length > 0 && certain)
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "scope_id", "%.*s", WEIR_SPAN_PRINT(words));
    if (weir_span_equal(named, id))
        return WEIR_OK;
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "scope_id", named);
    weir_json_write_end(&writer);
    status = weir_buffer_status(&out) == WEIR_OK ? weir_arena_dup(work->arena, weir_buffer_span(&out), &patch)
                                                 : WEIR_ENOMEM;
    weir_buffer_release(&out);
    if (status == WEIR_OK)
        *fields = operator__merge(work->arena, *fields, operator__json_read(work->arena, patch));
    return status == WEIR_OK && *fields != NULL ? WEIR_OK : operator__budget_no_memory(work);
}

static enum weir_status canonical(struct weir_budget_work *work, const struct operator__member *members,
                                  struct weir_span id, yyjson_val *fields, struct weir_span *text) {
    *text = operator__canonical(work->arena, members, fields, id);
    return text->length > 0 ? WEIR_OK : operator__budget_no_memory(work);
}

static enum weir_status check_budget(struct weir_budget_work *work, const struct weir_budget *budget) {
    const struct weir_zone *zone = NULL;
    bool is_calendar = budget->window != WEIR_WINDOW_ROLLING_24H && budget->window != WEIR_WINDOW_TOTAL;
    if (!is_calendar && !weir_span_equal(budget->zone, WEIR_SPAN("UTC")))
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "zone",
                                       "the window %s is the same everywhere: only day, week and month have a zone",
                                       weir_window_name(budget->window));
    if (!budget->hard && budget->on_exceeded != WEIR_ON_EXCEEDED_REFUSE)
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "on_exceeded",
                                       "a soft budget lets everything pass: clamp and wait are for hard ones");
    enum weir_status status = weir_zone_find(work->zones, budget->zone, &zone, &work->error);
    if (status == WEIR_ENOTFOUND || status == WEIR_EINVAL)
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "zone",
                                       "no time zone %.*s is known; expected one like UTC or Europe/Berlin",
                                       WEIR_SPAN_PRINT(budget->zone));
    return status;
}

enum weir_status weir_budget_text(struct weir_budget_work *work, struct weir_span id, struct yyjson_val *fields,
                                  bool scope_is_new, struct weir_span *text) {
    struct weir_budget budget;
    yyjson_val *with_family = fields;
    enum weir_status status = canonical(work, budget_members, id, fields, text);
    if (status != WEIR_OK)
        return status;
    status = weir_budget_read(work->arena, id, *text, &budget, &work->error);
    if (status != WEIR_OK)
        return refuse_as_read(work, status);
    status = check_budget(work, &budget);
    if (status == WEIR_OK && scope_is_new)
        status = check_scope(work, budget.scope, budget.scope_id, &with_family);
    return status == WEIR_OK ? canonical(work, budget_members, id, with_family, text) : status;
}

enum weir_status weir_limit_text(struct weir_budget_work *work, struct weir_span id, struct yyjson_val *fields,
                                 bool scope_is_new, struct weir_span *text) {
    struct weir_limit_definition limit;
    yyjson_val *with_family = fields;
    bool any = false;
    enum weir_status status = canonical(work, limit_members, id, fields, text);
    if (status != WEIR_OK)
        return status;
    status = weir_limit_read(work->arena, id, *text, &limit, &work->error);
    if (status != WEIR_OK)
        return refuse_as_read(work, status);
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
        any = any || limit.limits.at[i] >= 0;
    if (!any)
        return operator__budget_refuse(
            work, WEIR_REASON_FIELD_INVALID, "requests_per_minute",
            "a limit limits something: give one of requests_per_second, requests_per_minute, "
            "requests_per_day, tokens_per_minute, tokens_per_day, concurrent_requests, "
            "concurrent_streams");
    if (scope_is_new)
        status = check_scope(work, limit.scope, limit.scope_id, &with_family);
    return status == WEIR_OK ? canonical(work, limit_members, id, with_family, text) : status;
}

/* --- keeping one --- */

static enum weir_status new_id(struct weir_budget_work *work, struct weir_random *random, const char *prefix,
                               struct weir_span *id) {
    char digits[ID_DIGITS];
    weir_base62_random(random, digits, sizeof digits);
    const char *made = weir_arena_format(work->arena, "%s%.*s", prefix, (int)sizeof digits, digits);
    *id = weir_span_of_string(made);
    return made != NULL ? WEIR_OK : operator__budget_no_memory(work);
}

enum weir_status weir_definition_save(struct weir_budget_work *work, struct weir_random *random,
                                      enum weir_object_kind kind, struct weir_span id, struct weir_span patch,
                                      struct weir_object *object, struct weir_span *before) {
    bool is_budget = kind == WEIR_OBJECT_BUDGET, is_new = id.length == 0;
    yyjson_val *fields = operator__json_read(work->arena, patch), *was = NULL;
    enum weir_status status = fields != NULL ? WEIR_OK : operator__budget_no_memory(work);
    *before = WEIR_SPAN("");
    *object = (struct weir_object){.kind = kind, .created_utc_us = work->now_utc_us};
    if (status == WEIR_OK && is_new)
        status = new_id(work, random, is_budget ? "bud_" : "lim_", &object->id);
    if (status == WEIR_OK && !is_new) {
        status = work->store->object_get(work->engine, kind, WEIR_SPAN(""), id, work->arena, object, &work->error);
        if (status == WEIR_ENOTFOUND)
            return operator__budget_refuse(work, WEIR_REASON_NOT_THERE, NULL, "there is no %s %.*s",
                                           is_budget ? "budget" : "limit", WEIR_SPAN_PRINT(id));
        *before = object->text;
        was = status == WEIR_OK ? operator__json_read(work->arena, object->text) : NULL;
        fields = was != NULL ? operator__merge(work->arena, was, fields) : NULL;
        if (status == WEIR_OK && fields == NULL)
            status = operator__budget_no_memory(work);
    }
    if (status != WEIR_OK)
        return status;
    bool scope_is_new = was == NULL ||
                        !weir_span_equal(operator__field(was, "scope"), operator__field(fields, "scope")) ||
                        !weir_span_equal(operator__field(was, "scope_id"), operator__field(fields, "scope_id"));
    status = is_budget ? weir_budget_text(work, object->id, fields, scope_is_new, &object->text)
                       : weir_limit_text(work, object->id, fields, scope_is_new, &object->text);
    object->updated_utc_us = work->now_utc_us;
    if (status == WEIR_OK)
        status = is_new ? work->store->object_create(work->engine, object, &work->error)
                        : work->store->object_update(work->engine, object, object->version, &work->error);
    return status;
}

void weir_limit_write(struct weir_json_writer *writer, struct weir_arena *arena, const struct weir_object *object) {
    weir_json_member_string(writer, "id", object->id);
    operator__write_members(writer, limit_members, operator__json_read(arena, object->text), object->id);
    weir_operation_member_time(writer, "created_at", object->created_utc_us);
    weir_operation_member_time(writer, "updated_at", object->updated_utc_us);
    weir_json_member_int64(writer, "version", (int64_t)object->version);
}

/* --- raises --- */

int64_t weir_duration_read(struct weir_span text) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t number = 0;
    if (text.length < 2 || weir_span_to_uint64(weir_span_first(text, text.length - 1), &number) != WEIR_OK)
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (text.at[text.length - 1] == units[i].unit && number <= SECONDS_LONGEST)
            return (int64_t)number * units[i].seconds * second_us;
    return 0;
}

static void member_time(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    bool is_bound = utc_us != 0 && utc_us != INT64_MAX;
    weir_operation_member_time(writer, name, is_bound ? utc_us : 0);
}

static enum weir_status raise_text(struct weir_budget_work *work, const struct weir_raise *raise,
                                   struct weir_span *text) {
    struct weir_span budget, of;
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    if (weir_span_split(raise->budget, '/', &budget, &of))
        weir_json_member_string(&writer, "of", of); /* for who reads the audit trail */
    weir_json_member_string(&writer, "kind", raise->kind);
    weir_json_member_int64(&writer, "amount_cu_milli", raise->amount_cu_milli);
    member_time(&writer, "from_at", raise->from_utc_us);
    member_time(&writer, "until_at", raise->until_utc_us != INT64_MAX ? raise->until_utc_us : never_utc_us);
    weir_json_member_string(&writer, "reason", raise->reason);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&out);
    if (status == WEIR_OK)
        status = weir_arena_dup(work->arena, weir_buffer_span(&out), text);
    weir_buffer_release(&out);
    return status == WEIR_OK ? WEIR_OK : operator__budget_no_memory(work);
}

static enum weir_status make_raise(struct weir_budget_work *work, struct weir_random *random,
                                   struct weir_raise_found *raise, struct weir_span *text) {
    enum weir_status status = new_id(work, random, "raise_", &raise->raise.id);
    raise->created_utc_us = work->now_utc_us;
    if (status == WEIR_OK)
        status = raise_text(work, &raise->raise, text);
    if (status != WEIR_OK)
        return status;
    bool ends = raise->raise.until_utc_us != INT64_MAX;
    struct weir_object object = {.kind = WEIR_OBJECT_RAISE,
                                 .parent = raise->raise.budget,
                                 .id = raise->raise.id,
                                 .text = *text,
                                 .created_utc_us = work->now_utc_us,
                                 .updated_utc_us = work->now_utc_us,
                                 .expires_utc_us = ends ? raise->raise.until_utc_us : 0};
    return work->store->object_create(work->engine, &object, &work->error);
}

/* A raise needs an end; a top-up has the period's, a day where the window moves, and none where the budget is for ever. */
static enum weir_status end_of(struct weir_budget_work *work, const struct weir_budget_standing *standing,
                               const struct weir_raise_wish *wish, int64_t *until_utc_us) {
    bool is_top_up = weir_span_equal(wish->kind, WEIR_SPAN("top_up"));
    *until_utc_us = wish->until_utc_us;
    if (wish->until_utc_us == 0 && !is_top_up)
        return operator__budget_refuse(
            work, WEIR_REASON_FIELD_INVALID, "until_at",
            "a raise ends: say when (until_at or duration; --until on the command line). To let more be spent for good, "
            "change the limit");
    if (wish->until_utc_us == 0)
        *until_utc_us = standing->period.rolling ? work->now_utc_us + INT64_C(86400) * second_us
                                                 : standing->period.until_utc_us;
    else if (wish->until_utc_us <= work->now_utc_us)
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "until_at", "the end has passed already");
    else if (wish->until_utc_us - work->now_utc_us > WEIR_RAISE_LONGEST_US)
        return operator__budget_refuse(
            work, WEIR_REASON_FIELD_INVALID, "until_at",
            "a raise lasts 366 days at most. To let more be spent for good, change the limit");
    return WEIR_OK;
}

enum weir_status weir_raise_parent(struct weir_budget_work *work, const struct weir_budget_found *found,
                                   struct weir_span of, struct weir_span *parent) {
    *parent = found->budget.id;
    if (of.length == 0 || !weir_span_equal(found->budget.scope_id, WEIR_SPAN("*")))
        return WEIR_OK;
    const char *made = weir_arena_format(work->arena, "%.*s/%.*s", WEIR_SPAN_PRINT(found->budget.id),
                                         WEIR_SPAN_PRINT(of));
    *parent = weir_span_of_string(made);
    return made != NULL ? WEIR_OK : operator__budget_no_memory(work);
}

enum weir_status weir_budget_raise(struct weir_budget_work *work, struct weir_random *random,
                                   const struct weir_budget_found *found, const struct weir_raise_wish *wish,
                                   struct weir_raise_found *raise, struct weir_span *text) {
    struct weir_budget_standing standing;
    struct weir_span parent;
    int64_t until = 0;
    enum weir_status status = weir_budgets_stand(work, found, 1, wish->of, &standing);
    if (status == WEIR_OK)
        status = end_of(work, &standing, wish, &until);
    if (status == WEIR_OK)
        status = weir_raise_parent(work, found, wish->of, &parent);
    if (status != WEIR_OK)
        return status;
    if (wish->amount_cu_milli > WEIR_BUDGET_MOST - standing.limit)
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "amount_cu_milli",
                                       "with it the limit would be beyond %lld", (long long)WEIR_BUDGET_MOST);
    *raise = (struct weir_raise_found){.raise = {.budget = parent,
                                                 .kind = wish->kind,
                                                 .amount_cu_milli = wish->amount_cu_milli,
                                                 .from_utc_us = work->now_utc_us,
                                                 .until_utc_us = until,
                                                 .reason = wish->reason}};
    return make_raise(work, random, raise, text);
}

enum weir_status weir_budget_reset(struct weir_budget_work *work, struct weir_random *random,
                                   const struct weir_budget_found *found, struct weir_span of, struct weir_span reason,
                                   struct weir_raise_found *raise, struct weir_span *text) {
    struct weir_budget_standing standing;
    struct weir_span parent;
    if (found->budget.window == WEIR_WINDOW_ROLLING_24H)
        return operator__budget_refuse(work, WEIR_REASON_STATE_CONFLICT, NULL,
                                       "the last 24 hours move on by themselves: raise the budget instead");
    enum weir_status status = weir_budgets_stand(work, found, 1, of, &standing);
    if (status == WEIR_OK)
        status = weir_raise_parent(work, found, of, &parent);
    if (status != WEIR_OK)
        return status;
    if (!standing.is_known)
        return operator__budget_refuse(work, WEIR_REASON_FIELD_INVALID, "of",
                                       "the budget is for each %s, and each has spent something else: say of which one",
                                       weir_scope_name(found->budget.scope));
    if (standing.used == 0)
        return operator__budget_refuse(work, WEIR_REASON_STATE_CONFLICT, NULL,
                                       "nothing is used of it: there is nothing to reset");
    *raise = (struct weir_raise_found){.raise = {.budget = parent,
                                                 .kind = WEIR_SPAN("reset"),
                                                 .amount_cu_milli = standing.used,
                                                 .from_utc_us = work->now_utc_us,
                                                 .until_utc_us = standing.period.until_utc_us,
                                                 .reason = reason}};
    return make_raise(work, random, raise, text);
}

enum weir_status weir_raise_of_object(struct weir_budget_work *work, const struct weir_object *object,
                                      struct weir_raise_found *raise) {
    struct weir_span id, parent, text;
    enum weir_status status = weir_arena_dup(work->arena, object->id, &id);
    if (status == WEIR_OK)
        status = weir_arena_dup(work->arena, object->parent, &parent);
    if (status == WEIR_OK)
        status = weir_arena_dup(work->arena, object->text, &text);
    raise->created_utc_us = object->created_utc_us;
    if (status == WEIR_OK)
        status = weir_raise_read(work->arena, id, parent, text, &raise->raise, &work->error);
    if (status == WEIR_OK && raise->raise.until_utc_us >= never_utc_us)
        raise->raise.until_utc_us = INT64_MAX;
    return status == WEIR_EINVAL ? WEIR_ECORRUPT : status;
}

void weir_raise_write(struct weir_json_writer *writer, const struct weir_raise_found *raise, int64_t now_utc_us) {
    struct weir_span budget, of;
    bool in_effect = raise->raise.from_utc_us <= now_utc_us && now_utc_us < raise->raise.until_utc_us;
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", raise->raise.id);
    bool of_one = weir_span_split(raise->raise.budget, '/', &budget, &of);
    weir_json_member_string(writer, "budget", budget);
    weir_json_write_name(writer, "of");
    if (of_one)
        weir_json_write_string(writer, of);
    else
        weir_json_write_null(writer);
    weir_json_member_string(writer, "kind", raise->raise.kind);
    weir_json_member_int64(writer, "amount_cu_milli", raise->raise.amount_cu_milli);
    member_time(writer, "from_at", raise->raise.from_utc_us);
    member_time(writer, "until_at", raise->raise.until_utc_us);
    weir_json_member_string(writer, "reason", raise->raise.reason);
    weir_json_member_bool(writer, "in_effect", in_effect);
    member_time(writer, "created_at", raise->created_utc_us);
    weir_json_write_end(writer);
}

/* What a key may, read once from its JSON and asked for every request.
 *
 * Reading is strict, for a rule that is silently misread lets in what it should keep out: a member that is not known, or stands there twice, is
 * an error that names it. Asking allocates nothing, follows no recursion and takes time that is bounded by what was read: names have a
 * maximum, and so has the number of '*' in one.
 */
#include "identity/rules.h"

#include "base/limits.h"

#include <yyjson.h>

enum { SHOWN_BYTES = 60 };

static const char *const limit_names[WEIR_RULE_LIMIT_COUNT] = {
    [WEIR_RULE_REQUESTS_PER_SECOND] = "requests_per_second",
    [WEIR_RULE_REQUESTS_PER_MINUTE] = "requests_per_minute",
    [WEIR_RULE_TOKENS_PER_MINUTE] = "tokens_per_minute",
    [WEIR_RULE_CONCURRENT_REQUESTS] = "concurrent_requests",
    [WEIR_RULE_CU_MILLI_PER_DAY] = "cu_milli_per_day",
    [WEIR_RULE_CU_MILLI_PER_MONTH] = "cu_milli_per_month",
    [WEIR_RULE_CU_MILLI_TOTAL] = "cu_milli_total",
    [WEIR_RULE_REQUESTS_PER_DAY] = "requests_per_day",
    [WEIR_RULE_TOKENS_PER_DAY] = "tokens_per_day",
    [WEIR_RULE_CONCURRENT_STREAMS] = "concurrent_streams",
    [WEIR_RULE_BURST_PERCENT] = "burst_percent",
};

const char *weir_rule_limit_name(enum weir_rule_limit limit) {
    return limit_names[limit];
}

/* --- asking --- */

/* The pattern's part before the next '*' is looked for at the first place where it fits; when a later part does not fit, only the last '*' takes
 * one byte more. That finds a match where there is one, because what an earlier '*' could take instead the last one can take as well. */
static bool matches(struct weir_span pattern, struct weir_span name) {
    size_t p = 0, n = 0, after_star = SIZE_MAX, resume = 0;
    while (n < name.length) {
        if (p < pattern.length && pattern.at[p] == '*') {
            after_star = ++p;
            resume = n;
        } else if (p < pattern.length && pattern.at[p] == name.at[n]) {
            p++;
            n++;
        } else if (after_star != SIZE_MAX) {
            p = after_star;
            n = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.length && pattern.at[p] == '*')
        p++;
    return p == pattern.length;
}

bool weir_rule_list_allows(const struct weir_rule_list *list, struct weir_span name) {
    if (!list->restricts)
        return true;
    if (name.length > WEIR_MAX_RULE_NAME_BYTES) /* nothing of ours is called so; and time stays bounded */
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (matches(list->at[i], name))
            return true;
    return false;
}

/* --- reading --- */

struct reader {
    struct weir_arena *arena;
    struct weir_error *error;
};

static enum weir_status no_memory(const struct reader *reader) {
    return weir_fail(reader->error, WEIR_ENOMEM, "rules: no memory");
}

static int shown(size_t length) {
    return (int)(length < SHOWN_BYTES ? length : SHOWN_BYTES);
}

/* An array of strings; null counts as absent. */
static enum weir_status check_list(const struct reader *reader, const char *member, yyjson_val *value) {
    if (!yyjson_is_arr(value))
        return weir_fail(reader->error, WEIR_EINVAL, "rules.%s: a list of texts is expected, or null", member);
    if (yyjson_arr_size(value) > WEIR_MAX_RULE_NAMES)
        return weir_fail(reader->error, WEIR_EINVAL, "rules.%s: %zu entries, at most %zu are possible", member,
                         yyjson_arr_size(value), WEIR_MAX_RULE_NAMES);
    return WEIR_OK;
}

/* What is wrong with a name; NULL: nothing. */
static const char *name_problem(struct weir_span name) {
    size_t stars = 0;
    if (name.length == 0)
        return "it is empty";
    if (name.length > WEIR_MAX_RULE_NAME_BYTES)
        return "it is too long";
    for (size_t i = 0; i < name.length; i++) {
        unsigned char byte = (unsigned char)name.at[i];
        if (byte <= ' ' || byte == 0x7F)
            return "it has a space or a control character";
        stars += byte == '*';
    }
    return stars > WEIR_MAX_RULE_STARS ? "it has too many '*'" : NULL;
}

static enum weir_status read_names(const struct reader *reader, const char *member, yyjson_val *value,
                                   struct weir_rule_list *list) {
    enum weir_status status = check_list(reader, member, value);
    if (status != WEIR_OK)
        return status;
    size_t index, count;
    yyjson_val *item;
    bool allows_all = false;
    struct weir_span *names = weir_arena_array(reader->arena, yyjson_arr_size(value), sizeof *names);
    if (names == NULL)
        return no_memory(reader);
    yyjson_arr_foreach(value, index, count, item) {
        if (!yyjson_is_str(item))
            return weir_fail(reader->error, WEIR_EINVAL, "rules.%s[%zu]: a text is expected", member, index);
        struct weir_span name = weir_span_of(yyjson_get_str(item), yyjson_get_len(item));
        const char *problem = name_problem(name);
        if (problem != NULL)
            return weir_fail(reader->error, WEIR_EINVAL, "rules.%s[%zu]: '%.*s' is no name: %s", member, index,
                             shown(name.length), name.at, problem);
        if (weir_arena_dup(reader->arena, name, &names[index]) != WEIR_OK)
            return no_memory(reader);
        allows_all = allows_all || weir_span_equal(name, WEIR_SPAN("*"));
    }
    *list = (struct weir_rule_list){.restricts = !allows_all, .at = names, .count = yyjson_arr_size(value)};
    return WEIR_OK;
}

static enum weir_status read_addresses(const struct reader *reader, yyjson_val *value, struct weir_key_rules *rules) {
    enum weir_status status = check_list(reader, "addresses", value);
    if (status != WEIR_OK)
        return status;
    size_t index, count;
    yyjson_val *item;
    struct weir_network *networks = weir_arena_array(reader->arena, yyjson_arr_size(value), sizeof *networks);
    if (networks == NULL)
        return no_memory(reader);
    yyjson_arr_foreach(value, index, count, item) {
        if (!yyjson_is_str(item))
            return weir_fail(reader->error, WEIR_EINVAL, "rules.addresses[%zu]: a text is expected", index);
        struct weir_span text = weir_span_of(yyjson_get_str(item), yyjson_get_len(item));
        if (weir_network_parse(text, &networks[index]) != WEIR_OK)
            return weir_fail(
                reader->error, WEIR_EINVAL,
                "rules.addresses[%zu]: '%.*s' is neither an address nor a network (192.0.2.0/24, 2001:db8::/32)", index,
                shown(text.length), text.at);
    }
    rules->restricts_addresses = true;
    rules->addresses = (struct weir_networks){.at = networks, .count = yyjson_arr_size(value)};
    return WEIR_OK;
}

static enum weir_status read_limits(const struct reader *reader, yyjson_val *value, struct weir_key_rules *rules) {
    size_t index, count;
    yyjson_val *name, *number;
    bool seen[WEIR_RULE_LIMIT_COUNT] = {false};
    if (!yyjson_is_obj(value))
        return weir_fail(reader->error, WEIR_EINVAL, "rules.limits: an object is expected, or null");
    yyjson_obj_foreach(value, index, count, name, number) {
        size_t limit = 0;
        while (limit < WEIR_RULE_LIMIT_COUNT && !yyjson_equals_str(name, limit_names[limit]))
            limit++;
        if (limit == WEIR_RULE_LIMIT_COUNT)
            return weir_fail(reader->error, WEIR_EINVAL, "rules.limits.%.*s: there is no such limit",
                             shown(yyjson_get_len(name)), yyjson_get_str(name));
        if (seen[limit])
            return weir_fail(reader->error, WEIR_EINVAL, "rules.limits.%s: it is there twice", limit_names[limit]);
        seen[limit] = true;
        if (yyjson_is_null(number))
            continue;
        if (!yyjson_is_uint(number) || yyjson_get_uint(number) > INT64_MAX)
            return weir_fail(reader->error, WEIR_EINVAL,
                             "rules.limits.%s: a whole number that is not negative is expected, or null",
                             limit_names[limit]);
        rules->limits[limit] = (int64_t)yyjson_get_uint(number);
    }
    return WEIR_OK;
}

static const struct {
    const char *name;
    size_t list; /* offset of the weir_rule_list; SIZE_MAX: addresses or limits */
} members[] = {
    {"models", offsetof(struct weir_key_rules, models)},
    {"endpoints", offsetof(struct weir_key_rules, endpoints)},
    {"tools", offsetof(struct weir_key_rules, tools)},
    {"capabilities", offsetof(struct weir_key_rules, capabilities)},
    {"addresses", SIZE_MAX},
    {"limits", SIZE_MAX},
};
enum { MEMBER_COUNT = sizeof members / sizeof *members, LIMITS_MEMBER = MEMBER_COUNT - 1 };

static enum weir_status read_member(const struct reader *reader, size_t member, yyjson_val *value,
                                    struct weir_key_rules *rules) {
    if (yyjson_is_null(value))
        return WEIR_OK;
    if (members[member].list != SIZE_MAX)
        return read_names(reader, members[member].name, value,
                          (struct weir_rule_list *)(void *)((char *)rules + members[member].list));
    return member == LIMITS_MEMBER ? read_limits(reader, value, rules) : read_addresses(reader, value, rules);
}

static enum weir_status read_object(const struct reader *reader, yyjson_val *object, struct weir_key_rules *rules) {
    size_t index, count;
    yyjson_val *name, *value;
    bool seen[MEMBER_COUNT] = {false};
    if (!yyjson_is_obj(object))
        return weir_fail(reader->error, WEIR_EINVAL, "rules: an object is expected");
    yyjson_obj_foreach(object, index, count, name, value) {
        size_t member = 0;
        while (member < MEMBER_COUNT && !yyjson_equals_str(name, members[member].name))
            member++;
        if (member == MEMBER_COUNT)
            return weir_fail(reader->error, WEIR_EINVAL, "rules.%.*s: there is no such member",
                             shown(yyjson_get_len(name)), yyjson_get_str(name));
        if (seen[member])
            return weir_fail(reader->error, WEIR_EINVAL, "rules.%s: it is there twice", members[member].name);
        seen[member] = true;
        enum weir_status status = read_member(reader, member, value, rules);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status weir_key_rules_read(struct weir_arena *arena, struct weir_span json, struct weir_key_rules **rules,
                                     struct weir_error *error) {
    const struct reader reader = {.arena = arena, .error = error};
    struct weir_key_rules *made = weir_arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return no_memory(&reader);
    for (size_t i = 0; i < WEIR_RULE_LIMIT_COUNT; i++)
        made->limits[i] = -1;
    if (json.length > WEIR_MAX_RULES_BYTES)
        return weir_fail(error, WEIR_EINVAL, "rules: %zu bytes, at most %zu are possible", json.length,
                         WEIR_MAX_RULES_BYTES);
    if (json.length > 0) { /* nothing at all allows everything */
        yyjson_read_err problem;
        yyjson_doc *document = yyjson_read_opts((char *)(uintptr_t)json.at, json.length, YYJSON_READ_NOFLAG, NULL,
                                                &problem); /* which it does not write to without YYJSON_READ_INSITU */
        if (document == NULL)
            return problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION
                       ? no_memory(&reader)
                       : weir_fail(error, WEIR_EINVAL, "rules: no JSON at byte %zu: %s", problem.pos, problem.msg);
        enum weir_status status = read_object(&reader, yyjson_doc_get_root(document), made);
        yyjson_doc_free(document);
        if (status != WEIR_OK)
            return status;
    }
    *rules = made;
    return WEIR_OK;
}

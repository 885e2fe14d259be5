/* See schema.h. The walk is as deep as the schema, which is ours, and never deeper than MAX_DEPTH.
 *
 * A place is kept as a chain of steps on the stack and written out only when something is wrong. Patterns are POSIX extended expressions, run on texts of
 * bounded length: what is longer than MAX_PATTERN_BYTES does not match.
 */
#include "json/schema.h"

#include "json/impl.h"
#include "base/clock.h"
#include "base/ids.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 64, MAX_PATTERN_BYTES = 4096, MAX_SHOWN_BYTES = 40, MAX_UNIQUE_ITEMS = 1000 };

struct step {
    const struct step *before;
    const char *name; /* NULL: an element */
    size_t index;
};

struct walk {
    yyjson_val *document;
    struct weir_schema_problem *problem;
    unsigned depth;
    bool is_secret; /* the schema's format is "password": no problem shows the value */
};

/* --- telling --- */

static void write_place(const struct step *step, char *out, size_t size) {
    const struct step *steps[MAX_DEPTH + 1];
    size_t count = 0, length = 0;
    for (; step != NULL && count < MAX_DEPTH; step = step->before)
        steps[count++] = step;
    out[0] = '\0';
    while (count-- > 0 && length + 1 < size) {
        int written = steps[count]->name != NULL
                          ? snprintf(out + length, size - length, "%s%.60s", length > 0 ? "." : "", steps[count]->name)
                          : snprintf(out + length, size - length, "[%zu]", steps[count]->index);
        length += written > 0 ? (size_t)written : 0;
    }
}

static void show(yyjson_val *value, char *out, size_t size) {
    if (yyjson_is_str(value)) {
        size_t length = yyjson_get_len(value);
        bool is_long = length > MAX_SHOWN_BYTES;
        length = is_long ? MAX_SHOWN_BYTES : length;
        while (is_long && length > 0 && json__is_continuation(yyjson_get_str(value)[length]))
            length--; /* not within a character */
        (void)snprintf(out, size, "\"%.*s%s\"", (int)length, yyjson_get_str(value), is_long ? "…" : "");
    } else if (yyjson_is_sint(value)) {
        (void)snprintf(out, size, "%lld", (long long)yyjson_get_sint(value));
    } else if (yyjson_is_uint(value)) {
        (void)snprintf(out, size, "%llu", (unsigned long long)yyjson_get_uint(value));
    } else if (yyjson_is_real(value)) {
        (void)snprintf(out, size, "%.17g", yyjson_get_real(value));
    } else {
        (void)snprintf(out, size, "%s",
                       yyjson_is_obj(value)    ? "an object"
                       : yyjson_is_arr(value)  ? "an array"
                       : yyjson_is_null(value) ? "null"
                       : yyjson_is_true(value) ? "true"
                                               : "false");
    }
}

static enum weir_status wrong(const struct walk *walk, const struct step *at, yyjson_val *value, const char *expected) {
    char shown[4 * MAX_SHOWN_BYTES];
    write_place(at, walk->problem->member, sizeof walk->problem->member);
    walk->problem->is_missing = false;
    if (walk->is_secret) {
        (void)snprintf(walk->problem->text, sizeof walk->problem->text, "expected %.170s", expected);
        return WEIR_EINVAL;
    }
    show(value, shown, sizeof shown);
    (void)snprintf(walk->problem->text, sizeof walk->problem->text, "expected %.170s, got %.100s", expected, shown);
    return WEIR_EINVAL;
}

/* --- single keywords --- */

static const char *with_article(const char *type) {
    static const char *const names[] = {"an object", "an array",      "a string", "an integer",
                                        "a number",  "true or false", "null"};
    static const char *const types[] = {"object", "array", "string", "integer", "number", "boolean", "null"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], type) == 0)
            return names[i];
    return type;
}

/* A real number past 2^53 is whole. */
static bool is_whole(yyjson_val *value) {
    const double exact = 9007199254740992.0;
    double real = yyjson_get_real(value);
    return yyjson_is_int(value) ||
           (yyjson_is_real(value) && (real >= exact || real <= -exact || (double)(int64_t)real == real));
}

static bool is_of_type(yyjson_val *value, const char *type) {
    return strcmp(type, "object") == 0    ? yyjson_is_obj(value)
           : strcmp(type, "array") == 0   ? yyjson_is_arr(value)
           : strcmp(type, "string") == 0  ? yyjson_is_str(value)
           : strcmp(type, "integer") == 0 ? is_whole(value)
           : strcmp(type, "number") == 0  ? yyjson_is_num(value)
           : strcmp(type, "boolean") == 0 ? yyjson_is_bool(value)
           : strcmp(type, "null") == 0    ? yyjson_is_null(value)
                                          : false;
}

/* "an integer >= 1", "a string or null": what a schema asks for in a few words. */
static void expect(yyjson_val *schema, char *out, size_t size) {
    yyjson_val *type = yyjson_obj_get(schema, "type");
    size_t length = 0, index, count;
    yyjson_val *one;
    out[0] = '\0';
    if (yyjson_is_str(type))
        length = (size_t)snprintf(out, size, "%s", with_article(yyjson_get_str(type)));
    yyjson_arr_foreach(type, index, count, one) if (length < size)
        length += (size_t)snprintf(out + length, size - length, "%s%s", index > 0 ? " or " : "",
                                   with_article(yyjson_get_str(one)));
    yyjson_val *minimum = yyjson_obj_get(schema, "minimum"), *maximum = yyjson_obj_get(schema, "maximum");
    char text[4 * MAX_SHOWN_BYTES];
    if (minimum != NULL && length < size) {
        show(minimum, text, sizeof text);
        length += (size_t)snprintf(out + length, size - length, " >= %s", text);
    }
    if (maximum != NULL && length < size) {
        show(maximum, text, sizeof text);
        (void)snprintf(out + length, size - length, "%s <= %s", minimum != NULL ? " and" : "", text);
    }
}

static enum weir_status check_type(const struct walk *walk, yyjson_val *schema, yyjson_val *value,
                                   const struct step *at) {
    yyjson_val *type = yyjson_obj_get(schema, "type"), *one;
    size_t index, count;
    if (type == NULL || (yyjson_is_str(type) && is_of_type(value, yyjson_get_str(type))))
        return WEIR_OK;
    yyjson_arr_foreach(type, index, count, one) if (is_of_type(value, yyjson_get_str(one))) return WEIR_OK;
    char expected[200];
    expect(schema, expected, sizeof expected);
    return wrong(walk, at, value, expected);
}

static double real_of(yyjson_val *value) {
    return yyjson_get_num(value);
}

/* -1, 0, 1. Integers exactly: a double has no room for the large ones. */
static int compare_numbers(yyjson_val *a, yyjson_val *b) {
    if (yyjson_is_int(a) && yyjson_is_int(b)) {
        bool a_negative = yyjson_is_sint(a) && yyjson_get_sint(a) < 0;
        bool b_negative = yyjson_is_sint(b) && yyjson_get_sint(b) < 0;
        if (a_negative != b_negative)
            return a_negative ? -1 : 1;
        if (a_negative)
            return (yyjson_get_sint(a) > yyjson_get_sint(b)) - (yyjson_get_sint(a) < yyjson_get_sint(b));
        uint64_t x = yyjson_get_uint(a), y = yyjson_get_uint(b);
        return (x > y) - (x < y);
    }
    return (real_of(a) > real_of(b)) - (real_of(a) < real_of(b));
}

/* As JSON Schema has it: 1 and 1.0 are the same, the order of members does not count. */
static bool is_same(yyjson_val *a, yyjson_val *b, unsigned depth) {
    if (depth > MAX_DEPTH)
        return false;
    if (yyjson_is_num(a) && yyjson_is_num(b))
        return compare_numbers(a, b) == 0;
    if (yyjson_get_type(a) != yyjson_get_type(b))
        return false;
    if (yyjson_is_str(a))
        return yyjson_equals_strn(a, yyjson_get_str(b), yyjson_get_len(b));
    if (yyjson_is_bool(a))
        return yyjson_get_bool(a) == yyjson_get_bool(b);
    if (yyjson_is_arr(a)) {
        size_t index, count;
        yyjson_val *one, *other = yyjson_arr_get_first(b);
        if (yyjson_arr_size(a) != yyjson_arr_size(b))
            return false;
        yyjson_arr_foreach(a, index, count, one) {
            if (!is_same(one, other, depth + 1))
                return false;
            other = unsafe_yyjson_get_next(other);
        }
        return true;
    }
    if (yyjson_is_obj(a)) {
        size_t index, count;
        yyjson_val *name, *one;
        if (yyjson_obj_size(a) != yyjson_obj_size(b))
            return false;
        yyjson_obj_foreach(a, index, count, name, one) {
            yyjson_val *other = yyjson_obj_getn(b, yyjson_get_str(name), yyjson_get_len(name));
            if (other == NULL || !is_same(one, other, depth + 1))
                return false;
        }
        return true;
    }
    return true; /* null */
}

static enum weir_status check_choices(const struct walk *walk, yyjson_val *schema, yyjson_val *value,
                                      const struct step *at) {
    yyjson_val *choices = yyjson_obj_get(schema, "enum"), *only = yyjson_obj_get(schema, "const"), *one;
    size_t index, count, length = 0;
    char expected[200] = "one of", shown[4 * MAX_SHOWN_BYTES];
    if (only != NULL && !is_same(only, value, 0)) {
        show(only, shown, sizeof shown);
        return wrong(walk, at, value, shown);
    }
    if (choices == NULL)
        return WEIR_OK;
    yyjson_arr_foreach(choices, index, count, one) if (is_same(one, value, 0)) return WEIR_OK;
    length = strlen(expected);
    yyjson_arr_foreach(choices, index, count, one) {
        show(one, shown, sizeof shown);
        if (length < sizeof expected)
            length += (size_t)snprintf(expected + length, sizeof expected - length, "%s %s", index > 0 ? "," : "",
                                       shown);
    }
    return wrong(walk, at, value, expected);
}

static bool matches(const char *pattern, struct weir_span text) {
    regex_t expression;
    char copy[MAX_PATTERN_BYTES + 1];
    if (text.length > MAX_PATTERN_BYTES || weir_span_to_string(text, copy, sizeof copy) != WEIR_OK ||
        regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool found = regexec(&expression, copy, 0, NULL, 0) == 0;
    regfree(&expression);
    return found;
}

/* A second of its own stands at the end of a UTC day alone. */
static bool is_date_time(struct weir_span text) {
    const int64_t second_us = 1000000, day_us = 86400 * second_us;
    int64_t utc_us;
    if (text.length < 20 || (text.at[10] != 'T' && text.at[10] != 't') ||
        weir_clock_parse_utc(text, &utc_us) != WEIR_OK)
        return false;
    bool is_leap = weir_span_equal(weir_span_of(text.at + 17, 2), WEIR_SPAN("60"));
    return !is_leap || (utc_us % day_us + day_us) % day_us < second_us;
}

static bool is_of_format(const char *format, struct weir_span text) {
    int64_t utc_us;
    struct weir_uuid uuid;
    if (strcmp(format, "date-time") == 0)
        return is_date_time(text);
    if (strcmp(format, "date") == 0)
        return text.length == 10 && weir_clock_parse_utc(text, &utc_us) == WEIR_OK;
    if (strcmp(format, "uuid") == 0)
        return weir_uuid_parse(text, &uuid) == WEIR_OK;
    return true;
}

static size_t characters(struct weir_span text) {
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += !json__is_continuation(text.at[i]);
    return count;
}

/* A limit of the schema, or `otherwise` where it names none. */
static uint64_t limit_of(yyjson_val *schema, const char *name, uint64_t otherwise) {
    yyjson_val *limit = yyjson_obj_get(schema, name);
    if (yyjson_is_real(limit) && yyjson_get_real(limit) >= 0 && yyjson_get_real(limit) < 1e15)
        return (uint64_t)yyjson_get_real(limit);
    return yyjson_is_uint(limit) ? yyjson_get_uint(limit) : otherwise;
}

static enum weir_status check_size(const struct walk *walk, yyjson_val *schema, const char *least, const char *most,
                                   uint64_t size, const char *what, yyjson_val *value, const struct step *at) {
    uint64_t minimum = limit_of(schema, least, 0), maximum = limit_of(schema, most, UINT64_MAX);
    char expected[100];
    if (size >= minimum && size <= maximum)
        return WEIR_OK;
    (void)snprintf(expected, sizeof expected, "%s %llu %s", size < minimum ? "at least" : "at most",
                   (unsigned long long)(size < minimum ? minimum : maximum), what);
    return wrong(walk, at, value, expected);
}

static enum weir_status check_string(const struct walk *walk, yyjson_val *schema, yyjson_val *value,
                                     const struct step *at) {
    struct weir_span text = weir_span_of(yyjson_get_str(value), yyjson_get_len(value));
    enum weir_status status = check_size(walk, schema, "minLength", "maxLength", characters(text), "characters", value,
                                         at);
    yyjson_val *pattern = yyjson_obj_get(schema, "pattern"), *format = yyjson_obj_get(schema, "format");
    char expected[160];
    if (status == WEIR_OK && yyjson_is_str(pattern) && !matches(yyjson_get_str(pattern), text)) {
        const char *words = yyjson_get_str(
            yyjson_obj_get(schema, "x-words")); /* a schema's own, for those who read no patterns */
        (void)snprintf(expected, sizeof expected, "%s%.120s", words != NULL ? "" : "a text like ",
                       words != NULL ? words : yyjson_get_str(pattern));
        return wrong(walk, at, value, expected);
    }
    if (status == WEIR_OK && yyjson_is_str(format) && !is_of_format(yyjson_get_str(format), text)) {
        (void)snprintf(expected, sizeof expected, "a %.40s", yyjson_get_str(format));
        return wrong(walk, at, value, expected);
    }
    return status;
}

static enum weir_status check_number(const struct walk *walk, yyjson_val *schema, yyjson_val *value,
                                     const struct step *at) {
    yyjson_val *minimum = yyjson_obj_get(schema, "minimum"), *maximum = yyjson_obj_get(schema, "maximum");
    char expected[200];
    if ((minimum == NULL || compare_numbers(value, minimum) >= 0) &&
        (maximum == NULL || compare_numbers(value, maximum) <= 0))
        return WEIR_OK;
    expect(schema, expected, sizeof expected);
    return wrong(walk, at, value, expected);
}

/* --- walking --- */

static enum weir_status check(struct walk *walk, yyjson_val *schema, yyjson_val *value, const struct step *at);

static enum weir_status check_required(const struct walk *walk, yyjson_val *schema, yyjson_val *value,
                                       const struct step *at) {
    yyjson_val *required = yyjson_obj_get(schema, "required"), *name;
    size_t index, count;
    yyjson_arr_foreach(required, index, count, name) {
        if (yyjson_obj_getn(value, yyjson_get_str(name), yyjson_get_len(name)) != NULL)
            continue;
        const struct step step = {.before = at, .name = yyjson_get_str(name)};
        write_place(&step, walk->problem->member, sizeof walk->problem->member);
        walk->problem->is_missing = true;
        (void)snprintf(walk->problem->text, sizeof walk->problem->text, "it is required");
        return WEIR_EINVAL;
    }
    return WEIR_OK;
}

static enum weir_status unknown_member(const struct walk *walk, const struct step *at) {
    write_place(at, walk->problem->member, sizeof walk->problem->member);
    walk->problem->is_missing = false;
    (void)snprintf(walk->problem->text, sizeof walk->problem->text, "there is no such member here");
    return WEIR_EINVAL;
}

static enum weir_status check_object(struct walk *walk, yyjson_val *schema, yyjson_val *value, const struct step *at) {
    yyjson_val *properties = yyjson_obj_get(schema, "properties"),
               *others = yyjson_obj_get(schema, "additionalProperties");
    yyjson_val *names = yyjson_obj_get(schema, "propertyNames"), *name, *member;
    size_t index, count;
    enum weir_status status = check_size(walk, schema, "minProperties", "maxProperties", yyjson_obj_size(value),
                                         "members", value, at);
    /* Before what is missing: a misspelt name is told as what it is. */
    yyjson_obj_foreach(value, index, count, name, member) {
        const struct step step = {.before = at, .name = yyjson_get_str(name)};
        if (status == WEIR_OK && yyjson_is_false(others) &&
            yyjson_obj_getn(properties, yyjson_get_str(name), yyjson_get_len(name)) == NULL)
            status = unknown_member(walk, &step);
    }
    if (status == WEIR_OK)
        status = check_required(walk, schema, value, at);
    yyjson_obj_foreach(value, index, count, name, member) {
        if (status != WEIR_OK)
            break;
        const struct step step = {.before = at, .name = yyjson_get_str(name)};
        yyjson_val *rule = yyjson_obj_getn(properties, yyjson_get_str(name), yyjson_get_len(name));
        if (rule == NULL)
            rule = others;
        if (names != NULL)
            status = check(walk, names, name, &step);
        if (status == WEIR_OK && rule != NULL)
            status = check(walk, rule, member, &step);
    }
    return status;
}

static enum weir_status check_unique(const struct walk *walk, yyjson_val *value, const struct step *at) {
    size_t count = yyjson_arr_size(value);
    if (count > MAX_UNIQUE_ITEMS)
        return wrong(walk, at, value, "at most 1000 items, all different");
    yyjson_val *one = yyjson_arr_get_first(value);
    for (size_t i = 0; i < count; i++, one = unsafe_yyjson_get_next(one)) {
        yyjson_val *other = unsafe_yyjson_get_next(one);
        for (size_t j = i + 1; j < count; j++, other = unsafe_yyjson_get_next(other)) {
            const struct step step = {.before = at, .index = j};
            if (is_same(one, other, 0))
                return wrong(walk, &step, other, "items that are all different");
        }
    }
    return WEIR_OK;
}

static enum weir_status check_array(struct walk *walk, yyjson_val *schema, yyjson_val *value, const struct step *at) {
    yyjson_val *items = yyjson_obj_get(schema, "items"), *item;
    size_t index, count;
    enum weir_status status = check_size(walk, schema, "minItems", "maxItems", yyjson_arr_size(value), "items", value,
                                         at);
    if (status == WEIR_OK && yyjson_is_true(yyjson_obj_get(schema, "uniqueItems")))
        status = check_unique(walk, value, at);
    if (items == NULL)
        return status;
    yyjson_arr_foreach(value, index, count, item) {
        const struct step step = {.before = at, .index = index};
        if (status != WEIR_OK)
            break;
        status = check(walk, items, item, &step);
    }
    return status;
}

/* Of several that all fail, the one that got furthest says what is wrong: where the value is of its type. */
static enum weir_status check_alternatives(struct walk *walk, yyjson_val *alternatives, bool exactly_one,
                                           yyjson_val *value, const struct step *at) {
    struct weir_schema_problem best = {.text = ""}, *told = walk->problem;
    size_t index, count, fits = 0;
    yyjson_val *one;
    yyjson_arr_foreach(alternatives, index, count, one) {
        struct weir_schema_problem problem = {.text = ""};
        walk->problem = &problem;
        if (check(walk, one, value, at) == WEIR_OK)
            fits++;
        else if (best.text[0] == '\0' || strlen(problem.member) > strlen(best.member))
            best = problem;
        walk->problem = told;
    }
    if (fits == 1 || (fits > 1 && !exactly_one))
        return WEIR_OK;
    if (fits > 1)
        return wrong(walk, at, value, "a value that fits one alternative alone");
    if (best.text[0] == '\0') /* there are none */
        return wrong(walk, at, value, "nothing");
    *told = best;
    return WEIR_EINVAL;
}

static enum weir_status check_here(struct walk *walk, yyjson_val *schema, yyjson_val *value, const struct step *at) {
    yyjson_val *reference = yyjson_obj_get(schema, "$ref");
    yyjson_val *any = yyjson_obj_get(schema, "anyOf"), *one = yyjson_obj_get(schema, "oneOf");
    enum weir_status status = check_type(walk, schema, value, at);
    if (status == WEIR_OK)
        status = check_choices(walk, schema, value, at);
    if (status == WEIR_OK && yyjson_is_str(value))
        status = check_string(walk, schema, value, at);
    if (status == WEIR_OK && yyjson_is_num(value))
        status = check_number(walk, schema, value, at);
    if (status == WEIR_OK && yyjson_is_obj(value))
        status = check_object(walk, schema, value, at);
    if (status == WEIR_OK && yyjson_is_arr(value))
        status = check_array(walk, schema, value, at);
    if (status == WEIR_OK && any != NULL)
        status = check_alternatives(walk, any, false, value, at);
    if (status == WEIR_OK && one != NULL)
        status = check_alternatives(walk, one, true, value, at);
    if (status == WEIR_OK && yyjson_is_str(reference)) {
        yyjson_val *named = weir_schema_find(walk->document, yyjson_get_str(reference));
        status = named != NULL ? check(walk, named, value, at) : wrong(walk, at, value, "a schema that is there");
    }
    return status;
}

static enum weir_status check(struct walk *walk, yyjson_val *schema, yyjson_val *value, const struct step *at) {
    if (yyjson_is_false(schema))
        return wrong(walk, at, value, "nothing");
    if (!yyjson_is_obj(schema))
        return WEIR_OK;
    if (walk->depth >= MAX_DEPTH)
        return wrong(walk, at, value, "fewer levels");
    bool was_secret = walk->is_secret;
    walk->is_secret = was_secret || yyjson_equals_str(yyjson_obj_get(schema, "format"), "password");
    walk->depth++;
    enum weir_status status = check_here(walk, schema, value, at);
    walk->depth--;
    walk->is_secret = was_secret;
    return status;
}

/* A reference is a URI's fragment: percent-coded outside what a pointer is made of. */
yyjson_val *weir_schema_find(yyjson_val *document, const char *pointer) {
    char decoded[256];
    size_t length = 0;
    if (pointer[0] != '#')
        return NULL;
    for (const char *at = pointer + 1; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (*at == '%') {
            if (weir_hex_parse(weir_span_of(at + 1, strnlen(at + 1, 2)), &byte, 1) != WEIR_OK)
                return NULL;
            at += 2;
        }
        if (length == sizeof decoded)
            return NULL;
        decoded[length++] = (char)byte;
    }
    return length == 0 ? document : yyjson_ptr_getn(document, decoded, length);
}

enum weir_status weir_schema_check(yyjson_val *document, yyjson_val *schema, yyjson_val *value,
                                   struct weir_schema_problem *problem) {
    struct walk walk = {.document = document, .problem = problem};
    *problem = (struct weir_schema_problem){.text = ""};
    return check(&walk, schema, value, NULL);
}

/* --- reading --- */

bool weir_json_is_text(struct weir_span text) {
    const char *at = text.at, *end = text.at + text.length;
    while (at < end) {
        size_t length = (unsigned char)*at >= 0x80 ? json__utf8_length(at, end) : *at != '\0';
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

static int compare_names(const void *a, const void *b) {
    yyjson_val *const *left = a, *const *right = b;
    size_t left_length = yyjson_get_len(*left), right_length = yyjson_get_len(*right);
    if (left_length != right_length)
        return left_length < right_length ? -1 : 1;
    return memcmp(yyjson_get_str(*left), yyjson_get_str(*right), left_length);
}

static enum weir_status check_names(struct weir_arena *arena, yyjson_val *object, const struct step *at,
                                    struct weir_schema_problem *problem) {
    size_t index, count;
    yyjson_val *name, *member;
    yyjson_val **names = weir_arena_array(arena, yyjson_obj_size(object), sizeof *names);
    if (names == NULL)
        return WEIR_ENOMEM;
    yyjson_obj_foreach(object, index, count, name, member) {
        (void)member;
        names[index] = name;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (compare_names(&names[i - 1], &names[i]) != 0)
            continue;
        const struct step step = {.before = at, .name = yyjson_get_str(names[i])};
        write_place(&step, problem->member, sizeof problem->member);
        (void)snprintf(problem->text, sizeof problem->text, "it stands twice");
        return WEIR_EEXIST;
    }
    return WEIR_OK;
}

static enum weir_status check_texts(struct weir_arena *arena, yyjson_val *value, const struct step *at,
                                    struct weir_schema_problem *problem) {
    size_t index, count;
    yyjson_val *name, *member;
    enum weir_status status = WEIR_OK;
    if (yyjson_is_str(value) && memchr(yyjson_get_str(value), '\0', yyjson_get_len(value)) != NULL) {
        write_place(at, problem->member, sizeof problem->member);
        (void)snprintf(problem->text, sizeof problem->text, "a NUL character is not taken");
        return WEIR_EINVAL;
    }
    yyjson_arr_foreach(value, index, count, member) {
        const struct step step = {.before = at, .index = index};
        if (status == WEIR_OK)
            status = check_texts(arena, member, &step, problem);
    }
    if (yyjson_is_obj(value))
        status = check_names(arena, value, at, problem);
    yyjson_obj_foreach(value, index, count, name, member) {
        const struct step step = {.before = at, .name = yyjson_get_str(name)};
        if (status == WEIR_OK)
            status = check_texts(arena, name, &step, problem);
        if (status == WEIR_OK)
            status = check_texts(arena, member, &step, problem);
    }
    return status;
}

enum weir_status weir_json_read(struct weir_arena *arena, struct weir_span text, yyjson_doc **document,
                                struct weir_schema_problem *problem) {
    struct weir_json_problem scanned = {.text = ""};
    *problem = (struct weir_schema_problem){.text = ""};
    enum weir_status status = weir_json_scan(text, NULL, 0, NULL, NULL, &scanned);
    if (status != WEIR_OK) {
        (void)snprintf(problem->text, sizeof problem->text, "%s at byte %zu", scanned.text, scanned.offset);
        return status;
    }
    size_t needed = yyjson_read_max_memory_usage(text.length, YYJSON_READ_NOFLAG);
    char *memory = weir_arena_alloc_raw(arena, needed), *copy = weir_arena_string(arena, text);
    yyjson_alc allocator;
    yyjson_read_err error;
    if (memory == NULL || copy == NULL || !yyjson_alc_pool_init(&allocator, memory, needed))
        return WEIR_ENOMEM;
    yyjson_doc *read = yyjson_read_opts(copy, text.length, YYJSON_READ_NOFLAG, &allocator, &error);
    if (read == NULL) {
        (void)snprintf(problem->text, sizeof problem->text, "%s at byte %zu", error.msg, error.pos);
        return error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? WEIR_ENOMEM : WEIR_EINVAL;
    }
    status = check_texts(arena, yyjson_doc_get_root(read), NULL, problem);
    if (status == WEIR_OK)
        *document = read;
    return status;
}

/* --- documents in an arena --- */

static void *arena_malloc(void *arena, size_t size) {
    return weir_arena_alloc_raw(arena, size);
}

static void *arena_realloc(void *arena, void *memory, size_t old_size, size_t size) {
    if (size <= old_size)
        return memory;
    void *larger = weir_arena_alloc_raw(arena, size);
    if (larger != NULL)
        memcpy(larger, memory, old_size);
    return larger;
}

static void arena_free(void *arena, void *memory) {
    (void)arena;
    (void)memory;
}

yyjson_alc weir_json_allocator(struct weir_arena *arena) {
    return (yyjson_alc){.malloc = arena_malloc, .realloc = arena_realloc, .free = arena_free, .ctx = arena};
}

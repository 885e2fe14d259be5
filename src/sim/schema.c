/* See schema.h. Recursive schemas end because optional members, free arrays and all alternatives but null are left out
 * from a certain depth on; a hard limit ends those that cannot be ended well. */
#include "sim/schema.h"

#include "json/write.h"

#include <yyjson.h>

enum { JSON_MAX_BYTES = 4 * 1024 * 1024 };
enum { SHALLOW_DEPTH = 6, MAX_DEPTH = 24, MAX_REFERENCES = 16, MAX_ITEMS = 16, MAX_TEXT = 1024, MAX_VALUES = 2000 };

struct walk {
    yyjson_val *root;
    struct weir_json_writer writer;
    uint64_t seed;
    size_t values; /* written so far: a wide recursive schema ends too */
};

static struct weir_span text_of(yyjson_val *value) {
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

static bool is_text(yyjson_val *value, const char *text) {
    return weir_span_equal(text_of(value), weir_span_of_string(text));
}

static void write_instance(struct walk *walk, yyjson_val *schema, unsigned depth);

static bool is_spent(const struct walk *walk, unsigned depth) {
    return depth >= MAX_DEPTH || walk->values >= 4 * (size_t)MAX_VALUES;
}

static bool is_deep(const struct walk *walk, unsigned depth) {
    return depth >= SHALLOW_DEPTH || walk->values >= MAX_VALUES;
}

static void write_name(struct walk *walk, struct weir_span name, bool *written) {
    char plain[256];
    *written = weir_span_to_string(name, plain, sizeof plain) == WEIR_OK;
    if (*written) {
        weir_json_write_name(&walk->writer, plain);
    }
}

/* Copies a value of the schema itself: of const or enum. */
static void write_literal(struct walk *walk, yyjson_val *value, unsigned depth) {
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *element;
    walk->values++;
    if (is_spent(walk, depth) || value == NULL || yyjson_is_null(value)) {
        weir_json_write_null(&walk->writer);
    } else if (yyjson_is_bool(value)) {
        weir_json_write_bool(&walk->writer, yyjson_get_bool(value));
    } else if (yyjson_is_str(value)) {
        weir_json_write_string(&walk->writer, text_of(value));
    } else if (yyjson_is_num(value)) {
        char text[40];
        int length = yyjson_is_uint(value)
                         ? snprintf(text, sizeof text, "%llu", (unsigned long long)yyjson_get_uint(value))
                     : yyjson_is_sint(value) ? snprintf(text, sizeof text, "%lld", (long long)yyjson_get_sint(value))
                                             : snprintf(text, sizeof text, "%.17g", yyjson_get_real(value));
        weir_json_write_raw(&walk->writer, weir_span_of(text, length > 0 ? (size_t)length : 0));
    } else if (yyjson_is_arr(value)) {
        weir_json_write_array(&walk->writer);
        yyjson_arr_foreach(value, index, count, element) {
            write_literal(walk, element, depth + 1);
        }
        weir_json_write_end(&walk->writer);
    } else {
        weir_json_write_object(&walk->writer);
        yyjson_obj_foreach(value, index, count, name, element) {
            bool written = false;
            write_name(walk, text_of(name), &written);
            if (written) {
                write_literal(walk, element, depth + 1);
            }
        }
        weir_json_write_end(&walk->writer);
    }
}

/* Follows "#", "#/a/b": members only, with ~0 and ~1. NULL: it leads nowhere. */
static yyjson_val *follow(yyjson_val *root, struct weir_span reference) {
    if (!weir_span_starts_with(reference, WEIR_SPAN("#"))) {
        return NULL;
    }
    char pointer[512];
    if (weir_span_to_string(weir_span_from(reference, 1), pointer, sizeof pointer) != WEIR_OK) {
        return NULL;
    }
    return pointer[0] == '\0' ? root : yyjson_ptr_get(root, pointer);
}

static yyjson_val *resolve(struct walk *walk, yyjson_val *schema) {
    for (int i = 0; i < MAX_REFERENCES; i++) {
        yyjson_val *reference = yyjson_obj_get(schema, "$ref");
        if (!yyjson_is_str(reference)) {
            return schema;
        }
        schema = follow(walk->root, text_of(reference));
    }
    return NULL;
}

static bool allows_null(struct walk *walk, yyjson_val *schema) {
    yyjson_val *resolved = resolve(walk, schema);
    return is_text(yyjson_obj_get(resolved, "type"), "null");
}

/* The alternative to take: the first, or null where it gets deep. */
static yyjson_val *choose(struct walk *walk, yyjson_val *alternatives, unsigned depth) {
    if (is_deep(walk, depth)) {
        size_t index;
        size_t count;
        yyjson_val *alternative;
        yyjson_arr_foreach(alternatives, index, count, alternative) {
            if (allows_null(walk, alternative)) {
                return alternative;
            }
        }
    }
    return yyjson_arr_get_first(alternatives);
}

static bool is_required(yyjson_val *schema, struct weir_span name) {
    size_t index;
    size_t count;
    yyjson_val *required;
    yyjson_arr_foreach(yyjson_obj_get(schema, "required"), index, count, required) {
        if (weir_span_equal(text_of(required), name)) {
            return true;
        }
    }
    return false;
}

static void write_object(struct walk *walk, yyjson_val *schema, unsigned depth) {
    weir_json_write_object(&walk->writer);
    yyjson_val *properties = yyjson_obj_get(schema, "properties");
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *property;
    yyjson_obj_foreach(properties, index, count, name, property) {
        if (is_deep(walk, depth) && !is_required(schema, text_of(name))) {
            continue;
        }
        bool written = false;
        write_name(walk, text_of(name), &written);
        if (!written) {
            continue;
        }
        uint64_t outer = walk->seed;
        walk->seed = sim__hash(outer, text_of(name));
        write_instance(walk, property, depth + 1);
        walk->seed = outer;
    }
    weir_json_write_end(&walk->writer);
}

static uint64_t bound(yyjson_val *schema, const char *name, uint64_t otherwise, uint64_t most) {
    yyjson_val *value = yyjson_obj_get(schema, name);
    uint64_t bound = yyjson_is_uint(value) ? yyjson_get_uint(value) : otherwise;
    return bound < most ? bound : most;
}

static void write_array(struct walk *walk, yyjson_val *schema, unsigned depth) {
    weir_json_write_array(&walk->writer);
    uint64_t most = bound(schema, "maxItems", MAX_ITEMS, MAX_ITEMS);
    uint64_t least = bound(schema, "minItems", 0, most);
    uint64_t count = least > 0 || is_deep(walk, depth) ? least : (most > 0 ? 1 : 0);
    yyjson_val *tuple = yyjson_obj_get(schema, "prefixItems");
    size_t placed = yyjson_arr_size(tuple);
    for (uint64_t i = 0; i < (placed > count ? placed : count); i++) {
        uint64_t outer = walk->seed;
        walk->seed = sim__mix(outer + i);
        write_instance(walk, i < placed ? yyjson_arr_get(tuple, i) : yyjson_obj_get(schema, "items"), depth + 1);
        walk->seed = outer;
    }
    weir_json_write_end(&walk->writer);
}

static void write_string(struct walk *walk, yyjson_val *schema) {
    static const struct {
        const char *format;
        const char *text;
    } formats[] = {
        {"date-time", "2026-01-02T03:04:05Z"},
        {"date", "2026-01-02"},
        {"time", "03:04:05Z"},
        {"duration", "PT1H"},
        {"email", "keeper@example.com"},
        {"hostname", "example.com"},
        {"ipv4", "192.0.2.1"},
        {"ipv6", "2001:db8::1"},
        {"uuid", "0193e4a0-0000-7000-8000-000000000001"},
        {"uri", "https://example.com/"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (is_text(yyjson_obj_get(schema, "format"), formats[i].format)) {
            weir_json_write_string(&walk->writer, weir_span_of_string(formats[i].text));
            return;
        }
    }
    char text[MAX_TEXT];
    size_t most = (size_t)bound(schema, "maxLength", MAX_TEXT, MAX_TEXT);
    size_t least = (size_t)bound(schema, "minLength", 0, most);
    size_t length = 0;
    /* One word, or as many as the minimum asks for. */
    for (size_t i = 0; i == 0 || length < least; i++) {
        struct sim_text words = sim__text_words(walk->seed, i + 1);
        struct weir_span word = sim__text_token(&words, i);
        size_t take = word.length < most - length ? word.length : most - length;
        memcpy(text + length, word.at, take);
        length += take;
    }
    weir_json_write_string(&walk->writer, weir_span_of(text, length));
}

/* A small number within the bounds; whole, so that it is right for integers and numbers alike. */
static void write_number(struct walk *walk, yyjson_val *schema) {
    double least = -9e15;
    double most = 9e15;
    yyjson_val *value = yyjson_obj_get(schema, "minimum");
    if (yyjson_is_num(value)) {
        least = yyjson_get_num(value);
    }
    value = yyjson_obj_get(schema, "exclusiveMinimum");
    if (yyjson_is_num(value)) {
        least = yyjson_get_num(value) + 1;
    }
    value = yyjson_obj_get(schema, "maximum");
    if (yyjson_is_num(value)) {
        most = yyjson_get_num(value);
    }
    value = yyjson_obj_get(schema, "exclusiveMaximum");
    if (yyjson_is_num(value)) {
        most = yyjson_get_num(value) - 1;
    }
    double number = (double)(walk->seed % 100);
    number = number > most ? most : number;
    number = number < least ? least : number;
    number = number > 9e15 ? 9e15 : number;
    number = number < -9e15 ? -9e15 : number;
    int64_t whole = (int64_t)number;
    if ((double)whole < least && (double)whole + 1 <= most) {
        whole++;
    }
    yyjson_val *step = yyjson_obj_get(schema, "multipleOf");
    if (yyjson_is_int(step) && yyjson_get_sint(step) > 0 && yyjson_get_sint(step) < 1000000000) {
        int64_t multiple = yyjson_get_sint(step);
        int64_t down = whole - whole % multiple;
        whole = (double)down >= least ? down : down + multiple;
    }
    if ((double)whole < least || (double)whole > most) {
        /* No whole number lies between the bounds. */
        char text[40];
        int length = snprintf(text, sizeof text, "%.17g", least > -9e15 ? least : most);
        weir_json_write_raw(&walk->writer, weir_span_of(text, length > 0 ? (size_t)length : 0));
        return;
    }
    weir_json_write_int64(&walk->writer, whole);
}

/* The first of the types, null last. */
static struct weir_span type_of(struct walk *walk, yyjson_val *schema, unsigned depth) {
    yyjson_val *type = yyjson_obj_get(schema, "type");
    if (yyjson_is_str(type)) {
        return text_of(type);
    }
    struct weir_span first = WEIR_SPAN("");
    size_t index;
    size_t count;
    yyjson_val *one;
    yyjson_arr_foreach(type, index, count, one) {
        if (weir_span_is_empty(first) || weir_span_equal(first, WEIR_SPAN("null"))) {
            first = text_of(one);
        }
        if (is_text(one, "null") && is_deep(walk, depth)) {
            return text_of(one);
        }
    }
    if (weir_span_is_empty(first)) {
        return yyjson_obj_get(schema, "items") != NULL ? WEIR_SPAN("array") : WEIR_SPAN("object");
    }
    return first;
}

static void write_typed(struct walk *walk, yyjson_val *schema, unsigned depth) {
    struct weir_span type = type_of(walk, schema, depth);
    if (weir_span_equal(type, WEIR_SPAN("object"))) {
        write_object(walk, schema, depth);
    } else if (weir_span_equal(type, WEIR_SPAN("array"))) {
        write_array(walk, schema, depth);
    } else if (weir_span_equal(type, WEIR_SPAN("string"))) {
        write_string(walk, schema);
    } else if (weir_span_equal(type, WEIR_SPAN("integer")) || weir_span_equal(type, WEIR_SPAN("number"))) {
        write_number(walk, schema);
    } else if (weir_span_equal(type, WEIR_SPAN("boolean"))) {
        weir_json_write_bool(&walk->writer, (walk->seed & 1U) != 0);
    } else {
        weir_json_write_null(&walk->writer);
    }
}

static void write_instance(struct walk *walk, yyjson_val *schema, unsigned depth) {
    static const char *const combinations[] = {"anyOf", "oneOf", "allOf"};
    walk->values++;
    schema = resolve(walk, schema);
    if (is_spent(walk, depth)) {
        weir_json_write_null(&walk->writer);
        return;
    }
    yyjson_val *literal = yyjson_obj_get(schema, "const");
    if (literal == NULL) {
        literal = yyjson_arr_get_first(yyjson_obj_get(schema, "enum"));
    }
    if (literal != NULL) {
        write_literal(walk, literal, depth);
        return;
    }
    for (size_t i = 0; i < sizeof combinations / sizeof combinations[0]; i++) {
        yyjson_val *alternatives = yyjson_obj_get(schema, combinations[i]);
        if (yyjson_arr_size(alternatives) > 0) {
            write_instance(walk, choose(walk, alternatives, depth), depth + 1);
            return;
        }
    }
    write_typed(walk, schema, depth);
}

void sim__schema_write(struct yyjson_val *schema, uint64_t seed, struct weir_buffer *out) {
    struct walk walk = {.root = schema, .seed = seed};
    weir_json_writer_init(&walk.writer, out);
    write_instance(&walk, schema, 0);
}

enum weir_status sim__schema_text(struct weir_arena *arena, yyjson_val *schema, uint64_t seed, struct sim_text *text) {
    struct weir_buffer buffer;
    struct weir_span bytes;
    weir_buffer_init(&buffer, JSON_MAX_BYTES);
    sim__schema_write(schema, seed, &buffer);
    enum weir_status status = weir_buffer_status(&buffer);
    if (status == WEIR_OK) {
        status = weir_arena_dup(arena, weir_buffer_span(&buffer), &bytes);
    }
    weir_buffer_release(&buffer);
    return status == WEIR_OK ? sim__text_pieces(arena, bytes, text) : WEIR_ENOMEM;
}

enum weir_status sim__schema_free_text(struct weir_arena *arena, uint64_t seed, struct sim_text *text) {
    struct sim_text words = sim__text_words(seed, 2);
    struct weir_span first = sim__text_token(&words, 0);
    struct weir_span second = sim__text_token(&words, 1);
    char *json = weir_arena_format(arena, "{\"answer\":\"%.*s%.*s\"}", WEIR_SPAN_PRINT(first), WEIR_SPAN_PRINT(second));
    return json != NULL ? sim__text_pieces(arena, weir_span_of_string(json), text) : WEIR_ENOMEM;
}

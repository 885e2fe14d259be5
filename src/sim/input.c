/* See input.h. */
#include "sim/input.h"

#include "sim/text.h"

#include <stdarg.h>
#include <yyjson.h>

enum { MAX_COUNTED_DEPTH = 64 };

void sim__refuse(struct sim_refusal *refusal, unsigned status, const char *param, const char *code, const char *format,
                 ...) {
    *refusal = (struct sim_refusal){.status = status, .type = "invalid_request_error", .param = param, .code = code};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(refusal->message, sizeof refusal->message, format, arguments);
    va_end(arguments);
}

/* --- the document --- */

static void *alc_malloc(void *arena, size_t size) {
    return weir_arena_alloc_raw(arena, size);
}

static void *alc_realloc(void *arena, void *memory, size_t old_size, size_t size) {
    if (size <= old_size) {
        return memory;
    }
    void *larger = weir_arena_alloc_raw(arena, size);
    if (larger != NULL) {
        memcpy(larger, memory, old_size);
    }
    return larger;
}

static void alc_free(void *arena, void *memory) {
    (void)arena;
    (void)memory;
}

enum weir_status sim__input_object(struct weir_arena *arena, struct weir_span body, struct yyjson_val **root,
                                   struct sim_refusal *refusal) {
    yyjson_alc allocator = {.malloc = alc_malloc, .realloc = alc_realloc, .free = alc_free, .ctx = arena};
    yyjson_read_err problem = {.code = YYJSON_READ_SUCCESS};
    /* yyjson promises not to write into the text without its in-situ flag; only its signature does not say so. */
    union {
        const char *is;
        char *wanted;
    } text = {.is = body.at};
    yyjson_doc *document = yyjson_read_opts(text.wanted, body.length, YYJSON_READ_BIGNUM_AS_RAW, &allocator, &problem);
    if (document == NULL && problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return WEIR_ENOMEM;
    }
    yyjson_val *value = yyjson_doc_get_root(document);
    if (!yyjson_is_obj(value)) {
        sim__refuse(refusal, 400, NULL, NULL, "We could not parse the JSON body of your request. (%s at byte %zu)",
                    document == NULL ? problem.msg : "expected an object", document == NULL ? problem.pos : (size_t)0);
        return WEIR_EINVAL;
    }
    *root = value;
    return WEIR_OK;
}

struct weir_span sim__input_text(yyjson_val *value) {
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

bool sim__input_is(yyjson_val *value, const char *text) {
    return yyjson_is_str(value) && weir_span_equal(sim__input_text(value), weir_span_of_string(text));
}

bool sim__input_contains(struct weir_span text, const char *part) {
    return memmem(text.at, text.length, part, strlen(part)) != NULL;
}

/* --- members --- */

static bool is_given(yyjson_val *member) {
    return member != NULL && !yyjson_is_null(member);
}

bool sim__input_number(yyjson_val *object, const char *name, int64_t minimum, int64_t maximum, int64_t *value,
                       struct sim_refusal *refusal) {
    yyjson_val *member = yyjson_obj_get(object, name);
    if (!is_given(member)) {
        return true;
    }
    bool fits = yyjson_is_int(member) && !(yyjson_is_uint(member) && yyjson_get_uint(member) > INT64_MAX);
    int64_t number = fits ? yyjson_get_sint(member) : 0;
    if (!fits || number < minimum || number > maximum) {
        sim__refuse(refusal, 400, name, fits ? "integer_out_of_range" : "invalid_type",
                    "Invalid value for '%s': expected a whole number from %lld to %lld.", name, (long long)minimum,
                    (long long)maximum);
        return false;
    }
    *value = number;
    return true;
}

bool sim__input_flag(yyjson_val *object, const char *name, bool *value, struct sim_refusal *refusal) {
    yyjson_val *member = yyjson_obj_get(object, name);
    if (!is_given(member)) {
        return true;
    }
    if (!yyjson_is_bool(member)) {
        sim__refuse(refusal, 400, name, "invalid_type", "Invalid type for '%s': expected a boolean.", name);
        return false;
    }
    *value = yyjson_get_bool(member);
    return true;
}

bool sim__input_real(yyjson_val *object, const char *name, double minimum, double maximum, double *value,
                     struct sim_refusal *refusal) {
    yyjson_val *member = yyjson_obj_get(object, name);
    if (!is_given(member)) {
        return true;
    }
    double number = yyjson_get_num(member);
    if (!yyjson_is_num(member) || number < minimum || number > maximum) {
        sim__refuse(refusal, 400, name, yyjson_is_num(member) ? "decimal_out_of_range" : "invalid_type",
                    "Invalid value for '%s': expected a number from %g to %g.", name, minimum, maximum);
        return false;
    }
    *value = number;
    return true;
}

bool sim__input_string(yyjson_val *object, const char *name, struct weir_span *value, struct sim_refusal *refusal) {
    yyjson_val *member = yyjson_obj_get(object, name);
    if (!is_given(member)) {
        return true;
    }
    if (!yyjson_is_str(member)) {
        sim__refuse(refusal, 400, name, "invalid_type", "Invalid type for '%s': expected a string.", name);
        return false;
    }
    *value = sim__input_text(member);
    return true;
}

bool sim__input_choice(yyjson_val *object, const char *name, const char *const *allowed, const char **value,
                       struct sim_refusal *refusal) {
    yyjson_val *member = yyjson_obj_get(object, name);
    if (!is_given(member)) {
        return true;
    }
    for (size_t i = 0; allowed[i] != NULL; i++) {
        if (sim__input_is(member, allowed[i])) {
            *value = allowed[i];
            return true;
        }
    }
    char names[160] = "";
    size_t length = 0;
    for (size_t i = 0; allowed[i] != NULL && length < sizeof names; i++) {
        length += (size_t)snprintf(names + length, sizeof names - length, "%s'%s'", i > 0 ? ", " : "", allowed[i]);
    }
    sim__refuse(refusal, 400, name, yyjson_is_str(member) ? "invalid_value" : "invalid_type",
                "Invalid value for '%s': supported values are %s.", name, names);
    return false;
}

bool sim__input_model_is_known(struct weir_span model, struct sim_refusal *refusal) {
    if (weir_span_is_empty(model)) {
        sim__refuse(refusal, 400, "model", NULL, "you must provide a model parameter");
        return false;
    }
    if (weir_span_equal(model, WEIR_SPAN("unknown-model"))) {
        sim__refuse(refusal, 404, NULL, "model_not_found",
                    "The model `unknown-model` does not exist or you do not have access to it.");
        return false;
    }
    return true;
}

bool sim__input_model(struct weir_arena *arena, yyjson_val *root, struct weir_span *model,
                      struct sim_refusal *refusal) {
    struct weir_span name = sim__input_text(yyjson_obj_get(root, "model"));
    return (weir_span_is_empty(name) || weir_arena_dup(arena, name, model) == WEIR_OK) &&
           sim__input_model_is_known(name, refusal);
}

/* --- counting --- */

int64_t sim__input_tokens(size_t bytes) {
    return (int64_t)((bytes + 3) / 4);
}

static size_t string_bytes(yyjson_val *value, unsigned depth) {
    if (yyjson_is_str(value)) {
        return yyjson_get_len(value);
    }
    size_t bytes = 0;
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *element;
    if (depth == 0) {
        return 0;
    }
    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, index, count, element) {
            bytes += string_bytes(element, depth - 1);
        }
    } else if (yyjson_is_obj(value)) {
        yyjson_obj_foreach(value, index, count, name, element) {
            bytes += yyjson_get_len(name) + string_bytes(element, depth - 1);
        }
    }
    return bytes;
}

size_t sim__input_string_bytes(yyjson_val *value) {
    return string_bytes(value, MAX_COUNTED_DEPTH);
}

static uint64_t hash_strings(uint64_t hash, yyjson_val *value, unsigned depth) {
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *element;
    if (yyjson_is_str(value)) {
        return sim__hash(hash, sim__input_text(value));
    }
    if (depth > 0 && yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, index, count, element) {
            hash = hash_strings(hash, element, depth - 1);
        }
    } else if (depth > 0 && yyjson_is_obj(value)) {
        yyjson_obj_foreach(value, index, count, name, element) {
            hash = hash_strings(hash, element, depth - 1);
        }
    }
    return hash;
}

uint64_t sim__input_hash(uint64_t hash, yyjson_val *value) {
    return hash_strings(hash, value, MAX_COUNTED_DEPTH);
}

enum weir_status sim__input_copy(struct weir_arena *arena, yyjson_val *value, struct weir_span *json) {
    yyjson_alc allocator = {.malloc = alc_malloc, .realloc = alc_realloc, .free = alc_free, .ctx = arena};
    size_t length = 0;
    const char *text = yyjson_val_write_opts(value, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &allocator, &length, NULL);
    if (text == NULL) {
        return WEIR_ENOMEM;
    }
    *json = weir_span_of(text, length);
    return WEIR_OK;
}

size_t sim__input_stops(yyjson_val *root, struct weir_span stops[SIM_MAX_STOPS]) {
    yyjson_val *stop = yyjson_obj_get(root, "stop");
    if (yyjson_is_str(stop)) {
        stops[0] = sim__input_text(stop);
        return 1;
    }
    size_t found = 0;
    size_t index;
    size_t count;
    yyjson_val *one;
    yyjson_arr_foreach(stop, index, count, one) {
        if (found < SIM_MAX_STOPS && yyjson_is_str(one)) {
            stops[found++] = sim__input_text(one);
        }
    }
    return found;
}

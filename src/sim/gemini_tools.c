/* Functions in requests to the Gemini API: what their declarations may say, which of them a model calls, and the signatures that its
 * calls carry. */
#include "sim/gemini.h"

enum { MAX_NAME = 64, MAX_ARGUMENT_DEPTH = 64, SHOWN_NAME = 40, PATH_SIZE = 160 };
/* Like the vendor's, a signature is long and means nothing to whoever carries it. */
enum { SIGNATURE_BYTES = 100 };

/* --- schemas --- */

static bool refuse_at(struct sim_refusal *refusal, const char *path, const char *what) {
    sim__refuse(refusal, 400, NULL, NULL, "* GenerateContentRequest.%s%s\n", path, what);
    return false;
}

static bool is_known_format(yyjson_val *type, yyjson_val *format) {
    static const char *const of_text[] = {"enum", "date-time", NULL};
    static const char *const of_number[] = {"float", "double", "int32", "int64", NULL};
    const char *const *formats = sim__input_is(type, "string") ? of_text : of_number;
    for (; *formats != NULL; formats++) {
        if (sim__input_is(format, *formats)) {
            return true;
        }
    }
    return !sim__input_is(type, "string") && !sim__input_is(type, "number") && !sim__input_is(type, "integer");
}

static bool check_schema(yyjson_val *schema, char path[PATH_SIZE], struct sim_refusal *refusal);

/* The same for one below, whose place is told by `format` and a name. */
static bool check_below(yyjson_val *schema, char path[PATH_SIZE], const char *start, struct weir_span name,
                        const char *end, struct sim_refusal *refusal) {
    size_t length = strlen(path);
    (void)snprintf(path + length, PATH_SIZE - length, "%s%.*s%s", start,
                   name.length < SHOWN_NAME ? (int)name.length : SHOWN_NAME, name.at, end);
    bool fits = check_schema(schema, path, refusal);
    path[length] = '\0';
    return fits;
}

static bool check_object(yyjson_val *schema, char path[PATH_SIZE], struct sim_refusal *refusal) {
    yyjson_val *properties = sim__gemini_get(schema, "properties");
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *property;
    if (sim__input_is(sim__gemini_get(schema, "type"), "object") && yyjson_obj_size(properties) == 0) {
        return refuse_at(refusal, path, ".properties: should be non-empty for OBJECT type");
    }
    yyjson_obj_foreach(properties, index, count, name, property) {
        if (!check_below(property, path, ".properties[", sim__input_text(name), "]", refusal)) {
            return false;
        }
    }
    struct sim_gemini_list required = sim__gemini_list(schema, "required");
    for (name = sim__gemini_next(&required); name != NULL; name = sim__gemini_next(&required)) {
        struct weir_span text = sim__input_text(name);
        if (yyjson_obj_getn(properties, text.at, text.length) == NULL) {
            char what[64];
            (void)snprintf(what, sizeof what, ".required[%zu]: property is not defined", required.index - 1);
            return refuse_at(refusal, path, what);
        }
    }
    return true;
}

/* Its depth is that of the fields, which are checked before. */
static bool check_schema(yyjson_val *schema, char path[PATH_SIZE], struct sim_refusal *refusal) {
    yyjson_val *type = sim__gemini_get(schema, "type");
    yyjson_val *format = sim__gemini_get(schema, "format");
    yyjson_val *items = sim__gemini_get(schema, "items");
    if (format != NULL && !is_known_format(type, format)) {
        return refuse_at(refusal, path,
                         sim__input_is(type, "string")
                             ? ".format: only 'enum' and 'date-time' are supported for STRING type"
                             : ".format: only 'float', 'double', 'int32' and 'int64' are supported for numbers");
    }
    if (sim__input_is(type, "array") && items == NULL) {
        return refuse_at(refusal, path, ".items: missing field.");
    }
    if (items != NULL && !check_below(items, path, ".items", WEIR_SPAN(""), "", refusal)) {
        return false;
    }
    struct sim_gemini_list choices = sim__gemini_list(schema, "anyOf");
    for (yyjson_val *one = sim__gemini_next(&choices); one != NULL; one = sim__gemini_next(&choices)) {
        if (!check_below(one, path, ".any_of", WEIR_SPAN(""), "", refusal)) {
            return false;
        }
    }
    return check_object(schema, path, refusal);
}

bool sim__gemini_schema(yyjson_val *schema, const char *path, struct sim_refusal *refusal) {
    char place[PATH_SIZE];
    (void)snprintf(place, sizeof place, "%s", path);
    return schema == NULL || check_schema(schema, place, refusal);
}

/* --- declarations --- */

static bool is_name(struct weir_span name) {
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.at[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
        bool other = (byte >= '0' && byte <= '9') || byte == '.' || byte == ':' || byte == '-';
        if (!letter && (!other || i == 0)) {
            return false;
        }
    }
    return name.length > 0 && name.length <= MAX_NAME;
}

static bool check_declaration(yyjson_val *declaration, const char *path, struct sim_refusal *refusal) {
    char place[PATH_SIZE];
    if (!is_name(sim__input_text(sim__gemini_get(declaration, "name")))) {
        return refuse_at(refusal, path,
                         ".name: Invalid function name. Must start with a letter or an underscore. Must be "
                         "alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a "
                         "maximum length of 64.");
    }
    if (sim__gemini_get(declaration, "parameters") != NULL &&
        sim__gemini_get(declaration, "parametersJsonSchema") != NULL) {
        return refuse_at(refusal, path, ": only one of parameters and parameters_json_schema may be set.");
    }
    (void)snprintf(place, sizeof place, "%.120s.parameters", path);
    return sim__gemini_schema(sim__gemini_get(declaration, "parameters"), place, refusal);
}

static bool check_config(yyjson_val *root, size_t declared, struct sim_refusal *refusal) {
    yyjson_val *config = sim__gemini_get(sim__gemini_get(root, "toolConfig"), "functionCallingConfig");
    yyjson_val *mode = sim__gemini_get(config, "mode");
    struct sim_gemini_list allowed = sim__gemini_list(config, "allowedFunctionNames");
    if (sim__input_is(mode, "ANY") && declared == 0) {
        sim__refuse(refusal, 400, NULL, NULL, "Function calling config is set without function_declarations.");
        return false;
    }
    if (allowed.count > 0 && !sim__input_is(mode, "ANY") && !sim__input_is(mode, "VALIDATED")) {
        return refuse_at(refusal, "tool_config.function_calling_config.allowed_function_names",
                         ": allowed_function_names should only be set when function_calling_config mode is ANY.");
    }
    for (yyjson_val *name = sim__gemini_next(&allowed); name != NULL; name = sim__gemini_next(&allowed)) {
        struct sim_gemini_list tools = sim__gemini_list(root, "tools");
        bool found = false;
        for (yyjson_val *tool = sim__gemini_next(&tools); tool != NULL; tool = sim__gemini_next(&tools)) {
            struct sim_gemini_list declarations = sim__gemini_list(tool, "functionDeclarations");
            for (yyjson_val *one = sim__gemini_next(&declarations); one != NULL;
                 one = sim__gemini_next(&declarations)) {
                found |= weir_span_equal(sim__input_text(sim__gemini_get(one, "name")), sim__input_text(name));
            }
        }
        if (!found) {
            return refuse_at(refusal, "tool_config.function_calling_config.allowed_function_names",
                             ": only names of declared functions are allowed.");
        }
    }
    return true;
}

bool sim__gemini_tools(yyjson_val *root, struct sim_refusal *refusal) {
    struct sim_gemini_list tools = sim__gemini_list(root, "tools");
    size_t declared = 0;
    for (yyjson_val *tool = sim__gemini_next(&tools); tool != NULL; tool = sim__gemini_next(&tools)) {
        struct sim_gemini_list declarations = sim__gemini_list(tool, "functionDeclarations");
        for (yyjson_val *one = sim__gemini_next(&declarations); one != NULL; one = sim__gemini_next(&declarations)) {
            char path[PATH_SIZE];
            (void)snprintf(path, sizeof path, "tools[%zu].function_declarations[%zu]", tools.index - 1,
                           declarations.index - 1);
            if (!check_declaration(one, path, refusal)) {
                return false;
            }
            declared++;
        }
    }
    return check_config(root, declared, refusal);
}

static bool is_allowed(yyjson_val *config, yyjson_val *declaration) {
    struct sim_gemini_list allowed = sim__gemini_list(config, "allowedFunctionNames");
    struct weir_span wanted = sim__input_text(sim__gemini_get(declaration, "name"));
    bool found = allowed.count == 0;
    for (yyjson_val *name = sim__gemini_next(&allowed); name != NULL; name = sim__gemini_next(&allowed)) {
        found |= weir_span_equal(sim__input_text(name), wanted);
    }
    return found;
}

size_t sim__gemini_choose(yyjson_val *root, yyjson_val **chosen, size_t most) {
    yyjson_val *config = sim__gemini_get(sim__gemini_get(root, "toolConfig"), "functionCallingConfig");
    struct sim_gemini_list tools = sim__gemini_list(root, "tools");
    size_t found = 0;
    if (sim__input_is(sim__gemini_get(config, "mode"), "NONE")) {
        return 0;
    }
    for (yyjson_val *tool = sim__gemini_next(&tools); tool != NULL; tool = sim__gemini_next(&tools)) {
        struct sim_gemini_list declarations = sim__gemini_list(tool, "functionDeclarations");
        for (yyjson_val *one = sim__gemini_next(&declarations); one != NULL; one = sim__gemini_next(&declarations)) {
            if (found < most && is_allowed(config, one)) {
                chosen[found++] = one;
            }
        }
    }
    return found;
}

/* --- signatures --- */

static uint64_t hash_value(yyjson_val *value, unsigned depth) {
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *element;
    uint64_t hash = 1;
    if (yyjson_is_str(value)) {
        return sim__hash(2, sim__input_text(value));
    }
    if (yyjson_is_num(value)) {
        double number = yyjson_get_num(value); /* 1 and 1.0 are the same to the API */
        uint64_t bits = 0;
        memcpy(&bits, &number, sizeof bits);
        return sim__mix(bits ^ 3U);
    }
    if (depth > 0 && yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, index, count, element) {
            hash = sim__mix(hash ^ hash_value(element, depth - 1));
        }
        return sim__mix(hash ^ 4U);
    }
    if (depth > 0 && yyjson_is_obj(value)) {
        yyjson_obj_foreach(value, index, count, name, element) {
            hash += sim__mix(sim__hash(5, sim__input_text(name)) ^ hash_value(element, depth - 1)); /* in any order */
        }
        return sim__mix(hash ^ 6U);
    }
    return sim__mix(yyjson_is_bool(value) ? 7U + (yyjson_get_bool(value) ? 1U : 0U) : 9U);
}

uint64_t sim__gemini_call_hash(struct weir_span name, yyjson_val *arguments) {
    uint64_t hash = sim__hash(10, name);
    if (yyjson_obj_size(arguments) > 0) {
        hash ^= hash_value(arguments, MAX_ARGUMENT_DEPTH);
    }
    return sim__mix(hash) | 1U; /* never 0, which stands for any */
}

/* The first eight bytes are what it stands for, the others follow from them. */
static void make_signature(uint64_t what, char bytes[SIGNATURE_BYTES]) {
    memcpy(bytes, &what, sizeof what);
    for (size_t i = sizeof what; i < SIGNATURE_BYTES; i++) {
        bytes[i] = (char)(sim__mix(what + i) & 0xffU);
    }
}

char *sim__gemini_sign(struct weir_arena *arena, uint64_t what) {
    char bytes[SIGNATURE_BYTES];
    struct weir_buffer text;
    make_signature(what, bytes);
    weir_buffer_init(&text, 2 * (size_t)SIGNATURE_BYTES);
    sim__base64(weir_span_of(bytes, sizeof bytes), &text);
    char *signature = weir_buffer_status(&text) == WEIR_OK ? weir_arena_string(arena, weir_buffer_span(&text)) : NULL;
    weir_buffer_release(&text);
    return signature;
}

/* For calls that another model has made, which has signed nothing. */
static bool is_placeholder(struct weir_span text) {
    return weir_span_equal(text, WEIR_SPAN("context_engineering_is_the_way_to_go")) ||
           weir_span_equal(text, WEIR_SPAN("skip_thought_signature_validator"));
}

bool sim__gemini_signed(struct weir_span signature, uint64_t what) {
    char right[SIGNATURE_BYTES];
    struct weir_buffer bytes;
    uint64_t said = 0;
    if (is_placeholder(signature)) {
        return true;
    }
    weir_buffer_init(&bytes, 2 * (size_t)SIGNATURE_BYTES);
    sim__gemini_unbase64(signature, &bytes);
    bool fits = weir_buffer_status(&bytes) == WEIR_OK && bytes.length == SIGNATURE_BYTES;
    if (is_placeholder(weir_buffer_span(&bytes))) {
        fits = true; /* as a client sends it that takes a signature for bytes */
    } else if (fits) {
        memcpy(&said, bytes.at, sizeof said);
        make_signature(said, right);
        fits = memcmp(right, bytes.at, sizeof right) == 0 && (what == 0 || what == said);
    }
    weir_buffer_release(&bytes);
    return fits;
}

void sim__gemini_unbase64(struct weir_span text, struct weir_buffer *out) {
    uint32_t group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i];
        unsigned digit = byte >= 'A' && byte <= 'Z'   ? (unsigned)(byte - 'A')
                         : byte >= 'a' && byte <= 'z' ? (unsigned)(byte - 'a') + 26U
                         : byte >= '0' && byte <= '9' ? (unsigned)(byte - '0') + 52U
                         : byte == '+' || byte == '-' ? 62U
                         : byte == '/' || byte == '_' ? 63U
                                                      : 64U;
        if (digit == 64U) {
            continue; /* padding: what is no digit at all was refused before */
        }
        group = (group << 6 | digit) & 0xffffffU;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            weir_buffer_append_byte(out, (char)(group >> bits & 0xffU));
        }
    }
}

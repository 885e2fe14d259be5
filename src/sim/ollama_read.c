/* See ollama.h: requests, read as Go's decoder reads them into Ollama's structs. */
#include "sim/ollama.h"

#include "sim/media.h"

#include <yyjson.h>

enum { IMAGE_TOKENS = 85, MAX_NOTES_BYTES = 1024 * 1024, WHERE_SIZE = 128 };

/* --- types --- */

static const char *kind_of(yyjson_val *value) {
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_STR: return "string";
    case YYJSON_TYPE_BOOL: return "bool";
    case YYJSON_TYPE_ARR: return "array";
    case YYJSON_TYPE_OBJ: return "object";
    default: return "number";
    }
}

static bool refuse(struct sim_task *task, const char *message) {
    sim__refuse(&task->refusal, 400, NULL, NULL, "%s", message);
    return false;
}

static bool is_given(yyjson_val *value) {
    return value != NULL && !yyjson_is_null(value);
}

static bool fits(yyjson_val *value, enum sim_ollama_type type) {
    switch (type) {
    case SIM_OLLAMA_STRING: return yyjson_is_str(value);
    case SIM_OLLAMA_BOOL: return yyjson_is_bool(value);
    case SIM_OLLAMA_INT: return yyjson_is_int(value);
    case SIM_OLLAMA_ARRAY: return yyjson_is_arr(value);
    case SIM_OLLAMA_OBJECT: return yyjson_is_obj(value);
    case SIM_OLLAMA_ANY: break;
    }
    return true;
}

static bool mismatch(struct sim_task *task, yyjson_val *value, const char *where, const char *name,
                     const char *go_type) {
    sim__refuse(&task->refusal, 400, NULL, NULL, "json: cannot unmarshal %s into Go struct field %s.%s of type %s",
                kind_of(value), where, name, go_type);
    return false;
}

bool sim__ollama_check(struct sim_task *task, yyjson_val *object, const char *where,
                       const struct sim_ollama_member *members) {
    for (const struct sim_ollama_member *member = members; member->name != NULL; member++) {
        yyjson_val *value = yyjson_obj_get(object, member->name);
        if (is_given(value) && !fits(value, member->type)) {
            return mismatch(task, value, where, member->name, member->go_type);
        }
    }
    return true;
}

/* The elements of an array that must all be of one type. */
static bool check_elements(struct sim_task *task, yyjson_val *array, const char *where, const char *name,
                           enum sim_ollama_type type, const char *go_type) {
    size_t index;
    size_t count;
    yyjson_val *value;
    yyjson_arr_foreach(array, index, count, value) {
        if (is_given(value) && !fits(value, type)) {
            return mismatch(task, value, where, name, go_type);
        }
    }
    return true;
}

enum weir_status sim__ollama_parse(struct sim_task *task, const char *go_type) {
    if (weir_span_is_empty(task->content)) {
        (void)refuse(task, "missing request body");
        return WEIR_EINVAL;
    }
    enum weir_status status = sim__input_object(task->arena, task->content, &task->root, &task->refusal);
    if (status == WEIR_EINVAL) {
        bool array = task->content.at[0] == '[';
        sim__refuse(&task->refusal, 400, NULL, NULL,
                    array ? "json: cannot unmarshal array into Go value of type api.%s"
                          : "invalid character in the body, which should be of type api.%s",
                    go_type);
    }
    return status;
}

bool sim__ollama_model(struct sim_task *task, unsigned status, const char *otherwise) {
    struct weir_span name = sim__input_text(yyjson_obj_get(task->root, "model"));
    if (weir_span_is_empty(name) && yyjson_get_len(yyjson_obj_get(task->root, "name")) > 0) {
        name = sim__input_text(yyjson_obj_get(task->root, "name"));
    }
    if (weir_span_is_empty(name)) {
        sim__refuse(&task->refusal, status, NULL, NULL, "%s", otherwise);
        return false;
    }
    if (weir_arena_dup(task->arena, name, &task->model) != WEIR_OK) {
        return false;
    }
    if (weir_span_equal(name, WEIR_SPAN("unknown-model"))) {
        sim__refuse(&task->refusal, 404, NULL, NULL, "model 'unknown-model' not found");
        return false;
    }
    return true;
}

/* --- durations --- */

/* Whether a text is a duration as Go writes them: "5m", "1h30m", "-1s", "0". */
static bool read_duration(struct weir_span text, bool *zero) {
    static const char *const units[] = {"ns", "us", "\xc2\xb5s", "ms", "s", "m", "h"};
    if (text.length > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        text = weir_span_from(text, 1);
    }
    *zero = true;
    if (weir_span_equal(text, WEIR_SPAN("0"))) {
        return true;
    }
    while (text.length > 0) {
        size_t digits = 0;
        while (digits < text.length && (text.at[digits] == '.' || (text.at[digits] >= '0' && text.at[digits] <= '9'))) {
            *zero = *zero && (text.at[digits] == '0' || text.at[digits] == '.');
            digits++;
        }
        text = weir_span_from(text, digits);
        size_t length = 0;
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            struct weir_span unit = weir_span_of_string(units[i]);
            length = unit.length > length && weir_span_starts_with(text, unit) ? unit.length : length;
        }
        if (digits == 0 || length == 0) {
            return false;
        }
        text = weir_span_from(text, length);
        if (text.length == 0) {
            return true;
        }
    }
    return false;
}

bool sim__ollama_keep_alive(struct sim_task *task, bool *zero) {
    yyjson_val *value = yyjson_obj_get(task->root, "keep_alive");
    *zero = false;
    if (!is_given(value)) {
        return true;
    }
    if (yyjson_is_num(value)) {
        double number = yyjson_get_num(value);
        *zero = !(number > 0) && !(number < 0);
        return true;
    }
    if (!yyjson_is_str(value)) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "Unsupported type: '%s'", kind_of(value));
        return false;
    }
    struct weir_span text = sim__input_text(value);
    if (!read_duration(text, zero)) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "time: invalid duration \"%.*s\"",
                    text.length < 100 ? (int)text.length : 100, text.at);
        return false;
    }
    return true;
}

/* --- options --- */

enum option_type { OPTION_INT, OPTION_FLOAT, OPTION_BOOL, OPTION_STRINGS };

static const struct {
    const char *name;
    enum option_type type;
} options[] = {
    {"num_keep", OPTION_INT},
    {"seed", OPTION_INT},
    {"num_predict", OPTION_INT},
    {"top_k", OPTION_INT},
    {"top_p", OPTION_FLOAT},
    {"min_p", OPTION_FLOAT},
    {"typical_p", OPTION_FLOAT},
    {"repeat_last_n", OPTION_INT},
    {"temperature", OPTION_FLOAT},
    {"repeat_penalty", OPTION_FLOAT},
    {"presence_penalty", OPTION_FLOAT},
    {"frequency_penalty", OPTION_FLOAT},
    {"stop", OPTION_STRINGS},
    {"num_ctx", OPTION_INT},
    {"num_batch", OPTION_INT},
    {"num_gpu", OPTION_INT},
    {"main_gpu", OPTION_INT},
    {"use_mmap", OPTION_BOOL},
    {"num_thread", OPTION_INT},
};

/* What an option must be; NULL where it is. Numbers are taken as Go has them, all of one kind. */
static const char *misfit(yyjson_val *value, enum option_type type) {
    size_t index;
    size_t count;
    yyjson_val *one;
    switch (type) {
    case OPTION_INT: return yyjson_is_num(value) ? NULL : "of type integer";
    case OPTION_FLOAT: return yyjson_is_num(value) ? NULL : "of type float32";
    case OPTION_BOOL: return yyjson_is_bool(value) ? NULL : "of type boolean";
    case OPTION_STRINGS: break;
    }
    if (!yyjson_is_arr(value)) {
        return "of type array";
    }
    yyjson_arr_foreach(value, index, count, one) {
        if (!yyjson_is_str(one)) {
            return "of an array of strings";
        }
    }
    return NULL;
}

static int64_t whole(yyjson_val *given, const char *name, int64_t otherwise) {
    yyjson_val *value = yyjson_obj_get(given, name);
    double number = yyjson_get_num(value);
    return !yyjson_is_num(value) || number < -1e15 || number > 1e15 ? otherwise : (int64_t)number;
}

bool sim__ollama_options(struct sim_ollama *ollama) {
    struct sim_task *task = ollama->task;
    yyjson_val *given = yyjson_obj_get(task->root, "options");
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        yyjson_val *value = yyjson_obj_get(given, options[i].name);
        const char *wanted = is_given(value) ? misfit(value, options[i].type) : NULL;
        if (wanted != NULL) {
            sim__refuse(&task->refusal, 500, NULL, NULL, "option \"%s\" must be %s", options[i].name, wanted);
            return false;
        }
    }
    int64_t limit = whole(given, "num_predict", -1);
    int64_t seed = whole(given, "seed", 0);
    ollama->limit = limit > 0 && limit < INT32_MAX ? limit : INT32_MAX;
    ollama->context_size = whole(given, "num_ctx", SIM_OLLAMA_CONTEXT);
    ollama->seed = seed != 0 ? sim__mix(ollama->hash ^ (uint64_t)seed) : ollama->hash;
    size_t index;
    size_t count;
    yyjson_val *stop;
    yyjson_arr_foreach(yyjson_obj_get(given, "stop"), index, count, stop) {
        if (ollama->stop_count < SIM_OLLAMA_MAX_STOPS) {
            ollama->stops[ollama->stop_count++] = sim__input_text(stop);
        }
    }
    return true;
}

bool sim__ollama_think(struct sim_ollama *ollama) {
    static const struct {
        const char *level;
        int64_t percent;
    } levels[] = {{"low", 50}, {"medium", 100}, {"high", 200}};
    struct sim_task *task = ollama->task;
    yyjson_val *think = yyjson_obj_get(task->root, "think");
    bool able = sim__input_contains(task->model, "reasoner");
    ollama->thinks = able;
    ollama->think_percent = 100;
    if (!is_given(think)) {
        return true;
    }
    if (!yyjson_is_bool(think) && !yyjson_is_str(think)) {
        return refuse(task, "think must be a boolean or string (\"high\", \"medium\", \"low\", true, or false)");
    }
    ollama->thinks = yyjson_is_true(think);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (sim__input_is(think, levels[i].level)) {
            ollama->thinks = true;
            ollama->think_percent = levels[i].percent;
        }
    }
    struct weir_span text = sim__input_text(think);
    if (yyjson_is_str(think) && !ollama->thinks) {
        sim__refuse(&task->refusal, 400, NULL, NULL,
                    "invalid think value: \"%.*s\" (must be \"high\", \"medium\", \"low\", true, or false)",
                    text.length < 50 ? (int)text.length : 50, text.at);
        return false;
    }
    if (ollama->thinks && !able) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "\"%.*s\" does not support thinking",
                    task->model.length < 150 ? (int)task->model.length : 150, task->model.at);
        return false;
    }
    return true;
}

/* --- pictures --- */

static bool read_images(struct sim_ollama *ollama, yyjson_val *images, const char *where) {
    struct sim_task *task = ollama->task;
    size_t index;
    size_t count;
    yyjson_val *image;
    if (!check_elements(task, images, where, "images", SIM_OLLAMA_STRING, "api.ImageData")) {
        return false;
    }
    yyjson_arr_foreach(images, index, count, image) {
        struct weir_span bytes;
        size_t bad = 0;
        enum weir_status status = sim__base64_decode(task->arena, sim__input_text(image), &bytes, &bad);
        if (status == WEIR_EINVAL) {
            sim__refuse(&task->refusal, 400, NULL, NULL, "illegal base64 data at input byte %zu", bad);
        }
        if (status != WEIR_OK) {
            return false;
        }
        sim__media_describe("image", WEIR_SPAN(""), bytes, WEIR_SPAN(""), &ollama->notes);
        ollama->hash = sim__hash(ollama->hash, bytes);
        ollama->images++;
    }
    return true;
}

/* --- messages and tools --- */

static bool read_calls(struct sim_ollama *ollama, yyjson_val *calls) {
    static const struct sim_ollama_member call_members[] = {
        {"id", SIM_OLLAMA_STRING, "string"},
        {"function", SIM_OLLAMA_OBJECT, "api.ToolCallFunction"},
        {NULL, SIM_OLLAMA_ANY, NULL},
    };
    static const struct sim_ollama_member function_members[] = {
        {"index", SIM_OLLAMA_INT, "int"},
        {"name", SIM_OLLAMA_STRING, "string"},
        {"arguments", SIM_OLLAMA_OBJECT, "api.ToolCallFunctionArguments"},
        {NULL, SIM_OLLAMA_ANY, NULL},
    };
    static const char where[] = "ChatRequest.messages";
    struct sim_task *task = ollama->task;
    size_t index;
    size_t count;
    yyjson_val *call;
    if (!check_elements(task, calls, where, "tool_calls", SIM_OLLAMA_OBJECT, "api.ToolCall")) {
        return false;
    }
    yyjson_arr_foreach(calls, index, count, call) {
        if (!sim__ollama_check(task, call, "ChatRequest.messages.tool_calls", call_members) ||
            !sim__ollama_check(task, yyjson_obj_get(call, "function"), "ChatRequest.messages.tool_calls.function",
                               function_members)) {
            return false;
        }
    }
    return true;
}

static bool known_role(struct weir_span role) {
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (weir_span_equal_ignore_case(role, weir_span_of_string(roles[i]))) {
            return true;
        }
    }
    return false;
}

static bool read_message(struct sim_ollama *ollama, yyjson_val *message, size_t index) {
    static const struct sim_ollama_member members[] = {
        {"role", SIM_OLLAMA_STRING, "string"},
        {"content", SIM_OLLAMA_STRING, "string"},
        {"thinking", SIM_OLLAMA_STRING, "string"},
        {"images", SIM_OLLAMA_ARRAY, "[]api.ImageData"},
        {"tool_calls", SIM_OLLAMA_ARRAY, "[]api.ToolCall"},
        {"tool_name", SIM_OLLAMA_STRING, "string"},
        {"tool_call_id", SIM_OLLAMA_STRING, "string"},
        {NULL, SIM_OLLAMA_ANY, NULL},
    };
    static const char where[] = "ChatRequest.messages";
    struct sim_task *task = ollama->task;
    yyjson_val *calls = yyjson_obj_get(message, "tool_calls");
    struct weir_span role = sim__input_text(yyjson_obj_get(message, "role"));
    struct weir_span content = sim__input_text(yyjson_obj_get(message, "content"));
    struct weir_span thinking = sim__input_text(yyjson_obj_get(message, "thinking"));
    if (!sim__ollama_check(task, message, where, members) || !read_calls(ollama, calls)) {
        return false;
    }
    if (!known_role(role)) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "message %zu: no such role: \"%.*s\"", index,
                    role.length < 50 ? (int)role.length : 50, role.at);
        return false;
    }
    ollama->hash = sim__hash(sim__hash(ollama->hash, role), content);
    task->usage.input += 4 + sim__input_tokens(content.length) + sim__input_tokens(thinking.length) +
                         sim__input_tokens(sim__input_string_bytes(calls)) +
                         sim__input_tokens(yyjson_get_len(yyjson_obj_get(message, "tool_name")));
    return read_images(ollama, yyjson_obj_get(message, "images"), where);
}

static bool read_tools(struct sim_ollama *ollama, yyjson_val *tools) {
    static const struct sim_ollama_member tool_members[] = {
        {"type", SIM_OLLAMA_STRING, "string"},
        {"function", SIM_OLLAMA_OBJECT, "api.ToolFunction"},
        {NULL, SIM_OLLAMA_ANY, NULL},
    };
    static const struct sim_ollama_member function_members[] = {
        {"name", SIM_OLLAMA_STRING, "string"},
        {"description", SIM_OLLAMA_STRING, "string"},
        {"parameters", SIM_OLLAMA_OBJECT, "api.ToolFunctionParameters"},
        {NULL, SIM_OLLAMA_ANY, NULL},
    };
    static const struct sim_ollama_member parameter_members[] = {
        {"type", SIM_OLLAMA_STRING, "string"},
        {"required", SIM_OLLAMA_ARRAY, "[]string"},
        {"properties", SIM_OLLAMA_OBJECT, "api.ToolPropertiesMap"},
        {NULL, SIM_OLLAMA_ANY, NULL},
    };
    struct sim_task *task = ollama->task;
    size_t index;
    size_t count;
    yyjson_val *tool;
    if (!check_elements(task, tools, "ChatRequest", "tools", SIM_OLLAMA_OBJECT, "api.Tool")) {
        return false;
    }
    yyjson_arr_foreach(tools, index, count, tool) {
        yyjson_val *function = yyjson_obj_get(tool, "function");
        if (!sim__ollama_check(task, tool, "ChatRequest.tools", tool_members) ||
            !sim__ollama_check(task, function, "ChatRequest.tools.function", function_members) ||
            !sim__ollama_check(task, yyjson_obj_get(function, "parameters"), "ChatRequest.tools.function.parameters",
                               parameter_members)) {
            return false;
        }
    }
    if (count > 0 && sim__input_contains(task->model, "no-tools")) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "registry.ollama.ai/library/%.*s does not support tools",
                    task->model.length < 150 ? (int)task->model.length : 150, task->model.at);
        return false;
    }
    task->usage.input += sim__input_tokens(sim__input_string_bytes(tools));
    return true;
}

/* --- the whole request --- */

static bool read_common(struct sim_ollama *ollama) {
    struct sim_task *task = ollama->task;
    yyjson_val *format = yyjson_obj_get(task->root, "format");
    struct weir_span text = sim__input_text(format);
    int64_t top = yyjson_get_sint(yyjson_obj_get(task->root, "top_logprobs"));
    task->stream = !yyjson_is_false(yyjson_obj_get(task->root, "stream"));
    ollama->logprobs = yyjson_is_true(yyjson_obj_get(task->root, "logprobs"));
    ollama->top_logprobs = (unsigned)top;
    if (top < 0 || top > 20) {
        return refuse(task, "top_logprobs must be between 0 and 20");
    }
    if (is_given(format) && !yyjson_is_obj(format) && !weir_span_equal(text, WEIR_SPAN("json")) &&
        !(yyjson_is_str(format) && weir_span_is_empty(text))) {
        struct weir_span json = WEIR_SPAN("");
        if (sim__input_copy(task->arena, format, &json) != WEIR_OK) {
            return false;
        }
        sim__refuse(&task->refusal, 500, NULL, NULL,
                    "invalid format: %.*s; expected \"json\" or a valid JSON Schema object",
                    json.length < 100 ? (int)json.length : 100, json.at);
        return false;
    }
    return sim__ollama_keep_alive(task, &ollama->unload) && sim__ollama_think(ollama);
}

static bool read_chat(struct sim_ollama *ollama) {
    static const struct sim_ollama_member members[] = {
        {"model", SIM_OLLAMA_STRING, "string"},
        {"messages", SIM_OLLAMA_ARRAY, "[]api.Message"},
        {"stream", SIM_OLLAMA_BOOL, "bool"},
        {"tools", SIM_OLLAMA_ARRAY, "api.Tools"},
        {"options", SIM_OLLAMA_OBJECT, "map[string]interface {}"},
        {"truncate", SIM_OLLAMA_BOOL, "bool"},
        {"shift", SIM_OLLAMA_BOOL, "bool"},
        {"logprobs", SIM_OLLAMA_BOOL, "bool"},
        {"top_logprobs", SIM_OLLAMA_INT, "int"},
        {NULL, SIM_OLLAMA_ANY, NULL},
    };
    struct sim_task *task = ollama->task;
    yyjson_val *messages = yyjson_obj_get(task->root, "messages");
    size_t index;
    size_t count;
    yyjson_val *message;
    if (!sim__ollama_check(task, task->root, "ChatRequest", members) ||
        !sim__ollama_model(task, 400, "model is required") || !read_common(ollama) ||
        !check_elements(task, messages, "ChatRequest", "messages", SIM_OLLAMA_OBJECT, "api.Message")) {
        return false;
    }
    ollama->empty = yyjson_arr_size(messages) == 0;
    task->usage.input = 3;
    yyjson_arr_foreach(messages, index, count, message) {
        if (!read_message(ollama, message, index)) {
            return false;
        }
    }
    return read_tools(ollama, yyjson_obj_get(task->root, "tools"));
}

static bool read_generate(struct sim_ollama *ollama) {
    static const struct sim_ollama_member members[] = {
        {"model", SIM_OLLAMA_STRING, "string"},
        {"prompt", SIM_OLLAMA_STRING, "string"},
        {"suffix", SIM_OLLAMA_STRING, "string"},
        {"system", SIM_OLLAMA_STRING, "string"},
        {"template", SIM_OLLAMA_STRING, "string"},
        {"context", SIM_OLLAMA_ARRAY, "[]int"},
        {"stream", SIM_OLLAMA_BOOL, "bool"},
        {"raw", SIM_OLLAMA_BOOL, "bool"},
        {"images", SIM_OLLAMA_ARRAY, "[]api.ImageData"},
        {"options", SIM_OLLAMA_OBJECT, "map[string]interface {}"},
        {"truncate", SIM_OLLAMA_BOOL, "bool"},
        {"shift", SIM_OLLAMA_BOOL, "bool"},
        {"logprobs", SIM_OLLAMA_BOOL, "bool"},
        {"top_logprobs", SIM_OLLAMA_INT, "int"},
        {NULL, SIM_OLLAMA_ANY, NULL},
    };
    static const char *const texts[] = {"prompt", "suffix", "system", "template"};
    struct sim_task *task = ollama->task;
    yyjson_val *context = yyjson_obj_get(task->root, "context");
    if (!sim__ollama_check(task, task->root, "GenerateRequest", members) ||
        !check_elements(task, context, "GenerateRequest", "context", SIM_OLLAMA_INT, "int") ||
        !sim__ollama_model(task, 404, "model '' not found") || !read_common(ollama)) {
        return false;
    }
    ollama->raw = yyjson_is_true(yyjson_obj_get(task->root, "raw"));
    ollama->empty = yyjson_get_len(yyjson_obj_get(task->root, "prompt")) == 0;
    if (ollama->raw && (yyjson_get_len(yyjson_obj_get(task->root, "template")) > 0 ||
                        yyjson_get_len(yyjson_obj_get(task->root, "system")) > 0 || yyjson_arr_size(context) > 0)) {
        return refuse(task, "raw mode does not support template, system, or context");
    }
    task->usage.input = 3 + 4 + (int64_t)yyjson_arr_size(context);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct weir_span text = sim__input_text(yyjson_obj_get(task->root, texts[i]));
        task->usage.input += sim__input_tokens(text.length);
        ollama->hash = sim__hash(ollama->hash, text);
    }
    return read_images(ollama, yyjson_obj_get(task->root, "images"), "GenerateRequest");
}

enum weir_status sim__ollama_read(struct sim_ollama *ollama) {
    struct sim_task *task = ollama->task;
    weir_buffer_init(&ollama->notes, MAX_NOTES_BYTES);
    enum weir_status status = sim__ollama_parse(task, ollama->generate ? "GenerateRequest" : "ChatRequest");
    if (status != WEIR_OK) {
        return status;
    }
    ollama->root = task->root;
    if (!(ollama->generate ? read_generate(ollama) : read_chat(ollama)) || !sim__ollama_options(ollama)) {
        return sim__task_failed(task);
    }
    task->usage.input += ollama->images * IMAGE_TOKENS;
    ollama->calls_together = sim__input_contains(task->model, "calls-together");
    ollama->no_call_ids = sim__input_contains(task->model, "no-call-ids");
    return WEIR_OK;
}

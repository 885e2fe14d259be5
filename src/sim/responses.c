/* POST /v1/responses: reading what is asked for and deciding the answer. See responses.h for the rest. */
#include "sim/responses.h"

#include <yyjson.h>

enum { ID_DIGITS = 32, MAX_METADATA = 16, MAX_NOTES_BYTES = 1024 * 1024 };
#define MAX_SETTINGS_BYTES ((size_t)128 * 1024 * 1024)

/* --- the request --- */

/* What a response says again, and what it says where nothing was asked for; NULL: nothing then. */
static const struct {
    const char *name, *otherwise;
} settings[] = {
    {"instructions", "null"},
    {"max_output_tokens", "null"},
    {"max_tool_calls", "null"},
    {"parallel_tool_calls", "true"},
    {"previous_response_id", "null"},
    {"prompt_cache_key", "null"},
    {"reasoning", "{\"effort\":null,\"summary\":null}"},
    {"safety_identifier", "null"},
    {"store", "true"},
    {"temperature", "1.0"},
    {"text", "{\"format\":{\"type\":\"text\"}}"},
    {"tool_choice", "\"auto\""},
    {"tools", "[]"},
    {"top_logprobs", "0"},
    {"top_p", "1.0"},
    {"truncation", "\"disabled\""},
    {"user", NULL},
    {"metadata", "{}"},
};

static bool keep_settings(struct sim_deciding *deciding) {
    struct weir_buffer out;
    bool done = true;
    weir_buffer_init(&out, MAX_SETTINGS_BYTES);
    weir_buffer_append(&out, WEIR_SPAN("\"service_tier\":\"default\""));
    for (size_t i = 0; done && i < sizeof settings / sizeof settings[0]; i++) {
        yyjson_val *given = yyjson_obj_get(deciding->task->root, settings[i].name);
        struct weir_span json = weir_span_of_string(settings[i].otherwise);
        if (given != NULL && !yyjson_is_null(given)) {
            done = sim__input_copy(deciding->task->arena, given, &json) == WEIR_OK;
        }
        if (!weir_span_is_empty(json)) {
            weir_buffer_printf(&out, ",\"%s\":", settings[i].name);
            weir_buffer_append(&out, json);
        }
    }
    done = done && weir_buffer_status(&out) == WEIR_OK &&
           weir_arena_dup(deciding->arena, weir_buffer_span(&out), &deciding->response->settings) == WEIR_OK;
    weir_buffer_release(&out);
    return done;
}

static bool check_kind(struct sim_task *task, const char *name, bool (*is_kind)(yyjson_val *), const char *kind) {
    yyjson_val *member = yyjson_obj_get(task->root, name);
    if (member != NULL && !yyjson_is_null(member) && !is_kind(member)) {
        sim__refuse(&task->refusal, 400, name, "invalid_type", "Invalid type for '%s': expected %s.", name, kind);
        return false;
    }
    return true;
}

static bool is_array(yyjson_val *value) {
    return yyjson_is_arr(value);
}

static bool is_object(yyjson_val *value) {
    return yyjson_is_obj(value);
}

static bool is_text_or_array(yyjson_val *value) {
    return yyjson_is_str(value) || yyjson_is_arr(value);
}

static bool check_input(struct sim_task *task) {
    yyjson_val *root = task->root;
    yyjson_val *input = yyjson_obj_get(root, "input");
    if (input == NULL && yyjson_obj_get(root, "prompt") == NULL && yyjson_obj_get(root, "conversation") == NULL &&
        yyjson_obj_get(root, "previous_response_id") == NULL) {
        sim__refuse(&task->refusal, 400, "input", "missing_required_parameter", "Missing required parameter: 'input'.");
        return false;
    }
    return check_kind(task, "input", is_text_or_array, "a string or an array of items") &&
           sim__response_check_items(task);
}

static bool read_options(struct sim_deciding *deciding, bool *store) {
    static const char *const truncations[] = {"auto", "disabled", NULL};
    struct sim_task *task = deciding->task;
    struct sim_refusal *refusal = &task->refusal;
    yyjson_val *root = task->root;
    struct weir_span text;
    double real = 0;
    int64_t number = 0;
    bool flag = false;
    const char *choice = NULL;
    if (!check_input(task) || !check_kind(task, "tools", is_array, "an array") ||
        !check_kind(task, "text", is_object, "an object") || !check_kind(task, "reasoning", is_object, "an object") ||
        !check_kind(task, "metadata", is_object, "an object") ||
        !check_kind(task, "instructions", is_text_or_array, "a string") ||
        !sim__input_flag(root, "stream", &task->stream, refusal) || !sim__input_flag(root, "store", store, refusal) ||
        !sim__input_flag(root, "background", &deciding->response->background, refusal) ||
        !sim__input_flag(root, "parallel_tool_calls", &flag, refusal) ||
        !sim__input_string(root, "user", &text, refusal) ||
        !sim__input_string(root, "previous_response_id", &text, refusal) ||
        !sim__input_real(root, "temperature", 0, 2, &real, refusal) ||
        !sim__input_real(root, "top_p", 0, 1, &real, refusal) ||
        !sim__input_number(root, "top_logprobs", 0, 20, &number, refusal) ||
        !sim__input_number(root, "max_output_tokens", 1, INT32_MAX, &deciding->limit, refusal) ||
        !sim__input_choice(root, "truncation", truncations, &choice, refusal)) {
        return false;
    }
    if (yyjson_obj_size(yyjson_obj_get(root, "metadata")) > MAX_METADATA) {
        sim__refuse(refusal, 400, "metadata", "object_above_max_properties",
                    "Invalid 'metadata': too many properties. Expected an object with at most %d.", MAX_METADATA);
        return false;
    }
    if (deciding->response->background && !*store) {
        sim__refuse(refusal, 400, "background", "invalid_value",
                    "Background mode needs the response to be stored: 'store' must not be false.");
        return false;
    }
    return true;
}

/* --- what came, as items with ids --- */

static bool is_message(yyjson_val *item) {
    yyjson_val *type = yyjson_obj_get(item, "type");
    return type == NULL || sim__input_is(type, "message");
}

static void write_input(yyjson_val *item, struct weir_span json, const char *id, struct weir_buffer *out) {
    if (!is_message(item) && !yyjson_is_str(item)) {
        struct weir_span rest = weir_span_from(json, 1);
        if (yyjson_obj_get(item, "id") == NULL) {
            weir_buffer_printf(out, "{\"id\":\"%s\"%s", id, yyjson_obj_size(item) > 0 ? "," : "");
            weir_buffer_append(out, rest);
        } else {
            weir_buffer_append(out, json);
        }
        return;
    }
    yyjson_val *content = yyjson_is_str(item) ? item : yyjson_obj_get(item, "content");
    struct weir_span role = yyjson_is_str(item) ? WEIR_SPAN("user") : sim__input_text(yyjson_obj_get(item, "role"));
    bool assistant = weir_span_equal(role, WEIR_SPAN("assistant"));
    weir_buffer_printf(out, "{\"id\":\"%s\",\"type\":\"message\",\"status\":\"completed\",\"role\":", id);
    weir_json_append_string(out, role);
    weir_buffer_append(out, WEIR_SPAN(",\"content\":"));
    if (yyjson_is_str(content)) {
        weir_buffer_append(out,
                           assistant
                               ? WEIR_SPAN("[{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":")
                               : WEIR_SPAN("[{\"type\":\"input_text\",\"text\":"));
        weir_json_append_string(out, sim__input_text(content));
        weir_buffer_append(out, WEIR_SPAN("}]"));
    } else {
        weir_buffer_append(out, json);
    }
    weir_buffer_append_byte(out, '}');
}

static bool keep_input(struct sim_deciding *deciding, yyjson_val *item) {
    struct sim_response *response = deciding->response;
    struct sim_task *task = deciding->task;
    struct weir_span json = WEIR_SPAN("[]");
    struct weir_buffer out;
    yyjson_val *content = is_message(item) ? yyjson_obj_get(item, "content") : item;
    yyjson_val *own_id = yyjson_obj_get(item, "id");
    char *id = sim__task_id(task, is_message(item) || yyjson_is_str(item) ? "msg_" : "item_", ID_DIGITS);
    if (id == NULL ||
        (content != NULL && !yyjson_is_str(content) && sim__input_copy(task->arena, content, &json) != WEIR_OK)) {
        return false;
    }
    weir_buffer_init(&out, MAX_SETTINGS_BYTES);
    write_input(item, json, id, &out);
    struct weir_span named = own_id != NULL && !is_message(item) ? sim__input_text(own_id) : weir_span_of_string(id);
    bool done = weir_buffer_status(&out) == WEIR_OK &&
                weir_arena_dup(deciding->arena, named, &response->input_ids[response->input_count]) == WEIR_OK &&
                weir_arena_dup(deciding->arena, weir_buffer_span(&out), &response->inputs[response->input_count]) ==
                    WEIR_OK;
    weir_buffer_release(&out);
    response->input_count++;
    return done;
}

static bool keep_inputs(struct sim_deciding *deciding) {
    struct sim_response *response = deciding->response;
    yyjson_val *input = yyjson_obj_get(deciding->task->root, "input");
    size_t room = yyjson_is_arr(input) ? yyjson_arr_size(input) : 1;
    response->inputs = weir_arena_array(deciding->arena, room, sizeof *response->inputs);
    response->input_ids = weir_arena_array(deciding->arena, room, sizeof *response->input_ids);
    if (response->inputs == NULL || response->input_ids == NULL) {
        return false;
    }
    if (yyjson_is_str(input)) {
        return keep_input(deciding, input);
    }
    size_t index;
    size_t count;
    yyjson_val *item;
    yyjson_arr_foreach(input, index, count, item) {
        if (!keep_input(deciding, item)) {
            return false;
        }
    }
    return true;
}

/* --- counting --- */

static bool count_input(struct sim_deciding *deciding) {
    struct sim_task *task = deciding->task;
    struct weir_span before = sim__input_text(yyjson_obj_get(task->root, "previous_response_id"));
    uint64_t hash = sim__input_hash(0, yyjson_obj_get(task->root, "input"));
    int64_t tokens = sim__responses_count(task->root);
    if (!weir_span_is_empty(before)) {
        const struct sim_object *object = sim__store_find(task->store, SIM_OBJECT_RESPONSE, before);
        if (object == NULL) {
            sim__refuse(&task->refusal, 400, "previous_response_id", "previous_response_not_found",
                        "Previous response with id '%.*s' not found.", before.length < 100 ? (int)before.length : 100,
                        before.at);
            return false;
        }
        tokens += ((const struct sim_response *)object->value)->context_tokens;
    }
    deciding->seed = hash;
    task->usage.input = tokens;
    task->usage.cached = sim__memory_cached(task->memory, hash, task->model, tokens);
    return true;
}

static void commit_response(struct sim_task *task) {
    struct sim_object *object = task->effect;
    struct sim_response *response = object->value;
    response->asked = task->stream ? 2 : 0; /* who has read the stream has seen its end */
    if (sim__store_add(task->store, object) != WEIR_OK) {
        return; /* without memory it is not remembered, which costs those who ask for it an error */
    }
}

static enum weir_status decide(struct sim_deciding *deciding, bool *store) {
    struct sim_task *task = deciding->task;
    struct sim_response *response = deciding->response;
    if (!sim__input_model(task->arena, task->root, &task->model, &task->refusal) ||
        weir_arena_dup(deciding->arena, task->model, &response->model) != WEIR_OK || !read_options(deciding, store) ||
        !sim__response_describe(task, deciding->notes) || !count_input(deciding)) {
        return sim__task_failed(task);
    }
    response->id = deciding->object->id;
    response->created_s = task->now_s;
    response->chatty = sim__input_contains(task->model, "chatty-events");
    response->failed = sim__input_contains(task->model, "failing");
    return keep_settings(deciding) && keep_inputs(deciding) && sim__response_make_output(deciding) ? WEIR_OK
                                                                                                   : WEIR_ENOMEM;
}

enum weir_status sim__responses(struct sim_task *task) {
    struct weir_buffer notes;
    struct sim_deciding deciding = {.task = task, .limit = INT32_MAX, .notes = &notes};
    bool store = true;
    char *id = sim__task_id(task, "resp_", ID_DIGITS);
    if (id == NULL) {
        return WEIR_ENOMEM;
    }
    deciding.object = sim__object_new(SIM_OBJECT_RESPONSE, weir_span_of_string(id), sizeof *deciding.response,
                                      task->arena);
    if (deciding.object == NULL) {
        return WEIR_ENOMEM;
    }
    deciding.arena = deciding.object->arena;
    struct sim_response *response = deciding.response = deciding.object->value;
    task->huge_done = true;
    weir_buffer_init(&notes, MAX_NOTES_BYTES);
    enum weir_status status = decide(&deciding, &store);
    weir_buffer_release(&notes);
    if (status != WEIR_OK) {
        return status;
    }
    response->usage = task->usage;
    response->context_tokens = task->usage.input + task->usage.output;
    if (response->background && !task->stream) {
        task->usage = (struct weir_usage){.input = 0}; /* it is counted where it is told */
        task->thinking = 0;
    }
    if (store) {
        task->commit = commit_response;
        task->effect = deciding.object;
    }
    if (task->stream) {
        return sim__response_stream(response, task, 0);
    }
    sim__response_write(response, sim__response_status(response), task, task->out);
    task->object = true;
    return WEIR_OK;
}

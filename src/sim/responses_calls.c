/* The endpoints around stored responses: reading, deleting, cancelling, their input, and the two that only count and shorten. */
#include "sim/page.h"
#include "sim/responses.h"

#include <yyjson.h>

static enum weir_status not_found(struct sim_task *task) {
    sim__refuse(&task->refusal, 404, NULL, NULL, "Response with id '%.*s' not found.",
                task->id.length < 100 ? (int)task->id.length : 100, task->id.at);
    return WEIR_EINVAL;
}

/* The response of the path, kept for as long as the answer takes. */
static enum weir_status find(struct sim_task *task, struct sim_object **object) {
    *object = sim__store_find(task->store, SIM_OBJECT_RESPONSE, task->id);
    if (*object == NULL) {
        return not_found(task);
    }
    task->effect = *object;
    return sim__object_hold(*object, task->arena);
}

static void commit_asked(struct sim_task *task) {
    struct sim_response *response = ((struct sim_object *)task->effect)->value;
    response->asked = task->stream ? 2 : response->asked + (response->asked < 2 ? 1 : 0);
}

enum weir_status sim__responses_get(struct sim_task *task) {
    struct sim_object *object = NULL;
    struct weir_span text;
    uint64_t after = 0;
    bool from_start = true;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    struct sim_response *response = object->value;
    task->model = response->model;
    task->stream = sim__task_query(task, "stream", &text) && weir_span_equal(text, WEIR_SPAN("true"));
    if (sim__task_query(task, "starting_after", &text)) {
        if (weir_span_to_uint64(text, &after) != WEIR_OK || !task->stream) {
            sim__refuse(&task->refusal, 400, "starting_after", "invalid_value",
                        "'starting_after' is a whole number, and goes with 'stream'.");
            return WEIR_EINVAL;
        }
        from_start = false;
    }
    if (response->background && !response->cancelled && response->asked < 2 && (task->stream || response->asked == 1)) {
        task->usage = response->usage; /* the call that first tells of it */
    }
    task->commit = commit_asked;
    task->huge_done = true;
    if (task->stream) {
        after = after < INT32_MAX ? after : INT32_MAX;
        return sim__response_stream(response, task, from_start ? 0 : (size_t)after + 1);
    }
    /* Who asks is told what has happened since somebody asked before. */
    struct sim_response next = *response;
    next.asked++;
    sim__response_write(response, sim__response_status(&next), task, task->out);
    task->object = true;
    return WEIR_OK;
}

static void commit_delete(struct sim_task *task) {
    sim__store_remove(task->store, task->effect);
}

enum weir_status sim__responses_delete(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    task->commit = commit_delete;
    weir_buffer_append(task->out, WEIR_SPAN("{\"id\":"));
    weir_json_append_string(task->out, object->id);
    weir_buffer_append(task->out, WEIR_SPAN(",\"object\":\"response\",\"deleted\":true}"));
    task->object = true;
    return WEIR_OK;
}

static void commit_cancel(struct sim_task *task) {
    struct sim_response *response = ((struct sim_object *)task->effect)->value;
    response->cancelled |= response->asked < 2;
}

enum weir_status sim__responses_cancel(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    struct sim_response *response = object->value;
    if (!response->background) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "Cannot cancel a synchronous response.");
        return WEIR_EINVAL;
    }
    task->model = response->model;
    task->commit = commit_cancel;
    sim__response_write(response, response->asked < 2 ? "cancelled" : sim__response_status(response), task, task->out);
    task->object = true;
    return WEIR_OK;
}

/* --- the input --- */

static struct weir_span input_id(const void *owner, size_t index) {
    const struct sim_response *response = owner;
    return response->input_ids[index];
}

static void write_input(const void *owner, size_t index, struct weir_buffer *out) {
    const struct sim_response *response = owner;
    weir_buffer_append(out, response->inputs[index]);
}

enum weir_status sim__responses_inputs(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    const struct sim_response *response = object->value;
    const struct sim_page_source source = {
        .owner = response,
        .count = response->input_count,
        .id = input_id,
        .write = write_input,
    };
    task->model = response->model;
    return sim__page_write(task, &source, &(const struct sim_page_limits){.usual = 20, .most = 100});
}

/* --- counting, shortening --- */

enum weir_status sim__responses_tokens(struct sim_task *task) {
    if (yyjson_obj_get(task->root, "model") != NULL &&
        !sim__input_model(task->arena, task->root, &task->model, &task->refusal)) {
        return sim__task_failed(task);
    }
    weir_buffer_printf(task->out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%lld}",
                       (long long)sim__responses_count(task->root));
    task->object = true;
    return WEIR_OK;
}

enum weir_status sim__responses_compact(struct sim_task *task) {
    struct weir_span before = sim__input_text(yyjson_obj_get(task->root, "previous_response_id"));
    struct weir_buffer *out = task->out;
    char *id = sim__task_id(task, "resp_", 32);
    char *item_id = sim__task_id(task, "cmp_", 32);
    if (id == NULL || item_id == NULL) {
        return WEIR_ENOMEM;
    }
    if (!sim__input_model(task->arena, task->root, &task->model, &task->refusal)) {
        return sim__task_failed(task);
    }
    task->usage.input = sim__responses_count(task->root);
    if (!weir_span_is_empty(before)) {
        const struct sim_object *object = sim__store_find(task->store, SIM_OBJECT_RESPONSE, before);
        if (object == NULL) {
            sim__refuse(&task->refusal, 400, "previous_response_id", "previous_response_not_found",
                        "Previous response with id '%.*s' not found.", before.length < 100 ? (int)before.length : 100,
                        before.at);
            return WEIR_EINVAL;
        }
        task->usage.input += ((const struct sim_response *)object->value)->context_tokens;
    }
    task->usage.output = task->wishes->tokens;
    weir_buffer_printf(
        out,
        "{\"id\":\"%s\",\"object\":\"response.compaction\",\"created_at\":%lld,\"output\":[{\"id\":\"%s\","
        "\"type\":\"compaction\",\"encrypted_content\":",
        id, (long long)task->now_s, item_id);
    struct sim_text content = sim__text_words(sim__input_hash(1, task->root), 8);
    sim__text_write(&content, out);
    weir_buffer_append(out, WEIR_SPAN("}]"));
    if (!task->no_usage) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        sim__response_usage(&task->usage, task, out);
    }
    weir_buffer_append_byte(out, '}');
    task->object = true;
    return WEIR_OK;
}

/* /v1/batches: a file of requests becomes a file of answers, made by the same functions that answer calls. All is worked out when a batch is
 * created; it is told bit by bit, a state further each time that somebody asks. */
#include "sim/files.h"
#include "sim/answer.h"
#include "sim/dialect.h"
#include "sim/page.h"

#include <yyjson.h>

enum { MAX_LINES = 50000, MAX_METADATA = 16, WINDOW_S = 86400 };
#define MAX_RESULT_BYTES ((size_t)512 * 1024 * 1024)
#define MAX_LINE_ARENA_BYTES ((size_t)64 * 1024 * 1024)

/* Lives in the arena of its object. */
struct batch {
    struct weir_span id, endpoint, input_id, metadata;
    struct weir_span output_id, error_id;
    struct weir_span outputs, errors; /* the content of both files */
    int64_t created_s, total, failed;
    struct weir_usage usage;
    unsigned asked;
    bool cancelled;
    bool delivered; /* its files are there */
};

/* One batch while it is worked out. */
struct work {
    struct sim_task *task;
    struct batch *batch;
    const struct sim_endpoint *endpoint;
    struct weir_buffer outputs, errors, body;
};

/* --- telling --- */

static const char *status_of(const struct batch *batch) {
    static const char *const names[] = {"validating", "in_progress", "completed"};
    if (batch->cancelled) {
        return batch->asked == 0 ? "cancelling" : "cancelled";
    }
    return names[batch->asked < 2 ? batch->asked : 2];
}

static void write_id(struct weir_buffer *out, const char *name, struct weir_span id) {
    if (!weir_span_is_empty(id)) {
        weir_buffer_printf(out, ",\"%s\":", name);
        weir_json_append_string(out, id);
    }
}

static void write_batch(const struct batch *batch, const struct sim_task *task, struct weir_buffer *out) {
    const char *status = status_of(batch);
    bool completed = strcmp(status, "completed") == 0;
    int64_t expires_s = batch->created_s + WINDOW_S;
    int64_t failed = completed ? batch->failed : 0;
    int64_t worked = completed ? batch->total - batch->failed : 0;
    bool begun = strcmp(status, "validating") != 0;
    weir_buffer_append(out, WEIR_SPAN("{\"id\":"));
    weir_json_append_string(out, batch->id);
    weir_buffer_append(out, WEIR_SPAN(",\"object\":\"batch\",\"endpoint\":"));
    weir_json_append_string(out, batch->endpoint);
    write_id(out, "input_file_id", batch->input_id);
    weir_buffer_printf(out, ",\"completion_window\":\"24h\",\"status\":\"%s\",\"created_at\":%lld,\"expires_at\":%lld",
                       status, (long long)batch->created_s, (long long)expires_s);
    if (begun) {
        weir_buffer_printf(out, ",\"in_progress_at\":%lld", (long long)batch->created_s);
    }
    if (batch->cancelled) {
        weir_buffer_printf(out, ",\"%s_at\":%lld", status, (long long)task->now_s);
    }
    if (completed) {
        weir_buffer_printf(out, ",\"finalizing_at\":%lld,\"completed_at\":%lld", (long long)batch->created_s,
                           (long long)batch->created_s);
        write_id(out, "output_file_id", batch->outputs.length > 0 ? batch->output_id : WEIR_SPAN(""));
        write_id(out, "error_file_id", batch->errors.length > 0 ? batch->error_id : WEIR_SPAN(""));
        if (!task->no_usage) {
            int64_t input = sim__task_said(task, batch->usage.input);
            int64_t output = sim__task_said(task, batch->usage.output);
            int64_t total = input + output;
            weir_buffer_printf(out,
                               ",\"usage\":{\"input_tokens\":%lld,\"input_tokens_details\":{\"cached_tokens\":%lld},"
                               "\"output_tokens\":%lld,\"output_tokens_details\":{\"reasoning_tokens\":%lld},"
                               "\"total_tokens\":%lld}",
                               (long long)input, (long long)sim__task_said(task, batch->usage.cached),
                               (long long)output, (long long)sim__task_said(task, batch->usage.reasoning),
                               (long long)total);
        }
    }
    weir_buffer_printf(out, ",\"request_counts\":{\"total\":%lld,\"completed\":%lld,\"failed\":%lld},\"metadata\":",
                       (long long)batch->total, (long long)worked, (long long)failed);
    weir_buffer_append(out, batch->metadata);
    weir_buffer_append_byte(out, '}');
}

static void write_at(const void *objects, size_t index, struct weir_buffer *out) {
    struct sim_object *const *all = objects;
    const struct sim_task plain = {.usage_percent = 100};
    write_batch(all[index]->value, &plain, out);
}

/* --- working it out --- */

/* Lets the endpoint's own function answer the body of a line. WEIR_EINVAL: refused, and the refusal is in work->body. */
static enum weir_status answer_line(struct work *work, struct weir_arena *arena, yyjson_val *body) {
    struct sim_task line = *work->task;
    struct weir_span content;
    line.arena = line.scratch = arena;
    line.form = NULL;
    line.commit = NULL;
    line.usage = (struct weir_usage){.input = 0};
    line.refusal = (struct sim_refusal){.status = 0};
    line.huge_bytes = 0;
    line.no_usage = false;
    line.usage_percent = 100;
    line.root = body;
    line.out = &work->body;
    enum weir_status status = sim__input_copy(arena, body, &content);
    if (status == WEIR_OK) {
        line.content = content;
        status = work->endpoint->answer(&line);
    }
    if (status == WEIR_OK && line.steps.kind != NULL) {
        sim__refuse(&line.refusal, 400, "stream", NULL, "Requests of a batch cannot be streamed.");
        status = WEIR_EINVAL;
    }
    if (status == WEIR_OK) {
        work->batch->usage.input += line.usage.input;
        work->batch->usage.cached += line.usage.cached;
        work->batch->usage.output += line.usage.output;
        work->batch->usage.reasoning += line.usage.reasoning;
    } else if (status == WEIR_EINVAL) {
        weir_buffer_clear(&work->body);
        sim__answer_error(&line.refusal, &work->body);
        work->batch->failed++;
        work->task->refusal.status = 0;
    }
    return status;
}

static enum weir_status work_line(struct work *work, struct weir_arena *arena, struct weir_span text) {
    yyjson_val *root = NULL;
    struct sim_refusal refusal = {.status = 0};
    enum weir_status status = sim__input_object(arena, text, &root, &refusal);
    yyjson_val *custom_id = status == WEIR_OK ? yyjson_obj_get(root, "custom_id") : NULL;
    yyjson_val *body = status == WEIR_OK ? yyjson_obj_get(root, "body") : NULL;
    if (status == WEIR_ENOMEM) {
        return status;
    }
    work->batch->total++;
    weir_buffer_clear(&work->body);
    if (!yyjson_is_str(custom_id) || !yyjson_is_obj(body)) {
        sim__refuse(&refusal, 400, NULL, "invalid_json_line", "A line needs a custom_id and a body.");
        sim__answer_error(&refusal, &work->body);
        work->batch->failed++;
        status = WEIR_EINVAL;
    } else {
        status = answer_line(work, arena, body);
    }
    if (status == WEIR_ENOMEM) {
        return status;
    }
    struct weir_buffer *out = status == WEIR_OK ? &work->outputs : &work->errors;
    char *id = weir_arena_format(arena, "batch_req_%016llx",
                                 (unsigned long long)sim__mix((uint64_t)work->batch->total));
    weir_buffer_printf(out, "{\"id\":\"%s\",\"custom_id\":", id != NULL ? id : "batch_req");
    weir_json_append_string(out, sim__input_text(custom_id));
    weir_buffer_printf(out, ",\"response\":{\"status_code\":%d,\"request_id\":\"%s\",\"body\":",
                       status == WEIR_OK ? 200 : 400, id != NULL ? id : "batch_req");
    weir_buffer_append(out, weir_buffer_span(&work->body));
    weir_buffer_append(out, WEIR_SPAN("},\"error\":null}\n"));
    return WEIR_OK;
}

static enum weir_status work_out(struct work *work, struct weir_span input) {
    struct weir_arena *arena = weir_arena_new(0, MAX_LINE_ARENA_BYTES);
    enum weir_status status = arena != NULL ? WEIR_OK : WEIR_ENOMEM;
    while (status == WEIR_OK && !weir_span_is_empty(input) && work->batch->total < MAX_LINES) {
        struct weir_span line;
        (void)weir_span_split(input, '\n', &line, &input);
        line = weir_span_trim(line);
        if (!weir_span_is_empty(line)) {
            status = work_line(work, arena, line);
            weir_arena_reset(arena);
        }
    }
    weir_arena_free(&arena);
    return status;
}

/* --- the endpoints --- */

static void commit_create(struct sim_task *task) {
    if (sim__store_add(task->store, task->effect) != WEIR_OK) {
        return; /* without memory it is not remembered, which costs those who ask for it an error */
    }
}

static bool read_request(struct sim_task *task, struct work *work, const struct sim_object **input) {
    static const char *const endpoints[] = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings",
                                            "/v1/moderations",      "/v1/responses",   NULL};
    static const char *const windows[] = {"24h", NULL};
    const char *endpoint = NULL;
    const char *window = NULL;
    struct weir_span input_id = WEIR_SPAN("");
    struct weir_span none;
    yyjson_val *metadata = yyjson_obj_get(task->root, "metadata");
    if (!sim__input_string(task->root, "input_file_id", &input_id, &task->refusal) ||
        !sim__input_choice(task->root, "endpoint", endpoints, &endpoint, &task->refusal) ||
        !sim__input_choice(task->root, "completion_window", windows, &window, &task->refusal)) {
        return false;
    }
    if (weir_span_is_empty(input_id) || endpoint == NULL || window == NULL) {
        const char *name = endpoint == NULL ? "endpoint" : window == NULL ? "completion_window" : "input_file_id";
        sim__refuse(&task->refusal, 400, name, "missing_required_parameter", "Missing required parameter: '%s'.", name);
        return false;
    }
    if (metadata != NULL && !yyjson_is_null(metadata) &&
        (!yyjson_is_obj(metadata) || yyjson_obj_size(metadata) > MAX_METADATA)) {
        sim__refuse(&task->refusal, 400, "metadata", "invalid_type",
                    "Invalid 'metadata': expected an object of at most %d members.", MAX_METADATA);
        return false;
    }
    *input = sim__store_find(task->store, SIM_OBJECT_FILE, input_id);
    if (*input == NULL) {
        sim__refuse(&task->refusal, 400, "input_file_id", "invalid_input_file_id", "No such File object: %.*s",
                    input_id.length < 100 ? (int)input_id.length : 100, input_id.at);
        return false;
    }
    work->endpoint = sim__dialect_endpoint(&sim__openai, WEIR_SPAN("POST"), weir_span_of_string(endpoint), &none);
    work->batch->endpoint = weir_span_of_string(endpoint);
    return work->endpoint != NULL;
}

static enum weir_status fill(struct sim_task *task, struct sim_object *object, struct work *work) {
    struct batch *batch = work->batch;
    const struct sim_object *input = NULL;
    yyjson_val *metadata = yyjson_obj_get(task->root, "metadata");
    struct weir_span metadata_json = WEIR_SPAN("{}");
    if (!read_request(task, work, &input)) {
        return sim__task_failed(task);
    }
    if (yyjson_is_obj(metadata) && sim__input_copy(task->arena, metadata, &metadata_json) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    char *output_id = sim__task_id(task, "file-", 22);
    char *error_id = sim__task_id(task, "file-", 22);
    batch->id = object->id;
    batch->created_s = task->now_s;
    if (output_id == NULL || error_id == NULL ||
        weir_arena_dup(object->arena, input->id, &batch->input_id) != WEIR_OK ||
        weir_arena_dup(object->arena, metadata_json, &batch->metadata) != WEIR_OK ||
        weir_arena_dup(object->arena, weir_span_of_string(output_id), &batch->output_id) != WEIR_OK ||
        weir_arena_dup(object->arena, weir_span_of_string(error_id), &batch->error_id) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = work_out(work, ((const struct sim_file *)input->value)->content);
    if (status == WEIR_OK &&
        (weir_buffer_status(&work->outputs) != WEIR_OK || weir_buffer_status(&work->errors) != WEIR_OK ||
         weir_arena_dup(object->arena, weir_buffer_span(&work->outputs), &batch->outputs) != WEIR_OK ||
         weir_arena_dup(object->arena, weir_buffer_span(&work->errors), &batch->errors) != WEIR_OK)) {
        status = WEIR_ENOMEM;
    }
    return status;
}

enum weir_status sim__batches_create(struct sim_task *task) {
    struct work work = {.task = task};
    char *id = sim__task_id(task, "batch_", 24);
    struct sim_object *object = id == NULL ? NULL
                                           : sim__object_new(SIM_OBJECT_BATCH, weir_span_of_string(id),
                                                             sizeof *work.batch, task->arena);
    if (object == NULL) {
        return WEIR_ENOMEM;
    }
    work.batch = object->value;
    weir_buffer_init(&work.outputs, MAX_RESULT_BYTES);
    weir_buffer_init(&work.errors, MAX_RESULT_BYTES);
    weir_buffer_init(&work.body, MAX_RESULT_BYTES);
    enum weir_status status = fill(task, object, &work);
    weir_buffer_release(&work.outputs);
    weir_buffer_release(&work.errors);
    weir_buffer_release(&work.body);
    if (status == WEIR_OK) {
        task->effect = object;
        task->commit = commit_create;
        write_batch(work.batch, task, task->out);
        task->object = true;
    }
    return status;
}

enum weir_status sim__batches_list(struct sim_task *task) {
    struct sim_object **objects = NULL;
    struct sim_page_source source = {.id = sim__object_id, .write = write_at};
    enum weir_status status = sim__files_gather(task, SIM_OBJECT_BATCH, WEIR_SPAN(""), &objects, &source.count);
    source.owner = objects;
    return status != WEIR_OK
               ? status
               : sim__page_write(task, &source, &(const struct sim_page_limits){.usual = 20, .most = 100});
}

static enum weir_status find(struct sim_task *task, struct sim_object **object) {
    *object = sim__store_find(task->store, SIM_OBJECT_BATCH, task->id);
    if (*object == NULL) {
        sim__refuse(&task->refusal, 404, NULL, NULL, "No batch found with id '%.*s'.",
                    task->id.length < 100 ? (int)task->id.length : 100, task->id.at);
        return WEIR_EINVAL;
    }
    task->effect = *object;
    return sim__object_hold(*object, task->arena);
}

static void deliver(struct sim_task *task, struct weir_span id, const char *name, struct weir_span content) {
    struct sim_object *file = weir_span_is_empty(content) ? NULL
                                                          : sim__file_new(task, id, weir_span_of_string(name),
                                                                          WEIR_SPAN("batch_output"), content);
    if (file == NULL || sim__store_add(task->store, file) != WEIR_OK) {
        return; /* nothing to deliver, or no memory: who asks for it is told that it is not there */
    }
}

static void commit_asked(struct sim_task *task) {
    struct batch *batch = ((struct sim_object *)task->effect)->value;
    batch->asked += batch->asked < 2 ? 1 : 0;
    if (!batch->cancelled && batch->asked == 2 && !batch->delivered) {
        batch->delivered = true;
        deliver(task, batch->output_id, "output.jsonl", batch->outputs);
        deliver(task, batch->error_id, "errors.jsonl", batch->errors);
    }
}

enum weir_status sim__batches_get(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        struct batch next = *(const struct batch *)object->value;
        next.asked += next.asked < 2 ? 1 : 0;
        if (!next.cancelled && next.asked == 2 && !next.delivered) {
            task->usage = next.usage; /* the call that first tells of it */
        }
        task->commit = commit_asked;
        write_batch(&next, task, task->out);
        task->object = true;
    }
    return status;
}

static void commit_cancel(struct sim_task *task) {
    struct batch *batch = ((struct sim_object *)task->effect)->value;
    batch->cancelled = true;
    batch->asked = 0;
}

enum weir_status sim__batches_cancel(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    struct batch next = *(const struct batch *)object->value;
    if (next.asked == 2) {
        sim__refuse(&task->refusal, 409, NULL, NULL, "Cannot cancel a batch with status '%s'.", status_of(&next));
        return WEIR_EINVAL;
    }
    if (!next.cancelled) {
        next.cancelled = true;
        next.asked = 0;
        task->commit = commit_cancel;
    }
    write_batch(&next, task, task->out);
    task->object = true;
    return WEIR_OK;
}

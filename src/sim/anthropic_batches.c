/* Anthropic's /v1/messages/batches: requests answered by the function that answers /v1/messages. All is worked out when a batch is created;
 * it is told a state further each time that somebody asks. */
#include "sim/anthropic.h"

#include <yyjson.h>

enum { MAX_REQUESTS = 10000, WINDOW_S = 86400 };
#define MAX_RESULT_BYTES ((size_t)128 * 1024 * 1024)
#define MAX_LINE_ARENA_BYTES ((size_t)64 * 1024 * 1024)

/* Lives in the arena of its object. */
struct batch {
    struct weir_span url;
    struct weir_span results, cancelled_results;
    int64_t created_s, asked_s, total, failed;
    struct weir_usage usage;
    unsigned asked;
    bool cancelled;
};

/* One batch while it is worked out. */
struct work {
    struct sim_task *task;
    struct batch *batch;
    struct weir_buffer results, cancelled, body;
};

/* --- telling --- */

static bool has_ended(const struct batch *batch) {
    return batch->asked >= (batch->cancelled ? 1U : 2U);
}

static void write_batch(const struct sim_object *object, struct weir_buffer *out) {
    const struct batch *batch = object->value;
    bool ended = has_ended(batch);
    int64_t canceled = ended && batch->cancelled ? batch->total : 0;
    int64_t errored = ended && !batch->cancelled ? batch->failed : 0;
    int64_t succeeded = ended && !batch->cancelled ? batch->total - batch->failed : 0;
    weir_buffer_append(out, WEIR_SPAN("{\"type\":\"message_batch\",\"id\":"));
    weir_json_append_string(out, object->id);
    weir_buffer_printf(out,
                       ",\"processing_status\":\"%s\",\"request_counts\":{\"processing\":%lld,\"succeeded\":%lld,"
                       "\"errored\":%lld,\"canceled\":%lld,\"expired\":0},\"created_at\":",
                       ended              ? "ended"
                       : batch->cancelled ? "canceling"
                                          : "in_progress",
                       (long long)(ended ? 0 : batch->total), (long long)succeeded, (long long)errored,
                       (long long)canceled);
    sim__anthropic_time(batch->created_s, out);
    weir_buffer_append(out, WEIR_SPAN(",\"expires_at\":"));
    sim__anthropic_time(batch->created_s + WINDOW_S, out);
    weir_buffer_append(out, WEIR_SPAN(",\"ended_at\":"));
    if (ended) {
        sim__anthropic_time(batch->asked_s, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("null"));
    }
    weir_buffer_append(out, WEIR_SPAN(",\"cancel_initiated_at\":"));
    if (batch->cancelled) {
        sim__anthropic_time(batch->created_s, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("null"));
    }
    weir_buffer_append(out, WEIR_SPAN(",\"archived_at\":null,\"results_url\":"));
    if (ended) {
        weir_json_append_string(out, batch->url);
    } else {
        weir_buffer_append(out, WEIR_SPAN("null"));
    }
    weir_buffer_append_byte(out, '}');
}

/* --- working it out --- */

/* Answers one request into work->body. WEIR_EINVAL: the body is the error. */
static enum weir_status answer_request(struct work *work, struct weir_arena *arena, yyjson_val *params) {
    struct sim_task line = *work->task;
    line.arena = line.scratch = arena;
    line.form = NULL;
    line.commit = NULL;
    line.usage = (struct weir_usage){.input = 0};
    line.refusal = (struct sim_refusal){.status = 0};
    line.huge_bytes = 0;
    line.no_usage = false;
    line.usage_percent = 100;
    line.root = params;
    line.out = &work->body;
    weir_buffer_clear(&work->body);
    enum weir_status status = sim__anthropic_messages(&line);
    if (status == WEIR_OK && line.steps.kind != NULL) {
        (void)sim__anthropic_refuse(&line, "stream: Requests of a batch cannot be streamed.");
        status = WEIR_EINVAL;
    }
    if (status == WEIR_OK) {
        work->batch->usage.input += line.usage.input;
        work->batch->usage.cached += line.usage.cached;
        work->batch->usage.cache_write += line.usage.cache_write;
        work->batch->usage.output += line.usage.output;
        work->batch->usage.reasoning += line.usage.reasoning;
    } else if (status == WEIR_EINVAL) {
        weir_buffer_clear(&work->body);
        line.dialect->write_error(&line.refusal, line.served, &work->body);
        work->batch->failed++;
    }
    return status;
}

static enum weir_status work_request(struct work *work, struct weir_arena *arena, yyjson_val *request, size_t index) {
    yyjson_val *id = yyjson_obj_get(request, "custom_id");
    yyjson_val *params = yyjson_obj_get(request, "params");
    size_t before;
    size_t count;
    yyjson_val *other;
    if (!yyjson_is_str(id) || !yyjson_is_obj(params)) {
        (void)sim__anthropic_refuse(work->task, "requests.%zu.%s: Field required", index,
                                    yyjson_is_str(id) ? "params" : "custom_id");
        return WEIR_EINVAL;
    }
    yyjson_arr_foreach(yyjson_obj_get(work->task->root, "requests"), before, count, other) {
        if (before < index &&
            weir_span_equal(sim__input_text(yyjson_obj_get(other, "custom_id")), sim__input_text(id))) {
            (void)sim__anthropic_refuse(work->task, "requests.%zu.custom_id: custom_id must be unique", index);
            return WEIR_EINVAL;
        }
    }
    enum weir_status status = answer_request(work, arena, params);
    if (status == WEIR_ENOMEM) {
        return status;
    }
    struct weir_buffer *const both[] = {&work->results, &work->cancelled};
    for (size_t i = 0; i < 2; i++) {
        weir_buffer_append(both[i], WEIR_SPAN("{\"custom_id\":"));
        weir_json_append_string(both[i], sim__input_text(id));
    }
    weir_buffer_append(&work->cancelled, WEIR_SPAN(",\"result\":{\"type\":\"canceled\"}}\n"));
    weir_buffer_append(&work->results, status == WEIR_OK ? WEIR_SPAN(",\"result\":{\"type\":\"succeeded\",\"message\":")
                                                         : WEIR_SPAN(",\"result\":{\"type\":\"errored\",\"error\":"));
    weir_buffer_append(&work->results, weir_buffer_span(&work->body));
    weir_buffer_append(&work->results, WEIR_SPAN("}}\n"));
    work->batch->total++;
    return WEIR_OK;
}

static enum weir_status work_out(struct work *work, yyjson_val *requests) {
    struct weir_arena *arena = weir_arena_new(0, MAX_LINE_ARENA_BYTES);
    enum weir_status status = arena != NULL ? WEIR_OK : WEIR_ENOMEM;
    size_t index;
    size_t count;
    yyjson_val *request;
    yyjson_arr_foreach(requests, index, count, request) {
        if (status == WEIR_OK) {
            status = work_request(work, arena, request, index);
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

static enum weir_status fill(struct sim_task *task, struct sim_object *object, struct work *work) {
    struct batch *batch = work->batch;
    yyjson_val *requests = yyjson_obj_get(task->root, "requests");
    bool current = false;
    if (!sim__anthropic_check_version(task, &current)) {
        return WEIR_EINVAL;
    }
    if (!yyjson_is_arr(requests) || yyjson_arr_size(requests) == 0 || yyjson_arr_size(requests) > MAX_REQUESTS) {
        (void)sim__anthropic_refuse(task, "requests: Input should be a list of 1 to %d requests", MAX_REQUESTS);
        return WEIR_EINVAL;
    }
    const char *url = weir_arena_format(task->arena, "http://%.*s/v1/messages/batches/%.*s/results",
                                        WEIR_SPAN_PRINT(task->caller->host), WEIR_SPAN_PRINT(object->id));
    batch->created_s = task->now_s;
    enum weir_status status = url == NULL ? WEIR_ENOMEM : work_out(work, requests);
    if (status == WEIR_OK &&
        (weir_buffer_status(&work->results) != WEIR_OK || weir_buffer_status(&work->cancelled) != WEIR_OK ||
         weir_arena_dup(object->arena, weir_span_of_string(url), &batch->url) != WEIR_OK ||
         weir_arena_dup(object->arena, weir_buffer_span(&work->results), &batch->results) != WEIR_OK ||
         weir_arena_dup(object->arena, weir_buffer_span(&work->cancelled), &batch->cancelled_results) != WEIR_OK)) {
        status = WEIR_ENOMEM;
    }
    return status;
}

enum weir_status sim__anthropic_batches_create(struct sim_task *task) {
    struct work work = {.task = task};
    char *id = sim__task_id(task, "msgbatch_01", 22);
    struct sim_object *object = id == NULL ? NULL
                                           : sim__object_new(SIM_OBJECT_NATIVE_BATCH, weir_span_of_string(id),
                                                             sizeof *work.batch, task->arena);
    if (object == NULL) {
        return WEIR_ENOMEM;
    }
    work.batch = object->value;
    weir_buffer_init(&work.results, MAX_RESULT_BYTES);
    weir_buffer_init(&work.cancelled, MAX_RESULT_BYTES);
    weir_buffer_init(&work.body, MAX_RESULT_BYTES);
    enum weir_status status = fill(task, object, &work);
    weir_buffer_release(&work.results);
    weir_buffer_release(&work.cancelled);
    weir_buffer_release(&work.body);
    if (status == WEIR_OK) {
        task->effect = object;
        task->commit = commit_create;
        write_batch(object, task->out);
        task->object = true;
    }
    return status;
}

enum weir_status sim__anthropic_batches_list(struct sim_task *task) {
    return sim__anthropic_page(task, SIM_OBJECT_NATIVE_BATCH, write_batch);
}

static enum weir_status find(struct sim_task *task, struct sim_object **object) {
    bool current = false;
    if (!sim__anthropic_check_version(task, &current)) {
        return WEIR_EINVAL;
    }
    *object = sim__store_find(task->store, SIM_OBJECT_NATIVE_BATCH, task->id);
    if (*object == NULL) {
        (void)sim__anthropic_refuse(task, "Message batch not found: %.*s",
                                    task->id.length < 100 ? (int)task->id.length : 100, task->id.at);
        task->refusal.status = 404;
        return WEIR_EINVAL;
    }
    task->effect = *object;
    return sim__object_hold(*object, task->arena);
}

/* What a batch says when it has gone a state further. */
static struct batch next_of(const struct sim_task *task, const struct batch *batch) {
    struct batch next = *batch;
    next.asked += has_ended(batch) ? 0 : 1;
    next.asked_s = has_ended(batch) ? batch->asked_s : task->now_s;
    return next;
}

static void commit_asked(struct sim_task *task) {
    struct batch *batch = ((struct sim_object *)task->effect)->value;
    *batch = next_of(task, batch);
}

enum weir_status sim__anthropic_batches_get(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        struct batch next = next_of(task, object->value);
        struct sim_object shown = *object;
        shown.value = &next;
        if (has_ended(&next) && !next.cancelled && !has_ended(object->value)) {
            task->usage = next.usage; /* the call that first tells of it */
        }
        task->commit = commit_asked;
        write_batch(&shown, task->out);
        task->object = true;
    }
    return status;
}

static void commit_cancel(struct sim_task *task) {
    struct batch *batch = ((struct sim_object *)task->effect)->value;
    batch->cancelled = true;
    batch->asked = 0;
}

enum weir_status sim__anthropic_batches_cancel(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    struct batch next = *(const struct batch *)object->value;
    struct sim_object shown = *object;
    if (!has_ended(&next) && !next.cancelled) {
        next.cancelled = true;
        next.asked = 0;
        task->commit = commit_cancel;
    }
    shown.value = &next;
    write_batch(&shown, task->out);
    task->object = true;
    return WEIR_OK;
}

static void commit_delete(struct sim_task *task) {
    sim__store_remove(task->store, task->effect);
}

enum weir_status sim__anthropic_batches_delete(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    if (!has_ended(object->value)) {
        (void)sim__anthropic_refuse(task, "Message batches can only be deleted once they have finished processing.");
        return WEIR_EINVAL;
    }
    weir_buffer_append(task->out, WEIR_SPAN("{\"type\":\"message_batch_deleted\",\"id\":"));
    weir_json_append_string(task->out, object->id);
    weir_buffer_append_byte(task->out, '}');
    task->object = true;
    task->commit = commit_delete;
    return WEIR_OK;
}

enum weir_status sim__anthropic_batches_results(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    const struct batch *batch = object->value;
    if (!has_ended(batch)) {
        (void)sim__anthropic_refuse(task, "The results of a message batch are there when its processing has ended.");
        return WEIR_EINVAL;
    }
    task->body = batch->cancelled ? batch->cancelled_results : batch->results;
    task->type = "application/x-jsonl";
    return WEIR_OK;
}

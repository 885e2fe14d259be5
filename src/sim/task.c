/* See task.h: what the families share. */
#include "sim/task.h"

#include "http/url.h"
#include "sim/fault.h"

char *sim__task_id(struct sim_task *task, const char *prefix, size_t digits) {
    size_t start = strlen(prefix);
    char *id = weir_arena_alloc(task->arena, start + digits + 1);
    if (id != NULL) {
        memcpy(id, prefix, start);
        weir_base62_random(task->random, id + start, digits);
    }
    return id;
}

int64_t sim__task_said(const struct sim_task *task, int64_t tokens) {
    return sim__percent_of(tokens, task->usage_percent);
}

void sim__task_usage(const struct sim_task *task, struct weir_buffer *out) {
    int64_t prompt = sim__task_said(task, task->usage.input);
    int64_t completion = sim__task_said(task, task->usage.output);
    int64_t total = prompt + completion;
    weir_buffer_printf(out, "{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld}",
                       (long long)prompt, (long long)completion, (long long)total);
}

void sim__task_model(const struct sim_task *task, struct weir_buffer *out) {
    weir_json_append_string(out, task->model);
}

enum weir_status sim__task_stream(struct sim_task *task, const struct sim_script *script) {
    struct sim_script *kept = weir_arena_alloc(task->arena, sizeof *kept);
    if (kept == NULL) {
        return WEIR_ENOMEM;
    }
    *kept = *script;
    sim__script_dress(kept, task->wishes, task->dialect, task->served);
    return sim__script_steps(kept, task->no_end, &task->steps);
}

enum weir_status sim__task_name(struct sim_task *task, struct weir_span *name) {
    char *decoded = weir_arena_alloc_raw(task->arena, task->id.length);
    size_t length = 0;
    if (decoded == NULL) {
        return WEIR_ENOMEM;
    }
    if (weir_url_decode(task->id, decoded, &length) != WEIR_OK) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "The path is not well formed.");
        return WEIR_EINVAL;
    }
    *name = weir_span_of(decoded, length);
    return WEIR_OK;
}

bool sim__task_query(struct sim_task *task, const char *name, struct weir_span *value) {
    char *decoded = weir_arena_alloc_raw(task->arena, task->query.length);
    size_t length = 0;
    if (decoded == NULL || weir_url_query_find(task->query, weir_span_of_string(name), decoded, &length) != WEIR_OK) {
        return false;
    }
    *value = weir_span_of(decoded, length);
    return true;
}

enum weir_status sim__task_failed(const struct sim_task *task) {
    return task->refusal.status != 0 ? WEIR_EINVAL : WEIR_ENOMEM;
}

/* See task.h: the table of all endpoints, and what their families share. */
#include "sim/task.h"

#include "http/url.h"
#include "sim/fault.h"

static const struct sim_endpoint endpoints[] = {
    {"POST", "/chat/completions", SIM_BODY_RAW, sim__chat_answer},
    {"POST", "/completions", SIM_BODY_JSON, sim__completions},
    {"POST", "/embeddings", SIM_BODY_JSON, sim__embeddings},
    {"POST", "/responses", SIM_BODY_JSON, sim__responses},
    {"POST", "/responses/input_tokens", SIM_BODY_JSON, sim__responses_tokens},
    {"POST", "/responses/compact", SIM_BODY_JSON, sim__responses_compact},
    {"GET", "/responses/{id}", SIM_BODY_NONE, sim__responses_get},
    {"DELETE", "/responses/{id}", SIM_BODY_NONE, sim__responses_delete},
    {"POST", "/responses/{id}/cancel", SIM_BODY_NONE, sim__responses_cancel},
    {"GET", "/responses/{id}/input_items", SIM_BODY_NONE, sim__responses_inputs},
    {"POST", "/moderations", SIM_BODY_JSON, sim__moderations},
    {"POST", "/images/generations", SIM_BODY_JSON, sim__images_generations},
    {"POST", "/images/edits", SIM_BODY_FORM_OR_JSON, sim__images_edits},
    {"POST", "/images/variations", SIM_BODY_FORM, sim__images_variations},
    {"POST", "/audio/speech", SIM_BODY_JSON, sim__speech},
    {"POST", "/audio/transcriptions", SIM_BODY_FORM, sim__transcriptions},
    {"POST", "/audio/translations", SIM_BODY_FORM, sim__translations},
    {"POST", "/rerank", SIM_BODY_JSON, sim__rerank},
    {"POST", "/v2/rerank", SIM_BODY_JSON, sim__rerank},
    {"POST", "/files", SIM_BODY_FORM, sim__files_create},
    {"GET", "/files", SIM_BODY_NONE, sim__files_list},
    {"GET", "/files/{id}", SIM_BODY_NONE, sim__files_get},
    {"DELETE", "/files/{id}", SIM_BODY_NONE, sim__files_delete},
    {"GET", "/files/{id}/content", SIM_BODY_NONE, sim__files_content},
    {"POST", "/uploads", SIM_BODY_JSON, sim__uploads_create},
    {"POST", "/uploads/{id}/parts", SIM_BODY_FORM, sim__uploads_part},
    {"POST", "/uploads/{id}/complete", SIM_BODY_JSON, sim__uploads_complete},
    {"POST", "/uploads/{id}/cancel", SIM_BODY_NONE, sim__uploads_cancel},
    {"POST", "/batches", SIM_BODY_JSON, sim__batches_create},
    {"GET", "/batches", SIM_BODY_NONE, sim__batches_list},
    {"GET", "/batches/{id}", SIM_BODY_NONE, sim__batches_get},
    {"POST", "/batches/{id}/cancel", SIM_BODY_NONE, sim__batches_cancel},
};

/* Compares a path with a row's, segment by segment. */
static bool path_fits(struct weir_span pattern, struct weir_span path, struct weir_span *id) {
    while (pattern.length > 0 && path.length > 0) {
        if (pattern.at[0] == '{') {
            size_t end = weir_span_index(path, '/');
            *id = weir_span_first(path, end);
            path = weir_span_from(path, end);
            pattern = weir_span_from(pattern, weir_span_index(pattern, '}') + 1);
            if (weir_span_is_empty(*id)) {
                return false;
            }
        } else if (pattern.at[0] != path.at[0]) {
            return false;
        } else {
            pattern = weir_span_from(pattern, 1);
            path = weir_span_from(path, 1);
        }
    }
    return pattern.length == 0 && path.length == 0;
}

const struct sim_endpoint *sim__endpoint_find(struct weir_span method, struct weir_span path, struct weir_span *id) {
    *id = WEIR_SPAN("");
    struct weir_span rest = weir_span_starts_with(path, WEIR_SPAN("/v1/")) ? weir_span_from(path, 3) : path;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const struct sim_endpoint *row = &endpoints[i];
        if (path_fits(weir_span_of_string(row->path), rest, id) &&
            weir_span_equal(method, weir_span_of_string(row->method))) {
            return row;
        }
    }
    return NULL;
}

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
    sim__script_dress(kept, task->wishes, task->served);
    return sim__script_steps(kept, task->no_end, &task->steps);
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

/* POST /v1/rerank and /v2/rerank, as Cohere and Jina have it: documents in the order of how well they answer. Models named rerank-… are billed
 * by searches, others by tokens. */
#include "sim/task.h"

#include <yyjson.h>

enum { MAX_DOCUMENTS = 10000, DOCUMENTS_PER_SEARCH = 100, SCORES = 1000000 };

struct ranked {
    size_t index;
    uint64_t score; /* of SCORES */
};

static int compare(const void *a, const void *b) {
    const struct ranked *first = a;
    const struct ranked *second = b;
    if (first->score != second->score) {
        return first->score > second->score ? -1 : 1;
    }
    return first->index < second->index ? -1 : 1;
}

static yyjson_val *documents_of(struct sim_task *task) {
    yyjson_val *documents = yyjson_obj_get(task->root, "documents");
    size_t index;
    size_t count;
    yyjson_val *one;
    if (!yyjson_is_arr(documents) || yyjson_arr_size(documents) == 0 || yyjson_arr_size(documents) > MAX_DOCUMENTS) {
        sim__refuse(&task->refusal, 400, "documents", NULL,
                    "Invalid 'documents': expected an array of 1 to %d documents.", MAX_DOCUMENTS);
        return NULL;
    }
    yyjson_arr_foreach(documents, index, count, one) {
        if (!yyjson_is_str(one) && !yyjson_is_obj(one)) {
            sim__refuse(&task->refusal, 400, "documents", "invalid_type",
                        "Invalid type for 'documents[%zu]': expected a string or an object.", index);
            return NULL;
        }
    }
    return documents;
}

static struct ranked *rank(struct sim_task *task, yyjson_val *documents, struct weir_span query) {
    size_t index;
    size_t count;
    yyjson_val *one;
    struct ranked *ranked = weir_arena_array(task->arena, yyjson_arr_size(documents), sizeof *ranked);
    int64_t query_tokens = sim__input_tokens(query.length);
    if (ranked == NULL) {
        return NULL;
    }
    yyjson_arr_foreach(documents, index, count, one) {
        ranked[index].index = index;
        ranked[index].score = sim__input_hash(sim__hash(3, query), one) % SCORES;
        task->usage.input += query_tokens + sim__input_tokens(sim__input_string_bytes(one));
    }
    qsort(ranked, count, sizeof *ranked, compare);
    return ranked;
}

static bool write_document(struct sim_task *task, yyjson_val *document) {
    struct weir_span json;
    if (sim__input_copy(task->arena, document, &json) != WEIR_OK) {
        return false;
    }
    weir_buffer_append(task->out,
                       yyjson_is_str(document) ? WEIR_SPAN(",\"document\":{\"text\":") : WEIR_SPAN(",\"document\":"));
    weir_buffer_append(task->out, json);
    weir_buffer_append(task->out, yyjson_is_str(document) ? WEIR_SPAN("}") : WEIR_SPAN(""));
    return true;
}

static void write_usage(struct sim_task *task, size_t documents) {
    if (!sim__input_contains(task->model, "rerank-") || sim__input_contains(task->model, "jina")) {
        if (!task->no_usage) {
            weir_buffer_printf(task->out, ",\"usage\":{\"total_tokens\":%lld}",
                               (long long)sim__task_said(task, task->usage.input));
        }
        return;
    }
    task->usage = (struct weir_usage){
        .units = (int64_t)((documents + DOCUMENTS_PER_SEARCH - 1) / DOCUMENTS_PER_SEARCH),
        .unit = WEIR_UNIT_SEARCH,
    };
    weir_buffer_append(task->out, WEIR_SPAN(",\"meta\":{\"api_version\":{\"version\":\"2\"}"));
    if (!task->no_usage) {
        weir_buffer_printf(task->out, ",\"billed_units\":{\"search_units\":%lld}",
                           (long long)sim__task_said(task, task->usage.units));
    }
    weir_buffer_append_byte(task->out, '}');
}

enum weir_status sim__rerank(struct sim_task *task) {
    struct weir_span query = WEIR_SPAN("");
    int64_t top = INT32_MAX;
    bool with_documents = false;
    char *id = sim__task_id(task, "rerank-", 24);
    if (id == NULL) {
        return WEIR_ENOMEM;
    }
    if (!sim__input_model(task->arena, task->root, &task->model, &task->refusal) ||
        !sim__input_string(task->root, "query", &query, &task->refusal) ||
        !sim__input_number(task->root, "top_n", 1, INT32_MAX, &top, &task->refusal)) {
        return sim__task_failed(task);
    }
    with_documents = sim__input_contains(task->model, "jina");
    if (!sim__input_flag(task->root, "return_documents", &with_documents, &task->refusal)) {
        return sim__task_failed(task);
    }
    if (weir_span_is_empty(query)) {
        sim__refuse(&task->refusal, 400, "query", NULL, "Missing required parameter: 'query'.");
        return WEIR_EINVAL;
    }
    yyjson_val *documents = documents_of(task);
    const struct ranked *ranked = documents != NULL ? rank(task, documents, query) : NULL;
    if (ranked == NULL) {
        return sim__task_failed(task);
    }
    size_t count = yyjson_arr_size(documents);
    weir_buffer_printf(task->out, "{\"id\":\"%s\",\"model\":", id);
    sim__task_model(task, task->out);
    weir_buffer_append(task->out, WEIR_SPAN(",\"results\":["));
    for (size_t i = 0; i < count && i < (size_t)top; i++) {
        weir_buffer_printf(task->out, "%s{\"index\":%zu,\"relevance_score\":0.%06llu", i > 0 ? "," : "",
                           ranked[i].index, (unsigned long long)ranked[i].score);
        if (with_documents && !write_document(task, yyjson_arr_get(documents, ranked[i].index))) {
            return WEIR_ENOMEM;
        }
        weir_buffer_append_byte(task->out, '}');
    }
    weir_buffer_append_byte(task->out, ']');
    write_usage(task, count);
    weir_buffer_append_byte(task->out, '}');
    task->object = true;
    return WEIR_OK;
}

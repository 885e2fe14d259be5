/* Ollama's other endpoints: vectors, and what tells about models. See ollama.h. */
#include "sim/ollama.h"

#include "base/clock.h"

#include <yyjson.h>

enum { USUAL_DIMENSIONS = 768, LARGE_DIMENSIONS = 1024, EMBED_TOKEN_NS = 250000, LOAD_NS = 1500000 };

/* --- vectors --- */

struct embedding {
    struct sim_task *task;
    int64_t dimensions;
    int64_t context;
    bool truncates;
    size_t count;
};

static const struct sim_ollama_member embed_members[] = {
    {"model", SIM_OLLAMA_STRING, "string"}, {"truncate", SIM_OLLAMA_BOOL, "bool"},
    {"dimensions", SIM_OLLAMA_INT, "int"},  {"options", SIM_OLLAMA_OBJECT, "map[string]interface {}"},
    {NULL, SIM_OLLAMA_ANY, NULL},
};

static const struct sim_ollama_member embedding_members[] = {
    {"model", SIM_OLLAMA_STRING, "string"},
    {"prompt", SIM_OLLAMA_STRING, "string"},
    {"options", SIM_OLLAMA_OBJECT, "map[string]interface {}"},
    {NULL, SIM_OLLAMA_ANY, NULL},
};

static enum weir_status refuse(struct sim_task *task, const char *message) {
    sim__refuse(&task->refusal, 400, NULL, NULL, "%s", message);
    return WEIR_EINVAL;
}

static bool read_request(struct embedding *embedding, const char *go_type, const struct sim_ollama_member *members,
                         unsigned status, const char *nameless) {
    struct sim_task *task = embedding->task;
    struct sim_ollama ollama = {.task = task};
    bool unload = false;
    if (sim__ollama_parse(task, go_type) != WEIR_OK || !sim__ollama_check(task, task->root, go_type, members) ||
        !sim__ollama_model(task, status, nameless) || !sim__ollama_keep_alive(task, &unload) ||
        !sim__ollama_options(&ollama)) {
        return false;
    }
    embedding->context = ollama.context_size;
    embedding->dimensions = sim__input_contains(task->model, "large") ? LARGE_DIMENSIONS : USUAL_DIMENSIONS;
    return true;
}

static enum weir_status add_text(struct embedding *embedding, struct weir_span text) {
    struct sim_task *task = embedding->task;
    int64_t tokens = sim__input_tokens(text.length);
    if (tokens > embedding->context) {
        if (!embedding->truncates) {
            return refuse(task, "the input length exceeds the context length");
        }
        tokens = embedding->context;
        text = weir_span_first(text, (size_t)tokens * 4);
    }
    task->usage.input += tokens;
    weir_buffer_append(task->out, embedding->count++ > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
    sim__embedding_write(sim__hash((uint64_t)embedding->dimensions, text), embedding->dimensions, task->out);
    return WEIR_OK;
}

enum weir_status sim__ollama_embed(struct sim_task *task) {
    struct embedding embedding = {.task = task};
    if (!read_request(&embedding, "EmbedRequest", embed_members, 404, "model '' not found")) {
        return sim__task_failed(task);
    }
    yyjson_val *input = yyjson_obj_get(task->root, "input");
    int64_t dimensions = yyjson_get_sint(yyjson_obj_get(task->root, "dimensions"));
    size_t index;
    size_t count;
    yyjson_val *one;
    embedding.truncates = !yyjson_is_false(yyjson_obj_get(task->root, "truncate"));
    embedding.dimensions = dimensions > 0 && dimensions < embedding.dimensions ? dimensions : embedding.dimensions;
    if (input != NULL && !yyjson_is_null(input) && !yyjson_is_str(input) && !yyjson_is_arr(input)) {
        return refuse(task, "invalid input type");
    }
    weir_buffer_append(task->out, WEIR_SPAN("{\"model\":"));
    sim__task_model(task, task->out);
    weir_buffer_append(task->out, WEIR_SPAN(",\"embeddings\":["));
    enum weir_status status = yyjson_get_len(input) > 0 && yyjson_is_str(input)
                                  ? add_text(&embedding, sim__input_text(input))
                                  : WEIR_OK;
    yyjson_arr_foreach(input, index, count, one) {
        if (status == WEIR_OK) {
            status = yyjson_is_str(one) ? add_text(&embedding, sim__input_text(one))
                                        : refuse(task, "invalid input type");
        }
    }
    weir_buffer_append_byte(task->out, ']');
    if (embedding.count > 0) {
        weir_buffer_printf(task->out, ",\"total_duration\":%lld,\"load_duration\":%d",
                           (long long)(LOAD_NS + task->usage.input * EMBED_TOKEN_NS), LOAD_NS);
        if (!task->no_usage) {
            weir_buffer_printf(task->out, ",\"prompt_eval_count\":%lld",
                               (long long)sim__task_said(task, task->usage.input));
        }
    }
    weir_buffer_append_byte(task->out, '}');
    task->object = true;
    task->type = SIM_OLLAMA_JSON;
    return status;
}

/* The endpoint of old: one text, one vector, no counts. */
enum weir_status sim__ollama_embeddings(struct sim_task *task) {
    struct embedding embedding = {.task = task, .truncates = true};
    if (!read_request(&embedding, "EmbeddingRequest", embedding_members, 400, "model is required")) {
        return sim__task_failed(task);
    }
    struct weir_span prompt = sim__input_text(yyjson_obj_get(task->root, "prompt"));
    weir_buffer_append(task->out, WEIR_SPAN("{\"embedding\":"));
    enum weir_status status = WEIR_OK;
    if (weir_span_is_empty(prompt)) {
        weir_buffer_append(task->out, WEIR_SPAN("[]"));
    } else {
        status = add_text(&embedding, prompt);
    }
    weir_buffer_append_byte(task->out, '}');
    task->object = true;
    task->type = SIM_OLLAMA_JSON;
    return status;
}

/* --- models --- */

static const struct model {
    const char *name, *size;
    int64_t bytes;
} models[] = {
    {"sim-small:latest", "3.2B", 2019393189},
    {"sim-large:latest", "70.6B", 42520413916},
    {"sim-reasoner:latest", "8.2B", 5225376047},
};

static void write_details(const char *size, struct weir_buffer *out) {
    weir_buffer_printf(
        out,
        "\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"sim\",\"families\":[\"sim\"],"
        "\"parameter_size\":\"%s\",\"quantization_level\":\"Q4_K_M\"}",
        size);
}

static void write_model(const struct model *model, struct weir_buffer *out) {
    uint64_t seed = sim__hash(0, weir_span_of_string(model->name));
    weir_buffer_printf(out, "{\"name\":\"%s\",\"model\":\"%s\",\"size\":%lld,\"digest\":\"", model->name, model->name,
                       (long long)model->bytes);
    for (uint64_t i = 0; i < 4; i++) {
        weir_buffer_printf(out, "%016llx", (unsigned long long)sim__mix(seed + i));
    }
    weir_buffer_append(out, WEIR_SPAN("\","));
    write_details(model->size, out);
}

enum weir_status sim__ollama_tags(struct sim_task *task) {
    weir_buffer_append(task->out, WEIR_SPAN("{\"models\":["));
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        weir_buffer_append(task->out, i > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        write_model(&models[i], task->out);
        weir_buffer_append(task->out, WEIR_SPAN(",\"modified_at\":\"2026-01-01T00:00:00Z\"}"));
    }
    weir_buffer_append(task->out, WEIR_SPAN("]}"));
    task->type = SIM_OLLAMA_JSON;
    return WEIR_OK;
}

/* One model is always loaded, and stays for five minutes. */
enum weir_status sim__ollama_ps(struct sim_task *task) {
    char time[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc((task->now_s + 300) * 1000000, time);
    weir_buffer_append(task->out, WEIR_SPAN("{\"models\":["));
    write_model(&models[0], task->out);
    weir_buffer_printf(task->out, ",\"expires_at\":\"%s\",\"size_vram\":%lld,\"context_length\":%d}]}", time,
                       (long long)models[0].bytes, SIM_OLLAMA_CONTEXT);
    task->type = SIM_OLLAMA_JSON;
    return WEIR_OK;
}

enum weir_status sim__ollama_show(struct sim_task *task) {
    enum weir_status status = sim__ollama_parse(task, "ShowRequest");
    struct weir_buffer *out = task->out;
    if (status != WEIR_OK) {
        return status;
    }
    if (!sim__ollama_model(task, 400, "model is required")) {
        return sim__task_failed(task);
    }
    const struct model *model = &models[0];
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct weir_span name = weir_span_of_string(models[i].name);
        struct weir_span bare = weir_span_first(name, weir_span_index(name, ':'));
        model = weir_span_equal(task->model, name) || weir_span_equal(task->model, bare) ? &models[i] : model;
    }
    weir_buffer_append(out, WEIR_SPAN("{\"license\":\"None: it is invented.\",\"modelfile\":\"# Modelfile generated by "
                                      "\\\"ollama show\\\"\\nFROM sim\\n\",\"parameters\":\"stop \\\"<|end|>\\\"\","
                                      "\"template\":\"{{ .Prompt }}\","));
    write_details(model->size, out);
    weir_buffer_printf(out,
                       ",\"model_info\":{\"general.architecture\":\"sim\",\"general.parameter_count\":3212749888,"
                       "\"sim.context_length\":131072,\"sim.embedding_length\":%d},\"capabilities\":[",
                       USUAL_DIMENSIONS);
    if (sim__input_contains(task->model, "embed")) {
        weir_buffer_append(out, WEIR_SPAN("\"embedding\""));
    } else {
        weir_buffer_append(out, WEIR_SPAN("\"completion\",\"vision\",\"insert\""));
        weir_buffer_append(out, sim__input_contains(task->model, "no-tools") ? WEIR_SPAN("") : WEIR_SPAN(",\"tools\""));
        weir_buffer_append(out,
                           sim__input_contains(task->model, "reasoner") ? WEIR_SPAN(",\"thinking\"") : WEIR_SPAN(""));
    }
    weir_buffer_append(out, WEIR_SPAN("],\"modified_at\":\"2026-01-01T00:00:00Z\"}"));
    task->type = SIM_OLLAMA_JSON;
    return WEIR_OK;
}

enum weir_status sim__ollama_version(struct sim_task *task) {
    weir_buffer_append(task->out, WEIR_SPAN("{\"version\":\"0.24.0\"}"));
    task->type = SIM_OLLAMA_JSON;
    return WEIR_OK;
}

enum weir_status sim__ollama_root(struct sim_task *task) {
    weir_buffer_append(task->out, WEIR_SPAN("Ollama is running"));
    task->type = "text/plain; charset=utf-8";
    return WEIR_OK;
}

/* Ollama's dialect, and the answers of POST /api/chat and /api/generate. See ollama.h. */
#include "sim/ollama.h"

#include "base/clock.h"
#include "sim/dialect.h"
#include "sim/schema.h"

#include <yyjson.h>

/* --- the answer --- */

static struct sim_block *add_block(struct sim_ollama *ollama, enum sim_block_kind kind) {
    struct sim_block *block = &ollama->blocks[ollama->block_count++];
    block->kind = kind;
    return block;
}

static void take_tokens(struct sim_ollama *ollama, int64_t tokens) {
    ollama->task->usage.output += tokens;
    ollama->limit -= tokens;
}

static void add_thinking(struct sim_ollama *ollama) {
    if (!ollama->thinks || ollama->limit <= 0) {
        return;
    }
    int64_t tokens = (8 + (int64_t)(sim__mix(ollama->seed) % 25)) * ollama->think_percent / 100;
    tokens = tokens < ollama->limit ? tokens : ollama->limit;
    add_block(ollama, SIM_BLOCK_THINKING)->text = sim__text_words(sim__mix(ollama->seed + 77), (size_t)tokens);
    take_tokens(ollama, tokens);
}

static bool last_is_user(yyjson_val *root) {
    yyjson_val *last = yyjson_arr_get_last(yyjson_obj_get(root, "messages"));
    return weir_span_equal_ignore_case(sim__input_text(yyjson_obj_get(last, "role")), WEIR_SPAN("user"));
}

/* A call that the limit cuts short cannot be read by the server, which then leaves it out. */
static bool add_call(struct sim_ollama *ollama, yyjson_val *function, size_t index) {
    struct sim_task *task = ollama->task;
    uint64_t seed = sim__mix(ollama->seed + index);
    struct sim_block call = {.kind = SIM_BLOCK_TOOL};
    const char *id = weir_arena_format(task->arena, "call_%08x", (unsigned)(seed >> 32));
    if (id == NULL ||
        weir_arena_dup(task->arena, sim__input_text(yyjson_obj_get(function, "name")), &call.name) != WEIR_OK ||
        sim__schema_text(task->arena, yyjson_obj_get(function, "parameters"), seed, &call.text) != WEIR_OK) {
        return false;
    }
    call.id = weir_span_of_string(id);
    int64_t tokens = 1 + (int64_t)call.text.count;
    if (tokens > ollama->limit) {
        ollama->done_reason = WEIR_SPAN("length");
        tokens = ollama->limit;
    } else {
        *add_block(ollama, SIM_BLOCK_TOOL) = call;
    }
    take_tokens(ollama, tokens);
    return true;
}

/* *called tells whether the answer is calls. */
static bool add_calls(struct sim_ollama *ollama, bool *called) {
    size_t most = sim__input_contains(ollama->task->model, "parallel") ? 2 : 1;
    size_t index;
    size_t count;
    size_t found = 0;
    yyjson_val *tool;
    *called = false;
    if (ollama->generate || ollama->task->huge_bytes > 0 || !last_is_user(ollama->root)) {
        return true;
    }
    yyjson_arr_foreach(yyjson_obj_get(ollama->root, "tools"), index, count, tool) {
        yyjson_val *function = yyjson_obj_get(tool, "function");
        if (found < most && yyjson_is_str(yyjson_obj_get(function, "name"))) {
            *called = true;
            if (!add_call(ollama, function, found++)) {
                return false;
            }
        }
    }
    return true;
}

static bool make_text(struct sim_ollama *ollama, struct sim_text *text) {
    struct sim_task *task = ollama->task;
    yyjson_val *format = yyjson_obj_get(ollama->root, "format");
    if (task->huge_bytes > 0) {
        ollama->token_weight = sim__input_tokens((size_t)task->huge_bytes);
        return sim__text_filler(task->arena, (size_t)task->huge_bytes, text) == WEIR_OK;
    }
    if (yyjson_is_obj(format)) {
        return sim__schema_text(task->arena, format, ollama->seed, text) == WEIR_OK;
    }
    if (sim__input_is(format, "json")) {
        return sim__schema_free_text(task->arena, ollama->seed, text) == WEIR_OK;
    }
    *text = sim__text_words(sim__mix(ollama->seed), (size_t)task->wishes->tokens);
    return weir_buffer_status(&ollama->notes) == WEIR_OK &&
           sim__text_after(task->arena, weir_buffer_span(&ollama->notes), text) == WEIR_OK;
}

static bool add_text(struct sim_ollama *ollama) {
    struct sim_text text;
    bool stopped = false;
    if (!make_text(ollama, &text)) {
        return false;
    }
    if (ollama->token_weight == 1 && (int64_t)text.count > ollama->limit) {
        text.count = (size_t)ollama->limit;
        ollama->done_reason = WEIR_SPAN("length");
    }
    if (ollama->stop_count > 0 &&
        sim__text_stop(ollama->task->arena, ollama->stops, ollama->stop_count, &text, &stopped) != WEIR_OK) {
        return false;
    }
    if (stopped) {
        ollama->done_reason = WEIR_SPAN("stop");
    }
    take_tokens(ollama, (int64_t)text.count * ollama->token_weight);
    add_block(ollama, SIM_BLOCK_TEXT)->text = text;
    return true;
}

/* Ollama's two words for the ways in which an answer ends. */
static struct weir_span reason_of(const struct sim_scripted *scripted) {
    if (!weir_span_is_empty(scripted->native_finish)) {
        return scripted->native_finish;
    }
    return scripted->finish == SIM_FINISH_LENGTH || scripted->finish == SIM_FINISH_CONTEXT ? WEIR_SPAN("length")
                                                                                           : WEIR_SPAN("stop");
}

static bool make_answer(struct sim_ollama *ollama) {
    struct sim_task *task = ollama->task;
    const struct sim_scripted *scripted = task->scripted;
    bool called = false;
    ollama->token_weight = 1;
    ollama->done_reason = WEIR_SPAN("stop");
    if (scripted != NULL) {
        ollama->blocks = scripted->blocks;
        ollama->block_count = scripted->count;
        ollama->done_reason = reason_of(scripted);
        task->usage.output = scripted->usage.output;
        task->usage.input = scripted->has_input ? scripted->usage.input : task->usage.input;
        return true;
    }
    ollama->blocks = weir_arena_array(task->arena, 4, sizeof *ollama->blocks);
    if (ollama->blocks == NULL) {
        return false;
    }
    add_thinking(ollama);
    return add_calls(ollama, &called) && (called || add_text(ollama));
}

static enum weir_status answer(struct sim_task *task, bool generate) {
    struct sim_ollama *ollama = weir_arena_alloc(task->arena, sizeof *ollama);
    char time[WEIR_TIMESTAMP_SIZE];
    if (ollama == NULL) {
        return WEIR_ENOMEM;
    }
    weir_clock_format_utc(task->now_s * 1000000, time);
    ollama->task = task;
    ollama->generate = generate;
    ollama->created = weir_arena_format(task->arena, "%s", time);
    enum weir_status status = ollama->created == NULL ? WEIR_ENOMEM : sim__ollama_read(ollama);
    task->huge_done = true;
    if (status == WEIR_OK && ollama->empty && task->scripted == NULL) {
        task->usage = (struct weir_usage){.input = 0};
        task->stream = false;
        sim__ollama_write_loaded(ollama, ollama->unload ? "unload" : "load");
    } else if (status == WEIR_OK) {
        status = make_answer(ollama) ? sim__ollama_write(ollama) : WEIR_ENOMEM;
    }
    weir_buffer_release(&ollama->notes);
    return status;
}

enum weir_status sim__ollama_chat(struct sim_task *task) {
    return answer(task, false);
}

enum weir_status sim__ollama_generate(struct sim_task *task) {
    return answer(task, true);
}

/* --- the dialect --- */

static const struct sim_endpoint endpoints[] = {
    {"POST", "/api/chat", SIM_BODY_RAW, sim__ollama_chat, false},
    {"POST", "/api/generate", SIM_BODY_RAW, sim__ollama_generate, false},
    {"POST", "/api/embed", SIM_BODY_RAW, sim__ollama_embed, false},
    {"POST", "/api/embeddings", SIM_BODY_RAW, sim__ollama_embeddings, false},
    {"GET", "/api/tags", SIM_BODY_NONE, sim__ollama_tags, true},
    {"HEAD", "/api/tags", SIM_BODY_NONE, sim__ollama_tags, true},
    {"POST", "/api/show", SIM_BODY_RAW, sim__ollama_show, true},
    {"GET", "/api/ps", SIM_BODY_NONE, sim__ollama_ps, true},
    {"GET", "/api/version", SIM_BODY_NONE, sim__ollama_version, true},
    {"HEAD", "/api/version", SIM_BODY_NONE, sim__ollama_version, true},
    {"GET", "/", SIM_BODY_NONE, sim__ollama_root, true},
    {"HEAD", "/", SIM_BODY_NONE, sim__ollama_root, true},
};

static bool claims(const struct sim_caller *caller) {
    return weir_span_starts_with(caller->path, WEIR_SPAN("/api/"));
}

/* Ollama knows no keys. */
static bool authorizes(const struct sim_caller *caller) {
    (void)caller;
    return true;
}

static void refuse(unsigned status, const char *code, struct sim_refusal *refusal) {
    static const struct {
        unsigned status;
        const char *message;
    } known[] = {
        {400, "invalid request"},
        {401, "unauthorized"},
        {403, "this model requires a subscription"},
        {404, "model 'sim-small' not found"},
        {429, "too many requests"},
        {499, "request canceled"},
        {500, "llama runner process has terminated: exit status 2"},
        {502, "upstream error"},
        {503, "server busy, please try again.  maximum pending requests exceeded"},
    };
    const char *message = "a fault was asked for";
    (void)code; /* its errors have a text and nothing else */
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        message = known[i].status == status ? known[i].message : message;
    }
    sim__refuse(refusal, status, NULL, NULL, "%s", message);
}

static void write_error(const struct sim_refusal *refusal, uint64_t served, struct weir_buffer *out) {
    (void)served;
    weir_buffer_append(out, WEIR_SPAN("{\"error\":"));
    weir_json_append_string(out, weir_span_of_string(refusal->message));
    weir_buffer_append_byte(out, '}');
}

static void write_fields(uint64_t served, const struct sim_refusal *refusal, struct weir_buffer *out) {
    (void)served;
    if (refusal != NULL && refusal->has_retry_after) {
        weir_buffer_printf(out, "retry-after: %lld\r\n", (long long)refusal->retry_after_s);
    }
}

static void write_stream_error(struct weir_buffer *out) {
    weir_buffer_append(out,
                       WEIR_SPAN("{\"error\":\"an error was encountered while running the model: unexpected EOF\"}"));
}

static const char *const prefixes[] = {"", NULL};

const struct sim_dialect sim__ollama = {
    .name = "ollama",
    .prefixes = prefixes,
    .endpoints = endpoints,
    .endpoint_count = sizeof endpoints / sizeof endpoints[0],
    .claims = claims,
    .authorizes = authorizes,
    .refuse = refuse,
    .write_error = write_error,
    .write_fields = write_fields,
    .write_stream_error = write_stream_error,
};

/* See ollama.h: an answer as one object, or as lines. */
#include "sim/ollama.h"

#include "json/write.h"

enum { MAX_CONTEXT = 4096, TOKEN_NS = 10000000, PROMPT_TOKEN_NS = 250000, LOAD_NS = 1500000 };
#define MAX_TEXT_BYTES ((size_t)256 * 1024 * 1024)

static struct weir_buffer *out_of(const struct sim_ollama *ollama) {
    return ollama->task->out;
}

/* --- pieces --- */

static void begin(const struct sim_ollama *ollama, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"model\":"));
    sim__task_model(ollama->task, out);
    weir_buffer_printf(out, ",\"created_at\":\"%s\"", ollama->created);
}

/* {"token","logprob","bytes"} and not yet the closing brace */
static void write_logprob(struct weir_span token, unsigned rank, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"token\":"));
    weir_json_append_string(out, token);
    weir_buffer_printf(out, ",\"logprob\":-%u.%02u,\"bytes\":[", rank, 5 + (unsigned)(token.length % 10));
    for (size_t i = 0; i < token.length; i++) {
        weir_buffer_printf(out, "%s%u", i > 0 ? "," : "", (unsigned)(unsigned char)token.at[i]);
    }
    weir_buffer_append_byte(out, ']');
}

static void write_logprobs(const struct sim_ollama *ollama, const struct sim_text *text, size_t index,
                           struct weir_buffer *out) {
    struct weir_span token = sim__text_token(text, index);
    struct sim_text others = sim__text_words(sim__mix(index), ollama->top_logprobs + 1U);
    write_logprob(token, 0, out);
    if (ollama->top_logprobs > 0) {
        weir_buffer_append(out, WEIR_SPAN(",\"top_logprobs\":["));
        for (unsigned rank = 0; rank < ollama->top_logprobs; rank++) {
            weir_buffer_append(out, rank > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
            write_logprob(rank == 0 ? token : sim__text_token(&others, rank), rank, out);
            weir_buffer_append_byte(out, '}');
        }
        weir_buffer_append_byte(out, ']');
    }
    weir_buffer_append_byte(out, '}');
}

/* One call of the `tool_calls`; arguments that are no JSON, which a script can ask for, are a string. */
static void write_call(const struct sim_ollama *ollama, const struct sim_block *block, size_t index,
                       struct weir_buffer *out) {
    weir_buffer_append_byte(out, '{');
    if (!ollama->no_call_ids) {
        weir_buffer_append(out, WEIR_SPAN("\"id\":"));
        weir_json_append_string(out, block->id);
        weir_buffer_append_byte(out, ',');
    }
    weir_buffer_printf(out, "\"function\":{\"index\":%zu,\"name\":", index);
    weir_json_append_string(out, block->name);
    weir_buffer_append(out, WEIR_SPAN(",\"arguments\":"));
    bool object = block->text.count > 0 && block->text.bytes.at[0] == '{';
    if (object) {
        weir_buffer_append(out, weir_span_first(block->text.bytes, block->text.ends[block->text.count - 1]));
    } else {
        sim__text_write(&block->text, out);
    }
    weir_buffer_append(out, WEIR_SPAN("}}"));
}

static bool is_visible(const struct sim_block *block) {
    return block->kind == SIM_BLOCK_TEXT || block->kind == SIM_BLOCK_REFUSAL;
}

/* All texts of a kind as one JSON string. */
static void write_joined(const struct sim_ollama *ollama, bool thinking, struct weir_buffer *out) {
    struct weir_buffer joined;
    weir_buffer_init(&joined, MAX_TEXT_BYTES);
    for (size_t i = 0; i < ollama->block_count; i++) {
        const struct sim_block *block = &ollama->blocks[i];
        if (thinking ? block->kind != SIM_BLOCK_THINKING : !is_visible(block)) {
            continue;
        }
        for (size_t token = 0; token < block->text.count; token++) {
            weir_buffer_append(&joined, sim__text_token(&block->text, token));
        }
    }
    weir_json_append_string(out, weir_buffer_span(&joined));
    if (weir_buffer_status(&joined) != WEIR_OK) {
        out->status = WEIR_ENOMEM;
    }
    weir_buffer_release(&joined);
}

static bool has_kind(const struct sim_ollama *ollama, enum sim_block_kind kind) {
    for (size_t i = 0; i < ollama->block_count; i++) {
        if (ollama->blocks[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* `,"tool_calls":[…]` of the blocks from `first` on, `count` calls; *index counts all calls of the answer. */
static void write_calls(const struct sim_ollama *ollama, size_t first, size_t count, size_t *index,
                        struct weir_buffer *out) {
    bool begun = false;
    weir_buffer_append(out, WEIR_SPAN(",\"tool_calls\":["));
    for (size_t i = first; i < ollama->block_count && count > 0; i++) {
        if (ollama->blocks[i].kind == SIM_BLOCK_TOOL) {
            weir_buffer_append(out, begun ? WEIR_SPAN(",") : WEIR_SPAN(""));
            write_call(ollama, &ollama->blocks[i], (*index)++, out);
            begun = true;
            count--;
        }
    }
    weir_buffer_append_byte(out, ']');
}

/* What the conversation is in tokens, for the next request; as many as a small window has. */
static void write_context(const struct sim_ollama *ollama, struct weir_buffer *out) {
    const struct weir_usage *usage = &ollama->task->usage;
    int64_t count = usage->input + usage->output;
    weir_buffer_append(out, WEIR_SPAN(",\"context\":["));
    for (int64_t i = 0; i < count && i < MAX_CONTEXT; i++) {
        weir_buffer_printf(out, "%s%u", i > 0 ? "," : "", (unsigned)(sim__mix(ollama->hash + (uint64_t)i) % 100000));
    }
    weir_buffer_append_byte(out, ']');
}

/* The members of the last line behind the message. */
static void write_end(const struct sim_ollama *ollama, struct weir_buffer *out) {
    const struct sim_task *task = ollama->task;
    int64_t rate = task->wishes->tokens_per_second;
    int64_t prompt_ns = task->usage.input * PROMPT_TOKEN_NS;
    int64_t eval_ns = task->usage.output * (rate > 0 ? 1000000000 / rate : TOKEN_NS);
    int64_t total_ns = LOAD_NS + prompt_ns + eval_ns;
    weir_buffer_append(out, WEIR_SPAN(",\"done\":true,\"done_reason\":"));
    weir_json_append_string(out, ollama->done_reason);
    if (ollama->generate && !ollama->raw) {
        write_context(ollama, out);
    }
    weir_buffer_printf(out, ",\"total_duration\":%lld,\"load_duration\":%d", (long long)total_ns, LOAD_NS);
    const struct weir_span native = task->scripted != NULL ? task->scripted->native_usage : WEIR_SPAN("");
    if (native.length > 2) {
        weir_buffer_append_byte(out, ',');
        weir_buffer_append(out, weir_span_of(native.at + 1, native.length - 2));
    } else if (!task->no_usage) {
        weir_buffer_printf(out, ",\"prompt_eval_count\":%lld,\"eval_count\":%lld",
                           (long long)sim__task_said(task, task->usage.input),
                           (long long)sim__task_said(task, task->usage.output));
    }
    weir_buffer_printf(out, ",\"prompt_eval_duration\":%lld,\"eval_duration\":%lld", (long long)prompt_ns,
                       (long long)eval_ns);
}

void sim__ollama_write_loaded(const struct sim_ollama *ollama, const char *reason) {
    struct weir_buffer *out = out_of(ollama);
    begin(ollama, out);
    weir_buffer_append(out, ollama->generate ? WEIR_SPAN(",\"response\":\"\"")
                                             : WEIR_SPAN(",\"message\":{\"role\":\"assistant\",\"content\":\"\"}"));
    weir_buffer_printf(out, ",\"done\":true,\"done_reason\":\"%s\"}", reason);
    ollama->task->object = true;
    ollama->task->type = SIM_OLLAMA_JSON;
}

/* --- whole --- */

static void write_all_logprobs(const struct sim_ollama *ollama, struct weir_buffer *out) {
    bool begun = false;
    weir_buffer_append(out, WEIR_SPAN(",\"logprobs\":["));
    for (size_t i = 0; i < ollama->block_count; i++) {
        const struct sim_block *block = &ollama->blocks[i];
        for (size_t token = 0; block->kind != SIM_BLOCK_TOOL && token < block->text.count; token++) {
            weir_buffer_append(out, begun ? WEIR_SPAN(",") : WEIR_SPAN(""));
            write_logprobs(ollama, &block->text, token, out);
            begun = true;
        }
    }
    weir_buffer_append_byte(out, ']');
}

static void write_whole(const struct sim_ollama *ollama) {
    struct weir_buffer *out = out_of(ollama);
    size_t calls = 0;
    begin(ollama, out);
    weir_buffer_append(out, ollama->generate ? WEIR_SPAN(",\"response\":")
                                             : WEIR_SPAN(",\"message\":{\"role\":\"assistant\",\"content\":"));
    write_joined(ollama, false, out);
    if (has_kind(ollama, SIM_BLOCK_THINKING)) {
        weir_buffer_append(out, WEIR_SPAN(",\"thinking\":"));
        write_joined(ollama, true, out);
    }
    if (has_kind(ollama, SIM_BLOCK_TOOL)) {
        write_calls(ollama, 0, ollama->block_count, &calls, out);
    }
    weir_buffer_append(out, ollama->generate ? WEIR_SPAN("") : WEIR_SPAN("}"));
    write_end(ollama, out);
    if (ollama->logprobs) {
        write_all_logprobs(ollama, out);
    }
    weir_buffer_append_byte(out, '}');
    ollama->task->object = true;
    ollama->task->type = SIM_OLLAMA_JSON;
}

/* --- lines --- */

/* A text that goes out token by token, and whose it is. */
struct spoken {
    const struct sim_ollama *ollama;
    const struct sim_text *text;
};

static void write_behind(const void *owner, size_t lane, size_t token, struct weir_buffer *out) {
    const struct spoken *spoken = owner;
    (void)lane;
    weir_buffer_append(out, spoken->ollama->generate ? WEIR_SPAN("") : WEIR_SPAN("}"));
    if (spoken->ollama->logprobs) {
        weir_buffer_append(out, WEIR_SPAN(",\"logprobs\":["));
        write_logprobs(spoken->ollama, spoken->text, token, out);
        weir_buffer_append_byte(out, ']');
    }
}

static void tell_text(const struct sim_ollama *ollama, struct sim_script *script, const struct sim_block *block,
                      struct weir_buffer *line) {
    struct sim_lane *lane = weir_arena_alloc(script->arena, sizeof *lane);
    struct spoken *spoken = weir_arena_alloc(script->arena, sizeof *spoken);
    begin(ollama, line);
    weir_buffer_append(line, ollama->generate ? WEIR_SPAN(",\"response\":")
                                              : WEIR_SPAN(",\"message\":{\"role\":\"assistant\",\"content\":"));
    if (block->kind == SIM_BLOCK_THINKING) {
        weir_buffer_append(line, WEIR_SPAN("\"\",\"thinking\":"));
    }
    if (lane == NULL || spoken == NULL || weir_buffer_status(line) != WEIR_OK ||
        weir_arena_dup(script->arena, weir_buffer_span(line), &lane->before) != WEIR_OK) {
        script->failed = true;
        return;
    }
    weir_buffer_clear(line);
    lane->after = WEIR_SPAN(",\"done\":false");
    lane->text = block->text;
    *spoken = (struct spoken){.ollama = ollama, .text = &block->text};
    sim__script_run(script, (struct sim_run){.lanes = lane,
                                             .lane_count = 1,
                                             .between = write_behind,
                                             .owner = spoken,
                                             .tokens = ollama->token_weight});
}

/* A line with calls: one, or all that are left. */
static void tell_calls(const struct sim_ollama *ollama, struct sim_script *script, size_t first, size_t *told,
                       struct weir_buffer *line) {
    size_t before = *told;
    int64_t tokens = 0;
    begin(ollama, line);
    weir_buffer_append(line, ollama->generate ? WEIR_SPAN(",\"response\":\"\"")
                                              : WEIR_SPAN(",\"message\":{\"role\":\"assistant\",\"content\":\"\""));
    write_calls(ollama, first, ollama->calls_together ? ollama->block_count : 1, told, line);
    weir_buffer_append(line, ollama->generate ? WEIR_SPAN(",\"done\":false") : WEIR_SPAN("},\"done\":false"));
    for (size_t i = first, left = *told - before; i < ollama->block_count && left > 0; i++) {
        if (ollama->blocks[i].kind == SIM_BLOCK_TOOL) {
            tokens += 1 + (int64_t)ollama->blocks[i].text.count;
            left--;
        }
    }
    sim__script_take(script, NULL, line, tokens);
}

static enum weir_status write_lines(const struct sim_ollama *ollama) {
    struct sim_task *task = ollama->task;
    struct sim_script script;
    struct weir_buffer line;
    size_t told = 0;
    size_t calls = 0;
    sim__script_init(&script, task->arena, SIM_FRAMING_LINES);
    weir_buffer_init(&line, MAX_TEXT_BYTES);
    for (size_t i = 0; i < ollama->block_count; i++) {
        const struct sim_block *block = &ollama->blocks[i];
        if (block->kind == SIM_BLOCK_TOOL) {
            if (calls++ >= told) {
                tell_calls(ollama, &script, i, &told, &line);
            }
        } else if (block->kind != SIM_BLOCK_REDACTED) {
            tell_text(ollama, &script, block, &line);
        }
    }
    begin(ollama, &line);
    weir_buffer_append(&line, ollama->generate ? WEIR_SPAN(",\"response\":\"\"")
                                               : WEIR_SPAN(",\"message\":{\"role\":\"assistant\",\"content\":\"\"}"));
    write_end(ollama, &line);
    sim__script_take(&script, NULL, &line, 0);
    script.terminal = 1;
    weir_buffer_release(&line);
    return sim__task_stream(task, &script);
}

enum weir_status sim__ollama_write(struct sim_ollama *ollama) {
    if (ollama->task->stream) {
        return write_lines(ollama);
    }
    write_whole(ollama);
    return WEIR_OK;
}

/* POST /v1/completions, the older form: a text goes on. Each prompt gets `n` choices; all take turns in a stream. */
#include "sim/task.h"

#include <yyjson.h>

enum { MAX_CHOICES = 128, MAX_BEST_OF = 20, MAX_LOGPROBS = 5, MAX_PROMPTS = 2048 };
enum { PREFIX_BYTES = 64 * 1024 * 1024 };

struct prompt {
    struct weir_span text; /* empty: it came as tokens */
    size_t tokens;
    uint64_t hash;
};

struct choice {
    struct sim_text echo; /* the prompt, where it is to come back */
    struct sim_text text;
    const char *finish_reason;
};

struct completion {
    struct sim_task *task;
    struct prompt *prompts;
    size_t prompt_count;
    int64_t n, best_of, logprobs; /* logprobs < 0: none */
    int64_t limit, seed;
    bool echo, include_usage;
    struct choice *choices;
    size_t choice_count;
    int64_t weight; /* tokens that one piece counts as */
};

/* --- the request --- */

static bool refuse_prompt(struct completion *completion) {
    sim__refuse(&completion->task->refusal, 400, "prompt", "invalid_type",
                "Invalid type for 'prompt': expected a string, an array of strings, tokens, or arrays of tokens.");
    return false;
}

static bool read_tokens(yyjson_val *array, struct prompt *prompt) {
    size_t index;
    size_t count;
    yyjson_val *token;
    prompt->hash = 1;
    prompt->text = WEIR_SPAN("");
    yyjson_arr_foreach(array, index, count, token) {
        if (!yyjson_is_uint(token)) {
            return false;
        }
        prompt->hash = sim__mix(prompt->hash ^ yyjson_get_uint(token));
    }
    prompt->tokens = count;
    return count > 0;
}

static void read_text(yyjson_val *text, struct prompt *prompt) {
    prompt->text = sim__input_text(text);
    prompt->tokens = (size_t)sim__input_tokens(prompt->text.length);
    prompt->hash = sim__hash(0, prompt->text);
}

static bool read_prompts(struct completion *completion) {
    struct sim_task *task = completion->task;
    yyjson_val *value = yyjson_obj_get(task->root, "prompt");
    yyjson_val *first = yyjson_arr_get_first(value);
    bool many = yyjson_is_str(first) || yyjson_is_arr(first);
    size_t count = many ? yyjson_arr_size(value) : 1;
    if (value == NULL) {
        sim__refuse(&task->refusal, 400, "prompt", NULL, "Missing required parameter: 'prompt'.");
        return false;
    }
    if (count > MAX_PROMPTS) {
        sim__refuse(&task->refusal, 400, "prompt", "array_above_max_length", "At most %d prompts are taken.",
                    MAX_PROMPTS);
        return false;
    }
    completion->prompts = weir_arena_array(task->arena, count, sizeof *completion->prompts);
    if (completion->prompts == NULL) {
        return false;
    }
    completion->prompt_count = count;
    for (size_t i = 0; i < count; i++) {
        yyjson_val *one = many ? yyjson_arr_get(value, i) : value;
        if (yyjson_is_str(one)) {
            read_text(one, &completion->prompts[i]);
        } else if (!yyjson_is_arr(one) || !read_tokens(one, &completion->prompts[i])) {
            return refuse_prompt(completion);
        }
        task->usage.input += (int64_t)completion->prompts[i].tokens;
    }
    return true;
}

static bool read_options(struct completion *completion) {
    struct sim_task *task = completion->task;
    struct sim_refusal *refusal = &task->refusal;
    yyjson_val *root = task->root;
    yyjson_val *options = yyjson_obj_get(root, "stream_options");
    struct weir_span suffix;
    completion->n = 1;
    completion->logprobs = -1;
    completion->limit = INT32_MAX;
    if (!sim__input_flag(root, "stream", &task->stream, refusal) ||
        !sim__input_flag(root, "echo", &completion->echo, refusal) ||
        !sim__input_flag(options, "include_usage", &completion->include_usage, refusal) ||
        !sim__input_number(root, "n", 1, MAX_CHOICES, &completion->n, refusal) ||
        !sim__input_number(root, "logprobs", 0, MAX_LOGPROBS, &completion->logprobs, refusal) ||
        !sim__input_number(root, "max_tokens", 0, INT32_MAX, &completion->limit, refusal) ||
        !sim__input_number(root, "seed", INT64_MIN, INT64_MAX, &completion->seed, refusal) ||
        !sim__input_string(root, "suffix", &suffix, refusal)) {
        return false;
    }
    completion->best_of = completion->n;
    if (!sim__input_number(root, "best_of", 1, MAX_BEST_OF, &completion->best_of, refusal)) {
        return false;
    }
    if (completion->best_of < completion->n) {
        sim__refuse(refusal, 400, "best_of", NULL,
                    "You requested that the server return more choices than it will "
                    "generate: 'best_of' must be at least 'n'.");
        return false;
    }
    if (completion->best_of > completion->n && task->stream) {
        sim__refuse(refusal, 400, "best_of", NULL, "Streaming is not possible where 'best_of' is greater than 'n'.");
        return false;
    }
    if (yyjson_is_obj(options) && !task->stream) {
        sim__refuse(refusal, 400, "stream_options", NULL,
                    "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
        return false;
    }
    return true;
}

/* --- the choices --- */

static bool make_huge(struct completion *completion, struct sim_text *text) {
    struct sim_task *task = completion->task;
    completion->weight = sim__input_tokens((size_t)task->huge_bytes);
    task->huge_done = true;
    return sim__text_filler(task->arena, (size_t)task->huge_bytes, text) == WEIR_OK;
}

static bool make_echo(struct completion *completion, const struct prompt *prompt, struct choice *choice) {
    if (!completion->echo) {
        return true;
    }
    if (weir_span_is_empty(prompt->text)) {
        choice->echo = sim__text_words(prompt->hash, prompt->tokens);
        return true;
    }
    return sim__text_pieces(completion->task->arena, prompt->text, &choice->echo) == WEIR_OK;
}

static bool make_choice(struct completion *completion, size_t index) {
    struct sim_task *task = completion->task;
    struct choice *choice = &completion->choices[index];
    const struct prompt *prompt = &completion->prompts[index / (size_t)completion->n];
    uint64_t seed = prompt->hash ^ sim__mix((uint64_t)completion->seed + index % (size_t)completion->n);
    int64_t natural = task->wishes->tokens;
    bool stopped = false;
    choice->finish_reason = natural > completion->limit ? "length" : "stop";
    choice->text = sim__text_words(sim__mix(seed), (size_t)(natural < completion->limit ? natural : completion->limit));
    if (task->huge_bytes > 0 && !make_huge(completion, &choice->text)) {
        return false;
    }
    struct weir_span stops[SIM_MAX_STOPS];
    size_t stop_count = sim__input_stops(task->root, stops);
    if (stop_count > 0 && sim__text_stop(task->arena, stops, stop_count, &choice->text, &stopped) != WEIR_OK) {
        return false;
    }
    if (stopped) {
        choice->finish_reason = "stop";
    }
    return make_echo(completion, prompt, choice);
}

static bool make_choices(struct completion *completion) {
    struct sim_task *task = completion->task;
    completion->weight = 1;
    completion->choice_count = completion->prompt_count * (size_t)completion->n;
    completion->choices = weir_arena_array(task->arena, completion->choice_count, sizeof *completion->choices);
    if (completion->choices == NULL) {
        return false;
    }
    for (size_t i = 0; i < completion->choice_count; i++) {
        if (!make_choice(completion, i)) {
            return false;
        }
        task->usage.output += (int64_t)completion->choices[i].text.count * completion->weight;
    }
    /* The candidates that were not good enough are billed too. */
    task->usage.output = task->usage.output / completion->n * completion->best_of;
    return true;
}

/* --- the answer --- */

static void write_start(const struct completion *completion, const char *id, struct weir_buffer *out) {
    const struct sim_task *task = completion->task;
    weir_buffer_printf(out, "{\"id\":\"%s\",\"object\":\"text_completion\",\"created\":%lld,\"model\":", id,
                       (long long)task->now_s);
    sim__task_model(task, out);
    weir_buffer_append(out, WEIR_SPAN(",\"system_fingerprint\":\"fp_weir_sim\",\"choices\":["));
}

static struct weir_span token_at(const struct choice *choice, size_t index) {
    return index < choice->echo.count ? sim__text_token(&choice->echo, index)
                                      : sim__text_token(&choice->text, index - choice->echo.count);
}

static void write_logprob(struct weir_span token, struct weir_buffer *out) {
    weir_buffer_printf(out, "-0.%02u", 5 + (unsigned)(token.length % 10));
}

static void write_top(struct weir_span token, int64_t top, struct weir_buffer *out) {
    weir_buffer_append_byte(out, '{');
    weir_json_append_string(out, token);
    weir_buffer_append_byte(out, ':');
    write_logprob(token, out);
    for (int64_t rank = 1; rank < top; rank++) {
        weir_buffer_printf(out, ",\"%lld\":-%lld.25", (long long)rank, (long long)rank);
    }
    weir_buffer_append_byte(out, '}');
}

/* The object for `count` tokens of a choice from `from` on; the echoed prompt's tokens come first. */
static void write_logprobs(const struct completion *completion, const struct choice *choice, size_t from, size_t count,
                           struct weir_buffer *out) {
    if (completion->logprobs < 0) {
        weir_buffer_append(out, WEIR_SPAN("null"));
        return;
    }
    static const char *const names[] = {"{\"tokens\":[", "],\"token_logprobs\":[", "],\"top_logprobs\":[",
                                        "],\"text_offset\":["};
    for (size_t list = 0; list < sizeof names / sizeof names[0]; list++) {
        size_t offset = 0;
        weir_buffer_append(out, weir_span_of_string(names[list]));
        for (size_t i = 0; i < from + count; i++) {
            struct weir_span token = token_at(choice, i);
            if (i >= from) {
                weir_buffer_append(out, i > from ? WEIR_SPAN(",") : WEIR_SPAN(""));
                switch (list) {
                case 0: weir_json_append_string(out, token); break;
                case 1: write_logprob(token, out); break;
                case 2: write_top(token, completion->logprobs, out); break;
                default: weir_buffer_append_uint64(out, offset); break;
                }
            }
            offset += token.length;
        }
    }
    weir_buffer_append(out, WEIR_SPAN("]}"));
}

/* The text with the prompt before it, as one string. */
static void write_text(const struct choice *choice, struct weir_buffer *out) {
    if (choice->echo.count == 0) {
        sim__text_write(&choice->text, out);
        return;
    }
    sim__text_write(&choice->echo, out);
    if (choice->text.count > 0) {
        struct weir_buffer text;
        weir_buffer_init(&text, PREFIX_BYTES);
        sim__text_write(&choice->text, &text);
        out->length -= out->length > 0 ? 1 : 0; /* the closing quote */
        weir_buffer_append(out, weir_span_from(weir_buffer_span(&text), text.length > 0 ? 1 : 0));
        weir_buffer_release(&text);
    }
}

static enum weir_status write_whole(const struct completion *completion, const char *id) {
    struct sim_task *task = completion->task;
    struct weir_buffer *out = task->out;
    write_start(completion, id, out);
    for (size_t i = 0; i < completion->choice_count; i++) {
        const struct choice *choice = &completion->choices[i];
        weir_buffer_append(out, i > 0 ? WEIR_SPAN(",{\"text\":") : WEIR_SPAN("{\"text\":"));
        write_text(choice, out);
        weir_buffer_printf(out, ",\"index\":%zu,\"logprobs\":", i);
        write_logprobs(completion, choice, 0, choice->echo.count + choice->text.count, out);
        weir_buffer_printf(out, ",\"finish_reason\":\"%s\"}", choice->finish_reason);
    }
    weir_buffer_append_byte(out, ']');
    if (!task->no_usage) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        sim__task_usage(task, out);
    }
    weir_buffer_append_byte(out, '}');
    task->object = true;
    return WEIR_OK;
}

static void write_between(const void *owner, size_t lane, size_t token, struct weir_buffer *out) {
    const struct completion *completion = owner;
    const struct choice *choice = &completion->choices[lane];
    weir_buffer_printf(out, ",\"index\":%zu,\"logprobs\":", lane);
    write_logprobs(completion, choice, choice->echo.count + token, 1, out);
}

static void add_echo(const struct completion *completion, struct weir_span start, struct weir_span tail,
                     struct sim_script *script, struct weir_buffer *event) {
    for (size_t i = 0; i < completion->choice_count; i++) {
        const struct choice *choice = &completion->choices[i];
        if (choice->echo.count > 0) {
            weir_buffer_append(event, start);
            sim__text_write(&choice->echo, event);
            weir_buffer_printf(event, ",\"index\":%zu,\"logprobs\":", i);
            write_logprobs(completion, choice, 0, choice->echo.count, event);
            weir_buffer_append(event, tail);
            sim__script_take(script, NULL, event, 0);
        }
    }
}

static enum weir_status write_stream(struct completion *given, const char *id) {
    struct sim_task *task = given->task;
    struct completion *completion = weir_arena_alloc(task->arena, sizeof *completion);
    struct sim_lane *lanes = weir_arena_array(task->arena, given->choice_count, sizeof *lanes);
    struct sim_script script;
    struct weir_buffer event;
    struct weir_span start = WEIR_SPAN("");
    struct weir_span usage_start = WEIR_SPAN("");
    bool usage = given->include_usage && !task->no_usage;
    struct weir_span tail = usage ? WEIR_SPAN(",\"finish_reason\":null}],\"usage\":null")
                                  : WEIR_SPAN(",\"finish_reason\":null}]");
    if (completion == NULL || lanes == NULL) {
        return WEIR_ENOMEM;
    }
    *completion = *given;
    sim__script_init(&script, task->arena, SIM_FRAMING_EVENTS);
    weir_buffer_init(&event, 2 * (size_t)PREFIX_BYTES);
    write_start(completion, id, &event);
    script.failed = weir_arena_dup(task->arena, weir_buffer_span(&event), &usage_start) != WEIR_OK;
    weir_buffer_append(&event, WEIR_SPAN("{\"text\":"));
    script.failed |= weir_arena_dup(task->arena, weir_buffer_span(&event), &start) != WEIR_OK;
    weir_buffer_clear(&event);
    add_echo(completion, start, tail, &script, &event);
    for (size_t i = 0; i < completion->choice_count; i++) {
        lanes[i] = (struct sim_lane){.before = start, .after = tail, .text = completion->choices[i].text};
    }
    sim__script_run(&script, (struct sim_run){
                                 .lanes = lanes,
                                 .lane_count = completion->choice_count,
                                 .between = write_between,
                                 .owner = completion,
                                 .tokens = completion->weight,
                             });
    for (size_t i = 0; i < completion->choice_count; i++) {
        weir_buffer_append(&event, start);
        weir_buffer_printf(&event, "\"\",\"index\":%zu,\"logprobs\":null,\"finish_reason\":\"%s\"}]%s", i,
                           completion->choices[i].finish_reason, usage ? ",\"usage\":null" : "");
        sim__script_take(&script, NULL, &event, 0);
    }
    if (usage) {
        weir_buffer_append(&event, usage_start);
        weir_buffer_append(&event, WEIR_SPAN("],\"usage\":"));
        sim__task_usage(task, &event);
        sim__script_take(&script, NULL, &event, 0);
    }
    sim__script_plain(&script, "[DONE]");
    script.terminal = 1;
    weir_buffer_release(&event);
    return sim__task_stream(task, &script);
}

enum weir_status sim__completions(struct sim_task *task) {
    struct completion completion = {.task = task};
    if (!sim__input_model(task->arena, task->root, &task->model, &task->refusal) || !read_prompts(&completion) ||
        !read_options(&completion) || !make_choices(&completion)) {
        return sim__task_failed(task);
    }
    const char *id = sim__task_id(task, "cmpl-", 28);
    if (id == NULL) {
        return WEIR_ENOMEM;
    }
    return task->stream ? write_stream(&completion, id) : write_whole(&completion, id);
}

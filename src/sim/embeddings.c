/* POST /v1/embeddings: a unit vector for every input, drawn from its bytes. */
#include "sim/task.h"

#include <yyjson.h>

enum { MAX_INPUTS = 2048, MAX_DIMENSIONS = 8192, USUAL_DIMENSIONS = 1536, LARGE_DIMENSIONS = 3072 };
/* Values are whole numbers of these parts, so that the text and the floats of base64 say the same. */
#define PARTS 100000000

struct embedding {
    struct sim_task *task;
    int64_t dimensions;
    bool base64;
    float *floats; /* of one vector */
    size_t count;  /* vectors written */
};

/* The square root by Newton's steps: the same on every machine, and no library of mathematics. */
static double root_of(double value) {
    double root = value > 1 ? value : 1;
    for (int i = 0; i < 64; i++) {
        root = (root + value / root) / 2;
    }
    return root;
}

static int64_t drawn(uint64_t seed, int64_t index) {
    return (int64_t)(sim__mix(seed + (uint64_t)index) >> 40) - (1 << 23);
}

/* What makes of the drawn numbers a vector of length 1, in parts. */
static double scale_of(uint64_t seed, int64_t dimensions) {
    double squares = 0;
    for (int64_t i = 0; i < dimensions; i++) {
        double value = (double)drawn(seed, i);
        squares += value * value;
    }
    return PARTS / root_of(squares);
}

static int64_t part_of(uint64_t seed, int64_t index, double scale) {
    return (int64_t)((double)drawn(seed, index) * scale);
}

static void write_part(int64_t part, struct weir_buffer *out) {
    char digits[16];
    uint64_t left = (uint64_t)(part < 0 ? -part : part);
    digits[2] = (char)('0' + left / PARTS);
    digits[3] = '.';
    left %= PARTS;
    for (int place = 11; place > 3; place--) {
        digits[place] = (char)('0' + left % 10);
        left /= 10;
    }
    digits[1] = '-';
    weir_buffer_append(out, part < 0 ? weir_span_of(digits + 1, 11) : weir_span_of(digits + 2, 10));
}

void sim__embedding_write(uint64_t seed, int64_t dimensions, struct weir_buffer *out) {
    double scale = scale_of(seed, dimensions);
    for (int64_t i = 0; i < dimensions; i++) {
        weir_buffer_append_byte(out, i > 0 ? ',' : '[');
        write_part(part_of(seed, i, scale), out);
    }
    weir_buffer_append_byte(out, ']');
}

static void write_vector(struct embedding *embedding, uint64_t seed) {
    struct weir_buffer *out = embedding->task->out;
    weir_buffer_printf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", embedding->count > 0 ? "," : "",
                       embedding->count);
    embedding->count++;
    if (embedding->base64) {
        double scale = scale_of(seed, embedding->dimensions);
        for (int64_t i = 0; i < embedding->dimensions; i++) {
            embedding->floats[i] = (float)((double)part_of(seed, i, scale) / PARTS);
        }
        /* Little-endian, as all machines are that this runs on. */
        weir_buffer_append_byte(out, '"');
        sim__base64(weir_span_of((const char *)embedding->floats, (size_t)embedding->dimensions * sizeof(float)), out);
        weir_buffer_append_byte(out, '"');
    } else {
        sim__embedding_write(seed, embedding->dimensions, out);
    }
    weir_buffer_append_byte(out, '}');
}

static bool refuse(struct embedding *embedding, const char *message) {
    sim__refuse(&embedding->task->refusal, 400, "input", "invalid_type", "Invalid 'input': %s.", message);
    return false;
}

static bool add_text(struct embedding *embedding, yyjson_val *text) {
    struct weir_span bytes = sim__input_text(text);
    if (weir_span_is_empty(bytes)) {
        return refuse(embedding, "a string must not be empty");
    }
    embedding->task->usage.input += sim__input_tokens(bytes.length);
    write_vector(embedding, sim__hash((uint64_t)embedding->dimensions, bytes));
    return true;
}

static bool add_tokens(struct embedding *embedding, yyjson_val *tokens) {
    uint64_t seed = (uint64_t)embedding->dimensions;
    size_t index;
    size_t count;
    yyjson_val *token;
    yyjson_arr_foreach(tokens, index, count, token) {
        if (!yyjson_is_uint(token)) {
            return refuse(embedding, "tokens are whole numbers");
        }
        seed = sim__mix(seed ^ yyjson_get_uint(token));
    }
    if (count == 0) {
        return refuse(embedding, "an array must not be empty");
    }
    embedding->task->usage.input += (int64_t)count;
    write_vector(embedding, seed);
    return true;
}

static bool add_inputs(struct embedding *embedding) {
    yyjson_val *input = yyjson_obj_get(embedding->task->root, "input");
    yyjson_val *first = yyjson_arr_get_first(input);
    if (input == NULL) {
        sim__refuse(&embedding->task->refusal, 400, "input", NULL, "Missing required parameter: 'input'.");
        return false;
    }
    if (yyjson_is_str(input)) {
        return add_text(embedding, input);
    }
    if (!yyjson_is_arr(input)) {
        return refuse(embedding, "expected a string, an array of strings, tokens, or arrays of tokens");
    }
    if (!yyjson_is_str(first) && !yyjson_is_arr(first)) {
        return add_tokens(embedding, input);
    }
    if (yyjson_arr_size(input) > MAX_INPUTS) {
        return refuse(embedding, "at most 2048 inputs are taken");
    }
    size_t index;
    size_t count;
    yyjson_val *one;
    yyjson_arr_foreach(input, index, count, one) {
        if (yyjson_is_str(one) ? !add_text(embedding, one) : !add_tokens(embedding, one)) {
            return false;
        }
    }
    return true;
}

enum weir_status sim__embeddings(struct sim_task *task) {
    static const char *const formats[] = {"float", "base64", NULL};
    struct embedding embedding = {.task = task, .dimensions = USUAL_DIMENSIONS};
    struct sim_refusal *refusal = &task->refusal;
    const char *format = formats[0];
    struct weir_buffer *out = task->out;
    if (!sim__input_model(task->arena, task->root, &task->model, refusal)) {
        return sim__task_failed(task);
    }
    if (sim__input_contains(task->model, "large")) {
        embedding.dimensions = LARGE_DIMENSIONS;
    }
    if (!sim__input_number(task->root, "dimensions", 1, MAX_DIMENSIONS, &embedding.dimensions, refusal) ||
        !sim__input_choice(task->root, "encoding_format", formats, &format, refusal)) {
        return sim__task_failed(task);
    }
    embedding.base64 = format == formats[1] && !sim__input_contains(task->model, "floats-only");
    embedding.floats = weir_arena_array(task->arena, (size_t)embedding.dimensions, sizeof *embedding.floats);
    if (embedding.floats == NULL) {
        return WEIR_ENOMEM;
    }
    weir_buffer_append(out, WEIR_SPAN("{\"object\":\"list\",\"data\":["));
    if (!add_inputs(&embedding)) {
        return sim__task_failed(task);
    }
    weir_buffer_append(out, WEIR_SPAN("],\"model\":"));
    sim__task_model(task, out);
    if (!task->no_usage) {
        weir_buffer_printf(out, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}",
                           (long long)sim__task_said(task, task->usage.input),
                           (long long)sim__task_said(task, task->usage.input));
    }
    weir_buffer_append_byte(out, '}');
    task->object = true;
    return WEIR_OK;
}

/* Embeddings between OpenAI's format and others: front and back.
 *
 * Providers are asked for numbers; where a client asked for base64, the 32-bit floats are made of them here.
 */
#include "dialect/openai_vectors.h"

#include <limits.h>
#include <math.h>
#include <openssl/evp.h>

/* --- the front --- */

static enum weir_status add_input(struct dialect__reading *reading, struct weir_vectors_call *call,
                                  const struct weir_json_node *item, const char *path) {
    if (item->kind != WEIR_JSON_STRING && item->kind != WEIR_JSON_ARRAY)
        return dialect__must_be(reading, path, "a string or an array of tokens", item);
    struct weir_vector_input *input = weir_arena_alloc(reading->exchange->arena, sizeof *input);
    if (input == NULL)
        return WEIR_ENOMEM;
    if (item->kind == WEIR_JSON_STRING)
        input->text = weir_json_inside(item);
    else
        input->tokens = item->text;
    if (call->last_input != NULL)
        call->last_input->next = input;
    else
        call->inputs = input;
    call->last_input = input;
    call->count++;
    return WEIR_OK;
}

static enum weir_status read_inputs(struct dialect__reading *reading, struct weir_vectors_call *call,
                                    const struct weir_json_node *input) {
    bool is_list = weir_json_is(input, WEIR_JSON_ARRAY) && !weir_json_is(input->first, WEIR_JSON_NUMBER);
    unsigned index = 0;
    enum weir_status status = WEIR_OK;
    if (input == NULL || input->kind == WEIR_JSON_NULL)
        return dialect__must_be(reading, "input", "a string or an array", input);
    call->is_single = !is_list;
    if (!is_list)
        return add_input(reading, call, input, "input");
    for (const struct weir_json_node *item = input->first; status == WEIR_OK && item != NULL; item = item->next)
        status = add_input(reading, call, item, dialect__path(reading, "input[%u]", index++));
    return status;
}

static enum weir_status read_vectors_call(struct weir_exchange *exchange, const struct weir_json_node *root,
                                          struct weir_vectors_call *call, struct weir_call_problem *problem) {
    static const struct dialect__member members[] = {
        {"model", WEIR_PARAMETER_MODEL, NULL},
        {"input", WEIR_PARAMETER_MESSAGES, NULL},
        {"encoding_format", WEIR_PARAMETER_ENCODING_FORMAT, NULL},
        {"dimensions", WEIR_PARAMETER_DIMENSIONS, NULL},
        {"user", WEIR_PARAMETER_USER, NULL},
    };
    struct weir_prompt prompt = {.stream = false};
    struct dialect__reading reading = {.exchange = exchange, .prompt = &prompt, .problem = problem};
    enum weir_status status = dialect__read_members(&reading, root, "", members, sizeof members / sizeof *members);
    memcpy(call->values, prompt.values, sizeof call->values);
    call->unknown = prompt.unknown;
    call->last_unknown = prompt.last_unknown;
    return status == WEIR_OK ? read_inputs(&reading, call, weir_json_get(root, "input")) : status;
}

static void write_vector(const struct weir_exchange *exchange, const struct weir_vector *vector,
                         struct weir_json_writer *writer) {
    weir_json_write_name(writer, "embedding");
    if (!weir_is_said(vector->numbers)) {
        dialect__write_wire(writer, vector->base64);
        return;
    }
    weir_json_write_raw(writer, WEIR_SPAN(""));
    if (!exchange->wants_base64) {
        weir_json_append_compact(writer->out, vector->numbers);
        return;
    }
    struct weir_buffer floats;
    weir_buffer_init(&floats, WEIR_MIB);
    size_t before = writer->out->length;
    if (!dialect__write_base64_vector(vector->numbers, &floats, writer->out)) {
        writer->out->length = before; /* numbers are better than nothing */
        weir_json_append_compact(writer->out, vector->numbers);
    }
    weir_buffer_release(&floats);
}

static void write_vectors(struct weir_exchange *exchange, const struct weir_vectors_call *call,
                          const struct weir_vectors_reply *reply, int64_t used_cu_milli, struct weir_buffer *out) {
    struct weir_json_writer writer;
    int64_t index = 0;
    (void)call;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "object", "list");
    weir_json_write_name(&writer, "data");
    weir_json_write_array(&writer);
    for (const struct weir_vector *vector = reply->vectors; vector != NULL; vector = vector->next) {
        weir_json_write_object(&writer);
        weir_json_member_text(&writer, "object", "embedding");
        weir_json_member_int64(&writer, "index", index++);
        write_vector(exchange, vector, &writer);
        weir_json_write_end(&writer);
    }
    weir_json_write_end(&writer);
    weir_json_member_string(&writer, "model", exchange->front_model);
    weir_json_write_name(&writer, "usage");
    weir_json_write_object(&writer);
    weir_json_member_int64(&writer, "prompt_tokens", reply->usage.input);
    weir_json_member_int64(&writer, "total_tokens", reply->usage.input);
    if (!reply->has_usage)
        weir_json_member_bool(&writer, "estimated", true);
    if (used_cu_milli >= 0)
        weir_json_member_int64(&writer, "usedCUMilli", used_cu_milli);
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
}

const struct weir_front weir_front_embeddings = {.read_vectors_call = read_vectors_call,
                                                 .write_vectors = write_vectors};

/* --- the back --- */

enum weir_status dialect__openai_write_vectors_call(struct weir_exchange *exchange,
                                                    const struct weir_vectors_call *call,
                                                    struct weir_back_target *target, struct weir_buffer *out,
                                                    struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    (void)problem;
    *target = (struct weir_back_target){.path = WEIR_SPAN("/embeddings")};
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "model", exchange->back_model);
    weir_json_write_name(&writer, "input");
    if (!call->is_single)
        weir_json_write_array(&writer);
    for (const struct weir_vector_input *input = call->inputs; input != NULL; input = input->next) {
        if (weir_is_said(input->text))
            dialect__write_wire(&writer, input->text);
        else
            weir_json_write_raw(&writer, input->tokens);
    }
    if (!call->is_single)
        weir_json_write_end(&writer);
    dialect__member_json(&writer, "dimensions", call->values[WEIR_PARAMETER_DIMENSIONS]);
    weir_json_member_text(&writer, "encoding_format", "float");
    dialect__member_json(&writer, "user", call->values[WEIR_PARAMETER_USER]);
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}

/* A server that sends base64 although numbers were asked for: the other fronts need the numbers. Unsaid: it is no base64 of floats, or there is no memory. */
static struct weir_span numbers_of(struct weir_arena *arena, struct weir_span base64) {
    enum { DIGITS = 24 };
    unsigned char *bytes = weir_arena_alloc_raw(arena, base64.length + 4);
    size_t padding = 0, length;
    if (bytes == NULL || base64.length % 4 != 0 || base64.length > INT_MAX / DIGITS)
        return WEIR_UNSAID;
    while (padding < 2 && padding < base64.length && base64.at[base64.length - 1 - padding] == '=')
        padding++;
    int decoded = EVP_DecodeBlock(bytes, (const unsigned char *)base64.at, (int)base64.length);
    if (decoded < 0 || (length = (size_t)decoded - padding) % sizeof(float) != 0)
        return WEIR_UNSAID;
    char *text = weir_arena_alloc_raw(arena, length / sizeof(float) * DIGITS + 2), *at = text;
    if (text == NULL)
        return WEIR_UNSAID;
    *at++ = '[';
    for (size_t i = 0; i < length; i += sizeof(float)) {
        uint32_t bits = (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 | (uint32_t)bytes[i + 2] << 16 |
                        (uint32_t)bytes[i + 3] << 24;
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            return WEIR_UNSAID;
        int written = snprintf(at, DIGITS, "%s%.9g", i > 0 ? "," : "", (double)value);
        at += written > 0 && written < DIGITS ? written : 0;
    }
    *at++ = ']';
    return weir_span_of(text, (size_t)(at - text));
}

enum weir_status dialect__openai_read_vectors(struct weir_exchange *exchange, const struct weir_json_node *root,
                                              struct weir_vectors_reply *reply) {
    const struct weir_json_node *data = weir_json_get(root, "data"), *usage = weir_json_get(root, "usage");
    if (!weir_json_is(data, WEIR_JSON_ARRAY))
        return WEIR_EPROTO;
    for (const struct weir_json_node *item = data->first; item != NULL; item = item->next) {
        const struct weir_json_node *numbers = weir_json_get(item, "embedding");
        struct weir_vector *vector = weir_arena_alloc(exchange->arena, sizeof *vector);
        if (vector == NULL)
            return WEIR_ENOMEM;
        if (weir_json_is(numbers, WEIR_JSON_ARRAY))
            vector->numbers = numbers->text;
        else if (weir_json_is(numbers, WEIR_JSON_STRING))
            vector->numbers = numbers_of(exchange->arena, weir_json_inside(numbers));
        if (!weir_is_said(vector->numbers))
            return WEIR_EPROTO;
        if (reply->last_vector != NULL)
            reply->last_vector->next = vector;
        else
            reply->vectors = vector;
        reply->last_vector = vector;
    }
    reply->has_usage = weir_json_is(usage, WEIR_JSON_OBJECT) && dialect__read_usage(usage->text, &reply->usage);
    return WEIR_OK;
}

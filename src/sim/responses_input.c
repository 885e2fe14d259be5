/* See responses.h: the items of an input. What must be there, what belongs together, what is encrypted, what comes besides text. */
#include "sim/responses.h"

#include "base/ids.h"
#include "sim/media.h"

#include <yyjson.h>

enum { IMAGE_TOKENS = 85, OTHER_PART_TOKENS = 50, MAX_ITEM_CHECKS = 2000, SEALED_BYTES = 24 };

/* --- what is encrypted --- */

static const struct weir_span sealed_start = {"gAAAAABs", 8};

static uint64_t seal_of(uint64_t seed, uint64_t id_hash) {
    return sim__hash(sim__mix(seed) ^ id_hash, WEIR_SPAN("what was thought of"));
}

static uint64_t read_word(const unsigned char *bytes) {
    uint64_t word = 0;
    for (size_t i = 0; i < 8; i++) {
        word = word << 8 | bytes[i];
    }
    return word;
}

const char *sim__response_encrypt(struct weir_arena *arena, struct weir_span id, uint64_t seed) {
    uint64_t id_hash = sim__hash(1, id);
    return weir_arena_format(arena, "%.*s%016llx%016llx%016llx", WEIR_SPAN_PRINT(sealed_start),
                             (unsigned long long)seed, (unsigned long long)id_hash,
                             (unsigned long long)seal_of(seed, id_hash));
}

uint64_t sim__response_encrypted_hash(struct weir_span content) {
    return sim__hash(2, content);
}

/* NULL where it was made here, and for the item with this id, which need not be told. */
static const char *problem_of(const struct sim_task *task, struct weir_span content, yyjson_val *id) {
    unsigned char bytes[SEALED_BYTES];
    if (sim__memory_has(task->memory, sim__response_encrypted_hash(content))) {
        return NULL;
    }
    if (!weir_span_starts_with(content, sealed_start) ||
        weir_hex_parse(weir_span_from(content, sealed_start.length), bytes, sizeof bytes) != WEIR_OK ||
        read_word(bytes + 16) != seal_of(read_word(bytes), read_word(bytes + 8))) {
        return "Encrypted content could not be decrypted or parsed.";
    }
    if (yyjson_is_str(id) && read_word(bytes + 8) != sim__hash(1, sim__input_text(id))) {
        return "Encrypted content item_id did not match the target item id.";
    }
    return NULL;
}

/* --- what belongs together --- */

static bool is_message(yyjson_val *item) {
    yyjson_val *type = yyjson_obj_get(item, "type");
    return type == NULL || sim__input_is(type, "message");
}

static bool is_call(yyjson_val *item) {
    yyjson_val *type = yyjson_obj_get(item, "type");
    return sim__input_is(type, "function_call") || sim__input_is(type, "custom_tool_call");
}

static bool is_output(yyjson_val *item) {
    yyjson_val *type = yyjson_obj_get(item, "type");
    return sim__input_is(type, "function_call_output") || sim__input_is(type, "custom_tool_call_output");
}

static bool check_reasoning(struct sim_task *task, yyjson_val *item, yyjson_val *next, size_t index) {
    yyjson_val *encrypted = yyjson_obj_get(item, "encrypted_content");
    yyjson_val *id = yyjson_obj_get(item, "id");
    struct weir_span name = sim__input_text(id);
    if (!yyjson_is_arr(yyjson_obj_get(item, "summary"))) {
        sim__refuse(&task->refusal, 400, "input", "missing_required_parameter",
                    "Missing required parameter: 'input[%zu].summary'.", index);
        return false;
    }
    if (yyjson_is_str(encrypted)) {
        struct weir_span content = sim__input_text(encrypted);
        const char *problem = problem_of(task, content, id);
        if (problem != NULL) {
            sim__refuse(&task->refusal, 400, NULL, "invalid_encrypted_content",
                        "The encrypted content %.*s... could not be verified. Reason: %s",
                        content.length < 8 ? (int)content.length : 8, content.at, problem);
            return false;
        }
    }
    bool followed = next != NULL && !is_output(next) &&
                    !(is_message(next) && !sim__input_is(yyjson_obj_get(next, "role"), "assistant"));
    if (!followed && !weir_span_is_empty(name)) {
        sim__refuse(&task->refusal, 400, "input", NULL,
                    "Item '%.*s' of type 'reasoning' was provided without its required following item.",
                    name.length < 60 ? (int)name.length : 60, name.at);
        return false;
    }
    return true;
}

/* Whether there is a call (or an output) with this call_id among the items from `from` up to `to`. */
static bool has_partner(yyjson_val *input, size_t from, size_t to, bool (*is_partner)(yyjson_val *), yyjson_val *id) {
    size_t index;
    size_t count;
    yyjson_val *item;
    yyjson_arr_foreach(input, index, count, item) {
        if (index >= from && index < to && is_partner(item) &&
            yyjson_equals_strn(yyjson_obj_get(item, "call_id"), yyjson_get_str(id), yyjson_get_len(id))) {
            return true;
        }
    }
    return false;
}

static bool check_partner(struct sim_task *task, yyjson_val *input, yyjson_val *item, size_t index) {
    yyjson_val *id = yyjson_obj_get(item, "call_id");
    struct weir_span name = sim__input_text(id);
    int length = name.length < 80 ? (int)name.length : 80;
    if (!yyjson_is_str(id)) {
        sim__refuse(&task->refusal, 400, "input", "missing_required_parameter",
                    "Missing required parameter: 'input[%zu].call_id'.", index);
        return false;
    }
    /* What came before is known to the provider alone where a conversation goes on. */
    bool goes_on = yyjson_is_str(yyjson_obj_get(task->root, "previous_response_id")) ||
                   yyjson_obj_get(task->root, "conversation") != NULL;
    if (is_output(item) && !goes_on && !has_partner(input, 0, index, is_call, id)) {
        sim__refuse(&task->refusal, 400, "input", NULL,
                    "No tool call found for function call output with call_id %.*s.", length, name.at);
        return false;
    }
    if (is_call(item) && !has_partner(input, index + 1, yyjson_arr_size(input), is_output, id)) {
        sim__refuse(&task->refusal, 400, "input", NULL, "No tool output found for function call %.*s.", length,
                    name.at);
        return false;
    }
    return true;
}

bool sim__response_check_items(struct sim_task *task) {
    yyjson_val *input = yyjson_obj_get(task->root, "input");
    size_t index;
    size_t count;
    yyjson_val *item;
    yyjson_val *before = NULL;
    yyjson_arr_foreach(input, index, count, item) {
        if (!yyjson_is_obj(item)) {
            sim__refuse(&task->refusal, 400, "input", "invalid_type",
                        "Invalid type for 'input[%zu]': expected an object.", index);
            return false;
        }
    }
    yyjson_arr_foreach(input, index, count, item) {
        if (before != NULL && sim__input_is(yyjson_obj_get(before, "type"), "reasoning") &&
            !check_reasoning(task, before, item, index - 1)) {
            return false;
        }
        /* Looking for partners takes the square of the number of items: very long conversations are believed. */
        if ((is_call(item) || is_output(item)) && count <= MAX_ITEM_CHECKS &&
            !check_partner(task, input, item, index)) {
            return false;
        }
        before = item;
    }
    return before == NULL || !sim__input_is(yyjson_obj_get(before, "type"), "reasoning") ||
           check_reasoning(task, before, NULL, count - 1);
}

/* --- what comes besides text --- */

static bool refuse_part(struct sim_task *task, const char *member) {
    sim__refuse(&task->refusal, 400, "input", "invalid_value",
                "Invalid '%s'. Expected a valid URL or base64-encoded content, but got a value with an invalid format.",
                member);
    return false;
}

static bool describe_part(struct sim_task *task, yyjson_val *part, struct weir_buffer *notes) {
    yyjson_val *type = yyjson_obj_get(part, "type");
    const char *what = sim__input_is(type, "input_image")   ? "image"
                       : sim__input_is(type, "input_file")  ? "file"
                       : sim__input_is(type, "input_audio") ? "audio"
                                                            : NULL;
    static const char *const addresses[] = {"image_url", "file_url"};
    struct weir_span name = sim__input_text(yyjson_obj_get(part, "filename"));
    struct weir_span content = sim__input_text(yyjson_obj_get(part, "file_data"));
    struct weir_span id = sim__input_text(yyjson_obj_get(part, "file_id"));
    const char *member = "file_data";
    enum weir_status status = WEIR_OK;
    if (what == NULL) {
        return true;
    }
    if (strcmp(what, "audio") == 0) {
        member = "input_audio.data";
        content = sim__input_text(yyjson_obj_get(yyjson_obj_get(part, "input_audio"), "data"));
        status = sim__media_content(task->arena, what, content, name, notes);
    } else if (!weir_span_is_empty(content)) {
        status = sim__media_content(task->arena, what, content, name, notes);
    } else if (!weir_span_is_empty(id)) {
        sim__media_refer(what, "file", id, notes);
    } else {
        member = addresses[strcmp(what, "file") == 0];
        status = sim__media_address(task->arena, what, sim__input_text(yyjson_obj_get(part, member)), name, notes);
    }
    return status == WEIR_EINVAL ? refuse_part(task, member) : status == WEIR_OK;
}

bool sim__response_describe(struct sim_task *task, struct weir_buffer *notes) {
    size_t index;
    size_t count;
    yyjson_val *item;
    yyjson_arr_foreach(yyjson_obj_get(task->root, "input"), index, count, item) {
        size_t part_index;
        size_t part_count;
        yyjson_val *part;
        yyjson_arr_foreach(yyjson_obj_get(item, is_output(item) ? "output" : "content"), part_index, part_count, part) {
            if (!describe_part(task, part, notes)) {
                return false;
            }
        }
    }
    return true;
}

/* --- counting --- */

static int64_t count_content(yyjson_val *content) {
    if (yyjson_is_str(content)) {
        return sim__input_tokens(yyjson_get_len(content));
    }
    int64_t tokens = 0;
    size_t index;
    size_t count;
    yyjson_val *part;
    yyjson_arr_foreach(content, index, count, part) {
        yyjson_val *type = yyjson_obj_get(part, "type");
        if (sim__input_is(type, "input_image")) {
            tokens += IMAGE_TOKENS;
        } else if (sim__input_is(type, "input_file") || sim__input_is(type, "input_audio")) {
            tokens += OTHER_PART_TOKENS;
        } else {
            tokens += sim__input_tokens(sim__input_text(yyjson_obj_get(part, "text")).length);
        }
    }
    return tokens;
}

int64_t sim__responses_count(yyjson_val *root) {
    yyjson_val *input = yyjson_obj_get(root, "input");
    int64_t tokens = 3 + sim__input_tokens(sim__input_text(yyjson_obj_get(root, "instructions")).length) +
                     sim__input_tokens(sim__input_string_bytes(yyjson_obj_get(root, "tools")));
    if (yyjson_is_str(input)) {
        return tokens + 4 + count_content(input);
    }
    size_t index;
    size_t count;
    yyjson_val *item;
    yyjson_arr_foreach(input, index, count, item) {
        yyjson_val *output = yyjson_obj_get(item, "output");
        tokens += 4 + (is_message(item)                           ? count_content(yyjson_obj_get(item, "content"))
                       : is_output(item) && yyjson_is_arr(output) ? count_content(output)
                                                                  : sim__input_tokens(sim__input_string_bytes(item)));
    }
    return tokens;
}

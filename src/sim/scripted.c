/* See scripted.h. */
#include "sim/scripted.h"

#include <yyjson.h>

enum { MAX_BLOCKS = 1000, MAX_FIGURE = INT32_MAX };

struct reading {
    struct weir_arena *arena;
    struct sim_refusal *refusal;
    struct sim_scripted *scripted;
};

static bool refuse(struct reading *reading, const char *what) {
    sim__refuse(reading->refusal, 400, NULL, "bad_simulator_field", "x-sim-script: %s.", what);
    return false;
}

/* The string in the arena, in pieces. */
static bool keep_text(struct reading *reading, struct weir_span bytes, struct sim_text *text) {
    struct weir_span kept;
    return weir_arena_dup(reading->arena, bytes, &kept) == WEIR_OK &&
           sim__text_pieces(reading->arena, kept, text) == WEIR_OK;
}

static bool keep_string(struct reading *reading, yyjson_val *value, struct weir_span *kept) {
    return weir_arena_dup(reading->arena, sim__input_text(value), kept) == WEIR_OK;
}

/* --- blocks --- */

/* Arguments that are a string go out as they are, so that a test can send what is no JSON. */
static bool read_tool(struct reading *reading, yyjson_val *tool, size_t index, struct sim_block *block) {
    yyjson_val *arguments = yyjson_obj_get(tool, "arguments");
    yyjson_val *id = yyjson_obj_get(tool, "id");
    struct weir_span json = yyjson_is_str(arguments) ? sim__input_text(arguments) : WEIR_SPAN("{}");
    if (!yyjson_is_str(yyjson_obj_get(tool, "name"))) {
        return refuse(reading, "a tool needs a name");
    }
    if (arguments != NULL && !yyjson_is_str(arguments) &&
        sim__input_copy(reading->arena, arguments, &json) != WEIR_OK) {
        return false;
    }
    if (yyjson_get_len(id) > 0) {
        return keep_string(reading, yyjson_obj_get(tool, "name"), &block->name) &&
               keep_text(reading, json, &block->text) && keep_string(reading, id, &block->id);
    }
    const char *made = weir_arena_format(reading->arena, "call_script_%zu", index + 1);
    block->id = weir_span_of_string(made);
    return made != NULL && keep_string(reading, yyjson_obj_get(tool, "name"), &block->name) &&
           keep_text(reading, json, &block->text);
}

static bool read_block(struct reading *reading, yyjson_val *value, size_t index, struct sim_block *block) {
    static const struct {
        const char *name;
        enum sim_block_kind kind;
    } kinds[] = {
        {"text", SIM_BLOCK_TEXT},
        {"thinking", SIM_BLOCK_THINKING},
        {"redacted", SIM_BLOCK_REDACTED},
        {"refusal", SIM_BLOCK_REFUSAL},
    };
    yyjson_val *tool = yyjson_obj_get(value, "tool");
    if (yyjson_is_obj(tool)) {
        block->kind = SIM_BLOCK_TOOL;
        return read_tool(reading, tool, index, block);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        yyjson_val *text = yyjson_obj_get(value, kinds[i].name);
        if (yyjson_is_str(text)) {
            block->kind = kinds[i].kind;
            return keep_text(reading, sim__input_text(text), &block->text) &&
                   keep_string(reading, yyjson_obj_get(value, "signature"), &block->signature);
        }
    }
    return refuse(reading, "a block has one of text, thinking, redacted, refusal (strings) or tool (an object)");
}

static bool read_blocks(struct reading *reading, yyjson_val *blocks) {
    struct sim_scripted *scripted = reading->scripted;
    size_t index;
    size_t count;
    yyjson_val *value;
    if (!yyjson_is_arr(blocks) || yyjson_arr_size(blocks) > MAX_BLOCKS) {
        return refuse(reading, "blocks must be an array of at most 1000");
    }
    scripted->blocks = weir_arena_array(reading->arena, yyjson_arr_size(blocks), sizeof *scripted->blocks);
    if (scripted->blocks == NULL) {
        return false;
    }
    yyjson_arr_foreach(blocks, index, count, value) {
        if (!read_block(reading, value, index, &scripted->blocks[index])) {
            return false;
        }
    }
    scripted->count = yyjson_arr_size(blocks);
    return true;
}

/* --- the end, and the figures --- */

static bool read_finish(struct reading *reading, yyjson_val *root) {
    static const char *const names[] = {"stop",          "length", "tool_calls", "content_filter",
                                        "stop_sequence", "pause",  "context",    NULL};
    struct sim_scripted *scripted = reading->scripted;
    const char *chosen = NULL;
    for (size_t i = 0; i < scripted->count; i++) {
        if (scripted->blocks[i].kind == SIM_BLOCK_TOOL) {
            scripted->finish = SIM_FINISH_TOOLS;
        } else if (scripted->blocks[i].kind == SIM_BLOCK_REFUSAL) {
            scripted->finish = SIM_FINISH_FILTER;
        }
    }
    if (!sim__input_choice(root, "finish", names, &chosen, reading->refusal)) {
        return false;
    }
    for (unsigned i = 0; chosen != NULL && names[i] != NULL; i++) {
        scripted->finish = names[i] == chosen ? (enum sim_finish)i : scripted->finish;
    }
    return keep_string(reading, yyjson_obj_get(root, "native_finish"), &scripted->native_finish) &&
           keep_string(reading, yyjson_obj_get(root, "stop_sequence"), &scripted->stop_sequence);
}

/* What the blocks come to where the script has no figures. */
static void count_blocks(struct sim_scripted *scripted) {
    struct weir_usage *usage = &scripted->usage;
    for (size_t i = 0; i < scripted->count; i++) {
        const struct sim_block *block = &scripted->blocks[i];
        int64_t tokens = (int64_t)block->text.count + (block->kind == SIM_BLOCK_TOOL ? 1 : 0);
        usage->output += tokens;
        usage->reasoning += block->kind == SIM_BLOCK_THINKING ? tokens : 0;
    }
}

static bool read_usage(struct reading *reading, yyjson_val *root) {
    struct sim_scripted *scripted = reading->scripted;
    struct weir_usage *usage = &scripted->usage;
    yyjson_val *figures = yyjson_obj_get(root, "usage");
    yyjson_val *native = yyjson_obj_get(root, "native_usage");
    const struct {
        const char *name;
        int64_t *value;
    } rows[] = {
        {"input", &usage->input},
        {"cached", &usage->cached},
        {"cache_write", &usage->cache_write},
        {"cache_write_1h", &scripted->cache_write_1h},
        {"input_audio", &usage->input_audio},
        {"input_image", &usage->input_image},
        {"tool_input", &scripted->tool_input},
        {"output", &usage->output},
        {"reasoning", &usage->reasoning},
        {"output_audio", &usage->output_audio},
        {"output_image", &usage->output_image},
        {"searches", &scripted->searches},
        {"fetches", &scripted->fetches},
    };
    count_blocks(scripted);
    scripted->has_input = yyjson_obj_get(figures, "input") != NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!sim__input_number(figures, rows[i].name, 0, MAX_FIGURE, rows[i].value, reading->refusal)) {
            return false;
        }
    }
    return native == NULL || sim__input_copy(reading->arena, native, &scripted->native_usage) == WEIR_OK;
}

enum weir_status sim__scripted_read(struct weir_arena *arena, struct weir_span json, struct sim_scripted *scripted,
                                    struct sim_refusal *refusal) {
    struct reading reading = {.arena = arena, .refusal = refusal, .scripted = scripted};
    yyjson_val *root = NULL;
    *scripted = (struct sim_scripted){.native_finish = WEIR_SPAN("")};
    *refusal = (struct sim_refusal){.status = 0};
    if (!weir_span_is_empty(json) && json.at[0] == '[') {
        char *wrapped = weir_arena_format(arena, "{\"blocks\":%.*s}", WEIR_SPAN_PRINT(json));
        if (wrapped == NULL) {
            return WEIR_ENOMEM;
        }
        json = weir_span_of_string(wrapped);
    }
    enum weir_status status = sim__input_object(arena, json, &root, refusal);
    if (status != WEIR_OK) {
        return status == WEIR_EINVAL && !refuse(&reading, "it is no JSON object or array") ? WEIR_EINVAL : status;
    }
    bool read = read_blocks(&reading, yyjson_obj_get(root, "blocks")) && read_finish(&reading, root) &&
                read_usage(&reading, root);
    return read ? WEIR_OK : refusal->status != 0 ? WEIR_EINVAL : WEIR_ENOMEM;
}

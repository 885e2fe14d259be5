/* See anthropic.h: what a prompt comes to in tokens, and what of it the prompt cache has.
 *
 * A prompt is a row of blocks: tools, system, messages. The cache keeps the prefix up to each block that has a mark; a later prompt
 * reads the longest prefix, ending at any of its blocks, that was kept. What lies between that and the last mark is written, for as
 * long as the mark that ends it says. The vendor's least length of a prefix is not played: a mark behind one word works.
 */
#include "sim/anthropic.h"

#include "sim/chat.h"

#include <yyjson.h>

enum { REQUEST_TOKENS = 3, MESSAGE_TOKENS = 4, IMAGE_TOKENS = 85, DOCUMENT_TOKENS = 50, MAX_MARKS = 8 };

struct counting {
    const struct sim_asked *asked;
    struct sim_prompt *prompt;
    uint64_t hash; /* of all blocks so far */
    int64_t read;  /* the longest prefix that the cache has */
    size_t marks;
    struct {
        int64_t tokens; /* where it stands */
        uint64_t hash;
        bool hour;
    } mark[MAX_MARKS];
};

static int64_t tokens_of(yyjson_val *block);

static int64_t tokens_of_content(yyjson_val *content) {
    int64_t tokens = yyjson_is_str(content) ? sim__input_tokens(yyjson_get_len(content)) : 0;
    size_t index;
    size_t count;
    yyjson_val *block;
    yyjson_arr_foreach(content, index, count, block) {
        tokens += tokens_of(block);
    }
    return tokens;
}

static int64_t tokens_of(yyjson_val *block) {
    yyjson_val *type = yyjson_obj_get(block, "type");
    if (sim__input_is(type, "text")) {
        return sim__input_tokens(yyjson_get_len(yyjson_obj_get(block, "text")));
    }
    if (sim__input_is(type, "image")) {
        return IMAGE_TOKENS;
    }
    if (sim__input_is(type, "document")) {
        return DOCUMENT_TOKENS;
    }
    if (sim__input_is(type, "tool_use")) {
        return sim__input_tokens(yyjson_get_len(yyjson_obj_get(block, "name")) +
                                 sim__input_string_bytes(yyjson_obj_get(block, "input")));
    }
    if (sim__input_is(type, "tool_result")) {
        return tokens_of_content(yyjson_obj_get(block, "content"));
    }
    if (sim__input_is(type, "thinking")) {
        return sim__input_tokens(yyjson_get_len(yyjson_obj_get(block, "thinking")));
    }
    return sim__input_is(type, "redacted_thinking") ? 0 : sim__input_tokens(sim__input_string_bytes(block));
}

/* A text is the same whether it is a string or a block, and whether it is marked. */
static uint64_t hash_of(uint64_t hash, yyjson_val *block) {
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *value;
    if (yyjson_is_str(block)) {
        return sim__hash(hash, sim__input_text(block));
    }
    if (sim__input_is(yyjson_obj_get(block, "type"), "text")) {
        return sim__hash(hash, sim__input_text(yyjson_obj_get(block, "text")));
    }
    yyjson_obj_foreach(block, index, count, name, value) {
        if (!sim__input_is(name, "cache_control")) {
            hash = sim__input_hash(sim__hash(hash, sim__input_text(name)), value);
        }
    }
    return hash;
}

static void add_mark(struct counting *counting, yyjson_val *control) {
    if (yyjson_is_obj(control) && counting->marks < MAX_MARKS) {
        counting->mark[counting->marks].tokens = counting->prompt->tokens;
        counting->mark[counting->marks].hash = counting->hash;
        counting->mark[counting->marks].hour = sim__input_is(yyjson_obj_get(control, "ttl"), "1h");
        counting->marks++;
    }
}

static void add_block(struct counting *counting, yyjson_val *block, int64_t tokens) {
    counting->prompt->tokens += tokens;
    counting->hash = hash_of(counting->hash, block);
    counting->prompt->seed = hash_of(counting->prompt->seed, block);
    if (sim__memory_has(counting->asked->task->memory, counting->hash)) {
        counting->read = counting->prompt->tokens;
    }
    add_mark(counting, yyjson_obj_get(block, "cache_control"));
}

static void add_blocks(struct counting *counting, yyjson_val *content, int64_t extra) {
    size_t index;
    size_t count;
    yyjson_val *block;
    if (yyjson_is_str(content)) {
        add_block(counting, content, sim__input_tokens(yyjson_get_len(content)) + extra);
        return;
    }
    yyjson_arr_foreach(content, index, count, block) {
        add_block(counting, block, tokens_of(block) + (index == 0 ? extra : 0));
    }
}

static void add_tools(struct counting *counting) {
    size_t index;
    size_t count;
    yyjson_val *tool;
    yyjson_arr_foreach(counting->asked->tools, index, count, tool) {
        add_block(counting, tool, sim__input_tokens(sim__input_string_bytes(tool)));
    }
}

bool sim__anthropic_count(const struct sim_asked *asked, struct sim_prompt *prompt) {
    struct counting counting = {.asked = asked, .prompt = prompt};
    size_t index;
    size_t count;
    yyjson_val *message;
    *prompt = (struct sim_prompt){.tokens = 0};
    counting.hash = sim__hash(0, asked->task->model);
    add_tools(&counting);
    prompt->seed = 0; /* neither the model nor the tools change the words */
    add_blocks(&counting, asked->system, 0);
    yyjson_arr_foreach(asked->messages, index, count, message) {
        counting.hash = sim__hash(counting.hash, sim__input_text(yyjson_obj_get(message, "role")));
        add_blocks(&counting, yyjson_obj_get(message, "content"), MESSAGE_TOKENS);
    }
    add_mark(&counting, yyjson_obj_get(asked->task->root, "cache_control"));
    prompt->hashes = weir_arena_array(asked->task->arena, MAX_MARKS, sizeof *prompt->hashes);
    if (prompt->hashes == NULL) {
        return false;
    }
    int64_t last = counting.marks > 0 ? counting.mark[counting.marks - 1].tokens : 0;
    prompt->read = counting.read < last ? counting.read : last;
    int64_t from = prompt->read;
    for (size_t i = 0; i < counting.marks; i++) {
        int64_t to = counting.mark[i].tokens;
        prompt->hashes[prompt->hash_count++] = counting.mark[i].hash;
        if (to > from) {
            prompt->written_1h += counting.mark[i].hour ? to - from : 0;
            prompt->written_5m += counting.mark[i].hour ? 0 : to - from;
            from = to;
        }
    }
    prompt->tokens += REQUEST_TOKENS;
    if (sim__input_contains(asked->task->model, "cached") && prompt->read == 0 && counting.marks == 0) {
        prompt->read = prompt->tokens * 3 / 4;
    }
    return true;
}

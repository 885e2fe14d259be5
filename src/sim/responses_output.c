/* See responses.h: the items of the output. */
#include "sim/responses.h"

#include "sim/media.h"
#include "sim/schema.h"

#include <yyjson.h>

enum { ID_DIGITS = 32, SUMMARY_TOKENS = 6, MOST_ITEMS = 8 };

static struct sim_item *add_item(struct sim_deciding *deciding, enum sim_item_kind kind, const char *prefix) {
    struct sim_response *response = deciding->response;
    weir_bug_on(response->item_count == deciding->item_room);
    char *id = sim__task_id(deciding->task, prefix, ID_DIGITS);
    struct weir_span kept;
    /* With its NUL, for the item outlives the request. */
    if (id == NULL || weir_arena_dup(deciding->arena, weir_span_of(id, strlen(id) + 1), &kept) != WEIR_OK) {
        return NULL;
    }
    struct sim_item *item = &response->items[response->item_count++];
    *item = (struct sim_item){.kind = kind, .id = kept.at, .weight = 1};
    return item;
}

static bool keep(struct sim_deciding *deciding, struct weir_span text, struct weir_span *kept) {
    return weir_arena_dup(deciding->arena, text, kept) == WEIR_OK;
}

/* --- reasoning --- */

/* What is encrypted is told to those who ask for it. */
static bool encrypt(struct sim_deciding *deciding, struct sim_item *item) {
    size_t index;
    size_t count;
    yyjson_val *one;
    yyjson_arr_foreach(yyjson_obj_get(deciding->task->root, "include"), index, count, one) {
        if (sim__input_is(one, "reasoning.encrypted_content")) {
            item->encrypted = sim__response_encrypt(deciding->arena, weir_span_of_string(item->id), deciding->seed);
            return item->encrypted != NULL;
        }
    }
    return true;
}

static bool add_reasoning(struct sim_deciding *deciding) {
    struct sim_task *task = deciding->task;
    yyjson_val *reasoning = yyjson_obj_get(task->root, "reasoning");
    bool thinks = sim__input_contains(task->model, "reasoner") &&
                  !sim__input_is(yyjson_obj_get(reasoning, "effort"), "none");
    bool chatty = deciding->response->chatty;
    if (!thinks && !chatty) {
        return true;
    }
    struct sim_item *item = add_item(deciding, SIM_ITEM_REASONING, "rs_");
    if (item == NULL || !encrypt(deciding, item)) {
        return false;
    }
    if (chatty || yyjson_is_str(yyjson_obj_get(reasoning, "summary"))) {
        item->text = sim__text_words(sim__mix(deciding->seed + 77), SUMMARY_TOKENS);
    }
    item->weight = 0; /* a summary is no part of what is billed */
    if (thinks) {
        int64_t tokens = 8 + (int64_t)(sim__mix(deciding->seed) % 25);
        tokens = tokens < deciding->limit ? tokens : deciding->limit;
        item->other_tokens = tokens;
        task->usage.reasoning = tokens;
        task->usage.output += tokens;
        task->thinking = tokens;
        deciding->limit -= tokens;
    }
    return true;
}

/* --- tools --- */

/* A tool that can be called, and the namespace that it stands in. */
struct chosen {
    yyjson_val *tool, *space;
};

struct choosing {
    yyjson_val *choice;
    struct weir_span wanted; /* empty: any */
    struct chosen chosen[2];
    size_t most, found;
};

static bool is_callable(yyjson_val *tool) {
    yyjson_val *type = yyjson_obj_get(tool, "type");
    return (sim__input_is(type, "function") || sim__input_is(type, "custom")) &&
           yyjson_is_str(yyjson_obj_get(tool, "name"));
}

static bool last_is_user(yyjson_val *root) {
    yyjson_val *input = yyjson_obj_get(root, "input");
    yyjson_val *last = yyjson_arr_get_last(input);
    yyjson_val *type = yyjson_obj_get(last, "type");
    return yyjson_is_str(input) ||
           ((type == NULL || sim__input_is(type, "message")) && sim__input_is(yyjson_obj_get(last, "role"), "user"));
}

/* Whether tool_choice leaves this one: it may name one, or some with allowed_tools. */
static bool is_wanted(const struct choosing *choosing, yyjson_val *tool) {
    struct weir_span name = sim__input_text(yyjson_obj_get(tool, "name"));
    yyjson_val *allowed = yyjson_obj_get(choosing->choice, "tools");
    size_t index;
    size_t count;
    yyjson_val *one;
    if (!yyjson_is_arr(allowed)) {
        return choosing->wanted.length == 0 || weir_span_equal(choosing->wanted, name);
    }
    yyjson_arr_foreach(allowed, index, count, one) {
        if (weir_span_equal(sim__input_text(yyjson_obj_get(one, "name")), name)) {
            return true;
        }
    }
    return false;
}

static void choose_from(struct choosing *choosing, yyjson_val *tools, yyjson_val *space) {
    size_t index;
    size_t count;
    yyjson_val *tool;
    yyjson_arr_foreach(tools, index, count, tool) {
        if (space == NULL && sim__input_is(yyjson_obj_get(tool, "type"), "namespace")) {
            choose_from(choosing, yyjson_obj_get(tool, "tools"), tool);
        } else if (choosing->found < choosing->most && is_callable(tool) && is_wanted(choosing, tool)) {
            choosing->chosen[choosing->found++] = (struct chosen){.tool = tool, .space = space};
        }
    }
}

/* The tools to call: the one that tool_choice names, else the first, or the first two in parallel. */
static void choose_tools(const struct sim_task *task, struct choosing *choosing) {
    yyjson_val *choice = yyjson_obj_get(task->root, "tool_choice");
    *choosing = (struct choosing){.choice = choice, .wanted = sim__input_text(yyjson_obj_get(choice, "name"))};
    choosing->most = yyjson_is_true(yyjson_obj_get(task->root, "parallel_tool_calls")) && choosing->wanted.length == 0
                         ? 2
                         : 1;
    if (task->huge_bytes == 0 && !sim__input_is(choice, "none") && last_is_user(task->root)) {
        choose_from(choosing, yyjson_obj_get(task->root, "tools"), NULL);
    }
}

/* Ends a text where the limit does, and counts it. */
static void take_tokens(struct sim_deciding *deciding, struct sim_item *item) {
    int64_t pieces = deciding->limit < INT32_MAX ? deciding->limit : INT32_MAX;
    if (item->weight == 1 && (int64_t)item->text.count > pieces) {
        item->text.count = (size_t)pieces;
        item->cut = true;
        deciding->response->incomplete = "max_output_tokens";
    }
    int64_t tokens = (int64_t)item->text.count * item->weight;
    deciding->limit -= item->weight == 1 ? tokens : 0;
    deciding->task->usage.output += tokens;
}

static bool add_call(struct sim_deciding *deciding, const struct chosen *chosen, size_t index) {
    uint64_t seed = sim__mix(deciding->seed + index);
    yyjson_val *tool = chosen->tool;
    bool custom = sim__input_is(yyjson_obj_get(tool, "type"), "custom");
    if (deciding->limit <= 0) {
        deciding->response->incomplete = "max_output_tokens";
        return true;
    }
    struct sim_item *item = add_item(deciding, custom ? SIM_ITEM_CUSTOM : SIM_ITEM_FUNCTION, custom ? "ctc_" : "fc_");
    const char *call_id = weir_arena_format(deciding->arena, "call_%016llx", (unsigned long long)seed);
    if (item == NULL || call_id == NULL ||
        !keep(deciding, sim__input_text(yyjson_obj_get(tool, "name")), &item->name) ||
        !keep(deciding, sim__input_text(yyjson_obj_get(chosen->space, "name")), &item->space)) {
        return false;
    }
    item->call_id = weir_span_of_string(call_id);
    if (custom) {
        item->text = sim__text_words(seed, (size_t)deciding->task->wishes->tokens);
    } else if (sim__schema_text(deciding->arena, yyjson_obj_get(tool, "parameters"), seed, &item->text) != WEIR_OK) {
        return false;
    }
    item->other_tokens = 1; /* the call itself */
    deciding->task->usage.output++;
    deciding->limit--;
    take_tokens(deciding, item);
    return true;
}

/* --- the message --- */

static enum weir_status make_text(struct sim_deciding *deciding, struct sim_item *item) {
    struct sim_task *task = deciding->task;
    yyjson_val *format = yyjson_obj_get(yyjson_obj_get(task->root, "text"), "format");
    yyjson_val *type = yyjson_obj_get(format, "type");
    if (task->huge_bytes > 0) {
        item->weight = sim__input_tokens((size_t)task->huge_bytes);
        return sim__text_filler(deciding->arena, (size_t)task->huge_bytes, &item->text);
    }
    item->refusal = sim__input_contains(task->model, "refusing");
    if (!item->refusal && sim__input_is(type, "json_schema")) {
        return sim__schema_text(deciding->arena, yyjson_obj_get(format, "schema"), deciding->seed, &item->text);
    }
    if (!item->refusal && sim__input_is(type, "json_object")) {
        return sim__schema_free_text(deciding->arena, deciding->seed, &item->text);
    }
    item->text = sim__text_words(sim__mix(deciding->seed), (size_t)task->wishes->tokens);
    if (weir_buffer_status(deciding->notes) != WEIR_OK || item->refusal) {
        return weir_buffer_status(deciding->notes);
    }
    return sim__text_after(deciding->arena, weir_buffer_span(deciding->notes), &item->text);
}

static bool add_message(struct sim_deciding *deciding) {
    struct sim_response *response = deciding->response;
    struct sim_item *item = add_item(deciding, SIM_ITEM_MESSAGE, "msg_");
    if (item == NULL || make_text(deciding, item) != WEIR_OK) {
        return false;
    }
    item->phase = sim__input_contains(deciding->task->model, "codex") ? "final_answer" : NULL;
    if (response->failed || sim__input_contains(deciding->task->model, "filtered")) {
        item->text.count = (item->text.count + 1) / 2; /* it breaks off in the middle */
        item->cut = true;
        response->incomplete = response->failed ? NULL : "content_filter";
    }
    take_tokens(deciding, item);
    return true;
}

/* --- word by word --- */

/* The object outlives the request that the script came with. */
static bool keep_text(struct sim_deciding *deciding, const struct sim_text *from, struct sim_text *text) {
    struct weir_span bytes;
    return keep(deciding, from->bytes, &bytes) && sim__text_pieces(deciding->arena, bytes, text) == WEIR_OK;
}

/* What a script gives as a signature, or as what is hidden, is the encrypted content, and is known again when it comes back. */
static bool keep_signature(struct sim_deciding *deciding, const struct sim_block *block, struct sim_item *item) {
    struct weir_span content = block->kind == SIM_BLOCK_REDACTED ? block->text.bytes : block->signature;
    if (weir_span_is_empty(content)) {
        return encrypt(deciding, item);
    }
    sim__memory_keep(deciding->task->memory, sim__response_encrypted_hash(content));
    item->encrypted = weir_arena_string(deciding->arena, content);
    return item->encrypted != NULL;
}

static bool add_scripted(struct sim_deciding *deciding, const struct sim_block *block) {
    static const struct {
        enum sim_item_kind kind;
        const char *prefix;
    } kinds[] = {
        [SIM_BLOCK_TEXT] = {SIM_ITEM_MESSAGE, "msg_"},      [SIM_BLOCK_THINKING] = {SIM_ITEM_REASONING, "rs_"},
        [SIM_BLOCK_REDACTED] = {SIM_ITEM_REASONING, "rs_"}, [SIM_BLOCK_TOOL] = {SIM_ITEM_FUNCTION, "fc_"},
        [SIM_BLOCK_REFUSAL] = {SIM_ITEM_MESSAGE, "msg_"},
    };
    struct sim_item *item = add_item(deciding, kinds[block->kind].kind, kinds[block->kind].prefix);
    if (item == NULL || !keep(deciding, block->name, &item->name) || !keep(deciding, block->id, &item->call_id) ||
        (block->kind != SIM_BLOCK_REDACTED && !keep_text(deciding, &block->text, &item->text))) {
        return false;
    }
    item->refusal = block->kind == SIM_BLOCK_REFUSAL;
    item->other_tokens = block->kind == SIM_BLOCK_TOOL ? 1 : 0;
    if (item->kind == SIM_ITEM_REASONING) {
        item->weight = 0;
        item->other_tokens = (int64_t)block->text.count;
        return keep_signature(deciding, block, item);
    }
    return true;
}

static bool make_scripted(struct sim_deciding *deciding) {
    struct sim_task *task = deciding->task;
    const struct sim_scripted *scripted = task->scripted;
    int64_t input = task->usage.input;
    bool refused = false;
    for (size_t i = 0; i < scripted->count; i++) {
        refused |= scripted->blocks[i].kind == SIM_BLOCK_REFUSAL;
        if (!add_scripted(deciding, &scripted->blocks[i])) {
            return false;
        }
    }
    task->usage = scripted->usage;
    task->usage.input = scripted->has_input ? scripted->usage.input : input;
    if (scripted->finish == SIM_FINISH_LENGTH || scripted->finish == SIM_FINISH_CONTEXT) {
        deciding->response->incomplete = "max_output_tokens";
    } else if (scripted->finish == SIM_FINISH_FILTER && !refused) {
        deciding->response->incomplete = "content_filter";
    }
    return keep(deciding, scripted->native_usage, &deciding->response->native_usage);
}

bool sim__response_make_output(struct sim_deciding *deciding) {
    struct sim_response *response = deciding->response;
    struct choosing choosing;
    deciding->item_room = MOST_ITEMS + (deciding->task->scripted != NULL ? deciding->task->scripted->count : 0);
    response->items = weir_arena_array(deciding->arena, deciding->item_room, sizeof *response->items);
    if (response->items == NULL) {
        return false;
    }
    if (deciding->task->scripted != NULL) {
        return make_scripted(deciding);
    }
    choose_tools(deciding->task, &choosing);
    if (!add_reasoning(deciding) || (response->chatty && (add_item(deciding, SIM_ITEM_TOOL_LIST, "mcpl_") == NULL ||
                                                          add_item(deciding, SIM_ITEM_SEARCH, "ws_") == NULL))) {
        return false;
    }
    for (size_t i = 0; i < choosing.found; i++) {
        if (!add_call(deciding, &choosing.chosen[i], i)) {
            return false;
        }
    }
    return choosing.found > 0 || add_message(deciding);
}

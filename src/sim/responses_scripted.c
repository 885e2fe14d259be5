/* See responses.h: a response that a script has written. Thoughts are reasoning items with their text as the summary and their signature as the
 * encrypted content; texts and refusals are messages. */
#include "sim/responses.h"

#include "sim/scripted.h"

enum { ID_DIGITS = 32 };

static enum weir_status fill_item(struct sim_task *task, struct weir_arena *arena, const struct sim_block *block,
                                  struct sim_item *item) {
    static const struct {
        enum sim_item_kind kind;
        const char *prefix;
    } kinds[] = {
        [SIM_BLOCK_TEXT] = {SIM_ITEM_MESSAGE, "msg_"},      [SIM_BLOCK_THINKING] = {SIM_ITEM_REASONING, "rs_"},
        [SIM_BLOCK_REDACTED] = {SIM_ITEM_REASONING, "rs_"}, [SIM_BLOCK_TOOL] = {SIM_ITEM_FUNCTION, "fc_"},
        [SIM_BLOCK_REFUSAL] = {SIM_ITEM_MESSAGE, "msg_"},
    };
    char *id = sim__task_id(task, kinds[block->kind].prefix, ID_DIGITS);
    struct weir_span kept;
    struct weir_span bytes;
    /* With its NUL, for the item outlives the request. */
    if (id == NULL || weir_arena_dup(arena, weir_span_of(id, strlen(id) + 1), &kept) != WEIR_OK ||
        weir_arena_dup(arena, block->text.bytes, &bytes) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    *item = (struct sim_item){
        .kind = kinds[block->kind].kind,
        .id = kept.at,
        .weight = 1,
        .other_tokens = block->kind == SIM_BLOCK_TOOL ? 1 : 0,
        .refuses = block->kind == SIM_BLOCK_REFUSAL,
    };
    struct weir_span secret = block->kind == SIM_BLOCK_REDACTED ? bytes : block->signature;
    if (block->kind != SIM_BLOCK_REDACTED && sim__text_pieces(arena, bytes, &item->text) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    return weir_arena_dup(arena, block->name, &item->name) == WEIR_OK &&
                   weir_arena_dup(arena, block->id, &item->call_id) == WEIR_OK &&
                   weir_arena_dup(arena, secret, &item->encrypted) == WEIR_OK
               ? WEIR_OK
               : WEIR_ENOMEM;
}

enum weir_status sim__response_scripted(struct sim_task *task, struct weir_arena *arena,
                                        struct sim_response *response) {
    const struct sim_scripted *scripted = task->scripted;
    int64_t input = task->usage.input;
    enum weir_status status = WEIR_OK;
    response->items = weir_arena_array(arena, scripted->count, sizeof *response->items);
    if (response->items == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; status == WEIR_OK && i < scripted->count; i++) {
        status = fill_item(task, arena, &scripted->blocks[i], &response->items[response->item_count++]);
    }
    task->usage = scripted->usage;
    task->usage.input = scripted->has_input ? task->usage.input : input;
    response->incomplete = scripted->finish == SIM_FINISH_LENGTH || scripted->finish == SIM_FINISH_CONTEXT ||
                           (scripted->finish == SIM_FINISH_FILTER && scripted->has_finish);
    response->filtered = scripted->finish == SIM_FINISH_FILTER;
    return status == WEIR_OK ? weir_arena_dup(arena, scripted->native_usage, &response->native_usage) : status;
}

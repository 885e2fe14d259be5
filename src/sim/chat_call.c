/* POST /v1/chat/completions as one of the endpoints. */
#include "sim/chat_scripted.h"
#include "sim/stream.h"

enum weir_status sim__chat_answer(struct sim_task *task) {
    struct sim_chat *chat = weir_arena_alloc(task->arena, sizeof *chat);
    if (chat == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = sim__chat_read(task->arena, task->scratch, task->content, task->wishes, task->huge_bytes,
                                             task->memory, chat, &task->refusal);
    task->model = chat->model;
    task->stream = chat->stream;
    if (status != WEIR_OK) {
        return status;
    }
    task->usage = (struct weir_usage){
        .input = chat->prompt_tokens,
        .cached = chat->cached_tokens,
        .output = chat->completion_tokens,
        .reasoning = chat->reasoning_tokens,
    };
    task->thinking = chat->thoughts.count > 0 ? 0 : chat->reasoning_tokens / (int64_t)chat->n;
    task->huge_done = true;
    struct sim_answer_facts facts = {
        .id = sim__task_id(task, "chatcmpl-", 28),
        .created_s = task->now_s,
        .served = task->served,
        .usage_percent = task->usage_percent,
        .no_usage = task->no_usage,
    };
    if (facts.id == NULL) {
        return WEIR_ENOMEM;
    }
    if (task->scripted != NULL) {
        return sim__chat_scripted(task, chat, &facts);
    }
    if (!chat->stream) {
        sim__answer_write(chat, &facts, task->out);
        return WEIR_OK;
    }
    struct sim_stream *stream = weir_arena_alloc(task->arena, sizeof *stream);
    if (stream == NULL || sim__stream_init(task->arena, chat, &facts, task->wishes, task->no_end, stream) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    task->steps = sim__stream_steps(stream);
    return WEIR_OK;
}

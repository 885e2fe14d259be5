/* A chat completion that a script has written, and what is said of files that came with a prompt in OpenAI's forms. */
#ifndef WEIR_SIM_CHAT_SCRIPTED_H
#define WEIR_SIM_CHAT_SCRIPTED_H

#include "sim/answer.h"
#include "sim/task.h"

/* Answers with task->scripted instead of what *chat has decided. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__chat_scripted(struct sim_task *task, const struct sim_chat *chat,
                                              const struct sim_answer_facts *facts);
/* Appends the notes (media.h) on the pictures, files and sounds of a message's content: an array of parts in the form of chat completions
 * or of responses. What cannot be decoded is told by its address. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__openai_notes(struct weir_arena *arena, struct yyjson_val *content,
                                             struct weir_buffer *notes);

#endif

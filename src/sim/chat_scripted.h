/* A chat completion in the words of the field x-sim-script. */
#ifndef WEIR_SIM_CHAT_SCRIPTED_H
#define WEIR_SIM_CHAT_SCRIPTED_H

#include "sim/answer.h"
#include "sim/scripted.h"
#include "sim/task.h"

/* Answers with what task->scripted says; `chat` is the request, *facts is used meanwhile alone. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__chat_scripted(struct sim_task *task, const struct sim_chat *chat,
                                              const struct sim_answer_facts *facts);

#endif

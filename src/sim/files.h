/* Files as they are kept: uploaded ones, and those that batches make. */
#ifndef WEIR_SIM_FILES_H
#define WEIR_SIM_FILES_H

#include "sim/store.h"
#include "sim/task.h"

struct sim_file {
    struct weir_span name, purpose, content;
    int64_t created_s, expires_s; /* 0: never */
};

/* A file with a copy of `content`, not stored yet. NULL: no memory. */
struct sim_object *sim__file_new(struct sim_task *task, struct weir_span id, struct weir_span name,
                                 struct weir_span purpose, struct weir_span content);
/* Appends the file as OpenAI describes it. */
void sim__file_write(const struct sim_object *object, struct weir_buffer *out);
/* The objects of a kind as an array in the arena, oldest first; those of another purpose left out where one is given. */
WEIR_MUST enum weir_status sim__files_gather(struct sim_task *task, enum sim_object_kind kind, struct weir_span purpose,
                                             struct sim_object ***objects, size_t *count);
/* For pages of objects. */
struct weir_span sim__object_id(const void *objects, size_t index);

#endif

/* What a provider remembers between calls: responses, files, batches, uploads; in memory, of this instance alone.
 *
 * An object lives in an arena of its own and is counted: a stream that is being sent keeps its response while somebody deletes it.
 */
#ifndef WEIR_SIM_STORE_H
#define WEIR_SIM_STORE_H

#include "base/arena.h"
#include "base/list.h"

/* Files and batches of other dialects than OpenAI's are kinds of their own: nobody finds those of another API in his lists. */
enum sim_object_kind {
    SIM_OBJECT_RESPONSE,
    SIM_OBJECT_FILE,
    SIM_OBJECT_BATCH,
    SIM_OBJECT_UPLOAD,
    SIM_OBJECT_NATIVE_FILE,
    SIM_OBJECT_NATIVE_BATCH,
    SIM_OBJECT_KINDS
};

struct sim_object {
    struct weir_list link; /* of its kind, oldest first; in the store */
    enum sim_object_kind kind;
    struct weir_span id;      /* in the arena */
    struct weir_arena *arena; /* everything that belongs to it */
    void *value;              /* what it is, by its kind; in the arena */
    size_t bytes;             /* counted against the store's maximum: the content of files */
    unsigned references;
    bool stored;
};

struct sim_store;

/* The bytes of all files together. */
#define SIM_STORE_MAX_BYTES ((size_t)64 * 1024 * 1024)
/* Of each other kind; the oldest is forgotten for a new one. */
enum { SIM_STORE_MAX_OBJECTS = 4096 };

struct sim_store *sim__store_new(void);
void sim__store_free(struct sim_store **store);

/* A new object with `value_size` zeroed bytes as its value; the reference is given up when `arena` is reset. NULL: no memory. */
struct sim_object *sim__object_new(enum sim_object_kind kind, struct weir_span id, size_t value_size,
                                   struct weir_arena *arena);
/* Keeps an object until `arena` is reset. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__object_hold(struct sim_object *object, struct weir_arena *arena);

/* WEIR_ENOMEM: it is not remembered. */
WEIR_MUST enum weir_status sim__store_add(struct sim_store *store, struct sim_object *object);
/* NULL: no such thing. */
struct sim_object *sim__store_find(const struct sim_store *store, enum sim_object_kind kind, struct weir_span id);
void sim__store_remove(struct sim_store *store, struct sim_object *object);
/* Counts more bytes of an object that is stored. */
void sim__store_grow(struct sim_store *store, struct sim_object *object, size_t bytes);
/* Bytes that are left for files. */
size_t sim__store_room(const struct sim_store *store);
/* All of a kind, oldest first: links of struct sim_object. */
const struct weir_list *sim__store_list(const struct sim_store *store, enum sim_object_kind kind);

#endif

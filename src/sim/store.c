/* See store.h. */
#include "sim/store.h"

#include "base/map.h"
#include "base/memory.h"

/* A file of the largest size, and what belongs to it. */
#define MAX_OBJECT_BYTES (2 * SIM_STORE_MAX_BYTES)

struct sim_store {
    struct weir_map *ids;
    struct weir_list objects[SIM_OBJECT_KINDS];
    size_t counts[SIM_OBJECT_KINDS];
    size_t bytes;
};

static void unref(void *argument) {
    struct sim_object *object = argument;
    if (--object->references == 0) {
        weir_arena_free(&object->arena);
        weir_memory_free(object);
    }
}

struct sim_object *sim__object_new(enum sim_object_kind kind, struct weir_span id, size_t value_size,
                                   struct weir_arena *arena) {
    struct sim_object *object = weir_memory_new(1, sizeof *object);
    if (object == NULL) {
        return NULL;
    }
    object->kind = kind;
    object->references = 1;
    weir_list_init(&object->link);
    object->arena = weir_arena_new(0, MAX_OBJECT_BYTES);
    if (object->arena != NULL) {
        object->value = weir_arena_alloc(object->arena, value_size);
    }
    if (object->value == NULL || weir_arena_dup(object->arena, id, &object->id) != WEIR_OK ||
        weir_arena_defer(arena, unref, object) != WEIR_OK) {
        unref(object);
        return NULL;
    }
    return object;
}

enum weir_status sim__object_hold(struct sim_object *object, struct weir_arena *arena) {
    enum weir_status status = weir_arena_defer(arena, unref, object);
    if (status == WEIR_OK) {
        object->references++;
    }
    return status;
}

struct sim_store *sim__store_new(void) {
    struct sim_store *store = weir_memory_new(1, sizeof *store);
    if (store == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < SIM_OBJECT_KINDS; i++) {
        weir_list_init(&store->objects[i]);
    }
    store->ids = weir_map_new(0);
    if (store->ids == NULL) {
        weir_memory_free(store);
        return NULL;
    }
    return store;
}

void sim__store_free(struct sim_store **store) {
    if (*store == NULL) {
        return;
    }
    for (size_t i = 0; i < SIM_OBJECT_KINDS; i++) {
        struct weir_list *list = &(*store)->objects[i];
        while (!weir_list_is_empty(list)) {
            sim__store_remove(*store, WEIR_CONTAINER_OF(list->next, struct sim_object, link));
        }
    }
    weir_map_free(&(*store)->ids);
    weir_memory_free(*store);
    *store = NULL;
}

enum weir_status sim__store_add(struct sim_store *store, struct sim_object *object) {
    weir_bug_on(object->stored);
    enum weir_status status = weir_map_put(store->ids, object->id, object, NULL);
    if (status != WEIR_OK) {
        return status;
    }
    object->references++;
    object->stored = true;
    weir_list_append(&store->objects[object->kind], &object->link);
    store->counts[object->kind]++;
    store->bytes += object->bytes;
    bool is_file = object->kind == SIM_OBJECT_FILE || object->kind == SIM_OBJECT_NATIVE_FILE;
    if (!is_file && store->counts[object->kind] > SIM_STORE_MAX_OBJECTS) {
        sim__store_remove(store, WEIR_CONTAINER_OF(store->objects[object->kind].next, struct sim_object, link));
    }
    return WEIR_OK;
}

struct sim_object *sim__store_find(const struct sim_store *store, enum sim_object_kind kind, struct weir_span id) {
    struct sim_object *object = weir_map_find(store->ids, id);
    return object != NULL && object->kind == kind ? object : NULL;
}

void sim__store_remove(struct sim_store *store, struct sim_object *object) {
    if (!object->stored) {
        return;
    }
    object->stored = false;
    (void)weir_map_remove(store->ids, object->id);
    weir_list_remove(&object->link);
    store->counts[object->kind]--;
    store->bytes -= object->bytes;
    unref(object);
}

void sim__store_grow(struct sim_store *store, struct sim_object *object, size_t bytes) {
    object->bytes += bytes;
    store->bytes += object->stored ? bytes : 0;
}

size_t sim__store_room(const struct sim_store *store) {
    return store->bytes < SIM_STORE_MAX_BYTES ? SIM_STORE_MAX_BYTES - store->bytes : 0;
}

const struct weir_list *sim__store_list(const struct sim_store *store, enum sim_object_kind kind) {
    return &store->objects[kind];
}

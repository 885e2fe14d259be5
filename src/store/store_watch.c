/* Watching keys and objects: every loop that asked gets all of them once, then what changed, whoever changed it.
 *
 * The database tells by one cheap question whether any other connection has committed; only then are they read, from
 * the newest change that the watcher has seen. A batch is one message that owns its bytes.
 */
#include "store/store_impl.h"
#include "store/texts.h"

#include "base/memory.h"

enum { MAX_BATCH_BYTES = 1024 * 1024 * 1024 };

struct batch {
    struct weir_message message; /* first */
    void (*on_keys)(void *context, const struct weir_key_record *keys, size_t count);
    void (*on_objects)(void *context, const struct weir_object *objects, size_t count);
    void *context;
    struct weir_arena *arena; /* the strings */
    struct weir_key_record *keys;
    struct weir_object *objects; /* the one or the other */
    size_t count, room;
    uint64_t newest;
};

static void batch_free(struct batch *batch) {
    weir_arena_free(&batch->arena);
    weir_memory_free(batch->keys);
    weir_memory_free(batch->objects);
    weir_memory_free(batch);
}

static void batch_on_loop(struct weir_message *message) {
    struct batch *batch = (struct batch *)(void *)message;
    if (batch->on_keys != NULL) {
        batch->on_keys(batch->context, batch->keys, batch->count);
    } else {
        batch->on_objects(batch->context, batch->objects, batch->count);
    }
    batch_free(batch);
}

/* Room for one more of `size` bytes each. */
static enum weir_status make_room(struct batch *batch, void **at, size_t size) {
    if (batch->count < batch->room)
        return WEIR_OK;
    size_t room = batch->room == 0 ? 16 : batch->room * 2;
    void *larger = weir_memory_resize(*at, room, size);
    if (larger == NULL)
        return WEIR_ENOMEM;
    *at = larger;
    batch->room = room;
    return WEIR_OK;
}

static enum weir_status add_key(void *context, const struct weir_key_record *key) {
    struct batch *batch = context;
    void *keys = batch->keys;
    enum weir_status status = make_room(batch, &keys, sizeof(*key));
    batch->keys = keys;
    if (status != WEIR_OK)
        return status;
    batch->keys[batch->count] = *key;
    status = store__key_keep(&batch->keys[batch->count], batch->arena);
    if (status == WEIR_OK)
        batch->count++;
    batch->newest = key->change;
    return status;
}

static enum weir_status add_object(void *context, const struct weir_object *object) {
    struct batch *batch = context;
    void *objects = batch->objects;
    enum weir_status status = make_room(batch, &objects, sizeof(*object));
    batch->objects = objects;
    if (status != WEIR_OK)
        return status;
    batch->objects[batch->count] = *object;
    status = store__object_keep(&batch->objects[batch->count], batch->arena);
    if (status == WEIR_OK)
        batch->count++;
    batch->newest = object->change;
    return status;
}

static enum weir_status send(struct weir_store *store, struct store__watcher *watcher, struct weir_error *error) {
    struct batch *batch = weir_memory_new(1, sizeof(*batch));
    if (batch == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for what changed");
    batch->message.run = batch_on_loop;
    batch->on_keys = watcher->on_keys;
    batch->on_objects = watcher->on_objects;
    batch->context = watcher->context;
    batch->newest = watcher->seen;
    batch->arena = weir_arena_new(0, MAX_BATCH_BYTES);
    enum weir_status status = batch->arena != NULL ? WEIR_OK : WEIR_ENOMEM;
    if (status == WEIR_OK && watcher->on_keys != NULL) {
        status = store->ops->key_each(store->engine, watcher->seen, add_key, batch, error);
    } else if (status == WEIR_OK) {
        status = store->ops->object_each(store->engine, watcher->seen, add_object, batch, error);
    }
    if (status == WEIR_ENOMEM)
        status = weir_fail(error, WEIR_ENOMEM, "no memory for what changed");
    /* The first message goes out even when it is empty: its receiver knows then that there is nothing. */
    if (status == WEIR_OK && (batch->count > 0 || !watcher->told)) {
        watcher->told = true;
        watcher->seen = batch->newest;
        pthread_mutex_lock(&store->mutex);
        bool wanted = watcher->loop != NULL;
        if (wanted)
            weir_loop_post(watcher->loop, &batch->message);
        pthread_mutex_unlock(&store->mutex);
        if (wanted)
            return WEIR_OK;
    }
    batch_free(batch);
    return status;
}

void store__watch(struct weir_store *store) {
    bool changed = store->ops->changed(store->engine);
    pthread_mutex_lock(&store->mutex);
    struct store__watcher *watcher = store->watchers;
    pthread_mutex_unlock(&store->mutex);
    /* New ones come in at the front and none goes before the end, so the rest of the list stands still. */
    for (; watcher != NULL; watcher = watcher->next) {
        watcher->dirty = watcher->dirty || changed;
        if (!watcher->dirty)
            continue;
        struct weir_error error = {.status = WEIR_OK};
        if (store__note(store, send(store, watcher, &error), &error) == WEIR_OK)
            watcher->dirty = false;
    }
}

static void watch(struct weir_store *store, const struct store__watcher *wanted) {
    struct store__watcher *watcher = weir_memory_new(1, sizeof(*watcher));
    weir_bug_on(watcher == NULL); /* at boot, where there is nothing to go on with */
    *watcher = *wanted;
    watcher->dirty = true;
    pthread_mutex_lock(&store->mutex);
    watcher->next = store->watchers;
    store->watchers = watcher;
    store->watch_now = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
}

void weir_store_watch_keys(struct weir_store *store, struct weir_loop *loop,
                           void (*on_keys)(void *context, const struct weir_key_record *keys, size_t count),
                           void *context) {
    watch(store, &(struct store__watcher){.loop = loop, .on_keys = on_keys, .context = context});
}

void weir_store_watch_objects(struct weir_store *store, struct weir_loop *loop,
                              void (*on_objects)(void *context, const struct weir_object *objects, size_t count),
                              void *context) {
    watch(store, &(struct store__watcher){.loop = loop, .on_objects = on_objects, .context = context});
}

void store__watchers_release(struct weir_store *store) {
    while (store->watchers != NULL) {
        struct store__watcher *watcher = store->watchers;
        store->watchers = watcher->next;
        weir_memory_free(watcher);
    }
}

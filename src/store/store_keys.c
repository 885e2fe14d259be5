/* Watching keys: every loop that asked gets all keys once, then what changed, whoever changed it.
 *
 * The database tells by one cheap question whether any other connection has committed; only then are the keys read,
 * from the newest change that the watcher has seen. A batch of keys is one message that owns its bytes.
 */
#include "store/store_impl.h"

#include "base/memory.h"

enum { MAX_BATCH_BYTES = 1024 * 1024 * 1024 };

struct batch {
    struct weir_message message; /* first */
    void (*on_keys)(void *context, const struct weir_key_record *keys, size_t count);
    void *context;
    struct weir_arena *arena; /* the strings */
    struct weir_key_record *keys;
    size_t count, room;
};

static void batch_free(struct batch *batch) {
    weir_arena_free(&batch->arena);
    weir_memory_free(batch->keys);
    weir_memory_free(batch);
}

static void batch_on_loop(struct weir_message *message) {
    struct batch *batch = (struct batch *)(void *)message;
    batch->on_keys(batch->context, batch->keys, batch->count);
    batch_free(batch);
}

static enum weir_status batch_add(void *context, const struct weir_key_record *key) {
    struct batch *batch = context;
    if (batch->count == batch->room) {
        size_t room = batch->room == 0 ? 16 : batch->room * 2;
        struct weir_key_record *larger = weir_memory_resize(batch->keys, room, sizeof(*larger));
        if (larger == NULL)
            return WEIR_ENOMEM;
        batch->keys = larger;
        batch->room = room;
    }
    struct weir_key_record *copy = &batch->keys[batch->count];
    *copy = *key;
    enum weir_status status = weir_arena_dup(batch->arena, key->name, &copy->name);
    if (status == WEIR_OK)
        status = weir_arena_dup(batch->arena, key->workspace, &copy->workspace);
    if (status == WEIR_OK)
        batch->count++;
    return status;
}

static enum weir_status send(struct weir_store *store, struct store__watcher *watcher, struct weir_error *error) {
    struct batch *batch = weir_memory_new(1, sizeof(*batch));
    if (batch == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for keys");
    batch->message.run = batch_on_loop;
    batch->on_keys = watcher->on_keys;
    batch->context = watcher->context;
    batch->arena = weir_arena_new(0, MAX_BATCH_BYTES);
    enum weir_status status = batch->arena != NULL ? WEIR_OK : WEIR_ENOMEM;
    if (status == WEIR_OK)
        status = store->ops->key_each(store->engine, watcher->seen, batch_add, batch, error);
    if (status == WEIR_ENOMEM)
        status = weir_fail(error, WEIR_ENOMEM, "no memory for keys");
    /* The first message goes out even without a key: its receiver knows then that there is none. */
    if (status == WEIR_OK && (batch->count > 0 || !watcher->told)) {
        uint64_t seen = batch->count > 0 ? batch->keys[batch->count - 1].change : watcher->seen;
        pthread_mutex_lock(&store->mutex);
        bool wanted = watcher->loop != NULL;
        if (wanted)
            weir_loop_post(watcher->loop, &batch->message);
        pthread_mutex_unlock(&store->mutex);
        watcher->told = true;
        watcher->seen = seen;
        if (wanted)
            return WEIR_OK;
    }
    batch_free(batch);
    return status;
}

void store__watch_keys(struct weir_store *store) {
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

void weir_store_watch_keys(struct weir_store *store, struct weir_loop *loop,
                           void (*on_keys)(void *context, const struct weir_key_record *keys, size_t count),
                           void *context) {
    struct store__watcher *watcher = weir_memory_new(1, sizeof(*watcher));
    weir_bug_on(watcher == NULL); /* at boot, where there is nothing to go on with */
    watcher->loop = loop;
    watcher->on_keys = on_keys;
    watcher->context = context;
    watcher->dirty = true;
    pthread_mutex_lock(&store->mutex);
    watcher->next = store->watchers;
    store->watchers = watcher;
    store->watch_now = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
}

void store__watchers_release(struct weir_store *store) {
    while (store->watchers != NULL) {
        struct store__watcher *watcher = store->watchers;
        store->watchers = watcher->next;
        weir_memory_free(watcher);
    }
}

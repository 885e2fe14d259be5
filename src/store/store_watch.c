/* Watching keys and objects: every loop that asked gets all of them once, then what changed, whoever changed it.
 *
 * The database tells by one cheap question whether any other connection has committed; only then are they read, from
 * the newest change that the watcher has seen. They go out in pieces, each a message that owns its bytes, so that the
 * receiver works on the first while the next is read, and a million of them are never in memory twice.
 */
#include "store/store_impl.h"
#include "store/texts.h"

#include "base/memory.h"

enum { PIECE = 4096, MAX_PIECE_BYTES = 1024 * 1024 * 1024 };

struct piece {
    struct weir_message message; /* first */
    void (*on_keys)(void *context, const struct weir_key_record *keys, size_t count);
    void (*on_objects)(void *context, const struct weir_object *objects, size_t count);
    void *context;
    struct weir_arena *arena; /* the strings */
    struct weir_key_record *keys;
    struct weir_object *objects; /* the one or the other */
    size_t count, room;
    uint64_t newest; /* change in it */
};

struct reading {
    struct weir_store *store;
    struct store__watcher *watcher;
    struct piece *piece; /* NULL: none is begun */
};

static void piece_free(struct piece *piece) {
    if (piece == NULL)
        return;
    weir_arena_free(&piece->arena);
    weir_memory_free(piece->keys);
    weir_memory_free(piece->objects);
    weir_memory_free(piece);
}

static void piece_on_loop(struct weir_message *message) {
    struct piece *piece = (struct piece *)(void *)message;
    if (piece->on_keys != NULL) {
        piece->on_keys(piece->context, piece->keys, piece->count);
    } else {
        piece->on_objects(piece->context, piece->objects, piece->count);
    }
    piece_free(piece);
}

static enum weir_status begin_piece(struct reading *reading) {
    if (reading->piece != NULL)
        return WEIR_OK;
    struct piece *piece = weir_memory_new(1, sizeof(*piece));
    if (piece == NULL)
        return WEIR_ENOMEM;
    piece->message.run = piece_on_loop;
    piece->on_keys = reading->watcher->on_keys;
    piece->on_objects = reading->watcher->on_objects;
    piece->context = reading->watcher->context;
    piece->newest = reading->watcher->seen;
    piece->arena = weir_arena_new(0, MAX_PIECE_BYTES);
    if (piece->arena == NULL) {
        piece_free(piece);
        return WEIR_ENOMEM;
    }
    reading->piece = piece;
    return WEIR_OK;
}

static void post_piece(struct reading *reading) {
    struct weir_store *store = reading->store;
    struct piece *piece = reading->piece;
    reading->piece = NULL;
    reading->watcher->seen = piece->newest;
    pthread_mutex_lock(&store->mutex);
    bool wanted = reading->watcher->loop != NULL;
    if (wanted)
        weir_loop_post(reading->watcher->loop, &piece->message);
    pthread_mutex_unlock(&store->mutex);
    if (!wanted)
        piece_free(piece);
}

/* Room for one more of `size` bytes each. */
static enum weir_status make_room(struct piece *piece, void **at, size_t size) {
    if (piece->count < piece->room)
        return WEIR_OK;
    size_t room = piece->room == 0 ? 16 : piece->room * 2;
    void *larger = weir_memory_resize(*at, room, size);
    if (larger == NULL)
        return WEIR_ENOMEM;
    *at = larger;
    piece->room = room;
    return WEIR_OK;
}

static void added(struct reading *reading, uint64_t change) {
    reading->piece->newest = change;
    if (++reading->piece->count == PIECE)
        post_piece(reading);
}

static enum weir_status add_key(void *context, const struct weir_key_record *key) {
    struct reading *reading = context;
    enum weir_status status = begin_piece(reading);
    if (status != WEIR_OK)
        return status;
    struct piece *piece = reading->piece;
    void *keys = piece->keys;
    status = make_room(piece, &keys, sizeof(*key));
    piece->keys = keys;
    if (status != WEIR_OK)
        return status;
    piece->keys[piece->count] = *key;
    status = store__key_keep(&piece->keys[piece->count], piece->arena);
    if (status == WEIR_OK)
        added(reading, key->change);
    return status;
}

static enum weir_status add_object(void *context, const struct weir_object *object) {
    struct reading *reading = context;
    enum weir_status status = begin_piece(reading);
    if (status != WEIR_OK)
        return status;
    struct piece *piece = reading->piece;
    void *objects = piece->objects;
    status = make_room(piece, &objects, sizeof(*object));
    piece->objects = objects;
    if (status != WEIR_OK)
        return status;
    piece->objects[piece->count] = *object;
    status = store__object_keep(&piece->objects[piece->count], piece->arena);
    if (status == WEIR_OK)
        added(reading, object->change);
    return status;
}

/* After a failure the next look goes on behind the last piece that went out. */
static enum weir_status send(struct weir_store *store, struct store__watcher *watcher, struct weir_error *error) {
    struct reading reading = {.store = store, .watcher = watcher};
    enum weir_status status = watcher->on_keys != NULL
                                  ? store->ops->key_each(store->engine, watcher->seen, add_key, &reading, error)
                                  : store->ops->object_each(store->engine, watcher->seen, add_object, &reading, error);
    if (status == WEIR_OK && reading.piece != NULL)
        post_piece(&reading);
    /* An empty one ends the first reading, also where there is nothing to read. */
    if (status == WEIR_OK && !watcher->told) {
        status = begin_piece(&reading);
        if (status == WEIR_OK) {
            post_piece(&reading);
            watcher->told = true;
        }
    }
    piece_free(reading.piece);
    return status == WEIR_ENOMEM ? weir_fail(error, WEIR_ENOMEM, "no memory for what changed") : status;
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

/* Asynchronous operations: a message to the store thread, one transaction there, a message back.
 *
 * An operation owns copies of all its bytes and is its own reply message: posting it back to the asking loop needs no
 * memory, so an answer that was promised comes. A loop that is about to end is forgotten first; answers to it are
 * dropped.
 */
#include "store/store_impl.h"
#include "store/texts.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>

enum { MAX_QUEUED = 1024 };

struct store__operation *store__operation_new(struct weir_loop *loop, size_t bytes) {
    struct store__operation *operation = weir_memory_new(1, sizeof(*operation) + bytes);
    if (operation != NULL)
        operation->loop = loop;
    return operation;
}

static void operation_free(struct store__operation *operation) {
    if (operation->work.release != NULL)
        operation->work.release(operation->work.context);
    weir_arena_free(&operation->arena);
    weir_memory_free(operation);
}

static struct weir_span keep(char **at, struct weir_span span) {
    char *copy = *at;
    if (span.length > 0)
        memcpy(copy, span.at, span.length);
    *at += span.length;
    return weir_span_of(copy, span.length);
}

enum weir_status store__submit(struct weir_store *store, struct store__operation *operation) {
    pthread_mutex_lock(&store->mutex);
    if (store->queued >= MAX_QUEUED || store->stop) {
        pthread_mutex_unlock(&store->mutex);
        operation_free(operation);
        return WEIR_EBUSY;
    }
    *store->queue_end = operation;
    store->queue_end = &operation->next;
    store->queued++;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    return WEIR_OK;
}

static void reply_on_loop(struct weir_message *message) {
    struct store__operation *operation = (struct store__operation *)(void *)message;
    if (operation->reply != NULL)
        operation->reply(operation->context, operation->taken ? WEIR_EEXIST : operation->status, &operation->error);
    if (operation->revision_reply != NULL) {
        operation->revision_reply(operation->context, operation->status, operation->number, &operation->error);
    }
    if (operation->issued_reply != NULL) {
        bool found = operation->status == WEIR_OK;
        operation->issued_reply(operation->context, operation->status, found ? operation->found : NULL,
                                found ? operation->count : 0, &operation->error);
    }
    if (operation->lease_reply != NULL) {
        operation->lease_reply(operation->context, operation->status, operation->leases, operation->count,
                               &operation->error);
    }
    operation_free(operation);
}

void store__run_operations(struct weir_store *store) {
    for (;;) {
        pthread_mutex_lock(&store->mutex);
        struct store__operation *operation = store->queue;
        if (operation != NULL) {
            store->queue = operation->next;
            if (store->queue == NULL)
                store->queue_end = &store->queue;
            store->queued--;
        }
        store->current = operation;
        pthread_mutex_unlock(&store->mutex);
        if (operation == NULL)
            return;

        operation->error.status = WEIR_OK;
        operation->status = operation->run(store, operation, &operation->error);
        (void)store__note(store, operation->status, &operation->error);

        pthread_mutex_lock(&store->mutex);
        store->current = NULL;
        operation->finished = true;
        if (operation->waited_for) {
            pthread_cond_broadcast(&store->done);
        } else if (operation->loop != NULL) {
            operation->message.run = reply_on_loop;
            weir_loop_post(operation->loop, &operation->message);
        } else {
            operation_free(operation);
        }
        pthread_mutex_unlock(&store->mutex);
    }
}

void weir_store_forget_loop(struct weir_store *store, const struct weir_loop *loop) {
    pthread_mutex_lock(&store->mutex);
    for (struct store__watcher *watcher = store->watchers; watcher != NULL; watcher = watcher->next) {
        if (watcher->loop == loop)
            watcher->loop = NULL;
    }
    for (struct store__operation *operation = store->queue; operation != NULL; operation = operation->next) {
        if (operation->loop == loop)
            operation->loop = NULL;
    }
    if (store->current != NULL && store->current->loop == loop)
        store->current->loop = NULL;
    pthread_mutex_unlock(&store->mutex);
}

/* --- keys --- */
static enum weir_status run_key_insert(struct weir_store *store, struct store__operation *operation,
                                       struct weir_error *error) {
    return store->ops->key_insert(store->engine, &operation->key, error);
}

enum weir_status weir_store_key_insert(struct weir_store *store, struct weir_loop *loop,
                                       const struct weir_key_record *key, weir_store_reply reply, void *context) {
    struct weir_key_record copy = *key;
    struct weir_span *texts[STORE__KEY_TEXTS];
    size_t bytes = 0;
    store__key_texts(&copy, texts);
    for (size_t i = 0; i < STORE__KEY_TEXTS; i++)
        bytes += texts[i]->length;
    struct store__operation *operation = store__operation_new(loop, bytes);
    if (operation == NULL)
        return WEIR_ENOMEM;
    char *at = operation->bytes;
    operation->run = run_key_insert;
    operation->reply = reply;
    operation->context = context;
    for (size_t i = 0; i < STORE__KEY_TEXTS; i++)
        *texts[i] = keep(&at, *texts[i]);
    operation->key = copy;
    return store__submit(store, operation);
}

static enum weir_status run_key_revoke(struct weir_store *store, struct store__operation *operation,
                                       struct weir_error *error) {
    return store->ops->key_revoke(store->engine, operation->id, weir_clock_utc_us(), error);
}

enum weir_status weir_store_key_revoke(struct weir_store *store, struct weir_loop *loop, struct weir_span id,
                                       weir_store_reply reply, void *context) {
    struct store__operation *operation = store__operation_new(loop, id.length);
    if (operation == NULL)
        return WEIR_ENOMEM;
    char *at = operation->bytes;
    operation->run = run_key_revoke;
    operation->reply = reply;
    operation->context = context;
    operation->id = keep(&at, id);
    return store__submit(store, operation);
}

/* --- objects --- */
static enum weir_status run_object_create(struct weir_store *store, struct store__operation *operation,
                                          struct weir_error *error) {
    enum weir_status status = store->ops->object_create(store->engine, &operation->object, error);
    operation->taken = status == WEIR_EEXIST; /* an answer, not a failure of the store */
    return operation->taken ? WEIR_OK : status;
}

enum weir_status weir_store_object_create(struct weir_store *store, struct weir_loop *loop,
                                          const struct weir_object *object, weir_store_reply reply, void *context) {
    size_t bytes = object->parent.length + object->id.length + object->handle.length + object->text.length;
    struct store__operation *operation = store__operation_new(loop, bytes);
    if (operation == NULL)
        return WEIR_ENOMEM;
    char *at = operation->bytes;
    operation->run = run_object_create;
    operation->reply = reply;
    operation->context = context;
    operation->object = *object;
    operation->object.parent = keep(&at, object->parent);
    operation->object.id = keep(&at, object->id);
    operation->object.handle = keep(&at, object->handle);
    operation->object.text = keep(&at, object->text);
    return store__submit(store, operation);
}

/* --- revisions --- */
static enum weir_status take_number(void *context, uint64_t number, struct weir_span hash, int64_t saved_utc_us,
                                    struct weir_span text) {
    (void)hash;
    (void)saved_utc_us;
    (void)text;
    *(uint64_t *)context = number;
    return WEIR_END;
}

/* What is new is audited; `before` is the newest one's number, 0 for none. */
static enum weir_status note_revision(struct weir_store *store, const struct store__operation *operation,
                                      uint64_t before, int64_t utc_us, struct weir_error *error) {
    char changes[300], was[40] = "null", id[24];
    if (before != 0)
        (void)snprintf(was, sizeof was, "{\"number\":%llu}", (unsigned long long)before);
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)operation->number);
    (void)snprintf(changes, sizeof changes,
                   "{\"before\":%s,\"after\":{\"number\":%s,\"hash\":\"%.*s\",\"cause\":\"%s\"}}", was, id,
                   (int)(operation->hash.length < 64 ? operation->hash.length : 64), operation->hash.at,
                   operation->cause);
    struct weir_audit_entry entry = {.utc_us = utc_us,
                                     .actor_kind = WEIR_SPAN("system"),
                                     .actor_name = WEIR_SPAN("weir"),
                                     .action = WEIR_SPAN("revision.save"),
                                     .resource_type = WEIR_SPAN("revision"),
                                     .resource_id = weir_span_of_string(id),
                                     .changes = weir_span_of_string(changes)};
    return store->ops->audit_append(store->engine, &entry, error);
}

static enum weir_status run_revision_save(struct weir_store *store, struct store__operation *operation,
                                          struct weir_error *error) {
    uint64_t before = 0;
    int64_t utc_us = weir_clock_utc_us();
    enum weir_status status = store->ops->work_begin(store->engine, error);
    if (status != WEIR_OK)
        return status;
    status = store->ops->revision_list(store->engine, 0, 1, take_number, &before, error);
    if (status == WEIR_OK)
        status = store->ops->revision_save(store->engine, operation->hash, operation->text, utc_us, &operation->number,
                                           error);
    if (status == WEIR_OK && operation->number != before)
        status = note_revision(store, operation, before, utc_us, error);
    enum weir_status ended = store->ops->work_end(store->engine, status, error);
    return status == WEIR_OK ? ended : status;
}

static struct store__operation *revision_operation(struct weir_loop *loop, struct weir_span hash, struct weir_span text,
                                                   const char *cause) {
    struct store__operation *operation = store__operation_new(loop, hash.length + text.length);
    if (operation == NULL)
        return NULL;
    char *at = operation->bytes;
    operation->run = run_revision_save;
    operation->cause = cause;
    operation->hash = keep(&at, hash);
    operation->text = keep(&at, text);
    return operation;
}

enum weir_status weir_store_revision_save(struct weir_store *store, struct weir_loop *loop, struct weir_span hash,
                                          struct weir_span text, const char *cause, weir_store_revision_reply reply,
                                          void *context) {
    struct store__operation *operation = revision_operation(loop, hash, text, cause);
    if (operation == NULL)
        return WEIR_ENOMEM;
    operation->revision_reply = reply;
    operation->context = context;
    return store__submit(store, operation);
}

static enum weir_status save_and_wait(struct weir_store *store, struct weir_span hash, struct weir_span text,
                                      uint64_t *number, struct weir_error *error) {
    struct store__operation *operation = revision_operation(NULL, hash, text, "start");
    if (operation == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory to store the revision");
    operation->waited_for = true;
    enum weir_status status = store__submit(store, operation);
    if (status != WEIR_OK)
        return weir_fail(error, status, "the store has too much to do");
    pthread_mutex_lock(&store->mutex);
    while (!operation->finished)
        pthread_cond_wait(&store->done, &store->mutex);
    pthread_mutex_unlock(&store->mutex);
    status = operation->status;
    if (status == WEIR_OK)
        *number = operation->number;
    if (status != WEIR_OK && error != NULL)
        *error = operation->error;
    operation_free(operation);
    return status;
}

enum weir_status weir_store_revision_first(struct weir_store *store, struct weir_span hash, struct weir_span text,
                                           uint64_t *number, struct weir_error *error) {
    /* One try waits a fraction of a second for another process's transaction; a start can wait longer. */
    const int64_t deadline_ns = weir_clock_monotonic_ns() + (int64_t)5 * 1000000000;
    enum weir_status status;
    do {
        status = save_and_wait(store, hash, text, number, error);
    } while (status == WEIR_EBUSY && weir_clock_monotonic_ns() < deadline_ns);
    return status;
}

/* --- issued ids --- */
enum { MAX_ISSUED_BYTES = 64 * 1024 * 1024 }; /* of one question with its answer */

static enum weir_status run_issued_find(struct weir_store *store, struct store__operation *operation,
                                        struct weir_error *error) {
    return store->ops->issued_find(store->engine, operation->ids, operation->count, operation->arena, operation->found,
                                   error);
}

enum weir_status weir_store_issued_find(struct weir_store *store, struct weir_loop *loop, const struct weir_span *ids,
                                        size_t count, weir_store_issued_reply reply, void *context) {
    if (count > WEIR_MAX_ISSUED_ASKED)
        return WEIR_ELIMIT;
    struct store__operation *operation = store__operation_new(loop, 0);
    if (operation == NULL)
        return WEIR_ENOMEM;
    operation->arena = weir_arena_new(0, MAX_ISSUED_BYTES);
    enum weir_status status = operation->arena != NULL ? WEIR_OK : WEIR_ENOMEM;
    if (status == WEIR_OK) {
        operation->ids = weir_arena_array(operation->arena, count, sizeof(*operation->ids));
        operation->found = weir_arena_array(operation->arena, count, sizeof(*operation->found));
        status = operation->ids != NULL && operation->found != NULL ? WEIR_OK : WEIR_ENOMEM;
    }
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = weir_arena_dup(operation->arena, ids[i], &operation->ids[i]);
    if (status != WEIR_OK) {
        operation_free(operation);
        return status;
    }
    operation->run = run_issued_find;
    operation->issued_reply = reply;
    operation->context = context;
    operation->count = count;
    return store__submit(store, operation);
}

/* --- slices --- */
enum { MAX_LEASE_BYTES = 8 * 1024 * 1024 }; /* of one question with its ids */

static enum weir_status run_lease(struct weir_store *store, struct store__operation *operation,
                                  struct weir_error *error) {
    bool gives_all = false;
    for (size_t i = 0; i < operation->count; i++)
        gives_all = gives_all || operation->leases[i].unused == INT64_MAX;
    enum weir_status status = gives_all ? store__read_journal(store, error) : WEIR_OK;
    if (status != WEIR_OK)
        return status;
    return store->ops->lease(store->engine, &store->instance, operation->leases, operation->count, error);
}

enum weir_status weir_store_lease(struct weir_store *store, struct weir_loop *loop, const struct weir_lease *leases,
                                  size_t count, weir_store_lease_reply reply, void *context) {
    if (count > WEIR_MAX_LEASES)
        return WEIR_ELIMIT;
    struct store__operation *operation = store__operation_new(loop, 0);
    if (operation == NULL)
        return WEIR_ENOMEM;
    operation->arena = weir_arena_new(0, MAX_LEASE_BYTES);
    if (operation->arena != NULL)
        operation->leases = weir_arena_array(operation->arena, count, sizeof(*operation->leases));
    enum weir_status status = operation->leases != NULL ? WEIR_OK : WEIR_ENOMEM;
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        operation->leases[i] = leases[i];
        status = weir_arena_dup(operation->arena, leases[i].counter.id, &operation->leases[i].counter.id);
    }
    if (status != WEIR_OK) {
        operation_free(operation);
        return status;
    }
    operation->run = run_lease;
    operation->lease_reply = reply;
    operation->context = context;
    operation->count = count;
    return store__submit(store, operation);
}

/* Captured contents on their way to the database: handed over by workers, written by the store's thread, all that wait in one transaction.
 *
 * They have a queue of their own, so that they neither take the room of operations nor hold up the reading of the journal for longer than what fits
 * into it. Nobody waits for them: a failure is counted, and that is all.
 */
#include "store/store_impl.h"

#include "base/memory.h"

struct store__waiting {
    struct store__waiting *next;
    struct weir_content content; /* its spans point to `bytes` */
    size_t size;
    char bytes[];
};

void weir_store_content_left_out(struct weir_store *store) {
    atomic_fetch_add_explicit(&store->contents_left_out, 1, memory_order_relaxed);
}

static struct weir_span keep(char **at, struct weir_span span) {
    char *copy = *at;
    if (span.length > 0)
        memcpy(copy, span.at, span.length);
    *at += span.length;
    return weir_span_of(copy, span.length);
}

void weir_store_content_put(struct weir_store *store, const struct weir_content *content) {
    size_t size = content->request_id.length + content->workspace.length + content->blob.length;
    struct store__waiting *waiting = weir_memory_new(1, sizeof *waiting + size);
    bool taken = false;
    if (waiting != NULL) {
        char *at = waiting->bytes;
        waiting->size = size;
        waiting->content = *content;
        waiting->content.request_id = keep(&at, content->request_id);
        waiting->content.workspace = keep(&at, content->workspace);
        waiting->content.blob = keep(&at, content->blob);
        pthread_mutex_lock(&store->mutex);
        taken = !store->stop && store->content_count < WEIR_CONTENTS_WAITING &&
                size <= WEIR_CONTENTS_WAITING_BYTES - store->content_bytes;
        if (taken) {
            waiting->next = store->contents;
            store->contents = waiting;
            store->content_count++;
            store->content_bytes += size;
            pthread_cond_signal(&store->wake);
        }
        pthread_mutex_unlock(&store->mutex);
    }
    if (taken)
        return;
    weir_memory_free(waiting);
    weir_store_content_left_out(store);
}

void store__write_contents(struct weir_store *store) {
    pthread_mutex_lock(&store->mutex);
    struct store__waiting *first = store->contents;
    size_t count = store->content_count;
    store->contents = NULL;
    pthread_mutex_unlock(&store->mutex);
    if (first == NULL)
        return;
    struct weir_error error = {.status = WEIR_OK};
    struct weir_content contents[WEIR_CONTENTS_WAITING];
    size_t bytes = 0, at = count; /* the last one stands first */
    for (struct store__waiting *waiting = first; waiting != NULL; waiting = waiting->next)
        contents[--at] = waiting->content;
    enum weir_status status = store->ops->content_put(store->engine, contents, count, &error);
    (void)store__note(store, status, &error);
    if (status != WEIR_OK)
        atomic_fetch_add_explicit(&store->contents_left_out, count, memory_order_relaxed);
    while (first != NULL) {
        struct store__waiting *next = first->next;
        bytes += first->size;
        weir_memory_free(first);
        first = next;
    }
    pthread_mutex_lock(&store->mutex); /* only now: what is being written counts as waiting */
    store->content_count -= count;
    store->content_bytes -= bytes;
    pthread_mutex_unlock(&store->mutex);
}

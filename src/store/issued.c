/* The newest issued ids: a hash table over a list in order of arrival; the oldest makes room.
 *
 * One mutex guards both. It is held for a look-up and a few pointers, never over an allocation or a system call: the
 * copy of what comes is made before, what goes is freed behind. Calls come once a request at most, and only from
 * requests that a provider keeps something of, so one lock is enough and "newest" stays exact.
 */
#include "store/issued.h"

#include "base/map.h"
#include "base/memory.h"

#include <pthread.h>

enum { MAX_TEXT_BYTES = 256, TEXTS = 4 };

struct node {
    struct node *older, *newer;
    struct weir_issued issued; /* spans point to `bytes` */
    char bytes[];
};

struct weir_issued_table {
    pthread_mutex_t mutex;
    struct weir_map *by_id;
    struct node *oldest, *newest;
    size_t capacity;
};

struct weir_issued_table *weir_issued_new(size_t capacity) {
    struct weir_issued_table *table = weir_memory_new(1, sizeof(*table));
    if (table == NULL)
        return NULL;
    table->capacity = capacity > 0 ? capacity : 1;
    /* One besides: a new id is in before the oldest goes. It never grows, so nothing is allocated under the lock. */
    table->by_id = weir_map_new(table->capacity + 1);
    if (table->by_id == NULL) {
        weir_memory_free(table);
        return NULL;
    }
    (void)pthread_mutex_init(&table->mutex, NULL);
    return table;
}

void weir_issued_free(struct weir_issued_table **table) {
    struct weir_issued_table *ending = *table;
    if (ending == NULL)
        return;
    while (ending->oldest != NULL) {
        struct node *node = ending->oldest;
        ending->oldest = node->newer;
        weir_memory_free(node);
    }
    weir_map_free(&ending->by_id);
    (void)pthread_mutex_destroy(&ending->mutex);
    weir_memory_free(ending);
    *table = NULL;
}

static void texts_of(struct weir_issued *issued, struct weir_span *out[TEXTS]) {
    out[0] = &issued->id;
    out[1] = &issued->provider;
    out[2] = &issued->model;
    out[3] = &issued->workspace;
}

/* NULL: not to be taken, or no memory. */
static struct node *node_of(const struct weir_issued *issued) {
    struct weir_issued copy = *issued;
    struct weir_span *texts[TEXTS];
    size_t size = 0;
    texts_of(&copy, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->length > MAX_TEXT_BYTES)
            return NULL;
        size += texts[i]->length;
    }
    if (copy.id.length == 0 || copy.provider.length == 0)
        return NULL;
    struct node *node = weir_memory_new(1, sizeof(*node) + size);
    if (node == NULL)
        return NULL;
    char *at = node->bytes;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->length > 0)
            memcpy(at, texts[i]->at, texts[i]->length);
        *texts[i] = weir_span_of(at, texts[i]->length);
        at += texts[i]->length;
    }
    node->issued = copy;
    return node;
}

static void unlink_node(struct weir_issued_table *table, struct node *node) {
    *(node->older != NULL ? &node->older->newer : &table->oldest) = node->newer;
    *(node->newer != NULL ? &node->newer->older : &table->newest) = node->older;
}

static void link_newest(struct weir_issued_table *table, struct node *node) {
    node->older = table->newest;
    *(table->newest != NULL ? &table->newest->newer : &table->oldest) = node;
    table->newest = node;
}

void weir_issued_put(struct weir_issued_table *table, const struct weir_issued *issued) {
    struct node *node = node_of(issued);
    if (node == NULL)
        return;
    void *replaced = NULL;
    struct node *evicted = NULL;
    (void)pthread_mutex_lock(&table->mutex);
    if (weir_map_put(table->by_id, node->issued.id, node, &replaced) != WEIR_OK) {
        evicted = node;
    } else {
        link_newest(table, node);
        if (replaced != NULL) {
            unlink_node(table, replaced);
        } else if (weir_map_count(table->by_id) > table->capacity) {
            evicted = table->oldest;
            unlink_node(table, evicted);
            (void)weir_map_remove(table->by_id, evicted->issued.id);
        }
    }
    (void)pthread_mutex_unlock(&table->mutex);
    weir_memory_free(replaced);
    weir_memory_free(evicted);
}

bool weir_issued_get(struct weir_issued_table *table, struct weir_span id, struct weir_arena *arena,
                     struct weir_issued *issued) {
    char bytes[TEXTS * MAX_TEXT_BYTES]; /* the arena may allocate, and that is not done under the lock */
    size_t used = 0;
    struct weir_issued copy;
    struct weir_span *texts[TEXTS];
    texts_of(&copy, texts);
    if (id.length == 0 || id.length > MAX_TEXT_BYTES)
        return false;
    (void)pthread_mutex_lock(&table->mutex);
    const struct node *node = weir_map_find(table->by_id, id);
    if (node != NULL) {
        copy = node->issued;
        for (size_t i = 0; i < TEXTS; i++)
            used += texts[i]->length;
        memcpy(bytes, node->bytes, used);
    }
    (void)pthread_mutex_unlock(&table->mutex);
    if (node == NULL)
        return false;
    char *at = weir_arena_alloc_raw(arena, used);
    if (at == NULL)
        return false;
    memcpy(at, bytes, used);
    for (size_t i = 0; i < TEXTS; i++) {
        texts[i]->at = at;
        at += texts[i]->length;
    }
    *issued = copy;
    return true;
}

/* A worker's hold on what is published, and its connection pools.
 *
 * Requests keep the state that they began with. Pools are found again by the upstream's identity, so that a new revision that changes
 * nothing about a provider keeps its warm connections.
 */
#include "base/memory.h"
#include "gateway/impl.h"

static struct gateway__pool *pool_find(struct weir_worker *worker, struct weir_span identity,
                                       int64_t connect_timeout_ms) {
    for (struct weir_list *link = worker->pools.next; link != &worker->pools; link = link->next) {
        struct gateway__pool *pool = WEIR_CONTAINER_OF(link, struct gateway__pool, link);
        if (weir_span_equal(pool->identity, identity) && pool->connect_timeout_ms == connect_timeout_ms)
            return pool;
    }
    return NULL;
}

static void pool_unref(struct gateway__pool *pool) {
    if (--pool->users > 0)
        return;
    weir_list_remove(&pool->link);
    weir_pool_free(&pool->pool);
    weir_memory_free((void *)(uintptr_t)pool->identity.at);
    weir_memory_free(pool);
}

static struct gateway__pool *pool_make(struct weir_worker *worker, const struct weir_published *published,
                                       const struct weir_provider *provider) {
    struct weir_error error = {.text = ""};
    char host[256];
    char *identity = weir_memory_string(provider->identity);
    struct gateway__pool *pool = weir_memory_new(1, sizeof *pool);
    if (pool == NULL || identity == NULL || weir_span_to_string(provider->url.host, host, sizeof host) != WEIR_OK)
        goto failed;
    struct weir_pool_settings settings = {.host = host,
                                          .port = provider->url.port,
                                          .tls = published->tls[provider->index],
                                          .max_connections = (size_t)provider->settings->max_connections,
                                          .max_waiting = (size_t)provider->settings->max_waiting,
                                          .idle_ms = provider->settings->idle_timeout_ms,
                                          .connect_timeout_ms = published->settings->timeouts.connect_ms};
    if (weir_pool_new(worker->loop, worker->resolver, &settings, &pool->pool, &error) != WEIR_OK)
        goto failed;
    pool->identity = weir_span_of(identity, provider->identity.length);
    pool->connect_timeout_ms = published->settings->timeouts.connect_ms;
    weir_list_append(&worker->pools, &pool->link);
    return pool;
failed:
    weir_memory_free(pool);
    weir_memory_free(identity);
    return NULL;
}

static enum weir_status pool_open(struct weir_worker *worker, const struct weir_published *published,
                                  const struct weir_provider *provider, struct gateway__pool **opened) {
    struct gateway__pool *pool = pool_find(worker, provider->identity, published->settings->timeouts.connect_ms);
    if (pool == NULL)
        pool = pool_make(worker, published, provider);
    if (pool == NULL)
        return WEIR_ENOMEM;
    pool->users++;
    *opened = pool;
    return WEIR_OK;
}

static void held_free(struct gateway__held *held) {
    size_t count = held->published->revision->provider_count;
    for (size_t i = 0; held->pools != NULL && i < count; i++)
        if (held->pools[i] != NULL)
            pool_unref(held->pools[i]);
    weir_memory_free(held->pools);
    held->worker->held_count--;
    weir_memory_free(held);
}

enum weir_status gateway__held_new(struct weir_worker *worker, const struct weir_published *published,
                                   struct gateway__held **held) {
    const struct weir_revision *revision = published->revision;
    struct gateway__held *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return WEIR_ENOMEM;
    made->worker = worker;
    made->published = published;
    made->users = 1;
    worker->held_count++;
    made->pools = weir_memory_new(revision->provider_count, sizeof(struct gateway__pool *));
    enum weir_status status = made->pools == NULL ? WEIR_ENOMEM : WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < revision->provider_count; i++)
        status = pool_open(worker, published, &revision->providers[i], &made->pools[i]);
    if (status != WEIR_OK)
        held_free(made);
    else
        *held = made;
    return status;
}

void gateway__held_ref(struct gateway__held *held) {
    held->users++;
}

void gateway__held_unref(struct gateway__held *held) {
    if (--held->users > 0)
        return;
    const struct weir_gateway *gateway = held->worker->gateway;
    const struct weir_published *published = held->published;
    held_free(held);
    gateway->on_released(gateway->context, published);
}

void gateway__held_replace(struct weir_worker *worker, struct gateway__held *fresh) {
    struct gateway__held *before = worker->live;
    worker->live = fresh;
    if (before != NULL) {
        before->replaced = true;
        gateway__held_unref(before);
    }
}

/* A worker: one thread, one loop, its own listening socket, pools and journal. */
#include "base/clock.h"
#include "base/memory.h"
#include "gateway/translate.h"

#include <unistd.h>

enum { LOG_BATCH_BYTES = 64 * 1024, DRAIN_TICK_MS = 20, LAST_WRITES_MS = 2000, NAP_US = 1000 };

static struct weir_http_server_settings server_settings(const struct weir_gateway_settings *settings) {
    return (struct weir_http_server_settings){.head_timeout_ms = settings->timeouts.head_ms,
                                              .body_timeout_ms = settings->timeouts.body_ms,
                                              .keep_alive_timeout_ms = settings->timeouts.keep_alive_ms,
                                              .keep_alive_requests = settings->limits.keep_alive_requests,
                                              .max_connections = settings->limits.max_connections};
}

static void on_accept(void *owner, struct weir_stream *stream) {
    struct weir_worker *worker = owner;
    weir_http_server_accept(worker->server, stream);
}

/* Says from which epoch on this worker may hold rows: its oldest request's, for they stand in the order of their beginnings. */
static void tell_keys_held(struct weir_worker *worker) {
    struct weir_keys *keys = worker->gateway->keys;
    uint64_t oldest = weir_keys_epoch(keys);
    worker->keys_epoch = oldest;
    if (!weir_list_is_empty(&worker->requests))
        oldest = WEIR_CONTAINER_OF(worker->requests.next, struct weir_request, link)->keys_epoch;
    weir_keys_quiet(keys, worker->index, oldest);
}

/* Once a second: the Date field, CPU time, connections, and which rows of keys are held no more. */
static void on_second(void *argument) {
    struct weir_worker *worker = argument;
    weir_clock_format_http(weir_clock_utc_us(), worker->date);
    weir_metrics_set_cpu(worker->metrics, weir_clock_thread_cpu_ns());
    int64_t connections = (int64_t)weir_http_server_connections(worker->server);
    weir_metrics_add_active(worker->metrics, 0, 0, connections - worker->connections_told);
    worker->connections_told = connections;
    tell_keys_held(worker);
    gateway__bindings_sweep(worker);
    weir_timer_start(worker->loop, &worker->second, 1000, on_second, worker);
}

static void flush_log(void *argument) {
    struct weir_worker *worker = argument;
    worker->log_flush_armed = false;
    weir_log_flush(weir_loop_log(worker->loop));
}

void gateway__flush_log_later(struct weir_worker *worker) {
    if (worker->log_flush_armed)
        return;
    worker->log_flush_armed = true;
    weir_loop_defer(worker->loop, &worker->log_flush, flush_log, worker);
}

/* --- draining --- */

/* Those that are still running are told why they end. */
static void cut_requests(struct weir_worker *worker) {
    struct weir_list *link = worker->requests.next;
    while (link != &worker->requests) {
        struct weir_request *request = WEIR_CONTAINER_OF(link, struct weir_request, link);
        link = link->next; /* ending a request touches no other */
        gateway__request_cut(request, WEIR_REASON_SHUTTING_DOWN);
    }
}

/* Until nothing is in flight and all answers are on their way, here and in the other workers; past the deadline the answers alone get a
 * little longer. */
static void on_drain_tick(void *argument) {
    struct weir_worker *worker = argument;
    _Atomic unsigned *busy_workers = worker->gateway->busy_workers;
    int64_t left_ms = (worker->drain_until_ns - weir_loop_now_ns(worker->loop)) / 1000000;
    if (left_ms <= 0)
        cut_requests(worker);
    bool busy = worker->request_count > 0 || weir_http_server_unsent(worker->server) > 0;
    if (!busy && !worker->told_quiet) {
        worker->told_quiet = true;
        atomic_fetch_sub(busy_workers, 1);
    }
    if ((!busy && *busy_workers == 0) || left_ms <= -LAST_WRITES_MS)
        weir_loop_stop(worker->loop);
    else
        weir_timer_start(worker->loop, &worker->drain, DRAIN_TICK_MS, on_drain_tick, worker);
}

/* --- messages from the control thread --- */

struct publish_message {
    struct weir_message message;
    struct weir_worker *worker;
    const struct weir_published *published;
};

static void run_publish(struct weir_message *message) {
    struct publish_message *publish = WEIR_CONTAINER_OF(message, struct publish_message, message);
    struct weir_worker *worker = publish->worker;
    struct gateway__held *held = NULL;
    if (gateway__held_new(worker, publish->published, &held) == WEIR_OK) {
        struct weir_http_server_settings settings = server_settings(publish->published->settings);
        weir_http_server_configure(worker->server, &settings);
        gateway__held_replace(worker, held);
    } else {
        worker->gateway->on_released(worker->gateway->context, publish->published);
    }
    weir_memory_free(publish);
}

/* Ends the answers of keys that were revoked with the word to do so. */
static void run_check_keys(struct weir_message *message) {
    struct weir_worker *worker = WEIR_CONTAINER_OF(message, struct weir_worker, keys_message);
    const struct weir_gateway *gateway = worker->gateway;
    atomic_store(&worker->keys_posted, false); /* before anything is looked at: what changes from here on posts anew */
    uint64_t number = atomic_load(&worker->keys_number);
    struct weir_list *link = worker->requests.next;
    while (link != &worker->requests) {
        struct weir_request *request = WEIR_CONTAINER_OF(link, struct weir_request, link);
        link = link->next; /* ending a request touches no other */
        if (request->key != NULL && request->key->revoked && request->key->end_streams)
            gateway__request_cut(request, WEIR_REASON_KEY_REVOKED_MEANWHILE);
    }
    gateway->on_keys_checked(gateway->context, worker->index, number);
}

void weir_worker_check_keys(struct weir_worker *worker, uint64_t number) {
    atomic_store(&worker->keys_number, number);
    if (atomic_exchange(&worker->keys_posted, true))
        return;
    worker->keys_message.run = run_check_keys;
    weir_loop_post(worker->loop, &worker->keys_message);
}

struct stop_message {
    struct weir_message message;
    struct weir_worker *worker;
    int64_t timeout_ms;
};

static void run_stop(struct weir_message *message) {
    struct stop_message *stop = WEIR_CONTAINER_OF(message, struct stop_message, message);
    struct weir_worker *worker = stop->worker;
    worker->draining = true;
    weir_http_server_drain(worker->server);
    worker->drain_until_ns = weir_loop_now_ns(worker->loop) + stop->timeout_ms * 1000000;
    on_drain_tick(worker);
    weir_memory_free(stop);
}

enum weir_status weir_worker_publish(struct weir_worker *worker, const struct weir_published *published) {
    struct publish_message *publish = weir_memory_new(1, sizeof *publish);
    if (publish == NULL)
        return WEIR_ENOMEM;
    *publish = (struct publish_message){.message = {.run = run_publish}, .worker = worker, .published = published};
    weir_loop_post(worker->loop, &publish->message);
    return WEIR_OK;
}

void weir_worker_stop(struct weir_worker *worker, int64_t timeout_ms) {
    struct stop_message *stop = weir_memory_new(1, sizeof *stop);
    weir_bug_on(stop == NULL);
    *stop = (struct stop_message){.message = {.run = run_stop}, .worker = worker, .timeout_ms = timeout_ms};
    weir_loop_post(worker->loop, &stop->message);
}

/* --- life --- */

static void release(struct weir_worker *worker) {
    weir_timer_stop(&worker->second);
    weir_timer_stop(&worker->drain);
    weir_listener_free(&worker->listener);
    weir_http_server_free(&worker->server);
    while (worker->requests.next != NULL &&
           !weir_list_is_empty(&worker->requests)) /* those whose client was gone already */
        gateway__request_free(WEIR_CONTAINER_OF(worker->requests.next, struct weir_request, link));
    gateway__requests_free_spare(worker);
    gateway__translations_free_spare(worker);
    if (worker->syncs.next != NULL)
        gateway__syncs_free(worker);
    gateway__bindings_free(&worker->bindings);
    if (worker->live != NULL)
        gateway__held_unref(worker->live);
    weir_resolver_free(&worker->resolver);
    weir_log_flush(weir_loop_log(worker->loop));
}

static void *run(void *argument) {
    struct weir_worker *worker = argument;
    on_second(worker);
    weir_loop_run(worker->loop);
    release(worker);
    weir_store_forget_loop(worker->gateway->store,
                           worker->loop);    /* it may still look for what a request that has gone asked */
    while (weir_loop_run_once(worker->loop)) /* connections that linger until their clients have seen the end */
        (void)usleep(NAP_US);
    gateway__lookups_free(worker);
    weir_log_flush(weir_loop_log(worker->loop));
    worker->gateway->on_stopped(worker->gateway->context);
    return NULL;
}

static enum weir_status open_parts(struct weir_worker *worker, int fd, struct weir_tls *tls,
                                   const struct weir_published *published, struct weir_error *error) {
    struct weir_log log = worker->gateway->log;
    weir_buffer_init(&worker->log_batch, LOG_BATCH_BYTES);
    weir_buffer_init(&worker->scratch, WEIR_MIB);
    weir_buffer_init(&worker->large_body, 0);
    log.batch = &worker->log_batch;
    struct weir_http_server_settings settings = server_settings(published->settings);
    enum weir_status status = weir_loop_new(&log, &worker->loop, error);
    if (status != WEIR_OK)
        return status;
    worker->server = weir_http_server_new(worker->loop, &settings, &gateway__handler, worker);
    if (worker->server == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for a worker");
    status = weir_resolver_new(worker->loop, &worker->resolver, error);
    if (status == WEIR_OK)
        status = gateway__held_new(worker, published, &worker->live);
    if (status == WEIR_OK)
        status = weir_listener_new(worker->loop, fd, tls, on_accept, worker, &worker->listener, error);
    return status;
}

enum weir_status weir_worker_start(const struct weir_gateway *gateway, unsigned index, int fd, struct weir_tls *tls,
                                   const struct weir_published *published, struct weir_worker **worker,
                                   struct weir_error *error) {
    struct weir_worker *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for a worker");
    made->gateway = gateway;
    made->index = index;
    made->is_tls = tls != NULL;
    made->journal = weir_store_journal(gateway->store, index);
    made->metrics = weir_metrics_of(gateway->metrics, index);
    weir_list_init(&made->pools);
    weir_list_init(&made->requests);
    weir_list_init(&made->syncs);
    weir_list_init(&made->lookups);
    weir_list_init(&made->parked);
    weir_list_init(&made->spare_requests);
    weir_list_init(&made->spare_translations);
    enum weir_status status = gateway__bindings_new(&made->bindings);
    status = status != WEIR_OK ? weir_fail(error, status, "no memory for a worker")
                               : open_parts(made, fd, tls, published, error);
    if (status == WEIR_OK && pthread_create(&made->thread, NULL, run, made) != 0)
        status = weir_fail(error, WEIR_EIO, "cannot start a thread");
    if (status != WEIR_OK) {
        if (made->loop != NULL)
            release(made);
        weir_loop_free(&made->loop);
        gateway__bindings_free(&made->bindings);
        weir_buffer_release(&made->log_batch);
        weir_buffer_release(&made->scratch);
        weir_buffer_release(&made->large_body);
        weir_memory_free(made);
        return status;
    }
    *worker = made;
    return WEIR_OK;
}

void weir_worker_join(struct weir_worker **worker) {
    if (*worker == NULL)
        return;
    (void)pthread_join((*worker)->thread, NULL);
    weir_loop_free(&(*worker)->loop);
    weir_buffer_release(&(*worker)->log_batch);
    weir_buffer_release(&(*worker)->scratch);
    weir_buffer_release(&(*worker)->large_body);
    weir_memory_free(*worker);
    *worker = NULL;
}

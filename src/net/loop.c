/* The loop: libuv's, with what the data path needs around it.
 *
 * Before each wait and after each turn's events the deferred calls run. The clock is read once a turn, at the first need
 * after the wait. The mailbox is a lock-free stack of messages that its owner takes whole and turns round; only the post
 * that finds it empty wakes the loop. Nothing here knows of sockets.
 */
#include "net/impl.h"

#include "base/clock.h"

int64_t weir_loop_now_ns(const struct weir_loop *loop) {
    struct net_clock *clock = loop->clock;
    if (clock->stale) {
        clock->now_ns = weir_clock_monotonic_ns();
        clock->stale = false;
    }
    return clock->now_ns;
}

int64_t weir_loop_utc_us(struct weir_loop *loop) {
    struct net_clock *clock = loop->clock;
    int64_t now_ns = weir_loop_now_ns(loop);
    if (clock->compared_ns == 0 || now_ns - clock->compared_ns >= 1000000000) {
        clock->utc_minus_monotonic_us = weir_clock_utc_us() - weir_clock_monotonic_ns() / 1000;
        clock->compared_ns = now_ns;
    }
    return clock->utc_minus_monotonic_us + now_ns / 1000;
}

struct weir_random *weir_loop_random(struct weir_loop *loop) {
    return &loop->random;
}
const struct weir_log *weir_loop_log(const struct weir_loop *loop) {
    return &loop->log;
}
void weir_loop_set_log_level(struct weir_loop *loop, enum weir_log_level minimum) {
    loop->log.minimum = minimum;
}
struct uv_loop_s *weir_loop_uv(struct weir_loop *loop) {
    return &loop->uv;
}

void weir_loop_defer(struct weir_loop *loop, struct weir_deferred *deferred, void (*run)(void *), void *argument) {
    deferred->run = run;
    deferred->argument = argument;
    weir_list_append(&loop->deferred, &deferred->link);
}

/* In order, and also what these calls defer. */
static void run_deferred(struct weir_loop *loop) {
    while (!weir_list_is_empty(&loop->deferred)) {
        struct weir_deferred *deferred = WEIR_CONTAINER_OF(loop->deferred.next, struct weir_deferred, link);
        weir_list_remove(&deferred->link);
        deferred->run(deferred->argument);
    }
}

static void on_before_wait(uv_prepare_t *handle) {
    struct weir_loop *loop = handle->data;
    run_deferred(loop);
    loop->clock->stale = true;
}

static void on_after_turn(uv_check_t *handle) {
    struct weir_loop *loop = handle->data;
    run_deferred(loop);
}

void weir_loop_post(struct weir_loop *loop, struct weir_message *message) {
    struct weir_message *newest = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
    do {
        message->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &newest, message, memory_order_release,
                                                    memory_order_relaxed));
    /* Who finds messages there knows that whoever put the first has woken the loop, or is about to. */
    if (newest == NULL) {
        int result = uv_async_send(&loop->mailbox_signal);
        weir_bug_on(result != 0);
    }
}

static void on_mailbox(uv_async_t *handle) {
    struct weir_loop *loop = handle->data;
    struct weir_message *message = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
    struct weir_message *oldest = NULL;
    while (message != NULL) {
        struct weir_message *next = message->next;
        message->next = oldest;
        oldest = message;
        message = next;
    }
    while (oldest != NULL) {
        struct weir_message *next = oldest->next;
        oldest->next = NULL;
        oldest->run(oldest);
        oldest = next;
    }
}

enum weir_status weir_loop_new(const struct weir_log *log, struct weir_loop **out, struct weir_error *error) {
    struct weir_loop *loop = weir_memory_new(1, sizeof *loop);
    char *read_buffer = weir_memory_new(1, WEIR_READ_BUFFER_BYTES);
    if (loop == NULL || read_buffer == NULL) {
        weir_memory_free(loop);
        weir_memory_free(read_buffer);
        return weir_fail(error, WEIR_ENOMEM, "no memory for an event loop");
    }
    int result = uv_loop_init(&loop->uv);
    if (result == 0) {
        result = uv_async_init(&loop->uv, &loop->mailbox_signal, on_mailbox);
        if (result != 0) {
            (void)uv_loop_close(&loop->uv);
        }
    }
    if (result != 0) {
        weir_memory_free(loop);
        weir_memory_free(read_buffer);
        return weir_fail(error, WEIR_EIO, "cannot make an event loop: %s", uv_strerror(result));
    }
    loop->mailbox_signal.data = loop;
    loop->read_buffer = read_buffer;
    loop->log = log != NULL ? *log : (struct weir_log){.fd = -1};
    loop->clock = &loop->own_clock;
    loop->clock->stale = true;
    weir_list_init(&loop->deferred);
    net__timers_init(loop);
    (void)uv_prepare_init(&loop->uv, &loop->before_wait);
    loop->before_wait.data = loop;
    (void)uv_prepare_start(&loop->before_wait, on_before_wait);
    (void)uv_check_init(&loop->uv, &loop->after_turn);
    loop->after_turn.data = loop;
    (void)uv_check_start(&loop->after_turn, on_after_turn);
    /* These do not count as something left to do; weir_loop_run waits for messages all the same. */
    uv_unref((uv_handle_t *)&loop->before_wait);
    uv_unref((uv_handle_t *)&loop->after_turn);
    uv_unref((uv_handle_t *)&loop->mailbox_signal);
    *out = loop;
    return WEIR_OK;
}

void weir_loop_free(struct weir_loop **handle) {
    struct weir_loop *loop = *handle;
    if (loop == NULL) {
        return;
    }
    *handle = NULL;
    run_deferred(loop);
    net__timers_close(loop);
    uv_close((uv_handle_t *)&loop->before_wait, NULL);
    uv_close((uv_handle_t *)&loop->after_turn, NULL);
    uv_close((uv_handle_t *)&loop->mailbox_signal, NULL);
    /* Closing takes a turn; what is still there after some more was never closed, and uv_loop_close says so. */
    for (int turns = 0; turns < 8 && (uv_run(&loop->uv, UV_RUN_NOWAIT) != 0 || turns < 2); turns++) {
        run_deferred(loop);
    }
    run_deferred(loop);
    int result = uv_loop_close(&loop->uv);
    weir_bug_on(result != 0);
    net__tls_scratch_free(&loop->tls_scratch);
    weir_memory_free(loop->read_buffer);
    weir_memory_wipe(&loop->random, sizeof loop->random);
    weir_memory_free(loop);
}

void weir_loop_run(struct weir_loop *loop) {
    uv_ref((uv_handle_t *)&loop->mailbox_signal);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_unref((uv_handle_t *)&loop->mailbox_signal);
    run_deferred(loop);
    loop->clock->stale = true;
}

bool weir_loop_run_once(struct weir_loop *loop) {
    /* Where nothing else is alive a turn would not look at what was posted, and who waits for that would wait for ever. */
    bool has_mail = atomic_load_explicit(&loop->mailbox, memory_order_relaxed) != NULL;
    if (has_mail)
        uv_ref((uv_handle_t *)&loop->mailbox_signal);
    int alive = uv_run(&loop->uv, UV_RUN_NOWAIT);
    if (has_mail) {
        uv_unref((uv_handle_t *)&loop->mailbox_signal);
        alive = uv_loop_alive(&loop->uv);
    }
    run_deferred(loop);
    loop->clock->stale = true;
    return alive != 0 || atomic_load_explicit(&loop->mailbox, memory_order_relaxed) != NULL;
}

void weir_loop_stop(struct weir_loop *loop) {
    uv_stop(&loop->uv);
}

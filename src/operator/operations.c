/* The operations thread: it takes calls in order, one at a time, with a connection to the store that nobody else uses.
 *
 * The queue is bounded; what does not fit is told so at once. The connection is opened when it is first needed and again after failures that a new one may mend; while
 * that does not work, calls are answered so without waiting. Ending: what runs goes on to its end, what waits is the control thread's again.
 */
#include "operator/impl.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

/* Between two tries to open a store that could not be opened. */
#define OPEN_AGAIN_NS ((int64_t)500 * 1000000)
enum { BUSY_PATIENCE_MS = 20 };

struct operator__operations {
    struct weir_loop *loop;
    const struct weir_operator_settings *settings;
    yyjson_val *openapi;
    void (*on_done)(struct weir_operation_call *call);
    pthread_t thread;
    bool running; /* it was started and is not joined */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    struct weir_operation_call *first, **end;
    size_t waiting;
    bool stop, ended;

    /* the thread's own */
    struct weir_engine *engine;
    struct weir_random random;
    struct operator__gate gate;
    struct operator__refusals refusals;
    struct weir_error problem; /* why there is no engine */
    int64_t open_again_ns;
    bool was_busy; /* the last call found the store busy */
};

/* --- the store --- */

static void open_store(struct operator__operations *operations) {
    int64_t now_ns = weir_clock_monotonic_ns();
    if (operations->engine != NULL || now_ns < operations->open_again_ns)
        return;
    operations->problem = (struct weir_error){.text = ""};
    if (weir_store_direct_open(operations->settings->store_directory, operations->settings->environment, false,
                               &operations->engine, &operations->problem) == WEIR_OK) {
        weir_engine_sqlite.set_patience(operations->engine, OPERATOR__PATIENCE_MS);
        operations->was_busy = false;
        return;
    }
    operations->engine = NULL;
    operations->open_again_ns = weir_clock_monotonic_ns() + OPEN_AGAIN_NS;
    weir_log(weir_loop_log(operations->loop), WEIR_LOG_ERROR, "operator_store_unavailable",
             WEIR_LOG_T("problem", operations->problem.text));
}

/* Where the store was busy for as long as a call may wait, the calls behind it do not wait as long each: the queue would stand for minutes. */
static void set_patience(struct operator__operations *operations, enum weir_status status) {
    bool is_busy = status == WEIR_EBUSY;
    if (operations->engine != NULL && is_busy != operations->was_busy)
        weir_engine_sqlite.set_patience(operations->engine, is_busy ? BUSY_PATIENCE_MS : OPERATOR__PATIENCE_MS);
    operations->was_busy = is_busy;
}

/* A failure that belongs to the connection, not to what was asked. */
static bool wants_new_connection(enum weir_status status) {
    return status == WEIR_EIO || status == WEIR_ECORRUPT || status == WEIR_EDENIED || status == WEIR_ECLOSED;
}

/* --- the thread --- */

/* With the mutex. */
static void set_waiting(struct operator__operations *operations, size_t waiting) {
    operations->waiting = waiting;
    if (operations->settings->metrics != NULL)
        weir_metrics_set_operator_queue(operations->settings->metrics, waiting);
}

static struct weir_operation_call *take(struct operator__operations *operations) {
    pthread_mutex_lock(&operations->mutex);
    while (operations->first == NULL && !operations->stop)
        pthread_cond_wait(&operations->wake, &operations->mutex);
    struct weir_operation_call *call = operations->stop ? NULL : operations->first;
    if (call != NULL) {
        operations->first = call->next;
        if (operations->first == NULL)
            operations->end = &operations->first;
        set_waiting(operations, operations->waiting - 1);
    }
    pthread_mutex_unlock(&operations->mutex);
    return call;
}

static void run_done(struct weir_message *message) {
    struct weir_operation_call *call = WEIR_CONTAINER_OF(message, struct weir_operation_call, message);
    if (call->on_done != NULL)
        call->on_done(call);
    else
        operator__call_free(&call); /* the plane is gone */
}

static void perform(struct operator__operations *operations, struct weir_operation_call *call) {
    open_store(operations);
    call->ops = &weir_engine_sqlite;
    call->engine = operations->engine;
    call->random = &operations->random;
    call->gate = &operations->gate;
    call->patience_ms = operations->was_busy ? BUSY_PATIENCE_MS : OPERATOR__PATIENCE_MS;
    call->store_status = WEIR_OK;
    operator__perform(call, operations->openapi, operations->problem.text, &operations->refusals);
    call->engine = NULL;
    if (operations->engine != NULL && wants_new_connection(call->store_status))
        weir_store_direct_close(&operations->engine);
    set_patience(operations, call->store_status);
    call->message.run = run_done;
    weir_loop_post(operations->loop, &call->message);
}

static void *thread_main(void *argument) {
    struct operator__operations *operations = argument;
    struct weir_operation_call *call;
    (void)pthread_setname_np(pthread_self(), "weir-operations");
    while ((call = take(operations)) != NULL)
        perform(operations, call);
    weir_store_direct_close(&operations->engine);
    pthread_mutex_lock(&operations->mutex);
    operations->ended = true;
    pthread_mutex_unlock(&operations->mutex);
    return NULL;
}

/* --- for the control thread --- */

enum weir_status operator__operations_new(struct weir_loop *loop, const struct weir_operator_settings *settings,
                                          yyjson_val *openapi, void (*on_done)(struct weir_operation_call *call),
                                          struct operator__operations **operations, struct weir_error *error) {
    struct operator__operations *made = weir_memory_new(1, sizeof *made);
    sigset_t all, before;
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the operations thread");
    made->loop = loop;
    made->settings = settings;
    made->openapi = openapi;
    made->on_done = on_done;
    made->end = &made->first;
    operator__gate_init(&made->gate, &made->random);
    (void)pthread_mutex_init(&made->mutex, NULL);
    (void)pthread_cond_init(&made->wake, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    int code = pthread_create(&made->thread, NULL, thread_main, made);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    made->running = code == 0;
    if (code != 0) {
        operator__operations_free(&made);
        return weir_fail(error, WEIR_EIO, "cannot start the operations thread: %s", strerror(code));
    }
    *operations = made;
    return WEIR_OK;
}

enum weir_status operator__operations_submit(struct operator__operations *operations,
                                             struct weir_operation_call *call) {
    pthread_mutex_lock(&operations->mutex);
    bool is_full = operations->stop || (operations->waiting >= OPERATOR__MAX_QUEUED && call->pieces == 0);
    if (!is_full) {
        call->loop = operations->loop;
        call->on_done = operations->on_done;
        call->next = NULL;
        *operations->end = call;
        operations->end = &call->next;
        set_waiting(operations, operations->waiting + 1);
        pthread_cond_signal(&operations->wake);
    }
    pthread_mutex_unlock(&operations->mutex);
    return is_full ? WEIR_EBUSY : WEIR_OK;
}

bool operator__operations_withdraw(struct operator__operations *operations, struct weir_operation_call *call) {
    bool found = false;
    pthread_mutex_lock(&operations->mutex);
    for (struct weir_operation_call **at = &operations->first; *at != NULL && !found; at = &(*at)->next) {
        if (*at != call)
            continue;
        found = true;
        *at = call->next;
        if (*at == NULL)
            operations->end = at;
        set_waiting(operations, operations->waiting - 1);
        break;
    }
    pthread_mutex_unlock(&operations->mutex);
    return found;
}

bool operator__operations_stop(struct operator__operations *operations) {
    pthread_mutex_lock(&operations->mutex);
    operations->stop = true;
    bool ended = operations->ended || !operations->running;
    pthread_cond_signal(&operations->wake);
    pthread_mutex_unlock(&operations->mutex);
    return ended;
}

void operator__operations_free(struct operator__operations **operations) {
    if (*operations == NULL)
        return;
    (void)operator__operations_stop(*operations);
    if ((*operations)->running)
        (void)pthread_join((*operations)->thread, NULL);
    (void)pthread_mutex_destroy(&(*operations)->mutex);
    (void)pthread_cond_destroy(&(*operations)->wake);
    operator__gate_release(&(*operations)->gate);
    weir_memory_free(*operations);
    *operations = NULL;
}

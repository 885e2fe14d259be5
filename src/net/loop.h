/* One event loop on one thread: time, timers, deferred frees, randomness, and messages from other threads (on libuv). */
#ifndef WEIR_NET_LOOP_H
#define WEIR_NET_LOOP_H

#include "base/ids.h"
#include "base/list.h"
#include "base/log.h"

struct weir_loop;
struct uv_loop_s;

/* `log` is copied. */
WEIR_MUST enum weir_status weir_loop_new(const struct weir_log *log, struct weir_loop **loop, struct weir_error *error);
/* Closes what is left (timers, mailbox) and frees. Streams, listeners, pools and uv handles of others must have been closed
 * before. Messages that were not delivered are not run: where one may be on its way, weir_loop_run_once delivers it first. */
void weir_loop_free(struct weir_loop **loop);
/* Runs until weir_loop_stop. */
void weir_loop_run(struct weir_loop *loop);
/* Runs one turn without waiting: for tests and for draining. True while something is left to do. */
bool weir_loop_run_once(struct weir_loop *loop);
/* From the loop's own thread only. */
void weir_loop_stop(struct weir_loop *loop);
/* For net's own files and main's signal handles. */
struct uv_loop_s *weir_loop_uv(struct weir_loop *loop);

/* Monotonic nanoseconds, cached for this turn. */
int64_t weir_loop_now_ns(const struct weir_loop *loop);
/* UTC microseconds, derived from the cached time; adjusted to the system's clock at least once a second. */
int64_t weir_loop_utc_us(struct weir_loop *loop);
struct weir_random *weir_loop_random(struct weir_loop *loop);
const struct weir_log *weir_loop_log(const struct weir_loop *loop);
/* Sets the minimum level of the loop's log. */
void weir_loop_set_log_level(struct weir_loop *loop, enum weir_log_level minimum);

/* Runs `run(argument)` when this turn's callbacks are done: the place to free what a callback may still be using. In order;
 * what these calls defer runs in the same turn. The link is a member of the object and must not be in use. */
struct weir_deferred {
    struct weir_list link;
    void (*run)(void *argument);
    void *argument;
};
void weir_loop_defer(struct weir_loop *loop, struct weir_deferred *deferred, void (*run)(void *), void *argument);

/* A one-shot timer, embedded in its owner; zeroed memory is a stopped timer. Cheap to start, restart and stop: meant for
 * several a request (no system call, no allocation). Resolution 1 ms or coarser (at most 10 ms late by design). */
struct weir_timer {
    struct weir_list link;
    struct weir_loop *loop;
    int64_t due_ms;
    void (*run)(void *argument);
    void *argument;
    bool active;
    size_t slot;
};
/* Starts or restarts. */
void weir_timer_start(struct weir_loop *loop, struct weir_timer *timer, int64_t delay_ms, void (*run)(void *),
                      void *argument);
void weir_timer_stop(struct weir_timer *timer);

/* Messages from any thread to this loop's thread, in order per sender. A message owns its bytes; `run` is called on the loop's
 * thread and is the one to free it. Messages posted after weir_loop_free are a bug. */
struct weir_message {
    struct weir_message *next;
    void (*run)(struct weir_message *message);
};
void weir_loop_post(struct weir_loop *loop, struct weir_message *message);

#endif

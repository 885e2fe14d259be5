/* The timer wheel of a loop.
 *
 * Every request starts and stops several timers that nearly never run; so start and stop must cost a few stores and no
 * heap. Three levels of 256 slots, 4 ms a tick; a bitmap a level finds the next event, and one uv timer is set to it. The
 * uv timer is not moved when the earliest timer stops: it goes off once for nothing and is set anew. It is stopped when no
 * timer is active, so that an idle process sleeps.
 */
#include "net/impl.h"

static int64_t floor_ms(const struct weir_loop *loop) {
    return weir_loop_now_ns(loop) / 1000000;
}
static int64_t floor_tick(const struct weir_loop *loop) {
    return floor_ms(loop) / NET_WHEEL_TICK_MS;
}

static void mark(struct net_wheel *wheel, size_t slot) {
    wheel->occupied[slot / NET_WHEEL_SLOTS][(slot % NET_WHEEL_SLOTS) / 64] |= UINT64_C(1) << (slot % 64);
}

static void unmark_if_empty(struct net_wheel *wheel, size_t slot) {
    if (weir_list_is_empty(&wheel->slots[slot])) {
        wheel->occupied[slot / NET_WHEEL_SLOTS][(slot % NET_WHEEL_SLOTS) / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
}

/* How many slots after `from` the next occupied one is, 1 to 256; 0 where there is none. */
static unsigned distance_to_next(const uint64_t words[NET_WHEEL_WORDS], unsigned from) {
    unsigned start = (from + 1) % NET_WHEEL_SLOTS;
    for (unsigned step = 0; step <= NET_WHEEL_WORDS; step++) {
        unsigned word = (start / 64 + step) % NET_WHEEL_WORDS;
        uint64_t bits = words[word];
        if (step == 0) {
            bits &= ~UINT64_C(0) << (start % 64);
        } else if (step == NET_WHEEL_WORDS) {
            bits &= ~(~UINT64_C(0) << (start % 64));
        }
        if (bits != 0) {
            unsigned found = word * 64 + (unsigned)__builtin_ctzll(bits);
            return (found - start) % NET_WHEEL_SLOTS + 1;
        }
    }
    return 0;
}

/* The next tick at which a slot runs or spreads its timers over the level below; INT64_MAX: none. */
static int64_t next_event(const struct net_wheel *wheel) {
    int64_t earliest = INT64_MAX;
    for (unsigned level = 0; level < NET_WHEEL_LEVELS; level++) {
        unsigned shift = level * NET_WHEEL_BITS;
        int64_t base = wheel->tick >> shift;
        unsigned distance = distance_to_next(wheel->occupied[level], (unsigned)(base % NET_WHEEL_SLOTS));
        if (distance != 0 && (base + distance) << shift < earliest) {
            earliest = (base + distance) << shift;
        }
    }
    return earliest;
}

/* At least `least` ticks ahead: 1, or 0 from cascade(), after which the slot of the present tick is run. Returns the tick of
 * the slot's event. */
static int64_t place(struct net_wheel *wheel, struct weir_timer *timer, int64_t least) {
    int64_t due = (timer->due_ms + NET_WHEEL_TICK_MS - 1) / NET_WHEEL_TICK_MS;
    int64_t ahead = due - wheel->tick;
    if (ahead < least) {
        ahead = least;
    }
    unsigned level = 0;
    while (level + 1 < NET_WHEEL_LEVELS && ahead >> ((level + 1) * NET_WHEEL_BITS) != 0) {
        level++;
    }
    int64_t farthest = (INT64_C(1) << (NET_WHEEL_LEVELS * NET_WHEEL_BITS)) - 1;
    due = wheel->tick + (ahead < farthest ? ahead : farthest);
    unsigned shift = level * NET_WHEEL_BITS;
    timer->slot = level * (size_t)NET_WHEEL_SLOTS + (size_t)((due >> shift) % NET_WHEEL_SLOTS);
    weir_list_append(&wheel->slots[timer->slot], &timer->link);
    mark(wheel, timer->slot);
    return due >> shift << shift;
}

static void on_uv_timer(uv_timer_t *handle);

static void arm(struct weir_loop *loop, int64_t tick) {
    struct net_wheel *wheel = &loop->wheel;
    int64_t wait_ms = tick * NET_WHEEL_TICK_MS - floor_ms(loop);
    int result = uv_timer_start(&wheel->timer, on_uv_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
    weir_bug_on(result != 0);
    wheel->armed_tick = tick;
}

static void disarm(struct net_wheel *wheel) {
    uv_timer_stop(&wheel->timer);
    wheel->armed_tick = INT64_MAX;
}

/* The slots of upper levels that begin at the wheel's tick: their timers go to lower levels. */
static void cascade(struct net_wheel *wheel) {
    for (unsigned level = NET_WHEEL_LEVELS - 1; level > 0; level--) {
        unsigned shift = level * NET_WHEEL_BITS;
        if (wheel->tick % (INT64_C(1) << shift) != 0) {
            continue;
        }
        size_t slot = level * (size_t)NET_WHEEL_SLOTS + (size_t)((wheel->tick >> shift) % NET_WHEEL_SLOTS);
        struct weir_list moved;
        weir_list_init(&moved);
        while (!weir_list_is_empty(&wheel->slots[slot])) {
            struct weir_list *link = wheel->slots[slot].next;
            weir_list_remove(link);
            weir_list_append(&moved, link);
        }
        unmark_if_empty(wheel, slot);
        while (!weir_list_is_empty(&moved)) {
            struct weir_timer *timer = WEIR_CONTAINER_OF(moved.next, struct weir_timer, link);
            weir_list_remove(&timer->link);
            (void)place(wheel, timer, 0);
        }
    }
}

/* They leave the slot before the first one runs: one of these may start a timer that belongs there, a whole round later. (Where it is the only
 * timer, its start moves the wheel to the present time, which is later than the slot's where the loop was held up.) */
static void run_slot(struct net_wheel *wheel, size_t slot) {
    struct weir_list due;
    weir_list_init(&due);
    while (!weir_list_is_empty(&wheel->slots[slot])) {
        struct weir_list *link = wheel->slots[slot].next;
        weir_list_remove(link);
        weir_list_append(&due, link);
    }
    unmark_if_empty(wheel, slot);
    while (!weir_list_is_empty(&due)) {
        struct weir_timer *timer = WEIR_CONTAINER_OF(due.next, struct weir_timer, link);
        weir_timer_stop(timer);
        timer->run(timer->argument);
    }
}

static void on_uv_timer(uv_timer_t *handle) {
    struct weir_loop *loop = handle->data;
    struct net_wheel *wheel = &loop->wheel;
    wheel->armed_tick = INT64_MAX;
    int64_t now = floor_tick(loop);
    for (;;) {
        int64_t event = next_event(wheel);
        if (event > now) {
            if (now > wheel->tick) {
                wheel->tick = now;
            }
            if (event == INT64_MAX) {
                disarm(wheel);
            } else {
                arm(loop, event);
            }
            return;
        }
        wheel->tick = event;
        cascade(wheel);
        run_slot(wheel, (size_t)(event % NET_WHEEL_SLOTS));
    }
}

void net__timers_init(struct weir_loop *loop) {
    struct net_wheel *wheel = &loop->wheel;
    for (size_t i = 0; i < NET_WHEEL_LEVELS * (size_t)NET_WHEEL_SLOTS; i++) {
        weir_list_init(&wheel->slots[i]);
    }
    wheel->armed_tick = INT64_MAX;
    (void)uv_timer_init(&loop->uv, &wheel->timer);
    wheel->timer.data = loop;
}

void net__timers_close(struct weir_loop *loop) {
    struct net_wheel *wheel = &loop->wheel;
    for (size_t i = 0; i < NET_WHEEL_LEVELS * (size_t)NET_WHEEL_SLOTS; i++) {
        while (!weir_list_is_empty(&wheel->slots[i])) {
            weir_timer_stop(WEIR_CONTAINER_OF(wheel->slots[i].next, struct weir_timer, link));
        }
    }
    uv_close((uv_handle_t *)&wheel->timer, NULL);
}

void weir_timer_start(struct weir_loop *loop, struct weir_timer *timer, int64_t delay_ms, void (*run)(void *),
                      void *argument) {
    struct net_wheel *wheel = &loop->wheel;
    if (timer->active) {
        /* Not weir_timer_stop: a restart of the only timer must not stop and start the uv timer. */
        weir_list_remove(&timer->link);
        unmark_if_empty(&timer->loop->wheel, timer->slot);
        timer->loop->wheel.active--;
    }
    const int64_t longest_ms = INT64_C(1000) * 60 * 60 * 24 * 36500;
    int64_t now_ms = (weir_loop_now_ns(loop) + 999999) / 1000000;
    timer->due_ms = now_ms + (delay_ms < 0 ? 0 : delay_ms < longest_ms ? delay_ms : longest_ms);
    timer->loop = loop;
    timer->run = run;
    timer->argument = argument;
    timer->active = true;
    if (wheel->active == 0 && floor_tick(loop) > wheel->tick) {
        wheel->tick = floor_tick(loop);
    }
    wheel->active++;
    int64_t event = place(wheel, timer, 1);
    if (event < wheel->armed_tick) {
        arm(loop, event);
    }
}

void weir_timer_stop(struct weir_timer *timer) {
    if (!timer->active) {
        return;
    }
    struct net_wheel *wheel = &timer->loop->wheel;
    timer->active = false;
    weir_list_remove(&timer->link);
    unmark_if_empty(wheel, timer->slot);
    wheel->active--;
    if (wheel->active == 0) {
        disarm(wheel);
    }
}

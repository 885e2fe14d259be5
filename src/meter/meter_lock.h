/* The lock of an account: a word. Taking one that is free and giving back one that nobody waits for are one atomic instruction each, in line; a request
 * takes ten of them, and a call of the C library for each would be a third of what the meter costs. Who finds it taken looks again for a moment and then sleeps in the
 * kernel (futex), because its holder may have been taken off its core. Not recursive; zeroed memory is a free one.
 */
#ifndef WEIR_METER_METER_LOCK_H
#define WEIR_METER_METER_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct meter__lock {
    _Atomic uint32_t state; /* 0: free; 1: taken; 2: taken, and somebody may sleep */
};

void meter__lock_wait(struct meter__lock *lock);
void meter__lock_wake(struct meter__lock *lock);

static inline void meter__lock(struct meter__lock *lock) {
    uint32_t state = 0;
    if (!atomic_compare_exchange_strong_explicit(&lock->state, &state, 1, memory_order_acquire, memory_order_relaxed))
        meter__lock_wait(lock);
}
static inline void meter__unlock(struct meter__lock *lock) {
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2)
        meter__lock_wake(lock);
}

#endif

/* The slow halves of the account's lock: see meter_lock.h. */
#include "meter/meter_lock.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOKS = 100 }; /* longer than a critical section takes on another core */

void meter__lock_wait(struct meter__lock *lock) {
    for (int i = 0; i < LOOKS; i++) {
        uint32_t state = 0;
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(&lock->state, &state, 1, memory_order_acquire,
                                                    memory_order_relaxed))
            return;
    }
    /* From here on it is taken as one that somebody waits for: that there is none costs its holder one call too many. */
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        (void)syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void meter__lock_wake(struct meter__lock *lock) {
    (void)syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

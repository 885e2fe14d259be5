/* The upkeep of request records and captured contents, on the store's thread: between the batches of the journal, a short step at a time.
 *
 * A step holds the write lock for some milliseconds, and at least as long passes before the next one, so that the journal is read and operators'
 * changes get their turn. Nothing depends on when it is done: what is too old stays visible until then, and what is not merged is found all the same.
 */
#include "store/store_impl.h"

#include "base/clock.h"

enum { contents_a_step = 16 }; /* some megabytes at most */
static const int64_t look_ns = (int64_t)10 * 1000000000, pause_ns = (int64_t)10 * 1000000;

void store__upkeep(struct weir_store *store, int64_t now_ns) {
    struct weir_error error = {.status = WEIR_OK};
    store->next_upkeep_ns = now_ns + look_ns;
    if (!store->health.available) /* only this thread writes it */
        return;
    bool more = false;
    uint64_t removed = 0;
    enum weir_status status = store->ops->record_upkeep(store->engine, weir_clock_utc_us(), &more, &error);
    if (status == WEIR_OK)
        status = store->ops->content_sweep(store->engine, weir_clock_utc_us(), contents_a_step, &removed, &error);
    (void)store__note(store, status, &error);
    more = more || removed == contents_a_step;
    if (more)
        store->next_upkeep_ns = weir_clock_monotonic_ns() + pause_ns;
}

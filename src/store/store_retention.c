/* The upkeep of request records, on the store's thread: between the batches of the journal, a short step at a time.
 *
 * A step holds the write lock for some milliseconds, and at least as long passes before the next one, so that the journal is read and operators'
 * changes get their turn. Nothing depends on when it is done: what is too old stays visible until then, and what is not merged is found all the same.
 */
#include "store/store_impl.h"

#include "base/clock.h"

static const int64_t look_ns = (int64_t)10 * 1000000000, pause_ns = (int64_t)10 * 1000000;

void store__upkeep(struct weir_store *store, int64_t now_ns) {
    struct weir_error error = {.status = WEIR_OK};
    store->next_upkeep_ns = now_ns + look_ns;
    if (!store->health.available) /* only this thread writes it */
        return;
    bool more = false;
    enum weir_status status = store->ops->record_upkeep(store->engine, weir_clock_utc_us(), &more, &error);
    (void)store__note(store, status, &error);
    if (more)
        store->next_upkeep_ns = weir_clock_monotonic_ns() + pause_ns;
}

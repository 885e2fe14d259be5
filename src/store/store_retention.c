/* The upkeep of the ledger, its sums and the chain of its receipts, of request records and captured contents, on the store's thread: between the
 * batches of the journal, a short step at a time.
 *
 * A step holds the write lock for some milliseconds, and at least as long passes before the next one, so that the journal is read and operators'
 * changes get their turn. Nothing depends on when it is done: what is too old stays visible until then, and what is not merged is found all the same.
 */
#include "store/store_impl.h"

#include "base/clock.h"

enum { contents_a_step = 16 /* some megabytes at most */, receipts_a_step = 512 };
static const int64_t look_ns = (int64_t)10 * 1000000000, pause_ns = (int64_t)10 * 1000000,
                     sweep_ns = (int64_t)600 * 1000000000;

static const int64_t step_ms = 2; /* of reading; as long again to write the sums */

void store__catch_up(struct weir_store *store) {
    const int64_t longest_ns = (int64_t)2 * 1000000000, report_ns = (int64_t)100 * 1000000, ms = 200;
    const int64_t began_ns = weir_clock_monotonic_ns();
    struct weir_error error = {.status = WEIR_OK};
    bool more = true;
    enum weir_status status = WEIR_OK;
    while (more && status == WEIR_OK && weir_clock_monotonic_ns() - began_ns < longest_ns)
        status = store->ops->sums_step(store->engine, ms, &more, &error);
    if (status != WEIR_OK) {
        weir_log(&store->log, WEIR_LOG_WARNING, "ledger_not_summed", WEIR_LOG_T("problem", error.text));
    } else if (more || weir_clock_monotonic_ns() - began_ns > report_ns) {
        weir_log(&store->log, WEIR_LOG_INFO, "ledger_being_summed", WEIR_LOG_T("state", more ? "goes on" : "done"));
    }
}

/* What was spent, and the ledger that says so. */
static enum weir_status keep_ledger(struct weir_store *store, bool *more, struct weir_error *error) {
    const int64_t now_utc_us = weir_clock_utc_us();
    bool left[3] = {false, false, false};
    enum weir_status status = store->ops->sums_step(store->engine, step_ms, &left[0], error);
    if (status == WEIR_OK && store->ledger_retention_us > 0) {
        status = store->ops->ledger_prune(store->engine, now_utc_us - store->ledger_retention_us, &left[1], error);
    }
    if (status == WEIR_OK && store->usage_hours_kept_us > 0)
        status = store->ops->usage_trim(store->engine, now_utc_us - store->usage_hours_kept_us, &left[2], error);
    *more = left[0] || left[1] || left[2];
    if (status == WEIR_OK && !*more)
        status = store->ops->slice_sweep(store->engine, now_utc_us, error);
    return status;
}

/* Objects whose time is over: raises, alerts, sessions. Nothing relies on it, for all of them say themselves until when they are good. */
static enum weir_status sweep_objects(struct weir_store *store, int64_t now_ns, struct weir_error *error) {
    uint64_t removed = 0;
    if (now_ns < store->next_sweep_ns)
        return WEIR_OK;
    store->next_sweep_ns = now_ns + sweep_ns;
    return store->ops->object_sweep(store->engine, weir_clock_utc_us(), &removed, error);
}

void store__upkeep(struct weir_store *store, int64_t now_ns) {
    struct weir_error error = {.status = WEIR_OK};
    store->next_upkeep_ns = now_ns + look_ns;
    if (!store->health.available) /* only this thread writes it */
        return;
    bool more = false, ledger_more = false;
    uint64_t removed = 0;
    enum weir_status status = store->ops->record_upkeep(store->engine, weir_clock_utc_us(), &more, &error);
    if (status == WEIR_OK)
        status = store->ops->content_sweep(store->engine, weir_clock_utc_us(), contents_a_step, &removed, &error);
    bool unchained = false;
    if (status == WEIR_OK)
        status = store->ops->receipt_advance(store->engine, receipts_a_step, &unchained, &error);
    if (status == WEIR_OK)
        status = keep_ledger(store, &ledger_more, &error);
    if (status == WEIR_OK)
        status = sweep_objects(store, now_ns, &error);
    (void)store__note(store, status, &error);
    more = more || unchained || ledger_more || removed == contents_a_step;
    if (more)
        store->next_upkeep_ns = weir_clock_monotonic_ns() + pause_ns;
}

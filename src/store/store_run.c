/* Work of others on the store thread: what is no operation of one kind, but reads, decides and writes in one transaction.
 *
 * Billing and receipts need this. The store knows nothing of what is done; it gives the turn and the engine, and takes care of who waits: a loop
 * that was forgotten gets no reply, and what the work has kept is released all the same.
 */
#include "store/store_impl.h"

static enum weir_status run_work(struct weir_store *store, struct store__operation *operation,
                                 struct weir_error *error) {
    const struct weir_store_work *work = &operation->work;
    return work->run(work->context, store->ops, store->engine, error);
}

enum weir_status weir_store_run(struct weir_store *store, struct weir_loop *loop, const struct weir_store_work *work) {
    struct store__operation *operation = store__operation_new(loop, 0);
    if (operation == NULL) {
        if (work->release != NULL)
            work->release(work->context);
        return WEIR_ENOMEM;
    }
    operation->run = run_work;
    operation->reply = work->reply;
    operation->context = work->context;
    operation->work = *work;
    return store__submit(store, operation);
}

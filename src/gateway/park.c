/* Requests that wait for room in a budget: for the store to say how much there is, or for other requests to end.
 *
 * They stand in one list a worker, in the order in which they came, and ask again when the meter says that there may be room, and now and then besides. A
 * parked request holds nothing. How long one may wait is the meter's to say; its deadline, its client's leaving and the end of the process
 * end it as they end any other.
 */
#include "gateway/impl.h"

enum { AGAIN_MS = 50 };

void gateway__unpark(struct weir_request *request) {
    if (!request->meter.is_parked)
        return;
    request->meter.is_parked = false;
    weir_timer_stop(&request->meter.again);
    weir_list_remove(&request->meter.parked);
}

static void ask_again(void *argument) {
    gateway__resume(argument, AGAIN);
}

enum gateway__next gateway__park(struct weir_request *request) {
    struct weir_worker *worker = request->worker;
    struct gateway__meter *meter = &request->meter;
    if (meter->waits_since_ns == 0)
        meter->waits_since_ns = weir_loop_now_ns(worker->loop);
    meter->is_parked = true;
    weir_list_append(&worker->parked, &meter->parked);
    weir_timer_start(worker->loop, &meter->again, AGAIN_MS, ask_again, request);
    return WAIT;
}

int64_t gateway__waited_ms(const struct weir_request *request) {
    int64_t since_ns = request->meter.waits_since_ns;
    return since_ns == 0 ? 0 : (weir_loop_now_ns(request->worker->loop) - since_ns) / 1000000;
}

/* Each asks once: those for whom there is no room stand in the new list, in the same order. */
static void run_wake(struct weir_message *message) {
    struct weir_worker *worker = WEIR_CONTAINER_OF(message, struct weir_worker, room_message);
    struct weir_list waiting;
    atomic_store(&worker->room_posted, false); /* before anything is asked: what becomes free from here on posts anew */
    weir_list_init(&waiting);
    while (!weir_list_is_empty(&worker->parked)) {
        struct weir_list *first = worker->parked.next;
        weir_list_remove(first);
        weir_list_append(&waiting, first);
    }
    while (!weir_list_is_empty(&waiting))
        gateway__resume(WEIR_CONTAINER_OF(waiting.next, struct weir_request, meter.parked), AGAIN);
}

void weir_worker_wake(struct weir_worker *worker) {
    if (atomic_exchange(&worker->room_posted, true))
        return;
    worker->room_message.run = run_wake;
    weir_loop_post(worker->loop, &worker->room_message);
}

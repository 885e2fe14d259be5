/* Giving back: what a request holds of limits and budgets ends here, with what it cost, whatever its ending was.
 *
 * It is called when the journal has the request's close (never before: room must not be free for others as long as the ledger cannot know what filled
 * it), before an answer that needed no provider is written, and once more where a request is freed, so that no ending can leave anything behind.
 */
#include "gateway/impl.h"

static void settle(struct weir_hold *hold, int64_t cu_milli, int64_t tokens, int64_t requests) {
    if (hold->binding != NULL)
        weir_meter_settle(hold, cu_milli < hold->cu_milli ? cu_milli : hold->cu_milli, tokens, requests);
}

/* What one provider's budget is charged for attempts that failed behind others. */
static void settle_kept(struct weir_request *request) {
    struct gateway__meter *meter = &request->meter;
    for (size_t i = 0; i < meter->kept_count; i++)
        settle(&meter->kept[i].hold,
               request->settled ? request->entry.attempts[meter->kept[i].attempt].cost_cu_milli : 0, 0, 0);
    meter->kept_count = 0;
}

void gateway__charge(struct weir_request *request) {
    struct gateway__meter *meter = &request->meter;
    const struct weir_ledger_entry *entry = &request->entry;
    bool charged = request->journal_opened; /* else it reached no provider */
    int64_t cost = charged ? entry->cost_cu_milli : 0;
    int64_t tokens = charged ? gateway__tokens_of(&request->usage) : 0;
    int64_t requests = charged ? 1 : 0;
    settle(&meter->caller_hold, cost, tokens, requests);
    settle(&meter->model_hold, cost, tokens, requests);
    if (meter->provider_hold.binding != NULL)
        settle(&meter->provider_hold, cost + (charged ? entry->attempts[meter->attempt].cost_cu_milli : 0), tokens,
               requests);
    if (meter->kept_count > 0)
        settle_kept(request);
    if (meter->caller.binding == NULL && meter->model.binding == NULL && meter->provider.binding == NULL)
        return;
    int64_t now_ns = weir_loop_now_ns(request->worker->loop);
    weir_meter_leave(&meter->caller, tokens, now_ns);
    weir_meter_leave(&meter->model, tokens, now_ns);
    weir_meter_leave(&meter->provider, tokens, now_ns);
}

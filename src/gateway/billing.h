/* Billing on the data plane: what its files share.
 *
 * A request of these endpoints becomes a task that owns copies of all that it needs, runs on the store thread (weir_store_run), and comes back with the whole
 * answer. Its request may be gone by then; the task is done all the same, and a request that changed something can be repeated with its key.
 */
#ifndef WEIR_GATEWAY_BILLING_H
#define WEIR_GATEWAY_BILLING_H

#include "gateway/impl.h"
#include "json/write.h"
#include "meter/billing.h"
#include "meter/idempotency.h"

#include <yyjson.h>

struct gateway__billing_task;
struct weir_payment_event;
/* On the store thread: writes the answer, or leaves a reason in task->turn. */
typedef enum weir_status (*gateway__billing_run)(struct gateway__billing_task *task, struct weir_json_writer *writer);

struct gateway__billing_action {
    gateway__billing_run run;
    const char *schema;            /* of the body, JSON; NULL: it takes none */
    const char *const *parameters; /* of the query, up to a NULL; NULL: none */
    unsigned status;               /* when it went well; 0: 200 */
    bool needs_idempotency;
    bool changes; /* in a transaction */
    bool is_raw;  /* whoever begins it has read the body */
};

struct gateway__billing_task {
    struct weir_arena *arena;
    struct gateway__lookup *lookup; /* the asking worker's */
    const struct gateway__billing_action *action;
    struct weir_span workspace, key_id, client_address, method, path, request_id, brand_upper, id, query;
    yyjson_val *body;
    struct weir_billing_settings settings; /* its texts are the task's */
    struct weir_uuid instance;
    char idempotency_key[WEIR_UUID_TEXT_SIZE], hash[WEIR_IDEMPOTENCY_HASH_SIZE];
    struct weir_billing_turn turn;
    struct weir_idempotency_answer answer;
    /* of the webhook */
    const struct weir_payment_event *event;
    struct weir_span event_id;
    bool amount_differs;
};

/* The value of a parameter of the query, decoded; empty: it was not sent. */
struct weir_span gateway__billing_parameter(const struct gateway__billing_task *task, const char *name);
/* Makes the task of a request and sends it off: WAIT, or ANSWER with a reason. `prepare` (may be NULL) fills it further. */
enum gateway__next gateway__billing_begin(struct weir_request *request, const struct gateway__billing_action *action,
                                          enum weir_status (*prepare)(struct weir_request *request,
                                                                      struct gateway__billing_task *task));

#endif

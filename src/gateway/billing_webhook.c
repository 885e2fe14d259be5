/* The payment system's word on a purchase.
 *
 * It has no API key: its signature says who it is, and is checked before a byte of the body is read as anything. What it says about a purchase is done
 * in one transaction with the purchase's state, so the same word again changes nothing and is answered well. Amounts that differ are an alarm, not
 * a credit.
 */
#include "gateway/billing.h"
#include "meter/billing_webhook.h"

static void write_done(struct weir_json_writer *writer, const struct weir_purchase *purchase, bool credited) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "purchase", purchase->id);
    weir_json_member_text(writer, "state", weir_purchase_state_name(purchase->state));
    weir_json_member_bool(writer, "credited", credited);
    weir_json_write_end(writer);
}

static enum weir_status pay(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    struct weir_billing_turn *turn = &task->turn;
    const struct weir_payment_event *event = task->event;
    struct weir_purchase purchase;
    bool credited = false;
    enum weir_status status = weir_purchase_get(turn, WEIR_SPAN(""), event->purchase, &purchase);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE)
        return status;
    if (event->cu_milli != purchase.cu_milli) {
        task->amount_differs = true;
        turn->reason = WEIR_REASON_FIELD_INVALID;
        turn->field = "data.cu_milli";
        (void)snprintf(turn->detail, sizeof turn->detail, "it is not the amount of the purchase");
        return WEIR_OK;
    }
    if (event->kind == WEIR_PAYMENT_SUCCEEDED)
        status = weir_purchase_approve(turn, event->purchase, task->event_id, &purchase, &credited);
    else
        status = weir_purchase_reject(turn, event->purchase,
                                      event->reason.length > 0 ? event->reason : WEIR_SPAN("the payment failed"),
                                      task->event_id, &purchase);
    if (status == WEIR_OK && turn->reason == WEIR_REASON_NONE)
        write_done(writer, &purchase, credited);
    return status;
}

/* Of a type that is none of our business: well received. */
static enum weir_status pass_over(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    (void)task;
    weir_json_write_object(writer);
    weir_json_member_bool(writer, "ignored", true);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static const struct gateway__billing_action payment = {.run = pay, .changes = true, .is_raw = true},
                                            ignored = {.run = pass_over, .is_raw = true};

static enum weir_status prepare(struct weir_request *request, struct gateway__billing_task *task) {
    struct weir_payment_event *event = weir_arena_alloc(task->arena, sizeof *event);
    const struct weir_payment_event *read = request->list;
    const struct weir_span *id = weir_http_head_find(request->head, WEIR_SPAN("webhook-id"));
    task->turn.actor = WEIR_SPAN("payment");
    task->event = event;
    if (event == NULL || id == NULL || weir_arena_dup(task->arena, *id, &task->event_id) != WEIR_OK)
        return WEIR_ENOMEM;
    *event = *read;
    enum weir_status status = weir_arena_dup(task->arena, read->purchase, &event->purchase);
    return status == WEIR_OK ? weir_arena_dup(task->arena, read->reason, &event->reason) : status;
}

enum gateway__next gateway__billing_payment(struct weir_request *request) {
    const struct weir_gateway *gateway = request->worker->gateway;
    const struct weir_webhook webhook = {.id = weir_http_head_find(request->head, WEIR_SPAN("webhook-id")),
                                         .timestamp = weir_http_head_find(request->head,
                                                                          WEIR_SPAN("webhook-timestamp")),
                                         .signature = weir_http_head_find(request->head,
                                                                          WEIR_SPAN("webhook-signature")),
                                         .body = weir_buffer_span(&request->body)};
    const char *field = NULL, *why = "no payment system is set up here: see billing.payment and billing.webhook_secret";
    enum weir_reason reason = WEIR_REASON_PAYMENT_SIGNATURE_INVALID;
    if (gateway__settings(request)->billing.payment == WEIR_PAYMENT_WEBHOOK && gateway->webhook_secret != NULL)
        reason = weir_webhook_verify(&webhook, weir_secret_reveal(gateway->webhook_secret),
                                     weir_loop_utc_us(request->worker->loop), &why);
    struct weir_payment_event *event = weir_arena_alloc(request->arena, sizeof *event);
    if (event == NULL)
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    if (reason == WEIR_REASON_NONE)
        reason = weir_payment_event_read(request->arena, webhook.body, event, &field, &why);
    if (reason != WEIR_REASON_NONE)
        return gateway__fail(request, reason, field, "%s", why != NULL ? why : "");
    request->list = event;
    return gateway__billing_begin(request, event->kind == WEIR_PAYMENT_OTHER ? &ignored : &payment, prepare);
}

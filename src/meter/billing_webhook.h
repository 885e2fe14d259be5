/* What a payment system says, and whether it is it that says so: Standard Webhooks' headers and signatures. Pure functions. */
#ifndef WEIR_METER_BILLING_WEBHOOK_H
#define WEIR_METER_BILLING_WEBHOOK_H

#include "base/arena.h"
#include "base/reasons.h"

#define WEIR_WEBHOOK_TOLERANCE_US ((int64_t)5 * 60 * 1000000)

/* As the headers have them; NULL: absent. */
struct weir_webhook {
    const struct weir_span *id, *timestamp, *signature;
    struct weir_span body;
};
/* Whether one of the signatures is `secret`'s ("whsec_" and base64, or any bytes) over id, timestamp and body, and the timestamp within five minutes of
 * now. NONE, or PAYMENT_SIGNATURE_INVALID with static words in *why. The time that it takes does not depend on what is wrong with a signature. */
enum weir_reason weir_webhook_verify(const struct weir_webhook *webhook, struct weir_span secret, int64_t now_utc_us,
                                     const char **why);

enum weir_payment_event_kind { WEIR_PAYMENT_OTHER, WEIR_PAYMENT_SUCCEEDED, WEIR_PAYMENT_FAILED };
struct weir_payment_event {
    enum weir_payment_event_kind kind;
    struct weir_span purchase, reason;
    int64_t cu_milli;
};
/* {"type":"payment.succeeded"|"payment.failed","timestamp":"…","data":{"purchase":"pur_…","cu_milli":N,"reason":"…"}}. Of the two types every member is
 * known, or it is refused: FIELD_INVALID, FIELD_MISSING or JSON_INVALID with *field and words. Other types are OTHER, whatever else they say. */
enum weir_reason weir_payment_event_read(struct weir_arena *arena, struct weir_span body,
                                         struct weir_payment_event *event, const char **field, const char **why);

#endif

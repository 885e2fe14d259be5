/* links: base json net store meter */
/* What comes from outside without a key, or as a key's own: a payment system's headers and words, and an Idempotency-Key with its body.
 *
 * The first byte chooses. Nothing that was not made with the secret may verify; what is read as an event names a purchase and an amount above 0; the hash
 * of a body does not depend on the spaces around it.
 */
#include "meter/billing_webhook.h"
#include "meter/idempotency.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void read_event(struct weir_arena *arena, struct weir_span text) {
    struct weir_payment_event event;
    const char *field = NULL, *why = NULL;
    enum weir_reason reason = weir_payment_event_read(arena, text, &event, &field, &why);
    if (reason == WEIR_REASON_NONE && event.kind != WEIR_PAYMENT_OTHER)
        require(event.purchase.length > 0 && event.cu_milli > 0);
}

static void verify(struct weir_span text) {
    struct weir_span id, at, signature, rest;
    const char *why = NULL;
    (void)weir_span_split(text, '\n', &id, &rest);
    (void)weir_span_split(rest, '\n', &at, &rest);
    (void)weir_span_split(rest, '\n', &signature, &rest);
    const struct weir_webhook webhook = {.id = &id, .timestamp = &at, .signature = &signature, .body = rest};
    require(weir_webhook_verify(&webhook, WEIR_SPAN("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), 1614265330000000,
                                &why) != WEIR_REASON_NONE);
}

static void hash(struct weir_arena *arena, struct weir_span text) {
    char first[WEIR_IDEMPOTENCY_HASH_SIZE], second[WEIR_IDEMPOTENCY_HASH_SIZE], key[WEIR_UUID_TEXT_SIZE];
    (void)weir_idempotency_key(&text, key);
    if (weir_idempotency_hash(arena, WEIR_SPAN("POST"), WEIR_SPAN("/"), text, first) != WEIR_OK || text.length == 0)
        return;
    const char *spaced = weir_arena_format(arena, " %.*s ", WEIR_SPAN_PRINT(text));
    require(spaced == NULL ||
            weir_idempotency_hash(arena, WEIR_SPAN("POST"), WEIR_SPAN("/"), weir_span_of_string(spaced), second) !=
                WEIR_OK ||
            strcmp(first, second) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct weir_arena *arena = weir_arena_new(0, 64 * 1024 * 1024);
    struct weir_span text = weir_span_of((const char *)&data[1], size - 1);
    if (data[0] % 3 == 0)
        read_event(arena, text);
    else if (data[0] % 3 == 1)
        verify(text);
    else
        hash(arena, text);
    weir_arena_free(&arena);
    return 0;
}

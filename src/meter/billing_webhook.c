/* See billing_webhook.h. */
#include "meter/billing_webhook.h"

#include "json/schema.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { DIGEST = 32, DIGEST_TEXT = 44, MOST_KEY = 512, MOST_SIGNATURES = 10, MOST_ID = 256 };

/* --- signatures --- */

/* "whsec_" and base64 as the bytes that it stands for; anything else as it is. 0: it is no base64, or too long. */
static size_t key_bytes(struct weir_span secret, unsigned char out[MOST_KEY]) {
    if (!weir_span_starts_with(secret, WEIR_SPAN("whsec_"))) {
        size_t length = secret.length <= MOST_KEY ? secret.length : 0;
        if (length > 0)
            memcpy(out, secret.at, length);
        return length;
    }
    struct weir_span text = weir_span_from(secret, strlen("whsec_"));
    if (text.length == 0 || text.length % 4 != 0 || text.length / 4 * 3 > MOST_KEY)
        return 0;
    int length = EVP_DecodeBlock(out, (const unsigned char *)text.at, (int)text.length);
    for (size_t i = text.length; length > 0 && i > text.length - 2 && text.at[i - 1] == '='; i--)
        length--;
    return length > 0 ? (size_t)length : 0;
}

static bool sign(const struct weir_webhook *webhook, const unsigned char *key, size_t key_length,
                 char text[DIGEST_TEXT + 1]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    const struct weir_span parts[] = {*webhook->id, WEIR_SPAN("."), *webhook->timestamp, WEIR_SPAN("."), webhook->body};
    size_t total = 0, at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        total += parts[i].length;
    struct weir_arena *arena = weir_arena_new(0, total + 4096);
    unsigned char *signed_bytes = arena != NULL ? weir_arena_alloc_raw(arena, total) : NULL;
    if (signed_bytes != NULL) {
        for (size_t i = 0; i < sizeof parts / sizeof *parts; at += parts[i++].length)
            if (parts[i].length > 0)
                memcpy(&signed_bytes[at], parts[i].at, parts[i].length);
        if (HMAC(EVP_sha256(), key, (int)key_length, signed_bytes, total, digest, &length) == NULL)
            length = 0;
    }
    weir_arena_free(&arena);
    if (length == DIGEST)
        (void)EVP_EncodeBlock((unsigned char *)text, digest, DIGEST);
    return length == DIGEST;
}

/* "v1,<base64> v1,<base64> …": those of other versions are passed over. */
static bool any_matches(struct weir_span signatures, const char expected[DIGEST_TEXT + 1]) {
    struct weir_span one;
    bool matches = false;
    for (size_t i = 0; i < MOST_SIGNATURES && signatures.length > 0; i++) {
        (void)weir_span_split(signatures, ' ', &one, &signatures);
        if (!weir_span_starts_with(one, WEIR_SPAN("v1,")) || one.length != strlen("v1,") + DIGEST_TEXT)
            continue;
        matches = (CRYPTO_memcmp(one.at + strlen("v1,"), expected, DIGEST_TEXT) == 0) || matches;
    }
    return matches;
}

enum weir_reason weir_webhook_verify(const struct weir_webhook *webhook, struct weir_span secret, int64_t now_utc_us,
                                     const char **why) {
    unsigned char key[MOST_KEY];
    char expected[DIGEST_TEXT + 1];
    int64_t seconds = 0, now_seconds = now_utc_us / 1000000, tolerance = WEIR_WEBHOOK_TOLERANCE_US / 1000000;
    *why = "webhook-id, webhook-timestamp and webhook-signature are needed";
    if (webhook->id == NULL || webhook->timestamp == NULL || webhook->signature == NULL || webhook->id->length == 0 ||
        webhook->id->length > MOST_ID)
        return WEIR_REASON_PAYMENT_SIGNATURE_INVALID;
    *why = "webhook-timestamp is not within five minutes of now";
    if (weir_span_to_int64(*webhook->timestamp, &seconds) != WEIR_OK || seconds < 0 || seconds > INT64_MAX / 2000000 ||
        seconds < now_seconds - tolerance || seconds > now_seconds + tolerance)
        return WEIR_REASON_PAYMENT_SIGNATURE_INVALID;
    *why = "no signature is of this secret and these bytes";
    size_t length = key_bytes(secret, key);
    bool good = length > 0 && sign(webhook, key, length, expected) && any_matches(*webhook->signature, expected);
    OPENSSL_cleanse(key, sizeof key);
    return good ? WEIR_REASON_NONE : WEIR_REASON_PAYMENT_SIGNATURE_INVALID;
}

/* --- what it says --- */

static const char event_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"type\",\"data\"],\"properties\":{"
    "\"type\":{\"type\":\"string\"},"
    "\"timestamp\":{\"type\":\"string\",\"maxLength\":64},"
    "\"data\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"purchase\",\"cu_milli\"],\"properties\":{"
    "\"purchase\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64},"
    "\"cu_milli\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9007199254740991},"
    "\"reason\":{\"type\":[\"string\",\"null\"],\"maxLength\":200}}}}}";

static struct weir_span text_of(yyjson_val *object, const char *name) {
    yyjson_val *value = yyjson_obj_get(object, name);
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

enum weir_reason weir_payment_event_read(struct weir_arena *arena, struct weir_span body,
                                         struct weir_payment_event *event, const char **field, const char **why) {
    struct weir_schema_problem problem = {.text = ""};
    yyjson_doc *document = NULL, *schema = NULL;
    *event = (struct weir_payment_event){.kind = WEIR_PAYMENT_OTHER};
    *field = NULL;
    *why = "";
    if (weir_json_read(arena, body, &document, &problem) != WEIR_OK) {
        *why = weir_arena_format(arena, "%s", problem.text);
        return WEIR_REASON_JSON_INVALID;
    }
    yyjson_val *root = yyjson_doc_get_root(document);
    struct weir_span type = text_of(root, "type");
    enum weir_payment_event_kind kind = weir_span_equal(type, WEIR_SPAN("payment.succeeded")) ? WEIR_PAYMENT_SUCCEEDED
                                        : weir_span_equal(type, WEIR_SPAN("payment.failed"))  ? WEIR_PAYMENT_FAILED
                                                                                              : WEIR_PAYMENT_OTHER;
    if (kind == WEIR_PAYMENT_OTHER && type.length > 0)
        return WEIR_REASON_NONE;
    if (weir_json_read(arena, weir_span_of_string(event_schema), &schema, &problem) != WEIR_OK)
        return WEIR_REASON_INTERNAL;
    yyjson_val *rules = yyjson_doc_get_root(schema), *data = yyjson_obj_get(root, "data");
    if (weir_schema_check(rules, rules, root, &problem) != WEIR_OK) {
        *field = weir_arena_format(arena, "%s", problem.member);
        *why = weir_arena_format(arena, "%s", problem.text);
        return problem.is_missing ? WEIR_REASON_FIELD_MISSING : WEIR_REASON_FIELD_INVALID;
    }
    *event = (struct weir_payment_event){.kind = kind,
                                         .purchase = text_of(data, "purchase"),
                                         .reason = text_of(data, "reason"),
                                         .cu_milli = yyjson_get_sint(yyjson_obj_get(data, "cu_milli"))};
    return WEIR_REASON_NONE;
}

/* links: base json identity */
/* What anybody may send as a credential to the operator plane: a token, a signed token, a Cookie field.
 *
 * Held: without its key no signed token is read; with it, what is signed is read back the same, and bytes that were signed but are not what weir writes are refused or
 * read, never worse; what passes as a token has its brand, environment, length and checksum; a cookie is a part of its field.
 */
#include "base/limits.h"
#include "identity/sessions.h"

#include <sodium.h>

static const struct weir_key_format format = {.brand = {.at = "weir", .length = 4},
                                              .environment = {.at = "dev", .length = 3}};

static void append_base64(struct weir_buffer *out, const void *bytes, size_t size) {
    size_t room = sodium_base64_encoded_len(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *to = weir_buffer_reserve(out, room);
    weir_bug_on(to == NULL);
    (void)sodium_bin2base64(to, room, bytes, size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    weir_buffer_commit(out, room - 1);
}

/* The input as header and payload of a token whose signature is right. */
static void check_signed(const struct weir_secret *key, struct weir_arena *arena, struct weir_span input) {
    struct weir_buffer token;
    struct weir_claims claims;
    struct weir_span header, payload;
    unsigned char signature[crypto_auth_hmacsha256_BYTES];
    (void)weir_span_split(input, '\n', &header, &payload);
    weir_buffer_init(&token, WEIR_MIB);
    append_base64(&token, header.at, header.length);
    weir_buffer_append_byte(&token, '.');
    append_base64(&token, payload.at, payload.length);
    (void)crypto_auth_hmacsha256(signature, (const unsigned char *)token.at, token.length,
                                 (const unsigned char *)weir_secret_reveal(key).at);
    weir_buffer_append_byte(&token, '.');
    append_base64(&token, signature, sizeof signature);
    enum weir_status status = weir_claims_read(key, weir_buffer_span(&token), arena, &claims);
    weir_bug_on(status == WEIR_EDENIED);
    if (status == WEIR_OK) {
        weir_bug_on(claims.subject.length == 0 || claims.session.length == 0 || claims.expires_s <= 0);
        weir_bug_on(claims.role == WEIR_ROLE_NONE);
        struct weir_claims again;
        struct weir_buffer own;
        weir_buffer_init(&own, WEIR_MIB);
        weir_bug_on(weir_claims_sign(key, &claims, &own) != WEIR_OK && weir_buffer_status(&own) == WEIR_OK);
        if (own.length > 0 && own.length <= WEIR_SIGNED_MAX &&
            weir_claims_read(key, weir_buffer_span(&own), arena, &again) == WEIR_OK)
            weir_bug_on(again.role != claims.role || again.expires_s != claims.expires_s);
        weir_buffer_release(&own);
    }
    weir_buffer_release(&token);
}

static void check_token(struct weir_span input) {
    enum weir_status status = weir_token_check(&format, input);
    if (status == WEIR_OK) {
        char digits[WEIR_KEY_CHECK_DIGITS];
        size_t covered = input.length - WEIR_KEY_CHECK_DIGITS;
        weir_bug_on(!weir_span_starts_with(input, WEIR_SPAN("weir_op_dev_")) || covered != 12 + WEIR_KEY_RANDOM_DIGITS);
        weir_base62_format(weir_crc32(0, weir_span_first(input, covered)), digits, sizeof digits);
        weir_bug_on(memcmp(digits, input.at + covered, sizeof digits) != 0);
    } else if (status == WEIR_EDENIED) {
        weir_bug_on(!weir_span_starts_with(input, WEIR_SPAN("weir_op_")));
    } else {
        weir_bug_on(status != WEIR_EINVAL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char bytes[WEIR_SIGNING_KEY_BYTES] = "the same for every run";
    const struct weir_span input = weir_span_of((const char *)data, size);
    struct weir_arena *arena = weir_arena_new(0, 16 * WEIR_MIB);
    struct weir_secret *key = weir_secret_new(weir_span_of(bytes, sizeof bytes));
    struct weir_claims claims;
    struct weir_span value;
    weir_bug_on(arena == NULL || key == NULL);
    weir_bug_on(weir_claims_read(key, input, arena, &claims) == WEIR_OK);
    check_signed(key, arena, input);
    check_token(input);
    if (weir_cookie_find(input, WEIR_SPAN("weir_session"), &value) == WEIR_OK)
        weir_bug_on(value.at < input.at || value.at + value.length > input.at + input.length);
    weir_secret_free(&key);
    weir_arena_free(&arena);
    return 0;
}

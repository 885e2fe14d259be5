/* An API key from the bytes of a header: cheap checks first, nothing remembered, nothing allocated.
 *
 * The checksum is no secret and proves nothing; it keeps typing errors and made-up keys away from the look-up. What
 * proves a key is that its SHA-256 is known.
 */

/* The one-shot SHA256() of OpenSSL 3 searches its providers and allocates at every call; these older functions are
 * plain arithmetic, and a key is hashed for every request. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "identity/key.h"

#include "base/limits.h"
#include "base/memory.h"

#include <openssl/sha.h>

enum { RANDOM_AND_CHECK_DIGITS = WEIR_KEY_RANDOM_DIGITS + WEIR_KEY_CHECK_DIGITS };

static const char *const environments[] = {"dev", "stage", "prod"};

static bool is_environment(struct weir_span name) {
    for (size_t i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
        if (weir_span_equal(name, weir_span_of_string(environments[i]))) {
            return true;
        }
    }
    return false;
}

enum weir_reason weir_key_from_header(const struct weir_span *authorization, struct weir_span *key) {
    const struct weir_span scheme = WEIR_SPAN("Bearer ");
    if (authorization == NULL) {
        return WEIR_REASON_KEY_MISSING;
    }
    if (!weir_span_starts_with(*authorization, scheme)) {
        return WEIR_REASON_KEY_MALFORMED;
    }
    struct weir_span rest = weir_span_from(*authorization, scheme.length);
    for (size_t i = 0; i < rest.length; i++) {
        if (rest.at[i] <= ' ' || rest.at[i] > '~') {
            return WEIR_REASON_KEY_MALFORMED; /* a second space, a second credential, bytes of no key */
        }
    }
    if (weir_span_is_empty(rest)) {
        return WEIR_REASON_KEY_MALFORMED;
    }
    *key = rest;
    return WEIR_REASON_NONE;
}

static void check_digits_of(struct weir_span before, char digits[WEIR_KEY_CHECK_DIGITS]) {
    weir_base62_format(weir_crc32(0, before), digits, WEIR_KEY_CHECK_DIGITS);
}

enum weir_reason weir_key_check(const struct weir_key_format *format, struct weir_span key) {
    struct weir_span brand;
    struct weir_span environment;
    struct weir_span digits;
    if (key.length > WEIR_MAX_KEY_BYTES || !weir_span_split(key, '_', &brand, &digits) ||
        !weir_span_equal(brand, format->brand) || !weir_span_split(digits, '_', &environment, &digits)) {
        return WEIR_REASON_KEY_INVALID;
    }
    bool is_ours = weir_span_equal(environment, format->environment);
    if ((!is_ours && !is_environment(environment)) || digits.length != RANDOM_AND_CHECK_DIGITS) {
        return WEIR_REASON_KEY_INVALID;
    }
    for (size_t i = 0; i < digits.length; i++) {
        if (!weir_base62_is_digit(digits.at[i])) {
            return WEIR_REASON_KEY_INVALID;
        }
    }
    if (!is_ours) {
        return WEIR_REASON_KEY_WRONG_ENVIRONMENT;
    }
    char expected[WEIR_KEY_CHECK_DIGITS];
    size_t covered = key.length - WEIR_KEY_CHECK_DIGITS;
    check_digits_of(weir_span_first(key, covered), expected);
    return weir_span_equal(weir_span_from(key, covered), weir_span_of(expected, sizeof(expected)))
               ? WEIR_REASON_NONE
               : WEIR_REASON_KEY_INVALID;
}

static bool is_brand(struct weir_span brand) {
    for (size_t i = 0; i < brand.length; i++) {
        char byte = brand.at[i];
        if ((byte < 'a' || byte > 'z') && (byte < '0' || byte > '9')) {
            return false;
        }
    }
    return brand.length > 0;
}

static char *put(char *to, struct weir_span span) {
    memcpy(to, span.at, span.length);
    return to + span.length;
}

enum weir_status weir_key_make(const struct weir_key_format *format, struct weir_random *random,
                               struct weir_secret **key) {
    if (!is_brand(format->brand) || !is_environment(format->environment)) {
        return WEIR_EINVAL;
    }
    size_t tail = 2 + format->environment.length + RANDOM_AND_CHECK_DIGITS;
    if (format->brand.length > WEIR_MAX_KEY_BYTES - tail) {
        return WEIR_ELIMIT;
    }
    char text[WEIR_MAX_KEY_BYTES];
    char *at = put(text, format->brand);
    *at++ = '_';
    at = put(at, format->environment);
    *at++ = '_';
    weir_base62_random(random, at, WEIR_KEY_RANDOM_DIGITS);
    at += WEIR_KEY_RANDOM_DIGITS;
    check_digits_of(weir_span_of(text, (size_t)(at - text)), at);
    at += WEIR_KEY_CHECK_DIGITS;
    struct weir_secret *made = weir_secret_new(weir_span_of(text, (size_t)(at - text)));
    weir_memory_wipe(text, sizeof(text));
    if (made == NULL) {
        return WEIR_ENOMEM;
    }
    *key = made;
    return WEIR_OK;
}

void weir_key_hash(struct weir_span key, unsigned char hash[32]) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, key.at, key.length);
    SHA256_Final(hash, &context);
    weir_memory_wipe(&context, sizeof(context)); /* the last block is the key */
}

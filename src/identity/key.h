/* API keys: <brand>_<env>_<43 base62 characters><6 base62 characters: CRC-32 of all before>.
 *
 * Everything up to the look-up is decided from the header's bytes alone.
 */
#ifndef WEIR_IDENTITY_KEY_H
#define WEIR_IDENTITY_KEY_H

#include "base/ids.h"
#include "base/reasons.h"
#include "base/secret.h"

enum { WEIR_KEY_RANDOM_DIGITS = 43, WEIR_KEY_CHECK_DIGITS = 6 };

/* What this process's keys look like. */
struct weir_key_format {
    struct weir_span brand;       /* "weir": [a-z0-9]+ */
    struct weir_span environment; /* "dev", "stage", "prod" */
};

/* Exactly "Bearer " and the key, nothing else: WEIR_REASON_NONE and *key; else KEY_MISSING (header absent: NULL) or
 * KEY_MALFORMED. */
enum weir_reason weir_key_from_header(const struct weir_span *authorization, struct weir_span *key);
/* Brand, environment, alphabet, length, checksum. NONE, KEY_INVALID (not ours, or the checksum is wrong),
 * KEY_WRONG_ENVIRONMENT (well-formed for another environment). */
enum weir_reason weir_key_check(const struct weir_key_format *format, struct weir_span key);
/* Makes a new key. */
WEIR_MUST enum weir_status weir_key_make(const struct weir_key_format *format, struct weir_random *random,
                                         struct weir_secret **key);
/* SHA-256 of the whole key. */
void weir_key_hash(struct weir_span key, unsigned char hash[32]);

#endif

/* See passwords.h. */
#include "identity/passwords.h"

#include "base/memory.h"

#include <sodium.h>

_Static_assert(WEIR_PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "the size of a hash's text");

static enum weir_status hash_any(struct weir_span password, char hash[WEIR_PASSWORD_HASH_SIZE]) {
    if (sodium_init() < 0)
        return WEIR_ENOMEM;
    return crypto_pwhash_str_alg(hash, password.at, password.length, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                 crypto_pwhash_MEMLIMIT_INTERACTIVE, crypto_pwhash_ALG_ARGON2ID13) == 0
               ? WEIR_OK
               : WEIR_ENOMEM;
}

enum weir_status weir_password_hash(struct weir_span password, char hash[WEIR_PASSWORD_HASH_SIZE]) {
    if (password.length < WEIR_PASSWORD_MIN_BYTES || password.length > WEIR_PASSWORD_MAX_BYTES)
        return WEIR_EINVAL;
    return hash_any(password, hash);
}

bool weir_password_matches(struct weir_span hash, struct weir_span password) {
    char text[WEIR_PASSWORD_HASH_SIZE] = "";
    if (sodium_init() < 0 || weir_span_to_string(hash, text, sizeof text) != WEIR_OK)
        return false;
    bool matches = crypto_pwhash_str_verify(text, password.at, password.length) == 0;
    weir_memory_wipe(text, sizeof text);
    return matches;
}

enum weir_status weir_password_of_nobody(char hash[WEIR_PASSWORD_HASH_SIZE]) {
    char password[32];
    if (sodium_init() < 0)
        return WEIR_ENOMEM;
    randombytes_buf(password, sizeof password);
    enum weir_status status = hash_any(weir_span_of(password, sizeof password), hash);
    weir_memory_wipe(password, sizeof password);
    return status;
}

/* Sealing with XChaCha20-Poly1305 (libsodium).
 *
 * The keys lie in memory of libsodium's own: locked (not swapped), kept out of core dumps, between guard pages, read-only once they are there and
 * wiped when they go. A key's id is a keyed hash of a constant, so that it tells nothing about the key. The random nonce has 24 bytes: two blobs
 * never meet in one, however many are sealed with a key. Nothing here logs, and no message holds a byte of a key or of what is sealed.
 */
#include "secrets/sealing.h"

#include "base/arithmetic.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/memory.h"
#include "secrets/secrets.h"

#include <sodium.h>

enum {
    KEY_ID_BYTES = 8,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    MAGIC_BYTES = 3,
    HEAD_BYTES = MAGIC_BYTES + KEY_ID_BYTES + NONCE_BYTES,
    MAX_KEYS = 64
};

static const char magic[] = "WS1";

struct sealing_key {
    unsigned char bytes[WEIR_SEALING_KEY_BYTES];
    unsigned char id[KEY_ID_BYTES];
};

struct weir_sealing {
    size_t count;
    struct sealing_key *keys; /* libsodium's memory */
};

_Static_assert((int)WEIR_SEALING_KEY_BYTES == (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one size of keys");
_Static_assert((int)WEIR_SEALING_KEY_ID_SIZE == 2 * KEY_ID_BYTES + 1, "the id as hex digits");

static void make_id(struct sealing_key *key) {
    static const unsigned char constant[] = "weir sealing key id";
    unsigned char hash[crypto_generichash_BYTES];
    (void)crypto_generichash(hash, sizeof hash, constant, sizeof constant - 1, key->bytes, sizeof key->bytes);
    memcpy(key->id, hash, KEY_ID_BYTES);
}

/* Hex digits, or base64 of either alphabet with or without its padding. */
static bool read_key(struct weir_span text, unsigned char out[WEIR_SEALING_KEY_BYTES]) {
    static const int variants[] = {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING,
                                   sodium_base64_VARIANT_URLSAFE, sodium_base64_VARIANT_URLSAFE_NO_PADDING};
    while (text.length > 0 && memchr(" \t\r\n", text.at[text.length - 1], 4) != NULL)
        text.length--;
    if (weir_hex_parse(text, out, WEIR_SEALING_KEY_BYTES) == WEIR_OK)
        return true;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        size_t length = 0;
        if (sodium_base642bin(out, WEIR_SEALING_KEY_BYTES, text.at, text.length, NULL, &length, NULL, variants[i]) ==
                0 &&
            length == WEIR_SEALING_KEY_BYTES)
            return true;
    }
    return false;
}

static enum weir_status add_key(struct weir_sealing *sealing, struct weir_span reference, struct weir_error *error) {
    struct weir_secret *text = NULL;
    enum weir_status status = weir_secrets_fetch_now(reference, &text, error);
    if (status != WEIR_OK)
        return status;
    struct sealing_key *key = &sealing->keys[sealing->count];
    bool good = read_key(weir_secret_reveal(text), key->bytes);
    weir_secret_free(&text);
    if (!good)
        return weir_fail(error, WEIR_EINVAL, "%.*s: expected 32 bytes as 64 hex digits or as base64",
                         WEIR_SPAN_PRINT(weir_secrets_describe(reference)));
    make_id(key);
    sealing->count++;
    return WEIR_OK;
}

enum weir_status weir_sealing_new(const struct weir_span *references, size_t count, struct weir_sealing **sealing,
                                  struct weir_error *error) {
    if (count > MAX_KEYS)
        return weir_fail(error, WEIR_ELIMIT, "more than %d sealing keys", MAX_KEYS);
    if (sodium_init() < 0)
        return weir_fail(error, WEIR_EIO, "the cryptographic library cannot be used");
    struct weir_sealing *made = weir_memory_new(1, sizeof *made);
    enum weir_status status = made == NULL ? weir_fail(error, WEIR_ENOMEM, "no memory for the sealing keys") : WEIR_OK;
    if (status == WEIR_OK && count > 0) {
        made->keys = sodium_allocarray(count, sizeof *made->keys);
        if (made->keys == NULL)
            status = weir_fail(error, WEIR_ENOMEM, "no memory for the sealing keys");
    }
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        status = add_key(made, references[i], error);
    if (status != WEIR_OK) {
        weir_sealing_free(&made);
        return status;
    }
    if (made->keys != NULL)
        (void)sodium_mprotect_readonly(made->keys);
    *sealing = made;
    return WEIR_OK;
}

void weir_sealing_free(struct weir_sealing **sealing) {
    if (*sealing == NULL)
        return;
    sodium_free((*sealing)->keys); /* wipes; NULL is legal */
    weir_memory_free(*sealing);
    *sealing = NULL;
}

bool weir_sealing_can_seal(const struct weir_sealing *sealing) {
    return sealing != NULL && sealing->count > 0;
}

void weir_sealing_key_id(const struct weir_sealing *sealing, char out[WEIR_SEALING_KEY_ID_SIZE]) {
    out[0] = '\0';
    if (weir_sealing_can_seal(sealing))
        weir_hex_format(sealing->keys[0].id, KEY_ID_BYTES, out);
}

enum weir_status weir_sealing_key_make(struct weir_secret **key) {
    unsigned char bytes[WEIR_SEALING_KEY_BYTES];
    char text[2 * WEIR_SEALING_KEY_BYTES + 1];
    struct weir_random random = {.left = 0};
    weir_random_fill(&random, bytes, sizeof bytes);
    weir_hex_format(bytes, sizeof bytes, text);
    struct weir_secret *made = weir_secret_new(weir_span_of(text, sizeof text - 1));
    weir_memory_wipe(&random, sizeof random);
    weir_memory_wipe(bytes, sizeof bytes);
    weir_memory_wipe(text, sizeof text);
    if (made == NULL)
        return WEIR_ENOMEM;
    *key = made;
    return WEIR_OK;
}

enum weir_status weir_sealing_seal(const struct weir_sealing *sealing, struct weir_span about, struct weir_span plain,
                                   struct weir_buffer *blob) {
    if (!weir_sealing_can_seal(sealing))
        return WEIR_EDENIED;
    size_t size = 0;
    if (!weir_add_size(plain.length, HEAD_BYTES + TAG_BYTES, &size))
        return WEIR_ELIMIT;
    char *out = weir_buffer_reserve(blob, size);
    if (out == NULL)
        return weir_buffer_status(blob);
    const struct sealing_key *key = &sealing->keys[0];
    unsigned char *nonce = (unsigned char *)out + MAGIC_BYTES + KEY_ID_BYTES;
    memcpy(out, magic, MAGIC_BYTES);
    memcpy(out + MAGIC_BYTES, key->id, KEY_ID_BYTES);
    randombytes_buf(nonce, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt((unsigned char *)out + HEAD_BYTES, NULL,
                                                     (const unsigned char *)plain.at, plain.length,
                                                     (const unsigned char *)about.at, about.length, NULL, nonce,
                                                     key->bytes);
    weir_buffer_commit(blob, size);
    return WEIR_OK;
}

static bool is_blob(struct weir_span blob) {
    return blob.length >= HEAD_BYTES + TAG_BYTES && memcmp(blob.at, magic, MAGIC_BYTES) == 0;
}

static const struct sealing_key *find_key(const struct weir_sealing *sealing, const char *id) {
    for (size_t i = 0; sealing != NULL && i < sealing->count; i++)
        if (memcmp(sealing->keys[i].id, id, KEY_ID_BYTES) == 0)
            return &sealing->keys[i];
    return NULL;
}

bool weir_sealing_has(const struct weir_sealing *sealing, struct weir_span key_id) {
    char id[KEY_ID_BYTES];
    return weir_hex_parse(key_id, id, sizeof id) == WEIR_OK && find_key(sealing, id) != NULL;
}

enum weir_status weir_sealing_open(const struct weir_sealing *sealing, struct weir_span about, struct weir_span blob,
                                   struct weir_secret **plain) {
    if (!is_blob(blob))
        return WEIR_ECORRUPT;
    const struct sealing_key *key = find_key(sealing, blob.at + MAGIC_BYTES);
    if (key == NULL)
        return WEIR_EDENIED;
    size_t length = blob.length - HEAD_BYTES - TAG_BYTES;
    char *bytes = weir_memory_new(length + 1, 1);
    if (bytes == NULL)
        return WEIR_ENOMEM;
    const unsigned char *at = (const unsigned char *)blob.at;
    enum weir_status status = WEIR_ECORRUPT;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)bytes, NULL, NULL, at + HEAD_BYTES,
                                                   length + TAG_BYTES, (const unsigned char *)about.at, about.length,
                                                   at + MAGIC_BYTES + KEY_ID_BYTES, key->bytes) == 0) {
        struct weir_secret *opened = weir_secret_new(weir_span_of(bytes, length));
        status = opened == NULL ? WEIR_ENOMEM : WEIR_OK;
        if (opened != NULL)
            *plain = opened;
    }
    weir_memory_wipe(bytes, length + 1);
    weir_memory_free(bytes);
    return status;
}

enum weir_status weir_sealing_blob_key_id(struct weir_span blob, char out[WEIR_SEALING_KEY_ID_SIZE]) {
    if (!is_blob(blob))
        return WEIR_ECORRUPT;
    weir_hex_format(blob.at + MAGIC_BYTES, KEY_ID_BYTES, out);
    return WEIR_OK;
}

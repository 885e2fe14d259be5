/* Keys, signatures and the lines of exports. See receipts.h. */
#include "meter/receipts.h"

#include "json/write.h"

#include <sodium.h>

_Static_assert(WEIR_RECEIPT_SEED_BYTES == crypto_sign_SEEDBYTES, "an Ed25519 seed");
_Static_assert(WEIR_RECEIPT_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "an Ed25519 public key");
_Static_assert(WEIR_RECEIPT_SIGNATURE_SIZE ==
                   sodium_base64_ENCODED_LEN(crypto_sign_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "an Ed25519 signature in base64url");
_Static_assert(WEIR_RECEIPT_KEY_ID_SIZE == sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "a SHA-256 in base64url");

static const char *const prefixes[] = {
    [WEIR_RECEIPT_OF_ENTRY] = "weir-receipt-v1\n",
    [WEIR_RECEIPT_END_OF_EXPORT] = "weir-receipts-end-v1\n",
};

static void encode(const unsigned char *bytes, size_t size, char *out, size_t out_size) {
    (void)sodium_bin2base64(out, out_size, bytes, size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* Exactly so many bytes, in base64url without padding. */
static bool decode(struct weir_span text, unsigned char *out, size_t size) {
    size_t length = 0;
    return sodium_base642bin(out, size, text.at, text.length, NULL, &length, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           length == size;
}

/* --- keys --- */
void weir_receipt_public_of(const unsigned char bytes[WEIR_RECEIPT_PUBLIC_BYTES], struct weir_receipt_public *key) {
    char x[WEIR_RECEIPT_KEY_ID_SIZE], text[120];
    unsigned char hash[crypto_hash_sha256_BYTES];
    memcpy(key->bytes, bytes, sizeof(key->bytes));
    encode(bytes, WEIR_RECEIPT_PUBLIC_BYTES, x, sizeof(x));
    int length = snprintf(text, sizeof(text), "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", x);
    (void)crypto_hash_sha256(hash, (const unsigned char *)text, (unsigned long long)length);
    encode(hash, sizeof(hash), key->id, sizeof(key->id));
}

enum weir_status weir_receipt_public_parse(struct weir_span text, struct weir_receipt_public *key) {
    unsigned char bytes[WEIR_RECEIPT_PUBLIC_BYTES];
    if (!decode(text, bytes, sizeof(bytes)))
        return WEIR_EINVAL;
    weir_receipt_public_of(bytes, key);
    return WEIR_OK;
}

enum weir_status weir_receipt_key_of_seed(const struct weir_secret *seed, struct weir_receipt_public *key,
                                          struct weir_secret **signing) {
    unsigned char public[crypto_sign_PUBLICKEYBYTES], private[crypto_sign_SECRETKEYBYTES];
    struct weir_span bytes = weir_secret_reveal(seed);
    if (bytes.length != WEIR_RECEIPT_SEED_BYTES)
        return WEIR_EINVAL;
    (void)crypto_sign_seed_keypair(public, private, (const unsigned char *)bytes.at);
    struct weir_secret *made = weir_secret_new(weir_span_of((const char *)private, sizeof(private)));
    sodium_memzero(private, sizeof(private));
    if (made == NULL)
        return WEIR_ENOMEM;
    weir_receipt_public_of(public, key);
    *signing = made;
    return WEIR_OK;
}

void weir_receipt_write_jwk(struct weir_json_writer *writer, const struct weir_receipt_public *key) {
    char x[WEIR_RECEIPT_KEY_ID_SIZE];
    encode(key->bytes, sizeof(key->bytes), x, sizeof(x));
    weir_json_member_text(writer, "alg", "EdDSA");
    weir_json_member_text(writer, "crv", "Ed25519");
    weir_json_member_text(writer, "kid", key->id);
    weir_json_member_text(writer, "kty", "OKP");
    weir_json_member_text(writer, "use", "sig");
    weir_json_member_text(writer, "x", x);
}

/* --- signing --- */
static enum weir_status message_of(enum weir_receipt_statement what, struct weir_span text,
                                   struct weir_buffer *message) {
    weir_buffer_init(message, WEIR_RECEIPT_LINE_BYTES);
    weir_buffer_append(message, weir_span_of_string(prefixes[what]));
    weir_buffer_append(message, text);
    return weir_buffer_status(message);
}

enum weir_status weir_receipt_sign(const struct weir_secret *signing, enum weir_receipt_statement what,
                                   struct weir_span text, char signature[WEIR_RECEIPT_SIGNATURE_SIZE]) {
    unsigned char bytes[crypto_sign_BYTES];
    struct weir_buffer message;
    struct weir_span key = weir_secret_reveal(signing);
    weir_bug_on(key.length != crypto_sign_SECRETKEYBYTES);
    enum weir_status status = message_of(what, text, &message);
    if (status == WEIR_OK) {
        (void)crypto_sign_detached(bytes, NULL, (const unsigned char *)message.at, message.length,
                                   (const unsigned char *)key.at);
        encode(bytes, sizeof(bytes), signature, WEIR_RECEIPT_SIGNATURE_SIZE);
    }
    weir_buffer_release(&message);
    return status;
}

enum weir_status weir_receipt_check(const struct weir_receipt_public *key, enum weir_receipt_statement what,
                                    struct weir_span text, struct weir_span signature) {
    unsigned char bytes[crypto_sign_BYTES];
    struct weir_buffer message;
    if (!decode(signature, bytes, sizeof(bytes)))
        return WEIR_EDENIED;
    enum weir_status status = message_of(what, text, &message);
    if (status == WEIR_OK &&
        crypto_sign_verify_detached(bytes, (const unsigned char *)message.at, message.length, key->bytes) != 0)
        status = WEIR_EDENIED;
    weir_buffer_release(&message);
    return status;
}

void weir_receipt_write_signed(struct weir_json_writer *writer, struct weir_span text,
                               const unsigned char hash[WEIR_RECEIPT_HASH_SIZE], const char *key_id,
                               const char *signature) {
    char hex[2 * WEIR_RECEIPT_HASH_SIZE + 1];
    weir_hex_format(hash, WEIR_RECEIPT_HASH_SIZE, hex);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "hash", hex);
    weir_json_member_text(writer, "key_id", key_id);
    weir_json_write_name(writer, "receipt");
    weir_json_write_raw(writer, text);
    weir_json_member_text(writer, "signature", signature);
    weir_json_write_end(writer);
}

/* --- exports --- */
void weir_receipt_end_add(struct weir_receipt_end *end, int64_t sequence,
                          const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]) {
    unsigned char both[2 * WEIR_RECEIPT_HASH_SIZE];
    memcpy(both, end->digest, WEIR_RECEIPT_HASH_SIZE);
    memcpy(both + WEIR_RECEIPT_HASH_SIZE, hash, WEIR_RECEIPT_HASH_SIZE);
    (void)crypto_hash_sha256(end->digest, both, sizeof(both));
    if (end->receipts++ == 0)
        end->first = sequence;
    end->last = sequence;
}

void weir_receipt_write_end(const struct weir_receipt_end *end, struct weir_buffer *out) {
    struct weir_json_writer writer;
    char digest[2 * WEIR_RECEIPT_HASH_SIZE + 1];
    weir_hex_format(end->digest, sizeof(end->digest), digest);
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_bool(&writer, "complete", end->complete);
    weir_json_member_text(&writer, "digest", digest);
    weir_json_member_int64(&writer, "first", end->first);
    weir_json_member_int64(&writer, "last", end->last);
    weir_json_member_int64(&writer, "receipts", end->receipts);
    weir_json_member_int64(&writer, "v", WEIR_RECEIPT_VERSION);
    weir_json_write_end(&writer);
}

void weir_receipt_write_signed_end(struct weir_json_writer *writer, struct weir_span text, const char *key_id,
                                   const char *signature) {
    weir_json_write_object(writer);
    weir_json_write_name(writer, "end");
    weir_json_write_raw(writer, text);
    weir_json_member_text(writer, "key_id", key_id);
    weir_json_member_text(writer, "signature", signature);
    weir_json_write_end(writer);
}

/* Signed receipts: who signs, how it is written, and how anybody checks it, with no store and no settings.
 *
 * A signature is Ed25519 (RFC 8032) over a fixed prefix, which says what is signed, and the canonical text (store/receipts.h). Public keys are JWK (RFC 8037); a
 * key's id is its thumbprint (RFC 7638), so it cannot be claimed by another key. docs/reference/receipts.md is what others build verifiers from.
 *
 *   a receipt   {"hash":"…","key_id":"…","receipt":{…},"signature":"…"}
 *   an export   a line {"complete":…,"keys":[…],"weir_receipts":1}, receipts, and last {"end":{…},"key_id":"…","signature":"…"}
 *
 * The end of an export says how many there were and has a digest over their hashes, so that nothing can be taken out of it or off its end, also where a
 * filter has left gaps in the chain. Everything here is pure.
 */
#ifndef WEIR_METER_RECEIPTS_H
#define WEIR_METER_RECEIPTS_H

#include "base/secret.h"
#include "store/receipts.h"

enum {
    WEIR_RECEIPT_SEED_BYTES = 32,
    WEIR_RECEIPT_PUBLIC_BYTES = 32,
    WEIR_RECEIPT_KEY_ID_SIZE = 44,    /* 43 base64url digits and NUL */
    WEIR_RECEIPT_SIGNATURE_SIZE = 87, /* 86 and NUL */
    WEIR_RECEIPT_LINE_BYTES = 128 * 1024
};

/* What is signed: each has a prefix of its own, so that one is never taken for another. */
enum weir_receipt_statement { WEIR_RECEIPT_OF_ENTRY, WEIR_RECEIPT_END_OF_EXPORT };

/* --- keys --- */
struct weir_receipt_public {
    unsigned char bytes[WEIR_RECEIPT_PUBLIC_BYTES];
    char id[WEIR_RECEIPT_KEY_ID_SIZE];
};
/* The id is computed. */
void weir_receipt_public_of(const unsigned char bytes[WEIR_RECEIPT_PUBLIC_BYTES], struct weir_receipt_public *key);
/* 32 bytes in base64url. */
WEIR_MUST enum weir_status weir_receipt_public_parse(struct weir_span text, struct weir_receipt_public *key);
/* The key that a seed stands for; *signing is what weir_receipt_sign takes. */
WEIR_MUST enum weir_status weir_receipt_key_of_seed(const struct weir_secret *seed, struct weir_receipt_public *key,
                                                    struct weir_secret **signing);
struct weir_json_writer;
/* Members of a JWK, into an object that is open: alg, crv, kid, kty, use, x. */
void weir_receipt_write_jwk(struct weir_json_writer *writer, const struct weir_receipt_public *key);

/* --- signing --- */
WEIR_MUST enum weir_status weir_receipt_sign(const struct weir_secret *signing, enum weir_receipt_statement what,
                                             struct weir_span text, char signature[WEIR_RECEIPT_SIGNATURE_SIZE]);
/* WEIR_EDENIED: it is not this key's signature of this text. */
WEIR_MUST enum weir_status weir_receipt_check(const struct weir_receipt_public *key, enum weir_receipt_statement what,
                                              struct weir_span text, struct weir_span signature);

/* A signed receipt as JSON. */
void weir_receipt_write_signed(struct weir_json_writer *writer, struct weir_span text,
                               const unsigned char hash[WEIR_RECEIPT_HASH_SIZE], const char *key_id,
                               const char *signature);

/* --- exports --- */
/* What the last line of an export states. All zero at first. */
struct weir_receipt_end {
    int64_t first, last; /* sequences; 0: there are none */
    int64_t receipts;
    unsigned char
        digest[WEIR_RECEIPT_HASH_SIZE]; /* d = SHA-256(d, hash) for each receipt in turn, from 32 zero bytes */
    bool complete;                      /* every entry between the first and the last is there */
};
void weir_receipt_end_add(struct weir_receipt_end *end, int64_t sequence,
                          const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]);
/* The text that is signed. */
void weir_receipt_write_end(const struct weir_receipt_end *end, struct weir_buffer *out);
void weir_receipt_write_signed_end(struct weir_json_writer *writer, struct weir_span text, const char *key_id,
                                   const char *signature);

/* --- checking lines --- */
struct weir_receipt_verifier;
struct weir_receipt_verified {
    uint64_t lines, receipts, problems;
    int64_t first, last;                       /* sequences of the first and the last good receipt */
    char hash[2 * WEIR_RECEIPT_HASH_SIZE + 1]; /* of the last one */
    bool is_export, complete;                  /* as the file says of itself */
    bool signer_given;                         /* keys were given from outside */
    size_t key_count;
};
/* `problem` is called for each thing that is wrong, with the number of the line (from 1). NULL: no memory. */
struct weir_receipt_verifier *weir_receipt_verifier_new(void (*problem)(void *context, uint64_t line,
                                                                        const char *words),
                                                        void *context);
void weir_receipt_verifier_free(struct weir_receipt_verifier **verifier);
/* Takes a public key: a JWK, a JWK set, or PEM. From then on keys that the file brings do not count. WEIR_EINVAL: it is none; WEIR_ELIMIT: too
 * many. */
WEIR_MUST enum weir_status weir_receipt_verifier_key(struct weir_receipt_verifier *verifier, struct weir_span text);
/* One line, without its line break. */
void weir_receipt_verifier_line(struct weir_receipt_verifier *verifier, struct weir_span line);
/* A line that was too long to be read. */
void weir_receipt_verifier_long_line(struct weir_receipt_verifier *verifier);
/* The file is read to its end. */
void weir_receipt_verifier_end(struct weir_receipt_verifier *verifier, struct weir_receipt_verified *verified);

#endif

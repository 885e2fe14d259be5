/* The keys that receipts are signed with: made on first use, sealed, changed when somebody wants it, and their public parts kept for good.
 *
 * A key is an object of the store. With a sealing key its private part (an Ed25519 seed) lies sealed in that object; without one, it is the file
 * `receipt-key-<id>` beside the database, readable by its user only, as `session-key` is. One key is the current one, whichever process asks. Where the current
 * one's private part is gone (a restored backup has no such file) another takes its place by itself; where it is sealed with a key that is not there,
 * nothing is signed until it is: to change the signer without a word would be worse.
 *
 * A signer may be used by several threads, each with an engine of its own. The private part never leaves it, and is wiped.
 */
#ifndef WEIR_METER_RECEIPTS_SIGNER_H
#define WEIR_METER_RECEIPTS_SIGNER_H

#include "base/arena.h"
#include "meter/receipts.h"
#include "secrets/sealing.h"
#include "store/store.h"

struct weir_receipt_signer;
struct weir_receipt_signer_settings {
    const struct weir_engine_ops *store;
    const char *directory; /* of the database; copied by nobody, as all here */
    const char *environment;
    const struct weir_sealing *sealing; /* NULL or without keys: the private part is a file */
};
WEIR_MUST enum weir_status weir_receipt_signer_new(const struct weir_receipt_signer_settings *settings,
                                                   struct weir_receipt_signer **signer, struct weir_error *error);
void weir_receipt_signer_free(struct weir_receipt_signer **signer);

/* Holds the current key from here on; makes one where there is none. Outside of any transaction. WEIR_EDENIED: its sealing key is not there, or others may read
 * its file; WEIR_ECORRUPT. */
WEIR_MUST enum weir_status weir_receipt_signer_ready(struct weir_receipt_signer *signer, struct weir_engine *engine,
                                                     struct weir_error *error);
/* What is signed, with which key. */
struct weir_receipt_signature {
    char key_id[WEIR_RECEIPT_KEY_ID_SIZE];
    char signature[WEIR_RECEIPT_SIGNATURE_SIZE];
};
/* With the key that weir_receipt_signer_ready has found last. WEIR_ENOTFOUND: it was not asked. */
WEIR_MUST enum weir_status weir_receipt_signer_sign(struct weir_receipt_signer *signer,
                                                    enum weir_receipt_statement what, struct weir_span text,
                                                    struct weir_receipt_signature *signature);
/* Signs a chained receipt and writes it. */
WEIR_MUST enum weir_status weir_receipt_signer_write(struct weir_receipt_signer *signer, struct weir_span text,
                                                     const unsigned char hash[WEIR_RECEIPT_HASH_SIZE],
                                                     struct weir_json_writer *writer);
/* Makes another key the current one, inside the caller's transaction. *before has an empty id where there was none. Once that transaction is there,
 * weir_receipt_signer_forget takes away what was the private part of the one before. */
WEIR_MUST enum weir_status weir_receipt_signer_rotate(struct weir_receipt_signer *signer, struct weir_engine *engine,
                                                      struct weir_receipt_public *before,
                                                      struct weir_receipt_public *after, struct weir_error *error);
void weir_receipt_signer_forget(struct weir_receipt_signer *signer, const struct weir_receipt_public *key);

/* --- all keys, the current and the former ones --- */
struct weir_receipt_key {
    struct weir_receipt_public public;
    int64_t created_utc_us, retired_utc_us; /* 0: it is the current one */
    struct weir_span sealed;                /* the private part; empty: a file, or none any more */
};
typedef enum weir_status (*weir_receipt_key_visit)(void *context, const struct weir_receipt_key *key);
/* In order of their making. */
WEIR_MUST enum weir_status weir_receipt_keys_each(const struct weir_engine_ops *store, struct weir_engine *engine,
                                                  weir_receipt_key_visit visit, void *context,
                                                  struct weir_error *error);
/* Appends {"keys":[…]}, a JWK set; with created_at and retired_at of each. */
WEIR_MUST enum weir_status weir_receipt_keys_write(const struct weir_engine_ops *store, struct weir_engine *engine,
                                                   struct weir_json_writer *writer, struct weir_error *error);
/* The first line of an export, with its line break. */
WEIR_MUST enum weir_status weir_receipt_write_header(const struct weir_engine_ops *store, struct weir_engine *engine,
                                                     bool complete, struct weir_buffer *out, struct weir_error *error);
/* Seals the current key's private part with the first sealing key, inside the caller's transaction: *result is 'r' where it did, 'a' where it was
 * already, 'u' where it cannot be opened, 0 where nothing is sealed. */
WEIR_MUST enum weir_status weir_receipt_key_reseal(const struct weir_receipt_signer_settings *settings,
                                                   struct weir_engine *engine, char *result, struct weir_error *error);

#endif

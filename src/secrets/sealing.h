/* Sealing: what the store keeps of a secret can be opened only with a key that the store does not have.
 *
 * XChaCha20-Poly1305 with a random nonce (libsodium). A blob names the key that it was sealed with, so that several can be held: the first one
 * seals, all of them open; rotation is sealing everything anew. `about` is bound to the blob and must be the same when it is opened: what it is for,
 * and in which environment, so that a blob cannot be moved.
 *
 *   blob: "WS1" | key id, 8 bytes | nonce, 24 bytes | ciphertext and tag
 */
#ifndef WEIR_SECRETS_SEALING_H
#define WEIR_SECRETS_SEALING_H

#include "base/buffer.h"
#include "base/secret.h"

enum { WEIR_SEALING_KEY_BYTES = 32, WEIR_SEALING_KEY_ID_SIZE = 17 /* 16 hex digits and NUL */ };

struct weir_sealing; /* keys in locked, wiped memory; immutable once made, any thread */

/* `references`: as for weir_secrets_fetch_now, the first one seals. A key is 32 bytes as 64 hex digits or as base64, whatever else stands in
 * the file is WEIR_EINVAL. No reference at all gives a sealing without keys: it can neither seal nor open. */
WEIR_MUST enum weir_status weir_sealing_new(const struct weir_span *references, size_t count,
                                            struct weir_sealing **sealing, struct weir_error *error);
void weir_sealing_free(struct weir_sealing **sealing);
bool weir_sealing_can_seal(const struct weir_sealing *sealing);
/* The id of the key that seals; "" without one. */
void weir_sealing_key_id(const struct weir_sealing *sealing, char out[WEIR_SEALING_KEY_ID_SIZE]);
/* Whether a key of this id is among ours. */
bool weir_sealing_has(const struct weir_sealing *sealing, struct weir_span key_id);
/* A new random key as text (hex), for `weir secrets generate`. */
WEIR_MUST enum weir_status weir_sealing_key_make(struct weir_secret **key);
/* Appends the blob. WEIR_EDENIED: there is no key. */
WEIR_MUST enum weir_status weir_sealing_seal(const struct weir_sealing *sealing, struct weir_span about,
                                             struct weir_span plain, struct weir_buffer *blob);
/* WEIR_EDENIED: the blob's key is not among ours; WEIR_ECORRUPT: it is damaged, or about something else. */
WEIR_MUST enum weir_status weir_sealing_open(const struct weir_sealing *sealing, struct weir_span about,
                                             struct weir_span blob, struct weir_secret **plain);
/* The id of the key that a blob was sealed with; WEIR_ECORRUPT when it is no blob. */
WEIR_MUST enum weir_status weir_sealing_blob_key_id(struct weir_span blob, char out[WEIR_SEALING_KEY_ID_SIZE]);

#endif

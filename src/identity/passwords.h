/* Passwords of operators, kept as Argon2id hashes.
 *
 * The limits are libsodium's for interactive use: 64 MiB and two passes, about a tenth of a second. That is three times the memory that OWASP asks
 * for at least (19 MiB, two passes), and little enough for the operations thread, which does nothing else meanwhile, and for a small container. The
 * stronger limits (256 MiB, half a second and more) would hand whoever knows the login's address a way to keep the plane busy.
 */
#ifndef WEIR_IDENTITY_PASSWORDS_H
#define WEIR_IDENTITY_PASSWORDS_H

#include "base/span.h"

enum { WEIR_PASSWORD_HASH_SIZE = 128, WEIR_PASSWORD_MIN_BYTES = 12, WEIR_PASSWORD_MAX_BYTES = 1024 };

/* `hash` is text ("$argon2id$v=19$…") and NUL. WEIR_EINVAL: shorter or longer than the bounds; WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_password_hash(struct weir_span password, char hash[WEIR_PASSWORD_HASH_SIZE]);
/* The bytes are compared as they are: no normalisation. What is no hash of ours matches nothing, as soon as that is seen. */
bool weir_password_matches(struct weir_span hash, struct weir_span password);
/* A hash that no password is known for, with the same cost: what a name without a password is checked against. */
WEIR_MUST enum weir_status weir_password_of_nobody(char hash[WEIR_PASSWORD_HASH_SIZE]);

#endif

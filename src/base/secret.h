/* Bytes that nobody may see: no printer accepts them, they are kept out of core dumps where the system allows it,
 * and they are wiped on release. Look at them only to hand them to a library or onto the wire. */
#ifndef WEIR_BASE_SECRET_H
#define WEIR_BASE_SECRET_H

#include "base/span.h"

struct weir_secret;

/* Copies; wipe the source. NULL when there is no memory. */
struct weir_secret *weir_secret_new(struct weir_span bytes);
void weir_secret_free(struct weir_secret **secret);
/* The bytes themselves, borrowed. Every call site is a place to review. NULL gives the empty span. */
struct weir_span weir_secret_reveal(const struct weir_secret *secret);
/* "abcd…wxyz", or "***" for fewer than 12 bytes. Static per-call buffer given by the caller. */
enum { WEIR_SECRET_MASK_SIZE = 16 };
void weir_secret_mask(struct weir_span bytes, char out[WEIR_SECRET_MASK_SIZE]);

#endif

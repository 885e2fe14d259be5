/* From a reference to the bytes: `env:NAME`, `file:PATH`, or a literal. Later Vault, asynchronous, with expiry:
 * hence the callback shape. `secret:NAME` is kept sealed in the store, which this module does not know: whoever has both
 * resolves it (main/sealing.h). */
#ifndef WEIR_SECRETS_SECRETS_H
#define WEIR_SECRETS_SECRETS_H

#include "base/secret.h"

/* What kind of reference it is, for messages and canonical texts; never the bytes: "env:OPENAI_API_KEY",
 * "file:/run/key", "secret:openai", "literal". */
struct weir_span weir_secrets_describe(struct weir_span reference);

/* Whether it names a secret of the store, and which. */
bool weir_secrets_is_sealed(struct weir_span reference, struct weir_span *name);

typedef void (*weir_secrets_done)(void *context, enum weir_status status, struct weir_secret *secret,
                                  const struct weir_error *error);
/* Calls done exactly once (at once for these two kinds), giving it the secret to own. A trailing newline of a file
 * is cut. A file that others may read is WEIR_OK and a warning text in *error. WEIR_ENOTFOUND: the variable is unset
 * or empty, or the file absent. WEIR_EINVAL: the reference or the file is empty, it is no regular file, or a secret of the store.
 * WEIR_ELIMIT: more than WEIR_MAX_SECRET_BYTES. */
void weir_secrets_fetch(struct weir_span reference, weir_secrets_done done, void *context);
/* The same for boot code. */
WEIR_MUST enum weir_status weir_secrets_fetch_now(struct weir_span reference, struct weir_secret **secret,
                                                  struct weir_error *error);

#endif

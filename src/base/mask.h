/* Masking: what may be shown of texts that can hold secrets.
 *
 * The audit trail, logs and answers show values that people and programs have sent: a setting before and after a change, a path, a query, a
 * user agent. What looks like a secret in them is replaced by its mask, "abcd…wxyz" or "***" (weir_secret_mask in base/secret.h: under twelve
 * characters nothing is shown, which is stricter than what other gateways do). Looking like one goes by the member's name and by the
 * value's shape. This is the last net, not the first: a handler leaves secrets out where it knows them.
 *
 * It masks too much rather than too little, and never fails. Linear in the length of the text.
 */
#ifndef WEIR_BASE_MASK_H
#define WEIR_BASE_MASK_H

#include "base/buffer.h"
#include "base/secret.h"

/* True when a member, header field or parameter of this name holds a secret: "api_key", "X-Api-Key", "apiKey", "authorization", "db.password".
 * What only names or counts one is none: "key_id", "input_tokens", "secret_name". */
bool weir_mask_name_is_secret(struct weir_span name);
/* True for a reference to a secret, which tells nothing: "env:NAME", "file:PATH", "vault:PATH#FIELD", "secret:NAME", "${NAME}". */
bool weir_mask_is_reference(struct weir_span value);
/* Appends the mask of a value that is known to be secret; an empty one, a reference and what is masked already stay as they are. */
void weir_mask_value(struct weir_buffer *out, struct weir_span value);

/* Appends `text` with what looks like a secret masked: a key or token of ours or of a known vendor, `Bearer …` and `Basic …`, a JWT, a PEM
 * block, user and password of a URL, and the value behind a secret name in `name=value`, `"name":"value"` and `header-name: value`. */
void weir_mask_text(struct weir_buffer *out, struct weir_span text);
/* The same places, told instead of masked: in order, none twice. For who puts something else there. */
typedef void (*weir_mask_visit)(void *context, size_t at, size_t length);
void weir_mask_each(struct weir_span text, weir_mask_visit visit, void *context);

/* Appends the JSON value `json` with the values of members whose names are secret masked, whatever stands in them, and every other string as
 * weir_mask_text has it. Nothing for an empty span; "***" (with its quotes) for what is not well-formed JSON. */
void weir_mask_json(struct weir_buffer *out, struct weir_span json);

#endif

/* Masking what must not be written down: keys and tokens by their shape, and where it is asked for addresses of people and card numbers.
 *
 * A shape is all that can be known of a secret that is not ours, so this is the last net and not the first: what holds secrets by its place (a
 * header, a query) is never written in the first place. Pure; one pass; never longer than three times its input.
 */
#ifndef WEIR_TELEMETRY_REDACTION_H
#define WEIR_TELEMETRY_REDACTION_H

#include "base/buffer.h"

enum {
    WEIR_REDACT_SECRETS = 1, /* keys of ours and of providers, bearer tokens, JWTs, long random words: "[secret]" */
    WEIR_REDACT_EMAILS = 2,  /* "[email]" */
    WEIR_REDACT_CARDS = 4    /* 13 to 19 digits whose check digit is right: "[card]" */
};

/* Appends `text` with all of `what` masked. */
void weir_redact(struct weir_span text, unsigned what, struct weir_buffer *out);

#endif

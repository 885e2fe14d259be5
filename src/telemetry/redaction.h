/* Redaction: what is taken out of requests and answers before they are kept.
 *
 * Secrets always: whatever base/mask.h takes for one. By name where it is wanted: see weir_redaction_name. What is found is replaced by
 * "[redacted:email]", "[redacted:secret]". JSON and event streams are read as such: a string's escapes are undone before it is looked at, and the
 * pieces of one text that came in many events are looked at as one text. What is broken or cut off is read as far as it goes.
 *
 * It takes out too much rather than too little, and knows shapes alone: a name, a street or a number without its usual form stays.
 */
#ifndef WEIR_TELEMETRY_REDACTION_H
#define WEIR_TELEMETRY_REDACTION_H

#include "base/buffer.h"

enum {
    WEIR_REDACT_EMAIL = 1,
    WEIR_REDACT_CARD = 2,  /* 13 to 19 digits that pass the Luhn check */
    WEIR_REDACT_PHONE = 4, /* with a country code, or written in groups */
    WEIR_REDACT_IPV4 = 8,
    WEIR_REDACT_IPV6 = 16,
    WEIR_REDACT_IBAN = 32, /* with a good checksum */
};

/* The bit of a name ("email"); 0: there is no such name. */
unsigned weir_redaction_find(struct weir_span name);
/* The names, in order; NULL behind the last one. */
const char *weir_redaction_name(size_t index);

enum weir_redaction_form {
    WEIR_REDACT_TEXT, /* as it stands */
    WEIR_REDACT_JSON,
    WEIR_REDACT_EVENTS /* text/event-stream */
};

/* Appends the first `shown` bytes of `text`, redacted; the rest is only looked at, so that what stands across the cut is found. On failure (no
 * memory) nothing of the text has been appended. */
WEIR_MUST enum weir_status weir_redact(struct weir_buffer *out, struct weir_span text, size_t shown,
                                       enum weir_redaction_form form, unsigned wanted);

#endif

/* What comes with a request besides text, as APIs have it that give base64 and addresses in a string: decoded, and told of in notes as
 * attached.h has them.
 */
#ifndef WEIR_SIM_MEDIA_H
#define WEIR_SIM_MEDIA_H

#include "base/arena.h"
#include "base/buffer.h"

/* A file's media type by its first bytes, "text/plain" where all is printable, else "application/octet-stream". */
const char *sim__media_type(struct weir_span bytes);

/* Decodes base64 with padding; line breaks are passed over. WEIR_EINVAL: *bad is the offset of what is wrong, as Go's decoder says it;
 * WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__base64_decode(struct weir_arena *arena, struct weir_span text, struct weir_span *bytes,
                                              size_t *bad);

/* An address with http:// or https://, or the content itself as data:TYPE;base64,… WEIR_EINVAL: it is neither; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__media_address(struct weir_arena *arena, const char *what, struct weir_span url,
                                              struct weir_buffer *notes);
/* The content in base64, alone or as data:TYPE;base64,…; alone, its first bytes tell the type. WEIR_EINVAL: it is none, or nothing;
 * WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__media_content(struct weir_arena *arena, const char *what, struct weir_span text,
                                              struct weir_buffer *notes);

#endif

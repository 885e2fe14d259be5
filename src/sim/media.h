/* What comes with a request besides text: pictures, documents, sounds. The simulator looks at the first bytes, counts, and says in its
 * answer what it has got, so that a test can tell whether exactly that has arrived.
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

/* Appends what has come:
 *
 *   [image image/png 68 bytes crc32 1f8e2a03] [file application/pdf 9 bytes crc32 cbf43926 named a.pdf] [image url https://example.com/a.png]
 *
 * each with a space behind it. `type` and `name` may be empty: the type is then told by the first bytes. */
void sim__media_describe(const char *what, struct weir_span type, struct weir_span bytes, struct weir_span name,
                         struct weir_buffer *notes);
/* What is only named: `how` is "url" or "file". */
void sim__media_refer(const char *what, const char *how, struct weir_span address, struct weir_buffer *notes);
/* An address with http:// or https://, or the content itself as data:TYPE;base64,… WEIR_EINVAL: it is neither; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__media_address(struct weir_arena *arena, const char *what, struct weir_span url,
                                              struct weir_span name, struct weir_buffer *notes);
/* The content in base64, alone or as data:TYPE;base64,… WEIR_EINVAL: it is none; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__media_content(struct weir_arena *arena, const char *what, struct weir_span text,
                                              struct weir_span name, struct weir_buffer *notes);

#endif

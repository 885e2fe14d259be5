/* What comes with a request besides text: pictures, documents, sounds. The simulator looks at the first bytes, counts, and says in its
 * answer what it has got, so that a test can tell whether exactly that has arrived.
 */
#ifndef WEIR_SIM_MEDIA_H
#define WEIR_SIM_MEDIA_H

#include "base/arena.h"
#include "base/buffer.h"

/* A kind of file by its first bytes: "png", "jpeg", "gif", "webp", "pdf", "wav", "mp3", "ogg", "flac", "text" where all is printable, else
 * "unknown". */
const char *sim__media_kind(struct weir_span bytes);

/* Decodes base64 with padding; line breaks are passed over. WEIR_EINVAL: *bad is the offset of what is wrong, as Go's decoder says it;
 * WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__base64_decode(struct weir_arena *arena, struct weir_span text, struct weir_span *bytes,
                                              size_t *bad);

/* The type and the base64 of `data:TYPE;base64,…`; false: it is none. */
bool sim__media_data_url(struct weir_span url, struct weir_span *type, struct weir_span *base64);

/* Appends "[image: png, 68 bytes, crc32 1f8e2a03] ". `name` may be empty; it is told behind the rest: ", named x.pdf". */
void sim__media_describe(const char *what, struct weir_span bytes, struct weir_span name, struct weir_buffer *notes);
/* Appends "[image: at https://…] ", for what was given by its address or id. */
void sim__media_refer(const char *what, struct weir_span address, struct weir_buffer *notes);

#endif

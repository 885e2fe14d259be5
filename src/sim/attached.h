/* How answers tell of the pictures and documents that came with a prompt, the same in every dialect, so that a test can see that they
 * have arrived as they were sent:
 *
 *   [image image/png 68 bytes crc32 0a1b2c3d] [document url https://example.com/a.pdf] [image file file_1]
 *
 * These notes stand before the answer's words, each with a space behind it.
 */
#ifndef WEIR_SIM_ATTACHED_H
#define WEIR_SIM_ATTACHED_H

#include "sim/text.h"

/* Bytes that came in base64 (with or without padding). False: it is none, and nothing was appended. */
bool sim__attached_base64(const char *kind, struct weir_span media_type, struct weir_span base64,
                          struct weir_buffer *out);
/* Bytes that came as they are, or that are kept as a file. */
void sim__attached_bytes(const char *kind, struct weir_span media_type, struct weir_span bytes,
                         struct weir_buffer *out);
/* What is only named: `how` is "url" or "file". A data: URL is described by its bytes. */
void sim__attached_name(const char *kind, const char *how, struct weir_span name, struct weir_buffer *out);
/* Puts the notes before the tokens of a text, about four bytes a token. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__attached_text(struct weir_arena *arena, const struct weir_buffer *notes,
                                              struct sim_text *text);

#endif

/* The text of an answer as a row of tokens.
 *
 * Plain answers are words drawn from a seed: nothing is stored, so an answer of a million tokens costs nothing until
 * it is sent. Everything else (JSON, a text cut by a stop sequence) is bytes with the places where its tokens end.
 */
#ifndef WEIR_SIM_TEXT_H
#define WEIR_SIM_TEXT_H

#include "base/arena.h"
#include "base/buffer.h"

struct sim_text {
    uint64_t seed;          /* words: what they are drawn from */
    size_t count;           /* tokens */
    struct weir_span bytes; /* pieces: the whole text */
    const size_t *ends;     /* pieces: the offset behind each token; NULL: words */
};

/* Scatters the bits of a number: the same in, the same out, on every machine. */
uint64_t sim__mix(uint64_t value);
/* A hash of bytes, continued from `hash`. */
uint64_t sim__hash(uint64_t hash, struct weir_span bytes);

struct sim_text sim__text_words(uint64_t seed, size_t count);
/* Cuts borrowed UTF-8 into tokens of about four bytes. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__text_pieces(struct weir_arena *arena, struct weir_span bytes, struct sim_text *text);
/* One token of that many letters. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__text_filler(struct weir_arena *arena, size_t bytes, struct sim_text *text);
/* One token; index < count. Static storage or the text's own bytes. */
struct weir_span sim__text_token(const struct sim_text *text, size_t index);
/* Appends one token, or all of them, as a quoted JSON string. */
void sim__text_write_token(const struct sim_text *text, size_t index, struct weir_buffer *out);
void sim__text_write(const struct sim_text *text, struct weir_buffer *out);
/* Puts bytes, cut into tokens as sim__text_pieces does, before a text. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__text_after(struct weir_arena *arena, struct weir_span before, struct sim_text *text);
/* Ends the text before the first occurrence of any of the stop sequences; *stopped tells whether there was one.
 * WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__text_stop(struct weir_arena *arena, const struct weir_span *stops, size_t stop_count,
                                          struct sim_text *text, bool *stopped);

#endif

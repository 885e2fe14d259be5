/* Opaque proofs that a thought came from the simulator: what an answer hands out, and what is checked when it comes back.
 *
 * A provider refuses thoughts that were changed on their way. Whoever carries them through a gateway must not lose or touch a byte of either.
 */
#ifndef WEIR_SIM_SIGNATURE_H
#define WEIR_SIM_SIGNATURE_H

#include "base/arena.h"

/* A signature that belongs to a text; the same seed and text give the same. False: no memory. */
bool sim__signature_make(struct weir_arena *arena, uint64_t seed, struct weir_span text, struct weir_span *signature);
bool sim__signature_fits(struct weir_span signature, struct weir_span text);
/* For the memory: a signature that a script made up fits, too, when it comes back with its text. */
uint64_t sim__signature_hash(struct weir_span signature, struct weir_span text);

#endif

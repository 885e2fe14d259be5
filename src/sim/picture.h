/* A small picture in PNG, made by hand; as many bytes long as is asked for. */
#ifndef WEIR_SIM_PICTURE_H
#define WEIR_SIM_PICTURE_H

#include "base/buffer.h"

/* Appends 16 by 16 pixels drawn from the seed. Where `bytes` is more than these take, a chunk that viewers pass over makes the
 * file exactly that long. */
void sim__picture(uint64_t seed, size_t bytes, struct weir_buffer *out);

#endif

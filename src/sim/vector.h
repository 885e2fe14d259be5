/* Unit vectors drawn from a seed, the same on every machine. */
#ifndef WEIR_SIM_VECTOR_H
#define WEIR_SIM_VECTOR_H

#include "base/buffer.h"

enum { SIM_MAX_DIMENSIONS = 8192 };

struct sim_vector {
    int64_t dimensions;                /* 1 to SIM_MAX_DIMENSIONS */
    int64_t parts[SIM_MAX_DIMENSIONS]; /* whole numbers, so that the text and the floats say the same */
    float floats[SIM_MAX_DIMENSIONS];
};

/* `vector->dimensions` is set before. */
void sim__vector_draw(struct sim_vector *vector, uint64_t seed);
/* Appends [0.01234567,…]. */
void sim__vector_write(const struct sim_vector *vector, struct weir_buffer *out);

#endif

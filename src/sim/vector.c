/* See vector.h. */
#include "sim/vector.h"

#include "sim/text.h"

/* Values are whole numbers of these parts. */
#define PARTS 100000000

/* The square root by Newton's steps: the same on every machine, and no library of mathematics. */
static double root_of(double value) {
    double root = value > 1 ? value : 1;
    for (int i = 0; i < 64; i++) {
        root = (root + value / root) / 2;
    }
    return root;
}

void sim__vector_draw(struct sim_vector *vector, uint64_t seed) {
    double squares = 0;
    for (int64_t i = 0; i < vector->dimensions; i++) {
        int64_t value = (int64_t)(sim__mix(seed + (uint64_t)i) >> 40) - (1 << 23);
        vector->parts[i] = value;
        squares += (double)value * (double)value;
    }
    double scale = PARTS / root_of(squares);
    for (int64_t i = 0; i < vector->dimensions; i++) {
        vector->parts[i] = (int64_t)((double)vector->parts[i] * scale);
        vector->floats[i] = (float)((double)vector->parts[i] / PARTS);
    }
}

static void write_part(int64_t part, struct weir_buffer *out) {
    char digits[16];
    uint64_t left = (uint64_t)(part < 0 ? -part : part);
    digits[2] = (char)('0' + left / PARTS);
    digits[3] = '.';
    left %= PARTS;
    for (int place = 11; place > 3; place--) {
        digits[place] = (char)('0' + left % 10);
        left /= 10;
    }
    digits[1] = '-';
    weir_buffer_append(out, part < 0 ? weir_span_of(digits + 1, 11) : weir_span_of(digits + 2, 10));
}

void sim__vector_write(const struct sim_vector *vector, struct weir_buffer *out) {
    for (int64_t i = 0; i < vector->dimensions; i++) {
        weir_buffer_append_byte(out, i > 0 ? ',' : '[');
        write_part(vector->parts[i], out);
    }
    weir_buffer_append_byte(out, ']');
}

/* An answer that goes out in steps, whatever it is made of: events, or pieces of sound.
 *
 * A step can be written at any time from its number alone: pacing, faults and slow readers are the transfer's affair.
 */
#ifndef WEIR_SIM_STEPS_H
#define WEIR_SIM_STEPS_H

#include "base/buffer.h"

struct sim_steps_kind {
    /* Appends step `index` (< count). */
    void (*write)(const void *what, size_t index, struct weir_buffer *out);
    /* The number of the step that carries the `tokens`-th token (from 0); the first behind all tokens when there are
     * fewer. */
    size_t (*of_token)(const void *what, size_t tokens);
    /* How many beats of the pace come before a step: 0 for what comes with the first token. */
    size_t (*beats_before)(const void *what, size_t index);
    /* Tokens that have gone out when all steps before `index` have. */
    int64_t (*tokens_out)(const void *what, size_t index);
    /* How an answer of this kind ends when its provider breaks. */
    void (*error)(const void *what, struct weir_buffer *out);
    /* Something that is damaged. */
    void (*broken)(const void *what, struct weir_buffer *out);
};

/* What makes one body of many steps. */
enum sim_framing {
    SIM_FRAMING_BYTES,  /* nothing: sound */
    SIM_FRAMING_EVENTS, /* server-sent events */
    SIM_FRAMING_LINES,  /* a JSON object a line */
    SIM_FRAMING_ARRAY   /* the elements of one JSON array */
};

struct sim_steps {
    const struct sim_steps_kind *kind; /* NULL: the answer is one body */
    const void *what;
    size_t count;
    size_t tokens; /* how many of them carry a token */
    enum sim_framing framing;
};

#endif

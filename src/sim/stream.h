/* A streamed answer as a row of units: the events in the order in which they go out.
 *
 * First the roles (one event a choice), then token after token with the choices taking turns, then the finish events,
 * the usage where it was asked for, and [DONE]. A unit can be written at any time from its number alone: pacing,
 * faults and slow readers are the connection's affair.
 */
#ifndef WEIR_SIM_STREAM_H
#define WEIR_SIM_STREAM_H

#include "sim/answer.h"
#include "sim/steps.h"

struct sim_stream {
    const struct sim_chat *chat; /* borrowed */
    struct weir_span prefix;     /* `data: {…,"choices":[` */
    struct weir_span tail;       /* what follows the choices in every event */
    struct weir_span blank;      /* the end of an event's last line, and the empty line */
    uint64_t served;
    int64_t usage_percent;
    bool comments;
    bool has_usage;
    bool has_done;
    size_t units;
};

/* *stream lives in `arena` along with what it points to, and for as long as *chat does. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__stream_init(struct weir_arena *arena, const struct sim_chat *chat,
                                            const struct sim_answer_facts *facts, const struct sim_wishes *wishes,
                                            bool no_done, struct sim_stream *stream);
/* The same as any other answer in steps. */
struct sim_steps sim__stream_steps(const struct sim_stream *stream);
/* Appends unit `index` (< units). */
void sim__stream_unit(const struct sim_stream *stream, size_t index, struct weir_buffer *out);
/* The number of the unit that carries the `tokens`-th token (from 0); the first behind all tokens when there are
 * fewer. */
size_t sim__stream_unit_of_token(const struct sim_stream *stream, size_t tokens);
/* How many steps of the pace come before a unit: 0 for the roles and the first token. */
size_t sim__stream_steps_before(const struct sim_stream *stream, size_t index);
/* Tokens that have gone out when all units before `index` have. */
int64_t sim__stream_tokens_out(const struct sim_stream *stream, size_t index);
/* An event with an error, as OpenAI ends a stream that breaks. */
void sim__stream_error(const struct sim_stream *stream, struct weir_buffer *out);
/* An event whose JSON breaks off. */
void sim__stream_broken(const struct sim_stream *stream, struct weir_buffer *out);

#endif

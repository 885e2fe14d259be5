/* A streamed answer written down as runs of steps: single events, and runs of events that differ only in the token that they carry.
 *
 * An answer of a million tokens is a few runs. Payloads are JSON objects without their closing brace: what every event
 * of a script gets besides (a number, the simulator's own mark) is put behind them when they are written.
 */
#ifndef WEIR_SIM_SCRIPT_H
#define WEIR_SIM_SCRIPT_H

#include "sim/chat.h"
#include "sim/steps.h"

/* One of the texts of a run; their tokens take turns. */
struct sim_lane {
    struct weir_span before, after; /* of the quoted token */
    struct sim_text text;
};

struct sim_run {
    const char *event;       /* its `event:` line; NULL: none */
    struct weir_span before; /* of a single event: all of it */
    struct weir_span after;
    const struct sim_lane *lanes; /* NULL: no run of tokens */
    size_t lane_count;
    /* Between a token and the lane's `after`; may be NULL. */
    void (*between)(const void *owner, size_t lane, size_t token, struct weir_buffer *out);
    /* A run of bytes: appends `length` of them. Events get them in base64. */
    void (*fill)(const void *owner, uint64_t from, size_t length, struct weir_buffer *out);
    const void *owner;
    uint64_t bytes;
    size_t piece;
    bool whole; /* no object that could be closed: [DONE] */
    size_t first, count;
    size_t beats_before; /* steps with a token in the runs before */
    int64_t tokens_before;
    int64_t tokens; /* of a single event: what it stands for; of a run: of each step */
};

struct sim_dialect;

struct sim_script {
    struct weir_arena *arena;
    struct sim_run *runs;
    size_t run_count, run_room;
    size_t count, beats;
    int64_t tokens;
    size_t terminal; /* steps at the end that tell that all is well */
    bool numbered;   /* every event has its sequence_number */
    enum sim_framing framing;
    const struct sim_dialect *dialect; /* tells how it breaks */
    size_t last;                       /* the step that ends an array */
    bool failed;                       /* no memory */
    uint64_t served;
    size_t skip; /* steps at the start that are not wanted */
    bool crlf, comments, multiline;
};

/* Everything that is added must live as long as the script; `arena` holds its rows. */
void sim__script_init(struct sim_script *script, struct weir_arena *arena, enum sim_framing framing);
/* How this request wants its events written. In lines and arrays, which have no comments, white space stands for them, and an object is
 * never broken in two where it has to stay on one line. */
void sim__script_dress(struct sim_script *script, const struct sim_wishes *wishes, const struct sim_dialect *dialect,
                       uint64_t served);
/* One event; `payload` without its last brace. */
void sim__script_event(struct sim_script *script, const char *event, struct weir_span payload, int64_t tokens);
/* The same from a buffer, which is cleared. */
void sim__script_take(struct sim_script *script, const char *event, struct weir_buffer *payload, int64_t tokens);
/* `data: ` with this text as it is. */
void sim__script_plain(struct sim_script *script, const char *text);
/* The run's lanes, weight and functions are as given; its place is worked out. */
void sim__script_run(struct sim_script *script, struct sim_run run);
/* A run of one text. */
void sim__script_text(struct sim_script *script, const char *event, struct weir_span before, struct weir_span after,
                      struct sim_text text, int64_t token_weight);
/* As steps; the last `terminal` are left out where `no_end`. WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__script_steps(struct sim_script *script, bool no_end, struct sim_steps *steps);

/* Appends bytes in base64 with padding. */
void sim__base64(struct weir_span bytes, struct weir_buffer *out);

#endif

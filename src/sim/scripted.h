/* An answer that a test wants word by word: JSON in the field x-sim-script, which every dialect renders in its own way.
 *
 *   {"blocks":[{"thinking":"…","signature":"…"},{"redacted":"…"},{"text":"…"},{"refusal":"…"},
 *              {"tool":{"name":"…","arguments":{…},"id":"…"}}],
 *    "finish":"stop","native_finish":"…","stop_sequence":"…","usage":{"input":10,…},"native_usage":{…}}
 *
 * A bare array is the blocks alone. It stands in place of what the simulator would have made up, whatever tools, limits and formats
 * the request has; docs/guides/simulator.md tells the members.
 */
#ifndef WEIR_SIM_SCRIPTED_H
#define WEIR_SIM_SCRIPTED_H

#include "base/usage.h"
#include "sim/input.h"
#include "sim/text.h"

enum sim_block_kind { SIM_BLOCK_TEXT, SIM_BLOCK_THINKING, SIM_BLOCK_REDACTED, SIM_BLOCK_TOOL, SIM_BLOCK_REFUSAL };

struct sim_block {
    enum sim_block_kind kind;
    struct sim_text text;       /* in pieces: the text, the data that are hidden, or the tool's arguments as JSON */
    struct weir_span signature; /* of thinking; empty where none was given: the dialect then makes its own */
    struct weir_span name;      /* of the tool */
    struct weir_span id;        /* of the tool's call; never empty */
};

/* Why an answer ends; each dialect has its own words for it. */
enum sim_finish {
    SIM_FINISH_STOP,
    SIM_FINISH_LENGTH,
    SIM_FINISH_TOOLS,
    SIM_FINISH_FILTER,   /* a refusal, or a filter for safety */
    SIM_FINISH_SEQUENCE, /* a stop sequence */
    SIM_FINISH_PAUSE,    /* the provider wants to go on in the next turn */
    SIM_FINISH_CONTEXT   /* the model's window is full */
};

struct sim_scripted {
    struct sim_block *blocks;
    size_t count;
    enum sim_finish finish;
    struct weir_span native_finish; /* the dialect's own word, as it is; empty: by `finish` */
    struct weir_span stop_sequence;
    /* The truth, in the inclusive sense of struct weir_usage; what was not given is worked out from the blocks. */
    struct weir_usage usage;
    bool has_input;            /* the script says how long the prompt is */
    int64_t cache_write_1h;    /* of usage.cache_write: kept for an hour */
    int64_t tool_input;        /* of usage.input: what the provider's own tools brought */
    int64_t searches, fetches; /* of the provider's own tools */
    struct weir_span
        native_usage; /* the JSON object that stands in the usage's place as it is; empty: the dialect's own */
};

/* All of *scripted lives in the arena. WEIR_EINVAL: *refusal tells; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__scripted_read(struct weir_arena *arena, struct weir_span json,
                                              struct sim_scripted *scripted, struct sim_refusal *refusal);

#endif

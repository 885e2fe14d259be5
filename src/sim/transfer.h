/* How an answer goes out: when its head, at what pace its units, and where it breaks off. */
#ifndef WEIR_SIM_TRANSFER_H
#define WEIR_SIM_TRANSFER_H

#include "base/span.h"
#include "sim/steps.h"

struct sim_connection;

/* What happens instead of the unit `cut_at`. */
enum sim_cut {
    SIM_CUT_NONE,
    SIM_CUT_RESET,
    SIM_CUT_CLOSE, /* the end of our side, whatever the framing promised */
    SIM_CUT_END,   /* the body ends properly, then the connection */
    SIM_CUT_STALL,
    SIM_CUT_BAD_CHUNK,
    SIM_CUT_ERROR_EVENT,
    SIM_CUT_BROKEN /* an event that is no JSON goes in between */
};

struct sim_transfer {
    unsigned status;       /* of the head; 0: there is none, or half of one */
    struct weir_span head; /* in the request's arena */
    bool head_sent;
    bool real; /* the answer of the endpoint, not one that a fault has put in its place */
    bool streaming;
    bool chunked;
    bool damaged; /* the log must not call it complete, even when all of it has gone */
    bool paced;   /* more than one step: what it needs lives in the arena */
    bool waits_for_drain;
    struct sim_steps steps; /* streaming */
    struct weir_span body;  /* not streaming: cut into `units` pieces */
    size_t units, next;
    enum sim_cut cut;
    size_t cut_at;
    size_t split;
    int64_t head_due_ns, first_due_ns, gap_ns;
};

/* Begins what connection->transfer says. */
void sim__transfer_start(struct sim_connection *connection);
/* Sends what is due; called again by the timer and when the client has read. */
void sim__transfer_pump(struct sim_connection *connection);

/* Resets the connection when what was written has had time to arrive. */
void sim__transfer_reset_soon(struct sim_connection *connection);

#endif

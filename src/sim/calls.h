/* The simulator's own record of the calls it has served: the oracle that a gateway's ledger is compared with.
 *
 * Exactly one line a call, a JSON object, added before the last byte of its answer is sent. Lines are collected during
 * a loop turn and written to the file by one write; the answers of the turn go out after that. The last 200,000 lines
 * are also kept in memory.
 */
#ifndef WEIR_SIM_CALLS_H
#define WEIR_SIM_CALLS_H

#include "base/buffer.h"
#include "base/list.h"
#include "base/usage.h"

enum { SIM_REQUEST_ID_SIZE = 160, SIM_MODEL_SIZE = 128, SIM_CALL_FAULT_SIZE = 160 };

struct sim_call {
    uint64_t number;
    int64_t began_utc_us;
    char request_id[SIM_REQUEST_ID_SIZE]; /* the x-request-id that came; cut where it is longer */
    char model[SIM_MODEL_SIZE];           /* cut where it is longer */
    char fault[SIM_CALL_FAULT_SIZE];      /* the fault that it was given */
    bool stream;
    unsigned status;           /* that was sent; 0: no head was */
    const char *method, *path; /* of the endpoint, static; NULL: none */
    const char *dialect;       /* that it is of; static */
    struct weir_usage usage;
    bool complete; /* the whole answer was handed to the socket */
    bool aborted;  /* the client left first */
};

struct sim_totals {
    uint64_t calls, complete, aborted, faults;
    int64_t prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens;
    uint64_t by_status[600];
};

struct sim_calls {
    struct weir_list blocks; /* of lines, oldest first */
    size_t lines;
    struct weir_buffer unwritten; /* lines that the file has not got yet */
    int fd;                       /* -1: no file */
    struct sim_totals totals;
    struct weir_buffer line;
};

enum { SIM_CALLS_KEPT = 200000 };

void sim__calls_init(struct sim_calls *calls);
/* Appends to that file from now on. WEIR_EIO with words. */
WEIR_MUST enum weir_status sim__calls_open(struct sim_calls *calls, const char *path, struct weir_error *error);
void sim__calls_release(struct sim_calls *calls);
/* WEIR_ENOMEM: the line could not be kept; it is then in neither place. */
WEIR_MUST enum weir_status sim__calls_add(struct sim_calls *calls, const struct sim_call *call);
/* Writes the lines of this turn to the file. WEIR_EIO: it does not take them. */
WEIR_MUST enum weir_status sim__calls_flush(struct sim_calls *calls);
/* Forgets the lines in memory and the totals; the file stays. */
void sim__calls_clear(struct sim_calls *calls);
/* Appends the last SIM_CALLS_KEPT lines. */
void sim__calls_write(const struct sim_calls *calls, struct weir_buffer *out);

#endif

/* The operator plane: for people and CI, on the control thread's loop, bound to loopback by default.
 *
 * Its requests must name a loopback host (a page of another site cannot reach it by a rebound name) unless it listens elsewhere, and must come from
 * no other origin. */
#ifndef WEIR_OPERATOR_OPERATOR_H
#define WEIR_OPERATOR_OPERATOR_H

#include "net/http_server.h"
#include "net/listener.h"
#include "telemetry/board.h"

struct weir_operator;

struct weir_operator_settings {
    const struct weir_board *board;
    struct weir_span brand_upper; /* borrowed for life */
    bool loopback_only;           /* check Host */
    const char *data_plane; /* "http://127.0.0.1:8080", for the index; copied by nobody: lives as long as the plane */
    void (*write_metrics)(void *context, bool openmetrics, struct weir_buffer *out);
    void *context;
};

/* Accepts on `fd`, which stays the caller's. */
WEIR_MUST enum weir_status weir_operator_new(struct weir_loop *loop, int fd,
                                             const struct weir_operator_settings *settings,
                                             struct weir_operator **plane, struct weir_error *error);
void weir_operator_free(struct weir_operator **plane);

#endif

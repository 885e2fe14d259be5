/* What the process is doing right now, for health paths and admission: a few atomics, written by the control thread and read by anyone. */
#ifndef WEIR_TELEMETRY_BOARD_H
#define WEIR_TELEMETRY_BOARD_H

#include "base/buffer.h"

#include <stdatomic.h>

struct weir_board {
    _Atomic bool serving;  /* boot is over */
    _Atomic bool draining; /* SIGTERM has come */
    _Atomic bool store_available;
    _Atomic bool journal_available;
    _Atomic bool secrets_read_only;   /* there is no sealing key */
    _Atomic bool has_backups;         /* scheduled ones */
    _Atomic bool backup_failed;       /* the last attempt */
    _Atomic int64_t backup_utc_us;    /* of the newest one; 0: none yet */
    _Atomic bool simulator;           /* answers come from the built-in simulator */
    _Atomic bool operator_plane_open; /* it listens beyond loopback without both a list of addresses and TLS */
    _Atomic uint64_t revision;
    _Atomic uint64_t provider_count;
    _Atomic uint64_t key_count;
    _Atomic uint64_t store_backlog_bytes;
    const char *version;     /* static */
    const char *environment; /* set once, before threads start */
    int64_t start_utc_us;
};

enum weir_health_path { WEIR_HEALTH_LIVE, WEIR_HEALTH_READY, WEIR_HEALTH_ALL };
/* The path's kind: /livez; /readyz, /ready; /health, /healthz. False for any other. */
bool weir_health_path_find(struct weir_span path, enum weir_health_path *kind);
/* True when requests can be promised an answer: serving, not draining, the journal has room, there is a provider. A store that is
 * away is told but does not fail readiness: the data plane goes on without it. */
bool weir_board_is_ready(const struct weir_board *board);
/* Writes the JSON document and gives the HTTP status: 200, or 503 for /readyz when not ready. */
unsigned weir_board_write_health(const struct weir_board *board, enum weir_health_path kind, struct weir_buffer *out);

#endif

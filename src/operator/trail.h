/* What keeps the audit trail in the long run: it lets go of what is older than the retention, and passes every entry on to the sink.
 *
 * A thread of its own with a connection to the store of its own: neither a slow receiver nor a long removal is in anybody's way. Entries go out in order
 * and at least once. What has arrived is remembered in the store, so nothing is lost over restarts or while a receiver is away; after a
 * failure it is tried again, less and less often, at least every half minute. An entry that has not arrived yet is kept for twice the retention.
 */
#ifndef WEIR_OPERATOR_TRAIL_H
#define WEIR_OPERATOR_TRAIL_H

#include "base/log.h"
#include "base/span.h"

struct weir_trail;

struct weir_trail_settings {
    const char *store_directory; /* borrowed for life, as all texts here */
    const char *environment;
    int64_t retention_ms;       /* 0: nothing is removed */
    struct weir_span sink;      /* "": none */
    const struct weir_log *log; /* copied */
};

/* What can be seen of it from any thread. */
struct weir_trail_state {
    bool has_sink;
    int64_t behind;    /* entries that have not arrived yet */
    uint64_t failures; /* of sending */
    uint64_t removed;  /* entries, by retention */
};

/* What is wrong with a sink's setting ("" is good), without opening it. */
WEIR_MUST enum weir_status weir_trail_check_sink(struct weir_span sink, struct weir_error *error);
/* Starts the thread. */
WEIR_MUST enum weir_status weir_trail_new(const struct weir_trail_settings *settings, struct weir_trail **trail,
                                          struct weir_error *error);
/* What is there goes out once more, if the receiver takes it; then the thread is joined. */
void weir_trail_free(struct weir_trail **trail);
/* A file that is the sink is opened anew. Any thread. */
void weir_trail_reopen(struct weir_trail *trail);
void weir_trail_state(const struct weir_trail *trail, struct weir_trail_state *state);

#endif

/* The transport is a chain of small filters with one interface: TCP at the bottom, TLS above it, later HTTP/2 and more.
 *
 * Calls go down through `ops`, events come up through `events`. Rules of every filter:
 * - It calls up only from the loop (a poll event, a deferred call, a timer), never from within a call that came down; so
 *   a caller is never re-entered. It must expect any call down, close included, from within its call up.
 * - After `close` it calls up no more, and its memory goes at the end of the turn, with that of the filters below.
 * - At most one on_fail comes up, and nothing after it.
 */
#ifndef WEIR_NET_FILTER_H
#define WEIR_NET_FILTER_H

#include "base/span.h"

struct weir_filter;

struct weir_filter_events {
    /* Connected, handshake done: comes once, from filters that began unopened. */
    void (*on_open)(void *upper);
    /* May be NULL. Before a read: where the bytes are to be put, and how many at most; NULL: in the loop's read buffer. */
    char *(*place)(void *upper, size_t *room);
    void (*on_data)(void *upper, struct weir_span data);
    void (*on_end)(void *upper);
    void (*on_drain)(void *upper);
    void (*on_fail)(void *upper, enum weir_status status, const char *detail);
};

struct weir_filter_ops {
    const char *name;
    /* All or nothing: takes every byte of the parts, or fails. WEIR_ECLOSED, WEIR_ENOMEM. */
    enum weir_status (*write)(struct weir_filter *filter, const struct weir_span *parts, size_t count);
    void (*read_start)(struct weir_filter *filter);
    void (*read_stop)(struct weir_filter *filter);
    /* Ends our side when all that was written is out. */
    void (*shutdown)(struct weir_filter *filter);
    /* `reset`: the peer shall see a reset. Closes the filters below too. */
    void (*close)(struct weir_filter *filter, bool reset);
    size_t (*pending_bytes)(const struct weir_filter *filter);
};

/* The first member of every filter. */
struct weir_filter {
    const struct weir_filter_ops *ops;
    const struct weir_filter_events *events;
    void *upper;
};

#endif

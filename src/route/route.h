/* Which target now: the candidates for a model, in the order in which they are to be tried. Pure: it is handed a revision and
 * a random number. */
#ifndef WEIR_ROUTE_ROUTE_H
#define WEIR_ROUTE_ROUTE_H

#include "base/limits.h"
#include "config/revision.h"

struct weir_candidates {
    struct weir_target at[WEIR_MAX_ATTEMPTS];
    size_t count;
    const struct weir_model
        *model; /* may be a pattern; NULL: named as provider/model, or caught by a provider that takes all */
};

/* A configured model; else the longest pattern; else `provider/model`; else the pattern `*`; else the provider that takes every name. Targets of the same order are shuffled by
 * their weights (0: only after all others). WEIR_ENOTFOUND. Spans of *candidates live as long as the revision and `name`. */
WEIR_MUST enum weir_status weir_route_candidates(const struct weir_revision *revision, struct weir_span name,
                                                 uint64_t random, struct weir_candidates *candidates);

#endif

/* From settings to what the workers run on: a published state, counted until every worker has let go of it. */
#ifndef WEIR_MAIN_PUBLISH_H
#define WEIR_MAIN_PUBLISH_H

#include "main/plans.h"
#include "main/settings.h"

/* TLS contexts towards upstreams, made once for each pair of trust and verification, kept until the process ends. */
struct main__tls_cache;
struct main__tls_cache *main__tls_cache_new(void);
void main__tls_cache_free(struct main__tls_cache **cache);

struct main__published {
    struct weir_published base; /* first: the workers know it by this */
    struct weir_revision *revision;
    struct weir_prices *prices;
    struct main__settings settings; /* its texts live in the revision's arena */
    struct weir_tls **tls;
    _Atomic unsigned holders;
    struct weir_span canonical; /* the text that the revision's hash is of */
};

/* Fills in the providers that the environment names, when none are configured; `simulator_url` (may be NULL) is used when there are none at all. */
WEIR_MUST enum weir_status main__implicit_catalog(struct weir_arena *arena, struct main__settings *settings,
                                                  const char *simulator_url);

/* Takes over `arena`, also on failure. The revision has no number yet. */
WEIR_MUST enum weir_status main__published_new(struct weir_arena *arena, const struct main__settings *settings,
                                               const struct main__plans *plans, struct main__tls_cache *cache,
                                               struct main__published **published, struct weir_buffer *problems);
void main__published_free(struct main__published **published);

#endif

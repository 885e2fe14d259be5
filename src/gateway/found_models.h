/* The models that providers listed when they were asked last (models_sync.c): one list for the process, kept in the store and told by its watcher. */
#ifndef WEIR_GATEWAY_FOUND_MODELS_H
#define WEIR_GATEWAY_FOUND_MODELS_H

#include "base/span.h"

/* The objects of the store that hold them are marks with this beginning of their id; the provider's name follows. */
#define WEIR_FOUND_MODELS_PREFIX "models:"

struct weir_found_models;
WEIR_MUST enum weir_status weir_found_models_new(struct weir_found_models **found);
void weir_found_models_free(struct weir_found_models **found);
/* `text`: the mark's. One that cannot be read leaves what was known. Any thread. */
WEIR_MUST enum weir_status weir_found_models_set(struct weir_found_models *found, struct weir_span provider,
                                                 struct weir_span text);
/* Each name of one provider, in its order; what `visit` gets lives for the call, which calls nothing of here. */
void weir_found_models_each(struct weir_found_models *found, struct weir_span provider,
                            void (*visit)(void *context, struct weir_span name), void *context);
bool weir_found_models_has(struct weir_found_models *found, struct weir_span provider, struct weir_span name);

#endif

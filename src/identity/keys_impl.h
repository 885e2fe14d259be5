/* What the rows of the table of keys share, for the files of the table alone. The writer's: readers only follow pointers. */
#ifndef WEIR_IDENTITY_KEYS_IMPL_H
#define WEIR_IDENTITY_KEYS_IMPL_H

#include "identity/keys.h"

#include "base/map.h"

/* Each is there while it has users: rows, or for a workspace the word that it is suspended or captured. */
struct identity__shared {
    struct weir_map *workspaces; /* id to struct workspace */
    struct weir_map *rules;      /* JSON text to struct rules */
    size_t bytes;
};

WEIR_MUST enum weir_status identity__shared_init(struct identity__shared *shared);
void identity__shared_release(struct identity__shared *shared);

/* One user more of the workspace; NULL: no memory. */
const struct weir_key_workspace *identity__workspace_ref(struct identity__shared *shared, struct weir_span id);
void identity__workspace_unref(struct identity__shared *shared, const struct weir_key_workspace *workspace);
WEIR_MUST enum weir_status identity__workspace_set(struct identity__shared *shared, struct weir_span id, bool suspended,
                                                   unsigned capture);

/* One user more of the rules of this text; a text that cannot be read gives rules that allow nothing. NULL: no memory. */
const struct weir_key_rules *identity__rules_ref(struct identity__shared *shared, struct weir_span text);
void identity__rules_unref(struct identity__shared *shared, const struct weir_key_rules *rules);
/* WEIR_EINVAL: their text could not be read. */
WEIR_MUST enum weir_status identity__rules_status(const struct weir_key_rules *rules, struct weir_error *error);
struct weir_span identity__rules_text(const struct weir_key_rules *rules);

/* A copy on the heap, the texts behind it; NULL and WEIR_OK where all of it is empty. */
WEIR_MUST enum weir_status identity__owner_new(struct identity__shared *shared, const struct weir_key_record *record,
                                               const struct weir_key_owner **owner);
void identity__owner_free(struct identity__shared *shared, const struct weir_key_owner *owner);

#endif

/* What the files of this folder share: reading the members of a JSON object that weir wrote itself. */
#ifndef WEIR_IDENTITY_IMPL_H
#define WEIR_IDENTITY_IMPL_H

#include "base/arena.h"

enum identity__member_kind {
    IDENTITY_TEXT,   /* struct weir_span */
    IDENTITY_NUMBER, /* int64_t */
    IDENTITY_FLAG    /* bool */
};
struct identity__member {
    const char *name;
    enum identity__member_kind kind;
    void *to;
};

/* Reads what is there; an absent or null member leaves its place as it is, members of other names are left alone. Texts live in `arena`.
 * WEIR_ECORRUPT: no JSON object, a member twice, or one of another type. */
WEIR_MUST enum weir_status identity__read_members(struct weir_arena *arena, struct weir_span json,
                                                  const struct identity__member *members, size_t count);

#endif

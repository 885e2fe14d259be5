/* The plans as the store has them, for making revisions. */
#ifndef WEIR_MAIN_PLANS_H
#define WEIR_MAIN_PLANS_H

#include "config/revision.h"
#include "store/store.h"

struct main__plan {
    char *id, *text; /* owned */
    uint64_t change;
    bool removed;
};

/* In order of id. Removed ones stay, so that an older word of them is known to be older. Zeroed memory is an empty list. */
struct main__plans {
    struct main__plan *at;
    size_t count, room;
};

/* Takes over what is newer than what is known: of an object that is a plan. *changed is set to true where something is different now. */
WEIR_MUST enum weir_status main__plans_take(struct main__plans *plans, const struct weir_object *object, bool *changed);
/* All plans of the store, on a connection of its own. */
WEIR_MUST enum weir_status main__plans_read(const char *directory, const char *environment, struct main__plans *plans,
                                            struct weir_error *error);
void main__plans_release(struct main__plans *plans);

/* For a revision: a line each for its canonical text, and the plans as the meter reads them, in its arena. */
void main__plans_write(const struct main__plans *plans, struct weir_buffer *canonical);
WEIR_MUST enum weir_status main__plans_compile(const struct main__plans *plans, struct weir_revision *revision,
                                               struct weir_buffer *problems);

#endif

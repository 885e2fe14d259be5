/* A multipart form: its files as they are, and all else as the JSON object that says the same, so that families read both alike. */
#ifndef WEIR_SIM_FORM_H
#define WEIR_SIM_FORM_H

#include "sim/input.h"

struct sim_part {
    struct weir_span name, file_name, content_type; /* in the arena */
    bool has_file_name;
    struct weir_span content; /* within the body */
};

struct sim_form {
    struct sim_part *parts;
    size_t count;
};

/* Reads `body`, which must outlive *form. *root is an object of all parts that are no files: numbers and booleans where the API has such
 * members, strings else; parts whose names end in [] make arrays. WEIR_EINVAL: *refusal tells; WEIR_ENOMEM. */
WEIR_MUST enum weir_status sim__form_read(struct sim_form *form, struct weir_arena *arena,
                                          struct weir_span content_type, struct weir_span body,
                                          struct yyjson_val **root, struct sim_refusal *refusal);
/* The first part of that name that is a file (or was sent without a name of one); NULL: none. */
const struct sim_part *sim__form_find(const struct sim_form *form, const char *name);
/* How many parts have that name, or that name and []. */
size_t sim__form_count(const struct sim_form *form, const char *name);

#endif

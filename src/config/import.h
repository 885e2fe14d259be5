/* The settings of another gateway, read and put into ours: `weir import litellm`.
 *
 * Whatever the source says has a row in the report: what became of it, in one sentence, and what is left to do. A literal credential of the source
 * goes nowhere: in the settings stands the name of a variable, and the report says which. Pure: files are read by the caller.
 */
#ifndef WEIR_CONFIG_IMPORT_H
#define WEIR_CONFIG_IMPORT_H

#include "base/arena.h"
#include "base/buffer.h"

enum weir_import_outcome {
    WEIR_IMPORT_EXACT,       /* weir does the same */
    WEIR_IMPORT_APPROXIMATE, /* weir does what comes nearest; the sentence says how it differs */
    WEIR_IMPORT_BY_HAND,     /* weir can do it, and somebody must decide or set it */
    WEIR_IMPORT_UNSUPPORTED, /* weir cannot do it */
    WEIR_IMPORT_OUTCOMES
};

struct weir_import_row {
    const struct weir_import_row *next;
    enum weir_import_outcome outcome;
    struct weir_span setting; /* "model_list[0].litellm_params.api_key", printable */
    struct weir_span file;
    size_t line;
    struct weir_span words; /* why, and what to do */
};

/* A variable that must be set where weir runs. */
struct weir_import_variable {
    const struct weir_import_variable *next;
    struct weir_span name;
    bool is_new; /* the source has its value literally, or says nothing: nobody has set it yet */
};

struct weir_import_source {
    struct weir_span name; /* of the file, for places */
    struct weir_span text;
    /* Reads a file that the source includes, by the name that stands there; the text lives in the arena. */
    enum weir_status (*load)(void *context, struct weir_arena *arena, struct weir_span name, struct weir_span *text,
                             struct weir_error *error);
    void *context;
    struct weir_span prices_file; /* where the price file will be; empty: nowhere, and costs are left out */
};

struct weir_import {
    const struct weir_import_row *rows; /* by section, in the order of the source */
    size_t counts[WEIR_IMPORT_OUTCOMES];
    const struct weir_import_variable *variables; /* in the order of their first use */
    struct weir_span settings;                    /* weir.yaml */
    struct weir_span price_map; /* the costs, as the public price map has them (weir_prices_import); empty: none */
    struct weir_span notes;     /* for the report, a line each: what the caller had to say of the prices */
};

/* "exact", "approximate", "by hand", "unsupported" */
const char *weir_import_outcome_name(enum weir_import_outcome outcome);
/* Everything lives in the arena, which holds what may be secret: wipe it. WEIR_EINVAL: `problems` has lines "config.yaml:12:5: …"; WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_import_litellm(struct weir_arena *arena, const struct weir_import_source *source,
                                               struct weir_import *import, struct weir_buffer *problems);
/* The report for people, or as JSON. */
void weir_import_report(const struct weir_import *import, struct weir_span source_name, bool json,
                        struct weir_buffer *out);

#endif

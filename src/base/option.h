/* A setting is one row. Modules declare a const table of rows and a struct that holds the values; config fills it.
 *
 * From the row come parsing, bounds, the environment variable, `weir config explain`, the reference page, and the rule
 * whether a running server takes a change. */
#ifndef WEIR_BASE_OPTION_H
#define WEIR_BASE_OPTION_H

#include "base/span.h"

enum weir_option_kind {
    WEIR_OPTION_TEXT,     /* struct weir_span; the bytes live in the configuration's arena and end in NUL */
    WEIR_OPTION_INTEGER,  /* int64_t within minimum..maximum */
    WEIR_OPTION_BOOL,     /* bool: true, false, yes, no, on, off */
    WEIR_OPTION_DURATION, /* int64_t milliseconds: 250ms, 30s, 5m, 2h, 7d; a bare number is in `unit` */
    WEIR_OPTION_SIZE,     /* int64_t bytes: 512, 64KiB, 1MiB, 2GiB */
    WEIR_OPTION_CHOICE,   /* int: index in `choices` */
    WEIR_OPTION_SECRET,   /* struct weir_span: as written (env:NAME, file:PATH, or a literal); never printed */
    WEIR_OPTION_TEXTS,    /* struct weir_texts: a YAML sequence, or a comma list in an environment variable */
    WEIR_OPTION_LIST      /* struct weir_option_items: a sequence of mappings, each by the rows of `items` */
};

struct weir_texts {
    const struct weir_span *at;
    size_t count;
};

struct weir_option_items {
    void *at; /* `count` elements of items->size bytes each */
    size_t count;
};

struct weir_option_table;

struct weir_option {
    const char *name; /* within its section: "max_request_bytes" */
    enum weir_option_kind kind;
    size_t offset;              /* offsetof in the section's struct */
    const char *initial;        /* the default as it would be written in the file; NULL: empty / none */
    int64_t minimum, maximum;   /* INTEGER, DURATION (ms), SIZE; both 0: no bounds besides >= 0 */
    const char *const *choices; /* CHOICE: ends with NULL; aliases as "alias=name" after the names */
    const char *environment;    /* a variable that sets it when the file does not; NULL for none */
    const char *unit;           /* "ms", "s", "bytes", …; for DURATION "ms" or "s" says what a bare number is */
    const struct weir_option_table *items; /* LIST */
    bool required;                         /* in a LIST's element */
    bool references;   /* TEXTS: each names a secret (env:NAME, file:PATH) and is kept as written, as a SECRET is */
    bool plain;        /* TEXT: `env:` and `file:` at its beginning are the setting's own words */
    bool live;         /* a running server takes a change (SIGHUP); otherwise it says that a restart is needed */
    const char *prose; /* one or two sentences for people */
};

struct weir_option_table {
    const char *section; /* "limits"; "" for the top level */
    const struct weir_option *rows;
    size_t count;
    size_t size; /* of the struct */
};

#endif

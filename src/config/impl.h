/* Shared by the files of this folder: the tree that YAML is read into, the reader's state, and who offers what.
 *
 * The way of a value: yaml.c gives a node with its place, read.c finds the row for it, expand.c replaces variables and
 * references, values.c parses by the row's kind, format.c writes it back. Whatever is wrong goes through problems.c, so
 * that every message begins with the place in the same form.
 */
#ifndef WEIR_CONFIG_IMPL_H
#define WEIR_CONFIG_IMPL_H

#include "config/config.h"

enum {
    CONFIG__MAX_DEPTH = 32,     /* nesting of the file */
    CONFIG__MAX_MEMBERS = 256,  /* names in one mapping; duplicates are searched in linear time */
    CONFIG__MAX_NODES = 200000, /* values in one file */
    CONFIG__MAX_ANCHORS = 1000, /* in a file of another program */
    CONFIG__MAX_FOREIGN_MEMBERS = 4000,
    CONFIG__MAX_PROBLEMS = 50,        /* lines; the rest is counted */
    CONFIG__MAX_TEXT_BYTES = 1 << 20, /* one text after its variables are replaced, one `file:` */
    CONFIG__MAX_SHOWN_BYTES = 60,     /* of a wrong value in a message */
    CONFIG__MAX_WORD_BYTES = 64       /* that nearest.c compares */
};

/* 1-based, as editors count; columns are characters. */
struct config__place {
    size_t line;
    size_t column;
};

enum config__shape { CONFIG__SCALAR, CONFIG__SEQUENCE, CONFIG__MAPPING };

struct config__node {
    enum config__shape shape;
    bool is_null; /* a plain scalar that is empty, ~ or null: as if it were not there */
    struct config__place place;
    struct weir_span key; /* as a member of a mapping */
    struct config__place key_place;
    struct weir_span text; /* SCALAR; ends in NUL and holds none */
    struct config__node *first, *last,
        *next;    /* the elements of an alias are those of its anchor: nothing of them may change */
    size_t count; /* members or elements */
    bool is_open; /* its end was not read yet */
};

enum config__source { CONFIG__FROM_FILE, CONFIG__FROM_ENVIRONMENT, CONFIG__FROM_DEFAULT };

/* Where a value comes from, for messages. */
struct config__origin {
    enum config__source source;
    struct config__place place; /* FILE */
    const char *variable;       /* ENVIRONMENT */
};

/* "models[0].targets[1].weight" as a chain on the stack: nothing is built until a message needs it. */
struct config__path {
    const struct config__path *parent;
    const char *name; /* "" or NULL: no name of its own */
    bool is_element;
    size_t index;
};

struct config__reader {
    struct weir_arena *arena;
    const char *name; /* of the file */
    const struct weir_config_section *sections;
    size_t count;
    weir_config_lookup lookup;
    void *lookup_context;
    struct weir_buffer *problems;
    size_t problem_count;
    size_t line_at; /* where the line being written begins */
    bool no_memory;
    bool
        is_foreign; /* another program's file: anchors, aliases, merge keys and tags are fine, and of a name that stands twice the last counts */
};

/* --- problems.c --- */
/* "weir.yaml:12:20: limits.max_request_bytes: " (path may be NULL). False when the line is past the cap: write nothing. */
bool config__problem_begin(struct config__reader *reader, const struct config__origin *origin,
                           const struct config__path *path);
void config__problem_end(struct config__reader *reader);
/* A whole line at a place of the file. */
void config__problem_at(struct config__reader *reader, struct config__place place, const char *format, ...)
    WEIR_PRINTF(3, 4);
/* The line that tells how many were left out. */
void config__problems_finish(struct config__reader *reader);
/* 'text', cut, with control bytes escaped. */
void config__append_quoted(struct weir_buffer *out, struct weir_span text);
void config__append_path(struct weir_buffer *out, const struct config__path *path);
/* "a text", "a list", "a mapping", "nothing" */
const char *config__shape_name(const struct config__node *node);

/* --- yaml.c --- */
/* The file's one document, or NULL in *root for an empty file. WEIR_EINVAL: problems were noted. WEIR_ENOMEM. */
WEIR_MUST enum weir_status config__yaml_read(struct config__reader *reader, struct weir_span text,
                                             struct config__node **root);
/* The member of that name, or NULL. `mapping` may be NULL or of another shape. */
const struct config__node *config__node_find(const struct config__node *mapping, struct weir_span key);

/* --- expand.c --- */
/* `${NAME}`, `${NAME:-word}` and `$${` in `raw`. WEIR_EINVAL: a problem was noted. The result ends in NUL. */
WEIR_MUST enum weir_status config__expand(struct config__reader *reader, const struct config__origin *origin,
                                          const struct config__path *path, struct weir_span raw,
                                          struct weir_span *text);
/* The same for TEXT, with `env:NAME` and `file:PATH` as a whole. */
WEIR_MUST enum weir_status config__expand_text(struct config__reader *reader, const struct config__origin *origin,
                                               const struct config__path *path, struct weir_span raw,
                                               struct weir_span *text);
/* The same for SECRET: a reference stays one, `${NAME}` becomes `env:NAME`. */
WEIR_MUST enum weir_status config__expand_secret(struct config__reader *reader, const struct config__origin *origin,
                                                 const struct config__path *path, struct weir_span raw,
                                                 struct weir_span *text);
/* True for `env:NAME` and `file:PATH`: what may be shown of a secret. */
bool config__is_reference(struct weir_span text);
/* Writes `text` so that config__expand_text (config__expand_secret) gives it back, without quotes. */
struct weir_span config__unexpand(struct weir_buffer *scratch, struct weir_span text, bool is_secret);

/* --- values.c --- */
/* Parses `raw` by the row's kind (not LIST) into `field`. Problems are noted; nothing is returned because the reader
 * goes on with the next value either way. */
void config__parse(struct config__reader *reader, const struct config__origin *origin, const struct config__path *path,
                   const struct weir_option *row, struct weir_span raw, void *field);
/* TEXTS from a sequence. */
void config__parse_texts(struct config__reader *reader, const struct config__path *path, const struct weir_option *row,
                         const struct config__node *node, struct weir_texts *field);
/* "from 1KiB to 1GiB", or "" where there are no bounds. */
void config__append_bounds(struct weir_buffer *out, const struct weir_option *row);

/* --- format.c --- */
/* A double-quoted YAML scalar: everything that YAML would fold, refuse or give a meaning is escaped. */
void config__append_yaml_text(struct weir_buffer *out, struct weir_span text);
enum config__style { CONFIG__FOR_PEOPLE, CONFIG__CANONICAL };
/* A value (not LIST) as it would be written in the file; a secret that is no reference is "(hidden)". */
void config__append_value(struct weir_buffer *out, const struct weir_option *row, const void *field,
                          enum config__style style);
void config__append_duration(struct weir_buffer *out, int64_t milliseconds);
void config__append_size(struct weir_buffer *out, int64_t bytes);
bool config__value_equal(const struct weir_option *row, const void *a, const void *b);
/* The number of bytes of the UTF-8 character at `at`, 0 when there is none; its code point goes to *point. */
size_t config__utf8(struct weir_span text, size_t at, uint32_t *point);
bool config__is_utf8(struct weir_span text);
const char *config__kind_name(enum weir_option_kind kind);
static inline const void *config__field(const void *values, const struct weir_option *row) {
    return (const char *)values + row->offset;
}

/* --- load.c --- */
/* Reads at most `max_bytes`; with `regular_only` nothing that could block or never end. */
WEIR_MUST enum weir_status config__read_file(struct weir_arena *arena, const char *path, size_t max_bytes,
                                             bool regular_only, struct weir_span *text, struct weir_error *error);

#endif

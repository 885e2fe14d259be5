/* weir.yaml and the environment, read into the option tables of the modules.
 *
 * A value comes from, in this order: the file, the option's environment variable, the default. In the file `${NAME}` inside a
 * text is replaced by the variable (an unset one is an error; `${NAME:-word}` gives a default), and a text option may be
 * `env:NAME` or `file:PATH` as a whole (`$${`, `$$env:` and `$$file:` are literal). An empty variable of an option counts as
 * unset; a SECRET from one becomes `env:NAME`. SECRET options keep their reference: main resolves it (secrets/secrets.h).
 * Every problem is reported with file, line, column, the bad name and the nearest good one; all problems of a file are
 * collected, not only the first, and nothing is filled unless all is well.
 */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/option.h"

/* A section and where its values go. */
struct weir_config_section {
    const struct weir_option_table *table;
    void *values;
};

/* Looks a variable up; NULL: unset. `weir_config_environment` is the process's own. */
typedef const char *(*weir_config_lookup)(void *context, const char *name);
const char *weir_config_environment(void *context, const char *name);

/* Fills every section with defaults and environment, then with `text` (may be empty: no file). Values live in `arena`.
 * `name` is the file's name for messages. WEIR_EINVAL: `problems` has one line each, "weir.yaml:12:5: unknown setting …". */
WEIR_MUST enum weir_status weir_config_read(struct weir_arena *arena, struct weir_span text, const char *name,
                                            const struct weir_config_section *sections, size_t count,
                                            weir_config_lookup lookup, void *lookup_context,
                                            struct weir_buffer *problems);
/* Reads a whole file (at most WEIR_MAX_CONFIG_BYTES) into the arena. WEIR_ENOTFOUND, WEIR_EIO, WEIR_ELIMIT. */
WEIR_MUST enum weir_status weir_config_load(struct weir_arena *arena, const char *path, struct weir_span *text,
                                            struct weir_error *error);
/* "weir.yaml:12:20": where a setting, named as in messages ("models[0].targets[1].provider"), or else the nearest thing
 * around it stands in `text`; the name alone where nothing of it is in the file. For problems that only the caller can see. */
void weir_config_locate(struct weir_arena *arena, struct weir_span text, const char *name, struct weir_span setting,
                        struct weir_buffer *out);
/* `weir config explain [SETTING]`: all rows, or one ("limits.max_request_bytes"), as text for people or as JSON. WEIR_ENOTFOUND with the
 * nearest names in `out`. */
WEIR_MUST enum weir_status weir_config_explain(const struct weir_config_section *sections, size_t count,
                                               struct weir_span setting, bool json, struct weir_buffer *out);
/* The reference page docs/reference/settings.md, generated from the rows. */
void weir_config_reference(const struct weir_config_section *sections, size_t count, struct weir_buffer *out);
/* The names of non-live settings that differ between two readings, one a line: what a reload cannot change. */
void weir_config_needs_restart(const struct weir_config_section *before, const struct weir_config_section *after,
                               size_t count, struct weir_buffer *out);
/* The canonical text of all settings, for hashing a revision: YAML that reads back to itself. References to secrets
 * (env:NAME, file:PATH) stand in it as they are, a literal secret is "(hidden)", so that a change of one does not show. */
void weir_config_canonical(const struct weir_config_section *sections, size_t count, struct weir_buffer *out);

/* The candidate with the smallest edit distance to `word`, or NULL when none is near (distance > 1 + length / 3). */
const char *weir_config_nearest(struct weir_span word, const char *const *candidates, size_t count);

#endif

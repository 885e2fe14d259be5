/* Usage reports as operators ask for them and see them: the words for what they are grouped by, the names that belong to ids, JSON and CSV. The command line
 * uses the same.
 *
 * A report comes from the sums by hour and day alone (store/spend.h). It is whole or it is refused: of more rows than were asked for none are left out in
 * silence, so that whoever adds them up gets what was used.
 */
#ifndef WEIR_OPERATOR_USAGE_FORM_H
#define WEIR_OPERATOR_USAGE_FORM_H

#include "base/arena.h"
#include "json/write.h"
#include "store/store.h"

enum { WEIR_USAGE_MOST_ROWS = 50000, WEIR_USAGE_USUAL_ROWS = 10000, WEIR_USAGE_WORDS = 11 };

/* What can be grouped by, in the order of columns. */
struct weir_usage_word {
    const char *name;
    enum weir_usage_dimension dimension;
    int place;         /* in only[] and by[]; -1: of time */
    const char *named; /* the member with the name that belongs to the id; NULL: there is none */
    const char *head;  /* of a table's column */
};
extern const struct weir_usage_word weir_usage_words[WEIR_USAGE_WORDS];

/* "key,model,day" as enum weir_usage_dimension; "route" is "endpoint", and empty is 0. WEIR_EINVAL: error->text says which word is wrong. */
WEIR_MUST enum weir_status weir_usage_read_words(struct weir_span list, unsigned *by, struct weir_error *error);
/* Fills times that are 0 (this month so far, UTC), and looks whether it can be answered. WEIR_EINVAL: *field is what is wrong ("from", "group_by", …). */
WEIR_MUST enum weir_status weir_usage_check(struct weir_usage_query *query, int64_t now_utc_us, const char **field,
                                            struct weir_error *error);

struct weir_usage_line {
    struct weir_usage_row row;
    struct weir_span names[WEIR_USAGE_DIMENSIONS]; /* by place; empty: there is none */
};
struct weir_usage_report {
    struct weir_usage_query query;
    size_t count;
    struct weir_usage_line *lines;
    struct weir_usage_sums
        totals; /* of all that the filters leave; by tag it is not the sum of the rows, as requests may have several tags, or none */
};
/* Everything lives in the arena. WEIR_EFULL: there are more rows than query->limit; WEIR_ELIMIT: sums by the hour are not kept
 * for so long. */
WEIR_MUST enum weir_status weir_usage_make(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                           struct weir_arena *arena, const struct weir_usage_query *query,
                                           struct weir_usage_report *report, struct weir_error *error);

/* One JSON object; CSV with its header. */
void weir_usage_write_json(struct weir_json_writer *writer, const struct weir_usage_report *report);
void weir_usage_write_csv(struct weir_buffer *out, const struct weir_usage_report *report);

#endif

/* Replaces, inserts and removes spans of a text and leaves every other byte as it is. */
#ifndef WEIR_JSON_SPLICE_H
#define WEIR_JSON_SPLICE_H

#include "base/buffer.h"

struct weir_json_edit {
    size_t at;             /* offset in the original */
    size_t remove;         /* bytes taken out there */
    struct weir_span with; /* bytes put there instead; borrowed */
};

enum { WEIR_JSON_MAX_EDITS = 8 };
struct weir_json_splice {
    struct weir_json_edit edits[WEIR_JSON_MAX_EDITS];
    size_t count;
};

/* Edits may be added in any order. Several insertions at one place stand in the order in which they were added,
 * before what replaces the bytes there. WEIR_EINVAL: it overlaps an edit that is there already; WEIR_ELIMIT: past the
 * maximum. */
WEIR_MUST enum weir_status weir_json_splice_add(struct weir_json_splice *splice, size_t at, size_t remove,
                                                struct weir_span with);
/* `splice` starts zeroed. An edit beyond the end of the text is our own mistake (weir_bug_on).
 * The length of the text after the edits. */
size_t weir_json_splice_length(const struct weir_json_splice *splice, size_t original_length);
/* Cuts the edited text into pieces without copying: fills `parts` (room for 2 * WEIR_JSON_MAX_EDITS + 1), returns how
 * many; empty parts are left out. */
size_t weir_json_splice_parts(struct weir_json_splice *splice, struct weir_span text, struct weir_span *parts);
/* Appends the edited text. */
void weir_json_splice_write(struct weir_json_splice *splice, struct weir_span text, struct weir_buffer *out);

#endif

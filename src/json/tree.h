/* A JSON text as a tree whose leaves are places in that text.
 *
 * For translating between formats: what a text holds goes into another text, mostly as it stands. So nothing is decoded: a string stays the token that it
 * is, escapes and all, a number keeps its digits, and a schema or an object of arguments can be taken over whole. One pass, memory from an arena, no
 * recursion. Of members that stand twice the first is found.
 */
#ifndef WEIR_JSON_TREE_H
#define WEIR_JSON_TREE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "json/scan.h"

struct weir_json_node {
    struct weir_span name;       /* of a member, decoded; empty for elements and the root */
    struct weir_span text;       /* the value's exact bytes; strings with their quotes */
    struct weir_json_node *next; /* within the same array or object */
    struct weir_json_node *first;
    size_t count; /* of elements or members */
    enum weir_json_kind kind;
};

/* Reads exactly one JSON value; `text` must live as long as the tree. WEIR_EINVAL, WEIR_ELIMIT (too deep) with *problem (may be NULL); WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_json_tree_read(struct weir_arena *arena, struct weir_span text,
                                               struct weir_json_node **root, struct weir_json_problem *problem);

/* All of these take NULL for a node that is not there. */

/* The member of that name; NULL: absent, or `object` is none. */
const struct weir_json_node *weir_json_get(const struct weir_json_node *object, const char *name);
/* The same, NULL also where it is null. */
const struct weir_json_node *weir_json_get_value(const struct weir_json_node *object, const char *name);
static inline bool weir_json_is(const struct weir_json_node *node, enum weir_json_kind kind) {
    return node != NULL && node->kind == kind;
}
/* The first element or member; NULL: none. For `for (node = weir_json_first(list); node != NULL; node = node->next)`. */
static inline const struct weir_json_node *weir_json_first(const struct weir_json_node *list) {
    return list != NULL ? list->first : NULL;
}
/* A string that says exactly that. */
bool weir_json_says(const struct weir_json_node *node, const char *plain);
/* A string's token between its quotes, escapes as they are; empty for anything else. */
struct weir_span weir_json_inside(const struct weir_json_node *node);
/* A string decoded: where it has no escapes the place in the text, else a copy in the arena; empty for anything else. WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_json_decoded(struct weir_arena *arena, const struct weir_json_node *node,
                                             struct weir_span *text);
/* Appends a value without the spaces between its tokens; the same value in any layout gives the same bytes. */
void weir_json_append_compact(struct weir_buffer *out, struct weir_span value);

#endif

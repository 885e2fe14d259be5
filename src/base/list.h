/* An intrusive doubly linked list: the link is a member of the element. A head points to itself when empty. */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct weir_list {
    struct weir_list *next;
    struct weir_list *previous;
};

#define WEIR_CONTAINER_OF(pointer, type, member) ((type *)(void *)(((char *)(pointer)) - offsetof(type, member)))

static inline void weir_list_init(struct weir_list *list) {
    list->next = list->previous = list;
}
static inline bool weir_list_is_empty(const struct weir_list *list) {
    return list->next == list;
}
static inline void weir_list_append(struct weir_list *head, struct weir_list *link) {
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}
/* Also legal on a link that is in no list but was initialised. */
static inline void weir_list_remove(struct weir_list *link) {
    link->previous->next = link->next;
    link->next->previous = link->previous;
    weir_list_init(link);
}

#endif

/* Lists that are read page by page: after, limit, order. */
#ifndef WEIR_SIM_PAGE_H
#define WEIR_SIM_PAGE_H

#include "sim/task.h"

/* What there is, oldest first. */
struct sim_page_source {
    const void *owner;
    size_t count;
    struct weir_span (*id)(const void *owner, size_t index);
    void (*write)(const void *owner, size_t index, struct weir_buffer *out);
};

struct sim_page_limits {
    uint64_t usual, most;
};

/* Answers with the page that the query asks for: {"object":"list","data":[…],"first_id","last_id","has_more"}; the newest
 * first unless order=asc. An `after` that nothing has gives an empty page. */
WEIR_MUST enum weir_status sim__page_write(struct sim_task *task, const struct sim_page_source *source,
                                           const struct sim_page_limits *limits);

#endif

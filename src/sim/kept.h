/* The last requests as they were received, so that a test can look at what a gateway really sent. */
#ifndef WEIR_SIM_KEPT_H
#define WEIR_SIM_KEPT_H

#include "base/buffer.h"

enum { SIM_KEPT_REQUESTS = 100 };

struct sim_kept_request {
    struct weir_buffer head; /* start line and fields, as they came */
    struct weir_buffer body; /* without its coding */
    struct weir_span id;     /* x-request-id, within head; empty without */
};

struct sim_kept {
    struct sim_kept_request requests[SIM_KEPT_REQUESTS];
    uint64_t added;
};

void sim__kept_init(struct sim_kept *kept, size_t max_body_bytes);
void sim__kept_release(struct sim_kept *kept);
/* Takes the bytes over and gives the oldest request's memory in exchange. `id` points into *head. The returned request
 * lives until SIM_KEPT_REQUESTS more have been added, or until weir's memory for kept bodies (128 MiB) is used up. */
const struct sim_kept_request *sim__kept_add(struct sim_kept *kept, struct weir_buffer *head, struct weir_buffer *body,
                                             struct weir_span id);
/* The newest with that id, or the newest of all where `id` is empty; NULL: none. */
const struct sim_kept_request *sim__kept_find(const struct sim_kept *kept, struct weir_span id);
/* Appends {"method","path","version","headers":{…},"raw_head","body"}. Names are in lower case; a repeated field's
 * values are joined by ", ". Bytes that are no UTF-8 become U+FFFD. */
void sim__kept_write(const struct sim_kept_request *request, struct weir_buffer *out);
/* Appends all as an array, oldest first. */
void sim__kept_write_all(const struct sim_kept *kept, struct weir_buffer *out);

#endif

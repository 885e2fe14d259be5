/* See page.h. */
#include "sim/page.h"

struct page {
    const struct sim_page_source *source;
    uint64_t limit;
    bool ascending;
    size_t first; /* place in the order that is asked for */
};

static size_t index_at(const struct page *page, size_t place) {
    return page->ascending ? place : page->source->count - 1 - place;
}

static bool read_query(struct sim_task *task, struct page *page, const struct sim_page_limits *limits) {
    struct weir_span text;
    page->limit = limits->usual;
    if (sim__task_query(task, "limit", &text) &&
        (weir_span_to_uint64(text, &page->limit) != WEIR_OK || page->limit < 1 || page->limit > limits->most)) {
        sim__refuse(&task->refusal, 400, "limit", "integer_out_of_range",
                    "Invalid value for 'limit': expected a whole number from 1 to %llu.",
                    (unsigned long long)limits->most);
        return false;
    }
    if (sim__task_query(task, "order", &text)) {
        page->ascending = weir_span_equal(text, WEIR_SPAN("asc"));
        if (!page->ascending && !weir_span_equal(text, WEIR_SPAN("desc"))) {
            sim__refuse(&task->refusal, 400, "order", "invalid_value",
                        "Invalid value for 'order': supported values are 'asc', 'desc'.");
            return false;
        }
    }
    if (sim__task_query(task, "after", &text) && text.length > 0) {
        while (page->first < page->source->count &&
               !weir_span_equal(page->source->id(page->source->owner, index_at(page, page->first)), text)) {
            page->first++;
        }
        page->first += page->first < page->source->count ? 1 : 0;
    }
    return true;
}

enum weir_status sim__page_write(struct sim_task *task, const struct sim_page_source *source,
                                 const struct sim_page_limits *limits) {
    struct page page = {.source = source};
    struct weir_buffer *out = task->out;
    if (!read_query(task, &page, limits)) {
        return sim__task_failed(task);
    }
    size_t left = source->count - page.first;
    size_t shown = left < page.limit ? left : (size_t)page.limit;
    weir_buffer_append(out, WEIR_SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < shown; i++) {
        weir_buffer_append(out, i > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        source->write(source->owner, index_at(&page, page.first + i), out);
    }
    const char *const names[] = {"],\"first_id\":", ",\"last_id\":"};
    for (size_t i = 0; i < 2; i++) {
        weir_buffer_append(out, weir_span_of_string(names[i]));
        if (shown == 0) {
            weir_buffer_append(out, WEIR_SPAN("null"));
        } else {
            weir_json_append_string(out,
                                    source->id(source->owner, index_at(&page, page.first + (i == 0 ? 0 : shown - 1))));
        }
    }
    weir_buffer_printf(out, ",\"has_more\":%s}", left > shown ? "true" : "false");
    task->object = true;
    return WEIR_OK;
}

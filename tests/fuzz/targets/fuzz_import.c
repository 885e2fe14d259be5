/* links: base json http config */
/* Another gateway's settings of any bytes: they are refused with a place, or give settings that are YAML, a report of the same count as rows, and JSON
 * that can be read. */
#include "base/limits.h"
#include "config/impl.h"
#include "config/import.h"
#include "json/scan.h"

static enum weir_status load(void *context, struct weir_arena *arena, struct weir_span name, struct weir_span *text,
                             struct weir_error *error) {
    (void)arena;
    (void)error;
    *text = *(const struct weir_span *)context;
    return name.length % 2 == 0 ? WEIR_OK : WEIR_ENOTFOUND;
}

static void check_json(struct weir_span text) {
    struct weir_json_found root;
    struct weir_json_problem problem;
    weir_bug_on(weir_json_scan(text, NULL, 0, NULL, &root, &problem) != WEIR_OK);
}

static void check_settings(struct weir_arena *arena, struct weir_span text) {
    struct weir_buffer problems;
    struct config__node *root = NULL;
    weir_buffer_init(&problems, WEIR_MIB);
    struct config__reader reader = {.arena = arena, .name = "weir.yaml", .problems = &problems};
    weir_bug_on(config__yaml_read(&reader, text, &root) == WEIR_EINVAL || problems.length > 0);
    weir_buffer_release(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_span text = weir_span_of((const char *)data, size);
    struct weir_arena *arena = weir_arena_new(0, 256 * WEIR_MIB);
    struct weir_buffer problems, report;
    struct weir_import import;
    struct weir_span included = WEIR_SPAN("model_list: [{model_name: a, litellm_params: {model: gpt-4o}}]\n");
    const struct weir_import_source source = {.name = WEIR_SPAN("config.yaml"),
                                              .text = text,
                                              .load = load,
                                              .context = &included,
                                              .prices_file = size % 3 == 0 ? WEIR_SPAN("") : WEIR_SPAN("p.json")};
    weir_buffer_init(&problems, WEIR_MIB);
    weir_buffer_init(&report, 64 * WEIR_MIB);
    enum weir_status status = weir_import_litellm(arena, &source, &import, &problems);
    weir_bug_on(status == WEIR_EINVAL && problems.length == 0);
    if (status == WEIR_OK) {
        size_t rows = 0, counted = 0;
        for (const struct weir_import_row *row = import.rows; row != NULL; row = row->next)
            rows++;
        for (size_t i = 0; i < WEIR_IMPORT_OUTCOMES; i++)
            counted += import.counts[i];
        weir_bug_on(rows != counted);
        weir_import_report(&import, source.name, size % 2 == 0, &report);
        if (size % 2 == 0 && weir_buffer_status(&report) == WEIR_OK)
            check_json(weir_buffer_span(&report));
        if (import.price_map.length > 0)
            check_json(import.price_map);
        check_settings(arena, import.settings);
    }
    weir_buffer_release(&problems);
    weir_buffer_release(&report);
    weir_arena_free(&arena);
    return 0;
}

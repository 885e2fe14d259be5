/* docs/reference/metrics.md, from the rows. */
#include "telemetry/impl.h"

void weir_metrics_reference(struct weir_buffer *out) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    weir_buffer_append(out,
                       WEIR_SPAN(
                           "# Metrics\n\n"
                           "Generated from `src/telemetry/metrics.def`; do not edit.\n\n"
                           "`/metrics` answers in the Prometheus text format 0.0.4, or in OpenMetrics 1.0.0 where\n"
                           "the `Accept` header asks for it.\n\n"
                           "| name | kind | unit | labels | what it says |\n|---|---|---|---|---|\n"));
    for (size_t i = 0; i < TELEMETRY__METRICS; i++) {
        const struct telemetry__row *row = &telemetry__rows[i];
        weir_buffer_printf(out, "| `%s` | %s | %s | ", row->name, kinds[row->kind], row->unit);
        struct weir_span rest = weir_span_of_string(row->labels);
        while (rest.length > 0) {
            struct weir_span name, left;
            bool more = weir_span_split(rest, ',', &name, &left);
            weir_buffer_printf(out, "`%.*s`%s", WEIR_SPAN_PRINT(name), more ? ", " : "");
            rest = left;
        }
        weir_buffer_printf(out, " | %s |\n", row->prose);
    }
}

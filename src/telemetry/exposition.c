/* The text that Prometheus reads: sums over the workers, one family after the other, in the order of metrics.def.
 *
 * The workers' label sets are merged first (their own endpoint, status, reason, provider, model), then every metric keeps
 * of these labels what its row names and adds up what has become equal. Runs on the control thread while workers write.
 */
#include "telemetry/impl.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "telemetry/text.h"

enum { MAX_ARENA_BYTES = 64 << 20 };

/* One line, or one histogram, of a family. */
struct sample {
    struct weir_span labels; /* as written between the braces, escaped */
    int64_t value;
    int64_t *buckets; /* histograms: buckets and sum */
    struct sample *next;
};

struct exposition {
    const struct weir_metrics *metrics;
    bool openmetrics;
    struct weir_buffer *out;
    struct weir_arena *arena;
    struct weir_buffer labels; /* being built */
    struct telemetry__series **merged;
    size_t merged_count;
    bool no_memory;
};

/* Which cells a metric's samples come from. */
struct source {
    enum telemetry__metric metric;
    size_t cell;
    const struct telemetry__bounds *bounds; /* histograms */
    const char *type;                       /* value of the label type, unit or gen_ai_token_type */
    bool of_model;                          /* only label sets that have a provider */
    bool if_any;                            /* only where there has been any: most models have none */
};
static const struct source sources[] = {
    {TELEMETRY__REQUESTS, TELEMETRY__CELL_REQUESTS, NULL, NULL, false, false},
    {TELEMETRY__REQUEST_DURATION, TELEMETRY__CELL_DURATION, &telemetry__request_bounds, NULL, false, false},
    {TELEMETRY__COST, TELEMETRY__CELL_COST, NULL, NULL, true, false},
    {TELEMETRY__TOKENS, TELEMETRY__CELL_TOKENS, NULL, "input", true, false},
    {TELEMETRY__TOKENS, TELEMETRY__CELL_TOKENS + 1, NULL, "cached", true, false},
    {TELEMETRY__TOKENS, TELEMETRY__CELL_TOKENS + 2, NULL, "cache_write", true, false},
    {TELEMETRY__TOKENS, TELEMETRY__CELL_TOKENS + 3, NULL, "output", true, false},
    {TELEMETRY__TOKENS, TELEMETRY__CELL_TOKENS + 4, NULL, "reasoning", true, false},
    {TELEMETRY__UNITS, TELEMETRY__CELL_UNITS + WEIR_UNIT_IMAGE - 1, NULL, "image", true, true},
    {TELEMETRY__UNITS, TELEMETRY__CELL_UNITS + WEIR_UNIT_AUDIO_MS - 1, NULL, "audio_ms", true, true},
    {TELEMETRY__UNITS, TELEMETRY__CELL_UNITS + WEIR_UNIT_CHARACTER - 1, NULL, "character", true, true},
    {TELEMETRY__UNITS, TELEMETRY__CELL_UNITS + WEIR_UNIT_SEARCH - 1, NULL, "search", true, true},
    {TELEMETRY__GENAI_DURATION, TELEMETRY__CELL_OPERATION, &telemetry__operation_bounds, NULL, true, false},
    {TELEMETRY__GENAI_FIRST_CHUNK, TELEMETRY__CELL_FIRST_CHUNK, &telemetry__operation_bounds, NULL, true, false},
    {TELEMETRY__GENAI_TOKEN_USAGE, TELEMETRY__CELL_INPUT, &telemetry__token_bounds, "input", true, false},
    {TELEMETRY__GENAI_TOKEN_USAGE, TELEMETRY__CELL_OUTPUT, &telemetry__token_bounds, "output", true, false},
};

/* gen_ai.operation.name of our endpoints; others go by their own name. */
static const struct {
    const char *endpoint;
    const char *operation;
} operations[] = {
    {"chat.completions", "chat"}, {"completions", "text_completion"},
    {"embeddings", "embeddings"}, {"responses", "chat"},
    {"messages", "chat"},         {"generate_content", "generate_content"},
};

static const char *operation_of(const char *endpoint) {
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(operations[i].endpoint, endpoint) == 0)
            return operations[i].operation;
    }
    return endpoint;
}

static void append_escaped(struct weir_buffer *out, struct weir_span text) {
    for (size_t at = 0; at < text.length;) {
        size_t bytes = telemetry__character(text, at);
        unsigned char first = (unsigned char)text.at[at];
        if (first == '\\' || first == '"')
            weir_buffer_append_byte(out, '\\');
        if (first == '\n')
            weir_buffer_append(out, WEIR_SPAN("\\n"));
        else if (bytes == 0 || first < 0x20 || first == 0x7f)
            weir_buffer_append_byte(out, '?');
        else
            weir_buffer_append(out, weir_span_of(text.at + at, bytes));
        at += bytes > 0 ? bytes : 1;
    }
}

static void append_label(struct weir_buffer *out, const char *name, struct weir_span value) {
    if (out->length > 0)
        weir_buffer_append_byte(out, ',');
    weir_buffer_append(out, weir_span_of_string(name));
    weir_buffer_append(out, WEIR_SPAN("=\""));
    append_escaped(out, value);
    weir_buffer_append_byte(out, '"');
}

/* The values of the labels that rows may name, for one label set. */
static struct weir_span label_value(const struct telemetry__series *series, const char *type, struct weir_span name,
                                    char status[16]) {
    bool other = series->is_rest;
    if (weir_span_equal(name, WEIR_SPAN("endpoint")))
        return weir_span_of_string(series->endpoint);
    if (weir_span_equal(name, WEIR_SPAN("status"))) {
        snprintf(status, 16, "%u", series->status);
        return other ? WEIR_SPAN("other") : weir_span_of_string(status);
    }
    bool failed = series->reason != WEIR_REASON_NONE;
    struct weir_span reason = failed ? weir_span_of_string(weir_reason_row(series->reason)->name) : WEIR_SPAN("none");
    if (weir_span_equal(name, WEIR_SPAN("reason")))
        return other ? WEIR_SPAN("other") : reason;
    if (weir_span_equal(name, WEIR_SPAN("error_type")))
        return other ? WEIR_SPAN("other") : failed ? reason : WEIR_SPAN("");
    if (weir_span_equal(name, WEIR_SPAN("provider")) || weir_span_equal(name, WEIR_SPAN("gen_ai_provider_name")))
        return series->provider;
    if (weir_span_equal(name, WEIR_SPAN("model")) || weir_span_equal(name, WEIR_SPAN("gen_ai_request_model")))
        return series->model;
    if (weir_span_equal(name, WEIR_SPAN("gen_ai_operation_name")))
        return weir_span_of_string(operation_of(series->endpoint));
    weir_bug_on(type == NULL); /* a row names a label that nobody knows */
    return weir_span_of_string(type);
}

static struct weir_span build_labels(struct exposition *exposition, const char *names,
                                     const struct telemetry__series *series, const char *type) {
    struct weir_span rest = weir_span_of_string(names);
    weir_buffer_clear(&exposition->labels);
    while (rest.length > 0) {
        struct weir_span name, left;
        char status[16], text[64];
        weir_span_split(rest, ',', &name, &left);
        weir_bug_on(weir_span_to_string(name, text, sizeof text) != WEIR_OK);
        append_label(&exposition->labels, text, label_value(series, type, name, status));
        rest = left;
    }
    return weir_buffer_span(&exposition->labels);
}

/* ---- writing ---- */

/* The family's name: in OpenMetrics a counter's family has no _total, its samples do. */
static struct weir_span family_name(const struct exposition *exposition, const struct telemetry__row *row) {
    struct weir_span name = weir_span_of_string(row->name);
    if (exposition->openmetrics && row->kind == TELEMETRY__COUNTER)
        return weir_span_first(name, name.length - (sizeof "_total" - 1));
    return name;
}

static void write_head(struct exposition *exposition, const struct telemetry__row *row) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct weir_span name = family_name(exposition, row);
    weir_buffer_printf(exposition->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", WEIR_SPAN_PRINT(name), row->prose,
                       WEIR_SPAN_PRINT(name), kinds[row->kind]);
    if (exposition->openmetrics && row->unit[0] != '\0')
        weir_buffer_printf(exposition->out, "# UNIT %.*s %s\n", WEIR_SPAN_PRINT(name), row->unit);
}

/* value / 10^digits with the zeroes at the end left out, but for one after the point. */
static void append_decimal(struct weir_buffer *out, int64_t value, unsigned digits) {
    char text[32];
    uint64_t scale = 1;
    for (unsigned i = 0; i < digits; i++)
        scale *= 10;
    uint64_t magnitude = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
    int length = snprintf(text, sizeof text, "%s%llu.%0*llu", value < 0 ? "-" : "",
                          (unsigned long long)(magnitude / scale), (int)(digits > 0 ? digits : 1),
                          (unsigned long long)(magnitude % scale));
    size_t used = (size_t)length;
    while (text[used - 1] == '0' && text[used - 2] != '.')
        used--;
    weir_buffer_append(out, weir_span_of(text, used));
}

/* "name{labels,more} " with what of both there is. */
static void write_name(struct weir_buffer *out, const char *name, const char *suffix, struct weir_span labels) {
    weir_buffer_append(out, weir_span_of_string(name));
    weir_buffer_append(out, weir_span_of_string(suffix));
    if (labels.length > 0) {
        weir_buffer_append_byte(out, '{');
        weir_buffer_append(out, labels);
        weir_buffer_append_byte(out, '}');
    }
    weir_buffer_append_byte(out, ' ');
}

static void write_integer(struct exposition *exposition, enum telemetry__metric metric, struct weir_span labels,
                          int64_t value) {
    write_name(exposition->out, telemetry__rows[metric].name, "", labels);
    weir_buffer_append_int64(exposition->out, value);
    weir_buffer_append_byte(exposition->out, '\n');
}

static void write_decimal(struct exposition *exposition, enum telemetry__metric metric, struct weir_span labels,
                          int64_t value, unsigned digits) {
    write_name(exposition->out, telemetry__rows[metric].name, "", labels);
    append_decimal(exposition->out, value, digits);
    weir_buffer_append_byte(exposition->out, '\n');
}

static void write_histogram(struct exposition *exposition, const char *name, const struct telemetry__bounds *bounds,
                            const struct sample *sample) {
    struct weir_buffer *out = exposition->out;
    int64_t count = 0;
    for (size_t i = 0; i <= bounds->count; i++) {
        count += sample->buckets[i];
        weir_buffer_printf(out, "%s_bucket{%.*s%sle=\"", name, WEIR_SPAN_PRINT(sample->labels),
                           sample->labels.length > 0 ? "," : "");
        if (i == bounds->count)
            weir_buffer_append(out, WEIR_SPAN("+Inf"));
        else
            append_decimal(out, bounds->at[i], bounds->are_microseconds ? 6 : 0);
        weir_buffer_append(out, WEIR_SPAN("\"} "));
        weir_buffer_append_int64(out, count);
        weir_buffer_append_byte(out, '\n');
    }
    write_name(out, name, "_sum", sample->labels);
    append_decimal(out, sample->buckets[bounds->count + 1], bounds->are_microseconds ? 6 : 0);
    weir_buffer_append_byte(out, '\n');
    write_name(out, name, "_count", sample->labels);
    weir_buffer_append_int64(out, count);
    weir_buffer_append_byte(out, '\n');
}

/* ---- per request ---- */

static bool merge_one(struct exposition *exposition, struct weir_map *map, const struct telemetry__series *series) {
    char key[2 * TELEMETRY__MAX_LABEL_BYTES + 128];
    int length = snprintf(key, sizeof key, "%.48s|%d|%u|%d|%zu|", series->endpoint, series->is_rest, series->status,
                          (int)series->reason, series->provider.length);
    size_t used = (size_t)length;
    memcpy(key + used, series->provider.at, series->provider.length);
    used += series->provider.length;
    memcpy(key + used, series->model.at, series->model.length);
    used += series->model.length;
    struct telemetry__series *sum = weir_map_find(map, weir_span_of(key, used));
    if (sum == NULL) {
        struct weir_span kept;
        sum = weir_arena_alloc(exposition->arena, sizeof *sum);
        if (sum == NULL || weir_arena_dup(exposition->arena, weir_span_of(key, used), &kept) != WEIR_OK ||
            weir_map_put(map, kept, sum, NULL) != WEIR_OK)
            return false;
        sum->endpoint = series->endpoint;
        sum->provider = series->provider;
        sum->model = series->model;
        sum->status = series->status;
        sum->reason = series->reason;
        sum->is_rest = series->is_rest;
        exposition->merged[exposition->merged_count++] = sum;
    }
    for (size_t i = 0; i < TELEMETRY__CELLS; i++)
        telemetry__add(&sum->cells[i], telemetry__load(&series->cells[i]));
    return true;
}

static void merge(struct exposition *exposition) {
    const struct weir_metrics *metrics = exposition->metrics;
    size_t *counts = weir_arena_array(exposition->arena, metrics->workers, sizeof *counts);
    size_t total = 0;
    for (unsigned i = 0; counts != NULL && i < metrics->workers; i++) {
        counts[i] = atomic_load_explicit(&metrics->sets[i].count, memory_order_acquire);
        total += counts[i];
    }
    struct weir_map *map = weir_map_new(total);
    exposition->merged = weir_arena_array(exposition->arena, total, sizeof(struct telemetry__series *));
    bool well = counts != NULL && map != NULL && exposition->merged != NULL;
    for (unsigned i = 0; well && i < metrics->workers; i++) {
        for (size_t j = 0; well && j < counts[i]; j++) {
            const struct telemetry__series *series = metrics->sets[i].all[j];
            if (telemetry__load(&series->cells[TELEMETRY__CELL_REQUESTS]) > 0)
                well = merge_one(exposition, map, series);
        }
    }
    if (!well)
        exposition->no_memory = true;
    weir_map_free(&map);
}

static struct sample *sample_of(struct exposition *exposition, struct weir_map *map, struct weir_span labels,
                                size_t bucket_count, struct sample ***end) {
    struct sample *sample = weir_map_find(map, labels);
    if (sample != NULL)
        return sample;
    sample = weir_arena_alloc(exposition->arena, sizeof *sample);
    if (sample == NULL || weir_arena_dup(exposition->arena, labels, &sample->labels) != WEIR_OK)
        return NULL;
    sample->buckets = weir_arena_array(exposition->arena, bucket_count, sizeof *sample->buckets);
    if (sample->buckets == NULL || weir_map_put(map, sample->labels, sample, NULL) != WEIR_OK)
        return NULL;
    **end = sample;
    *end = &sample->next;
    return sample;
}

static int64_t observations(const struct telemetry__series *series, const struct source *source) {
    int64_t count = 0;
    for (size_t i = 0; i <= source->bounds->count; i++)
        count += telemetry__load(&series->cells[source->cell + i]);
    return count;
}

static bool has_sources(enum telemetry__metric metric) {
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (sources[i].metric == metric)
            return true;
    }
    return false;
}

static void write_family(struct exposition *exposition, enum telemetry__metric metric) {
    const struct telemetry__row *row = &telemetry__rows[metric];
    const struct telemetry__bounds *bounds = NULL;
    struct sample *first = NULL, **end = &first;
    struct weir_map *map = weir_map_new(exposition->merged_count);
    bool well = map != NULL;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        const struct source *source = &sources[i];
        if (source->metric != metric)
            continue;
        bounds = source->bounds;
        size_t bucket_count = bounds != NULL ? bounds->count + 2 : 0;
        for (size_t j = 0; well && j < exposition->merged_count; j++) {
            const struct telemetry__series *series = exposition->merged[j];
            if ((source->of_model && series->provider.length == 0) ||
                (source->if_any && telemetry__load(&series->cells[source->cell]) == 0) ||
                (bounds != NULL && observations(series, source) == 0))
                continue;
            struct weir_span labels = build_labels(exposition, row->labels, series, source->type);
            struct sample *sample = sample_of(exposition, map, labels, bucket_count, &end);
            well = sample != NULL;
            for (size_t k = 0; well && k < bucket_count; k++)
                sample->buckets[k] += telemetry__load(&series->cells[source->cell + k]);
            if (well && bounds == NULL)
                sample->value += telemetry__load(&series->cells[source->cell]);
        }
    }
    for (const struct sample *sample = first; sample != NULL; sample = sample->next) {
        if (bounds != NULL)
            write_histogram(exposition, row->name, bounds, sample);
        else
            write_integer(exposition, metric, sample->labels, sample->value);
    }
    weir_map_free(&map);
    if (!well)
        exposition->no_memory = true;
}

/* ---- attempts ---- */

static void write_attempts(struct exposition *exposition) {
    const struct weir_metrics *metrics = exposition->metrics;
    struct sample *first = NULL, **end = &first;
    size_t total = 0, *counts = weir_arena_array(exposition->arena, metrics->workers, sizeof *counts);
    for (unsigned i = 0; counts != NULL && i < metrics->workers; i++) {
        counts[i] = atomic_load_explicit(&metrics->sets[i].attempts.count, memory_order_acquire);
        total += counts[i];
    }
    struct weir_map *map = counts != NULL ? weir_map_new(total) : NULL;
    bool well = map != NULL;
    for (unsigned i = 0; well && i < metrics->workers; i++) {
        for (size_t j = 0; well && j < counts[i]; j++) {
            const struct telemetry__attempts *attempts = metrics->sets[i].attempts.all[j];
            bool failed = attempts->reason != WEIR_REASON_NONE;
            weir_buffer_clear(&exposition->labels);
            append_label(&exposition->labels, "provider", attempts->provider);
            append_label(&exposition->labels, "reason",
                         weir_span_of_string(failed ? weir_reason_row(attempts->reason)->name : "none"));
            struct sample *sample = sample_of(exposition, map, weir_buffer_span(&exposition->labels), 0, &end);
            well = sample != NULL;
            if (well)
                sample->value += telemetry__load(&attempts->count);
        }
    }
    for (const struct sample *sample = first; sample != NULL; sample = sample->next)
        write_integer(exposition, TELEMETRY__ATTEMPTS, sample->labels, sample->value);
    weir_map_free(&map);
    if (!well)
        exposition->no_memory = true;
}

/* ---- limits ---- */

/* Of budgets, or of all other limits. */
static void write_limited(struct exposition *exposition, enum telemetry__metric metric) {
    const struct weir_metrics *metrics = exposition->metrics;
    bool of_budgets = metric == TELEMETRY__BUDGET_REFUSALS;
    struct sample *first = NULL, **end = &first;
    struct weir_map *map = weir_map_new(TELEMETRY__MAX_LIMITED);
    bool well = map != NULL;
    for (unsigned i = 0; well && i < metrics->workers; i++) {
        const struct weir_metrics_set *set = &metrics->sets[i];
        size_t count = atomic_load_explicit(&set->limited_count, memory_order_acquire);
        for (size_t j = 0; well && j < count; j++) {
            if ((set->limited[j].limit == NULL) != of_budgets)
                continue;
            weir_buffer_clear(&exposition->labels);
            append_label(&exposition->labels, "scope", weir_span_of_string(set->limited[j].scope));
            if (!of_budgets)
                append_label(&exposition->labels, "limit", weir_span_of_string(set->limited[j].limit));
            struct sample *sample = sample_of(exposition, map, weir_buffer_span(&exposition->labels), 0, &end);
            well = sample != NULL;
            if (well)
                sample->value += telemetry__load(&set->limited[j].count);
        }
    }
    for (const struct sample *sample = first; sample != NULL; sample = sample->next)
        write_integer(exposition, metric, sample->labels, sample->value);
    weir_map_free(&map);
    if (!well)
        exposition->no_memory = true;
}

/* ---- the operator plane ---- */

static void write_operations(struct exposition *exposition) {
    for (size_t i = 0; i < TELEMETRY__OPERATION_SLOTS; i++) {
        const struct telemetry__operation *slot = &exposition->metrics->operations[i];
        const char *id = atomic_load_explicit(&slot->id, memory_order_acquire);
        char status[16];
        if (id == NULL)
            continue;
        (void)snprintf(status, sizeof status, "%u", slot->status);
        weir_buffer_clear(&exposition->labels);
        append_label(&exposition->labels, "operation", weir_span_of_string(id));
        append_label(&exposition->labels, "status", weir_span_of_string(status));
        write_integer(exposition, TELEMETRY__OPERATOR_REQUESTS, weir_buffer_span(&exposition->labels),
                      telemetry__load(&slot->count));
    }
}

/* ---- per worker, and facts ---- */

static int64_t sum_of(const struct weir_metrics *metrics, size_t offset) {
    int64_t sum = 0;
    for (unsigned i = 0; i < metrics->workers; i++) {
        const char *set = (const char *)&metrics->sets[i];
        sum += telemetry__load((const _Atomic int64_t *)(const void *)(set + offset));
    }
    return sum;
}

static void write_build_info(struct exposition *exposition, const struct weir_metrics_facts *facts) {
    weir_buffer_clear(&exposition->labels);
    append_label(&exposition->labels, "version", weir_span_of_string(facts->version));
    append_label(&exposition->labels, "environment", weir_span_of_string(facts->environment));
    write_integer(exposition, TELEMETRY__BUILD_INFO, weir_buffer_span(&exposition->labels), 1);
}

static void write_worker_cpu(struct exposition *exposition) {
    for (unsigned i = 0; i < exposition->metrics->workers; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "worker=\"%u\"", i);
        write_decimal(exposition, TELEMETRY__WORKER_CPU, weir_span_of_string(labels),
                      telemetry__load(&exposition->metrics->sets[i].cpu_ns), 9);
    }
}

static void write_backup_age(struct exposition *exposition, enum telemetry__metric metric,
                             const struct weir_metrics_facts *facts) {
    int64_t since_us = facts->backup_utc_us != 0 ? facts->backup_utc_us : facts->start_utc_us;
    int64_t age_us = weir_clock_utc_us() - since_us;
    if (facts->has_backups)
        write_decimal(exposition, metric, weir_span_of("", 0), age_us > 0 ? age_us : 0, 6);
}

static void write_alerts(struct exposition *exposition, const struct weir_metrics_facts *facts) {
    for (size_t i = 0; i < WEIR_METRICS_ALERT_KINDS; i++) {
        char labels[32];
        if (facts->alerts[i].kind == NULL)
            continue;
        snprintf(labels, sizeof labels, "kind=\"%s\"", facts->alerts[i].kind);
        write_integer(exposition, TELEMETRY__ALERTS, weir_span_of_string(labels), (int64_t)facts->alerts[i].count);
    }
}

/* Whole numbers without labels. */
static bool write_fact(struct exposition *exposition, const struct weir_metrics_facts *facts,
                       enum telemetry__metric metric) {
    const struct {
        enum telemetry__metric metric;
        int64_t value;
    } rows[] = {
        {TELEMETRY__JOURNAL_BACKLOG, (int64_t)facts->journal_backlog_bytes},
        {TELEMETRY__LEDGER_INGESTED, (int64_t)facts->ingested_records},
        {TELEMETRY__AUDIT_SINK_BEHIND, (int64_t)facts->audit_sink_behind},
        {TELEMETRY__AUDIT_SINK_FAILURES, (int64_t)facts->audit_sink_failures},
        {TELEMETRY__CONTENTS_LEFT_OUT, (int64_t)facts->contents_left_out},
        {TELEMETRY__METER_HOLDS, facts->meter_holds},
        {TELEMETRY__METER_HELD, facts->meter_held_cu_milli},
        {TELEMETRY__METER_ADMISSIONS, facts->meter_admissions},
        {TELEMETRY__METER_COUNTERS, (int64_t)facts->meter_counters},
        {TELEMETRY__METER_QUESTIONS, (int64_t)facts->meter_questions},
        {TELEMETRY__METER_WAITS, (int64_t)facts->meter_waits},
        {TELEMETRY__READY, (int64_t)facts->ready},
        {TELEMETRY__STORE_UP, (int64_t)facts->store_available},
        {TELEMETRY__JOURNAL_UP, (int64_t)facts->journal_available},
        {TELEMETRY__KEYS, (int64_t)facts->keys},
        {TELEMETRY__KEYS_ACTIVE, (int64_t)facts->keys_active},
        {TELEMETRY__KEYS_ROTATION_DUE, (int64_t)facts->keys_rotation_due},
        {TELEMETRY__KEYS_BYTES, (int64_t)facts->keys_bytes},
        {TELEMETRY__SEALING_KEY, (int64_t)facts->sealing_key},
        {TELEMETRY__BACKUP_BYTES, (int64_t)facts->backup_bytes},
        {TELEMETRY__BACKUP_FAILURES, (int64_t)facts->backup_failures},
        {TELEMETRY__REVISION, (int64_t)facts->revision},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].metric != metric)
            continue;
        write_integer(exposition, metric, weir_span_of("", 0), rows[i].value);
        return true;
    }
    return false;
}

static void write_row(struct exposition *exposition, const struct weir_metrics_facts *facts,
                      enum telemetry__metric metric) {
    const struct weir_metrics *metrics = exposition->metrics;
    const struct weir_span none = {.at = "", .length = 0};
    write_head(exposition, &telemetry__rows[metric]);
    if (has_sources(metric)) {
        write_family(exposition, metric);
        return;
    }
    if (write_fact(exposition, facts, metric))
        return;
    switch ((int)metric) {
    case TELEMETRY__ATTEMPTS: write_attempts(exposition); return;
    case TELEMETRY__ACTIVE_REQUESTS:
        write_integer(exposition, metric, none, sum_of(metrics, offsetof(struct weir_metrics_set, active_requests)));
        return;
    case TELEMETRY__ACTIVE_STREAMS:
        write_integer(exposition, metric, none, sum_of(metrics, offsetof(struct weir_metrics_set, active_streams)));
        return;
    case TELEMETRY__OPEN_CONNECTIONS:
        write_integer(exposition, metric, none, sum_of(metrics, offsetof(struct weir_metrics_set, open_connections)));
        return;
    case TELEMETRY__LABELS_FOLDED:
        write_integer(exposition, metric, none, sum_of(metrics, offsetof(struct weir_metrics_set, folded)));
        return;
    case TELEMETRY__RECORDS_LEFT_OUT:
        write_integer(exposition, metric, none, sum_of(metrics, offsetof(struct weir_metrics_set, records_left_out)));
        return;
    case TELEMETRY__BUDGET_REFUSALS:
    case TELEMETRY__RATE_LIMITED: write_limited(exposition, metric); return;
    case TELEMETRY__OVERRUN:
        write_integer(exposition, metric, none, sum_of(metrics, offsetof(struct weir_metrics_set, overrun_cu_milli)));
        return;
    case TELEMETRY__OPERATOR_REQUESTS: write_operations(exposition); return;
    case TELEMETRY__OPERATOR_LOGINS_FAILED:
        write_integer(exposition, metric, none, telemetry__load(&metrics->logins_failed));
        return;
    case TELEMETRY__OPERATOR_QUEUE:
        write_integer(exposition, metric, none, telemetry__load(&metrics->operator_queue));
        return;
    case TELEMETRY__WORKER_CPU: write_worker_cpu(exposition); return;
    case TELEMETRY__STORE_CPU: write_decimal(exposition, metric, none, facts->store_cpu_ns, 9); return;
    case TELEMETRY__CONTROL_CPU: write_decimal(exposition, metric, none, facts->control_cpu_ns, 9); return;
    case TELEMETRY__ALERTS: write_alerts(exposition, facts); return;
    case TELEMETRY__BACKUP_AGE: write_backup_age(exposition, metric, facts); return;
    case TELEMETRY__BUILD_INFO: write_build_info(exposition, facts); return;
    case TELEMETRY__START_TIME: write_decimal(exposition, metric, none, facts->start_utc_us, 6); return;
    default: weir_bug_on(true); /* a row that nobody knows how to write */
    }
}

void weir_metrics_write(const struct weir_metrics *metrics, const struct weir_metrics_facts *facts, bool openmetrics,
                        struct weir_buffer *out) {
    struct exposition exposition = {.metrics = metrics, .openmetrics = openmetrics, .out = out};
    weir_buffer_init(&exposition.labels, 4096);
    exposition.arena = weir_arena_new(64 << 10, MAX_ARENA_BYTES);
    if (exposition.arena == NULL)
        exposition.no_memory = true;
    else
        merge(&exposition);
    for (enum telemetry__metric metric = 0; !exposition.no_memory && metric < TELEMETRY__METRICS; metric++)
        write_row(&exposition, facts, metric);
    if (openmetrics)
        weir_buffer_append(out, WEIR_SPAN("# EOF\n"));
    /* Half an answer would look like counters that went back: none at all is better. */
    if (exposition.no_memory && out->status == WEIR_OK)
        out->status = WEIR_ENOMEM;
    weir_arena_free(&exposition.arena);
    weir_buffer_release(&exposition.labels);
}

bool weir_metrics_wants_openmetrics(const struct weir_span *accept) {
    static const char type[] = "application/openmetrics-text";
    return accept != NULL && memmem(accept->at, accept->length, type, sizeof(type) - 1) != NULL;
}

const char *weir_metrics_content_type(bool openmetrics) {
    return openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                       : "text/plain; version=0.0.4; charset=utf-8";
}

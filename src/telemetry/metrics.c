/* Recording: find the label set, add to its cells.
 *
 * The set that was found last time is tried first, then a small hash table of the worker's own. Memory is only taken
 * when a label set is seen for the first time, and never past the bound: what is too many counts as "other". A label set
 * is published to readers by the release store of the count, after its labels have been written; nothing is ever removed.
 */
#include "telemetry/impl.h"

#include "base/memory.h"

const struct telemetry__row telemetry__rows[TELEMETRY__METRICS] = {
#define X(row, exposed, row_kind, row_unit, row_labels, row_prose) \
    [TELEMETRY__##row] = {                                         \
        .name = exposed, .kind = TELEMETRY__##row_kind, .unit = row_unit, .labels = row_labels, .prose = row_prose},
#include "telemetry/metrics.def"
#undef X
};

const struct telemetry__bounds telemetry__request_bounds = {.count = 16,
                                                            .are_microseconds = true,
                                                            .at = {1000, 2500, 5000, 10000, 25000, 50000, 100000,
                                                                   250000, 500000, 1000000, 2500000, 5000000, 10000000,
                                                                   30000000, 60000000, 120000000}};
const struct telemetry__bounds telemetry__operation_bounds = {.count = 14,
                                                              .are_microseconds = true,
                                                              .at = {10000, 20000, 40000, 80000, 160000, 320000, 640000,
                                                                     1280000, 2560000, 5120000, 10240000, 20480000,
                                                                     40960000, 81920000}};
const struct telemetry__bounds telemetry__token_bounds = {.count = 14,
                                                          .at = {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144,
                                                                 1048576, 4194304, 16777216, 67108864}};

/* What a label set is looked up by. */
struct key {
    const char *endpoint;
    struct weir_span provider, model;
    unsigned status;
    enum weir_reason reason;
};

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* Names come from the configuration, and the table is bounded: a fast hash will do. */
static uint64_t mix_span(uint64_t hash, struct weir_span span) {
    size_t at = 0;
    for (; span.length - at >= 8; at += 8) {
        uint64_t word = 0;
        memcpy(&word, span.at + at, 8);
        hash = mix(hash, word);
    }
    uint64_t tail = 0;
    for (; at < span.length; at++)
        tail = tail << 8 | (unsigned char)span.at[at];
    return mix(hash, tail ^ (uint64_t)span.length << 56);
}

static uint64_t hash_of(const struct key *key) {
    uint64_t hash = mix((uint64_t)(uintptr_t)key->endpoint, (uint64_t)key->status << 32 | (uint64_t)key->reason);
    return mix_span(mix_span(hash, key->provider), key->model);
}

static bool matches(const struct telemetry__series *series, const struct key *key) {
    return series->endpoint == key->endpoint && series->status == key->status && series->reason == key->reason &&
           weir_span_equal(series->model, key->model) && weir_span_equal(series->provider, key->provider);
}

/* At most as long as a label may be, cut between characters. */
static struct weir_span cut(struct weir_span span) {
    if (span.length <= TELEMETRY__MAX_LABEL_BYTES)
        return span;
    size_t length = TELEMETRY__MAX_LABEL_BYTES;
    while (length > 0 && ((unsigned char)span.at[length] & 0xc0) == 0x80)
        length--;
    return weir_span_of(span.at, length);
}

static struct weir_span keep(char *text, struct weir_span span) {
    if (span.length > 0)
        memcpy(text, span.at, span.length);
    return weir_span_of(text, span.length);
}

static void publish(struct weir_metrics_set *set, struct telemetry__series *series) {
    size_t count = atomic_load_explicit(&set->count, memory_order_relaxed);
    set->all[count] = series;
    atomic_store_explicit(&set->count, count + 1, memory_order_release);
}

/* NULL when there is no such label set and no room, or no memory, for it. */
static struct telemetry__series *find(struct weir_metrics_set *set, const struct key *key, size_t *used,
                                      size_t maximum) {
    uint64_t hash = hash_of(key);
    size_t slot = (size_t)hash & (TELEMETRY__SLOTS - 1);
    for (; set->slots[slot] != NULL; slot = (slot + 1) & (TELEMETRY__SLOTS - 1)) {
        if (set->slots[slot]->hash == hash && matches(set->slots[slot], key))
            return set->slots[slot];
    }
    if (*used == maximum)
        return NULL;
    struct telemetry__series *series = weir_memory_new(1, sizeof *series);
    if (series == NULL)
        return NULL;
    series->endpoint = key->endpoint;
    series->provider = keep(series->text, key->provider);
    series->model = keep(series->text + TELEMETRY__MAX_LABEL_BYTES, key->model);
    series->status = key->status;
    series->reason = key->reason;
    series->hash = hash;
    set->slots[slot] = series;
    (*used)++;
    publish(set, series);
    return series;
}

static struct telemetry__series *series_of(struct weir_metrics_set *set, const struct weir_metrics_request *request) {
    struct key key = {.endpoint = request->endpoint,
                      .provider = cut(request->provider),
                      .model = cut(request->model),
                      .status = request->status,
                      .reason = request->reason};
    if (matches(set->last, &key))
        return set->last;
    struct telemetry__series *series = find(set, &key, &set->own_count, TELEMETRY__MAX_SERIES);
    if (series == NULL) {
        telemetry__add(&set->folded, 1);
        key.provider = key.provider.length > 0 ? WEIR_SPAN("other") : key.provider;
        key.model = key.model.length > 0 ? WEIR_SPAN("other") : key.model;
        series = find(set, &key, &set->folded_count, TELEMETRY__MAX_FOLDED);
    }
    if (series == NULL)
        return &set->rest; /* not kept as the last one: its labels are not the key's */
    set->last = series;
    return series;
}

static void observe(_Atomic int64_t *cells, const struct telemetry__bounds *bounds, int64_t value) {
    size_t low = 0, high = bounds->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (value <= bounds->at[middle])
            high = middle;
        else
            low = middle + 1;
    }
    telemetry__add(&cells[low], 1);
    telemetry__add(&cells[bounds->count + 1], value);
}

void weir_metrics_record(struct weir_metrics_set *set, const struct weir_metrics_request *request) {
    _Atomic int64_t *cells = series_of(set, request)->cells;
    const struct weir_usage *tokens = &request->usage;
    telemetry__add(&cells[TELEMETRY__CELL_REQUESTS], 1);
    observe(&cells[TELEMETRY__CELL_DURATION], &telemetry__request_bounds, request->duration_us);
    if (request->provider.length == 0)
        return; /* nothing was asked of a model */
    telemetry__add(&cells[TELEMETRY__CELL_COST], request->cost_cu_milli);
    telemetry__add(&cells[TELEMETRY__CELL_TOKENS], tokens->input);
    telemetry__add(&cells[TELEMETRY__CELL_TOKENS + 1], tokens->cached);
    telemetry__add(&cells[TELEMETRY__CELL_TOKENS + 2], tokens->cache_write);
    telemetry__add(&cells[TELEMETRY__CELL_TOKENS + 3], tokens->output);
    telemetry__add(&cells[TELEMETRY__CELL_TOKENS + 4], tokens->reasoning);
    if (tokens->unit > WEIR_UNIT_NONE && (size_t)tokens->unit <= TELEMETRY__UNIT_KINDS)
        telemetry__add(&cells[TELEMETRY__CELL_UNITS + (size_t)tokens->unit - 1], tokens->units);
    observe(&cells[TELEMETRY__CELL_OPERATION], &telemetry__operation_bounds, request->duration_us);
    if (request->first_byte_us > 0)
        observe(&cells[TELEMETRY__CELL_FIRST_CHUNK], &telemetry__operation_bounds, request->first_byte_us);
    if (tokens->input > 0)
        observe(&cells[TELEMETRY__CELL_INPUT], &telemetry__token_bounds, tokens->input);
    if (tokens->output > 0)
        observe(&cells[TELEMETRY__CELL_OUTPUT], &telemetry__token_bounds, tokens->output);
}

static struct telemetry__attempts *find_attempts(struct telemetry__attempts_table *table, struct weir_span provider,
                                                 enum weir_reason reason, size_t *used, size_t maximum) {
    size_t slot = (size_t)mix_span((uint64_t)reason, provider) & (TELEMETRY__SLOTS - 1);
    for (; table->slots[slot] != NULL; slot = (slot + 1) & (TELEMETRY__SLOTS - 1)) {
        if (table->slots[slot]->reason == reason && weir_span_equal(table->slots[slot]->provider, provider))
            return table->slots[slot];
    }
    struct telemetry__attempts *made = *used < maximum ? weir_memory_new(1, sizeof *made) : NULL;
    if (made == NULL)
        return NULL;
    made->provider = keep(made->text, provider);
    made->reason = reason;
    table->slots[slot] = made;
    (*used)++;
    size_t count = atomic_load_explicit(&table->count, memory_order_relaxed);
    table->all[count] = made;
    atomic_store_explicit(&table->count, count + 1, memory_order_release);
    return made;
}

void weir_metrics_add_attempt(struct weir_metrics_set *set, struct weir_span provider, enum weir_reason reason) {
    struct telemetry__attempts_table *table = &set->attempts;
    struct telemetry__attempts *found = table->last;
    provider = cut(provider);
    if (found == NULL || found->reason != reason || !weir_span_equal(found->provider, provider))
        found = find_attempts(table, provider, reason, &table->own_count, TELEMETRY__MAX_SERIES);
    if (found == NULL)
        found = find_attempts(table, WEIR_SPAN("other"), reason, &table->folded_count, TELEMETRY__MAX_FOLDED);
    if (found == NULL)
        return; /* there is no memory */
    telemetry__add(&found->count, 1);
    table->last = found;
}

void weir_metrics_add_active(struct weir_metrics_set *set, int64_t requests, int64_t streams, int64_t connections) {
    if (requests != 0)
        telemetry__add(&set->active_requests, requests);
    if (streams != 0)
        telemetry__add(&set->active_streams, streams);
    if (connections != 0)
        telemetry__add(&set->open_connections, connections);
}

void weir_metrics_add_operation(struct weir_metrics *metrics, const char *operation, unsigned status) {
    size_t at = (size_t)mix((uint64_t)(uintptr_t)operation, status) & (TELEMETRY__OPERATION_SLOTS - 1);
    struct telemetry__operation *slot = &metrics->operations[at];
    const char *id;
    while ((id = atomic_load_explicit(&slot->id, memory_order_relaxed)) != NULL &&
           (id != operation || slot->status != status)) {
        at = (at + 1) & (TELEMETRY__OPERATION_SLOTS - 1);
        slot = &metrics->operations[at];
    }
    if (id == NULL) {
        if (metrics->operation_count == TELEMETRY__MAX_OPERATIONS)
            return;
        metrics->operation_count++;
        slot->status = status;
        atomic_store_explicit(&slot->id, operation, memory_order_release);
    }
    telemetry__add(&slot->count, 1);
}

void weir_metrics_add_login_failed(struct weir_metrics *metrics) {
    telemetry__add(&metrics->logins_failed, 1);
}

void weir_metrics_set_operator_queue(struct weir_metrics *metrics, size_t waiting) {
    atomic_store_explicit(&metrics->operator_queue, (int64_t)waiting, memory_order_relaxed);
}

void weir_metrics_add_record_left_out(struct weir_metrics_set *set) {
    telemetry__add(&set->records_left_out, 1);
}

static bool is_limited(const struct telemetry__limited *row, const char *scope, const char *limit) {
    if ((row->limit == NULL) != (limit == NULL) || strcmp(row->scope, scope) != 0)
        return false;
    return limit == NULL || strcmp(row->limit, limit) == 0;
}

void weir_metrics_add_limited(struct weir_metrics_set *set, const char *scope, const char *limit) {
    size_t count = atomic_load_explicit(&set->limited_count, memory_order_relaxed), at = 0;
    while (at < count && !is_limited(&set->limited[at], scope, limit))
        at++;
    if (at == TELEMETRY__MAX_LIMITED)
        return;
    if (at == count) {
        set->limited[at].scope = scope;
        set->limited[at].limit = limit;
        atomic_store_explicit(&set->limited_count, count + 1, memory_order_release);
    }
    telemetry__add(&set->limited[at].count, 1);
}

void weir_metrics_add_overrun(struct weir_metrics_set *set, int64_t cu_milli) {
    telemetry__add(&set->overrun_cu_milli, cu_milli);
}

void weir_metrics_set_cpu(struct weir_metrics_set *set, int64_t cpu_ns) {
    atomic_store_explicit(&set->cpu_ns, cpu_ns, memory_order_relaxed);
}

enum weir_status weir_metrics_new(unsigned workers, struct weir_metrics **metrics) {
    struct weir_metrics *made = weir_memory_new(1, sizeof *made);
    struct weir_metrics_set *sets = weir_memory_new(workers, sizeof *sets);
    if (made == NULL || sets == NULL) {
        weir_memory_free(made);
        weir_memory_free(sets);
        return WEIR_ENOMEM;
    }
    made->workers = workers;
    made->sets = sets;
    for (unsigned i = 0; i < workers; i++) {
        struct telemetry__series *rest = &sets[i].rest;
        rest->endpoint = "other";
        rest->provider = keep(rest->text, WEIR_SPAN("other"));
        rest->model = keep(rest->text + TELEMETRY__MAX_LABEL_BYTES, WEIR_SPAN("other"));
        rest->is_rest = true;
        sets[i].last = rest;
        publish(&sets[i], rest);
    }
    *metrics = made;
    return WEIR_OK;
}

void weir_metrics_free(struct weir_metrics **metrics) {
    if (*metrics == NULL)
        return;
    for (unsigned i = 0; i < (*metrics)->workers; i++) {
        struct weir_metrics_set *set = &(*metrics)->sets[i];
        size_t count = atomic_load_explicit(&set->count, memory_order_acquire);
        for (size_t j = 1; j < count; j++)
            weir_memory_free(set->all[j]);
        count = atomic_load_explicit(&set->attempts.count, memory_order_acquire);
        for (size_t j = 0; j < count; j++)
            weir_memory_free(set->attempts.all[j]);
    }
    weir_memory_free((*metrics)->sets);
    weir_memory_free(*metrics);
    *metrics = NULL;
}

struct weir_metrics_set *weir_metrics_of(struct weir_metrics *metrics, unsigned worker) {
    weir_bug_on(worker >= metrics->workers);
    return &metrics->sets[worker];
}

/* links: base json meter */
/* Providers' exports from anywhere: CSV and JSON.
 *
 * The first byte chooses the format that is asked for. Sums of what was read are in order, one a day and model, and within the days that are told; compared
 * with themselves they match whatever they are, and with nothing every row is missing on our side. What is refused is refused with words.
 */
#include "meter/reconcile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool in_order(const struct weir_export_row *a, const struct weir_export_row *b) {
    size_t shorter = a->model.length < b->model.length ? a->model.length : b->model.length;
    int order = memcmp(a->model.at, b->model.at, shorter);
    return a->day < b->day || (a->day == b->day && (order < 0 || (order == 0 && a->model.length < b->model.length)));
}

static void check(struct weir_arena *arena, const struct weir_export *export) {
    struct weir_reconciliation result;
    struct weir_error error = {.text = ""};
    require(export->format != WEIR_EXPORT_AUTO && export->first_day <= export->last_day);
    require(export->last_day - export->first_day < WEIR_EXPORT_MAX_DAYS && export->count <= export->read);
    for (size_t i = 0; i < export->count; i++) {
        const struct weir_export_row *row = &export->rows[i];
        require(row->day >= export->first_day && row->day <= export->last_day && row->model.length <= 200);
        require(row->figures.input >= 0 && row->figures.output >= 0 && row->figures.requests >= 0);
        require(i == 0 || in_order(&export->rows[i - 1], row));
    }
    if (weir_reconcile(arena, export, export->rows, export->count, 0, &result, &error) == WEIR_OK) {
        require(result.within && result.count <= export->count && result.total.percent_milli == 0);
        for (size_t i = 0; i < result.count; i++)
            require(result.rows[i].difference.input == 0 && result.rows[i].difference.cost_cu_milli == 0);
    } else {
        require(error.text[0] != '\0');
    }
    if (weir_reconcile(arena, export, NULL, 0, 100000, &result, &error) == WEIR_OK)
        for (size_t i = 0; i < result.count; i++)
            require(result.rows[i].status == WEIR_RECONCILE_OURS_MISSING);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    char *copy = malloc(size);
    struct weir_arena *arena = weir_arena_new(0, 64 * WEIR_MIB);
    require(copy != NULL && arena != NULL);
    memcpy(copy, data + 1, size - 1);
    struct weir_export export;
    struct weir_error error = {.text = ""};
    if (weir_export_read(arena, weir_span_of(copy, size - 1), (enum weir_export_format)(data[0] % 3), NULL, &export,
                         &error) == WEIR_OK)
        check(arena, &export);
    else
        require(error.text[0] != '\0');
    weir_arena_free(&arena);
    free(copy);
    return 0;
}

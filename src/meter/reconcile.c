/* Comparing what a provider says with what the ledger says, by day and model.
 *
 * Both sides become entries of one array that is sorted by day, name without date, whole name and side; what belongs together then stands together,
 * however many models a file makes up. Entries are paired by their whole names; only where one is left over, and a name without a date is among those that
 * are alike but for it, are they put into one row. Differences and percentages are computed in 128 bits and cannot overflow.
 */
#include "meter/reconcile.h"

#include "meter/reconcile_impl.h"

#include "base/arithmetic.h"

struct entry {
    struct weir_export_row row;
    struct weir_span plain;     /* its name in one spelling: "claude-3-5-sonnet-20241022" */
    struct weir_span canonical; /* that without a date */
    bool theirs;
};

struct run {
    const struct entry *entries;
    size_t count;
};

struct comparing {
    struct weir_arena *arena;
    const struct weir_export *export;
    int64_t tolerance;
    struct weir_reconcile_row *rows;
    size_t count;
    struct weir_reconciliation *result;
    struct weir_error *error;
};

const char *weir_reconcile_status_name(enum weir_reconcile_status status) {
    static const char *const names[] = {"match", "differs", "ours_missing", "theirs_missing"};
    return names[status];
}

/* --- names --- */

/* "Claude 3.5 Sonnet 2024-10-22" is "claude-3-5-sonnet-20241022", and without its date "claude-3-5-sonnet". */
static enum weir_status spell(struct weir_arena *arena, struct entry *entry) {
    struct weir_span model = entry->row.model;
    char *text = weir_arena_alloc(arena, model.length);
    if (text == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < model.length; i++) {
        char byte = model.at[i];
        if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte + ('a' - 'A'));
        text[i] = byte == ' ' || byte == '.' || byte == '_' ? '-' : byte;
    }
    enum { DASHED = 11, COMPACT = 9 };
    size_t length = model.length, ending = meter__date_ending(weir_span_of(text, length));
    if (ending == DASHED) { /* "-2024-10-22" */
        char *date = text + length - DASHED;
        memmove(date + 5, date + 6, 2);
        memmove(date + 7, date + 9, 2);
        length -= DASHED - COMPACT;
    }
    entry->plain = weir_span_of(text, length);
    entry->canonical = weir_span_of(text, model.length - ending);
    return WEIR_OK;
}

static int compare_spans(struct weir_span a, struct weir_span b) {
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter > 0 ? memcmp(a.at, b.at, shorter) : 0;
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_entries(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    if (a->row.day != b->row.day)
        return a->row.day < b->row.day ? -1 : 1;
    int order = compare_spans(a->canonical, b->canonical);
    if (order == 0)
        order = compare_spans(a->plain, b->plain);
    return order != 0 ? order : (int)a->theirs - (int)b->theirs;
}

/* --- figures --- */

struct figure {
    enum weir_export_figure figure;
    size_t offset;
    bool judged;
};
static const struct figure figures[] = {
    {WEIR_EXPORT_REQUESTS, offsetof(struct weir_figures, requests), false},
    {WEIR_EXPORT_INPUT, offsetof(struct weir_figures, input), true},
    {WEIR_EXPORT_CACHED, offsetof(struct weir_figures, cached), true},
    {WEIR_EXPORT_OUTPUT, offsetof(struct weir_figures, output), true},
    {WEIR_EXPORT_COST, offsetof(struct weir_figures, cost_cu_milli), true},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static int64_t figure_of(const struct weir_figures *all, const struct figure *figure) {
    int64_t value;
    memcpy(&value, (const char *)all + figure->offset, sizeof value);
    return value;
}

static void set_figure(struct weir_figures *all, const struct figure *figure, int64_t value) {
    memcpy((char *)all + figure->offset, &value, sizeof value);
}

static bool add_figures(struct weir_figures *sum, const struct weir_figures *more) {
    for (size_t i = 0; i < FIGURES; i++) {
        int64_t value;
        if (!weir_add_int64(figure_of(sum, &figures[i]), figure_of(more, &figures[i]), &value))
            return false;
        set_figure(sum, &figures[i], value);
    }
    return true;
}

/* Those that the export has; one of days without any use is compared in all. */
static bool is_judged(const struct comparing *comparing, const struct figure *figure) {
    unsigned has = comparing->export->figures;
    return figure->judged && (has == 0 || (has & (unsigned)figure->figure) != 0);
}

static bool is_nothing(const struct comparing *comparing, const struct weir_figures *side) {
    for (size_t i = 0; i < FIGURES; i++)
        if (is_judged(comparing, &figures[i]) && figure_of(side, &figures[i]) != 0)
            return false;
    return true;
}

static int64_t limited(meter__wide value) {
    if (value > INT64_MAX)
        return INT64_MAX;
    return value < -INT64_MAX ? -INT64_MAX : (int64_t)value;
}

/* Fills difference and percent. */
static void measure(const struct comparing *comparing, struct weir_reconcile_row *row) {
    enum { IN_PERCENT_MILLI = 100000 };
    row->percent_milli = 0;
    for (size_t i = 0; i < FIGURES; i++) {
        meter__wide ours = figure_of(&row->ours, &figures[i]), theirs = figure_of(&row->theirs, &figures[i]);
        meter__wide difference = ours - theirs, whole = theirs < 0 ? -theirs : theirs;
        set_figure(&row->difference, &figures[i], limited(difference));
        if (!is_judged(comparing, &figures[i]) || difference == 0 || row->percent_milli < 0)
            continue;
        meter__wide apart = difference < 0 ? -difference : difference;
        int64_t percent = whole == 0 ? -1 : limited((apart * IN_PERCENT_MILLI + whole - 1) / whole);
        if (percent < 0 || percent > row->percent_milli)
            row->percent_milli = percent;
    }
}

static enum weir_status too_large(struct comparing *comparing) {
    return weir_fail(comparing->error, WEIR_ELIMIT, "the sums are too large");
}

/* The name that says most: of the only one of ours, of the only one of theirs, or what they have in common. */
static struct weir_span name_of(const struct run *run) {
    for (int theirs = 0; theirs < 2; theirs++) {
        const struct entry *only = NULL;
        size_t count = 0;
        for (size_t i = 0; i < run->count; i++)
            if (run->entries[i].theirs == (theirs == 1)) {
                count += only == NULL || !weir_span_equal(only->row.model, run->entries[i].row.model);
                only = &run->entries[i];
            }
        if (count == 1)
            return only->row.model;
    }
    return run->entries[0].canonical;
}

/* All of `run` as one row; none where nothing was used on either side. */
static enum weir_status write_row(struct comparing *comparing, const struct run *run) {
    struct weir_reconcile_row row = {.day = run->entries[0].row.day, .model = name_of(run)};
    struct weir_reconciliation *result = comparing->result;
    for (size_t i = 0; i < run->count; i++)
        if (!add_figures(run->entries[i].theirs ? &row.theirs : &row.ours, &run->entries[i].row.figures))
            return too_large(comparing);
    bool no_ours = is_nothing(comparing, &row.ours), no_theirs = is_nothing(comparing, &row.theirs);
    if (!add_figures(&result->total.ours, &row.ours) || !add_figures(&result->total.theirs, &row.theirs))
        return too_large(comparing);
    if (no_ours && no_theirs)
        return WEIR_OK;
    measure(comparing, &row);
    if (no_ours)
        row.status = WEIR_RECONCILE_OURS_MISSING;
    else if (no_theirs)
        row.status = WEIR_RECONCILE_THEIRS_MISSING;
    else
        row.status = row.percent_milli >= 0 && row.percent_milli <= comparing->tolerance ? WEIR_RECONCILE_MATCH
                                                                                         : WEIR_RECONCILE_DIFFERS;
    result->matches += row.status == WEIR_RECONCILE_MATCH;
    comparing->rows[comparing->count++] = row;
    return WEIR_OK;
}

/* How many entries from the first on have its name. */
static size_t same_name(const struct run *run) {
    size_t count = 1;
    while (count < run->count && weir_span_equal(run->entries[count].plain, run->entries[0].plain))
        count++;
    return count;
}

static bool has_both_sides(const struct run *run) {
    return run->entries[0].theirs != run->entries[run->count - 1].theirs;
}

/* One day and canonical name. */
static enum weir_status compare_run(struct comparing *comparing, struct run run) {
    bool left_over = false, undated = false;
    for (struct run rest = run; rest.count > 0;) {
        struct run part = {rest.entries, same_name(&rest)};
        left_over = left_over || !has_both_sides(&part);
        undated = undated || part.entries[0].plain.length == part.entries[0].canonical.length;
        rest = (struct run){rest.entries + part.count, rest.count - part.count};
    }
    if (!comparing->export->names_models || (left_over && undated))
        return write_row(comparing, &run);
    while (run.count > 0) {
        struct run part = {run.entries, same_name(&run)};
        enum weir_status status = write_row(comparing, &part);
        if (status != WEIR_OK)
            return status;
        run = (struct run){run.entries + part.count, run.count - part.count};
    }
    return WEIR_OK;
}

/* --- the whole --- */

/* Ours and theirs, those of the export's days; of an export without names without names. */
static enum weir_status gather(struct comparing *comparing, const struct weir_export_row *ours, size_t ours_count,
                               struct entry *entries, size_t *count) {
    const struct weir_export *export = comparing->export;
    size_t used = 0;
    for (size_t i = 0; i < ours_count + export->count; i++) {
        bool theirs = i >= ours_count;
        struct entry *entry = &entries[used];
        *entry = (struct entry){.row = theirs ? export->rows[i - ours_count] : ours[i], .theirs = theirs};
        if (entry->row.day < export->first_day || entry->row.day > export->last_day)
            continue;
        if (!export->names_models)
            entry->row.model = WEIR_SPAN("");
        if (spell(comparing->arena, entry) != WEIR_OK)
            return weir_fail(comparing->error, WEIR_ENOMEM, "no memory for the comparison");
        used++;
    }
    *count = used;
    return WEIR_OK;
}

enum weir_status weir_reconcile(struct weir_arena *arena, const struct weir_export *export,
                                const struct weir_export_row *ours, size_t count, int64_t tolerance_percent_milli,
                                struct weir_reconciliation *result, struct weir_error *error) {
    struct weir_reconciliation made = {.count = 0};
    struct comparing comparing = {
        .arena = arena, .export = export, .tolerance = tolerance_percent_milli, .result = &made, .error = error};
    struct entry *entries = weir_arena_array(arena, count + export->count, sizeof *entries);
    size_t used = 0;
    comparing.rows = weir_arena_array(arena, count + export->count, sizeof *comparing.rows);
    if (entries == NULL || comparing.rows == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the comparison");
    enum weir_status status = gather(&comparing, ours, count, entries, &used);
    if (status == WEIR_OK && used > 0)
        qsort(entries, used, sizeof *entries, compare_entries);
    for (size_t at = 0; status == WEIR_OK && at < used;) {
        size_t end = at + 1;
        while (end < used && entries[end].row.day == entries[at].row.day &&
               weir_span_equal(entries[end].canonical, entries[at].canonical))
            end++;
        status = compare_run(&comparing, (struct run){entries + at, end - at});
        at = end;
    }
    if (status != WEIR_OK)
        return status;
    measure(&comparing, &made.total);
    made.total.status = made.matches == comparing.count ? WEIR_RECONCILE_MATCH : WEIR_RECONCILE_DIFFERS;
    made.count = comparing.count;
    made.rows = comparing.rows;
    made.within = made.matches == made.count;
    *result = made;
    return WEIR_OK;
}

enum weir_status weir_reconcile_tolerance(struct weir_span text, int64_t *percent_milli) {
    enum { PLACES = 3, MOST = 100000 };
    struct weir_span whole, fraction;
    uint64_t units = 0, rest = 0;
    bool has_point = weir_span_split(text, '.', &whole, &fraction);
    if (weir_span_to_uint64(whole, &units) != WEIR_OK || units > MOST || fraction.length > PLACES ||
        (has_point && weir_span_to_uint64(fraction, &rest) != WEIR_OK))
        return WEIR_EINVAL;
    for (size_t i = fraction.length; i < PLACES; i++)
        rest *= 10;
    if (units * 1000 + rest > MOST)
        return WEIR_EINVAL;
    *percent_milli = (int64_t)(units * 1000 + rest);
    return WEIR_OK;
}

/* What a provider says was used of it, beside what the ledger says: reading the files that providers give out, and comparing by day and model.
 *
 * Pure functions over bytes from outside: the file's text and the ledger's sums go in, rows come out. Headers are read with tolerance (case, blanks and
 * order do not matter, columns that are not known are passed over), numbers without: whole numbers are digits, amounts are decimals that are summed
 * exactly and rounded once, to a milli-CU (1 USD = 1,000,000,000). A file that is not understood is refused with line and column, never guessed at.
 *
 * The shapes, and where their field names are from:
 *   OpenAI     GET /v1/organization/usage/completions and /v1/organization/costs (developers.openai.com, API reference, "Usage" and "Costs"), and the
 *              exports of the usage dashboard, whose columns are those names behind start_time, end_time, start_time_iso, end_time_iso; of costs
 *              amount_value, amount_currency, line_item.
 *   Anthropic  GET /v1/organizations/usage_report/messages and /v1/organizations/cost_report (platform.claude.com, Admin API reference, "Usage and
 *              cost"; amounts there are decimals in cents), and the Console's exports: usage_date_utc, model_version, usage_input_tokens_no_cache, …;
 *              of costs usage_date_utc, model, cost_usd.
 */
#ifndef WEIR_METER_RECONCILE_H
#define WEIR_METER_RECONCILE_H

#include "base/arena.h"
#include "base/limits.h"
#include "meter/windows.h"

#define WEIR_EXPORT_MAX_BYTES (16 * WEIR_MIB)
enum { WEIR_EXPORT_MAX_ROWS = 200000, WEIR_EXPORT_MAX_DAYS = 366 };

enum weir_export_format { WEIR_EXPORT_AUTO = 0, WEIR_EXPORT_OPENAI, WEIR_EXPORT_ANTHROPIC };
/* "auto", "openai", "anthropic" */
const char *weir_export_format_name(enum weir_export_format format);
bool weir_export_format_from_name(struct weir_span name, enum weir_export_format *format);

/* Which figures a file has; or-ed. */
enum weir_export_figure {
    WEIR_EXPORT_REQUESTS = 1,
    WEIR_EXPORT_INPUT = 2,
    WEIR_EXPORT_CACHED = 4,
    WEIR_EXPORT_OUTPUT = 8,
    WEIR_EXPORT_COST = 16
};
struct weir_figures {
    int64_t requests;
    int64_t input;  /* all input tokens, those read from and written to caches included */
    int64_t cached; /* of input: read from a cache */
    int64_t output;
    int64_t cost_cu_milli;
};

/* The sums of one day and model. */
struct weir_export_row {
    int64_t day;            /* since 1970-01-01 */
    struct weir_span model; /* as the source names it; empty: it names none */
    struct weir_figures figures;
};
struct weir_export {
    enum weir_export_format format; /* never AUTO */
    unsigned figures;               /* enum weir_export_figure; 0: nothing was used */
    int64_t first_day, last_day;    /* that it tells of, days without use included */
    bool incomplete;                /* it says of itself that more pages follow */
    bool names_models;              /* any of its rows does */
    size_t read;                    /* rows, or results */
    size_t count;                   /* of rows: one for each day and model, in this order */
    const struct weir_export_row *rows;
};

/* Reads a file's text, CSV or JSON; one of several pages, or all of them in one array. Days are those of `zone` (NULL: UTC). What *export has lives in the
 * arena. WEIR_EINVAL, WEIR_ELIMIT (too large, too many rows or days): *error has line and column. */
WEIR_MUST enum weir_status weir_export_read(struct weir_arena *arena, struct weir_span text,
                                            enum weir_export_format format, const struct weir_zone *zone,
                                            struct weir_export *export, struct weir_error *error);
/* The day in `zone` that the time lies in, and the time at which a day begins there. */
int64_t weir_export_day(const struct weir_zone *zone, int64_t utc_us);
int64_t weir_export_day_begins(const struct weir_zone *zone, int64_t day);

/* Stored nowhere. */
enum weir_reconcile_status {
    WEIR_RECONCILE_MATCH, /* every figure that is judged is within the tolerance */
    WEIR_RECONCILE_DIFFERS,
    WEIR_RECONCILE_OURS_MISSING,  /* the provider has it, the ledger has not */
    WEIR_RECONCILE_THEIRS_MISSING /* the other way round */
};
/* "match", "differs", "ours_missing", "theirs_missing" */
const char *weir_reconcile_status_name(enum weir_reconcile_status status);

struct weir_reconcile_row {
    int64_t day;
    struct weir_span model;                       /* empty: of all models, or of none that has a name */
    struct weir_figures ours, theirs, difference; /* ours - theirs */
    int64_t
        percent_milli; /* the largest difference among the judged figures, in thousandths of a percent of theirs, rounded up; -1: theirs is 0 */
    enum weir_reconcile_status status;
};
struct weir_reconciliation {
    struct weir_reconcile_row total; /* its day and model mean nothing */
    size_t count, matches;
    const struct weir_reconcile_row *rows; /* by day, then model */
    bool within;                           /* all rows match */
};

/* Compares. Judged are input, cached, output and cost, as far as the export has them; requests are shown alone: a provider does not count what it refused,
 * and a request here may have had several attempts. Models go together by their names; where one is left over, by the price table's rule, a name
 * without a date standing for those with one ("gpt-5" and "gpt-5-2026-08-07"), whatever the case and with blanks and dots as dashes ("Claude Haiku 4.5").
 * An export that names no models is compared by day alone. `ours`: in any order, a day and model as often as it likes; days beyond the export's are left
 * out. WEIR_ENOMEM, WEIR_ELIMIT: sums beyond 64 bits. */
WEIR_MUST enum weir_status weir_reconcile(struct weir_arena *arena, const struct weir_export *export,
                                          const struct weir_export_row *ours, size_t count,
                                          int64_t tolerance_percent_milli, struct weir_reconciliation *result,
                                          struct weir_error *error);

/* "0.5" as thousandths of a percent: at most three places behind the point, 0 to 100. WEIR_EINVAL. */
WEIR_MUST enum weir_status weir_reconcile_tolerance(struct weir_span text, int64_t *percent_milli);

#endif

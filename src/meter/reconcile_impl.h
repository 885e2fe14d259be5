/* What the readers of providers' exports share: sums by day and model while a file is read, exact decimals, fields of CSV. */
#ifndef WEIR_METER_RECONCILE_IMPL_H
#define WEIR_METER_RECONCILE_IMPL_H

#include "meter/impl.h"
#include "meter/reconcile.h"

__extension__ typedef __int128 meter__wide;

/* --- sums (reconcile_sums.c) --- */
/* What one row of a file adds. Amounts are in units of 10^-24 USD. */
struct meter__item {
    bool has_time; /* false: `day` is one already */
    int64_t day, utc_us;
    struct weir_span model; /* decoded; empty: none is named */
    unsigned figures;       /* those that it has */
    int64_t requests, input, cached, output;
    meter__wide amount;
};
struct meter__sums;
WEIR_MUST enum weir_status meter__sums_new(struct weir_arena *arena, const struct weir_zone *zone,
                                           struct meter__sums **sums);
/* An item without figures says that its day is told of. On failure error->text has no place: the caller knows it. */
WEIR_MUST enum weir_status meter__sums_add(struct meter__sums *sums, const struct meter__item *item,
                                           struct weir_error *error);
/* Writes all of *export but format and incomplete. */
WEIR_MUST enum weir_status meter__sums_finish(struct meter__sums *sums, struct weir_export *export,
                                              struct weir_error *error);

/* --- numbers --- */
/* "-12.345", "1.2e-05" times 10^(24 + shift), exactly; what lies behind the 24th place after the point is left out. WEIR_EINVAL: no decimal; WEIR_ELIMIT: 10^12 or more. */
WEIR_MUST enum weir_status meter__amount(struct weir_span text, int shift, meter__wide *amount);
/* Seconds since 1970, "2026-11-01", RFC 3339, or that without a zone (UTC). */
WEIR_MUST enum weir_status meter__when(struct weir_span text, struct meter__item *item);
/* Up to 40 bytes of what was found, for a message: printable, cut with dots. */
enum { METER__SHOWN_SIZE = 48 };
const char *meter__shown(struct weir_span text, char out[METER__SHOWN_SIZE]);

/* --- CSV (reconcile_csv.c): RFC 4180, with lone LF or CR as line ends, too --- */
struct meter__csv {
    struct weir_span text;
    size_t at, line_at; /* where the next byte is, and where its line begins */
    size_t line;        /* from 1 */
    char separator;
};
struct meter__field {
    struct weir_span raw; /* between the quotes; quotes inside still doubled */
    bool doubled;
    size_t line, column; /* from 1; columns are bytes */
};
enum { METER__MAX_FIELDS = 200 };
/* A separator is chosen from the first line: comma, semicolon or tab, whichever it has the most of outside of quotes. */
void meter__csv_init(struct meter__csv *csv, struct weir_span text);
/* One record; blank lines are passed over. WEIR_END: there is none left. WEIR_EINVAL, WEIR_ELIMIT. */
WEIR_MUST enum weir_status meter__csv_next(struct meter__csv *csv, struct meter__field fields[METER__MAX_FIELDS],
                                           size_t *count, struct weir_error *error);
/* The field's content, trimmed; WEIR_ELIMIT where it does not fit. */
WEIR_MUST enum weir_status meter__csv_decode(const struct meter__field *field, char *out, size_t size, size_t *length);

/* --- the two kinds of files --- */
WEIR_MUST enum weir_status meter__export_csv(struct weir_span text, struct meter__sums *sums,
                                             struct weir_export *export, struct weir_error *error);
WEIR_MUST enum weir_status meter__export_json(struct weir_span text, struct meter__sums *sums,
                                              struct weir_export *export, struct weir_error *error);

#endif

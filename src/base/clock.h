/* Time: monotonic for durations, UTC for records. Hot paths take the loop's cached time (net/loop.h) instead. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include "base/span.h"

/* Nanoseconds since an arbitrary start; never goes back. */
int64_t weir_clock_monotonic_ns(void);
/* Microseconds since 1970-01-01T00:00:00Z. */
int64_t weir_clock_utc_us(void);
/* CPU time of the calling thread, nanoseconds. */
int64_t weir_clock_thread_cpu_ns(void);

/* The Gregorian calendar, carried on to both sides; days from 1970-01-01. */
struct weir_date {
    unsigned year, month, day; /* years 0 to 9999, months and days from 1 */
    unsigned weekday;          /* 0: Sunday */
};
int64_t weir_clock_days(unsigned year, unsigned month, unsigned day);
/* What lies outside of those years is taken as the first or last day of them. */
struct weir_date weir_clock_date(int64_t days);

enum { WEIR_TIMESTAMP_SIZE = 28 /* "2026-11-21T13:29:00.123456Z" and NUL */ };
/* RFC 3339 in UTC with microseconds. */
void weir_clock_format_utc(int64_t utc_us, char out[WEIR_TIMESTAMP_SIZE]);
/* RFC 3339 ("2026-11-21T13:29:00Z", fraction and offset allowed) or a plain date (midnight UTC). WEIR_EINVAL. */
WEIR_MUST enum weir_status weir_clock_parse_utc(struct weir_span text, int64_t *utc_us);
enum { WEIR_HTTP_DATE_SIZE = 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */ };
/* RFC 9110, section 5.6.7. */
void weir_clock_format_http(int64_t utc_us, char out[WEIR_HTTP_DATE_SIZE]);

#endif

/* Windows of time: when the day, week or month that holds a moment began there, and when it ends.
 *
 * A local date begins with the first moment at which clocks show it or a later one: where midnight is left out that is when clocks are put forward, where it
 * comes twice the first. Once a date has begun it does not end because clocks go back to the evening before, and a date that a zone left out whole has no
 * moment. So days, and with them weeks and months, follow one another without gap or overlap, whatever clocks do; rounding to quarters of an
 * hour, which historic local mean times need, keeps that.
 */
#include "meter/windows.h"

#include "base/clock.h"
#include "meter/zones_impl.h"
#include "store/spend.h"

#define SECOND_US ((int64_t)1000000)
enum { DAY_S = 86400, QUARTER_S = 900 };

/* 9990-01-01: the period that holds it has no end. */
#define LAST_S INT64_C(253086768000)

_Static_assert(WEIR_SPEND_BUCKET_US == QUARTER_S * SECOND_US, "periods lie on the buckets of the sums");

static const char *const window_names[] = {
    [WEIR_WINDOW_ROLLING_24H] = "24h", [WEIR_WINDOW_DAY] = "day",     [WEIR_WINDOW_WEEK] = "week",
    [WEIR_WINDOW_MONTH] = "month",     [WEIR_WINDOW_TOTAL] = "total",
};
enum { WINDOW_NAMES = sizeof window_names / sizeof window_names[0] };

const char *weir_window_name(enum weir_window window) {
    return (unsigned)window < WINDOW_NAMES ? window_names[window] : NULL;
}

bool weir_window_from_name(struct weir_span name, enum weir_window *window) {
    for (unsigned i = 1; i < WINDOW_NAMES; i++) {
        if (weir_span_equal(name, weir_span_of_string(window_names[i]))) {
            *window = (enum weir_window)i;
            return true;
        }
    }
    return false;
}

/* When a local date begins; dates are days since 1970-01-01. */
static int64_t start_of_date(const struct weir_zone *zone, int64_t date) {
    int64_t local_s = date * DAY_S;
    int64_t utc_s = local_s - METER_MAX_ZONE_OFFSET_S; /* nowhere it is that late yet */
    for (;;) {
        struct meter__zone_stretch stretch = meter__zone_stretch(zone, utc_s);
        int64_t start_s = local_s - stretch.offset_s > utc_s ? local_s - stretch.offset_s : utc_s;
        if (start_s < stretch.until_s)
            return meter__floor_divide(start_s, QUARTER_S) * QUARTER_S;
        utc_s = stretch.until_s;
    }
}

/* The first date of the window that holds a date, or with `next` of the one behind. */
static int64_t first_date(enum weir_window window, int64_t date, bool next) {
    struct weir_date civil = weir_clock_date(date);
    if (window == WEIR_WINDOW_DAY)
        return next ? date + 1 : date;
    if (window == WEIR_WINDOW_WEEK)
        return date - (civil.weekday + 6) % 7 + (next ? 7 : 0);
    unsigned month = civil.month + (next ? 1 : 0);
    return weir_clock_days(month > 12 ? civil.year + 1 : civil.year, month > 12 ? 1 : month, 1);
}

struct weir_period weir_window_period(enum weir_window window, const struct weir_zone *zone, int64_t utc_us) {
    if (window == WEIR_WINDOW_TOTAL)
        return (struct weir_period){.until_utc_us = INT64_MAX};
    int64_t now_s = utc_us < 0 ? 0 : utc_us / SECOND_US;
    if (window == WEIR_WINDOW_ROLLING_24H) {
        int64_t from_s = (now_s - DAY_S) / QUARTER_S * QUARTER_S;
        return (struct weir_period){.from_utc_us = from_s > 0 ? from_s * SECOND_US : 0,
                                    .until_utc_us = INT64_MAX,
                                    .rolling = true};
    }
    weir_bug_on(weir_window_name(window) == NULL);
    now_s = now_s > LAST_S ? LAST_S : now_s;
    int64_t date = meter__floor_divide(now_s + meter__zone_stretch(zone, now_s).offset_s, DAY_S);
    while (start_of_date(zone, date + 1) <= now_s)
        date++;
    int64_t from_s = start_of_date(zone, first_date(window, date, false));
    int64_t until_s = start_of_date(zone, first_date(window, date, true));
    return (struct weir_period){
        .from_utc_us = from_s > 0 ? from_s * SECOND_US : 0,
        .until_utc_us = until_s > LAST_S ? INT64_MAX : until_s * SECOND_US,
    };
}

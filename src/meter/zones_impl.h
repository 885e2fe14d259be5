/* What the files about time zones share. Times are in seconds since 1970 here, UTC unless they say otherwise. */
#ifndef WEIR_METER_ZONES_IMPL_H
#define WEIR_METER_ZONES_IMPL_H

#include "meter/windows.h"

#define METER_MAX_ZONE_FILE_BYTES ((size_t)256 * 1024) /* the largest of the database has some 4 KiB */
#define METER_MAX_ZONE_NAME_BYTES ((size_t)100)

/* Local time is never so far from UTC. (RFC 9636 asks writers to stay between -25 and +26 hours.) */
enum { METER_MAX_ZONE_OFFSET_S = 26 * 3600 };

/* A day of the year, and a time of it: when clocks change. */
struct meter__zone_day {
    enum { METER_DAY_OF_365 = 1, METER_DAY_OF_YEAR, METER_DAY_OF_MONTH } kind;
    unsigned month, week, day; /* week 5: the last; day: of the week from Sunday on, or of the year */
    int32_t time_s;            /* local time as it is until then; -167 to 167 hours */
};
/* For all times behind a file's last change, from the line at its end. */
struct meter__zone_rule {
    int32_t standard_s, daylight_s; /* to be added to UTC */
    bool has_daylight;
    struct meter__zone_day to_daylight, to_standard;
};
/* The text of a POSIX TZ variable with the extensions of RFC 9636, section 3.3.1. WEIR_EINVAL. */
WEIR_MUST enum weir_status meter__zone_rule_read(struct weir_span text, struct meter__zone_rule *rule);

/* Time with one offset: until the next change, which INT64_MAX says there is none of. */
struct meter__zone_stretch {
    int32_t offset_s;
    int64_t until_s;
};
/* The one that `utc_s`, of years 1 to 9996, lies in. */
struct meter__zone_stretch meter__zone_rule_stretch(const struct meter__zone_rule *rule, int64_t utc_s);
/* Of any time; `zone` NULL: UTC. */
struct meter__zone_stretch meter__zone_stretch(const struct weir_zone *zone, int64_t utc_s);

/* Without any change. Static storage: never freed. */
const struct weir_zone *meter__zone_utc(void);

/* Rounds down also below zero. */
static inline int64_t meter__floor_divide(int64_t value, int64_t by) {
    return value / by - (value % by < 0 ? 1 : 0);
}

#endif

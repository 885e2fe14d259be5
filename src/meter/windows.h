/* Windows of time that budgets count in: when the one that holds now began, and when it ends.
 *
 * Zones are those of the system's time zone database (RFC 9636 files below /usr/share/zoneinfo), read once each; "UTC" needs no file. All that is given
 * out lies on a quarter of an hour, as every zone's days do.
 */
#ifndef WEIR_METER_WINDOWS_H
#define WEIR_METER_WINDOWS_H

#include "base/span.h"

/* Stored by name. */
enum weir_window {
    WEIR_WINDOW_ROLLING_24H = 1, /* the last 24 hours: it goes back a quarter of an hour further at most, never less */
    WEIR_WINDOW_DAY,             /* calendar */
    WEIR_WINDOW_WEEK,            /* ISO 8601: from Monday on */
    WEIR_WINDOW_MONTH,
    WEIR_WINDOW_TOTAL
};
/* "24h", "day", "week", "month", "total"; NULL for any other number. */
const char *weir_window_name(enum weir_window window);
bool weir_window_from_name(struct weir_span name, enum weir_window *window);

struct weir_zone;  /* immutable */
struct weir_zones; /* those that were asked for; one thread asks, what it gave may be used by all */
WEIR_MUST enum weir_status weir_zones_new(const char *directory,
                                          struct weir_zones **zones); /* NULL: the usual places */
void weir_zones_free(struct weir_zones **zones);
/* "UTC", "Europe/Berlin"; lives as long as the zones. WEIR_ENOTFOUND: no such zone; WEIR_ECORRUPT; WEIR_EINVAL: a name that can be none. */
WEIR_MUST enum weir_status weir_zone_find(struct weir_zones *zones, struct weir_span name,
                                          const struct weir_zone **zone, struct weir_error *error);
/* Reads one file's bytes: for tests and fuzzing. WEIR_ECORRUPT, also where changes were moved by leap seconds ("right/…"). */
WEIR_MUST enum weir_status weir_zone_read(struct weir_span bytes, struct weir_zone **zone);
void weir_zone_free(struct weir_zone **zone);
/* Seconds to add to UTC at that time. */
int32_t weir_zone_offset(const struct weir_zone *zone, int64_t utc_us);

struct weir_period {
    int64_t from_utc_us, until_utc_us; /* [from, until); 0 and INT64_MAX: no bound */
    bool rolling;                      /* ask again for `from` whenever it is needed; until is INT64_MAX */
};
/* The one that `utc_us` lies in: it begins where the one before ends. A date begins when clocks there first show it or a later one. `zone` NULL: UTC. Before 1970
 * is as 1970, and what lies behind the year 9990 belongs to one period without end. Any thread. */
struct weir_period weir_window_period(enum weir_window window, const struct weir_zone *zone, int64_t utc_us);

#endif

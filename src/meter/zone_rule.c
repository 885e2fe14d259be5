/* The rule at the end of a time zone file: which offset holds behind the last change that the file lists.
 *
 * It is the text of a POSIX TZ variable, "CET-1CEST,M3.5.0,M10.5.0/3": names (unused here), offsets west of Greenwich, and on which days of a year clocks
 * change. Hours of a change may be from -167 to 167, names may stand in angle brackets (RFC 9636, section 3.3.1). A rule with daylight saving but
 * without days is refused: what they are would depend on the system.
 */
#include "base/clock.h"
#include "meter/zones_impl.h"

enum { DAY_S = 86400, HOUR_S = 3600 };

/* Reads on from the left and remembers its first failure. */
struct reader {
    struct weir_span rest;
    bool failed;
};

static bool take_if(struct reader *reader, char byte) {
    if (reader->rest.length == 0 || reader->rest.at[0] != byte)
        return false;
    reader->rest = weir_span_from(reader->rest, 1);
    return true;
}

static void take(struct reader *reader, char byte) {
    if (!take_if(reader, byte))
        reader->failed = true;
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static unsigned take_number(struct reader *reader, unsigned minimum, unsigned maximum) {
    unsigned value = 0;
    size_t digits = 0;
    while (digits < reader->rest.length && digits < 4 && is_digit(reader->rest.at[digits]))
        value = value * 10 + (unsigned)(reader->rest.at[digits++] - '0');
    if (digits == 0 || value < minimum || value > maximum) {
        reader->failed = true;
        return minimum;
    }
    reader->rest = weir_span_from(reader->rest, digits);
    return value;
}

/* Three bytes at least: letters, or letters, digits and signs in angle brackets. */
static void take_name(struct reader *reader) {
    bool quoted = take_if(reader, '<');
    size_t length = 0;
    while (length < reader->rest.length) {
        char byte = reader->rest.at[length];
        char lower = (char)(byte | 0x20);
        bool fits = (lower >= 'a' && lower <= 'z') || (quoted && (is_digit(byte) || byte == '+' || byte == '-'));
        if (!fits)
            break;
        length++;
    }
    reader->failed |= length < 3;
    reader->rest = weir_span_from(reader->rest, length);
    if (quoted)
        take(reader, '>');
}

/* "[+-]hh[:mm[:ss]]" */
static int32_t take_time(struct reader *reader, unsigned most_hours) {
    bool negative = take_if(reader, '-');
    if (!negative)
        (void)take_if(reader, '+');
    int32_t seconds = (int32_t)take_number(reader, 0, most_hours) * HOUR_S;
    if (take_if(reader, ':')) {
        seconds += (int32_t)take_number(reader, 0, 59) * 60;
        if (take_if(reader, ':'))
            seconds += (int32_t)take_number(reader, 0, 59);
    }
    return negative ? -seconds : seconds;
}

/* ",M3.5.0/2", ",J60/2" or ",59/2" */
static struct meter__zone_day take_day(struct reader *reader) {
    struct meter__zone_day day = {.time_s = 2 * HOUR_S};
    take(reader, ',');
    if (take_if(reader, 'M')) {
        day.kind = METER_DAY_OF_MONTH;
        day.month = take_number(reader, 1, 12);
        take(reader, '.');
        day.week = take_number(reader, 1, 5);
        take(reader, '.');
        day.day = take_number(reader, 0, 6);
    } else if (take_if(reader, 'J')) {
        day.kind = METER_DAY_OF_365;
        day.day = take_number(reader, 1, 365);
    } else {
        day.kind = METER_DAY_OF_YEAR;
        day.day = take_number(reader, 0, 365);
    }
    if (take_if(reader, '/'))
        day.time_s = take_time(reader, 167);
    return day;
}

enum weir_status meter__zone_rule_read(struct weir_span text, struct meter__zone_rule *rule) {
    struct reader reader = {.rest = text};
    struct meter__zone_rule read = {0};
    take_name(&reader);
    read.standard_s = -take_time(&reader, 24);
    if (reader.rest.length > 0) {
        read.has_daylight = true;
        take_name(&reader);
        read.daylight_s = read.standard_s + HOUR_S;
        if (reader.rest.length > 0 && reader.rest.at[0] != ',')
            read.daylight_s = -take_time(&reader, 24);
        read.to_daylight = take_day(&reader);
        read.to_standard = take_day(&reader);
    }
    if (reader.failed || reader.rest.length > 0)
        return WEIR_EINVAL;
    *rule = read;
    return WEIR_OK;
}

/* Days from 1970 to that day of a year. */
static int64_t day_in_year(const struct meter__zone_day *day, unsigned year) {
    if (day->kind == METER_DAY_OF_YEAR)
        return weir_clock_days(year, 1, 1) + day->day;
    if (day->kind == METER_DAY_OF_365) {
        /* 29 February is never counted: from 1 March on days are counted from there. */
        return day->day >= 60 ? weir_clock_days(year, 3, 1) + day->day - 60
                              : weir_clock_days(year, 1, 1) + day->day - 1;
    }
    int64_t first = weir_clock_days(year, day->month, 1);
    int64_t next = day->month == 12 ? weir_clock_days(year + 1, 1, 1) : weir_clock_days(year, day->month + 1, 1);
    int64_t found = first + (day->day + 7 - weir_clock_date(first).weekday) % 7 + ((int64_t)day->week - 1) * 7;
    return found >= next ? found - 7 : found;
}

/* Changes of the years around are looked at in their order; of two at one time the later year's holds ("0/0,J365/25" is daylight saving for ever). A change
 * may lie up to a week outside of its year, hence two years back. */
struct meter__zone_stretch meter__zone_rule_stretch(const struct meter__zone_rule *rule, int64_t utc_s) {
    struct meter__zone_stretch stretch = {.offset_s = rule->standard_s, .until_s = INT64_MAX};
    if (!rule->has_daylight)
        return stretch;
    unsigned year = weir_clock_date(meter__floor_divide(utc_s, DAY_S)).year;
    for (unsigned at = year >= 2 ? year - 2 : 0; at <= year + 2; at++) {
        struct {
            int64_t when_s;
            int32_t offset_s;
        } changes[2] = {
            {day_in_year(&rule->to_daylight, at) * DAY_S + rule->to_daylight.time_s - rule->standard_s,
             rule->daylight_s},
            {day_in_year(&rule->to_standard, at) * DAY_S + rule->to_standard.time_s - rule->daylight_s,
             rule->standard_s},
        };
        size_t first = changes[1].when_s < changes[0].when_s;
        for (size_t i = 0; i < 2; i++) {
            size_t change = i == 0 ? first : 1 - first;
            if (changes[change].when_s <= utc_s) {
                stretch.offset_s = changes[change].offset_s;
            } else if (changes[change].when_s < stretch.until_s) {
                stretch.until_s = changes[change].when_s;
            }
        }
    }
    return stretch;
}

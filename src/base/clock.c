/* Time from the kernel and its texts. The calendar is computed here (proleptic Gregorian, days counted from a 1
 * March), because the C library's functions look at the environment's time zone or keep shared buffers. Never local
 * time, never leap seconds of its own. */
#include "base/clock.h"

#include <time.h>

enum { SECOND_US = 1000000, DAY_SECONDS = 86400 };

/* The first and last moment with a four-digit year. */
static const int64_t earliest_us = INT64_C(-62167219200) * SECOND_US;
static const int64_t latest_us = INT64_C(253402300800) * SECOND_US - 1;

static const int64_t earliest_day = -719528;
static const int64_t latest_day = 2932896;

struct civil {
    struct weir_date date;
    unsigned hour, minute, second, microsecond;
};

static int64_t read_clock(clockid_t id, int64_t per_second) {
    struct timespec now = {0};
    int failed = clock_gettime(id, &now);
    weir_bug_on(failed != 0);
    return (int64_t)now.tv_sec * per_second + (int64_t)now.tv_nsec / (INT64_C(1000000000) / per_second);
}

int64_t weir_clock_monotonic_ns(void) {
    return read_clock(CLOCK_MONOTONIC, INT64_C(1000000000));
}

int64_t weir_clock_utc_us(void) {
    return read_clock(CLOCK_REALTIME, SECOND_US);
}

int64_t weir_clock_thread_cpu_ns(void) {
    return read_clock(CLOCK_THREAD_CPUTIME_ID, INT64_C(1000000000));
}

/* A year is taken to begin on 1 March, so that the leap day is its last. */
int64_t weir_clock_days(unsigned year, unsigned month, unsigned day) {
    int64_t shifted_year = (int64_t)year - (month <= 2 ? 1 : 0);
    int64_t era = (shifted_year >= 0 ? shifted_year : shifted_year - 399) / 400;
    int64_t year_of_era = shifted_year - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct weir_date weir_clock_date(int64_t days) {
    days = days < earliest_day ? earliest_day : days > latest_day ? latest_day : days;
    int64_t shifted = days + 719468; /* days since 0000-03-01 */
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    return (struct weir_date){
        .year = (unsigned)(year_of_era + era * 400 + (month <= 2 ? 1 : 0)),
        .month = (unsigned)month,
        .day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1),
        .weekday = (unsigned)(((days + 4) % 7 + 7) % 7),
    };
}

static struct civil civil_of(int64_t utc_us) {
    int64_t us = utc_us < earliest_us ? earliest_us : utc_us > latest_us ? latest_us : utc_us;
    int64_t seconds = us / SECOND_US;
    int64_t fraction = us % SECOND_US;
    if (fraction < 0) {
        fraction += SECOND_US;
        seconds--;
    }
    int64_t days = seconds / DAY_SECONDS;
    int64_t second_of_day = seconds % DAY_SECONDS;
    if (second_of_day < 0) {
        second_of_day += DAY_SECONDS;
        days--;
    }
    return (struct civil){
        .date = weir_clock_date(days),
        .hour = (unsigned)(second_of_day / 3600),
        .minute = (unsigned)(second_of_day / 60 % 60),
        .second = (unsigned)(second_of_day % 60),
        .microsecond = (unsigned)fraction,
    };
}

/* `digits` decimal digits of `value` at `out`; where the next byte goes. */
static char *put_digits(char *out, unsigned value, unsigned digits) {
    for (unsigned i = digits; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + digits;
}

static char *put_byte(char *out, char byte) {
    *out = byte;
    return out + 1;
}

void weir_clock_format_utc(int64_t utc_us, char out[WEIR_TIMESTAMP_SIZE]) {
    struct civil civil = civil_of(utc_us);
    char *at = put_byte(put_digits(out, civil.date.year, 4), '-');
    at = put_byte(put_digits(at, civil.date.month, 2), '-');
    at = put_byte(put_digits(at, civil.date.day, 2), 'T');
    at = put_byte(put_digits(at, civil.hour, 2), ':');
    at = put_byte(put_digits(at, civil.minute, 2), ':');
    at = put_byte(put_digits(at, civil.second, 2), '.');
    at = put_byte(put_digits(at, civil.microsecond, 6), 'Z');
    *at = '\0';
}

void weir_clock_format_http(int64_t utc_us, char out[WEIR_HTTP_DATE_SIZE]) {
    static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct civil civil = civil_of(utc_us);
    char *at = out;
    memcpy(at, weekdays[civil.date.weekday], 3);
    memcpy(at + 3, ", ", 2);
    at = put_byte(put_digits(at + 5, civil.date.day, 2), ' ');
    memcpy(at, months[civil.date.month - 1], 3);
    at = put_byte(put_digits(put_byte(at + 3, ' '), civil.date.year, 4), ' ');
    at = put_byte(put_digits(at, civil.hour, 2), ':');
    at = put_byte(put_digits(at, civil.minute, 2), ':');
    at = put_digits(at, civil.second, 2);
    memcpy(at, " GMT", 5);
}

/* --- parsing: a reader that remembers its first failure --- */

struct reader {
    struct weir_span rest;
    bool failed;
};

static unsigned take_number(struct reader *reader, size_t digits, unsigned minimum, unsigned maximum) {
    unsigned value = 0;
    if (reader->rest.length < digits) {
        reader->failed = true;
        return minimum;
    }
    for (size_t i = 0; i < digits; i++) {
        char byte = reader->rest.at[i];
        if (byte < '0' || byte > '9') {
            reader->failed = true;
            return minimum;
        }
        value = value * 10 + (unsigned)(byte - '0');
    }
    reader->rest = weir_span_from(reader->rest, digits);
    if (value < minimum || value > maximum) {
        reader->failed = true;
        return minimum;
    }
    return value;
}

static bool take_if(struct reader *reader, char byte) {
    if (reader->rest.length == 0 || reader->rest.at[0] != byte) {
        return false;
    }
    reader->rest = weir_span_from(reader->rest, 1);
    return true;
}

static void take(struct reader *reader, char byte) {
    if (!take_if(reader, byte)) {
        reader->failed = true;
    }
}

/* Behind the point: one digit at least; those past the sixth are read and dropped. */
static int64_t take_fraction_us(struct reader *reader) {
    int64_t unit = SECOND_US / 10;
    int64_t fraction_us = 0;
    size_t count = 0;
    while (reader->rest.length > 0 && reader->rest.at[0] >= '0' && reader->rest.at[0] <= '9') {
        fraction_us += unit * (reader->rest.at[0] - '0');
        unit /= 10;
        count++;
        reader->rest = weir_span_from(reader->rest, 1);
    }
    reader->failed |= count == 0;
    return fraction_us;
}

static int64_t take_offset_seconds(struct reader *reader) {
    if (take_if(reader, 'Z') || take_if(reader, 'z')) {
        return 0;
    }
    bool west = take_if(reader, '-');
    if (!west) {
        take(reader, '+');
    }
    int64_t hours = take_number(reader, 2, 0, 23);
    take(reader, ':');
    int64_t minutes = take_number(reader, 2, 0, 59);
    int64_t seconds = hours * 3600 + minutes * 60;
    return west ? -seconds : seconds;
}

static unsigned days_in_month(unsigned year, unsigned month) {
    static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

enum weir_status weir_clock_parse_utc(struct weir_span text, int64_t *utc_us) {
    struct reader reader = {.rest = text};
    unsigned year = take_number(&reader, 4, 0, 9999);
    take(&reader, '-');
    unsigned month = take_number(&reader, 2, 1, 12);
    take(&reader, '-');
    unsigned day = take_number(&reader, 2, 1, days_in_month(year, month));
    int64_t seconds = weir_clock_days(year, month, day) * DAY_SECONDS;
    int64_t fraction_us = 0;
    if (!reader.failed && reader.rest.length > 0) {
        if (!take_if(&reader, 't')) {
            take(&reader, 'T');
        }
        seconds += (int64_t)take_number(&reader, 2, 0, 23) * 3600;
        take(&reader, ':');
        seconds += (int64_t)take_number(&reader, 2, 0, 59) * 60;
        take(&reader, ':');
        seconds += take_number(&reader, 2, 0, 60); /* 60: a leap second is the next one's start */
        if (take_if(&reader, '.')) {
            fraction_us = take_fraction_us(&reader);
        }
        seconds -= take_offset_seconds(&reader);
    }
    if (reader.failed || reader.rest.length > 0) {
        return WEIR_EINVAL;
    }
    *utc_us = seconds * SECOND_US + fraction_us;
    return WEIR_OK;
}

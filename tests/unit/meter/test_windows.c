/* Windows and the files that zones are read from. That both agree with another implementation over all of history is compare_zones.py's part; here stand
 * the edges that have a name, files made byte by byte, and what is refused. */
#include "meter/windows.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/limits.h"
#include "meter/zones_impl.h"
#include "store/spend.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

static int64_t at(const char *text) {
    int64_t utc_us = 0;
    assert_int_equal(weir_clock_parse_utc(weir_span_of_string(text), &utc_us), WEIR_OK);
    return utc_us;
}

static struct weir_zones *system_zones(void) {
    struct weir_zones *zones = NULL;
    assert_int_equal(weir_zones_new(NULL, &zones), WEIR_OK);
    return zones;
}

static const struct weir_zone *zone_of(struct weir_zones *zones, const char *name) {
    const struct weir_zone *zone = NULL;
    struct weir_error error = {.text = ""};
    if (weir_zone_find(zones, weir_span_of_string(name), &zone, &error) != WEIR_OK)
        fail_msg("%s", error.text);
    assert_non_null(zone);
    return zone;
}

static void assert_period(enum weir_window window, const struct weir_zone *zone, const char *now, const char *from,
                          const char *until) {
    struct weir_period period = weir_window_period(window, zone, at(now));
    char from_text[WEIR_TIMESTAMP_SIZE], until_text[WEIR_TIMESTAMP_SIZE], expected[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(period.from_utc_us, from_text);
    weir_clock_format_utc(period.until_utc_us, until_text);
    weir_clock_format_utc(at(from), expected);
    assert_string_equal(from_text, expected);
    weir_clock_format_utc(at(until), expected);
    assert_string_equal(until_text, expected);
    assert_false(period.rolling);
}

static void names_are_read_as_they_are_written(void **state) {
    (void)state;
    for (enum weir_window window = WEIR_WINDOW_ROLLING_24H; window <= WEIR_WINDOW_TOTAL; window++) {
        enum weir_window read = 0;
        assert_true(weir_window_from_name(weir_span_of_string(weir_window_name(window)), &read));
        assert_int_equal(read, window);
    }
    assert_string_equal(weir_window_name(WEIR_WINDOW_ROLLING_24H), "24h");
    assert_string_equal(weir_window_name(WEIR_WINDOW_TOTAL), "total");
    assert_null(weir_window_name((enum weir_window)0));
    assert_null(weir_window_name((enum weir_window)6));
    enum weir_window none = 0;
    assert_false(weir_window_from_name(WEIR_SPAN(""), &none));
    assert_false(weir_window_from_name(WEIR_SPAN("Day"), &none));
    assert_false(weir_window_from_name(WEIR_SPAN("year"), &none));
}

static void utc_needs_no_database(void **state) {
    (void)state;
    struct weir_zones *zones = NULL;
    assert_int_equal(weir_zones_new("/nonexistent/zoneinfo", &zones), WEIR_OK);
    const struct weir_zone *utc = zone_of(zones, "UTC");
    assert_int_equal(weir_zone_offset(utc, at("2026-11-21T13:29:00Z")), 0);
    const struct weir_zone *const both[] = {utc, NULL};
    for (size_t i = 0; i < 2; i++) {
        assert_period(WEIR_WINDOW_DAY, both[i], "2026-11-21T13:29:00Z", "2026-11-21", "2026-11-22");
        assert_period(WEIR_WINDOW_DAY, both[i], "2026-11-21T00:00:00Z", "2026-11-21", "2026-11-22");
        assert_period(WEIR_WINDOW_DAY, both[i], "2026-11-21T23:59:59.999999Z", "2026-11-21", "2026-11-22");
        assert_period(WEIR_WINDOW_WEEK, both[i], "2026-11-22T23:59:59Z", "2026-11-16", "2026-11-23");
        assert_period(WEIR_WINDOW_WEEK, both[i], "2026-11-23", "2026-11-23", "2026-11-30");
        assert_period(WEIR_WINDOW_WEEK, both[i], "2027-01-01", "2026-12-28", "2027-01-04");
        assert_period(WEIR_WINDOW_MONTH, both[i], "2026-12-31T23:59:59Z", "2026-12-01", "2027-01-01");
        assert_period(WEIR_WINDOW_MONTH, both[i], "2028-02-29T12:00:00Z", "2028-02-01", "2028-03-01");
    }
    const struct weir_zone *zone = NULL;
    struct weir_error error;
    assert_int_equal(weir_zone_find(zones, WEIR_SPAN("Europe/Berlin"), &zone, &error), WEIR_ENOTFOUND);
    assert_non_null(strstr(error.text, "tzdata"));
    assert_null(zone);
    weir_zones_free(&zones);
    assert_null(zones);
    weir_zones_free(&zones);
}

static void windows_without_a_calendar(void **state) {
    (void)state;
    struct weir_period total = weir_window_period(WEIR_WINDOW_TOTAL, NULL, at("2026-11-21"));
    assert_true(total.from_utc_us == 0 && total.until_utc_us == INT64_MAX && !total.rolling);
    const struct {
        const char *now, *from;
    } rolling[] = {
        {"2026-11-21T13:30:00Z", "2026-11-20T13:30:00Z"},
        {"2026-11-21T13:30:00.000001Z", "2026-11-20T13:30:00Z"},
        {"2026-11-21T13:44:59.999999Z", "2026-11-20T13:30:00Z"},
        {"2026-11-21T13:45:00Z", "2026-11-20T13:45:00Z"},
    };
    for (size_t i = 0; i < sizeof rolling / sizeof rolling[0]; i++) {
        struct weir_period period = weir_window_period(WEIR_WINDOW_ROLLING_24H, NULL, at(rolling[i].now));
        assert_true(period.from_utc_us == at(rolling[i].from));
        assert_true(period.until_utc_us == INT64_MAX && period.rolling);
    }
    assert_true(weir_window_period(WEIR_WINDOW_ROLLING_24H, NULL, at("1970-01-01T20:00:00Z")).from_utc_us == 0);
}

static void clocks_are_put_forward_and_back(void **state) {
    (void)state;
    struct weir_zones *zones = system_zones();
    const struct weir_zone *berlin = zone_of(zones, "Europe/Berlin");
    assert_ptr_equal(berlin, zone_of(zones, "Europe/Berlin"));
    assert_int_equal(weir_zone_offset(berlin, at("2026-03-29T00:59:59Z")), 3600);
    assert_int_equal(weir_zone_offset(berlin, at("2026-03-29T01:00:00Z")), 7200);
    assert_int_equal(weir_zone_offset(berlin, at("2026-10-25T00:59:59.999999Z")), 7200);
    assert_int_equal(weir_zone_offset(berlin, at("2026-10-25T01:00:00Z")), 3600);
    assert_int_equal(weir_zone_offset(berlin, at("2090-07-01")), 7200); /* by the rule at the file's end */
    assert_int_equal(weir_zone_offset(berlin, INT64_MIN), 3208);        /* local mean time */
    (void)weir_zone_offset(berlin, INT64_MAX);
    /* 23 hours, 25 hours, and a month that begins in winter and ends in summer. */
    assert_period(WEIR_WINDOW_DAY, berlin, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    assert_period(WEIR_WINDOW_DAY, berlin, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    assert_period(WEIR_WINDOW_MONTH, berlin, "2026-03-02", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
    assert_period(WEIR_WINDOW_WEEK, berlin, "2026-03-29T21:59:59Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
    assert_period(WEIR_WINDOW_MONTH, berlin, "2026-12-31T23:00:00Z", "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z");
    weir_zones_free(&zones);
}

static void midnights_that_are_left_out_or_come_twice(void **state) {
    (void)state;
    struct weir_zones *zones = system_zones();
    /* Beirut goes from 24:00 of Saturday to 01:00 of Sunday; Havana from 01:00 back to 00:00. */
    assert_period(WEIR_WINDOW_DAY, zone_of(zones, "Asia/Beirut"), "2024-03-31T10:00:00Z", "2024-03-30T22:00:00Z",
                  "2024-03-31T21:00:00Z");
    const struct weir_zone *havana = zone_of(zones, "America/Havana");
    assert_period(WEIR_WINDOW_DAY, havana, "2024-11-03T05:30:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z");
    assert_period(WEIR_WINDOW_DAY, havana, "2024-11-03T03:59:59Z", "2024-11-02T04:00:00Z", "2024-11-03T04:00:00Z");
    /* Newfoundland went back two hours at 00:01, to the evening before: the date had begun. */
    assert_period(WEIR_WINDOW_DAY, zone_of(zones, "America/St_Johns"), "1988-10-30T02:45:00Z", "1988-10-30T01:30:00Z",
                  "1988-10-31T03:30:00Z");
    /* Samoa had no 30 December 2011. */
    const struct weir_zone *apia = zone_of(zones, "Pacific/Apia");
    assert_period(WEIR_WINDOW_DAY, apia, "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z");
    assert_period(WEIR_WINDOW_DAY, apia, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z");
    weir_zones_free(&zones);
}

static void odd_offsets(void **state) {
    (void)state;
    struct weir_zones *zones = system_zones();
    assert_period(WEIR_WINDOW_DAY, zone_of(zones, "Asia/Kathmandu"), "2026-11-21T18:15:00Z", "2026-11-21T18:15:00Z",
                  "2026-11-22T18:15:00Z");
    assert_period(WEIR_WINDOW_DAY, zone_of(zones, "America/St_Johns"), "2026-11-21T03:29:59Z", "2026-11-20T03:30:00Z",
                  "2026-11-21T03:30:00Z");
    const struct weir_zone *chatham = zone_of(zones, "Pacific/Chatham"); /* +12:45, in summer +13:45 */
    assert_period(WEIR_WINDOW_DAY, chatham, "2026-07-01T12:00:00Z", "2026-07-01T11:15:00Z", "2026-07-02T11:15:00Z");
    assert_period(WEIR_WINDOW_MONTH, chatham, "2026-12-31T10:15:00Z", "2026-12-31T10:15:00Z", "2027-01-31T10:15:00Z");
    /* 44 minutes and 30 seconds behind until 1972: rounded down. */
    assert_period(WEIR_WINDOW_DAY, zone_of(zones, "Africa/Monrovia"), "1971-05-05T00:40:00Z", "1971-05-05T00:30:00Z",
                  "1971-05-06T00:30:00Z");
    weir_zones_free(&zones);
}

/* Each moment lies in its period, and the next period begins where this one ends. */
static void periods_follow_one_another(void **state) {
    (void)state;
    static const char *const names[] = {"UTC",          "Europe/Berlin",   "America/St_Johns",
                                        "Pacific/Apia", "Africa/Monrovia", "Australia/Lord_Howe"};
    struct weir_zones *zones = system_zones();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct weir_zone *zone = zone_of(zones, names[i]);
        for (enum weir_window window = WEIR_WINDOW_DAY; window <= WEIR_WINDOW_MONTH; window++) {
            int64_t now = 0;
            while (now < at("2040-01-01")) {
                struct weir_period period = weir_window_period(window, zone, now);
                assert_true(period.from_utc_us == now || now == 0);
                assert_true(period.until_utc_us > now && period.until_utc_us % WEIR_SPEND_BUCKET_US == 0);
                struct weir_period last = weir_window_period(window, zone, period.until_utc_us - 1);
                assert_true(last.from_utc_us == period.from_utc_us && last.until_utc_us == period.until_utc_us);
                now = period.until_utc_us;
            }
        }
    }
    weir_zones_free(&zones);
}

static void the_ends_of_time(void **state) {
    (void)state;
    struct weir_zones *zones = system_zones();
    static const char *const names[] = {"UTC", "Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin"};
    for (size_t i = 0; i < 4; i++) {
        const struct weir_zone *zone = zone_of(zones, names[i]);
        for (enum weir_window window = WEIR_WINDOW_ROLLING_24H; window <= WEIR_WINDOW_TOTAL; window++) {
            struct weir_period first = weir_window_period(window, zone, INT64_MIN);
            assert_true(first.from_utc_us == 0 && first.until_utc_us > 0);
            struct weir_period last = weir_window_period(window, zone, INT64_MAX);
            assert_true(last.from_utc_us >= 0 && last.until_utc_us == INT64_MAX);
        }
    }
    weir_zones_free(&zones);
}

static void names_that_are_none(void **state) {
    (void)state;
    static const char *const refused[] = {"",
                                          "/",
                                          "/etc/passwd",
                                          "../../etc/passwd",
                                          "Europe//Berlin",
                                          "Europe/",
                                          "zone.tab",
                                          "Europe/Ber lin",
                                          "Europe/Berlin\n",
                                          "./UTC",
                                          "a\\b",
                                          "Europe:Berlin"};
    static const char *const unknown[] = {"Europe", "Europe/Atlantis", "utc0", "Europe/Berlin/Mitte"};
    struct weir_zones *zones = system_zones();
    const struct weir_zone *zone = NULL;
    struct weir_error error;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(weir_zone_find(zones, weir_span_of_string(refused[i]), &zone, &error), WEIR_EINVAL);
    assert_int_equal(weir_zone_find(zones, weir_span_of("Europe/Berlin\0", 14), &zone, &error), WEIR_EINVAL);
    char longest[METER_MAX_ZONE_NAME_BYTES + 1];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(weir_zone_find(zones, weir_span_of(longest, sizeof longest), &zone, &error), WEIR_EINVAL);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(weir_zone_find(zones, weir_span_of_string(unknown[i]), &zone, &error), WEIR_ENOTFOUND);
        assert_non_null(strstr(error.text, unknown[i]));
    }
    weir_zones_free(&zones);
}

/* --- files made byte by byte --- */

struct file {
    char version;
    unsigned counts[6];     /* as in the header: ut, standard, leap, changes, types, name bytes */
    const int64_t *times;   /* as many as counts[3] says */
    const char *indexes;    /* "\1\0\1" */
    const int32_t *offsets; /* as many as counts[4] says */
    const char *rule;       /* NULL: not even the line */
};

static void put(struct weir_buffer *out, uint64_t value, unsigned bytes) {
    for (unsigned i = bytes; i > 0; i--)
        weir_buffer_append_byte(out, (char)(unsigned char)(value >> (8 * (i - 1)) & 0xFF));
}

static void put_part(struct weir_buffer *out, const struct file *file, unsigned time_bytes) {
    weir_buffer_append(out, WEIR_SPAN("TZif"));
    weir_buffer_append_byte(out, file->version);
    weir_buffer_append(out, weir_span_of("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15));
    for (size_t i = 0; i < 6; i++)
        put(out, file->counts[i], 4);
    for (size_t i = 0; i < file->counts[3]; i++)
        put(out, (uint64_t)file->times[i], time_bytes);
    weir_buffer_append(out, weir_span_of(file->indexes, file->counts[3]));
    for (size_t i = 0; i < file->counts[4]; i++) {
        put(out, (uint64_t)(uint32_t)file->offsets[i], 4);
        put(out, 0, 2);
    }
    for (size_t i = 0;
         i < file->counts[5] + (size_t)file->counts[2] * (time_bytes + 4) + file->counts[1] + file->counts[0]; i++)
        weir_buffer_append_byte(out, '\0');
}

static struct weir_buffer bytes_of(const struct file *file) {
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    put_part(&out, file, 4);
    if (file->version != '\0') {
        put_part(&out, file, 8);
        if (file->rule != NULL)
            weir_buffer_printf(&out, "\n%s\n", file->rule);
    }
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    return out;
}

static enum weir_status read_file(const struct file *file, struct weir_zone **zone) {
    struct weir_buffer bytes = bytes_of(file);
    enum weir_status status = weir_zone_read(weir_buffer_span(&bytes), zone);
    weir_buffer_release(&bytes);
    return status;
}

static const int64_t two_times[] = {-100, 1000};
static const int32_t three_offsets[] = {60, 3600, -7200};
static const struct file good = {.version = '2',
                                 .counts = {0, 0, 0, 2, 3, 4},
                                 .times = two_times,
                                 .indexes = "\1\2",
                                 .offsets = three_offsets,
                                 .rule = "<-02>2"};

static void versions_and_what_is_before_and_behind(void **state) {
    (void)state;
    static const char versions[] = {'\0', '2', '3', '4'};
    for (size_t i = 0; i < sizeof versions; i++) {
        struct file file = good;
        file.version = versions[i];
        for (unsigned with_rule = 0; with_rule < 2; with_rule++) {
            file.rule = with_rule ? "<+05>-5" : "";
            struct weir_zone *zone = NULL;
            assert_int_equal(read_file(&file, &zone), WEIR_OK);
            assert_int_equal(weir_zone_offset(zone, -101000000), 60);
            assert_int_equal(weir_zone_offset(zone, -100000001), 60);
            assert_int_equal(weir_zone_offset(zone, -100000000), 3600);
            assert_int_equal(weir_zone_offset(zone, 999999999), 3600);
            assert_int_equal(weir_zone_offset(zone, 1000000000), with_rule && versions[i] != '\0' ? 18000 : -7200);
            weir_zone_free(&zone);
            assert_null(zone);
        }
    }
}

static void a_file_without_changes(void **state) {
    (void)state;
    struct file file = {
        .version = '2', .counts = {0, 0, 0, 0, 1, 0}, .indexes = "", .offsets = three_offsets, .rule = ""};
    struct weir_zone *zone = NULL;
    assert_int_equal(read_file(&file, &zone), WEIR_OK);
    assert_int_equal(weir_zone_offset(zone, 0), 60);
    weir_zone_free(&zone);
    file.rule = "XXX-3";
    assert_int_equal(read_file(&file, &zone), WEIR_OK);
    assert_int_equal(weir_zone_offset(zone, INT64_MIN), 10800);
    assert_int_equal(weir_zone_offset(zone, INT64_MAX), 10800);
    weir_zone_free(&zone);
}

static void broken_files_are_refused(void **state) {
    (void)state;
    const int64_t falling[] = {1000, 1000};
    const int32_t far[] = {60, 3600, -93601};
    struct file files[11];
    for (size_t i = 0; i < 11; i++)
        files[i] = good;
    files[0].version = '5';
    files[1].version = '1';
    files[2].times = falling;
    files[3].indexes = "\1\3";
    files[4].offsets = far;
    files[5].counts[2] = 1; /* leap seconds */
    files[6].counts[4] = 0;
    files[7].rule = NULL;
    files[8].rule = "CET-1CEST";
    files[9].rule = "CET-1CEST,M3.5.0";
    files[10].rule = "C";
    for (size_t i = 0; i < 11; i++) {
        struct weir_zone *zone = NULL;
        if (read_file(&files[i], &zone) != WEIR_ECORRUPT)
            fail_msg("file %zu was read", i);
        assert_null(zone);
    }
    /* Cut anywhere, it is none; and with counts that promise more than there is. */
    struct weir_buffer bytes = bytes_of(&good);
    struct weir_zone *zone = NULL;
    for (size_t length = 0; length < bytes.length; length++)
        assert_int_equal(weir_zone_read(weir_span_of(bytes.at, length), &zone), WEIR_ECORRUPT);
    for (size_t i = 0; i < 24; i++) {
        char before = bytes.at[20 + i];
        bytes.at[20 + i] = (char)0xFF;
        assert_int_equal(weir_zone_read(weir_buffer_span(&bytes), &zone), WEIR_ECORRUPT);
        bytes.at[20 + i] = before;
    }
    assert_int_equal(weir_zone_read(weir_buffer_span(&bytes), &zone), WEIR_OK);
    weir_zone_free(&zone);
    weir_zone_free(&zone);
    weir_buffer_release(&bytes);
}

static void assert_offset_by_rule(const char *text, const char *when, int32_t offset_s) {
    struct meter__zone_rule rule;
    assert_int_equal(meter__zone_rule_read(weir_span_of_string(text), &rule), WEIR_OK);
    assert_int_equal(meter__zone_rule_stretch(&rule, meter__floor_divide(at(when), 1000000)).offset_s, offset_s);
}

static void rules(void **state) {
    (void)state;
    assert_offset_by_rule("CET-1CEST,M3.5.0,M10.5.0/3", "2050-03-27T00:59:59Z", 3600);
    assert_offset_by_rule("CET-1CEST,M3.5.0,M10.5.0/3", "2050-03-27T01:00:00Z", 7200);
    /* Dublin's winter is what is put back; the southern summer goes over the year's end. */
    assert_offset_by_rule("IST-1GMT0,M10.5.0,M3.5.0/1", "2050-01-01", 0);
    assert_offset_by_rule("IST-1GMT0,M10.5.0,M3.5.0/1", "2050-07-01", 3600);
    assert_offset_by_rule("<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", "2050-01-01", 49500);
    assert_offset_by_rule("<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", "2050-06-01", 45900);
    /* Hours below 0 and past 24; daylight saving all the year round. */
    assert_offset_by_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T00:59:59Z", -7200);
    assert_offset_by_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T01:00:00Z", -3600);
    assert_offset_by_rule("EET-2EEST,M3.4.4/50,M10.4.4/50", "2050-03-26T00:00:00Z", 10800);
    assert_offset_by_rule("EST5EDT,0/0,J365/25", "2050-01-01T04:59:59Z", -14400);
    assert_offset_by_rule("EST5EDT,0/0,J365/25", "2050-01-01T05:00:00Z", -14400);
    /* Day 60 is 1 March in every year, day 59 counted from 0 only in those that do not leap. */
    assert_offset_by_rule("AAA0BBB,J60/0,J300/0", "2052-02-29T23:59:59Z", 0);
    assert_offset_by_rule("AAA0BBB,J60/0,J300/0", "2052-03-01", 3600);
    assert_offset_by_rule("AAA0BBB,59/0,300/0", "2052-02-28T23:59:59Z", 0);
    assert_offset_by_rule("AAA0BBB,59/0,300/0", "2052-02-29", 3600);
    static const char *const wrong[] = {"",
                                        "AB1",
                                        "ABC",
                                        "ABC25",
                                        "ABC1:60",
                                        "ABC1D",
                                        "<AB1",
                                        "ABC1DEF",
                                        "ABC1DEF,M13.1.0,M10.1.0",
                                        "ABC1DEF,M3.6.0,M10.1.0",
                                        "ABC1DEF,M3.1.7,M10.1.0",
                                        "ABC1DEF,J0,J3",
                                        "ABC1DEF,J1,366",
                                        "ABC1DEF,J1/168,J3",
                                        "ABC1DEF,J1,J3,",
                                        "ABC99999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct meter__zone_rule rule;
        if (meter__zone_rule_read(weir_span_of_string(wrong[i]), &rule) != WEIR_EINVAL)
            fail_msg("%s was read", wrong[i]);
    }
}

static void a_file_that_is_no_zone(void **state) {
    (void)state;
    char directory[] = "/tmp/weir-zones-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char path[80];
    snprintf(path, sizeof path, "%s/Broken", directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "# no zone\n", 10), 10);
    close(fd);
    struct weir_zones *zones = NULL;
    const struct weir_zone *zone = NULL;
    struct weir_error error;
    assert_int_equal(weir_zones_new(directory, &zones), WEIR_OK);
    assert_int_equal(weir_zone_find(zones, WEIR_SPAN("Broken"), &zone, &error), WEIR_ECORRUPT);
    assert_non_null(strstr(error.text, path));
    /* One that appears later is found: what was not there is not remembered. */
    struct weir_buffer bytes = bytes_of(&good);
    snprintf(path, sizeof path, "%s/Later", directory);
    assert_int_equal(weir_zone_find(zones, WEIR_SPAN("Later"), &zone, &error), WEIR_ENOTFOUND);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, bytes.at, bytes.length), (ssize_t)bytes.length);
    close(fd);
    weir_buffer_release(&bytes);
    assert_int_equal(weir_zone_find(zones, WEIR_SPAN("Later"), &zone, &error), WEIR_OK);
    assert_int_equal(weir_zone_offset(zone, 0), 3600);
    weir_zones_free(&zones);
    unlink(path);
    snprintf(path, sizeof path, "%s/Broken", directory);
    unlink(path);
    rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_as_they_are_written),
        cmocka_unit_test(utc_needs_no_database),
        cmocka_unit_test(windows_without_a_calendar),
        cmocka_unit_test(clocks_are_put_forward_and_back),
        cmocka_unit_test(midnights_that_are_left_out_or_come_twice),
        cmocka_unit_test(odd_offsets),
        cmocka_unit_test(periods_follow_one_another),
        cmocka_unit_test(the_ends_of_time),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(versions_and_what_is_before_and_behind),
        cmocka_unit_test(a_file_without_changes),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(rules),
        cmocka_unit_test(a_file_that_is_no_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

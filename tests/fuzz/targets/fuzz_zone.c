/* links: base json meter */
/* Files of the time zone database. The first eight bytes are a moment, the rest the file.
 *
 * Held, for every file that is read: offsets stay within their bounds, and each window holds the moment, lies on quarters of an hour, and is followed by
 * the next without a gap.
 */
#include "meter/windows.h"
#include "store/spend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_window(enum weir_window window, const struct weir_zone *zone, int64_t utc_us) {
    struct weir_period period = weir_window_period(window, zone, utc_us);
    int64_t now = utc_us < 0 ? 0 : utc_us;
    weir_bug_on(period.from_utc_us < 0 || period.from_utc_us > now || now >= period.until_utc_us);
    weir_bug_on(period.from_utc_us % WEIR_SPEND_BUCKET_US != 0);
    if (period.until_utc_us == INT64_MAX)
        return;
    weir_bug_on(period.until_utc_us % WEIR_SPEND_BUCKET_US != 0);
    struct weir_period next = weir_window_period(window, zone, period.until_utc_us);
    weir_bug_on(next.from_utc_us != period.until_utc_us);
    struct weir_period same = weir_window_period(window, zone, period.until_utc_us - 1);
    weir_bug_on(same.from_utc_us != period.from_utc_us || same.until_utc_us != period.until_utc_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_zone *zone = NULL;
    int64_t utc_us = 0;
    if (size < sizeof utc_us)
        return 0;
    memcpy(&utc_us, data, sizeof utc_us);
    if (weir_zone_read(weir_span_of((const char *)data + sizeof utc_us, size - sizeof utc_us), &zone) != WEIR_OK)
        return 0;
    /* Also a moment of this century, which eight random bytes seldom are. */
    const int64_t moments[] = {utc_us, (int64_t)((uint64_t)utc_us % UINT64_C(4102444800000000))};
    for (size_t i = 0; i < 2; i++) {
        int32_t offset_s = weir_zone_offset(zone, moments[i]);
        weir_bug_on(offset_s < -93600 || offset_s > 93600);
        for (enum weir_window window = WEIR_WINDOW_DAY; window <= WEIR_WINDOW_MONTH; window++)
            check_window(window, zone, moments[i]);
    }
    weir_zone_free(&zone);
    return 0;
}

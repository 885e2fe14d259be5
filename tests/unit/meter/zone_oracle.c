/* Tells for each line "zone utc_seconds" of its input what src/meter makes of it: the offset, then from and until of day, week and month in seconds. Driven
 * by compare_zones.py, which knows the same from Python. */
#include "meter/windows.h"

#include <inttypes.h>
#include <stdio.h>

int main(void) {
    struct weir_zones *zones = NULL;
    if (weir_zones_new(NULL, &zones) != WEIR_OK)
        return 1;
    char name[120];
    int64_t utc_s;
    while (scanf("%119s %" SCNd64, name, &utc_s) == 2) {
        const struct weir_zone *zone;
        struct weir_error error;
        if (weir_zone_find(zones, weir_span_of_string(name), &zone, &error) != WEIR_OK) {
            fprintf(stderr, "%s\n", error.text);
            weir_zones_free(&zones);
            return 1;
        }
        printf("%" PRId32, weir_zone_offset(zone, utc_s * 1000000));
        for (enum weir_window window = WEIR_WINDOW_DAY; window <= WEIR_WINDOW_MONTH; window++) {
            struct weir_period period = weir_window_period(window, zone, utc_s * 1000000);
            printf(" %" PRId64 " %" PRId64, period.from_utc_us / 1000000, period.until_utc_us / 1000000);
        }
        printf("\n");
    }
    weir_zones_free(&zones);
    return 0;
}

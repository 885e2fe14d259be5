/* The meter's settings, a row each. */
#include "meter/meter.h"

static const struct weir_option rows[] = {
    {.name = "slice_percent",
     .kind = WEIR_OPTION_INTEGER,
     .offset = offsetof(struct weir_meter_settings, slice_percent),
     .initial = "10",
     .minimum = 1,
     .maximum = 100,
     .unit = "percent",
     .prose =
         "Of what is left of a budget, an instance takes at most so much for itself ahead of need. It then asks the "
         "store less often; other instances may find less."},
    {.name = "slice_idle",
     .kind = WEIR_OPTION_DURATION,
     .offset = offsetof(struct weir_meter_settings, slice_idle_ms),
     .initial = "5s",
     .minimum = 100,
     .maximum = 3600000,
     .unit = "ms",
     .prose = "What an instance took of a budget and did not need for so long goes back, at most twice that later."},
    {.name = "store_wait",
     .kind = WEIR_OPTION_DURATION,
     .offset = offsetof(struct weir_meter_settings, store_wait_ms),
     .initial = "2s",
     .minimum = 0,
     .maximum = 30000,
     .unit = "ms",
     .prose = "A request waits so long for the store to say what is left of a budget; then it is refused with 503 "
              "(budget_unknown)."},
    {.name = "runaway_refusals",
     .kind = WEIR_OPTION_INTEGER,
     .offset = offsetof(struct weir_meter_settings, runaway_refusals),
     .initial = "100",
     .minimum = 1,
     .maximum = 1000000000,
     .prose =
         "A key that is refused (429) so often a minute, for meter.runaway_minutes on end, is told of as a runaway client."},
    {.name = "runaway_minutes",
     .kind = WEIR_OPTION_INTEGER,
     .offset = offsetof(struct weir_meter_settings, runaway_minutes),
     .initial = "3",
     .minimum = 1,
     .maximum = 1440,
     .prose = "See meter.runaway_refusals."},
};

const struct weir_option_table weir_meter_options = {.section = "meter",
                                                     .rows = rows,
                                                     .count = sizeof rows / sizeof *rows,
                                                     .size = sizeof(struct weir_meter_settings)};

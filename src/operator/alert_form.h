/* What the meter wants operators to know of (struct weir_meter_event), as an object of the store that is there once: by its id, whoever writes it first has told
 * it. So a restart tells nothing again, and of several processes on one store one does.
 */
#ifndef WEIR_OPERATOR_ALERT_FORM_H
#define WEIR_OPERATOR_ALERT_FORM_H

#include "base/arena.h"
#include "json/write.h"
#include "meter/meter.h"

#define WEIR_ALERT_KEPT_US (INT64_C(90) * 86400 * 1000000)
#define WEIR_RUNAWAY_NOW_US (INT64_C(3600) * 1000000) /* a client that was told of within this time is one still */

const char *weir_alert_kind_name(enum weir_meter_event_kind kind); /* "threshold", "exceeded", "overrun", "runaway" */
/* The object, with its texts in the arena. Its id has the period's start and what was reached; of what has no period, or one that moves, the day (a budget),
 * the hour (an overrun of a key) or half of it (a runaway client, which is told of again while it goes on). WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_alert_object(struct weir_arena *arena, const struct weir_meter_event *event,
                                             int64_t utc_us, struct weir_object *object);
/* As the plane shows it. */
void weir_alert_write(struct weir_json_writer *writer, struct weir_arena *arena, const struct weir_object *object);

#endif

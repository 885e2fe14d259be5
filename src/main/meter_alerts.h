/* What the meter has to tell: a line in the log, a count for the metrics, and an object in the store by which it is told once, whoever tells it and
 * however often the process starts. */
#ifndef WEIR_MAIN_METER_ALERTS_H
#define WEIR_MAIN_METER_ALERTS_H

#include "meter/meter.h"

struct main__alerts; /* outlives the loop's last turn */

/* `loop` is the control thread's. WEIR_ENOMEM. */
WEIR_MUST enum weir_status main__alerts_new(struct weir_store *store, struct weir_loop *loop,
                                            const struct weir_log *log, struct main__alerts **alerts);
void main__alerts_free(struct main__alerts **alerts);
/* For weir_meter_on_event, on the control thread; waits for nothing. What cannot be kept is told all the same: twice is better than never. */
void main__alerts_on_event(void *alerts, const struct weir_meter_event *event);
/* For the metrics: how many were told, by kind; any thread. NULL: none yet. */
void main__alerts_count(const struct main__alerts *alerts, struct weir_metrics_facts *facts);

#endif

/* The meter in a running server (serve_meter.c). */
#ifndef WEIR_MAIN_SERVE_METER_H
#define WEIR_MAIN_SERVE_METER_H

#include "meter/meter.h"

struct main__server;

/* Makes it, and begins to watch the store for what concerns it. */
WEIR_MUST enum weir_status main__meter_open(struct main__server *server, struct weir_error *error);
/* The plans of the live revision are in effect from here on. */
void main__meter_plans(struct main__server *server);
/* Now and then: how many instances there are. */
void main__meter_turn(struct main__server *server);
/* For the metrics, on any thread. */
void main__meter_facts(const struct main__server *server, struct weir_metrics_facts *facts);

#endif

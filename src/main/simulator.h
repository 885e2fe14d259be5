/* The provider simulator as a child process, for a start from nothing in dev. */
#ifndef WEIR_MAIN_SIMULATOR_H
#define WEIR_MAIN_SIMULATOR_H

#include "base/span.h"

#include <sys/types.h>

struct main__simulator {
    pid_t pid;         /* 0: none */
    char base_url[64]; /* "http://127.0.0.1:41234/v1" */
};
/* Before any thread is started. */
WEIR_MUST enum weir_status main__simulator_start(struct main__simulator *simulator, struct weir_error *error);
/* Ends it and waits for it. */
void main__simulator_stop(struct main__simulator *simulator);

#endif

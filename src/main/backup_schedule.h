/* Scheduled backups: a thread of its own that makes one when it is due, verifies it, and removes the oldest. */
#ifndef WEIR_MAIN_BACKUP_SCHEDULE_H
#define WEIR_MAIN_BACKUP_SCHEDULE_H

#include "base/log.h"
#include "operator/operator.h"
#include "store/backup.h"

struct main__backup_schedule;

struct main__backup_plan {
    const char *directory; /* of the store; all texts are borrowed for life */
    const char *environment;
    const char *folder; /* created when it is not there */
    int64_t interval_ms;
    int64_t keep;
    bool seal;
    struct weir_backup_sealer sealer; /* used where `seal` */
    struct weir_log log;
};

/* Starts the thread. WEIR_EIO: the folder cannot be used. */
WEIR_MUST enum weir_status main__backup_schedule_new(const struct main__backup_plan *plan,
                                                     struct main__backup_schedule **schedule, struct weir_error *error);
/* A backup that is being made is given up. */
void main__backup_schedule_free(struct main__backup_schedule **schedule);
/* Begins one now; WEIR_EBUSY: one is being made. Any thread; `schedule` is a struct main__backup_schedule. */
enum weir_status main__backup_schedule_start(void *schedule);
/* Any thread. */
void main__backup_schedule_state(void *schedule, struct weir_backup_state *state);

#endif

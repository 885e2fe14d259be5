/* Faults: what goes wrong with an answer, as `name[=value][; name[=value]]…`, and the plan that gives them to calls.
 *
 * Every fault is one row of the table in fault.c. Several may be given together where that makes sense
 * ("delay=200; status=503; retry-after=2"). docs/guides/simulator.md tells what each does.
 */
#ifndef WEIR_SIM_FAULT_H
#define WEIR_SIM_FAULT_H

#include "base/buffer.h"

enum sim_fault_kind {
    SIM_FAULT_STATUS,
    SIM_FAULT_RETRY_AFTER,
    SIM_FAULT_CODE,
    SIM_FAULT_RESET,
    SIM_FAULT_RESET_AFTER_HEAD,
    SIM_FAULT_RESET_MID,
    SIM_FAULT_CLOSE,
    SIM_FAULT_SILENCE,
    SIM_FAULT_STALL,
    SIM_FAULT_STALL_HEAD,
    SIM_FAULT_TRUNCATE,
    SIM_FAULT_CUT,
    SIM_FAULT_NO_USAGE,
    SIM_FAULT_NO_DONE,
    SIM_FAULT_ERROR_EVENT,
    SIM_FAULT_BAD_JSON,
    SIM_FAULT_BAD_CHUNK,
    SIM_FAULT_WRONG_TYPE,
    SIM_FAULT_HUGE,
    SIM_FAULT_SLOW_BODY,
    SIM_FAULT_EARLY_ANSWER,
    SIM_FAULT_INTERIM,
    SIM_FAULT_CLOSE_IDLE,
    SIM_FAULT_DELAY,
    SIM_FAULT_WRONG_USAGE,
    SIM_FAULT_RESET_HEAD,
    SIM_FAULT_EARLY_CLOSE,
    SIM_FAULT_EARLY_RESET,
    SIM_FAULT_CONTINUE,
    SIM_FAULT_CLOSE_NEXT,
    SIM_FAULT_FLAP,
    SIM_FAULT_USAGE_PERCENT,
    SIM_FAULT_NEGATIVE_USAGE,
    SIM_FAULT_COUNT
};

enum { SIM_FAULT_TEXT_SIZE = 160, SIM_FAULT_CODE_SIZE = 64 };

/* Zeroed memory is no fault at all. */
struct sim_fault {
    uint64_t set; /* bit by kind */
    int64_t value[SIM_FAULT_COUNT];
    int64_t down_ms;                /* of `flap=`, whose value is the time up */
    char code[SIM_FAULT_CODE_SIZE]; /* of `code=` */
    char text[SIM_FAULT_TEXT_SIZE]; /* as it was given */
};

static inline bool sim__fault_has(const struct sim_fault *fault, enum sim_fault_kind kind) {
    return (fault->set >> kind & 1U) != 0;
}

/* An empty text and "none" are no fault. WEIR_EINVAL with words that name the bad part; *fault is untouched then. */
WEIR_MUST enum weir_status sim__fault_parse(struct weir_span text, struct sim_fault *fault, struct weir_error *error);

/* What the usage says of each hundred that is true. */
int64_t sim__fault_usage_percent(const struct sim_fault *fault);
/* Rounded towards 0; what does not fit is INT64_MAX. */
static inline int64_t sim__percent_of(int64_t value, int64_t percent) {
    int64_t product = 0;
    return __builtin_mul_overflow(value, percent, &product) ? INT64_MAX : product / 100;
}

/* False while a fault that flaps lets calls pass; `elapsed_ms` is counted from the schedule's start. */
bool sim__fault_is_down(const struct sim_fault *fault, int64_t elapsed_ms);

/* The plan: a schedule of faults for the next calls. */
struct sim_plan_entry {
    struct sim_fault fault;
    uint64_t count; /* calls that get it; 0: no end */
    uint64_t every; /* 1: each call; N: each N-th call */
    uint64_t seen;  /* calls that came by */
    uint64_t given; /* of these, how many got it */
};

struct sim_plan {
    struct sim_plan_entry *entries;
    size_t count;
    size_t first;       /* the first that is not used up */
    int64_t started_ms; /* when it was set */
};

/* Replaces the plan by what the JSON says: an object {"fault","count","every","up_ms","down_ms"} or an array of them, served one after
 * the other. WEIR_EINVAL with words; the old plan stays then. */
WEIR_MUST enum weir_status sim__plan_set(struct sim_plan *plan, struct weir_span json, int64_t now_ms,
                                         struct weir_error *error);
void sim__plan_clear(struct sim_plan *plan);
/* The fault for the call that has just begun, or NULL. Lives until the plan changes. */
const struct sim_fault *sim__plan_take(struct sim_plan *plan, int64_t now_ms);
/* Appends the plan as JSON, with how often each entry was given. */
void sim__plan_write(const struct sim_plan *plan, struct weir_buffer *out);

#endif

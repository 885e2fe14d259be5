/* The meter: may this request be made, and what does it cost whom. One for the process, used by all workers.
 *
 * Two kinds of things are held to: limits (how often, how many at once) and budgets (how much). A request is asked about twice: with what concerns its
 * caller (key, user, team, workspace, all) and its model before it leaves, and, attempt by attempt, with what concerns the provider. Each set of counters
 * that applies to somebody is a binding, made once and kept by the worker until the definitions change.
 *
 * A budget's counter holds the slice that the store gave this instance (store/spend.h): available = slice - held - settled here and not in the ledger yet.
 * Reserving takes the worst case from every counter of a binding, all or nothing; settling gives back what was not charged. What is missing is asked of
 * the store ahead of need, on the control thread; a request that cannot wait for that is parked and asked about again. A hold is a struct in its request:
 * it cannot outlive it, and the books of an instance that dies are put right from its journal.
 *
 * Minute and second limits are token buckets in memory; each instance has its part of them: limit / number of instances that serve.
 * Counters are guarded by a lock of their own, held for some instructions: any thread may call what does not say otherwise.
 */
#ifndef WEIR_METER_METER_H
#define WEIR_METER_METER_H

#include "base/option.h"
#include "base/reasons.h"
#include "config/revision.h"
#include "meter/definitions.h"
#include "store/store.h"
#include "telemetry/metrics.h"

struct weir_meter;
struct weir_meter_binding; /* counted references */

struct weir_meter_settings {
    int64_t slice_percent; /* of what is left, at most so much is asked for ahead of need: 1 to 100 */
    int64_t slice_idle_ms; /* what was not needed for so long goes back to the store */
    int64_t store_wait_ms; /* a request waits at most so long for the store to answer about a budget */
    int64_t runaway_refusals,
        runaway_minutes; /* a key that is refused (429) so often a minute, so many minutes on end, is a runaway client */
};
extern const struct weir_option_table weir_meter_options; /* section "meter" */

/* Something that an operator wants to know of; told on the control thread, once each. */
enum weir_meter_event_kind {
    WEIR_METER_THRESHOLD, /* a budget's alert_percents */
    WEIR_METER_EXCEEDED,  /* a hard budget refused somebody, for the first time in its period */
    WEIR_METER_OVERRUN,   /* a provider reported more than was reserved */
    WEIR_METER_RUNAWAY    /* a key is refused again and again */
};
struct weir_meter_event {
    enum weir_meter_event_kind kind;
    struct weir_span budget; /* id; empty for RUNAWAY and OVERRUN */
    struct weir_span name;
    enum weir_scope scope;
    struct weir_span scope_id;
    struct weir_period period;
    uint8_t percent; /* that was reached */
    int64_t used_cu_milli, limit_cu_milli;
    int64_t refusals; /* RUNAWAY: in the last minute */
    int64_t overrun_cu_milli;
};

/* `loop` is the control thread's; all functions named "control" are called there. */
WEIR_MUST enum weir_status weir_meter_new(const struct weir_meter_settings *settings, struct weir_loop *loop,
                                          struct weir_store *store, struct weir_meter **meter,
                                          struct weir_error *error);
/* After the workers have ended: gives what is left of the slices back. */
void weir_meter_free(struct weir_meter **meter);
/* Called on the control thread when requests that were told to wait should ask again. */
void weir_meter_on_room(struct weir_meter *meter, void (*on_room)(void *context), void *context);
void weir_meter_on_event(struct weir_meter *meter,
                         void (*on_event)(void *context, const struct weir_meter_event *event), void *context);
/* control: takes what concerns it of budgets, limits, raises, workspaces (their plan), accounts; other kinds are passed over. With a count of 0: these were
 * all, for now. A text that cannot be read leaves what was known before, and WEIR_EINVAL with words. */
WEIR_MUST enum weir_status weir_meter_take_objects(struct weir_meter *meter, const struct weir_object *objects,
                                                   size_t count, struct weir_error *error);
/* control: the plans of a revision that goes live. */
WEIR_MUST enum weir_status weir_meter_take_plans(struct weir_meter *meter, const struct weir_plan *plans, size_t count);
/* control: how many instances serve now, this one among them. */
void weir_meter_set_instances(struct weir_meter *meter, unsigned count);
/* control: stops asking ahead and gives back what nobody holds: the process is about to end. */
void weir_meter_drain(struct weir_meter *meter);

/* --- bindings --- */
/* Grows whenever bindings that were made before may lack something. */
uint64_t weir_meter_generation(const struct weir_meter *meter);

/* Who asks. Texts are needed for the call alone. */
struct weir_meter_caller {
    struct weir_span key;                                         /* the family */
    struct weir_span user, team, workspace;                       /* ids as in the ledger; empty: none */
    struct weir_limits limits;                                    /* of the key's rules */
    int64_t cu_milli_per_day, cu_milli_per_month, cu_milli_total; /* of the key's rules; -1: none */
};
/* What applies to a caller: its key's own limits and budgets, those of its plan, of its user, team, workspace, and of all. WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_meter_bind_caller(struct weir_meter *meter, const struct weir_meter_caller *caller,
                                                  struct weir_meter_binding **binding);
/* What applies to one model or provider; empty very often. */
WEIR_MUST enum weir_status weir_meter_bind(struct weir_meter *meter, enum weir_scope scope, struct weir_span id,
                                           struct weir_meter_binding **binding);
void weir_meter_unbind(struct weir_meter_binding **binding);
/* Nothing is in it: admit and reserve need not be called. */
bool weir_meter_binding_is_empty(const struct weir_meter_binding *binding);
/* A hard budget is in it: what cannot be metered may not be done under it. */
bool weir_meter_binding_is_hard(const struct weir_meter_binding *binding);
/* A limit or budget in tokens is in it. */
bool weir_meter_binding_counts_tokens(const struct weir_meter_binding *binding);

/* Why not: filled where something refuses. */
struct weir_meter_refusal {
    enum weir_reason
        reason; /* RATE_LIMITED, TOKEN_RATE_LIMITED, CONCURRENCY_LIMITED, CU_LIMIT_EXCEEDED, DAILY_LIMIT_EXCEEDED, BUDGET_UNKNOWN */
    enum weir_scope scope;
    const char *scope_name;
    const char *window;          /* "second", "minute", "day", "24h", "week", "month", "total"; "" for concurrency */
    const char *limit_name;      /* "requests_per_minute"; a budget's: "cu_milli" */
    char budget[64];             /* its id, cut; "" for limits */
    int64_t used, limit;         /* milli-CU, requests or tokens; used: spent and held */
    int64_t needed;              /* of a budget: what this request may cost at most */
    int64_t room;                /* of a budget: what would fit, for everybody */
    int64_t retry_after_seconds; /* 1 at least */
};

/* --- limits --- */
/* For x-ratelimit-…: the tightest of each kind; limit -1: none applies. */
struct weir_rate_state {
    struct {
        int64_t limit, remaining, reset_ms;
    } requests, tokens;
};
/* What a request has taken of the limits of one binding. */
struct weir_admission {
    struct weir_meter_binding *binding; /* NULL: nothing; holds a reference */
    int64_t tokens;                     /* taken in advance */
    bool stream;                        /* counted as one */
};
/* One request, `tokens` of it likely: all limits or none. False: *refusal says why, and nothing was taken. `now_ns` is monotonic. */
WEIR_MUST bool weir_meter_admit(struct weir_meter_binding *binding, bool stream, int64_t tokens, int64_t now_ns,
                                struct weir_admission *admission, struct weir_rate_state *rates,
                                struct weir_meter_refusal *refusal);
/* What only the body of an admitted request tells: that it is a stream, and how many tokens it likely takes. Both are added to the admission, or neither: then
 * false, and *refusal says why. True for one that holds nothing. */
WEIR_MUST bool weir_meter_admit_more(struct weir_admission *admission, bool stream, int64_t tokens, int64_t now_ns,
                                     struct weir_rate_state *rates, struct weir_meter_refusal *refusal);
/* The request ends, however it ends; `tokens` it truly took (0: none reached a provider). What was admitted wrongly is put right. Legal on an empty one, and
 * again. */
void weir_meter_leave(struct weir_admission *admission, int64_t tokens, int64_t now_ns);

/* --- budgets --- */
struct weir_hold {
    struct weir_meter_binding *binding; /* NULL: nothing is held; holds a reference */
    int64_t cu_milli, tokens, requests;
    int64_t utc_us;    /* when: it says which period is charged */
    uint64_t sequence; /* the meter's own: what is younger was not taken from */
};
enum weir_reserve {
    WEIR_RESERVED,
    WEIR_RESERVE_WAIT, /* ask again when on_room was called, or after refusal->retry_after_seconds at the latest; nothing is held */
    WEIR_RESERVE_CLAMP,  /* refusal->room is what would fit: ask again with less; nothing is held */
    WEIR_RESERVE_REFUSED /* nothing is held */
};
/* The worst case, of every budget of the binding or of none. `waited_ms`: how long this request has waited so far; `utc_us` its start as the ledger will have it. */
WEIR_MUST enum weir_reserve weir_meter_reserve(struct weir_meter_binding *binding, int64_t cu_milli, int64_t tokens,
                                               int64_t utc_us, int64_t waited_ms, struct weir_hold *hold,
                                               struct weir_meter_refusal *refusal);
/* The answer was WEIR_RESERVE_CLAMP, and nothing less can be asked for: the request is refused, and the budgets that it does not fit into tell that they are
 * exceeded, as those do that refuse by themselves. */
void weir_meter_refuse_clamped(struct weir_meter_binding *binding, int64_t cu_milli, int64_t utc_us);
/* What is charged of each, as the ledger will have it: 0 to what is held of milli-CU; tokens may be more than were held. The rest is free again, and the hold
 * empty. Legal on an empty one. */
void weir_meter_settle(struct weir_hold *hold, int64_t cu_milli, int64_t tokens, int64_t requests);
/* Gives back a hold that never stood, because another budget did not agree. Wakes nobody: two that wait for one another's room would wake each other on and
 * on, and whoever waits asks again after a moment by itself. Legal on an empty one. */
void weir_meter_undo(struct weir_hold *hold);
/* Counts what a provider reported beyond its reservation: an alarm follows. */
void weir_meter_note_overrun(struct weir_meter *meter, const struct weir_meter_caller *caller, int64_t cu_milli);
/* One 429 of this key, of ours. */
void weir_meter_note_refusal(struct weir_meter *meter, struct weir_span key);

/* --- for tests and metrics --- */
struct weir_meter_state {
    size_t counters, buckets, bindings;
    int64_t holds;         /* in effect: 0 when nothing is in flight */
    int64_t held_cu_milli; /* of all counters together */
    int64_t concurrent;    /* admissions in effect */
    uint64_t store_questions, refusals, waits;
};
void weir_meter_state(struct weir_meter *meter, struct weir_meter_state *state);

#endif

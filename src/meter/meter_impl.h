/* What the files of the meter share. Who may touch what:
 *
 *   subject   somebody or something that is counted: (scope, id). Found by name in one table, under meter->lock, when a binding is made.
 *   account   what a subject may use up of one unit (milli-CU, requests, tokens): its lines and its pots, behind a lock of its own. Locks of accounts
 *             are taken in the order of their addresses; meter->lock before them, meter->queue_lock behind them.
 *   line      one budget that holds for the subject: a limit in a window. Several may share a pot.
 *   pot       one period of time, as the store knows it by (from, until): what this instance may still spend in it. Two windows that begin and end
 *             together (a month in two zones) are one pot, because the store's slices do not tell them apart.
 *   binding   immutable: the rates and accounts that concern one caller, model or provider.
 *
 * Only the control thread asks the store, frees subjects and accounts, and tells events.
 */
#ifndef WEIR_METER_METER_IMPL_H
#define WEIR_METER_METER_IMPL_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "meter/meter.h"
#include "meter/meter_lock.h"

#include <pthread.h>
#include <stdatomic.h>

#define METER_SECOND_NS ((int64_t)1000000000)
#define METER_SECOND_US ((int64_t)1000000)
#define METER_PACE_NS (200 * METER_SECOND_NS / 1000) /* what is known of a budget is good for so long */
#define METER_LINGER_NS (60 * METER_SECOND_NS)       /* what nobody is bound to is kept for so long */
#define METER_LINGER_EPOCHS 12                       /* as above, in turns of slice_idle_ms */

enum { METER_UNITS = 3, METER_SHARDS = 8, METER_KEY_WINDOWS = 3 };

/* What the meter needs of the world around it: in the server the store, the clocks and the control thread's loop; in tests their own. */
struct meter__outside {
    void *context;
    /* As weir_store_lease; the reply is called on the control thread, during the call or later, once, unless this fails. */
    enum weir_status (*lease)(void *context, const struct weir_lease *leases, size_t count,
                              weir_store_lease_reply reply, void *reply_context);
    int64_t (*utc_us)(void *context);
    int64_t (*now_ns)(void *context); /* monotonic */
    void (*wake)(void *context);      /* any thread: meter__turn is to be called soon */
};

/* --- definitions that are known --- */

/* A budget, limit or raise. Counted: lines keep theirs while a newer one takes its place. Under meter->lock. */
struct meter__definition {
    struct weir_arena *arena;
    unsigned refs;
    enum weir_object_kind kind;
    const struct weir_zone *zone;   /* of a budget; NULL: UTC */
    struct weir_span key;           /* in the map of definitions: kind, parent, id */
    struct weir_span target_key;    /* in the map of targets */
    struct meter__definition *next; /* of its target */
    union {
        struct weir_budget budget;
        struct weir_limit_definition limit;
        struct weir_raise raise;
    } is;
};
/* What concerns one (scope, id), or one budget (its raises). */
struct meter__target {
    struct meter__definition *definitions;
    char key[];
};
/* What is known of a workspace: its plan and its credits. */
struct meter__workspace {
    size_t id_length;
    char *plan; /* NULL: none */
    int64_t credits, consumed;
    int64_t
        credits_until_utc_us; /* the end of the month behind the last one that was closed: what later months used is not taken from the credits yet */
    char id[];
};

/* --- counters --- */

struct meter__pot {
    struct meter__pot *next;
    int64_t from_utc_us, until_utc_us; /* 0 and INT64_MAX for one that rolls */
    uint64_t sequence;                 /* of its creation: older holds have taken nothing from it */
    bool rolling;
    bool hard;      /* a line refuses by it; else it only looks on, and room means nothing */
    bool known;     /* the store has answered once */
    bool in_flight; /* a question about it is on its way */
    bool needing;   /* somebody waits for the answer */
    bool hoping;    /* somebody waits for holds to end */
    bool refresh;   /* is to be asked about */
    bool uncertain; /* a question failed after it was sent: the store may think that more is out than is */
    bool doubtful;  /* the last answer does not agree with these books */
    int64_t room;   /* granted, neither held nor charged */
    int64_t held;
    int64_t total, others;       /* last answer: spent and all slices; slices of others. used = total - room */
    int64_t need;                /* asked for by requests since the last question */
    int64_t short_by;            /* so much more would be at hand by these books than by the last answer */
    int64_t low;                 /* below this, more is asked for ahead of need */
    int64_t least;               /* the lowest room of this epoch */
    int64_t surplus;             /* to be given back */
    int64_t taken, taken_before; /* reserved in this epoch, and in the one before */
    int64_t answered_ns;         /* when the last answer came */
    uint64_t epoch;              /* that taken and least are of */
    uint64_t touched_epoch;      /* when something was last held or settled */
};

/* More for a time. */
struct meter__raise {
    int64_t amount, from_utc_us, until_utc_us;
};

enum meter__line_kind {
    METER__LINE_BUDGET, /* an object */
    METER__LINE_KEY,    /* a limit of a key's rules */
    METER__LINE_PLAN,
    METER__LINE_DAILY /* requests or tokens a day */
};
struct meter__line {
    enum meter__line_kind kind;
    enum weir_window window;
    bool hard;
    bool tell_exceeded; /* the control thread is to tell */
    uint8_t told_percent;
    enum weir_on_exceeded on_exceeded;
    struct meter__definition *definition; /* of a BUDGET */
    const struct weir_zone *zone;
    int64_t wait_ms;
    int64_t limit;
    struct meter__raise *raises;
    size_t raise_count;
    /* what holds at times in [from, until): the limit with its raises */
    int64_t limit_now, limit_from_utc_us, limit_until_utc_us;
    /* the pot of times in [from, until) */
    int64_t from_utc_us, until_utc_us;
    struct meter__pot *pot;
    int64_t told_from_utc_us, exceeded_from_utc_us; /* the period that was told of; -1: none */
};

struct meter__subject;
struct meter__account {
    struct meter__lock lock;
    struct weir_meter *meter;
    struct meter__subject *subject;
    enum weir_spend_unit unit;
    bool queued;
    struct meter__line *lines;
    size_t line_count;
    struct meter__pot *pots;
    struct meter__account *next_queued;
    struct weir_list link; /* in meter->accounts */
};

/* Of a key's rules, as the last binding of it had them. */
struct meter__own {
    int64_t cu_milli[METER_KEY_WINDOWS]; /* day, month, total; -1: none */
    int64_t requests_per_day, tokens_per_day;
};

enum meter__state {
    METER__PER_SECOND,
    METER__PER_MINUTE,
    METER__TOKENS,
    METER__REQUESTS,
    METER__STREAMS,
    METER__STATES
};
struct meter__subject {
    struct weir_list idle; /* in meter->idle while nobody is bound to it */
    int64_t idle_ns;       /* since when */
    struct meter__account *accounts[METER_UNITS];
    struct meter__own *own;
    _Atomic int64_t states
        [METER__STATES]; /* of token buckets: the time at which they are full again; counts of what is under way */
    unsigned refs;       /* of bindings; under meter->lock */
    uint16_t key_length;
    char key[]; /* scope, id */
};

/* A limit by the second, minute or at once, as it is for one binding. */
struct meter__rate {
    _Atomic int64_t *state;
    int64_t limit;       /* as defined, for all instances; shown */
    int64_t most;        /* at once: what the bucket holds, or how many may be under way, here */
    int64_t each_ticks;  /* what one request or token takes of a bucket */
    int64_t burst_ticks; /* what the bucket holds */
    int64_t share_ticks; /* a thousandth of it, or so */
    int64_t span_ticks;  /* in which `limit` come back here */
    uint8_t kind;        /* enum weir_limit */
    uint8_t scope;
};

struct weir_meter_binding {
    struct weir_meter *meter;
    _Atomic uint32_t refs;
    uint8_t subject_count, account_count, rate_count, shard;
    bool hard, tokens;
    struct meter__rate *rates;
    struct meter__account **accounts; /* by address */
    struct meter__subject *subjects[];
};

/* Something to tell, on its way to the control thread. */
struct meter__event {
    struct meter__event *next;
    struct weir_meter_event event; /* spans into `text` */
    char text[];
};

/* How often a key was refused. */
struct meter__refusals {
    int64_t minute;
    int64_t count;  /* in this minute */
    int64_t streak; /* minutes on end with too many */
    bool told;
    size_t key_length;
    char key[];
};

struct meter__flight; /* questions, and their answers */

struct meter__shard {
    _Alignas(64) _Atomic int64_t holds;
    _Atomic int64_t concurrent;
};

struct weir_meter {
    struct weir_meter_settings settings;
    struct meter__outside outside;
    struct meter__world *world; /* of the server; NULL in tests */
    void (*on_room)(void *context);
    void *on_room_context;
    void (*on_event)(void *context, const struct weir_meter_event *event);
    void *on_event_context;
    _Atomic uint64_t generation;
    _Atomic uint64_t sequence; /* of pots */
    _Atomic uint64_t epoch;
    _Atomic uint32_t instances;
    _Atomic bool draining;
    _Atomic bool room_came; /* holds ended that somebody waits for */
    _Atomic uint64_t refused, waits, bindings;
    struct meter__shard shards[METER_SHARDS];

    pthread_mutex_t lock; /* of all to the next blank line */
    struct weir_map *subjects;
    struct weir_list idle;
    struct weir_list accounts;
    size_t account_count;
    struct weir_map *definitions, *targets, *workspaces;
    struct weir_plan *plans;
    size_t plan_count;
    struct weir_arena *plan_arena;
    uint8_t next_shard;

    pthread_mutex_t queue_lock; /* of all to the next blank line */
    struct meter__account *asking;
    struct meter__event *events, **events_end;
    size_t event_count;
    struct weir_map *refusals;

    /* the control thread's */
    struct weir_zones *zones;
    struct meter__flight *flight;
    int64_t epoch_ns, not_before_ns;
    _Atomic uint64_t questions;
};

/* --- meter.c --- */
WEIR_MUST enum weir_status meter__new(const struct weir_meter_settings *settings, const struct meter__outside *outside,
                                      struct weir_meter **meter, struct weir_error *error);
/* control: what is due: questions, what was freed, events, and now and then the books. */
void meter__turn(struct weir_meter *meter);
/* Something waits for the next turn besides time. */
bool meter__is_pressed(struct weir_meter *meter);

static inline void meter__wake(struct weir_meter *meter) {
    meter->outside.wake(meter->outside.context);
}
static inline enum weir_scope meter__scope(const struct meter__subject *subject) {
    return (enum weir_scope)subject->key[0];
}
static inline struct weir_span meter__id(const struct meter__subject *subject) {
    return weir_span_of(subject->key + 1, (size_t)subject->key_length - 1);
}
static inline void meter__binding_ref(struct weir_meter_binding *binding) {
    atomic_fetch_add_explicit(&binding->refs, 1, memory_order_relaxed);
}

/* --- meter_known.c: under meter->lock --- */
const struct meter__target *meter__target(const struct weir_meter *meter, enum weir_scope scope, struct weir_span id);
/* Raises of a budget by its id; NULL: none. */
const struct meter__target *meter__raises(const struct weir_meter *meter, struct weir_span budget);
const struct weir_plan *meter__plan_of(const struct weir_meter *meter, struct weir_span workspace);
/* What the credits of a workspace add to what its plan includes, and until when that is known. */
int64_t meter__credits_of(const struct weir_meter *meter, struct weir_span workspace, int64_t *until_utc_us);
void meter__definition_unref(struct meter__definition *definition);
void meter__known_release(struct weir_meter *meter);

/* --- meter_lines.c: which budgets hold for a subject --- */
/* Makes, changes or leaves alone the accounts of a subject, so that they have the lines that are due. Under meter->lock. */
WEIR_MUST enum weir_status meter__accounts_build(struct weir_meter *meter, struct meter__subject *subject);
void meter__account_free(struct weir_meter *meter, struct meter__account *account);
/* The id of a line's budget, cut to `size`; "" for a daily limit. Under the account's lock. */
void meter__line_id(const struct meter__account *account, const struct meter__line *line, char *out, size_t size);

/* --- buckets.c --- */
/* A rate of a subject for a binding: what `instances` make of it. `most`: at once. */
void meter__rate_init(struct meter__rate *rate, struct meter__subject *subject, enum weir_limit kind, int64_t limit,
                      int64_t most, uint32_t instances);

/* --- budgets.c: under the account's lock --- */
int64_t meter__line_limit(struct meter__line *line, int64_t utc_us);
/* Whether lines refuse by the pot, and the lowest limit of those; INT64_MAX: none. */
int64_t meter__pot_limit(struct meter__account *account, const struct meter__pot *pot, int64_t utc_us, bool *hard);
/* Where it was only looked on by so far, what is under way was taken from nothing that was granted, and the books do not tell it from what comes: they are uncertain. */
static inline void meter__pot_set_hard(struct meter__pot *pot, bool hard) {
    pot->uncertain = pot->uncertain || (hard && !pot->hard && pot->known);
    pot->hard = hard;
}
/* Where another epoch has begun, its sums move on. */
void meter__pot_age(struct meter__pot *pot, uint64_t epoch);

/* --- leases.c --- */
/* The account has something for the control thread. True: nobody had said so, and it is to be woken. Under the account's lock. */
bool meter__queue(struct weir_meter *meter, struct meter__account *account);
/* control */
void meter__ask(struct weir_meter *meter, int64_t now_ns);
/* control: gives back what was not needed, lets go of what is over; and of what nobody is bound to. */
void meter__keep_books(struct weir_meter *meter, int64_t now_ns);
WEIR_MUST enum weir_status meter__flight_init(struct weir_meter *meter);
void meter__flight_release(struct weir_meter *meter);

/* --- meter_events.c --- */
/* What is to be told of an account's lines, for the next delivery. Under the account's lock. */
void meter__watch(struct weir_meter *meter, struct meter__account *account, int64_t utc_us);
/* control */
void meter__tell(struct weir_meter *meter);
void meter__forget_refusals(struct weir_meter *meter, int64_t now_ns);
void meter__events_release(struct weir_meter *meter);

#endif

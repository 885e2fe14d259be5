/* Budgets and limits, as operators see and change them: what one may be, how it stands, raises. Written once, for the operations of the plane and for
 * `weir budget` and `weir limit`.
 *
 * What was spent is asked of the store anew each time (store/spend.h): nothing here counts. A change is a few steps inside a transaction of the caller, who also
 * writes the audit entry. A budget is an object of the store, or follows from a key's rules or a workspace's plan (meter/definitions.h): the latter is
 * changed where it comes from, and can be raised and reset as any other.
 */
#ifndef WEIR_OPERATOR_BUDGET_CHANGES_H
#define WEIR_OPERATOR_BUDGET_CHANGES_H

#include "base/arena.h"
#include "base/reasons.h"
#include "json/write.h"
#include "meter/definitions.h"
#include "store/store.h"

struct yyjson_val;

#define WEIR_BUDGET_MOST INT64_C(9007199254740991) /* milli-CU: what every reader of JSON can hold exactly */
#define WEIR_RAISE_LONGEST_US (INT64_C(366) * 86400 * 1000000)

/* Who works, with what. After a failure `reason`, `field` and `error` say why; the reason is NONE where the store failed, which has given the status
 * and `error`. */
struct weir_budget_work {
    const struct weir_engine_ops *store;
    struct weir_engine *engine;
    struct weir_arena *arena; /* all that is given out lives here */
    struct weir_zones *zones; /* of weir_budget_work_open */
    int64_t now_utc_us;
    enum weir_reason reason;
    char field[64]; /* "": none */
    struct weir_error error;
};
/* Opens what it needs besides, which goes with the arena. */
WEIR_MUST enum weir_status weir_budget_work_open(struct weir_budget_work *work);

/* --- what one may be --- */
/* The canonical text of the budget or limit that `fields` say (an object of the schema's form), checked: names, windows, percents, and, where `scope_is_new`, whether what
 * it is about is there. Of a key it holds the id of the first one of its chain of rotations. */
WEIR_MUST enum weir_status weir_budget_text(struct weir_budget_work *work, struct weir_span id,
                                            struct yyjson_val *fields, bool scope_is_new, struct weir_span *text);
WEIR_MUST enum weir_status weir_limit_text(struct weir_budget_work *work, struct weir_span id,
                                           struct yyjson_val *fields, bool scope_is_new, struct weir_span *text);
/* Makes a definition (an empty id) or changes it, inside the caller's transaction: `patch` is a JSON merge patch (RFC 7396) to what is there. `kind`: a
 * budget or a limit. Gives the object as it is now, and its text as it was (empty: it is new). NOT_THERE. */
WEIR_MUST enum weir_status weir_definition_save(struct weir_budget_work *work, struct weir_random *random,
                                                enum weir_object_kind kind, struct weir_span id, struct weir_span patch,
                                                struct weir_object *object, struct weir_span *before);
/* The members of a limit as the plane shows it, into an open object. */
void weir_limit_write(struct weir_json_writer *writer, struct weir_arena *arena, const struct weir_object *object);
/* What is odd about a scope: words in the arena, "" for nothing. The object is not there (any more), or is not in the live revision. */
WEIR_MUST enum weir_status weir_scope_oddity(struct weir_budget_work *work, enum weir_scope scope, struct weir_span id,
                                             struct weir_span *words);
/* Whether it belongs to the workspace: it, a team, a user or a key of it. */
WEIR_MUST enum weir_status weir_scope_is_of(struct weir_budget_work *work, enum weir_scope scope, struct weir_span id,
                                            struct weir_span workspace, bool *is);

/* --- which one, and how it stands --- */
struct weir_budget_found {
    struct weir_budget budget;
    bool implicit;
    struct weir_object object; /* of an implicit one all zero */
};
/* Any budget by its id. Fails with NOT_THERE. */
WEIR_MUST enum weir_status weir_budget_find(struct weir_budget_work *work, struct weir_span id,
                                            struct weir_budget_found *found);
/* The one of an object; its texts are copied. */
WEIR_MUST enum weir_status weir_budget_of_object(struct weir_budget_work *work, const struct weir_object *object,
                                                 struct weir_budget_found *found);
/* Those that follow from a key's rules or a workspace's plan; `found` has room for three. NOT_THERE where there is no such key or workspace. */
enum { WEIR_BUDGETS_IMPLICIT = 3 };
WEIR_MUST enum weir_status weir_budget_implicit(struct weir_budget_work *work, enum weir_scope scope,
                                                struct weir_span id, struct weir_budget_found *found, size_t *count);

/* One that is read, with what else is known of it. */
struct weir_raise_found {
    struct weir_raise raise;
    int64_t created_utc_us;
};
struct weir_budget_standing {
    bool is_known;       /* whose use is told is known; else nothing of what is spent */
    struct weir_span of; /* whose; empty of a global budget */
    struct weir_period period;
    int64_t spent, reset, used, held; /* milli-CU; used: spent without reset */
    int64_t limit, remaining;         /* the limit with raises and top-ups */
    int64_t percent;
    const char *status; /* "ok", "warning", "exceeded" */
    struct weir_raise_found *raises;
    size_t raise_count; /* in effect */
};
/* How several stand, of one moment. `of`: whose use is told of those that are for each; empty: nobody's. */
WEIR_MUST enum weir_status weir_budgets_stand(struct weir_budget_work *work, const struct weir_budget_found *found,
                                              size_t count, struct weir_span of,
                                              struct weir_budget_standing *standings);
/* `of` as a client gives it: the id of the counter that it means, of the budget's scope. */
WEIR_MUST enum weir_status weir_budget_of(struct weir_budget_work *work, const struct weir_budget_found *found,
                                          struct weir_span asked, struct weir_span *of);

/* The members of a budget that tell how it stands, into an open object; after these come created_at, updated_at and version. */
void weir_budget_write_state(struct weir_json_writer *writer, const struct weir_budget_found *found,
                             const struct weir_budget_standing *standing, int64_t now_utc_us);
/* A whole budget as the plane shows it. `oddity`: of weir_scope_oddity; NULL leaves warnings out. */
void weir_budget_write(struct weir_json_writer *writer, const struct weir_budget_found *found,
                       const struct weir_budget_standing *standing, const struct weir_span *oddity, int64_t now_utc_us);

/* --- raises --- */
struct weir_raise_wish {
    struct weir_span
        of; /* of weir_budget_of: for this one alone; empty: for the budget, or each of those that it is for */
    struct weir_span kind; /* "raise", "top_up" */
    int64_t amount_cu_milli;
    int64_t until_utc_us; /* 0: not given */
    struct weir_span reason;
};
/* Makes it, inside the caller's transaction. */
WEIR_MUST enum weir_status weir_budget_raise(struct weir_budget_work *work, struct weir_random *random,
                                             const struct weir_budget_found *found, const struct weir_raise_wish *wish,
                                             struct weir_raise_found *raise, struct weir_span *text);
/* What was spent in the present period counts no more. */
WEIR_MUST enum weir_status weir_budget_reset(struct weir_budget_work *work, struct weir_random *random,
                                             const struct weir_budget_found *found, struct weir_span of,
                                             struct weir_span reason, struct weir_raise_found *raise,
                                             struct weir_span *text);
/* What raises belong to: the budget, or one alone of those that it is for ("bud_…/key_…"). */
WEIR_MUST enum weir_status weir_raise_parent(struct weir_budget_work *work, const struct weir_budget_found *found,
                                             struct weir_span of, struct weir_span *parent);
/* A raise of an object; its texts are copied. */
WEIR_MUST enum weir_status weir_raise_of_object(struct weir_budget_work *work, const struct weir_object *object,
                                                struct weir_raise_found *raise);
void weir_raise_write(struct weir_json_writer *writer, const struct weir_raise_found *raise, int64_t now_utc_us);
/* "90m", "12h", "7d" as microseconds; 0: it is none. */
int64_t weir_duration_read(struct weir_span text);

/* --- how long it will last --- */
struct weir_forecast_case {
    bool lasts;
    int64_t exhausted_utc_us;                      /* where it does not last */
    int64_t days;                                  /* whole ones until then */
    int64_t projected_cu_milli, headroom_cu_milli; /* at the period's end; of one without an end 0 */
};
struct weir_forecast {
    int64_t day_rate, week_rate;           /* milli-CU a day: of the last 24 hours, of the last 7 days */
    bool has_end;                          /* the period has one, or moves on */
    struct weir_forecast_case once, twice; /* at day_rate, and at twice that */
};
WEIR_MUST enum weir_status weir_budget_forecast(struct weir_budget_work *work, const struct weir_budget_found *found,
                                                const struct weir_budget_standing *standing,
                                                struct weir_forecast *forecast);
void weir_forecast_write(struct weir_json_writer *writer, const struct weir_budget_found *found,
                         const struct weir_budget_standing *standing, const struct weir_forecast *forecast,
                         int64_t now_utc_us);

#endif

/* What operators say about how much may be used: the texts of budgets, limits and raises (store/objects.h) as plain data.
 *
 *   budget  {"name":"…","scope":"key","scope_id":"key_…","window":"month","zone":"Europe/Berlin","limit_cu_milli":N,"enforcement":"hard",
 *            "on_exceeded":"refuse","wait_ms":2000,"alert_percents":[50,80,95,100],"active":true}
 *   limit   {"name":"…","scope":"user","scope_id":"default/usr_…","requests_per_minute":N,…,"burst_percent":100,"active":true}
 *   raise   {"kind":"raise","amount_cu_milli":N,"from_at":"…","until_at":"…","reason":"…"}     parent: the budget's id
 *
 * scope_id "*" means each of that scope: every key (or team, …) has a counter of its own. A budget that is soft never refuses: it only tells.
 *
 * Besides the budgets that are objects there are those that follow from something else. They have ids, too, so that they can be raised:
 *   key:<family>:day, key:<family>:month, key:<family>:total   the limits of a key's rules (calendar windows, UTC)
 *   plan:<workspace>                                           what the workspace's plan includes a month, and its credits
 */
#ifndef WEIR_METER_DEFINITIONS_H
#define WEIR_METER_DEFINITIONS_H

#include "base/arena.h"
#include "meter/windows.h"
#include "store/spend.h"

enum weir_limit {
    WEIR_LIMIT_REQUESTS_PER_SECOND,
    WEIR_LIMIT_REQUESTS_PER_MINUTE,
    WEIR_LIMIT_REQUESTS_PER_DAY, /* calendar day, UTC: a counter in the store, not forgotten by a restart */
    WEIR_LIMIT_TOKENS_PER_MINUTE,
    WEIR_LIMIT_TOKENS_PER_DAY, /* as above */
    WEIR_LIMIT_CONCURRENT_REQUESTS,
    WEIR_LIMIT_CONCURRENT_STREAMS,
    WEIR_LIMIT_COUNT
};
const char *weir_limit_name(enum weir_limit limit); /* "requests_per_second", … */

struct weir_limits {
    int64_t at[WEIR_LIMIT_COUNT]; /* -1: none */
    int64_t burst_percent;        /* of what a second's or a minute's limit is: that much may come at once; 100 */
};

enum weir_on_exceeded { WEIR_ON_EXCEEDED_REFUSE = 0, WEIR_ON_EXCEEDED_CLAMP, WEIR_ON_EXCEEDED_WAIT };

enum { WEIR_BUDGET_ALERTS = 8 };
struct weir_budget {
    struct weir_span id, name;
    enum weir_scope scope;
    struct weir_span scope_id; /* "*": each */
    enum weir_window window;
    struct weir_span zone; /* "UTC" */
    int64_t limit_cu_milli;
    bool hard, active;
    enum weir_on_exceeded on_exceeded;
    int64_t wait_ms; /* for WAIT: 0 to 30,000 */
    size_t alert_count;
    uint8_t alert_percents[WEIR_BUDGET_ALERTS]; /* 1 to 100, rising */
};
struct weir_limit_definition {
    struct weir_span id, name;
    enum weir_scope scope;
    struct weir_span scope_id;
    struct weir_limits limits;
    bool active;
};
struct weir_raise {
    struct weir_span id, budget;
    struct weir_span
        kind; /* "raise": the limit is higher for a time; "top_up": more for this period; "reset": what was spent in it counts no more */
    int64_t amount_cu_milli;
    int64_t from_utc_us, until_utc_us;
    struct weir_span reason;
};

/* Texts point into the arena. Members that are absent have the values shown above (scope_id "", zone "UTC", enforcement "hard"). WEIR_EINVAL: error->text
 * begins with the member that is wrong. */
WEIR_MUST enum weir_status weir_budget_read(struct weir_arena *arena, struct weir_span id, struct weir_span text,
                                            struct weir_budget *budget, struct weir_error *error);
WEIR_MUST enum weir_status weir_limit_read(struct weir_arena *arena, struct weir_span id, struct weir_span text,
                                           struct weir_limit_definition *limit, struct weir_error *error);
WEIR_MUST enum weir_status weir_raise_read(struct weir_arena *arena, struct weir_span id, struct weir_span budget,
                                           struct weir_span text, struct weir_raise *raise, struct weir_error *error);

#endif

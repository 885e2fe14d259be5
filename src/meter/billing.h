/* Accounts, purchases and plans of workspaces: what the data plane, the operator plane, the command line and the periodic work do with them.
 *
 * An account holds credits: what was bought or given, and how much of it was used up. Every change of it is an entry that never changes; the account is
 * their sum. A purchase is a wish for credits; it becomes an entry once somebody says that it was paid: an operator, or the payment system's
 * signed word. Money itself never passes through here, and no card data ever does.
 *
 * All functions run inside a transaction that the caller has opened, on the engine of the turn. What cannot be done is a reason in the turn and leaves
 * nothing written; a status other than WEIR_OK is the store's failure. Each change is told to the caller's trail in the same transaction.
 */
#ifndef WEIR_METER_BILLING_H
#define WEIR_METER_BILLING_H

#include "base/arena.h"
#include "base/reasons.h"
#include "config/revision.h"
#include "json/write.h"
#include "store/store.h"

enum { WEIR_BILLING_DETAIL_BYTES = 300, WEIR_BILLING_NOTE_BYTES = 64 * 1024 };
#define WEIR_BILLING_MOST_CU_MILLI \
    ((int64_t)1000000000000000000) /* an account holds, or an entry moves: 10^18, a thousand million dollars */

/* What the audit trail is to say of a change. */
struct weir_billing_note {
    const char *action;        /* "purchases.approve" */
    const char *resource_type; /* "purchase" */
    struct weir_span resource_id, workspace;
    struct weir_span before, after; /* JSON objects, or empty */
};

struct weir_billing_turn {
    const struct weir_engine_ops *ops;
    struct weir_engine *engine;
    struct weir_arena *arena;
    int64_t now_utc_us;
    struct weir_span actor; /* who asks, as it is kept with what he asks for: "key_…", an operator's name */
    enum weir_status (*note)(void *context, const struct weir_billing_note *note, struct weir_error *error);
    void *context;
    struct weir_error *error;
    /* why it cannot be done; NONE: it was done */
    enum weir_reason reason;
    const char *field;
    char detail[WEIR_BILLING_DETAIL_BYTES];
};

/* --- accounts --- */
struct weir_account {
    bool exists;
    uint64_t version;
    int64_t credits_cu_milli, consumed_cu_milli; /* all that came, and what of it was used up in months that are over */
    int64_t created_utc_us;
    struct weir_span closed_month; /* the last month that is in `consumed`: "2026-10"; empty: none */
};
static inline int64_t weir_account_left(const struct weir_account *account) {
    int64_t left = account->credits_cu_milli - account->consumed_cu_milli;
    return left > 0 ? left : 0;
}
/* One without any entry is all zero. */
WEIR_MUST enum weir_status weir_account_get(struct weir_billing_turn *turn, struct weir_span workspace,
                                            struct weir_account *account);

struct weir_account_entry {
    struct weir_span id, workspace;
    struct weir_span kind; /* "purchase", "adjustment", "month_close" */
    int64_t amount_cu_milli, balance_after_cu_milli;
    struct weir_span purchase, month, reason, actor; /* empty: none */
    int64_t used_cu_milli, included_cu_milli;        /* of a month's close; -1: another kind */
    int64_t created_utc_us, number;
};
/* Reads the text of an object of that kind. WEIR_ECORRUPT. */
WEIR_MUST enum weir_status weir_account_entry_read(struct weir_arena *arena, const struct weir_object *object,
                                                   struct weir_account_entry *entry);
void weir_account_entry_write(struct weir_json_writer *writer, const struct weir_account_entry *entry);
/* An operator gives or takes credits; the balance may not fall below 0. */
WEIR_MUST enum weir_status weir_account_adjust(struct weir_billing_turn *turn, struct weir_span workspace,
                                               int64_t amount_cu_milli, struct weir_span reason,
                                               struct weir_account_entry *entry);

/* How a workspace stands now. */
struct weir_balance {
    struct weir_span workspace, plan, plan_next; /* empty: none */
    int64_t plan_next_utc_us;
    bool has_plan, overage;
    int64_t included_cu_milli;     /* a month; -1: as much as is used */
    int64_t used_cu_milli;         /* in this month, as far as it is in the ledger */
    int64_t credits_cu_milli;      /* left at the month's beginning */
    int64_t credits_used_cu_milli; /* of these by what this month's use is above what is included */
    int64_t remaining_cu_milli;    /* included and credits less what was used; -1: nothing limits it */
    int64_t price_cu_milli;        /* the plan's, a month; -1: it is not said */
    int64_t requests_per_second;   /* -1: no limit */
    struct weir_span plan_name;
    int64_t period_from_utc_us, reset_utc_us;
};
WEIR_MUST enum weir_status weir_balance_read(struct weir_billing_turn *turn, struct weir_span workspace,
                                             struct weir_balance *balance);
/* As an object; the plan alone with what is scheduled, or the money. */
void weir_balance_write(struct weir_json_writer *writer, const struct weir_balance *balance);
void weir_balance_write_plan(struct weir_json_writer *writer, const struct weir_balance *balance);

/* --- purchases --- */
enum weir_purchase_state {
    WEIR_PURCHASE_PENDING = 0,
    WEIR_PURCHASE_APPROVED, /* credited */
    WEIR_PURCHASE_REJECTED,
    WEIR_PURCHASE_EXPIRED, /* it was pending for too long */
    WEIR_PURCHASE_STATE_COUNT
};
const char *weir_purchase_state_name(enum weir_purchase_state state);

struct weir_purchase {
    struct weir_span id, workspace;
    enum weir_purchase_state state; /* at the turn's time */
    int64_t cu_milli;
    struct weir_span reference, metadata; /* the caller's words; metadata is a JSON object, "{}" */
    struct weir_span payment;             /* "manual" or "webhook": who says that it was paid */
    struct weir_span payment_url;         /* empty: none */
    struct weir_span requested_by, decided_by, reason, event, entry;
    int64_t created_utc_us, expires_utc_us, decided_utc_us;
    int64_t number;
    uint64_t version;
};
/* Reads the text of an object of that kind as it is at that time. WEIR_ECORRUPT. */
WEIR_MUST enum weir_status weir_purchase_read(struct weir_arena *arena, const struct weir_object *object,
                                              int64_t now_utc_us, struct weir_purchase *purchase);
void weir_purchase_write(struct weir_json_writer *writer, const struct weir_purchase *purchase);

struct weir_purchase_wish {
    struct weir_span workspace;
    int64_t cu_milli;
    struct weir_span reference, metadata; /* a JSON object, or empty */
    const char *payment;
    struct weir_span payment_url; /* a template: {purchase}, {workspace} and {cu_milli} are put in; empty: none */
    int64_t expires_utc_us;
    int64_t max_cu_milli;
};
WEIR_MUST enum weir_status weir_purchase_create(struct weir_billing_turn *turn, const struct weir_purchase_wish *wish,
                                                struct weir_purchase *purchase);
/* OBJECT_NOT_FOUND. `workspace` empty: whosever it is. */
WEIR_MUST enum weir_status weir_purchase_get(struct weir_billing_turn *turn, struct weir_span workspace,
                                             struct weir_span id, struct weir_purchase *purchase);
/* It was paid: the credits are there. `event`: the payment system's own id of its word, or empty. The same again changes nothing: *credited is false
 * then. STATE_CONFLICT: it was rejected, or (without an event) it has expired. */
WEIR_MUST enum weir_status weir_purchase_approve(struct weir_billing_turn *turn, struct weir_span id,
                                                 struct weir_span event, struct weir_purchase *purchase,
                                                 bool *credited);
/* It was not, and will not be. STATE_CONFLICT: it was approved. */
WEIR_MUST enum weir_status weir_purchase_reject(struct weir_billing_turn *turn, struct weir_span id,
                                                struct weir_span reason, struct weir_span event,
                                                struct weir_purchase *purchase);

/* --- plans --- */
enum weir_plan_change { WEIR_PLAN_UPGRADE, WEIR_PLAN_DOWNGRADE, WEIR_PLAN_CANCEL_DOWNGRADE };
/* An upgrade is in effect at once; a downgrade from the next month on, until it is cancelled. PLAN_CHANGE_REFUSED, FIELD_INVALID. *balance is how it stands
 * then. Months that are over are closed first and a downgrade that is due is made, also where the change itself is refused. */
WEIR_MUST enum weir_status weir_plan_change(struct weir_billing_turn *turn, enum weir_plan_change change,
                                            struct weir_span workspace, struct weir_span plan,
                                            struct weir_balance *balance);

/* Closes the months that are over. Before another hand changes the plan: they were months of the one that held in them. OBJECT_NOT_FOUND. */
WEIR_MUST enum weir_status weir_account_close_months(struct weir_billing_turn *turn, struct weir_span workspace);

/* --- periodic work --- */
/* Looks at up to `limit` workspaces behind *cursor (0: from the start): closes months that are over, puts right what late entries have changed of the last
 * ones, and changes plans whose time has come. *cursor is where it came to; 0 again when all were seen. Opens its own transactions. A workspace whose texts
 * cannot be read, or whose month was corrected too often, is told of in what is returned (WEIR_ECORRUPT, WEIR_ELIMIT) and holds up none of the others. */
WEIR_MUST enum weir_status weir_billing_sweep(struct weir_billing_turn *turn, size_t limit, int64_t *cursor,
                                              size_t *changes);

#endif

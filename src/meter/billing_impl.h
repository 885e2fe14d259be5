/* What the files of billing share: texts of objects, and how a turn ends. */
#ifndef WEIR_METER_BILLING_IMPL_H
#define WEIR_METER_BILLING_IMPL_H

#include "meter/billing.h"

#include <yyjson.h>

enum { METER__ID_SIZE = 24, METER__MONTH_SIZE = 8 };

/* Notes why it cannot be done; gives WEIR_OK, for the store has not failed. */
enum weir_status meter__refuse(struct weir_billing_turn *turn, enum weir_reason reason, const char *field,
                               const char *format, ...) WEIR_PRINTF(4, 5);
enum weir_status meter__no_memory(struct weir_billing_turn *turn);
WEIR_MUST enum weir_status meter__note(struct weir_billing_turn *turn, const char *action, const char *resource_type,
                                       struct weir_span id, struct weir_span workspace, struct weir_span before,
                                       struct weir_span after);
/* "pur_" and 16 digits, in the arena; empty without memory. */
struct weir_span meter__new_id(struct weir_billing_turn *turn, const char *prefix);

/* --- JSON texts of objects --- */
/* NULL: it is no JSON object, or there is no memory. */
yyjson_val *meter__json(struct weir_arena *arena, struct weir_span text);
struct weir_span meter__text(yyjson_val *object, const char *name); /* empty: absent, or no text */
int64_t meter__integer(yyjson_val *object, const char *name, int64_t otherwise);
/* A time as operators write it; 0: none. */
int64_t meter__time(yyjson_val *object, const char *name);
void meter__write_time(struct weir_json_writer *writer, const char *name, int64_t utc_us);        /* null for 0 */
void meter__write_text(struct weir_json_writer *writer, const char *name, struct weir_span text); /* null for "" */

/* Of two months ("2026-11"); any is later than an empty one. */
static inline bool meter__is_later(struct weir_span month, struct weir_span than) {
    if (month.length != than.length)
        return month.length > than.length;
    return memcmp(month.at, than.at, month.length) > 0;
}

/* --- billing_accounts.c --- */
/* Adds an entry and moves the account with it; `entry` says kind, amount and what it is about, and gets id, balance and time. */
WEIR_MUST enum weir_status meter__account_add(struct weir_billing_turn *turn, struct weir_span workspace,
                                              struct weir_account_entry *entry);
/* What a workspace has charged to it in [from, until). */
WEIR_MUST enum weir_status meter__spent(struct weir_billing_turn *turn, struct weir_span workspace, int64_t from_utc_us,
                                        int64_t until_utc_us, int64_t *spent);

/* --- billing_plans.c --- */
/* A workspace and its plan; `plan` is empty where it has none. OBJECT_NOT_FOUND where there is no such workspace, when it has to be there. */
struct meter__workspace {
    struct weir_object object;
    yyjson_val *fields;
    bool has_plan;
    struct weir_plan plan;
    struct weir_span plan_next;
    int64_t plan_next_utc_us;
};
WEIR_MUST enum weir_status meter__workspace_read(struct weir_billing_turn *turn, struct weir_span id,
                                                 struct meter__workspace *workspace);
/* The scheduled change whose time has come, made; *changed. */
WEIR_MUST enum weir_status meter__plan_apply(struct weir_billing_turn *turn, struct meter__workspace *workspace,
                                             bool *changed);

/* --- billing_months.c --- */
WEIR_MUST enum weir_status meter__close_months(struct weir_billing_turn *turn, const struct meter__workspace *workspace,
                                               size_t *changes);

#endif

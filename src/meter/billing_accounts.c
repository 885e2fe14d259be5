/* Accounts of credits: entries that never change, and their sum.
 *
 * An entry and what it makes of the account are written together. An entry of a purchase carries the purchase's id as its handle, and one of a month's close
 * the month in its id: the store's own rule that such names are unique stands behind "once", besides the state of the purchase.
 */
#include "meter/billing_impl.h"

#include "base/arithmetic.h"

enum { TEXT_MAX = WEIR_BILLING_NOTE_BYTES };
#define DAY_US ((int64_t)24 * 3600 * 1000000)

enum weir_status weir_account_get(struct weir_billing_turn *turn, struct weir_span workspace,
                                  struct weir_account *account) {
    struct weir_object object;
    *account = (struct weir_account){.exists = false};
    enum weir_status status = turn->ops->object_get(turn->engine, WEIR_OBJECT_ACCOUNT, WEIR_SPAN(""), workspace,
                                                    turn->arena, &object, turn->error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_OK;
    if (status != WEIR_OK)
        return status;
    yyjson_val *fields = meter__json(turn->arena, object.text);
    if (fields == NULL)
        return weir_fail(turn->error, WEIR_ECORRUPT, "the account of %.*s cannot be read", WEIR_SPAN_PRINT(workspace));
    *account = (struct weir_account){.exists = true,
                                     .version = object.version,
                                     .created_utc_us = object.created_utc_us,
                                     .credits_cu_milli = meter__integer(fields, "credits_cu_milli", 0),
                                     .consumed_cu_milli = meter__integer(fields, "consumed_cu_milli", 0),
                                     .closed_month = meter__text(fields, "closed_month")};
    return WEIR_OK;
}

/* The text of an account as it will be, in the arena. */
static struct weir_span account_text(struct weir_billing_turn *turn, const struct weir_account *account) {
    const char *text = weir_arena_format(
        turn->arena, "{\"credits_cu_milli\":%lld,\"consumed_cu_milli\":%lld,\"closed_month\":%s%.*s%s}",
        (long long)account->credits_cu_milli, (long long)account->consumed_cu_milli,
        account->closed_month.length > 0 ? "\"" : "",
        account->closed_month.length > 0 ? (int)account->closed_month.length : 4,
        account->closed_month.length > 0 ? account->closed_month.at : "null",
        account->closed_month.length > 0 ? "\"" : "");
    return weir_span_of_string(text);
}

static enum weir_status save_account(struct weir_billing_turn *turn, struct weir_span workspace,
                                     struct weir_account *account) {
    struct weir_object object = {.kind = WEIR_OBJECT_ACCOUNT,
                                 .id = workspace,
                                 .text = account_text(turn, account),
                                 .created_utc_us = turn->now_utc_us,
                                 .updated_utc_us = turn->now_utc_us};
    if (object.text.length == 0)
        return meter__no_memory(turn);
    enum weir_status status = account->exists
                                  ? turn->ops->object_update(turn->engine, &object, account->version, turn->error)
                                  : turn->ops->object_create(turn->engine, &object, turn->error);
    account->exists = true;
    account->version = object.version;
    return status;
}

static bool is_kind(const struct weir_account_entry *entry, const char *kind) {
    return weir_span_equal(entry->kind, weir_span_of_string(kind));
}

static enum weir_status write_entry(struct weir_billing_turn *turn, struct weir_account_entry *entry) {
    struct weir_json_writer writer;
    struct weir_buffer text;
    weir_buffer_init(&text, TEXT_MAX);
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "kind", entry->kind);
    weir_json_member_int64(&writer, "amount_cu_milli", entry->amount_cu_milli);
    weir_json_member_int64(&writer, "balance_after_cu_milli", entry->balance_after_cu_milli);
    meter__write_text(&writer, "purchase", entry->purchase);
    meter__write_text(&writer, "month", entry->month);
    meter__write_text(&writer, "reason", entry->reason);
    meter__write_text(&writer, "actor", entry->actor);
    if (is_kind(entry, "month_close")) {
        weir_json_member_int64(&writer, "used_cu_milli", entry->used_cu_milli);
        weir_json_member_int64(&writer, "included_cu_milli", entry->included_cu_milli);
    }
    weir_json_write_end(&writer);
    struct weir_object object = {.kind = WEIR_OBJECT_ACCOUNT_ENTRY,
                                 .parent = entry->workspace,
                                 .id = entry->id,
                                 .text = weir_buffer_span(&text),
                                 .created_utc_us = entry->created_utc_us};
    enum weir_status status = weir_buffer_status(&text);
    if (entry->purchase.length > 0)
        object.handle = weir_span_of_string(
            weir_arena_format(turn->arena, "purchase:%.*s", WEIR_SPAN_PRINT(entry->purchase)));
    if (status != WEIR_OK)
        status = meter__no_memory(turn);
    else
        status = turn->ops->object_create(turn->engine, &object, turn->error);
    entry->number = object.number;
    weir_buffer_release(&text);
    return status;
}

enum weir_status meter__account_add(struct weir_billing_turn *turn, struct weir_span workspace,
                                    struct weir_account_entry *entry) {
    struct weir_account account;
    enum weir_status status = weir_account_get(turn, workspace, &account);
    if (status != WEIR_OK)
        return status;
    bool is_close = is_kind(entry, "month_close");
    bool fits = is_close
                    ? weir_add_int64(account.consumed_cu_milli, -entry->amount_cu_milli, &account.consumed_cu_milli)
                    : weir_add_int64(account.credits_cu_milli, entry->amount_cu_milli, &account.credits_cu_milli);
    int64_t balance = 0;
    fits = fits && weir_add_int64(account.credits_cu_milli, -account.consumed_cu_milli, &balance) &&
           account.credits_cu_milli <= WEIR_BILLING_MOST_CU_MILLI;
    if (!fits)
        return meter__refuse(turn, WEIR_REASON_FIELD_INVALID, "amount_cu_milli",
                             "an account holds at most %lld milli-CU", (long long)WEIR_BILLING_MOST_CU_MILLI);
    if (is_kind(entry, "adjustment") && entry->amount_cu_milli < 0 && balance < 0)
        return meter__refuse(turn, WEIR_REASON_STATE_CONFLICT, NULL,
                             "the account has %lld milli-CU left, which is less than is to be taken",
                             (long long)(balance - entry->amount_cu_milli));
    if (is_close)
        account.closed_month = meter__is_later(entry->month, account.closed_month) ? entry->month
                                                                                   : account.closed_month;
    entry->workspace = workspace;
    entry->balance_after_cu_milli = balance;
    entry->created_utc_us = turn->now_utc_us;
    entry->actor = turn->actor;
    if (entry->id.length == 0)
        entry->id = meter__new_id(turn, "ent_");
    if (entry->id.length == 0)
        return meter__no_memory(turn);
    status = write_entry(turn, entry);
    return status == WEIR_OK ? save_account(turn, workspace, &account) : status;
}

enum weir_status weir_account_adjust(struct weir_billing_turn *turn, struct weir_span workspace,
                                     int64_t amount_cu_milli, struct weir_span reason,
                                     struct weir_account_entry *entry) {
    struct weir_json_writer writer;
    struct weir_buffer after;
    struct meter__workspace known;
    *entry = (struct weir_account_entry){.kind = WEIR_SPAN("adjustment"),
                                         .amount_cu_milli = amount_cu_milli,
                                         .reason = reason};
    if (amount_cu_milli == 0)
        return meter__refuse(turn, WEIR_REASON_FIELD_INVALID, "amount_cu_milli", "it is 0: there is nothing to do");
    if (amount_cu_milli < -WEIR_BILLING_MOST_CU_MILLI || amount_cu_milli > WEIR_BILLING_MOST_CU_MILLI)
        return meter__refuse(turn, WEIR_REASON_FIELD_INVALID, "amount_cu_milli", "at most %lld milli-CU are possible",
                             (long long)WEIR_BILLING_MOST_CU_MILLI);
    enum weir_status status = meter__workspace_read(turn, workspace, &known);
    if (status == WEIR_OK && turn->reason == WEIR_REASON_NONE)
        status = meter__account_add(turn, workspace, entry);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE)
        return status;
    weir_buffer_init(&after, TEXT_MAX);
    weir_json_writer_init(&writer, &after);
    weir_account_entry_write(&writer, entry);
    status = weir_buffer_status(&after);
    if (status == WEIR_OK)
        status = meter__note(turn, "accounts.adjust", "account", workspace, workspace, WEIR_SPAN(""),
                             weir_buffer_span(&after));
    weir_buffer_release(&after);
    return status;
}

enum weir_status weir_account_entry_read(struct weir_arena *arena, const struct weir_object *object,
                                         struct weir_account_entry *entry) {
    yyjson_val *fields = meter__json(arena, object->text);
    if (fields == NULL)
        return WEIR_ECORRUPT;
    *entry = (struct weir_account_entry){
        .kind = meter__text(fields, "kind"),
        .amount_cu_milli = meter__integer(fields, "amount_cu_milli", 0),
        .balance_after_cu_milli = meter__integer(fields, "balance_after_cu_milli", 0),
        .purchase = meter__text(fields, "purchase"),
        .month = meter__text(fields, "month"),
        .reason = meter__text(fields, "reason"),
        .actor = meter__text(fields, "actor"),
        .used_cu_milli = meter__integer(fields, "used_cu_milli", -1),
        .included_cu_milli = meter__integer(fields, "included_cu_milli", -1),
        .created_utc_us = object->created_utc_us,
        .number = object->number,
    };
    enum weir_status status = weir_arena_dup(arena, object->id, &entry->id);
    return status == WEIR_OK ? weir_arena_dup(arena, object->parent, &entry->workspace) : status;
}

void weir_account_entry_write(struct weir_json_writer *writer, const struct weir_account_entry *entry) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", entry->id);
    weir_json_member_string(writer, "workspace", entry->workspace);
    weir_json_member_string(writer, "kind", entry->kind);
    weir_json_member_int64(writer, "amount_cu_milli", entry->amount_cu_milli);
    weir_json_member_int64(writer, "balance_after_cu_milli", entry->balance_after_cu_milli);
    meter__write_text(writer, "purchase", entry->purchase);
    meter__write_text(writer, "month", entry->month);
    meter__write_text(writer, "reason", entry->reason);
    meter__write_text(writer, "actor", entry->actor);
    if (is_kind(entry, "month_close")) {
        weir_json_member_int64(writer, "used_cu_milli", entry->used_cu_milli);
        weir_json_member_int64(writer, "included_cu_milli", entry->included_cu_milli);
    }
    meter__write_time(writer, "created_at", entry->created_utc_us);
    weir_json_write_end(writer);
}

/* --- what was used --- */

static enum weir_status add_spent(void *context, const struct weir_spend *spend) {
    int64_t *sum = context;
    return weir_add_int64(*sum, spend->cu_milli, sum) ? WEIR_OK : WEIR_ELIMIT;
}

enum weir_status meter__spent(struct weir_billing_turn *turn, struct weir_span workspace, int64_t from_utc_us,
                              int64_t until_utc_us, int64_t *spent) {
    const struct weir_spend_counter counter = {.scope = WEIR_SCOPE_WORKSPACE,
                                               .id = workspace,
                                               .unit = WEIR_SPEND_CU_MILLI,
                                               .from_utc_us = from_utc_us,
                                               .until_utc_us = until_utc_us};
    *spent = 0;
    return turn->ops->spend_each(turn->engine, &counter, DAY_US, add_spent, spent, turn->error);
}

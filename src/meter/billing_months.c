/* The end of a month: what was used above the plan's included amount is taken from the credits, and scheduled plans come into effect.
 *
 * A month's close is an entry whose id names the month, so there is one. It keeps what had been used and what was included, and when more of that month
 * reaches the ledger afterwards (the journal of a process that died, read late), another entry takes the difference. No more is ever taken than is
 * there: a balance does not fall below 0 by it.
 */
#include "meter/billing_impl.h"

#include "base/clock.h"
#include "meter/windows.h"

enum { MOST_MONTHS = 24, MOST_CORRECTIONS = 100, MONTHS_LOOKED_BACK = 3 };

/* "2026-11" of any time in it. */
static struct weir_span month_name(struct weir_billing_turn *turn, int64_t utc_us) {
    char text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(utc_us, text);
    return weir_span_of_string(weir_arena_format(turn->arena, "%.7s", text));
}

static enum weir_status get_close(struct weir_billing_turn *turn, struct weir_span workspace, struct weir_span month,
                                  int number, struct weir_span *id, struct weir_account_entry *entry) {
    struct weir_object object;
    const char *name = number == 1 ? weir_arena_format(turn->arena, "close_%.*s", WEIR_SPAN_PRINT(month))
                                   : weir_arena_format(turn->arena, "close_%.*s_%d", WEIR_SPAN_PRINT(month), number);
    *id = weir_span_of_string(name);
    if (name == NULL)
        return meter__no_memory(turn);
    enum weir_status status = turn->ops->object_get(turn->engine, WEIR_OBJECT_ACCOUNT_ENTRY, workspace, *id,
                                                    turn->arena, &object, turn->error);
    return status == WEIR_OK ? weir_account_entry_read(turn->arena, &object, entry) : status;
}

/* What was taken for a month so far; its next entry's id. */
static enum weir_status last_close(struct weir_billing_turn *turn, struct weir_span workspace, struct weir_span month,
                                   bool *found, struct weir_account_entry *last, struct weir_span *next_id) {
    *found = false;
    for (int number = 1; number <= MOST_CORRECTIONS; number++) {
        struct weir_account_entry entry;
        enum weir_status status = get_close(turn, workspace, month, number, next_id, &entry);
        if (status == WEIR_ENOTFOUND)
            return WEIR_OK;
        if (status != WEIR_OK)
            return status;
        *found = true;
        *last = entry;
    }
    return weir_fail(turn->error, WEIR_ELIMIT, "a month was corrected too often");
}

static int64_t above(int64_t used, int64_t included) {
    return included >= 0 && used > included ? used - included : 0;
}

/* Closes a month, or takes what has come since it was closed. */
static enum weir_status close_month(struct weir_billing_turn *turn, const struct meter__workspace *workspace,
                                    const struct weir_period *month, size_t *changes) {
    struct weir_span name = month_name(turn, month->from_utc_us), id = workspace->object.id, entry_id;
    struct weir_account_entry last;
    struct weir_account account;
    bool found = false;
    int64_t used = 0;
    enum weir_status status = last_close(turn, id, name, &found, &last, &entry_id);
    if (status == WEIR_OK)
        status = meter__spent(turn, id, month->from_utc_us, month->until_utc_us, &used);
    if (status == WEIR_OK)
        status = weir_account_get(turn, id, &account);
    if (status != WEIR_OK || (found && used == last.used_cu_milli))
        return status;
    const struct weir_plan *plan = &workspace->plan;
    int64_t included = found                                   ? last.included_cu_milli
                       : workspace->has_plan && !plan->overage ? plan->cu_milli_per_month
                                                               : -1;
    int64_t due = above(used, included) - (found ? above(last.used_cu_milli, included) : 0);
    int64_t left = weir_account_left(&account);
    struct weir_account_entry entry = {.id = entry_id,
                                       .kind = WEIR_SPAN("month_close"),
                                       .amount_cu_milli = due <= 0 ? 0 : -(due < left ? due : left),
                                       .month = name,
                                       .used_cu_milli = used,
                                       .included_cu_milli = included};
    (*changes)++;
    status = meter__account_add(turn, id, &entry);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE || entry.amount_cu_milli == 0)
        return status;
    struct weir_json_writer writer;
    struct weir_buffer after;
    weir_buffer_init(&after, WEIR_BILLING_NOTE_BYTES);
    weir_json_writer_init(&writer, &after);
    weir_account_entry_write(&writer, &entry);
    status = weir_buffer_status(&after);
    if (status == WEIR_OK)
        status = meter__note(turn, "accounts.month_close", "account", id, id, WEIR_SPAN(""), weir_buffer_span(&after));
    weir_buffer_release(&after);
    return status;
}

/* Months from the first that is open, or a few before, to the last that is over. */
enum weir_status meter__close_months(struct weir_billing_turn *turn, const struct meter__workspace *workspace,
                                     size_t *changes) {
    struct weir_account account;
    struct weir_period months[MOST_MONTHS];
    size_t count = 0;
    enum weir_status status = weir_account_get(turn, workspace->object.id, &account);
    if (status != WEIR_OK || !account.exists)
        return status;
    struct weir_period month = weir_window_period(WEIR_WINDOW_MONTH, NULL, turn->now_utc_us);
    while (count < MOST_MONTHS) { /* back in time, the latest first */
        month = weir_window_period(WEIR_WINDOW_MONTH, NULL, month.from_utc_us - 1);
        bool is_closed = !meter__is_later(month_name(turn, month.from_utc_us), account.closed_month);
        if (month.until_utc_us <= account.created_utc_us || (is_closed && count >= MONTHS_LOOKED_BACK))
            break;
        months[count++] = month;
    }
    while (count > 0 && status == WEIR_OK && turn->reason == WEIR_REASON_NONE)
        status = close_month(turn, workspace, &months[--count], changes);
    return status;
}

enum weir_status weir_account_close_months(struct weir_billing_turn *turn, struct weir_span id) {
    struct meter__workspace workspace;
    size_t changes = 0;
    enum weir_status status = meter__workspace_read(turn, id, &workspace);
    return status == WEIR_OK && turn->reason == WEIR_REASON_NONE ? meter__close_months(turn, &workspace, &changes)
                                                                 : status;
}

/* --- all workspaces, a few at a time --- */

struct page {
    struct weir_arena *arena;
    struct weir_span *ids;
    size_t count;
    int64_t last;
};

static enum weir_status keep_id(void *context, const struct weir_object *object) {
    struct page *page = context;
    page->last = object->number;
    return weir_arena_dup(page->arena, object->id, &page->ids[page->count++]);
}

static enum weir_status sweep_one(struct weir_billing_turn *turn, struct weir_span id, size_t *changes) {
    struct meter__workspace workspace;
    bool changed = false;
    turn->reason = WEIR_REASON_NONE;
    enum weir_status status = turn->ops->work_begin(turn->engine, turn->error);
    if (status != WEIR_OK)
        return status;
    size_t made = 0;
    status = meter__workspace_read(turn, id, &workspace);
    if (status == WEIR_OK && turn->reason == WEIR_REASON_NONE)
        status = meter__close_months(turn, &workspace, &made);
    if (status == WEIR_OK && turn->reason == WEIR_REASON_NONE)
        status = meter__plan_apply(turn, &workspace, &changed);
    /* One that is gone, or an account that cannot take it, holds up none of the others; what it has written is undone. */
    bool is_refused = status == WEIR_OK && turn->reason != WEIR_REASON_NONE;
    enum weir_status ended = turn->ops->work_end(turn->engine, is_refused ? WEIR_END : status, turn->error);
    turn->reason = WEIR_REASON_NONE;
    if (is_refused)
        return WEIR_OK;
    *changes += status == WEIR_OK && ended == WEIR_OK ? made + changed : 0;
    return status == WEIR_OK ? ended : status;
}

enum weir_status weir_billing_sweep(struct weir_billing_turn *turn, size_t limit, int64_t *cursor, size_t *changes) {
    const struct weir_object_query query = {.kind = WEIR_OBJECT_WORKSPACE, .after_number = *cursor, .limit = limit};
    struct page page = {.arena = turn->arena, .ids = weir_arena_array(turn->arena, limit, sizeof *page.ids)};
    *changes = 0;
    if (page.ids == NULL)
        return meter__no_memory(turn);
    enum weir_status status = turn->ops->object_list(turn->engine, &query, keep_id, &page, turn->error);
    enum weir_status failed = WEIR_OK;
    for (size_t i = 0; i < page.count && status == WEIR_OK; i++) {
        status = sweep_one(turn, page.ids[i], changes);
        if (status == WEIR_ECORRUPT || status == WEIR_ELIMIT) { /* its own trouble */
            failed = status;
            status = WEIR_OK;
        }
    }
    if (status == WEIR_OK)
        *cursor = page.count == limit ? page.last : 0;
    return status == WEIR_OK ? failed : status;
}

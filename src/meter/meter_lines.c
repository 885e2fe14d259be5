/* Which budgets hold for a subject: its accounts get a line for each, made anew whenever a binding is made or a definition changes.
 *
 * What a line has told (thresholds, that it was exceeded) goes over to its successor; pots stay, and with them all that is held.
 */
#include "base/memory.h"
#include "meter/meter_impl.h"

#include <stdio.h>

enum { ID_BYTES = 700 };

/* Lines while they are gathered. */
struct gathering {
    struct weir_meter *meter;
    const struct meter__subject *subject;
    struct meter__line *lines;
    size_t count, room;
    enum weir_status status;
};

static const char *const key_windows[METER_KEY_WINDOWS] = {"day", "month", "total"};
static const enum weir_window windows[METER_KEY_WINDOWS] = {WEIR_WINDOW_DAY, WEIR_WINDOW_MONTH, WEIR_WINDOW_TOTAL};

void meter__line_id(const struct meter__account *account, const struct meter__line *line, char *out, size_t size) {
    struct weir_span id = meter__id(account->subject);
    out[0] = '\0';
    switch (line->kind) {
    case METER__LINE_BUDGET: (void)snprintf(out, size, "%.*s", WEIR_SPAN_PRINT(line->definition->is.budget.id)); break;
    case METER__LINE_KEY:
        (void)snprintf(out, size, "key:%.*s:%s", WEIR_SPAN_PRINT(id), weir_window_name(line->window));
        break;
    case METER__LINE_PLAN: (void)snprintf(out, size, "plan:%.*s", WEIR_SPAN_PRINT(id)); break;
    case METER__LINE_DAILY: break;
    }
}

static void lines_free(struct meter__line *lines, size_t count) {
    for (size_t i = 0; i < count; i++) {
        meter__definition_unref(lines[i].definition);
        weir_memory_free(lines[i].raises);
    }
    weir_memory_free(lines);
}

static struct meter__line *add_line(struct gathering *gathering, struct meter__line line) {
    if (gathering->status != WEIR_OK)
        return NULL;
    if (gathering->count == gathering->room) {
        size_t room = gathering->room * 2 + 2;
        struct meter__line *lines = weir_memory_resize(gathering->lines, room, sizeof *lines);
        if (lines == NULL) {
            gathering->status = WEIR_ENOMEM;
            return NULL;
        }
        gathering->lines = lines;
        gathering->room = room;
    }
    line.limit_from_utc_us = INT64_MAX; /* nothing is known to hold yet */
    line.told_from_utc_us = line.exceeded_from_utc_us = -1;
    if (line.definition != NULL)
        line.definition->refs++;
    gathering->lines[gathering->count] = line;
    return &gathering->lines[gathering->count++];
}

static bool add_raise(struct gathering *gathering, struct meter__line *line, const struct meter__raise *raise) {
    struct meter__raise *raises = weir_memory_resize(line->raises, line->raise_count + 1, sizeof *raises);
    if (raises == NULL) {
        gathering->status = WEIR_ENOMEM;
        return false;
    }
    line->raises = raises;
    raises[line->raise_count++] = *raise;
    return true;
}

static void add_raises(struct gathering *gathering, struct meter__line *line, struct weir_span budget) {
    const struct meter__target *target = meter__raises(gathering->meter, budget);
    if (line == NULL || target == NULL)
        return;
    for (const struct meter__definition *one = target->definitions; one != NULL; one = one->next) {
        const struct meter__raise raise = {.amount = one->is.raise.amount_cu_milli,
                                           .from_utc_us = one->is.raise.from_utc_us,
                                           .until_utc_us = one->is.raise.until_utc_us};
        if (!add_raise(gathering, line, &raise))
            return;
    }
}

static void add_budgets(struct gathering *gathering, struct weir_span scope_id) {
    const struct meter__target *target = meter__target(gathering->meter, meter__scope(gathering->subject), scope_id);
    for (struct meter__definition *one = target != NULL ? target->definitions : NULL; one != NULL; one = one->next) {
        if (one->kind != WEIR_OBJECT_BUDGET)
            continue;
        const struct weir_budget *budget = &one->is.budget;
        struct meter__line *line = add_line(gathering, (struct meter__line){.kind = METER__LINE_BUDGET,
                                                                            .window = budget->window,
                                                                            .hard = budget->hard,
                                                                            .on_exceeded = budget->on_exceeded,
                                                                            .definition = one,
                                                                            .zone = one->zone,
                                                                            .wait_ms = budget->wait_ms,
                                                                            .limit = budget->limit_cu_milli});
        add_raises(gathering, line, budget->id);
        if (weir_span_equal(budget->scope_id, WEIR_SPAN("*"))) {
            char id[ID_BYTES];
            int length = snprintf(id, sizeof id, "%.*s/%.*s", WEIR_SPAN_PRINT(budget->id),
                                  WEIR_SPAN_PRINT(meter__id(gathering->subject)));
            if (length > 0 && length < ID_BYTES)
                add_raises(gathering, line, weir_span_of(id, (size_t)length));
        }
    }
}

static void add_own(struct gathering *gathering) {
    const struct meter__own *own = gathering->subject->own;
    for (size_t i = 0; own != NULL && i < METER_KEY_WINDOWS; i++) {
        if (own->cu_milli[i] < 0)
            continue;
        char id[ID_BYTES];
        int length = snprintf(id, sizeof id, "key:%.*s:%s", WEIR_SPAN_PRINT(meter__id(gathering->subject)),
                              key_windows[i]);
        struct meter__line *line = add_line(gathering, (struct meter__line){.kind = METER__LINE_KEY,
                                                                            .window = windows[i],
                                                                            .hard = true,
                                                                            .limit = own->cu_milli[i]});
        if (length > 0 && length < ID_BYTES)
            add_raises(gathering, line, weir_span_of(id, (size_t)length));
    }
}

static void add_plan(struct gathering *gathering) {
    struct weir_span workspace = meter__id(gathering->subject);
    const struct weir_plan *plan = meter__plan_of(gathering->meter, workspace);
    if (plan == NULL || plan->cu_milli_per_month < 0)
        return;
    char id[ID_BYTES];
    int length = snprintf(id, sizeof id, "plan:%.*s", WEIR_SPAN_PRINT(workspace));
    struct meter__line *line = add_line(gathering, (struct meter__line){.kind = METER__LINE_PLAN,
                                                                        .window = WEIR_WINDOW_MONTH,
                                                                        .hard = !plan->overage,
                                                                        .limit = plan->cu_milli_per_month});
    /* Credits are a raise that ends with the last month that they are known for. */
    struct meter__raise credits = {.from_utc_us = INT64_MIN, .until_utc_us = INT64_MIN};
    credits.amount = meter__credits_of(gathering->meter, workspace, &credits.until_utc_us);
    if (line != NULL && credits.amount > 0 && !add_raise(gathering, line, &credits))
        return;
    if (length > 0 && length < ID_BYTES)
        add_raises(gathering, line, weir_span_of(id, (size_t)length));
}

static void add_daily(struct gathering *gathering, struct weir_span scope_id, enum weir_limit kind) {
    const struct meter__target *target = meter__target(gathering->meter, meter__scope(gathering->subject), scope_id);
    for (struct meter__definition *one = target != NULL ? target->definitions : NULL; one != NULL; one = one->next)
        if (one->kind == WEIR_OBJECT_LIMIT && one->is.limit.limits.at[kind] >= 0)
            (void)add_line(gathering, (struct meter__line){.kind = METER__LINE_DAILY,
                                                           .window = WEIR_WINDOW_DAY,
                                                           .hard = true,
                                                           .limit = one->is.limit.limits.at[kind]});
}

static void gather(struct gathering *gathering, enum weir_spend_unit unit) {
    struct weir_span id = meter__id(gathering->subject);
    const enum weir_scope scope = meter__scope(gathering->subject);
    if (unit == WEIR_SPEND_CU_MILLI) {
        add_budgets(gathering, id);
        if (scope != WEIR_SCOPE_GLOBAL)
            add_budgets(gathering, WEIR_SPAN("*"));
        if (scope == WEIR_SCOPE_KEY)
            add_own(gathering);
        if (scope == WEIR_SCOPE_WORKSPACE)
            add_plan(gathering);
        return;
    }
    const enum weir_limit kind = unit == WEIR_SPEND_REQUESTS ? WEIR_LIMIT_REQUESTS_PER_DAY : WEIR_LIMIT_TOKENS_PER_DAY;
    const struct meter__own *own = gathering->subject->own;
    add_daily(gathering, id, kind);
    if (scope != WEIR_SCOPE_GLOBAL)
        add_daily(gathering, WEIR_SPAN("*"), kind);
    int64_t daily = own == NULL ? -1 : unit == WEIR_SPEND_REQUESTS ? own->requests_per_day : own->tokens_per_day;
    if (daily >= 0)
        (void)add_line(gathering, (struct meter__line){.kind = METER__LINE_DAILY,
                                                       .window = WEIR_WINDOW_DAY,
                                                       .hard = true,
                                                       .limit = daily});
}

/* --- changing an account --- */

static bool same_line(const struct meter__line *a, const struct meter__line *b) {
    return a->kind == b->kind && a->window == b->window && a->hard == b->hard && a->definition == b->definition &&
           a->limit == b->limit && a->raise_count == b->raise_count &&
           (a->raise_count == 0 || memcmp(a->raises, b->raises, a->raise_count * sizeof *a->raises) == 0);
}

static bool same_lines(const struct meter__account *account, const struct gathering *gathering) {
    bool same = account->line_count == gathering->count;
    for (size_t i = 0; same && i < gathering->count; i++)
        same = same_line(&account->lines[i], &gathering->lines[i]);
    return same;
}

/* Of the same budget, though its definition may be another. */
static bool is_successor(const struct meter__line *old, const struct meter__line *line) {
    if (old->kind != line->kind || old->window != line->window)
        return false;
    return old->kind != METER__LINE_BUDGET ||
           weir_span_equal(old->definition->is.budget.id, line->definition->is.budget.id);
}

static void inherit(const struct meter__account *account, struct meter__line *line) {
    for (size_t i = 0; i < account->line_count; i++) {
        const struct meter__line *old = &account->lines[i];
        if (!is_successor(old, line))
            continue;
        line->told_percent = old->told_percent;
        line->told_from_utc_us = old->told_from_utc_us;
        /* With another limit it may be exceeded once more. */
        if (old->limit == line->limit)
            line->exceeded_from_utc_us = old->exceeded_from_utc_us;
    }
}

static struct meter__account *account_new(struct weir_meter *meter, struct meter__subject *subject,
                                          enum weir_spend_unit unit) {
    struct meter__account *account = weir_memory_new(1, sizeof *account);
    if (account == NULL)
        return NULL;
    account->meter = meter;
    account->subject = subject;
    account->unit = unit;
    weir_list_append(&meter->accounts, &account->link);
    meter->account_count++;
    return account;
}

void meter__account_free(struct weir_meter *meter, struct meter__account *account) {
    if (account == NULL)
        return;
    weir_list_remove(&account->link);
    meter->account_count--;
    lines_free(account->lines, account->line_count);
    while (account->pots != NULL) {
        struct meter__pot *next = account->pots->next;
        weir_memory_free(account->pots);
        account->pots = next;
    }
    weir_memory_free(account);
}

static enum weir_status build(struct weir_meter *meter, struct meter__subject *subject, enum weir_spend_unit unit) {
    struct gathering gathering = {.meter = meter, .subject = subject};
    struct meter__account *account = subject->accounts[unit];
    gather(&gathering, unit);
    if (gathering.status == WEIR_OK && account == NULL && gathering.count > 0) {
        account = account_new(meter, subject, unit);
        gathering.status = account != NULL ? WEIR_OK : WEIR_ENOMEM;
        subject->accounts[unit] = account;
    }
    if (gathering.status != WEIR_OK || account == NULL) {
        lines_free(gathering.lines, gathering.count);
        return gathering.status;
    }
    meter__lock(&account->lock);
    if (!same_lines(account, &gathering)) {
        for (size_t i = 0; i < gathering.count; i++)
            inherit(account, &gathering.lines[i]);
        struct meter__line *lines = account->lines;
        size_t count = account->line_count;
        account->lines = gathering.lines;
        account->line_count = gathering.count;
        gathering.lines = lines;
        gathering.count = count;
        for (struct meter__pot *pot = account->pots; pot != NULL; pot = pot->next)
            pot->refresh = true; /* and with the question goes back what is too much now */
        if (account->pots != NULL)
            (void)meter__queue(meter, account);
    }
    meter__unlock(&account->lock);
    lines_free(gathering.lines, gathering.count);
    return WEIR_OK;
}

enum weir_status meter__accounts_build(struct weir_meter *meter, struct meter__subject *subject) {
    for (unsigned unit = 0; unit < METER_UNITS; unit++) {
        enum weir_status status = build(meter, subject, (enum weir_spend_unit)unit);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

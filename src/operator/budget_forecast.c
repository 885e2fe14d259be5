/* How long a budget will last. Plain arithmetic in whole numbers; docs/guides/budgets.md has the formula.
 *
 * What a scope spends goes on at a rate r, of the last 24 hours, or twice that. In a window that has an end, use grows by r a day. In the last 24 hours, which move, what
 * comes in at r a day pushes out what was spent at the measured rate m: use grows by r - m a day, until after a day it is r. The limit falls where
 * a raise ends.
 */
#include "operator/budget_changes.h"

#include "base/arithmetic.h"
#include "operator/budget_impl.h"
#include "operator/op_objects.h"

__extension__ typedef __int128 wide;

enum { DAY_S = 86400, WEEK_DAYS = 7, HORIZON_DAYS = 36525 /* of a budget for ever: what lasts a century lasts */ };
static const int64_t second_us = 1000000;

static int64_t clamp(wide value) {
    return value > INT64_MAX ? INT64_MAX : value < -INT64_MAX ? -INT64_MAX : (int64_t)value;
}

/* --- how fast --- */

struct history {
    int64_t day_from_utc_us, first_utc_us; /* 0: nothing was spent yet */
    wide day, week;
};

static enum weir_status add(void *context, const struct weir_spend *spend) {
    struct history *history = context;
    if (history->first_utc_us == 0)
        history->first_utc_us = spend->bucket_utc_us;
    history->week += spend->cu_milli;
    if (spend->bucket_utc_us >= history->day_from_utc_us)
        history->day += spend->cu_milli;
    return WEIR_OK;
}

/* A day's part of what was spent since `from`. */
static int64_t rate_of(wide spent, int64_t from_utc_us, int64_t now_utc_us) {
    wide elapsed_s = (now_utc_us - from_utc_us) / second_us;
    return clamp(spent * DAY_S / (elapsed_s > 0 ? elapsed_s : 1));
}

static enum weir_status read_rates(struct weir_budget_work *work, const struct weir_budget_found *found,
                                   const struct weir_budget_standing *standing, struct weir_forecast *forecast) {
    int64_t day_us = DAY_S * second_us, now = work->now_utc_us;
    int64_t quarter = now - now % WEIR_SPEND_BUCKET_US;
    struct history history = {.day_from_utc_us = quarter - day_us};
    const struct weir_spend_counter counter = {.scope = found->budget.scope,
                                               .id = standing->of,
                                               .from_utc_us = quarter - WEEK_DAYS * day_us,
                                               .until_utc_us = INT64_MAX};
    enum weir_status status = work->store->spend_each(work->engine, &counter, WEIR_SPEND_BUCKET_US, add, &history,
                                                      &work->error);
    if (status != WEIR_OK)
        return status;
    bool is_young = history.first_utc_us > history.day_from_utc_us || history.first_utc_us == 0;
    forecast->day_rate = rate_of(history.day, history.day_from_utc_us, now);
    forecast->week_rate = rate_of(history.week, is_young ? history.day_from_utc_us : history.first_utc_us, now);
    return WEIR_OK;
}

/* --- until when --- */

/* The limit at a time: the budget's own with the raises that hold then. */
static int64_t limit_at(const struct weir_budget_found *found, const struct weir_budget_standing *standing,
                        int64_t utc_us) {
    wide limit = found->budget.limit_cu_milli;
    for (size_t i = 0; i < standing->raise_count; i++) {
        const struct weir_raise *raise = &standing->raises[i].raise;
        if (utc_us < raise->until_utc_us && !weir_span_equal(raise->kind, WEIR_SPAN("reset")))
            limit += raise->amount_cu_milli;
    }
    return clamp(limit);
}

/* The first time behind `utc_us` at which a raise ends, or `until`. */
static int64_t next_change(const struct weir_budget_standing *standing, int64_t utc_us, int64_t until_utc_us) {
    int64_t next = until_utc_us;
    for (size_t i = 0; i < standing->raise_count; i++) {
        int64_t ends = standing->raises[i].raise.until_utc_us;
        if (ends > utc_us && ends < next)
            next = ends;
    }
    return next;
}

/* Stretch by stretch, with the limit of each: use is `used` now and grows by `growth` a day until `end`. */
static void find_end(const struct weir_budget_found *found, const struct weir_budget_standing *standing, int64_t growth,
                     int64_t now, int64_t end, struct weir_forecast_case *result) {
    wide day_us = DAY_S * second_us;
    int64_t at = now;
    result->lasts = true;
    while (at < end) {
        int64_t next = next_change(standing, at, end);
        wide left = (wide)limit_at(found, standing, at) - standing->used;
        wide when = left <= 0 ? at : growth > 0 ? now + left * day_us / growth : (wide)INT64_MAX;
        if (when < at)
            when = at;
        if (when < next) {
            result->lasts = false;
            result->exhausted_utc_us = (int64_t)when;
            result->days = (result->exhausted_utc_us - now) / (DAY_S * second_us);
            return;
        }
        at = next;
    }
}

static struct weir_forecast_case forecast_case(const struct weir_budget_found *found,
                                               const struct weir_budget_standing *standing,
                                               const struct weir_forecast *forecast, int64_t times, int64_t now) {
    struct weir_forecast_case result = {.lasts = true};
    bool rolling = standing->period.rolling;
    int64_t rate = clamp((wide)forecast->day_rate * times);
    int64_t growth = rolling ? clamp((wide)forecast->day_rate * (times - 1)) : rate;
    int64_t end = rolling             ? now + DAY_S * second_us
                  : forecast->has_end ? standing->period.until_utc_us
                                      : now + HORIZON_DAYS * (DAY_S * second_us);
    find_end(found, standing, growth, now, end, &result);
    if (!forecast->has_end)
        return result;
    wide grown = (wide)growth * ((end - now) / second_us) / DAY_S;
    result.projected_cu_milli = clamp(standing->used + grown);
    result.headroom_cu_milli = clamp((wide)limit_at(found, standing, end - 1) - standing->used - grown);
    return result;
}

enum weir_status weir_budget_forecast(struct weir_budget_work *work, const struct weir_budget_found *found,
                                      const struct weir_budget_standing *standing, struct weir_forecast *forecast) {
    if (!standing->is_known)
        return operator__budget_refuse(work, WEIR_REASON_PARAMETER_INVALID, "of",
                                       "the budget is for each %s: say of which one",
                                       weir_scope_name(found->budget.scope));
    *forecast = (struct weir_forecast){.has_end = standing->period.rolling ||
                                                  standing->period.until_utc_us != INT64_MAX};
    enum weir_status status = read_rates(work, found, standing, forecast);
    if (status != WEIR_OK)
        return status;
    forecast->once = forecast_case(found, standing, forecast, 1, work->now_utc_us);
    forecast->twice = forecast_case(found, standing, forecast, 2, work->now_utc_us);
    return WEIR_OK;
}

/* --- showing --- */

static void member_or_null(struct weir_json_writer *writer, const char *name, bool has_value, int64_t value) {
    weir_json_write_name(writer, name);
    if (has_value)
        weir_json_write_int64(writer, value);
    else
        weir_json_write_null(writer);
}

static void write_exhaustion(struct weir_json_writer *writer, const struct weir_forecast_case *one) {
    weir_operation_member_time(writer, "exhausted_at", one->lasts ? 0 : one->exhausted_utc_us);
    member_or_null(writer, "days_until_exhaustion", !one->lasts, one->days);
}

void weir_forecast_write(struct weir_json_writer *writer, const struct weir_budget_found *found,
                         const struct weir_budget_standing *standing, const struct weir_forecast *forecast,
                         int64_t now_utc_us) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "budget", found->budget.id);
    operator__budget_write_of(writer, standing);
    weir_operation_member_time(writer, "at", now_utc_us);
    operator__budget_write_period(writer, &standing->period);
    weir_json_member_int64(writer, "used_cu_milli", standing->used);
    weir_json_member_int64(writer, "effective_limit_cu_milli", standing->limit);
    weir_json_member_int64(writer, "remaining_cu_milli", standing->remaining);
    weir_json_write_name(writer, "burn_rate_cu_milli_per_day");
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "last_24_hours", forecast->day_rate);
    weir_json_member_int64(writer, "last_7_days", forecast->week_rate);
    weir_json_write_end(writer);
    write_exhaustion(writer, &forecast->once);
    member_or_null(writer, "projected_cu_milli", forecast->has_end, forecast->once.projected_cu_milli);
    weir_json_write_name(writer, "at_twice_the_rate");
    weir_json_write_object(writer);
    weir_json_member_bool(writer, "survives", forecast->twice.lasts);
    member_or_null(writer, "headroom_cu_milli", forecast->has_end, forecast->twice.headroom_cu_milli);
    write_exhaustion(writer, &forecast->twice);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

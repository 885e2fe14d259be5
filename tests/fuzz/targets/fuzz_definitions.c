/* links: base json net store meter */
/* Budgets, limits and raises from any bytes.
 *
 * Held: what is refused says why and writes nothing; what is read lies within the bounds that the meter counts on.
 */
#include "meter/definitions.h"

#include "base/limits.h"

static void check_budget(const struct weir_budget *budget) {
    weir_bug_on(weir_scope_name(budget->scope) == NULL || weir_window_name(budget->window) == NULL);
    weir_bug_on((budget->scope == WEIR_SCOPE_GLOBAL) != (budget->scope_id.length == 0));
    weir_bug_on(budget->limit_cu_milli < 0 || budget->wait_ms < 0 || budget->wait_ms > 30000);
    weir_bug_on(budget->alert_count > WEIR_BUDGET_ALERTS);
    for (size_t i = 0; i < budget->alert_count; i++)
        weir_bug_on(budget->alert_percents[i] < 1 || budget->alert_percents[i] > 100 ||
                    (i > 0 && budget->alert_percents[i] <= budget->alert_percents[i - 1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_span text = weir_span_of((const char *)data, size), id = WEIR_SPAN("bud_1");
    struct weir_error error = {.text = ""};
    struct weir_budget budget = {.wait_ms = -7};
    struct weir_limit_definition limit = {.limits = {.burst_percent = -7}};
    struct weir_raise raise = {.amount_cu_milli = -7};
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    weir_bug_on(arena == NULL);
    if (weir_budget_read(arena, id, text, &budget, &error) == WEIR_OK)
        check_budget(&budget);
    else
        weir_bug_on(budget.wait_ms != -7 || error.text[0] == '\0');
    if (weir_limit_read(arena, id, text, &limit, &error) == WEIR_OK) {
        weir_bug_on(limit.limits.burst_percent < 1);
        for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
            weir_bug_on(limit.limits.at[i] < -1);
    } else {
        weir_bug_on(limit.limits.burst_percent != -7);
    }
    if (weir_raise_read(arena, id, id, text, &raise, &error) == WEIR_OK)
        weir_bug_on(raise.amount_cu_milli < 0 || raise.until_utc_us <= raise.from_utc_us || raise.kind.length == 0);
    else
        weir_bug_on(raise.amount_cu_milli != -7);
    weir_arena_free(&arena);
    return 0;
}

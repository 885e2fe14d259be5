/* See reconcile_form.h. */
#include "operator/reconcile_form.h"

#include "base/clock.h"

static const int64_t hour_us = INT64_C(3600) * 1000000;
enum { MOST_ROWS = 500000, PROVIDER = 4, UPSTREAM_MODEL = 6 };

struct ours {
    struct weir_arena *arena;
    const struct weir_zone *zone;
    struct weir_export_row *rows;
    size_t count, room;
};

static enum weir_status take(void *context, const struct weir_usage_row *row) {
    struct ours *ours = context;
    if (ours->count == MOST_ROWS)
        return WEIR_ELIMIT;
    if (ours->count == ours->room) {
        size_t room = ours->room == 0 ? 64 : 2 * ours->room;
        struct weir_export_row *rows = weir_arena_array(ours->arena, room, sizeof *rows);
        if (rows == NULL)
            return WEIR_ENOMEM;
        if (ours->count > 0)
            memcpy(rows, ours->rows, ours->count * sizeof *rows);
        ours->rows = rows;
        ours->room = room;
    }
    struct weir_export_row *made = &ours->rows[ours->count];
    *made = (struct weir_export_row){.day = weir_export_day(ours->zone, row->from_utc_us),
                                     .figures = {.requests = row->sums.requests - row->sums.errors,
                                                 .input = row->sums.input,
                                                 .cached = row->sums.cached,
                                                 .output = row->sums.output,
                                                 .cost_cu_milli = row->sums.cost_cu_milli}};
    if (weir_arena_dup(ours->arena, row->by[UPSTREAM_MODEL], &made->model) != WEIR_OK)
        return WEIR_ENOMEM;
    ours->count++;
    return WEIR_OK;
}

/* Sums are by the hour of UTC: days that begin within one cannot be had from them. */
static enum weir_status gather(const struct weir_engine_ops *ops, struct weir_engine *engine, struct ours *ours,
                               const struct weir_export *export, struct weir_span provider, const char **field,
                               struct weir_error *error) {
    struct weir_usage_query query = {.from_utc_us = weir_export_day_begins(ours->zone, export->first_day),
                                     .until_utc_us = weir_export_day_begins(ours->zone, export->last_day + 1),
                                     .by = WEIR_USAGE_BY_UPSTREAM_MODEL |
                                           (ours->zone == NULL ? WEIR_USAGE_BY_DAY : WEIR_USAGE_BY_HOUR),
                                     .only = {[PROVIDER] = provider},
                                     .limit = MOST_ROWS + 1};
    if (query.from_utc_us % hour_us != 0 || query.until_utc_us % hour_us != 0) {
        *field = "zone";
        return weir_fail(error, WEIR_EINVAL,
                         "its days do not begin at a full hour of UTC, and usage is summed by the hour");
    }
    enum weir_status status = ops->usage_report(engine, &query, take, ours, error);
    if (status == WEIR_ELIMIT) {
        *field = error->text[0] == '\0' ? "text" : "zone";
        return error->text[0] != '\0' /* days of UTC are kept, hours only for a while */
                   ? status
                   : weir_fail(error, status, "the ledger's side is too large: compare fewer days at once");
    }
    return status;
}

enum weir_status weir_reconcile_make(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                     struct weir_arena *arena, const struct weir_reconcile_question *question,
                                     struct weir_reconcile_answer *answer, const char **field,
                                     struct weir_error *error) {
    const char *unused;
    struct weir_reconcile_answer made = {.question = *question};
    struct weir_zones *zones = NULL;
    struct ours ours = {.arena = arena};
    enum weir_status status = WEIR_OK;
    field = field != NULL ? field : &unused;
    *field = NULL;
    if (made.question.zone.length == 0)
        made.question.zone = WEIR_SPAN("UTC");
    if (!weir_span_equal(made.question.zone, WEIR_SPAN("UTC"))) {
        *field = "zone";
        status = weir_zones_new(NULL, &zones);
        if (status == WEIR_OK)
            status = weir_zone_find(zones, made.question.zone, &ours.zone, error);
    }
    if (status == WEIR_OK) {
        *field = "text";
        status = weir_export_read(arena, question->text, question->format, ours.zone, &made.export, error);
    }
    if (status == WEIR_OK) {
        *field = NULL;
        status = gather(ops, engine, &ours, &made.export, question->provider, field, error);
    }
    if (status == WEIR_OK)
        status = weir_reconcile(arena, &made.export, ours.rows, ours.count, question->tolerance_percent_milli,
                                &made.result, error);
    weir_zones_free(&zones);
    if (status == WEIR_OK)
        *answer = made;
    return status;
}

/* --- writing --- */

void weir_reconcile_format_day(int64_t day, char out[WEIR_DAY_SIZE]) {
    char text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(day * 24 * hour_us, text);
    memcpy(out, text, WEIR_DAY_SIZE - 1);
    out[WEIR_DAY_SIZE - 1] = '\0';
}

const char *weir_reconcile_format_percent(int64_t percent_milli, char out[WEIR_PERCENT_SIZE]) {
    out[0] = '\0';
    if (percent_milli >= 0)
        (void)snprintf(out, WEIR_PERCENT_SIZE, "%lld.%03lld", (long long)(percent_milli / 1000),
                       (long long)(percent_milli % 1000));
    return out;
}

/* What the export does not have is null in theirs and in the difference. */
static void write_figures(struct weir_json_writer *writer, const char *name, const struct weir_figures *all,
                          unsigned has) {
    const struct {
        const char *name;
        enum weir_export_figure figure;
        int64_t value;
    } figures[] = {{"requests", WEIR_EXPORT_REQUESTS, all->requests},
                   {"input_tokens", WEIR_EXPORT_INPUT, all->input},
                   {"cached_tokens", WEIR_EXPORT_CACHED, all->cached},
                   {"output_tokens", WEIR_EXPORT_OUTPUT, all->output},
                   {"cost_cu_milli", WEIR_EXPORT_COST, all->cost_cu_milli}};
    weir_json_write_name(writer, name);
    weir_json_write_object(writer);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if ((has & (unsigned)figures[i].figure) != 0)
            weir_json_member_int64(writer, figures[i].name, figures[i].value);
        else
            weir_json_member_text(writer, figures[i].name, NULL);
    weir_json_write_end(writer);
}

static void write_compared(struct weir_json_writer *writer, const struct weir_reconcile_row *row, unsigned has) {
    const unsigned all = WEIR_EXPORT_REQUESTS | WEIR_EXPORT_INPUT | WEIR_EXPORT_CACHED | WEIR_EXPORT_OUTPUT |
                         WEIR_EXPORT_COST;
    char percent[WEIR_PERCENT_SIZE];
    write_figures(writer, "ours", &row->ours, all);
    write_figures(writer, "theirs", &row->theirs, has);
    write_figures(writer, "difference", &row->difference, has);
    weir_json_write_name(writer, "percent");
    if (row->percent_milli >= 0)
        weir_json_write_raw(writer, weir_span_of_string(weir_reconcile_format_percent(row->percent_milli, percent)));
    else
        weir_json_write_null(writer);
}

void weir_reconcile_write_json(struct weir_json_writer *writer, const struct weir_reconcile_answer *answer) {
    const struct weir_export *export = &answer->export;
    const struct weir_reconciliation *result = &answer->result;
    char day[WEIR_DAY_SIZE], percent[WEIR_PERCENT_SIZE];
    weir_json_write_object(writer);
    weir_json_member_string(writer, "provider", answer->question.provider);
    weir_json_member_text(writer, "format", weir_export_format_name(export->format));
    weir_json_member_string(writer, "zone", answer->question.zone);
    weir_json_write_name(writer, "tolerance_percent");
    weir_json_write_raw(writer, weir_span_of_string(
                                    weir_reconcile_format_percent(answer->question.tolerance_percent_milli, percent)));
    weir_reconcile_format_day(export->first_day, day);
    weir_json_member_text(writer, "first_day", day);
    weir_reconcile_format_day(export->last_day, day);
    weir_json_member_text(writer, "last_day", day);
    weir_json_member_int64(writer, "rows_read", (int64_t) export->read);
    weir_json_member_bool(writer, "incomplete", export->incomplete);
    weir_json_member_bool(writer, "within_tolerance", result->within);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    for (size_t i = 0; i < result->count; i++) {
        const struct weir_reconcile_row *row = &result->rows[i];
        weir_json_write_object(writer);
        weir_reconcile_format_day(row->day, day);
        weir_json_member_text(writer, "day", day);
        if (row->model.length > 0)
            weir_json_member_string(writer, "model", row->model);
        else
            weir_json_member_text(writer, "model", NULL);
        weir_json_member_text(writer, "status", weir_reconcile_status_name(row->status));
        write_compared(writer, row, export->figures);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    weir_json_write_name(writer, "totals");
    weir_json_write_object(writer);
    write_compared(writer, &result->total, export->figures);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

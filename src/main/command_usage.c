/* weir usage: what was used and charged, summed up, on a connection of its own, also while a server runs. */
#include "base/clock.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/table.h"
#include "operator/usage_form.h"

struct usage_flags {
    const char *config, *by, *from, *until, *limit;
    const char *only[WEIR_USAGE_DIMENSIONS]; /* by place */
    const char *route;
    bool json, csv, explain;
};

/* --- what is asked --- */

static const int64_t hour_us = INT64_C(3600) * 1000000;

/* Sums are by the hour: what is asked is widened to full ones. The report says what it is of. */
static bool read_times(const struct usage_flags *flags, struct weir_usage_query *query) {
    if (!main__read_time_flag(flags->from, "--from", &query->from_utc_us) ||
        !main__read_time_flag(flags->until, "--until", &query->until_utc_us))
        return false;
    query->from_utc_us -= query->from_utc_us % hour_us;
    query->until_utc_us += (hour_us - query->until_utc_us % hour_us) % hour_us;
    return true;
}

static bool read_query(const struct usage_flags *flags, struct weir_usage_query *query) {
    enum { ENDPOINT = 7 };
    struct weir_error error = {.text = ""};
    const char *field = "by";
    uint64_t limit = WEIR_USAGE_USUAL_ROWS;
    if (!read_times(flags, query))
        return false;
    if (flags->limit != NULL && (weir_span_to_uint64(weir_span_of_string(flags->limit), &limit) != WEIR_OK ||
                                 limit < 1 || limit > WEIR_USAGE_MOST_ROWS)) {
        fprintf(stderr, "weir: --limit: expected a number from 1 to %d, got '%s'\n", WEIR_USAGE_MOST_ROWS,
                flags->limit);
        return false;
    }
    for (size_t i = 0; i < WEIR_USAGE_DIMENSIONS; i++)
        if (flags->only[i] != NULL)
            query->only[i] = weir_span_of_string(flags->only[i]);
    if (flags->route != NULL)
        query->only[ENDPOINT] = weir_span_of_string(flags->route);
    query->limit = limit;
    if (weir_usage_read_words(weir_span_of_string(flags->by != NULL ? flags->by : "day"), &query->by, &error) ==
            WEIR_OK &&
        weir_usage_check(query, weir_clock_utc_us(), &field, &error) == WEIR_OK)
        return true;
    if (strcmp(field, "group_by") == 0)
        field = "by";
    fprintf(stderr, "weir: --%s: %s\n", field, error.text);
    return false;
}

/* --- the table --- */

static void add_sums(struct main__table *table, const struct weir_usage_sums *sums) {
    main__table_number(table, sums->requests);
    main__table_number(table, sums->errors + sums->aborted + sums->crashed);
    main__table_number(table, sums->input);
    main__table_number(table, sums->cached);
    main__table_number(table, sums->output);
    main__table_usd(table, sums->cost_cu_milli);
    main__table_cu(table, sums->cost_cu_milli);
}

static struct weir_span shown(struct weir_span text) {
    return text.length > 0 ? text : WEIR_SPAN("-");
}

static void add_line(struct main__table *table, unsigned by, const struct weir_usage_line *line) {
    char time[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(line->row.from_utc_us, time);
    for (size_t i = 0; i < WEIR_USAGE_WORDS; i++) {
        const struct weir_usage_word *word = &weir_usage_words[i];
        if ((by & (unsigned)word->dimension) == 0)
            continue;
        if (word->place < 0) {
            enum { DATE = 10, TO_MINUTES = 16 };
            main__table_text(table, weir_span_of(time, word->dimension == WEIR_USAGE_BY_DAY ? DATE : TO_MINUTES));
            continue;
        }
        main__table_text(table, shown(line->row.by[word->place]));
        if (word->named != NULL)
            main__table_text(table, shown(line->names[word->place]));
    }
    add_sums(table, &line->row.sums);
}

static size_t add_columns(struct main__table *table, unsigned by) {
    static const char *const figures[] = {"REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "USD", "CU"};
    for (size_t i = 0; i < WEIR_USAGE_WORDS; i++) {
        const struct weir_usage_word *word = &weir_usage_words[i];
        if ((by & (unsigned)word->dimension) == 0)
            continue;
        main__table_column(table, word->head, false);
        if (word->named != NULL)
            main__table_column(table, "NAME", false);
    }
    size_t texts = table->columns;
    if (texts == 0)
        main__table_column(table, "", false);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        main__table_column(table, figures[i], true);
    return texts;
}

/* What a sum of money alone would hide. */
static void print_notes(const struct weir_usage_report *report) {
    const struct weir_usage_sums *totals = &report->totals;
    if (totals->unpriced > 0)
        fprintf(stderr, "%lld requests were for models without a price: they cost nothing here\n",
                (long long)totals->unpriced);
    if (totals->estimated > 0)
        fprintf(stderr, "%lld requests have estimated figures\n", (long long)totals->estimated);
    if (totals->overrun_cu_milli > 0)
        fprintf(stderr, "providers reported %lld milli-CU beyond reservations: not charged\n",
                (long long)totals->overrun_cu_milli);
    if ((report->query.by & WEIR_USAGE_BY_TAG) != 0)
        fprintf(stderr, "a request with several tags is in several rows; the total has each request once\n");
}

static bool print_table(struct weir_arena *arena, const struct weir_usage_report *report) {
    struct main__table table;
    char from[32], until[32];
    main__format_time(report->query.from_utc_us, from);
    main__format_time(report->query.until_utc_us, until);
    fprintf(stderr, "%s to %s\n", from, until);
    main__table_init(&table, arena);
    size_t texts = add_columns(&table, report->query.by);
    for (size_t i = 0; texts > 0 && i < report->count; i++)
        add_line(&table, report->query.by, &report->lines[i]);
    main__table_text(&table, WEIR_SPAN("total"));
    for (size_t i = 1; i < texts; i++)
        main__table_text(&table, WEIR_SPAN(""));
    add_sums(&table, &report->totals);
    bool printed = main__table_print(&table, texts > 0 ? 1 : 0);
    print_notes(report);
    return printed;
}

/* --- the command --- */

static bool print_buffer(struct weir_buffer *out) {
    struct weir_span text = weir_buffer_span(out);
    bool printed = weir_buffer_status(out) == WEIR_OK && fwrite(text.at, 1, text.length, stdout) == text.length &&
                   fflush(stdout) == 0;
    weir_buffer_release(out);
    return printed;
}

static bool print_report(struct weir_arena *arena, const struct weir_usage_report *report,
                         const struct usage_flags *flags) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    if (!flags->json && !flags->csv)
        return print_table(arena, report);
    weir_buffer_init(&out, 256 * WEIR_MIB);
    if (flags->csv) {
        weir_usage_write_csv(&out, report);
    } else {
        weir_json_writer_init(&writer, &out);
        weir_usage_write_json(&writer, report);
        weir_buffer_append_byte(&out, '\n');
    }
    return print_buffer(&out);
}

static enum weir_status print_plan_line(void *context, struct weir_span line) {
    (void)context;
    return printf("%.*s\n", WEIR_SPAN_PRINT(line)) >= 0 ? WEIR_OK : WEIR_EIO;
}

static int run(struct weir_engine *engine, const struct weir_usage_query *query, const struct usage_flags *flags) {
    struct weir_error error = {.text = ""};
    struct weir_usage_report report;
    struct weir_arena *arena = weir_arena_new(0, 256 * WEIR_MIB);
    enum weir_status status = arena != NULL ? WEIR_OK : WEIR_ENOMEM;
    bool printed = true;
    if (status == WEIR_OK && flags->explain)
        status = weir_engine_sqlite.usage_plan(engine, query, print_plan_line, NULL, &error);
    else if (status == WEIR_OK)
        status = weir_usage_make(&weir_engine_sqlite, engine, arena, query, &report, &error);
    if (status == WEIR_OK && !flags->explain)
        printed = print_report(arena, &report, flags);
    if (status != WEIR_OK || !printed)
        fprintf(stderr, "weir: %s\n",
                error.text[0] != '\0' ? error.text
                : printed             ? weir_status_name(status)
                                      : "the output could not be written");
    weir_arena_free(&arena);
    return status == WEIR_OK && printed ? 0 : MAIN_EXIT_FAILED;
}

int main__usage(int argc, char **argv) {
    struct usage_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--by", NULL, MAIN_FLAG_TEXT, &flags.by, "WORDS",
         "a row for each: key, user, team, workspace, provider, model, upstream_model, endpoint, tag, day, hour"},
        {"--from", NULL, MAIN_FLAG_TEXT, &flags.from, "TIME",
         "from here on: a time, a date, or 24h, 7d ago (default: this month's begin)"},
        {"--until", NULL, MAIN_FLAG_TEXT, &flags.until, "TIME", "before this (default: now)"},
        {"--key", NULL, MAIN_FLAG_TEXT, &flags.only[0], "ID", "only this key and its rotations: the first one's id"},
        {"--user", NULL, MAIN_FLAG_TEXT, &flags.only[1], "ID", "only this user: workspace/user"},
        {"--team", NULL, MAIN_FLAG_TEXT, &flags.only[2], "ID", "only this team: workspace/team"},
        {"--workspace", NULL, MAIN_FLAG_TEXT, &flags.only[3], "ID", "only this workspace"},
        {"--provider", NULL, MAIN_FLAG_TEXT, &flags.only[4], "NAME", "only this provider"},
        {"--model", NULL, MAIN_FLAG_TEXT, &flags.only[5], "NAME", "only this model, as clients name it"},
        {"--upstream-model", NULL, MAIN_FLAG_TEXT, &flags.only[6], "NAME", "only this model, as the provider names it"},
        {"--endpoint", NULL, MAIN_FLAG_TEXT, &flags.only[7], "NAME", "only this endpoint: chat.completions"},
        {"--route", NULL, MAIN_FLAG_TEXT, &flags.route, "NAME", "the same as --endpoint"},
        {"--tag", NULL, MAIN_FLAG_TEXT, &flags.only[8], "TAG", "only this tag: name=value"},
        {"--limit", NULL, MAIN_FLAG_TEXT, &flags.limit, "N", "refuse a report of more rows (default 10000)"},
        {"--csv", NULL, MAIN_FLAG_SWITCH, &flags.csv, NULL, "CSV, without totals"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "one JSON object, as the operator plane answers it"},
        {"--explain", NULL, MAIN_FLAG_SWITCH, &flags.explain, NULL, "how the database finds it: the query plan"},
    };
    const struct main__command command = {
        "weir usage [--by key,model,day] [options]",
        "Sums up what was used and charged, this month by day unless told otherwise. Days and hours are those of UTC; a "
        "request counts\nwhere it began. Tags go together with day, hour and workspace alone. Works while a server runs; "
        "a request appears within a\nsecond after it has ended. 1 USD is 1,000,000 CU.",
        all,
        sizeof all / sizeof *all,
        0,
        0};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    struct weir_usage_query query = {.limit = 0};
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    if ((flags.csv && flags.json) || (flags.route != NULL && flags.only[7] != NULL)) {
        fprintf(stderr, "weir: %s do not go together\n",
                flags.csv && flags.json ? "--csv and --json" : "--endpoint and --route");
        return MAIN_EXIT_USAGE;
    }
    if (!read_query(&flags, &query))
        return MAIN_EXIT_USAGE;
    struct weir_error error = {.text = ""};
    struct main__settings settings;
    struct weir_engine *engine = NULL;
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    int code = MAIN_EXIT_FAILED;
    if (arena != NULL && main__settings_for_command(arena, flags.config, &settings) == WEIR_OK) {
        if (main__store_open(&settings, false, &engine, &error) == WEIR_OK)
            code = run(engine, &query, &flags);
        else
            fprintf(stderr, "weir: %s\n", error.text);
    }
    weir_store_direct_close(&engine);
    weir_arena_free(&arena);
    return code;
}

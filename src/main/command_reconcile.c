/* weir reconcile: a provider's export beside the ledger, by day and model. */
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/table.h"
#include "operator/reconcile_form.h"

#include <errno.h>

struct reconcile_flags {
    const char *config, *provider, *format, *zone, *tolerance;
    bool json, all;
};

/* "-" is standard input. What is too large is read no further than that shows. */
static bool read_file(const char *path, struct weir_buffer *text) {
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "rb");
    size_t got = 1;
    while (file != NULL && got > 0 && text->length <= WEIR_EXPORT_MAX_BYTES) {
        char *room = weir_buffer_reserve(text, 64 * WEIR_KIB);
        got = room != NULL ? fread(room, 1, 64 * WEIR_KIB, file) : 0;
        weir_buffer_commit(text, got);
    }
    bool good = file != NULL && ferror(file) == 0 && weir_buffer_status(text) == WEIR_OK;
    if (!good)
        fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
    if (file != NULL && !is_input)
        (void)fclose(file);
    return good;
}

/* --- the table --- */

/* Pairs of columns for what the export has: ours and theirs. */
static const struct {
    enum weir_export_figure figure;
    const char *ours, *theirs;
    size_t offset;
} pairs[] = {
    {WEIR_EXPORT_REQUESTS, "REQUESTS", "THEIRS", offsetof(struct weir_figures, requests)},
    {WEIR_EXPORT_INPUT, "INPUT", "THEIRS", offsetof(struct weir_figures, input)},
    {WEIR_EXPORT_CACHED, "CACHED", "THEIRS", offsetof(struct weir_figures, cached)},
    {WEIR_EXPORT_OUTPUT, "OUTPUT", "THEIRS", offsetof(struct weir_figures, output)},
    {WEIR_EXPORT_COST, "USD", "THEIRS", offsetof(struct weir_figures, cost_cu_milli)},
};
enum { PAIRS = sizeof pairs / sizeof *pairs };

static void add_figures(struct main__table *table, const struct weir_reconcile_row *row, unsigned has) {
    for (size_t i = 0; i < PAIRS; i++) {
        if ((has & (unsigned)pairs[i].figure) == 0)
            continue;
        int64_t ours, theirs;
        memcpy(&ours, (const char *)&row->ours + pairs[i].offset, sizeof ours);
        memcpy(&theirs, (const char *)&row->theirs + pairs[i].offset, sizeof theirs);
        void (*add)(struct main__table *, int64_t) = pairs[i].figure == WEIR_EXPORT_COST ? main__table_usd
                                                                                         : main__table_number;
        add(table, ours);
        add(table, theirs);
    }
    char percent[WEIR_PERCENT_SIZE];
    const char *text = weir_reconcile_format_percent(row->percent_milli, percent);
    main__table_text(table, weir_span_of_string(text[0] != '\0' ? text : "-"));
}

static bool print_table(struct weir_arena *arena, const struct weir_reconcile_answer *answer, bool all) {
    const struct weir_reconciliation *result = &answer->result;
    unsigned has = answer->export.figures;
    struct main__table table;
    main__table_init(&table, arena);
    main__table_column(&table, "DAY", false);
    main__table_column(&table, "MODEL", false);
    for (size_t i = 0; i < PAIRS; i++)
        if ((has & (unsigned)pairs[i].figure) != 0) {
            main__table_column(&table, pairs[i].ours, true);
            main__table_column(&table, pairs[i].theirs, true);
        }
    main__table_column(&table, "PERCENT", true);
    main__table_column(&table, "STATUS", false);
    for (size_t i = 0; i < result->count; i++) {
        const struct weir_reconcile_row *row = &result->rows[i];
        char day[WEIR_DAY_SIZE];
        if (row->status == WEIR_RECONCILE_MATCH && !all)
            continue;
        weir_reconcile_format_day(row->day, day);
        main__table_text(&table, weir_span_of_string(day));
        main__table_text(&table, row->model.length > 0 ? row->model : WEIR_SPAN("-"));
        add_figures(&table, row, has);
        main__table_text(&table, weir_span_of_string(weir_reconcile_status_name(row->status)));
    }
    main__table_text(&table, WEIR_SPAN("total"));
    main__table_text(&table, WEIR_SPAN(""));
    add_figures(&table, &result->total, has);
    main__table_text(&table, WEIR_SPAN(""));
    return main__table_print(&table, 1);
}

static void print_words(const struct weir_reconcile_answer *answer) {
    char first[WEIR_DAY_SIZE], last[WEIR_DAY_SIZE], percent[WEIR_PERCENT_SIZE];
    weir_reconcile_format_day(answer->export.first_day, first);
    weir_reconcile_format_day(answer->export.last_day, last);
    fprintf(stderr, "%s to %s (%.*s), %s: %zu of %zu rows match within %s %%\n", first, last,
            WEIR_SPAN_PRINT(answer->question.zone), weir_export_format_name(answer->export.format),
            answer->result.matches, answer->result.count,
            weir_reconcile_format_percent(answer->question.tolerance_percent_milli, percent));
    /* A misspelt name of a provider looks the same: as if nothing of its bill were ours. */
    size_t missing = 0;
    for (size_t i = 0; i < answer->result.count; i++)
        missing += answer->result.rows[i].status == WEIR_RECONCILE_OURS_MISSING;
    if (missing > 0 && missing == answer->result.count)
        fprintf(stderr,
                "the ledger has nothing of the provider %.*s in these days: is that its name in the settings?\n",
                WEIR_SPAN_PRINT(answer->question.provider));
    if (answer->export.incomplete)
        fprintf(stderr, "the file says that more pages follow: they are not in it\n");
}

/* --- the command --- */

static int run(struct weir_engine *engine, const struct weir_reconcile_question *question,
               const struct reconcile_flags *flags, const char *path) {
    struct weir_error error = {.text = ""};
    struct weir_reconcile_answer answer;
    const char *field = NULL;
    struct weir_arena *arena = weir_arena_new(0, 512 * WEIR_MIB);
    struct weir_buffer out;
    struct weir_json_writer writer;
    bool printed = false;
    int code = MAIN_EXIT_FAILED;
    weir_buffer_init(&out, 512 * WEIR_MIB);
    enum weir_status status = arena == NULL ? WEIR_ENOMEM
                                            : weir_reconcile_make(&weir_engine_sqlite, engine, arena, question, &answer,
                                                                  &field, &error);
    if (status != WEIR_OK) {
        bool of_file = field != NULL && strcmp(field, "text") == 0;
        fprintf(stderr, "weir: %s%s%s\n",
                of_file         ? path
                : field != NULL ? "--zone"
                                : "the store",
                ": ", error.text[0] != '\0' ? error.text : weir_status_name(status));
        goto out;
    }
    if (flags->json) {
        weir_json_writer_init(&writer, &out);
        weir_reconcile_write_json(&writer, &answer);
        weir_buffer_append_byte(&out, '\n');
        printed = weir_buffer_status(&out) == WEIR_OK && fwrite(out.at, 1, out.length, stdout) == out.length &&
                  fflush(stdout) == 0;
    } else {
        printed = print_table(arena, &answer, flags->all);
        print_words(&answer);
    }
    if (!printed)
        fprintf(stderr, "weir: the output could not be written\n");
    else if (answer.result.within)
        code = 0;
out:
    weir_buffer_release(&out);
    weir_arena_free(&arena);
    return code;
}

static bool read_question(const struct reconcile_flags *flags, struct weir_reconcile_question *question) {
    if (flags->provider == NULL) {
        fprintf(stderr, "weir: --provider: expected the name of the provider in the settings\n");
        return false;
    }
    if (flags->format != NULL && !weir_export_format_from_name(weir_span_of_string(flags->format), &question->format)) {
        fprintf(stderr, "weir: --format: expected openai, anthropic or auto, got '%s'\n", flags->format);
        return false;
    }
    if (flags->tolerance != NULL && weir_reconcile_tolerance(weir_span_of_string(flags->tolerance),
                                                             &question->tolerance_percent_milli) != WEIR_OK) {
        fprintf(stderr, "weir: --tolerance: expected percent, 0 to 100 with at most three places, got '%s'\n",
                flags->tolerance);
        return false;
    }
    question->provider = weir_span_of_string(flags->provider);
    question->zone = weir_span_of_string(flags->zone);
    return true;
}

int main__reconcile(int argc, char **argv) {
    struct reconcile_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--provider", NULL, MAIN_FLAG_TEXT, &flags.provider, "NAME", "whose export it is: its name in the settings"},
        {"--format", NULL, MAIN_FLAG_TEXT, &flags.format, "FORMAT", "openai, anthropic or auto (default)"},
        {"--zone", NULL, MAIN_FLAG_TEXT, &flags.zone, "ZONE", "whose days are compared (default: UTC)"},
        {"--tolerance", NULL, MAIN_FLAG_TEXT, &flags.tolerance, "PERCENT",
         "how much a figure may differ and still match (default: 1)"},
        {"--all", NULL, MAIN_FLAG_SWITCH, &flags.all, NULL, "rows that match, too"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "one JSON object, as the operator plane answers it"},
    };
    const struct main__command command = {
        "weir reconcile FILE --provider NAME [options]",
        "Holds a provider's usage or cost export (FILE, or - for standard input) against the ledger, by day and model, and "
        "shows what\ndiffers. CSV of OpenAI's usage dashboard and of Anthropic's Console, and the JSON of both providers' "
        "usage and cost endpoints.\nExit code 0: all within the tolerance; 1: not, or it could not be read.",
        all,
        sizeof all / sizeof *all,
        1,
        1};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    struct weir_reconcile_question question = {.tolerance_percent_milli = WEIR_RECONCILE_USUAL_TOLERANCE};
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    if (!read_question(&flags, &question))
        return MAIN_EXIT_USAGE;
    struct weir_error error = {.text = ""};
    struct main__settings settings;
    struct weir_engine *engine = NULL;
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    struct weir_buffer text;
    int code = MAIN_EXIT_FAILED;
    weir_buffer_init(&text, WEIR_EXPORT_MAX_BYTES + 128 * WEIR_KIB);
    if (arena != NULL && read_file(operands[0], &text) &&
        main__settings_for_command(arena, flags.config, &settings) == WEIR_OK) {
        question.text = weir_buffer_span(&text);
        if (main__store_open(&settings, false, &engine, &error) == WEIR_OK)
            code = run(engine, &question, &flags, operands[0]);
        else
            fprintf(stderr, "weir: %s\n", error.text);
    }
    weir_store_direct_close(&engine);
    weir_arena_free(&arena);
    weir_buffer_release(&text);
    return code;
}

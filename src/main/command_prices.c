/* weir prices: turn a price map into our own file; list what is known. */
#include "base/clock.h"
#include "main/arguments.h"
#include "main/commands.h"
#include "main/settings.h"

static int import(const char *path, const char *source, const char *date) {
    struct weir_arena *arena = weir_arena_new(0, 64 * WEIR_MIB);
    struct weir_buffer out, report;
    struct weir_error error = {.text = ""};
    struct weir_span text = WEIR_SPAN("");
    char today[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(weir_clock_utc_us(), today);
    weir_buffer_init(&out, 64 * WEIR_MIB);
    weir_buffer_init(&report, 16 * WEIR_MIB);
    enum weir_status status = arena == NULL ? WEIR_ENOMEM : weir_config_load(arena, path, &text, &error);
    if (status == WEIR_OK)
        status = weir_prices_import(text, weir_span_of_string(source != NULL ? source : path),
                                    date != NULL ? weir_span_of_string(date) : weir_span_of(today, 10), &out, &report,
                                    &error);
    fprintf(stderr, "%.*s", WEIR_SPAN_PRINT(weir_buffer_span(&report)));
    if (status == WEIR_OK)
        printf("%.*s", WEIR_SPAN_PRINT(weir_buffer_span(&out)));
    else
        fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : weir_status_name(status));
    weir_buffer_release(&out);
    weir_buffer_release(&report);
    weir_arena_free(&arena);
    return status == WEIR_OK ? 0 : MAIN_EXIT_FAILED;
}

static int list(void) {
    struct weir_prices *prices = NULL;
    struct weir_error error = {.text = ""};
    if (weir_prices_builtin(&prices, &error) != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text);
        return MAIN_EXIT_FAILED;
    }
    /* In the order of enum weir_unit; sound is priced by the second. */
    static const char *const units[] = {"", "image", "second", "character", "search"};
    fprintf(stderr, "version %.*s; milli-CU per million tokens, and per million of the unit\n",
            WEIR_SPAN_PRINT(weir_prices_version(prices)));
    printf("%-12s  %-36s  %16s  %16s  %16s  %-9s  %s\n", "PROVIDER", "MODEL", "INPUT", "OUTPUT", "BY THE UNIT", "UNIT",
           "VARIANT");
    for (size_t i = 0; i < weir_prices_count(prices); i++) {
        const struct weir_price *price = weir_prices_at(prices, i);
        printf("%-12.*s  %-36.*s  %16lld  %16lld", WEIR_SPAN_PRINT(price->provider), WEIR_SPAN_PRINT(price->model),
               (long long)price->tiers[0].input, (long long)price->tiers[0].output);
        if (price->unit != WEIR_UNIT_NONE || price->variant.length > 0)
            printf("  %16lld  %-9s", (long long)price->unit_price, units[price->unit]);
        if (price->variant.length > 0)
            printf("  %.*s", WEIR_SPAN_PRINT(price->variant));
        printf("\n");
    }
    weir_prices_free(&prices);
    return 0;
}

int main__prices(int argc, char **argv) {
    const char *source = NULL, *date = NULL;
    const struct main__flag all[] = {
        {"--source", NULL, MAIN_FLAG_TEXT, &source, "TEXT",
         "import: where the figures are from (default: the file's name)"},
        {"--date", NULL, MAIN_FLAG_TEXT, &date, "DATE", "import: of what day they are (default: today)"},
    };
    const struct main__command command = {
        "weir prices import FILE | list",
        "import: reads the widely used JSON price map and writes our own price file to standard output (set it as\nprices_file); what "
        "had to be rounded is told on standard error. list: the built-in prices.",
        all,
        sizeof all / sizeof *all,
        1,
        2};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct weir_span word = weir_span_of_string(operands[0]);
    if (weir_span_equal(word, WEIR_SPAN("import")) && count == 2)
        return import(operands[1], source, date);
    if (weir_span_equal(word, WEIR_SPAN("list")) && count == 1)
        return list();
    fprintf(stderr, "usage: %s\n", command.usage);
    return MAIN_EXIT_USAGE;
}

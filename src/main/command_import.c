/* weir import litellm: another gateway's settings become weir.yaml, a price file, and a report of what became of each.
 *
 * Nothing is written before all of it is known to be good, and no file is written over unless it is wanted. The arena has the source's credentials and is
 * wiped.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "config/config.h"
#include "config/import.h"
#include "main/arguments.h"
#include "main/commands.h"
#include "main/import_prices.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { EXIT_LEFT_OVER = 3 }; /* --strict: something is left to do */

struct order {
    const char *path, *output, *prices, *report, *date;
    bool json, strict, force;
};

/* The length of the folder's name, with its slash; 0 for the one that we are in. */
static int folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (int)(slash - path) + 1 : 0;
}

static enum weir_status load_included(void *context, struct weir_arena *arena, struct weir_span name,
                                      struct weir_span *text, struct weir_error *error) {
    const struct order *order = context;
    bool absolute = name.length > 0 && name.at[0] == '/';
    char *path = weir_arena_format(arena, "%.*s%.*s", absolute ? 0 : folder_of(order->path), order->path,
                                   WEIR_SPAN_PRINT(name));
    return path != NULL ? weir_config_load(arena, path, text, error) : WEIR_ENOMEM;
}

/* Where the price file goes, and how weir.yaml names it: by its name alone beside weir.yaml, else by its whole path. */
static enum weir_status place_prices(struct weir_arena *arena, struct order *order, struct weir_span *named) {
    char folder[4096];
    *named = WEIR_SPAN("");
    if (order->prices == NULL && order->output == NULL)
        return WEIR_OK;
    if (order->prices == NULL)
        order->prices = weir_arena_format(arena, "%.*sweir-prices.json", folder_of(order->output), order->output);
    if (order->prices == NULL)
        return WEIR_ENOMEM;
    bool beside = order->output != NULL && folder_of(order->output) == folder_of(order->prices) &&
                  strncmp(order->output, order->prices, (size_t)folder_of(order->prices)) == 0;
    const char *text = order->prices;
    if (beside)
        text += folder_of(order->prices);
    else if (text[0] != '/' && getcwd(folder, sizeof folder) != NULL)
        text = weir_arena_format(arena, "%s/%s", folder, order->prices);
    if (text == NULL)
        return WEIR_ENOMEM;
    *named = weir_span_of_string(text);
    return WEIR_OK;
}

/* --- writing --- */

static bool may_write(const struct order *order, const char *path) {
    if (path == NULL || order->force || access(path, F_OK) != 0)
        return true;
    fprintf(stderr, "weir: %s is there already; --force writes over it\n", path);
    return false;
}

static enum weir_status write_file(const struct order *order, const char *path, struct weir_span text) {
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (order->force ? O_TRUNC : O_EXCL);
    int file = open(path, flags, 0644);
    size_t written = 0;
    while (file >= 0 && written < text.length) {
        ssize_t count = write(file, text.at + written, text.length - written);
        if (count <= 0)
            break;
        written += (size_t)count;
    }
    bool good = file >= 0 && written == text.length && close(file) == 0;
    if (!good)
        fprintf(stderr, "weir: %s: %s\n", path, strerror(errno));
    return good ? WEIR_OK : WEIR_EIO;
}

static enum weir_status write_all(const struct order *order, const struct weir_import *import, struct weir_span prices,
                                  struct weir_span report) {
    enum weir_status status = WEIR_OK;
    if (!may_write(order, order->output) || !may_write(order, order->report) ||
        !may_write(order, prices.length > 0 ? order->prices : NULL))
        return WEIR_EIO;
    if (prices.length > 0)
        status = write_file(order, order->prices, prices);
    if (status == WEIR_OK && order->output != NULL)
        status = write_file(order, order->output, import->settings);
    if (status == WEIR_OK && order->output == NULL)
        printf("%.*s", WEIR_SPAN_PRINT(import->settings));
    if (status == WEIR_OK && order->report != NULL)
        status = write_file(order, order->report, report);
    else if (status == WEIR_OK)
        fprintf(order->output != NULL ? stdout : stderr, "%.*s", WEIR_SPAN_PRINT(report));
    return status;
}

/* --- the whole --- */

static enum weir_status finish(const struct order *order, struct weir_import *import, struct weir_error *error) {
    struct weir_buffer prices, notes, report;
    char today[WEIR_TIMESTAMP_SIZE];
    enum weir_status status = WEIR_OK;
    struct weir_span name = weir_span_of_string(order->path + folder_of(order->path));
    weir_clock_format_utc(weir_clock_utc_us(), today);
    weir_buffer_init(&prices, 64 * WEIR_MIB);
    weir_buffer_init(&notes, 16 * WEIR_MIB);
    weir_buffer_init(&report, 64 * WEIR_MIB);
    if (import->price_map.length > 0)
        status = main__import_prices(import->price_map, name,
                                     order->date != NULL ? weir_span_of_string(order->date) : weir_span_of(today, 10),
                                     &prices, &notes, error);
    import->notes = weir_buffer_span(&notes);
    if (status == WEIR_OK) {
        weir_import_report(import, weir_span_of_string(order->path), order->json, &report);
        status = weir_buffer_status(&report);
    }
    if (status == WEIR_OK)
        status = write_all(order, import, weir_buffer_span(&prices), weir_buffer_span(&report));
    weir_buffer_release(&prices);
    weir_buffer_release(&notes);
    weir_buffer_release(&report);
    return status;
}

static int import_litellm(struct order *order) {
    struct weir_arena *arena = weir_arena_new(0, 512 * WEIR_MIB);
    struct weir_buffer problems;
    struct weir_error error = {.text = ""};
    struct weir_import import = {.rows = NULL};
    struct weir_import_source source = {.name = weir_span_of_string(order->path),
                                        .load = load_included,
                                        .context = order};
    weir_buffer_init(&problems, WEIR_MIB);
    enum weir_status status = arena == NULL ? WEIR_ENOMEM : weir_config_load(arena, order->path, &source.text, &error);
    if (status == WEIR_OK)
        status = place_prices(arena, order, &source.prices_file);
    if (status == WEIR_OK)
        status = weir_import_litellm(arena, &source, &import, &problems);
    fprintf(stderr, "%.*s", WEIR_SPAN_PRINT(weir_buffer_span(&problems)));
    bool told = problems.length > 0;
    if (status == WEIR_OK) {
        status = finish(order, &import, &error);
        told = status == WEIR_EIO;
    }
    if (status != WEIR_OK && !told)
        fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : weir_status_name(status));
    bool left_over = import.counts[WEIR_IMPORT_BY_HAND] + import.counts[WEIR_IMPORT_UNSUPPORTED] > 0;
    weir_buffer_release(&problems);
    if (arena != NULL)
        weir_arena_wipe(arena);
    weir_arena_free(&arena);
    return status != WEIR_OK ? MAIN_EXIT_FAILED : order->strict && left_over ? (int)EXIT_LEFT_OVER : 0;
}

int main__import(int argc, char **argv) {
    struct order order = {.path = NULL};
    const char *format = NULL;
    const struct main__flag all[] = {
        {"--output", "-o", MAIN_FLAG_TEXT, &order.output, "FILE", "where weir.yaml goes (default: standard output)"},
        {"--prices", NULL, MAIN_FLAG_TEXT, &order.prices, "FILE",
         "where the price file goes, if there are costs (default: weir-prices.json beside --output)"},
        {"--report", NULL, MAIN_FLAG_TEXT, &order.report, "FILE",
         "where the report goes (default: standard output; without --output, standard error)"},
        {"--format", NULL, MAIN_FLAG_TEXT, &format, "FORMAT", "of the report: text (default) or json"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &order.json, NULL, "the same as --format json"},
        {"--date", NULL, MAIN_FLAG_TEXT, &order.date, "DATE", "of what day the costs are (default: today)"},
        {"--force", NULL, MAIN_FLAG_SWITCH, &order.force, NULL, "write over files that are there"},
        {"--strict", NULL, MAIN_FLAG_SWITCH, &order.strict, NULL,
         "exit with 3 where something is unsupported or left to do by hand"},
    };
    const struct main__command command = {
        "weir import litellm FILE [--output FILE] [options]",
        "Reads the settings of the widely used proxy (its config.yaml, with the files that it includes) and writes weir.yaml, a price\nfile, "
        "and a report that says of each setting what became of it: exact, approximate, by hand, unsupported. Literal credentials\n"
        "are not taken over: the report says which variables to set. Exit codes: 0 done, 1 the file cannot be read or is no good,\n"
        "2 wrong usage, 3 with --strict.",
        all,
        sizeof all / sizeof *all,
        2,
        2};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    if (format != NULL && strcmp(format, "json") == 0)
        order.json = true;
    else if (format != NULL && strcmp(format, "text") != 0) {
        fprintf(stderr, "weir: --format is text or json, not '%s'\n", format);
        return MAIN_EXIT_USAGE;
    }
    if (strcmp(operands[0], "litellm") != 0) {
        fprintf(stderr, "usage: %s\n", command.usage);
        return MAIN_EXIT_USAGE;
    }
    order.path = operands[1];
    return import_litellm(&order);
}

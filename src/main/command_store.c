/* weir store: what the database is, and what a newer program would do to its tables. */
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"

struct store_flags {
    const char *config;
    bool dry_run;
};

static int tell(enum weir_status status, const struct weir_error *error) {
    fprintf(stderr, "weir: %s\n", error->text[0] != '\0' ? error->text : weir_status_name(status));
    return MAIN_EXIT_FAILED;
}

static void print_steps(const struct weir_store_migration *migration) {
    for (size_t i = 0; i < migration->count; i++)
        printf("  %s\n", migration->steps[i]);
}

static int status_of(const struct main__settings *settings, const struct weir_store_migration *migration) {
    printf("directory    %s\nenvironment  %s\ntables       step %lld", settings->data_dir, settings->environment,
           (long long)migration->from_step);
    if (migration->from_step == migration->to_step)
        printf(", as this program knows them\n");
    else if (migration->from_step > migration->to_step)
        printf(", of a newer program; this one knows step %lld and works with them\n", (long long)migration->to_step);
    else
        printf("; this program brings them to step %lld:\n", (long long)migration->to_step);
    print_steps(migration);
    return 0;
}

static int migrate(const struct main__settings *settings, const struct weir_store_migration *migration, bool dry_run) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    if (migration->count == 0) {
        fprintf(stderr, "nothing to do: the tables are at step %lld\n", (long long)migration->from_step);
        return 0;
    }
    print_steps(migration);
    if (migration->ends_older_programs)
        fprintf(stderr, "older programs will refuse the database afterwards: make a backup first (weir backup)\n");
    if (dry_run) {
        fprintf(stderr, "would go from step %lld to %lld; all of it was tried and taken back\n",
                (long long)migration->from_step, (long long)migration->to_step);
        return 0;
    }
    enum weir_status status = main__store_open(settings, false, &engine, &error);
    if (status != WEIR_OK)
        return tell(status, &error);
    weir_store_direct_close(&engine);
    fprintf(stderr, "went from step %lld to %lld\n", (long long)migration->from_step, (long long)migration->to_step);
    return 0;
}

int main__store(int argc, char **argv) {
    struct store_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--dry-run", NULL, MAIN_FLAG_SWITCH, &flags.dry_run, NULL,
         "migrate: try all of it, take it back, and say what it was"},
    };
    const struct main__command command = {
        "weir store status | migrate [--dry-run]",
        "Says which step the database's tables are at, and brings them to this program's step, as its first start would.\nA step is one transaction: it "
        "is done wholly or not at all.",
        all,
        sizeof all / sizeof *all,
        1,
        1};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    bool wants_status = strcmp(operands[0], "status") == 0;
    if ((!wants_status && strcmp(operands[0], "migrate") != 0) || (wants_status && flags.dry_run)) {
        fprintf(stderr, "weir: expected `weir store status` or `weir store migrate`\nusage: %s\n", command.usage);
        return MAIN_EXIT_USAGE;
    }
    struct main__settings settings;
    struct weir_store_migration migration;
    struct weir_error error = {.text = ""};
    int code = MAIN_EXIT_FAILED;
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    if (arena != NULL && main__settings_for_command(arena, flags.config, &settings) == WEIR_OK) {
        enum weir_status status = weir_store_direct_migration(settings.data_dir, settings.environment, &migration,
                                                              &error);
        main__add_place(status, &error);
        code = status != WEIR_OK ? tell(status, &error)
               : wants_status    ? status_of(&settings, &migration)
                                 : migrate(&settings, &migration, flags.dry_run);
    }
    weir_arena_free(&arena);
    return code;
}

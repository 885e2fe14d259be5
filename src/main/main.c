/* weir: the words of the command line and who runs them. */
#include "base/span.h"
#include "config/config.h"
#include "main/arguments.h"
#include "main/commands.h"
#include "sim/sim.h"

#include <sys/prctl.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *prose;
} commands[] = {
    {"serve", main__serve, "run the gateway: data plane and operator plane"},
    {"key", main__key, "create, list, rotate and revoke API keys"},
    {"budget", main__budget, "see, make, raise and reset budgets; forecasts and alerts"},
    {"limit", main__limit, "see and make limits on requests and tokens"},
    {"operator", main__operator, "create and disable operators, their tokens and passwords"},
    {"billing", main__billing, "purchases, and the credits of workspaces"},
    {"ledger", main__ledger, "list and export what was used and charged"},
    {"usage", main__usage, "sum up what was used and charged, by key, model, day and more"},
    {"reconcile", main__reconcile, "compare a provider's usage export with the ledger"},
    {"receipts", main__receipts, "signed receipts of what was charged: export, show, verify"},
    {"requests", main__requests, "list requests; tell the story of one by any of its ids"},
    {"secrets", main__secrets, "keep secrets sealed in the store; sealing keys"},
    {"backup", main__backup, "write the whole store to one file, while a server runs"},
    {"restore", main__restore, "check a backup and put it back"},
    {"store", main__store, "what the database is; migrate its tables"},
    {"audit", main__audit, "verify, list and export the audit trail"},
    {"config", main__config, "check a settings file; explain settings"},
    {"import", main__import, "take over another gateway's settings"},
    {"prices", main__prices, "import a price map; list prices"},
    {"sim", weir_sim_main, "run the provider simulator"},
    {"metrics", main__metrics, "describe the metrics"},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void help(FILE *out) {
    fprintf(
        out,
        "usage: weir COMMAND [options]\n\nThe AI gateway: one program that authenticates, meters, routes and records AI traffic.\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].prose);
    fprintf(out, "\nEvery command has --help. Results go to standard output, words to standard error.\n"
                 "Exit codes: 0 done, 1 failed, 2 wrong usage.\n\nStart with: weir serve --demo\n");
}

/* A core dump would hold the environment and the settings, and so credentials; who may look into the process could read them, too. */
static void keep_memory_private(void) {
    const char *wanted = getenv("WEIR_CORE_DUMPS");
    if (wanted == NULL || strcmp(wanted, "1") != 0)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int main(int argc, char **argv) {
    keep_memory_private();
    if (argc < 2) {
        help(stderr);
        return MAIN_EXIT_USAGE;
    }
    struct weir_span word = weir_span_of_string(argv[1]);
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
        if (weir_span_equal(word, weir_span_of_string(names[i])))
            return commands[i].run(argc - 1, argv + 1);
    }
    if (weir_span_equal(word, WEIR_SPAN("--version")) || weir_span_equal(word, WEIR_SPAN("version"))) {
        printf("weir %s\n", WEIR_VERSION);
        return 0;
    }
    if (weir_span_equal(word, WEIR_SPAN("--help")) || weir_span_equal(word, WEIR_SPAN("-h")) ||
        weir_span_equal(word, WEIR_SPAN("help"))) {
        help(stdout);
        return 0;
    }
    const char *nearest = weir_config_nearest(word, names, COMMAND_COUNT);
    fprintf(stderr, "weir: there is no command '%s'", argv[1]);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean '%s'?", nearest);
    fprintf(stderr, "\nMore with: weir --help\n");
    return MAIN_EXIT_USAGE;
}

/* Command lines: a command's flags are a table; help, errors and near misses come from it. */
#ifndef WEIR_MAIN_ARGUMENTS_H
#define WEIR_MAIN_ARGUMENTS_H

#include "base/span.h"

enum main__flag_kind { MAIN_FLAG_SWITCH, MAIN_FLAG_TEXT };

struct main__flag {
    const char *name;  /* "--config" */
    const char *brief; /* "-c", or NULL */
    enum main__flag_kind kind;
    void *value;      /* bool * or const char ** */
    const char *what; /* of a text: "FILE" */
    const char *prose;
};

struct main__command {
    const char *usage; /* "weir key create --name NAME [options]" */
    const char *prose; /* what it does, a few lines */
    const struct main__flag *flags;
    size_t flag_count;
    size_t minimum, maximum; /* operands */
};

/* What to do after reading the arguments. */
enum main__parsed { MAIN_PARSED_GO, MAIN_PARSED_HELP, MAIN_PARSED_WRONG };
enum { MAIN_MAX_OPERANDS = 4, MAIN_EXIT_FAILED = 1, MAIN_EXIT_USAGE = 2 };

/* argv[0] is the command's word. Prints help to standard output, or what is wrong and how to get help to standard error. */
enum main__parsed main__parse(const struct main__command *command, int argc, char **argv,
                              const char *operands[MAIN_MAX_OPERANDS], size_t *operand_count);

#endif

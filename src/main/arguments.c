/* See arguments.h. */
#include "main/arguments.h"

#include "config/config.h"

static void print_help(const struct main__command *command) {
    printf("usage: %s\n\n%s\n", command->usage, command->prose);
    if (command->flag_count > 0)
        printf("\noptions:\n");
    for (size_t i = 0; i < command->flag_count; i++) {
        const struct main__flag *flag = &command->flags[i];
        char left[64];
        (void)snprintf(left, sizeof left, "%s%s%s%s%s", flag->brief != NULL ? flag->brief : "",
                       flag->brief != NULL ? ", " : "", flag->name, flag->what != NULL ? " " : "",
                       flag->what != NULL ? flag->what : "");
        /* Columns are counted in characters, of which some have several bytes. */
        int bytes_behind_first = 0;
        for (const char *at = left; *at != '\0'; at++)
            bytes_behind_first += ((unsigned char)*at & 0xC0) == 0x80;
        printf("  %-*s %s\n", 26 + bytes_behind_first, left, flag->prose);
    }
    printf("  %-26s %s\n", "-h, --help", "this text");
}

static const struct main__flag *find(const struct main__command *command, struct weir_span name) {
    for (size_t i = 0; i < command->flag_count; i++)
        if (weir_span_equal(name, weir_span_of_string(command->flags[i].name)) ||
            (command->flags[i].brief != NULL && weir_span_equal(name, weir_span_of_string(command->flags[i].brief))))
            return &command->flags[i];
    return NULL;
}

static enum main__parsed wrong(const struct main__command *command, const char *what, struct weir_span word) {
    const char *names[32];
    size_t count = 0;
    for (; count < command->flag_count && count < 32; count++)
        names[count] = command->flags[count].name;
    const char *nearest = word.length > 1 && word.at[0] == '-' ? weir_config_nearest(word, names, count) : NULL;
    fprintf(stderr, "weir: %s%s%.*s%s", what, word.length > 0 ? " '" : "", WEIR_SPAN_PRINT(word),
            word.length > 0 ? "'" : "");
    if (nearest != NULL)
        fprintf(stderr, "; did you mean '%s'?", nearest);
    fprintf(stderr, "\nusage: %s\nMore with --help.\n", command->usage);
    return MAIN_PARSED_WRONG;
}

enum main__parsed main__parse(const struct main__command *command, int argc, char **argv,
                              const char *operands[MAIN_MAX_OPERANDS], size_t *operand_count) {
    *operand_count = 0;
    for (int i = 1; i < argc; i++) {
        struct weir_span word = weir_span_of_string(argv[i]), name = word, value = WEIR_SPAN("");
        if (weir_span_equal(word, WEIR_SPAN("--help")) || weir_span_equal(word, WEIR_SPAN("-h"))) {
            print_help(command);
            return MAIN_PARSED_HELP;
        }
        if (word.length < 2 || word.at[0] != '-') {
            if (*operand_count >= command->maximum || *operand_count >= MAIN_MAX_OPERANDS)
                return wrong(command, "unexpected argument", word);
            operands[(*operand_count)++] = argv[i];
            continue;
        }
        bool joined = word.at[1] == '-' && weir_span_split(word, '=', &name, &value);
        const struct main__flag *flag = find(command, name);
        if (flag == NULL)
            return wrong(command, "unknown option", name);
        if (flag->kind == MAIN_FLAG_SWITCH) {
            if (joined)
                return wrong(command, "this option takes no value:", name);
            *(bool *)flag->value = true;
        } else if (joined) {
            *(const char **)flag->value = value.at;
        } else if (i + 1 < argc) {
            *(const char **)flag->value = argv[++i];
        } else {
            return wrong(command, "this option needs a value:", name);
        }
    }
    if (*operand_count < command->minimum)
        return wrong(command, "an argument is missing", WEIR_SPAN(""));
    return MAIN_PARSED_GO;
}

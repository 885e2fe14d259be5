/* What the command line says. */
#ifndef WEIR_SIM_SETTINGS_H
#define WEIR_SIM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct sim_settings {
    const char *listen;
    const char *log_file; /* NULL: none */
    int64_t first_token_ms;
    int64_t tokens_per_second; /* 0: all at once */
    int64_t output_tokens;
    bool with_parent;
    bool no_auth;
    bool quiet;
    bool help;
};

enum { SIM_MAX_TOKENS = 1000000 };

#endif

/* All settings of the program: every module's tables, and where their values go. */
#ifndef WEIR_MAIN_SETTINGS_H
#define WEIR_MAIN_SETTINGS_H

#include "config/config.h"
#include "gateway/gateway.h"

struct main__general_settings {
    int environment; /* index in main__environments */
    struct weir_span brand;
    struct weir_span data_dir;
    struct weir_span prices_file;
    int log_level; /* enum weir_log_level */
    int64_t shutdown_timeout_ms;
};

struct main__server_settings {
    struct weir_span listen;
    int64_t workers;
    struct weir_span tls_certificate;
    struct weir_span tls_key;
    struct weir_texts trusted_proxies;
};

struct main__operator_settings {
    struct weir_span listen;
    bool allow_remote;
    struct weir_texts allow;
    struct weir_span tls_certificate;
    struct weir_span tls_key;
    int64_t session_ms;
};

struct main__keys_settings {
    int64_t rotation_due_ms;
};

struct main__audit_settings {
    int64_t retention_ms; /* 0: for ever */
    struct weir_span sink;
};

struct main__ledger_settings {
    int64_t retention_ms;
};

struct main__usage_settings {
    int64_t hours_kept_ms;
};

struct main__records_settings {
    int64_t retention_ms;   /* 0: none are kept */
    int64_t sample_percent; /* of the requests that went well */
    int64_t content_retention_ms;
};

struct main__secrets_settings {
    struct weir_span sealing_key;            /* a reference */
    struct weir_texts previous_sealing_keys; /* references */
};

struct main__backup_settings {
    struct weir_span directory; /* empty: no scheduled backups */
    int64_t interval_ms;
    int64_t keep;
    bool seal;
};

struct main__journal_settings {
    int sync; /* 0 none, 1 group */
};

struct main__settings {
    struct main__general_settings general;
    struct weir_catalog_settings catalog;
    struct main__server_settings server;
    struct main__operator_settings operator_plane;
    struct main__journal_settings journal;
    struct main__keys_settings keys;
    struct main__audit_settings audit;
    struct main__records_settings records;
    struct main__ledger_settings ledger;
    struct main__usage_settings usage;
    struct main__secrets_settings secrets;
    struct main__backup_settings backup;
    struct weir_meter_settings meter;
    struct weir_gateway_settings gateway;
    /* derived */
    const char *environment;  /* "dev", "stage", "prod" */
    const char *data_dir;     /* relative ones are below the file's folder */
    const char *backup_dir;   /* the same; "": none */
    const char *prices_file;  /* with the settings file's folder; \"\": the built-in one */
    bool catalog_is_implicit; /* no providers were configured */
    bool without_store;       /* secrets of the store are taken as being there (`weir config check`) */
    struct weir_span text;    /* of the file, in the arena, and */
    const char *file_name;    /* its name, for telling where a problem stands */
    bool has_file;            /* false: both stand for a file that there is not */
};

enum { MAIN_SECTION_COUNT = 20 };
/* The sections with their tables, pointing into `settings`. */
void main__settings_sections(struct main__settings *settings, struct weir_config_section sections[MAIN_SECTION_COUNT]);

/* Reads FILE (NULL: weir.yaml in the working directory if there is one, else nothing) into `arena`. On failure *problems says all that is wrong, a
 * line each. */
WEIR_MUST enum weir_status main__settings_load(struct weir_arena *arena, const char *path,
                                               struct main__settings *settings, struct weir_buffer *problems);
/* The same settings again, from the text that `read` was read from: for a revision of its own, in its own arena. */
WEIR_MUST enum weir_status main__settings_load_again(struct weir_arena *arena, const struct main__settings *read,
                                                     struct main__settings *settings, struct weir_buffer *problems);
/* validate.c: what a start would refuse. */
void main__settings_check(const struct main__settings *settings, struct weir_buffer *problems);
bool main__is_loopback_address(struct weir_span address);
/* True when the usual environment variables name a provider (publish.c). */
bool main__environment_names_provider(void);

/* Copies lines that begin with a setting ("brand: …"), the place where that setting stands in front of each. */
void main__place_problems(const struct main__settings *settings, struct weir_span lines, struct weir_buffer *problems);
/* The same for a server's start, and for a command that needs only some of them: nothing is checked that only a server needs. Both print
 * what is wrong to standard error. */
WEIR_MUST enum weir_status main__settings_for_server(struct weir_arena *arena, const char *path,
                                                     struct main__settings *settings);
WEIR_MUST enum weir_status main__settings_for_command(struct weir_arena *arena, const char *path,
                                                      struct main__settings *settings);

#endif

/* The settings that belong to the process as a whole, and the list of all tables. */
#include "main/settings.h"

#include <unistd.h>

static const char *const environments[] = {"dev",           "stage",           "prod", "development=dev",
                                           "staging=stage", "production=prod", NULL};
static const char *const levels[] = {"debug", "info", "warning", "error", "warn=warning", NULL};
static const char *const syncs[] = {"none", "group", NULL};

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define GENERAL(member) offsetof(struct main__general_settings, member)
static const struct weir_option general_rows[] = {
    {.name = "environment",
     .kind = WEIR_OPTION_CHOICE,
     .offset = GENERAL(environment),
     .initial = "dev",
     .choices = environments,
     .environment = "ENVIRONMENT",
     .prose = "What this process and its database serve. Keys of another environment are refused from their prefix."},
    {.name = "brand",
     .kind = WEIR_OPTION_TEXT,
     .offset = GENERAL(brand),
     .initial = "weir",
     .environment = "WEIR_BRAND",
     .prose =
         "Prefix of keys (`weir_prod_…`) and, in capitals, of error codes (`WEIR_RATE_LIMITED`): lower-case letters and digits."},
    {.name = "data_dir",
     .kind = WEIR_OPTION_TEXT,
     .offset = GENERAL(data_dir),
     .initial = "weir-data",
     .environment = "WEIR_DATA_DIR",
     .prose = "Where the database and the journal live. A relative path counts from the folder of the settings file."},
    {.name = "prices_file",
     .kind = WEIR_OPTION_TEXT,
     .offset = GENERAL(prices_file),
     .environment = "WEIR_PRICES_FILE",
     .live = true,
     .prose =
         "A price file to use instead of the built-in one (see `weir prices import`). A relative path counts from the folder of the settings file."},
    {.name = "log_level",
     .kind = WEIR_OPTION_CHOICE,
     .offset = GENERAL(log_level),
     .initial = "info",
     .choices = levels,
     .environment = "LOG_LEVEL",
     .prose = "The least severe log lines to write. Lines are JSON, on standard error."},
    {.name = "shutdown_timeout",
     .kind = WEIR_OPTION_DURATION,
     .offset = GENERAL(shutdown_timeout_ms),
     .initial = "30s",
     .unit = "s",
     .minimum = 0,
     .maximum = 3600000,
     .environment = "SHUTDOWN_TIMEOUT_SECONDS",
     .live = true,
     .prose = "How long requests in flight may go on after SIGTERM."},
};
static const struct weir_option_table general_table = {"", general_rows, COUNT(general_rows),
                                                       sizeof(struct main__general_settings)};

#define SERVER(member) offsetof(struct main__server_settings, member)
static const struct weir_option server_rows[] = {
    {.name = "listen",
     .kind = WEIR_OPTION_TEXT,
     .offset = SERVER(listen),
     .environment = "WEIR_LISTEN",
     .prose = "The data plane's address. Without it `0.0.0.0:8080`, or `127.0.0.1:8080` in dev without TLS."},
    {.name = "workers",
     .kind = WEIR_OPTION_INTEGER,
     .offset = SERVER(workers),
     .initial = "0",
     .minimum = 0,
     .maximum = 256,
     .environment = "WEIR_WORKERS",
     .prose = "Worker threads; 0: one a core."},
    {.name = "tls_certificate",
     .kind = WEIR_OPTION_TEXT,
     .offset = SERVER(tls_certificate),
     .prose = "A PEM file with the certificate and its chain; with `tls_key` the data plane speaks TLS 1.2 and up."},
    {.name = "tls_key",
     .kind = WEIR_OPTION_TEXT,
     .offset = SERVER(tls_key),
     .prose = "The certificate's private key, a PEM file."},
    {.name = "trusted_proxies",
     .kind = WEIR_OPTION_TEXTS,
     .offset = SERVER(trusted_proxies),
     .live = true,
     .prose =
         "Networks of the proxies in front of the data plane (`10.0.0.0/8`). From them alone the client's address is taken out of `Forwarded` or `X-Forwarded-For`, from the right."},
};
static const struct weir_option_table server_table = {"server", server_rows, COUNT(server_rows),
                                                      sizeof(struct main__server_settings)};

#define OPERATOR(member) offsetof(struct main__operator_settings, member)
static const struct weir_option operator_rows[] = {
    {.name = "listen",
     .kind = WEIR_OPTION_TEXT,
     .offset = OPERATOR(listen),
     .initial = "127.0.0.1:8000",
     .environment = "WEIR_OPERATOR_LISTEN",
     .prose = "The operator plane's address."},
    {.name = "allow_remote",
     .kind = WEIR_OPTION_BOOL,
     .offset = OPERATOR(allow_remote),
     .initial = "false",
     .prose =
         "Let the operator plane listen on an address that is not loopback without both `operator.allow` and TLS. The log and `/health` say so then."},
    {.name = "allow",
     .kind = WEIR_OPTION_TEXTS,
     .offset = OPERATOR(allow),
     .live = true,
     .prose =
         "Networks that may use the operator plane (`192.0.2.0/24`). Needed, with TLS, where it listens on an address that is not loopback; empty: any that reaches it."},
    {.name = "tls_certificate",
     .kind = WEIR_OPTION_TEXT,
     .offset = OPERATOR(tls_certificate),
     .prose = "A PEM file with the operator plane's certificate and its chain; with `tls_key` it speaks TLS."},
    {.name = "tls_key",
     .kind = WEIR_OPTION_TEXT,
     .offset = OPERATOR(tls_key),
     .prose = "The certificate's private key, a PEM file."},
    {.name = "session",
     .kind = WEIR_OPTION_DURATION,
     .offset = OPERATOR(session_ms),
     .initial = "8h",
     .unit = "s",
     .minimum = 60000,
     .maximum = (int64_t)7 * 24 * 3600000,
     .prose = "How long a login of an operator is good for."},
};
static const struct weir_option_table operator_table = {"operator", operator_rows, COUNT(operator_rows),
                                                        sizeof(struct main__operator_settings)};

static const struct weir_option journal_rows[] = {
    {.name = "sync",
     .kind = WEIR_OPTION_CHOICE,
     .offset = offsetof(struct main__journal_settings, sync),
     .initial = "none",
     .choices = syncs,
     .prose =
         "`none`: the journal survives the death of the process. `group`: it is also forced to disk every few milliseconds, for power loss."},
};
static const struct weir_option_table journal_table = {"journal", journal_rows, COUNT(journal_rows),
                                                       sizeof(struct main__journal_settings)};

static const struct weir_option keys_rows[] = {
    {.name = "rotation_due",
     .kind = WEIR_OPTION_DURATION,
     .offset = offsetof(struct main__keys_settings, rotation_due_ms),
     .initial = "90d",
     .unit = "s",
     .minimum = 0,
     .maximum = (int64_t)3650 * 24 * 3600000,
     .prose =
         "The age at which an API key should be rotated: older ones are marked, counted in a metric and logged once a day. 0: never."},
};
static const struct weir_option_table keys_table = {"keys", keys_rows, COUNT(keys_rows),
                                                    sizeof(struct main__keys_settings)};

#define AUDIT(member) offsetof(struct main__audit_settings, member)
static const struct weir_option audit_rows[] = {
    {.name = "retention",
     .kind = WEIR_OPTION_DURATION,
     .offset = AUDIT(retention_ms),
     .initial = "90d",
     .unit = "s",
     .minimum = 0,
     .maximum = (int64_t)36500 * 24 * 3600000,
     .prose = "How long entries of the audit trail are kept. 0: for ever."},
    {.name = "sink",
     .kind = WEIR_OPTION_TEXT,
     .offset = AUDIT(sink),
     .plain = true,
     .prose =
         "Where entries of the audit trail go besides: `file:PATH` (JSON lines; here it does not name a file to read the setting from), `syslog:` (this machine's), `udp://HOST:PORT` or `tcp://HOST:PORT` (RFC 5424). Empty: nowhere."},
};
static const struct weir_option_table audit_table = {"audit", audit_rows, COUNT(audit_rows),
                                                     sizeof(struct main__audit_settings)};

#define RECORDS(member) offsetof(struct main__records_settings, member)
static const struct weir_option records_rows[] = {
    {.name = "retention",
     .kind = WEIR_OPTION_DURATION,
     .offset = RECORDS(retention_ms),
     .initial = "30d",
     .unit = "s",
     .minimum = 0,
     .maximum = (int64_t)3650 * 24 * 3600000,
     .prose =
         "How long the records of requests are kept, by days; the ledger is kept apart from them. 0: none are written."},
    {.name = "sample_percent",
     .kind = WEIR_OPTION_INTEGER,
     .offset = RECORDS(sample_percent),
     .initial = "100",
     .minimum = 0,
     .maximum = 100,
     .prose = "Of how many of the requests that went well a record is kept. Failed and refused ones always have one."},
    {.name = "content_retention",
     .kind = WEIR_OPTION_DURATION,
     .offset = RECORDS(content_retention_ms),
     .initial = "7d",
     .unit = "s",
     .minimum = 0,
     .maximum = (int64_t)3650 * 24 * 3600000,
     .prose =
         "How long captured contents are kept, for the workspaces that have them captured. It counts for contents to come. 0: none are captured."},
};
static const struct weir_option_table records_table = {"records", records_rows, COUNT(records_rows),
                                                       sizeof(struct main__records_settings)};

static const struct weir_option ledger_rows[] = {
    {.name = "retention",
     .kind = WEIR_OPTION_DURATION,
     .offset = offsetof(struct main__ledger_settings, retention_ms),
     .initial = "0",
     .unit = "s",
     .minimum = 0,
     .maximum = (int64_t)36500 * 24 * 3600000,
     .prose =
         "How long entries of the ledger are kept. What was spent and used stays known by day, and by quarters of an hour for budgets. 0: for ever."},
};
static const struct weir_option_table ledger_table = {"ledger", ledger_rows, COUNT(ledger_rows),
                                                      sizeof(struct main__ledger_settings)};

static const struct weir_option usage_rows[] = {
    {.name = "hours_kept",
     .kind = WEIR_OPTION_DURATION,
     .offset = offsetof(struct main__usage_settings, hours_kept_ms),
     .initial = "90d",
     .unit = "s",
     .minimum = 0,
     .maximum = (int64_t)36500 * 24 * 3600000,
     .prose =
         "For how long reports can tell usage by the hour, by whole days. What is older is told by the day. 0: for ever."},
};
static const struct weir_option_table usage_table = {"usage", usage_rows, COUNT(usage_rows),
                                                     sizeof(struct main__usage_settings)};

#define SECRETS(member) offsetof(struct main__secrets_settings, member)
static const struct weir_option secrets_rows[] = {
    {.name = "sealing_key",
     .kind = WEIR_OPTION_SECRET,
     .offset = SECRETS(sealing_key),
     .environment = "WEIR_SEALING_KEY",
     .prose =
         "The key that secrets in the store are sealed with, `file:PATH` or `env:NAME`; `weir secrets generate` makes one. Without it secrets can be neither written nor opened."},
    {.name = "previous_sealing_keys",
     .kind = WEIR_OPTION_TEXTS,
     .offset = SECRETS(previous_sealing_keys),
     .references = true,
     .prose =
         "Earlier sealing keys, `file:PATH` or `env:NAME`: they still open, until `weir secrets rotate` has sealed everything anew."},
};
static const struct weir_option_table secrets_table = {"secrets", secrets_rows, COUNT(secrets_rows),
                                                       sizeof(struct main__secrets_settings)};

#define BACKUP(member) offsetof(struct main__backup_settings, member)
static const struct weir_option backup_rows[] = {
    {.name = "directory",
     .kind = WEIR_OPTION_TEXT,
     .offset = BACKUP(directory),
     .prose =
         "The folder for scheduled backups. A relative path counts from the folder of the settings file. Empty: none are made."},
    {.name = "interval",
     .kind = WEIR_OPTION_DURATION,
     .offset = BACKUP(interval_ms),
     .initial = "1h",
     .unit = "s",
     .minimum = 60000,
     .maximum = (int64_t)30 * 24 * 3600000,
     .prose = "How often a backup is made."},
    {.name = "keep",
     .kind = WEIR_OPTION_INTEGER,
     .offset = BACKUP(keep),
     .initial = "24",
     .minimum = 1,
     .maximum = 10000,
     .prose = "How many scheduled backups are kept; older ones are removed once a new one is whole."},
    {.name = "seal",
     .kind = WEIR_OPTION_BOOL,
     .offset = BACKUP(seal),
     .initial = "false",
     .prose =
         "Seal the content of scheduled backups with the sealing key (`secrets.sealing_key`): without that key they are of no use to anybody."},
};
static const struct weir_option_table backup_table = {"backup", backup_rows, COUNT(backup_rows),
                                                      sizeof(struct main__backup_settings)};

void main__settings_sections(struct main__settings *settings, struct weir_config_section sections[MAIN_SECTION_COUNT]) {
    const struct weir_config_section all[MAIN_SECTION_COUNT] = {
        {&general_table, &settings->general},
        {&server_table, &settings->server},
        {&operator_table, &settings->operator_plane},
        {&journal_table, &settings->journal},
        {&keys_table, &settings->keys},
        {&audit_table, &settings->audit},
        {&records_table, &settings->records},
        {&ledger_table, &settings->ledger},
        {&usage_table, &settings->usage},
        {&secrets_table, &settings->secrets},
        {&backup_table, &settings->backup},
        {&weir_meter_options, &settings->meter},
        {&weir_limits_options, &settings->gateway.limits},
        {&weir_timeouts_options, &settings->gateway.timeouts},
        {&weir_cors_options, &settings->gateway.cors},
        {&weir_auth_options, &settings->gateway.auth},
        {&weir_metrics_options, &settings->gateway.metrics},
        {&weir_billing_options, &settings->gateway.billing},
        {&weir_dialects_options, &settings->gateway.dialects},
        {&weir_catalog_options, &settings->catalog},
    };
    memcpy(sections, all, sizeof all);
}

/* Relative to the settings file's folder, so that every command finds the same data from anywhere. */
static const char *data_dir(struct weir_arena *arena, struct weir_span setting, const char *path) {
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    if (slash == NULL || (setting.length > 0 && setting.at[0] == '/'))
        return weir_arena_string(arena, setting);
    return weir_arena_format(arena, "%.*s/%.*s", (int)(slash - path), path, WEIR_SPAN_PRINT(setting));
}

void main__place_problems(const struct main__settings *settings, struct weir_span lines, struct weir_buffer *problems) {
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    struct weir_span line, setting, rest;
    while (lines.length > 0) {
        (void)weir_span_split(lines, '\n', &line, &lines);
        if (line.length == 0)
            continue;
        if (arena != NULL && weir_span_split(line, ':', &setting, &rest)) {
            weir_config_locate(arena, settings->text, settings->file_name, setting, problems);
            weir_buffer_append(problems, WEIR_SPAN(": "));
        }
        weir_buffer_append(problems, line);
        weir_buffer_append_byte(problems, '\n');
    }
    weir_arena_free(&arena);
}

/* `path` NULL: there is no file, and `text` is empty. */
static enum weir_status read_text(struct weir_arena *arena, const char *path, struct weir_span text, bool with_checks,
                                  struct main__settings *settings, struct weir_buffer *problems) {
    struct weir_config_section sections[MAIN_SECTION_COUNT];
    main__settings_sections(settings, sections);
    enum weir_status status = weir_config_read(arena, text, path != NULL ? path : "weir.yaml", sections,
                                               MAIN_SECTION_COUNT, weir_config_environment, NULL, problems);
    if (status != WEIR_OK)
        return status;
    struct weir_buffer found;
    weir_buffer_init(&found, WEIR_MIB);
    settings->text = text;
    settings->has_file = path != NULL;
    settings->file_name = path != NULL ? weir_arena_string(arena, weir_span_of_string(path)) : "no settings file";
    settings->catalog_is_implicit = settings->catalog.providers.count == 0;
    if (with_checks)
        main__settings_check(settings, &found);
    bool is_good = found.length == 0;
    main__place_problems(settings, weir_buffer_span(&found), problems);
    weir_buffer_release(&found);
    settings->environment = environments[settings->general.environment];
    settings->data_dir = data_dir(arena, settings->general.data_dir, path);
    settings->backup_dir = settings->backup.directory.length > 0 ? data_dir(arena, settings->backup.directory, path)
                                                                 : "";
    settings->prices_file = settings->general.prices_file.length > 0
                                ? data_dir(arena, settings->general.prices_file, path)
                                : "";
    return !is_good ? WEIR_EINVAL
           : settings->data_dir == NULL || settings->backup_dir == NULL || settings->prices_file == NULL ||
                   settings->file_name == NULL
               ? WEIR_ENOMEM
               : WEIR_OK;
}

static enum weir_status load(struct weir_arena *arena, const char *path, bool with_checks,
                             struct main__settings *settings, struct weir_buffer *problems) {
    struct weir_error error = {.text = ""};
    struct weir_span text = WEIR_SPAN("");
    if (path == NULL && access("weir.yaml", F_OK) == 0) /* one that cannot be read is an error */
        path = "weir.yaml";
    if (path != NULL) {
        enum weir_status status = weir_config_load(arena, path, &text, &error);
        if (status != WEIR_OK) {
            weir_buffer_printf(problems, "%s\n", error.text);
            return status;
        }
    }
    return read_text(arena, path, text, with_checks, settings, problems);
}

enum weir_status main__settings_load_again(struct weir_arena *arena, const struct main__settings *read,
                                           struct main__settings *settings, struct weir_buffer *problems) {
    struct weir_span text;
    const char *path = read->has_file ? weir_arena_string(arena, weir_span_of_string(read->file_name)) : NULL;
    if ((read->has_file && path == NULL) || weir_arena_dup(arena, read->text, &text) != WEIR_OK)
        return WEIR_ENOMEM;
    return read_text(arena, path, text, true, settings, problems);
}

enum weir_status main__settings_load(struct weir_arena *arena, const char *path, struct main__settings *settings,
                                     struct weir_buffer *problems) {
    return load(arena, path, true, settings, problems);
}

static enum weir_status load_or_tell(struct weir_arena *arena, const char *path, bool with_checks,
                                     struct main__settings *settings) {
    struct weir_buffer problems;
    weir_buffer_init(&problems, WEIR_MIB);
    enum weir_status status = load(arena, path, with_checks, settings, &problems);
    if (status != WEIR_OK)
        fprintf(stderr, "%.*s", WEIR_SPAN_PRINT(weir_buffer_span(&problems)));
    weir_buffer_release(&problems);
    return status;
}

enum weir_status main__settings_for_command(struct weir_arena *arena, const char *path,
                                            struct main__settings *settings) {
    return load_or_tell(arena, path, false, settings);
}

enum weir_status main__settings_for_server(struct weir_arena *arena, const char *path,
                                           struct main__settings *settings) {
    return load_or_tell(arena, path, true, settings);
}

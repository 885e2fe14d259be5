/* weir serve: boot order, signals, reload, and the end.
 *
 * The control thread is the process's first one: it owns the operator plane, the table of keys and what is published. Workers and the store have
 * threads of their own. Nothing is accepted before everything that an answer needs is there.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "meter/receipts_signer.h"
#include "main/arguments.h"
#include "main/commands.h"
#include "main/owner.h"
#include "main/serve.h"
#include "main/serve_meter.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum { WATCH_MS = 250, KEYS_WAIT_MS = 10000, NAP_US = 1000, KEPT_ISSUED_IDS = 16384 };

static const struct weir_log *log_of(const struct main__server *server) {
    return &server->gateway.log;
}

/* --- what the control thread watches --- */

static void on_watch(void *argument) {
    struct main__server *server = argument;
    struct weir_store_health health;
    weir_store_health(server->store, &health);
    bool was_available = server->board.store_available && server->board.journal_available;
    bool is_available = health.available && health.journal_available;
    server->board.store_available = health.available;
    server->board.journal_available = health.journal_available;
    server->board.store_backlog_bytes = health.journal_backlog_bytes;
    main__keys_turn(server);
    main__meter_turn(server);
    main__billing_turn(server);
    server->control_cpu_ns = weir_clock_thread_cpu_ns();
    if (server->backups != NULL) {
        struct weir_backup_state backups;
        main__backup_schedule_state(server->backups, &backups);
        server->board.backup_failed = backups.problem[0] != '\0';
        server->board.backup_utc_us = backups.last_utc_us;
    }
    if (is_available && !was_available)
        weir_log(log_of(server), WEIR_LOG_INFO, "store_back");
    else if (was_available && !is_available)
        weir_log(log_of(server), WEIR_LOG_ERROR, "store_unavailable", WEIR_LOG_T("problem", health.problem));
    weir_timer_start(server->loop, &server->watch, WATCH_MS, on_watch, server);
}

static void write_metrics(void *context, bool openmetrics, struct weir_buffer *out) {
    struct main__server *server = context;
    struct weir_store_health health;
    struct weir_backup_state backups = {.problem = ""};
    struct weir_trail_state trail;
    weir_store_health(server->store, &health);
    weir_trail_state(server->trail, &trail);
    if (server->backups != NULL)
        main__backup_schedule_state(server->backups, &backups);
    struct weir_metrics_facts facts = {.store_available = health.available,
                                       .journal_available = health.journal_available,
                                       .ingested_records = health.ingested_records,
                                       .journal_backlog_bytes = health.journal_backlog_bytes,
                                       .store_cpu_ns = health.cpu_ns,
                                       .control_cpu_ns = server->control_cpu_ns,
                                       .audit_sink_behind = trail.behind,
                                       .audit_sink_failures = trail.failures,
                                       .contents_left_out = health.contents_left_out,
                                       .version = WEIR_VERSION,
                                       .environment = server->board.environment,
                                       .revision = server->board.revision,
                                       .ready = weir_board_is_ready(&server->board),
                                       .keys = server->board.key_count,
                                       .keys_active = server->key_watch.active,
                                       .keys_rotation_due = server->key_watch.rotation_due,
                                       .keys_bytes = server->key_watch.bytes,
                                       .sealing_key = weir_sealing_can_seal(server->sealing),
                                       .has_backups = server->backups != NULL,
                                       .backup_utc_us = backups.last_utc_us,
                                       .backup_bytes = backups.last_bytes,
                                       .backup_failures = backups.failures,
                                       .start_utc_us = server->board.start_utc_us};
    main__alerts_count(server->alerts, &facts);
    main__meter_facts(server, &facts);
    weir_metrics_write(server->gateway.metrics, &facts, openmetrics, out);
}

/* --- signals and the end --- */

struct stopped_message {
    struct weir_message message;
    struct main__server *server;
};

static void run_stopped(struct weir_message *message) {
    struct stopped_message *stopped = WEIR_CONTAINER_OF(message, struct stopped_message, message);
    struct main__server *server = stopped->server;
    weir_memory_free(stopped);
    if (--server->workers_left == 0)
        weir_loop_stop(server->loop);
}

static void on_stopped(void *context) {
    struct main__server *server = context;
    struct stopped_message *stopped = weir_memory_new(1, sizeof *stopped);
    weir_bug_on(stopped == NULL);
    *stopped = (struct stopped_message){.message = {.run = run_stopped}, .server = server};
    weir_loop_post(server->loop, &stopped->message);
}

static void stop_workers(struct main__server *server, int64_t timeout_ms) {
    server->busy_workers = server->workers_left;
    for (unsigned i = 0; server->workers != NULL && i < server->worker_count; i++)
        if (server->workers[i] != NULL)
            weir_worker_stop(server->workers[i], timeout_ms);
}

static void stop(struct main__server *server) {
    if (server->stopping) { /* asked twice: what is left ends now, with words */
        for (unsigned i = 0; i < server->worker_count; i++)
            weir_worker_stop(server->workers[i], 0);
        return;
    }
    int64_t timeout_ms = server->live->settings.general.shutdown_timeout_ms;
    server->stopping = true;
    server->board.draining = true;
    main__publish_close(server);
    weir_log(log_of(server), WEIR_LOG_INFO, "draining", WEIR_LOG_I("timeout_ms", timeout_ms));
    weir_meter_drain(server->gateway.meter);
    stop_workers(server, timeout_ms);
}

static void on_stop_signal(uv_signal_t *handle, int signal_number) {
    (void)signal_number;
    stop(handle->data);
}

static void on_reload_signal(uv_signal_t *handle, int signal_number) {
    (void)signal_number;
    struct main__server *server = handle->data;
    weir_trail_reopen(server->trail);
    if (!server->stopping)
        main__publish_file(server);
}

struct signals {
    uv_signal_t term, interrupt, hangup;
};

static void watch_signals(struct main__server *server, struct signals *signals) {
    struct uv_loop_s *loop = weir_loop_uv(server->loop);
    const struct {
        uv_signal_t *handle;
        uv_signal_cb run;
        int number;
    } rows[] = {{&signals->term, on_stop_signal, SIGTERM},
                {&signals->interrupt, on_stop_signal, SIGINT},
                {&signals->hangup, on_reload_signal, SIGHUP}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)uv_signal_init(loop, rows[i].handle);
        rows[i].handle->data = server;
        (void)uv_signal_start(rows[i].handle, rows[i].run, rows[i].number);
    }
}

static void unwatch_signals(struct signals *signals) {
    uv_close((uv_handle_t *)&signals->term, NULL);
    uv_close((uv_handle_t *)&signals->interrupt, NULL);
    uv_close((uv_handle_t *)&signals->hangup, NULL);
}

/* --- boot --- */

static const char data_setting[] = "server.listen (WEIR_LISTEN)";

static enum weir_status open_one(const char *setting, const char *address, bool share, int *fd, char *shown,
                                 size_t shown_size, struct weir_error *error) {
    uint16_t port = 0;
    enum weir_status status = weir_listen_socket(address, share, fd, &port, error);
    const char *colon = strrchr(address, ':');
    if (status == WEIR_OK)
        (void)snprintf(shown, shown_size, "%.*s:%u", (int)(colon != NULL ? colon - address : (long)strlen(address)),
                       address, port);
    struct weir_error plain = *error;
    return status == WEIR_OK ? WEIR_OK : weir_fail(error, status, "%s: %.350s", setting, plain.text);
}

/* Opens the address alone, to be told when somebody has it, and closes it again; `shown` is the address with the port that it got. */
static enum weir_status reserve_port(const char *address, char *shown, size_t shown_size, struct weir_error *error) {
    int fd = -1;
    enum weir_status status = open_one(data_setting, address, false, &fd, shown, shown_size, error);
    if (fd >= 0)
        (void)close(fd);
    return status;
}

static enum weir_status open_sockets(struct main__server *server, struct weir_error *error) {
    const struct main__settings *settings = &server->settings;
    bool has_tls = settings->server.tls_certificate.length > 0;
    const char *address = settings->server.listen.at;
    if (settings->server.listen.length == 0)
        address = settings->general.environment == 0 && !has_tls ? "127.0.0.1:8080" : "0.0.0.0:8080";
    server->sockets = weir_memory_new(server->worker_count, sizeof(int));
    if (server->sockets == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory");
    for (unsigned i = 0; i < server->worker_count; i++)
        server->sockets[i] = -1;
    char first[sizeof server->data_address] = "";
    enum weir_status status = WEIR_OK;
    if (server->worker_count >
        1) /* shared sockets would take over the port of another of our user's processes without a word */
        status = reserve_port(address, first, sizeof first, error);
    for (unsigned i = 0; status == WEIR_OK && i < server->worker_count; i++)
        status = open_one(data_setting, first[0] == '\0' ? address : first, server->worker_count > 1,
                          &server->sockets[i], server->data_address, sizeof server->data_address, error);
    if (status == WEIR_OK)
        status = open_one("operator.listen (WEIR_OPERATOR_LISTEN)", settings->operator_plane.listen.at, false,
                          &server->operator_socket, server->operator_address, sizeof server->operator_address, error);
    struct weir_span shown = weir_span_of_string(server->data_address);
    bool any = weir_span_starts_with(shown, WEIR_SPAN("0.0.0.0:"));
    (void)snprintf(server->data_url, sizeof server->data_url, "%s://%s%s", has_tls ? "https" : "http",
                   any ? "127.0.0.1" : "", any ? server->data_address + 7 : server->data_address);
    if (status == WEIR_OK && has_tls)
        status = weir_tls_server_new(settings->server.tls_certificate.at, settings->server.tls_key.at,
                                     &server->server_tls, error);
    return status;
}

static enum weir_status open_store(struct main__server *server, struct weir_random *random, struct weir_error *error) {
    struct weir_log log = server->gateway.log;
    log.part = "store";
    const struct weir_store_settings settings = {.directory = server->settings.data_dir,
                                                 .environment = server->settings.environment,
                                                 .workers = server->worker_count,
                                                 .sync_group = server->settings.journal.sync == 1,
                                                 .records = server->gateway.records,
                                                 .ledger_retention_us = server->settings.ledger.retention_ms * 1000,
                                                 .usage_hours_kept_us = server->settings.usage.hours_kept_ms * 1000,
                                                 .log = &log};
    return weir_store_new(&settings, random, &server->store, error);
}

/* Keys, limits and budgets, and which workspaces are suspended, are there before the first request can come. */
static enum weir_status load_keys(struct main__server *server, struct weir_error *error) {
    int64_t until_ns = weir_clock_monotonic_ns() + (int64_t)KEYS_WAIT_MS * 1000000;
    const struct main__key_watch *watch = &server->key_watch;
    if (main__keys_open(server) != WEIR_OK)
        return weir_fail(error, WEIR_ENOMEM, "no memory for keys");
    enum weir_status status = main__meter_open(server, error);
    if (status != WEIR_OK)
        return status;
    on_watch(server);
    while (!(watch->has_keys && watch->has_objects && server->meter_has_objects) &&
           weir_clock_monotonic_ns() < until_ns) {
        (void)weir_loop_run_once(server->loop);
        if (!(watch->has_keys && watch->has_objects && server->meter_has_objects))
            (void)usleep(200);
    }
    return watch->has_keys && watch->has_objects && server->meter_has_objects
               ? WEIR_OK
               : weir_fail(error, WEIR_ETIMEOUT, "the keys could not be loaded from the store in time");
}

/* Without its key weir runs on, and what is sealed stays shut. */
static enum weir_status open_sealing(struct main__server *server, struct weir_error *error) {
    struct weir_error problem = {.text = ""};
    enum weir_status status = main__sealing_new(&server->settings, &server->sealing, &problem);
    if (status != WEIR_OK)
        return weir_fail(error, status, "%s", problem.text);
    server->gateway.sealing = server->sealing;
    server->board.secrets_read_only = !weir_sealing_can_seal(server->sealing);
    if (server->board.secrets_read_only)
        weir_log(log_of(server), WEIR_LOG_WARNING, "sealing_key_missing",
                 WEIR_LOG_T("problem", problem.text[0] != '\0' ? problem.text : "secrets.sealing_key is not set"),
                 WEIR_LOG_T("effect", "secrets are read-only: none can be written, none that is sealed can be opened"));
    return main__billing_open(server, error); /* which may name a sealed one */
}

static enum weir_status open_receipts(struct main__server *server, struct weir_error *error) {
    const struct weir_receipt_signer_settings settings = {.store = &weir_engine_sqlite,
                                                          .directory = server->settings.data_dir,
                                                          .environment = server->settings.environment,
                                                          .sealing = server->sealing};
    enum weir_status status = weir_receipt_signer_new(&settings, &server->receipts, error);
    server->gateway.receipts = server->receipts;
    return status;
}

/* What says who issued what, and what proves what was used. */
static enum weir_status open_proofs(struct main__server *server, struct weir_error *error) {
    server->gateway.issued = weir_issued_new(KEPT_ISSUED_IDS);
    if (server->gateway.issued == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory");
    return open_receipts(server, error);
}

static enum weir_status start_backups(struct main__server *server, struct weir_error *error) {
    const struct main__settings *settings = &server->settings;
    if (settings->backup_dir[0] == '\0')
        return WEIR_OK;
    if (settings->backup.seal && !weir_sealing_can_seal(server->sealing))
        return weir_fail(error, WEIR_EDENIED, "backup.seal: there is no sealing key to seal backups with");
    struct main__backup_plan plan = {.directory = settings->data_dir,
                                     .environment = settings->environment,
                                     .folder = settings->backup_dir,
                                     .interval_ms = settings->backup.interval_ms,
                                     .keep = settings->backup.keep,
                                     .seal = settings->backup.seal,
                                     .sealer = main__backup_sealer(server->sealing),
                                     .log = server->gateway.log};
    plan.log.part = "backup";
    server->board.has_backups = true;
    return main__backup_schedule_new(&plan, &server->backups, error);
}

static enum weir_status start_trail(struct main__server *server, struct weir_error *error) {
    const struct main__settings *settings = &server->settings;
    const struct weir_trail_settings trail = {.store_directory = settings->data_dir,
                                              .environment = settings->environment,
                                              .retention_ms = settings->audit.retention_ms,
                                              .sink = settings->audit.sink,
                                              .log = log_of(server)};
    return weir_trail_new(&trail, &server->trail, error);
}

static enum weir_status start_threads(struct main__server *server, struct weir_error *error) {
    const struct main__settings *settings = &server->settings;
    const bool has_backups = server->backups != NULL;
    const struct weir_operator_settings operator_settings = {
        .store_directory = settings->data_dir,
        .environment = settings->environment,
        .brand = settings->general.brand,
        .local_operator = server->gateway.is_dev,
        .session_ms = settings->operator_plane.session_ms,
        .rotation_due_us = settings->keys.rotation_due_ms * 1000,
        .hooks = {.publish = main__publish_wish, .keys_changed = main__keys_changed, .context = server},
        .sealing = server->sealing,
        .receipts = server->receipts,
        .backups = {.folder = settings->backup_dir,
                    .start = has_backups ? main__backup_schedule_start : NULL,
                    .read_state = has_backups ? main__backup_schedule_state : NULL,
                    .context = server->backups},
        .rule_names = {.endpoint = weir_gateway_endpoint_name, .capability = weir_gateway_capability_name},
        .board = &server->board,
        .metrics = server->gateway.metrics,
        .brand_upper = server->gateway.brand_upper,
        .loopback_only = main__is_loopback_address(settings->operator_plane.listen),
        .tls = server->plane_tls,
        .allow = server->plane_networks,
        .data_plane = server->data_url,
        .write_metrics = write_metrics,
        .context = server};
    enum weir_status status = weir_operator_new(server->loop, server->operator_socket, &operator_settings,
                                                &server->operator_plane, error);
    for (unsigned i = 0; status == WEIR_OK && i < server->worker_count; i++) {
        status = weir_worker_start(&server->gateway, i, server->sockets[i], server->server_tls, &server->live->base,
                                   &server->workers[i], error);
        server->workers_left += status == WEIR_OK;
    }
    return status;
}

static void fill_gateway(struct main__server *server) {
    const struct main__settings *settings = &server->settings;
    struct weir_span brand = settings->general.brand;
    for (size_t i = 0; i < brand.length && i + 1 < sizeof server->brand_upper; i++)
        server->brand_upper[i] = (char)(brand.at[i] >= 'a' && brand.at[i] <= 'z' ? brand.at[i] - 'a' + 'A'
                                                                                 : brand.at[i]);
    server->gateway.key_format = (struct weir_key_format){.brand = brand,
                                                          .environment = weir_span_of_string(settings->environment)};
    server->gateway.brand_upper = weir_span_of_string(server->brand_upper);
    server->gateway.is_dev = settings->general.environment == 0;
    server->gateway.records =
        (struct weir_record_settings){.retention_us = settings->records.retention_ms * 1000,
                                      .sample_percent = (unsigned)settings->records.sample_percent};
    server->gateway.content_retention_us = settings->records.content_retention_ms * 1000;
    server->gateway.board = &server->board;
    server->gateway.busy_workers = &server->busy_workers;
    server->gateway.log = (struct weir_log){.fd = STDERR_FILENO,
                                            .minimum = (enum weir_log_level)settings->general.log_level,
                                            .part = "gateway"};
    server->gateway.write_metrics = write_metrics;
    server->gateway.context = server;
    server->gateway.on_released = main__on_released;
    server->gateway.on_stopped = on_stopped;
    server->board.store_available = true;
    server->board.journal_available = true;
    server->board.version = WEIR_VERSION;
    server->board.environment = settings->environment;
    server->board.start_utc_us = weir_clock_utc_us();
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    server->worker_count = settings->server.workers > 0 ? (unsigned)settings->server.workers
                           : cores > 0 && cores <= 256  ? (unsigned)cores
                                                        : 1;
}

/* No provider at all: in dev the simulator stands in; elsewhere that is a mistake. */
static enum weir_status find_providers(struct main__server *server, struct weir_arena *arena,
                                       struct weir_error *error) {
    struct main__settings *settings = &server->settings;
    if (settings->catalog_is_implicit && !main__environment_names_provider()) {
        enum weir_status status = main__simulator_start(&server->simulator, error);
        if (status != WEIR_OK)
            return status;
        server->board.simulator = true;
    }
    return main__implicit_catalog(arena, settings, server->simulator.pid > 0 ? server->simulator.base_url : NULL) ==
                   WEIR_OK
               ? WEIR_OK
               : weir_fail(error, WEIR_ENOMEM, "no memory");
}

static enum weir_status boot(struct main__server *server, struct weir_arena *arena, struct weir_error *error) {
    struct weir_random random = {.left = 0};
    struct weir_log log = server->gateway.log;
    enum weir_status status = find_providers(server, arena, error);
    if (status == WEIR_OK)
        status = open_sockets(server, error);
    if (status == WEIR_OK)
        status = open_store(server, &random, error);
    server->tls_cache = main__tls_cache_new();
    server->workers = weir_memory_new(server->worker_count, sizeof(struct weir_worker *));
    if (status == WEIR_OK && (server->tls_cache == NULL || server->workers == NULL))
        status = weir_fail(error, WEIR_ENOMEM, "no memory");
    if (status != WEIR_OK) {
        weir_arena_free(&arena);
        return status;
    }
    log.part = "control";
    status = main__publish_first(server, arena, error);
    if (status == WEIR_OK)
        status = weir_loop_new(&log, &server->loop, error);
    if (status == WEIR_OK && main__alerts_new(server->store, server->loop, &log, &server->alerts) != WEIR_OK)
        status = weir_fail(error, WEIR_ENOMEM, "no memory");
    if (status == WEIR_OK)
        status = weir_keys_new(server->worker_count, &server->gateway.keys);
    if (status == WEIR_OK)
        status = weir_metrics_new(server->worker_count, &server->gateway.metrics);
    server->gateway.spool_directory = server->settings.data_dir;
    server->gateway.store = server->store;
    if (status == WEIR_OK && server->demo)
        status = main__demo_prepare(server, error);
    if (status == WEIR_OK)
        status = main__owner_prepare(server, error);
    if (status == WEIR_OK)
        status = main__plane_prepare(server, error);
    if (status == WEIR_OK)
        status = open_sealing(server, error);
    if (status == WEIR_OK)
        status = open_proofs(server, error);
    if (status == WEIR_OK)
        status = load_keys(server, error); /* workspaces, too: what is captured depends on the sealing key */
    if (status == WEIR_OK)
        status = start_backups(server, error);
    if (status == WEIR_OK)
        status = start_trail(server, error);
    if (status == WEIR_OK)
        status = start_threads(server, error);
    if (status == WEIR_OK)
        main__publish_watch(server);
    return status;
}

static void shut(struct main__server *server) {
    main__publish_close(server);
    for (unsigned i = 0; server->workers != NULL && i < server->worker_count; i++)
        weir_worker_join(&server->workers[i]);
    weir_meter_free(&server->gateway.meter);
    main__keys_over(server);
    weir_operator_free(&server->operator_plane);
    weir_trail_free(&server->trail); /* sends what the last operations have left */
    main__keys_release(server);
    weir_timer_stop(&server->watch);
    main__backup_schedule_free(&server->backups);
    weir_store_free(&server->store); /* ingests what is left */
    weir_receipt_signer_free(&server->receipts);
    weir_sealing_free(&server->sealing);
    if (server->loop != NULL)
        while (weir_loop_run_once(server->loop))
            (void)usleep(NAP_US);
    weir_loop_free(&server->loop);
    main__alerts_free(&server->alerts);
    main__publish_free(server);
    main__published_free(&server->first);
    main__billing_release(server);
    weir_keys_free(&server->gateway.keys);
    weir_metrics_free(&server->gateway.metrics);
    weir_issued_free(&server->gateway.issued);
    weir_tls_free(&server->server_tls);
    main__plane_release(server);
    main__tls_cache_free(&server->tls_cache);
    for (unsigned i = 0; server->sockets != NULL && i < server->worker_count; i++)
        if (server->sockets[i] >= 0)
            (void)close(server->sockets[i]);
    if (server->operator_socket >= 0)
        (void)close(server->operator_socket);
    weir_memory_free(server->sockets);
    weir_memory_free(server->workers);
    main__simulator_stop(&server->simulator);
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main__serve(int argc, char **argv) {
    struct main__server server = {.operator_socket = -1};
    const struct main__flag flags[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &server.config_path, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--demo", NULL, MAIN_FLAG_SWITCH, &server.demo, NULL,
         "dev only: make a demo key and print how to try the gateway"},
    };
    const struct main__command command = {
        "weir serve [-c FILE] [--demo]",
        "Runs the gateway in the foreground: the data plane for clients, the operator plane for people and CI.\nWithout a settings file it uses the "
        "providers whose usual environment variables are set; in dev,\nfailing that, the simulator. SIGTERM drains and ends it, SIGHUP reads the file again.",
        flags,
        sizeof flags / sizeof *flags,
        0,
        0};
    const char *operands[MAIN_MAX_OPERANDS];
    size_t operand_count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &operand_count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    struct weir_error error = {.text = ""};
    struct signals signals;
    if (arena == NULL || main__settings_for_server(arena, server.config_path, &server.settings) != WEIR_OK) {
        weir_arena_free(&arena);
        return MAIN_EXIT_FAILED;
    }
    if (server.config_path == NULL && server.settings.has_file)
        server.config_path = server.settings.file_name; /* a reload that no longer finds it must not go on without */
    if (server.demo && server.settings.general.environment != 0) {
        fprintf(stderr, "weir: --demo is for the environment dev, this is %s\n", server.settings.environment);
        weir_arena_free(&arena);
        return MAIN_EXIT_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file size limit is a full disk, not the end */
    raise_descriptor_limit();
    fill_gateway(&server);
    enum weir_status status = boot(&server, arena, &error);
    if (status == WEIR_OK) {
        watch_signals(&server, &signals);
        server.board.serving = true;
        weir_log(log_of(&server), WEIR_LOG_INFO, "serving", WEIR_LOG_T("data_plane", server.data_address),
                 WEIR_LOG_T("operator_plane", server.operator_address),
                 WEIR_LOG_T("environment", server.settings.environment), WEIR_LOG_I("workers", server.worker_count),
                 WEIR_LOG_I("revision", server.live->revision->number),
                 WEIR_LOG_T("data_dir", server.settings.data_dir), WEIR_LOG_T("version", WEIR_VERSION));
        main__owner_print(&server);
        if (server.demo)
            main__demo_print(&server);
        weir_loop_run(server.loop);
        unwatch_signals(&signals);
    } else {
        fprintf(stderr, "weir: cannot start: %s\n", error.text[0] != '\0' ? error.text : weir_status_name(status));
        server.exit_code = MAIN_EXIT_FAILED;
        stop_workers(&server, 0);
    }
    struct weir_log log = server.gateway.log;
    bool served = status == WEIR_OK;
    log.part = "control";
    shut(&server);
    if (served)
        weir_log(&log, WEIR_LOG_INFO, "stopped");
    return server.exit_code;
}

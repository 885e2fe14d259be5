/* `weir sim`: the command line, the loop, and how it starts and stops. See sim.h. */
#include "sim/sim.h"

#include "base/memory.h"
#include "sim/connection.h"
#include "sim/store.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { PARENT_CHECK_MS = 1000 };
#define MAX_SCRATCH_BYTES (1024 * WEIR_MIB)
#define FIRST_SCRATCH_BYTES (64 * WEIR_KIB)

static const char usage[] =
    "usage: weir sim [options]\n"
    "Plays an OpenAI-compatible provider, for trying weir out and for tests.\n"
    "\n"
    "  --listen ADDRESS:PORT      where to listen; port 0: any free one (127.0.0.1:0)\n"
    "  --log FILE                 append a line of JSON for every call that was served\n"
    "  --with-parent              exit when the parent process dies\n"
    "  --time-to-first-token MS   wait before the first token (0)\n"
    "  --tokens-per-second N      pace of the tokens; 0: all at once (0)\n"
    "  --output-tokens N          length of an answer (16)\n"
    "  --no-auth                  take requests without an Authorization field\n"
    "  --quiet                    no summary on standard error when it ends\n"
    "  --help                     this text\n"
    "\n"
    "It prints \"listening on http://ADDRESS:PORT\" when it is ready. docs/guides/simulator.md tells the rest.\n";

/* --- the command line --- */

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER };

static const struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset;
    uint64_t maximum;
} option_rows[] = {
    {"--listen", OPTION_TEXT, offsetof(struct sim_settings, listen), 0},
    {"--log", OPTION_TEXT, offsetof(struct sim_settings, log_file), 0},
    {"--with-parent", OPTION_FLAG, offsetof(struct sim_settings, with_parent), 0},
    {"--time-to-first-token", OPTION_NUMBER, offsetof(struct sim_settings, first_token_ms), 600000},
    {"--tokens-per-second", OPTION_NUMBER, offsetof(struct sim_settings, tokens_per_second), 1000000000},
    {"--output-tokens", OPTION_NUMBER, offsetof(struct sim_settings, output_tokens), SIM_MAX_TOKENS},
    {"--no-auth", OPTION_FLAG, offsetof(struct sim_settings, no_auth), 0},
    {"--quiet", OPTION_FLAG, offsetof(struct sim_settings, quiet), 0},
    {"--help", OPTION_FLAG, offsetof(struct sim_settings, help), 0},
};

static bool set_option(struct sim_settings *settings, const struct option_row *row, const char *text) {
    void *value = (char *)settings + row->offset;
    uint64_t number = 0;
    switch (row->kind) {
    case OPTION_FLAG: *(bool *)value = true; return true;
    case OPTION_TEXT: *(const char **)value = text; return true;
    case OPTION_NUMBER:
        if (weir_span_to_uint64(weir_span_of_string(text), &number) != WEIR_OK || number > row->maximum) {
            (void)fprintf(stderr, "weir sim: %s takes a whole number up to %llu\n", row->name,
                          (unsigned long long)row->maximum);
            return false;
        }
        *(int64_t *)value = (int64_t)number;
        return true;
    }
    return false;
}

static const struct option_row *find_option(struct weir_span name) {
    for (size_t i = 0; i < sizeof option_rows / sizeof option_rows[0]; i++) {
        if (weir_span_equal(name, weir_span_of_string(option_rows[i].name))) {
            return &option_rows[i];
        }
    }
    return NULL;
}

static bool read_options(int argc, char **argv, struct sim_settings *settings) {
    for (int i = 1; i < argc; i++) {
        struct weir_span name;
        struct weir_span value;
        bool joined = weir_span_split(weir_span_of_string(argv[i]), '=', &name, &value);
        const struct option_row *row = find_option(name);
        if (row == NULL || (joined && row->kind == OPTION_FLAG)) {
            (void)fprintf(stderr, "weir sim: there is no option %s; see weir sim --help\n", argv[i]);
            return false;
        }
        const char *text = joined ? value.at : NULL;
        if (row->kind != OPTION_FLAG && !joined) {
            if (++i == argc) {
                (void)fprintf(stderr, "weir sim: %s needs a value\n", row->name);
                return false;
            }
            text = argv[i];
        }
        if (!set_option(settings, row, text)) {
            return false;
        }
    }
    return true;
}

/* --- ending with the parent --- */

struct parent_watch {
    struct weir_loop *loop;
    struct weir_timer timer;
    pid_t parent;
};

/* The system's signal is bound to the parent's thread and may be missed before it is asked for; this is not. */
static void check_parent(void *argument) {
    struct parent_watch *watch = argument;
    if (getppid() != watch->parent) {
        weir_loop_stop(watch->loop);
        return;
    }
    weir_timer_start(watch->loop, &watch->timer, PARENT_CHECK_MS, check_parent, watch);
}

static void watch_parent(struct parent_watch *watch, struct weir_loop *loop, pid_t parent) {
    watch->loop = loop;
    watch->parent = parent;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    check_parent(watch);
}

/* --- running --- */

static void on_signal(uv_signal_t *handle, int number) {
    (void)number;
    weir_loop_stop(handle->data);
}

static void on_accept(void *owner, struct weir_stream *stream) {
    sim__connection_accept(owner, stream);
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum weir_status server_init(struct sim_server *server, struct weir_error *error) {
    const struct weir_log log = {.fd = STDERR_FILENO, .minimum = WEIR_LOG_WARNING, .part = "sim"};
    weir_list_init(&server->connections);
    weir_list_init(&server->dirty);
    sim__calls_init(&server->calls);
    sim__kept_init(&server->kept, 64 * WEIR_MIB);
    weir_buffer_init(&server->body, 512 * WEIR_MIB);
    weir_buffer_init(&server->units, 512 * WEIR_MIB);
    server->scratch = weir_arena_new(FIRST_SCRATCH_BYTES, MAX_SCRATCH_BYTES);
    server->store = sim__store_new();
    if (server->scratch == NULL || server->store == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "no memory");
    }
    enum weir_status status = weir_loop_new(&log, &server->loop, error);
    if (status == WEIR_OK) {
        server->started_ns = weir_loop_now_ns(server->loop);
        if (server->settings.log_file != NULL) {
            status = sim__calls_open(&server->calls, server->settings.log_file, error);
        }
    }
    return status;
}

/* Open calls are cut short by the end, and the log must say so. */
static void end_connections(struct sim_server *server) {
    while (!weir_list_is_empty(&server->connections)) {
        struct sim_connection *connection = WEIR_CONTAINER_OF(server->connections.next, struct sim_connection, link);
        sim__connection_log(connection, false, false);
        sim__connection_drop(connection);
    }
    if (!server->failed && sim__calls_flush(&server->calls) != WEIR_OK) {
        server->failed = true;
    }
}

static void server_release(struct sim_server *server) {
    weir_loop_free(&server->loop);
    sim__calls_release(&server->calls);
    sim__plan_clear(&server->plan);
    sim__kept_release(&server->kept);
    sim__store_free(&server->store);
    weir_buffer_release(&server->body);
    weir_buffer_release(&server->units);
    weir_arena_free(&server->scratch);
}

/* Listens and runs until told to stop. */
static int serve(struct sim_server *server, pid_t parent, struct weir_error *error) {
    struct weir_listener *listener = NULL;
    struct parent_watch watch = {.parent = parent};
    uv_signal_t signals[2];
    static const int numbers[2] = {SIGTERM, SIGINT};
    int fd = -1;
    uint16_t port = 0;
    if (weir_listen_socket(server->settings.listen, false, &fd, &port, error) != WEIR_OK) {
        return EXIT_FAILED;
    }
    if (weir_listener_new(server->loop, fd, NULL, on_accept, server, &listener, error) != WEIR_OK) {
        (void)close(fd);
        return EXIT_FAILED;
    }
    for (int i = 0; i < 2; i++) {
        (void)uv_signal_init(weir_loop_uv(server->loop), &signals[i]);
        signals[i].data = server->loop;
        (void)uv_signal_start(&signals[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&signals[i]);
    }
    if (server->settings.with_parent) {
        watch_parent(&watch, server->loop, parent);
    }
    const char *port_at = strrchr(server->settings.listen, ':');
    int host_length = port_at != NULL ? (int)(port_at - server->settings.listen) : 0;
    (void)printf("listening on http://%.*s:%u\n", host_length, server->settings.listen, (unsigned)port);
    (void)fflush(stdout);
    weir_loop_run(server->loop);
    weir_timer_stop(&watch.timer);
    weir_listener_free(&listener);
    end_connections(server);
    for (int i = 0; i < 2; i++) {
        uv_close((uv_handle_t *)&signals[i], NULL);
    }
    /* The closed signal handles are on this function's stack: the loop must let go of them before it returns. */
    (void)weir_loop_run_once(server->loop);
    (void)close(fd);
    return EXIT_FINE;
}

int weir_sim_main(int argc, char **argv) {
    pid_t parent = getppid();
    struct weir_error error = {.status = WEIR_OK};
    struct sim_settings settings = {.listen = "127.0.0.1:0", .output_tokens = 16};
    if (!read_options(argc, argv, &settings)) {
        return EXIT_USAGE;
    }
    if (settings.help) {
        (void)fputs(usage, stdout);
        return EXIT_FINE;
    }
    struct sim_server *server = weir_memory_new(1, sizeof *server);
    if (server == NULL) {
        (void)fputs("weir sim: no memory\n", stderr);
        return EXIT_FAILED;
    }
    server->settings = settings;
    raise_descriptor_limit();
    int code = server_init(server, &error) == WEIR_OK ? serve(server, parent, &error) : EXIT_FAILED;
    if (code != EXIT_FINE) {
        (void)fprintf(stderr, "weir sim: %s\n", error.text);
    } else if (server->failed) {
        (void)fputs("weir sim: the call log cannot be written; ended, for nothing may be answered without it\n",
                    stderr);
        code = EXIT_FAILED;
    } else if (!settings.quiet) {
        (void)fprintf(stderr, "weir sim: %llu calls served\n", (unsigned long long)server->served);
    }
    server_release(server);
    weir_memory_free(server);
    return code;
}

/* The demo key of a dev start: the same one at every start, kept where its user alone can read it. */
#include "base/clock.h"
#include "base/memory.h"
#include "main/local_audit.h"
#include "main/serve.h"
#include "operator/key_changes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_TEXT_SIZE = WEIR_MAX_KEY_BYTES + 2 };

static void key_path(const struct main__server *server, char *path, size_t size) {
    (void)snprintf(path, size, "%s/demo-key", server->settings.data_dir);
}

/* The key in the file, or an empty text. */
static void read_key(const char *path, char text[KEY_TEXT_SIZE]) {
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, text, KEY_TEXT_SIZE - 1);
    (void)close(fd);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
}

static enum weir_status write_key(const char *path, struct weir_span key, struct weir_error *error) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, key.at, key.length) == (ssize_t)key.length &&
                   write(fd, "\n", 1) == 1;
    int problem = errno;
    if (fd >= 0)
        (void)close(fd);
    return written ? WEIR_OK
                   : weir_fail(error, WEIR_EIO, "the demo key cannot be kept in %s: %s", path, strerror(problem));
}

static bool is_known(struct weir_engine *engine, struct weir_arena *arena, struct weir_span key) {
    unsigned char hash[WEIR_KEY_HASH_SIZE];
    struct weir_key_record record;
    weir_key_hash(key, hash);
    return weir_engine_sqlite.key_find(engine, hash, arena, &record, NULL) == WEIR_OK &&
           weir_key_state_at(&record, weir_clock_utc_us()) == WEIR_KEY_ACTIVE;
}

/* The key and its audit entry, in one transaction; the actor is weir itself. */
static enum weir_status make_key(struct main__server *server, struct weir_engine *engine, struct weir_arena *arena,
                                 struct weir_secret **secret, struct weir_error *error) {
    struct weir_random random = {.left = 0};
    struct weir_key_work work = {.store = &weir_engine_sqlite,
                                 .engine = engine,
                                 .arena = arena,
                                 .random = &random,
                                 .format = server->gateway.key_format,
                                 .now_utc_us = weir_clock_utc_us()};
    struct weir_key_record key = {.name = WEIR_SPAN("demo"), .workspace = WEIR_SPAN("default")};
    enum weir_status status = weir_engine_sqlite.work_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = weir_key_insert_new(&work, &key, secret);
    if (status == WEIR_OK) {
        const struct main__local_note note = {.action = "keys.create",
                                              .resource_type = "key",
                                              .resource_id = weir_span_of_string(key.id),
                                              .resource_name = key.name,
                                              .workspace = key.workspace,
                                              .after = weir_key_audit_text(&work, &key),
                                              .by_system = true};
        status = main__audit_local(engine, &note, work.now_utc_us, &work.error);
    }
    if (status != WEIR_OK && error != NULL)
        *error = work.error;
    struct weir_error ending = {.text = ""};
    enum weir_status ended = weir_engine_sqlite.work_end(engine, status, &ending);
    if (status == WEIR_OK && ended != WEIR_OK)
        status = weir_fail(error, ended, "%s", ending.text);
    return status;
}

enum weir_status main__demo_prepare(struct main__server *server, struct weir_error *error) {
    char path[4200], text[KEY_TEXT_SIZE];
    struct weir_engine *engine = NULL;
    struct weir_secret *secret = NULL;
    key_path(server, path, sizeof path);
    enum weir_status status = weir_store_direct_open(server->settings.data_dir, server->settings.environment, true,
                                                     &engine, error);
    if (status != WEIR_OK)
        return status;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    if (arena == NULL) {
        weir_store_direct_close(&engine);
        return weir_fail(error, WEIR_ENOMEM, "no memory");
    }
    read_key(path, text);
    struct weir_span key = weir_span_of_string(text);
    bool usable = weir_key_check(&server->gateway.key_format, key) == WEIR_REASON_NONE && is_known(engine, arena, key);
    if (!usable) {
        status = make_key(server, engine, arena, &secret, error);
        if (status == WEIR_OK)
            status = write_key(path, weir_secret_reveal(secret), error);
    }
    weir_memory_wipe(text, sizeof text);
    weir_secret_free(&secret);
    weir_arena_free(&arena);
    weir_store_direct_close(&engine);
    return status;
}

/* A model that will be answered: the first configured one, else the first that the price file knows of the provider that takes every name. */
static struct weir_span model_to_try(const struct main__published *published) {
    const struct weir_revision *revision = published->revision;
    if (revision->model_count > 0)
        return revision->models[0].name;
    for (size_t i = 0; revision->catch_all != NULL && i < weir_prices_count(published->prices); i++) {
        const struct weir_price *price = weir_prices_at(published->prices, i);
        if (weir_span_equal(price->provider, revision->catch_all->price_name))
            return price->model;
    }
    return WEIR_SPAN("MODEL");
}

void main__demo_print(const struct main__server *server) {
    char path[4200], key[KEY_TEXT_SIZE];
    const struct weir_revision *revision = server->live->revision;
    struct weir_span model = model_to_try(server->live);
    key_path(server, path, sizeof path);
    read_key(path, key);
    printf(
        "\nweir is ready. Paste this into another terminal:\n\n"
        "export OPENAI_BASE_URL=%s/v1\n"
        "export OPENAI_API_KEY=%s\n\n"
        "curl -s $OPENAI_BASE_URL/chat/completions -H \"Authorization: Bearer $OPENAI_API_KEY\" -H 'Content-Type: application/json' "
        "-d '{\"model\":\"%.*s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n\n"
        "operator plane: %s://%s\n",
        server->data_url, key, WEIR_SPAN_PRINT(model), server->plane_tls != NULL ? "https" : "http",
        server->operator_address);
    if (weir_span_equal(model, WEIR_SPAN("MODEL")))
        printf("Put a model's name that your provider has in place of MODEL.\n");
    if (server->board.simulator)
        printf(
            "Answers come from the built-in simulator: set OPENAI_API_KEY (or another provider's) here to reach a real one.\n");
    for (size_t i = 0; !server->board.simulator && i < revision->provider_count; i++)
        printf("%s %.*s (%.*s)\n", i == 0 ? "Requests go to:" : "               ",
               WEIR_SPAN_PRINT(revision->providers[i].name),
               WEIR_SPAN_PRINT(revision->providers[i].settings->base_url));
    printf("\n");
    (void)fflush(stdout);
    weir_memory_wipe(key, sizeof key);
}

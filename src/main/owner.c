/* See owner.h.
 *
 * The file with the token is there before the store knows the token: a start that is cut in between leaves a file that is worth nothing, and the next one makes
 * another. The other way round the token could be lost.
 */
#include "main/owner.h"

#include "base/clock.h"
#include "base/memory.h"
#include "identity/operators.h"
#include "identity/sessions.h"
#include "main/local_audit.h"
#include "main/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4200, ARENA_BYTES = 1024 * 1024 };

static void token_path(const struct main__server *server, char path[PATH_SIZE]) {
    (void)snprintf(path, PATH_SIZE, "%s/owner-token", server->settings.data_dir);
}

/* A new file in place of whatever has that name. */
static enum weir_status write_token(const char *path, struct weir_span token, struct weir_error *error) {
    char draft[PATH_SIZE + 32];
    (void)snprintf(draft, sizeof draft, "%s.%ld", path, (long)getpid());
    (void)unlink(draft);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool written = fd >= 0 && write(fd, token.at, token.length) == (ssize_t)token.length && write(fd, "\n", 1) == 1 &&
                   fsync(fd) == 0 && rename(draft, path) == 0;
    int problem = errno;
    if (fd >= 0)
        (void)close(fd);
    if (!written)
        (void)unlink(draft);
    return written ? WEIR_OK
                   : weir_fail(error, WEIR_EIO, "the owner's token cannot be kept in %s: %s", path, strerror(problem));
}

static enum weir_status see_one(void *context, const struct weir_object *object) {
    bool *found = context;
    (void)object;
    *found = true;
    return WEIR_END;
}

/* Inside the transaction: of two processes that start at the same time one makes the owner. */
static enum weir_status make_owner(struct main__server *server, const struct weir_people *people, const char *path,
                                   struct weir_error *error) {
    const struct weir_object_query query = {.kind = WEIR_OBJECT_OPERATOR, .parent = WEIR_SPAN(""), .limit = 1};
    struct weir_random random = {.left = 0};
    struct weir_operator_record owner = {.name = WEIR_SPAN("owner"),
                                         .display_name = WEIR_SPAN(""),
                                         .email = WEIR_SPAN(""),
                                         .password = WEIR_SPAN(""),
                                         .role = WEIR_ROLE_OWNER};
    struct weir_token_record token = {.name = WEIR_SPAN("first start"), .created_utc_us = weir_clock_utc_us()};
    bool found = false;
    enum weir_status status = people->ops->object_list(people->engine, &query, see_one, &found, error);
    if (status != WEIR_OK || found)
        return status;
    status = weir_operator_create(people, &random, token.created_utc_us, &owner, error);
    token.owner = owner.id;
    if (status == WEIR_OK)
        status = weir_token_create(people, &server->gateway.key_format, &random, &token, &server->owner_token, error);
    const struct main__local_note note = {.action = "operators.create",
                                          .resource_type = "operator",
                                          .resource_id = owner.id,
                                          .resource_name = owner.name,
                                          .after = WEIR_SPAN("{\"name\":\"owner\",\"role\":\"owner\"}"),
                                          .by_system = true};
    if (status == WEIR_OK)
        status = main__audit_local(people->engine, &note, token.created_utc_us, error);
    if (status == WEIR_OK)
        status = write_token(path, weir_secret_reveal(server->owner_token), error);
    return status;
}

enum weir_status main__owner_prepare(struct main__server *server, struct weir_error *error) {
    char path[PATH_SIZE];
    struct weir_secret *signing_key = NULL;
    struct weir_people people = {.ops = &weir_engine_sqlite, .arena = weir_arena_new(0, ARENA_BYTES)};
    token_path(server, path);
    enum weir_status status = people.arena == NULL ? weir_fail(error, WEIR_ENOMEM, "no memory") : WEIR_OK;
    if (status == WEIR_OK)
        status = weir_signing_key_open(server->settings.data_dir, &signing_key, error); /* whether it is there */
    weir_secret_free(&signing_key);
    if (status == WEIR_OK)
        status = weir_store_direct_open(server->settings.data_dir, server->settings.environment, true, &people.engine,
                                        error);
    if (status == WEIR_OK)
        status = people.ops->work_begin(people.engine, error);
    if (status == WEIR_OK) {
        status = make_owner(server, &people, path, error);
        enum weir_status ended = people.ops->work_end(people.engine, status, status == WEIR_OK ? error : NULL);
        status = status == WEIR_OK ? ended : status;
    }
    if (status != WEIR_OK)
        weir_secret_free(&server->owner_token);
    if (people.engine != NULL)
        weir_store_direct_close(&people.engine);
    weir_arena_free(&people.arena);
    return status;
}

void main__owner_print(struct main__server *server) {
    char path[PATH_SIZE];
    if (server->owner_token == NULL)
        return;
    token_path(server, path);
    printf("The owner's token for the operator plane, shown this once (it is in %s too):\n%.*s\n", path,
           WEIR_SPAN_PRINT(weir_secret_reveal(server->owner_token)));
    (void)fflush(stdout);
    weir_secret_free(&server->owner_token);
}

/* --- who may reach the plane --- */

bool main__plane_is_open(const struct main__settings *settings) {
    const struct main__operator_settings *plane = &settings->operator_plane;
    return !main__is_loopback_address(plane->listen) && (plane->allow.count == 0 || plane->tls_certificate.length == 0);
}

void main__plane_allow(struct main__server *server, const struct main__settings *settings) {
    const struct weir_texts *texts = &settings->operator_plane.allow;
    struct weir_networks networks = {.count = 0};
    struct weir_span bad = WEIR_SPAN("");
    struct weir_arena *arena = weir_arena_new(0, ARENA_BYTES + texts->count * sizeof(struct weir_network));
    enum weir_status status = arena == NULL ? WEIR_ENOMEM
                                            : weir_networks_parse(arena, texts->at, texts->count, &networks, &bad);
    if (status != WEIR_OK) { /* not for what the texts are: they were checked */
        weir_arena_free(&arena);
        weir_log(&server->gateway.log, WEIR_LOG_ERROR, "operator_allow_not_applied",
                 WEIR_LOG_T("status", weir_status_name(status)), WEIR_LOG_T("effect", "the list stays as it was"));
        return;
    }
    server->plane_networks = networks;
    if (server->operator_plane != NULL)
        weir_operator_allow(server->operator_plane, &networks);
    weir_arena_free(&server->plane_arena);
    server->plane_arena = arena;
    server->board.operator_plane_open = main__plane_is_open(settings);
}

enum weir_status main__plane_prepare(struct main__server *server, struct weir_error *error) {
    const struct main__operator_settings *plane = &server->settings.operator_plane;
    enum weir_status status = WEIR_OK;
    if (plane->tls_certificate.length > 0)
        status = weir_tls_server_new(plane->tls_certificate.at, plane->tls_key.at, &server->plane_tls, error);
    main__plane_allow(server, &server->settings);
    if (main__plane_is_open(&server->settings))
        weir_log(&server->gateway.log, WEIR_LOG_WARNING, "operator_plane_open", WEIR_LOG_S("listen", plane->listen),
                 WEIR_LOG_B("allow", plane->allow.count > 0), WEIR_LOG_B("tls", plane->tls_certificate.length > 0),
                 WEIR_LOG_T("hint", "set operator.allow, operator.tls_certificate and operator.tls_key, and drop "
                                    "operator.allow_remote"));
    return status;
}

void main__plane_release(struct main__server *server) {
    weir_tls_free(&server->plane_tls);
    weir_arena_free(&server->plane_arena);
    weir_secret_free(&server->owner_token);
}

/* Files into the arena: the settings file itself and what `file:PATH` names. Boot code, so it may block. */
#include "config/impl.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum weir_status read_all(int fd, const char *path, size_t max_bytes, struct weir_buffer *bytes,
                                 struct weir_error *error) {
    for (;;) {
        char *at = weir_buffer_reserve(bytes, 16 * WEIR_KIB);
        if (at == NULL)
            return weir_fail(error, WEIR_ENOMEM, "%s: no memory to read it", path);
        ssize_t got = read(fd, at, 16 * WEIR_KIB);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return weir_fail(error, WEIR_EIO, "%s: %s", path, strerror(errno));
        if (got == 0)
            return WEIR_OK;
        weir_buffer_commit(bytes, (size_t)got);
        if (bytes->length > max_bytes)
            return weir_fail(error, WEIR_ELIMIT, "%s: larger than %zu bytes", path, max_bytes);
    }
}

enum weir_status config__read_file(struct weir_arena *arena, const char *path, size_t max_bytes, bool regular_only,
                                   struct weir_span *text, struct weir_error *error) {
    struct weir_buffer bytes;
    weir_buffer_init(&bytes, max_bytes + 32 * WEIR_KIB);
    enum weir_status status = WEIR_OK;
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular_only ? O_NONBLOCK : 0));
    if (fd < 0) {
        status = weir_fail(error, errno == ENOENT || errno == ENOTDIR ? WEIR_ENOTFOUND : WEIR_EIO, "%s: %s", path,
                           strerror(errno));
        goto out;
    }
    if (fstat(fd, &about) != 0) {
        status = weir_fail(error, WEIR_EIO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (S_ISDIR(about.st_mode) || (regular_only && !S_ISREG(about.st_mode))) {
        status = weir_fail(error, WEIR_EIO, "%s: not a file", path);
        goto out;
    }
    status = read_all(fd, path, max_bytes, &bytes, error);
    if (status == WEIR_OK && weir_arena_dup(arena, weir_buffer_span(&bytes), text) != WEIR_OK)
        status = weir_fail(error, WEIR_ENOMEM, "%s: no memory to keep it", path);
out:
    if (fd >= 0)
        close(fd);
    if (bytes.at != NULL)
        explicit_bzero(bytes.at, bytes.length); /* it may hold literal secrets */
    weir_buffer_release(&bytes);
    return status;
}

enum weir_status weir_config_load(struct weir_arena *arena, const char *path, struct weir_span *text,
                                  struct weir_error *error) {
    return config__read_file(arena, path, WEIR_MAX_CONFIG_BYTES, false, text, error);
}

const char *weir_config_environment(void *context, const char *name) {
    (void)context;
    return getenv(name);
}

/* References to secrets, resolved at once: the environment, files, literals.
 *
 * A copy of the bytes that passes through other memory on the way is wiped. No message holds a byte of a secret, and
 * none holds a literal reference, which is the secret itself.
 */
#include "secrets/secrets.h"

#include "base/limits.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENVIRONMENT_PREFIX WEIR_SPAN("env:")
#define FILE_PREFIX WEIR_SPAN("file:")
#define SECRET_PREFIX WEIR_SPAN("secret:")

enum { NAME_BYTES = 256 };

struct weir_span weir_secrets_describe(struct weir_span reference) {
    if (weir_span_starts_with(reference, ENVIRONMENT_PREFIX) || weir_span_starts_with(reference, FILE_PREFIX) ||
        weir_span_starts_with(reference, SECRET_PREFIX)) {
        return reference;
    }
    return WEIR_SPAN("literal");
}

static enum weir_status keep(struct weir_span bytes, struct weir_secret **secret, struct weir_error *error) {
    struct weir_secret *kept = weir_secret_new(bytes);
    if (kept == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "no memory for a secret");
    }
    *secret = kept;
    return WEIR_OK;
}

static enum weir_status fetch_environment(struct weir_span name, struct weir_secret **secret,
                                          struct weir_error *error) {
    char text[NAME_BYTES];
    if (weir_span_is_empty(name) || weir_span_to_string(name, text, sizeof(text)) != WEIR_OK) {
        return weir_fail(error, WEIR_EINVAL, "a reference env:NAME needs the name of an environment variable");
    }
    /* Who writes `env:` in front of the secret itself does not read it again in a log. */
    for (const char *at = text; *at != '\0'; at++)
        if (!((*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') || *at == '_' ||
              (*at >= '0' && *at <= '9' && at > text)))
            return weir_fail(error, WEIR_EINVAL, "what stands behind env: is no name of an environment variable");
    const char *value = getenv(text);
    if (value == NULL || value[0] == '\0') {
        return weir_fail(error, WEIR_ENOTFOUND, "the environment variable %s is %s", text,
                         value == NULL ? "not set" : "empty");
    }
    return keep(weir_span_of_string(value), secret, error);
}

static enum weir_status fail_of_errno(struct weir_error *error, int number, const char *verb, const char *path) {
    enum weir_status status = WEIR_EIO;
    if (number == ENOENT || number == ENOTDIR) {
        status = WEIR_ENOTFOUND;
    } else if (number == EACCES || number == EPERM) {
        status = WEIR_EDENIED;
    }
    return weir_fail(error, status, "cannot %s the secret file %s: %s", verb, path, strerror(number));
}

/* Reads to the end of the file. WEIR_ELIMIT where it is longer than `size`. */
static enum weir_status read_all(int fd, const char *path, char *bytes, size_t size, size_t *length,
                                 struct weir_error *error) {
    size_t filled = 0;
    for (;;) {
        char beyond = 0;
        bool is_full = filled == size;
        ssize_t got = is_full ? read(fd, &beyond, 1) : read(fd, bytes + filled, size - filled);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_of_errno(error, errno, "read", path);
        }
        if (got == 0) {
            *length = filled;
            return WEIR_OK;
        }
        if (is_full) {
            return weir_fail(error, WEIR_ELIMIT, "the secret file %s is larger than %zu bytes", path, size);
        }
        filled += (size_t)got;
    }
}

/* Without one line end at its end, which editors and `echo` add. */
static struct weir_span without_newline(struct weir_span bytes) {
    if (weir_span_ends_with(bytes, WEIR_SPAN("\r\n"))) {
        return weir_span_first(bytes, bytes.length - 2);
    }
    if (weir_span_ends_with(bytes, WEIR_SPAN("\n"))) {
        return weir_span_first(bytes, bytes.length - 1);
    }
    return bytes;
}

static enum weir_status fetch_open_file(int fd, const char *path, struct weir_secret **secret,
                                        struct weir_error *error) {
    struct stat about;
    if (fstat(fd, &about) != 0) {
        return fail_of_errno(error, errno, "examine", path);
    }
    if (!S_ISREG(about.st_mode)) {
        return weir_fail(error, WEIR_EINVAL, "the secret file %s is not a regular file", path);
    }
    char *bytes = weir_memory_new(WEIR_MAX_SECRET_BYTES, 1);
    if (bytes == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "no memory for the secret file %s", path);
    }
    size_t length = 0;
    enum weir_status status = read_all(fd, path, bytes, WEIR_MAX_SECRET_BYTES, &length, error);
    if (status == WEIR_OK) {
        struct weir_span content = without_newline(weir_span_of(bytes, length));
        status = weir_span_is_empty(content) ? weir_fail(error, WEIR_EINVAL, "the secret file %s is empty", path)
                                             : keep(content, secret, error);
    }
    weir_memory_wipe(bytes, WEIR_MAX_SECRET_BYTES);
    weir_memory_free(bytes);
    if (status == WEIR_OK && (about.st_mode & S_IROTH) != 0) {
        (void)weir_fail(error, WEIR_OK, "every user of this machine may read the secret file %s: chmod o-r", path);
    }
    return status;
}

static enum weir_status fetch_file(struct weir_span name, struct weir_secret **secret, struct weir_error *error) {
    char path[PATH_MAX];
    if (weir_span_is_empty(name) || weir_span_to_string(name, path, sizeof(path)) != WEIR_OK) {
        return weir_fail(error, WEIR_EINVAL, "a reference file:PATH needs the path of a file");
    }
    /* Without waiting: a pipe that nobody writes to must not stop the caller. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return fail_of_errno(error, errno, "open", path);
    }
    enum weir_status status = fetch_open_file(fd, path, secret, error);
    close(fd);
    return status;
}

enum weir_status weir_secrets_fetch_now(struct weir_span reference, struct weir_secret **secret,
                                        struct weir_error *error) {
    if (error != NULL) {
        *error = (struct weir_error){.status = WEIR_OK};
    }
    if (weir_span_starts_with(reference, ENVIRONMENT_PREFIX)) {
        return fetch_environment(weir_span_from(reference, ENVIRONMENT_PREFIX.length), secret, error);
    }
    if (weir_span_starts_with(reference, FILE_PREFIX)) {
        return fetch_file(weir_span_from(reference, FILE_PREFIX.length), secret, error);
    }
    if (weir_span_starts_with(reference, SECRET_PREFIX)) {
        return weir_fail(error, WEIR_EINVAL,
                         "%.*s is kept in the store and cannot be used here: name env:NAME or file:PATH",
                         WEIR_SPAN_PRINT(reference));
    }
    if (weir_span_is_empty(reference)) {
        return weir_fail(error, WEIR_EINVAL, "a secret is empty");
    }
    return keep(reference, secret, error);
}

bool weir_secrets_is_sealed(struct weir_span reference, struct weir_span *name) {
    if (!weir_span_starts_with(reference, SECRET_PREFIX))
        return false;
    *name = weir_span_from(reference, SECRET_PREFIX.length);
    return true;
}

void weir_secrets_fetch(struct weir_span reference, weir_secrets_done done, void *context) {
    struct weir_error error;
    struct weir_secret *secret = NULL;
    enum weir_status status = weir_secrets_fetch_now(reference, &secret, &error);
    done(context, status, secret, &error);
}

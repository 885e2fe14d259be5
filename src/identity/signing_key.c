/* The file with the key that sessions are signed with. It is made under another name and linked to its own, so that it is whole or not there, and of
 * two processes that make one at the same time both use the one that came first. */
#include "identity/sessions.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4200, FILE_BYTES = 2 * WEIR_SIGNING_KEY_BYTES };

static enum weir_status failed(struct weir_error *error, const char *path, const char *what) {
    return weir_fail(error, WEIR_EIO, "the key that sessions are signed with cannot be %s (%s): %s", what, path,
                     strerror(errno));
}

/* WEIR_ENOTFOUND: there is no such file. */
static enum weir_status read_key(const char *path, struct weir_secret **key, struct weir_error *error) {
    char text[FILE_BYTES + 2];
    unsigned char bytes[WEIR_SIGNING_KEY_BYTES];
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? WEIR_ENOTFOUND : failed(error, path, "read");
    ssize_t length = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) ? read(fd, text, sizeof text) : -1;
    (void)close(fd);
    enum weir_status status = WEIR_OK;
    if (length >= 0 && (about.st_mode & 077) != 0)
        status = weir_fail(error, WEIR_EDENIED,
                           "others may read %s, the key that sessions are signed with: chmod 600 it, or remove it",
                           path);
    else if (length != FILE_BYTES + 1 || text[FILE_BYTES] != '\n' ||
             weir_hex_parse(weir_span_of(text, FILE_BYTES), bytes, sizeof bytes) != WEIR_OK)
        status = weir_fail(error, WEIR_ECORRUPT, "%s is not a key that sessions are signed with: remove it", path);
    if (status == WEIR_OK) {
        struct weir_secret *made = weir_secret_new(weir_span_of((const char *)bytes, sizeof bytes));
        status = made != NULL ? WEIR_OK : weir_fail(error, WEIR_ENOMEM, "no memory");
        if (made != NULL)
            *key = made;
    }
    weir_memory_wipe(text, sizeof text);
    weir_memory_wipe(bytes, sizeof bytes);
    return status;
}

static enum weir_status make_file(const char *path, struct weir_error *error) {
    char draft[PATH_SIZE + 32], text[FILE_BYTES + 2];
    unsigned char bytes[WEIR_SIGNING_KEY_BYTES];
    struct weir_random random = {.left = 0};
    weir_random_fill(&random, bytes, sizeof bytes);
    weir_hex_format(bytes, sizeof bytes, text);
    text[FILE_BYTES] = '\n';
    weir_memory_wipe(bytes, sizeof bytes);
    (void)snprintf(draft, sizeof draft, "%s.%ld", path, (long)getpid());
    (void)unlink(draft); /* what an earlier process of this number left */
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_written = fd >= 0 && write(fd, text, FILE_BYTES + 1) == FILE_BYTES + 1 && fsync(fd) == 0;
    bool is_linked = is_written && (link(draft, path) == 0 || errno == EEXIST);
    enum weir_status status = is_linked ? WEIR_OK : failed(error, path, "kept");
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(draft);
    }
    weir_memory_wipe(text, sizeof text);
    weir_memory_wipe(&random, sizeof random);
    return status;
}

enum weir_status weir_signing_key_open(const char *directory, struct weir_secret **key, struct weir_error *error) {
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/session-key", directory);
    if (length < 0 || (size_t)length >= sizeof path)
        return weir_fail(error, WEIR_EINVAL, "the path of the data directory is too long");
    enum weir_status status = read_key(path, key, error);
    if (status != WEIR_ENOTFOUND)
        return status;
    status = make_file(path, error);
    if (status == WEIR_OK)
        status = read_key(path, key, error);
    return status == WEIR_ENOTFOUND ? failed(error, path, "read") : status;
}

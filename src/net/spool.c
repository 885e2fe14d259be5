/* A body in memory while it is small, and in a file without a name once it is not.
 *
 * Memory holds the beginning and grows by doubling up to its maximum; what comes after that goes to the file, at its
 * own offset less what memory holds, so that nothing is written twice. The file is made when it is first needed: with
 * O_TMPFILE, or, where the file system has none, under a name that is taken away at once. Never waits for the disk to
 * have the bytes: they are of no use to a process that comes later.
 */
#include "net/spool.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct weir_spool {
    char *directory;
    struct weir_buffer memory; /* the first bytes */
    uint64_t on_disk;          /* how many bytes of the file count */
    uint64_t max_bytes;
    int file; /* -1: none yet */
    enum weir_status status;
};

struct weir_spool *weir_spool_new(const char *directory, size_t memory_bytes, uint64_t max_bytes) {
    struct weir_spool *spool = weir_memory_new(1, sizeof(*spool));
    if (spool == NULL) {
        return NULL;
    }
    spool->directory = weir_memory_string(weir_span_of_string(directory));
    if (spool->directory == NULL) {
        weir_memory_free(spool);
        return NULL;
    }
    weir_buffer_init(&spool->memory, memory_bytes);
    spool->max_bytes = max_bytes;
    spool->file = -1;
    return spool;
}

void weir_spool_free(struct weir_spool **spool) {
    if (*spool == NULL) {
        return;
    }
    if ((*spool)->file >= 0) {
        (void)close((*spool)->file);
    }
    weir_buffer_release(&(*spool)->memory);
    weir_memory_free((*spool)->directory);
    weir_memory_free(*spool);
    *spool = NULL;
}

static enum weir_status fail(struct weir_spool *spool, enum weir_status status) {
    spool->status = status;
    return status;
}

static enum weir_status fail_with(struct weir_spool *spool, int number) {
    bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return fail(spool, full ? WEIR_EFULL : WEIR_EIO);
}

/* -1 with errno. */
static int open_named(const char *directory) {
    struct weir_buffer path;
    weir_buffer_init(&path, 2 * strlen(directory) + 64);
    weir_buffer_append(&path, weir_span_of_string(directory));
    weir_buffer_append(&path, weir_span_of("/.spool-XXXXXX", sizeof("/.spool-XXXXXX")));
    int file = -1;
    if (weir_buffer_status(&path) != WEIR_OK) {
        errno = ENOMEM;
    } else {
        file = mkostemp(path.at, O_CLOEXEC);
    }
    if (file >= 0) {
        (void)unlink(path.at);
    }
    int number = errno;
    weir_buffer_release(&path);
    errno = number;
    return file;
}

static enum weir_status open_file(struct weir_spool *spool) {
    spool->file = open(spool->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    /* A kernel without O_TMPFILE sees a directory that is opened for writing. */
    if (spool->file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        spool->file = open_named(spool->directory);
    }
    return spool->file >= 0 ? WEIR_OK : fail_with(spool, errno);
}

static enum weir_status write_out(struct weir_spool *spool, struct weir_span data) {
    if (spool->file < 0 && open_file(spool) != WEIR_OK) {
        return spool->status;
    }
    while (data.length > 0) {
        ssize_t written = pwrite(spool->file, data.at, data.length, (off_t)spool->on_disk);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return fail_with(spool, written == 0 ? ENOSPC : errno);
        }
        spool->on_disk += (uint64_t)written;
        data = weir_span_from(data, (size_t)written);
    }
    return WEIR_OK;
}

enum weir_status weir_spool_append(struct weir_spool *spool, struct weir_span data) {
    if (spool->status != WEIR_OK) {
        return spool->status;
    }
    if (data.length > spool->max_bytes - weir_spool_length(spool)) {
        return fail(spool, WEIR_ELIMIT);
    }
    size_t room = spool->memory.max_bytes - spool->memory.length;
    struct weir_span first = weir_span_first(data, data.length < room ? data.length : room);
    if (first.length > 0) {
        weir_buffer_append(&spool->memory, first);
        enum weir_status status = weir_buffer_status(&spool->memory);
        if (status != WEIR_OK) {
            return fail(spool, status);
        }
    }
    return first.length < data.length ? write_out(spool, weir_span_from(data, first.length)) : WEIR_OK;
}

uint64_t weir_spool_length(const struct weir_spool *spool) {
    return spool->memory.length + spool->on_disk;
}

enum weir_status weir_spool_read(struct weir_spool *spool, uint64_t offset, char *buffer, size_t size,
                                 struct weir_span *data) {
    *data = WEIR_SPAN("");
    if (offset < spool->memory.length) {
        struct weir_span rest = weir_span_from(weir_buffer_span(&spool->memory), (size_t)offset);
        *data = weir_span_first(rest, rest.length < size ? rest.length : size);
        return WEIR_OK;
    }
    if (offset >= weir_spool_length(spool)) {
        return WEIR_OK;
    }
    uint64_t at = offset - spool->memory.length;
    uint64_t left = spool->on_disk - at;
    size_t wanted = left < size ? (size_t)left : size;
    size_t got = 0;
    while (got < wanted) {
        ssize_t count = pread(spool->file, buffer + got, wanted - got, (off_t)(at + got));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return WEIR_EIO;
        }
        got += (size_t)count;
    }
    *data = weir_span_of(buffer, got);
    return WEIR_OK;
}

bool weir_spool_is_on_disk(const struct weir_spool *spool) {
    return spool->file >= 0;
}

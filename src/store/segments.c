/* Segment files: created whole, mapped, listed, removed.
 *
 * Blocks are allocated for real before a segment is handed over, so that writing to the mapping cannot meet a full
 * disk (which would be a signal, not an error). Files are 0600 whatever the umask says. All names are relative to one
 * directory descriptor.
 */
#include "store/segments.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char segment_suffix[] = ".wj";
static const char lock_suffix[] = ".lock";

void store__segment_name(const struct store__journal_file *file, char out[STORE__FILE_NAME_SIZE]) {
    char uuid[WEIR_UUID_TEXT_SIZE];
    weir_uuid_format(&file->instance, uuid);
    if (file->is_lock) {
        (void)snprintf(out, STORE__FILE_NAME_SIZE, "%s%s", uuid, lock_suffix);
    } else {
        (void)snprintf(out, STORE__FILE_NAME_SIZE, "%s-%" PRIu32 "-%" PRIu64 "%s", uuid, file->worker, file->number,
                       segment_suffix);
    }
}

static bool name_parse(struct weir_span name, struct store__journal_file *file) {
    size_t uuid_length = WEIR_UUID_TEXT_SIZE - 1;
    memset(file, 0, sizeof(*file));
    if (name.length < uuid_length)
        return false;
    if (weir_uuid_parse(weir_span_first(name, uuid_length), &file->instance) != WEIR_OK)
        return false;
    struct weir_span rest = weir_span_from(name, uuid_length);
    file->is_lock = weir_span_equal(rest, weir_span_of_string(lock_suffix));
    if (!file->is_lock) {
        struct weir_span suffix = weir_span_of_string(segment_suffix);
        if (!weir_span_ends_with(rest, suffix) || rest.at[0] != '-')
            return false;
        rest = weir_span_first(rest, rest.length - suffix.length);
        struct weir_span worker, number;
        uint64_t value;
        if (!weir_span_split(weir_span_from(rest, 1), '-', &worker, &number))
            return false;
        if (weir_span_to_uint64(worker, &value) != WEIR_OK || value > UINT32_MAX)
            return false;
        file->worker = (uint32_t)value;
        if (weir_span_to_uint64(number, &file->number) != WEIR_OK || file->number == 0)
            return false;
    }
    /* One spelling only (no upper case, no leading zeroes): otherwise two files could claim one place. */
    char canonical[STORE__FILE_NAME_SIZE];
    store__segment_name(file, canonical);
    return weir_span_equal(name, weir_span_of_string(canonical));
}

static enum weir_status fail_errno(struct weir_error *error, const char *what, const char *name, int code) {
    bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
    return weir_fail(error, full ? WEIR_EFULL : WEIR_EIO, "cannot %s journal file %s: %s", what, name, strerror(code));
}

static struct store__segment *segment_new(char *at, size_t size, uint64_t number) {
    struct store__segment *segment = weir_memory_new(1, sizeof(*segment));
    if (segment == NULL)
        return NULL;
    segment->at = at;
    segment->size = size;
    segment->number = number;
    return segment;
}

enum weir_status store__segment_create(int directory, const struct store__journal_file *file, bool populate,
                                       struct store__segment **segment, struct weir_error *error) {
    char name[STORE__FILE_NAME_SIZE];
    store__segment_name(file, name);
    const size_t size = WEIR_JOURNAL_SEGMENT_BYTES;
    enum weir_status status = WEIR_OK;
    char *at = MAP_FAILED;
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_errno(error, "create", name, errno);
    int code = fchmod(fd, 0600) == 0 ? 0 : errno;
    if (code == 0) {
        do {
            code = posix_fallocate(fd, 0, (off_t)size);
        } while (code == EINTR);
    }
    if (code != 0) {
        status = fail_errno(error, "allocate", name, code);
        goto out;
    }
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        status = fail_errno(error, "map", name, errno);
        goto out;
    }
    if (populate)
        (void)madvise(at, size, MADV_POPULATE_WRITE); /* an older kernel refuses: then the worker faults them in */
    struct store__segment_header header = {.instance = file->instance,
                                           .worker = file->worker,
                                           .number = file->number,
                                           .size = (uint32_t)size};
    store__header_encode(&header, at);
    *segment = segment_new(at, size, file->number);
    if (*segment == NULL)
        status = weir_fail(error, WEIR_ENOMEM, "no memory for journal file %s", name);
out:
    (void)close(fd);
    if (status != WEIR_OK) {
        if (at != MAP_FAILED)
            (void)munmap(at, size);
        (void)unlinkat(directory, name, 0);
    }
    return status;
}

enum weir_status store__segment_open(int directory, const struct store__journal_file *file,
                                     struct store__segment **segment, struct weir_error *error) {
    char name[STORE__FILE_NAME_SIZE];
    store__segment_name(file, name);
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return WEIR_ENOTFOUND;
    if (fd < 0)
        return fail_errno(error, "open", name, errno);
    enum weir_status status = WEIR_OK;
    struct stat info;
    char *at = NULL;
    size_t size = 0;
    if (fstat(fd, &info) != 0) {
        status = fail_errno(error, "look at", name, errno);
        goto out;
    }
    /* An empty file is one whose creation was interrupted: there is nothing to map, and nothing was ever written to
     * it. */
    size = (size_t)info.st_size;
    if (size > 0) {
        at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) {
            status = fail_errno(error, "map", name, errno);
            goto out;
        }
    }
    *segment = segment_new(at, size, file->number);
    if (*segment == NULL) {
        if (at != NULL)
            (void)munmap(at, size);
        status = weir_fail(error, WEIR_ENOMEM, "no memory for journal file %s", name);
    }
out:
    (void)close(fd);
    return status;
}

void store__segment_free(struct store__segment **segment) {
    if (*segment == NULL)
        return;
    if ((*segment)->at != NULL)
        (void)munmap((*segment)->at, (*segment)->size);
    weir_memory_free(*segment);
    *segment = NULL;
}

void store__segment_remove(int directory, const struct store__journal_file *file) {
    char name[STORE__FILE_NAME_SIZE];
    store__segment_name(file, name);
    (void)unlinkat(directory, name, 0);
}

void store__segment_set_aside(int directory, const struct store__journal_file *file) {
    char name[STORE__FILE_NAME_SIZE];
    char aside[STORE__FILE_NAME_SIZE + sizeof(".corrupt")];
    store__segment_name(file, name);
    (void)snprintf(aside, sizeof(aside), "%s.corrupt", name);
    (void)renameat(directory, name, directory, aside);
}

static int compare_files(const void *left, const void *right) {
    const struct store__journal_file *a = left;
    const struct store__journal_file *b = right;
    int order = memcmp(&a->instance, &b->instance, sizeof(a->instance));
    if (order != 0)
        return order;
    if (a->is_lock != b->is_lock)
        return a->is_lock ? -1 : 1;
    if (a->worker != b->worker)
        return a->worker < b->worker ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return 0;
}

enum weir_status store__journal_list(int directory, struct store__journal_file **files, size_t *count,
                                     struct weir_error *error) {
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (listing == NULL) {
        int code = errno;
        if (fd >= 0)
            (void)close(fd);
        return weir_fail(error, WEIR_EIO, "cannot read the journal directory: %s", strerror(code));
    }
    struct store__journal_file *found = NULL;
    size_t used = 0, room = 0;
    enum weir_status status = WEIR_OK;
    struct dirent *row;
    while ((row = readdir(listing)) != NULL) {
        struct store__journal_file file;
        if (!name_parse(weir_span_of_string(row->d_name), &file))
            continue;
        if (used == room) {
            room = room == 0 ? 64 : room * 2;
            struct store__journal_file *larger = weir_memory_resize(found, room, sizeof(*found));
            if (larger == NULL) {
                status = weir_fail(error, WEIR_ENOMEM, "no memory to list the journal directory");
                break;
            }
            found = larger;
        }
        found[used++] = file;
    }
    (void)closedir(listing);
    if (status != WEIR_OK) {
        weir_memory_free(found);
        return status;
    }
    if (used > 1)
        qsort(found, used, sizeof(*found), compare_files);
    *files = found;
    *count = used;
    return WEIR_OK;
}

enum weir_status store__instance_lock(int directory, const struct weir_uuid *instance, int *fd,
                                      struct weir_error *error) {
    const struct store__journal_file file = {.instance = *instance, .is_lock = true};
    char name[STORE__FILE_NAME_SIZE];
    store__segment_name(&file, name);
    for (;;) {
        int opened = openat(directory, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (opened < 0)
            return fail_errno(error, "create", name, errno);
        (void)fchmod(opened, 0600);
        if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
            int code = errno;
            (void)close(opened);
            if (code == EWOULDBLOCK)
                return WEIR_EBUSY;
            return fail_errno(error, "lock", name, code);
        }
        /* Another process may have held and removed the file between our two calls: then what we hold has no name any
         * more. */
        struct stat held, named;
        if (fstat(opened, &held) == 0 && fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            held.st_ino == named.st_ino && held.st_dev == named.st_dev) {
            *fd = opened;
            return WEIR_OK;
        }
        (void)close(opened);
    }
}

void store__instance_unlock(int directory, const struct weir_uuid *instance, int *fd) {
    if (*fd < 0)
        return;
    const struct store__journal_file file = {.instance = *instance, .is_lock = true};
    store__segment_remove(directory, &file);
    (void)close(*fd);
    *fd = -1;
}

bool store__instance_lives(int directory, const struct weir_uuid *instance) {
    const struct store__journal_file file = {.instance = *instance, .is_lock = true};
    char name[STORE__FILE_NAME_SIZE];
    store__segment_name(&file, name);
    int opened = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (opened < 0)
        return errno != ENOENT; /* where we cannot look we must think so */
    bool lives = flock(opened, LOCK_EX | LOCK_NB) != 0;
    (void)close(opened);
    return lives;
}

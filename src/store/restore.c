/* Verifying a backup, and putting it back.
 *
 * Both begin the same way: the whole file is read into a folder of its own beside the place where it shall be, every checksum on the way; then
 * the copy is looked at as a database. Only what has passed all of it is put in place, by renaming. A folder that a dead process left behind is
 * removed by the next one: who works in it holds a lock on it.
 */
#include "store/backup_impl.h"
#include "store/store_impl.h"

#include "base/clock.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 1000 };
static const char work_prefix[] = ".weir-restore-", note_name[] = "weir.db.restoring";

struct restoring {
    const char *file;
    const char *environment;
    const struct weir_backup_sealer *sealer;
    char folder[PATH_MAX - 64]; /* of our work */
    int folder_fd;              /* holds the lock */
    int journal_fd;
    int input;
    int output; /* of the entry that is being read */
    uint64_t at, journal_entries;
    char name[STORE__FILE_NAME_SIZE];
};

/* Where it goes. */
struct placing {
    int folder, journal;
    struct store__journal_file *files; /* the segments of the backup */
    size_t count;
};

/* --- the folder --- */

static void empty_folder(int fd) {
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = again >= 0 ? fdopendir(again) : NULL;
    struct dirent *row;
    if (listing == NULL) {
        if (again >= 0)
            (void)close(again);
        return;
    }
    while ((row = readdir(listing)) != NULL)
        if (strcmp(row->d_name, ".") != 0 && strcmp(row->d_name, "..") != 0)
            (void)unlinkat(fd, row->d_name, 0);
    (void)closedir(listing);
}

static void remove_work(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        int journal = openat(fd, "journal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (journal >= 0) {
            empty_folder(journal);
            (void)close(journal);
            (void)unlinkat(fd, "journal", AT_REMOVEDIR);
        }
        empty_folder(fd);
        (void)unlinkat(parent, name, AT_REMOVEDIR);
    }
    (void)close(fd);
}

/* What dead ones have left. */
static void remove_leftovers(const char *directory) {
    int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int again = parent >= 0 ? openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *listing = again >= 0 ? fdopendir(again) : NULL;
    struct dirent *row;
    while (listing != NULL && (row = readdir(listing)) != NULL)
        if (strncmp(row->d_name, work_prefix, sizeof work_prefix - 1) == 0)
            remove_work(parent, row->d_name);
    if (listing != NULL)
        (void)closedir(listing);
    else if (again >= 0)
        (void)close(again);
    if (parent >= 0)
        (void)close(parent);
}

static enum weir_status open_work(struct restoring *restoring, const char *directory, struct weir_error *error) {
    remove_leftovers(directory);
    if (snprintf(restoring->folder, sizeof restoring->folder, "%s/%sXXXXXX", directory, work_prefix) >=
        (int)sizeof restoring->folder)
        return weir_fail(error, WEIR_EINVAL, "the name of the folder is too long");
    if (mkdtemp(restoring->folder) == NULL) {
        restoring->folder[0] = '\0';
        return store__backup_fail(error, errno, "create a folder in", directory);
    }
    restoring->folder_fd = open(restoring->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (restoring->folder_fd < 0 || flock(restoring->folder_fd, LOCK_EX | LOCK_NB) != 0 ||
        mkdirat(restoring->folder_fd, "journal", 0700) != 0)
        return store__backup_fail(error, errno, "work in", restoring->folder);
    restoring->journal_fd = openat(restoring->folder_fd, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return restoring->journal_fd >= 0 ? WEIR_OK : store__backup_fail(error, errno, "work in", restoring->folder);
}

static void close_work(struct restoring *restoring) {
    const int open_files[] = {restoring->input, restoring->output, restoring->journal_fd};
    for (size_t i = 0; i < sizeof open_files / sizeof *open_files; i++)
        if (open_files[i] >= 0)
            (void)close(open_files[i]);
    if (restoring->folder_fd >= 0)
        (void)close(restoring->folder_fd); /* and its lock, so that it can be taken to remove it */
    if (restoring->folder[0] != '\0')
        remove_work(AT_FDCWD, restoring->folder);
}

/* --- reading the file into it --- */

static enum weir_status read_file(void *context, void *out, size_t size, size_t *got, struct weir_error *error) {
    struct restoring *restoring = context;
    char *at = out;
    size_t filled = 0;
    while (filled < size) {
        ssize_t more = read(restoring->input, at + filled, size - filled);
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return store__backup_fail(error, errno, "read", restoring->file);
        if (more == 0)
            break;
        filled += (size_t)more;
    }
    *got = filled;
    return WEIR_OK;
}

static enum weir_status begin_segment(struct restoring *restoring, const struct store__backup_entry *entry,
                                      struct weir_error *error) {
    const struct store__journal_file file = {.instance = entry->instance,
                                             .worker = entry->worker,
                                             .number = entry->number};
    const struct store__segment_header header = {.instance = entry->instance,
                                                 .worker = entry->worker,
                                                 .number = entry->number,
                                                 .size = WEIR_JOURNAL_SEGMENT_BYTES};
    char head[STORE__SEGMENT_HEADER_BYTES];
    if (entry->number == 0 || entry->offset < STORE__SEGMENT_HEADER_BYTES ||
        entry->offset > WEIR_JOURNAL_SEGMENT_BYTES || entry->size > WEIR_JOURNAL_SEGMENT_BYTES - entry->offset)
        return weir_fail(error, WEIR_ECORRUPT, "the backup holds a journal segment that makes no sense");
    store__segment_name(&file, restoring->name);
    restoring->output = openat(restoring->journal_fd, restoring->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (restoring->output < 0)
        return store__backup_fail(error, errno, "create", restoring->name);
    store__header_encode(&header, head);
    enum weir_status status = store__backup_write_fd(restoring->output, head, sizeof head, restoring->name, error);
    if (status == WEIR_OK && (ftruncate(restoring->output, WEIR_JOURNAL_SEGMENT_BYTES) != 0 ||
                              lseek(restoring->output, (off_t)entry->offset, SEEK_SET) < 0))
        status = store__backup_fail(error, errno, "write", restoring->name);
    return status;
}

static enum weir_status begin_entry(void *context, const struct store__backup_entry *entry, struct weir_error *error) {
    struct restoring *restoring = context;
    if (entry->kind == STORE__BACKUP_SEGMENT)
        return begin_segment(restoring, entry, error);
    (void)snprintf(restoring->name, sizeof restoring->name, "weir.db");
    restoring->output = openat(restoring->folder_fd, restoring->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return restoring->output >= 0 ? WEIR_OK : store__backup_fail(error, errno, "create", restoring->name);
}

static enum weir_status write_entry(void *context, struct weir_span bytes, struct weir_error *error) {
    struct restoring *restoring = context;
    return store__backup_write_fd(restoring->output, bytes.at, bytes.length, restoring->name, error);
}

static enum weir_status end_entry(void *context, struct weir_error *error) {
    struct restoring *restoring = context;
    int code = fsync(restoring->output) == 0 ? 0 : errno;
    (void)close(restoring->output);
    restoring->output = -1;
    return code == 0 ? WEIR_OK : store__backup_fail(error, code, "force to the disk", restoring->name);
}

/* Refuses before anything is read what the head says is not for us. */
static enum weir_status check_head(const struct restoring *restoring, const struct weir_backup_info *info,
                                   struct weir_error *error) {
    if (restoring->environment != NULL && strcmp(restoring->environment, info->environment) != 0)
        return weir_fail(error, WEIR_EDENIED,
                         "the backup is of the environment \"%s\", and these settings are for \"%s\"",
                         info->environment, restoring->environment);
    if (info->sealed && restoring->sealer == NULL)
        return weir_fail(error, WEIR_EDENIED, "the backup is sealed: its sealing key is needed (secrets.sealing_key)");
    return WEIR_OK;
}

static enum weir_status open_key(void *context, const struct weir_backup_info *info, struct weir_secret **key,
                                 struct weir_error *error) {
    const struct restoring *restoring = context;
    struct weir_buffer about;
    enum weir_status status = check_head(restoring, info, error);
    if (status != WEIR_OK)
        return status;
    weir_buffer_init(&about, 256);
    store__backup_about(info, &about);
    status = restoring->sealer->unwrap(restoring->sealer->context, weir_buffer_span(&about),
                                       weir_span_of((const char *)info->wrapped, info->wrapped_length), key);
    weir_buffer_release(&about);
    if (status == WEIR_EDENIED)
        return weir_fail(error, status,
                         "the backup is sealed with a key that is not among the sealing keys of these settings");
    return status == WEIR_OK ? WEIR_OK : weir_fail(error, status, "the backup's key does not open: it is damaged");
}

static enum weir_status extract(struct restoring *restoring, const _Atomic bool *cancel, struct weir_backup_info *info,
                                struct weir_error *error) {
    const struct store__backup_source source = {read_file, restoring};
    const struct store__backup_sink sink = {begin_entry, write_entry, end_entry, restoring};
    const struct store__backup_reading reading = {&source, &sink, open_key, restoring, cancel};
    return store__backup_read_all(&reading, info, error);
}

/* --- looking at the copy --- */

static enum weir_status check_integrity(const char *path, struct weir_error *error) {
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = WEIR_OK;
    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(database, "PRAGMA integrity_check(1)", -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        status = weir_fail(error, WEIR_ECORRUPT, "the backup's database cannot be read: %s", sqlite3_errmsg(database));
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        status = weir_fail(error, WEIR_ECORRUPT, "the backup's database is damaged: %.300s",
                           (const char *)sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
    return status;
}

/* As a server would open it: the environment, the step of the tables; then the audit trail. */
static enum weir_status check_store(const char *path, struct weir_backup_info *info, struct weir_error *error) {
    const struct weir_engine_ops *ops = &weir_engine_sqlite;
    struct weir_engine *engine = NULL;
    struct weir_audit_verification audit = {.entries = 0};
    enum weir_status status = ops->open(path, info->environment, &engine, error);
    if (status != WEIR_OK)
        return status;
    status = ops->audit_verify(engine, &audit, error);
    if (status == WEIR_OK && audit.broken_at != 0)
        status = weir_fail(error, WEIR_ECORRUPT, "the backup's audit trail is broken at entry %lld: %s",
                           (long long)audit.broken_at, audit.problem);
    info->audit_entries = audit.entries;
    ops->close(&engine);
    return status;
}

static enum weir_status verify(struct restoring *restoring, const char *directory, const _Atomic bool *cancel,
                               struct weir_backup_info *info, struct weir_error *error) {
    char path[PATH_MAX];
    struct weir_backup_info head;
    restoring->input = open(restoring->file, O_RDONLY | O_CLOEXEC);
    if (restoring->input < 0)
        return store__backup_fail(error, errno, "open", restoring->file);
    enum weir_status status = weir_backup_describe(restoring->file, &head, error);
    if (status == WEIR_OK)
        status = check_head(restoring, &head, error);
    if (status == WEIR_OK)
        status = open_work(restoring, directory, error);
    if (status == WEIR_OK)
        status = extract(restoring, cancel, info, error);
    if (status != WEIR_OK)
        return status;
    (void)snprintf(path, sizeof path, "%s/weir.db", restoring->folder);
    status = check_integrity(path, error);
    return status == WEIR_OK ? check_store(path, info, error) : status;
}

enum weir_status weir_backup_verify(const struct weir_backup_restore *restore, struct weir_backup_info *info,
                                    struct weir_error *error) {
    char folder[PATH_MAX];
    struct restoring restoring = {.file = restore->file,
                                  .environment = restore->environment,
                                  .sealer = restore->sealer,
                                  .folder_fd = -1,
                                  .journal_fd = -1,
                                  .input = -1,
                                  .output = -1};
    store__backup_folder(restore->file, folder, sizeof folder);
    enum weir_status status = verify(&restoring, restore->directory != NULL ? restore->directory : folder,
                                     restore->cancel, info, error);
    close_work(&restoring);
    return status;
}

/* --- the head alone --- */

enum weir_status weir_backup_describe(const char *file, struct weir_backup_info *info, struct weir_error *error) {
    unsigned char head[STORE__BACKUP_HEAD_BYTES];
    struct weir_backup_info read = {.schema = 0};
    struct stat about;
    uint32_t chunk_bytes = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0) {
        int code = errno;
        if (fd >= 0)
            (void)close(fd);
        return store__backup_fail(error, code, "open", file);
    }
    ssize_t got = pread(fd, head, sizeof head, 0);
    (void)close(fd);
    if (!S_ISREG(about.st_mode) || got < 8 || memcmp(head, "WEIRBKUP", 8) != 0)
        return weir_fail(error, WEIR_ECORRUPT, "%.300s is no backup of weir", file);
    if (got < (ssize_t)sizeof head)
        return weir_fail(error, WEIR_ECORRUPT, "the backup is cut: it ends after %lld bytes", (long long)got);
    enum weir_status status = store__backup_head_decode(head, &read, &chunk_bytes, error);
    if (status != WEIR_OK)
        return status;
    uint64_t chunks = (read.content_bytes + chunk_bytes - 1) / chunk_bytes;
    uint64_t expected = STORE__BACKUP_HEAD_BYTES + read.content_bytes +
                        chunks * (8U + (read.sealed ? (unsigned)STORE__BACKUP_MORE_BYTES : 0U)) +
                        STORE__BACKUP_FOOT_BYTES;
    read.file_bytes = (uint64_t)about.st_size;
    if (read.file_bytes < expected)
        return weir_fail(error, WEIR_ECORRUPT, "the backup is cut: it has %llu of %llu bytes",
                         (unsigned long long)read.file_bytes, (unsigned long long)expected);
    if (read.file_bytes > expected)
        return weir_fail(error, WEIR_ECORRUPT, "the backup is damaged: something stands behind its end");
    *info = read;
    return WEIR_OK;
}

/* --- putting it in place --- */

enum weir_status weir_backup_is_served(const char *directory, bool *served, struct weir_error *error) {
    char path[PATH_MAX], name[STORE__FILE_NAME_SIZE];
    struct store__journal_file *files = NULL;
    size_t count = 0;
    *served = false;
    (void)snprintf(path, sizeof path, "%s/journal", directory);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? WEIR_OK : store__backup_fail(error, errno, "open", path);
    enum weir_status status = store__journal_list(fd, &files, &count, error);
    for (size_t i = 0; status == WEIR_OK && i < count && !*served; i++) {
        if (!files[i].is_lock)
            continue;
        store__segment_name(&files[i], name);
        int lock = openat(fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        *served = lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        if (lock >= 0)
            (void)close(lock);
    }
    weir_memory_free(files);
    (void)close(fd);
    return status;
}

static enum weir_status check_place(const struct weir_backup_restore *restore, bool *exists, struct weir_error *error) {
    char path[PATH_MAX];
    bool served = false;
    enum weir_status status = store__database_path(restore->directory, path, sizeof path, error);
    if (status == WEIR_OK)
        status = weir_backup_is_served(restore->directory, &served, error);
    if (status != WEIR_OK)
        return status;
    if (served)
        return weir_fail(error, WEIR_EBUSY, "a server runs on %s: stop it first", restore->directory);
    *exists = access(path, F_OK) == 0;
    if (*exists && !restore->replace)
        return weir_fail(error, WEIR_EEXIST,
                         "there is a database in %s; with --replace it is kept beside the restored one",
                         restore->directory);
    return WEIR_OK;
}

/* So that its log is empty: a log must never meet another database. Whoever else has it open keeps it from going. */
static enum weir_status empty_log(const char *path, struct weir_error *error) {
    sqlite3 *database = NULL;
    int code = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_busy_timeout(database, PATIENCE_MS);
        code = sqlite3_exec(database, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) & 0xff;
    }
    (void)sqlite3_close(database);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return weir_fail(error, WEIR_EBUSY, "another process uses the database that is there: wait for it to end");
    return WEIR_OK; /* one that cannot be read goes as it is */
}

static const char *const database_parts[] = {"", "-wal", "-shm"};
enum { DATABASE_PARTS = 3 };

/* All three files from one name to another; what is not there is left out. False: nothing has moved. */
static bool move_database(int folder, const char *from, const char *to) {
    char source[128], target[128];
    size_t moved = 0;
    for (; moved < DATABASE_PARTS; moved++) {
        (void)snprintf(source, sizeof source, "%s%s", from, database_parts[moved]);
        (void)snprintf(target, sizeof target, "%s%s", to, database_parts[moved]);
        if (renameat(folder, source, folder, target) != 0 && errno != ENOENT)
            break;
    }
    bool good = moved == DATABASE_PARTS;
    int code = errno;
    while (!good && moved > 0) {
        moved--;
        (void)snprintf(source, sizeof source, "%s%s", from, database_parts[moved]);
        (void)snprintf(target, sizeof target, "%s%s", to, database_parts[moved]);
        (void)renameat(folder, target, folder, source);
    }
    errno = code;
    return good;
}

/* --- the note of what is being put in place ---
 * From before anything is moved until all of it is there, weir.db.restoring stands in the folder and names the segments that come from the backup.
 * A server does not start on a folder that has it: on half a restore it would find no database and make an empty one, or read the journal into
 * a database that has it already. The next restore first takes the named segments away again. */

enum weir_status store__check_restored(const char *directory, struct weir_error *error) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", directory, note_name);
    if (length >= (int)sizeof path || access(path, F_OK) != 0)
        return WEIR_OK;
    return weir_fail(error, WEIR_EBUSY,
                     "a restore into %s is going on or was interrupted, and its database is not whole: restore again",
                     directory);
}

/* Removes from the journal what the note names, then the note. */
static void undo_note(int folder, int journal) {
    char line[2 * STORE__FILE_NAME_SIZE];
    int fd = openat(folder, note_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    FILE *note = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (note == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    while (fgets(line, sizeof line, note) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0' && strchr(line, '/') == NULL)
            (void)unlinkat(journal, line, 0);
    }
    (void)fclose(note);
    (void)fsync(journal);
    (void)unlinkat(folder, note_name, 0);
}

/* The segments that are not there yet. One that is has all that the backup knew of it, and more. */
static enum weir_status write_note(const struct placing *placing, struct weir_error *error) {
    char name[STORE__FILE_NAME_SIZE], line[STORE__FILE_NAME_SIZE + 1];
    int fd = openat(placing->folder, note_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return store__backup_fail(error, errno, "create", note_name);
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < placing->count && status == WEIR_OK; i++) {
        store__segment_name(&placing->files[i], name);
        if (faccessat(placing->journal, name, F_OK, 0) == 0)
            continue;
        (void)snprintf(line, sizeof line, "%s\n", name);
        status = store__backup_write_fd(fd, line, strlen(line), note_name, error);
    }
    if (status == WEIR_OK && (fsync(fd) != 0 || fsync(placing->folder) != 0))
        status = store__backup_fail(error, errno, "force to the disk", note_name);
    (void)close(fd);
    return status;
}

static enum weir_status place_journal(const struct restoring *restoring, const struct placing *placing,
                                      struct weir_error *error) {
    char name[STORE__FILE_NAME_SIZE];
    for (size_t i = 0; i < placing->count; i++) {
        store__segment_name(&placing->files[i], name);
        if (faccessat(placing->journal, name, F_OK, 0) != 0 &&
            renameat(restoring->journal_fd, name, placing->journal, name) != 0)
            return store__backup_fail(error, errno, "put in place", name);
    }
    return fsync(placing->journal) == 0 ? WEIR_OK : store__backup_fail(error, errno, "force to the disk", "journal");
}

/* The copy was opened as a server would: all of it is in its file again, and on the disk. */
static enum weir_status close_copy(const struct restoring *restoring, struct weir_error *error) {
    struct stat log;
    if (fstatat(restoring->folder_fd, "weir.db-wal", &log, 0) == 0 && log.st_size > 0)
        return weir_fail(error, WEIR_EIO, "the restored database could not be closed: is there room on the disk?");
    int fd = openat(restoring->folder_fd, "weir.db", O_RDONLY | O_CLOEXEC);
    int code = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        (void)close(fd);
    return code == 0 ? WEIR_OK : store__backup_fail(error, code, "force to the disk", "the restored database");
}

static enum weir_status place_all(const struct restoring *restoring, struct placing *placing, const char *aside,
                                  struct weir_error *error) {
    enum weir_status status = write_note(placing, error);
    /* Also where there is only a log whose database is gone: it must not meet this one. */
    if (status == WEIR_OK && !move_database(placing->folder, "weir.db", aside))
        status = store__backup_fail(error, errno, "put aside", "weir.db");
    bool moved = status == WEIR_OK;
    if (status == WEIR_OK)
        status = place_journal(restoring, placing, error);
    if (status == WEIR_OK && renameat(restoring->folder_fd, "weir.db", placing->folder, "weir.db") != 0)
        status = store__backup_fail(error, errno, "put in place", "weir.db");
    if (status == WEIR_OK && fsync(placing->folder) != 0)
        return store__backup_fail(error, errno, "force to the disk", "weir.db"); /* it may be there, or not */
    if (status == WEIR_OK) {
        if (unlinkat(placing->folder, note_name, 0) != 0 || fsync(placing->folder) != 0)
            status = store__backup_fail(error, errno, "remove", note_name);
        return status;
    }
    if (moved)
        (void)move_database(placing->folder, aside, "weir.db");
    undo_note(placing->folder, placing->journal);
    return status;
}

/* While we hold this lock no server begins: each holds it too, together with all others. */
static enum weir_status lock_journal(const struct placing *placing, const char *directory, struct weir_error *error) {
    if (flock(placing->journal, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return WEIR_OK; /* a file system without locks has told nobody else otherwise */
    return weir_fail(error, WEIR_EBUSY, "a server runs on %s: stop it first", directory);
}

static enum weir_status place(struct restoring *restoring, struct weir_backup_restore *restore,
                              struct weir_error *error) {
    char path[PATH_MAX], time[WEIR_TIMESTAMP_SIZE], aside[sizeof restore->replaced];
    struct placing placing = {.journal = -1};
    bool exists = false;
    (void)snprintf(path, sizeof path, "%s/journal", restore->directory);
    placing.folder = open(restore->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (placing.folder >= 0)
        placing.journal = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum weir_status status = placing.journal >= 0 ? lock_journal(&placing, restore->directory, error)
                                                   : store__backup_fail(error, errno, "open", restore->directory);
    if (status == WEIR_OK)
        status = check_place(restore, &exists, error); /* verifying took a while */
    if (status == WEIR_OK)
        status = close_copy(restoring, error);
    if (status == WEIR_OK)
        status = store__database_path(restore->directory, path, sizeof path, error);
    if (status == WEIR_OK && exists)
        status = empty_log(path, error);
    if (status == WEIR_OK)
        status = store__journal_list(restoring->journal_fd, &placing.files, &placing.count, error);
    if (status == WEIR_OK) {
        weir_clock_format_utc(weir_clock_utc_us(), time);
        (void)snprintf(aside, sizeof aside, "weir.db.replaced-%s", time);
        undo_note(placing.folder, placing.journal); /* of one that was interrupted */
        status = place_all(restoring, &placing, aside, error);
    }
    if (status == WEIR_OK && exists)
        memcpy(restore->replaced, aside, sizeof restore->replaced);
    weir_memory_free(placing.files);
    if (placing.journal >= 0)
        (void)close(placing.journal);
    if (placing.folder >= 0)
        (void)close(placing.folder);
    return status;
}

/* The folders that a restore that came to nothing has made. Nobody else's: one that is not empty stays, and so does one that somebody holds. */
static void remove_made(const char *directory, bool made_folder, bool made_journal) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/journal", directory);
    int journal = made_journal ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (journal >= 0 && flock(journal, LOCK_EX | LOCK_NB) == 0)
        (void)rmdir(path);
    if (journal >= 0)
        (void)close(journal);
    if (made_folder)
        (void)rmdir(directory);
}

static bool is_missing(const char *directory, const char *name) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s%s", directory, name);
    return length > 0 && (size_t)length < sizeof path && access(path, F_OK) != 0 && errno == ENOENT;
}

enum weir_status weir_backup_restore(struct weir_backup_restore *restore, struct weir_backup_info *info,
                                     struct weir_error *error) {
    struct restoring restoring = {.file = restore->file,
                                  .environment = restore->environment,
                                  .sealer = restore->sealer,
                                  .folder_fd = -1,
                                  .journal_fd = -1,
                                  .input = -1,
                                  .output = -1};
    struct weir_backup_info head;
    bool exists = false;
    restore->replaced[0] = '\0';
    enum weir_status status = check_place(restore, &exists, error);
    if (status == WEIR_OK)
        status = weir_backup_describe(restore->file, &head, error); /* before anything is created */
    if (status == WEIR_OK)
        status = check_head(&restoring, &head, error);
    bool lacks_folder = is_missing(restore->directory, ""), lacks_journal = is_missing(restore->directory, "/journal");
    bool makes = status == WEIR_OK;
    if (status == WEIR_OK)
        status = store__make_directories(restore->directory, error);
    if (status == WEIR_OK)
        status = verify(&restoring, restore->directory, restore->cancel, info, error);
    if (status == WEIR_OK)
        status = place(&restoring, restore, error);
    close_work(&restoring);
    if (makes && status != WEIR_OK)
        remove_made(restore->directory, lacks_folder, lacks_journal);
    return status;
}

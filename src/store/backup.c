/* Making a backup of a store in use.
 *
 * In this order, so that nothing that was answered before we began can be missed: the journal's segments are mapped (what is mapped stays
 * readable when the store thread removes it), then a read transaction fixes what the database holds, then of each segment what that database has
 * not read is found. A record is thus in the copy of the database, or behind its cursor in the segments, or younger than the backup. Segments
 * are read from the newest to the oldest: a worker that moves on meanwhile leaves no hole between two of them.
 *
 * The database is copied by SQLite's own online backup into a file without a name (nothing of it outlives us), a read transaction held on the
 * source, so that a busy writer neither waits for us nor makes the copy start anew; then it goes chunk by chunk into the backup, which has its name
 * only once all of it is on the disk.
 */
#include "store/backup_impl.h"
#include "store/store_impl.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, STEP_PAGES = 512, STEPS_A_LOOK = 16, PIECE_BYTES = 256 * 1024 };
static const uint64_t room_left_bytes = 64ULL * 1024 * 1024; /* that a copy must leave on the disk of the store */

/* What one segment gives to the backup. */
struct piece {
    struct store__journal_file file;
    struct store__segment *segment; /* NULL: it is gone, only its place is kept */
    size_t from, until;
    bool included;
};

struct making {
    const struct weir_backup_order *order;
    sqlite3 *source;
    int copy; /* the database, as it was; a file without a name */
    int journal;
    struct piece *pieces;
    size_t piece_count, piece_room;
    struct weir_backup_info info;
};

void store__backup_folder(const char *file, char *out, size_t size) {
    const char *slash = strrchr(file, '/');
    if (slash == NULL)
        (void)snprintf(out, size, ".");
    else
        (void)snprintf(out, size, "%.*s", slash == file ? 1 : (int)(slash - file), file);
}

enum weir_status store__backup_sync_folder(const char *folder, struct weir_error *error) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        (void)close(fd);
    return code == 0 ? WEIR_OK : store__backup_fail(error, code, "force to the disk", folder);
}

static enum weir_status fail_sqlite(sqlite3 *database, const char *what, struct weir_error *error) {
    int code = sqlite3_errcode(database) & 0xff;
    enum weir_status status = code == SQLITE_FULL                               ? WEIR_EFULL
                              : code == SQLITE_BUSY || code == SQLITE_LOCKED    ? WEIR_EBUSY
                              : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? WEIR_ECORRUPT
                                                                                : WEIR_EIO;
    return weir_fail(error, status, "cannot %s: %s", what, sqlite3_errmsg(database));
}

/* --- the journal --- */

static struct piece *add_piece(struct making *making, const struct store__journal_file *file) {
    if (making->piece_count == making->piece_room) {
        size_t room = making->piece_room == 0 ? 64 : making->piece_room * 2;
        struct piece *larger = weir_memory_resize(making->pieces, room, sizeof *larger);
        if (larger == NULL)
            return NULL;
        making->pieces = larger;
        making->piece_room = room;
    }
    struct piece *piece = &making->pieces[making->piece_count++];
    *piece = (struct piece){.file = *file};
    return piece;
}

static bool same_series(const struct store__journal_file *a, const struct store__journal_file *b) {
    return a->worker == b->worker && memcmp(&a->instance, &b->instance, sizeof a->instance) == 0;
}

static bool is_mapped(const struct making *making, const struct store__journal_file *file) {
    for (size_t i = 0; i < making->piece_count; i++)
        if (same_series(&making->pieces[i].file, file) && making->pieces[i].file.number == file->number)
            return true;
    return false;
}

/* Maps what is not mapped yet. One that goes between the listing and its mapping is in the database. */
static enum weir_status map_segments(struct making *making, struct weir_error *error) {
    struct store__journal_file *files = NULL;
    size_t count = 0;
    enum weir_status status = store__journal_list(making->journal, &files, &count, error);
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        struct store__segment *segment = NULL;
        if (files[i].is_lock || is_mapped(making, &files[i]))
            continue;
        status = store__segment_open(making->journal, &files[i], &segment, error);
        if (status == WEIR_ENOTFOUND) {
            status = WEIR_OK;
            continue;
        }
        struct piece *piece = status == WEIR_OK ? add_piece(making, &files[i]) : NULL;
        if (status == WEIR_OK && piece == NULL)
            status = weir_fail(error, WEIR_ENOMEM, "no memory for the journal");
        if (piece != NULL)
            piece->segment = segment;
        else
            store__segment_free(&segment);
    }
    weir_memory_free(files);
    return status;
}

/* Where the records of a segment end. */
static size_t end_of(const struct store__segment *segment, size_t from) {
    struct weir_span bytes = weir_span_of(segment->at, segment->size);
    struct weir_journal_record record;
    size_t offset = from;
    enum weir_status status;
    do
        status = weir_journal_read(bytes, &offset, &record);
    while (status == WEIR_OK);
    if (status == WEIR_ECORRUPT)
        return segment->size; /* as it is, for the reader to say so */
    if (status == WEIR_END && segment->size - offset >= STORE__RECORD_HEAD_BYTES)
        offset += STORE__RECORD_HEAD_BYTES; /* the mark that there is another segment */
    return offset;
}

static int compare_pieces(const void *left, const void *right) {
    const struct store__journal_file *a = &((const struct piece *)left)->file;
    const struct store__journal_file *b = &((const struct piece *)right)->file;
    int order = memcmp(&a->instance, &b->instance, sizeof a->instance);
    if (order != 0)
        return order;
    if (a->worker != b->worker)
        return a->worker < b->worker ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static enum weir_status prepare(struct making *making, const char *sql, sqlite3_stmt **statement,
                                struct weir_error *error) {
    return sqlite3_prepare_v2(making->source, sql, -1, statement, NULL) == SQLITE_OK
               ? WEIR_OK
               : fail_sqlite(making->source, "read the database", error);
}

static void read_uuid(sqlite3_stmt *statement, int column, struct weir_uuid *uuid) {
    if (sqlite3_column_bytes(statement, column) == (int)sizeof uuid->bytes)
        memcpy(uuid->bytes, sqlite3_column_blob(statement, column), sizeof uuid->bytes);
}

/* The cursors of the copied database say where each series goes on; the segment of a cursor has its place in the backup also when nothing of it
 * is left to read, so that whoever starts on the copy meets the instance, and settles what it had begun. */
static enum weir_status apply_cursors(struct making *making, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = prepare(making, "SELECT instance, worker, segment, offset FROM journal_cursor",
                                      &statement, error);
    int code = SQLITE_ROW;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct store__journal_file at = {.worker = (uint32_t)sqlite3_column_int64(statement, 1),
                                         .number = (uint64_t)sqlite3_column_int64(statement, 2)};
        read_uuid(statement, 0, &at.instance);
        bool found = false;
        for (size_t i = 0; i < making->piece_count; i++) {
            struct piece *piece = &making->pieces[i];
            if (!same_series(&piece->file, &at))
                continue;
            piece->included = piece->file.number >= at.number;
            if (piece->file.number != at.number)
                continue;
            found = true;
            piece->from = (size_t)sqlite3_column_int64(statement, 3);
        }
        struct piece *gone = found ? NULL : add_piece(making, &at);
        if (gone != NULL) {
            gone->included = true;
            gone->from = (size_t)sqlite3_column_int64(statement, 3);
        } else if (!found) {
            status = weir_fail(error, WEIR_ENOMEM, "no memory for the journal");
        }
    }
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = fail_sqlite(making->source, "read the journal's cursors", error);
    (void)sqlite3_finalize(statement);
    return status;
}

/* An instance of which nothing is known but that it began. */
static enum weir_status apply_instances(struct making *making, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = prepare(making, "SELECT id FROM instance ORDER BY began_utc_us", &statement, error);
    int code = SQLITE_ROW;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct store__journal_file first = {.number = 1};
        bool found = false;
        read_uuid(statement, 0, &first.instance);
        making->info.instance = first.instance;
        for (size_t i = 0; i < making->piece_count && !found; i++)
            found = memcmp(&making->pieces[i].file.instance, &first.instance, sizeof first.instance) == 0;
        struct piece *placeholder = found ? NULL : add_piece(making, &first);
        if (placeholder != NULL)
            placeholder->included = true;
        else if (!found)
            status = weir_fail(error, WEIR_ENOMEM, "no memory for the journal");
    }
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = fail_sqlite(making->source, "read the instances", error);
    (void)sqlite3_finalize(statement);
    return status;
}

static enum weir_status measure_journal(struct making *making, struct weir_error *error) {
    for (size_t i = 0; i < making->piece_count; i++)
        making->pieces[i].included = true; /* a series without a cursor was never read */
    enum weir_status status = apply_cursors(making, error);
    if (status == WEIR_OK)
        status = apply_instances(making, error);
    if (making->piece_count > 0)
        qsort(making->pieces, making->piece_count, sizeof *making->pieces, compare_pieces);
    for (size_t i = making->piece_count; i > 0 && status == WEIR_OK; i--) {
        struct piece *piece = &making->pieces[i - 1];
        struct store__segment_header header;
        if (piece->from < STORE__SEGMENT_HEADER_BYTES)
            piece->from = STORE__SEGMENT_HEADER_BYTES;
        piece->until = piece->from;
        bool usable = piece->included && piece->segment != NULL && piece->segment->size == WEIR_JOURNAL_SEGMENT_BYTES &&
                      store__header_decode(weir_span_of(piece->segment->at, piece->segment->size), &header) == WEIR_OK;
        if (usable && piece->from <= piece->segment->size)
            piece->until = end_of(piece->segment, piece->from);
        making->info.content_bytes += piece->included ? STORE__BACKUP_ENTRY_BYTES + piece->until - piece->from : 0;
    }
    return status;
}

/* --- the database --- */

static enum weir_status open_source(struct making *making, struct weir_error *error) {
    char path[PATH_MAX];
    struct stat info;
    enum weir_status status = store__database_path(making->order->directory, path, sizeof path, error);
    if (status == WEIR_OK)
        status = store__check_restored(making->order->directory, error);
    if (status != WEIR_OK)
        return status;
    if (stat(path, &info) != 0)
        return errno == ENOENT
                   ? weir_fail(error, WEIR_ENOTFOUND, "there is no database in %s", making->order->directory)
                   : store__backup_fail(error, errno, "look at", path);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &making->source, flags, NULL) != SQLITE_OK)
        return fail_sqlite(making->source, "open the database", error);
    (void)sqlite3_busy_timeout(making->source, PATIENCE_MS);
    (void)snprintf(path, sizeof path, "%s/journal", making->order->directory);
    making->journal = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return making->journal >= 0 || errno == ENOENT ? WEIR_OK : store__backup_fail(error, errno, "open", path);
}

/* Begins the transaction that all is read in, and reads what the head says. */
static enum weir_status fix_moment(struct making *making, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_exec(making->source, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return fail_sqlite(making->source, "read the database", error);
    enum weir_status status = prepare(
        making,
        "SELECT (SELECT value FROM meta WHERE name = 'environment'), coalesce((SELECT value FROM meta WHERE name = 'schema_step'), (SELECT value FROM meta WHERE name = 'schema_version'))",
        &statement, error);
    if (status != WEIR_OK)
        return status;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const char *environment = (const char *)sqlite3_column_text(statement, 0);
        making->info.schema = (uint32_t)sqlite3_column_int64(statement, 1);
        (void)snprintf(making->info.environment, sizeof making->info.environment, "%s",
                       environment != NULL ? environment : "");
        if (strcmp(making->info.environment, making->order->environment) != 0)
            status = weir_fail(error, WEIR_EDENIED,
                               "the database belongs to the environment \"%s\", and this process runs as \"%s\"",
                               making->info.environment, making->order->environment);
    } else {
        status = fail_sqlite(making->source, "read the database", error);
    }
    (void)sqlite3_finalize(statement);
    return status;
}

/* A sealed backup's folder may be a place that must not see what is inside: its copy is made where the database is. */
static void scratch_folder(const struct weir_backup_order *order, char *out, size_t size) {
    if (order->sealer != NULL)
        (void)snprintf(out, size, "%s", order->directory);
    else
        store__backup_folder(order->file, out, size);
}

/* Whether `wanted` bytes more have room in the folder. On the disk of the store some is always left: a server's journal needs it. */
static enum weir_status check_room(const struct making *making, const char *folder, uint64_t wanted,
                                   struct weir_error *error) {
    struct statvfs room;
    struct stat here, store;
    if (statvfs(folder, &room) != 0 || stat(folder, &here) != 0)
        return store__backup_fail(error, errno, "look at", folder);
    if (stat(making->order->directory, &store) == 0 && store.st_dev == here.st_dev)
        wanted += room_left_bytes;
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    if (free_bytes >= wanted)
        return WEIR_OK;
    return weir_fail(error, WEIR_EFULL,
                     "no room for a copy of the database in %.200s: %llu MiB are wanted, %llu MiB are free", folder,
                     (unsigned long long)(wanted >> 20) + 1, (unsigned long long)(free_bytes >> 20));
}

static enum weir_status step_through(struct making *making, sqlite3 *target, struct weir_error *error) {
    sqlite3_backup *copying = sqlite3_backup_init(target, "main", making->source, "main");
    if (copying == NULL)
        return fail_sqlite(target, "copy the database", error);
    int code = SQLITE_OK;
    enum weir_status status = WEIR_OK;
    /* Meanwhile the database's log cannot be cut: it must not take the last room of a server that writes much. */
    for (unsigned i = 0; status == WEIR_OK && code == SQLITE_OK && !store__backup_cancelled(making->order->cancel);
         i++) {
        code = sqlite3_backup_step(copying, STEP_PAGES);
        if (i % STEPS_A_LOOK == STEPS_A_LOOK - 1)
            status = check_room(making, making->order->directory, 0, error);
    }
    int finished = sqlite3_backup_finish(copying);
    if (status != WEIR_OK)
        return status;
    if (code == SQLITE_DONE && finished == SQLITE_OK)
        return WEIR_OK;
    return code == SQLITE_OK ? weir_fail(error, WEIR_ECLOSED, "the backup was stopped")
                             : fail_sqlite(target, "copy the database", error);
}

static enum weir_status copy_database(struct making *making, struct weir_error *error) {
    char folder[PATH_MAX], path[PATH_MAX + 32];
    struct stat info;
    sqlite3 *target = NULL;
    scratch_folder(making->order, folder, sizeof folder);
    enum weir_status status = store__database_path(making->order->directory, path, sizeof path, error);
    if (status == WEIR_OK && stat(path, &info) == 0)
        status = check_room(making, folder, (uint64_t)info.st_size, error);
    if (status != WEIR_OK)
        return status;
    (void)snprintf(path, sizeof path, "%s/.weir-copy-XXXXXX", folder);
    making->copy = mkostemp(path, O_CLOEXEC);
    if (making->copy < 0)
        return store__backup_fail(error, errno, "create a file in", folder);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &target, flags, NULL);
    (void)unlink(path); /* both have it open: whoever dies now leaves nothing behind */
    if (code != SQLITE_OK ||
        sqlite3_exec(target,
                     "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
                     "PRAGMA cache_size = -2048",
                     NULL, NULL, NULL) != SQLITE_OK)
        status = fail_sqlite(target, "create a copy of the database", error);
    if (status == WEIR_OK)
        status = step_through(making, target, error);
    (void)sqlite3_close(target);
    if (status == WEIR_OK && fstat(making->copy, &info) != 0)
        status = store__backup_fail(error, errno, "look at", "the copy of the database");
    if (status == WEIR_OK)
        making->info.database_bytes = (uint64_t)info.st_size;
    making->info.content_bytes += STORE__BACKUP_ENTRY_BYTES + making->info.database_bytes;
    return status;
}

/* --- the file --- */

static enum weir_status write_entry(struct store__backup_writer *writer, const struct store__backup_entry *entry,
                                    struct weir_error *error) {
    char head[STORE__BACKUP_ENTRY_BYTES];
    store__backup_entry_encode(entry, head);
    return store__backup_write(writer, weir_span_of(head, sizeof head), error);
}

static enum weir_status write_database(struct making *making, struct store__backup_writer *writer,
                                       struct weir_error *error) {
    const struct store__backup_entry entry = {.kind = STORE__BACKUP_DATABASE, .size = making->info.database_bytes};
    char *bytes = weir_memory_new(PIECE_BYTES, 1);
    enum weir_status status = bytes == NULL ? weir_fail(error, WEIR_ENOMEM, "no memory for a backup")
                                            : write_entry(writer, &entry, error);
    for (uint64_t at = 0; at < entry.size && status == WEIR_OK;) {
        size_t wanted = entry.size - at < PIECE_BYTES ? (size_t)(entry.size - at) : PIECE_BYTES;
        ssize_t got = pread(making->copy, bytes, wanted, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            status = weir_fail(error, WEIR_EIO, "cannot read the copy of the database: %s",
                               got < 0 ? strerror(errno) : "it is too short");
        else if (store__backup_cancelled(making->order->cancel))
            status = weir_fail(error, WEIR_ECLOSED, "the backup was stopped");
        else
            status = store__backup_write(writer, weir_span_of(bytes, (size_t)got), error);
        at += got > 0 ? (uint64_t)got : 0;
    }
    if (bytes != NULL)
        weir_memory_wipe(bytes, PIECE_BYTES);
    weir_memory_free(bytes);
    return status;
}

static enum weir_status write_journal(const struct making *making, struct store__backup_writer *writer,
                                      struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < making->piece_count && status == WEIR_OK; i++) {
        const struct piece *piece = &making->pieces[i];
        const struct store__backup_entry entry = {.kind = STORE__BACKUP_SEGMENT,
                                                  .worker = piece->file.worker,
                                                  .instance = piece->file.instance,
                                                  .number = piece->file.number,
                                                  .offset = piece->from,
                                                  .size = piece->until - piece->from};
        if (!piece->included)
            continue;
        status = write_entry(writer, &entry, error);
        if (status == WEIR_OK && entry.size > 0)
            status = store__backup_write(writer, weir_span_of(piece->segment->at + piece->from, entry.size), error);
    }
    return status;
}

static enum weir_status wrap_key(struct making *making, struct weir_secret **key, struct weir_error *error) {
    const struct weir_backup_sealer *sealer = making->order->sealer;
    unsigned char bytes[STORE__BACKUP_KEY_BYTES];
    struct weir_buffer about, wrapped;
    weir_buffer_init(&about, 256);
    weir_buffer_init(&wrapped, WEIR_BACKUP_WRAPPED_MAX);
    crypto_secretstream_xchacha20poly1305_keygen(bytes);
    *key = weir_secret_new(weir_span_of((const char *)bytes, sizeof bytes));
    weir_memory_wipe(bytes, sizeof bytes);
    store__backup_about(&making->info, &about);
    enum weir_status status = *key == NULL ? WEIR_ENOMEM
                                           : sealer->wrap(sealer->context, weir_buffer_span(&about),
                                                          weir_secret_reveal(*key), &wrapped);
    if (status == WEIR_OK)
        status = weir_buffer_status(&wrapped);
    if (status == WEIR_OK) {
        making->info.sealed = true;
        making->info.wrapped_length = wrapped.length;
        memcpy(making->info.wrapped, wrapped.at, wrapped.length);
    } else {
        (void)weir_fail(error, status,
                        status == WEIR_EDENIED ? "there is no sealing key to seal the backup with"
                                               : "the backup's key cannot be sealed");
    }
    weir_buffer_release(&about);
    weir_buffer_release(&wrapped);
    return status;
}

static enum weir_status write_file(struct making *making, int fd, struct weir_error *error) {
    struct store__backup_writer writer = {.fd = fd};
    struct weir_secret *key = NULL;
    enum weir_status status = making->order->sealer != NULL ? wrap_key(making, &key, error) : WEIR_OK;
    if (status == WEIR_OK)
        status = store__backup_writer_begin(&writer, fd, &making->info, weir_secret_reveal(key), error);
    if (status == WEIR_OK)
        status = write_database(making, &writer, error);
    if (status == WEIR_OK)
        status = write_journal(making, &writer, error);
    if (status == WEIR_OK)
        status = store__backup_writer_end(&writer, making->info.sha256, error);
    if (status == WEIR_OK && fsync(fd) != 0)
        status = store__backup_fail(error, errno, "force to the disk", "the backup");
    struct stat info;
    if (status == WEIR_OK && fstat(fd, &info) == 0)
        making->info.file_bytes = (uint64_t)info.st_size;
    store__backup_writer_release(&writer);
    weir_secret_free(&key);
    return status;
}

static enum weir_status verify_part(struct making *making, const char *part, struct weir_error *error) {
    char folder[PATH_MAX];
    scratch_folder(making->order, folder, sizeof folder);
    (void)close(making->copy); /* gives its room back: the trial needs as much */
    making->copy = -1;
    enum weir_status status = check_room(making, folder, making->info.content_bytes, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_backup_restore restore = {.file = part,
                                                .directory = folder,
                                                .environment = making->order->environment,
                                                .sealer = making->order->sealer,
                                                .cancel = making->order->cancel};
    return weir_backup_verify(&restore, &making->info, error);
}

/* Gives the whole file its name, unless there is one of it meanwhile. */
static enum weir_status name_file(const char *part, const char *file, struct weir_error *error) {
    char folder[PATH_MAX];
    int code = renameat2(AT_FDCWD, part, AT_FDCWD, file, RENAME_NOREPLACE) == 0 ? 0 : errno;
    if (code == EINVAL || code == ENOSYS) /* this file system knows no such renaming */
        code = access(file, F_OK) == 0 ? EEXIST : rename(part, file) == 0 ? 0 : errno;
    if (code == EEXIST)
        return weir_fail(error, WEIR_EEXIST, "%s exists already", file);
    if (code != 0)
        return store__backup_fail(error, code, "name the backup", file);
    store__backup_folder(file, folder, sizeof folder);
    return store__backup_sync_folder(folder, error);
}

static enum weir_status make(struct making *making, bool verified, struct weir_error *error) {
    char part[PATH_MAX];
    making->info.created_utc_us = weir_clock_utc_us();
    (void)snprintf(making->info.version, sizeof making->info.version, "%s", WEIR_VERSION);
    enum weir_status status = open_source(making, error);
    if (status == WEIR_OK && making->journal >= 0)
        status = map_segments(making, error);
    if (status == WEIR_OK)
        status = fix_moment(making, error);
    if (status == WEIR_OK && making->journal >= 0)
        status = map_segments(making, error); /* what was begun between the two */
    if (status == WEIR_OK)
        status = measure_journal(making, error);
    if (status == WEIR_OK)
        status = copy_database(making, error);
    (void)sqlite3_close(making->source); /* ends its transaction, which keeps the database's log from being cut */
    making->source = NULL;
    if (status == WEIR_OK) {
        store__backup_folder(making->order->file, part, sizeof part);
        status = check_room(making, part, making->info.content_bytes, error);
    }
    if (status != WEIR_OK)
        return status;
    if (snprintf(part, sizeof part, "%s.part-XXXXXX", making->order->file) >= (int)sizeof part)
        return weir_fail(error, WEIR_EINVAL, "the backup's name is too long");
    int fd = mkostemp(part, O_CLOEXEC);
    if (fd < 0)
        return store__backup_fail(error, errno, "create", making->order->file);
    /* Who finds a part that nobody holds may remove it. */
    (void)flock(fd, LOCK_EX | LOCK_NB);
    status = fchmod(fd, 0600) == 0 ? write_file(making, fd, error) : store__backup_fail(error, errno, "protect", part);
    if (status == WEIR_OK && verified)
        status = verify_part(making, part, error);
    if (status == WEIR_OK)
        status = name_file(part, making->order->file, error);
    if (status != WEIR_OK)
        (void)unlink(part);
    (void)close(fd);
    return status;
}

enum weir_status weir_backup_make(const struct weir_backup_order *order, bool verified, struct weir_backup_info *info,
                                  struct weir_error *error) {
    struct making making = {.order = order, .copy = -1, .journal = -1};
    if (access(order->file, F_OK) == 0)
        return weir_fail(error, WEIR_EEXIST, "%s exists already", order->file);
    if (sodium_init() < 0)
        return weir_fail(error, WEIR_EIO, "the cryptographic library cannot be used");
    enum weir_status status = make(&making, verified, error);
    for (size_t i = 0; i < making.piece_count; i++)
        store__segment_free(&making.pieces[i].segment);
    weir_memory_free(making.pieces);
    if (making.copy >= 0)
        (void)close(making.copy);
    if (making.journal >= 0)
        (void)close(making.journal);
    if (status == WEIR_OK)
        *info = making.info;
    return status;
}

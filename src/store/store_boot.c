/* Before the thread has work: directories, segments for the workers, and what dead instances left behind.
 *
 * An instance lives as long as it holds the lock on its file (the system lets go of it when the process dies, however
 * it dies). Who gets the lock of another instance may read its journal: to the end, then its opens without a close
 * are settled as crashed, then the files go, then the lock file. Each step may be interrupted and is taken up again
 * by the next boot: the cursor and the remembered opens are in the database, in the same transactions as the entries.
 */
#include "store/store_impl.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- directories --- */
static enum weir_status make_directory(const char *path, struct weir_error *error) {
    if (mkdir(path, 0700) == 0)
        return WEIR_OK;
    int code = errno;
    struct stat info;
    if (code == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return WEIR_OK;
    return weir_fail(error, code == ENOSPC ? WEIR_EFULL : WEIR_EIO, "cannot create the directory %s: %s", path,
                     strerror(code));
}

enum weir_status store__make_directories(const char *directory, struct weir_error *error) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/journal", directory);
    if (directory[0] == '\0' || length < 0 || (size_t)length >= sizeof(path)) {
        return weir_fail(error, WEIR_EINVAL, "the data directory's name is empty or too long");
    }
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        enum weir_status status = make_directory(path, error);
        *at = '/';
        if (status != WEIR_OK)
            return status;
    }
    return make_directory(path, error);
}

enum weir_status store__database_path(const char *directory, char *out, size_t size, struct weir_error *error) {
    int length = snprintf(out, size, "%s/weir.db", directory);
    if (length >= 0 && (size_t)length < size)
        return WEIR_OK;
    return weir_fail(error, WEIR_EINVAL, "the data directory's name is too long");
}

/* --- segments for the workers --- */
static void wake_store(void *context) {
    weir_store_nudge(context);
}

static void series_append(struct store__series *series, struct store__segment *segment) {
    if (series->last != NULL) {
        series->last->next = segment;
    } else {
        series->first = segment;
        series->committed = (struct store__place){.segment = segment};
    }
    series->last = segment;
}

enum weir_status store__supply(struct weir_store *store, struct store__series *series, bool populate,
                               struct weir_error *error) {
    const struct store__journal_file file = {.instance = series->instance,
                                             .worker = series->worker,
                                             .number = series->next_number};
    struct store__segment *segment = NULL;
    enum weir_status status = store__segment_create(store->directory, &file, populate, &segment, error);
    series->supply_failed = status != WEIR_OK;
    if (status != WEIR_OK)
        return status;
    /* A name that a power loss takes away would take the records with it. */
    if (store->sync_group)
        (void)fsync(store->directory);
    series->next_number++;
    bool first = series->first == NULL;
    series_append(series, segment);
    if (first) {
        store__journal_init(series->journal, segment, wake_store, store);
    } else {
        weir_bug_on(!store__journal_offer(series->journal, segment));
    }
    return WEIR_OK;
}

/* --- the dead --- */
struct dead {
    struct store__journal_file *files; /* of this instance alone, in order; the lock's not among them */
    size_t file_count;
    struct store__series *series;
    size_t series_count;
};

/* WEIR_AGAIN: the file holds nothing and is left out. */
static enum weir_status open_dead_segment(struct weir_store *store, const struct store__journal_file *file,
                                          struct store__segment **segment, struct weir_error *error) {
    struct store__segment *opened = NULL;
    enum weir_status status = store__segment_open(store->directory, file, &opened, error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_AGAIN;
    if (status != WEIR_OK)
        return status;
    struct store__segment_header header;
    struct weir_span bytes = weir_span_of(opened->at, opened->size);
    bool usable = true;
    if (opened->size < WEIR_JOURNAL_SEGMENT_BYTES) {
        /* Its creation was interrupted (all zeroes), or it was cut. */
        usable = false;
        for (size_t i = 0; i < bytes.length && !opened->damaged; i++)
            opened->damaged = bytes.at[i] != 0;
    } else if (store__header_decode(bytes, &header) == WEIR_OK) {
        usable = header.worker == file->worker && header.number == file->number &&
                 memcmp(&header.instance, &file->instance, sizeof(header.instance)) == 0;
        opened->damaged = !usable;
    }
    if (usable) {
        *segment = opened;
        return WEIR_OK;
    }
    if (opened->damaged) {
        char name[STORE__FILE_NAME_SIZE];
        char text[STORE__FILE_NAME_SIZE + 96];
        store__segment_name(file, name);
        (void)snprintf(text, sizeof(text), "journal segment %s is cut or not what its name says: kept as .corrupt",
                       name);
        store__note_lasting(store, "journal_damaged", text);
        store__segment_set_aside(store->directory, file);
    }
    store__segment_free(&opened);
    return WEIR_AGAIN;
}

static enum weir_status add_dead_segment(struct weir_store *store, struct dead *dead,
                                         const struct store__journal_file *file, struct weir_error *error) {
    struct store__series *series = dead->series_count > 0 ? &dead->series[dead->series_count - 1] : NULL;
    if (series == NULL || series->worker != file->worker) {
        series = &dead->series[dead->series_count++];
        *series = (struct store__series){.instance = file->instance, .worker = file->worker};
    }
    struct weir_journal_cursor cursor = {.instance = file->instance, .worker = file->worker};
    enum weir_status status = store->ops->cursor_read(store->engine, &cursor, error);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return status;
    if (status == WEIR_OK && file->number < cursor.segment)
        return WEIR_OK; /* read before, only not removed */
    struct store__segment *segment = NULL;
    bool known = status == WEIR_OK && file->number == cursor.segment;
    status = open_dead_segment(store, file, &segment, error);
    if (status != WEIR_OK)
        return status == WEIR_AGAIN ? WEIR_OK : status;
    if (series->last != NULL && series->last->number + 1 != segment->number) {
        store__note_lasting(store, "journal_gap", "a journal segment is missing: its requests are not in the ledger");
    }
    series_append(series, segment);
    if (known && segment == series->first)
        series->committed.offset = (size_t)cursor.offset;
    return WEIR_OK;
}

static enum weir_status read_dead(struct weir_store *store, struct dead *dead, const struct weir_uuid *instance,
                                  struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    dead->series = weir_memory_new(dead->file_count + 1, sizeof(*dead->series));
    if (dead->series == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory to read the journal");
    for (size_t i = 0; i < dead->file_count && status == WEIR_OK; i++) {
        status = add_dead_segment(store, dead, &dead->files[i], error);
    }
    size_t records = 0, all = 0;
    do {
        if (status == WEIR_OK)
            status = store__ingest(store, dead->series, dead->series_count, false, &records, error);
        all += records;
    } while (status == WEIR_OK && records > 0);
    uint64_t settled = 0;
    if (status == WEIR_OK) {
        status = store->ops->settle_crashed(store->engine, instance, WEIR_EVERY_WORKER, weir_clock_utc_us(), &settled,
                                            error);
    }
    if (status == WEIR_OK)
        status = store->ops->flush(store->engine, error);
    if (status != WEIR_OK)
        return status;
    char text[WEIR_UUID_TEXT_SIZE];
    weir_uuid_format(instance, text);
    weir_log(&store->log, WEIR_LOG_INFO, "dead_instance_settled", WEIR_LOG_T("instance", text),
             WEIR_LOG_I("records", all), WEIR_LOG_I("crashed", settled));
    return WEIR_OK;
}

static bool is_damaged(const struct dead *dead, const struct store__journal_file *file) {
    for (size_t i = 0; i < dead->series_count; i++) {
        if (dead->series[i].worker != file->worker)
            continue;
        for (const struct store__segment *at = dead->series[i].first; at != NULL; at = at->next) {
            if (at->number == file->number)
                return at->damaged;
        }
    }
    return false;
}

static enum weir_status settle_one(struct weir_store *store, const struct weir_uuid *instance,
                                   struct weir_error *error) {
    int lock = -1;
    struct store__journal_file *all = NULL;
    size_t count = 0, first = 0;
    struct dead dead = {.files = NULL};
    enum weir_status status = store__instance_lock(store->directory, instance, &lock, error);
    if (status != WEIR_OK)
        return status;
    /* Only now: what was there before the lock was ours may have been read by another process. */
    status = store__journal_list(store->directory, &all, &count, error);
    if (status != WEIR_OK)
        goto out;
    while (first < count && (all[first].is_lock || memcmp(&all[first].instance, instance, sizeof(*instance)) != 0))
        first++;
    dead.files = all + first;
    while (first + dead.file_count < count &&
           memcmp(&dead.files[dead.file_count].instance, instance, sizeof(*instance)) == 0) {
        dead.file_count++;
    }
    status = read_dead(store, &dead, instance, error);
    if (status != WEIR_OK)
        goto out;
    for (size_t i = 0; i < dead.file_count; i++) {
        if (is_damaged(&dead, &dead.files[i])) {
            store__segment_set_aside(store->directory, &dead.files[i]);
        } else {
            store__segment_remove(store->directory, &dead.files[i]);
        }
    }
    status = store->ops->instance_end(store->engine, instance, weir_clock_utc_us(), error);
    if (status == WEIR_OK)
        store__instance_unlock(store->directory, instance, &lock);
out:
    for (size_t i = 0; i < dead.series_count; i++)
        store__series_release(&dead.series[i]);
    weir_memory_free(dead.series);
    weir_memory_free(all);
    if (lock >= 0)
        (void)close(lock);
    return status;
}

/* --- the dead that left nothing but their row: a backup that was restored, a power loss at the very end --- */
struct forgotten {
    const struct weir_store *store;
    size_t file_count, count;
    struct weir_uuid instances[16]; /* more of them have their turn later */
};

static enum weir_status find_forgotten(void *context, const struct weir_uuid *instance) {
    struct forgotten *forgotten = context;
    if (memcmp(instance, &forgotten->store->instance, sizeof(*instance)) != 0 &&
        !store__instance_lives(forgotten->store->directory, instance))
        forgotten->instances[forgotten->count++] = *instance;
    return forgotten->count < sizeof(forgotten->instances) / sizeof(forgotten->instances[0]) ? WEIR_OK : WEIR_END;
}

/* The rows are read first and the files then: an instance has its lock file before its row. */
static enum weir_status settle_forgotten(struct weir_store *store, struct weir_error *error) {
    struct store__journal_file *files = NULL;
    struct forgotten forgotten = {.store = store};
    enum weir_status status = store->ops->instance_each(store->engine, find_forgotten, &forgotten, error);
    if (status != WEIR_OK || forgotten.count == 0)
        return status;
    status = store__journal_list(store->directory, &files, &forgotten.file_count, error);
    for (size_t i = 0; i < forgotten.count && status == WEIR_OK; i++) {
        const struct weir_uuid *instance = &forgotten.instances[i];
        uint64_t settled = 0;
        bool has_files = false;
        for (size_t k = 0; k < forgotten.file_count && !has_files; k++)
            has_files = memcmp(&files[k].instance, instance, sizeof(*instance)) == 0;
        if (has_files)
            continue;
        status = store->ops->settle_crashed(store->engine, instance, WEIR_EVERY_WORKER, weir_clock_utc_us(), &settled,
                                            error);
        if (status == WEIR_OK)
            status = store->ops->instance_end(store->engine, instance, weir_clock_utc_us(), error);
    }
    weir_memory_free(files);
    return status;
}

enum weir_status store__settle_dead(struct weir_store *store, struct weir_error *error) {
    struct store__journal_file *files = NULL;
    size_t count = 0;
    enum weir_status status = store__journal_list(store->directory, &files, &count, error);
    if (status != WEIR_OK)
        return status;
    store->look_for_dead = false;
    for (size_t i = 0; i < count; i++) {
        bool again = i > 0 && memcmp(&files[i].instance, &files[i - 1].instance, sizeof(files[i].instance)) == 0;
        if (again || memcmp(&files[i].instance, &store->instance, sizeof(store->instance)) == 0)
            continue;
        struct weir_error one = {.status = WEIR_OK};
        enum weir_status came = settle_one(store, &files[i].instance, &one);
        if (came == WEIR_OK)
            continue;
        store->look_for_dead = true; /* it lives, or it could not be read now: later again */
        if (came == WEIR_EBUSY && one.text[0] == '\0')
            continue;
        status = came;
        if (error != NULL)
            *error = one;
    }
    weir_memory_free(files);
    if (status == WEIR_OK)
        status = settle_forgotten(store, error);
    return status;
}

/* --- the living --- */
struct counting {
    struct weir_store *store;
    unsigned live;
    bool some_are_dead;
};

static enum weir_status count_one(void *context, const struct weir_uuid *instance) {
    struct counting *counting = context;
    struct weir_store *store = counting->store;
    if (memcmp(instance, &store->instance, sizeof(*instance)) == 0)
        return WEIR_OK; /* counted from the beginning */
    if (store__instance_lives(store->directory, instance)) {
        counting->live++;
    } else {
        counting->some_are_dead = true;
    }
    return WEIR_OK;
}

void store__count_instances(struct weir_store *store) {
    struct counting counting = {.store = store, .live = 1};
    struct weir_error error = {.status = WEIR_OK};
    if (store->ops->instance_each(store->engine, count_one, &counting, &error) != WEIR_OK)
        return; /* as many as there were */
    atomic_store_explicit(&store->live_instances, counting.live, memory_order_relaxed);
    /* One that began after us and died is known by its row alone. */
    if (counting.live > 1 || counting.some_are_dead)
        store->look_for_dead = true;
}

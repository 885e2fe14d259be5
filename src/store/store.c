/* The store: its life, and the loop of its thread.
 *
 * One thread owns the database connection. It waits on a condition variable, wakes for operations and for workers
 * that took a segment, and by itself every 50 ms while something is written (10 ms with journal.sync: group), every
 * 250 ms otherwise. What it does in a turn, in this order: answer operations, hand out segments, force the journal to
 * the disk, read the journal into the ledger, look for changed keys and objects. A database that cannot be used is tried again
 * with growing pauses and never waited for: the journal grows meanwhile, and the data plane goes on.
 */
#include "store/store_impl.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define MS ((int64_t)1000000) /* nanoseconds in one */

static const int64_t ingest_ns = 50 * MS, sync_ns = 10 * MS, watch_ns = 250 * MS, active_ns = 1000 * MS,
                     count_ns = 1000 * MS, dead_ns = 5000 * MS, supply_retry_ns = 250 * MS,
                     shortest_backoff_ns = 50 * MS, longest_backoff_ns = 1000 * MS, last_try_ns = 5000 * MS;
enum { PATIENCE_MS = 200, PATIENCE_WHILE_AWAY_MS = 20 };

/* --- health --- */
static void compose_problem(struct weir_store *store) {
    const char *const texts[] = {store->database_problem, store->journal_problem, store->lasting_problem};
    store->health.problem[0] = '\0';
    for (size_t i = 0; i < 3 && store->health.problem[0] == '\0'; i++) {
        (void)snprintf(store->health.problem, sizeof(store->health.problem), "%s", texts[i]);
    }
}

/* Whether a status says that the database cannot be used, rather than that the question was wrong. */
static bool is_away(enum weir_status status) {
    static const enum weir_status away[] = {WEIR_EBUSY, WEIR_EFULL, WEIR_EIO, WEIR_ENOMEM, WEIR_ECORRUPT};
    for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++) {
        if (away[i] == status)
            return true;
    }
    return false;
}

enum weir_status store__note(struct weir_store *store, enum weir_status status, const struct weir_error *error) {
    bool away = is_away(status);
    pthread_mutex_lock(&store->mutex);
    bool was_available = store->health.available;
    store->health.available = !away;
    if (status != WEIR_OK)
        store->health.failed_operations++;
    (void)snprintf(store->database_problem, sizeof(store->database_problem), "%.150s",
                   !away                                     ? ""
                   : error != NULL && error->text[0] != '\0' ? error->text
                                                             : weir_status_name(status));
    compose_problem(store);
    pthread_mutex_unlock(&store->mutex);
    if (was_available == !away)
        return status;
    store->ops->set_patience(store->engine, away ? PATIENCE_WHILE_AWAY_MS : PATIENCE_MS);
    if (away) {
        weir_log(&store->log, WEIR_LOG_ERROR, "store_unavailable",
                 WEIR_LOG_T("problem", error != NULL ? error->text : ""));
    } else {
        weir_log(&store->log, WEIR_LOG_INFO, "store_available");
    }
    return status;
}

void store__note_lasting(struct weir_store *store, const char *event, const char *text) {
    pthread_mutex_lock(&store->mutex);
    (void)snprintf(store->lasting_problem, sizeof(store->lasting_problem), "%.150s", text);
    compose_problem(store);
    pthread_mutex_unlock(&store->mutex);
    weir_log(&store->log, WEIR_LOG_ERROR, event, WEIR_LOG_T("problem", text));
}

static void note_journal(struct weir_store *store, bool available, const struct weir_error *error) {
    pthread_mutex_lock(&store->mutex);
    bool was_available = store->health.journal_available;
    store->health.journal_available = available;
    (void)snprintf(store->journal_problem, sizeof(store->journal_problem), "%.150s", available ? "" : error->text);
    compose_problem(store);
    pthread_mutex_unlock(&store->mutex);
    if (was_available == available)
        return;
    if (available) {
        weir_log(&store->log, WEIR_LOG_INFO, "journal_available");
    } else {
        weir_log(&store->log, WEIR_LOG_ERROR, "journal_unavailable", WEIR_LOG_T("problem", error->text));
    }
}

static uint64_t written_bytes(const struct weir_store *store) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < store->workers; i++) {
        sum += atomic_load_explicit(&store->journals[i].written_bytes, memory_order_acquire);
    }
    return sum;
}

static void note_turn(struct weir_store *store, size_t records, uint64_t read_bytes) {
    pthread_mutex_lock(&store->mutex);
    store->health.ingested_records += records;
    if (records > 0)
        store->health.last_ingest_utc_us = weir_clock_utc_us();
    store->read_bytes = read_bytes;
    store->health.cpu_ns = weir_clock_thread_cpu_ns();
    pthread_mutex_unlock(&store->mutex);
}

void weir_store_health(struct weir_store *store, struct weir_store_health *health) {
    uint64_t written = written_bytes(store);
    pthread_mutex_lock(&store->mutex);
    *health = store->health;
    health->contents_left_out = atomic_load_explicit(&store->contents_left_out, memory_order_relaxed);
    health->journal_backlog_bytes = written > store->read_bytes ? written - store->read_bytes : 0;
    pthread_mutex_unlock(&store->mutex);
}

/* --- the parts of a turn --- */
static void supply_segments(struct weir_store *store, int64_t now_ns) {
    if (now_ns < store->next_supply_ns)
        return;
    for (unsigned i = 0; i < store->workers; i++) {
        struct store__series *series = &store->series[i];
        struct weir_error error = {.status = WEIR_OK};
        if (atomic_load(&series->journal->next) != NULL)
            continue;
        if (store__supply(store, series, true, &error) == WEIR_OK)
            continue;
        note_journal(store, false, &error);
        store->next_supply_ns = now_ns + supply_retry_ns;
        return;
    }
    note_journal(store, true, NULL);
}

/* Whole segments: the system writes only the pages that changed. */
static void sync_journal(struct weir_store *store) {
    for (unsigned i = 0; i < store->workers; i++) {
        struct store__series *series = &store->series[i];
        uint64_t written = atomic_load_explicit(&series->journal->written_bytes, memory_order_acquire);
        if (written == series->synced_bytes)
            continue;
        bool failed = false;
        for (struct store__segment *at = series->first; at != NULL; at = at->next) {
            if (at->synced || !store__segment_begun(at))
                continue;
            bool left = at->next != NULL &&
                        store__segment_begun(at->next); /* asked before, so that nothing comes after */
            failed = msync(at->at, at->size, MS_SYNC) != 0 || failed;
            at->synced = left && !failed;
        }
        if (!failed)
            series->synced_bytes = written;
    }
}

static uint64_t committed_bytes(const struct weir_store *store) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < store->workers; i++)
        sum += store->series[i].committed.bytes;
    return sum;
}

/* Reads until nothing is left, an operation or a watcher waits, or the database refuses. */
static void ingest_all(struct weir_store *store, int64_t now_ns) {
    size_t records = 0;
    enum weir_status status;
    bool waiting = false;
    do {
        struct weir_error error = {.status = WEIR_OK};
        bool probe = !store->health.available; /* only this thread writes it */
        status = store__ingest(store, store->series, store->workers, probe, &records, &error);
        if (status == WEIR_OK)
            status = store__retire(store, store->series, store->workers, &error);
        if (status != WEIR_OK || records > 0 || probe)
            (void)store__note(store, status, &error);
        note_turn(store, records, committed_bytes(store));
        pthread_mutex_lock(&store->mutex);
        waiting = store->queue != NULL || store->watch_now || weir_clock_monotonic_ns() >= store->next_watch_ns;
        pthread_mutex_unlock(&store->mutex);
        if (records > 0)
            supply_segments(store, now_ns);
    } while (status == WEIR_OK && records == STORE__BATCH_RECORDS && !waiting);
    if (status == WEIR_OK) {
        store->backoff_ns = shortest_backoff_ns;
        store->next_ingest_ns = waiting ? 0 : now_ns + ingest_ns;
    } else {
        store->next_ingest_ns = now_ns + store->backoff_ns;
        store->backoff_ns = store->backoff_ns * 2 < longest_backoff_ns ? store->backoff_ns * 2 : longest_backoff_ns;
    }
}

enum weir_status store__read_journal(struct weir_store *store, struct weir_error *error) {
    const uint64_t written = written_bytes(store);
    while (committed_bytes(store) < written) {
        const uint64_t before = committed_bytes(store);
        size_t records = 0;
        enum weir_status status = store__ingest(store, store->series, store->workers, false, &records, error);
        if (status == WEIR_OK && committed_bytes(store) == before)
            status = weir_fail(error, WEIR_EBUSY, "the journal cannot be read on");
        if (status != WEIR_OK)
            return status;
        note_turn(store, records, committed_bytes(store));
    }
    return WEIR_OK;
}

static void settle_dead_again(struct weir_store *store, int64_t now_ns) {
    struct weir_error error = {.status = WEIR_OK};
    store->next_dead_ns = now_ns + dead_ns;
    if (store__settle_dead(store, &error) != WEIR_OK) {
        weir_log(&store->log, WEIR_LOG_ERROR, "dead_instance_not_settled", WEIR_LOG_T("problem", error.text));
    }
}

/* Sums of what was ingested wait for a second. */
static int64_t write_sums(struct weir_store *store, int64_t now_ns) {
    struct weir_error error = {.status = WEIR_OK};
    int64_t due_ns = INT64_MAX;
    enum weir_status status = store->ops->sums_write(store->engine, now_ns, &due_ns, &error);
    if (status != WEIR_OK)
        (void)store__note(store, status, &error);
    return due_ns;
}

/* When to wake if nobody calls. */
static int64_t turn(struct weir_store *store) {
    int64_t now_ns = weir_clock_monotonic_ns();
    store__run_operations(store);
    supply_segments(store, now_ns);
    store__write_contents(store);
    bool pending = written_bytes(store) != committed_bytes(store);
    if (pending)
        store->active_until_ns = now_ns + active_ns;
    if (store->sync_group && pending)
        sync_journal(store);
    if (now_ns >= store->next_ingest_ns && (pending || !store->health.available))
        ingest_all(store, now_ns);

    pthread_mutex_lock(&store->mutex);
    bool watch_now = store->watch_now;
    store->watch_now = false;
    bool looks = watch_now || now_ns >= store->next_watch_ns;
    store->looks_begun += looks;
    pthread_mutex_unlock(&store->mutex);
    if (looks) {
        store->next_watch_ns = now_ns + watch_ns;
        store__watch(store);
        pthread_mutex_lock(&store->mutex);
        store->looks_done = store->looks_begun;
        pthread_cond_broadcast(&store->done);
        pthread_mutex_unlock(&store->mutex);
        note_turn(store, 0, committed_bytes(store));
    }
    if (now_ns >= store->next_count_ns) {
        store->next_count_ns = now_ns + count_ns;
        store__count_instances(store);
    }
    if (store->look_for_dead && now_ns >= store->next_dead_ns)
        settle_dead_again(store, now_ns);
    if (now_ns >= store->next_upkeep_ns)
        store__upkeep(store, now_ns);

    int64_t wake_ns = write_sums(store, now_ns);
    if (store->next_watch_ns < wake_ns)
        wake_ns = store->next_watch_ns;
    if (now_ns < store->active_until_ns) {
        int64_t next_ns = store->sync_group ? now_ns + sync_ns : now_ns + ingest_ns;
        if (pending && store->next_ingest_ns < next_ns)
            next_ns = store->next_ingest_ns;
        if (next_ns < wake_ns)
            wake_ns = next_ns;
    }
    return store->next_upkeep_ns < wake_ns ? store->next_upkeep_ns : wake_ns;
}

static void wait_until(struct weir_store *store, int64_t wake_ns) {
    struct timespec until = {.tv_sec = wake_ns / (1000 * MS), .tv_nsec = wake_ns % (1000 * MS)};
    int code = 0;
    while (code == 0 && !store->stop && !store->watch_now && store->queue == NULL && store->contents == NULL &&
           !atomic_load(&store->nudged)) {
        code = pthread_cond_timedwait(&store->wake, &store->mutex, &until);
    }
}

static void *thread_main(void *argument) {
    struct weir_store *store = argument;
    (void)pthread_setname_np(pthread_self(), "weir-store");
    bool stop = false;
    while (!stop) {
        int64_t wake_ns = turn(store);
        pthread_mutex_lock(&store->mutex);
        wait_until(store, wake_ns);
        atomic_store(&store->nudged, false);
        stop = store->stop;
        pthread_mutex_unlock(&store->mutex);
    }
    store__run_operations(store);
    store__write_contents(store);
    return NULL;
}

void weir_store_look(struct weir_store *store) {
    pthread_mutex_lock(&store->mutex);
    store->watch_now = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
}

bool weir_store_look_through(struct weir_store *store, int64_t timeout_ms) {
    int64_t until_ns = weir_clock_monotonic_ns() + timeout_ms * MS;
    const struct timespec until = {.tv_sec = until_ns / (1000 * MS), .tv_nsec = until_ns % (1000 * MS)};
    int code = 0;
    pthread_mutex_lock(&store->mutex);
    uint64_t wanted = store->looks_begun + 1; /* one that is under way may have asked already */
    store->watch_now = true;
    pthread_cond_signal(&store->wake);
    while (store->looks_done < wanted && code == 0 && !store->stop)
        code = pthread_cond_timedwait(&store->done, &store->mutex, &until);
    bool done = store->looks_done >= wanted;
    pthread_mutex_unlock(&store->mutex);
    return done;
}

void weir_store_nudge(struct weir_store *store) {
    if (atomic_load(&store->nudged))
        return; /* it is about to wake, and will see what the caller did before */
    pthread_mutex_lock(&store->mutex);
    atomic_store(&store->nudged, true);
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
}

/* --- life --- */
/* Each server holds a share of a lock on the journal's directory, so that nothing is put in its place beneath it. */
static enum weir_status await_restore(const struct weir_store *store, const char *directory, struct weir_error *error) {
    const int64_t deadline_ns = weir_clock_monotonic_ns() + last_try_ns;
    bool locked;
    while (!(locked = flock(store->directory, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
           weir_clock_monotonic_ns() < deadline_ns) {
        (void)usleep(5000);
    }
    if (!locked)
        return weir_fail(error, WEIR_EBUSY, "a backup is being put in place in %s", directory);
    return store__check_restored(directory, error);
}

static enum weir_status open_journal(struct weir_store *store, const struct weir_store_settings *settings,
                                     struct weir_error *error) {
    char path[PATH_MAX];
    enum weir_status status = store__make_directories(settings->directory, error);
    if (status != WEIR_OK)
        return status;
    (void)snprintf(path, sizeof(path), "%s/journal", settings->directory);
    store->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory < 0) {
        int code = errno;
        return weir_fail(error, WEIR_EIO, "cannot open the directory %s: %s", path, strerror(code));
    }
    status = await_restore(store, settings->directory, error);
    if (status == WEIR_OK)
        status = store__database_path(settings->directory, path, sizeof(path), error);
    if (status != WEIR_OK)
        return status;
    status = store->ops->open(path, settings->environment, &store->engine, error);
    if (status != WEIR_OK)
        return status;
    store->ops->record_settings(store->engine, &settings->records);
    /* A process that is looking for the dead may hold our new file for a moment. */
    const int64_t deadline_ns = weir_clock_monotonic_ns() + last_try_ns;
    while ((status = store__instance_lock(store->directory, &store->instance, &store->lock, error)) == WEIR_EBUSY &&
           weir_clock_monotonic_ns() < deadline_ns) {
        (void)usleep(5000);
    }
    if (status == WEIR_EBUSY)
        return weir_fail(error, WEIR_EBUSY, "another process holds this instance's lock file");
    return status;
}

static enum weir_status begin_instance(struct weir_store *store, struct weir_error *error) {
    struct weir_error dead = {.status = WEIR_OK};
    store__catch_up(store); /* what budgets have left of a month is asked soon */
    if (store__settle_dead(store, &dead) != WEIR_OK) {
        /* Not a reason to stay down: the thread goes on trying. */
        weir_log(&store->log, WEIR_LOG_ERROR, "dead_instance_not_settled", WEIR_LOG_T("problem", dead.text));
    }
    enum weir_status status = store->ops->instance_begin(store->engine, &store->instance, weir_clock_utc_us(), error);
    for (unsigned i = 0; i < store->workers && status == WEIR_OK; i++) {
        store->series[i] = (struct store__series){.instance = store->instance,
                                                  .worker = i,
                                                  .journal = &store->journals[i],
                                                  .next_number = 1};
        status = store__supply(store, &store->series[i], false, error);
        if (status == WEIR_OK)
            status = store__supply(store, &store->series[i], false, error);
    }
    return status;
}

static enum weir_status start_thread(struct weir_store *store, struct weir_error *error) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    int code = pthread_create(&store->thread, NULL, thread_main, store);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return weir_fail(error, WEIR_EIO, "cannot start the store's thread: %s", strerror(code));
    store->running = true;
    return WEIR_OK;
}

static void init_locks(struct weir_store *store) {
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&store->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->wake, &monotonic);
    (void)pthread_cond_init(&store->done, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

enum weir_status weir_store_new(const struct weir_store_settings *settings, struct weir_random *random,
                                struct weir_store **store, struct weir_error *error) {
    if (settings->workers == 0)
        return weir_fail(error, WEIR_EINVAL, "a store needs at least one worker");
    struct weir_store *made = weir_memory_new(1, sizeof(*made));
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the store");
    made->ops = &weir_engine_sqlite;
    made->log = settings->log != NULL ? *settings->log : (struct weir_log){.fd = -1};
    made->sync_group = settings->sync_group;
    made->ledger_retention_us = settings->ledger_retention_us;
    made->usage_hours_kept_us = settings->usage_hours_kept_us;
    atomic_init(&made->live_instances, 1);
    made->instance = weir_uuid_v7(random, weir_clock_utc_us());
    made->directory = -1;
    made->lock = -1;
    made->queue_end = &made->queue;
    made->backoff_ns = shortest_backoff_ns;
    made->health.available = true;
    made->health.journal_available = true;
    init_locks(made);
    made->workers = settings->workers;
    made->journals = weir_memory_new(made->workers, sizeof(*made->journals));
    made->series = weir_memory_new(made->workers, sizeof(*made->series));
    enum weir_status status = store__batch_init(&made->batch);
    if (made->journals == NULL || made->series == NULL || status != WEIR_OK) {
        status = weir_fail(error, WEIR_ENOMEM, "no memory for the store");
    }
    if (status == WEIR_OK)
        status = open_journal(made, settings, error);
    if (status == WEIR_OK)
        status = begin_instance(made, error);
    if (status == WEIR_OK) {
        made->ops->set_patience(made->engine, PATIENCE_MS);
        status = start_thread(made, error);
    }
    if (status == WEIR_OK) {
        *store = made;
    } else {
        weir_store_free(&made);
    }
    return status;
}

/* The last of the journal, the unfinished opens, and the files. WEIR_OK: nothing of this instance is left. */
static enum weir_status finish_instance(struct weir_store *store, struct weir_error *error) {
    size_t records = 0;
    uint64_t crashed = 0;
    enum weir_status status;
    do {
        status = store__ingest(store, store->series, store->workers, false, &records, error);
    } while (status == WEIR_OK && records > 0);
    if (status == WEIR_OK) {
        status = store->ops->settle_crashed(store->engine, &store->instance, WEIR_EVERY_WORKER, weir_clock_utc_us(),
                                            &crashed, error);
    }
    if (status == WEIR_OK)
        status = store->ops->flush(store->engine, error);
    if (status != WEIR_OK)
        return status;
    if (crashed > 0)
        weir_log(&store->log, WEIR_LOG_WARNING, "open_requests_settled", WEIR_LOG_I("crashed", crashed));
    for (unsigned i = 0; i < store->workers; i++) {
        for (const struct store__segment *at = store->series[i].first; at != NULL; at = at->next) {
            const struct store__journal_file file = {.instance = store->instance, .worker = i, .number = at->number};
            if (at->damaged) {
                store__segment_set_aside(store->directory, &file);
            } else {
                store__segment_remove(store->directory, &file);
            }
        }
    }
    return store->ops->instance_end(store->engine, &store->instance, weir_clock_utc_us(), error);
}

static void end_instance(struct weir_store *store) {
    struct weir_error error = {.status = WEIR_OK};
    const int64_t deadline_ns = weir_clock_monotonic_ns() + last_try_ns;
    enum weir_status status;
    while ((status = finish_instance(store, &error)) != WEIR_OK && weir_clock_monotonic_ns() < deadline_ns) {
        (void)usleep(20000);
    }
    if (status == WEIR_OK) {
        store__instance_unlock(store->directory, &store->instance, &store->lock);
    } else {
        weir_log(&store->log, WEIR_LOG_ERROR, "journal_left_for_the_next_start", WEIR_LOG_T("problem", error.text));
    }
}

void weir_store_free(struct weir_store **store) {
    struct weir_store *ending = *store;
    if (ending == NULL)
        return;
    if (ending->running) {
        pthread_mutex_lock(&ending->mutex);
        ending->stop = true;
        pthread_cond_signal(&ending->wake);
        pthread_mutex_unlock(&ending->mutex);
        (void)pthread_join(ending->thread, NULL);
    }
    /* A start that failed has a few empty segments at most, and the same end. */
    if (ending->lock >= 0)
        end_instance(ending);
    if (ending->series != NULL) {
        for (unsigned i = 0; i < ending->workers; i++)
            store__series_release(&ending->series[i]);
    }
    if (ending->engine != NULL)
        ending->ops->close(&ending->engine);
    if (ending->lock >= 0)
        (void)close(ending->lock); /* the system lets go; the file tells the next start */
    if (ending->directory >= 0)
        (void)close(ending->directory);
    store__watchers_release(ending);
    store__batch_release(&ending->batch);
    weir_memory_free(ending->series);
    weir_memory_free(ending->journals);
    (void)pthread_cond_destroy(&ending->wake);
    (void)pthread_cond_destroy(&ending->done);
    (void)pthread_mutex_destroy(&ending->mutex);
    weir_memory_free(ending);
    *store = NULL;
}

const struct weir_uuid *weir_store_instance(const struct weir_store *store) {
    return &store->instance;
}

unsigned weir_store_live_instances(const struct weir_store *store) {
    return atomic_load_explicit(&store->live_instances, memory_order_relaxed);
}

struct weir_journal *weir_store_journal(struct weir_store *store, unsigned index) {
    weir_bug_on(index >= store->workers);
    return &store->journals[index];
}

/* --- synchronous use --- */
enum weir_status weir_store_direct_open(const char *directory, const char *environment, bool create,
                                        struct weir_engine **engine, struct weir_error *error) {
    char path[PATH_MAX];
    enum weir_status status = store__database_path(directory, path, sizeof(path), error);
    if (status == WEIR_OK)
        status = store__check_restored(directory, error);
    if (status != WEIR_OK)
        return status;
    if (create) {
        status = store__make_directories(directory, error);
    } else if (access(path, F_OK) != 0) {
        status = weir_fail(error, WEIR_ENOTFOUND, "there is no database at %s", path);
    }
    return status == WEIR_OK ? weir_engine_sqlite.open(path, environment, engine, error) : status;
}

enum weir_status weir_store_direct_migration(const char *directory, const char *environment,
                                             struct weir_store_migration *migration, struct weir_error *error) {
    char path[PATH_MAX];
    enum weir_status status = store__database_path(directory, path, sizeof(path), error);
    if (status == WEIR_OK)
        status = store__check_restored(directory, error);
    if (status == WEIR_OK && access(path, F_OK) != 0)
        status = weir_fail(error, WEIR_ENOTFOUND, "there is no database at %s", path);
    return status == WEIR_OK ? weir_engine_sqlite.try_migration(path, environment, migration, error) : status;
}

void weir_store_direct_close(struct weir_engine **engine) {
    weir_engine_sqlite.close(engine);
}

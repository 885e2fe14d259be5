/* See backup_schedule.h.
 *
 * The thread sleeps until the next backup is due: an interval after the newest one in the folder, whoever made it, so a restart neither skips one nor
 * makes one too many. It runs at a low priority, on connections of its own, and gives up at once when the process ends. What fails is logged, counted
 * and tried again, first after a minute, then with growing pauses up to the interval; nothing else in the process waits for it. A file gets its name
 * only after it was restored on trial, and only then the oldest ones go.
 */
#include "main/backup_schedule.h"

#include "base/clock.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NICENESS = 10, FIRST_RETRY_MS = 60000 };

struct main__backup_schedule {
    struct main__backup_plan plan;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    _Atomic bool stop;
    /* under the mutex */
    bool asked;
    struct weir_backup_state state;
};

/* --- the folder --- */

struct file {
    char name[256];
    int64_t utc_us;
    uint64_t bytes;
};

struct files {
    struct file *at;
    size_t count, room;
};

static int compare(const void *left, const void *right) {
    int64_t a = ((const struct file *)left)->utc_us, b = ((const struct file *)right)->utc_us;
    return a > b ? -1 : a < b;
}

/* A part that nobody works on any more: its maker died. */
static void remove_dead_part(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)unlink(path);
    (void)close(fd);
}

/* Ours and whole, newest first. Dead parts of ours are removed on the way. */
static enum weir_status read_folder(const struct main__backup_plan *plan, struct files *files) {
    char prefix[64];
    (void)snprintf(prefix, sizeof prefix, "weir-%s-", plan->environment);
    DIR *listing = opendir(plan->folder);
    struct dirent *row;
    enum weir_status status = listing != NULL ? WEIR_OK : WEIR_EIO;
    while (status == WEIR_OK && (row = readdir(listing)) != NULL) {
        char path[PATH_MAX];
        struct weir_backup_info info;
        struct weir_span name = weir_span_of_string(row->d_name);
        if (!weir_span_starts_with(name, weir_span_of_string(prefix)) ||
            snprintf(path, sizeof path, "%s/%s", plan->folder, row->d_name) >= (int)sizeof path)
            continue;
        if (strstr(row->d_name, ".backup.part-") != NULL)
            remove_dead_part(path);
        if (!weir_span_ends_with(name, WEIR_SPAN(".backup")) || weir_backup_describe(path, &info, NULL) != WEIR_OK)
            continue;
        if (files->count == files->room) {
            size_t room = files->room == 0 ? 32 : files->room * 2;
            struct file *larger = weir_memory_resize(files->at, room, sizeof *larger);
            if (larger == NULL) {
                status = WEIR_ENOMEM;
                break;
            }
            files->at = larger;
            files->room = room;
        }
        struct file *file = &files->at[files->count++];
        *file = (struct file){.utc_us = info.created_utc_us, .bytes = info.file_bytes};
        (void)snprintf(file->name, sizeof file->name, "%s", row->d_name);
    }
    if (listing != NULL)
        (void)closedir(listing);
    if (files->count > 0)
        qsort(files->at, files->count, sizeof *files->at, compare);
    return status;
}

/* The newest first, but what a clock that was ahead has dated after `now` behind all others: it must not crowd out what is made now. */
static void order_by_age(struct files *files, int64_t now_utc_us) {
    size_t ahead = 0;
    while (ahead < files->count && files->at[ahead].utc_us > now_utc_us)
        ahead++;
    if (ahead == 0)
        return;
    struct file *moved = weir_memory_new(ahead, sizeof *moved);
    if (moved == NULL) {
        files->count = 0; /* then none goes this time */
        return;
    }
    memcpy(moved, files->at, ahead * sizeof *moved);
    memmove(files->at, files->at + ahead, (files->count - ahead) * sizeof *moved);
    memcpy(files->at + files->count - ahead, moved, ahead * sizeof *moved);
    weir_memory_free(moved);
}

static void remove_old(struct main__backup_schedule *schedule) {
    const struct main__backup_plan *plan = &schedule->plan;
    struct files files = {.at = NULL};
    enum weir_status status = read_folder(plan, &files);
    if (status == WEIR_OK)
        order_by_age(&files, weir_clock_utc_us());
    if (status == WEIR_OK)
        for (size_t i = (size_t)plan->keep; i < files.count; i++) {
            char path[PATH_MAX];
            (void)snprintf(path, sizeof path, "%s/%.255s", plan->folder, files.at[i].name);
            if (unlink(path) == 0)
                weir_log(&plan->log, WEIR_LOG_INFO, "backup_removed", WEIR_LOG_T("file", files.at[i].name));
        }
    weir_memory_free(files.at);
}

/* --- making one --- */

/* "<folder>/weir-dev-20261121T201500.123456Z.backup" */
static void name_of(const struct main__backup_plan *plan, int64_t utc_us, char *out, size_t size) {
    char time[WEIR_TIMESTAMP_SIZE], plain[WEIR_TIMESTAMP_SIZE];
    size_t length = 0;
    weir_clock_format_utc(utc_us, time);
    for (const char *at = time; *at != '\0'; at++)
        if (*at != '-' && *at != ':')
            plain[length++] = *at;
    plain[length] = '\0';
    (void)snprintf(out, size, "%s/weir-%s-%s.backup", plan->folder, plan->environment, plain);
}

static void log_one(const struct main__backup_plan *plan, enum weir_status status, const char *path, int64_t took_us,
                    const struct weir_backup_info *info, const struct weir_error *error) {
    if (status == WEIR_OK)
        weir_log(&plan->log, WEIR_LOG_INFO, "backup_made", WEIR_LOG_T("file", path),
                 WEIR_LOG_I("bytes", info->file_bytes), WEIR_LOG_T("sealed", info->sealed ? "true" : "false"),
                 WEIR_LOG_T("verified", "true"), WEIR_LOG_I("audit_entries", info->audit_entries),
                 WEIR_LOG_I("duration_ms", took_us / 1000));
    else
        weir_log(&plan->log, WEIR_LOG_ERROR, "backup_failed",
                 WEIR_LOG_T("problem", error->text[0] != '\0' ? error->text : weir_status_name(status)),
                 WEIR_LOG_T("effect", "the backups that are there stay; it is tried again"));
}

static enum weir_status make_one(struct main__backup_schedule *schedule) {
    const struct main__backup_plan *plan = &schedule->plan;
    char path[PATH_MAX];
    struct weir_backup_info info = {.schema = 0};
    struct weir_error error = {.text = ""};
    int64_t began_ns = weir_clock_monotonic_ns();
    name_of(plan, weir_clock_utc_us(), path, sizeof path);
    const struct weir_backup_order order = {.directory = plan->directory,
                                            .environment = plan->environment,
                                            .file = path,
                                            .sealer = plan->seal ? &plan->sealer : NULL,
                                            .cancel = &schedule->stop};
    enum weir_status status = weir_backup_make(&order, true, &info, &error);
    int64_t took_us = (weir_clock_monotonic_ns() - began_ns) / 1000;
    if (status == WEIR_ECLOSED && schedule->stop)
        return status;
    log_one(plan, status, path, took_us, &info, &error);
    pthread_mutex_lock(&schedule->mutex);
    if (status == WEIR_OK) {
        schedule->state.last_utc_us = info.created_utc_us;
        schedule->state.last_bytes = info.file_bytes;
        schedule->state.last_us = took_us;
        schedule->state.problem[0] = '\0';
    } else {
        schedule->state.failures++;
        (void)snprintf(schedule->state.problem, sizeof schedule->state.problem, "%.190s",
                       error.text[0] != '\0' ? error.text : weir_status_name(status));
    }
    pthread_mutex_unlock(&schedule->mutex);
    if (status == WEIR_OK)
        remove_old(schedule);
    return status;
}

/* Sleeps until it is due, or asked for. False: the end. */
static bool wait_for_next(struct main__backup_schedule *schedule) {
    const int64_t interval_us = schedule->plan.interval_ms * 1000;
    pthread_mutex_lock(&schedule->mutex);
    while (!schedule->stop && !schedule->asked && schedule->state.next_utc_us > weir_clock_utc_us()) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t now_us = weir_clock_utc_us();
        if (schedule->state.next_utc_us - now_us > interval_us) /* the clock has gone back, or was ahead */
            schedule->state.next_utc_us = now_us + interval_us;
        int64_t left_us = schedule->state.next_utc_us - now_us;
        int64_t step_us = left_us < 60000000 ? left_us : 60000000; /* looks again: the clock of the day may be set */
        until.tv_sec += step_us / 1000000;
        until.tv_nsec += (step_us % 1000000) * 1000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&schedule->wake, &schedule->mutex, &until);
    }
    schedule->asked = false;
    schedule->state.running = !schedule->stop;
    pthread_mutex_unlock(&schedule->mutex);
    return !schedule->stop;
}

static void *run(void *argument) {
    struct main__backup_schedule *schedule = argument;
    int64_t retry_ms = FIRST_RETRY_MS;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS); /* of this thread */
    while (wait_for_next(schedule)) {
        enum weir_status status = make_one(schedule);
        int64_t pause_ms = schedule->plan.interval_ms;
        if (status != WEIR_OK && retry_ms < pause_ms)
            pause_ms = retry_ms;
        retry_ms = status == WEIR_OK ? FIRST_RETRY_MS : retry_ms * 2;
        if (retry_ms > schedule->plan.interval_ms)
            retry_ms = schedule->plan.interval_ms;
        pthread_mutex_lock(&schedule->mutex);
        schedule->state.running = false;
        schedule->state.next_utc_us = weir_clock_utc_us() + pause_ms * 1000;
        pthread_mutex_unlock(&schedule->mutex);
    }
    return NULL;
}

/* --- its life --- */

static enum weir_status look_at_folder(struct main__backup_schedule *schedule, struct weir_error *error) {
    const struct main__backup_plan *plan = &schedule->plan;
    struct files files = {.at = NULL};
    if (mkdir(plan->folder, 0700) != 0 && errno != EEXIST)
        return weir_fail(error, WEIR_EIO, "backup.directory: cannot create %s: %s", plan->folder, strerror(errno));
    if (access(plan->folder, R_OK | W_OK | X_OK) != 0)
        return weir_fail(error, WEIR_EIO, "backup.directory: cannot use %s: %s", plan->folder, strerror(errno));
    enum weir_status status = read_folder(plan, &files);
    if (status == WEIR_OK && files.count > 0) {
        schedule->state.last_utc_us = files.at[0].utc_us;
        schedule->state.last_bytes = files.at[0].bytes;
        schedule->state.next_utc_us = files.at[0].utc_us + plan->interval_ms * 1000;
    }
    weir_memory_free(files.at);
    return status == WEIR_OK ? WEIR_OK : weir_fail(error, status, "backup.directory: cannot read %s", plan->folder);
}

enum weir_status main__backup_schedule_new(const struct main__backup_plan *plan,
                                           struct main__backup_schedule **schedule, struct weir_error *error) {
    struct main__backup_schedule *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for scheduled backups");
    made->plan = *plan;
    enum weir_status status = look_at_folder(made, error);
    if (status != WEIR_OK) {
        weir_memory_free(made);
        return status;
    }
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&made->mutex, NULL);
    (void)pthread_cond_init(&made->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int code = pthread_create(&made->thread, NULL, run, made);
    if (code != 0) {
        weir_memory_free(made);
        return weir_fail(error, WEIR_ENOMEM, "no thread for scheduled backups: %s", strerror(code));
    }
    (void)pthread_setname_np(made->thread, "weir-backup");
    *schedule = made;
    return WEIR_OK;
}

void main__backup_schedule_free(struct main__backup_schedule **schedule) {
    if (*schedule == NULL)
        return;
    pthread_mutex_lock(&(*schedule)->mutex);
    (*schedule)->stop = true;
    pthread_cond_signal(&(*schedule)->wake);
    pthread_mutex_unlock(&(*schedule)->mutex);
    (void)pthread_join((*schedule)->thread, NULL);
    (void)pthread_cond_destroy(&(*schedule)->wake);
    (void)pthread_mutex_destroy(&(*schedule)->mutex);
    weir_memory_free(*schedule);
    *schedule = NULL;
}

enum weir_status main__backup_schedule_start(void *schedule) {
    struct main__backup_schedule *at = schedule;
    pthread_mutex_lock(&at->mutex);
    enum weir_status status = at->state.running ? WEIR_EBUSY : WEIR_OK;
    at->asked = at->asked || status == WEIR_OK;
    pthread_cond_signal(&at->wake);
    pthread_mutex_unlock(&at->mutex);
    return status;
}

void main__backup_schedule_state(void *schedule, struct weir_backup_state *state) {
    struct main__backup_schedule *at = schedule;
    pthread_mutex_lock(&at->mutex);
    *state = at->state;
    pthread_mutex_unlock(&at->mutex);
}

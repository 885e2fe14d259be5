/* The thread that keeps the trail. It looks at the store a few times a second, which costs one read of a counter while nothing changes.
 *
 * The place up to which entries have arrived is an object of the store (WEIR_OBJECT_MARK), written after each batch: between the two a crash can make a batch go
 * out twice, never not at all. A connection that breaks takes the last batch with it, because what a receiver's system has acknowledged its program need
 * not have read: that batch goes out again.
 */
#include "operator/trail.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "json/scan.h"
#include "operator/audit_form.h"
#include "operator/audit_sink.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    LOOK_MS = 250,
    BATCH = 500,
    BATCH_BYTES = 1024 * 1024,
    SLICE = 5000,
    FIRST_RETRY_MS = 250,
    LAST_RETRY_MS = 30000,
    HOUR_MS = 3600 * 1000,
    PATIENCE_MS = 2000,
    OPEN_AGAIN_MS = 2000,
    LAST_SENDING_MS = 3000
};
#define NS_PER_MS ((int64_t)1000000)

struct weir_trail {
    struct weir_trail_settings settings;
    struct weir_log log;
    pthread_t thread;
    int wake_fd;
    _Atomic bool stop, reopen;
    _Atomic int64_t behind;
    _Atomic uint64_t failures, removed;

    /* the thread's own */
    struct weir_engine *engine;
    struct weir_audit_sink *sink;
    bool mark_known;
    uint64_t mark_version; /* 0: there is none yet */
    int64_t arrived;       /* the last sequence that has arrived */
    int64_t before_last;   /* the same before the last batch */
    int64_t retry_ms, retry_at_ns, prune_at_ns, open_at_ns;
    int64_t end_ns;                 /* 0: not ending; else when sending ends, too */
    bool sink_failed, prune_failed; /* what was said already */
    bool fresh;                     /* something may be new */
};

static const struct weir_engine_ops *const ops = &weir_engine_sqlite;
static const char mark_id[] = "audit_sink";

/* --- the mark --- */

static enum weir_status read_mark(struct weir_trail *trail, struct weir_error *error) {
    static const struct weir_json_want wants[] = {{"sink"}, {"sequence"}};
    struct weir_json_found found[2];
    struct weir_object object;
    int64_t sequence = 0;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    if (trail->mark_known || arena == NULL) {
        weir_arena_free(&arena);
        return trail->mark_known ? WEIR_OK : weir_fail(error, WEIR_ENOMEM, "no memory");
    }
    enum weir_status status = ops->object_get(trail->engine, WEIR_OBJECT_MARK, WEIR_SPAN(""),
                                              weir_span_of_string(mark_id), arena, &object, error);
    trail->arrived = 0;
    trail->mark_version = status == WEIR_OK ? object.version : 0;
    /* Another sink gets the trail from its beginning. */
    if (status == WEIR_OK && weir_json_scan(object.text, wants, 2, found, NULL, NULL) == WEIR_OK &&
        found[0].kind == WEIR_JSON_STRING && weir_json_string_equals(found[0].value, trail->settings.sink) &&
        found[1].kind == WEIR_JSON_NUMBER && weir_json_int64(found[1].value, &sequence) == WEIR_OK)
        trail->arrived = sequence;
    trail->before_last = trail->arrived;
    trail->mark_known = status == WEIR_OK || status == WEIR_ENOTFOUND;
    weir_arena_free(&arena);
    return trail->mark_known ? WEIR_OK : status;
}

static enum weir_status write_mark(struct weir_trail *trail, int64_t sequence, struct weir_error *error) {
    struct weir_buffer text;
    struct weir_json_writer writer;
    weir_buffer_init(&text, 64 * WEIR_KIB);
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "sink", trail->settings.sink);
    weir_json_member_int64(&writer, "sequence", sequence);
    weir_json_write_end(&writer);
    int64_t now_us = weir_clock_utc_us();
    struct weir_object object = {.kind = WEIR_OBJECT_MARK,
                                 .id = weir_span_of_string(mark_id),
                                 .text = weir_buffer_span(&text),
                                 .created_utc_us = now_us,
                                 .updated_utc_us = now_us};
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = trail->mark_version == 0 ? ops->object_create(trail->engine, &object, error)
                                          : ops->object_update(trail->engine, &object, 0, error);
    if (status == WEIR_OK)
        trail->mark_version = object.version;
    weir_buffer_release(&text);
    return status;
}

/* --- sending --- */

struct batch {
    struct weir_audit_sink *sink;
    size_t count, bytes;
    int64_t last;
};

static enum weir_status gather(void *context, const struct weir_audit_entry *entry) {
    struct batch *batch = context;
    weir_audit_sink_write(batch->sink, entry);
    batch->count++;
    batch->bytes += entry->changes.length + entry->request.length;
    batch->last = entry->sequence;
    return batch->bytes < BATCH_BYTES ? WEIR_OK : WEIR_END;
}

static enum weir_status on_newest(void *context, const struct weir_audit_entry *entry) {
    *(int64_t *)context = entry->sequence;
    return WEIR_END;
}

static enum weir_status count_behind(struct weir_trail *trail, struct weir_error *error) {
    const struct weir_audit_query query = {.limit = 1};
    int64_t newest = 0;
    enum weir_status status = ops->audit_each(trail->engine, &query, on_newest, &newest, error);
    if (status == WEIR_OK)
        atomic_store(&trail->behind, newest > trail->arrived ? newest - trail->arrived : 0);
    return status;
}

/* One batch. WEIR_END: there is nothing left. */
static enum weir_status ship(struct weir_trail *trail, bool *receiver_failed, struct weir_error *error) {
    struct batch batch = {.sink = trail->sink};
    const struct weir_audit_query query = {.oldest_first = true, .after_sequence = trail->arrived, .limit = BATCH};
    enum weir_status status = ops->audit_each(trail->engine, &query, gather, &batch, error);
    enum weir_status sent = weir_audit_sink_finish(trail->sink, error);
    if (status != WEIR_OK)
        return status;
    if (sent != WEIR_OK) {
        *receiver_failed = true;
        trail->arrived = trail->before_last;
        return sent;
    }
    if (batch.count == 0)
        return WEIR_END;
    status = write_mark(trail, batch.last, error);
    if (status == WEIR_OK) {
        trail->before_last = trail->arrived;
        trail->arrived = batch.last;
    }
    return status;
}

static void say_sink(struct weir_trail *trail, const struct weir_error *error) {
    if (error != NULL && !trail->sink_failed)
        weir_log(&trail->log, WEIR_LOG_WARNING, "audit_sink_failed", WEIR_LOG_T("problem", error->text),
                 WEIR_LOG_T("effect", "entries are kept and sent later"));
    else if (error == NULL && trail->sink_failed)
        weir_log(&trail->log, WEIR_LOG_INFO, "audit_sink_back", WEIR_LOG_I("behind", atomic_load(&trail->behind)));
    trail->sink_failed = error != NULL;
}

/* While the thread is to end it is left; once more at its end there is a little time. */
static bool goes_on(const struct weir_trail *trail) {
    return trail->end_ns == 0 ? !atomic_load(&trail->stop) : weir_clock_monotonic_ns() < trail->end_ns;
}

/* A connection to the store that fails is made anew; the mark is read again. */
static void drop_store(struct weir_trail *trail, enum weir_status status) {
    trail->mark_known = false;
    if (status != WEIR_EIO && status != WEIR_ECORRUPT && status != WEIR_ECLOSED && status != WEIR_EDENIED)
        return;
    weir_store_direct_close(&trail->engine);
    trail->open_at_ns = weir_clock_monotonic_ns() + OPEN_AGAIN_MS * NS_PER_MS;
}

static void send_what_is_new(struct weir_trail *trail) {
    struct weir_error error = {.text = ""};
    bool receiver_failed = false;
    int64_t now_ns = weir_clock_monotonic_ns();
    if (trail->sink == NULL || now_ns < trail->retry_at_ns || (!trail->fresh && trail->retry_ms == 0))
        return;
    enum weir_status status = read_mark(trail, &error);
    if (status == WEIR_OK)
        status = count_behind(trail, &error);
    while (status == WEIR_OK && goes_on(trail))
        status = ship(trail, &receiver_failed, &error);
    struct weir_error none = {.text = ""};
    (void)count_behind(trail, &none);
    if (status == WEIR_OK) /* it was left */
        return;
    if (status == WEIR_END) {
        trail->fresh = false;
        trail->retry_ms = 0;
        say_sink(trail, NULL);
        return;
    }
    if (receiver_failed && !atomic_load(&trail->stop)) {
        atomic_fetch_add(&trail->failures, 1);
        say_sink(trail, &error);
    }
    if (!receiver_failed)
        drop_store(trail, status);
    trail->retry_ms = trail->retry_ms == 0 ? FIRST_RETRY_MS : trail->retry_ms * 2;
    if (trail->retry_ms > LAST_RETRY_MS)
        trail->retry_ms = LAST_RETRY_MS;
    trail->retry_at_ns = weir_clock_monotonic_ns() + trail->retry_ms * NS_PER_MS;
}

/* --- retention --- */

struct oldest {
    bool found;
    int64_t sequence, utc_us;
    unsigned char previous[WEIR_AUDIT_HASH_SIZE];
};

static enum weir_status on_oldest(void *context, const struct weir_audit_entry *entry) {
    struct oldest *oldest = context;
    oldest->found = true;
    oldest->sequence = entry->sequence;
    oldest->utc_us = entry->utc_us;
    memcpy(oldest->previous, entry->previous, sizeof oldest->previous);
    return WEIR_END;
}

static enum weir_status find_oldest(struct weir_trail *trail, int64_t after, struct oldest *oldest,
                                    struct weir_error *error) {
    const struct weir_audit_query query = {.oldest_first = true, .after_sequence = after, .limit = 1};
    *oldest = (struct oldest){.found = false};
    return ops->audit_each(trail->engine, &query, on_oldest, oldest, error);
}

/* Says in the trail itself what was removed: the hash of the last removed entry is what the oldest one follows. */
static enum weir_status note_removal(struct weir_trail *trail, uint64_t removed, struct weir_error *error) {
    struct oldest oldest;
    char text[256], hash[2 * WEIR_AUDIT_HASH_SIZE + 1];
    enum weir_status status = find_oldest(trail, 0, &oldest, error);
    if (status != WEIR_OK || !oldest.found)
        return status;
    weir_hex_format(oldest.previous, sizeof oldest.previous, hash);
    int length = snprintf(text, sizeof text,
                          "{\"before\":null,\"after\":{\"removed\":%llu,\"last_removed_sequence\":%lld,"
                          "\"last_removed_hash\":\"%s\"}}",
                          (unsigned long long)removed, (long long)oldest.sequence - 1, hash);
    struct weir_audit_entry entry = {.utc_us = weir_clock_utc_us(),
                                     .actor_kind = WEIR_SPAN("system"),
                                     .actor_name = WEIR_SPAN("system"),
                                     .action = WEIR_SPAN("audit.prune"),
                                     .resource_type = WEIR_SPAN("audit"),
                                     .changes = weir_span_of(text, (size_t)length)};
    return ops->audit_append(trail->engine, &entry, error);
}

/* A slice: removing and saying so are one transaction. */
static enum weir_status prune_slice(struct weir_trail *trail, int64_t before_us, uint64_t *removed,
                                    struct weir_error *error) {
    *removed = 0;
    enum weir_status status = ops->work_begin(trail->engine, error);
    if (status != WEIR_OK)
        return status;
    status = ops->audit_prune(trail->engine, before_us, SLICE, removed, error);
    if (status == WEIR_OK && *removed > 0)
        status = note_removal(trail, *removed, error);
    enum weir_status ended = ops->work_end(trail->engine, status, error);
    return status == WEIR_OK ? ended : status;
}

/* Before which time entries may go: what has not arrived at the sink stays for twice the retention. */
static enum weir_status find_limit(struct weir_trail *trail, int64_t *before_us, struct weir_error *error) {
    int64_t now_us = weir_clock_utc_us(), retention_us = trail->settings.retention_ms * 1000;
    struct oldest unsent;
    *before_us = now_us - retention_us;
    if (trail->sink == NULL)
        return WEIR_OK;
    enum weir_status status = read_mark(trail, error);
    if (status == WEIR_OK)
        status = find_oldest(trail, trail->arrived, &unsent, error);
    if (status != WEIR_OK || !unsent.found || unsent.utc_us >= *before_us)
        return status;
    int64_t latest_us = *before_us - retention_us;
    *before_us = unsent.utc_us > latest_us ? unsent.utc_us : latest_us;
    return WEIR_OK;
}

static void prune(struct weir_trail *trail) {
    struct weir_error error = {.text = ""};
    int64_t now_ns = weir_clock_monotonic_ns(), before_us = 0, interval_ms = trail->settings.retention_ms / 10;
    uint64_t removed = 0, total = 0;
    if (trail->settings.retention_ms == 0 || now_ns < trail->prune_at_ns)
        return;
    interval_ms = interval_ms > HOUR_MS ? HOUR_MS : interval_ms;
    trail->prune_at_ns = now_ns + (interval_ms > LOOK_MS ? interval_ms : LOOK_MS) * NS_PER_MS;
    enum weir_status status = find_limit(trail, &before_us, &error);
    do {
        if (status == WEIR_OK)
            status = prune_slice(trail, before_us, &removed, &error);
        total += status == WEIR_OK ? removed : 0;
    } while (status == WEIR_OK && removed == SLICE && !atomic_load(&trail->stop));
    atomic_fetch_add(&trail->removed, total);
    if (total > 0)
        weir_log(&trail->log, WEIR_LOG_INFO, "audit_pruned", WEIR_LOG_I("removed", total));
    if (status != WEIR_OK && !trail->prune_failed)
        weir_log(&trail->log, WEIR_LOG_ERROR, "audit_not_pruned", WEIR_LOG_T("problem", error.text));
    trail->prune_failed = status != WEIR_OK;
}

/* --- the thread --- */

static bool open_store(struct weir_trail *trail) {
    struct weir_error error = {.text = ""};
    int64_t now_ns = weir_clock_monotonic_ns();
    if (trail->engine != NULL || now_ns < trail->open_at_ns)
        return trail->engine != NULL;
    if (weir_store_direct_open(trail->settings.store_directory, trail->settings.environment, false, &trail->engine,
                               &error) == WEIR_OK) {
        ops->set_patience(trail->engine, PATIENCE_MS);
        trail->fresh = true;
        trail->mark_known = false;
    } else {
        trail->engine = NULL;
        trail->open_at_ns = now_ns + OPEN_AGAIN_MS * NS_PER_MS;
    }
    return trail->engine != NULL;
}

static void wait_a_little(struct weir_trail *trail) {
    struct pollfd row = {.fd = trail->wake_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&row, 1, LOOK_MS) > 0 && !atomic_load(&trail->stop))
        (void)!read(trail->wake_fd, &count, sizeof count);
}

static void *run(void *argument) {
    struct weir_trail *trail = argument;
    while (!atomic_load(&trail->stop)) {
        if (atomic_exchange(&trail->reopen, false) && trail->sink != NULL)
            weir_audit_sink_reopen(trail->sink);
        if (open_store(trail)) {
            trail->fresh = ops->changed(trail->engine) || trail->fresh;
            send_what_is_new(trail);
        }
        if (open_store(trail))
            prune(trail);
        wait_a_little(trail);
    }
    if (trail->engine != NULL && trail->sink != NULL && !trail->sink_failed) {
        uint64_t count; /* the waiting of the sink is not cut short this once */
        (void)!read(trail->wake_fd, &count, sizeof count);
        trail->fresh = true;
        trail->end_ns = weir_clock_monotonic_ns() + LAST_SENDING_MS * NS_PER_MS;
        send_what_is_new(trail);
    }
    weir_store_direct_close(&trail->engine);
    return NULL;
}

/* Signals are the control thread's affair. */
static bool start_thread(struct weir_trail *trail) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&trail->thread, NULL, run, trail) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

enum weir_status weir_trail_check_sink(struct weir_span sink, struct weir_error *error) {
    struct weir_audit_sink *made = NULL;
    if (sink.length == 0)
        return WEIR_OK;
    enum weir_status status = weir_audit_sink_new(sink, -1, &made, error);
    weir_audit_sink_free(&made);
    return status;
}

static void release(struct weir_trail **trail) {
    weir_audit_sink_free(&(*trail)->sink);
    if ((*trail)->wake_fd >= 0)
        (void)close((*trail)->wake_fd);
    weir_memory_free(*trail);
    *trail = NULL;
}

enum weir_status weir_trail_new(const struct weir_trail_settings *settings, struct weir_trail **trail,
                                struct weir_error *error) {
    struct weir_trail *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for keeping the audit trail");
    made->settings = *settings;
    made->log = *settings->log;
    made->log.part = "audit";
    made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum weir_status status = made->wake_fd >= 0 ? WEIR_OK : weir_fail(error, WEIR_EIO, "no event descriptor");
    if (status == WEIR_OK && settings->sink.length > 0)
        status = weir_audit_sink_new(settings->sink, made->wake_fd, &made->sink, error);
    if (status == WEIR_OK && !start_thread(made))
        status = weir_fail(error, WEIR_ENOMEM, "no thread for keeping the audit trail");
    if (status != WEIR_OK)
        release(&made);
    else
        *trail = made;
    return status;
}

static void wake(struct weir_trail *trail) {
    const uint64_t one = 1;
    (void)!write(trail->wake_fd, &one, sizeof one);
}

void weir_trail_free(struct weir_trail **trail) {
    if (*trail == NULL)
        return;
    atomic_store(&(*trail)->stop, true);
    wake(*trail);
    (void)pthread_join((*trail)->thread, NULL);
    release(trail);
}

void weir_trail_reopen(struct weir_trail *trail) {
    atomic_store(&trail->reopen, true); /* seen at the next look: waking would cut off what is being sent */
}

void weir_trail_state(const struct weir_trail *trail, struct weir_trail_state *state) {
    *state = (struct weir_trail_state){.has_sink = trail->sink != NULL,
                                       .behind = atomic_load(&trail->behind),
                                       .failures = atomic_load(&trail->failures),
                                       .removed = atomic_load(&trail->removed)};
}

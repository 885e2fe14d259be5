/* Publishing: which revision is live, and how another one takes its place.
 *
 * A revision is made of the settings file and of the plans and secrets in the store. A new one is wished for by SIGHUP (the file has changed), by the
 * store's watcher (a plan or a secret has changed, whoever changed it), and by operations, which wait for the outcome. Wishes are fulfilled one after the other, so
 * that each begins with what the one before it has made: else a change of a plan could bring an older reading of the file back. All of it
 * happens on the control thread but for the waiting.
 *
 * A revision is compiled first, then saved, then published: what cannot be compiled or saved changes nothing. One whose text is that of the
 * live one is not made at all.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "main/owner.h"
#include "main/serve.h"
#include "main/serve_meter.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum { WAIT_MS = 15000, STORE_WAIT_MS = 5000, LOOK_MS = 20 };

/* One wish. Whoever asked from another thread waits for `done` and holds a share of it; the control thread holds the other. */
struct wish {
    struct weir_message message; /* from the operations thread */
    struct wish *next;
    struct main__server *server;
    struct main__published *made;
    bool read_file, is_waited_for;
    _Atomic unsigned shares;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    bool done;
    enum weir_status status;
    uint64_t number;
    struct weir_buffer problems;
    struct weir_buffer restarts; /* settings that were read and need a restart */
};

struct main__publisher {
    struct main__plans plans;
    struct wish *first, **end;
    bool busy;              /* the first wish is being fulfilled */
    _Atomic bool is_closed; /* nobody waits any longer */
};

static const struct weir_log *log_of(const struct main__server *server) {
    return &server->gateway.log;
}

static void log_problems(const struct main__server *server, const struct weir_buffer *problems) {
    struct weir_span rest = weir_buffer_span(problems), line;
    while (rest.length > 0) {
        (void)weir_span_split(rest, '\n', &line, &rest);
        if (line.length > 0)
            weir_log(log_of(server), WEIR_LOG_ERROR, "reload_refused", WEIR_LOG_S("problem", line));
    }
}

/* --- published states --- */

struct released_message {
    struct weir_message message;
    struct main__published *published;
};

static void run_released(struct weir_message *message) {
    struct released_message *released = WEIR_CONTAINER_OF(message, struct released_message, message);
    main__published_free(&released->published);
    weir_memory_free(released);
}

void main__on_released(void *context, const struct weir_published *base) {
    struct main__server *server = context;
    struct main__published *published = (struct main__published *)(uintptr_t)base;
    if (atomic_fetch_sub(&published->holders, 1) != 1)
        return;
    struct released_message *released = weir_memory_new(1, sizeof *released);
    if (released == NULL)
        return; /* it stays in memory; the next reload has more luck */
    *released = (struct released_message){.message = {.run = run_released}, .published = published};
    weir_loop_post(server->loop, &released->message);
}

static void set_live(struct main__server *server, struct main__published *published) {
    server->live = published;
    server->board.revision = published->revision->number;
    server->board.provider_count = published->revision->provider_count;
    main__meter_plans(server);
}

/* --- wishes --- */

static struct wish *wish_new(struct main__server *server, bool read_file, bool is_waited_for) {
    struct wish *wish = weir_memory_new(1, sizeof *wish);
    if (wish == NULL)
        return NULL;
    wish->server = server;
    wish->read_file = read_file;
    wish->is_waited_for = is_waited_for;
    wish->shares = is_waited_for ? 2 : 1;
    (void)pthread_mutex_init(&wish->mutex, NULL);
    (void)pthread_cond_init(&wish->wake, NULL);
    weir_buffer_init(&wish->problems, WEIR_MIB);
    weir_buffer_init(&wish->restarts, 64 * WEIR_KIB);
    return wish;
}

static void wish_let_go(struct wish *wish) {
    if (atomic_fetch_sub(&wish->shares, 1) != 1)
        return;
    weir_buffer_release(&wish->problems);
    weir_buffer_release(&wish->restarts);
    (void)pthread_mutex_destroy(&wish->mutex);
    (void)pthread_cond_destroy(&wish->wake);
    weir_memory_free(wish);
}

static void start_next(struct main__server *server);

/* The first wish is over, one way or the other. */
static void finish(struct main__server *server, enum weir_status status, uint64_t number) {
    struct main__publisher *publisher = server->publisher;
    struct wish *wish = publisher->first;
    publisher->first = wish->next;
    if (publisher->first == NULL)
        publisher->end = &publisher->first;
    publisher->busy = false;
    main__published_free(&wish->made);
    if (status != WEIR_OK) {
        log_problems(server, &wish->problems);
        weir_log(log_of(server), WEIR_LOG_ERROR, "reload_refused", WEIR_LOG_T("status", weir_status_name(status)),
                 WEIR_LOG_T("effect", "nothing has changed"));
    }
    (void)pthread_mutex_lock(&wish->mutex);
    wish->done = true;
    wish->status = status;
    wish->number = number;
    (void)pthread_cond_signal(&wish->wake);
    (void)pthread_mutex_unlock(&wish->mutex);
    wish_let_go(wish);
    start_next(server);
}

/* --- making one --- */

/* `needed`: their names, a line each. */
static void warn_about_restarts(struct main__server *server, struct main__settings *fresh, struct weir_buffer *needed) {
    struct weir_config_section before[MAIN_SECTION_COUNT], after[MAIN_SECTION_COUNT];
    main__settings_sections(&server->settings, before);
    main__settings_sections(fresh, after);
    weir_config_needs_restart(before, after, MAIN_SECTION_COUNT, needed);
    struct weir_span rest = weir_buffer_span(needed), name;
    while (rest.length > 0) {
        (void)weir_span_split(rest, '\n', &name, &rest);
        if (name.length > 0)
            weir_log(log_of(server), WEIR_LOG_WARNING, "setting_needs_restart", WEIR_LOG_S("setting", name));
    }
}

static enum weir_status read_settings(struct main__server *server, const struct wish *wish, struct weir_arena *arena,
                                      struct main__settings *fresh, struct weir_buffer *problems) {
    enum weir_status status = wish->read_file
                                  ? main__settings_load(arena, server->config_path, fresh, problems)
                                  : main__settings_load_again(arena, &server->live->settings, fresh, problems);
    if (status == WEIR_OK && strcmp(fresh->environment, server->settings.environment) != 0) {
        weir_buffer_printf(problems,
                           "environment: a revision of the environment %s cannot be published where %s is served\n",
                           fresh->environment, server->settings.environment);
        status = WEIR_EINVAL;
    }
    if (status == WEIR_OK)
        status = main__implicit_catalog(arena, fresh, server->simulator.pid > 0 ? server->simulator.base_url : NULL);
    if (status == WEIR_OK && fresh->catalog.providers.count == 0) {
        weir_buffer_append(problems, WEIR_SPAN("providers: the file names none any more, nor does the environment\n"));
        status = WEIR_EINVAL;
    }
    return status;
}

static enum weir_status make(struct main__server *server, struct wish *wish) {
    struct main__settings fresh = {.environment = NULL};
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    enum weir_status status = arena == NULL ? WEIR_ENOMEM : read_settings(server, wish, arena, &fresh, &wish->problems);
    if (status != WEIR_OK) {
        weir_arena_free(&arena);
        return status;
    }
    if (wish->read_file)
        warn_about_restarts(server, &fresh, &wish->restarts);
    return main__published_new(arena, &fresh, &server->publisher->plans, server->tls_cache, &wish->made,
                               &wish->problems);
}

static void publish(struct main__server *server, struct main__published *published) {
    published->holders = server->worker_count;
    set_live(server, published);
    main__plane_allow(server, &published->settings);
    for (unsigned i = 0; i < server->worker_count; i++)
        if (weir_worker_publish(server->workers[i], &published->base) != WEIR_OK)
            main__on_released(server, &published->base);
    weir_log(log_of(server), WEIR_LOG_INFO, "revision_published", WEIR_LOG_I("revision", published->revision->number),
             WEIR_LOG_T("hash", published->revision->hash));
}

static void on_saved(void *context, enum weir_status status, uint64_t number, const struct weir_error *error) {
    struct main__server *server = context;
    struct wish *wish = server->publisher->first;
    if (status == WEIR_OK && server->stopping)
        status = WEIR_ECLOSED;
    if (status != WEIR_OK) {
        weir_buffer_printf(&wish->problems, "%s\n",
                           error != NULL && error->text[0] != '\0' ? error->text : "weir is about to end");
        finish(server, status, 0);
        return;
    }
    struct main__published *published = wish->made;
    wish->made = NULL;
    published->revision->number = number;
    publish(server, published);
    finish(server, WEIR_OK, number);
}

static bool is_live_already(const struct main__server *server, const struct main__published *made) {
    return strcmp(made->revision->hash, server->live->revision->hash) == 0;
}

static void start_next(struct main__server *server) {
    struct main__publisher *publisher = server->publisher;
    struct wish *wish = publisher->first;
    if (wish == NULL || publisher->busy)
        return;
    publisher->busy = true;
    if (server->stopping || atomic_load(&publisher->is_closed)) {
        finish(server, WEIR_ECLOSED, 0);
        return;
    }
    enum weir_status status = make(server, wish);
    if (status != WEIR_OK && status != WEIR_ENOMEM)
        status = WEIR_EINVAL; /* whatever kept it from being made: what was said is not good */
    /* A reading of the file is published even when it says the same: what it refers to (secrets) may have changed. */
    if (status == WEIR_OK && !wish->read_file && is_live_already(server, wish->made)) {
        finish(server, WEIR_OK, server->live->revision->number);
        return;
    }
    if (status == WEIR_OK)
        status = weir_store_revision_save(server->store, server->loop, weir_span_of_string(wish->made->revision->hash),
                                          wish->made->canonical, wish->read_file ? "file" : "plans", on_saved, server);
    if (status != WEIR_OK)
        finish(server, status, 0);
}

static void enqueue(struct main__server *server, struct wish *wish) {
    *server->publisher->end = wish;
    server->publisher->end = &wish->next;
    start_next(server);
}

void main__publish_file(struct main__server *server) {
    struct wish *wish = wish_new(server, true, false);
    if (wish != NULL)
        enqueue(server, wish);
    else
        weir_log(log_of(server), WEIR_LOG_ERROR, "reload_refused", WEIR_LOG_T("problem", "no memory"),
                 WEIR_LOG_T("effect", "nothing has changed"));
}

/* --- plans --- */

static bool plans_are_wished_for(const struct main__publisher *publisher) {
    const struct wish *wish = publisher->first;
    if (wish != NULL && publisher->busy) /* it may have begun before the change */
        wish = wish->next;
    return wish != NULL;
}

static void on_objects(void *context, const struct weir_object *objects, size_t count) {
    struct main__server *server = context;
    bool changed = false;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < count; i++) {
        changed = changed || objects[i].kind == WEIR_OBJECT_SECRET; /* a provider may have its credential from it */
        status = main__plans_take(&server->publisher->plans, &objects[i], &changed);
    }
    struct wish *wish = changed && !plans_are_wished_for(server->publisher) ? wish_new(server, false, false) : NULL;
    if (wish != NULL)
        enqueue(server, wish);
    else if (status != WEIR_OK)
        weir_log(log_of(server), WEIR_LOG_ERROR, "plans_not_read", WEIR_LOG_T("problem", weir_status_name(status)));
}

void main__publish_watch(struct main__server *server) {
    weir_store_watch_objects(server->store, server->loop, on_objects, server);
}

/* --- operations --- */

static void run_wish(struct weir_message *message) {
    struct wish *wish = WEIR_CONTAINER_OF(message, struct wish, message);
    enqueue(wish->server, wish);
}

/* Waits until the wish is fulfilled or refused, the process is about to end, or it takes too long. */
static enum weir_status wait_for(struct wish *wish, const struct main__publisher *publisher, uint64_t *number,
                                 struct weir_buffer *problems) {
    const int64_t until_ns = weir_clock_monotonic_ns() + (int64_t)WAIT_MS * 1000000;
    enum weir_status status = WEIR_ETIMEOUT;
    (void)pthread_mutex_lock(&wish->mutex);
    while (!wish->done && !atomic_load(&publisher->is_closed) && weir_clock_monotonic_ns() < until_ns) {
        struct timespec at;
        (void)clock_gettime(CLOCK_REALTIME, &at);
        at.tv_nsec += (long)LOOK_MS * 1000000;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&wish->wake, &wish->mutex, &at);
    }
    if (wish->done) {
        status = wish->status;
        *number = wish->number;
        weir_buffer_append(problems, weir_buffer_span(status == WEIR_OK ? &wish->restarts : &wish->problems));
    } else if (atomic_load(&publisher->is_closed)) {
        status = WEIR_ECLOSED;
    }
    (void)pthread_mutex_unlock(&wish->mutex);
    return status;
}

enum weir_status main__publish_wish(void *context, bool read_file, uint64_t *number, struct weir_buffer *problems) {
    struct main__server *server = context;
    struct wish *wish = wish_new(server, read_file, true);
    if (wish == NULL)
        return WEIR_ENOMEM;
    /* What the store has now is on its way to the control thread before the wish is, so the revision is made of it. */
    (void)weir_store_look_through(server->store, STORE_WAIT_MS);
    wish->message.run = run_wish;
    weir_loop_post(server->loop, &wish->message);
    enum weir_status status = wait_for(wish, server->publisher, number, problems);
    wish_let_go(wish);
    return status;
}

/* --- boot and the end --- */

enum weir_status main__publish_first(struct main__server *server, struct weir_arena *arena, struct weir_error *error) {
    struct weir_buffer problems;
    struct main__published *published = NULL;
    struct main__publisher *publisher = weir_memory_new(1, sizeof *publisher);
    server->publisher = publisher;
    enum weir_status status = publisher == NULL
                                  ? weir_fail(error, WEIR_ENOMEM, "no memory")
                                  : main__plans_read(server->settings.data_dir, server->settings.environment,
                                                     &publisher->plans, error);
    if (status != WEIR_OK) {
        weir_arena_free(&arena);
        return status;
    }
    publisher->end = &publisher->first;
    weir_buffer_init(&problems, WEIR_MIB);
    status = main__published_new(arena, &server->settings, &publisher->plans, server->tls_cache, &published, &problems);
    if (status != WEIR_OK)
        (void)weir_fail(error, status, "%.*s", (int)(problems.length < 390 ? problems.length : 390),
                        problems.at != NULL ? problems.at : "");
    weir_buffer_release(&problems);
    if (status == WEIR_OK)
        status = weir_store_revision_first(server->store, weir_span_of_string(published->revision->hash),
                                           published->canonical, &published->revision->number, error);
    if (status != WEIR_OK) {
        main__published_free(&published);
        return status;
    }
    published->holders = server->worker_count + 1; /* the workers, and `first` */
    server->first = published;
    set_live(server, published);
    return WEIR_OK;
}

void main__publish_close(struct main__server *server) {
    if (server->publisher != NULL)
        atomic_store(&server->publisher->is_closed, true);
}

void main__publish_free(struct main__server *server) {
    struct main__publisher *publisher = server->publisher;
    if (publisher == NULL)
        return;
    while (publisher->first != NULL) {
        struct wish *wish = publisher->first;
        publisher->first = wish->next;
        main__published_free(&wish->made);
        wish_let_go(wish);
    }
    main__plans_release(&publisher->plans);
    weir_memory_free(publisher);
    server->publisher = NULL;
}

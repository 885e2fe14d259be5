/* Keys in a running server: from the store to the table that workers read, revocations to the answers that they end, and how old keys are.
 *
 * All but main__keys_changed runs on the control thread. That one is called on the thread of operations: it makes the store look at once, lets the
 * control thread pass on what came of it, and waits until every worker has seen to it, so that "revoked" is true when an operator reads it.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "main/serve.h"
#include "telemetry/redaction.h"

#include <yyjson.h>

enum {
    SURVEY_STEPS = 16384, /* a turn of the watch: a million keys take half a minute, and two milliseconds at a time */
    SURVEY_PAUSE_MS = 10000,
    CHANGE_WAIT_MS = 1000
};
#define DAY_NS ((int64_t)24 * 3600 * 1000000000)

static const struct weir_log *log_of(const struct main__server *server) {
    return &server->gateway.log;
}

/* --- telling the workers --- */

static void note_checked(struct main__server *server, unsigned worker, uint64_t number) {
    struct main__key_watch *watch = &server->key_watch;
    pthread_mutex_lock(&watch->mutex);
    watch->checked[worker] = number;
    pthread_cond_broadcast(&watch->done);
    pthread_mutex_unlock(&watch->mutex);
}

/* On a worker's thread. */
static void on_keys_checked(void *context, unsigned worker, uint64_t number) {
    note_checked(context, worker, number);
}

static void tell_workers(struct main__server *server) {
    if (server->key_watch.checked == NULL)
        return; /* after the end: what was still on its way */
    for (unsigned i = 0; i < server->worker_count; i++)
        if (server->workers[i] != NULL)
            weir_worker_check_keys(server->workers[i], server->key_watch.passed_on);
        else
            note_checked(server, i, server->key_watch.passed_on);
}

static void run_pass_on(struct weir_message *message) {
    struct main__key_watch *watch = WEIR_CONTAINER_OF(message, struct main__key_watch, message);
    struct main__server *server = WEIR_CONTAINER_OF(watch, struct main__server, key_watch);
    if (watch->checked == NULL)
        return; /* after the end */
    pthread_mutex_lock(&watch->mutex);
    watch->is_posted = false;
    watch->passed_on = watch->wanted;
    pthread_mutex_unlock(&watch->mutex);
    tell_workers(server);
}

static bool all_checked(const struct main__server *server, uint64_t number) {
    for (unsigned i = 0; i < server->worker_count; i++)
        if (server->key_watch.checked[i] < number)
            return false;
    return true;
}

void main__keys_changed(void *context) {
    struct main__server *server = context;
    struct main__key_watch *watch = &server->key_watch;
    int64_t until_ns = weir_clock_monotonic_ns() + (int64_t)CHANGE_WAIT_MS * 1000000;
    const struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    (void)weir_store_look_through(server->store, CHANGE_WAIT_MS);
    pthread_mutex_lock(&watch->mutex);
    uint64_t number = ++watch->wanted;
    if (!watch->is_posted && !watch->is_over) {
        watch->is_posted = true;
        weir_loop_post(server->loop, &watch->message);
    }
    int code = 0;
    while (!watch->is_over && code == 0 && !all_checked(server, number))
        code = pthread_cond_timedwait(&watch->done, &watch->mutex, &until);
    pthread_mutex_unlock(&watch->mutex);
}

/* --- what the store says --- */

static void on_keys(void *context, const struct weir_key_record *keys, size_t count) {
    struct main__server *server = context;
    for (size_t i = 0; i < count; i++) {
        struct weir_error error = {.text = ""};
        enum weir_status status = weir_keys_apply(server->gateway.keys, &keys[i], &error);
        if (status != WEIR_OK)
            weir_log(log_of(server), WEIR_LOG_ERROR,
                     status == WEIR_EINVAL ? "key_rules_not_understood" : "key_not_loaded",
                     WEIR_LOG_T("key_id", keys[i].id), WEIR_LOG_T("problem", error.text),
                     WEIR_LOG_T("effect", status == WEIR_EINVAL ? "the key may nothing" : "the key is not known"));
    }
    if (weir_keys_take_ending(server->gateway.keys))
        tell_workers(server);
    weir_keys_collect(server->gateway.keys);
    server->board.key_count = weir_keys_count(server->gateway.keys);
    server->key_watch.survey_at_ns = 0; /* at the next turn */
    if (count == 0)                     /* those were all that there are */
        server->key_watch.has_keys = true;
}

/* What can be captured: nothing without a key to seal it with, and nothing where a name that is to be taken out is unknown. */
static unsigned capture_of(struct main__server *server, yyjson_val *capture, struct weir_span workspace) {
    const char *problem = NULL;
    unsigned found = WEIR_CAPTURE_CONTENT;
    size_t index, count;
    yyjson_val *name;
    if (!yyjson_is_true(yyjson_obj_get(capture, "content")))
        return 0;
    yyjson_arr_foreach(yyjson_obj_get(capture, "redact"), index, count, name) {
        unsigned bit = weir_redaction_find(weir_span_of_string(yyjson_is_str(name) ? yyjson_get_str(name) : ""));
        found |= bit * WEIR_CAPTURE_REDACT;
        if (bit == 0)
            problem = "a name in capture.redact is not known";
    }
    if (!weir_sealing_can_seal(server->sealing))
        problem = "there is no sealing key";
    else if (server->gateway.content_retention_us == 0)
        problem = "records.content_retention is 0";
    if (problem == NULL)
        return found;
    if (!server->key_watch.capture_told)
        weir_log(log_of(server), WEIR_LOG_WARNING, "content_not_captured", WEIR_LOG_S("workspace", workspace),
                 WEIR_LOG_T("problem", problem), WEIR_LOG_T("effect", "nothing is captured; said once"));
    server->key_watch.capture_told = true;
    return 0;
}

/* What cannot be read keeps its keys out: it was not written by us. */
static void read_workspace(struct main__server *server, const struct weir_object *workspace, bool *suspended,
                           unsigned *capture) {
    yyjson_doc *document = yyjson_read(workspace->text.at, workspace->text.length, 0);
    yyjson_val *object = yyjson_doc_get_root(document);
    *suspended = !yyjson_is_obj(object) || yyjson_is_true(yyjson_obj_get(object, "suspended"));
    *capture = capture_of(server, yyjson_obj_get(object, "capture"), workspace->id);
    yyjson_doc_free(document);
}

/* What a provider listed when it was asked for its models. */
static void take_found_models(struct main__server *server, const struct weir_object *object) {
    struct weir_span prefix = WEIR_SPAN(WEIR_FOUND_MODELS_PREFIX);
    if (object->kind != WEIR_OBJECT_MARK || object->removed || !weir_span_starts_with(object->id, prefix))
        return;
    if (weir_found_models_set(server->gateway.found_models, weir_span_from(object->id, prefix.length), object->text) !=
        WEIR_OK)
        weir_log(log_of(server), WEIR_LOG_ERROR, "found_models_not_loaded", WEIR_LOG_S("mark", object->id));
}

static void on_objects(void *context, const struct weir_object *objects, size_t count) {
    struct main__server *server = context;
    for (size_t i = 0; i < count; i++) {
        const struct weir_object *object = &objects[i];
        bool suspended = false;
        unsigned capture = 0;
        take_found_models(server, object);
        if (object->kind != WEIR_OBJECT_WORKSPACE)
            continue;
        if (!object->removed)
            read_workspace(server, object, &suspended, &capture);
        if (weir_keys_set_workspace(server->gateway.keys, object->id, suspended, capture) != WEIR_OK)
            weir_log(log_of(server), WEIR_LOG_ERROR, "workspace_not_loaded", WEIR_LOG_S("workspace", object->id));
    }
    if (count == 0)
        server->key_watch.has_objects = true;
}

/* --- how old they are --- */

static void log_rotation_due(struct main__server *server, const struct weir_keys_survey *survey) {
    char ids[WEIR_KEYS_SURVEY_IDS * (WEIR_KEY_ID_SIZE + 1)] = "";
    size_t length = 0;
    for (size_t i = 0; i < survey->id_count; i++)
        length += (size_t)snprintf(&ids[length], sizeof ids - length, "%s%s", i > 0 ? "," : "", survey->ids[i]);
    weir_log(log_of(server), WEIR_LOG_WARNING, "key_rotation_due", WEIR_LOG_I("keys", survey->rotation_due),
             WEIR_LOG_I("of", survey->active), WEIR_LOG_T("key_ids", ids),
             WEIR_LOG_T("effect", "none but this line: they go on working; at most ten ids are named"));
}

void main__keys_turn(struct main__server *server) {
    struct main__key_watch *watch = &server->key_watch;
    int64_t now_ns = weir_clock_monotonic_ns(), now_utc_us = weir_clock_utc_us();
    int64_t due_us = server->settings.keys.rotation_due_ms * 1000;
    struct weir_keys_survey survey;
    weir_keys_collect(server->gateway.keys);
    watch->bytes = weir_keys_bytes(server->gateway.keys);
    if (now_ns < watch->survey_at_ns || !weir_keys_survey(server->gateway.keys, SURVEY_STEPS, now_utc_us,
                                                          due_us > 0 ? now_utc_us - due_us : 0, &survey))
        return;
    watch->survey_at_ns = now_ns + (int64_t)SURVEY_PAUSE_MS * 1000000;
    watch->active = survey.active;
    watch->rotation_due = survey.rotation_due;
    if (survey.rotation_due == 0 || now_ns < watch->log_at_ns)
        return;
    watch->log_at_ns = now_ns + DAY_NS;
    log_rotation_due(server, &survey);
}

/* --- life --- */

enum weir_status main__keys_open(struct main__server *server) {
    struct main__key_watch *watch = &server->key_watch;
    pthread_condattr_t monotonic;
    watch->checked = weir_memory_new(server->worker_count, sizeof *watch->checked);
    if (watch->checked == NULL || weir_found_models_new(&server->gateway.found_models) != WEIR_OK)
        return WEIR_ENOMEM;
    watch->message.run = run_pass_on;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watch->done, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&watch->mutex, NULL);
    server->gateway.on_keys_checked = on_keys_checked;
    weir_store_watch_keys(server->store, server->loop, on_keys, server);
    weir_store_watch_objects(server->store, server->loop, on_objects, server);
    return WEIR_OK;
}

void main__keys_over(struct main__server *server) {
    struct main__key_watch *watch = &server->key_watch;
    if (watch->checked == NULL)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->is_over = true;
    pthread_cond_broadcast(&watch->done);
    pthread_mutex_unlock(&watch->mutex);
}

void main__keys_release(struct main__server *server) {
    struct main__key_watch *watch = &server->key_watch;
    if (watch->checked == NULL)
        return;
    (void)pthread_cond_destroy(&watch->done);
    (void)pthread_mutex_destroy(&watch->mutex);
    weir_memory_free(watch->checked);
    watch->checked = NULL;
}

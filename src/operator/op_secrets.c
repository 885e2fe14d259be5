/* Named secrets: what providers' credentials can be kept as. Values come in and never go out again. */
#include "operator/op_objects.h"
#include "operator/operations_table.h"
#include "operator/sealed.h"

static struct weir_sealed_work work_of(struct weir_operation_call *call) {
    const struct weir_operator_settings *settings = weir_operation_settings(call);
    struct weir_sealed_work work = {.arena = weir_operation_arena(call),
                                    .sealing = settings->sealing,
                                    .environment = settings->environment,
                                    .now_utc_us = weir_operation_now_utc_us(call)};
    work.store = weir_operation_store(call, &work.engine);
    return work;
}

static const char *called(struct weir_operation_call *call, struct weir_span name) {
    const char *words = weir_arena_format(weir_operation_arena(call), "the secret %.*s", WEIR_SPAN_PRINT(name));
    return words != NULL ? words : "the secret";
}

/* --- reading --- */

struct listing {
    struct weir_operation_call *call;
    struct weir_sealed_work work;
    size_t count, limit;
    int64_t last, next;
    struct weir_error error;
};

static enum weir_status list_one(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_named_secret secret;
    if (listing->count++ == listing->limit) {
        listing->next = listing->last;
        return WEIR_END;
    }
    listing->last = object->number;
    enum weir_status status = weir_named_secret_read(&listing->work, object, &secret, &listing->error);
    if (status == WEIR_ECORRUPT) { /* shown all the same: it can be replaced or deleted */
        secret = (struct weir_named_secret){.name = object->id,
                                            .description = WEIR_SPAN(""),
                                            .hint = WEIR_SPAN("***"),
                                            .sealed_with = WEIR_SPAN(""),
                                            .version = object->version,
                                            .created_utc_us = object->created_utc_us,
                                            .updated_utc_us = object->updated_utc_us};
        status = WEIR_OK;
    }
    if (status == WEIR_OK)
        weir_named_secret_write(weir_operation_writer(listing->call), &secret);
    return status;
}

enum weir_status operator__secrets_list(struct weir_operation_call *call) {
    struct listing listing = {.call = call, .work = work_of(call)};
    int64_t after = 0;
    enum weir_status status = weir_operation_page(call, &after, &listing.limit);
    if (status != WEIR_OK)
        return status;
    const struct weir_object_query query = {.kind = WEIR_OBJECT_SECRET,
                                            .after_number = after,
                                            .limit = listing.limit + 1};
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    status = listing.work.store->object_list(listing.work.engine, &query, list_one, &listing, &listing.error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the secrets", &listing.error);
    weir_json_write_end(writer);
    weir_operation_page_end(call, listing.next);
    return WEIR_OK;
}

enum weir_status operator__secrets_get(struct weir_operation_call *call) {
    struct weir_sealed_work work = work_of(call);
    struct weir_named_secret secret;
    struct weir_error error = {.text = ""};
    struct weir_span name = weir_operation_path_value(call, "secret");
    enum weir_status status = weir_named_secret_get(&work, name, &secret, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, called(call, name), &error);
    weir_operation_set_version(call, secret.version);
    weir_named_secret_write(weir_operation_writer(call), &secret);
    return WEIR_OK;
}

/* --- changing --- */

/* A new value is used from the next revision on. What goes wrong here is told by the log and the revision's state: the secret itself is kept. */
static void publish(struct weir_operation_call *call) {
    const struct weir_operator_hooks *hooks = &weir_operation_settings(call)->hooks;
    struct weir_buffer problems;
    uint64_t number = 0;
    if (hooks->publish == NULL)
        return;
    weir_buffer_init(&problems, 64 * WEIR_KIB);
    (void)(hooks->publish(hooks->context, false, &number, &problems) == WEIR_OK);
    weir_buffer_release(&problems);
}

static enum weir_status put_failed(struct weir_operation_call *call, enum weir_status status, struct weir_span name,
                                   const struct weir_error *error) {
    if (status == WEIR_EDENIED)
        return weir_operation_fail(call, WEIR_REASON_SEALING_KEY_MISSING, NULL,
                                   "%s cannot be written without a sealing key", called(call, name));
    if (status == WEIR_ESTALE)
        return weir_operation_fail(call, WEIR_REASON_VERSION_MISMATCH, NULL,
                                   "%s is not of the version that If-Match names", called(call, name));
    return weir_operation_store_failed(call, status, called(call, name), error);
}

enum weir_status operator__secrets_put(struct weir_operation_call *call) {
    struct weir_named_secret before, after;
    struct weir_error error = {.text = ""};
    struct weir_span name = weir_operation_path_value(call, "secret"), value = weir_operation_body_text(call, "value");
    struct weir_span description = weir_operation_body_text(call, "description");
    bool described = yyjson_obj_get(weir_operation_body(call), "description") != NULL;
    if (!weir_secret_name_is_good(name))
        return weir_operation_fail(
            call, WEIR_REASON_PARAMETER_INVALID, "secret",
            "a secret's name is a letter or digit, then letters, digits, '.', '_' and '-', 100 at most");
    if (!weir_sealing_can_seal(weir_operation_settings(call)->sealing))
        return put_failed(call, WEIR_EDENIED, name, NULL);
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    struct weir_sealed_work work = work_of(call);
    status = weir_named_secret_put(&work, name, value, described ? &description : NULL,
                                   weir_operation_expected_version(call), &before, &after, &error);
    if (status != WEIR_OK)
        return put_failed(call, status, name, &error);
    const struct weir_operation_note note = {.resource_id = name,
                                             .resource_name = name,
                                             .workspace = WEIR_SPAN(""),
                                             .before = weir_named_secret_text(&work, &before),
                                             .after = weir_named_secret_text(&work, &after)};
    status = weir_operation_audit(call, &note);
    if (status != WEIR_OK)
        return status;
    weir_operation_set_status(call, before.name.length == 0 ? 201 : 200);
    weir_operation_set_version(call, after.version);
    weir_named_secret_write(weir_operation_writer(call), &after);
    weir_operation_after(call, publish);
    return WEIR_OK;
}

enum weir_status operator__secrets_delete(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_named_secret secret = {.name = WEIR_SPAN("")};
    struct weir_object object;
    struct weir_span name = weir_operation_path_value(call, "secret");
    bool used = false;
    uint64_t live = atomic_load(&weir_operation_settings(call)->board->revision);
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    struct weir_sealed_work work = work_of(call);
    status = operator__object_need(call, WEIR_OBJECT_SECRET, "secret", WEIR_SPAN(""), name, &object);
    if (status != WEIR_OK)
        return status;
    status = weir_named_secret_is_used(&work, live + 1, name, &used, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the revision", &error);
    if (used)
        return weir_operation_fail(call, WEIR_REASON_STILL_IN_USE, NULL,
                                   "%s is a credential of the live revision: change the settings first",
                                   called(call, name));
    uint64_t expected = weir_operation_expected_version(call);
    if (expected != 0 && expected != object.version)
        return put_failed(call, WEIR_ESTALE, name, NULL);
    status = work.store->object_remove(work.engine, WEIR_OBJECT_SECRET, WEIR_SPAN(""), name, object.version,
                                       work.now_utc_us, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, called(call, name), &error);
    const bool readable = weir_named_secret_read(&work, &object, &secret, &error) == WEIR_OK;
    const struct weir_operation_note note = {.resource_id = name,
                                             .resource_name = name,
                                             .workspace = WEIR_SPAN(""),
                                             .before = readable ? weir_named_secret_text(&work, &secret)
                                                                : WEIR_SPAN(""),
                                             .after = WEIR_SPAN("")};
    weir_operation_set_status(call, 204);
    return weir_operation_audit(call, &note);
}

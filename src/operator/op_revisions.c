/* Revisions: the numbered snapshots of all that steers traffic, and publishing the settings file as a new one. */
#include "base/buffer.h"
#include "operator/operations_table.h"
#include "operator/op_objects.h"
#include "operator/operations_table.h"

struct listing {
    struct weir_operation_call *call;
    bool alone, with_text; /* one revision: `number` alone will do */
    uint64_t number, last;
    size_t count;
};

static uint64_t live_number(struct weir_operation_call *call) {
    return atomic_load(&weir_operation_settings(call)->board->revision);
}

static enum weir_status write_revision(void *context, uint64_t number, struct weir_span hash, int64_t saved_utc_us,
                                       struct weir_span text) {
    struct listing *listing = context;
    if (listing->alone && number != listing->number)
        return WEIR_END;
    listing->count++;
    listing->last = number;
    if (listing->call == NULL)
        return WEIR_OK;
    struct weir_json_writer *writer = weir_operation_writer(listing->call);
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "number", (int64_t)number);
    weir_json_member_string(writer, "hash", hash);
    weir_operation_member_time(writer, "saved_at", saved_utc_us);
    weir_json_member_bool(writer, "live", number == live_number(listing->call));
    if (listing->with_text)
        weir_json_member_string(writer, "text", text);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static enum weir_status answer_one(struct weir_operation_call *call, uint64_t number) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct listing listing = {.call = call, .alone = true, .with_text = true, .number = number};
    enum weir_status status = store->revision_list(engine, number + 1, 1, write_revision, &listing, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the revision", &error);
    return listing.count == 1 ? WEIR_OK
                              : weir_operation_fail(call, WEIR_REASON_NOT_THERE, NULL, "there is no revision %llu",
                                                    (unsigned long long)number);
}

enum weir_status operator__revisions_live(struct weir_operation_call *call) {
    return answer_one(call, live_number(call));
}

enum weir_status operator__revisions_get(struct weir_operation_call *call) {
    uint64_t number = 0;
    struct weir_span text = weir_operation_path_value(call, "number");
    if (weir_span_to_uint64(text, &number) != WEIR_OK || number == 0 || number > INT64_MAX - 1)
        return weir_operation_fail(call, WEIR_REASON_NOT_THERE, NULL, "there is no revision %.*s",
                                   WEIR_SPAN_PRINT(text));
    return answer_one(call, number);
}

/* Newest first: what is made meanwhile comes before what was listed, and changes nothing behind it. */
enum weir_status operator__revisions_list(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct listing listing = {.call = call}, rest = {.call = NULL};
    int64_t before = 0;
    size_t limit = 0;
    enum weir_status status = weir_operation_page(call, &before, &limit);
    if (status != WEIR_OK)
        return status;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    status = store->revision_list(engine, (uint64_t)before, limit, write_revision, &listing, &error);
    if (status == WEIR_OK && listing.count == limit)
        status = store->revision_list(engine, listing.last, 1, write_revision, &rest, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the revisions", &error);
    weir_json_write_end(writer);
    weir_operation_page_end(call, rest.count > 0 ? (int64_t)listing.last : 0);
    return WEIR_OK;
}

/* --- publishing --- */

static struct weir_span number_text(struct weir_operation_call *call, uint64_t number) {
    return weir_span_of_string(
        weir_arena_format(weir_operation_arena(call), "{\"live\":%llu}", (unsigned long long)number));
}

static enum weir_status refuse(struct weir_operation_call *call, enum weir_status status,
                               const struct weir_buffer *problems) {
    if (status == WEIR_EINVAL)
        return weir_operation_fail_with(call, WEIR_REASON_PUBLISH_REFUSED, weir_buffer_span(problems));
    if (status == WEIR_ECLOSED)
        return weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, NULL, "the process is about to end");
    return weir_operation_store_failed(call, status, "the revision", NULL);
}

/* The revision is saved by the store's own thread, with an audit entry of its own in that transaction; so no write lock may be held here before
 * it is done. The entry made here says who asked. */
enum weir_status operator__revisions_publish(struct weir_operation_call *call) {
    const struct weir_operator_hooks *hooks = &weir_operation_settings(call)->hooks;
    struct weir_buffer problems;
    struct weir_span restarts = WEIR_SPAN(""), name;
    uint64_t before = live_number(call), number = 0;
    if (hooks->publish == NULL)
        return weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, NULL, "this process publishes nothing");
    weir_buffer_init(&problems, WEIR_MIB);
    enum weir_status status = hooks->publish(hooks->context, true, &number, &problems);
    if (status != WEIR_OK)
        status = refuse(call, status, &problems);
    else
        status = weir_arena_dup(weir_operation_arena(call), weir_buffer_span(&problems), &restarts) == WEIR_OK
                     ? weir_operation_begin(call)
                     : weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
    weir_buffer_release(&problems);
    if (status != WEIR_OK)
        return status;
    char id[24];
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)number);
    const struct weir_operation_note note = {.resource_id = weir_span_of_string(id),
                                             .before = number_text(call, before),
                                             .after = number_text(call, number)};
    status = weir_operation_audit(call, &note);
    if (status != WEIR_OK)
        return status;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "number", (int64_t)number);
    weir_json_member_bool(writer, "changed", number != before);
    weir_json_write_name(writer, "needs_restart");
    weir_json_write_array(writer);
    while (restarts.length > 0) {
        (void)weir_span_split(restarts, '\n', &name, &restarts);
        if (name.length > 0)
            weir_json_write_string(writer, name);
    }
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    weir_operation_set_header(call, "x-weir-revision", weir_span_of_string(id));
    return WEIR_OK;
}

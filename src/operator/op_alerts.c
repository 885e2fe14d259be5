/* What operators were told of: alerts of budgets, and clients that run away. */
#include "operator/operations_table.h"
#include "operator/alert_form.h"
#include "operator/op_budgets.h"
#include "operator/operations_table.h"

enum { PAGE = 200 };

/* --- alerts --- */

/* Alerts are read a page at a time, in an arena that does not outlast the page. */
struct listing {
    struct weir_json_writer *writer;
    struct weir_arena *page;
    int64_t since_utc_us, last, last_shown;
    size_t seen, shown, wanted;
    bool more;
};

static enum weir_status list_alert(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    listing->seen++;
    listing->last = object->number;
    if (object->created_utc_us < listing->since_utc_us)
        return WEIR_OK;
    if (listing->shown == listing->wanted) {
        listing->more = true;
        return WEIR_END;
    }
    weir_alert_write(listing->writer, listing->page, object);
    listing->last_shown = object->number;
    listing->shown++;
    return WEIR_OK;
}

static enum weir_status list_alerts(struct weir_operation_call *call, struct weir_object_query *query,
                                    struct listing *listing) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    enum weir_status status;
    query->limit = PAGE;
    do {
        listing->seen = 0;
        weir_arena_reset(listing->page);
        status = store->object_list(engine, query, list_alert, listing, &error);
        query->after_number = listing->last;
    } while (status == WEIR_OK && !listing->more && listing->seen == PAGE);
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, "the alerts", &error);
}

enum weir_status operator__budgets_alerts(struct weir_operation_call *call) {
    struct weir_object_query query = {.kind = WEIR_OBJECT_ALERT, .any_parent = true};
    struct listing listing = {.writer = weir_operation_writer(call),
                              .since_utc_us = weir_operation_query_time(call, "since"),
                              .page = weir_arena_new(0, 16 * WEIR_MIB)};
    if (listing.page == NULL)
        return weir_operation_store_failed(call, WEIR_ENOMEM, "the alerts", NULL);
    enum weir_status status = weir_operation_page(call, &query.after_number, &listing.wanted);
    query.filter_count += operator__flag_filter(call, "budget", &query.filters[query.filter_count]);
    query.filter_count += operator__flag_filter(call, "kind", &query.filters[query.filter_count]);
    if (status == WEIR_OK) {
        weir_json_write_object(listing.writer);
        weir_json_write_name(listing.writer, "data");
        weir_json_write_array(listing.writer);
        status = list_alerts(call, &query, &listing);
    }
    if (status == WEIR_OK) {
        weir_json_write_end(listing.writer);
        weir_operation_page_end(call, listing.more ? listing.last_shown : 0);
    }
    weir_arena_free(&listing.page);
    return status;
}

/* --- runaway clients --- */

struct runaway {
    struct weir_span key;
    int64_t refusals, utc_us;
};
struct runaways {
    struct weir_arena *arena;
    int64_t since_utc_us, last;
    size_t seen, count, room;
    struct runaway *at;
};

static enum weir_status keep_runaway(void *context, const struct weir_object *object) {
    struct runaways *found = context;
    found->seen++;
    found->last = object->number;
    if (object->created_utc_us < found->since_utc_us)
        return WEIR_OK;
    yyjson_val *fields = operator__json_read(found->arena, object->text);
    struct runaway one = {.refusals = yyjson_get_sint(yyjson_obj_get(fields, "refusals")),
                          .utc_us = object->created_utc_us};
    enum weir_status status = weir_arena_dup(found->arena, operator__field(fields, "scope_id"), &one.key);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < found->count; i++)
        if (weir_span_equal(found->at[i].key, one.key)) { /* it was told in the hour before as well */
            found->at[i] = one;
            return WEIR_OK;
        }
    if (found->count == found->room) {
        size_t room = found->room == 0 ? 16 : found->room * 2;
        struct runaway *larger = weir_arena_array(found->arena, room, sizeof *larger);
        if (larger == NULL)
            return WEIR_ENOMEM;
        if (found->count > 0)
            memcpy(larger, found->at, found->count * sizeof *larger);
        found->at = larger;
        found->room = room;
    }
    found->at[found->count++] = one;
    return WEIR_OK;
}

static enum weir_status write_runaway(struct weir_operation_call *call, const struct runaway *one) {
    struct weir_key_record key;
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct weir_json_writer *writer = weir_operation_writer(call);
    enum weir_status status = store->key_get(engine, one->key, weir_operation_arena(call), &key, &error);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return weir_operation_store_failed(call, status, "the key", &error);
    weir_json_write_object(writer);
    weir_json_member_string(writer, "key", one->key);
    weir_json_write_name(writer, "name");
    if (status == WEIR_OK)
        weir_json_write_string(writer, key.name);
    else
        weir_json_write_null(writer);
    weir_json_write_name(writer, "workspace");
    if (status == WEIR_OK)
        weir_json_write_string(writer, key.workspace);
    else
        weir_json_write_null(writer);
    weir_json_member_int64(writer, "refusals", one->refusals);
    weir_operation_member_time(writer, "at", one->utc_us);
    weir_json_write_end(writer);
    return WEIR_OK;
}

enum weir_status operator__runaway_list(struct weir_operation_call *call) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct weir_json_writer *writer = weir_operation_writer(call);
    struct weir_object_query query = {.kind = WEIR_OBJECT_ALERT,
                                      .any_parent = true,
                                      .limit = PAGE,
                                      .filter_count = 1,
                                      .filters = {{.member = "kind", .value = WEIR_SPAN("runaway")}}};
    struct runaways found = {.arena = weir_operation_arena(call),
                             .since_utc_us = weir_operation_now_utc_us(call) - WEIR_RUNAWAY_NOW_US};
    enum weir_status status = WEIR_OK;
    do {
        found.seen = 0;
        query.after_number = found.last;
        status = store->object_list(engine, &query, keep_runaway, &found, &error);
    } while (status == WEIR_OK && found.seen == PAGE);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the alerts", &error);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    for (size_t i = 0; status == WEIR_OK && i < found.count; i++)
        status = write_runaway(call, &found.at[i]);
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(writer);
    weir_json_member_text(writer, "next_cursor", NULL);
    weir_json_write_end(writer);
    return WEIR_OK;
}

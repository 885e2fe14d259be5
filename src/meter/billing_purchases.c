/* Purchases: from a wish to credits, once.
 *
 * A purchase is credited in the transaction that makes it `approved`; nothing else does either. One that waited for too long reads as expired without
 * being written: a payment that arrives all the same is still credited, for the money is there, while an operator does not approve what nobody wants any
 * more.
 */
#include "meter/billing_impl.h"

enum { TEXT_MAX = WEIR_BILLING_NOTE_BYTES };

static const char *const state_names[WEIR_PURCHASE_STATE_COUNT] = {[WEIR_PURCHASE_PENDING] = "pending",
                                                                   [WEIR_PURCHASE_APPROVED] = "approved",
                                                                   [WEIR_PURCHASE_REJECTED] = "rejected",
                                                                   [WEIR_PURCHASE_EXPIRED] = "expired"};

const char *weir_purchase_state_name(enum weir_purchase_state state) {
    return state_names[state];
}

/* --- texts --- */

/* `shown`: as an answer has it, with what the object's row says besides. */
static void write_purchase(struct weir_json_writer *writer, const struct weir_purchase *purchase, bool shown) {
    weir_json_write_object(writer);
    if (shown) {
        weir_json_member_string(writer, "id", purchase->id);
        weir_json_member_text(writer, "object", "billing.purchase");
        weir_json_member_string(writer, "workspace", purchase->workspace);
    }
    weir_json_member_text(writer, "state", state_names[purchase->state]);
    weir_json_member_int64(writer, "cu_milli", purchase->cu_milli);
    meter__write_text(writer, "reference", purchase->reference);
    weir_json_write_name(writer, "metadata");
    weir_json_write_raw(writer, purchase->metadata.length > 0 ? purchase->metadata : WEIR_SPAN("{}"));
    weir_json_member_string(writer, "payment", purchase->payment);
    meter__write_text(writer, "payment_url", purchase->payment_url);
    meter__write_text(writer, "requested_by", purchase->requested_by);
    meter__write_text(writer, "decided_by", purchase->decided_by);
    meter__write_text(writer, "reason", purchase->reason);
    if (!shown)
        meter__write_text(writer, "event", purchase->event);
    meter__write_text(writer, "entry", purchase->entry);
    if (shown)
        meter__write_time(writer, "created_at", purchase->created_utc_us);
    meter__write_time(writer, "expires_at", purchase->expires_utc_us);
    meter__write_time(writer, "decided_at", purchase->decided_utc_us);
    if (shown)
        weir_json_member_int64(writer, "version", (int64_t)purchase->version);
    weir_json_write_end(writer);
}

void weir_purchase_write(struct weir_json_writer *writer, const struct weir_purchase *purchase) {
    write_purchase(writer, purchase, true);
}

/* An object of texts, as JSON in the arena; empty: there is none. */
static struct weir_span labels(struct weir_arena *arena, yyjson_val *value) {
    struct weir_json_writer writer;
    struct weir_buffer text;
    struct weir_span copy = WEIR_SPAN("");
    size_t index, count;
    yyjson_val *name, *item;
    weir_buffer_init(&text, TEXT_MAX);
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    yyjson_obj_foreach(value, index, count, name, item) {
        weir_json_write_name(&writer, yyjson_get_str(name));
        weir_json_write_string(&writer, weir_span_of_string(yyjson_get_str(item)));
    }
    weir_json_write_end(&writer);
    if (weir_buffer_status(&text) != WEIR_OK || weir_arena_dup(arena, weir_buffer_span(&text), &copy) != WEIR_OK)
        copy = WEIR_SPAN("");
    weir_buffer_release(&text);
    return copy;
}

enum weir_status weir_purchase_read(struct weir_arena *arena, const struct weir_object *object, int64_t now_utc_us,
                                    struct weir_purchase *purchase) {
    yyjson_val *fields = meter__json(arena, object->text);
    if (fields == NULL)
        return WEIR_ECORRUPT;
    *purchase = (struct weir_purchase){.cu_milli = meter__integer(fields, "cu_milli", 0),
                                       .reference = meter__text(fields, "reference"),
                                       .metadata = labels(arena, yyjson_obj_get(fields, "metadata")),
                                       .payment = meter__text(fields, "payment"),
                                       .payment_url = meter__text(fields, "payment_url"),
                                       .requested_by = meter__text(fields, "requested_by"),
                                       .decided_by = meter__text(fields, "decided_by"),
                                       .reason = meter__text(fields, "reason"),
                                       .event = meter__text(fields, "event"),
                                       .entry = meter__text(fields, "entry"),
                                       .created_utc_us = object->created_utc_us,
                                       .expires_utc_us = meter__time(fields, "expires_at"),
                                       .decided_utc_us = meter__time(fields, "decided_at"),
                                       .number = object->number,
                                       .version = object->version};
    struct weir_span state = meter__text(fields, "state");
    size_t found = 0;
    while (found < WEIR_PURCHASE_STATE_COUNT && !weir_span_equal(state, weir_span_of_string(state_names[found])))
        found++;
    if (found == WEIR_PURCHASE_STATE_COUNT)
        return WEIR_ECORRUPT;
    purchase->state = (enum weir_purchase_state)found;
    if (purchase->state == WEIR_PURCHASE_PENDING && purchase->expires_utc_us != 0 &&
        purchase->expires_utc_us <= now_utc_us)
        purchase->state = WEIR_PURCHASE_EXPIRED;
    enum weir_status status = weir_arena_dup(arena, object->id, &purchase->id);
    return status == WEIR_OK ? weir_arena_dup(arena, object->parent, &purchase->workspace) : status;
}

/* Of {purchase}, {workspace} and {cu_milli}: ids of ours need no escaping in a URL. */
static enum weir_status fill_url(struct weir_billing_turn *turn, struct weir_span template,
                                 struct weir_purchase *purchase) {
    struct weir_buffer url;
    weir_buffer_init(&url, TEXT_MAX);
    for (size_t i = 0; i < template.length;) {
        struct weir_span rest = weir_span_from(template, i);
        if (weir_span_starts_with(rest, WEIR_SPAN("{purchase}"))) {
            weir_buffer_append(&url, purchase->id);
            i += strlen("{purchase}");
        } else if (weir_span_starts_with(rest, WEIR_SPAN("{workspace}"))) {
            weir_buffer_append(&url, purchase->workspace);
            i += strlen("{workspace}");
        } else if (weir_span_starts_with(rest, WEIR_SPAN("{cu_milli}"))) {
            weir_buffer_append_int64(&url, purchase->cu_milli);
            i += strlen("{cu_milli}");
        } else {
            weir_buffer_append_byte(&url, template.at[i++]);
        }
    }
    enum weir_status status = weir_buffer_status(&url);
    if (status == WEIR_OK)
        status = weir_arena_dup(turn->arena, weir_buffer_span(&url), &purchase->payment_url);
    weir_buffer_release(&url);
    return status == WEIR_OK ? WEIR_OK : meter__no_memory(turn);
}

/* --- writing --- */

/* Writes it, and tells the trail. `before` is its text as it was; empty: it is new. */
static enum weir_status save(struct weir_billing_turn *turn, struct weir_purchase *purchase, const char *action,
                             struct weir_span before) {
    struct weir_json_writer writer;
    struct weir_buffer text;
    weir_buffer_init(&text, TEXT_MAX);
    weir_json_writer_init(&writer, &text);
    write_purchase(&writer, purchase, false);
    struct weir_object object = {.kind = WEIR_OBJECT_PURCHASE,
                                 .parent = purchase->workspace,
                                 .id = purchase->id,
                                 .handle = purchase->id,
                                 .text = weir_buffer_span(&text),
                                 .created_utc_us = turn->now_utc_us,
                                 .updated_utc_us = turn->now_utc_us};
    enum weir_status status = weir_buffer_status(&text);
    if (status != WEIR_OK)
        status = meter__no_memory(turn);
    else if (before.length == 0)
        status = turn->ops->object_create(turn->engine, &object, turn->error);
    else
        status = turn->ops->object_update(turn->engine, &object, purchase->version, turn->error);
    purchase->version = object.version;
    purchase->number = object.number;
    if (status == WEIR_OK)
        status = meter__note(turn, action, "purchase", purchase->id, purchase->workspace, before, object.text);
    weir_buffer_release(&text);
    return status;
}

enum weir_status weir_purchase_create(struct weir_billing_turn *turn, const struct weir_purchase_wish *wish,
                                      struct weir_purchase *purchase) {
    *purchase = (struct weir_purchase){.id = meter__new_id(turn, "pur_"),
                                       .workspace = wish->workspace,
                                       .state = WEIR_PURCHASE_PENDING,
                                       .cu_milli = wish->cu_milli,
                                       .reference = wish->reference,
                                       .metadata = wish->metadata,
                                       .payment = weir_span_of_string(wish->payment),
                                       .requested_by = turn->actor,
                                       .created_utc_us = turn->now_utc_us,
                                       .expires_utc_us = wish->expires_utc_us};
    if (purchase->id.length == 0)
        return meter__no_memory(turn);
    if (wish->cu_milli > wish->max_cu_milli)
        return meter__refuse(turn, WEIR_REASON_FIELD_INVALID, "cu_milli",
                             "%lld milli-CU, at most %lld can be bought at once", (long long)wish->cu_milli,
                             (long long)wish->max_cu_milli);
    enum weir_status status = fill_url(turn, wish->payment_url, purchase);
    return status == WEIR_OK ? save(turn, purchase, "purchases.create", WEIR_SPAN("")) : status;
}

/* The purchase, and its text as it was. */
static enum weir_status find(struct weir_billing_turn *turn, struct weir_span workspace, struct weir_span id,
                             struct weir_purchase *purchase, struct weir_span *text) {
    struct weir_object object;
    enum weir_status status = turn->ops->object_find(turn->engine, WEIR_OBJECT_PURCHASE, id, turn->arena, &object,
                                                     turn->error);
    if (status == WEIR_ENOTFOUND ||
        (status == WEIR_OK && workspace.length > 0 && !weir_span_equal(object.parent, workspace)))
        return meter__refuse(turn, WEIR_REASON_OBJECT_NOT_FOUND, NULL, "there is no purchase '%.*s'",
                             (int)(id.length < 60 ? id.length : 60), id.at);
    if (status != WEIR_OK)
        return status;
    *text = object.text;
    status = weir_purchase_read(turn->arena, &object, turn->now_utc_us, purchase);
    return status == WEIR_OK ? WEIR_OK : weir_fail(turn->error, status, "a purchase in the store cannot be read");
}

enum weir_status weir_purchase_get(struct weir_billing_turn *turn, struct weir_span workspace, struct weir_span id,
                                   struct weir_purchase *purchase) {
    struct weir_span text;
    return find(turn, workspace, id, purchase, &text);
}

static enum weir_status conflict(struct weir_billing_turn *turn, const struct weir_purchase *purchase,
                                 const char *wanted) {
    return meter__refuse(turn, WEIR_REASON_STATE_CONFLICT, NULL, "the purchase %.*s is %s, so it cannot be %s",
                         WEIR_SPAN_PRINT(purchase->id), state_names[purchase->state], wanted);
}

enum weir_status weir_purchase_approve(struct weir_billing_turn *turn, struct weir_span id, struct weir_span event,
                                       struct weir_purchase *purchase, bool *credited) {
    struct weir_span before;
    *credited = false;
    enum weir_status status = find(turn, WEIR_SPAN(""), id, purchase, &before);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE || purchase->state == WEIR_PURCHASE_APPROVED)
        return status;
    if (purchase->state == WEIR_PURCHASE_REJECTED || (purchase->state == WEIR_PURCHASE_EXPIRED && event.length == 0))
        return conflict(turn, purchase, "approved");
    struct weir_account_entry entry = {.kind = WEIR_SPAN("purchase"),
                                       .amount_cu_milli = purchase->cu_milli,
                                       .purchase = purchase->id};
    status = meter__account_add(turn, purchase->workspace, &entry);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE)
        return status;
    purchase->state = WEIR_PURCHASE_APPROVED;
    purchase->decided_by = turn->actor;
    purchase->decided_utc_us = turn->now_utc_us;
    purchase->event = event;
    purchase->entry = entry.id;
    *credited = true;
    return save(turn, purchase, "purchases.approve", before);
}

enum weir_status weir_purchase_reject(struct weir_billing_turn *turn, struct weir_span id, struct weir_span reason,
                                      struct weir_span event, struct weir_purchase *purchase) {
    struct weir_span before;
    enum weir_status status = find(turn, WEIR_SPAN(""), id, purchase, &before);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE)
        return status;
    if (purchase->state == WEIR_PURCHASE_APPROVED)
        return conflict(turn, purchase, "rejected");
    if (purchase->state == WEIR_PURCHASE_REJECTED)
        return event.length > 0 ? WEIR_OK : conflict(turn, purchase, "rejected");
    purchase->state = WEIR_PURCHASE_REJECTED;
    purchase->decided_by = turn->actor;
    purchase->decided_utc_us = turn->now_utc_us;
    purchase->reason = reason;
    purchase->event = event;
    return save(turn, purchase, "purchases.reject", before);
}

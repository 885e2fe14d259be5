/* The operations on receipts: one, a page, an export of any length, the keys that they are signed with.
 *
 * The chain is advanced before anything is given out: a receipt is of an entry whose place is on the disk. That is bounded work a call; where the chain is
 * far behind (the first start with an old ledger), the newest receipts come some seconds later.
 */
#include "operator/operations_table.h"

#include "meter/receipts_export.h"

static enum weir_status failed(struct weir_operation_call *call, enum weir_status status,
                               const struct weir_error *error) {
    if (status == WEIR_EDENIED || status == WEIR_ECORRUPT || status == WEIR_EIO)
        return weir_operation_fail(call, WEIR_REASON_RECEIPT_UNSIGNABLE, NULL, "%s", error->text);
    return weir_operation_store_failed(call, status, "the receipts", error);
}

/* The signer holds the current key, and the chain is advanced. */
static enum weir_status prepare(struct weir_operation_call *call) {
    struct weir_receipt_signer *signer = weir_operation_settings(call)->receipts;
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    if (signer == NULL)
        return weir_operation_fail(call, WEIR_REASON_RECEIPT_UNSIGNABLE, NULL, "%s", "this process signs none");
    enum weir_status status = weir_receipt_prepare(ops, engine, signer, NULL, &error);
    return status == WEIR_OK ? WEIR_OK : failed(call, status, &error);
}

static void read_filters(struct weir_operation_call *call, struct weir_ledger_query *query) {
    query->workspace = weir_operation_query_text(call, "workspace");
    query->key_id = weir_operation_query_text(call, "key");
    query->from_utc_us = weir_operation_query_time(call, "from");
    query->until_utc_us = weir_operation_query_time(call, "until");
}

/* --- GET /api/v1/receipts --- */
struct listing {
    struct weir_receipt_signer *signer;
    struct weir_json_writer *writer;
    size_t wanted, written;
    int64_t last, next;
};

static enum weir_status list_receipt(void *context, const struct weir_ledger_entry *entry, struct weir_span text,
                                     const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]) {
    struct listing *listing = context;
    if (listing->written == listing->wanted) {
        listing->next = listing->last;
        return WEIR_END;
    }
    listing->written++;
    listing->last = entry->sequence;
    return weir_receipt_signer_write(listing->signer, text, hash, listing->writer);
}

enum weir_status operator__receipts_list(struct weir_operation_call *call) {
    struct weir_ledger_query query = {.request_id = weir_operation_query_text(call, "request")};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct listing listing = {.signer = weir_operation_settings(call)->receipts};
    enum weir_status status = weir_operation_page(call, &query.after_sequence, &listing.wanted);
    if (status == WEIR_OK)
        status = prepare(call);
    if (status != WEIR_OK)
        return status;
    read_filters(call, &query);
    query.limit = listing.wanted + 1;
    listing.writer = weir_operation_writer(call);
    weir_json_write_object(listing.writer);
    weir_json_write_name(listing.writer, "data");
    weir_json_write_array(listing.writer);
    status = ops->receipt_each(engine, &query, list_receipt, &listing, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the receipts", &error);
    weir_json_write_end(listing.writer);
    weir_operation_page_end(call, listing.next);
    return WEIR_OK;
}

/* --- GET /api/v1/receipts/{request_id} --- */
struct finding {
    struct weir_arena *arena;
    int64_t sequence;
    struct weir_span text;
    unsigned char hash[WEIR_RECEIPT_HASH_SIZE];
    bool found;
};

static enum weir_status find_receipt(void *context, const struct weir_ledger_entry *entry, struct weir_span text,
                                     const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]) {
    struct finding *finding = context;
    if (entry->sequence != finding->sequence)
        return WEIR_END;
    finding->found = true;
    memcpy(finding->hash, hash, sizeof finding->hash);
    return weir_arena_dup(finding->arena, text, &finding->text);
}

enum weir_status operator__receipts_get(struct weir_operation_call *call) {
    struct finding finding = {.arena = weir_operation_arena(call)};
    struct weir_ledger_query query = {.limit = 1};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    enum weir_status status = prepare(call);
    if (status != WEIR_OK)
        return status;
    status = weir_receipt_find(ops, engine, weir_operation_path_value(call, "request_id"), WEIR_SPAN(""),
                               &finding.sequence, &error);
    query.after_sequence = finding.sequence - 1;
    if (status == WEIR_OK && finding.sequence > 0)
        status = ops->receipt_each(engine, &query, find_receipt, &finding, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the receipts", &error);
    if (!finding.found)
        return weir_operation_fail(call, WEIR_REASON_NOT_THERE, NULL, "%s",
                                   "no entry of the ledger has this id; entries appear within a second after their "
                                   "request, and requests that reached no provider have none");
    status = weir_receipt_signer_write(weir_operation_settings(call)->receipts, finding.text, finding.hash,
                                       weir_operation_writer(call));
    return status == WEIR_OK ? WEIR_OK : weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "%s", "no memory");
}

/* --- GET /api/v1/receipts/export --- */
struct progress {
    struct weir_receipt_export export;
    bool begun;
};
_Static_assert(sizeof(struct progress) <= WEIR_OPERATION_STATE_BYTES, "the state is too large");

static enum weir_status audit_export(struct weir_operation_call *call) {
    static const char *const filters[] = {"workspace", "key", "from", "until"};
    struct weir_buffer after;
    struct weir_json_writer writer;
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    weir_buffer_init(&after, 64 * WEIR_KIB);
    weir_json_writer_init(&writer, &after);
    weir_json_write_object(&writer);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct weir_span value = weir_operation_query_text(call, filters[i]);
        if (value.length > 0)
            weir_json_member_string(&writer, filters[i], value);
    }
    weir_json_write_end(&writer);
    const struct weir_operation_note note = {.after = weir_buffer_span(&after)};
    status = weir_buffer_status(&after) == WEIR_OK
                 ? weir_operation_audit(call, &note)
                 : weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "%s", "no memory for the audit entry");
    weir_buffer_release(&after);
    return status;
}

static enum weir_status begin_export(struct weir_operation_call *call, struct progress *progress) {
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    enum weir_status status = prepare(call);
    if (status == WEIR_OK)
        status = audit_export(call);
    if (status != WEIR_OK)
        return status;
    read_filters(call, &progress->export.query);
    status = weir_receipt_export_begin(ops, engine, &progress->export, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the ledger", &error);
    weir_operation_set_header(call, "Content-Disposition", WEIR_SPAN("attachment; filename=\"receipts.jsonl\""));
    progress->begun = true;
    return WEIR_OK;
}

enum weir_status operator__receipts_export(struct weir_operation_call *call) {
    struct progress *progress = weir_operation_state(call);
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    bool done = false;
    enum weir_status status = progress->begun ? WEIR_OK : begin_export(call, progress);
    if (status != WEIR_OK)
        return status;
    status = weir_receipt_export_step(ops, engine, weir_operation_settings(call)->receipts, &progress->export,
                                      WEIR_OPERATION_PIECE_BYTES, weir_operation_buffer(call, "application/x-ndjson"),
                                      &done, &error);
    if (status != WEIR_OK)
        return failed(call, status, &error);
    if (!done)
        weir_operation_continue(call);
    return WEIR_OK;
}

/* --- the keys --- */
enum weir_status operator__receipts_keys(struct weir_operation_call *call) {
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    enum weir_status status = prepare(call);
    if (status != WEIR_OK)
        return status;
    status = weir_receipt_keys_write(ops, engine, weir_operation_writer(call), &error);
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, "the keys of receipts", &error);
}

/* The new one is in the store: the private part of the one before is of no use any more. */
static void forget_before(struct weir_operation_call *call) {
    const struct weir_receipt_public *before = *(struct weir_receipt_public **)weir_operation_state(call);
    weir_receipt_signer_forget(weir_operation_settings(call)->receipts, before);
}

static struct weir_span key_text(struct weir_operation_call *call, const struct weir_receipt_public *key) {
    if (key->id[0] == '\0')
        return WEIR_SPAN("");
    return weir_span_of_string(weir_arena_format(weir_operation_arena(call), "{\"key_id\":\"%s\"}", key->id));
}

enum weir_status operator__receipts_keys_rotate(struct weir_operation_call *call) {
    struct weir_receipt_signer *signer = weir_operation_settings(call)->receipts;
    struct weir_receipt_public *before = weir_arena_alloc(weir_operation_arena(call), sizeof *before), after;
    struct weir_engine *engine = NULL;
    struct weir_error error = {.text = ""};
    (void)weir_operation_store(call, &engine);
    if (signer == NULL)
        return weir_operation_fail(call, WEIR_REASON_RECEIPT_UNSIGNABLE, NULL, "%s", "this process signs none");
    if (before == NULL)
        return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "%s", "no memory");
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    status = weir_receipt_signer_rotate(signer, engine, before, &after, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the keys of receipts", &error);
    const struct weir_operation_note note = {.resource_id = weir_span_of_string(after.id),
                                             .resource_name = weir_span_of_string(after.id),
                                             .before = key_text(call, before),
                                             .after = key_text(call, &after)};
    status = weir_operation_audit(call, &note);
    if (status != WEIR_OK) {
        weir_receipt_signer_forget(signer, &after);
        return status;
    }
    *(struct weir_receipt_public **)weir_operation_state(call) = before;
    weir_operation_after(call, forget_before);
    weir_operation_set_status(call, 201);
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_receipt_write_jwk(writer, &after);
    weir_json_write_end(writer);
    return WEIR_OK;
}

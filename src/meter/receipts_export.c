/* See receipts_export.h. A piece ends where its bytes are full, or where the chain is still behind: its caller comes back. */
#include "meter/receipts_export.h"

#include "json/write.h"

enum { ADVANCES = 4, PAGE = 200, MATCHES = 1000 };

enum weir_status weir_receipt_prepare(const struct weir_engine_ops *store, struct weir_engine *engine,
                                      struct weir_receipt_signer *signer, bool *behind, struct weir_error *error) {
    bool more = true;
    enum weir_status status = weir_receipt_signer_ready(signer, engine, error);
    for (int i = 0; i < ADVANCES && status == WEIR_OK && more; i++)
        status = store->receipt_advance(engine, 0, &more, error);
    if (behind != NULL)
        *behind = more;
    return status;
}

static enum weir_status note_sequence(void *context, const struct weir_ledger_entry *entry) {
    *(int64_t *)context = entry->sequence;
    return WEIR_OK;
}

enum weir_status weir_receipt_export_begin(const struct weir_engine_ops *store, struct weir_engine *engine,
                                           struct weir_receipt_export *export, struct weir_error *error) {
    struct weir_ledger_query *query = &export->query;
    int64_t first = 0;
    export->end.complete = query->workspace.length == 0 && query->key_id.length == 0;
    query->limit = 1;
    query->newest = false;
    enum weir_status status = store->ledger_each(engine, query, note_sequence, &first, error);
    query->newest = true;
    if (status == WEIR_OK)
        status = store->ledger_each(engine, query, note_sequence, &export->until, error);
    query->newest = false;
    query->limit = PAGE;
    query->after_sequence = first > 0 ? first - 1 : 0;
    if (export->end.complete)
        query->from_utc_us = query->until_utc_us = 0; /* the numbers say it */
    return status;
}

struct exporting {
    struct weir_receipt_signer *signer;
    struct weir_receipt_export *export;
    struct weir_buffer *out;
    size_t given;
};

static enum weir_status export_receipt(void *context, const struct weir_ledger_entry *entry, struct weir_span text,
                                       const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]) {
    struct exporting *exporting = context;
    struct weir_receipt_export *export = exporting->export;
    struct weir_json_writer writer;
    if (entry->sequence > export->until)
        return WEIR_END;
    weir_json_writer_init(&writer, exporting->out);
    enum weir_status status = weir_receipt_signer_write(exporting->signer, text, hash, &writer);
    weir_buffer_append_byte(exporting->out, '\n');
    weir_receipt_end_add(&export->end, entry->sequence, hash);
    export->query.after_sequence = entry->sequence;
    exporting->given++;
    return status;
}

/* Another first line stands wherever another key begins to sign. */
static enum weir_status write_header(const struct weir_engine_ops *store, struct weir_engine *engine,
                                     struct exporting *exporting, struct weir_error *error) {
    struct weir_receipt_signature now;
    struct weir_receipt_export *export = exporting->export;
    enum weir_status status = weir_receipt_signer_sign(exporting->signer, WEIR_RECEIPT_END_OF_EXPORT, WEIR_SPAN(""),
                                                       &now);
    if (status != WEIR_OK || strcmp(export->key_id, now.key_id) == 0)
        return status;
    memcpy(export->key_id, now.key_id, sizeof(export->key_id));
    return weir_receipt_write_header(store, engine, export->end.complete, exporting->out, error);
}

static enum weir_status write_end(struct exporting *exporting) {
    struct weir_buffer text;
    struct weir_json_writer writer;
    struct weir_receipt_signature signature;
    weir_buffer_init(&text, WEIR_KIB);
    weir_receipt_write_end(&exporting->export->end, &text);
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = weir_receipt_signer_sign(exporting->signer, WEIR_RECEIPT_END_OF_EXPORT, weir_buffer_span(&text),
                                          &signature);
    if (status == WEIR_OK) {
        weir_json_writer_init(&writer, exporting->out);
        weir_receipt_write_signed_end(&writer, weir_buffer_span(&text), signature.key_id, signature.signature);
        weir_buffer_append_byte(exporting->out, '\n');
    }
    weir_buffer_release(&text);
    return status;
}

enum weir_status weir_receipt_export_step(const struct weir_engine_ops *store, struct weir_engine *engine,
                                          struct weir_receipt_signer *signer, struct weir_receipt_export *export,
                                          size_t piece, struct weir_buffer *out, bool *done, struct weir_error *error) {
    struct exporting exporting = {.signer = signer, .export = export, .out = out};
    bool behind = false, rest = true;
    *done = false;
    enum weir_status status = weir_receipt_prepare(store, engine, signer, &behind, error);
    if (status == WEIR_OK)
        status = write_header(store, engine, &exporting, error);
    while (status == WEIR_OK && rest && out->length < piece) {
        exporting.given = 0;
        status = store->receipt_each(engine, &export->query, export_receipt, &exporting, error);
        rest = exporting.given == PAGE;
    }
    if (status != WEIR_OK || rest || (behind && export->end.last < export->until))
        return status;
    status = write_end(&exporting);
    *done = status == WEIR_OK;
    return status;
}

struct finding {
    struct weir_uuid asked;
    bool is_uuid, own;
    int64_t sequence;
};

static enum weir_status note_match(void *context, const struct weir_ledger_entry *entry) {
    struct finding *finding = context;
    bool own = finding->is_uuid && memcmp(&finding->asked, &entry->request_id, sizeof finding->asked) == 0;
    if (finding->own && !own)
        return WEIR_OK;
    finding->own = own;
    finding->sequence = entry->sequence;
    return WEIR_OK;
}

enum weir_status weir_receipt_find(const struct weir_engine_ops *store, struct weir_engine *engine,
                                   struct weir_span asked, struct weir_span workspace, int64_t *sequence,
                                   struct weir_error *error) {
    const struct weir_ledger_query query = {.request_id = asked,
                                            .workspace = workspace,
                                            .limit = MATCHES,
                                            .newest = true};
    struct finding finding = {.sequence = 0};
    finding.is_uuid = weir_uuid_parse(asked, &finding.asked) == WEIR_OK;
    enum weir_status status = store->ledger_each(engine, &query, note_match, &finding, error);
    *sequence = finding.sequence;
    return status;
}

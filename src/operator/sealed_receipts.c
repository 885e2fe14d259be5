/* The key that receipts are signed with, as one of the places where something sealed is kept (sealed.c). There is one of them at most: former keys have no private
 * part any more. */
#include "meter/receipts_signer.h"
#include "operator/sealed.h"

static struct weir_receipt_signer_settings settings_of(const struct weir_sealed_work *work) {
    return (struct weir_receipt_signer_settings){.store = work->store,
                                                 .directory = "",
                                                 .environment = work->environment,
                                                 .sealing = work->sealing};
}

enum weir_status operator__reseal_receipts(struct weir_sealed_work *work, int64_t *after, size_t batch, size_t *seen,
                                           struct weir_reseal_counts *counts, struct weir_error *error) {
    const struct weir_receipt_signer_settings settings = settings_of(work);
    char result = '\0';
    (void)after, (void)batch;
    *seen = 0;
    enum weir_status status = weir_receipt_key_reseal(&settings, work->engine, &result, error);
    counts->resealed += result == 'r';
    counts->already += result == 'a';
    counts->unopened += result == 'u';
    return status;
}

struct counting {
    const struct weir_sealed_work *work;
    struct weir_sealed_counts *counts;
    char first_id[WEIR_SEALING_KEY_ID_SIZE];
};

static enum weir_status count_key(void *context, const struct weir_receipt_key *key) {
    struct counting *counting = context;
    char id[WEIR_SEALING_KEY_ID_SIZE];
    if (key->sealed.length == 0)
        return WEIR_OK;
    if (weir_sealing_blob_key_id(key->sealed, id) != WEIR_OK ||
        !weir_sealing_has(counting->work->sealing, weir_span_of_string(id)))
        counting->counts->unknown++;
    else if (strcmp(id, counting->first_id) == 0)
        counting->counts->first++;
    else
        counting->counts->previous++;
    return WEIR_OK;
}

enum weir_status operator__count_sealed_receipts(struct weir_sealed_work *work, struct weir_sealed_counts *counts,
                                                 struct weir_error *error) {
    struct counting counting = {.work = work, .counts = counts};
    weir_sealing_key_id(work->sealing, counting.first_id);
    return weir_receipt_keys_each(work->store, work->engine, count_key, &counting, error);
}

/* links: base secrets */
/* Sealed blobs of any bytes: none opens unless it was sealed by us, and what was sealed opens to the same bytes. */
#include "secrets/sealing.h"

static const struct weir_span key = {"0101010101010101010101010101010101010101010101010101010101010101", 64};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_sealing *sealing = NULL;
    struct weir_secret *plain = NULL;
    struct weir_span input = weir_span_of((const char *)data, size);
    char id[WEIR_SEALING_KEY_ID_SIZE], other[WEIR_SEALING_KEY_ID_SIZE];
    if (weir_sealing_new(&key, 1, &sealing, NULL) != WEIR_OK)
        return 0;
    enum weir_status status = weir_sealing_open(sealing, WEIR_SPAN("fuzz"), input, &plain);
    weir_bug_on(status == WEIR_OK); /* a forged tag: it does not happen */
    /* What has the form of a blob names its key; what names another key says so. */
    weir_bug_on(status == WEIR_EDENIED && weir_sealing_blob_key_id(input, id) != WEIR_OK);
    struct weir_buffer blob;
    weir_buffer_init(&blob, size + 4096);
    status = weir_sealing_seal(sealing, input, input, &blob);
    weir_bug_on(status != WEIR_OK);
    status = weir_sealing_open(sealing, input, weir_buffer_span(&blob), &plain);
    weir_bug_on(status != WEIR_OK || !weir_span_equal(weir_secret_reveal(plain), input));
    weir_sealing_key_id(sealing, other);
    weir_bug_on(weir_sealing_blob_key_id(weir_buffer_span(&blob), id) != WEIR_OK || strcmp(id, other) != 0);
    weir_secret_free(&plain);
    weir_buffer_release(&blob);
    weir_sealing_free(&sealing);
    return 0;
}

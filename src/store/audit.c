/* What does not depend on where the audit trail is kept: the hash that chains it, and names. */

/* Plain arithmetic, as in identity/key.c: no search for a provider, no allocation at every entry. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "store/audit.h"

#include <openssl/sha.h>
#include <stddef.h>

static const char *const result_names[] = {
    [WEIR_AUDIT_SUCCESS] = "success",
    [WEIR_AUDIT_FAILURE] = "failure",
    [WEIR_AUDIT_PARTIAL] = "partial",
};

const char *weir_audit_result_name(enum weir_audit_result result) {
    size_t index = (size_t)result;
    return index < sizeof(result_names) / sizeof(result_names[0]) ? result_names[index] : "unknown";
}

static void add_number(SHA256_CTX *context, uint64_t number) {
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(number >> (8 * (7 - i)));
    SHA256_Update(context, bytes, sizeof(bytes));
}

/* The length first, so that nothing can move from one member to the next. */
static void add_text(SHA256_CTX *context, struct weir_span text) {
    add_number(context, text.length);
    if (text.length > 0)
        SHA256_Update(context, text.at, text.length);
}

void weir_audit_hash(const struct weir_audit_entry *entry, const unsigned char previous[WEIR_AUDIT_HASH_SIZE],
                     unsigned char hash[WEIR_AUDIT_HASH_SIZE]) {
    const struct weir_span texts[] = {entry->actor_kind,    entry->actor_id,      entry->actor_name,
                                      entry->actor_role,    entry->actor_address, entry->workspace,
                                      entry->action,        entry->resource_type, entry->resource_id,
                                      entry->resource_name, entry->changes,       entry->request,
                                      entry->reason,        entry->message};
    SHA256_CTX context;
    SHA256_Init(&context);
    add_text(&context, WEIR_SPAN("weir audit 1")); /* the form of what follows */
    SHA256_Update(&context, previous, WEIR_AUDIT_HASH_SIZE);
    add_number(&context, (uint64_t)entry->sequence);
    add_number(&context, (uint64_t)entry->utc_us);
    add_number(&context, (uint64_t)entry->result);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        add_text(&context, texts[i]);
    SHA256_Final(hash, &context);
}

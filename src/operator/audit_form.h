/* What an entry of the audit trail looks like outside: to callers, in exports, in the sink and on the command line it is the same.
 *
 * The members are those that clients of other gateways know (`actor_email`, `org_id`, `request_metadata`, …) and, besides, what is needed to follow
 * the chain of hashes without weir. */
#ifndef WEIR_OPERATOR_AUDIT_FORM_H
#define WEIR_OPERATOR_AUDIT_FORM_H

#include "json/write.h"
#include "store/store.h"

/* One JSON object. */
void weir_audit_write_json(struct weir_json_writer *writer, const struct weir_audit_entry *entry);
/* RFC 4180: the line of names, and a line for an entry. A field that a spreadsheet would take for a formula gets an apostrophe in front. */
void weir_audit_csv_head(struct weir_buffer *out);
void weir_audit_write_csv(struct weir_buffer *out, const struct weir_audit_entry *entry);

/* A head of the chain, as people keep it elsewhere: "<sequence>:<hash, hex>". */
enum { WEIR_AUDIT_HEAD_SIZE = 20 + 1 + 2 * WEIR_AUDIT_HASH_SIZE + 1 };
struct weir_audit_head {
    int64_t sequence;
    unsigned char hash[WEIR_AUDIT_HASH_SIZE];
};
void weir_audit_head_format(const struct weir_audit_head *head, char out[WEIR_AUDIT_HEAD_SIZE]);
/* WEIR_EINVAL. */
WEIR_MUST enum weir_status weir_audit_head_parse(struct weir_span text, struct weir_audit_head *head);

/* Follows the whole chain; with a `kept` head (may be NULL) also looks whether it is in it, which finds what the chain alone cannot: the newest
 * entries removed, or all of it written anew, by somebody who could write to the database. WEIR_OK when the trail could be read; what was found is
 * in *found, where broken_at and problem say what is wrong. */
WEIR_MUST enum weir_status weir_audit_check(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                            const struct weir_audit_head *kept, struct weir_audit_verification *found,
                                            struct weir_error *error);

#endif

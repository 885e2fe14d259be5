/* The one form of an audit entry outside the store, and checking the chain against a head that was kept. */
#include "operator/audit_form.h"

#include "base/clock.h"
#include "base/ids.h"

#include <stdio.h>

/* "" is null: nothing is known of it. */
static void member_or_null(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    if (text.length > 0)
        weir_json_member_string(writer, name, text);
    else
        weir_json_member_text(writer, name, NULL);
}

static void member_json(struct weir_json_writer *writer, const char *name, struct weir_span json) {
    weir_json_write_name(writer, name);
    if (json.length > 0)
        weir_json_write_raw(writer, json);
    else
        weir_json_write_null(writer);
}

/* The login name, where it is an address. */
static struct weir_span email_of(const struct weir_audit_entry *entry) {
    return weir_span_index(entry->actor_name, '@') < entry->actor_name.length ? entry->actor_name : WEIR_SPAN("");
}

struct texts {
    char id[24], timestamp[WEIR_TIMESTAMP_SIZE];
    char previous[2 * WEIR_AUDIT_HASH_SIZE + 1], hash[2 * WEIR_AUDIT_HASH_SIZE + 1];
};

static struct texts texts_of(const struct weir_audit_entry *entry) {
    struct texts texts;
    (void)snprintf(texts.id, sizeof texts.id, "%lld", (long long)entry->sequence);
    weir_clock_format_utc(entry->utc_us, texts.timestamp);
    weir_hex_format(entry->previous, sizeof entry->previous, texts.previous);
    weir_hex_format(entry->hash, sizeof entry->hash, texts.hash);
    return texts;
}

void weir_audit_write_json(struct weir_json_writer *writer, const struct weir_audit_entry *entry) {
    const struct texts texts = texts_of(entry);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "id", texts.id);
    weir_json_member_int64(writer, "sequence", entry->sequence);
    weir_json_member_text(writer, "timestamp", texts.timestamp);
    member_or_null(writer, "actor_id", entry->actor_id);
    member_or_null(writer, "actor_name", entry->actor_name);
    member_or_null(writer, "actor_email", email_of(entry));
    member_or_null(writer, "actor_ip", entry->actor_address);
    weir_json_member_string(writer, "actor_kind", entry->actor_kind);
    member_or_null(writer, "actor_role", entry->actor_role);
    member_or_null(writer, "org_id", entry->workspace);
    weir_json_member_string(writer, "action", entry->action);
    weir_json_member_string(writer, "resource_type", entry->resource_type);
    member_or_null(writer, "resource_id", entry->resource_id);
    member_or_null(writer, "resource_name", entry->resource_name);
    weir_json_member_text(writer, "result", weir_audit_result_name(entry->result));
    member_or_null(writer, "error_code", entry->reason);
    member_or_null(writer, "error_message", entry->message);
    member_json(writer, "changes", entry->changes);
    member_json(writer, "request_metadata", entry->request);
    weir_json_member_text(writer, "created_at", texts.timestamp);
    weir_json_member_text(writer, "previous_hash", texts.previous);
    weir_json_member_text(writer, "hash", texts.hash);
    weir_json_write_end(writer);
}

/* --- CSV --- */

static const char *const columns[] = {
    "id",         "timestamp",     "actor_id", "actor_name",       "actor_email", "actor_ip",      "actor_kind",
    "actor_role", "org_id",        "action",   "resource_type",    "resource_id", "resource_name", "result",
    "error_code", "error_message", "changes",  "request_metadata", "created_at",  "previous_hash", "hash"};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* A spreadsheet takes what begins with one of these for a formula, behind blanks too, and runs it. */
static bool is_formula(struct weir_span text) {
    size_t at = 0;
    while (at < text.length && text.at[at] == ' ')
        at++;
    return at < text.length && memchr("=+-@\t\r\n|%", text.at[at], 9) != NULL;
}

static void csv_field(struct weir_buffer *out, struct weir_span text, bool last) {
    weir_buffer_append_byte(out, '"');
    if (is_formula(text))
        weir_buffer_append_byte(out, '\'');
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"')
            weir_buffer_append_byte(out, '"');
        weir_buffer_append_byte(out, text.at[i] == '\0' ? ' ' : text.at[i]);
    }
    weir_buffer_append(out, last ? WEIR_SPAN("\"\r\n") : WEIR_SPAN("\","));
}

void weir_audit_csv_head(struct weir_buffer *out) {
    for (size_t i = 0; i < COLUMNS; i++)
        weir_buffer_printf(out, "%s%s", columns[i], i + 1 == COLUMNS ? "\r\n" : ",");
}

void weir_audit_write_csv(struct weir_buffer *out, const struct weir_audit_entry *entry) {
    const struct texts texts = texts_of(entry);
    const struct weir_span timestamp = weir_span_of_string(texts.timestamp);
    const struct weir_span fields[COLUMNS] = {weir_span_of_string(texts.id),
                                              timestamp,
                                              entry->actor_id,
                                              entry->actor_name,
                                              email_of(entry),
                                              entry->actor_address,
                                              entry->actor_kind,
                                              entry->actor_role,
                                              entry->workspace,
                                              entry->action,
                                              entry->resource_type,
                                              entry->resource_id,
                                              entry->resource_name,
                                              weir_span_of_string(weir_audit_result_name(entry->result)),
                                              entry->reason,
                                              entry->message,
                                              entry->changes,
                                              entry->request,
                                              timestamp,
                                              weir_span_of_string(texts.previous),
                                              weir_span_of_string(texts.hash)};
    for (size_t i = 0; i < COLUMNS; i++)
        csv_field(out, fields[i], i + 1 == COLUMNS);
}

/* --- heads --- */

void weir_audit_head_format(const struct weir_audit_head *head, char out[WEIR_AUDIT_HEAD_SIZE]) {
    char hash[2 * WEIR_AUDIT_HASH_SIZE + 1];
    weir_hex_format(head->hash, sizeof head->hash, hash);
    (void)snprintf(out, WEIR_AUDIT_HEAD_SIZE, "%lld:%s", (long long)head->sequence, hash);
}

enum weir_status weir_audit_head_parse(struct weir_span text, struct weir_audit_head *head) {
    struct weir_span sequence, hash;
    struct weir_audit_head parsed = {.sequence = 0};
    if (!weir_span_split(text, ':', &sequence, &hash) || weir_span_to_int64(sequence, &parsed.sequence) != WEIR_OK ||
        parsed.sequence < 1 || weir_hex_parse(hash, parsed.hash, sizeof parsed.hash) != WEIR_OK)
        return WEIR_EINVAL;
    *head = parsed;
    return WEIR_OK;
}

struct lookup {
    int64_t sequence;
    bool found;
    unsigned char hash[WEIR_AUDIT_HASH_SIZE], previous[WEIR_AUDIT_HASH_SIZE];
};

static enum weir_status on_entry(void *context, const struct weir_audit_entry *entry) {
    struct lookup *lookup = context;
    lookup->found = entry->sequence == lookup->sequence;
    memcpy(lookup->hash, entry->hash, sizeof lookup->hash);
    memcpy(lookup->previous, entry->previous, sizeof lookup->previous);
    return WEIR_END;
}

static void broken(struct weir_audit_verification *found, int64_t sequence, const char *words) {
    found->broken_at = sequence;
    (void)snprintf(found->problem, sizeof found->problem, "%s", words);
}

enum weir_status weir_audit_check(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                  const struct weir_audit_head *kept, struct weir_audit_verification *found,
                                  struct weir_error *error) {
    enum weir_status status = ops->audit_verify(engine, found, error);
    if (status != WEIR_OK || found->broken_at != 0 || kept == NULL)
        return status;
    if (kept->sequence > found->last) {
        broken(found, kept->sequence,
               "the head that was kept is newer than the newest entry: entries were removed from the end");
        return WEIR_OK;
    }
    /* The hash of the entry before the oldest one is in the oldest one. */
    bool before_first = kept->sequence == found->first - 1;
    if (kept->sequence < found->first && !before_first) {
        broken(
            found, kept->sequence,
            "the head that was kept is older than the oldest entry: retention has removed it, so nothing can be compared");
        return WEIR_OK;
    }
    struct lookup lookup = {.sequence = before_first ? found->first : kept->sequence};
    const struct weir_audit_query query = {.oldest_first = true, .after_sequence = lookup.sequence - 1, .limit = 1};
    status = ops->audit_each(engine, &query, on_entry, &lookup, error);
    if (status != WEIR_OK)
        return status;
    if (!lookup.found)
        broken(found, lookup.sequence, "the entry of the head that was kept is missing");
    else if (memcmp(before_first ? lookup.previous : lookup.hash, kept->hash, sizeof kept->hash) != 0)
        broken(found, kept->sequence,
               "the entry's hash is not that of the head that was kept: the trail was written anew");
    return WEIR_OK;
}

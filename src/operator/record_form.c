/* Records as JSON and CSV. The stages are told in record_stages.c. */
#include "operator/record_form.h"

#include "base/clock.h"
#include "base/reasons.h"
#include "operator/csv.h"

static const char *reason_name(unsigned reason) {
    return reason != 0 && reason < WEIR_REASON_COUNT ? weir_reason_row((enum weir_reason)reason)->name : NULL;
}

/* --- filters --- */
enum weir_status weir_record_filter(const struct weir_record_words *words, struct weir_record_query *query,
                                    const char **field) {
    *field = "status";
    if (words->status.length > 0) {
        struct weir_span status = words->status;
        uint64_t number = 0;
        bool class = status.length == 3 && weir_span_equal(weir_span_from(status, 1), WEIR_SPAN("xx"));
        if (status.length != 3 ||
            weir_span_to_uint64(class ? weir_span_first(status, 1) : status, &number) != WEIR_OK || number == 0)
            return WEIR_EINVAL;
        *(class ? &query->status_class : &query->status) = (unsigned)number;
    }
    *field = "outcome";
    for (int i = WEIR_OUTCOME_OK; words->outcome.length > 0 && !query->has_outcome; i++) {
        if (i > WEIR_OUTCOME_CRASHED)
            return WEIR_EINVAL;
        query->outcome = (enum weir_outcome)i;
        query->has_outcome = weir_span_equal(words->outcome, weir_span_of_string(weir_outcome_name(query->outcome)));
    }
    *field = "reason";
    for (unsigned i = 1; words->reason.length > 0 && query->reason == 0; i++) {
        if (i >= WEIR_REASON_COUNT)
            return WEIR_EINVAL;
        if (weir_span_equal(words->reason, weir_span_of_string(weir_reason_row((enum weir_reason)i)->name)))
            query->reason = i;
    }
    return WEIR_OK;
}

/* --- JSON --- */
/* null where there is nothing. */
static void member_known(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    if (text.length > 0)
        weir_json_member_string(writer, name, text);
    else
        weir_json_member_text(writer, name, NULL);
}

/* NULL: the rules were not asked. Entries of earlier releases have an answer where nobody was identified. */
static const char *policy_name(const struct weir_ledger_entry *entry) {
    bool unidentified = entry->stage != WEIR_STAGE_UNKNOWN && entry->stage <= WEIR_STAGE_IDENTIFIED;
    return entry->policy == WEIR_POLICY_NONE || unidentified
               ? NULL
               : weir_policy_outcome_name((enum weir_policy_outcome)entry->policy);
}

static void member_time(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    char text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(utc_us, text);
    weir_json_member_text(writer, name, text);
}

static void write_common(struct weir_json_writer *writer, const struct weir_record *record) {
    const struct weir_ledger_entry *entry = &record->entry;
    char id[WEIR_UUID_TEXT_SIZE];
    weir_uuid_format(&entry->request_id, id);
    weir_json_member_text(writer, "id", id);
    member_time(writer, "started_at", entry->start_utc_us);
    member_time(writer, "ended_at", entry->end_utc_us);
    weir_json_member_int64(writer, "duration_us", entry->end_utc_us - entry->start_utc_us);
    member_known(writer, "workspace", entry->workspace);
    member_known(writer, "key_id", entry->key_id);
    member_known(writer, "endpoint", entry->endpoint);
    member_known(writer, "model", entry->model);
    member_known(writer, "provider", entry->provider);
    member_known(writer, "upstream_model", entry->upstream_model);
    weir_json_member_bool(writer, "stream", entry->stream);
    weir_json_member_int64(writer, "status", entry->status);
    weir_json_member_text(writer, "outcome", weir_outcome_name((enum weir_outcome)entry->outcome));
    weir_json_member_text(writer, "reason", reason_name(entry->reason));
    weir_json_member_text(writer, "stage", weir_stage_name((enum weir_stage)entry->stage));
    weir_json_member_text(writer, "policy", policy_name(entry));
    weir_json_member_bool(writer, "in_ledger", !entry->unbilled);
    weir_json_member_int64(writer, "attempt_count", (int64_t)entry->attempt_count);
    weir_json_member_int64(writer, "input_tokens", entry->usage.input);
    weir_json_member_int64(writer, "output_tokens", entry->usage.output);
    weir_json_member_int64(writer, "cost_cu_milli", entry->cost_cu_milli);
    member_known(writer, "client_request_id", entry->client_request_id);
    member_known(writer, "session_id", entry->session_id);
    member_known(writer, "trace_id", entry->trace_id);
    member_known(writer, "client_address", entry->client_address);
    member_known(writer, "tags", entry->tags);
    weir_json_member_int64(writer, "revision", (int64_t)entry->revision);
}

void weir_record_write_summary(struct weir_json_writer *writer, const struct weir_record *record) {
    weir_json_write_object(writer);
    write_common(writer, record);
    weir_json_write_end(writer);
}

static void write_usage(struct weir_json_writer *writer, const struct weir_ledger_entry *entry) {
    const struct weir_usage *usage = &entry->usage;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"input_tokens", usage->input},
                   {"cached_tokens", usage->cached},
                   {"cache_write_tokens", usage->cache_write},
                   {"output_tokens", usage->output},
                   {"reasoning_tokens", usage->reasoning},
                   {"input_audio_tokens", usage->input_audio},
                   {"input_image_tokens", usage->input_image},
                   {"output_audio_tokens", usage->output_audio},
                   {"output_image_tokens", usage->output_image}};
    weir_json_write_name(writer, "usage");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "source", weir_usage_source_name((enum weir_usage_source)entry->usage_source));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        weir_json_member_int64(writer, numbers[i].name, numbers[i].value);
    weir_json_member_text(writer, "unit", usage->unit != WEIR_UNIT_NONE ? weir_unit_name(usage->unit) : NULL);
    weir_json_member_int64(writer, "units", usage->units);
    weir_json_write_end(writer);
}

/* What happened, what to do, and where more is written. */
static void write_reason(struct weir_json_writer *writer, unsigned reason) {
    weir_json_write_name(writer, "reason");
    if (reason_name(reason) == NULL) {
        weir_json_write_null(writer);
        return;
    }
    const struct weir_reason_row *row = weir_reason_row((enum weir_reason)reason);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "name", row->name);
    weir_json_member_text(writer, "reason_code", row->reason_code);
    weir_json_member_text(writer, "message", row->message);
    weir_json_member_text(writer, "hint", row->hint[0] != '\0' ? row->hint : NULL);
    if (row->runbook[0] != '\0') {
        char path[128];
        (void)snprintf(path, sizeof path, "/docs/runbooks/%s.md", row->runbook);
        weir_json_member_text(writer, "runbook", path);
    } else {
        weir_json_member_text(writer, "runbook", NULL);
    }
    weir_json_write_end(writer);
}

/* Of a time that is 0 where it never came to it. */
static int64_t come_to(uint32_t us) {
    return us != 0 ? (int64_t)us : -1;
}

static void member_offset(struct weir_json_writer *writer, const char *name, int64_t offset_us) {
    weir_json_write_name(writer, name);
    if (offset_us >= 0)
        weir_json_write_int64(writer, offset_us);
    else
        weir_json_write_null(writer);
}

static void write_attempts(struct weir_json_writer *writer, const struct weir_ledger_entry *entry) {
    weir_json_write_name(writer, "attempts");
    weir_json_write_array(writer);
    for (size_t i = 0; i < entry->attempt_count; i++) {
        const struct weir_ledger_attempt *attempt = &entry->attempts[i];
        weir_json_write_object(writer);
        weir_json_member_int64(writer, "number", (int64_t)i + 1);
        member_known(writer, "provider", attempt->provider);
        member_known(writer, "upstream_model", attempt->upstream_model);
        member_known(writer, "upstream_request_id", attempt->upstream_request_id);
        weir_json_member_int64(writer, "status", attempt->status);
        weir_json_member_text(writer, "reason", reason_name(attempt->reason));
        weir_json_member_bool(writer, "reused_connection", attempt->reused_connection);
        weir_json_member_int64(writer, "start_us", attempt->start_us);
        member_offset(writer, "connected_us", come_to(attempt->connected_us));
        member_offset(writer, "first_byte_us", come_to(attempt->first_byte_us));
        member_offset(writer, "end_us", come_to(attempt->end_us));
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static void write_stages(struct weir_json_writer *writer, const struct weir_ledger_entry *entry) {
    struct weir_story_stage stages[WEIR_STORY_STAGES];
    size_t count = weir_record_stages(entry, stages);
    weir_json_write_name(writer, "stages");
    weir_json_write_array(writer);
    for (size_t i = 0; i < count; i++) {
        const struct weir_story_stage *stage = &stages[i];
        weir_json_write_object(writer);
        weir_json_member_text(writer, "stage", stage->name);
        member_offset(writer, "attempt", stage->attempt > 0 ? (int64_t)stage->attempt : -1);
        weir_json_member_text(writer, "outcome", weir_stage_outcome_name(stage->outcome));
        member_offset(writer, "offset_us", stage->offset_us);
        weir_json_member_text(writer, "text", stage->words);
        write_reason(writer, stage->reason);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static void write_matched_by(struct weir_json_writer *writer, const struct weir_record *record,
                             struct weir_span asked) {
    static const struct {
        unsigned bit;
        const char *name;
    } ways[] = {{WEIR_RECORD_BY_REQUEST, "request_id"},           {WEIR_RECORD_BY_CLIENT, "client_request_id"},
                {WEIR_RECORD_BY_UPSTREAM, "upstream_request_id"}, {WEIR_RECORD_BY_TRACE, "trace_id"},
                {WEIR_RECORD_BY_SESSION, "session_id"},           {WEIR_RECORD_BY_ISSUED, "issued"}};
    unsigned named = weir_record_ids_named(&record->entry, asked);
    weir_json_write_name(writer, "matched_by");
    weir_json_write_array(writer);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if ((named & ways[i].bit) != 0)
            weir_json_write_string(writer, weir_span_of_string(ways[i].name));
    weir_json_write_end(writer);
}

void weir_record_write_story(struct weir_json_writer *writer, const struct weir_record *record,
                             struct weir_span asked) {
    const struct weir_ledger_entry *entry = &record->entry;
    write_common(writer, record);
    write_matched_by(writer, record, asked);
    member_known(writer, "path", entry->path);
    member_known(writer, "detail", entry->detail);
    member_offset(writer, "read_us", come_to(entry->read_us));
    member_offset(writer, "first_byte_us", come_to(entry->first_byte_us));
    write_usage(writer, entry);
    member_known(writer, "price_version", entry->price_version);
    weir_json_member_bool(writer, "unpriced", entry->unpriced);
    weir_json_member_int64(writer, "reserved_cu_milli", entry->reserved_cu_milli);
    weir_json_member_int64(writer, "overrun_cu_milli", entry->overrun_cu_milli);
    weir_json_write_name(writer, "issued");
    weir_json_write_array(writer);
    for (size_t i = 0; i < entry->issued_count; i++)
        weir_json_write_string(writer, entry->issued[i]);
    weir_json_write_end(writer);
    write_attempts(writer, entry);
    write_stages(writer, entry);
}

void weir_record_write_match(struct weir_json_writer *writer, const struct weir_record *record,
                             struct weir_span asked) {
    const struct weir_ledger_entry *entry = &record->entry;
    char id[WEIR_UUID_TEXT_SIZE];
    weir_uuid_format(&entry->request_id, id);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "id", id);
    member_time(writer, "started_at", entry->start_utc_us);
    member_known(writer, "endpoint", entry->endpoint);
    member_known(writer, "model", entry->model);
    weir_json_member_int64(writer, "status", entry->status);
    weir_json_member_text(writer, "outcome", weir_outcome_name((enum weir_outcome)entry->outcome));
    write_matched_by(writer, record, asked);
    weir_json_write_end(writer);
}

/* --- CSV --- */
void weir_record_csv_head(struct weir_buffer *out) {
    weir_buffer_append(out,
                       WEIR_SPAN("id,started_at,duration_us,workspace,key_id,endpoint,model,provider,upstream_model,"
                                 "client_request_id,trace_id,client_address,tags,path,detail,stream,status,outcome,"
                                 "reason,stage,policy,in_ledger,attempt_count,input_tokens,output_tokens,"
                                 "cost_cu_milli,revision\r\n"));
}

void weir_record_write_csv(struct weir_buffer *out, const struct weir_record *record) {
    const struct weir_ledger_entry *entry = &record->entry;
    char id[WEIR_UUID_TEXT_SIZE], start[WEIR_TIMESTAMP_SIZE];
    weir_uuid_format(&entry->request_id, id);
    weir_clock_format_utc(entry->start_utc_us, start);
    weir_buffer_printf(out, "%s,%s,%lld,", id, start, (long long)(entry->end_utc_us - entry->start_utc_us));
    const struct weir_span texts[] = {entry->workspace,
                                      entry->key_id,
                                      entry->endpoint,
                                      entry->model,
                                      entry->provider,
                                      entry->upstream_model,
                                      entry->client_request_id,
                                      entry->trace_id,
                                      entry->client_address,
                                      entry->tags,
                                      entry->path,
                                      entry->detail};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        weir_csv_text(out, texts[i]);
        weir_buffer_append_byte(out, ',');
    }
    const char *reason = reason_name(entry->reason);
    weir_buffer_printf(out, "%s,%u,%s,%s,%s,%s,%s,%zu,%lld,%lld,%lld,%llu\r\n", entry->stream ? "true" : "false",
                       entry->status, weir_outcome_name((enum weir_outcome)entry->outcome),
                       reason != NULL ? reason : "", weir_stage_name((enum weir_stage)entry->stage),
                       policy_name(entry) != NULL ? policy_name(entry) : "", entry->unbilled ? "false" : "true",
                       entry->attempt_count, (long long)entry->usage.input, (long long)entry->usage.output,
                       (long long)entry->cost_cu_milli, (unsigned long long)entry->revision);
}

/* weir ledger: what was used and charged, readable while a server runs. */
#include "base/clock.h"
#include "base/reasons.h"
#include "json/write.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"

struct ledger_flags {
    const char *config, *from, *until, *key, *request, *limit, *after, *format;
    bool json;
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

struct output {
    enum format format;
    size_t count;
    int64_t last_sequence;
    struct weir_buffer text;
};

/* What every entry has, and of the rest what this one has. */
static void write_usage(struct weir_json_writer *writer, const struct weir_usage *usage) {
    const struct {
        const char *name;
        int64_t tokens;
    } rest[] = {{"input_audio_tokens", usage->input_audio},
                {"input_image_tokens", usage->input_image},
                {"output_audio_tokens", usage->output_audio},
                {"output_image_tokens", usage->output_image}};
    weir_json_member_int64(writer, "input_tokens", usage->input);
    weir_json_member_int64(writer, "cached_tokens", usage->cached);
    weir_json_member_int64(writer, "cache_write_tokens", usage->cache_write);
    weir_json_member_int64(writer, "output_tokens", usage->output);
    weir_json_member_int64(writer, "reasoning_tokens", usage->reasoning);
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        if (rest[i].tokens != 0)
            weir_json_member_int64(writer, rest[i].name, rest[i].tokens);
    if (usage->unit != WEIR_UNIT_NONE) {
        weir_json_member_text(writer, "unit", weir_unit_name(usage->unit));
        weir_json_member_int64(writer, "units", usage->units);
    }
}

static void write_issued(struct weir_json_writer *writer, const struct weir_ledger_entry *entry) {
    if (entry->issued_count == 0)
        return;
    weir_json_write_name(writer, "issued");
    weir_json_write_array(writer);
    for (size_t i = 0; i < entry->issued_count; i++)
        weir_json_write_string(writer, entry->issued[i]);
    weir_json_write_end(writer);
}

static void write_attempts(struct weir_json_writer *writer, const struct weir_ledger_entry *entry) {
    weir_json_write_name(writer, "attempts");
    weir_json_write_array(writer);
    for (size_t i = 0; i < entry->attempt_count; i++) {
        const struct weir_ledger_attempt *attempt = &entry->attempts[i];
        weir_json_write_object(writer);
        weir_json_member_string(writer, "provider", attempt->provider);
        weir_json_member_string(writer, "upstream_model", attempt->upstream_model);
        weir_json_member_string(writer, "upstream_request_id", attempt->upstream_request_id);
        weir_json_member_int64(writer, "status", attempt->status);
        weir_json_member_text(writer, "reason",
                              attempt->reason != 0 && attempt->reason < WEIR_REASON_COUNT
                                  ? weir_reason_row(attempt->reason)->name
                                  : NULL);
        weir_json_member_bool(writer, "reused_connection", attempt->reused_connection);
        weir_json_member_int64(writer, "start_us", attempt->start_us);
        weir_json_member_int64(writer, "connected_us", attempt->connected_us);
        weir_json_member_int64(writer, "first_byte_us", attempt->first_byte_us);
        weir_json_member_int64(writer, "end_us", attempt->end_us);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static const char *reason_name(uint16_t reason) {
    return reason != 0 && reason < WEIR_REASON_COUNT ? weir_reason_row((enum weir_reason)reason)->name : NULL;
}

static void write_json(struct weir_buffer *out, const struct weir_ledger_entry *entry) {
    struct weir_json_writer writer;
    char id[WEIR_UUID_TEXT_SIZE], start[WEIR_TIMESTAMP_SIZE], end[WEIR_TIMESTAMP_SIZE];
    weir_uuid_format(&entry->request_id, id);
    weir_clock_format_utc(entry->start_utc_us, start);
    weir_clock_format_utc(entry->end_utc_us, end);
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_int64(&writer, "sequence", entry->sequence);
    weir_json_member_text(&writer, "request_id", id);
    weir_json_member_string(&writer, "client_request_id", entry->client_request_id);
    weir_json_member_string(&writer, "trace_id", entry->trace_id);
    weir_json_member_text(&writer, "start", start);
    weir_json_member_text(&writer, "end", end);
    weir_json_member_string(&writer, "key_id", entry->key_id);
    weir_json_member_string(&writer, "workspace", entry->workspace);
    weir_json_member_string(&writer, "endpoint", entry->endpoint);
    weir_json_member_string(&writer, "model", entry->model);
    weir_json_member_string(&writer, "provider", entry->provider);
    weir_json_member_string(&writer, "upstream_model", entry->upstream_model);
    weir_json_member_bool(&writer, "stream", entry->stream);
    weir_json_member_text(&writer, "outcome", weir_outcome_name((enum weir_outcome)entry->outcome));
    weir_json_member_text(&writer, "reason", reason_name(entry->reason));
    weir_json_member_int64(&writer, "status", entry->status);
    write_usage(&writer, &entry->usage);
    weir_json_member_text(&writer, "usage_source", weir_usage_source_name((enum weir_usage_source)entry->usage_source));
    weir_json_member_string(&writer, "price_version", entry->price_version);
    weir_json_member_bool(&writer, "unpriced", entry->unpriced);
    weir_json_member_int64(&writer, "reserved_cu_milli", entry->reserved_cu_milli);
    weir_json_member_int64(&writer, "cost_cu_milli", entry->cost_cu_milli);
    weir_json_member_int64(&writer, "overrun_cu_milli", entry->overrun_cu_milli);
    weir_json_member_int64(&writer, "first_byte_us", entry->first_byte_us);
    weir_json_member_int64(&writer, "revision", (int64_t)entry->revision);
    weir_json_member_string(&writer, "tags", entry->tags);
    weir_json_member_string(&writer, "client_address", entry->client_address);
    write_issued(&writer, entry);
    write_attempts(&writer, entry);
    weir_json_write_end(&writer);
    weir_buffer_append_byte(out, '\n');
}

/* A field of RFC 4180; one that a spreadsheet would take for a formula gets an apostrophe. */
static void csv_field(struct weir_buffer *out, struct weir_span text, bool last) {
    bool formula = text.length > 0 && memchr("=+-@", text.at[0], 4) != NULL;
    weir_buffer_append_byte(out, '"');
    if (formula)
        weir_buffer_append_byte(out, '\'');
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"')
            weir_buffer_append_byte(out, '"');
        weir_buffer_append_byte(out, text.at[i]);
    }
    weir_buffer_append(out, last ? WEIR_SPAN("\"\r\n") : WEIR_SPAN("\","));
}

static const char csv_head[] =
    "sequence,request_id,client_request_id,start,end,key_id,workspace,endpoint,model,provider,upstream_model,stream,outcome,reason,status,"
    "input_tokens,cached_tokens,cache_write_tokens,output_tokens,reasoning_tokens,usage_source,price_version,unpriced,"
    "reserved_cu_milli,cost_cu_milli,overrun_cu_milli,revision,tags,input_audio_tokens,input_image_tokens,output_audio_tokens,"
    "output_image_tokens,unit,units,issued\r\n";

/* The ids with spaces between them; what is no id's (a space, a control byte) is left out of it. */
static void csv_issued(struct weir_buffer *out, const struct weir_ledger_entry *entry) {
    char text[WEIR_MAX_ISSUED * 600];
    size_t length = 0;
    for (size_t i = 0; i < entry->issued_count; i++) {
        struct weir_span id = entry->issued[i];
        if (i > 0)
            text[length++] = ' ';
        for (size_t k = 0; k < id.length && k < 512; k++)
            if ((unsigned char)id.at[k] > 0x20 && id.at[k] != 0x7f)
                text[length++] = id.at[k];
    }
    csv_field(out, weir_span_of(text, length), true);
}

static void write_csv(struct weir_buffer *out, const struct weir_ledger_entry *entry) {
    char id[WEIR_UUID_TEXT_SIZE], start[WEIR_TIMESTAMP_SIZE], end[WEIR_TIMESTAMP_SIZE];
    const struct weir_usage *tokens = &entry->usage;
    weir_uuid_format(&entry->request_id, id);
    weir_clock_format_utc(entry->start_utc_us, start);
    weir_clock_format_utc(entry->end_utc_us, end);
    weir_buffer_printf(out, "%lld,%s,", (long long)entry->sequence, id);
    csv_field(out, entry->client_request_id, false);
    weir_buffer_printf(out, "%s,%s,", start, end);
    const struct weir_span texts[] = {entry->key_id, entry->workspace, entry->endpoint,
                                      entry->model,  entry->provider,  entry->upstream_model};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        csv_field(out, texts[i], false);
    const char *reason = reason_name(entry->reason);
    weir_buffer_printf(out, "%s,%s,%s,%u,%lld,%lld,%lld,%lld,%lld,%s,", entry->stream ? "true" : "false",
                       weir_outcome_name((enum weir_outcome)entry->outcome), reason != NULL ? reason : "",
                       entry->status, (long long)tokens->input, (long long)tokens->cached,
                       (long long)tokens->cache_write, (long long)tokens->output, (long long)tokens->reasoning,
                       weir_usage_source_name((enum weir_usage_source)entry->usage_source));
    csv_field(out, entry->price_version, false);
    weir_buffer_printf(out, "%s,%lld,%lld,%lld,%llu,", entry->unpriced ? "true" : "false",
                       (long long)entry->reserved_cu_milli, (long long)entry->cost_cu_milli,
                       (long long)entry->overrun_cu_milli, (unsigned long long)entry->revision);
    csv_field(out, entry->tags, false);
    weir_buffer_printf(out, "%lld,%lld,%lld,%lld,%s,%lld,", (long long)tokens->input_audio,
                       (long long)tokens->input_image, (long long)tokens->output_audio, (long long)tokens->output_image,
                       tokens->unit != WEIR_UNIT_NONE ? weir_unit_name(tokens->unit) : "", (long long)tokens->units);
    csv_issued(out, entry);
}

/* What an entry has besides: behind the columns that every entry has. */
static void write_rest_of_row(struct weir_buffer *out, const struct weir_ledger_entry *entry) {
    const struct weir_usage *usage = &entry->usage;
    if (usage->unit == WEIR_UNIT_AUDIO_MS)
        weir_buffer_printf(out, "  %lld.%03llds", (long long)(usage->units / 1000), (long long)(usage->units % 1000));
    else if (usage->unit != WEIR_UNIT_NONE)
        weir_buffer_printf(out, "  %lld %s", (long long)usage->units, weir_unit_name(usage->unit));
    if (usage->input_audio != 0 || usage->output_audio != 0)
        weir_buffer_printf(out, "  audio %lld+%lld", (long long)usage->input_audio, (long long)usage->output_audio);
    if (usage->input_image != 0 || usage->output_image != 0)
        weir_buffer_printf(out, "  image %lld+%lld", (long long)usage->input_image, (long long)usage->output_image);
    for (size_t i = 0; i < entry->issued_count; i++) {
        char id[MAIN_CELL_SIZE];
        main__cell(entry->issued[i], 0, id);
        weir_buffer_printf(out, "  %s", id);
    }
    weir_buffer_append_byte(out, '\n');
}

static void write_row(struct weir_buffer *out, const struct weir_ledger_entry *entry) {
    char id[WEIR_UUID_TEXT_SIZE], start[32], model[MAIN_CELL_SIZE], key[MAIN_CELL_SIZE];
    const char *reason = reason_name(entry->reason);
    weir_uuid_format(&entry->request_id, id);
    main__format_time(entry->start_utc_us, start);
    main__cell(entry->key_id, 20, key);
    main__cell(entry->model, 22, model);
    weir_buffer_printf(out, "%-20s  %-36s  %s  %s  %8lld  %8lld  %12lld  %s%s%s", start, id, key, model,
                       (long long)entry->usage.input, (long long)entry->usage.output, (long long)entry->cost_cu_milli,
                       weir_outcome_name((enum weir_outcome)entry->outcome), reason != NULL ? " " : "",
                       reason != NULL ? reason : "");
    if (entry->unpriced)
        weir_buffer_append(out, WEIR_SPAN("  unpriced"));
    if (entry->usage_source == WEIR_USAGE_ESTIMATED)
        weir_buffer_append(out, WEIR_SPAN("  estimated"));
    write_rest_of_row(out, entry);
}

static enum weir_status visit(void *context, const struct weir_ledger_entry *entry) {
    struct output *output = context;
    static void (*const writers[])(struct weir_buffer *, const struct weir_ledger_entry *) = {
        [FORMAT_TABLE] = write_row, [FORMAT_JSON] = write_json, [FORMAT_CSV] = write_csv};
    weir_buffer_clear(&output->text);
    if (output->count == 0 && output->format == FORMAT_CSV)
        weir_buffer_append(&output->text, weir_span_of_string(csv_head));
    if (output->count == 0 && output->format == FORMAT_TABLE)
        weir_buffer_printf(&output->text, "%-20s  %-36s  %-20s  %-22s  %8s  %8s  %12s  %s\n", "START", "REQUEST", "KEY",
                           "MODEL", "INPUT", "OUTPUT", "MILLI-CU", "OUTCOME");
    writers[output->format](&output->text, entry);
    output->count++;
    output->last_sequence = entry->sequence;
    struct weir_span text = weir_buffer_span(&output->text);
    return fwrite(text.at, 1, text.length, stdout) == text.length ? WEIR_OK : WEIR_EIO;
}

static bool read_number(const char *text, const char *flag, uint64_t maximum, uint64_t *value) {
    if (text == NULL || (weir_span_to_uint64(weir_span_of_string(text), value) == WEIR_OK && *value <= maximum))
        return true;
    fprintf(stderr, "weir: %s: expected a number up to %llu, got '%s'\n", flag, (unsigned long long)maximum, text);
    return false;
}

static bool read_query(const struct ledger_flags *flags, struct weir_ledger_query *query) {
    uint64_t limit = 0, after = 0;
    if (!main__read_time_flag(flags->from, "--from", &query->from_utc_us) ||
        !main__read_time_flag(flags->until, "--until", &query->until_utc_us) ||
        !read_number(flags->limit, "--limit", 10000, &limit) ||
        !read_number(flags->after, "--after", INT64_MAX, &after))
        return false;
    query->limit = limit;
    query->after_sequence = (int64_t)after;
    query->newest = flags->after == NULL;
    query->key_id = weir_span_of_string(flags->key);
    query->request_id = weir_span_of_string(flags->request);
    return true;
}

/* One page for `list`; page after page for `export`. */
static int run(struct weir_engine *engine, struct weir_ledger_query *query, bool all, enum format format) {
    struct weir_error error = {.text = ""};
    struct output output = {.format = format};
    size_t before;
    enum weir_status status;
    weir_buffer_init(&output.text, WEIR_MIB);
    if (all) {
        query->limit = 1000;
        query->newest = false;
    }
    do {
        before = output.count;
        status = weir_engine_sqlite.ledger_each(engine, query, visit, &output, &error);
        query->after_sequence = output.last_sequence;
    } while (all && status == WEIR_OK && output.count - before == query->limit);
    weir_buffer_release(&output.text);
    if (status != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : "the output could not be written");
        return MAIN_EXIT_FAILED;
    }
    if (output.count == 0 && format == FORMAT_CSV)
        printf("%s", csv_head);
    if (output.count == 0)
        fprintf(stderr, "no entries\n");
    if (!all && !query->newest && output.count > 0 && output.count == (query->limit != 0 ? query->limit : 100))
        fprintf(stderr, "there may be more: --after %lld\n", (long long)output.last_sequence);
    return fflush(stdout) == 0 ? 0 : MAIN_EXIT_FAILED;
}

int main__ledger(int argc, char **argv) {
    struct ledger_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--from", NULL, MAIN_FLAG_TEXT, &flags.from, "TIME",
         "start time from here on: a time, a date, or 24h, 7d ago"},
        {"--until", NULL, MAIN_FLAG_TEXT, &flags.until, "TIME", "start time before this"},
        {"--key", NULL, MAIN_FLAG_TEXT, &flags.key, "ID", "of this key (see: weir key list)"},
        {"--request", NULL, MAIN_FLAG_TEXT, &flags.request, "ID",
         "of this request: X-Request-Id, ours or the client's"},
        {"--limit", NULL, MAIN_FLAG_TEXT, &flags.limit, "N", "list: at most so many (default 100)"},
        {"--after", NULL, MAIN_FLAG_TEXT, &flags.after, "N",
         "list: the page behind this sequence number, from the oldest on"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "list: one JSON object a line"},
        {"--format", NULL, MAIN_FLAG_TEXT, &flags.format, "FORMAT", "export: jsonl (default) or csv"},
    };
    const struct main__command command = {
        "weir ledger list|export [options]",
        "Lists the newest page of what was used and charged, or exports all of it. Works while a server runs;\nan entry appears "
        "within a second after its request has ended. Amounts are milli-CU (1 USD = 1,000,000,000). Behind the\noutcome stand, where there are any, "
        "units other than tokens, tokens of sound and of pictures (in+out), and\nids that the provider has issued.",
        all,
        sizeof all / sizeof *all,
        1,
        1};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct weir_span word = weir_span_of_string(operands[0]),
                     format_name = weir_span_of_string(flags.format != NULL ? flags.format : "jsonl");
    bool export = weir_span_equal(word, WEIR_SPAN("export")), csv = weir_span_equal(format_name, WEIR_SPAN("csv"));
    struct weir_ledger_query query = {.limit = 0};
    if ((!export && !weir_span_equal(word, WEIR_SPAN("list"))) ||
        (!csv && !weir_span_equal(format_name, WEIR_SPAN("jsonl")))) {
        fprintf(stderr, "usage: %s\n--format is jsonl or csv\n", command.usage);
        return MAIN_EXIT_USAGE;
    }
    if (!read_query(&flags, &query))
        return MAIN_EXIT_USAGE;
    enum format format = export ? (csv ? FORMAT_CSV : FORMAT_JSON) : flags.json ? FORMAT_JSON : FORMAT_TABLE;
    struct weir_error error = {.text = ""};
    struct main__settings settings;
    struct weir_engine *engine = NULL;
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    int code = MAIN_EXIT_FAILED;
    if (arena != NULL && main__settings_for_command(arena, flags.config, &settings) == WEIR_OK) {
        if (main__store_open(&settings, false, &engine, &error) == WEIR_OK)
            code = run(engine, &query, export, format);
        else
            fprintf(stderr, "weir: %s\n", error.text);
    }
    weir_store_direct_close(&engine);
    weir_arena_free(&arena);
    return code;
}

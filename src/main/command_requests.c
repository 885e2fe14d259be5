/* weir requests: the records of requests, listed or told, on a connection of its own, also while a server runs. */
#include "base/reasons.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "operator/record_form.h"

struct requests_flags {
    const char *config, *from, *until, *workspace, *key, *model, *provider, *endpoint, *status, *outcome, *reason,
        *limit, *cursor;
    bool errors, json;
};

/* --- list --- */
struct output {
    bool json;
    size_t count;
    struct weir_buffer text;
};

static void write_row(struct weir_buffer *out, const struct weir_ledger_entry *entry) {
    char id[WEIR_UUID_TEXT_SIZE], start[32], endpoint[MAIN_CELL_SIZE], model[MAIN_CELL_SIZE], provider[MAIN_CELL_SIZE];
    bool failed = entry->reason != 0 && entry->reason < WEIR_REASON_COUNT;
    weir_uuid_format(&entry->request_id, id);
    main__format_time(entry->start_utc_us, start);
    main__cell(entry->endpoint.length > 0 ? entry->endpoint : WEIR_SPAN("-"), 18, endpoint);
    main__cell(entry->model, 22, model);
    main__cell(entry->provider, 14, provider);
    weir_buffer_printf(out, "%-20s  %-36s  %s  %s  %s  %6u  %9.1f  %s%s%s\n", start, id, endpoint, model, provider,
                       entry->status, (double)(entry->end_utc_us - entry->start_utc_us) / 1000,
                       weir_outcome_name((enum weir_outcome)entry->outcome), failed ? " " : "",
                       failed ? weir_reason_row((enum weir_reason)entry->reason)->name : "");
}

static enum weir_status visit(void *context, const struct weir_record *record) {
    struct output *output = context;
    struct weir_json_writer writer;
    weir_buffer_clear(&output->text);
    if (output->json) {
        weir_json_writer_init(&writer, &output->text);
        weir_record_write_summary(&writer, record);
        weir_buffer_append_byte(&output->text, '\n');
    } else {
        if (output->count == 0)
            weir_buffer_printf(&output->text, "%-20s  %-36s  %-18s  %-22s  %-14s  %6s  %9s  %s\n", "START", "REQUEST",
                               "ENDPOINT", "MODEL", "PROVIDER", "STATUS", "MS", "OUTCOME");
        write_row(&output->text, &record->entry);
    }
    output->count++;
    struct weir_span text = weir_buffer_span(&output->text);
    return fwrite(text.at, 1, text.length, stdout) == text.length ? WEIR_OK : WEIR_EIO;
}

static int list(struct weir_engine *engine, struct weir_record_query *query, bool json) {
    struct weir_error error = {.text = ""};
    struct weir_record_page page = {.next_number = 0};
    struct output output = {.json = json};
    const size_t wanted = query->limit;
    enum weir_status status;
    weir_buffer_init(&output.text, WEIR_MIB);
    do { /* a page may end early */
        query->limit = wanted - output.count;
        status = weir_engine_sqlite.record_list(engine, query, visit, &output, &page, &error);
        query->before_number = page.next_number;
    } while (status == WEIR_OK && page.next_number != 0 && output.count < wanted);
    weir_buffer_release(&output.text);
    if (status != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : "the output could not be written");
        return MAIN_EXIT_FAILED;
    }
    if (output.count == 0)
        fprintf(stderr, "no requests\n");
    if (page.next_number != 0)
        fprintf(stderr, "there may be more: --cursor %lld\n", (long long)page.next_number);
    return fflush(stdout) == 0 ? 0 : MAIN_EXIT_FAILED;
}

/* --- show --- */
struct shown {
    struct weir_span asked;
    bool json;
    size_t count;
    struct weir_buffer text;
};

static void write_story(struct weir_buffer *out, const struct weir_record *record) {
    const struct weir_ledger_entry *entry = &record->entry;
    struct weir_story_stage stages[WEIR_STORY_STAGES];
    char id[WEIR_UUID_TEXT_SIZE], start[32], words[MAIN_CELL_SIZE];
    size_t count = weir_record_stages(entry, stages);
    weir_uuid_format(&entry->request_id, id);
    main__format_time(entry->start_utc_us, start);
    weir_buffer_printf(out, "%s  %s  %s  status %u\n", id, start, weir_outcome_name((enum weir_outcome)entry->outcome),
                       entry->status);
    const struct {
        const char *name;
        struct weir_span text;
    } facts[] = {{"client's id", entry->client_request_id},
                 {"trace", entry->trace_id},
                 {"session", entry->session_id},
                 {"tags", entry->tags}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (facts[i].text.length > 0) {
            main__cell(facts[i].text, 0, words);
            weir_buffer_printf(out, "  %-12s %s\n", facts[i].name, words);
        }
    for (size_t i = 0; i < count; i++) {
        const struct weir_story_stage *stage = &stages[i];
        if (stage->outcome == WEIR_STAGE_NOT_REACHED)
            continue;
        char name[24], offset[24] = "";
        (void)snprintf(name, sizeof name, stage->attempt > 0 ? "%s %u" : "%s", stage->name, stage->attempt);
        if (stage->offset_us >= 0)
            (void)snprintf(offset, sizeof offset, "%.1f ms", (double)stage->offset_us / 1000);
        weir_buffer_printf(out, "%12s  %-7s %-11s ", offset,
                           stage->outcome == WEIR_STAGE_FAILED    ? "failed"
                           : stage->outcome == WEIR_STAGE_SKIPPED ? "skipped"
                                                                  : "ok",
                           name);
        for (const char *at = stage->words; *at != '\0'; at++) /* no client's word can steer a terminal */
            weir_buffer_append_byte(out, (unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at);
        weir_buffer_append_byte(out, '\n');
        const struct weir_reason_row *row = stage->reason != 0 && stage->reason < WEIR_REASON_COUNT
                                                ? weir_reason_row((enum weir_reason)stage->reason)
                                                : NULL;
        if (row != NULL && row->hint[0] != '\0')
            weir_buffer_printf(out, "%12s  %-7s %-11s %s\n", "", "", "", row->hint);
        if (row != NULL && row->runbook[0] != '\0')
            weir_buffer_printf(out, "%12s  %-7s %-11s see docs/runbooks/%s.md\n", "", "", "", row->runbook);
    }
}

/* The first is told, the others named: newest first. In JSON each is told. */
static enum weir_status show_one(void *context, const struct weir_record *record) {
    struct shown *shown = context;
    struct weir_json_writer writer;
    weir_buffer_clear(&shown->text);
    if (shown->json) {
        weir_json_writer_init(&writer, &shown->text);
        weir_json_write_object(&writer);
        weir_record_write_story(&writer, record, shown->asked);
        weir_json_write_end(&writer);
        weir_buffer_append_byte(&shown->text, '\n');
    } else if (shown->count == 0) {
        write_story(&shown->text, record);
    } else {
        if (shown->count == 1)
            weir_buffer_append(&shown->text, WEIR_SPAN("\nThis id is of others, too:\n"));
        write_row(&shown->text, &record->entry);
    }
    shown->count++;
    struct weir_span text = weir_buffer_span(&shown->text);
    return fwrite(text.at, 1, text.length, stdout) == text.length ? WEIR_OK : WEIR_EIO;
}

static int show(struct weir_engine *engine, const char *id, bool json) {
    struct weir_error error = {.text = ""};
    struct shown shown = {.asked = weir_span_of_string(id), .json = json};
    weir_buffer_init(&shown.text, WEIR_MIB);
    enum weir_status status = weir_engine_sqlite.record_find(engine, shown.asked, WEIR_RECORD_MATCHES, show_one, &shown,
                                                             &error);
    weir_buffer_release(&shown.text);
    if (status != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : "the output could not be written");
        return MAIN_EXIT_FAILED;
    }
    if (shown.count == 0) {
        fprintf(stderr, "weir: no request that is kept has the id %s\n", id);
        return MAIN_EXIT_FAILED;
    }
    return fflush(stdout) == 0 ? 0 : MAIN_EXIT_FAILED;
}

/* --- the command --- */
static bool read_number(const char *text, const char *flag, uint64_t maximum, uint64_t *value) {
    if (text == NULL ||
        (weir_span_to_uint64(weir_span_of_string(text), value) == WEIR_OK && *value > 0 && *value <= maximum))
        return true;
    fprintf(stderr, "weir: %s: expected a number from 1 to %llu, got '%s'\n", flag, (unsigned long long)maximum, text);
    return false;
}

static bool read_query(const struct requests_flags *flags, struct weir_record_query *query) {
    enum { USUAL = 50, MOST = 1000 };
    uint64_t limit = USUAL, cursor = 0;
    const char *field = NULL;
    const struct weir_record_words words = {.status = weir_span_of_string(flags->status),
                                            .outcome = weir_span_of_string(flags->outcome),
                                            .reason = weir_span_of_string(flags->reason)};
    if (!main__read_time_flag(flags->from, "--from", &query->from_utc_us) ||
        !main__read_time_flag(flags->until, "--until", &query->until_utc_us) ||
        !read_number(flags->limit, "--limit", MOST, &limit) ||
        !read_number(flags->cursor, "--cursor", INT64_MAX, &cursor))
        return false;
    if (weir_record_filter(&words, query, &field) != WEIR_OK) {
        fprintf(stderr, "weir: --%s: there is no such value\n", field);
        return false;
    }
    query->limit = limit;
    query->before_number = (int64_t)cursor;
    query->workspace = weir_span_of_string(flags->workspace);
    query->key_id = weir_span_of_string(flags->key);
    query->model = weir_span_of_string(flags->model);
    query->provider = weir_span_of_string(flags->provider);
    query->endpoint = weir_span_of_string(flags->endpoint);
    query->failed = flags->errors;
    return true;
}

int main__requests(int argc, char **argv) {
    struct requests_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--errors", NULL, MAIN_FLAG_SWITCH, &flags.errors, NULL, "list: only what did not end well"},
        {"--status", NULL, MAIN_FLAG_TEXT, &flags.status, "STATUS", "list: answered with this: 429, or 5xx for any"},
        {"--outcome", NULL, MAIN_FLAG_TEXT, &flags.outcome, "WORD", "list: ok, error, aborted or crashed"},
        {"--reason", NULL, MAIN_FLAG_TEXT, &flags.reason, "WORD", "list: failed for it, or an attempt did"},
        {"--workspace", NULL, MAIN_FLAG_TEXT, &flags.workspace, "ID", "list: of this workspace"},
        {"--key", NULL, MAIN_FLAG_TEXT, &flags.key, "ID", "list: with this key (see: weir key list)"},
        {"--model", NULL, MAIN_FLAG_TEXT, &flags.model, "NAME", "list: for this model, as the client named it"},
        {"--provider", NULL, MAIN_FLAG_TEXT, &flags.provider, "NAME", "list: an attempt went to this provider"},
        {"--endpoint", NULL, MAIN_FLAG_TEXT, &flags.endpoint, "NAME", "list: of this endpoint: chat.completions"},
        {"--from", NULL, MAIN_FLAG_TEXT, &flags.from, "TIME",
         "list: start time from here on: a time, a date, or 24h, 7d ago"},
        {"--until", NULL, MAIN_FLAG_TEXT, &flags.until, "TIME", "list: start time before this"},
        {"--limit", NULL, MAIN_FLAG_TEXT, &flags.limit, "N", "list: at most so many (default 50, up to 1000)"},
        {"--cursor", NULL, MAIN_FLAG_TEXT, &flags.cursor, "N", "list: the next page, as the one before named it"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "one JSON object a line"},
    };
    const struct main__command command = {
        "weir requests list [options]\n       weir requests show ID [options]",
        "Lists the records of requests, newest first, or tells one stage by stage, by any id that a client may quote: its "
        "X-Request-Id,\nours or its own, a provider's request id, a trace id, or an id that a provider has given out. "
        "Works while a server runs;\na record appears within a second after its request has ended, and is kept as long as "
        "records.retention says.",
        all,
        sizeof all / sizeof *all,
        1,
        2};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    bool is_list = strcmp(operands[0], "list") == 0 && count == 1,
         is_show = strcmp(operands[0], "show") == 0 && count == 2;
    if (!is_list && !is_show) {
        fprintf(stderr, "usage: %s\n", command.usage);
        return MAIN_EXIT_USAGE;
    }
    struct weir_record_query query = {.limit = 0};
    if (is_list && !read_query(&flags, &query))
        return MAIN_EXIT_USAGE;
    struct weir_error error = {.text = ""};
    struct main__settings settings;
    struct weir_engine *engine = NULL;
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    int code = MAIN_EXIT_FAILED;
    if (arena != NULL && main__settings_for_command(arena, flags.config, &settings) == WEIR_OK) {
        if (main__store_open(&settings, false, &engine, &error) == WEIR_OK)
            code = is_list ? list(engine, &query, flags.json) : show(engine, operands[1], flags.json);
        else
            fprintf(stderr, "weir: %s\n", error.text);
    }
    weir_store_direct_close(&engine);
    weir_arena_free(&arena);
    return code;
}

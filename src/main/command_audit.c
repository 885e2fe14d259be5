/* weir audit: the trail of who changed and read what, verified, listed and exported on a connection of its own, also while a server runs. */
#include "base/clock.h"
#include "json/write.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/local_audit.h"
#include "operator/audit_form.h"

enum { STEP = 1000, USUAL = 50, MOST = 10000 };

struct audit_flags {
    const char *config, *head, *from, *until, *actor, *action, *type, *resource, *workspace, *result, *limit, *format;
    bool json;
};

enum format { FORMAT_TABLE, FORMAT_JSONL, FORMAT_CSV };

struct output {
    enum format format;
    size_t count;
    int64_t last, until; /* sequences: the entry written last, and where an export ends (0: nowhere) */
    struct weir_buffer text;
};

/* --- verify --- */

static int verify(struct weir_engine *engine, const char *head_text) {
    struct weir_audit_head kept, head;
    struct weir_audit_verification found = {.entries = 0};
    struct weir_error error = {.text = ""};
    char shown[WEIR_AUDIT_HEAD_SIZE];
    if (head_text != NULL && weir_audit_head_parse(weir_span_of_string(head_text), &kept) != WEIR_OK) {
        fprintf(stderr, "weir: --head: expected SEQUENCE:HASH as `weir audit verify` prints it, got '%s'\n", head_text);
        return MAIN_EXIT_USAGE;
    }
    if (weir_audit_check(&weir_engine_sqlite, engine, head_text != NULL ? &kept : NULL, &found, &error) != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text);
        return MAIN_EXIT_FAILED;
    }
    if (found.broken_at != 0) {
        printf("broken at entry %lld: %s\n", (long long)found.broken_at, found.problem);
        fprintf(stderr, "%lld entries before it are good\n", (long long)found.entries);
        return MAIN_EXIT_FAILED;
    }
    if (found.last == 0) {
        printf("0 entries, unbroken\n");
        return 0;
    }
    head.sequence = found.last;
    memcpy(head.hash, found.head, sizeof head.hash);
    weir_audit_head_format(&head, shown);
    printf("%lld entries, unbroken, head %s\n", (long long)found.entries, shown);
    return 0;
}

/* --- list and export --- */

static void write_jsonl(struct weir_buffer *out, const struct weir_audit_entry *entry) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_audit_write_json(&writer, entry);
    weir_buffer_append_byte(out, '\n');
}

static void write_row(struct weir_buffer *out, const struct weir_audit_entry *entry) {
    char time[32], actor[MAIN_CELL_SIZE], address[MAIN_CELL_SIZE], action[MAIN_CELL_SIZE], resource[MAIN_CELL_SIZE];
    main__format_time(entry->utc_us, time);
    main__cell(entry->actor_name.length > 0 ? entry->actor_name : entry->actor_kind, 20, actor);
    main__cell(entry->actor_address.length > 0 ? entry->actor_address : WEIR_SPAN("-"), 15, address);
    main__cell(entry->action, 24, action);
    main__cell(entry->resource_id.length > 0 ? entry->resource_id : WEIR_SPAN("-"), 28, resource);
    weir_buffer_printf(out, "%8lld  %-20s  %s  %s  %s  %s  %s%s%.*s\n", (long long)entry->sequence, time, actor,
                       address, action, resource, weir_audit_result_name(entry->result),
                       entry->reason.length > 0 ? " " : "", WEIR_SPAN_PRINT(entry->reason));
}

static void write_head(struct output *output) {
    if (output->format == FORMAT_CSV)
        weir_audit_csv_head(&output->text);
    else if (output->format == FORMAT_TABLE)
        weir_buffer_printf(&output->text, "%8s  %-20s  %-20s  %-15s  %-24s  %-28s  %s\n", "ENTRY", "TIME", "ACTOR",
                           "ADDRESS", "ACTION", "RESOURCE", "RESULT");
}

static enum weir_status put(struct output *output) {
    struct weir_span text = weir_buffer_span(&output->text);
    enum weir_status status = weir_buffer_status(&output->text);
    if (status == WEIR_OK && fwrite(text.at, 1, text.length, stdout) != text.length)
        status = WEIR_EIO;
    weir_buffer_clear(&output->text);
    return status;
}

static enum weir_status visit(void *context, const struct weir_audit_entry *entry) {
    static void (*const writers[])(struct weir_buffer *, const struct weir_audit_entry *) = {
        [FORMAT_TABLE] = write_row, [FORMAT_JSONL] = write_jsonl, [FORMAT_CSV] = weir_audit_write_csv};
    struct output *output = context;
    if (output->until != 0 && entry->sequence > output->until)
        return WEIR_END;
    if (output->count == 0 && output->format == FORMAT_TABLE)
        write_head(output);
    writers[output->format](&output->text, entry);
    output->count++;
    output->last = entry->sequence;
    return put(output);
}

static enum weir_status newest(void *context, const struct weir_audit_entry *entry) {
    *(int64_t *)context = entry->sequence;
    return WEIR_END;
}

/* What takes all of the trail away is in it. The export itself ends before this entry. */
static enum weir_status note_export(struct weir_engine *engine, const struct audit_flags *flags, int64_t until,
                                    struct weir_error *error) {
    const struct {
        const char *name, *value;
    } filters[] = {{"from", flags->from},           {"until", flags->until},  {"actor", flags->actor},
                   {"action", flags->action},       {"type", flags->type},    {"resource", flags->resource},
                   {"workspace", flags->workspace}, {"result", flags->result}};
    struct weir_buffer filter;
    struct weir_json_writer writer;
    weir_buffer_init(&filter, WEIR_MIB);
    weir_json_writer_init(&writer, &filter);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "format", flags->format != NULL ? flags->format : "jsonl");
    weir_json_member_int64(&writer, "until_sequence", until);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (filters[i].value != NULL)
            weir_json_member_text(&writer, filters[i].name, filters[i].value);
    weir_json_write_end(&writer);
    const struct main__local_note note = {.action = "audit.export",
                                          .resource_type = "audit",
                                          .after = weir_buffer_span(&filter)};
    enum weir_status status = weir_buffer_status(&filter) == WEIR_OK
                                  ? main__audit_local(engine, &note, weir_clock_utc_us(), error)
                                  : weir_fail(error, WEIR_ENOMEM, "no memory for the audit trail");
    weir_buffer_release(&filter);
    return status;
}

static enum weir_status export(struct weir_engine *engine, const struct audit_flags *flags,
                               struct weir_audit_query *query, struct output *output, struct weir_error *error) {
    const struct weir_audit_query last = {.limit = 1};
    enum weir_status status = weir_engine_sqlite.audit_each(engine, &last, newest, &output->until, error);
    if (status == WEIR_OK) status = note_export(engine, flags, output->until, error);
    if (status == WEIR_OK){write_head(output); status = put(output);}
query->oldest_first = true;
query->limit = STEP;
size_t before = 0;
do {
    before = output->count;
    if (status == WEIR_OK && output->until > 0)
        status = weir_engine_sqlite.audit_each(engine, query, visit, output, error);
    query->after_sequence = output->last;
} while (status == WEIR_OK && output->count - before == STEP);
return status;
}

static int show(struct weir_engine *engine, const struct audit_flags *flags, struct weir_audit_query *query, bool all,
                enum format format) {
    struct weir_error error = {.text = ""};
    struct output output = {.format = format};
    weir_buffer_init(&output.text, 16 * WEIR_MIB);
    enum weir_status status = all ? export(engine, flags, query, &output, &error)
                                  : weir_engine_sqlite.audit_each(engine, query, visit, &output, &error);
    weir_buffer_release(&output.text);
    if (status != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : "the output could not be written");
        return MAIN_EXIT_FAILED;
    }
    if (output.count == 0)
        fprintf(stderr, "no entries\n");
    return fflush(stdout) == 0 ? 0 : MAIN_EXIT_FAILED;
}

/* --- flags --- */

static bool read_result(const char *text, struct weir_audit_query *query) {
    static const enum weir_audit_result all[] = {WEIR_AUDIT_SUCCESS, WEIR_AUDIT_FAILURE, WEIR_AUDIT_PARTIAL};
    for (size_t i = 0; text != NULL && i < sizeof all / sizeof *all; i++)
        if (strcmp(text, weir_audit_result_name(all[i])) == 0) {
            query->has_result = true;
            query->result = all[i];
            return true;
        }
    if (text != NULL)
        fprintf(stderr, "weir: --result: expected success, failure or partial, got '%s'\n", text);
    return text == NULL;
}

static bool read_query(const struct audit_flags *flags, struct weir_audit_query *query) {
    uint64_t limit = USUAL;
    if (!main__read_time_flag(flags->from, "--from", &query->from_utc_us) ||
        !main__read_time_flag(flags->until, "--until", &query->until_utc_us) || !read_result(flags->result, query))
        return false;
    if (flags->limit != NULL &&
        (weir_span_to_uint64(weir_span_of_string(flags->limit), &limit) != WEIR_OK || limit < 1 || limit > MOST)) {
        fprintf(stderr, "weir: --limit: expected a number from 1 to %d, got '%s'\n", MOST, flags->limit);
        return false;
    }
    query->limit = limit;
    query->actor_name = weir_span_of_string(flags->actor);
    query->action = weir_span_of_string(flags->action);
    query->resource_type = weir_span_of_string(flags->type);
    query->resource_id = weir_span_of_string(flags->resource);
    query->workspace = weir_span_of_string(flags->workspace);
    return true;
}

static int run(const struct audit_flags *flags, struct weir_span word, struct weir_audit_query *query,
               enum format format) {
    struct weir_error error = {.text = ""};
    struct main__settings settings;
    struct weir_engine *engine = NULL;
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    int code = MAIN_EXIT_FAILED;
    if (arena != NULL && main__settings_for_command(arena, flags->config, &settings) == WEIR_OK) {
        if (main__store_open(&settings, false, &engine, &error) != WEIR_OK)
            fprintf(stderr, "weir: %s\n", error.text);
        else if (weir_span_equal(word, WEIR_SPAN("verify")))
            code = verify(engine, flags->head);
        else
            code = show(engine, flags, query, weir_span_equal(word, WEIR_SPAN("export")), format);
    }
    weir_store_direct_close(&engine);
    weir_arena_free(&arena);
    return code;
}

int main__audit(int argc, char **argv) {
    struct audit_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--head", NULL, MAIN_FLAG_TEXT, &flags.head, "SEQ:HASH",
         "verify: a head that was printed earlier and kept elsewhere; it must be in the trail"},
        {"--from", NULL, MAIN_FLAG_TEXT, &flags.from, "TIME", "from here on: a time, a date, or 24h, 7d ago"},
        {"--until", NULL, MAIN_FLAG_TEXT, &flags.until, "TIME", "before this"},
        {"--actor", NULL, MAIN_FLAG_TEXT, &flags.actor, "NAME", "what this operator did, by login name"},
        {"--action", NULL, MAIN_FLAG_TEXT, &flags.action, "NAME", "this action, such as keys.create"},
        {"--type", NULL, MAIN_FLAG_TEXT, &flags.type, "TYPE", "what was done to things of this type, such as key"},
        {"--resource", NULL, MAIN_FLAG_TEXT, &flags.resource, "ID", "what was done to this one"},
        {"--workspace", NULL, MAIN_FLAG_TEXT, &flags.workspace, "ID", "what concerns this workspace"},
        {"--result", NULL, MAIN_FLAG_TEXT, &flags.result, "RESULT", "success, failure or partial"},
        {"--limit", NULL, MAIN_FLAG_TEXT, &flags.limit, "N", "list: at most so many (default 50)"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "list: one JSON object a line"},
        {"--format", NULL, MAIN_FLAG_TEXT, &flags.format, "FORMAT", "export: jsonl (default) or csv"},
    };
    const struct main__command command = {
        "weir audit verify|list|export [options]",
        "verify follows the trail's chain of hashes and says where it is broken (exit code 1), else where it ends:\nkeep that head elsewhere, for with it "
        "also a trail that was cut or written anew is found. list shows the newest\nentries, export writes all of them, oldest first, and leaves an entry itself. "
        "All work while a server runs.",
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
                     format = weir_span_of_string(flags.format != NULL ? flags.format : "jsonl");
    bool csv = weir_span_equal(format, WEIR_SPAN("csv"));
    struct weir_audit_query query = {.limit = 0};
    if ((!weir_span_equal(word, WEIR_SPAN("verify")) && !weir_span_equal(word, WEIR_SPAN("list")) &&
         !weir_span_equal(word, WEIR_SPAN("export"))) ||
        (!csv && !weir_span_equal(format, WEIR_SPAN("jsonl")))) {
        fprintf(stderr, "usage: %s\n--format is jsonl or csv\n", command.usage);
        return MAIN_EXIT_USAGE;
    }
    if (!read_query(&flags, &query))
        return MAIN_EXIT_USAGE;
    enum format shape = FORMAT_TABLE;
    if (weir_span_equal(word, WEIR_SPAN("export")))
        shape = csv ? FORMAT_CSV : FORMAT_JSONL;
    else if (flags.json)
        shape = FORMAT_JSONL;
    return run(&flags, word, &query, shape);
}

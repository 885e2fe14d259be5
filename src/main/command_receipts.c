/* weir receipts: exported, shown and verified. What is verified needs no settings and no store: the file is all. */
#include "base/clock.h"
#include "base/memory.h"
#include "json/write.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/local_audit.h"
#include "main/sealing.h"
#include "meter/receipts_export.h"

#include <errno.h>
#include <unistd.h>

enum { KEY_FILE_BYTES = 256 * 1024, PIECE_BYTES = 256 * 1024, SHOWN_PROBLEMS = 1000, MATCHES = 1000, NAP_US = 20000 };

struct receipts_flags {
    const char *config, *from, *until, *key, *workspace;
    bool store;
};

/* What commands on the store work with. */
struct session {
    struct weir_arena *arena;
    struct main__settings settings;
    struct weir_sealing *sealing;
    struct weir_engine *engine;
    struct weir_receipt_signer *signer;
};

static int tell(const struct weir_error *error) {
    fprintf(stderr, "weir: %s\n", error->text[0] != '\0' ? error->text : "the output could not be written");
    return MAIN_EXIT_FAILED;
}

static void close_session(struct session *session) {
    weir_store_direct_close(&session->engine);
    weir_receipt_signer_free(&session->signer);
    weir_sealing_free(&session->sealing);
    weir_arena_free(&session->arena);
}

/* False: told. */
static bool open_session(const char *config, struct session *session) {
    struct weir_error error = {.text = ""}, unused = {.text = ""};
    *session = (struct session){.arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES)};
    if (session->arena == NULL || main__settings_for_command(session->arena, config, &session->settings) != WEIR_OK)
        return false; /* told */
    enum weir_status status = main__sealing_new(&session->settings, &session->sealing, &unused);
    if (status != WEIR_OK)
        error = unused;
    if (status == WEIR_OK)
        status = main__store_open(&session->settings, false, &session->engine, &error);
    const struct weir_receipt_signer_settings settings = {.store = &weir_engine_sqlite,
                                                          .directory = session->settings.data_dir,
                                                          .environment = session->settings.environment,
                                                          .sealing = session->sealing};
    if (status == WEIR_OK)
        status = weir_receipt_signer_new(&settings, &session->signer, &error);
    if (status != WEIR_OK)
        (void)tell(&error);
    return status == WEIR_OK;
}

/* The whole chain: what follows sees every entry that there was. */
static enum weir_status advance_all(struct session *session, struct weir_error *error) {
    bool behind = true;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && behind) {
        status = weir_receipt_prepare(&weir_engine_sqlite, session->engine, session->signer, &behind, error);
        if (status == WEIR_OK && behind)
            (void)usleep(NAP_US); /* a server may want to write */
    }
    return status;
}

static bool put(struct weir_buffer *text) {
    struct weir_span span = weir_buffer_span(text);
    bool good = weir_buffer_status(text) == WEIR_OK && fwrite(span.at, 1, span.length, stdout) == span.length;
    weir_buffer_clear(text);
    return good;
}

/* --- export --- */
static enum weir_status note_export(struct weir_engine *engine, const struct receipts_flags *flags,
                                    struct weir_error *error) {
    const struct {
        const char *name, *value;
    } filters[] = {{"from", flags->from},
                   {"until", flags->until},
                   {"key", flags->key},
                   {"workspace", flags->workspace}};
    struct weir_buffer filter;
    struct weir_json_writer writer;
    weir_buffer_init(&filter, WEIR_MIB);
    weir_json_writer_init(&writer, &filter);
    weir_json_write_object(&writer);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (filters[i].value != NULL)
            weir_json_member_text(&writer, filters[i].name, filters[i].value);
    weir_json_write_end(&writer);
    const struct main__local_note note = {.action = "receipts.export",
                                          .resource_type = "receipt",
                                          .after = weir_buffer_span(&filter)};
    enum weir_status status = weir_buffer_status(&filter) == WEIR_OK
                                  ? main__audit_local(engine, &note, weir_clock_utc_us(), error)
                                  : weir_fail(error, WEIR_ENOMEM, "no memory for the audit trail");
    weir_buffer_release(&filter);
    return status;
}

static int export(struct session *session, const struct receipts_flags *flags) {
    struct weir_receipt_export export = {.until = 0};
    struct weir_error error = {.text = ""};
    struct weir_buffer out;
    bool done = false;
    if (!main__read_time_flag(flags->from, "--from", &export.query.from_utc_us) ||
        !main__read_time_flag(flags->until, "--until", &export.query.until_utc_us))
        return MAIN_EXIT_USAGE;
    export.query.key_id = weir_span_of_string(flags->key);
    export.query.workspace = weir_span_of_string(flags->workspace);
    enum weir_status status = advance_all(session, &error);
    if (status == WEIR_OK)
        status = note_export(session->engine, flags, &error);
    if (status == WEIR_OK)
        status = weir_receipt_export_begin(&weir_engine_sqlite, session->engine, &export, &error);
    weir_buffer_init(&out, 4 * WEIR_MIB);
    while (status == WEIR_OK && !done) {
        status = weir_receipt_export_step(&weir_engine_sqlite, session->engine, session->signer, &export, PIECE_BYTES,
                                          &out, &done, &error);
        if (status == WEIR_OK && !put(&out))
            status = WEIR_EIO;
    }
    weir_buffer_release(&out);
    if (status != WEIR_OK || fflush(stdout) != 0)
        return tell(&error);
    fprintf(stderr, "%lld receipts\n", (long long)export.end.receipts);
    return 0;
}

/* --- show --- */
struct showing {
    struct session *session;
    struct weir_buffer text;
    size_t count;
};

static enum weir_status show_receipt(void *context, const struct weir_ledger_entry *entry, struct weir_span text,
                                     const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]) {
    struct showing *showing = context;
    struct weir_json_writer writer;
    (void)entry;
    showing->count++;
    weir_json_writer_init(&writer, &showing->text);
    enum weir_status status = weir_receipt_signer_write(showing->session->signer, text, hash, &writer);
    weir_buffer_append_byte(&showing->text, '\n');
    return status == WEIR_OK && !put(&showing->text) ? WEIR_EIO : status;
}

/* A client's id may be of several requests: a line each. */
static int show(struct session *session, const char *id) {
    struct showing showing = {.session = session};
    struct weir_error error = {.text = ""};
    const struct weir_ledger_query query = {.request_id = weir_span_of_string(id), .limit = MATCHES};
    weir_buffer_init(&showing.text, WEIR_MIB);
    enum weir_status status = advance_all(session, &error);
    if (status == WEIR_OK)
        status = weir_engine_sqlite.receipt_each(session->engine, &query, show_receipt, &showing, &error);
    weir_buffer_release(&showing.text);
    if (status != WEIR_OK || fflush(stdout) != 0)
        return tell(&error);
    if (showing.count == 0)
        fprintf(stderr, "weir: the ledger has no entry with this request id\n");
    return showing.count > 0 ? 0 : MAIN_EXIT_FAILED;
}

/* --- keys --- */
static int keys(struct session *session) {
    struct weir_error error = {.text = ""};
    struct weir_buffer text;
    struct weir_json_writer writer;
    weir_buffer_init(&text, WEIR_MIB);
    weir_json_writer_init(&writer, &text);
    enum weir_status status = weir_receipt_signer_ready(session->signer, session->engine, &error);
    if (status == WEIR_OK)
        status = weir_receipt_keys_write(&weir_engine_sqlite, session->engine, &writer, &error);
    weir_buffer_append_byte(&text, '\n');
    bool good = status == WEIR_OK && put(&text) && fflush(stdout) == 0;
    weir_buffer_release(&text);
    return good ? 0 : tell(&error);
}

/* --- verify: the ledger against its chain --- */
static int verify_store(struct session *session) {
    struct weir_receipt_check check = {.entries = 0};
    struct weir_error error = {.text = ""};
    char hash[2 * WEIR_RECEIPT_HASH_SIZE + 1];
    bool more = true;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && more) {
        status = weir_engine_sqlite.receipt_verify(session->engine, &check, 0, &more, &error);
        for (size_t i = 0; status == WEIR_OK && i < check.found_count; i++)
            printf("%s\n", check.found[i].words);
    }
    if (status != WEIR_OK)
        return tell(&error);
    weir_hex_format(check.head.hash, sizeof check.head.hash, hash);
    if (check.problems > 0) {
        fprintf(stderr, "%llu problems in %llu entries\n", (unsigned long long)check.problems,
                (unsigned long long)check.entries);
        return MAIN_EXIT_FAILED;
    }
    printf("%llu entries, from %lld to %lld, as they were when they were chained, hash %s\n",
           (unsigned long long)check.entries, (long long)check.first, (long long)check.head.sequence, hash);
    return 0;
}

/* --- verify: a file --- */
struct problems {
    uint64_t shown;
};

static void show_problem(void *context, uint64_t line, const char *words) {
    struct problems *problems = context;
    char cell[MAIN_CELL_SIZE * 4];
    size_t i = 0;
    if (problems->shown++ >= SHOWN_PROBLEMS)
        return;
    /* What stands in the file steers no terminal. */
    for (; words[i] != '\0' && i + 1 < sizeof cell; i++)
        cell[i] = (char)((unsigned char)words[i] < 0x20 || words[i] == 0x7f ? '?' : words[i]);
    cell[i] = '\0';
    printf("line %llu: %s\n", (unsigned long long)line, cell);
}

/* A key in words, or the file that has it. */
static bool take_key(struct weir_receipt_verifier *verifier, const char *key) {
    enum weir_status status = WEIR_EINVAL;
    if (key[0] == '{') {
        status = weir_receipt_verifier_key(verifier, weir_span_of_string(key));
    } else {
        FILE *file = fopen(key, "re");
        char *text = file != NULL ? weir_memory_new(1, KEY_FILE_BYTES) : NULL;
        if (file == NULL)
            fprintf(stderr, "weir: --key: cannot read %s: %s\n", key, strerror(errno));
        if (text != NULL)
            status = weir_receipt_verifier_key(verifier, weir_span_of(text, fread(text, 1, KEY_FILE_BYTES, file)));
        weir_memory_free(text);
        if (file == NULL)
            return false;
        (void)fclose(file);
    }
    if (status != WEIR_OK)
        fprintf(stderr,
                "weir: --key: expected an Ed25519 public key: a JWK, a JWK set (`weir receipts keys`), or PEM\n");
    return status == WEIR_OK;
}

/* Line by line; of one that is too long only that is told. */
static bool read_lines(struct weir_receipt_verifier *verifier, FILE *file, char *line) {
    size_t length = 0;
    bool is_long = false;
    int byte;
    while ((byte = getc(file)) != EOF) {
        if (byte == '\n' && is_long)
            weir_receipt_verifier_long_line(verifier);
        else if (byte == '\n')
            weir_receipt_verifier_line(verifier, weir_span_of(line, length));
        else if (length < WEIR_RECEIPT_LINE_BYTES)
            line[length++] = (char)byte;
        else
            is_long = true;
        if (byte == '\n') {
            length = 0;
            is_long = false;
        }
    }
    if (is_long)
        weir_receipt_verifier_long_line(verifier);
    else if (length > 0)
        weir_receipt_verifier_line(verifier, weir_span_of(line, length));
    return ferror(file) == 0;
}

static int report(const struct weir_receipt_verified *verified, const struct problems *problems) {
    if (problems->shown > SHOWN_PROBLEMS)
        printf("and %llu problems more\n", (unsigned long long)(problems->shown - SHOWN_PROBLEMS));
    if (verified->problems > 0) {
        fprintf(stderr, "%llu problems in %llu lines\n", (unsigned long long)verified->problems,
                (unsigned long long)verified->lines);
        return MAIN_EXIT_FAILED;
    }
    if (verified->receipts > 0)
        printf("%llu receipts, entries %lld to %lld, %s, all good, hash %s\n", (unsigned long long)verified->receipts,
               (long long)verified->first, (long long)verified->last,
               !verified->is_export ? "no export"
               : verified->complete ? "complete"
                                    : "filtered",
               verified->hash);
    else
        printf("0 receipts, all good\n");
    if (!verified->signer_given)
        fprintf(stderr,
                "the signer is unproven: the keys are those that the file brings itself; name one that you have from "
                "elsewhere with --key\n");
    return 0;
}

static int verify_file(const char *path, const char *key) {
    struct problems problems = {.shown = 0};
    struct weir_receipt_verified verified;
    struct weir_receipt_verifier *verifier = weir_receipt_verifier_new(show_problem, &problems);
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "re");
    char *line = weir_memory_new(1, WEIR_RECEIPT_LINE_BYTES);
    int code = MAIN_EXIT_FAILED;
    if (file == NULL)
        fprintf(stderr, "weir: cannot read %s: %s\n", path, strerror(errno));
    else if (verifier == NULL || line == NULL)
        fprintf(stderr, "weir: no memory\n");
    else if (key != NULL && !take_key(verifier, key))
        code = MAIN_EXIT_USAGE;
    else if (!read_lines(verifier, file, line))
        fprintf(stderr, "weir: cannot read %s to its end: %s\n", path, strerror(errno));
    else {
        weir_receipt_verifier_end(verifier, &verified);
        code = report(&verified, &problems);
    }
    if (file != NULL && !is_input)
        (void)fclose(file);
    weir_memory_free(line);
    weir_receipt_verifier_free(&verifier);
    return code;
}

/* --- the command --- */
enum word { WORD_EXPORT, WORD_SHOW, WORD_VERIFY, WORD_KEYS, WORD_NONE };

static int wrong_usage(const char *usage) {
    fprintf(stderr, "usage: %s\n", usage);
    return MAIN_EXIT_USAGE;
}

static int run(enum word word, const struct receipts_flags *flags, const char *operand) {
    struct session session;
    int code = MAIN_EXIT_FAILED;
    if (word == WORD_VERIFY && !flags->store)
        return verify_file(operand, flags->key);
    if (open_session(flags->config, &session)) {
        code = word == WORD_EXPORT ? export(&session, flags)
               : word == WORD_SHOW ? show(&session, operand)
               : word == WORD_KEYS ? keys(&session)
                                   : verify_store(&session);
    }
    close_session(&session);
    return code;
}

int main__receipts(int argc, char **argv) {
    static const char *const words[] = {"export", "show", "verify", "keys"};
    struct receipts_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one); verify FILE needs none"},
        {"--from", NULL, MAIN_FLAG_TEXT, &flags.from, "TIME",
         "export: start time from here on: a time, a date, or 24h, 7d ago"},
        {"--until", NULL, MAIN_FLAG_TEXT, &flags.until, "TIME", "export: start time before this"},
        {"--workspace", NULL, MAIN_FLAG_TEXT, &flags.workspace, "ID", "export: of this workspace"},
        {"--key", NULL, MAIN_FLAG_TEXT, &flags.key, "KEY",
         "export: of this API key, by its id. verify: the public key that must have signed: a file with a JWK, a JWK set or "
         "PEM, or the JWK itself"},
        {"--store", NULL, MAIN_FLAG_SWITCH, &flags.store, NULL,
         "verify: no file but the ledger itself, against the chain of its receipts"},
    };
    const struct main__command command = {
        "weir receipts export [options]\n       weir receipts show REQUEST_ID [options]\n       weir receipts verify FILE|--store [options]\n       weir receipts keys [options]",
        "Receipts of what was charged: signed, each following from the one before. Exports them, shows those of a request, verifies a\n"
        "file of them (- is standard input) without any settings or store, and lists the public keys. Works while a server runs.",
        all,
        sizeof all / sizeof *all,
        1,
        2};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    size_t word = WORD_EXPORT;
    while (word < WORD_NONE && strcmp(operands[0], words[word]) != 0)
        word++;
    bool takes_operand = word == WORD_SHOW || (word == WORD_VERIFY && !flags.store);
    bool filters = flags.from != NULL || flags.until != NULL || flags.workspace != NULL;
    if (word == WORD_NONE || count != (takes_operand ? 2U : 1U) || (filters && word != WORD_EXPORT) ||
        (flags.key != NULL && word != WORD_EXPORT && word != WORD_VERIFY) || (flags.store && word != WORD_VERIFY))
        return wrong_usage(command.usage);
    return run((enum word)word, &flags, operands[1]);
}

/* weir secrets: sealing keys, and what is sealed with them, straight to the store; a running server sees each change within a second.
 *
 * A value comes in over standard input alone, never as an argument, which other users of the machine could see, and never goes out again. Every
 * change leaves its entry in the audit trail, in its own transaction.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "json/write.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/local_audit.h"
#include "main/sealing.h"
#include "operator/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { BATCH = 50, ARENA_BYTES = 64 * 1024 * 1024 };

struct secrets_flags {
    const char *config, *description, *confirm;
    bool json;
};

/* Settings, the store and the keys, for one command. */
struct session {
    const struct secrets_flags *flags;
    struct weir_arena *arena, *scratch;
    struct main__settings settings;
    struct weir_engine *engine;
    struct weir_sealing *sealing;
    struct weir_sealed_work work;
};

static int tell(enum weir_status status, const struct weir_error *error) {
    fprintf(stderr, "weir: %s\n", error->text[0] != '\0' ? error->text : weir_status_name(status));
    return MAIN_EXIT_FAILED;
}

static void session_close(struct session *session) {
    weir_store_direct_close(&session->engine);
    weir_sealing_free(&session->sealing);
    weir_arena_free(&session->scratch);
    weir_arena_free(&session->arena);
}

static bool session_open(struct session *session, bool needs_key) {
    struct weir_error error = {.text = ""};
    session->arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    session->scratch = weir_arena_new(0, ARENA_BYTES);
    if (session->arena == NULL || session->scratch == NULL ||
        main__settings_for_command(session->arena, session->flags->config, &session->settings) != WEIR_OK)
        return false;
    enum weir_status status = main__sealing_new(&session->settings, &session->sealing, &error);
    if (status == WEIR_OK && needs_key && !weir_sealing_can_seal(session->sealing))
        status = weir_fail(&error, WEIR_EDENIED, "there is no sealing key: %.300s",
                           error.text[0] != '\0' ? error.text
                                                 : "name one with secrets.sealing_key, or WEIR_SEALING_KEY");
    if (status == WEIR_OK)
        status = main__store_open(&session->settings, needs_key, &session->engine, &error);
    if (status != WEIR_OK) {
        (void)tell(status, &error);
        return false;
    }
    session->work = (struct weir_sealed_work){.store = &weir_engine_sqlite,
                                              .engine = session->engine,
                                              .arena = session->scratch,
                                              .sealing = session->sealing,
                                              .environment = session->settings.environment,
                                              .now_utc_us = weir_clock_utc_us()};
    return true;
}

static enum weir_status audit(struct session *session, const char *action, struct weir_span name,
                              const struct weir_named_secret *before, const struct weir_named_secret *after,
                              struct weir_error *error) {
    const struct main__local_note note = {.action = action,
                                          .resource_type = "secret",
                                          .resource_id = name,
                                          .resource_name = name,
                                          .workspace = WEIR_SPAN(""),
                                          .before = before != NULL ? weir_named_secret_text(&session->work, before)
                                                                   : WEIR_SPAN(""),
                                          .after = after != NULL ? weir_named_secret_text(&session->work, after)
                                                                 : WEIR_SPAN("")};
    return main__audit_local(session->engine, &note, session->work.now_utc_us, error);
}

/* --- generate --- */

static int generate(const char *path) {
    struct weir_secret *key = NULL;
    if (weir_sealing_key_make(&key) != WEIR_OK)
        return MAIN_EXIT_FAILED;
    struct weir_span text = weir_secret_reveal(key);
    bool good = true;
    if (path == NULL) {
        printf("%.*s\n", WEIR_SPAN_PRINT(text));
        fprintf(
            stderr,
            "keep it where weir's user alone can read it, and keep a copy elsewhere: without it nothing that is sealed opens again\n");
    } else {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        good = fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, text.at, text.length) == (ssize_t)text.length &&
               write(fd, "\n", 1) == 1 && fsync(fd) == 0;
        if (!good)
            fprintf(stderr, "weir: cannot write %s: %s\n", path, strerror(errno));
        else
            fprintf(stderr,
                    "wrote a new sealing key to %s; name it with secrets.sealing_key: file:%s\nkeep a copy elsewhere: "
                    "without it nothing that is sealed opens again, and no backup has it\n",
                    path, path);
        if (fd >= 0)
            (void)close(fd);
    }
    weir_secret_free(&key);
    return good ? 0 : MAIN_EXIT_FAILED;
}

/* --- list --- */

struct listing {
    struct session *session;
    size_t count, page;
    int64_t last;
    enum weir_status status;
    struct weir_error error;
};

static void show(struct listing *listing, const struct weir_named_secret *secret) {
    if (listing->session->flags->json) {
        struct weir_span text = weir_named_secret_text(&listing->session->work, secret);
        printf("%.*s\n", WEIR_SPAN_PRINT(text));
        return;
    }
    char set[32], name[MAIN_CELL_SIZE], hint[MAIN_CELL_SIZE], description[MAIN_CELL_SIZE];
    if (listing->count == 1)
        printf("%-30s  %-9s  %-16s  %-7s  %-20s  %s\n", "NAME", "HINT", "SEALED WITH", "VERSION", "VALUE SET",
               "DESCRIPTION");
    main__format_time(secret->value_utc_us, set);
    main__cell(secret->name, 30, name);
    main__cell(secret->hint, 9, hint);
    main__cell(secret->description, 40, description);
    printf("%s  %s  %-16.*s  %-7llu  %-20s  %s\n", name, hint, WEIR_SPAN_PRINT(secret->sealed_with),
           (unsigned long long)secret->value_version, set, description);
}

static enum weir_status list_one(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_named_secret secret;
    weir_arena_reset(listing->session->scratch);
    listing->last = object->number;
    listing->page++;
    enum weir_status status = weir_named_secret_read(&listing->session->work, object, &secret, &listing->error);
    if (status != WEIR_OK) {
        listing->status = status;
        fprintf(stderr, "weir: %s\n", listing->error.text);
        return WEIR_OK;
    }
    listing->count++;
    show(listing, &secret);
    return WEIR_OK;
}

static int list(struct session *session) {
    enum { PAGE = 1000 };
    struct listing listing = {.session = session};
    enum weir_status status;
    do {
        const struct weir_object_query query = {.kind = WEIR_OBJECT_SECRET,
                                                .after_number = listing.last,
                                                .limit = PAGE};
        listing.page = 0;
        status = session->work.store->object_list(session->engine, &query, list_one, &listing, &listing.error);
        if (status != WEIR_OK)
            return tell(status, &listing.error);
    } while (listing.page == PAGE);
    if (listing.count == 0 && listing.status == WEIR_OK)
        fprintf(stderr, "no secrets yet; keep one with: weir secrets put NAME\n");
    return listing.status == WEIR_OK ? 0 : MAIN_EXIT_FAILED;
}

/* --- put and delete --- */

/* From standard input to its end, without the line break that `echo` adds; a person's typing is not shown. */
static struct weir_secret *read_value(void) {
    struct termios shown;
    bool is_person = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &shown) == 0;
    if (is_person) {
        struct termios hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "value (one line, not shown): ");
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    char *bytes = weir_memory_new(WEIR_MAX_SECRET_BYTES + 1, 1);
    struct weir_secret *value = NULL;
    size_t length = 0;
    ssize_t got = bytes != NULL ? 1 : -1;
    while (got > 0 && length <= WEIR_MAX_SECRET_BYTES && !(is_person && length > 0 && bytes[length - 1] == '\n')) {
        got = read(STDIN_FILENO, bytes + length, WEIR_MAX_SECRET_BYTES + 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    if (is_person) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fprintf(stderr, "\n");
    }
    if (length > 0 && bytes[length - 1] == '\n')
        length--;
    if (length > 0 && bytes[length - 1] == '\r')
        length--;
    if (got < 0)
        fprintf(stderr, "weir: the value cannot be read from standard input: %s\n", strerror(errno));
    else if (length == 0 || length > WEIR_MAX_SECRET_BYTES)
        fprintf(stderr, "weir: standard input holds %s\n", length == 0 ? "no value" : "more than 64 KiB");
    else
        value = weir_secret_new(weir_span_of(bytes, length));
    if (bytes != NULL)
        weir_memory_wipe(bytes, WEIR_MAX_SECRET_BYTES + 1);
    weir_memory_free(bytes);
    return value;
}

static int put(struct session *session, struct weir_span name) {
    struct weir_error error = {.text = ""};
    struct weir_named_secret before, after;
    struct weir_span description = weir_span_of_string(session->flags->description);
    if (!weir_secret_name_is_good(name)) {
        fprintf(stderr,
                "weir: a secret's name is a letter or digit, then letters, digits, '.', '_' and '-', 100 at most\n");
        return MAIN_EXIT_USAGE;
    }
    struct weir_secret *value = read_value();
    if (value == NULL)
        return MAIN_EXIT_FAILED;
    session->work.now_utc_us = weir_clock_utc_us();
    enum weir_status status = session->work.store->work_begin(session->engine, &error);
    if (status == WEIR_OK) {
        status = weir_named_secret_put(&session->work, name, weir_secret_reveal(value),
                                       session->flags->description != NULL ? &description : NULL, 0, &before, &after,
                                       &error);
        if (status == WEIR_OK)
            status = audit(session, "secrets.put", name, before.name.length > 0 ? &before : NULL, &after, &error);
        status = session->work.store->work_end(session->engine, status, &error);
    }
    weir_secret_free(&value);
    if (status != WEIR_OK)
        return tell(status, &error);
    fprintf(stderr, "%s %.*s, value %llu; settings name it as secret:%.*s; a running server takes it within a second\n",
            before.name.length > 0 ? "replaced" : "created", WEIR_SPAN_PRINT(name),
            (unsigned long long)after.value_version, WEIR_SPAN_PRINT(name));
    return 0;
}

static enum weir_status remove_one(struct session *session, struct weir_span name, struct weir_error *error) {
    struct weir_object object;
    struct weir_named_secret before;
    bool used = false;
    enum weir_status status = session->work.store->object_get(session->engine, WEIR_OBJECT_SECRET, WEIR_SPAN(""), name,
                                                              session->scratch, &object, error);
    if (status == WEIR_ENOTFOUND)
        return weir_fail(error, status, "there is no secret %.*s; see: weir secrets list", WEIR_SPAN_PRINT(name));
    if (status == WEIR_OK)
        status = weir_named_secret_is_used(&session->work, 0, name, &used, error);
    if (status == WEIR_OK && used)
        return weir_fail(error, WEIR_EBUSY,
                         "%.*s is a credential of the newest revision: change the settings and publish them first",
                         WEIR_SPAN_PRINT(name));
    if (status == WEIR_OK)
        status = session->work.store->object_remove(session->engine, WEIR_OBJECT_SECRET, WEIR_SPAN(""), name,
                                                    object.version, session->work.now_utc_us, error);
    if (status != WEIR_OK)
        return status;
    bool readable = weir_named_secret_read(&session->work, &object, &before, NULL) == WEIR_OK;
    return audit(session, "secrets.delete", name, readable ? &before : NULL, NULL, error);
}

static int delete_one(struct session *session, struct weir_span name) {
    struct weir_error error = {.text = ""};
    if (!weir_span_equal(weir_span_of_string(session->flags->confirm), name)) {
        fprintf(stderr, "weir: this cannot be undone: say it with --confirm %.*s\n", WEIR_SPAN_PRINT(name));
        return MAIN_EXIT_USAGE;
    }
    enum weir_status status = session->work.store->work_begin(session->engine, &error);
    if (status == WEIR_OK)
        status = session->work.store->work_end(session->engine, remove_one(session, name, &error), &error);
    if (status != WEIR_OK)
        return tell(status, &error);
    fprintf(stderr, "deleted %.*s\n", WEIR_SPAN_PRINT(name));
    return 0;
}

/* --- rotate and status --- */

static enum weir_status note_rotation(void *context, const struct weir_sealed_work *work, const char *key_id,
                                      const char *place, struct weir_span what, struct weir_error *error) {
    (void)context;
    const struct main__local_note note = {.action = "secrets.rotate",
                                          .resource_type = "sealing_key",
                                          .resource_id = weir_span_of_string(key_id),
                                          .resource_name = weir_span_of_string(place),
                                          .workspace = WEIR_SPAN(""),
                                          .before = WEIR_SPAN(""),
                                          .after = what};
    return main__audit_local(work->engine, &note, work->now_utc_us, error);
}

static int rotate(struct session *session) {
    struct weir_reseal_counts all = {.resealed = 0};
    char id[WEIR_SEALING_KEY_ID_SIZE];
    weir_sealing_key_id(session->sealing, id);
    for (size_t i = 0; weir_reseal_place(i) != NULL; i++) {
        struct weir_error error = {.text = ""};
        struct weir_reseal_counts counts;
        enum weir_status status = weir_reseal(&session->work, i, BATCH, note_rotation, NULL, &counts, &error);
        printf("%-16s  %llu sealed anew, %llu had the key already, %llu cannot be opened\n", weir_reseal_place(i),
               (unsigned long long)counts.resealed, (unsigned long long)counts.already,
               (unsigned long long)counts.unopened);
        all.resealed += counts.resealed;
        all.unopened += counts.unopened;
        if (status != WEIR_OK)
            return tell(status, &error);
    }
    if (all.unopened > 0) {
        fprintf(stderr, "weir: %llu could not be opened with any key of the settings and stay as they were\n",
                (unsigned long long)all.unopened);
        return MAIN_EXIT_FAILED;
    }
    fprintf(
        stderr,
        "everything is sealed with the key %s: secrets.previous_sealing_keys is not needed any more, save for older sealed backups\n",
        id);
    return 0;
}

static int status_of(struct session *session) {
    char id[WEIR_SEALING_KEY_ID_SIZE];
    struct weir_sealed_counts all = {.first = 0};
    weir_sealing_key_id(session->sealing, id);
    printf("sealing key       %s\n",
           id[0] != '\0' ? id : "none: secrets are read-only, nothing that is sealed can be opened");
    printf("previous keys     %zu\n", session->settings.secrets.previous_sealing_keys.count);
    for (size_t i = 0; weir_reseal_place(i) != NULL; i++) {
        struct weir_error error = {.text = ""};
        struct weir_sealed_counts counts;
        enum weir_status status = weir_sealed_count(&session->work, i, &counts, &error);
        if (status != WEIR_OK)
            return tell(status, &error);
        printf("%-16s  %llu with this key, %llu with previous ones, %llu that cannot be opened\n", weir_reseal_place(i),
               (unsigned long long)counts.first, (unsigned long long)counts.previous,
               (unsigned long long)counts.unknown);
        all.previous += counts.previous;
        all.unknown += counts.unknown;
    }
    if (all.previous > 0)
        fprintf(stderr, "weir secrets rotate seals what has a previous key anew\n");
    return all.unknown > 0 ? MAIN_EXIT_FAILED : 0;
}

/* --- words --- */

static const struct {
    const char *word;
    size_t minimum, maximum; /* operands with the word itself */
    bool needs_key;
    int (*run)(struct session *session);
    int (*run_named)(struct session *session, struct weir_span name);
} words[] = {
    {"list", 1, 1, false, list, NULL},         {"put", 2, 2, true, NULL, put},
    {"delete", 2, 2, false, NULL, delete_one}, {"rotate", 1, 1, true, rotate, NULL},
    {"status", 1, 1, false, status_of, NULL},
};

static int run_word(const struct secrets_flags *flags, const char *const *operands, size_t count, const char *usage) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].word, operands[0]) != 0 || count < words[i].minimum || count > words[i].maximum)
            continue;
        struct session session = {.flags = flags};
        int code = MAIN_EXIT_FAILED;
        if (session_open(&session, words[i].needs_key))
            code = words[i].run != NULL ? words[i].run(&session)
                                        : words[i].run_named(&session, weir_span_of_string(operands[1]));
        session_close(&session);
        return code;
    }
    fprintf(stderr, "weir: expected generate, list, put NAME, delete NAME, rotate or status\nusage: %s\n", usage);
    return MAIN_EXIT_USAGE;
}

int main__secrets(int argc, char **argv) {
    struct secrets_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--description", NULL, MAIN_FLAG_TEXT, &flags.description, "TEXT", "put: what it is for"},
        {"--confirm", NULL, MAIN_FLAG_TEXT, &flags.confirm, "NAME", "delete: its name again"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "list: one JSON object a line"},
    };
    const struct main__command command = {
        "weir secrets generate [FILE] | list | put NAME | delete NAME --confirm NAME | rotate | status",
        "Keeps secrets sealed in the store; settings name them as secret:NAME.\n"
        "generate makes a sealing key: into FILE, which must not exist, or on standard output.\n"
        "put reads the value from standard input; no value is ever shown again.\n"
        "rotate seals everything that is in the store anew with secrets.sealing_key, also while a server runs.\n"
        "status says what is sealed with which key.",
        all,
        sizeof all / sizeof *all,
        1,
        2};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    if (strcmp(operands[0], "generate") == 0)
        return generate(count > 1 ? operands[1] : NULL);
    return run_word(&flags, operands, count, command.usage);
}

/* weir operator: operators and their tokens, straight in the store: for the first of them, and for who has lost his token.
 *
 * Who may write the data directory may do this; each change is in the audit trail with the system's user as its actor. A running server sees it with the next
 * request.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "identity/operators.h"
#include "identity/passwords.h"
#include "json/write.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/local_audit.h"

#include <errno.h>
#include <termios.h>
#include <unistd.h>

enum { ARENA_BYTES = 16 * 1024 * 1024, TEXT_BYTES = 64 * 1024, PASSWORD_SIZE = WEIR_PASSWORD_MAX_BYTES + 2 };
static const int64_t TOKEN_DAYS = 90, DAY_US = (int64_t)86400 * 1000000;

struct operator_flags {
    const char *config, *role, *email, *display_name, *name, *expires;
    bool json, remove;
};

struct session {
    struct weir_arena *arena;
    struct main__settings settings;
    struct weir_people people;
    struct weir_key_format format;
    int64_t now_utc_us;
    const struct operator_flags *flags;
    char password[WEIR_PASSWORD_HASH_SIZE]; /* the hash of a new one; "": none */
};

static bool session_open(struct session *session, bool create) {
    struct weir_error error = {.text = ""};
    session->arena = weir_arena_new(0, ARENA_BYTES);
    if (session->arena == NULL ||
        main__settings_for_command(session->arena, session->flags->config, &session->settings) != WEIR_OK)
        return false;
    session->people = (struct weir_people){.ops = &weir_engine_sqlite, .arena = session->arena};
    session->format = (struct weir_key_format){session->settings.general.brand,
                                               weir_span_of_string(session->settings.environment)};
    session->now_utc_us = weir_clock_utc_us();
    if (main__store_open(&session->settings, create, &session->people.engine, &error) == WEIR_OK)
        return true;
    fprintf(stderr, "weir: %s\n", error.text);
    return false;
}

static void session_close(struct session *session) {
    if (session->people.engine != NULL)
        weir_store_direct_close(&session->people.engine);
    weir_arena_free(&session->arena);
}

/* --- showing --- */

static void member_time(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    char time[32];
    main__format_time(utc_us, time);
    weir_json_member_text(writer, name, utc_us != 0 ? time : NULL);
}

static void print_line(struct weir_buffer *text) {
    printf("%.*s\n", WEIR_SPAN_PRINT(weir_buffer_span(text)));
    weir_memory_wipe(text->at, text->length); /* it may hold a token */
    weir_buffer_release(text);
}

static void write_operator(struct weir_json_writer *writer, const struct weir_operator_record *record) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", record->id);
    weir_json_member_string(writer, "name", record->name);
    weir_json_member_string(writer, "display_name", record->display_name);
    weir_json_member_string(writer, "email", record->email);
    weir_json_member_text(writer, "role", weir_role_name(record->role));
    weir_json_member_bool(writer, "disabled", record->disabled);
    weir_json_member_bool(writer, "password_set", record->password.length > 0);
    member_time(writer, "password_changed_at", record->password_changed_utc_us);
    member_time(writer, "last_login_at", record->last_login_utc_us);
    member_time(writer, "created_at", record->created_utc_us);
    weir_json_write_end(writer);
}

/* Without the operator's name and without the token where these are empty. */
static void write_token(struct weir_json_writer *writer, const struct weir_token_record *record,
                        struct weir_span operator_name, struct weir_span token) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", record->id);
    weir_json_member_string(writer, "operator", record->owner);
    if (operator_name.length > 0)
        weir_json_member_string(writer, "operator_name", operator_name);
    weir_json_member_string(writer, "name", record->name);
    weir_json_member_string(writer, "hint", record->hint);
    weir_json_member_text(writer, "role", record->role != WEIR_ROLE_NONE ? weir_role_name(record->role) : NULL);
    member_time(writer, "created_at", record->created_utc_us);
    member_time(writer, "expires_at", record->expires_utc_us);
    member_time(writer, "last_used_at", record->last_used_utc_us);
    if (token.length > 0)
        weir_json_member_string(writer, "token", token);
    weir_json_write_end(writer);
}

static struct weir_span operator_text(struct session *session, const struct weir_operator_record *record) {
    struct weir_buffer text;
    struct weir_json_writer writer;
    struct weir_span copy = WEIR_SPAN("");
    weir_buffer_init(&text, TEXT_BYTES);
    weir_json_writer_init(&writer, &text);
    write_operator(&writer, record);
    if (weir_buffer_status(&text) != WEIR_OK ||
        weir_arena_dup(session->arena, weir_buffer_span(&text), &copy) != WEIR_OK)
        copy = WEIR_SPAN("");
    weir_buffer_release(&text);
    return copy;
}

/* --- changing: each is one transaction with its audit entry --- */

typedef enum weir_status (*change_run)(struct session *session, const char *operand, struct weir_error *error);

static int change(struct session *session, change_run run, const char *operand) {
    struct weir_error error = {.text = ""}, ending = {.text = ""};
    enum weir_status status = session->people.ops->work_begin(session->people.engine, &error);
    if (status == WEIR_OK) {
        status = run(session, operand, &error);
        enum weir_status ended = session->people.ops->work_end(session->people.engine, status, &ending);
        if (status == WEIR_OK && ended != WEIR_OK)
            error = ending;
        status = status == WEIR_OK ? ended : status;
    }
    if (status == WEIR_OK)
        return 0;
    fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : weir_status_name(status));
    return MAIN_EXIT_FAILED;
}

/* By login name, or by id. */
static enum weir_status find(struct session *session, const char *operand, struct weir_operator_record *record,
                             struct weir_error *error) {
    struct weir_span word = weir_span_of_string(operand);
    enum weir_status status = weir_operator_find(&session->people, word, record, error);
    if (status == WEIR_ENOTFOUND)
        status = weir_operator_get(&session->people, word, record, error);
    return status == WEIR_ENOTFOUND
               ? weir_fail(error, status, "there is no operator '%.80s'; see: weir operator list", operand)
               : status;
}

static enum weir_status note(struct session *session, const char *action, const struct weir_operator_record *record,
                             struct weir_span before, struct weir_span after, struct weir_error *error) {
    const struct main__local_note entry = {.action = action,
                                           .resource_type = "operator",
                                           .resource_id = record->id,
                                           .resource_name = record->name,
                                           .before = before,
                                           .after = after};
    return main__audit_local(session->people.engine, &entry, session->now_utc_us, error);
}

static enum weir_status create(struct session *session, const char *operand, struct weir_error *error) {
    const struct operator_flags *flags = session->flags;
    struct weir_operator_record record = {.name = weir_span_of_string(operand),
                                          .display_name = weir_span_of_string(flags->display_name),
                                          .email = weir_span_of_string(flags->email),
                                          .password = WEIR_SPAN("")};
    if (!weir_operator_name_is_good(record.name))
        return weir_fail(error, WEIR_EINVAL,
                         "a login name is 1 to %d of a-z 0-9 . _ - @ +, beginning with a letter or digit",
                         WEIR_OPERATOR_NAME_MAX);
    if (record.display_name.length > 200 || record.email.length > 254)
        return weir_fail(error, WEIR_EINVAL, "--display-name takes 200 bytes at most, --email 254");
    if (weir_role_find(weir_span_of_string(flags->role != NULL ? flags->role : "viewer"), &record.role) != WEIR_OK)
        return weir_fail(error, WEIR_EINVAL, "--role: expected owner, admin, operator, auditor or viewer");
    struct weir_random random = {.left = 0};
    enum weir_status status = weir_operator_create(&session->people, &random, session->now_utc_us, &record, error);
    if (status == WEIR_EEXIST)
        return weir_fail(error, status, "there is an operator '%s' already", operand);
    struct weir_span text = operator_text(session, &record);
    if (status == WEIR_OK)
        status = note(session, "operators.create", &record, WEIR_SPAN(""), text, error);
    if (status != WEIR_OK)
        return status;
    if (flags->json)
        printf("%.*s\n", WEIR_SPAN_PRINT(text));
    else
        printf("%.*s\n", WEIR_SPAN_PRINT(record.id));
    fprintf(stderr, "now make a token: weir operator token create %s\n", operand);
    return WEIR_OK;
}

static enum weir_status set_disabled(struct session *session, const char *operand, bool disabled,
                                     struct weir_error *error) {
    struct weir_operator_record record;
    bool there_is = true;
    enum weir_status status = find(session, operand, &record, error);
    if (status == WEIR_OK && disabled && record.role == WEIR_ROLE_OWNER && !record.disabled)
        status = weir_operator_other_owner(&session->people, record.id, &there_is, error);
    if (status == WEIR_OK && !there_is)
        return weir_fail(error, WEIR_EBUSY, "%s is the last owner who is not disabled", operand);
    if (status != WEIR_OK)
        return status;
    struct weir_span before = operator_text(session, &record);
    record.disabled = disabled;
    status = weir_operator_update(&session->people, session->now_utc_us, &record, 0, error);
    if (status == WEIR_OK)
        status = weir_operator_end_sessions(&session->people, record.id, WEIR_SPAN(""), session->now_utc_us, error);
    if (status == WEIR_OK)
        status = note(session, disabled ? "operators.disable" : "operators.enable", &record, before,
                      operator_text(session, &record), error);
    if (status == WEIR_OK)
        fprintf(stderr, "%s %.*s\n", disabled ? "disabled" : "enabled", WEIR_SPAN_PRINT(record.name));
    return status;
}

static enum weir_status disable(struct session *session, const char *operand, struct weir_error *error) {
    return set_disabled(session, operand, true, error);
}

static enum weir_status enable(struct session *session, const char *operand, struct weir_error *error) {
    return set_disabled(session, operand, false, error);
}

/* --- passwords --- */

/* One line of standard input; from a terminal without showing it. */
static bool read_password(char password[PASSWORD_SIZE]) {
    struct termios before, silent;
    bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (is_terminal) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "new password (%d bytes or more): ", WEIR_PASSWORD_MIN_BYTES);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    size_t length = 0;
    char byte;
    ssize_t got;
    while ((got = read(STDIN_FILENO, &byte, 1)) == 1 && byte != '\n' && length + 1 < PASSWORD_SIZE)
        password[length++] = byte;
    password[length] = '\0';
    if (is_terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    return got >= 0 && length > 0;
}

/* Before the store is locked: a person takes his time. */
static int prepare_password(struct session *session) {
    char password[PASSWORD_SIZE];
    if (session->flags->remove)
        return 0;
    if (!read_password(password)) {
        fprintf(stderr, "weir: no password came on standard input\n");
        return MAIN_EXIT_FAILED;
    }
    enum weir_status status = weir_password_hash(weir_span_of_string(password), session->password);
    weir_memory_wipe(password, sizeof password);
    if (status == WEIR_OK)
        return 0;
    fprintf(stderr, "weir: a password has %d to %d bytes\n", WEIR_PASSWORD_MIN_BYTES, WEIR_PASSWORD_MAX_BYTES);
    return MAIN_EXIT_FAILED;
}

static enum weir_status set_password(struct session *session, const char *operand, struct weir_error *error) {
    struct weir_operator_record record;
    enum weir_status status = find(session, operand, &record, error);
    if (status != WEIR_OK)
        return status;
    struct weir_span before = operator_text(session, &record);
    record.password = weir_span_of_string(session->password);
    record.password_changed_utc_us = session->now_utc_us;
    status = weir_operator_update(&session->people, session->now_utc_us, &record, 0, error);
    if (status == WEIR_OK)
        status = weir_operator_end_sessions(&session->people, record.id, WEIR_SPAN(""), session->now_utc_us, error);
    if (status == WEIR_OK)
        status = note(session, "operators.update", &record, before, operator_text(session, &record), error);
    if (status == WEIR_OK)
        fprintf(stderr, "%s; the sessions of %.*s have ended\n",
                record.password.length > 0 ? "the password is set" : "there is no password any more",
                WEIR_SPAN_PRINT(record.name));
    return status;
}

/* --- tokens --- */

static enum weir_status note_token(struct session *session, const char *action, const struct weir_token_record *token,
                                   bool is_new, struct weir_error *error) {
    struct weir_buffer text;
    struct weir_json_writer writer;
    weir_buffer_init(&text, TEXT_BYTES);
    weir_json_writer_init(&writer, &text);
    write_token(&writer, token, WEIR_SPAN(""), WEIR_SPAN(""));
    const struct main__local_note entry = {.action = action,
                                           .resource_type = "operator_token",
                                           .resource_id = token->id,
                                           .resource_name = token->name,
                                           .before = is_new ? WEIR_SPAN("") : weir_buffer_span(&text),
                                           .after = is_new ? weir_buffer_span(&text) : WEIR_SPAN("")};
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = main__audit_local(session->people.engine, &entry, session->now_utc_us, error);
    weir_buffer_release(&text);
    return status;
}

static enum weir_status read_token_flags(struct session *session, const struct weir_operator_record *person,
                                         struct weir_token_record *token, struct weir_error *error) {
    const struct operator_flags *flags = session->flags;
    *token = (struct weir_token_record){.owner = person->id,
                                        .name = weir_span_of_string(flags->name != NULL ? flags->name : "command line"),
                                        .created_utc_us = session->now_utc_us,
                                        .expires_utc_us = session->now_utc_us + TOKEN_DAYS * DAY_US};
    bool never = flags->expires != NULL && strcmp(flags->expires, "never") == 0;
    if (never)
        token->expires_utc_us = 0;
    else if (flags->expires != NULL &&
             (main__parse_time(weir_span_of_string(flags->expires), true, &token->expires_utc_us) != WEIR_OK ||
              token->expires_utc_us <= session->now_utc_us))
        return weir_fail(error, WEIR_EINVAL,
                         "--expires: expected a time from now like 30d or 12h, a date to come, or never");
    if (token->name.length == 0 || token->name.length > 200)
        return weir_fail(error, WEIR_EINVAL, "--name takes 1 to 200 bytes");
    if (flags->role != NULL && weir_role_find(weir_span_of_string(flags->role), &token->role) != WEIR_OK)
        return weir_fail(error, WEIR_EINVAL, "--role: expected owner, admin, operator, auditor or viewer");
    if (token->role != WEIR_ROLE_NONE && !weir_role_within(token->role, person->role))
        return weir_fail(error, WEIR_EINVAL, "--role: %s is not within the operator's own role, %s", flags->role,
                         weir_role_name(person->role));
    return WEIR_OK;
}

static enum weir_status token_create(struct session *session, const char *operand, struct weir_error *error) {
    struct weir_operator_record person;
    struct weir_token_record token;
    struct weir_random random = {.left = 0};
    struct weir_secret *secret = NULL;
    enum weir_status status = find(session, operand, &person, error);
    if (status == WEIR_OK)
        status = read_token_flags(session, &person, &token, error);
    if (status == WEIR_OK)
        status = weir_token_create(&session->people, &session->format, &random, &token, &secret, error);
    if (status == WEIR_OK)
        status = note_token(session, "tokens.create", &token, true, error);
    if (status == WEIR_OK && session->flags->json) {
        struct weir_buffer text;
        struct weir_json_writer writer;
        weir_buffer_init(&text, TEXT_BYTES);
        weir_json_writer_init(&writer, &text);
        write_token(&writer, &token, person.name, weir_secret_reveal(secret));
        print_line(&text);
    } else if (status == WEIR_OK) {
        fprintf(stderr, "token %.*s of %.*s, shown this once:\n", WEIR_SPAN_PRINT(token.id),
                WEIR_SPAN_PRINT(person.name));
        printf("%.*s\n", WEIR_SPAN_PRINT(weir_secret_reveal(secret)));
    }
    weir_secret_free(&secret);
    return status;
}

struct by_id {
    struct session *session;
    struct weir_span id;
    struct weir_token_record token;
    bool found;
    int64_t last;
};

static enum weir_status match_token(void *context, const struct weir_object *object) {
    struct by_id *by_id = context;
    by_id->last = object->number;
    if (!weir_span_equal(object->id, by_id->id))
        return WEIR_OK;
    struct weir_object copy = *object;
    by_id->found = true;
    enum weir_status status = weir_arena_dup(by_id->session->arena, object->id, &copy.id);
    if (status == WEIR_OK)
        status = weir_arena_dup(by_id->session->arena, object->parent, &copy.parent);
    if (status == WEIR_OK)
        status = weir_token_read(by_id->session->arena, &copy, &by_id->token);
    return status == WEIR_OK ? WEIR_END : status;
}

/* Visits all objects of a kind, page by page; the visit leaves the number of the last one in *last. */
static enum weir_status each(struct session *session, enum weir_object_kind kind, struct weir_span parent,
                             bool any_parent, weir_object_visit visit, void *context, int64_t *last,
                             struct weir_error *error) {
    enum { PAGE = 500 };
    int64_t before;
    enum weir_status status;
    *last = 0;
    do {
        before = *last;
        const struct weir_object_query query = {
            .kind = kind, .parent = parent, .any_parent = any_parent, .after_number = before, .limit = PAGE};
        status = session->people.ops->object_list(session->people.engine, &query, visit, context, error);
    } while (status == WEIR_OK && *last != before);
    return status;
}

static enum weir_status token_revoke(struct session *session, const char *operand, struct weir_error *error) {
    struct by_id by_id = {.session = session, .id = weir_span_of_string(operand)};
    enum weir_status status = each(session, WEIR_OBJECT_TOKEN, WEIR_SPAN(""), true, match_token, &by_id, &by_id.last,
                                   error);
    if (status == WEIR_OK && !by_id.found)
        return weir_fail(error, WEIR_ENOTFOUND, "there is no token with that id; see: weir operator token list");
    if (status == WEIR_OK)
        status = weir_token_remove(&session->people, by_id.token.owner, by_id.token.id, session->now_utc_us, error);
    if (status == WEIR_OK)
        status = note_token(session, "tokens.revoke", &by_id.token, false, error);
    if (status == WEIR_OK)
        fprintf(stderr, "revoked %s; it is refused from the next request on\n", operand);
    return status;
}

/* --- lists --- */

struct listing {
    struct session *session;
    size_t count;
    int64_t last;
    struct weir_operator_record owner; /* of the token that was listed last */
};

static enum weir_status list_operator(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_operator_record record;
    enum weir_status status = weir_operator_read(listing->session->arena, object, &record);
    if (status != WEIR_OK)
        return status;
    listing->last = object->number;
    if (listing->session->flags->json) {
        struct weir_span text = operator_text(listing->session, &record);
        printf("%.*s\n", WEIR_SPAN_PRINT(text));
    } else {
        char created[32], login[32], name[MAIN_CELL_SIZE], shown[MAIN_CELL_SIZE];
        main__format_time(record.created_utc_us, created);
        main__format_time(record.last_login_utc_us, login);
        main__cell(record.name, 24, name);
        main__cell(record.display_name, 20, shown);
        if (listing->count == 0)
            printf("%-20s  %-24s  %-20s  %-8s  %-8s  %-20s  %s\n", "ID", "NAME", "DISPLAY NAME", "ROLE", "STATE",
                   "CREATED", "LAST LOGIN");
        printf("%.*s  %s  %s  %-8s  %-8s  %-20s  %s\n", WEIR_SPAN_PRINT(record.id), name, shown,
               weir_role_name(record.role), record.disabled ? "disabled" : "active", created, login);
    }
    listing->count++;
    return WEIR_OK;
}

/* The login name of a token's operator. The tokens of one come one after the other. */
static enum weir_status owner_name(struct listing *listing, struct weir_span id) {
    struct weir_error error = {.text = ""};
    if (weir_span_equal(listing->owner.id, id))
        return WEIR_OK;
    enum weir_status status = weir_operator_get(&listing->session->people, id, &listing->owner, &error);
    if (status != WEIR_ENOTFOUND)
        return status;
    listing->owner = (struct weir_operator_record){.id = WEIR_SPAN(""), .name = WEIR_SPAN("-")};
    return WEIR_OK;
}

static enum weir_status list_token(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_token_record record;
    enum weir_status status = weir_token_read(listing->session->arena, object, &record);
    if (status == WEIR_OK)
        status = owner_name(listing, record.owner);
    if (status != WEIR_OK)
        return status;
    listing->last = object->number;
    if (listing->session->flags->json) {
        struct weir_buffer text;
        struct weir_json_writer writer;
        weir_buffer_init(&text, TEXT_BYTES);
        weir_json_writer_init(&writer, &text);
        write_token(&writer, &record, listing->owner.name, WEIR_SPAN(""));
        print_line(&text);
    } else {
        char expires[32], used[32], name[MAIN_CELL_SIZE], hint[MAIN_CELL_SIZE], owner[MAIN_CELL_SIZE];
        main__format_time(record.expires_utc_us, expires);
        main__format_time(record.last_used_utc_us, used);
        main__cell(record.name, 20, name);
        main__cell(record.hint, 9, hint);
        main__cell(listing->owner.name, 20, owner);
        if (listing->count == 0)
            printf("%-20s  %-20s  %-20s  %-9s  %-20s  %-8s  %-20s  %s\n", "ID", "OPERATOR", "OPERATOR ID", "HINT",
                   "NAME", "ROLE", "EXPIRES", "LAST USE");
        printf("%.*s  %s  %.*s  %s  %s  %-8s  %-20s  %s\n", WEIR_SPAN_PRINT(record.id), owner,
               WEIR_SPAN_PRINT(record.owner), hint, name,
               record.role != WEIR_ROLE_NONE ? weir_role_name(record.role) : "-", expires, used);
    }
    listing->count++;
    return WEIR_OK;
}

static int list(struct session *session, enum weir_object_kind kind, const char *of) {
    struct weir_operator_record person = {.id = WEIR_SPAN("")};
    struct listing listing = {.session = session};
    struct weir_error error = {.text = ""};
    bool is_token = kind == WEIR_OBJECT_TOKEN;
    enum weir_status status = of != NULL ? find(session, of, &person, &error) : WEIR_OK;
    if (status == WEIR_OK)
        status = each(session, kind, person.id, is_token && of == NULL, is_token ? list_token : list_operator, &listing,
                      &listing.last, &error);
    if (status != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : weir_status_name(status));
        return MAIN_EXIT_FAILED;
    }
    if (listing.count == 0)
        fprintf(stderr, is_token ? "no tokens\n" : "no operators yet; weir serve makes the first one\n");
    return 0;
}

/* --- the command --- */

static const struct {
    const char *word, *second; /* second NULL: one word */
    size_t minimum, maximum;   /* operands behind the words */
    change_run run;            /* NULL: a list of `kind` */
    enum weir_object_kind kind;
} verbs[] = {
    {"create", NULL, 1, 1, create, WEIR_OBJECT_KIND_END},
    {"list", NULL, 0, 0, NULL, WEIR_OBJECT_OPERATOR},
    {"disable", NULL, 1, 1, disable, WEIR_OBJECT_KIND_END},
    {"enable", NULL, 1, 1, enable, WEIR_OBJECT_KIND_END},
    {"password", NULL, 1, 1, set_password, WEIR_OBJECT_KIND_END},
    {"token", "create", 1, 1, token_create, WEIR_OBJECT_KIND_END},
    {"token", "list", 0, 1, NULL, WEIR_OBJECT_TOKEN},
    {"token", "revoke", 1, 1, token_revoke, WEIR_OBJECT_KIND_END},
};

static int dispatch(struct session *session, const char *const *operands, size_t count, const char *usage) {
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        size_t words = verbs[i].second != NULL ? 2 : 1;
        if (count < words || strcmp(operands[0], verbs[i].word) != 0 ||
            (words == 2 && strcmp(operands[1], verbs[i].second) != 0))
            continue;
        if (count - words < verbs[i].minimum || count - words > verbs[i].maximum)
            break;
        const char *operand = count > words ? operands[words] : NULL;
        if (!session_open(session, verbs[i].run == create) ||
            (verbs[i].run == set_password && prepare_password(session) != 0))
            return MAIN_EXIT_FAILED;
        return verbs[i].run != NULL ? change(session, verbs[i].run, operand) : list(session, verbs[i].kind, operand);
    }
    fprintf(stderr, "usage: %s\nMore with --help.\n", usage);
    return MAIN_EXIT_USAGE;
}

int main__operator(int argc, char **argv) {
    struct operator_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--role", NULL, MAIN_FLAG_TEXT, &flags.role, "ROLE",
         "owner, admin, operator, auditor or viewer (create: viewer; token create: the operator's)"},
        {"--display-name", NULL, MAIN_FLAG_TEXT, &flags.display_name, "NAME", "create: for people"},
        {"--email", NULL, MAIN_FLAG_TEXT, &flags.email, "ADDRESS", "create: for people"},
        {"--name", NULL, MAIN_FLAG_TEXT, &flags.name, "NAME", "token create: what it is for"},
        {"--expires", NULL, MAIN_FLAG_TEXT, &flags.expires, "WHEN",
         "token create: 30d, 12h, a date, or never (default: 90d)"},
        {"--remove", NULL, MAIN_FLAG_SWITCH, &flags.remove, NULL, "password: take it away"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "one JSON object a line"},
    };
    const struct main__command command = {
        "weir operator create NAME | list | disable NAME | enable NAME | password NAME | token create NAME | token list [NAME] | token revoke ID",
        "Operators and their tokens, straight in the store: a running server sees each change with the next request. A new\ntoken is printed once, alone on "
        "its line of standard output; only its hash is kept. A password is read from standard input.",
        all,
        sizeof all / sizeof *all,
        1,
        3};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct session session = {.flags = &flags};
    int code = dispatch(&session, operands, count, command.usage);
    session_close(&session);
    return code;
}

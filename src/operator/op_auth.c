/* Logging in and out, and what everybody may do about himself: his password and his tokens.
 *
 * A login costs the same whether the name exists, has a password or neither: one password is checked, against somebody's hash or nobody's. What is
 * told of a failure is the same for all of them. The trail names whom it was for only where there is such an operator, for people type passwords
 * into the wrong field.
 */
#include "operator/operations_table.h"

#include "operator/authenticate.h"
#include "operator/people.h"

struct login {
    struct weir_span api_key, name, password;
    bool by_token, cookie;
};

/* Who it is, once it is known to be true. */
struct known {
    struct weir_operator_record person;
    struct weir_token_record token; /* by token */
};

static struct weir_span limit_span(struct weir_span text, size_t most) {
    return weir_span_first(text, text.length < most ? text.length : most);
}

static enum weir_status login_failed(struct weir_operation_call *call) {
    return weir_operation_fail(call, WEIR_REASON_LOGIN_FAILED, NULL, "%s", "");
}

static enum weir_status check_token(struct weir_operation_call *call, const struct login *login, struct known *known) {
    const struct weir_people people = operator__people(call);
    const struct weir_operator_settings *settings = weir_operation_settings(call);
    const struct weir_key_format format = {settings->brand, weir_span_of_string(settings->environment)};
    struct weir_error error = {.text = ""};
    if (weir_token_check(&format, login->api_key) != WEIR_OK)
        return login_failed(call);
    enum weir_status status = weir_token_find(&people, login->api_key, &known->token, &error);
    if (status == WEIR_OK)
        status = weir_operator_get(&people, known->token.owner, &known->person, &error);
    if (status == WEIR_ENOTFOUND)
        return login_failed(call);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the store", &error);
    call->actor.name = known->person.name; /* whom the trail names */
    bool is_over = known->token.expires_utc_us != 0 && known->token.expires_utc_us <= weir_operation_now_utc_us(call);
    return is_over || known->person.disabled ? login_failed(call) : WEIR_OK;
}

static enum weir_status check_password(struct weir_operation_call *call, const struct login *login,
                                       struct known *known) {
    const struct weir_people people = operator__people(call);
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operator_find(&people, login->name, &known->person, &error);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return weir_operation_store_failed(call, status, "the store", &error);
    bool is_there = status == WEIR_OK, has_password = is_there && known->person.password.length > 0;
    if (call->gate->nobody[0] == '\0' && weir_password_of_nobody(call->gate->nobody) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory to check a password");
    if (is_there)
        call->actor.name = known->person.name;
    struct weir_span hash = has_password ? known->person.password : weir_span_of_string(call->gate->nobody);
    call->gate->passwords_checked++;
    bool matches = weir_password_matches(hash, login->password);
    return matches && has_password && !known->person.disabled ? WEIR_OK : login_failed(call);
}

/* --- what is given --- */

static void set_cookie(struct weir_operation_call *call, struct weir_span value, int64_t seconds) {
    bool is_secure = weir_operation_settings(call)->tls != NULL;
    const char *text = weir_arena_format(weir_operation_arena(call),
                                         "%s=%.*s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s",
                                         OPERATOR__COOKIE_NAME, WEIR_SPAN_PRINT(value), (long long)seconds,
                                         is_secure ? "; Secure" : "");
    if (text != NULL)
        weir_operation_set_header(call, "Set-Cookie", weir_span_of_string(text));
    else
        (void)weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
}

static enum weir_status give_cookie(struct weir_operation_call *call, const struct weir_secret *key,
                                    const struct weir_secret *cookie, int64_t seconds) {
    char csrf[WEIR_CSRF_TOKEN_SIZE];
    struct weir_json_writer *writer = weir_operation_writer(call);
    struct weir_span value = weir_secret_reveal(cookie);
    if (weir_csrf_token(key, value, csrf) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
    set_cookie(call, value, seconds);
    weir_json_member_text(writer, "access_token", NULL);
    weir_json_member_text(writer, "token_type", "cookie");
    weir_json_member_text(writer, "csrf_token", csrf);
    return WEIR_OK;
}

static enum weir_status give_token(struct weir_operation_call *call, const struct weir_secret *key,
                                   const struct weir_session_record *session,
                                   const struct weir_operator_record *person) {
    const struct weir_claims claims = {.subject = person->id,
                                       .session = session->id,
                                       .email = person->email,
                                       .role = weir_operation_actor(call)->role,
                                       .issued_s = session->created_utc_us / 1000000,
                                       .expires_s = session->expires_utc_us / 1000000};
    struct weir_buffer token;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_buffer_init(&token, WEIR_SIGNED_MAX);
    enum weir_status status = weir_claims_sign(key, &claims, &token);
    if (status == WEIR_OK) {
        weir_json_member_string(writer, "access_token", weir_buffer_span(&token));
        weir_json_member_text(writer, "token_type", "bearer");
        weir_json_member_text(writer, "csrf_token", NULL);
    }
    weir_buffer_release(&token);
    return status == WEIR_OK ? WEIR_OK
                             : weir_operation_fail(call, WEIR_REASON_INTERNAL, NULL, "the token could not be signed");
}

static enum weir_status audit_login(struct weir_operation_call *call, const struct weir_session_record *session) {
    const char *how = session->token.length > 0 ? "token" : "password";
    const char *text = weir_arena_format(
        weir_operation_arena(call), "{\"session_id\":\"%.*s\",\"by\":\"%s\",\"token_id\":\"%.*s\",\"gives\":\"%s\"}",
        WEIR_SPAN_PRINT(session->id), how, WEIR_SPAN_PRINT(session->token), session->is_cookie ? "cookie" : "bearer");
    const struct weir_operation_note note = {.resource_id = session->owner,
                                             .resource_name = weir_operation_actor(call)->name,
                                             .after = weir_span_of_string(text)};
    return weir_operation_audit(call, &note);
}

static enum weir_status open_session(struct weir_operation_call *call, const struct login *login, struct known *known,
                                     struct weir_session_record *session, struct weir_secret **cookie) {
    const struct weir_people people = operator__people(call);
    struct weir_error error = {.text = ""};
    int64_t now = weir_operation_now_utc_us(call), until = now + weir_operation_settings(call)->session_ms * 1000;
    uint64_t swept = 0;
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    if (login->by_token && known->token.expires_utc_us != 0 && known->token.expires_utc_us < until)
        until = known->token.expires_utc_us;
    *session = (struct weir_session_record){.owner = known->person.id,
                                            .token = login->by_token ? known->token.id : WEIR_SPAN(""),
                                            .role = login->by_token ? known->token.role : WEIR_ROLE_NONE,
                                            .is_cookie = login->cookie,
                                            .created_utc_us = now,
                                            .expires_utc_us = until};
    status = people.ops->object_sweep(people.engine, now, &swept, &error); /* so that sessions do not pile up */
    struct weir_span password = known->person.password;
    if (status == WEIR_OK)
        status = weir_operator_get(&people, known->person.id, &known->person, &error);
    if (status == WEIR_ENOTFOUND || (status == WEIR_OK && known->person.disabled))
        return login_failed(call); /* within the last moment */
    if (status == WEIR_OK && !login->by_token && !weir_span_equal(known->person.password, password))
        return login_failed(call); /* it has been changed since it was checked, which ended all sessions */
    known->person.last_login_utc_us = now;
    if (status == WEIR_OK)
        status = weir_operator_update(&people, now, &known->person, 0, &error);
    if (status == WEIR_OK)
        status = weir_session_create(&people, weir_operation_random(call), session, cookie, &error);
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, "the store", &error);
}

static enum weir_status grant(struct weir_operation_call *call, const struct login *login, struct known *known) {
    struct weir_session_record session;
    struct weir_secret *cookie = NULL;
    const struct weir_secret *key = NULL;
    struct weir_error error = {.text = ""};
    if (operator__gate_key(call->gate, weir_operation_settings(call)->store_directory, &key, &error) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_OPERATOR_STORE_UNAVAILABLE, NULL, "%s", error.text);
    enum weir_status status = open_session(call, login, known, &session, &cookie);
    if (status == WEIR_OK) {
        call->actor.kind = login->cookie ? WEIR_ACTOR_SESSION : WEIR_ACTOR_TOKEN;
        call->actor.id = known->person.id;
        call->actor.name = known->person.name;
        call->actor.email = known->person.email;
        call->actor.token_id = session.id;
        call->actor.role = session.role != WEIR_ROLE_NONE ? weir_role_common(session.role, known->person.role)
                                                          : known->person.role;
        status = audit_login(call, &session);
    }
    if (status == WEIR_OK) {
        struct weir_json_writer *writer = weir_operation_writer(call);
        int64_t seconds = (session.expires_utc_us - session.created_utc_us) / 1000000;
        weir_json_write_object(writer);
        status = login->cookie ? give_cookie(call, key, cookie, seconds)
                               : give_token(call, key, &session, &known->person);
        weir_json_member_int64(writer, "expires_in", seconds);
        weir_operation_member_time(writer, "expires_at", session.expires_utc_us);
        weir_json_member_text(writer, "role", weir_role_name(call->actor.role));
        weir_json_write_end(writer);
    }
    weir_secret_free(&cookie);
    return status;
}

static enum weir_status too_often(struct weir_operation_call *call, unsigned seconds, bool is_first) {
    char text[16];
    call->leaves_no_trace = !is_first;
    (void)snprintf(text, sizeof text, "%u", seconds);
    enum weir_status status = weir_operation_fail(call, WEIR_REASON_LOGIN_TOO_OFTEN, NULL,
                                                  "the next one is possible in %u s", seconds);
    weir_operation_set_header(call, "Retry-After", weir_span_of_string(text));
    return status;
}

static struct operator__login_attempt attempt_of(struct weir_operation_call *call, struct weir_span name) {
    struct weir_address address;
    bool is_known = weir_address_parse(weir_operation_actor(call)->address, &address) == WEIR_OK;
    return operator__login_attempt_of(&call->gate->limits, is_known ? &address : NULL, name);
}

enum weir_status operator__auth_login(struct weir_operation_call *call) {
    struct login login = {.api_key = weir_operation_body_text(call, "api_key"),
                          .name = limit_span(weir_operation_body_text(call, "username"), WEIR_OPERATOR_NAME_MAX + 1),
                          .password = weir_operation_body_text(call, "password"),
                          .cookie = yyjson_is_true(yyjson_obj_get(weir_operation_body(call), "cookie"))};
    struct known known = {.person = {.id = WEIR_SPAN("")}, .token = {.id = WEIR_SPAN("")}};
    struct operator__login_limits *limits = &call->gate->limits;
    bool is_first = false, has_name = login.name.length > 0, has_password = login.password.length > 0;
    login.by_token = login.api_key.length > 0;
    call->actor = (struct weir_actor){.kind = WEIR_ACTOR_UNKNOWN, .address = call->actor.address}; /* not who came */
    if (login.by_token ? has_name || has_password : !has_name || !has_password)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, login.by_token ? "username" : "api_key",
                                   "send either api_key, or username and password");
    const struct operator__login_attempt attempt = attempt_of(call, login.name);
    unsigned seconds = operator__login_must_wait(limits, &attempt, weir_operation_now_utc_us(call), &is_first);
    if (seconds > 0)
        return too_often(call, seconds, is_first);
    enum weir_status status = login.by_token ? check_token(call, &login, &known) : check_password(call, &login, &known);
    if (status == WEIR_OK) {
        operator__login_succeeded(limits, &attempt);
        return grant(call, &login, &known);
    }
    if (call->reason == WEIR_REASON_LOGIN_FAILED)
        operator__login_failed(limits, &attempt, weir_operation_now_utc_us(call));
    return status;
}

/* --- oneself --- */

enum weir_status operator__auth_logout(struct weir_operation_call *call) {
    const struct weir_people people = operator__people(call);
    const struct weir_actor *actor = weir_operation_actor(call);
    struct weir_span session = call->identity.session_id;
    struct weir_error error = {.text = ""};
    if (session.length == 0)
        return weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, NULL,
                                   "this is no session that POST /auth/login gave: a token is revoked, not logged out");
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    status = weir_session_remove(&people, actor->id, session, weir_operation_now_utc_us(call), &error);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return weir_operation_store_failed(call, status, "the session", &error);
    const struct weir_operation_note note = {.resource_id = session, .resource_name = actor->name};
    status = weir_operation_audit(call, &note);
    if (status != WEIR_OK)
        return status;
    if (actor->kind == WEIR_ACTOR_SESSION)
        set_cookie(call, WEIR_SPAN(""), 0);
    weir_operation_set_status(call, 204);
    return WEIR_OK;
}

static void member_or_null(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    if (text.length > 0)
        weir_json_member_string(writer, name, text);
    else
        weir_json_member_text(writer, name, NULL);
}

enum weir_status operator__auth_me(struct weir_operation_call *call) {
    const struct weir_actor *actor = weir_operation_actor(call);
    const struct operator__identity *identity = &call->identity;
    struct weir_json_writer *writer = weir_operation_writer(call);
    bool is_admin = weir_role_within(WEIR_ROLE_ADMIN, actor->role);
    weir_json_write_object(writer);
    weir_json_member_string(writer, "sub", actor->id.length > 0 ? actor->id : actor->name);
    member_or_null(writer, "id", actor->id);
    weir_json_member_string(writer, "name", actor->name);
    member_or_null(writer, "display_name", identity->display_name);
    member_or_null(writer, "email", actor->email);
    weir_json_member_text(writer, "role", weir_role_name(actor->role));
    weir_json_member_text(writer, "kind", weir_actor_kind_name(actor->kind));
    member_or_null(writer, "token_id", actor->token_id);
    weir_operation_member_time(writer, "expires_at", identity->expires_utc_us);
    member_or_null(writer, "csrf_token", identity->csrf_token);
    weir_json_member_bool(writer, "is_admin", is_admin);
    weir_json_member_bool(writer, "is_platform_admin", is_admin);
    weir_json_member_text(writer, "team_id", NULL);
    weir_json_member_text(writer, "org_id", NULL);
    weir_json_write_name(writer, "org_roles");
    weir_json_write_array(writer);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return WEIR_OK;
}

/* The local operator of dev is nobody in the store. */
static enum weir_status need_account(struct weir_operation_call *call) {
    return weir_operation_actor(call)->id.length > 0
               ? WEIR_OK
               : weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, NULL,
                                     "the local operator of dev has no account: log in, or name an operator");
}

/* Whoever has the old password may choose a new one. Where there is none, a token that may less than its operator may not make itself one. */
static enum weir_status check_old_password(struct weir_operation_call *call,
                                           const struct weir_operator_record *person) {
    const struct weir_actor *actor = weir_operation_actor(call);
    struct operator__login_limits *limits = &call->gate->limits;
    if (actor->role != call->identity.operator_role)
        return weir_operation_fail(call, WEIR_REASON_ROLE_NOT_ALLOWED, NULL,
                                   "this token may less than its operator, so it may not set his password");
    if (person->password.length == 0)
        return WEIR_OK;
    const struct operator__login_attempt attempt = attempt_of(call, person->name);
    bool is_first = false;
    unsigned seconds = operator__login_must_wait(limits, &attempt, weir_operation_now_utc_us(call), &is_first);
    if (seconds > 0)
        return too_often(call, seconds, is_first);
    call->gate->passwords_checked++;
    if (weir_password_matches(person->password, weir_operation_body_text(call, "current_password"))) {
        operator__login_succeeded(limits, &attempt);
        return WEIR_OK;
    }
    operator__login_failed(limits, &attempt, weir_operation_now_utc_us(call));
    return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "current_password", "it is not the password");
}

enum weir_status operator__auth_password(struct weir_operation_call *call) {
    const struct weir_people people = operator__people(call);
    const struct weir_actor *actor = weir_operation_actor(call);
    struct weir_operator_record person;
    struct weir_span hash = WEIR_SPAN(""), old;
    struct weir_error error = {.text = ""};
    enum weir_status status = need_account(call);
    if (status != WEIR_OK)
        return status;
    status = weir_operator_get(&people, actor->id, &person, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the operator", &error);
    old = person.password;
    status = check_old_password(call, &person);
    if (status == WEIR_OK)
        status = operator__hash_password(call, "new_password", weir_operation_body_text(call, "new_password"), &hash);
    if (status == WEIR_OK)
        status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    status = weir_operator_get(&people, actor->id, &person, &error);
    if (status == WEIR_OK && !weir_span_equal(person.password, old))
        status = WEIR_ESTALE; /* somebody was faster */
    struct weir_span before = operator__operator_text(call, &person);
    person.password = hash;
    person.password_changed_utc_us = weir_operation_now_utc_us(call);
    if (status == WEIR_OK)
        status = weir_operator_update(&people, weir_operation_now_utc_us(call), &person, 0, &error);
    if (status == WEIR_OK)
        status = weir_operator_end_sessions(&people, actor->id, call->identity.session_id,
                                            weir_operation_now_utc_us(call), &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the operator", &error);
    const struct weir_operation_note note = {.resource_id = person.id,
                                             .resource_name = person.name,
                                             .before = before,
                                             .after = operator__operator_text(call, &person)};
    weir_operation_set_status(call, 204);
    return weir_operation_audit(call, &note);
}

enum weir_status operator__auth_tokens_list(struct weir_operation_call *call) {
    enum weir_status status = need_account(call);
    return status == WEIR_OK ? operator__tokens_list_of(call, weir_operation_actor(call)->id) : status;
}

enum weir_status operator__auth_tokens_create(struct weir_operation_call *call) {
    const struct weir_actor *actor = weir_operation_actor(call);
    enum weir_status status = need_account(call);
    return status == WEIR_OK
               ? operator__token_create_for(call, actor->id, actor->role, actor->role != call->identity.operator_role)
               : status;
}

/* Who has come with less than his operator may takes none away that may more: it is the way back in. */
static enum weir_status check_revocable(struct weir_operation_call *call, struct weir_span id) {
    const struct weir_people people = operator__people(call);
    const struct weir_actor *actor = weir_operation_actor(call);
    struct weir_token_record token;
    struct weir_error error = {.text = ""};
    enum weir_role whole = call->identity.operator_role;
    if (actor->role == whole)
        return WEIR_OK;
    enum weir_status status = weir_token_get(&people, actor->id, id, &token, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the token", &error);
    if (weir_role_within(token.role != WEIR_ROLE_NONE ? weir_role_common(token.role, whole) : whole, actor->role))
        return WEIR_OK;
    return weir_operation_fail(call, WEIR_REASON_ROLE_NOT_ALLOWED, NULL,
                               "this token may less than its operator, so it revokes none that may more");
}

enum weir_status operator__auth_tokens_revoke(struct weir_operation_call *call) {
    struct weir_span id = weir_operation_path_value(call, "token");
    enum weir_status status = need_account(call);
    if (status == WEIR_OK)
        status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = check_revocable(call, id);
    return status == WEIR_OK ? operator__token_revoke_of(call, weir_operation_actor(call)->id, id) : status;
}

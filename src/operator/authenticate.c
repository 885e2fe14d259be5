/* Who asks. See authenticate.h for the order.
 *
 * Whatever is found is looked up in the store at every request, so that what was revoked, disabled or logged out ends with the next one. A token's last
 * use is written here, at most once in ten minutes and outside of any operation: a read stays cheap.
 */
#include "operator/authenticate.h"

#include "base/memory.h"
#include "http/url.h"
#include "operator/impl.h"

enum { PROBLEM_SIZE = 200 };
static const int64_t LAST_USE_US = (int64_t)10 * 60 * 1000000;

void operator__gate_init(struct operator__gate *gate, struct weir_random *random) {
    memset(gate, 0, sizeof *gate);
    operator__login_limits_init(&gate->limits, random);
}

void operator__gate_release(struct operator__gate *gate) {
    weir_secret_free(&gate->signing_key);
}

enum weir_status operator__gate_key(struct operator__gate *gate, const char *store_directory,
                                    const struct weir_secret **key, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    if (gate->signing_key == NULL)
        status = weir_signing_key_open(store_directory, &gate->signing_key, error);
    if (status == WEIR_OK)
        *key = gate->signing_key;
    return status;
}

static struct weir_people people_of(const struct weir_operation_call *call) {
    return (struct weir_people){.ops = call->ops, .engine = call->engine, .arena = call->arena};
}

static enum weir_reason refuse(char problem[PROBLEM_SIZE], enum weir_reason reason, const char *words) {
    (void)snprintf(problem, PROBLEM_SIZE, "%.*s", PROBLEM_SIZE - 1, words);
    return reason;
}

/* The store's answer, where it is none that says no. */
static enum weir_reason store_failed(struct weir_operation_call *call, enum weir_status status,
                                     const struct weir_error *error, char problem[PROBLEM_SIZE]) {
    call->store_status = status;
    return refuse(problem, WEIR_REASON_OPERATOR_STORE_UNAVAILABLE, error->text);
}

/* The operator behind a token or session; `role` NONE does not narrow. */
static enum weir_reason become(struct weir_operation_call *call, struct weir_span id, enum weir_role role,
                               enum weir_reason otherwise, char problem[PROBLEM_SIZE]) {
    const struct weir_people people = people_of(call);
    struct weir_operator_record record;
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operator_get(&people, id, &record, &error);
    if (status == WEIR_ENOTFOUND)
        return refuse(problem, otherwise, "its operator is gone");
    if (status != WEIR_OK)
        return store_failed(call, status, &error, problem);
    if (record.disabled)
        return refuse(problem, otherwise, "its operator is disabled");
    call->actor.id = record.id;
    call->actor.name = record.name;
    call->actor.email = record.email;
    call->actor.role = role != WEIR_ROLE_NONE ? weir_role_common(role, record.role) : record.role;
    call->identity.display_name = record.display_name;
    call->identity.operator_role = record.role;
    return WEIR_REASON_NONE;
}

/* --- tokens --- */

static void note_use(struct weir_operation_call *call, struct weir_token_record *token) {
    const struct weir_people people = people_of(call);
    if (call->now_utc_us - token->last_used_utc_us < LAST_USE_US)
        return;
    token->last_used_utc_us = call->now_utc_us;
    call->ops->set_patience(call->engine, 0); /* somebody writes: the next request will tell */
    enum weir_status ignored = weir_token_used(&people, token, NULL);
    (void)ignored;
    call->ops->set_patience(call->engine, call->patience_ms);
}

static enum weir_reason by_token(struct weir_operation_call *call, struct weir_span text, char problem[PROBLEM_SIZE]) {
    const struct weir_people people = people_of(call);
    const struct weir_key_format format = {call->settings->brand, weir_span_of_string(call->settings->environment)};
    struct weir_token_record token;
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_token_check(&format, text);
    if (status == WEIR_EDENIED)
        return refuse(problem, WEIR_REASON_OPERATOR_TOKEN_INVALID, "it is a token of another environment");
    if (status != WEIR_OK)
        return refuse(problem, WEIR_REASON_OPERATOR_TOKEN_INVALID,
                      weir_key_check(&format, text) == WEIR_REASON_NONE
                          ? "it is an API key of the data plane, not a token of an operator"
                          : "");
    status = weir_token_find(&people, text, &token, &error);
    if (status == WEIR_ENOTFOUND)
        return refuse(problem, WEIR_REASON_OPERATOR_TOKEN_INVALID, "");
    if (status != WEIR_OK)
        return store_failed(call, status, &error, problem);
    if (token.expires_utc_us != 0 && token.expires_utc_us <= call->now_utc_us)
        return refuse(problem, WEIR_REASON_OPERATOR_TOKEN_INVALID, "it has expired");
    enum weir_reason reason = become(call, token.owner, token.role, WEIR_REASON_OPERATOR_TOKEN_INVALID, problem);
    if (reason != WEIR_REASON_NONE)
        return reason;
    call->actor.kind = WEIR_ACTOR_TOKEN;
    call->actor.token_id = token.id;
    call->identity.expires_utc_us = token.expires_utc_us;
    note_use(call, &token);
    return WEIR_REASON_NONE;
}

/* --- what a login gave --- */

/* The session is there: is it good still? */
static enum weir_reason by_session(struct weir_operation_call *call, const struct weir_session_record *session,
                                   char problem[PROBLEM_SIZE]) {
    const struct weir_people people = people_of(call);
    struct weir_token_record token;
    struct weir_error error = {.text = ""};
    if (session->expires_utc_us <= call->now_utc_us)
        return refuse(problem, WEIR_REASON_OPERATOR_SESSION_ENDED, "its time is over");
    if (session->token.length > 0) {
        enum weir_status status = weir_token_get(&people, session->owner, session->token, &token, &error);
        if (status == WEIR_ENOTFOUND ||
            (status == WEIR_OK && token.expires_utc_us != 0 && token.expires_utc_us <= call->now_utc_us))
            return refuse(problem, WEIR_REASON_OPERATOR_SESSION_ENDED, "the token that it was made with is gone");
        if (status != WEIR_OK)
            return store_failed(call, status, &error, problem);
    }
    enum weir_reason reason = become(call, session->owner, session->role, WEIR_REASON_OPERATOR_SESSION_ENDED, problem);
    if (reason != WEIR_REASON_NONE)
        return reason;
    call->actor.kind = session->is_cookie ? WEIR_ACTOR_SESSION : WEIR_ACTOR_TOKEN;
    call->actor.token_id = session->id;
    call->identity.session_id = session->id;
    call->identity.expires_utc_us = session->expires_utc_us;
    return WEIR_REASON_NONE;
}

static enum weir_reason by_claims(struct weir_operation_call *call, struct weir_span text, char problem[PROBLEM_SIZE]) {
    const struct weir_people people = people_of(call);
    const struct weir_secret *key = NULL;
    struct weir_claims claims;
    struct weir_session_record session;
    struct weir_error error = {.text = ""};
    enum weir_status status = operator__gate_key(call->gate, call->settings->store_directory, &key, &error);
    if (status != WEIR_OK)
        return refuse(problem, WEIR_REASON_OPERATOR_STORE_UNAVAILABLE, error.text);
    if (weir_claims_read(key, text, call->arena, &claims) != WEIR_OK)
        return refuse(problem, WEIR_REASON_OPERATOR_TOKEN_INVALID, "");
    if (claims.expires_s <= call->now_utc_us / 1000000)
        return refuse(problem, WEIR_REASON_OPERATOR_SESSION_ENDED, "its time is over");
    status = weir_session_get(&people, claims.subject, claims.session, &session, &error);
    if (status == WEIR_ENOTFOUND || (status == WEIR_OK && session.is_cookie))
        return refuse(problem, WEIR_REASON_OPERATOR_SESSION_ENDED, "");
    return status == WEIR_OK ? by_session(call, &session, problem) : store_failed(call, status, &error, problem);
}

static enum weir_reason by_authorization(struct weir_operation_call *call, const struct weir_span *field,
                                         char problem[PROBLEM_SIZE]) {
    struct weir_span text;
    if (weir_http_head_count(&call->head, WEIR_SPAN("authorization")) > 1 ||
        weir_key_from_header(field, &text) != WEIR_REASON_NONE)
        return refuse(problem, WEIR_REASON_OPERATOR_TOKEN_INVALID, "expected one field Authorization: Bearer <token>");
    return weir_span_index(text, '.') < text.length ? by_claims(call, text, problem) : by_token(call, text, problem);
}

/* --- cookies --- */

static enum weir_reason check_csrf(struct weir_operation_call *call, struct weir_span cookie,
                                   char problem[PROBLEM_SIZE]) {
    const struct weir_secret *key = NULL;
    struct weir_error error = {.text = ""};
    char expected[WEIR_CSRF_TOKEN_SIZE];
    enum weir_status status = operator__gate_key(call->gate, call->settings->store_directory, &key, &error);
    if (status == WEIR_OK)
        status = weir_csrf_token(key, cookie, expected);
    if (status == WEIR_OK)
        status = weir_arena_dup(call->arena, weir_span_of_string(expected), &call->identity.csrf_token);
    if (status != WEIR_OK)
        return refuse(problem, WEIR_REASON_OPERATOR_STORE_UNAVAILABLE, error.text);
    if (!call->row->changes)
        return WEIR_REASON_NONE;
    struct weir_span sent = weir_operation_header(call, "x-csrf-token");
    bool is_good = weir_http_head_count(&call->head, WEIR_SPAN("x-csrf-token")) == 1 &&
                   sent.length == sizeof expected - 1 &&
                   weir_memory_equal_constant_time(sent.at, expected, sizeof expected - 1);
    return is_good ? WEIR_REASON_NONE : refuse(problem, WEIR_REASON_CSRF_TOKEN_INVALID, "");
}

static enum weir_reason by_cookie(struct weir_operation_call *call, struct weir_span cookie,
                                  char problem[PROBLEM_SIZE]) {
    const struct weir_people people = people_of(call);
    struct weir_session_record session;
    struct weir_error error = {.text = ""};
    if (cookie.length != WEIR_SESSION_COOKIE_DIGITS)
        return refuse(problem, WEIR_REASON_OPERATOR_SESSION_ENDED, "");
    enum weir_status status = weir_session_find(&people, cookie, &session, &error);
    if (status == WEIR_ENOTFOUND || (status == WEIR_OK && !session.is_cookie))
        return refuse(problem, WEIR_REASON_OPERATOR_SESSION_ENDED, "");
    if (status != WEIR_OK)
        return store_failed(call, status, &error, problem);
    enum weir_reason reason = by_session(call, &session, problem);
    return reason == WEIR_REASON_NONE ? check_csrf(call, cookie, problem) : reason;
}

/* --- the local operator of dev --- */

static struct weir_span host_of(struct weir_span authority) {
    if (authority.length > 0 && authority.at[0] == '[') {
        size_t end = weir_span_index(authority, ']');
        return end < authority.length ? weir_span_of(authority.at + 1, end - 1) : authority;
    }
    return weir_span_first(authority, weir_span_index(authority, ':'));
}

/* Somebody at this machine, by a program of his own: a browser names the page that asks, a proxy whom it asks for. */
static bool is_local(const struct weir_operation_call *call) {
    static const struct weir_span telling[] = {{"origin", 6}, {"forwarded", 9}, {"x-forwarded-for", 15}, {"via", 3}};
    struct weir_address peer;
    if (!call->settings->local_operator || weir_address_parse(weir_span_of_string(call->peer), &peer) != WEIR_OK ||
        !weir_address_is_loopback(&peer) || !weir_url_host_is_loopback(host_of(call->head.authority)))
        return false;
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++)
        if (weir_http_head_find(&call->head, telling[i]) != NULL)
            return false;
    const struct weir_span *site = weir_http_head_find(&call->head, WEIR_SPAN("sec-fetch-site"));
    return site == NULL || weir_span_equal(*site, WEIR_SPAN("none")) ||
           weir_span_equal(*site, WEIR_SPAN("same-origin"));
}

enum weir_reason operator__authenticate(struct weir_operation_call *call, char problem[PROBLEM_SIZE]) {
    const struct weir_span *authorization = weir_http_head_find(&call->head, WEIR_SPAN("authorization"));
    const struct weir_span *cookies = weir_http_head_find(&call->head, WEIR_SPAN("cookie"));
    const struct weir_actor unknown = {.kind = WEIR_ACTOR_UNKNOWN,
                                       .id = WEIR_SPAN(""),
                                       .name = WEIR_SPAN(""),
                                       .email = WEIR_SPAN(""),
                                       .token_id = WEIR_SPAN(""),
                                       .address = weir_span_of_string(call->peer)};
    struct weir_span cookie = WEIR_SPAN("");
    enum weir_reason reason = WEIR_REASON_OPERATOR_UNKNOWN;
    enum weir_status found = cookies == NULL ? WEIR_ENOTFOUND
                             : weir_http_head_count(&call->head, WEIR_SPAN("cookie")) > 1
                                 ? WEIR_EINVAL
                                 : weir_cookie_find(*cookies, WEIR_SPAN(OPERATOR__COOKIE_NAME), &cookie);
    problem[0] = '\0';
    call->actor = unknown;
    call->identity = (struct operator__identity){.display_name = WEIR_SPAN("")};
    if (authorization != NULL) {
        reason = by_authorization(call, authorization, problem);
    } else if (found == WEIR_OK) {
        reason = by_cookie(call, cookie, problem);
    } else if (found == WEIR_EINVAL) {
        reason = refuse(problem, WEIR_REASON_OPERATOR_SESSION_ENDED, "the cookie came twice");
    } else if (is_local(call)) {
        call->actor.kind = WEIR_ACTOR_LOCAL;
        call->actor.role = WEIR_ROLE_OWNER;
        call->actor.name = WEIR_SPAN("local");
        return WEIR_REASON_NONE;
    }
    if (reason != WEIR_REASON_NONE && reason != WEIR_REASON_CSRF_TOKEN_INVALID)
        call->actor = unknown; /* whoever it seemed to be; the session of a page that misses its token is known */
    return reason;
}

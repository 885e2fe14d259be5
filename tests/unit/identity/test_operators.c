/* Operators, their tokens, passwords and sessions: what is accepted by its bytes, and what the store gives back. */
#include "identity/actor.h"
#include "identity/operators.h"
#include "identity/passwords.h"
#include "identity/sessions.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct weir_key_format format = {.brand = {.at = "weir", .length = 4},
                                              .environment = {.at = "dev", .length = 3}};

static void roles_hold_each_other(void **state) {
    (void)state;
    for (enum weir_role a = WEIR_ROLE_VIEWER; a < WEIR_ROLE_COUNT; a++) {
        enum weir_role found = WEIR_ROLE_NONE;
        assert_int_equal(weir_role_find(weir_span_of_string(weir_role_name(a)), &found), WEIR_OK);
        assert_int_equal(found, a);
        assert_true(weir_role_within(a, a));
        assert_true(weir_role_within(WEIR_ROLE_VIEWER, a) && weir_role_within(a, WEIR_ROLE_OWNER));
        for (enum weir_role b = WEIR_ROLE_VIEWER; b < WEIR_ROLE_COUNT; b++) {
            enum weir_role both = weir_role_common(a, b);
            assert_int_equal(both, weir_role_common(b, a));
            assert_true(weir_role_within(both, a) && weir_role_within(both, b));
            assert_true(a == b || !(weir_role_within(a, b) && weir_role_within(b, a)));
        }
    }
    assert_false(weir_role_within(WEIR_ROLE_AUDITOR, WEIR_ROLE_OPERATOR));
    assert_false(weir_role_within(WEIR_ROLE_OPERATOR, WEIR_ROLE_AUDITOR));
    assert_true(weir_role_within(WEIR_ROLE_AUDITOR, WEIR_ROLE_ADMIN));
    assert_false(weir_role_within(WEIR_ROLE_OWNER, WEIR_ROLE_ADMIN));
    assert_int_equal(weir_role_common(WEIR_ROLE_AUDITOR, WEIR_ROLE_OPERATOR), WEIR_ROLE_VIEWER);
    enum weir_role none = WEIR_ROLE_OWNER;
    assert_int_equal(weir_role_find(WEIR_SPAN("anyone"), &none), WEIR_ENOTFOUND);
    assert_int_equal(weir_role_find(WEIR_SPAN("Owner"), &none), WEIR_ENOTFOUND);
}

static void login_names_are_plain(void **state) {
    (void)state;
    static const char *const good[] = {"a", "0", "ada", "a.b_c-d", "ada@example.com", "ci+weir"};
    static const char *const bad[] = {"", "A", ".a", "@", "a b", "a/b", "\xc3\xa4", "a:b", "-", "a\n"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(weir_operator_name_is_good(weir_span_of_string(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(weir_operator_name_is_good(weir_span_of_string(bad[i])));
    assert_false(weir_operator_name_is_good(WEIR_SPAN("a\0b")));
    char text[WEIR_OPERATOR_NAME_MAX + 1];
    memset(text, 'a', sizeof text);
    assert_true(weir_operator_name_is_good(weir_span_of(text, sizeof text - 1)));
    assert_false(weir_operator_name_is_good(weir_span_of(text, sizeof text)));
}

static void passwords_are_kept_as_argon2id(void **state) {
    (void)state;
    char hash[WEIR_PASSWORD_HASH_SIZE], nobody[WEIR_PASSWORD_HASH_SIZE];
    struct weir_span password = WEIR_SPAN("twelve bytes"), other = WEIR_SPAN("twelve bytez");
    assert_int_equal(weir_password_hash(password, hash), WEIR_OK);
    assert_true(weir_span_starts_with(weir_span_of_string(hash), WEIR_SPAN("$argon2id$v=19$m=65536,t=2,p=1$")));
    assert_true(weir_password_matches(weir_span_of_string(hash), password));
    assert_false(weir_password_matches(weir_span_of_string(hash), other));
    assert_false(weir_password_matches(weir_span_of_string(hash), weir_span_first(password, 11)));
    assert_int_equal(weir_password_of_nobody(nobody), WEIR_OK);
    assert_true(weir_span_starts_with(weir_span_of_string(nobody), weir_span_first(weir_span_of_string(hash), 31)));
    assert_false(weir_password_matches(weir_span_of_string(nobody), password));
    assert_false(weir_password_matches(WEIR_SPAN(""), password));
    assert_false(weir_password_matches(password, password));
    assert_int_equal(weir_password_hash(WEIR_SPAN("eleven byte"), hash), WEIR_EINVAL);
    char large[WEIR_PASSWORD_MAX_BYTES + 1];
    memset(large, 'a', sizeof large);
    assert_int_equal(weir_password_hash(weir_span_of(large, sizeof large), hash), WEIR_EINVAL);
    struct weir_span with_nul = WEIR_SPAN("eleven b\0te2");
    assert_int_equal(weir_password_hash(with_nul, hash), WEIR_OK);
    assert_false(weir_password_matches(weir_span_of_string(hash), WEIR_SPAN("eleven b\0te3")));
}

/* --- with a store --- */

struct world {
    char folder[64];
    struct weir_people people;
    struct weir_random random;
};

static int set_up(void **state) {
    struct world *world = calloc(1, sizeof *world);
    struct weir_error error;
    assert_non_null(world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/weir-people-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    world->people = (struct weir_people){.ops = &weir_engine_sqlite, .arena = weir_arena_new(0, 16 * WEIR_MIB)};
    assert_int_equal(weir_store_direct_open(world->folder, "dev", true, &world->people.engine, &error), WEIR_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    char command[128];
    weir_store_direct_close(&world->people.engine);
    weir_arena_free(&world->people.arena);
    (void)snprintf(command, sizeof command, "rm -r %s", world->folder);
    assert_int_equal(system(command), 0);
    free(world);
    return 0;
}

static struct weir_operator_record make(struct world *world, const char *name, enum weir_role role) {
    struct weir_operator_record record = {.name = weir_span_of_string(name),
                                          .display_name = WEIR_SPAN("\"quoted\" \xe2\x98\x83"),
                                          .email = WEIR_SPAN("a@b.example"),
                                          .password = WEIR_SPAN("$argon2id$not really"),
                                          .role = role};
    struct weir_error error;
    assert_int_equal(weir_operator_create(&world->people, &world->random, 1000, &record, &error), WEIR_OK);
    return record;
}

static void an_operator_comes_back_as_it_was(void **state) {
    struct world *world = *state;
    struct weir_operator_record made = make(world, "ada", WEIR_ROLE_AUDITOR), found;
    struct weir_error error;
    assert_int_equal(made.id.length, 20);
    for (int by_name = 0; by_name < 2; by_name++) {
        assert_int_equal(by_name ? weir_operator_find(&world->people, WEIR_SPAN("ada"), &found, &error)
                                 : weir_operator_get(&world->people, made.id, &found, &error),
                         WEIR_OK);
        assert_true(weir_span_equal(found.id, made.id) && weir_span_equal(found.name, made.name));
        assert_true(weir_span_equal(found.display_name, made.display_name) && weir_span_equal(found.email, made.email));
        assert_true(weir_span_equal(found.password, made.password));
        assert_int_equal(found.role, WEIR_ROLE_AUDITOR);
        assert_false(found.disabled);
        assert_int_equal(found.version, 1);
    }
    found.name = WEIR_SPAN("grace");
    found.disabled = true;
    assert_int_equal(weir_operator_update(&world->people, 2000, &found, 9, &error), WEIR_ESTALE);
    assert_int_equal(weir_operator_update(&world->people, 2000, &found, 1, &error), WEIR_OK);
    assert_int_equal(found.version, 2);
    assert_int_equal(weir_operator_find(&world->people, WEIR_SPAN("ada"), &found, &error), WEIR_ENOTFOUND);
    assert_int_equal(weir_operator_find(&world->people, WEIR_SPAN("grace"), &found, &error), WEIR_OK);
    assert_true(found.disabled);
    struct weir_operator_record same = {.name = WEIR_SPAN("grace"), .role = WEIR_ROLE_VIEWER};
    assert_int_equal(weir_operator_create(&world->people, &world->random, 1, &same, &error), WEIR_EEXIST);
}

static void the_last_owner_is_known(void **state) {
    struct world *world = *state;
    struct weir_operator_record first = make(world, "first", WEIR_ROLE_OWNER);
    struct weir_error error;
    bool other = true;
    (void)make(world, "admin", WEIR_ROLE_ADMIN);
    assert_int_equal(weir_operator_other_owner(&world->people, first.id, &other, &error), WEIR_OK);
    assert_false(other);
    struct weir_operator_record second = make(world, "second", WEIR_ROLE_OWNER);
    assert_int_equal(weir_operator_other_owner(&world->people, first.id, &other, &error), WEIR_OK);
    assert_true(other);
    second.disabled = true;
    assert_int_equal(weir_operator_update(&world->people, 1, &second, 0, &error), WEIR_OK);
    assert_int_equal(weir_operator_other_owner(&world->people, first.id, &other, &error), WEIR_OK);
    assert_false(other);
    assert_int_equal(weir_operator_other_owner(&world->people, second.id, &other, &error), WEIR_OK);
    assert_true(other);
}

static void tokens_check_by_their_bytes_and_are_found(void **state) {
    struct world *world = *state;
    struct weir_operator_record person = make(world, "ada", WEIR_ROLE_ADMIN);
    struct weir_token_record token = {.owner = person.id,
                                      .name = WEIR_SPAN("ci"),
                                      .role = WEIR_ROLE_VIEWER,
                                      .created_utc_us = 5,
                                      .expires_utc_us = 7},
                             found;
    struct weir_secret *secret = NULL;
    struct weir_error error;
    assert_int_equal(weir_token_create(&world->people, &format, &world->random, &token, &secret, &error), WEIR_OK);
    struct weir_span text = weir_secret_reveal(secret);
    assert_true(weir_span_starts_with(text, WEIR_SPAN("weir_op_dev_")));
    assert_int_equal(text.length, strlen("weir_op_dev_") + 43 + 6);
    assert_int_equal(weir_token_check(&format, text), WEIR_OK);
    const struct weir_key_format elsewhere = {WEIR_SPAN("weir"), WEIR_SPAN("prod")};
    assert_int_equal(weir_token_check(&elsewhere, text), WEIR_EDENIED);
    const struct weir_key_format other_brand = {WEIR_SPAN("dam"), WEIR_SPAN("dev")};
    assert_int_equal(weir_token_check(&other_brand, text), WEIR_EINVAL);
    char changed[WEIR_MAX_KEY_BYTES + 1];
    assert_int_equal(weir_span_to_string(text, changed, sizeof changed), WEIR_OK);
    for (size_t i = 0; i < text.length; i++) {
        char right = changed[i];
        changed[i] = right == '0' ? '1' : '0';
        assert_int_not_equal(weir_token_check(&format, weir_span_of(changed, text.length)), WEIR_OK);
        changed[i] = right;
        assert_int_equal(weir_token_check(&format, weir_span_of(changed, i)), WEIR_EINVAL);
    }
    assert_int_equal(weir_token_find(&world->people, text, &found, &error), WEIR_OK);
    assert_true(weir_span_equal(found.owner, person.id) && weir_span_equal(found.id, token.id));
    assert_int_equal(found.role, WEIR_ROLE_VIEWER);
    assert_true(found.expires_utc_us == 7 && found.created_utc_us == 5);
    found.last_used_utc_us = 6;
    assert_int_equal(weir_token_used(&world->people, &found, &error), WEIR_OK);
    assert_int_equal(weir_token_used(&world->people, &found, &error), WEIR_ESTALE);
    assert_int_equal(weir_token_get(&world->people, person.id, token.id, &found, &error), WEIR_OK);
    assert_true(found.last_used_utc_us == 6 && found.expires_utc_us == 7);
    assert_int_equal(weir_token_find(&world->people, text, &found, &error), WEIR_OK);
    assert_int_equal(weir_operator_remove(&world->people, person.id, 0, 9, &error), WEIR_OK);
    assert_int_equal(weir_token_find(&world->people, text, &found, &error), WEIR_ENOTFOUND);
    weir_secret_free(&secret);
}

static void many_sessions_end_together(void **state) {
    enum { SESSIONS = 450 }; /* more than are looked at together */
    struct world *world = *state;
    struct weir_operator_record ada = make(world, "ada", WEIR_ROLE_ADMIN),
                                grace = make(world, "grace", WEIR_ROLE_ADMIN);
    struct weir_session_record session = {.owner = ada.id, .token = WEIR_SPAN("tok_x"), .role = WEIR_ROLE_VIEWER},
                               kept = session, others = session, found;
    struct weir_secret *cookie = NULL;
    struct weir_error error;
    for (unsigned i = 0; i < SESSIONS; i++)
        assert_int_equal(weir_session_create(&world->people, &world->random, &session, &cookie, &error), WEIR_OK);
    assert_null(cookie);
    kept.is_cookie = true;
    kept.expires_utc_us = INT64_MAX;
    others.owner = grace.id;
    assert_int_equal(weir_session_create(&world->people, &world->random, &others, &cookie, &error), WEIR_OK);
    assert_int_equal(weir_session_create(&world->people, &world->random, &kept, &cookie, &error), WEIR_OK);
    assert_int_equal(weir_operator_end_sessions(&world->people, ada.id, kept.id, 1, &error), WEIR_OK);
    assert_int_equal(weir_session_get(&world->people, ada.id, session.id, &found, &error), WEIR_ENOTFOUND);
    assert_int_equal(weir_session_get(&world->people, grace.id, others.id, &found, &error), WEIR_OK);
    assert_int_equal(weir_session_find(&world->people, weir_secret_reveal(cookie), &found, &error), WEIR_OK);
    assert_true(found.is_cookie && found.role == WEIR_ROLE_VIEWER && weir_span_equal(found.token, WEIR_SPAN("tok_x")));
    assert_true(found.expires_utc_us == INT64_MAX && weir_span_equal(found.owner, ada.id));
    weir_secret_free(&cookie);
}

/* --- signing --- */

static struct weir_secret *key_of(char byte) {
    char bytes[WEIR_SIGNING_KEY_BYTES];
    memset(bytes, byte, sizeof bytes);
    return weir_secret_new(weir_span_of(bytes, sizeof bytes));
}

static void claims_are_signed_and_read(void **state) {
    struct world *world = *state;
    struct weir_secret *key = key_of('k'), *other = key_of('o');
    const struct weir_claims claims = {
        WEIR_SPAN("opr_a"), WEIR_SPAN("ses_b"), WEIR_SPAN("a@b"), WEIR_ROLE_ADMIN, 10, 20};
    struct weir_claims found;
    struct weir_buffer token;
    weir_buffer_init(&token, WEIR_SIGNED_MAX);
    assert_int_equal(weir_claims_sign(key, &claims, &token), WEIR_OK);
    struct weir_span text = weir_buffer_span(&token);
    assert_int_equal(weir_claims_read(key, text, world->people.arena, &found), WEIR_OK);
    assert_true(weir_span_equal(found.subject, claims.subject) && weir_span_equal(found.session, claims.session));
    assert_true(found.role == WEIR_ROLE_ADMIN && found.issued_s == 10 && found.expires_s == 20);
    assert_int_equal(weir_claims_read(other, text, world->people.arena, &found), WEIR_EDENIED);
    for (size_t i = 0; i < token.length; i++) {
        char right = token.at[i];
        token.at[i] = right == 'A' ? 'B' : 'A';
        assert_int_not_equal(weir_claims_read(key, text, world->people.arena, &found), WEIR_OK);
        token.at[i] = right;
        assert_int_equal(weir_claims_read(key, weir_span_first(text, i), world->people.arena, &found), WEIR_EINVAL);
    }
    weir_buffer_release(&token);
    weir_secret_free(&key);
    weir_secret_free(&other);
}

/* The example of RFC 7515, appendix A.1: the signature is right, but it is nobody's session here. */
static void a_token_of_somebody_else_is_none_of_ours(void **state) {
    static const char token[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    struct world *world = *state;
    struct weir_claims found;
    struct weir_secret *key = key_of('k');
    assert_int_equal(weir_claims_read(key, weir_span_of_string(token), world->people.arena, &found), WEIR_EDENIED);
    weir_secret_free(&key);
}

static void cookies_are_found_once(void **state) {
    (void)state;
    static const struct {
        const char *field;
        enum weir_status status;
        const char *value;
    } rows[] = {
        {"s=1", WEIR_OK, "1"},
        {"a=b; s=1; c=d", WEIR_OK, "1"},
        {"a=b;s=1", WEIR_OK, "1"},
        {" s=1 ", WEIR_OK, "1"},
        {"s=", WEIR_OK, ""},
        {"s=a=b", WEIR_OK, "a=b"},
        {"", WEIR_ENOTFOUND, ""},
        {"s", WEIR_ENOTFOUND, ""},
        {"ss=1", WEIR_ENOTFOUND, ""},
        {"S=1", WEIR_ENOTFOUND, ""},
        {"a=s=1", WEIR_ENOTFOUND, ""},
        {"s=1; s=1", WEIR_EINVAL, ""},
        {"s=1; a=b; s=", WEIR_EINVAL, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_span value = WEIR_SPAN("");
        assert_int_equal(weir_cookie_find(weir_span_of_string(rows[i].field), WEIR_SPAN("s"), &value), rows[i].status);
        assert_true(weir_span_equal(value, weir_span_of_string(rows[i].value)));
    }
}

static void a_csrf_token_belongs_to_one_cookie_and_key(void **state) {
    (void)state;
    struct weir_secret *key = key_of('k'), *other = key_of('o');
    char one[WEIR_CSRF_TOKEN_SIZE], two[WEIR_CSRF_TOKEN_SIZE];
    assert_int_equal(weir_csrf_token(key, WEIR_SPAN("cookie"), one), WEIR_OK);
    assert_int_equal(strlen(one), WEIR_CSRF_TOKEN_SIZE - 1);
    assert_int_equal(weir_csrf_token(key, WEIR_SPAN("cookie"), two), WEIR_OK);
    assert_string_equal(one, two);
    assert_int_equal(weir_csrf_token(key, WEIR_SPAN("cookie2"), two), WEIR_OK);
    assert_string_not_equal(one, two);
    assert_int_equal(weir_csrf_token(other, WEIR_SPAN("cookie"), two), WEIR_OK);
    assert_string_not_equal(one, two);
    weir_secret_free(&key);
    weir_secret_free(&other);
}

static void the_signing_key_is_made_once_and_for_its_user_alone(void **state) {
    struct world *world = *state;
    struct weir_secret *first = NULL, *second = NULL;
    struct weir_error error = {.text = ""};
    struct stat about;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/session-key", world->folder);
    assert_int_equal(weir_signing_key_open(world->folder, &first, &error), WEIR_OK);
    assert_int_equal(weir_secret_reveal(first).length, WEIR_SIGNING_KEY_BYTES);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(weir_signing_key_open(world->folder, &second, &error), WEIR_OK);
    assert_true(weir_span_equal(weir_secret_reveal(first), weir_secret_reveal(second)));
    weir_secret_free(&first);
    weir_secret_free(&second);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(weir_signing_key_open(world->folder, &first, &error), WEIR_EDENIED);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 64), 0);
    assert_int_equal(weir_signing_key_open(world->folder, &first, &error), WEIR_ECORRUPT);
    assert_null(first);
    assert_int_equal(weir_signing_key_open("/nonexistent", &first, &error), WEIR_EIO);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_hold_each_other),
        cmocka_unit_test(login_names_are_plain),
        cmocka_unit_test(passwords_are_kept_as_argon2id),
        WITH_STORE(an_operator_comes_back_as_it_was),
        WITH_STORE(the_last_owner_is_known),
        WITH_STORE(tokens_check_by_their_bytes_and_are_found),
        WITH_STORE(many_sessions_end_together),
        WITH_STORE(claims_are_signed_and_read),
        WITH_STORE(a_token_of_somebody_else_is_none_of_ours),
        cmocka_unit_test(cookies_are_found_once),
        cmocka_unit_test(a_csrf_token_belongs_to_one_cookie_and_key),
        WITH_STORE(the_signing_key_is_made_once_and_for_its_user_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* See sessions.h. Signing and verifying, and the session's row; no clock of its own. */
#include "identity/sessions.h"

#include "base/memory.h"
#include "identity/impl.h"
#include "json/write.h"

#include <sodium.h>

_Static_assert(WEIR_SIGNING_KEY_BYTES == crypto_auth_hmacsha256_KEYBYTES, "the size of a signing key");

enum {
    BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
    SIGNATURE_BYTES = crypto_auth_hmacsha256_BYTES,
    SIGNATURE_DIGITS = 43,
    TEXT_BYTES = 4096,
    ID_DIGITS = 16
};

/* base64url of {"alg":"HS256","typ":"JWT"} */
static const char header_text[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

static void append_base64(struct weir_buffer *out, struct weir_span bytes) {
    size_t room = sodium_base64_encoded_len(bytes.length, BASE64);
    char *to = weir_buffer_reserve(out, room);
    if (to == NULL)
        return;
    (void)sodium_bin2base64(to, room, (const unsigned char *)bytes.at, bytes.length, BASE64);
    weir_buffer_commit(out, room - 1); /* without its NUL */
}

/* Strict: no padding, no white space, no bits left over. */
static enum weir_status read_base64(struct weir_arena *arena, struct weir_span text, struct weir_span *bytes) {
    size_t length = 0, room = text.length + 1;
    unsigned char *to = weir_arena_alloc_raw(arena, room);
    if (to == NULL)
        return WEIR_ENOMEM;
    if (sodium_base642bin(to, room, text.at, text.length, NULL, &length, NULL, BASE64) != 0)
        return WEIR_EINVAL;
    *bytes = weir_span_of((const char *)to, length);
    return WEIR_OK;
}

static void sign(const struct weir_secret *key, struct weir_span text, unsigned char out[SIGNATURE_BYTES]) {
    const unsigned char *bytes = (const unsigned char *)weir_secret_reveal(key).at;
    (void)crypto_auth_hmacsha256(out, (const unsigned char *)text.at, text.length, bytes);
}

enum weir_status weir_claims_sign(const struct weir_secret *key, const struct weir_claims *claims,
                                  struct weir_buffer *token) {
    struct weir_buffer json;
    struct weir_json_writer writer;
    unsigned char signature[SIGNATURE_BYTES];
    size_t start = token->length;
    bool is_admin = weir_role_within(WEIR_ROLE_ADMIN, claims->role);
    weir_buffer_init(&json, TEXT_BYTES);
    weir_json_writer_init(&writer, &json);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "sub", claims->subject);
    weir_json_member_text(&writer, "role", weir_role_name(claims->role));
    weir_json_member_text(&writer, "team_id", NULL);
    weir_json_member_bool(&writer, "is_admin", is_admin);
    weir_json_member_string(&writer, "email", claims->email);
    weir_json_member_text(&writer, "org_id", NULL);
    weir_json_member_bool(&writer, "is_platform_admin", is_admin);
    weir_json_write_name(&writer, "org_roles");
    weir_json_write_array(&writer);
    weir_json_write_end(&writer);
    weir_json_member_int64(&writer, "exp", claims->expires_s);
    weir_json_member_int64(&writer, "iat", claims->issued_s);
    weir_json_member_string(&writer, "jti", claims->session);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&json);
    if (status == WEIR_OK) {
        weir_buffer_append(token, weir_span_of(header_text, sizeof header_text - 1));
        weir_buffer_append_byte(token, '.');
        append_base64(token, weir_buffer_span(&json));
        status = weir_buffer_status(token);
    }
    if (status == WEIR_OK) {
        sign(key, weir_span_from(weir_buffer_span(token), start), signature);
        weir_buffer_append_byte(token, '.');
        append_base64(token, weir_span_of((const char *)signature, sizeof signature));
        status = weir_buffer_status(token);
    }
    weir_buffer_release(&json);
    return status;
}

/* Where "header.payload.signature" is split. */
static bool split(struct weir_span token, struct weir_span *header, struct weir_span *payload,
                  struct weir_span *signature) {
    struct weir_span rest;
    return token.length <= WEIR_SIGNED_MAX && weir_span_split(token, '.', header, &rest) &&
           weir_span_split(rest, '.', payload, signature) && weir_span_index(*signature, '.') == signature->length;
}

/* `typ` and unknown members are left alone, but not `crit`: it names what must be understood, and nothing is. */
static bool header_is_good(struct weir_arena *arena, struct weir_span text) {
    struct weir_span json, algorithm = WEIR_SPAN(""), critical = WEIR_SPAN("");
    const struct identity__member members[] = {{"alg", IDENTITY_TEXT, &algorithm}, {"crit", IDENTITY_TEXT, &critical}};
    /* `crit` is an array, so it fails to be read as a text; as a text it is no better. */
    return read_base64(arena, text, &json) == WEIR_OK && identity__read_members(arena, json, members, 2) == WEIR_OK &&
           weir_span_equal(algorithm, WEIR_SPAN("HS256")) && critical.length == 0;
}

enum weir_status weir_claims_read(const struct weir_secret *key, struct weir_span token, struct weir_arena *arena,
                                  struct weir_claims *claims) {
    struct weir_span header, payload, signature, bytes, json, role = WEIR_SPAN("");
    unsigned char expected[SIGNATURE_BYTES];
    struct weir_claims made = {.subject = WEIR_SPAN(""), .session = WEIR_SPAN(""), .email = WEIR_SPAN("")};
    if (!split(token, &header, &payload, &signature) || signature.length != SIGNATURE_DIGITS ||
        read_base64(arena, signature, &bytes) != WEIR_OK || bytes.length != sizeof expected)
        return WEIR_EINVAL;
    sign(key, weir_span_first(token, header.length + 1 + payload.length), expected);
    if (!weir_memory_equal_constant_time(expected, bytes.at, sizeof expected))
        return WEIR_EDENIED;
    const struct identity__member members[] = {
        {"sub", IDENTITY_TEXT, &made.subject},    {"jti", IDENTITY_TEXT, &made.session},
        {"email", IDENTITY_TEXT, &made.email},    {"role", IDENTITY_TEXT, &role},
        {"iat", IDENTITY_NUMBER, &made.issued_s}, {"exp", IDENTITY_NUMBER, &made.expires_s},
    };
    if (!header_is_good(arena, header) || read_base64(arena, payload, &json) != WEIR_OK ||
        identity__read_members(arena, json, members, sizeof members / sizeof *members) != WEIR_OK ||
        made.subject.length == 0 || made.session.length == 0 || made.expires_s <= 0 ||
        weir_role_find(role, &made.role) != WEIR_OK)
        return WEIR_EINVAL;
    *claims = made;
    return WEIR_OK;
}

/* --- cookies --- */

enum weir_status weir_cookie_find(struct weir_span field, struct weir_span name, struct weir_span *value) {
    struct weir_span rest = field, pair, one, text, found = {.at = NULL};
    while (rest.length > 0) {
        (void)weir_span_split(rest, ';', &pair, &rest);
        if (!weir_span_split(weir_span_trim(pair), '=', &one, &text) || !weir_span_equal(one, name))
            continue;
        if (found.at != NULL)
            return WEIR_EINVAL; /* somebody has put a second one beside ours */
        found = text;
    }
    if (found.at == NULL)
        return WEIR_ENOTFOUND;
    *value = found;
    return WEIR_OK;
}

enum weir_status weir_csrf_token(const struct weir_secret *key, struct weir_span cookie,
                                 char out[WEIR_CSRF_TOKEN_SIZE]) {
    unsigned char signature[SIGNATURE_BYTES];
    struct weir_buffer text;
    weir_buffer_init(&text, TEXT_BYTES);
    weir_buffer_append(&text, WEIR_SPAN("csrf:")); /* a JWT's text begins otherwise: none is the other */
    weir_buffer_append(&text, cookie);
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK) {
        sign(key, weir_buffer_span(&text), signature);
        (void)sodium_bin2base64(out, WEIR_CSRF_TOKEN_SIZE, signature, sizeof signature, BASE64);
        weir_memory_wipe(text.at, text.length);
    }
    weir_buffer_release(&text);
    return status;
}

/* --- in the store --- */

static void handle_of(struct weir_span cookie, char handle[WEIR_TOKEN_HANDLE_SIZE]) {
    unsigned char hash[32];
    weir_key_hash(cookie, hash);
    weir_hex_format(hash, sizeof hash, handle);
}

static enum weir_status write_session(struct weir_arena *arena, const struct weir_session_record *record,
                                      struct weir_span *text) {
    struct weir_buffer buffer;
    struct weir_json_writer writer;
    weir_buffer_init(&buffer, TEXT_BYTES);
    weir_json_writer_init(&writer, &buffer);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "token", record->token);
    weir_json_member_text(&writer, "role", record->role != WEIR_ROLE_NONE ? weir_role_name(record->role) : NULL);
    weir_json_member_bool(&writer, "cookie", record->is_cookie);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&buffer);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&buffer), text);
    weir_buffer_release(&buffer);
    return status;
}

enum weir_status weir_session_create(const struct weir_people *people, struct weir_random *random,
                                     struct weir_session_record *record, struct weir_secret **cookie,
                                     struct weir_error *error) {
    char id[4 + ID_DIGITS], value[WEIR_SESSION_COOKIE_DIGITS], handle[WEIR_TOKEN_HANDLE_SIZE] = "";
    struct weir_secret *secret = NULL;
    memcpy(id, "ses_", 4);
    weir_base62_random(random, &id[4], ID_DIGITS);
    if (record->is_cookie) {
        weir_base62_random(random, value, sizeof value);
        secret = weir_secret_new(weir_span_of(value, sizeof value));
        weir_memory_wipe(value, sizeof value);
        if (secret == NULL)
            return weir_fail(error, WEIR_ENOMEM, "no memory for a session");
        handle_of(weir_secret_reveal(secret), handle);
    }
    struct weir_object object = {.kind = WEIR_OBJECT_SESSION,
                                 .parent = record->owner,
                                 .handle = weir_span_of_string(handle),
                                 .created_utc_us = record->created_utc_us,
                                 .updated_utc_us = record->created_utc_us,
                                 .expires_utc_us = record->expires_utc_us};
    enum weir_status status = weir_arena_dup(people->arena, weir_span_of(id, sizeof id), &object.id);
    if (status == WEIR_OK)
        status = write_session(people->arena, record, &object.text);
    if (status != WEIR_OK)
        (void)weir_fail(error, status, "no memory for a session");
    else
        status = people->ops->object_create(people->engine, &object, error);
    if (status != WEIR_OK) {
        weir_secret_free(&secret);
        return status;
    }
    record->id = object.id;
    if (secret != NULL)
        *cookie = secret;
    return WEIR_OK;
}

static enum weir_status read_session(const struct weir_people *people, const struct weir_object *object,
                                     struct weir_session_record *record, struct weir_error *error) {
    struct weir_session_record made = {.id = object->id,
                                       .owner = object->parent,
                                       .token = WEIR_SPAN(""),
                                       .created_utc_us = object->created_utc_us,
                                       .expires_utc_us = object->expires_utc_us};
    struct weir_span role = WEIR_SPAN("");
    const struct identity__member members[] = {{"token", IDENTITY_TEXT, &made.token},
                                               {"role", IDENTITY_TEXT, &role},
                                               {"cookie", IDENTITY_FLAG, &made.is_cookie}};
    enum weir_status status = identity__read_members(people->arena, object->text, members,
                                                     sizeof members / sizeof *members);
    if (status == WEIR_OK && role.length > 0 && weir_role_find(role, &made.role) != WEIR_OK)
        status = WEIR_ECORRUPT;
    if (status != WEIR_OK)
        return weir_fail(error, status, "the record of session %.*s cannot be read", WEIR_SPAN_PRINT(object->id));
    *record = made;
    return WEIR_OK;
}

enum weir_status weir_session_find(const struct weir_people *people, struct weir_span cookie,
                                   struct weir_session_record *record, struct weir_error *error) {
    char handle[WEIR_TOKEN_HANDLE_SIZE];
    struct weir_object object;
    handle_of(cookie, handle);
    enum weir_status status = people->ops->object_find(people->engine, WEIR_OBJECT_SESSION, weir_span_of_string(handle),
                                                       people->arena, &object, error);
    return status == WEIR_OK ? read_session(people, &object, record, error) : status;
}

enum weir_status weir_session_get(const struct weir_people *people, struct weir_span owner, struct weir_span id,
                                  struct weir_session_record *record, struct weir_error *error) {
    struct weir_object object;
    enum weir_status status = people->ops->object_get(people->engine, WEIR_OBJECT_SESSION, owner, id, people->arena,
                                                      &object, error);
    return status == WEIR_OK ? read_session(people, &object, record, error) : status;
}

enum weir_status weir_session_remove(const struct weir_people *people, struct weir_span owner, struct weir_span id,
                                     int64_t now_utc_us, struct weir_error *error) {
    return people->ops->object_remove(people->engine, WEIR_OBJECT_SESSION, owner, id, 0, now_utc_us, error);
}

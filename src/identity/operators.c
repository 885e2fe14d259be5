/* See operators.h. The JSON texts are written and read here alone. */
#include "identity/operators.h"

#include "base/limits.h"
#include "base/memory.h"
#include "identity/impl.h"
#include "json/write.h"

enum {
    TEXT_BYTES = 16 * 1024,
    ID_BYTES = 4 + WEIR_OPERATOR_ID_DIGITS,
    AT_ONCE = 200 /* objects that are looked at together */
};

bool weir_operator_name_is_good(struct weir_span name) {
    static const char marks[] = "._-@+";
    bool good = name.length > 0 && name.length <= WEIR_OPERATOR_NAME_MAX;
    for (size_t i = 0; good && i < name.length; i++) {
        char byte = name.at[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        good = is_plain || (i > 0 && byte != '\0' && strchr(marks, byte) != NULL);
    }
    return good;
}

static enum weir_status make_id(struct weir_arena *arena, struct weir_random *random, const char *prefix,
                                struct weir_span *id) {
    char text[ID_BYTES];
    memcpy(text, prefix, 4);
    weir_base62_random(random, &text[4], WEIR_OPERATOR_ID_DIGITS);
    return weir_arena_dup(arena, weir_span_of(text, sizeof text), id);
}

/* --- operators --- */

enum weir_status weir_operator_read(struct weir_arena *arena, const struct weir_object *object,
                                    struct weir_operator_record *record) {
    struct weir_operator_record made = {.id = object->id,
                                        .name = object->handle,
                                        .display_name = WEIR_SPAN(""),
                                        .email = WEIR_SPAN(""),
                                        .password = WEIR_SPAN(""),
                                        .created_utc_us = object->created_utc_us,
                                        .updated_utc_us = object->updated_utc_us,
                                        .version = object->version,
                                        .number = object->number};
    struct weir_span role = WEIR_SPAN("");
    const struct identity__member members[] = {
        {"display_name", IDENTITY_TEXT, &made.display_name},
        {"email", IDENTITY_TEXT, &made.email},
        {"password", IDENTITY_TEXT, &made.password},
        {"role", IDENTITY_TEXT, &role},
        {"disabled", IDENTITY_FLAG, &made.disabled},
        {"password_changed_us", IDENTITY_NUMBER, &made.password_changed_utc_us},
        {"last_login_us", IDENTITY_NUMBER, &made.last_login_utc_us},
    };
    enum weir_status status = identity__read_members(arena, object->text, members, sizeof members / sizeof *members);
    if (status == WEIR_OK && weir_role_find(role, &made.role) != WEIR_OK)
        status = WEIR_ECORRUPT;
    if (status == WEIR_OK)
        *record = made;
    return status;
}

static enum weir_status write_operator(struct weir_arena *arena, const struct weir_operator_record *record,
                                       struct weir_span *text) {
    struct weir_buffer buffer;
    struct weir_json_writer writer;
    weir_buffer_init(&buffer, TEXT_BYTES);
    weir_json_writer_init(&writer, &buffer);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "name", record->name);
    weir_json_member_string(&writer, "display_name", record->display_name);
    weir_json_member_string(&writer, "email", record->email);
    weir_json_member_text(&writer, "role", weir_role_name(record->role));
    weir_json_member_bool(&writer, "disabled", record->disabled);
    weir_json_member_int64(&writer, "password_changed_us", record->password_changed_utc_us);
    weir_json_member_int64(&writer, "last_login_us", record->last_login_utc_us);
    if (record->password.length > 0)
        weir_json_member_string(&writer, "password", record->password);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&buffer);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&buffer), text);
    weir_buffer_release(&buffer);
    return status;
}

static enum weir_status read_found(const struct weir_people *people, const struct weir_object *object,
                                   struct weir_operator_record *record, struct weir_error *error) {
    enum weir_status status = weir_operator_read(people->arena, object, record);
    return status == WEIR_OK
               ? WEIR_OK
               : weir_fail(error, status, "the record of operator %.*s cannot be read", WEIR_SPAN_PRINT(object->id));
}

enum weir_status weir_operator_get(const struct weir_people *people, struct weir_span id,
                                   struct weir_operator_record *record, struct weir_error *error) {
    struct weir_object object;
    enum weir_status status = people->ops->object_get(people->engine, WEIR_OBJECT_OPERATOR, WEIR_SPAN(""), id,
                                                      people->arena, &object, error);
    return status == WEIR_OK ? read_found(people, &object, record, error) : status;
}

enum weir_status weir_operator_find(const struct weir_people *people, struct weir_span name,
                                    struct weir_operator_record *record, struct weir_error *error) {
    struct weir_object object;
    if (!weir_operator_name_is_good(name))
        return weir_fail(error, WEIR_ENOTFOUND, "that is no login name");
    enum weir_status status = people->ops->object_find(people->engine, WEIR_OBJECT_OPERATOR, name, people->arena,
                                                       &object, error);
    return status == WEIR_OK ? read_found(people, &object, record, error) : status;
}

static enum weir_status object_of(const struct weir_people *people, int64_t now_utc_us,
                                  const struct weir_operator_record *record, struct weir_object *object,
                                  struct weir_error *error) {
    *object = (struct weir_object){.kind = WEIR_OBJECT_OPERATOR,
                                   .parent = WEIR_SPAN(""),
                                   .id = record->id,
                                   .handle = record->name,
                                   .created_utc_us = record->created_utc_us,
                                   .updated_utc_us = now_utc_us};
    enum weir_status status = write_operator(people->arena, record, &object->text);
    return status == WEIR_OK ? WEIR_OK : weir_fail(error, status, "no memory for the record of an operator");
}

enum weir_status weir_operator_create(const struct weir_people *people, struct weir_random *random, int64_t now_utc_us,
                                      struct weir_operator_record *record, struct weir_error *error) {
    struct weir_operator_record made = *record;
    struct weir_object object;
    made.created_utc_us = made.updated_utc_us = now_utc_us;
    enum weir_status status = make_id(people->arena, random, "opr_", &made.id);
    if (status == WEIR_OK)
        status = object_of(people, now_utc_us, &made, &object, error);
    if (status == WEIR_OK)
        status = people->ops->object_create(people->engine, &object, error);
    if (status == WEIR_OK) {
        made.version = object.version;
        made.number = object.number;
        *record = made;
    }
    return status;
}

enum weir_status weir_operator_update(const struct weir_people *people, int64_t now_utc_us,
                                      struct weir_operator_record *record, uint64_t expected_version,
                                      struct weir_error *error) {
    struct weir_object object;
    enum weir_status status = object_of(people, now_utc_us, record, &object, error);
    if (status == WEIR_OK)
        status = people->ops->object_update(people->engine, &object, expected_version, error);
    if (status == WEIR_OK) {
        record->version = object.version;
        record->updated_utc_us = now_utc_us;
    }
    return status;
}

/* --- what belongs to an operator --- */

struct ids {
    struct weir_arena *arena;
    struct weir_span at[AT_ONCE];
    size_t count;
    int64_t last_number;
};

static enum weir_status note_id(void *context, const struct weir_object *object) {
    struct ids *ids = context;
    ids->last_number = object->number;
    return ids->count == AT_ONCE ? WEIR_END : weir_arena_dup(ids->arena, object->id, &ids->at[ids->count++]);
}

static enum weir_status remove_all(const struct weir_people *people, enum weir_object_kind kind, struct weir_span owner,
                                   struct weir_span except, int64_t now_utc_us, struct weir_error *error) {
    struct ids *ids = weir_arena_alloc(people->arena, sizeof *ids);
    if (ids == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory");
    enum weir_status status = WEIR_OK;
    int64_t after = 0;
    do {
        const struct weir_object_query query = {.kind = kind, .parent = owner, .after_number = after, .limit = AT_ONCE};
        *ids = (struct ids){.arena = people->arena, .last_number = after};
        status = people->ops->object_list(people->engine, &query, note_id, ids, error);
        after = ids->last_number;
        for (size_t i = 0; status == WEIR_OK && i < ids->count; i++)
            if (!weir_span_equal(ids->at[i], except))
                status = people->ops->object_remove(people->engine, kind, owner, ids->at[i], 0, now_utc_us, error);
    } while (status == WEIR_OK && ids->count == AT_ONCE);
    return status;
}

enum weir_status weir_operator_end_sessions(const struct weir_people *people, struct weir_span id,
                                            struct weir_span except, int64_t now_utc_us, struct weir_error *error) {
    return remove_all(people, WEIR_OBJECT_SESSION, id, except, now_utc_us, error);
}

enum weir_status weir_operator_remove(const struct weir_people *people, struct weir_span id, uint64_t expected_version,
                                      int64_t now_utc_us, struct weir_error *error) {
    enum weir_status status = people->ops->object_remove(people->engine, WEIR_OBJECT_OPERATOR, WEIR_SPAN(""), id,
                                                         expected_version, now_utc_us, error);
    if (status == WEIR_OK)
        status = remove_all(people, WEIR_OBJECT_TOKEN, id, WEIR_SPAN(""), now_utc_us, error);
    if (status == WEIR_OK)
        status = remove_all(people, WEIR_OBJECT_SESSION, id, WEIR_SPAN(""), now_utc_us, error);
    return status;
}

struct other {
    struct weir_span id;
    bool found;
};

static enum weir_status see_other(void *context, const struct weir_object *object) {
    struct other *other = context;
    other->found = other->found || !weir_span_equal(object->id, other->id);
    return other->found ? WEIR_END : WEIR_OK;
}

enum weir_status weir_operator_other_owner(const struct weir_people *people, struct weir_span id, bool *there_is,
                                           struct weir_error *error) {
    struct other other = {.id = id};
    const struct weir_object_query query = {.kind = WEIR_OBJECT_OPERATOR,
                                            .parent = WEIR_SPAN(""),
                                            .limit = 2, /* one of them is another */
                                            .filter_count = 2,
                                            .filters = {{"role", weir_span_of_string(weir_role_name(WEIR_ROLE_OWNER))},
                                                        {"disabled", WEIR_SPAN("false")}}};
    enum weir_status status = people->ops->object_list(people->engine, &query, see_other, &other, error);
    if (status == WEIR_OK)
        *there_is = other.found;
    return status;
}

/* --- tokens --- */

/* "<brand>_op": with it as the brand, a token has the shape of a key. */
enum { TOKEN_BRAND_SIZE = WEIR_MAX_KEY_BYTES + 1 };

static const char token_mark[] = "_op_";

enum weir_status weir_token_check(const struct weir_key_format *format, struct weir_span token) {
    char as_key[WEIR_MAX_KEY_BYTES];
    size_t brand = format->brand.length, mark = sizeof token_mark - 1;
    if (token.length > sizeof as_key || token.length < brand + mark || !weir_span_starts_with(token, format->brand) ||
        !weir_span_starts_with(weir_span_from(token, brand), weir_span_of(token_mark, mark)))
        return WEIR_EINVAL;
    /* Environment, alphabet and length are a key's, once the mark is out; the checksum is over all of the token. */
    memcpy(as_key, token.at, brand + 1);
    memcpy(&as_key[brand + 1], token.at + brand + mark, token.length - brand - mark);
    size_t length = token.length - mark + 1;
    if (length <= WEIR_KEY_CHECK_DIGITS)
        return WEIR_EINVAL;
    char expected[WEIR_KEY_CHECK_DIGITS];
    size_t covered = token.length - WEIR_KEY_CHECK_DIGITS;
    weir_base62_format(weir_crc32(0, weir_span_first(token, covered)), expected, sizeof expected);
    bool is_whole = weir_span_equal(weir_span_from(token, covered), weir_span_of(expected, sizeof expected));
    weir_base62_format(weir_crc32(0, weir_span_of(as_key, length - WEIR_KEY_CHECK_DIGITS)),
                       &as_key[length - WEIR_KEY_CHECK_DIGITS], WEIR_KEY_CHECK_DIGITS);
    enum weir_reason reason = weir_key_check(format, weir_span_of(as_key, length));
    weir_memory_wipe(as_key, sizeof as_key);
    if (!is_whole || (reason != WEIR_REASON_NONE && reason != WEIR_REASON_KEY_WRONG_ENVIRONMENT))
        return WEIR_EINVAL;
    return reason == WEIR_REASON_NONE ? WEIR_OK : WEIR_EDENIED;
}

static enum weir_status make_token(const struct weir_key_format *format, struct weir_random *random,
                                   struct weir_secret **token) {
    char text[WEIR_MAX_KEY_BYTES + 1], digits[WEIR_KEY_RANDOM_DIGITS];
    weir_base62_random(random, digits, sizeof digits);
    int length = snprintf(text, sizeof text, "%.*s%s%.*s_%.*s", WEIR_SPAN_PRINT(format->brand), token_mark,
                          WEIR_SPAN_PRINT(format->environment), (int)sizeof digits, digits);
    enum weir_status status = WEIR_ELIMIT;
    if (length > 0 && (size_t)length + WEIR_KEY_CHECK_DIGITS < sizeof text) {
        size_t covered = (size_t)length;
        weir_base62_format(weir_crc32(0, weir_span_of(text, covered)), &text[covered], WEIR_KEY_CHECK_DIGITS);
        struct weir_secret *made = weir_secret_new(weir_span_of(text, covered + WEIR_KEY_CHECK_DIGITS));
        status = made != NULL ? WEIR_OK : WEIR_ENOMEM;
        if (made != NULL)
            *token = made;
    }
    weir_memory_wipe(text, sizeof text);
    weir_memory_wipe(digits, sizeof digits);
    return status;
}

static void handle_of(struct weir_span token, char handle[WEIR_TOKEN_HANDLE_SIZE]) {
    unsigned char hash[32];
    weir_key_hash(token, hash);
    weir_hex_format(hash, sizeof hash, handle);
}

enum weir_status weir_token_read(struct weir_arena *arena, const struct weir_object *object,
                                 struct weir_token_record *record) {
    struct weir_token_record made = {.id = object->id,
                                     .owner = object->parent,
                                     .name = WEIR_SPAN(""),
                                     .hint = WEIR_SPAN(""),
                                     .created_utc_us = object->created_utc_us,
                                     .expires_utc_us = object->expires_utc_us,
                                     .version = object->version,
                                     .number = object->number};
    struct weir_span role = WEIR_SPAN("");
    const struct identity__member members[] = {
        {"name", IDENTITY_TEXT, &made.name},
        {"hint", IDENTITY_TEXT, &made.hint},
        {"role", IDENTITY_TEXT, &role},
        {"last_used_us", IDENTITY_NUMBER, &made.last_used_utc_us},
    };
    enum weir_status status = identity__read_members(arena, object->text, members, sizeof members / sizeof *members);
    if (status == WEIR_OK && role.length > 0 && weir_role_find(role, &made.role) != WEIR_OK)
        status = WEIR_ECORRUPT;
    if (status == WEIR_OK)
        *record = made;
    return status;
}

static enum weir_status write_token(struct weir_arena *arena, const struct weir_token_record *record,
                                    struct weir_span *text) {
    struct weir_buffer buffer;
    struct weir_json_writer writer;
    weir_buffer_init(&buffer, TEXT_BYTES);
    weir_json_writer_init(&writer, &buffer);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "name", record->name);
    weir_json_member_string(&writer, "hint", record->hint);
    weir_json_member_text(&writer, "role", record->role != WEIR_ROLE_NONE ? weir_role_name(record->role) : NULL);
    weir_json_member_int64(&writer, "last_used_us", record->last_used_utc_us);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&buffer);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&buffer), text);
    weir_buffer_release(&buffer);
    return status;
}

enum weir_status weir_token_create(const struct weir_people *people, const struct weir_key_format *format,
                                   struct weir_random *random, struct weir_token_record *record,
                                   struct weir_secret **token, struct weir_error *error) {
    struct weir_token_record made = *record;
    struct weir_secret *secret = NULL;
    char handle[WEIR_TOKEN_HANDLE_SIZE], hint[WEIR_OPERATOR_HINT_SIZE];
    enum weir_status status = make_token(format, random, &secret);
    if (status == WEIR_OK)
        status = make_id(people->arena, random, "tok_", &made.id);
    if (status == WEIR_OK) {
        struct weir_span text = weir_secret_reveal(secret);
        struct weir_span digits = weir_span_from(text, text.length - WEIR_KEY_RANDOM_DIGITS - WEIR_KEY_CHECK_DIGITS);
        handle_of(text, handle);
        (void)snprintf(hint, sizeof hint, "%.4s…%.4s", digits.at, text.at + text.length - 4);
        status = weir_arena_dup(people->arena, weir_span_of_string(hint), &made.hint);
    }
    struct weir_object object = {.kind = WEIR_OBJECT_TOKEN,
                                 .parent = made.owner,
                                 .id = made.id,
                                 .created_utc_us = made.created_utc_us,
                                 .updated_utc_us = made.created_utc_us,
                                 .expires_utc_us = made.expires_utc_us};
    if (status == WEIR_OK) {
        object.handle = weir_span_of_string(handle);
        status = write_token(people->arena, &made, &object.text);
    }
    if (status != WEIR_OK)
        (void)weir_fail(error, status, "no token could be made");
    else
        status = people->ops->object_create(people->engine, &object, error);
    if (status != WEIR_OK) {
        weir_secret_free(&secret);
        return status;
    }
    made.version = object.version;
    made.number = object.number;
    *record = made;
    *token = secret;
    return WEIR_OK;
}

static enum weir_status read_found_token(const struct weir_people *people, const struct weir_object *object,
                                         struct weir_token_record *record, struct weir_error *error) {
    enum weir_status status = weir_token_read(people->arena, object, record);
    return status == WEIR_OK
               ? WEIR_OK
               : weir_fail(error, status, "the record of token %.*s cannot be read", WEIR_SPAN_PRINT(object->id));
}

enum weir_status weir_token_find(const struct weir_people *people, struct weir_span token,
                                 struct weir_token_record *record, struct weir_error *error) {
    char handle[WEIR_TOKEN_HANDLE_SIZE];
    struct weir_object object;
    handle_of(token, handle);
    enum weir_status status = people->ops->object_find(people->engine, WEIR_OBJECT_TOKEN, weir_span_of_string(handle),
                                                       people->arena, &object, error);
    return status == WEIR_OK ? read_found_token(people, &object, record, error) : status;
}

enum weir_status weir_token_get(const struct weir_people *people, struct weir_span owner, struct weir_span id,
                                struct weir_token_record *record, struct weir_error *error) {
    struct weir_object object;
    enum weir_status status = people->ops->object_get(people->engine, WEIR_OBJECT_TOKEN, owner, id, people->arena,
                                                      &object, error);
    return status == WEIR_OK ? read_found_token(people, &object, record, error) : status;
}

enum weir_status weir_token_used(const struct weir_people *people, const struct weir_token_record *record,
                                 struct weir_error *error) {
    struct weir_object object;
    enum weir_status status = people->ops->object_get(people->engine, WEIR_OBJECT_TOKEN, record->owner, record->id,
                                                      people->arena, &object, error);
    if (status == WEIR_OK)
        status = write_token(people->arena, record, &object.text);
    if (status != WEIR_OK)
        return status;
    object.updated_utc_us = record->last_used_utc_us;
    return people->ops->object_update(people->engine, &object, record->version, error);
}

enum weir_status weir_token_remove(const struct weir_people *people, struct weir_span owner, struct weir_span id,
                                   int64_t now_utc_us, struct weir_error *error) {
    return people->ops->object_remove(people->engine, WEIR_OBJECT_TOKEN, owner, id, 0, now_utc_us, error);
}

/* Operators and their tokens: who may use this plane, and as what.
 *
 * One owner who is not disabled is always left: without one nobody could make another. Whoever is disabled, gets another role or another password is
 * out of his sessions at once.
 */
#include "operator/operations_table.h"

#include "operator/people.h"

#include "base/clock.h"
#include "identity/passwords.h"

enum { OPERATOR_ANSWER_BYTES = 16 * 1024 };
static const int64_t TOKEN_DAYS = 90, DAY_US = (int64_t)86400 * 1000000;

struct weir_people operator__people(struct weir_operation_call *call) {
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    return (struct weir_people){.ops = ops, .engine = engine, .arena = weir_operation_arena(call)};
}

/* --- as they are shown --- */

static void member_or_null(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    if (text.length > 0)
        weir_json_member_string(writer, name, text);
    else
        weir_json_member_text(writer, name, NULL);
}

void operator__write_operator(struct weir_json_writer *writer, const struct weir_operator_record *record) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", record->id);
    weir_json_member_string(writer, "name", record->name);
    member_or_null(writer, "display_name", record->display_name);
    member_or_null(writer, "email", record->email);
    weir_json_member_text(writer, "role", weir_role_name(record->role));
    weir_json_member_bool(writer, "disabled", record->disabled);
    weir_json_member_bool(writer, "password_set", record->password.length > 0);
    weir_operation_member_time(writer, "password_changed_at", record->password_changed_utc_us);
    weir_operation_member_time(writer, "last_login_at", record->last_login_utc_us);
    weir_operation_member_time(writer, "created_at", record->created_utc_us);
    weir_operation_member_time(writer, "updated_at", record->updated_utc_us);
    weir_json_member_int64(writer, "version", (int64_t)record->version);
    weir_json_write_end(writer);
}

void operator__write_token(struct weir_json_writer *writer, const struct weir_token_record *record, bool ends) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", record->id);
    weir_json_member_string(writer, "operator", record->owner);
    weir_json_member_string(writer, "name", record->name);
    weir_json_member_string(writer, "hint", record->hint);
    weir_json_member_text(writer, "role", record->role != WEIR_ROLE_NONE ? weir_role_name(record->role) : NULL);
    weir_operation_member_time(writer, "created_at", record->created_utc_us);
    weir_operation_member_time(writer, "expires_at", record->expires_utc_us);
    weir_operation_member_time(writer, "last_used_at", record->last_used_utc_us);
    if (ends)
        weir_json_write_end(writer);
}

static struct weir_span kept(struct weir_operation_call *call, struct weir_buffer *text) {
    struct weir_span copy = WEIR_SPAN("");
    if (weir_buffer_status(text) != WEIR_OK ||
        weir_arena_dup(weir_operation_arena(call), weir_buffer_span(text), &copy) != WEIR_OK)
        copy = WEIR_SPAN("");
    weir_buffer_release(text);
    return copy;
}

struct weir_span operator__operator_text(struct weir_operation_call *call, const struct weir_operator_record *record) {
    struct weir_buffer text;
    struct weir_json_writer writer;
    weir_buffer_init(&text, OPERATOR_ANSWER_BYTES);
    weir_json_writer_init(&writer, &text);
    operator__write_operator(&writer, record);
    return kept(call, &text);
}

struct weir_span operator__token_text(struct weir_operation_call *call, const struct weir_token_record *record) {
    struct weir_buffer text;
    struct weir_json_writer writer;
    weir_buffer_init(&text, OPERATOR_ANSWER_BYTES);
    weir_json_writer_init(&writer, &text);
    operator__write_token(&writer, record, true);
    return kept(call, &text);
}

static enum weir_status answer_operator(struct weir_operation_call *call, const struct weir_operator_record *record) {
    weir_operation_set_version(call, record->version);
    operator__write_operator(weir_operation_writer(call), record);
    return WEIR_OK;
}

static enum weir_status audit_operator(struct weir_operation_call *call, const struct weir_operator_record *record,
                                       struct weir_span before, struct weir_span after) {
    const struct weir_operation_note note = {.resource_id = record->id,
                                             .resource_name = record->name,
                                             .before = before,
                                             .after = after};
    return weir_operation_audit(call, &note);
}

static enum weir_status there_is_none(struct weir_operation_call *call, enum weir_status status, const char *what,
                                      const struct weir_error *error) {
    return weir_operation_store_failed(call, status, what, error);
}

/* The operator of the path. */
static enum weir_status get(struct weir_operation_call *call, struct weir_operator_record *record) {
    const struct weir_people people = operator__people(call);
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operator_get(&people, weir_operation_path_value(call, "operator"), record, &error);
    return status == WEIR_OK ? WEIR_OK : there_is_none(call, status, "the operator", &error);
}

/* --- reading --- */

struct listing {
    struct weir_operation_call *call;
    size_t left;
    int64_t last_number, next_number;
};

static enum weir_status list_operator(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_operator_record record;
    if (listing->left == 0) {
        listing->next_number = listing->last_number;
        return WEIR_END;
    }
    enum weir_status status = weir_operator_read(weir_operation_arena(listing->call), object, &record);
    if (status != WEIR_OK)
        return status;
    operator__write_operator(weir_operation_writer(listing->call), &record);
    listing->left--;
    listing->last_number = object->number;
    return WEIR_OK;
}

/* `{"data":[…],"next_cursor":…}` of what `query` finds. */
static enum weir_status answer_list(struct weir_operation_call *call, struct weir_object_query *query,
                                    weir_object_visit visit) {
    const struct weir_people people = operator__people(call);
    struct listing listing = {.call = call};
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operation_page(call, &query->after_number, &listing.left);
    if (status != WEIR_OK)
        return status;
    query->limit = listing.left + 1;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    status = people.ops->object_list(people.engine, query, visit, &listing, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the store", &error);
    weir_json_write_end(writer);
    weir_operation_page_end(call, listing.next_number);
    return WEIR_OK;
}

enum weir_status operator__operators_list(struct weir_operation_call *call) {
    struct weir_object_query query = {.kind = WEIR_OBJECT_OPERATOR, .parent = WEIR_SPAN("")};
    struct weir_span role = weir_operation_query_text(call, "role");
    struct weir_span disabled = weir_operation_query_text(call, "disabled");
    if (role.length > 0)
        query.filters[query.filter_count++] = (struct weir_object_filter){"role", role};
    if (disabled.length > 0)
        query.filters[query.filter_count++] = (struct weir_object_filter){"disabled", disabled};
    return answer_list(call, &query, list_operator);
}

enum weir_status operator__operators_get(struct weir_operation_call *call) {
    struct weir_operator_record record;
    enum weir_status status = get(call, &record);
    return status == WEIR_OK ? answer_operator(call, &record) : status;
}

/* --- changing --- */

enum weir_status operator__hash_password(struct weir_operation_call *call, const char *field, struct weir_span password,
                                         struct weir_span *hash) {
    char text[WEIR_PASSWORD_HASH_SIZE];
    enum weir_status status = weir_password_hash(password, text);
    if (status == WEIR_EINVAL)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, field, "expected %d to %d bytes",
                                   WEIR_PASSWORD_MIN_BYTES, WEIR_PASSWORD_MAX_BYTES);
    if (status == WEIR_OK)
        status = weir_arena_dup(weir_operation_arena(call), weir_span_of_string(text), hash);
    return status == WEIR_OK ? WEIR_OK : weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
}

/* What a body says of an operator: what is absent stays, null empties. The password is hashed before the store is locked. */
static enum weir_status apply_texts(struct weir_operation_call *call, struct weir_operator_record *record) {
    yyjson_val *body = weir_operation_body(call);
    const struct {
        const char *name;
        struct weir_span *to;
    } texts[] = {{"name", &record->name}, {"display_name", &record->display_name}, {"email", &record->email}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (yyjson_obj_get(body, texts[i].name) != NULL)
            *texts[i].to = weir_operation_body_text(call, texts[i].name);
    struct weir_span role = weir_operation_body_text(call, "role");
    if (role.length > 0 && weir_role_find(role, &record->role) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "role", "there is no such role");
    if (!weir_operator_name_is_good(record->name))
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "name",
                                   "expected 1 to %d of a-z 0-9 . _ - @ +, beginning with a letter or digit",
                                   WEIR_OPERATOR_NAME_MAX);
    return WEIR_OK;
}

enum weir_status operator__operators_create(struct weir_operation_call *call) {
    const struct weir_people people = operator__people(call);
    struct weir_operator_record record = {.id = WEIR_SPAN(""),
                                          .name = WEIR_SPAN(""),
                                          .display_name = WEIR_SPAN(""),
                                          .email = WEIR_SPAN(""),
                                          .password = WEIR_SPAN("")};
    struct weir_span password = weir_operation_body_text(call, "password");
    struct weir_error error = {.text = ""};
    enum weir_status status = apply_texts(call, &record);
    if (status == WEIR_OK && yyjson_is_str(yyjson_obj_get(weir_operation_body(call), "password")))
        status = operator__hash_password(call, "password", password, &record.password);
    if (record.password.length > 0)
        record.password_changed_utc_us = weir_operation_now_utc_us(call);
    if (status == WEIR_OK)
        status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    status = weir_operator_create(&people, weir_operation_random(call), weir_operation_now_utc_us(call), &record,
                                  &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "an operator of this name", &error);
    status = audit_operator(call, &record, WEIR_SPAN(""), operator__operator_text(call, &record));
    weir_operation_set_status(call, 201);
    return status == WEIR_OK ? answer_operator(call, &record) : status;
}

/* Whether what he is now may be taken from an owner. */
static enum weir_status keep_an_owner(struct weir_operation_call *call, const struct weir_operator_record *before) {
    const struct weir_people people = operator__people(call);
    struct weir_error error = {.text = ""};
    bool there_is = true;
    if (before->role != WEIR_ROLE_OWNER || before->disabled)
        return WEIR_OK;
    enum weir_status status = weir_operator_other_owner(&people, before->id, &there_is, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the store", &error);
    return there_is ? WEIR_OK
                    : weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, NULL,
                                          "%.*s is the last owner who is not disabled", WEIR_SPAN_PRINT(before->name));
}

/* Writes what `record` has become, ends his sessions where that must be, audits and answers. */
static enum weir_status write_change(struct weir_operation_call *call, const struct weir_operator_record *before,
                                     struct weir_operator_record *record) {
    const struct weir_people people = operator__people(call);
    struct weir_error error = {.text = ""};
    int64_t now = weir_operation_now_utc_us(call);
    bool is_out = record->disabled || record->role != before->role ||
                  !weir_span_equal(record->password, before->password);
    enum weir_status status = weir_operator_update(&people, now, record, weir_operation_expected_version(call), &error);
    if (status == WEIR_OK && is_out)
        status = weir_operator_end_sessions(&people, record->id, WEIR_SPAN(""), now, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status,
                                           status == WEIR_EEXIST ? "an operator of this name" : "the operator", &error);
    status = audit_operator(call, record, operator__operator_text(call, before), operator__operator_text(call, record));
    return status == WEIR_OK ? answer_operator(call, record) : status;
}

enum weir_status operator__operators_update(struct weir_operation_call *call) {
    struct weir_operator_record before, record;
    yyjson_val *password = yyjson_obj_get(weir_operation_body(call), "password");
    struct weir_span hash = WEIR_SPAN("");
    enum weir_status status = WEIR_OK;
    if (yyjson_is_str(password))
        status = operator__hash_password(call, "password", weir_operation_body_text(call, "password"), &hash);
    if (status == WEIR_OK)
        status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = get(call, &before);
    if (status != WEIR_OK)
        return status;
    record = before;
    if (password != NULL) {
        record.password = hash;
        record.password_changed_utc_us = weir_operation_now_utc_us(call);
    }
    status = apply_texts(call, &record);
    if (status == WEIR_OK && record.role != WEIR_ROLE_OWNER)
        status = keep_an_owner(call, &before);
    return status == WEIR_OK ? write_change(call, &before, &record) : status;
}

static enum weir_status set_disabled(struct weir_operation_call *call, bool disabled) {
    struct weir_operator_record before, record;
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = get(call, &before);
    if (status == WEIR_OK && disabled)
        status = keep_an_owner(call, &before);
    if (status != WEIR_OK)
        return status;
    record = before;
    record.disabled = disabled;
    return write_change(call, &before, &record);
}

enum weir_status operator__operators_disable(struct weir_operation_call *call) {
    return set_disabled(call, true);
}

enum weir_status operator__operators_enable(struct weir_operation_call *call) {
    return set_disabled(call, false);
}

enum weir_status operator__operators_delete(struct weir_operation_call *call) {
    const struct weir_people people = operator__people(call);
    struct weir_operator_record record;
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = get(call, &record);
    if (status == WEIR_OK)
        status = keep_an_owner(call, &record);
    if (status != WEIR_OK)
        return status;
    status = weir_operator_remove(&people, record.id, weir_operation_expected_version(call),
                                  weir_operation_now_utc_us(call), &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the operator", &error);
    weir_operation_set_status(call, 204);
    return audit_operator(call, &record, operator__operator_text(call, &record), WEIR_SPAN(""));
}

/* --- tokens --- */

static enum weir_status list_token(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_token_record record;
    if (listing->left == 0) {
        listing->next_number = listing->last_number;
        return WEIR_END;
    }
    enum weir_status status = weir_token_read(weir_operation_arena(listing->call), object, &record);
    if (status != WEIR_OK)
        return status;
    operator__write_token(weir_operation_writer(listing->call), &record, true);
    listing->left--;
    listing->last_number = object->number;
    return WEIR_OK;
}

enum weir_status operator__tokens_list_of(struct weir_operation_call *call, struct weir_span owner) {
    struct weir_object_query query = {.kind = WEIR_OBJECT_TOKEN, .parent = owner};
    return answer_list(call, &query, list_token);
}

static enum weir_status audit_token(struct weir_operation_call *call, const struct weir_token_record *record,
                                    struct weir_span before, struct weir_span after) {
    const struct weir_operation_note note = {.resource_id = record->id,
                                             .resource_name = record->name,
                                             .before = before,
                                             .after = after};
    return weir_operation_audit(call, &note);
}

/* 90 days where nothing is said, null for ever. */
static enum weir_status expiry_of(struct weir_operation_call *call, int64_t *expires_utc_us) {
    yyjson_val *value = yyjson_obj_get(weir_operation_body(call), "expires_at");
    int64_t now = weir_operation_now_utc_us(call);
    *expires_utc_us = value == NULL ? now + TOKEN_DAYS * DAY_US : 0;
    if (yyjson_is_str(value) &&
        (weir_clock_parse_utc(weir_operation_body_text(call, "expires_at"), expires_utc_us) != WEIR_OK ||
         *expires_utc_us <= now))
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "expires_at", "expected a time to come");
    return WEIR_OK;
}

enum weir_status operator__token_create_for(struct weir_operation_call *call, struct weir_span owner,
                                            enum weir_role most, bool narrowed) {
    const struct weir_people people = operator__people(call);
    const struct weir_operator_settings *settings = weir_operation_settings(call);
    const struct weir_key_format format = {settings->brand, weir_span_of_string(settings->environment)};
    struct weir_token_record record = {.owner = owner,
                                       .name = weir_operation_body_text(call, "name"),
                                       .created_utc_us = weir_operation_now_utc_us(call)};
    struct weir_span role = weir_operation_body_text(call, "role");
    struct weir_secret *token = NULL;
    struct weir_error error = {.text = ""};
    if (role.length > 0 && weir_role_find(role, &record.role) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "role", "there is no such role");
    if (record.role == WEIR_ROLE_NONE && narrowed)
        record.role = most; /* a token that may less than its operator makes none that may more */
    if (record.role != WEIR_ROLE_NONE && !weir_role_within(record.role, most))
        return weir_operation_fail(call, WEIR_REASON_ROLE_NOT_ALLOWED, "role", "the role %.*s is not within %s",
                                   WEIR_SPAN_PRINT(role), weir_role_name(most));
    enum weir_status status = expiry_of(call, &record.expires_utc_us);
    if (status == WEIR_OK)
        status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    status = weir_token_create(&people, &format, weir_operation_random(call), &record, &token, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the token", &error);
    status = audit_token(call, &record, WEIR_SPAN(""), operator__token_text(call, &record));
    if (status == WEIR_OK) {
        struct weir_json_writer *writer = weir_operation_writer(call);
        weir_operation_set_status(call, 201);
        operator__write_token(writer, &record, false);
        weir_json_member_string(writer, "token", weir_secret_reveal(token));
        weir_json_write_end(writer);
    }
    weir_secret_free(&token);
    return status;
}

enum weir_status operator__token_revoke_of(struct weir_operation_call *call, struct weir_span owner,
                                           struct weir_span id) {
    const struct weir_people people = operator__people(call);
    struct weir_token_record record;
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    status = weir_token_get(&people, owner, id, &record, &error);
    if (status == WEIR_OK)
        status = weir_token_remove(&people, owner, id, weir_operation_now_utc_us(call), &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the token", &error);
    weir_operation_set_status(call, 204);
    return audit_token(call, &record, operator__token_text(call, &record), WEIR_SPAN(""));
}

enum weir_status operator__tokens_list(struct weir_operation_call *call) {
    struct weir_operator_record record;
    enum weir_status status = get(call, &record);
    return status == WEIR_OK ? operator__tokens_list_of(call, record.id) : status;
}

enum weir_status operator__tokens_create(struct weir_operation_call *call) {
    struct weir_operator_record record;
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = get(call, &record);
    return status == WEIR_OK ? operator__token_create_for(call, record.id, record.role, false) : status;
}

enum weir_status operator__tokens_revoke(struct weir_operation_call *call) {
    return operator__token_revoke_of(call, weir_operation_path_value(call, "operator"),
                                     weir_operation_path_value(call, "token"));
}

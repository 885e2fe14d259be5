/* See key_changes.h. */
#include "operator/key_changes.h"

#include "config/config.h"
#include "operator/op_objects.h"

#include <stdarg.h>

enum { ID_DIGITS = 16, DAY_S = 86400 };

/* The order of identity/rules.h; what is absent allows everything and stays absent. */
static const struct operator__member limit_members[] = {
    {.name = "requests_per_second"}, {.name = "requests_per_minute"}, {.name = "tokens_per_minute"},
    {.name = "concurrent_requests"}, {.name = "cu_milli_per_day"},    {.name = "cu_milli_per_month"},
    {.name = "cu_milli_total"},      {.name = "requests_per_day"},    {.name = "tokens_per_day"},
    {.name = "concurrent_streams"},  {.name = "burst_percent"},       {.name = NULL},
};
static const struct operator__member rule_members[] = {
    {.name = "models"},       {.name = "endpoints"}, {.name = "tools"},
    {.name = "capabilities"}, {.name = "addresses"}, {.name = "limits", .inner = limit_members},
    {.name = NULL},
};

static enum weir_status refuse(struct weir_key_work *work, enum weir_reason reason, const char *field,
                               const char *format, ...) WEIR_PRINTF(4, 5);
static enum weir_status refuse(struct weir_key_work *work, enum weir_reason reason, const char *field,
                               const char *format, ...) {
    va_list arguments;
    work->reason = reason;
    work->field = field;
    va_start(arguments, format);
    (void)vsnprintf(work->error.text, sizeof work->error.text, format, arguments);
    va_end(arguments);
    work->error.status = WEIR_EINVAL;
    return WEIR_EINVAL;
}

/* --- states --- */

enum weir_key_state weir_key_state_at(const struct weir_key_record *key, int64_t now_utc_us) {
    if (key->revoked_utc_us != 0)
        return WEIR_KEY_REVOKED;
    if (key->expires_utc_us != 0 && key->expires_utc_us <= now_utc_us)
        return WEIR_KEY_EXPIRED;
    return key->replaced_by.length > 0 ? WEIR_KEY_ROTATING : WEIR_KEY_ACTIVE;
}

const char *weir_key_state_name(enum weir_key_state state) {
    static const char *const names[] = {"active", "rotating", "expired", "revoked"};
    return names[state];
}

/* 0: never. */
static int64_t rotation_due_at(const struct weir_key_record *key, int64_t rotation_due_us) {
    bool is_over = key->revoked_utc_us != 0 || key->replaced_by.length > 0;
    return is_over || rotation_due_us <= 0 ? 0 : key->created_utc_us + rotation_due_us;
}

bool weir_key_rotation_is_due(const struct weir_key_record *key, int64_t now_utc_us, int64_t rotation_due_us) {
    int64_t due = rotation_due_at(key, rotation_due_us);
    return due != 0 && due <= now_utc_us && weir_key_state_at(key, now_utc_us) == WEIR_KEY_ACTIVE;
}

/* --- checking --- */

static enum weir_status no_memory(struct weir_key_work *work) {
    return weir_fail(&work->error, WEIR_ENOMEM, "no memory");
}

enum { MAX_KNOWN_NAMES = 128 };

/* A name that nothing has makes a key that is refused everywhere, and nobody would know why: the near one is told. */
static enum weir_status check_names(struct weir_key_work *work, const struct weir_rule_list *list, const char *member,
                                    const char *thing, const char *(*name_at)(size_t index)) {
    const char *known[MAX_KNOWN_NAMES];
    size_t count = 0;
    while (name_at != NULL && count < MAX_KNOWN_NAMES && name_at(count) != NULL) {
        known[count] = name_at(count);
        count++;
    }
    for (size_t i = 0; name_at != NULL && list->restricts && i < list->count; i++) {
        const struct weir_rule_list one = {.restricts = true, .at = &list->at[i], .count = 1};
        size_t at = 0;
        while (at < count && !weir_rule_list_allows(&one, weir_span_of_string(known[at])))
            at++;
        if (at < count)
            continue;
        struct weir_span name = weir_span_first(list->at[i], list->at[i].length < 64 ? list->at[i].length : 64);
        const char *nearest = weir_config_nearest(list->at[i], known, count);
        return refuse(work, WEIR_REASON_FIELD_INVALID, "rules", "rules.%s[%zu]: '%.*s' is the name of no %s%s%s%s",
                      member, i, WEIR_SPAN_PRINT(name), thing, nearest != NULL ? "; did you mean '" : "",
                      nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
    }
    return WEIR_OK;
}

enum weir_status weir_key_rules_canonical(struct weir_key_work *work, struct yyjson_val *json,
                                          struct weir_span *rules) {
    struct weir_key_rules *read = NULL;
    struct weir_span text;
    *rules = WEIR_SPAN("");
    if (json == NULL || yyjson_is_null(json))
        return WEIR_OK;
    if (operator__value_text(work->arena, json, &text) != WEIR_OK)
        return no_memory(work);
    enum weir_status status = weir_key_rules_read(work->arena, text, &read, &work->error);
    if (status != WEIR_OK && status != WEIR_ENOMEM) {
        work->reason = WEIR_REASON_FIELD_INVALID;
        work->field = "rules";
    }
    if (status == WEIR_OK)
        status = check_names(work, &read->endpoints, "endpoints", "endpoint", work->names.endpoint);
    if (status == WEIR_OK)
        status = check_names(work, &read->capabilities, "capabilities", "capability", work->names.capability);
    if (status != WEIR_OK)
        return status;
    *rules = operator__canonical(work->arena, rule_members, json, WEIR_SPAN(""));
    if (rules->length == 0)
        return no_memory(work);
    if (weir_span_equal(*rules, WEIR_SPAN("{}")))
        *rules = WEIR_SPAN("");
    return WEIR_OK;
}

enum weir_status weir_key_tags_canonical(struct weir_key_work *work, struct yyjson_val *json, struct weir_span *tags) {
    *tags = WEIR_SPAN("");
    if (json == NULL || yyjson_is_null(json) || yyjson_obj_size(json) == 0)
        return WEIR_OK;
    return operator__value_text(work->arena, json, tags) == WEIR_OK ? WEIR_OK : no_memory(work);
}

enum weir_status weir_key_rules_of_text(struct weir_key_work *work, struct weir_span json, struct weir_span *rules) {
    yyjson_val *value = operator__json_read(work->arena, json);
    return value == NULL ? no_memory(work) : weir_key_rules_canonical(work, value, rules);
}

enum weir_status weir_key_tags_of_text(struct weir_key_work *work, struct weir_span json, struct weir_span *tags) {
    yyjson_val *value = operator__json_read(work->arena, json);
    return value == NULL ? no_memory(work) : weir_key_tags_canonical(work, value, tags);
}

bool weir_workspace_id_is_good(struct weir_span id) {
    bool is_good = id.length > 0 && id.length <= 63;
    for (size_t i = 0; is_good && i < id.length; i++) {
        char byte = id.at[i];
        bool is_word = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        is_good = is_word || (i > 0 && (byte == '.' || byte == '_' || byte == '-'));
    }
    return is_good;
}

static enum weir_status find_owner(struct weir_key_work *work, enum weir_object_kind kind, const char *type,
                                   struct weir_span parent, struct weir_span id, struct weir_object *object) {
    enum weir_status status = work->store->object_get(work->engine, kind, parent, id, work->arena, object,
                                                      &work->error);
    if (status != WEIR_ENOTFOUND)
        return status;
    return parent.length > 0
               ? refuse(work, WEIR_REASON_FIELD_INVALID, type, "the workspace %.*s has no %s %.*s",
                        WEIR_SPAN_PRINT(parent), type, WEIR_SPAN_PRINT(id))
               : refuse(work, WEIR_REASON_FIELD_INVALID, type, "there is no %s %.*s", type, WEIR_SPAN_PRINT(id));
}

enum weir_status weir_key_owner_check(struct weir_key_work *work, const struct weir_key_record *key) {
    struct weir_object object;
    enum weir_status status = find_owner(work, WEIR_OBJECT_WORKSPACE, "workspace", WEIR_SPAN(""), key->workspace,
                                         &object);
    if (status == WEIR_OK && key->team.length > 0)
        status = find_owner(work, WEIR_OBJECT_TEAM, "team", key->workspace, key->team, &object);
    if (status != WEIR_OK || key->user.length == 0)
        return status;
    status = find_owner(work, WEIR_OBJECT_USER, "user", key->workspace, key->user, &object);
    if (status == WEIR_OK && yyjson_get_bool(yyjson_obj_get(operator__json_read(work->arena, object.text), "disabled")))
        status = refuse(work, WEIR_REASON_STATE_CONFLICT, "user", "the user %.*s is disabled",
                        WEIR_SPAN_PRINT(key->user));
    return status;
}

/* --- changing --- */

enum weir_status weir_key_insert_new(struct weir_key_work *work, struct weir_key_record *record,
                                     struct weir_secret **key) {
    enum weir_status status = weir_key_make(&work->format, work->random, key);
    if (status != WEIR_OK)
        return weir_fail(&work->error, status, "no key could be made: %s", weir_status_name(status));
    struct weir_span text = weir_secret_reveal(*key);
    struct weir_span digits = weir_span_from(text, text.length - WEIR_KEY_RANDOM_DIGITS - WEIR_KEY_CHECK_DIGITS);
    memcpy(record->id, "key_", 4);
    weir_base62_random(work->random, &record->id[4], ID_DIGITS);
    record->id[4 + ID_DIGITS] = '\0';
    weir_key_hash(text, record->hash);
    (void)snprintf(record->hint, sizeof record->hint, "%.4s…%.4s", digits.at, text.at + text.length - 4);
    record->created_utc_us = work->now_utc_us;
    record->updated_utc_us = work->now_utc_us;
    record->revoked_utc_us = 0;
    record->end_streams = false;
    record->version = 1;
    record->replaced_by = WEIR_SPAN("");
    if (record->family.length == 0 &&
        weir_arena_dup(work->arena, weir_span_of_string(record->id), &record->family) != WEIR_OK)
        status = weir_fail(&work->error, WEIR_ENOMEM, "no memory");
    if (status == WEIR_OK)
        status = work->store->key_insert(work->engine, record, &work->error);
    if (status != WEIR_OK)
        weir_secret_free(key);
    return status;
}

static int64_t end_of_fresh(const struct weir_key_record *old, int64_t now_utc_us, int64_t expires_utc_us) {
    if (expires_utc_us >= 0)
        return expires_utc_us;
    return old->expires_utc_us == 0 ? 0 : now_utc_us + (old->expires_utc_us - old->created_utc_us);
}

enum weir_status weir_key_rotate(struct weir_key_work *work, struct weir_key_record *old, int64_t overlap_us,
                                 int64_t expires_utc_us, struct weir_key_record *fresh, struct weir_secret **key) {
    enum weir_key_state state = weir_key_state_at(old, work->now_utc_us);
    if (state == WEIR_KEY_ROTATING)
        return refuse(work, WEIR_REASON_STATE_CONFLICT, NULL, "the key was rotated to %.*s: rotate that one",
                      WEIR_SPAN_PRINT(old->replaced_by));
    if (state != WEIR_KEY_ACTIVE)
        return refuse(work, WEIR_REASON_STATE_CONFLICT, NULL, "the key is %s: make a new one",
                      weir_key_state_name(state));
    enum weir_status status = weir_key_owner_check(work, old); /* a disabled user gets no new key this way either */
    if (status != WEIR_OK)
        return status;
    *fresh = (struct weir_key_record){.name = old->name,
                                      .workspace = old->workspace,
                                      .team = old->team,
                                      .user = old->user,
                                      .family = old->family.length > 0 ? old->family : weir_span_of_string(old->id),
                                      .rules = old->rules,
                                      .tags = old->tags,
                                      .expires_utc_us = end_of_fresh(old, work->now_utc_us, expires_utc_us)};
    status = weir_key_insert_new(work, fresh, key);
    if (status != WEIR_OK)
        return status;
    int64_t end = work->now_utc_us + overlap_us;
    if (old->expires_utc_us == 0 || old->expires_utc_us > end)
        old->expires_utc_us = end;
    old->updated_utc_us = work->now_utc_us;
    status = weir_arena_dup(work->arena, weir_span_of_string(fresh->id), &old->replaced_by);
    if (status == WEIR_OK)
        status = work->store->key_update(work->engine, old, old->version, &work->error);
    if (status != WEIR_OK)
        weir_secret_free(key);
    return status;
}

enum weir_status weir_key_revoke_now(struct weir_key_work *work, struct weir_key_record *record, bool end_streams,
                                     bool *changed) {
    *changed = record->revoked_utc_us == 0 || (end_streams && !record->end_streams);
    if (!*changed)
        return WEIR_OK;
    if (record->revoked_utc_us == 0)
        record->revoked_utc_us = work->now_utc_us;
    record->end_streams = record->end_streams || end_streams;
    record->updated_utc_us = work->now_utc_us;
    return work->store->key_update(work->engine, record, record->version, &work->error);
}

enum weir_status weir_key_find_leaked(struct weir_key_work *work, struct weir_span key,
                                      struct weir_key_record *record) {
    unsigned char hash[WEIR_KEY_HASH_SIZE];
    enum weir_reason reason = weir_key_check(&work->format, key);
    if (reason == WEIR_REASON_KEY_WRONG_ENVIRONMENT) {
        struct weir_span brand, rest, environment;
        (void)weir_span_split(key, '_', &brand, &rest);
        (void)weir_span_split(rest, '_', &environment, &rest);
        return refuse(work, WEIR_REASON_FIELD_INVALID, "key",
                      "the key is one of the environment %.*s, and this is %.*s: revoke it there",
                      WEIR_SPAN_PRINT(environment), WEIR_SPAN_PRINT(work->format.environment));
    }
    if (reason != WEIR_REASON_NONE)
        return refuse(
            work, WEIR_REASON_FIELD_INVALID, "key",
            "this is no whole key of this gateway (%.*s_%.*s_…), or a character of it is wrong; what is known of its beginning can be given as prefix",
            WEIR_SPAN_PRINT(work->format.brand), WEIR_SPAN_PRINT(work->format.environment));
    weir_key_hash(key, hash);
    enum weir_status status = work->store->key_find(work->engine, hash, work->arena, record, &work->error);
    return status == WEIR_ENOTFOUND
               ? refuse(work, WEIR_REASON_NOT_THERE, "key", "the key has the right form, but was never given out here")
               : status;
}

/* --- showing --- */

static void write_text_or_null(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    weir_json_write_name(writer, name);
    if (text.length > 0)
        weir_json_write_string(writer, text);
    else
        weir_json_write_null(writer);
}

static void write_object_text(struct weir_json_writer *writer, const char *name, struct weir_span json) {
    weir_json_write_name(writer, name);
    weir_json_write_raw(writer, json.length > 0 ? json : WEIR_SPAN("{}"));
}

static struct weir_span family_of(const struct weir_key_record *key) {
    return key->family.length > 0 ? key->family : weir_span_of_string(key->id);
}

void weir_key_write_members(const struct weir_key_work *work, struct weir_json_writer *writer,
                            const struct weir_key_record *key, int64_t last_use_utc_us) {
    int64_t age_us = work->now_utc_us - key->created_utc_us;
    weir_json_member_text(writer, "id", key->id);
    weir_json_member_string(writer, "name", key->name);
    weir_json_member_string(writer, "environment", work->format.environment);
    weir_json_member_string(writer, "workspace", key->workspace);
    write_text_or_null(writer, "team", key->team);
    write_text_or_null(writer, "user", key->user);
    weir_json_member_string(writer, "family", family_of(key));
    weir_json_member_text(writer, "hint", key->hint);
    weir_json_member_text(writer, "state", weir_key_state_name(weir_key_state_at(key, work->now_utc_us)));
    write_object_text(writer, "rules", key->rules);
    write_object_text(writer, "tags", key->tags);
    weir_operation_member_time(writer, "created_at", key->created_utc_us);
    weir_operation_member_time(writer, "updated_at",
                               key->updated_utc_us != 0 ? key->updated_utc_us : key->created_utc_us);
    weir_operation_member_time(writer, "expires_at", key->expires_utc_us);
    weir_operation_member_time(writer, "revoked_at", key->revoked_utc_us);
    weir_operation_member_time(writer, "last_used_at", last_use_utc_us);
    weir_json_member_int64(writer, "age_days", age_us > 0 ? age_us / ((int64_t)DAY_S * 1000000) : 0);
    weir_json_member_bool(writer, "rotation_due",
                          weir_key_rotation_is_due(key, work->now_utc_us, work->rotation_due_us));
    weir_operation_member_time(writer, "rotation_due_at", rotation_due_at(key, work->rotation_due_us));
    write_text_or_null(writer, "replaced_by", key->replaced_by);
    weir_json_member_int64(writer, "version", (int64_t)key->version);
}

struct weir_span weir_key_audit_text(struct weir_key_work *work, const struct weir_key_record *key) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    struct weir_span text = WEIR_SPAN("");
    weir_buffer_init(&out, 256 * WEIR_KIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "name", key->name);
    weir_json_member_string(&writer, "workspace", key->workspace);
    write_text_or_null(&writer, "team", key->team);
    write_text_or_null(&writer, "user", key->user);
    weir_json_member_string(&writer, "family", family_of(key));
    weir_json_member_text(&writer, "hint", key->hint);
    write_object_text(&writer, "rules", key->rules);
    write_object_text(&writer, "tags", key->tags);
    weir_operation_member_time(&writer, "expires_at", key->expires_utc_us);
    weir_operation_member_time(&writer, "revoked_at", key->revoked_utc_us);
    weir_json_member_bool(&writer, "end_streams", key->end_streams);
    write_text_or_null(&writer, "replaced_by", key->replaced_by);
    weir_json_member_int64(&writer, "version", (int64_t)key->version);
    weir_json_write_end(&writer);
    if (weir_buffer_status(&out) != WEIR_OK || weir_arena_dup(work->arena, weir_buffer_span(&out), &text) != WEIR_OK)
        text = WEIR_SPAN("");
    weir_buffer_release(&out);
    return text;
}

enum weir_status weir_key_record_keep(struct weir_arena *arena, const struct weir_key_record *key,
                                      struct weir_key_record *kept) {
    struct weir_span *texts[] = {&kept->name,   &kept->workspace, &kept->team, &kept->user,
                                 &kept->family, &kept->rules,     &kept->tags, &kept->replaced_by};
    *kept = *key;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < sizeof texts / sizeof *texts; i++)
        status = weir_arena_dup(arena, *texts[i], texts[i]);
    return status;
}

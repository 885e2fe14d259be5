/* Keys: creating, listing, changing, rotating, revoking. A key itself is in the one answer that gives it out, and nowhere else. */
#include "operator/operations_table.h"
#include "operator/op_keys.h"

#include "base/clock.h"
#include "operator/operations_table.h"

#define DAY_US ((int64_t)86400 * 1000000)
enum { LIST_SCRATCH_BYTES = 8 * 1024 * 1024 };

/* --- shared with the emergency --- */

struct weir_key_work operator__key_work(struct weir_operation_call *call) {
    const struct weir_operator_settings *settings = weir_operation_settings(call);
    struct weir_key_work work = {.arena = weir_operation_arena(call),
                                 .random = weir_operation_random(call),
                                 .format = {.brand = settings->brand,
                                            .environment = weir_span_of_string(settings->environment)},
                                 .now_utc_us = weir_operation_now_utc_us(call),
                                 .rotation_due_us = settings->rotation_due_us,
                                 .names = settings->rule_names};
    work.store = weir_operation_store(call, &work.engine);
    return work;
}

enum weir_status operator__key_failed(struct weir_operation_call *call, const struct weir_key_work *work,
                                      enum weir_status status, const char *what) {
    if (work->reason != WEIR_REASON_NONE)
        return weir_operation_fail(call, work->reason, work->field, "%s", work->error.text);
    return weir_operation_store_failed(call, status, what, &work->error);
}

enum weir_status operator__key_write(struct weir_operation_call *call, const struct weir_key_work *work,
                                     const struct weir_key_record *key, const struct weir_secret *secret) {
    struct weir_error error = {.text = ""};
    struct weir_json_writer *writer = weir_operation_writer(call);
    int64_t last_use = 0;
    enum weir_status status = work->store->key_last_use(work->engine, weir_span_of_string(key->id), &last_use, &error);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return weir_operation_store_failed(call, status, key->id, &error);
    weir_json_write_object(writer);
    weir_key_write_members(work, writer, key, last_use);
    if (secret != NULL)
        weir_json_member_string(writer, "key", weir_secret_reveal(secret));
    weir_json_write_end(writer);
    return WEIR_OK;
}

enum weir_status operator__key_note(struct weir_operation_call *call, struct weir_key_work *work, const char *action,
                                    const struct weir_key_record *key, struct weir_span before) {
    const struct weir_operation_note note = {.action = action,
                                             .resource_id = weir_span_of_string(key->id),
                                             .resource_name = key->name,
                                             .workspace = key->workspace,
                                             .before = before,
                                             .after = weir_key_audit_text(work, key)};
    return weir_operation_audit(call, &note);
}

static enum weir_status stop_at_first(void *context, const struct weir_key_record *key) {
    (void)key;
    *(bool *)context = true;
    return WEIR_END;
}

enum weir_status operator__key_any_active(struct weir_operation_call *call, const struct weir_key_query *query,
                                          bool *any) {
    struct weir_key_work work = operator__key_work(call);
    struct weir_key_query active = *query;
    active.active_only = true;
    active.now_utc_us = work.now_utc_us;
    active.limit = 1;
    *any = false;
    enum weir_status status = work.store->key_list(work.engine, &active, stop_at_first, any, &work.error);
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, "the keys", &work.error);
}

void operator__keys_changed(struct weir_operation_call *call) {
    const struct weir_operator_hooks *hooks = &weir_operation_settings(call)->hooks;
    if (hooks->keys_changed != NULL)
        hooks->keys_changed(hooks->context);
}

/* --- one key --- */

/* Finds the key of the path, and holds it to If-Match. */
static enum weir_status need_key(struct weir_operation_call *call, struct weir_key_work *work,
                                 struct weir_key_record *key) {
    struct weir_span id = weir_operation_path_value(call, "key");
    const char *what = weir_arena_format(work->arena, "key %.*s", WEIR_SPAN_PRINT(id));
    enum weir_status status = work->store->key_get(work->engine, id, work->arena, key, &work->error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, what != NULL ? what : "key", &work->error);
    uint64_t expected = weir_operation_expected_version(call);
    if (expected == 0 || expected == key->version)
        return WEIR_OK;
    return weir_operation_fail(call, WEIR_REASON_VERSION_MISMATCH, NULL,
                               "the key %s is of version %llu, If-Match names %llu", key->id,
                               (unsigned long long)key->version, (unsigned long long)expected);
}

static enum weir_status answer_key(struct weir_operation_call *call, const struct weir_key_work *work,
                                   const struct weir_key_record *key, const struct weir_secret *secret) {
    weir_operation_set_version(call, key->version);
    return operator__key_write(call, work, key, secret);
}

enum weir_status operator__keys_get(struct weir_operation_call *call) {
    struct weir_key_work work = operator__key_work(call);
    struct weir_key_record key;
    enum weir_status status = need_key(call, &work, &key);
    return status == WEIR_OK ? answer_key(call, &work, &key, NULL) : status;
}

/* A member that is a time to come: *given says whether it is there, 0 stands for null. */
static enum weir_status body_end(struct weir_operation_call *call, int64_t *utc_us, bool *given) {
    yyjson_val *value = yyjson_obj_get(weir_operation_body(call), "expires_at");
    *given = value != NULL;
    *utc_us = 0;
    if (value == NULL || yyjson_is_null(value))
        return WEIR_OK;
    struct weir_span text = weir_operation_body_text(call, "expires_at");
    if (weir_clock_parse_utc(text, utc_us) != WEIR_OK)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "expires_at",
                                   "expected a time like 2030-01-31T00:00:00Z");
    if (*utc_us <= weir_operation_now_utc_us(call))
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "expires_at", "the time is not to come");
    return WEIR_OK;
}

static enum weir_status end_of_new(struct weir_operation_call *call, int64_t *utc_us) {
    bool given = false;
    yyjson_val *days = yyjson_obj_get(weir_operation_body(call), "expires_in_days");
    enum weir_status status = body_end(call, utc_us, &given);
    if (status != WEIR_OK || !yyjson_is_num(days))
        return status;
    if (*utc_us != 0)
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "expires_in_days",
                                   "give expires_at or expires_in_days, not both");
    *utc_us = weir_operation_now_utc_us(call) + (int64_t)yyjson_get_num(days) * DAY_US;
    return WEIR_OK;
}

enum weir_status operator__keys_create(struct weir_operation_call *call) {
    struct weir_key_work work = operator__key_work(call);
    struct weir_secret *secret = NULL;
    yyjson_val *body = weir_operation_body(call);
    struct weir_key_record key = {.name = weir_operation_body_text(call, "name"),
                                  .workspace = weir_operation_body_text(call, "workspace"),
                                  .team = weir_operation_body_text(call, "team"),
                                  .user = weir_operation_body_text(call, "user")};
    if (key.workspace.length == 0)
        key.workspace = WEIR_SPAN("default");
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = end_of_new(call, &key.expires_utc_us);
    if (status != WEIR_OK)
        return status;
    status = weir_key_rules_canonical(&work, yyjson_obj_get(body, "rules"), &key.rules);
    if (status == WEIR_OK)
        status = weir_key_tags_canonical(&work, yyjson_obj_get(body, "tags"), &key.tags);
    if (status == WEIR_OK)
        status = weir_key_owner_check(&work, &key);
    if (status == WEIR_OK)
        status = weir_key_insert_new(&work, &key, &secret);
    if (status != WEIR_OK)
        return operator__key_failed(call, &work, status, "the key");
    status = operator__key_note(call, &work, NULL, &key, WEIR_SPAN(""));
    if (status == WEIR_OK) {
        weir_operation_after(call, operator__keys_changed);
        weir_operation_set_status(call, 201);
        status = answer_key(call, &work, &key, secret);
    }
    weir_secret_free(&secret);
    return status;
}

/* A string member that is there, or null for none. True: it is there. */
static bool take_text(yyjson_val *body, const char *name, struct weir_span *text) {
    yyjson_val *value = yyjson_obj_get(body, name);
    if (value != NULL)
        *text = operator__field(body, name);
    return value != NULL;
}

/* An object member after the body's patch of it (RFC 7396); NULL: it is gone. */
static enum weir_status merged(struct weir_key_work *work, yyjson_val *body, const char *name, struct weir_span before,
                               yyjson_val **value) {
    yyjson_val *patch = yyjson_obj_get(body, name), *was = NULL;
    *value = NULL;
    if (before.length > 0)
        was = operator__json_read(work->arena, before);
    if (before.length > 0 && was == NULL)
        return weir_fail(&work->error, WEIR_ENOMEM, "no memory");
    if (patch == NULL)
        *value = was;
    if (patch == NULL || yyjson_is_null(patch))
        return WEIR_OK;
    *value = operator__merge(work->arena, was, patch);
    return *value != NULL ? WEIR_OK : weir_fail(&work->error, WEIR_ENOMEM, "no memory");
}

static enum weir_status patch_texts(struct weir_key_work *work, yyjson_val *body, struct weir_key_record *key) {
    yyjson_val *value;
    enum weir_status status = merged(work, body, "rules", key->rules, &value);
    if (status == WEIR_OK && yyjson_obj_get(body, "rules") != NULL)
        status = weir_key_rules_canonical(work, value, &key->rules);
    if (status == WEIR_OK)
        status = merged(work, body, "tags", key->tags, &value);
    return status == WEIR_OK ? weir_key_tags_canonical(work, value, &key->tags) : status;
}

/* What the body changes of a key, checked. */
static enum weir_status patch_key(struct weir_operation_call *call, struct weir_key_work *work,
                                  struct weir_key_record *key) {
    yyjson_val *body = weir_operation_body(call);
    struct weir_key_record owner = {.workspace = key->workspace};
    int64_t expires = 0;
    bool given = false;
    enum weir_status status = body_end(call, &expires, &given);
    if (status != WEIR_OK)
        return status;
    /* What had expired kept nobody from being removed: whom the key belongs to may be gone. */
    bool is_revived = given && weir_key_state_at(key, work->now_utc_us) == WEIR_KEY_EXPIRED;
    if (given)
        key->expires_utc_us = expires;
    (void)take_text(body, "name", &key->name);
    if (take_text(body, "team", &key->team) || is_revived)
        owner.team = key->team;
    if (take_text(body, "user", &key->user) || is_revived)
        owner.user = key->user;
    if (is_revived || owner.team.length > 0 || owner.user.length > 0)
        status = weir_key_owner_check(work, &owner);
    if (status == WEIR_OK)
        status = patch_texts(work, body, key);
    return status == WEIR_OK ? WEIR_OK : operator__key_failed(call, work, status, "the key");
}

/* Writes what was changed, with its audit entry. */
static enum weir_status write_key(struct weir_operation_call *call, struct weir_key_work *work,
                                  struct weir_key_record *key, struct weir_span before) {
    key->updated_utc_us = work->now_utc_us;
    enum weir_status status = work->store->key_update(work->engine, key, key->version, &work->error);
    if (status != WEIR_OK)
        return operator__key_failed(call, work, status, key->id);
    status = operator__key_note(call, work, NULL, key, before);
    if (status == WEIR_OK)
        weir_operation_after(call, operator__keys_changed);
    return status;
}

enum weir_status operator__keys_update(struct weir_operation_call *call) {
    struct weir_key_work work = operator__key_work(call);
    struct weir_key_record key;
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = need_key(call, &work, &key);
    if (status != WEIR_OK)
        return status;
    if (key.revoked_utc_us != 0)
        return weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, NULL, "the key %s is revoked", key.id);
    struct weir_span before = weir_key_audit_text(&work, &key);
    status = patch_key(call, &work, &key);
    if (status == WEIR_OK)
        status = write_key(call, &work, &key, before);
    return status == WEIR_OK ? answer_key(call, &work, &key, NULL) : status;
}

enum weir_status operator__keys_rotate(struct weir_operation_call *call) {
    struct weir_key_work work = operator__key_work(call);
    struct weir_key_record old, fresh;
    struct weir_secret *secret = NULL;
    yyjson_val *overlap = yyjson_obj_get(weir_operation_body(call), "overlap_seconds");
    int64_t overlap_s = overlap != NULL ? (int64_t)yyjson_get_num(overlap) : WEIR_KEY_OVERLAP_USUAL_S;
    int64_t expires = 0;
    bool given = false;
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = need_key(call, &work, &old);
    if (status == WEIR_OK)
        status = body_end(call, &expires, &given);
    if (status != WEIR_OK)
        return status;
    struct weir_span before = weir_key_audit_text(&work, &old);
    status = weir_key_rotate(&work, &old, overlap_s * 1000000, given ? expires : -1, &fresh, &secret);
    if (status != WEIR_OK)
        return operator__key_failed(call, &work, status, old.id);
    status = operator__key_note(call, &work, NULL, &old, before);
    if (status == WEIR_OK)
        status = operator__key_note(call, &work, "keys.create", &fresh, WEIR_SPAN(""));
    if (status == WEIR_OK) {
        struct weir_json_writer *writer = weir_operation_writer(call);
        weir_operation_after(call, operator__keys_changed);
        weir_operation_set_status(call, 201);
        weir_operation_set_version(call, fresh.version);
        weir_json_write_object(writer);
        weir_json_write_name(writer, "replaced");
        status = operator__key_write(call, &work, &old, NULL);
        if (status == WEIR_OK) {
            weir_json_write_name(writer, "created");
            status = operator__key_write(call, &work, &fresh, secret);
        }
        if (status == WEIR_OK)
            weir_json_write_end(writer);
    }
    weir_secret_free(&secret);
    return status;
}

enum weir_status operator__keys_revoke(struct weir_operation_call *call) {
    struct weir_key_work work = operator__key_work(call);
    struct weir_key_record key;
    bool end_streams = yyjson_get_bool(yyjson_obj_get(weir_operation_body(call), "end_streams")), changed = false;
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = need_key(call, &work, &key);
    if (status != WEIR_OK)
        return status;
    struct weir_span before = weir_key_audit_text(&work, &key);
    status = weir_key_revoke_now(&work, &key, end_streams, &changed);
    if (status != WEIR_OK)
        return operator__key_failed(call, &work, status, key.id);
    status = operator__key_note(call, &work, NULL, &key, before);
    if (status == WEIR_OK) {
        weir_operation_after(call, operator__keys_changed);
        status = answer_key(call, &work, &key, NULL);
    }
    return status;
}

/* --- the list --- */

/* Only ids are kept while the store lists: each key is then read by itself, so that a page of keys with long rules needs little memory. */
struct page {
    char (*ids)[WEIR_KEY_ID_SIZE];
    size_t count;
    int64_t last;
};

static enum weir_status keep_id(void *context, const struct weir_key_record *key) {
    struct page *page = context;
    memcpy(page->ids[page->count++], key->id, WEIR_KEY_ID_SIZE);
    page->last = key->number;
    return WEIR_OK;
}

static enum weir_status write_page(struct weir_operation_call *call, struct weir_key_work *work,
                                   const struct page *page) {
    struct weir_key_record key;
    struct weir_arena *scratch = weir_arena_new(0, LIST_SCRATCH_BYTES);
    enum weir_status status = scratch != NULL ? WEIR_OK : WEIR_ENOMEM;
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the keys", NULL);
    for (size_t i = 0; status == WEIR_OK && i < page->count; i++) {
        weir_arena_reset(scratch);
        status = work->store->key_get(work->engine, weir_span_of_string(page->ids[i]), scratch, &key, &work->error);
        status = status == WEIR_OK ? operator__key_write(call, work, &key, NULL)
                                   : weir_operation_store_failed(call, status, "the keys", &work->error);
    }
    weir_arena_free(&scratch);
    return status;
}

enum weir_status operator__keys_list(struct weir_operation_call *call) {
    struct weir_key_work work = operator__key_work(call);
    struct weir_key_query query = {.workspace = weir_operation_query_text(call, "workspace"),
                                   .team = weir_operation_query_text(call, "team"),
                                   .user = weir_operation_query_text(call, "user"),
                                   .family = weir_operation_query_text(call, "family"),
                                   .hint_prefix = weir_operation_query_text(call, "hint"),
                                   .active_only = weir_operation_query_flag(call, "active"),
                                   .now_utc_us = work.now_utc_us};
    bool due_only = weir_operation_query_flag(call, "rotation_due"), is_more = false;
    enum weir_status status = weir_operation_page(call, &query.after_number, &query.limit);
    if (status != WEIR_OK)
        return status;
    struct page page = {.ids = weir_arena_array(work.arena, query.limit, sizeof *page.ids)};
    if (page.ids == NULL)
        return weir_operation_store_failed(call, WEIR_ENOMEM, "the keys", NULL);
    if (due_only)
        query.created_before_utc_us = work.now_utc_us - work.rotation_due_us + 1;
    if (!due_only || work.rotation_due_us > 0) /* else no key's age matters */
        status = work.store->key_list(work.engine, &query, keep_id, &page, &work.error);
    if (status == WEIR_OK && page.count == query.limit) {
        query.after_number = page.last;
        query.limit = 1;
        status = work.store->key_list(work.engine, &query, stop_at_first, &is_more, &work.error);
    }
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the keys", &work.error);
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    status = write_page(call, &work, &page);
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(writer);
    weir_operation_page_end(call, is_more ? page.last : 0);
    return WEIR_OK;
}

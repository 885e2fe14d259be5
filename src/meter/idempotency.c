/* See idempotency.h. */
#include "meter/idempotency.h"

#include "base/clock.h"
#include "json/schema.h"
#include "json/write.h"

#include <openssl/evp.h>

enum { UUID_LENGTH = WEIR_UUID_TEXT_SIZE - 1, VERSION_AT = 14, VARIANT_AT = 19, TEXT_MAX = 4 * 1024 * 1024 };

enum weir_reason weir_idempotency_key(const struct weir_span *header, char out[WEIR_UUID_TEXT_SIZE]) {
    struct weir_uuid uuid;
    if (header == NULL || header->length == 0)
        return WEIR_REASON_IDEMPOTENCY_KEY_MISSING;
    if (header->length != UUID_LENGTH || weir_uuid_parse(*header, &uuid) != WEIR_OK)
        return WEIR_REASON_IDEMPOTENCY_KEY_INVALID;
    weir_uuid_format(&uuid, out);
    return out[VERSION_AT] == '4' && strchr("89ab", out[VARIANT_AT]) != NULL ? WEIR_REASON_NONE
                                                                             : WEIR_REASON_IDEMPOTENCY_KEY_INVALID;
}

/* --- what is asked, as one number --- */

/* Members in order of their names; numbers as yyjson reads them. Depth is bounded by what was read. */
static void write_sorted(struct weir_json_writer *writer, yyjson_val *value) {
    if (yyjson_is_arr(value)) {
        size_t index, count;
        yyjson_val *item;
        weir_json_write_array(writer);
        yyjson_arr_foreach(value, index, count, item) write_sorted(writer, item);
        weir_json_write_end(writer);
        return;
    }
    if (!yyjson_is_obj(value)) {
        if (yyjson_is_str(value))
            weir_json_write_string(writer, weir_span_of(yyjson_get_str(value), yyjson_get_len(value)));
        else if (yyjson_is_int(value))
            weir_json_write_int64(writer, yyjson_get_sint(value));
        else if (yyjson_is_bool(value))
            weir_json_write_bool(writer, yyjson_get_bool(value));
        else if (yyjson_is_null(value))
            weir_json_write_null(writer);
        else { /* a real number: its bits */
            char bits[24];
            double number = yyjson_get_real(value);
            uint64_t raw;
            memcpy(&raw, &number, sizeof raw);
            (void)snprintf(bits, sizeof bits, "r%016llx", (unsigned long long)raw);
            weir_json_write_string(writer, weir_span_of_string(bits));
        }
        return;
    }
    weir_json_write_object(writer);
    yyjson_val *last = NULL;
    for (size_t written = 0; written < yyjson_obj_size(value); written++) {
        size_t index, count;
        yyjson_val *name, *item, *next = NULL;
        yyjson_obj_foreach(value, index, count, name, item) {
            if (last != NULL && strcmp(yyjson_get_str(name), yyjson_get_str(last)) <= 0)
                continue;
            if (next == NULL || strcmp(yyjson_get_str(name), yyjson_get_str(next)) < 0)
                next = name;
        }
        if (next == NULL)
            break;
        weir_json_write_name(writer, yyjson_get_str(next));
        write_sorted(writer, yyjson_obj_iter_get_val(next));
        last = next;
    }
    weir_json_write_end(writer);
}

static bool hash_of(struct weir_span method, struct weir_span path, struct weir_span canonical,
                    char out[WEIR_IDEMPOTENCY_HASH_SIZE]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, method.at, method.length) == 1 && EVP_DigestUpdate(context, "\n", 1) == 1 &&
                EVP_DigestUpdate(context, path.at, path.length) == 1 && EVP_DigestUpdate(context, "\n", 1) == 1 &&
                EVP_DigestUpdate(context, canonical.at, canonical.length) == 1 &&
                EVP_DigestFinal_ex(context, digest, &length) == 1;
    EVP_MD_CTX_free(context);
    if (done)
        weir_hex_format(digest, 32, out);
    return done;
}

enum weir_status weir_idempotency_hash(struct weir_arena *arena, struct weir_span method, struct weir_span path,
                                       struct weir_span body, char out[WEIR_IDEMPOTENCY_HASH_SIZE]) {
    struct weir_schema_problem problem;
    struct weir_json_writer writer;
    struct weir_buffer canonical;
    yyjson_doc *document = NULL;
    enum weir_status status = body.length > 0 ? weir_json_read(arena, body, &document, &problem) : WEIR_OK;
    if (status != WEIR_OK)
        return status == WEIR_ENOMEM ? WEIR_ENOMEM : WEIR_EINVAL;
    weir_buffer_init(&canonical, TEXT_MAX);
    weir_json_writer_init(&writer, &canonical);
    if (document != NULL)
        write_sorted(&writer, yyjson_doc_get_root(document));
    status = weir_buffer_status(&canonical);
    if (status == WEIR_OK && !hash_of(method, path, weir_buffer_span(&canonical), out))
        status = WEIR_ENOMEM;
    weir_buffer_release(&canonical);
    return status;
}

/* --- a key's row --- */

struct row {
    bool exists;
    struct weir_object object;
    struct weir_span hash, state, request_id, answer;
    unsigned status;
    int64_t until_utc_us; /* of a claim */
};

static struct weir_span text_of(yyjson_val *root, const char *name) {
    yyjson_val *value = yyjson_obj_get(root, name);
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

static enum weir_status read_row(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                 struct weir_arena *arena, const struct weir_idempotency *asked, struct row *row,
                                 struct weir_error *error) {
    struct weir_schema_problem problem;
    yyjson_doc *document = NULL;
    *row = (struct row){.exists = false};
    enum weir_status status = ops->object_get(engine, WEIR_OBJECT_IDEMPOTENCY, asked->workspace, asked->key, arena,
                                              &row->object, error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_OK;
    if (status != WEIR_OK)
        return status;
    row->exists = true;
    if (row->object.expires_utc_us != 0 && row->object.expires_utc_us <= asked->utc_us)
        return WEIR_OK; /* as if it were not there: its state is empty */
    if (weir_json_read(arena, row->object.text, &document, &problem) != WEIR_OK)
        return weir_fail(error, WEIR_ECORRUPT, "what is kept of the Idempotency-Key cannot be read");
    yyjson_val *root = yyjson_doc_get_root(document);
    row->hash = text_of(root, "hash");
    row->state = text_of(root, "state");
    row->request_id = text_of(root, "request_id");
    row->answer = text_of(root, "answer");
    row->status = (unsigned)yyjson_get_uint(yyjson_obj_get(root, "status"));
    row->until_utc_us = yyjson_get_sint(yyjson_obj_get(root, "until_utc_us"));
    return WEIR_OK;
}

/* `body` NULL: it is a claim. */
static enum weir_status write_row(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                  const struct weir_idempotency *asked, struct row *row, unsigned status_code,
                                  const struct weir_span *body, int64_t until_utc_us, struct weir_error *error) {
    struct weir_json_writer writer;
    struct weir_buffer text;
    char instance[WEIR_UUID_TEXT_SIZE];
    weir_uuid_format(&asked->instance, instance);
    weir_buffer_init(&text, TEXT_MAX);
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "hash", asked->hash);
    weir_json_member_text(&writer, "state", body != NULL ? "done" : "in_flight");
    weir_json_member_text(&writer, "instance", instance);
    weir_json_member_string(&writer, "request_id", asked->request_id);
    if (body != NULL) {
        weir_json_member_int64(&writer, "status", status_code);
        weir_json_member_string(&writer, "answer", *body);
    } else {
        weir_json_member_int64(&writer, "until_utc_us", until_utc_us);
    }
    weir_json_write_end(&writer);
    struct weir_object *object = &row->object;
    uint64_t version = object->version;
    object->kind = WEIR_OBJECT_IDEMPOTENCY;
    object->parent = asked->workspace;
    object->id = asked->key;
    object->text = weir_buffer_span(&text);
    object->updated_utc_us = asked->utc_us;
    object->expires_utc_us = asked->utc_us + WEIR_IDEMPOTENCY_KEPT_US;
    enum weir_status status = weir_buffer_status(&text);
    if (status != WEIR_OK) {
        (void)weir_fail(error, status, "no memory for the answer of an Idempotency-Key");
    } else if (row->exists) {
        status = ops->object_update(engine, object, version, error);
    } else {
        object->created_utc_us = asked->utc_us;
        status = ops->object_create(engine, object, error);
    }
    weir_buffer_release(&text);
    return status;
}

/* What an earlier request has left for this one. False: nothing, so it may act. */
static bool answered_before(const struct weir_idempotency *asked, const struct row *row,
                            struct weir_idempotency_answer *answer) {
    bool done = weir_span_equal(row->state, WEIR_SPAN("done"));
    if (row->state.length == 0 || (!done && row->until_utc_us <= asked->utc_us))
        return false;
    *answer = (struct weir_idempotency_answer){.request_id = row->request_id};
    if (!weir_span_equal(row->hash, asked->hash)) {
        answer->refusal = WEIR_REASON_IDEMPOTENCY_KEY_MISMATCH;
    } else if (!done) {
        answer->refusal = WEIR_REASON_IDEMPOTENCY_IN_FLIGHT;
    } else {
        answer->status = row->status;
        answer->body = row->answer;
        answer->replayed = true;
    }
    return true;
}

static bool is_kept(unsigned status) {
    return status >= 200 && status < 500 && status != 429;
}

enum weir_status weir_idempotency_run(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                      struct weir_arena *arena, const struct weir_idempotency *asked,
                                      weir_idempotency_act act, void *context, struct weir_idempotency_answer *answer,
                                      struct weir_error *error) {
    struct row row;
    *answer = (struct weir_idempotency_answer){.status = 0};
    enum weir_status status = ops->work_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = read_row(ops, engine, arena, asked, &row, error);
    if (status == WEIR_OK && !answered_before(asked, &row, answer)) {
        *answer = (struct weir_idempotency_answer){.request_id = asked->request_id};
        status = act(context, answer, error);
        if (status == WEIR_OK && is_kept(answer->status))
            status = write_row(ops, engine, asked, &row, answer->status, &answer->body, 0, error);
        else if (status == WEIR_OK) { /* what it has written is undone, and its answer goes out all the same */
            (void)ops->work_end(engine, WEIR_END, error);
            return WEIR_OK;
        }
    }
    enum weir_status ended = ops->work_end(engine, status, error);
    return status == WEIR_OK ? ended : status;
}

enum weir_status weir_idempotency_claim(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                        struct weir_arena *arena, const struct weir_idempotency *asked,
                                        int64_t until_utc_us, bool *claimed, struct weir_idempotency_answer *answer,
                                        struct weir_error *error) {
    struct row row;
    *claimed = false;
    *answer = (struct weir_idempotency_answer){.status = 0};
    enum weir_status status = ops->work_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = read_row(ops, engine, arena, asked, &row, error);
    if (status == WEIR_OK && !answered_before(asked, &row, answer)) {
        status = write_row(ops, engine, asked, &row, 0, NULL, until_utc_us, error);
        *claimed = status == WEIR_OK;
    }
    enum weir_status ended = ops->work_end(engine, status, error);
    *claimed = *claimed && ended == WEIR_OK;
    return status == WEIR_OK ? ended : status;
}

/* Whether the row is this very request's claim. */
static bool is_own_claim(const struct weir_idempotency *asked, const struct row *row) {
    return row->exists && weir_span_equal(row->state, WEIR_SPAN("in_flight")) &&
           weir_span_equal(row->request_id, asked->request_id);
}

enum weir_status weir_idempotency_settle(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                         struct weir_arena *arena, const struct weir_idempotency *asked,
                                         unsigned status_code, struct weir_span body, bool *kept,
                                         struct weir_error *error) {
    struct row row;
    *kept = false;
    enum weir_status status = read_row(ops, engine, arena, asked, &row, error);
    if (status != WEIR_OK || !is_own_claim(asked, &row) || !is_kept(status_code))
        return status;
    status = write_row(ops, engine, asked, &row, status_code, &body, 0, error);
    *kept = status == WEIR_OK;
    return status;
}

enum weir_status weir_idempotency_abandon(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                          struct weir_arena *arena, const struct weir_idempotency *asked,
                                          struct weir_error *error) {
    struct row row;
    enum weir_status status = read_row(ops, engine, arena, asked, &row, error);
    if (status != WEIR_OK || !is_own_claim(asked, &row))
        return status;
    return ops->object_remove(engine, WEIR_OBJECT_IDEMPOTENCY, asked->workspace, asked->key, row.object.version,
                              asked->utc_us, error);
}

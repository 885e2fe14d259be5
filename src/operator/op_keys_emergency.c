/* Emergency: a key has leaked. By the whole key it is revoked at once. By its beginning, as it stands in a log or a screenshot, it takes two steps,
 * for a beginning may be that of several keys: the first tells which they are, the second revokes exactly those.
 *
 * The token between the steps is an HMAC over the keys as they are, whose key is their hashes: these never leave the store, so nobody can
 * make one up, and nothing needs to be remembered. Once a key has changed (or the token was used), it fits no more.
 *
 * What is handed in never comes out again: no error, log or audit entry has more of it than four characters, which every listing shows anyway.
 */
#include "operator/operations_table.h"
#include "operator/op_keys.h"

#include "base/memory.h"
#include "operator/operations_table.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { TOKEN_GOOD_S = 300, KEYS_MAX = 1000, MAC_SIZE = 32, HINT_DIGITS = 4 };
/* "1795291743.<64 hex digits>" */
enum { TOKEN_SIZE = 20 + 1 + 2 * MAC_SIZE + 1 };

struct found {
    struct weir_arena *arena;
    struct weir_key_record *keys;
    size_t count;
};

static enum weir_status keep_key(void *context, const struct weir_key_record *key) {
    struct found *found = context;
    return weir_key_record_keep(found->arena, key, &found->keys[found->count++]);
}

/* --- the token --- */

static void write_token(const struct found *found, int64_t expires_s, char token[TOKEN_SIZE]) {
    unsigned char mac[MAC_SIZE];
    char hex[2 * MAC_SIZE + 1];
    struct weir_buffer hashes, about;
    unsigned int size = 0;
    weir_buffer_init(&hashes, WEIR_MIB);
    weir_buffer_init(&about, WEIR_MIB);
    weir_buffer_printf(&about, "keys.emergency_revoke %lld", (long long)expires_s);
    for (size_t i = 0; i < found->count; i++) {
        const struct weir_key_record *key = &found->keys[i];
        weir_buffer_append(&hashes, weir_span_of((const char *)key->hash, sizeof key->hash));
        weir_buffer_printf(&about, " %s/%llu", key->id, (unsigned long long)key->version);
    }
    bool made = weir_buffer_status(&hashes) == WEIR_OK && weir_buffer_status(&about) == WEIR_OK &&
                HMAC(EVP_sha256(), hashes.at, (int)hashes.length, (const unsigned char *)about.at, about.length, mac,
                     &size) != NULL;
    token[0] = '\0';
    if (made) {
        weir_hex_format(mac, sizeof mac, hex);
        (void)snprintf(token, TOKEN_SIZE, "%lld.%s", (long long)expires_s, hex);
    }
    weir_memory_wipe(mac, sizeof mac);
    weir_buffer_release(&hashes);
    weir_buffer_release(&about);
}

static bool token_is_good(const struct found *found, struct weir_span token, int64_t now_s) {
    char expected[TOKEN_SIZE];
    struct weir_span time, rest;
    int64_t expires_s = 0;
    if (!weir_span_split(token, '.', &time, &rest) || weir_span_to_int64(time, &expires_s) != WEIR_OK ||
        expires_s <= now_s || expires_s > now_s + TOKEN_GOOD_S)
        return false;
    write_token(found, expires_s, expected);
    return token.length == strlen(expected) && CRYPTO_memcmp(expected, token.at, token.length) == 0;
}

/* --- the beginning of a key --- */

static enum weir_status refuse_prefix(struct weir_operation_call *call, const char *words) {
    return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "prefix", "%s", words);
}

/* The first four characters of the random part: of "ABCD…", or of what stands behind brand and environment. */
static enum weir_status read_prefix(struct weir_operation_call *call, const struct weir_key_work *work,
                                    struct weir_span prefix, struct weir_span *hint) {
    static const struct weir_span environments[] = {{"dev", 3}, {"stage", 5}, {"prod", 4}};
    struct weir_span brand, environment, rest;
    if (!weir_span_split(prefix, '_', &brand, &rest)) {
        rest = prefix;
    } else {
        if (!weir_span_equal(brand, work->format.brand) || !weir_span_split(rest, '_', &environment, &rest))
            return refuse_prefix(call, "this is not how a key of this gateway begins");
        for (size_t i = 0; i < sizeof environments / sizeof *environments; i++)
            if (weir_span_equal(environment, environments[i]) &&
                !weir_span_equal(environment, work->format.environment))
                return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "prefix",
                                           "the key is one of the environment %.*s, and this is %.*s: revoke it there",
                                           WEIR_SPAN_PRINT(environment), WEIR_SPAN_PRINT(work->format.environment));
        if (!weir_span_equal(environment, work->format.environment))
            return refuse_prefix(call, "this is not how a key of this gateway begins");
    }
    for (size_t i = 0; i < rest.length && i < HINT_DIGITS; i++)
        if (!weir_base62_is_digit(rest.at[i]))
            return refuse_prefix(call, "a key has letters and digits alone behind its environment");
    if (rest.length < HINT_DIGITS)
        return refuse_prefix(call, "at least four characters of the random part are needed");
    *hint = weir_span_first(rest, HINT_DIGITS);
    return WEIR_OK;
}

static enum weir_status find_by_hint(struct weir_operation_call *call, struct weir_key_work *work,
                                     struct weir_span hint, struct found *found) {
    const struct weir_key_query query = {.hint_prefix = hint, .limit = KEYS_MAX};
    *found = (struct found){.arena = work->arena, .keys = weir_arena_array(work->arena, KEYS_MAX, sizeof *found->keys)};
    enum weir_status status = found->keys == NULL
                                  ? WEIR_ENOMEM
                                  : work->store->key_list(work->engine, &query, keep_key, found, &work->error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the keys", &work->error);
    size_t kept = 0; /* what is revoked already is none of them */
    for (size_t i = 0; i < found->count; i++)
        if (found->keys[i].revoked_utc_us == 0)
            found->keys[kept++] = found->keys[i];
    found->count = kept;
    if (kept == 0)
        return weir_operation_fail(call, WEIR_REASON_NOT_THERE, "prefix", "no key that is not revoked begins so");
    return WEIR_OK;
}

/* --- the two answers --- */

static enum weir_status revoke_all(struct weir_operation_call *call, struct weir_key_work *work,
                                   const struct found *found) {
    struct weir_json_writer *writer = weir_operation_writer(call);
    enum weir_status status = WEIR_OK;
    weir_json_write_object(writer);
    weir_json_write_name(writer, "revoked");
    weir_json_write_array(writer);
    for (size_t i = 0; status == WEIR_OK && i < found->count; i++) {
        bool changed = false;
        struct weir_key_record *key = &found->keys[i];
        struct weir_span before = weir_key_audit_text(work, key);
        status = weir_key_revoke_now(work, key, true, &changed);
        if (status != WEIR_OK)
            return operator__key_failed(call, work, status, key->id);
        status = operator__key_note(call, work, NULL, key, before);
        if (status == WEIR_OK)
            status = operator__key_write(call, work, key, NULL);
    }
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    weir_operation_after(call, operator__keys_changed);
    return WEIR_OK;
}

/* The question itself is in the audit trail: somebody knew of a leak from then on. */
static enum weir_status note_question(struct weir_operation_call *call, struct weir_key_work *work,
                                      struct weir_span hint, const struct found *found) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    struct weir_operation_note note = {.action = "keys.emergency_revoke.ask"};
    weir_buffer_init(&out, 64 * WEIR_KIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "matched_by", hint);
    weir_json_write_name(&writer, "keys");
    weir_json_write_array(&writer);
    for (size_t i = 0; i < found->count; i++)
        weir_json_write_string(&writer, weir_span_of_string(found->keys[i].id));
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&out);
    if (status == WEIR_OK)
        status = weir_arena_dup(work->arena, weir_buffer_span(&out), &note.after);
    weir_buffer_release(&out);
    return status == WEIR_OK ? weir_operation_audit(call, &note)
                             : weir_operation_store_failed(call, status, "the keys", NULL);
}

static enum weir_status ask_first(struct weir_operation_call *call, struct weir_key_work *work, struct weir_span hint,
                                  const struct found *found) {
    char token[TOKEN_SIZE];
    int64_t expires_s = work->now_utc_us / 1000000 + TOKEN_GOOD_S;
    struct weir_json_writer *writer = weir_operation_writer(call);
    enum weir_status status = note_question(call, work, hint, found);
    write_token(found, expires_s, token);
    if (status != WEIR_OK || token[0] == '\0')
        return status != WEIR_OK ? status : weir_operation_store_failed(call, WEIR_ENOMEM, "the token", NULL);
    weir_operation_set_status(call, 202);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "confirmation_token", token);
    weir_operation_member_time(writer, "expires_at", expires_s * 1000000);
    weir_json_member_string(writer, "matched_by", hint);
    weir_json_write_name(writer, "keys");
    weir_json_write_array(writer);
    for (size_t i = 0; status == WEIR_OK && i < found->count; i++)
        status = operator__key_write(call, work, &found->keys[i], NULL);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return status;
}

static enum weir_status revoke_by_prefix(struct weir_operation_call *call, struct weir_key_work *work,
                                         struct weir_span prefix) {
    struct weir_span hint = WEIR_SPAN(""), token = weir_operation_body_text(call, "confirmation_token");
    struct found found;
    enum weir_status status = read_prefix(call, work, prefix, &hint);
    if (status == WEIR_OK)
        status = find_by_hint(call, work, hint, &found);
    if (status != WEIR_OK)
        return status;
    if (token.length == 0)
        return ask_first(call, work, hint, &found);
    if (!token_is_good(&found, token, work->now_utc_us / 1000000))
        return weir_operation_fail(call, WEIR_REASON_CONFIRMATION_EXPIRED, "confirmation_token",
                                   "the token is too old, was used, or is for other keys than these");
    return revoke_all(call, work, &found);
}

static enum weir_status revoke_by_key(struct weir_operation_call *call, struct weir_key_work *work,
                                      struct weir_span key) {
    struct weir_key_record record;
    const struct found found = {.keys = &record, .count = 1};
    enum weir_status status = weir_key_find_leaked(work, key, &record);
    return status == WEIR_OK ? revoke_all(call, work, &found) : operator__key_failed(call, work, status, "the key");
}

enum weir_status operator__keys_emergency_revoke(struct weir_operation_call *call) {
    struct weir_key_work work = operator__key_work(call);
    struct weir_span key = weir_operation_body_text(call, "key"), prefix = weir_operation_body_text(call, "prefix");
    if ((key.length > 0) == (prefix.length > 0))
        return weir_operation_fail(call, WEIR_REASON_FIELD_INVALID, "key", "give either key or prefix");
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    return key.length > 0 ? revoke_by_key(call, &work, key) : revoke_by_prefix(call, &work, prefix);
}

/* See receipts_signer.h. */
#include "meter/receipts_signer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "json/scan.h"
#include "json/write.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4200, SEED_DIGITS = 2 * WEIR_RECEIPT_SEED_BYTES, ARENA_BYTES = 256 * 1024, PAGE = 100, TRIES = 5 };

static const struct weir_span current = {"current", 7};

struct weir_receipt_signer {
    struct weir_receipt_signer_settings settings;
    pthread_mutex_t mutex;
    struct weir_receipt_public public; /* its id empty: none is held */
    struct weir_secret *signing;
};

enum weir_status weir_receipt_signer_new(const struct weir_receipt_signer_settings *settings,
                                         struct weir_receipt_signer **signer, struct weir_error *error) {
    struct weir_receipt_signer *made = sodium_init() < 0 ? NULL : weir_memory_new(1, sizeof(*made));
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the signer of receipts");
    made->settings = *settings;
    (void)pthread_mutex_init(&made->mutex, NULL);
    *signer = made;
    return WEIR_OK;
}

void weir_receipt_signer_free(struct weir_receipt_signer **signer) {
    if (*signer == NULL)
        return;
    weir_secret_free(&(*signer)->signing);
    (void)pthread_mutex_destroy(&(*signer)->mutex);
    weir_memory_free(*signer);
    *signer = NULL;
}

/* --- the private part in a file --- */
static bool path_of(const struct weir_receipt_signer_settings *settings, const char *id, char path[PATH_SIZE]) {
    int length = snprintf(path, PATH_SIZE, "%s/receipt-key-%s", settings->directory, id);
    return length > 0 && length < PATH_SIZE;
}

static enum weir_status file_failed(struct weir_error *error, const char *path, const char *what) {
    return weir_fail(error, WEIR_EIO, "the key that receipts are signed with cannot be %s (%s): %s", what, path,
                     strerror(errno));
}

/* WEIR_ENOTFOUND: there is no such file. */
static enum weir_status file_read(const struct weir_receipt_signer_settings *settings, const char *id,
                                  struct weir_secret **seed, struct weir_error *error) {
    char path[PATH_SIZE], text[SEED_DIGITS + 2];
    unsigned char bytes[WEIR_RECEIPT_SEED_BYTES];
    struct stat about;
    if (!path_of(settings, id, path))
        return weir_fail(error, WEIR_EINVAL, "the path of the data directory is too long");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? WEIR_ENOTFOUND : file_failed(error, path, "read");
    ssize_t length = fstat(fd, &about) == 0 && S_ISREG(about.st_mode) ? read(fd, text, sizeof(text)) : -1;
    (void)close(fd);
    enum weir_status status = WEIR_OK;
    if (length >= 0 && (about.st_mode & 077) != 0)
        status = weir_fail(error, WEIR_EDENIED,
                           "others may read %s, the key that receipts are signed with: chmod 600 it", path);
    else if (length != SEED_DIGITS + 1 || text[SEED_DIGITS] != '\n' ||
             weir_hex_parse(weir_span_of(text, SEED_DIGITS), bytes, sizeof(bytes)) != WEIR_OK)
        status = weir_fail(error, WEIR_ECORRUPT, "%s is not a key that receipts are signed with", path);
    if (status == WEIR_OK) {
        *seed = weir_secret_new(weir_span_of((const char *)bytes, sizeof(bytes)));
        status = *seed != NULL ? WEIR_OK : weir_fail(error, WEIR_ENOMEM, "no memory");
    }
    sodium_memzero(text, sizeof(text));
    sodium_memzero(bytes, sizeof(bytes));
    return status;
}

/* Nobody knows the key yet: it is whole before anybody looks for it. */
static enum weir_status file_write(const struct weir_receipt_signer_settings *settings, const char *id,
                                   const struct weir_secret *seed, struct weir_error *error) {
    char path[PATH_SIZE], text[SEED_DIGITS + 2];
    if (!path_of(settings, id, path))
        return weir_fail(error, WEIR_EINVAL, "the path of the data directory is too long");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return file_failed(error, path, "kept");
    weir_hex_format(weir_secret_reveal(seed).at, WEIR_RECEIPT_SEED_BYTES, text);
    text[SEED_DIGITS] = '\n';
    bool is_written = write(fd, text, SEED_DIGITS + 1) == SEED_DIGITS + 1 && fsync(fd) == 0;
    sodium_memzero(text, sizeof(text));
    enum weir_status status = is_written ? WEIR_OK : file_failed(error, path, "kept");
    (void)close(fd);
    if (!is_written)
        (void)unlink(path);
    return status;
}

static void file_remove(const struct weir_receipt_signer_settings *settings, const char *id) {
    char path[PATH_SIZE];
    if (path_of(settings, id, path))
        (void)unlink(path);
}

/* --- the object --- */
static struct weir_span about_of(struct weir_arena *arena, const struct weir_receipt_signer_settings *settings,
                                 const char *id) {
    return weir_span_of_string(weir_arena_format(arena, "receipt-key\n%s\n%s", settings->environment, id));
}

static enum weir_status no_memory(struct weir_error *error) {
    return weir_fail(error, WEIR_ENOMEM, "no memory for a key of receipts");
}

static enum weir_status damaged(const struct weir_object *object, struct weir_error *error) {
    return weir_fail(error, WEIR_ECORRUPT, "the key of receipts %.*s is damaged in the store",
                     WEIR_SPAN_PRINT(object->id));
}

static enum weir_status read_blob(struct weir_arena *arena, struct weir_span base64, struct weir_span *blob) {
    size_t length = 0;
    unsigned char *bytes = weir_arena_alloc(arena, base64.length + 1);
    if (bytes == NULL)
        return WEIR_ENOMEM;
    if (sodium_base642bin(bytes, base64.length, base64.at, base64.length, NULL, &length, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return WEIR_ECORRUPT;
    *blob = weir_span_of((const char *)bytes, length);
    return WEIR_OK;
}

static enum weir_status key_of_object(struct weir_arena *arena, const struct weir_object *object,
                                      struct weir_receipt_key *key, struct weir_error *error) {
    static const struct weir_json_want wants[] = {{"public"}, {"sealed"}, {"retired_utc_us"}};
    struct weir_json_found found[3];
    struct weir_span text;
    *key = (struct weir_receipt_key){.created_utc_us = object->created_utc_us, .sealed = WEIR_SPAN("")};
    if (weir_json_scan(object->text, wants, 3, found, NULL, NULL) != WEIR_OK || found[0].kind != WEIR_JSON_STRING ||
        !weir_json_plain_string(found[0].value, &text) || weir_receipt_public_parse(text, &key->public) != WEIR_OK ||
        !weir_span_equal(object->id, weir_span_of_string(key->public.id)))
        return damaged(object, error);
    if (found[2].kind == WEIR_JSON_NUMBER && weir_json_int64(found[2].value, &key->retired_utc_us) != WEIR_OK)
        return damaged(object, error);
    if (found[1].kind != WEIR_JSON_STRING)
        return WEIR_OK;
    enum weir_status status = weir_json_plain_string(found[1].value, &text) ? read_blob(arena, text, &key->sealed)
                                                                            : WEIR_ECORRUPT;
    return status == WEIR_ECORRUPT ? damaged(object, error) : status == WEIR_OK ? WEIR_OK : no_memory(error);
}

/* The object's text; empty without memory. */
static struct weir_span text_of(struct weir_arena *arena, const struct weir_receipt_key *key) {
    char x[WEIR_RECEIPT_KEY_ID_SIZE];
    struct weir_buffer out;
    struct weir_json_writer writer;
    struct weir_span text = WEIR_SPAN("");
    size_t size = sodium_base64_encoded_len(key->sealed.length, sodium_base64_VARIANT_ORIGINAL);
    char *blob = weir_arena_alloc(arena, size);
    if (blob == NULL)
        return text;
    (void)sodium_bin2base64(blob, size, (const unsigned char *)key->sealed.at, key->sealed.length,
                            sodium_base64_VARIANT_ORIGINAL);
    (void)sodium_bin2base64(x, sizeof(x), key->public.bytes, sizeof(key->public.bytes),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    weir_buffer_init(&out, 16 * WEIR_KIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "public", x);
    if (key->sealed.length > 0)
        weir_json_member_text(&writer, "sealed", blob);
    if (key->retired_utc_us != 0)
        weir_json_member_int64(&writer, "retired_utc_us", key->retired_utc_us);
    weir_json_write_end(&writer);
    if (weir_buffer_status(&out) != WEIR_OK || weir_arena_dup(arena, weir_buffer_span(&out), &text) != WEIR_OK)
        text = WEIR_SPAN("");
    weir_buffer_release(&out);
    return text;
}

/* WEIR_ENOTFOUND: there is none yet. */
static enum weir_status find_current(const struct weir_receipt_signer_settings *settings, struct weir_engine *engine,
                                     struct weir_arena *arena, struct weir_object *object, struct weir_receipt_key *key,
                                     struct weir_error *error) {
    enum weir_status status = settings->store->object_find(engine, WEIR_OBJECT_RECEIPT_KEY, current, arena, object,
                                                           error);
    return status == WEIR_OK ? key_of_object(arena, object, key, error) : status;
}

/* --- making and retiring --- */
static enum weir_status seal(const struct weir_receipt_signer_settings *settings, struct weir_arena *arena,
                             const struct weir_secret *seed, struct weir_receipt_key *key, struct weir_error *error) {
    struct weir_buffer blob;
    struct weir_span about = about_of(arena, settings, key->public.id);
    weir_buffer_init(&blob, 4 * WEIR_KIB);
    enum weir_status status = about.length == 0
                                  ? WEIR_ENOMEM
                                  : weir_sealing_seal(settings->sealing, about, weir_secret_reveal(seed), &blob);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&blob), &key->sealed);
    weir_buffer_release(&blob);
    return status == WEIR_OK ? WEIR_OK : no_memory(error);
}

static enum weir_status new_seed(struct weir_secret **seed, struct weir_receipt_public *public,
                                 struct weir_error *error) {
    unsigned char bytes[WEIR_RECEIPT_SEED_BYTES];
    struct weir_secret *signing = NULL;
    randombytes_buf(bytes, sizeof(bytes));
    *seed = weir_secret_new(weir_span_of((const char *)bytes, sizeof(bytes)));
    sodium_memzero(bytes, sizeof(bytes));
    enum weir_status status = *seed != NULL ? weir_receipt_key_of_seed(*seed, public, &signing) : WEIR_ENOMEM;
    weir_secret_free(&signing);
    return status == WEIR_OK ? WEIR_OK : no_memory(error);
}

/* Makes the current key. WEIR_EEXIST: another process was faster. */
static enum weir_status make(const struct weir_receipt_signer_settings *settings, struct weir_engine *engine,
                             struct weir_arena *arena, struct weir_receipt_public *made, struct weir_error *error) {
    struct weir_receipt_key key = {.sealed = WEIR_SPAN("")};
    struct weir_secret *seed = NULL;
    bool seals = settings->sealing != NULL && weir_sealing_can_seal(settings->sealing);
    enum weir_status status = new_seed(&seed, &key.public, error);
    if (status == WEIR_OK)
        status = seals ? seal(settings, arena, seed, &key, error) : file_write(settings, key.public.id, seed, error);
    weir_secret_free(&seed);
    if (status != WEIR_OK)
        return status;
    int64_t now_utc_us = weir_clock_utc_us();
    struct weir_object object = {.kind = WEIR_OBJECT_RECEIPT_KEY,
                                 .parent = WEIR_SPAN(""),
                                 .id = weir_span_of_string(key.public.id),
                                 .handle = current,
                                 .text = text_of(arena, &key),
                                 .created_utc_us = now_utc_us,
                                 .updated_utc_us = now_utc_us};
    status = object.text.length > 0 ? settings->store->object_create(engine, &object, error) : no_memory(error);
    if (status == WEIR_OK)
        *made = key.public;
    else if (!seals)
        file_remove(settings, key.public.id);
    return status;
}

static enum weir_status retire(const struct weir_receipt_signer_settings *settings, struct weir_engine *engine,
                               struct weir_arena *arena, struct weir_object *object, struct weir_receipt_key *key,
                               struct weir_error *error) {
    key->sealed = WEIR_SPAN("");
    key->retired_utc_us = weir_clock_utc_us();
    object->handle = WEIR_SPAN("");
    object->text = text_of(arena, key);
    object->updated_utc_us = key->retired_utc_us;
    return object->text.length > 0 ? settings->store->object_update(engine, object, object->version, error)
                                   : no_memory(error);
}

static enum weir_status rotate(const struct weir_receipt_signer_settings *settings, struct weir_engine *engine,
                               struct weir_arena *arena, struct weir_receipt_public *before,
                               struct weir_receipt_public *after, struct weir_error *error) {
    struct weir_object object;
    struct weir_receipt_key key;
    *before = (struct weir_receipt_public){.id = ""};
    enum weir_status status = find_current(settings, engine, arena, &object, &key, error);
    if (status == WEIR_OK) {
        *before = key.public;
        status = retire(settings, engine, arena, &object, &key, error);
    } else if (status == WEIR_ENOTFOUND) {
        status = WEIR_OK;
    }
    return status == WEIR_OK ? make(settings, engine, arena, after, error) : status;
}

enum weir_status weir_receipt_signer_rotate(struct weir_receipt_signer *signer, struct weir_engine *engine,
                                            struct weir_receipt_public *before, struct weir_receipt_public *after,
                                            struct weir_error *error) {
    struct weir_arena *arena = weir_arena_new(0, ARENA_BYTES);
    enum weir_status status = arena == NULL ? no_memory(error)
                                            : rotate(&signer->settings, engine, arena, before, after, error);
    weir_arena_free(&arena);
    return status;
}

void weir_receipt_signer_forget(struct weir_receipt_signer *signer, const struct weir_receipt_public *key) {
    if (key->id[0] != '\0')
        file_remove(&signer->settings, key->id);
}

/* The key's file is gone for good: the one before stays known, and another one signs. */
static enum weir_status replace_lost(const struct weir_receipt_signer_settings *settings, struct weir_engine *engine,
                                     struct weir_arena *arena, const struct weir_receipt_public *lost,
                                     struct weir_error *error) {
    struct weir_object object;
    struct weir_receipt_key key;
    struct weir_receipt_public before, after = {.id = ""};
    enum weir_status status = settings->store->work_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = find_current(settings, engine, arena, &object, &key, error);
    /* Another process may have done it. */
    if (status == WEIR_OK && strcmp(key.public.id, lost->id) == 0)
        status = rotate(settings, engine, arena, &before, &after, error);
    status = settings->store->work_end(engine, status, error);
    if (status != WEIR_OK && after.id[0] != '\0')
        file_remove(settings, after.id);
    return status;
}

/* --- holding the current one --- */
static enum weir_status open_private(const struct weir_receipt_signer_settings *settings, struct weir_arena *arena,
                                     const struct weir_receipt_key *key, struct weir_secret **seed,
                                     struct weir_error *error) {
    if (key->sealed.length == 0)
        return file_read(settings, key->public.id, seed, error);
    struct weir_span about = about_of(arena, settings, key->public.id);
    enum weir_status status = WEIR_EDENIED;
    if (settings->sealing != NULL && about.length > 0)
        status = weir_sealing_open(settings->sealing, about, key->sealed, seed);
    if (status == WEIR_EDENIED)
        return weir_fail(error, status,
                         "the key that receipts are signed with is sealed with a key that is not there "
                         "(secrets.sealing_key, secrets.previous_sealing_keys)");
    if (status == WEIR_ECORRUPT)
        return weir_fail(error, status,
                         "the key that receipts are signed with is damaged, or was sealed for another environment");
    return status == WEIR_OK ? WEIR_OK : no_memory(error);
}

static enum weir_status hold(struct weir_receipt_signer *signer, struct weir_arena *arena,
                             const struct weir_receipt_key *key, struct weir_error *error) {
    struct weir_secret *seed = NULL, *signing = NULL;
    struct weir_receipt_public public;
    enum weir_status status = open_private(&signer->settings, arena, key, &seed, error);
    if (status == WEIR_OK) {
        status = weir_receipt_key_of_seed(seed, &public, &signing);
        if (status != WEIR_OK || strcmp(public.id, key->public.id) != 0)
            status = weir_fail(error, WEIR_ECORRUPT, "what was kept as the private part of the key %s is another's",
                               key->public.id);
    }
    weir_secret_free(&seed);
    if (status == WEIR_OK) {
        pthread_mutex_lock(&signer->mutex);
        weir_secret_free(&signer->signing);
        signer->signing = signing;
        signer->public = public;
        pthread_mutex_unlock(&signer->mutex);
    } else {
        weir_secret_free(&signing);
    }
    return status;
}

static bool is_held(struct weir_receipt_signer *signer, const struct weir_receipt_public *public) {
    pthread_mutex_lock(&signer->mutex);
    bool held = strcmp(signer->public.id, public->id) == 0;
    pthread_mutex_unlock(&signer->mutex);
    return held;
}

static enum weir_status ready(struct weir_receipt_signer *signer, struct weir_engine *engine, struct weir_arena *arena,
                              struct weir_error *error) {
    const struct weir_receipt_signer_settings *settings = &signer->settings;
    enum weir_status status = WEIR_ENOTFOUND;
    for (int tries = 0; tries < TRIES; tries++) {
        struct weir_object object;
        struct weir_receipt_key key;
        struct weir_receipt_public made;
        weir_arena_reset(arena);
        status = find_current(settings, engine, arena, &object, &key, error);
        if (status == WEIR_ENOTFOUND) {
            status = make(settings, engine, arena, &made, error);
            if (status != WEIR_OK && status != WEIR_EEXIST)
                return status;
            continue;
        }
        if (status != WEIR_OK || is_held(signer, &key.public))
            return status;
        status = hold(signer, arena, &key, error);
        if (status != WEIR_ENOTFOUND)
            return status;
        status = replace_lost(settings, engine, arena, &key.public, error);
        if (status != WEIR_OK)
            return status;
    }
    return weir_fail(error, WEIR_EBUSY, "the key that receipts are signed with keeps changing");
}

enum weir_status weir_receipt_signer_ready(struct weir_receipt_signer *signer, struct weir_engine *engine,
                                           struct weir_error *error) {
    struct weir_arena *arena = weir_arena_new(0, ARENA_BYTES);
    enum weir_status status = arena == NULL ? no_memory(error) : ready(signer, engine, arena, error);
    weir_arena_free(&arena);
    return status;
}

enum weir_status weir_receipt_signer_sign(struct weir_receipt_signer *signer, enum weir_receipt_statement what,
                                          struct weir_span text, struct weir_receipt_signature *signature) {
    pthread_mutex_lock(&signer->mutex);
    enum weir_status status = WEIR_ENOTFOUND;
    if (signer->signing != NULL) {
        status = weir_receipt_sign(signer->signing, what, text, signature->signature);
        memcpy(signature->key_id, signer->public.id, sizeof(signature->key_id));
    }
    pthread_mutex_unlock(&signer->mutex);
    return status;
}

enum weir_status weir_receipt_signer_write(struct weir_receipt_signer *signer, struct weir_span text,
                                           const unsigned char hash[WEIR_RECEIPT_HASH_SIZE],
                                           struct weir_json_writer *writer) {
    struct weir_receipt_signature signature;
    enum weir_status status = weir_receipt_signer_sign(signer, WEIR_RECEIPT_OF_ENTRY, text, &signature);
    if (status == WEIR_OK)
        weir_receipt_write_signed(writer, text, hash, signature.key_id, signature.signature);
    return status;
}

/* --- all keys --- */
struct visiting {
    weir_receipt_key_visit visit;
    void *context;
    struct weir_arena *arena;
    struct weir_error *error;
    int64_t last;
    size_t seen;
};

static enum weir_status visit_object(void *context, const struct weir_object *object) {
    struct visiting *visiting = context;
    struct weir_receipt_key key;
    weir_arena_reset(visiting->arena);
    enum weir_status status = key_of_object(visiting->arena, object, &key, visiting->error);
    visiting->seen++;
    visiting->last = object->number;
    return status == WEIR_OK ? visiting->visit(visiting->context, &key) : status;
}

enum weir_status weir_receipt_keys_each(const struct weir_engine_ops *store, struct weir_engine *engine,
                                        weir_receipt_key_visit visit, void *context, struct weir_error *error) {
    struct visiting visiting = {.visit = visit, .context = context, .error = error};
    enum weir_status status = WEIR_OK;
    visiting.arena = weir_arena_new(0, ARENA_BYTES);
    if (visiting.arena == NULL)
        return no_memory(error);
    do {
        const struct weir_object_query query = {.kind = WEIR_OBJECT_RECEIPT_KEY,
                                                .parent = WEIR_SPAN(""),
                                                .after_number = visiting.last,
                                                .limit = PAGE};
        visiting.seen = 0;
        status = store->object_list(engine, &query, visit_object, &visiting, error);
    } while (status == WEIR_OK && visiting.seen == PAGE);
    weir_arena_free(&visiting.arena);
    return status;
}

static void member_time(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    char text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(utc_us, text);
    weir_json_member_text(writer, name, utc_us != 0 ? text : NULL);
}

static enum weir_status write_key(void *context, const struct weir_receipt_key *key) {
    struct weir_json_writer *writer = context;
    weir_json_write_object(writer);
    weir_receipt_write_jwk(writer, &key->public);
    member_time(writer, "created_at", key->created_utc_us);
    member_time(writer, "retired_at", key->retired_utc_us);
    weir_json_write_end(writer);
    return WEIR_OK;
}

enum weir_status weir_receipt_keys_write(const struct weir_engine_ops *store, struct weir_engine *engine,
                                         struct weir_json_writer *writer, struct weir_error *error) {
    weir_json_write_object(writer);
    weir_json_write_name(writer, "keys");
    weir_json_write_array(writer);
    enum weir_status status = weir_receipt_keys_each(store, engine, write_key, writer, error);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    return status;
}

static enum weir_status write_plain_key(void *context, const struct weir_receipt_key *key) {
    struct weir_json_writer *writer = context;
    weir_json_write_object(writer);
    weir_receipt_write_jwk(writer, &key->public);
    weir_json_write_end(writer);
    return WEIR_OK;
}

enum weir_status weir_receipt_write_header(const struct weir_engine_ops *store, struct weir_engine *engine,
                                           bool complete, struct weir_buffer *out, struct weir_error *error) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_bool(&writer, "complete", complete);
    weir_json_write_name(&writer, "keys");
    weir_json_write_array(&writer);
    enum weir_status status = weir_receipt_keys_each(store, engine, write_plain_key, &writer, error);
    weir_json_write_end(&writer);
    weir_json_member_int64(&writer, "weir_receipts", WEIR_RECEIPT_VERSION);
    weir_json_write_end(&writer);
    weir_buffer_append_byte(out, '\n');
    return status;
}

/* --- sealing anew --- */
static enum weir_status reseal(const struct weir_receipt_signer_settings *settings, struct weir_engine *engine,
                               struct weir_arena *arena, char *result, struct weir_error *error) {
    char id[WEIR_SEALING_KEY_ID_SIZE], first[WEIR_SEALING_KEY_ID_SIZE];
    struct weir_object object;
    struct weir_receipt_key key;
    struct weir_secret *seed = NULL;
    enum weir_status status = find_current(settings, engine, arena, &object, &key, error);
    *result = '\0';
    if (status != WEIR_OK || key.sealed.length == 0)
        return status == WEIR_ENOTFOUND ? WEIR_OK : status;
    weir_sealing_key_id(settings->sealing, first);
    if (weir_sealing_blob_key_id(key.sealed, id) == WEIR_OK && strcmp(id, first) == 0) {
        *result = 'a';
        return WEIR_OK;
    }
    status = open_private(settings, arena, &key, &seed, error);
    if (status == WEIR_EDENIED || status == WEIR_ECORRUPT) {
        *result = 'u';
        return WEIR_OK;
    }
    if (status == WEIR_OK)
        status = seal(settings, arena, seed, &key, error);
    weir_secret_free(&seed);
    if (status != WEIR_OK)
        return status;
    object.text = text_of(arena, &key);
    object.updated_utc_us = weir_clock_utc_us();
    *result = 'r';
    return object.text.length > 0 ? settings->store->object_update(engine, &object, object.version, error)
                                  : no_memory(error);
}

enum weir_status weir_receipt_key_reseal(const struct weir_receipt_signer_settings *settings,
                                         struct weir_engine *engine, char *result, struct weir_error *error) {
    struct weir_arena *arena = weir_arena_new(0, ARENA_BYTES);
    enum weir_status status = arena == NULL ? no_memory(error) : reseal(settings, engine, arena, result, error);
    weir_arena_free(&arena);
    return status;
}

/* See sealed.h. */
#include "operator/sealed.h"

#include "base/limits.h"
#include "base/memory.h"
#include "json/write.h"
#include "operator/op_objects.h"

#include <sodium.h>

enum { TEXT_MAX = 256 * 1024, NAME_MAX_BYTES = 100 };

bool weir_secret_name_is_good(struct weir_span name) {
    if (name.length == 0 || name.length > NAME_MAX_BYTES || !weir_base62_is_digit(name.at[0]))
        return false;
    for (size_t i = 0; i < name.length; i++)
        if (!weir_base62_is_digit(name.at[i]) && memchr("._-", name.at[i], 3) == NULL)
            return false;
    return true;
}

/* --- named secrets --- */

static struct weir_span about_of(const struct weir_sealed_work *work, struct weir_span name) {
    return weir_span_of_string(
        weir_arena_format(work->arena, "secret\n%s\n%.*s", work->environment, WEIR_SPAN_PRINT(name)));
}

static enum weir_status no_memory(struct weir_error *error) {
    return weir_fail(error, WEIR_ENOMEM, "no memory for a secret");
}

static bool read_blob(struct weir_arena *arena, struct weir_span text, struct weir_span *blob) {
    char *bytes = weir_arena_alloc(arena, text.length + 1);
    size_t length = 0;
    if (bytes == NULL || sodium_base642bin((unsigned char *)bytes, text.length, text.at, text.length, NULL, &length,
                                           NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    *blob = weir_span_of(bytes, length);
    return true;
}

enum weir_status weir_named_secret_read(struct weir_sealed_work *work, const struct weir_object *object,
                                        struct weir_named_secret *secret, struct weir_error *error) {
    char id[WEIR_SEALING_KEY_ID_SIZE];
    struct weir_span text = WEIR_SPAN(""), name = WEIR_SPAN("");
    if (weir_arena_dup(work->arena, object->text, &text) != WEIR_OK ||
        weir_arena_dup(work->arena, object->id, &name) != WEIR_OK)
        return no_memory(error);
    yyjson_val *fields = operator__json_read(work->arena, text);
    struct weir_named_secret read = {.name = name,
                                     .description = operator__field(fields, "description"),
                                     .hint = operator__field(fields, "hint"),
                                     .version = object->version,
                                     .value_version = yyjson_get_uint(yyjson_obj_get(fields, "value_version")),
                                     .created_utc_us = object->created_utc_us,
                                     .updated_utc_us = object->updated_utc_us,
                                     .value_utc_us = yyjson_get_sint(yyjson_obj_get(fields, "value_utc_us"))};
    if (!read_blob(work->arena, operator__field(fields, "blob"), &read.blob) ||
        weir_sealing_blob_key_id(read.blob, id) != WEIR_OK)
        return weir_fail(error, WEIR_ECORRUPT, "the secret %.*s is damaged", WEIR_SPAN_PRINT(name));
    read.sealed_with = weir_span_of_string(weir_arena_string(work->arena, weir_span_of_string(id)));
    *secret = read;
    return WEIR_OK;
}

enum weir_status weir_named_secret_get(struct weir_sealed_work *work, struct weir_span name,
                                       struct weir_named_secret *secret, struct weir_error *error) {
    struct weir_object object;
    enum weir_status status = work->store->object_get(work->engine, WEIR_OBJECT_SECRET, WEIR_SPAN(""), name,
                                                      work->arena, &object, error);
    if (status == WEIR_ENOTFOUND)
        return weir_fail(error, status, "there is no secret %.*s in the store", WEIR_SPAN_PRINT(name));
    return status == WEIR_OK ? weir_named_secret_read(work, &object, secret, error) : status;
}

enum weir_status weir_named_secret_open(const struct weir_sealed_work *work, const struct weir_named_secret *secret,
                                        struct weir_secret **value, struct weir_error *error) {
    struct weir_span about = about_of(work, secret->name);
    enum weir_status status = about.length == 0 ? WEIR_ENOMEM
                                                : weir_sealing_open(work->sealing, about, secret->blob, value);
    if (status == WEIR_EDENIED)
        return weir_fail(error, status,
                         "the secret %.*s is sealed with the key %.*s, which is not among the sealing keys",
                         WEIR_SPAN_PRINT(secret->name), WEIR_SPAN_PRINT(secret->sealed_with));
    if (status == WEIR_ECORRUPT)
        return weir_fail(error, status, "the secret %.*s is damaged, or was sealed for another name or environment",
                         WEIR_SPAN_PRINT(secret->name));
    return status == WEIR_OK ? WEIR_OK : no_memory(error);
}

/* The object's text; empty without memory. */
static struct weir_span text_of(struct weir_sealed_work *work, const struct weir_named_secret *secret) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    struct weir_span text = WEIR_SPAN("");
    size_t size = sodium_base64_encoded_len(secret->blob.length, sodium_base64_VARIANT_ORIGINAL);
    char *blob = weir_arena_alloc(work->arena, size);
    if (blob == NULL)
        return text;
    (void)sodium_bin2base64(blob, size, (const unsigned char *)secret->blob.at, secret->blob.length,
                            sodium_base64_VARIANT_ORIGINAL);
    weir_buffer_init(&out, TEXT_MAX);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "description", secret->description);
    weir_json_member_string(&writer, "hint", secret->hint);
    weir_json_member_string(&writer, "sealed_with", secret->sealed_with);
    weir_json_member_int64(&writer, "value_version", (int64_t)secret->value_version);
    weir_json_member_int64(&writer, "value_utc_us", secret->value_utc_us);
    weir_json_member_text(&writer, "blob", blob);
    weir_json_write_end(&writer);
    if (weir_buffer_status(&out) != WEIR_OK || weir_arena_dup(work->arena, weir_buffer_span(&out), &text) != WEIR_OK)
        text = WEIR_SPAN("");
    weir_buffer_release(&out);
    return text;
}

/* Seals into secret->blob and secret->sealed_with. */
static enum weir_status seal(struct weir_sealed_work *work, struct weir_named_secret *secret, struct weir_span value,
                             struct weir_error *error) {
    char id[WEIR_SEALING_KEY_ID_SIZE];
    struct weir_buffer blob;
    struct weir_span about = about_of(work, secret->name);
    weir_buffer_init(&blob, TEXT_MAX);
    enum weir_status status = about.length == 0 ? WEIR_ENOMEM : weir_sealing_seal(work->sealing, about, value, &blob);
    if (status == WEIR_OK)
        status = weir_arena_dup(work->arena, weir_buffer_span(&blob), &secret->blob);
    weir_buffer_release(&blob);
    weir_sealing_key_id(work->sealing, id);
    secret->sealed_with = weir_span_of_string(weir_arena_string(work->arena, weir_span_of_string(id)));
    if (status == WEIR_EDENIED)
        return weir_fail(error, status, "there is no sealing key (secrets.sealing_key)");
    return status == WEIR_OK && secret->sealed_with.length > 0 ? WEIR_OK : no_memory(error);
}

enum weir_status weir_named_secret_put(struct weir_sealed_work *work, struct weir_span name, struct weir_span value,
                                       const struct weir_span *description, uint64_t expected_version,
                                       struct weir_named_secret *before, struct weir_named_secret *after,
                                       struct weir_error *error) {
    char hint[WEIR_SECRET_MASK_SIZE];
    *before = (struct weir_named_secret){.name = WEIR_SPAN("")};
    enum weir_status status = weir_named_secret_get(work, name, before, error);
    bool is_new = status == WEIR_ENOTFOUND;
    /* One that is damaged can be replaced. */
    if (status != WEIR_OK && !is_new && status != WEIR_ECORRUPT)
        return status;
    if (expected_version != 0 && (is_new || before->version != expected_version))
        return weir_fail(error, WEIR_ESTALE, "the secret %.*s is of another version", WEIR_SPAN_PRINT(name));
    weir_secret_mask(value, hint);
    struct weir_named_secret made = {.name = name,
                                     .description = description != NULL ? *description : before->description,
                                     .hint = weir_span_of_string(
                                         weir_arena_string(work->arena, weir_span_of_string(hint))),
                                     .value_version = before->value_version + 1,
                                     .value_utc_us = work->now_utc_us};
    status = seal(work, &made, value, error);
    if (status != WEIR_OK)
        return status;
    struct weir_object object = {.kind = WEIR_OBJECT_SECRET,
                                 .parent = WEIR_SPAN(""),
                                 .id = name,
                                 .handle = WEIR_SPAN(""),
                                 .text = text_of(work, &made),
                                 .created_utc_us = work->now_utc_us,
                                 .updated_utc_us = work->now_utc_us};
    if (object.text.length == 0)
        return no_memory(error);
    status = is_new ? work->store->object_create(work->engine, &object, error)
                    : work->store->object_update(work->engine, &object, 0, error);
    if (status != WEIR_OK)
        return status;
    made.version = object.version;
    made.created_utc_us = is_new ? work->now_utc_us : before->created_utc_us;
    made.updated_utc_us = work->now_utc_us;
    *after = made;
    return WEIR_OK;
}

/* --- in use --- */

static const struct weir_span use_prefix = {"secret: ", 8};

void weir_named_secret_write_use(struct weir_buffer *out, struct weir_span name, uint64_t value_version) {
    weir_buffer_printf(out, "%.*s%.*s@%llu\n", WEIR_SPAN_PRINT(use_prefix), WEIR_SPAN_PRINT(name),
                       (unsigned long long)value_version);
}

struct use {
    struct weir_span name;
    bool used;
};

static enum weir_status look_for_use(void *context, uint64_t number, struct weir_span hash, int64_t saved_utc_us,
                                     struct weir_span text) {
    (void)number, (void)hash, (void)saved_utc_us;
    struct use *use = context;
    struct weir_span line;
    while (text.length > 0 && !use->used) {
        (void)weir_span_split(text, '\n', &line, &text);
        if (!weir_span_starts_with(line, use_prefix))
            continue;
        struct weir_span rest = weir_span_from(line, use_prefix.length);
        use->used = weir_span_starts_with(rest, use->name) && rest.length > use->name.length &&
                    rest.at[use->name.length] == '@';
    }
    return WEIR_OK;
}

enum weir_status weir_named_secret_is_used(const struct weir_sealed_work *work, uint64_t before, struct weir_span name,
                                           bool *used, struct weir_error *error) {
    struct use use = {.name = name};
    enum weir_status status = work->store->revision_list(work->engine, before, 1, look_for_use, &use, error);
    *used = use.used;
    return status;
}

void weir_named_secret_write(struct weir_json_writer *writer, const struct weir_named_secret *secret) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "name", secret->name);
    weir_json_member_string(writer, "description", secret->description);
    weir_json_member_string(writer, "hint", secret->hint);
    weir_json_member_string(writer, "sealed_with", secret->sealed_with);
    weir_json_member_int64(writer, "version", (int64_t)secret->version);
    weir_json_member_int64(writer, "value_version", (int64_t)secret->value_version);
    weir_operation_member_time(writer, "value_set_at", secret->value_utc_us);
    weir_operation_member_time(writer, "created_at", secret->created_utc_us);
    weir_operation_member_time(writer, "updated_at", secret->updated_utc_us);
    weir_json_write_end(writer);
}

struct weir_span weir_named_secret_text(struct weir_sealed_work *work, const struct weir_named_secret *secret) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    struct weir_span text = WEIR_SPAN("");
    if (secret->name.length == 0)
        return text;
    weir_buffer_init(&out, TEXT_MAX);
    weir_json_writer_init(&writer, &out);
    weir_named_secret_write(&writer, secret);
    if (weir_buffer_status(&out) != WEIR_OK || weir_arena_dup(work->arena, weir_buffer_span(&out), &text) != WEIR_OK)
        text = WEIR_SPAN("");
    weir_buffer_release(&out);
    return text;
}

/* --- captured contents --- */

static struct weir_span about_content(const struct weir_sealed_work *work, struct weir_span request_id) {
    return weir_span_of_string(
        weir_arena_format(work->arena, "content\n%s\n%.*s", work->environment, WEIR_SPAN_PRINT(request_id)));
}

enum weir_status weir_content_open(const struct weir_sealed_work *work, const struct weir_content *content,
                                   struct weir_secret **plain, struct weir_error *error) {
    struct weir_span about = about_content(work, content->request_id);
    enum weir_status status = about.length == 0 ? WEIR_ENOMEM
                                                : weir_sealing_open(work->sealing, about, content->blob, plain);
    if (status == WEIR_EDENIED)
        return weir_fail(error, status, "the content is sealed with a key that is not among the sealing keys");
    if (status == WEIR_ECORRUPT)
        return weir_fail(error, status, "the content is damaged, or was sealed for another request or environment");
    return status == WEIR_OK ? WEIR_OK : no_memory(error);
}

/* --- sealing everything anew --- */

/* One place where something sealed is kept. `most`: of a batch, where what is kept is large; 0: whatever is asked for. `step` does at most `batch` objects behind *after, inside a transaction; *seen: how many there were. */
struct place {
    const char *name;
    size_t most;
    enum weir_status (*step)(struct weir_sealed_work *work, int64_t *after, size_t batch, size_t *seen,
                             struct weir_reseal_counts *counts, struct weir_error *error);
    enum weir_status (*count)(struct weir_sealed_work *work, struct weir_sealed_counts *counts,
                              struct weir_error *error);
};

struct collecting {
    struct weir_sealed_work *work;
    struct weir_object *objects;
    size_t count;
};

static enum weir_status collect(void *context, const struct weir_object *object) {
    struct collecting *collecting = context;
    struct weir_object *kept = &collecting->objects[collecting->count++];
    *kept = *object;
    kept->parent = kept->handle = WEIR_SPAN("");
    enum weir_status status = weir_arena_dup(collecting->work->arena, object->id, &kept->id);
    return status == WEIR_OK ? weir_arena_dup(collecting->work->arena, object->text, &kept->text) : status;
}

static enum weir_status reseal_secret(struct weir_sealed_work *work, struct weir_object *object, const char *first_id,
                                      struct weir_reseal_counts *counts, struct weir_error *error) {
    struct weir_named_secret secret;
    struct weir_secret *value = NULL;
    enum weir_status status = weir_named_secret_read(work, object, &secret, error);
    if (status == WEIR_OK && weir_span_equal(secret.sealed_with, weir_span_of_string(first_id))) {
        counts->already++;
        return WEIR_OK;
    }
    if (status == WEIR_OK)
        status = weir_named_secret_open(work, &secret, &value, error);
    if (status == WEIR_ECORRUPT || status == WEIR_EDENIED) {
        counts->unopened++;
        return WEIR_OK;
    }
    if (status == WEIR_OK)
        status = seal(work, &secret, weir_secret_reveal(value), error);
    weir_secret_free(&value);
    if (status != WEIR_OK)
        return status;
    object->text = text_of(work, &secret);
    object->updated_utc_us = work->now_utc_us;
    if (object->text.length == 0)
        return no_memory(error);
    status = work->store->object_update(work->engine, object, object->version, error);
    counts->resealed += status == WEIR_OK;
    return status;
}

static enum weir_status step_secrets(struct weir_sealed_work *work, int64_t *after, size_t batch, size_t *seen,
                                     struct weir_reseal_counts *counts, struct weir_error *error) {
    char first_id[WEIR_SEALING_KEY_ID_SIZE];
    const struct weir_object_query query = {.kind = WEIR_OBJECT_SECRET, .after_number = *after, .limit = batch};
    struct collecting collecting = {.work = work,
                                    .objects = weir_arena_array(work->arena, batch, sizeof(struct weir_object))};
    weir_sealing_key_id(work->sealing, first_id);
    if (collecting.objects == NULL)
        return no_memory(error);
    enum weir_status status = work->store->object_list(work->engine, &query, collect, &collecting, error);
    for (size_t i = 0; i < collecting.count && status == WEIR_OK; i++) {
        *after = collecting.objects[i].number;
        status = reseal_secret(work, &collecting.objects[i], first_id, counts, error);
    }
    *seen = collecting.count;
    return status;
}

struct counting {
    struct weir_sealed_work work;
    struct weir_sealed_counts *counts;
    char first_id[WEIR_SEALING_KEY_ID_SIZE];
    int64_t last;
    size_t seen;
};

static enum weir_status count_secret(void *context, const struct weir_object *object) {
    struct counting *counting = context;
    struct weir_named_secret secret = {.version = 0};
    counting->seen++;
    counting->last = object->number;
    if (weir_named_secret_read(&counting->work, object, &secret, NULL) != WEIR_OK)
        counting->counts->unknown++;
    else if (weir_span_equal(secret.sealed_with, weir_span_of_string(counting->first_id)))
        counting->counts->first++;
    else if (weir_sealing_has(counting->work.sealing, secret.sealed_with))
        counting->counts->previous++;
    else
        counting->counts->unknown++;
    weir_arena_reset(counting->work.arena);
    return WEIR_OK;
}

static enum weir_status count_secrets(struct weir_sealed_work *work, struct weir_sealed_counts *counts,
                                      struct weir_error *error) {
    enum { PAGE = 1000 };
    struct counting counting = {.work = *work, .counts = counts};
    enum weir_status status = WEIR_OK;
    counting.work.arena = weir_arena_new(0, 4 * WEIR_MIB);
    if (counting.work.arena == NULL)
        return no_memory(error);
    weir_sealing_key_id(work->sealing, counting.first_id);
    do {
        const struct weir_object_query query = {.kind = WEIR_OBJECT_SECRET,
                                                .after_number = counting.last,
                                                .limit = PAGE};
        counting.seen = 0;
        status = work->store->object_list(work->engine, &query, count_secret, &counting, error);
    } while (status == WEIR_OK && counting.seen == PAGE);
    weir_arena_free(&counting.work.arena);
    return status;
}

/* --- contents --- */

enum { CONTENTS_A_BATCH = 16 };

struct taking {
    struct weir_sealed_work *work;
    struct weir_content *contents;
    size_t count;
};

static enum weir_status take_content(void *context, const struct weir_content *content) {
    struct taking *taking = context;
    struct weir_content *kept = &taking->contents[taking->count++];
    *kept = *content;
    enum weir_status status = weir_arena_dup(taking->work->arena, content->request_id, &kept->request_id);
    return status == WEIR_OK ? weir_arena_dup(taking->work->arena, content->blob, &kept->blob) : status;
}

static enum weir_status reseal_content(struct weir_sealed_work *work, const struct weir_content *content,
                                       const char *first_id, struct weir_reseal_counts *counts,
                                       struct weir_error *error) {
    char id[WEIR_SEALING_KEY_ID_SIZE];
    struct weir_secret *plain = NULL;
    struct weir_buffer blob;
    enum weir_status status = weir_sealing_blob_key_id(content->blob, id);
    if (status == WEIR_OK && strcmp(id, first_id) == 0) {
        counts->already++;
        return WEIR_OK;
    }
    if (status == WEIR_OK)
        status = weir_content_open(work, content, &plain, error);
    if (status == WEIR_ECORRUPT || status == WEIR_EDENIED) {
        counts->unopened++;
        return WEIR_OK;
    }
    weir_buffer_init(&blob, content->blob.length + WEIR_KIB);
    if (status == WEIR_OK)
        status = weir_sealing_seal(work->sealing, about_content(work, content->request_id), weir_secret_reveal(plain),
                                   &blob);
    weir_secret_free(&plain);
    if (status == WEIR_OK)
        status = weir_buffer_status(&blob);
    if (status == WEIR_OK)
        status = work->store->content_reseal(work->engine, content->number, weir_buffer_span(&blob), error);
    else
        status = no_memory(error);
    weir_buffer_release(&blob);
    counts->resealed += status == WEIR_OK;
    return status;
}

static enum weir_status step_contents(struct weir_sealed_work *work, int64_t *after, size_t batch, size_t *seen,
                                      struct weir_reseal_counts *counts, struct weir_error *error) {
    char first_id[WEIR_SEALING_KEY_ID_SIZE];
    struct taking taking = {.work = work,
                            .contents = weir_arena_array(work->arena, batch, sizeof(struct weir_content))};
    weir_sealing_key_id(work->sealing, first_id);
    if (taking.contents == NULL)
        return no_memory(error);
    enum weir_status status = work->store->content_each(work->engine, *after, batch, false, take_content, &taking,
                                                        error);
    for (size_t i = 0; i < taking.count && status == WEIR_OK; i++) {
        *after = taking.contents[i].number;
        status = reseal_content(work, &taking.contents[i], first_id, counts, error);
    }
    *seen = taking.count;
    return status;
}

static enum weir_status count_content(void *context, const struct weir_content *content) {
    struct counting *counting = context;
    char id[WEIR_SEALING_KEY_ID_SIZE];
    counting->seen++;
    counting->last = content->number;
    if (weir_sealing_blob_key_id(content->blob, id) != WEIR_OK)
        counting->counts->unknown++;
    else if (strcmp(id, counting->first_id) == 0)
        counting->counts->first++;
    else if (weir_sealing_has(counting->work.sealing, weir_span_of_string(id)))
        counting->counts->previous++;
    else
        counting->counts->unknown++;
    return WEIR_OK;
}

static enum weir_status count_contents(struct weir_sealed_work *work, struct weir_sealed_counts *counts,
                                       struct weir_error *error) {
    enum { PAGE = 1000 };
    struct counting counting = {.work = *work, .counts = counts};
    enum weir_status status;
    weir_sealing_key_id(work->sealing, counting.first_id);
    do {
        counting.seen = 0;
        status = work->store->content_each(work->engine, counting.last, PAGE, true, count_content, &counting, error);
    } while (status == WEIR_OK && counting.seen == PAGE);
    return status;
}

static const struct place places[] = {
    {"secrets", 0, step_secrets, count_secrets},
    {"contents", CONTENTS_A_BATCH, step_contents, count_contents},
    {"receipt keys", 0, operator__reseal_receipts, operator__count_sealed_receipts},
};
enum { PLACE_COUNT = sizeof places / sizeof *places };

const char *weir_reseal_place(size_t index) {
    return index < PLACE_COUNT ? places[index].name : NULL;
}

static enum weir_status note_batch(struct weir_sealed_work *work, const struct place *place, weir_reseal_note note,
                                   void *context, uint64_t resealed, struct weir_error *error) {
    char id[WEIR_SEALING_KEY_ID_SIZE];
    weir_sealing_key_id(work->sealing, id);
    const char *what = weir_arena_format(work->arena, "{\"place\":\"%s\",\"resealed\":%llu,\"sealed_with\":\"%s\"}",
                                         place->name, (unsigned long long)resealed, id);
    return what == NULL ? no_memory(error) : note(context, work, id, place->name, weir_span_of_string(what), error);
}

enum weir_status weir_reseal(struct weir_sealed_work *work, size_t place, size_t batch, weir_reseal_note note,
                             void *context, struct weir_reseal_counts *counts, struct weir_error *error) {
    int64_t after = 0;
    size_t seen = 0;
    enum weir_status status;
    *counts = (struct weir_reseal_counts){.resealed = 0};
    if (places[place].most > 0 && batch > places[place].most)
        batch = places[place].most;
    if (!weir_sealing_can_seal(work->sealing))
        return weir_fail(error, WEIR_EDENIED, "there is no sealing key (secrets.sealing_key)");
    do {
        struct weir_reseal_counts done = *counts;
        weir_arena_reset(work->arena);
        seen = 0;
        status = work->store->work_begin(work->engine, error);
        if (status != WEIR_OK)
            return status;
        status = places[place].step(work, &after, batch, &seen, &done, error);
        if (status == WEIR_OK && done.resealed > counts->resealed)
            status = note_batch(work, &places[place], note, context, done.resealed - counts->resealed, error);
        status = work->store->work_end(work->engine, status, error);
        if (status == WEIR_OK)
            *counts = done;
    } while (status == WEIR_OK && seen == batch);
    return status;
}

enum weir_status weir_sealed_count(struct weir_sealed_work *work, size_t place, struct weir_sealed_counts *counts,
                                   struct weir_error *error) {
    *counts = (struct weir_sealed_counts){.first = 0};
    return places[place].count(work, counts, error);
}

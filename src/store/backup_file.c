/* The form of a backup file: writing it and reading it, chunk by chunk, with bounded memory.
 *
 * Reading believes nothing: each length is checked against what the head allows before anything is allocated or copied, and a chunk is looked
 * at only after its checksum (and, where sealed, its tag) is right. Neither side knows what a database is.
 */
#include "store/backup_impl.h"

#include "base/limits.h"
#include "base/memory.h"

#include <errno.h>
#include <unistd.h>

static const char head_magic[] = "WEIRBKUP", foot_magic[] = "WEIRBEND";
enum { MAGIC_BYTES = 8, FLAG_SEALED = 1, CHUNK_HEAD_BYTES = 8 };

/* Places in the head. */
enum {
    AT_FORM = 8,
    AT_FLAGS = 12,
    AT_SCHEMA = 16,
    AT_CHUNK = 20,
    AT_CREATED = 24,
    AT_DATABASE = 32,
    AT_CONTENT = 40,
    AT_ENVIRONMENT = 48,
    AT_INSTANCE = 64,
    AT_VERSION = 80,
    AT_WRAPPED_LENGTH = 112,
    AT_WRAPPED = 116,
    AT_STREAM = AT_WRAPPED + WEIR_BACKUP_WRAPPED_MAX,
    AT_ZEROES = AT_STREAM + crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    AT_CHECKSUM = STORE__BACKUP_HEAD_BYTES - 4
};

static void put_u32(unsigned char *out, uint32_t value) {
    memcpy(out, &value, sizeof value);
}

static void put_u64(unsigned char *out, uint64_t value) {
    memcpy(out, &value, sizeof value);
}

static uint32_t get_u32(const unsigned char *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t get_u64(const unsigned char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static struct weir_span bytes_of(const void *at, size_t size) {
    return weir_span_of(at, size);
}

void store__backup_about(const struct weir_backup_info *info, struct weir_buffer *about) {
    weir_buffer_printf(about, "backup\n%s\n%lld", info->environment, (long long)info->created_utc_us);
}

/* --- writing --- */

enum weir_status store__backup_fail(struct weir_error *error, int number, const char *verb, const char *path) {
    bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return weir_fail(error,
                     full               ? WEIR_EFULL
                     : number == ENOENT ? WEIR_ENOTFOUND
                     : number == EEXIST ? WEIR_EEXIST
                                        : WEIR_EIO,
                     "cannot %s %.300s: %s", verb, path, strerror(number));
}

enum weir_status store__backup_write_fd(int fd, const void *bytes, size_t size, const char *path,
                                        struct weir_error *error) {
    const char *at = bytes;
    while (size > 0) {
        ssize_t wrote = write(fd, at, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return store__backup_fail(error, errno, "write", path);
        at += wrote;
        size -= (size_t)wrote;
    }
    return WEIR_OK;
}

static enum weir_status put(struct store__backup_writer *writer, const void *bytes, size_t size,
                            struct weir_error *error) {
    (void)crypto_hash_sha256_update(&writer->hash, bytes, size);
    return store__backup_write_fd(writer->fd, bytes, size, "the backup", error);
}

static void head_encode(const struct weir_backup_info *info, unsigned char head[STORE__BACKUP_HEAD_BYTES]) {
    memset(head, 0, STORE__BACKUP_HEAD_BYTES);
    memcpy(head, head_magic, MAGIC_BYTES);
    put_u32(head + AT_FORM, STORE__BACKUP_FORM);
    put_u32(head + AT_FLAGS, info->sealed ? FLAG_SEALED : 0);
    put_u32(head + AT_SCHEMA, info->schema);
    put_u32(head + AT_CHUNK, STORE__BACKUP_CHUNK_BYTES);
    put_u64(head + AT_CREATED, (uint64_t)info->created_utc_us);
    put_u64(head + AT_DATABASE, info->database_bytes);
    put_u64(head + AT_CONTENT, info->content_bytes);
    memcpy(head + AT_ENVIRONMENT, info->environment, sizeof info->environment - 1);
    memcpy(head + AT_INSTANCE, info->instance.bytes, sizeof info->instance.bytes);
    memcpy(head + AT_VERSION, info->version, sizeof info->version - 1);
    put_u32(head + AT_WRAPPED_LENGTH, (uint32_t)info->wrapped_length);
    memcpy(head + AT_WRAPPED, info->wrapped, info->wrapped_length);
}

static void head_close(unsigned char head[STORE__BACKUP_HEAD_BYTES]) {
    put_u32(head + AT_CHECKSUM, weir_crc32c(0, bytes_of(head, AT_CHECKSUM)));
}

enum weir_status store__backup_writer_begin(struct store__backup_writer *writer, int fd,
                                            const struct weir_backup_info *info, struct weir_span key,
                                            struct weir_error *error) {
    *writer = (struct store__backup_writer){.fd = fd, .bytes_left = info->content_bytes};
    (void)crypto_hash_sha256_init(&writer->hash);
    writer->chunk = weir_memory_new(STORE__BACKUP_CHUNK_BYTES, 1);
    if (key.length > 0)
        writer->sealed_chunk = weir_memory_new(STORE__BACKUP_CHUNK_BYTES + STORE__BACKUP_MORE_BYTES, 1);
    if (writer->chunk == NULL || (key.length > 0 && writer->sealed_chunk == NULL))
        return weir_fail(error, WEIR_ENOMEM, "no memory for a backup");
    head_encode(info, writer->head);
    if (key.length > 0) {
        weir_bug_on(key.length != STORE__BACKUP_KEY_BYTES);
        (void)crypto_secretstream_xchacha20poly1305_init_push(&writer->stream, writer->head + AT_STREAM,
                                                              (const unsigned char *)key.at);
    }
    head_close(writer->head);
    return put(writer, writer->head, sizeof writer->head, error);
}

static enum weir_status put_chunk(struct store__backup_writer *writer, struct weir_error *error) {
    unsigned char head[CHUNK_HEAD_BYTES];
    const unsigned char *bytes = writer->chunk;
    size_t size = writer->filled;
    if (writer->sealed_chunk != NULL) {
        bool last = writer->bytes_left == 0;
        (void)crypto_secretstream_xchacha20poly1305_push(&writer->stream, writer->sealed_chunk, NULL, writer->chunk,
                                                         writer->filled, writer->head, sizeof writer->head,
                                                         last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                                                              : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
        bytes = writer->sealed_chunk;
        size += STORE__BACKUP_MORE_BYTES;
    }
    put_u32(head, (uint32_t)writer->filled);
    put_u32(head + 4, weir_crc32c((uint32_t)writer->chunks, bytes_of(bytes, size)));
    enum weir_status status = put(writer, head, sizeof head, error);
    if (status == WEIR_OK)
        status = put(writer, bytes, size, error);
    writer->chunks++;
    writer->filled = 0;
    return status;
}

enum weir_status store__backup_write(struct store__backup_writer *writer, struct weir_span bytes,
                                     struct weir_error *error) {
    weir_bug_on(bytes.length > writer->bytes_left);
    enum weir_status status = WEIR_OK;
    while (bytes.length > 0 && status == WEIR_OK) {
        size_t room = STORE__BACKUP_CHUNK_BYTES - writer->filled;
        size_t taken = bytes.length < room ? bytes.length : room;
        memcpy(writer->chunk + writer->filled, bytes.at, taken);
        writer->filled += taken;
        writer->bytes_left -= taken;
        bytes = weir_span_from(bytes, taken);
        if (writer->filled == STORE__BACKUP_CHUNK_BYTES || writer->bytes_left == 0)
            status = put_chunk(writer, error);
    }
    return status;
}

enum weir_status store__backup_writer_end(struct store__backup_writer *writer,
                                          unsigned char sha256[WEIR_BACKUP_SHA256_SIZE], struct weir_error *error) {
    weir_bug_on(writer->bytes_left > 0 || writer->filled > 0);
    unsigned char foot[4 + MAGIC_BYTES] = {0};
    memcpy(foot + 4, foot_magic, MAGIC_BYTES);
    enum weir_status status = put(writer, foot, sizeof foot, error);
    (void)crypto_hash_sha256_final(&writer->hash, sha256);
    if (status == WEIR_OK)
        status = store__backup_write_fd(writer->fd, sha256, WEIR_BACKUP_SHA256_SIZE, "the backup", error);
    return status;
}

void store__backup_writer_release(struct store__backup_writer *writer) {
    if (writer->chunk != NULL)
        weir_memory_wipe(writer->chunk, STORE__BACKUP_CHUNK_BYTES);
    weir_memory_free(writer->chunk);
    weir_memory_free(writer->sealed_chunk);
    weir_memory_wipe(writer, sizeof *writer);
}

void store__backup_entry_encode(const struct store__backup_entry *entry, char out[STORE__BACKUP_ENTRY_BYTES]) {
    unsigned char *at = (unsigned char *)out;
    memset(at, 0, STORE__BACKUP_ENTRY_BYTES);
    put_u32(at, entry->kind);
    put_u32(at + 4, entry->worker);
    memcpy(at + 8, entry->instance.bytes, sizeof entry->instance.bytes);
    put_u64(at + 24, entry->number);
    put_u64(at + 32, entry->offset);
    put_u64(at + 40, entry->size);
}

/* --- reading --- */

static bool only_zeroes(const unsigned char *at, size_t size) {
    unsigned char any = 0;
    for (size_t i = 0; i < size; i++)
        any |= at[i];
    return any == 0;
}

/* Printable, and zeroes behind it. */
static bool read_text(const unsigned char *at, size_t size, char *out) {
    size_t length = strnlen((const char *)at, size);
    for (size_t i = 0; i < length; i++)
        if (at[i] <= ' ' || at[i] > '~')
            return false;
    memcpy(out, at, length);
    out[length] = '\0';
    return only_zeroes(at + length, size - length);
}

enum weir_status store__backup_head_decode(const unsigned char head[STORE__BACKUP_HEAD_BYTES],
                                           struct weir_backup_info *info, uint32_t *chunk_bytes,
                                           struct weir_error *error) {
    struct weir_backup_info read = {.schema = get_u32(head + AT_SCHEMA)};
    if (memcmp(head, head_magic, MAGIC_BYTES) != 0)
        return weir_fail(error, WEIR_ECORRUPT, "this is no backup of weir");
    if (get_u32(head + AT_CHECKSUM) != weir_crc32c(0, bytes_of(head, AT_CHECKSUM)))
        return weir_fail(error, WEIR_ECORRUPT, "the backup is damaged: its head fails its checksum");
    if (get_u32(head + AT_FORM) > STORE__BACKUP_FORM)
        return weir_fail(error, WEIR_EDENIED, "the backup was made by a newer weir, in form %u; this one knows form %d",
                         get_u32(head + AT_FORM), STORE__BACKUP_FORM);
    read.sealed = (get_u32(head + AT_FLAGS) & FLAG_SEALED) != 0;
    read.created_utc_us = (int64_t)get_u64(head + AT_CREATED);
    read.database_bytes = get_u64(head + AT_DATABASE);
    read.content_bytes = get_u64(head + AT_CONTENT);
    read.wrapped_length = get_u32(head + AT_WRAPPED_LENGTH);
    memcpy(read.instance.bytes, head + AT_INSTANCE, sizeof read.instance.bytes);
    *chunk_bytes = get_u32(head + AT_CHUNK);
    bool good = get_u32(head + AT_FORM) == STORE__BACKUP_FORM && get_u32(head + AT_FLAGS) <= FLAG_SEALED &&
                *chunk_bytes > 0 && *chunk_bytes <= STORE__BACKUP_MAX_CHUNK_BYTES && read.created_utc_us > 0 &&
                read.content_bytes <= INT64_MAX && read.content_bytes >= STORE__BACKUP_ENTRY_BYTES &&
                read.database_bytes <= read.content_bytes - STORE__BACKUP_ENTRY_BYTES &&
                read.wrapped_length <= WEIR_BACKUP_WRAPPED_MAX && read.sealed == (read.wrapped_length > 0) &&
                read_text(head + AT_ENVIRONMENT, 16, read.environment) &&
                read_text(head + AT_VERSION, 32, read.version) &&
                only_zeroes(head + AT_ZEROES, AT_CHECKSUM - AT_ZEROES);
    if (!good)
        return weir_fail(error, WEIR_ECORRUPT, "the backup's head makes no sense");
    memcpy(read.wrapped, head + AT_WRAPPED, read.wrapped_length);
    *info = read;
    return WEIR_OK;
}

/* The state of one reading. */
struct reader {
    const struct store__backup_reading *reading;
    struct weir_backup_info info;
    uint32_t chunk_bytes;
    uint64_t chunks, bytes_left; /* of the content */
    unsigned char head[STORE__BACKUP_HEAD_BYTES];
    unsigned char *stored, *plain; /* the latter NULL: not sealed */
    crypto_hash_sha256_state hash;
    crypto_secretstream_xchacha20poly1305_state stream;
    /* the entry that the content is in */
    unsigned char entry_head[STORE__BACKUP_ENTRY_BYTES];
    size_t entry_filled;
    uint64_t entry_left, entries;
};

static enum weir_status take(struct reader *reader, void *out, size_t size, struct weir_error *error) {
    size_t got = 0;
    enum weir_status status = reader->reading->source->read(reader->reading->source->context, out, size, &got, error);
    if (status != WEIR_OK)
        return status;
    reader->info.file_bytes += got;
    if (got < size)
        return weir_fail(error, WEIR_ECORRUPT, "the backup is cut: it ends after %llu bytes",
                         (unsigned long long)reader->info.file_bytes);
    return WEIR_OK;
}

static enum weir_status begin_entry(struct reader *reader, struct weir_error *error) {
    struct store__backup_entry entry = {.kind = get_u32(reader->entry_head),
                                        .worker = get_u32(reader->entry_head + 4),
                                        .number = get_u64(reader->entry_head + 24),
                                        .offset = get_u64(reader->entry_head + 32),
                                        .size = get_u64(reader->entry_head + 40)};
    memcpy(entry.instance.bytes, reader->entry_head + 8, sizeof entry.instance.bytes);
    bool first = reader->entries == 0;
    bool known = entry.kind == (first ? STORE__BACKUP_DATABASE : STORE__BACKUP_SEGMENT);
    if (!known || (first && entry.size != reader->info.database_bytes) ||
        !only_zeroes(reader->entry_head + 48, STORE__BACKUP_ENTRY_BYTES - 48))
        return weir_fail(error, WEIR_ECORRUPT, "the backup holds an entry that makes no sense");
    reader->entries++;
    reader->entry_left = entry.size;
    const struct store__backup_sink *sink = reader->reading->sink;
    enum weir_status status = sink->begin(sink->context, &entry, error);
    if (status == WEIR_OK && entry.size == 0) {
        reader->entry_filled = 0;
        status = sink->end(sink->context, error);
    }
    return status;
}

/* The content's bytes, wherever the chunks part them. */
static enum weir_status content(struct reader *reader, struct weir_span bytes, struct weir_error *error) {
    const struct store__backup_sink *sink = reader->reading->sink;
    enum weir_status status = WEIR_OK;
    while (bytes.length > 0 && status == WEIR_OK) {
        if (reader->entry_filled < STORE__BACKUP_ENTRY_BYTES) {
            size_t room = STORE__BACKUP_ENTRY_BYTES - reader->entry_filled;
            size_t taken = bytes.length < room ? bytes.length : room;
            memcpy(reader->entry_head + reader->entry_filled, bytes.at, taken);
            reader->entry_filled += taken;
            bytes = weir_span_from(bytes, taken);
            if (reader->entry_filled == STORE__BACKUP_ENTRY_BYTES)
                status = begin_entry(reader, error);
            continue;
        }
        size_t taken = bytes.length < reader->entry_left ? bytes.length : (size_t)reader->entry_left;
        status = sink->data(sink->context, weir_span_first(bytes, taken), error);
        bytes = weir_span_from(bytes, taken);
        reader->entry_left -= taken;
        if (reader->entry_left == 0 && status == WEIR_OK) {
            reader->entry_filled = 0;
            status = sink->end(sink->context, error);
        }
    }
    return status;
}

static enum weir_status fail_chunk(const struct reader *reader, const char *what, struct weir_error *error) {
    return weir_fail(error, WEIR_ECORRUPT, "the backup is damaged: chunk %llu %s, at byte %llu",
                     (unsigned long long)reader->chunks + 1, what, (unsigned long long)reader->info.file_bytes);
}

static enum weir_status read_chunk(struct reader *reader, struct weir_error *error) {
    unsigned char head[CHUNK_HEAD_BYTES];
    enum weir_status status = take(reader, head, sizeof head, error);
    if (status != WEIR_OK)
        return status;
    /* All but the last are full, so that there is one way to part a content. */
    size_t wanted = reader->bytes_left < reader->chunk_bytes ? (size_t)reader->bytes_left : reader->chunk_bytes;
    if (get_u32(head) != wanted)
        return fail_chunk(reader, "has a wrong length", error);
    bool sealed = reader->plain != NULL;
    size_t size = wanted + (sealed ? STORE__BACKUP_MORE_BYTES : 0);
    status = take(reader, reader->stored, size, error);
    if (status != WEIR_OK)
        return status;
    if (get_u32(head + 4) != weir_crc32c((uint32_t)reader->chunks, bytes_of(reader->stored, size)))
        return fail_chunk(reader, "fails its checksum", error);
    (void)crypto_hash_sha256_update(&reader->hash, head, sizeof head);
    (void)crypto_hash_sha256_update(&reader->hash, reader->stored, size);
    reader->bytes_left -= wanted;
    if (sealed) {
        unsigned char tag = 0;
        unsigned char expected = reader->bytes_left == 0 ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                                                         : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
        if (crypto_secretstream_xchacha20poly1305_pull(&reader->stream, reader->plain, NULL, &tag, reader->stored, size,
                                                       reader->head, sizeof reader->head) != 0 ||
            tag != expected)
            return fail_chunk(reader, "was not sealed like this", error);
    }
    reader->chunks++;
    return content(reader, bytes_of(sealed ? reader->plain : reader->stored, wanted), error);
}

static enum weir_status read_foot(struct reader *reader, struct weir_error *error) {
    unsigned char foot[STORE__BACKUP_FOOT_BYTES], beyond;
    size_t got = 0;
    enum weir_status status = take(reader, foot, sizeof foot, error);
    if (status != WEIR_OK)
        return status;
    (void)crypto_hash_sha256_update(&reader->hash, foot, 4 + MAGIC_BYTES);
    (void)crypto_hash_sha256_final(&reader->hash, reader->info.sha256);
    if (get_u32(foot) != 0 || memcmp(foot + 4, foot_magic, MAGIC_BYTES) != 0)
        return weir_fail(error, WEIR_ECORRUPT, "the backup is damaged: its end is not where it should be");
    if (memcmp(reader->info.sha256, foot + 4 + MAGIC_BYTES, WEIR_BACKUP_SHA256_SIZE) != 0)
        return weir_fail(error, WEIR_ECORRUPT, "the backup is damaged: its SHA-256 is another");
    status = reader->reading->source->read(reader->reading->source->context, &beyond, 1, &got, error);
    if (status == WEIR_OK && got > 0)
        return weir_fail(error, WEIR_ECORRUPT, "the backup is damaged: something stands behind its end");
    return status;
}

static enum weir_status open_stream(struct reader *reader, struct weir_error *error) {
    struct weir_secret *key = NULL;
    enum weir_status status = reader->reading->open_key(reader->reading->context, &reader->info, &key, error);
    if (status != WEIR_OK)
        return status;
    struct weir_span bytes = weir_secret_reveal(key);
    if (bytes.length != STORE__BACKUP_KEY_BYTES ||
        crypto_secretstream_xchacha20poly1305_init_pull(&reader->stream, reader->head + AT_STREAM,
                                                        (const unsigned char *)bytes.at) != 0)
        status = weir_fail(error, WEIR_ECORRUPT, "the backup's key makes no sense");
    weir_secret_free(&key);
    return status;
}

static enum weir_status read_all(struct reader *reader, struct weir_error *error) {
    enum weir_status status = take(reader, reader->head, sizeof reader->head, error);
    if (status != WEIR_OK)
        return status;
    status = store__backup_head_decode(reader->head, &reader->info, &reader->chunk_bytes, error);
    if (status != WEIR_OK)
        return status;
    reader->info.file_bytes = sizeof reader->head;
    reader->bytes_left = reader->info.content_bytes;
    if (reader->info.sealed)
        status = open_stream(reader, error);
    if (status != WEIR_OK)
        return status;
    reader->stored = weir_memory_new((size_t)reader->chunk_bytes + STORE__BACKUP_MORE_BYTES, 1);
    reader->plain = reader->info.sealed ? weir_memory_new(reader->chunk_bytes, 1) : NULL;
    if (reader->stored == NULL || (reader->info.sealed && reader->plain == NULL))
        return weir_fail(error, WEIR_ENOMEM, "no memory to read a backup");
    (void)crypto_hash_sha256_update(&reader->hash, reader->head, sizeof reader->head);
    while (reader->bytes_left > 0 && status == WEIR_OK)
        status = store__backup_cancelled(reader->reading->cancel) ? weir_fail(error, WEIR_ECLOSED, "it was stopped")
                                                                  : read_chunk(reader, error);
    if (status == WEIR_OK && (reader->entry_filled > 0 || reader->entry_left > 0))
        status = weir_fail(error, WEIR_ECORRUPT, "the backup's last entry is not whole");
    return status == WEIR_OK ? read_foot(reader, error) : status;
}

enum weir_status store__backup_read_all(const struct store__backup_reading *reading, struct weir_backup_info *info,
                                        struct weir_error *error) {
    if (sodium_init() < 0)
        return weir_fail(error, WEIR_EIO, "the cryptographic library cannot be used");
    struct reader *reader = weir_memory_new(1, sizeof *reader);
    if (reader == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory to read a backup");
    reader->reading = reading;
    (void)crypto_hash_sha256_init(&reader->hash);
    enum weir_status status = read_all(reader, error);
    if (status == WEIR_OK)
        *info = reader->info;
    if (reader->plain != NULL)
        weir_memory_wipe(reader->plain, reader->chunk_bytes);
    weir_memory_free(reader->plain);
    weir_memory_free(reader->stored);
    weir_memory_wipe(reader, sizeof *reader);
    weir_memory_free(reader);
    return status;
}

/* --- from memory --- */

struct memory_source {
    struct weir_span left;
    struct weir_span key;
};

static enum weir_status read_memory(void *context, void *out, size_t size, size_t *got, struct weir_error *error) {
    (void)error;
    struct memory_source *source = context;
    *got = size < source->left.length ? size : source->left.length;
    memcpy(out, source->left.at, *got);
    source->left = weir_span_from(source->left, *got);
    return WEIR_OK;
}

static enum weir_status forget_begin(void *context, const struct store__backup_entry *entry, struct weir_error *error) {
    (void)context, (void)entry, (void)error;
    return WEIR_OK;
}

static enum weir_status forget_data(void *context, struct weir_span bytes, struct weir_error *error) {
    (void)context, (void)bytes, (void)error;
    return WEIR_OK;
}

static enum weir_status forget_end(void *context, struct weir_error *error) {
    (void)context, (void)error;
    return WEIR_OK;
}

static enum weir_status given_key(void *context, const struct weir_backup_info *info, struct weir_secret **key,
                                  struct weir_error *error) {
    (void)info;
    const struct memory_source *source = context;
    *key = weir_secret_new(source->key);
    return *key != NULL ? WEIR_OK : weir_fail(error, WEIR_ENOMEM, "no memory");
}

enum weir_status weir_backup_read(struct weir_span bytes, struct weir_span key, struct weir_backup_info *info,
                                  struct weir_error *error) {
    struct memory_source memory = {bytes, key};
    const struct store__backup_source source = {read_memory, &memory};
    const struct store__backup_sink sink = {forget_begin, forget_data, forget_end, NULL};
    const struct store__backup_reading reading = {&source, &sink, given_key, &memory, NULL};
    return store__backup_read_all(&reading, info, error);
}

/* A backup's form, shared by who writes and reads it (backup_file.c), who copies the store (backup.c) and who puts it back (restore.c).
 *
 *   head      512 bytes: "WEIRBKUP", form u32, flags u32 (1: sealed), schema step u32, chunk bytes u32, created u64 (UTC microseconds),
 *             database bytes u64, content bytes u64, environment 16 bytes, instance 16 bytes, program version 32 bytes, length of the wrapped key
 *             u32, wrapped key 192 bytes, head of the secret stream 24 bytes, zeroes, CRC-32C u32 of all before
 *   chunk     length u32 of its content, CRC-32C u32 of its bytes started at the chunk's number, bytes; a sealed one's bytes are 17 more: a
 *             message of libsodium's secretstream (XChaCha20-Poly1305) with the head as additional data
 *   foot      length u32 0, "WEIRBEND", SHA-256 of the file up to here
 *
 *   content   entries one after the other, each 64 bytes of head and its bytes: the database first, then journal segments
 *   entry     kind u32 (1 database, 2 journal segment), worker u32, instance 16 bytes, number u64, offset u64 in the segment, bytes u64, zeroes
 *
 * Integers are little-endian.
 */
#ifndef WEIR_STORE_BACKUP_IMPL_H
#define WEIR_STORE_BACKUP_IMPL_H

#include "store/backup.h"

#include <sodium.h>

enum {
    STORE__BACKUP_FORM = 1,
    STORE__BACKUP_HEAD_BYTES = 512,
    STORE__BACKUP_ENTRY_BYTES = 64,
    STORE__BACKUP_CHUNK_BYTES = 1024 * 1024,
    STORE__BACKUP_MAX_CHUNK_BYTES = 8 * 1024 * 1024,
    STORE__BACKUP_FOOT_BYTES = 4 + 8 + WEIR_BACKUP_SHA256_SIZE,
    STORE__BACKUP_KEY_BYTES = crypto_secretstream_xchacha20poly1305_KEYBYTES,
    STORE__BACKUP_MORE_BYTES = crypto_secretstream_xchacha20poly1305_ABYTES,
};

enum store__backup_kind { STORE__BACKUP_DATABASE = 1, STORE__BACKUP_SEGMENT = 2 };
struct store__backup_entry {
    uint32_t kind;
    uint32_t worker;
    struct weir_uuid instance;
    uint64_t number;
    uint64_t offset; /* of the first byte in its segment */
    uint64_t size;
};
void store__backup_entry_encode(const struct store__backup_entry *entry, char out[STORE__BACKUP_ENTRY_BYTES]);

/* --- writing --- */
struct store__backup_writer {
    int fd;
    uint64_t chunks, bytes_left; /* of the content */
    size_t filled;
    unsigned char *chunk, *sealed_chunk; /* the latter NULL: not sealed */
    unsigned char head[STORE__BACKUP_HEAD_BYTES];
    crypto_hash_sha256_state hash;
    crypto_secretstream_xchacha20poly1305_state stream;
};
/* Writes the head. `key`: STORE__BACKUP_KEY_BYTES, or empty. The fd stays the caller's. Release it also after a failure. */
WEIR_MUST enum weir_status store__backup_writer_begin(struct store__backup_writer *writer, int fd,
                                                      const struct weir_backup_info *info, struct weir_span key,
                                                      struct weir_error *error);
WEIR_MUST enum weir_status store__backup_write(struct store__backup_writer *writer, struct weir_span bytes,
                                               struct weir_error *error);
/* All of the content is written: the foot. */
WEIR_MUST enum weir_status store__backup_writer_end(struct store__backup_writer *writer,
                                                    unsigned char sha256[WEIR_BACKUP_SHA256_SIZE],
                                                    struct weir_error *error);
void store__backup_writer_release(struct store__backup_writer *writer);

/* --- reading --- */
/* Where the bytes come from: fills all of `size` unless the end comes before. */
struct store__backup_source {
    enum weir_status (*read)(void *context, void *out, size_t size, size_t *got, struct weir_error *error);
    void *context;
};
/* Where the content goes. `data` never crosses the end of an entry. */
struct store__backup_sink {
    enum weir_status (*begin)(void *context, const struct store__backup_entry *entry, struct weir_error *error);
    enum weir_status (*data)(void *context, struct weir_span bytes, struct weir_error *error);
    enum weir_status (*end)(void *context, struct weir_error *error);
    void *context;
};
WEIR_MUST enum weir_status store__backup_head_decode(const unsigned char head[STORE__BACKUP_HEAD_BYTES],
                                                     struct weir_backup_info *info, uint32_t *chunk_bytes,
                                                     struct weir_error *error);
/* Reads it all. `open_key` is asked once, for a sealed one, with the info of the head. */
struct store__backup_reading {
    const struct store__backup_source *source;
    const struct store__backup_sink *sink;
    enum weir_status (*open_key)(void *context, const struct weir_backup_info *info, struct weir_secret **key,
                                 struct weir_error *error);
    void *context; /* of open_key */
    const _Atomic bool *cancel;
};
WEIR_MUST enum weir_status store__backup_read_all(const struct store__backup_reading *reading,
                                                  struct weir_backup_info *info, struct weir_error *error);
/* What the key of a backup is sealed for. */
void store__backup_about(const struct weir_backup_info *info, struct weir_buffer *about);

/* --- files --- */
WEIR_MUST enum weir_status store__backup_fail(struct weir_error *error, int number, const char *verb, const char *path);
WEIR_MUST enum weir_status store__backup_write_fd(int fd, const void *bytes, size_t size, const char *path,
                                                  struct weir_error *error);
/* The folder of a file: "." for a bare name. */
void store__backup_folder(const char *file, char *out, size_t size);
/* Forces a folder's names to the disk. */
WEIR_MUST enum weir_status store__backup_sync_folder(const char *folder, struct weir_error *error);
static inline bool store__backup_cancelled(const _Atomic bool *cancel) {
    return cancel != NULL && atomic_load_explicit(cancel, memory_order_relaxed);
}

#endif

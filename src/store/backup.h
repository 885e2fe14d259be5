/* Backups: one file that holds a consistent copy of the store, made while it is in use, and the way back.
 *
 * A backup is the database as it was at one moment, and of each worker's journal what that database has not read: whatever was answered before
 * the backup began is in it. The file says what it is in its head, has a checksum for each chunk and a SHA-256 of everything at its end; with a
 * sealer its content can be read only with a key that is not in it. No file but weir.db and the journal ever gets into one: no key, no token.
 *
 * Everything here is synchronous, on connections of its own, and may be run beside a server by any thread.
 */
#ifndef WEIR_STORE_BACKUP_H
#define WEIR_STORE_BACKUP_H

#include "base/buffer.h"
#include "base/ids.h"
#include "base/secret.h"

#include <stdatomic.h>

enum { WEIR_BACKUP_WRAPPED_MAX = 192, WEIR_BACKUP_SHA256_SIZE = 32 };

/* How a backup's own key is sealed and opened; the store does not know sealing keys. */
struct weir_backup_sealer {
    enum weir_status (*wrap)(void *context, struct weir_span about, struct weir_span key, struct weir_buffer *wrapped);
    enum weir_status (*unwrap)(void *context, struct weir_span about, struct weir_span wrapped,
                               struct weir_secret **key);
    void *context;
};

/* What a backup says of itself. */
struct weir_backup_info {
    uint32_t schema; /* step of the tables */
    char environment[17];
    char version[33];          /* of the program that made it */
    struct weir_uuid instance; /* of the newest server on the database; zeroes: none ever ran */
    int64_t created_utc_us;    /* the moment of the copy */
    uint64_t database_bytes;   /* of the copy */
    uint64_t content_bytes;    /* with the journal's rest */
    uint64_t file_bytes;
    bool sealed;
    unsigned char wrapped[WEIR_BACKUP_WRAPPED_MAX]; /* its key as the sealer sealed it */
    size_t wrapped_length;
    unsigned char
        sha256[WEIR_BACKUP_SHA256_SIZE]; /* of the file up to its last 32 bytes: once it was made or verified */
    int64_t audit_entries;               /* in the verified audit trail: once it was verified */
};

struct weir_backup_order {
    const char *directory;                   /* of the store */
    const char *environment;                 /* the database must belong to it */
    const char *file;                        /* must not exist; it gets its name once it is whole and on the disk */
    const struct weir_backup_sealer *sealer; /* NULL: not sealed */
    const _Atomic bool *cancel;              /* NULL, or set by another thread: WEIR_ECLOSED soon after */
};
/* WEIR_EEXIST: there is such a file; WEIR_EFULL: no room, nothing is left behind; WEIR_ENOTFOUND: no database. Also verifies what it has
 * written, before it gets its name, where `verified`. */
WEIR_MUST enum weir_status weir_backup_make(const struct weir_backup_order *order, bool verified,
                                            struct weir_backup_info *info, struct weir_error *error);

/* The head alone, and whether the file is as long as it must be: quick, proves little. WEIR_ECORRUPT, WEIR_EDENIED (a newer form). */
WEIR_MUST enum weir_status weir_backup_describe(const char *file, struct weir_backup_info *info,
                                                struct weir_error *error);

struct weir_backup_restore {
    const char *file;
    const char *
        directory; /* where the store shall be; for verifying: a folder for the copy that is looked at, NULL: the file's own */
    const char *environment;                 /* NULL: any */
    const struct weir_backup_sealer *sealer; /* for sealed ones; NULL: they are refused */
    bool replace;                            /* an existing database is kept beside the new one */
    const _Atomic bool *cancel;
    char replaced[64]; /* out: the name that the existing database has now, in the same folder; "" */
};
/* Everything that a restore would check, on a copy that is removed afterwards: checksums, the database's own integrity, the audit chain, the
 * environment, that this program knows the tables. WEIR_ECORRUPT: damaged or cut; WEIR_EDENIED: not for us, with words. */
WEIR_MUST enum weir_status weir_backup_verify(const struct weir_backup_restore *restore, struct weir_backup_info *info,
                                              struct weir_error *error);
/* Verifies, then puts the copy in place. WEIR_EBUSY: a server runs there; WEIR_EEXIST: there is a database and not `replace`. On failure the
 * directory is as it was. */
WEIR_MUST enum weir_status weir_backup_restore(struct weir_backup_restore *restore, struct weir_backup_info *info,
                                               struct weir_error *error);

/* Whether a process holds the store of this directory open as a server. */
WEIR_MUST enum weir_status weir_backup_is_served(const char *directory, bool *served, struct weir_error *error);

/* Reads a whole backup from memory and forgets it: what the fuzzer calls. `key`: of a sealed one, or empty. */
WEIR_MUST enum weir_status weir_backup_read(struct weir_span bytes, struct weir_span key, struct weir_backup_info *info,
                                            struct weir_error *error);

#endif

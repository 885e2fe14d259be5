/* The journal's directory: names, creating, mapping, listing and removing segments, and the lock that says
 * who lives.
 */
#ifndef WEIR_STORE_SEGMENTS_H
#define WEIR_STORE_SEGMENTS_H

#include "store/journal_impl.h"

/* One file of the directory whose name is ours; anything else is left out. */
struct store__journal_file {
    struct weir_uuid instance;
    uint32_t worker; /* of a segment */
    uint64_t number; /* of a segment, from 1 */
    bool is_lock;
};

enum { STORE__FILE_NAME_SIZE = 96 };
void store__segment_name(const struct store__journal_file *file, char out[STORE__FILE_NAME_SIZE]);

/* Creates a segment with its header, its blocks allocated, mapped for writing. WEIR_EFULL when the disk has no room
 * (nothing is left behind), WEIR_EIO. `populate`: its pages are made present, so that the worker does not fault them
 * in. */
WEIR_MUST enum weir_status store__segment_create(int directory, const struct store__journal_file *file, bool populate,
                                                 struct store__segment **segment, struct weir_error *error);
/* Maps an existing one for reading. WEIR_ENOTFOUND, WEIR_EIO, WEIR_ENOMEM. */
WEIR_MUST enum weir_status store__segment_open(int directory, const struct store__journal_file *file,
                                               struct store__segment **segment, struct weir_error *error);
/* Unmaps; the file stays. */
void store__segment_free(struct store__segment **segment);
/* Removing what is gone already is no failure. */
void store__segment_remove(int directory, const struct store__journal_file *file);
/* Keeps an unreadable one for people, as <name>.corrupt, where no boot reads it again. */
void store__segment_set_aside(int directory, const struct store__journal_file *file);

/* Every file of ours, ordered by instance, worker, number; locks before segments. Free with weir_memory_free. */
WEIR_MUST enum weir_status store__journal_list(int directory, struct store__journal_file **files, size_t *count,
                                               struct weir_error *error);

/* Takes an instance's lock file, creating it; held until the descriptor is closed, so also until the process dies.
 * WEIR_EBUSY: another process lives under that name. */
WEIR_MUST enum weir_status store__instance_lock(int directory, const struct weir_uuid *instance, int *fd,
                                                struct weir_error *error);
/* Removes the file, then lets go. */
/* Whether somebody holds it. */
bool store__instance_lives(int directory, const struct weir_uuid *instance);
void store__instance_unlock(int directory, const struct weir_uuid *instance, int *fd);

#endif

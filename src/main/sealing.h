/* Sealing keys and sealed secrets as the process uses them: from the settings, and from the store. */
#ifndef WEIR_MAIN_SEALING_H
#define WEIR_MAIN_SEALING_H

#include "main/settings.h"
#include "secrets/sealing.h"
#include "store/backup.h"

/* The keys that the settings name. One that is not there (no such file, an unset variable) is no failure: the sealing then has none at all, and *error
 * says which it is; a key that is wrong is one. */
WEIR_MUST enum weir_status main__sealing_new(const struct main__settings *settings, struct weir_sealing **sealing,
                                             struct weir_error *error);

/* A named secret of the store, opened with the settings' keys on a connection of its own. *value_version grows with every new value. */
WEIR_MUST enum weir_status main__secret_fetch(const struct main__settings *settings, struct weir_span name,
                                              struct weir_secret **secret, uint64_t *value_version,
                                              struct weir_error *error);

/* How backups seal their own keys. It borrows `sealing`. */
struct weir_backup_sealer main__backup_sealer(const struct weir_sealing *sealing);

#endif

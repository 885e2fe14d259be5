/* What several commands need. */
#ifndef WEIR_MAIN_COMMAND_SUPPORT_H
#define WEIR_MAIN_COMMAND_SUPPORT_H

#include "identity/key.h"
#include "main/settings.h"
#include "store/store.h"

/* Opens the store of these settings on a connection of the command's own. A database that is made says so on standard error, with its place: a command in
 * the wrong folder would make one in silence. Where there is none, the words name -c. */
WEIR_MUST enum weir_status main__store_open(const struct main__settings *settings, bool create,
                                            struct weir_engine **engine, struct weir_error *error);
/* The words of weir_store_direct_migration and the like, with what to do added where there is no database. */
void main__add_place(enum weir_status status, struct weir_error *error);

/* "30d", "12h", "90m" from now, or a time or date; WEIR_EINVAL. */
WEIR_MUST enum weir_status main__parse_time(struct weir_span text, bool future, int64_t *utc_us);
/* A text for a table's cell: at most `width` columns (longer ones end in …), control bytes shown as '?', so that no client's word can
 * steer a terminal. */
enum { MAIN_CELL_SIZE = 128 };
void main__cell(struct weir_span text, size_t width, char out[MAIN_CELL_SIZE]);
/* "2026-11-21T13:29:00Z", or "-" for 0. */
void main__format_time(int64_t utc_us, char out[32]);

/* A flag's time (main__parse_time), left alone where the flag was not given; false: told on standard error. */
bool main__read_time_flag(const char *text, const char *flag, int64_t *utc_us);

#endif

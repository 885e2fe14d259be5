/* Sums of the ledger, inside the SQLite engine: how they are found, and how entries get into them.
 *
 *   subject   whom a sum of spend is of: number of the dictionary << 3 | enum weir_scope
 *   place     the row's number: quarter of an hour, hour or day since 1970 << 32 | subject, or number in usage_of. Sums of tags have STORE__OF_TAGS
 *             set besides, and stand behind all others.
 *
 * Time comes first, so that what is being added to lies side by side: a batch of ingestion touches a few pages, however many keys there are. The other way
 * round it would touch a page a key. The price is that a window is read one bucket at a time; the sums by day keep that to some dozens.
 */
#ifndef WEIR_STORE_SQLITE_SUMS_H
#define WEIR_STORE_SQLITE_SUMS_H

#include "store/sqlite_impl.h"

enum { STORE__QUARTERS_A_DAY = 96, STORE__QUARTERS_AN_HOUR = 4, STORE__UNITS = 3, STORE__USAGE_SUMS = 14 };
#define STORE__QUARTERS_END ((int64_t)1 << 23) /* in the year 2209: what starts later counts as its last quarter */
#define STORE__SUBJECTS_END ((int64_t)1 << 32)
#define STORE__OF_TAGS ((int64_t)1 << 62)
/* No entry counts for more of anything, and nothing for less than 0: what is absurd may not make a sum overflow. */
#define STORE__MOST_OF_ONE ((int64_t)1 << 48)

static inline int64_t store__quarter_of(int64_t utc_us) {
    if (utc_us < 0)
        return 0;
    int64_t quarter = utc_us / WEIR_SPEND_BUCKET_US;
    return quarter < STORE__QUARTERS_END ? quarter : STORE__QUARTERS_END - 1;
}
static inline int64_t store__place(int64_t time, int64_t subject) {
    return time << 32 | subject;
}
static inline int64_t store__subject(enum weir_scope scope, int64_t text) {
    return text << 3 | (int64_t)scope;
}

/* The sums are those of the order of struct weir_usage_sums. */
_Static_assert(sizeof(struct weir_usage_sums) == STORE__USAGE_SUMS * sizeof(int64_t), "an array of numbers");

/* --- sqlite_sums.c: the table in memory --- */
struct store__sums;
/* Makes the table, where it is not there or not as large; nothing may be in it then. `much`: for more than a second of traffic. */
WEIR_MUST enum weir_status store__sums_begin(struct weir_engine *engine, bool much, struct weir_error *error);
/* From whose slices is taken what is added from now on; an empty one: from nobody's. Inside a transaction: writes what is another's. */
WEIR_MUST enum weir_status store__sums_set_instance(struct weir_engine *engine, struct weir_span instance,
                                                    struct weir_error *error);
/* The table is to be written before another entry is added. */
bool store__sums_full(const struct weir_engine *engine);
/* Adds an entry, in memory. */
WEIR_MUST enum weir_status store__sums_add(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                           const struct store__entry_numbers *numbers, struct weir_error *error);
/* Writes what has gathered, inside a transaction. */
WEIR_MUST enum weir_status store__sums_end(struct weir_engine *engine, struct weir_error *error);
/* Forgets what has gathered. */
void store__sums_clear(struct weir_engine *engine);

/* --- sqlite_waiting.c: sums that wait in memory for a second --- */
/* At the beginning of a transaction of ingestion, when engine->next_sequence is known. */
WEIR_MUST enum weir_status store__waiting_begin(struct weir_engine *engine, struct weir_error *error);
/* Before an entry is added: makes room for it. */
WEIR_MUST enum weir_status store__waiting_admit(struct weir_engine *engine, struct weir_error *error);
/* At the end: notes what waits, or writes it. */
WEIR_MUST enum weir_status store__waiting_end(struct weir_engine *engine, struct weir_error *error);
/* Inside a transaction: writes what waits. */
WEIR_MUST enum weir_status store__waiting_write(struct weir_engine *engine, struct weir_error *error);
/* A transaction was taken back: nothing waits any more, and the ledger has it. */
void store__waiting_forget(struct weir_engine *engine);
/* At the engine's end. */
void store__waiting_close(struct weir_engine *engine);

/* --- sqlite_unsummed.c: ranges of the ledger that the sums lack --- */
/* Inside a transaction: notes what a program that does not know of sums has written since. Gives the ledger's next number. */
WEIR_MUST enum weir_status store__unsummed_note(struct weir_engine *engine, int64_t *next_sequence, bool *any,
                                                struct weir_error *error);
/* Inside a transaction: all entries of this instance are in the sums afterwards, whoever had them wait. */
WEIR_MUST enum weir_status store__unsummed_finish(struct weir_engine *engine, const struct weir_uuid *instance,
                                                  struct weir_error *error);
/* Some of this instance's entries may not be in the sums. */
bool store__unsummed_any_of(struct weir_engine *engine, const struct weir_uuid *instance);
/* Before sums are read: adds what is missing, for so long at most. Where that cannot be done now the sums stay as they are. */
void store__unsummed_hurry(struct weir_engine *engine, int64_t milliseconds);

#endif

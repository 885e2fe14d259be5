/* Tables for a terminal: columns as wide as what is in them, text on the left, figures on the right. */
#ifndef WEIR_MAIN_TABLE_H
#define WEIR_MAIN_TABLE_H

#include "base/arena.h"
#include "base/buffer.h"

enum { MAIN_TABLE_COLUMNS = 32 };
struct main__table {
    struct weir_arena *arena; /* borrowed; holds the cells */
    size_t columns, rows, room;
    const char *heads[MAIN_TABLE_COLUMNS]; /* static texts */
    bool right[MAIN_TABLE_COLUMNS];
    size_t widths[MAIN_TABLE_COLUMNS];
    const char **cells; /* rows * columns */
    size_t filled;      /* of the last row */
    bool failed;        /* no memory */
};

/* Columns are added first, then cells, row after row. A cell's control bytes are shown as '?', and it is cut at 44 columns. */
void main__table_init(struct main__table *table, struct weir_arena *arena);
void main__table_column(struct main__table *table, const char *head, bool right);
void main__table_text(struct main__table *table, struct weir_span text);
/* "1,234,567" */
void main__table_number(struct main__table *table, int64_t value);
/* Milli-CU as USD ("12.345679", rounded to a millionth) and as CU ("12,345,678.901"). */
void main__table_usd(struct main__table *table, int64_t cu_milli);
void main__table_cu(struct main__table *table, int64_t cu_milli);
/* A line of dashes goes before the last `totals` rows. False: no memory, or standard output could not be written. */
WEIR_MUST bool main__table_print(const struct main__table *table, size_t totals);

#endif

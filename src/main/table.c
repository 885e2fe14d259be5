/* See table.h. */
#include "main/table.h"

#include "main/command_support.h"

enum { WIDEST = 44 };

static size_t columns_of(const char *text) {
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

void main__table_init(struct main__table *table, struct weir_arena *arena) {
    *table = (struct main__table){.arena = arena};
}

static void add_cell(struct main__table *table, const char *text) {
    if (table->failed || text == NULL) {
        table->failed = true;
        return;
    }
    if (table->filled == 0) {
        if (table->rows == table->room) {
            size_t room = table->room == 0 ? 64 : 2 * table->room;
            const char **cells = weir_arena_array(table->arena, room * table->columns, sizeof *cells);
            if (cells == NULL) {
                table->failed = true;
                return;
            }
            if (table->rows > 0)
                memcpy(cells, table->cells, table->rows * table->columns * sizeof *cells);
            table->cells = cells;
            table->room = room;
        }
        table->rows++;
    }
    table->cells[(table->rows - 1) * table->columns + table->filled] = text;
    size_t width = columns_of(text);
    if (width > table->widths[table->filled])
        table->widths[table->filled] = width;
    table->filled = (table->filled + 1) % table->columns;
}

void main__table_column(struct main__table *table, const char *head, bool right) {
    weir_bug_on(table->columns == MAIN_TABLE_COLUMNS || table->rows > 0);
    table->heads[table->columns] = head;
    table->right[table->columns] = right;
    table->widths[table->columns++] = columns_of(head);
}

void main__table_text(struct main__table *table, struct weir_span text) {
    char cell[MAIN_CELL_SIZE], cut[MAIN_CELL_SIZE];
    main__cell(text, 0, cell);
    if (columns_of(cell) > WIDEST) {
        main__cell(text, WIDEST, cut);
        add_cell(table, weir_arena_string(table->arena, weir_span_of_string(cut)));
    } else {
        add_cell(table, weir_arena_string(table->arena, weir_span_of_string(cell)));
    }
}

/* Digits in groups of three, from the right. */
static size_t grouped(uint64_t value, char out[32]) {
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            out[length++] = ',';
        out[length++] = digits[i];
    }
    out[length] = '\0';
    return length;
}

static uint64_t magnitude(int64_t value) {
    return value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
}

void main__table_number(struct main__table *table, int64_t value) {
    char text[32];
    (void)grouped(magnitude(value), text);
    add_cell(table, weir_arena_format(table->arena, "%s%s", value < 0 ? "-" : "", text));
}

void main__table_usd(struct main__table *table, int64_t cu_milli) {
    enum { IN_USD = 1000000000, SHOWN = 1000000 };
    char text[32];
    uint64_t millionths = (magnitude(cu_milli) + IN_USD / SHOWN / 2) / (IN_USD / SHOWN);
    (void)grouped(millionths / SHOWN, text);
    add_cell(table, weir_arena_format(table->arena, "%s%s.%06llu", cu_milli < 0 && millionths > 0 ? "-" : "", text,
                                      (unsigned long long)(millionths % SHOWN)));
}

void main__table_cu(struct main__table *table, int64_t cu_milli) {
    enum { IN_CU = 1000 };
    char text[32];
    (void)grouped(magnitude(cu_milli) / IN_CU, text);
    add_cell(table, weir_arena_format(table->arena, "%s%s.%03llu", cu_milli < 0 ? "-" : "", text,
                                      (unsigned long long)(magnitude(cu_milli) % IN_CU)));
}

static void print_row(const struct main__table *table, const char *const *cells) {
    for (size_t i = 0; i < table->columns; i++) {
        int blanks = (int)(table->widths[i] - columns_of(cells[i]));
        bool last = i + 1 == table->columns;
        printf("%*s%s%*s%s", table->right[i] ? blanks : 0, "", cells[i], table->right[i] || last ? 0 : blanks, "",
               last ? "\n" : "  ");
    }
}

bool main__table_print(const struct main__table *table, size_t totals) {
    size_t wide = 2 * (table->columns - 1);
    if (table->failed)
        return false;
    for (size_t i = 0; i < table->columns; i++)
        wide += table->widths[i];
    print_row(table, table->heads);
    for (size_t i = 0; i < table->rows; i++) {
        if (totals > 0 && i + totals == table->rows) {
            for (size_t k = 0; k < wide; k++)
                (void)putchar('-');
            (void)putchar('\n');
        }
        print_row(table, table->cells + i * table->columns);
    }
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}

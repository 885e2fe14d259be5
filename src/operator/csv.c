/* See csv.h. */
#include "operator/csv.h"

/* A spreadsheet takes what begins with one of these for a formula, behind blanks too, and runs it. Control characters become blanks below, so they count as
 * blanks here. */
void weir_csv_text(struct weir_buffer *out, struct weir_span text) {
    size_t first = 0;
    while (first < text.length && (unsigned char)text.at[first] <= ' ')
        first++;
    weir_buffer_append_byte(out, '"');
    if (first < text.length && memchr("=+-@|%", text.at[first], 6) != NULL)
        weir_buffer_append_byte(out, '\'');
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"')
            weir_buffer_append_byte(out, '"');
        weir_buffer_append_byte(out, (unsigned char)text.at[i] < 0x20 ? ' ' : text.at[i]);
    }
    weir_buffer_append_byte(out, '"');
}

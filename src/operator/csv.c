/* See csv.h. */
#include "operator/csv.h"

/* A spreadsheet takes what begins with one of these for a formula, behind blanks too, and runs it. */
void weir_csv_text(struct weir_buffer *out, struct weir_span text) {
    struct weir_span trimmed = weir_span_trim(text);
    weir_buffer_append_byte(out, '"');
    if (trimmed.length > 0 && memchr("=+-@|%", trimmed.at[0], 6) != NULL)
        weir_buffer_append_byte(out, '\'');
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"')
            weir_buffer_append_byte(out, '"');
        weir_buffer_append_byte(out, (unsigned char)text.at[i] < 0x20 ? ' ' : text.at[i]);
    }
    weir_buffer_append_byte(out, '"');
}
